import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import { dirname, join } from "node:path"
import * as FileLock from "../src/internal/fileLock.ts"
import { newDirectory } from "./files.ts"

/** Whether another process can have the lock. */
const isFree = (path: string): boolean => {
  const program = `
    const { DatabaseSync } = require("node:sqlite")
    try {
      new DatabaseSync(${JSON.stringify(path)}).exec("BEGIN EXCLUSIVE")
      console.log("free")
    } catch (error) {
      console.log(error.message)
    }`
  const said = execFileSync(process.execPath, ["--disable-warning=ExperimentalWarning", "-e", program], {
    encoding: "utf8"
  })
  if (said.trim() !== "free") assert.strictEqual(said.trim(), "database is locked")
  return said.trim() === "free"
}

const newLock = Effect.gen(function*() {
  const path = join(newDirectory(), "app", "lock")
  const scope = yield* Effect.scope
  return { path, scope, open: () => FileLock.make(path, scope) }
})

describe("A lock of files", () => {
  it.live("is nobody else's while it is held, also when another store of the same process opens it", () =>
    Effect.gen(function*() {
      const { open, path, scope } = yield* newLock
      const [first, second] = [open(), open()]
      let isHeld = false
      const waiting = yield* first.hold(Effect.gen(function*() {
        isHeld = true
        const waiting = yield* Effect.forkIn(second.hold(Effect.sync(() => assert.isFalse(isHeld))), scope)
        yield* Effect.sleep("20 millis")
        assert.isFalse(isFree(path))
        isHeld = false
        return waiting
      }))
      yield* Fiber.join(waiting)
      assert.isTrue(isFree(path))
    }).pipe(Effect.scoped))

  it.live("is that of the file that is there now, when the one of before was deleted with its directory", () =>
    Effect.gen(function*() {
      const { open, path } = yield* newLock
      const [first, second] = [open(), open()]
      yield* first.hold(Effect.void)
      for (const remove of [() => Fs.rmSync(path), () => Fs.rmSync(dirname(path), { recursive: true })]) {
        remove()
        const held = yield* Deferred.make<void>()
        let isHeld = true
        const holder = yield* Effect.forkScoped(second.hold(
          Effect.andThen(
            Deferred.succeed(held, undefined),
            Effect.delay(Effect.sync(() => isHeld = false), "20 millis")
          )
        ))
        yield* Deferred.await(held)
        yield* first.hold(Effect.sync(() => assert.isFalse(isHeld)))
        assert.isFalse(yield* first.hold(Effect.sync(() => isFree(path))))
        yield* Fiber.join(holder)
      }
    }).pipe(Effect.scoped))
})
