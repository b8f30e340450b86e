/**
 * What a stage of a pipeline is.
 */
import { wholeNumber } from "./bsonNumber.ts"
import { type Fields, isFields } from "./bsonValue.ts"
import type { Setting } from "./expressionScope.ts"
import { badFilter } from "./failure.ts"
import { stepsWithin } from "./steps.ts"
import type { Paced } from "./work.ts"

/** Documents on their way from stage to stage, each made when it is needed. */
export type Documents = Paced<Fields>

/** What a pipeline is run with: the scope of its expressions, and other collections of its database. */
export interface Surroundings extends Setting {
  /** The documents of another collection that hold a filter in exact form. */
  readonly others: (collection: string, filter: Fields) => Documents
  /** A number from 0 up to, not including, 1. */
  readonly random: () => number
}

/** The surroundings of one document: what is done with it has an end of its own. */
export const ofDocument = (surroundings: Surroundings): Surroundings => ({
  ...surroundings,
  spend: stepsWithin(surroundings.spend)
})

/** A stage at work: it takes documents as it needs them, and makes others. */
export type Run = (documents: Documents, surroundings: Surroundings) => Documents

export interface Stage {
  readonly name: string
  readonly operand: unknown
  readonly run: Run
}

export const objectOf = (stage: string, operand: unknown): Fields => {
  if (!isFields(operand)) throw badFilter(`${stage} needs an object`, stage)
  return operand
}

export const countOf = (stage: string, operand: unknown, least: number): number => {
  const count = wholeNumber(operand)
  if (count === undefined || count < least) throw badFilter(`${stage} needs a whole number from ${least} on`, stage)
  return count
}
