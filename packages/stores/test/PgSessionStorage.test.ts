import { TokenStore } from "@effect-realm/client"
import * as PgClient from "@effect/sql-pg/PgClient"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import { SqlClient } from "effect/sql/SqlClient"
import { camelToSnake, snakeToCamel } from "effect/String"
import { randomBytes } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { inspect } from "node:util"
import * as SessionStorageContract from "../../client/test/SessionStorage.contract.ts"
import * as TokenStoreContract from "../../client/test/TokenStore.contract.ts"
import * as PgSessionStorage from "../src/PgSessionStorage.ts"
import * as SqlSessionStorage from "../src/SqlSessionStorage.ts"
import * as Gate from "./gate.ts"
import { outage } from "./outage.ts"
import * as Postgres from "./postgres.ts"
import { setBack } from "./setBack.ts"
import * as Tables from "./tables.ts"

const at = (config: PgClient.PgPoolConfig) => Layer.provide(PgSessionStorage.layer, PgClient.layer(config))

// What a file of its own log needs.
const mostBytes = 16 * 1024 * 1024

describe.skipIf(!Postgres.isInstalled)("PgSessionStorage", () => {
  const scope = Scope.makeUnsafe()
  let instance: Postgres.Postgres
  beforeAll(async () => {
    instance = await Effect.runPromise(Scope.provide(Postgres.makeWith({ mostBytes }), scope))
    await Effect.runPromise(Effect.provide(SqlClient.use((sql) => sql`CREATE DATABASE own`), client))
  })
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

  const client = Layer.suspend(() => PgClient.layer(instance.config))
  let databases = 0
  const newDatabase = Layer.unwrap(Effect.gen(function*() {
    const database = `test${databases++}`
    yield* Effect.provide(SqlClient.use((sql) => sql`CREATE DATABASE ${sql(database)}`), client)
    // By the clock of a test, which may go on by minutes while a connection is made: all are made at the beginning.
    const connections = { minConnections: 4, maxConnections: 4, connectTimeout: "1 hour" } as const
    return PgClient.layer({ ...instance.config, ...connections, database })
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

  TokenStoreContract.ownPlace(
    "PostgreSQL",
    () => Layer.provide(TokenStore.layerStorage, Layer.provide(PgSessionStorage.layer, Layer.fresh(newDatabase)))
  )

  const own = Layer.suspend(() => PgClient.layer({ ...instance.config, database: "own" }))
  Tables.readsOnce(layerPg)
  Tables.outlivesNoClock(layerPg, client)
  Tables.forgetsNoDeparture(layerPg, client)
  setBack(Layer.provide(PgSessionStorage.layer, own), Effect.provide(Tables.empty, own))

  outage(
    "the network to PostgreSQL is cut",
    Effect.gen(function*() {
      const directory = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-realm-gate-"))),
        (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
      )
      const { open, shut } = yield* Gate.make(
        join(directory, ".s.PGSQL.5432"),
        join(instance.config.host!, ".s.PGSQL.5432")
      )
      return { place: at({ ...instance.config, host: directory }), begin: shut, end: open }
    })
  )

  it.live("is no part of a transaction that a caller takes back, nor has others wait for its end", () =>
    Effect.gen(function*() {
      const users = TokenStore.TokenStore.use((store) => store.users("shop-abcde"))
      const sessions = Layer.provide(TokenStore.layerStorage, PgSessionStorage.layer)
      yield* Effect.gen(function*() {
        const sql = yield* SqlClient
        const ann = { appId: "shop-abcde", userId: "ann" }
        yield* TokenStoreContract.changes.logIn(ann)
        const takenBack = Effect.gen(function*() {
          yield* sql`CREATE TABLE orders (id bigint)`
          yield* TokenStoreContract.changes.logOut(ann)
          yield* TokenStoreContract.changes.logIn({ ...ann, userId: "bob" })
          assert.deepStrictEqual(yield* Effect.provide(users, Layer.fresh(sessions)), ["ann", "bob"])
          return yield* Effect.fail("taken back" as const)
        })
        assert.strictEqual(yield* Effect.flip(sql.withTransaction(takenBack)), "taken back")
        assert.deepStrictEqual((yield* sql`SELECT to_regclass('orders') AS found`)[0], { found: null })
        assert.deepStrictEqual(yield* users, ["ann", "bob"])
        const found = yield* TokenStore.TokenStore.use((store) => store.get(ann))
        assert.isTrue(Option.isSome(found) && found.value.tokens === undefined)
      }).pipe(Effect.provide(Layer.provideMerge(sessions, newDatabase)))
    }))

  it.live("overwrites nothing when PostgreSQL has no room for it, says so, and goes on with what fits", () =>
    Effect.gen(function*() {
      const { users } = yield* TokenStore.TokenStore
      const { logIn, refresh } = TokenStoreContract.changes
      const ann = { appId: "shop-abcde", userId: "ann" }
      const bob = { appId: "shop-abcde", userId: "bob" }
      yield* logIn(ann)
      const generation = TokenStoreContract.generation(ann)
      const before = yield* generation
      // Random, for PostgreSQL compresses what it can, and in a record five times: there is room for one of them.
      const large = randomBytes(mostBytes / 12).toString("base64")
      yield* logIn({ ...ann, appId: "another" }, large)
      for (const commit of [refresh(ann, large), logIn(bob, large)]) {
        const error = yield* Effect.flip(commit)
        assert.strictEqual(error.reason._tag, "Unavailable")
        assert.include(error.message, "The token store failed: the database says: could not extend file")
      }
      assert.deepStrictEqual(yield* users("shop-abcde"), ["ann"])
      assert.strictEqual(yield* generation, before)
      assert.isTrue(Option.isSome(yield* refresh(ann)))
      assert.isTrue(Option.isSome(yield* logIn(bob)))
    }).pipe(Effect.provide(Layer.provide(TokenStore.layerStorage, Layer.provide(PgSessionStorage.layer, newDatabase)))))

  it.live("writes no session that it could not read any more: it fails typed, and all others go on", () =>
    Effect.gen(function*() {
      const { get, users } = yield* TokenStore.TokenStore
      const { logIn } = TokenStoreContract.changes
      const ann = { appId: "shop-abcde", userId: "ann" }
      const bob = { appId: "shop-abcde", userId: "bob" }
      // In a record it is there five times.
      yield* logIn(ann, "x".repeat(3_100_000))
      const error = yield* Effect.flip(logIn(bob, "x".repeat(3_400_000)))
      assert.strictEqual(error.reason._tag, "TooLarge")
      assert.deepStrictEqual(yield* users("shop-abcde"), ["ann"])
      assert.isTrue(Option.isSome(yield* get(ann)))
      assert.isTrue(Option.isSome(yield* logIn(bob)))
    }).pipe(Effect.provide(Layer.provide(TokenStore.layerStorage, Layer.provide(PgSessionStorage.layer, newDatabase)))))

  it.live("is written to by many at once also where transactions are serializable when nothing is said", () =>
    Effect.gen(function*() {
      const { users } = yield* TokenStore.TokenStore
      const names = Array.from({ length: 30 }, (_, index) => `user ${index}`)
      yield* Effect.forEach(
        names,
        (userId) => TokenStoreContract.changes.logIn({ appId: "shop-abcde", userId }),
        { concurrency: "unbounded" }
      )
      assert.sameMembers(yield* users("shop-abcde"), names)
    }).pipe(Effect.provide(Layer.provide(
      TokenStore.layerStorage,
      Layer.unwrap(Effect.gen(function*() {
        const sql = yield* SqlClient
        yield* sql`CREATE DATABASE strict`
        yield* sql`ALTER DATABASE strict SET default_transaction_isolation = 'serializable'`
        return at({ ...instance.config, database: "strict" })
      })).pipe(Layer.provide(client))
    ))))

  it.live("is made by processes that start together, once", () =>
    Effect.gen(function*() {
      yield* Effect.provide(SqlClient.use((sql) => sql`CREATE DATABASE together`), client)
      const layer = at({ ...instance.config, database: "together", maxConnections: 2 })
      yield* Effect.forEach(Array.from({ length: 8 }), () => Layer.build(Layer.fresh(layer)), {
        concurrency: "unbounded"
      })
    }).pipe(Effect.scoped))

  it.live("reads its columns also for a program that calls those of its own otherwise", () =>
    Effect.gen(function*() {
      const ann = { appId: "shop-abcde", userId: "ann" }
      assert.isTrue(Option.isSome(yield* TokenStoreContract.changes.logIn(ann, "1", { deviceId: "d1" })))
      assert.isTrue(Option.isSome(yield* TokenStoreContract.changes.refresh(ann, "2")))
      const store = yield* TokenStore.TokenStore
      assert.deepStrictEqual((yield* store.app("shop-abcde")).deviceId, Option.some("d1"))
      assert.deepStrictEqual(yield* store.users("shop-abcde"), ["ann"])
    }).pipe(Effect.provide(
      Layer.provide(
        TokenStore.layerStorage,
        at({
          ...instance.config,
          database: "own",
          transformResultNames: snakeToCamel,
          transformQueryNames: camelToSnake
        })
      )
    )))

  it.live("says what PostgreSQL says when it lets nobody in, or is not there", () =>
    Effect.gen(function*() {
      const refused = {
        "password authentication failed for user \"tester\"": { password: Redacted.make("guessed") },
        "password authentication failed for user \"stranger\"": { username: "stranger" },
        "database \"nowhere\" does not exist": { database: "nowhere" },
        "connect ENOENT /nowhere/.s.PGSQL.5432": { host: "/nowhere" },
        "connect ECONNREFUSED": { host: "localhost", port: 1 }
      }
      for (const [words, wrong] of Object.entries(refused)) {
        const error = yield* Effect.flip(Effect.scoped(Layer.build(at({ ...instance.config, ...wrong }))))
        assert.isTrue(error._tag === "TokenStoreError" && error.reason._tag === "Unavailable")
        assert.include(error.message, words)
        assert.include(error.message, "Check the storage behind it, then try again.")
        assert.notInclude(inspect(error, { depth: 10 }), "guessed")
      }
    }))
})

describe.skipIf(!Postgres.isInstalled)("PgSessionStorage", () => {
  outage(
    "PostgreSQL has crashed",
    Effect.map(Postgres.make, ({ config, start, stop }) => ({
      place: at(config),
      begin: stop,
      end: start
    }))
  )

  outage(
    "PostgreSQL hangs",
    Effect.map(Postgres.make, ({ config, pause, resume }) => ({
      place: at(config),
      begin: pause,
      end: resume,
      lasts: "10 seconds"
    }))
  )
})
