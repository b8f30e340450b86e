/**
 * An App Services app (`Realm.App`). An `App` is a plain, immutable value: the app's id and where its server is. What an
 * app can do are the functions of this module; who its users are is remembered by the `TokenStore`.
 */
import * as Endpoint from "@effect-realm/protocol/Endpoint"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Pipeable from "effect/Pipeable"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { ExchangeError, NotLoggedInError, ServerFailure, TokenStoreError } from "./ClientError.ts"
import { anonymous, type Credentials } from "./Credentials.ts"
import { checked, given } from "./internal/checked.ts"
import * as Operation from "./internal/requests/operation.ts"
import * as Transport from "./internal/requests/transport.ts"
import * as AccessToken from "./internal/sessions/accessToken.ts"
import * as LogIn from "./internal/sessions/logIn.ts"
import * as LogOut from "./internal/sessions/logOut.ts"
import * as NewSession from "./internal/sessions/newSession.ts"
import * as RealmWeb from "./internal/sessions/realmWeb.ts"
import * as Sessions from "./internal/sessions/session.ts"
import * as Subject from "./internal/subject.ts"
import * as Session from "./Session.ts"
import { TokenStore } from "./TokenStore.ts"
import { events as userEvents, User } from "./User.ts"
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

/** What of `localStorage` {@link importRealmWeb} uses. */
export type RealmWebStorage = RealmWeb.WebStorage

/** Where an app is served (protocol section 1.2). */
export type Location = typeof Endpoint.Location.Type

// -----------------------------------------------------------------------------
// Errors
// -----------------------------------------------------------------------------

/** What {@link logIn} can fail with; `NotLoggedInError` when the user was logged out or removed meanwhile. */
export type LogInError = NewSession.LogInError

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
  checked(() => {
    const { baseUrl, id } = given(options)
    // A value of another type is left for the schema to refuse.
    return new App({ id, baseUrl: typeof baseUrl === "string" ? baseUrl.replace(/\/+$/, "") : baseUrl })
  })

const userOf = (app: App, id: string): User => new User({ appId: app.id, baseUrl: app.baseUrl, id })

const userIn = (app: App, user: User): User => {
  Subject.user(user)
  return userOf(app, user.id)
}

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
export const TracePropagation: Context.Reference<boolean> = Operation.TracePropagation

// -----------------------------------------------------------------------------
// Log-in
// -----------------------------------------------------------------------------

const aroundLogIn = Operation.make("App.logIn")

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
    return loggingIn(app, credentials, () => {})
  }
)

/** @param committed called at once when the log-in has happened, whoever is interrupted then */
const loggingIn = (
  app: App,
  credentials: Credentials,
  committed: (user: User, tokens: Session.Tokens) => void
): Effect.Effect<User, LogInError, HttpClient.HttpClient | TokenStore> =>
  aroundLogIn(
    Effect.gen(function*() {
      const since = yield* TokenStore.use((store) => store.arrival(app.id))
      if (credentials._tag === "Anonymous" && credentials.reuse) {
        const reused = yield* reusable(app)
        if (Option.isSome(reused) && (yield* makeCurrent(reused.value))) return reused.value
      }
      const { deviceId } = yield* TokenStore.use((store) => store.app(app.id))
      const request = LogIn.send(app, credentials, { deviceId: Option.getOrUndefined(deviceId) })
      const userId = yield* NewSession.open(app, {
        endpoint: LogIn.endpoint(credentials),
        providerType: LogIn.providerType(credentials),
        since,
        committed: (userId, tokens) => committed(userOf(app, userId), tokens)
      }, request)
      return userOf(app, userId)
    }),
    { endpoint: LogIn.endpoint(credentials), appId: Subject.app(app) }
  )

/**
 * Logs in for the life of a scope: the user is logged out when it ends, however it ends. A log-in that is interrupted
 * leaves nobody logged in. A log-out that fails is logged as a warning and fails nothing; here the user is logged out all
 * the same.
 *
 * Anonymous credentials make a new user, whatever their `reuse` says: nobody else's session is ended. For the same
 * reason a user who has logged in anew by other means stays logged in when the scope ends.
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
 *   const [user, during] = yield* Effect.scoped(Effect.gen(function*() {
 *     const user = yield* App.logInScoped(app, Credentials.anonymous())
 *     return [user, yield* User.state(user)] as const
 *   }))
 *   return [during, yield* User.state(user)]
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app: shop }))) // => ["LoggedIn", "LoggedOut"]
 * ```
 */
export const logInScoped: {
  (credentials: Credentials): (
    app: App
  ) => Effect.Effect<User, LogInError, HttpClient.HttpClient | TokenStore | Scope.Scope>
  (app: App, credentials: Credentials): Effect.Effect<
    User,
    LogInError,
    HttpClient.HttpClient | TokenStore | Scope.Scope
  >
} = /* @__PURE__ */ dual(
  2,
  (app: App, credentials: Credentials): Effect.Effect<
    User,
    LogInError,
    HttpClient.HttpClient | TokenStore | Scope.Scope
  > => Effect.flatMap(holding(app, credentials), (logIn) => logIn)
)

/** A log-in that may be repeated, and whose last session ends with the scope. */
const holding = (
  app: App,
  credentials: Credentials
): Effect.Effect<
  Effect.Effect<User, LogInError, HttpClient.HttpClient | TokenStore>,
  never,
  HttpClient.HttpClient | TokenStore | Scope.Scope
> =>
  Effect.suspend(() => {
    LogIn.assertCredentials(credentials)
    let held: { readonly user: User; readonly tokens: Session.Tokens } | undefined
    const own = credentials._tag === "Anonymous" ? anonymous({ reuse: false }) : credentials
    const logIn = loggingIn(app, own, (user, tokens) => {
      held = { user, tokens }
    })
    // In place before there is anybody to log out, so that no interruption comes between.
    return Effect.as(
      Effect.addFinalizer(() => held === undefined ? Effect.void : letGo(held.user, held.tokens)),
      logIn
    )
  })

const letGo = (
  user: User,
  tokens: Session.Tokens
): Effect.Effect<void, never, HttpClient.HttpClient | TokenStore> =>
  LogOut.end(
    user,
    (found) =>
      found !== "Damaged" && Option.isSome(found) && Sessions.isOfLogIn(found.value, tokens)
        ? LogOut.loggedOut(found)
        : Option.none()
  ).pipe(
    (logOut) => aroundLogOut(logOut, { endpoint: Endpoint.deleteSession, appId: user.appId }),
    Effect.catch((error) => Effect.logWarning(`User ${user.id} could not be logged out: ${error.message}`))
  )

const aroundLogOut = Operation.make("User.logOut")

/**
 * Provides a user who stays logged in while the layer is in use: for services that work as a user of their own. Logs in
 * when the layer is built, and out when it is released, like {@link logInScoped}.
 *
 * When the server ends the session, after sixty days for instance, the layer logs in again in the background: one
 * operation fails with `SessionError`, later ones go on. It tries until it succeeds, at most once a minute, and gives up,
 * with an error in the log, when the credentials are refused. A log-out that the program asks for is no such end, and
 * an anonymous user is not replaced by another.
 *
 * Keep the layer in a constant: two calls make two log-ins.
 *
 * @param service the key that the user is provided under, with the type `User`
 *
 * ```ts
 * import { App, Credentials, User } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Context, Effect } from "effect"
 *
 * class Importer extends Context.Service<Importer, User.User>()("shop/Importer") {}
 *
 * const shop = AppDefinition.make({ appId: "shop-abcde", authProviders: { anonymous: {} } })
 * const program = Effect.gen(function*() {
 *   const { app } = yield* RealmTest.RealmTest
 *   const state = Effect.flatMap(Importer, (user) => User.state(user))
 *   return yield* Effect.provide(state, App.layerUser(Importer, app, Credentials.anonymous()))
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app: shop }))) // => "LoggedIn"
 * ```
 */
export const layerUser = <Id>(
  service: Context.Key<Id, User>,
  app: App,
  credentials: Credentials
): Layer.Layer<Id, LogInError, HttpClient.HttpClient | TokenStore> =>
  Layer.effect(
    service,
    Effect.gen(function*() {
      const logIn = yield* holding(app, credentials)
      const user = yield* logIn
      if (credentials._tag !== "Anonymous") yield* Effect.forkScoped(stayLoggedIn(user, logIn))
      return user
    })
  )

const relogIns = () =>
  Schedule.min([Schedule.exponential("1 second"), Schedule.spaced("1 minute")]).pipe(Schedule.jittered)

// What another try of the same log-in will not change.
const isFinal = (error: LogInError): boolean =>
  error._tag === "AuthError" || error._tag === "SessionError" || error._tag === "NotLoggedInError" ||
  (error._tag === "AppError" && error.reason._tag === "AppNotFound")

const stayLoggedIn = (
  user: User,
  logIn: Effect.Effect<User, LogInError, HttpClient.HttpClient | TokenStore>
): Effect.Effect<void, never, HttpClient.HttpClient | TokenStore> =>
  userEvents(user).pipe(
    Stream.filter((event) => event._tag === "LoggedOut" && event.reason === "SessionEnded"),
    Stream.runForEach(() =>
      logIn.pipe(
        Effect.retry({ schedule: relogIns(), while: (error) => !isFinal(error) }),
        Effect.tap((again) =>
          again.id === user.id
            ? Effect.void
            : Effect.logError(`User ${user.id} could not log in again: the credentials are now those of ${again.id}.`)
        )
      )
    ),
    Effect.catch((error) => Effect.logError(`User ${user.id} could not log in again: ${error.message}`))
  )

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
    (store) =>
      Effect.map(store.app(Subject.app(app)), (state) => Option.map(state.currentUser, (id) => userOf(app, id)))
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
  Effect.flatMap(
    TokenStore,
    (store) => Effect.map(store.users(Subject.app(app)), (ids) => ids.map((id) => userOf(app, id)))
  )

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
 * Takes over the users that realm-web 2.0.1 has left in `localStorage` (protocol section 12.1), so that who is logged in
 * stays logged in: tokens, profiles, custom data, the id of the device, and who is current. Sends nothing, and leaves what
 * realm-web wrote as it is. Call it when the program starts, before the first log-in.
 *
 * Each user is taken over once: a second call changes nothing, and a user who was logged out or removed since does not
 * come back. Users who are in the `TokenStore` already stay as they are, and so does a current user. An entry that cannot
 * be read costs its user, who has to log in again, and is logged as a warning.
 *
 * Answers the users that this call has taken over, the one who logged in last first. Fails with `TokenStoreError`, reason
 * `Unavailable`, when a storage fails.
 *
 * @param storage `localStorage`, or what has its `getItem` and `setItem`
 *
 * ```ts
 * import { App, TokenStore, User } from "@effect-realm/client"
 * import { Effect } from "effect"
 *
 * const items = new Map([
 *   ["realm-web:app(shop-abcde):userIds", "[\"636aba021728b6c1c03db7f9\"]"],
 *   ["realm-web:app(shop-abcde):user(636aba021728b6c1c03db7f9):providerType", "anon-user"]
 * ])
 * const localStorage = {
 *   getItem: (key: string) => items.get(key) ?? null,
 *   setItem: (key: string, value: string) => void items.set(key, value)
 * }
 *
 * const app = App.make({ id: "shop-abcde", baseUrl: "http://localhost:9090" })
 * const program = Effect.gen(function*() {
 *   const users = yield* App.importRealmWeb(app, localStorage)
 *   return yield* Effect.forEach(users, User.state)
 * })
 * // Without tokens in the storage the user is known and logged out.
 * await Effect.runPromise(Effect.provide(program, TokenStore.layerMemory)) // => ["LoggedOut"]
 * ```
 */
export const importRealmWeb: {
  (storage: RealmWebStorage): (app: App) => Effect.Effect<Array<User>, TokenStoreError, TokenStore>
  (app: App, storage: RealmWebStorage): Effect.Effect<Array<User>, TokenStoreError, TokenStore>
} = /* @__PURE__ */ dual(
  2,
  (app: App, storage: RealmWebStorage): Effect.Effect<Array<User>, TokenStoreError, TokenStore> =>
    Effect.map(RealmWeb.takeOver(app, storage), (ids) => ids.map((id) => userOf(app, id)))
)

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
      makeCurrent(userIn(app, user)),
      (isLoggedIn) => isLoggedIn ? Effect.void : Effect.asVoid(Sessions.loggedIn(userIn(app, user)))
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
    aroundRemoveUser(
      LogOut.end(userIn(app, user), LogOut.removed),
      { endpoint: Endpoint.deleteSession, appId: Subject.app(app) }
    )
)

const aroundRemoveUser = Operation.make("App.removeUser")

const aroundDeleteUser = Operation.make("App.deleteUser")

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
    const own = userIn(app, user)
    return aroundDeleteUser(
      Effect.uninterruptibleMask((restore) =>
        Effect.andThen(
          restore(AccessToken.authorized(
            own,
            (session) => sendDeleteUser({ baseUrl: own.baseUrl, bearer: session.tokens.accessToken })
          )),
          LogOut.leave(own, LogOut.removed)
        )
      ),
      { endpoint: Endpoint.deleteUser, appId: app.id }
    )
  }
)

// -----------------------------------------------------------------------------
// The app itself
// -----------------------------------------------------------------------------

const aroundLocation = Operation.make("App.location")

const sendLocation = Transport.make(Endpoint.location, { repeat: "always" })

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
  aroundLocation(
    sendLocation({ params: { appId: Subject.app(app) }, baseUrl: app.baseUrl }),
    { endpoint: Endpoint.location, appId: app.id }
  )

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
        Stream.map(
          store.appChanges(Subject.app(app)),
          (event): UserEvent | Snapshot<AppState> =>
            event._tag === "Snapshot"
              ? {
                ...event,
                state: { currentUser: Option.map(event.state.currentUser, (id) => userOf(app, id)) }
              }
              : event
        )
    )
  )
