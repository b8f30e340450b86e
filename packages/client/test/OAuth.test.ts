import * as Endpoint from "@effect-realm/protocol/Endpoint"
import * as Faults from "@effect-realm/testing/Faults"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as App from "../src/App.ts"
import * as Credentials from "../src/Credentials.ts"
import * as OAuth from "../src/OAuth.ts"
import * as TokenStore from "../src/TokenStore.ts"
import * as User from "../src/User.ts"
import * as Scripted from "./scripted.ts"
import * as Spans from "./support/spans.ts"

const app = App.make({ id: "shop-abcde", baseUrl: "http://localhost:9090" })
const page = "https://shop.example/signed-in"
const kept = { appId: app.id, provider: "google", redirectUri: page, state: "kept" } as const
const pending = new OAuth.PendingLogIn(kept)
const pendingLink = new OAuth.PendingLink({ ...kept, userId: "u1" })

const encode = Schema.encodeSync(Endpoint.Redirected)

/** The address that a server sends a browser to. */
const address = (
  fields: Omit<typeof Endpoint.Redirected.Type, "userAuth"> & { readonly userAuth?: string }
): string => {
  const { userAuth, ...rest } = fields
  const wire = encode({ ...rest, ...(userAuth === undefined ? undefined : { userAuth: Redacted.make(userAuth) }) })
  return `${page}#${
    Object.entries(wire).map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`).join("&")
  }`
}

const known = { state: "kept", appId: app.id }
const device = "000000000000000000000000"
const answer = address({ ...known, userAuth: `${Scripted.accessToken("u1")}$refresh-u1$u1$${device}` })

const reasonOf = (location: string, from: OAuth.Pending = pending) =>
  Effect.map(
    Effect.flip(OAuth.parse(location, from)),
    (error) => "reason" in error && typeof error.reason === "object" ? error.reason._tag : error._tag
  )

type Services = HttpClient.HttpClient | TokenStore.TokenStore

const withClient = (scripted: Scripted.Scripted) => Layer.merge(scripted.layer, TokenStore.layerMemory)

describe("OAuth.start", () => {
  it.effect("makes the address from the protocol's own endpoint, with a state that nobody guesses", () =>
    Effect.gen(function*() {
      const first = yield* app.pipe(OAuth.start({ provider: "apple", redirectUri: page }))
      const second = yield* OAuth.start(app, { provider: "apple", redirectUri: page })
      const url = new URL(first.url)
      assert.strictEqual(
        url.origin + url.pathname,
        "http://localhost:9090/api/client/v2.0/app/shop-abcde/auth/providers/oauth2-apple/login"
      )
      assert.sameMembers([...url.searchParams.keys()], ["redirect", "state", "device"])
      assert.strictEqual(url.searchParams.get("redirect"), page)
      assert.match(first.pending.state, /^[0-9a-f]{64}$/)
      assert.notStrictEqual(first.pending.state, second.pending.state)
      const told = JSON.parse(atob(url.searchParams.get("device") ?? ""))
      assert.sameMembers(Object.keys(told), ["platform", "platformVersion", "sdkVersion"])
      for (const pending of [first.pending, pendingLink]) {
        const revived = Schema.decodeUnknownSync(OAuth.Pending)(JSON.parse(JSON.stringify(pending)))
        assert.deepStrictEqual(revived, pending)
      }
    }).pipe(Effect.provide(TokenStore.layerMemory)))

  it.effect("tells the server which device this is, once it has a name for it", () => {
    const known = "5f87976b7b800b285345a8b4"
    const scripted = Scripted.make(({ path }) =>
      path.endsWith("/login") ? Scripted.loggedIn("u1", { device_id: known }) : undefined
    )
    return Effect.gen(function*() {
      yield* App.logIn(app, Credentials.anonymous())
      const { url } = yield* OAuth.start(app, { provider: "google", redirectUri: page })
      const told = JSON.parse(atob(new URL(url).searchParams.get("device") ?? ""))
      assert.strictEqual(told.deviceId, known)
    }).pipe(Effect.provide(withClient(scripted)))
  })
})

describe("OAuth.startLink", () => {
  it.effect("asks in the user's name, once more after an exchange, and answers the header's address", () => {
    const scripted = Scripted.make((sent, before) =>
      sent.path.includes("/oauth2-google/login")
        ? before.some(({ path }) => path === sent.path)
          ? { headers: { [Endpoint.redirectHeader]: "https://provider.example/page" } }
          : Scripted.refusal(401, "invalid session", "InvalidSession")
        : undefined
    )
    const { spans, traced } = Spans.recorder()
    return Effect.gen(function*() {
      const user = yield* App.logIn(app, Credentials.anonymous())
      const { pending, url } = yield* traced(OAuth.startLink(user, { provider: "google", redirectUri: page }))
      assert.notInclude(Spans.printed(spans.map(Spans.attributes)), pending.state)
      assert.strictEqual(url, "https://provider.example/page")
      assert.strictEqual(pending.userId, "u1")
      const asked = scripted.sent.slice(2)
      assert.deepStrictEqual(asked.map(({ method }) => method), ["GET", "POST", "GET"])
      assert.notStrictEqual(asked[0]!.headers["authorization"], asked[2]!.headers["authorization"])
      assert.include(asked[2]!.path, "link=true&providerRedirectHeader=true")
      assert.strictEqual(asked[1]!.headers["authorization"], "Bearer refresh-u1")
    }).pipe(Effect.provide(withClient(scripted)))
  })

  it.effect("fails when the answer says no address", () =>
    Effect.gen(function*() {
      const user = yield* App.logIn(app, Credentials.anonymous())
      const error = yield* Effect.flip(OAuth.startLink(user, { provider: "google", redirectUri: page }))
      assert.strictEqual(
        error._tag === "InvalidResponseError" && error.detail,
        "the answer has no header x-baas-location"
      )
    }).pipe(
      Effect.provide(withClient(Scripted.make((sent) => sent.path.includes("/oauth2-") ? { status: 200 } : undefined)))
    ))
})

describe("OAuth.parse", () => {
  it.effect.prop(
    "reads what was written, whatever is in it",
    { state: Schema.NonEmptyString, access: Schema.String, refresh: Schema.String, user: Schema.String },
    (given) =>
      Effect.gen(function*() {
        // An address holds no half of a character.
        const { access, refresh, state, user } = {
          access: given.access.toWellFormed(),
          refresh: given.refresh.toWellFormed(),
          state: given.state.toWellFormed(),
          user: given.user.toWellFormed()
        }
        const [accessToken, refreshToken, userId] = [access, refresh, user].map((text) =>
          `t${text.replaceAll("$", "")}`
        )
        const location = address({
          state,
          appId: app.id,
          userAuth: `${accessToken}$${refreshToken}$${userId}$${device}`
        })
        const pending = new OAuth.PendingLogIn({ ...kept, state })
        const returned = yield* OAuth.parse(location, pending)
        assert.strictEqual(Redacted.value(returned.accessToken), accessToken)
        assert.strictEqual(Redacted.value(returned.refreshToken), refreshToken)
        assert.deepStrictEqual([returned.userId, returned.deviceId], [userId, device])
        assert.deepStrictEqual(yield* OAuth.parse(location.slice(location.indexOf("#")), pending), returned)
      })
  )

  it.effect("refuses what is not the end of the log-in that was kept", () =>
    Effect.gen(function*() {
      for (const location of ["", "#", page, `${page}#top`, `${page}#%%%`, `${page}?_baas_x=1#_baas_state=kept`]) {
        assert.strictEqual(yield* reasonOf(location), "NotRedirected", location)
      }
      const other = address({ ...known, state: "other", error: "of a stranger", errorCode: "InvalidPassword" })
      assert.strictEqual(yield* reasonOf(other), "OtherState")
      assert.strictEqual(yield* reasonOf(address({ ...known, appId: "cafe-fghij" })), "OtherState")
      const token = Scripted.accessToken("u1")
      for (
        const userAuth of ["", "$$$", token, `${token}$r$u1`, `${token}$$u1$d`, `${token}$r$$d`, `${token}$r$u1$d$x`]
      ) {
        const error = yield* Effect.flip(OAuth.parse(address({ ...known, userAuth }), pending))
        assert.strictEqual(error._tag === "RedirectError" && error.reason._tag, "Invalid", userAuth)
        assert.notInclude(String(error), token)
      }
      assert.strictEqual(yield* reasonOf(address({ ...known, error: "" })), "Invalid")
      assert.strictEqual(yield* reasonOf(answer, pendingLink), "Invalid")
      const linked = address({ ...known, link: "ok", userAuth: `${token}$$u1$${device}` })
      assert.strictEqual(yield* reasonOf(linked), "Invalid")
      assert.strictEqual(yield* reasonOf(linked, new OAuth.PendingLink({ ...kept, userId: "u2" })), "Invalid")
      assert.notProperty(yield* OAuth.parse(linked, pendingLink), "refreshToken")
    }))

  it.effect("says a refusal by its code, also one that is not known, and none", () =>
    Effect.gen(function*() {
      const refusal = (errorCode?: string) =>
        Effect.flip(OAuth.parse(
          address({ ...known, error: "no permission", ...(errorCode === undefined ? undefined : { errorCode }) }),
          pending
        ))
      const auth = yield* refusal("DomainNotAllowed")
      assert.notStrictEqual(auth._tag, "UnknownServiceError")
      const unknown = yield* refusal("SomethingNew")
      assert.strictEqual(unknown._tag === "UnknownServiceError" && unknown.code, "SomethingNew")
      const without = yield* refusal()
      assert.strictEqual(without._tag === "UnknownServiceError" && without.detail, "no permission")
    }))
})

describe("A page without types", () => {
  it.effect("is told what is missing, of what was to be kept while the browser was away", () =>
    Effect.gen(function*() {
      const nothing = null as never
      const user = User.make({ appId: app.id, baseUrl: app.baseUrl, id: "u1" })
      const uses: ReadonlyArray<readonly [string, Effect.Effect<unknown, unknown, Services>]> = [
        [`SchemaError(Expected "google" | "facebook" | "apple"\n  at ["provider"]`, OAuth.start(app, nothing)],
        [`SchemaError(Expected "google" | "facebook" | "apple"\n  at ["provider"]`, OAuth.startLink(user, nothing)],
        ["location: expected a text, such as location.href", OAuth.parse(new URL(page) as never, pending)],
        ["pending: expected what OAuth.start or OAuth.startLink answered", OAuth.parse(answer, nothing)],
        ["returned: expected what OAuth.parse answered", OAuth.logIn(app, nothing)],
        ["returned: expected what OAuth.parse answered", OAuth.link(user, nothing)]
      ]
      for (const [message, use] of uses) {
        const exit = yield* Effect.exit(Effect.provide(use, withClient(Scripted.make())))
        assert.include(Exit.isFailure(exit) ? String(Cause.squash(exit.cause)) : "", message)
      }
    }))
})

describe("OAuth.logIn", () => {
  it.effect("that fails leaves nobody logged in and ends the session on the server", () => {
    const scripted = Scripted.make((sent) =>
      sent.path.endsWith("/auth/profile") ? { text: "<html>", contentType: "text/html" } : undefined
    )
    return Effect.gen(function*() {
      const error = yield* Effect.flip(OAuth.logIn(app, yield* OAuth.parse(answer, pending)))
      assert.strictEqual(error._tag, "InvalidResponseError")
      yield* Effect.yieldNow
      assert.deepStrictEqual(yield* App.allUsers(app), [])
      const last = scripted.sent.at(-1)
      assert.deepStrictEqual([last?.method, last?.headers["authorization"]], ["DELETE", "Bearer refresh-u1"])
    }).pipe(Effect.provide(withClient(scripted)))
  })

  it.effect("refuses what is of another app, and a token of another user", () =>
    Effect.gen(function*() {
      const returned = yield* OAuth.parse(answer, pending)
      const other = App.make({ id: "cafe-fghij", baseUrl: app.baseUrl })
      assert.strictEqual((yield* Effect.flip(OAuth.logIn(other, returned)))._tag, "RedirectError")
      const forged = new OAuth.ReturnedLogIn({ ...returned, userId: "u2" })
      assert.strictEqual((yield* Effect.flip(OAuth.logIn(app, forged)))._tag, "InvalidResponseError")
      assert.deepStrictEqual(yield* App.allUsers(app), [])
    }).pipe(Effect.provide(withClient(Scripted.make()))))

  it.effect("that is interrupted leaves nobody logged in and ends the session on the server", () => {
    const scripted = Scripted.make()
    return Effect.gen(function*() {
      const logIn = OAuth.logIn(app, yield* OAuth.parse(answer, pending)).pipe(
        Faults.inject(Faults.at({ endpoint: "profile" }, Faults.stallBody))
      )
      const fiber = yield* Effect.forkChild(logIn, { startImmediately: true })
      yield* Effect.yieldNow
      yield* Fiber.interrupt(fiber)
      yield* Effect.yieldNow
      assert.deepStrictEqual(yield* App.allUsers(app), [])
      assert.deepStrictEqual(
        scripted.sent.map(({ headers, method }) => [method, headers["authorization"]]).at(-1),
        ["DELETE", "Bearer refresh-u1"]
      )
    }).pipe(Effect.provide(withClient(scripted)))
  })

  it.effect("begins when it is run: a log-out before it is over, and one while it is under way wins", () =>
    Effect.gen(function*() {
      const user = yield* App.logIn(app, Credentials.emailPassword({ email: "ann@example.com", password: "secret" }))
      const { pending } = yield* OAuth.start(app, { provider: "google", redirectUri: page })
      yield* User.logOut(user)
      const location = address({
        ...known,
        state: pending.state,
        userAuth: `${Scripted.accessToken("u1")}$refresh-u1$u1$${device}`
      })
      const logIn = OAuth.logIn(app, yield* OAuth.parse(location, pending))
      yield* logIn
      assert.strictEqual(yield* User.state(user), "LoggedIn")

      const slow = logIn.pipe(Faults.inject(Faults.at({ endpoint: "profile" }, Faults.delay("1 second"))))
      const fiber = yield* Effect.forkChild(Effect.flip(slow), { startImmediately: true })
      yield* Effect.yieldNow
      yield* User.logOut(user)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(fiber))._tag, "NotLoggedInError")
      assert.strictEqual(yield* User.state(user), "LoggedOut")
    }).pipe(Effect.provide(withClient(Scripted.make()))))
})

describe("OAuth.link", () => {
  const ofSession = (session: string) => Scripted.accessToken("u1", { iss: session })

  const linked = (session: string) =>
    OAuth.parse(address({ ...known, link: "ok", userAuth: `${ofSession(session)}$$u1$${device}` }), pendingLink)

  it.effect("of a user who has logged out meanwhile changes nothing", () =>
    Effect.gen(function*() {
      const user = yield* App.logIn(app, Credentials.anonymous())
      const returned = yield* linked("s1")
      yield* OAuth.link(user, returned)
      yield* User.logOut(user)
      assert.strictEqual((yield* Effect.flip(OAuth.link(user, returned)))._tag, "NotLoggedInError")
      assert.strictEqual(yield* User.state(user), "LoggedOut")
    }).pipe(Effect.provide(withClient(Scripted.make()))))

  it.effect("that comes back after a new log-in brings the identity, and leaves the new session its tokens", () => {
    let logIns = 0
    const identities = [{ id: "i1", provider_type: "anon-user" }, { id: "i2", provider_type: "oauth2-google" }]
    const scripted = Scripted.make(({ path }) => {
      if (path.endsWith("/login")) return Scripted.loggedIn("u1", { access_token: ofSession(`s${++logIns}`) })
      return path.endsWith("/auth/profile") && logIns === 2 ? Scripted.profile({ identities }) : undefined
    })
    return Effect.gen(function*() {
      const logIn = App.logIn(app, Credentials.emailPassword({ email: "ann@example.com", password: "secret" }))
      const user = yield* logIn
      yield* User.logOut(user)
      yield* logIn
      const before = yield* User.accessToken(user)
      yield* OAuth.link(user, yield* linked("s1"))
      assert.deepStrictEqual((yield* User.identities(user)).map(({ providerType }) => providerType), [
        "anon-user",
        "oauth2-google"
      ])
      assert.strictEqual(Redacted.value(yield* User.accessToken(user)), Redacted.value(before))
      // One of the same session is as good as the one that is here, and newer.
      const own = yield* linked("s2")
      yield* OAuth.link(user, own)
      assert.strictEqual(Redacted.value(yield* User.accessToken(user)), Redacted.value(own.accessToken))
    }).pipe(Effect.provide(withClient(scripted)))
  })
})
