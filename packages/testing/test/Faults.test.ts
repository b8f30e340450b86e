import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, Layer, Stream } from "effect"
import { HttpClient, HttpClientRequest, HttpServerResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { Faults, Requests } from "../src/index.ts"

const base = "http://localhost:9090/api/client/v2.0"
const profile = HttpClientRequest.get(`${base}/auth/profile`)
const exchange = HttpClientRequest.post(`${base}/auth/session`)

/** A server that answers with how many requests it ran. */
const makeServer = () => {
  const state = { ran: 0 }
  const layer = Layer.succeed(
    HttpClient.HttpClient,
    HttpClient.make((request) =>
      Effect.sync(() =>
        HttpServerResponse.toClientResponse(HttpServerResponse.jsonUnsafe({ ran: ++state.ran }), { request })
      )
    )
  )
  return { layer, state }
}

const send = (request: HttpClientRequest.HttpClientRequest) =>
  HttpClient.execute(request).pipe(
    Effect.flatMap((response) => Effect.map(response.text, (text) => ({ status: response.status, text })))
  )

describe("Faults", () => {
  it.effect("drop a request before or after the server ran it", () =>
    Effect.gen(function*() {
      const { layer, state } = makeServer()
      yield* Effect.gen(function*() {
        const before = yield* Effect.flip(send(profile).pipe(Faults.inject(Faults.at({}, Faults.dropBefore))))
        assert.strictEqual(before.reason._tag, "TransportError")
        assert.strictEqual(state.ran, 0)
        const after = yield* Effect.flip(
          send(profile).pipe(Faults.inject(Faults.seeded(7, {
            rate: 1,
            faults: [Faults.dropAfter]
          })))
        )
        assert.include(after.message, "seed 7")
        assert.strictEqual(state.ran, 1)
      }).pipe(Effect.provide(layer))
    }))

  it.effect("answer in the server's place, with a content type or an empty one", () =>
    Effect.gen(function*() {
      const { layer, state } = makeServer()
      yield* Effect.gen(function*() {
        const plan = Faults.all(
          Faults.at({ nth: 1 }, Faults.html),
          Faults.at({ nth: 2 }, Faults.answer({ status: 299, body: "x", contentType: "", ran: true }))
        )
        yield* Effect.gen(function*() {
          const page = yield* HttpClient.execute(profile)
          assert.strictEqual(page.status, 502)
          assert.strictEqual(page.headers["content-type"], "text/html; charset=utf-8")
          assert.strictEqual(state.ran, 0)
          const odd = yield* HttpClient.execute(profile)
          assert.strictEqual(odd.status, 299)
          assert.strictEqual(odd.headers["content-type"], "")
          assert.strictEqual(yield* odd.text, "x")
          assert.strictEqual(state.ran, 1)
          assert.strictEqual((yield* send(profile)).text, "{\"ran\":2}")
        }).pipe(Faults.inject(plan))
      }).pipe(Effect.provide(layer))
    }))

  it.effect("end bodies early, silently or with an error", () =>
    Effect.gen(function*() {
      const { layer } = makeServer()
      yield* Effect.gen(function*() {
        const short = yield* send(profile).pipe(Faults.inject(Faults.at({}, Faults.truncate())))
        assert.deepStrictEqual(short, { status: 200, text: "{\"ra" })
        const error = yield* Effect.flip(
          send(profile).pipe(Faults.inject(Faults.at({}, Faults.breakOff({ bytes: 1 }))))
        )
        assert.strictEqual(error._tag, "HttpClientError")
        const bytes = yield* HttpClient.execute(profile).pipe(
          Faults.inject(Faults.at({}, Faults.truncate({ bytes: 2 }))),
          Effect.flatMap((response) => Stream.runCollect(response.stream))
        )
        assert.strictEqual(new TextDecoder().decode(bytes[0]), "{\"")
      }).pipe(Effect.provide(layer))
    }))

  it.effect("stall headers and bodies until the caller gives up", () =>
    Effect.gen(function*() {
      const { layer, state } = makeServer()
      yield* Effect.gen(function*() {
        for (const fault of [Faults.stallHeaders, Faults.stallBody]) {
          const fiber = yield* Effect.forkChild(
            Effect.timeoutOption(send(profile), "1 minute").pipe(Faults.inject(Faults.at({}, fault)))
          )
          yield* TestClock.adjust("59 seconds")
          assert.isUndefined(fiber.pollUnsafe())
          yield* TestClock.adjust("1 second")
          assert.strictEqual((yield* Fiber.join(fiber))._tag, "None")
        }
        assert.strictEqual(state.ran, 2)
      }).pipe(Effect.provide(layer))
    }))

  it.effect("delay on the test's clock, before and after, together with other faults", () =>
    Effect.gen(function*() {
      const { layer, state } = makeServer()
      const plan = Faults.at({}, Faults.delay("1 hour", { answer: "1 hour" }), Faults.duplicate)
      const fiber = yield* Effect.forkChild(
        Effect.andThen(send(profile), Clock.currentTimeMillis).pipe(Faults.inject(plan), Effect.provide(layer))
      )
      yield* TestClock.adjust("59 minutes")
      assert.strictEqual(state.ran, 0)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(state.ran, 2)
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(yield* Fiber.join(fiber), 2 * 3_600_000)
    }))

  it.effect("count the n-th request of an endpoint, anew for each use of a plan", () =>
    Effect.gen(function*() {
      const { layer } = makeServer()
      const plan = Faults.at({ endpoint: "refreshSession", nth: [2] }, Faults.html)
      const run = Effect.gen(function*() {
        const statuses: Array<number> = []
        for (const request of [exchange, profile, exchange, exchange]) statuses.push((yield* send(request)).status)
        return statuses
      }).pipe(Faults.inject(plan), Effect.provide(layer))
      assert.deepStrictEqual(yield* run, [200, 200, 502, 200])
      assert.deepStrictEqual(yield* run, [200, 200, 502, 200])
    }))

  it.effect("meet the same requests for the same seed, whatever other endpoints are asked", () =>
    Effect.gen(function*() {
      const { layer } = makeServer()
      const outcomes = (seed: number, others: boolean) =>
        Effect.gen(function*() {
          const statuses: Array<number> = []
          for (let n = 0; n < 50; n++) {
            statuses.push((yield* send(profile)).status)
            if (others) yield* send(exchange)
          }
          return statuses
        }).pipe(Faults.inject(Faults.seeded(seed, { faults: [Faults.html] })), Effect.provide(layer))
      const first = yield* outcomes(1, false)
      assert.deepStrictEqual(yield* outcomes(1, true), first)
      assert.notDeepEqual(yield* outcomes(2, false), first)
      const met = first.filter((status) => status === 502).length
      assert.isTrue(met > 5 && met < 25, `${met} of 50 at a rate of 0.3`)
    }))

  it.effect("tell the seed of a failing exploration", () =>
    Effect.gen(function*() {
      const { layer } = makeServer()
      const options = { rate: 0.2, faults: [Faults.html] }
      const program = (plan: Faults.Plan) =>
        Effect.gen(function*() {
          assert.strictEqual((yield* send(profile)).status, 200)
        }).pipe(Faults.inject(plan), Effect.provide(layer))
      const error = yield* Effect.flip(Faults.explore(options, program))
      assert.isAbove(error.seed, 1)
      assert.include(error.message, `Faults.seeded(${error.seed}, …)`)
      assert.include(error.message, "AssertionError")
      const again = yield* Effect.flip(Faults.explore({ ...options, first: error.seed, seeds: 1 }, program))
      assert.strictEqual(again.seed, error.seed)
      assert.strictEqual(yield* Faults.explore({ ...options, seeds: error.seed - 1 }, program), error.seed - 1)
    }))
})

describe("Requests", () => {
  it.effect("are logged with endpoint, bearer and outcome, and without a token", () =>
    Effect.gen(function*() {
      const { layer } = makeServer()
      const token = (claims: object) => `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.sig`
      yield* Effect.gen(function*() {
        const requests = yield* Requests.Requests
        yield* send(HttpClientRequest.bearerToken(profile, token({ sub: "ann", typ: "access" })))
        yield* send(HttpClientRequest.bearerToken(exchange, token({ sub: "bob", typ: "refresh" })))
        yield* send(HttpClientRequest.bearerToken(profile, "opaque"))
        yield* send(HttpClientRequest.get("http://localhost:9090/elsewhere?secret=1"))
        yield* Effect.exit(send(profile))
        const slow = yield* Effect.forkChild(send(profile))
        yield* TestClock.adjust("1 second")
        yield* Fiber.interrupt(slow)
        const log = yield* requests.sent()
        assert.deepStrictEqual(
          log.map(({ bearer, endpoint, outcome }) => [endpoint, bearer._tag, outcome._tag]),
          [
            ["profile", "Access", "Answered"],
            ["refreshSession", "Refresh", "Answered"],
            ["profile", "Unknown", "Answered"],
            [undefined, "None", "Answered"],
            ["profile", "None", "Failed"],
            ["profile", "None", "Interrupted"]
          ]
        )
        assert.strictEqual(yield* requests.count({ userId: "ann" }), 1)
        assert.strictEqual(yield* requests.count({ endpoint: ["profile", "refreshSession"] }), 5)
        assert.isFalse(JSON.stringify(log).includes("e30."))
        assert.isFalse(JSON.stringify(log).includes("secret"))
        yield* requests.clear
        assert.strictEqual(yield* requests.count(), 0)
      }).pipe(Effect.provide(
        Requests.layer.pipe(
          Layer.provide(Faults.layer(Faults.all(
            Faults.at({ nth: 5 }, Faults.dropBefore),
            Faults.at({ nth: 6 }, Faults.stallHeaders)
          ))),
          Layer.provide(layer)
        )
      ))
    }))

  it.effect("fail only by the server's own faults", () =>
    Effect.gen(function*() {
      const { layer } = makeServer()
      const exit = yield* Effect.exit(send(profile).pipe(Faults.inject(Faults.none), Effect.provide(layer)))
      assert.isTrue(Exit.isSuccess(exit))
    }))
})
