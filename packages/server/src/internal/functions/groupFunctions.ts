/**
 * How the functions of a group reach the server: as services of a layer's output, each group under a key of its own, so that
 * the layers of several groups can be merged.
 */
import type * as RealmError from "@effect-realm/protocol/RealmError"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type { Caller } from "../../Functions.ts"

/** A function that runs in the server's process. */
export interface GroupFunction {
  readonly name: string
  readonly private: boolean
  readonly canEvaluate?: Schema.Json
  readonly run: Run
}

/** How a function runs: it answers once, or it streams. Arguments and results are Extended JSON. */
export type Run =
  | {
    readonly _tag: "Call"
    readonly call: (
      args: ReadonlyArray<unknown>,
      caller: Caller
    ) => Effect.Effect<Schema.Json, RealmError.FunctionError>
  }
  | {
    readonly _tag: "Stream"
    readonly begin: (
      args: ReadonlyArray<unknown>,
      caller: Caller
    ) => Effect.Effect<Stream.Stream<Schema.Json, RealmError.FunctionError>, RealmError.FunctionError>
  }

const prefix = "@effect-realm/server/FunctionGroup/"

/** The functions of one group, for the output of a layer. */
export const context = <Identifier>(functions: ReadonlyArray<GroupFunction>): Context.Context<Identifier> => {
  const names = functions.map(({ name }) => name).toSorted()
  return Context.makeUnsafe(new Map([[`${prefix}${names.join(" ")}`, functions]]))
}

/** The functions of all groups in a context. */
export const all = (context: Context.Context<never>): ReadonlyArray<GroupFunction> =>
  [...context.mapUnsafe].flatMap(([key, value]) =>
    // Nothing else has a key with this prefix.
    key.startsWith(prefix) ? value as ReadonlyArray<GroupFunction> : []
  )
