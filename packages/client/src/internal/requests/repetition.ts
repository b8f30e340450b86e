/**
 * Sending a request that does no harm again, when it failed for the moment (law 10).
 */
import * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import { TransportError } from "../../ClientError.ts"
import type { Answer } from "./answer.ts"
import * as Guards from "./guards.ts"
import * as Pauses from "./pauses.ts"

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
    const pauseAfter = Pauses.make<Guards.Failure>(schedule)

    const again = (error: Guards.Failure): Answer =>
      Effect.flatMap(pauseAfter(error), (pause) => {
        if (pause === undefined) return Effect.fail(error)
        const wait = Math.max(pause, state.retryAfter ?? 0)
        if (wait >= left()) return Effect.fail(error)
        return Effect.andThen(Effect.sleep(wait), Effect.suspend(() => admitted(left(), Effect.suspend(from))))
      })

    const from = (): Answer =>
      Effect.catchIf(once(Math.max(0, left())), (error) => isPassing(error, state.status), again)

    return from()
  })

/** Whether a request that failed like this may go through a little later. */
const isPassing = (error: Guards.Failure, status: number | undefined): boolean =>
  error instanceof TransportError
    ? error.reason._tag === "Unreachable"
    : status !== undefined && Guards.isPassing(status)
