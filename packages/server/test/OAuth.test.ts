import { App, Credentials, OAuth, TokenStore, User } from "@effect-realm/client"
import { AppDefinition, Database, Listener, Sessions } from "@effect-realm/server"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/testing/TestClock"
import { inspect } from "node:util"
import * as Issuer from "./support/issuer.ts"

const definition = AppDefinition.make({
  appId: "shop-abcde",
  allowedRequestOrigins: ["https://shop.example"],
  authProviders: {
    anonymous: {},
    google: { clientId: Issuer.client.id, clientSecret: "clientSecret", redirectUris: [Issuer.page] }
  },
  secrets: { clientSecret: Redacted.make(Issuer.client.secret) }
})

const options: OAuth.Options = { provider: "google", redirectUri: Issuer.page }

interface Stage {
  readonly app: App.App
  readonly issuer: Issuer.Issuer
  /** The browser, with whose `fetch` the client asks. */
  readonly browser: ReturnType<typeof Issuer.makeBrowser>
  /** The address that the browser comes to in the end. */
  readonly open: (url: string) => Effect.Effect<string>
}

/** The client in a browser, a server and a provider on their sockets, all at the present time. */
const onStage = <A, E, R>(use: (stage: Stage) => Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const issuer = yield* Issuer.make({ requiresPkce: true })
    issuer.accounts.set("ann", { name: "Ann", email: "ann@shop.example", email_verified: true })
    const now = yield* TestClock.withLive(Effect.clockWith((clock) => clock.currentTimeMillis))
    yield* TestClock.setTime(now)
    const browser = Issuer.makeBrowser()
    // Cookies are sent and kept only where a browser would.
    const fetch: typeof globalThis.fetch = (input, init) =>
      init?.credentials === "include" ? browser.visit(String(input), init) : globalThis.fetch(input, init)
    const server = Listener.layer({
      app: definition,
      functions: { workers: 1 },
      issuers: { google: issuer.url }
    }).pipe(Layer.provideMerge(Database.layerMemory))
    const client = Layer.merge(
      FetchHttpClient.layer.pipe(Layer.provideMerge(Layer.succeed(FetchHttpClient.Fetch, fetch))),
      TokenStore.layerMemory
    )
    return yield* Effect.gen(function*() {
      const baseUrl = yield* Listener.origin
      issuer.client.redirectUri = `${baseUrl}/api/client/v2.0/auth/callback`
      return yield* use({
        app: App.make({ id: "shop-abcde", baseUrl }),
        issuer,
        browser,
        open: (url) => Effect.promise(async () => (await browser.open(url)).url)
      })
    }).pipe(Effect.provide(client), Effect.provide(server))
  }).pipe(Effect.provide(FetchHttpClient.layer))

describe("the client's OAuth against a server and a provider", () => {
  it.effect("logs in by way of the provider's page, twice as the same user", () =>
    onStage(({ app, open }) =>
      Effect.gen(function*() {
        const { pending, url } = yield* OAuth.start(app, options)
        const returned = yield* OAuth.parse(yield* open(url), pending)
        assert.notMatch(inspect(returned, { depth: 9 }) + JSON.stringify(returned), /eyJ/)
        const user = yield* OAuth.logIn(app, returned)
        assert.strictEqual(yield* User.state(user), "LoggedIn")
        assert.strictEqual(yield* User.providerType(user), "oauth2-google")
        assert.deepStrictEqual((yield* User.profile(user)).data, { name: "Ann", email: "ann@shop.example" })
        yield* User.refresh(user)

        const again = yield* OAuth.start(app, options)
        assert.notStrictEqual(again.pending.state, pending.state)
        assert.isString(new URL(again.url).searchParams.get("device"))
        const same = yield* OAuth.logIn(app, yield* OAuth.parse(yield* open(again.url), again.pending))
        assert.strictEqual(same.id, user.id)
      })
    ))

  it.effect("links by way of the provider's page, with the cookie of the request that asked", () =>
    onStage(({ app, open }) =>
      Effect.gen(function*() {
        const user = yield* App.logIn(app, Credentials.anonymous())
        const before = yield* User.accessToken(user)
        yield* TestClock.adjust("5 seconds")
        const { pending, url } = yield* OAuth.startLink(user, options)
        const returned = yield* OAuth.parse(yield* open(url), pending)
        yield* OAuth.link(user, returned)
        assert.notStrictEqual(Redacted.value(yield* User.accessToken(user)), Redacted.value(before))
        assert.deepStrictEqual(
          (yield* User.identities(user)).map((identity) => identity.providerType),
          ["anon-user", "oauth2-google"]
        )
        yield* User.refresh(user)
      })
    ))

  it.effect("asks with one exchange when the session's token has run out", () =>
    onStage(({ app, open }) =>
      Effect.gen(function*() {
        const user = yield* App.logIn(app, Credentials.anonymous())
        yield* TestClock.adjust("31 minutes")
        const { pending, url } = yield* OAuth.startLink(user, options)
        yield* TestClock.setTime(yield* TestClock.withLive(Effect.clockWith((clock) => clock.currentTimeMillis)))
        const error = yield* Effect.flip(
          OAuth.parse(yield* open(url), new OAuth.PendingLink({ ...pending, state: "other" }))
        )
        assert.strictEqual(error._tag === "RedirectError" && error.reason._tag, "OtherState")
      })
    ))

  it.effect("says what the provider or the server refused, and logs nobody in", () =>
    onStage(({ app, issuer, open }) =>
      Effect.gen(function*() {
        issuer.user.sub = ""
        const denied = yield* OAuth.start(app, options)
        const error = yield* Effect.flip(OAuth.parse(yield* open(denied.url), denied.pending))
        assert.strictEqual(error._tag === "AuthError" && error.reason._tag, "AuthError")
        issuer.user.sub = "ann"
        const first = yield* OAuth.start(app, options)
        yield* OAuth.logIn(app, yield* OAuth.parse(yield* open(first.url), first.pending))
        const guest = yield* App.logIn(app, Credentials.anonymous())
        const taken = yield* OAuth.startLink(guest, options)
        const conflict = yield* Effect.flip(OAuth.parse(yield* open(taken.url), taken.pending))
        assert.strictEqual(conflict._tag === "AuthError" && conflict.reason._tag, "AuthError")
        const elsewhere = yield* Effect.flip(
          OAuth.startLink(guest, { ...options, redirectUri: "https://evil.example" })
        )
        assert.strictEqual(
          elsewhere._tag === "AuthError" ? elsewhere.reason._tag : elsewhere._tag,
          "InvalidRedirectURI"
        )
      })
    ))

  it.effect("leaves nothing behind when the session has ended meanwhile", () =>
    onStage(({ app, open }) =>
      Effect.gen(function*() {
        const sessions = yield* Sessions.Sessions
        const { pending, url } = yield* OAuth.start(app, options)
        const returned = yield* OAuth.parse(yield* open(url), pending)
        yield* sessions.endAll(returned.userId)
        assert.strictEqual((yield* Effect.flip(OAuth.logIn(app, returned)))._tag, "SessionError")
        assert.deepStrictEqual(yield* App.allUsers(app), [])
      })
    ))
})
