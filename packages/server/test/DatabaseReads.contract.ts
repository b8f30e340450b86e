/**
 * How every engine of `Database` finds documents: their order, their parts, what is no filter.
 */
import { Database, type DatabaseError } from "@effect-realm/server/Database"
import type * as DatabaseModule from "@effect-realm/server/Database"
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Layer, Option } from "effect"
import { errorOf, type Filter, ids, reasonOf, testOn } from "./support/databases.ts"
import { long } from "./support/mongodb/values.ts"

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

/** `layer` is a database with nothing in it. */
export const readsContract = (name: string, layer: Layer.Layer<Database, DatabaseError>): void => {
  const test = testOn(layer)

  // no law is about time: the machine may be busy
  describe(`${name}: reads`, { timeout: 60_000 }, () => {
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

    it.effect("collections of the same name in two databases are apart", () =>
      Effect.gen(function*() {
        const database = yield* Database
        const one = database.collection({ database: "a", collection: "b.c" })
        const other = database.collection({ database: "a.b", collection: "c" })
        yield* one.insertOne({ _id: 1 })
        assert.strictEqual(yield* other.count({}), 0)
      }).pipe(Effect.provide(layer)))
  })
}
