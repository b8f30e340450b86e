/**
 * What operators of aggregation expressions are that look at the values of their operands alone, and what they take.
 *
 * A value that is not there is `undefined`.
 */
import { Int32 } from "bson"
import { type Numeric, wholeNumber } from "./bsonNumber.ts"
import { isArray, isNumeric } from "./bsonValue.ts"
import { typeName } from "./conversion.ts"
import { badFilter } from "./failure.ts"
import type { Spend } from "./steps.ts"

export interface Operator {
  /** How many operands it takes. */
  readonly from: number
  readonly to: number
  readonly apply: (operands: ReadonlyArray<unknown>, spend: Spend) => unknown
}

export type Apply = Operator["apply"]

export const taking = (from: number, to: number, apply: Apply): Operator => ({ from, to, apply })
export const any = (apply: Apply): Operator => taking(0, Infinity, apply)
export const one = (apply: (operand: unknown, spend: Spend) => unknown): Operator =>
  taking(1, 1, ([operand], spend) => apply(operand, spend))
export const two = (apply: (left: unknown, right: unknown, spend: Spend) => unknown): Operator =>
  taking(2, 2, ([left, right], spend) => apply(left, right, spend))

export const isNothing = (value: unknown): value is null | undefined => value === null || value === undefined

/** Null when an operand is null or not there, as most operators answer. */
export const unlessNothing = (apply: Apply): Apply => (operands, spend) =>
  operands.some(isNothing) ? null : apply(operands, spend)

export const numberOf = (operator: string, value: unknown): Numeric => {
  if (!isNumeric(value)) {
    throw badFilter(`${operator} only supports numeric types, not ${typeName(value)}`, operator)
  }
  return value
}

export const wholeOf = (operator: string, value: unknown): number => {
  const number = wholeNumber(value)
  if (number === undefined) throw badFilter(`${operator} needs a whole number`, operator)
  return number
}

export const textOf = (operator: string, value: unknown): string => {
  if (typeof value !== "string") throw badFilter(`${operator} needs a text, not ${typeName(value)}`, operator)
  return value
}

export const arrayOf = (operator: string, value: unknown): ReadonlyArray<unknown> => {
  if (!isArray(value)) throw badFilter(`${operator} needs an array, not ${typeName(value)}`, operator)
  return value
}

/** The first place from the bounds on, if they are given, that is what is looked for; -1 for none. */
export const indexOf = (
  operator: string,
  length: number,
  isAt: (index: number) => boolean,
  bounds: ReadonlyArray<unknown>
) => {
  const [from = 0, to = length] = bounds.map((bound) => {
    const place = wholeOf(operator, bound)
    if (place < 0) throw badFilter(`${operator} looks from 0 on, and not before it`, operator)
    return place
  })
  for (let index = from; index < Math.min(to, length); index++) if (isAt(index)) return new Int32(index)
  return new Int32(-1)
}
