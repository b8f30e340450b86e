/**
 * The series of the client's metrics. A series is made once, with its attributes: `Metric.withAttributes` would merge them
 * anew at every update.
 */
import * as Metric from "effect/Metric"

type Attributes = { readonly [name: string]: string }

const counter = (name: string, description: string) => (attributes: Attributes = {}): Metric.Counter<number> =>
  Metric.counter(`effect_realm_client_${name}`, { description, attributes, incremental: true })

export const requests = counter("requests", "Requests that were sent")

export const exchanges = counter("exchanges", "Exchanges of a refresh token for a new access token")

export const failures = counter("failures", "Operations that failed")

export const latency = (attributes: Attributes = {}): Metric.Histogram<number> =>
  Metric.histogram("effect_realm_client_latency", {
    description: "Milliseconds from sending a request to the end of the answer's body",
    attributes,
    boundaries: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000]
  })
