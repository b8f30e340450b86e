/**
 * One collection in SQLite, to be read and written within a transaction.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite"
import { decode, encode, type Fields } from "./bsonValue.ts"
import type { ChangeKind, Images } from "./change.ts"
import { failure } from "./failure.ts"
import { indexKeys } from "./indexKeys.ts"
import { encodeKey } from "./keyEncoding.ts"
import { type CatalogIndex, multikeyBits } from "./sqliteCatalog.ts"
import { SqliteDocuments, type StoredDocument, type StoredIndex } from "./sqliteDocuments.ts"

interface SecondaryIndex extends StoredIndex {
  /** As it was last committed. Within the transaction what was written has to be found already. */
  committed: ReadonlyArray<boolean>
  readonly insert: StatementSync
  readonly remove: StatementSync
}

const isConstraint = (error: unknown): boolean =>
  error instanceof Error && "errcode" in error && typeof error.errcode === "number" && (error.errcode & 0xff) === 19

/** Enters what is written into a log of changes. */
export type Recorder = (kind: ChangeKind, images: Images) => void

const isUnchanged = (left: Uint8Array, right: Uint8Array): boolean => Buffer.compare(left, right) === 0

export class SqliteCollection extends SqliteDocuments {
  readonly secondary: Array<SecondaryIndex> = []
  /** Set while the changes of the collection are recorded. */
  recorder: Recorder | undefined
  readonly #database: DatabaseSync
  readonly #insert: StatementSync
  readonly #update: StatementSync
  readonly #delete: StatementSync
  readonly #saveMultikey: StatementSync

  constructor(database: DatabaseSync, filename: string, id: number, namespace: string) {
    super(database, filename, id, namespace)
    this.#database = database
    const table = `documents_${id}`
    this.#insert = database.prepare(`INSERT INTO ${table} (key, body) VALUES (?, ?)`)
    this.#update = database.prepare(`UPDATE ${table} SET body = ? WHERE record = ?`)
    this.#delete = database.prepare(`DELETE FROM ${table} WHERE record = ?`)
    this.#saveMultikey = database.prepare("UPDATE indexes SET multikey = ? WHERE id = ?")
  }

  static createTable(database: DatabaseSync, id: number): void {
    database.exec(
      `CREATE TABLE documents_${id} (record INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, body BLOB NOT NULL)`
    )
  }

  // ---------------------------------------------------------------------------
  // Indexes
  // ---------------------------------------------------------------------------

  static createIndexTable(database: DatabaseSync, id: number, unique: boolean): void {
    const columns = unique
      ? "key BLOB PRIMARY KEY, record INTEGER NOT NULL"
      : "key BLOB NOT NULL, record INTEGER NOT NULL, PRIMARY KEY (key, record)"
    database.exec(`CREATE TABLE keys_${id} (${columns}) WITHOUT ROWID`)
  }

  override openIndex(index: CatalogIndex): SecondaryIndex {
    const { id, multikey } = index
    return {
      ...super.openIndex(index),
      committed: multikey,
      insert: this.#database.prepare(`INSERT INTO keys_${id} (key, record) VALUES (?, ?)`),
      remove: this.#database.prepare(`DELETE FROM keys_${id} WHERE key = ? AND record = ?`)
    }
  }

  /** Lets an index be filled by what is written, and be read. */
  addIndex(index: SecondaryIndex): void {
    this.secondary.push(index)
    this.indexes.push(index)
  }

  #duplicate(index: string): Error {
    return failure({ _tag: "DuplicateKey", index, namespace: this.namespace })
  }

  #addKey(index: SecondaryIndex, key: Uint8Array, record: number): void {
    try {
      index.insert.run(key, record)
    } catch (error) {
      throw isConstraint(error) ? this.#duplicate(index.declaration.name) : error
    }
  }

  /** Adds the keys of a document to one index. */
  addKeys(index: SecondaryIndex, document: Fields, record: number): void {
    const { keys, multikey } = indexKeys(index.declaration, document)
    this.#raise(index, multikey)
    for (const key of keys.values()) this.#addKey(index, key, record)
  }

  #raise(index: SecondaryIndex, multikey: ReadonlyArray<boolean>): void {
    if (!multikey.some((isMultikey, position) => isMultikey && index.multikey[position] !== true)) return
    index.multikey = index.multikey.map((isMultikey, position) => isMultikey || multikey[position] === true)
  }

  /** Writes down which indexes have become multikey in the transaction. Returns whether any has. */
  saveMultikey(): boolean {
    let isRaised = false
    for (const { committed, id, multikey } of this.secondary) {
      if (committed === multikey) continue
      this.#saveMultikey.run(multikeyBits(multikey), id)
      isRaised = true
    }
    return isRaised
  }

  /** The transaction was committed. */
  keepMultikey(): void {
    for (const index of this.secondary) index.committed = index.multikey
  }

  /** The transaction was rolled back. */
  restoreMultikey(): void {
    for (const index of this.secondary) index.multikey = index.committed
  }

  // ---------------------------------------------------------------------------
  // Documents
  // ---------------------------------------------------------------------------

  insert(document: Fields): void {
    const body = encode(document)
    let record: number
    try {
      record = Number(this.#insert.run(encodeKey([document["_id"]]), body).lastInsertRowid)
    } catch (error) {
      throw isConstraint(error) ? this.#duplicate(this.primary.declaration.name) : error
    }
    for (const index of this.secondary) this.addKeys(index, document, record)
    this.recorder?.("insert", { before: undefined, after: body })
  }

  /** Puts `next` in the place of `stored`. Returns whether anything differs. */
  replace(
    stored: { readonly record: number; readonly body: Uint8Array },
    next: Fields,
    kind: "update" | "replace"
  ): boolean {
    const body = encode(next)
    if (isUnchanged(body, stored.body)) return false
    const before = this.secondary.length === 0 ? {} : decode(stored.body)
    const changes = this.secondary.map((index) => ({
      index,
      old: indexKeys(index.declaration, before).keys,
      new: indexKeys(index.declaration, next)
    }))
    for (const change of changes) {
      for (const [text, key] of change.old) if (!change.new.keys.has(text)) change.index.remove.run(key, stored.record)
    }
    for (const change of changes) {
      this.#raise(change.index, change.new.multikey)
      for (const [text, key] of change.new.keys) {
        if (!change.old.has(text)) this.#addKey(change.index, key, stored.record)
      }
    }
    this.#update.run(body, stored.record)
    this.recorder?.(kind, { before: stored.body, after: body })
    return true
  }

  delete(stored: StoredDocument): void {
    for (const index of this.secondary) {
      for (const key of indexKeys(index.declaration, stored.document).keys.values()) {
        index.remove.run(key, stored.record)
      }
    }
    this.#delete.run(stored.record)
    this.recorder?.("delete", { before: stored.body, after: undefined })
  }
}
