import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Bench, Sizes } from "../src/index.ts"

describe("every part of the bench still measures what it says", () => {
  // Real sockets and processes are measured, so the clock is the real one; no figure is judged.
  it.live.each(Object.keys(Bench.parts))("%s", (name) =>
    Effect.gen(function*() {
      const rows = yield* Bench.run(name, Sizes.tiny)
      assert.isAbove(rows.length, 0)
      for (const { measured, ours, peers } of rows) {
        assert.isAbove(peers.length, 0, measured)
        for (const { name, samples } of [ours, ...peers]) {
          assert.lengthOf(samples, ours.samples.length, `${measured}: ${name}`)
          for (const sample of samples) assert.isTrue(Number.isFinite(sample), `${measured}: ${name}`)
        }
      }
    }), 60_000)
})
