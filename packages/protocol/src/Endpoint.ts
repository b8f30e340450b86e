/**
 * The endpoints of the client API, one value each: method, path, what goes in, what comes back, how it can fail
 * (protocol sections 1 to 8). {@link Api} gathers them for a server; a client sends them one at a time. Wire names stop
 * here: payloads and answers are in our own spelling.
 */
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
import * as RealmError from "./RealmError.ts"
import { Token } from "./Token.ts"

const base = "/api/client/v2.0"
const app = `${base}/app/:appId`

// The schemas below encode to JSON by themselves, so the codecs that `HttpApi` would derive are switched off.
const disableCodecs = true

const AppParams = { appId: Schema.NonEmptyString }

const Secret = Schema.RedactedFromValue(Schema.String)

/** A value in Extended JSON, passed on as it is: the module `Ejson` reads and writes it. */
const ExtendedJson = Schema.Unknown.annotate({ identifier: "ExtendedJson" })

// -----------------------------------------------------------------------------
// Location
// -----------------------------------------------------------------------------

/** Where an app is served (protocol section 1.2). */
export const Location = Schema.Struct({
  deploymentModel: Schema.Literals(["GLOBAL", "LOCAL"]),
  location: Schema.String,
  /** Origin of all later HTTP calls. */
  hostname: Schema.NonEmptyString,
  /** Origin of the websocket that Device Sync used; clients of realm-core refuse an answer without it. */
  wsHostname: Schema.String
}).pipe(Schema.encodeKeys({ deploymentModel: "deployment_model", wsHostname: "ws_hostname" }))

/** `GET /location` (protocol section 1.2). */
export const location = HttpApiEndpoint.get("location", `${app}/location`, {
  disableCodecs,
  params: AppParams,
  success: Location,
  error: RealmError.responses([])
})

// -----------------------------------------------------------------------------
// Log-in
// -----------------------------------------------------------------------------

const DeviceId: Schema.Codec<string, string | { readonly $oid: string }> = Schema.Union([
  Schema.String,
  Schema.Struct({ $oid: Schema.String })
]).pipe(
  Schema.decodeTo(
    Schema.String,
    SchemaTransformation.transform<string, string | { readonly $oid: string }>({
      decode: (wire) => typeof wire === "string" ? wire : wire.$oid,
      encode: (id) => ({ $oid: id })
    })
  )
)

/** What a client says of the device it runs on (protocol section 1.6); a server accepts any part of it. */
export const Device = Schema.Struct({
  platform: Schema.optionalKey(Schema.String),
  platformVersion: Schema.optionalKey(Schema.String),
  sdkVersion: Schema.optionalKey(Schema.String),
  appId: Schema.optionalKey(Schema.String),
  appVersion: Schema.optionalKey(Schema.String),
  /** The id that the server gave to this device at its first log-in. */
  deviceId: Schema.optionalKey(DeviceId)
})

/** What a client sends along with any credentials. */
export const LogInOptions = Schema.Struct({ device: Schema.optionalKey(Device) })

const options = Schema.optionalKey(LogInOptions)

/** `link=true`: add the identity to the user whose access token the request carries (protocol section 3.5). */
const LogInQuery = { link: Schema.optionalKey(Schema.Literals(["true", "false"])) }

/** A new session; a link answers without refresh token (protocol sections 3.1, 3.5). */
export const LoggedIn = Schema.Struct({
  accessToken: Token,
  refreshToken: Schema.optionalKey(Schema.NullOr(Token)),
  userId: Schema.NonEmptyString,
  deviceId: Schema.String
}).pipe(
  Schema.encodeKeys({
    accessToken: "access_token",
    refreshToken: "refresh_token",
    userId: "user_id",
    deviceId: "device_id"
  })
)

const logInErrors = RealmError.responses(["AuthError", "SessionError", "FunctionError"])

const providers = `${app}/auth/providers`

/** The body of an anonymous log-in; a server also takes a request without a body. */
export const AnonymousCredentials = Schema.Struct({ options })

/** Log in, or link, without credentials: every log-in makes a new user (protocol section 3.2, `anon-user`). */
export const logInAnonymous = HttpApiEndpoint.post("logInAnonymous", `${providers}/anon-user/login`, {
  disableCodecs,
  params: AppParams,
  query: LogInQuery,
  payload: AnonymousCredentials,
  success: LoggedIn,
  error: logInErrors
})

/** Log in, or link, with email and password (protocol section 3.2, `local-userpass`). */
export const logInEmailPassword = HttpApiEndpoint.post("logInEmailPassword", `${providers}/local-userpass/login`, {
  disableCodecs,
  params: AppParams,
  query: LogInQuery,
  payload: Schema.Struct({ email: Schema.String, password: Secret, options }).pipe(
    Schema.encodeKeys({ email: "username" })
  ),
  success: LoggedIn,
  error: logInErrors
})

/** Log in, or link, by the app's own function, whose argument is the body (protocol section 3.2, `custom-function`). */
export const logInFunction = HttpApiEndpoint.post("logInFunction", `${providers}/custom-function/login`, {
  disableCodecs,
  params: AppParams,
  query: LogInQuery,
  payload: Schema.Record(Schema.String, ExtendedJson),
  success: LoggedIn,
  error: logInErrors
})

/** Log in, or link, with an API key (protocol section 3.2, `api-key`). */
export const logInApiKey = HttpApiEndpoint.post("logInApiKey", `${providers}/api-key/login`, {
  disableCodecs,
  params: AppParams,
  query: LogInQuery,
  payload: Schema.Struct({ key: Secret, options }),
  success: LoggedIn,
  error: logInErrors
})

/** Log in, or link, with a JSON Web Token of the app's own issuer (protocol section 3.2, `custom-token`). */
export const logInJwt = HttpApiEndpoint.post("logInJwt", `${providers}/custom-token/login`, {
  disableCodecs,
  params: AppParams,
  query: LogInQuery,
  payload: Schema.Struct({ token: Secret, options }),
  success: LoggedIn,
  error: logInErrors
})

/** Log in, or link, with an id token or an authorization code of Google (protocol section 3.2, `oauth2-google`). */
export const logInGoogle = HttpApiEndpoint.post("logInGoogle", `${providers}/oauth2-google/login`, {
  disableCodecs,
  params: AppParams,
  query: LogInQuery,
  payload: Schema.Union([
    Schema.Struct({ idToken: Secret, options }).pipe(Schema.encodeKeys({ idToken: "id_token" })),
    Schema.Struct({ authCode: Secret, options })
  ]),
  success: LoggedIn,
  error: logInErrors
})

/** Log in, or link, with an access token of Facebook (protocol section 3.2, `oauth2-facebook`). */
export const logInFacebook = HttpApiEndpoint.post("logInFacebook", `${providers}/oauth2-facebook/login`, {
  disableCodecs,
  params: AppParams,
  query: LogInQuery,
  payload: Schema.Struct({ accessToken: Secret, options }),
  success: LoggedIn,
  error: logInErrors
})

/** Log in, or link, with an id token of Apple (protocol section 3.2, `oauth2-apple`). */
export const logInApple = HttpApiEndpoint.post("logInApple", `${providers}/oauth2-apple/login`, {
  disableCodecs,
  params: AppParams,
  query: LogInQuery,
  payload: Schema.Struct({ idToken: Secret, options }).pipe(Schema.encodeKeys({ idToken: "id_token" })),
  success: LoggedIn,
  error: logInErrors
})

// -----------------------------------------------------------------------------
// Log-in by redirection
// -----------------------------------------------------------------------------

const RedirectQuery = {
  /** The page to come back to: one of the provider's `redirect_uris`, exactly. */
  redirect: Schema.String,
  /** What the client knows the log-in by; the page gets it back. */
  state: Schema.String,
  /** What a client says of its device, as JSON in base64. */
  device: Schema.optionalKey(Schema.String),
  ...LogInQuery,
  /** The address to go on to is wanted in the header `x-baas-location` (protocol section 3.7), as with `link=true`. */
  providerRedirectHeader: Schema.optionalKey(Schema.Literals(["true", "false"]))
}

/** The header with the address to go on to, where a browser is not sent there at once (protocol section 3.7). */
export const redirectHeader = "x-baas-location"

const redirected = [HttpApiSchema.Empty(302), HttpApiSchema.Empty(200)]

/** Send a browser to Google, to log in or to link (protocol section 3.7). */
export const redirectToGoogle = HttpApiEndpoint.get("redirectToGoogle", `${providers}/oauth2-google/login`, {
  disableCodecs,
  params: AppParams,
  query: RedirectQuery,
  success: redirected,
  error: logInErrors
})

/** Send a browser to Facebook, to log in or to link (protocol section 3.7). */
export const redirectToFacebook = HttpApiEndpoint.get("redirectToFacebook", `${providers}/oauth2-facebook/login`, {
  disableCodecs,
  params: AppParams,
  query: RedirectQuery,
  success: redirected,
  error: logInErrors
})

/** Send a browser to Apple, to log in or to link (protocol section 3.7). */
export const redirectToApple = HttpApiEndpoint.get("redirectToApple", `${providers}/oauth2-apple/login`, {
  disableCodecs,
  params: AppParams,
  query: RedirectQuery,
  success: redirected,
  error: logInErrors
})

/** Where providers send browsers back to, who are sent on to the page they began at (protocol section 3.7). */
export const redirectBack = HttpApiEndpoint.get("redirectBack", `${base}/auth/callback`, {
  disableCodecs,
  query: {
    state: Schema.optionalKey(Schema.String),
    code: Schema.optionalKey(Schema.String),
    error: Schema.optionalKey(Schema.String)
  },
  success: HttpApiSchema.Empty(302),
  error: logInErrors
})

/**
 * What a page finds behind the `#` of its address when a log-in has come back to it (protocol section 3.7). Either
 * `userAuth` or `error` is there.
 */
export const Redirected = Schema.Struct({
  state: Schema.String,
  appId: Schema.String,
  /** Access token, refresh token, user id and device id with `$` between them; a link has no refresh token. */
  userAuth: Schema.optionalKey(Secret),
  /** `ok` when an identity was linked. */
  link: Schema.optionalKey(Schema.String),
  /** Why nobody was logged in, for people. */
  error: Schema.optionalKey(Schema.String),
  /** The code of that refusal. Servers of old did not send it. */
  errorCode: Schema.optionalKey(Schema.String)
}).pipe(
  Schema.encodeKeys({
    state: "_baas_state",
    appId: "_baas_client_app_id",
    userAuth: "_baas_ua",
    link: "_baas_link",
    error: "_baas_error",
    errorCode: "_baas_error_code"
  })
)

// -----------------------------------------------------------------------------
// Session and user
// -----------------------------------------------------------------------------

const sessionErrors = RealmError.responses(["SessionError"])

/** Exchange the refresh token for a new access token (protocol section 5.1). */
export const refreshSession = HttpApiEndpoint.post("refreshSession", `${base}/auth/session`, {
  disableCodecs,
  success: Schema.Struct({ accessToken: Token }).pipe(
    Schema.encodeKeys({ accessToken: "access_token" }),
    HttpApiSchema.status(201)
  ),
  error: sessionErrors
})

/** End the session of the refresh token (protocol section 5.2). */
export const deleteSession = HttpApiEndpoint.delete("deleteSession", `${base}/auth/session`, {
  disableCodecs,
  success: HttpApiSchema.NoContent,
  error: sessionErrors
})

/** One way in which a user can prove who they are. */
export const Identity = Schema.Struct({
  id: Schema.String,
  providerType: Schema.String,
  providerId: Schema.optionalKey(Schema.String)
}).pipe(Schema.encodeKeys({ providerType: "provider_type", providerId: "provider_id" }))

/** Who a user is (protocol section 5.3). `data` may hold Extended JSON. */
export const Profile = Schema.Struct({
  userId: Schema.optionalKey(Schema.String),
  domainId: Schema.optionalKey(Schema.String),
  type: Schema.optionalKey(Schema.String),
  identities: Schema.Array(Identity),
  data: Schema.Record(Schema.String, Schema.Json)
}).pipe(Schema.encodeKeys({ userId: "user_id", domainId: "domain_id" }))

/** The user of the access token (protocol section 5.3). */
export const profile = HttpApiEndpoint.get("profile", `${base}/auth/profile`, {
  disableCodecs,
  success: Profile,
  error: sessionErrors
})

/** Delete the user of the access token with all sessions and identities (protocol section 5.4). */
export const deleteUser = HttpApiEndpoint.delete("deleteUser", `${base}/auth/delete`, {
  disableCodecs,
  success: HttpApiSchema.NoContent,
  error: sessionErrors
})

// -----------------------------------------------------------------------------
// Email and password
// -----------------------------------------------------------------------------

const emailPassword = `${providers}/local-userpass`
const emailPasswordErrors = RealmError.responses(["AuthError", "FunctionError"])
const LinkToken = { token: Secret, tokenId: Schema.String }

/** Register an email address (protocol section 6). */
export const register = HttpApiEndpoint.post("register", `${emailPassword}/register`, {
  disableCodecs,
  params: AppParams,
  payload: Schema.Struct({ email: Schema.String, password: Secret }),
  success: HttpApiSchema.Created,
  error: emailPasswordErrors
})

/** Confirm a registration with the token of the link (protocol section 6). */
export const confirm = HttpApiEndpoint.post("confirm", `${emailPassword}/confirm`, {
  disableCodecs,
  params: AppParams,
  payload: Schema.Struct(LinkToken),
  success: HttpApiSchema.NoContent,
  error: emailPasswordErrors
})

/** Send the confirmation mail once more (protocol section 6). */
export const sendConfirmation = HttpApiEndpoint.post("sendConfirmation", `${emailPassword}/confirm/send`, {
  disableCodecs,
  params: AppParams,
  payload: Schema.Struct({ email: Schema.String }),
  success: HttpApiSchema.NoContent,
  error: emailPasswordErrors
})

/** Run the confirmation function once more (protocol section 6). */
export const callConfirmation = HttpApiEndpoint.post("callConfirmation", `${emailPassword}/confirm/call`, {
  disableCodecs,
  params: AppParams,
  payload: Schema.Struct({ email: Schema.String }),
  success: HttpApiSchema.NoContent,
  error: emailPasswordErrors
})

/** Send a password-reset mail (protocol section 6). */
export const sendReset = HttpApiEndpoint.post("sendReset", `${emailPassword}/reset/send`, {
  disableCodecs,
  params: AppParams,
  payload: Schema.Struct({ email: Schema.String }),
  success: HttpApiSchema.NoContent,
  error: emailPasswordErrors
})

/** Set a new password with the token of the link (protocol section 6). */
export const reset = HttpApiEndpoint.post("reset", `${emailPassword}/reset`, {
  disableCodecs,
  params: AppParams,
  payload: Schema.Struct({ ...LinkToken, password: Secret }),
  success: HttpApiSchema.NoContent,
  error: emailPasswordErrors
})

/** Run the app's reset function (protocol section 6). */
export const callReset = HttpApiEndpoint.post("callReset", `${emailPassword}/reset/call`, {
  disableCodecs,
  params: AppParams,
  payload: Schema.Struct({ email: Schema.String, password: Secret, arguments: Schema.Array(ExtendedJson) }),
  success: HttpApiSchema.NoContent,
  error: emailPasswordErrors
})

// -----------------------------------------------------------------------------
// API keys
// -----------------------------------------------------------------------------

const apiKeys = `${base}/auth/api_keys`
const apiKeyErrors = RealmError.responses(["ApiKeyError", "AuthError", "SessionError"])
const ApiKeyParams = { id: Schema.String }

const apiKeyFields = { id: Schema.NonEmptyString, name: Schema.String, disabled: Schema.Boolean }

/** An API key without its secret, which is shown once (protocol section 7). */
export const ApiKey = Schema.Struct(apiKeyFields).pipe(Schema.encodeKeys({ id: "_id" }))

/** An API key as its maker sees it, once: with the secret. */
export const NewApiKey = Schema.Struct({ ...apiKeyFields, key: Secret }).pipe(Schema.encodeKeys({ id: "_id" }))

/** Make an API key for the user of the refresh token (protocol section 7). */
export const createApiKey = HttpApiEndpoint.post("createApiKey", apiKeys, {
  disableCodecs,
  payload: Schema.Struct({ name: Schema.String }),
  success: NewApiKey.pipe(HttpApiSchema.status(201)),
  error: apiKeyErrors
})

/** The API keys of the user of the refresh token, in the order they were made (protocol section 7). */
export const fetchApiKeys = HttpApiEndpoint.get("fetchApiKeys", apiKeys, {
  disableCodecs,
  success: Schema.Array(ApiKey),
  error: apiKeyErrors
})

/** One API key of the user of the refresh token (protocol section 7). */
export const fetchApiKey = HttpApiEndpoint.get("fetchApiKey", `${apiKeys}/:id`, {
  disableCodecs,
  params: ApiKeyParams,
  success: ApiKey,
  error: apiKeyErrors
})

/** Delete an API key of the user of the refresh token (protocol section 7). */
export const deleteApiKey = HttpApiEndpoint.delete("deleteApiKey", `${apiKeys}/:id`, {
  disableCodecs,
  params: ApiKeyParams,
  success: HttpApiSchema.NoContent,
  error: apiKeyErrors
})

/** Let an API key log in again (protocol section 7). */
export const enableApiKey = HttpApiEndpoint.put("enableApiKey", `${apiKeys}/:id/enable`, {
  disableCodecs,
  params: ApiKeyParams,
  success: HttpApiSchema.NoContent,
  error: apiKeyErrors
})

/** Refuse an API key until it is enabled again (protocol section 7). */
export const disableApiKey = HttpApiEndpoint.put("disableApiKey", `${apiKeys}/:id/disable`, {
  disableCodecs,
  params: ApiKeyParams,
  success: HttpApiSchema.NoContent,
  error: apiKeyErrors
})

// -----------------------------------------------------------------------------
// Push
// -----------------------------------------------------------------------------

// A template or a spread would keep all of this in the bundle of a program that does not use it.
const pushRegistration = "/api/client/v2.0/app/:appId/push/providers/:service/registration"

const PushParams = { appId: Schema.NonEmptyString, service: Schema.NonEmptyString }

const pushErrors = /* @__PURE__ */ RealmError.responses(["SessionError", "ServiceError"])

/** Register the device of the session for push messages of a service (protocol section 10.1). */
export const registerPush = /* @__PURE__ */ HttpApiEndpoint.put("registerPush", pushRegistration, {
  disableCodecs,
  params: PushParams,
  payload: /* @__PURE__ */ Schema.Struct({ registrationToken: Secret }),
  success: HttpApiSchema.NoContent,
  error: pushErrors
})

/** Take the registration of the session's device back (protocol section 10.1). */
export const deregisterPush = /* @__PURE__ */ HttpApiEndpoint.delete("deregisterPush", pushRegistration, {
  disableCodecs,
  params: PushParams,
  success: HttpApiSchema.NoContent,
  error: pushErrors
})

// -----------------------------------------------------------------------------
// Functions
// -----------------------------------------------------------------------------

const functionCalls = `${app}/functions/call` as const

/** What to call (protocol section 8.1); `service` is the data source or third party that the function belongs to. */
export const FunctionCall = Schema.Struct({
  name: Schema.String,
  arguments: Schema.Array(ExtendedJson),
  service: Schema.optionalKey(Schema.String)
})

const callErrors = RealmError.responses(["FunctionError", "SessionError", "ServiceError", "DataError"])

/**
 * Call a function of the app, or one of a named service (protocol section 8.1). Arguments and result are Extended JSON.
 * `ServiceError` and `DataError` are answers to calls that name a service.
 */
export const callFunction = HttpApiEndpoint.post("callFunction", functionCalls, {
  disableCodecs,
  params: AppParams,
  payload: FunctionCall,
  success: ExtendedJson,
  error: callErrors
})

/**
 * A {@link FunctionCall} as it travels in a URL: JSON in Base64 (protocol section 8.4).
 *
 * ```ts
 * import { Endpoint } from "@effect-realm/protocol"
 * import { Schema } from "effect"
 *
 * const text = Schema.encodeSync(Endpoint.FunctionCallText)({ name: "watch", service: "mongodb-atlas", arguments: [] })
 * text.slice(0, 12) // => "eyJuYW1lIjoi"
 * ```
 */
export const FunctionCallText = /* @__PURE__ */ Schema.StringFromBase64.pipe(
  /* @__PURE__ */ Schema.decodeTo(/* @__PURE__ */ Schema.fromJsonString(FunctionCall))
)

/** The parameters in which a client without `Authorization` header sends its access token, the present name first. */
export const tokenParameters = ["baas_at", "stitch_at"] as const

/** The parameters whose values nobody but the server should see: tokens, the arguments of a call, what a provider sends back. */
export const hiddenParameters: ReadonlyArray<string> = [
  "baas_at",
  "stitch_at",
  "baas_request",
  "stitch_request",
  "state",
  "code"
]

/** The query of a streaming call: each parameter, and the name that Stitch gave it. */
const StreamQuery = {
  baas_request: /* @__PURE__ */ Schema.optionalKey(Secret),
  stitch_request: /* @__PURE__ */ Schema.optionalKey(Secret),
  baas_at: /* @__PURE__ */ Schema.optionalKey(Secret),
  stitch_at: /* @__PURE__ */ Schema.optionalKey(Secret)
}

const encodeCall = /* @__PURE__ */ Schema.encodeSync(FunctionCallText)
const decodeCall = /* @__PURE__ */ Schema.decodeOption(FunctionCallText)

/**
 * The query that asks for a streaming call. It is `Redacted`, because a URL is shown in more places than a body.
 *
 * ```ts
 * import { Endpoint } from "@effect-realm/protocol"
 *
 * const query = Endpoint.streamQuery({ name: "ticks", arguments: [] })
 * String(query.baas_request) // => "<redacted>"
 * ```
 */
export const streamQuery = (
  call: typeof FunctionCall.Type
): { readonly baas_request: Redacted.Redacted } => ({ baas_request: Redacted.make(encodeCall(call)) })

/**
 * The call that a query asks for; `None` when there is none, or none that can be read.
 *
 * ```ts
 * import { Endpoint } from "@effect-realm/protocol"
 * import { Option } from "effect"
 *
 * const call = { name: "ticks", arguments: [] }
 * Endpoint.streamCall(Endpoint.streamQuery(call)) // => Option.some(call)
 * Endpoint.streamCall({}) // => Option.none()
 * ```
 */
export const streamCall = (
  query: { readonly baas_request?: Redacted.Redacted; readonly stitch_request?: Redacted.Redacted }
): Option.Option<typeof FunctionCall.Type> =>
  Option.flatMap(
    Option.fromUndefinedOr(query.baas_request ?? query.stitch_request),
    (text) => decodeCall(Redacted.value(text))
  )

/**
 * Call a function whose result is a stream of events, see `StreamEvent` (protocol section 8.4). A refusal before the stream
 * begins is an ordinary one; later it is an event.
 */
export const streamFunction = /* @__PURE__ */ HttpApiEndpoint.get("streamFunction", functionCalls, {
  disableCodecs,
  params: AppParams,
  query: StreamQuery,
  success: /* @__PURE__ */ HttpApiSchema.StreamUint8Array({ contentType: "text/event-stream" }),
  error: callErrors
})
