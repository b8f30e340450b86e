/**
 * How a tab knows that `localStorage` shows it what another has written. Each tab sees a copy of it that lags behind the
 * others by some milliseconds, also when a lock keeps them apart. So whoever has written a number holds a lock with that
 * number in its name, and whoever looks waits until it sees the highest there is.
 */
import type { TokenStoreError } from "@effect-realm/client/ClientError"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as WebLocks from "./webLocks.ts"

export interface WrittenNumbers {
  /** The highest number that a tab that is still there has written. */
  readonly highest: (appId: string) => Effect.Effect<number, TokenStoreError>
  /** Says that this tab has written a number, before it gives back the lock under which it did. */
  readonly announce: (appId: string, number: number) => Effect.Effect<void>
}

/** @param prefix what the names of the locks begin with */
export const make = (locks: LockManager, prefix: string): Effect.Effect<WrittenNumbers, never, Scope.Scope> =>
  Effect.gen(function*() {
    const announced = new Map<string, Effect.Effect<void>>()
    const nameOf = (appId: string) => `${prefix}${JSON.stringify(appId)}/`

    yield* Effect.addFinalizer(() => Effect.forEach(announced.values(), (withdraw) => withdraw))

    return {
      highest: (appId) =>
        Effect.map(
          WebLocks.held(locks, nameOf(appId)),
          (numbers) => Math.max(0, ...numbers.map(Number))
        ),
      announce: (appId, number) =>
        WebLocks.take(locks, nameOf(appId) + number, { mode: "shared" }).pipe(
          Effect.flatMap((lock) => {
            const before = announced.get(appId)
            Option.map(lock, (withdraw) => announced.set(appId, withdraw))
            return before ?? Effect.void
          }),
          // What is written is written. A page that gets no locks any more is about to go.
          Effect.ignore
        )
    }
  })
