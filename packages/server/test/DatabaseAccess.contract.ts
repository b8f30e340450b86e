/**
 * What every engine of `Database` does for a caller whose access is limited.
 */
import { Database, type DatabaseError } from "@effect-realm/server/Database"
import type * as DatabaseModule from "@effect-realm/server/Database"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, type Layer, Option, Result, Stream } from "effect"
import * as TestClock from "effect/testing/TestClock"
import { arbitraryDocuments, arbitraryFilter } from "./support/documents.ts"

type Access = DatabaseModule.Access<string>
type Collection = DatabaseModule.Collection<string>
type Document = DatabaseModule.Document

const namespace = { database: "app", collection: "notes" }

/** Without the fields named `hidden`, however deep. */
const withoutHidden = (value: unknown): unknown =>
  Array.isArray(value)
    ? value.map(withoutHidden)
    : typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype
    ? Object.fromEntries(
      Object.entries(value).flatMap(([name, field]) => name === "hidden" ? [] : [[name, withoutHidden(field)]])
    )
    : value

const visible = (document: Document): Document =>
  Object.fromEntries(Object.entries(withoutHidden(document) as Document))

/** Ann sees what is hers or shared, never a field `hidden`, and may write what is and stays hers. */
const ann: Access = {
  scope: { $or: [{ owner: "ann" }, { shared: true }] },
  see: (document) => Result.succeed(document["gone"] === true ? Option.none() : Option.some(visible(document))),
  judge: ({ after, before }) =>
    [before, after].every((image) => Option.isNone(image) || image.value["owner"] === "ann")
      ? Result.void
      : Result.fail("not hers")
}

const notes: ReadonlyArray<Document> = [
  { _id: 1, owner: "ann", n: 3, hidden: 1, list: [{ x: 1, hidden: 9 }, { x: 2, hidden: 8 }] },
  { _id: 2, owner: "bob", n: 2, hidden: 2, shared: true },
  { _id: 3, owner: "bob", n: 1, hidden: 3 },
  { _id: 4, owner: "ann", n: 4, hidden: 0 },
  { _id: 5, owner: "ann", n: 5, gone: true }
]

const ids = (documents: ReadonlyArray<Document>): ReadonlyArray<unknown> => documents.map((document) => document["_id"])

const refusalOf = <A>(effect: Effect.Effect<A, DatabaseError | string>): Effect.Effect<DatabaseError | string> =>
  Effect.match(effect, { onFailure: (error) => error, onSuccess: () => "done" })

export const accessContract = (name: string, layer: Layer.Layer<Database, DatabaseError>): void => {
  const test = (
    title: string,
    run: (mine: Collection, all: DatabaseModule.Collection) => Effect.Effect<unknown, DatabaseError | string, Database>
  ): void => {
    it.effect(title, () =>
      Effect.gen(function*() {
        const database = yield* Database
        const all = database.collection(namespace)
        yield* all.createIndex({ hidden: 1 })
        yield* all.createIndex({ owner: 1 })
        yield* all.insertMany(notes)
        yield* run(database.collection(namespace, { access: ann }), all)
      }).pipe(Effect.provide(layer)))
  }

  describe(`${name}: access`, { timeout: 60_000 }, () => {
    test("a document out of scope, or not seen, is not there", (mine) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(ids(yield* mine.find({}, { sort: { _id: 1 } })), [1, 2, 4])
        assert.strictEqual(yield* mine.count({}), 3)
        assert.ok(Option.isNone(yield* mine.findOne({ _id: 3 })))
        assert.ok(Option.isNone(yield* mine.findOne({ _id: 5 })))
        assert.deepStrictEqual(yield* mine.distinct("owner"), ["ann", "bob"])
        assert.deepStrictEqual(yield* mine.deleteMany({ _id: { $in: [3, 5] } }), { deletedCount: 0 })
        assert.strictEqual((yield* mine.updateMany({ _id: 3 }, { $set: { n: 0 } })).matchedCount, 0)
        assert.ok(Option.isNone(yield* mine.findOneAndDelete({ _id: 3 })))
      }))

    test("nothing is learnt of a field that is not seen", (mine) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* mine.find({ _id: 2 }), [{ _id: 2, owner: "bob", n: 2, shared: true }])
        assert.strictEqual(yield* mine.count({ hidden: 1 }), 0)
        assert.strictEqual(yield* mine.count({ hidden: { $exists: true } }), 0)
        assert.strictEqual(yield* mine.count({ hidden: null }), 3)
        assert.strictEqual(yield* mine.count({ list: { $elemMatch: { hidden: 9 } } }), 0)
        assert.strictEqual(yield* mine.count({ list: [{ x: 1 }, { x: 2 }] }), 1)
        assert.strictEqual(yield* mine.count({ $expr: { $eq: ["$hidden", 1] } }), 0)
        assert.deepStrictEqual(yield* mine.distinct("hidden"), [])
        // all are equal for the caller, so that they stay as they are stored
        assert.deepStrictEqual(ids(yield* mine.find({}, { sort: { hidden: 1 } })), [1, 2, 4])
        assert.deepStrictEqual(ids(yield* mine.find({}, { sort: { hidden: -1 }, limit: 1 })), [1])
        assert.strictEqual((yield* mine.updateMany({ hidden: 1 }, { $set: { n: 9 } })).matchedCount, 0)
      }))

    it.effect("what goes on after a refusal asks about what follows, hands out nothing, changes nothing, and fails with it", () =>
      Effect.gen(function*() {
        const database = yield* Database
        const all = database.collection(namespace)
        const documents = Array.from({ length: 6 }, (_, _id) => ({ _id, n: 0 }))
        yield* all.insertMany(documents)
        let asked: Array<unknown> = []
        const unknown = ({ _id }: Document): Result.Result<void, string> => {
          asked.push(_id)
          return Number(_id) >= 2 ? Result.fail(`what of ${String(_id)}?`) : Result.void
        }
        const goesOn = (most: number) => {
          const refused = new Set<string>()
          return (refusal: string) => refused.add(refusal).size < most
        }
        const seeing = (most: number): Access => ({
          see: (document) => Result.map(unknown(document), () => Option.some(document)),
          goesOn: goesOn(most)
        })
        const judging = (most: number): Access => ({
          judge: ({ after, before }) => unknown(Option.getOrThrow(Option.orElse(before, () => after))),
          goesOn: goesOn(most)
        })
        const inserted = { insertOne: { document: { _id: 7, n: 0 } } }
        const operations: ReadonlyArray<
          readonly [
            (most: number) => Access,
            (collection: Collection) => Effect.Effect<unknown, DatabaseError | string>,
            asks: ReadonlyArray<unknown>
          ]
        > = [
          [seeing, (collection) => collection.find({}), [0, 1, 2, 3, 4, 5]],
          [seeing, (collection) => collection.find({}, { sort: { _id: -1 } }), [5, 4, 3, 2, 1, 0]],
          [seeing, (collection) => collection.find({}, { limit: 3 }), [0, 1, 2, 3, 4, 5]],
          [seeing, (collection) => collection.count({ n: 0 }), [0, 1, 2, 3, 4, 5]],
          [seeing, (collection) => collection.distinct("n"), [0, 1, 2, 3, 4, 5]],
          [seeing, (collection) => collection.aggregate([{ $limit: 3 }]), [0, 1, 2, 3, 4, 5]],
          [seeing, (collection) => collection.updateMany({}, { $set: { n: 1 } }), [0, 1, 2, 3, 4, 5]],
          [judging, (collection) => collection.updateMany({}, { $set: { n: 1 } }), [0, 1, 2, 3, 4, 5]],
          [judging, (collection) => collection.deleteMany({}), [0, 1, 2, 3, 4, 5]],
          [
            judging,
            (collection) =>
              collection.bulkWrite([
                { updateMany: { filter: { _id: { $in: [1, 3, 4] } }, update: { $set: { n: 1 } } } },
                inserted,
                { deleteOne: { filter: { _id: 0 } } }
              ]),
            [1, 3, 4, 7, 0]
          ],
          [judging, (collection) => collection.insertMany([{ _id: 8 }, { _id: 9 }]), [8, 9]]
        ]
        for (const [access, run, asks] of operations) {
          for (const most of [1, 3, 10]) {
            asked = []
            const refused = yield* Effect.flip(run(database.collection(namespace, { access: access(most) })))
            const lacking = asks.filter((id) => Number(id) >= 2)
            assert.strictEqual(refused, `what of ${String(lacking[0])}?`)
            const last = lacking[most - 1]
            assert.deepStrictEqual(asked, last === undefined ? asks : asks.slice(0, asks.indexOf(last) + 1))
            assert.deepStrictEqual(yield* all.find({}), documents)
          }
        }
        // one that has what it wants before it is refused anything is not refused
        const few = database.collection(namespace, { access: seeing(3) })
        assert.deepStrictEqual(ids(yield* few.find({}, { limit: 2 })), [0, 1])
      }).pipe(Effect.provide(layer)))

    it.effect("what is seen may depend on the time: of an operation its beginning, of a watch when a change was made", () =>
      Effect.gen(function*() {
        const database = yield* Database
        const all = database.collection(namespace)
        const until = (see: Access["see"]): Access => ({ scope: { $expr: { $gt: ["$until", "$$NOW"] } }, see })
        const early = database.collection(namespace, {
          access: until((document, now) => Result.succeed(now < 2000 ? Option.some(document) : Option.none()))
        })
        const pull = yield* Stream.toPull(early.watch())
        yield* pull
        yield* all.insertMany([{ _id: 1, until: new Date(1500) }, { _id: 2, until: new Date(3000) }])
        const found: Array<ReadonlyArray<unknown>> = []
        for (const now of [1000, 1600, 2500]) {
          yield* TestClock.setTime(now)
          found.push(ids(yield* early.find({})))
          yield* all.updateMany({}, { $set: { now } })
        }
        assert.deepStrictEqual(found, [[1, 2], [2], []])
        const told: Array<unknown> = []
        while (told.length < 5) {
          for (const one of yield* pull) if (one._tag === "Changed") told.push(one.event.documentKey["_id"])
        }
        assert.deepStrictEqual(told, [1, 2, 1, 2, 2])
      }).pipe(Effect.scoped, Effect.provide(layer)))

    test("an index answers what is seen, and never what is not", (mine) =>
      Effect.gen(function*() {
        const explained = (filter: DatabaseModule.Filter, options?: DatabaseModule.FindOptions) =>
          Effect.map(mine.explain(filter, options), ({ documentsExamined, index }) => [
            Option.getOrUndefined(index),
            documentsExamined
          ])
        assert.deepStrictEqual(yield* explained({ _id: 1 }), ["_id_", 1])
        assert.deepStrictEqual(yield* explained({ owner: "ann" }), ["owner_1", 3])
        assert.deepStrictEqual(yield* explained({ hidden: null }), [undefined, 5])
        assert.deepStrictEqual(yield* explained({}, { sort: { hidden: 1 } }), [undefined, 5])
        assert.deepStrictEqual(yield* explained({}, { sort: { _id: -1 }, limit: 1 }), ["_id_", 2])
      }))

    test(
      "an index answers a sort by what is always shown, and a filter for what is missing there",
      (_, all) =>
        Effect.gen(function*() {
          const { collection } = yield* Database
          const mine = collection(namespace, { access: { ...ann, shows: (path) => path === "owner" || path === "n" } })
          yield* all.createIndex({ n: 1 })
          const explained = (filter: DatabaseModule.Filter, options?: DatabaseModule.FindOptions) =>
            Effect.map(mine.explain(filter, options), ({ documentsExamined, index }) => [
              Option.getOrUndefined(index),
              documentsExamined
            ])
          assert.deepStrictEqual(ids(yield* mine.find({}, { sort: { n: 1 }, limit: 1 })), [2])
          assert.deepStrictEqual(yield* explained({}, { sort: { n: 1 }, limit: 1 }), ["n_1", 2])
          assert.deepStrictEqual(yield* explained({ owner: null }), ["owner_1", 0])
          assert.deepStrictEqual(yield* explained({}, { sort: { hidden: 1 } }), [undefined, 5])
        })
    )

    test("a change is judged by both images, and a refused one changes nothing", (mine, all) =>
      Effect.gen(function*() {
        const before = yield* all.find({})
        const refused: ReadonlyArray<Effect.Effect<unknown, DatabaseError | string>> = [
          mine.insertOne({ _id: 9, owner: "bob" }),
          mine.insertMany([{ _id: 8, owner: "ann" }, { _id: 9, owner: "bob" }]),
          mine.insertMany([{ _id: 8, owner: "ann" }, { _id: 9, owner: "bob" }], { ordered: false }),
          mine.updateMany({}, { $inc: { n: 1 } }),
          mine.updateOne({ _id: 1 }, { $set: { owner: "bob" } }),
          mine.updateOne({ _id: 2 }, { $set: { shared: true } }),
          mine.updateOne({ _id: 9 }, { $set: { n: 1 } }, { upsert: true }),
          mine.replaceOne({ _id: 2 }, { owner: "ann" }),
          mine.deleteOne({ _id: 2 }),
          mine.deleteMany({}),
          mine.findOneAndUpdate({ _id: 2 }, { $set: { owner: "ann" } }),
          mine.findOneAndReplace({ _id: 1 }, { owner: "bob" }),
          mine.findOneAndDelete({ _id: 2 }),
          mine.bulkWrite([{ insertOne: { document: { _id: 8, owner: "ann" } } }, { deleteOne: { filter: { _id: 2 } } }])
        ]
        for (const effect of refused) {
          assert.strictEqual(yield* refusalOf(effect), "not hers")
          assert.deepStrictEqual(yield* all.find({}), before)
        }
      }))

    test(
      "what is written keeps the fields that are not seen, and is handed out without them",
      (mine, all) =>
        Effect.gen(function*() {
          yield* mine.updateOne({ _id: 1, "list.x": 2 }, { $inc: { n: 1 }, $set: { "list.$.y": 1 } })
          assert.deepStrictEqual(yield* all.find({ _id: 1 }), [
            { _id: 1, owner: "ann", n: 4, hidden: 1, list: [{ x: 1, hidden: 9 }, { x: 2, hidden: 8, y: 1 }] }
          ])
          assert.deepStrictEqual(
            yield* mine.findOneAndUpdate({ _id: 4 }, { $set: { hidden: 7 } }, { returnDocument: "after" }),
            Option.some({ _id: 4, owner: "ann", n: 4 })
          )
          assert.deepStrictEqual(
            yield* mine.findOneAndDelete({ _id: 4 }, { projection: { hidden: 1, n: 1 } }),
            Option.some({ _id: 4, n: 4 })
          )
        })
    )

    test("the place of a found element is that of what is seen", (mine, all) =>
      Effect.gen(function*() {
        // by what is stored the first element would be another one
        yield* mine.updateOne({ _id: 1, list: { $elemMatch: { hidden: { $ne: 9 } } } }, { $set: { "list.$.y": 1 } })
        assert.deepStrictEqual(yield* all.find({ _id: 1 }, { projection: { list: 1, _id: 0 } }), [
          { list: [{ x: 1, hidden: 9, y: 1 }, { x: 2, hidden: 8 }] }
        ])
      }))

    it.effect("a refusal to look fails the operation, and a write is not made", () =>
      Effect.gen(function*() {
        const database = yield* Database
        const all = database.collection(namespace)
        yield* all.insertMany(notes)
        const blind = database.collection(namespace, { access: { see: () => Result.fail("ask again") } })
        assert.strictEqual(yield* Effect.flip(blind.find({})), "ask again")
        assert.strictEqual(yield* Effect.flip(blind.findOne({ _id: 1 })), "ask again")
        assert.strictEqual(yield* Effect.flip(blind.deleteMany({})), "ask again")
        assert.strictEqual(
          yield* Effect.flip(
            blind.findOneAndUpdate({ _id: 9 }, { $set: { n: 1 } }, { upsert: true, returnDocument: "after" })
          ),
          "ask again"
        )
        assert.deepStrictEqual(ids(yield* all.find({})), ids(notes))
      }).pipe(Effect.provide(layer)))

    it.effect("what is found through a view is what would be found among the documents seen", () =>
      Effect.gen(function*() {
        const database = yield* Database
        let runs = 0
        const result = yield* Arbitrary.checkEffect(
          Arbitrary.all([arbitraryDocuments, arbitraryFilter, arbitraryFilter]),
          ([documents, filter, scope]) =>
            Effect.gen(function*() {
              const stored = { database: "app", collection: `stored ${runs}` }
              const seen = database.collection({ database: "app", collection: `seen ${runs++}` })
              const all = database.collection(stored)
              const view = (document: Document): Document => {
                const strip = (value: unknown): unknown =>
                  Array.isArray(value)
                    ? value.map(strip)
                    : typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype
                    ? Object.fromEntries(
                      Object.entries(value).flatMap(([name, field]) => name === "y" ? [] : [[name, strip(field)]])
                    )
                    : value
                return document["b"] === 1
                  ? { _id: document["_id"] }
                  : Object.fromEntries(Object.entries(document).map(([name, value]) => [name, strip(value)]))
              }
              yield* all.createIndex({ a: 1 })
              yield* all.createIndex({ b: 1 }, { sparse: true })
              yield* all.createIndex({ "a.x": 1, "a.y": 1 })
              yield* all.createIndex({ "b.y": 1 }, { partial: { "b.y": { $exists: true } } })
              for (const document of documents) yield* Effect.ignore(all.insertOne(document))
              for (const document of yield* all.find(scope)) yield* seen.insertOne(view(document))
              const mine = database.collection(stored, {
                access: { scope, see: (document) => Result.succeed(Option.some(view(document))) }
              })
              yield* all.createIndex({ a: 1, _id: 1 })
              const withoutB = ({ b: _, ...seen }: Document) => seen
              const seenWithoutB = database.collection({ database: "app", collection: `without b ${runs}` })
              for (const document of yield* all.find(scope)) yield* seenWithoutB.insertOne(withoutB(document))
              const mineWithoutB = database.collection(stored, {
                access: {
                  scope,
                  see: (document) => Result.succeed(Option.some(withoutB(document))),
                  shows: (path) => path.split(".")[0] !== "b"
                }
              })
              for (const sort of [{ _id: 1 }, { a: 1, _id: 1 }, { a: -1, _id: -1 }, { b: 1, _id: 1 }] as const) {
                assert.deepStrictEqual(
                  yield* mineWithoutB.find(filter, { sort, limit: 2 }),
                  yield* seenWithoutB.find(filter, { sort, limit: 2 })
                )
              }
              for (const sort of [{ _id: 1 }, { a: 1, _id: 1 }, { "b.y": -1, _id: -1 }] as const) {
                assert.deepStrictEqual(yield* mine.find(filter, { sort }), yield* seen.find(filter, { sort }))
              }
              assert.strictEqual(yield* mine.count(filter), yield* seen.count(filter))
              assert.deepStrictEqual(
                (yield* mine.distinct("a", filter)).length,
                (yield* seen.distinct("a", filter)).length
              )
              return true
            }),
          { runs: 200 }
        )
        assert.isUndefined(Arbitrary.formatCheckFailure(result))
      }).pipe(Effect.provide(layer)))
  })
}
