import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as SharedLookUp from "../src/internal/sharedLookUp.ts"

/** Counts what is looked up, and how often; waits for `held` before it answers. */
const counted = (held: Effect.Effect<unknown> = Effect.void) =>
  Effect.gen(function*() {
    const begun: Array<number> = []
    const ask = yield* SharedLookUp.make(String, (key: number) =>
      Effect.suspend(() => {
        begun.push(key)
        const count = begun.length
        return Effect.andThen(held, key < 0 ? Effect.fail(`no ${key}`) : Effect.succeed(count))
      }))
    return { begun, ask }
  })

const turn = Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))

describe("A look-up that is shared", () => {
  it.effect("is made once for all who ask in a turn, and another time for who asks after it has begun", () =>
    Effect.gen(function*() {
      const held = yield* Deferred.make<void>()
      const { ask, begun } = yield* counted(Deferred.await(held))
      const asking = yield* Effect.forEach(
        Array.from({ length: 100 }, (_, index) => index % 2),
        (key) => Effect.forkChild(ask(key), { startImmediately: true })
      )
      assert.deepStrictEqual(begun, [])
      yield* turn
      assert.deepStrictEqual(begun, [0, 1])
      const late = yield* Effect.forkChild(ask(0), { startImmediately: true })
      yield* turn
      assert.deepStrictEqual(begun, [0, 1, 0])
      yield* Deferred.succeed(held, undefined)
      assert.deepStrictEqual(new Set(yield* Fiber.joinAll(asking)), new Set([1, 2]))
      assert.strictEqual(yield* Fiber.join(late), 3)
    }))

  it.effect("fails for all who share it, and goes on when the first of them leaves", () =>
    Effect.gen(function*() {
      const { ask, begun } = yield* counted()
      const fork = (key: number) => Effect.forkChild(Effect.flip(ask(key)), { startImmediately: true })
      const [first, second] = [yield* fork(-1), yield* fork(-1)]
      yield* Fiber.interrupt(first)
      assert.strictEqual(yield* Fiber.join(second), "no -1")
      assert.deepStrictEqual(begun, [-1])
    }))
})
