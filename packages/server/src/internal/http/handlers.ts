/**
 * The endpoints of the protocol over the services of this package.
 */
import { Api } from "@effect-realm/protocol/Api"
import * as Ejson from "@effect-realm/protocol/Ejson"
import * as Endpoint from "@effect-realm/protocol/Endpoint"
import * as RealmError from "@effect-realm/protocol/RealmError"
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Accounts from "../../Accounts.ts"
import * as ApiKeys from "../../ApiKeys.ts"
import { Authentication } from "../../Authentication.ts"
import type { DatabaseError } from "../../DatabaseError.ts"
import { EmailAccounts } from "../../EmailAccounts.ts"
import { Push } from "../../Push.ts"
import { argumentOptions } from "../functions/argumentLimit.ts"
import * as LogIns from "../providers/logIns.ts"
import type { Served } from "../served.ts"
import { Attempts } from "./attempts.ts"
import * as Bearer from "./bearer.ts"
import * as FunctionHandlers from "./functionHandlers.ts"
import * as PublicUrl from "./publicUrl.ts"
import * as Refusal from "./refusal.ts"

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

/** Extended JSON of a body, as the values that a function gets; each is what it was, a document or a list. */
const decodeEjson = <A extends Ejson.Document | ReadonlyArray<unknown>>(
  json: A
): Effect.Effect<A, RealmError.RequestError> =>
  Effect.try({
    try: () => Ejson.decodeUnsafe(json, argumentOptions) as A,
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
    FunctionHandlers.functions(served)
  )
