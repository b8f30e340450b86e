/**
 * A watched collection: one connection after the other, each resumed after the last event that was handed on. Only what the
 * server refuses for good ends it.
 */
import * as Ejson from "@effect-realm/protocol/Ejson"
import * as Endpoint from "@effect-realm/protocol/Endpoint"
import * as MongoDBService from "@effect-realm/protocol/MongoDBService"
import type * as StreamEvent from "@effect-realm/protocol/StreamEvent"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import * as SchemaParser from "effect/SchemaParser"
import * as Stream from "effect/Stream"
import type { ChangeEvent } from "../../ChangeEvent.ts"
import { type InvalidResponseError, NotLoggedInError, TransportError } from "../../ClientError.ts"
import { isLoggedIn, type Session } from "../../Session.ts"
import { TokenStore } from "../../TokenStore.ts"
import type { Snapshot, UserEvent } from "../../UserEvent.ts"
import * as StreamCalls from "../functions/streamCalls.ts"
import * as Guards from "../requests/guards.ts"
import * as Operation from "../requests/operation.ts"
import * as Pauses from "../requests/pauses.ts"
import * as Sessions from "../sessions/session.ts"
import * as DocumentCalls from "./documentCalls.ts"

export type WatchError = StreamCalls.StreamError | Ejson.EjsonError

export interface Options {
  readonly ids?: ReadonlyArray<unknown> | undefined
  readonly filter?: Ejson.Document | undefined
  readonly resumeAfter?: Ejson.Document | undefined
  readonly reconnect?: Schedule.Schedule<unknown, WatchError> | undefined
}

const around = /* @__PURE__ */ Operation.makeStream("Collection.watch")

const decodePosition = /* @__PURE__ */ SchemaParser.decodeUnknownResult(MongoDBService.Position)
const decodeChange = /* @__PURE__ */ SchemaParser.decodeUnknownResult(MongoDBService.ChangeEvent)

/** A connection that lives for so many milliseconds has recovered, like one that told something. */
const healthy = 30_000

const defaultReconnect: Schedule.Schedule<unknown> = /* @__PURE__ */ Schedule.min([
  /* @__PURE__ */ Schedule.exponential("200 millis"),
  /* @__PURE__ */ Schedule.spaced("30 seconds")
]).pipe(/* @__PURE__ */ Schedule.jittered)

interface State {
  /** After which place to resume. */
  token: Ejson.Document | undefined
  /** Whether `Opened` was handed on: from then on what is missed has to be told. */
  opened: boolean
  /** Whether the server no longer knew the place to resume after. */
  lost: boolean
  /** Why the last connection is over. */
  failure: WatchError | undefined
  /** Whether that one had told something, or lived for a while. */
  recovered: boolean
}

interface Connection {
  readonly since: number
  /** Whether it was asked to resume. */
  readonly resumes: boolean
  /** Whether anything arrived. */
  begun: boolean
  /** Whether a change arrived. */
  told: boolean
}

type Event<A> = ChangeEvent<A, unknown>

const isHistoryLost = (error: WatchError): boolean =>
  error._tag === "DataError" && error.reason._tag === "ChangeStreamHistoryLost"

/** Whether another connection may do what this one could not. */
const isPassing = (error: WatchError, state: State, connection: Connection, isHealthy: boolean): boolean => {
  switch (error._tag) {
    case "TransportError":
      return true
    case "NotLoggedInError":
    case "TokenStoreError":
    case "EjsonError":
      return false
    case "InvalidResponseError":
      // A page of a proxy, while the server is away. What is wrong within the stream would come again.
      return Guards.isPassing(error.status) || (connection.begun ? connection.told : state.opened)
    case "SessionError":
      // Within the stream it says that the token has had its time; whether there is a new one the next opening finds out.
      return connection.begun
    case "UnknownServiceError":
      return Guards.isPassing(error.status) || (connection.begun && isHealthy)
    default:
      return Guards.isPassing(error.reason.status) || (connection.begun && isHealthy)
  }
}

const serverEnded = /* @__PURE__ */ new TransportError({
  method: Endpoint.streamFunction.method,
  route: Endpoint.streamFunction.path,
  reason: { _tag: "Unreachable", detail: "the server ended the stream" }
})

/** How a user has left, if he has. That the server has ended the session, it says itself. */
const leftAs = (change: UserEvent | Snapshot<Option.Option<Session>>): NotLoggedInError["state"] | undefined => {
  switch (change._tag) {
    case "Snapshot":
      return Option.isNone(change.state) ? "Removed" : isLoggedIn(change.state.value) ? undefined : "LoggedOut"
    case "Removed":
      return "Removed"
    case "LoggedOut":
      return change.reason === "SessionEnded" ? undefined : "LoggedOut"
    default:
      return undefined
  }
}

/** Fails when the user leaves, here or in another process, also where the server cannot be told (law 5). */
const departure = (user: Sessions.UserRef): Effect.Effect<never, NotLoggedInError, TokenStore> =>
  Effect.flatMap(TokenStore, (store) =>
    store.changes(Sessions.key(user)).pipe(
      Stream.runForEach((change) => {
        const state = leftAs(change)
        return state === undefined ? Effect.void : Effect.fail(new NotLoggedInError({ userId: user.id, state }))
      }),
      // A store that was out of reach begins with what is there now.
      Effect.retry({ while: (error) => error._tag === "TokenStoreError", schedule: defaultReconnect }),
      Effect.catchTag("TokenStoreError", () => Effect.never),
      Effect.andThen(Effect.never)
    ))

export const watch = <A>(
  collection: DocumentCalls.CollectionRef,
  schema: DocumentCalls.DocumentSchema<A> | undefined,
  options: Options
): Stream.Stream<Event<A>, WatchError, HttpClient.HttpClient | TokenStore> => {
  /** What the beginning of a connection means to the reader. */
  const begin = (state: State, connection: Connection, isPositioned: boolean): ReadonlyArray<Event<A>> => {
    if (connection.begun) return []
    connection.begun = true
    const isFirst = !state.opened
    state.opened = true
    const isGap = state.lost || (isPositioned ? !isFirst && !connection.resumes : !isFirst || connection.resumes)
    const gap: ReadonlyArray<Event<A>> = isGap
      ? [{ _tag: "Gap", reason: state.lost ? "HistoryLost" : "NotResumable" }]
      : []
    state.lost = false
    return isFirst ? [{ _tag: "Opened" }, ...gap] : gap
  }

  const read = (
    state: State,
    connection: Connection,
    event: StreamEvent.StreamEvent
  ): Effect.Effect<ReadonlyArray<Event<A>>, InvalidResponseError> => {
    const isPosition = event.type === MongoDBService.position
    if (!isPosition && event.type !== "message") return Effect.succeed([])
    const value = Ejson.parse(event.data)
    if (Result.isFailure(value)) return Effect.fail(StreamCalls.invalid(value.failure.message))
    if (isPosition) {
      const position = decodePosition(value.success)
      if (Result.isFailure(position)) return Effect.fail(StreamCalls.invalid("a position has another shape"))
      state.token = position.success.resumeToken
      return Effect.succeed(begin(state, connection, true))
    }
    const change = decodeChange(value.success)
    if (Result.isFailure(change)) return Effect.fail(StreamCalls.invalid("a change event has another shape"))
    return Effect.map(toEvent(collection, schema, change.success), (told) => {
      const begun = begin(state, connection, false)
      connection.told = true
      state.token = change.success.resumeToken
      return [...begun, told]
    })
  }

  const connect = (state: State): Effect.Effect<Stream.Stream<Event<A>, WatchError, Client>> =>
    Effect.map(Clock.currentTimeMillis, (since) => {
      const connection: Connection = { since, resumes: state.token !== undefined, begun: false, told: false }
      const args = DocumentCalls.encodeArgs(MongoDBService.WatchArgs, collection, {
        ids: options.ids,
        filter: options.filter,
        resumeAfter: state.token
      })
      if (Result.isFailure(args)) return Stream.fail(args.failure)
      const { service, user } = collection
      return StreamCalls.events(user, { name: "watch", service, args: [args.success] }).pipe(
        Stream.mapEffect((event) => read(state, connection, event)),
        Stream.flattenIterable,
        Stream.concat(Stream.fail(serverEnded)),
        Stream.catch((error: WatchError) => Stream.unwrap(closed(state, connection, error)))
      )
    })

  return around(
    Stream.suspend(() => {
      const state: State = {
        token: options.resumeAfter,
        opened: false,
        lost: false,
        failure: undefined,
        recovered: false
      }
      const schedule = options.reconnect ?? defaultReconnect
      let pauseAfter = Pauses.make<WatchError>(schedule)
      return Stream.fromEffectRepeat(Effect.suspend(() => {
        const { failure } = state
        if (failure === undefined) return connect(state)
        if (state.recovered) pauseAfter = Pauses.make(schedule)
        return Effect.flatMap(
          pauseAfter(failure),
          (pause) => pause === undefined ? Effect.fail(failure) : Effect.andThen(Effect.sleep(pause), connect(state))
        )
      })).pipe(
        Stream.flatMap((connection) => connection),
        Stream.interruptWhen(departure(collection.user))
      )
    }),
    { ...DocumentCalls.about(collection), endpoint: Endpoint.streamFunction }
  )
}

type Client = HttpClient.HttpClient | TokenStore

/** What the end of a connection means: nothing, when another may follow. */
const closed = (
  state: State,
  connection: Connection,
  error: WatchError
): Effect.Effect<Stream.Stream<never, WatchError>> =>
  Effect.map(Clock.currentTimeMillis, (now) => {
    state.recovered = connection.told || now - connection.since >= healthy
    state.failure = error
    if (isHistoryLost(error) && state.opened) {
      state.lost = true
      state.token = undefined
      return Stream.empty
    }
    return isPassing(error, state, connection, state.recovered) ? Stream.empty : Stream.fail(error)
  })

const toEvent = <A>(
  collection: DocumentCalls.CollectionRef,
  schema: DocumentCalls.DocumentSchema<A> | undefined,
  change: MongoDBService.ChangeEvent
): Effect.Effect<Event<A>> => {
  const { documentKey, fullDocument, operationType, resumeToken } = change
  const told = { resumeToken, clusterTime: Option.fromUndefinedOr(change.clusterTime) }
  const { coll, db } = change.to ?? {}
  const to = db === undefined || coll === undefined ? Option.none() : Option.some({ database: db, collection: coll })
  const other: Event<A> = { _tag: "Other", operationType, to, ...told }
  if (documentKey === undefined) return Effect.succeed(other)
  const keyed = { ...told, documentKey: { _id: documentKey["_id"] } }
  if (operationType === "delete") return Effect.succeed({ _tag: "Delete", ...keyed })

  const decoded = fullDocument === undefined || fullDocument === null
    ? Effect.succeedNone
    : Effect.asSome(DocumentCalls.decode(collection, schema, fullDocument))
  return Effect.match(decoded, {
    onFailure: (error): Event<A> => ({ _tag: "Mismatch", operationType, error, ...told }),
    onSuccess: (document): Event<A> => {
      if (operationType === "update") {
        const { removedFields = [], truncatedArrays = [], updatedFields = {} } = change.updateDescription ?? {}
        return { _tag: "Update", ...keyed, fullDocument: document, updatedFields, removedFields, truncatedArrays }
      }
      if (Option.isNone(document)) return other
      if (operationType === "insert") return { _tag: "Insert", ...keyed, fullDocument: document.value }
      if (operationType === "replace") return { _tag: "Replace", ...keyed, fullDocument: document.value }
      return other
    }
  })
}
