/**
 * Credentials on the wire: which endpoint each kind goes to, and what a log-in or a link makes of the answer.
 */
import * as Endpoint from "@effect-realm/protocol/Endpoint"
import type * as RealmError from "@effect-realm/protocol/RealmError"
import type * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import type { RequestFailure } from "../../ClientError.ts"
import type { Credentials } from "../../Credentials.ts"
import * as Transport from "../requests/transport.ts"
import { version } from "../version.ts"

const anonymous = Transport.make(Endpoint.logInAnonymous, { secret: true })
const emailPassword = Transport.make(Endpoint.logInEmailPassword, { secret: true })
const apiKey = Transport.make(Endpoint.logInApiKey, { secret: true })
const jwt = Transport.make(Endpoint.logInJwt, { secret: true })
const google = Transport.make(Endpoint.logInGoogle, { secret: true })
const facebook = Transport.make(Endpoint.logInFacebook, { secret: true })
const apple = Transport.make(Endpoint.logInApple, { secret: true })
const byFunction = Transport.make(Endpoint.logInFunction, { secret: true })

/** What the server can refuse a log-in or a link with. */
export type Refusal =
  | RealmError.AuthError
  | RealmError.SessionError
  | RealmError.FunctionError
  | RealmError.RequestError
  | RealmError.AppError
  | RealmError.UnknownServiceError

/** The endpoint that credentials go to. */
export const endpoint = (credentials: Credentials): { readonly method: string; readonly path: string } => {
  switch (credentials?._tag) {
    case "Anonymous":
      return Endpoint.logInAnonymous
    case "EmailPassword":
      return Endpoint.logInEmailPassword
    case "Function":
      return Endpoint.logInFunction
    case "ApiKey":
      return Endpoint.logInApiKey
    case "Jwt":
      return Endpoint.logInJwt
    case "GoogleIdToken":
    case "GoogleAuthCode":
      return Endpoint.logInGoogle
    case "Facebook":
      return Endpoint.logInFacebook
    case "Apple":
      return Endpoint.logInApple
    default:
      return refuse(credentials)
  }
}

// Not shown: a caller without types may have put a password where credentials belong.
const refuse = (_: never): never => {
  throw new TypeError("credentials: expected a value that the module Credentials made")
}

/** Throws when a caller without types hands in something else than credentials. */
export const assertCredentials = (credentials: Credentials): void => void endpoint(credentials)

/** The provider that credentials are for, as identities name it. */
export const providerType = (credentials: Credentials): string => {
  switch (credentials._tag) {
    case "Anonymous":
      return "anon-user"
    case "EmailPassword":
      return "local-userpass"
    case "Function":
      return "custom-function"
    case "ApiKey":
      return "api-key"
    case "Jwt":
      return "custom-token"
    case "GoogleIdToken":
    case "GoogleAuthCode":
      return "oauth2-google"
    case "Facebook":
      return "oauth2-facebook"
    case "Apple":
      return "oauth2-apple"
  }
}

/** What the server is told of this device. */
export const device = (deviceId: string | undefined) => ({
  platform: "effect",
  platformVersion: version,
  sdkVersion: version,
  ...(deviceId === undefined ? undefined : { deviceId })
})

/** Sends credentials: to log in, or with a bearer to link them to its user. */
export const send = (
  app: { readonly id: string; readonly baseUrl: string },
  credentials: Credentials,
  with_: { readonly bearer?: Redacted.Redacted; readonly deviceId?: string | undefined }
): Effect.Effect<typeof Endpoint.LoggedIn.Type, Refusal | RequestFailure, HttpClient.HttpClient> => {
  const options = { device: device(with_.deviceId) }
  const request = {
    baseUrl: app.baseUrl,
    params: { appId: app.id },
    ...(with_.bearer === undefined ? undefined : { bearer: with_.bearer, query: { link: "true" as const } })
  }
  switch (credentials._tag) {
    case "Anonymous":
      return anonymous({ ...request, payload: { options } })
    case "EmailPassword": {
      const { email, password } = credentials
      return emailPassword({ ...request, payload: { email, password, options } })
    }
    case "ApiKey":
      return apiKey({ ...request, payload: { key: credentials.key, options } })
    case "Jwt":
      return jwt({ ...request, payload: { token: credentials.token, options } })
    case "GoogleIdToken":
      return google({ ...request, payload: { idToken: credentials.idToken, options } })
    case "GoogleAuthCode":
      return google({ ...request, payload: { authCode: credentials.authCode, options } })
    case "Facebook":
      return facebook({ ...request, payload: { accessToken: credentials.accessToken, options } })
    case "Apple":
      return apple({ ...request, payload: { idToken: credentials.idToken, options } })
    case "Function":
      return byFunction({
        ...request,
        payload: { ...Redacted.value(credentials.payload), options: wire(options) },
        secrets: texts(Redacted.value(credentials.payload))
      })
  }
}

// Any text of a function's argument may be a secret; a shorter one is no secret worth the name, and part of many words.
const texts = (value: unknown): ReadonlyArray<string> =>
  typeof value === "string"
    ? value.length < 4 ? [] : [value]
    : Predicate.isObjectOrArray(value)
    ? Object.values(value).flatMap(texts)
    : []

// The body of a function log-in is the app's own document, so its `options` are written as the wire has them.
const wire = (options: { readonly device: { readonly deviceId?: string } }) => {
  const { deviceId, ...device } = options.device
  return { device: { ...device, ...(deviceId === undefined ? undefined : { deviceId: { $oid: deviceId } }) } }
}
