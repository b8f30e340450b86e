import { type Session, TokenStore } from "@effect-realm/client"
import type { TokenStoreError } from "@effect-realm/client/ClientError"
import type { SessionStorage } from "@effect-realm/client/SessionStorage"
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import * as SessionStorageContract from "../../client/test/SessionStorage.contract.ts"
import * as TokenStoreContract from "../../client/test/TokenStore.contract.ts"
import * as SqliteClient from "../src/SqliteClient.ts"
import * as SqlSessionStorage from "../src/SqlSessionStorage.ts"
import { setBack } from "./setBack.ts"
import * as Tables from "./tables.ts"

// In memory where there is such a folder: each commit waits for the disk.
const directory = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "effect-realm-sql-"))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

let files = 0
const file = () => join(directory, `${files++}.sqlite`)
const shared = file()

const layerSqlite = (filename: string) => Layer.provide(SqlSessionStorage.layer, SqliteClient.layer({ filename }))

const tokensOf = ({ tokens }: Session.Session) => tokens && Redacted.value(tokens.accessToken)

/** What a storage over a client that cannot be used fails with, as soon as it is made. */
const refusal = (layer: Layer.Layer<SessionStorage, TokenStoreError | SqlError>) =>
  Effect.map(Effect.flip(Effect.scoped(Layer.build(layer))), ({ reason }) => reason)

SessionStorageContract.contract("SQLite", Layer.suspend(() => layerSqlite(shared)))
TokenStoreContract.contract(
  "SQLite",
  Layer.provide(TokenStore.layerStorage, Layer.suspend(() => layerSqlite(file()))),
  { runs: 10 }
)

TokenStoreContract.ownPlace("SQLite", () => Layer.provide(TokenStore.layerStorage, layerSqlite(file())))

describe("SqlSessionStorage over SQLite", () => {
  const own = SqliteClient.layer({ filename: file() })
  Tables.readsOnce(Layer.provide(SqlSessionStorage.layer, SqliteClient.layer({ filename: file() })))
  setBack(Layer.provide(SqlSessionStorage.layer, own), Effect.provide(Tables.empty, own))
  const leased = SqliteClient.layer({ filename: file() })
  Tables.outlivesNoClock(Layer.provide(SqlSessionStorage.layer, leased), leased)
  Tables.forgetsNoDeparture(Layer.provide(SqlSessionStorage.layer, leased), leased)

  it.live("keeps its file, and the files beside it, from everyone but the owner", () =>
    Effect.gen(function*() {
      const filename = file()
      yield* Effect.scoped(Effect.gen(function*() {
        yield* Layer.build(layerSqlite(filename))
        for (const suffix of ["", "-wal", "-shm"]) {
          assert.strictEqual(statSync(filename + suffix).mode & 0o777, 0o600, suffix)
        }
      }))
    }))

  it.live("fails typed in a transaction of its own client, with what to do, and is there before and after it", () =>
    Effect.gen(function*() {
      const ann = { appId: "shop-abcde", userId: "ann" }
      const sql = yield* SqlClient
      yield* TokenStoreContract.changes.logIn(ann)
      const error = yield* Effect.flip(sql.withTransaction(TokenStoreContract.changes.logOut(ann)))
      assert.isTrue(error._tag === "TokenStoreError" && error.reason._tag === "Misconfigured")
      assert.include(error.message, "before it or after it")
      assert.isTrue(Option.isSome(yield* TokenStoreContract.changes.logOut(ann)))
    }).pipe(Effect.provide(
      Layer.provideMerge(
        Layer.provide(TokenStore.layerStorage, SqlSessionStorage.layer),
        SqliteClient.layer({ filename: file() })
      )
    )))

  it.live("waits for another program that writes, fails typed when that takes too long, and goes on after it", () =>
    Effect.gen(function*() {
      const filename = file()
      const open = (busyTimeout: Duration.Input) =>
        Effect.map(
          Layer.build(Layer.fresh(TokenStore.layerStorage.pipe(
            Layer.provide(SqlSessionStorage.layer),
            Layer.provide(SqliteClient.layer({ filename, busyTimeout }))
          ))),
          (context) => <A, E>(effect: Effect.Effect<A, E, TokenStore.TokenStore>) =>
            Effect.provideContext(effect, context)
        )
      const [patient, impatient] = [yield* open("1 minute"), yield* open("20 millis")]
      const ann = { appId: "shop", userId: "ann" }
      yield* patient(TokenStoreContract.changes.logIn(ann))
      const other = yield* Effect.acquireRelease(
        Effect.sync(() => new DatabaseSync(filename)),
        (other) => Effect.sync(() => other.close())
      )
      other.exec("BEGIN IMMEDIATE")
      const refused = yield* Effect.flip(impatient(TokenStoreContract.changes.logOut(ann)))
      assert.strictEqual(refused.reason._tag, "Unavailable")
      assert.include(refused.message, "database is locked")
      const logOut = yield* Effect.forkChild(patient(TokenStoreContract.changes.logOut(ann)))
      // Who reads waits for nobody.
      const found = yield* impatient(TokenStore.TokenStore.use((store) => store.get(ann)))
      assert.isTrue(Option.exists(found, (session) => session.tokens !== undefined))
      assert.isUndefined(logOut.pollUnsafe())
      other.exec("ROLLBACK")
      assert.isTrue(Option.isSome(yield* Fiber.join(logOut)))
      assert.strictEqual(yield* impatient(TokenStoreContract.generation(ann)), 2)
    }).pipe(Effect.scoped))

  it.live("is made by processes that start together, once", () =>
    Effect.gen(function*() {
      const filename = file()
      yield* Effect.forEach(Array.from({ length: 8 }), () => Layer.build(Layer.fresh(layerSqlite(filename))), {
        concurrency: "unbounded"
      })
    }).pipe(Effect.scoped))

  it.live("leaves tables of a newer version alone, and says so", () =>
    Effect.gen(function*() {
      const filename = file()
      const layer = SqliteClient.layer({ filename })
      yield* Effect.scoped(Layer.build(layerSqlite(filename)))
      yield* Effect.provide(
        SqlClient.use((sql) => sql`INSERT INTO effect_realm_migrations (migration_id, name) VALUES (7, 'of tomorrow')`),
        layer
      )
      assert.deepStrictEqual(yield* refusal(layerSqlite(filename)), {
        _tag: "NewerVersion",
        key: "effect_realm_migrations",
        version: 7
      })
    }))

  it.live("overwrites nothing when the disk is full, says so, and goes on when there is room", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient
      const store = yield* TokenStore.TokenStore
      const key = { appId: "shop", userId: "ann" }
      yield* TokenStoreContract.changes.logIn(key)
      const before = yield* store.get(key)
      const [pages] = yield* sql<{ readonly page_count: number }>`PRAGMA page_count`
      yield* sql`PRAGMA max_page_count = ${sql.literal(String(pages!.page_count))}`
      const error = yield* Effect.flip(TokenStoreContract.changes.refresh(key, "x".repeat(100_000)))
      assert.strictEqual(
        error.message,
        "The token store failed: the database says: database or disk is full. " +
          "Check the storage behind it, then try again."
      )
      assert.deepStrictEqual(Option.map(yield* store.get(key), tokensOf), Option.map(before, tokensOf))
      yield* sql`PRAGMA max_page_count = 1000000`
      assert.isTrue(Option.isSome(yield* TokenStoreContract.changes.refresh(key, "x".repeat(100_000))))
    }).pipe(
      Effect.provide(Layer.suspend(() =>
        Layer.provideMerge(
          Layer.provide(TokenStore.layerStorage, SqlSessionStorage.layer),
          SqliteClient.layer({ filename: file() })
        )
      ))
    ))

  it.live("leaves tables of somebody else alone that have the same name, and says so", () =>
    Effect.gen(function*() {
      const filename = file()
      const foreign = Layer.build(SqliteClient.layer({ filename }))
      const sql = Context.get(yield* foreign, SqlClient)
      yield* sql`CREATE TABLE effect_realm_sessions (id integer, note text)`
      yield* sql`INSERT INTO effect_realm_sessions VALUES (1, 'mine')`
      const reason = yield* refusal(layerSqlite(filename))
      assert.strictEqual(reason._tag, "Unavailable")
      assert.include(
        reason._tag === "Unavailable" && reason.detail,
        "could not be made: table effect_realm_sessions already exists"
      )
      assert.deepStrictEqual({ ...(yield* sql`SELECT * FROM effect_realm_sessions`)[0] }, { id: 1, note: "mine" })
    }).pipe(Effect.scoped))

  it.live("fails typed when the file is no database or its folder is not there, and changes nothing", () =>
    Effect.gen(function*() {
      const filename = file()
      writeFileSync(filename, "a letter to a friend, which is no database at all")
      for (const name of [filename, join(directory, "nowhere", "sessions.sqlite")]) {
        const error = yield* Effect.flip(Effect.scoped(Layer.build(layerSqlite(name))))
        assert.strictEqual(error._tag, "SqlError")
      }
      assert.strictEqual(readFileSync(filename, "utf8"), "a letter to a friend, which is no database at all")
    }))
})
