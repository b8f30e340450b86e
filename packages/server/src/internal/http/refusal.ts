/**
 * Every refusal leaves the server with a link to its log entry, and every log entry carries the id in that link.
 */
import * as RealmError from "@effect-realm/protocol/RealmError"
import { ObjectId } from "bson"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type { DatabaseError } from "../../DatabaseError.ts"
import * as PublicUrl from "./publicUrl.ts"

/** What a link needs to know of the app. */
export interface Place {
  readonly groupId: string
  readonly internalAppId: string
  readonly publicUrl: string | undefined
}

/** The same refusal with the address of its log entry. */
const withLink = <E extends RealmError.RealmError>(error: E, link: string): E => {
  const known: RealmError.RealmError = error
  const linked: RealmError.RealmError = known._tag === "UnknownServiceError"
    ? new RealmError.UnknownServiceError({
      detail: known.detail,
      status: known.status,
      link,
      ...(known.code === undefined ? undefined : { code: known.code })
    })
    : RealmError.make(known.reason._tag, known.reason.message, { status: known.reason.status, link })
  // A code belongs to one family, so the error is of the class it was of before.
  return linked as E
}

const codeOf = (error: RealmError.RealmError): string =>
  error._tag === "UnknownServiceError" ? error.code ?? "none" : error.reason._tag

const wordsOf = (error: RealmError.RealmError): string =>
  error._tag === "UnknownServiceError" ? error.detail : error.reason.message

const pathOf = (request: HttpServerRequest): string => {
  const end = request.url.indexOf("?")
  return end === -1 ? request.url : request.url.slice(0, end)
}

/** Links a refusal to its log entry and writes that entry: what was asked and why not, never a body, header or query. */
export const logged = <E extends RealmError.RealmError>(place: Place, error: E): Effect.Effect<E> =>
  Effect.withFiber((fiber) => {
    const request = Context.getUnsafe(fiber.context, HttpServerRequest)
    const correlationId = new ObjectId().toHexString()
    const origin = place.publicUrl ?? PublicUrl.fromRequest(request)
    const link = `${origin}/groups/${place.groupId}/apps/${place.internalAppId}/logs?co_id=${correlationId}`
    return Effect.logInfo("refused").pipe(
      Effect.annotateLogs({
        co_id: correlationId,
        method: request.method,
        path: pathOf(request),
        status: RealmError.status(error),
        code: codeOf(error),
        reason: wordsOf(error)
      }),
      Effect.as(withLink(error, link))
    )
  })

/** A refusal as an answer, for what is refused outside of the endpoints. */
export const response = (
  place: Place,
  error: RealmError.RealmError
): Effect.Effect<HttpServerResponse.HttpServerResponse> => Effect.map(logged(place, error), answer)

/** A mistake of the server's own: the log says what, the client that there was one. */
export const internal = (
  place: Place,
  cause: Cause.Cause<unknown>
): Effect.Effect<HttpServerResponse.HttpServerResponse> => Effect.map(mistake(place, cause), answer)

const mistake = (place: Place, cause: Cause.Cause<unknown>): Effect.Effect<RealmError.AppError> =>
  Effect.flatMap(
    logged(place, RealmError.make("InternalServerError", "internal server error")),
    (error) =>
      Effect.logError("internal server error", cause).pipe(
        Effect.annotateLogs({ co_id: error.reason.link?.split("co_id=")[1] }),
        Effect.as(error)
      )
  )

/** What is told of a failure after an answer has begun: the refusal, or that there was a mistake of the server's own. */
export const ofCause = (
  place: Place,
  cause: Cause.Cause<RealmError.RealmError | DatabaseError>
): Effect.Effect<RealmError.RealmError, never, HttpServerRequest> => {
  const error = cause.reasons.find(Cause.isFailReason)?.error
  return error !== undefined && isRefusal(error) ? logged(place, error) : mistake(place, cause)
}

/**
 * What a handler may do: fail with refusals, which are logged and linked here, and run into the database, which is a
 * mistake of the server's own.
 */
export const handle = (place: Place) =>
<A, E extends RealmError.RealmError | DatabaseError, R>(
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, Exclude<E, DatabaseError>, R> =>
  Effect.catch(
    effect,
    (error) => isRefusal(error) ? Effect.flatMap(logged(place, error), Effect.fail) : Effect.die(error)
  )

const isRefusal = <E extends RealmError.RealmError | DatabaseError>(error: E): error is Exclude<E, DatabaseError> =>
  error._tag !== "DatabaseError"

/** A refusal that is logged already, as an answer. */
export const answer = (error: RealmError.RealmError): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.jsonUnsafe(RealmError.toWire(error), { status: RealmError.status(error) })
