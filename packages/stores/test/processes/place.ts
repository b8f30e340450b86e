/** The places of the tests, as a program opens them that is told of one by its parent. */
import { SessionStorage } from "@effect-realm/client/SessionStorage"
import type { SessionKey } from "@effect-realm/client/TokenStore"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as FileSessionStorage from "../../src/FileSessionStorage.ts"
import * as SqliteClient from "../../src/SqliteClient.ts"
import * as SqlSessionStorage from "../../src/SqlSessionStorage.ts"

export type Place =
  | { readonly _tag: "Sqlite"; readonly filename: string }
  | { readonly _tag: "Files"; readonly directory: string }
  | { readonly _tag: "Postgres"; readonly host: string; readonly password: string }
  | { readonly _tag: "Redis"; readonly path: string }
  | { readonly _tag: "RedisCluster"; readonly ports: ReadonlyArray<number> }

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

/** What a program opens alone is loaded by it alone: a driver may take longer to load than all the rest. */
export const layer = (place: Place): Layer.Layer<SessionStorage, unknown> => {
  switch (place._tag) {
    case "Sqlite":
      return Layer.provide(SqlSessionStorage.layer, SqliteClient.layer({ filename: place.filename }))
    case "Files":
      return FileSessionStorage.layer({ directory: place.directory })
    case "Postgres":
      return Layer.unwrap(Effect.promise(async () => (await import("./postgresPlace.ts")).layer(place)))
    case "Redis":
      return Layer.unwrap(Effect.promise(async () => (await import("./redisPlace.ts")).layer(place)))
    case "RedisCluster":
      return Layer.unwrap(Effect.promise(async () => (await import("./redisPlace.ts")).layerCluster(place)))
  }
}
