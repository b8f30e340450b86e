/**
 * The tables of `IndexedDbSessionStorage`, and transactions over them. IndexedDB as promises is all that is needed of a
 * library for it, and the two functions that this takes cost a page less.
 */
import { TokenStoreError } from "@effect-realm/client/ClientError"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as WebFailure from "./webFailure.ts"

// -----------------------------------------------------------------------------
// Model
// -----------------------------------------------------------------------------

/** The version of the tables. A database of a later one is left alone. */
const version = 1

export interface AppColumns {
  readonly appId: string
  readonly number: number
  /** Entries of the log up to this number may be gone. */
  readonly forgotten: number
  readonly anonymousUser?: string
  readonly deviceId?: string
}

export interface SessionColumns {
  readonly appId: string
  readonly userId: string
  readonly generation: number
  readonly activation: number
  readonly position: number
  /** By the clock of this machine, as all times. */
  readonly writtenAt: number
  readonly record: string
  /** The activation again, of those who may be the current user: what the index has. */
  readonly recent?: number
}

export interface EntryColumns {
  readonly appId: string
  readonly number: number
  readonly userId: string
  readonly event: string
}

export interface DepartureColumns {
  readonly appId: string
  readonly userId: string
  readonly number: number
  readonly at: number
}

export interface LeaseColumns {
  readonly appId: string
  readonly userId: string
  readonly holder: string
  readonly until: number
}

interface Tables {
  readonly apps: AppColumns
  readonly sessions: SessionColumns
  readonly log: EntryColumns
  readonly departures: DepartureColumns
  readonly leases: LeaseColumns
}

const tables = ["apps", "sessions", "log", "departures", "leases"] as const satisfies ReadonlyArray<keyof Tables>

const create = (database: IDBDatabase): void => {
  const ofUser = { keyPath: ["appId", "userId"] }
  database.createObjectStore("apps", { keyPath: "appId" })
  const sessions = database.createObjectStore("sessions", ofUser)
  sessions.createIndex("position", ["appId", "position"])
  sessions.createIndex("recent", ["appId", "recent"])
  database.createObjectStore("log", { keyPath: ["appId", "number"] })
  database.createObjectStore("departures", ofUser).createIndex("at", ["appId", "at"])
  database.createObjectStore("leases", ofUser)
}

// -----------------------------------------------------------------------------
// Promises
// -----------------------------------------------------------------------------

const answered = <A>(request: IDBRequest<A>): Promise<A> =>
  new Promise((resolve, reject) => {
    request.addEventListener("success", () => resolve(request.result))
    request.addEventListener("error", () => reject(request.error))
  })

const completed = (transaction: IDBTransaction): Promise<void> =>
  new Promise((resolve, reject) => {
    transaction.addEventListener("complete", () => resolve())
    // There is no error when it was the page that gave up.
    transaction.addEventListener("abort", () => reject(transaction.error ?? new Error("the transaction was given up")))
  })

// -----------------------------------------------------------------------------
// Transactions
// -----------------------------------------------------------------------------

/** What a transaction can do. It ends when there is nothing left to wait for but other things than itself. */
export interface Transaction {
  readonly get: <Name extends keyof Tables>(table: Name, key: IDBValidKey) => Promise<Tables[Name] | undefined>
  readonly put: <Name extends keyof Tables>(table: Name, row: Tables[Name]) => Promise<unknown>
  readonly delete: (table: keyof Tables, key: IDBValidKey | IDBKeyRange) => Promise<unknown>
  /** Rows of a range in its order, by the key or an index. */
  readonly all: <Name extends keyof Tables>(
    table: Name,
    range: IDBKeyRange,
    options?: { readonly index?: string; readonly limit?: number }
  ) => Promise<Array<Tables[Name]>>
  /** The last rows of a range, the last one first. */
  readonly last: <Name extends keyof Tables>(
    table: Name,
    index: string,
    range: IDBKeyRange,
    limit: number
  ) => Promise<Array<Tables[Name]>>
}

/** The keys of an app after a number, or all. */
export const ofApp = (appId: string, after?: number): IDBKeyRange =>
  // In the order of keys a list comes after every number.
  IDBKeyRange.bound(after === undefined ? [appId] : [appId, after], [appId, []], after !== undefined)

const operations = (transaction: IDBTransaction): Transaction => ({
  get: (table, key) => answered(transaction.objectStore(table).get(key)),
  put: (table, row) => answered(transaction.objectStore(table).put(row)),
  delete: (table, key) => answered(transaction.objectStore(table).delete(key)),
  all: (table, range, { index, limit } = {}) => {
    const store = transaction.objectStore(table)
    return answered((index === undefined ? store : store.index(index)).getAll(range, limit))
  },
  last: async (table, index, range, limit) => {
    const request = transaction.objectStore(table).index(index).openCursor(range, "prev")
    const rows = []
    let cursor = await answered(request)
    while (cursor !== null && rows.length < limit) {
      rows.push(cursor.value)
      const next = answered(request)
      cursor.continue()
      cursor = await next
    }
    return rows
  }
})

const run = async <A>(
  database: IDBDatabase,
  mode: "readonly" | "readwrite",
  use: (transaction: Transaction) => Promise<A>
): Promise<A> => {
  // What was confirmed is on the disk: a log-out is not taken back by a power cut.
  const transaction = database.transaction(tables, mode, { durability: "strict" })
  const completion = completed(transaction)
  const work = use(operations(transaction))
  // Nothing of a change remains that could not be made as a whole. What failed by itself is over already.
  work.catch(() => transaction.abort()).catch(() => undefined)
  const [result] = await Promise.all([work, completion])
  return result
}

// -----------------------------------------------------------------------------
// Database
// -----------------------------------------------------------------------------

export interface Database {
  /** Runs a transaction: all of it happens, or nothing. */
  readonly transact: <A>(
    mode: "readonly" | "readwrite",
    use: (transaction: Transaction) => Promise<A>
  ) => Effect.Effect<A, TokenStoreError>
}

const isOfLaterVersion = (cause: unknown): boolean => cause instanceof DOMException && cause.name === "VersionError"

const newerVersion = async (name: string): Promise<TokenStoreError> => {
  const there = (await indexedDB.databases()).find((database) => database.name === name)
  return new TokenStoreError({
    reason: { _tag: "NewerVersion", key: `IndexedDB ${name}`, version: there?.version ?? version + 1 }
  })
}

const failure = WebFailure.failure("IndexedDB")

/** Opens a database, and makes its tables when it is new. It is opened again after the browser has closed it. */
export const make = (name: string): Effect.Effect<Database, TokenStoreError, Scope.Scope> =>
  Effect.gen(function*() {
    let connection: Promise<IDBDatabase> | undefined

    const open = async (): Promise<IDBDatabase> => {
      const request = indexedDB.open(name, version)
      request.addEventListener("upgradeneeded", () => create(request.result))
      const database = await answered(request).catch(async (cause) => {
        throw isOfLaterVersion(cause) ? await newerVersion(name) : cause
      })
      const forget = () => connection = undefined
      // Because its data were deleted, or its disk is gone.
      database.addEventListener("close", forget)
      // Another tab has a later version of the program, and waits for this one.
      database.addEventListener("versionchange", () => {
        forget()
        database.close()
      })
      return database
    }

    const connected = (): Promise<IDBDatabase> => {
      if (connection === undefined) {
        const opened = open()
        connection = opened
        opened.catch(() => connection = undefined)
      }
      return connection
    }

    const attempt = <A>(work: () => Promise<A>): Effect.Effect<A, TokenStoreError> =>
      Effect.tryPromise({
        try: work,
        catch: (cause) => cause instanceof TokenStoreError ? cause : failure(cause)
      })

    yield* Effect.acquireRelease(attempt(connected), () =>
      Effect.promise(async () => {
        const database = await connection?.catch(() => undefined)
        database?.close()
      }))

    return { transact: (mode, use) => attempt(async () => run(await connected(), mode, use)) }
  })
