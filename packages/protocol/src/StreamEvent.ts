/**
 * The events of a streaming call (protocol sections 8.4, 9.4): server-sent events, in whose data `%`, LF and CR are escaped
 * as `%25`, `%0A` and `%0D`, and nothing else is. Data of type `message` is Extended JSON, of type `error` a refusal.
 *
 * Our server adds the type {@link end}, which older clients ignore as they do all types they do not know: without it a
 * connection that breaks could not be told from a stream that is complete.
 *
 * Lines are split by Effect's parser. Unlike the parsers of the old clients it ends a line at a bare CR too, which no
 * server sends, as it would have to be escaped.
 */
import * as Duration from "effect/Duration"
import * as Sse from "effect/encoding/Sse"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as RealmError from "./RealmError.ts"

// -----------------------------------------------------------------------------
// Model
// -----------------------------------------------------------------------------

/** One event. */
export interface StreamEvent {
  /** `message` for a value, `error` for the refusal that ends the stream, or a type that only some clients know. */
  readonly type: string
  /** What it carries, without escapes; an event without data is no event. */
  readonly data: string
}

// -----------------------------------------------------------------------------
// Errors
// -----------------------------------------------------------------------------

/**
 * Bytes that are no events: an event that is larger than it may be, or no UTF-8.
 *
 * ```ts
 * import { StreamEvent } from "@effect-realm/protocol"
 *
 * new StreamEvent.StreamEventError({ reason: { _tag: "TooLarge", limit: 10 } }).message // => "an event is longer than 10 characters"
 * ```
 */
export class StreamEventError
  extends Schema.TaggedError<StreamEventError>("@effect-realm/protocol/StreamEventError")("StreamEventError", {
    reason: Schema.TaggedUnion({
      /** An event that has not ended yet has more than so many characters. */
      TooLarge: { limit: Schema.Int },
      NotUtf8: {}
    })
  })
{
  override get message(): string {
    return this.reason._tag === "TooLarge"
      ? `an event is longer than ${this.reason.limit} characters`
      : "the events are not UTF-8"
  }
}

// -----------------------------------------------------------------------------
// Constructors
// -----------------------------------------------------------------------------

/**
 * The event of a value.
 *
 * @param json Extended JSON
 *
 * ```ts
 * import { StreamEvent } from "@effect-realm/protocol"
 *
 * StreamEvent.value({ $numberInt: "3" }) // => { type: "message", data: "{\"$numberInt\":\"3\"}" }
 * ```
 */
export const value = (json: unknown): StreamEvent => ({ type: "message", data: JSON.stringify(json) })

/**
 * The event of a refusal, after which nothing follows.
 *
 * ```ts
 * import { RealmError, StreamEvent } from "@effect-realm/protocol"
 *
 * const event = StreamEvent.failure(RealmError.make("MongoDBError", "stream closed"))
 * event.data // => "{\"error\":\"stream closed\",\"error_code\":\"MongoDBError\"}"
 * ```
 */
export const failure = (error: RealmError.RealmError): StreamEvent => ({
  type: "error",
  data: JSON.stringify(RealmError.toWire(error))
})

/** The event of a stream that is complete. */
export const end: StreamEvent = { type: "end", data: "{}" }

// -----------------------------------------------------------------------------
// Refusals
// -----------------------------------------------------------------------------

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const codeOf = (body: unknown): string | undefined =>
  typeof body === "object" && body !== null && "error_code" in body && typeof body.error_code === "string"
    ? body.error_code
    : undefined

/**
 * What the data of an event of type `error` says, with the status that its code usually has, and 500 where it is not
 * known. Data of another form is an `UnknownServiceError` with the data as its words.
 *
 * ```ts
 * import { RealmError, StreamEvent } from "@effect-realm/protocol"
 *
 * const { data } = StreamEvent.failure(RealmError.make("MongoDBError", "stream closed"))
 * StreamEvent.refusal(data)._tag // => "DataError"
 * StreamEvent.refusal("out of order")._tag // => "UnknownServiceError"
 * ```
 */
export const refusal = (data: string): RealmError.RealmError => {
  const body = parse(data)
  const status = RealmError.table.get(codeOf(body) ?? "")?.status ?? 500
  return Option.getOrElse(
    Option.orElse(RealmError.fromWire(status, body), () => RealmError.fromWire(status, { error: data })),
    () => new RealmError.UnknownServiceError({ detail: "no error message", status })
  )
}

// -----------------------------------------------------------------------------
// The wire
// -----------------------------------------------------------------------------

const escapes: { readonly [character: string]: string } = { "%": "%25", "\n": "%0A", "\r": "%0D" }

const characters: { readonly [escape: string]: string } = { "%25": "%", "%0A": "\n", "%0D": "\r" }

const escape = (data: string): string => data.replace(/[%\n\r]/g, (character) => escapes[character]!)

const unescape = (data: string): string =>
  data.includes("%") ? data.replace(/%(?:25|0A|0D)/g, (escape) => characters[escape]!) : data

/**
 * An event as it travels.
 *
 * ```ts
 * import { StreamEvent } from "@effect-realm/protocol"
 *
 * StreamEvent.encode({ type: "error", data: "5 % less\n" }) // => "event: error\ndata: 5 %25 less%0A\n\n"
 * ```
 */
export const encode = ({ data, type }: StreamEvent): string =>
  Sse.encoder.write({ _tag: "Event", event: type, id: undefined, data: escape(data) })

/** A comment, which every parser ignores: it keeps a connection open on which nothing happens. */
export const comment: string = ":\n\n"

/**
 * How often a server sends a {@link comment}, whatever else it sends: proxies and clients give up on a connection without
 * traffic, the first of them after half a minute. Who has heard nothing for a few times as long reads a connection that is
 * lost.
 */
export const beat: Duration.Duration = /* @__PURE__ */ Duration.seconds(15)

/** Reads events from bytes, wherever they are cut. */
export interface Decoder {
  /** The events that end in these bytes. After an error the decoder is of no use. */
  readonly feed: (bytes: Uint8Array) => Result.Result<ReadonlyArray<StreamEvent>, StreamEventError>
}

/** Documents have at most 16 MB, to which Extended JSON adds. */
const longest = 64 * 1024 * 1024

/**
 * A decoder at the beginning of a stream. Comments, `id`, `retry` and unknown fields are passed over.
 *
 * @param options.maxEventLength how many characters an event may have that has not ended yet; 64 Mi by default
 *
 * ```ts
 * import { StreamEvent } from "@effect-realm/protocol"
 * import { Result } from "effect"
 *
 * const bytes = new TextEncoder().encode(": hello\n\ndata: {\"price\":\"5 €\"}\n\n")
 * const decoder = StreamEvent.makeDecoder()
 * decoder.feed(bytes.subarray(0, 28)) // => Result.succeed([])
 * decoder.feed(bytes.subarray(28)) // => Result.succeed([{ type: "message", data: "{\"price\":\"5 €\"}" }])
 * ```
 */
export const makeDecoder = (options?: { readonly maxEventLength?: number }): Decoder => {
  const limit = options?.maxEventLength ?? longest
  const text = new TextDecoder("utf-8", { fatal: true })
  let events: Array<StreamEvent> = []
  const parser = Sse.makeParser((event) => {
    if (event._tag === "Event" && event.data !== "") events.push({ type: event.event, data: unescape(event.data) })
  }, { maxEventSize: limit })

  return {
    feed: (bytes) => {
      events = []
      let chunk: string
      try {
        chunk = text.decode(bytes, { stream: true })
      } catch {
        return Result.fail(new StreamEventError({ reason: { _tag: "NotUtf8" } }))
      }
      return parser.feed(chunk) === undefined
        ? Result.succeed(events)
        : Result.fail(new StreamEventError({ reason: { _tag: "TooLarge", limit } }))
    }
  }
}
