/**
 * What a store costs: to read a session, to write one, and a call of a function beside one with sessions in memory. Each
 * beside the bare client that sends the same commands.
 */
import { App, Credentials, TokenStore, User } from "@effect-realm/client"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as BareClient from "./BareClient.ts"
import * as MemoryTransport from "./MemoryTransport.ts"
import * as Place from "./Place.ts"
import * as PlainServer from "./PlainServer.ts"
import * as Row from "./Row.ts"
import * as SampleSession from "./SampleSession.ts"
import type { Sizes } from "./Sizes.ts"

type Store = TokenStore.TokenStore["Service"]

// Of what waits for another process; elsewhere a `Map` is no measure of anything.
const isRemote = (place: Place.Place): boolean => place._tag === "Postgres" || place._tag === "Redis"

const open = (place: Place.Place): Effect.Effect<Store, never, Scope.Scope> =>
  Effect.map(Layer.build(Layer.fresh(Place.store(place))), (context) => Context.get(context, TokenStore.TokenStore))

const rowsOf = Effect.fnUntraced(function*(
  place: Place.Place,
  sizes: Sizes
): Effect.fn.Return<ReadonlyArray<Row.Row>, never, Scope.Scope> {
  const store = yield* open(place)
  const bare = yield* BareClient.make(place, store)
  const where = `sessions in ${Place.name(place._tag)}`

  let users = 0
  const write = Effect.suspend(() => Effect.orDie(SampleSession.logIn(store, `ours ${users++}`)))
  yield* write
  const read = Effect.orDie(store.get(SampleSession.key("ours 0")))

  const atMost: Row.Aim = { _tag: "AtMost", bound: 1.2 }
  const row = (measured: string, ours: Effect.Effect<unknown>, theirs: Effect.Effect<unknown>, times: number) =>
    Row.measure(sizes.rounds, {
      measured: `${measured}, ${where}`,
      unit: "µs",
      ours: { name: "ours", sample: Row.cost(ours, times) },
      peers: [{
        name: bare.name,
        sample: Row.cost(theirs, times),
        ...(isRemote(place) ? { aim: atMost } : undefined)
      }]
    })
  const load = { millis: sizes.millis, inFlight: sizes.inFlight.logIns }
  const inASecond = Row.measure(sizes.rounds, {
    measured: `sessions written in a second, ${load.inFlight} at a time, ${where}`,
    unit: "/s",
    ours: { name: "ours", sample: Row.rate(write, load) },
    peers: [{
      name: bare.name,
      sample: Row.rate(bare.write, load),
      ...(isRemote(place) ? { aim: { _tag: "AtLeast", bound: 1 / 1.2 } as const } : undefined)
    }]
  })

  const transport = yield* Layer.build(MemoryTransport.layer)
  const app = App.make({ id: PlainServer.appId, baseUrl: "http://localhost" })
  const calling = Effect.fnUntraced(function*(store: Store) {
    const services = Context.add(transport, TokenStore.TokenStore, store)
    const user = yield* Effect.provideContext(App.logIn(app, Credentials.anonymous()), services)
    const call = Effect.suspend(() => User.callFunction(user, "sum", [1, 2]))
    return Effect.orDie(Effect.provideContext(Row.cost(call, sizes.repetitions), services))
  }, Effect.orDie)

  return [
    yield* row("a session read", read, bare.read, sizes.repetitions),
    yield* row("a session written", write, bare.write, sizes.repetitions),
    yield* inASecond,
    yield* Row.measure(sizes.rounds, {
      measured: `a function call, ${where}`,
      unit: "µs",
      ours: { name: "ours", sample: yield* calling(store) },
      peers: [{ name: "ours, sessions in memory", sample: yield* calling(yield* open({ _tag: "Memory" })) }]
    })
  ]
})

export const rows = (sizes: Sizes): Effect.Effect<ReadonlyArray<Row.Row>> => Place.each((place) => rowsOf(place, sizes))
