/**
 * How a user proves who they are (`Realm.Credentials`, protocol section 3.2). Credentials are plain values; what is
 * secret in them is `Redacted` from the start.
 */
import * as Ejson from "@effect-realm/protocol/Ejson"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { checked, given } from "./internal/checked.ts"
import { redacted } from "./internal/secret.ts"

/** A secret that is there. What is wrong with one is said without it. */
const Secret = /* @__PURE__ */ Schema.Redacted(Schema.String).check(
  /* @__PURE__ */ Schema.makeFilter((secret) => Redacted.value(secret) !== "", {
    expected: "a secret that is not empty"
  })
)

/** Log in without saying who one is. */
export class Anonymous
  extends Schema.TaggedClass<Anonymous>("@effect-realm/client/Credentials/Anonymous")("Anonymous", {
    /** Whether an anonymous user who is still logged in here is taken again, instead of a new one. */
    reuse: Schema.Boolean
  })
{}

/**
 * Log in with a registered email address.
 *
 * ```ts
 * import { Credentials } from "@effect-realm/client"
 *
 * const credentials = Credentials.emailPassword({ email: "zoe@example.com", password: "not shown" })
 * credentials instanceof Credentials.EmailPassword // => true
 * ```
 */
export class EmailPassword
  extends Schema.TaggedClass<EmailPassword>("@effect-realm/client/Credentials/EmailPassword")("EmailPassword", {
    email: Schema.NonEmptyString,
    password: Schema.Redacted(Schema.String)
  })
{}

/** Log in by the app's own authentication function. */
export class Function extends Schema.TaggedClass<Function>("@effect-realm/client/Credentials/Function")("Function", {
  /** The function's argument, as Extended JSON. */
  payload: Schema.Redacted(Schema.Record(Schema.String, Schema.Json))
}) {}

/**
 * Log in with an API key.
 *
 * ```ts
 * import { Credentials } from "@effect-realm/client"
 *
 * Credentials.apiKey("not shown") instanceof Credentials.ApiKey // => true
 * ```
 */
export class ApiKey extends Schema.TaggedClass<ApiKey>("@effect-realm/client/Credentials/ApiKey")("ApiKey", {
  key: Secret
}) {}

/**
 * Log in with a JSON Web Token of an issuer that the app trusts.
 *
 * ```ts
 * import { Credentials } from "@effect-realm/client"
 *
 * Credentials.jwt("not shown") instanceof Credentials.Jwt // => true
 * ```
 */
export class Jwt extends Schema.TaggedClass<Jwt>("@effect-realm/client/Credentials/Jwt")("Jwt", {
  token: Secret
}) {}

/**
 * Log in with an id token that Google has issued.
 *
 * ```ts
 * import { Credentials } from "@effect-realm/client"
 *
 * Credentials.google({ idToken: "not shown" }) instanceof Credentials.GoogleIdToken // => true
 * ```
 */
export class GoogleIdToken
  extends Schema.TaggedClass<GoogleIdToken>("@effect-realm/client/Credentials/GoogleIdToken")("GoogleIdToken", {
    idToken: Secret
  })
{}

/**
 * Log in with an authorization code that Google has issued; the server exchanges it.
 *
 * ```ts
 * import { Credentials } from "@effect-realm/client"
 *
 * Credentials.google({ authCode: "not shown" }) instanceof Credentials.GoogleAuthCode // => true
 * ```
 */
export class GoogleAuthCode
  extends Schema.TaggedClass<GoogleAuthCode>("@effect-realm/client/Credentials/GoogleAuthCode")("GoogleAuthCode", {
    authCode: Secret
  })
{}

/**
 * Log in with an access token that Facebook has issued.
 *
 * ```ts
 * import { Credentials } from "@effect-realm/client"
 *
 * Credentials.facebook("not shown") instanceof Credentials.Facebook // => true
 * ```
 */
export class Facebook extends Schema.TaggedClass<Facebook>("@effect-realm/client/Credentials/Facebook")("Facebook", {
  accessToken: Secret
}) {}

/**
 * Log in with an id token that Apple has issued.
 *
 * ```ts
 * import { Credentials } from "@effect-realm/client"
 *
 * Credentials.apple("not shown") instanceof Credentials.Apple // => true
 * ```
 */
export class Apple extends Schema.TaggedClass<Apple>("@effect-realm/client/Credentials/Apple")("Apple", {
  idToken: Secret
}) {}

/** Credentials that can be added to a user: an anonymous identity cannot. */
export type Linkable = EmailPassword | Function | ApiKey | Jwt | GoogleIdToken | GoogleAuthCode | Facebook | Apple

/** Any credentials. */
export type Credentials = Anonymous | Linkable

const isDocument = (value: unknown): boolean =>
  Predicate.isObject(value) && [Object.prototype, null].includes(Object.getPrototypeOf(value))

/**
 * Anonymous credentials (`Realm.Credentials.anonymous`).
 *
 * @param options.reuse `true` (default): take the anonymous user who is logged in here, if there is one and no identity
 * was linked to it; no request is sent. `false`: make a new user every time.
 *
 * ```ts
 * import { Credentials } from "@effect-realm/client"
 *
 * Credentials.anonymous()._tag // => "Anonymous"
 * ```
 */
export const anonymous = (options?: { readonly reuse?: boolean }): Anonymous =>
  // Other than an object it can be the plain boolean of `Realm.Credentials.anonymous`, or is left for the schema to refuse.
  checked(() =>
    new Anonymous({ reuse: options === undefined || typeof options === "object" ? options?.reuse ?? true : options })
  )

/**
 * Email and password (`Realm.Credentials.emailPassword`). The address is matched exactly: upper and lower case differ.
 * Throws a `SchemaError` that names the field when `email` is empty or of another type.
 *
 * ```ts
 * import { Credentials } from "@effect-realm/client"
 *
 * const credentials = Credentials.emailPassword({ email: "zoe@example.com", password: "not shown" })
 * JSON.stringify(credentials).includes("not shown") // => false
 * ```
 */
export const emailPassword = (options: {
  readonly email: string
  readonly password: string | Redacted.Redacted
}): EmailPassword =>
  checked(() => {
    const { email, password } = given(options)
    return new EmailPassword({ email, password: redacted(password) })
  })

/**
 * An API key (`Realm.Credentials.apiKey`): a user's, which logs in as the user who made it, or a server key, which has a
 * user of its own. Throws a `SchemaError` that names the field when the key is empty or no text.
 *
 * ```ts
 * import { Credentials } from "@effect-realm/client"
 *
 * JSON.stringify(Credentials.apiKey("not shown")).includes("not shown") // => false
 * ```
 */
export const apiKey = (key: string | Redacted.Redacted): ApiKey => checked(() => new ApiKey({ key: redacted(key) }))

/**
 * A JSON Web Token of an issuer that the app trusts (`Realm.Credentials.jwt`); its `sub` says who the user is. Throws a
 * `SchemaError` that names the field when the token is empty or no text.
 *
 * ```ts
 * import { Credentials } from "@effect-realm/client"
 *
 * JSON.stringify(Credentials.jwt("not shown")).includes("not shown") // => false
 * ```
 */
export const jwt = (token: string | Redacted.Redacted): Jwt => checked(() => new Jwt({ token: redacted(token) }))

/**
 * What Google's own sign-in has answered (`Realm.Credentials.google`): an id token, or an authorization code for the
 * server to exchange. Throws a `SchemaError` that names the field when it is empty or no text.
 *
 * ```ts
 * import { Credentials } from "@effect-realm/client"
 *
 * JSON.stringify(Credentials.google({ idToken: "not shown" })).includes("not shown") // => false
 * Credentials.google({ authCode: "not shown" })._tag // => "GoogleAuthCode"
 * ```
 */
export const google = (
  options: { readonly idToken: string | Redacted.Redacted } | { readonly authCode: string | Redacted.Redacted }
): GoogleIdToken | GoogleAuthCode =>
  checked(() =>
    Predicate.hasProperty(options, "authCode")
      ? new GoogleAuthCode({ authCode: redacted(options.authCode) })
      : new GoogleIdToken({ idToken: redacted(given(options).idToken) })
  )

/**
 * An access token that Facebook's own sign-in has answered (`Realm.Credentials.facebook`). Throws a `SchemaError` that
 * names the field when it is empty or no text.
 *
 * ```ts
 * import { Credentials } from "@effect-realm/client"
 *
 * JSON.stringify(Credentials.facebook("not shown")).includes("not shown") // => false
 * ```
 */
export const facebook = (accessToken: string | Redacted.Redacted): Facebook =>
  checked(() => new Facebook({ accessToken: redacted(accessToken) }))

/**
 * An id token that Apple's own sign-in has answered (`Realm.Credentials.apple`). Throws a `SchemaError` that names the
 * field when it is empty or no text.
 *
 * ```ts
 * import { Credentials } from "@effect-realm/client"
 *
 * JSON.stringify(Credentials.apple("not shown")).includes("not shown") // => false
 * ```
 */
export const apple = (idToken: string | Redacted.Redacted): Apple =>
  checked(() => new Apple({ idToken: redacted(idToken) }))

/**
 * What the app's authentication function gets as its argument (`Realm.Credentials.function`): a document of any BSON
 * values. The key `options` is taken by the protocol and overwritten (protocol section 1.6). Throws an `EjsonError` that
 * names the path of a value without Extended JSON form, and a `SchemaError` when the payload is no document.
 *
 * ```ts
 * import { Credentials } from "@effect-realm/client"
 * import { function as function_ } from "@effect-realm/client/Credentials" // in a browser bundle
 *
 * Credentials.function({ ticket: "t-1" })._tag // => "Function"
 * function_({ ticket: "t-1" })._tag // => "Function"
 * ```
 */
const function_ = (payload: { readonly [key: string]: unknown }): Function =>
  checked(() =>
    new Function({
      // A document encodes to a JSON object. A number or a date does so too, by the rules of Extended JSON, and is none.
      payload: Redacted.make(
        (isDocument(payload) ? Ejson.encodeUnsafe(payload, { root: "payload" }) : undefined) as {
          readonly [key: string]: Schema.Json
        }
      )
    })
  )

export { function_ as function }
