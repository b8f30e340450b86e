/**
 * What every engine of `Database` tells of a watched collection.
 */
import { Database, type DatabaseError } from "@effect-realm/server/Database"
import type * as DatabaseModule from "@effect-realm/server/Database"
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Layer, Pull, type Scope, Stream } from "effect"

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

/** Begins to watch: later changes are told. */
const open = <Refusal>(
  collection: Collection<Refusal>,
  options?: DatabaseModule.WatchOptions
): Effect.Effect<Watch<DatabaseError | Refusal>, DatabaseError | Refusal, Scope.Scope> =>
  Effect.gen(function*() {
    const pull = yield* Stream.toPull(collection.watch(options))
    const told: Array<Watched> = []
    const next = Effect.gen(function*() {
      while (told.length === 0) told.push(...yield* Pull.catchDone(pull, () => Effect.die("it ended")))
      return told.shift() ?? assert.fail("nothing")
    })
    const first = yield* next
    assert.ok(first._tag === "Position")
    const event = Effect.map(next, (watched) =>
      watched._tag === "Changed" ? watched.event : assert.fail("a position where a change was expected"))
    return { begin: first.resumeToken, next, event }
  })

const reasonOf = <A, R>(effect: Effect.Effect<A, DatabaseError, R>) =>
  Effect.match(effect, { onFailure: ({ reason }) => reason._tag, onSuccess: () => "None" as const })

/** Without what differs from run to run. */
const plain = ({ clusterTime: _, namespace: __, resumeToken: ___, ...event }: DatabaseModule.ChangeEvent) => event

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
        assert.deepStrictEqual(resumed.begin, first.resumeToken)
        assert.deepStrictEqual((yield* resumed.event).documentKey, { _id: 2 })
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
        yield* notes.insertOne({ _id: 1, n: "x" })
        assert.strictEqual(yield* reasonOf(notes.insertOne({ _id: 1 })), "DuplicateKey")
        const bulk = [2, 1, 3].map((_id) => ({ insertOne: { document: { _id } } }))
        assert.strictEqual(yield* reasonOf(notes.bulkWrite(bulk, { ordered: false })), "DuplicateKey")
        assert.strictEqual(yield* reasonOf(notes.updateMany({ _id: { $lte: 3 } }, { $inc: { n: 1 } })), "BadUpdate")
        yield* notes.updateOne({ _id: 1 }, { $set: { n: "x" } })
        yield* notes.deleteOne({ _id: 9 })
        yield* notes.insertOne({ _id: 4 })
        const ids = yield* Effect.replicateEffect(Effect.map(event, ({ documentKey }) => documentKey._id), 4)
        assert.deepStrictEqual(ids, [1, 2, 3, 4])
      }))

    test("a token of another collection, and what is none, are refused", (notes) =>
      Effect.gen(function*() {
        const database = yield* Database
        const { begin } = yield* open(database.collection({ database: "app", collection: "others" }))
        for (const resumeAfter of [begin, {}, { _data: 1 }, { _data: "x" }]) {
          assert.strictEqual(yield* reasonOf(open(notes, { resumeAfter })), "InvalidResumeToken")
        }
      }))
  })
}
