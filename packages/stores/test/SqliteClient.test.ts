import { TokenStore } from "@effect-realm/client"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { SqlClient } from "effect/sql/SqlClient"
import { mkdirSync, renameSync, rmSync } from "node:fs"
import { join } from "node:path"
import { changes } from "../../client/test/TokenStore.contract.ts"
import * as SqliteClient from "../src/SqliteClient.ts"
import * as SqlSessionStorage from "../src/SqlSessionStorage.ts"
import { ann, newDirectory } from "./files.ts"

const newFile = (): string => {
  const directory = newDirectory()
  mkdirSync(directory)
  return join(directory, "sessions.sqlite")
}

/** A program with the file open. */
const open = (filename: string) => {
  const client = SqliteClient.layer({ filename })
  const sessions = Layer.provide(TokenStore.layerStorage, SqlSessionStorage.layer)
  return Effect.map(Layer.build(Layer.fresh(Layer.provideMerge(sessions, client))), (context) => ({
    sql: Context.get(context, SqlClient),
    store: Context.get(context, TokenStore.TokenStore),
    run: <A, E>(effect: Effect.Effect<A, E, TokenStore.TokenStore>) => Effect.provideContext(effect, context)
  }))
}

const removals = {
  deleted: (filename: string) => {
    for (const suffix of ["", "-wal", "-shm"]) rmSync(filename + suffix)
  },
  moved: (filename: string) => {
    for (const suffix of ["", "-wal", "-shm"]) renameSync(filename + suffix, `${filename}.away${suffix}`)
  }
} as const

describe("A client of a SQLite file", () => {
  for (const [how, remove] of Object.entries(removals)) {
    it.live(`does nothing any more in a file that was ${how}, also when there is another one by now`, () =>
      Effect.gen(function*() {
        const filename = newFile()
        const first = yield* open(filename)
        yield* first.run(changes.logIn(ann))
        remove(filename)
        const refused = Effect.gen(function*() {
          const error = yield* Effect.flip(first.store.get(ann))
          assert.strictEqual(error.reason._tag, "Unavailable")
          assert.include(error.message, `the file ${filename} was deleted, moved or replaced while it was open`)
          // No log-out is confirmed of which others would not hear.
          assert.strictEqual((yield* Effect.flip(first.store.depart(ann))).reason._tag, "Unavailable")
          assert.strictEqual((yield* Effect.flip(first.run(changes.logOut(ann)))).reason._tag, "Unavailable")
        })
        yield* refused
        const second = yield* open(filename)
        assert.deepStrictEqual(yield* second.store.get(ann), Option.none())
        yield* second.run(changes.logIn(ann))
        yield* refused
        const third = yield* open(filename)
        assert.isTrue(Option.isSome(yield* third.store.get(ann)))
      }).pipe(Effect.scoped))
  }

  it.live("goes on when its file was put back", () =>
    Effect.gen(function*() {
      const filename = newFile()
      const { run, store } = yield* open(filename)
      yield* run(changes.logIn(ann))
      renameSync(filename, `${filename}.away`)
      assert.strictEqual((yield* Effect.flip(store.get(ann))).reason._tag, "Unavailable")
      renameSync(`${filename}.away`, filename)
      assert.isTrue(Option.isSome(yield* run(changes.logOut(ann))))
    }).pipe(Effect.scoped))

  it.live("answers the values of all columns, also of two that are called alike", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient
      assert.deepStrictEqual(yield* sql`SELECT 1 AS a, 'two' AS a, NULL AS b`.values, [[1, "two", null]])
      assert.deepStrictEqual(yield* sql`SELECT 1 AS a, 2 AS b`, [{ a: 1, b: 2 }])
    }).pipe(Effect.provide(SqliteClient.layer({ filename: ":memory:" }))))
})
