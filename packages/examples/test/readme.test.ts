import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFile } from "node:child_process"
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { stripTypeScriptTypes } from "node:module"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import * as Shop from "../src/Shop.ts"

const folder = fileURLToPath(new URL("..", import.meta.url))
const readme = fileURLToPath(new URL("../../../README.md", import.meta.url))

/** The first program of the README, pointed at another server. */
const firstProgram = (text: string, baseUrl: string): string => {
  const code = /```ts no-run\n(.*?)```/s.exec(text)?.[1] ?? assert.fail("the README has no first program")
  assert.include(code, "\"http://127.0.0.1:9090\"")
  return stripTypeScriptTypes(code.replace("http://127.0.0.1:9090", baseUrl))
}

describe("the README", () => {
  it.live("has a first program that logs a user in", () =>
    Effect.gen(function*() {
      const { app } = yield* Shop.Shop
      // It has to lie where the packages can be found.
      const directory = yield* Effect.acquireRelease(
        Effect.promise(() => mkdtemp(join(folder, ".readme-"))),
        (path) => Effect.promise(() => rm(path, { recursive: true }))
      )
      const file = join(directory, "first.mjs")
      const text = yield* Effect.promise(() => readFile(readme, "utf8"))
      yield* Effect.promise(() => writeFile(file, firstProgram(text, app.baseUrl)))
      const { stdout } = yield* Effect.promise(() =>
        promisify(execFile)(process.execPath, ["--conditions=effect-realm-source", file])
      )
      assert.match(stdout, /id: '[0-9a-f]{24}'/)
      assert.match(stdout, /email: 'zoe@example\.com'/)
    }).pipe(Effect.provide(Shop.layer())), 30_000)
})
