import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber } from "effect"
import * as SingleFlight from "../src/internal/stores/singleFlight.ts"

const immediately = { startImmediately: true } as const

describe("SingleFlight", () => {
  it.effect("never answers `after` with a run that was made for others, not even one that began later", () =>
    Effect.gen(function*() {
      const flights = SingleFlight.make<string, never>()
      const landing = yield* Deferred.make<void>()
      // Whoever finds that another was faster has nothing to do: such a run says nothing of now.
      const adopt = flights.join("ann", Effect.as(Effect.yieldNow, "old"))
      const first = yield* Effect.forkChild(
        Effect.andThen(flights.join("ann", Effect.as(Deferred.await(landing), "old")), adopt),
        immediately
      )
      yield* Effect.yieldNow
      const asked = yield* Effect.forEach(
        Array.from({ length: 3 }),
        () => Effect.forkChild(flights.after("ann", Effect.as(Effect.yieldNow, "new")), immediately)
      )
      yield* Deferred.succeed(landing, undefined)
      assert.deepStrictEqual(yield* Effect.forEach(asked, Fiber.join), ["new", "new", "new"])
      assert.strictEqual(yield* Fiber.join(first), "old")
    }))

  it.effect("lets all who ask for a run after this moment share one", () =>
    Effect.gen(function*() {
      const flights = SingleFlight.make<number, never>()
      let runs = 0
      const run = Effect.andThen(Effect.yieldNow, Effect.sync(() => ++runs))
      const first = yield* Effect.forkChild(flights.join("ann", run), immediately)
      const asked = yield* Effect.forEach(
        Array.from({ length: 100 }),
        () => flights.after("ann", run),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(yield* Fiber.join(first), 1)
      assert.deepStrictEqual(new Set(asked), new Set([2]))
    }))

  it.effect("ends a run when the last one who waits has gone, and begins anew for the next", () =>
    Effect.gen(function*() {
      const flights = SingleFlight.make<string, never>()
      const run = yield* Deferred.make<void>()
      let ended = false
      const endless = Deferred.succeed(run, undefined).pipe(
        Effect.andThen(Effect.never),
        Effect.onInterrupt(() =>
          Effect.sync(() => {
            ended = true
          })
        )
      )
      const fibers = yield* Effect.forEach(
        Array.from({ length: 3 }),
        () => Effect.forkChild(flights.join("ann", endless), immediately)
      )
      yield* Deferred.await(run)
      for (const fiber of fibers) {
        assert.isFalse(ended)
        yield* Fiber.interrupt(fiber)
      }
      assert.isTrue(ended)
      assert.strictEqual(yield* flights.join("ann", Effect.succeed("again")), "again")
    }))

  it.effect("hands the same failure to all who wait, and forgets it", () =>
    Effect.gen(function*() {
      const flights = SingleFlight.make<string, string>()
      const failing = Effect.andThen(Effect.yieldNow, Effect.fail("broken"))
      const exits = yield* Effect.forEach(
        Array.from({ length: 10 }),
        () => Effect.exit(flights.join("ann", failing)),
        { concurrency: "unbounded" }
      )
      for (const exit of exits) assert.deepStrictEqual(exit, Exit.fail("broken"))
      assert.strictEqual(yield* flights.join("ann", Effect.succeed("mended")), "mended")
    }))
})
