/**
 * What many processes that share a store cost the server when a token has expired, and how soon one of them sees what
 * another has written.
 */
import { App, Credentials, TokenStore } from "@effect-realm/client"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Answerer from "./Answerer.ts"
import * as Burst from "./Burst.ts"
import * as Place from "./Place.ts"
import * as PlainServer from "./PlainServer.ts"
import type * as Row from "./Row.ts"
import * as SampleSession from "./SampleSession.ts"
import * as Sharer from "./Sharer.ts"
import type { Sizes } from "./Sizes.ts"

const millis = Effect.fnUntraced(function*<A>(effect: Effect.Effect<A>) {
  const begin = performance.now()
  yield* effect
  return performance.now() - begin
})

// SQLite tells nobody: it is asked twenty times a second.
const soon = (place: Place.Place): number => place._tag === "Sqlite" ? 50 : 20

const rowsOf = Effect.fnUntraced(function*(
  place: Place.Place,
  sizes: Sizes
): Effect.fn.Return<ReadonlyArray<Row.Row>, never, Scope.Scope> {
  const answerer = yield* Answerer.start
  const services = yield* Layer.build(Layer.merge(Place.store(place), NodeHttpClient.layerUndici))
  const store = Context.get(services, TokenStore.TokenStore)
  const app = App.make({ id: PlainServer.appId, baseUrl: answerer.origin })
  const user = yield* Effect.orDie(Effect.provideContext(App.logIn(app, Credentials.anonymous()), services))
  const [first, ...others] = yield* Effect.forEach(
    Array.from({ length: sizes.processes }),
    () => Sharer.start(place, answerer.origin),
    { concurrency: 2 }
  )
  const sharers = [first!, ...others]

  const expired = (callers: ReadonlyArray<Sharer.Sharer>, calls: number) =>
    Effect.gen(function*() {
      yield* answerer.expire
      const took = yield* millis(
        Effect.forEach(callers, (sharer) => sharer.call(user.id, calls), { concurrency: "unbounded", discard: true })
      )
      return { took, exchanges: (yield* answerer.counts).exchanges }
    })
  const together: Array<Burst.Burst> = []
  const alone: Array<Burst.Burst> = []
  const seen = new Array<number>()
  const messages = new Array<number>()
  for (let round = 0; round < sizes.rounds; round++) {
    together.push(yield* expired(sharers, Burst.calls))
    alone.push(yield* expired([first!], Burst.calls * sizes.processes))

    const userId = `somebody ${round}`
    seen.push(
      yield* millis(Effect.gen(function*() {
        yield* Effect.orDie(SampleSession.logIn(store, userId))
        const { generation } = yield* Effect.orDie(SampleSession.found(store, userId))
        yield* first!.seen(generation)
      }))
    )
    messages.push(yield* millis(first!.ping))
  }

  const where = `sessions in ${Place.name(place._tag)}`
  return [...Burst.rows("process", "processes", where, sizes, { together, alone }), {
    measured: `until another process was told of a session written here, ${where}`,
    unit: "ms",
    ours: { name: "ours", samples: seen, aim: { _tag: "AtMost", bound: soon(place) } },
    peers: [{ name: "a message to that process and back", samples: messages }]
  }]
})

export const rows = (sizes: Sizes): Effect.Effect<ReadonlyArray<Row.Row>> =>
  Place.each((place) => Place.isShared(place) ? rowsOf(place, sizes) : Effect.succeed([]))
