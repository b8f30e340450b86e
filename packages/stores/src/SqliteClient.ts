/**
 * A `SqlClient` over the SQLite that is a part of Node.js (`node:sqlite`): a database in one file, for the processes of
 * one machine, with nothing to install.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as SqlClient from "effect/sql/SqlClient"
import type { Connection } from "effect/sql/SqlConnection"
import { classifySqliteError, SqlError } from "effect/sql/SqlError"
import * as Statement from "effect/sql/Statement"
import * as Stream from "effect/Stream"
import { closeSync, existsSync, openSync } from "node:fs"
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite"
import * as FileIdentity from "./internal/fileIdentity.ts"

// -----------------------------------------------------------------------------
// Model
// -----------------------------------------------------------------------------

/** Where the database is, and how long to wait for others who write. */
export interface Options {
  /** The file, which is made when there is none, readable by its owner only. `:memory:` is a database of its own. */
  readonly filename: string
  /** How long a statement waits for another process that writes; five seconds when nothing is said. */
  readonly busyTimeout?: Duration.Input
}

// -----------------------------------------------------------------------------
// Constructors
// -----------------------------------------------------------------------------

const failure = (cause: unknown, operation: string): SqlError => {
  // Node.js calls the code of SQLite by another name than Effect looks for.
  const coded = cause instanceof Error && "errcode" in cause ? Object.assign(cause, { errno: cause.errcode }) : cause
  const message = cause instanceof Error ? cause.message : String(cause)
  return new SqlError({ reason: classifySqliteError(coded, { message, operation }) })
}

const attempt = <A>(operation: string, use: () => A): Effect.Effect<A, SqlError> =>
  Effect.try({ try: use, catch: (cause) => failure(cause, operation) })

const isBusy = ({ reason }: SqlError): boolean => reason._tag === "LockTimeoutError"

// SQLite could wait itself, but then so would everything else in this process, also who it waits for.
const patiently =
  (wait: Duration.Input) => <A, R>(effect: Effect.Effect<A, SqlError, R>): Effect.Effect<A, SqlError, R> =>
    Effect.retry(effect, {
      while: isBusy,
      schedule: Schedule.max([Schedule.spaced("5 millis"), Schedule.during(wait)])
    })

const inputOf = (value: unknown): SQLInputValue => {
  if (typeof value === "boolean") return value ? 1 : 0
  if (value === undefined) return null
  if (
    value === null || typeof value === "string" || typeof value === "number" || typeof value === "bigint" ||
    value instanceof Uint8Array
  ) return value
  throw new TypeError("SQLite stores text, numbers, bytes, booleans and null")
}

// How many statements stay prepared.
const kept = 128

const connect = (database: DatabaseSync, wait: Duration.Input): Connection => {
  const preparing = (returnsArrays: boolean) => {
    const prepared = new Map<string, StatementSync>()
    return (sql: string): StatementSync => {
      const known = prepared.get(sql)
      if (known !== undefined) return known
      const made = database.prepare(sql)
      made.setReturnArrays(returnsArrays)
      if (prepared.size >= kept) prepared.clear()
      prepared.set(sql, made)
      return made
    }
  }
  const ofObjects = preparing(false)
  const ofArrays = preparing(true)

  const rows = (sql: string, params: ReadonlyArray<unknown>, statement = ofObjects) =>
    patiently(wait)(attempt("execute", () => statement(sql).all(...params.map(inputOf))))

  const run: Connection["execute"] = (sql, params, transformRows) =>
    Effect.map(rows(sql, params), (rows) => transformRows === undefined ? rows : transformRows(rows))

  const values: Connection["executeValues"] = (sql, params) =>
    // An object would have one of two columns that are called alike.
    Effect.map(rows(sql, params, ofArrays), (rows) => rows.map((row) => Object.values(row)))

  return {
    execute: run,
    executeRaw: rows,
    executeValues: values,
    executeValuesUnprepared: values,
    executeUnprepared: run,
    executeStream: (sql, params, transformRows) =>
      Stream.flattenIterable(Stream.fromEffect(run(sql, params, transformRows)))
  }
}

const open = (filename: string): Effect.Effect<DatabaseSync, SqlError, Scope.Scope> =>
  Effect.acquireRelease(
    attempt("connect", () => {
      // SQLite makes a file that all may read; the files beside it get the rights of this one. One that is there is left
      // alone: to close it would end the locks that other clients of this process have on it.
      if (filename !== ":memory:" && !existsSync(filename)) closeSync(openSync(filename, "a", 0o600))
      return new DatabaseSync(filename)
    }),
    (database) => Effect.sync(() => database.close())
  )

const isAnother = (filename: string): string =>
  `the file ${filename} was deleted, moved or replaced while it was open: put it back, or start this program anew`

/**
 * A client that is closed with the scope. Fails when the file cannot be opened, or is no database. When the file is deleted,
 * moved or replaced, everything fails from then on: other programs would not see what is written to it.
 *
 * @param options.filename the file, or `:memory:`
 *
 * ```ts
 * import * as SqliteClient from "@effect-realm/stores/SqliteClient"
 * import { Effect } from "effect"
 * import { Reactivity } from "effect/reactivity"
 *
 * const program = Effect.gen(function*() {
 *   const sql = yield* SqliteClient.make({ filename: ":memory:" })
 *   return yield* sql`SELECT 1 + 1 AS two`
 * })
 * const rows = await Effect.runPromise(Effect.scoped(Effect.provide(program, Reactivity.layer)))
 * rows.length // => 1
 * ```
 */
export const make = (
  options: Options
): Effect.Effect<SqlClient.SqlClient, SqlError, Scope.Scope | Reactivity.Reactivity> =>
  Effect.gen(function*() {
    const { busyTimeout = "5 seconds", filename } = options
    const connection = connect(yield* open(filename), busyTimeout)
    const file = FileIdentity.of(filename)
    // Whatever is written to a file that is not there any more nobody else sees, and it is gone with this process.
    const connected = Effect.as(
      attempt("connect", () => {
        if (FileIdentity.of(filename) !== file) throw new Error(isAnother(filename))
      }),
      connection
    )
    // Readers do not wait for who writes.
    yield* connection.executeUnprepared("PRAGMA journal_mode = WAL", [], undefined)
    // One at a time: a statement of another fiber would become a part of the transaction that is open.
    const semaphore = yield* Semaphore.make(1)
    const exclusive = Effect.andThen(Semaphore.takeScoped(semaphore, 1), connected)
    return yield* SqlClient.make({
      driver: "sqlite-node",
      acquirer: exclusive,
      borrower: (use) => Semaphore.withPermit(semaphore, Effect.flatMap(connected, use)),
      transactionAcquirer: exclusive,
      compiler: Statement.makeCompilerSqlite(),
      // A transaction that reads first and then writes could not wait for another one.
      beginTransaction: "BEGIN IMMEDIATE",
      spanAttributes: [["db.system.name", "sqlite"]]
    })
  })

// -----------------------------------------------------------------------------
// Layers
// -----------------------------------------------------------------------------

/**
 * A client of the database in a file.
 *
 * @param options.filename the file, or `:memory:`
 *
 * ```ts
 * import * as SqliteClient from "@effect-realm/stores/SqliteClient"
 * import { Effect } from "effect"
 * import { SqlClient } from "effect/sql"
 *
 * const program = Effect.gen(function*() {
 *   const sql = yield* SqlClient.SqlClient
 *   return yield* sql`SELECT 1 + 1 AS two`
 * })
 * const rows = await Effect.runPromise(Effect.provide(program, SqliteClient.layer({ filename: ":memory:" })))
 * rows[0]?.["two"] // => 2
 * ```
 */
export const layer = (options: Options): Layer.Layer<SqlClient.SqlClient, SqlError> =>
  Layer.provide(Layer.effect(SqlClient.SqlClient, make(options)), Reactivity.layer)
