/**
 * Services of the server that running functions ask: what `context.services.get(name)` and `context.http` lead to.
 *
 * A service is handlers here, in the server's process, and a face in the function (`serviceFaces.ts`). Whoever has one to offer makes a
 * layer of {@link context} and provides it to `Functions.layer`:
 *
 * ```text
 * const layer = Layer.effectContext(Effect.map(Database, (database) =>
 *   FunctionServices.context({
 *     name: "mongodb-atlas",
 *     kind: "mongodb",
 *     handle: (caller, operation, [request]) => …
 *   })))
 * ```
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Caller, Functions } from "../../Functions.ts"
import type { ServiceKind } from "./serviceFaces.ts"

/** What a service failed with; in the function an `Error` with these three. */
export class FunctionServiceError extends Schema.TaggedError<FunctionServiceError>()("FunctionServiceError", {
  /** The `name` of the error in the function. */
  errorName: Schema.String,
  message: Schema.String,
  code: Schema.optionalKey(Schema.Union([Schema.String, Schema.Number]))
}) {}

/** One service, as functions know it. */
export interface FunctionService {
  /** What `context.services.get` is asked for; `http` is `context.http` too. */
  readonly name: string
  readonly kind: ServiceKind
  /** How many operations of one call are under way at a time, while others wait; default: all that it asks for. */
  readonly concurrency?: number
  /**
   * Does one operation for a function, which runs as `Executor.inherited` of the caller. Arguments and result are BSON values
   * with exact numbers.
   *
   * It is interrupted when its call ends, however that ends, and the call waits for that: nothing goes on after a call.
   * A defect is told to the log, and the function hears of an internal error. The `Functions` it may require are those of the
   * same app, one level deeper than the function that asks.
   */
  readonly handle: (
    caller: Caller,
    operation: string,
    args: ReadonlyArray<unknown>
  ) => Effect.Effect<unknown, FunctionServiceError, Functions>
}

const prefix = "@effect-realm/server/FunctionService/"

/** One service, for the output of a layer, under a key of its own: the layers of several can be merged. */
export const context = (service: FunctionService): Context.Context<never> =>
  Context.makeUnsafe(new Map([[prefix + service.name, service]]))

/** All services in a context. */
export const all = (context: Context.Context<never>): ReadonlyArray<FunctionService> =>
  [...context.mapUnsafe].flatMap(([key, value]) =>
    // Nothing else has a key with this prefix.
    key.startsWith(prefix) ? [value as FunctionService] : []
  )
