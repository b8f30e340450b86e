/**
 * What operations on documents cost: through client and server over a socket, in a large collection and in a small one,
 * with rules and without, beside the embedded engine alone, and beside MongoDB where `MONGODB_URL` names one.
 */
import { App, Collection, Credentials, type Filter, TokenStore, User } from "@effect-realm/client"
import { Database } from "@effect-realm/server"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import type * as Scope from "effect/Scope"
import { MongoClient } from "mongodb"
import { join } from "node:path"
import * as Bystander from "./Bystander.ts"
import * as Orders from "./Orders.ts"
import * as OrderServer from "./OrderServer.ts"
import * as Row from "./Row.ts"
import type { Sizes } from "./Sizes.ts"
import * as TemporaryFolder from "./TemporaryFolder.ts"

type Operation = keyof Orders.Workload<unknown>

/** Somebody who works on a collection; it answers what one operation cost, in microseconds, as the mean of so many. */
interface Worker {
  readonly name: string
  readonly cost: (operation: Operation, times: number, millis: number) => Effect.Effect<number>
}

const throughServer = Effect.fnUntraced(function*(
  origin: string
): Effect.fn.Return<(name: string, database: string, collection: string, count: number) => Worker, never, Scope.Scope> {
  const runtime = yield* Effect.acquireRelease(
    Effect.sync(() => ManagedRuntime.make(Layer.merge(NodeHttpClient.layerUndici, TokenStore.layerMemory))),
    (runtime) => runtime.disposeEffect
  )
  const app = App.make({ id: Orders.app.appId, baseUrl: origin })
  const user = yield* Effect.promise(() => runtime.runPromise(App.logIn(app, Credentials.anonymous())))
  return (name, database, collection, count) => {
    const orders = User.mongoClient(user).db(database).collection(collection)
    const work = Orders.workload<Effect.Effect<unknown, Collection.FindError, Requirements>>({
      insertOne: (document) => Collection.insertOne(orders, document),
      findOne: (filter) => Collection.findOne(orders, filter),
      find: (filter, options) => Collection.find(orders, filter, options),
      updateOne: (filter, update) => Collection.updateOne(orders, filter, update),
      aggregate: (pipeline) => Collection.aggregate(orders, pipeline)
    }, count)
    return {
      name,
      cost: (operation, times, millis) =>
        Effect.promise(() => runtime.runPromise(Row.cost(Effect.suspend(work[operation]), times, millis)))
    }
  }
})

type Requirements = Effect.Services<ReturnType<typeof Collection.count<Filter.Document, Filter.Document>>>

/** The engine in this process, with the same orders in a file of its own. */
const engineAlone = Effect.fnUntraced(function*(count: number): Effect.fn.Return<Worker, never, Scope.Scope> {
  const folder = yield* TemporaryFolder.make
  const built = yield* Effect.orDie(Layer.build(Database.layerFile({ filename: join(folder, "engine.db") })))
  const { collection } = Context.get(built, Database.Database)
  const orders = collection({ database: "large", collection: Orders.collections.open }, { numbers: "exact" })
  yield* Effect.orDie(Orders.fill(orders, count))
  const work = Orders.workload<Effect.Effect<unknown, Database.DatabaseError>>(orders, count)
  return {
    name: "the embedded engine alone",
    cost: (operation, times, millis) => Effect.orDie(Row.cost(Effect.suspend(work[operation]), times, millis))
  }
})

/** MongoDB by its own driver, or what answers like it, in a database of its own that is gone afterwards. */
const mongoDb = Effect.fnUntraced(function*(url: string, count: number): Effect.fn.Return<Worker, never, Scope.Scope> {
  const client = yield* Effect.acquireRelease(
    Effect.promise(() => new MongoClient(url).connect()),
    (client) => Effect.promise(() => client.close())
  )
  const database = yield* Effect.acquireRelease(
    Effect.sync(() => client.db(`effect_realm_bench_${process.pid}`)),
    (database) => Effect.promise(() => database.dropDatabase())
  )
  const orders = database.collection<Pick<Orders.Order, "_id" | "visits">>(Orders.collections.open)
  yield* Effect.promise(async () => {
    await orders.createIndex({ number: 1 })
    await orders.insertMany(Array.from({ length: count }, (_, number) => Orders.order(number)))
  })
  const work = Orders.workload<Promise<unknown>>({
    insertOne: (document) => orders.insertOne(document),
    findOne: (filter) => orders.findOne(filter),
    find: (filter, options) => orders.find(filter, options).toArray(),
    updateOne: (filter, update) => orders.updateOne(filter, update),
    aggregate: (pipeline) => orders.aggregate(pipeline).toArray()
  }, count)
  return {
    name: "MongoDB by its driver",
    cost: (operation, times, millis) => Row.cost(Effect.promise(work[operation]), times, millis)
  }
})

/** What is measured, how, and what does not depend on how many documents there are. */
const measured: ReadonlyArray<{
  readonly operation: Operation
  readonly name: string
  readonly byKey: boolean
  /** How many times as dear as `findOne` it is, about. */
  readonly weight: number
}> = [
  { operation: "insertOne", name: "insertOne", byKey: true, weight: 1 },
  { operation: "findOne", name: "findOne by `_id`", byKey: true, weight: 1 },
  { operation: "find100", name: "find 100 by an index", byKey: true, weight: 4 },
  { operation: "updateOne", name: "updateOne by an index", byKey: true, weight: 1 },
  { operation: "aggregate", name: "aggregate 1,000: match, group, sort", byKey: false, weight: 10 }
]

/** A cost that is the same in a collection of any size, as far as caches and collected garbage let a figure tell. */
const flat: Row.Aim = { _tag: "AtMost", bound: 1.5 }

const cheapRules: Row.Aim = { _tag: "AtMost", bound: 1.2 }

export const rows = Effect.fnUntraced(function*(
  sizes: Sizes
): Effect.fn.Return<ReadonlyArray<Row.Row>, never, Scope.Scope> {
  const { few, many } = sizes.documents
  const origin = yield* OrderServer.start(sizes)
  const worker = yield* throughServer(origin)
  const { open, ruled } = Orders.collections
  const large = worker(`client and server, ${many.toLocaleString("en")} documents`, "large", open, many)
  const small = worker(`client and server, ${few.toLocaleString("en")} documents`, "small", open, few)
  const underRules = worker("under a list of fields and a filter", "large", ruled, many)
  const withoutRules = { ...large, name: "everything allowed" }
  const engine = yield* engineAlone(many)
  const url = process.env["MONGODB_URL"]
  const peers = url === undefined ? [engine] : [engine, yield* mongoDb(url, many)]

  const row = (
    what: string,
    { name, operation, weight }: (typeof measured)[number],
    ours: Worker,
    others: ReadonlyArray<readonly [Worker, Row.Aim | undefined]>
  ) => {
    const times = Math.max(1, Math.round(Math.min(sizes.repetitions, 200) / weight))
    const measurement = ({ cost, name }: Worker, aim?: Row.Aim): Row.Measurement<never, never> => ({
      name,
      sample: cost(operation, times, sizes.millis),
      ...(aim === undefined ? undefined : { aim })
    })
    return Row.measure(sizes.rounds, {
      measured: `${what}: ${name}`,
      unit: "µs",
      ours: measurement(ours),
      peers: others.map(([worker, aim]) => measurement(worker, aim))
    })
  }

  return [
    ...(yield* Effect.forEach(measured, (one) =>
      row("documents", one, large, [
        [small, one.byKey ? flat : undefined],
        ...peers.map((worker) => [worker, undefined] as const)
      ]))),
    ...(yield* Effect.forEach(measured, (one) =>
      row("documents under rules", one, underRules, [
        [withoutRules, one.operation === "findOne" ? cheapRules : undefined]
      ]))),
    ...(yield* Bystander.rows(origin, sizes))
  ]
})
