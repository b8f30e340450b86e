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

/** Values numbered by their place; a filter names those it finds. */
interface Found {
  readonly name: string
  readonly values: ReadonlyArray<unknown>
  readonly filter: Filter
  readonly finds: ReadonlyArray<number>
}

const missing = Symbol("missing")

const found: ReadonlyArray<Found> = [
  {
    name: "numbers are equal by value across all four types",
    values: [new Int32(5), new Double(5), long("5"), decimal("5.0"), new Double(5.5), "5"],
    filter: { v: 5 },
    finds: [0, 1, 2, 3]
  },
  {
    name: "numbers are ordered by value across all four types",
    values: [new Int32(9), long("10"), decimal("9.5"), new Double(-1), decimal("1E+30"), "10"],
    filter: { v: { $gt: 9 } },
    finds: [1, 2, 4]
  },
  {
    name: "int64 beyond 2^53 are told apart",
    values: [long("9007199254740992"), long("9007199254740993"), new Double(9007199254740992)],
    filter: { v: long("9007199254740993") },
    finds: [1]
  },
  {
    name: "a double is not the decimal it is printed as",
    values: [new Double(0.1), decimal("0.1")],
    filter: { v: decimal("0.1") },
    finds: [1]
  },
  {
    name: "minus zero is zero",
    values: [new Double(-0), new Int32(0), decimal("-0")],
    filter: { v: 0 },
    finds: [0, 1, 2]
  },
  {
    name: "NaN equals NaN",
    values: [new Double(Number.NaN), decimal("NaN"), 0],
    filter: { v: Number.NaN },
    finds: [0, 1]
  },
  { name: "NaN is not below a number", values: [new Double(Number.NaN), -1, 1], filter: { v: { $lt: 0 } }, finds: [1] },
  {
    name: "an ObjectId is found by its value",
    values: [id(1), id(2), String(id(1))],
    filter: { v: id(1) },
    finds: [0]
  },
  { name: "ObjectIds are ordered", values: [id(1), id(2), id(3)], filter: { v: { $gte: id(2) } }, finds: [1, 2] },
  {
    name: "dates are ordered, and are no numbers",
    values: [date(-5), date(0), date(5), 5],
    filter: { v: { $gt: date(-1) } },
    finds: [1, 2]
  },
  {
    name: "binary data is equal by subtype and bytes",
    values: [
      new Binary(new Uint8Array([1, 2])),
      new Binary(new Uint8Array([1, 2]), 128),
      new Binary(new Uint8Array([1, 3]))
    ],
    filter: { v: new Uint8Array([1, 2]) },
    finds: [0]
  },
  {
    name: "a UUID is found by its value",
    values: [new UUID("00000000-0000-4000-8000-000000000001"), new UUID("00000000-0000-4000-8000-000000000002")],
    filter: { v: new UUID("00000000-0000-4000-8000-000000000002") },
    finds: [1]
  },
  {
    name: "timestamps are ordered and are no int64",
    values: [new Timestamp({ t: 1, i: 1 }), new Timestamp({ t: 1, i: 2 }), long("4294967298")],
    filter: { v: { $gt: new Timestamp({ t: 1, i: 1 }) } },
    finds: [1]
  },
  {
    name: "null finds null and missing",
    values: [null, missing, 0, [null], []],
    filter: { v: null },
    finds: [0, 1, 3]
  },
  {
    name: "$exists: false finds the missing alone",
    values: [null, missing, 0],
    filter: { v: { $exists: false } },
    finds: [1]
  },
  { name: "$exists: true finds null too", values: [null, missing, 0], filter: { v: { $exists: true } }, finds: [0, 2] },
  {
    name: "$gte: null finds null and missing",
    values: [null, missing, 0],
    filter: { v: { $gte: null } },
    finds: [0, 1]
  },
  { name: "$gt: null finds nothing", values: [null, missing, 0], filter: { v: { $gt: null } }, finds: [] },
  {
    name: "comparison stays within one type",
    values: ["b", 2, true, date(2), null],
    filter: { v: { $lt: "c" } },
    finds: [0]
  },
  {
    name: "MinKey and MaxKey bound every type",
    values: ["b", 2, new MinKey(), new MaxKey(), missing],
    filter: { v: { $lt: new MaxKey() } },
    finds: [0, 1, 2]
  },
  { name: "an element of an array is enough", values: [[1, 2], 2, [3], [[2]]], filter: { v: 2 }, finds: [0, 1] },
  {
    name: "a whole array matches",
    values: [[1, 2], [2, 1], [[1, 2]], [1, 2, 3]],
    filter: { v: [1, 2] },
    finds: [0, 2]
  },
  {
    name: "conditions on an array may hold for different elements",
    values: [[1, 9], [5], [9]],
    filter: { v: { $gt: 3, $lt: 7 } },
    finds: [0, 1]
  },
  {
    name: "$elemMatch binds conditions to one element",
    values: [[1, 9], [5], 5],
    filter: { v: { $elemMatch: { $gt: 3, $lt: 7 } } },
    finds: [1]
  },
  {
    name: "$elemMatch on documents binds fields to one element",
    values: [[{ a: 1, b: 2 }], [{ a: 1 }, { b: 2 }], [{ a: 1, b: 3 }]],
    filter: { v: { $elemMatch: { a: 1, b: 2 } } },
    finds: [0]
  },
  {
    name: "dotted paths enter arrays of documents",
    values: [[{ a: 1 }, { a: 2 }], { a: 2 }, [[{ a: 2 }]], { a: [2] }],
    filter: { "v.a": 2 },
    finds: [0, 1, 3]
  },
  {
    name: "a number in a path is a place or a name",
    values: [[7, 8], { 1: 8 }, [8, 7]],
    filter: { "v.1": 8 },
    finds: [0, 1]
  },
  {
    name: "a path through a scalar is missing, through an empty array is nothing",
    values: [5, { b: 1 }, [], [{ a: 1 }, {}]],
    filter: { "v.a": null },
    finds: [0, 1, 3]
  },
  {
    name: "embedded documents are equal with their fields in order",
    values: [{ a: 1, b: 2 }, { b: 2, a: 1 }, { a: long("1"), b: 2 }, { a: 1, b: 2, c: 3 }],
    filter: { v: { a: 1, b: 2 } },
    finds: [0, 2]
  },
  {
    name: "$in finds any, null the missing too",
    values: [1, 2, missing, [1]],
    filter: { v: { $in: [1, null] } },
    finds: [0, 2, 3]
  },
  { name: "$in takes regular expressions", values: ["ann", "bob"], filter: { v: { $in: [/^b/] } }, finds: [1] },
  { name: "$nin finds none of them", values: [1, 2, missing, [1]], filter: { v: { $nin: [1, null] } }, finds: [1] },
  {
    name: "$ne is not $eq, arrays included",
    values: [1, 2, [1, 2], missing],
    filter: { v: { $ne: 1 } },
    finds: [1, 3]
  },
  {
    name: "$not turns its operators round",
    values: [1, 5, missing],
    filter: { v: { $not: { $gt: 3 } } },
    finds: [0, 2]
  },
  { name: "$not takes a regular expression", values: ["ann", "bob", 1], filter: { v: { $not: /^b/ } }, finds: [0, 2] },
  {
    name: "$type knows the four number types",
    values: [new Int32(1), new Double(1), long("1"), decimal("1")],
    filter: { v: { $type: "long" } },
    finds: [2]
  },
  {
    name: "$type takes numbers, lists and the name number",
    values: [new Int32(1), "x", null, [1]],
    filter: { v: { $type: [2, "number"] } },
    finds: [0, 1, 3]
  },
  { name: "$type: array finds arrays", values: [[], 1, [[1]]], filter: { v: { $type: "array" } }, finds: [0, 2] },
  {
    name: "$regex takes options",
    values: ["Ann", "bob", 1],
    filter: { v: { $regex: "^a", $options: "i" } },
    finds: [0]
  },
  {
    name: "a stored regular expression is found",
    values: [/a/i, /a/],
    filter: { v: { $eq: new BSONRegExp("a", "i") } },
    finds: [0]
  },
  { name: "$mod", values: [4, 5, long("8"), -4, "4"], filter: { v: { $mod: [4, 0] } }, finds: [0, 2, 3] },
  { name: "$size counts elements", values: [[], [1], [[1, 2]], 1], filter: { v: { $size: 1 } }, finds: [1, 2] },
  { name: "$all wants every element", values: [[1, 2, 3], [1], 1], filter: { v: { $all: [1, 2] } }, finds: [0] },
  { name: "an empty $all finds nothing", values: [[], [1]], filter: { v: { $all: [] } }, finds: [] },
  { name: "$bitsAllSet", values: [7, 5, 2], filter: { v: { $bitsAllSet: 5 } }, finds: [0, 1] },
  {
    name: "$and, $or and $nor",
    values: [1, 2, 3, 4],
    filter: { $and: [{ $or: [{ v: 1 }, { v: 3 }, { v: 4 }] }, { $nor: [{ v: 4 }] }] },
    finds: [0, 2]
  },
  {
    name: "$expr compares fields",
    values: [{ a: 1, b: 2 }, { a: long("3"), b: new Double(2.5) }],
    filter: { $expr: { $gt: ["$v.a", "$v.b"] } },
    finds: [1]
  },
  {
    name: "$expr compares int64 by value",
    values: [long("9007199254740993"), long("10")],
    filter: { $expr: { $gt: ["$v", long("9007199254740992")] } },
    finds: [0]
  },
  {
    name: "references are documents",
    values: [{ $ref: "a", $id: 1 }, { $ref: "a", $id: 2 }],
    filter: { "v.$id": 2 },
    finds: [1]
  },
  { name: "text is ordered by code point", values: ["\uffee", "😀"], filter: { v: { $gt: "\uffee" } }, finds: [1] },
  {
    name: "names of the prototype are missing",
    values: [{}, { constructor: 1 }],
    filter: { "v.constructor": { $exists: true } },
    finds: [1]
  }
]

interface Updated {
  readonly name: string
  readonly before: Document
  readonly update: UpdateOperators
  /** In exact form, without `_id`. */
  readonly after: Document
  readonly filter?: Filter
  readonly arrayFilters?: ReadonlyArray<Filter>
}

const int = (value: number) => new Int32(value)

const updates: ReadonlyArray<Updated> = [
  {
    name: "$set makes documents on the way",
    before: {},
    update: { $set: { "a.b.c": 1 } },
    after: { a: { b: { c: int(1) } } }
  },
  {
    name: "$set at a place pads with null",
    before: { a: [1] },
    update: { $set: { "a.3": 4 } },
    after: { a: [int(1), null, null, int(4)] }
  },
  {
    name: "$set of several new fields adds them in the order of their names",
    before: {},
    update: { $set: { b: 1, a: 2 } },
    after: { a: int(2), b: int(1) }
  },
  {
    name: "$unset removes, and empties a place in an array",
    before: { a: 1, b: [1, 2] },
    update: { $unset: { a: "", "b.0": "" } },
    after: { b: [null, int(2)] }
  },
  {
    name: "$unset of what is not there does nothing",
    before: { a: 1 },
    update: { $unset: { "x.y": "" } },
    after: { a: int(1) }
  },
  { name: "$inc keeps int32", before: { a: 1 }, update: { $inc: { a: 2 } }, after: { a: int(3) } },
  {
    name: "$inc turns an int32 that overflows into int64",
    before: { a: 2147483647 },
    update: { $inc: { a: 1 } },
    after: { a: long("2147483648") }
  },
  {
    name: "$inc keeps int64",
    before: { a: long("9007199254740993") },
    update: { $inc: { a: 1 } },
    after: { a: long("9007199254740994") }
  },
  {
    name: "$inc of an int32 by a double is a double",
    before: { a: 1 },
    update: { $inc: { a: new Double(2) } },
    after: { a: new Double(3) }
  },
  {
    name: "$inc keeps a double a double",
    before: { a: new Double(1) },
    update: { $inc: { a: 1 } },
    after: { a: new Double(2) }
  },
  {
    name: "$inc keeps every digit of a decimal",
    before: { a: decimal("0.10") },
    update: { $inc: { a: decimal("0.20") } },
    after: { a: decimal("0.30") }
  },
  { name: "$inc of a missing field sets it", before: {}, update: { $inc: { a: long("7") } }, after: { a: long("7") } },
  {
    name: "$mul keeps types and sets a missing field to zero",
    before: { a: 3 },
    update: { $mul: { a: 4, b: long("2") } },
    after: { a: int(12), b: long("0") }
  },
  {
    name: "$min and $max compare by value and across types",
    before: { a: 5, b: 5, c: 5 },
    update: { $min: { a: long("4") }, $max: { b: new Double(5), c: "x" } },
    after: { a: long("4"), b: int(5), c: "x" }
  },
  {
    name: "$push makes an array and appends",
    before: { a: [1] },
    update: { $push: { a: 2, b: 1 } },
    after: { a: [int(1), int(2)], b: [int(1)] }
  },
  {
    name: "$push inserts, sorts, then slices",
    before: { a: [5, 1] },
    update: { $push: { a: { $each: [3, 4], $sort: 1, $slice: -3 } } },
    after: { a: [int(3), int(4), int(5)] }
  },
  {
    name: "$push at a position",
    before: { a: [1, 4] },
    update: { $push: { a: { $each: [2, 3], $position: 1 } } },
    after: { a: [int(1), int(2), int(3), int(4)] }
  },
  {
    name: "$push sorts documents by a field",
    before: { a: [{ n: 2 }] },
    update: { $push: { a: { $each: [{ n: 1 }], $sort: { n: 1 } } } },
    after: { a: [{ n: int(1) }, { n: int(2) }] }
  },
  {
    name: "$addToSet leaves out what is there by value",
    before: { a: [1, { b: 1 }] },
    update: { $addToSet: { a: { $each: [long("1"), 2, { b: 1 }] } } },
    after: { a: [int(1), { b: int(1) }, int(2)] }
  },
  {
    name: "$pull by operators",
    before: { a: [1, 5, 9] },
    update: { $pull: { a: { $gt: 4 } } },
    after: { a: [int(1)] }
  },
  {
    name: "$pull by fields of elements",
    before: { a: [{ k: 1, x: 1 }, { k: 2 }] },
    update: { $pull: { a: { k: 1 } } },
    after: { a: [{ k: int(2) }] }
  },
  { name: "$pull by value", before: { a: [1, 2, 1] }, update: { $pull: { a: 1 } }, after: { a: [int(2)] } },
  { name: "$pullAll", before: { a: [1, 2, 3] }, update: { $pullAll: { a: [1, 3] } }, after: { a: [int(2)] } },
  {
    name: "$pop takes from either end",
    before: { a: [1, 2], b: [1, 2] },
    update: { $pop: { a: 1, b: -1 } },
    after: { a: [int(1)], b: [int(2)] }
  },
  {
    name: "$rename moves a value",
    before: { a: 1, b: 2 },
    update: { $rename: { a: "c.d" } },
    after: { b: int(2), c: { d: int(1) } }
  },
  { name: "$bit", before: { a: 13 }, update: { $bit: { a: { and: 10 } } }, after: { a: int(8) } },
  {
    name: "$setOnInsert does nothing to a document that is there",
    before: { a: 1 },
    update: { $setOnInsert: { a: 2 } },
    after: { a: int(1) }
  },
  {
    name: "$[] reaches every element",
    before: { a: [1, 2] },
    update: { $inc: { "a.$[]": 10 } },
    after: { a: [int(11), int(12)] }
  },
  {
    name: "$[name] reaches the elements of its array filter",
    before: { a: [{ g: 1 }, { g: 9 }] },
    update: { $set: { "a.$[low].g": 5 } },
    arrayFilters: [{ "low.g": { $lt: 5 } }],
    after: { a: [{ g: int(5) }, { g: int(9) }] }
  },
  {
    name: "$ is the element that the filter found",
    before: { a: [{ k: 1 }, { k: 2 }, { k: 2 }] },
    filter: { "a.k": 2 },
    update: { $set: { "a.$.x": 1 } },
    after: { a: [{ k: int(1) }, { k: int(2), x: int(1) }, { k: int(2) }] }
  },
  {
    name: "names of the prototype are fields like others",
    before: {},
    update: { $set: { "constructor.a": 1 } },
    after: { constructor: { a: int(1) } }
  }
]

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
      for (const { filter, finds, name, values } of found) {
        test(name, (things) =>
          Effect.gen(function*() {
            yield* things.insertMany(values.map((v, _id) => v === missing ? { _id } : { _id, v }))
            assert.deepStrictEqual(ids(yield* things.find(filter, { sort: { _id: 1 } })), finds)
            assert.strictEqual(yield* things.count(filter), finds.length)
            yield* things.createIndex({ v: 1 })
            assert.deepStrictEqual(ids(yield* things.find(filter, { sort: { _id: 1 } })), finds)
          }))
      }

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

      test("sorts across types, by several paths, and by the least or greatest element", (things) =>
        Effect.gen(function*() {
          const inOrder = [
            new MinKey(),
            null,
            -1,
            long("2"),
            2.5,
            "a",
            { a: 1 },
            [3],
            new Uint8Array([1]),
            id(1),
            false,
            true,
            date(0),
            new Timestamp({ t: 1, i: 1 }),
            /a/,
            new MaxKey()
          ]
          // an array sorts by its elements, so that [3] stands among the numbers
          const expected = [0, 1, 2, 3, 4, 7, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15]
          yield* things.insertMany(inOrder.map((v, _id) => ({ _id, v })).toReversed())
          assert.deepStrictEqual(ids(yield* things.find({}, { sort: { v: 1 } })), expected)
          assert.deepStrictEqual(ids(yield* things.find({}, { sort: { v: -1 } })), expected.toReversed())
          yield* things.deleteMany({})
          yield* things.insertMany([{ _id: 1, a: 1, b: 1 }, { _id: 2, a: 1, b: 2 }, { _id: 3, a: 0 }, {
            _id: 4,
            a: [9, -1]
          }])
          assert.deepStrictEqual(ids(yield* things.find({}, { sort: { a: 1, b: -1 } })), [4, 3, 2, 1])
          assert.deepStrictEqual(ids(yield* things.find({}, { sort: { a: -1, b: 1 } })), [4, 1, 2, 3])
        }))

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
      for (const { after, arrayFilters, before, filter, name, update } of updates) {
        it.effect(name, () =>
          Effect.gen(function*() {
            const things = yield* exact
            yield* things.insertOne({ _id: "x", ...before })
            const result = yield* things.updateOne(filter ?? {}, update, { arrayFilters })
            assert.strictEqual(result.matchedCount, 1)
            const { _id, ...stored } = Option.getOrThrow(yield* things.findOne({}))
            assertExactly(stored, after)
          }).pipe(Effect.provide(layer)))
      }

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
