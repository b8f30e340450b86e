/**
 * Registration, confirmation and password reset of email/password users (`Realm.Auth.EmailPasswordAuth`, protocol section
 * 6). None of these logs anybody in, needs a user, or carries a token; each is sent once.
 */
import * as Ejson from "@effect-realm/protocol/Ejson"
import * as Endpoint from "@effect-realm/protocol/Endpoint"
import type * as RealmError from "@effect-realm/protocol/RealmError"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import type * as HttpClient from "effect/http/HttpClient"
import * as Result from "effect/Result"
import type { App } from "./App.ts"
import type { ServerFailure } from "./ClientError.ts"
import { given } from "./internal/checked.ts"
import * as Operation from "./internal/requests/operation.ts"
import type * as Request from "./internal/requests/request.ts"
import * as Transport from "./internal/requests/transport.ts"
import { redacted, type Secret } from "./internal/secret.ts"
import * as Subject from "./internal/subject.ts"

// -----------------------------------------------------------------------------
// Model
// -----------------------------------------------------------------------------

export type { Secret } from "./internal/secret.ts"

/** The two halves of the link in a mail. */
export interface LinkToken {
  readonly token: Secret
  readonly tokenId: string
}

/** What every operation here can fail with. */
export type EmailPasswordError = ServerFailure | RealmError.AuthError | RealmError.FunctionError

/** What {@link callResetPasswordFunction} can fail with. */
export type CallResetPasswordFunctionError = EmailPasswordError | Ejson.EjsonError

/** Sends the request that an operation is. */
const operation = <E extends Request.AnyEndpoint>(name: string, endpoint: E) => {
  const send = Transport.make(endpoint)
  const around = Operation.make(`EmailPassword.${name}`)
  return (app: App, input: Request.Input<E>) => around(send(input), { endpoint, appId: Subject.app(app) })
}

const sendRegister = /* @__PURE__ */ operation("registerUser", Endpoint.register)
const sendConfirm = /* @__PURE__ */ operation("confirmUser", Endpoint.confirm)
const sendConfirmation = /* @__PURE__ */ operation("resendConfirmationEmail", Endpoint.sendConfirmation)
const sendCallConfirmation = /* @__PURE__ */ operation("retryCustomConfirmation", Endpoint.callConfirmation)
const sendReset = /* @__PURE__ */ operation("sendResetPasswordEmail", Endpoint.sendReset)
const sendSetPassword = /* @__PURE__ */ operation("resetPassword", Endpoint.reset)

const to = (app: App) => ({ params: { appId: Subject.app(app) }, baseUrl: app.baseUrl })

// -----------------------------------------------------------------------------
// Registration
// -----------------------------------------------------------------------------

/**
 * Registers an email address (`registerUser`). Log in with `App.logIn` once it is confirmed.
 *
 * Fails with `AuthError.AccountNameInUse` when the address is taken, with `RequestError.BadRequest` when the password is
 * shorter than 6 or longer than 128 characters.
 *
 * ```ts
 * import { App, Credentials, EmailPassword, User } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect } from "effect"
 *
 * const app = AppDefinition.make({
 *   appId: "shop-abcde",
 *   authProviders: { anonymous: {}, emailPassword: { autoConfirm: true } }
 * })
 * const account = { email: "zoe@example.com", password: "a secret of Zoe's" }
 * const program = Effect.gen(function*() {
 *   const { app } = yield* RealmTest.RealmTest
 *   yield* EmailPassword.registerUser(app, account)
 *   const user = yield* App.logIn(app, Credentials.emailPassword(account))
 *   return yield* User.providerType(user)
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app }))) // => "local-userpass"
 * ```
 */
export const registerUser: {
  (account: { readonly email: string; readonly password: Secret }): (
    app: App
  ) => Effect.Effect<void, EmailPasswordError, HttpClient.HttpClient>
  (app: App, account: { readonly email: string; readonly password: Secret }): Effect.Effect<
    void,
    EmailPasswordError,
    HttpClient.HttpClient
  >
} = /* @__PURE__ */ dual(
  2,
  (app: App, account: { readonly email: string; readonly password: Secret }) => {
    const { email, password } = given(account)
    return sendRegister(app, { ...to(app), payload: { email, password: redacted(password) } })
  }
)

/**
 * Confirms a registration with the halves of the mailed link (`confirmUser`). Fails with `AuthError.UserpassTokenInvalid`
 * when the link was used or has expired.
 *
 * ```ts
 * import { EmailPassword } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect } from "effect"
 *
 * const app = AppDefinition.make({
 *   appId: "shop-abcde",
 *   authProviders: { anonymous: {}, emailPassword: { autoConfirm: true } }
 * })
 * const program = Effect.gen(function*() {
 *   const { app } = yield* RealmTest.RealmTest
 *   return yield* EmailPassword.confirmUser(app, { token: "used", tokenId: "636aba021728b6c1c03db7f9" }).pipe(
 *     Effect.as("confirmed"),
 *     Effect.catchTag("RequestError", (error) => Effect.succeed(error.reason.message))
 *   )
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app }))) // => "invalid token data"
 * ```
 */
export const confirmUser: {
  (link: LinkToken): (app: App) => Effect.Effect<void, EmailPasswordError, HttpClient.HttpClient>
  (app: App, link: LinkToken): Effect.Effect<void, EmailPasswordError, HttpClient.HttpClient>
} = /* @__PURE__ */ dual(
  2,
  (app: App, link: LinkToken) => {
    const { token, tokenId } = given(link)
    return sendConfirm(app, { ...to(app), payload: { token: redacted(token), tokenId } })
  }
)

/**
 * Sends the confirmation mail once more (`resendConfirmationEmail`). Fails with `AuthError.UserAlreadyConfirmed` or
 * `AuthError.UserNotFound`.
 *
 * ```ts
 * import { EmailPassword } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect } from "effect"
 *
 * const app = AppDefinition.make({
 *   appId: "shop-abcde",
 *   authProviders: { anonymous: {}, emailPassword: { autoConfirm: true } }
 * })
 * const program = Effect.gen(function*() {
 *   const { app } = yield* RealmTest.RealmTest
 *   return yield* EmailPassword.resendConfirmationEmail(app, { email: "nobody@example.com" }).pipe(
 *     Effect.as("sent"),
 *     Effect.catchReason("AuthError", "UserNotFound", (reason) => Effect.succeed(reason.message))
 *   )
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app }))) // => "user not found"
 * ```
 */
export const resendConfirmationEmail: {
  (account: { readonly email: string }): (app: App) => Effect.Effect<void, EmailPasswordError, HttpClient.HttpClient>
  (app: App, account: { readonly email: string }): Effect.Effect<void, EmailPasswordError, HttpClient.HttpClient>
} = /* @__PURE__ */ dual(
  2,
  (app: App, account: { readonly email: string }) =>
    sendConfirmation(app, { ...to(app), payload: { email: given(account).email } })
)

/**
 * Runs the app's confirmation function once more (`retryCustomConfirmation`). Fails with `AuthError.UserAlreadyConfirmed`
 * or `AuthError.UserNotFound`.
 *
 * ```ts
 * import { EmailPassword } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect } from "effect"
 *
 * const app = AppDefinition.make({
 *   appId: "shop-abcde",
 *   authProviders: { anonymous: {}, emailPassword: { autoConfirm: true } }
 * })
 * const program = Effect.gen(function*() {
 *   const { app } = yield* RealmTest.RealmTest
 *   return yield* EmailPassword.retryCustomConfirmation(app, { email: "nobody@example.com" }).pipe(
 *     Effect.as("confirmed"),
 *     Effect.catchTag("RequestError", (error) => Effect.succeed(error.reason.message))
 *   )
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app }))) // => "cannot run confirmation for nobody@example.com: automatic confirmation is enabled"
 * ```
 */
export const retryCustomConfirmation: {
  (account: { readonly email: string }): (app: App) => Effect.Effect<void, EmailPasswordError, HttpClient.HttpClient>
  (app: App, account: { readonly email: string }): Effect.Effect<void, EmailPasswordError, HttpClient.HttpClient>
} = /* @__PURE__ */ dual(
  2,
  (app: App, account: { readonly email: string }) =>
    sendCallConfirmation(app, { ...to(app), payload: { email: given(account).email } })
)

// -----------------------------------------------------------------------------
// Password reset
// -----------------------------------------------------------------------------

/**
 * Sends a password-reset mail (`sendResetPasswordEmail`). Fails with `AuthError.UserNotFound`.
 *
 * ```ts
 * import { EmailPassword } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect } from "effect"
 *
 * const app = AppDefinition.make({
 *   appId: "shop-abcde",
 *   authProviders: { anonymous: {}, emailPassword: { autoConfirm: true } }
 * })
 * const program = Effect.gen(function*() {
 *   const { app } = yield* RealmTest.RealmTest
 *   return yield* EmailPassword.sendResetPasswordEmail(app, { email: "nobody@example.com" }).pipe(
 *     Effect.as("sent"),
 *     Effect.catchReason("AuthError", "UserNotFound", (reason) => Effect.succeed(reason.message))
 *   )
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app }))) // => "user not found"
 * ```
 */
export const sendResetPasswordEmail: {
  (account: { readonly email: string }): (app: App) => Effect.Effect<void, EmailPasswordError, HttpClient.HttpClient>
  (app: App, account: { readonly email: string }): Effect.Effect<void, EmailPasswordError, HttpClient.HttpClient>
} = /* @__PURE__ */ dual(
  2,
  (app: App, account: { readonly email: string }) =>
    sendReset(app, { ...to(app), payload: { email: given(account).email } })
)

/**
 * Sets a new password with the halves of the mailed link (`resetPassword`). Fails with `AuthError.UserpassTokenInvalid`
 * when the link was used or has expired.
 *
 * ```ts
 * import { EmailPassword } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect } from "effect"
 *
 * const app = AppDefinition.make({
 *   appId: "shop-abcde",
 *   authProviders: { anonymous: {}, emailPassword: { autoConfirm: true } }
 * })
 * const program = Effect.gen(function*() {
 *   const { app } = yield* RealmTest.RealmTest
 *   return yield* EmailPassword.resetPassword(app, { token: "used", tokenId: "636aba021728b6c1c03db7f9", password: "another secret" }).pipe(
 *     Effect.as("changed"),
 *     Effect.catchTag("RequestError", (error) => Effect.succeed(error.reason.message))
 *   )
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app }))) // => "invalid token data"
 * ```
 */
export const resetPassword: {
  (reset: LinkToken & { readonly password: Secret }): (
    app: App
  ) => Effect.Effect<void, EmailPasswordError, HttpClient.HttpClient>
  (app: App, reset: LinkToken & { readonly password: Secret }): Effect.Effect<
    void,
    EmailPasswordError,
    HttpClient.HttpClient
  >
} = /* @__PURE__ */ dual(
  2,
  (app: App, reset: LinkToken & { readonly password: Secret }) => {
    const { password, token, tokenId } = given(reset)
    return sendSetPassword(app, {
      ...to(app),
      payload: { token: redacted(token), tokenId, password: redacted(password) }
    })
  }
)

/** What the app's reset function gets. */
export interface ResetCall {
  readonly email: string
  /** The new password, which the function may accept at once. */
  readonly password: Secret
  /** Further arguments of the function, any BSON values. */
  readonly args?: ReadonlyArray<unknown>
}

const sendCallReset = /* @__PURE__ */ Transport.make(Endpoint.callReset)
const aroundCallReset = /* @__PURE__ */ Operation.make("EmailPassword.callResetPasswordFunction")

/**
 * Runs the app's reset function (`callResetPasswordFunction`). Fails with `AuthError.UserNotFound`, with
 * `RequestError.BadRequest` when the function refused, with `EjsonError` when an argument has no Extended JSON form.
 *
 * ```ts
 * import { EmailPassword } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect } from "effect"
 *
 * const app = AppDefinition.make({
 *   appId: "shop-abcde",
 *   authProviders: { anonymous: {}, emailPassword: { autoConfirm: true } }
 * })
 * const program = Effect.gen(function*() {
 *   const { app } = yield* RealmTest.RealmTest
 *   return yield* EmailPassword.callResetPasswordFunction(app, { email: "nobody@example.com", password: "another secret" }).pipe(
 *     Effect.as("changed"),
 *     Effect.catchTag("RequestError", (error) => Effect.succeed(error.reason._tag))
 *   )
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app }))) // => "BadRequest"
 * ```
 */
export const callResetPasswordFunction: {
  (call: ResetCall): (app: App) => Effect.Effect<void, CallResetPasswordFunctionError, HttpClient.HttpClient>
  (app: App, call: ResetCall): Effect.Effect<void, CallResetPasswordFunctionError, HttpClient.HttpClient>
} = /* @__PURE__ */ dual(
  2,
  (app: App, call: ResetCall): Effect.Effect<
    void,
    CallResetPasswordFunctionError,
    HttpClient.HttpClient
  > => {
    const { args, email, password } = given(call)
    const sent = Result.map(Ejson.encode(args ?? [], { root: "args" }), (args) =>
      sendCallReset({
        ...to(app),
        // An array encodes to an array.
        payload: { email, password: redacted(password), arguments: args as ReadonlyArray<unknown> }
      }))
    return aroundCallReset(Effect.flatten(Effect.fromResult(sent)), { endpoint: Endpoint.callReset, appId: app.id })
  }
)
