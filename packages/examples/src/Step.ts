/**
 * One step of the tour: what is asked, what comes back, what was heard meanwhile, how long it took. A step that does not
 * end as it should ends the tour.
 */
import type { UserEvent } from "@effect-realm/client"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Ref from "effect/Ref"
import * as Schema from "effect/Schema"
import { styleText } from "node:util"

// -----------------------------------------------------------------------------
// Model
// -----------------------------------------------------------------------------

/** What a step asks and shows. */
export interface Step<A, E, R> {
  readonly title: string
  /** The call, as one would write it. */
  readonly asked: string
  readonly does: Effect.Effect<A, E, R>
  /** What came back, in words. */
  readonly shows: (answer: A) => string
  /** The events that have to be heard, in their order; none by default. */
  readonly events?: ReadonlyArray<UserEvent.UserEvent["_tag"]>
}

/** Keeps count of the tour's steps and of the requests that left the client. */
export class Progress extends Context.Service<Progress, {
  readonly steps: Ref.Ref<number>
  readonly requests: Ref.Ref<number>
  /** Events that were heard and printed, and that no step has waited for yet. */
  readonly heard: Queue.Queue<UserEvent.UserEvent>
}>()("@effect-realm/examples/Progress") {}

// -----------------------------------------------------------------------------
// Errors
// -----------------------------------------------------------------------------

/** A step went wrong; the tour ends with it. */
export class StepFailed extends Schema.TaggedError<StepFailed>()("StepFailed", {
  step: Schema.Int,
  title: Schema.String,
  why: Schema.String
}) {
  override get message(): string {
    return `Step ${this.step} failed (${this.title}): ${this.why}`
  }
}

/** An answer is not what it should be. */
export class Unexpected extends Schema.TaggedError<Unexpected>()("Unexpected", { message: Schema.String }) {}

/** Goes on when a condition holds. */
export const check = (holds: boolean, message: string): Effect.Effect<void, Unexpected> =>
  holds ? Effect.void : Effect.fail(new Unexpected({ message }))

// -----------------------------------------------------------------------------
// How it looks
// -----------------------------------------------------------------------------

/** A line under a title, its label in a column of its own. */
export const line = (label: string, text: string): Effect.Effect<void> =>
  Console.log(`    ${styleText("dim", label.padEnd(6))}  ${text.split("\n").join(`\n${" ".repeat(12)}`)}`)

/** A duration for people, from nanoseconds. */
export const duration = (nanos: bigint): string => {
  const millis = Number(nanos) / 1e6
  return millis < 1000 ? `${millis.toFixed(millis < 10 ? 1 : 0)} ms` : `${(millis / 1000).toFixed(2)} s`
}

const requestsText = (count: number): string =>
  count === 0 ? "nothing sent" : count === 1 ? "1 request" : `${count.toLocaleString("en")} requests`

const why = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  return error instanceof Error && error.message !== "" ? error.message : String(error)
}

// -----------------------------------------------------------------------------
// Running
// -----------------------------------------------------------------------------

const awaitEvents = Effect.fnUntraced(function*(expected: ReadonlyArray<UserEvent.UserEvent["_tag"]>) {
  const { heard } = yield* Progress
  for (const tag of expected) {
    const event = yield* Queue.take(heard).pipe(
      Effect.timeoutOrElse({
        duration: "5 seconds",
        orElse: () => Effect.fail(new Unexpected({ message: `the event ${tag} did not come` }))
      })
    )
    yield* check(event._tag === tag, `the event ${event._tag} came in place of ${tag}`)
  }
  yield* check((yield* Queue.size(heard)) === 0, "an event came that nobody expected")
})

/** Runs a step and prints it as it goes. */
export const run = <A, E, R>(step: Step<A, E, R>): Effect.Effect<A, StepFailed, R | Progress> =>
  Effect.gen(function*() {
    const progress = yield* Progress
    const number = yield* Ref.updateAndGet(progress.steps, (count) => count + 1)
    yield* Console.log(`\n${String(number).padStart(2)}  ${styleText("bold", step.title)}`)
    yield* line("asked", step.asked)
    const requestsBefore = yield* Ref.get(progress.requests)
    const startedAt = yield* Clock.monotonicTimeNanos
    return yield* Effect.gen(function*() {
      const answer = yield* step.does
      const took = (yield* Clock.monotonicTimeNanos) - startedAt
      yield* awaitEvents(step.events ?? [])
      yield* line("got", step.shows(answer))
      yield* line("took", `${duration(took)}, ${requestsText((yield* Ref.get(progress.requests)) - requestsBefore)}`)
      return answer
    }).pipe(
      Effect.catchCause((cause) =>
        Cause.hasInterruptsOnly(cause)
          ? Effect.interrupt
          : Effect.fail(new StepFailed({ step: number, title: step.title, why: why(cause) }))
      )
    )
  })

/** The events of a client, printed as they come, until its scope closes. */
export const hear = (event: UserEvent.UserEvent): Effect.Effect<void, never, Progress> =>
  Effect.gen(function*() {
    yield* line("event", `${styleText("cyan", event._tag)} of ${event.userId}`)
    yield* Queue.offer((yield* Progress).heard, event)
  })

// -----------------------------------------------------------------------------
// Layers
// -----------------------------------------------------------------------------

/** A tour that has not begun. */
export const layer: Layer.Layer<Progress> = Layer.effect(
  Progress,
  Effect.gen(function*() {
    return Progress.of({
      steps: yield* Ref.make(0),
      requests: yield* Ref.make(0),
      heard: yield* Queue.unbounded<UserEvent.UserEvent>()
    })
  })
)
