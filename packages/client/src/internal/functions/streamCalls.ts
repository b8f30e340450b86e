/**
 * Streaming calls of functions (protocol section 8.4): one request, whose answer is a stream of events for as long as
 * somebody reads it. Nothing is opened anew on its own: what a stream missed meanwhile only its reader can tell.
 */
import * as Endpoint from "@effect-realm/protocol/Endpoint"
import * as RealmError from "@effect-realm/protocol/RealmError"
import * as StreamEvent from "@effect-realm/protocol/StreamEvent"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { type ExchangeError, type InvalidResponseError, TransportError } from "../../ClientError.ts"
import type { TokenStore } from "../../TokenStore.ts"
import { checked } from "../checked.ts"
import * as Answer from "../requests/answer.ts"
import * as Transport from "../requests/transport.ts"
import * as AccessToken from "../sessions/accessToken.ts"
import type * as Sessions from "../sessions/session.ts"

const openStream = /* @__PURE__ */ Transport.makeStream(Endpoint.streamFunction)

/** What a streaming call can fail with, before its first event and after. */
export type StreamError =
  | ExchangeError
  | RealmError.FunctionError
  | RealmError.ServiceError
  | RealmError.DataError

/** What to call. */
export interface Call {
  readonly name: string
  /** Extended JSON. */
  readonly args: ReadonlyArray<unknown>
  readonly service?: string
}

/**
 * The events of a call, those of unknown types too. The stream ends when the server says that it is complete, and fails
 * with the refusal when it says so (`error`), with `TransportError` when the connection breaks in between or falls silent,
 * and with `InvalidResponseError` when what arrives is no stream of events.
 *
 * The request is sent when the stream is run, once more after a 401 that a new token can cure, and is aborted when the
 * stream is given up.
 */
export const events = (
  user: Sessions.UserRef,
  { args, name, service }: Call
): Stream.Stream<StreamEvent.StreamEvent, StreamError, HttpClient.HttpClient | TokenStore> => {
  const query = checked(() =>
    Endpoint.streamQuery(
      Endpoint.FunctionCall.make({ name, arguments: args, ...(service === undefined ? undefined : { service }) })
    )
  )
  const opened = AccessToken.authorized(user, (session) =>
    openStream({
      baseUrl: user.baseUrl,
      params: { appId: user.appId },
      bearer: session.tokens.accessToken,
      query
    }))
  return Stream.unwrap(Effect.map(opened, decoded))
}

/** An event that is no value of the protocol. */
export const invalid = (detail: string): InvalidResponseError =>
  Answer.invalid(Endpoint.streamFunction, detail, { headers: { "content-type": "text/event-stream" } })

/** The values of events, as Extended JSON; events of types that only others know are left aside. */
export const values = <E, R>(
  events: Stream.Stream<StreamEvent.StreamEvent, E, R>
): Stream.Stream<unknown, E | InvalidResponseError, R> =>
  events.pipe(
    Stream.filter(({ type }) => type === "message"),
    Stream.mapEffect(({ data }) =>
      Effect.try({ try: (): unknown => JSON.parse(data), catch: () => invalid("an event is not valid JSON") })
    )
  )

const lost = (detail: string): TransportError =>
  new TransportError({
    method: Endpoint.streamFunction.method,
    route: Endpoint.streamFunction.path,
    reason: { _tag: "Unreachable", detail }
  })

/** A peer that went away without a word is missed after three beats. */
const longestSilence = /* @__PURE__ */ Duration.times(StreamEvent.beat, 3)

type Decoded = Stream.Stream<StreamEvent.StreamEvent, StreamError>

const decoded = (bytes: Transport.Bytes): Decoded =>
  Stream.suspend(() => {
    const decoder = StreamEvent.makeDecoder()
    return bytes.pipe(
      // Only while the next bytes are waited for: a reader may take its time.
      Stream.timeoutOrElse({
        duration: longestSilence,
        orElse: () =>
          Stream.fail(lost(`nothing has arrived on the stream for ${Duration.toSeconds(longestSilence)} seconds`))
      }),
      Stream.mapEffect((chunk) => {
        const events = decoder.feed(chunk)
        return Result.isSuccess(events) ? Effect.succeed(events.success) : Effect.fail(invalid(events.failure.message))
      }),
      Stream.flattenIterable,
      // The end of the body alone says nothing: a connection may have been cut.
      Stream.concat(Stream.suspend(() => Stream.fail(lost("the stream broke off")))),
      Stream.takeWhile((event) => event.type !== StreamEvent.end.type),
      Stream.mapEffect((event) => event.type === "error" ? Effect.fail(refusal(event.data)) : Effect.succeed(event))
    )
  })

const refusal = (data: string): StreamError =>
  // `narrow` leaves only what the declaration has.
  RealmError.narrow(StreamEvent.refusal(data), Endpoint.streamFunction.error) as StreamError
