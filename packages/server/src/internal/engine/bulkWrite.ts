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

/** One write, whole or not at all, and entered into the outcome. */
export type BulkStep = (collection: SqliteCollection, outcome: BulkOutcome) => void

interface Surroundings {
  readonly index: number
  readonly access: Access
  readonly now: number
}

const insertStep = (operation: Fields, { access, index, now }: Surroundings): BulkStep => (collection, outcome) => {
  outcome.insertedIds[index] = insertDocument(collection, newDocument(operation["document"], now), access)
  outcome.insertedCount++
}

const enter = (outcome: BulkOutcome, index: number, updated: UpdateOutcome): void => {
  outcome.matchedCount += updated.matchedCount
  outcome.modifiedCount += updated.modifiedCount
  if (updated.upsertedId === undefined) return
  outcome.upsertedIds[index] = updated.upsertedId
  outcome.upsertedCount++
}

const updateStep = (
  operation: Fields,
  compile: (now: number) => Update,
  many: boolean,
  { access, index, now }: Surroundings
): BulkStep => {
  const selection = parseSelection(operation["filter"], { limit: many ? 0 : 1 })
  const update = compile(now)
  const upsert = operation["upsert"] === true
  return (collection, outcome) =>
    enter(outcome, index, updateDocuments(collection, selection, update, access, { upsert, now }))
}

const deleteStep = (operation: Fields, many: boolean, { access }: Surroundings): BulkStep => {
  const selection = parseSelection(operation["filter"], { limit: many ? 0 : 1 })
  return (collection, outcome) => {
    outcome.deletedCount += deleteDocuments(collection, selection, access).length
  }
}

const step = (kind: string, operation: Fields, surroundings: Surroundings): BulkStep => {
  const arrayFilters = operation["arrayFilters"]
  switch (kind) {
    case "insertOne":
      return insertStep(operation, surroundings)
    case "updateOne":
    case "updateMany":
      return updateStep(
        operation,
        (now) =>
          compileUpdate(operation["update"], { now, arrayFilters: isArray(arrayFilters) ? arrayFilters : undefined }),
        kind === "updateMany",
        surroundings
      )
    case "replaceOne":
      return updateStep(operation, () => compileReplacement(operation["replacement"]), false, surroundings)
    case "deleteOne":
    case "deleteMany":
      return deleteStep(operation, kind === "deleteMany", surroundings)
    default:
      throw badUpdate(`bulkWrite has no operation ${kind}`, kind)
  }
}

/** The step of one operation, as `{ insertOne: { document } }`. What is wrong with it is thrown when the step is taken. */
export const bulkStep = (operation: unknown, surroundings: Surroundings): BulkStep => (collection, outcome) => {
  const [kind, ...others] = isFields(operation) ? Object.keys(operation) : []
  const content = isFields(operation) && kind !== undefined ? operation[kind] : undefined
  if (kind === undefined || others.length > 0 || !isFields(content)) {
    throw badUpdate("an operation of bulkWrite is an object of one field, as { insertOne: { document } }")
  }
  step(kind, content, surroundings)(collection, outcome)
}
