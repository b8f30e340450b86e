/**
 * What is remembered of one user between two calls. A session is a plain value with a generation: the `TokenStore`
 * replaces it as a whole, and only when nobody else has done so in between.
 */
import type * as Endpoint from "@effect-realm/protocol/Endpoint"
import { Token } from "@effect-realm/protocol/Token"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"

/** The two tokens of a logged-in user and how long the access token lives. */
export interface Tokens {
  readonly accessToken: Redacted.Redacted
  readonly refreshToken: Redacted.Redacted
  /** When the access token arrived here, in milliseconds on the local clock. */
  readonly receivedAt: number
  /** How long it lives from then on, in milliseconds: `exp - iat`, so that a wrong clock does no harm. */
  readonly lifetime: number
}

/** One way in which the user can prove who they are (`Realm.UserIdentity`). */
export interface Identity {
  readonly id: string
  readonly providerType: string
}

/** Who the user is, as the server last said (`Realm.User.profile`). */
export interface Profile {
  /** `normal`, or `server` for a user made by an API key. */
  readonly type: string
  readonly identities: ReadonlyArray<Identity>
  /**
   * What the providers tell, as Extended JSON: `name`, `email`, `pictureUrl`, `firstName`, `lastName`, `gender`,
   * `birthday`, `minAge`, `maxAge` and whatever else the server sent, under the server's own name.
   */
  readonly data: { readonly [key: string]: Schema.Json }
}

/** What is remembered of one user. */
export interface Session {
  readonly appId: string
  readonly userId: string
  /** Grows with each commit of this record and never repeats, not even after the user was removed and came back. */
  readonly generation: number
  /** Orders the users of an app by when they last became current. */
  readonly activation: number
  /** Missing while the user is logged out. */
  readonly tokens?: Tokens
  /** The provider of the last log-in, `anon-user` for instance. */
  readonly providerType: string
  /** The id that the server gave to this device, if it gave one. */
  readonly deviceId?: string
  readonly profile: Profile
  /** Custom user data as Extended JSON, as old as the access token. */
  readonly customData: { readonly [key: string]: Schema.Json }
}

/** A session whose user is logged in. */
export interface LoggedInSession extends Session {
  readonly tokens: Tokens
}

/**
 * Whether a session has tokens.
 *
 * ```ts
 * import { Session } from "@effect-realm/client"
 *
 * Session.isLoggedIn({
 *   appId: "shop-abcde",
 *   userId: "636aba021728b6c1c03db7f9",
 *   generation: 1,
 *   activation: 1,
 *   providerType: "anon-user",
 *   profile: { type: "normal", identities: [], data: {} },
 *   customData: {}
 * }) // => false
 * ```
 */
export const isLoggedIn = (session: Session): session is LoggedInSession => session.tokens !== undefined

const Document = Schema.Record(Schema.String, Schema.Json)

const Remembered = Schema.Struct({
  appId: Schema.String,
  userId: Schema.String,
  tokens: Schema.optionalKey(Schema.Struct({
    accessToken: Token,
    refreshToken: Token,
    receivedAt: Schema.Finite,
    lifetime: Schema.Finite
  })),
  providerType: Schema.String,
  deviceId: Schema.optionalKey(Schema.String),
  profile: Schema.Struct({
    type: Schema.String,
    identities: Schema.Array(Schema.Struct({ id: Schema.String, providerType: Schema.String })),
    data: Document
  }),
  customData: Document
})

/** A session as it is written to a store that keeps text. */
export const Session: Schema.Codec<Session, unknown> = Schema.Struct({
  ...Remembered.fields,
  generation: Schema.Int,
  activation: Schema.Int
})

/** The same without what a store counts beside it. */
export const Uncounted: Schema.Codec<Omit<Session, "generation" | "activation">, unknown> = Remembered

// The names of realm-web, which programs know; keys it did not rename keep the name of the wire.
const names = new Map([
  ["picture", "pictureUrl"],
  ["first_name", "firstName"],
  ["last_name", "lastName"],
  ["min_age", "minAge"],
  ["max_age", "maxAge"]
])

/**
 * The profile of an answer of `GET /auth/profile` (protocol section 5.3), its `data` under the names of `Realm.User.profile`.
 *
 * ```ts
 * import { Session } from "@effect-realm/client"
 *
 * const profile = Session.profile({ type: "normal", identities: [], data: { first_name: "Zoë", team: "red" } })
 * profile.data // => { firstName: "Zoë", team: "red" }
 * ```
 */
export const profile = (answer: typeof Endpoint.Profile.Type): Profile => ({
  type: answer.type ?? "normal",
  identities: answer.identities.map(({ id, providerType }) => ({ id, providerType })),
  data: Object.fromEntries(Object.entries(answer.data).map(([name, value]) => [names.get(name) ?? name, value]))
})
