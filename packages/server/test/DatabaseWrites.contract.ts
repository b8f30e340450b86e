/**
 * How every engine of `Database` changes documents: whole or not at all, and with which counts.
 */
import type { Database, DatabaseError } from "@effect-realm/server/Database"
import type * as DatabaseModule from "@effect-realm/server/Database"
import { assert, describe } from "@effect/vitest"
import { ObjectId, Timestamp } from "bson"
import { Effect, type Layer, Option } from "effect"
import * as TestClock from "effect/testing/TestClock"
import { errorOf, reasonOf, sortedIds, testOn } from "./support/databases.ts"
import { date, long } from "./support/mongodb/values.ts"

const refusedUpdates: ReadonlyArray<
  readonly [name: string, update: DatabaseModule.UpdateOperators, operator: string | undefined]
> = [
  ["an unknown operator", { $foo: { a: 1 } }, "$foo"],
  ["an operator without paths", { $set: 1 as unknown as { a: 1 } }, "$set"],
  ["a plain field", { a: { b: 1 } }, undefined],
  ["nothing at all", {}, undefined],
  ["two operators on one path", { $set: { a: 1 }, $inc: { a: 1 } }, undefined],
  ["a path and a part of it", { $set: { a: 1, "a.b": 1 } }, undefined],
  ["$inc by a text", { $inc: { n: "1" } }, "$inc"],
  ["$inc of a text", { $inc: { text: 1 } }, "$inc"],
  ["$inc beyond int64", { $inc: { big: 1 } }, "$inc"],
  ["$push to a text", { $push: { text: 1 } }, "$push"],
  ["a field of a text", { $set: { "text.a": 1 } }, "$set"],
  ["another _id", { $set: { _id: 2 } }, undefined],
  ["no _id", { $unset: { _id: "" } }, undefined],
  ["an empty part of a path", { $set: { "a..b": 1 } }, "$set"],
  ["a place far past the end", { $set: { "list.1000000": 1 } }, "$set"],
  ["an array filter that is not there", { $set: { "list.$[x]": 1 } }, undefined],
  ["undefined", { $set: { a: undefined } }, "$set"],
  ["a positional operator the filter gives no place", { $set: { "list.$": 1 } }, undefined]
]

/** `layer` is a database with nothing in it. */
export const writesContract = (name: string, layer: Layer.Layer<Database, DatabaseError>): void => {
  const test = testOn(layer)

  // no law is about time: the machine may be busy
  describe(`${name}: writes`, { timeout: 60_000 }, () => {
    for (const [name, update, operator] of refusedUpdates) {
      test(`refuses ${name} and changes nothing`, (things) =>
        Effect.gen(function*() {
          const document = { _id: 1, n: 1, text: "a", list: [1], big: long("9223372036854775807") }
          yield* things.insertMany([{ _id: 0, n: 1 }, document])
          const reason = yield* reasonOf(things.updateMany({ _id: 1 }, update))
          assert.strictEqual(reason._tag, "BadUpdate")
          assert.strictEqual(reason._tag === "BadUpdate" ? reason.operator : "", operator)
          assert.deepStrictEqual(yield* things.find({ _id: 1 }), [document])
        }))
    }

    test("$currentDate is the clock's time", (things) =>
      Effect.gen(function*() {
        yield* TestClock.setTime(5000)
        yield* things.insertOne({ _id: 1 })
        yield* things.updateOne({}, { $currentDate: { a: true, b: { $type: "timestamp" } } })
        assert.deepStrictEqual(yield* things.find({}), [{ _id: 1, a: date(5000), b: new Timestamp({ t: 5, i: 1 }) }])
      }))

    test("counts matched and modified apart", (things) =>
      Effect.gen(function*() {
        yield* things.insertMany([{ _id: 1, a: 1 }, { _id: 2, a: 2 }, { _id: 3, b: 1 }])
        const result = yield* things.updateMany({ a: { $exists: true } }, { $set: { a: 2 } })
        assert.deepStrictEqual(result, { matchedCount: 2, modifiedCount: 1, upsertedId: Option.none() })
        assert.strictEqual((yield* things.updateOne({ _id: 9 }, { $set: { a: 1 } })).matchedCount, 0)
      }))

    test("updateMany changes all or none", (things) =>
      Effect.gen(function*() {
        yield* things.insertMany([{ _id: 1, n: 1 }, { _id: 2, n: "text" }])
        assert.strictEqual((yield* reasonOf(things.updateMany({}, { $inc: { n: 1 } })))._tag, "BadUpdate")
        assert.deepStrictEqual(yield* things.find({}), [{ _id: 1, n: 1 }, { _id: 2, n: "text" }])
      }))

    test("an upsert inserts the equalities of its filter and the update", (things) =>
      Effect.gen(function*() {
        const result = yield* things.updateOne(
          { _id: 5, "a.b": 1, c: { $eq: 2 }, d: { $gt: 3 }, $and: [{ e: 4 }] },
          { $set: { f: 6 }, $setOnInsert: { g: 7 } },
          { upsert: true }
        )
        assert.deepStrictEqual(result, { matchedCount: 0, modifiedCount: 0, upsertedId: Option.some(5) })
        assert.deepStrictEqual(yield* things.find({}), [{ _id: 5, a: { b: 1 }, c: 2, e: 4, f: 6, g: 7 }])
        const made = yield* things.updateOne({ k: 1 }, { $inc: { n: 1 } }, { upsert: true })
        assert.ok(Option.getOrThrow(made.upsertedId) instanceof ObjectId)
      }))

    test("replaceOne keeps _id and upserts", (things) =>
      Effect.gen(function*() {
        yield* things.insertOne({ _id: 1, a: 1 })
        assert.strictEqual((yield* things.replaceOne({ a: 1 }, { b: 2 })).modifiedCount, 1)
        assert.deepStrictEqual(yield* things.find({}), [{ _id: 1, b: 2 }])
        assert.strictEqual((yield* reasonOf(things.replaceOne({ _id: 1 }, { _id: 2 })))._tag, "BadUpdate")
        assert.strictEqual((yield* reasonOf(things.replaceOne({ _id: 1 }, { $set: { a: 1 } })))._tag, "BadUpdate")
        const result = yield* things.replaceOne({ _id: 3 }, { c: 1 }, { upsert: true })
        assert.deepStrictEqual(result.upsertedId, Option.some(3))
        assert.deepStrictEqual(yield* things.find({ _id: 3 }), [{ _id: 3, c: 1 }])
      }))

    test("findOneAndUpdate chooses by sort and hands out before or after", (things) =>
      Effect.gen(function*() {
        yield* things.insertMany([{ _id: 1, n: 1 }, { _id: 2, n: 2 }])
        const before = yield* things.findOneAndUpdate({}, { $inc: { n: 10 } }, { sort: { n: -1 } })
        assert.deepStrictEqual(before, Option.some({ _id: 2, n: 2 }))
        const after = yield* things.findOneAndUpdate({ _id: 2 }, { $inc: { n: 1 } }, { returnDocument: "after" })
        assert.deepStrictEqual(after, Option.some({ _id: 2, n: 13 }))
        assert.ok(Option.isNone(yield* things.findOneAndUpdate({ _id: 9 }, { $set: { n: 1 } }, { upsert: true })))
        assert.deepStrictEqual(
          yield* things.findOneAndUpdate({ _id: 8 }, { $set: { n: 1 } }, { upsert: true, returnDocument: "after" }),
          Option.some({ _id: 8, n: 1 })
        )
      }))

    test("findOneAndUpdate, findOneAndReplace and findOneAndDelete hand out what is asked for", (things) =>
      Effect.gen(function*() {
        yield* things.insertMany([{ _id: 1, n: 1, x: 1 }, { _id: 2, n: 2, x: 2 }])
        const projection = { n: 1, _id: 0 } as const
        assert.deepStrictEqual(
          yield* things.findOneAndUpdate({ _id: 1 }, { $inc: { n: 1 } }, { projection }),
          Option.some({ n: 1 })
        )
        assert.deepStrictEqual(
          yield* things.findOneAndReplace({}, { n: 5 }, { sort: { _id: -1 }, returnDocument: "after" }),
          Option.some({ _id: 2, n: 5 })
        )
        assert.deepStrictEqual(
          yield* things.findOneAndReplace({ _id: 1 }, { n: 6 }, { projection }),
          Option.some({ n: 2 })
        )
        assert.ok(Option.isNone(yield* things.findOneAndReplace({ _id: 3 }, { n: 7 }, { upsert: true })))
        assert.deepStrictEqual(
          yield* things.findOneAndDelete({}, { sort: { n: -1 }, projection }),
          Option.some({ n: 7 })
        )
        assert.ok(Option.isNone(yield* things.findOneAndDelete({ _id: 9 })))
        assert.deepStrictEqual(yield* things.find({}, { sort: { _id: 1 } }), [{ _id: 1, n: 6 }, { _id: 2, n: 5 }])
        const mixed = { a: 1, n: 0 } as const
        assert.strictEqual((yield* reasonOf(things.findOneAndDelete({}, { projection: mixed })))._tag, "BadFilter")
        assert.strictEqual(yield* things.count({}), 2)
      }))

    test("bulkWrite applies all, stops at the first that fails, or goes on", (things) =>
      Effect.gen(function*() {
        const result = yield* things.bulkWrite([
          { insertOne: { document: { _id: 1, n: 1 } } },
          { insertOne: { document: { _id: 2, n: 2 } } },
          { updateOne: { filter: { _id: 1 }, update: { $inc: { n: 1 } } } },
          { updateMany: { filter: {}, update: { $set: { n: 2 } } } },
          { replaceOne: { filter: { _id: 3 }, replacement: { n: 3 }, upsert: true } },
          { deleteOne: { filter: { n: 2 } } },
          { deleteMany: { filter: { n: 9 } } }
        ])
        assert.deepStrictEqual(result, {
          insertedCount: 2,
          matchedCount: 3,
          modifiedCount: 1,
          deletedCount: 1,
          upsertedCount: 1,
          insertedIds: { 0: 1, 1: 2 },
          upsertedIds: { 4: 3 }
        })
        assert.deepStrictEqual(yield* things.find({}), [{ _id: 2, n: 2 }, { _id: 3, n: 3 }])
        const operations: ReadonlyArray<DatabaseModule.BulkOperation> = [
          { insertOne: { document: { _id: 4 } } },
          { insertOne: { document: { _id: 2 } } },
          { updateOne: { filter: { _id: 2 }, update: { $inc: { n: "x" } } } },
          { insertOne: { document: { _id: 5 } } }
        ]
        const stopped = yield* errorOf(things.bulkWrite(operations))
        assert.strictEqual(stopped.reason._tag, "DuplicateKey")
        assert.strictEqual(stopped.failedIndex, 1)
        assert.strictEqual(stopped.insertedCount, 1)
        assert.deepStrictEqual(sortedIds(yield* things.find({})), ["2", "3", "4"])
        yield* things.deleteOne({ _id: 4 })
        const failed = yield* errorOf(things.bulkWrite(operations, { ordered: false }))
        assert.strictEqual(failed.reason._tag, "DuplicateKey")
        assert.strictEqual(failed.insertedCount, 2)
        assert.deepStrictEqual(sortedIds(yield* things.find({})), ["2", "3", "4", "5"])
        const unknown = yield* reasonOf(
          things.bulkWrite([{ drop: {} } as unknown as DatabaseModule.BulkOperation])
        )
        assert.strictEqual(unknown._tag, "BadUpdate")
        const everything = { deleteMany: { filter: undefined } } as unknown as DatabaseModule.BulkOperation
        assert.strictEqual((yield* reasonOf(things.bulkWrite([everything])))._tag, "BadFilter")
        assert.strictEqual(yield* things.count({}), 4)
      }))

    test("an array that a bulk has inserted is met once by what follows in it", (things) =>
      Effect.gen(function*() {
        yield* things.createIndex({ list: 1 })
        const { matchedCount } = yield* things.bulkWrite([
          { insertOne: { document: { _id: 1, list: [1, 2] } } },
          { updateMany: { filter: { list: { $in: [1, 2] } }, update: { $set: { n: 1 } } } }
        ])
        assert.strictEqual(matchedCount, 1)
      }))

    test("deleteOne deletes one, deleteMany all that match", (things) =>
      Effect.gen(function*() {
        yield* things.insertMany([{ _id: 1, a: 1 }, { _id: 2, a: 1 }, { _id: 3, a: 1 }, { _id: 4 }])
        assert.deepStrictEqual(yield* things.deleteOne({ a: 1 }), { deletedCount: 1 })
        assert.deepStrictEqual(yield* things.deleteMany({ a: 1 }), { deletedCount: 2 })
        assert.deepStrictEqual(yield* things.find({}), [{ _id: 4 }])
      }))
  })
}
