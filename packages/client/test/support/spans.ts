/** A tracer that keeps what it is given, for tests of what is around operations. */
import { Effect, Option, Tracer } from "effect"
import { inspect } from "node:util"

/** The spans so far, the tracer that makes them, and what makes an effect be traced by it. */
export const recorder = () => {
  const spans: Array<Tracer.NativeSpan> = []
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })
  return { spans, tracer, traced: Effect.provideService(Tracer.Tracer, tracer) }
}

export const parentOf = (span: Tracer.NativeSpan): Tracer.AnySpan | undefined => Option.getOrUndefined(span.parent)

export const attributes = (span: Tracer.NativeSpan | undefined): { readonly [name: string]: unknown } =>
  Object.fromEntries(span?.attributes ?? [])

/** Everything that a value shows to whoever looks for secrets in it. */
export const printed = (value: unknown): string =>
  inspect(value, { depth: Number.POSITIVE_INFINITY, showHidden: false, maxArrayLength: null, maxStringLength: null })
