/**
 * The endpoints of the protocol over the services of this package.
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
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Accounts from "../../Accounts.ts"
import * as ApiKeys from "../../ApiKeys.ts"
import { Authentication } from "../../Authentication.ts"
import { CustomUserData } from "../../CustomUserData.ts"
import type { DatabaseError } from "../../DatabaseError.ts"
import { Documents } from "../../Documents.ts"
import { EmailAccounts } from "../../EmailAccounts.ts"
import { type Caller, Functions, type RequestInfo } from "../../Functions.ts"
import { Push } from "../../Push.ts"
import { Sessions } from "../../Sessions.ts"
import { maxNodes } from "../functions/argumentLimit.ts"
import * as CallScope from "../functions/callScope.ts"
import { HttpServices } from "../functions/httpServices.ts"
import { memoized } from "../memoized.ts"
import * as LogIns from "../providers/logIns.ts"
import type { Served } from "../served.ts"
import * as SharedLookUp from "../sharedLookUp.ts"
import { Attempts } from "./attempts.ts"
import * as Bearer from "./bearer.ts"
import * as ClientAddress from "./clientAddress.ts"
import * as PublicUrl from "./publicUrl.ts"
import * as Refusal from "./refusal.ts"
import * as RequestShell from "./requestShell.ts"
import * as Streams from "./streams.ts"

const apps = ({ app, place }: Served) =>
  HttpApiBuilder.group(
    Api,
    "apps",
    (handlers) =>
      handlers.handle("location", ({ params, request }) =>
        Effect.gen(function*() {
          yield* LogIns.known(app.appId, params.appId)
          const hostname = place.publicUrl ?? PublicUrl.fromRequest(request)
          return {
            deploymentModel: app.deploymentModel,
            location: app.location,
            hostname,
            wsHostname: PublicUrl.toWebSocket(hostname)
          }
        }).pipe(Refusal.handle(place)))
  )

const logIn = ({ app, place }: Served) =>
  HttpApiBuilder.group(Api, "logIn", (handlers) =>
    Effect.map(LogIns.LogIns, (logIns) => {
      const settle = (
        { params, payload, query, request }: {
          readonly params: { readonly appId: string }
          readonly payload: { readonly options?: typeof Endpoint.LogInOptions.Type }
          readonly query: { readonly link?: "true" | "false" }
          readonly request: HttpServerRequest
        },
        prove: LogIns.Proof
      ) =>
        LogIns.known(app.appId, params.appId).pipe(
          Effect.andThen(
            logIns.settle({ request, link: query.link === "true", device: payload.options?.device, prove })
          ),
          Refusal.handle(place)
        )

      return handlers
        .handleRaw("logInAnonymous", ({ params, query, request }) =>
          Effect.gen(function*() {
            yield* LogIns.known(app.appId, params.appId)
            const { options } = yield* anonymousCredentials(request)
            return yield* logIns.settle({
              request,
              link: query.link === "true",
              device: options?.device,
              prove: logIns.anonymous(query.link === "true")
            })
          }).pipe(Refusal.handle(place)))
        .handle("logInEmailPassword", ({ params, payload: { options, ...credentials }, query, request }) =>
          Effect.gen(function*() {
            yield* LogIns.known(app.appId, params.appId)
            return yield* logIns.settle({
              request,
              link: query.link === "true",
              device: options?.device,
              prove: logIns.emailPassword(credentials)
            })
          }).pipe(Refusal.handle(place)))
        .handle("logInFunction", ({ params, payload: { options, ...credentials }, query, request }) =>
          Effect.gen(function*() {
            yield* LogIns.known(app.appId, params.appId)
            const { device } = yield* Effect.orElseSucceed(decodeOptions(options ?? {}), () => ({ device: undefined }))
            return yield* logIns.settle({
              request,
              link: query.link === "true",
              device,
              prove: Effect.flatMap(decodeEjson(credentials), logIns.customFunction)
            })
          }).pipe(Refusal.handle(place)))
        .handle("logInApiKey", (sent) =>
          settle(sent, logIns.apiKey(sent.payload.key)))
        .handle("logInJwt", (sent) =>
          settle(sent, logIns.customJwt(sent.payload.token)))
        .handle("logInGoogle", (sent) =>
          settle(
            sent,
            "authCode" in sent.payload
              ? logIns.googleCode(sent.payload.authCode)
              : logIns.googleIdToken(sent.payload.idToken)
          ))
        .handle("logInFacebook", (sent) =>
          settle(sent, logIns.facebook(sent.payload.accessToken)))
        .handle("logInApple", (sent) =>
          settle(sent, logIns.apple(sent.payload.idToken)))
    }))

const decodeAnonymous = Schema.decodeUnknownEffect(Schema.fromJsonString(Endpoint.AnonymousCredentials))
const decodeOptions = Schema.decodeUnknownEffect(Endpoint.LogInOptions)

const anonymousCredentials = Effect.fnUntraced(function*(request: HttpServerRequest) {
  const text = yield* Effect.orDie(request.text)
  if (text === "") return {}
  return yield* Effect.mapError(
    decodeAnonymous(text),
    () => RealmError.make("BadRequest", "invalid request body")
  )
})

const bodyOptions: Ejson.DecodeOptions = { numbers: "exact", maxNodes }

/** Extended JSON of a body, as the values that a function gets; each is what it was, a document or a list. */
const decodeEjson = <A extends Ejson.Document | ReadonlyArray<unknown>>(
  json: A
): Effect.Effect<A, RealmError.RequestError> =>
  Effect.try({
    try: () => Ejson.decodeUnsafe(json, bodyOptions) as A,
    catch: () => RealmError.make("BadRequest", "invalid request body: not Extended JSON")
  })

const sessions = ({ place }: Served) =>
  HttpApiBuilder.group(
    Api,
    "sessions",
    (handlers) =>
      Effect.map(Authentication, (authentication) =>
        handlers.handleAll({
          refreshSession: () =>
            Effect.gen(function*() {
              const active = yield* Bearer.active
              return { accessToken: yield* authentication.refresh(active) }
            }).pipe(Refusal.handle(place)),
          deleteSession: () =>
            Effect.gen(function*() {
              const { session } = yield* Bearer.active
              yield* authentication.logOut(session.id)
            }).pipe(Refusal.handle(place))
        }))
  )

const users = ({ ids, place }: Served) =>
  HttpApiBuilder.group(Api, "users", (handlers) =>
    Effect.map(Authentication, (authentication) =>
      handlers.handleAll({
        profile: () =>
          Effect.map(Bearer.active, ({ user }) => ({
            userId: user.id,
            domainId: ids.domainId,
            type: user.type,
            identities: user.identities.map(({ data: _, ...identity }) => identity),
            data: Accounts.data(user)
          })),
        deleteUser: () =>
          Effect.gen(function*() {
            const { user } = yield* Bearer.active
            yield* authentication.deleteUser(user.id)
          }).pipe(Refusal.handle(place))
      })))

const emailPassword = ({ app, place }: Served) =>
  HttpApiBuilder.group(Api, "emailPassword", (handlers) =>
    Effect.gen(function*() {
      const accounts = yield* EmailAccounts
      const attempts = yield* Attempts

      const enabled: Effect.Effect<void, RealmError.AuthError> = app.authProviders.emailPassword?.enabled === true
        ? Effect.void
        : Effect.fail(LogIns.unsupported("local-userpass"))

      const serve = <E extends RealmError.RealmError | DatabaseError>(appId: string, effect: Effect.Effect<void, E>) =>
        LogIns.known(app.appId, appId).pipe(
          Effect.andThen(enabled),
          Effect.andThen(attempts.guess(effect)),
          Refusal.handle(place)
        )

      return handlers.handleAll({
        register: ({ params, payload }) => serve(params.appId, accounts.register(payload)),
        confirm: ({ params, payload }) => serve(params.appId, accounts.confirm(payload)),
        sendConfirmation: ({ params, payload }) => serve(params.appId, accounts.sendConfirmation(payload.email)),
        callConfirmation: ({ params, payload }) => serve(params.appId, accounts.callConfirmation(payload.email)),
        sendReset: ({ params, payload }) => serve(params.appId, accounts.sendReset(payload.email)),
        reset: ({ params, payload }) => serve(params.appId, accounts.reset(payload)),
        callReset: ({ params, payload }) =>
          serve(
            params.appId,
            Effect.flatMap(
              decodeEjson(payload.arguments),
              (args) => accounts.callReset({ ...payload, arguments: args })
            )
          )
      })
    }))

const apiKeys = ({ app, place }: Served) =>
  HttpApiBuilder.group(Api, "apiKeys", (handlers) =>
    Effect.map(ApiKeys.ApiKeys, (keys) => {
      // A key that got into wrong hands must not make others, nor take away those of its owner.
      const owner = Effect.flatMap(
        Bearer.active,
        ({ session, user }): Effect.Effect<ApiKeys.Owner, RealmError.AuthError | RealmError.RequestError> => {
          if (app.authProviders.apiKey?.enabled !== true) return Effect.fail(LogIns.unsupported(ApiKeys.providerType))
          return session.identity.providerType === ApiKeys.providerType
            ? Effect.fail(RealmError.make("Forbidden", "a session of an API key may not manage API keys"))
            : Effect.succeed({ userId: user.id })
        }
      )

      const serve = <A, E extends RealmError.RealmError | DatabaseError>(
        use: (owner: ApiKeys.Owner) => Effect.Effect<A, E>
      ) => Effect.flatMap(owner, use).pipe(Refusal.handle(place))

      return handlers.handleAll({
        createApiKey: ({ payload }) => serve((owner) => keys.create(owner, payload.name)),
        fetchApiKeys: () => serve(keys.list),
        fetchApiKey: ({ params }) => serve((owner) => keys.get(owner, params.id)),
        deleteApiKey: ({ params }) => serve((owner) => keys.remove(owner, params.id)),
        enableApiKey: ({ params }) => serve((owner) => keys.setDisabled(owner, params.id, false)),
        disableApiKey: ({ params }) => serve((owner) => keys.setDisabled(owner, params.id, true))
      })
    }))

const push = ({ app, place }: Served) =>
  HttpApiBuilder.group(Api, "push", (handlers) =>
    Effect.map(Push, (push) => {
      const serve = <E extends RealmError.RealmError | DatabaseError>(
        { appId, service }: { readonly appId: string; readonly service: string },
        use: (device: Parameters<Push["Service"]["deregister"]>[0]) => Effect.Effect<void, E>
      ) =>
        LogIns.known(app.appId, appId).pipe(
          Effect.andThen(Bearer.active),
          Effect.flatMap(({ session, user }) => use({ service, userId: user.id, deviceId: session.deviceId })),
          Refusal.handle(place)
        )

      return handlers.handleAll({
        registerPush: ({ params, payload }) =>
          serve(params, (device) => push.register({ ...device, token: payload.registrationToken })),
        deregisterPush: ({ params }) => serve(params, push.deregister)
      })
    }))

const functions = ({ app, place, proxies }: Served) =>
  HttpApiBuilder.group(Api, "functions", (handlers) =>
    Effect.gen(function*() {
      const functions = yield* Functions
      const documents = yield* Documents
      const httpServices = yield* HttpServices
      const sessions = yield* Sessions
      const customUserData = yield* CustomUserData
      const openService = yield* Streams.ServiceStreams
      const stopping = yield* Streams.Stopping
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
        const text = JSON.stringify(Ejson.encodeUnsafe(result))
        return text.length > maxResult ? yield* tooLarge : text
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
            return HttpServerResponse.text(text, { contentType: "application/json" })
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
      Effect.fromResult(Ejson.decode(json, { ...bodyOptions, root: "arguments" })),
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

/** The handlers of every group of the protocol. */
export const layer = (served: Served) =>
  Layer.mergeAll(
    apps(served),
    logIn(served),
    sessions(served),
    users(served),
    emailPassword(served),
    apiKeys(served),
    push(served),
    functions(served)
  )
