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
import { dual } from "effect/Function"
import type * as HttpClient from "effect/http/HttpClient"
import * as Pipeable from "effect/Pipeable"
import type * as Schedule from "effect/Schedule"
import type * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type { ChangeEvent } from "./ChangeEvent.ts"
import type { DocumentMismatchError } from "./ClientError.ts"
import type { Document, Projection, Sort } from "./Filter.ts"
import { type AnyCollection, isDataFirst } from "./internal/documents/arguments.ts"
import type * as DocumentCalls from "./internal/documents/documentCalls.ts"
import * as Watch from "./internal/documents/watch.ts"
import type { TokenStore } from "./TokenStore.ts"
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

/** What to watch: everything, the documents with these `ids`, or the events that match a `filter`; never both of these. */
export type WatchSelection<Id> =
  | {
    /** The `_id`s of the documents to watch. */
    readonly ids?: ReadonlyArray<Id>
    readonly filter?: never
  }
  | {
    readonly ids?: never
    /** A filter on the fields of change events, as MongoDB names them: `{ "fullDocument.status": "open" }`. */
    readonly filter?: Document
  }

/** What to watch, from where, and how. */
export type WatchOptions<Id> = WatchSelection<Id> & {
  /** The `resumeToken` of an event: changes after it are told first. */
  readonly resumeAfter?: Document
  /**
   * When to connect again after a connection was lost; from its beginning again after one that told something or lived for
   * half a minute. When it ends the stream fails with what was last in the way. Default: for ever, after 200 milliseconds
   * to 30 seconds.
   */
  readonly reconnect?: Schedule.Schedule<unknown, WatchError>
}

// -----------------------------------------------------------------------------
// Errors
// -----------------------------------------------------------------------------

/**
 * What every operation here can fail with, before documents are looked at: `ServiceError` when the app has no such data
 * source, `DataError` when the database or the rules refuse, `FunctionError` when a function in a rule fails, and
 * `EjsonError`, before anything is sent, for a value that cannot be sent.
 */
export type CollectionError = DocumentCalls.CallError

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

/** What {@link watch} can fail with. */
export type WatchError = CollectionError

// -----------------------------------------------------------------------------
// Reads
// -----------------------------------------------------------------------------

export { aggregate, count, find, findOne, findResults, stream } from "./internal/documents/reads.ts"

// -----------------------------------------------------------------------------
// Writes
// -----------------------------------------------------------------------------

export { deleteMany, deleteOne, insertMany, insertOne, updateMany, updateOne } from "./internal/documents/writes.ts"

// -----------------------------------------------------------------------------
// Find one and change it
// -----------------------------------------------------------------------------

export { findOneAndDelete, findOneAndReplace, findOneAndUpdate } from "./internal/documents/findOneAnd.ts"

// -----------------------------------------------------------------------------
// Watch
// -----------------------------------------------------------------------------

/**
 * The changes of the collection, for as long as the stream is read (`MongoDBCollection.watch`, protocol section 9.4). First
 * comes `Opened`, when no later change can be missed.
 *
 * A connection that is lost, or on which nothing has arrived for 45 seconds, is opened again, with a fresh token where it
 * needs one, and resumed after the last event that was handed on: nothing is lost and nothing comes twice. Where the server cannot resume, the event `Gap` says so: read
 * again then what depends on the changes. A server that is not ours cannot, and is seen to be open by its first event.
 *
 * A document that does not fit the schema is told as `Mismatch`, and the stream goes on. It ends when it is interrupted, and
 * fails when the user logs out (`NotLoggedInError`) or the server refuses for good: the session has ended, the rules do not
 * allow it, `resumeAfter` is too old (`DataError`, reason `ChangeStreamHistoryLost`).
 *
 * ```ts
 * import { Collection, User } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect, Schema, Stream } from "effect"
 *
 * const Order = Schema.Struct({ _id: Schema.Int, total: Schema.Int })
 * const program = Effect.gen(function*() {
 *   const user = yield* RealmTest.anonymousUser
 *   const orders = User.mongoClient(user).db("shop").collection("orders", Order)
 *   return yield* orders.pipe(
 *     Collection.watch({ filter: { "fullDocument.total": { $gte: 10 } } }),
 *     Stream.tap((event) =>
 *       event._tag === "Opened"
 *         ? Collection.insertMany(orders, [{ _id: 1, total: 3 }, { _id: 2, total: 30 }])
 *         : Effect.void
 *     ),
 *     Stream.flatMap((event) => event._tag === "Insert" ? Stream.succeed(event.fullDocument) : Stream.empty),
 *     Stream.take(1),
 *     Stream.runCollect
 *   )
 * })
 *
 * const everything = { name: "everybody", applyWhen: {}, read: true, write: true, insert: true }
 * const app = AppDefinition.make({
 *   appId: "shop-abcde",
 *   authProviders: { anonymous: {} },
 *   dataSources: [{ defaultRule: { roles: [everything] } }]
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app }))) // => [{ _id: 2, total: 30 }]
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
