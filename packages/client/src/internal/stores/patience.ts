/**
 * How long a place for sessions may take to answer: as long as the policy in force gives a server. A place that says
 * nothing, because it hangs or the network swallows what is sent, would keep every operation waiting for as long as it
 * does.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { TokenStoreError } from "../../ClientError.ts"
import { Policy } from "../../Policy.ts"
import type { SessionStorage } from "../../SessionStorage.ts"

type Storage = SessionStorage["Service"]

const silent = (deadline: Duration.Duration): TokenStoreError =>
  new TokenStoreError({
    reason: {
      _tag: "Unavailable",
      detail: `no answer within ${Duration.toMillis(deadline)} ms; what it was asked for may still happen`
    }
  })

interface Waiter {
  /** The look of the watch that it came after. */
  readonly since: number
  /** What the policy in force is in. */
  readonly context: Context.Context<never>
  readonly giveUp: (deadline: Duration.Duration) => void
  /** Where it stands among those who wait. */
  place: number
}

const pause = 100

type InTime = <A>(operation: Effect.Effect<A, TokenStoreError>) => Effect.Effect<A, TokenStoreError>

/**
 * Makes what waits until an operation has ended, the deadline has passed, or the caller is interrupted. In the last two
 * cases the operation is interrupted too, but nobody waits for that: a driver may want an answer of the place before it
 * lets go.
 */
const make = (): InTime => {
  // No set: as it grows and shrinks it leaves former selves behind, and they keep alive who was in them, with the records
  // just written, until the collector of garbage looks at everything.
  const waiting: Array<Waiter> = []
  let looks = 0
  let isWatched = false

  // One for all who wait: a timer for each would cost as much as the rest of a read.
  const watch = Effect.gen(function*() {
    do {
      yield* Effect.sleep(pause)
      looks++
      for (const { context, giveUp, since } of waiting.slice()) {
        const { deadline } = Context.get(context, Policy)
        // The first look may have come at once.
        if ((looks - since - 1) * pause >= Duration.toMillis(deadline)) giveUp(deadline)
      }
    } while (waiting.length > 0)
    isWatched = false
  })

  const leave = (waiter: Waiter): void => {
    if (waiting[waiter.place] !== waiter) return
    const last = waiting.pop()
    if (last === undefined || last === waiter) return
    last.place = waiter.place
    waiting[waiter.place] = last
  }

  return (operation) =>
    Effect.contextWith((context: Context.Context<never>) => {
      const fork = Effect.runForkWith(context)
      return Effect.callback((resume) => {
        const fiber = fork(operation)
        const exit = fiber.pollUnsafe()
        // A place in this process has answered by now.
        if (exit !== undefined) return resume(exit)
        const waiter: Waiter = {
          place: waiting.length,
          since: looks,
          context,
          giveUp: (deadline) => {
            leave(waiter)
            resume(Effect.fail(silent(deadline)))
            fiber.interruptUnsafe()
          }
        }
        waiting.push(waiter)
        fiber.addObserver((exit) => {
          leave(waiter)
          resume(exit)
        })
        if (!isWatched) {
          isWatched = true
          // Its first look comes after a pause, when there is somebody who waits.
          fork(watch)
        }
        return Effect.sync(() => {
          leave(waiter)
          fiber.interruptUnsafe()
        })
      })
    })
}

/** The same place, which answers in time or fails with `Unavailable`. */
export const limited = (storage: Storage): Storage => {
  const inTime = make()
  return {
    read: (key) => inTime(storage.read(key)),
    app: (appId) => inTime(storage.app(appId)),
    rows: (appId) =>
      Stream.unwrap(
        Effect.map(Policy, ({ deadline }) =>
          Stream.timeoutOrElse(storage.rows(appId), {
            duration: deadline,
            orElse: () => Stream.fail(silent(deadline))
          }))
      ),
    write: (key, write) => inTime(storage.write(key, write)),
    depart: (key) => inTime(storage.depart(key)),
    acquire: (key, holder, life) => inTime(storage.acquire(key, holder, life)),
    release: (key, holder) => inTime(storage.release(key, holder)),
    log: (appId, after) => inTime(storage.log(appId, after)),
    news: storage.news
  }
}
