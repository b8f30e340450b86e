/**
 * The primitives of a `TokenStore` over a place that several processes share. Nothing is remembered here that could be
 * wrong elsewhere: each commit is compared and written by the place (law 5), the lease is the place's (law 1), and who
 * listens is told what is in the place's log, whoever wrote it.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { TokenStoreError } from "../../ClientError.ts"
import type { Session } from "../../Session.ts"
import type { Reading, Row, SessionStorage } from "../../SessionStorage.ts"
import type { AppState, Commit, Outcome, Primitives, SessionKey } from "../../TokenStore.ts"
import type { Snapshot, UserEvent } from "../../UserEvent.ts"
import * as Changes from "./changes.ts"
import * as Followers from "./followers.ts"
import * as Locks from "./locks.ts"
import * as LoggedEvent from "./loggedEvent.ts"
import * as SessionRecord from "./sessionRecord.ts"

const leaseBound = Duration.minutes(2)

// A holder that has died is waited for no longer than this. One that lives says so three times meanwhile.
const leaseLife = Duration.seconds(10)
const leaseRenewal = Duration.millis(3300)

const farewell = Duration.seconds(1)

const waits = { first: 10, most: 200 }

// -----------------------------------------------------------------------------
// Primitives
// -----------------------------------------------------------------------------

type Storage = SessionStorage["Service"]

const sessionKey = ({ appId, userId }: SessionKey): string => JSON.stringify([appId, userId])

/** @param process tells this process from all others that share the place */
export const make = (storage: Storage, process: string): Primitives => {
  const changes = Changes.make<UserEvent>()
  const withLease = Locks.make()
  const followers = Followers.make(storage, changes)
  const reported = new Set<string>()
  const decode = SessionRecord.decoder()
  let holders = 0
  let commits = 0

  /** Says once what is wrong with a record that many may ask for (law 11). */
  const report = (key: SessionKey, error: TokenStoreError): Effect.Effect<void> => {
    if (reported.has(sessionKey(key)) || error.reason._tag === "Unavailable") return Effect.void
    reported.add(sessionKey(key))
    return Effect.logWarning(error.message)
  }

  const sessionOf = (key: SessionKey, row: Row): Effect.Effect<Session, TokenStoreError> =>
    Effect.tapError(Effect.flatMapEager(row.record, (text) => decode(key, row, text)), (error) => report(key, error))

  const stateOf = (key: SessionKey, { row }: Reading): Effect.Effect<Option.Option<Session>, TokenStoreError> =>
    Option.isNone(row) ? Effect.succeedNone : Effect.asSome(sessionOf(key, row.value))

  const get: Primitives["get"] = (key) => Effect.flatMap(storage.read(key), (reading) => stateOf(key, reading))

  /** The session of a row among others: one that cannot be read, for whatever reason, costs itself alone (law 11). */
  const readable = (appId: string, row: Row): Effect.Effect<Option.Option<Session>> =>
    Effect.option(sessionOf({ appId, userId: row.userId }, row))

  /** The generation of the row that cannot be read, if there is one: a change of no record replaces it. */
  const damaged = Effect.fnUntraced(function*(
    key: SessionKey
  ): Effect.fn.Return<Option.Option<number>, TokenStoreError> {
    const { row } = yield* storage.read(key)
    if (Option.isNone(row)) return Option.none()
    const { generation } = row.value
    return yield* Effect.matchEffect(sessionOf(key, row.value), {
      onSuccess: () => Effect.succeedNone,
      onFailure: (error) => SessionRecord.isDamaged(error) ? Effect.succeedSome(generation) : Effect.fail(error)
    })
  })

  const commit = Effect.fnUntraced(function*(
    key: SessionKey,
    change: Commit
  ): Effect.fn.Return<Outcome, TokenStoreError> {
    const session = Option.getOrUndefined(change.session)
    // Somebody who only goes on says nothing of who came last.
    const comes = change.makeCurrent || change.expected === 0
    const write = {
      expected: change.expected,
      since: Option.fromUndefinedOr(change.since),
      record: session === undefined ? Option.none() : Option.some(yield* SessionRecord.encode(session)),
      isLoggedIn: session?.tokens !== undefined,
      makeCurrent: change.makeCurrent,
      isAnonymous: comes && session?.providerType === "anon-user",
      deviceId: comes ? Option.fromUndefinedOr(session?.deviceId) : Option.none(),
      event: LoggedEvent.encode(change.event, `${process}/${++commits}`)
    }
    let outcome = yield* storage.write(key, write)
    // Most users who are new here have no row at all, so it is looked for only when there is one.
    if (outcome._tag === "MovedOn" && change.expected === 0) {
      const generation = yield* damaged(key)
      if (Option.isSome(generation)) outcome = yield* storage.write(key, { ...write, expected: generation.value })
    }
    if (outcome._tag === "Committed") followers.wake(key.appId)
    return outcome
  }, Effect.uninterruptible)

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
    const renewal = Effect.delay(Effect.suspend(() => storage.acquire(key, holder, leaseLife)), leaseRenewal)
    // A place that fails is asked again. One that hangs is not waited for: others may have the lease by then.
    yield* Effect.repeat(Effect.timeoutOption(Effect.eventually(renewal), leaseLife), { while: Option.contains(true) })
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
    Effect.as(followers.caughtUp(appId, number), {
      snapshot: (missed) => ({ _tag: "Snapshot", missed, state }),
      includes: (event) => event.generation <= number
    })

  const subscribe = <State>(
    topic: string,
    appId: string,
    read: Effect.Effect<{ readonly number: number; readonly state: State }, TokenStoreError>
  ): Stream.Stream<UserEvent | Snapshot<State>, TokenStoreError> =>
    Stream.unwrap(Effect.as(
      followers.follow(appId),
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
        Followers.userTopic(key.appId, key.userId),
        key.appId,
        Effect.flatMap(storage.read(key), (reading) =>
          Effect.map(stateOf(key, reading), (state) => ({ number: reading.number, state })))
      ),
    appChanges: (appId) => subscribe(Followers.appTopic(appId), appId, app(appId))
  }
}
