/**
 * A row of the table: one thing measured, ours first and its peers after it, all in the same rounds.
 */
import * as Effect from "effect/Effect"

// -----------------------------------------------------------------------------
// Model
// -----------------------------------------------------------------------------

/** What a figure should be: of ours the figure itself, of a peer the ratio of ours to it. */
export interface Aim {
  readonly _tag: "AtLeast" | "AtMost"
  readonly bound: number
}

/** Somebody who was measured, with one sample a round. */
export interface Subject {
  readonly name: string
  readonly samples: ReadonlyArray<number>
  readonly aim?: Aim
}

/** One thing measured. */
export interface Row {
  readonly measured: string
  readonly unit: string
  readonly ours: Subject
  readonly peers: ReadonlyArray<Subject>
}

/** The middle of some samples, and how far they spread. */
export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

/** An aim, and how it went. */
export interface Verdict {
  readonly aim: Aim
  readonly subject: Subject
  readonly reached: number
  readonly met: boolean
}

// -----------------------------------------------------------------------------
// Constructors
// -----------------------------------------------------------------------------

/** Somebody to measure: one sample each time it runs. */
export interface Measurement<E, R> {
  readonly name: string
  readonly sample: Effect.Effect<number, E, R>
  readonly aim?: Aim
}

/**
 * Measures all subjects in turn, A B C A B C, so that whatever else the machine does falls on all of them alike. One
 * more round goes first and is not counted: it warms up what is compiled while it runs.
 */
export const measure = Effect.fnUntraced(function*<E, R>(
  rounds: number,
  row: {
    readonly measured: string
    readonly unit: string
    readonly ours: Measurement<E, R>
    readonly peers: ReadonlyArray<Measurement<E, R>>
  }
): Effect.fn.Return<Row, E, R> {
  const all = [row.ours, ...row.peers].map((subject) => ({ ...subject, samples: new Array<number>() }))
  for (const { sample } of all) yield* sample
  for (let round = 0; round < rounds; round++) {
    for (const { sample, samples } of all) samples.push(yield* sample)
  }
  const [ours, ...peers] = all.map(({ sample: _, ...subject }): Subject => subject)
  return { measured: row.measured, unit: row.unit, ours: ours!, peers }
})

/**
 * Calls an operation for a while, so many at a time, and answers how often it ran in a second. After `most` calls it has
 * run often enough.
 */
export const rate = Effect.fnUntraced(function*<A, E, R>(
  operation: Effect.Effect<A, E, R>,
  options: { readonly millis: number; readonly inFlight: number; readonly most?: number }
): Effect.fn.Return<number, E, R> {
  const { millis, most = Infinity } = options
  let calls = 0
  const begin = performance.now()
  const worker = Effect.whileLoop({
    while: () => calls < most && performance.now() - begin < millis,
    body: () => operation,
    step: () => {
      calls++
    }
  })
  yield* Effect.all(Array.from({ length: options.inFlight }, () => worker), { concurrency: "unbounded", discard: true })
  return calls / (performance.now() - begin) * 1000
})

/** The same for an operation that is a plain asynchronous function, with nothing of Effect in its loop. */
export const rateOfPromise = async (
  operation: () => Promise<unknown>,
  options: { readonly millis: number; readonly inFlight: number }
): Promise<number> => {
  let calls = 0
  const begin = performance.now()
  const worker = async () => {
    while (performance.now() - begin < options.millis) {
      await operation()
      calls++
    }
  }
  await Promise.all(Array.from({ length: options.inFlight }, worker))
  return calls / (performance.now() - begin) * 1000
}

/**
 * Runs an operation so many times, one after another, and answers how many microseconds each took. After so many
 * milliseconds as many as have run by then are enough: a sample of something slow has not to take for ever.
 */
export const cost = Effect.fnUntraced(function*<A, E, R>(
  operation: Effect.Effect<A, E, R>,
  times: number,
  millis = Infinity
): Effect.fn.Return<number, E, R> {
  let ran = 0
  const begin = performance.now()
  yield* Effect.whileLoop({
    while: () => ran < times && (ran === 0 || millis === Infinity || performance.now() - begin < millis),
    body: () => operation,
    step: () => {
      ran++
    }
  })
  return (performance.now() - begin) / ran * 1000
})

// -----------------------------------------------------------------------------
// Combinators
// -----------------------------------------------------------------------------

/** The middle and the spread of samples. */
export const spread = (samples: ReadonlyArray<number>): Spread => {
  const sorted = samples.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  const [low = Number.NaN, high = Number.NaN] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]]
  return { median: (low + high) / 2, min: sorted[0] ?? Number.NaN, max: sorted.at(-1) ?? Number.NaN }
}

/** Ours over a peer, round by round. */
export const ratios = (row: Row, peer: Subject): ReadonlyArray<number> =>
  row.ours.samples.map((sample, round) => sample / peer.samples[round]!)

/** Every aim of a row and how it went. */
export const verdicts = (row: Row): ReadonlyArray<Verdict> =>
  [row.ours, ...row.peers].flatMap((subject) => {
    if (subject.aim === undefined) return []
    const { aim } = subject
    const reached = spread(subject === row.ours ? subject.samples : ratios(row, subject)).median
    return [{ aim, subject, reached, met: aim._tag === "AtLeast" ? reached >= aim.bound : reached <= aim.bound }]
  })
