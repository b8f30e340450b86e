/**
 * Sessions in a SQL database that processes share: SQLite or PostgreSQL, through any `SqlClient` of Effect. Changes of
 * other processes are seen by asking for them; over PostgreSQL, `PgSessionStorage` is told of them instead.
 */
import { TokenStoreError } from "@effect-realm/client/ClientError"
import { type Page, type Row, SessionStorage, type Write } from "@effect-realm/client/SessionStorage"
import type { Outcome, SessionKey } from "@effect-realm/client/TokenStore"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Fragment } from "effect/sql/Statement"
import * as Stream from "effect/Stream"
import { unavailable } from "./internal/failure.ts"
import * as Identifier from "./internal/identifier.ts"
import * as Lease from "./internal/lease.ts"
import * as Migrations from "./internal/sqlMigrations.ts"

// -----------------------------------------------------------------------------
// Model
// -----------------------------------------------------------------------------

/** How changes of other processes are noticed. */
export interface Options {
  /** Emits first when it listens, then whenever something of the app may have been written. */
  readonly news: SessionStorage["Service"]["news"]
  /** What the statement that appends to the log returns: an expression that tells the others, with the id as written. */
  readonly notify?: (sql: SqlClient, appId: string) => Fragment
}

/** A write that is taken back. */
class Refused extends Data.TaggedError("Refused")<{ readonly outcome: Exclude<Outcome, { _tag: "Committed" }> }> {}

interface SessionColumns {
  readonly user_id: string
  readonly generation: number | bigint
  readonly activation: number | bigint
  readonly age: number | bigint
  readonly record: string
}

interface AppColumns {
  readonly number: number | bigint
  readonly anonymous_user: string | null
  readonly device_id: string | null
}

// A row of a join, of which nothing is there beside the app when nothing was joined.
type Joined<Columns> = AppColumns & { readonly [Name in keyof Columns]: Columns[Name] | null }

// -----------------------------------------------------------------------------
// Constructors
// -----------------------------------------------------------------------------

const pageSize = 256
const kept = 2048

const row = (columns: SessionColumns): Row => ({
  userId: Identifier.read(columns.user_id),
  generation: Number(columns.generation),
  activation: Number(columns.activation),
  age: Duration.millis(Number(columns.age)),
  record: Effect.succeed(columns.record)
})

/** The sessions of a join; a database writes `NULL` where nothing was joined. */
const joined = (rows: ReadonlyArray<Joined<SessionColumns>>): Array<Row> =>
  rows.flatMap((columns) => {
    const { activation, age, generation, record, user_id } = columns
    if (user_id === null || generation === null || activation === null || age === null || record === null) return []
    return [row({ user_id, generation, activation, age, record })]
  })

const isConflict = ({ reason }: SqlError): boolean =>
  reason._tag === "SerializationError" || reason._tag === "DeadlockError"

/**
 * Does again what came in the way of something else: where transactions are serializable by default, PostgreSQL refuses one
 * of two that come at once, where it would have it wait otherwise.
 */
const unrefused = <A>(effect: Effect.Effect<A, SqlError>): Effect.Effect<A, SqlError> =>
  Effect.catchIf(effect, isConflict, () => Effect.delay(unrefused(effect), "10 millis"))

/**
 * Keeps what is done out of a transaction that the caller may have begun: what was told to everybody would be taken back
 * with it, a log-out for instance (law 5), and others would wait for its end. SQLite can do no such thing.
 */
const apart = (sql: SqlClient) => <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E | TokenStoreError> =>
  Effect.contextWith((context: Context.Context<never>): Effect.Effect<A, E | TokenStoreError> => {
    if (Option.isNone(Context.getOption(context, sql.transactionService))) return effect
    return sql.onDialectOrElse({ sqlite: () => true, orElse: () => false })
      ? Effect.fail(new TokenStoreError({ reason: { _tag: "Misconfigured", detail: inTransaction } }))
      : Effect.updateContext(effect, Context.omit(sql.transactionService))
  })

const inTransaction =
  "sessions are in the SQLite database of the transaction that is open here, and cannot be written " +
  "apart from it. Act as a user before it or after it, or keep sessions in a file of their own"

/**
 * A storage over the `SqlClient` that is there, with its own way to notice what other processes have written. Makes or
 * updates its tables, which all begin with `effect_realm_`. Nothing of it is ever a part of a transaction of the caller:
 * over PostgreSQL it takes another connection, over SQLite it fails with `Misconfigured` there.
 *
 * Fails with `Unavailable` when the database cannot be reached or is neither SQLite nor PostgreSQL, with `NewerVersion`
 * when its tables were made by a newer version of this library. Over PostgreSQL a session of more than 15 MiB fails with
 * `TooLarge`.
 *
 * @param options.news how to notice what others wrote
 *
 * ```ts
 * import * as SqliteClient from "@effect-realm/stores/SqliteClient"
 * import * as SqlSessionStorage from "@effect-realm/stores/SqlSessionStorage"
 * import { Effect, Option, Stream } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const storage = yield* SqlSessionStorage.make({ news: () => Stream.tick("1 second") })
 *   const { row } = yield* storage.read({ appId: "shop-abcde", userId: "636aba021728b6c1c03db7f9" })
 *   return Option.isSome(row)
 * })
 * await Effect.runPromise(Effect.provide(program, SqliteClient.layer({ filename: ":memory:" }))) // => false
 * ```
 */
export const make = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<SessionStorage["Service"], TokenStoreError, SqlClient> {
  // Columns have the names that are written here, also where those of the program have others.
  const sql = (yield* SqlClient).withoutTransforms()
  const alone = apart(sql)
  yield* alone(Effect.provideService(Migrations.run, SqlClient, sql))

  const available = <A>(effect: Effect.Effect<A, SqlError>): Effect.Effect<A, TokenStoreError> =>
    alone(Effect.mapError(unrefused(effect), unavailable("the database says")))

  const now = sql.onDialectOrElse({
    pg: () => sql.literal("CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)"),
    orElse: () => sql.literal("CAST(unixepoch('subsec') * 1000 AS integer)")
  })

  /** Takes the app's next number, and with it the app's lock until the transaction ends. */
  const next = (appId: string, anonymousUser: Option.Option<string>, deviceId: Option.Option<string>) =>
    Effect.map(
      sql<{ readonly number: number | bigint }>`
        INSERT INTO effect_realm_apps (app_id, number, anonymous_user, device_id)
        VALUES (${Identifier.written(appId)}, 1, ${Option.getOrNull(anonymousUser)}, ${Option.getOrNull(deviceId)})
        ON CONFLICT (app_id) DO UPDATE SET
          number = effect_realm_apps.number + 1,
          anonymous_user = COALESCE(excluded.anonymous_user, effect_realm_apps.anonymous_user),
          device_id = COALESCE(excluded.device_id, effect_realm_apps.device_id)
        RETURNING number`,
      (rows) => Number(rows[0]!.number)
    )

  const departed = ({ appId, userId }: SessionKey, since: number) =>
    Effect.map(
      sql`SELECT number FROM effect_realm_departures
        WHERE app_id = ${Identifier.written(appId)} AND user_id = ${Identifier.written(userId)} AND number > ${since}`,
      (rows) => rows.length > 0
    )

  /** Changes the row, and answers whether it was the expected one. */
  const change = ({ appId, userId }: SessionKey, number: number, write: Write) => {
    const isUser = sql`app_id = ${Identifier.written(appId)} AND user_id = ${Identifier.written(userId)}`
    const isExpected = (rows: ReadonlyArray<unknown>): boolean => rows.length > 0
    if (Option.isNone(write.record)) {
      return write.expected === 0
        ? Effect.map(sql`SELECT 1 FROM effect_realm_sessions WHERE ${isUser}`, (rows) => rows.length === 0)
        : Effect.map(
          sql`DELETE FROM effect_realm_sessions WHERE ${isUser} AND generation = ${write.expected} RETURNING generation`,
          isExpected
        )
    }
    const record = write.record.value
    const isLoggedIn = write.isLoggedIn ? 1 : 0
    if (write.expected === 0) {
      return Effect.map(
        sql`INSERT INTO effect_realm_sessions
            (app_id, user_id, generation, activation, position, is_logged_in, written_at, record)
          VALUES (
            ${Identifier.written(appId)}, ${Identifier.written(userId)}, ${number}, ${
          write.makeCurrent ? number : 0
        }, ${number},
            ${isLoggedIn}, ${now}, ${record}
          )
          ON CONFLICT DO NOTHING RETURNING generation`,
        isExpected
      )
    }
    const activation = write.makeCurrent ? sql`${number}` : sql.literal("activation")
    return Effect.map(
      sql`UPDATE effect_realm_sessions
        SET generation = ${number}, activation = ${activation}, is_logged_in = ${isLoggedIn},
          written_at = ${now}, record = ${record}
        WHERE ${isUser} AND generation = ${write.expected} RETURNING generation`,
      isExpected
    )
  }

  const append = ({ appId, userId }: SessionKey, number: number, event: string) =>
    sql`INSERT INTO effect_realm_log (app_id, number, user_id, event)
      VALUES (${Identifier.written(appId)}, ${number}, ${Identifier.written(userId)}, ${event})
      RETURNING ${
      options.notify === undefined ? sql.literal("number") : options.notify(sql, Identifier.written(appId))
    }`

  /** Forgets the entries that nobody is behind any more, now and then. */
  const forget = Effect.fnUntraced(function*(appId: string, number: number) {
    if (number % pageSize > 0 || number <= kept) return
    yield* sql`DELETE FROM effect_realm_log WHERE app_id = ${Identifier.written(appId)} AND number <= ${number - kept}`
    yield* sql`UPDATE effect_realm_apps SET forgotten = ${number - kept} WHERE app_id = ${Identifier.written(appId)}`
  })

  // The client of PostgreSQL writes rows of any size, and reads of none more than 16 MiB: one would fail whoever lists users.
  const limit = sql.onDialectOrElse({ pg: () => 15 * 1024 * 1024, orElse: () => Infinity })

  /** Fails when a row could not be read any more. */
  const fits = ({ event, record }: Write): Effect.Effect<void, TokenStoreError> => {
    const texts = [event, ...Option.toArray(record)]
    if (texts.every((text) => text.length * 3 <= limit)) return Effect.void
    const size = Math.max(...texts.map((text) => new TextEncoder().encode(text).length))
    return size <= limit
      ? Effect.void
      : Effect.fail(new TokenStoreError({ reason: { _tag: "TooLarge", size, limit } }))
  }

  const committed = Effect.fnUntraced(
    function*(key: SessionKey, write: Write): Effect.fn.Return<Outcome, SqlError | Refused> {
      const anonymousUser = write.isAnonymous ? Option.some(Identifier.written(key.userId)) : Option.none()
      const number = yield* next(key.appId, anonymousUser, write.deviceId)
      if (Option.isSome(write.since) && (yield* departed(key, write.since.value))) {
        return yield* new Refused({ outcome: { _tag: "Left" } })
      }
      if (!(yield* change(key, number, write))) return yield* new Refused({ outcome: { _tag: "MovedOn" } })
      yield* append(key, number, write.event)
      yield* forget(key.appId, number)
      return { _tag: "Committed", generation: number }
    },
    sql.withTransaction,
    Effect.catchTag("Refused", ({ outcome }) => Effect.succeed(outcome)),
    available
  )

  const depart = ({ appId, userId }: SessionKey): Effect.Effect<void, TokenStoreError> =>
    Effect.gen(function*() {
      const number = yield* next(appId, Option.none(), Option.none())
      yield* sql`INSERT INTO effect_realm_departures (app_id, user_id, number, departed_at)
        VALUES (${Identifier.written(appId)}, ${Identifier.written(userId)}, ${number}, ${now})
        ON CONFLICT (app_id, user_id) DO UPDATE SET number = excluded.number, departed_at = excluded.departed_at`
      // By number, too: a clock that is set forward makes an hour of a moment.
      yield* sql`DELETE FROM effect_realm_departures
        WHERE app_id = ${Identifier.written(appId)} AND number <= ${number - kept}
          AND departed_at < ${now} - ${Duration.toMillis("1 hour")}`
    }).pipe(sql.withTransaction, available)

  const read: SessionStorage["Service"]["read"] = ({ appId, userId }) =>
    sql<Joined<SessionColumns>>`
      SELECT app.number, session.user_id, session.generation, session.activation,
        ${now} - session.written_at AS age, session.record
      FROM effect_realm_apps AS app LEFT JOIN effect_realm_sessions AS session
        ON session.app_id = app.app_id AND session.user_id = ${Identifier.written(userId)}
      WHERE app.app_id = ${Identifier.written(appId)}`.pipe(
      Effect.map((rows) => ({
        number: Number(rows[0]?.number ?? 0),
        row: Option.fromUndefinedOr(joined(rows)[0])
      })),
      available
    )

  const app: SessionStorage["Service"]["app"] = (appId) =>
    sql<Joined<SessionColumns>>`
      SELECT app.number, app.anonymous_user, app.device_id,
        session.user_id, session.generation, session.activation, session.age, session.record
      FROM effect_realm_apps AS app LEFT JOIN (
        SELECT user_id, generation, activation, ${now} - written_at AS age, record FROM effect_realm_sessions
        WHERE app_id = ${Identifier.written(appId)} AND is_logged_in = 1 AND activation > 0
        ORDER BY activation DESC LIMIT 16
      ) AS session ON 1 = 1
      WHERE app.app_id = ${Identifier.written(appId)}
      ORDER BY session.activation DESC`.pipe(
      Effect.map((rows) => ({
        number: Number(rows[0]?.number ?? 0),
        recent: joined(rows),
        anonymousUser: Option.map(Option.fromNullishOr(rows[0]?.anonymous_user), Identifier.read),
        deviceId: Option.fromNullishOr(rows[0]?.device_id)
      })),
      available
    )

  const rows: SessionStorage["Service"]["rows"] = (appId) =>
    Stream.paginate(0, (after: number) =>
      sql<SessionColumns & { readonly position: number | bigint }>`
        SELECT position, user_id, generation, activation, ${now} - written_at AS age, record FROM effect_realm_sessions
        WHERE app_id = ${Identifier.written(appId)} AND position > ${after}
        ORDER BY position LIMIT ${pageSize}`.pipe(
        Effect.map((rows) => {
          const last = rows.length < pageSize ? undefined : rows.at(-1)
          return [rows.map(row), Option.map(Option.fromUndefinedOr(last), ({ position }) => Number(position))] as const
        }),
        available
      ))

  const acquire: SessionStorage["Service"]["acquire"] = ({ appId, userId }, holder, life) =>
    sql`INSERT INTO effect_realm_leases (app_id, user_id, holder, ends_at)
      VALUES (${Identifier.written(appId)}, ${Identifier.written(userId)}, ${holder}, ${now} + ${
      Duration.toMillis(life)
    })
      ON CONFLICT (app_id, user_id) DO UPDATE SET holder = excluded.holder, ends_at = excluded.ends_at
        WHERE effect_realm_leases.holder = excluded.holder
          OR effect_realm_leases.ends_at NOT BETWEEN ${now} + 1 AND ${now} + ${Duration.toMillis(Lease.longest)}
      RETURNING holder`.pipe(Effect.map((rows) => rows.length > 0), available)

  const release: SessionStorage["Service"]["release"] = ({ appId, userId }, holder) =>
    sql`DELETE FROM effect_realm_leases
      WHERE app_id = ${Identifier.written(appId)} AND user_id = ${Identifier.written(userId)} AND holder = ${holder}`
      .pipe(
        Effect.asVoid,
        available
      )

  const log: SessionStorage["Service"]["log"] = (appId, after) =>
    sql<{
      readonly number: number | bigint
      readonly forgotten: number | bigint
      readonly position: number | bigint | null
      readonly user_id: string | null
      readonly event: string | null
    }>`
      SELECT app.number, app.forgotten, entry.number AS position, entry.user_id, entry.event
      FROM effect_realm_apps AS app LEFT JOIN effect_realm_log AS entry
        ON entry.app_id = app.app_id AND entry.number > ${after}
      WHERE app.app_id = ${Identifier.written(appId)}
      ORDER BY entry.number LIMIT ${pageSize + 1}`.pipe(
      Effect.map((rows): Page => {
        const entries = rows.flatMap(({ event, position, user_id }) =>
          event === null || position === null || user_id === null
            ? []
            : [{ number: Number(position), userId: Identifier.read(user_id), event: Effect.succeed(event) }]
        )
        const hasMore = entries.length > pageSize
        return {
          entries: entries.slice(0, pageSize),
          until: hasMore ? entries[pageSize - 1]!.number : Number(rows[0]?.number ?? 0),
          forgotten: Number(rows[0]?.forgotten ?? 0),
          hasMore
        }
      }),
      available
    )

  return {
    read,
    app,
    rows,
    write: (key, write) => Effect.andThen(fits(write), committed(key, write)),
    depart,
    acquire,
    release,
    log,
    news: options.news
  }
})

// -----------------------------------------------------------------------------
// Layers
// -----------------------------------------------------------------------------

/**
 * Sessions in the database of the `SqlClient` that is there. While somebody listens, the log is asked for news at an
 * interval.
 *
 * @param options.interval how often; a twentieth of a second when nothing is said
 *
 * ```ts
 * import { TokenStore } from "@effect-realm/client"
 * import * as SqliteClient from "@effect-realm/stores/SqliteClient"
 * import * as SqlSessionStorage from "@effect-realm/stores/SqlSessionStorage"
 * import { Effect, Layer } from "effect"
 *
 * const layer = TokenStore.layerStorage.pipe(
 *   Layer.provide(SqlSessionStorage.layerWith({ interval: "1 second" })),
 *   Layer.provide(SqliteClient.layer({ filename: ":memory:" }))
 * )
 * const users = TokenStore.TokenStore.use((store) => store.users("shop-abcde"))
 * await Effect.runPromise(Effect.provide(users, layer)) // => []
 * ```
 */
export const layerWith = (
  options: { readonly interval: Duration.Input }
): Layer.Layer<SessionStorage, TokenStoreError, SqlClient> =>
  // One for each database that it is provided with.
  Layer.fresh(Layer.effect(SessionStorage, make({ news: () => Stream.tick(options.interval) })))

/**
 * Sessions in the database of the `SqlClient` that is there, which is asked for news twenty times a second.
 *
 * ```ts
 * import { TokenStore } from "@effect-realm/client"
 * import * as SqliteClient from "@effect-realm/stores/SqliteClient"
 * import * as SqlSessionStorage from "@effect-realm/stores/SqlSessionStorage"
 * import { Effect, Layer } from "effect"
 *
 * const layer = TokenStore.layerStorage.pipe(
 *   Layer.provide(SqlSessionStorage.layer),
 *   Layer.provide(SqliteClient.layer({ filename: ":memory:" }))
 * )
 * const users = TokenStore.TokenStore.use((store) => store.users("shop-abcde"))
 * await Effect.runPromise(Effect.provide(users, layer)) // => []
 * ```
 */
export const layer: Layer.Layer<SessionStorage, TokenStoreError, SqlClient> = layerWith({ interval: "50 millis" })
