/**
 * How long a place for sessions may take to answer: as long as the policy in force gives a server. A place that says
 * nothing, because it hangs or the network swallows what is sent, would keep every operation waiting for as long as it
 * does.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { TokenStoreError } from "../ClientError.ts"
import { Policy } from "../Policy.ts"
import type { SessionStorage } from "../SessionStorage.ts"

type Storage = SessionStorage["Service"]

const silent = (deadline: Duration.Duration): TokenStoreError =>
  new TokenStoreError({
    reason: {
      _tag: "Unavailable",
      detail: `no answer within ${Duration.toMillis(deadline)} ms; what it was asked for may still happen`
    }
  })

/**
 * Waits until an operation has ended, the deadline has passed, or the caller is interrupted: the operation then is
 * interrupted too, but nobody waits for that. A driver may want an answer of the place before it lets go.
 */
const inTime = <A>(operation: Effect.Effect<A, TokenStoreError>): Effect.Effect<A, TokenStoreError> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.forkDetach(operation, { startImmediately: true }), (fiber) =>
      // A place in this process has answered by now.
      fiber.pollUnsafe() ?? Effect.ensuring(
        restore(
          Effect.flatMap(Policy, ({ deadline }) =>
            Effect.timeoutOrElse(Fiber.join(fiber), {
              duration: deadline,
              orElse: () => Effect.fail(silent(deadline))
            }))
        ),
        Effect.sync(() => fiber.interruptUnsafe())
      ))
  )

/** The same place, which answers in time or fails with `Unavailable`. */
export const limited = (storage: Storage): Storage => ({
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
})
