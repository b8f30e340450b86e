/**
 * What surrounds every request: who may call from a browser, how much may be sent, and that whatever is answered outside
 * of the endpoints has the shape that clients of this protocol read.
 */
import * as RealmError from "@effect-realm/protocol/RealmError"
import * as ByteSize from "effect/ByteSize"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { HttpApiSchemaError } from "effect/http-api/HttpApiError"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerError from "effect/http/HttpServerError"
import { HttpServerRequest, MaxBodySize } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type * as Layer from "effect/Layer"
import type * as SchemaIssue from "effect/SchemaIssue"
import { Scope } from "effect/Scope"
import type * as Types from "effect/Types"
import * as Redirects from "../providers/redirects.ts"
import * as Cors from "./cors.ts"
import * as Refusal from "./refusal.ts"

type Response = HttpServerResponse.HttpServerResponse

const noEndpoint = (request: HttpServerRequest): RealmError.RequestError =>
  RealmError.make("EndpointNotFound", `no such endpoint: ${request.method} ${request.url.split("?")[0]}`)

const tooLarge = (limit: number): RealmError.RequestError =>
  RealmError.make("PayloadTooLarge", `request body is larger than ${limit} bytes`)

/** The fields an issue is about. Their values are left out: one of them may be a password. */
const fieldsOf = (issue: SchemaIssue.Issue, path: ReadonlyArray<PropertyKey> = []): ReadonlyArray<string> => {
  switch (issue._tag) {
    case "Pointer":
      return fieldsOf(issue.issue, [...path, ...issue.path])
    case "Composite":
    case "AnyOf":
      return issue.issues.length === 0 ? [path.join(".")] : issue.issues.flatMap((inner) => fieldsOf(inner, path))
    case "Encoding":
    case "Filter":
      return fieldsOf(issue.issue, path)
    default:
      return [path.map(String).join(".")]
  }
}

const badRequest = (error: HttpApiSchemaError): RealmError.RequestError => {
  const fields = [...new Set(fieldsOf(error.cause.issue))].filter((field) => field !== "")
  const what = error.kind === "Query" ? "query" : error.kind === "Payload" ? "request body" : "request"
  return RealmError.make(
    "BadRequest",
    fields.length === 0 ? `invalid ${what}` : `invalid ${what}: ${fields.join(", ")}`
  )
}

/** The refusal that a failure of the framework stands for, or `undefined` for a mistake of our own. */
const refusalOf = (reason: Cause.Reason<unknown>, limit: number): RealmError.RequestError | undefined => {
  const error = reason._tag === "Fail" ? reason.error : reason._tag === "Die" ? reason.defect : undefined
  if (HttpApiSchemaError.is(error)) {
    return error.kind === "Body" || error.kind === "ResponseHeaders" ? undefined : badRequest(error)
  }
  if (!HttpServerError.isHttpServerError(error)) return undefined
  switch (error.reason._tag) {
    case "RouteNotFound":
      return noEndpoint(error.reason.request)
    case "RequestParseError":
      return error.reason.reason === "BodyTooLarge"
        ? tooLarge(limit)
        : RealmError.make("BadRequest", "the request body could not be read")
    default:
      return undefined
  }
}

const isEmpty = (request: HttpServerRequest): boolean =>
  request.headers["content-length"] === "0" ||
  (request.headers["content-length"] === undefined && request.headers["transfer-encoding"] === undefined)

/** What is wrong with a request that can be told from its headers. */
const refusedByHeaders = (request: HttpServerRequest, limit: number): RealmError.RequestError | undefined => {
  if (Number(request.headers["content-length"] ?? 0) > limit) return tooLarge(limit)
  const { "content-type": contentType } = request.headers
  if (contentType === undefined || request.method === "GET" || request.method === "DELETE") return undefined
  if (/^application\/json\s*(;|$)/i.test(contentType) || isEmpty(request)) return undefined
  return RealmError.make("UnsupportedMediaType", "unsupported content type: expected application/json")
}

const RequestScope: Context.Reference<Scope | undefined> = Context.Reference<Scope | undefined>(
  "@effect-realm/server/internal/requestShell/RequestScope",
  { defaultValue: () => undefined }
)

/**
 * What an effect acquires is released when the answer to the present request has been written, or its client has gone. The
 * `Scope` that a handler of an `HttpApi` finds by itself is that of the layer it was built in.
 */
export const scoped = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, Exclude<R, Scope>> =>
  Effect.flatMap(RequestScope, (scope) =>
    scope === undefined
      ? Effect.die(new Error("The handler is outside of the surroundings of a request"))
      : Effect.provideService(effect, Scope, scope))

/** The surroundings as a layer of the router. */
export const layer = (options: {
  readonly place: Refusal.Place
  readonly allowedOrigins: ReadonlyArray<string>
  readonly maxBodySize: number
}): Layer.Layer<never, never, HttpRouter.HttpRouter> => {
  const { maxBodySize, place } = options
  const decide = Cors.make(options.allowedOrigins, Redirects.beginsLink)
  const limits = Context.make(MaxBodySize, ByteSize.bytes(maxBodySize))

  const recover = (cause: Cause.Cause<unknown>): Effect.Effect<Response, never, never> => {
    // Nobody is there to read an answer: the client has gone, or the server is stopping.
    if (Cause.hasInterruptsOnly(cause)) return Effect.failCause(cause as Cause.Cause<never>)
    for (const reason of cause.reasons) {
      const error = refusalOf(reason, maxBodySize)
      if (error !== undefined) return Refusal.response(place, error)
    }
    return Refusal.internal(place, cause)
  }

  return HttpRouter.middleware(
    (handler: Effect.Effect<Response, Types.unhandled>) =>
      Effect.withFiber<Response, Types.unhandled, HttpServerRequest>((fiber) => {
        const request = Context.getUnsafe(fiber.context, HttpServerRequest)
        const isPosted = Redirects.isPosted(request)
        const decision = isPosted ? Cors.noOrigin : decide(request)
        if (decision._tag === "Refused") return Refusal.response(place, decision.error)
        if (Cors.isPreflight(request)) return Effect.succeed(Cors.preflight(decision))
        const refused = isPosted ? undefined : refusedByHeaders(request, maxBodySize)
        const response = refused === undefined
          ? Effect.catchCause(
            Effect.provideContext(handler, Context.add(limits, RequestScope, Context.getUnsafe(fiber.context, Scope))),
            recover
          )
          : Refusal.response(place, refused)
        // Most requests are not a browser's, and a response is copied to add headers to it.
        return decision === Cors.noOrigin
          ? response
          : Effect.map(response, HttpServerResponse.setHeaders(decision.headers))
      }),
    { global: true }
  )
}
