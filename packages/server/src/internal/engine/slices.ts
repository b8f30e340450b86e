/**
 * Work in slices: what takes longer than one goes on in later turns of the event loop, for one slice in each, so that
 * everything else of the process has its turn in between.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { end, type Work } from "./work.ts"

/**
 * How long the first slice of work is, in milliseconds; later ones are half as long, for a request waits for one in each of the turns
 * that it takes. It is no setting: with 0, for tests, work pauses wherever it can.
 */
export const SliceLength: Context.Reference<number> = Context.Reference(
  "@effect-realm/server/internal/engine/SliceLength",
  { defaultValue: () => 4 }
)

// The clock is not looked at in every place, for that may cost as much as what lies between two of them; only where a look
// shows that there is much between them.
const mostPlaces = 16
const muchMillis = 0.5

/**
 * What is done one after another, so that all others of its kind wait for the end of one, and what is done beside others. In each
 * turn both have a slice: else many of the latter would keep all of the former waiting.
 */
export type Kind = "alone" | "beside"

type Slice = (until: number) => void

export class Slices {
  readonly #length: number
  /** What goes on in later turns, in their order. */
  readonly #waiting: Readonly<Record<Kind, Set<Slice>>> = { alone: new Set(), beside: new Set() }
  #isScheduled = false
  /** When the first slices of all work are over that begins in this turn. */
  #firstOver: number | undefined

  constructor(length: number) {
    this.#length = length
  }

  /**
   * Goes on with work until it ends, or for one slice: then it answers `undefined`.
   *
   * @param until when the slice is over, if it is not the first of the work
   */
  advance<A>(work: Work<A>, until?: number): Result.Result<A, unknown> | undefined {
    try {
      let over = until
      let places = this.#length === 0 ? 1 : 4
      let left = places
      let looked: number | undefined
      while (true) {
        const place = work.next()
        if (place.done === true) return Result.succeed(place.value)
        if (--left > 0) continue
        const now = performance.now()
        // most work has ended before anybody looks at the clock
        over ??= this.#firstOver ?? this.#beginTurn(now)
        if (now >= over) return undefined
        if (looked !== undefined) places = now - looked < muchMillis ? Math.min(2 * places, mostPlaces) : 1
        left = places
        looked = now
      }
    } catch (error) {
      return Result.fail(error)
    }
  }

  /** Much may begin in one turn, as when many requests have come in: all of it has one slice together. */
  #beginTurn(now: number): number {
    setImmediate(() => {
      this.#firstOver = undefined
    })
    return this.#firstOver = now + this.#length
  }

  /** Goes on with work until it ends, from the next turn on. Returns what gives it up. */
  goOn<A>(work: Work<A>, kind: Kind, settle: (result: Result.Result<A, unknown>) => void): () => void {
    const waiting = this.#waiting[kind]
    const slice = (until: number) => {
      const result = this.advance(work, until)
      if (result === undefined) this.#add(waiting, slice)
      else settle(result)
    }
    this.#add(waiting, slice)
    return () => {
      waiting.delete(slice)
      end(work)
    }
  }

  /** Does work beside other work. It dies of what is thrown. */
  run<A>(work: Work<A>): Effect.Effect<A> {
    return Effect.callback((resume) => {
      const settle = (result: Result.Result<A, unknown>): void =>
        resume(Result.isSuccess(result) ? Effect.succeed(result.success) : Effect.die(result.failure))
      const result = this.advance(work)
      if (result === undefined) return Effect.sync(this.goOn(work, "beside", settle))
      settle(result)
    })
  }

  #add(waiting: Set<Slice>, slice: Slice): void {
    waiting.add(slice)
    this.#schedule()
  }

  #schedule(): void {
    const { alone, beside } = this.#waiting
    if (this.#isScheduled || alone.size + beside.size === 0) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#goThrough(alone)
      this.#goThrough(beside)
      this.#isScheduled = false
      this.#schedule()
    })
  }

  #goThrough(waiting: Set<Slice>): void {
    if (waiting.size === 0) return
    const until = performance.now() + this.#length / 2
    for (const slice of waiting) {
      waiting.delete(slice)
      slice(until)
      if (performance.now() >= until) break
    }
  }
}
