/**
 * Streaming calls (protocol section 8.4): what answers them, and how its events travel.
 */
import * as RealmError from "@effect-realm/protocol/RealmError"
import * as StreamEvent from "@effect-realm/protocol/StreamEvent"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { DatabaseError } from "../../DatabaseError.ts"
import type { Caller } from "../../Functions.ts"
import { memoized } from "../memoized.ts"

/** A call of a service whose result is a stream. */
export interface StreamCall {
  readonly name: string
  readonly service: string
  /** BSON values. */
  readonly args: ReadonlyArray<unknown>
  /** Whoever calls, as he is now; fails when his session has ended. */
  readonly caller: Effect.Effect<Caller, RealmError.SessionError>
}

/** What a streaming call may be refused with. */
export type Refusal =
  | RealmError.FunctionError
  | RealmError.SessionError
  | RealmError.ServiceError
  | RealmError.DataError
  | RealmError.RequestError
  | RealmError.AppError
  | RealmError.UnknownServiceError

/** What follows after the stream has begun: a failure is told by an event, and ends it. */
export type Events = Stream.Stream<StreamEvent.StreamEvent, Refusal | DatabaseError>

/**
 * Begins a stream, or refuses it by an ordinary answer. What it acquires is released when the stream ends, fails, or the
 * client goes away. A client that reads slowly is not run ahead of: the events are pulled one after the other.
 */
export type Open = (call: StreamCall) => Effect.Effect<Events, Refusal | DatabaseError, Scope.Scope>

/** What answers the streaming calls of services. */
export const ServiceStreams: Context.Reference<Open> = Context.Reference<Open>(
  "@effect-realm/server/internal/streams/ServiceStreams",
  {
    defaultValue: () => ({ service }) =>
      Effect.fail(RealmError.make("ServiceNotFound", `service not found: '${service}'`))
  }
)

/** Succeeds when the server stops, for streams would keep it waiting; never, where nobody says so. */
export const Stopping: Context.Reference<Effect.Effect<void>> = Context.Reference<Effect.Effect<void>>(
  "@effect-realm/server/internal/streams/Stopping",
  { defaultValue: () => Effect.never }
)

const headers = {
  "cache-control": "no-cache, no-store, must-revalidate",
  // nginx would collect the events of a while.
  "x-accel-buffering": "no"
}

// Written once for all who are told the same.
const bytesOf = memoized((event: StreamEvent.StreamEvent) => Buffer.from(StreamEvent.encode(event)))

const comment = Buffer.from(StreamEvent.comment)

/**
 * The events as an answer. A comment goes out at once, so that the client learns that the stream has begun, and another
 * one with each beat.
 *
 * @param options.stands fails when the client may read no longer; asked with each beat, and after each of the `endings`
 * @param options.endings says when the client's session may have ended
 * @param options.report what the client is told of a failure
 * @param options.stopping breaks the stream off, so that its reader does not take it for complete
 */
export const response = (
  events: Events,
  options: {
    readonly stands: Effect.Effect<void, Refusal | DatabaseError>
    readonly endings: Stream.Stream<void>
    readonly stopping: Effect.Effect<void>
    readonly report: (cause: Cause.Cause<Refusal | DatabaseError>) => Effect.Effect<RealmError.RealmError>
  }
): HttpServerResponse.HttpServerResponse => {
  const stands = Effect.as(options.stands, comment)
  const beats = Stream.concat(
    Stream.succeed(comment),
    Stream.mapEffect(Stream.drop(Stream.tick(StreamEvent.beat), 1), () => stands)
  )
  const endings = Stream.mapEffect(options.endings, () => stands)
  const told = events.pipe(
    Stream.concat(Stream.succeed(StreamEvent.end)),
    Stream.map(bytesOf),
    Stream.merge(Stream.merge(beats, endings), { haltStrategy: "left" }),
    Stream.catchCause((cause) =>
      Cause.hasInterruptsOnly(cause)
        ? Stream.failCause(cause as Cause.Cause<never>)
        : Stream.fromEffect(
          Effect.map(options.report(cause), (error) => bytesOf(StreamEvent.failure(error)))
        )
    ),
    Stream.interruptWhen(options.stopping)
  )
  return HttpServerResponse.stream(told, { contentType: "text/event-stream", headers })
}
