/**
 * What a caller notices of another one who works through a large collection: the slowest of his look-ups, through client and
 * server over a socket.
 */
import { App, Collection, Credentials, TokenStore, User } from "@effect-realm/client"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import type * as Scope from "effect/Scope"
import * as Orders from "./Orders.ts"
import * as Row from "./Row.ts"
import type { Sizes } from "./Sizes.ts"

const quick: Row.Aim = { _tag: "AtMost", bound: 20 }

/** How many milliseconds the slowest of so many runs took. */
const slowest = Effect.fnUntraced(function*<A, E, R>(
  operation: Effect.Effect<A, E, R>,
  times: number
): Effect.fn.Return<number, E, R> {
  let most = 0
  for (let run = 0; run < times; run++) {
    const begin = performance.now()
    yield* operation
    most = Math.max(most, performance.now() - begin)
  }
  return most
})

/** @param origin a server with a large collection of orders */
export const rows = Effect.fnUntraced(function*(
  origin: string,
  { documents: { many }, repetitions, rounds }: Sizes
): Effect.fn.Return<ReadonlyArray<Row.Row>, never, Scope.Scope> {
  const runtime = yield* Effect.acquireRelease(
    Effect.sync(() => ManagedRuntime.make(Layer.merge(NodeHttpClient.layerUndici, TokenStore.layerMemory))),
    (runtime) => runtime.disposeEffect
  )
  const app = App.make({ id: Orders.app.appId, baseUrl: origin })
  const logIn = Effect.map(
    App.logIn(app, Credentials.anonymous()),
    (user) => User.mongoClient(user).db("large").collection(Orders.collections.open)
  )
  const [orders, others] = yield* Effect.promise(() => runtime.runPromise(Effect.all([logIn, logIn])))
  let turn = 0
  const lookUp = Effect.suspend(() => Collection.findOne(orders, { _id: `order-${(turn = (turn + 7919) % many)}` }))
  const times = Math.min(repetitions, 200)
  const sample = <A, E>(meanwhile: Effect.Effect<A, E, Requirements>): Effect.Effect<number> =>
    Effect.promise(() =>
      runtime.runPromise(Effect.gen(function*() {
        const fiber = yield* Effect.forkChild(Effect.forever(meanwhile))
        const most = yield* slowest(lookUp, times)
        yield* Fiber.interrupt(fiber)
        return most
      }))
    )
  const everything = `${many.toLocaleString("en")} documents`
  const row = <A, E>(what: string, meanwhile: Effect.Effect<A, E, Requirements>) =>
    Row.measure(rounds, {
      measured: `documents: the slowest of ${times} findOne by \`_id\`, beside ${what}`,
      unit: "ms",
      ours: { name: "client and server, while another caller is at it", sample: sample(meanwhile), aim: quick },
      peers: [{ name: "while nobody is", sample: sample(Effect.never) }]
    })
  return [
    yield* row(`a filter that looks at ${everything}`, Collection.count(others, { none: 1 })),
    yield* row(
      `an aggregation of ${everything}: group, sort`,
      Collection.aggregate(others, [
        { $group: { _id: "$customer", total: { $sum: "$total" }, orders: { $sum: 1 } } },
        { $sort: { total: -1 } }
      ])
    ),
    yield* row(
      `an update of ${everything}`,
      Collection.updateMany(others, { _id: { $exists: true } }, { $inc: { visits: 1 } })
    )
  ]
})

type Requirements = Effect.Services<ReturnType<typeof Collection.count>>
