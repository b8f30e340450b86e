/**
 * Several writes of one request: what each of them is, and what all of them did.
 */
import { type Fields, isArray, isFields } from "./bsonValue.ts"
import { type Access, parseSelection } from "./documentSearch.ts"
import {
  compileReplacement,
  deleteDocuments,
  insertDocument,
  newDocument,
  updateDocuments,
  type UpdateOutcome
} from "./documentWrites.ts"
import { badUpdate } from "./failure.ts"
import type { SqliteCollection } from "./sqliteCollection.ts"
import { compileUpdate, type Update } from "./update.ts"
import type { Work } from "./work.ts"

export interface BulkOutcome {
  insertedCount: number
  matchedCount: number
  modifiedCount: number
  deletedCount: number
  upsertedCount: number
  readonly insertedIds: { [index: number]: unknown }
  readonly upsertedIds: { [index: number]: unknown }
}

export const nothingWritten = (): BulkOutcome => ({
  insertedCount: 0,
  matchedCount: 0,
  modifiedCount: 0,
  deletedCount: 0,
  upsertedCount: 0,
  insertedIds: {},
  upsertedIds: {}
})

interface Surroundings {
  readonly index: number
  readonly access: Access
  readonly now: number
}

function* insertStep(
  collection: SqliteCollection,
  outcome: BulkOutcome,
  operation: Fields,
  { access, index, now }: Surroundings
): Work<void> {
  outcome.insertedIds[index] = yield* insertDocument(collection, newDocument(operation["document"], now), access)
  outcome.insertedCount++
}

const enter = (outcome: BulkOutcome, index: number, updated: UpdateOutcome): void => {
  outcome.matchedCount += updated.matchedCount
  outcome.modifiedCount += updated.modifiedCount
  if (updated.upsertedId === undefined) return
  outcome.upsertedIds[index] = updated.upsertedId
  outcome.upsertedCount++
}

function* updateStep(
  collection: SqliteCollection,
  outcome: BulkOutcome,
  operation: Fields,
  compile: (now: number) => Update,
  many: boolean,
  { access, index, now }: Surroundings
): Work<void> {
  const selection = parseSelection(operation["filter"], { limit: many ? 0 : 1 })
  const upsert = operation["upsert"] === true
  enter(outcome, index, yield* updateDocuments(collection, selection, compile(now), access, { upsert, now }))
}

function* deleteStep(
  collection: SqliteCollection,
  outcome: BulkOutcome,
  operation: Fields,
  many: boolean,
  { access }: Surroundings
): Work<void> {
  const selection = parseSelection(operation["filter"], { limit: many ? 0 : 1 })
  const deleted = yield* deleteDocuments(collection, selection, access)
  outcome.deletedCount += deleted.length
}

const step = (
  collection: SqliteCollection,
  outcome: BulkOutcome,
  kind: string,
  operation: Fields,
  surroundings: Surroundings
): Work<void> => {
  const arrayFilters = operation["arrayFilters"]
  switch (kind) {
    case "insertOne":
      return insertStep(collection, outcome, operation, surroundings)
    case "updateOne":
    case "updateMany":
      return updateStep(
        collection,
        outcome,
        operation,
        (now) =>
          compileUpdate(operation["update"], { now, arrayFilters: isArray(arrayFilters) ? arrayFilters : undefined }),
        kind === "updateMany",
        surroundings
      )
    case "replaceOne":
      return updateStep(
        collection,
        outcome,
        operation,
        () => compileReplacement(operation["replacement"]),
        false,
        surroundings
      )
    case "deleteOne":
    case "deleteMany":
      return deleteStep(collection, outcome, operation, kind === "deleteMany", surroundings)
    default:
      throw badUpdate(`bulkWrite has no operation ${kind}`, kind)
  }
}

/** One operation, as `{ insertOne: { document } }`, done and entered into the outcome. */
export function* bulkStep(
  collection: SqliteCollection,
  outcome: BulkOutcome,
  operation: unknown,
  surroundings: Surroundings
): Work<void> {
  const [kind, ...others] = isFields(operation) ? Object.keys(operation) : []
  const content = isFields(operation) && kind !== undefined ? operation[kind] : undefined
  if (kind === undefined || others.length > 0 || !isFields(content)) {
    throw badUpdate("an operation of bulkWrite is an object of one field, as { insertOne: { document } }")
  }
  yield* step(collection, outcome, kind, content, surroundings)
}
