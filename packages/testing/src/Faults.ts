/**
 * Faults of the network, on demand: requests that never arrive, answers that get lost, delays, proxies that speak HTML,
 * bodies that end early or never. Which request meets which fault is a {@link Plan}: by schedule ({@link at}), or by a
 * seed that says the same each time ({@link seeded}).
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpBody from "effect/http/HttpBody"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientError from "effect/http/HttpClientError"
import type * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Route from "./internal/route.ts"
import type * as Requests from "./Requests.ts"

// -----------------------------------------------------------------------------
// Model
// -----------------------------------------------------------------------------

/** What happens to one request in place of, or on top of, being answered. */
export type Fault =
  | { readonly _tag: "DropBefore" }
  | { readonly _tag: "DropAfter" }
  | { readonly _tag: "Delay"; readonly before: Duration.Duration; readonly after: Duration.Duration }
  | {
    readonly _tag: "Answer"
    readonly status: number
    readonly contentType: string | undefined
    readonly body: string
    readonly headers: { readonly [name: string]: string }
    readonly ran: boolean
  }
  | { readonly _tag: "Truncate"; readonly bytes: number | undefined }
  | { readonly _tag: "BreakOff"; readonly bytes: number | undefined }
  | { readonly _tag: "StallBody" }
  | { readonly _tag: "StallHeaders" }
  | { readonly _tag: "Duplicate" }

/**
 * Which request meets which faults. A plan is a value: it counts anew wherever it is put to use.
 */
export interface Plan {
  /** What the plan is, for messages. */
  readonly description: string
  /** Starts counting, and answers what decides of one request after the other. */
  readonly start: () => (request: Requests.Request) => ReadonlyArray<Fault>
}

// -----------------------------------------------------------------------------
// Faults
// -----------------------------------------------------------------------------

/** The request never reaches the server; the program sees a broken connection. */
export const dropBefore: Fault = { _tag: "DropBefore" }

/** The server runs the request, then the answer is lost; the program sees a broken connection. */
export const dropAfter: Fault = { _tag: "DropAfter" }

/**
 * The request takes longer, on the clock of the test.
 *
 * @param duration how long it takes until it reaches the server
 * @param options.answer how long the answer takes on its way back; nothing by default
 *
 * ```ts
 * import { Faults } from "@effect-realm/testing"
 *
 * Faults.delay("5 seconds")._tag // => "Delay"
 * ```
 */
export const delay = (duration: Duration.Input, options?: { readonly answer?: Duration.Input }): Fault => ({
  _tag: "Delay",
  before: Duration.fromInputUnsafe(duration),
  after: Duration.fromInputUnsafe(options?.answer ?? 0)
})

/**
 * Somebody else answers: a proxy, a load balancer, a server of another version.
 *
 * @param options.status 200 to 599
 * @param options.body as it is; empty by default
 * @param options.contentType `application/json` by default; `""` for an empty one
 * @param options.ran whether the server ran the request all the same; `false` by default
 *
 * ```ts
 * import { Faults } from "@effect-realm/testing"
 *
 * const busy = Faults.answer({ status: 429, headers: { "retry-after": "1" }, body: "{\"error\":\"too many requests\"}" })
 * busy._tag // => "Answer"
 * ```
 */
export const answer = (options: {
  readonly status: number
  readonly body?: string
  readonly contentType?: string
  readonly headers?: { readonly [name: string]: string }
  readonly ran?: boolean
}): Fault => ({
  _tag: "Answer",
  status: options.status,
  body: options.body ?? "",
  contentType: options.contentType === "" ? undefined : options.contentType ?? "application/json",
  headers: options.headers ?? {},
  ran: options.ran ?? false
})

/** A proxy in front of the server answers with status 502 and a page. */
export const html: Fault = answer({
  status: 502,
  contentType: "text/html; charset=utf-8",
  body: "<!doctype html><html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
})

/**
 * The server runs the request; the body ends early, and nothing says so.
 *
 * @param options.bytes how much of the body arrives; half of it by default, which is for bodies that end
 *
 * ```ts
 * import { Faults } from "@effect-realm/testing"
 *
 * Faults.at({ endpoint: "profile" }, Faults.truncate({ bytes: 10 })).description // => "each profile: Truncate"
 * ```
 */
export const truncate = (options?: { readonly bytes?: number }): Fault => ({
  _tag: "Truncate",
  bytes: options?.bytes
})

/**
 * The server runs the request; the connection breaks within the body.
 *
 * @param options.bytes how much of the body arrives; half of it by default, which is for bodies that end
 *
 * ```ts
 * import { Faults } from "@effect-realm/testing"
 *
 * Faults.at({ endpoint: "profile" }, Faults.breakOff()).description // => "each profile: BreakOff"
 * ```
 */
export const breakOff = (options?: { readonly bytes?: number }): Fault => ({
  _tag: "BreakOff",
  bytes: options?.bytes
})

/** The server runs the request; headers and half of the body arrive, the rest never does. */
export const stallBody: Fault = { _tag: "StallBody" }

/** The server runs the request; nothing ever arrives. */
export const stallHeaders: Fault = { _tag: "StallHeaders" }

/** The server runs the request twice; the first answer arrives. */
export const duplicate: Fault = { _tag: "Duplicate" }

/** The faults that {@link seeded} draws from unless told otherwise: one of each kind. */
export const every: ReadonlyArray<Fault> = [
  dropBefore,
  dropAfter,
  delay("3 seconds"),
  answer({ status: 503, body: "{\"error\":\"service unavailable\"}" }),
  answer({ status: 429, body: "{\"error\":\"too many requests\"}" }),
  html,
  truncate(),
  breakOff(),
  stallBody,
  stallHeaders
]

// -----------------------------------------------------------------------------
// Plans
// -----------------------------------------------------------------------------

/** Which requests of a plan: those that fit the filter, and of these the n-th. */
export interface Place extends Requests.Filter {
  /** Which of the requests that fit the filter, from 1; all by default. */
  readonly nth?: number | ReadonlyArray<number>
}

const describe = (place: Place): string => {
  const which = place.nth === undefined ? "each" : `no. ${[place.nth].flat().join(", ")} of`
  return `${which} ${place.endpoint === undefined ? "request" : [place.endpoint].flat().join(", ")}`
}

/** No faults. */
export const none: Plan = { description: "no faults", start: () => () => [] }

/**
 * Faults by schedule.
 *
 * @param place which requests meet them: by endpoint, by user, by predicate, and the n-th of those
 * @param faults applied together, the first one outermost
 *
 * ```ts
 * import { Faults } from "@effect-realm/testing"
 *
 * const plan = Faults.at({ endpoint: "refreshSession", nth: 1 }, Faults.dropAfter)
 * plan.description // => "no. 1 of refreshSession: DropAfter"
 * ```
 */
export const at = (place: Place, ...faults: ReadonlyArray<Fault>): Plan => {
  const numbers = place.nth === undefined ? undefined : new Set([place.nth].flat())
  return {
    description: `${describe(place)}: ${faults.map((fault) => fault._tag).join(", ")}`,
    start: () => {
      let seen = 0
      return (request) => {
        if (!Route.matches(place, request)) return []
        seen++
        return numbers === undefined || numbers.has(seen) ? faults : []
      }
    }
  }
}

/**
 * Several plans in one: a request meets the faults of all of them.
 *
 * ```ts
 * import { Faults } from "@effect-realm/testing"
 *
 * const plan = Faults.all(
 *   Faults.at({ endpoint: "profile", nth: 1 }, Faults.html),
 *   Faults.at({ endpoint: "refreshSession" }, Faults.dropAfter)
 * )
 * plan.description // => "no. 1 of profile: Answer; each refreshSession: DropAfter"
 * ```
 */
export const all = (...plans: ReadonlyArray<Plan>): Plan => ({
  description: plans.map((plan) => plan.description).join("; "),
  start: () => {
    const started = plans.map((plan) => plan.start())
    return (request) => started.flatMap((decide) => decide(request))
  }
})

/** How {@link seeded} draws. */
export interface SeedOptions extends Requests.Filter {
  /** How likely a request meets a fault, 0 to 1; 0.3 by default. */
  readonly rate?: number
  /** What to draw from; {@link every} by default. */
  readonly faults?: ReadonlyArray<Fault>
  /** How many requests may meet a fault at most; no bound by default. */
  readonly limit?: number
}

/** A number from 0 to 1 that text alone decides: FNV-1a, then a mixing step, as the last bits of FNV-1a are weak. */
const drawn = (text: string): number => {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return ((hash ^ (hash >>> 16)) >>> 0) / 0x1_0000_0000
}

/**
 * Faults by seed: the same seed gives the same fault to the n-th request of an endpoint, whatever other requests come
 * in between. The seed is in the message of every connection that the plan breaks.
 *
 * ```ts
 * import { Faults } from "@effect-realm/testing"
 *
 * const plan = Faults.seeded(17, { rate: 0.5, faults: [Faults.dropAfter, Faults.html] })
 * plan.description // => "seed 17"
 * ```
 */
export const seeded = (seed: number, options: SeedOptions = {}): Plan => {
  const { faults = every, limit = Number.POSITIVE_INFINITY, rate = 0.3, ...filter } = options
  return {
    description: `seed ${seed}`,
    start: () => {
      const seen = new Map<string, number>()
      let met = 0
      return (request) => {
        if (faults.length === 0 || met >= limit || !Route.matches(filter, request)) return []
        const name = `${request.method} ${request.route}`
        const ordinal = (seen.get(name) ?? 0) + 1
        seen.set(name, ordinal)
        const key = `${seed} ${name} ${ordinal}`
        if (drawn(key) >= rate) return []
        met++
        return [faults[Math.floor(drawn(`${key} fault`) * faults.length)]!]
      }
    }
  }
}

// -----------------------------------------------------------------------------
// What a fault does
// -----------------------------------------------------------------------------

type Send = Effect.Effect<HttpClientResponse.HttpClientResponse, HttpClientError.HttpClientError>

const broken = (
  request: HttpClientRequest.HttpClientRequest,
  what: string,
  plan: Plan
): HttpClientError.HttpClientError => {
  const description = `${what} (faults by ${plan.description})`
  return new HttpClientError.HttpClientError({
    reason: new HttpClientError.TransportError({ request, description, cause: new Error(description) })
  })
}

// A body of another length than the one that its headers speak of.
const headersOf = (response: HttpClientResponse.HttpClientResponse): { readonly [name: string]: string } =>
  Object.fromEntries(Object.entries(response.headers).filter(([name]) => name !== "content-length"))

type Body = Stream.Stream<Uint8Array, HttpClientError.HttpClientError>

const halfOf = (
  response: HttpClientResponse.HttpClientResponse
): Effect.Effect<Body, HttpClientError.HttpClientError> =>
  Effect.map(
    response.arrayBuffer,
    (body) => Stream.make(new Uint8Array(body).slice(0, Math.floor(body.byteLength / 2)))
  )

/** The beginning of a body. So many bytes of it are passed on as they arrive, for there are bodies without an end. */
const beginningOf = (
  response: HttpClientResponse.HttpClientResponse,
  bytes: number | undefined
): Effect.Effect<Body, HttpClientError.HttpClientError> =>
  bytes === undefined ? halfOf(response) : Effect.sync(() => {
    let left = bytes
    return response.stream.pipe(
      Stream.map((chunk) => {
        const passed = chunk.subarray(0, left)
        left -= passed.byteLength
        return passed
      }),
      Stream.takeUntil(() => left === 0)
    )
  })

const withBody = (
  request: HttpClientRequest.HttpClientRequest,
  response: HttpClientResponse.HttpClientResponse,
  body: Body
): HttpClientResponse.HttpClientResponse =>
  HttpServerResponse.toClientResponse(
    HttpServerResponse.stream(body, { status: response.status, headers: headersOf(response) }),
    { request }
  )

const apply = (fault: Fault, send: Send, request: HttpClientRequest.HttpClientRequest, plan: Plan): Send => {
  switch (fault._tag) {
    case "DropBefore":
      return Effect.fail(broken(request, "The request was dropped before the server ran it", plan))
    case "DropAfter":
      return Effect.flatMap(
        send,
        () => Effect.fail(broken(request, "The answer was dropped after the server ran the request", plan))
      )
    case "Delay":
      return Effect.delay(
        Effect.flatMap(send, (response) => Effect.as(Effect.sleep(fault.after), response)),
        fault.before
      )
    case "Answer": {
      const { body, contentType, headers, ran, status } = fault
      const answered = Effect.sync(() =>
        HttpServerResponse.toClientResponse(
          HttpServerResponse.setBody(
            HttpServerResponse.empty({ status, headers }),
            // An empty type is one that is not sent.
            HttpBody.text(body, contentType ?? "")
          ),
          { request }
        )
      )
      return ran ? Effect.andThen(send, answered) : answered
    }
    case "Truncate":
      return Effect.flatMap(
        send,
        (response) =>
          Effect.map(beginningOf(response, fault.bytes), (beginning) => withBody(request, response, beginning))
      )
    case "BreakOff":
      return Effect.flatMap(send, (response) =>
        Effect.map(beginningOf(response, fault.bytes), (beginning) =>
          withBody(
            request,
            response,
            Stream.concat(beginning, Stream.fail(broken(request, "The connection broke within the body", plan)))
          )))
    case "StallBody":
      return Effect.flatMap(
        send,
        (response) =>
          Effect.map(
            halfOf(response),
            (half) => withBody(request, response, Stream.concat(half, Stream.never))
          )
      )
    case "StallHeaders":
      return Effect.andThen(send, Effect.never)
    case "Duplicate":
      return Effect.flatMap(send, (first) => Effect.as(Effect.ignore(send), first))
  }
}

const faulty = (client: HttpClient.HttpClient, plan: Plan): HttpClient.HttpClient => {
  const decide = plan.start()
  let number = 0
  return HttpClient.transform(client, (send, request) =>
    Effect.flatMap(Clock.currentTimeMillis, (sentAt) => {
      const faults = decide(Route.leaving(request, ++number, sentAt))
      return faults.reduceRight<Send>((next, fault) => apply(fault, next, request, plan), send)
    }))
}

// -----------------------------------------------------------------------------
// Layers and combinators
// -----------------------------------------------------------------------------

/**
 * Puts faults between a program and its `HttpClient`.
 *
 * ```ts
 * import { App } from "@effect-realm/client"
 * import { Faults } from "@effect-realm/testing"
 * import { Effect, Layer } from "effect"
 * import { FetchHttpClient } from "effect/http"
 *
 * const app = App.make({ id: "shop-abcde", baseUrl: "http://localhost:9090" })
 * const layer = Faults.layer(Faults.at({ endpoint: "location" }, Faults.html)).pipe(Layer.provide(FetchHttpClient.layer))
 *
 * const error = await Effect.runPromise(Effect.flip(Effect.provide(App.location(app), layer)))
 * error._tag // => "InvalidResponseError"
 * ```
 */
export const layer = (plan: Plan): Layer.Layer<HttpClient.HttpClient, never, HttpClient.HttpClient> =>
  Layer.effect(HttpClient.HttpClient, Effect.map(HttpClient.HttpClient, (client) => faulty(client, plan)))

/**
 * Puts faults between one effect and its `HttpClient`.
 *
 * ```ts
 * import { App } from "@effect-realm/client"
 * import { Faults } from "@effect-realm/testing"
 * import { Effect } from "effect"
 * import { FetchHttpClient } from "effect/http"
 *
 * const app = App.make({ id: "shop-abcde", baseUrl: "http://localhost:9090" })
 * const offline = Faults.inject(Faults.at({}, Faults.dropBefore))
 *
 * const error = await App.location(app).pipe(
 *   offline,
 *   Effect.flip,
 *   Effect.provide(FetchHttpClient.layer),
 *   Effect.runPromise
 * )
 * error._tag // => "TransportError"
 * ```
 */
export const inject =
  (plan: Plan) => <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | HttpClient.HttpClient> =>
    Effect.flatMap(
      HttpClient.HttpClient,
      (client) => Effect.provideService(effect, HttpClient.HttpClient, faulty(client, plan))
    )

/**
 * A program failed under some seed. The message has the seed that shows it again, and the failure itself.
 *
 * ```ts
 * import { Faults } from "@effect-realm/testing"
 * import { Effect } from "effect"
 * import { FetchHttpClient } from "effect/http"
 *
 * const error = await Faults.explore({ seeds: 3 }, () => Effect.fail("broken")).pipe(
 *   Effect.flip,
 *   Effect.provide(FetchHttpClient.layer),
 *   Effect.runPromise
 * )
 * error instanceof Faults.SeedError && error.seed // => 1
 * ```
 */
export class SeedError extends Schema.TaggedError<SeedError>("@effect-realm/testing/SeedError")("SeedError", {
  seed: Schema.Int,
  failure: Schema.String,
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `Failed with seed ${this.seed}; Faults.seeded(${this.seed}, …) shows it again.\n${this.failure}`
  }
}

/**
 * Runs a program under many seeds, one after the other. Fails with `SeedError` at the first one under which it fails.
 *
 * @param options.seeds how many; 100 by default
 * @param options.first the first seed; 1 by default. Set it to the seed of a failure, and `seeds` to 1, to see that again
 *
 * ```ts
 * import { App } from "@effect-realm/client"
 * import { Faults } from "@effect-realm/testing"
 * import { Effect } from "effect"
 * import { FetchHttpClient } from "effect/http"
 *
 * const app = App.make({ id: "shop-abcde", baseUrl: "http://localhost:9090" })
 * const survives = Faults.explore({ seeds: 10, rate: 1, faults: [Faults.dropBefore, Faults.html] }, (plan) =>
 *   App.location(app).pipe(Effect.flip, Faults.inject(plan)))
 *
 * await Effect.runPromise(Effect.provide(survives, FetchHttpClient.layer)) // => 10
 * ```
 */
export const explore = <A, E, R>(
  options: SeedOptions & { readonly seeds?: number; readonly first?: number },
  program: (plan: Plan) => Effect.Effect<A, E, R>
): Effect.Effect<number, SeedError, R> => {
  const { first = 1, seeds = 100, ...drawing } = options
  return Effect.as(
    Effect.forEach(
      Array.from({ length: seeds }, (_, index) => first + index),
      (seed) =>
        Effect.catchCause(
          program(seeded(seed, drawing)),
          (cause) =>
            Cause.hasInterruptsOnly(cause)
              ? Effect.interrupt
              : Effect.fail(new SeedError({ seed, failure: Cause.pretty(cause), cause: Cause.squash(cause) }))
        ),
      { discard: true }
    ),
    seeds
  )
}
