/**
 * Several writes of one request: what each of them is, and what all of them did.
 */
import * as Result from "effect/Result"
import type { DatabaseError } from "../../DatabaseError.ts"
import { isArray, isFields } from "./bsonValue.ts"
import { type Access, parseSelection } from "./documentSearch.ts"
import {
  compileReplacement,
  deleteDocuments,
  insertDocument,
  newDocument,
  nothingUpdated,
  updateDocuments,
  type UpdateOutcome
} from "./documentWrites.ts"
import { badUpdate } from "./failure.ts"
import { Refusals } from "./refusals.ts"
import type { SqliteCollection } from "./sqliteCollection.ts"
import type { SqliteStore } from "./sqliteStore.ts"
import { compileUpdate } from "./update.ts"
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

const nothingWritten = (): BulkOutcome => ({
  insertedCount: 0,
  matchedCount: 0,
  modifiedCount: 0,
  deletedCount: 0,
  upsertedCount: 0,
  insertedIds: {},
  upsertedIds: {}
})

/** What one of them did. */
interface Done extends Pick<UpdateOutcome, "matchedCount" | "modifiedCount" | "upsertedId"> {
  readonly insertedId: unknown
  readonly deletedCount: number
}

const nothingDone: Done = { ...nothingUpdated, insertedId: undefined, deletedCount: 0 }

const enter = (outcome: BulkOutcome, index: number, done: Done): void => {
  outcome.matchedCount += done.matchedCount
  outcome.modifiedCount += done.modifiedCount
  outcome.deletedCount += done.deletedCount
  if (done.insertedId !== undefined) {
    outcome.insertedIds[index] = done.insertedId
    outcome.insertedCount++
  }
  if (done.upsertedId !== undefined) {
    outcome.upsertedIds[index] = done.upsertedId
    outcome.upsertedCount++
  }
}

/** Does one operation, as `{ insertOne: { document } }`. */
function* perform(collection: SqliteCollection, operation: unknown, access: Access): Work<Done> {
  const [kind, ...others] = isFields(operation) ? Object.keys(operation) : []
  const content = isFields(operation) && kind !== undefined ? operation[kind] : undefined
  if (kind === undefined || others.length > 0 || !isFields(content)) {
    throw badUpdate("an operation of bulkWrite is an object of one field, as { insertOne: { document } }")
  }
  const { arrayFilters, document, filter, replacement, update, upsert } = content
  const selected = () => parseSelection(filter, { limit: kind.endsWith("Many") ? 0 : 1 })
  switch (kind) {
    case "insertOne":
      return {
        ...nothingDone,
        insertedId: yield* insertDocument(collection, newDocument(document, access.now), access)
      }
    case "updateOne":
    case "updateMany":
    case "replaceOne": {
      const change = kind === "replaceOne"
        ? compileReplacement(replacement)
        : compileUpdate(update, {
          now: access.now,
          arrayFilters: isArray(arrayFilters) ? arrayFilters : undefined
        })
      return { ...nothingDone, ...yield* updateDocuments(collection, selected(), change, access, upsert === true) }
    }
    case "deleteOne":
    case "deleteMany": {
      const deleted = yield* deleteDocuments(collection, selected(), access)
      return { ...nothingDone, deletedCount: deleted.length }
    }
    default:
      throw badUpdate(`bulkWrite has no operation ${kind}`, kind)
  }
}

export interface BulkFailure {
  readonly error: DatabaseError
  readonly index: number
}

/**
 * Does each operation within the transaction that is open, those that fail left out; stops at the first that does when
 * `ordered`.
 */
export function* performAll(
  store: SqliteStore,
  collection: SqliteCollection,
  operations: ReadonlyArray<unknown>,
  ordered: boolean,
  access: Access
): Work<{ readonly outcome: BulkOutcome; readonly failed: BulkFailure | undefined }> {
  const outcome = nothingWritten()
  const refusals = new Refusals(access)
  let failed: BulkFailure | undefined
  for (const [index, operation] of operations.entries()) {
    yield
    let result: Result.Result<Done, DatabaseError>
    try {
      result = yield* store.attempt(perform(collection, operation, access))
    } catch (error) {
      // of the whole request, whose transaction is rolled back then
      refusals.meet(error)
      continue
    }
    if (Result.isSuccess(result)) {
      enter(outcome, index, result.success)
      continue
    }
    failed ??= { error: result.failure, index }
    if (ordered) break
  }
  refusals.end()
  return { outcome, failed }
}
