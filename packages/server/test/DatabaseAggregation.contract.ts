/**
 * What every engine of `Database` makes of aggregation pipelines: documented results of MongoDB.
 */
import { Database, type DatabaseError } from "@effect-realm/server/Database"
import type * as DatabaseModule from "@effect-realm/server/Database"
import { assert, describe, it } from "@effect/vitest"
import { Decimal128, Double, EJSON, Int32, Long, MinKey } from "bson"
import { Effect, type Layer, Option, Random, Result } from "effect"
import * as TestClock from "effect/testing/TestClock"

type Collection = DatabaseModule.Collection
type Document = DatabaseModule.Document
type Stage = DatabaseModule.Stage

const int = (value: number) => new Int32(value)
const double = (value: number) => new Double(value)
const long = (text: string) => Long.fromString(text)
const decimal = (text: string) => Decimal128.fromString(text)

/** Equal to the type of each number, which a comparison of fields would not see. */
const assertExactly = (actual: unknown, expected: unknown): void =>
  assert.strictEqual(EJSON.stringify(actual, { relaxed: false }), EJSON.stringify(expected, { relaxed: false }))

const refusedPipelines: ReadonlyArray<
  readonly [name: string, pipeline: ReadonlyArray<Stage>, operator: string | undefined]
> = [
  ["an unknown stage", [{ $who: {} }], "$who"],
  ["a stage that is not supported", [{ $out: "other" }], "$out"],
  ["a stage of two fields", [{ $match: {}, $limit: 1 }], undefined],
  ["an empty stage", [{}], undefined],
  ["an unknown expression", [{ $project: { a: { $who: 1 } } }], "$who"],
  ["code", [{ $project: { a: { $function: { body: "", args: [], lang: "js" } } } }], "$function"],
  ["an accumulator of code", [{ $group: { _id: null, a: { $accumulator: {} } } }], "$accumulator"],
  ["an unknown operator in $match", [{ $match: { a: { $who: 1 } } }], "$who"],
  ["an unknown accumulator", [{ $group: { _id: null, a: { $who: 1 } } }], "$who"],
  ["a group without _id", [{ $group: { a: { $sum: 1 } } }], "$group"],
  ["a variable that is not there", [{ $project: { a: "$$who" } }], "$$who"],
  ["a wrong count of operands", [{ $project: { a: { $divide: [1] } } }], "$divide"],
  ["a division by zero", [{ $project: { a: { $divide: [1, 0] } } }], "$divide"],
  ["a sum with a text", [{ $project: { a: { $add: ["x", 1] } } }], "$add"],
  ["a limit of zero", [{ $limit: 0 }], "$limit"],
  ["a skip of -1", [{ $skip: -1 }], "$skip"],
  ["an $unwind without a path", [{ $unwind: "a" }], "$unwind"],
  ["a mixed projection", [{ $project: { a: 1, b: 0 } }], undefined],
  ["an empty sort", [{ $sort: {} }], "$sort"],
  ["a root that is no document", [{ $replaceWith: "$n" }], "$replaceWith"],
  ["more stages than MongoDB takes", Array.from({ length: 1001 }, () => ({ $match: {} })), undefined],
  ["a range without end", [{ $project: { a: { $range: [0, 1_000_000_000] } } }], undefined],
  [
    "work that multiplies",
    [
      { $project: { a: { $range: [0, 100] } } },
      { $unwind: "$a" },
      { $project: { b: { $size: { $range: [0, 1_000_000] } } } }
    ],
    undefined
  ],
  [
    "a nesting without end",
    [{ $match: Array.from({ length: 10_000 }).reduce<Document>((inner) => ({ $and: [inner] }), {}) }],
    undefined
  ]
]

/** The laws of aggregation of every engine. `layer` is a database with nothing in it. */
export const aggregationContract = (name: string, layer: Layer.Layer<Database, DatabaseError>): void => {
  const things = (numbers: DatabaseModule.Numbers) =>
    Database.use((database) =>
      Effect.succeed(database.collection({ database: "app", collection: "things" }, { numbers }))
    )

  const test = (title: string, run: (things: Collection) => Effect.Effect<unknown, DatabaseError>): void => {
    it.effect(title, () => Effect.provide(Effect.flatMap(things("native"), run), layer))
  }

  const reasonOf = <A>(effect: Effect.Effect<A, DatabaseError>): Effect.Effect<DatabaseError["reason"]> =>
    Effect.match(effect, { onFailure: ({ reason }) => reason, onSuccess: () => assert.fail("it did not fail") })

  describe(`${name}: aggregation`, { timeout: 60_000 }, () => {
    it.effect("$$NOW is the clock's time", () =>
      Effect.gen(function*() {
        yield* TestClock.setTime(5000)
        const collection = yield* things("exact")
        yield* collection.insertOne({ _id: 1 })
        assertExactly(yield* collection.aggregate([{ $project: { _id: 0, v: "$$NOW" } }]), [{ v: new Date(5000) }])
        // of a filter too, wherever it stands
        const isNow: DatabaseModule.Filter = { $expr: { $eq: ["$$NOW", new Date(5000)] } }
        const limit: DatabaseModule.Stage = { $limit: 1 }
        const one = { $match: isNow }
        const joined = { $lookup: { from: "things", as: "all", pipeline: [one] } }
        const pipelines = [[one], [limit, one], [joined, { $unwind: "$all" }], [{ $facet: { one: [one] } }, {
          $unwind: "$one"
        }]]
        for (const pipeline of pipelines) assert.strictEqual((yield* collection.aggregate(pipeline)).length, 1)
        for (const filter of [isNow, { $or: [{ none: 1 }, { $and: [isNow] }] }]) {
          assert.strictEqual((yield* collection.find(filter)).length, 1)
          assert.isTrue(Option.isSome(yield* collection.findOne(filter, { sort: { _id: 1 } })))
          assert.strictEqual(yield* collection.count(filter), 1)
          assert.deepStrictEqual(yield* collection.distinct("_id", filter), [new Int32(1)])
          assert.strictEqual((yield* collection.explain(filter)).documentsReturned, 1)
          assert.strictEqual((yield* collection.explainAggregate([{ $match: filter }])).documentsReturned, 1)
          assert.strictEqual((yield* collection.updateMany(filter, { $inc: { n: 1 } })).matchedCount, 1)
          assert.strictEqual((yield* collection.replaceOne(filter, { n: 5 })).matchedCount, 1)
          const bulk = yield* collection.bulkWrite([{ updateOne: { filter, update: { $set: { n: 6 } } } }])
          assert.strictEqual(bulk.matchedCount, 1)
          assert.isTrue(Option.isSome(yield* collection.findOneAndUpdate(filter, { $set: { n: 7 } })))
        }
        assert.strictEqual((yield* collection.deleteMany(isNow)).deletedCount, 1)
      }).pipe(Effect.provide(layer)))

    for (const [name, pipeline, operator] of refusedPipelines) {
      test(`refuses ${name}`, (things) =>
        Effect.gen(function*() {
          yield* things.insertOne({ _id: 1, n: 1 })
          const reason = yield* reasonOf(things.aggregate(pipeline))
          assert.strictEqual(reason._tag, "BadPipeline")
          if (reason._tag === "BadPipeline") assert.strictEqual(reason.operator, operator)
        }))
    }

    test("an unknown stage is refused in MongoDB's words, also in a collection that is not there", (things) =>
      Effect.gen(function*() {
        const reason = yield* reasonOf(things.aggregate([{ $who: {} }]))
        assert.deepStrictEqual(reason, {
          _tag: "BadPipeline",
          operator: "$who",
          detail: "Unrecognized pipeline stage name: '$who'"
        })
        assert.deepStrictEqual(yield* things.aggregate([{ $match: {} }]), [])
      }))

    test("a document that grows past 16 MiB on the way is refused, however small the pipeline", (things) =>
      Effect.gen(function*() {
        yield* things.insertOne({ _id: 1, text: "x".repeat(1000) })
        const doubling = Array.from({ length: 60 }, (_, index) => ({ $addFields: { [`f${index}`]: "$$ROOT" } }))
        assert.strictEqual((yield* reasonOf(things.aggregate(doubling)))._tag, "DocumentTooLarge")
        const deeper = Array.from({ length: 300 }, () => ({ $project: { _id: 0, a: "$$ROOT" } }))
        assert.strictEqual((yield* reasonOf(things.aggregate(deeper)))._tag, "BadPipeline")
      }))

    it.effect("groups by equality of BSON, and accumulates in the types of MongoDB", () =>
      Effect.gen(function*() {
        const collection = yield* things("exact")
        yield* collection.insertMany([
          { _id: 1, k: 1, n: 2147483647, d: double(0.1), x: "b" },
          { _id: 2, k: long("1"), n: 1, d: double(0.2), x: decimal("1") },
          { _id: 3, k: double(1), n: 5, d: double(0.3), x: null },
          { _id: 4, k: null, n: "text", x: new MinKey() },
          { _id: 5, n: double(1), x: 3 }
        ])
        const groups = yield* collection.aggregate([{ $sort: { _id: 1 } }, {
          $group: {
            _id: "$k",
            sum: { $sum: "$n" },
            average: { $avg: "$n" },
            doubles: { $sum: "$d" },
            least: { $min: "$x" },
            most: { $max: "$x" },
            first: { $first: "$n" },
            last: { $last: "$x" },
            all: { $push: "$d" },
            set: { $addToSet: "$k" },
            count: { $count: {} }
          }
        }, { $sort: { _id: -1 } }])
        assertExactly(groups, [
          {
            _id: int(1),
            sum: long("2147483653"),
            average: double(715827884.3333334),
            doubles: double(0.6),
            least: decimal("1"),
            most: "b",
            first: int(2147483647),
            last: null,
            all: [double(0.1), double(0.2), double(0.3)],
            set: [int(1)],
            count: int(3)
          },
          {
            _id: null,
            sum: double(1),
            average: double(1),
            doubles: int(0),
            least: new MinKey(),
            most: int(3),
            first: "text",
            last: int(3),
            all: [],
            set: [null],
            count: int(2)
          }
        ])
      }).pipe(Effect.provide(layer)))

    test("$group by several fields, and the accumulators that choose", (things) =>
      Effect.gen(function*() {
        yield* things.insertMany([
          { _id: 1, a: 1, b: 1, s: 3 },
          { _id: 2, a: 1, b: 1, s: 5, m: { y: 1 } },
          { _id: 3, a: 1, s: 4, m: { x: 1 } }
        ])
        assert.deepStrictEqual(
          yield* things.aggregate([
            {
              $group: {
                _id: { a: "$a", b: "$b" },
                top: { $top: { sortBy: { s: -1 }, output: "$_id" } },
                lowest: { $bottomN: { n: 2, sortBy: { s: -1 }, output: "$s" } },
                most: { $maxN: { n: 1, input: "$s" } },
                merged: { $mergeObjects: "$m" },
                deviation: { $stdDevPop: "$s" }
              }
            },
            { $sort: { top: 1 } }
          ]),
          [
            { _id: { a: 1, b: 1 }, top: 2, lowest: [5, 3], most: [5], merged: { y: 1 }, deviation: 1 },
            { _id: { a: 1 }, top: 3, lowest: [4], most: [4], merged: { x: 1 }, deviation: 0 }
          ]
        )
      }))

    test("projects, adds and removes fields, into arrays too", (things) =>
      Effect.gen(function*() {
        yield* things.insertOne({ _id: 1, a: { x: 1, y: 2 }, list: [{ x: 1 }, { x: 2 }], n: 3 })
        const run = (...pipeline: ReadonlyArray<Stage>) => Effect.map(things.aggregate(pipeline), ([first]) => first)
        assert.deepStrictEqual(yield* run({ $project: { a: { x: 1 }, sum: { $add: ["$n", 1] } } }), {
          _id: 1,
          a: { x: 1 },
          sum: 4
        })
        assert.deepStrictEqual(yield* run({ $project: { _id: 0, list: 0, "a.x": 0 } }), { a: { y: 2 }, n: 3 })
        assert.deepStrictEqual(yield* run({ $addFields: { "list.z": "$n", a: { w: 5 }, n: "$$REMOVE" } }), {
          _id: 1,
          a: { x: 1, y: 2, w: 5 },
          list: [{ x: 1, z: 3 }, { x: 2, z: 3 }]
        })
        assert.deepStrictEqual(yield* run({ $set: { n: "$a.x", a: "$n" } }, { $unset: ["list", "_id"] }), {
          a: 3,
          n: 1
        })
        assert.deepStrictEqual(yield* run({ $replaceRoot: { newRoot: "$a" } }), { x: 1, y: 2 })
        assert.deepStrictEqual(yield* run({ $replaceWith: { v: "$list.x" } }), { v: [1, 2] })
      }))

    test("unwinds, sorts, skips, limits and counts", (things) =>
      Effect.gen(function*() {
        yield* things.insertMany([{ _id: 1, a: [1, 2] }, { _id: 2, a: [] }, { _id: 3, a: null }, { _id: 4 }, {
          _id: 5,
          a: 3
        }])
        assert.deepStrictEqual(yield* things.aggregate([{ $unwind: "$a" }]), [
          { _id: 1, a: 1 },
          { _id: 1, a: 2 },
          { _id: 5, a: 3 }
        ])
        assert.deepStrictEqual(
          yield* things.aggregate([
            {
              $unwind: { path: "$a", includeArrayIndex: "i", preserveNullAndEmptyArrays: true }
            },
            { $sort: { a: -1, _id: 1 } },
            { $skip: 1 },
            { $limit: 4 }
          ]),
          [{ _id: 1, a: 2, i: 1 }, { _id: 1, a: 1, i: 0 }, { _id: 2, i: null }, { _id: 3, a: null, i: null }]
        )
        assert.deepStrictEqual(yield* things.aggregate([{ $unwind: "$a" }, { $count: "n" }]), [{ n: 3 }])
        assert.deepStrictEqual(yield* things.aggregate([{ $match: { _id: 9 } }, { $count: "n" }]), [])
        assert.deepStrictEqual(yield* things.aggregate([{ $sortByCount: { $type: "$a" } }, { $limit: 1 }]), [
          { _id: "array", count: 2 }
        ])
        assert.deepStrictEqual(
          yield* things.aggregate([{
            $bucket: { groupBy: "$_id", boundaries: [0, 2, 4], default: "more", output: { ids: { $push: "$_id" } } }
          }]),
          [{ _id: 0, ids: [1] }, { _id: 2, ids: [2, 3] }, { _id: "more", ids: [4, 5] }]
        )
        const sampled = yield* things.aggregate([{ $sample: { size: 3 } }])
        assert.strictEqual(new Set(sampled.map(({ _id }) => _id)).size, 3)
      }))

    test("samples by the random numbers of the program", (things) =>
      Effect.gen(function*() {
        yield* things.insertMany(Array.from({ length: 100 }, (_, _id) => ({ _id })))
        const sample = (seed: string) => Random.withSeed(things.aggregate([{ $sample: { size: 5 } }]), seed)
        assert.deepStrictEqual(yield* sample("a"), yield* sample("a"))
        assert.notDeepEqual(yield* sample("a"), yield* sample("b"))
      }))

    test("looks into a collection while it is looked into already", (things) =>
      Effect.gen(function*() {
        yield* things.insertMany(Array.from({ length: 4 }, (_, _id) => ({ _id, group: 1 })))
        yield* things.createIndex({ group: 1 })
        const lookup = (fields: object, pipeline: ReadonlyArray<Stage>): Stage => ({
          $lookup: { from: "things", as: "all", ...fields, pipeline }
        })
        for (const fields of [{}, { localField: "group", foreignField: "group" }]) {
          const found = yield* things.aggregate([
            lookup(fields, [lookup(fields, [])]),
            { $unwind: "$all" },
            { $project: { count: { $size: "$all.all" } } }
          ])
          assert.deepStrictEqual(found.map(({ count }) => count), Array.from({ length: 16 }, () => 4))
        }
      }))

    it.effect("looks into other collections of the database, by field, by pipeline, and beside itself", () =>
      Effect.gen(function*() {
        const database = yield* Database
        const orders = database.collection({ database: "shop", collection: "orders" })
        const people = database.collection({ database: "shop", collection: "people" })
        yield* people.insertMany([{ _id: "ann", tags: ["x"] }, { _id: "bob", tags: ["y"] }])
        yield* orders.insertMany([{ _id: 1, by: "ann", n: 1 }, { _id: 2, by: ["bob", "ann"], n: 2 }, { _id: 3, n: 3 }])
        assert.deepStrictEqual(
          yield* orders.aggregate([
            { $lookup: { from: "people", localField: "by", foreignField: "_id", as: "who" } },
            { $project: { _id: 0, who: { $setUnion: ["$who._id"] } } }
          ]),
          [{ who: ["ann"] }, { who: ["ann", "bob"] }, { who: [] }]
        )
        assert.deepStrictEqual(
          yield* people.aggregate([
            {
              $lookup: {
                from: "orders",
                let: { id: "$_id" },
                pipeline: [{ $match: { n: { $lt: 3 } } }, { $addFields: { for: "$$id" } }, { $project: { for: 1 } }],
                as: "orders"
              }
            },
            { $match: { _id: "ann" } }
          ]),
          [{ _id: "ann", tags: ["x"], orders: [{ _id: 1, for: "ann" }, { _id: 2, for: "ann" }] }]
        )
        assert.deepStrictEqual(
          yield* people.aggregate([
            { $project: { _id: 1 } },
            { $unionWith: { coll: "orders", pipeline: [{ $project: { _id: 1 } }, { $limit: 1 }] } }
          ]),
          [{ _id: "ann" }, { _id: "bob" }, { _id: 1 }]
        )
        assert.deepStrictEqual(
          yield* orders.aggregate([{
            $facet: { count: [{ $count: "n" }], least: [{ $sort: { n: 1 } }, { $limit: 1 }, { $project: { n: 1 } }] }
          }]),
          [{ count: [{ n: 3 }], least: [{ _id: 1, n: 1 }] }]
        )
        assert.deepStrictEqual(
          yield* orders.aggregate([{
            $lookup: {
              from: "nowhere",
              localField: "by",
              foreignField: "_id",
              as: "who"
            }
          }, { $match: { who: { $ne: [] } } }]),
          []
        )
      }).pipe(Effect.provide(layer)))

    it.effect("documents are joined by each value at a path, and by variables in a filter", () =>
      Effect.gen(function*() {
        const database = yield* Database
        const [left, right] = ["left", "right"].map((collection) =>
          database.collection({ database: "app", collection })
        )
        yield* left!.insertMany([
          { _id: 1, k: 1 },
          { _id: 2, k: null },
          { _id: 3 },
          { _id: 4, k: [1, 2] },
          { _id: 5, k: [] },
          { _id: 6, k: { a: 1 } },
          { _id: 7, k: /a/ },
          { _id: 8, of: [{ k: 1 }, {}, { k: [2] }] }
        ])
        yield* right!.insertMany([
          { _id: "one", k: 1 },
          { _id: "null", k: null },
          { _id: "none" },
          { _id: "two", k: [2, 9] },
          { _id: "inner", k: { a: 1 } },
          { _id: "empty", k: [] },
          { _id: "text", k: "a" }
        ])
        const joined = (lookup: object) =>
          Effect.map(
            left!.aggregate([{ $lookup: { from: "right", as: "found", ...lookup } }, { $sort: { _id: 1 } }]),
            (all) => all.map(({ found }) => (found as ReadonlyArray<{ readonly _id: string }>).map(({ _id }) => _id))
          )
        const nothing = ["null", "none"]
        assert.deepStrictEqual(
          yield* joined({ localField: "k", foreignField: "k" }),
          [["one"], nothing, nothing, ["one", "two"], nothing, ["inner"], [], nothing]
        )
        assert.deepStrictEqual((yield* joined({ localField: "of.k", foreignField: "k" })).at(-1), ["one", "two"])
        assert.deepStrictEqual(
          (yield* joined({ let: { k: "$k" }, pipeline: [{ $match: { $expr: { $eq: ["$k", "$$k"] } } }] })).slice(0, 3),
          [["one"], ["null"], ["none"]]
        )
        const refused: ReadonlyArray<object> = [
          { localField: "$k", foreignField: "k" },
          { localField: "k" },
          { let: { K: 1 }, pipeline: [] },
          { as: "$found", pipeline: [] },
          {}
        ]
        for (const lookup of refused) {
          assert.strictEqual((yield* Effect.flip(joined(lookup))).reason._tag, "BadPipeline", JSON.stringify(lookup))
        }
      }).pipe(Effect.provide(layer)))

    it.effect("a caller of limited access aggregates what he sees, in no other collection", () =>
      Effect.gen(function*() {
        const database = yield* Database
        const namespace = { database: "app", collection: "notes" }
        yield* database.collection(namespace).insertMany([
          { _id: 1, owner: "ann", secret: 5 },
          { _id: 2, owner: "bob", secret: 6 }
        ])
        const mine = database.collection(namespace, {
          access: {
            scope: { owner: "ann" },
            see: ({ secret: _, ...seen }) => Result.succeed(Option.some(seen))
          }
        })
        assert.deepStrictEqual(yield* mine.aggregate([{ $group: { _id: null, all: { $push: "$$ROOT" } } }]), [
          { _id: null, all: [{ _id: 1, owner: "ann" }] }
        ])
        assert.deepStrictEqual(yield* mine.aggregate([{ $match: { secret: 5 } }]), [])
        const union = Effect.flip(mine.aggregate([{ $unionWith: "notes" }]))
        assert.strictEqual((yield* union).reason._tag, "BadPipeline")
      }).pipe(Effect.provide(layer)))

    test("what a pipeline begins with is answered by an index", (things) =>
      Effect.gen(function*() {
        yield* things.insertMany(Array.from({ length: 200 }, (_, _id) => ({ _id, a: _id % 20, b: _id })))
        yield* things.createIndex({ a: 1, b: 1 })
        const planned = (...pipeline: ReadonlyArray<Stage>) =>
          Effect.map(things.explainAggregate(pipeline), ({ documentsExamined, index }) => [
            Option.getOrUndefined(index),
            documentsExamined
          ])
        const group = { $group: { _id: null, n: { $sum: "$b" } } }
        assert.deepStrictEqual(yield* planned({ $match: { _id: 7 } }, group), ["_id_", 1])
        assert.deepStrictEqual(yield* planned({ $match: { a: 7 } }, { $match: { b: { $gt: 100 } } }, group), [
          "a_1_b_1",
          5
        ])
        assert.deepStrictEqual(
          yield* planned({ $match: { a: 7 } }, { $sort: { b: -1 } }, { $skip: 1 }, { $limit: 2 }, group),
          ["a_1_b_1", 3]
        )
        assert.deepStrictEqual(
          yield* things.aggregate([{ $match: { a: 7 } }, { $sort: { b: -1 } }, { $skip: 1 }, { $limit: 2 }, group]),
          [{ _id: null, n: 167 + 147 }]
        )
        assert.deepStrictEqual(yield* things.aggregate([{ $limit: 2 }, { $skip: 1 }, { $match: { _id: 1 } }]), [
          { _id: 1, a: 1, b: 1 }
        ])
        assert.deepStrictEqual(yield* planned(group), [undefined, 200])
      }))
  })
}
