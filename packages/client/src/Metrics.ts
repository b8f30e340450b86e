/**
 * What the client counts, in Effect's own metrics: requests and how long they took, exchanges of tokens, and what failed.
 * Always on, and cheap. No value that a user sent or got is in an attribute, so the number of series stays small: one for
 * each endpoint, and one for each operation and the tag of its failure.
 *
 * ```ts
 * import { App, Metrics } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect, Metric } from "effect"
 *
 * const shop = AppDefinition.make({ appId: "shop-abcde", authProviders: { anonymous: {} } })
 * const program = Effect.gen(function*() {
 *   const { app } = yield* RealmTest.RealmTest
 *   yield* App.location(app)
 *   const asked = { method: "GET", route: "/api/client/v2.0/app/:appId/location" }
 *   const requests = yield* Metric.value(Metric.withAttributes(Metrics.requests, asked))
 *   const latency = yield* Metric.value(Metric.withAttributes(Metrics.latency, asked))
 *   return [requests.count, latency.count]
 * })
 * // A registry of its own, so that nothing else is counted.
 * const counted = Effect.provideService(program, Metric.MetricRegistry, new Map())
 * await Effect.runPromise(Effect.provide(counted, RealmTest.layer({ app: shop }))) // => [1, 1]
 * ```
 */
import type * as Metric from "effect/Metric"
import * as Series from "./internal/requests/series.ts"

/** Requests that were sent, repeated ones too. Attributes: `method`, and `route`, the template of the path. */
export const requests: Metric.Counter<number> = Series.requests()

/**
 * Milliseconds from sending a request to the end of the answer's body, for requests that were answered, whatever the
 * answer was. Attributes: `method`, and `route`, the template of the path.
 */
export const latency: Metric.Histogram<number> = Series.latency()

/** Exchanges of a refresh token for a new access token, however many callers shared one. */
export const exchanges: Metric.Counter<number> = Series.exchanges()

/**
 * Operations that failed. Attributes: `operation`, `User.callFunction` for instance, and `tag`, the `_tag` of the error,
 * or `Defect`. An operation that was interrupted has not failed.
 */
export const failures: Metric.Counter<number> = Series.failures()
