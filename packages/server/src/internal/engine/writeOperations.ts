/**
 * MongoDB's operations that write, as work of one transaction each.
 */
import { DatabaseError } from "../../DatabaseError.ts"
import type { Fields } from "./bsonValue.ts"
import { type BulkOutcome, performAll } from "./bulkWrite.ts"
import { type Access, parseSelection, type Selection, view } from "./documentSearch.ts"
import {
  compileReplacement,
  deleteDocuments,
  insertDocument,
  newDocument,
  nothingUpdated,
  updateDocuments,
  type UpdateOutcome
} from "./documentWrites.ts"
import { failure } from "./failure.ts"
import { declareIndex, sameIndex } from "./indexKeys.ts"
import { exactFilter } from "./query.ts"
import { type FindOptions, parseProjection } from "./readOperations.ts"
import { fullName, type Namespace } from "./sqliteCatalog.ts"
import type { SqliteCollection } from "./sqliteCollection.ts"
import type { SqliteStore } from "./sqliteStore.ts"
import { compileUpdate, type Update } from "./update.ts"
import type { Work } from "./work.ts"

export interface UpdateOptions {
  readonly upsert?: boolean | undefined
  readonly arrayFilters?: ReadonlyArray<unknown> | undefined
}

export interface FindOneAndOptions extends FindOptions {
  readonly upsert?: boolean | undefined
  readonly returnDocument?: "before" | "after" | undefined
}

/** What becomes of one document: an update by operators, a whole document in its place, or none. */
export type OneChange =
  | { readonly _tag: "Update"; readonly update: unknown; readonly arrayFilters?: ReadonlyArray<unknown> | undefined }
  | { readonly _tag: "Replace"; readonly replacement: unknown }
  | { readonly _tag: "Delete" }

export function* insertOne(
  store: SqliteStore,
  namespace: Namespace,
  document: unknown,
  access: Access
): Work<unknown> {
  const complete = newDocument(document, access.now)
  return yield* store.transaction(namespace, access.now, (collection) => insertDocument(collection, complete, access))
}

/**
 * Does each operation in one transaction, those that fail left out; stops at the first that does when `ordered`. Throws the
 * first failure, with its place and the count of the documents inserted all the same.
 */
export function* bulkWrite(
  store: SqliteStore,
  namespace: Namespace,
  operations: ReadonlyArray<unknown>,
  ordered: boolean,
  access: Access
): Work<BulkOutcome> {
  const { failed, outcome } = yield* store.transaction(
    namespace,
    access.now,
    (collection) => performAll(store, collection, operations, ordered, access)
  )
  if (failed === undefined) return outcome
  const { error: { reason }, index } = failed
  throw new DatabaseError({ reason, insertedCount: outcome.insertedCount, failedIndex: index })
}

export function* update(
  store: SqliteStore,
  namespace: Namespace,
  filter: unknown,
  update: unknown,
  options: UpdateOptions & { readonly many: boolean },
  access: Access
): Work<UpdateOutcome> {
  const selection = parseSelection(filter, { limit: options.many ? 0 : 1 })
  const { arrayFilters, upsert } = options
  const compiled = compileUpdate(update, { now: access.now, arrayFilters })
  return yield* updateSelection(store, namespace, selection, compiled, upsert === true, access)
}

export function* replace(
  store: SqliteStore,
  namespace: Namespace,
  filter: unknown,
  replacement: unknown,
  { upsert }: Pick<UpdateOptions, "upsert">,
  access: Access
): Work<UpdateOutcome> {
  const selection = parseSelection(filter, { limit: 1 })
  return yield* updateSelection(store, namespace, selection, compileReplacement(replacement), upsert === true, access)
}

function* updateSelection(
  store: SqliteStore,
  namespace: Namespace,
  selection: Selection,
  update: Update,
  orInsert: boolean,
  access: Access
): Work<UpdateOutcome> {
  if (!orInsert && store.get(namespace) === undefined) return nothingUpdated
  return yield* store.transaction(
    namespace,
    access.now,
    (collection) => updateDocuments(collection, selection, update, access, orInsert)
  )
}

/** Returns how many were deleted. */
export function* remove(
  store: SqliteStore,
  namespace: Namespace,
  filter: unknown,
  many: boolean,
  access: Access
): Work<number> {
  const selection = parseSelection(filter, { limit: many ? 0 : 1 })
  if (store.get(namespace) === undefined) return 0
  const deleted = yield* store.transaction(
    namespace,
    access.now,
    (collection) => deleteDocuments(collection, selection, access)
  )
  return deleted.length
}

/** Changes the first document in the order of `sort`, and hands it out as it was or has become. */
export function* findOneAnd(
  store: SqliteStore,
  namespace: Namespace,
  filter: unknown,
  change: OneChange,
  options: FindOneAndOptions,
  access: Access
): Work<Fields | undefined> {
  const selection = parseSelection(filter, { sort: options.sort, limit: 1 })
  const project = parseProjection(options.projection, selection.filter, access.now)
  const update = change._tag === "Update"
    ? compileUpdate(change.update, { now: access.now, arrayFilters: change.arrayFilters })
    : change._tag === "Replace"
    ? compileReplacement(change.replacement)
    : undefined
  if (options.upsert !== true && store.get(namespace) === undefined) return undefined
  return yield* store.transaction(
    namespace,
    access.now,
    (collection) => changeOne(collection, selection, update, project, options, access)
  )
}

function* changeOne(
  collection: SqliteCollection,
  selection: Selection,
  update: Update | undefined,
  project: ((document: Fields) => Fields) | undefined,
  options: FindOneAndOptions,
  access: Access
): Work<Fields | undefined> {
  const { after, before } = update === undefined
    ? { before: (yield* deleteDocuments(collection, selection, access))[0], after: undefined }
    : yield* updateDocuments(collection, selection, update, access, options.upsert === true)
  const document = options.returnDocument === "after" ? after : before
  // in the transaction, for a caller may refuse to look
  const seen = document === undefined ? undefined : view(access, document)
  return seen === undefined || project === undefined ? seen : project(seen)
}

export function* createIndex(
  store: SqliteStore,
  namespace: Namespace,
  keys: { readonly [path: string]: unknown },
  options: {
    readonly unique?: boolean | undefined
    readonly sparse?: boolean | undefined
    readonly partial?: unknown
  },
  now: number
): Work<void> {
  const declaration = declareIndex(keys, {
    unique: options.unique,
    sparse: options.sparse,
    partial: options.partial === undefined ? undefined : exactFilter(options.partial)
  })
  const present = store.get(namespace)?.secondary.find((index) => index.declaration.name === declaration.name)
  if (present === undefined) {
    yield* store.createIndex(namespace, declaration, now)
  } else if (!sameIndex(present.declaration, declaration)) {
    throw failure({
      _tag: "BadIndex",
      detail: `${fullName(namespace)} has an index ${declaration.name} with other options`
    })
  }
}
