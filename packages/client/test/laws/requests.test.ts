import { Faults, Requests } from "@effect-realm/testing"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Option, Redacted, Schema } from "effect"
import { App, Credentials, EmailPassword, User } from "../../src/index.ts"
import * as ModelServer from "./modelServer.ts"
import * as World from "./world.ts"

const { app, done, inWorld, operations, settled, together } = World

const Millis = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))

const Latencies = Schema.Array(Millis(9)).check(Schema.isMinLength(1), Schema.isMaxLength(7))

describe("Law 7, right bearer", () => {
  const Step = Schema.Struct({
    user: Millis(4),
    at: Millis(30),
    operation: Schema.Literals([
      "callFunction",
      "refreshProfile",
      "refreshCustomData",
      "linkCredentials",
      "refresh",
      "switchUser",
      "logIn",
      "logOut",
      "register",
      "location"
    ])
  })

  it.effect.prop(
    "in any mix of users on one store, every request carries the token of its user, and public endpoints carry none",
    {
      steps: Schema.Array(Step).check(Schema.isMinLength(1), Schema.isMaxLength(25)),
      latency: Latencies,
      store: Schema.Literals(World.stores)
    },
    ({ latency, steps, store }) =>
      inWorld({
        store,
        storeLatency: 1,
        latency: ({ number }) => [latency[number % latency.length]!, latency[(3 * number + 1) % latency.length]!]
      }, ({ server }) =>
        Effect.gen(function*() {
          const emails = Array.from({ length: 5 }, (_, n) => `${n}@model.test`)
          const users = yield* Effect.forEach(emails, (email) => World.logIn(server, email))
          for (const [n, user] of users.entries()) {
            server.accounts.get(user.id)!.customData = { owner: user.id }
            server.register(`link-${n}@model.test`)
            if (n % 2 === 0) server.expire(user.id)
          }
          server.forget()
          const run = (step: typeof Step.Type, index: number): Effect.Effect<unknown, unknown, World.Services> => {
            const user = users[step.user]!
            switch (step.operation) {
              case "callFunction":
                return Effect.map(
                  User.callFunction(user, "echo", [user.id]),
                  (result) => assert.deepStrictEqual(result, { user: user.id, args: [user.id] })
                )
              case "refreshProfile":
                return Effect.map(User.refreshProfile(user), ({ data }) => assert.strictEqual(data["name"], user.id))
              case "refreshCustomData":
                return Effect.map(User.refreshCustomData(user), ({ owner }) => assert.strictEqual(owner, user.id))
              case "linkCredentials":
                return User.linkCredentials(user, World.credentials(`link-${step.user}@model.test`))
              case "refresh":
                return User.refresh(user)
              case "logOut":
                return User.logOut(user)
              case "switchUser":
                return App.switchUser(app, user)
              case "logIn":
                return App.logIn(app, World.credentials(emails[step.user]!))
              case "register":
                return EmailPassword.registerUser(app, { email: `${index}@new.test`, password: ModelServer.password })
              case "location":
                return App.location(app)
            }
          }
          const exits = yield* together(steps.map((step, index) => ({ at: step.at, run: run(step, index) })))
          for (const exit of exits) assert.isFalse(Exit.hasDies(exit), String(exit))

          for (const { bearer, body, endpoint, link } of server.asked) {
            switch (endpoint) {
              case "refreshSession":
              case "deleteSession":
                assert.strictEqual(bearer?.kind, "refresh", endpoint)
                break
              case "profile":
                assert.strictEqual(bearer?.kind, "access", endpoint)
                break
              case "callFunction": {
                const args = body["arguments"]
                assert.strictEqual(bearer?.kind, "access", endpoint)
                assert.deepStrictEqual(args, [bearer?.userId])
                break
              }
              case "logInEmailPassword":
                assert.strictEqual(bearer?.kind, link ? "access" : undefined, endpoint)
                if (link) {
                  assert.strictEqual(
                    body["username"],
                    `link-${users.findIndex(({ id }) => id === bearer?.userId)}@model.test`
                  )
                }
                break
              default:
                assert.isUndefined(bearer, endpoint)
            }
          }
          // What is kept of a user is the user's own.
          for (const user of users) {
            const record = yield* done(World.record(user))
            assert.strictEqual(record?.profile.data["name"], user.id)
            const { tokens } = record!
            if (tokens === undefined) continue
            for (const token of [tokens.accessToken, tokens.refreshToken]) {
              assert.strictEqual(World.claims(Redacted.make(token))["sub"], user.id)
            }
          }
        })),
    World.runs(80)
  )

  it.effect("a deleted user is the one who was asked for, whoever is current", () =>
    inWorld({}, ({ server }) =>
      Effect.gen(function*() {
        const ann = yield* World.logIn(server, "ann@model.test")
        const bob = yield* World.logIn(server, "bob@model.test")
        yield* done(App.deleteUser(app, ann))
        assert.deepStrictEqual([...server.accounts.keys()], [bob.id])
        assert.deepStrictEqual(yield* App.currentUser(app), Option.some(bob))
      })))
})

describe("Law 10, writes are sent once", () => {
  const faults = {
    "dropped before": Faults.dropBefore,
    "dropped after": Faults.dropAfter,
    slow: Faults.delay("50 seconds", { answer: "5 seconds" }),
    html: Faults.html,
    "html although it ran": Faults.answer({ status: 502, contentType: "text/html", body: "<html></html>", ran: true }),
    "503 although it ran": Faults.answer({ status: 503, body: "{\"error\":\"busy\"}", ran: true }),
    "408": Faults.answer({ status: 408, body: "{\"error\":\"slow\"}" }),
    "429": Faults.answer({ status: 429, headers: { "retry-after": "1" }, body: "{\"error\":\"slower\"}" }),
    "500 with a code": Faults.answer({ status: 500, body: "{\"error\":\"x\",\"error_code\":\"InternalServerError\"}" }),
    truncated: Faults.truncate(),
    "broken off": Faults.breakOff(),
    "stalled body": Faults.stallBody,
    "stalled headers": Faults.stallHeaders
  }

  const writes: {
    readonly [name: string]: {
      readonly endpoint: ModelServer.Endpoint
      readonly run: (user: User.User) => Effect.Effect<unknown, unknown, World.Services>
    }
  } = {
    callFunction: operations.callFunction,
    linkCredentials: operations.linkCredentials,
    deleteUser: operations.deleteUser,
    logOut: operations.logOut,
    logIn: { endpoint: "logInEmailPassword", run: () => App.logIn(app, World.credentials("bob@model.test")) },
    "logIn anonymously": {
      endpoint: "logInAnonymous",
      run: () => App.logIn(app, Credentials.anonymous({ reuse: false }))
    },
    register: {
      endpoint: "register",
      run: () => EmailPassword.registerUser(app, { email: "new@model.test", password: ModelServer.password })
    }
  }

  it.effect.prop(
    "whatever happens to a request that may have run, it is not sent again",
    {
      write: Schema.Literals(Object.keys(writes)),
      fault: Schema.Literals(Object.keys(faults) as Array<keyof typeof faults>),
      expired: Schema.Boolean
    },
    ({ expired, fault, write }) =>
      inWorld({}, ({ server }) =>
        Effect.gen(function*() {
          const user = yield* World.logIn(server)
          server.register("linked@model.test")
          server.register("bob@model.test")
          const { endpoint, run } = writes[write]!
          const authorized = ["callFunction", "linkCredentials", "deleteUser"].includes(write)
          if (expired) server.expire(user.id)
          server.forget()
          yield* Effect.gen(function*() {
            yield* settled(
              run(user).pipe(
                // After a 401, which proves that the first one did not run, the fault meets the second.
                Effect.provide(Faults.layer(Faults.at({ endpoint, nth: expired && authorized ? 2 : 1 }, faults[fault])))
              )
            )
            const requests = yield* Requests.Requests
            const ran = server.asked.filter((one) => one.endpoint === endpoint && one.answered)
            const accepted = expired && authorized ? ran.slice(1) : ran
            assert.isAtMost(accepted.length, 1)
            assert.isAtMost(server.calls.length, 1)
            assert.isAtMost(yield* requests.count({ endpoint }), expired && authorized ? 2 : 1)
          }).pipe(Effect.provide(Requests.layer))
        })),
    World.runs(250)
  )

  it.effect.prop(
    "after a 401 it is sent once more, whatever became of the exchange only when that brought a token",
    { fault: Schema.Literals(Object.keys(faults) as Array<keyof typeof faults>) },
    ({ fault }) =>
      inWorld({}, ({ server }) =>
        Effect.gen(function*() {
          const user = yield* World.logIn(server)
          server.expire(user.id)
          server.forget()
          const plan = Faults.at({ endpoint: "refreshSession" }, faults[fault])
          const exit = yield* settled(Faults.inject(plan)(operations.callFunction.run(user)))
          assert.strictEqual(server.count("callFunction"), Exit.isSuccess(exit) ? 2 : 1)
          assert.strictEqual(server.calls.length, Exit.isSuccess(exit) ? 1 : 0)
          assert.strictEqual(Exit.isSuccess(exit), fault === "slow")
        })),
    World.runs(40)
  )
})
