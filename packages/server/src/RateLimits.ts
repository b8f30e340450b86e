/**
 * How often somebody may try what they do not know, and may have mails sent (server section 6). What is over a limit is
 * refused with 429 and `Retry-After`, before any work is done for it.
 *
 * Limits are Effect's `RateLimiter`: of the one that is provided to the server's layer, with its store in Redis for many
 * processes, else of one in memory. While its store fails nobody is refused, and the log says so.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as RateLimiter from "effect/persistence/RateLimiter"
import * as ExpiringTable from "./internal/expiringTable.ts"

// -----------------------------------------------------------------------------
// Model
// -----------------------------------------------------------------------------

/**
 * So many at once, and as many again spread over each window: of 10 in 15 minutes, one comes back every 90 seconds. So nobody
 * waits for the end of a window.
 */
export interface Limit {
  readonly limit: number
  readonly window: Duration.Input
}

/**
 * The limits of a server. An account is an email address, registered or not; where a request comes from is an IPv4 address,
 * or a network of IPv6 (its first 64 bits), as one customer has a whole one.
 */
export interface Options {
  /** Wrong passwords for one account from one place. 10 in 15 minutes by default. */
  readonly failuresPerAccountAndPlace?: Limit
  /**
   * Wrong passwords for one account from everywhere. 100 in an hour by default. A place that has logged in to the account
   * is remembered for 30 days, and not held up by it: whoever guesses from many places keeps no owner out.
   */
  readonly failuresPerAccount?: Limit
  /**
   * Wrong passwords, unknown addresses and links, and registrations of taken addresses, from one place. 300 in 15 minutes by
   * default. What succeeds is not counted, so a program may log in as many users as it likes.
   */
  readonly failuresPerPlace?: Limit
  /** Mails to one address, and runs of the functions in their stead. 10 in an hour by default. */
  readonly messagesPerAccount?: Limit
  /** Mails that requests from one place have caused. 500 in an hour by default. */
  readonly mailsPerPlace?: Limit
}

/** What holds where nothing else is said. */
export const defaults: Required<Options> = {
  failuresPerAccountAndPlace: { limit: 10, window: "15 minutes" },
  failuresPerAccount: { limit: 100, window: "1 hour" },
  failuresPerPlace: { limit: 300, window: "15 minutes" },
  messagesPerAccount: { limit: 10, window: "1 hour" },
  mailsPerPlace: { limit: 500, window: "1 hour" }
}

// -----------------------------------------------------------------------------
// Layers
// -----------------------------------------------------------------------------

/**
 * A store for Effect's `RateLimiter` in memory. Unlike Effect's own it forgets a key once it counts for nothing, and beyond
 * `maxKeys` the oldest: keys are of strangers' making. Adaptive limits, which a server does not use, are kept by Effect's.
 *
 * @param options.maxKeys how many keys are remembered at most; 100,000 by default, some 20 MB
 *
 * ```ts
 * import { RateLimits } from "@effect-realm/server"
 * import { Effect, Layer } from "effect"
 * import { RateLimiter } from "effect/persistence"
 *
 * const program = Effect.gen(function*() {
 *   const limiter = yield* RateLimiter.RateLimiter
 *   const ask = limiter.consume({ key: "zoe", limit: 1, window: "1 minute", algorithm: "token-bucket" })
 *   yield* ask
 *   return (yield* Effect.flip(ask)).reason._tag
 * })
 * const limiter = Layer.provide(RateLimiter.layer, RateLimits.layerStoreMemory())
 * await Effect.runPromise(Effect.provide(program, limiter)) // => "RateLimitExceeded"
 * ```
 */
export const layerStoreMemory = (
  options: { readonly maxKeys?: number } = {}
): Layer.Layer<RateLimiter.RateLimiterStore> =>
  Layer.effect(
    RateLimiter.RateLimiterStore,
    Effect.gen(function*() {
      const { adaptiveConsume, adaptiveFeedback } = Context.get(
        yield* Layer.build(Layer.fresh(RateLimiter.layerStoreMemory)),
        RateLimiter.RateLimiterStore
      )
      const { maxKeys = 100_000 } = options
      const counters = ExpiringTable.make<number>(maxKeys)
      const buckets = ExpiringTable.make<{ readonly tokens: number; readonly filledAt: number }>(maxKeys)
      const now = <A>(use: (millis: number) => A): Effect.Effect<A> => Effect.map(Clock.currentTimeMillis, use)

      return RateLimiter.RateLimiterStore.of({
        fixedWindow: ({ key, limit, refillRate, tokens }) =>
          now((millis) => {
            const interval = Duration.toMillis(refillRate)
            const counter = counters.get(key, millis) ?? { value: 0, expiresAt: millis }
            const count = counter.value + tokens
            // See below.
            const over = Math.min(counter.expiresAt, millis + counter.value * interval)
            if (limit !== undefined && count > limit) return [count, over - millis] as const
            const expiresAt = over + interval * tokens
            counters.set(key, { value: count, expiresAt }, millis)
            return [count, expiresAt - millis] as const
          }),
        tokenBucket: ({ allowOverflow, key, limit, refillRate, tokens }) =>
          now((millis) => {
            const interval = Duration.toMillis(refillRate)
            // A bucket that is full again is one that nobody has touched.
            const { value } = buckets.get(key, millis) ?? { value: { tokens: limit, filledAt: millis } }
            // A clock that was set back keeps nobody out for as long as it was set back by.
            const lastFilledAt = Math.min(value.filledAt, millis)
            const refills = Math.floor((millis - lastFilledAt) / interval)
            const before = Math.min(limit, value.tokens + refills)
            const filledAt = before >= limit ? millis : lastFilledAt + refills * interval
            const after = before - tokens
            const kept = allowOverflow || after >= 0 ? after : before
            if (kept < limit) {
              const expiresAt = filledAt + Math.ceil(limit - kept) * interval
              buckets.set(key, { value: { tokens: kept, filledAt }, expiresAt }, millis)
            }
            return [after, millis - filledAt] as const
          }),
        adaptiveConsume,
        adaptiveFeedback
      })
    })
  )
