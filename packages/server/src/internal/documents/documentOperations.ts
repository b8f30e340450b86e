/**
 * The operations of the MongoDB service on one collection, for whoever it is: what each is asked by clients and functions,
 * and what it answers (protocol section 9.1).
 */
import * as Ejson from "@effect-realm/protocol/Ejson"
import * as MongoDBService from "@effect-realm/protocol/MongoDBService"
import * as RealmError from "@effect-realm/protocol/RealmError"
import { Long } from "bson"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import type * as Database from "../../Database.ts"
import type { DatabaseError } from "../../DatabaseError.ts"

type Document = Database.Document
type Failure<Refusal> = DatabaseError | Refusal | RealmError.DataError | RealmError.RequestError

// -----------------------------------------------------------------------------
// Operations in general
// -----------------------------------------------------------------------------

/** An operation whose argument was read. */
export interface Prepared {
  readonly namespace: Database.Namespace
  /** What of the argument is written in MongoDB's query language, and what in its update language. */
  readonly filters: ReadonlyArray<Document>
  readonly updates: ReadonlyArray<Document>
  /** Stages of an aggregation. */
  readonly stages: ReadonlyArray<Document>
  /** Documents to insert, in the places that the database counts by. */
  readonly inserts: ReadonlyArray<Document | undefined>
  readonly run: <Refusal>(
    collection: Database.Collection<Refusal>
  ) => Effect.Effect<unknown, Failure<Refusal>>
}

interface Operation {
  readonly prepare: (input: unknown) => Effect.Effect<Prepared, Schema.SchemaError | RealmError.RequestError>
}

interface Parts<Args> {
  readonly filters?: (args: Args) => ReadonlyArray<Document | undefined>
  readonly updates?: (args: Args) => ReadonlyArray<Document | undefined>
  readonly stages?: (args: Args) => ReadonlyArray<Document>
  readonly inserts?: (args: Args) => ReadonlyArray<Document | undefined>
  readonly check?: (args: Args) => RealmError.RequestError | undefined
  readonly run: <Refusal>(
    collection: Database.Collection<Refusal>,
    args: Args
  ) => Effect.Effect<unknown, Failure<Refusal>>
}

const isPresent = <A>(value: A | undefined): value is A => value !== undefined

const operation = <Args extends Database.Namespace>(
  schema: Schema.ConstraintDecoder<Args>,
  { check, filters, inserts, run, stages, updates }: Parts<Args>
): Operation => {
  const decode = Schema.decodeUnknownEffect(schema)
  return {
    prepare: (input) =>
      Effect.flatMap(decode(input), (args) => {
        const refused = check?.(args)
        return refused === undefined
          ? Effect.succeed<Prepared>({
            namespace: { database: args.database, collection: args.collection },
            filters: filters?.(args).filter(isPresent) ?? [],
            updates: updates?.(args).filter(isPresent) ?? [],
            stages: stages?.(args) ?? [],
            inserts: inserts?.(args) ?? [],
            run: (collection) => run(collection, args)
          })
          : Effect.fail(refused)
      })
  }
}

const namespace = { database: Schema.String, collection: Schema.String }
const Document: Schema.Codec<Document> = Schema.toType(Ejson.Document)
const document = Schema.optionalKey(Document)
const isDocument = Schema.is(Document)
const number = Schema.optionalKey(MongoDBService.AnyNumber)
const ordered = Schema.optionalKey(Schema.Boolean)

// -----------------------------------------------------------------------------
// Reads
// -----------------------------------------------------------------------------

/** How many documents a read may answer (server section 6). */
export const maxDocuments = 50_000

const tooMany = RealmError.make(
  "ReadSizeLimitExceeded",
  `the result has more than ${maxDocuments} documents: use a limit or a narrower filter`
)

/** One more than may be answered, so that too many are told from just enough. */
const bounded = (limit: number | undefined): number =>
  limit === undefined || limit === 0 || limit > maxDocuments ? maxDocuments + 1 : limit

const withinLimit = <E>(
  found: Effect.Effect<Array<unknown>, E>
): Effect.Effect<Array<unknown>, E | RealmError.DataError> =>
  Effect.flatMap(found, (all) => all.length > maxDocuments ? Effect.fail(tooMany) : Effect.succeed(all))

// What a sort and a projection may hold is checked by the database, which is given them as they came.
const sortOf = (sort: Document | undefined) => sort as Database.Sort | undefined
const projectionOf = (projection: Document | undefined) => projection as Database.Projection | undefined

/** The filters in a projection: which element of an array it shows. */
const elementsOf = (projection: Document = {}): ReadonlyArray<Document> =>
  Object.values(projection).flatMap((shown) =>
    isDocument(shown) && isDocument(shown["$elemMatch"]) ? [shown["$elemMatch"]] : []
  )

// -----------------------------------------------------------------------------
// Writes
// -----------------------------------------------------------------------------

/** A document without operators takes the place of the one it updates (protocol section 9.1). */
const isReplacement = (update: Document): boolean => Object.keys(update).every((name) => !name.startsWith("$"))

// What an update may hold is checked by the database.
const operatorsOf = (update: Document) => update as Database.UpdateOperators

const updated = ({ matchedCount, modifiedCount, upsertedId }: Database.UpdateResult): Document => ({
  matchedCount,
  modifiedCount,
  ...(Option.isSome(upsertedId) ? { upsertedId: upsertedId.value } : undefined)
})

const optional = <E>(found: Effect.Effect<Option.Option<Document>, E>): Effect.Effect<Document | null, E> =>
  Effect.map(found, Option.getOrNull)

const manyReplaced = RealmError.make(
  "MongoDBError",
  "multi update is not supported for replacement-style update: use update operators, such as $set"
)

// Operators with a projection or a sort choose one document; without an order it is any.
interface FindOneAndArgs extends Database.Namespace {
  readonly filter?: Document
  readonly projection?: Document
  readonly sort?: Document
  readonly upsert?: boolean
  readonly returnNewDocument?: boolean
}

const findOneAndOptions = ({ projection, returnNewDocument, sort, upsert }: FindOneAndArgs) => ({
  projection: projectionOf(projection),
  sort: sortOf(sort),
  upsert,
  returnDocument: returnNewDocument === true ? "after" as const : "before" as const
})

interface FindArgs extends Database.Namespace {
  readonly filter?: Document
  readonly projection?: Document
  readonly sort?: Document
  readonly limit?: number
  readonly skip?: number
}

const find: Parts<FindArgs> = {
  filters: ({ filter, projection }) => [filter, ...elementsOf(projection)],
  run: (collection, { filter = {}, limit, projection, skip, sort }) =>
    withinLimit(collection.find(filter, {
      limit: bounded(limit),
      skip,
      sort: sortOf(sort),
      projection: projectionOf(projection)
    }))
}

interface CountArgs extends Database.Namespace {
  readonly filter?: Document
  readonly limit?: number
  readonly skip?: number
}

const count: Parts<CountArgs> = {
  filters: ({ filter }) => [filter],
  run: (collection, { filter = {}, limit, skip }) =>
    Effect.map(collection.count(filter, { limit, skip }), (found) => Long.fromNumber(found))
}

interface InsertManyArgs extends Database.Namespace {
  readonly documents: ReadonlyArray<Document>
  readonly ordered?: boolean
}

const insertMany: Parts<InsertManyArgs> = {
  inserts: ({ documents }) => documents,
  check: ({ documents }) =>
    documents.length === 0 ? RealmError.make("InvalidParameter", "must provide at least one element") : undefined,
  run: (collection, { documents, ordered }) => collection.insertMany(documents, { ordered })
}

interface UpdateArgs extends Database.Namespace {
  readonly filter?: Document
  readonly update: Document
  readonly upsert?: boolean
  readonly arrayFilters?: ReadonlyArray<Document>
}

const updateParts = (many: boolean): Parts<UpdateArgs> => ({
  filters: ({ arrayFilters = [], filter }) => [filter, ...arrayFilters],
  updates: ({ update }) => [update],
  run: (collection, { arrayFilters, filter = {}, update, upsert }) => {
    if (isReplacement(update)) {
      return many ? Effect.fail(manyReplaced) : Effect.map(collection.replaceOne(filter, update, { upsert }), updated)
    }
    const options = { upsert, arrayFilters }
    return Effect.map(
      many
        ? collection.updateMany(filter, operatorsOf(update), options)
        : collection.updateOne(filter, operatorsOf(update), options),
      updated
    )
  }
})

interface DeleteArgs extends Database.Namespace {
  readonly filter?: Document
}

const deleteParts = (many: boolean): Parts<DeleteArgs> => ({
  filters: ({ filter }) => [filter],
  run: (collection, { filter = {} }) => many ? collection.deleteMany(filter) : collection.deleteOne(filter)
})

interface BulkWriteArgs extends Database.Namespace {
  readonly operations: ReadonlyArray<Document>
  readonly ordered?: boolean
}

/** The parts of a bulk's operations under some names; what is no operation is found out by the database. */
const partsOf = (operations: ReadonlyArray<Document>, ...names: ReadonlyArray<string>): ReadonlyArray<Document> =>
  operations.flatMap((operation) =>
    Object.values(operation).flatMap((content) =>
      names.flatMap((name) => {
        const part: unknown = Predicate.hasProperty(content, name) ? content[name] : undefined
        return (Array.isArray(part) ? part : [part]).filter(isDocument)
      })
    )
  )

const bulkWrite: Parts<BulkWriteArgs> = {
  filters: ({ operations }) => partsOf(operations, "filter", "arrayFilters"),
  updates: ({ operations }) => partsOf(operations, "update", "replacement"),
  inserts: ({ operations }) => operations.map((operation) => partsOf([operation], "document")[0]),
  run: (collection, { operations, ordered }) =>
    // What is no operation is told by the database.
    Effect.as(collection.bulkWrite(operations as ReadonlyArray<never>, { ordered }), null)
}

// -----------------------------------------------------------------------------
// Operations
// -----------------------------------------------------------------------------

const { operations: wire } = MongoDBService

/** Every operation by its name. Functions of the app may say more than the clients that are known. */
export const operations: ReadonlyMap<string, Operation> = new Map([
  [
    "find",
    operation(
      Schema.Struct({
        ...namespace,
        filter: document,
        projection: document,
        sort: document,
        limit: number,
        skip: number
      }).pipe(Schema.encodeKeys({ filter: "query", projection: "project" })),
      find
    )
  ],
  [
    "findOne",
    operation(wire.findOne.args, {
      filters: ({ filter, projection }) => [filter, ...elementsOf(projection)],
      run: (collection, { filter = {}, projection, sort }) =>
        optional(
          // Without options the database looks an identifier up directly.
          sort === undefined && projection === undefined
            ? collection.findOne(filter)
            : collection.findOne(filter, { sort: sortOf(sort), projection: projectionOf(projection) })
        )
    })
  ],
  [
    "aggregate",
    operation(wire.aggregate.args, {
      stages: ({ pipeline }) => pipeline,
      run: (collection, { pipeline }) => withinLimit(collection.aggregate(pipeline))
    })
  ],
  [
    "count",
    operation(
      Schema.Struct({ ...namespace, filter: document, limit: number, skip: number })
        .pipe(Schema.encodeKeys({ filter: "query" })),
      count
    )
  ],
  [
    "distinct",
    operation(
      Schema.Struct({ ...namespace, field: Schema.String, filter: document }).pipe(
        Schema.encodeKeys({ filter: "query" })
      ),
      {
        filters: ({ filter }) => [filter],
        run: (collection, { field, filter = {} }) => withinLimit(collection.distinct(field, filter))
      }
    )
  ],
  [
    "insertOne",
    operation(wire.insertOne.args, {
      inserts: ({ document }) => [document],
      run: (collection, { document }) => collection.insertOne(document)
    })
  ],
  [
    "insertMany",
    operation(Schema.Struct({ ...namespace, documents: Schema.Array(Document), ordered }), insertMany)
  ],
  ["updateOne", operation(wire.updateOne.args, updateParts(false))],
  ["updateMany", operation(wire.updateMany.args, updateParts(true))],
  ["deleteOne", operation(wire.deleteOne.args, deleteParts(false))],
  ["deleteMany", operation(wire.deleteMany.args, deleteParts(true))],
  [
    "findOneAndUpdate",
    operation(
      Schema.Struct({ ...wire.findOneAndUpdate.args.fields, arrayFilters: Schema.optionalKey(Schema.Array(Document)) }),
      {
        filters: ({ arrayFilters = [], filter, projection }) => [filter, ...arrayFilters, ...elementsOf(projection)],
        updates: ({ update }) => [update],
        run: (collection, { arrayFilters, filter = {}, update, ...args }) =>
          optional(
            isReplacement(update)
              ? collection.findOneAndReplace(filter, update, findOneAndOptions(args))
              : collection.findOneAndUpdate(filter, operatorsOf(update), { ...findOneAndOptions(args), arrayFilters })
          )
      }
    )
  ],
  [
    "findOneAndReplace",
    operation(wire.findOneAndReplace.args, {
      filters: ({ filter, projection }) => [filter, ...elementsOf(projection)],
      updates: ({ replacement }) => [replacement],
      check: ({ replacement }) =>
        replacement === undefined || isReplacement(replacement)
          ? undefined
          : RealmError.make(
            "InvalidParameter",
            "the replace operation document must not contain atomic operators"
          ),
      run: (collection, { filter = {}, replacement, ...args }) =>
        optional(
          // What realm-web sends for `findOneAndDelete`.
          replacement === undefined
            ? collection.findOneAndDelete(filter, findOneAndOptions(args))
            : collection.findOneAndReplace(filter, replacement, findOneAndOptions(args))
        )
    })
  ],
  [
    "findOneAndDelete",
    operation(wire.findOneAndDelete.args, {
      filters: ({ filter, projection }) => [filter, ...elementsOf(projection)],
      run: (collection, { filter = {}, ...args }) =>
        optional(collection.findOneAndDelete(filter, findOneAndOptions(args)))
    })
  ],
  ["bulkWrite", operation(Schema.Struct({ ...namespace, operations: Schema.Array(Document), ordered }), bulkWrite)]
])
