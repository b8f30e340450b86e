/**
 * A user of an App Services app (`Realm.User`). A `User` is a plain, immutable value: it says who, and holds neither
 * tokens nor state. What a user can do are the functions of this module; they read and change what the `TokenStore`
 * remembers, and talk to the server through the `HttpClient`.
 *
 * Every operation sends its own request at most twice, with at most one exchange of tokens, and fails with a tagged
 * error; a request that only reads may be repeated beyond that by `Policy`. However many callers find a token expired, one
 * exchange is made and all go on with its result. It is made a little ahead of time: when it fails for now, the token that
 * still lives is used.
 */
import * as Ejson from "@effect-realm/protocol/Ejson"
import * as Endpoint from "@effect-realm/protocol/Endpoint"
import type * as RealmError from "@effect-realm/protocol/RealmError"
import type * as RealmFunction from "@effect-realm/protocol/RealmFunction"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import type * as HttpClient from "effect/http/HttpClient"
import * as Option from "effect/Option"
import * as Pipeable from "effect/Pipeable"
import type * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import {
  type ExchangeError,
  NotLoggedInError,
  type SchemaMismatchError,
  type ServerFailure,
  type TokenStoreError
} from "./ClientError.ts"
import type { Linkable } from "./Credentials.ts"
import { checked, given } from "./internal/checked.ts"
import { decoded } from "./internal/decoded.ts"
import type * as FunctionMethods from "./internal/functions/functionMethods.ts"
import * as Operation from "./internal/requests/operation.ts"
import * as AccessToken from "./internal/sessions/accessToken.ts"
import * as Linking from "./internal/sessions/linking.ts"
import * as LogIn from "./internal/sessions/logIn.ts"
import * as LogOut from "./internal/sessions/logOut.ts"
import * as Sessions from "./internal/sessions/session.ts"
import * as Subject from "./internal/subject.ts"
import { MongoDB } from "./MongoDB.ts"
import * as Session from "./Session.ts"
import { TokenStore } from "./TokenStore.ts"
import type { Snapshot, UserEvent } from "./UserEvent.ts"

// -----------------------------------------------------------------------------
// Model
// -----------------------------------------------------------------------------

/**
 * Who: an app and a user id. Two values for the same user are equal, and a `User` survives `JSON.stringify` and
 * `Schema.decode`.
 *
 * ```ts
 * import { User } from "@effect-realm/client"
 * import { Schema } from "effect"
 *
 * const user = User.make({ appId: "shop-abcde", baseUrl: "http://localhost:9090", id: "636aba021728b6c1c03db7f9" })
 * const decode = Schema.decodeUnknownSync(User.User)
 * decode(JSON.parse(JSON.stringify(user))).id // => "636aba021728b6c1c03db7f9"
 * ```
 */
export class User extends Pipeable.Mixin(
  Schema.TaggedClass<User>("@effect-realm/client/User")("User", {
    appId: Schema.NonEmptyString,
    baseUrl: Schema.NonEmptyString,
    /** The id that the server gave to the user, 24 hexadecimal digits (`Realm.User.id`). */
    id: Schema.NonEmptyString
  })
) {}

/** Whether a user is logged in here, logged out, or not known (`Realm.UserState`). */
export type State = "LoggedIn" | "LoggedOut" | "Removed"

/** The present state of a user, as a new subscriber of {@link events} gets it first. */
export interface UserState {
  readonly state: State
  /** The profile as Extended JSON; `None` when the user is not known here. */
  readonly profile: Option.Option<Session.Profile>
}

/** Who the user is, as the server last said (`Realm.UserProfile`). */
export interface Profile {
  /** `normal`, or `server` for a user made by an API key. */
  readonly type: string
  readonly identities: ReadonlyArray<Session.Identity>
  /** What the providers tell, as BSON values, by the names of `Session.Profile.data`. */
  readonly data: Ejson.Document
}

/** Names that are no methods of {@link functions}: JavaScript asks for them when it awaits, prints or compares. */
export type ReservedName = FunctionMethods.ReservedName

/** The app's functions as methods, by name. */
export type Functions<Name extends string = string> = {
  readonly [K in Exclude<Name, ReservedName>]: (
    ...args: ReadonlyArray<unknown>
  ) => Effect.Effect<unknown, CallFunctionError, HttpClient.HttpClient | TokenStore>
}

/** The functions of a group of contracts as methods. */
export type ContractFunctions<G extends RealmFunction.Group> = {
  readonly [K in Exclude<keyof G, ReservedName>]: (
    ...args: RealmFunction.Args<G[K]>
  ) => G[K]["streams"] extends true ? Stream.Stream<
      RealmFunction.Success<G[K]>,
      CallContractError | RealmFunction.OwnError<G[K]>,
      HttpClient.HttpClient | TokenStore
    >
    : Effect.Effect<
      RealmFunction.Success<G[K]>,
      CallContractError | RealmFunction.OwnError<G[K]>,
      HttpClient.HttpClient | TokenStore
    >
}

/** The arguments of a contract's function as one parameter, which may be left out when there are none. */
export type ArgsParameter<F extends RealmFunction.Any> = readonly [] extends RealmFunction.Args<F>
  ? [args?: RealmFunction.Args<F>]
  : [args: RealmFunction.Args<F>]

// -----------------------------------------------------------------------------
// Errors
// -----------------------------------------------------------------------------

/** What reading from the store alone can fail with: the user is not known here, or the store failed. */
export type ReadError = NotLoggedInError | TokenStoreError

/** What {@link refresh} can fail with. */
export type RefreshError = ExchangeError

/** What {@link accessToken} can fail with. */
export type AccessTokenError = ExchangeError

/** What {@link callFunction} can fail with. */
export type CallFunctionError = ExchangeError | RealmError.FunctionError | Ejson.EjsonError

/** What {@link callServiceFunction} can fail with. */
export type CallServiceFunctionError = CallFunctionError | RealmError.ServiceError | RealmError.DataError

/** What calling a function by its contract can fail with, beside the function's own errors. */
export type CallContractError = ExchangeError | RealmError.FunctionError | RealmFunction.ContractError

/** What {@link linkCredentials} can fail with. */
export type LinkCredentialsError = ExchangeError | RealmError.AuthError | RealmError.FunctionError

/** What {@link logOut} can fail with, after the tokens are forgotten here all the same. */
export type LogOutError = ServerFailure | TokenStoreError

/** What {@link refreshProfile} can fail with. */
export type RefreshProfileError = ExchangeError | Ejson.EjsonError

/** What {@link customData} can fail with. */
export type CustomDataError = ReadError | Ejson.EjsonError

/** What {@link refreshCustomData} can fail with. */
export type RefreshCustomDataError = ExchangeError | Ejson.EjsonError

/** What {@link profile} can fail with. */
export type ProfileError = ReadError | Ejson.EjsonError

// -----------------------------------------------------------------------------
// Constructors
// -----------------------------------------------------------------------------

/**
 * A user by id, for a program that was told the id by somebody else: a job, a message. Whether the user is logged in here
 * the `TokenStore` knows. Throws a `SchemaError` that names the field when one is empty or of another type.
 *
 * ```ts
 * import { TokenStore, User } from "@effect-realm/client"
 * import { Effect } from "effect"
 *
 * const user = User.make({ appId: "shop-abcde", baseUrl: "http://localhost:9090", id: "636aba021728b6c1c03db7f9" })
 * await Effect.runPromise(Effect.provide(User.isLoggedIn(user), TokenStore.layerMemory)) // => false
 * ```
 */
export const make = (options: { readonly appId: string; readonly baseUrl: string; readonly id: string }): User =>
  checked(() => {
    const { appId, baseUrl, id } = given(options)
    return new User({ appId, baseUrl, id })
  })

// -----------------------------------------------------------------------------
// What is known here
// -----------------------------------------------------------------------------

const known = (user: User): Effect.Effect<Session.Session, ReadError, TokenStore> =>
  Effect.flatMap(TokenStore, (store) =>
    Effect.flatMap(
      store.get(Sessions.key(user)),
      Option.match({
        onNone: () => Effect.fail(new NotLoggedInError({ userId: user.id, state: "Removed" })),
        onSome: Effect.succeed
      })
    ))

const stateOf = (session: Option.Option<Session.Session>): State =>
  Option.match(session, {
    onNone: () => "Removed",
    onSome: (session) => Session.isLoggedIn(session) ? "LoggedIn" : "LoggedOut"
  })

/**
 * Whether the user is logged in here, logged out, or not known (`Realm.User.state`). Sends nothing.
 *
 * ```ts
 * import { TokenStore, User } from "@effect-realm/client"
 * import { Effect } from "effect"
 *
 * const user = new User.User({ appId: "shop-abcde", baseUrl: "http://localhost:9090", id: "stranger" })
 * await Effect.runPromise(Effect.provide(User.state(user), TokenStore.layerMemory)) // => "Removed"
 * ```
 */
export const state = (user: User): Effect.Effect<State, TokenStoreError, TokenStore> =>
  Effect.flatMap(TokenStore, (store) => Effect.map(store.get(Sessions.key(user)), stateOf))

/**
 * Whether the user is logged in here (`Realm.User.isLoggedIn`). Sends nothing.
 *
 * ```ts
 * import { TokenStore, User } from "@effect-realm/client"
 * import { Effect } from "effect"
 *
 * const user = new User.User({ appId: "shop-abcde", baseUrl: "http://localhost:9090", id: "stranger" })
 * await Effect.runPromise(Effect.provide(User.isLoggedIn(user), TokenStore.layerMemory)) // => false
 * ```
 */
export const isLoggedIn = (user: User): Effect.Effect<boolean, TokenStoreError, TokenStore> =>
  Effect.map(state(user), (state) => state === "LoggedIn")

/**
 * The provider of the user's last log-in, `anon-user` for instance (`Realm.User.providerType`). Sends nothing.
 *
 * ```ts
 * import { User } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect } from "effect"
 *
 * const app = AppDefinition.make({ appId: "shop-abcde", authProviders: { anonymous: {} } })
 * const program = Effect.flatMap(RealmTest.anonymousUser, User.providerType)
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app }))) // => "anon-user"
 * ```
 */
export const providerType = (user: User): Effect.Effect<string, ReadError, TokenStore> =>
  Effect.map(known(user), (session) => session.providerType)

/**
 * The ways in which the user can log in, the oldest first (`Realm.User.identities`). Sends nothing.
 *
 * ```ts
 * import { User } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect } from "effect"
 *
 * const app = AppDefinition.make({ appId: "shop-abcde", authProviders: { anonymous: {} } })
 * const program = Effect.flatMap(RealmTest.anonymousUser, User.identities)
 * const identities = await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app })))
 * identities.map((identity) => identity.providerType) // => ["anon-user"]
 * ```
 */
export const identities = (user: User): Effect.Effect<ReadonlyArray<Session.Identity>, ReadError, TokenStore> =>
  Effect.map(known(user), (session) => session.profile.identities)

/**
 * Who the user is, as the server last said (`Realm.User.profile`). Stays readable after a log-out. Sends nothing. Fails
 * with `EjsonError` when the server sent a value that is no Extended JSON.
 *
 * ```ts
 * import { User } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect } from "effect"
 *
 * const app = AppDefinition.make({ appId: "shop-abcde", authProviders: { anonymous: {} } })
 * const program = Effect.flatMap(RealmTest.anonymousUser, User.profile)
 * const profile = await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app })))
 * profile.data // => {}
 * ```
 */
export const profile = (user: User): Effect.Effect<Profile, ProfileError, TokenStore> =>
  Effect.flatMap(known(user), (session) => Effect.fromResult(profileOf(session.profile)))

/**
 * The id that the server gave to this device (`Realm.User.deviceId`), or `None`. Sends nothing.
 *
 * ```ts
 * import { User } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect, Option } from "effect"
 *
 * const app = AppDefinition.make({ appId: "shop-abcde", authProviders: { anonymous: {} } })
 * const program = Effect.flatMap(RealmTest.anonymousUser, User.deviceId)
 * const deviceId = await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app })))
 * Option.isSome(deviceId) // => true
 * ```
 */
export const deviceId = (user: User): Effect.Effect<Option.Option<string>, ReadError, TokenStore> =>
  Effect.map(known(user), (session) => Option.fromUndefinedOr(session.deviceId))

const document = (
  root: string,
  fields: { readonly [key: string]: Schema.Json }
): Result.Result<Ejson.Document, Ejson.EjsonError> =>
  // A JSON object decodes to a document: its keys are plain, or it would be a wrapped value, which a server never sends.
  Result.map(Ejson.decode(fields, { root }), (value) => value as Ejson.Document)

const profileOf = (profile: Session.Profile): Result.Result<Profile, Ejson.EjsonError> =>
  Result.map(document("profile", profile.data), (data) => ({ ...profile, data }))

/**
 * The user's custom data, as old as the access token (`Realm.User.customData`, protocol section 4.3). A user without
 * any has an empty document. Sends nothing; {@link refreshCustomData} reads it anew.
 *
 * @param schema what the document must look like; without it any document is answered
 *
 * ```ts
 * import { User } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect } from "effect"
 *
 * const app = AppDefinition.make({ appId: "shop-abcde", authProviders: { anonymous: {} } })
 * const program = Effect.flatMap(RealmTest.anonymousUser, User.customData)
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app }))) // => {}
 * ```
 */
export const customData: {
  <A>(schema: Schema.Decoder<A>): (user: User) => Effect.Effect<A, CustomDataError | SchemaMismatchError, TokenStore>
  <A>(user: User, schema: Schema.Decoder<A>): Effect.Effect<A, CustomDataError | SchemaMismatchError, TokenStore>
  // Last, so that `user.pipe(User.customData)` has this type.
  (user: User): Effect.Effect<Ejson.Document, CustomDataError, TokenStore>
} = /* @__PURE__ */ dual(
  (args) => args[0] instanceof User,
  <A>(user: User, schema?: Schema.Decoder<A>): Effect.Effect<A, CustomDataError | SchemaMismatchError, TokenStore> =>
    Effect.flatMap(
      known(user),
      (session) =>
        Effect.flatMap(
          Effect.fromResult(document("customData", session.customData)),
          (data) => decoded("custom data", schema, data)
        )
    )
)

// -----------------------------------------------------------------------------
// Tokens
// -----------------------------------------------------------------------------

/**
 * The refresh token (`Realm.User.refreshToken`). Fails with `NotLoggedInError` after a log-out. Sends nothing.
 *
 * ```ts
 * import { User } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect } from "effect"
 *
 * const app = AppDefinition.make({ appId: "shop-abcde", authProviders: { anonymous: {} } })
 * const program = Effect.flatMap(RealmTest.anonymousUser, User.refreshToken)
 * String(await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app })))) // => "<redacted>"
 * ```
 */
export const refreshToken = (user: User): Effect.Effect<Redacted.Redacted, ReadError, TokenStore> =>
  Effect.map(Sessions.loggedIn(user), (session) => session.tokens.refreshToken)

const exchanging = (user: User) => ({ endpoint: Endpoint.refreshSession, appId: Subject.user(user) })

const aroundRefresh = Operation.make("User.refresh")
const aroundAccessToken = Operation.make("User.accessToken")
const aroundRefreshCustomData = Operation.make("User.refreshCustomData")

/**
 * A new access token, whatever is left of the old one (`Realm.User.refreshAccessToken`). Callers who ask at the same time share
 * one exchange. Seldom needed: every operation refreshes by itself.
 *
 * ```ts
 * import { User } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect } from "effect"
 *
 * const app = AppDefinition.make({ appId: "shop-abcde", authProviders: { anonymous: {} } })
 * const program = Effect.gen(function*() {
 *   const user = yield* RealmTest.anonymousUser
 *   yield* User.refresh(user)
 *   return yield* User.state(user)
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app }))) // => "LoggedIn"
 * ```
 */
export const refresh = (
  user: User
): Effect.Effect<void, RefreshError, HttpClient.HttpClient | TokenStore> =>
  aroundRefresh(
    Effect.flatMap(
      Sessions.loggedIn(user),
      (session) => Effect.asVoid(AccessToken.exchange(user, session.tokens.accessToken))
    ),
    exchanging(user)
  )

/**
 * An access token that is valid for a while (`Realm.User.accessToken`), refreshed when it would not be. Where the server's
 * tokens live for less than was asked for, each call answers a new one.
 *
 * @param options.margin how long it has to live at least; default 30 seconds
 *
 * ```ts
 * import { User } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect } from "effect"
 *
 * const app = AppDefinition.make({ appId: "shop-abcde", authProviders: { anonymous: {} } })
 * const program = Effect.flatMap(RealmTest.anonymousUser, User.accessToken({ margin: "5 minutes" }))
 * String(await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app })))) // => "<redacted>"
 * ```
 */
export const accessToken: {
  (options: { readonly margin?: Duration.Input }): (
    user: User
  ) => Effect.Effect<Redacted.Redacted, AccessTokenError, HttpClient.HttpClient | TokenStore>
  (user: User, options?: { readonly margin?: Duration.Input }): Effect.Effect<
    Redacted.Redacted,
    AccessTokenError,
    HttpClient.HttpClient | TokenStore
  >
} = /* @__PURE__ */ dual(
  (args) => args[0] instanceof User,
  (user: User, options?: { readonly margin?: Duration.Input }): Effect.Effect<
    Redacted.Redacted,
    AccessTokenError,
    HttpClient.HttpClient | TokenStore
  > =>
    aroundAccessToken(
      Effect.map(
        AccessToken.fresh(user, Duration.toMillis(options?.margin ?? "30 seconds")),
        (session) => session.tokens.accessToken
      ),
      exchanging(user)
    )
)

/**
 * Reads the custom data anew, with a new access token (`Realm.User.refreshCustomData`). What was written before this
 * call is seen, even when another exchange is under way already.
 *
 * @param schema what the document must look like; without it any document is answered
 *
 * ```ts
 * import { User } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect, Schema } from "effect"
 *
 * const app = AppDefinition.make({
 *   appId: "shop-abcde",
 *   authProviders: { anonymous: {} },
 *   customUserData: { enabled: true, databaseName: "shop", collectionName: "people", userIdField: "userId" }
 * })
 * const Preferences = Schema.Struct({ color: Schema.String })
 * const program = Effect.gen(function*() {
 *   const user = yield* RealmTest.anonymousUser
 *   yield* RealmTest.RealmTest.use((test) => test.setCustomData(user, { color: "blue" }))
 *   const { color } = yield* User.refreshCustomData(user, Preferences)
 *   return color
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app }))) // => "blue"
 * ```
 */
export const refreshCustomData: {
  <A>(schema: Schema.Decoder<A>): (
    user: User
  ) => Effect.Effect<A, RefreshCustomDataError | SchemaMismatchError, HttpClient.HttpClient | TokenStore>
  <A>(
    user: User,
    schema: Schema.Decoder<A>
  ): Effect.Effect<A, RefreshCustomDataError | SchemaMismatchError, HttpClient.HttpClient | TokenStore>
  (user: User): Effect.Effect<Ejson.Document, RefreshCustomDataError, HttpClient.HttpClient | TokenStore>
} = /* @__PURE__ */ dual(
  (args) => args[0] instanceof User,
  <A>(
    user: User,
    schema?: Schema.Decoder<A>
  ): Effect.Effect<A, RefreshCustomDataError | SchemaMismatchError, HttpClient.HttpClient | TokenStore> =>
    aroundRefreshCustomData(
      Effect.flatMap(
        AccessToken.exchangeAnew(user),
        (session) =>
          Effect.flatMap(
            Effect.fromResult(document("customData", session.customData)),
            (data) => decoded("custom data", schema, data)
          )
      ),
      exchanging(user)
    )
)

// -----------------------------------------------------------------------------
// Functions
// -----------------------------------------------------------------------------

export { callFunction, callFunctionStreaming, callServiceFunction, functions } from "./internal/functions/operations.ts"

// -----------------------------------------------------------------------------
// Documents
// -----------------------------------------------------------------------------

/**
 * A data source of the app, with the rules that hold for this user (`Realm.User.mongoClient`, protocol section 9). A value:
 * nothing is sent. What its collections can do is in the module `Collection`.
 *
 * @param service the name of the data source; `mongodb-atlas` by default, which is what App Services called the first
 *
 * ```ts
 * import { User } from "@effect-realm/client"
 *
 * const user = User.make({ appId: "shop-abcde", baseUrl: "http://localhost:9090", id: "636aba021728b6c1c03db7f9" })
 * User.mongoClient(user).service // => "mongodb-atlas"
 * ```
 */
export const mongoClient: {
  (service: string): (user: User) => MongoDB
  (user: User, service?: string): MongoDB
} = /* @__PURE__ */ dual(
  (args) => args[0] instanceof User,
  (user: User, service = "mongodb-atlas"): MongoDB => new MongoDB({ user, service })
)

// -----------------------------------------------------------------------------
// Profile, links and log-out
// -----------------------------------------------------------------------------

const aroundRefreshProfile = Operation.make("User.refreshProfile")
const aroundLinkCredentials = Operation.make("User.linkCredentials")
const aroundLogOut = Operation.make("User.logOut")

/**
 * Reads the profile anew (`Realm.User.refreshProfile` of realm-web, protocol section 5.3).
 *
 * ```ts
 * import { User } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect } from "effect"
 *
 * const app = AppDefinition.make({ appId: "shop-abcde", authProviders: { anonymous: {} } })
 * const program = Effect.flatMap(RealmTest.anonymousUser, User.refreshProfile)
 * const profile = await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app })))
 * profile.type // => "normal"
 * ```
 */
export const refreshProfile = (
  user: User
): Effect.Effect<Profile, RefreshProfileError, HttpClient.HttpClient | TokenStore> =>
  aroundRefreshProfile(
    Effect.gen(function*() {
      let asked: Session.LoggedInSession | undefined
      const answer = yield* AccessToken.authorized(user, (session) => {
        asked = session
        return AccessToken.sendProfile({ baseUrl: user.baseUrl, bearer: session.tokens.accessToken })
      })
      const profile = Session.profile(answer)
      yield* Sessions.commitAnswer(user, asked!, (session) =>
        Option.some({
          session: { ...session, profile },
          event: { _tag: "ProfileRefreshed", profile }
        }))
      return yield* Effect.fromResult(profileOf(profile))
    }),
    { endpoint: Endpoint.profile, appId: Subject.user(user) }
  )

/**
 * Gives the user one more way to log in (`Realm.User.linkCredentials`, protocol section 3.5). The user keeps the id. An
 * email address has to be registered and confirmed, and must not have logged in by itself. Linking the same identity
 * again changes nothing and succeeds.
 *
 * Fails with `AuthError` when the credentials are wrong or the identity belongs to another user, which App Services told by
 * `SessionError.InvalidSession`. A link that fails changes nothing here.
 *
 * ```ts
 * import { User } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect } from "effect"
 *
 * const app = AppDefinition.make({
 *   appId: "shop-abcde",
 *   authProviders: { anonymous: {}, emailPassword: { autoConfirm: true } }
 * })
 * const program = Effect.gen(function*() {
 *   const user = yield* RealmTest.anonymousUser
 *   const { credentials } = yield* RealmTest.RealmTest.use((test) => test.register())
 *   yield* User.linkCredentials(user, credentials)
 *   return (yield* User.identities(user)).map((identity) => identity.providerType)
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app }))) // => ["anon-user", "local-userpass"]
 * ```
 */
export const linkCredentials: {
  (credentials: Linkable): (
    user: User
  ) => Effect.Effect<void, LinkCredentialsError, HttpClient.HttpClient | TokenStore>
  (user: User, credentials: Linkable): Effect.Effect<void, LinkCredentialsError, HttpClient.HttpClient | TokenStore>
} = /* @__PURE__ */ dual(
  2,
  (user: User, credentials: Linkable): Effect.Effect<
    void,
    LinkCredentialsError,
    HttpClient.HttpClient | TokenStore
  > =>
    aroundLinkCredentials(
      Effect.gen(function*() {
        let asked: Session.LoggedInSession | undefined
        const answer = yield* AccessToken.authorized(user, (session) => {
          asked = session
          return LogIn.send({ id: user.appId, baseUrl: user.baseUrl }, credentials, {
            bearer: session.tokens.accessToken,
            deviceId: session.deviceId
          })
        })
        yield* Linking.adopt(user, asked!, answer, LogIn.endpoint(credentials))
      }),
      { endpoint: LogIn.endpoint(credentials), appId: Subject.user(user) }
    )
)

/**
 * Logs the user out (`Realm.User.logOut`, protocol section 5.2): the tokens are forgotten here at once, then the session
 * is ended on the server. Twice is success, and so is a session that is already gone there.
 *
 * Fails when the server could not be told. The user is logged out here all the same: `Effect.ignore` is safe.
 *
 * ```ts
 * import { User } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect } from "effect"
 *
 * const app = AppDefinition.make({ appId: "shop-abcde", authProviders: { anonymous: {} } })
 * const program = Effect.gen(function*() {
 *   const user = yield* RealmTest.anonymousUser
 *   yield* User.logOut(user)
 *   return yield* User.state(user)
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app }))) // => "LoggedOut"
 * ```
 */
export const logOut = (
  user: User
): Effect.Effect<void, LogOutError, HttpClient.HttpClient | TokenStore> =>
  aroundLogOut(LogOut.end(user, LogOut.loggedOut), { endpoint: Endpoint.deleteSession, appId: Subject.user(user) })

// -----------------------------------------------------------------------------
// Events
// -----------------------------------------------------------------------------

/**
 * What happens to the user, from now on (`Realm.User.addListener`): first a `Snapshot` of the present state, then one
 * event for each commit, in order, each exactly once. The stream ends when the user is removed.
 *
 * A slow subscriber delays nobody: it may be 256 events behind; beyond that it gets a new `Snapshot`, which says how many
 * it missed, in place of the rest.
 *
 * ```ts
 * import { User } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect, Fiber, Stream } from "effect"
 *
 * const app = AppDefinition.make({ appId: "shop-abcde", authProviders: { anonymous: {} } })
 * const program = Effect.gen(function*() {
 *   const user = yield* RealmTest.anonymousUser
 *   const listener = yield* User.events(user).pipe(
 *     Stream.map((event) => event._tag),
 *     Stream.take(2),
 *     Stream.runCollect,
 *     Effect.forkChild({ startImmediately: true })
 *   )
 *   yield* User.logOut(user)
 *   return yield* Fiber.join(listener)
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app }))) // => ["Snapshot", "LoggedOut"]
 * ```
 */
export const events = (user: User): Stream.Stream<UserEvent | Snapshot<UserState>, TokenStoreError, TokenStore> =>
  Stream.unwrap(Effect.map(TokenStore, (store) =>
    store.changes(Sessions.key(user)).pipe(
      Stream.map((event): UserEvent | Snapshot<UserState> =>
        event._tag === "Snapshot"
          ? {
            ...event,
            state: { state: stateOf(event.state), profile: Option.map(event.state, (session) => session.profile) }
          }
          : event
      ),
      Stream.takeUntil((event) =>
        event._tag === "Removed" || (event._tag === "Snapshot" && event.state.state === "Removed")
      )
    )))
