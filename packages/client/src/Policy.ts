/**
 * How requests are sent, in one place: how long an answer may take, what is sent again, how many requests leave, and when
 * none does. The policy is a reference with a safe default, so it is in no operation's requirement: provide a layer to
 * the program, or {@link provide} another policy to a part of it.
 *
 * By default a request has 60 seconds until its whole answer is there, a read is sent again twice, and there is neither
 * rate limit nor circuit breaker. **Writes are sent once** under every policy: log-ins, log-outs, links, exchanges of
 * tokens, and calls of functions that the caller does not declare {@link idempotent}. The one exception is no matter of
 * policy: after a 401 that a new token can cure a request is sent once more, because it has not run.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as CircuitBreaker from "effect/persistence/CircuitBreaker"
import * as RateLimiter from "effect/persistence/RateLimiter"
import * as Schedule from "effect/Schedule"
import { given } from "./internal/checked.ts"
import * as Breaker from "./internal/requests/breaker.ts"
import * as Guards from "./internal/requests/guards.ts"
import * as RateLimit from "./internal/requests/rateLimit.ts"

// -----------------------------------------------------------------------------
// Model
// -----------------------------------------------------------------------------

/** How long an answer may take, and how often a read is sent again. */
export interface Policy {
  /**
   * From sending a request until headers and body have arrived, repetitions and the pauses between them included. Then it
   * fails with `TransportError`, reason `TimedOut`. Default: 60 seconds.
   */
  readonly deadline: Duration.Duration
  /**
   * When a read is sent again that did not reach the server, or was answered with status 408, 429, 500, 502, 503 or 504:
   * each step is one repetition, after its delay. A longer `Retry-After` of the answer replaces the delay; a pause that
   * would not end before the deadline is not begun. Default: twice, after 200 and 400 milliseconds give or take a fifth.
   */
  readonly reads: Schedule.Schedule<unknown>
}

/** What of a policy is to be another; the rest stays as it is. A deadline of no time is refused with a `TypeError`. */
export interface Options {
  readonly deadline?: Duration.Input
  readonly reads?: Schedule.Schedule<unknown>
}

/**
 * The policy in force. Its default is the policy that every program begins with.
 *
 * ```ts
 * import { Policy } from "@effect-realm/client"
 * import { Duration, Effect } from "effect"
 *
 * const { deadline } = await Effect.runPromise(Policy.Policy)
 * Duration.toSeconds(deadline) // => 60
 * ```
 */
export const Policy: Context.Reference<Policy> = Context.Reference<Policy>("@effect-realm/client/Policy", {
  defaultValue: (): Policy => ({
    deadline: Duration.seconds(60),
    reads: Schedule.exponential("200 millis").pipe(Schedule.jittered, Schedule.upTo({ times: 2 }))
  })
})

/**
 * Reads are sent once, like writes.
 *
 * ```ts
 * import { Policy } from "@effect-realm/client"
 * import { Effect } from "effect"
 *
 * const once = Policy.provide({ reads: Policy.never })
 * const { reads } = await Effect.runPromise(once(Policy.Policy))
 * reads === Policy.never // => true
 * ```
 */
export const never: Schedule.Schedule<unknown> = Schedule.recurs(0)

// A deadline or a window that came out as no time, or as no number, would let nothing through, or everything.
const positive = (option: string, input: Duration.Input): Duration.Duration => {
  const duration = Duration.fromInput(input)
  if (Option.isNone(duration) || !Duration.isPositive(duration.value)) {
    throw new TypeError(`${option}: expected a duration longer than 0`)
  }
  return duration.value
}

const named = (options: Options): Partial<Policy> => {
  const { deadline, reads } = given(options)
  if (reads !== undefined && !Schedule.isSchedule(reads)) throw new TypeError("reads: expected a Schedule")
  return {
    ...(deadline === undefined ? undefined : { deadline: positive("deadline", deadline) }),
    ...(reads === undefined ? undefined : { reads })
  }
}

// -----------------------------------------------------------------------------
// Combinators
// -----------------------------------------------------------------------------

/**
 * Runs a part of a program under another policy.
 *
 * ```ts
 * import { Policy, User } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { Faults, RealmTest } from "@effect-realm/testing"
 * import { Effect } from "effect"
 *
 * const app = AppDefinition.make({
 *   appId: "shop-abcde",
 *   authProviders: { anonymous: {} },
 *   functions: [{ name: "sum", source: "exports = (a, b) => a + b" }]
 * })
 * const program = Effect.gen(function*() {
 *   const user = yield* RealmTest.anonymousUser
 *   const error = yield* User.callFunction(user, "sum", [1, 2]).pipe(
 *     Policy.provide({ deadline: "50 millis" }),
 *     Faults.inject(Faults.at({ endpoint: "callFunction" }, Faults.stallHeaders)),
 *     Effect.flip
 *   )
 *   return error._tag === "TransportError" && error.reason._tag
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app }))) // => "TimedOut"
 * ```
 */
export const provide: {
  (options: Options): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  <A, E, R>(effect: Effect.Effect<A, E, R>, options: Options): Effect.Effect<A, E, R>
} = /* @__PURE__ */ dual(
  2,
  <A, E, R>(effect: Effect.Effect<A, E, R>, options: Options): Effect.Effect<A, E, R> => {
    const own = named(options)
    return Effect.flatMap(Policy, (policy) => Effect.provideService(effect, Policy, { ...policy, ...own }))
  }
)

/**
 * Declares that the calls of functions in an effect may run more than once without harm, so that they are repeated like
 * reads. Everything else is sent as without it.
 *
 * ```ts
 * import { Policy, User } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { Faults, RealmTest } from "@effect-realm/testing"
 * import { Effect } from "effect"
 *
 * const app = AppDefinition.make({
 *   appId: "shop-abcde",
 *   authProviders: { anonymous: {} },
 *   functions: [{ name: "sum", source: "exports = (a, b) => a + b" }]
 * })
 * const program = Effect.gen(function*() {
 *   const user = yield* RealmTest.anonymousUser
 *   return yield* User.callFunction(user, "sum", [1, 2]).pipe(
 *     Policy.idempotent,
 *     Faults.inject(Faults.at({ endpoint: "callFunction", nth: 1 }, Faults.dropAfter))
 *   )
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app }))) // => 3
 * ```
 */
export const idempotent = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.provideService(effect, Guards.Idempotent, true)

// -----------------------------------------------------------------------------
// Layers
// -----------------------------------------------------------------------------

/**
 * A policy for a whole program; what is left out is as by default.
 *
 * ```ts
 * import { Policy } from "@effect-realm/client"
 * import { Duration, Effect, Schedule } from "effect"
 *
 * const layer = Policy.layer({ deadline: "10 seconds", reads: Schedule.spaced("1 second").pipe(Schedule.upTo({ times: 5 })) })
 * const { deadline } = await Effect.runPromise(Effect.provide(Policy.Policy, layer))
 * Duration.toSeconds(deadline) // => 10
 * ```
 */
export const layer = (options: Options): Layer.Layer<never> => {
  const own = named(options)
  // Shared by name alone, one within the reach of itself would be over the policy that was in force there.
  return Layer.fresh(Layer.effect(Policy, Effect.map(Policy, (policy) => ({ ...policy, ...own }))))
}

/**
 * At most so many requests in a window of time, by Effect's `RateLimiter`: in memory for one process, in Redis for many.
 * Throws a `TypeError` that names the option when the limit is no integer of at least 1, or the window no time.
 *
 * @param options.limit how many requests a window lets through
 * @param options.window how long the window is
 * @param options.algorithm `fixed-window` (default), or `token-bucket`, which spreads them evenly
 * @param options.onExceeded `wait` (default): requests wait for their turn, before their deadline begins. `fail`: they
 * fail at once with `TransportError`, reason `RateLimited`
 * @param options.key requests with the same key share a limit; by default those to the same base URL
 *
 * ```ts
 * import { App, Policy } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect, Layer } from "effect"
 * import { RateLimiter } from "effect/persistence"
 *
 * const limited = Policy.layerRateLimit({ limit: 1, window: "1 hour", onExceeded: "fail" }).pipe(
 *   Layer.provide(RateLimiter.layer),
 *   Layer.provide(RateLimiter.layerStoreMemory)
 * )
 * const shop = AppDefinition.make({ appId: "shop-abcde", authProviders: { anonymous: {} } })
 * const program = Effect.gen(function*() {
 *   const { app } = yield* RealmTest.RealmTest
 *   yield* App.location(app)
 *   const error = yield* Effect.flip(App.location(app))
 *   return error._tag === "TransportError" && error.reason._tag
 * })
 * await Effect.runPromise(Effect.provide(program, [RealmTest.layer({ app: shop }), limited])) // => "RateLimited"
 * ```
 */
export const layerRateLimit = (options: {
  readonly limit: number
  readonly window: Duration.Input
  readonly algorithm?: "fixed-window" | "token-bucket"
  readonly onExceeded?: "wait" | "fail"
  readonly key?: string
}): Layer.Layer<never, never, RateLimiter.RateLimiter> => {
  const { algorithm = "fixed-window", key, limit, onExceeded, window } = given(options)
  if (!Number.isInteger(limit) || limit < 1) throw new TypeError("limit: expected an integer of at least 1")
  const own: RateLimit.Options = {
    limit,
    window: positive("window", window),
    algorithm,
    onExceeded: onExceeded === "fail" ? "fail" : "delay",
    key
  }
  return Layer.effect(Guards.Admit, Effect.map(RateLimiter.RateLimiter, (limiter) => RateLimit.make(limiter, own)))
}

/**
 * Sends nothing to a server that is in trouble, by Effect's `CircuitBreaker`, which says when the circuit opens and for
 * how long. In trouble is a server that is not reached, does not answer within the deadline, or answers with status 408,
 * 500, 502, 503 or 504; a `Retry-After` keeps the circuit open for as long. While it is open requests fail with
 * `TransportError`, reason `CircuitOpen`, and sessions are kept.
 *
 * @param options.key requests with the same key share a circuit; by default those to the same base URL
 *
 * ```ts
 * import { App, Policy } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { Faults, RealmTest } from "@effect-realm/testing"
 * import { Effect, Layer } from "effect"
 * import { CircuitBreaker } from "effect/persistence"
 *
 * const breaker = Policy.layerCircuitBreaker().pipe(
 *   Layer.provide(CircuitBreaker.layer({ tripPolicy: CircuitBreaker.consecutive(3), openDuration: "30 seconds" })),
 *   Layer.provide(CircuitBreaker.layerStoreMemory())
 * )
 * const shop = AppDefinition.make({ appId: "shop-abcde", authProviders: { anonymous: {} } })
 * const program = Effect.gen(function*() {
 *   const { app } = yield* RealmTest.RealmTest
 *   // Three attempts, each lost: the circuit opens.
 *   yield* Effect.ignore(App.location(app).pipe(Faults.inject(Faults.at({}, Faults.dropBefore))))
 *   const error = yield* Effect.flip(App.location(app))
 *   return error._tag === "TransportError" && error.reason._tag
 * })
 * await Effect.runPromise(Effect.provide(program, [RealmTest.layer({ app: shop }), breaker])) // => "CircuitOpen"
 * ```
 */
export const layerCircuitBreaker = (options?: {
  readonly key?: string
}): Layer.Layer<never, never, CircuitBreaker.CircuitBreaker> =>
  Layer.effect(
    Guards.Guard,
    Effect.map(CircuitBreaker.CircuitBreaker, (breaker) => Breaker.make(breaker, options?.key))
  )
