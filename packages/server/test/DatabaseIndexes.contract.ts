/**
 * How every engine of `Database` keeps indexes: they answer what they can, find what a scan finds, and hold what is unique.
 */
import { Database, type DatabaseError } from "@effect-realm/server/Database"
import type * as DatabaseModule from "@effect-realm/server/Database"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, type Layer, Option } from "effect"
import { type Collection, type Filter, ids, reasonOf, sortedIds, testOn } from "./support/databases.ts"
import { arbitraryDocuments, arbitraryFilter } from "./support/documents.ts"

/** `layer` is a database with nothing in it. */
export const indexesContract = (name: string, layer: Layer.Layer<Database, DatabaseError>): void => {
  const test = testOn(layer)

  // no law is about time: the machine may be busy
  describe(`${name}: indexes`, { timeout: 60_000 }, () => {
    const planned = (things: Collection, filter: Filter, options?: DatabaseModule.FindOptions) =>
      Effect.map(things.explain(filter, options), ({ documentsExamined, index }) => [
        Option.getOrUndefined(index),
        documentsExamined
      ])

    test("look-ups examine the documents they find and no other", (things) =>
      Effect.gen(function*() {
        yield* things.insertMany(
          Array.from({ length: 500 }, (_, _id) => ({ _id, a: _id % 100, b: _id, tags: [_id, -_id] }))
        )
        yield* things.createIndex({ a: 1, b: 1 })
        yield* things.createIndex({ tags: 1 })
        assert.deepStrictEqual(yield* planned(things, { _id: 7 }), ["_id_", 1])
        assert.deepStrictEqual(yield* planned(things, { _id: { $in: [7, 8, 8, 999] } }), ["_id_", 2])
        assert.deepStrictEqual(yield* planned(things, { _id: { $gte: 10, $lt: 12 } }), ["_id_", 3])
        assert.deepStrictEqual(yield* planned(things, { a: 7 }), ["a_1_b_1", 5])
        assert.deepStrictEqual(yield* planned(things, { b: 107, a: 7 }), ["a_1_b_1", 1])
        assert.deepStrictEqual(yield* planned(things, { $and: [{ a: 7 }, { b: { $gt: 107 } }] }), ["a_1_b_1", 4])
        assert.deepStrictEqual(yield* planned(things, { tags: -7 }), ["tags_1", 1])
        assert.deepStrictEqual(yield* planned(things, { a: 7 }, { sort: { b: -1 }, limit: 2 }), ["a_1_b_1", 2])
        assert.deepStrictEqual(yield* planned(things, {}, { sort: { _id: -1 }, limit: 3 }), ["_id_", 3])
        assert.deepStrictEqual(yield* planned(things, { b: 7 }), [undefined, 500])
        assert.deepStrictEqual(ids(yield* things.find({ a: 7 }, { sort: { b: -1 }, limit: 2 })), [407, 307])
        assert.deepStrictEqual(ids(yield* things.find({}, { sort: { _id: -1 }, limit: 3 })), [499, 498, 497])
      }))

    test("an index follows every write", (things) =>
      Effect.gen(function*() {
        yield* things.createIndex({ a: 1 })
        yield* things.insertMany([{ _id: 1, a: 1 }, { _id: 2, a: [1, 2] }])
        assert.deepStrictEqual(sortedIds(yield* things.find({ a: 1 })), ["1", "2"])
        yield* things.updateOne({ _id: 2 }, { $pull: { a: 1 } })
        assert.deepStrictEqual(sortedIds(yield* things.find({ a: 1 })), ["1"])
        yield* things.replaceOne({ _id: 1 }, { a: 2 })
        assert.deepStrictEqual(sortedIds(yield* things.find({ a: 2 })), ["1", "2"])
        yield* things.deleteOne({ _id: 2 })
        assert.deepStrictEqual(sortedIds(yield* things.find({ a: 2 })), ["1"])
        assert.deepStrictEqual(yield* planned(things, { a: 2 }), ["a_1", 1])
      }))

    test("a unique index refuses a second key and leaves nothing of the write behind", (things) =>
      Effect.gen(function*() {
        yield* things.createIndex({ email: 1 }, { unique: true })
        yield* things.createIndex({ other: 1 }, { unique: true, sparse: true })
        yield* things.insertMany([{ _id: 1, email: "a", other: 1 }, { _id: 2, email: "b" }])
        const duplicate = { _tag: "DuplicateKey", index: "email_1", namespace: "app.things" }
        assert.deepStrictEqual<unknown>(
          yield* reasonOf(things.insertOne({ _id: 3, email: "a", other: 3 })),
          duplicate
        )
        assert.deepStrictEqual<unknown>(
          yield* reasonOf(things.updateOne({ _id: 2 }, { $set: { email: "a" } })),
          duplicate
        )
        assert.deepStrictEqual<unknown>(
          yield* reasonOf(things.updateOne({ email: "a", x: 1 }, { $set: { y: 1 } }, { upsert: true })),
          duplicate
        )
        assert.strictEqual(yield* things.count({}), 2)
        yield* things.insertOne({ _id: 3, email: "c", other: 3 })
        assert.strictEqual((yield* things.updateOne({ _id: 1 }, { $set: { email: "a", x: 1 } })).modifiedCount, 1)
        yield* things.deleteOne({ _id: 1 })
        yield* things.insertOne({ _id: 4, email: "a", other: 1 })
      }))

    test("a missing field is null in a unique index, unless it is sparse", (things) =>
      Effect.gen(function*() {
        yield* things.createIndex({ a: 1 }, { unique: true })
        yield* things.createIndex({ b: 1 }, { unique: true, sparse: true })
        yield* things.insertOne({ _id: 1 })
        assert.strictEqual((yield* reasonOf(things.insertOne({ _id: 2, a: null })))._tag, "DuplicateKey")
        yield* things.insertOne({ _id: 3, a: 3, b: null })
        assert.strictEqual((yield* reasonOf(things.insertOne({ _id: 4, a: 4, b: null })))._tag, "DuplicateKey")
        yield* things.insertOne({ _id: 5, a: 5 })
        assert.deepStrictEqual(ids(yield* things.find({ b: null }, { sort: { _id: 1 } })), [1, 3, 5])
      }))

    test("a unique multikey index holds across documents, not within one", (things) =>
      Effect.gen(function*() {
        yield* things.createIndex({ "identities.type": 1, "identities.id": 1 }, { unique: true })
        yield* things.insertOne({ _id: 1, identities: [{ type: "a", id: "1" }, { type: "b", id: "1" }] })
        const taken = { _id: 2, identities: [{ type: "b", id: "2" }, { type: "b", id: "1" }] }
        assert.strictEqual((yield* reasonOf(things.insertOne(taken)))._tag, "DuplicateKey")
        yield* things.insertOne({ _id: 2, identities: [{ type: "b", id: "2" }] })
        yield* things.updateOne({ _id: 1 }, { $push: { identities: { type: "b", id: "1" } } })
        yield* things.updateOne({ _id: 1 }, { $push: { identities: { type: "c", id: "2" } } })
        assert.strictEqual(
          (yield* reasonOf(things.updateOne({ _id: 2 }, { $push: { identities: { type: "c", id: "2" } } })))._tag,
          "DuplicateKey"
        )
        const name = "identities.type_1_identities.id_1"
        const element = { identities: { $elemMatch: { type: "b", id: "2" } } }
        assert.deepStrictEqual(yield* planned(things, element), [name, 1])
        assert.deepStrictEqual(ids(yield* things.find(element)), [2])
        // the two conditions may hold for two elements, so that only the first narrows the search
        assert.deepStrictEqual(
          sortedIds(yield* things.find({ "identities.type": "b", "identities.id": "2" })),
          ["1", "2"]
        )
      }))

    test("$elemMatch binds together what lies in one element, not what lies in arrays below it", (things) =>
      Effect.gen(function*() {
        yield* things.createIndex({ "a.b.c": 1, "a.b.d": 1 })
        yield* things.insertOne({ _id: 1, a: [{ b: [{ c: 1 }, { d: 2 }] }] })
        const element = { a: { $elemMatch: { "b.c": 1, "b.d": 2 } } }
        assert.deepStrictEqual(ids(yield* things.find(element)), [1])
        assert.deepStrictEqual(yield* planned(things, element), ["a.b.c_1_a.b.d_1", 1])
      }))

    test("an array sorts by its least element, also one that the filter leaves out", (things) =>
      Effect.gen(function*() {
        yield* things.createIndex({ a: 1 })
        yield* things.insertMany([{ _id: 1, a: [1, 9] }, { _id: 2, a: 5 }])
        assert.deepStrictEqual(ids(yield* things.find({ a: { $gte: 4 } }, { sort: { a: 1 } })), [1, 2])
      }))

    test("an index depends on nothing but its documents, and takes no expressions", (things) =>
      Effect.gen(function*() {
        const reason = yield* reasonOf(things.createIndex({ at: 1 }, { partial: { $expr: { $lt: ["$at", "$$NOW"] } } }))
        assert.strictEqual(reason._tag, "BadFilter")
      }))

    test("a partial index holds for what it covers alone", (things) =>
      Effect.gen(function*() {
        yield* things.createIndex({ email: 1 }, { unique: true, partial: { email: { $exists: true } } })
        yield* things.insertMany([{ _id: 1, email: "a" }, { _id: 2 }, { _id: 3 }])
        assert.strictEqual((yield* reasonOf(things.insertOne({ _id: 4, email: "a" })))._tag, "DuplicateKey")
        assert.deepStrictEqual(yield* planned(things, { email: "a" }), ["email_1", 1])
        assert.deepStrictEqual(yield* planned(things, { email: null }), [undefined, 3])
      }))

    test("an index is made once, over what is there, and refuses duplicates and other options", (things) =>
      Effect.gen(function*() {
        yield* things.insertMany([{ _id: 1, a: 1 }, { _id: 2, a: 1 }])
        assert.strictEqual((yield* reasonOf(things.createIndex({ a: 1 }, { unique: true })))._tag, "DuplicateKey")
        assert.deepStrictEqual(yield* planned(things, { a: 1 }), [undefined, 2])
        yield* things.createIndex({ a: 1 })
        yield* things.createIndex({ a: 1 })
        assert.deepStrictEqual(yield* planned(things, { a: 1 }), ["a_1", 2])
        assert.strictEqual((yield* reasonOf(things.createIndex({ a: 1 }, { unique: true })))._tag, "BadIndex")
        assert.strictEqual((yield* reasonOf(things.createIndex({})))._tag, "BadIndex")
      }))

    test("two arrays side by side have no place in one index", (things) =>
      Effect.gen(function*() {
        yield* things.createIndex({ a: 1, b: 1 })
        assert.strictEqual((yield* reasonOf(things.insertOne({ a: [1], b: [1] })))._tag, "BadDocument")
        assert.strictEqual(yield* things.count({}), 0)
      }))

    it.effect("an index finds what a scan finds", () =>
      Effect.gen(function*() {
        const database = yield* Database
        let runs = 0
        const result = yield* Arbitrary.checkEffect(
          Arbitrary.all([arbitraryDocuments, arbitraryFilter, arbitraryFilter]),
          ([documents, first, second]) =>
            Effect.gen(function*() {
              const scanned = database.collection({ database: "app", collection: `scanned ${runs}` })
              const indexed = database.collection({ database: "app", collection: `indexed ${runs++}` })
              yield* indexed.createIndex({ a: 1, b: 1 })
              yield* indexed.createIndex({ b: 1 }, { sparse: true })
              yield* indexed.createIndex({ "a.x": 1, "a.y": -1 })
              for (const document of documents) {
                // arrays side by side are refused by one and not by the other
                const inserted = yield* Effect.option(indexed.insertOne(document))
                if (Option.isSome(inserted)) yield* scanned.insertOne(document)
              }
              for (const filter of [first, second, { $and: [first, second] }]) {
                assert.deepStrictEqual(sortedIds(yield* indexed.find(filter)), sortedIds(yield* scanned.find(filter)))
              }
              for (const sort of [{ a: 1, b: 1 }, { a: -1, b: 1, _id: 1 }] as const) {
                assert.deepStrictEqual(
                  ids(yield* indexed.find(first, { sort })),
                  ids(yield* scanned.find(first, { sort }))
                )
              }
              assert.deepStrictEqual(
                ids(yield* indexed.find({}, { sort: { a: -1 } })).map(String).toSorted(),
                sortedIds(yield* scanned.find({}))
              )
              return true
            }),
          { runs: 300 }
        )
        assert.isUndefined(Arbitrary.formatCheckFailure(result))
      }).pipe(Effect.provide(layer)))
  })
}
