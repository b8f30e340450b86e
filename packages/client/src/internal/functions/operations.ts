/**
 * Functions of the app, as a user calls them: by name, by contract, as methods and as streams.
 */
import type * as RealmFunction from "@effect-realm/protocol/RealmFunction"
import type * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import type * as HttpClient from "effect/http/HttpClient"
import * as Predicate from "effect/Predicate"
import type * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type { SchemaMismatchError } from "../../ClientError.ts"
import type { TokenStore } from "../../TokenStore.ts"
import type {
  ArgsParameter,
  CallContractError,
  CallFunctionError,
  CallServiceFunctionError,
  ContractFunctions,
  Functions,
  User
} from "../../User.ts"
import * as FunctionCalls from "./functionCalls.ts"
import * as FunctionMethods from "./functionMethods.ts"

/**
 * Calls a function of the app as this user (`Realm.User.callFunction`, protocol section 8). Arguments and result are
 * BSON values in exact Extended JSON; an int64 beyond 2^53 arrives as a `Long`. The call is sent once, and once more only
 * after a 401, which proves that it did not run. Pipe it into `Policy.idempotent` when it may run more than once.
 *
 * Fails with `FunctionError` when the function is unknown or failed, and with `EjsonError`, before anything is sent, when
 * an argument has no Extended JSON form.
 *
 * @param name the function's name, with `/` for folders; or its contract, which gives arguments, result and the function's
 *   own errors their types (see `RealmFunction` of `@effect-realm/protocol`)
 * @param args its arguments; none by default
 * @param result what the result must look like; without it the result is `unknown`
 *
 * ```ts
 * import { User } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect, Schema } from "effect"
 *
 * const app = AppDefinition.make({
 *   appId: "shop-abcde",
 *   authProviders: { anonymous: {} },
 *   functions: [{ name: "sum", source: "exports = (...numbers) => numbers.reduce((a, b) => a + b, 0)" }]
 * })
 * const program = Effect.gen(function*() {
 *   const user = yield* RealmTest.anonymousUser
 *   const total = yield* User.callFunction(user, "sum", [1, 2], Schema.Int)
 *   const error = yield* Effect.flip(User.callFunction(user, "product"))
 *   return [total, error._tag]
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app }))) // => [3, "FunctionError"]
 * ```
 */
export const callFunction: {
  <F extends RealmFunction.AnyCall>(contract: F, ...args: ArgsParameter<F>): (
    user: User
  ) => Effect.Effect<
    RealmFunction.Success<F>,
    CallContractError | RealmFunction.OwnError<F>,
    HttpClient.HttpClient | TokenStore
  >
  <F extends RealmFunction.AnyCall>(user: User, contract: F, ...args: ArgsParameter<F>): Effect.Effect<
    RealmFunction.Success<F>,
    CallContractError | RealmFunction.OwnError<F>,
    HttpClient.HttpClient | TokenStore
  >
  (name: string, args?: ReadonlyArray<unknown>, result?: undefined): (
    user: User
  ) => Effect.Effect<unknown, CallFunctionError, HttpClient.HttpClient | TokenStore>
  <A>(name: string, args: ReadonlyArray<unknown>, result: Schema.Decoder<A>): (
    user: User
  ) => Effect.Effect<A, CallFunctionError | SchemaMismatchError, HttpClient.HttpClient | TokenStore>
  (user: User, name: string, args?: ReadonlyArray<unknown>, result?: undefined): Effect.Effect<
    unknown,
    CallFunctionError,
    HttpClient.HttpClient | TokenStore
  >
  <A>(user: User, name: string, args: ReadonlyArray<unknown>, result: Schema.Decoder<A>): Effect.Effect<
    A,
    CallFunctionError | SchemaMismatchError,
    HttpClient.HttpClient | TokenStore
  >
} = /* @__PURE__ */ dual(
  (args) => !FunctionCalls.isCalled(args[0]),
  <A>(
    user: User,
    called: string | RealmFunction.AnyCall,
    args: ReadonlyArray<unknown> = [],
    result?: Schema.Decoder<A>
  ): Effect.Effect<unknown, unknown, HttpClient.HttpClient | TokenStore> =>
    typeof called === "object"
      ? FunctionCalls.callContract(user, called, args)
      : FunctionCalls.call(user, called, args, result)
)

/**
 * Calls a function that streams (`callFunctionStreaming` of realm-web, protocol section 8.4), and answers its values one
 * after the other. They are not pulled ahead of: while they are not read, the function waits. To stop reading stops the
 * function.
 *
 * The call is sent when the stream is run, and once more only after a 401 before its first value. It has no deadline once
 * it has begun. The stream ends when the function does; it fails with `TransportError` when the connection breaks before,
 * and then it is for the program to say whether to call anew (`Stream.retry`), as what was missed meanwhile is lost.
 *
 * Functions that stream are those of contracts, `RealmFunction.makeStream`. Exported JavaScript does not stream: fails with
 * `FunctionError`, reason `NotCallable`.
 *
 * @param name the function's name, with `/` for folders; or its contract, which gives arguments, values and the function's
 *   own errors their types
 * @param args its arguments; none by default
 * @param value what each value must look like; without it they are `unknown`
 *
 * ```ts
 * import { User } from "@effect-realm/client"
 * import { RealmFunction } from "@effect-realm/protocol"
 * import { AppDefinition, FunctionGroup } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect, Schema, Stream } from "effect"
 *
 * const countTo = RealmFunction.makeStream("countTo", { args: [Schema.Int], success: Schema.Int })
 *
 * const app = AppDefinition.make({ appId: "shop-abcde", authProviders: { anonymous: {} } })
 * const functionGroups = FunctionGroup.layer({ countTo }, { countTo: (end) => Stream.range(1, end) })
 *
 * const program = Effect.gen(function*() {
 *   const user = yield* RealmTest.anonymousUser
 *   return yield* Stream.runCollect(User.callFunctionStreaming(user, countTo, [3]))
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app, functionGroups }))) // => [1, 2, 3]
 * ```
 */
export const callFunctionStreaming: {
  <F extends RealmFunction.AnyStream>(contract: F, ...args: ArgsParameter<F>): (
    user: User
  ) => Stream.Stream<
    RealmFunction.Success<F>,
    CallContractError | RealmFunction.OwnError<F>,
    HttpClient.HttpClient | TokenStore
  >
  <F extends RealmFunction.AnyStream>(user: User, contract: F, ...args: ArgsParameter<F>): Stream.Stream<
    RealmFunction.Success<F>,
    CallContractError | RealmFunction.OwnError<F>,
    HttpClient.HttpClient | TokenStore
  >
  (name: string, args?: ReadonlyArray<unknown>, value?: undefined): (
    user: User
  ) => Stream.Stream<unknown, CallFunctionError, HttpClient.HttpClient | TokenStore>
  <A>(name: string, args: ReadonlyArray<unknown>, value: Schema.Decoder<A>): (
    user: User
  ) => Stream.Stream<A, CallFunctionError | SchemaMismatchError, HttpClient.HttpClient | TokenStore>
  (user: User, name: string, args?: ReadonlyArray<unknown>, value?: undefined): Stream.Stream<
    unknown,
    CallFunctionError,
    HttpClient.HttpClient | TokenStore
  >
  <A>(user: User, name: string, args: ReadonlyArray<unknown>, value: Schema.Decoder<A>): Stream.Stream<
    A,
    CallFunctionError | SchemaMismatchError,
    HttpClient.HttpClient | TokenStore
  >
} = /* @__PURE__ */ dual(
  (args) => !FunctionCalls.isCalled(args[0]),
  <A>(
    user: User,
    called: string | RealmFunction.AnyStream,
    args: ReadonlyArray<unknown> = [],
    value?: Schema.Decoder<A>
  ): Stream.Stream<unknown, unknown, HttpClient.HttpClient | TokenStore> =>
    typeof called === "object"
      ? FunctionCalls.streamContract(user, called, args)
      : FunctionCalls.stream(user, called, args, value)
)

/**
 * Calls a function of one of the app's services, a linked data source for instance (`service` of protocol section 8.1). As
 * {@link callFunction} otherwise.
 *
 * Fails with `ServiceError` when the app has no such service or the service no such function, and with `DataError` when a
 * data source or its rules refuse.
 *
 * @param service the name of the service, such as `mongodb-atlas`
 * @param name the function of the service
 * @param args its arguments; none by default
 * @param result what the result must look like; without it the result is `unknown`
 *
 * ```ts
 * import { User } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect } from "effect"
 *
 * const app = AppDefinition.make({ appId: "shop-abcde", authProviders: { anonymous: {} } })
 * const program = Effect.gen(function*() {
 *   const user = yield* RealmTest.anonymousUser
 *   const error = yield* Effect.flip(User.callServiceFunction(user, "twilio", "send", [{ to: "+15550100" }]))
 *   return error._tag === "ServiceError" ? error.reason._tag : error._tag
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app }))) // => "ServiceNotFound"
 * ```
 */
export const callServiceFunction: {
  (service: string, name: string, args?: ReadonlyArray<unknown>, result?: undefined): (
    user: User
  ) => Effect.Effect<unknown, CallServiceFunctionError, HttpClient.HttpClient | TokenStore>
  <A>(service: string, name: string, args: ReadonlyArray<unknown>, result: Schema.Decoder<A>): (
    user: User
  ) => Effect.Effect<A, CallServiceFunctionError | SchemaMismatchError, HttpClient.HttpClient | TokenStore>
  (user: User, service: string, name: string, args?: ReadonlyArray<unknown>, result?: undefined): Effect.Effect<
    unknown,
    CallServiceFunctionError,
    HttpClient.HttpClient | TokenStore
  >
  <A>(
    user: User,
    service: string,
    name: string,
    args: ReadonlyArray<unknown>,
    result: Schema.Decoder<A>
  ): Effect.Effect<A, CallServiceFunctionError | SchemaMismatchError, HttpClient.HttpClient | TokenStore>
} = /* @__PURE__ */ dual(
  (args) => !FunctionCalls.isCalled(args[0]),
  <A>(
    user: User,
    service: string,
    name: string,
    args?: ReadonlyArray<unknown>,
    result?: Schema.Decoder<A>
  ): Effect.Effect<A, CallServiceFunctionError | SchemaMismatchError, HttpClient.HttpClient | TokenStore> =>
    FunctionCalls.callService(user, service, name, args, result)
)

/**
 * The app's functions as methods (`Realm.User.functions`): `functions.sum(1, 2)` is
 * `User.callFunction(user, "sum", [1, 2])`, an effect that sends nothing until it runs. With contracts, the methods are
 * those of the group, typed by them.
 *
 * The object is an empty one to whoever awaits, prints, spreads or compares it, and its methods may be kept in variables.
 * Names that JavaScript asks for by itself, {@link ReservedName}, are no methods: call such a function by
 * {@link callFunction}.
 *
 * The type parameter lists the names there are, for programs that are compiled with `noUncheckedIndexedAccess`.
 *
 * @param contracts contracts by the names of their methods, such as a module that exports contracts
 *
 * ```ts
 * import { User } from "@effect-realm/client"
 * import { AppDefinition } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { RealmFunction } from "@effect-realm/protocol"
 * import { Effect, Schema } from "effect"
 *
 * const app = AppDefinition.make({
 *   appId: "shop-abcde",
 *   authProviders: { anonymous: {} },
 *   functions: [{ name: "sum", source: "exports = (...numbers) => numbers.reduce((a, b) => a + b, 0)" }]
 * })
 * const Shop = { sum: RealmFunction.make("sum", { args: [Schema.Int, Schema.Int], success: Schema.Int }) }
 *
 * const program = Effect.gen(function*() {
 *   const user = yield* RealmTest.anonymousUser
 *   const untyped: unknown = yield* User.functions<"sum">(user).sum(1, 2)
 *   const typed: number = yield* User.functions(user, Shop).sum(1, 2)
 *   return [untyped, typed]
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app }))) // => [3, 3]
 * ```
 */
export const functions: {
  <G extends RealmFunction.Group>(contracts: G): (user: User) => ContractFunctions<G>
  <G extends RealmFunction.Group>(user: User, contracts: G): ContractFunctions<G>
  <Name extends string = string>(user: User): Functions<Name>
} = /* @__PURE__ */ dual(
  (args) => Predicate.isTagged(args[0], "User"),
  (user: User, contracts?: RealmFunction.Group) =>
    contracts === undefined ? FunctionMethods.methods(user) : FunctionMethods.contractMethods(user, contracts)
)
