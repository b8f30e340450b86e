/**
 * The endpoints that call functions: of the app, and of its services, which answer once or stream.
 */
import { Api } from "@effect-realm/protocol/Api"
import * as Ejson from "@effect-realm/protocol/Ejson"
import * as Endpoint from "@effect-realm/protocol/Endpoint"
import * as RealmError from "@effect-realm/protocol/RealmError"
import * as StreamEvent from "@effect-realm/protocol/StreamEvent"
import type { AccessClaims } from "@effect-realm/protocol/Token"
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { CustomUserData } from "../../CustomUserData.ts"
import { Documents } from "../../Documents.ts"
import { type Caller, Functions, type RequestInfo } from "../../Functions.ts"
import { Sessions } from "../../Sessions.ts"
import { SliceLength, Slices } from "../engine/slices.ts"
import { argumentOptions } from "../functions/argumentLimit.ts"
import * as CallScope from "../functions/callScope.ts"
import { HttpServices } from "../functions/httpServices.ts"
import { memoized } from "../memoized.ts"
import * as LogIns from "../providers/logIns.ts"
import type { Served } from "../served.ts"
import * as SharedLookUp from "../sharedLookUp.ts"
import * as AnswerText from "./answerText.ts"
import * as Bearer from "./bearer.ts"
import * as ClientAddress from "./clientAddress.ts"
import * as Refusal from "./refusal.ts"
import * as RequestShell from "./requestShell.ts"
import * as Streams from "./streams.ts"

/** The handlers of the group `functions`. */
export const functions = ({ app, place, proxies }: Served) =>
  HttpApiBuilder.group(Api, "functions", (handlers) =>
    Effect.gen(function*() {
      const functions = yield* Functions
      const documents = yield* Documents
      const httpServices = yield* HttpServices
      const sessions = yield* Sessions
      const customUserData = yield* CustomUserData
      const openService = yield* Streams.ServiceStreams
      const stopping = yield* Streams.Stopping
      const slices = new Slices(yield* SliceLength)
      /** A user as rules and functions see him now, for those who read on for long; fails when his session has ended. */
      const presentUser = yield* SharedLookUp.make(
        ({ sessionId, userId }: { readonly sessionId: string; readonly userId: string }) => `${sessionId} ${userId}`,
        Effect.fnUntraced(function*(key) {
          const { user } = yield* sessions.find(key)
          return CallScope.userObject(user, readCustomData(yield* customUserData.read(user.id)))
        })
      )

      const callService = Effect.fnUntraced(function*(
        service: string,
        { arguments: json, name }: typeof Endpoint.FunctionCall.Type,
        caller: Caller
      ) {
        const http = httpServices.get(service)
        if (http === undefined && service === "http" && !app.dataSources.some((source) => source.name === service)) {
          return yield* noHttp
        }
        const args = yield* decodeArguments(json)
        const result = yield* (http === undefined
          ? documents.call({ service, operation: name, args, caller })
          : http({ name, args, caller })).pipe(Effect.provideService(Functions, functions))
        const text = yield* slices.run(AnswerText.write(result, maxResult))
        return text ?? (yield* tooLarge)
      })

      const open = (
        { arguments: json, name, service }: typeof Endpoint.FunctionCall.Type,
        caller: Effect.Effect<Caller, RealmError.SessionError>
      ): ReturnType<Streams.Open> =>
        service === undefined
          ? Effect.flatMap(
            caller,
            (caller) => Effect.map(functions.streamJson({ name, args: json, caller }), Stream.map(StreamEvent.value))
          )
          : Effect.flatMap(decodeArguments(json), (args) => openService({ service, name, args, caller }))

      return handlers
        // The body is read by hand: what does not fit has its own refusal here, and the result is written only once.
        .handleRaw("callFunction", ({ params, request }) =>
          Effect.gen(function*() {
            yield* LogIns.known(app.appId, params.appId)
            const wanted = readCall(yield* Effect.orDie(request.text))
            if (wanted === undefined) return yield* invalidCall
            const user = yield* currentUser
            const caller: Caller = {
              origin: "client",
              user: Option.some(user),
              request: { ...requestInfo(request, proxies), ...asked(wanted) }
            }
            const text = wanted.service === undefined
              ? JSON.stringify(
                yield* Effect.catchTag(
                  functions.callJson({ name: wanted.name, args: wanted.arguments, caller }),
                  "EjsonError",
                  invalidArguments
                )
              )
              : yield* callService(wanted.service, wanted, caller)
            return typeof text === "string"
              ? HttpServerResponse.text(text, { contentType: "application/json" })
              : HttpServerResponse.uint8Array(text, { contentType: "application/json" })
          }).pipe(Refusal.handle(place)))
        .handleRaw("streamFunction", ({ params, query, request }) =>
          Effect.gen(function*() {
            yield* LogIns.known(app.appId, params.appId)
            const wanted = Option.getOrUndefined(Endpoint.streamCall(query))
            if (wanted === undefined) return yield* invalidCall
            const { session, user } = yield* Bearer.active
            // A stream may outlive what its token says of the user.
            const present = presentUser({ sessionId: session.id, userId: user.id })
            // There is a token in the query, perhaps.
            const { rawQueryString: _, ...info } = requestInfo(request, proxies)
            const requested = { ...info, ...asked(wanted) }
            const caller = present.pipe(
              Effect.map((user): Caller => ({ origin: "client", user: Option.some(user), request: requested })),
              Effect.catchTag("DatabaseError", Effect.die)
            )
            const events = yield* RequestShell.scoped(open(wanted, caller))
            return Streams.response(events, {
              stopping,
              stands: Effect.asVoid(present),
              endings: sessions.endings(user.id),
              report: (cause) => Effect.provideService(Refusal.ofCause(place, cause), HttpServerRequest, request)
            })
          }).pipe(Refusal.handle(place)))
    }))

/** What an answer may have, in characters of Extended JSON: as much as a request. */
const maxResult = 18_000_000

const tooLarge = RealmError.make(
  "ReadSizeLimitExceeded",
  `the result has more than ${maxResult} characters: use a limit, a projection or a narrower filter`
)

/** What functions and rules are told of a call to a service. */
const asked = ({ name, service }: typeof Endpoint.FunctionCall.Type): RequestInfo =>
  service === undefined ? {} : { service, action: name }

/** Clients of old could send requests through the service that functions have as `context.http` (protocol section 10.2). */
const noHttp = RealmError.make(
  "ServiceNotFound",
  "service not found: 'http': the app has no HTTP service for clients; functions have context.http"
)

const invalidCall = new RealmError.UnknownServiceError({ detail: "invalid function call request", status: 400 })

/** The words of the protocol, and after them what is wrong. */
const invalidArguments = ({ message }: Ejson.EjsonError): Effect.Effect<never, RealmError.RequestError> =>
  Effect.fail(RealmError.make("InvalidParameter", `${invalidCall.detail}: ${message}`))

const decodeArguments = (
  json: ReadonlyArray<unknown>
): Effect.Effect<ReadonlyArray<unknown>, RealmError.RequestError> =>
  Effect.catch(
    // A list decodes to a list.
    Effect.map(
      Effect.fromResult(Ejson.decode(json, argumentOptions)),
      (args) => args as ReadonlyArray<unknown>
    ),
    invalidArguments
  )

const decodeCall = Schema.decodeUnknownOption(Schema.fromJsonString(Endpoint.FunctionCall))

const readCall = (text: string) => Option.getOrUndefined(decodeCall(text))

const currentUser = Effect.flatMap(Bearer.Current, (current) =>
  current === undefined || !("claims" in current)
    ? Effect.die(new Error("The endpoint asks for no access token"))
    : Effect.succeed(CallScope.userObject(current.user, customData(current.claims))))

// The server wrote it with the same codec; it is a document because `CustomUserData` reads documents.
const readCustomData = (userData: object): Ejson.Document =>
  Ejson.decodeUnsafe(userData, { numbers: "exact" }) as Ejson.Document

// The claims of a token are the same object for as long as the token is remembered.
const decodedCustomData = memoized(readCustomData)

const customData = ({ userData }: AccessClaims): Ejson.Document => decodedCustomData(userData)

const requestInfo = (request: HttpServerRequest, proxies: number): RequestInfo => {
  const remoteAddress = ClientAddress.of(request, proxies)
  const query = request.url.indexOf("?")
  return {
    method: request.method,
    headers: request.headers,
    ...(remoteAddress === undefined ? undefined : { remoteAddress }),
    ...(query === -1 ? undefined : { rawQueryString: request.url.slice(query + 1) })
  }
}
