/** The places of the tests, as a program opens them that is told of one by its parent. */
import type { SessionStorage } from "@effect-realm/client/SessionStorage"
import * as NodeRedis from "@effect/platform-node/NodeRedis"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as PgSessionStorage from "../../src/PgSessionStorage.ts"
import * as RedisSessionStorage from "../../src/RedisSessionStorage.ts"
import * as SqliteClient from "../../src/SqliteClient.ts"
import * as SqlSessionStorage from "../../src/SqlSessionStorage.ts"

export type Place =
  | { readonly _tag: "Sqlite"; readonly filename: string }
  | { readonly _tag: "Postgres"; readonly host: string; readonly password: string }
  | { readonly _tag: "Redis"; readonly path: string }

export const layer = (place: Place): Layer.Layer<SessionStorage, unknown> => {
  switch (place._tag) {
    case "Sqlite":
      return Layer.provide(SqlSessionStorage.layer, SqliteClient.layer({ filename: place.filename }))
    case "Postgres":
      return Layer.provide(
        PgSessionStorage.layer,
        PgClient.layer({
          host: place.host,
          database: "postgres",
          username: "tester",
          password: Redacted.make(place.password),
          maxConnections: 3
        })
      )
    case "Redis":
      return Layer.provide(RedisSessionStorage.layer, NodeRedis.layer({ socket: { path: place.path, tls: false } }))
  }
}
