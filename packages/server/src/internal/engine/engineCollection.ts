/**
 * A collection of the embedded engine as the service has it: its operations as effects, its failures typed, and documents in
 * the form that was asked for.
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
  UpdateOperators,
  UpdateOptions,
  UpdateResult
} from "../../Database.ts"
import type { Access } from "../../DatabaseAccess.ts"
import type { DatabaseError } from "../../DatabaseError.ts"
import type { Fields } from "./bsonValue.ts"
import type { BulkOutcome } from "./bulkWrite.ts"
import * as CollectionWatch from "./collectionWatch.ts"
import type { Connections } from "./connections.ts"
import type { Access as EngineAccess } from "./documentSearch.ts"
import type { UpdateOutcome } from "./documentWrites.ts"
import { type Admission, admit, documentIn, valueIn } from "./engineAccess.ts"
import * as Reads from "./readOperations.ts"
import type { Collections } from "./sqliteDocuments.ts"
import { toDatabaseError } from "./sqliteFile.ts"
import type { SqliteStore } from "./sqliteStore.ts"
import { mapped, type Work } from "./work.ts"
import * as Writes from "./writeOperations.ts"

/** The identifier that a filter asks for, when that is all it asks for. */
const identifierOf = (filter: Filter): string | ObjectId | undefined => {
  const { _id: id } = filter
  return (typeof id === "string" || id instanceof ObjectId) && Object.keys(filter).length === 1 ? id : undefined
}

const explained = ({ index, ...counts }: Reads.Explanation): Explanation => ({
  index: Option.fromUndefinedOr(index),
  ...counts
})

function* converted<A, B>(found: Work<ReadonlyArray<A>>, convert: (value: A) => B): Work<Array<B>> {
  return yield* mapped(yield* found, convert)
}

/**
 * The collection of a namespace, as whoever has the access sees it.
 *
 * @param filename where the database is, for its errors
 */
export const make = <Refusal>(
  connections: Connections,
  filename: string,
  namespace: Namespace,
  numbers: Numbers,
  allowed: Access<Refusal>
): Collection<Refusal> => {
  const value = valueIn(numbers)
  const document = documentIn(numbers)
  const documents = (found: Work<Array<Fields>>): Work<Array<Document>> =>
    numbers === "exact" ? found : converted(found, document)
  const optional = (fields: Fields | undefined): Option.Option<Document> =>
    fields === undefined ? Option.none() : Option.some(document(fields))
  let admission: Admission<Refusal> | undefined
  const access = (now: number): EngineAccess => (admission ??= admit(allowed, numbers)).access(now)
  const failed = (error: unknown): DatabaseError | Refusal =>
    Option.getOrElse(
      Option.flatMap(Option.fromUndefinedOr(admission), ({ refusal }) => refusal(error)),
      () => toDatabaseError(filename, error)
    )
  const reading = <A>(
    read: (collections: Collections, access: EngineAccess) => Work<A>
  ): Effect.Effect<A, DatabaseError | Refusal> =>
    Effect.flatMap(
      Clock.currentTimeMillis,
      (now) => connections.read((collections) => read(collections, access(now)), failed)
    )
  const writing = <A>(
    write: (store: SqliteStore, access: EngineAccess) => Work<A>
  ): Effect.Effect<A, DatabaseError | Refusal> =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => connections.write((store) => write(store, access(now)), failed))
  const updated = (outcome: UpdateOutcome): UpdateResult => ({
    matchedCount: outcome.matchedCount,
    modifiedCount: outcome.modifiedCount,
    upsertedId: outcome.upsertedId === undefined ? Option.none() : Option.some(value(outcome.upsertedId))
  })
  const identifiers = (ids: BulkWriteResult["insertedIds"]): BulkWriteResult["insertedIds"] =>
    Object.fromEntries(Object.entries(ids).map(([index, id]) => [index, value(id)]))
  const bulkWrite = (
    operations: ReadonlyArray<BulkOperation>,
    { ordered }: BulkWriteOptions
  ): Effect.Effect<BulkOutcome, DatabaseError | Refusal> =>
    writing((store, access) => Writes.bulkWrite(store, namespace, operations, ordered !== false, access))
  const update = (
    filter: Filter,
    update: UpdateOperators,
    options: UpdateOptions,
    many: boolean
  ): Effect.Effect<UpdateResult, DatabaseError | Refusal> =>
    Effect.map(
      writing((store, access) => Writes.update(store, namespace, filter, update, { ...options, many }, access)),
      updated
    )
  const remove = (
    filter: Filter,
    many: boolean
  ): Effect.Effect<{ readonly deletedCount: number }, DatabaseError | Refusal> =>
    Effect.map(
      writing((store, access) => Writes.remove(store, namespace, filter, many, access)),
      (deletedCount) => ({ deletedCount })
    )
  const findOneAnd = (
    filter: Filter,
    change: Writes.OneChange,
    options: FindOneAndReplaceOptions
  ): Effect.Effect<Option.Option<Document>, DatabaseError | Refusal> =>
    Effect.map(
      writing((store, access) => Writes.findOneAnd(store, namespace, filter, change, options, access)),
      optional
    )
  const watchAs: Collection["watchAs"] = (who, options = {}) =>
    CollectionWatch.make({ connections, filename, namespace, numbers, who }, options)
  return {
    find: (filter, options = {}) =>
      reading((collections, access) => documents(Reads.find(collections, namespace, filter, options, access))),
    findOne: (filter, options = {}) => {
      const id = Object.keys(options).length === 0 ? identifierOf(filter) : undefined
      return Effect.map(
        reading((collections, access) =>
          id === undefined
            ? Reads.findFirst(collections, namespace, filter, options, access)
            : Reads.findById(collections, namespace, id, access)
        ),
        optional
      )
    },
    insertOne: (inserted) =>
      Effect.map(
        writing((store, access) => Writes.insertOne(store, namespace, inserted, access)),
        (id) => ({ insertedId: value(id) })
      ),
    insertMany: (inserted, options = {}) =>
      Effect.map(
        bulkWrite(inserted.map((document) => ({ insertOne: { document } })), options),
        ({ insertedIds }) => ({ insertedIds: Object.values(insertedIds).map(value) })
      ),
    updateOne: (filter, operators, options = {}) => update(filter, operators, options, false),
    updateMany: (filter, operators, options = {}) => update(filter, operators, options, true),
    replaceOne: (filter, replacement, options = {}) =>
      Effect.map(
        writing((store, access) => Writes.replace(store, namespace, filter, replacement, options, access)),
        updated
      ),
    deleteOne: (filter) => remove(filter, false),
    deleteMany: (filter) => remove(filter, true),
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
    count: (filter, options = {}) =>
      reading((collections, access) => Reads.count(collections, namespace, filter, options, access)),
    distinct: (path, filter = {}) =>
      reading((collections, access) => converted(Reads.distinct(collections, namespace, path, filter, access), value)),
    createIndex: (keys, options = {}) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        connections.write(
          (store) => Writes.createIndex(store, namespace, keys, options, now),
          (error) => toDatabaseError(filename, error)
        )),
    aggregate: (pipeline) =>
      Effect.flatMap(
        Random.Random,
        (numbers) => {
          const drawn: Array<number> = []
          return reading((collections, access) => {
            let draws = 0
            // what is begun anew draws the same numbers
            const random = () => drawn[draws++] ??= numbers.nextDoubleUnsafe()
            return documents(Reads.aggregate(collections, namespace, pipeline, access, random))
          })
        }
      ),
    explain: (filter, options = {}) =>
      Effect.map(
        reading((collections, access) => Reads.explain(collections, namespace, filter, options, access)),
        explained
      ),
    explainAggregate: (pipeline) =>
      Effect.map(
        reading((collections, access) => Reads.explainAggregate(collections, namespace, pipeline, access)),
        explained
      ),
    watch: (options = {}) =>
      watchAs(
        (refused: Option.Option<Refusal>): Effect.Effect<Access<Refusal>, Refusal> =>
          Option.isSome(refused) ? Effect.fail(refused.value) : Effect.succeed(allowed),
        options
      ),
    watchAs
  }
}
