/**
 * How long it takes until a change is told to who watches, and what watchers cost a write.
 */
import { App, Collection, Credentials, TokenStore, User } from "@effect-realm/client"
import { Database } from "@effect-realm/server"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { join } from "node:path"
import * as Orders from "./Orders.ts"
import * as OrderServer from "./OrderServer.ts"
import * as Row from "./Row.ts"
import type { Sizes } from "./Sizes.ts"
import * as TemporaryFolder from "./TemporaryFolder.ts"

// -----------------------------------------------------------------------------
// From a write to its event
// -----------------------------------------------------------------------------

/** A change through client and server over a socket, until one's own watch has told it; beside it the write alone. */
const event = Effect.fnUntraced(function*(sizes: Sizes): Effect.fn.Return<Row.Row, never, Scope.Scope> {
  const runtime = yield* Effect.acquireRelease(
    Effect.sync(() => ManagedRuntime.make(Layer.merge(NodeHttpClient.layerUndici, TokenStore.layerMemory))),
    (runtime) => runtime.disposeEffect
  )
  const app = App.make({ id: Orders.app.appId, baseUrl: yield* OrderServer.start(sizes) })
  const user = yield* Effect.promise(() => runtime.runPromise(App.logIn(app, Credentials.anonymous())))
  const database = User.mongoClient(user).db("small")
  // Two collections, so that the write alone is one that nobody watches.
  const watched = database.collection(Orders.collections.open)
  const unwatched = database.collection(Orders.collections.ruled)

  const told = yield* Queue.unbounded<"Opened" | "Update">()
  const watching = runtime.runFork(Stream.runForEach(
    Collection.watch(watched),
    ({ _tag }) => _tag === "Opened" || _tag === "Update" ? Queue.offer(told, _tag) : Effect.void
  ))
  yield* Effect.addFinalizer(() => Fiber.interrupt(watching))
  yield* Queue.take(told)

  const write = (orders: typeof watched) => Collection.updateOne(orders, { _id: "order-0" }, { $inc: { visits: 1 } })
  const times = Math.min(sizes.repetitions, 100)
  const millis = <A, E>(effect: Effect.Effect<A, E, Effect.Services<ReturnType<typeof write>>>) =>
    Effect.promise(() => runtime.runPromise(Effect.map(Row.cost(effect, times), (micros) => micros / 1000)))
  return yield* Row.measure(sizes.rounds, {
    measured: "watch: a write until its event is there, through client and server",
    unit: "ms",
    ours: {
      name: "write and event",
      sample: millis(Effect.andThen(write(watched), Queue.take(told))),
      aim: { _tag: "AtMost", bound: 5 }
    },
    peers: [{ name: "a write that nobody watches", sample: millis(write(unwatched)) }]
  })
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
  return [yield* Effect.scoped(event(sizes)), ...(yield* Effect.scoped(costs(sizes)))]
})
