import * as PgClient from "@effect/sql-pg/PgClient"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as PgSessionStorage from "../../src/PgSessionStorage.ts"

export const layer = ({ host, password }: { readonly host: string; readonly password: string }) =>
  Layer.provide(
    PgSessionStorage.layer,
    PgClient.layer({
      host,
      database: "postgres",
      username: "tester",
      password: Redacted.make(password),
      maxConnections: 3
    })
  )
