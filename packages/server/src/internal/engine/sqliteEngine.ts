/**
 * The embedded engine: MongoDB's operations, synchronous, each write one transaction.
 */
import type { ObjectId } from "bson"
import type { DatabaseSync, StatementSync } from "node:sqlite"
import { DatabaseError } from "../../DatabaseError.ts"
import { compilePipeline, runPipeline, splitSelection } from "./aggregation.ts"
import { decode, encode, exact, type Fields, isArray, isFields, setField } from "./bsonValue.ts"
import { type BulkOutcome, bulkStep, nothingWritten } from "./bulkWrite.ts"
import type { ChangeCursor, ChangeFeed } from "./changeFeed.ts"
import { ChangeLog, type Retention } from "./changeLog.ts"
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
import { declareIndex, type IndexDeclaration, sameIndex } from "./indexKeys.ts"
import { compileProjection } from "./projection.ts"
import { exactFilter } from "./query.ts"
import { SqliteCollection } from "./sqliteCollection.ts"
import { compileUpdate, type Update } from "./update.ts"

export interface Namespace {
  readonly database: string
  readonly collection: string
}

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
  readonly #database: DatabaseSync
  readonly #filename: string
  readonly #collections = new Map<string, SqliteCollection>()
  readonly #begin: StatementSync
  readonly #commit: StatementSync
  readonly #saveMultikey: StatementSync
  readonly #log: ChangeLog

  constructor(database: DatabaseSync, filename: string, retention: Retention) {
    this.#database = database
    this.#filename = filename
    this.#log = new ChangeLog(database, retention)
    this.#begin = database.prepare("BEGIN IMMEDIATE")
    this.#commit = database.prepare("COMMIT")
    this.#saveMultikey = database.prepare("UPDATE indexes SET multikey = ? WHERE id = ?")
    for (const row of database.prepare("SELECT id, database, name FROM collections").all()) {
      this.#register(Number(row["id"]), { database: String(row["database"]), collection: String(row["name"]) })
    }
  }

  // both names may hold dots
  #name(namespace: Namespace): string {
    return `${namespace.database}\0${namespace.collection}`
  }

  #register(id: number, namespace: Namespace): SqliteCollection {
    const collection = new SqliteCollection(
      this.#database,
      this.#filename,
      id,
      `${namespace.database}.${namespace.collection}`
    )
    const rows = this.#database.prepare(
      "SELECT id, declaration, multikey FROM indexes WHERE collection = ? ORDER BY id"
    )
    for (const row of rows.all(id)) {
      const declaration = this.#declaration(row["declaration"])
      const bits = Number(row["multikey"])
      const multikey = declaration.fields.map((_, position) => (bits >> position & 1) === 1)
      collection.secondary.push(collection.openIndex(Number(row["id"]), declaration, multikey))
    }
    const feed = this.#log.reopen(this.#name(namespace), id)
    if (feed !== undefined) this.#record(collection, feed)
    this.#collections.set(this.#name(namespace), collection)
    return collection
  }

  #declaration(bytes: unknown): IndexDeclaration {
    const stored = bytes instanceof Uint8Array ? decode(bytes) : {}
    const keys: { [path: string]: unknown } = {}
    for (const pair of isArray(stored["keys"]) ? stored["keys"] : []) {
      if (isArray(pair)) setField(keys, String(pair[0]), pair[1])
    }
    const partial = stored["partial"]
    return declareIndex(keys, {
      unique: stored["unique"] === true,
      sparse: stored["sparse"] === true,
      partial: isFields(partial) ? partial : undefined
    })
  }

  /** Runs `f` on a collection, which comes into being when it is not there, as one transaction. */
  #transaction<A>(namespace: Namespace, now: number, f: (collection: SqliteCollection) => A): A {
    const existing = this.#existing(namespace)
    this.#log.setTime(now)
    this.#begin.run()
    let collection = existing
    try {
      collection ??= this.#create(namespace)
      const result = f(collection)
      const raised = collection.secondary.filter((index) => index.raised.includes(true))
      for (const index of raised) {
        const multikey = index.multikey.map((isMultikey, position) => isMultikey || index.raised[position] === true)
        this.#saveMultikey.run(
          multikey.reduce((bits, isMultikey, position) => bits | (Number(isMultikey) << position), 0),
          index.id
        )
      }
      this.#log.forget()
      this.#commit.run()
      this.#log.publish()
      if (collection.recorder !== undefined && !this.#log.isRecorded(this.#name(namespace))) {
        collection.recorder = undefined
      }
      for (const index of raised) {
        index.multikey = index.multikey.map((isMultikey, position) => isMultikey || index.raised[position] === true)
      }
      return result
    } catch (error) {
      // SQLite has rolled back by itself when the disk is full
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK")
      this.#log.discard()
      if (existing === undefined) this.#collections.delete(this.#name(namespace))
      throw error
    } finally {
      for (const index of collection?.secondary ?? []) index.raised.fill(false)
    }
  }

  /** Runs `f` within a transaction, whole or not at all; returns what the database had against it. */
  #attempt(f: () => void): DatabaseError | undefined {
    this.#database.exec("SAVEPOINT one")
    const mark = this.#log.mark()
    let refused: DatabaseError | undefined
    try {
      f()
    } catch (error) {
      // a caller's refusal is for the whole request
      if (!(error instanceof DatabaseError) || !this.#database.isTransaction) throw error
      refused = error
      this.#database.exec("ROLLBACK TO one")
      this.#log.rewind(mark)
    }
    this.#database.exec("RELEASE one")
    return refused
  }

  #existing(namespace: Namespace): SqliteCollection | undefined {
    return this.#collections.get(this.#name(namespace))
  }

  #create(namespace: Namespace): SqliteCollection {
    const inserted = this.#database.prepare("INSERT INTO collections (database, name) VALUES (?, ?)")
      .run(namespace.database, namespace.collection)
    const id = Number(inserted.lastInsertRowid)
    SqliteCollection.createTable(this.#database, id)
    const collection = this.#register(id, namespace)
    const name = this.#name(namespace)
    if (this.#log.isRecorded(name)) this.#record(collection, this.#log.begin(name, id, "none"))
    return collection
  }

  #record(collection: SqliteCollection, feed: ChangeFeed): void {
    collection.recorder = (kind, images) => this.#log.append(feed, collection.id, kind, images)
  }

  /** Ends all watches: the database is about to be closed. */
  endWatches(): void {
    this.#log.close()
  }

  /** Watches a collection, which need not be there yet, from now on or after a token. */
  watch(namespace: Namespace, resumeAfter: unknown, now: number): ChangeCursor {
    const name = this.#name(namespace)
    const collection = this.#existing(namespace)
    if (collection !== undefined && collection.recorder === undefined) {
      this.#record(
        collection,
        this.#transaction(namespace, now, () => this.#log.begin(name, collection.id, "some"))
      )
    }
    return this.#log.open(name, `${namespace.database}.${namespace.collection}`, resumeAfter)
  }

  /** The document of a filter that is one identifier and nothing else. */
  findById(namespace: Namespace, id: string | ObjectId, access: Access): Fields | undefined {
    const stored = this.#existing(namespace)?.get(id)
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
    const collection = this.#existing(namespace)
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
    const collection = this.#existing(namespace)
    return collection === undefined ? 0 : countFound(collection, selection, access)
  }

  distinct(namespace: Namespace, field: string, filter: unknown, access: Access): ReadonlyArray<unknown> {
    const query = parseQuery(filter)
    const collection = this.#existing(namespace)
    return collection === undefined ? [] : distinctValues(collection, field, query, access)
  }

  /** Runs a pipeline over the documents the caller sees; what it begins with is answered by an index where one can. */
  aggregate(namespace: Namespace, pipeline: unknown, access: Access, now: number): ReadonlyArray<Fields> {
    const { selection, stages } = splitSelection(compilePipeline(pipeline))
    const collection = this.#existing(namespace)
    const found = collection === undefined
      ? []
      : search(collection, selection, access).map(({ document }) => document)
    return runPipeline(stages, found, {
      now,
      spend: limitedSteps(),
      others: (name, filter) => {
        if (access.scope !== undefined || access.see !== undefined) {
          throw badFilter("a caller of limited access cannot look into another collection")
        }
        const other = this.#existing({ database: namespace.database, collection: name })
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
    const collection = this.#existing(namespace)
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
    return this.#transaction(namespace, now, (collection) => insertDocument(collection, complete, access))
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
    const { failed, outcome } = this.#transaction(namespace, now, (collection) => {
      const outcome = nothingWritten()
      let failed: BulkFailure | undefined
      for (const [index, operation] of operations.entries()) {
        const step = bulkStep(operation, { index, access, now })
        const error = this.#attempt(() => step(collection, outcome))
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
    if (options.upsert !== true && this.#existing(namespace) === undefined) return nothingUpdated
    return this.#transaction(
      namespace,
      options.now,
      (collection) => updateDocuments(collection, selection, update, access, options)
    )
  }

  delete(namespace: Namespace, filter: unknown, many: boolean, access: Access, now: number): number {
    const selection = parseSelection(filter, { limit: many ? 0 : 1 })
    if (this.#existing(namespace) === undefined) return 0
    return this.#transaction(namespace, now, (collection) => deleteDocuments(collection, selection, access).length)
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
    if (options.upsert !== true && this.#existing(namespace) === undefined) return undefined
    return this.#transaction(namespace, options.now, (collection) => {
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
    const present = this.#existing(namespace)?.secondary.find((index) => index.declaration.name === declaration.name)
    if (present !== undefined && sameIndex(present.declaration, declaration)) return
    if (present !== undefined) {
      throw failure({
        _tag: "BadIndex",
        detail: `${namespace.database}.${namespace.collection} has an index ${declaration.name} with other options`
      })
    }
    const bytes = encode({
      keys: exact(declaration.fields.map(({ direction, path }) => [path.join("."), direction])),
      unique: declaration.unique,
      sparse: declaration.sparse,
      partial: declaration.partial ?? null
    })
    const opened = this.#transaction(namespace, now, (collection) => {
      const inserted = this.#database.prepare("INSERT INTO indexes (collection, declaration) VALUES (?, ?)")
        .run(collection.id, bytes)
      const id = Number(inserted.lastInsertRowid)
      SqliteCollection.createIndexTable(this.#database, id, declaration.unique)
      const index = collection.openIndex(id, declaration, declaration.fields.map(() => false))
      for (const stored of collection.scan()) collection.addKeys(index, stored.document, stored.record)
      index.multikey = [...index.raised]
      index.raised.fill(false)
      this.#saveMultikey.run(
        index.multikey.reduce((bits, isMultikey, position) => bits | (Number(isMultikey) << position), 0),
        id
      )
      return { collection, index }
    })
    opened.collection.secondary.push(opened.index)
  }
}
