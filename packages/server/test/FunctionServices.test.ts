import * as RealmFunction from "@effect-realm/protocol/RealmFunction"
import * as FunctionGroup from "@effect-realm/server/FunctionGroup"
import * as Functions from "@effect-realm/server/Functions"
import { assert, it } from "@effect/vitest"
import { Double, Int32, Long } from "bson"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { vi } from "vitest"
import * as Executor from "../src/internal/functions/executor.ts"
import * as FunctionServices from "../src/internal/functions/functionServices.ts"
import { call, callAs, client, patience, reason, type Sources, withFunctions } from "./support/functions.ts"

vi.setConfig({ testTimeout: patience, hookTimeout: patience })

// The face of HTTP hands every operation on as it is, so what is asked here is what any service may be asked.
const withService = (
  sources: Sources,
  handle: FunctionServices.FunctionService["handle"],
  options?: Functions.Options
): Layer.Layer<Functions.Functions> =>
  Layer.provide(
    withFunctions(sources, options),
    Layer.succeedContext(FunctionServices.context({ name: "http", kind: "http", handle }))
  )

const asks: Sources = {
  get: "exports = (value) => context.http.get(value)",
  byName: "exports = (value) => context.services.get('http').get(value)",
  unknown: "exports = () => typeof context.services.get('elsewhere')",
  caught: `exports = async () => {
    try { await context.http.get(1) } catch (error) {
      return [error instanceof Error, error.name, error.message, error.code ?? null]
    }
  }`,
  cycle:
    "exports = async () => { const a = {}; a.a = a; try { await context.http.get(a) } catch (error) { return error.message } }",
  many: "exports = async (n) => (await Promise.all(Array.from({ length: n }, (_, i) => context.http.get(i)))).length",
  leaves: "exports = async () => { context.http.get(1); await context.http.post(1); return 'left' }",
  loops: "exports = async () => { context.http.get(1); await new Promise((r) => setTimeout(r, 1)); for (;;); }",
  dead: `exports = async (n) => {
    if (n === 1) { Promise.resolve().then(() => setTimeout(() => context.http.get(1), 0)); return 'over' }
    return 'alive'
  }`,
  lifted: { source: "exports = () => context.http.get(1)", runAsSystem: true },
  inner: "exports = () => context.functions.execute('lifted')",
  sum: "exports = (...numbers) => numbers.reduce((a, b) => a + b, 0)",
  deeper: "exports = () => context.http.get(1)"
}

const echo: FunctionServices.FunctionService["handle"] = (_, _operation, [value]) => Effect.succeed(value)

it.effect("a service answers under its name and as context.http, and an unknown one is undefined", () =>
  Effect.gen(function*() {
    assert.strictEqual(yield* call("get", "tea"), "tea")
    assert.strictEqual(yield* call("byName", "tea"), "tea")
    assert.strictEqual(yield* call("unknown"), "undefined")
  }).pipe(Effect.provide(withService(asks, echo))))

it.effect("values pass a service and come back with their BSON types", () =>
  Effect.gen(function*() {
    const value = { a: Long.fromNumber(5), b: new Double(5), c: new Int32(5), d: [new Double(1)], e: new Date(7) }
    assert.deepStrictEqual(yield* call("get", value), value)
  }).pipe(Effect.provide(withService(asks, echo))))

it.effect("numbers of an answer keep their types and say nothing of those a function makes", () =>
  Effect.gen(function*() {
    const answer = { whole: new Double(3), long: Long.fromNumber(4) }
    yield* Effect.gen(function*() {
      assert.deepStrictEqual(yield* call("mixed"), { answer, own: [new Int32(3), new Int32(4)] })
    }).pipe(Effect.provide(withService(
      { mixed: "exports = async () => ({ answer: await context.http.get(1), own: [3, 4] })" },
      () => Effect.succeed(answer)
    )))
  }))

it.effect("a service is told who calls and whether the asking function runs as the system", () =>
  Effect.gen(function*() {
    assert.deepStrictEqual(yield* call("get"), ["65f000000000000000000001", false])
    assert.deepStrictEqual(yield* call("lifted"), ["65f000000000000000000001", true])
    assert.deepStrictEqual(yield* call("inner"), ["65f000000000000000000001", true])
    assert.deepStrictEqual(yield* callAs(Functions.server, "get"), [null, true])
  }).pipe(Effect.provide(withService(
    asks,
    (caller) =>
      Effect.succeed([
        Option.getOrNull(Option.map(caller.user, ({ id }) => id)),
        Option.isNone(Executor.inherited(caller))
      ])
  ))))

it.effect("what a service fails with is an Error of the function's own", () =>
  Effect.gen(function*() {
    assert.deepStrictEqual(yield* call("caught"), [true, "HTTPError", "no route", "HTTP-1"])
    assert.strictEqual((yield* reason(call("get"))).message, "HTTPError: no route")
  }).pipe(Effect.provide(withService(
    asks,
    () =>
      Effect.fail(
        new FunctionServices.FunctionServiceError({ errorName: "HTTPError", message: "no route", code: "HTTP-1" })
      )
  ))))

for (
  const [what, broken] of [
    ["dies", Effect.die(new Error("secret"))],
    ["interrupts itself", Effect.interrupt],
    ["answers what has no Extended JSON form", Effect.succeed(() => 1)]
  ] as const
) {
  it.effect(`a service that ${what} is an internal error to the function, without its words`, () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* call("caught"), [true, "Error", "internal server error", null])
      assert.deepStrictEqual(yield* call("sum", 1, 2), new Int32(3))
    }).pipe(Effect.provide(withService(asks, () => broken))))
}

it.effect("arguments without an Extended JSON form and too many requests at once are refused in the function", () =>
  Effect.gen(function*() {
    assert.match(String(yield* call("cycle")), /contains itself/)
    assert.deepStrictEqual(yield* call("many", 1000), new Int32(1000))
    assert.strictEqual(
      (yield* reason(call("many", 1001))).message,
      "Error: exceeded max async work queue size of 1000"
    )
  }).pipe(Effect.provide(withService(asks, echo))))

/** A service that says when it is asked and when it is interrupted, and never answers: only `post`, once it has been asked. */
const stalled = Effect.gen(function*() {
  const asked = yield* Deferred.make<void>()
  const interrupted = yield* Ref.make(false)
  const handle: FunctionServices.FunctionService["handle"] = (_, operation) =>
    operation === "post" ? Deferred.await(asked) : Deferred.succeed(asked, undefined).pipe(
      Effect.andThen(Effect.never),
      Effect.onInterrupt(() => Ref.set(interrupted, true))
    )
  return { asked: Deferred.await(asked), interrupted: Ref.get(interrupted), handle }
})

it.effect("what a call asked for is interrupted with the call", () =>
  Effect.gen(function*() {
    const { asked, handle, interrupted } = yield* stalled
    yield* Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(call("get", 1), { startImmediately: true })
      yield* asked
      yield* Fiber.interrupt(fiber)
      assert.isTrue(yield* interrupted)
      assert.deepStrictEqual(yield* call("sum", 1, 2), new Int32(3))
    }).pipe(Effect.provide(withService(asks, handle)))
  }))

it.effect("what a call asked for is interrupted at its time limit", () =>
  Effect.gen(function*() {
    const { asked, handle, interrupted } = yield* stalled
    yield* Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(reason(call("get", 1)), { startImmediately: true })
      yield* asked
      yield* TestClock.adjust("300 seconds")
      assert.strictEqual((yield* Fiber.join(fiber))._tag, "ExecutionTimeLimitExceeded")
      assert.isTrue(yield* interrupted)
    }).pipe(Effect.provide(withService(asks, handle)))
  }))

it.live("what a call asked for is interrupted when its worker is stopped", () =>
  Effect.gen(function*() {
    const { asked, handle, interrupted } = yield* stalled
    yield* Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(reason(call("loops")), { startImmediately: true })
      yield* asked
      assert.strictEqual((yield* Fiber.join(fiber))._tag, "ExecutionTimeLimitExceeded")
      assert.isTrue(yield* interrupted)
      assert.deepStrictEqual(yield* call("sum", 1, 2), new Int32(3))
    }).pipe(Effect.provide(withService(asks, handle, { timeLimit: "8 seconds" })))
  }))

it.effect("what a call did not wait for is over before the call is answered", () =>
  Effect.gen(function*() {
    const { handle, interrupted } = yield* stalled
    yield* Effect.gen(function*() {
      assert.strictEqual(yield* call("leaves"), "left")
      assert.isTrue(yield* interrupted)
    }).pipe(Effect.provide(withService(asks, handle)))
  }))

it.effect("what is left of a call asks nothing after it", () =>
  Effect.gen(function*() {
    const times = yield* Ref.make(0)
    yield* Effect.gen(function*() {
      assert.strictEqual(yield* call("dead", 1), "over")
      for (let round = 0; round < 5; round++) assert.strictEqual(yield* call("dead", 2), "alive")
      assert.strictEqual(yield* Ref.get(times), 0)
    }).pipe(Effect.provide(withService(asks, () => Ref.update(times, (n) => n + 1))))
  }))

it.effect("functions that a service calls are nested in the one that asks", () =>
  Effect.gen(function*() {
    const { message } = yield* reason(call("deeper"))
    assert.match(message, /more than 3 deep/)
  }).pipe(Effect.provide(withService(
    asks,
    () =>
      Functions.Functions.use((functions) => functions.call({ name: "deeper", args: [], caller: client })).pipe(
        Effect.mapError(({ reason }) =>
          new FunctionServices.FunctionServiceError({ errorName: "Error", message: reason.message })
        )
      ),
    { maxDepth: 3 }
  ))))

class SoldOut extends Schema.TaggedError<SoldOut>()("SoldOut", { message: Schema.String }) {}

const contracts = {
  add: RealmFunction.make("add", { args: [Schema.Int, Schema.Int], success: Schema.Int }),
  order: RealmFunction.make("order", { error: SoldOut })
}

const withGroup = withFunctions({
  adds: "exports = async (a, b) => [await context.functions.execute('add', a, b), 'added']",
  orders:
    "exports = async () => { try { await context.functions.execute('order') } catch (error) { return [error instanceof Error, error.message] } }",
  wrong: "exports = () => context.functions.execute('add', 'tea')"
}).pipe(Layer.provide(FunctionGroup.layer(contracts, {
  add: (a, b) => Effect.succeed(a + b),
  order: () => Effect.fail(new SoldOut({ message: "no tea" }))
}, { add: { private: true }, order: { private: true } })))

it.effect("functions of a group are executed by functions of the app, private ones too", () =>
  Effect.gen(function*() {
    assert.deepStrictEqual(yield* call("adds", 1, 2), [new Int32(3), "added"])
    const [isError, message] = (yield* call("orders")) as ReadonlyArray<unknown>
    assert.isTrue(isError)
    assert.match(String(message), /SoldOut.*no tea/)
    assert.strictEqual((yield* reason(call("wrong")))._tag, "FunctionExecutionError")
  }).pipe(Effect.provide(withGroup)))
