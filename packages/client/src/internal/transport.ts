/**
 * One request to one endpoint of the protocol: the endpoint says method, path, payload, answer and refusals, and this
 * module sends it and reads what comes back, whatever that is (law 12).
 */
import * as RealmError from "@effect-realm/protocol/RealmError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import type { HttpMethod } from "effect/http/HttpMethod"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Tracer from "effect/Tracer"
import { InvalidResponseError, type RequestFailure, TransportError } from "../ClientError.ts"

type Success<E> = HttpApiEndpoint.Success<E>["Type"]
type Refusal<E> = HttpApiEndpoint.Error<E>["Type"]
type Params<E> = HttpApiEndpoint.Params<E>["Type"]
type Payload<E> = HttpApiEndpoint.Payload<E>["Type"]
type Query<E> = HttpApiEndpoint.Query<E>["Type"]

/** The parts of an endpoint that sending a request needs. */
interface AnyEndpoint extends HttpApiEndpoint.ConstraintRequest {
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

/** Trace headers tell a stranger's server about the caller: they go out only when asked for (`App.TracePropagation`). */
export const TracePropagation: Context.Reference<boolean> = Context.Reference<boolean>(
  "@effect-realm/client/TracePropagation",
  { defaultValue: () => false }
)

/** Milliseconds until headers and body must have arrived. */
const deadline = 60_000

const excerptLength = 200

const longestContentType = 100

const isJson = (contentType: string): boolean => /^application\/(?:[\w.+-]+\+)?json\b/i.test(contentType.trim())

// Whatever looks like a token is taken out of what an error may show.
const jsonWebToken = /eyJ[\w-]*(?:\.[\w-]*){0,2}/g

// Tokens of other kinds, in texts that are not the words of a server of ours.
const otherToken = /[\w-]{8,}\.[\w-]{8,}\.[\w-]*|("(?:access|refresh)_token"\s*:\s*")[^"]+/g

/** A text without the secrets of a request: a proxy or a server may send back what it was sent. */
const without = ({ bearer, payload, secrets = [] }: Untyped, text: string): string =>
  [bearer, ...(Predicate.isReadonlyObject(payload) ? Object.values(payload) : [])]
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
  readonly query?: { readonly [name: string]: string | undefined }
  readonly payload?: unknown
  readonly secrets?: ReadonlyArray<string>
}

/**
 * A sender for an endpoint.
 *
 * @param options.secret the answer holds tokens, so no excerpt of it may be shown
 */
export const make = <E extends AnyEndpoint>(
  endpoint: E,
  options?: { readonly secret?: true }
): Send<E> => {
  const { method, path } = endpoint
  const encode = payloadEncoder(endpoint)
  const decode = answerDecoder(endpoint, options?.secret === true)

  const send = (input: Untyped) => {
    // A payload of wrong types is refused here and now, with the field named, before there is an effect to run.
    const body = encode === undefined ? undefined : JSON.stringify(encode(input.payload))
    return Effect.flatMap(HttpClient.HttpClient, (client) => {
      const pathname = input.params === undefined
        ? path
        : path.replace(/:(\w+)/g, (_, name: string) => encodeURIComponent(input.params?.[name] ?? ""))
      let request = HttpClientRequest.make(method)(input.baseUrl + pathname, { acceptJson: true })
      if (input.query !== undefined) request = HttpClientRequest.setUrlParams(request, input.query)
      if (input.bearer !== undefined) request = HttpClientRequest.bearerToken(request, input.bearer)
      if (body !== undefined) request = HttpClientRequest.bodyText(request, body, "application/json")
      return Effect.flatMap(
        client.execute(request),
        (response) => Effect.flatMap(textOf(endpoint, response), (text) => decode(response, text, input))
      )
    }).pipe(
      Effect.catchTag("HttpClientError", (error) => Effect.fail(unreachable(endpoint, error, input))),
      Effect.timeoutOrElse({
        duration: deadline,
        orElse: () => Effect.fail(new TransportError({ method, route: path, reason: { _tag: "TimedOut", deadline } }))
      }),
      withTracing
    )
  }

  // `Input<E>` is `Untyped` with the parts the endpoint has, and `decode` answers what its schemas say: relations between
  // a value and its type parameters that the compiler cannot follow.
  return send as unknown as Send<E>
}

const isUntraced = (): boolean => true

const withTracing = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    if (fiber.getRef(TracePropagation)) return effect
    // A span that no tracer was installed for is seen by nobody, and costs a tenth to a fifth of a call.
    return fiber.getRef(Tracer.Tracer) === Tracer.nativeTracer
      ? Effect.provideService(effect, HttpClient.TracerDisabledWhen, isUntraced)
      : Effect.provideService(effect, HttpClient.TracerPropagationEnabled, false)
  })

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
  { excerpt = "", headers = { "content-type": "application/json" }, status = 200 }: {
    readonly status?: number
    readonly headers?: { readonly [name: string]: string | undefined }
    readonly excerpt?: string
  } = {}
): InvalidResponseError =>
  new InvalidResponseError({
    method,
    route: path,
    status,
    contentType: (headers["content-type"] ?? "").slice(0, longestContentType),
    excerpt,
    detail
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

type Answer = Effect.Effect<unknown, RealmError.RealmError | InvalidResponseError>

const answerDecoder = (
  endpoint: AnyEndpoint,
  secret: boolean
): (response: HttpClientResponse.HttpClientResponse, text: string, input: Untyped) => Answer => {
  const [schema] = endpoint.success
  const isEmpty = schema === undefined || HttpApiSchema.isNoContent(schema.ast)
  // See `payloadEncoder`: no services needed.
  const decode = schema === undefined || isEmpty
    ? undefined
    : Schema.decodeUnknownEffect(schema as Schema.Codec<unknown, unknown>)

  return (response, text, input) => {
    const { headers, status } = response
    const contentType = headers["content-type"] ?? ""
    const ok = status >= 200 && status < 300
    const unusable = (detail: string): Answer =>
      Effect.fail(invalid(endpoint, detail, {
        status,
        headers,
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
    const error = RealmError.fromWire(status, body)
    return Option.isNone(error)
      ? unusable("the refusal has another shape than the protocol says")
      : Effect.fail(RealmError.narrow(error.value, endpoint.error))
  }
}
