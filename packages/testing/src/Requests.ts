/**
 * The requests that were sent, without a secret in them: method, route, whose token of which kind, and what became of
 * each. For tests that count requests, and for messages of those that fail.
 */
import type * as Endpoint from "@effect-realm/protocol/Endpoint"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Route from "./internal/route.ts"

// -----------------------------------------------------------------------------
// Model
// -----------------------------------------------------------------------------

/** The name of an endpoint of the protocol, as the module `Endpoint` has it: `callFunction`, `refreshSession`. */
export type EndpointName = {
  [K in keyof typeof Endpoint]: (typeof Endpoint)[K] extends HttpApiEndpoint.Constraint ? K : never
}[keyof typeof Endpoint]

/** The token of a request: of which kind and whose, never the token itself. */
export type Bearer =
  | { readonly _tag: "None" }
  | { readonly _tag: "Access"; readonly userId: string }
  | { readonly _tag: "Refresh"; readonly userId: string }
  /** A token that cannot be read. */
  | { readonly _tag: "Unknown" }

/** What became of a request. */
export type Outcome =
  | { readonly _tag: "Pending" }
  | { readonly _tag: "Answered"; readonly status: number }
  /** No answer: a broken connection, a fault that dropped it. */
  | { readonly _tag: "Failed" }
  | { readonly _tag: "Interrupted" }

/** One request. */
export interface Request {
  /** Its place among all requests, from 1. */
  readonly number: number
  readonly method: string
  /** The endpoint it is for, or `undefined` for a path that is none of the protocol's. */
  readonly endpoint: EndpointName | undefined
  /** The template of the endpoint's path, or the path where there is no endpoint. */
  readonly route: string
  /** Whether it asks for a link: `?link=true`. */
  readonly link: boolean
  readonly bearer: Bearer
  /** When it was sent, in milliseconds on the clock of the test. */
  readonly sentAt: number
  readonly outcome: Outcome
}

/** Which requests: all that fit every field given. */
export interface Filter {
  readonly endpoint?: EndpointName | ReadonlyArray<EndpointName>
  /** Of this user, by the token. */
  readonly userId?: string
  readonly when?: (request: Request) => boolean
}

// -----------------------------------------------------------------------------
// Service
// -----------------------------------------------------------------------------

/** The log of the requests that went through. */
export class Requests extends Context.Service<Requests, {
  /** The requests so far that fit the filter, in the order in which they were sent. */
  readonly sent: (filter?: Filter) => Effect.Effect<ReadonlyArray<Request>>
  /** How many requests so far fit the filter. */
  readonly count: (filter?: Filter) => Effect.Effect<number>
  /** Forgets the requests so far; numbers go on. */
  readonly clear: Effect.Effect<void>
}>()("@effect-realm/testing/Requests") {}

// -----------------------------------------------------------------------------
// Layers
// -----------------------------------------------------------------------------

const outcomeOf = (exit: Exit.Exit<{ readonly status: number }, unknown>): Outcome =>
  Exit.match(exit, {
    onSuccess: ({ status }) => ({ _tag: "Answered", status }),
    onFailure: () => ({ _tag: Exit.hasInterrupts(exit) ? "Interrupted" : "Failed" })
  })

/**
 * Logs what goes to the `HttpClient` below it. Above faults it sees what the program sends, below them what reaches the
 * server.
 *
 * ```ts
 * import { Requests } from "@effect-realm/testing"
 * import { Effect, Layer } from "effect"
 * import { HttpClient, HttpClientResponse } from "effect/http"
 *
 * const server = Layer.succeed(
 *   HttpClient.HttpClient,
 *   HttpClient.make((request) => Effect.succeed(HttpClientResponse.fromWeb(request, new Response("{}"))))
 * )
 *
 * const program = Effect.gen(function*() {
 *   yield* HttpClient.get("http://localhost:9090/api/client/v2.0/auth/profile")
 *   const requests = yield* Requests.Requests
 *   return (yield* requests.sent()).map(({ bearer, endpoint, outcome }) => [endpoint, bearer._tag, outcome._tag])
 * })
 *
 * await Effect.runPromise(
 *   Effect.provide(program, Layer.provide(Requests.layer, server))
 * ) // => [["profile", "None", "Answered"]]
 * ```
 */
export const layer: Layer.Layer<Requests | HttpClient.HttpClient, never, HttpClient.HttpClient> = Layer.effectContext(
  Effect.map(HttpClient.HttpClient, (client) => {
    let log: Array<{ request: Request }> = []
    let number = 0

    const logged = HttpClient.transform(client, (send, request) =>
      Effect.flatMap(Clock.currentTimeMillis, (sentAt) => {
        const entry = { request: Route.leaving(request, ++number, sentAt) }
        log.push(entry)
        return Effect.onExit(send, (exit) =>
          Effect.sync(() => {
            entry.request = { ...entry.request, outcome: outcomeOf(exit) }
          }))
      }))

    const sent = (filter: Filter = {}) =>
      Effect.sync(() => log.flatMap(({ request }) => Route.matches(filter, request) ? [request] : []))

    return Context.make(HttpClient.HttpClient, logged).pipe(
      Context.add(
        Requests,
        Requests.of({
          sent,
          count: (filter) => Effect.map(sent(filter), (requests) => requests.length),
          clear: Effect.sync(() => {
            log = []
          })
        })
      )
    )
  })
)
