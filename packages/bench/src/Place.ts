/**
 * The places that sessions can be kept in, each as any process of the bench opens it.
 */
import type { SessionStorage } from "@effect-realm/client"
import { TokenStore } from "@effect-realm/client"
import * as FileSessionStorage from "@effect-realm/stores/FileSessionStorage"
import * as PgSessionStorage from "@effect-realm/stores/PgSessionStorage"
import * as RedisSessionStorage from "@effect-realm/stores/RedisSessionStorage"
import * as SqliteClient from "@effect-realm/stores/SqliteClient"
import * as SqlSessionStorage from "@effect-realm/stores/SqlSessionStorage"
import * as NodeRedis from "@effect/platform-node/NodeRedis"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as KeyValueStore from "effect/persistence/KeyValueStore"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type * as SqlClient from "effect/sql/SqlClient"
import { join } from "node:path"
import * as PrivateServers from "./PrivateServers.ts"
import * as TemporaryFolder from "./TemporaryFolder.ts"

/** A place, in words that one process can say to another. */
export type Place =
  | { readonly _tag: "Memory" }
  | { readonly _tag: "KeyValueStore" }
  | { readonly _tag: "Sqlite"; readonly filename: string }
  | { readonly _tag: "Files"; readonly directory: string }
  | { readonly _tag: "Postgres"; readonly folder: string }
  | { readonly _tag: "Redis"; readonly path: string }

/** Whether several processes can share it. */
export const isShared = (place: Place): boolean => place._tag !== "Memory" && place._tag !== "KeyValueStore"

/** What the table calls it. */
export const name = (kind: Place["_tag"]): string => {
  switch (kind) {
    case "Memory":
      return "memory"
    case "KeyValueStore":
      return "a `KeyValueStore`"
    case "Sqlite":
      return "SQLite"
    case "Files":
      return "files"
    case "Postgres":
      return "PostgreSQL"
    case "Redis":
      return "Redis"
  }
}

/** The client of a SQLite place. */
export const sqlite = (filename: string): Layer.Layer<SqlClient.SqlClient> =>
  Layer.orDie(SqliteClient.layer({ filename }))

/** The client of a PostgreSQL place. */
export const postgres = (folder: string): Layer.Layer<PgClient.PgClient | SqlClient.SqlClient> =>
  Layer.orDie(PgClient.layer({
    host: folder,
    database: "postgres",
    username: "bench",
    password: Redacted.make(PrivateServers.password),
    maxConnections: 6
  }))

/** The client of a Redis place. */
export const redis = (path: string) => Layer.orDie(NodeRedis.layer({ socket: { path, tls: false } }))

/** A store over a place, by connections of its own each time it is built. */
export const store = (place: Place): Layer.Layer<TokenStore.TokenStore> => {
  const over = <E>(storage: Layer.Layer<SessionStorage.SessionStorage, E>) =>
    Layer.orDie(Layer.provide(TokenStore.layerStorage, storage))
  switch (place._tag) {
    case "Memory":
      return TokenStore.layerMemory
    case "KeyValueStore":
      return Layer.provide(TokenStore.layerKeyValueStore, KeyValueStore.layerMemory)
    case "Sqlite":
      return over(Layer.provide(SqlSessionStorage.layer, sqlite(place.filename)))
    case "Files":
      return over(FileSessionStorage.layer({ directory: place.directory }))
    case "Postgres":
      return over(Layer.provide(PgSessionStorage.layer, postgres(place.folder)))
    case "Redis":
      return over(Layer.provide(RedisSessionStorage.layer, redis(place.path)))
  }
}

/** The kinds of places. */
export const kinds: ReadonlyArray<Place["_tag"]> = ["Memory", "KeyValueStore", "Sqlite", "Files", "Postgres", "Redis"]

/**
 * A new place of a kind, if it can be had here; it ends with the scope.
 *
 * @param folder a new one
 */
export const make = (
  kind: Place["_tag"],
  folder: string
): Effect.Effect<Option.Option<Place>, never, Scope.Scope> => {
  switch (kind) {
    case "Memory":
    case "KeyValueStore":
      return Effect.succeedSome({ _tag: kind })
    case "Sqlite":
      return Effect.succeedSome({ _tag: kind, filename: join(folder, "sessions.sqlite") })
    case "Files":
      return Effect.succeedSome({ _tag: kind, directory: join(folder, "sessions") })
    case "Postgres":
      return Effect.map(PrivateServers.postgres(folder), Option.map((folder): Place => ({ _tag: kind, folder })))
    case "Redis":
      return Effect.map(PrivateServers.redis(folder), Option.map((path): Place => ({ _tag: kind, path })))
  }
}

/** Measures something in a new place of each kind that can be had here, one after another. */
export const each = <Row>(
  rows: (place: Place) => Effect.Effect<ReadonlyArray<Row>, never, Scope.Scope>
): Effect.Effect<ReadonlyArray<Row>> =>
  Effect.map(
    Effect.forEach(kinds, (kind) =>
      Effect.scoped(Effect.gen(function*() {
        const place = yield* make(kind, yield* TemporaryFolder.make)
        return Option.isNone(place) ? [] : yield* rows(place.value)
      }))),
    (all) => all.flat()
  )
