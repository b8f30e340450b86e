/**
 * Changes of one document that answer it: as writes they are sent once (law 10), and as reads decoded by a schema.
 */
import * as MongoDBService from "@effect-realm/protocol/MongoDBService"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import type * as HttpClient from "effect/http/HttpClient"
import type * as Option from "effect/Option"
import type { Collection, FindOneAndChangeOptions, FindOneAndError, FindOneOptions } from "../../Collection.ts"
import type { Document, Filter } from "../../Filter.ts"
import type { TokenStore } from "../../TokenStore.ts"
import type { Update } from "../../Update.ts"
import { type Answered, type AnyCollection, type AnyOptions, isDataFirst, optionalDecoder } from "./arguments.ts"
import * as DocumentCalls from "./documentCalls.ts"

const callFindOneAndUpdate = /* @__PURE__ */ DocumentCalls.make(MongoDBService.findOneAndUpdate)
const callFindOneAndReplace = /* @__PURE__ */ DocumentCalls.make(MongoDBService.findOneAndReplace)
const callFindOneAndDelete = /* @__PURE__ */ DocumentCalls.make(MongoDBService.findOneAndDelete)

const changing = (filter: Document, options: AnyOptions | undefined) => ({
  filter,
  projection: options?.projection,
  sort: options?.sort,
  upsert: options?.upsert,
  returnNewDocument: options?.returnNewDocument
})

/**
 * Changes the first document that matches a filter, and answers it (`MongoDBCollection.findOneAndUpdate`): as it was
 * before, or with `returnNewDocument` as it is now. `None` when none matches.
 *
 * Fails with `DocumentMismatchError` when the document does not fit the schema; it is changed all the same.
 *
 * @param update MongoDB's update operators
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
 *   const order = yield* Collection.findOneAndUpdate(orders, { _id: "a" }, { $inc: { total: 1 } }, {
 *     returnNewDocument: true
 *   })
 *   return Option.map(order, (order) => order.total)
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app }))) // => Option.some(13)
 * ```
 */
export const findOneAndUpdate: {
  <B = never>(
    filter: Filter<Document>,
    update: Update<Document>,
    options?: FindOneAndChangeOptions<Document, B>
  ): <A, I>(
    self: Collection<A, I>
  ) => Effect.Effect<Option.Option<Answered<A, B>>, FindOneAndError, HttpClient.HttpClient | TokenStore>
  <A, I, B = A>(
    self: Collection<A, I>,
    filter: Filter<I>,
    update: Update<I>,
    options?: FindOneAndChangeOptions<I, B>
  ): Effect.Effect<Option.Option<B>, FindOneAndError, HttpClient.HttpClient | TokenStore>
} = /* @__PURE__ */ dual(
  isDataFirst,
  (self: AnyCollection, filter: Document, update: Document, options?: AnyOptions): Effect.Effect<
    Option.Option<unknown>,
    FindOneAndError,
    HttpClient.HttpClient | TokenStore
  > => callFindOneAndUpdate(self, { ...changing(filter, options), update }, optionalDecoder(self, options))
)

/**
 * Puts a document in the place of the first that matches a filter, and answers that one
 * (`MongoDBCollection.findOneAndReplace`): as it was before, or with `returnNewDocument` as it is now. The `_id` stays. `None`
 * when none matches.
 *
 * Fails with `DocumentMismatchError` when the replacement does not fit the schema, before anything is sent; or when the
 * answered document does not, which is replaced all the same.
 *
 * @param replacement the document that takes its place
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
 *   const before = yield* Collection.findOneAndReplace(orders, { _id: "a" }, { _id: "a", total: 0 })
 *   return Option.map(before, (order) => order.total)
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app }))) // => Option.some(12)
 * ```
 */
export const findOneAndReplace: {
  <A, B = never>(
    filter: Filter<Document>,
    replacement: A,
    options?: FindOneAndChangeOptions<Document, B>
  ): <I>(
    self: Collection<A, I>
  ) => Effect.Effect<Option.Option<Answered<A, B>>, FindOneAndError, HttpClient.HttpClient | TokenStore>
  <A, I, B = A>(
    self: Collection<A, I>,
    filter: Filter<I>,
    replacement: NoInfer<A>,
    options?: FindOneAndChangeOptions<I, B>
  ): Effect.Effect<Option.Option<B>, FindOneAndError, HttpClient.HttpClient | TokenStore>
} = /* @__PURE__ */ dual(
  isDataFirst,
  (self: AnyCollection, filter: Document, replacement: unknown, options?: AnyOptions): Effect.Effect<
    Option.Option<unknown>,
    FindOneAndError,
    HttpClient.HttpClient | TokenStore
  > =>
    Effect.flatMap(
      DocumentCalls.encode(self, self.schema, replacement),
      (replacement) =>
        callFindOneAndReplace(self, { ...changing(filter, options), replacement }, optionalDecoder(self, options))
    )
)

/**
 * Removes the first document that matches a filter, and answers it (`MongoDBCollection.findOneAndDelete`). `None` when none
 * matches.
 *
 * Fails with `DocumentMismatchError` when the document does not fit the schema; it is removed all the same.
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
 *   const gone = yield* Collection.findOneAndDelete(orders, {}, { sort: { total: 1 } })
 *   return Option.map(gone, (order) => order._id)
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app }))) // => Option.some("b")
 * ```
 */
export const findOneAndDelete: {
  <B = never>(filter: Filter<Document>, options?: FindOneOptions<Document, B>): <A, I>(
    self: Collection<A, I>
  ) => Effect.Effect<Option.Option<Answered<A, B>>, FindOneAndError, HttpClient.HttpClient | TokenStore>
  <A, I, B = A>(self: Collection<A, I>, filter: Filter<I>, options?: FindOneOptions<I, B>): Effect.Effect<
    Option.Option<B>,
    FindOneAndError,
    HttpClient.HttpClient | TokenStore
  >
} = /* @__PURE__ */ dual(
  isDataFirst,
  (self: AnyCollection, filter: Document, options?: AnyOptions): Effect.Effect<
    Option.Option<unknown>,
    FindOneAndError,
    HttpClient.HttpClient | TokenStore
  > =>
    callFindOneAndDelete(
      self,
      { filter, projection: options?.projection, sort: options?.sort },
      optionalDecoder(self, options)
    )
)
