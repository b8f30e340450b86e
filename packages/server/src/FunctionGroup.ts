/**
 * Functions written in TypeScript: contracts (`RealmFunction` of `@effect-realm/protocol`) implemented as Effects, which run
 * in the server's own process beside the exported JavaScript. Callers cannot tell the difference: the same names, the same
 * time limit, `private` and `canEvaluate` as for any function.
 *
 * Clients call them, the server's own code does by `Functions`, and JavaScript functions by `context.functions.execute`, which
 * answers a promise for them. What a contract fails with is thrown there as an `Error` with the text that clients get.
 *
 * Handlers find the server's services (`RealmServer.GroupServices`, `Mail`, the `Functions` of the app) where `RealmServer.layer` or
 * `Listener.layer` takes their group. Who calls is {@link Caller}, to be handed on to `Documents` and `Functions`.
 *
 * A call is interrupted when its caller goes or its time is over. What a function fails with on purpose, an error of its
 * contract, is told to the caller; a defect is told to the log alone.
 */
import * as RealmError from "@effect-realm/protocol/RealmError"
import type * as RealmFunction from "@effect-realm/protocol/RealmFunction"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { Caller as FunctionCaller, Functions } from "./Functions.ts"
import * as Expression from "./internal/documents/ruleExpression.ts"
import * as GroupFunctions from "./internal/functions/groupFunctions.ts"

// -----------------------------------------------------------------------------
// Model
// -----------------------------------------------------------------------------

/** What the layer of a group provides; a server takes it as its option `functionGroups`. */
export interface FunctionGroup {
  readonly _: unique symbol
}

/** Implementations of a group's contracts, by method: an Effect each, or a `Stream` where the contract streams. */
export type Handlers<G extends RealmFunction.Group> = {
  readonly [K in keyof G]: (
    ...args: RealmFunction.Args<G[K]>
  ) => G[K]["streams"] extends true ? Stream.Stream<RealmFunction.Success<G[K]>, RealmFunction.OwnError<G[K]>, unknown>
    : Effect.Effect<RealmFunction.Success<G[K]>, RealmFunction.OwnError<G[K]>, unknown>
}

type ServicesOf<H> = H extends (...args: never) => Effect.Effect<unknown, unknown, infer R> ? R
  : H extends (...args: never) => Stream.Stream<unknown, unknown, infer R> ? R
  : never

/** The services that handlers need, beside their {@link Caller} and the `Functions` of the app, which each call has. */
export type HandlerServices<H> = Exclude<{ [K in keyof H]: ServicesOf<H[K]> }[keyof H], Caller | Functions>

/** Who may call a function of a group. */
export interface Options {
  /** Callable by the server itself only, not by clients; default: `false`. */
  readonly private?: boolean
  /** The rule expression that a client's call has to fulfil; by default everybody who is logged in may call. */
  readonly canEvaluate?: Schema.Json
}

// -----------------------------------------------------------------------------
// Service
// -----------------------------------------------------------------------------

/**
 * Who calls the function that is running: the user as functions see one, and what is known of the request (`context.user`
 * and `context.request` of JavaScript functions).
 *
 * ```ts
 * import { User } from "@effect-realm/client"
 * import { RealmFunction } from "@effect-realm/protocol"
 * import { AppDefinition, FunctionGroup } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect, Option, Schema } from "effect"
 *
 * const whoami = RealmFunction.make("whoami", { success: Schema.Option(Schema.String) })
 * const functionGroups = FunctionGroup.layer({ whoami }, {
 *   whoami: () => Effect.map(FunctionGroup.Caller, ({ user }) => Option.map(user, ({ id }) => id))
 * })
 *
 * const app = AppDefinition.make({ appId: "shop-abcde", authProviders: { anonymous: {} } })
 * const program = Effect.gen(function*() {
 *   const user = yield* RealmTest.anonymousUser
 *   const id = yield* User.callFunction(user, whoami)
 *   return Option.contains(id, user.id)
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app, functionGroups }))) // => true
 * ```
 */
export class Caller extends Context.Service<Caller, FunctionCaller>()("@effect-realm/server/FunctionGroup.Caller") {}

// -----------------------------------------------------------------------------
// Errors
// -----------------------------------------------------------------------------

/**
 * Two functions of a server have the same name: of two groups, or of a group and the app. A server with such functions does
 * not start, and dies with this error.
 *
 * ```ts
 * import { FunctionGroup } from "@effect-realm/server"
 *
 * const error = new FunctionGroup.DuplicateFunctionError({ name: "sum" })
 * error.message // => "There are two functions \"sum\": rename one in the app or in its group."
 * ```
 */
export class DuplicateFunctionError
  extends Schema.TaggedError<DuplicateFunctionError>("@effect-realm/server/DuplicateFunctionError")(
    "DuplicateFunctionError",
    { name: Schema.String }
  )
{
  override get message(): string {
    return `There are two functions "${this.name}": rename one in the app or in its group.`
  }
}

// -----------------------------------------------------------------------------
// Running
// -----------------------------------------------------------------------------

type CallHandler<R> = (...args: ReadonlyArray<unknown>) => Effect.Effect<unknown, unknown, R>
type StreamHandler<R> = (...args: ReadonlyArray<unknown>) => Stream.Stream<unknown, unknown, R>

/** What a handler has while it runs: the services of its layer, and of the call. */
type Provide<R> = (caller: FunctionCaller) => (current: Context.Context<never>) => Context.Context<R>

const log = (name: string, cause: Cause.Cause<unknown>): Effect.Effect<void> =>
  Effect.annotateLogs(Effect.logError(`function "${name}" failed`, cause), { function: name })

const failed = RealmError.make("FunctionExecutionError", "Error: the function failed; the server's log says why")

const cancelled = RealmError.make("OperationCanceled", "the function was interrupted")

const makeEncoders = ({ codec, name }: RealmFunction.Any) => {
  /** What the function gave does not fit its own contract: its mistake, not the caller's. */
  const orFailed = <A>(
    effect: Effect.Effect<A, RealmFunction.ContractError>
  ): Effect.Effect<A, RealmError.FunctionError> =>
    Effect.catch(effect, (error) => Effect.andThen(log(name, Cause.fail(error)), Effect.fail(failed)))

  return {
    result: (result: unknown): Effect.Effect<Schema.Json, RealmError.FunctionError> =>
      orFailed(codec.encodeResult(result)),
    failure: (cause: Cause.Cause<unknown>): Effect.Effect<never, RealmError.FunctionError> => {
      const expected = cause.reasons.find(Cause.isFailReason)
      if (expected !== undefined) return Effect.flatMap(orFailed(codec.encodeError(expected.error)), Effect.fail)
      return Cause.hasInterruptsOnly(cause)
        ? Effect.fail(cancelled)
        : Effect.andThen(log(name, cause), Effect.fail(failed))
    }
  }
}

const implementCall = <R>(
  contract: RealmFunction.Any,
  handler: CallHandler<R>,
  provide: Provide<R>
): GroupFunctions.Run => {
  const { codec } = contract
  const encode = makeEncoders(contract)
  return {
    _tag: "Call",
    call: (json, caller) =>
      Effect.flatMap(
        Effect.mapError(codec.decodeArgs(json), codec.refuseArgs),
        (args) =>
          Effect.matchCauseEffect(Effect.updateContext(Effect.suspend(() => handler(...args)), provide(caller)), {
            onSuccess: encode.result,
            onFailure: encode.failure
          })
      )
  }
}

const implementStream = <R>(
  contract: RealmFunction.Any,
  handler: StreamHandler<R>,
  provide: Provide<R>
): GroupFunctions.Run => {
  const { codec } = contract
  const encode = makeEncoders(contract)
  return {
    _tag: "Stream",
    begin: (json, caller) =>
      Effect.map(
        Effect.mapError(codec.decodeArgs(json), codec.refuseArgs),
        (args) =>
          Stream.updateContext(Stream.suspend(() => handler(...args)), provide(caller)).pipe(
            Stream.catchCause((cause) => Stream.fromEffect(encode.failure(cause))),
            Stream.mapEffect(encode.result)
          )
      )
  }
}

const implement = <R>(contract: RealmFunction.Any, handler: unknown, provide: Provide<R>): GroupFunctions.Run =>
  // The handlers of a group are the methods of the group, each of the kind that its contract says.
  contract.streams
    ? implementStream(contract, handler as StreamHandler<R>, provide)
    : implementCall(contract, handler as CallHandler<R>, provide)

// -----------------------------------------------------------------------------
// Layers
// -----------------------------------------------------------------------------

/**
 * Implements the contracts of a group. The services that handlers need are those of the layer, but for {@link Caller}
 * and the `Functions` of the app, which each call has. Layers of several groups are put together by `Layer.mergeAll`.
 *
 * Throws an `Error` that names the function when a `canEvaluate` is no expression that the server knows. A handler that
 * fails with an error of its contract fails the client's call with it; all else that goes wrong is a `FunctionError`.
 *
 * @param group contracts by method
 * @param handlers an Effect function for each method
 * @param options who may call, by method
 *
 * ```ts
 * import { User } from "@effect-realm/client"
 * import { RealmFunction } from "@effect-realm/protocol"
 * import { AppDefinition, FunctionGroup } from "@effect-realm/server"
 * import { RealmTest } from "@effect-realm/testing"
 * import { Effect, Schema } from "effect"
 *
 * // Shared by client and server.
 * class OutOfStock extends Schema.TaggedError<OutOfStock>()("OutOfStock", { left: Schema.Int }) {}
 * const Shop = {
 *   order: RealmFunction.make("orders/place", { args: [Schema.String, Schema.Int], success: Schema.Int, error: OutOfStock })
 * }
 *
 * // The server.
 * const app = AppDefinition.make({ appId: "shop-abcde", authProviders: { anonymous: {} } })
 * const functionGroups = FunctionGroup.layer(Shop, {
 *   order: (item, count) => count > 3 ? Effect.fail(new OutOfStock({ left: 3 })) : Effect.succeed(count * item.length)
 * })
 *
 * // The client.
 * const program = Effect.gen(function*() {
 *   const shop = User.functions(yield* RealmTest.anonymousUser, Shop)
 *   const total = yield* shop.order("tea", 2)
 *   const left = yield* shop.order("tea", 4).pipe(Effect.catchTag("OutOfStock", ({ left }) => Effect.succeed(left)))
 *   return [total, left]
 * })
 * await Effect.runPromise(Effect.provide(program, RealmTest.layer({ app, functionGroups }))) // => [6, 3]
 * ```
 */
export const layer = <G extends RealmFunction.Group, H extends Handlers<G>>(
  group: G,
  handlers: H,
  options?: { readonly [K in keyof G]?: Options }
): Layer.Layer<FunctionGroup, never, HandlerServices<H>> => {
  const entries = Object.entries(group).map(([method, contract]) => {
    const { canEvaluate, private: isPrivate = false }: Options = options?.[method] ?? {}
    const unsupported = canEvaluate === undefined ? [] : Expression.compile(canEvaluate).unsupported
    if (unsupported.length > 0) {
      throw new Error(`canEvaluate of "${contract.name}": ${unsupported.map(({ message }) => message).join("; ")}`)
    }
    return {
      contract,
      handler: handlers[method],
      rest: { private: isPrivate, ...(canEvaluate === undefined ? {} : { canEvaluate }) }
    }
  })
  return Layer.effectContext(
    Effect.map(
      Effect.context<HandlerServices<H>>(),
      (services) => {
        // What the request brings along (its span, its log) goes before what was there when the layer was built.
        const provide: Provide<HandlerServices<H> | Caller> = (caller) => (current) =>
          Context.add(Context.merge(services, current), Caller, caller)
        return GroupFunctions.context<FunctionGroup>(entries.map(({ contract, handler, rest }) => ({
          name: contract.name,
          ...rest,
          run: implement(contract, handler, provide)
        })))
      }
    )
  )
}
