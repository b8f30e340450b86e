/**
 * Sessions of server-rendered pages: each visitor brings their own in one encrypted cookie, and the page's server acts as
 * its visitor. The server remembers nothing, so it needs no database for them, and has nobody's session to mix up with
 * another's: a store is made for each request, of nothing but the cookie of that request.
 *
 * The cookie is for the server alone (`HttpOnly`), goes over https alone (`Secure`), and not along with the forms of
 * other sites (`SameSite=Lax`). It holds who is logged in, and nobody else: a user who logged out is not known to the next
 * request.
 */
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Cookies from "effect/http/Cookies"
import * as HttpEffect from "effect/http/HttpEffect"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { TokenStoreError } from "./ClientError.ts"
import * as CookieStorage from "./internal/stores/cookieStorage.ts"
import * as Seal from "./internal/stores/seal.ts"
import { SessionStorage } from "./SessionStorage.ts"
import { layerStorage, type TokenStore } from "./TokenStore.ts"

// -----------------------------------------------------------------------------
// Model
// -----------------------------------------------------------------------------

/** How the cookie is encrypted, and what it is like. */
export interface Options extends Seal.Keys {
  /** Its name; `__Host-session` when nothing is said, `session` when it is not secure. */
  readonly name?: string
  /** Whether it goes over https alone. `true` when nothing is said; `false` is for a server on one's own machine. */
  readonly secure?: boolean
  /** How long a browser keeps it after the visitor was last here; sixty days, as long as a session, when nothing is said. */
  readonly maxAge?: Duration.Input
}

// -----------------------------------------------------------------------------
// Constructors
// -----------------------------------------------------------------------------

// What browsers keep of the name and the value of a cookie together.
const limit = 4096

type Response = HttpServerResponse.HttpServerResponse

/** What is the same for all requests. */
const prepare = Effect.fnUntraced(function*(options: Options) {
  const { maxAge = "60 days", secure = true } = options
  const name = options.name ?? (secure ? "__Host-session" : "session")
  const attributes = { path: "/", httpOnly: true, secure, sameSite: "lax", maxAge } as const
  const purpose: Seal.Purpose = { name: `cookie ${name}`, key: ["cookie"], text: ["cookie", name] }
  const { open, seal } = yield* Seal.make(options)

  const cookieOf = (value: string): Effect.Effect<Cookies.Cookie, TokenStoreError> =>
    Effect.mapError(
      Effect.fromResult(Cookies.makeCookie(name, value, attributes)),
      ({ reason }) =>
        new TokenStoreError({
          reason: { _tag: "Misconfigured", detail: `there can be no cookie ${name} like that (${reason._tag})` }
        })
    )
  yield* cookieOf("")

  return {
    /** The content of a cookie. */
    read: (text: string): Effect.Effect<CookieStorage.Content, TokenStoreError> =>
      Effect.flatMap(open(purpose, text), (opened) =>
        Option.match(CookieStorage.decode(opened), {
          onNone: () =>
            Effect.fail(
              new TokenStoreError({ reason: { _tag: "Damaged", key: purpose.name, detail: "it holds no sessions" } })
            ),
          onSome: Effect.succeed
        })),
    cookie: Effect.fnUntraced(function*(content: CookieStorage.Content) {
      const cookie = yield* Effect.flatMap(seal(purpose, CookieStorage.encode(content)), cookieOf)
      const size = name.length + cookie.valueEncoded.length
      if (size <= limit) return cookie
      return yield* Effect.fail(new TokenStoreError({ reason: { _tag: "TooLarge", size, limit } }))
    }),
    set: (cookie: Cookies.Cookie) => HttpServerResponse.updateCookies(Cookies.setCookie(cookie)),
    expire: HttpServerResponse.updateCookies((cookies) => Cookies.expireCookieUnsafe(cookies, name, attributes)),
    name
  }
})

const make = <E>(
  options: Effect.Effect<Options, E>
): Layer.Layer<TokenStore, TokenStoreError | E, HttpServerRequest> => {
  // Once, by the first request.
  let made: Effect.Success<ReturnType<typeof prepare>> | undefined
  const prepared = Effect.suspend(() =>
    made === undefined
      ? Effect.tap(Effect.flatMap(options, prepare), (cookies) => Effect.sync(() => void (made = cookies)))
      : Effect.succeed(made)
  )

  const storage = Effect.gen(function*() {
    const { cookie, expire, name, read, set } = yield* prepared
    const { cookies } = yield* HttpServerRequest
    const clock = yield* Clock.Clock
    let change: ((response: Response) => Response) | undefined
    yield* HttpEffect.appendPreResponseHandler((_, response) =>
      Effect.sync(() =>
        change === undefined
          ? response
          // No cache may hand one visitor's cookie to another.
          : HttpServerResponse.setHeader(change(response), "cache-control", "no-store")
      )
    )
    const text = cookies[name] ?? ""
    const content = text === "" ? [] : yield* Effect.tapError(
      read(text),
      // Or the visitor would be stuck with it.
      ({ reason }) => Effect.sync(() => void (reason._tag === "Damaged" && (change = expire)))
    )
    return CookieStorage.make(clock, content, (content) =>
      Effect.map(
        content.length === 0 ? Effect.succeed(expire) : Effect.map(cookie(content), set),
        (next) => Effect.sync(() => void (change = next))
      ))
  })

  // Never shared: neither with another request, nor with another store of the program.
  return Layer.fresh(Layer.provide(layerStorage, Layer.effect(SessionStorage, storage)))
}

// -----------------------------------------------------------------------------
// Layers
// -----------------------------------------------------------------------------

/**
 * The sessions of the visitor whose request is being handled. Provide it once in the handler of each request, around all
 * that acts as the visitor; what has changed then goes to the browser with the head of the response. What changes
 * later, while a body is streamed, is lost.
 *
 * Fails with `Damaged` when the cookie was changed or cut off, and takes it away, so that the visitor can log in again;
 * with `KeyMissing` when it was encrypted with a key that was not given, and leaves it; with `Misconfigured` when a key or
 * the name is none. A log-in fails with `TooLarge` when its cookie would have more than 4,096 bytes.
 *
 * @param options.key the secret: 32 random bytes or more in Base64
 * @param options.oldKeys secrets of earlier, which are read
 *
 * ```ts
 * import { App } from "@effect-realm/client"
 * import * as CookieTokenStore from "@effect-realm/client/CookieTokenStore"
 * import { Effect, Option, Redacted } from "effect"
 * import { HttpEffect, HttpServerResponse } from "effect/http"
 *
 * const app = App.make({ id: "shop-abcde", baseUrl: "http://localhost:9090" })
 * // Once, for all requests.
 * const sessions = CookieTokenStore.layer({ key: Redacted.make("bm90IGEgc2VjcmV0LCBzaW5jZSBpdCBpcyBwcmludGVkIGhlcmU=") })
 *
 * const page = Effect.gen(function*() {
 *   const user = yield* App.currentUser(app)
 *   return HttpServerResponse.text(Option.isSome(user) ? `Hello ${user.value.id}` : "Please log in")
 * })
 * const handle = HttpEffect.toWebHandler(Effect.provide(page, sessions))
 * const response = await handle(new Request("https://shop.example"))
 * await response.text() // => "Please log in"
 * ```
 */
export const layer = (options: Options): Layer.Layer<TokenStore, TokenStoreError, HttpServerRequest> =>
  make(Effect.succeed(options))

/**
 * The same, its keys from the configuration, which the first request reads.
 *
 * ```ts
 * import * as CookieTokenStore from "@effect-realm/client/CookieTokenStore"
 * import { App } from "@effect-realm/client"
 * import { Config, ConfigProvider, Effect, Option } from "effect"
 * import { HttpEffect, HttpServerResponse } from "effect/http"
 *
 * const app = App.make({ id: "shop-abcde", baseUrl: "http://localhost:9090" })
 * const sessions = CookieTokenStore.layerConfig({ key: Config.Redacted("SESSION_KEY") })
 * const page = Effect.map(App.currentUser(app), (user) => HttpServerResponse.text(String(Option.isSome(user))))
 * const env = { SESSION_KEY: "bm90IGEgc2VjcmV0LCBzaW5jZSBpdCBpcyBwcmludGVkIGhlcmU=" }
 * const handle = HttpEffect.toWebHandler(page.pipe(
 *   Effect.provide(sessions),
 *   Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env })))
 * ))
 * const response = await handle(new Request("https://shop.example"))
 * await response.text() // => "false"
 * ```
 */
export const layerConfig = (
  options: Config.Wrap<Options>
): Layer.Layer<TokenStore, TokenStoreError | Config.ConfigError, HttpServerRequest> => make(Config.unwrap(options))
