/**
 * Everything that is remembered between two calls: per app and user one versioned {@link Session}, and which user of the
 * app is current. What makes it more than a key-value store is that it carries the laws of a session: a late answer for
 * an older generation is dropped (`commit`), at most one exchange of tokens is under way per user (`lease`), and every
 * commit is seen by everyone, once and in order (`changes`).
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import * as KeyValueStore from "effect/persistence/KeyValueStore"
import type * as Stream from "effect/Stream"
import type { ExchangeError, TokenStoreError } from "./ClientError.ts"
import * as Patience from "./internal/stores/patience.ts"
import * as Tables from "./internal/stores/sessionTables.ts"
import * as Shared from "./internal/stores/sharedSessions.ts"
import * as SingleFlight from "./internal/stores/singleFlight.ts"
import { unguessable } from "./internal/unguessable.ts"
import type { LoggedInSession, Session } from "./Session.ts"
import { SessionStorage } from "./SessionStorage.ts"
import type { Snapshot, Uncommitted, UserEvent } from "./UserEvent.ts"

// -----------------------------------------------------------------------------
// Model
// -----------------------------------------------------------------------------

/** Whose session: the key of a record. */
export interface SessionKey {
  readonly appId: string
  readonly userId: string
}

/** A change of one user's record, made only when its generation is still the expected one. */
export interface Commit {
  /** The generation the change was computed from; `0` when there was no record, or only an unreadable one. */
  readonly expected: number
  /** The new record without what the store adds, or `None` to remove the user. */
  readonly session: Option.Option<Omit<Session, "generation" | "activation">>
  /** Whether the user becomes the app's current user. */
  readonly makeCurrent: boolean
  /** What the change means to those who listen. */
  readonly event: Uncommitted
  /** What `arrival` answered when a log-in began: it is refused when the user has left since (law 5). */
  readonly since?: number
}

/** What became of a commit. */
export type Outcome =
  | { readonly _tag: "Committed"; readonly generation: number }
  /** The record has moved on: nothing happened. */
  | { readonly _tag: "MovedOn" }
  /** The user was logged out or removed since the log-in began: nothing happened. */
  | { readonly _tag: "Left" }

/** What is remembered of an app beside its users. */
export interface AppState {
  /** The user who became current last and is logged in. */
  readonly currentUser: Option.Option<string>
  /** The anonymous user who became current last, if any: a candidate for reuse. */
  readonly anonymousUser: Option.Option<string>
  /** The id that the server gave to this device at the last log-in. */
  readonly deviceId: Option.Option<string>
}

/** What a store has to provide; {@link make} derives the rest. */
export interface Primitives {
  /** The record of a user, or none. An unreadable record fails with the reason `Damaged`. */
  readonly get: (key: SessionKey) => Effect.Effect<Option.Option<Session>, TokenStoreError>
  /** Makes a change as a whole, or does nothing when the record has moved on. */
  readonly commit: (key: SessionKey, commit: Commit) => Effect.Effect<Outcome, TokenStoreError>
  /**
   * Notes that a log-in to the app begins; its commit hands the number back as `since`. Whose log-in it is nobody knows
   * before the server has answered. Departures are remembered for an hour, which no log-in takes.
   */
  readonly arrival: (appId: string) => Effect.Effect<number, TokenStoreError>
  /** Notes that the user leaves: log-ins of the user that are under way lose, whoever makes them (law 5). */
  readonly depart: (key: SessionKey) => Effect.Effect<void, TokenStoreError>
  /**
   * Runs an effect while holding the user's lease: at most one holder per user among all who share the store. The lease
   * ends with the effect, with the holder's process, or after its bound of two minutes, which fails with `LeaseLost`.
   */
  readonly lease: <A, E, R>(key: SessionKey, use: Effect.Effect<A, E, R>) => Effect.Effect<A, E | TokenStoreError, R>
  /** What is remembered of an app beside its users. */
  readonly app: (appId: string) => Effect.Effect<AppState, TokenStoreError>
  /** The ids of the app's users, in the order in which they first logged in. Unreadable records are left out. */
  readonly users: (appId: string) => Effect.Effect<Array<string>, TokenStoreError>
  /**
   * The present state of one user, then every change of it, in order, each exactly once. It can fail at its beginning;
   * later it waits for a store that cannot be reached, and then tells what happened meanwhile.
   */
  readonly changes: (
    key: SessionKey
  ) => Stream.Stream<UserEvent | Snapshot<Option.Option<Session>>, TokenStoreError>
  /** The same of an app: its state, then every change of any of its users, in order per user, each exactly once. */
  readonly appChanges: (appId: string) => Stream.Stream<UserEvent | Snapshot<AppState>, TokenStoreError>
}

// -----------------------------------------------------------------------------
// Service
// -----------------------------------------------------------------------------

/** The store of sessions that every operation of a user needs. */
export class TokenStore extends Context.Service<
  TokenStore,
  Primitives & {
    /**
     * The exchanges of tokens under way in this process, by user: callers who find the same token expired share one and
     * its outcome.
     */
    readonly exchanges: SingleFlight.SingleFlight<LoggedInSession, ExchangeError>
  }
>()("@effect-realm/client/TokenStore") {}

// -----------------------------------------------------------------------------
// Errors
// -----------------------------------------------------------------------------

export { TokenStoreError } from "./ClientError.ts"

// -----------------------------------------------------------------------------
// Constructors
// -----------------------------------------------------------------------------

/**
 * A whole store from what a layer provides.
 *
 * ```ts
 * import { TokenStore } from "@effect-realm/client"
 * import { Effect, Layer } from "effect"
 *
 * // A layer of one's own: every look-up of a record is logged, the rest is as it was.
 * const layer = Layer.effect(
 *   TokenStore.TokenStore,
 *   Effect.map(TokenStore.TokenStore, (store) =>
 *     TokenStore.make({ ...store, get: (key) => Effect.tap(store.get(key), () => Effect.logDebug(key.userId)) }))
 * ).pipe(Layer.provide(TokenStore.layerMemory))
 * const users = TokenStore.TokenStore.use((store) => store.users("shop-abcde"))
 * await Effect.runPromise(Effect.provide(users, layer)) // => []
 * ```
 */
export const make = (primitives: Primitives): TokenStore["Service"] =>
  TokenStore.of({ ...primitives, exchanges: SingleFlight.make() })

// -----------------------------------------------------------------------------
// Layers
// -----------------------------------------------------------------------------

/**
 * Sessions in memory, gone with the process. For tests, scripts, and servers that log in at each start.
 *
 * ```ts
 * import { TokenStore } from "@effect-realm/client"
 * import { Effect } from "effect"
 *
 * const users = TokenStore.TokenStore.use((store) => store.users("shop-abcde"))
 * await Effect.runPromise(Effect.provide(users, TokenStore.layerMemory)) // => []
 * ```
 */
export const layerMemory: Layer.Layer<TokenStore> = /* @__PURE__ */ Layer.sync(TokenStore, () => make(Tables.memory()))

/**
 * Sessions in a `KeyValueStore`: a directory, `localStorage`, a table. They survive the process; one process at a time
 * may use the store, since a key-value store has neither compare-and-set nor locks. Tokens are written as plain text. A
 * record of a newer version of this library fails with `NewerVersion` and is left as it is.
 *
 * ```ts
 * import { TokenStore } from "@effect-realm/client"
 * import { Effect, Layer } from "effect"
 * import { KeyValueStore } from "effect/persistence"
 *
 * const layer = TokenStore.layerKeyValueStore.pipe(Layer.provide(KeyValueStore.layerMemory))
 * const users = TokenStore.TokenStore.use((store) => store.users("shop-abcde"))
 * await Effect.runPromise(Effect.provide(users, layer)) // => []
 * ```
 */
export const layerKeyValueStore: Layer.Layer<TokenStore, never, KeyValueStore.KeyValueStore> = /* @__PURE__ */ Layer
  .fresh(
    // Shared by name alone, a store within the reach of another would be that other one, over its place.
    /* @__PURE__ */ Layer.effect(
      TokenStore,
      /* @__PURE__ */ Effect.map(KeyValueStore.KeyValueStore, (store) => make(Tables.keyValueStore(store)))
    )
  )

/**
 * Sessions in a place that any number of processes share at the same time: a database, Redis, a directory. Among all of
 * them a user's token is exchanged once, a log-out wins, and everyone is told of each change.
 *
 * A process that dies while it exchanges a token keeps the others waiting for ten seconds at most. A place that does not
 * answer within the deadline of the `Policy` in force fails what asked it with `Unavailable`.
 *
 * ```ts
 * import { SessionStorage, TokenStore } from "@effect-realm/client"
 * import { Effect, Layer } from "effect"
 *
 * const layer = TokenStore.layerStorage.pipe(Layer.provide(SessionStorage.layerMemory))
 * const users = TokenStore.TokenStore.use((store) => store.users("shop-abcde"))
 * await Effect.runPromise(Effect.provide(users, layer)) // => []
 * ```
 */
export const layerStorage: Layer.Layer<TokenStore, never, SessionStorage> = /* @__PURE__ */ Layer.fresh(
  // As above.
  /* @__PURE__ */ Layer.effect(
    TokenStore,
    /* @__PURE__ */ Effect.map(
      SessionStorage,
      (storage) => make(Shared.make(Patience.limited(storage), unguessable(12)))
    )
  )
)
