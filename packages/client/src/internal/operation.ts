/**
 * What is around every operation that may send something: one span, which says how it went and shows no value of a user,
 * and a count of its failures. Where no tracer is installed there is no span, and it costs next to nothing.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Predicate from "effect/Predicate"
import * as Tracer from "effect/Tracer"
import * as Series from "./series.ts"

interface Endpoint {
  readonly method: string
  readonly path: string
}

/** What an operation is about. */
export interface About {
  /** Where its own request goes to. */
  readonly endpoint: Endpoint
  readonly appId: string
  /** Further attributes of its span: names that the program itself chose, never values. */
  readonly attributes?: { readonly [name: string]: string }
}

/** The operation that a request is sent for, where somebody traces it. */
export interface Current {
  readonly endpoint: Endpoint
  attempts: number
  exchanges: number
}

export const Current: Context.Reference<Current | undefined> = Context.Reference<Current | undefined>(
  "@effect-realm/client/internal/Operation",
  { defaultValue: () => undefined }
)

/** Trace headers tell a stranger's server about the caller: they go out only when asked for (`App.TracePropagation`). */
export const TracePropagation: Context.Reference<boolean> = Context.Reference<boolean>(
  "@effect-realm/client/TracePropagation",
  { defaultValue: () => false }
)

/** Whether anybody sees a span: a tracer was installed, or the server is told of it. */
export const isTraced = (fiber: Fiber.Fiber<unknown, unknown>): boolean =>
  fiber.getRef(Tracer.Tracer) !== Tracer.nativeTracer || fiber.getRef(TracePropagation)

/** Puts a span and a count of failures around the effect of one operation. */
export type Around = <A, E, R>(effect: Effect.Effect<A, E, R>, about: About) => Effect.Effect<A, E, R>

/** @param name module and function, as the caller writes them: `User.callFunction` */
export const make = (name: string): Around => {
  const failures = new Map<string, ReturnType<typeof Series.failures>>()

  const countFailure = (context: Context.Context<never>, cause: Cause.Cause<unknown>): void => {
    if (Cause.hasInterruptsOnly(cause)) return
    const tag = outcomeOf(cause)
    let series = failures.get(tag)
    if (series === undefined) failures.set(tag, series = Series.failures({ operation: name, tag }))
    series.updateUnsafe(1, context)
  }

  return (effect, about) =>
    Effect.withFiber((fiber) => {
      const counted = Effect.catchCause(effect, (cause) => {
        countFailure(fiber.context, cause)
        return Effect.failCause(cause)
      })
      return isTraced(fiber) ? traced(name, counted, about) : counted
    })
}

const traced = <A, E, R>(
  name: string,
  effect: Effect.Effect<A, E, R>,
  { appId, attributes, endpoint }: About
): Effect.Effect<A, E, R> =>
  Effect.useSpan(
    name,
    {
      attributes: {
        "realm.app.id": appId,
        "http.request.method": endpoint.method,
        "http.route": endpoint.path,
        ...attributes
      }
    },
    (span) => {
      const current: Current = { endpoint, attempts: 0, exchanges: 0 }
      return effect.pipe(
        Effect.provideService(Current, current),
        Effect.withParentSpan(span, { captureStackTrace: false }),
        Effect.onExit((exit) =>
          Effect.sync(() => {
            span.attribute("realm.attempts", current.attempts)
            span.attribute("realm.exchanges", current.exchanges)
            if (Exit.isSuccess(exit)) return span.attribute("realm.outcome", "Success")
            const outcome = outcomeOf(exit.cause)
            span.attribute("realm.outcome", outcome)
            if (outcome !== "Interrupted") span.attribute("error.type", outcome)
            const reason = reasonOf(exit.cause)
            if (reason !== undefined) span.attribute("realm.reason", reason)
          })
        )
      )
    }
  )

const tagOf = (value: unknown): string | undefined =>
  Predicate.hasProperty(value, "_tag") && typeof value._tag === "string" ? value._tag : undefined

const errorOf = (cause: Cause.Cause<unknown>): unknown => cause.reasons.find(Cause.isFailReason)?.error

const outcomeOf = (cause: Cause.Cause<unknown>): string =>
  tagOf(errorOf(cause)) ?? (Cause.hasInterruptsOnly(cause) ? "Interrupted" : "Defect")

const reasonOf = (cause: Cause.Cause<unknown>): string | undefined => {
  const error = errorOf(cause)
  return Predicate.hasProperty(error, "reason") ? tagOf(error.reason) : undefined
}
