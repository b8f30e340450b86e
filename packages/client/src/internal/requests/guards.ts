/**
 * What may keep a request from being sent: a rate limit and a circuit breaker, both off unless a layer of `Policy` puts
 * them there. They are functions in references, so that who uses neither loads neither.
 */
import type * as RealmError from "@effect-realm/protocol/RealmError"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { RequestFailure, TransportError } from "../../ClientError.ts"

/** What a request is for. */
export interface Target {
  readonly endpoint: { readonly method: string; readonly path: string }
  readonly baseUrl: string
}

/** How an attempt to send a request went, beside its result. */
export interface Attempt {
  /** The status of the answer; `undefined` until one arrives. */
  status: number | undefined
  /** Milliseconds after which the server wants to be asked again, if it said so. */
  retryAfter: number | undefined
}

export type Failure = RealmError.RealmError | RequestFailure

/**
 * Waits until a request may be sent.
 *
 * @param longest milliseconds that are worth waiting; fails at once when it would take longer
 */
export type Admit = (target: Target, longest: number) => Effect.Effect<void, TransportError>

export const Admit: Context.Reference<Admit | undefined> = Context.Reference<Admit | undefined>(
  "@effect-realm/client/Policy/RateLimit",
  { defaultValue: () => undefined }
)

/** Sends a request, or fails at once. */
export type Guard = (
  send: Effect.Effect<unknown, Failure>,
  target: Target,
  attempt: Attempt
) => Effect.Effect<unknown, Failure>

export const Guard: Context.Reference<Guard | undefined> = Context.Reference<Guard | undefined>(
  "@effect-realm/client/Policy/CircuitBreaker",
  { defaultValue: () => undefined }
)

/** Whether the caller says that calls of functions may be repeated like reads. */
export const Idempotent: Context.Reference<boolean> = Context.Reference<boolean>(
  "@effect-realm/client/Policy/Idempotent",
  { defaultValue: () => false }
)

/** A server that is in trouble, as opposed to one that refuses. */
export const isTrouble = (status: number): boolean =>
  status === 408 || status === 500 || status === 502 || status === 503 || status === 504

/** A status that may pass: to send the same again later can help. */
export const isPassing = (status: number): boolean => status === 429 || isTrouble(status)
