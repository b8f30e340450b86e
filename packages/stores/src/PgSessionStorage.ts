/**
 * Sessions in a PostgreSQL database that processes share: like `SqlSessionStorage`, but told of changes by the database
 * (`LISTEN` and `NOTIFY`) instead of asking for them. Needs `@effect/sql-pg`.
 */
import type { TokenStoreError } from "@effect-realm/client/ClientError"
import { SessionStorage } from "@effect-realm/client/SessionStorage"
import { PgClient } from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { SqlClient } from "effect/sql/SqlClient"
import { listening } from "./internal/doorbell.ts"
import { unavailable } from "./internal/failure.ts"
import * as Identifier from "./internal/identifier.ts"
import * as SqlSessionStorage from "./SqlSessionStorage.ts"

// -----------------------------------------------------------------------------
// Constructors
// -----------------------------------------------------------------------------

const channel = "effect_realm_sessions"

const make = Effect.gen(function*() {
  const client = yield* PgClient
  return yield* SqlSessionStorage.make({
    news: yield* listening(
      client.listen(channel),
      ({ payload }) => Identifier.read(payload),
      unavailable("the database tells of no changes")
    ),
    notify: (sql, appId) => sql`pg_notify(${channel}, ${appId})`
  })
})

// -----------------------------------------------------------------------------
// Layers
// -----------------------------------------------------------------------------

/**
 * Sessions in the database of the `PgClient` that is there. While somebody listens, one of its connections is reserved
 * for being told. When that is lost it is made anew, and what happened meanwhile is read from the log.
 *
 * ```ts no-run
 * import { App, TokenStore } from "@effect-realm/client"
 * import * as PgSessionStorage from "@effect-realm/stores/PgSessionStorage"
 * import * as PgClient from "@effect/sql-pg/PgClient"
 * import { Config, Effect, Layer } from "effect"
 *
 * const app = App.make({ id: "shop-abcde", baseUrl: "http://localhost:9090" })
 * const layer = TokenStore.layerStorage.pipe(
 *   Layer.provide(PgSessionStorage.layer),
 *   Layer.provide(PgClient.layerConfig({ url: Config.Redacted("DATABASE_URL") }))
 * )
 * await Effect.runPromise(Effect.provide(App.allUsers(app), layer))
 * ```
 */
export const layer: Layer.Layer<SessionStorage, TokenStoreError, PgClient | SqlClient> = Layer.fresh(
  // One for each that it is provided with.
  Layer.effect(SessionStorage, make)
)
