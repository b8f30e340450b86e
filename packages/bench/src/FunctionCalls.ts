/**
 * How many function calls a client makes in a second, one after another and many at a time.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Answerer from "./Answerer.ts"
import * as Caller from "./Caller.ts"
import * as Row from "./Row.ts"
import type { Sizes } from "./Sizes.ts"

const peers = [
  Caller.oursOnFetch,
  Caller.realmWeb,
  Caller.bareFetch,
  Caller.bareUndici,
  Caller.rawHttpClient,
  Caller.bareNode
]

export const rows = Effect.fnUntraced(function*(
  sizes: Sizes
): Effect.fn.Return<ReadonlyArray<Row.Row>, never, Scope.Scope> {
  const { origin } = yield* Answerer.start
  const ours = yield* Caller.oursOnUndici(origin)
  const others = yield* Effect.forEach(peers, (make) => make(origin))

  const row = (measured: string, inFlight: number, timesRealmWeb: number) => {
    const measurement = ({ name, rate }: Caller.Caller): Row.Measurement<never, never> => ({
      name,
      sample: Effect.promise(() => rate({ millis: sizes.millis, inFlight })),
      ...(name.startsWith("realm-web") ? { aim: { _tag: "AtLeast", bound: timesRealmWeb } } : undefined)
    })
    return Row.measure(sizes.rounds, {
      measured,
      unit: "calls/s",
      ours: measurement(ours),
      peers: others.map(measurement)
    })
  }

  return [
    yield* row("function calls, one after another", 1, 2),
    yield* row(`function calls, ${sizes.inFlight.calls} in flight`, sizes.inFlight.calls, 5)
  ]
})
