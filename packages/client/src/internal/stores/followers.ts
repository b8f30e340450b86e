/**
 * Reads the logs of the apps that somebody listens to, and publishes what is in them, whoever wrote it.
 *
 * A log is read from its last known entry on, which has to be there still: where a place was set back to an earlier state,
 * and has gone on from there, the numbers are the same and the entries are others.
 */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { TokenStoreError } from "../../ClientError.ts"
import type { Entry, SessionStorage } from "../../SessionStorage.ts"
import type { UserEvent } from "../../UserEvent.ts"
import type * as Changes from "./changes.ts"
import * as LoggedEvent from "./loggedEvent.ts"

export const appTopic = (appId: string): string => JSON.stringify([appId])
export const userTopic = (appId: string, userId: string): string => JSON.stringify([appId, userId])
const isTopicOf = (appId: string) => (topic: string): boolean => JSON.parse(topic)[0] === appId

/** An entry as it was read; none when it cannot be. */
interface Known {
  readonly number: number
  readonly userId: string
  readonly text: Option.Option<string>
}

interface Follower {
  /** The number up to which all has been published. */
  reached: number
  /** The last entry up to there, if there was one lately. */
  last: Known | undefined
  listeners: number
  /** Open when there may be more to read. */
  readonly grown: Latch.Latch
  readonly started: Deferred.Deferred<void, TokenStoreError>
  fiber: Fiber.Fiber<never, TokenStoreError> | undefined
  readonly waiting: Set<{ readonly number: number; readonly reached: Deferred.Deferred<void> }>
}

export interface Followers {
  /** Publishes what is written to an app's log from now on, while the scope is open. */
  readonly follow: (appId: string) => Effect.Effect<void, TokenStoreError, Scope.Scope>
  /** Waits until all up to a number has been published. */
  readonly caughtUp: (appId: string, number: number) => Effect.Effect<void>
  /** Says that the log has grown. */
  readonly wake: (appId: string) => void
}

// How long after it was out of reach a place is asked again.
const pause = Duration.millis(500)

// How far back the last entry is looked for at the beginning, beyond departures, which are no entries.
const lookBack = 64

const read = ({ event, number, userId }: Entry): Effect.Effect<Known> =>
  Effect.map(Effect.option(event), (text) => ({ number, userId, text }))

const eventOf = ({ number, text, userId }: Known): Effect.Effect<Option.Option<UserEvent>> =>
  Option.isNone(text)
    ? Effect.succeedNone
    : Effect.option(Effect.map(
      LoggedEvent.decode(text.value),
      (event): UserEvent => ({ ...event, userId, generation: number })
    ))

const isSame = (one: Known, other: Known | undefined): boolean =>
  other !== undefined && one.number === other.number && Equal.equals(one.text, other.text)

export const make = (storage: SessionStorage["Service"], changes: Changes.Changes<UserEvent>): Followers => {
  const followers = new Map<string, Follower>()

  /** Publishes the next page of a log. */
  const advance = Effect.fnUntraced(function*(appId: string, follower: Follower) {
    const { last, reached } = follower
    const waiting = [...follower.waiting]
    const { entries, forgotten, hasMore, until } = yield* storage.log(
      appId,
      last === undefined ? reached : last.number - 1
    )
    const known = yield* Effect.forEach(entries, read)
    const isAnother = last !== undefined && last.number > forgotten && !isSame(last, known[0])
    const events = yield* Effect.forEach(
      last === undefined || isAnother ? known : known.filter(({ number }) => number > last.number),
      eventOf
    )
    // Nothing may come between: a follower that is stopped has published a page or has not.
    yield* Effect.sync(() => {
      // Whoever waited before the page was asked for has seen the number that they wait for.
      const isSetBack = isAnother || until < reached || !hasMore && waiting.some(({ number }) => number > until)
      // Another log than it was is that of a backup, or of a place that was emptied.
      const lost = isSetBack ? 1 : Math.max(0, forgotten - reached)
      if (lost > 0) changes.skip(isTopicOf(appId), lost)
      for (const event of events) {
        if (Option.isNone(event)) changes.skip(isTopicOf(appId), 1)
        else {
          changes.publish(userTopic(appId, event.value.userId), event.value)
          changes.publish(appTopic(appId), event.value)
        }
      }
      follower.reached = until
      follower.last = known.at(-1) ?? (isAnother ? undefined : last)
      for (const waiter of follower.waiting) {
        if (isSetBack || waiter.number <= until) Deferred.doneUnsafe(waiter.reached, Effect.void)
      }
    })
    return hasMore
  })

  const run = Effect.fnUntraced(function*(appId: string, follower: Follower): Effect.fn.Return<never, TokenStoreError> {
    const { number } = yield* storage.app(appId)
    const { entries, until } = yield* storage.log(appId, Math.max(0, number - lookBack))
    const newest = entries.at(-1)
    follower.reached = until
    follower.last = newest === undefined ? undefined : yield* read(newest)
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
      last: undefined,
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
