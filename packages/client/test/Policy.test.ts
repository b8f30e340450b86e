import * as Faults from "@effect-realm/testing/Faults"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Exit, Layer } from "effect"
import { CircuitBreaker, RateLimiter } from "effect/persistence"
import { TestClock } from "effect/testing"
import { App, type ClientError, Policy, User } from "../src/index.ts"
import * as World from "./laws/world.ts"

const { app, done, failure, inWorld, settled } = World

const limited = (options: Parameters<typeof Policy.layerRateLimit>[0]) =>
  Policy.layerRateLimit(options).pipe(
    Layer.provide(RateLimiter.layer),
    Layer.provide(RateLimiter.layerStoreMemory)
  )

const breaking = (failures: number) =>
  Policy.layerCircuitBreaker().pipe(
    Layer.provide(
      CircuitBreaker.layer({ tripPolicy: CircuitBreaker.consecutive(failures), openDuration: "30 seconds" })
    ),
    Layer.provide(CircuitBreaker.layerStoreMemory())
  )

const reasonOf = (error: { readonly _tag: string }): ClientError.TransportError["reason"] => {
  if (error._tag !== "TransportError") throw new Error(`expected a TransportError, got ${error._tag}`)
  return (error as ClientError.TransportError).reason
}

describe("layers", () => {
  it.effect("lie over each other in any order: what one does not name is as the one below says", () =>
    Effect.gen(function*() {
      const policy = yield* Policy.Policy.pipe(
        Policy.provide({ reads: Policy.never }),
        Effect.provide(
          Policy.layer({ deadline: "7 seconds" }).pipe(
            Layer.provide(Policy.layer({ deadline: "1 second" })),
            Layer.merge(limited({ limit: 1, window: "1 second" })),
            Layer.merge(breaking(1))
          )
        )
      )
      assert.strictEqual(Duration.toSeconds(policy.deadline), 7)
      assert.strictEqual(policy.reads, Policy.never)
    }))

  it.effect("lie over the policy in force, also within their own reach", () =>
    Effect.gen(function*() {
      const hasty = Policy.layer({ deadline: "1 second" })
      const policy = yield* Policy.Policy.pipe(
        Effect.provide(hasty),
        Policy.provide({ reads: Policy.never }),
        Effect.provide(hasty)
      )
      assert.strictEqual(policy.reads, Policy.never)
    }))
})

describe("options", () => {
  it("that would let nothing through, or everything, are refused by name", () => {
    const limited = { limit: 1, window: "1 second" } as const
    const wrong: ReadonlyArray<readonly [option: string, make: () => unknown]> = [
      ...[0, -1, Number.NaN, "soon", { minutes: "x" }].flatMap((input) => {
        // A program without types, or with a number that came from outside.
        const duration = input as never
        return [
          ["deadline", () => Policy.layer({ deadline: duration })],
          ["deadline", () => Policy.provide(Effect.void, { deadline: duration })],
          ["window", () => Policy.layerRateLimit({ ...limited, window: duration })]
        ] as const
      }),
      ...[0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, "7"].map((limit) =>
        ["limit", () => Policy.layerRateLimit({ ...limited, limit: limit as never })] as const
      ),
      ["limit", () => Policy.layerRateLimit(undefined as never)],
      ["reads", () => Policy.layer({ reads: 5 as never })]
    ]
    for (const [option, make] of wrong) assert.throws(make, TypeError, `${option}: expected`)
    assert.doesNotThrow(() => Policy.layer({ deadline: "Infinity" }))
  })
})

describe("the rate limit", () => {
  it.effect("lets requests wait for their turn, and the deadline begins when it is there", () =>
    inWorld({ latency: () => [4000, 0] }, ({ server }) =>
      Effect.gen(function*() {
        yield* done(Effect.all(Array.from({ length: 30 }, () => App.location(app)), { concurrency: "unbounded" }))
        const perWindow = new Map<number, number>()
        for (const { at } of server.asked) {
          const window = Math.floor(at / 10_000)
          perWindow.set(window, (perWindow.get(window) ?? 0) + 1)
        }
        assert.deepStrictEqual([...perWindow.values()], [10, 10, 10])
      }).pipe(
        Policy.provide({ deadline: "5 seconds" }),
        Effect.provide(limited({ limit: 10, window: "10 seconds" }))
      )))

  it.effect("fails typed at once when it is told to, nothing is sent, and the session is kept", () =>
    inWorld({}, ({ server }) =>
      Effect.gen(function*() {
        const user = yield* World.logIn(server)
        yield* Effect.gen(function*() {
          yield* done(User.callFunction(user, "echo"))
          server.forget()
          server.expire(user.id)
          for (const call of [User.callFunction(user, "echo"), User.refresh(user)]) {
            const reason = reasonOf(failure(yield* settled(call)))
            assert.isTrue(reason._tag === "RateLimited" && reason.retryAfter > 3_500_000)
          }
          assert.strictEqual(server.asked.length, 0)
          assert.strictEqual(yield* User.state(user), "LoggedIn")
        }).pipe(Effect.provide(limited({ limit: 1, window: "1 hour", onExceeded: "fail", key: "calls" })))
      })))

  it.effect("counts what is repeated, and a pause for it that the deadline forbids is not begun", () =>
    inWorld({ script: () => ({ status: 503, body: { error: "later" } }) }, ({ server }) =>
      Effect.gen(function*() {
        const start = yield* Clock.currentTimeMillis
        const error = failure(yield* settled(App.location(app)))
        assert.strictEqual(reasonOf(error)._tag, "RateLimited")
        assert.isBelow((yield* Clock.currentTimeMillis) - start, 2000)
        assert.strictEqual(server.asked.length, 1)
      }).pipe(Effect.provide(limited({ limit: 1, window: "1 hour" })))))
})

describe("the circuit breaker", () => {
  it.effect("sends nothing to a server in trouble until the circuit closes, and sessions are kept", () => {
    let broken = false
    return inWorld(
      { script: () => broken ? { status: 500, body: { error: "broken" } } : undefined },
      ({ server }) =>
        Effect.gen(function*() {
          const user = yield* World.logIn(server)
          broken = true
          const call = User.callFunction(user, "echo")
          yield* settled(call)
          yield* settled(call)
          server.forget()
          server.expire(user.id)
          for (const one of [call, User.refresh(user)]) {
            const reason = reasonOf(failure(yield* settled(one)))
            assert.isTrue(reason._tag === "CircuitOpen" && reason.retryAfter <= 30_000 && reason.retryAfter > 0)
          }
          assert.strictEqual(server.asked.length, 0)
          assert.strictEqual(yield* User.state(user), "LoggedIn")
          broken = false
          yield* TestClock.adjust("30 seconds")
          yield* done(call)
          assert.isTrue(Exit.isSuccess(yield* settled(call)))
        }).pipe(Effect.provide(breaking(2)))
    )
  })

  it.effect("counts stalls and lost connections, but no refusal and no 429", () => {
    let status: number | undefined
    return inWorld({
      script: () => status === undefined ? undefined : { status, body: { error: "no" } }
    }, ({ server }) =>
      Effect.gen(function*() {
        const user = yield* World.logIn(server)
        const call = User.callFunction(user, "echo")
        for (status of [400, 403, 404, 429]) {
          for (let n = 0; n < 3; n++) yield* settled(call)
        }
        status = undefined
        yield* done(call)
        const faults = Faults.all(
          Faults.at({ nth: 1 }, Faults.stallBody),
          Faults.at({ nth: 2 }, Faults.breakOff())
        )
        const error = yield* Effect.gen(function*() {
          yield* settled(call)
          yield* settled(call)
          return failure(yield* settled(call))
        }).pipe(Faults.inject(faults))
        assert.strictEqual(reasonOf(error)._tag, "CircuitOpen")
      }).pipe(Effect.provide(breaking(2))))
  })

  it.effect("stays open for as long as the server said", () => {
    let broken = true
    return inWorld({
      script: () => broken ? { status: 503, body: { error: "no" }, headers: { "retry-after": "300" } } : undefined
    }, ({ server }) =>
      Effect.gen(function*() {
        yield* settled(App.location(app))
        broken = false
        yield* TestClock.adjust("290 seconds")
        assert.strictEqual(reasonOf(failure(yield* settled(App.location(app))))._tag, "CircuitOpen")
        yield* TestClock.adjust("10 seconds")
        yield* done(App.location(app))
        assert.strictEqual(server.asked.length, 2)
      }).pipe(Effect.provide(breaking(1))))
  })
})
