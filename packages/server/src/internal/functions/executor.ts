/**
 * As whom a function runs (server section 4.2): what of the database it may reach, and who its rules see. Not who calls:
 * that is `context.user`, whoever the function runs as.
 */
import * as Ejson from "@effect-realm/protocol/Ejson"
import * as RealmError from "@effect-realm/protocol/RealmError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import { Accounts } from "../../Accounts.ts"
import type { AppFunction } from "../../AppDefinition.ts"
import { CustomUserData } from "../../CustomUserData.ts"
import type { DatabaseError } from "../../DatabaseError.ts"
import type { Caller, UserObject } from "../../Functions.ts"
import { userObject } from "./callScope.ts"

/** A user, or the system. */
export type Executor = Option.Option<UserObject>

/** The users that functions may run as, whoever calls. Where there is none of this, no function has a user of its own. */
export class Executors extends Context.Service<Executors, {
  /** A user who is there and not disabled, with the custom data of now. */
  readonly find: (userId: string) => Effect.Effect<Executor, DatabaseError>
}>()("@effect-realm/server/internal/executor/Executors") {}

export const layer: Layer.Layer<Executors, never, Accounts | CustomUserData> = Layer.effect(
  Executors,
  Effect.gen(function*() {
    const accounts = yield* Accounts
    const customData = yield* CustomUserData
    return Executors.of({
      find: Effect.fnUntraced(function*(userId) {
        const user = yield* accounts.get(userId)
        if (user === undefined || user.disabled) return Option.none()
        // It is a document, because `CustomUserData` reads documents.
        const data = Ejson.decodeUnsafe(yield* customData.read(user.id), { numbers: "exact" }) as Ejson.Document
        return Option.some(userObject(user, data))
      })
    })
  })
)

/** What of a definition says as whom it runs. */
export type Settings = Pick<AppFunction, "name" | "runAsSystem" | "runAsUserId" | "runAsUserIdScriptSource">

/** Whether the server has to be asked, as the definition alone does not say. */
export const isAsked = ({ runAsSystem, runAsUserId, runAsUserIdScriptSource }: Settings): boolean =>
  !runAsSystem && (runAsUserId ?? runAsUserIdScriptSource) !== undefined

/** The executor where the function does not say another: that of the function it is called by, or else who calls. */
export const inherited = ({ runAs, user }: Caller): Executor => runAs ?? user

const failed = (name: string, why: string): RealmError.FunctionError =>
  RealmError.make("FunctionExecutionError", `Error: function "${name}" cannot run: ${why}`)

/**
 * As whom a function runs: the system, a user of its own, whom its script says, or whoever calls, in this order.
 *
 * Fails with `FunctionExecutionError` when the user is not there or disabled, and when the script fails or answers neither
 * an id nor `{ runAsSystem: true }`.
 *
 * @param runScript the function's own script, run as whom the function would run without one
 */
export const resolve = (
  { name, runAsSystem, runAsUserId, runAsUserIdScriptSource }: Settings,
  caller: Caller,
  executors: Option.Option<Executors["Service"]>,
  runScript: Effect.Effect<unknown, RealmError.FunctionError>
): Effect.Effect<Executor, RealmError.FunctionError> => {
  if (runAsSystem) return Effect.succeed(Option.none())

  const user = Effect.fnUntraced(function*(userId: string, field: string) {
    if (Option.isNone(executors)) return yield* failed(name, `it has "${field}", and here are no users`)
    // Troubles of the database are none of the function's.
    const found = yield* Effect.orDie(executors.value.find(userId))
    if (Option.isSome(found)) return found
    // Whose id it is is nothing for whoever calls.
    yield* Effect.logWarning(`"${field}" of function "${name}": there is no user "${userId}", or they are disabled`)
    return yield* failed(name, `the user it runs as by "${field}" is not there or disabled`)
  })

  if (runAsUserId !== undefined) return user(runAsUserId, "run_as_user_id")
  if (runAsUserIdScriptSource === undefined) return Effect.succeed(inherited(caller))
  const field = "run_as_user_id_script_source"
  return runScript.pipe(
    Effect.mapError(({ reason }) => failed(name, `its "${field}" failed: ${reason.message}`)),
    Effect.flatMap((answer) => {
      if (typeof answer === "string" && answer !== "") return user(answer, field)
      if (Predicate.hasProperty(answer, "runAsSystem") && answer.runAsSystem === true) {
        return Effect.succeed(Option.none())
      }
      return Effect.fail(failed(name, `its "${field}" has to return the id of a user, or { runAsSystem: true }`))
    })
  )
}
