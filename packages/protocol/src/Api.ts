/**
 * The client HTTP API v2.0 as one value: what a server implements, what a client speaks and what `openapi.json` is
 * generated from. The description of each endpoint says which token it takes, whether it may be sent again, and what a
 * caller can rely on.
 */
import * as Context from "effect/Context"
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import * as HttpApiSecurity from "effect/http-api/HttpApiSecurity"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Endpoint from "./Endpoint.ts"
import * as RealmError from "./RealmError.ts"

/**
 * The user, session and device on whose behalf a request is made, as the server found them behind the token.
 *
 * ```ts
 * import { Api } from "@effect-realm/protocol"
 * import { Effect } from "effect"
 *
 * const whoami = Effect.map(Api.Caller, (caller) => caller.userId)
 * const caller = { userId: "u1", sessionId: "s1", deviceId: "d1" }
 * await Effect.runPromise(Effect.provideService(whoami, Api.Caller, caller)) // => "u1"
 * ```
 */
export class Caller extends Context.Service<Caller, {
  readonly userId: string
  readonly sessionId: string
  readonly deviceId: string
}>()("@effect-realm/protocol/Api/Caller") {}

const bearer = HttpApiSecurity.bearer

/**
 * Requires an access token in `Authorization: Bearer …` (protocol section 4.1); a streaming call may carry it in its query
 * instead (protocol section 8.4).
 *
 * ```ts
 * import { Api } from "@effect-realm/protocol"
 * import { Effect, Layer } from "effect"
 *
 * // Whoever comes, it is always the same user.
 * const layer = Layer.succeed(Api.AccessAuthorization, {
 *   accessToken: (handler) => Effect.provideService(handler, Api.Caller, { userId: "u1", sessionId: "s1", deviceId: "d1" })
 * })
 * Layer.isLayer(layer) // => true
 * ```
 */
export class AccessAuthorization extends HttpApiMiddleware.Service<AccessAuthorization, { provides: Caller }>()(
  "@effect-realm/protocol/Api/AccessAuthorization",
  { security: { accessToken: bearer }, error: RealmError.responses(["SessionError"]) }
) {}

/**
 * Requires a refresh token in `Authorization: Bearer …` (protocol section 4.2).
 *
 * ```ts
 * import { Api } from "@effect-realm/protocol"
 * import { Effect, Layer } from "effect"
 *
 * // Whoever comes, it is always the same user.
 * const layer = Layer.succeed(Api.RefreshAuthorization, {
 *   refreshToken: (handler) => Effect.provideService(handler, Api.Caller, { userId: "u1", sessionId: "s1", deviceId: "d1" })
 * })
 * Layer.isLayer(layer) // => true
 * ```
 */
export class RefreshAuthorization extends HttpApiMiddleware.Service<RefreshAuthorization, { provides: Caller }>()(
  "@effect-realm/protocol/Api/RefreshAuthorization",
  { security: { refreshToken: bearer }, error: RealmError.responses(["SessionError"]) }
) {}

const describe = <A>(title: string, description: string): Context.Context<A> =>
  OpenApi.annotations({ title, description }) as Context.Context<A>

/**
 * Where the app is.
 *
 * ```ts
 * import { Api } from "@effect-realm/protocol"
 * import { HttpApi } from "effect/http-api"
 *
 * // A part of the protocol is an API, too.
 * const PublicApi = HttpApi.make("public").add(Api.Apps, Api.LogIn, Api.EmailPassword)
 * Object.keys(PublicApi.groups) // => ["apps", "logIn", "emailPassword"]
 * ```
 */
export class Apps extends HttpApiGroup.make("apps").add(
  Endpoint.location.annotateMerge(describe(
    "Location",
    "No token. A read: may be sent again. Answers the origins that later calls should go to; this server answers its own."
  ))
) {}

/** Log in and link. */
export class LogIn extends HttpApiGroup.make("logIn").add(
  Endpoint.logInAnonymous.annotateMerge(describe(
    "Log in anonymously",
    "No token, or the access token of the user to extend with `link=true`. Every log-in makes a new user, so it is never sent again on its own."
  )),
  Endpoint.logInEmailPassword.annotateMerge(describe(
    "Log in with email and password",
    "No token, or the access token of the user to extend with `link=true`. Opens a session; not sent again on its own."
  )),
  Endpoint.logInFunction.annotateMerge(describe(
    "Log in by function",
    "No token, or the access token of the user to extend with `link=true`. Runs the app's authentication function once; not sent again on its own."
  )),
  Endpoint.logInApiKey.annotateMerge(describe(
    "Log in with an API key",
    "No token, or the access token of the user to extend with `link=true`. Opens a session of the key's owner, or of the user that a server key has for itself; not sent again on its own. A key that is disabled, deleted or unknown answers 401 `AuthError`."
  )),
  Endpoint.logInJwt.annotateMerge(describe(
    "Log in with a JSON Web Token",
    "No token, or the access token of the user to extend with `link=true`. Opens a session; not sent again on its own. A token that is not signed by a key of the app's, not for the app, or not of this time answers 401 `AuthError`."
  )),
  Endpoint.logInGoogle.annotateMerge(describe(
    "Log in with Google",
    "No token, or the access token of the user to extend with `link=true`. The server asks Google: 503 when Google cannot be asked, 401 `AuthError` when it does not vouch for the user, 403 `DomainNotAllowed` when the app does not let the user's domain in. An authorization code works once, so it is never sent again on its own."
  )),
  Endpoint.logInFacebook.annotateMerge(describe(
    "Log in with Facebook",
    "No token, or the access token of the user to extend with `link=true`. The server asks Facebook, with the answers of a log-in with Google. Opens a session; not sent again on its own."
  )),
  Endpoint.logInApple.annotateMerge(describe(
    "Log in with Apple",
    "No token, or the access token of the user to extend with `link=true`. The server asks Apple for its keys, with the answers of a log-in with Google. Opens a session; not sent again on its own."
  ))
) {}

/**
 * Log in and link by way of a provider's own page, for browsers (protocol section 3.7).
 *
 * ```ts
 * import { Api } from "@effect-realm/protocol"
 *
 * Object.keys(Api.Redirects.endpoints).at(-1) // => "redirectBack"
 * ```
 */
export class Redirects extends HttpApiGroup.make("redirects").add(
  Endpoint.redirectToGoogle.annotateMerge(describe(
    "Go to Google",
    "No token, or the access token of the user to extend with `link=true`: then the address to go on to is in the header `x-baas-location`. Sets a cookie that the callback asks for. A page that is not among the provider's `redirect_uris` answers 400 `InvalidRedirectURI`."
  )),
  Endpoint.redirectToFacebook.annotateMerge(
    describe("Go to Facebook", "No token, or the access token of the user to extend with `link=true`, as for Google.")
  ),
  Endpoint.redirectToApple.annotateMerge(
    describe("Go to Apple", "No token, or the access token of the user to extend with `link=true`, as for Google.")
  ),
  Endpoint.redirectBack.annotateMerge(describe(
    "Come back",
    "No token; the cookie of the browser that set out. Works once and for ten minutes. Sends the browser on to its page, with what became of the log-in behind the `#`. Apple posts a form to the same address."
  ))
) {}

/**
 * The session of a refresh token.
 *
 * ```ts
 * import { Api } from "@effect-realm/protocol"
 *
 * const ofTokens = [Api.Sessions, Api.Users, Api.ApiKeys, Api.Push, Api.Functions]
 * ofTokens.map((group) => group.identifier) // => ["sessions", "users", "apiKeys", "push", "functions"]
 * ```
 */
export class Sessions extends HttpApiGroup.make("sessions").add(
  Endpoint.refreshSession.annotateMerge(describe(
    "Refresh",
    "Refresh token. Idempotent: the refresh token stays valid and unchanged. Reads the custom user data anew."
  )),
  Endpoint.deleteSession.annotateMerge(describe(
    "Log out",
    "Refresh token. Ends this session and no other. Sent twice, the second answer is 401 `InvalidSession`, which means done."
  ))
).middleware(RefreshAuthorization) {}

/** The user of an access token. */
export class Users extends HttpApiGroup.make("users").add(
  Endpoint.profile.annotateMerge(describe("Profile", "Access token. A read: may be sent again.")),
  Endpoint.deleteUser.annotateMerge(describe(
    "Delete user",
    "Access token. Deletes the token's own user with all sessions and identities. Sent twice, the second answer is 401."
  ))
).middleware(AccessAuthorization) {}

/** Email and password accounts. */
export class EmailPassword extends HttpApiGroup.make("emailPassword").add(
  Endpoint.register.annotateMerge(describe(
    "Register",
    "No token. Not sent again on its own: a second registration of the address answers 409 `AccountNameInUse`."
  )),
  Endpoint.confirm.annotateMerge(describe("Confirm", "No token. The link's token works once.")),
  Endpoint.sendConfirmation.annotateMerge(
    describe("Send confirmation mail", "No token. Sends one more mail each time.")
  ),
  Endpoint.callConfirmation.annotateMerge(
    describe("Run confirmation function", "No token. Runs the app's confirmation function once each time.")
  ),
  Endpoint.sendReset.annotateMerge(describe("Send reset mail", "No token. Sends one more mail each time.")),
  Endpoint.reset.annotateMerge(describe("Reset password", "No token. The link's token works once.")),
  Endpoint.callReset.annotateMerge(
    describe("Run reset function", "No token. Runs the app's reset function once each time.")
  )
) {}

/** The API keys of a user. */
export class ApiKeys extends HttpApiGroup.make("apiKeys").add(
  Endpoint.createApiKey.annotateMerge(describe(
    "Create API key",
    "Refresh token, of a session that no API key has opened, of a user who is not anonymous. Answers the secret this once. Not sent again on its own: a second key of this name answers 409 `APIKeyAlreadyExists`. A user has at most 20."
  )),
  Endpoint.fetchApiKeys.annotateMerge(describe(
    "List API keys",
    "Refresh token, of a session that no API key has opened. A read: may be sent again. Without secrets, in the order they were made."
  )),
  Endpoint.fetchApiKey.annotateMerge(describe(
    "API key",
    "Refresh token, of a session that no API key has opened. A read: may be sent again. Another user's key is 404 `APIKeyNotFound`, as one that does not exist."
  )),
  Endpoint.deleteApiKey.annotateMerge(describe(
    "Delete API key",
    "Refresh token, of a session that no API key has opened. Ends the sessions that the key has opened. Sent twice, the second answer is 404 `APIKeyNotFound`, which means done."
  )),
  Endpoint.enableApiKey.annotateMerge(describe(
    "Enable API key",
    "Refresh token, of a session that no API key has opened. Idempotent: an enabled key stays enabled."
  )),
  Endpoint.disableApiKey.annotateMerge(describe(
    "Disable API key",
    "Refresh token, of a session that no API key has opened. Idempotent: a disabled key stays disabled. Ends the sessions that the key has opened."
  ))
).middleware(RefreshAuthorization) {}

/** The registrations of devices for push messages. */
export class Push extends HttpApiGroup.make("push").add(
  Endpoint.registerPush.annotateMerge(describe(
    "Register device",
    "Access token. Idempotent: the device has one registration for a service, and a new one takes its place. A token belongs to the user who registered it last. A service that the app does not have answers 404 `ServiceNotFound`."
  )),
  Endpoint.deregisterPush.annotateMerge(describe(
    "Deregister device",
    "Access token. Idempotent: a device that is not registered stays so. A service that the app does not have answers 404 `ServiceNotFound`."
  ))
).middleware(AccessAuthorization) {}

/** The app's functions. */
export class Functions extends HttpApiGroup.make("functions").add(
  Endpoint.callFunction.annotateMerge(describe(
    "Call function",
    "Access token. A write unless the app knows better: sent once, and again only after a 401 that proves it did not run."
  )),
  Endpoint.streamFunction.annotateMerge(describe(
    "Call function, streaming",
    "Access token, in the `Authorization` header or, of clients that cannot set one, in `baas_at` or `stitch_at`. Answers server-sent events until the function is done, which an event `end` says, or fails, which an event `error` says. A client that goes away ends the function."
  ))
).middleware(AccessAuthorization) {}

/**
 * The client HTTP API v2.0.
 *
 * ```ts
 * import { Api } from "@effect-realm/protocol"
 * import { OpenApi } from "effect/http-api"
 *
 * const { info } = OpenApi.fromApi(Api.Api)
 * info.version // => "2.0"
 * ```
 */
export class Api extends HttpApi.make("effect-realm")
  .add(Apps, LogIn, Redirects, Sessions, Users, EmailPassword, ApiKeys, Push, Functions)
  .annotateMerge(OpenApi.annotations({
    title: "App Services client API",
    version: "2.0",
    description: "The HTTP API between Realm clients and an App Services server."
  }))
{}
