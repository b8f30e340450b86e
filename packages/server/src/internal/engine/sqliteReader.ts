/**
 * A connection that reads what is committed, beside the one that writes.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite"
import { fullName, indexesOf, keyOf, type Namespace } from "./sqliteCatalog.ts"
import { type Collections, SqliteDocuments } from "./sqliteDocuments.ts"

export class SqliteReader implements Collections {
  readonly #database: DatabaseSync
  readonly #filename: string
  readonly #find: StatementSync
  readonly #begin: StatementSync
  readonly #look: StatementSync
  readonly #commit: StatementSync
  readonly #collections = new Map<string, SqliteDocuments>()
  readonly #catalog: { readonly revision: number }
  #revision: number | undefined

  /** @param catalog has another revision, when what is written down about collections and indexes has changed */
  constructor(database: DatabaseSync, filename: string, catalog: { readonly revision: number }) {
    this.#catalog = catalog
    this.#database = database
    this.#filename = filename
    this.#find = database.prepare("SELECT id FROM collections WHERE database = ? AND name = ?")
    this.#begin = database.prepare("BEGIN")
    this.#look = database.prepare("SELECT 1 FROM collections LIMIT 1")
    this.#commit = database.prepare("COMMIT")
  }

  /** With the collections as they are now. */
  get refreshed(): this {
    const { revision } = this.#catalog
    if (revision !== this.#revision) this.#collections.clear()
    this.#revision = revision
    return this
  }

  get(namespace: Namespace): SqliteDocuments | undefined {
    const key = keyOf(namespace)
    const known = this.#collections.get(key)
    if (known !== undefined) return known
    const row = this.#find.get(namespace.database, namespace.collection)
    if (row === undefined) return undefined
    const collection = new SqliteDocuments(this.#database, this.#filename, Number(row["id"]), fullName(namespace))
    for (const index of indexesOf(this.#database, collection.id)) {
      collection.indexes.push(collection.openIndex(index))
    }
    this.#collections.set(key, collection)
    return collection
  }

  /** From now on sees the database as it is now, and as it was for what is being read, until it is released. */
  hold(): void {
    this.#begin.run()
    try {
      // a transaction begins to see with its first look
      this.#look.get()
    } catch (error) {
      this.release()
      throw error
    }
  }

  release(): void {
    // SQLite has ended it by itself when the file could not be read
    if (this.#database.isTransaction) this.#commit.run()
  }

  close(): void {
    this.#database.close()
  }
}
