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
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import { inspect } from "node:util"
import * as SessionStorageContract from "../../client/test/SessionStorage.contract.ts"
import * as TokenStoreContract from "../../client/test/TokenStore.contract.ts"
import * as RedisSessionStorage from "../src/RedisSessionStorage.ts"
import * as Gate from "./gate.ts"
import { outage } from "./outage.ts"
import { setBack } from "./setBack.ts"
import * as Instance from "./support/redis.ts"

const connected = (path: string, database = 0) =>
  NodeRedis.layer({ disableOfflineQueue: true, database, socket: { path, tls: false } })

const over = (instance: () => Instance.Instance, database = 0) =>
  Layer.suspend(() => connected(instance().path, database))

const open = (instance: Instance.Instance) =>
  Effect.map(
    Layer.build(Layer.fresh(
      TokenStore.layerStorage.pipe(
        Layer.provide(RedisSessionStorage.layer),
        Layer.provide(over(() => instance))
      )
    )),
    (context) => Context.get(context, TokenStore.TokenStore)
  )

const at = (path: string, database = 0) => Layer.provide(RedisSessionStorage.layer, connected(path, database))

describe.skipIf(!Instance.isInstalled)("RedisSessionStorage", () => {
  const scope = Scope.makeUnsafe()
  let instance: Instance.Instance
  beforeAll(async () => {
    instance = await Effect.runPromise(Scope.provide(Instance.make, scope))
  })
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

  const layer = Layer.provide(RedisSessionStorage.layer, over(() => instance))

  let databases = 2
  const newDatabase = Layer.suspend(() => over(() => instance, databases++))
  const own = over(() => instance, 1)

  SessionStorageContract.contract("Redis", layer)
  TokenStoreContract.contract(
    "Redis",
    Layer.provide(TokenStore.layerStorage, Layer.provide(RedisSessionStorage.layer, newDatabase)),
    { runs: 20 }
  )

  TokenStoreContract.ownPlace("Redis", () => Layer.provide(TokenStore.layerStorage, at(instance.path, databases++)))

  setBack(
    Layer.provide(RedisSessionStorage.layer, own),
    Effect.provide(Redis.Redis.use((redis) => redis.send("FLUSHDB")), own)
  )

  outage(
    "the network to Redis is cut",
    Effect.gen(function*() {
      const { path } = instance
      const { open, shut } = yield* Gate.make(`${path}.gate`, path)
      return { place: at(`${path}.gate`), begin: shut, end: open }
    })
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
      assert.strictEqual(own.length, 8)
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

describe.skipIf(!Instance.isInstalled)("RedisSessionStorage", () => {
  it.live("overwrites nothing when Redis is full or lets nobody in any more, says so, and goes on after it", () =>
    Effect.gen(function*() {
      const instance = yield* Instance.make
      const store = yield* open(instance)
      const key = { appId: "shop", userId: "ann" }
      const inStore = Effect.provideService(TokenStore.TokenStore, store)
      const generation = TokenStoreContract.generation(key)
      const send = yield* Effect.map(
        Layer.build(connected(instance.path)),
        (context) => Context.get(context, Redis.Redis).send
      )
      yield* inStore(TokenStoreContract.changes.logIn(key))

      yield* send("CONFIG", "SET", "maxmemory", "1")
      const full = yield* Effect.flip(inStore(TokenStoreContract.changes.refresh(key)))
      assert.include(full.message, "The token store failed: Redis says: OOM command not allowed")
      assert.strictEqual(yield* inStore(generation), 1)
      yield* send("CONFIG", "SET", "maxmemory", "0")
      yield* inStore(TokenStoreContract.changes.refresh(key))

      yield* send("CONFIG", "SET", "requirepass", "another")
      yield* send("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
      const refused = yield* Effect.flip(store.get(key))
      assert.strictEqual(refused.reason._tag, "Unavailable")
      yield* send("CONFIG", "SET", "requirepass", "")
      yield* Effect.retry(inStore(TokenStoreContract.changes.logOut(key)), Schedule.spaced("20 millis"))
    }).pipe(Effect.scoped, Effect.provide(Logger.layer([]))))

  it.live("forgets who left after an hour and a thousand changes, for an hour may be a clock that was set forward", () =>
    Effect.gen(function*() {
      const instance = yield* Instance.make
      const store = yield* open(instance)
      const { send } = Context.get(yield* Layer.build(connected(instance.path)), Redis.Redis)
      const [ann, bob] = [{ appId: "shop", userId: "ann" }, { appId: "shop", userId: "bob" }]
      const since = yield* store.arrival("shop")
      yield* store.depart(ann)
      yield* send("HSET", "effect-realm:{shop}:departedAt", "ann", "0")
      yield* store.depart(bob)
      const late = store.commit(ann, {
        expected: 0,
        session: Option.some(TokenStoreContract.session(ann)),
        event: { _tag: "LoggedIn", providerType: "local-userpass" },
        makeCurrent: true,
        since
      })
      assert.strictEqual((yield* late)._tag, "Left")
      yield* Effect.replicateEffect(store.depart(bob), 1024, { concurrency: 64 })
      const departed = yield* send<Array<string>>("ZRANGE", "effect-realm:{shop}:departed", "0", "-1")
      const departedAt = yield* send<Array<string>>("HKEYS", "effect-realm:{shop}:departedAt")
      assert.deepStrictEqual([departed, departedAt], [["bob"], ["bob"]])
    }).pipe(Effect.scoped))

  it.live("goes on when Redis has forgotten its scripts", () =>
    Effect.gen(function*() {
      const instance = yield* Instance.make
      const store = yield* open(instance)
      const inStore = Effect.provideService(TokenStore.TokenStore, store)
      const key = { appId: "shop", userId: "ann" }
      const forget = Effect.provide(
        Redis.Redis.use((redis) => redis.send("SCRIPT", "FLUSH", "SYNC")),
        connected(instance.path)
      )
      yield* inStore(TokenStoreContract.changes.logIn(key))
      yield* forget
      yield* inStore(TokenStoreContract.changes.refresh(key))
      yield* forget
      assert.isTrue(Option.isSome(yield* store.get(key)))
    }).pipe(Effect.scoped))

  it.live("is read in one round trip, which takes no lock and writes nothing", () =>
    Effect.gen(function*() {
      const instance = yield* Instance.make
      const store = yield* open(instance)
      const key = { appId: "shop", userId: "ann" }
      yield* Effect.provideService(TokenStoreContract.changes.logIn(key), TokenStore.TokenStore, store)
      yield* store.get(key)
      const { send } = Context.get(yield* Layer.build(connected(instance.path)), Redis.Redis)
      yield* send("CONFIG", "RESETSTAT")
      yield* Effect.replicateEffect(store.get(key), 10)
      const counts = String(yield* send("INFO", "commandstats")).matchAll(/^cmdstat_(\S+?):calls=(\d+)/gm)
      const commands = Object.fromEntries(Array.from(counts, ([, name, calls]) => [name, Number(calls)]))
      // The script is the round trip; the others are asked for by it.
      const { evalsha, hget, time, ...others } = commands
      assert.deepStrictEqual([evalsha, hget, time], [10, 20, 10])
      assert.deepStrictEqual(Object.keys(others).filter((name) => !name.startsWith("config")), [])
    }).pipe(Effect.scoped))

  it.live("is not made when Redis lets nobody in or is not there: its client says why, and not with what", () =>
    Effect.gen(function*() {
      const { path } = yield* Instance.make
      const refused = {
        WRONGPASS: NodeRedis.layer({ username: "somebody", password: "guessed", socket: { path, tls: false } }),
        "connect ENOENT": connected("/nowhere")
      }
      for (const [words, client] of Object.entries(refused)) {
        const error = yield* Effect.flip(Layer.build(Layer.provide(RedisSessionStorage.layer, client)))
        assert.strictEqual(error._tag, "RedisError")
        assert.include(String(error.cause), words)
        assert.notInclude(inspect(error, { depth: 10 }), "guessed")
      }
    }).pipe(Effect.scoped, Effect.provide(Logger.layer([]))))

  outage(
    "Redis has crashed",
    Effect.map(Instance.make, ({ path, start, stop }) => ({ place: at(path), begin: stop, end: start }))
  )

  outage(
    "Redis hangs",
    Effect.map(Instance.make, ({ path, pause, resume }) => ({
      place: at(path),
      begin: pause,
      end: resume,
      lasts: "10 seconds"
    }))
  )
})
