/** The limits of several processes, kept by Effect's `RateLimiter` in one Redis: a real one, of the tests' own. */
import { Database, type RateLimits } from "@effect-realm/server"
import * as NodeRedis from "@effect/platform-node/NodeRedis"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as RateLimiter from "effect/persistence/RateLimiter"
import * as TestClock from "effect/testing/TestClock"
import * as Instance from "../../stores/test/support/redis.ts"
import * as Wire from "./support/wire.ts"

const email = "ann@example.com"

const logIn = (address: string, password: string) =>
  Wire.send("POST", `${Wire.providers}/local-userpass/login`, {
    headers: { "x-forwarded-for": address },
    body: { username: email, password }
  })

const right = "correct horse"
const wrong = "wrong horse"

const home = "192.0.2.1"
const elsewhere = "198.51.100.7"

/** Two servers of one app over one database, each with a connection to Redis of its own, as two processes have. */
const twoServers = (instance: Instance.Instance, limits: RateLimits.Options) =>
  Effect.gen(function*() {
    const database = Layer.succeed(Database.Database, yield* Database.Database)
    const limiter = RateLimiter.layer.pipe(
      Layer.provide(RateLimiter.layerStoreRedis({ prefix: "limits:" })),
      Layer.provide(NodeRedis.layer({ disableOfflineQueue: true, socket: { path: instance.path, tls: false } }))
    )
    const open = Effect.map(
      Layer.build(Layer.fresh(Layer.provide(Wire.layer({ limits, proxies: 1 }, database), limiter))),
      (context) => Effect.provideService(HttpClient.HttpClient, Context.get(context, HttpClient.HttpClient))
    )
    return [yield* open, yield* open] as const
  })

const status = <E, R>(answer: Effect.Effect<Wire.Answer, E, R>) => Effect.map(answer, (answer) => answer.status)

describe.skipIf(!Instance.isInstalled)("limits in Redis", { timeout: 60_000 }, () => {
  it.effect("hold for all servers together, come back one by one, and keep no owner out", () =>
    Effect.gen(function*() {
      const instance = yield* Instance.make
      const [first, second] = yield* twoServers(instance, {})
      const each = (count: number, password: string) =>
        Effect.forEach(
          Array.from({ length: count }, (_, index) => index % 2 === 0 ? first : second),
          (server) => status(server(logIn(home, password)))
        )
      const all = (count: number, status: number) => Array.from({ length: count }, () => status)
      yield* first(Wire.register(email))

      // What succeeds counts nowhere.
      assert.deepStrictEqual(yield* each(20, right), all(20, 200))
      assert.deepStrictEqual(yield* each(10, wrong), all(10, 401))
      assert.deepStrictEqual(yield* each(2, right), all(2, 429))
      assert.strictEqual((yield* second(logIn(home, right))).headers["retry-after"], "90")
      assert.strictEqual(yield* status(second(logIn(elsewhere, right))), 200)

      yield* TestClock.adjust("90 seconds")
      assert.deepStrictEqual(yield* each(2, wrong), [401, 429])
      yield* TestClock.adjust("90 seconds")
      assert.deepStrictEqual(yield* each(2, right), [200, 200])
    }).pipe(Effect.scoped, Effect.provide(Database.layerMemory)))

  it.effect("refuse nobody while Redis is away", () =>
    Effect.gen(function*() {
      const instance = yield* Instance.make
      const [server] = yield* twoServers(instance, { failuresPerAccountAndPlace: { limit: 1, window: "1 hour" } })
      yield* server(Wire.register(email))
      assert.strictEqual(yield* status(server(logIn(home, wrong))), 401)
      assert.strictEqual(yield* status(server(logIn(home, right))), 429)
      yield* instance.stop
      const lines: Array<string> = []
      assert.strictEqual(
        yield* status(server(logIn(home, right))).pipe(Effect.provide(Wire.capture(lines))),
        200
      )
      assert.include(lines.join("\n"), "the store of the rate limits failed: nobody is refused")
    }).pipe(Effect.scoped, Effect.provide(Database.layerMemory)))
})
