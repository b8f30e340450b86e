import {
  type ChangeEvent,
  type ClientError,
  Collection,
  Filter,
  type MongoDB,
  type TokenStore,
  User
} from "@effect-realm/client"
import { Ejson, type RealmError } from "@effect-realm/protocol"
import type { Long, ObjectId } from "bson"
import { Effect, type Option, type Result, Schema, type Stream } from "effect"
import type { HttpClient } from "effect/http"
import { describe, expect, test } from "tstyche"

class Order extends Schema.Class<Order>("Order")({
  _id: Ejson.ObjectId,
  at: Schema.Date,
  status: Schema.Literals(["open", "closed"]),
  total: Schema.Number,
  number: Ejson.Int64,
  note: Schema.optionalKey(Schema.String),
  tags: Schema.Array(Schema.String),
  address: Schema.Struct({ city: Schema.String, geo: Schema.Struct({ lat: Schema.Number }) }),
  items: Schema.Array(Schema.Struct({ name: Schema.String, count: Schema.Int })),
  placedBy: Schema.NumberFromString
}) {}

const user = new User.User({ appId: "shop-abcde", baseUrl: "http://localhost:9090", id: "u1" })
const shop = User.mongoClient(user, "mongodb-atlas").db("shop")
const orders = shop.collection("orders", Order)
const anything = shop.collection("anything")
const Total = Schema.Struct({ total: Schema.Number })

declare const order: Order

type Operation<A, E> = Effect.Effect<A, E, HttpClient.HttpClient | TokenStore.TokenStore>

describe("handles", () => {
  test("lead from a user to a collection, which knows its schema", () => {
    expect(User.mongoClient(user)).type.toBe<MongoDB.MongoDB>()
    expect(user.pipe(User.mongoClient("mongodb-atlas"))).type.toBe<MongoDB.MongoDB>()
    expect(orders).type.toBe<Collection.Collection<Order, typeof Order.Encoded>>()
    expect(anything).type.toBe<Collection.Collection<Filter.Document, Filter.Document>>()
    expect(shop.collection).type.not.toBeCallableWith("orders", Schema.String)
  })
})

describe("operations", () => {
  test("need an HttpClient and a TokenStore, and answer what the schema decodes to", () => {
    expect(Collection.find(orders)).type.toBe<Operation<ReadonlyArray<Order>, Collection.FindError>>()
    expect(Collection.find(orders, { status: "open" })).type.toBe<
      Operation<ReadonlyArray<Order>, Collection.FindError>
    >()
    expect(orders.pipe(Collection.find())).type.toBe<Operation<ReadonlyArray<Order>, Collection.FindError>>()
    expect(Collection.find(anything)).type.toBe<
      Operation<ReadonlyArray<Filter.Document>, Collection.FindError>
    >()
    expect(Collection.findOne(orders)).type.toBe<Operation<Option.Option<Order>, Collection.FindError>>()
    expect(Collection.findResults(orders)).type.toBe<
      Operation<ReadonlyArray<Result.Result<Order, ClientError.DocumentMismatchError>>, Collection.CollectionError>
    >()
    expect(Collection.stream(orders)).type.toBe<
      Stream.Stream<Order, Collection.FindError, HttpClient.HttpClient | TokenStore.TokenStore>
    >()
    expect(Collection.watch(orders)).type.toBe<
      Stream.Stream<
        ChangeEvent.ChangeEvent<Order, ObjectId>,
        Collection.WatchError,
        HttpClient.HttpClient | TokenStore.TokenStore
      >
    >()
    expect(Collection.watch).type.toBeCallableWith(orders, { ids: [order._id], resumeAfter: {} })
    expect(Collection.watch).type.toBeCallableWith(orders, { filter: { operationType: "insert" } })
    expect(Collection.watch).type.not.toBeCallableWith(orders, { ids: [order._id], filter: {} })
    expect(Collection.watch).type.not.toBeCallableWith({ ids: [order._id], filter: {} })
    expect(Collection.watch).type.not.toBeCallableWith(orders, { ids: ["1"] })
    expect(Collection.count(orders)).type.toBe<Operation<number, Collection.CountError>>()
    expect(Collection.insertOne(orders, order)).type.toBe<
      Operation<Collection.InsertOneResult<ObjectId>, Collection.InsertError>
    >()
    expect(orders.pipe(Collection.insertOne(order))).type.toBe<
      Operation<Collection.InsertOneResult<ObjectId>, Collection.InsertError>
    >()
    expect(Collection.insertMany(anything, [{}])).type.toBe<
      Operation<Collection.InsertManyResult<unknown>, Collection.InsertError>
    >()
    expect(Collection.updateOne(orders, {}, {})).type.toBe<
      Operation<Collection.UpdateResult<ObjectId>, Collection.UpdateError>
    >()
    expect(Collection.deleteMany(orders, {})).type.toBe<Operation<Collection.DeleteResult, Collection.DeleteError>>()
    expect(Collection.findOneAndUpdate(orders, {}, {})).type.toBe<
      Operation<Option.Option<Order>, Collection.FindOneAndError>
    >()
    expect(orders.pipe(Collection.findOneAndDelete({}))).type.toBe<
      Operation<Option.Option<Order>, Collection.FindOneAndError>
    >()
  })

  test("answer what a schema in the options decodes to", () => {
    expect(Collection.find(orders, {}, { projection: { total: 1 }, schema: Total })).type.toBe<
      Operation<ReadonlyArray<{ readonly total: number }>, Collection.FindError>
    >()
    expect(orders.pipe(Collection.findOne({}, { schema: Total }))).type.toBe<
      Operation<Option.Option<{ readonly total: number }>, Collection.FindError>
    >()
    expect(Collection.aggregate(orders, [])).type.toBe<
      Operation<ReadonlyArray<Filter.Document>, Collection.AggregateError>
    >()
    expect(Collection.aggregate(orders, [], { schema: Total })).type.toBe<
      Operation<ReadonlyArray<{ readonly total: number }>, Collection.AggregateError>
    >()
  })

  test("take documents as the schema decodes them", () => {
    expect(Collection.insertOne).type.not.toBeCallableWith(orders, { total: 1 })
    expect(Collection.findOneAndReplace).type.toBeCallableWith(orders, {}, order)
    expect(Collection.findOneAndReplace).type.not.toBeCallableWith(orders, {}, { total: 1 })
  })

  test("take no write without a filter", () => {
    expect(Collection.deleteMany).type.not.toBeCallableWith(orders)
    expect(Collection.updateMany).type.not.toBeCallableWith(orders)
  })

  test("fail with errors that can all be handled", () => {
    const give = () => Effect.succeed<ReadonlyArray<Order>>([])
    const handled = Effect.catchTags(Collection.find(orders), {
      DocumentMismatchError: give,
      DataError: give,
      ServiceError: give,
      FunctionError: give,
      EjsonError: give,
      TransportError: give,
      InvalidResponseError: give,
      RequestError: give,
      AppError: give,
      UnknownServiceError: give,
      SessionError: give,
      NotLoggedInError: give,
      TokenStoreError: give
    })
    expect(handled).type.toBe<Operation<ReadonlyArray<Order>, never>>()
    expect<Collection.CountError>().type.toBe<
      | ClientError.ExchangeError
      | RealmError.FunctionError
      | RealmError.ServiceError
      | RealmError.DataError
      | Ejson.EjsonError
    >()
  })
})

const Parcel = Schema.Struct({
  _id: Schema.String.pipe(Schema.brand("ParcelId")),
  note: Schema.optional(Schema.String),
  from: Schema.optionalKey(Schema.Struct({ city: Schema.String, since: Schema.Date })),
  payment: Schema.Union([
    Schema.Struct({ _tag: Schema.Literal("Card"), last4: Schema.String }),
    Schema.Struct({ _tag: Schema.Literal("Invoice"), number: Schema.Int, due: Schema.Date })
  ]),
  items: Schema.Array(
    Schema.Struct({
      sku: Schema.String,
      options: Schema.optionalKey(Schema.Array(Schema.Struct({ name: Schema.String, count: Schema.Int })))
    })
  ),
  grid: Schema.Array(Schema.Array(Schema.Number)),
  flags: Schema.Record(Schema.String, Schema.Boolean),
  stock: Schema.Record(Schema.String, Schema.Struct({ count: Schema.Int })),
  json: Schema.Json,
  anything: Schema.Unknown
})
const parcels = shop.collection("parcels", Parcel)

type OrderFilter = Filter.Filter<typeof Order.Encoded>

describe("a filter", () => {
  test("knows the fields, paths with dots, and operators, as they are stored", () => {
    expect<OrderFilter>().type.toBeAssignableFrom({ status: "open" as const })
    expect<OrderFilter>().type.toBeAssignableFrom({ "address.geo.lat": { $gte: 1, $lt: 2 } })
    expect<OrderFilter>().type.toBeAssignableFrom({ "items.count": 2, "items.0.name": "tea" })
    expect<OrderFilter>().type.toBeAssignableFrom({ tags: "new" })
    expect<OrderFilter>().type.toBeAssignableFrom({ tags: ["new", "gift"] })
    expect<OrderFilter>().type.toBeAssignableFrom({ tags: { $all: ["new"], $size: 1 } })
    expect<OrderFilter>().type.toBeAssignableFrom({ items: { $elemMatch: { name: "tea", count: { $gt: 1 } } } })
    expect<OrderFilter>().type.toBeAssignableFrom({ number: 5n })
    expect<OrderFilter>().type.toBeAssignableFrom({ number: {} as Long })
    expect<OrderFilter>().type.toBeAssignableFrom({ total: 5n })
    expect<OrderFilter>().type.toBeAssignableFrom({ note: null })
    expect<OrderFilter>().type.toBeAssignableFrom({ note: /tea/ })
    expect<OrderFilter>().type.toBeAssignableFrom({ note: { $in: ["a", /b/], $exists: true } })
    expect<OrderFilter>().type.toBeAssignableFrom({
      $or: [{ status: "open" as const }, { total: { $not: { $gt: 1 } } }]
    })
    expect<OrderFilter>().type.toBeAssignableFrom({ placedBy: "5" })
  })

  test("knows optional fields, unions, arrays in arrays, and brands", () => {
    expect(Collection.find).type.toBeCallableWith(parcels, { _id: "p1" })
    expect(Collection.find).type.toBeCallableWith(parcels, {
      note: { $exists: false },
      from: { $exists: true },
      "from.city": "Rome"
    })
    expect(Collection.find).type.toBeCallableWith(parcels, { "from.since": { $gte: new Date(0), $lt: new Date(1) } })
    expect(Collection.find).type.toBeCallableWith(parcels, { "payment._tag": "Card", "payment.last4": "1234" })
    expect(Collection.find).type.toBeCallableWith(parcels, {
      payment: { _tag: "Card", last4: "1234" },
      "payment.due": { $lt: new Date(0) }
    })
    expect(Collection.find).type.toBeCallableWith(parcels, {
      "items.options.count": { $gt: 1 },
      "items.0.options.0.name": "red"
    })
    expect(Collection.find).type.toBeCallableWith(parcels, {
      items: { $elemMatch: { sku: "a", options: { $elemMatch: { count: 1 } } } }
    })
    expect(Collection.find).type.toBeCallableWith(parcels, {
      "grid.0.0": 1,
      grid: { $elemMatch: { $elemMatch: { $gt: 1 } } }
    })
    expect(Collection.find).type.not.toBeCallableWith(parcels, { "from.town": "Rome" })
    expect(Collection.find).type.not.toBeCallableWith(parcels, { "payment._tag": "Cash" })
    expect(Collection.find).type.not.toBeCallableWith(parcels, { "payment.number": "1" })
    expect(Collection.find).type.not.toBeCallableWith(parcels, { items: { $elemMatch: { skuu: "a" } } })
    expect(Collection.find).type.not.toBeCallableWith(parcels, { $or: [{ noted: "x" }] })
  })

  test("lets every path into a record, and into what nothing is known about", () => {
    expect(Collection.find).type.toBeCallableWith(parcels, {
      "flags.fragile": true,
      "stock.rome.count": { $gt: 1 },
      "stock.rome": { count: 1 }
    })
    expect(Collection.find).type.toBeCallableWith(parcels, {
      "json.a.b": 1,
      json: { a: { b: 1 } },
      "anything.a.0": { $exists: true }
    })
    expect(Collection.find).type.not.toBeCallableWith(parcels, { "flags.fragile": "yes" })
  })

  test("refuses what cannot match", () => {
    expect(Collection.find).type.not.toBeCallableWith(orders, { state: "open" })
    expect(Collection.find).type.not.toBeCallableWith(orders, { status: "opened" })
    expect(Collection.find).type.not.toBeCallableWith(orders, { "address.town": "x" })
    expect(Collection.find).type.not.toBeCallableWith(orders, { total: "5" })
    expect(Collection.find).type.not.toBeCallableWith(orders, { total: { $above: 5 } })
    expect(Collection.find).type.not.toBeCallableWith(orders, { at: "2020-01-01" })
    expect(Collection.find).type.not.toBeCallableWith(orders, { _id: "65f000000000000000000001" })
    expect(Collection.find).type.not.toBeCallableWith(orders, { placedBy: 5 })
    expect(Collection.find).type.not.toBeCallableWith(orders, { note: undefined })
    expect(Collection.find).type.not.toBeCallableWith(orders, {}, { sort: { state: 1 } })
  })

  test("takes anything unchecked, and without a schema", () => {
    expect(Collection.find).type.toBeCallableWith(orders, Filter.unchecked({ $text: { $search: "tea" } }))
    expect(Collection.find).type.toBeCallableWith(anything, { any: { $thing: 1 } })
    expect(Collection.find({ any: 1 })).type.toBeCallableWith(orders)
  })
})

describe("an update", () => {
  test("knows operators and paths, as they are stored", () => {
    expect(Collection.updateOne).type.toBeCallableWith(orders, {}, {
      $set: { status: "closed", "address.city": "Rome", "items.0.count": 2, "items.$[tea].name": "x" },
      $unset: { note: "" },
      $inc: { total: 1, "items.$.count": 1, number: 1n },
      $push: { tags: "new", items: { $each: [{ name: "tea", count: 1 }], $slice: -5 } },
      $pull: { items: { name: "tea" } },
      $addToSet: { tags: { $each: ["a"] } },
      $currentDate: { at: true }
    })
    expect(Collection.updateOne).type.toBeCallableWith(orders, {}, Filter.unchecked({ $new: { x: 1 } }))
    expect(Collection.updateOne).type.toBeCallableWith(anything, {}, { $set: { any: 1 } })
  })

  test("knows unions, arrays in arrays, records, and what nothing is known about", () => {
    expect(Collection.updateOne).type.toBeCallableWith(parcels, {}, {
      $set: { "payment.last4": "1", payment: { _tag: "Card", last4: "1" }, "from.city": "Rome", note: "x" },
      $inc: { "items.$[e].options.$[o].count": 1, "grid.$[].$[]": 1 },
      $push: { "items.$.options": { name: "red", count: 1 }, grid: [1, 2] },
      $unset: { from: "" },
      $currentDate: { "from.since": true }
    })
    expect(Collection.updateOne).type.toBeCallableWith(parcels, {}, {
      $set: { "flags.fragile": true, "stock.rome.count": 1, "json.a": [1], anything: 5 },
      $inc: { "stock.paris.count": 1 },
      $push: { "json.list": 1 }
    })
    expect(Collection.updateOne).type.toBeCallableWith(orders, {}, { $currentDate: { at: { $type: "date" } } })
  })

  test("refuses what does not fit", () => {
    expect(Collection.updateOne).type.not.toBeCallableWith(parcels, {}, { $set: { note: undefined } })
    expect(Collection.updateOne).type.not.toBeCallableWith(parcels, {}, { $set: { "items.sku": "a" } })
    expect(Collection.updateOne).type.not.toBeCallableWith(parcels, {}, { $set: { "flags.fragile": "yes" } })
    expect(Collection.updateOne).type.not.toBeCallableWith(parcels, {}, { $unset: { _id: "" } })
    expect(Collection.updateOne).type.not.toBeCallableWith(parcels, {}, { $currentDate: { note: true } })
    expect(Collection.updateOne).type.not.toBeCallableWith(orders, {}, { $currentDate: { at: { $type: "timestamp" } } })
    expect(Collection.updateOne).type.not.toBeCallableWith(orders, {}, { $set: { state: "closed" } })
    expect(Collection.updateOne).type.not.toBeCallableWith(orders, {}, { $set: { total: "5" } })
    expect(Collection.updateOne).type.not.toBeCallableWith(orders, {}, { $inc: { status: 1 } })
    expect(Collection.updateOne).type.not.toBeCallableWith(orders, {}, { $push: { tags: 1 } })
    expect(Collection.updateOne).type.not.toBeCallableWith(orders, {}, { $push: { total: 1 } })
    expect(Collection.updateOne).type.not.toBeCallableWith(orders, {}, { total: 1 })
  })
})
