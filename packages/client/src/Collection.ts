/**
 * A collection of documents, as a user sees it (`Realm.Services.MongoDBCollection`, protocol section 9). A `Collection` is a
 * value that says which; what it can do are the functions of this module. Every operation runs under the rules that the
 * app has for the user: what they may not read is not answered, and a write that they may not do fails.
 *
 * Reads are sent again by `Policy` when they fail for the moment. Writes are sent once, and once more only after a 401,
 * which proves that they did not run; pipe one into `Policy.idempotent` when it may run more than once.
 *
 * Filters and updates speak of documents as they are stored: of what the schema encodes to. The data-first form checks
 * them against it; the data-last form, which does not know the collection yet, takes any.
 *
 * The protocol has no `replaceOne`, `distinct` and `bulkWrite` for clients: see `findOneAndReplace` and `aggregate`, or call a
 * function of the app.
 */
import * as MongoDBService from "@effect-realm/protocol/MongoDBService"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import type * as HttpClient from "effect/http/HttpClient"
import type * as Option from "effect/Option"
import * as Pipeable from "effect/Pipeable"
import type * as Result from "effect/Result"
import type * as Schedule from "effect/Schedule"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { ChangeEvent } from "./ChangeEvent.ts"
import type { DocumentMismatchError } from "./ClientError.ts"
import type { Document, Filter, Projection, Sort } from "./Filter.ts"
import * as Documents from "./internal/documents.ts"
import * as Watch from "./internal/watch.ts"
import type { TokenStore } from "./TokenStore.ts"
import type { Update } from "./Update.ts"
import type { User } from "./User.ts"

// -----------------------------------------------------------------------------
// Model
// -----------------------------------------------------------------------------

/** A schema of documents that needs no services: what it encodes to are the fields of the stored document. */
export interface DocumentSchema extends Schema.ConstraintCodec<unknown, object> {}

/** Which collection, and what its documents look like: `A` in the program, `I` as they are stored. */
export class Collection<A, I> extends Pipeable.Class {
  readonly _tag = "Collection"
  /** Whose rules apply. */
  readonly user: User
  /** The name of the data source. */
  readonly service: string
  readonly database: string
  readonly name: string
  /** What its documents look like; `undefined` when they are answered as they come. */
  readonly schema: Schema.ConstraintCodec<A, I> | undefined

  constructor(options: {
    readonly user: User
    readonly service: string
    readonly database: string
    readonly name: string
    readonly schema?: Schema.ConstraintCodec<A, I> | undefined
  }) {
    super()
    this.user = options.user
    this.service = options.service
    this.database = options.database
    this.name = options.name
    this.schema = options.schema
    Object.freeze(this)
  }

  /** A schema is no part of what is printed. */
  toJSON(): unknown {
    const { _tag, database, name, service, user } = this
    return { _tag, user, service, database, name }
  }
}

/**
 * The same collection without its schema, for documents that do not fit it.
 *
 * ```ts
 * import { Collection, User } from "@effect-realm/client"
 * import { Schema } from "effect"
 *
 * const user = User.make({ appId: "shop-abcde", baseUrl: "http://localhost:9090", id: "636aba021728b6c1c03db7f9" })
 * const orders = User.mongoClient(user).db("shop").collection("orders", Schema.Struct({ total: Schema.Int }))
 * Collection.untyped(orders).schema // => undefined
 * ```
 */
export const untyped = <A, I>({ database, name, service, user }: Collection<A, I>): Collection<Document, Document> =>
  new Collection({ user, service, database, name })

/** The `_id` of a stored document. Without a schema nothing is known about it. */
export type Id<I> = I extends { readonly _id?: infer Id } ? unknown extends Id ? unknown : NonNullable<Id> : unknown

/** A schema of what is answered in place of whole documents. */
export type ResultSchema<B> = Schema.ConstraintCodec<B, unknown>

/** Which part of the documents is answered, and as what. */
export interface Shape<I, B> {
  /** Which fields are answered; all by default. */
  readonly projection?: Projection<I>
  /** What the answered documents look like; the schema of the collection by default. Needed where a projection leaves out what that one requires. */
  readonly schema?: ResultSchema<B>
}

/** How to find one document. */
export interface FindOneOptions<I, B> extends Shape<I, B> {
  /** Which is the first, when many match. */
  readonly sort?: Sort<I>
}

/** How to find documents. */
export interface FindOptions<I, B> extends Shape<I, B> {
  /** In which order they are answered; by default in that of the database. */
  readonly sort?: Sort<I>
  /** How many are answered at most; by default all, of which App Services allowed 50,000. */
  readonly limit?: number
}

/** How to update. */
export interface UpdateOptions {
  /** Whether a document is added when none matches; `false` by default. */
  readonly upsert?: boolean
  /** Which elements of an array the names in `$[name]` stand for. */
  readonly arrayFilters?: ReadonlyArray<Document>
}

/** How to change one document and get it. */
export interface FindOneAndChangeOptions<I, B> extends FindOneOptions<I, B> {
  /** Whether a document is added when none matches; `false` by default. */
  readonly upsert?: boolean
  /** Whether the document is answered as it is now; by default as it was before. */
  readonly returnNewDocument?: boolean
}

/** What an insert did. */
export interface InsertOneResult<Id> {
  /** The `_id` of the document: its own, or an `ObjectId` that the server made. */
  readonly insertedId: Id
}

/** What an insert of many did. */
export interface InsertManyResult<Id> {
  /** The `_id` of each document, in order. */
  readonly insertedIds: ReadonlyArray<Id>
}

/** What an update did. */
export interface UpdateResult<Id> {
  readonly matchedCount: number
  /** How many documents are other than before. */
  readonly modifiedCount: number
  /** The `_id` of the document that an upsert added; then both counts are 0. */
  readonly upsertedId?: Id
}

/** What a removal did. */
export interface DeleteResult {
  readonly deletedCount: number
}

// What a schema in the options says, or that of the collection.
type Answered<A, B> = [B] extends [never] ? A : B

// -----------------------------------------------------------------------------
// Errors
// -----------------------------------------------------------------------------

/**
 * What every operation here can fail with, before documents are looked at: `ServiceError` when the app has no such data
 * source, `DataError` when the database or the rules refuse, `FunctionError` when a function in a rule fails, and
 * `EjsonError`, before anything is sent, for a value that cannot be sent.
 */
export type CollectionError = Documents.CallError

/** What {@link find}, {@link stream} and {@link findOne} can fail with. */
export type FindError = CollectionError | DocumentMismatchError

/** What {@link aggregate} can fail with. */
export type AggregateError = CollectionError | DocumentMismatchError

/** What {@link count} can fail with. */
export type CountError = CollectionError

/** What {@link insertOne} and {@link insertMany} can fail with. */
export type InsertError = CollectionError | DocumentMismatchError

/** What {@link updateOne} and {@link updateMany} can fail with. */
export type UpdateError = CollectionError

/** What {@link deleteOne} and {@link deleteMany} can fail with. */
export type DeleteError = CollectionError

/** What {@link findOneAndUpdate}, {@link findOneAndReplace} and {@link findOneAndDelete} can fail with. */
export type FindOneAndError = CollectionError | DocumentMismatchError

/** What to watch, and how. Without `ids` and `filter`, everything. */
export interface WatchOptions<Id> {
  /** The `_id`s of the documents to watch. Not together with `filter`. */
  readonly ids?: ReadonlyArray<Id>
  /** A filter on the fields of change events, as MongoDB names them: `{ "fullDocument.status": "open" }`. */
  readonly filter?: Document
  /** The `resumeToken` of an event: changes after it are told first. */
  readonly resumeAfter?: Document
  /**
   * When to connect again after a connection was lost; from its beginning again after one that told something or lived for
   * half a minute. When it ends the stream fails with what was last in the way. Default: for ever, after 200 milliseconds
   * to 30 seconds.
   */
  readonly reconnect?: Schedule.Schedule<unknown, WatchError>
}

type AnyCollection = Collection<unknown, unknown>

/** What {@link watch} can fail with. */
export type WatchError = CollectionError

const isDataFirst = (args: IArguments): boolean => args[0] instanceof Collection

/** What the options of any operation may hold, as it is sent; `schema` stays here. */
interface AnyOptions {
  readonly projection?: Document
  readonly sort?: Document
  readonly limit?: number
  readonly upsert?: boolean
  readonly returnNewDocument?: boolean
  readonly arrayFilters?: ReadonlyArray<Document>
  readonly schema?: ResultSchema<unknown>
}

// -----------------------------------------------------------------------------
// Reads
// -----------------------------------------------------------------------------

/** Decodes documents by the schema of the options, or of the collection. */
const decoder = (self: AnyCollection, options: AnyOptions | undefined) => (document: Document) =>
  Documents.decode(self, options?.schema ?? self.schema, document)

/** The same for one that may be missing. */
const optionalDecoder = (self: AnyCollection, options: AnyOptions | undefined) => (document: Document | null) =>
  document === null ? Effect.succeedNone : Effect.asSome(decoder(self, options)(document))

const callFind = /* @__PURE__ */ Documents.make(MongoDBService.find)

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

const callFindOne = /* @__PURE__ */ Documents.make(MongoDBService.findOne)

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

const callAggregate = /* @__PURE__ */ Documents.make(MongoDBService.aggregate)

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
      Effect.forEach((document) => Documents.decode(self, options?.schema, document))
    )
)

const callCount = /* @__PURE__ */ Documents.make(MongoDBService.count)

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

// -----------------------------------------------------------------------------
// Writes
// -----------------------------------------------------------------------------

const callInsertOne = /* @__PURE__ */ Documents.make(MongoDBService.insertOne)
const callInsertMany = /* @__PURE__ */ Documents.make(MongoDBService.insertMany)

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
      Documents.encode(self, self.schema, document),
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
      Effect.forEach(documents, (document) => Documents.encode(self, self.schema, document)),
      (documents) => callInsertMany(self, { documents }, Effect.succeed)
    )
)

const callUpdateOne = /* @__PURE__ */ Documents.make(MongoDBService.updateOne)
const callUpdateMany = /* @__PURE__ */ Documents.make(MongoDBService.updateMany)

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
} = /* @__PURE__ */ dual(
  isDataFirst,
  (self: AnyCollection, filter: Document, update: Document, options?: UpdateOptions): Effect.Effect<
    UpdateResult<unknown>,
    UpdateError,
    HttpClient.HttpClient | TokenStore
  > =>
    callUpdateOne(
      self,
      { filter, update, upsert: options?.upsert, arrayFilters: options?.arrayFilters },
      Effect.succeed
    )
)

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
} = /* @__PURE__ */ dual(
  isDataFirst,
  (self: AnyCollection, filter: Document, update: Document, options?: UpdateOptions): Effect.Effect<
    UpdateResult<unknown>,
    UpdateError,
    HttpClient.HttpClient | TokenStore
  > =>
    callUpdateMany(
      self,
      { filter, update, upsert: options?.upsert, arrayFilters: options?.arrayFilters },
      Effect.succeed
    )
)

const callDeleteOne = /* @__PURE__ */ Documents.make(MongoDBService.deleteOne)
const callDeleteMany = /* @__PURE__ */ Documents.make(MongoDBService.deleteMany)

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
} = /* @__PURE__ */ dual(
  2,
  (self: AnyCollection, filter: Document): Effect.Effect<
    DeleteResult,
    DeleteError,
    HttpClient.HttpClient | TokenStore
  > => callDeleteOne(self, { filter }, Effect.succeed)
)

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
} = /* @__PURE__ */ dual(
  2,
  (self: AnyCollection, filter: Document): Effect.Effect<
    DeleteResult,
    DeleteError,
    HttpClient.HttpClient | TokenStore
  > => callDeleteMany(self, { filter }, Effect.succeed)
)

// -----------------------------------------------------------------------------
// Find one and change it
// -----------------------------------------------------------------------------

const callFindOneAndUpdate = /* @__PURE__ */ Documents.make(MongoDBService.findOneAndUpdate)
const callFindOneAndReplace = /* @__PURE__ */ Documents.make(MongoDBService.findOneAndReplace)
const callFindOneAndDelete = /* @__PURE__ */ Documents.make(MongoDBService.findOneAndDelete)

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
      Documents.encode(self, self.schema, replacement),
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

// -----------------------------------------------------------------------------
// Watch
// -----------------------------------------------------------------------------

/**
 * The changes of the collection, for as long as the stream is read (`MongoDBCollection.watch`, protocol section 9.4). First
 * comes `Opened`, when no later change can be missed.
 *
 * A connection that is lost is opened again, with a fresh token where it needs one, and resumed after the last event that
 * was handed on: nothing is lost and nothing comes twice. Where the server cannot resume, the event `Gap` says so: read
 * again then what depends on the changes. A server that is not ours cannot, and is seen to be open by its first event.
 *
 * A document that does not fit the schema is told as `Mismatch`, and the stream goes on. It ends when it is interrupted, and
 * fails when the server refuses for good: the session has ended, the rules do not allow it, `resumeAfter` is too old
 * (`DataError`, reason `ChangeStreamHistoryLost`). The server of this project does not answer it yet: there it fails with
 * `ServiceError`, reason `ServiceNotFound`.
 *
 * ```ts no-run
 * import { Collection, User } from "@effect-realm/client"
 * import { Console, Effect, Schema, Stream } from "effect"
 *
 * const Order = Schema.Struct({ _id: Schema.String, total: Schema.Int })
 * export const program = (user: User.User) =>
 *   User.mongoClient(user).db("shop").collection("orders", Order).pipe(
 *     Collection.watch({ filter: { operationType: "insert" } }),
 *     Stream.runForEach((event) => event._tag === "Insert" ? Console.log(event.fullDocument.total) : Effect.void)
 *   )
 * ```
 */
export const watch: {
  (options?: WatchOptions<unknown>): <A, I>(
    self: Collection<A, I>
  ) => Stream.Stream<ChangeEvent<A, Id<I>>, WatchError, HttpClient.HttpClient | TokenStore>
  <A, I>(self: Collection<A, I>, options?: WatchOptions<Id<I>>): Stream.Stream<
    ChangeEvent<A, Id<I>>,
    WatchError,
    HttpClient.HttpClient | TokenStore
  >
} = /* @__PURE__ */ dual(
  isDataFirst,
  (self: AnyCollection, options: WatchOptions<unknown> = {}): Stream.Stream<
    ChangeEvent<unknown, unknown>,
    WatchError,
    HttpClient.HttpClient | TokenStore
  > => Watch.watch(self, self.schema, options)
)
