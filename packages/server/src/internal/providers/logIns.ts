/**
 * How each provider turns credentials into a proven identity, and what becomes of it: a log-in or a link.
 */
import * as RealmError from "@effect-realm/protocol/RealmError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as Accounts from "../../Accounts.ts"
import * as ApiKeys from "../../ApiKeys.ts"
import { Authentication, type Authorized, type Linked, type LoggedIn } from "../../Authentication.ts"
import type { DatabaseError } from "../../DatabaseError.ts"
import * as EmailAccounts from "../../EmailAccounts.ts"
import type { Device } from "../../Sessions.ts"
import { AppFunctions } from "../functions/appFunctions.ts"
import { Attempts } from "../http/attempts.ts"
import * as Bearer from "../http/bearer.ts"
import * as PublicUrl from "../http/publicUrl.ts"
import type { Served } from "../served.ts"
import * as CustomJwt from "./customJwt.ts"
import type * as OAuthAccount from "./oauthAccount.ts"
import * as OAuthProviders from "./oauthProviders.ts"
import type { DomainRefused, Rejected, Unavailable } from "./providerRequests.ts"

type Refusal =
  | RealmError.AuthError
  | RealmError.SessionError
  | RealmError.RequestError
  | RealmError.UnknownServiceError

/** What a provider makes of credentials. */
export type Proof = Effect.Effect<
  Accounts.Identity,
  RealmError.AuthError | RealmError.RequestError | RealmError.UnknownServiceError | DatabaseError
>

/** A provider with a page of its own. */
export interface Redirecting {
  readonly redirectUris: ReadonlyArray<string>
  readonly authorizationUrl: (
    asked: OAuthAccount.Asked
  ) => Effect.Effect<string, RealmError.AuthError | RealmError.UnknownServiceError>
  readonly prove: (code: OAuthAccount.Code) => Proof
}

export class LogIns extends Context.Service<LogIns, {
  readonly anonymous: (link: boolean) => Proof
  readonly emailPassword: (options: { readonly email: string; readonly password: Redacted.Redacted }) => Proof
  readonly apiKey: (key: Redacted.Redacted) => Proof
  readonly customFunction: (credentials: { readonly [field: string]: unknown }) => Proof
  readonly customJwt: (token: Redacted.Redacted) => Proof
  readonly googleIdToken: (token: Redacted.Redacted) => Proof
  readonly googleCode: (code: Redacted.Redacted) => Proof
  readonly facebook: (accessToken: Redacted.Redacted) => Proof
  readonly apple: (idToken: Redacted.Redacted) => Proof
  /** The providers whose own page somebody can be sent to. */
  readonly redirecting: { readonly [name in OAuthProviders.Name]: Redirecting | undefined }
  /** Whose access token a request carries that wants to link. */
  readonly linking: (
    request: HttpServerRequest
  ) => Effect.Effect<Authorized, RealmError.SessionError | RealmError.UnknownServiceError | DatabaseError>
  /** Logs in with what `prove` proves; for a link, adds it to the owner of the request's access token. */
  readonly settle: (options: {
    readonly request: HttpServerRequest
    readonly link: boolean
    readonly device: (Device & { readonly deviceId?: string }) | undefined
    readonly prove: Proof
  }) => Effect.Effect<LoggedIn | Linked, Refusal | DatabaseError>
}>()("@effect-realm/server/internal/logIns/LogIns") {}

/** Fails when a path names another app than the one that is served (protocol section 1.2). */
export const known = (appId: string, asked: string): Effect.Effect<void, RealmError.AppError> =>
  asked === appId
    ? Effect.void
    : Effect.fail(RealmError.make("AppNotFound", `cannot find app using Client App ID '${asked}'`))

/**
 * realm-web 2.0.1 takes a 401 in the word `unauthorized` for an expired token: it refreshes and sends the request again,
 * for as long as refreshing succeeds. Who links has a token, so wrong credentials are told in other words.
 */
const inOtherWords = (error: RealmError.AuthError): RealmError.AuthError =>
  error.reason.message === "unauthorized"
    ? RealmError.make(error.reason._tag, "invalid credentials", { status: error.reason.status })
    : error

/** What a provider that is missing, disabled or not served answers. */
export const unsupported = (providerType: string): RealmError.AuthError =>
  RealmError.make("AuthProviderNotFound", `authentication via '${providerType}' is unsupported`)

/**
 * What a provider's verdict is to a client, who learns nothing but that the credentials were refused; the log says why.
 * A provider that cannot be asked is nobody's fault here: the same credentials may do a moment later.
 */
const toRefusal = (providerType: string) =>
(
  error: Rejected | DomainRefused | Unavailable
): Effect.Effect<never, RealmError.AuthError | RealmError.UnknownServiceError> => {
  if (error._tag === "DomainRefused") {
    return Effect.fail(RealmError.make("DomainNotAllowed", "the domain of the email address is not allowed by the app"))
  }
  return Effect.logInfo(error._tag === "Rejected" ? "credentials refused" : "provider unavailable").pipe(
    Effect.annotateLogs({ provider: providerType, reason: error.detail }),
    Effect.andThen(Effect.fail(
      error._tag === "Rejected"
        ? RealmError.make("AuthError", "unauthorized")
        : new RealmError.UnknownServiceError({
          detail: `the provider '${providerType}' cannot be reached, try again later`,
          status: 503
        })
    ))
  )
}

export const layer = ({ app, ids, issuers, place }: Served): Layer.Layer<
  LogIns,
  never,
  ApiKeys.ApiKeys | Authentication | AppFunctions | Attempts | EmailAccounts.EmailAccounts | HttpClient.HttpClient
> =>
  Layer.effect(
    LogIns,
    Effect.gen(function*() {
      const apiKeys = yield* ApiKeys.ApiKeys
      const attempts = yield* Attempts
      const authentication = yield* Authentication
      const emailAccounts = yield* EmailAccounts.EmailAccounts
      const functions = yield* AppFunctions
      const { anonymous, apiKey, customFunction, customJwt, emailPassword } = app.authProviders
      const verifyJwt = customJwt?.enabled === true ? yield* CustomJwt.make(app, customJwt) : undefined

      const { providerTypes } = OAuthProviders
      const { apple, facebook, google } = yield* OAuthProviders.make(app, issuers)

      /** What an identity provider outside of this server proves. */
      const vouched = (
        providerType: string,
        proven: OAuthProviders.Proven | undefined
      ): Proof =>
        proven === undefined
          ? Effect.fail(unsupported(providerType))
          : proven.pipe(
            Effect.map((identity) => ({ ...identity, providerType, providerId: ids.providerId(providerType) })),
            Effect.catch(toRefusal(providerType))
          )

      const redirecting = (
        providerType: string,
        served: OAuthProviders.Served<OAuthAccount.Redirecting> | undefined
      ): Redirecting | undefined =>
        served === undefined
          ? undefined
          : {
            redirectUris: served.settings.redirectUris,
            authorizationUrl: (asked) => Effect.catch(served.provider.authorizationUrl(asked), toRefusal(providerType)),
            prove: (code) => vouched(providerType, served.admit(served.provider.fromCode(code)))
          }

      const when = <A, E, R>(
        enabled: boolean | undefined,
        providerType: string,
        effect: Effect.Effect<A, E, R>
      ): Effect.Effect<A, E | RealmError.AuthError, R> =>
        enabled === true ? effect : Effect.fail(unsupported(providerType))

      const refuseStranger = (request: HttpServerRequest) => {
        const { origin } = request.headers
        return origin === undefined || app.allowedRequestOrigins.length > 0 ||
            origin === (place.publicUrl ?? PublicUrl.fromRequest(request))
          ? Effect.void
          : Effect.fail(
            new RealmError.UnknownServiceError({
              detail: "linking forbidden without first specifying allowed request origins",
              status: 403
            })
          )
      }

      const linking: LogIns["Service"]["linking"] = (request) =>
        refuseStranger(request).pipe(
          Effect.andThen(Bearer.token(request)),
          Effect.flatMap(authentication.authorizeAccess)
        )

      return LogIns.of({
        anonymous: (link) =>
          when(
            anonymous?.enabled,
            "anon-user",
            link
              ? Effect.fail(
                RealmError.make("LinkingNotSupported", "cannot add anonymous credentials to an existing user")
              )
              : Effect.map(Accounts.makeIdentityId, (id) => ({
                id,
                providerType: "anon-user",
                providerId: ids.providerId("anon-user"),
                data: {}
              }))
          ),
        emailPassword: (credentials) =>
          when(
            emailPassword?.enabled,
            EmailAccounts.providerType,
            Effect.map(attempts.logIn(credentials.email)(emailAccounts.logIn(credentials)), (identity) => ({
              ...identity,
              providerId: ids.providerId(EmailAccounts.providerType)
            }))
          ),
        apiKey: (key) =>
          when(
            apiKey?.enabled,
            ApiKeys.providerType,
            Effect.map(apiKeys.verify(key), ({ id, name }) => ({
              id,
              providerType: ApiKeys.providerType,
              providerId: ids.providerId(ApiKeys.providerType),
              data: { name }
            }))
          ),
        customFunction: (credentials) =>
          when(
            customFunction?.enabled,
            "custom-function",
            Effect.map(functions.authenticate(customFunction?.authFunctionName ?? "", credentials), ({ id, name }) => ({
              id,
              providerType: "custom-function",
              providerId: ids.providerId("custom-function"),
              data: name === undefined ? {} : { name }
            }))
          ),
        customJwt: (token) => vouched(CustomJwt.providerType, verifyJwt?.(token)),
        googleIdToken: (token) => vouched(providerTypes.google, google?.admit(google.provider.fromIdToken(token))),
        googleCode: (code) => vouched(providerTypes.google, google?.admit(google.provider.fromCode({ code }))),
        facebook: (token) => vouched(providerTypes.facebook, facebook?.admit(facebook.provider.fromAccessToken(token))),
        apple: (token) => vouched(providerTypes.apple, apple?.admit(apple.provider.fromIdToken(token))),
        redirecting: {
          google: redirecting(providerTypes.google, google),
          facebook: redirecting(providerTypes.facebook, facebook),
          apple: redirecting(providerTypes.apple, apple)
        },
        linking,
        settle: Effect.fnUntraced(function*({ device, link, prove, request }) {
          if (!link) return yield* authentication.logIn({ identity: yield* prove, device })
          const active = yield* linking(request)
          const identity = yield* Effect.catchTag(prove, "AuthError", (error) => Effect.fail(inOtherWords(error)))
          return yield* authentication.link({ active, identity })
        })
      })
    })
  )
