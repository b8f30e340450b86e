/**
 * An App Services app (`Realm.App`). An `App` is a plain, immutable value: the app's id and where its server is. What an
 * app can do are the functions of this module; who its users are is remembered by the `TokenStore`.
 */
import * as Endpoint from "@effect-realm/protocol/Endpoint"
import * as Token from "@effect-realm/protocol/Token"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import type * as HttpClient from "effect/http/HttpClient"
import * as Option from "effect/Option"
import * as Pipeable from "effect/Pipeable"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import {
  type ExchangeError,
  NotLoggedInError,
  type RequestFailure,
  type ServerFailure,
  type TokenStoreError
} from "./ClientError.ts"
import type { Credentials } from "./Credentials.ts"
import { checked } from "./internal/checked.ts"
import type { Settle } from "./internal/departures.ts"
import * as LogIn from "./internal/logIn.ts"
import * as Sessions from "./internal/session.ts"
import * as Transport from "./internal/transport.ts"
import * as Session from "./Session.ts"
import { TokenStore } from "./TokenStore.ts"
import { User } from "./User.ts"
import type { Snapshot, UserEvent } from "./UserEvent.ts"

// -----------------------------------------------------------------------------
// Model
// -----------------------------------------------------------------------------

// Paths are appended to it, and it may be shown: no query, no fragment, no password.
const isBaseUrl = (text: string): boolean => {
  const url = URL.parse(text)
  return url !== null && /^https?:$/.test(url.protocol) && url.username === "" && url.password === "" &&
    !/[?#\s]/.test(text)
}

const BaseUrl = Schema.String.check(
  Schema.makeFilter(isBaseUrl, {
    expected: "an http or https URL without user, query and fragment, like http://localhost:9090"
  })
)

/** An app: its id and the origin of its server. Two values for the same app are equal. */
export class App extends Pipeable.Mixin(
  Schema.TaggedClass<App>("@effect-realm/client/App")("App", {
    /** The client app id, like `shop-abcde`. */
    id: Schema.NonEmptyString,
    /** Where the server is, without a slash at the end. */
    baseUrl: BaseUrl
  })
) {}

/** The present state of an app, as a new subscriber of {@link events} gets it first. */
export interface AppState {
  readonly currentUser: Option.Option<User>
}

/** Where an app is served (protocol section 1.2). */
export type Location = typeof Endpoint.Location.Type

// -----------------------------------------------------------------------------
// Errors
// -----------------------------------------------------------------------------

/** What {@link logIn} can fail with; `NotLoggedInError` when the user was logged out or removed meanwhile. */
export type LogInError = LogIn.Refusal | RequestFailure | NotLoggedInError | TokenStoreError

/** What {@link switchUser} can fail with. */
export type SwitchUserError = NotLoggedInError | TokenStoreError

/** What {@link removeUser} can fail with, after the user is forgotten here all the same. */
export type RemoveUserError = ServerFailure | TokenStoreError

/** What {@link deleteUser} can fail with. */
export type DeleteUserError = ExchangeError

/** What {@link location} can fail with. */
export type LocationError = ServerFailure

// -----------------------------------------------------------------------------
// Constructors
// -----------------------------------------------------------------------------

/**
 * An app (`new Realm.App`). Throws a `SchemaError` that names the field when the id is empty or the base URL is none.
 *
 * @param options.id the client app id
 * @param options.baseUrl origin of the server; a path in front of `/api/client` is allowed
 *
 * ```ts
 * import { App } from "@effect-realm/client"
 *
 * const app = App.make({ id: "shop-abcde", baseUrl: "http://localhost:9090/" })
 * app.baseUrl // => "http://localhost:9090"
 * ```
 */
export const make = (options: { readonly id: string; readonly baseUrl: string }): App =>
  checked(() =>
    new App({
      id: options.id,
      // A value of another type is left for the schema to refuse.
      baseUrl: typeof options.baseUrl === "string" ? options.baseUrl.replace(/\/+$/, "") : options.baseUrl
    })
  )

const userOf = (app: App, id: string): User => new User({ appId: app.id, baseUrl: app.baseUrl, id })

/**
 * Whether requests carry trace headers (`traceparent`, `b3`). They tell the server, which may be a stranger's, about the
 * caller, so they are off unless this reference says `true`.
 *
 * ```ts
 * import { App } from "@effect-realm/client"
 * import { Effect } from "effect"
 *
 * const traced = Effect.provideService(App.TracePropagation, true)
 * await Effect.runPromise(traced(App.TracePropagation)) // => true
 * ```
 */
export const TracePropagation: Context.Reference<boolean> = Transport.TracePropagation

// -----------------------------------------------------------------------------
// Log-in
// -----------------------------------------------------------------------------

const sendProfile = Transport.make(Endpoint.profile)

/** An anonymous user who is still logged in here and has no other identity, or none. */
const reusable = Effect.fnUntraced(function*(app: App): Effect.fn.Return<
  Option.Option<User>,
  TokenStoreError,
  TokenStore
> {
  const store = yield* TokenStore
  const { anonymousUser } = yield* store.app(app.id)
  if (Option.isNone(anonymousUser)) return Option.none()
  const user = userOf(app, anonymousUser.value)
  const session = yield* Sessions.readable(user)
  return Option.isSome(session) && Session.isLoggedIn(session.value) &&
      session.value.profile.identities.every((identity) => identity.providerType === "anon-user")
    ? Option.some(user)
    : Option.none()
})

/**
 * Logs in and makes the user current (`Realm.App.logIn`, protocol section 3). Either everything happened, token, profile
 * and record, or nothing did. A user who was logged in already gets the new session in place of the old one. A user who is
 * logged out or removed while the log-in is under way stays so: then it fails with `NotLoggedInError`.
 *
 * Fails with `AuthError` when the credentials were refused, with `AppError.AppNotFound` for an unknown app.
 *
 * @param credentials from the module `Credentials`
 *
 * ```ts
 * import { App, Credentials, User } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect } from "effect"
 *
 * const shop = AppDefinition.make({ appId: "shop-abcde", authProviders: { anonymous: {} } })
 * const program = Effect.gen(function*() {
 *   const { app } = yield* RealmTest.RealmTest
 *   const user = yield* App.logIn(app, Credentials.anonymous())
 *   return yield* User.state(user)
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app: shop }))) // => "LoggedIn"
 * ```
 */
export const logIn: {
  (credentials: Credentials): (
    app: App
  ) => Effect.Effect<User, LogInError, HttpClient.HttpClient | TokenStore>
  (app: App, credentials: Credentials): Effect.Effect<User, LogInError, HttpClient.HttpClient | TokenStore>
} = /* @__PURE__ */ dual(
  2,
  (app: App, credentials: Credentials): Effect.Effect<User, LogInError, HttpClient.HttpClient | TokenStore> => {
    LogIn.assertCredentials(credentials)
    return Effect.flatMap(
      TokenStore,
      ({ departures }) =>
        departures.arriving(app.id, (settle) =>
          Effect.gen(function*() {
            if (credentials._tag === "Anonymous" && credentials.reuse) {
              const reused = yield* reusable(app)
              if (Option.isSome(reused) && (yield* makeCurrent(reused.value))) return reused.value
            }
            const { deviceId } = yield* TokenStore.use((store) => store.app(app.id))
            const request = LogIn.send(app, credentials, { deviceId: Option.getOrUndefined(deviceId) })
            return yield* Effect.uninterruptibleMask((restore) =>
              Effect.flatMap(restore(request), (answer) => {
                let committed = false
                // Whoever is interrupted meanwhile has logged in all the same: the commit and its note belong together.
                const noted: Settle = (key, commit) =>
                  Effect.uninterruptible(Effect.tap(settle(key, commit), () =>
                    Effect.sync(() => {
                      committed = true
                    })))
                return Effect.onError(
                  restore(complete(app, credentials, answer, noted)),
                  // The session exists on the server and nobody will ever use it: end it there, and make nobody wait.
                  () => committed ? Effect.void : abandon(app, answer)
                )
              })
            )
          }))
    )
  }
)

type LogInAnswer = typeof Endpoint.LoggedIn.Type

const complete = Effect.fnUntraced(function*(
  app: App,
  credentials: Credentials,
  answer: LogInAnswer,
  settle: Settle
): Effect.fn.Return<User, LogInError, HttpClient.HttpClient | TokenStore> {
  const endpoint = LogIn.endpoint(credentials)
  const { accessToken, deviceId, refreshToken, userId } = answer
  if (refreshToken === undefined || refreshToken === null) {
    return yield* Transport.invalid(endpoint, "the answer to a log-in has no refresh token")
  }
  const claims = yield* Sessions.claimsOf(userId, accessToken, endpoint)
  const profile = Session.profile(yield* sendProfile({ baseUrl: app.baseUrl, bearer: accessToken }))
  const tokens = yield* Sessions.received(claims, accessToken, refreshToken)
  const providerType = LogIn.providerType(credentials)
  const user = userOf(app, userId)
  yield* settle(
    Sessions.key(user),
    (hasLeft): Effect.Effect<unknown, NotLoggedInError | TokenStoreError, TokenStore> =>
      hasLeft
        ? Effect.fail(new NotLoggedInError({ userId, state: "LoggedOut" }))
        : Sessions.change(user, (before) =>
          Option.some({
            session: Option.some({
              appId: app.id,
              userId,
              tokens,
              providerType,
              profile,
              customData: claims.userData,
              ...(deviceId === Token.noDevice ? undefined : { deviceId })
            }),
            event: {
              _tag: before !== "Damaged" && Option.exists(before, Session.isLoggedIn)
                ? "RefreshTokenReplaced"
                : "LoggedIn",
              providerType
            },
            makeCurrent: true
          }))
  )
  return user
})

const abandon = (app: App, { refreshToken }: LogInAnswer): Effect.Effect<void, never, HttpClient.HttpClient> =>
  refreshToken === undefined || refreshToken === null
    ? Effect.void
    : Effect.asVoid(Effect.forkDetach(Effect.ignore(Sessions.endOnServer(app, { refreshToken }))))

// -----------------------------------------------------------------------------
// Users
// -----------------------------------------------------------------------------

/**
 * The user who became current last and is logged in (`Realm.App.currentUser`), or `None`. When the current user logs out
 * the one before takes the place, as in the old SDKs; sixteen are remembered. Sends nothing.
 *
 * ```ts
 * import { App, TokenStore } from "@effect-realm/client"
 * import { Effect, Option } from "effect"
 *
 * const app = App.make({ id: "shop-abcde", baseUrl: "http://localhost:9090" })
 * const user = await Effect.runPromise(Effect.provide(App.currentUser(app), TokenStore.layerMemory))
 * Option.isNone(user) // => true
 * ```
 */
export const currentUser = (app: App): Effect.Effect<Option.Option<User>, TokenStoreError, TokenStore> =>
  Effect.flatMap(
    TokenStore,
    (store) => Effect.map(store.app(app.id), (state) => Option.map(state.currentUser, (id) => userOf(app, id)))
  )

/**
 * Everybody who is known here, logged in or out, in the order of their first log-in (`Realm.App.allUsers`). Reads one
 * record a user. Sends nothing.
 *
 * ```ts
 * import { App, TokenStore } from "@effect-realm/client"
 * import { Effect } from "effect"
 *
 * const app = App.make({ id: "shop-abcde", baseUrl: "http://localhost:9090" })
 * await Effect.runPromise(Effect.provide(App.allUsers(app), TokenStore.layerMemory)) // => []
 * ```
 */
export const allUsers = (app: App): Effect.Effect<Array<User>, TokenStoreError, TokenStore> =>
  Effect.flatMap(TokenStore, (store) => Effect.map(store.users(app.id), (ids) => ids.map((id) => userOf(app, id))))

/** Makes a logged-in user current; `false` when the user is logged in no more. */
const makeCurrent = Effect.fnUntraced(function*(
  user: User
): Effect.fn.Return<boolean, TokenStoreError, TokenStore> {
  const store = yield* TokenStore
  const { currentUser } = yield* store.app(user.appId)
  let isLoggedIn = false
  yield* Sessions.update(user, (session) => {
    isLoggedIn = Session.isLoggedIn(session)
    return isLoggedIn && !Option.contains(currentUser, user.id)
      ? Option.some({ session: Option.some(session), event: { _tag: "Switched" }, makeCurrent: true })
      : Option.none()
  })
  return isLoggedIn
})

/**
 * Makes another logged-in user current (`Realm.App.switchUser`). Fails with `NotLoggedInError` for a user who is logged
 * out or not known. Sends nothing; the choice survives a restart where the store does.
 *
 * ```ts
 * import { App, Credentials } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect, Option } from "effect"
 *
 * const shop = AppDefinition.make({ appId: "shop-abcde", authProviders: { anonymous: {} } })
 * const program = Effect.gen(function*() {
 *   const { app } = yield* RealmTest.RealmTest
 *   const first = yield* App.logIn(app, Credentials.anonymous())
 *   yield* App.logIn(app, Credentials.anonymous({ reuse: false }))
 *   yield* App.switchUser(app, first)
 *   return Option.contains(yield* App.currentUser(app), first)
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app: shop }))) // => true
 * ```
 */
export const switchUser: {
  (user: User): (app: App) => Effect.Effect<void, SwitchUserError, TokenStore>
  (app: App, user: User): Effect.Effect<void, SwitchUserError, TokenStore>
} = /* @__PURE__ */ dual(
  2,
  (app: App, user: User): Effect.Effect<void, SwitchUserError, TokenStore> =>
    Effect.flatMap(
      makeCurrent(userOf(app, user.id)),
      (isLoggedIn) => isLoggedIn ? Effect.void : Effect.asVoid(Sessions.loggedIn(userOf(app, user.id)))
    )
)

/**
 * Logs a user out and forgets everything about them here (`Realm.App.removeUser`). A user who is not known is success;
 * so is a record that cannot be read. Like `User.logOut` it forgets first and then tells the server.
 *
 * ```ts
 * import { App } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect } from "effect"
 *
 * const shop = AppDefinition.make({ appId: "shop-abcde", authProviders: { anonymous: {} } })
 * const program = Effect.gen(function*() {
 *   const { app } = yield* RealmTest.RealmTest
 *   const user = yield* RealmTest.anonymousUser
 *   yield* App.removeUser(app, user)
 *   return yield* App.allUsers(app)
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app: shop }))) // => []
 * ```
 */
export const removeUser: {
  (user: User): (app: App) => Effect.Effect<void, RemoveUserError, HttpClient.HttpClient | TokenStore>
  (app: App, user: User): Effect.Effect<void, RemoveUserError, HttpClient.HttpClient | TokenStore>
} = /* @__PURE__ */ dual(
  2,
  (app: App, user: User): Effect.Effect<void, RemoveUserError, HttpClient.HttpClient | TokenStore> =>
    Sessions.end(userOf(app, user.id), Sessions.removed)
)

const sendDeleteUser = Transport.make(Endpoint.deleteUser)

/**
 * Deletes a user on the server, with all sessions and identities, and forgets them here (`Realm.App.deleteUser`, protocol
 * section 5.4). The user has to be logged in. Sent with the user's own token, once.
 *
 * ```ts
 * import { App } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect } from "effect"
 *
 * const shop = AppDefinition.make({ appId: "shop-abcde", authProviders: { anonymous: {} } })
 * const program = Effect.gen(function*() {
 *   const { app } = yield* RealmTest.RealmTest
 *   const user = yield* RealmTest.anonymousUser
 *   yield* App.deleteUser(app, user)
 *   return yield* App.allUsers(app)
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app: shop }))) // => []
 * ```
 */
export const deleteUser: {
  (user: User): (app: App) => Effect.Effect<void, DeleteUserError, HttpClient.HttpClient | TokenStore>
  (app: App, user: User): Effect.Effect<void, DeleteUserError, HttpClient.HttpClient | TokenStore>
} = /* @__PURE__ */ dual(
  2,
  (app: App, user: User): Effect.Effect<void, DeleteUserError, HttpClient.HttpClient | TokenStore> => {
    const own = userOf(app, user.id)
    return Effect.uninterruptibleMask((restore) =>
      Effect.andThen(
        restore(Sessions.authorized(
          own,
          (session) => sendDeleteUser({ baseUrl: own.baseUrl, bearer: session.tokens.accessToken })
        )),
        Sessions.leave(own, Sessions.removed)
      )
    )
  }
)

// -----------------------------------------------------------------------------
// The app itself
// -----------------------------------------------------------------------------

const sendLocation = Transport.make(Endpoint.location)

/**
 * Where the server says the app is served (protocol section 1.2). The old clients asked before their first request; here
 * the base URL is used as it is, and this is a way to see whether the app is there.
 *
 * ```ts
 * import { App } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect } from "effect"
 *
 * const shop = AppDefinition.make({ appId: "shop-abcde", authProviders: { anonymous: {} } })
 * const program = Effect.flatMap(RealmTest.RealmTest, ({ app }) => App.location(app))
 * const location = await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app: shop })))
 * location.deploymentModel // => "GLOBAL"
 * ```
 */
export const location = (app: App): Effect.Effect<Location, LocationError, HttpClient.HttpClient> =>
  sendLocation({ baseUrl: app.baseUrl, params: { appId: app.id } })

/**
 * What happens to the users of the app, from now on (`Realm.App.addListener`): first a `Snapshot` of who is current, then
 * one event for each commit, in order per user, each exactly once.
 *
 * A slow subscriber delays nobody: it may be 256 events behind; beyond that it gets a new `Snapshot`, which says how many
 * it missed, in place of the rest.
 *
 * ```ts
 * import { App } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect, Fiber, Stream } from "effect"
 *
 * const shop = AppDefinition.make({ appId: "shop-abcde", authProviders: { anonymous: {} } })
 * const program = Effect.gen(function*() {
 *   const { app } = yield* RealmTest.RealmTest
 *   const listener = yield* App.events(app).pipe(
 *     Stream.map((event) => event._tag),
 *     Stream.take(2),
 *     Stream.runCollect,
 *     Effect.forkChild({ startImmediately: true })
 *   )
 *   yield* RealmTest.anonymousUser
 *   return yield* Fiber.join(listener)
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app: shop }))) // => ["Snapshot", "LoggedIn"]
 * ```
 */
export const events = (app: App): Stream.Stream<UserEvent | Snapshot<AppState>, TokenStoreError, TokenStore> =>
  Stream.unwrap(
    Effect.map(
      TokenStore,
      (store) =>
        Stream.map(store.appChanges(app.id), (event): UserEvent | Snapshot<AppState> =>
          event._tag === "Snapshot"
            ? {
              ...event,
              state: { currentUser: Option.map(event.state.currentUser, (id) => userOf(app, id)) }
            }
            : event)
    )
  )
