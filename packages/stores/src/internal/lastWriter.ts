/**
 * How a tab knows that `localStorage` shows it what another has written. Each tab sees a copy of it that lags behind the
 * others by some milliseconds, also when a lock keeps them apart. So whoever writes a number takes a lock with that number
 * in its name, and takes away the one of whoever wrote before: there is at most one when a write is over, that of the last
 * writer. It stays when the store is closed, and ends with the page, or when somebody else writes.
 */
import type { TokenStoreError } from "@effect-realm/client/ClientError"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as WebLocks from "./webLocks.ts"

export interface LastWriter {
  /** The number that was written last, or is about to be, when the page that does is still there; else `0`. */
  readonly number: (appId: string) => Effect.Effect<number, TokenStoreError>
  /** Says, before it happens, that this page writes a number, and answers how to say that it did not. One at a time does. */
  readonly announce: (appId: string, number: number) => Effect.Effect<WebLocks.GiveBack, TokenStoreError>
}

/** @param prefix what the names of the locks begin with */
export const make = (locks: LockManager, prefix: string): LastWriter => {
  const nameOf = (appId: string) => `${prefix}${JSON.stringify(appId)}/`
  const held = (appId: string) => WebLocks.held(locks, nameOf(appId))
  return {
    number: (appId) => Effect.map(held(appId), (numbers) => Math.max(0, ...numbers.map(Number))),
    announce: (appId, number) =>
      Effect.gen(function*() {
        const before = yield* held(appId)
        const lock = yield* WebLocks.take(locks, nameOf(appId) + number)
        // Not before there is a new one: who reads would find none, and take an old copy for the latest.
        for (const other of before) yield* WebLocks.takeAway(locks, nameOf(appId) + other)
        return Option.getOrElse(lock, () => Effect.void)
      })
  }
}
