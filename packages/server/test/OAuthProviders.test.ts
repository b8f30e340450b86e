import type { AppDefinition, RealmServer } from "@effect-realm/server"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/testing/TestClock"
import { SignJWT } from "jose"
import { generateKeyPairSync } from "node:crypto"
import * as Facebook from "./support/facebook.ts"
import * as Issuer from "./support/issuer.ts"
import * as Wire from "./support/wire.ts"

type Providers = NonNullable<AppDefinition.Options["authProviders"]>

const app = (authProviders: Providers) =>
  Wire.makeApp({
    authProviders: { anonymous: {}, ...authProviders },
    secrets: {
      clientSecret: Redacted.make(Issuer.client.secret),
      facebookSecret: Redacted.make(Facebook.app.secret)
    }
  })

const google = { clientId: Issuer.client.id, clientSecret: "clientSecret" }
const apple = { clientId: Issuer.client.id }
const facebook = { clientId: Facebook.app.id, clientSecret: "facebookSecret" }

/** A server at the present time, which is that of the issuers on their sockets. */
const served = <A, E, R>(
  use: Effect.Effect<A, E, R>,
  authProviders: Providers,
  options: Partial<RealmServer.Options>
) =>
  Effect.andThen(
    TestClock.withLive(Effect.clockWith((clock) => clock.currentTimeMillis)).pipe(Effect.flatMap(TestClock.setTime)),
    Effect.provide(use, Wire.layer({ app: app(authProviders), ...options }))
  )

const logIn = (provider: "google" | "facebook" | "apple", body: object, token?: string) =>
  Wire.send("POST", `${Wire.providers}/oauth2-${provider}/login${token === undefined ? "" : "?link=true"}`, {
    body,
    ...token === undefined ? undefined : { token }
  })

const profileOf = (answer: Wire.Answer) =>
  Effect.gen(function*() {
    const { access_token, user_id } = yield* Wire.tokens(answer)
    const { fields } = yield* Wire.profile(access_token)
    const [identity] = fields["identities"] as ReadonlyArray<{ readonly [name: string]: unknown }>
    return { userId: user_id, data: fields["data"], id: identity?.["id"], type: identity?.["provider_type"] }
  })

const ann = {
  name: "Ann Zürich 🎉",
  given_name: "Ann",
  family_name: "Zürich",
  email: "ann@shop.example",
  email_verified: true,
  picture: "https://pictures.example/ann"
}

const refused = [401, "AuthError", "unauthorized"] as const
const notAllowed = [403, "DomainNotAllowed", "the domain of the email address is not allowed by the app"] as const
const unreachable = (provider: string) =>
  [503, undefined, `the provider 'oauth2-${provider}' cannot be reached, try again later`] as const

describe("Google", () => {
  it.effect("an id token logs in, and what it tells of the account is brought up to date each time", () =>
    Effect.gen(function*() {
      const issuer = yield* Issuer.make()
      issuer.accounts.set("ann", ann)
      yield* served(
        Effect.gen(function*() {
          const first = yield* profileOf(yield* logIn("google", { id_token: yield* Issuer.idToken(issuer) }))
          assert.deepStrictEqual(first, {
            userId: first.userId,
            id: "ann",
            type: "oauth2-google",
            data: { name: ann.name, email: ann.email, picture: ann.picture }
          })
          issuer.accounts.set("ann", { email: "ann@shop.example", name: "Ann Bern" })
          const second = yield* profileOf(yield* logIn("google", { id_token: yield* Issuer.idToken(issuer) }))
          assert.deepStrictEqual(second, { ...first, data: { name: "Ann Bern", email: "ann@shop.example" } })
        }),
        { google },
        { issuers: { google: issuer.url } }
      )
    }))

  it.effect("a code logs in once, and what its id token does not tell is asked for", () =>
    Effect.gen(function*() {
      const issuer = yield* Issuer.make({ isTerse: true })
      issuer.accounts.set("ann", ann)
      yield* served(
        Effect.gen(function*() {
          const authCode = yield* Issuer.code(issuer)
          const { data, id } = yield* profileOf(yield* logIn("google", { authCode, provider: "oauth2-google" }))
          assert.strictEqual(id, "ann")
          assert.deepStrictEqual(data, { first_name: "Ann", last_name: "Zürich", email: ann.email })
          assert.deepStrictEqual(Wire.refusal(yield* logIn("google", { authCode })), refused)
          assert.deepStrictEqual(Wire.refusal(yield* logIn("google", { authCode: "made up" })), refused)
        }),
        { google: { ...google, metadataFields: [{ name: "first_name" }, { name: "last_name" }, { name: "email" }] } },
        { issuers: { google: issuer.url } }
      )
    }))

  it.effect("links, and a wrong token is refused in other words than an expired session", () =>
    Effect.gen(function*() {
      const issuer = yield* Issuer.make()
      yield* served(
        Effect.gen(function*() {
          const { access_token, user_id } = yield* Wire.logInAnonymous
          const id_token = yield* Issuer.idToken(issuer)
          const linked = yield* Effect.flatMap(logIn("google", { id_token }, access_token), Wire.linked)
          assert.strictEqual(linked.user_id, user_id)
          assert.strictEqual((yield* profileOf(yield* logIn("google", { id_token }))).userId, user_id)
          assert.deepStrictEqual(
            Wire.refusal(yield* logIn("google", { id_token: "x" }, access_token)),
            [401, "AuthError", "invalid credentials"]
          )
        }),
        { google },
        { issuers: { google: issuer.url } }
      )
    }))

  it.effect("what does not come from the issuer for this app, or not now, is refused and makes no user", () =>
    Effect.gen(function*() {
      const issuer = yield* Issuer.make()
      const stranger = yield* Issuer.make()
      const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2_048 })
      yield* served(
        Effect.gen(function*() {
          const genuine = yield* Issuer.idToken(issuer)
          const [header = "", , signature = ""] = genuine.split(".")
          const claims = Wire.claims(genuine)
          const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url")
          const forged = yield* Effect.promise(() =>
            new SignJWT({ ...claims }).setProtectedHeader({ alg: "RS256", kid: "issuer-key" }).sign(privateKey)
          )
          const confused = yield* Effect.promise(() =>
            new SignJWT({ ...claims }).setProtectedHeader({ alg: "HS256", kid: "issuer-key" }).sign(
              new TextEncoder().encode(Issuer.client.secret)
            )
          )
          const bad: { readonly [what: string]: string } = {
            "of another issuer": yield* Issuer.idToken(stranger),
            "of nobody": "x.y.z",
            "alg none": `${encode({ alg: "none" })}.${encode(claims)}.`,
            "with other claims": `${header}.${encode({ ...claims, sub: "bob" })}.${signature}`,
            "signed by somebody else": forged,
            "signed with the client's secret": confused
          }
          for (const [what, id_token] of Object.entries(bad)) {
            assert.deepStrictEqual(Wire.refusal(yield* logIn("google", { id_token })), refused, what)
          }
          for (const body of [{}, { id_token: 7 }, { authCode: null }, { accessToken: "x" }]) {
            const answer = yield* logIn("google", body)
            assert.deepStrictEqual([answer.status, answer.fields["error_code"]], [400, "BadRequest"])
          }
          yield* TestClock.adjust("11 minutes")
          assert.deepStrictEqual(Wire.refusal(yield* logIn("google", { id_token: genuine })), refused)
          assert.strictEqual(yield* Wire.countUsers, 0)
        }),
        { google },
        { issuers: { google: issuer.url } }
      )
      yield* served(
        Effect.gen(function*() {
          const id_token = yield* Issuer.idToken(issuer)
          assert.deepStrictEqual(Wire.refusal(yield* logIn("google", { id_token })), refused)
        }),
        { google: { ...google, clientId: "another-client" } },
        { issuers: { google: issuer.url } }
      )
    }))

  it.effect("lets in the domains that the app lists, by addresses that Google has confirmed", () =>
    Effect.gen(function*() {
      const issuer = yield* Issuer.make()
      yield* served(
        Effect.gen(function*() {
          const answerTo = Effect.fnUntraced(function*(account: Issuer.Account) {
            issuer.accounts.set("ann", account)
            return yield* logIn("google", { id_token: yield* Issuer.idToken(issuer) })
          })
          for (
            const account of [
              {},
              { email: "ann@shop.example" },
              { email: "ann@shop.example", email_verified: false },
              { email: "ann@evil.example", email_verified: true },
              { email: "ann@not-shop.example", email_verified: true },
              { email: "shop.example", email_verified: true },
              { email: "@shop.example", email_verified: true },
              { email: "ann@shop.example@evil.example", email_verified: true }
            ]
          ) {
            assert.deepStrictEqual(Wire.refusal(yield* answerTo(account)), notAllowed)
          }
          assert.strictEqual((yield* answerTo({ email: "ann@SHOP.example", email_verified: true })).status, 200)
        }),
        { google: { ...google, domainRestrictions: ["shop.example"] } },
        { issuers: { google: issuer.url } }
      )
    }))

  it.effect("that is down is neither the caller's fault nor a mistake of the server", () =>
    Effect.gen(function*() {
      const issuer = yield* Effect.scoped(Issuer.make())
      yield* served(
        Effect.gen(function*() {
          const header = Buffer.from(JSON.stringify({ alg: "RS256", kid: "1" })).toString("base64url")
          const id_token = `${header}.e30.AAAA`
          assert.deepStrictEqual(Wire.refusal(yield* logIn("google", { id_token })), unreachable("google"))
          assert.deepStrictEqual(Wire.refusal(yield* logIn("google", { authCode: "x" })), unreachable("google"))
        }),
        { google },
        { issuers: { google: issuer.url } }
      )
    }))

  it.effect("whose document is another's, or leads to where nobody is safe, is not asked any further", () => {
    const document = {
      issuer: "https://accounts.example",
      authorization_endpoint: "https://accounts.example/auth",
      token_endpoint: "https://accounts.example/token",
      jwks_uri: "https://accounts.example/keys"
    }
    return Effect.forEach([
      {},
      [],
      { ...document, issuer: "https://evil.example" },
      { ...document, token_endpoint: "http://accounts.example/token" },
      { ...document, jwks_uri: undefined }
    ], (answered) => {
      const asked: Array<string> = []
      const client = HttpClient.make((request) =>
        Effect.sync(() => {
          asked.push(request.url)
          return HttpClientResponse.fromWeb(request, Response.json(answered))
        })
      )
      return Effect.gen(function*() {
        assert.deepStrictEqual(Wire.refusal(yield* logIn("google", { authCode: "x" })), unreachable("google"))
        assert.deepStrictEqual(asked, ["https://accounts.example/.well-known/openid-configuration"])
      }).pipe(Effect.provide(Wire.layer({
        app: app({ google }),
        issuers: { google: "https://accounts.example" },
        httpClient: Layer.succeed(HttpClient.HttpClient, client)
      })))
    })
  })

  it.effect("a code that Google's own button has asked for is exchanged as such", () => {
    const bodies: Array<string> = []
    const issuer = "https://accounts.example"
    const client = HttpClient.make((request, url) =>
      Effect.sync(() => {
        const answer = () => {
          switch (url.pathname) {
            case "/token": {
              const body = request.body._tag === "Uint8Array" ? new TextDecoder().decode(request.body.body) : ""
              bodies.push(new URLSearchParams(body).get("redirect_uri") ?? "none")
              return body.includes("redirect_uri=postmessage")
                ? Response.json({ access_token: "token" })
                : Response.json({ error: "redirect_uri_mismatch" }, { status: 400 })
            }
            case "/userinfo":
              return Response.json({ sub: "ann", name: "Ann" })
            default:
              return Response.json({
                issuer,
                authorization_endpoint: `${issuer}/auth`,
                token_endpoint: `${issuer}/token`,
                userinfo_endpoint: `${issuer}/userinfo`,
                jwks_uri: `${issuer}/keys`
              })
          }
        }
        return HttpClientResponse.fromWeb(request, answer())
      })
    )
    return Effect.gen(function*() {
      const { data, id } = yield* profileOf(yield* logIn("google", { authCode: "x" }))
      assert.deepStrictEqual([id, data], ["ann", { name: "Ann" }])
      assert.deepStrictEqual(bodies, ["none", "postmessage"])
    }).pipe(Effect.provide(Wire.layer({
      app: app({ google }),
      issuers: { google: issuer },
      httpClient: Layer.succeed(HttpClient.HttpClient, client)
    })))
  })
})

describe("Apple", () => {
  it.effect("an id token logs in, and one of a provider that is switched off does not", () =>
    Effect.gen(function*() {
      const issuer = yield* Issuer.make()
      issuer.accounts.set("ann", { email: "ann@shop.example", email_verified: "true" })
      yield* served(
        Effect.gen(function*() {
          const id_token = yield* Issuer.idToken(issuer)
          const { data, id, type } = yield* profileOf(yield* logIn("apple", { id_token }))
          assert.deepStrictEqual([id, type, data], ["ann", "oauth2-apple", { email: "ann@shop.example" }])
          assert.deepStrictEqual(Wire.refusal(yield* logIn("apple", { id_token: "x" })), refused)
          assert.deepStrictEqual(
            Wire.refusal(yield* logIn("google", { id_token })),
            [404, "AuthProviderNotFound", "authentication via 'oauth2-google' is unsupported"]
          )
        }),
        { apple: { ...apple, domainRestrictions: ["shop.example"] }, google: { ...google, enabled: false } },
        { issuers: { apple: issuer.url } }
      )
    }))
})

describe("Facebook", () => {
  const zoe = {
    id: "1001",
    name: "Zoë 日本",
    email: "zoe@shop.example",
    picture: { data: { url: "https://pictures.example/zoe" } },
    age_range: { min: 21 },
    gender: "female"
  }

  it.effect("an access token logs in, and what Facebook tells of the account is brought up to date", () =>
    Effect.gen(function*() {
      const graph = yield* Facebook.make
      graph.tokens.set("token-1", { inspected: Facebook.inspected("1001"), user: zoe })
      graph.tokens.set("token-2", { inspected: Facebook.inspected("1001"), user: { id: "1001", name: "Zoe" } })
      yield* served(
        Effect.gen(function*() {
          const first = yield* profileOf(yield* logIn("facebook", { accessToken: "token-1" }))
          assert.deepStrictEqual(first, {
            userId: first.userId,
            id: "1001",
            type: "oauth2-facebook",
            data: { name: "Zoë 日本", picture: "https://pictures.example/zoe", min_age: 21 }
          })
          const second = yield* profileOf(yield* logIn("facebook", { accessToken: "token-2" }))
          assert.deepStrictEqual(second, { ...first, data: { name: "Zoe" } })
          // Secrets travel in headers, and the token in question where Facebook wants it.
          assert.notInclude(graph.requests.join(), encodeURIComponent(Facebook.app.secret))
        }),
        {
          facebook: {
            ...facebook,
            metadataFields: [{ name: "name", required: true }, { name: "picture" }, { name: "min_age" }]
          }
        },
        { issuers: { facebookGraph: graph.url } }
      )
    }))

  it.effect("a token that is not valid, of another app, of nobody or of somebody else is refused", () =>
    Effect.gen(function*() {
      const graph = yield* Facebook.make
      const inspected = Facebook.inspected("1001")
      graph.tokens.set("invalid", { inspected: { ...inspected, is_valid: false }, user: zoe })
      graph.tokens.set("another app", { inspected: { ...inspected, app_id: "999" }, user: zoe })
      graph.tokens.set("of a page", { inspected: { ...inspected, user_id: undefined }, user: zoe })
      graph.tokens.set("somebody else", { inspected, user: { ...zoe, id: "1002" } })
      graph.tokens.set("no name", { inspected, user: { id: "1001" } })
      yield* served(
        Effect.gen(function*() {
          for (const accessToken of [...graph.tokens.keys(), "unknown", ""]) {
            assert.deepStrictEqual(Wire.refusal(yield* logIn("facebook", { accessToken })), refused, accessToken)
          }
          graph.broken = { status: 500, body: "<h1>Sorry</h1>" }
          assert.deepStrictEqual(Wire.refusal(yield* logIn("facebook", { accessToken: "x" })), unreachable("facebook"))
          graph.broken = { status: 200, body: "<h1>Hello</h1>" }
          assert.deepStrictEqual(Wire.refusal(yield* logIn("facebook", { accessToken: "x" })), unreachable("facebook"))
          assert.strictEqual(yield* Wire.countUsers, 0)
        }),
        { facebook: { ...facebook, metadataFields: [{ name: "name", required: true }] } },
        { issuers: { facebookGraph: graph.url } }
      )
    }))
})

describe("a definition", () => {
  it("names what is wrong with a provider", () => {
    const wrong: ReadonlyArray<readonly [RegExp, Providers]> = [
      [/clientId/, { google: { clientId: "" } }],
      [/secret that proves the app/, { facebook: { clientId: "1" } }],
      [/secret that proves the app/, { google: { clientId: "1", redirectUris: ["https://shop.example"] } }],
      [/no secret "missing"/, { apple: { clientId: "1", clientSecret: "missing" } }],
      [/whole address of a page/, { google: { ...google, redirectUris: ["/signed-in"] } }],
      [/whole address of a page/, { google: { ...google, redirectUris: ["https://shop.example/#here"] } }],
      [/whole address of a page/, { google: { ...google, redirectUris: ["javascript:alert(1)"] } }],
      [/a domain such as/, { google: { ...google, domainRestrictions: ["ann@shop.example"] } }],
      [/"email" is there twice/, { google: { ...google, metadataFields: [{ name: "email" }, { name: "email" }] } }]
    ]
    for (const [message, providers] of wrong) assert.throws(() => app(providers), message)
    assert.throws(() => Wire.layer({ issuers: { google: "http://accounts.example" } }), /begins with https/)
  })
})
