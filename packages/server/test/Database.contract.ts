/**
 * What every engine of `Database` does: documented results of MongoDB, and laws over random documents.
 */
import { Database, type DatabaseError } from "@effect-realm/server/Database"
import type * as DatabaseModule from "@effect-realm/server/Database"
import { assert, describe, it } from "@effect/vitest"
import {
  Binary,
  BSONRegExp,
  Decimal128,
  Double,
  EJSON,
  Int32,
  Long,
  MaxKey,
  MinKey,
  ObjectId,
  Timestamp,
  UUID
} from "bson"
import { Arbitrary, Effect, type Layer, Option, Redacted } from "effect"
import * as TestClock from "effect/testing/TestClock"
import { arbitraryDocuments, arbitraryFilter } from "./support/documents.ts"

type Collection = DatabaseModule.Collection
type Document = DatabaseModule.Document
type Filter = DatabaseModule.Filter
type UpdateOperators = DatabaseModule.UpdateOperators

const id = (digit: number) => new ObjectId(String(digit).padStart(24, "0"))
const long = (text: string) => Long.fromString(text)
const decimal = (text: string) => Decimal128.fromString(text)
const date = (millis: number) => new Date(millis)

const native = Database.use((database) =>
  Effect.succeed(database.collection({ database: "app", collection: "things" }))
)
const exact = Database.use((database) =>
  Effect.succeed(database.collection({ database: "app", collection: "things" }, { numbers: "exact" }))
)

/** Equal to the type of each number, which a comparison of fields would not see. */
const assertExactly = (actual: unknown, expected: unknown): void =>
  assert.strictEqual(EJSON.stringify(actual, { relaxed: false }), EJSON.stringify(expected, { relaxed: false }))

const errorOf = <A, R>(effect: Effect.Effect<A, DatabaseError, R>): Effect.Effect<DatabaseError, never, R> =>
  Effect.match(effect, { onFailure: (error) => error, onSuccess: () => assert.fail("it did not fail") })

const reasonOf = <A, R>(effect: Effect.Effect<A, DatabaseError, R>) =>
  Effect.map(errorOf(effect), (error) => error.reason)

const refusedUpdates: ReadonlyArray<readonly [name: string, update: UpdateOperators, operator: string | undefined]> = [
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

const refusedFilters: ReadonlyArray<readonly [name: string, filter: Filter, operator: string | undefined]> = [
  ["an unknown operator", { a: { $foo: 1 } }, "$foo"],
  ["an unknown operator at the top", { $foo: 1 }, "$foo"],
  ["an unknown operator in an element", { a: { $elemMatch: { b: { $foo: 1 } } } }, "$foo"],
  ["an unknown operator in $expr", { $expr: { $foo: 1 } }, "$foo"],
  ["$where", { $where: "true" }, "$where"],
  ["$function", { $expr: { $function: { body: "", args: [], lang: "js" } } }, "$function"],
  ["undefined", { user: undefined }, undefined],
  ["undefined deep inside", { $and: [{ a: { $in: [undefined] } }] }, undefined],
  ["$in without an array", { a: { $in: 1 } }, "$in"],
  ["$or without clauses", { $or: [] }, "$or"],
  ["an invalid regular expression", { a: { $regex: "(" } }, "$regex"],
  ["a nesting without end", Array.from({ length: 10_000 }).reduce<Filter>((inner) => ({ a: inner }), {}), undefined],
  ["a function", { a: () => 1 }, undefined]
]

const ids = (documents: ReadonlyArray<Document>): ReadonlyArray<unknown> => documents.map((document) => document["_id"])
const sortedIds = (documents: ReadonlyArray<Document>): ReadonlyArray<string> => ids(documents).map(String).toSorted()

/** The laws of every engine. `layer` is a database with nothing in it. */
export const contract = (name: string, layer: Layer.Layer<Database, DatabaseError>): void => {
  const test = (title: string, run: (things: Collection) => Effect.Effect<unknown, DatabaseError>): void => {
    it.effect(title, () => Effect.provide(Effect.flatMap(native, run), layer))
  }

  // no law is about time: the machine may be busy
  describe(name, { timeout: 60_000 }, () => {
    describe("finds", () => {
      for (const [name, filter, operator] of refusedFilters) {
        test(`refuses ${name}`, (things) =>
          Effect.gen(function*() {
            yield* things.insertOne({ _id: 1 })
            const reason = yield* reasonOf(things.deleteMany(filter))
            assert.strictEqual(reason._tag, "BadFilter")
            assert.strictEqual(reason._tag === "BadFilter" ? reason.operator : "", operator)
            assert.strictEqual(yield* things.count({}), 1)
          }))
      }

      test("skips and limits after sorting, and refuses what is no count", (things) =>
        Effect.gen(function*() {
          yield* things.insertMany([3, 1, 2, 5, 4].map((_id) => ({ _id })))
          assert.deepStrictEqual(ids(yield* things.find({}, { sort: { _id: 1 }, skip: 1, limit: 2 })), [2, 3])
          assert.deepStrictEqual(ids(yield* things.find({}, { sort: { _id: -1 }, limit: 0 })), [5, 4, 3, 2, 1])
          assert.deepStrictEqual(Option.getOrThrow(yield* things.findOne({}, { sort: { _id: -1 }, skip: 1 })), {
            _id: 4
          })
          assert.strictEqual((yield* reasonOf(things.find({}, { skip: -1 })))._tag, "BadFilter")
          assert.strictEqual((yield* reasonOf(things.find({}, { limit: 0.5 })))._tag, "BadFilter")
        }))

      test("projects by inclusion, by exclusion, and into arrays", (things) =>
        Effect.gen(function*() {
          yield* things.insertOne({ _id: 1, a: { b: 1, c: 2 }, list: [{ x: 1, y: 2 }, 3], d: 4 })
          const project = (projection: DatabaseModule.Projection) =>
            Effect.map(things.findOne({}, { projection }), Option.getOrThrow)
          assert.deepStrictEqual(yield* project({ "a.b": 1 }), { _id: 1, a: { b: 1 } })
          assert.deepStrictEqual(yield* project({ d: true, _id: 0 }), { d: 4 })
          assert.deepStrictEqual(yield* project({ _id: 1 }), { _id: 1 })
          assert.deepStrictEqual(yield* project({ a: 0, "list.x": 0 }), { _id: 1, list: [{ y: 2 }, 3], d: 4 })
          assert.deepStrictEqual(yield* project({ "list.x": 1, _id: 0 }), { list: [{ x: 1 }] })
          assert.strictEqual((yield* reasonOf(things.find({}, { projection: { a: 1, d: 0 } })))._tag, "BadFilter")
        }))

      test("projects parts of arrays, and what is computed", (things) =>
        Effect.gen(function*() {
          yield* things.insertOne({ _id: 1, n: 2, list: [1, 2, 3, 4], items: [{ k: 1 }, { k: 2, x: 1 }, { k: 2 }] })
          const project = (projection: DatabaseModule.Projection, filter: Filter = {}) =>
            Effect.map(things.findOne(filter, { projection }), Option.getOrThrow)
          assert.deepStrictEqual(yield* project({ items: 0, list: { $slice: 2 } }), { _id: 1, n: 2, list: [1, 2] })
          assert.deepStrictEqual(yield* project({ n: 1, list: { $slice: -1 } }), { _id: 1, n: 2, list: [4] })
          assert.deepStrictEqual(yield* project({ _id: 0, n: 1, list: { $slice: [1, 2] } }), { n: 2, list: [2, 3] })
          assert.deepStrictEqual(yield* project({ items: { $elemMatch: { k: 2 } } }), {
            _id: 1,
            items: [{ k: 2, x: 1 }]
          })
          assert.deepStrictEqual(yield* project({ items: { $elemMatch: { k: 9 } }, n: 1 }), { _id: 1, n: 2 })
          assert.deepStrictEqual(yield* project({ "items.$": 1 }, { "items.k": 2 }), {
            _id: 1,
            items: [{ k: 2, x: 1 }]
          })
          assert.deepStrictEqual(yield* project({ "list.$": 1, _id: 0 }, { list: { $gt: 2 } }), { list: [3] })
          assert.deepStrictEqual(yield* project({ _id: 0, twice: { $multiply: ["$n", 2] }, of: "$items.k", n: 1 }), {
            n: 2,
            twice: 4,
            of: [1, 2, 2]
          })
          const refused: ReadonlyArray<DatabaseModule.Projection> = [
            { list: { $slice: "x" } },
            { "list.$": 1 },
            { a: { $who: 1 } },
            { a: { $meta: "textScore" } },
            { "a.$b": 1 },
            { a: 1, "a.b": 1 }
          ]
          for (const projection of refused) {
            assert.strictEqual((yield* reasonOf(things.find({}, { projection })))._tag, "BadFilter")
          }
        }))

      test("a regular expression takes no time without end, and what would is refused", (things) =>
        Effect.gen(function*() {
          yield* things.insertMany([
            { _id: 1, v: `${"a".repeat(100_000)}!` },
            { _id: 2, v: "line one\nTwo 😀" },
            { _id: 3, v: "a.b" }
          ])
          const count = ($regex: unknown, $options = "") => things.count({ v: { $regex, $options } })
          assert.strictEqual(yield* count("^(a+)+$"), 0)
          assert.strictEqual(yield* count("(a|a)*(a|aa)*c"), 0)
          assert.strictEqual(yield* count("^(a|b)*?.b$"), 1)
          assert.strictEqual(yield* count("^TWO .$", "im"), 1)
          assert.strictEqual(yield* count("one.two", "is"), 1)
          assert.strictEqual(yield* count("(?i)LINE"), 1)
          assert.strictEqual(yield* count(" a \\. b # a point", "x"), 1)
          assert.strictEqual(yield* count("a\\.b"), 1)
          assert.strictEqual(yield* count("a.b"), 1)
          assert.strictEqual(yield* count("\\p{Lu}wo"), 1)
          const refused = [
            "(?=a)b",
            "(a)\\1",
            "(?<!a)b",
            "[",
            "((a{1000}){1000})",
            "a".repeat(40_000),
            "(".repeat(9000)
          ]
          for (const pattern of refused) {
            const reason = yield* reasonOf(count(pattern))
            assert.strictEqual(reason._tag, "BadFilter")
            if (reason._tag === "BadFilter") assert.strictEqual(reason.operator, "$regex")
          }
          assert.strictEqual((yield* reasonOf(count("a", "q")))._tag, "BadFilter")
          const heavy = `(${"a?".repeat(1000)}){5}b`
          const reason = yield* reasonOf(count(heavy))
          assert.ok(reason._tag === "BadFilter" && reason.detail.includes("too long"))
        }))

      test("what is unknown is refused in MongoDB's words", (things) =>
        Effect.gen(function*() {
          const detailOf = <A>(effect: Effect.Effect<A, DatabaseError>) =>
            Effect.map(reasonOf(effect), (reason) => "detail" in reason ? reason.detail : "")
          assert.strictEqual(yield* detailOf(things.find({ $who: 1 })), "unknown top level operator: $who")
          assert.strictEqual(yield* detailOf(things.find({ a: { $who: 1 } })), "unknown operator: $who")
          assert.include(yield* detailOf(things.updateOne({}, { $who: { a: 1 } })), "Unknown modifier: $who")
          assert.strictEqual(
            yield* detailOf(things.updateOne({}, { $set: { "a.b": 1 }, $inc: { a: 1 } })),
            "Updating the path 'a.b' would create a conflict at 'a'"
          )
          yield* things.insertOne({ _id: 1 })
          assert.include(
            (yield* errorOf(things.insertOne({ _id: 1 }))).message,
            "E11000 duplicate key error collection: app.things index: _id_"
          )
        }))

      test("counts from skip on, up to limit", (things) =>
        Effect.gen(function*() {
          yield* things.insertMany([1, 2, 3, 4, 5].map((_id) => ({ _id, n: _id % 2 })))
          assert.strictEqual(yield* things.count({}, { limit: 2 }), 2)
          assert.strictEqual(yield* things.count({ n: 1 }, { limit: 9 }), 3)
          assert.strictEqual(yield* things.count({ n: 1 }, { skip: 1, limit: 1 }), 1)
          assert.strictEqual(yield* things.count({ n: 1 }, { skip: 5 }), 0)
          assert.strictEqual((yield* reasonOf(things.count({}, { limit: -1 })))._tag, "BadFilter")
        }))

      test("distinct values are told apart as in an index, those of arrays by element", (things) =>
        Effect.gen(function*() {
          yield* things.insertMany([
            { _id: 1, v: 1, a: [{ b: 1 }, { b: [2, 3] }] },
            { _id: 2, v: [1, "x", [2]] },
            { _id: 3, v: long("1") },
            { _id: 4, v: null },
            { _id: 5, v: [] },
            { _id: 6, v: { a: 1 } }
          ])
          assert.deepStrictEqual(yield* things.distinct("v"), [1, "x", [2], null, { a: 1 }])
          assert.deepStrictEqual(yield* things.distinct("v", { _id: { $lt: 2 } }), [1])
          assert.deepStrictEqual(yield* things.distinct("a.b"), [1, 2, 3])
          assert.deepStrictEqual(yield* things.distinct("nothing"), [])
          assert.strictEqual((yield* reasonOf(things.distinct("$v")))._tag, "BadFilter")
        }))

      test("a collection that is not there is empty", (things) =>
        Effect.gen(function*() {
          assert.deepStrictEqual(yield* things.find({}), [])
          assert.strictEqual(yield* things.count({}), 0)
          assert.ok(Option.isNone(yield* things.findOne({ _id: 1 })))
          assert.deepStrictEqual(yield* things.deleteMany({}), { deletedCount: 0 })
        }))
    })

    describe("inserts", () => {
      test("makes an ObjectId of the clock's time and puts it first", (things) =>
        Effect.gen(function*() {
          yield* TestClock.setTime(1_700_000_000_000)
          const { insertedId } = yield* things.insertOne({ a: 1 })
          assert.ok(insertedId instanceof ObjectId)
          assert.strictEqual(insertedId.getTimestamp().getTime(), 1_700_000_000_000)
          const [document] = yield* things.find({ _id: insertedId })
          assert.deepStrictEqual(Object.keys(document ?? {}), ["_id", "a"])
        }))

      it.effect("keeps the type of every number and every value of BSON", () =>
        Effect.gen(function*() {
          const things = yield* exact
          const document = {
            _id: id(7),
            int: new Int32(1),
            double: new Double(1),
            negative: new Double(-0),
            long: long("9007199254740993"),
            decimal: decimal("1.50"),
            date: date(1),
            uuid: new UUID("00000000-0000-4000-8000-000000000001"),
            binary: new Binary(new Uint8Array([1]), 128),
            regex: new BSONRegExp("a", "i"),
            timestamp: new Timestamp({ t: 1, i: 2 }),
            min: new MinKey(),
            max: new MaxKey(),
            nothing: null,
            list: [new Int32(1), [new Double(2)]],
            text: "Zoë 日本 🎉\0"
          }
          yield* things.insertOne(document)
          assertExactly(Option.getOrThrow(yield* things.findOne({ _id: id(7) })), document)
        }).pipe(Effect.provide(layer)))

      test("hands out JavaScript numbers, and a Long where one would round", (things) =>
        Effect.gen(function*() {
          yield* things.insertOne({
            _id: 1,
            a: new Int32(1),
            b: new Double(1.5),
            c: 5n,
            d: 9007199254740993n,
            e: [new Double(2)]
          })
          const [document] = yield* things.find({})
          assert.deepStrictEqual(document, { _id: 1, a: 1, b: 1.5, c: 5, d: long("9007199254740993"), e: [2] })
          assert.deepStrictEqual(Object.values(document ?? {}).map((value) => typeof value), [
            "number",
            "number",
            "number",
            "number",
            "object",
            "object"
          ])
        }))

      test("leaves out undefined fields and refuses what no document can hold", (things) =>
        Effect.gen(function*() {
          yield* things.insertOne({ _id: 1, a: undefined, b: [undefined] })
          assert.deepStrictEqual(yield* things.find({}), [{ _id: 1, b: [null] }])
          const deep = Array.from({ length: 10_000 }).reduce<Document>((inner) => ({ a: inner }), {})
          const cyclic: { [key: string]: unknown } = {}
          cyclic["self"] = cyclic
          const refused: ReadonlyArray<Document> = [
            { f: () => 1 },
            { s: Symbol("s") },
            { d: new Date(Number.NaN) },
            { secret: Redacted.make("secret") },
            { "a\0b": 1 },
            { $set: 1 },
            { _id: [1] },
            { _id: /a/ },
            { n: 2n ** 63n },
            deep,
            cyclic
          ]
          for (const document of refused) {
            assert.strictEqual((yield* reasonOf(things.insertOne(document)))._tag, "BadDocument")
          }
          assert.strictEqual(yield* things.count({}), 1)
        }))

      test("names like __proto__ are fields like others", (things) =>
        Effect.gen(function*() {
          const document: unknown = JSON.parse(
            "{\"_id\":1,\"__proto__\":{\"admin\":true},\"constructor\":{\"prototype\":1}}"
          )
          assert.ok(typeof document === "object" && document !== null)
          yield* things.insertOne({ _id: 0 })
          yield* things.insertOne(Object.fromEntries(Object.entries(document)))
          const [stored] = yield* things.find({ "__proto__.admin": true })
          assert.deepStrictEqual(Object.keys(stored ?? {}), ["_id", "__proto__", "constructor"])
          yield* things.updateOne({ _id: 0 }, { $set: Object.fromEntries([["__proto__.polluted", 1]]) })
          assert.strictEqual(Reflect.get({}, "polluted"), undefined)
          assert.strictEqual(yield* things.count({ "__proto__.polluted": 1 }), 1)
        }))

      test("refuses more than 16 MiB with the size", (things) =>
        Effect.gen(function*() {
          const reason = yield* reasonOf(things.insertOne({ _id: 1, text: "x".repeat(16 * 1024 * 1024) }))
          assert.deepStrictEqual(reason, {
            _tag: "DocumentTooLarge",
            size: 16 * 1024 * 1024 + 25,
            limit: 16 * 1024 * 1024
          })
          assert.strictEqual(yield* things.count({}), 0)
        }))

      test("_id is unique, by value", (things) =>
        Effect.gen(function*() {
          yield* things.insertOne({ _id: 1 })
          const reason = yield* reasonOf(things.insertOne({ _id: long("1") }))
          assert.deepStrictEqual(reason, { _tag: "DuplicateKey", index: "_id_", namespace: "app.things" })
        }))

      test("insertMany keeps those before the first that fails, and counts them", (things) =>
        Effect.gen(function*() {
          const error = yield* errorOf(things.insertMany([{ _id: 1 }, { _id: 2 }, { _id: 1 }, { _id: 3 }]))
          assert.strictEqual(error.reason._tag, "DuplicateKey")
          assert.strictEqual(error.insertedCount, 2)
          assert.deepStrictEqual(sortedIds(yield* things.find({})), ["1", "2"])
          assert.strictEqual(error.failedIndex, 2)
          assert.deepStrictEqual(yield* things.insertMany([{ _id: 4 }, { _id: 5 }]), { insertedIds: [4, 5] })
          const unordered = yield* errorOf(things.insertMany([{ _id: 5 }, { _id: 6 }], { ordered: false }))
          assert.strictEqual(unordered.insertedCount, 1)
          assert.deepStrictEqual(sortedIds(yield* things.find({})), ["1", "2", "4", "5", "6"])
          assert.deepStrictEqual(yield* things.insertMany([]), { insertedIds: [] })
        }))
    })

    describe("updates", () => {
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

      test("deleteOne deletes one, deleteMany all that match", (things) =>
        Effect.gen(function*() {
          yield* things.insertMany([{ _id: 1, a: 1 }, { _id: 2, a: 1 }, { _id: 3, a: 1 }, { _id: 4 }])
          assert.deepStrictEqual(yield* things.deleteOne({ a: 1 }), { deletedCount: 1 })
          assert.deepStrictEqual(yield* things.deleteMany({ a: 1 }), { deletedCount: 2 })
          assert.deepStrictEqual(yield* things.find({}), [{ _id: 4 }])
        }))
    })

    describe("indexes", () => {
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
    })

    it.effect("collections of the same name in two databases are apart", () =>
      Effect.gen(function*() {
        const database = yield* Database
        const one = database.collection({ database: "a", collection: "b.c" })
        const other = database.collection({ database: "a.b", collection: "c" })
        yield* one.insertOne({ _id: 1 })
        assert.strictEqual(yield* other.count({}), 0)
      }).pipe(Effect.provide(layer)))

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
