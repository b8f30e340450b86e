/**
 * What comes back from an endpoint of the protocol, whatever that is (law 12): what was promised, a refusal in the protocol's
 * own words, or an answer of somebody else.
 */
import * as RealmError from "@effect-realm/protocol/RealmError"
import * as Effect from "effect/Effect"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import type * as HttpClientError from "effect/http/HttpClientError"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { InvalidResponseError } from "../../ClientError.ts"
import type * as Guards from "./guards.ts"
import * as Request from "./request.ts"

/** An answer that is awaited. */
export type Answer = Effect.Effect<unknown, Guards.Failure>

/** The head of an answer. */
export interface Received {
  readonly response: HttpClientResponse.HttpClientResponse
  /** Milliseconds after which the server wants to be asked again, if it said so. */
  readonly retryAfter: number | undefined
}

const excerptLength = 200

const longestContentType = 100

const isJson = (contentType: string): boolean => /^application\/(?:[\w.+-]+\+)?json\b/i.test(contentType.trim())

/** Whether a content type is that of a stream of events. */
export const isEventStream = (contentType: string): boolean => /^text\/event-stream\s*(?:;|$)/i.test(contentType.trim())

/** Milliseconds from now that a `Retry-After` header speaks of: seconds, or a date. However many, they are a number. */
export const retryAfter = (header: string, now: number): number | undefined => {
  const value = header.trim()
  if (/^\d+$/.test(value)) return Math.min(Number(value) * 1000, Number.MAX_SAFE_INTEGER)
  const date = Date.parse(value)
  return Number.isNaN(date) ? undefined : Math.max(0, date - now)
}

/** The body of an answer. One that is longer than a string can be makes the decoder of text throw. */
export const textOf = (
  endpoint: Request.AnyEndpoint,
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

/**
 * A decoder for the answers of an endpoint.
 *
 * @param secret whether they hold tokens, so that no excerpt of them may be shown
 */
export const decoder = (
  endpoint: Request.AnyEndpoint,
  secret: boolean
): (received: Received, text: string, input: Request.Untyped) => Answer => {
  const [schema] = endpoint.success
  const isEmpty = schema === undefined || HttpApiSchema.isNoContent(schema.ast)
  // The schemas of our endpoints need no services.
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
        excerpt: secret && ok ? "" : Request.excerptOf(input, text.slice(0, 16_384)).slice(0, excerptLength)
      }))

    if (ok && decode === undefined) {
      return text === "" || contentType === "" || isJson(contentType)
        ? Effect.void
        : unusable("expected no body")
    }
    if (!isJson(contentType)) return unusable("the answer is not JSON")
    let body: unknown
    try {
      body = JSON.parse(text)
    } catch {
      return unusable(text === "" ? "the body is empty" : "the body is not valid JSON")
    }
    if (ok && decode !== undefined) {
      return Effect.catch(decode(body), () => unusable("the answer has another shape than the protocol says"))
    }
    const error = RealmError.fromWire(status, body, {
      retryAfter,
      // The server's own words may quote the request.
      redact: (words) => Request.withoutSecrets(input, words)
    })
    return Option.isNone(error)
      ? unusable("the refusal has another shape than the protocol says")
      : Effect.fail(RealmError.narrow(error.value, endpoint.error))
  }
}
