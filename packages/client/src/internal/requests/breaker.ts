/** A circuit breaker around each request, by Effect's `CircuitBreaker`. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as CircuitBreaker from "effect/persistence/CircuitBreaker"
import { TransportError } from "../../ClientError.ts"
import * as Guards from "./guards.ts"

/** @param key the name of the circuit; one for each base URL without it */
export const make =
  (breaker: CircuitBreaker.CircuitBreaker, key: string | undefined): Guards.Guard => (send, target, attempt) =>
    Effect.catch(
      breaker.execute(send, { key: key ?? target.baseUrl, classify: (exit) => outcome(exit, attempt) }),
      (error) => Effect.fail(isBreakerError(error) ? notSent(target, error) : error)
    )

const isBreakerError = (
  error: Guards.Failure | CircuitBreaker.CircuitBreakerError
): error is CircuitBreaker.CircuitBreakerError => error._tag === "CircuitBreakerError"

const outcome = (exit: Exit.Exit<unknown, Guards.Failure>, attempt: Guards.Attempt): CircuitBreaker.Outcome => {
  if (Exit.isSuccess(exit)) return { _tag: "Success" }
  const { retryAfter, status } = attempt
  const isBroken = exit.cause.reasons.some((reason) => reason._tag === "Fail" && reason.error instanceof TransportError)
  if (isBroken || (status !== undefined && Guards.isTrouble(status))) {
    return { _tag: "Failure", retryAfter: retryAfter === undefined ? undefined : Duration.millis(retryAfter) }
  }
  // Too many requests says nothing of the server's health; any other refusal says that it is well.
  return { _tag: status === undefined || status === 429 ? "Ignored" : "Success" }
}

const notSent = (
  { endpoint }: Guards.Target,
  { reason }: CircuitBreaker.CircuitBreakerError
): TransportError =>
  new TransportError({
    method: endpoint.method,
    route: endpoint.path,
    reason: reason._tag === "CircuitBreakerStoreError"
      ? { _tag: "Unreachable", detail: `the store of the circuit breaker failed: ${reason.message}` }
      // Half open: somebody else's request is trying the server right now.
      : { _tag: "CircuitOpen", retryAfter: reason._tag === "CircuitOpen" ? Duration.toMillis(reason.retryAfter) : 0 }
  })
