import { TokenStore } from "@effect-realm/client"
import type { TokenStoreError } from "@effect-realm/client/ClientError"
import type { SessionStorage } from "@effect-realm/client/SessionStorage"
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
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

/** What a storage over a client that cannot be used fails with, as soon as it is made. */
const refusal = (layer: Layer.Layer<SessionStorage, TokenStoreError | SqlError>) =>
  Effect.map(Effect.flip(Effect.scoped(Layer.build(layer))), ({ reason }) => reason)

SessionStorageContract.contract("SQLite", Layer.suspend(() => layerSqlite(shared)))
TokenStoreContract.contract(
  "SQLite",
  Layer.provide(TokenStore.layerStorage, Layer.suspend(() => layerSqlite(file()))),
  { runs: 10 }
)

describe("SqlSessionStorage over SQLite", () => {
  const own = SqliteClient.layer({ filename: file() })
  setBack(Layer.provide(SqlSessionStorage.layer, own), Effect.provide(Tables.empty, own))

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
