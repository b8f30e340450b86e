/**
 * One collection in SQLite: a table of documents by key of `_id`, and a table of keys for each index.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite"
import { type Fields } from "./bsonValue.ts"
import { decode, encode } from "./bsonValue.ts"
import type { ChangeKind, Images } from "./change.ts"
import { failure } from "./failure.ts"
import { declareIndex, type IndexDeclaration, indexKeys } from "./indexKeys.ts"
import { encodeKey } from "./keyEncoding.ts"
import type { Interval, Plan, PlannedIndex } from "./queryPlan.ts"

export interface StoredDocument {
  readonly record: number
  readonly body: Uint8Array
  readonly document: Fields
}

export interface StoredIndex extends PlannedIndex {
  readonly id: number
  multikey: ReadonlyArray<boolean>
  /** Fields found multikey since the last commit. */
  raised: Array<boolean>
  readonly ascending: StatementSync
  readonly descending: StatementSync
}

interface SecondaryIndex extends StoredIndex {
  readonly insert: StatementSync
  readonly remove: StatementSync
}

const isConstraint = (error: unknown): boolean =>
  error instanceof Error && "errcode" in error && typeof error.errcode === "number" && (error.errcode & 0xff) === 19

/** Enters what is written into a log of changes. */
export type Recorder = (kind: ChangeKind, images: Images) => void

const isUnchanged = (left: Uint8Array, right: Uint8Array): boolean => Buffer.compare(left, right) === 0

export class SqliteCollection {
  readonly id: number
  readonly namespace: string
  readonly primary: StoredIndex
  readonly secondary: Array<SecondaryIndex> = []
  /** Set while the changes of the collection are recorded. */
  recorder: Recorder | undefined
  readonly #database: DatabaseSync
  readonly #filename: string
  readonly #scan: StatementSync
  readonly #byKey: StatementSync
  readonly #count: StatementSync
  readonly #insert: StatementSync
  readonly #update: StatementSync
  readonly #delete: StatementSync

  constructor(database: DatabaseSync, filename: string, id: number, namespace: string) {
    this.#database = database
    this.#filename = filename
    this.id = id
    this.namespace = namespace
    const table = `documents_${id}`
    this.#scan = database.prepare(`SELECT record, body FROM ${table} ORDER BY record`)
    this.#byKey = database.prepare(`SELECT record, body FROM ${table} WHERE key = ?`)
    this.#count = database.prepare(`SELECT count(*) AS count FROM ${table}`)
    this.#insert = database.prepare(`INSERT INTO ${table} (key, body) VALUES (?, ?)`)
    this.#update = database.prepare(`UPDATE ${table} SET body = ? WHERE record = ?`)
    this.#delete = database.prepare(`DELETE FROM ${table} WHERE record = ?`)
    const range = (direction: string): StatementSync =>
      database.prepare(`SELECT record, body FROM ${table} WHERE key >= ? AND key < ? ORDER BY key ${direction}`)
    this.primary = {
      id: 0,
      declaration: { ...declareIndex({ _id: 1 }, { unique: true }), name: "_id_" },
      multikey: [false],
      raised: [false],
      ascending: range("ASC"),
      descending: range("DESC")
    }
  }

  static createTable(database: DatabaseSync, id: number): void {
    database.exec(
      `CREATE TABLE documents_${id} (record INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, body BLOB NOT NULL)`
    )
  }

  get indexes(): ReadonlyArray<StoredIndex> {
    return [this.primary, ...this.secondary]
  }

  static createIndexTable(database: DatabaseSync, id: number, unique: boolean): void {
    const columns = unique
      ? "key BLOB PRIMARY KEY, record INTEGER NOT NULL"
      : "key BLOB NOT NULL, record INTEGER NOT NULL, PRIMARY KEY (key, record)"
    database.exec(`CREATE TABLE keys_${id} (${columns}) WITHOUT ROWID`)
  }

  openIndex(id: number, declaration: IndexDeclaration, multikey: ReadonlyArray<boolean>): SecondaryIndex {
    const range = (direction: string): StatementSync =>
      this.#database.prepare(
        `SELECT d.record AS record, d.body AS body FROM keys_${id} AS k CROSS JOIN documents_${this.id} AS d ` +
          `ON d.record = k.record WHERE k.key >= ? AND k.key < ? ORDER BY k.key ${direction}`
      )
    return {
      id,
      declaration,
      multikey,
      raised: multikey.map(() => false),
      ascending: range("ASC"),
      descending: range("DESC"),
      insert: this.#database.prepare(`INSERT INTO keys_${id} (key, record) VALUES (?, ?)`),
      remove: this.#database.prepare(`DELETE FROM keys_${id} WHERE key = ? AND record = ?`)
    }
  }

  #stored(row: { readonly [column: string]: unknown }): StoredDocument {
    const { body, record } = row
    if (typeof record !== "number" || !(body instanceof Uint8Array)) throw this.#damaged(undefined)
    try {
      return { record, body, document: decode(body) }
    } catch (cause) {
      throw this.#damaged(cause)
    }
  }

  #damaged(cause: unknown): Error {
    return failure(
      { _tag: "Corrupt", filename: this.#filename, detail: `a document of ${this.namespace} is damaged` },
      cause
    )
  }

  /** Every document, in the order of insertion. */
  *scan(): Generator<StoredDocument> {
    for (const row of this.#scan.iterate()) yield this.#stored(row)
  }

  /** The document of an identifier, which is what most look-ups want: no plan is faster than this one. */
  get(id: unknown): StoredDocument | undefined {
    const row = this.#byKey.get(encodeKey([id]))
    return row === undefined ? undefined : this.#stored(row)
  }

  /** The documents of a plan's intervals, each once. */
  *lookUp(plan: Plan<StoredIndex>): Generator<StoredDocument> {
    const statement = plan.sorted === -1 ? plan.index.descending : plan.index.ascending
    const seen = plan.index.multikey.includes(true) ? new Set<number>() : undefined
    for (const interval of plan.intervals) {
      for (const row of this.#rows(statement, plan.index, interval)) {
        const stored = this.#stored(row)
        if (seen?.has(stored.record) === true) continue
        seen?.add(stored.record)
        yield stored
      }
    }
  }

  #rows(
    statement: StatementSync,
    index: StoredIndex,
    interval: Interval
  ): Iterable<{ readonly [column: string]: unknown }> {
    // an iterator costs more than the one row that a unique key has
    return index.declaration.unique && index.declaration.fields.length === 1 &&
        interval.high.length === interval.low.length + 1
      ? statement.all(interval.low, interval.high)
      : statement.iterate(interval.low, interval.high)
  }

  count(): number {
    return Number(this.#count.get()?.["count"])
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

  #raise(index: StoredIndex, multikey: ReadonlyArray<boolean>): void {
    for (const [position, isMultikey] of multikey.entries()) {
      if (isMultikey && index.multikey[position] !== true) index.raised[position] = true
    }
  }

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
