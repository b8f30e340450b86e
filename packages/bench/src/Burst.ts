/**
 * Calls that find the same token expired, from many who share a store: how many exchanges that was, and how long it took.
 */
import type * as Row from "./Row.ts"
import type { Sizes } from "./Sizes.ts"

/** What came of the calls of one round. */
export interface Burst {
  /** Until all were answered, in milliseconds. */
  readonly took: number
  readonly exchanges: number
}

/** How many calls each of them makes. */
export const calls = 50

/**
 * The rows of bursts.
 *
 * @param bursts of all of them together, and of one that makes as many calls alone
 */
export const rows = (
  one: string,
  many: string,
  where: string,
  sizes: Sizes,
  bursts: { readonly together: ReadonlyArray<Burst>; readonly alone: ReadonlyArray<Burst> }
): ReadonlyArray<Row.Row> => {
  const asked = `${sizes.processes} ${many} with ${calls} calls each on an expired token`
  const alone = `ours, one ${one} with as many calls`
  const samples = (of: (burst: Burst) => number) => ({
    ours: { name: "ours", samples: bursts.together.map(of) },
    peers: [{ name: alone, samples: bursts.alone.map(of) }]
  })
  const exchanges = samples(({ exchanges }) => exchanges)
  return [
    {
      measured: `exchanges for ${asked}, ${where}`,
      unit: "",
      ...exchanges,
      ours: { ...exchanges.ours, aim: { _tag: "AtMost", bound: 1 } }
    },
    { measured: `until all are answered: ${asked}, ${where}`, unit: "ms", ...samples(({ took }) => took) }
  ]
}
