/**
 * How every engine of `Database` takes documents in: every value of BSON, and nothing else.
 */
import { type Database, type DatabaseError } from "@effect-realm/server/Database"
import { assert, describe, it } from "@effect/vitest"
import { Binary, BSONRegExp, Double, Int32, MaxKey, MinKey, ObjectId, Timestamp, UUID } from "bson"
import { Effect, type Layer, Option, Redacted } from "effect"
import * as TestClock from "effect/testing/TestClock"
import { type Document, errorOf, exactThings, reasonOf, sortedIds, testOn } from "./support/databases.ts"
import { date, decimal, exactly, id, long } from "./support/mongodb/values.ts"

const assertExactly = (actual: unknown, expected: unknown): void =>
  assert.strictEqual(exactly(actual), exactly(expected))

/** `layer` is a database with nothing in it. */
export const insertsContract = (name: string, layer: Layer.Layer<Database, DatabaseError>): void => {
  const test = testOn(layer)

  // no law is about time: the machine may be busy
  describe(`${name}: inserts`, { timeout: 60_000 }, () => {
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
        const things = yield* exactThings
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
}
