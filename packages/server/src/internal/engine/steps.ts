/**
 * The steps that a look at a document takes, and how many of them are too many.
 */
import { badFilter } from "./failure.ts"

/** Counts steps of what is done, and stops it when there are too many. */
export type Spend = (steps: number) => void

/** Of all stages of a pipeline, for what they multiply is kept in memory. */
const maxOfPipeline = 10_000_000

/** Of one document: there is no place to pause within it. A step takes from 20 to 200 ns. */
const maxOfDocument = 3_000_000

const limited = (most: number, tooMany: string): Spend => {
  let left = most
  return (steps) => {
    left -= steps
    if (left < 0) throw badFilter(tooMany)
  }
}

const tooManyOfDocument =
  `it takes more than ${maxOfDocument} steps for one document; ask for less at a time, or keep smaller arrays`

/** The steps of one document. */
export const stepsOfDocument = (): Spend => limited(maxOfDocument, tooManyOfDocument)

/** The steps of a pipeline. */
export const stepsOfPipeline = (): Spend =>
  limited(maxOfPipeline, `the evaluation takes more than ${maxOfPipeline} steps`)

/** The steps of one document in a pipeline. */
export const stepsWithin = (spend: Spend): Spend => {
  const spendOfDocument = stepsOfDocument()
  return (steps) => {
    spendOfDocument(steps)
    spend(steps)
  }
}
