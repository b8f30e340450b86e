import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Pull from "effect/Pull"
import * as Schedule from "effect/Schedule"

/** Answers after each failure how many milliseconds to wait, or `undefined` when the schedule has ended. */
export type Pauses<E> = (error: E) => Effect.Effect<number | undefined>

/** The pauses of a schedule, from its beginning. */
export const make = <E>(schedule: Schedule.Schedule<unknown, E>): Pauses<E> => {
  let step: Effect.Success<ReturnType<typeof Schedule.toStep<unknown, E, never, never>>> | undefined
  return (error) =>
    Effect.clockWith((clock) =>
      Effect.gen(function*() {
        step ??= yield* Schedule.toStep(schedule)
        const [, pause] = yield* step(clock.currentTimeMillisUnsafe(), error)
        return Duration.toMillis(pause)
      }).pipe(Pull.catchDone(() => Effect.undefined))
    )
}
