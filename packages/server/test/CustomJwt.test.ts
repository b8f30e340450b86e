import type { AppDefinition } from "@effect-realm/server"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as References from "effect/References"
import * as TestClock from "effect/testing/TestClock"
import { SignJWT } from "jose"
import { generateKeyPairSync, type KeyObject } from "node:crypto"
import * as Wire from "./support/wire.ts"

const secretOf = (letter: string) => letter.repeat(40)
const keyOf = (secret: string) => new TextEncoder().encode(secret)
const rsa = () => generateKeyPairSync("rsa", { modulusLength: 2_048 })
const first = rsa()
const second = rsa()
const small = generateKeyPairSync("rsa", { modulusLength: 1_024 })
const pem = (key: KeyObject) => key.export({ format: "pem", type: "spki" }).toString()

const hour = 3_600

interface Signed {
  readonly key?: Uint8Array | KeyObject
  readonly alg?: string
  readonly kid?: string
}

/** A token of an hour from the beginning of the test clock; a claim that is `undefined` is left out. */
const sign = (claims: { readonly [name: string]: unknown } = {}, { alg = "HS256", key, kid }: Signed = {}) =>
  Effect.promise(() =>
    new SignJWT({ sub: "ann", aud: Wire.appId, iat: 0, exp: hour, ...claims })
      .setProtectedHeader({ alg, ...(kid === undefined ? undefined : { kid }) })
      .sign(key ?? keyOf(secretOf("a")))
  )

const logIn = (token: unknown, sent: Wire.Sent = {}) =>
  Wire.send("POST", `${Wire.providers}/custom-token/login${sent.token === undefined ? "" : "?link=true"}`, {
    ...sent,
    body: { token }
  })

const refused = [401, "AuthError", "unauthorized"] as const

const app = (
  customJwt: NonNullable<AppDefinition.Options["authProviders"]>["customJwt"],
  secrets: { readonly [name: string]: string } = { a: secretOf("a") }
) =>
  Wire.makeApp({
    authProviders: { anonymous: {}, ...(customJwt === undefined ? undefined : { customJwt }) },
    secrets: Object.fromEntries(Object.entries(secrets).map(([name, value]) => [name, Redacted.make(value)]))
  })

const symmetric = { app: app({ signingKeys: ["a"] }) }

/** Writes log lines with their annotations to an array. */
const captureAll = (lines: Array<string>): Layer.Layer<never> =>
  Logger.layer([Logger.make(({ fiber, message }) => {
    lines.push(JSON.stringify([message, fiber.getRef(References.CurrentLogAnnotations)]))
  })])

const userData = Effect.fnUntraced(function*(token: string) {
  const { access_token } = yield* Effect.flatMap(logIn(token), Wire.tokens)
  return (yield* Wire.profile(access_token)).fields["data"]
})

describe("a token signed with a key of the app's", () => {
  it.effect("logs in, twice as the same user, whose identity is the subject", () =>
    Effect.gen(function*() {
      const token = yield* sign()
      const tokens = yield* Effect.flatMap(logIn(token), Wire.tokens)
      const again = yield* Effect.flatMap(logIn(token), Wire.tokens)
      assert.strictEqual(again.user_id, tokens.user_id)
      const { fields } = yield* Wire.profile(tokens.access_token)
      assert.deepStrictEqual(fields["data"], {})
      const [identity] = fields["identities"] as ReadonlyArray<{ readonly [name: string]: unknown }>
      assert.strictEqual(identity?.["id"], "ann")
      assert.strictEqual(identity?.["provider_type"], "custom-token")
    }).pipe(Effect.provide(Wire.layer(symmetric))))

  it.effect("is good until its time and not a second longer, and a minute before its time", () =>
    Effect.gen(function*() {
      const token = yield* sign({ exp: 100, nbf: 60, iat: 60 })
      const early = yield* sign({ nbf: 61 })
      const fromTheFuture = yield* sign({ iat: 61 })
      assert.strictEqual((yield* logIn(token)).status, 200)
      assert.deepStrictEqual(Wire.refusal(yield* logIn(early)), refused)
      assert.deepStrictEqual(Wire.refusal(yield* logIn(fromTheFuture)), refused)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* logIn(early)).status, 200)
      assert.strictEqual((yield* logIn(fromTheFuture)).status, 200)
      yield* TestClock.adjust("98 seconds")
      assert.strictEqual((yield* logIn(token)).status, 200)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(Wire.refusal(yield* logIn(token)), refused)
    }).pipe(Effect.provide(Wire.layer(symmetric))))

  it.effect("may be signed with any of three", () =>
    Effect.gen(function*() {
      for (const letter of ["a", "b", "c"]) {
        assert.strictEqual((yield* logIn(yield* sign({}, { key: keyOf(secretOf(letter)) }))).status, 200)
      }
      assert.deepStrictEqual(Wire.refusal(yield* logIn(yield* sign({}, { key: keyOf(secretOf("d")) }))), refused)
    }).pipe(Effect.provide(Wire.layer({
      app: app({ signingKeys: ["a", "b", "c"] }, { a: secretOf("a"), b: secretOf("b"), c: secretOf("c") })
    }))))

  it.effect("that proves nothing is refused, in words that do not say why, and makes no user", () =>
    Effect.gen(function*() {
      const token = yield* sign()
      const [header = "", payload = "", signature = ""] = token.split(".")
      const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url")
      const bad: { readonly [what: string]: unknown } = {
        "alg none": `${encode({ alg: "none", typ: "JWT" })}.${payload}.`,
        "alg none with a signature": `${encode({ alg: "none" })}.${payload}.${signature}`,
        "alg missing": `${encode({ typ: "JWT" })}.${payload}.${signature}`,
        "another algorithm of the same key": yield* sign({}, { alg: "HS512" }),
        "another audience": yield* sign({ aud: "cafe-fghij" }),
        "no audience": yield* sign({ aud: undefined }),
        "an audience that is no text": yield* sign({ aud: 7 }),
        "expired": yield* sign({ exp: 0 }),
        "without an end": yield* sign({ exp: undefined }),
        "an end that is no number": yield* sign({ exp: "tomorrow" }),
        "another key": yield* sign({}, { key: keyOf(secretOf("b")) }),
        "no subject": yield* sign({ sub: undefined }),
        "an empty subject": yield* sign({ sub: "" }),
        "a subject that is no text": yield* sign({ sub: 7 }),
        "a subject of endless length": yield* sign({ sub: "x".repeat(1_025) }),
        "another payload": `${header}.${encode({ sub: "bob", aud: Wire.appId, exp: hour })}.${signature}`,
        "more than a million characters": yield* sign({ padding: "x".repeat(750_000) }),
        "two parts": `${header}.${payload}`,
        "four parts": `${token}.${signature}`,
        "no token": "s3cret",
        "nothing": "",
        "a header that is no JSON": `s3cret.${payload}.${signature}`,
        "a header that is a list": `${encode([])}.${payload}.${signature}`,
        "a critical extension": `${encode({ alg: "HS256", crit: ["b64"], b64: false })}.${payload}.${signature}`
      }
      for (const [what, token] of Object.entries(bad)) {
        assert.deepStrictEqual(Wire.refusal(yield* logIn(token)), refused, what)
      }
      for (const token of [undefined, null, 7, ["x"], { token: "x" }]) {
        assert.deepStrictEqual(
          Wire.refusal(yield* logIn(token)),
          [400, "BadRequest", "invalid request body: token"]
        )
      }
      assert.strictEqual(yield* Wire.countUsers, 0)
    }).pipe(Effect.provide(Wire.layer(symmetric))))

  it.effect("is refused in the log by its reason, without a word of it", () => {
    const lines: Array<string> = []
    return Effect.gen(function*() {
      const token = yield* sign({ aud: "cafe-fghij" })
      yield* logIn(token)
      const line = lines.find((line) => line.includes("credentials refused")) ?? ""
      assert.include(line, "'shop-abcde' not found in 'aud' claim")
      assert.include(line, "custom-token")
      assert.notInclude(lines.join("\n"), token.slice(0, 20))
    }).pipe(Effect.provide(Wire.layer(symmetric)), Effect.provide(captureAll(lines)))
  })

  it.effect("links, and a wrong one is refused in other words than an expired session", () =>
    Effect.gen(function*() {
      const anonymous = yield* Wire.logInAnonymous
      const token = anonymous.access_token
      const answer = yield* Effect.flatMap(logIn(yield* sign(), { token }), Wire.linked)
      assert.strictEqual(answer.user_id, anonymous.user_id)
      assert.deepStrictEqual(
        Wire.refusal(yield* logIn(yield* sign({ exp: 0 }), { token })),
        [401, "AuthError", "invalid credentials"]
      )
      assert.strictEqual((yield* Effect.flatMap(logIn(yield* sign()), Wire.tokens)).user_id, anonymous.user_id)
    }).pipe(Effect.provide(Wire.layer(symmetric))))

  it.effect("of a provider that is disabled or missing is refused as such", () =>
    Effect.gen(function*() {
      const unsupported = [404, "AuthProviderNotFound", "authentication via 'custom-token' is unsupported"]
      for (const customJwt of [undefined, { enabled: false, signingKeys: ["a"] }]) {
        const answer = yield* Effect.provide(Effect.flatMap(sign(), logIn), Wire.layer({ app: app(customJwt) }))
        assert.deepStrictEqual([...Wire.refusal(answer)], unsupported)
      }
    }))
})

describe("audiences", () => {
  const audience = ["shop-abcde", "https://shop.example"]
  const row = (requireAnyAudience: boolean, aud: unknown) =>
    Effect.map(
      Effect.flatMap(sign({ aud }), logIn),
      (answer) => answer.status
    ).pipe(Effect.provide(Wire.layer({ app: app({ signingKeys: ["a"], audience, requireAnyAudience }) })))

  it.effect("are all required, or any of them", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* row(false, [...audience, "another"]), 200)
      assert.strictEqual(yield* row(false, audience[0]), 401)
      assert.strictEqual(yield* row(false, [audience[1]]), 401)
      assert.strictEqual(yield* row(true, audience[0]), 200)
      assert.strictEqual(yield* row(true, ["another", audience[1]]), 200)
      assert.strictEqual(yield* row(true, ["another"]), 401)
      assert.strictEqual(yield* row(true, []), 401)
    }))
})

describe("metadata", () => {
  const metadataFields = [
    { name: "name" },
    { name: "address.city", fieldName: "town" },
    { name: "https://shop\\.example/roles", fieldName: "roles" },
    { name: "address.geo.lat" },
    { name: "email", required: true }
  ]
  const layer = () => Wire.layer({ app: app({ signingKeys: ["a"], metadataFields }) })

  it.effect("becomes the data of the user, up to date at each log-in", () =>
    Effect.gen(function*() {
      const claims = {
        name: "Ann",
        email: "ann@example.com",
        address: { city: "Zürich 🎉", geo: { lat: 47.4 }, street: "not asked for" },
        "https://shop.example/roles": ["admin", { of: "tea" }]
      }
      assert.deepStrictEqual(yield* userData(yield* sign(claims)), {
        name: "Ann",
        town: "Zürich 🎉",
        roles: ["admin", { of: "tea" }],
        lat: 47.4,
        email: "ann@example.com"
      })
      assert.deepStrictEqual(
        yield* userData(yield* sign({ email: "ann@example.org", name: null, address: "none" })),
        { email: "ann@example.org" }
      )
    }).pipe(Effect.provide(layer())))

  it.effect("that nobody could keep or read refuses the log-in: too deep, or Extended JSON that is none", () =>
    Effect.gen(function*() {
      const email = "ann@example.com"
      const nested = (depth: number): unknown => JSON.parse(`${"[".repeat(depth)}${"]".repeat(depth)}`)
      for (const city of [nested(65), { $oid: "nobody's" }, [{ at: { $date: "soon" } }]]) {
        assert.deepStrictEqual(Wire.refusal(yield* logIn(yield* sign({ email, address: { city } }))), refused)
      }
      assert.strictEqual(yield* Wire.countUsers, 0)
      const token = yield* Effect.flatMap(
        logIn(yield* sign({ email, address: { city: nested(64), geo: { lat: { $numberLong: "5" } } } })),
        Wire.tokens
      )
      assert.strictEqual((yield* Wire.call(token.access_token, "whoami")).status, 200)
    }).pipe(Effect.provide(layer())))

  it.effect("that is required and missing, or too long, refuses the log-in and changes nothing", () =>
    Effect.gen(function*() {
      const email = "ann@example.com"
      assert.deepStrictEqual(Wire.refusal(yield* logIn(yield* sign({ name: "Ann" }))), refused)
      assert.deepStrictEqual(Wire.refusal(yield* logIn(yield* sign({ email: null }))), refused)
      assert.deepStrictEqual(Wire.refusal(yield* logIn(yield* sign({ email, name: "x".repeat(4_097) }))), refused)
      assert.deepStrictEqual(
        Wire.refusal(yield* logIn(yield* sign({ email, address: { city: ["x".repeat(4_096)] } }))),
        refused
      )
      assert.strictEqual(yield* Wire.countUsers, 0)
      assert.deepStrictEqual(yield* userData(yield* sign({ email, name: "x".repeat(4_096) })), {
        email,
        name: "x".repeat(4_096)
      })
    }).pipe(Effect.provide(layer())))
})

describe("a token signed with a private key", () => {
  const options = { alg: "RS256", key: first.privateKey }

  it.effect("logs in by any of the public keys", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* logIn(yield* sign({}, options))).status, 200)
      assert.strictEqual((yield* logIn(yield* sign({}, { ...options, key: second.privateKey }))).status, 200)
      assert.deepStrictEqual(
        Wire.refusal(yield* logIn(yield* sign({}, { ...options, key: rsa().privateKey }))),
        refused
      )
    }).pipe(Effect.provide(Wire.layer({
      app: app({ signingAlgorithm: "RS256", signingKeys: ["first", "second"] }, {
        first: pem(first.publicKey),
        second: pem(second.publicKey)
      })
    }))))

  it.effect("is not confused with one that has the public key for its secret", () =>
    Effect.gen(function*() {
      const confused = yield* sign({}, { key: keyOf(pem(first.publicKey)) })
      assert.deepStrictEqual(Wire.refusal(yield* logIn(confused)), refused)
    }).pipe(Effect.provide(Wire.layer({
      app: app({ signingAlgorithm: "RS256", signingKeys: ["first"] }, { first: pem(first.publicKey) })
    }))))
})

/** An issuer that publishes what `answer` says, and counts how often it is asked. */
const makeIssuer = () => {
  const state = { requests: 0, answer: (): Response => Response.json({ keys: [] }) }
  const client = HttpClient.make((request, url) =>
    Effect.suspend(() => {
      assert.strictEqual(url.href, "https://issuer.example/keys")
      state.requests++
      return Effect.succeed(HttpClientResponse.fromWeb(request, state.answer()))
    })
  )
  return Object.assign(state, { httpClient: Layer.succeed(HttpClient.HttpClient, client) })
}

const jwk = (key: KeyObject, kid: string, more: object = {}) => ({ ...key.export({ format: "jwk" }), kid, ...more })
const publish = (...keys: ReadonlyArray<object>) => () => Response.json({ keys })

describe("a token signed with a key of a key set", () => {
  const one = { alg: "RS256", key: first.privateKey, kid: "1" }
  const two = { alg: "RS256", key: second.privateKey, kid: "2" }
  const served = (issuer: ReturnType<typeof makeIssuer>) =>
    Wire.layer({ app: app({ jwkUri: "https://issuer.example/keys" }), httpClient: issuer.httpClient })
  const status = (signed: Signed) => Effect.map(Effect.flatMap(sign({}, signed), logIn), (answer) => answer.status)

  it.effect("logs in; the set is asked for once, by any number at once", () => {
    const issuer = makeIssuer()
    issuer.answer = publish(jwk(first.publicKey, "1"), jwk(second.publicKey, "2", { use: "sig", alg: "RS256" }))
    return Effect.gen(function*() {
      const statuses = yield* Effect.forEach([one, two, one, two, one], status, { concurrency: "unbounded" })
      assert.deepStrictEqual(statuses, [200, 200, 200, 200, 200])
      assert.strictEqual(issuer.requests, 1)
    }).pipe(Effect.provide(served(issuer)))
  })

  it.effect("has to name its key, and be signed by it", () => {
    const issuer = makeIssuer()
    issuer.answer = publish(
      jwk(first.publicKey, "1"),
      jwk(second.publicKey, "for encryption", { use: "enc" }),
      jwk(second.publicKey, "of another algorithm", { alg: "RS512" }),
      jwk(small.publicKey, "small"),
      { kty: "oct", kid: "symmetric", k: Buffer.from(secretOf("a")).toString("base64url") },
      { kty: "RSA", kid: "broken", n: "!", e: 7 },
      { kid: 7 }
    )
    return Effect.gen(function*() {
      assert.strictEqual(yield* status({ alg: "RS256", key: first.privateKey }), 401)
      assert.strictEqual(yield* status({ ...two, kid: "1" }), 401)
      assert.strictEqual(yield* status({ ...two, kid: "for encryption" }), 401)
      assert.strictEqual(yield* status({ ...two, kid: "of another algorithm" }), 401)
      assert.strictEqual(yield* status({ ...two, kid: "broken" }), 401)
      assert.strictEqual(yield* status({ kid: "symmetric" }), 401)
      assert.strictEqual(yield* status({ alg: "HS256", key: keyOf(pem(first.publicKey)), kid: "1" }), 401)
      assert.strictEqual(yield* status(one), 200)
      assert.strictEqual(issuer.requests, 1)
    }).pipe(Effect.provide(served(issuer)))
  })

  it.effect("is taken when the issuer has just changed its keys, and the set is not asked for at the pace of strangers", () => {
    const issuer = makeIssuer()
    issuer.answer = publish(jwk(first.publicKey, "1"))
    return Effect.gen(function*() {
      assert.strictEqual(yield* status(one), 200)
      issuer.answer = publish(jwk(second.publicKey, "2"))
      yield* TestClock.adjust("29 seconds")
      for (let index = 0; index < 10; index++) assert.strictEqual(yield* status({ ...two, kid: `${index + 2}` }), 401)
      assert.strictEqual(issuer.requests, 1)
      yield* TestClock.adjust("1 second")
      const statuses = yield* Effect.forEach([two, { ...two, kid: "3" }, two], status, { concurrency: "unbounded" })
      assert.deepStrictEqual(statuses, [200, 401, 200])
      assert.strictEqual(issuer.requests, 2)
      // What was taken back is refused from then on.
      assert.strictEqual(yield* status(one), 401)
    }).pipe(Effect.provide(served(issuer)))
  })

  it.effect("is refused ten minutes after its key was taken back", () => {
    const issuer = makeIssuer()
    issuer.answer = publish(jwk(first.publicKey, "1"))
    return Effect.gen(function*() {
      assert.strictEqual(yield* status(one), 200)
      issuer.answer = publish(jwk(second.publicKey, "2"))
      yield* TestClock.adjust("599 seconds")
      assert.strictEqual(yield* status(one), 200)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* status(one), 401)
      assert.strictEqual(issuer.requests, 2)
    }).pipe(Effect.provide(served(issuer)))
  })

  const unreachable = [503, undefined, "the provider 'custom-token' cannot be reached, try again later"] as const

  it.effect("is neither taken nor refused while the issuer is down, and taken once it is back", () => {
    const issuer = makeIssuer()
    const down: ReadonlyArray<() => Response> = [
      () => new Response("<h1>Bad gateway</h1>", { status: 502 }),
      () => new Response("not found", { status: 404 }),
      () => new Response("moved", { status: 302, headers: { location: "https://evil.example" } }),
      () => new Response("<html>"),
      () => Response.json({ keys: "none" }),
      publish(...Array.from({ length: 101 }, (_, index) => jwk(first.publicKey, String(index)))),
      () => new Response("x".repeat(1024 * 1024 + 1))
    ]
    return Effect.gen(function*() {
      const token = yield* sign({}, one)
      for (const answer of down) {
        issuer.answer = answer
        const before = issuer.requests
        assert.deepStrictEqual(Wire.refusal(yield* logIn(token)), unreachable)
        assert.deepStrictEqual(Wire.refusal(yield* logIn(token)), unreachable)
        assert.strictEqual(issuer.requests, before + 1)
        yield* TestClock.adjust("5 seconds")
      }
      assert.strictEqual(yield* Wire.countUsers, 0)
      issuer.answer = publish(jwk(first.publicKey, "1"))
      assert.strictEqual((yield* logIn(token)).status, 200)
    }).pipe(Effect.provide(served(issuer)))
  })

  it.effect("waits for the issuer for five seconds and no longer", () => {
    const client = HttpClient.make((request) =>
      request.url.endsWith("keys")
        ? Effect.never
        : Effect.fail(
          new HttpClientError.HttpClientError({
            reason: new HttpClientError.TransportError({ request })
          })
        )
    )
    const layer = Wire.layer({
      app: app({ jwkUri: "https://issuer.example/keys" }),
      httpClient: Layer.succeed(HttpClient.HttpClient, client)
    })
    return Effect.gen(function*() {
      const token = yield* sign({}, one)
      const fiber = yield* Effect.forkChild(logIn(token), { startImmediately: true })
      for (let second = 0; second < 6 && fiber.pollUnsafe() === undefined; second++) {
        yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
        yield* TestClock.adjust("1 second")
      }
      assert.deepStrictEqual(Wire.refusal(yield* Fiber.join(fiber)), unreachable)
    }).pipe(Effect.provide(layer))
  })
})

describe("a definition", () => {
  it("names what is wrong with the provider, and shows no secret", () => {
    const secrets = {
      a: secretOf("a"),
      short: "s3cret",
      odd: "s3cret! ".repeat(10),
      private: first.privateKey.export({ format: "pem", type: "pkcs8" }).toString(),
      small: pem(small.publicKey),
      public: pem(first.publicKey)
    }
    const jwkUri = "https://issuer.example/keys"
    const wrong: ReadonlyArray<readonly [RegExp, Parameters<typeof app>[0]]> = [
      [/names of one to three secrets, or a jwkUri/, {}],
      [/names of one to three secrets, or a jwkUri/, { signingKeys: ["a"], jwkUri }],
      [/signingKeys/, { signingKeys: ["a", "a", "a", "a"] }],
      [/no secret "missing"/, { signingKeys: ["missing"] }],
      [/32 to 512 letters/, { signingKeys: ["short"] }],
      [/32 to 512 letters/, { signingKeys: ["odd"] }],
      [/32 to 512 letters/, { signingKeys: ["public"] }],
      [/this is private/, { signingKeys: ["private"], signingAlgorithm: "RS256" }],
      [/at least 2048 bits/, { signingKeys: ["small"], signingAlgorithm: "RS256" }],
      [/RSA public key/, { signingKeys: ["a"], signingAlgorithm: "RS256" }],
      [/Expected RS256/, { jwkUri, signingAlgorithm: "HS256" }],
      [/begins with https/, { jwkUri: "http://issuer.example/keys" }],
      [/begins with https/, { jwkUri: "issuer.example/keys" }],
      [/without empty parts/, { jwkUri, metadataFields: [{ name: "a..b" }] }],
      [/without empty parts/, { jwkUri, metadataFields: [{ name: "" }] }],
      [/1 to 63 characters/, { jwkUri, metadataFields: [{ name: "a", fieldName: "x".repeat(64) }] }],
      [/1 to 63 characters/, { jwkUri, metadataFields: [{ name: "a.$b" }] }],
      [/1 to 63 characters/, { jwkUri, metadataFields: [{ name: "__proto__" }] }],
      [/"b" is there twice/, { jwkUri, metadataFields: [{ name: "a.b" }, { name: "b" }] }]
    ]
    for (const [message, customJwt] of wrong) {
      assert.throws(() => app(customJwt, secrets), message)
      try {
        app(customJwt, secrets)
      } catch (error) {
        assert.notInclude(String(error), "s3cret")
        assert.notInclude(String(error), "BEGIN")
      }
    }
    assert.isTrue(app({ jwkUri: "http://localhost:8080/keys" }).authProviders.customJwt?.enabled)
  })
})
