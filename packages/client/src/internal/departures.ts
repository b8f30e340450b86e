/**
 * Who was logged out or removed while a log-in was under way: a log-out wins, also against a log-in that began before it
 * (law 5). Whose log-in it is nobody knows before the server has answered, so each log-in notes all who leave meanwhile.
 */
import * as Effect from "effect/Effect"
import type { SessionKey } from "../TokenStore.ts"
import * as Locks from "./locks.ts"

export interface Departures {
  /** Runs a log-in to an app. `settle` runs its commit, which is told whether the user has left since it began. */
  readonly arriving: <A, E, R>(
    appId: string,
    logIn: (settle: Settle) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E, R>
  /** Runs the change that a log-out or a removal is. */
  readonly leaving: <A, E, R>(key: SessionKey, change: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

export type Settle = <A, E, R>(
  key: SessionKey,
  commit: (hasLeft: boolean) => Effect.Effect<A, E, R>
) => Effect.Effect<A, E, R>

const keyOf = ({ appId, userId }: SessionKey): string => JSON.stringify([appId, userId])

export const make = (): Departures => {
  const arrivals = new Set<{ readonly appId: string; readonly left: Set<string> }>()
  // A commit and a change of one user never overlap: whichever comes second sees what the first one did.
  const withUser = Locks.make()

  return {
    arriving: (appId, logIn) =>
      Effect.acquireUseRelease(
        Effect.sync(() => {
          const arrival = { appId, left: new Set<string>() }
          arrivals.add(arrival)
          return arrival
        }),
        ({ left }) => logIn((key, commit) => withUser(keyOf(key))(Effect.suspend(() => commit(left.has(key.userId))))),
        (arrival) => Effect.sync(() => arrivals.delete(arrival))
      ),
    leaving: (key, change) =>
      withUser(keyOf(key))(Effect.suspend(() => {
        for (const { appId, left } of arrivals) if (appId === key.appId) left.add(key.userId)
        return change
      }))
  }
}
