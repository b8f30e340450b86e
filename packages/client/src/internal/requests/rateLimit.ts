/** A rate limit, by Effect's `RateLimiter`. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as RateLimiter from "effect/persistence/RateLimiter"
import { TransportError } from "../../ClientError.ts"
import type * as Guards from "./guards.ts"

/** How much is let through. */
export interface Options {
  readonly limit: number
  readonly window: Duration.Duration
  readonly algorithm: "fixed-window" | "token-bucket"
  readonly onExceeded: "delay" | "fail"
  readonly key: string | undefined
}

/** A limiter whose store is down limits nobody: it is a courtesy to the server, no law. */
export const make = (limiter: RateLimiter.RateLimiter, options: Options): Guards.Admit => (target, longest) => {
  const { algorithm, key, limit, onExceeded, window } = options
  const refused = (retryAfter: number): Effect.Effect<never, TransportError> =>
    Effect.fail(
      new TransportError({
        method: target.endpoint.method,
        route: target.endpoint.path,
        reason: { _tag: "RateLimited", retryAfter }
      })
    )
  return Effect.matchEffect(limiter.consume({ algorithm, onExceeded, window, limit, key: key ?? target.baseUrl }), {
    onSuccess: ({ delay }) => {
      const wait = Duration.toMillis(delay)
      if (wait === 0) return Effect.void
      return wait < longest ? Effect.sleep(wait) : refused(wait)
    },
    onFailure: ({ reason }) =>
      reason._tag === "RateLimitExceeded"
        ? refused(Duration.toMillis(reason.retryAfter))
        : Effect.logWarning(`The store of the rate limiter failed, the request is sent all the same: ${reason.message}`)
  })
}
