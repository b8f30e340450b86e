/**
 * A place that several processes share to keep sessions in: a database, Redis, a directory. It is what a `TokenStore` for
 * all of them is made of (`TokenStore.layerStorage`), cut so that a new place takes a page of code: rows of text, one
 * atomic write, a lease, and a log.
 *
 * Everything of an app is counted by one number, which belongs to the place: each write and each departure takes the
 * next one. It is the generation of the record written, the order of users and of who became current, and the position in
 * the log. So generations never repeat, and whoever reads the log from where they were has missed nothing.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import type * as Stream from "effect/Stream"
import type { TokenStoreError } from "./ClientError.ts"
import * as Memory from "./internal/stores/memoryStorage.ts"
import type { Outcome, SessionKey } from "./TokenStore.ts"

// -----------------------------------------------------------------------------
// Model
// -----------------------------------------------------------------------------

/** What is kept of one user. */
export interface Row {
  readonly userId: string
  /** The number of the write that the record came with. */
  readonly generation: number
  /** The number of the last write that made the user current; `0` when none did. */
  readonly activation: number
  /** How long ago the record was written, by the clock of the place: clocks of processes may be hours apart. */
  readonly age: Duration.Duration
  /** The record, as text. Reading it can fail where it is kept encrypted. */
  readonly record: Effect.Effect<string, TokenStoreError>
}

/** One user at one moment. */
export interface Reading {
  /** The number of the app at that moment: whoever asks for the log after it misses nothing. */
  readonly number: number
  readonly row: Option.Option<Row>
}

/** What is kept of an app beside its users, at one moment. */
export interface AppReading {
  readonly number: number
  /** The logged-in users who became current last, at most sixteen, the latest first. */
  readonly recent: ReadonlyArray<Row>
  readonly anonymousUser: Option.Option<string>
  readonly deviceId: Option.Option<string>
}

/** A change of one row. Either all of it happens, or nothing. */
export interface Write {
  /** The generation of the row that has to be there; `0` when there must be none. */
  readonly expected: number
  /** The number since which the user must not have departed. */
  readonly since: Option.Option<number>
  /** The new record, or `None` to remove the row. */
  readonly record: Option.Option<string>
  /** Whether the user may be the current one. */
  readonly isLoggedIn: boolean
  readonly makeCurrent: boolean
  /** Whether the user becomes the app's anonymous user. */
  readonly isAnonymous: boolean
  /** What becomes the id of this device, if anything. */
  readonly deviceId: Option.Option<string>
  /** What is appended to the log, as text. */
  readonly event: string
}

/** One entry of the log. */
export interface Entry {
  readonly number: number
  readonly userId: string
  /** Reading it can fail where it is kept encrypted. */
  readonly event: Effect.Effect<string, TokenStoreError>
}

/** A part of the log of an app. */
export interface Page {
  /** What was written after the number that was asked for, in order: all of it up to `until`. */
  readonly entries: ReadonlyArray<Entry>
  /** The number that the next page begins after. */
  readonly until: number
  /** Entries up to this number may be gone from the log; `0` when all are there. */
  readonly forgotten: number
  /** Whether there was more at that moment. */
  readonly hasMore: boolean
}

// -----------------------------------------------------------------------------
// Service
// -----------------------------------------------------------------------------

/** A place to keep sessions in. */
export class SessionStorage extends Context.Service<SessionStorage, {
  /** A user's row, in one round trip. */
  readonly read: (key: SessionKey) => Effect.Effect<Reading, TokenStoreError>
  /** What is kept of an app. */
  readonly app: (appId: string) => Effect.Effect<AppReading, TokenStoreError>
  /** All rows of an app, in the order in which they first came. */
  readonly rows: (appId: string) => Stream.Stream<Row, TokenStoreError>
  /** Makes a change under the app's next number. */
  readonly write: (key: SessionKey, write: Write) => Effect.Effect<Outcome, TokenStoreError>
  /**
   * Notes under the app's next number that the user departed. Remembered for an hour at least; where the clock of the place
   * may be set forward, also for as many changes as come in a moment.
   */
  readonly depart: (key: SessionKey) => Effect.Effect<void, TokenStoreError>
  /**
   * Gives the user's lease to a holder who has it, or when nobody has it; answers whether it did. It ends after `life` by
   * the clock of the place, unless it is given again. No life is longer than two minutes: a lease that says it has more
   * left is one of before the clock was set back, and has ended.
   */
  readonly acquire: (
    key: SessionKey,
    holder: string,
    life: Duration.Duration
  ) => Effect.Effect<boolean, TokenStoreError>
  /** Ends the lease of this holder, if it still is theirs. */
  readonly release: (key: SessionKey, holder: string) => Effect.Effect<void, TokenStoreError>
  /** The log after a number. It remembers the last 1,024 numbers at least. */
  readonly log: (appId: string, after: number) => Effect.Effect<Page, TokenStoreError>
  /**
   * Emits first when it listens, then whenever the log may have grown, whoever wrote. It may emit for no reason. A stream
   * that fails is begun again.
   */
  readonly news: (appId: string) => Stream.Stream<unknown, TokenStoreError>
}>()("@effect-realm/client/SessionStorage") {}

// -----------------------------------------------------------------------------
// Layers
// -----------------------------------------------------------------------------

/**
 * A place in memory: for tests of programs that share sessions, each with a `TokenStore.layerStorage` of its own, in one
 * process and on one clock.
 *
 * ```ts
 * import { SessionStorage, TokenStore } from "@effect-realm/client"
 * import { Effect, Layer } from "effect"
 *
 * const users = TokenStore.TokenStore.use((store) => store.users("shop-abcde"))
 * const layer = Layer.provide(TokenStore.layerStorage, SessionStorage.layerMemory)
 * await Effect.runPromise(Effect.provide(users, layer)) // => []
 * ```
 */
export const layerMemory: Layer.Layer<SessionStorage> = /* @__PURE__ */ Layer.effect(
  SessionStorage,
  /* @__PURE__ */ Effect.map(Clock.Clock, (clock) => Memory.make(clock))
)
