import { TokenStore } from "@effect-realm/client"
import * as PgClient from "@effect/sql-pg/PgClient"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import { SqlClient } from "effect/sql/SqlClient"
import * as Stream from "effect/Stream"
import * as SessionStorageContract from "../../client/test/SessionStorage.contract.ts"
import * as TokenStoreContract from "../../client/test/TokenStore.contract.ts"
import * as PgSessionStorage from "../src/PgSessionStorage.ts"
import * as SqlSessionStorage from "../src/SqlSessionStorage.ts"
import * as Postgres from "./postgres.ts"

describe.skipIf(!Postgres.isInstalled)("PgSessionStorage", () => {
  const scope = Scope.makeUnsafe()
  let instance: Postgres.Postgres
  beforeAll(async () => {
    instance = await Effect.runPromise(Scope.provide(Postgres.make, scope))
  })
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

  const client = Layer.suspend(() => PgClient.layer(instance.config))
  let databases = 0
  const newDatabase = Layer.unwrap(Effect.gen(function*() {
    const database = `test${databases++}`
    yield* Effect.provide(SqlClient.use((sql) => sql`CREATE DATABASE ${sql(database)}`), client)
    return PgClient.layer({ ...instance.config, database })
  }))
  const layerPg = Layer.provide(PgSessionStorage.layer, client)
  const layerPolling = Layer.provide(SqlSessionStorage.layer, client)

  SessionStorageContract.contract("PostgreSQL", layerPg)
  SessionStorageContract.contract("PostgreSQL without notifications", layerPolling)
  TokenStoreContract.contract(
    "PostgreSQL",
    Layer.provide(TokenStore.layerStorage, Layer.provide(PgSessionStorage.layer, newDatabase)),
    { runs: 5 }
  )

  it.live("fails typed when the password is wrong or nobody answers", () =>
    Effect.gen(function*() {
      for (const wrong of [{ password: Redacted.make("wrong") }, { host: "/nowhere" }]) {
        const layer = Layer.provide(PgSessionStorage.layer, PgClient.layer({ ...instance.config, ...wrong }))
        const error = yield* Effect.flip(Effect.scoped(Layer.build(layer)))
        assert.include(["SqlError", "TokenStoreError"], error._tag)
        assert.notInclude(String(error), "wrong")
      }
    }))
})

describe.skipIf(!Postgres.isInstalled)("A PostgreSQL that crashes", () => {
  it.live(
    "fails operations typed while it is away, loses nothing, and tells what happened meanwhile",
    () =>
      Effect.gen(function*() {
        const postgres = yield* Postgres.make
        const layer = Layer.provide(PgSessionStorage.layer, PgClient.layer(postgres.config))
        const open = Effect.map(
          Layer.build(Layer.fresh(Layer.provide(TokenStore.layerStorage, layer))),
          (context) => Context.get(context, TokenStore.TokenStore)
        )
        const [listener, writer] = [yield* open, yield* open]
        const inWriter = Effect.provideService(TokenStore.TokenStore, writer)
        const key = { appId: "shop", userId: "ann" }
        const told = yield* Queue.unbounded<string>()
        yield* Effect.forkScoped(
          Stream.runForEach(listener.changes(key), (event) => Queue.offer(told, event._tag))
        )
        assert.strictEqual(yield* Queue.take(told), "Snapshot")
        yield* inWriter(TokenStoreContract.changes.logIn(key))
        assert.strictEqual(yield* Queue.take(told), "LoggedIn")

        yield* postgres.stop
        const error = yield* Effect.flip(writer.get(key))
        assert.strictEqual(error.reason._tag, "Unavailable")
        assert.strictEqual((yield* Effect.flip(writer.lease(key, Effect.void))).reason._tag, "Unavailable")
        yield* postgres.start

        // Written before the listener is connected again, or after: told either way, and once.
        const again = Effect.retry(inWriter(TokenStoreContract.changes.refresh(key)), {
          schedule: Schedule.spaced("20 millis")
        })
        yield* again
        assert.strictEqual(yield* Queue.take(told), "AccessTokenRefreshed")
        yield* inWriter(TokenStoreContract.changes.logOut(key))
        assert.strictEqual(yield* Queue.take(told), "LoggedOut")
        assert.strictEqual(yield* Queue.size(told), 0)
      }),
    60_000
  )
})
