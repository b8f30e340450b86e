import * as Ejson from "@effect-realm/protocol/Ejson"
import { assert, describe, it } from "@effect/vitest"
import { Double, Long, ObjectId } from "bson"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import type * as HttpClient from "effect/http/HttpClient"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as App from "../src/App.ts"
import * as Collection from "../src/Collection.ts"
import * as Credentials from "../src/Credentials.ts"
import * as Filter from "../src/Filter.ts"
import type * as MongoDB from "../src/MongoDB.ts"
import * as Policy from "../src/Policy.ts"
import * as TokenStore from "../src/TokenStore.ts"
import * as User from "../src/User.ts"
import * as Scripted from "./scripted.ts"

const app = App.make({ id: "shop-abcde", baseUrl: "http://localhost:9090" })
const id = new ObjectId("5f87976b7b800b285345a8b4")
const $oid = id.toHexString()

class Order extends Schema.Class<Order>("Order")({
  _id: Ejson.ObjectId,
  at: Schema.Date,
  total: Ejson.Double,
  number: Ejson.Int64,
  note: Schema.optionalKey(Schema.String),
  items: Schema.Array(Schema.Struct({ name: Schema.String, count: Schema.Int }))
}) {}

const order = new Order({ _id: id, at: new Date(0), total: new Double(12), number: 2n ** 60n, items: [] })

const stored = {
  _id: { $oid },
  at: { $date: { $numberLong: "0" } },
  total: { $numberDouble: "12.0" },
  number: { $numberLong: String(2n ** 60n) },
  items: []
}

/** Runs a test against a server that answers calls like this, and gives it what was called. */
const withShop = <A, E>(
  answers: ReadonlyArray<Scripted.Answer>,
  test: (
    shop: MongoDB.Database,
    calls: () => ReadonlyArray<unknown>
  ) => Effect.Effect<A, E, HttpClient.HttpClient | TokenStore.TokenStore>
) => {
  const bodies: Array<unknown> = []
  const server = Scripted.make((sent) => {
    if (!sent.path.endsWith("/functions/call")) return undefined
    bodies.push(sent.body)
    return answers[Math.min(bodies.length, answers.length) - 1]
  })
  return App.logIn(app, Credentials.anonymous()).pipe(
    Effect.flatMap((user) => test(User.mongoClient(user).db("shop"), () => bodies)),
    Effect.provide(server.layer),
    Effect.provide(TokenStore.layerMemory)
  )
}

const called = (name: string, args: object) => ({
  name,
  service: "mongodb-atlas",
  arguments: [{ database: "shop", collection: "orders", ...args }]
})

type Orders = Collection.Collection<Order, typeof Order.Encoded>

interface Row {
  readonly run: (orders: Orders) => Effect.Effect<unknown, unknown, HttpClient.HttpClient | TokenStore.TokenStore>
  readonly call: object
  readonly answer: unknown
  readonly result: unknown
}

const one = { $numberInt: "1" }

/** Each operation: what it sends, what is answered, and what comes out. */
const rows: Readonly<Record<string, Row>> = {
  find: {
    run: Collection.find({ "items.count": { $gt: 1 } }, { sort: { at: -1 }, limit: 10 }),
    call: called("find", {
      query: { "items.count": { $gt: one } },
      sort: { at: { $numberInt: "-1" } },
      limit: { $numberInt: "10" }
    }),
    answer: [stored],
    result: [order]
  },
  "find without a filter": { run: Collection.find, call: called("find", { query: {} }), answer: [], result: [] },
  "find of a part": {
    run: (orders) => Collection.find(orders, {}, { projection: { at: 1 }, schema: Schema.Struct({ at: Schema.Date }) }),
    call: called("find", { query: {}, project: { at: one } }),
    answer: [{ _id: { $oid }, at: stored.at }],
    result: [{ at: new Date(0) }]
  },
  stream: {
    run: (orders) => Stream.runCollect(Collection.stream(orders, { _id: id })),
    call: called("find", { query: { _id: { $oid } } }),
    answer: [stored, stored],
    result: [order, order]
  },
  findOne: {
    run: (orders) => Collection.findOne(orders, { number: 5n }, { sort: { at: 1 } }),
    call: called("findOne", { query: { number: { $numberLong: "5" } }, sort: { at: one } }),
    answer: stored,
    result: Option.some(order)
  },
  "findOne of none": {
    run: Collection.findOne,
    call: called("findOne", { query: {} }),
    answer: null,
    result: Option.none()
  },
  aggregate: {
    run: (orders) => Collection.aggregate(orders, [{ $group: { _id: null, n: { $sum: 1 } } }]),
    call: called("aggregate", { pipeline: [{ $group: { _id: null, n: { $sum: one } } }] }),
    answer: [{ _id: null, n: { $numberLong: "9007199254740993" } }],
    result: [{ _id: null, n: Long.fromString("9007199254740993") }]
  },
  "aggregate by a schema": {
    run: (orders) => Collection.aggregate(orders, [], { schema: Schema.Struct({ n: Ejson.Int64 }) }),
    call: called("aggregate", { pipeline: [] }),
    answer: [{ n: { $numberLong: "9007199254740993" } }],
    result: [{ n: 9007199254740993n }]
  },
  count: {
    run: (orders) => Collection.count(orders, { note: "gift" }, { limit: 5 }),
    call: called("count", { query: { note: "gift" }, limit: { $numberInt: "5" } }),
    answer: { $numberLong: "3" },
    result: 3
  },
  insertOne: {
    run: (orders) => Collection.insertOne(orders, order),
    call: called("insertOne", { document: stored }),
    answer: { insertedId: { $oid } },
    result: { insertedId: id }
  },
  insertMany: {
    run: (orders) => Collection.insertMany(orders, [order, order]),
    call: called("insertMany", { documents: [stored, stored] }),
    answer: { insertedIds: [{ $oid }, { $oid }] },
    result: { insertedIds: [id, id] }
  },
  updateOne: {
    run: (orders) =>
      Collection.updateOne(orders, { _id: id }, { $inc: { "items.$[tea].count": 1 } }, {
        upsert: true,
        arrayFilters: [{ "tea.name": "tea" }]
      }),
    call: called("updateOne", {
      query: { _id: { $oid } },
      update: { $inc: { "items.$[tea].count": one } },
      upsert: true,
      arrayFilters: [{ "tea.name": "tea" }]
    }),
    answer: { matchedCount: { $numberInt: "0" }, modifiedCount: { $numberInt: "0" }, upsertedId: { $oid } },
    result: { matchedCount: 0, modifiedCount: 0, upsertedId: id }
  },
  updateMany: {
    run: (orders) => Collection.updateMany(orders, {}, { $set: { note: "gift" } }),
    call: called("updateMany", { query: {}, update: { $set: { note: "gift" } } }),
    answer: { matchedCount: one, modifiedCount: one },
    result: { matchedCount: 1, modifiedCount: 1 }
  },
  deleteOne: {
    run: (orders) => Collection.deleteOne(orders, { _id: id }),
    call: called("deleteOne", { query: { _id: { $oid } } }),
    answer: { deletedCount: one },
    result: { deletedCount: 1 }
  },
  deleteMany: {
    run: Collection.deleteMany({ note: null }),
    call: called("deleteMany", { query: { note: null } }),
    answer: { deletedCount: { $numberInt: "0" } },
    result: { deletedCount: 0 }
  },
  findOneAndUpdate: {
    run: (orders) =>
      Collection.findOneAndUpdate(orders, { _id: id }, { $set: { note: "gift" } }, {
        upsert: false,
        returnNewDocument: true,
        sort: { at: 1 }
      }),
    call: called("findOneAndUpdate", {
      filter: { _id: { $oid } },
      update: { $set: { note: "gift" } },
      upsert: false,
      returnNewDocument: true,
      sort: { at: one }
    }),
    answer: stored,
    result: Option.some(order)
  },
  findOneAndReplace: {
    run: (orders) => Collection.findOneAndReplace(orders, { _id: id }, order),
    call: called("findOneAndReplace", { filter: { _id: { $oid } }, update: stored }),
    answer: null,
    result: Option.none()
  },
  findOneAndDelete: {
    run: (orders) =>
      Collection.findOneAndDelete(orders, { _id: id }, {
        projection: { total: 1 },
        schema: Schema.Struct({ total: Schema.Number })
      }),
    call: called("findOneAndDelete", { filter: { _id: { $oid } }, projection: { total: one } }),
    answer: { _id: { $oid }, total: stored.total },
    result: Option.some({ total: 12 })
  }
}

describe("Collection", () => {
  it.effect.each(Object.entries(rows))(
    "%s speaks the protocol, and decodes by the schema",
    ([, row]) =>
      withShop([{ body: row.answer }], (shop, calls) =>
        Effect.gen(function*() {
          const result = yield* row.run(shop.collection("orders", Order))
          assert.deepStrictEqual(calls(), [row.call])
          assert.deepStrictEqual(result, row.result)
        }))
  )

  it.effect("without a schema answers BSON values as they come", () =>
    withShop([{ body: [stored] }], (shop) =>
      Effect.gen(function*() {
        const documents = yield* Collection.find(shop.collection("orders"))
        assert.deepStrictEqual(documents, [
          { _id: id, at: new Date(0), total: 12, number: Long.fromBigInt(2n ** 60n), items: [] }
        ])
      })))

  it.effect("names the collection, the document and the place when a document does not fit", () => {
    const broken = { ...stored, items: [{ name: "tea", count: one }, { name: "salt", count: "two" }] }
    return withShop([{ body: [stored, broken, stored] }], (shop) =>
      Effect.gen(function*() {
        const orders = shop.collection("orders", Order)
        const error = yield* Effect.flip(Collection.find(orders))
        if (error._tag !== "DocumentMismatchError") return assert.fail(error._tag)
        const { collection, detail, direction, id, path } = error
        assert.deepStrictEqual({ collection, direction, id, path }, {
          collection: "shop.orders",
          direction: "Read",
          id: $oid,
          path: "items[1].count"
        })
        assert.notInclude(detail, "two")
        assert.include(error.message, `${$oid} read from shop.orders does not fit the schema at items[1].count`)

        const results = yield* Collection.findResults(orders)
        assert.deepStrictEqual(results.map(Result.isSuccess), [true, false, true])

        const seen: Array<Order> = []
        const ended = yield* Effect.flip(
          Stream.runForEach(Collection.stream(orders), (order) => Effect.sync(() => seen.push(order)))
        )
        assert.strictEqual(ended._tag, "DocumentMismatchError")
        assert.deepStrictEqual(seen, [order])
      }))
  })

  it.effect("sends no document that does not fit, nor any of those beside it", () =>
    withShop([{ body: { insertedIds: [] } }], (shop, calls) =>
      Effect.gen(function*() {
        const Small = Schema.Struct({ _id: Schema.String, n: Schema.Int.check(Schema.isLessThan(10)) })
        const small = shop.collection("small", Small)
        const error = yield* Effect.flip(Collection.insertMany(small, [{ _id: "a", n: 1 }, { _id: "b", n: 10 }]))
        assert.strictEqual(error._tag, "DocumentMismatchError")
        assert.include(error.message, "The document \"b\" for shop.small does not fit the schema at n")
        const replaced = yield* Effect.flip(Collection.findOneAndReplace(small, { _id: "a" }, { _id: "a", n: 11 }))
        assert.strictEqual(replaced._tag, "DocumentMismatchError")
        assert.deepStrictEqual(calls(), [])
      })))

  it.effect("refuses a filter with undefined in it, which would select more than was meant", () =>
    withShop([], (shop, calls) =>
      Effect.gen(function*() {
        const orders = shop.collection("orders")
        const filters: ReadonlyArray<readonly [Filter.Document, string]> = [
          [{ userId: undefined }, "filter.userId"],
          [{ $or: [{ a: 1 }, { b: { $in: [undefined] } }] }, "filter.$or[1].b.$in[0]"]
        ]
        for (const [filter, path] of filters) {
          const operations: ReadonlyArray<
            Effect.Effect<unknown, Collection.FindError, HttpClient.HttpClient | TokenStore.TokenStore>
          > = [
            Collection.deleteMany(orders, filter),
            Collection.find(orders, filter),
            Collection.updateMany(orders, filter, { $set: { a: 1 } }),
            Collection.findOneAndDelete(orders, filter)
          ]
          for (const operation of operations) {
            const error = yield* Effect.flip(operation)
            assert.strictEqual(error._tag, "EjsonError")
            assert.include(error.message, path)
          }
        }
        assert.deepStrictEqual(calls(), [])
      })))

  it.effect("says of a value that cannot be sent where it is, and sends nothing", () =>
    withShop([], (shop, calls) =>
      Effect.gen(function*() {
        const orders = shop.collection("orders")
        const error = yield* Effect.flip(Collection.find(orders, { a: { $gt: Symbol("a") } }))
        assert.strictEqual(error._tag, "EjsonError")
        const deep = Array.from({ length: 10_000 }).reduce<Filter.Document>((a) => ({ a }), {})
        assert.strictEqual((yield* Effect.flip(Collection.find(orders, deep)))._tag, "EjsonError")
        assert.strictEqual((yield* Effect.flip(Collection.insertOne(orders, deep)))._tag, "EjsonError")
        assert.deepStrictEqual(calls(), [])
      })))

  it.effect("sends reads again that fail for the moment, and writes once", () =>
    withShop([{ status: 503, body: { error: "later" } }], (shop, calls) =>
      Effect.gen(function*() {
        const orders = shop.collection("orders", Order)
        const policy = Policy.provide({ reads: Schedule.recurs(2) })
        yield* Effect.ignore(policy(Collection.find(orders)))
        assert.strictEqual(calls().length, 3)
        for (const name of ["insertOne", "updateOne", "deleteMany", "findOneAndUpdate", "findOneAndDelete"]) {
          const before = calls().length
          yield* Effect.ignore(policy(rows[name]!.run(orders)))
          assert.strictEqual(calls().length - before, 1, name)
        }
      })))

  it.effect("fails as the server says", () =>
    withShop(
      [Scripted.refusal(403, "no rule exists for namespace 'shop.orders'", "NoMatchingRuleFound")],
      (shop) =>
        Effect.gen(function*() {
          const error = yield* Effect.flip(Collection.find(shop.collection("orders")))
          assert.strictEqual(error._tag === "DataError" && error.reason._tag, "NoMatchingRuleFound")
        })
    ))

  it.effect("takes a result of another shape for an invalid answer", () =>
    Effect.forEach([{}, "x", [1], null, [[]]], (body) =>
      withShop([{ body }], (shop) =>
        Effect.gen(function*() {
          const error = yield* Effect.flip(Collection.find(shop.collection("orders")))
          assert.strictEqual(error._tag, "InvalidResponseError")
        }))))

  it.effect("is a value: equal to another of the same, and frozen", () =>
    withShop([], (shop) =>
      Effect.sync(() => {
        assert.isTrue(Equal.equals(shop.collection("orders", Order), shop.collection("orders", Order)))
        assert.isFalse(Equal.equals(shop.collection("orders"), shop.collection("people")))
        assert.isTrue(Object.isFrozen(shop.collection("orders")))
        assert.notInclude(JSON.stringify(shop.collection("orders", Order)), "schema")
      })))

  it("sends an unchecked filter as it is", () => {
    const filter = { $text: { $search: "tea" } }
    assert.strictEqual<object>(Filter.unchecked(filter), filter)
  })
})
