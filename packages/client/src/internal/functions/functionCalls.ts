/**
 * Calls of functions: of the app and of its services, by name and by contract. One request each, whose arguments and
 * result are Extended JSON.
 */
import * as Ejson from "@effect-realm/protocol/Ejson"
import * as Endpoint from "@effect-realm/protocol/Endpoint"
import * as RealmError from "@effect-realm/protocol/RealmError"
import type * as RealmFunction from "@effect-realm/protocol/RealmFunction"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { ExchangeError, InvalidResponseError, SchemaMismatchError } from "../../ClientError.ts"
import type { TokenStore } from "../../TokenStore.ts"
import { checked } from "../checked.ts"
import { decoded } from "../decoded.ts"
import * as Answer from "../requests/answer.ts"
import * as Operation from "../requests/operation.ts"
import * as Transport from "../requests/transport.ts"
import * as AccessToken from "../sessions/accessToken.ts"
import type * as Sessions from "../sessions/session.ts"
import * as Subject from "../subject.ts"
import * as StreamCalls from "./streamCalls.ts"

const sendCall = Transport.make(Endpoint.callFunction, { repeat: "declared" })
const aroundFunction = Operation.make("User.callFunction")
const aroundService = /* @__PURE__ */ Operation.make("User.callServiceFunction")

type Client = HttpClient.HttpClient | TokenStore
export type CallError = ExchangeError | RealmError.FunctionError
type ServiceCallError = CallError | RealmError.ServiceError | RealmError.DataError

/** Whether a value says what is called: a name or a contract. Everything else that comes first is taken for the user. */
export const isCalled = (value: unknown): boolean => typeof value === "string" || Predicate.hasProperty(value, "codec")

// -----------------------------------------------------------------------------
// By name
// -----------------------------------------------------------------------------

/** What a function answered, from Extended JSON. */
export const answer = (value: unknown): Effect.Effect<unknown, InvalidResponseError> => {
  const decoded = Ejson.decode(value)
  return Result.isSuccess(decoded)
    ? Effect.succeed(decoded.success)
    : Effect.fail(Answer.invalid(Endpoint.callFunction, decoded.failure.message))
}

/**
 * Sends a call for a user.
 *
 * @param args Extended JSON
 */
export const send = (
  sendCall: Transport.Send<typeof Endpoint.callFunction>,
  user: Sessions.UserRef,
  name: string,
  args: ReadonlyArray<unknown>,
  service?: string
): Effect.Effect<unknown, ServiceCallError, Client> => {
  const payload = checked(() =>
    Endpoint.FunctionCall.make({ name, arguments: args, ...(service === undefined ? undefined : { service }) })
  )
  return AccessToken.authorized(user, (session) =>
    sendCall({
      baseUrl: user.baseUrl,
      params: { appId: user.appId },
      bearer: session.tokens.accessToken,
      payload
    }))
}

// A call that names no service is refused by none: whatever says otherwise is kept as what it is.
const withoutService = /* @__PURE__ */ RealmError.responses(["FunctionError", "SessionError"])

const sendPlain = (
  user: Sessions.UserRef,
  name: string,
  args: ReadonlyArray<unknown>
): Effect.Effect<unknown, CallError, Client> =>
  Effect.catchTag(
    send(sendCall, user, name, args),
    ["ServiceError", "DataError"],
    // `narrow` leaves only what the declaration has, and neither of these families is in it.
    (error) => Effect.fail(RealmError.narrow(error, withoutService) as RealmError.UnknownServiceError)
  )

/** Encodes the arguments, sends them, and reads what comes back. */
const roundTrip = <A, E>(
  args: ReadonlyArray<unknown>,
  subject: string,
  result: Schema.Decoder<A> | undefined,
  send: (args: ReadonlyArray<unknown>) => Effect.Effect<unknown, E, Client>
): Effect.Effect<A, E | InvalidResponseError | Ejson.EjsonError | SchemaMismatchError, Client> => {
  const encoded = Ejson.encode(args, { root: "args" })
  return Result.isFailure(encoded)
    ? Effect.fail(encoded.failure)
    // An array encodes to an array.
    : send(encoded.success as ReadonlyArray<unknown>).pipe(
      Effect.flatMap(answer),
      Effect.flatMap((value) => decoded(subject, result, value))
    )
}

const about = (user: Sessions.UserRef, attributes: { readonly [name: string]: string }): Operation.About => ({
  endpoint: Endpoint.callFunction,
  appId: Subject.user(user),
  attributes
})

/** Calls a function of the app. */
export const call = <A>(
  user: Sessions.UserRef,
  name: string,
  args: ReadonlyArray<unknown> = [],
  result?: Schema.Decoder<A>
): Effect.Effect<A, CallError | Ejson.EjsonError | SchemaMismatchError, Client> =>
  aroundFunction(
    roundTrip(args, `result of ${name}`, result, (args) => sendPlain(user, name, args)),
    about(user, { "realm.function": name })
  )

/** Calls a function of a service. */
export const callService = <A>(
  user: Sessions.UserRef,
  service: string,
  name: string,
  args: ReadonlyArray<unknown> = [],
  result?: Schema.Decoder<A>
): Effect.Effect<A, ServiceCallError | Ejson.EjsonError | SchemaMismatchError, Client> =>
  aroundService(
    roundTrip(args, `result of ${service}.${name}`, result, (args) => send(sendCall, user, name, args, service)),
    about(user, { "realm.function": name, "realm.service": service })
  )

// -----------------------------------------------------------------------------
// By contract
// -----------------------------------------------------------------------------

const codecOf = <F extends RealmFunction.Any | RealmFunction.AnyStream>(contract: F) =>
  // It answers what the types of the contract say.
  contract.codec as RealmFunction.Codec<unknown, RealmFunction.Success<F>, RealmFunction.OwnError<F>>

/** Calls a function by its contract. */
export const callContract = <F extends RealmFunction.Any>(
  user: Sessions.UserRef,
  contract: F,
  args: RealmFunction.Args<F>
): Effect.Effect<
  RealmFunction.Success<F>,
  CallError | RealmFunction.ContractError | RealmFunction.OwnError<F>,
  Client
> => {
  const codec = codecOf(contract)
  return aroundFunction(
    codec.encodeArgs(args).pipe(
      Effect.flatMap((args) => sendPlain(user, contract.name, args)),
      Effect.catchIf((error) => error._tag === "FunctionError", codec.decodeError),
      Effect.flatMap(codec.decodeResult)
    ),
    about(user, { "realm.function": contract.name })
  )
}

// -----------------------------------------------------------------------------
// As a stream
// -----------------------------------------------------------------------------

const aroundStream = /* @__PURE__ */ Operation.makeStream("User.callFunctionStreaming")

const aboutStream = (user: Sessions.UserRef, name: string): Operation.About => ({
  endpoint: Endpoint.streamFunction,
  appId: Subject.user(user),
  attributes: { "realm.function": name }
})

/** The values of a function that streams, as Extended JSON. */
const streamPlain = (
  user: Sessions.UserRef,
  name: string,
  args: ReadonlyArray<unknown>
): Stream.Stream<unknown, CallError, Client> =>
  Stream.catchTag(
    StreamCalls.values(StreamCalls.events(user, { name, args })),
    ["ServiceError", "DataError"],
    // See `sendPlain`.
    (error) => Stream.fail(RealmError.narrow(error, withoutService) as RealmError.UnknownServiceError)
  )

/** Calls a function of the app that streams. */
export const stream = <A>(
  user: Sessions.UserRef,
  name: string,
  args: ReadonlyArray<unknown> = [],
  result?: Schema.Decoder<A>
): Stream.Stream<A, CallError | Ejson.EjsonError | SchemaMismatchError, Client> => {
  const values = Effect.map(
    Effect.fromResult(Ejson.encode(args, { root: "args" })),
    // An array encodes to an array.
    (args) => streamPlain(user, name, args as ReadonlyArray<unknown>)
  )
  return aroundStream(
    Stream.mapEffect(Stream.unwrap(values), (json): Effect.Effect<A, InvalidResponseError | SchemaMismatchError> => {
      const value = Ejson.decode(json)
      return Result.isSuccess(value)
        ? decoded(`value of ${name}`, result, value.success)
        : Effect.fail(StreamCalls.invalid(value.failure.message))
    }),
    aboutStream(user, name)
  )
}

/** Calls a function that streams by its contract. */
export const streamContract = <F extends RealmFunction.AnyStream>(
  user: Sessions.UserRef,
  contract: F,
  args: RealmFunction.Args<F>
): Stream.Stream<
  RealmFunction.Success<F>,
  CallError | RealmFunction.ContractError | RealmFunction.OwnError<F>,
  Client
> => {
  const codec = codecOf(contract)
  return aroundStream(
    Stream.unwrap(Effect.map(codec.encodeArgs(args), (args) => streamPlain(user, contract.name, args))).pipe(
      Stream.catchIf(
        (error) => error._tag === "FunctionError",
        (error) => Stream.fromEffect(codec.decodeError(error))
      ),
      Stream.mapEffect(codec.decodeResult)
    ),
    aboutStream(user, contract.name)
  )
}
