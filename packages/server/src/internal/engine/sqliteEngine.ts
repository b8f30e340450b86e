/**
 * The embedded engine: MongoDB's operations, synchronous, each write one transaction.
 */
import type { ObjectId } from "bson"
import type { DatabaseSync } from "node:sqlite"
import { DatabaseError } from "../../DatabaseError.ts"
import { compilePipeline, runPipeline, splitSelection } from "./aggregation.ts"
import type { Fields } from "./bsonValue.ts"
import { type BulkOutcome, bulkStep, nothingWritten } from "./bulkWrite.ts"
import type { ChangeCursor } from "./changeFeed.ts"
import type { Retention } from "./changeLog.ts"
import {
  type Access,
  countFound,
  distinctValues,
  eachFound,
  parseQuery,
  parseSelection,
  plannedIndex,
  search,
  type Selection,
  view
} from "./documentSearch.ts"
import {
  compileReplacement,
  deleteDocuments,
  insertDocument,
  newDocument,
  nothingUpdated,
  updateDocuments,
  type UpdateOutcome
} from "./documentWrites.ts"
import { limitedSteps } from "./expressionScope.ts"
import { badFilter, failure } from "./failure.ts"
import { declareIndex, sameIndex } from "./indexKeys.ts"
import { compileProjection } from "./projection.ts"
import { exactFilter } from "./query.ts"
import { fullName, type Namespace, SqliteStore } from "./sqliteStore.ts"
import type { Surroundings } from "./stage.ts"
import { compileUpdate, type Update } from "./update.ts"

export interface FindOptions {
  readonly sort?: { readonly [path: string]: unknown } | undefined
  readonly skip?: number | undefined
  readonly limit?: number | undefined
  readonly projection?: { readonly [path: string]: unknown } | undefined
}

export interface UpdateOptions {
  readonly upsert?: boolean | undefined
  readonly arrayFilters?: ReadonlyArray<unknown> | undefined
  readonly sort?: { readonly [path: string]: unknown } | undefined
}

export interface Explanation {
  readonly index: string | undefined
  readonly documentsExamined: number
  readonly documentsReturned: number
}

interface BulkFailure {
  readonly error: DatabaseError
  readonly index: number
}

/** What becomes of one document: an update by operators, a whole document in its place, or none. */
export type OneChange =
  | { readonly _tag: "Update"; readonly update: unknown; readonly arrayFilters?: ReadonlyArray<unknown> | undefined }
  | { readonly _tag: "Replace"; readonly replacement: unknown }
  | { readonly _tag: "Delete" }

const parseProjection = (
  projection: FindOptions["projection"],
  filter: Fields,
  now: number
): (document: Fields) => Fields => {
  if (projection === undefined || Object.keys(projection).length === 0) return (document) => document
  const compiled = compileProjection(projection, "find")
  const scope = { now, spend: limitedSteps() }
  return (document) => compiled(document, scope, filter)
}

export class SqliteEngine {
  readonly #store: SqliteStore

  constructor(database: DatabaseSync, filename: string, retention: Retention) {
    this.#store = new SqliteStore(database, filename, retention)
  }

  /** Watches a collection, which need not be there yet, from now on or after a token. */
  watch(namespace: Namespace, resumeAfter: unknown, now: number): ChangeCursor {
    return this.#store.watch(namespace, resumeAfter, now)
  }

  /** Ends all watches: the database is about to be closed. */
  endWatches(): void {
    this.#store.endWatches()
  }

  /** The document of a filter that is one identifier and nothing else. */
  findById(namespace: Namespace, id: string | ObjectId, access: Access): Fields | undefined {
    const stored = this.#store.get(namespace)?.get(id)
    return stored === undefined ? undefined : view(access, stored.document)
  }

  find(
    namespace: Namespace,
    filter: unknown,
    options: FindOptions & { readonly now: number },
    access: Access
  ): ReadonlyArray<Fields> {
    const selection = parseSelection(filter, options)
    const project = parseProjection(options.projection, selection.filter, options.now)
    const collection = this.#store.get(namespace)
    return collection === undefined
      ? []
      : search(collection, selection, access).map(({ document }) => project(document))
  }

  count(
    namespace: Namespace,
    filter: unknown,
    options: { readonly skip?: number | undefined; readonly limit?: number | undefined },
    access: Access
  ): number {
    const selection = parseSelection(filter, options)
    const collection = this.#store.get(namespace)
    return collection === undefined ? 0 : countFound(collection, selection, access)
  }

  distinct(namespace: Namespace, field: string, filter: unknown, access: Access): ReadonlyArray<unknown> {
    const query = parseQuery(filter)
    const collection = this.#store.get(namespace)
    return collection === undefined ? [] : distinctValues(collection, field, query, access)
  }

  /** Runs a pipeline over the documents the caller sees; what it begins with is answered by an index where one can. */
  aggregate(
    namespace: Namespace,
    pipeline: unknown,
    access: Access,
    surroundings: Pick<Surroundings, "now" | "random">
  ): ReadonlyArray<Fields> {
    const { selection, stages } = splitSelection(compilePipeline(pipeline))
    const collection = this.#store.get(namespace)
    const found = collection === undefined
      ? []
      : search(collection, selection, access).map(({ document }) => document)
    return runPipeline(stages, found, {
      ...surroundings,
      spend: limitedSteps(),
      others: (name, filter) => {
        if (access.scope !== undefined || access.see !== undefined) {
          throw badFilter("a caller of limited access cannot look into another collection")
        }
        const other = this.#store.get({ database: namespace.database, collection: name })
        return other === undefined ? [] : eachFound(other, filter, {})
      }
    })
  }

  /** How the documents are found that a pipeline begins with. */
  explainAggregate(namespace: Namespace, pipeline: unknown, access: Access): Explanation {
    return this.#explain(namespace, splitSelection(compilePipeline(pipeline)).selection, access)
  }

  explain(namespace: Namespace, filter: unknown, options: FindOptions, access: Access): Explanation {
    return this.#explain(namespace, parseSelection(filter, options), access)
  }

  #explain(namespace: Namespace, selection: Selection, access: Access): Explanation {
    const collection = this.#store.get(namespace)
    if (collection === undefined) return { index: undefined, documentsExamined: 0, documentsReturned: 0 }
    let documentsExamined = 0
    const found = search(collection, selection, access, () => {
      documentsExamined++
    })
    return {
      index: plannedIndex(collection, selection, access),
      documentsExamined,
      documentsReturned: found.length
    }
  }

  insertOne(namespace: Namespace, document: unknown, access: Access, now: number): unknown {
    const complete = newDocument(document, now)
    return this.#store.transaction(namespace, now, (collection) => insertDocument(collection, complete, access))
  }

  /**
   * Takes each step in one transaction, those that fail left out; stops at the first that does when `ordered`. Throws the first
   * failure, with its place and the count of the documents inserted all the same.
   */
  bulkWrite(
    namespace: Namespace,
    operations: ReadonlyArray<unknown>,
    ordered: boolean,
    access: Access,
    now: number
  ): BulkOutcome {
    const { failed, outcome } = this.#store.transaction(namespace, now, (collection) => {
      const outcome = nothingWritten()
      let failed: BulkFailure | undefined
      for (const [index, operation] of operations.entries()) {
        const step = bulkStep(operation, { index, access, now })
        const error = this.#store.attempt(() => step(collection, outcome))
        if (error === undefined) continue
        failed ??= { error, index }
        if (ordered) break
      }
      return { outcome, failed }
    })
    if (failed === undefined) return outcome
    const { error: { reason }, index } = failed
    throw new DatabaseError({ reason, insertedCount: outcome.insertedCount, failedIndex: index })
  }

  update(
    namespace: Namespace,
    filter: unknown,
    update: unknown,
    options: UpdateOptions & { readonly many: boolean; readonly now: number },
    access: Access
  ): UpdateOutcome {
    const selection = parseSelection(filter, { limit: options.many ? 0 : 1 })
    return this.#update(namespace, selection, compileUpdate(update, options), options, access)
  }

  replace(
    namespace: Namespace,
    filter: unknown,
    replacement: unknown,
    options: UpdateOptions & { readonly now: number },
    access: Access
  ): UpdateOutcome {
    const selection = parseSelection(filter, { limit: 1 })
    return this.#update(namespace, selection, compileReplacement(replacement), options, access)
  }

  #update(
    namespace: Namespace,
    selection: Selection,
    update: Update,
    options: UpdateOptions & { readonly now: number },
    access: Access
  ): UpdateOutcome {
    if (options.upsert !== true && this.#store.get(namespace) === undefined) return nothingUpdated
    return this.#store.transaction(
      namespace,
      options.now,
      (collection) => updateDocuments(collection, selection, update, access, options)
    )
  }

  delete(namespace: Namespace, filter: unknown, many: boolean, access: Access, now: number): number {
    const selection = parseSelection(filter, { limit: many ? 0 : 1 })
    if (this.#store.get(namespace) === undefined) return 0
    return this.#store.transaction(
      namespace,
      now,
      (collection) => deleteDocuments(collection, selection, access).length
    )
  }

  /** Changes the first document in the order of `sort`, and hands it out as it was or has become. */
  findOneAnd(
    namespace: Namespace,
    filter: unknown,
    change: OneChange,
    options: FindOptions & {
      readonly upsert?: boolean | undefined
      readonly returnDocument?: "before" | "after" | undefined
      readonly now: number
    },
    access: Access
  ): Fields | undefined {
    const selection = parseSelection(filter, { sort: options.sort, limit: 1 })
    const project = parseProjection(options.projection, selection.filter, options.now)
    const update = change._tag === "Update"
      ? compileUpdate(change.update, { now: options.now, arrayFilters: change.arrayFilters })
      : change._tag === "Replace"
      ? compileReplacement(change.replacement)
      : undefined
    if (options.upsert !== true && this.#store.get(namespace) === undefined) return undefined
    return this.#store.transaction(namespace, options.now, (collection) => {
      const { after, before } = update === undefined
        ? { before: deleteDocuments(collection, selection, access)[0], after: undefined }
        : updateDocuments(collection, selection, update, access, options)
      const document = options.returnDocument === "after" ? after : before
      // in the transaction, for a caller may refuse to look
      const seen = document === undefined ? undefined : view(access, document)
      return seen === undefined ? undefined : project(seen)
    })
  }

  createIndex(
    namespace: Namespace,
    keys: { readonly [path: string]: unknown },
    options: {
      readonly unique?: boolean | undefined
      readonly sparse?: boolean | undefined
      readonly partial?: unknown
    },
    now: number
  ): void {
    const declaration = declareIndex(keys, {
      unique: options.unique,
      sparse: options.sparse,
      partial: options.partial === undefined ? undefined : exactFilter(options.partial)
    })
    const present = this.#store.get(namespace)?.secondary.find((index) => index.declaration.name === declaration.name)
    if (present === undefined) {
      this.#store.createIndex(namespace, declaration, now)
    } else if (!sameIndex(present.declaration, declaration)) {
      throw failure({
        _tag: "BadIndex",
        detail: `${fullName(namespace)} has an index ${declaration.name} with other options`
      })
    }
  }
}
