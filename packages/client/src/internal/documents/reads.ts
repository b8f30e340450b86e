/**
 * Reads of a collection: under a policy they are sent again.
 */
import * as MongoDBService from "@effect-realm/protocol/MongoDBService"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import type * as HttpClient from "effect/http/HttpClient"
import type * as Option from "effect/Option"
import type * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { DocumentMismatchError } from "../../ClientError.ts"
import type {
  AggregateError,
  Collection,
  CollectionError,
  CountError,
  FindError,
  FindOneOptions,
  FindOptions,
  ResultSchema
} from "../../Collection.ts"
import type { Document, Filter } from "../../Filter.ts"
import type { TokenStore } from "../../TokenStore.ts"
import {
  type Answered,
  type AnyCollection,
  type AnyOptions,
  decoder,
  isDataFirst,
  optionalDecoder
} from "./arguments.ts"
import * as DocumentCalls from "./documentCalls.ts"

const callFind = /* @__PURE__ */ DocumentCalls.make(MongoDBService.find)

const foundBy = <A, E>(
  self: AnyCollection,
  filter: Document | undefined,
  options: AnyOptions | undefined,
  use: (documents: ReadonlyArray<Document>) => Effect.Effect<A, E>
): Effect.Effect<A, E | CollectionError, HttpClient.HttpClient | TokenStore> =>
  callFind(
    self,
    { filter: filter ?? {}, projection: options?.projection, sort: options?.sort, limit: options?.limit },
    use
  )

/**
 * The documents that match a filter (`MongoDBCollection.find`); all of them without one.
 *
 * Fails with `DocumentMismatchError` when one of them does not fit the schema; {@link findResults} answers the others all
 * the same.
 *
 * @param filter what they have in common
 * @param options their order, how many at most, which part of them
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
 *   const large = yield* Collection.find(orders, { total: { $gt: 10 } }, { sort: { total: -1 } })
 *   return large.map((order) => order._id)
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app }))) // => ["a"]
 * ```
 */
export const find: {
  <B = never>(filter?: Filter<Document>, options?: FindOptions<Document, B>): <A, I>(
    self: Collection<A, I>
  ) => Effect.Effect<ReadonlyArray<Answered<A, B>>, FindError, HttpClient.HttpClient | TokenStore>
  <A, I, B = A>(self: Collection<A, I>, filter?: Filter<I>, options?: FindOptions<I, B>): Effect.Effect<
    ReadonlyArray<B>,
    FindError,
    HttpClient.HttpClient | TokenStore
  >
} = /* @__PURE__ */ dual(
  isDataFirst,
  (self: AnyCollection, filter?: Document, options?: AnyOptions): Effect.Effect<
    ReadonlyArray<unknown>,
    FindError,
    HttpClient.HttpClient | TokenStore
  > => foundBy(self, filter, options, Effect.forEach(decoder(self, options)))
)

/**
 * The documents that match a filter, each as it fits the schema or does not: one that was written by another program does
 * not keep the rest from being read.
 *
 * @param filter what they have in common
 * @param options their order, how many at most, which part of them
 *
 * ```ts
 * import { Collection, User } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect, Result, Schema } from "effect"
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
 *   yield* Collection.insertMany(Collection.untyped(orders), [{ _id: "a", total: 12 }, { _id: "b", total: "seven" }])
 *   const results = yield* Collection.findResults(orders, {}, { sort: { _id: 1 } })
 *   return results.map((result) => Result.isSuccess(result) ? result.success.total : result.failure.path)
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app }))) // => [12, "total"]
 * ```
 */
export const findResults: {
  <B = never>(filter?: Filter<Document>, options?: FindOptions<Document, B>): <A, I>(
    self: Collection<A, I>
  ) => Effect.Effect<
    ReadonlyArray<Result.Result<Answered<A, B>, DocumentMismatchError>>,
    CollectionError,
    HttpClient.HttpClient | TokenStore
  >
  <A, I, B = A>(self: Collection<A, I>, filter?: Filter<I>, options?: FindOptions<I, B>): Effect.Effect<
    ReadonlyArray<Result.Result<B, DocumentMismatchError>>,
    CollectionError,
    HttpClient.HttpClient | TokenStore
  >
} = /* @__PURE__ */ dual(
  isDataFirst,
  (self: AnyCollection, filter?: Document, options?: AnyOptions): Effect.Effect<
    ReadonlyArray<Result.Result<unknown, DocumentMismatchError>>,
    CollectionError,
    HttpClient.HttpClient | TokenStore
  > => foundBy(self, filter, options, Effect.forEach((document) => Effect.result(decoder(self, options)(document))))
)

/**
 * The documents that match a filter, as a `Stream`: each is decoded when it is asked for, so those before one that does not
 * fit the schema are handed on. The protocol has no cursor: they arrive in one answer, when the stream is run.
 *
 * @param filter what they have in common
 * @param options their order, how many at most, which part of them
 *
 * ```ts
 * import { Collection, User } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect, Schema, Stream } from "effect"
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
 *   return yield* Collection.stream(orders).pipe(Stream.map((order) => order.total), Stream.runSum)
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app }))) // => 19
 * ```
 */
export const stream: {
  <B = never>(filter?: Filter<Document>, options?: FindOptions<Document, B>): <A, I>(
    self: Collection<A, I>
  ) => Stream.Stream<Answered<A, B>, FindError, HttpClient.HttpClient | TokenStore>
  <A, I, B = A>(self: Collection<A, I>, filter?: Filter<I>, options?: FindOptions<I, B>): Stream.Stream<
    B,
    FindError,
    HttpClient.HttpClient | TokenStore
  >
} = /* @__PURE__ */ dual(
  isDataFirst,
  (self: AnyCollection, filter?: Document, options?: AnyOptions): Stream.Stream<
    unknown,
    FindError,
    HttpClient.HttpClient | TokenStore
  > => Stream.mapEffect(Stream.fromArrayEffect(foundBy(self, filter, options, Effect.succeed)), decoder(self, options))
)

const callFindOne = /* @__PURE__ */ DocumentCalls.make(MongoDBService.findOne)

/**
 * The first document that matches a filter (`MongoDBCollection.findOne`), or `None`.
 *
 * Fails with `DocumentMismatchError` when it does not fit the schema.
 *
 * @param filter what it looks like; any by default
 * @param options which is the first, and which part of it
 *
 * ```ts
 * import { Collection, User } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect, Option, Schema } from "effect"
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
 *   const cheapest = yield* Collection.findOne(orders, {}, { sort: { total: 1 } })
 *   return Option.map(cheapest, (order) => order._id)
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app }))) // => Option.some("b")
 * ```
 */
export const findOne: {
  <B = never>(filter?: Filter<Document>, options?: FindOneOptions<Document, B>): <A, I>(
    self: Collection<A, I>
  ) => Effect.Effect<Option.Option<Answered<A, B>>, FindError, HttpClient.HttpClient | TokenStore>
  <A, I, B = A>(self: Collection<A, I>, filter?: Filter<I>, options?: FindOneOptions<I, B>): Effect.Effect<
    Option.Option<B>,
    FindError,
    HttpClient.HttpClient | TokenStore
  >
} = /* @__PURE__ */ dual(
  isDataFirst,
  (self: AnyCollection, filter?: Document, options?: AnyOptions): Effect.Effect<
    Option.Option<unknown>,
    FindError,
    HttpClient.HttpClient | TokenStore
  > =>
    callFindOne(
      self,
      { filter: filter ?? {}, projection: options?.projection, sort: options?.sort },
      optionalDecoder(self, options)
    )
)

const callAggregate = /* @__PURE__ */ DocumentCalls.make(MongoDBService.aggregate)

/**
 * What an aggregation pipeline makes of the collection (`MongoDBCollection.aggregate`).
 *
 * Fails with `DocumentMismatchError` when a document does not fit the given schema, and with `DataError` for a stage that is
 * not there or that users may not use.
 *
 * @param pipeline the stages, in order
 * @param options.schema what comes out of the last stage; BSON values as they come without it
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
 *   return yield* Collection.aggregate(orders, [{ $group: { _id: null, sum: { $sum: "$total" } } }], {
 *     schema: Schema.Struct({ sum: Schema.Int })
 *   })
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app }))) // => [{ sum: 19 }]
 * ```
 */
export const aggregate: {
  <B = Document>(pipeline: ReadonlyArray<Document>, options?: { readonly schema?: ResultSchema<B> }): <A, I>(
    self: Collection<A, I>
  ) => Effect.Effect<ReadonlyArray<B>, AggregateError, HttpClient.HttpClient | TokenStore>
  <A, I, B = Document>(
    self: Collection<A, I>,
    pipeline: ReadonlyArray<Document>,
    options?: { readonly schema?: ResultSchema<B> }
  ): Effect.Effect<ReadonlyArray<B>, AggregateError, HttpClient.HttpClient | TokenStore>
} = /* @__PURE__ */ dual(
  isDataFirst,
  (
    self: AnyCollection,
    pipeline: ReadonlyArray<Document>,
    options?: { readonly schema?: ResultSchema<unknown> }
  ): Effect.Effect<ReadonlyArray<unknown>, AggregateError, HttpClient.HttpClient | TokenStore> =>
    callAggregate(
      self,
      { pipeline },
      Effect.forEach((document) => DocumentCalls.decode(self, options?.schema, document))
    )
)

const callCount = /* @__PURE__ */ DocumentCalls.make(MongoDBService.count)

/**
 * How many documents match a filter (`MongoDBCollection.count`).
 *
 * @param filter what they have in common; all by default
 * @param options.limit where to stop counting
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
 *   return yield* Collection.count(orders, { total: { $gt: 10 } })
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app }))) // => 1
 * ```
 */
export const count: {
  (filter?: Filter<Document>, options?: { readonly limit?: number }): <A, I>(
    self: Collection<A, I>
  ) => Effect.Effect<number, CountError, HttpClient.HttpClient | TokenStore>
  <A, I>(self: Collection<A, I>, filter?: Filter<I>, options?: { readonly limit?: number }): Effect.Effect<
    number,
    CountError,
    HttpClient.HttpClient | TokenStore
  >
} = /* @__PURE__ */ dual(
  isDataFirst,
  (self: AnyCollection, filter?: Document, options?: AnyOptions): Effect.Effect<
    number,
    CountError,
    HttpClient.HttpClient | TokenStore
  > => callCount(self, { filter: filter ?? {}, limit: options?.limit }, Effect.succeed)
)
