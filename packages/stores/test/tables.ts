/** The tables of a SQL storage, as somebody else may change them. */
import { TokenStore } from "@effect-realm/client"
import type { SessionStorage } from "@effect-realm/client/SessionStorage"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
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
