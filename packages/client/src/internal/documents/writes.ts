/**
 * Writes to a collection: they are sent once (law 10).
 */
import * as MongoDBService from "@effect-realm/protocol/MongoDBService"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import type * as HttpClient from "effect/http/HttpClient"
import type {
  Collection,
  DeleteError,
  DeleteResult,
  Id,
  InsertError,
  InsertManyResult,
  InsertOneResult,
  UpdateError,
  UpdateOptions,
  UpdateResult
} from "../../Collection.ts"
import type { Document, Filter } from "../../Filter.ts"
import type { TokenStore } from "../../TokenStore.ts"
import type { Update } from "../../Update.ts"
import { type AnyCollection, isDataFirst } from "./arguments.ts"
import * as DocumentCalls from "./documentCalls.ts"

const callInsertOne = /* @__PURE__ */ DocumentCalls.make(MongoDBService.insertOne)
const callInsertMany = /* @__PURE__ */ DocumentCalls.make(MongoDBService.insertMany)

/**
 * Adds a document (`MongoDBCollection.insertOne`). One without `_id` gets an `ObjectId` from the server.
 *
 * Fails with `DocumentMismatchError`, before anything is sent, when the document does not fit the schema, and with
 * `DataError` when its `_id` is taken or the rules do not allow it.
 *
 * ```ts
 * import { Collection, User } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect, Schema } from "effect"
 *
 * const everything = { name: "owner", applyWhen: {}, read: true, write: true, insert: true, delete: true }
 * const app = AppDefinition.make({
 *   appId: "shop-abcde",
 *   authProviders: { anonymous: {} },
 *   dataSources: [{ defaultRule: { roles: [everything] } }]
 * })
 * const Order = Schema.Struct({ _id: Schema.String, total: Schema.Int })
 *
 * const program = Effect.gen(function*() {
 *   const user = yield* RealmTest.anonymousUser
 *   const orders = User.mongoClient(user).db("shop").collection("orders", Order)
 *   return yield* Collection.insertOne(orders, { _id: "a", total: 12 })
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app }))) // => { insertedId: "a" }
 * ```
 */
export const insertOne: {
  <A>(document: A): <I>(
    self: Collection<A, I>
  ) => Effect.Effect<InsertOneResult<Id<I>>, InsertError, HttpClient.HttpClient | TokenStore>
  <A, I>(self: Collection<A, I>, document: NoInfer<A>): Effect.Effect<
    InsertOneResult<Id<I>>,
    InsertError,
    HttpClient.HttpClient | TokenStore
  >
} = /* @__PURE__ */ dual(
  2,
  (self: AnyCollection, document: unknown): Effect.Effect<
    InsertOneResult<unknown>,
    InsertError,
    HttpClient.HttpClient | TokenStore
  > =>
    Effect.flatMap(
      DocumentCalls.encode(self, self.schema, document),
      (document) => callInsertOne(self, { document }, Effect.succeed)
    )
)

/**
 * Adds documents, in order (`MongoDBCollection.insertMany`). The `_id`s are an array, in the order of the documents.
 *
 * Fails as {@link insertOne}; a document that does not fit the schema keeps all from being sent. When the server refuses
 * one, those before it stay.
 *
 * ```ts
 * import { Collection, User } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect, Schema } from "effect"
 *
 * const everything = { name: "owner", applyWhen: {}, read: true, write: true, insert: true, delete: true }
 * const app = AppDefinition.make({
 *   appId: "shop-abcde",
 *   authProviders: { anonymous: {} },
 *   dataSources: [{ defaultRule: { roles: [everything] } }]
 * })
 * const Order = Schema.Struct({ _id: Schema.String, total: Schema.Int })
 *
 * const program = Effect.gen(function*() {
 *   const user = yield* RealmTest.anonymousUser
 *   const orders = User.mongoClient(user).db("shop").collection("orders", Order)
 *   return yield* Collection.insertMany(orders, [{ _id: "a", total: 12 }, { _id: "b", total: 7 }])
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app }))) // => { insertedIds: ["a", "b"] }
 * ```
 */
export const insertMany: {
  <A>(documents: ReadonlyArray<A>): <I>(
    self: Collection<A, I>
  ) => Effect.Effect<InsertManyResult<Id<I>>, InsertError, HttpClient.HttpClient | TokenStore>
  <A, I>(self: Collection<A, I>, documents: ReadonlyArray<NoInfer<A>>): Effect.Effect<
    InsertManyResult<Id<I>>,
    InsertError,
    HttpClient.HttpClient | TokenStore
  >
} = /* @__PURE__ */ dual(
  2,
  (self: AnyCollection, documents: ReadonlyArray<unknown>): Effect.Effect<
    InsertManyResult<unknown>,
    InsertError,
    HttpClient.HttpClient | TokenStore
  > =>
    Effect.flatMap(
      Effect.forEach(documents, (document) => DocumentCalls.encode(self, self.schema, document)),
      (documents) => callInsertMany(self, { documents }, Effect.succeed)
    )
)

const callUpdateOne = /* @__PURE__ */ DocumentCalls.make(MongoDBService.updateOne)
const callUpdateMany = /* @__PURE__ */ DocumentCalls.make(MongoDBService.updateMany)

/** What both take: `dual` makes an operation of it. */
const updating =
  (call: typeof callUpdateOne | typeof callUpdateMany) =>
  (self: AnyCollection, filter: Document, update: Document, options?: UpdateOptions): Effect.Effect<
    UpdateResult<unknown>,
    UpdateError,
    HttpClient.HttpClient | TokenStore
  > => call(self, { filter, update, upsert: options?.upsert, arrayFilters: options?.arrayFilters }, Effect.succeed)

/**
 * Changes the first document that matches a filter (`MongoDBCollection.updateOne`).
 *
 * Fails with `DataError` when the database knows no such operator or the rules do not allow the change.
 *
 * @param update MongoDB's update operators
 * @param options whether to add a document when there is none, and which elements of arrays are meant
 *
 * ```ts
 * import { Collection, User } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect, Schema } from "effect"
 *
 * const everything = { name: "owner", applyWhen: {}, read: true, write: true, insert: true, delete: true }
 * const app = AppDefinition.make({
 *   appId: "shop-abcde",
 *   authProviders: { anonymous: {} },
 *   dataSources: [{ defaultRule: { roles: [everything] } }]
 * })
 * const Order = Schema.Struct({ _id: Schema.String, total: Schema.Int })
 *
 * const program = Effect.gen(function*() {
 *   const user = yield* RealmTest.anonymousUser
 *   const orders = User.mongoClient(user).db("shop").collection("orders", Order)
 *   yield* Collection.insertMany(orders, [{ _id: "a", total: 12 }, { _id: "b", total: 7 }])
 *   return yield* Collection.updateOne(orders, { _id: "a" }, { $inc: { total: 1 } })
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app }))) // => { matchedCount: 1, modifiedCount: 1 }
 * ```
 */
export const updateOne: {
  (filter: Filter<Document>, update: Update<Document>, options?: UpdateOptions): <A, I>(
    self: Collection<A, I>
  ) => Effect.Effect<UpdateResult<Id<I>>, UpdateError, HttpClient.HttpClient | TokenStore>
  <A, I>(self: Collection<A, I>, filter: Filter<I>, update: Update<I>, options?: UpdateOptions): Effect.Effect<
    UpdateResult<Id<I>>,
    UpdateError,
    HttpClient.HttpClient | TokenStore
  >
} = /* @__PURE__ */ dual(isDataFirst, /* @__PURE__ */ updating(callUpdateOne))

/**
 * Changes all documents that match a filter (`MongoDBCollection.updateMany`).
 *
 * Fails with `DataError` when the database knows no such operator or the rules do not allow the change. Then nothing is changed.
 *
 * @param update MongoDB's update operators
 * @param options whether to add a document when there is none, and which elements of arrays are meant
 *
 * ```ts
 * import { Collection, User } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect, Schema } from "effect"
 *
 * const everything = { name: "owner", applyWhen: {}, read: true, write: true, insert: true, delete: true }
 * const app = AppDefinition.make({
 *   appId: "shop-abcde",
 *   authProviders: { anonymous: {} },
 *   dataSources: [{ defaultRule: { roles: [everything] } }]
 * })
 * const Order = Schema.Struct({ _id: Schema.String, total: Schema.Int })
 *
 * const program = Effect.gen(function*() {
 *   const user = yield* RealmTest.anonymousUser
 *   const orders = User.mongoClient(user).db("shop").collection("orders", Order)
 *   yield* Collection.insertMany(orders, [{ _id: "a", total: 12 }, { _id: "b", total: 7 }])
 *   return yield* Collection.updateMany(orders, {}, { $max: { total: 10 } })
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app }))) // => { matchedCount: 2, modifiedCount: 1 }
 * ```
 */
export const updateMany: {
  (filter: Filter<Document>, update: Update<Document>, options?: UpdateOptions): <A, I>(
    self: Collection<A, I>
  ) => Effect.Effect<UpdateResult<Id<I>>, UpdateError, HttpClient.HttpClient | TokenStore>
  <A, I>(self: Collection<A, I>, filter: Filter<I>, update: Update<I>, options?: UpdateOptions): Effect.Effect<
    UpdateResult<Id<I>>,
    UpdateError,
    HttpClient.HttpClient | TokenStore
  >
} = /* @__PURE__ */ dual(isDataFirst, /* @__PURE__ */ updating(callUpdateMany))

const callDeleteOne = /* @__PURE__ */ DocumentCalls.make(MongoDBService.deleteOne)
const callDeleteMany = /* @__PURE__ */ DocumentCalls.make(MongoDBService.deleteMany)

const deleting =
  (call: typeof callDeleteOne | typeof callDeleteMany) =>
  (self: AnyCollection, filter: Document): Effect.Effect<
    DeleteResult,
    DeleteError,
    HttpClient.HttpClient | TokenStore
  > => call(self, { filter }, Effect.succeed)

/**
 * Removes the first document that matches a filter (`MongoDBCollection.deleteOne`).
 *
 * Fails with `DataError` when the rules do not allow it.
 *
 * ```ts
 * import { Collection, User } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect, Schema } from "effect"
 *
 * const everything = { name: "owner", applyWhen: {}, read: true, write: true, insert: true, delete: true }
 * const app = AppDefinition.make({
 *   appId: "shop-abcde",
 *   authProviders: { anonymous: {} },
 *   dataSources: [{ defaultRule: { roles: [everything] } }]
 * })
 * const Order = Schema.Struct({ _id: Schema.String, total: Schema.Int })
 *
 * const program = Effect.gen(function*() {
 *   const user = yield* RealmTest.anonymousUser
 *   const orders = User.mongoClient(user).db("shop").collection("orders", Order)
 *   yield* Collection.insertMany(orders, [{ _id: "a", total: 12 }, { _id: "b", total: 7 }])
 *   return yield* Collection.deleteOne(orders, { total: { $lt: 10 } })
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app }))) // => { deletedCount: 1 }
 * ```
 */
export const deleteOne: {
  (filter: Filter<Document>): <A, I>(
    self: Collection<A, I>
  ) => Effect.Effect<DeleteResult, DeleteError, HttpClient.HttpClient | TokenStore>
  <A, I>(self: Collection<A, I>, filter: Filter<I>): Effect.Effect<
    DeleteResult,
    DeleteError,
    HttpClient.HttpClient | TokenStore
  >
} = /* @__PURE__ */ dual(2, /* @__PURE__ */ deleting(callDeleteOne))

/**
 * Removes all documents that match a filter (`MongoDBCollection.deleteMany`). An empty filter removes all: it has to be said.
 *
 * Fails with `DataError` when the rules do not allow it. Then nothing is removed.
 *
 * ```ts
 * import { Collection, User } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect, Schema } from "effect"
 *
 * const everything = { name: "owner", applyWhen: {}, read: true, write: true, insert: true, delete: true }
 * const app = AppDefinition.make({
 *   appId: "shop-abcde",
 *   authProviders: { anonymous: {} },
 *   dataSources: [{ defaultRule: { roles: [everything] } }]
 * })
 * const Order = Schema.Struct({ _id: Schema.String, total: Schema.Int })
 *
 * const program = Effect.gen(function*() {
 *   const user = yield* RealmTest.anonymousUser
 *   const orders = User.mongoClient(user).db("shop").collection("orders", Order)
 *   yield* Collection.insertMany(orders, [{ _id: "a", total: 12 }, { _id: "b", total: 7 }])
 *   return yield* Collection.deleteMany(orders, {})
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app }))) // => { deletedCount: 2 }
 * ```
 */
export const deleteMany: {
  (filter: Filter<Document>): <A, I>(
    self: Collection<A, I>
  ) => Effect.Effect<DeleteResult, DeleteError, HttpClient.HttpClient | TokenStore>
  <A, I>(self: Collection<A, I>, filter: Filter<I>): Effect.Effect<
    DeleteResult,
    DeleteError,
    HttpClient.HttpClient | TokenStore
  >
} = /* @__PURE__ */ dual(2, /* @__PURE__ */ deleting(callDeleteMany))
