/**
 * Who was logged out or removed lately, for stores of one process: a log-out wins, also against a log-in that began
 * before it (law 5). Whose log-in it is nobody knows before the server has answered, so each notes how many had left when
 * it began.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

export interface Departures {
  /** How many have left so far. */
  readonly arrival: Effect.Effect<number>
  readonly depart: (key: string) => Effect.Effect<void>
  /** Whether somebody has left since so many had. */
  readonly hasLeft: (key: string, since: number) => boolean
}

// Longer than any log-in is under way; and so many at least, for a clock that is set forward makes an hour of a moment.
const remembered = 3_600_000
const kept = 1024

export const make = (): Departures => {
  let count = 0
  // The one who left last is the last.
  const departures = new Map<string, { readonly number: number; readonly at: number }>()
  return {
    arrival: Effect.sync(() => count),
    depart: (key) =>
      Effect.map(Clock.currentTimeMillis, (at) => {
        departures.delete(key)
        departures.set(key, { number: ++count, at })
        for (const [earliest, departure] of departures) {
          if (at - departure.at < remembered || count - departure.number < kept) break
          departures.delete(earliest)
        }
      }),
    hasLeft: (key, since) => (departures.get(key)?.number ?? 0) > since
  }
}
