/**
 * The collections of a database in SQLite, with their indexes and the log of their changes, and the transactions on them.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite"
import { DatabaseError } from "../../DatabaseError.ts"
import { decode, encode, exact, type Fields, isArray, isFields, setField } from "./bsonValue.ts"
import type { ChangeCursor, ChangeFeed } from "./changeFeed.ts"
import { ChangeLog, type Retention } from "./changeLog.ts"
import { declareIndex, type IndexDeclaration } from "./indexKeys.ts"
import { SqliteCollection } from "./sqliteCollection.ts"

export interface Namespace {
  readonly database: string
  readonly collection: string
}

/** The name for people. */
export const fullName = ({ collection, database }: Namespace): string => `${database}.${collection}`

// both names may hold dots
const keyOf = ({ collection, database }: Namespace): string => `${database}\0${collection}`

const toBits = (flags: ReadonlyArray<boolean>): number =>
  flags.reduce((bits, flag, position) => bits | (Number(flag) << position), 0)

const encodeDeclaration = ({ fields, partial, sparse, unique }: IndexDeclaration): Uint8Array =>
  encode({
    keys: exact(fields.map(({ direction, path }) => [path.join("."), direction])),
    unique,
    sparse,
    partial: partial ?? null
  })

const decodeDeclaration = (bytes: unknown): IndexDeclaration => {
  const stored = bytes instanceof Uint8Array ? decode(bytes) : {}
  const keys: Fields = {}
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

export class SqliteStore {
  readonly #database: DatabaseSync
  readonly #filename: string
  readonly #log: ChangeLog
  readonly #collections = new Map<string, SqliteCollection>()
  readonly #begin: StatementSync
  readonly #commit: StatementSync
  readonly #saveMultikey: StatementSync

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

  // ---------------------------------------------------------------------------
  // Collections
  // ---------------------------------------------------------------------------

  /** A collection, when it is there. */
  get(namespace: Namespace): SqliteCollection | undefined {
    return this.#collections.get(keyOf(namespace))
  }

  #register(id: number, namespace: Namespace): SqliteCollection {
    const collection = new SqliteCollection(this.#database, this.#filename, id, fullName(namespace))
    const rows = this.#database.prepare(
      "SELECT id, declaration, multikey FROM indexes WHERE collection = ? ORDER BY id"
    )
    for (const row of rows.all(id)) {
      const declaration = decodeDeclaration(row["declaration"])
      const bits = Number(row["multikey"])
      const multikey = declaration.fields.map((_, position) => (bits >> position & 1) === 1)
      collection.secondary.push(collection.openIndex(Number(row["id"]), declaration, multikey))
    }
    const feed = this.#log.reopen(keyOf(namespace), id)
    if (feed !== undefined) this.#record(collection, feed)
    this.#collections.set(keyOf(namespace), collection)
    return collection
  }

  #create(namespace: Namespace): SqliteCollection {
    const inserted = this.#database.prepare("INSERT INTO collections (database, name) VALUES (?, ?)")
      .run(namespace.database, namespace.collection)
    const id = Number(inserted.lastInsertRowid)
    SqliteCollection.createTable(this.#database, id)
    const collection = this.#register(id, namespace)
    const key = keyOf(namespace)
    if (this.#log.isRecorded(key)) this.#record(collection, this.#log.begin(key, id, "none"))
    return collection
  }

  /** Makes an index, over the documents that are there too. */
  createIndex(namespace: Namespace, declaration: IndexDeclaration, now: number): void {
    const opened = this.transaction(namespace, now, (collection) => {
      const inserted = this.#database.prepare("INSERT INTO indexes (collection, declaration) VALUES (?, ?)")
        .run(collection.id, encodeDeclaration(declaration))
      const id = Number(inserted.lastInsertRowid)
      SqliteCollection.createIndexTable(this.#database, id, declaration.unique)
      const index = collection.openIndex(id, declaration, declaration.fields.map(() => false))
      for (const stored of collection.scan()) collection.addKeys(index, stored.document, stored.record)
      index.multikey = [...index.raised]
      index.raised.fill(false)
      this.#saveMultikey.run(toBits(index.multikey), id)
      return { collection, index }
    })
    opened.collection.secondary.push(opened.index)
  }

  // ---------------------------------------------------------------------------
  // Transactions
  // ---------------------------------------------------------------------------

  /** Runs `f` on a collection, which comes into being when it is not there, as one transaction. `now` is in milliseconds. */
  transaction<A>(namespace: Namespace, now: number, f: (collection: SqliteCollection) => A): A {
    const existing = this.get(namespace)
    this.#log.setTime(now)
    this.#begin.run()
    let collection = existing
    try {
      collection ??= this.#create(namespace)
      const result = f(collection)
      const raised = collection.secondary
        .filter((index) => index.raised.includes(true))
        .map((index) => ({
          index,
          multikey: index.multikey.map((isMultikey, position) => isMultikey || index.raised[position] === true)
        }))
      for (const { index, multikey } of raised) this.#saveMultikey.run(toBits(multikey), index.id)
      this.#log.forget()
      this.#commit.run()
      this.#log.publish()
      if (!this.#log.isRecorded(keyOf(namespace))) collection.recorder = undefined
      for (const { index, multikey } of raised) index.multikey = multikey
      return result
    } catch (error) {
      // SQLite has rolled back by itself when the disk is full
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK")
      this.#log.discard()
      if (existing === undefined) this.#collections.delete(keyOf(namespace))
      throw error
    } finally {
      for (const index of collection?.secondary ?? []) index.raised.fill(false)
    }
  }

  /** Runs `f` within a transaction, whole or not at all; returns what the database had against it. */
  attempt(f: () => void): DatabaseError | undefined {
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

  // ---------------------------------------------------------------------------
  // Changes
  // ---------------------------------------------------------------------------

  #record(collection: SqliteCollection, feed: ChangeFeed): void {
    collection.recorder = (kind, images) => this.#log.append(feed, collection.id, kind, images)
  }

  /** Watches a collection, which need not be there yet, from now on or after a token. */
  watch(namespace: Namespace, resumeAfter: unknown, now: number): ChangeCursor {
    const key = keyOf(namespace)
    const collection = this.get(namespace)
    if (collection !== undefined && collection.recorder === undefined) {
      this.#record(collection, this.transaction(namespace, now, () => this.#log.begin(key, collection.id, "some")))
    }
    return this.#log.open(key, fullName(namespace), resumeAfter)
  }

  /** Ends all watches: the database is about to be closed. */
  endWatches(): void {
    this.#log.close()
  }
}
