/**
 * The collections of a database in SQLite, with their indexes and the log of their changes, and the transactions on them: what
 * one connection writes.
 */
import * as Result from "effect/Result"
import type { DatabaseSync, StatementSync } from "node:sqlite"
import { DatabaseError } from "../../DatabaseError.ts"
import type { ChangeCursor, ChangeFeed } from "./changeFeed.ts"
import { ChangeLog, type Retention } from "./changeLog.ts"
import type { IndexDeclaration } from "./indexKeys.ts"
import { encodeDeclaration, fullName, indexesOf, keyOf, multikeyBits, type Namespace } from "./sqliteCatalog.ts"
import { SqliteCollection } from "./sqliteCollection.ts"
import type { Collections } from "./sqliteDocuments.ts"
import type { Work } from "./work.ts"

export class SqliteStore implements Collections {
  readonly #database: DatabaseSync
  readonly #filename: string
  readonly #log: ChangeLog
  /** Those that are committed. */
  readonly #collections = new Map<string, SqliteCollection>()
  readonly #begin: StatementSync
  readonly #commit: StatementSync
  #revision = 0

  constructor(database: DatabaseSync, filename: string, retention: Retention) {
    this.#database = database
    this.#filename = filename
    this.#log = new ChangeLog(database, retention)
    this.#begin = database.prepare("BEGIN IMMEDIATE")
    this.#commit = database.prepare("COMMIT")
    for (const row of database.prepare("SELECT id, database, name FROM collections").all()) {
      const namespace = { database: String(row["database"]), collection: String(row["name"]) }
      this.#collections.set(keyOf(namespace), this.#open(Number(row["id"]), namespace))
    }
  }

  // ---------------------------------------------------------------------------
  // Collections
  // ---------------------------------------------------------------------------

  get(namespace: Namespace): SqliteCollection | undefined {
    return this.#collections.get(keyOf(namespace))
  }

  /** Another one after each commit that changed what is written down about collections and indexes. */
  get revision(): number {
    return this.#revision
  }

  #open(id: number, namespace: Namespace): SqliteCollection {
    const collection = new SqliteCollection(this.#database, this.#filename, id, fullName(namespace))
    for (const index of indexesOf(this.#database, id)) collection.addIndex(collection.openIndex(index))
    const feed = this.#log.reopen(keyOf(namespace), id)
    if (feed !== undefined) this.#record(collection, feed)
    return collection
  }

  #create(namespace: Namespace): SqliteCollection {
    const inserted = this.#database.prepare("INSERT INTO collections (database, name) VALUES (?, ?)")
      .run(namespace.database, namespace.collection)
    const id = Number(inserted.lastInsertRowid)
    SqliteCollection.createTable(this.#database, id)
    const collection = this.#open(id, namespace)
    const key = keyOf(namespace)
    if (this.#log.isRecorded(key)) this.#record(collection, this.#log.begin(key, id, "none"))
    return collection
  }

  /** Makes an index, over the documents that are there too. */
  *createIndex(namespace: Namespace, declaration: IndexDeclaration, now: number): Work<void> {
    yield* this.transaction(namespace, now, (collection) => this.#fillIndex(collection, declaration), (add) => {
      add()
      this.#revision++
    })
  }

  /** Makes an index, and returns what adds it to the collection. */
  *#fillIndex(collection: SqliteCollection, declaration: IndexDeclaration): Work<() => void> {
    const inserted = this.#database.prepare("INSERT INTO indexes (collection, declaration) VALUES (?, ?)")
      .run(collection.id, encodeDeclaration(declaration))
    const id = Number(inserted.lastInsertRowid)
    SqliteCollection.createIndexTable(this.#database, id, declaration.unique)
    const index = collection.openIndex({ id, declaration, multikey: declaration.fields.map(() => false) })
    for (const stored of collection.scan()) {
      collection.addKeys(index, stored.document, stored.record)
      yield
    }
    this.#database.prepare("UPDATE indexes SET multikey = ? WHERE id = ?").run(multikeyBits(index.multikey), id)
    index.committed = index.multikey
    return () => collection.addIndex(index)
  }

  // ---------------------------------------------------------------------------
  // Transactions
  // ---------------------------------------------------------------------------

  /**
   * Runs `f` on a collection, which comes into being when it is not there, as one transaction, which stays open while the work
   * pauses. `now` is in milliseconds.
   *
   * @param committed changes here what was changed there, in the moment of the commit: the work may be given up after it
   */
  *transaction<A>(
    namespace: Namespace,
    now: number,
    f: (collection: SqliteCollection) => Work<A>,
    committed: (result: A) => void = () => {}
  ): Work<A> {
    const key = keyOf(namespace)
    const existing = this.#collections.get(key)
    this.#log.setTime(now)
    this.#begin.run()
    let collection = existing
    let isCommitted = false
    let result: A
    try {
      collection ??= this.#create(namespace)
      result = yield* f(collection)
      const isRaised = collection.saveMultikey()
      this.#log.forget()
      this.#commit.run()
      isCommitted = true
      this.#log.publish()
      collection.keepMultikey()
      committed(result)
      if (!this.#log.isRecorded(key)) collection.recorder = undefined
      if (existing === undefined) this.#collections.set(key, collection)
      if (isRaised || existing === undefined) this.#revision++
    } finally {
      // also when the work is given up
      if (!isCommitted) this.#rollBack(collection)
    }
    while (this.#log.isBehind) {
      yield
      if (!this.#forgetMore()) break
    }
    return result
  }

  /** Returns whether it could: else it is left to the next write, for this one is done and does not fail any more. */
  #forgetMore(): boolean {
    try {
      this.#begin.run()
      this.#log.forget()
      this.#commit.run()
    } catch {
      this.#rollBack(undefined)
      return false
    }
    this.#log.publish()
    return true
  }

  #rollBack(collection: SqliteCollection | undefined): void {
    // SQLite has rolled back by itself when the disk is full
    if (this.#database.isTransaction) this.#database.exec("ROLLBACK")
    this.#log.discard()
    collection?.restoreMultikey()
  }

  /** Does work within a transaction, whole or not at all; what the database has against it is no failure of the transaction. */
  *attempt<A>(work: Work<A>): Work<Result.Result<A, DatabaseError>> {
    this.#database.exec("SAVEPOINT one")
    const mark = this.#log.mark()
    try {
      const result = yield* work
      this.#database.exec("RELEASE one")
      return Result.succeed(result)
    } catch (error) {
      // SQLite has rolled back all of it by itself when the disk is full
      if (!this.#database.isTransaction) throw error
      this.#database.exec("ROLLBACK TO one; RELEASE one")
      this.#log.rewind(mark)
      if (error instanceof DatabaseError) return Result.fail(error)
      throw error
    }
  }

  // ---------------------------------------------------------------------------
  // Changes
  // ---------------------------------------------------------------------------

  #record(collection: SqliteCollection, feed: ChangeFeed): void {
    collection.recorder = (kind, images) => this.#log.append(feed, collection.id, kind, images)
  }

  /** Watches a collection, which need not be there yet, from now on or after a token. */
  *watch(namespace: Namespace, resumeAfter: unknown, now: number): Work<ChangeCursor> {
    const key = keyOf(namespace)
    const collection = this.get(namespace)
    if (collection !== undefined && collection.recorder === undefined) {
      const log = this.#log
      yield* this.transaction(
        namespace,
        now,
        function*() {
          return log.begin(key, collection.id, "some")
        },
        (feed) => this.#record(collection, feed)
      )
    }
    return this.#log.open(key, fullName(namespace), resumeAfter)
  }

  /** Ends all watches: the database is about to be closed. */
  endWatches(): void {
    this.#log.close()
  }
}
