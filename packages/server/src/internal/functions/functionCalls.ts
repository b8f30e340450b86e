/**
 * Calls of the app's JavaScript in the pool, and what they ask of the server while they run.
 */
import * as Ejson from "@effect-realm/protocol/Ejson"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Semaphore from "effect/Semaphore"
import type { Caller } from "../../Functions.ts"
import type { ServiceAnswer, ServiceRequest } from "./functionMessage.ts"
import type * as Pool from "./functionPool.ts"
import type * as FunctionServices from "./functionServices.ts"

/** Where in other calls a call is. */
export interface Nesting {
  /** How deep, 1 when in none. */
  readonly depth: number
  /** The call in the pool that it was asked for by. */
  readonly within: number | undefined
}

const internalError: ServiceAnswer = { _tag: "Error", error: { name: "Error", message: "internal server error" } }

/**
 * Runs a call in the pool to its end. However it ends, what it has asked for ends with it.
 *
 * @param caller who calls; what it asks for is asked as whom it runs
 */
export type Run = (call: Omit<Pool.Call, "serve">, caller: Caller) => Effect.Effect<Pool.Settlement>

/** One thing that a running function asks of the server. */
export interface Asked {
  /** Such as `http`; `functionService` for a function. */
  readonly service: string
  readonly operation: string
  readonly args: ReadonlyArray<unknown>
  /** Who has called the function that asks, and as whom it runs. */
  readonly caller: Caller
  /** Where functions are that are called for it. */
  readonly nesting: Nesting
}

/**
 * @param options.turns how many requests of one call a service takes at a time; all of them where it does not say
 * @param options.answer does what is asked for, with BSON values
 */
export const make = (options: {
  readonly pool: Pool.Pool
  readonly turns: (service: string) => number | undefined
  readonly answer: (asked: Asked) => Effect.Effect<unknown, FunctionServices.FunctionServiceError>
}): Run => {
  const { pool } = options

  const serve = (
    { args, asSystem, depth, operation, service }: ServiceRequest,
    within: number,
    caller: Caller
  ): Effect.Effect<ServiceAnswer> =>
    Effect.suspend(() =>
      options.answer({
        service,
        operation,
        // The worker wrote it with the same codec.
        args: Ejson.decodeUnsafe(JSON.parse(args), { numbers: "exact" }) as ReadonlyArray<unknown>,
        caller: asSystem ? { ...caller, runAs: Option.none() } : caller,
        nesting: { depth: depth + 1, within }
      })
    ).pipe(
      Effect.map((value): ServiceAnswer => ({ _tag: "Value", text: JSON.stringify(Ejson.encodeUnsafe(value)) })),
      Effect.catch(({ code, errorName, message }) =>
        Effect.succeed<ServiceAnswer>({
          _tag: "Error",
          error: { name: errorName, message, ...(code !== undefined && { code }) }
        })
      ),
      Effect.catchDefect((defect) =>
        Effect.as(Effect.logError(`${service}.${operation} failed`, defect), internalError)
      )
    )

  return (call, caller) =>
    Effect.contextWith((context: Context.Context<never>) => {
      const fork = Effect.runForkWith(context)
      const serving = new Set<Fiber.Fiber<ServiceAnswer>>()
      const turns = new Map<string, Semaphore.Semaphore>()
      const inTurn = (name: string, effect: Effect.Effect<ServiceAnswer>) => {
        const permits = options.turns(name)
        if (permits === undefined) return effect
        let turn = turns.get(name)
        if (turn === undefined) turns.set(name, turn = Semaphore.makeUnsafe(permits))
        return turn.withPermit(effect)
      }
      return Effect.callback<Pool.Settlement>((resume) => {
        const giveUp = pool.submit({
          ...call,
          serve: (asked, id, answer) => {
            // Not begun before it is known here: it could end the call by what it does first.
            const fiber = fork(Effect.andThen(Effect.yieldNow, inTurn(asked.service, serve(asked, id, caller))))
            serving.add(fiber)
            fiber.addObserver((exit) => {
              serving.delete(fiber)
              // What interrupted itself has to be answered as well.
              answer(Exit.isSuccess(exit) ? exit.value : internalError)
            })
          }
        }, (settlement) => resume(Effect.succeed(settlement)))
        return Effect.sync(giveUp)
      }).pipe(
        Effect.ensuring(Effect.suspend(() => serving.size === 0 ? Effect.void : Fiber.interruptAll([...serving])))
      )
    })
}
