import { AppDefinition, type AuthProvider, Database, EmailAccounts, Mail, Password } from "@effect-realm/server"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
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
      reset: { _tag: "Mail", send: () => Effect.void }
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

// -----------------------------------------------------------------------------
// By mail
// -----------------------------------------------------------------------------

const invalid = [400, "UserpassTokenInvalid", "userpass token is expired or invalid"] as const

const byMail = (emailPassword: Partial<AuthProvider.EmailPassword> = {}) =>
  AppDefinition.make({
    appId: Wire.appId,
    authProviders: {
      emailPassword: {
        emailConfirmationUrl: "https://shop.example/confirm?from=mail#top",
        confirmEmailSubject: "Welcome to the shop",
        resetPasswordUrl: "https://shop.example/reset",
        ...emailPassword
      }
    }
  })

const sent = Mail.Outbox.use((outbox) => outbox.sent)

const refuseWith = (reason: Mail.MailErrorReason | undefined) => Mail.Outbox.use((outbox) => outbox.refuseWith(reason))

const links = Effect.map(sent, (mails) =>
  mails.map(({ text }) => {
    const { searchParams } = new URL(/^\S+:\/\/\S+$/m.exec(text)?.[0] ?? "")
    return { token: searchParams.get("token") ?? "", tokenId: searchParams.get("tokenId") ?? "" }
  }))

const lastLink = Effect.map(links, (all) => all.at(-1) ?? { token: "", tokenId: "" })

const withMail = (emailPassword?: Partial<AuthProvider.EmailPassword>, lines: Array<string> = []) =>
  Layer.merge(Wire.layer({ app: byMail(emailPassword) }, Wire.interleaving), Wire.capture(lines))

describe("confirmation by mail", () => {
  const email = "ann@example.com"

  it.effect("sends a link, which confirms the address once", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* Wire.register(email)).status, 201)
      const [mail] = yield* sent
      assert.deepStrictEqual([mail?.to, mail?.subject], [email, "Welcome to the shop"])
      const { token, tokenId } = yield* lastLink
      assert.match(token, /^[0-9a-f]{128}$/)
      assert.match(tokenId, /^[0-9a-f]{24}$/)
      const link = `https://shop.example/confirm?from=mail&token=${token}&tokenId=${tokenId}#top`
      assert.include(mail?.text ?? "", `\n${link}\n`)
      assert.include(mail?.html ?? "", `<a href="${link.replaceAll("&", "&amp;")}">`)

      assert.deepStrictEqual(Wire.refusal(yield* Wire.logInEmail(email)), [401, "AuthError", "unauthorized"])
      assert.deepStrictEqual(
        Wire.refusal(yield* Wire.register(email)),
        [409, "AccountNameInUse", "name already in use"]
      )
      const answers = yield* Effect.replicateEffect(post("confirm", { token, tokenId }), 4, {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(answers.map((answer) => answer.status).toSorted(), [204, 400, 400, 400])
      assert.strictEqual((yield* Wire.logInEmail(email)).status, 200)
      assert.strictEqual((yield* sent).length, 1)
    }).pipe(Effect.provide(withMail())))

  it.effect("is told in the log, and not to the client, why a link is refused; the log shows no token", () => {
    const lines: Array<string> = []
    return Effect.gen(function*() {
      yield* Wire.register(email)
      const link = yield* lastLink
      const refusals = [
        yield* post("confirm", { ...link, tokenId: "636aba021728b6c1c03db7f9" }),
        yield* post("confirm", { ...link, token: "ab".repeat(64) }),
        yield* post("reset", { ...link, password: "battery staple" })
      ]
      yield* post("confirm", link)
      refusals.push(yield* post("confirm", link))
      yield* Wire.register("bob@example.com")
      yield* TestClock.adjust("30 minutes")
      refusals.push(yield* post("confirm", yield* lastLink))
      for (const refusal of refusals) assert.deepStrictEqual(Wire.refusal(refusal), invalid)
      assert.deepStrictEqual(
        lines.filter((line) => line.startsWith("link refused")),
        [
          "link refused: unknown",
          "link refused: wrong token",
          "link refused: made to confirm",
          "link refused: used",
          "link refused: expired"
        ]
      )
      assert.notInclude(lines.join("\n"), link.token)
    }).pipe(Effect.provide(withMail({}, lines)))
  })

  it.effect("is sent again, and the earlier link stays good until its time is over", () =>
    Effect.gen(function*() {
      yield* Wire.register(email)
      yield* TestClock.adjust("29 minutes")
      const again = yield* post("confirm/send", { email })
      assert.deepStrictEqual([again.status, again.text], [204, ""])
      const [first, second] = yield* links
      assert.notDeepEqual(first, second)
      assert.strictEqual((yield* post("confirm", { ...first })).status, 204)
      assert.deepStrictEqual(
        Wire.refusal(yield* post("confirm/send", { email })),
        [400, "UserAlreadyConfirmed", "already confirmed"]
      )
      assert.deepStrictEqual(
        Wire.refusal(yield* post("confirm/send", { email: "nobody@example.com" })),
        [404, "UserNotFound", "user not found"]
      )
      assert.strictEqual((yield* sent).length, 2)
    }).pipe(Effect.provide(withMail())))

  it.effect("that cannot be sent leaves nothing, so that the address can be registered once the mail server is back", () =>
    Effect.gen(function*() {
      const down: ReadonlyArray<Mail.MailErrorReason> = [
        { _tag: "Unreachable", detail: "connection refused" },
        { _tag: "TimedOut", timeout: 20_000 },
        { _tag: "NotAuthenticated", detail: "wrong password" }
      ]
      for (const reason of down) {
        yield* refuseWith(reason)
        assert.deepStrictEqual(
          Wire.refusal(yield* Wire.register(email)),
          [503, undefined, "error processing request: the mail could not be sent, try again later"]
        )
      }
      yield* refuseWith({ _tag: "RecipientRefused", detail: "550 no such mailbox" })
      assert.deepStrictEqual(
        Wire.refusal(yield* Wire.register(email)),
        [400, "BadRequest", "error processing request: no mail can be sent to this address"]
      )
      assert.strictEqual((yield* Wire.logInEmail(email)).status, 401)
      yield* refuseWith(undefined)
      assert.strictEqual((yield* Wire.register(email)).status, 201)

      yield* refuseWith({ _tag: "TimedOut", timeout: 20_000 })
      assert.strictEqual((yield* post("confirm/send", { email })).status, 503)
      assert.strictEqual((yield* post("confirm", yield* lastLink)).status, 204)
    }).pipe(Effect.provide(withMail())))

  it.effect("goes on when the client does not wait for the answer", () =>
    Effect.gen(function*() {
      const taken = yield* Deferred.make<void>()
      const delivered = yield* Latch.make()
      const requests: Array<EmailAccounts.ConfirmationRequest> = []
      const layer = EmailAccounts.layer({
        database: "users",
        confirmation: {
          _tag: "Mail",
          send: (request) =>
            Effect.gen(function*() {
              yield* Deferred.succeed(taken, undefined)
              yield* delivered.await
              requests.push(request)
            })
        },
        reset: { _tag: "Mail", send: () => Effect.void }
      }).pipe(Layer.provide([Password.layer(Wire.passwords), Database.layerMemory]))
      yield* Effect.gen(function*() {
        const accounts = yield* EmailAccounts.EmailAccounts
        const password = Redacted.make("correct horse")
        const registration = yield* Effect.forkChild(accounts.register({ email, password }))
        yield* Deferred.await(taken)
        yield* Fiber.interrupt(registration)
        yield* delivered.open
        yield* Effect.repeat(Effect.yieldNow, { while: () => requests.length === 0 })
        const { token, tokenId } = requests[0]!
        yield* accounts.confirm({ token, tokenId })
        assert.deepStrictEqual((yield* accounts.logIn({ email, password })).data, { email })
      }).pipe(Effect.provide(layer))
    }))

  it.effect("takes no address that a mail could not go to, or that would be more than one line", () =>
    Effect.gen(function*() {
      const wrong = [
        "no address",
        "ann@example.com\r\nBcc: everybody@example.com",
        "ann@example.com, bob@example.com",
        "Ann <ann@example.com>",
        "ann@exa mple.com",
        "ann@-example.com",
        "ann@example..com",
        "ann@\u202eexample.com",
        "\ud800@example.com",
        `${"a".repeat(65)}@example.com`,
        `ann@${"a".repeat(250)}.com`,
        `ann@${"ä".repeat(125)}.com`
      ]
      for (const email of wrong) {
        assert.deepStrictEqual(Wire.refusal(yield* Wire.register(email)), [400, "BadRequest", "email invalid"], email)
      }
      assert.deepStrictEqual(yield* sent, [])
      for (const email of ["zoë@bücher.example", "o'hara+shop@mail.example", "root@localhost"]) {
        assert.strictEqual((yield* Wire.register(email)).status, 201, email)
      }
    }).pipe(Effect.provide(withMail())))

  it.effect("has a subject of one line, and one of its own when the app gives none", () =>
    Effect.gen(function*() {
      const subject = (confirmEmailSubject: string) =>
        Effect.gen(function*() {
          yield* Wire.register(email)
          return (yield* sent)[0]?.subject
        }).pipe(Effect.provide(withMail({ confirmEmailSubject })))
      assert.strictEqual(yield* subject("Hello\r\nBcc: everybody@example.com"), "Hello Bcc: everybody@example.com")
      assert.strictEqual(yield* subject(""), "Confirm your email address")
    }))

  it.effect("says that there is none where the app names no page for the link", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(Wire.refusal(yield* Wire.register(email)), [
        400,
        "BadRequest",
        "error processing request: the app names no page for its links: set emailConfirmationUrl or resetPasswordUrl"
      ])
      assert.deepStrictEqual(yield* sent, [])
    }).pipe(Effect.provide(withMail({ emailConfirmationUrl: "" }))))

  it.effect("says that there is none where nobody has set it up", () => {
    const lines: Array<string> = []
    return Effect.gen(function*() {
      yield* refuseWith({ _tag: "NotConfigured" })
      assert.deepStrictEqual(
        Wire.refusal(yield* Wire.register(email)),
        [400, "BadRequest", "error processing request: the server is not set up to send mails"]
      )
      assert.match(lines.join("\n"), /^mail not sent: No mail server is configured. Set EFFECT_REALM_MAIL_URL/m)
    }).pipe(Effect.provide(withMail({}, lines)))
  })
})

describe("reset by mail", () => {
  const email = "ann@example.com"
  const reset = (password: string, link: object) => post("reset", { ...link, password })

  it.effect("sends a link, which sets the password once and ends the links before it", () =>
    Effect.gen(function*() {
      yield* Wire.register(email)
      assert.strictEqual((yield* post("reset/send", { email })).status, 204)
      assert.strictEqual((yield* post("reset/send", { email })).status, 204)
      const [first, second] = yield* links
      const [mail] = yield* sent
      assert.deepStrictEqual([mail?.to, mail?.subject], [email, "Set a new password"])
      assert.include(mail?.text ?? "", `\nhttps://shop.example/reset?token=${first?.token}&tokenId=${first?.tokenId}\n`)

      assert.deepStrictEqual(
        Wire.refusal(yield* reset("short", { ...second })),
        [400, "BadRequest", "password must be between 6 and 128 characters"]
      )
      const answers = yield* Effect.forEach(
        ["second horse", "third horse", "fourth horse"],
        (password) => Effect.map(reset(password, { ...second }), ({ status }) => ({ password, status })),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(answers.map(({ status }) => status).toSorted(), [204, 400, 400])
      const password = answers.find(({ status }) => status === 204)?.password
      assert.strictEqual((yield* Wire.logInEmail(email, password)).status, 200)
      assert.strictEqual((yield* Wire.logInEmail(email)).status, 401)
      assert.deepStrictEqual(Wire.refusal(yield* reset("fifth horse", { ...first })), invalid)

      yield* post("reset/send", { email })
      yield* TestClock.adjust("30 minutes")
      assert.deepStrictEqual(Wire.refusal(yield* reset("sixth horse", yield* lastLink)), invalid)
      assert.strictEqual((yield* Wire.logInEmail(email, password)).status, 200)
    }).pipe(Effect.provide(withMail({ autoConfirm: true }))))

  it.effect("is refused in the protocol's words", () =>
    Effect.gen(function*() {
      yield* Wire.register(email)
      assert.deepStrictEqual(
        Wire.refusal(yield* post("reset/send", { email: "nobody@example.com" })),
        [404, "UserNotFound", "user not found"]
      )
      assert.strictEqual(
        (yield* post("reset/call", { email, password: "battery staple", arguments: [] })).fields["error"],
        "error processing request: no reset function is configured"
      )
      assert.strictEqual(
        (yield* post("confirm/send", { email: "nobody@example.com" })).fields["error_code"],
        "UserNotFound"
      )
      yield* refuseWith({ _tag: "Unreachable", detail: "connection refused" })
      assert.strictEqual((yield* post("reset/send", { email })).status, 503)
    }).pipe(Effect.provide(withMail({ autoConfirm: true }))))

  it.effect("of a name that is no address says so, and one with a line break is no name", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* Wire.register("just ann")).status, 201)
      assert.deepStrictEqual(
        Wire.refusal(yield* post("reset/send", { email: "just ann" })),
        [400, "BadRequest", "error processing request: no mail can be sent to this address"]
      )
      for (const email of ["ann\nbob", "\ud800", "a".repeat(321)]) {
        assert.deepStrictEqual(Wire.refusal(yield* Wire.register(email)), [400, "BadRequest", "email invalid"])
      }
    }).pipe(Effect.provide(withMail({ autoConfirm: true }))))
})
