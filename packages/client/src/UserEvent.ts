/**
 * What happened to a user. Every commit to the `TokenStore` carries exactly one event, so an event is seen exactly when
 * something changed, once, by everyone who shares the store. They replace `Realm.User.addListener` and
 * `Realm.App.addListener`.
 */
import type * as Schema from "effect/Schema"
import type { Identity, Profile } from "./Session.ts"

/** Why a user was logged out: asked for, or the server refused the session. */
export type LogOutReason = "Requested" | "SessionEnded"

/** Who the event is about and which commit it belongs to. */
interface Committed {
  readonly userId: string
  /** The generation of the session record that this event came with. */
  readonly generation: number
}

/** The user logged in, and was not logged in here before. */
export interface LoggedIn extends Committed {
  readonly _tag: "LoggedIn"
  readonly providerType: string
}

/** The user logged in again while logged in: a new session took the place of the old one. */
export interface RefreshTokenReplaced extends Committed {
  readonly _tag: "RefreshTokenReplaced"
  readonly providerType: string
}

/** A new access token arrived, with the custom data of that moment. */
export interface AccessTokenRefreshed extends Committed {
  readonly _tag: "AccessTokenRefreshed"
  /** Whether the custom data is other than before. */
  readonly customDataChanged: boolean
}

/** The custom data was read again, with a new access token. */
export interface CustomDataRefreshed extends Committed {
  readonly _tag: "CustomDataRefreshed"
  /** The custom data as Extended JSON. */
  readonly customData: { readonly [key: string]: Schema.Json }
}

/** The profile was read again. */
export interface ProfileRefreshed extends Committed {
  readonly _tag: "ProfileRefreshed"
  /** The profile, its `data` as Extended JSON. */
  readonly profile: Profile
}

/** The user has one more way to log in. */
export interface IdentityLinked extends Committed {
  readonly _tag: "IdentityLinked"
  readonly identities: ReadonlyArray<Identity>
}

/** The user became the app's current user, by `App.switchUser` or by reuse of an anonymous user. */
export interface Switched extends Committed {
  readonly _tag: "Switched"
}

/** The user is logged out: no token is left here. */
export interface LoggedOut extends Committed {
  readonly _tag: "LoggedOut"
  readonly reason: LogOutReason
}

/** The user is not known here any more. The stream of the user ends after it. */
export interface Removed extends Committed {
  readonly _tag: "Removed"
}

/** What a commit did. */
export type UserEvent =
  | LoggedIn
  | RefreshTokenReplaced
  | AccessTokenRefreshed
  | CustomDataRefreshed
  | ProfileRefreshed
  | IdentityLinked
  | Switched
  | LoggedOut
  | Removed

/** A {@link UserEvent} before it is committed: the store adds who and which generation. */
export type Uncommitted = UserEvent extends infer E ? E extends UserEvent ? Omit<E, keyof Committed> : never : never

/**
 * The present state, which every subscriber gets first, and again in place of the events it missed when it fell too far
 * behind: `missed` says how many.
 */
export interface Snapshot<State> {
  readonly _tag: "Snapshot"
  readonly missed: number
  readonly state: State
}
