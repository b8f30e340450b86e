/**
 * Asking an endpoint of the protocol: one request, sent within its deadline, as the policies say, and counted; and its answer.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { identity } from "effect/Function"
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import type * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type RequestFailure, TransportError } from "../../ClientError.ts"
import * as Policy from "../../Policy.ts"
import * as Answer from "./answer.ts"
import * as Guards from "./guards.ts"
import * as Operation from "./operation.ts"
import { repeated } from "./repetition.ts"
import * as Request from "./request.ts"
import * as Series from "./series.ts"

type Success<E> = HttpApiEndpoint.Success<E>["Type"]
type Refusal<E> = HttpApiEndpoint.Error<E>["Type"]

/** Sends one request, once. */
export type Send<E> = (
  input: Request.Input<E>
) => Effect.Effect<Success<E>, Refusal<E> | RequestFailure, HttpClient.HttpClient>

/** How an endpoint may be asked. */
export interface Options {
  /** The answer holds tokens, so no excerpt of it may be shown. */
  readonly secret?: true
  /**
   * Whether a request may be repeated by policy (law 10): always, because it only reads; or where the caller declares
   * that it does no harm (`Policy.idempotent`). Without it a request is sent once.
   */
  readonly repeat?: "always" | "declared"
}

/** A sender for an endpoint. */
export const make = <E extends Request.AnyEndpoint>(endpoint: E, options?: Options): Send<E> =>
  whole(endpoint, options) as unknown as Send<E>

/** Asks for a header of the answer: where a browser, which alone can follow it, has to go. */
export const makeHeader = <E extends Request.AnyEndpoint>(
  endpoint: E,
  name: string
): (input: Request.Input<E>) => Effect.Effect<string, Refusal<E> | RequestFailure, HttpClient.HttpClient> =>
  whole(endpoint, undefined, (answer, { headers, status }) =>
    Effect.flatMap(answer, () => {
      const value = headers[name]
      return value === undefined || value === ""
        ? Effect.fail(Answer.invalid(endpoint, `the answer has no header ${name}`, { status, headers }))
        : Effect.succeed(value)
    })) as unknown as ReturnType<typeof makeHeader<E>>

/** A sender for an endpoint whose answer is there before it is read. */
const whole = (
  endpoint: Request.AnyEndpoint,
  options: Options = {},
  part: (answer: Answer.Answer, head: HttpClientResponse.HttpClientResponse) => Answer.Answer = identity
): Sender => {
  const decode = Answer.decoder(endpoint, options.secret === true)
  return sender(endpoint, {
    accept: "application/json",
    repeat: options.repeat,
    execute: (client, request) => client.execute(request),
    receive: (received, input, arrived) =>
      Effect.flatMap(Answer.textOf(endpoint, received.response), (text) => {
        arrived()
        return part(decode(received, text, input), received.response)
      })
  })
}

/** What a stream of bytes that was opened can fail with. */
export type Bytes = Stream.Stream<Uint8Array, TransportError>

/** Opens a stream, once. The connection is closed with the scope, whether the stream has begun or not. */
export type Open<E> = (
  input: Request.Input<E>
) => Effect.Effect<Bytes, Refusal<E> | RequestFailure, HttpClient.HttpClient | Scope.Scope>

/** An opener for an endpoint that answers events. The deadline is over the head of the answer, as the body has no end. */
export const makeStream = <E extends Request.AnyEndpoint>(endpoint: E): Open<E> => {
  const decode = Answer.decoder(endpoint, false)
  return sender(endpoint, {
    accept: "text/event-stream",
    repeat: undefined,
    execute: (client, request, fiber) =>
      Effect.provideService(
        HttpClient.withScope(client).execute(request),
        Scope.Scope,
        Context.getUnsafe(fiber.context, Scope.Scope)
      ),
    receive: (received, input, arrived) => {
      const { headers, status, stream } = received.response
      if (status < 200 || status >= 300) {
        return Effect.flatMap(Answer.textOf(endpoint, received.response), (text) => decode(received, text, input))
      }
      if (!Answer.isEventStream(headers["content-type"] ?? "")) {
        return Effect.fail(Answer.invalid(endpoint, "the answer is no stream of events", { status, headers }))
      }
      arrived()
      return Effect.succeed(Stream.mapError(stream, (error) => unreachable(endpoint, error, input)))
    }
  }) as unknown as Open<E>
}

// `Request.Input<E>` is `Request.Untyped` with the parts the endpoint has, and `receive` answers what its schemas say:
// relations between a value and its type parameters that the compiler cannot follow. Hence the casts above.
interface Sending {
  readonly accept: string
  readonly repeat: Options["repeat"]
  readonly execute: (
    client: HttpClient.HttpClient,
    request: HttpClientRequest.HttpClientRequest,
    fiber: Fiber.Fiber<unknown, unknown>
  ) => Effect.Effect<HttpClientResponse.HttpClientResponse, HttpClientError.HttpClientError>
  /** @param arrived called when all that the deadline is over has arrived */
  readonly receive: (
    received: Answer.Received,
    input: Request.Untyped,
    arrived: () => void
  ) => Effect.Effect<unknown, Guards.Failure | HttpClientError.HttpClientError>
}

type Sender = (input: Request.Untyped) => Effect.Effect<unknown, Guards.Failure, HttpClient.HttpClient>

const sender = (endpoint: Request.AnyEndpoint, { accept, execute, receive, repeat }: Sending): Sender => {
  const { method, path } = endpoint
  const requestOf = Request.maker(endpoint, accept)
  const attributes = { method, route: path }
  const requests = Series.requests(attributes)
  const latency = Series.latency(attributes)

  const timedOut = (deadline: number): TransportError =>
    new TransportError({ method, route: path, reason: { _tag: "TimedOut", deadline } })

  /** One attempt, which has so many milliseconds. */
  const attempt = (
    client: HttpClient.HttpClient,
    request: HttpClientRequest.HttpClientRequest,
    input: Request.Untyped,
    state: Guards.Attempt,
    within: number,
    deadline: number
  ): Answer.Answer =>
    Effect.withFiber((fiber) => {
      const clock = fiber.getRef(Clock.Clock)
      const start = clock.monotonicTimeNanosUnsafe()
      state.status = undefined
      state.retryAfter = undefined
      requests.updateUnsafe(1, fiber.context)
      return Effect.flatMap(execute(client, request, fiber), (response) => {
        state.status = response.status
        const after = response.headers["retry-after"]
        if (after !== undefined) state.retryAfter = Answer.retryAfter(after, clock.currentTimeMillisUnsafe())
        return receive({ response, retryAfter: state.retryAfter }, input, () => {
          latency.updateUnsafe(Number(clock.monotonicTimeNanosUnsafe() - start) / 1e6, fiber.context)
        })
      })
    }).pipe(
      Effect.catchTag("HttpClientError", (error) => Effect.fail(unreachable(endpoint, error, input))),
      (answer) =>
        within === Number.POSITIVE_INFINITY
          ? answer
          : Effect.timeoutOrElse(answer, { duration: within, orElse: () => Effect.fail(timedOut(deadline)) })
    )

  return (input) => {
    // A payload of wrong types is refused here and now, before there is an effect to run.
    const request = requestOf(input)
    return Effect.withFiber<unknown, Guards.Failure, HttpClient.HttpClient>((fiber) => {
      const client = Context.getUnsafe(fiber.context, HttpClient.HttpClient)
      const policy = fiber.getRef(Policy.Policy)
      const deadline = Duration.toMillis(policy.deadline)
      const admit = fiber.getRef(Guards.Admit)
      const guard = fiber.getRef(Guards.Guard)
      const current = fiber.getRef(Operation.Current)
      const state: Guards.Attempt = { status: undefined, retryAfter: undefined }

      const target: Guards.Target = { endpoint, baseUrl: input.baseUrl }
      const admitted = (longest: number, attempt: Answer.Answer): Answer.Answer =>
        admit === undefined ? attempt : Effect.andThen(admit(target, longest), attempt)

      const once = (within: number): Answer.Answer => {
        const sent = attempt(client, request, input, state, within, deadline)
        const counted = current === undefined ? sent : Effect.suspend(() => {
          // A shared exchange counts for the operation that began it.
          if (current.endpoint === endpoint) current.attempts++
          else if (endpoint.identifier === "refreshSession") current.exchanges++
          return sent
        })
        return guard === undefined ? counted : guard(counted, target, state)
      }

      const mayRepeat = repeat === "always" || (repeat === "declared" && fiber.getRef(Guards.Idempotent))
      const answer = admitted(
        Number.POSITIVE_INFINITY,
        mayRepeat ? repeated(once, admitted, state, policy.reads, deadline) : once(deadline)
      )
      return withTracing(fiber, answer)
    })
  }
}

const isUntraced = (): boolean => true

const withTracing = <A, E, R>(
  fiber: Fiber.Fiber<unknown, unknown>,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => {
  if (fiber.getRef(Operation.TracePropagation)) return effect
  // A span that no tracer was installed for is seen by nobody, and costs a tenth to a fifth of a call.
  return Operation.isTraced(fiber)
    ? Effect.provideService(effect, HttpClient.TracerPropagationEnabled, false)
    : Effect.provideService(effect, HttpClient.TracerDisabledWhen, isUntraced)
}

const unreachable = (
  endpoint: Request.AnyEndpoint,
  error: HttpClientError.HttpClientError,
  input: Request.Untyped
): TransportError =>
  new TransportError({
    method: endpoint.method,
    route: endpoint.path,
    // The reason and its cause, without the URL and the headers that `error.message` may quote.
    reason: { _tag: "Unreachable", detail: Request.excerptOf(input, detailOf(error)) }
  })

const detailOf = (error: HttpClientError.HttpClientError): string => {
  const { reason } = error
  const cause = "cause" in reason ? innermost(reason.cause) : undefined
  if (cause === undefined) return reason._tag
  // That it is an error of the transport is what our own error says already.
  return reason._tag === "TransportError" ? cause : `${reason._tag} (${cause})`
}

const innermost = (cause: unknown): string | undefined => {
  if (!(cause instanceof Error)) return undefined
  return innermost(cause.cause) ?? (cause.message === "" ? cause.name : cause.message)
}
