/**
 * One request to one endpoint of the protocol: the endpoint says method, path, payload, answer and refusals, and this
 * module sends it and reads what comes back, whatever that is (law 12).
 */
import * as RealmError from "@effect-realm/protocol/RealmError"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as HttpBody from "effect/http/HttpBody"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import type { HttpMethod } from "effect/http/HttpMethod"
import * as UrlParams from "effect/http/UrlParams"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Pull from "effect/Pull"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { InvalidResponseError, type RequestFailure, TransportError } from "../ClientError.ts"
import * as Policy from "../Policy.ts"
import * as Guards from "./guards.ts"
import * as Operation from "./operation.ts"
import * as Series from "./series.ts"

type Success<E> = HttpApiEndpoint.Success<E>["Type"]
type Refusal<E> = HttpApiEndpoint.Error<E>["Type"]
type Params<E> = HttpApiEndpoint.Params<E>["Type"]
type Payload<E> = HttpApiEndpoint.Payload<E>["Type"]
type Query<E> = HttpApiEndpoint.Query<E>["Type"]

/** The parts of an endpoint that sending a request needs. */
export interface AnyEndpoint extends HttpApiEndpoint.ConstraintRequest {
  readonly identifier: string
  readonly method: HttpMethod
  readonly path: string
  readonly payload: HttpApiEndpoint.PayloadMap
  readonly success: ReadonlySet<Schema.Top>
  readonly error: ReadonlySet<Schema.Top>
}

/** What goes into a request: only what the endpoint declares. */
export type Input<E> =
  & {
    readonly baseUrl: string
    readonly bearer?: Redacted.Redacted
    /** Secrets in the payload beside those that are `Redacted`, to keep them out of errors. */
    readonly secrets?: ReadonlyArray<string>
  }
  & ([HttpApiEndpoint.Params<E>] extends [never] ? unknown : { readonly params: Params<E> })
  & ([HttpApiEndpoint.Payload<E>] extends [never] ? unknown : { readonly payload: Payload<E> })
  & ([HttpApiEndpoint.Query<E>] extends [never] ? unknown : { readonly query?: Query<E> })

/** Sends one request, once. */
export type Send<E> = (
  input: Input<E>
) => Effect.Effect<Success<E>, Refusal<E> | RequestFailure, HttpClient.HttpClient>

const excerptLength = 200

const longestContentType = 100

const isJson = (contentType: string): boolean => /^application\/(?:[\w.+-]+\+)?json\b/i.test(contentType.trim())

// Whatever looks like a token is taken out of what an error may show.
const jsonWebToken = /eyJ[\w-]*(?:\.[\w-]*){0,2}/g

// Tokens of other kinds, in texts that are not the words of a server of ours.
const otherToken = /[\w-]{8,}\.[\w-]{8,}\.[\w-]*|("(?:access|refresh)_token"\s*:\s*")[^"]+/g

/** A text without the secrets of a request: a proxy or a server may send back what it was sent. */
const without = ({ bearer, payload, query, secrets = [] }: Untyped, text: string): string =>
  [bearer, query, payload]
    .flatMap((part) => Predicate.isReadonlyObject(part) && !Redacted.isRedacted(part) ? Object.values(part) : [part])
    .flatMap((value) => Redacted.isRedacted(value) ? [String(Redacted.value(value))] : [])
    .concat(secrets)
    .flatMap((secret) => secret === "" ? [] : [secret, JSON.stringify(secret).slice(1, -1)])
    .reduce((shown, secret) => shown.replaceAll(secret, "<redacted>"), text)
    .replace(jsonWebToken, "<redacted>")

const excerptOf = (input: Untyped, text: string): string => without(input, text).replace(otherToken, "$1<redacted>")

interface Untyped {
  readonly baseUrl: string
  readonly bearer?: Redacted.Redacted
  readonly params?: { readonly [name: string]: string }
  readonly query?: { readonly [name: string]: string | Redacted.Redacted | undefined }
  readonly payload?: unknown
  readonly secrets?: ReadonlyArray<string>
}

/** A body that shows its length and nothing else, to whoever prints a request: there may be a password in it. */
class HiddenBody extends HttpBody.Uint8Array {
  override toJSON(): unknown {
    const { _tag, contentLength, contentType } = this
    return { _id: "effect/HttpBody", _tag, contentType, contentLength }
  }
}

const hidden = (json: string): HiddenBody => {
  const { contentLength, contentType } = HttpBody.text(json, "application/json")
  return new HiddenBody(undefined, contentType, contentLength, json)
}

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
export const make = <E extends AnyEndpoint>(endpoint: E, options?: Options): Send<E> => {
  const decode = answerDecoder(endpoint, options?.secret === true)
  return sender(endpoint, {
    accept: "application/json",
    repeat: options?.repeat,
    execute: (client, request) => client.execute(request),
    receive: (received, input, arrived) =>
      Effect.flatMap(textOf(endpoint, received.response), (text) => {
        arrived()
        return decode(received, text, input)
      })
  }) as unknown as Send<E>
}

/** What a stream of bytes that was opened can fail with. */
export type Bytes = Stream.Stream<Uint8Array, TransportError>

/** Opens a stream, once. The connection is closed with the scope, whether the stream has begun or not. */
export type Open<E> = (
  input: Input<E>
) => Effect.Effect<Bytes, Refusal<E> | RequestFailure, HttpClient.HttpClient | Scope.Scope>

/** Asks for a header of the answer: where a browser, which alone can follow it, has to go. */
export const makeHeader = <E extends AnyEndpoint>(
  endpoint: E,
  name: string
): (input: Input<E>) => Effect.Effect<string, Refusal<E> | RequestFailure, HttpClient.HttpClient> => {
  const decode = answerDecoder(endpoint, false)
  return sender(endpoint, {
    accept: "application/json",
    repeat: undefined,
    execute: (client, request) => client.execute(request),
    receive: (received, input, arrived) =>
      Effect.flatMap(textOf(endpoint, received.response), (text) => {
        arrived()
        return Effect.flatMap(decode(received, text, input), () => {
          const { headers, status } = received.response
          const value = headers[name]
          return value === undefined || value === ""
            ? Effect.fail(invalid(endpoint, `the answer has no header ${name}`, { status, headers }))
            : Effect.succeed(value)
        })
      })
  }) as unknown as ReturnType<typeof makeHeader<E>>
}

/** The address of a request that somebody else sends: a browser. */
export const address = <E extends AnyEndpoint>(endpoint: E, input: Input<E>): string => {
  const { query } = input as Untyped
  return `${addressOf(endpoint, input as Untyped)}?${UrlParams.toString(UrlParams.fromInput(query ?? {}))}`
}

const addressOf = (
  { path }: { readonly path: string },
  { baseUrl, params }: Pick<Untyped, "baseUrl" | "params">
): string =>
  baseUrl + (params === undefined
    ? path
    : path.replace(/:(\w+)/g, (_, name: string) => encodeURIComponent(params[name] ?? "")))

const isEventStream = (contentType: string): boolean => /^text\/event-stream\s*(?:;|$)/i.test(contentType.trim())

/** An opener for an endpoint that answers events. The deadline is over the head of the answer, as the body has no end. */
export const makeStream = <E extends AnyEndpoint>(endpoint: E): Open<E> => {
  const decode = answerDecoder(endpoint, false)
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
        return Effect.flatMap(textOf(endpoint, received.response), (text) => decode(received, text, input))
      }
      if (!isEventStream(headers["content-type"] ?? "")) {
        return Effect.fail(invalid(endpoint, "the answer is no stream of events", { status, headers }))
      }
      arrived()
      return Effect.succeed(Stream.mapError(stream, (error) => unreachable(endpoint, error, input)))
    }
  }) as unknown as Open<E>
}

// `Input<E>` is `Untyped` with the parts the endpoint has, and `receive` answers what its schemas say: relations between a
// value and its type parameters that the compiler cannot follow. Hence the casts above.
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
    received: Received,
    input: Untyped,
    arrived: () => void
  ) => Effect.Effect<unknown, Guards.Failure | HttpClientError.HttpClientError>
}

/** The head of an answer. */
interface Received {
  readonly response: HttpClientResponse.HttpClientResponse
  /** Milliseconds after which the server wants to be asked again, if it said so. */
  readonly retryAfter: number | undefined
}

const sender = (
  endpoint: AnyEndpoint,
  { accept, execute, receive, repeat }: Sending
): (input: Untyped) => Effect.Effect<unknown, Guards.Failure, HttpClient.HttpClient> => {
  const { method, path } = endpoint
  const encode = payloadEncoder(endpoint)
  const attributes = { method, route: path }
  const requests = Series.requests(attributes)
  const latency = Series.latency(attributes)

  const requestOf = (input: Untyped, body: string | undefined): HttpClientRequest.HttpClientRequest => {
    let request = HttpClientRequest.make(method)(addressOf(endpoint, input), { accept })
    if (input.query !== undefined) request = HttpClientRequest.setUrlParams(request, input.query)
    if (input.bearer !== undefined) request = HttpClientRequest.bearerToken(request, input.bearer)
    return body === undefined ? request : HttpClientRequest.setBody(request, hidden(body))
  }

  const timedOut = (deadline: number): TransportError =>
    new TransportError({ method, route: path, reason: { _tag: "TimedOut", deadline } })

  /** One attempt, which has so many milliseconds. */
  const attempt = (
    client: HttpClient.HttpClient,
    request: HttpClientRequest.HttpClientRequest,
    input: Untyped,
    state: Guards.Attempt,
    within: number,
    deadline: number
  ): Answer =>
    Effect.withFiber((fiber) => {
      const clock = fiber.getRef(Clock.Clock)
      const start = clock.monotonicTimeNanosUnsafe()
      state.status = undefined
      state.retryAfter = undefined
      requests.updateUnsafe(1, fiber.context)
      return Effect.flatMap(execute(client, request, fiber), (response) => {
        state.status = response.status
        const after = response.headers["retry-after"]
        if (after !== undefined) state.retryAfter = retryAfter(after, clock.currentTimeMillisUnsafe())
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
    // A payload of wrong types is refused here and now, with the field named, before there is an effect to run.
    const body = encode === undefined ? undefined : JSON.stringify(encode(input.payload))
    return Effect.withFiber<unknown, Guards.Failure, HttpClient.HttpClient>((fiber) => {
      const client = Context.getUnsafe(fiber.context, HttpClient.HttpClient)
      const policy = fiber.getRef(Policy.Policy)
      const deadline = Duration.toMillis(policy.deadline)
      const admit = fiber.getRef(Guards.Admit)
      const guard = fiber.getRef(Guards.Guard)
      const current = fiber.getRef(Operation.Current)
      const state: Guards.Attempt = { status: undefined, retryAfter: undefined }
      const request = requestOf(input, body)

      const target: Guards.Target = { endpoint, baseUrl: input.baseUrl }
      const admitted = (longest: number, attempt: Answer): Answer =>
        admit === undefined ? attempt : Effect.andThen(admit(target, longest), attempt)

      const once = (within: number): Answer => {
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

type Answer = Effect.Effect<unknown, Guards.Failure>

/**
 * Sends a request until it is answered, or is not worth sending again: its failure would be the same, the schedule has
 * ended, or the next attempt would come after the deadline, which is one for all attempts.
 */
const repeated = (
  once: (within: number) => Answer,
  admitted: (longest: number, attempt: Answer) => Answer,
  state: Guards.Attempt,
  schedule: Schedule.Schedule<unknown>,
  deadline: number
): Answer =>
  Effect.clockWith((clock) => {
    const start = clock.monotonicTimeNanosUnsafe()
    const left = (): number => deadline - Number(clock.monotonicTimeNanosUnsafe() - start) / 1e6
    let step: ScheduleStep | undefined

    const again = (error: Guards.Failure): Answer =>
      Effect.gen(function*() {
        step ??= yield* Schedule.toStep(schedule)
        const pause = yield* Pull.catchDone(
          Effect.map(step(clock.currentTimeMillisUnsafe(), error), ([, delay]) => Duration.toMillis(delay)),
          () => Effect.undefined
        )
        if (pause === undefined) return yield* error
        const wait = Math.max(pause, state.retryAfter ?? 0)
        if (wait >= left()) return yield* error
        yield* Effect.sleep(wait)
        return yield* admitted(left(), Effect.suspend(from))
      })

    const from = (): Answer =>
      Effect.catchIf(once(Math.max(0, left())), (error) => isPassing(error, state.status), again)

    return from()
  })

type ScheduleStep = Effect.Success<ReturnType<typeof Schedule.toStep<unknown, unknown, never, never>>>

/** Whether a request that failed like this may go through a little later. */
const isPassing = (error: Guards.Failure, status: number | undefined): boolean =>
  error instanceof TransportError
    ? error.reason._tag === "Unreachable"
    : status !== undefined && (status === 429 || Guards.isTrouble(status))

/** Milliseconds from now that a `Retry-After` header speaks of: seconds, or a date. */
const retryAfter = (header: string, now: number): number | undefined => {
  const value = header.trim()
  if (/^\d+$/.test(value)) return Number(value) * 1000
  const date = Date.parse(value)
  return Number.isNaN(date) ? undefined : Math.max(0, date - now)
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

/** The body of an answer. One that is longer than a string can be makes the decoder of text throw. */
const textOf = (
  endpoint: AnyEndpoint,
  { headers, status, text }: HttpClientResponse.HttpClientResponse
): Effect.Effect<string, HttpClientError.HttpClientError | InvalidResponseError> =>
  Effect.catchDefect(text, () => Effect.fail(invalid(endpoint, "the body cannot be read as text", { headers, status })))

/** An answer that is not of the protocol; where nothing else is said, one that passed for what was promised at first. */
export const invalid = (
  { method, path }: { readonly method: string; readonly path: string },
  detail: string,
  { excerpt = "", headers = { "content-type": "application/json" }, retryAfter, status = 200 }: {
    readonly status?: number
    readonly headers?: { readonly [name: string]: string | undefined }
    readonly excerpt?: string
    readonly retryAfter?: number | undefined
  } = {}
): InvalidResponseError =>
  new InvalidResponseError({
    method,
    route: path,
    status,
    contentType: (headers["content-type"] ?? "").slice(0, longestContentType),
    excerpt,
    detail,
    ...(retryAfter === undefined ? undefined : { retryAfter })
  })

const payloadEncoder = (endpoint: AnyEndpoint): ((payload: unknown) => unknown) | undefined => {
  for (const { schemas } of endpoint.payload.values()) {
    // The schemas of our endpoints need no services, and a payload is made by this package from checked values.
    return Schema.encodeUnknownSync(schemas[0] as Schema.Codec<unknown, unknown>)
  }
  return undefined
}

const unreachable = (
  endpoint: AnyEndpoint,
  error: HttpClientError.HttpClientError,
  input: Untyped
): TransportError =>
  new TransportError({
    method: endpoint.method,
    route: endpoint.path,
    // The reason and its cause, without the URL and the headers that `error.message` may quote.
    reason: { _tag: "Unreachable", detail: excerptOf(input, detailOf(error)) }
  })

const detailOf = (error: HttpClientError.HttpClientError): string => {
  const { reason } = error
  const cause = "cause" in reason ? innermost(reason.cause) : undefined
  return cause === undefined ? reason._tag : `${reason._tag} (${cause})`
}

const innermost = (cause: unknown): string | undefined => {
  if (!(cause instanceof Error)) return undefined
  return innermost(cause.cause) ?? (cause.message === "" ? cause.name : cause.message)
}

const answerDecoder = (
  endpoint: AnyEndpoint,
  secret: boolean
): (received: Received, text: string, input: Untyped) => Answer => {
  const [schema] = endpoint.success
  const isEmpty = schema === undefined || HttpApiSchema.isNoContent(schema.ast)
  // See `payloadEncoder`: no services needed.
  const decode = schema === undefined || isEmpty
    ? undefined
    : Schema.decodeUnknownEffect(schema as Schema.Codec<unknown, unknown>)

  return ({ response, retryAfter }, text, input) => {
    const { headers, status } = response
    const contentType = headers["content-type"] ?? ""
    const ok = status >= 200 && status < 300
    const unusable = (detail: string): Answer =>
      Effect.fail(invalid(endpoint, detail, {
        status,
        headers,
        retryAfter,
        excerpt: secret && ok ? "" : excerptOf(input, text.slice(0, 16_384)).slice(0, excerptLength)
      }))

    if (ok && decode === undefined) {
      return text === "" || contentType === "" || isJson(contentType)
        ? Effect.void
        : unusable("expected no body")
    }
    if (!isJson(contentType)) return unusable("the answer is not JSON")
    let body: unknown
    try {
      // Refusals are shown in the server's own words, which may quote the request.
      body = JSON.parse(ok ? text : without(input, text))
    } catch {
      return unusable(text === "" ? "the body is empty" : "the body is not valid JSON")
    }
    if (ok && decode !== undefined) {
      return Effect.catch(decode(body), () => unusable("the answer has another shape than the protocol says"))
    }
    const error = RealmError.fromWire(status, body, { retryAfter })
    return Option.isNone(error)
      ? unusable("the refusal has another shape than the protocol says")
      : Effect.fail(RealmError.narrow(error.value, endpoint.error))
  }
}
