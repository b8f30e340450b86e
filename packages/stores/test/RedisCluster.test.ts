import { TokenStore } from "@effect-realm/client"
import { SessionStorage } from "@effect-realm/client/SessionStorage"
import type { SessionKey } from "@effect-realm/client/TokenStore"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redis from "effect/persistence/Redis"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as SessionStorageContract from "../../client/test/SessionStorage.contract.ts"
import * as TokenStoreContract from "../../client/test/TokenStore.contract.ts"
import * as RedisCluster from "../src/RedisCluster.ts"
import * as RedisSessionStorage from "../src/RedisSessionStorage.ts"
import { outage } from "./outage.ts"
import * as Instance from "./support/redis.ts"

const over = (nodes: ReadonlyArray<Instance.Node>) =>
  RedisCluster.layer({
    rootNodes: nodes.map(({ port }) => ({ url: `redis://127.0.0.1:${port}` })),
    defaults: { disableOfflineQueue: true }
  })

describe.skipIf(!Instance.isInstalled)("RedisCluster", () => {
  const scope = Scope.makeUnsafe()
  let nodes: ReadonlyArray<Instance.Node>
  beforeAll(async () => {
    nodes = await Effect.runPromise(Scope.provide(Instance.cluster, scope))
  })
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

  const cluster = Layer.suspend(() => over(nodes))
  const place = Layer.provide(RedisSessionStorage.layer, cluster)
  SessionStorageContract.contract("a Redis cluster", place)

  // A cluster has one database, so each place is what is of other apps.
  let places = 0
  const newPlace = Layer.provide(Layer.effect(SessionStorage, Effect.map(SessionStorage, apart)), place)
  function apart(storage: SessionStorage["Service"]): SessionStorage["Service"] {
    const own = `place ${places++} `
    const at = <Key extends SessionKey>(key: Key): Key => ({ ...key, appId: own + key.appId })
    return SessionStorage.of({
      read: (key) => storage.read(at(key)),
      app: (appId) => storage.app(own + appId),
      rows: (appId) => storage.rows(own + appId),
      write: (key, write) => storage.write(at(key), write),
      depart: (key) => storage.depart(at(key)),
      acquire: (key, holder, life) => storage.acquire(at(key), holder, life),
      release: (key, holder) => storage.release(at(key), holder),
      log: (appId, after) => storage.log(own + appId, after),
      news: (appId) => storage.news(own + appId)
    })
  }
  TokenStoreContract.contract("a Redis cluster", Layer.provide(TokenStore.layerStorage, newPlace), { runs: 10 })

  it.live("tells who listens at one node of changes at all of them, and gives each lease to one at a time", () =>
    Effect.gen(function*() {
      const open = Effect.map(
        Layer.build(Layer.fresh(Layer.provide(TokenStore.layerStorage, place))),
        (services) => Context.get(services, TokenStore.TokenStore)
      )
      const [here, there] = [yield* open, yield* open]
      yield* Effect.forEach(
        Array.from({ length: 6 }, (_, number) => `told app ${number}`),
        (appId) =>
          Effect.gen(function*() {
            const key = { appId, userId: "ann" }
            const told = yield* Queue.unbounded<string>()
            yield* Effect.forkScoped(
              Stream.runForEach(there.appChanges(appId), ({ _tag }) => Queue.offer(told, _tag))
            )
            assert.strictEqual(yield* Queue.take(told), "Snapshot")
            const order: Array<string> = []
            const begun = yield* Deferred.make<void>()
            const second = yield* Effect.forkScoped(Effect.andThen(
              Deferred.await(begun),
              there.lease(key, Effect.sync(() => order.push("there")))
            ))
            yield* here.lease(
              key,
              Effect.gen(function*() {
                yield* Deferred.succeed(begun, undefined)
                yield* Effect.provideService(TokenStoreContract.changes.logIn(key), TokenStore.TokenStore, here)
                assert.strictEqual(yield* Queue.take(told), "LoggedIn")
                order.push("here")
              })
            )
            yield* Fiber.join(second)
            assert.deepStrictEqual(order, ["here", "there"])
          }),
        { concurrency: "unbounded", discard: true }
      )
    }).pipe(Effect.scoped))

  it.live("keeps the apps on all nodes, and what is of one app in one slot", () =>
    Effect.gen(function*() {
      const services = yield* Layer.build(
        Layer.provideMerge(Layer.provide(TokenStore.layerStorage, RedisSessionStorage.layer), cluster)
      )
      const { send } = Context.get(services, Redis.Redis)
      const store = Context.get(services, TokenStore.TokenStore)
      const slotOf = (key: string) => send<number>("CLUSTER", "KEYSLOT", key)
      const found = new Set<number>()
      for (let number = 0; number < 12; number++) {
        const key = { appId: `app ${number}`, userId: "ann" }
        yield* Effect.provideContext(TokenStoreContract.changes.logIn(key), services)
        yield* store.depart(key)
        const name = (of: string) => `effect-realm:{${encodeURIComponent(key.appId)}}:${of}`
        // Asked of the node that has the first of them: it refuses what is in another slot.
        const there = yield* store.lease(
          key,
          send<number>("EXISTS", ...["app", "sessions", "log", "departed", "departedAt", "lease:ann"].map(name))
        )
        assert.strictEqual(there, 6)
        found.add(Math.floor((yield* slotOf(name("app"))) * 3 / 16_384))
      }
      assert.deepStrictEqual([...found].toSorted(), [0, 1, 2])
    }).pipe(Effect.scoped))

  it.live("hands out connections of their own, and fails typed when no node is there", () =>
    Effect.gen(function*() {
      const redis = Context.get(yield* Layer.build(cluster), Redis.Redis)
      const { send } = yield* redis.reserve
      assert.strictEqual(yield* send("SET", "a key", "a value"), "OK")
      assert.strictEqual(yield* redis.send("GET", "a key"), "a value")
      const nowhere = RedisCluster.layer({ rootNodes: [{ url: "redis://127.0.0.1:1" }] })
      const error = yield* Effect.flip(Layer.build(nowhere))
      assert.strictEqual(error._tag, "RedisError")
    }).pipe(Effect.scoped, Effect.provide(Logger.layer([]))))
})

describe.skipIf(!Instance.isInstalled)("RedisCluster", () => {
  outage(
    "a node of a cluster is away",
    Effect.gen(function*() {
      const nodes = yield* Instance.cluster
      const slot = yield* Effect.orDie(Effect.provide(
        Redis.Redis.use(({ send }) => send<number>("CLUSTER", "KEYSLOT", "{shop-abcde}")),
        over(nodes)
      ))
      const { start, stop } = nodes[Math.floor(slot * 3 / 16_384)]!
      return { place: Layer.provide(RedisSessionStorage.layer, over(nodes)), begin: stop, end: start }
    })
  )
})
