/**
 * The token of a request, and whose it is.
 */
import { AccessAuthorization, Caller, RefreshAuthorization } from "@effect-realm/protocol/Api"
import * as Endpoint from "@effect-realm/protocol/Endpoint"
import * as RealmError from "@effect-realm/protocol/RealmError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { Authentication, type Authorized } from "../../Authentication.ts"
import type { DatabaseError } from "../../DatabaseError.ts"
import type { Active } from "../../Sessions.ts"
import * as Refusal from "./refusal.ts"

/** Who makes the present request, as far as its endpoint asked for a token. */
export const Current: Context.Reference<Active | Authorized | undefined> = Context.Reference(
  "@effect-realm/server/internal/bearer/Current",
  { defaultValue: (): Active | Authorized | undefined => undefined }
)

/** Who makes the present request. Only for endpoints behind {@link layer}: without it, a mistake of ours. */
export const active: Effect.Effect<Active> = Effect.flatMap(
  Current,
  (found) => found === undefined ? Effect.die(new Error("The endpoint asks for no token")) : Effect.succeed(found)
)

/** The token in the `Authorization` header (protocol section 5.1). */
export const token = (request: HttpServerRequest): Effect.Effect<Redacted.Redacted, RealmError.SessionError> => {
  const { authorization } = request.headers
  if (authorization === undefined) return Effect.fail(RealmError.make("MissingAuthReq", "must authenticate first"))
  const match = /^bearer +(\S+)$/i.exec(authorization)
  return match === null
    ? Effect.fail(RealmError.make("Unauthorized", "expected Authorization header with JWT (Bearer schema)"))
    : Effect.succeed(Redacted.make(match[1]!))
}

/** The token in the query, which only a streaming call may have there (protocol section 8.4). */
const tokenInQuery = (request: HttpServerRequest): Redacted.Redacted | undefined => {
  const start = request.url.indexOf("?")
  if (start === -1 || request.headers.authorization !== undefined) return undefined
  const query = new URLSearchParams(request.url.slice(start))
  const found = Endpoint.tokenParameters.map((name) => query.get(name)).find((value) => value !== null && value !== "")
  return found === undefined || found === null ? undefined : Redacted.make(found)
}

const found = (active: Active): Context.Context<Caller> =>
  Context.make(
    Caller,
    Caller.of({ userId: active.user.id, sessionId: active.session.id, deviceId: active.session.deviceId })
  ).pipe(Context.add(Current, active))

/** The middlewares of the protocol's endpoints. */
export const layer = (
  place: Refusal.Place
): Layer.Layer<AccessAuthorization | RefreshAuthorization, never, Authentication> =>
  Layer.effectContext(
    Effect.map(Authentication, (authentication) => {
      const identify = <A extends Active>(
        find: (token: Redacted.Redacted) => Effect.Effect<A, RealmError.SessionError | DatabaseError>
      ) =>
      (credential: Redacted.Redacted, mayBeInQuery = false) =>
        Refusal.handle(place)(
          Redacted.value(credential) === ""
            ? Effect.flatMap(HttpServerRequest, (request) => {
              const inQuery = mayBeInQuery ? tokenInQuery(request) : undefined
              // Without a credential the header says what is missing.
              return Effect.flatMap(inQuery === undefined ? token(request) : Effect.succeed(inQuery), find)
            })
            : find(credential)
        )

      const access = identify(authentication.authorizeAccess)
      const refresh = identify(authentication.authorizeRefresh)
      return Context.make(
        AccessAuthorization,
        AccessAuthorization.of({
          accessToken: (response, { credential, endpoint }) =>
            Effect.flatMap(access(credential, endpoint.identifier === Endpoint.streamFunction.identifier), (active) =>
              Effect.provideContext(response, found(active)))
        })
      ).pipe(Context.add(
        RefreshAuthorization,
        RefreshAuthorization.of({
          refreshToken: (response, { credential }) =>
            Effect.flatMap(refresh(credential), (active) =>
              Effect.provideContext(response, found(active)))
        })
      ))
    })
  )
