/** The places of the tests, as a program opens them that is told of one by its parent. */
import { SessionStorage } from "@effect-realm/client/SessionStorage"
import type { SessionKey } from "@effect-realm/client/TokenStore"
import * as NodeRedis from "@effect/platform-node/NodeRedis"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as FileSessionStorage from "../../src/FileSessionStorage.ts"
import * as PgSessionStorage from "../../src/PgSessionStorage.ts"
import * as RedisSessionStorage from "../../src/RedisSessionStorage.ts"
import * as SqliteClient from "../../src/SqliteClient.ts"
import * as SqlSessionStorage from "../../src/SqlSessionStorage.ts"

export type Place =
  | { readonly _tag: "Sqlite"; readonly filename: string }
  | { readonly _tag: "Files"; readonly directory: string }
  | { readonly _tag: "Postgres"; readonly host: string; readonly password: string }
  | { readonly _tag: "Redis"; readonly path: string }

/** A place that forgets holders of a lease who died sooner than they said; its own clock tells when. */
export const forgetful = <E>(
  place: Layer.Layer<SessionStorage, E>,
  life: Duration.Input
): Layer.Layer<SessionStorage, E> =>
  Layer.provide(
    Layer.effect(
      SessionStorage,
      Effect.map(SessionStorage, (storage) => ({
        ...storage,
        acquire: (key: SessionKey, holder: string) => storage.acquire(key, holder, Duration.fromInputUnsafe(life))
      }))
    ),
    place
  )

export const layer = (place: Place): Layer.Layer<SessionStorage, unknown> => {
  switch (place._tag) {
    case "Sqlite":
      return Layer.provide(SqlSessionStorage.layer, SqliteClient.layer({ filename: place.filename }))
    case "Files":
      return FileSessionStorage.layer({ directory: place.directory })
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
