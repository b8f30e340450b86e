/**
 * The rows of a store: to read a session, to write one, to write many at a time, and a call of a function.
 */
import { App, Credentials, TokenStore, User } from "@effect-realm/client"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as MemoryTransport from "./MemoryTransport.ts"
import * as PlainServer from "./PlainServer.ts"
import * as Row from "./Row.ts"
import * as SampleSession from "./SampleSession.ts"
import type { Sizes } from "./Sizes.ts"

export type Store = TokenStore.TokenStore["Service"]

/** What stands beside a store. */
export interface Peer {
  readonly name: string
  /** Reads one session, or does what is done for that. */
  readonly read: Effect.Effect<unknown>
  /** Writes the session of one more user, or does what is done for that. */
  readonly write: Effect.Effect<unknown>
  /** How many times as dear ours may be. */
  readonly bound?: number
}

/** Many short samples in place of a few long ones: what else the machine does falls on ours and on what is beside it alike. */
const inShort = ({ millis, repetitions, rounds, ...sizes }: Sizes): Sizes => ({
  ...sizes,
  rounds: rounds * 9,
  millis: Math.ceil(millis / 9),
  repetitions: Math.ceil(repetitions / 9)
})

/** A store of its own, which ends with the scope. */
export const open = (layer: Layer.Layer<TokenStore.TokenStore>): Effect.Effect<Store, never, Scope.Scope> =>
  Effect.map(Layer.build(Layer.fresh(layer)), (context) => Context.get(context, TokenStore.TokenStore))

/** What is measured of a store: a session that is read, and the sessions of new users that are written. */
export const peer = Effect.fnUntraced(function*(name: string, store: Store): Effect.fn.Return<Peer> {
  let users = 0
  const write = Effect.suspend(() => Effect.orDie(SampleSession.logIn(store, `${name} ${users++}`)))
  yield* write
  return { name, read: Effect.orDie(store.get(SampleSession.key(`${name} 0`))), write }
})

/** Measures a store beside its peers. */
export const rows = Effect.fnUntraced(function*(
  store: Store,
  where: string,
  peers: ReadonlyArray<Peer>,
  all: Sizes
): Effect.fn.Return<ReadonlyArray<Row.Row>, never, Scope.Scope> {
  const sizes = inShort(all)
  const ours = yield* peer("ours", store)
  const row = (
    measured: string,
    unit: string,
    of: (peer: Peer) => Effect.Effect<number>,
    aim: (bound: number) => Row.Aim
  ) =>
    Row.measure(sizes.rounds, {
      measured: `${measured}, sessions in ${where}`,
      unit,
      ours: { name: ours.name, sample: of(ours) },
      peers: peers.map((peer) => ({
        name: peer.name,
        sample: of(peer),
        ...(peer.bound === undefined ? undefined : { aim: aim(peer.bound) })
      }))
    })
  const atMost = (bound: number): Row.Aim => ({ _tag: "AtMost", bound })
  const load = { millis: sizes.millis, inFlight: sizes.inFlight.logIns }

  const transport = yield* Layer.build(MemoryTransport.layer)
  const app = App.make({ id: PlainServer.appId, baseUrl: "http://localhost" })
  const calling = Effect.fnUntraced(function*(store: Store) {
    const services = Context.add(transport, TokenStore.TokenStore, store)
    const user = yield* Effect.provideContext(App.logIn(app, Credentials.anonymous()), services)
    const call = Effect.suspend(() => User.callFunction(user, "sum", [1, 2]))
    return Effect.orDie(Effect.provideContext(Row.cost(call, sizes.repetitions), services))
  }, Effect.orDie)

  return [
    yield* row("a session read", "µs", ({ read }) => Row.cost(read, sizes.repetitions), atMost),
    yield* row("a session written", "µs", ({ write }) => Row.cost(write, sizes.repetitions), atMost),
    yield* row(
      `sessions written in a second, ${load.inFlight} at a time`,
      "/s",
      ({ write }) => Row.rate(write, load),
      (bound) => ({ _tag: "AtLeast", bound: 1 / bound })
    ),
    yield* Row.measure(sizes.rounds, {
      measured: `a function call, sessions in ${where}`,
      unit: "µs",
      ours: { name: ours.name, sample: yield* calling(store) },
      peers: [{ name: "ours, sessions in memory", sample: yield* calling(yield* open(TokenStore.layerMemory)) }]
    })
  ]
})
