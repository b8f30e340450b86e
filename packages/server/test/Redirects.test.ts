import { AppDefinition, Authentication, Database, Listener, Sessions } from "@effect-realm/server"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/testing/TestClock"
import * as Tracer from "effect/Tracer"
import * as Spans from "../../client/test/support/spans.ts"
import * as Facebook from "./support/facebook.ts"
import * as Issuer from "./support/issuer.ts"

const { page } = Issuer
const pageWithQuery = "https://shop.example/signed-in?from=here"

type Providers = NonNullable<AppDefinition.Options["authProviders"]>

const openId = { clientId: Issuer.client.id, clientSecret: "clientSecret", redirectUris: [page, pageWithQuery] }

const definition = (authProviders: Providers = {}) =>
  AppDefinition.make({
    appId: "shop-abcde",
    allowedRequestOrigins: ["https://shop.example"],
    authProviders: {
      anonymous: {},
      google: openId,
      apple: openId,
      facebook: { clientId: Facebook.app.id, clientSecret: "facebookSecret", redirectUris: [page] },
      ...authProviders
    },
    secrets: {
      clientSecret: Redacted.make(Issuer.client.secret),
      facebookSecret: Redacted.make(Facebook.app.secret)
    }
  })

const api = "/api/client/v2.0"

interface Stage {
  readonly origin: string
  readonly issuer: Issuer.Issuer
  readonly graph: Facebook.Facebook
  /** The address that a page opens to log in. */
  readonly start: (options?: {
    readonly provider?: "google" | "facebook" | "apple"
    readonly query?: { readonly [name: string]: string | undefined }
  }) => string
}

/** A server and the providers on their sockets, all at the present time. */
const onStage = <A, E, R>(
  use: (stage: Stage) => Effect.Effect<A, E, R>,
  authProviders?: Providers
) =>
  Effect.gen(function*() {
    const issuer = yield* Issuer.make({ requiresPkce: true })
    issuer.accounts.set("ann", { name: "Ann", email: "ann@shop.example", email_verified: true })
    const graph = yield* Facebook.make
    const now = yield* TestClock.withLive(Effect.clockWith((clock) => clock.currentTimeMillis))
    yield* TestClock.setTime(now)
    const server = Listener.layer({
      app: definition(authProviders),
      functions: { workers: 1 },
      issuers: { google: issuer.url, apple: issuer.url, facebookGraph: graph.url, facebookDialog: graph.url }
    }).pipe(Layer.provideMerge(Database.layerMemory))
    return yield* Effect.gen(function*() {
      const origin = yield* Listener.origin
      issuer.client.redirectUri = `${origin}${api}/auth/callback`
      const start: Stage["start"] = ({ provider = "google", query = {} } = {}) => {
        const url = new URL(`${origin}${api}/app/shop-abcde/auth/providers/oauth2-${provider}/login`)
        for (const [name, value] of Object.entries({ redirect: page, state: "abcdefghijkl", ...query })) {
          if (value !== undefined) url.searchParams.set(name, value)
        }
        return url.href
      }
      return yield* use({ origin, issuer, graph, start })
    }).pipe(Effect.provide(server))
  }).pipe(Effect.provide(FetchHttpClient.layer))

const fieldsOf = (url: string): { readonly [name: string]: string } =>
  Object.fromEntries(
    new URL(url).hash.slice(1).split("&").map((field) => {
      const [name = "", value = ""] = field.split("=")
      return [name, decodeURIComponent(value)]
    })
  )

const refusal = async (response: Response): Promise<ReadonlyArray<unknown>> => {
  const body: { readonly error?: string; readonly error_code?: string } = await response.json()
  return [response.status, body.error_code, body.error]
}

const logInAnonymously = async (origin: string): Promise<{ readonly access_token: string; readonly user_id: string }> =>
  (await fetch(`${origin}${api}/app/shop-abcde/auth/providers/anon-user/login`, { method: "POST" })).json()

const profile = async (origin: string, token: string): Promise<{ readonly [name: string]: unknown }> =>
  (await fetch(`${origin}${api}/auth/profile`, { headers: { authorization: `Bearer ${token}` } })).json()

const lost = [
  400,
  "BadRequest",
  "this log-in is over, took longer than ten minutes, or began in another browser: begin anew"
]

describe("a log-in by redirection", () => {
  it.effect("comes back to its page with the tokens behind the #, for this device", () =>
    onStage(({ origin, start }) =>
      Effect.promise(async () => {
        const device = Buffer.from(JSON.stringify({
          platform: "chrome",
          deviceId: "5f87976b7b800b285345a8b4"
        })).toString("base64")
        const { url } = await Issuer.makeBrowser().open(start({ query: { device, redirect: pageWithQuery } }))
        assert.isTrue(url.startsWith(`${pageWithQuery}#`), url)
        const fields = fieldsOf(url)
        assert.sameMembers(Object.keys(fields), ["_baas_state", "_baas_client_app_id", "_baas_ua"])
        assert.strictEqual(fields["_baas_state"], "abcdefghijkl")
        assert.strictEqual(fields["_baas_client_app_id"], "shop-abcde")
        const [access = "", refresh = "", userId, deviceId, ...rest] = fields["_baas_ua"]?.split("$") ?? []
        assert.deepStrictEqual(rest, [])
        assert.strictEqual(deviceId, "5f87976b7b800b285345a8b4")
        const { data, user_id } = await profile(origin, access)
        assert.strictEqual(user_id, userId)
        assert.deepStrictEqual(data, { name: "Ann", email: "ann@shop.example" })
        const refreshed = await fetch(`${origin}${api}/auth/session`, {
          method: "POST",
          headers: { authorization: `Bearer ${refresh}` }
        })
        assert.strictEqual(refreshed.status, 201)
      })
    ))

  it.effect("comes back from Apple by a form, which brings no cookie along", () =>
    onStage(({ origin, start }) =>
      Effect.promise(async () => {
        const { url } = await Issuer.makeBrowser().open(start({ provider: "apple" }))
        const [access = ""] = fieldsOf(url)["_baas_ua"]?.split("$") ?? []
        assert.deepStrictEqual((await profile(origin, access))["data"], { email: "ann@shop.example" })
      })
    ))

  it.effect("comes back from Facebook", () =>
    onStage(({ graph, origin, start }) =>
      Effect.promise(async () => {
        graph.codes.set("code", "token")
        graph.tokens.set("token", { inspected: Facebook.inspected("1001"), user: { id: "1001", name: "Zoë" } })
        const { url } = await Issuer.makeBrowser().open(start({ provider: "facebook" }))
        const [access = ""] = fieldsOf(url)["_baas_ua"]?.split("$") ?? []
        assert.deepStrictEqual((await profile(origin, access))["data"], { name: "Zoë" })
        assert.notInclude(graph.requests.join(), Facebook.app.secret)
      })
    ))

  it.effect("keeps its cookie to the callback, out of reach of scripts, and takes it back", () =>
    onStage(({ start }) =>
      Effect.promise(async () => {
        const browser = Issuer.makeBrowser()
        const response = await fetch(start(), { redirect: "manual" })
        const [cookie = ""] = response.headers.getSetCookie()
        assert.match(
          cookie,
          /^baas_oauth_[\w-]{16}=[\w-]{43}; Max-Age=600; Path=\/api\/client\/v2\.0\/auth\/callback; HttpOnly; SameSite=Lax$/
        )
        assert.strictEqual(response.headers.get("cache-control"), "no-store")
        const location = new URL(response.headers.get("location") ?? "")
        // What only the browser may know is not shown to the provider.
        assert.notInclude(location.href, /=([\w-]{43})/.exec(cookie)?.[1] ?? "none")
        assert.strictEqual(location.searchParams.get("code_challenge_method"), "S256")
        const { response: last } = await browser.open(start())
        assert.strictEqual(last.headers.get("referrer-policy"), "no-referrer")
        assert.isFalse(
          [...browser.jars.values()].some((jar) => [...jar.keys()].some((name) => name.startsWith("baas")))
        )
      })
    ))

  it.effect("comes back to pages that the provider lists, each exactly as it is listed", () =>
    onStage(({ start }) =>
      Effect.promise(async () => {
        const others = [
          `${page}/`,
          `${page}?x`,
          `${page}#x`,
          "https://shop.example",
          "https://SHOP.example/signed-in",
          "https://evil.example/",
          "//evil.example",
          "javascript:alert(1)",
          ""
        ]
        for (const redirect of others) {
          const response = await fetch(start({ query: { redirect } }), { redirect: "manual" })
          assert.deepStrictEqual(
            await refusal(response),
            [400, "InvalidRedirectURI", "redirect URI is not one of the provider's redirect_uris"]
          )
          assert.deepStrictEqual(response.headers.getSetCookie(), [])
        }
      })
    ))

  it.effect("that is asked for in the wrong way is told so", () =>
    onStage(({ origin, start }) =>
      Effect.promise(async () => {
        const ask = async (url: string) => refusal(await fetch(url, { redirect: "manual" }))
        assert.deepStrictEqual(
          await ask(start({ query: { state: "" } })),
          [400, "BadRequest", "invalid query: state has to be 1 to 512 characters"]
        )
        assert.deepStrictEqual(
          await ask(start({ query: { state: "x".repeat(513) } })),
          [400, "BadRequest", "invalid query: state has to be 1 to 512 characters"]
        )
        assert.deepStrictEqual(
          await ask(start({ query: { device: "%%%" } })),
          [400, "BadRequest", "invalid query: device"]
        )
        assert.deepStrictEqual(
          await ask(start({ query: { device: Buffer.from("[1]").toString("base64") } })),
          [400, "BadRequest", "invalid query: device"]
        )
        assert.deepStrictEqual(
          await ask(start({ query: { link: "true" } })),
          [401, "MissingAuthReq", "must authenticate first"]
        )
        assert.deepStrictEqual(
          await ask(start({ provider: "apple" })),
          [404, "AuthProviderNotFound", "authentication via 'oauth2-apple' is unsupported"]
        )
        assert.deepStrictEqual(
          await ask(start().replace("shop-abcde", "cafe-fghij")),
          [404, undefined, "cannot find app using Client App ID 'cafe-fghij'"]
        )
        const bare = await ask(`${origin}${api}/app/shop-abcde/auth/providers/oauth2-google/login`)
        assert.deepStrictEqual(bare.slice(0, 2), [400, "BadRequest"])
      }), { apple: { ...openId, enabled: false } }))

  it.effect("comes back once, within ten minutes, in the browser that set out", () =>
    onStage(({ issuer, origin, start }) =>
      Effect.gen(function*() {
        const browser = Issuer.makeBrowser()
        const stranger = Issuer.makeBrowser()
        /** The callback that a browser is sent to, before it goes there. */
        const callback = (from: ReturnType<typeof Issuer.makeBrowser>) =>
          Effect.promise(async () => {
            let url = start()
            while (!url.startsWith(`${origin}${api}/auth/callback`)) {
              const response = await from.visit(url)
              url = new URL(response.headers.get("location") ?? "", url).href
            }
            return url
          })
        const open = (from: ReturnType<typeof Issuer.makeBrowser>, url: string) =>
          Effect.promise(async () => {
            const response = await from.visit(url)
            return response.status === 302 ? fieldsOf(response.headers.get("location") ?? "") : refusal(response)
          })
        const first = yield* callback(browser)
        assert.deepStrictEqual(yield* open(stranger, first), lost)
        assert.property(yield* open(browser, first), "_baas_ua")
        assert.deepStrictEqual(yield* open(browser, first), lost)

        // The code of somebody else's log-in, put into one's own.
        const [mine, theirs] = [yield* callback(browser), yield* callback(stranger)]
        const injected = new URL(mine)
        injected.searchParams.set("code", new URL(theirs).searchParams.get("code") ?? "")
        assert.deepInclude(yield* open(browser, injected.href), {
          _baas_error: "unauthorized",
          _baas_error_code: "AuthError"
        })
        assert.deepStrictEqual(yield* open(browser, mine), lost)

        const late = yield* callback(browser)
        yield* TestClock.adjust("10 minutes")
        assert.deepStrictEqual(yield* open(browser, late), lost)

        const none = `${origin}${api}/auth/callback`
        for (const url of [none, `${none}?state=`, `${none}?state=made-up&code=x`]) {
          assert.deepStrictEqual(yield* open(browser, url), lost)
        }
        issuer.user.sub = ""
        const denied = yield* callback(Issuer.makeBrowser())
        assert.include(denied, "error=access_denied")
      })
    ))

  it.effect("shows neither state nor code in a span", () => {
    const { spans, tracer } = Spans.recorder()
    return onStage(({ origin, start }) =>
      Effect.gen(function*() {
        yield* Effect.promise(() => fetch(start(), { redirect: "manual" }))
        yield* Effect.promise(() => fetch(`${origin}${api}/auth/callback?state=its-state&code=its-code`))
        const shown = JSON.stringify(spans.map((span) => [...span.attributes]))
        assert.include(shown, "/auth/callback")
        for (const secret of ["abcdefghijkl", "its-state", "its-code"]) assert.notInclude(shown, secret)
      })
    ).pipe(Effect.provideService(Tracer.Tracer, tracer))
  })

  it.effect("that somebody changed their mind about, or that the app does not let in, says so to its page", () =>
    onStage(({ issuer, start }) =>
      Effect.promise(async () => {
        issuer.accounts.set("bob", { email: "bob@evil.example", email_verified: true })
        const known = { _baas_state: "abcdefghijkl", _baas_client_app_id: "shop-abcde" }
        issuer.user.sub = "bob"
        const stranger = await Issuer.makeBrowser().open(start())
        assert.deepStrictEqual(fieldsOf(stranger.url), {
          ...known,
          _baas_error: "the domain of the email address is not allowed by the app",
          _baas_error_code: "DomainNotAllowed"
        })
        assert.notInclude(stranger.url, "+")
        issuer.user.sub = ""
        assert.deepStrictEqual(fieldsOf((await Issuer.makeBrowser().open(start())).url), {
          ...known,
          _baas_error: "the provider gave no permission",
          _baas_error_code: "AuthError"
        })
      }), { google: { ...openId, domainRestrictions: ["shop.example"] } }))
})

describe("a link by redirection", () => {
  const begin = (
    browser: ReturnType<typeof Issuer.makeBrowser>,
    start: Stage["start"],
    token: string,
    origin = "https://shop.example"
  ) =>
    browser.visit(start({ query: { link: "true", providerRedirectHeader: "true" } }), {
      headers: { authorization: `Bearer ${token}`, origin }
    })

  it.effect("adds the identity to the user who asked for it, and only in their browser", () =>
    onStage(({ origin, start }) =>
      Effect.promise(async () => {
        const { access_token, user_id } = await logInAnonymously(origin)
        const browser = Issuer.makeBrowser()
        const response = await begin(browser, start, access_token)
        assert.strictEqual(response.status, 200)
        assert.strictEqual(response.headers.get("access-control-allow-origin"), "https://shop.example")
        assert.strictEqual(response.headers.get("access-control-allow-credentials"), "true")
        assert.strictEqual(response.headers.get("access-control-expose-headers"), "x-baas-location, retry-after")
        const location = response.headers.get("x-baas-location") ?? ""

        const lured = await Issuer.makeBrowser().open(location)
        assert.deepStrictEqual(JSON.parse(lured.text).error, lost[2])

        const fields = fieldsOf((await browser.open(location)).url)
        assert.strictEqual(fields["_baas_link"], "ok")
        const [access = "", refresh, userId] = fields["_baas_ua"]?.split("$") ?? []
        assert.deepStrictEqual([refresh, userId], ["", user_id])
        const identities = (await profile(origin, access))["identities"] as ReadonlyArray<Record<string, unknown>>
        assert.deepStrictEqual(identities.map((identity) => identity["provider_type"]), ["anon-user", "oauth2-google"])
      })
    ))

  it.effect("of somebody else's identity, or of a session that has ended, is refused and changes nothing", () =>
    onStage(({ origin, start }) =>
      Effect.gen(function*() {
        const sessions = yield* Sessions.Sessions
        const authentication = yield* Authentication.Authentication
        yield* Effect.promise(() => Issuer.makeBrowser().open(start()))
        const { access_token, user_id } = yield* Effect.promise(() => logInAnonymously(origin))
        const browser = Issuer.makeBrowser()
        const link = Effect.promise(async () =>
          (await begin(browser, start, access_token)).headers.get("x-baas-location") ?? ""
        )
        const open = (location: string) => Effect.promise(async () => fieldsOf((await browser.open(location)).url))
        assert.deepInclude(yield* open(yield* link), {
          _baas_error: "unauthorized: the identity belongs to another user",
          _baas_error_code: "AuthError"
        })
        const { user } = yield* authentication.authorizeAccess(Redacted.make(access_token))
        assert.strictEqual(user.identities.length, 1)
        const location = yield* link
        yield* sessions.endAll(user_id)
        assert.deepInclude(yield* open(location), { _baas_error_code: "InvalidSession" })
      })
    ))

  it.effect("from a page that the app does not list is refused", () =>
    onStage(({ origin, start }) =>
      Effect.promise(async () => {
        const { access_token } = await logInAnonymously(origin)
        const response = await begin(Issuer.makeBrowser(), start, access_token, "https://evil.example")
        assert.deepStrictEqual((await refusal(response)).slice(0, 2), [403, "DomainNotAllowed"])
      })
    ))
})

it.effect("a provider that is down keeps nobody waiting for its page", () =>
  Effect.gen(function*() {
    const issuer = yield* Effect.scoped(Issuer.make())
    const server = Listener.layer({
      app: definition(),
      functions: { workers: 1 },
      issuers: { google: issuer.url }
    }).pipe(Layer.provide(Database.layerMemory))
    yield* Effect.gen(function*() {
      const origin = yield* Listener.origin
      const response = yield* Effect.promise(() =>
        fetch(`${origin}${api}/app/shop-abcde/auth/providers/oauth2-google/login?redirect=${page}&state=x`)
      )
      assert.deepStrictEqual(
        yield* Effect.promise(() => refusal(response)),
        [503, undefined, "the provider 'oauth2-google' cannot be reached, try again later"]
      )
    }).pipe(Effect.provide(server))
  }))
