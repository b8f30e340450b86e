import { assert, describe, it } from "@effect/vitest"
import { Int32 } from "bson"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import { execFile } from "node:child_process"
import { promisify } from "node:util"
import { vi } from "vitest"
import { call, patience, reason, type Sources, withFunctions } from "./support/functions.ts"

vi.setConfig({ testTimeout: patience, hookTimeout: patience })

const runaways: Sources = {
  endless: "exports = () => { for (;;); }",
  endlessLater: "exports = async () => { await new Promise((resolve) => setTimeout(resolve, 1)); for (;;); }",
  endlessMicrotasks: "exports = async () => { for (;;) await null }",
  endlessGetter: "exports = () => ({ get a() { for (;;); } })",
  mayLoop: "exports = (loop) => { while (loop); return 'done' }",
  never: "exports = () => new Promise(() => {})",
  hoardOneArray: "exports = () => { const all = []; for (;;) all.push(1) }",
  hoardBigArrays: "exports = () => { const all = []; for (;;) all.push(new Array(1e6).fill(1.5)) }",
  hoardKeys: "exports = () => { const all = {}; for (let n = 0;; n++) all['key' + n] = n }",
  hoardText: "exports = () => { const all = []; for (let n = 0;; n++) all.push(`${n} `.repeat(1000).split('')) }",
  hoardBuffers: "exports = () => { const all = []; for (;;) all.push(Buffer.alloc(1e7)) }",
  hoard: "exports = () => { const all = []; for (;;) all.push(new Array(100000).fill(all.length)) }",
  sum: "exports = (...numbers) => numbers.reduce((a, b) => a + b, 0)"
}

describe("limits", { concurrent: false }, () => {
  for (const name of ["endless", "endlessMicrotasks", "endlessGetter"]) {
    it.effect(`${name}: a loop without end is ended at the time limit, and other calls are answered meanwhile`, () =>
      Effect.gen(function*() {
        yield* call("sum", 1)
        const runaway = yield* Effect.forkChild(reason(call(name)), { startImmediately: true })
        const others = yield* Effect.forEach(Array.from({ length: 100 }, (_, n) => n), (n) => call("sum", n, 1), {
          concurrency: "unbounded"
        })
        assert.deepStrictEqual(others, Array.from({ length: 100 }, (_, n) => new Int32(n + 1)))
        assert.isUndefined(runaway.pollUnsafe(), "the loop is still running")
        yield* TestClock.adjust("300 seconds")
        const { _tag, message } = yield* Fiber.join(runaway)
        assert.deepStrictEqual([_tag, message], ["ExecutionTimeLimitExceeded", "execution time limit exceeded"])
        assert.deepStrictEqual(yield* call("sum", 1, 2), new Int32(3))
      }).pipe(Effect.provide(withFunctions(runaways))))
  }

  it.live("real time counts too: a loop that begins after a wait is ended although no other clock moves", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* reason(call("endlessLater")))._tag, "ExecutionTimeLimitExceeded")
      assert.deepStrictEqual(yield* call("sum", 1, 2), new Int32(3))
    }).pipe(Effect.provide(withFunctions(runaways, { timeLimit: "8 seconds" }))))

  it.live("many loops without end leave a worker for the others", () =>
    Effect.gen(function*() {
      yield* call("sum", 1)
      const loops = yield* Effect.forkChild(
        Effect.forEach(Array.from({ length: 300 }), () => Effect.exit(call("endless")), { concurrency: "unbounded" }),
        { startImmediately: true }
      )
      for (let n = 0; n < 20; n++) assert.deepStrictEqual(yield* call("sum", n, 1), new Int32(n + 1))
      assert.isUndefined(loops.pollUnsafe())
      yield* Fiber.interrupt(loops)
      assert.deepStrictEqual(yield* call("sum", 1, 2), new Int32(3))
    }).pipe(Effect.provide(withFunctions(runaways))))

  it.live("loops that begin after a wait cannot take every worker either", () =>
    Effect.gen(function*() {
      const loops: Array<Fiber.Fiber<unknown>> = []
      for (let n = 0; n < 10; n++) {
        loops.push(
          yield* Effect.forkChild(Effect.exit(call(n % 2 === 0 ? "endlessLater" : "endless")), {
            startImmediately: true
          })
        )
        assert.deepStrictEqual(yield* call("sum", n, 1), new Int32(n + 1))
      }
      yield* Fiber.interruptAll(loops)
      assert.deepStrictEqual(yield* call("sum", 1, 2), new Int32(3))
    }).pipe(Effect.provide(withFunctions(runaways))))

  it.effect("a promise that never settles ends at the time limit of the program's clock", () =>
    Effect.gen(function*() {
      yield* call("sum", 1)
      const waiting = yield* Effect.forkChild(reason(call("never")), { startImmediately: true })
      yield* TestClock.adjust("299 seconds")
      assert.isUndefined(waiting.pollUnsafe())
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(waiting))._tag, "ExecutionTimeLimitExceeded")
      assert.deepStrictEqual(yield* call("sum", 1, 2), new Int32(3))
    }).pipe(Effect.provide(withFunctions(runaways))))

  it.live("a call that uses up the memory fails as that, and the next call is answered", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* reason(call("hoard")))._tag, "ExecutionMemoryLimitExceeded")
      assert.deepStrictEqual(yield* call("sum", 1, 2), new Int32(3))
    }).pipe(Effect.provide(withFunctions(runaways, { memoryLimit: 64 }))))

  // Big pieces of memory are what V8 ends a process for when it cannot get one.
  for (const name of ["hoardOneArray", "hoardBigArrays", "hoardKeys", "hoardText", "hoardBuffers"]) {
    it.live(`${name}: memory in whatever pieces ends the call and not the server`, () =>
      Effect.gen(function*() {
        assert.strictEqual((yield* reason(call(name)))._tag, "ExecutionMemoryLimitExceeded")
        assert.deepStrictEqual(yield* call("sum", 1, 2), new Int32(3))
      }).pipe(Effect.provide(withFunctions(runaways, { memoryLimit: 128 }))))
  }

  it.live("a function that used up the memory has a worker for itself from then on", () =>
    Effect.gen(function*() {
      yield* reason(call("hoardBuffers"))
      const waiting = yield* Effect.forkChild(Effect.exit(call("never")), { startImmediately: true })
      yield* call("sum", 1)
      for (let round = 0; round < 2; round++) {
        assert.strictEqual((yield* reason(call("hoardBuffers")))._tag, "ExecutionMemoryLimitExceeded")
      }
      assert.isUndefined(waiting.pollUnsafe())
      yield* Fiber.interrupt(waiting)
    }).pipe(Effect.provide(withFunctions(runaways, { memoryLimit: 64 }))))

  it.live("a call whose worker is stopped because of another says so", () =>
    Effect.gen(function*() {
      const waiting = yield* Effect.forkChild(reason(call("never")), { startImmediately: true })
      yield* call("sum", 1)
      const hoard = yield* reason(call("hoard"))
      assert.strictEqual(hoard._tag, "ExecutionMemoryLimitExceeded")
      const { _tag, message } = yield* Fiber.join(waiting)
      assert.strictEqual(_tag, "FunctionExecutionError")
      assert.match(message, /the call was lost/)
    }).pipe(Effect.provide(withFunctions(runaways, { memoryLimit: 64 }))))

  it.live("an interrupted caller does not wait, and the worker of its endless loop is given back", () =>
    Effect.gen(function*() {
      yield* call("sum", 1)
      for (let round = 0; round < 3; round++) {
        const runaway = yield* Effect.forkChild(call("mayLoop", true), { startImmediately: true })
        yield* call("sum", 1)
        yield* Fiber.interrupt(runaway)
        // Known to block, it waits for a worker of its own: the one that was just freed.
        assert.strictEqual(yield* call("mayLoop", false), "done")
      }
    }).pipe(Effect.provide(withFunctions(runaways))))

  it("the layer leaves no worker behind, not even one in an endless loop: a program ends by itself", async () => {
    const program = `
    import * as AppDefinition from "@effect-realm/server/AppDefinition"
    import * as Functions from "@effect-realm/server/Functions"
    import { Effect } from "effect"
    const app = AppDefinition.make({
      appId: "shop-abcde",
      functions: [{ name: "endless", source: "exports = () => { for (;;); }" }, { name: "ok", source: "exports = () => 'ok'" }]
    })
    const call = (name) =>
      Functions.Functions.use((functions) => functions.call({ name, args: [], caller: Functions.server }))
    await Effect.runPromise(
      Effect.gen(function*() {
        yield* call("ok")
        yield* Effect.forkChild(call("endless"), { startImmediately: true })
        console.log(yield* call("ok"))
      }).pipe(Effect.provide(Functions.layer(app, { workers: 1 })))
    )
  `
    const { stderr, stdout } = await promisify(execFile)(
      process.execPath,
      ["--conditions=effect-realm-source", "--input-type=module", "--eval", program],
      { cwd: import.meta.dirname, timeout: patience }
    )
    assert.strictEqual(stdout, "ok\n")
    assert.strictEqual(stderr, "")
  })
})
