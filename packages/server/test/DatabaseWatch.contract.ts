/**
 * What every engine of `Database` tells of a watched collection.
 */
import { Database, type DatabaseError } from "@effect-realm/server/Database"
import type * as DatabaseModule from "@effect-realm/server/Database"
import { assert, describe, it } from "@effect/vitest"
import { Double, EJSON, Int32, Long } from "bson"
import { Arbitrary, Effect, Fiber, type Layer, Option, Pull, Result, type Scope, Stream } from "effect"
import * as TestClock from "effect/testing/TestClock"
import { arbitraryDocuments } from "./support/documents.ts"
import { arbitraryHistory, halfSighted, replay, replayLive } from "./support/replay.ts"

type Collection<Refusal = never> = DatabaseModule.Collection<Refusal>
type Watched = DatabaseModule.Watched
type ResumeToken = DatabaseModule.ResumeToken

const namespace = { database: "app", collection: "notes" }

interface Watch<E> {
  /** The position the watch began at. */
  readonly begin: ResumeToken
  /** What is told next, one by one. */
  readonly next: Effect.Effect<Watched, E>
  /** The change told next. */
  readonly event: Effect.Effect<DatabaseModule.ChangeEvent, E>
}

/** Begins to read: later changes are told. */
const follow = <E>(told: Stream.Stream<Watched, E>): Effect.Effect<Watch<E>, E, Scope.Scope> =>
  Effect.gen(function*() {
    const pull = yield* Stream.toPull(told)
    const items: Array<Watched> = []
    const next = Effect.gen(function*() {
      while (items.length === 0) items.push(...yield* Pull.catchDone(pull, () => Effect.die("it ended")))
      return items.shift() ?? assert.fail("nothing")
    })
    const first = yield* next
    assert.ok(first._tag === "Position")
    const event = Effect.map(next, (watched) =>
      watched._tag === "Changed" ? watched.event : assert.fail("a position where a change was expected"))
    return { begin: first.resumeToken, next, event }
  })

/** Begins to watch: later changes are told. */
const open = <Refusal>(
  collection: Collection<Refusal>,
  options?: DatabaseModule.WatchOptions
): Effect.Effect<Watch<DatabaseError | Refusal>, DatabaseError | Refusal, Scope.Scope> =>
  follow(collection.watch(options))

const reasonOf = <A, R>(effect: Effect.Effect<A, DatabaseError, R>) =>
  Effect.match(effect, { onFailure: ({ reason }) => reason._tag, onSuccess: () => "None" as const })

/** Equal to the type of each number, and in the order of all fields. */
const assertExactly = (actual: unknown, expected: unknown): void =>
  assert.strictEqual(EJSON.stringify(actual, { relaxed: false }), EJSON.stringify(expected, { relaxed: false }))

/** Without what differs from run to run. */
const plain = ({ clusterTime: _, namespace: __, resumeToken: ___, ...event }: DatabaseModule.ChangeEvent) => event

type Description = Partial<DatabaseModule.UpdateDescription>

const descriptions: ReadonlyArray<readonly [what: string, before: unknown, after: unknown, Description]> = [
  ["one field of an embedded document", { a: { b: 1, c: 2 } }, { a: { b: 1, c: 3 } }, {
    updatedFields: { "v.a.c": 3 }
  }],
  ["a field less", { a: 1, b: 2 }, { b: 2 }, { removedFields: ["v.a"] }],
  ["another type", { a: 1 }, [1], { updatedFields: { v: [1] } }],
  ["a number's type", { a: 1 }, { a: new Double(1) }, { updatedFields: { "v.a": 1 } }],
  ["an array that grew", [1, 2], [1, 2, 3], { updatedFields: { "v.2": 3 } }],
  ["an array that shrank", [1, 2, 3], [1], { truncatedArrays: [{ field: "v", newSize: 1 }] }],
  ["a field in an array", [{ a: 1 }, { a: 2 }, 3], [{ a: 1 }, { a: 5 }, 3], { updatedFields: { "v.1.a": 5 } }],
  ["an array whose first element went", [1, 2, 3, 4], [2, 3, 4], { updatedFields: { v: [2, 3, 4] } }],
  ["fields that are added in another order than by updates", { a: 1 }, { a: 1, c: 2, b: 3 }, {
    updatedFields: { v: { a: 1, c: 2, b: 3 } }
  }],
  ["the order of fields", { a: 1, b: 2 }, { b: 2, a: 1 }, { updatedFields: { v: { b: 2, a: 1 } } }],
  // as a path it would be two fields
  ["a field whose name has a dot", { "a.b": 1, c: 1 }, { "a.b": 2, c: 1 }, {
    updatedFields: { v: { "a.b": 2, c: 1 } }
  }]
]

export const watchContract = (name: string, layer: Layer.Layer<Database, DatabaseError>): void => {
  const test = (
    title: string,
    run: (notes: Collection) => Effect.Effect<unknown, DatabaseError, Database | Scope.Scope>
  ): void => {
    it.effect(
      title,
      () => Effect.flatMap(Database, (database) => run(database.collection(namespace))).pipe(Effect.provide(layer))
    )
  }

  describe(`${name}: watch`, { timeout: 60_000 }, () => {
    test("each kind of change is told with its images, in the order of the writes", (notes) =>
      Effect.gen(function*() {
        const watch = yield* open(notes)
        yield* notes.insertOne({ _id: 1, n: 1, old: true })
        yield* notes.updateOne({ _id: 1 }, { $set: { n: 2, "deep.er": [1] }, $unset: { old: "" } })
        yield* notes.replaceOne({ _id: 1 }, { m: 3 })
        yield* notes.deleteOne({ _id: 1 })
        const events = yield* Effect.replicateEffect(watch.event, 4)
        const before = { _id: 1, n: 1, old: true }
        const after = { _id: 1, n: 2, deep: { er: [1] } }
        assert.deepStrictEqual(events.map(plain), [
          { operationType: "insert", documentKey: { _id: 1 }, fullDocument: before },
          {
            operationType: "update",
            documentKey: { _id: 1 },
            fullDocument: after,
            fullDocumentBeforeChange: before,
            updateDescription: {
              updatedFields: { n: 2, deep: { er: [1] } },
              removedFields: ["old"],
              truncatedArrays: []
            }
          },
          {
            operationType: "replace",
            documentKey: { _id: 1 },
            fullDocument: { _id: 1, m: 3 },
            fullDocumentBeforeChange: after
          },
          { operationType: "delete", documentKey: { _id: 1 }, fullDocumentBeforeChange: { _id: 1, m: 3 } }
        ])
        for (const event of events) assert.deepStrictEqual(event.namespace, namespace)
      }))

    test("a token resumes after its event, and the position a watch began at before all of them", (notes) =>
      Effect.gen(function*() {
        const { begin, event } = yield* open(notes)
        yield* notes.insertMany([{ _id: 1 }, { _id: 2 }, { _id: 3 }])
        const first = yield* event
        const resumed = yield* open(notes, { resumeAfter: first.resumeToken })
        const afresh = yield* open(notes, { resumeAfter: resumed.begin })
        for (const { event } of [resumed, afresh]) assert.deepStrictEqual((yield* event).documentKey, { _id: 2 })
        const again = yield* open(notes, { resumeAfter: begin })
        assert.deepStrictEqual((yield* again.event).documentKey, { _id: 1 })
      }))

    test("ten thousand documents of one write are as many events, in their order", (notes) =>
      Effect.gen(function*() {
        const { event } = yield* open(notes)
        yield* notes.insertMany(Array.from({ length: 10_000 }, (_, _id) => ({ _id })))
        const events = yield* Effect.replicateEffect(event, 10_000)
        assert.deepStrictEqual(events.map(({ documentKey }) => documentKey._id), events.map((_, index) => index))
      }))

    test("what failed or changed nothing is not told", (notes) =>
      Effect.gen(function*() {
        const { event } = yield* open(notes)
        yield* notes.insertMany([{ _id: 1, n: 1 }, { _id: 2, n: "x" }])
        assert.strictEqual(yield* reasonOf(notes.insertOne({ _id: 1 })), "DuplicateKey")
        assert.strictEqual(yield* reasonOf(notes.updateMany({}, { $inc: { n: 1 } })), "BadUpdate")
        const bulk = notes.bulkWrite([
          { insertOne: { document: { _id: 3 } } },
          // the first document has been written when the second one fails
          { updateMany: { filter: {}, update: { $inc: { n: 1 } } } },
          { insertOne: { document: { _id: 4 } } }
        ], { ordered: false })
        assert.strictEqual(yield* reasonOf(bulk), "BadUpdate")
        yield* notes.updateOne({ _id: 2 }, { $set: { n: "x" } })
        yield* notes.deleteOne({ _id: 9 })
        yield* notes.insertOne({ _id: 5 })
        const events = yield* Effect.replicateEffect(event, 5)
        assert.deepStrictEqual(
          events.map(({ documentKey, operationType }) => [operationType, documentKey._id]),
          [1, 2, 3, 4, 5].map((_id) => ["insert", _id])
        )
      }))

    test("who waits is told of a change when it is made, and of no other collection", (notes) =>
      Effect.gen(function*() {
        const database = yield* Database
        const others = database.collection({ database: "other", collection: "notes" })
        const { event } = yield* open(notes)
        const waiting = yield* Effect.forkChild(event, { startImmediately: true })
        yield* others.insertOne({ _id: "other" })
        yield* notes.insertOne({ _id: 1 })
        assert.deepStrictEqual((yield* Fiber.join(waiting)).documentKey, { _id: 1 })
      }))

    test("numbers are handed out as the handle asks for, to their types", (notes) =>
      Effect.gen(function*() {
        const database = yield* Database
        const { event } = yield* open(database.collection(namespace, { numbers: "exact" }))
        yield* notes.insertOne({ _id: 1, int: 2, double: new Double(2), long: Long.fromNumber(2) })
        yield* notes.updateOne({ _id: 1 }, { $set: { int: new Double(2) } })
        const [inserted, updated] = [yield* event, yield* event]
        assert.ok(inserted.operationType === "insert" && updated.operationType === "update")
        assert.deepStrictEqual(inserted.fullDocument, {
          _id: new Int32(1),
          int: new Int32(2),
          double: new Double(2),
          long: Long.fromNumber(2)
        })
        assert.deepStrictEqual(updated.updateDescription.updatedFields, { int: new Double(2) })
      }))

    for (const [what, before, after, description] of descriptions) {
      test(`the description of an update of ${what} is as short as can be`, (notes) =>
        Effect.gen(function*() {
          const { event } = yield* open(notes)
          yield* notes.insertOne({ _id: 1, v: before })
          yield* notes.updateOne({ _id: 1 }, { $set: { v: after } })
          yield* event
          const told = yield* event
          assert.ok(told.operationType === "update")
          const nothing = { updatedFields: {}, removedFields: [], truncatedArrays: [] }
          assert.deepStrictEqual(told.updateDescription, { ...nothing, ...description })
        }))
    }

    test("a description of an update says how to make the document after it of the one before it", (notes) =>
      Effect.gen(function*() {
        const database = yield* Database
        const copies = database.collection({ database: "app", collection: "copies" }, { numbers: "exact" })
        const exact = database.collection(namespace, { numbers: "exact" })
        const { event } = yield* open(exact)
        let runs = 0
        const result = yield* Arbitrary.checkEffect(
          Arbitrary.all([arbitraryDocuments, arbitraryDocuments]),
          ([[before = {}], [after = {}]]) =>
            Effect.gen(function*() {
              const _id = runs++
              yield* notes.insertOne({ ...before, _id })
              yield* copies.insertOne({ ...before, _id })
              const removed = Object.keys(before).filter((name) => name !== "_id" && !Object.hasOwn(after, name))
              const { modifiedCount } = yield* notes.updateOne({ _id }, {
                $set: { ...after, _id },
                ...removed.length > 0 && { $unset: Object.fromEntries(removed.map((name) => [name, ""])) }
              })
              yield* event
              if (modifiedCount === 0) return true
              const told = yield* event
              assert.ok(told.operationType === "update")
              const { removedFields, truncatedArrays, updatedFields } = told.updateDescription
              for (const { field, newSize } of truncatedArrays) {
                yield* copies.updateOne({ _id }, { $push: { [field]: { $each: [], $slice: newSize } } })
              }
              yield* copies.updateOne({ _id }, {
                $unset: Object.fromEntries(removedFields.map((path) => [path, ""])),
                $set: { _id, ...updatedFields }
              })
              assertExactly(yield* copies.find({ _id }), yield* exact.find({ _id }))
              assertExactly([told.fullDocument], yield* exact.find({ _id }))
              return true
            }),
          { runs: 200 }
        )
        assert.isUndefined(Arbitrary.formatCheckFailure(result))
      }))

    test("a token of another collection, one that was made up, and what is none, are refused", (notes) =>
      Effect.gen(function*() {
        const database = yield* Database
        const { begin } = yield* open(database.collection({ database: "app", collection: "others" }))
        const { begin: own } = yield* open(notes)
        const madeUp = { _data: String(own["_data"]).replace(/.$/, (digit) => digit === "0" ? "1" : "0") }
        for (const resumeAfter of [begin, {}, { _data: 1 }, { _data: "x" }, madeUp]) {
          assert.strictEqual(yield* reasonOf(open(notes, { resumeAfter })), "InvalidResumeToken")
        }
      }))

    it.effect("what is told to a reader is the difference of what he sees", () =>
      Effect.gen(function*() {
        const database = yield* Database
        const notes = database.collection(namespace)
        const ann: DatabaseModule.Access<never> = {
          scope: { owner: "ann" },
          see: ({ secret: _, ...document }) =>
            Result.succeed(document["gone"] === true ? Option.none() : Option.some(document))
        }
        const { event } = yield* open(database.collection(namespace, { access: ann }))
        const seen = { _id: 1, owner: "ann", n: 1 }
        // not hers, then hers, then changed where she cannot see it
        yield* notes.insertOne({ _id: 1, owner: "bob", n: 1 })
        yield* notes.updateOne({ _id: 1 }, { $set: { owner: "ann", secret: [1] } })
        yield* notes.updateOne({ _id: 1 }, { $push: { secret: 2 } })
        yield* notes.replaceOne({ _id: 1 }, { owner: "ann", secret: 3, n: 1 })
        yield* notes.updateOne({ _id: 1 }, { $set: { n: 2, secret: 4 } })
        // out of her sight by a field, back again by a replacement, out by its owner, and deleted unseen
        yield* notes.updateOne({ _id: 1 }, { $set: { gone: true } })
        yield* notes.replaceOne({ _id: 1 }, { owner: "ann", secret: 5 })
        yield* notes.updateOne({ _id: 1 }, { $set: { owner: "bob" } })
        yield* notes.deleteOne({ _id: 1 })
        yield* notes.insertOne({ _id: 2, owner: "ann", gone: true })
        yield* notes.insertOne({ _id: 3, owner: "ann", secret: 6 })
        yield* notes.deleteOne({ _id: 3 })
        const events = yield* Effect.replicateEffect(event, 6)
        const updated = { ...seen, n: 2 }
        assert.deepStrictEqual(events.map(plain), [
          { operationType: "insert", documentKey: { _id: 1 }, fullDocument: seen },
          {
            operationType: "update",
            documentKey: { _id: 1 },
            fullDocument: updated,
            fullDocumentBeforeChange: seen,
            updateDescription: { updatedFields: { n: 2 }, removedFields: [], truncatedArrays: [] }
          },
          { operationType: "delete", documentKey: { _id: 1 }, fullDocumentBeforeChange: updated },
          { operationType: "insert", documentKey: { _id: 1 }, fullDocument: { _id: 1, owner: "ann" } },
          {
            operationType: "delete",
            documentKey: { _id: 1 },
            fullDocumentBeforeChange: { _id: 1, owner: "ann" }
          },
          { operationType: "insert", documentKey: { _id: 3 }, fullDocument: { _id: 3, owner: "ann" } }
        ])
      }).pipe(Effect.provide(layer)))

    it.effect("a position comes with every beat, another one each time, whatever goes on and whoever sees it", () =>
      Effect.gen(function*() {
        const database = yield* Database
        const notes = database.collection(namespace)
        const blind = database.collection(namespace, { access: { see: () => Result.succeed(Option.none()) } })
        const watches = [yield* open(notes), yield* open(blind)] as const
        const tokens = new Set(watches.map(({ begin }) => begin["_data"]))
        for (const [index, ids] of [[], [1, 2], [], [3]].entries()) {
          for (const _id of ids) yield* notes.insertOne({ _id })
          for (const _id of ids) assert.deepStrictEqual((yield* watches[0].event).documentKey, { _id })
          const waiting = yield* Effect.forEach(
            watches,
            ({ next }) => Effect.forkChild(next, { startImmediately: true })
          )
          yield* TestClock.adjust("14 seconds")
          for (const fiber of waiting) assert.isUndefined(fiber.pollUnsafe())
          yield* TestClock.adjust("1 second")
          const positions = yield* Fiber.joinAll(waiting)
          const _id = `after beat ${index}`
          yield* notes.insertOne({ _id })
          assert.deepStrictEqual((yield* watches[0].event).documentKey, { _id })
          for (const position of positions) {
            assert.ok(position._tag === "Position")
            tokens.add(position.resumeToken["_data"])
            const { event } = yield* open(notes, { resumeAfter: position.resumeToken })
            assert.deepStrictEqual((yield* event).documentKey, { _id })
          }
        }
        assert.strictEqual(tokens.size, 10)
      }).pipe(Effect.provide(layer)))

    it.effect("a refusal to look comes after what was seen before it, and the token before it resumes at it", () =>
      Effect.gen(function*() {
        const database = yield* Database
        const notes = database.collection(namespace)
        let isKnown = false
        const access: DatabaseModule.Access<string> = {
          see: (document) =>
            document["_id"] === 2 && !isKnown ? Result.fail("ask again") : Result.succeed(Option.some(document))
        }
        const asking = database.collection(namespace, { access })
        const { event } = yield* open(asking)
        yield* notes.insertMany([{ _id: 1 }, { _id: 2 }, { _id: 3 }])
        const first = yield* event
        assert.deepStrictEqual(first.documentKey, { _id: 1 })
        assert.strictEqual(yield* Effect.flip(event), "ask again")
        isKnown = true
        const resumed = yield* open(asking, { resumeAfter: first.resumeToken })
        assert.deepStrictEqual((yield* resumed.event).documentKey, { _id: 2 })
      }).pipe(Effect.provide(layer)))

    it.effect("one who becomes another is told by what he is then, all that happened since he was asked who he is", () =>
      Effect.gen(function*() {
        const notes = (yield* Database).collection(namespace)
        const sees = (owner: string): DatabaseModule.Access<string> => ({
          isSteady: true,
          see: (document) => Result.succeed(document["owner"] === owner ? Option.some(document) : Option.none())
        })
        const ann = sees("ann")
        const bob = sees("bob")
        let now = ann
        let asked = 0
        const reader = () =>
          Effect.sync(() => {
            asked++
            return now
          })
        const { event, next } = yield* follow(notes.watchAs(reader))
        yield* notes.insertMany([{ _id: 1, owner: "ann" }, { _id: 2, owner: "bob" }])
        assert.deepStrictEqual((yield* event).documentKey, { _id: 1 })
        yield* notes.insertOne({ _id: 3, owner: "bob" })
        now = bob
        yield* notes.insertOne({ _id: 4, owner: "ann" })
        for (const _id of [3]) assert.deepStrictEqual((yield* event).documentKey, { _id })
        now = ann
        const waiting = yield* Effect.forkChild(next, { startImmediately: true })
        yield* notes.insertMany(Array.from({ length: 300 }, (_, index) => ({ _id: 100 + index, owner: "eve" })))
        const before = asked
        yield* TestClock.adjust("15 seconds")
        assert.strictEqual((yield* Fiber.join(waiting))._tag, "Position")
        assert.strictEqual(asked, before + 1)
      }).pipe(Effect.provide(layer)))

    it.effect("one who becomes another all the time is told all the same", () =>
      Effect.gen(function*() {
        const notes = (yield* Database).collection(namespace)
        const reader = () => Effect.sync((): DatabaseModule.Access<string> => ({ scope: { n: 1 } }))
        const { event } = yield* follow(notes.watchAs(reader))
        yield* notes.insertMany([{ _id: 1, n: 1 }, { _id: 2, n: 2 }, { _id: 3, n: 1 }])
        for (const _id of [1, 3]) assert.deepStrictEqual((yield* event).documentKey, { _id })
      }).pipe(Effect.provide(layer)))

    it.effect("what a reader is refused he mends, or his watch fails with what he says", () =>
      Effect.gen(function*() {
        const notes = (yield* Database).collection(namespace)
        const known = new Set<unknown>()
        const access: DatabaseModule.Access<number> = {
          see: (document) => {
            const id = Number(document["_id"])
            return known.has(id)
              ? Result.succeed(id % 2 === 0 ? Option.none() : Option.some(document))
              : Result.fail(id)
          }
        }
        const reader: DatabaseModule.Reader<number, string> = (refused) =>
          Option.isSome(refused) && refused.value > 4
            ? Effect.fail(`nobody knows of ${refused.value}`)
            : Effect.sync(() => {
              if (Option.isSome(refused)) known.add(refused.value)
              return access
            })
        const { event } = yield* follow(notes.watchAs(reader))
        yield* notes.insertMany([{ _id: 1 }, { _id: 2 }, { _id: 3 }, { _id: 4 }, { _id: 5 }])
        for (const _id of [1, 3]) assert.deepStrictEqual((yield* event).documentKey, { _id })
        assert.strictEqual(yield* Effect.flip(event), "nobody knows of 5")
      }).pipe(Effect.provide(layer)))

    it.effect("what is not wanted is passed over, and asks nobody who reads", () =>
      Effect.gen(function*() {
        const notes = (yield* Database).collection(namespace)
        let asked = 0
        const reader = () => Effect.sync((): DatabaseModule.Access<never> => (asked++, {}))
        const { event } = yield* follow(notes.watchAs(reader, { only: ({ documentKey }) => documentKey._id === 3 }))
        yield* notes.insertMany([{ _id: 1 }, { _id: 2 }])
        yield* notes.insertOne({ _id: 3 })
        assert.deepStrictEqual((yield* event).documentKey, { _id: 3 })
        assert.isAtMost(asked, 2)
      }).pipe(Effect.provide(layer)))

    it.effect("who follows while it is written is told everything once, whether he waits or is slower", () =>
      Effect.gen(function*() {
        let runs = 0
        const result = yield* Arbitrary.checkEffect(
          arbitraryHistory,
          (history) => replayLive(history, { database: "app", collection: `history ${runs++}` }),
          { runs: 40 }
        )
        assert.isUndefined(Arbitrary.formatCheckFailure(result))
      }).pipe(Effect.provide(layer)))

    for (const [who, access] of [["whoever sees everything", {}], ["whoever sees a part", halfSighted]] as const) {
      it.effect(`what is told makes of a copy what ${who} finds, from wherever it is resumed`, () =>
        Effect.gen(function*() {
          const database = yield* Database
          let runs = 0
          const result = yield* Arbitrary.checkEffect(
            arbitraryHistory,
            (history) =>
              replay(
                history,
                { database: "app", collection: `history ${runs++}` },
                access,
                (part) => Effect.provideService(part, Database, database)
              ),
            { runs: 60 }
          )
          assert.isUndefined(Arbitrary.formatCheckFailure(result))
        }).pipe(Effect.provide(layer)))
    }
  })
}
