import { TokenStore } from "@effect-realm/client"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redis from "effect/persistence/Redis"
import * as Scope from "effect/Scope"
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
  SessionStorageContract.contract("a Redis cluster", Layer.provide(RedisSessionStorage.layer, cluster))

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
          send<number>("EXISTS", ...["app", "sessions", "log", "departed:ann", "lease:ann"].map(name))
        )
        assert.strictEqual(there, 5)
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
