/**
 * What an App Services server answers when it refuses: `{ error, error_code, link }` (protocol section 11).
 *
 * Every code of the protocol belongs to exactly one family. A family is one error class with a tagged `reason`, one
 * reason per code that a program may want to tell apart, so that `Effect.catchTag` picks the family and
 * `Effect.catchReason` the code. Codes of tomorrow arrive as {@link UnknownServiceError}.
 */
import { identity } from "effect/Function"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import * as SchemaTransformation from "effect/SchemaTransformation"

// -----------------------------------------------------------------------------
// Model
// -----------------------------------------------------------------------------

/** What is known of one code: the status it usually travels with, and what the reader of the error can do. */
export interface Code {
  /** HTTP status our server answers with; the client accepts the code with any status. */
  readonly status: number
  /** What to do about it, appended to the server's own message. */
  readonly advice: string
  /** `true` for reasons that the wire tells by status and text alone, without an `error_code`. */
  readonly codeless?: true
}

const withoutCode = { codeless: true } as const

/** Codes about who somebody is: log-in, registration, confirmation, password reset. */
export const authCodes = {
  InvalidPassword: { status: 401, advice: "The email address or the password is wrong, or there is no such user." },
  AuthError: {
    status: 401,
    advice: "The credentials were not accepted; an email address may still wait for confirmation."
  },
  AuthProviderNotFound: {
    status: 404,
    advice: "Switch this authentication provider on in the app's auth/providers.json."
  },
  AuthProviderAlreadyExists: { status: 409, advice: "Choose another provider." },
  AuthProviderDuplicateName: { status: 409, advice: "Choose another provider name." },
  AccountNameInUse: { status: 409, advice: "Log in instead, or register another email address." },
  UserNotFound: { status: 404, advice: "Register the email address first." },
  UserAlreadyConfirmed: { status: 400, advice: "Nothing to do: log in." },
  UserpassTokenInvalid: { status: 400, advice: "Ask for a new link: tokens work once and for 30 minutes." },
  InvalidRedirectURI: { status: 400, advice: "Add the URI to the provider's redirect_uris." },
  LinkingNotSupported: { status: 400, advice: "Log in with this provider instead of linking it." },
  DomainNotAllowed: { status: 403, advice: "The provider's domain_restrictions do not list this domain." }
} as const satisfies Record<string, Code>

/** Codes about the tokens of a request. */
export const sessionCodes = {
  InvalidSession: { status: 401, advice: "The session has expired or was ended: log in again." },
  MissingAuthReq: { status: 401, advice: "Log in first: the request carried no token." },
  InvalidAuthReq: { status: 401, advice: "Log in again: the token could not be read." },
  UserAppDomainMismatch: { status: 401, advice: "The token belongs to another app: log in to this one." },
  UserDisabled: { status: 401, advice: "An administrator of the app has to enable this user." },
  Unauthorized: { status: 401, advice: "The token was not accepted: log in again.", ...withoutCode }
} as const satisfies Record<string, Code>

/** Codes about running a function. */
export const functionCodes = {
  FunctionNotFound: { status: 404, advice: "Check the name against the app's functions/ folder." },
  FunctionExecutionError: { status: 400, advice: "The function itself failed; its own message is above." },
  ExecutionTimeLimitExceeded: { status: 400, advice: "Make the function do less, or raise the server's time limit." },
  NotCallable: { status: 400, advice: "Clients may not call this function, or not like this; the message says why." },
  UncaughtPromiseRejection: { status: 400, advice: "Await every promise inside the function." },
  PromiseRejected: { status: 400, advice: "The function's promise was rejected; its own message is above." },
  OperationCanceled: { status: 400, advice: "The call was cancelled on the server." },
  ExecutionMemoryLimitExceeded: { status: 400, advice: "Make the function use less memory." },
  FunctionMaxStackDepthError: { status: 400, advice: "Make the function recurse less deeply." },
  FunctionSyntaxError: { status: 400, advice: "Mend the function's source." },
  FunctionInvalid: { status: 400, advice: "Mend the function's source." },
  FunctionAlreadyExists: { status: 409, advice: "Choose another function name." },
  FunctionDuplicateName: { status: 409, advice: "Choose another function name." },
  ArgumentsNotAllowed: { status: 400, advice: "A rule of the app refuses these arguments." }
} as const satisfies Record<string, Code>

/** Codes about documents and their rules. */
export const dataCodes = {
  MongoDBError: { status: 400, advice: "The database refused the operation; its own message is above." },
  ReadSizeLimitExceeded: { status: 400, advice: "Read less at once." },
  // Answers to a watch that asks to be resumed, which no client of App Services does (`MongoDBService.WatchArgs`).
  ChangeStreamHistoryLost: { status: 400, advice: "Watch from now on, and read again what may have changed." },
  InvalidResumeToken: { status: 400, advice: "Resume only what this server told of the same collection." },
  NoMatchingRuleFound: { status: 403, advice: "Add a rule for this collection to the app." },
  NoMatchingRoleFound: { status: 403, advice: "No role of the collection applies to this user." },
  SchemaValidationFailedWrite: { status: 400, advice: "The document does not fit the collection's schema or rules." },
  SchemaValidationFailedRead: { status: 400, advice: "A stored document does not fit the collection's schema." },
  RuleNotFound: { status: 404, advice: "Check the app's rules." },
  RuleAlreadyExists: { status: 409, advice: "Check the app's rules." },
  RuleDuplicateName: { status: 409, advice: "Check the app's rules." }
} as const satisfies Record<string, Code>

/** Codes about API keys. */
export const apiKeyCodes = {
  APIKeyNotFound: { status: 404, advice: "This user has no such API key." },
  APIKeyAlreadyExists: { status: 409, advice: "Choose another key name." }
} as const satisfies Record<string, Code>

/** Codes about the app's services (data sources, push, third parties), values and webhooks. */
export const serviceCodes = {
  ServiceNotFound: { status: 404, advice: "Check the service name against the app's configuration." },
  ServiceTypeNotFound: { status: 404, advice: "Check the service type against the app's configuration." },
  ServiceAlreadyExists: { status: 409, advice: "Choose another service name." },
  ServiceCommandNotFound: { status: 400, advice: "The service has no command of this name." },
  TwilioError: { status: 400, advice: "Twilio refused; its own message is above." },
  GCMError: { status: 400, advice: "The push service refused; its own message is above." },
  HTTPError: { status: 400, advice: "The HTTP service failed; its own message is above." },
  AWSError: { status: 400, advice: "AWS refused; its own message is above." },
  ValueNotFound: { status: 404, advice: "Check the app's values/ folder." },
  ValueAlreadyExists: { status: 409, advice: "Choose another value name." },
  ValueDuplicateName: { status: 409, advice: "Choose another value name." },
  IncomingWebhookNotFound: { status: 404, advice: "Check the app's webhooks." },
  IncomingWebhookAlreadyExists: { status: 409, advice: "Choose another webhook name." },
  IncomingWebhookDuplicateName: { status: 409, advice: "Choose another webhook name." },
  IncomingWebhookAuthFailed: { status: 401, advice: "Check the webhook's secret." }
} as const satisfies Record<string, Code>

/** Codes about the form of a request. */
export const requestCodes = {
  BadRequest: { status: 400, advice: "Correct the request; the message says what is wrong." },
  InvalidParameter: { status: 400, advice: "Correct the parameter that the message names." },
  MissingParameter: { status: 400, advice: "Add the parameter that the message names." },
  InvalidJSON: { status: 400, advice: "Send a JSON body." },
  EndpointNotFound: { status: 404, advice: "Check the base URL: the server does not know this path." },
  Forbidden: { status: 403, advice: "This session may not do that; the message says why.", ...withoutCode },
  PayloadTooLarge: { status: 413, advice: "Send less at once.", ...withoutCode },
  UnsupportedMediaType: { status: 415, advice: "Send Content-Type: application/json.", ...withoutCode },
  TooManyRequests: { status: 429, advice: "Wait, then try again.", ...withoutCode }
} as const satisfies Record<string, Code>

/** Codes about the app or its server as a whole. */
export const appCodes = {
  AppNotFound: { status: 404, advice: "Check the app id and the base URL.", ...withoutCode },
  InternalServerError: { status: 500, advice: "Try again later; the server's log says more." },
  MaintenanceInProgress: { status: 500, advice: "Try again later." },
  RestrictedHost: { status: 403, advice: "The app does not accept requests from this address." },
  RestrictedUIIP: { status: 403, advice: "The app does not accept requests from this address." }
} as const satisfies Record<string, Code>

/** What a refusal carries beside its code: the server's message, and what its answer says around it. */
export interface Refusal {
  readonly message: string
  readonly status: number
  readonly link?: string
  readonly retryAfter?: number
}

const optionalFields = {
  /** Address of the server's log entry, when it sent one. */
  link: Schema.optionalKey(Schema.String),
  /** Milliseconds after which the server wants to be asked again, when it said so (`Retry-After`). */
  retryAfter: Schema.optionalKey(Schema.Finite)
}

const refusalFields = {
  /** The server's own words, never empty. */
  message: Schema.String,
  /** HTTP status of the answer. */
  status: Schema.Int,
  ...optionalFields
}

type Reasons<Codes extends Record<string, Code>> = Schema.TaggedUnion<
  { readonly [K in keyof Codes & string]: Schema.TaggedStruct<K, typeof refusalFields> }
>

const reasons = <Codes extends Record<string, Code>>(codes: Codes): Reasons<Codes> =>
  // The keys of the result are the keys of `codes`, which `fromEntries` cannot express.
  Schema.TaggedUnion(
    Object.fromEntries(Object.keys(codes).map((code) => [code, refusalFields]))
  ) as unknown as Reasons<Codes>

const describe = (codes: Record<string, Code>, reason: Refusal & { readonly _tag: string }): string =>
  `${reason._tag}: ${reason.message} (status ${reason.status}). ${codes[reason._tag]!.advice}`

// -----------------------------------------------------------------------------
// Families
// -----------------------------------------------------------------------------

/** Who somebody is could not be established: log-in, registration, confirmation, password reset (protocol sections 3.4, 6). */
export class AuthError extends Schema.TaggedError<AuthError>("@effect-realm/protocol/AuthError")("AuthError", {
  reason: reasons(authCodes)
}) {
  override get message(): string {
    return describe(authCodes, this.reason)
  }
}

/**
 * The token of a request was refused, or its session has ended (protocol section 5.1).
 *
 * ```ts
 * import { RealmError } from "@effect-realm/protocol"
 *
 * RealmError.make("InvalidSession", "the server's words") instanceof RealmError.SessionError // => true
 * ```
 */
export class SessionError
  extends Schema.TaggedError<SessionError>("@effect-realm/protocol/SessionError")("SessionError", {
    reason: reasons(sessionCodes)
  })
{
  override get message(): string {
    return describe(sessionCodes, this.reason)
  }
}

/** A function was not found, not callable, or failed (protocol section 8.2). */
export class FunctionError
  extends Schema.TaggedError<FunctionError>("@effect-realm/protocol/FunctionError")("FunctionError", {
    reason: reasons(functionCodes)
  })
{
  override get message(): string {
    return describe(functionCodes, this.reason)
  }
}

/**
 * The database or the rules of a collection refused (protocol section 9.3).
 *
 * ```ts
 * import { RealmError } from "@effect-realm/protocol"
 *
 * RealmError.make("MongoDBError", "the server's words") instanceof RealmError.DataError // => true
 * ```
 */
export class DataError extends Schema.TaggedError<DataError>("@effect-realm/protocol/DataError")("DataError", {
  reason: reasons(dataCodes)
}) {
  override get message(): string {
    return describe(dataCodes, this.reason)
  }
}

/**
 * An API key was not found or its name is taken (protocol section 7).
 *
 * ```ts
 * import { RealmError } from "@effect-realm/protocol"
 *
 * RealmError.make("APIKeyNotFound", "the server's words") instanceof RealmError.ApiKeyError // => true
 * ```
 */
export class ApiKeyError extends Schema.TaggedError<ApiKeyError>("@effect-realm/protocol/ApiKeyError")("ApiKeyError", {
  reason: reasons(apiKeyCodes)
}) {
  override get message(): string {
    return describe(apiKeyCodes, this.reason)
  }
}

/**
 * A service, value or webhook of the app was not found or failed (protocol sections 9, 10).
 *
 * ```ts
 * import { RealmError } from "@effect-realm/protocol"
 *
 * RealmError.make("ServiceNotFound", "the server's words") instanceof RealmError.ServiceError // => true
 * ```
 */
export class ServiceError
  extends Schema.TaggedError<ServiceError>("@effect-realm/protocol/ServiceError")("ServiceError", {
    reason: reasons(serviceCodes)
  })
{
  override get message(): string {
    return describe(serviceCodes, this.reason)
  }
}

/**
 * The request itself was not acceptable: wrong fields, wrong form, too large, too many.
 *
 * ```ts
 * import { RealmError } from "@effect-realm/protocol"
 *
 * RealmError.make("InvalidParameter", "the server's words") instanceof RealmError.RequestError // => true
 * ```
 */
export class RequestError
  extends Schema.TaggedError<RequestError>("@effect-realm/protocol/RequestError")("RequestError", {
    reason: reasons(requestCodes)
  })
{
  override get message(): string {
    return describe(requestCodes, this.reason)
  }
}

/**
 * The app is unknown here, or its server as a whole cannot answer now.
 *
 * ```ts
 * import { RealmError } from "@effect-realm/protocol"
 *
 * RealmError.make("MaintenanceInProgress", "the server's words") instanceof RealmError.AppError // => true
 * ```
 */
export class AppError extends Schema.TaggedError<AppError>("@effect-realm/protocol/AppError")("AppError", {
  reason: reasons(appCodes)
}) {
  override get message(): string {
    return describe(appCodes, this.reason)
  }
}

/**
 * A refusal whose code this version does not know, that carries no code, or that the operation does not expect: codes of
 * tomorrow. `code` is the server's `error_code`, as sent.
 *
 * ```ts
 * import { RealmError } from "@effect-realm/protocol"
 * import { Option } from "effect"
 *
 * const error = RealmError.fromWire(400, { error: "too much of it", error_code: "QuotaExceeded" })
 * Option.exists(error, (error) => error instanceof RealmError.UnknownServiceError) // => true
 * ```
 */
export class UnknownServiceError
  extends Schema.TaggedError<UnknownServiceError>("@effect-realm/protocol/UnknownServiceError")("UnknownServiceError", {
    code: Schema.optionalKey(Schema.String),
    detail: Schema.String,
    status: Schema.Int,
    ...optionalFields
  })
{
  override get message(): string {
    return `${this.code ?? "No error code"}: ${this.detail} (status ${this.status}). ` +
      "This version knows no more about it; the server's log does."
  }
}

const families = {
  AuthError: [AuthError, authCodes],
  SessionError: [SessionError, sessionCodes],
  FunctionError: [FunctionError, functionCodes],
  DataError: [DataError, dataCodes],
  ApiKeyError: [ApiKeyError, apiKeyCodes],
  ServiceError: [ServiceError, serviceCodes],
  RequestError: [RequestError, requestCodes],
  AppError: [AppError, appCodes]
} as const

interface CodesOf {
  readonly AuthError: keyof typeof authCodes
  readonly SessionError: keyof typeof sessionCodes
  readonly FunctionError: keyof typeof functionCodes
  readonly DataError: keyof typeof dataCodes
  readonly ApiKeyError: keyof typeof apiKeyCodes
  readonly ServiceError: keyof typeof serviceCodes
  readonly RequestError: keyof typeof requestCodes
  readonly AppError: keyof typeof appCodes
}

interface ClassOf {
  readonly AuthError: AuthError
  readonly SessionError: SessionError
  readonly FunctionError: FunctionError
  readonly DataError: DataError
  readonly ApiKeyError: ApiKeyError
  readonly ServiceError: ServiceError
  readonly RequestError: RequestError
  readonly AppError: AppError
}

/** The name of a family, which is also the `_tag` of its error class. */
export type Family = keyof CodesOf

/** Every code of the protocol that belongs to a family. */
export type ErrorCode = CodesOf[Family]

/** The error class a code belongs to. */
export type ErrorOf<C extends ErrorCode> = { [F in Family]: C extends CodesOf[F] ? ClassOf[F] : never }[Family]

/** Any refusal of the server. */
export type RealmError = ClassOf[Family] | UnknownServiceError

/** Every code with its family, usual status and advice: the table of protocol section 11.2. */
export const table: ReadonlyMap<string, Code & { readonly family: Family }> = new Map(
  Object.entries(families).flatMap(([family, [, codes]]) =>
    // `families` has exactly the keys of `Family`.
    Object.entries<Code>(codes).map(([code, known]) => [code, { ...known, family: family as Family }] as const)
  )
)

// The same refusal under the name that newer servers give it.
const aliases: Record<string, ErrorCode> = { FunctionNotCallable: "NotCallable" }

// -----------------------------------------------------------------------------
// Constructors
// -----------------------------------------------------------------------------

/**
 * The error of a code, with the code's usual status unless told otherwise.
 *
 * @param code a code of {@link table}; the family follows from it
 * @param message the words for the person who reads the error
 *
 * ```ts
 * import { RealmError } from "@effect-realm/protocol"
 *
 * const error = RealmError.make("InvalidPassword", "unauthorized")
 * error._tag // => "AuthError"
 * error.reason.status // => 401
 * ```
 */
export const make = <C extends ErrorCode>(
  code: C,
  message: string,
  options?: Omit<Partial<Refusal>, "message">
): ErrorOf<C> => {
  const known = table.get(code)!
  const [Class] = families[known.family]
  const reason = {
    _tag: code,
    message,
    status: options?.status ?? known.status,
    ...optional(options)
  }
  // The table maps each code to its own family, a relation between two maps that the compiler cannot follow.
  const Family = Class as unknown as new(fields: { readonly reason: Refusal & { readonly _tag: C } }) => ErrorOf<C>
  return new Family({ reason })
}

// -----------------------------------------------------------------------------
// The wire
// -----------------------------------------------------------------------------

/** The body of every refusal (protocol section 11.1). */
export const Wire: Schema.Codec<Wire> = Schema.Struct({
  error: Schema.String,
  error_code: Schema.optionalKey(Schema.String),
  link: Schema.optionalKey(Schema.String)
}).annotate({ identifier: "Error" })

/** The body of every refusal (protocol section 11.1). */
export interface Wire {
  readonly error: string
  readonly error_code?: string
  readonly link?: string
}

const codelessReason = (status: number, message: string): ErrorCode | undefined => {
  switch (status) {
    case 400:
      return "BadRequest"
    case 401:
      return "Unauthorized"
    case 403:
      return "Forbidden"
    case 404:
      return message.startsWith("cannot find app using Client App ID") ? "AppNotFound" : undefined
    case 413:
      return "PayloadTooLarge"
    case 415:
      return "UnsupportedMediaType"
    case 429:
      return "TooManyRequests"
    default:
      return undefined
  }
}

/** How many characters of a text of the server an error keeps: enough for a function that throws a document as JSON. */
const longestText = 16_384

const text = (value: unknown, redact: (words: string) => string = identity): string | undefined => {
  if (typeof value !== "string" || value === "") return undefined
  const shown = redact(value)
  return shown.length <= longestText ? shown : `${shown.slice(0, longestText)}… (${shown.length} characters)`
}

/**
 * Reads the parsed body of an answer with an error status. `None` when it is no refusal of this protocol: a page of a
 * proxy, say, or a body of another shape.
 *
 * The code decides, whatever the status. Without a code, some statuses speak for themselves: 401 is
 * `SessionError.Unauthorized`, 400 `RequestError.BadRequest` (protocol sections 5.1, 6, 8.2). Of a text that is longer than
 * 16,384 characters the error keeps the beginning.
 *
 * @param options.retryAfter milliseconds that the answer's `Retry-After` asks to wait
 * @param options.redact takes out of the server's words what nobody may see; what the refusal is goes by the words as they came
 *
 * ```ts
 * import { RealmError } from "@effect-realm/protocol"
 * import { Option } from "effect"
 *
 * const error = RealmError.fromWire(404, { error: "function not found: 'x'", error_code: "FunctionNotFound" })
 * Option.map(error, (error) => error._tag) // => Option.some("FunctionError")
 * ```
 */
export const fromWire = (
  status: number,
  body: unknown,
  { redact = identity, retryAfter }: {
    readonly retryAfter?: number | undefined
    readonly redact?: (words: string) => string
  } = {}
): Option.Option<RealmError> => {
  if (!Predicate.isReadonlyObject(body)) return Option.none()
  const wire: { readonly [key: string]: unknown } = body
  const code = text(wire["error_code"])
  const message = text(wire["error"])
  if (code === undefined && message === undefined) return Option.none()
  const detail = text(wire["error"], redact) || "no error message"
  const options = { status, ...optional({ link: text(wire["link"], redact), retryAfter }) }
  // By the words as they came: a secret may be one of them.
  const known = code === undefined ? codelessReason(status, message ?? detail) : errorCode(code)
  return Option.some(
    known === undefined
      ? new UnknownServiceError({ detail, ...options, ...(code === undefined ? undefined : { code: redact(code) }) })
      : make(known, detail, options)
  )
}

const errorCode = (code: string): ErrorCode | undefined => {
  const known = table.get(code)
  if (known === undefined) return Object.hasOwn(aliases, code) ? aliases[code] : undefined
  // The keys of `table` are the error codes; a codeless reason is not a code of the wire.
  return known.codeless === true ? undefined : code as ErrorCode
}

/**
 * The body of a refusal, as it travels.
 *
 * ```ts
 * import { RealmError } from "@effect-realm/protocol"
 *
 * const body = RealmError.toWire(RealmError.make("InvalidPassword", "unauthorized"))
 * body // => { error: "unauthorized", error_code: "InvalidPassword" }
 * ```
 */
export const toWire = (error: RealmError): Wire => {
  if (error._tag === "UnknownServiceError") {
    return {
      error: error.detail,
      ...(error.code === undefined ? undefined : { error_code: error.code }),
      ...optional({ link: error.link })
    }
  }
  const { _tag, link, message } = error.reason
  return {
    error: message,
    ...(table.get(_tag)!.codeless === true ? undefined : { error_code: _tag }),
    ...optional({ link })
  }
}

/** HTTP status of a refusal. */
export const status = (error: RealmError): number =>
  error._tag === "UnknownServiceError" ? error.status : error.reason.status

const statuses = [400, 401, 403, 404, 409, 413, 415, 429, 500, 503] as const

/** A codec for the refusals of some families with one status, as an `HttpApi` endpoint declares it. */
export type WireCodec<F extends Family> = Schema.Codec<ClassOf[F] | UnknownServiceError, Wire>

const familiesOf = SchemaAST.resolveAt<ReadonlySet<string>>("~effect-realm/RealmError/families")

/**
 * The refusals of an endpoint: the families it can answer with, one codec a status. `RequestError`, `AppError` and
 * {@link UnknownServiceError} belong to every endpoint and are always among them.
 *
 * ```ts
 * import { RealmError } from "@effect-realm/protocol"
 * import { HttpApiEndpoint } from "effect/http-api"
 *
 * const endpoint = HttpApiEndpoint.get("keys", "/api/client/v2.0/auth/api_keys", {
 *   error: RealmError.responses(["ApiKeyError", "SessionError"])
 * })
 * endpoint.error.size // => RealmError.responses(["ApiKeyError"]).length
 * ```
 */
export const responses = <F extends Family>(
  expected: ReadonlyArray<F>
): ReadonlyArray<WireCodec<F | "RequestError" | "AppError">> => {
  type Expected = ClassOf[F | "RequestError" | "AppError"] | UnknownServiceError
  const families: ReadonlySet<string> = new Set([...expected, "RequestError", "AppError"])
  const isExpected = (error: unknown): error is Expected => isRealmError(error) && isMember(error, families)
  return statuses.map((code) =>
    Wire.pipe(
      Schema.decodeTo(
        Schema.declare(
          (error): error is Expected => isExpected(error) && status(error) === code,
          { expected: `a refusal with status ${code}` }
        ),
        SchemaTransformation.transform<Expected, Wire>({
          decode: (body) => {
            const error = Option.getOrElse(fromWire(code, body), () => unknown(code, body))
            return isExpected(error) ? error : asUnknown(error)
          },
          encode: toWire
        })
      )
    ).annotate({ "~effect-realm/RealmError/families": families }).pipe(HttpApiSchema.status(code))
  )
}

/**
 * A refusal as an endpoint's declaration allows it: one of a family that the endpoint does not expect becomes an
 * {@link UnknownServiceError}, with the code kept.
 *
 * @param declared the `error` schemas of the endpoint
 *
 * ```ts
 * import { Endpoint, RealmError } from "@effect-realm/protocol"
 *
 * const error = RealmError.make("APIKeyNotFound", "API key not found")
 * RealmError.narrow(error, Endpoint.location.error)._tag // => "UnknownServiceError"
 * ```
 */
export const narrow = (error: RealmError, declared: Iterable<Schema.Top>): RealmError => {
  for (const schema of declared) {
    const families = familiesOf(schema.ast)
    if (families !== undefined && isMember(error, families)) return error
  }
  return asUnknown(error)
}

const isMember = (error: RealmError, families: ReadonlySet<string>): boolean =>
  error._tag === "UnknownServiceError" || families.has(error._tag)

/** What of the optional fields is there. */
const optional = (
  { link, retryAfter }: { readonly link?: string | undefined; readonly retryAfter?: number | undefined } = {}
): Pick<Refusal, "link" | "retryAfter"> => ({
  ...(link === undefined ? undefined : { link }),
  ...(retryAfter === undefined ? undefined : { retryAfter })
})

const isRealmError = (error: unknown): error is RealmError =>
  error instanceof UnknownServiceError || Object.values(families).some(([Class]) => error instanceof Class)

const asUnknown = (error: RealmError): UnknownServiceError => {
  if (error._tag === "UnknownServiceError") return error
  const { retryAfter, status } = error.reason
  return unknown(status, toWire(error), retryAfter)
}

const unknown = (status: number, { error, error_code: code, link }: Wire, retryAfter?: number): UnknownServiceError =>
  new UnknownServiceError({
    detail: error,
    status,
    ...(code === undefined ? undefined : { code }),
    ...optional({ link, retryAfter })
  })
