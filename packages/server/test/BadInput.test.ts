/**
 * What a server is given that is wrong, over the wire: each has its status and code, none is a mistake of the server, and
 * none changes anything.
 */
import * as RealmFunction from "@effect-realm/protocol/RealmFunction"
import { Database, FunctionGroup, Mail } from "@effect-realm/server"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as HttpClient from "effect/http/HttpClient"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { SignJWT } from "jose"
import * as Wire from "./support/wire.ts"

// -----------------------------------------------------------------------------
// The server
// -----------------------------------------------------------------------------

const present = "a".repeat(40)
const former = "b".repeat(40)

const Shop = {
  order: RealmFunction.make("order", {
    args: [Schema.Struct({ lines: Schema.Array(Schema.Int) })],
    success: Schema.Int
  })
}

const functionGroups = FunctionGroup.layer(Shop, { order: ({ lines }) => Effect.succeed(lines.length) })

/** An app whose addresses are confirmed by mail, and the functions that go wrong. */
const app = (signingKeys: ReadonlyArray<string>) =>
  Wire.makeApp({
    authProviders: {
      anonymous: {},
      apiKey: {},
      emailPassword: {
        emailConfirmationUrl: "https://shop.example/confirm",
        resetPasswordUrl: "https://shop.example/reset"
      },
      customJwt: { signingKeys }
    },
    secrets: { present: Redacted.make(present), former: Redacted.make(former) },
    dataSources: [{ defaultRule: { roles: [{ name: "all", applyWhen: {}, insert: true, write: true }] } }],
    functions: [
      { name: "loop", source: "exports = () => { for (;;); }" },
      { name: "throwText", source: "exports = () => { throw 'just text' }" },
      { name: "throwNothing", source: "exports = () => { throw undefined }" },
      {
        name: "deepLists",
        source: "exports = () => { let a = []; for (let i = 0; i < 100000; i++) a = [a]; return a }"
      },
      {
        name: "deepPromises",
        source: `exports = async () => {
          let a = {}
          for (let i = 0; i < 100000; i++) a = { a }
          return { soon: Promise.resolve([a]) }
        }`
      },
      {
        name: "storesDeep",
        source: `exports = () => {
          let a = {}
          for (let i = 0; i < 100000; i++) a = { a }
          return context.services.get("mongodb-atlas").db("shop").collection("things").insertOne(a)
        }`
      },
      { name: "cycle", source: "exports = () => { const a = {}; a.self = a; return a }" },
      { name: "large", source: "exports = () => 'x'.repeat(20 * 1024 * 1024)" },
      { name: "nothing", source: "exports = () => {}" },
      { name: "noForm", source: "exports = () => [Symbol('x')]" }
    ]
  })

const server = Wire.layer({ app: app(["present"]), functionGroups })

// -----------------------------------------------------------------------------
// What is wrong
// -----------------------------------------------------------------------------

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url")

const sign = (claims: { readonly [name: string]: unknown } = {}, secret = present) =>
  Effect.promise(() =>
    new SignJWT({ sub: "ann", aud: Wire.appId, iat: 0, exp: 3_600, ...claims })
      .setProtectedHeader({ alg: "HS256" })
      .sign(new TextEncoder().encode(secret))
  )

const logInJwt = (token: string) => Wire.send("POST", `${Wire.providers}/custom-token/login`, { body: { token } })

const confirm = (link: object) => Wire.send("POST", `${Wire.providers}/local-userpass/confirm`, { body: link })

const lastLink = Mail.Outbox.use((outbox) =>
  Effect.map(outbox.sent, (mails) => {
    const { searchParams } = new URL(/^\S+:\/\/\S+$/m.exec(mails.at(-1)?.text ?? "")?.[0] ?? "")
    return { token: searchParams.get("token") ?? "", tokenId: searchParams.get("tokenId") ?? "" }
  })
)

/** Two users with a key each, and a link that has been used and one that has expired. */
const given = Effect.gen(function*() {
  const user = Effect.fnUntraced(function*(email: string) {
    yield* Wire.register(email)
    const link = yield* lastLink
    assert.strictEqual((yield* confirm(link)).status, 204)
    return { ...yield* Effect.flatMap(Wire.logInEmail(email), Wire.tokens), link }
  })
  const ann = yield* user("ann@example.com")
  const bob = yield* user("bob@example.com")
  const deleted = yield* Wire.newKey(ann.refresh_token, "deleted")
  yield* Wire.keyRequest("DELETE", ann.refresh_token, deleted._id)
  const disabled = yield* Wire.newKey(ann.refresh_token, "disabled")
  yield* Wire.keyRequest("PUT", ann.refresh_token, `${disabled._id}/disable`)
  for (let n = 1; n < 20; n++) yield* Wire.newKey(ann.refresh_token, `key-${n}`)
  yield* Wire.register("eve@example.com")
  const expired = yield* lastLink
  yield* TestClock.adjust("30 minutes")
  return { ann, bob, deleted, disabled, expired, token: yield* Wire.refreshed(ann.refresh_token) }
})

type Given = Effect.Success<typeof given>

interface Wrong {
  readonly send: (given: Given) => Effect.Effect<Wire.Answer, never, HttpClient.HttpClient>
  readonly status: number
  /** None where the protocol has none: then the status is what tells. */
  readonly code: string | undefined
  readonly words: RegExp
}

const calling = (name: string, words: RegExp, code = "FunctionExecutionError"): Wrong => ({
  send: ({ token }) => Wire.call(token, name),
  status: 400,
  code,
  words
})

const token = (make: Effect.Effect<string>): Wrong => ({
  send: () => Effect.flatMap(make, logInJwt),
  status: 401,
  code: "AuthError",
  // Nothing says what was wrong with it.
  words: /^unauthorized$/
})

const unsigned = Effect.map(sign(), (signed) => `${encode({ alg: "none", typ: "JWT" })}.${signed.split(".")[1]}.`)

const refusedKey = { status: 401, code: "AuthError", words: /^unauthorized$/ }
const refusedLink = { status: 400, code: "UserpassTokenInvalid", words: /^userpass token is expired or invalid$/ }

const wrong: { readonly [what: string]: Wrong } = {
  "a JSON Web Token with alg: none": token(unsigned),
  "a JSON Web Token of another audience": token(sign({ aud: "cafe-fghij" })),
  "a JSON Web Token that has expired": token(sign({ exp: 1_799 })),
  "a JSON Web Token signed with a key that was rotated out": token(sign({}, former)),
  "somebody else's API key, to look at": {
    send: ({ bob, disabled }) => Wire.keyRequest("GET", bob.refresh_token, disabled._id),
    status: 404,
    code: "APIKeyNotFound",
    words: /^API key not found$/
  },
  "an API key that is disabled": { send: ({ disabled }) => Wire.logInKey(disabled.key), ...refusedKey },
  "an API key that was deleted": { send: ({ deleted }) => Wire.logInKey(deleted.key), ...refusedKey },
  "a twenty-first API key": {
    send: ({ ann }) => Wire.createKey(ann.refresh_token, "one-too-many"),
    status: 400,
    code: "BadRequest",
    words: /^there can be at most 20 API keys: delete one first$/
  },
  "a confirmation link that has expired": { send: ({ expired }) => confirm(expired), ...refusedLink },
  "a confirmation link that was used": { send: ({ ann }) => confirm(ann.link), ...refusedLink },
  "arguments of another contract than the server's": {
    send: ({ token }) => Wire.call(token, "order", { lines: [{ $numberInt: "1" }, "two"] }),
    status: 400,
    code: "ArgumentsNotAllowed",
    words: /args\[0\]\.lines\[1\] does not fit the contract/
  },
  "an argument that has no Extended JSON form": {
    send: ({ token }) => Wire.call(token, "echo", { when: { $date: "soon" } }),
    status: 400,
    code: "InvalidParameter",
    words: /^invalid function call request: Extended JSON, arguments\[0\]\.when: "\$date" must hold/
  },
  "an argument in itself 10,000 times": {
    send: ({ token }) =>
      Wire.send("POST", `${Wire.appUrl}/functions/call`, {
        token,
        body: `{"name":"echo","arguments":[${"[".repeat(10_000)}${"]".repeat(10_000)}]}`
      }),
    status: 400,
    code: "InvalidParameter",
    words: /^invalid function call request: .*: more than 200 levels of nesting: flatten the value$/
  },
  "a function that throws a text": calling("throwText", /^just text$/),
  "a function that throws nothing": calling("throwNothing", /^Error: the function threw undefined$/),
  "a function that returns 100,000 lists in each other": calling(
    "deepLists",
    /200 levels of nesting: flatten the value$/
  ),
  "a function that returns documents in each other, and promises of them": calling(
    "deepPromises",
    /200 levels of nesting: flatten the value$/
  ),
  "a function that stores 100,000 documents in each other": calling("storesDeep", /200 levels of nesting/),
  "a function that returns a cycle": calling("cycle", /contains itself/),
  "a function that returns 20 MB": calling("large", /too large: 20971522 characters/),
  "a function that returns what has no Extended JSON form": calling("noForm", /a symbol cannot be sent/)
}

/** All that the server keeps, but for sessions, which log-ins begin. */
const kept = Effect.gen(function*() {
  const database = yield* Database.Database
  const { access_token } = yield* Wire.logInAnonymous
  const own = `__effect_realm_${String(Wire.claims(access_token)["baas_domain_id"])}`
  return yield* Effect.forEach(["users", "api_keys", "email_accounts", "email_tokens"], (collection) =>
    Effect.map(
      database.collection({ database: own, collection }).find({ "identities.providerType": { $ne: "anon-user" } }),
      (documents) => [collection, documents] as const
    ))
})

// A worker thread is started, and ended where a function does not come back.
describe("what is wrong", { timeout: 60_000 }, () => {
  it.effect("is refused with its status and code, in words that help, and changes nothing", () =>
    Effect.gen(function*() {
      const all = yield* given
      const before = yield* kept
      for (const [what, { code, send, status, words }] of Object.entries(wrong)) {
        const [gotStatus, gotCode, gotWords] = Wire.refusal(yield* send(all))
        assert.deepStrictEqual([gotStatus, gotCode], [status, code], `${what}: ${String(gotWords)}`)
        assert.match(String(gotWords), words, what)
      }
      assert.deepStrictEqual(yield* kept, before)
      // A function that returns nothing is none of it: clients of old expect `undefined`.
      const nothing = yield* Wire.call(all.token, "nothing")
      assert.deepStrictEqual([nothing.status, nothing.body], [200, { $undefined: true }])
    }).pipe(Effect.provide(server)))

  it.effect("with a function that loops, is refused at the time limit, and others are answered meanwhile", () =>
    Effect.gen(function*() {
      const { access_token } = yield* Wire.logInAnonymous
      yield* Wire.call(access_token, "nothing")
      const loop = yield* Effect.forkChild(Wire.call(access_token, "loop"), { startImmediately: true })
      assert.strictEqual((yield* Wire.call(access_token, "nothing")).status, 200)
      yield* TestClock.adjust("300 seconds")
      assert.deepStrictEqual(
        Wire.refusal(yield* Fiber.join(loop)),
        [400, "ExecutionTimeLimitExceeded", "execution time limit exceeded"]
      )
    }).pipe(Effect.provide(server)))

  it.effect("since a signing key was taken out of the app, was right before", () =>
    Effect.gen(function*() {
      const signed = yield* sign({}, former)
      assert.strictEqual((yield* logInJwt(signed)).status, 200)
    }).pipe(Effect.provide(Wire.layer({ app: app(["present", "former"]) }))))
})
