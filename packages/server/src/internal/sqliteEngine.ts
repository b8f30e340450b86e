/**
 * The embedded engine: MongoDB's operations, synchronous, each write one transaction.
 */
import { ObjectId } from "bson"
import type { DatabaseSync, StatementSync } from "node:sqlite"
import { DatabaseError } from "../DatabaseError.ts"
import { compare } from "./bsonOrder.ts"
import {
  assignFields,
  decode,
  encode,
  exact,
  exactDocument,
  type Fields,
  isArray,
  isFields,
  rank,
  rankOf,
  setField
} from "./bsonValue.ts"
import { badDocument, badFilter, badUpdate, failure } from "./failure.ts"
import { declareIndex, type IndexDeclaration, sameIndex } from "./indexKeys.ts"
import { compileProjection, parseSort, type Sort, sortDocuments } from "./projection.ts"
import { compileFilter, exactFilter, type Predicate } from "./query.ts"
import { type Plan, planQuery } from "./queryPlan.ts"
import { SqliteCollection, type StoredDocument, type StoredIndex } from "./sqliteCollection.ts"
import { compileUpdate, type Update, upsertSeed } from "./update.ts"

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

export interface UpdateOutcome {
  readonly matchedCount: number
  readonly modifiedCount: number
  readonly upsertedId: unknown
  readonly before: Fields | undefined
  readonly after: Fields | undefined
}

export interface Explanation {
  readonly index: string | undefined
  readonly documentsExamined: number
  readonly documentsReturned: number
}

interface Query {
  readonly filter: Fields
  readonly predicate: Predicate
}

const query = (filter: unknown): Query => {
  const fields = exactFilter(filter)
  return { filter: fields, predicate: compileFilter(fields) }
}

const whole = (name: string, value: number | undefined): number => {
  if (value === undefined) return 0
  if (!Number.isSafeInteger(value) || value < 0) throw badFilter(`${name} is not a whole number from 0 on`)
  return value
}

const checkId = (id: unknown): void => {
  const idRank = rankOf(id)
  if (idRank === rank.array || idRank === rank.regex || idRank === rank.undefined) {
    throw badDocument("_id", "an array or a regular expression cannot be an identifier")
  }
}

/** With `_id` in the first place, made when there is none. `now` is in milliseconds. */
const identified = (document: Fields, now: number): Fields => {
  const id = Object.hasOwn(document, "_id") ? document["_id"] : new ObjectId(ObjectId.generate(Math.floor(now / 1000)))
  checkId(id)
  for (const name of Object.keys(document)) {
    if (name.startsWith("$")) throw badDocument(name, "a field of a document cannot begin with $")
  }
  return Object.keys(document)[0] === "_id" ? document : assignFields({ _id: id }, document)
}

export class SqliteEngine {
  readonly #database: DatabaseSync
  readonly #filename: string
  readonly #collections = new Map<string, SqliteCollection>()
  readonly #begin: StatementSync
  readonly #commit: StatementSync
  readonly #saveMultikey: StatementSync

  constructor(database: DatabaseSync, filename: string) {
    this.#database = database
    this.#filename = filename
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

  #transaction<A>(collections: ReadonlyArray<SqliteCollection>, f: () => A): A {
    const indexes = collections.flatMap((collection) => collection.secondary)
    this.#begin.run()
    try {
      const result = f()
      const raised = indexes.filter((index) => index.raised.includes(true))
      for (const index of raised) {
        const multikey = index.multikey.map((isMultikey, position) => isMultikey || index.raised[position] === true)
        this.#saveMultikey.run(
          multikey.reduce((bits, isMultikey, position) => bits | (Number(isMultikey) << position), 0),
          index.id
        )
      }
      this.#commit.run()
      for (const index of raised) {
        index.multikey = index.multikey.map((isMultikey, position) => isMultikey || index.raised[position] === true)
      }
      return result
    } catch (error) {
      // SQLite has rolled back by itself when the disk is full
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK")
      throw error
    } finally {
      for (const index of indexes) index.raised.fill(false)
    }
  }

  #existing(namespace: Namespace): SqliteCollection | undefined {
    return this.#collections.get(this.#name(namespace))
  }

  #ensure(namespace: Namespace): SqliteCollection {
    const existing = this.#existing(namespace)
    if (existing !== undefined) return existing
    const id = this.#transaction([], () => {
      const inserted = this.#database.prepare("INSERT INTO collections (database, name) VALUES (?, ?)")
        .run(namespace.database, namespace.collection)
      SqliteCollection.createTable(this.#database, Number(inserted.lastInsertRowid))
      return Number(inserted.lastInsertRowid)
    })
    return this.#register(id, namespace)
  }

  #candidates(collection: SqliteCollection, plan: Plan<StoredIndex> | undefined): Generator<StoredDocument> {
    return plan === undefined ? collection.scan() : collection.lookUp(plan)
  }

  /** The documents that match, sorted, from `skip` on, `limit` of them (0 for all). */
  #matching(
    collection: SqliteCollection,
    { filter, predicate }: Query,
    sort: ReadonlyArray<Sort>,
    skip: number,
    limit: number,
    examine: () => void = () => {}
  ): Array<StoredDocument> {
    const plan = planQuery(collection.indexes, filter, sort)
    const isSorted = sort.length === 0 || (plan !== undefined && plan.sorted !== 0)
    const end = isSorted && limit > 0 ? skip + limit : Infinity
    const found: Array<StoredDocument> = []
    for (const stored of this.#candidates(collection, plan)) {
      examine()
      if (!predicate(stored.document)) continue
      found.push(stored)
      if (found.length >= end) break
    }
    const sorted = isSorted ? found : sortDocuments(found, sort)
    return skip === 0 && limit === 0 ? sorted : sorted.slice(skip, limit === 0 ? undefined : skip + limit)
  }

  /** The document of a filter that is one identifier and nothing else. */
  findById(namespace: Namespace, id: string | ObjectId): Fields | undefined {
    return this.#existing(namespace)?.get(id)?.document
  }

  find(namespace: Namespace, filter: unknown, options: FindOptions): ReadonlyArray<Fields> {
    const compiled = query(filter)
    const sort = parseSort(options.sort ?? {})
    const skip = whole("skip", options.skip)
    const limit = whole("limit", options.limit)
    const project = options.projection === undefined || Object.keys(options.projection).length === 0
      ? undefined
      : compileProjection(options.projection)
    const collection = this.#existing(namespace)
    if (collection === undefined) return []
    const found = this.#matching(collection, compiled, sort, skip, limit)
    return found.map(({ document }) => project === undefined ? document : project(document))
  }

  count(namespace: Namespace, filter: unknown): number {
    const compiled = query(filter)
    const collection = this.#existing(namespace)
    if (collection === undefined) return 0
    if (Object.keys(compiled.filter).length === 0) return collection.count()
    let count = 0
    for (const { document } of this.#candidates(collection, planQuery(collection.indexes, compiled.filter, []))) {
      if (compiled.predicate(document)) count++
    }
    return count
  }

  explain(namespace: Namespace, filter: unknown, options: FindOptions): Explanation {
    const compiled = query(filter)
    const sort = parseSort(options.sort ?? {})
    const collection = this.#existing(namespace)
    if (collection === undefined) return { index: undefined, documentsExamined: 0, documentsReturned: 0 }
    let documentsExamined = 0
    const found = this.#matching(
      collection,
      compiled,
      sort,
      whole("skip", options.skip),
      whole("limit", options.limit),
      () => {
        documentsExamined++
      }
    )
    return {
      index: planQuery(collection.indexes, compiled.filter, sort)?.index.declaration.name,
      documentsExamined,
      documentsReturned: found.length
    }
  }

  insertOne(namespace: Namespace, document: unknown, now: number): unknown {
    const complete = identified(exactDocument(document), now)
    const collection = this.#ensure(namespace)
    this.#transaction([collection], () => collection.insert(complete))
    return complete["_id"]
  }

  /** Inserts in order, in one transaction, and keeps those before the first that fails. */
  insertMany(namespace: Namespace, documents: ReadonlyArray<unknown>, now: number): ReadonlyArray<unknown> {
    const collection = this.#ensure(namespace)
    const ids: Array<unknown> = []
    let stopped: DatabaseError | undefined
    this.#transaction([collection], () => {
      for (const document of documents) {
        this.#database.exec("SAVEPOINT one")
        try {
          const complete = identified(exactDocument(document), now)
          collection.insert(complete)
          ids.push(complete["_id"])
        } catch (error) {
          if (!(error instanceof DatabaseError)) throw error
          stopped = error
          this.#database.exec("ROLLBACK TO one")
        }
        this.#database.exec("RELEASE one")
        if (stopped !== undefined) break
      }
    })
    if (stopped !== undefined) throw new DatabaseError({ reason: stopped.reason, insertedCount: ids.length })
    return ids
  }

  update(
    namespace: Namespace,
    filter: unknown,
    update: unknown,
    options: UpdateOptions & { readonly many: boolean; readonly now: number }
  ): UpdateOutcome {
    const compiled = query(filter)
    return this.#change(namespace, compiled, compileUpdate(update, options), options)
  }

  replace(
    namespace: Namespace,
    filter: unknown,
    replacement: unknown,
    options: UpdateOptions & { readonly now: number }
  ): UpdateOutcome {
    const compiled = query(filter)
    const next = exactDocument(replacement)
    const operator = Object.keys(next).find((name) => name.startsWith("$"))
    if (operator !== undefined) throw badUpdate(`a replacement cannot hold ${operator}; use updateOne`, operator)
    return this.#change(namespace, compiled, (document) => {
      const id = document["_id"]
      if (id !== undefined && next["_id"] !== undefined && compare(id, next["_id"]) !== 0) {
        throw badUpdate("the field _id of a document never changes")
      }
      for (const name of Object.keys(document)) Reflect.deleteProperty(document, name)
      if (id !== undefined) document["_id"] = id
      assignFields(document, next)
    }, { ...options, many: false })
  }

  #change(
    namespace: Namespace,
    compiled: Query,
    update: Update,
    options: UpdateOptions & { readonly many: boolean; readonly now: number }
  ): UpdateOutcome {
    const { filter } = compiled
    const sort = parseSort(options.sort ?? {})
    const collection = options.upsert === true ? this.#ensure(namespace) : this.#existing(namespace)
    const nothing: UpdateOutcome = {
      matchedCount: 0,
      modifiedCount: 0,
      upsertedId: undefined,
      before: undefined,
      after: undefined
    }
    if (collection === undefined) return nothing
    return this.#transaction([collection], () => {
      // all are found before any is changed, so that none is met twice
      const found = this.#matching(collection, compiled, sort, 0, options.many ? 0 : 1)
      if (found.length === 0 && options.upsert === true) {
        const seed = upsertSeed(filter)
        update(seed, { inserting: true, filter })
        const inserted = identified(seed, options.now)
        collection.insert(inserted)
        return { ...nothing, upsertedId: inserted["_id"], after: inserted }
      }
      let modifiedCount = 0
      let after: Fields | undefined
      for (const stored of found) {
        update(stored.document, { inserting: false, filter })
        if (collection.replace(stored, stored.document) !== undefined) modifiedCount++
        after = stored.document
      }
      const [first] = found
      return {
        matchedCount: found.length,
        modifiedCount,
        upsertedId: undefined,
        before: first === undefined || options.many ? undefined : decode(first.body),
        after: options.many ? undefined : after
      }
    })
  }

  delete(namespace: Namespace, filter: unknown, many: boolean): number {
    const compiled = query(filter)
    const collection = this.#existing(namespace)
    if (collection === undefined) return 0
    return this.#transaction([collection], () => {
      const found = this.#matching(collection, compiled, [], 0, many ? 0 : 1)
      for (const stored of found) collection.delete(stored)
      return found.length
    })
  }

  createIndex(
    namespace: Namespace,
    keys: { readonly [path: string]: unknown },
    options: {
      readonly unique?: boolean | undefined
      readonly sparse?: boolean | undefined
      readonly partial?: unknown
    }
  ): void {
    const declaration = declareIndex(keys, {
      unique: options.unique,
      sparse: options.sparse,
      partial: options.partial === undefined ? undefined : exactFilter(options.partial)
    })
    const collection = this.#ensure(namespace)
    const present = collection.secondary.find((index) => index.declaration.name === declaration.name)
    if (present !== undefined && sameIndex(present.declaration, declaration)) return
    if (present !== undefined) {
      throw failure({
        _tag: "BadIndex",
        detail: `${collection.namespace} has an index ${declaration.name} with other options`
      })
    }
    const bytes = encode({
      keys: exact(declaration.fields.map(({ direction, path }) => [path.join("."), direction])),
      unique: declaration.unique,
      sparse: declaration.sparse,
      partial: declaration.partial ?? null
    })
    const index = this.#transaction([], () => {
      const inserted = this.#database.prepare("INSERT INTO indexes (collection, declaration) VALUES (?, ?)")
        .run(collection.id, bytes)
      const id = Number(inserted.lastInsertRowid)
      SqliteCollection.createIndexTable(this.#database, id, declaration.unique)
      const opened = collection.openIndex(id, declaration, declaration.fields.map(() => false))
      for (const stored of collection.scan()) collection.addKeys(opened, stored.document, stored.record)
      opened.multikey = [...opened.raised]
      opened.raised.fill(false)
      this.#saveMultikey.run(
        opened.multikey.reduce((bits, isMultikey, position) => bits | (Number(isMultikey) << position), 0),
        id
      )
      return opened
    })
    collection.secondary.push(index)
  }
}
