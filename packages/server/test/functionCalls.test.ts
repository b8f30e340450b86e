import * as RealmFunction from "@effect-realm/protocol/RealmFunction"
import * as FunctionGroup from "@effect-realm/server/FunctionGroup"
import * as Functions from "@effect-realm/server/Functions"
import { assert, it } from "@effect/vitest"
import { Int32 } from "bson"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { vi } from "vitest"
import * as FunctionServices from "../src/internal/functions/functionServices.ts"
import { call, callAs, patience, reason, type Sources, withFunctions } from "./support/functions.ts"

vi.setConfig({ testTimeout: patience, hookTimeout: patience })

/** A service that calls the function which its name and arguments say, as the rules of a collection do. */
const caller = Layer.succeedContext(FunctionServices.context({
  name: "http",
  kind: "http",
  handle: (_, _operation, [request]) => {
    const [name, ...args] = request as ReadonlyArray<unknown>
    return callAs(Functions.server, String(name), ...args).pipe(
      Effect.mapError(({ reason }) =>
        new FunctionServices.FunctionServiceError({ errorName: "Error", message: reason.message })
      )
    )
  }
}))

const withCaller = (sources: Sources, options: Functions.Options) =>
  Layer.provide(withFunctions(sources, { timeLimit: "20 seconds", ...options }), caller)

/** A function that calls itself by way of the server, so many times one in the other, and counts. */
const descend = (before: string) =>
  `exports = async (name, depth) => {
    ${before}
    return depth === 0 ? 0 : 1 + await context.http.get([name, name, depth - 1])
  }`

const together = (name: string, calls: number, depth: number) =>
  Effect.forEach(Array.from({ length: calls }), () => call(name, name, depth), { concurrency: "unbounded" })

it.live("calls that are nested in others never wait for those that wait for them", () =>
  Effect.gen(function*() {
    for (const calls of [1, 2, 20]) {
      assert.deepStrictEqual(
        yield* together("descend", calls, 3),
        Array.from({ length: calls }, () => new Int32(3))
      )
    }
  }).pipe(Effect.provide(withCaller({ descend: descend("") }, { callsPerWorker: 2 }))))

it.live("a function that blocks calls itself, though it has a worker for itself", () =>
  Effect.gen(function*() {
    const blocking = descend("const until = Date.now() + 400; while (Date.now() < until);")
    yield* Effect.gen(function*() {
      // From the first call on it is known to block.
      assert.deepStrictEqual(yield* together("block", 1, 0), [new Int32(0)])
      assert.deepStrictEqual(yield* together("block", 3, 2), [new Int32(2), new Int32(2), new Int32(2)])
    }).pipe(Effect.provide(withCaller({ block: blocking }, { callsPerWorker: 2 })))
  }))

it.live("a function that blocks is reached by way of one that does not, and has its worker for itself all the same", () =>
  Effect.gen(function*() {
    const block = `exports = async (next, depth) => {
      const until = Date.now() + 400; while (Date.now() < until);
      return depth === 0 ? 0 : 1 + await context.http.get([next, "block", depth - 1])
    }`
    const pass = "exports = async (next, depth) => 1 + await context.http.get([next, 'pass', depth])"
    yield* Effect.gen(function*() {
      assert.deepStrictEqual(yield* call("block", "pass", 0), new Int32(0))
      const all = yield* Effect.all([call("block", "pass", 2), call("block", "pass", 2)], { concurrency: 2 })
      assert.deepStrictEqual(all, [new Int32(4), new Int32(4)])
    }).pipe(Effect.provide(withCaller({ block, pass }, { callsPerWorker: 1 })))
  }))

it.effect("functions that call each other by way of the server are stopped by the same bound", () =>
  Effect.gen(function*() {
    assert.deepStrictEqual(yield* call("descend", "descend", 4), new Int32(4))
    const { _tag, message } = yield* reason(call("descend", "descend", 5))
    assert.strictEqual(_tag, "FunctionExecutionError")
    assert.match(message, /more than 5 deep/)
  }).pipe(Effect.provide(withCaller({ descend: descend("") }, { maxDepth: 5, callsPerWorker: 1 }))))

const contracts = { twice: RealmFunction.make("twice", { args: [Schema.Int], success: Schema.Int }) }

it.live("a function of a group and one of the app call each other, whatever else goes on", () =>
  Effect.gen(function*() {
    const all = yield* Effect.forEach(
      Array.from({ length: 10 }, (_, index) => index),
      (index) => call("add", index),
      { concurrency: "unbounded" }
    )
    assert.deepStrictEqual(all, Array.from({ length: 10 }, (_, index) => new Int32(2 * (index + 1))))
  }).pipe(Effect.provide(
    withFunctions(
      {
        add: "exports = (n) => context.functions.execute('twice', n)",
        next: "exports = (n) => n + 1"
      },
      { callsPerWorker: 1, timeLimit: "20 seconds" }
    ).pipe(Layer.provide(FunctionGroup.layer(contracts, {
      twice: (n) =>
        Effect.gen(function*() {
          const next = yield* Functions.Functions.use((functions) =>
            functions.call({ name: "next", args: [n], caller: Functions.server })
          )
          return 2 * Number(next)
        }).pipe(Effect.orDie)
    })))
  )))
