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
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
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

const failureCounter = (name: string) => {
  const failures = new Map<string, ReturnType<typeof Series.failures>>()

  return (context: Context.Context<never>, cause: Cause.Cause<unknown>): void => {
    if (Cause.hasInterruptsOnly(cause)) return
    const tag = outcomeOf(cause)
    let series = failures.get(tag)
    if (series === undefined) failures.set(tag, series = Series.failures({ operation: name, tag }))
    series.updateUnsafe(1, context)
  }
}

/** @param name module and function, as the caller writes them: `User.callFunction` */
export const make = (name: string): Around => {
  const countFailure = failureCounter(name)

  return (effect, about) =>
    Effect.withFiber((fiber) => {
      const counted = Effect.catchCause(effect, (cause) => {
        countFailure(fiber.context, cause)
        return Effect.failCause(cause)
      })
      return isTraced(fiber) ? traced(name, counted, about) : counted
    })
}

/** Puts a span and a count of failures around a stream; the span lasts for as long as somebody reads. */
export type AroundStream = <A, E, R>(stream: Stream.Stream<A, E, R>, about: About) => Stream.Stream<A, E, R>

/** @param name module and function, as the caller writes them */
export const makeStream = (name: string): AroundStream => {
  const countFailure = failureCounter(name)

  return (stream, about) =>
    Stream.unwrap(Effect.withFiber((fiber) => {
      const counted = Stream.onError(stream, (cause) => Effect.sync(() => countFailure(fiber.context, cause)))
      return isTraced(fiber) ? tracedStream(name, counted, about) : Effect.succeed(counted)
    }))
}

const attributesOf = ({ appId, attributes, endpoint }: About): { readonly [name: string]: string } => ({
  "realm.app.id": appId,
  "http.request.method": endpoint.method,
  "http.route": endpoint.path,
  ...attributes
})

const describe = (span: Tracer.Span, current: Current, exit: Exit.Exit<unknown, unknown>): void => {
  span.attribute("realm.attempts", current.attempts)
  span.attribute("realm.exchanges", current.exchanges)
  if (Exit.isSuccess(exit)) return span.attribute("realm.outcome", "Success")
  const outcome = outcomeOf(exit.cause)
  span.attribute("realm.outcome", outcome)
  if (outcome !== "Interrupted") span.attribute("error.type", outcome)
  const reason = reasonOf(exit.cause)
  if (reason !== undefined) span.attribute("realm.reason", reason)
}

const tracedStream = <A, E, R>(
  name: string,
  stream: Stream.Stream<A, E, R>,
  about: About
): Effect.Effect<Stream.Stream<A, E, R>, never, Scope.Scope> =>
  Effect.map(Effect.makeSpanScoped(name, { attributes: attributesOf(about) }), (span) => {
    const current: Current = { endpoint: about.endpoint, attempts: 0, exchanges: 0 }
    return stream.pipe(
      Stream.provideContext(Context.make(Current, current).pipe(Context.add(Tracer.ParentSpan, span))),
      Stream.onExit((exit) => Effect.sync(() => describe(span, current, exit)))
    )
  })

const traced = <A, E, R>(
  name: string,
  effect: Effect.Effect<A, E, R>,
  about: About
): Effect.Effect<A, E, R> =>
  Effect.useSpan(
    name,
    { attributes: attributesOf(about) },
    (span) => {
      const current: Current = { endpoint: about.endpoint, attempts: 0, exchanges: 0 }
      return effect.pipe(
        Effect.provideService(Current, current),
        Effect.withParentSpan(span, { captureStackTrace: false }),
        Effect.onExit((exit) => Effect.sync(() => describe(span, current, exit)))
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
