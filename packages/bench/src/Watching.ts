/**
 * How long it takes until a change is told to who watches, and what watchers cost a write.
 */
import { App, Collection, Credentials, type Filter, TokenStore, User } from "@effect-realm/client"
import { Database } from "@effect-realm/server"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { join } from "node:path"
import * as Orders from "./Orders.ts"
import * as OrderServer from "./OrderServer.ts"
import * as Row from "./Row.ts"
import type { Sizes } from "./Sizes.ts"
import * as TemporaryFolder from "./TemporaryFolder.ts"

// -----------------------------------------------------------------------------
// Through client and server
// -----------------------------------------------------------------------------

/** A collection behind the server, and how often it is watched. */
interface Served {
  /** Writes once. */
  readonly write: Effect.Effect<unknown, Collection.UpdateError, Requirements>
  /** Waits until everybody who watches was told of one change more. */
  readonly told: Effect.Effect<unknown>
}

type Requirements = Effect.Services<ReturnType<typeof Collection.count<Filter.Document, Filter.Document>>>

const served = Effect.fnUntraced(function*(
  user: User.User,
  watchers: number
): Effect.fn.Return<Served, Collection.InsertError, Requirements | Scope.Scope> {
  const orders = User.mongoClient(user).db("small").collection(`orders with ${watchers} watchers`)
  yield* Collection.insertOne(orders, Orders.order(0))
  const opened = yield* Queue.unbounded<void>()
  const told = yield* Queue.unbounded<void>()
  for (let count = 0; count < watchers; count++) {
    yield* Effect.forkScoped(
      Stream.runForEach(
        Collection.watch(orders),
        ({ _tag }) => Queue.offer(_tag === "Opened" ? opened : told, undefined)
      )
    )
  }
  yield* Queue.takeN(opened, watchers)
  return {
    write: Collection.updateOne(orders, { _id: "order-0" }, { $inc: { visits: 1 } }),
    told: Queue.takeN(told, watchers)
  }
})

/** How long a change takes until its event is there, over sockets, and what those who watch cost a write. */
const throughServer = Effect.fnUntraced(function*(
  sizes: Sizes
): Effect.fn.Return<ReadonlyArray<Row.Row>, never, Scope.Scope> {
  const runtime = yield* Effect.acquireRelease(
    Effect.sync(() => ManagedRuntime.make(Layer.merge(NodeHttpClient.layerUndici, TokenStore.layerMemory))),
    (runtime) => runtime.disposeEffect
  )
  const scope = yield* Effect.scope
  const run = <A, E>(effect: Effect.Effect<A, E, Requirements | Scope.Scope>) =>
    Effect.promise(() => runtime.runPromise(Scope.provide(effect, scope)))
  const app = App.make({ id: Orders.app.appId, baseUrl: yield* OrderServer.start(sizes) })
  const user = yield* run(App.logIn(app, Credentials.anonymous()))
  const { few, many, some } = sizes.watchers
  const [nobody, one, several, crowd] = [
    yield* run(served(user, 0)),
    yield* run(served(user, few)),
    yield* run(served(user, some)),
    yield* run(served(user, many))
  ]
  const millis = (effect: Served["write"], times = 50) =>
    run(Effect.map(Row.cost(effect, Math.min(sizes.repetitions, times)), (micros) => micros / 1000))
  return [
    yield* Row.measure(sizes.rounds, {
      measured: "watch: a write until its event is there, through client and server",
      unit: "ms",
      ours: {
        name: "write and event",
        sample: millis(Effect.andThen(one.write, one.told)),
        aim: { _tag: "AtMost", bound: 5 }
      },
      peers: [{ name: "a write that nobody watches", sample: millis(nobody.write) }]
    }),
    yield* Row.measure(sizes.rounds, {
      measured: "watch: a write until the last who watches was told, through client and server",
      unit: "ms",
      ours: {
        name: `${many.toLocaleString("en")} watchers`,
        sample: millis(Effect.andThen(crowd.write, crowd.told), 10)
      },
      peers: [
        { name: `${some} watchers`, sample: millis(Effect.andThen(several.write, several.told), 10) },
        { name: `${few} watcher`, sample: millis(Effect.andThen(one.write, one.told), 10) }
      ]
    }),
    // At the end, for it leaves behind what nobody has waited for.
    yield* Row.measure(sizes.rounds, {
      measured: "watch: a write, one after another, through client and server",
      unit: "ms",
      ours: { name: `${some} watchers`, sample: millis(several.write) },
      peers: [
        { name: `${few} watcher`, sample: millis(one.write) },
        { name: "nobody", sample: millis(nobody.write) }
      ]
    })
  ]
})

// -----------------------------------------------------------------------------
// What watchers cost
// -----------------------------------------------------------------------------

interface Watched {
  /** Writes once. */
  readonly write: Effect.Effect<unknown>
  /** Writes once, and waits until everybody who watches has been told. */
  readonly writeAndTell: Effect.Effect<unknown>
}

/** The engine on a file, with so many collections, each watched so many times. */
const watchers = Effect.fnUntraced(function*(
  collections: number,
  each: number
): Effect.fn.Return<Watched, never, Scope.Scope> {
  const folder = yield* TemporaryFolder.make
  const built = yield* Effect.orDie(Layer.build(Database.layerFile({ filename: join(folder, "watched.db") })))
  const { collection } = Context.get(built, Database.Database)
  let opened = 0
  let told = 0
  const watch = (orders: Database.Collection) =>
    Effect.forkScoped(
      Stream.runForEach(orders.watch(), ({ _tag }) => Effect.sync(() => _tag === "Changed" ? told++ : opened++))
    )
  const orders = (index: number) => collection({ database: "bench", collection: `orders ${index}` })
  for (let index = 0; index < collections; index++) {
    yield* Effect.orDie(orders(index).insertOne(Orders.order(0)))
    for (let count = 0; count < each; count++) yield* watch(orders(index))
  }
  const until = (done: () => boolean) =>
    Effect.whileLoop({ while: () => !done(), body: () => Effect.yieldNow, step: () => {} })
  yield* until(() => opened >= collections * each)
  const write = Effect.orDie(orders(0).updateOne({ _id: "order-0" }, { $inc: { visits: 1 } }))
  return {
    write,
    writeAndTell: Effect.suspend(() => {
      const before = told
      return Effect.andThen(write, until(() => told >= before + each))
    })
  }
})

const costs = Effect.fnUntraced(function*(
  sizes: Sizes
): Effect.fn.Return<ReadonlyArray<Row.Row>, never, Scope.Scope> {
  const { few, many, some } = sizes.watchers
  const setUps = [
    { name: `${many.toLocaleString("en")} watchers of one collection`, watched: yield* watchers(1, many) },
    { name: `${some} watchers`, watched: yield* watchers(1, some) },
    { name: `${few} watcher`, watched: yield* watchers(1, few) },
    { name: `${many.toLocaleString("en")} collections with a watcher each`, watched: yield* watchers(many, 1) },
    { name: "nobody", watched: yield* watchers(1, 0) }
  ]
  const row = (measured: string, operation: keyof Watched, times: number, aim: Row.Aim | undefined) => {
    const [ours, ...peers] = setUps.map(({ name, watched }): Row.Measurement<never, never> => ({
      name,
      sample: Row.cost(watched[operation], times)
    }))
    return Row.measure(sizes.rounds, {
      measured,
      unit: "µs",
      ours: { ...ours!, ...(aim === undefined ? undefined : { aim }) },
      peers
    })
  }
  const times = Math.min(sizes.repetitions, 50)
  return [
    yield* row("engine: a write that is watched", "write", times, { _tag: "AtMost", bound: 2000 }),
    yield* row("engine: a write, until all watchers are told", "writeAndTell", times, undefined)
  ]
})

export const rows = Effect.fnUntraced(function*(
  sizes: Sizes
): Effect.fn.Return<ReadonlyArray<Row.Row>, never, Scope.Scope> {
  return [...(yield* Effect.scoped(throughServer(sizes))), ...(yield* Effect.scoped(costs(sizes)))]
})
