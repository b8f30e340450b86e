/**
 * How a tab knows that `localStorage` shows it what another has written. Each tab sees a copy of it that lags behind the
 * others by some milliseconds, also when a lock keeps them apart. So whoever writes a number holds a lock with that number
 * in its name, and takes away the one of whoever wrote before: there is at most one, that of the last writer, and none once
 * that tab is gone.
 */
import type { TokenStoreError } from "@effect-realm/client/ClientError"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as WebLocks from "./webLocks.ts"

export interface LastWriter {
  /** The number that was written last, or is about to be, when the tab that does is still there; else `0`. */
  readonly number: (appId: string) => Effect.Effect<number, TokenStoreError>
  /** Says, before it happens, that this tab writes a number. One at a time does. */
  readonly announce: (appId: string, number: number) => Effect.Effect<void, TokenStoreError>
  /** Says that it was not written. */
  readonly withdraw: (appId: string) => Effect.Effect<void>
}

/** @param prefix what the names of the locks begin with */
export const make = (locks: LockManager, prefix: string): Effect.Effect<LastWriter, never, Scope.Scope> =>
  Effect.gen(function*() {
    const announced = new Map<string, WebLocks.GiveBack>()
    const nameOf = (appId: string) => `${prefix}${JSON.stringify(appId)}/`
    const held = (appId: string) => WebLocks.held(locks, nameOf(appId))

    const withdraw = (appId: string) =>
      Effect.suspend(() => {
        const giveBack = announced.get(appId) ?? Effect.void
        announced.delete(appId)
        return giveBack
      })

    yield* Effect.addFinalizer(() => Effect.forEach(announced.keys(), withdraw))

    return {
      number: (appId) => Effect.map(held(appId), (numbers) => Math.max(0, ...numbers.map(Number))),
      announce: (appId, number) =>
        Effect.gen(function*() {
          yield* withdraw(appId)
          const before = yield* held(appId)
          const lock = yield* WebLocks.take(locks, nameOf(appId) + number)
          Option.map(lock, (giveBack) => announced.set(appId, giveBack))
          for (const other of before) yield* WebLocks.takeAway(locks, nameOf(appId) + other)
        }),
      withdraw
    }
  })
