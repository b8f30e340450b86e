/**
 * The API keys of a user (`Realm.Auth.ApiKeyAuth`, protocol section 7): secrets with which a program logs in as the user,
 * by `Credentials.apiKey`. They do not expire. Only users who are not anonymous have them, and at most 20.
 *
 * These operations carry the user's refresh token and exchange nothing. Writes are sent once. Whatever the server
 * answers, a refusal of the token too, the user stays logged in here. The server refuses them, with
 * `RequestError.Forbidden`, to a user who was logged in with an API key.
 */
import * as Endpoint from "@effect-realm/protocol/Endpoint"
import * as RealmError from "@effect-realm/protocol/RealmError"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import type * as HttpClient from "effect/http/HttpClient"
import type * as Redacted from "effect/Redacted"
import type { NotLoggedInError, ServerFailure, TokenStoreError } from "./ClientError.ts"
import { isPathPart } from "./internal/pathPart.ts"
import * as Operation from "./internal/requests/operation.ts"
import * as Transport from "./internal/requests/transport.ts"
import * as Sessions from "./internal/sessions/session.ts"
import * as Subject from "./internal/subject.ts"
import type { TokenStore } from "./TokenStore.ts"
import type { User } from "./User.ts"

// -----------------------------------------------------------------------------
// Model
// -----------------------------------------------------------------------------

/** An API key without its secret (`Realm.Auth.ApiKey`). */
export interface ApiKey {
  /** The id that the server gave to the key, 24 hexadecimal digits (`_id`). */
  readonly id: string
  /** The name that the user gave to it; no other key of the user has it. */
  readonly name: string
  /** Whether log-ins with it are refused for now. */
  readonly disabled: boolean
}

/** An API key that was just made. Its secret is not shown again, to nobody. */
export interface NewApiKey extends ApiKey {
  /** The secret, 64 letters and digits, for `Credentials.apiKey`. */
  readonly key: Redacted.Redacted
}

// -----------------------------------------------------------------------------
// Errors
// -----------------------------------------------------------------------------

/** What every operation here can fail with; `AuthError` when the app has no API keys. */
export type ApiKeysError =
  | ServerFailure
  | RealmError.AuthError
  | RealmError.SessionError
  | RealmError.ApiKeyError
  | NotLoggedInError
  | TokenStoreError

/** What {@link create} can fail with. */
export type CreateError = ApiKeysError

/** What {@link fetch} can fail with. */
export type FetchError = ApiKeysError

/** What {@link fetchAll} can fail with. */
export type FetchAllError = ApiKeysError

/** What {@link enable} can fail with. */
export type EnableError = ApiKeysError

/** What {@link disable} can fail with. */
export type DisableError = ApiKeysError

/** What {@link delete} can fail with. */
export type DeleteError = ApiKeysError

// -----------------------------------------------------------------------------
// Operations
// -----------------------------------------------------------------------------

const sendCreate = /* @__PURE__ */ Transport.make(Endpoint.createApiKey, { secret: true })
const sendFetch = /* @__PURE__ */ Transport.make(Endpoint.fetchApiKey, { repeat: "always" })
const sendFetchAll = /* @__PURE__ */ Transport.make(Endpoint.fetchApiKeys, { repeat: "always" })
const sendEnable = /* @__PURE__ */ Transport.make(Endpoint.enableApiKey)
const sendDisable = /* @__PURE__ */ Transport.make(Endpoint.disableApiKey)
const sendDelete = /* @__PURE__ */ Transport.make(Endpoint.deleteApiKey)

interface To {
  readonly baseUrl: string
  readonly bearer: Redacted.Redacted
}

/** An operation with the user's refresh token, under its name and with its endpoint. */
const operation = (
  name: string,
  endpoint: { readonly method: string; readonly path: string }
): <A>(
  user: User,
  send: (to: To) => Effect.Effect<A, ApiKeysError, HttpClient.HttpClient>
) => Effect.Effect<A, ApiKeysError, HttpClient.HttpClient | TokenStore> => {
  const around = Operation.make(`ApiKeys.${name}`)
  // A refused refresh token says nothing that an exchange could help with, and only the session endpoint ends a session
  // (laws 3, 4).
  return (user, send) =>
    around(
      Effect.flatMap(
        Sessions.loggedIn(user),
        ({ tokens }) => send({ baseUrl: user.baseUrl, bearer: tokens.refreshToken })
      ),
      { endpoint, appId: Subject.user(user) }
    )
}

/** What is asked of one key. */
const ofKey = <A>(
  id: string,
  send: (to: To & { readonly params: { readonly id: string } }) => Effect.Effect<A, ApiKeysError, HttpClient.HttpClient>
) =>
(to: To): Effect.Effect<A, ApiKeysError, HttpClient.HttpClient> =>
  isPathPart("id", id)
    ? send({ ...to, params: { id } })
    : Effect.fail(RealmError.make("APIKeyNotFound", "API key not found"))

const creating = /* @__PURE__ */ operation("create", Endpoint.createApiKey)
const fetching = /* @__PURE__ */ operation("fetch", Endpoint.fetchApiKey)
const fetchingAll = /* @__PURE__ */ operation("fetchAll", Endpoint.fetchApiKeys)
const enabling = /* @__PURE__ */ operation("enable", Endpoint.enableApiKey)
const disabling = /* @__PURE__ */ operation("disable", Endpoint.disableApiKey)
const deleting = /* @__PURE__ */ operation("delete", Endpoint.deleteApiKey)

/**
 * Makes an API key (`user.apiKeys.create`). The answer is the only one that has the secret in it. Not sent again on its
 * own: when no answer arrives, {@link fetchAll} says whether the key is there.
 *
 * Fails with `ApiKeyError.APIKeyAlreadyExists` when the user has a key of this name, with `RequestError`, reason
 * `InvalidParameter`, when the name is none, `BadRequest` when the user has 20 keys, `Forbidden` when the user is anonymous.
 *
 * @param name letters, digits, `_` and `-`
 *
 * ```ts
 * import { ApiKeys, App, Credentials } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect } from "effect"
 *
 * const app = AppDefinition.make({
 *   appId: "shop-abcde",
 *   authProviders: { apiKey: {}, emailPassword: { autoConfirm: true } }
 * })
 * const program = Effect.gen(function*() {
 *   const { app } = yield* RealmTest.RealmTest
 *   const user = yield* RealmTest.emailUser()
 *   const { key } = yield* ApiKeys.create(user, "nightly-import")
 *   const program = yield* App.logIn(app, Credentials.apiKey(key))
 *   return [String(key), program.id === user.id]
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app }))) // => ["<redacted>", true]
 * ```
 */
export const create: {
  (name: string): (user: User) => Effect.Effect<NewApiKey, CreateError, HttpClient.HttpClient | TokenStore>
  (user: User, name: string): Effect.Effect<NewApiKey, CreateError, HttpClient.HttpClient | TokenStore>
} = /* @__PURE__ */ dual(
  2,
  (user: User, name: string) => creating(user, (to) => sendCreate({ ...to, payload: { name } }))
)

/**
 * One API key of the user (`user.apiKeys.fetch`). Fails with `ApiKeyError.APIKeyNotFound` when the user has no key of this
 * id, whoever else may have it.
 *
 * ```ts
 * import { ApiKeys } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect } from "effect"
 *
 * const app = AppDefinition.make({
 *   appId: "shop-abcde",
 *   authProviders: { apiKey: {}, emailPassword: { autoConfirm: true } }
 * })
 * const program = Effect.gen(function*() {
 *   const user = yield* RealmTest.emailUser()
 *   const error = yield* Effect.flip(ApiKeys.fetch(user, "636aba021728b6c1c03db7f9"))
 *   return error._tag === "ApiKeyError" && error.reason.message
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app }))) // => "API key not found"
 * ```
 */
export const fetch: {
  (id: string): (user: User) => Effect.Effect<ApiKey, FetchError, HttpClient.HttpClient | TokenStore>
  (user: User, id: string): Effect.Effect<ApiKey, FetchError, HttpClient.HttpClient | TokenStore>
} = /* @__PURE__ */ dual(
  2,
  (user: User, id: string) => fetching(user, ofKey(id, sendFetch))
)

/**
 * The API keys of the user, in the order they were made (`user.apiKeys.fetchAll`).
 *
 * ```ts
 * import { ApiKeys } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect } from "effect"
 *
 * const app = AppDefinition.make({
 *   appId: "shop-abcde",
 *   authProviders: { apiKey: {}, emailPassword: { autoConfirm: true } }
 * })
 * const program = Effect.gen(function*() {
 *   const user = yield* RealmTest.emailUser()
 *   yield* ApiKeys.create(user, "import")
 *   yield* ApiKeys.create(user, "export")
 *   return (yield* ApiKeys.fetchAll(user)).map((key) => key.name)
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app }))) // => ["import", "export"]
 * ```
 */
export const fetchAll = (
  user: User
): Effect.Effect<ReadonlyArray<ApiKey>, FetchAllError, HttpClient.HttpClient | TokenStore> =>
  fetchingAll(user, sendFetchAll)

/**
 * Lets an API key log in again (`user.apiKeys.enable`). A key that is enabled stays so. Fails with
 * `ApiKeyError.APIKeyNotFound` when the user has no key of this id.
 *
 * ```ts
 * import { ApiKeys } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect } from "effect"
 *
 * const app = AppDefinition.make({
 *   appId: "shop-abcde",
 *   authProviders: { apiKey: {}, emailPassword: { autoConfirm: true } }
 * })
 * const program = Effect.gen(function*() {
 *   const user = yield* RealmTest.emailUser()
 *   const { id } = yield* ApiKeys.create(user, "import")
 *   yield* ApiKeys.disable(user, id)
 *   yield* ApiKeys.enable(user, id)
 *   return (yield* ApiKeys.fetch(user, id)).disabled
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app }))) // => false
 * ```
 */
export const enable: {
  (id: string): (user: User) => Effect.Effect<void, EnableError, HttpClient.HttpClient | TokenStore>
  (user: User, id: string): Effect.Effect<void, EnableError, HttpClient.HttpClient | TokenStore>
} = /* @__PURE__ */ dual(
  2,
  (user: User, id: string) => enabling(user, ofKey(id, sendEnable))
)

/**
 * Refuses log-ins with an API key until it is enabled again, and ends the sessions it has opened (`user.apiKeys.disable`).
 * A key that is disabled stays so. Fails with `ApiKeyError.APIKeyNotFound` when the user has no key of this id.
 *
 * ```ts
 * import { ApiKeys, App, Credentials } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect } from "effect"
 *
 * const app = AppDefinition.make({
 *   appId: "shop-abcde",
 *   authProviders: { apiKey: {}, emailPassword: { autoConfirm: true } }
 * })
 * const program = Effect.gen(function*() {
 *   const { app } = yield* RealmTest.RealmTest
 *   const user = yield* RealmTest.emailUser()
 *   const { id, key } = yield* ApiKeys.create(user, "import")
 *   yield* ApiKeys.disable(user, id)
 *   const error = yield* Effect.flip(App.logIn(app, Credentials.apiKey(key)))
 *   return error._tag === "AuthError" && error.reason.message
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app }))) // => "unauthorized"
 * ```
 */
export const disable: {
  (id: string): (user: User) => Effect.Effect<void, DisableError, HttpClient.HttpClient | TokenStore>
  (user: User, id: string): Effect.Effect<void, DisableError, HttpClient.HttpClient | TokenStore>
} = /* @__PURE__ */ dual(
  2,
  (user: User, id: string) => disabling(user, ofKey(id, sendDisable))
)

/**
 * Deletes an API key, and ends the sessions it has opened (`user.apiKeys.delete`). There is no way back. Fails with
 * `ApiKeyError.APIKeyNotFound` when the user has no key of this id, also because it was deleted before.
 *
 * ```ts
 * import { ApiKeys } from "@effect-realm/client"
 * import { delete as delete_ } from "@effect-realm/client/ApiKeys" // in a browser bundle
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect } from "effect"
 *
 * const app = AppDefinition.make({
 *   appId: "shop-abcde",
 *   authProviders: { apiKey: {}, emailPassword: { autoConfirm: true } }
 * })
 * const program = Effect.gen(function*() {
 *   const user = yield* RealmTest.emailUser()
 *   const { id } = yield* ApiKeys.create(user, "import")
 *   yield* ApiKeys.delete(user, id)
 *   yield* Effect.flip(delete_(user, id))
 *   return yield* ApiKeys.fetchAll(user)
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app }))) // => []
 * ```
 */
const delete_: {
  (id: string): (user: User) => Effect.Effect<void, DeleteError, HttpClient.HttpClient | TokenStore>
  (user: User, id: string): Effect.Effect<void, DeleteError, HttpClient.HttpClient | TokenStore>
} = /* @__PURE__ */ dual(
  2,
  (user: User, id: string) => deleting(user, ofKey(id, sendDelete))
)

export { delete_ as delete }
