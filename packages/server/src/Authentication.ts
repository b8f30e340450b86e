/**
 * From proof to session: what happens when somebody logs in, links, refreshes or sends a token (protocol sections 3 to 5).
 */
import * as RealmError from "@effect-realm/protocol/RealmError"
import type { AccessClaims } from "@effect-realm/protocol/Token"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import { Accounts, type Identity, type User } from "./Accounts.ts"
import * as ApiKeys from "./ApiKeys.ts"
import { CustomUserData } from "./CustomUserData.ts"
import type { DatabaseError } from "./DatabaseError.ts"
import * as EmailAccounts from "./EmailAccounts.ts"
import { Push } from "./Push.ts"
import { type Active, type Device, type Session, Sessions } from "./Sessions.ts"
import { Tokens } from "./Tokens.ts"

// -----------------------------------------------------------------------------
// Model
// -----------------------------------------------------------------------------

/** What a log-in answers. */
export interface LoggedIn {
  readonly accessToken: Redacted.Redacted
  readonly refreshToken: Redacted.Redacted
  readonly userId: string
  readonly deviceId: string
}

/** What a link answers: the session stays the one it was. */
export type Linked = Omit<LoggedIn, "refreshToken">

/** The owner of an access token, and what the token says. */
export interface Authorized extends Active {
  readonly claims: AccessClaims
}

/** How long tokens are good. */
export interface Lifetimes {
  readonly accessToken: Duration.Duration
  readonly refreshToken: Duration.Duration
  /** Of refresh tokens of users who logged in anonymously: nobody could get theirs back. */
  readonly anonymousRefreshToken: Duration.Duration
}

// -----------------------------------------------------------------------------
// Service
// -----------------------------------------------------------------------------

/**
 * Log-in, link and tokens of one app.
 *
 * ```ts
 * import { AppDefinition, Authentication, Database, RealmServer } from "@effect-realm/server"
 * import { Effect, Layer } from "effect"
 * import { HttpRouter } from "effect/http"
 *
 * const app = AppDefinition.make({ appId: "shop-abcde" })
 * const server = Layer.provide(RealmServer.layer({ app }), [HttpRouter.layer, Database.layerMemory])
 *
 * const program = Effect.gen(function*() {
 *   const authentication = yield* Authentication.Authentication
 *   const identity = { id: "ann", providerType: "custom-function", providerId: "p", data: {} }
 *   const { accessToken, userId } = yield* authentication.logIn({ identity, device: undefined })
 *   yield* authentication.disableUser(userId)
 *   const refusal = yield* Effect.flip(authentication.authorizeAccess(accessToken))
 *   return refusal._tag === "SessionError" && refusal.reason._tag
 * })
 * await Effect.runPromise(Effect.provide(program, server)) // => "UserDisabled"
 * ```
 */
export class Authentication extends Context.Service<Authentication, {
  /** Finds or makes the owner of a proven identity and opens a session. Fails with `UserDisabled` when the owner is. */
  readonly logIn: (options: {
    readonly identity: Identity
    readonly device: (Device & { readonly deviceId?: string }) | undefined
  }) => Effect.Effect<LoggedIn, RealmError.AuthError | RealmError.SessionError | DatabaseError>
  /** Adds a proven identity to a user, with the refusals of protocol section 3.5. */
  readonly link: (options: {
    readonly active: Active
    readonly identity: Identity
  }) => Effect.Effect<
    Linked,
    | RealmError.AuthError
    | RealmError.SessionError
    | RealmError.RequestError
    | RealmError.UnknownServiceError
    | DatabaseError
  >
  /** A new access token of a session, with the custom user data of now. */
  readonly refresh: (active: Active) => Effect.Effect<Redacted.Redacted, DatabaseError>
  /** Whose access token this is, as long as the session stands (protocol section 5.1). */
  readonly authorizeAccess: (
    token: Redacted.Redacted
  ) => Effect.Effect<Authorized, RealmError.SessionError | DatabaseError>
  /** Whose refresh token this is, as long as the session stands (protocol section 5.1). */
  readonly authorizeRefresh: (
    token: Redacted.Redacted
  ) => Effect.Effect<Active, RealmError.SessionError | DatabaseError>
  /** Ends a session; `false` when it had ended before. */
  readonly logOut: (sessionId: string) => Effect.Effect<boolean, DatabaseError>
  /** Deletes a user with identities, API keys, push registrations and sessions; `false` when there is none. Documents stay. */
  readonly deleteUser: (userId: string) => Effect.Effect<boolean, DatabaseError>
  /** Refuses a user from the next request on, and ends all their sessions; `false` when there is none. */
  readonly disableUser: (userId: string) => Effect.Effect<boolean, DatabaseError>
  /** Lets a disabled user log in again; `false` when there is none. */
  readonly enableUser: (userId: string) => Effect.Effect<boolean, DatabaseError>
}>()("@effect-realm/server/Authentication") {}

// -----------------------------------------------------------------------------
// Layers
// -----------------------------------------------------------------------------

const anonymous = "anon-user"

const disabled = (): RealmError.SessionError => RealmError.make("UserDisabled", "unauthorized")

/**
 * Log-in over the services that keep users, sessions and tokens. {@link RealmServer} puts them together.
 *
 * ```ts no-run
 * import { Accounts, ApiKeys, Authentication, CustomUserData, EmailAccounts, Push, Sessions, Tokens } from "@effect-realm/server"
 * import { Duration, Effect, type Layer } from "effect"
 *
 * const layer: Layer.Layer<
 *   Authentication.Authentication,
 *   never,
 *   | Accounts.Accounts
 *   | ApiKeys.ApiKeys
 *   | CustomUserData.CustomUserData
 *   | EmailAccounts.EmailAccounts
 *   | Push.Push
 *   | Sessions.Sessions
 *   | Tokens.Tokens
 * > = Authentication.layer({
 *   domainId: "5eea8667bcb4c810b651fb59",
 *   lifetimes: {
 *     accessToken: Duration.minutes(30),
 *     refreshToken: Duration.days(60),
 *     anonymousRefreshToken: Duration.days(18_250)
 *   },
 *   onUserCreation: () => Effect.void
 * })
 * void layer
 * ```
 *
 * @param options.domainId the app's domain id, which its tokens carry
 * @param options.onUserCreation runs before an account exists; when it fails there is none, and the log-in fails with it
 */
export const layer = (options: {
  readonly domainId: string
  readonly lifetimes: Lifetimes
  readonly onUserCreation: (user: User) => Effect.Effect<void, RealmError.AuthError>
}): Layer.Layer<
  Authentication,
  never,
  Accounts | ApiKeys.ApiKeys | CustomUserData | EmailAccounts.EmailAccounts | Push | Sessions | Tokens
> =>
  Layer.effect(
    Authentication,
    Effect.gen(function*() {
      const accounts = yield* Accounts
      const apiKeys = yield* ApiKeys.ApiKeys
      const customUserData = yield* CustomUserData
      const emailAccounts = yield* EmailAccounts.EmailAccounts
      const push = yield* Push
      const sessions = yield* Sessions
      const tokens = yield* Tokens
      const { domainId, lifetimes, onUserCreation } = options

      const seconds = Effect.map(Clock.currentTimeMillis, (millis) => Math.floor(millis / 1000))

      const accessToken = Effect.fnUntraced(function*({ session, user }: Active) {
        const userData = yield* customUserData.read(user.id)
        const issuedAt = yield* seconds
        return yield* tokens.signAccess({
          userId: user.id,
          sessionId: session.id,
          deviceId: session.deviceId,
          domainId,
          issuedAt,
          expiresAt: issuedAt + Math.floor(Duration.toSeconds(lifetimes.accessToken)),
          userData
        })
      })

      const refreshToken = ({ session, user }: Active) =>
        tokens.signRefresh({
          userId: user.id,
          sessionId: session.id,
          deviceId: session.deviceId,
          domainId,
          issuedAt: Math.floor(session.createdAt.getTime() / 1000),
          expiresAt: Math.floor(session.expiresAt.getTime() / 1000),
          identity: session.identity
        })

      const isKey = ({ providerType }: Pick<Identity, "providerType">) => providerType === ApiKeys.providerType

      // A database writes half a surrogate pair as another character, and two who differ in it would be one user.
      const refuseLikeness = Effect.fnUntraced(function*({ id, providerType }: Identity, words: string) {
        if (id.isWellFormed()) return
        yield* Effect.annotateLogs(Effect.logInfo("credentials refused"), {
          provider: providerType,
          reason: "the id of the account is not well-formed Unicode"
        })
        return yield* RealmError.make("AuthError", words)
      })

      // An address goes before its user does: whoever was about to log in with it is nobody new.
      const isForgotten = ({ id, providerType }: Identity): Effect.Effect<boolean, DatabaseError> =>
        providerType === EmailAccounts.providerType
          ? Effect.map(emailAccounts.isRegistered(id), (isRegistered) => !isRegistered)
          : Effect.succeed(false)

      const create = (identity: Identity) =>
        Effect.fnUntraced(function*(user: User) {
          if (yield* isForgotten(identity)) return yield* RealmError.make("InvalidPassword", "unauthorized")
          yield* onUserCreation(user)
        })

      // A key belongs to somebody before it is used for the first time.
      const userOf = Effect.fnUntraced(function*(identity: Identity) {
        if (!isKey(identity)) return yield* accounts.authenticate(identity, create(identity))
        const owner = yield* apiKeys.ownerOf(identity.id)
        if (owner === "server") return yield* accounts.authenticate(identity, onUserCreation, "server")
        const user = yield* accounts.authenticateAs(owner.userId, identity)
        return user ?? (yield* RealmError.make("AuthError", "unauthorized"))
      })

      // Whoever disables or deletes a user writes that first and then ends the sessions, perhaps before there was this one.
      const standing = ({ id: sessionId, userId }: Session) =>
        sessions.find({ sessionId, userId }).pipe(
          Effect.catchTag("SessionError", ({ reason }) =>
            Effect.andThen(
              sessions.end(sessionId),
              Effect.fail(
                reason._tag === "UserDisabled" ? disabled() : RealmError.make("AuthError", "unauthorized")
              )
            ))
        )

      const open: Authentication["Service"]["logIn"] = Effect.fnUntraced(function*({ device, identity }) {
        yield* refuseLikeness(identity, "unauthorized")
        const user = yield* userOf(identity)
        if (user.disabled) return yield* disabled()
        const { data: _, ...proof } = identity
        const session = yield* sessions.open({
          userId: user.id,
          identity: proof,
          device,
          lifetime: identity.providerType === anonymous ? lifetimes.anonymousRefreshToken : lifetimes.refreshToken
        })
        if (isKey(identity)) {
          const standing = yield* apiKeys.standing(identity.id)
          if (standing !== "Enabled") {
            // Whoever took the key away has ended its sessions, perhaps before there was this one.
            yield* sessions.end(session.id)
            if (standing === "Deleted") yield* accounts.unlink(identity)
            return yield* RealmError.make("AuthError", "unauthorized")
          }
        }
        const active = yield* standing(session)
        return {
          accessToken: yield* accessToken(active),
          refreshToken: yield* refreshToken(active),
          userId: user.id,
          deviceId: session.deviceId
        }
      })

      const link: Authentication["Service"]["link"] = Effect.fnUntraced(function*({ active, identity }) {
        yield* refuseLikeness(identity, "invalid credentials")
        if (isKey(identity)) {
          const owner = yield* apiKeys.ownerOf(identity.id)
          const isOwn = owner === "server"
            ? active.user.identities.some((known) => isKey(known) && known.id === identity.id)
            : owner.userId === active.user.id
          if (!isOwn) return yield* RealmError.make("InvalidParameter", "invalid user link request")
        } else if (isKey(active.session.identity)) {
          // Whoever got hold of a key would add what they log in with once the key is taken away.
          return yield* RealmError.make("Forbidden", "a session of an API key may not link credentials")
        }
        const user = yield* isKey(identity)
          ? accounts.authenticateAs(active.user.id, identity)
          : accounts.link(active.user.id, identity)
        if (user === undefined) {
          return yield* RealmError.make("InvalidSession", "invalid session: failed to find refresh token")
        }
        const isGone = isKey(identity)
          ? (yield* apiKeys.standing(identity.id)) === "Deleted"
          : yield* isForgotten(identity)
        if (isGone) {
          yield* accounts.unlink(identity)
          return yield* RealmError.make("AuthError", "invalid credentials")
        }
        return {
          accessToken: yield* accessToken({ session: active.session, user }),
          userId: user.id,
          deviceId: active.session.deviceId
        }
      })

      // What proves the user goes before the user: cut short, the user can still delete the rest.
      const deleteUser = Effect.fnUntraced(function*(userId: string) {
        const user = yield* accounts.get(userId)
        if (user === undefined) return false
        for (const identity of user.identities) {
          if (identity.providerType === EmailAccounts.providerType) yield* emailAccounts.remove(identity.id)
        }
        yield* apiKeys.removeAll(user)
        yield* push.removeAll(userId)
        const removed = yield* accounts.remove(userId)
        // A key or a registration that was being made has found its user until now.
        yield* apiKeys.removeAll(user)
        yield* push.removeAll(userId)
        yield* sessions.endAll(userId)
        return removed
      })

      return Authentication.of({
        // Interrupted half-way a key could leave a session behind that its deletion did not end.
        logIn: (options) => isKey(options.identity) ? Effect.uninterruptible(open(options)) : open(options),
        link: (options) => isKey(options.identity) ? Effect.uninterruptible(link(options)) : link(options),
        refresh: (active) => Effect.andThen(sessions.touch(active.session.id), accessToken(active)),
        authorizeAccess: Effect.fnUntraced(function*(token) {
          const claims = yield* tokens.verifyAccess(token)
          const active = yield* sessions.find({ sessionId: claims.sessionId ?? "", userId: claims.userId })
          return { ...active, claims }
        }),
        authorizeRefresh: Effect.fnUntraced(function*(token) {
          const { sessionId, userId } = yield* tokens.verifyRefresh(token)
          return yield* sessions.find({ sessionId, userId })
        }),
        logOut: sessions.end,
        deleteUser: (userId) => Effect.uninterruptible(deleteUser(userId)),
        disableUser: Effect.fnUntraced(function*(userId) {
          const disabled = yield* accounts.setDisabled(userId, true)
          yield* sessions.endAll(userId)
          return disabled
        }),
        enableUser: (userId) => accounts.setDisabled(userId, false)
      })
    })
  )
