/**
 * How many functions the server runs in a second, with nothing else around them: in an app of one function, in an app of
 * a hundred, and after one was killed because it ran for too long.
 */
import { AppDefinition, Functions } from "@effect-realm/server"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Row from "./Row.ts"
import type { Sizes } from "./Sizes.ts"

const sum = { name: "sum", source: "exports = (...numbers) => numbers.reduce((a, b) => a + b, 0)" }

const others = Array.from({ length: 99 }, (_, index) => ({
  name: `other${index}`,
  source: `exports = (name) => "${index}: " + name`
}))

const endless = { name: "endless", source: "exports = () => { for (;;); }" }

const caller: Functions.Caller = { origin: "client", user: Option.none(), request: {} }

const start = Effect.fnUntraced(function*(
  functions: ReadonlyArray<typeof sum>,
  options: Functions.Options
): Effect.fn.Return<Functions.Functions["Service"], never, Scope.Scope> {
  const app = AppDefinition.make({ appId: "bench-abcde", functions })
  const built = yield* Layer.build(Functions.layer(app, { workers: 1, ...options }))
  return yield* Effect.provideContext(Functions.Functions, built)
})

export const rows = Effect.fnUntraced(function*(
  sizes: Sizes
): Effect.fn.Return<ReadonlyArray<Row.Row>, never, Scope.Scope> {
  const one = yield* start([sum], {})
  const many = yield* start([sum, ...others], {})
  const killed = yield* start([sum, endless], { timeLimit: "2 seconds" })
  yield* Effect.exit(killed.call({ name: "endless", args: [], caller }))

  const measurement = (name: string, functions: typeof one, aim?: Row.Aim) => ({
    name,
    sample: Row.rate(Effect.orDie(functions.call({ name: "sum", args: [1, 2], caller })), {
      millis: sizes.millis,
      inFlight: sizes.inFlight.calls
    }),
    ...(aim === undefined ? undefined : { aim })
  })
  // What else is in an app costs a call nothing.
  const alike: Row.Aim = { _tag: "AtMost", bound: 1.25 }
  return [
    yield* Row.measure(sizes.rounds, {
      measured: `server: functions run, ${sizes.inFlight.calls} in flight, one worker`,
      unit: "calls/s",
      ours: measurement("an app of 1 function", one),
      peers: [
        measurement("an app of 100 functions", many, alike),
        measurement("after one ran for too long", killed, alike)
      ]
    })
  ]
})
