/**
 * What the server asks of an identity provider: small JSON documents, in bounded time and size. A provider that is down or
 * answers nonsense is a failure of its own kind, neither the caller's fault nor a mistake of the server's own.
 */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import type * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Stream from "effect/Stream"

/** The provider's own credentials did not prove anything; `detail` is for the log. */
export class Rejected extends Data.TaggedError("Rejected")<{ readonly detail: string }> {}

/** The account is none of those that the app lets in (`domain_restrictions`). */
export class DomainRefused extends Data.TaggedError("DomainRefused") {}

/** The provider could not be asked; `detail` is for the log. */
export class Unavailable extends Data.TaggedError("Unavailable")<{ readonly detail: string }> {}

/** How long a provider may take to answer in full. */
export const deadline = Duration.seconds(5)

const largest = 1024 * 1024

/** An answer of a provider: its status, and its body when that is JSON. */
export interface Answer {
  readonly status: number
  readonly body: unknown
}

const textOf = (
  response: HttpClientResponse.HttpClientResponse
): Effect.Effect<string, HttpClientError.HttpClientError | Unavailable> => {
  const decoder = new TextDecoder()
  return response.stream.pipe(
    Stream.runFoldEffect(() => ({ text: "", size: 0 }), ({ size, text }, bytes) => {
      const total = size + bytes.length
      return total > largest
        ? Effect.fail(new Unavailable({ detail: `the answer is larger than ${largest} bytes` }))
        : Effect.succeed({ text: text + decoder.decode(bytes, { stream: true }), size: total })
    }),
    Effect.map(({ text }) => text + decoder.decode())
  )
}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/**
 * Sends a request. Redirections are not followed, as a request may carry the secret of the app; and there is no span, as
 * that would show its address, where a provider may want a token. Failures of the server's side are `Unavailable`.
 */
export const send = (
  client: HttpClient.HttpClient,
  request: HttpClientRequest.HttpClientRequest
): Effect.Effect<Answer, Unavailable> => {
  // Without what comes behind the path.
  const place = URL.canParse(request.url) ? new URL(request.url).origin + new URL(request.url).pathname : "an address"
  const unavailable = (detail: string) => new Unavailable({ detail: `${place}: ${detail}` })
  return client.execute(request).pipe(
    Effect.flatMap((response) =>
      Effect.map(textOf(response), (text): Answer => ({ status: response.status, body: parsed(text) }))
    ),
    Effect.catchTags({
      HttpClientError: (error) => Effect.fail(unavailable(error.reason._tag)),
      Unavailable: (error) => Effect.fail(unavailable(error.detail))
    }),
    Effect.timeoutOrElse({
      duration: deadline,
      orElse: () => Effect.fail(unavailable(`no answer within ${Duration.format(deadline)}`))
    }),
    Effect.filterOrFail(
      ({ status }) => status < 500 && status !== 429 && (status < 300 || status >= 400),
      ({ status }) => unavailable(`status ${status}`)
    ),
    Effect.provideService(FetchHttpClient.RequestInit, { redirect: "error" }),
    Effect.provideService(HttpClient.TracerDisabledWhen, () => true)
  )
}
