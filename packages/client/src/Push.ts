/**
 * Push messages (`Realm.User.push`, protocol section 10.1): a device says under which token of its platform, such as that of
 * Firebase Cloud Messaging, the app reaches it. There is one registration for each user, service and device; whoever sends is
 * the server.
 *
 * A registration outlives the session: a program that logs a user out and should hear no more calls {@link deregister}
 * before. Writes are sent once.
 */
import * as Endpoint from "@effect-realm/protocol/Endpoint"
import * as RealmError from "@effect-realm/protocol/RealmError"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import type * as HttpClient from "effect/http/HttpClient"
import type * as Redacted from "effect/Redacted"
import type { ExchangeError } from "./ClientError.ts"
import { isPathPart } from "./internal/pathPart.ts"
import * as Operation from "./internal/requests/operation.ts"
import * as Transport from "./internal/requests/transport.ts"
import * as AccessToken from "./internal/sessions/accessToken.ts"
import * as Subject from "./internal/subject.ts"
import type { TokenStore } from "./TokenStore.ts"
import type { User } from "./User.ts"

// -----------------------------------------------------------------------------
// Errors
// -----------------------------------------------------------------------------

/** What {@link register} can fail with. */
export type RegisterError = ExchangeError | RealmError.ServiceError

/** What {@link deregister} can fail with. */
export type DeregisterError = ExchangeError | RealmError.ServiceError

// -----------------------------------------------------------------------------
// Operations
// -----------------------------------------------------------------------------

const sendRegister = /* @__PURE__ */ Transport.make(Endpoint.registerPush)
const sendDeregister = /* @__PURE__ */ Transport.make(Endpoint.deregisterPush)
const registering = /* @__PURE__ */ Operation.make("Push.register")
const deregistering = /* @__PURE__ */ Operation.make("Push.deregister")

interface To {
  readonly baseUrl: string
  readonly params: { readonly appId: string; readonly service: string }
  readonly bearer: Redacted.Redacted
}

/** Asks a push service in the user's name. */
const atService = (
  service: string,
  user: User,
  send: (to: To) => Effect.Effect<void, RegisterError, HttpClient.HttpClient>
): Effect.Effect<void, RegisterError, HttpClient.HttpClient | TokenStore> =>
  AccessToken.authorized(user, ({ tokens }) =>
    isPathPart("service", service)
      ? send({ baseUrl: user.baseUrl, params: { appId: user.appId, service }, bearer: tokens.accessToken })
      : Effect.fail(RealmError.make("ServiceNotFound", `service not found: '${service}'`)))

/**
 * Registers this device for push messages of a service (`user.push(service).register`). Registering again replaces the token of
 * before; a token that another user had registered is the user's from now on.
 *
 * Fails with `ServiceError.ServiceNotFound` when the app has no push service of this name, with `RequestError`, reason
 * `InvalidParameter`, when the token is empty or has more than 4096 characters.
 *
 * @param service name of the push service in the app's configuration, most often `gcm`
 * @param token what the platform gave to this device
 *
 * ```ts
 * import { Push } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect, Redacted } from "effect"
 *
 * const app = AppDefinition.make({
 *   appId: "shop-abcde",
 *   authProviders: { anonymous: {} },
 *   pushServices: [{ name: "gcm" }]
 * })
 * const program = Effect.gen(function*() {
 *   const { pushRegistrations } = yield* RealmTest.RealmTest
 *   const user = yield* RealmTest.anonymousUser
 *   yield* Push.register(user, "gcm", Redacted.make("token of this phone"))
 *   return (yield* pushRegistrations(user, "gcm")).length
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app }))) // => 1
 * ```
 */
export const register: {
  (
    service: string,
    token: Redacted.Redacted
  ): (user: User) => Effect.Effect<void, RegisterError, HttpClient.HttpClient | TokenStore>
  (
    user: User,
    service: string,
    token: Redacted.Redacted
  ): Effect.Effect<void, RegisterError, HttpClient.HttpClient | TokenStore>
} = /* @__PURE__ */ dual(
  3,
  (user: User, service: string, token: Redacted.Redacted) =>
    registering(
      atService(service, user, (to) => sendRegister({ ...to, payload: { registrationToken: token } })),
      { endpoint: Endpoint.registerPush, appId: Subject.user(user), attributes: { "realm.service": service } }
    )
)

/**
 * Takes the registration of this device back (`user.push(service).deregister`). A device that is not registered stays so.
 *
 * Fails with `ServiceError.ServiceNotFound` when the app has no push service of this name.
 *
 * @param service name of the push service in the app's configuration, most often `gcm`
 *
 * ```ts
 * import { Push } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect, Redacted } from "effect"
 *
 * const app = AppDefinition.make({
 *   appId: "shop-abcde",
 *   authProviders: { anonymous: {} },
 *   pushServices: [{ name: "gcm" }]
 * })
 * const program = Effect.gen(function*() {
 *   const { pushRegistrations } = yield* RealmTest.RealmTest
 *   const user = yield* RealmTest.anonymousUser
 *   yield* Push.register(user, "gcm", Redacted.make("token of this phone"))
 *   yield* Push.deregister(user, "gcm")
 *   return yield* pushRegistrations(user, "gcm")
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app }))) // => []
 * ```
 */
export const deregister: {
  (service: string): (user: User) => Effect.Effect<void, DeregisterError, HttpClient.HttpClient | TokenStore>
  (user: User, service: string): Effect.Effect<void, DeregisterError, HttpClient.HttpClient | TokenStore>
} = /* @__PURE__ */ dual(
  2,
  (user: User, service: string) =>
    deregistering(
      atService(service, user, sendDeregister),
      { endpoint: Endpoint.deregisterPush, appId: Subject.user(user), attributes: { "realm.service": service } }
    )
)
