import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, Redacted, Schema } from "effect"
import { TestClock } from "effect/testing"
import { App, Policy, User } from "../../src/index.ts"
import * as ModelServer from "./modelServer.ts"
import * as World from "./world.ts"

const { app, authorized, done, failure, inWorld, operations, settled, together } = World

const Millis = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))

/** Latencies that a list decides, over and over. */
const latencies = (list: ReadonlyArray<number>) => (asked: ModelServer.Asked): readonly [number, number] => [
  list[(2 * asked.number) % list.length] ?? 0,
  list[(2 * asked.number + 1) % list.length] ?? 0
]

const Latencies = Schema.Array(Millis(9)).check(Schema.isMinLength(1), Schema.isMaxLength(12))

const Steps = Schema.Literals([8, 64, 2048])

describe("Law 1, one refresh", () => {
  it.effect(
    "one thousand callers with an expired token make one exchange",
    () =>
      inWorld({ latency: () => [1, 1] }, ({ server }) =>
        Effect.gen(function*() {
          const user = yield* World.logIn(server)
          yield* TestClock.adjust("31 minutes")
          server.forget()
          const exits = yield* together(
            Array.from({ length: 1000 }, () => ({ at: 0, run: User.callFunction(user, "echo", [1]) }))
          )
          assert.isTrue(exits.every(Exit.isSuccess))
          assert.strictEqual(server.count("refreshSession"), 1)
          assert.strictEqual(server.count("callFunction"), 1000)
        })),
    World.runs(1)
  )

  it.effect.prop(
    "however many callers find a token refused, one exchange happens and all go on with its result",
    {
      callers: Schema.Array(Schema.Struct({
        at: Millis(40),
        operation: Schema.Literals(["callFunction", "refreshProfile"])
      })).check(Schema.isMinLength(1), Schema.isMaxLength(20)),
      latency: Latencies,
      store: Schema.Literals(World.stores),
      storeLatency: Millis(2),
      steps: Steps
    },
    ({ callers, latency, steps, store, storeLatency }) =>
      inWorld({ latency: latencies(latency), store, storeLatency }, ({ server }) =>
        Effect.gen(function*() {
          const user = yield* World.logIn(server)
          server.expire(user.id)
          server.forget()
          const exits = yield* together(
            callers.map(({ at, operation }) => ({ at, run: operations[operation].run(user) }))
          )
          for (const exit of exits) assert.isTrue(Exit.isSuccess(exit), String(exit))
          assert.strictEqual(server.count("refreshSession"), 1)
        })).pipe(World.yielding(steps)),
    World.runs(60)
  )

  it.effect.prop(
    "each user has an exchange of their own",
    { users: Schema.Int.check(Schema.isBetween({ minimum: 2, maximum: 6 })), latency: Latencies },
    ({ latency, users }) =>
      inWorld({ latency: latencies(latency) }, ({ server }) =>
        Effect.gen(function*() {
          const all = yield* Effect.forEach(
            Array.from({ length: users }, (_, n) => `${n}@model.test`),
            (email) => World.logIn(server, email)
          )
          for (const user of all) server.expire(user.id)
          server.forget()
          const exits = yield* together(
            [...all, ...all, ...all].map((user) => ({ at: 0, run: User.callFunction(user, "echo") }))
          )
          assert.isTrue(exits.every(Exit.isSuccess))
          for (const user of all) {
            const exchanges = server.asked.filter(({ bearer, endpoint }) =>
              endpoint === "refreshSession" && bearer?.userId === user.id
            )
            assert.strictEqual(exchanges.length, 1)
          }
        })),
    World.runs(30)
  )

  it.effect.prop(
    "a failed exchange is shared by those who waited, and not remembered: the next call tries again",
    {
      callers: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 30 })),
      status: Schema.Literals([408, 429, 500, 503])
    },
    ({ callers, status }) => {
      let broken = true
      return inWorld({
        latency: () => [5, 5],
        script: ({ endpoint }) =>
          broken && endpoint === "refreshSession" ? { status, body: { error: "later" } } : undefined
      }, ({ server }) =>
        Effect.gen(function*() {
          const user = yield* World.logIn(server)
          server.expire(user.id)
          server.forget()
          const exits = yield* together(
            Array.from({ length: callers }, () => ({ at: 0, run: User.callFunction(user, "echo") }))
          )
          for (const exit of exits) assert.notStrictEqual(failure(exit)._tag, "SessionError")
          assert.strictEqual(server.count("refreshSession"), 1)
          broken = false
          yield* done(User.callFunction(user, "echo"))
          assert.strictEqual(server.count("refreshSession"), 2)
        }))
    },
    World.runs(20)
  )

  it.effect.prop(
    "custom data that was asked for is never older than the question, whatever exchange is under way",
    {
      askers: Schema.Array(Schema.Struct({
        at: Millis(12),
        operation: Schema.Literals(["refresh", "refreshCustomData", "callFunction"])
      })).check(Schema.isMinLength(2), Schema.isMaxLength(8)),
      latency: Schema.Array(Millis(3)).check(Schema.isMinLength(1), Schema.isMaxLength(5)),
      steps: Steps
    },
    ({ askers, latency, steps }) =>
      inWorld({ latency: latencies(latency) }, ({ server }) =>
        Effect.gen(function*() {
          const user = yield* World.logIn(server)
          server.expire(user.id)
          const account = server.accounts.get(user.id)!
          const start = yield* Clock.currentTimeMillis
          // What the data says is the time at which it was written.
          const writer = Effect.forEach(
            Array.from({ length: 40 }),
            () =>
              Effect.gen(function*() {
                account.customData = { version: (yield* Clock.currentTimeMillis) - start }
                yield* Effect.sleep(1)
              }),
            { discard: true }
          )
          const ask = Effect.gen(function*() {
            const before = account.customData["version"]
            const data = yield* User.refreshCustomData(user)
            assert.isAtLeast(Number(data["version"]), Number(before))
          })
          const exits = yield* together<void, unknown, World.Services>([
            { at: 0, run: writer },
            ...askers.map(({ at, operation }) => ({
              at,
              run: operation === "refreshCustomData" ? ask : operations[operation].run(user)
            }))
          ])
          for (const exit of exits) assert.isTrue(Exit.isSuccess(exit), String(exit))
        })).pipe(World.yielding(steps)),
    World.runs(80)
  )
})

/** Answers of a server that wants to make a client go round in circles. */
const Hostile = Schema.Literals([
  "served",
  "401 InvalidSession",
  "401 codeless",
  "401 HTML",
  "401 empty",
  "401 InvalidPassword",
  "403",
  "500",
  "503 HTML",
  "204"
])

const hostile = (kind: typeof Hostile.Type): ModelServer.Answer | undefined => {
  const page = { contentType: "text/html", text: "<html>no</html>" }
  switch (kind) {
    case "served":
      return undefined
    case "401 InvalidSession":
      return ModelServer.invalidSession
    case "401 codeless":
      return { status: 401, body: { error: "unauthorized" } }
    case "401 HTML":
      return { status: 401, ...page }
    case "401 empty":
      return { status: 401 }
    case "401 InvalidPassword":
      return { status: 401, body: { error: "wrong", error_code: "InvalidPassword" } }
    case "403":
      return { status: 403, body: { error: "forbidden" } }
    case "500":
      return { status: 500, body: { error: "broken", error_code: "InternalServerError" } }
    case "503 HTML":
      return { status: 503, ...page }
    case "204":
      return { status: 204 }
  }
}

// What a policy repeats beyond these laws is law 10.
const sentOnce = Policy.provide({ reads: Policy.never })

describe("Law 2, three requests", () => {
  it.effect.prop(
    "one call of one operation sends its own request at most twice and at most one exchange",
    {
      operation: Schema.Literals(World.operationNames),
      answers: Schema.Array(Hostile).check(Schema.isMinLength(1), Schema.isMaxLength(6)),
      age: Schema.Literals(["1 minute", "1795 seconds", "31 minutes"])
    },
    ({ age, answers, operation }) => {
      let script = false
      let next = 0
      return inWorld({
        script: () => script ? hostile(answers[next++ % answers.length]!) : undefined
      }, ({ server }) =>
        Effect.gen(function*() {
          const user = yield* World.logIn(server)
          server.register("linked@model.test")
          yield* TestClock.adjust(age)
          server.forget()
          script = true
          const { endpoint, run } = operations[operation]
          const exit = yield* settled(sentOnce(run(user)))
          assert.isFalse(Exit.hasDies(exit), String(exit))
          assert.isAtMost(server.count("refreshSession"), 1)
          assert.isAtMost(server.count(endpoint), 2)
          // A link reads the profile once it is through; nothing else sends a third kind of request.
          assert.isAtMost(server.asked.length, operation === "linkCredentials" ? 4 : 3)
        }))
    },
    World.runs(300)
  )

  it.effect.prop(
    "a second 401 fails typed, and the session is kept",
    {
      operation: Schema.Literals(authorized),
      answer: Schema.Literals(["401 InvalidSession", "401 codeless", "401 HTML", "401 empty"])
    },
    ({ answer, operation }) => {
      let refused = false
      return inWorld({
        script: ({ endpoint }) => refused && endpoint === operations[operation].endpoint ? hostile(answer) : undefined
      }, ({ server }) =>
        Effect.gen(function*() {
          const user = yield* World.logIn(server)
          server.forget()
          refused = true
          const error = failure(yield* settled(operations[operation].run(user)))
          assert.include(["SessionError", "InvalidResponseError"], error._tag)
          assert.deepStrictEqual(
            server.asked.map(({ endpoint }) => endpoint),
            [operations[operation].endpoint, "refreshSession", operations[operation].endpoint]
          )
          assert.strictEqual(yield* User.state(user), "LoggedIn")
        }))
    },
    World.runs(30)
  )

  it.effect("a link to somebody else's identity, a 401 InvalidSession of App Services, ends after one exchange", () =>
    inWorld({}, ({ server }) =>
      Effect.gen(function*() {
        yield* World.logIn(server, "taken@model.test")
        const user = yield* World.anonymous
        const before = yield* World.record(user)
        server.forget()
        const error = failure(yield* settled(User.linkCredentials(user, World.credentials("taken@model.test"))))
        assert.isTrue(error._tag === "SessionError" && error.reason._tag === "InvalidSession")
        assert.strictEqual(server.count("logInEmailPassword"), 2)
        assert.strictEqual(server.count("refreshSession"), 1)
        assert.deepStrictEqual((yield* World.record(user))?.profile, before?.profile)
        assert.strictEqual(yield* User.state(user), "LoggedIn")
      })))
})

describe("Law 3, refresh when it can help", () => {
  it.effect.prop(
    "on a 401 with the session code or without a readable one, and on nothing else",
    {
      operation: Schema.Literals(authorized),
      status: Schema.Literals([400, 401, 403, 404, 409, 429, 500, 503]),
      code: Schema.Literals([
        "none",
        "InvalidSession",
        "InvalidPassword",
        "AuthError",
        "UserDisabled",
        "MissingAuthReq",
        "FunctionExecutionError",
        "NoMatchingRuleFound",
        "CodeOfTomorrow",
        "HTML",
        "empty"
      ])
    },
    ({ code, operation, status }) => {
      let refused = false
      const answer: ModelServer.Answer = code === "HTML"
        ? { status, contentType: "text/html", text: "<html>no</html>" }
        : code === "empty"
        ? { status }
        : { status, body: { error: "no", ...(code === "none" ? undefined : { error_code: code }) } }
      return inWorld({
        script: ({ endpoint }) => {
          if (!refused || endpoint !== operations[operation].endpoint) return undefined
          refused = false
          return answer
        }
      }, ({ server }) =>
        Effect.gen(function*() {
          const user = yield* World.logIn(server)
          server.register("linked@model.test")
          server.forget()
          refused = true
          const exit = yield* settled(sentOnce(operations[operation].run(user)))
          const helps = status === 401 && ["none", "InvalidSession", "HTML", "empty"].includes(code)
          assert.strictEqual(server.count("refreshSession"), helps ? 1 : 0)
          assert.strictEqual(server.count(operations[operation].endpoint), helps ? 2 : 1)
          assert.strictEqual(Exit.isSuccess(exit), helps)
        }))
    },
    World.runs(200)
  )

  it.effect.prop(
    "ahead of expiry by a margin, which is never more than a tenth of the token's life",
    {
      life: Schema.Literals([10, 60, 300, 1800, 86_400]),
      left: Schema.Int.check(Schema.isBetween({ minimum: -60, maximum: 60 }))
    },
    ({ left, life }) =>
      inWorld({ life }, ({ server }) =>
        Effect.gen(function*() {
          const user = yield* World.logIn(server)
          // A token that is as old as this moment.
          yield* User.refresh(user)
          server.forget()
          yield* TestClock.adjust(Math.max(0, life - left) * 1000)
          yield* User.callFunction(user, "echo")
          const margin = Math.min(30, life / 10)
          const ahead = server.asked[0]!.endpoint === "refreshSession"
          assert.strictEqual(ahead, Math.min(left, life) <= margin)
          assert.strictEqual(server.count("refreshSession"), ahead ? 1 : 0)
        })),
    World.runs(100)
  )

  it.effect("wrong credentials at a log-in cause no exchange, whoever else is logged in", () =>
    inWorld({}, ({ server }) =>
      Effect.gen(function*() {
        yield* World.logIn(server)
        server.forget()
        const error = failure(yield* settled(App.logIn(app, World.credentials("nobody@model.test"))))
        assert.isTrue(error._tag === "AuthError" && error.reason._tag === "InvalidPassword")
        assert.deepStrictEqual(server.asked.map(({ endpoint }) => endpoint), ["logInEmailPassword"])
      })))

  it.effect.prop(
    "an access token that was asked for lives for at least the margin, where one can",
    {
      margin: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 3600 })),
      age: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2000 }))
    },
    ({ age, margin }) =>
      inWorld({}, ({ server }) =>
        Effect.gen(function*() {
          const user = yield* World.logIn(server)
          yield* User.refresh(user)
          const before = (yield* World.record(user))!.tokens!.accessToken
          yield* TestClock.adjust(age * 1000)
          server.forget()
          const token = Redacted.value(yield* User.accessToken(user, { margin: margin * 1000 }))
          const needed = 1800 - age <= margin
          assert.strictEqual(server.count("refreshSession"), needed ? 1 : 0)
          assert.strictEqual(token !== before, needed)
        })),
    World.runs(100)
  )
})

describe("Law 4, no accidental log-out", () => {
  const notDefinitive = Schema.Union([
    Schema.Struct({
      status: Schema.Literals([408, 429, 500, 502, 503, 504, 404, 400, 200, 201, 204, 302, 418]),
      kind: Schema.Literals(["json", "html", "empty", "garbage", "code"])
    }),
    Schema.Struct({ status: Schema.Literals([401, 403]), kind: Schema.Literals(["html", "empty", "garbage"]) })
  ])

  const answerOf = ({ kind, status }: typeof notDefinitive.Type): ModelServer.Answer => ({
    status,
    ...({
      json: { body: { error: "not now" } },
      html: { contentType: "text/html", text: "<html>not now</html>" },
      empty: {},
      garbage: { contentType: "application/json", text: "{\"access_token\":" },
      code: { body: { error: "not now", error_code: "InternalServerError" } }
    }[kind])
  })

  it.effect.prop(
    "an exchange that fails without a definitive refusal keeps the session as it was, and is not remembered",
    {
      answer: notDefinitive,
      operation: Schema.Literals(["callFunction", "refresh", "refreshCustomData", "refreshProfile"])
    },
    ({ answer, operation }) => {
      let refused = false
      return inWorld({
        store: "text",
        script: ({ endpoint }) => refused && endpoint === "refreshSession" ? answerOf(answer) : undefined
      }, ({ rows, server }) =>
        Effect.gen(function*() {
          const user = yield* World.logIn(server)
          server.expire(user.id)
          const before = new Map(rows)
          refused = true
          const error = failure(yield* settled(operations[operation].run(user)))
          assert.notStrictEqual(error._tag, "NotLoggedInError")
          assert.deepStrictEqual(rows, before)
          refused = false
          yield* done(operations[operation].run(user))
          assert.strictEqual(yield* User.state(user), "LoggedIn")
        }))
    },
    World.runs(150)
  )

  it.effect.prop(
    "only the session endpoint can end a session, by saying so in the protocol's words",
    {
      endpoint: Schema.Literals(["refreshSession", "callFunction", "profile"]),
      status: Schema.Literals([401, 403]),
      code: Schema.Literals(["InvalidSession", "UserDisabled", "InvalidAuthReq", "none"])
    },
    ({ code, endpoint, status }) => {
      let refused = false
      return inWorld({
        script: (asked) =>
          refused && asked.endpoint === endpoint
            ? { status, body: { error: "gone", ...(code === "none" ? undefined : { error_code: code }) } }
            : undefined
      }, ({ server }) =>
        Effect.gen(function*() {
          const user = yield* World.logIn(server)
          server.expire(user.id)
          refused = true
          const exit = yield* settled(
            endpoint === "profile" ? operations.refreshProfile.run(user) : operations.callFunction.run(user)
          )
          const definitive = endpoint === "refreshSession" && (status === 401 || code !== "none")
          assert.strictEqual(yield* User.state(user), definitive ? "LoggedOut" : "LoggedIn", String(exit))
        }))
    },
    World.runs(60)
  )

  it.effect.prop(
    "a session that cannot be exchanged for now goes on with the token that still lives, and with no other",
    {
      answer: notDefinitive,
      left: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 30 })),
      stall: Schema.Literals([0, 1, 20, 50])
    },
    ({ answer, left, stall }) => {
      let offline = false
      return inWorld({
        latency: ({ endpoint }) => [0, offline && endpoint === "refreshSession" ? stall * 1000 : 0],
        script: ({ endpoint }) => offline && endpoint === "refreshSession" ? answerOf(answer) : undefined
      }, ({ server }) =>
        Effect.gen(function*() {
          const user = yield* World.logIn(server)
          yield* User.refresh(user)
          yield* TestClock.adjust((1800 - left) * 1000)
          offline = true
          server.forget()
          const exit = yield* settled(User.callFunction(user, "echo"))
          const lives = stall < left
          assert.strictEqual(Exit.isSuccess(exit), lives, String(exit))
          assert.strictEqual(server.count("refreshSession"), 1)
          assert.strictEqual(server.count("callFunction"), lives ? 1 : 0)
        }))
    },
    World.runs(100)
  )

  it.effect("a store that cannot be written to does not keep a token that still lives from being used", () => {
    const rows = new World.FailingRows()
    return inWorld({ store: "text", rows }, ({ server }) =>
      Effect.gen(function*() {
        const user = yield* World.logIn(server)
        yield* User.refresh(user)
        yield* TestClock.adjust("1780 seconds")
        rows.isFull = true
        yield* User.callFunction(user, "echo")
        yield* TestClock.adjust("1 minute")
        assert.strictEqual((yield* Effect.flip(User.callFunction(user, "echo")))._tag, "TokenStoreError")
      }))
  })
})

describe("Law 8, clocks lie", () => {
  it.effect.prop(
    "two hours of skew, either way, cause no extra exchange",
    {
      skew: Schema.Int.check(Schema.isBetween({ minimum: -7200, maximum: 7200 })),
      age: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1769 }))
    },
    ({ age, skew }) =>
      inWorld({ skew: skew * 1000 }, ({ server }) =>
        Effect.gen(function*() {
          const user = yield* World.logIn(server)
          yield* User.refresh(user)
          server.forget()
          yield* TestClock.adjust(age * 1000)
          yield* User.callFunction(user, "echo")
          assert.strictEqual(server.count("refreshSession"), 0)
          yield* TestClock.adjust("31 minutes")
          yield* User.callFunction(user, "echo")
          assert.strictEqual(server.count("refreshSession"), 1)
          assert.strictEqual(server.count("callFunction"), 2)
        })),
    World.runs(100)
  )

  it.effect.prop(
    "a clock that is set back or forth under way costs at most one exchange, and nothing fails",
    {
      jumps: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: -7200, maximum: 7200 }))).check(
        Schema.isMinLength(1),
        Schema.isMaxLength(5)
      )
    },
    ({ jumps }) =>
      inWorld({}, ({ server }) =>
        Effect.gen(function*() {
          yield* TestClock.adjust("1 day")
          const user = yield* World.logIn(server)
          for (const jump of jumps) {
            server.forget()
            yield* TestClock.setTime((yield* Clock.currentTimeMillis) + jump * 1000)
            yield* User.callFunction(user, "echo")
            assert.isAtMost(server.count("refreshSession"), 1)
          }
        })),
    World.runs(100)
  )

  it.effect("the server's 401 is final, whatever the clock says of the token", () =>
    inWorld({}, ({ server }) =>
      Effect.gen(function*() {
        const user = yield* World.logIn(server)
        server.expire(user.id)
        server.forget()
        yield* User.callFunction(user, "echo")
        assert.deepStrictEqual(server.asked.map(({ endpoint }) => endpoint), [
          "callFunction",
          "refreshSession",
          "callFunction"
        ])
      })))

  it.effect("a token without a life of its own is used until the server refuses it", () =>
    inWorld(
      { life: 0, script: ({ endpoint }) => endpoint === "callFunction" ? { status: 200, body: 1 } : undefined },
      ({ server }) =>
        Effect.gen(function*() {
          server.register("ann@model.test")
          const fiber = yield* Effect.forkChild(App.logIn(app, World.credentials("ann@model.test")))
          yield* TestClock.adjust("1 minute")
          // A profile that is asked for with a dead token is refused: nobody is logged in, and nothing goes round.
          assert.isTrue(Exit.isFailure(yield* Fiber.await(fiber)))
          assert.deepStrictEqual(yield* App.allUsers(app), [])
        })
    ))
})
