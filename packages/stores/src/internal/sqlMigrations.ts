/** The tables of a SQL storage, and how those of an earlier version become those of this one. */
import { TokenStoreError } from "@effect-realm/client/ClientError"
import * as Effect from "effect/Effect"
import * as Migrator from "effect/sql/Migrator"
import { SqlClient } from "effect/sql/SqlClient"
import { unavailable } from "./failure.ts"

const table = "effect_realm_migrations"

const tables = Effect.gen(function*() {
  const sql = yield* SqlClient
  const text = sql.onDialectOrElse({ pg: () => sql.literal("text COLLATE \"C\""), orElse: () => sql.literal("text") })
  yield* sql`CREATE TABLE effect_realm_apps (
    app_id ${text} PRIMARY KEY,
    number bigint NOT NULL,
    forgotten bigint NOT NULL DEFAULT 0,
    anonymous_user text,
    device_id text
  )`
  yield* sql`CREATE TABLE effect_realm_sessions (
    app_id ${text} NOT NULL,
    user_id ${text} NOT NULL,
    generation bigint NOT NULL,
    activation bigint NOT NULL,
    position bigint NOT NULL,
    is_logged_in smallint NOT NULL,
    written_at bigint NOT NULL,
    record text NOT NULL,
    PRIMARY KEY (app_id, user_id)
  )`
  yield* sql`CREATE INDEX effect_realm_sessions_position ON effect_realm_sessions (app_id, position)`
  yield* sql`CREATE INDEX effect_realm_sessions_recent ON effect_realm_sessions (app_id, activation)
    WHERE is_logged_in = 1`
  yield* sql`CREATE TABLE effect_realm_departures (
    app_id ${text} NOT NULL,
    user_id ${text} NOT NULL,
    number bigint NOT NULL,
    departed_at bigint NOT NULL,
    PRIMARY KEY (app_id, user_id)
  )`
  yield* sql`CREATE INDEX effect_realm_departures_time ON effect_realm_departures (app_id, departed_at)`
  yield* sql`CREATE TABLE effect_realm_leases (
    app_id ${text} NOT NULL,
    user_id ${text} NOT NULL,
    holder text NOT NULL,
    ends_at bigint NOT NULL,
    PRIMARY KEY (app_id, user_id)
  )`
  yield* sql`CREATE TABLE effect_realm_log (
    app_id ${text} NOT NULL,
    number bigint NOT NULL,
    user_id ${text} NOT NULL,
    event text NOT NULL,
    PRIMARY KEY (app_id, number)
  )`
})

const migrations = { "0001_tables": tables }
const version = Object.keys(migrations).length

const failed = unavailable("the tables for sessions could not be made")

/** Brings the tables up to date, or fails when a newer version did. Processes that start together do it once. */
export const run: Effect.Effect<void, TokenStoreError, SqlClient> = Effect.gen(function*() {
  const sql = yield* SqlClient
  yield* sql.onDialectOrElse({
    pg: () => Effect.void,
    sqlite: () => Effect.void,
    orElse: () => Effect.fail(failed({ message: "sessions can be kept in SQLite and PostgreSQL" }))
  })
  yield* Effect.mapError(Migrator.make({})({ loader: Migrator.fromRecord(migrations), table }), failed)
  const [latest] = yield* Effect.mapError(
    sql<{ readonly version: number }>`SELECT max(migration_id) AS version FROM ${sql(table)}`,
    failed
  )
  const found = Number(latest?.version)
  if (found > version) {
    return yield* new TokenStoreError({ reason: { _tag: "NewerVersion", key: table, version: found } })
  }
})
