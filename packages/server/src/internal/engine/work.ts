/**
 * Work that can be left and gone on with: between two places to pause there is little to do, so that long work keeps nobody
 * waiting.
 */

/** Each `yield` is a place to pause. */
export type Work<A> = Generator<undefined, A>

/** Things one by one, and places to pause, which are `undefined`: one of both after little work. */
export type Paced<A> = Iterable<A | undefined>

/** Gives up work that has paused: what it has open is closed. */
export const end = (work: Iterator<undefined, unknown>): void => {
  work.return?.()
}

export function* collected<A>(things: Paced<A>): Work<Array<A>> {
  const all: Array<A> = []
  let count = 0
  for (const thing of things) {
    if (thing !== undefined) all.push(thing)
    // a pause costs as much as the least that a stage of a pipeline does
    if (++count % 4 === 0) yield
  }
  return all
}

export function* mapped<A, B>(things: Iterable<A>, f: (thing: A) => B): Work<Array<B>> {
  const all: Array<B> = []
  for (const thing of things) {
    all.push(f(thing))
    yield
  }
  return all
}

type Compare<A> = (left: A, right: A) => number

// as many are put in order at once
const run = 32

// so many comparisons are little work
const few = 8

function* merged<A extends object>(
  left: ReadonlyArray<A>,
  right: ReadonlyArray<A>,
  compare: Compare<A>
): Work<Array<A>> {
  const all: Array<A> = []
  let taken = 0
  for (const thing of left) {
    for (let other = right[taken]; other !== undefined && compare(thing, other) > 0; other = right[taken]) {
      all.push(other)
      taken++
      if (all.length % few === 0) yield
    }
    all.push(thing)
    if (all.length % few === 0) yield
  }
  return taken === right.length ? all : all.concat(right.slice(taken))
}

/** Things in their order, those that are equal as they were. */
export function* sorted<A extends object>(things: ReadonlyArray<A>, compare: Compare<A>): Work<Array<A>> {
  let runs: Array<Array<A>> = []
  for (let from = 0; from < things.length; from += run) {
    runs.push(things.slice(from, from + run).toSorted(compare))
    yield
  }
  while (runs.length > 1) {
    const longer: Array<Array<A>> = []
    for (let index = 0; index < runs.length; index += 2) {
      longer.push(yield* merged(runs[index] ?? [], runs[index + 1] ?? [], compare))
    }
    runs = longer
  }
  return runs[0] ?? []
}
