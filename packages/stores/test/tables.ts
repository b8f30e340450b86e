/** The tables of a SQL storage, as somebody else may change them. */
import { TokenStore } from "@effect-realm/client"
import { SessionStorage } from "@effect-realm/client/SessionStorage"
import { assert, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { SqlClient } from "effect/sql/SqlClient"
import * as Spans from "../../client/test/support/spans.ts"
import * as TokenStoreContract from "../../client/test/TokenStore.contract.ts"

/** Sets the database back to when it had no session at all. */
export const empty = Effect.gen(function*() {
  const sql = yield* SqlClient
  yield* sql`DELETE FROM effect_realm_sessions`
  yield* sql`DELETE FROM effect_realm_log`
  yield* sql`DELETE FROM effect_realm_apps`
}).pipe((emptied) => Effect.flatMap(SqlClient, (sql) => sql.withTransaction(emptied)))

/** Registers the law for a SQL storage. */
export const readsOnce = <E>(layer: Layer.Layer<SessionStorage, E>): void => {
  it.live("is read in one round trip, which takes no lock and writes nothing", () =>
    Effect.gen(function*() {
      const { spans, traced } = Spans.recorder()
      const key = { appId: "read once", userId: "ann" }
      yield* TokenStoreContract.changes.logIn(key)
      yield* traced(TokenStore.TokenStore.use((store) => store.get(key)))
      const statements = spans.map((span) => String(span.attributes.get("db.query.text")))
      assert.lengthOf(statements, 1)
      assert.match(statements[0]!, /^\s*SELECT/)
      assert.notMatch(statements[0]!, /FOR (NO KEY )?(UPDATE|SHARE)/)
    }).pipe(Effect.provide(Layer.provide(TokenStore.layerStorage, layer))))
}

/** Registers the law for a SQL storage and the client that it is over. */
export const outlivesNoClock = <E, E2>(
  layer: Layer.Layer<SessionStorage, E>,
  client: Layer.Layer<SqlClient, E2>
): void => {
  it.live("waits for no lease that was given before the clock of the database was set back", () =>
    Effect.gen(function*() {
      const storage = yield* SessionStorage
      const key = { appId: "set back", userId: "ann" }
      const life = Duration.seconds(10)
      assert.isTrue(yield* storage.acquire(key, "dead", life))
      assert.isFalse(yield* storage.acquire(key, "heir", life))
      const later = SqlClient.use((sql) =>
        sql`UPDATE effect_realm_leases SET ends_at = ends_at + 7200000 WHERE app_id LIKE 'set%'`
      )
      yield* Effect.provide(later, client)
      assert.isTrue(yield* storage.acquire(key, "heir", life))
      assert.isFalse(yield* storage.acquire(key, "dead", life))
    }).pipe(Effect.provide(layer)))
}

/** Registers the law for a SQL storage and the client that it is over. */
export const forgetsNoDeparture = <E, E2>(
  layer: Layer.Layer<SessionStorage, E>,
  client: Layer.Layer<SqlClient, E2>
): void => {
  it.live("refuses a log-in whose user left also when the clock of the database is set forward meanwhile", () =>
    Effect.gen(function*() {
      const store = yield* TokenStore.TokenStore
      const key = { appId: "set forward", userId: "ann" }
      const since = yield* store.arrival(key.appId)
      yield* store.depart(key)
      const earlier = SqlClient.use((sql) =>
        sql`UPDATE effect_realm_departures SET departed_at = departed_at - 7200000 WHERE app_id LIKE 'set%'`
      )
      yield* Effect.provide(earlier, client)
      yield* store.depart({ ...key, userId: "bob" })
      const outcome = yield* store.commit(key, {
        expected: 0,
        session: Option.some(TokenStoreContract.session(key)),
        event: { _tag: "LoggedIn", providerType: "local-userpass" },
        makeCurrent: true,
        since
      })
      assert.strictEqual(outcome._tag, "Left")
    }).pipe(Effect.provide(Layer.provide(TokenStore.layerStorage, layer))))
}
