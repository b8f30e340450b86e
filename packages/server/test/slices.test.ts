import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Slices } from "../src/internal/engine/slices.ts"
import type { Work } from "../src/internal/engine/work.ts"

/** Work without an end; `count` is told of each of its places, between which something is done. */
function* endless(count: () => void): Work<never> {
  while (true) {
    count()
    const until = performance.now() + 0.1
    while (performance.now() < until) continue
    yield
  }
}

describe("slices", () => {
  it.live("all that begins in one turn has one first slice together", () =>
    Effect.gen(function*() {
      const slices = new Slices(4)
      const counts = yield* Effect.forEach(
        Array.from({ length: 50 }),
        () =>
          Effect.sync(() => {
            let count = 0
            slices.advance(endless(() => count++))
            return count
          })
      )
      // each of the others gets as far as the first look at the clock
      assert.isAtLeast(counts.filter((count) => count === 4).length, 45)
      yield* Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void)))
      let next = 0
      slices.advance(endless(() => next++))
      assert.isAbove(next, 4)
    }))
})
