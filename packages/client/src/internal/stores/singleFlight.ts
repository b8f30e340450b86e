/**
 * One run per key at a time, shared by all who ask for it meanwhile (law 1). The run lives in a fiber of its own, so
 * that interrupting one who waits never harms the others (law 9); when the last one has gone, the run is interrupted.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"

export interface SingleFlight<A, E> {
  /** Joins the run of this key, or starts this one. */
  readonly join: <R>(key: string, run: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /**
   * Like `join`, but joins only runs that were asked for by `after` and began after this call: waits for any other to
   * end first. A run of `join` may find its work done by an earlier one, and then says nothing of now.
   */
  readonly after: <R>(key: string, run: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

interface Flight<A, E> {
  readonly landed: Deferred.Deferred<A, E>
  fiber: Fiber.Fiber<A, E> | undefined
  waiting: number
  /** Whether it was asked for by `after`. */
  readonly anew: boolean
}

export const make = <A, E>(): SingleFlight<A, E> => {
  const flights = new Map<string, Flight<A, E>>()

  const forget = (key: string, flight: Flight<A, E>): void => {
    if (flights.get(key) === flight) flights.delete(key)
  }

  type Restore = <B, E2, R>(effect: Effect.Effect<B, E2, R>) => Effect.Effect<B, E2, R>

  const wait = (key: string, flight: Flight<A, E>, restore: Restore): Effect.Effect<A, E> =>
    Effect.onExit(restore(Deferred.await(flight.landed)), () => {
      flight.waiting--
      if (flight.waiting > 0 || flights.get(key) !== flight) return Effect.void
      flights.delete(key)
      return flight.fiber === undefined ? Effect.void : Fiber.interrupt(flight.fiber)
    })

  const start = <R>(
    key: string,
    run: Effect.Effect<A, E, R>,
    restore: Restore,
    anew: boolean
  ): Effect.Effect<A, E, R> => {
    // In the map before anything can yield, so that no second run of the key begins.
    const flight: Flight<A, E> = { landed: Deferred.makeUnsafe<A, E>(), fiber: undefined, waiting: 1, anew }
    flights.set(key, flight)
    return Effect.flatMap(
      // Detached from the caller, whose interruption must not end what others wait for.
      Effect.forkDetach(
        Effect.onExit(Effect.interruptible(run), (exit) => {
          forget(key, flight)
          return Deferred.done(flight.landed, exit)
        })
      ),
      (fiber) => {
        flight.fiber = fiber
        return wait(key, flight, restore)
      }
    )
  }

  // Nothing may interrupt between counting a waiter and waiting: a run that was entered in the map and never started
  // would be waited for forever.
  const join: SingleFlight<A, E>["join"] = (key, run) =>
    Effect.uninterruptibleMask((restore) => {
      const flight = flights.get(key)
      if (flight === undefined) return start(key, run, restore, false)
      flight.waiting++
      return wait(key, flight, restore)
    })

  /** Waits until a flight has landed, however it did. */
  const landed = (flight: Flight<A, E>): Effect.Effect<unknown> => Effect.exit(Deferred.await(flight.landed))

  const joinAnew = <R>(key: string, run: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.uninterruptibleMask((restore) => {
      const flight = flights.get(key)
      if (flight === undefined) return start(key, run, restore, true)
      if (!flight.anew) return Effect.andThen(restore(landed(flight)), restore(joinAnew(key, run)))
      flight.waiting++
      return wait(key, flight, restore)
    })

  const after: SingleFlight<A, E>["after"] = (key, run) =>
    Effect.suspend(() => {
      const earlier = flights.get(key)
      return earlier === undefined ? joinAnew(key, run) : Effect.andThen(landed(earlier), joinAnew(key, run))
    })

  return { join, after }
}
