import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Cookies from "effect/http/Cookies"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import type { TokenStoreError } from "../src/ClientError.ts"
import * as CookieTokenStore from "../src/CookieTokenStore.ts"
import * as CookieStorage from "../src/internal/stores/cookieStorage.ts"
import * as SessionStorage from "../src/SessionStorage.ts"
import * as TokenStore from "../src/TokenStore.ts"
import * as TokenStoreContract from "./TokenStore.contract.ts"

const { changes, session } = TokenStoreContract

TokenStoreContract.contract(
  "the sessions of one request",
  Layer.provide(
    TokenStore.layerStorage,
    Layer.fresh(Layer.effect(
      SessionStorage.SessionStorage,
      Effect.map(Clock.Clock, (clock) => CookieStorage.make(clock, [], () => Effect.succeed(Effect.void)))
    ))
  ),
  { runs: 30 }
)

const appId = "shop-abcde"
const user = (userId: string, app = appId): TokenStore.SessionKey => ({ appId: app, userId })
const [ann, bob] = [user("ann"), user("bob")]

const keyOf = (seed: number) => Redacted.make(Buffer.alloc(32, seed).toString("base64"))
const key = keyOf(1)
const name = "__Host-session"

/** What a server answers when a browser with these cookies asks it for a page. */
const answer = <E>(
  page: Effect.Effect<HttpServerResponse.HttpServerResponse, E, HttpServerRequest.HttpServerRequest>,
  cookies: Readonly<Record<string, string>>
) =>
  Effect.gen(function*() {
    const answered = yield* Deferred.make<HttpServerResponse.HttpServerResponse>()
    const cookie = Object.entries(cookies).map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("; ")
    const request = new Request("https://shop.example/", { headers: { cookie } })
    yield* HttpEffect.toHandled(page, (_, response) => Deferred.succeed(answered, response)).pipe(
      Effect.provideService(HttpServerRequest.HttpServerRequest, HttpServerRequest.fromWeb(request)),
      Effect.exit
    )
    return yield* Deferred.await(answered)
  })

interface Browser {
  readonly cookies: Record<string, string>
  /** Asks for a page that does something with the store, and answers what came of it. */
  readonly visit: <A, E>(
    effect: Effect.Effect<A, E, TokenStore.TokenStore>,
    sessions?: ReturnType<typeof CookieTokenStore.layer>
  ) => Effect.Effect<A, E | TokenStoreError>
  /** The headers of the last answer that set a cookie. */
  headers: ReadonlyArray<string>
}

const defaults = CookieTokenStore.layer({ key })

const browser = (): Browser => {
  const self: Browser = {
    cookies: {},
    headers: [],
    visit: (effect, sessions = defaults) =>
      Effect.gen(function*() {
        const done = yield* Deferred.make<
          Effect.Success<typeof effect>,
          Effect.Error<typeof effect> | TokenStoreError
        >()
        const page = Effect.provide(effect, sessions).pipe(
          Effect.onExit((exit) => Deferred.done(done, exit)),
          Effect.as(HttpServerResponse.text("done"))
        )
        const response = yield* answer(page, self.cookies)
        const headers = Cookies.toSetCookieHeaders(response.cookies)
        if (headers.length > 0) {
          self.headers = headers
          assert.strictEqual(response.headers["cache-control"], "no-store")
        }
        for (const { name, options, value } of Object.values(response.cookies.cookies)) {
          if (options?.maxAge === 0) delete self.cookies[name]
          else self.cookies[name] = value
        }
        return yield* Deferred.await(done)
      })
  }
  return self
}

const get = (key: TokenStore.SessionKey) => TokenStore.TokenStore.use((store) => store.get(key))
const users = TokenStore.TokenStore.use((store) => store.users(appId))
const state = TokenStore.TokenStore.use((store) => store.app(appId))
const reasonOf = <A>(effect: Effect.Effect<A, TokenStoreError>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason)

describe("CookieTokenStore", () => {
  it.effect("remembers who is logged in from one request to the next", () =>
    Effect.gen(function*() {
      const { visit } = browser()
      const anonymous = { providerType: "anon-user", deviceId: "d1" }
      const first = Option.getOrThrow(yield* visit(changes.logIn(ann, "1", anonymous)))
      const found = Option.getOrThrow(yield* visit(get(ann)))
      assert.strictEqual(Redacted.value(found.tokens!.accessToken), "access 1")
      assert.strictEqual(found.generation, first)
      assert.deepStrictEqual(yield* visit(state), {
        currentUser: Option.some("ann"),
        anonymousUser: Option.some("ann"),
        deviceId: Option.some("d1")
      })
      assert.isAbove(Option.getOrThrow(yield* visit(changes.refresh(ann, "2"))), first)
      yield* visit(changes.logIn(bob))
      yield* visit(changes.logIn(user("ann", "other-app")))
      assert.deepStrictEqual(yield* visit(users), ["ann", "bob"])
      assert.deepStrictEqual((yield* visit(state)).currentUser, Option.some("bob"))
      assert.isTrue(Option.isSome(yield* visit(get(user("ann", "other-app")))))
      yield* visit(changes.switchTo(ann))
      yield* visit(changes.logOut(ann))
      assert.deepStrictEqual(yield* visit(users), ["bob"])
      assert.deepStrictEqual((yield* visit(state)).currentUser, Option.some("bob"))
    }))

  it.effect("counts the life of a token while the cookie is away", () =>
    Effect.gen(function*() {
      const { visit } = browser()
      yield* visit(changes.logIn(ann))
      yield* TestClock.adjust("29 minutes")
      assert.strictEqual(Option.getOrThrow(yield* visit(get(ann))).tokens!.receivedAt, 0)
    }))

  it.effect("sets a cookie for the server alone, over https alone, and not for the forms of other sites", () =>
    Effect.gen(function*() {
      const page = browser()
      yield* page.visit(changes.logIn(ann))
      const [header] = page.headers
      assert.match(header!, /^__Host-session=/)
      assert.deepStrictEqual(header!.split("; ").slice(1).toSorted(), [
        "HttpOnly",
        "Max-Age=5184000",
        "Path=/",
        "SameSite=Lax",
        "Secure"
      ])
      assert.notMatch(header!, /access|ann/)
      const local = CookieTokenStore.layer({ key, secure: false, maxAge: "1 hour" })
      yield* page.visit(changes.logIn(ann), local)
      assert.match(page.headers[0]!, /^session=/)
      assert.deepStrictEqual(page.headers[0]!.split("; ").slice(1).toSorted(), [
        "HttpOnly",
        "Max-Age=3600",
        "Path=/",
        "SameSite=Lax"
      ])
    }))

  it.effect("sets none when nothing has changed, and takes it away when nobody is logged in any more", () =>
    Effect.gen(function*() {
      const page = browser()
      yield* page.visit(users)
      assert.deepStrictEqual(page.headers, [])
      yield* page.visit(changes.logIn(ann))
      page.headers = []
      yield* page.visit(get(ann))
      assert.deepStrictEqual(page.headers, [])
      yield* page.visit(changes.logOut(ann))
      assert.match(page.headers[0]!, /Max-Age=0/)
      assert.deepStrictEqual(page.cookies, {})
      assert.deepStrictEqual(yield* page.visit(get(ann)), Option.none())
    }))

  it.effect("refuses a log-in that makes more than a browser keeps, and then nothing has changed", () =>
    Effect.gen(function*() {
      const page = browser()
      yield* page.visit(changes.logIn(ann))
      const before = { ...page.cookies }
      const large = changes.logIn(bob, "1", { customData: { text: "x".repeat(4000) } })
      const error = yield* Effect.flip(page.visit(large))
      assert.strictEqual(error.reason._tag, "TooLarge")
      assert.isTrue(error.reason._tag === "TooLarge" && error.reason.limit === 4096 && error.reason.size > 4096)
      assert.deepStrictEqual(page.cookies, before)
      // In the same request neither.
      const after = Effect.andThen(Effect.flip(large), Effect.all([users, get(ann)]))
      const [listed, found] = yield* page.visit(after)
      assert.deepStrictEqual(listed, ["ann"])
      assert.isTrue(Option.isSome(found))
      for (let index = 0; index < 20; index++) yield* Effect.ignore(page.visit(changes.logIn(user(`user ${index}`))))
      const { length } = `${name}=${encodeURIComponent(page.cookies[name]!)}`
      assert.isAtMost(length, 4097)
    }))

  it.effect("has room for a session as a server makes it", () =>
    Effect.gen(function*() {
      const page = browser()
      const { tokens, ...rest } = session(ann)
      const jwt = (length: number) => Redacted.make("e".repeat(length))
      yield* page.visit(TokenStore.TokenStore.use((store) =>
        store.commit(ann, {
          expected: 0,
          session: Option.some({
            ...rest,
            tokens: { ...tokens!, accessToken: jwt(900), refreshToken: jwt(700) },
            profile: { ...rest.profile, data: { email: "ann@example.com", name: "Ann Example" } }
          }),
          event: { _tag: "LoggedIn", providerType: "local-userpass" },
          makeCurrent: true
        })
      ))
      assert.isBelow(page.cookies[name]!.length, 3500)
    }))

  it.effect.prop(
    "fails typed when the cookie was changed or cut off, and takes it away",
    [Schema.Struct({
      at: Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 0.999 })),
      change: Schema.Literals(["cut", "other", "swap"])
    })],
    ([{ at, change }]) =>
      Effect.gen(function*() {
        const page = browser()
        yield* page.visit(changes.logIn(ann, "tell-nobody"))
        const text = page.cookies[name]!
        // Before the last character, of which Base64 does not use every bit.
        const index = Math.max(1, Math.floor(at * (text.length - 4)))
        const changed = {
          cut: text.slice(0, index),
          other: `${text.slice(0, index)}${text[index] === "A" ? "B" : "A"}${text.slice(index + 1)}`,
          swap: text.slice(index) + text.slice(0, index)
        }[change]
        page.cookies[name] = changed
        const error = yield* Effect.flip(page.visit(users))
        assert.include(["Damaged", "KeyMissing", "NewerVersion"], error.reason._tag)
        assert.notInclude(`${error.message} ${JSON.stringify(error)}`, "tell-nobody")
        if (error.reason._tag !== "Damaged") return
        assert.deepStrictEqual(page.cookies, {})
        assert.deepStrictEqual(yield* page.visit(users), [])
      }),
    { arbitrary: { runs: 60 } }
  )

  it.effect("fails typed for whatever else is in the cookie", () =>
    Effect.gen(function*() {
      for (const text of ["x", "null", "{}", "[]", "<html>", "%", "%E0%A4%A", "\"", "a".repeat(4000)]) {
        const page = browser()
        page.cookies[name] = text
        assert.strictEqual((yield* reasonOf(page.visit(users)))._tag, "Damaged")
        assert.deepStrictEqual(page.cookies, {})
      }
    }))

  it.effect("takes no cookie that was made for another name", () =>
    Effect.gen(function*() {
      const page = browser()
      yield* page.visit(changes.logIn(ann), CookieTokenStore.layer({ key, name: "__Host-other" }))
      page.cookies[name] = page.cookies["__Host-other"]!
      assert.strictEqual((yield* reasonOf(page.visit(users)))._tag, "Damaged")
    }))

  it.effect("leaves a cookie alone whose key is not there, and reads it with an old key", () =>
    Effect.gen(function*() {
      const page = browser()
      yield* page.visit(changes.logIn(ann))
      const before = { ...page.cookies }
      const other = CookieTokenStore.layer({ key: keyOf(2) })
      assert.strictEqual((yield* reasonOf(page.visit(users, other)))._tag, "KeyMissing")
      assert.deepStrictEqual(page.cookies, before)
      const rotated = CookieTokenStore.layer({ key: keyOf(2), oldKeys: [key] })
      assert.deepStrictEqual(yield* page.visit(users, rotated), ["ann"])
      yield* page.visit(changes.refresh(ann), rotated)
      assert.deepStrictEqual(yield* page.visit(users, other), ["ann"])
    }))

  it.effect("fails typed when a key is none or there can be no such cookie", () =>
    Effect.gen(function*() {
      for (const options of [{ key: Redacted.make("password") }, { key, name: "a b" }, { key, name: "" }]) {
        const page = browser()
        assert.strictEqual((yield* reasonOf(page.visit(users, CookieTokenStore.layer(options))))._tag, "Misconfigured")
      }
    }))

  it.effect("takes its keys from the configuration", () =>
    Effect.gen(function*() {
      const sessions = CookieTokenStore.layerConfig({ key: Config.Redacted("KEY") })
      const env = { KEY: Redacted.value(key) }
      const page = Effect.as(changes.logIn(ann), HttpServerResponse.text("done")).pipe(
        Effect.provide(sessions),
        Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env })))
      )
      const response = yield* answer(page, {})
      const own = browser()
      own.cookies[name] = response.cookies.cookies[name]!.value
      assert.deepStrictEqual(yield* own.visit(users), ["ann"])
    }))

  it.effect("is nobody else's store: not that of the program, and not that of a request within it", () =>
    Effect.gen(function*() {
      const page = browser()
      const program = Layer.provide(TokenStore.layerStorage, SessionStorage.layerMemory)
      yield* Effect.gen(function*() {
        yield* changes.logIn(bob)
        yield* page.visit(changes.logIn(ann))
        assert.deepStrictEqual(yield* page.visit(users), ["ann"])
        const within = yield* page.visit(Effect.andThen(users, browser().visit(users)))
        assert.deepStrictEqual(within, [])
        assert.deepStrictEqual(yield* users, ["bob"])
      }).pipe(Effect.provide(program))
    }))

  it.effect.prop(
    "never mixes two visitors, whose requests come in whatever order and at the same time",
    [Schema.Array(Schema.Struct({
      visitor: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 4 })),
      change: Schema.Literals(["logIn", "refresh", "logOut", "look"]),
      before: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5 })),
      within: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5 }))
    }))],
    ([steps]) =>
      Effect.forEach([0, 1, 2, 3, 4], (visitor) =>
        Effect.gen(function*() {
          const key = user(`visitor ${visitor}`)
          const page = browser()
          let isLoggedIn = false
          for (const { before, change, within } of steps.filter((step) => step.visitor === visitor)) {
            yield* Effect.repeat(Effect.yieldNow, { times: before })
            const act = change === "look" || (change !== "logIn" && !isLoggedIn) ? Effect.void : changes[change](key)
            const seen = yield* page.visit(Effect.gen(function*() {
              const earlier = yield* users
              yield* Effect.repeat(Effect.yieldNow, { times: within })
              yield* act
              yield* Effect.repeat(Effect.yieldNow, { times: within })
              return { earlier, session: yield* get(key), all: yield* users }
            }))
            assert.deepStrictEqual(seen.earlier, isLoggedIn ? [key.userId] : [])
            if (change === "logIn") isLoggedIn = true
            if (change === "logOut") isLoggedIn = false
            assert.isTrue(seen.all.every((userId) => userId === key.userId))
            assert.strictEqual(Option.exists(seen.session, ({ tokens }) => tokens !== undefined), isLoggedIn)
          }
        }), { concurrency: "unbounded", discard: true }),
    { arbitrary: { runs: 40 } }
  )
})
