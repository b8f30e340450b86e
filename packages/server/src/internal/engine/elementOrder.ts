/**
 * The order of the elements of an array: by the elements themselves, or by paths in them.
 */
import { wholeNumber } from "./bsonNumber.ts"
import { compare } from "./bsonOrder.ts"
import { isFields } from "./bsonValue.ts"
import { parsePath, sortValue } from "./documentPath.ts"
import { badFilter } from "./failure.ts"

/** `order` is 1, -1, or an object of paths with 1 or -1. */
export const elementOrder = (operator: string, order: unknown): (left: unknown, right: unknown) => number => {
  const direction = (value: unknown): 1 | -1 => {
    const sign = wholeNumber(value)
    if (sign !== 1 && sign !== -1) throw badFilter(`${operator} needs 1 or -1`, operator)
    return sign
  }
  if (!isFields(order)) {
    const sign = direction(order)
    return (left, right) => compare(left, right) * sign
  }
  if (Object.keys(order).length === 0) throw badFilter(`${operator} needs at least one field`, operator)
  const keys = Object.keys(order).map((name) => ({ path: parsePath(name), sign: direction(order[name]) }))
  return (left, right) => {
    for (const { path, sign } of keys) {
      const result = compare(
        isFields(left) ? sortValue(left, path, sign) : null,
        isFields(right) ? sortValue(right, path, sign) : null
      )
      if (result !== 0) return result * sign
    }
    return 0
  }
}
