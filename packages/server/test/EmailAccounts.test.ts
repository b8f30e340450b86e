import { AppDefinition, Database, EmailAccounts, Password } from "@effect-realm/server"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Wire from "./support/wire.ts"

const path = `${Wire.providers}/local-userpass`

const post = (name: string, body: object) => Wire.send("POST", `${path}/${name}`, { body })

/** The functions tell what they were given by what they refuse with; tokens get out by way of an answer of their own. */
const byFunction = Wire.makeApp({
  authProviders: {
    anonymous: {},
    emailPassword: {
      runConfirmationFunction: true,
      confirmationFunctionName: "confirm",
      runResetFunction: true,
      resetFunctionName: "reset"
    }
  },
  functions: [
    {
      name: "confirm",
      source: `exports = ({ token, tokenId, username }) => {
        console.log(JSON.stringify({ token, tokenId }))
        if (username.startsWith("throw")) throw new Error("no")
        return { status: username.split("@")[0] }
      }`
    },
    {
      name: "reset",
      source: `exports = ({ token, tokenId, username, password, currentPasswordValid }, status, ...more) => {
        console.log(JSON.stringify({ token, tokenId, currentPasswordValid, more }))
        return { status }
      }`
    }
  ]
})

const Told = Schema.Struct({
  token: Schema.String,
  tokenId: Schema.String,
  currentPasswordValid: Schema.optionalKey(Schema.Boolean),
  more: Schema.optionalKey(Schema.Array(Schema.Unknown))
})

/** What the app's functions logged, which is how these tests come by tokens. */
const withLog = <A, E, R>(use: (told: () => typeof Told.Type) => Effect.Effect<A, E, R>) => {
  const lines: Array<string> = []
  return Effect.gen(function*() {
    const told = () =>
      Schema.decodeUnknownSync(Schema.fromJsonString(Told))(
        lines.findLast((line) => line.startsWith("log: "))?.slice(5)
      )
    return yield* use(told)
  }).pipe(Effect.provide(Wire.layer({ app: byFunction }, Wire.interleaving)), Effect.provide(Wire.capture(lines)))
}

describe("registration", () => {
  it.effect("checks the address and the password", () =>
    Effect.gen(function*() {
      const email = "ann@example.com"
      const length = [400, "BadRequest", "password must be between 6 and 128 characters"] as const
      assert.deepStrictEqual(Wire.refusal(yield* Wire.register("")), [400, "BadRequest", "email invalid"])
      assert.deepStrictEqual(Wire.refusal(yield* Wire.register(email, "12345")), length)
      assert.deepStrictEqual(Wire.refusal(yield* Wire.register(email, "x".repeat(129))), length)
      assert.strictEqual((yield* Wire.register(email, "x".repeat(128))).status, 201)
      assert.strictEqual((yield* Wire.logInEmail(email, "x".repeat(128))).status, 200)
    }).pipe(Effect.provide(Wire.layer())))

  it.effect("gives an address to one, of any that ask at once", () =>
    Effect.gen(function*() {
      const answers = yield* Effect.forEach(
        ["horse 1", "horse 2", "horse 3"],
        (password) => Wire.register("ann@example.com", password),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(answers.map((answer) => answer.status).toSorted(), [201, 409, 409])
      const taken = [409, "AccountNameInUse", "name already in use"] as const
      assert.deepStrictEqual(Wire.refusal(yield* Wire.register("ann@example.com")), taken)
      assert.strictEqual((yield* Wire.register("Ann@example.com")).status, 201)
    }).pipe(Effect.provide(Wire.layer({}, Wire.interleaving))))

  it.effect("by mail says that there is none yet, and keeps the address free", () =>
    Effect.gen(function*() {
      const refused = yield* Wire.register("ann@example.com")
      assert.deepStrictEqual([refused.status, refused.fields["error_code"]], [400, "BadRequest"])
      assert.match(String(refused.fields["error"]), /^error processing request: mail is not supported yet/)
      assert.deepStrictEqual(Wire.refusal(yield* Wire.register("no address")), [400, "BadRequest", "email invalid"])
      assert.deepStrictEqual(
        Wire.refusal(yield* post("confirm/send", { email: "ann@example.com" })),
        [404, "UserNotFound", "user not found"]
      )
    }).pipe(Effect.provide(Wire.layer({
      app: AppDefinition.make({ appId: Wire.appId, authProviders: { emailPassword: {} } })
    }))))
})

describe("log-in", () => {
  it.effect("answers a wrong password and an unknown address alike, but for the log's id", () =>
    Effect.gen(function*() {
      yield* Wire.register("ann@example.com")
      const wrong = yield* Wire.logInEmail("ann@example.com", "wrong horse")
      const unknown = yield* Wire.logInEmail("nobody@example.com", "wrong horse")
      const shape = ({ headers, status, text }: Wire.Answer) => [status, headers, text.replace(/co_id=\w+/, "")]
      assert.deepStrictEqual(shape(wrong), shape(unknown))
      assert.deepStrictEqual(Wire.refusal(wrong), [401, "InvalidPassword", "unauthorized"])
    }).pipe(Effect.provide(Wire.layer())))

  it.effect("of an address that is not confirmed tells so only whoever knows the password", () =>
    withLog(() =>
      Effect.gen(function*() {
        assert.strictEqual((yield* Wire.register("pending@example.com")).status, 201)
        assert.deepStrictEqual(
          Wire.refusal(yield* Wire.logInEmail("pending@example.com")),
          [401, "AuthError", "unauthorized"]
        )
        assert.deepStrictEqual(
          Wire.refusal(yield* Wire.logInEmail("pending@example.com", "wrong horse")),
          [401, "InvalidPassword", "unauthorized"]
        )
      })
    ))
})

describe("confirmation by function", () => {
  it.effect("confirms at once, by token, or not at all", () =>
    withLog((told) =>
      Effect.gen(function*() {
        assert.strictEqual((yield* Wire.register("success@example.com")).status, 201)
        assert.strictEqual((yield* Wire.logInEmail("success@example.com")).status, 200)

        yield* Wire.register("pending@example.com")
        const { token, tokenId } = told()
        assert.match(token, /^[0-9a-f]{128}$/)
        assert.match(tokenId, /^[0-9a-f]{24}$/)
        assert.deepStrictEqual(
          Wire.refusal(yield* Wire.register("pending@example.com")),
          [409, "AccountNameInUse", "name already in use"]
        )
        const confirmed = yield* post("confirm", { token, tokenId })
        assert.deepStrictEqual([confirmed.status, confirmed.text], [204, ""])
        assert.strictEqual((yield* Wire.logInEmail("pending@example.com")).status, 200)

        for (const email of ["fail@example.com", "nonsense@example.com", "throw@example.com"]) {
          for (let times = 0; times < 2; times++) {
            assert.deepStrictEqual(
              Wire.refusal(yield* Wire.register(email)),
              [400, "BadRequest", `failed to confirm user "${email}"`]
            )
          }
        }
      })
    ))

  it.effect("takes a token once, for half an hour, and no other", () =>
    withLog((told) =>
      Effect.gen(function*() {
        const spent = [400, "UserpassTokenInvalid", "userpass token is expired or invalid"] as const
        const malformed = [400, "BadRequest", "invalid token data"] as const
        yield* Wire.register("pending@example.com")
        const { token, tokenId } = told()
        const first = { token, tokenId }
        assert.deepStrictEqual(Wire.refusal(yield* post("confirm", { ...first, tokenId: "nonsense" })), malformed)
        assert.deepStrictEqual(Wire.refusal(yield* post("confirm", { ...first, token: "nonsense" })), malformed)
        assert.deepStrictEqual(Wire.refusal(yield* post("confirm", { ...first, token: "ab".repeat(64) })), spent)
        assert.deepStrictEqual(
          Wire.refusal(yield* post("reset", { ...first, password: "battery staple" })),
          spent
        )
        yield* TestClock.adjust("30 minutes")
        assert.deepStrictEqual(Wire.refusal(yield* post("confirm", first)), spent)
        assert.strictEqual((yield* post("confirm/call", { email: "pending@example.com" })).status, 204)
        const second = told()
        const answers = yield* Effect.replicateEffect(post("confirm", second), 4, { concurrency: "unbounded" })
        assert.deepStrictEqual(answers.map((answer) => answer.status).toSorted(), [204, 400, 400, 400])
        assert.deepStrictEqual(
          Wire.refusal(yield* post("confirm/call", { email: "pending@example.com" })),
          [400, "UserAlreadyConfirmed", "already confirmed"]
        )
        assert.deepStrictEqual(
          Wire.refusal(yield* post("confirm/call", { email: "nobody@example.com" })),
          [404, "UserNotFound", "user not found"]
        )
      })
    ))

  it.effect("that fails takes no address away that was confirmed while it ran", () => {
    const email = "ann@example.com"
    const password = Redacted.make("correct horse")
    let pending: EmailAccounts.LinkToken | undefined
    let confirm: (token: EmailAccounts.LinkToken) => Effect.Effect<void, unknown> = () => Effect.void
    const run = (request: EmailAccounts.ConfirmationRequest): Effect.Effect<EmailAccounts.Verdict> => {
      if (pending === undefined) {
        pending = request
        return Effect.succeed("pending")
      }
      return Effect.as(Effect.orDie(confirm(pending)), "fail")
    }
    const layer = EmailAccounts.layer({
      database: "users",
      confirmation: { _tag: "Function", run },
      reset: { _tag: "Mail" }
    }).pipe(Layer.provide([Password.layer(Wire.passwords), Database.layerMemory]))
    return Effect.gen(function*() {
      const accounts = yield* EmailAccounts.EmailAccounts
      confirm = accounts.confirm
      yield* accounts.register({ email, password })
      yield* Effect.flip(accounts.callConfirmation(email))
      assert.deepStrictEqual((yield* accounts.logIn({ email, password })).data, { email })
    }).pipe(Effect.provide(layer))
  })

  it.effect("cannot be run where confirmation is automatic", () =>
    Effect.gen(function*() {
      yield* Wire.register("ann@example.com")
      const refused = yield* post("confirm/call", { email: "ann@example.com" })
      assert.strictEqual(
        refused.fields["error"],
        "cannot run confirmation for ann@example.com: automatic confirmation is enabled"
      )
    }).pipe(Effect.provide(Wire.layer())))
})

describe("reset by function", () => {
  const email = "success@example.com"
  const reset = (password: string, ...args: ReadonlyArray<unknown>) =>
    post("reset/call", { email, password, arguments: args })

  it.effect("sets the password at once, by token, or not at all", () =>
    withLog((told) =>
      Effect.gen(function*() {
        yield* Wire.register(email)
        assert.strictEqual((yield* reset("second horse", "success")).status, 204)
        assert.strictEqual((yield* Wire.logInEmail(email, "second horse")).status, 200)
        assert.strictEqual((yield* Wire.logInEmail(email)).status, 401)

        assert.strictEqual((yield* reset("third horse", "pending")).status, 204)
        assert.strictEqual((yield* Wire.logInEmail(email, "third horse")).status, 401)
        const token = told()
        assert.strictEqual((yield* post("reset", { ...token, password: "fourth horse" })).status, 204)
        assert.strictEqual((yield* Wire.logInEmail(email, "fourth horse")).status, 200)
        assert.deepStrictEqual(
          Wire.refusal(yield* post("reset", { ...token, password: "fifth horse" })),
          [400, "UserpassTokenInvalid", "userpass token is expired or invalid"]
        )

        assert.strictEqual((yield* reset("lost horse", "pending")).status, 204)
        const older = told()
        assert.strictEqual((yield* reset("fourth horse", "success")).status, 204)
        assert.deepStrictEqual(
          Wire.refusal(yield* post("reset", { ...older, password: "fifth horse" })),
          [400, "UserpassTokenInvalid", "userpass token is expired or invalid"]
        )

        assert.deepStrictEqual(
          Wire.refusal(yield* reset("sixth horse", "fail")),
          [400, undefined, `failed to reset password for user "${email}"`]
        )
        assert.deepStrictEqual(
          Wire.refusal(yield* post("reset", { ...told(), password: "sixth horse" })),
          [400, "UserpassTokenInvalid", "userpass token is expired or invalid"]
        )
        assert.strictEqual((yield* Wire.logInEmail(email, "fourth horse")).status, 200)
      })
    ))

  it.effect("is told whether the password is the present one, and what else the client sent", () =>
    withLog((told) =>
      Effect.gen(function*() {
        yield* Wire.register(email)
        yield* reset("correct horse", "pending", { $numberInt: "1" }, "two")
        assert.deepStrictEqual([told().currentPasswordValid, told().more], [true, [1, "two"]])
        yield* reset("second horse", "pending")
        assert.deepStrictEqual([told().currentPasswordValid, told().more], [false, []])
        assert.deepStrictEqual(
          Wire.refusal(yield* post("reset/call", { email: "nobody@example.com", password: "horses", arguments: [] })),
          [404, "UserNotFound", "user not found"]
        )
        assert.deepStrictEqual(
          Wire.refusal(yield* post("reset/send", { email })),
          [400, "BadRequest", "please use reset password via function"]
        )
      })
    ))
})
