/**
 * What many callers cost the server who find the same access token expired.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Answerer from "./Answerer.ts"
import * as Caller from "./Caller.ts"
import type { Counts } from "./PlainServer.ts"
import type * as Row from "./Row.ts"
import type { Sizes } from "./Sizes.ts"

export const rows = Effect.fnUntraced(function*(
  sizes: Sizes
): Effect.fn.Return<ReadonlyArray<Row.Row>, never, Scope.Scope> {
  const answerer = yield* Answerer.start
  const callers = yield* Effect.forEach([Caller.oursOnUndici, Caller.realmWeb], (make) => make(answerer.origin))
  const subjects = callers.map(({ burst, name }) => ({ name, burst, counts: new Array<Counts>() }))
  // How many requests there are does not depend on the machine, only on who comes first: three rounds show it.
  for (let round = 0; round < Math.min(sizes.rounds, 3); round++) {
    for (const { burst, counts } of subjects) {
      yield* answerer.expire
      yield* Effect.promise(() => burst(sizes.callers))
      counts.push(yield* answerer.counts)
    }
  }

  const row = (measured: string, count: (counts: Counts) => number, aim?: Row.Aim): Row.Row => {
    const [ours, ...peers] = subjects.map(({ counts, name }) => ({ name, samples: counts.map(count) }))
    return { measured, unit: "", ours: { ...ours!, ...(aim === undefined ? undefined : { aim }) }, peers }
  }
  const callersText = sizes.callers.toLocaleString("en")
  return [
    row(`exchanges for ${callersText} calls at once on an expired token`, ({ exchanges }) => exchanges, {
      _tag: "AtMost",
      bound: 1
    }),
    row(`requests for them, calls and exchanges`, ({ requests }) => requests)
  ]
})
