/**
 * Log-ins and links by way of a provider's own page (`Realm.handleAuthRedirect` and `Credentials.google({ redirectUrl })`
 * of realm-web, protocol section 3.7): out to the provider, and back to a page of the app, which finds behind the `#` of
 * its address what became of it. Nothing here knows of windows: a page opens the URL, keeps {@link Pending} meanwhile, and
 * hands in its address.
 */
import * as Endpoint from "@effect-realm/protocol/Endpoint"
import * as RealmError from "@effect-realm/protocol/RealmError"
import * as Token from "@effect-realm/protocol/Token"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import { dual } from "effect/Function"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import type * as HttpClient from "effect/http/HttpClient"
import * as UrlParams from "effect/http/UrlParams"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { App } from "./App.ts"
import type { ExchangeError, TokenStoreError } from "./ClientError.ts"
import { checked, given } from "./internal/checked.ts"
import * as Operation from "./internal/requests/operation.ts"
import * as Request from "./internal/requests/request.ts"
import * as Transport from "./internal/requests/transport.ts"
import * as AccessToken from "./internal/sessions/accessToken.ts"
import * as Linking from "./internal/sessions/linking.ts"
import * as LogIn from "./internal/sessions/logIn.ts"
import * as NewSession from "./internal/sessions/newSession.ts"
import * as Sessions from "./internal/sessions/session.ts"
import * as Subject from "./internal/subject.ts"
import { unguessable } from "./internal/unguessable.ts"
import { TokenStore } from "./TokenStore.ts"
import { User } from "./User.ts"

// -----------------------------------------------------------------------------
// Model
// -----------------------------------------------------------------------------

const Provider = Schema.Literals(["google", "facebook", "apple"])

/** Providers with a page of their own to log in at. */
export type Provider = typeof Provider.Type

/** Where a log-in goes to and comes back to. */
export interface Options {
  readonly provider: Provider
  /** The page to come back to: one of the provider's `redirect_uris`, exactly. */
  readonly redirectUri: string
}

const setOut = {
  appId: Schema.NonEmptyString,
  provider: Provider,
  redirectUri: Schema.NonEmptyString,
  /** What the answer has to carry. */
  state: Schema.NonEmptyString
}

/** What a page keeps of a log-in, see {@link Pending}. */
export class PendingLogIn
  extends Schema.TaggedClass<PendingLogIn>("@effect-realm/client/OAuth/PendingLogIn")("PendingLogIn", setOut)
{}

/** What a page keeps of a link, see {@link Pending}. */
export class PendingLink
  extends Schema.TaggedClass<PendingLink>("@effect-realm/client/OAuth/PendingLink")("PendingLink", {
    ...setOut,
    /** The user who gets the identity. */
    userId: Schema.NonEmptyString
  })
{}

/**
 * What a page keeps while somebody is at the provider's, in `sessionStorage` for instance: it survives `JSON.stringify` and
 * `Schema.decode`. It belongs to the browser that set out and to nobody else: by it the page knows its own log-in from one
 * that a stranger has lured it into.
 */
export type Pending = PendingLogIn | PendingLink

/**
 * The schema of {@link Pending}, for a page that both log-ins and links come back to.
 *
 * ```ts
 * import { OAuth } from "@effect-realm/client"
 * import { Schema } from "effect"
 *
 * const pending = new OAuth.PendingLink({
 *   appId: "shop-abcde",
 *   provider: "google",
 *   redirectUri: "https://shop.example/signed-in",
 *   state: "abc",
 *   userId: "636aba021728b6c1c03db7f9"
 * })
 * const kept = JSON.stringify(pending)
 * Schema.decodeUnknownSync(Schema.fromJsonString(OAuth.Pending))(kept) // => pending
 * ```
 */
export const Pending: Schema.Union<readonly [typeof PendingLogIn, typeof PendingLink]> = Schema.Union([
  PendingLogIn,
  PendingLink
])

/** A log-in or a link that has set out. */
export interface Started<P extends Pending = Pending> {
  /** Where to send the browser. */
  readonly url: string
  readonly pending: P
}

const cameBack = {
  appId: Schema.NonEmptyString,
  provider: Provider,
  userId: Schema.NonEmptyString,
  deviceId: Schema.String,
  accessToken: Schema.Redacted(Schema.NonEmptyString)
}

/** What a log-in came back with, for {@link logIn}. */
export class ReturnedLogIn
  extends Schema.TaggedClass<ReturnedLogIn>("@effect-realm/client/OAuth/ReturnedLogIn")("ReturnedLogIn", {
    ...cameBack,
    refreshToken: Schema.Redacted(Schema.NonEmptyString)
  })
{}

/** What a link came back with, for {@link link}. The session goes on, so there is no refresh token. */
export class ReturnedLink
  extends Schema.TaggedClass<ReturnedLink>("@effect-realm/client/OAuth/ReturnedLink")("ReturnedLink", cameBack)
{}

/** What comes back from what has set out. */
export type Returned<P extends Pending = Pending> = P extends PendingLink ? ReturnedLink : ReturnedLogIn

// -----------------------------------------------------------------------------
// Errors
// -----------------------------------------------------------------------------

/**
 * What a page was opened with is not the end of the log-in that was kept, so nothing was done with it.
 *
 * ```ts
 * import { OAuth } from "@effect-realm/client"
 *
 * const error = new OAuth.RedirectError({ reason: { _tag: "NotRedirected" } })
 * error.message // => "The address carries no end of a log-in: the page was opened by other means."
 * ```
 */
export class RedirectError
  extends Schema.TaggedError<RedirectError>("@effect-realm/client/OAuth/RedirectError")("RedirectError", {
    reason: Schema.TaggedUnion({
      /** The address has none of the fields: the page was opened by other means. */
      NotRedirected: {},
      /** The end of another log-in, by its state or its app: of one that was started since, or somebody else's. */
      OtherState: {},
      /** The fields are there and do not make sense. */
      Invalid: { detail: Schema.String }
    })
  })
{
  override get message(): string {
    switch (this.reason._tag) {
      case "NotRedirected":
        return "The address carries no end of a log-in: the page was opened by other means."
      case "OtherState":
        return "The address carries the end of another log-in than the one that was kept: start anew."
      case "Invalid":
        return `The address carries the end of a log-in that cannot be used: ${this.reason.detail}. Start anew.`
    }
  }
}

/** What {@link startLink} can fail with. */
export type StartLinkError = ExchangeError | RealmError.AuthError | RealmError.FunctionError

/** What {@link parse} can fail with: the address is of no use, or says that the provider or the server refused. */
export type ParseError = RedirectError | LogIn.Refusal

/** What {@link logIn} can fail with. */
export type LogInError = NewSession.LogInError | RedirectError

/** What {@link link} can fail with. */
export type LinkError = ExchangeError | RedirectError

// What is kept while the browser is away can be lost, and a caller without types has nothing in its place.
const expectObject = (name: string, value: object, maker: string): void => {
  if (!Predicate.isObject(value)) throw new TypeError(`${name}: expected what ${maker} answered`)
}

// -----------------------------------------------------------------------------
// Setting out
// -----------------------------------------------------------------------------

const endpoints = {
  google: Endpoint.redirectToGoogle,
  facebook: Endpoint.redirectToFacebook,
  apple: Endpoint.redirectToApple
}

const askLocation = {
  google: /* @__PURE__ */ Transport.makeHeader(Endpoint.redirectToGoogle, Endpoint.redirectHeader),
  facebook: /* @__PURE__ */ Transport.makeHeader(Endpoint.redirectToFacebook, Endpoint.redirectHeader),
  apple: /* @__PURE__ */ Transport.makeHeader(Endpoint.redirectToApple, Endpoint.redirectHeader)
}

const settingOut = (appId: string, options: Options): Omit<PendingLogIn, "_tag"> => {
  const { provider, redirectUri } = given(options)
  return { appId, provider, redirectUri, state: unguessable(32) }
}

/**
 * Begins a log-in: the URL to send the browser to, and what to keep until it comes back. Sends nothing. Dies with a
 * `SchemaError` that names the field when an option is missing or of another type.
 *
 * ```ts
 * import { App, OAuth, TokenStore } from "@effect-realm/client"
 * import { Effect } from "effect"
 *
 * const app = App.make({ id: "shop-abcde", baseUrl: "http://localhost:9090" })
 * const start = OAuth.start(app, { provider: "google", redirectUri: "https://shop.example/signed-in" })
 * const { pending, url } = await Effect.runPromise(Effect.provide(start, TokenStore.layerMemory))
 * new URL(url).searchParams.get("state") === pending.state // => true
 * ```
 */
export const start: {
  (options: Options): (app: App) => Effect.Effect<Started<PendingLogIn>, TokenStoreError, TokenStore>
  (app: App, options: Options): Effect.Effect<Started<PendingLogIn>, TokenStoreError, TokenStore>
} = /* @__PURE__ */ dual(
  2,
  (app: App, options: Options): Effect.Effect<Started<PendingLogIn>, TokenStoreError, TokenStore> =>
    Effect.gen(function*() {
      const pending = checked(() => new PendingLogIn(settingOut(Subject.app(app), options)))
      const { deviceId } = yield* TokenStore.use((store) => store.app(app.id))
      const { provider, redirectUri: redirect, state } = pending
      const device = Base64.encode(JSON.stringify(LogIn.device(Option.getOrUndefined(deviceId))))
      const query = { redirect, state, device }
      const url = Request.address(endpoints[provider], {
        baseUrl: app.baseUrl,
        params: { appId: app.id },
        query
      })
      return { url, pending }
    })
)

const aroundStartLink = Operation.make("OAuth.startLink")

// The answer leaves a cookie that the way back needs, and `fetch` takes none from another origin unless it is told to. And
// the state is for the page alone: the span of the request does not show it.
const settingOutByRequest = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.updateContext(
    effect,
    (context: Context.Context<R>): Context.Context<R> =>
      Context.add(context, FetchHttpClient.RequestInit, {
        ...Context.getOrUndefined(context, FetchHttpClient.RequestInit),
        credentials: "include"
      }).pipe(
        Context.add(UrlParams.CurrentRedactedNames, [
          ...Context.get(context, UrlParams.CurrentRedactedNames),
          ...Endpoint.hiddenParameters
        ])
      )
  )

/**
 * Begins a link, which gives the user one more way to log in: as {@link start}, with a request in the user's name. It has to
 * be sent by the browser that goes on to the URL (`FetchHttpClient`), which gets a cookie along.
 *
 * Fails with `AuthError.AuthProviderNotFound` when the app has no such provider, with `UnknownServiceError` or `AuthError`
 * when it does not know the page, and with `RequestError.Forbidden` when the page is of another origin than the server and the
 * app lists no origins that may call it.
 *
 * ```ts
 * import { OAuth } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect } from "effect"
 *
 * const shop = AppDefinition.make({ appId: "shop-abcde", authProviders: { anonymous: {} } })
 * const program = Effect.gen(function*() {
 *   const user = yield* RealmTest.anonymousUser
 *   const link = OAuth.startLink(user, { provider: "google", redirectUri: "https://shop.example/signed-in" })
 *   return (yield* Effect.flip(link))._tag
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app: shop }))) // => "AuthError"
 * ```
 */
export const startLink: {
  (options: Options): (
    user: User
  ) => Effect.Effect<Started<PendingLink>, StartLinkError, HttpClient.HttpClient | TokenStore>
  (user: User, options: Options): Effect.Effect<
    Started<PendingLink>,
    StartLinkError,
    HttpClient.HttpClient | TokenStore
  >
} = /* @__PURE__ */ dual(
  2,
  (user: User, options: Options): Effect.Effect<
    Started<PendingLink>,
    StartLinkError,
    HttpClient.HttpClient | TokenStore
  > =>
    Effect.suspend(() => {
      const pending = checked(() => new PendingLink({ ...settingOut(Subject.user(user), options), userId: user.id }))
      const { provider, redirectUri: redirect, state } = pending
      return aroundStartLink(
        Effect.map(
          AccessToken.authorized(user, (session) =>
            settingOutByRequest(askLocation[provider]({
              baseUrl: user.baseUrl,
              params: { appId: user.appId },
              bearer: session.tokens.accessToken,
              query: { redirect, state, link: "true", providerRedirectHeader: "true" }
            }))),
          (url) => ({ url, pending })
        ),
        { endpoint: endpoints[provider], appId: user.appId }
      )
    })
)

// -----------------------------------------------------------------------------
// Coming back
// -----------------------------------------------------------------------------

const decodeFields = Schema.decodeUnknownOption(Endpoint.Redirected)

const refused = (reason: RedirectError["reason"]): Result.Result<never, RedirectError> =>
  Result.fail(new RedirectError({ reason }))

const invalid = (detail: string) => refused({ _tag: "Invalid", detail })

/** What the server said, with the status that its code has elsewhere: the page got it by a redirection. */
const refusalOf = (message: string | undefined, code: string | undefined): Option.Option<LogIn.Refusal> =>
  Option.map(
    RealmError.fromWire(RealmError.table.get(code ?? "")?.status ?? 302, { error: message, error_code: code }),
    // The errors that the endpoint declares are those of a log-in.
    (error) => RealmError.narrow(error, Endpoint.redirectBack.error) as LogIn.Refusal
  )

const read = (location: string, pending: Pending): Result.Result<Returned, ParseError> => {
  const fragment = location.slice(location.indexOf("#") + 1)
  const decoded = decodeFields(Object.fromEntries(new URLSearchParams(fragment)))
  if (Option.isNone(decoded)) return refused({ _tag: "NotRedirected" })
  const { appId, error, errorCode, link, state, userAuth } = decoded.value
  // Before anything else: what comes with a state that is not ours is a stranger's, its words too.
  if (state !== pending.state || appId !== pending.appId) return refused({ _tag: "OtherState" })
  if (error !== undefined || errorCode !== undefined) {
    return Option.match(refusalOf(error, errorCode), { onNone: () => invalid("an empty refusal"), onSome: Result.fail })
  }
  const [accessToken, refreshToken, userId, deviceId, ...rest] = Redacted.value(userAuth ?? Redacted.make("")).split(
    "$"
  )
  if (!accessToken || refreshToken === undefined || !userId || deviceId === undefined || rest.length > 0) {
    return invalid("the tokens are not whole")
  }
  const isLink = pending._tag === "PendingLink"
  if (isLink !== (link !== undefined)) return invalid("one of a link and a log-in was started, and the other came back")
  const returned = {
    appId,
    provider: pending.provider,
    userId,
    deviceId,
    accessToken: Redacted.make(accessToken)
  }
  if (!isLink) {
    return refreshToken === ""
      ? invalid("the tokens are not whole")
      : Result.succeed(new ReturnedLogIn({ ...returned, refreshToken: Redacted.make(refreshToken) }))
  }
  return pending.userId === userId ? Result.succeed(new ReturnedLink(returned)) : invalid("it is of another user")
}

/**
 * Reads what a page finds behind the `#` of its address (`Realm.handleAuthRedirect` of realm-web). Take it out of the
 * address bar at once (`history.replaceState`): there are tokens in it.
 *
 * Fails with `RedirectError` when the page was opened by other means, when the answer is that of another log-in, and when it
 * makes no sense; with `AuthError` and the others of `App.logIn` when the provider or the server refused. A code that is
 * not known is an `UnknownServiceError`.
 *
 * @param location the address, `location.href`, or its part from the `#`, `location.hash`
 * @param pending what {@link start} or {@link startLink} gave
 *
 * ```ts
 * import { OAuth } from "@effect-realm/client"
 * import { Effect } from "effect"
 *
 * const pending = new OAuth.PendingLogIn({
 *   appId: "shop-abcde",
 *   provider: "google",
 *   redirectUri: "https://shop.example/signed-in",
 *   state: "abc"
 * })
 * const parse = OAuth.parse("https://shop.example/signed-in#_baas_state=xyz&_baas_client_app_id=shop-abcde", pending)
 * const error = await Effect.runPromise(Effect.flip(parse))
 * error._tag === "RedirectError" && error.reason._tag // => "OtherState"
 * ```
 */
export const parse: {
  <P extends Pending>(pending: P): (location: string) => Effect.Effect<Returned<P>, ParseError>
  <P extends Pending>(location: string, pending: P): Effect.Effect<Returned<P>, ParseError>
} = /* @__PURE__ */ dual(
  2,
  (location: string, pending: Pending): Effect.Effect<Returned, ParseError> =>
    Effect.suspend(() => {
      if (typeof location !== "string") throw new TypeError("location: expected a text, such as location.href")
      expectObject("pending", pending, "OAuth.start or OAuth.startLink")
      return Effect.fromResult(read(location, pending))
    })
)

const aroundLogIn = Operation.make("OAuth.logIn")

/**
 * Logs in with what came back and makes the user current, as `App.logIn` does: either everything happened, token, profile
 * and record, or nothing did.
 *
 * The log-in begins when this is run. Who was logged out while away at the provider's is logged in by it, as by any log-in
 * that comes after a log-out; a log-out that settles while it is under way wins, and it fails with `NotLoggedInError`.
 *
 * Fails with `RedirectError`, reason `Invalid`, for what came back for another app.
 *
 * ```ts
 * import { App, OAuth } from "@effect-realm/client"
 * import { Effect } from "effect"
 *
 * // What a page runs that the browser has come back to. What comes back is an `OAuth.ReturnedLogIn`.
 * const signedIn = (app: App.App, pending: OAuth.PendingLogIn, location: string) =>
 *   Effect.flatMap(OAuth.parse(location, pending), (returned) => OAuth.logIn(app, returned))
 * signedIn.length // => 3
 * ```
 */
export const logIn: {
  (returned: ReturnedLogIn): (app: App) => Effect.Effect<User, LogInError, HttpClient.HttpClient | TokenStore>
  (app: App, returned: ReturnedLogIn): Effect.Effect<User, LogInError, HttpClient.HttpClient | TokenStore>
} = /* @__PURE__ */ dual(
  2,
  (app: App, returned: ReturnedLogIn): Effect.Effect<User, LogInError, HttpClient.HttpClient | TokenStore> =>
    aroundLogIn(
      Effect.gen(function*() {
        expectObject("returned", returned, "OAuth.parse")
        if (returned.appId !== app.id) return yield* Effect.fromResult(invalid("it is of another app"))
        const since = yield* TokenStore.use((store) => store.arrival(app.id))
        const id = yield* NewSession.open(app, {
          endpoint: Endpoint.redirectBack,
          providerType: `oauth2-${returned.provider}`,
          since,
          committed: () => {}
        }, Effect.succeed(returned))
        return new User({ appId: app.id, baseUrl: app.baseUrl, id })
      }),
      { endpoint: Endpoint.profile, appId: Subject.app(app) }
    )
)

const aroundLink = Operation.make("OAuth.link")

const sessionId = (accessToken: Redacted.Redacted): string | undefined =>
  Result.getOrUndefined(Token.read(accessToken))?.sessionId

/**
 * Ends a link with what came back, as `User.linkCredentials` does: the user has the identity, the new profile, and the
 * access token that came along, unless there has been a new log-in since. A user who has logged out meanwhile stays so:
 * then it fails with `NotLoggedInError`.
 *
 * Fails with `RedirectError`, reason `Invalid`, for what came back for another user.
 *
 * ```ts
 * import { OAuth, User } from "@effect-realm/client"
 * import { Effect } from "effect"
 *
 * // What a page runs that the browser has come back to.
 * const linked = Effect.fn(function*(user: User.User, returned: OAuth.ReturnedLink) {
 *   yield* OAuth.link(user, returned)
 *   return yield* User.identities(user)
 * })
 * typeof linked // => "function"
 * ```
 */
export const link: {
  (returned: ReturnedLink): (user: User) => Effect.Effect<void, LinkError, HttpClient.HttpClient | TokenStore>
  (user: User, returned: ReturnedLink): Effect.Effect<void, LinkError, HttpClient.HttpClient | TokenStore>
} = /* @__PURE__ */ dual(
  2,
  (user: User, returned: ReturnedLink): Effect.Effect<void, LinkError, HttpClient.HttpClient | TokenStore> =>
    aroundLink(
      Effect.gen(function*() {
        expectObject("returned", returned, "OAuth.parse")
        const { accessToken, appId, userId } = returned
        if (appId !== user.appId || userId !== user.id) {
          return yield* Effect.fromResult(invalid("it is of another user"))
        }
        const asked = yield* Sessions.loggedIn(user)
        // The user may have logged in anew since the link set out.
        const isOwn = sessionId(accessToken) === sessionId(asked.tokens.accessToken)
        yield* Linking.adopt(user, asked, { accessToken }, Endpoint.redirectBack, isOwn)
      }),
      { endpoint: Endpoint.profile, appId: Subject.user(user) }
    )
)
