/**
 * Sending a request that does no harm again, when it failed for the moment (law 10).
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Pull from "effect/Pull"
import * as Schedule from "effect/Schedule"
import { TransportError } from "../../ClientError.ts"
import type { Answer } from "./answer.ts"
import * as Guards from "./guards.ts"

/**
 * Sends a request until it is answered, or is not worth sending again: its failure would be the same, the schedule has
 * ended, or the next attempt would come after the deadline, which is one for all attempts.
 */
export const repeated = (
  once: (within: number) => Answer,
  admitted: (longest: number, attempt: Answer) => Answer,
  state: Guards.Attempt,
  schedule: Schedule.Schedule<unknown>,
  deadline: number
): Answer =>
  Effect.clockWith((clock) => {
    const start = clock.monotonicTimeNanosUnsafe()
    const left = (): number => deadline - Number(clock.monotonicTimeNanosUnsafe() - start) / 1e6
    let step: ScheduleStep | undefined

    const again = (error: Guards.Failure): Answer =>
      Effect.gen(function*() {
        step ??= yield* Schedule.toStep(schedule)
        const pause = yield* Pull.catchDone(
          Effect.map(step(clock.currentTimeMillisUnsafe(), error), ([, delay]) => Duration.toMillis(delay)),
          () => Effect.undefined
        )
        if (pause === undefined) return yield* error
        const wait = Math.max(pause, state.retryAfter ?? 0)
        if (wait >= left()) return yield* error
        yield* Effect.sleep(wait)
        return yield* admitted(left(), Effect.suspend(from))
      })

    const from = (): Answer =>
      Effect.catchIf(once(Math.max(0, left())), (error) => isPassing(error, state.status), again)

    return from()
  })

type ScheduleStep = Effect.Success<ReturnType<typeof Schedule.toStep<unknown, unknown, never, never>>>

/** Whether a request that failed like this may go through a little later. */
const isPassing = (error: Guards.Failure, status: number | undefined): boolean =>
  error instanceof TransportError
    ? error.reason._tag === "Unreachable"
    : status !== undefined && (status === 429 || Guards.isTrouble(status))
