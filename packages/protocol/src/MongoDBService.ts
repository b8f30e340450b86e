/**
 * The MongoDB service of an app (protocol section 9): the functions that a call with its `service` can name, what each
 * takes and what it answers, one value each. A server decodes arguments and encodes results by them, a client the other
 * way round, both next to the Extended JSON.
 *
 * Wire names stop here. Reads and updates say `query` and `project` on the wire, the findOneAnd family `filter` and
 * `projection`, and a replacement travels as `update`: in these values it is always `filter`, `projection` and
 * `replacement`. Counts of what was written are int32, a count of documents is an int64, as realm-core insists.
 */
import type * as Bson from "bson"
import { Long as BsonLong } from "bson"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
import * as Ejson from "./Ejson.ts"

// -----------------------------------------------------------------------------
// Model
// -----------------------------------------------------------------------------

/** A function of the service: `args` is its one argument. The encoded side of both schemas are BSON values. */
export interface Operation<
  Name extends string,
  Args extends Schema.ConstraintCodec<unknown, unknown>,
  Result extends Schema.ConstraintCodec<unknown, unknown>
> {
  /** What the function is called on the wire. */
  readonly name: Name
  /** Whether it only reads, so that a client may send it again. */
  readonly reads: boolean
  readonly args: Args
  readonly result: Result
}

/** Any function of the service. */
export interface Any
  extends Operation<string, Schema.ConstraintCodec<unknown, unknown>, Schema.ConstraintCodec<unknown, unknown>>
{}

const operation = <
  Name extends string,
  Args extends Schema.ConstraintCodec<unknown, unknown>,
  Result extends Schema.ConstraintCodec<unknown, unknown>
>(
  name: Name,
  operation: { readonly reads: boolean; readonly args: Args; readonly result: Result }
): Operation<Name, Args, Result> => ({ name, ...operation })

// -----------------------------------------------------------------------------
// Parts
// -----------------------------------------------------------------------------

/** A document whose Extended JSON is decoded already. */
const Document: Schema.Codec<Ejson.Document> = Schema.toType(Ejson.Document)

const Documents = Schema.Array(Document)

/** A number, whichever type of number it travelled as: clients have sent all of them. */
export const AnyNumber: Schema.Codec<number, number | Bson.Int32 | Bson.Double | Bson.Long> = Schema.Union([
  Schema.Number,
  Ejson.Int32,
  Ejson.Double,
  Ejson.Long
]).pipe(
  Schema.decodeTo(
    Schema.Number,
    SchemaTransformation.transform<number, number | Bson.Int32 | Bson.Double | Bson.Long>({
      decode: (value) =>
        typeof value === "number" ? value : value._bsontype === "Long" ? value.toNumber() : value.value,
      encode: (value) => value
    })
  )
)

/** A count of documents: an int64 on the wire. */
const Count: Schema.Codec<number, number | Bson.Long> = Schema.Union([Schema.Number, Ejson.Long]).pipe(
  Schema.decodeTo(
    Schema.Natural,
    SchemaTransformation.transform<number, number | Bson.Long>({
      decode: (value) => typeof value === "number" ? value : value.toNumber(),
      encode: (value) => BsonLong.fromNumber(value)
    })
  )
)

const namespace = { database: Schema.String, collection: Schema.String }

const document = Schema.optionalKey(Document)
const number = Schema.optionalKey(AnyNumber)
const flag = Schema.optionalKey(Schema.Boolean)

/** What a read or an update calls a filter and a projection. */
const asQuery = { filter: "query", projection: "project" } as const

// -----------------------------------------------------------------------------
// Reads
// -----------------------------------------------------------------------------

/** The documents that match; all of them without a filter. */
export const find = operation("find", {
  reads: true,
  args: Schema.Struct({ ...namespace, filter: document, projection: document, sort: document, limit: number }).pipe(
    Schema.encodeKeys(asQuery)
  ),
  result: Documents
})

/** The first document that matches, or `null`. realm-core sends a `limit` with it that means nothing. */
export const findOne = operation("findOne", {
  reads: true,
  args: Schema.Struct({ ...namespace, filter: document, projection: document, sort: document }).pipe(
    Schema.encodeKeys(asQuery)
  ),
  result: Schema.NullOr(Document)
})

/** What an aggregation pipeline makes of the collection. */
export const aggregate = operation("aggregate", {
  reads: true,
  args: Schema.Struct({ ...namespace, pipeline: Documents }),
  result: Documents
})

/** How many documents match, at most `limit`. */
export const count = operation("count", {
  reads: true,
  args: Schema.Struct({ ...namespace, filter: document, limit: number }).pipe(Schema.encodeKeys({ filter: "query" })),
  result: Count
})

// -----------------------------------------------------------------------------
// Writes
// -----------------------------------------------------------------------------

/** Adds a document. Without `_id` it gets an `ObjectId` from the server. */
export const insertOne = operation("insertOne", {
  reads: false,
  args: Schema.Struct({ ...namespace, document: Document }),
  result: Schema.Struct({ insertedId: Schema.Unknown })
})

/** Adds documents in order; those before one that fails stay. The ids are an array, in the same order. */
export const insertMany = operation("insertMany", {
  reads: false,
  args: Schema.Struct({ ...namespace, documents: Documents }),
  result: Schema.Struct({ insertedIds: Schema.Array(Schema.Unknown) })
})

const updateArgs = Schema.Struct({
  ...namespace,
  filter: document,
  update: Document,
  upsert: flag,
  arrayFilters: Schema.optionalKey(Documents)
}).pipe(Schema.encodeKeys({ filter: "query" }))

const updateResult = Schema.Struct({
  matchedCount: Schema.Natural,
  modifiedCount: Schema.Natural,
  /** The id of the document that an upsert added; then both counts are 0. */
  upsertedId: Schema.optionalKey(Schema.Unknown)
})

/** Changes the first document that matches. An `update` without operators replaces it. */
export const updateOne = operation("updateOne", { reads: false, args: updateArgs, result: updateResult })

/** Changes all documents that match. */
export const updateMany = operation("updateMany", { reads: false, args: updateArgs, result: updateResult })

const deleteArgs = Schema.Struct({ ...namespace, filter: document }).pipe(Schema.encodeKeys({ filter: "query" }))

const deleteResult = Schema.Struct({ deletedCount: Schema.Natural })

/** Removes the first document that matches. */
export const deleteOne = operation("deleteOne", { reads: false, args: deleteArgs, result: deleteResult })

/** Removes all documents that match. */
export const deleteMany = operation("deleteMany", { reads: false, args: deleteArgs, result: deleteResult })

const findOneAnd = { ...namespace, filter: document, projection: document, sort: document }
const findOneAndChange = { ...findOneAnd, upsert: flag, returnNewDocument: flag }

/** Changes the first document that matches, and answers it as it was, or as it is now. */
export const findOneAndUpdate = operation("findOneAndUpdate", {
  reads: false,
  args: Schema.Struct({ ...findOneAndChange, update: Document }),
  result: Schema.NullOr(Document)
})

/**
 * Replaces the first document that matches, and answers it as it was, or as it is now. The `findOneAndDelete` of realm-web
 * calls this function without a replacement, and means to delete.
 */
export const findOneAndReplace = operation("findOneAndReplace", {
  reads: false,
  args: Schema.Struct({ ...findOneAndChange, replacement: document }).pipe(
    Schema.encodeKeys({ replacement: "update" })
  ),
  result: Schema.NullOr(Document)
})

/** Removes the first document that matches, and answers it. */
export const findOneAndDelete = operation("findOneAndDelete", {
  reads: false,
  args: Schema.Struct(findOneAnd),
  result: Schema.NullOr(Document)
})

/**
 * Every function of the service that is answered once, by its name on the wire. `watch` is called by a streaming call.
 *
 * ```ts
 * import { MongoDBService } from "@effect-realm/protocol"
 * import { Schema } from "effect"
 *
 * const { args } = MongoDBService.operations.find
 * const sent = Schema.encodeSync(args)({ database: "shop", collection: "orders", filter: { open: true }, limit: 10 })
 * sent // => { database: "shop", collection: "orders", query: { open: true }, limit: 10 }
 * ```
 */
export const operations = {
  find,
  findOne,
  aggregate,
  count,
  insertOne,
  insertMany,
  updateOne,
  updateMany,
  deleteOne,
  deleteMany,
  findOneAndUpdate,
  findOneAndReplace,
  findOneAndDelete
} as const

// -----------------------------------------------------------------------------
// Watch
// -----------------------------------------------------------------------------

/** Where in the history of its collection a watch stands. To all but the server that made it, it means nothing. */
export const ResumeToken = Document

/** The type of {@link ResumeToken}. */
export type ResumeToken = typeof ResumeToken.Type

/**
 * What `watch` takes: the documents with these `ids`, or events that match a `filter` on fields of the event, or
 * everything (protocol section 9.4).
 *
 * `resumeAfter` is no part of the old protocol: events after that place, and from then on. A server that does not know it
 * leaves it aside, and is told by sending no {@link position} first. One that knows it refuses a place that is no longer
 * in its history with `ChangeStreamHistoryLost`, and one of another collection with `InvalidResumeToken`.
 */
export const WatchArgs = Schema.Struct({
  ...namespace,
  ids: Schema.optionalKey(Schema.Array(Schema.Unknown)),
  filter: document,
  resumeAfter: Schema.optionalKey(ResumeToken),
  /** Only Stitch asks for it: fields of events have names of two letters. */
  useCompactEvents: flag
})

/**
 * The type of the server-sent events that say where a watch stands. Clients of App Services leave events of types they do
 * not know aside.
 *
 * A server that can resume sends one before all else, as soon as no later write can be missed: then the watch is open.
 * It sends more of them while nothing matches, so that a place that is resumed after is never much older than the cut.
 */
export const position = "position"

/** What an event of type {@link position} holds. */
export const Position = Schema.Struct({ resumeToken: ResumeToken })

const Namespace = Schema.Struct({
  db: Schema.String,
  /** Missing where an event is about a whole database. */
  coll: Schema.optionalKey(Schema.String)
})

/** What changed in a document, by paths with dots. */
export const UpdateDescription = Schema.Struct({
  updatedFields: Schema.optionalKey(Document),
  removedFields: Schema.optionalKey(Schema.Array(Schema.String)),
  truncatedArrays: Schema.optionalKey(
    Schema.Array(Schema.Struct({ field: Schema.String, newSize: AnyNumber }))
  )
})

/**
 * One change, as MongoDB tells it (protocol section 9.4). `operationType` is one of `insert`, `update`, `replace`, `delete`,
 * `drop`, `rename`, `dropDatabase`, `invalidate`, or one of tomorrow.
 */
export const ChangeEvent = Schema.Struct({
  /** The place right after this event. */
  resumeToken: ResumeToken,
  operationType: Schema.String,
  clusterTime: Schema.optionalKey(Ejson.Timestamp),
  ns: Schema.optionalKey(Namespace),
  /** Where a collection that was renamed went. */
  to: Schema.optionalKey(Namespace),
  documentKey: document,
  /** The document after the change; for an update, as it is when the event is made, so it may be gone. */
  fullDocument: Schema.optionalKey(Schema.NullOr(Document)),
  updateDescription: Schema.optionalKey(UpdateDescription)
}).pipe(Schema.encodeKeys({ resumeToken: "_id" }))

/** The type of {@link ChangeEvent}. */
export type ChangeEvent = typeof ChangeEvent.Type
