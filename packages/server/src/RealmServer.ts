/**
 * The server of one app: every endpoint of the protocol, as routes of an `HttpRouter`. Where they are served is another
 * matter: on a port (`Listener`), or in the process of a test with no socket at all.
 */
import { Api } from "@effect-realm/protocol/Api"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import type * as HttpClient from "effect/http/HttpClient"
import type * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Accounts from "./Accounts.ts"
import * as ApiKeys from "./ApiKeys.ts"
import { AppDefinition } from "./AppDefinition.ts"
import * as Authentication from "./Authentication.ts"
import type * as AuthProvider from "./AuthProvider.ts"
import * as CustomUserData from "./CustomUserData.ts"
import type { Database } from "./Database.ts"
import type { DatabaseError } from "./DatabaseError.ts"
import * as Documents from "./Documents.ts"
import * as EmailAccounts from "./EmailAccounts.ts"
import type { FunctionGroup } from "./FunctionGroup.ts"
import * as FunctionHttp from "./FunctionHttp.ts"
import * as Functions from "./Functions.ts"
import * as AppIds from "./internal/appIds.ts"
import * as DocumentService from "./internal/documents/documentService.ts"
import * as DocumentStreams from "./internal/documents/documentStreams.ts"
import * as AppFunctions from "./internal/functions/appFunctions.ts"
import * as Executor from "./internal/functions/executor.ts"
import * as GuardedHttpClient from "./internal/functions/guardedHttpClient.ts"
import * as HttpServices from "./internal/functions/httpServices.ts"
import * as PushService from "./internal/functions/pushService.ts"
import * as Attempts from "./internal/http/attempts.ts"
import * as Bearer from "./internal/http/bearer.ts"
import * as Handlers from "./internal/http/handlers.ts"
import * as ProviderRoutes from "./internal/http/providerRoutes.ts"
import * as PublicUrl from "./internal/http/publicUrl.ts"
import * as RequestShell from "./internal/http/requestShell.ts"
import * as LinkMail from "./internal/linkMail.ts"
import * as LogIns from "./internal/providers/logIns.ts"
import { defaultIssuers } from "./internal/providers/oauthProviders.ts"
import * as Redirects from "./internal/providers/redirects.ts"
import type { Served } from "./internal/served.ts"
import * as Mail from "./Mail.ts"
import * as Password from "./Password.ts"
import * as Push from "./Push.ts"
import type * as RateLimits from "./RateLimits.ts"
import * as Sessions from "./Sessions.ts"
import * as SigningKeys from "./SigningKeys.ts"
import * as Tokens from "./Tokens.ts"

// -----------------------------------------------------------------------------
// Options
// -----------------------------------------------------------------------------

/** How an app is served. Everything but the app has a default. */
export interface Options<E = never, R = never> {
  readonly app: AppDefinition
  /**
   * The origin that clients reach the server at, such as `https://realm.example`; by default the one each request was
   * sent to. Behind a proxy that ends TLS it has to be given.
   */
  readonly publicUrl?: string
  /** Largest request body, in bytes; 18 MiB by default. */
  readonly maxBodySize?: number
  /** Life of an access token; 30 minutes by default. */
  readonly accessTokenLifetime?: Duration.Input
  /** Life of a session; 60 days by default. Those of anonymous users last 50 years, as nobody could log in to them again. */
  readonly refreshTokenLifetime?: Duration.Input
  /** How often somebody may try to log in, and may have mails sent. */
  readonly limits?: RateLimits.Options
  /**
   * How many proxies of your own are between the clients and the server; none by default. Then `X-Forwarded-For` says where
   * a request comes from, for limits and for `context.request` of functions.
   */
  readonly proxies?: number
  /** How hard passwords are hashed. */
  readonly passwords?: Password.Options
  /** How functions are run. */
  readonly functions?: Functions.Options
  /** Which other servers functions may reach by `context.http`; by default every one with a public address. */
  readonly http?: FunctionHttp.Options
  /**
   * Functions that run as Effects in the server's process, beside those of the app: `FunctionGroup.layer`, or several merged. Of
   * what they need the server has {@link GroupServices}.
   */
  readonly functionGroups?: Layer.Layer<FunctionGroup, E, R>
  /** Where Google, Apple and Facebook are, for tests and for proxies; where they really are by default. */
  readonly issuers?: {
    /** OpenID issuer, with its discovery document below; `https://accounts.google.com` by default. */
    readonly google?: string
    /** OpenID issuer, with its discovery document below; `https://appleid.apple.com` by default. */
    readonly apple?: string
    /** The Graph API with its version; `https://graph.facebook.com/v23.0` by default. */
    readonly facebookGraph?: string
    /** Where the page for a log-in is, with its version; `https://www.facebook.com/v23.0` by default. */
    readonly facebookDialog?: string
  }
  /**
   * What requests go through: the server's own, such as those for the keys of an issuer, and those of functions. By default
   * `FetchHttpClient`, and for functions one that looks at the addresses that names lead to.
   */
  readonly httpClient?: Layer.Layer<HttpClient.HttpClient>
}

const Lifetime = Schema.Unknown.check(
  Schema.makeFilter((input) =>
    Option.exists(
        Duration.fromInput(input as Duration.Input),
        (duration) => Duration.isFinite(duration) && Duration.toSeconds(duration) >= 1
      )
      ? undefined
      : "Expected a duration of at least a second, such as \"30 minutes\""
  )
)

const Issuer = Schema.optionalKey(Schema.String.check(
  Schema.makeFilter((url) =>
    PublicUrl.isSafe(url) ? undefined : "Expected a URL that begins with https://; http:// is for localhost only"
  )
))

const Checked = Schema.Struct({
  issuers: Schema.optionalKey(
    Schema.Struct({ google: Issuer, apple: Issuer, facebookGraph: Issuer, facebookDialog: Issuer })
  ),
  app: Schema.declare((app): app is AppDefinition => app instanceof AppDefinition, {
    expected: "an app, as AppDefinition.make and AppFolder.load answer one"
  }),
  publicUrl: Schema.optionalKey(Schema.String.check(
    Schema.makeFilter((url) =>
      PublicUrl.isOrigin(url)
        ? undefined
        : "Expected an origin such as \"https://realm.example\", without a path"
    )
  )),
  maxBodySize: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))),
  limits: Schema.optionalKey(
    Schema.Record(
      Schema.String,
      Schema.Struct({ limit: Schema.Int.check(Schema.isGreaterThanOrEqualTo(1)), window: Lifetime })
    )
  ),
  proxies: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 16 }))),
  accessTokenLifetime: Schema.optionalKey(Lifetime),
  refreshTokenLifetime: Schema.optionalKey(Lifetime)
})

const check = Schema.decodeUnknownSync(Checked)

/**
 * What an app asks for and would not get, in sentences; it is served all the same. The layers here log them at their start.
 *
 * @param options.mail `true` where mails can be sent
 *
 * ```ts
 * import { AppDefinition, RealmServer } from "@effect-realm/server"
 *
 * const app = AppDefinition.make({
 *   appId: "shop-abcde",
 *   authProviders: { emailPassword: { autoConfirm: true, resetPasswordUrl: "https://shop.example/reset" } }
 * })
 * RealmServer.warnings(app, { mail: true }) // => []
 * RealmServer.warnings(app, { mail: false }).length // => 1
 * ```
 */
export const warnings = (app: AppDefinition, options: { readonly mail: boolean }): ReadonlyArray<string> => {
  const provider = app.authProviders.emailPassword
  if (provider?.enabled !== true) return []
  const lacks = (field: string, url: string | undefined): string | undefined =>
    !LinkMail.isPage(url)
      ? `the app's ${field} is not the URL of a page; set it, or use a function.`
      : options.mail
      ? undefined
      : "no mail server is configured; set EFFECT_REALM_MAIL_URL and EFFECT_REALM_MAIL_FROM, or use a function."
  const confirmation = confirmationMethod(provider) === "Mail"
    ? lacks("emailConfirmationUrl", provider.emailConfirmationUrl)
    : undefined
  const reset = resetMethod(provider) === "Mail" ? lacks("resetPasswordUrl", provider.resetPasswordUrl) : undefined
  return [
    ...(confirmation === undefined
      ? []
      : [`email addresses are confirmed by mail and none can be sent, so nobody can register: ${confirmation}`]),
    ...(reset === undefined
      ? []
      : [`passwords are reset by mail and none can be sent, so nobody can reset theirs: ${reset}`])
  ]
}

const confirmationMethod = (provider: AuthProvider.EmailPassword | undefined): EmailAccounts.Confirmation["_tag"] =>
  provider?.autoConfirm === true ? "Automatic" : provider?.runConfirmationFunction === true ? "Function" : "Mail"

const resetMethod = (provider: AuthProvider.EmailPassword | undefined): EmailAccounts.Reset["_tag"] =>
  provider?.runResetFunction === true ? "Function" : "Mail"

// -----------------------------------------------------------------------------
// Layers
// -----------------------------------------------------------------------------

/** The services behind the endpoints, for programs that look after users. */
export type Services =
  | Accounts.Accounts
  | ApiKeys.ApiKeys
  | Authentication.Authentication
  | Documents.Documents
  | EmailAccounts.EmailAccounts
  | Functions.Functions
  | Push.Push
  | Sessions.Sessions
  | SigningKeys.SigningKeys
  | Tokens.Tokens

/**
 * What of the server the handlers of a `FunctionGroup` find without anybody providing it, beside `Mail` and the `Functions` of
 * their call. With `Accounts` and `Sessions` a handler disables a user and ends what they are logged in by.
 *
 * `Authentication` and `EmailAccounts` are not there: they run functions of the app (for a new user, to confirm, to reset), and
 * from inside of a call these would wait for a place in the workers that those hold who wait for the call. A program beside
 * the server registers users and sends resets by the two: they are among its {@link Services}.
 */
export type GroupServices =
  | Accounts.Accounts
  | ApiKeys.ApiKeys
  | CustomUserData.CustomUserData
  | Documents.Documents
  | Push.Push
  | Sessions.Sessions

interface Means {
  readonly functions: AppFunctions.AppFunctions["Service"]
  readonly mail: Mail.Mail
  readonly attempts: Attempts.Attempts["Service"]
}

const confirmationOf = (app: AppDefinition, { attempts, functions, mail }: Means): EmailAccounts.Confirmation => {
  const provider = app.authProviders.emailPassword
  const _tag = confirmationMethod(provider)
  if (_tag === "Automatic") return { _tag }
  if (_tag === "Function") {
    const name = provider?.confirmationFunctionName ?? ""
    return {
      _tag,
      run: (request) => Effect.andThen(attempts.message(request.email, _tag), functions.confirm(name, request))
    }
  }
  const send = LinkMail.sender(mail, {
    url: provider?.emailConfirmationUrl,
    subject: provider?.confirmEmailSubject,
    purpose: "confirm your email address"
  })
  return { _tag, send: (request) => Effect.andThen(attempts.message(request.email, _tag), send(request)) }
}

const resetOf = (app: AppDefinition, { attempts, functions, mail }: Means): EmailAccounts.Reset => {
  const provider = app.authProviders.emailPassword
  const _tag = resetMethod(provider)
  if (_tag === "Function") {
    const name = provider?.resetFunctionName ?? ""
    return {
      _tag,
      run: (request, args) =>
        Effect.andThen(attempts.message(request.email, _tag), functions.reset(name, request, args))
    }
  }
  const send = LinkMail.sender(mail, {
    url: provider?.resetPasswordUrl,
    subject: provider?.resetPasswordSubject,
    purpose: "set a new password"
  })
  return { _tag, send: (request) => Effect.andThen(attempts.message(request.email, _tag), send(request)) }
}

const day = Duration.days(1)

const services = <E, R>(options: Options<E, R>, ids: AppIds.AppIds) => {
  const { app } = options
  const lifetimes: Authentication.Lifetimes = {
    accessToken: Duration.fromInputUnsafe(options.accessTokenLifetime ?? Duration.minutes(30)),
    refreshToken: Duration.fromInputUnsafe(options.refreshTokenLifetime ?? Duration.times(day, 60)),
    anonymousRefreshToken: Duration.times(day, 50 * 365)
  }
  const onUserCreation = app.customUserData?.enabled === true
    ? app.customUserData.onUserCreationFunctionName
    : undefined

  const accounts = Accounts.layer(ids)
  const customUserData = CustomUserData.layer(app.customUserData)
  const documents = Documents.layer(app)
  const push = Layer.provide(Push.layer({ database: ids.database, services: app.pushServices }), accounts)
  const httpServices = Layer.provideMerge(
    HttpServices.layer(app),
    Layer.provide(FunctionHttp.layer(options.http), options.httpClient ?? GuardedHttpClient.layer)
  )
  // Whatever else functions may ask is merged in here, see `FunctionServices`.
  const functionServices = Layer.mergeAll(
    httpServices,
    Layer.provide(DocumentService.layer(app), documents),
    Layer.provide(PushService.layer(app), push)
  )
  const keysAndSessions = Layer.provideMerge(ApiKeys.layer(ids), Sessions.layer(ids))
  const executors = Layer.provide(Executor.layer, [accounts, customUserData])
  const groupServices: Layer.Layer<GroupServices, DatabaseError, Database> = Layer.mergeAll(
    Layer.provideMerge(keysAndSessions, accounts),
    customUserData,
    documents,
    push
  )
  const own = Layer.provide(Functions.layer(app, options.functions), Layer.merge(functionServices, executors))
  const functions = Layer.provideMerge(
    AppFunctions.layer,
    options.functionGroups === undefined
      ? own
      : Layer.provide(own, Layer.provide(options.functionGroups, groupServices))
  )
  const emailAccounts = Layer.unwrap(Effect.gen(function*() {
    const mail = yield* Mail.Mail
    const means = { functions: yield* AppFunctions.AppFunctions, attempts: yield* Attempts.Attempts, mail }
    yield* Effect.forEach(warnings(app, { mail: mail.isConfigured }), (warning) => Effect.logWarning(warning))
    return EmailAccounts.layer({
      database: ids.database,
      confirmation: confirmationOf(app, means),
      reset: resetOf(app, means)
    })
  })).pipe(Layer.provide(Password.layer(options.passwords)))
  const authentication = Layer.unwrap(Effect.map(AppFunctions.AppFunctions, (functions) =>
    Authentication.layer({
      domainId: ids.domainId,
      lifetimes,
      onUserCreation: (user) =>
        onUserCreation === undefined ? Effect.void : functions.onUserCreation(onUserCreation, user)
    })))

  return authentication.pipe(
    Layer.provideMerge(Layer.mergeAll(
      emailAccounts,
      keysAndSessions,
      customUserData,
      documents,
      push,
      Tokens.layer(ids)
    )),
    Layer.provideMerge(Layer.mergeAll(accounts, SigningKeys.layer, functions, httpServices))
  )
}

/**
 * All routes of the app as a layer of the `HttpRouter`, and the services behind them.
 *
 * Throws a `SchemaError` that names the option when one is of the wrong type.
 *
 * ```ts
 * import { AppDefinition, Database, RealmServer } from "@effect-realm/server"
 * import { Layer } from "effect"
 * import { HttpRouter } from "effect/http"
 *
 * const app = AppDefinition.make({ appId: "shop-abcde", authProviders: { anonymous: {} } })
 * const routes = Layer.provide(RealmServer.layer({ app }), Database.layerMemory)
 * const { dispose, handler } = HttpRouter.toWebHandler(routes, { disableLogger: true })
 *
 * const response = await handler(
 *   new Request("http://localhost/api/client/v2.0/app/shop-abcde/auth/providers/anon-user/login", { method: "POST" })
 * )
 * response.status // => 200
 * await dispose()
 * ```
 */
export const layer = <E = never, R = never>(
  options: Options<E, R>
): Layer.Layer<Services, DatabaseError | E, HttpRouter.HttpRouter | Database | Exclude<R, GroupServices>> => {
  check(options)
  const { app, maxBodySize = 18 * 1024 * 1024, publicUrl } = options
  const ids = AppIds.make(app.appId)
  const { limits = {}, proxies = 0 } = options
  const served: Served = {
    app,
    ids,
    proxies,
    place: { ...ids, publicUrl },
    issuers: { ...defaultIssuers, ...options.issuers }
  }

  const routes = Layer.mergeAll(
    HttpApiBuilder.layer(Api).pipe(
      Layer.provide(Handlers.layer(served)),
      Layer.provide(Redirects.layer(served)),
      Layer.provide(Bearer.layer(served.place))
    ),
    ProviderRoutes.layer(served),
    RequestShell.layer({ place: served.place, allowedOrigins: app.allowedRequestOrigins, maxBodySize })
  )
  return routes.pipe(
    Layer.provide(DocumentStreams.layer(app)),
    Layer.provide(Layer.provide(LogIns.layer(served), options.httpClient ?? FetchHttpClient.layer)),
    Layer.provideMerge(services(options, ids)),
    Layer.provide(Attempts.layer({ database: ids.database, limits, proxies })),
    Layer.provide(HttpServer.layerServices)
  )
}
