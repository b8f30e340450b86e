import { Faults } from "@effect-realm/testing"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Predicate, Redacted, Schema } from "effect"
import { HttpClient, HttpClientError } from "effect/http"
import { inspect } from "node:util"
import { App, Credentials, EmailPassword, TokenStore, User } from "../../src/index.ts"
import * as ModelServer from "./modelServer.ts"
import * as World from "./world.ts"

const { app, inWorld, operations, settled } = World

const tags = new Set([
  "AppError",
  "AuthError",
  "EjsonError",
  "FunctionError",
  "InvalidResponseError",
  "NotLoggedInError",
  "RequestError",
  "SessionError",
  "TransportError",
  "UnknownServiceError"
])

/** Everything that a program could print of a failure. */
const printed = (exit: Exit.Exit<unknown, unknown>): string => {
  if (Exit.isSuccess(exit)) return ""
  const error = Cause.squash(exit.cause)
  return [
    String(error),
    error instanceof Error ? `${error.message} ${error.stack}` : "",
    JSON.stringify(error),
    inspect(error, { depth: 20 }),
    inspect(exit, { depth: 20 }),
    Cause.pretty(exit.cause),
    JSON.stringify(exit)
  ].join("\n")
}

/** No defect, no stranger among the errors, no secret in what can be printed. */
const isTyped = (exit: Exit.Exit<unknown, unknown>, secrets: Iterable<string>) => {
  if (Exit.isSuccess(exit)) return
  assert.isFalse(Exit.hasDies(exit) || Exit.hasInterrupts(exit), String(exit))
  const error = Cause.squash(exit.cause)
  assert.isTrue(Predicate.hasProperty(error, "_tag") && tags.has(String(error._tag)), String(error))
  assert.isTrue(error instanceof Error && error.message !== "")
  if (Predicate.hasProperty(error, "excerpt")) {
    assert.isAtMost(String(error.excerpt).length, 200)
    assert.isTrue(Predicate.hasProperty(error, "status") && Predicate.hasProperty(error, "contentType"))
  }
  const text = printed(exit)
  for (const secret of secrets) assert.isFalse(text.includes(secret), `${secret} is in ${text}`)
}

const ticket = "a ticket that nobody may see"

type Run = (user: User.User) => Effect.Effect<unknown, unknown, World.Services>

const everything: { readonly [name: string]: Run } = {
  ...Object.fromEntries(World.operationNames.map((name): [string, Run] => [name, operations[name].run])),
  "logIn with a password": () => App.logIn(app, World.credentials("ann@model.test")),
  "logIn anonymously": () => App.logIn(app, Credentials.anonymous({ reuse: false })),
  "logIn by a function": () => App.logIn(app, Credentials.function({ ticket, nested: { more: [ticket] } })),
  register: () =>
    EmailPassword.registerUser(app, { email: "new@model.test", password: Redacted.make(ModelServer.password) }),
  location: () => App.location(app)
}

const contentTypes = [
  "application/json",
  "application/json; charset=utf-8",
  "application/problem+json",
  "text/html",
  "text/plain; charset=latin1",
  "application/octet-stream",
  "image/png",
  "",
  "nonsense"
]

/** Bodies of everybody's servers. `secrets` are sent back, as some of them do. */
const bodies: { readonly [name: string]: (secrets: ReadonlyArray<string>) => string } = {
  empty: () => "",
  page: () => `<!doctype html><title>Sign in</title>${"<p>lorem ipsum</p>".repeat(2000)}`,
  "page with what was sent": (secrets) =>
    `<pre>POST /login Authorization: Bearer ${secrets.join(" ")} {"password":"${secrets[0]}"}</pre>`,
  "cut off": () => "{\"access_token\":\"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1c2Vy",
  null: () => "null",
  number: () => "42",
  text: () => "\"no\"",
  list: () => "[1,[2,[3]]]",
  deep: () => `${"[".repeat(5000)}${"]".repeat(5000)}`,
  "empty object": () => "{}",
  "other types": () =>
    "{\"access_token\":1,\"refresh_token\":[],\"user_id\":{},\"device_id\":null,\"identities\":5,\"data\":[]}",
  "other types of an error": () => "{\"error\":{\"a\":1},\"error_code\":7,\"link\":[]}",
  "an error": () => "{\"error\":\"something\"}",
  "an error with what was sent": (secrets) =>
    JSON.stringify({
      error: `refused: ${secrets.join(" ")}`,
      error_code: "AuthError",
      link: `http://log?${secrets[0]}`
    }),
  "a code of tomorrow": () => "{\"error\":\"something\",\"error_code\":\"CodeOfTomorrow\"}",
  "a code of the prototype": () => "{\"error\":\"something\",\"error_code\":\"__proto__\"}",
  "a code that is a method": () => "{\"error\":\"something\",\"error_code\":\"toString\"}",
  "an empty code": () => "{\"error\":\"\",\"error_code\":\"\"}",
  "wrong Extended JSON": () => "{\"$oid\":\"nope\"}",
  prototype: () => "{\"__proto__\":{\"error\":\"x\"},\"constructor\":1}",
  "tokens that are none": () =>
    "{\"access_token\":\"..\",\"refresh_token\":\"secret-of-its-own\",\"user_id\":\"user-1\",\"device_id\":\"x\"}",
  "tokens with wrong claims": () =>
    `{"access_token":"e30.${
      Buffer.from("{\"sub\":5}").toString("base64url")
    }.x","refresh_token":"y","user_id":"user-1","device_id":"x"}`,
  "invalid UTF-8": () => "\ufffd\ufffd{\"\u0000",
  "a byte order mark": () => "\ufeff{}"
}

describe("Law 12, nothing is a defect", () => {
  it.effect.prop(
    "whatever is answered to whatever operation, it fails typed, with a bounded excerpt and no secret",
    {
      operation: Schema.Literals(Object.keys(everything)),
      answers: Schema.Array(Schema.Struct({
        status: Schema.Literals([
          200,
          201,
          202,
          204,
          206,
          299,
          300,
          302,
          304,
          400,
          401,
          403,
          404,
          405,
          408,
          409,
          413,
          415,
          418,
          422,
          429,
          451,
          500,
          501,
          502,
          503,
          504,
          520,
          599
        ]),
        contentType: Schema.Literals(contentTypes),
        retryAfter: Schema.Literals(["", "0", "-1", "soon", "9".repeat(400), "Fri, 31 Dec 9999 23:59:59 GMT"]),
        body: Schema.Literals(Object.keys(bodies))
      })).check(Schema.isMinLength(1), Schema.isMaxLength(3)),
      expired: Schema.Boolean,
      through: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 }))
    },
    ({ answers, expired, operation, through }) => {
      let script = false
      let next = -through
      let issued: Iterable<string> = []
      return inWorld({
        script: (asked) => {
          // The first ones are served, so that garbage comes at any request of an operation.
          if (!script || next++ < 0) return undefined
          const sent = [asked.body["password"], asked.body["ticket"]].filter(Predicate.isString)
          const { body, contentType, retryAfter, status } = answers[next % answers.length]!
          return {
            status,
            contentType,
            headers: { "retry-after": retryAfter },
            text: bodies[body]!([...sent, ...issued])
          }
        }
      }, ({ server }) =>
        Effect.gen(function*() {
          const user = yield* World.logIn(server)
          server.register("linked@model.test")
          const { accessToken, refreshToken } = (yield* World.record(user))!.tokens!
          issued = [accessToken, refreshToken]
          if (expired) server.expire(user.id)
          script = true
          const exit = yield* settled(everything[operation]!(user))
          isTyped(exit, [...server.secrets, ticket, "secret-of-its-own"])
        }))
    },
    World.runs(600)
  )

  it.effect.prop(
    "whatever happens to the connection, it fails typed, in time, and the next call is as if nothing had been",
    {
      operation: Schema.Literals(Object.keys(everything)),
      seed: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1_000_000 }))
    },
    ({ operation, seed }) =>
      inWorld({ latency: () => [1, 1] }, ({ server }) =>
        Effect.gen(function*() {
          const user = yield* World.logIn(server)
          const other = yield* World.logIn(server, "bob@model.test")
          server.register("linked@model.test")
          server.expire(user.id)
          const exit = yield* settled(
            everything[operation]!(user).pipe(Faults.inject(Faults.seeded(seed, { rate: 0.7 })))
          )
          isTyped(exit, server.secrets)
          yield* World.done(User.callFunction(other, "echo"))
          if ((yield* User.state(user)) === "LoggedIn" && server.accounts.has(user.id)) {
            yield* World.done(User.callFunction(user, "echo"))
          }
        })),
    World.runs(200)
  )

  it.effect("a connection that cannot be made is told by its innermost cause, and without the address", () =>
    Effect.gen(function*() {
      const refused = new TypeError("fetch failed", { cause: new Error("connect ECONNREFUSED 127.0.0.1:9090") })
      const nobody = HttpClient.make((request) =>
        Effect.fail(
          new HttpClientError.HttpClientError({
            reason: new HttpClientError.TransportError({ request, cause: refused })
          })
        )
      )
      const error = yield* App.logIn(app, Credentials.anonymous()).pipe(
        Effect.provideService(HttpClient.HttpClient, nobody),
        Effect.provide(TokenStore.layerMemory),
        Effect.flip
      )
      assert.strictEqual(
        error.message,
        "POST /api/client/v2.0/app/:appId/auth/providers/anon-user/login: connect ECONNREFUSED 127.0.0.1:9090. " +
          "Check the base URL and the network, then try again."
      )
    }))
})
