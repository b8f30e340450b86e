import { TokenStore } from "@effect-realm/client"
import * as NodeRedis from "@effect/platform-node/NodeRedis"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Redis from "effect/persistence/Redis"
import * as Queue from "effect/Queue"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as SessionStorageContract from "../../client/test/SessionStorage.contract.ts"
import * as TokenStoreContract from "../../client/test/TokenStore.contract.ts"
import * as RedisSessionStorage from "../src/RedisSessionStorage.ts"
import * as Instance from "./redis.ts"

const over = (instance: () => Instance.Redis, database = 0) =>
  Layer.suspend(() =>
    NodeRedis.layer({ disableOfflineQueue: true, database, socket: { path: instance().path, tls: false } })
  )

const open = (instance: Instance.Redis) =>
  Effect.map(
    Layer.build(Layer.fresh(
      TokenStore.layerStorage.pipe(
        Layer.provide(RedisSessionStorage.layer),
        Layer.provide(over(() => instance))
      )
    )),
    (context) => Context.get(context, TokenStore.TokenStore)
  )

const key = { appId: "shop", userId: "ann" }

describe.skipIf(!Instance.isInstalled)("RedisSessionStorage", () => {
  const scope = Scope.makeUnsafe()
  let instance: Instance.Redis
  beforeAll(async () => {
    instance = await Effect.runPromise(Scope.provide(Instance.make, scope))
  })
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

  const layer = Layer.provide(RedisSessionStorage.layer, over(() => instance))

  let databases = 1
  const newDatabase = Layer.suspend(() => over(() => instance, databases++))

  SessionStorageContract.contract("Redis", layer)
  TokenStoreContract.contract(
    "Redis",
    Layer.provide(TokenStore.layerStorage, Layer.provide(RedisSessionStorage.layer, newDatabase)),
    { runs: 20 }
  )

  it.live("writes keys of one user into one slot, none without its app, and no id that means something to Redis", () =>
    Effect.gen(function*() {
      const store = yield* open(instance)
      const inStore = Effect.provideService(TokenStore.TokenStore, store)
      const odd = { appId: "a}b{c", userId: "x:y{z} \n*" }
      yield* inStore(TokenStoreContract.changes.logIn(odd))
      yield* store.depart(odd)
      const found = yield* store.lease(
        odd,
        Effect.provide(Redis.Redis.use((redis) => redis.send<Array<string>>("KEYS", "*")), over(() => instance))
      )
      const own = found.filter((key) => key.includes("%7Db%7B"))
      assert.strictEqual(own.length, 7)
      for (const key of own) assert.isTrue(key.startsWith("effect-realm:{a%7Db%7Bc}:"), key)
      assert.deepStrictEqual(yield* store.users(odd.appId), [odd.userId])
    }).pipe(Effect.scoped))

  it.live("lets a row that somebody else has written cost one user", () =>
    Effect.gen(function*() {
      const store = yield* open(instance)
      const inStore = Effect.provideService(TokenStore.TokenStore, store)
      const [ann, bob] = [{ appId: "foreign", userId: "ann" }, { appId: "foreign", userId: "bob" }]
      yield* inStore(TokenStoreContract.changes.logIn(ann))
      yield* inStore(TokenStoreContract.changes.logIn(bob))
      yield* Effect.provide(
        Redis.Redis.use((redis) => redis.send("HSET", "effect-realm:{foreign}:sessions", "ann", "not a row")),
        over(() => instance)
      )
      assert.strictEqual((yield* Effect.flip(store.get(ann))).reason._tag, "Damaged")
      assert.deepStrictEqual(yield* store.users("foreign"), ["bob"])
      const logIn = {
        expected: 0,
        session: Option.some(TokenStoreContract.session(ann)),
        event: { _tag: "LoggedIn", providerType: "local-userpass" },
        makeCurrent: true
      } as const
      assert.strictEqual((yield* store.commit(ann, logIn))._tag, "Committed")
      assert.isTrue(Option.isSome(yield* store.get(ann)))
    }).pipe(Effect.scoped, Effect.provide(Logger.layer([]))))
})

describe.skipIf(!Instance.isInstalled)("A Redis that crashes", () => {
  it.live("fails operations typed while it is away, and tells what happened meanwhile", () =>
    Effect.gen(function*() {
      const redis = yield* Instance.make
      const [listener, writer] = [yield* open(redis), yield* open(redis)]
      const inWriter = Effect.provideService(TokenStore.TokenStore, writer)
      const told = yield* Queue.unbounded<string>()
      yield* Effect.forkScoped(
        Stream.runForEach(listener.changes(key), (event) => Queue.offer(told, event._tag))
      )
      assert.strictEqual(yield* Queue.take(told), "Snapshot")
      yield* inWriter(TokenStoreContract.changes.logIn(key))
      assert.strictEqual(yield* Queue.take(told), "LoggedIn")

      yield* redis.stop
      assert.strictEqual((yield* Effect.flip(writer.get(key))).reason._tag, "Unavailable")
      assert.strictEqual((yield* Effect.flip(writer.lease(key, Effect.void))).reason._tag, "Unavailable")
      yield* redis.start

      yield* Effect.retry(inWriter(TokenStoreContract.changes.refresh(key)), {
        schedule: Schedule.spaced("20 millis")
      })
      assert.strictEqual(yield* Queue.take(told), "AccessTokenRefreshed")
      yield* inWriter(TokenStoreContract.changes.logOut(key))
      assert.strictEqual(yield* Queue.take(told), "LoggedOut")
      assert.strictEqual(yield* Queue.size(told), 0)
    }).pipe(Effect.scoped, Effect.provide(Logger.layer([]))), 60_000)
})
