/**
 * A collection of the embedded engine as the service has it: its synchronous operations as effects, its failures typed, and
 * documents in the form that was asked for.
 */
import { ObjectId } from "bson"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import type {
  BulkOperation,
  BulkWriteOptions,
  BulkWriteResult,
  Collection,
  Document,
  Explanation,
  Filter,
  FindOneAndReplaceOptions,
  Namespace,
  Numbers,
  UpdateResult
} from "../../Database.ts"
import type { Access } from "../../DatabaseAccess.ts"
import type { DatabaseError } from "../../DatabaseError.ts"
import type { Fields } from "./bsonValue.ts"
import type { BulkOutcome } from "./bulkWrite.ts"
import * as CollectionWatch from "./collectionWatch.ts"
import type { Access as EngineAccess } from "./documentSearch.ts"
import type { UpdateOutcome } from "./documentWrites.ts"
import { type Admission, admit, documentIn, valueIn } from "./engineAccess.ts"
import type { Explanation as EngineExplanation, OneChange, SqliteEngine } from "./sqliteEngine.ts"
import { toDatabaseError } from "./sqliteFile.ts"

/** The identifier that a filter asks for, when that is all it asks for. */
const identifierOf = (filter: Filter): string | ObjectId | undefined => {
  const { _id: id } = filter
  return (typeof id === "string" || id instanceof ObjectId) && Object.keys(filter).length === 1 ? id : undefined
}

const explained = ({ index, ...counts }: EngineExplanation): Explanation => ({
  index: Option.fromUndefinedOr(index),
  ...counts
})

/**
 * The collection of a namespace, as whoever has the access sees it.
 *
 * @param filename where the database is, for its errors
 */
export const make = <Refusal>(
  engine: SqliteEngine,
  filename: string,
  namespace: Namespace,
  numbers: Numbers,
  allowed: Access<Refusal>
): Collection<Refusal> => {
  const value = valueIn(numbers)
  const document = documentIn(numbers)
  const optional = (fields: Fields | undefined): Option.Option<Document> =>
    fields === undefined ? Option.none() : Option.some(document(fields))
  let admission: Admission<Refusal> | undefined
  const admitted = (): Admission<Refusal> => admission ??= admit(allowed, numbers)
  const failed = (error: unknown): DatabaseError | Refusal =>
    Option.getOrElse(
      Option.flatMap(Option.fromUndefinedOr(admission), ({ refusal }) => refusal(error)),
      () => toDatabaseError(filename, error)
    )
  const attempt = <A>(run: (access: EngineAccess) => A): Effect.Effect<A, DatabaseError | Refusal> =>
    Effect.try({ try: () => run(admitted().access), catch: failed })
  const timed = <A>(run: (now: number, access: EngineAccess) => A): Effect.Effect<A, DatabaseError | Refusal> =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => attempt((access) => run(now, access)))
  const updated = (outcome: UpdateOutcome): UpdateResult => ({
    matchedCount: outcome.matchedCount,
    modifiedCount: outcome.modifiedCount,
    upsertedId: outcome.upsertedId === undefined ? Option.none() : Option.some(value(outcome.upsertedId))
  })
  const identifiers = (ids: BulkWriteResult["insertedIds"]): BulkWriteResult["insertedIds"] =>
    Object.fromEntries(Object.entries(ids).map(([index, id]) => [index, value(id)]))
  const bulkWrite = (
    operations: ReadonlyArray<BulkOperation>,
    options: BulkWriteOptions
  ): Effect.Effect<BulkOutcome, DatabaseError | Refusal> =>
    timed((now, access) => engine.bulkWrite(namespace, operations, options.ordered !== false, access, now))
  const findOneAnd = (
    filter: Filter,
    change: OneChange,
    options: FindOneAndReplaceOptions
  ): Effect.Effect<Option.Option<Document>, DatabaseError | Refusal> =>
    timed((now, access) => optional(engine.findOneAnd(namespace, filter, change, { ...options, now }, access)))
  const watchAs: Collection["watchAs"] = (who, options = {}) =>
    CollectionWatch.make({ engine, filename, namespace, numbers, who }, options)
  return {
    find: (filter, options = {}) =>
      timed((now, access) => engine.find(namespace, filter, { ...options, now }, access).map(document)),
    findOne: (filter, options = {}) =>
      timed((now, access) => {
        const id = identifierOf(filter)
        return optional(
          id !== undefined && Object.keys(options).length === 0
            ? engine.findById(namespace, id, access)
            : engine.find(namespace, filter, { ...options, limit: 1, now }, access)[0]
        )
      }),
    insertOne: (inserted) =>
      timed((now, access) => ({ insertedId: value(engine.insertOne(namespace, inserted, access, now)) })),
    insertMany: (inserted, options = {}) =>
      Effect.map(
        bulkWrite(inserted.map((document) => ({ insertOne: { document } })), options),
        ({ insertedIds }) => ({ insertedIds: Object.values(insertedIds).map(value) })
      ),
    updateOne: (filter, update, options = {}) =>
      timed((now, access) =>
        updated(engine.update(namespace, filter, update, { ...options, many: false, now }, access))
      ),
    updateMany: (filter, update, options = {}) =>
      timed((now, access) =>
        updated(engine.update(namespace, filter, update, { ...options, many: true, now }, access))
      ),
    replaceOne: (filter, replacement, options = {}) =>
      timed((now, access) => updated(engine.replace(namespace, filter, replacement, { ...options, now }, access))),
    deleteOne: (filter) =>
      timed((now, access) => ({ deletedCount: engine.delete(namespace, filter, false, access, now) })),
    deleteMany: (filter) =>
      timed((now, access) => ({ deletedCount: engine.delete(namespace, filter, true, access, now) })),
    findOneAndUpdate: (filter, update, options = {}) =>
      findOneAnd(filter, { _tag: "Update", update, arrayFilters: options.arrayFilters }, options),
    findOneAndReplace: (filter, replacement, options = {}) =>
      findOneAnd(filter, { _tag: "Replace", replacement }, options),
    findOneAndDelete: (filter, options = {}) => findOneAnd(filter, { _tag: "Delete" }, options),
    bulkWrite: (operations, options = {}) =>
      Effect.map(bulkWrite(operations, options), (outcome) => ({
        ...outcome,
        insertedIds: identifiers(outcome.insertedIds),
        upsertedIds: identifiers(outcome.upsertedIds)
      })),
    count: (filter, options = {}) => attempt((access) => engine.count(namespace, filter, options, access)),
    distinct: (path, filter = {}) => attempt((access) => engine.distinct(namespace, path, filter, access).map(value)),
    createIndex: (keys, options = {}) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        Effect.try({
          try: () => engine.createIndex(namespace, keys, options, now),
          catch: (error) => toDatabaseError(filename, error)
        })),
    aggregate: (pipeline) =>
      Effect.flatMap(
        Random.Random,
        (numbers) =>
          timed((now, access) =>
            engine.aggregate(namespace, pipeline, access, { now, random: () => numbers.nextDoubleUnsafe() }).map(
              document
            )
          )
      ),
    explain: (filter, options = {}) =>
      attempt((access) => explained(engine.explain(namespace, filter, options, access))),
    explainAggregate: (pipeline) =>
      attempt((access) => explained(engine.explainAggregate(namespace, pipeline, access))),
    watch: (options = {}) =>
      watchAs(
        (refused: Option.Option<Refusal>): Effect.Effect<Access<Refusal>, Refusal> =>
          Option.isSome(refused) ? Effect.fail(refused.value) : Effect.succeed(allowed),
        options
      ),
    watchAs
  }
}
