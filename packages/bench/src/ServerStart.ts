/**
 * How long it takes from the command to the first answer.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Answerer from "./Answerer.ts"
import * as PlainServer from "./PlainServer.ts"
import * as Row from "./Row.ts"
import * as RunningServer from "./RunningServer.ts"
import type { Sizes } from "./Sizes.ts"

const location = `/api/client/v2.0/app/${PlainServer.appId}/location`

/** Seconds from nothing to the first answer. */
const secondsToAnswer = (start: Effect.Effect<string, never, Scope.Scope>): Effect.Effect<number> =>
  Effect.scoped(Effect.gen(function*() {
    const begin = performance.now()
    const origin = yield* start
    yield* Effect.promise(async () => {
      const response = await fetch(origin + location)
      if (!response.ok) throw new Error(`the server answered ${response.status}`)
      await response.arrayBuffer()
    })
    return (performance.now() - begin) / 1000
  }))

export const rows = (sizes: Sizes): Effect.Effect<ReadonlyArray<Row.Row>> =>
  Effect.map(
    Row.measure(sizes.rounds, {
      measured: "server: start to first answer",
      unit: "s",
      ours: {
        name: "ours, `effect-realm serve`",
        sample: secondsToAnswer(RunningServer.start),
        aim: { _tag: "AtMost", bound: 0.5 }
      },
      peers: [{
        name: "plain node:http",
        sample: secondsToAnswer(Effect.map(Answerer.start, ({ origin }) => origin))
      }]
    }),
    (row) => [row]
  )
