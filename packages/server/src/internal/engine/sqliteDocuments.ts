/**
 * The documents of one collection in SQLite, to be read: a table of documents by key of `_id`, and a table of keys for each
 * index.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite"
import { decode, type Fields } from "./bsonValue.ts"
import { failure } from "./failure.ts"
import { declareIndex, type IndexDeclaration } from "./indexKeys.ts"
import { encodeKey } from "./keyEncoding.ts"
import type { Plan, PlannedIndex } from "./queryPlan.ts"
import type { CatalogIndex, Namespace } from "./sqliteCatalog.ts"
import type { Work } from "./work.ts"

export interface StoredDocument {
  readonly record: number
  readonly body: Uint8Array
  readonly document: Fields
}

interface Row {
  readonly [column: string]: unknown
}

/** A statement that reads rows. Each reading has one of its own: while it is read, another one is prepared. */
class RowStatement {
  readonly #prepare: () => StatementSync
  #idle: StatementSync | undefined

  constructor(database: DatabaseSync, sql: string) {
    this.#prepare = () => database.prepare(sql)
  }

  /** For one reading, which gives it back. */
  take(): StatementSync {
    const statement = this.#idle ?? this.#prepare()
    this.#idle = undefined
    return statement
  }

  give(statement: StatementSync): void {
    this.#idle = statement
  }
}

export interface StoredIndex extends PlannedIndex {
  readonly id: number
  multikey: ReadonlyArray<boolean>
  readonly ascending: RowStatement
  readonly descending: RowStatement
}

/** The collections as they are at one time. */
export interface Collections {
  /** A collection, when it is there. */
  readonly get: (namespace: Namespace) => SqliteDocuments | undefined
}

// counting so many takes a millisecond or two
const countedAtOnce = 20_000

export class SqliteDocuments {
  readonly id: number
  readonly namespace: string
  readonly primary: StoredIndex
  /** `_id_` first. */
  readonly indexes: Array<StoredIndex> = []
  readonly #database: DatabaseSync
  readonly #filename: string
  readonly #scan: RowStatement
  readonly #byKey: StatementSync
  #count: StatementSync | undefined

  constructor(database: DatabaseSync, filename: string, id: number, namespace: string) {
    this.#database = database
    this.#filename = filename
    this.id = id
    this.namespace = namespace
    const table = `documents_${id}`
    this.#scan = new RowStatement(database, `SELECT record, body FROM ${table} ORDER BY record`)
    this.#byKey = database.prepare(`SELECT record, body FROM ${table} WHERE key = ?`)
    const range = (direction: string): RowStatement =>
      new RowStatement(
        database,
        `SELECT record, body FROM ${table} WHERE key >= ? AND key < ? ORDER BY key ${direction}`
      )
    this.primary = {
      id: 0,
      declaration: primaryDeclaration,
      multikey: [false],
      ascending: range("ASC"),
      descending: range("DESC")
    }
    this.indexes.push(this.primary)
  }

  /** What reads an index of the collection. */
  openIndex({ declaration, id, multikey }: CatalogIndex): StoredIndex {
    const range = (direction: string): RowStatement =>
      new RowStatement(
        this.#database,
        `SELECT d.record AS record, d.body AS body FROM keys_${id} AS k CROSS JOIN documents_${this.id} AS d ` +
          `ON d.record = k.record WHERE k.key >= ? AND k.key < ? ORDER BY k.key ${direction}`
      )
    return { id, declaration, multikey, ascending: range("ASC"), descending: range("DESC") }
  }

  #stored(row: Row): StoredDocument {
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

  *#read(statement: RowStatement, keys: ReadonlyArray<Uint8Array>, isOne: boolean): Generator<StoredDocument> {
    const reading = statement.take()
    try {
      // an iterator costs more than one row
      for (const row of isOne ? reading.all(...keys) : reading.iterate(...keys)) yield this.#stored(row)
    } finally {
      statement.give(reading)
    }
  }

  /** Every document, in the order of insertion. */
  scan(): Generator<StoredDocument> {
    return this.#read(this.#scan, [], false)
  }

  /** The document of an identifier, which is what most look-ups want: no plan is faster than this one. */
  get(id: unknown): StoredDocument | undefined {
    const row = this.#byKey.get(encodeKey([id]))
    return row === undefined ? undefined : this.#stored(row)
  }

  /** The documents of a plan's intervals, each once. */
  *lookUp(plan: Plan<StoredIndex>): Generator<StoredDocument | undefined> {
    const statement = plan.sorted === -1 ? plan.index.descending : plan.index.ascending
    const seen = plan.index.multikey.includes(true) ? new Set<number>() : undefined
    for (const { high, low } of plan.intervals) {
      for (const stored of this.#read(statement, [low, high], plan.isSingle)) {
        const isKnown = seen?.has(stored.record) === true
        seen?.add(stored.record)
        yield isKnown ? undefined : stored
      }
      yield
    }
  }

  *count(): Work<number> {
    // of the keys, in portions: there is no place to pause within a statement
    this.#count ??= this.#database.prepare(
      `SELECT count(*) AS count, max(key) AS last FROM (` +
        `SELECT key FROM documents_${this.id} WHERE key > ? ORDER BY key LIMIT ${countedAtOnce})`
    )
    let total = 0
    let after: unknown = new Uint8Array()
    while (after instanceof Uint8Array) {
      const portion: Row | undefined = this.#count.get(after)
      const count = Number(portion?.["count"])
      total += count
      if (count < countedAtOnce) break
      after = portion?.["last"]
      yield
    }
    return total
  }
}

const primaryDeclaration: IndexDeclaration = { ...declareIndex({ _id: 1 }, { unique: true }), name: "_id_" }
