import * as Faults from "@effect-realm/testing/Faults"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Schedule, Schema } from "effect"
import { TestClock } from "effect/testing"
import { App, Credentials, Policy, User } from "../../src/index.ts"
import type * as ModelServer from "./modelServer.ts"
import * as World from "./world.ts"

const { app, done, failure, inWorld, operations, settled } = World

/** Answers of a server, or of something before it, that is in trouble or wants to be left alone. */
const Trouble = Schema.Literals([408, 429, 500, 502, 503, 504])

const answer = (status: number, headers: { readonly [name: string]: string } = {}): ModelServer.Answer => ({
  status,
  body: { error: "not now" },
  headers
})

const elapsed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const start = yield* Clock.currentTimeMillis
    yield* Effect.exit(effect)
    return (yield* Clock.currentTimeMillis) - start
  })

describe("Law 10, writes are sent once", () => {
  it.effect.prop(
    "whatever happens to it, a write is sent once, with a policy that repeats reads without end",
    {
      operation: Schema.Literals([
        "callFunction",
        "refresh",
        "refreshCustomData",
        "linkCredentials",
        "deleteUser",
        "logOut"
      ]),
      fault: Schema.Literals(["DropBefore", "DropAfter", "Html", "BreakOff", "Truncate", "Stall", "429", "503"])
    },
    ({ fault, operation }) =>
      inWorld({}, ({ server }) =>
        Effect.gen(function*() {
          const user = yield* World.logIn(server)
          server.register("linked@model.test")
          server.forget()
          const { endpoint, run } = operations[operation]
          const faults: { readonly [name in typeof fault]: Faults.Fault } = {
            DropBefore: Faults.dropBefore,
            DropAfter: Faults.dropAfter,
            Html: Faults.html,
            BreakOff: Faults.breakOff(),
            Truncate: Faults.truncate(),
            Stall: Faults.stallHeaders,
            "429": Faults.answer({ status: 429, body: "{\"error\":\"later\"}", headers: { "retry-after": "1" } }),
            "503": Faults.answer({ status: 503, body: "{\"error\":\"later\"}", headers: { "retry-after": "1" } })
          }
          let sent = 0
          const counted = Faults.at({
            when: (request) => {
              if (request.endpoint === endpoint) sent++
              return request.endpoint === endpoint
            }
          }, faults[fault])
          yield* settled(
            run(user).pipe(
              Faults.inject(counted),
              Policy.provide({ reads: Schedule.forever })
            )
          )
          assert.strictEqual(sent, 1)
        })),
    World.runs(60)
  )

  it.effect.prop(
    "a read is repeated as often as the policy says, and no more",
    { times: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5 })), status: Trouble },
    ({ status, times }) => {
      let broken = false
      return inWorld({ script: () => broken ? answer(status) : undefined }, ({ server }) =>
        Effect.gen(function*() {
          const user = yield* World.logIn(server)
          server.forget()
          broken = true
          const exit = yield* settled(
            User.refreshProfile(user).pipe(
              Policy.provide({ reads: Schedule.spaced("1 second").pipe(Schedule.upTo({ times })) })
            )
          )
          assert.isTrue(Exit.isFailure(exit))
          assert.strictEqual(server.count("profile"), times + 1)
          assert.strictEqual(server.count("refreshSession"), 0)
        }))
    },
    World.runs(40)
  )

  it.effect.prop(
    "a refusal is no trouble: the read is sent once",
    { status: Schema.Literals([400, 403, 404, 409, 501]) },
    ({ status }) =>
      inWorld(
        { script: ({ endpoint }) => endpoint === "location" ? answer(status) : undefined },
        ({ server }) =>
          Effect.gen(function*() {
            yield* settled(App.location(app))
            assert.strictEqual(server.count("location"), 1)
          })
      ),
    World.runs(10)
  )

  it.effect("by default a read that fails is sent twice more, within a second, and the profile of a log-in is one", () => {
    let failing = 2
    return inWorld({
      script: ({ endpoint }) => endpoint === "profile" && failing-- > 0 ? answer(503) : undefined
    }, ({ server }) =>
      Effect.gen(function*() {
        const time = yield* done(elapsed(App.logIn(app, Credentials.anonymous())))
        assert.strictEqual(server.count("logInAnonymous"), 1)
        assert.strictEqual(server.count("profile"), 3)
        assert.isBelow(time, 1000)
        assert.isAtLeast(time, 0.8 * 600)
        failing = 3
        const user = yield* done(App.logIn(app, Credentials.anonymous()))
        failing = 3
        server.forget()
        const error = failure(yield* settled(User.refreshProfile(user)))
        assert.strictEqual(error._tag, "UnknownServiceError")
        assert.strictEqual(server.count("profile"), 3)
      }))
  })

  it.effect.prop(
    "one call of a read sends its own request at most six times and one exchange, whatever it is answered",
    { answers: Schema.Array(Schema.Literals([200, 401, 408, 429, 500, 503])).check(Schema.isMinLength(1)) },
    ({ answers }) => {
      let script = false
      let next = 0
      return inWorld({
        script: ({ endpoint }) => {
          const status = script && endpoint === "profile" ? answers[next++ % answers.length]! : 200
          return status === 200 ? undefined : answer(status)
        }
      }, ({ server }) =>
        Effect.gen(function*() {
          const user = yield* World.logIn(server)
          server.forget()
          script = true
          yield* settled(User.refreshProfile(user))
          assert.isAtMost(server.count("profile"), 6)
          assert.isAtMost(server.count("refreshSession"), 1)
        }))
    },
    World.runs(60)
  )

  it.effect("a function that the caller declares idempotent is repeated, an exchange within it is not", () =>
    inWorld({}, ({ server }) =>
      Effect.gen(function*() {
        const user = yield* World.logIn(server)
        server.forget()
        const lost = Faults.at({ endpoint: "callFunction", nth: [1, 2] }, Faults.dropAfter)
        yield* done(User.callFunction(user, "echo").pipe(Policy.idempotent, Faults.inject(lost)))
        assert.strictEqual(server.count("callFunction"), 3)
        server.expire(user.id)
        server.forget()
        const exchange = Faults.at({ endpoint: "refreshSession" }, Faults.dropAfter)
        const error = failure(
          yield* settled(User.callFunction(user, "echo").pipe(Policy.idempotent, Faults.inject(exchange)))
        )
        assert.strictEqual(error._tag, "TransportError")
        assert.strictEqual(server.count("refreshSession"), 1)
      })))
})

describe("Retry-After", () => {
  it.effect.prop(
    "is waited for, in seconds or as a date, when it is longer than the pause of the policy",
    {
      seconds: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 30 })),
      form: Schema.Literals(["seconds", "date"])
    },
    ({ form, seconds }) => {
      let asked = 0
      return inWorld({
        script: ({ at, endpoint }) =>
          endpoint === "location" && asked++ === 0
            ? answer(429, {
              "retry-after": form === "seconds" ? String(seconds) : new Date(at + seconds * 1000).toUTCString()
            })
            : undefined
      }, ({ server }) =>
        Effect.gen(function*() {
          const time = yield* done(elapsed(App.location(app)))
          assert.strictEqual(server.count("location"), 2)
          assert.strictEqual(time, seconds * 1000)
        }))
    },
    World.runs(30)
  )

  it.effect("is not waited for when it would end after the deadline: the error says so at once, and how long", () =>
    inWorld({ script: () => answer(429, { "retry-after": "60" }) }, ({ server }) =>
      Effect.gen(function*() {
        assert.strictEqual(yield* done(elapsed(App.location(app))), 0)
        assert.strictEqual(server.count("location"), 1)
        const error = yield* Effect.flip(App.location(app))
        assert.isTrue(
          error._tag === "RequestError" && error.reason._tag === "TooManyRequests" && error.reason.retryAfter === 60_000
        )
        // So does a proxy, whose page is no refusal of the protocol.
        const page = Faults.answer({ status: 429, body: "<html>", headers: { "retry-after": "90" } })
        const proxied = yield* Effect.flip(App.location(app).pipe(Faults.inject(Faults.at({}, page))))
        assert.isTrue(proxied._tag === "InvalidResponseError" && proxied.retryAfter === 90_000)
      })))

  it.effect("that cannot be read is as none", () =>
    inWorld({ script: () => answer(503, { "retry-after": "soon" }) }, ({ server }) =>
      Effect.gen(function*() {
        assert.isBelow(yield* done(elapsed(App.location(app))), 1000)
        assert.strictEqual(server.count("location"), 3)
      })))
})

describe("The deadline", () => {
  it.effect.prop(
    "is one for all attempts and the pauses between them",
    {
      deadline: Schema.Int.check(Schema.isBetween({ minimum: 100, maximum: 20_000 })),
      latency: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 3000 }))
    },
    ({ deadline, latency }) =>
      inWorld({ latency: () => [latency, 0], script: () => answer(503) }, () =>
        Effect.gen(function*() {
          const reads = Schedule.spaced("1 second")
          const time = yield* done(elapsed(App.location(app).pipe(Policy.provide({ deadline, reads }))))
          assert.isAtMost(time, deadline)
        })),
    World.runs(40)
  )

  it.effect("counts the body, and names the policy's own", () =>
    inWorld({}, ({ server }) =>
      Effect.gen(function*() {
        const user = yield* World.logIn(server)
        const call = User.callFunction(user, "echo").pipe(
          Policy.provide({ deadline: "5 seconds" }),
          Faults.inject(Faults.at({ endpoint: "callFunction" }, Faults.stallBody))
        )
        const error = failure(yield* settled(call))
        assert.strictEqual(error._tag, "TransportError")
        assert.include(error.message, "no whole answer within 5000 ms")
        assert.strictEqual(yield* done(elapsed(call)), 5000)
      })))

  it.effect("may be none", () =>
    inWorld({ latency: () => [300_000, 0] }, ({ server }) =>
      Effect.gen(function*() {
        yield* done(App.location(app).pipe(Policy.provide({ deadline: Number.POSITIVE_INFINITY })))
        assert.strictEqual(server.count("location"), 1)
        yield* TestClock.adjust(1)
      })))
})
