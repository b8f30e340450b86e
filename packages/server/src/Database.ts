/**
 * Documents with MongoDB's own semantics: what accounts, sessions, keys and custom user data are kept in.
 *
 * One service, whatever the engine. The embedded engine is a file, or memory, on `node:sqlite`, in the thread of the process.
 * An operation that takes longer than some milliseconds is done in slices, between which everything else has its turn.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { ChangeLogOptions, Reader, Watched, WatchOptions } from "./ChangeStream.ts"
import type { Access } from "./DatabaseAccess.ts"
import type { DatabaseError } from "./DatabaseError.ts"
import type { Retention } from "./internal/engine/changeLog.ts"
import * as Checkpoint from "./internal/engine/checkpoint.ts"
import { Connections } from "./internal/engine/connections.ts"
import * as DatabaseUrl from "./internal/engine/databaseUrl.ts"
import * as EngineCollection from "./internal/engine/engineCollection.ts"
import { failure } from "./internal/engine/failure.ts"
import { SliceLength } from "./internal/engine/slices.ts"
import { openFile, openMemory, type SqliteFile, toDatabaseError } from "./internal/engine/sqliteFile.ts"
import { LongLog } from "./internal/engine/writeAheadLog.ts"

export type {
  ChangeEvent,
  ChangeLogOptions,
  DeleteEvent,
  InsertEvent,
  Reader,
  ReplaceEvent,
  ResumeToken,
  UpdateDescription,
  UpdateEvent,
  Watched,
  WatchOptions
} from "./ChangeStream.ts"
export type { Access, Change } from "./DatabaseAccess.ts"
export { DatabaseError, DatabaseErrorReason } from "./DatabaseError.ts"

/** A document: JavaScript values and the classes of `bson` 7. Fields that are `undefined` are not stored. */
export type Document = { readonly [key: string]: unknown }

/** A filter in MongoDB's query language. `undefined` anywhere in it is refused, for it would match everything. */
export type Filter = { readonly [key: string]: unknown }

/** An update in MongoDB's update operators, as `{ $set: { name: "Ann" } }`. */
export type UpdateOperators = { readonly [operator: string]: { readonly [path: string]: unknown } }

/** An order by paths, the first path first: 1 ascends, -1 descends. */
export type Sort = { readonly [path: string]: 1 | -1 }

/**
 * The fields to hand out (all 1 or `true`) or to leave out (all 0 or `false`). `_id` may differ from the others. Of arrays a part,
 * by `$slice`, `$elemMatch` or as `{ "list.$": 1 }`; beside what is handed out also fields computed by an expression.
 */
export type Projection = { readonly [path: string]: unknown }

/** A stage of an aggregation pipeline, as `{ $match: { total: { $gt: 3 } } }`. */
export type Stage = { readonly [stage: string]: unknown }

/** Where a collection is. It comes into being with its first document or index. */
export interface Namespace {
  readonly database: string
  readonly collection: string
}

/**
 * How numbers of documents are handed out.
 *
 * - `"native"`: int32 and double as JavaScript numbers, int64 too unless it is beyond 2^53, then as `Long`.
 * - `"exact"`: as `Int32`, `Double` and `Long`, so that the type of each number survives.
 *
 * Handed in, both are always understood; a JavaScript number is an int32 if it is a whole number that fits, else a double.
 */
export type Numbers = "native" | "exact"

/** What of the found documents to hand out, and in which order. `limit: 0` means all of them. */
export interface FindOptions {
  readonly sort?: Sort | undefined
  readonly skip?: number | undefined
  readonly limit?: number | undefined
  readonly projection?: Projection | undefined
}

/** How many of the found documents to count. `limit: 0` means all of them. */
export interface CountOptions {
  readonly skip?: number | undefined
  readonly limit?: number | undefined
}

/** `upsert` inserts a document made of the filter's equalities and the update when none matches. */
export interface UpdateOptions {
  readonly upsert?: boolean | undefined
  /** The conditions of `$[name]` in paths, as `[{ "name.age": { $gt: 3 } }]`. */
  readonly arrayFilters?: ReadonlyArray<Filter> | undefined
}

/** What an update did. `modifiedCount` leaves out matched documents that were already as the update wants them. */
export interface UpdateResult {
  readonly matchedCount: number
  readonly modifiedCount: number
  /** The `_id` of the document an upsert has inserted. */
  readonly upsertedId: Option.Option<unknown>
}

/** Which of the found documents to delete, and what of it to hand out. */
export interface FindOneAndDeleteOptions {
  readonly sort?: Sort | undefined
  readonly projection?: Projection | undefined
}

/** How a document is chosen, replaced and handed out: as it was unless `returnDocument` is `"after"`. */
export interface FindOneAndReplaceOptions extends FindOneAndDeleteOptions {
  readonly upsert?: boolean | undefined
  readonly returnDocument?: "before" | "after" | undefined
}

/** As for a replacement, and the conditions of `$[name]`. */
export interface FindOneAndUpdateOptions extends FindOneAndReplaceOptions {
  readonly arrayFilters?: ReadonlyArray<Filter> | undefined
}

/** One write of a `bulkWrite`. */
export type BulkOperation =
  | { readonly insertOne: { readonly document: Document } }
  | { readonly updateOne: { readonly filter: Filter; readonly update: UpdateOperators } & UpdateOptions }
  | { readonly updateMany: { readonly filter: Filter; readonly update: UpdateOperators } & UpdateOptions }
  | {
    readonly replaceOne: {
      readonly filter: Filter
      readonly replacement: Document
      readonly upsert?: boolean | undefined
    }
  }
  | { readonly deleteOne: { readonly filter: Filter } }
  | { readonly deleteMany: { readonly filter: Filter } }

/** What all writes of a `bulkWrite` did. Identifiers are under the place of their operation. */
export interface BulkWriteResult {
  readonly insertedCount: number
  readonly matchedCount: number
  readonly modifiedCount: number
  readonly deletedCount: number
  readonly upsertedCount: number
  readonly insertedIds: { readonly [index: number]: unknown }
  readonly upsertedIds: { readonly [index: number]: unknown }
}

/** `ordered: false` goes on after a write that failed; the error is that of the first. */
export interface BulkWriteOptions {
  readonly ordered?: boolean | undefined
}

/** What makes an index. */
export interface IndexOptions {
  /** No two documents may have the same key. A missing field counts as null. */
  readonly unique?: boolean | undefined
  /** Documents that have none of the fields are left out. */
  readonly sparse?: boolean | undefined
  /** Only documents that match are in the index (MongoDB's `partialFilterExpression`). */
  readonly partial?: Filter | undefined
}

/** How a filter is answered: by which index (`_id_` for identifiers), or none when all documents are looked at. */
export interface Explanation {
  readonly index: Option.Option<string>
  readonly documentsExamined: number
  readonly documentsReturned: number
}

/**
 * One collection. Each write is atomic: it is applied with all its index entries, or not at all.
 *
 * `Refusal` is what the {@link Access} of the handle refuses with; a handle without one has no refusals.
 */
export interface Collection<Refusal = never> {
  /** All documents that match; `{}` matches every one. */
  readonly find: (filter: Filter, options?: FindOptions) => Effect.Effect<Array<Document>, DatabaseError | Refusal>
  /** The first document that matches. */
  readonly findOne: (
    filter: Filter,
    options?: Omit<FindOptions, "limit">
  ) => Effect.Effect<Option.Option<Document>, DatabaseError | Refusal>
  /** Inserts a document; without `_id` it gets a new `ObjectId`. Fails with `DuplicateKey` when a unique key is taken. */
  readonly insertOne: (
    document: Document
  ) => Effect.Effect<{ readonly insertedId: unknown }, DatabaseError | Refusal>
  /** Inserts in order; when one fails, those before it are kept and `insertedCount` of the error counts them. */
  readonly insertMany: (
    documents: ReadonlyArray<Document>,
    options?: BulkWriteOptions
  ) => Effect.Effect<{ readonly insertedIds: Array<unknown> }, DatabaseError | Refusal>
  /** Updates the first document that matches. A whole document is no update: that is {@link Collection.replaceOne}. */
  readonly updateOne: (
    filter: Filter,
    update: UpdateOperators,
    options?: UpdateOptions
  ) => Effect.Effect<UpdateResult, DatabaseError | Refusal>
  /** Updates all documents that match, or none when one of them cannot be updated. */
  readonly updateMany: (
    filter: Filter,
    update: UpdateOperators,
    options?: UpdateOptions
  ) => Effect.Effect<UpdateResult, DatabaseError | Refusal>
  /** Puts a document in the place of the first that matches, whose `_id` stays. */
  readonly replaceOne: (
    filter: Filter,
    replacement: Document,
    options?: { readonly upsert?: boolean | undefined }
  ) => Effect.Effect<UpdateResult, DatabaseError | Refusal>
  /** Deletes the first document that matches. */
  readonly deleteOne: (filter: Filter) => Effect.Effect<{ readonly deletedCount: number }, DatabaseError | Refusal>
  /** Deletes all documents that match. */
  readonly deleteMany: (filter: Filter) => Effect.Effect<{ readonly deletedCount: number }, DatabaseError | Refusal>
  /** Updates the first document in the order of `sort` that matches, and hands it out as it was or has become. */
  readonly findOneAndUpdate: (
    filter: Filter,
    update: UpdateOperators,
    options?: FindOneAndUpdateOptions
  ) => Effect.Effect<Option.Option<Document>, DatabaseError | Refusal>
  /** Replaces the first document in the order of `sort` that matches, and hands it out as it was or has become. */
  readonly findOneAndReplace: (
    filter: Filter,
    replacement: Document,
    options?: FindOneAndReplaceOptions
  ) => Effect.Effect<Option.Option<Document>, DatabaseError | Refusal>
  /** Deletes the first document in the order of `sort` that matches, and hands it out. */
  readonly findOneAndDelete: (
    filter: Filter,
    options?: FindOneAndDeleteOptions
  ) => Effect.Effect<Option.Option<Document>, DatabaseError | Refusal>
  /**
   * Applies writes in order, each whole or not at all. When one fails, those before it are kept, and `failedIndex` of the error
   * is its place.
   */
  readonly bulkWrite: (
    operations: ReadonlyArray<BulkOperation>,
    options?: BulkWriteOptions
  ) => Effect.Effect<BulkWriteResult, DatabaseError | Refusal>
  /** How many documents match. */
  readonly count: (filter: Filter, options?: CountOptions) => Effect.Effect<number, DatabaseError | Refusal>
  /** The values that the documents that match have at a path, each once: of an array its elements. */
  readonly distinct: (path: string, filter?: Filter) => Effect.Effect<Array<unknown>, DatabaseError | Refusal>
  /**
   * Runs an aggregation pipeline. What it begins with of `$match`, `$sort`, `$skip` and `$limit`, in this order, is answered by an
   * index where one can. Fails with `BadPipeline` for a stage or an expression that is not there, and for what cannot be
   * evaluated; with `DocumentTooLarge` for a document that could not be stored either.
   */
  readonly aggregate: (pipeline: ReadonlyArray<Stage>) => Effect.Effect<Array<Document>, DatabaseError | Refusal>
  /**
   * Makes an index, over the documents already there too. Doing it again changes nothing. Fails with `DuplicateKey` when
   * documents already break a unique index, and with `BadIndex` when it exists with other options.
   */
  readonly createIndex: (
    keys: { readonly [path: string]: 1 | -1 },
    options?: IndexOptions
  ) => Effect.Effect<void, DatabaseError>
  /** Answers the filter and tells how, without handing out documents. */
  readonly explain: (filter: Filter, options?: FindOptions) => Effect.Effect<Explanation, DatabaseError | Refusal>
  /** Finds the documents that a pipeline begins with and tells how, without running its stages. */
  readonly explainAggregate: (
    pipeline: ReadonlyArray<Stage>
  ) => Effect.Effect<Explanation, DatabaseError | Refusal>
  /**
   * The changes of the collection, which need not be there yet: each once, in the order of the writes, for as long as the stream is
   * read. First comes the position it begins at: no later change is missed. The changes of a write that fails are never told.
   *
   * A change is told as what the reader sees of it: a document that comes into his sight is inserted for him, one that
   * leaves it is deleted, and where nothing changes of what he sees, nothing is told. So what is told, done to what `find` had
   * answered before, makes what `find` answers after. Every 15 seconds, whatever goes on, a position says how far that is; no two
   * are the same, so that nothing is learnt from them of what he does not see.
   *
   * Fails with `InvalidResumeToken` for a token of another collection, and with `ChangeStreamHistoryLost` when what followed
   * the token, or what a slow reader has not read yet, is kept no longer ({@link ChangeLogOptions}). A collection is
   * recorded from its first watch on, so that there is no token of a time before it.
   */
  readonly watch: (options?: WatchOptions) => Stream.Stream<Watched, DatabaseError | Refusal>
  /**
   * As {@link Collection.watch}, for one whose access may become another while he watches; the handle's own does not matter.
   * What is refused the reader is asked to mend.
   */
  readonly watchAs: <Refused, E>(
    reader: Reader<Refused, E>,
    options?: WatchOptions
  ) => Stream.Stream<Watched, DatabaseError | E>
}

/**
 * The database of a server. Operations are atomic each: a read sees the database as it was at one time, whatever is written
 * while it goes on, and a write is whole or not at all, and in line after those that began before it. One that is interrupted
 * has changed nothing, unless it was over. A document, once its write has been answered, survives the end of the process by
 * whatever means.
 *
 * What an operation does with one document is bounded: beyond some millions of steps, as of thousands of conditions on an array of
 * thousands of elements, it fails with `BadFilter`, `BadUpdate` or `BadPipeline`.
 *
 * @example
 * ```ts
 * import * as assert from "node:assert/strict"
 * import { Database } from "@effect-realm/server"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function*() {
 *   const database = yield* Database.Database
 *   const orders = database.collection({ database: "shop", collection: "orders" })
 *   yield* orders.createIndex({ customer: 1 })
 *   yield* orders.insertMany([{ customer: "ann", total: 3 }, { customer: "bob", total: 4 }])
 *   yield* orders.updateMany({ customer: "ann" }, { $inc: { total: 2 } })
 *   return yield* orders.find({ total: { $gte: 5 } }, { projection: { _id: 0 } })
 * })
 *
 * assert.deepEqual(await Effect.runPromise(Effect.provide(program, Database.layerMemory)), [{ customer: "ann", total: 5 }])
 * ```
 */
export class Database extends Context.Service<Database, {
  /**
   * A handle on a collection; nothing is looked up or made yet. Identifiers, documents and results are handed out with
   * `numbers` as asked for, `"native"` by default; `access` sees documents in the same form.
   */
  readonly collection: <Refusal = never>(
    namespace: Namespace,
    options?: { readonly numbers?: Numbers | undefined; readonly access?: Access<Refusal> | undefined }
  ) => Collection<Refusal>
}>()("@effect-realm/server/Database") {}

/** What a file may be opened with, beside its name. */
export interface FileOptions {
  /**
   * `"process"` (the default) keeps what was answered through any end of the process; `"power"` also through a loss of power, and
   * waits for the disk at every write.
   */
  readonly durability?: "process" | "power" | undefined
  /** How long the changes of watched collections are kept. */
  readonly changes?: ChangeLogOptions | undefined
}

const badOptions = (detail: string): DatabaseError => failure({ _tag: "BadOptions", detail })

/** How much is kept; throws when that is nothing, no number, or all of it for ever. */
const retentionOf = ({ maxAge = "24 hours", maxBytes = 64 * 1024 * 1024 }: ChangeLogOptions): Retention => {
  const age = Option.match(Duration.fromInput(maxAge), { onNone: () => Number.NaN, onSome: Duration.toMillis })
  if (!(age > 0)) throw badOptions("changes.maxAge has to be a duration of more than 0, such as \"24 hours\"")
  if (!(maxBytes > 0)) throw badOptions("changes.maxBytes has to be a number of more than 0, such as 67108864")
  if (age === Infinity && maxBytes === Infinity) {
    throw badOptions("changes.maxAge and changes.maxBytes are both infinite, and the file would grow for ever: set one")
  }
  return { maxAge: age, maxBytes }
}

const make = (
  filename: string,
  options: ChangeLogOptions,
  open: (longLog: number) => SqliteFile
): Effect.Effect<Database["Service"], DatabaseError, Scope.Scope> => {
  const attempt = <A>(run: () => A): Effect.Effect<A, DatabaseError> =>
    Effect.try({ try: run, catch: (error) => toDatabaseError(filename, error) })
  return Effect.gen(function*() {
    const retention = yield* attempt(() => retentionOf(options))
    const sliceLength = yield* SliceLength
    const longLog = yield* LongLog
    const file = yield* Effect.acquireRelease(attempt(() => open(longLog)), (opened) =>
      // what the checkpoint could not move is still in the log, and read from there at the next start
      Effect.catch(attempt(() => opened.close()), (error) => Effect.logWarning("closing the database", error.message)))
    const connections = yield* Effect.acquireRelease(
      attempt(() => new Connections(file, retention, sliceLength)),
      (connections) => Effect.sync(() => connections.close())
    )
    if (file.shared !== undefined) yield* Effect.forkScoped(Checkpoint.keepShort(file.shared, connections))
    return Database.of({
      collection: (namespace, options) =>
        EngineCollection.make(connections, filename, namespace, options?.numbers ?? "native", options?.access ?? {})
    })
  })
}

const inMemory = (changes: ChangeLogOptions): Layer.Layer<Database> =>
  Layer.effect(Database, Effect.orDie(make(":memory:", changes, openMemory)))

/**
 * A database in memory, gone when the scope closes. For tests, and for servers whose data need not last: its operations are
 * done one after another, so that a long one keeps others on documents waiting, though nothing else.
 *
 * @example
 * ```ts
 * import * as assert from "node:assert/strict"
 * import { Database } from "@effect-realm/server"
 * import * as Effect from "effect/Effect"
 *
 * const count = Database.Database.use((database) => database.collection({ database: "app", collection: "users" }).count({}))
 * assert.equal(await Effect.runPromise(Effect.provide(count, Database.layerMemory)), 0)
 * ```
 */
export const layerMemory: Layer.Layer<Database> = inMemory({})

/**
 * A database in a file, which is made, readable by its owner alone, when there is none. The file belongs to this process
 * until the scope closes; to copy it, do so from another process, for a process that closes a file loses its lock on it.
 *
 * Fails with `Locked` when another process has it, `Corrupt` when it is not a database of ours or damaged, `Unavailable`
 * when the folder is not there or may not be written to, `BadOptions` when changes would be kept for ever or not at all.
 *
 * @example
 * ```ts
 * import * as assert from "node:assert/strict"
 * import { mkdtemp } from "node:fs/promises"
 * import { tmpdir } from "node:os"
 * import { join } from "node:path"
 * import { Database } from "@effect-realm/server"
 * import * as Effect from "effect/Effect"
 *
 * const filename = join(await mkdtemp(join(tmpdir(), "realm-")), "app.db")
 * const run = <A, E>(use: (users: Database.Collection) => Effect.Effect<A, E>) =>
 *   Effect.runPromise(
 *     Database.Database.use((database) => use(database.collection({ database: "app", collection: "users" }))).pipe(
 *       Effect.provide(Database.layerFile({ filename }))
 *     )
 *   )
 *
 * await run((users) => users.insertOne({ _id: "ann" }))
 * assert.equal(await run((users) => users.count({})), 1)
 * ```
 */
export const layerFile = (
  options: FileOptions & { readonly filename: string }
): Layer.Layer<Database, DatabaseError> =>
  Layer.effect(
    Database,
    make(
      options.filename,
      options.changes ?? {},
      (longLog) => openFile(options.filename, options.durability ?? "process", longLog)
    )
  )

/**
 * The database a URL names: `memory:`, `file:<path>`, `file:///<absolute path>`, or a plain path. In memory `durability` means
 * nothing.
 *
 * Fails with `UnsupportedUrl` for any other scheme (`mongodb:` comes later), else as {@link layerFile} does.
 *
 * @example
 * ```ts
 * import * as assert from "node:assert/strict"
 * import { Database } from "@effect-realm/server"
 * import * as Effect from "effect/Effect"
 *
 * const error = await Effect.runPromise(
 *   Effect.flip(Effect.provide(Effect.void, Database.layerUrl("mongodb://localhost/app")))
 * )
 * assert.equal(error.reason._tag, "UnsupportedUrl")
 * ```
 */
export const layerUrl = (url: string, options: FileOptions = {}): Layer.Layer<Database, DatabaseError> =>
  Layer.unwrap(Effect.map(
    Effect.try({ try: () => DatabaseUrl.parse(url), catch: (error) => toDatabaseError(url, error) }),
    (place): Layer.Layer<Database, DatabaseError> => {
      switch (place._tag) {
        case "Memory":
          return options.changes === undefined ? layerMemory : inMemory(options.changes)
        case "File":
          return layerFile({ ...options, filename: place.filename })
        case "Unsupported":
          return Layer.effect(Database, failure({ _tag: "UnsupportedUrl", scheme: place.scheme }))
      }
    }
  ))
