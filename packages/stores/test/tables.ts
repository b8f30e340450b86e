/** The tables of a SQL storage, as somebody else may change them. */
import * as Effect from "effect/Effect"
import { SqlClient } from "effect/sql/SqlClient"

/** Sets the database back to when it had no session at all. */
export const empty = Effect.gen(function*() {
  const sql = yield* SqlClient
  yield* sql`DELETE FROM effect_realm_sessions`
  yield* sql`DELETE FROM effect_realm_log`
  yield* sql`DELETE FROM effect_realm_apps`
}).pipe((emptied) => Effect.flatMap(SqlClient, (sql) => sql.withTransaction(emptied)))
