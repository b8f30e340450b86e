import { assert, describe, it } from "@effect/vitest"
import { ObjectId } from "bson"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { inspect } from "node:util"
import * as App from "../src/App.ts"
import * as EmailPassword from "../src/EmailPassword.ts"
import * as Scripted from "./scripted.ts"

const app = App.make({ id: "shop-abcde", baseUrl: "http://localhost:9090" })
const email = "zoe@example.com"
const password = "s3cret!"

type Operation = Effect.Effect<void, EmailPassword.CallResetPasswordFunctionError, HttpClient.HttpClient>

const operations: Readonly<Record<string, readonly [Operation, Operation, string, unknown]>> = {
  registerUser: [
    EmailPassword.registerUser(app, { email, password }),
    app.pipe(EmailPassword.registerUser({ email, password: Redacted.make(password) })),
    "/register",
    { email, password }
  ],
  confirmUser: [
    EmailPassword.confirmUser(app, { token: "t", tokenId: "i" }),
    app.pipe(EmailPassword.confirmUser({ token: Redacted.make("t"), tokenId: "i" })),
    "/confirm",
    { token: "t", tokenId: "i" }
  ],
  resendConfirmationEmail: [
    EmailPassword.resendConfirmationEmail(app, { email }),
    app.pipe(EmailPassword.resendConfirmationEmail({ email })),
    "/confirm/send",
    { email }
  ],
  retryCustomConfirmation: [
    EmailPassword.retryCustomConfirmation(app, { email }),
    app.pipe(EmailPassword.retryCustomConfirmation({ email })),
    "/confirm/call",
    { email }
  ],
  sendResetPasswordEmail: [
    EmailPassword.sendResetPasswordEmail(app, { email }),
    app.pipe(EmailPassword.sendResetPasswordEmail({ email })),
    "/reset/send",
    { email }
  ],
  resetPassword: [
    EmailPassword.resetPassword(app, { password, token: "t", tokenId: "i" }),
    app.pipe(EmailPassword.resetPassword({ password, token: "t", tokenId: "i" })),
    "/reset",
    { password, token: "t", tokenId: "i" }
  ],
  callResetPasswordFunction: [
    EmailPassword.callResetPasswordFunction(app, {
      email,
      password,
      args: ["blue", 1, new ObjectId("5f87976b7b800b285345a8b4")]
    }),
    app.pipe(
      EmailPassword.callResetPasswordFunction({
        email,
        password,
        args: ["blue", 1, new ObjectId("5f87976b7b800b285345a8b4")]
      })
    ),
    "/reset/call",
    { email, password, arguments: ["blue", { $numberInt: "1" }, { $oid: "5f87976b7b800b285345a8b4" }] }
  ]
}

describe("EmailPassword", () => {
  for (const [name, [first, last, path, body]] of Object.entries(operations)) {
    it.effect(`${name} sends the body of the protocol, once, without a token`, () => {
      const server = Scripted.make()
      return Effect.gen(function*() {
        yield* first
        yield* last
        for (const sent of server.sent) {
          assert.strictEqual(sent.method, "POST")
          assert.strictEqual(sent.path, `/api/client/v2.0/app/shop-abcde/auth/providers/local-userpass${path}`)
          assert.deepStrictEqual(sent.body, body)
          assert.isUndefined(sent.headers["authorization"])
        }
        assert.strictEqual(server.sent.length, 2)
      }).pipe(Effect.provide(server.layer))
    })

    it.effect(`${name} is sent once also when the server fails`, () => {
      const server = Scripted.make(() => Scripted.refusal(500, "error processing request"))
      return Effect.gen(function*() {
        assert.strictEqual((yield* Effect.flip(first))._tag, "UnknownServiceError")
        assert.strictEqual(server.sent.length, 1)
      }).pipe(Effect.provide(server.layer))
    })

    it.effect(`${name} takes any answer without a body`, () =>
      Effect.forEach(
        [{ status: 200 }, { status: 201 }, { status: 202 }, { status: 204 }, { status: 200, body: {} }],
        (answer) => Effect.provide(first, Scripted.make(() => answer).layer),
        { discard: true }
      ))
  }

  it("names the field that is wrong, when the operation is made and not when it runs", () => {
    // A program without types passes whatever it likes.
    const loosely = (operation: (app: App.App, options: never) => unknown, options: unknown): unknown =>
      operation(app, options as never)
    const nothing: ReadonlyArray<readonly [string, () => unknown]> = [
      ["email", () => loosely(EmailPassword.registerUser, undefined)],
      ["token", () => loosely(EmailPassword.confirmUser, null)],
      ["email", () => loosely(EmailPassword.resendConfirmationEmail, undefined)],
      ["email", () => loosely(EmailPassword.retryCustomConfirmation, undefined)],
      ["email", () => loosely(EmailPassword.sendResetPasswordEmail, undefined)],
      ["token", () => loosely(EmailPassword.resetPassword, undefined)],
      ["email", () => loosely(EmailPassword.callResetPasswordFunction, undefined)]
    ]
    const wrong: Readonly<Record<string, () => unknown>> = {
      email: () => loosely(EmailPassword.registerUser, { email: 7, password }),
      password: () => loosely(EmailPassword.registerUser, { email, password: { password } }),
      token: () => loosely(EmailPassword.confirmUser, { token: 7, tokenId: "i" }),
      tokenId: () => loosely(EmailPassword.resetPassword, { token: "t", password }),
      arguments: () => loosely(EmailPassword.callResetPasswordFunction, { email, password, args: 7 })
    }
    for (const [field, make] of [...Object.entries(wrong), ...nothing]) {
      try {
        make()
        assert.fail(`${field} was taken`)
      } catch (error) {
        assert.instanceOf(error, Schema.SchemaError)
        assert.include(error.message, `["${field}"]`)
        assert.notInclude(inspect(error, { depth: 20 }), password)
      }
    }
  })

  it.effect("callResetPasswordFunction sends an empty list when there are no arguments", () => {
    const server = Scripted.make()
    return Effect.gen(function*() {
      yield* EmailPassword.callResetPasswordFunction(app, { email, password })
      assert.deepStrictEqual(server.sent[0]!.body, { email, password, arguments: [] })
    }).pipe(Effect.provide(server.layer))
  })

  it.effect("callResetPasswordFunction sends nothing when an argument has no Extended JSON form", () => {
    const server = Scripted.make()
    return Effect.gen(function*() {
      const error = yield* Effect.flip(
        EmailPassword.callResetPasswordFunction(app, { email, password, args: [{ when: Symbol("now") }] })
      )
      assert.strictEqual(error._tag, "EjsonError")
      assert.include(error.message, "args[0].when")
      assert.deepStrictEqual(server.sent, [])
    }).pipe(Effect.provide(server.layer))
  })

  it.effect("tells refusals apart by family and reason", () => {
    const server = Scripted.make((sent) =>
      sent.path.endsWith("/register")
        ? Scripted.refusal(409, "name already in use", "AccountNameInUse")
        : Scripted.refusal(400, `failed to reset password for user "${email}"`)
    )
    return Effect.gen(function*() {
      const taken = yield* EmailPassword.registerUser(app, { email, password }).pipe(
        Effect.as("registered"),
        Effect.catchReason("AuthError", "AccountNameInUse", () => Effect.succeed("taken"))
      )
      assert.strictEqual(taken, "taken")
      const refused = yield* EmailPassword.callResetPasswordFunction(app, { email, password }).pipe(
        Effect.as("reset"),
        Effect.catchReason("RequestError", "BadRequest", (reason) => Effect.succeed(reason.message))
      )
      assert.strictEqual(refused, `failed to reset password for user "${email}"`)
    }).pipe(Effect.provide(server.layer))
  })
})
