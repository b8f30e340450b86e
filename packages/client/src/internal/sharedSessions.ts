/**
 * The primitives of a `TokenStore` over a place that several processes share. Nothing is remembered here that could be
 * wrong elsewhere: each commit is compared and written by the place (law 5), the lease is the place's (law 1), and who
 * listens is told what is in the place's log, whoever wrote it.
 */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TokenStoreError } from "../ClientError.ts"
import type { Session } from "../Session.ts"
import type { Reading, Row, SessionStorage } from "../SessionStorage.ts"
import type { AppState, Outcome, Primitives, SessionKey } from "../TokenStore.ts"
import type { Snapshot, Uncommitted, UserEvent } from "../UserEvent.ts"
import * as Changes from "./changes.ts"
import * as Locks from "./locks.ts"
import * as SessionRecord from "./sessionRecord.ts"

const leaseBound = Duration.minutes(2)

// A holder that has died is waited for no longer than this. One that lives says so three times meanwhile.
const leaseLife = Duration.seconds(10)
const leaseRenewal = Duration.millis(3300)

const farewell = Duration.seconds(1)

const waits = { first: 10, most: 200 }

// -----------------------------------------------------------------------------
// Events
// -----------------------------------------------------------------------------

const Document = Schema.Record(Schema.String, Schema.Json)
const Identities = Schema.Array(Schema.Struct({ id: Schema.String, providerType: Schema.String }))

const Event: Schema.Codec<Uncommitted, unknown> = Schema.Union([
  Schema.TaggedStruct("LoggedIn", { providerType: Schema.String }),
  Schema.TaggedStruct("RefreshTokenReplaced", { providerType: Schema.String }),
  Schema.TaggedStruct("AccessTokenRefreshed", { customDataChanged: Schema.Boolean }),
  Schema.TaggedStruct("CustomDataRefreshed", { customData: Document }),
  Schema.TaggedStruct("ProfileRefreshed", {
    profile: Schema.Struct({ type: Schema.String, identities: Identities, data: Document })
  }),
  Schema.TaggedStruct("IdentityLinked", { identities: Identities }),
  Schema.TaggedStruct("Switched", {}),
  Schema.TaggedStruct("LoggedOut", { reason: Schema.Literals(["Requested", "SessionEnded"]) }),
  Schema.TaggedStruct("Removed", {})
])
const EventText = Schema.fromJsonString(Event)
const decodeEvent = Schema.decodeUnknownEffect(EventText)
const encodeEvent = Schema.encodeEffect(EventText)

// -----------------------------------------------------------------------------
// Primitives
// -----------------------------------------------------------------------------

type Storage = SessionStorage["Service"]

const sessionKey = ({ appId, userId }: SessionKey): string => JSON.stringify([appId, userId])

/** @param process tells this process from all others that share the place */
export const make = (storage: Storage, process: string): Primitives => {
  const changes = Changes.make<UserEvent>()
  const withLease = Locks.make()
  const logs = followers(storage, changes)
  const reported = new Set<string>()
  const decode = SessionRecord.decoder()
  let holders = 0

  /** Says once what is wrong with a record that many may ask for (law 11). */
  const report = (key: SessionKey, error: TokenStoreError): Effect.Effect<void> => {
    if (reported.has(sessionKey(key)) || error.reason._tag === "Unavailable") return Effect.void
    reported.add(sessionKey(key))
    return Effect.logWarning(error.message)
  }

  const sessionOf = (key: SessionKey, row: Row): Effect.Effect<Session, TokenStoreError> =>
    Effect.tapError(Effect.flatMap(row.record, (text) => decode(key, row, text)), (error) => report(key, error))

  const stateOf = (key: SessionKey, { row }: Reading): Effect.Effect<Option.Option<Session>, TokenStoreError> =>
    Option.isNone(row) ? Effect.succeedNone : Effect.asSome(sessionOf(key, row.value))

  const get: Primitives["get"] = (key) => Effect.flatMap(storage.read(key), (reading) => stateOf(key, reading))

  /** The session of a row among others: one that cannot be read, for whatever reason, costs itself alone (law 11). */
  const readable = (appId: string, row: Row): Effect.Effect<Option.Option<Session>> =>
    Effect.option(sessionOf({ appId, userId: row.userId }, row))

  /** The generation of the row that a change of no record replaces: of none, or of one that cannot be read. */
  const replaceable = Effect.fnUntraced(function*(
    key: SessionKey
  ): Effect.fn.Return<Option.Option<number>, TokenStoreError> {
    const { row } = yield* storage.read(key)
    if (Option.isNone(row)) return Option.some(0)
    const { generation } = row.value
    return yield* Effect.matchEffect(sessionOf(key, row.value), {
      onSuccess: () => Effect.succeedNone,
      onFailure: (error) => SessionRecord.isDamaged(error) ? Effect.succeedSome(generation) : Effect.fail(error)
    })
  })

  const commit: Primitives["commit"] = (key, change) =>
    Effect.uninterruptible(Effect.gen(function*(): Effect.fn.Return<Outcome, TokenStoreError> {
      const expected = change.expected === 0 ? yield* replaceable(key) : Option.some(change.expected)
      if (Option.isNone(expected)) return { _tag: "MovedOn" }
      const session = Option.getOrUndefined(change.session)
      const outcome = yield* storage.write(key, {
        expected: expected.value,
        since: Option.fromUndefinedOr(change.since),
        record: session === undefined ? Option.none() : Option.some(yield* SessionRecord.encode(session)),
        isLoggedIn: session?.tokens !== undefined,
        makeCurrent: change.makeCurrent,
        isAnonymous: session?.providerType === "anon-user",
        deviceId: Option.fromUndefinedOr(session?.deviceId),
        event: yield* Effect.orDie(encodeEvent(change.event))
      })
      if (outcome._tag === "Committed") logs.wake(key.appId)
      return outcome
    }))

  /** Ends the lease of a holder, if there is one. Not worth waiting for: what cannot be given back ends by itself. */
  const giveBack = (key: SessionKey, holder: string): Effect.Effect<void> =>
    Effect.ignore(Effect.timeout(storage.release(key, holder), farewell))

  /** Gets the lease for a holder, however long that takes. Only waiting can be interrupted. */
  const acquired = (key: SessionKey, holder: string, restore: <A>(effect: Effect.Effect<A>) => Effect.Effect<A>) =>
    Effect.gen(function*() {
      let wait = waits.first
      while (!(yield* storage.acquire(key, holder, leaseLife))) {
        yield* restore(Effect.sleep(wait))
        wait = Math.min(waits.most, wait * 1.5)
      }
    }).pipe(
      // The place may have given it, though it did not say so.
      Effect.onError(() => giveBack(key, holder))
    )

  const lost = (key: SessionKey): Effect.Effect<never, TokenStoreError> =>
    Effect.fail(new TokenStoreError({ reason: { _tag: "LeaseLost", key: SessionRecord.nameOf(key) } }))

  /** Says that the holder lives, until the lease is lost: given to another, or not renewed for all of its life. */
  const renewing = Effect.fnUntraced(function*(key: SessionKey, holder: string) {
    let failures = 0
    while (failures < 3) {
      yield* Effect.sleep(leaseRenewal)
      const isOurs = yield* Effect.option(storage.acquire(key, holder, leaseLife))
      if (Option.isNone(isOurs)) failures++
      else if (isOurs.value) failures = 0
      else break
    }
    return yield* lost(key)
  })

  const lease: Primitives["lease"] = (key, use) =>
    // One at a time asks the place for it.
    withLease(sessionKey(key))(Effect.suspend(() => {
      const holder = `${process}/${++holders}`
      return Effect.uninterruptibleMask((restore) =>
        Effect.andThen(
          acquired(key, holder, restore),
          Effect.ensuring(
            restore(
              Effect.raceFirst(
                Effect.timeoutOrElse(use, { duration: leaseBound, orElse: () => lost(key) }),
                renewing(key, holder)
              )
            ),
            giveBack(key, holder)
          )
        )
      )
    }))

  const app = Effect.fnUntraced(function*(
    appId: string
  ): Effect.fn.Return<{ readonly number: number; readonly state: AppState }, TokenStoreError> {
    const { anonymousUser, deviceId, number, recent } = yield* storage.app(appId)
    let currentUser = Option.none<string>()
    for (const row of recent) {
      const session = yield* readable(appId, row)
      if (Option.isNone(session)) continue
      currentUser = Option.some(row.userId)
      break
    }
    return { number, state: { currentUser, anonymousUser, deviceId } }
  })

  const users: Primitives["users"] = (appId) =>
    storage.rows(appId).pipe(
      Stream.mapEffect((row) => readable(appId, row)),
      Stream.runFold((): Array<string> => [], (ids, session) => {
        if (Option.isSome(session)) ids.push(session.value.userId)
        return ids
      })
    )

  /** A state as of a number, once all that is in it has been published. */
  const present = <State>(appId: string, number: number, state: State): Effect.Effect<
    Changes.Present<UserEvent, Snapshot<State>>
  > =>
    Effect.as(logs.caughtUp(appId, number), {
      snapshot: (missed) => ({ _tag: "Snapshot", missed, state }),
      includes: (event) => event.generation <= number
    })

  const subscribe = <State>(
    topic: string,
    appId: string,
    read: Effect.Effect<{ readonly number: number; readonly state: State }, TokenStoreError>
  ): Stream.Stream<UserEvent | Snapshot<State>, TokenStoreError> =>
    Stream.unwrap(Effect.as(
      logs.follow(appId),
      changes.subscribe(topic, {
        lock: (effect) => effect,
        present: Effect.flatMap(read, ({ number, state }) => present(appId, number, state))
      })
    ))

  return {
    get,
    commit,
    arrival: (appId) => Effect.map(storage.app(appId), ({ number }) => number),
    depart: storage.depart,
    lease,
    app: (appId) => Effect.map(app(appId), ({ state }) => state),
    users,
    changes: (key) =>
      subscribe(
        userTopic(key.appId, key.userId),
        key.appId,
        Effect.flatMap(storage.read(key), (reading) =>
          Effect.map(stateOf(key, reading), (state) => ({ number: reading.number, state })))
      ),
    appChanges: (appId) => subscribe(appTopic(appId), appId, app(appId))
  }
}

// -----------------------------------------------------------------------------
// Log
// -----------------------------------------------------------------------------

const appTopic = (appId: string): string => JSON.stringify([appId])
const userTopic = (appId: string, userId: string): string => JSON.stringify([appId, userId])
const isTopicOf = (appId: string) => (topic: string): boolean => JSON.parse(topic)[0] === appId

interface Follower {
  /** The number up to which all has been published. */
  reached: number
  listeners: number
  /** Open when there may be more to read. */
  readonly grown: Latch.Latch
  readonly started: Deferred.Deferred<void, TokenStoreError>
  fiber: Fiber.Fiber<never, TokenStoreError> | undefined
  readonly waiting: Set<{ readonly number: number; readonly reached: Deferred.Deferred<void> }>
}

interface Logs {
  /** Publishes what is written to an app's log from now on, while the scope is open. */
  readonly follow: (appId: string) => Effect.Effect<void, TokenStoreError, Scope.Scope>
  /** Waits until all up to a number has been published. */
  readonly caughtUp: (appId: string, number: number) => Effect.Effect<void>
  /** Says that the log has grown. */
  readonly wake: (appId: string) => void
}

// How long after it was out of reach a place is asked again.
const pause = Duration.millis(500)

/** Reads the logs of the apps that somebody listens to, and publishes what is in them. */
const followers = (storage: Storage, changes: Changes.Changes<UserEvent>): Logs => {
  const followers = new Map<string, Follower>()

  /** Publishes the next page of a log. */
  const advance = Effect.fnUntraced(function*(appId: string, follower: Follower) {
    const { entries, forgotten, hasMore, until } = yield* storage.log(appId, follower.reached)
    const events = yield* Effect.forEach(entries, ({ event, number, userId }) =>
      Effect.option(Effect.map(
        Effect.flatMap(event, decodeEvent),
        (event): UserEvent => ({ ...event, userId, generation: number })
      )))
    // Nothing may come between: a follower that is stopped has published a page or has not.
    yield* Effect.sync(() => {
      // A log that is behind what it was is another one: of a backup, or of a place that was emptied.
      const lost = until < follower.reached ? 1 : Math.max(0, forgotten - follower.reached)
      if (lost > 0) changes.skip(isTopicOf(appId), lost)
      for (const event of events) {
        if (Option.isNone(event)) changes.skip(isTopicOf(appId), 1)
        else {
          changes.publish(userTopic(appId, event.value.userId), event.value)
          changes.publish(appTopic(appId), event.value)
        }
      }
      follower.reached = until
      for (const waiter of follower.waiting) {
        if (waiter.number <= until) Deferred.doneUnsafe(waiter.reached, Effect.void)
      }
    })
    return hasMore
  })

  const run = Effect.fnUntraced(function*(appId: string, follower: Follower): Effect.fn.Return<never, TokenStoreError> {
    follower.reached = (yield* storage.app(appId)).number
    yield* Deferred.succeed(follower.started, undefined)
    const listening = Effect.ignore(Stream.runForEach(storage.news(appId), () => follower.grown.open)).pipe(
      // What came while nobody listened has to be read as well.
      Effect.andThen(follower.grown.open),
      Effect.andThen(Effect.sleep(pause)),
      Effect.forever
    )
    const reading = Effect.gen(function*() {
      yield* follower.grown.await
      yield* follower.grown.close
      if (yield* Effect.retry(advance(appId, follower), Schedule.spaced(pause))) yield* follower.grown.open
    })
    return yield* Effect.raceFirst(Effect.forever(reading), listening)
  })

  const start = Effect.fnUntraced(function*(appId: string) {
    const follower: Follower = {
      reached: 0,
      listeners: 1,
      grown: Latch.makeUnsafe(true),
      started: Deferred.makeUnsafe(),
      fiber: undefined,
      waiting: new Set()
    }
    followers.set(appId, follower)
    follower.fiber = yield* Effect.forkDetach(
      Effect.onExit(run(appId, follower), (exit) => {
        forget(appId, follower)
        return Deferred.done(follower.started, exit)
      })
    )
    return follower
  })

  const forget = (appId: string, follower: Follower): void => {
    if (followers.get(appId) === follower) followers.delete(appId)
  }

  return {
    follow: (appId) =>
      Effect.flatMap(
        Effect.acquireRelease(
          Effect.suspend(() => {
            const known = followers.get(appId)
            if (known === undefined) return start(appId)
            known.listeners++
            return Effect.succeed(known)
          }),
          (follower) => {
            if (--follower.listeners > 0 || follower.fiber === undefined) return Effect.void
            forget(appId, follower)
            return Fiber.interrupt(follower.fiber)
          }
        ),
        // From here on whatever is written will be published.
        ({ started }) => Deferred.await(started)
      ),
    caughtUp: (appId, number) =>
      Effect.suspend(() => {
        const follower = followers.get(appId)
        if (follower === undefined || follower.reached >= number) return Effect.void
        const waiter = { number, reached: Deferred.makeUnsafe<void>() }
        follower.waiting.add(waiter)
        follower.grown.openUnsafe()
        return Effect.ensuring(
          Deferred.await(waiter.reached),
          Effect.sync(() => follower.waiting.delete(waiter))
        )
      }),
    wake: (appId) => void followers.get(appId)?.grown.openUnsafe()
  }
}
