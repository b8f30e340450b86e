/**
 * Operators of aggregation expressions on arrays, sets and objects.
 */
import { Int32 } from "bson"
import { compare } from "./bsonOrder.ts"
import { assignFields, type Fields, getField, isArray, isFields, setField } from "./bsonValue.ts"
import { isTrue, typeName } from "./conversion.ts"
import { badFilter } from "./failure.ts"
import { valueKey } from "./keyEncoding.ts"
import {
  any,
  type Apply,
  arrayOf,
  indexOf,
  isNothing,
  one,
  type Operator,
  taking,
  two,
  unlessNothing,
  wholeOf
} from "./operator.ts"

/** The values of a set, each once. */
const keyed = (values: ReadonlyArray<unknown>): Map<string, unknown> => {
  const set = new Map<string, unknown>()
  for (const value of values) {
    const key = valueKey(value)
    if (!set.has(key)) set.set(key, value)
  }
  return set
}

const sets =
  (operator: string, apply: (sets: ReadonlyArray<Map<string, unknown>>) => unknown, orNull = true): Apply =>
  (operands, spend) => {
    if (orNull && operands.some(isNothing)) return null
    const arrays = operands.map((operand) => arrayOf(operator, operand))
    spend(arrays.reduce((count, array) => count + array.length, 0))
    return apply(arrays.map(keyed))
  }

const inOrder = (set: Iterable<unknown>): ReadonlyArray<unknown> => [...set].toSorted(compare)

const elementAt = (array: ReadonlyArray<unknown>, index: number): unknown => array.at(index)

const slice: Apply = unlessNothing(([value, first, count]) => {
  const array = arrayOf("$slice", value)
  const start = wholeOf("$slice", first)
  if (count === undefined) return start < 0 ? array.slice(start) : array.slice(0, start)
  const length = wholeOf("$slice", count)
  if (length <= 0) throw badFilter("$slice needs a positive count of elements", "$slice")
  const from = start < 0 ? Math.max(0, array.length + start) : start
  return array.slice(from, from + length)
})

const range: Apply = (operands, spend) => {
  const [from = 0, to = 0, by = 1] = operands.map((operand) => {
    const number = wholeOf("$range", operand)
    if (number !== (number | 0)) throw badFilter("$range needs numbers of 32 bits", "$range")
    return number
  })
  if (by === 0) throw badFilter("$range needs a step other than 0", "$range")
  const length = Math.max(0, Math.ceil((to - from) / by))
  spend(length)
  return Array.from({ length }, (_, index) => new Int32(from + index * by))
}

const toPairs = (operator: string, value: unknown): Fields => {
  const fields: Fields = {}
  const pairs = arrayOf(operator, value)
  const isOfLists = isArray(pairs[0])
  for (const pair of pairs) {
    const [name, content, ...others] = isArray(pair) === isOfLists && isArray(pair)
      ? pair
      : isFields(pair) && !isOfLists && Object.keys(pair).length === 2
      ? [getField(pair, "k"), getField(pair, "v")]
      : []
    if (typeof name !== "string" || name.includes("\0") || content === undefined || others.length > 0) {
      throw badFilter(`${operator} needs pairs [name, value], or all of them as { k, v }`, operator)
    }
    setField(fields, name, content)
  }
  return fields
}

const mergeObjects: Apply = (operands) => {
  const merged: Fields = {}
  for (const operand of operands.length === 1 && isArray(operands[0]) ? operands[0] : operands) {
    if (isNothing(operand)) continue
    if (!isFields(operand)) throw badFilter(`$mergeObjects needs objects, not ${typeName(operand)}`, "$mergeObjects")
    assignFields(merged, operand)
  }
  return merged
}

export const arrayOperators: { readonly [operator: string]: Operator } = {
  $arrayElemAt: taking(
    2,
    2,
    unlessNothing(([array, index]) => elementAt(arrayOf("$arrayElemAt", array), wholeOf("$arrayElemAt", index)))
  ),
  $first: one((value) => isNothing(value) ? null : elementAt(arrayOf("$first", value), 0)),
  $last: one((value) => isNothing(value) ? null : elementAt(arrayOf("$last", value), -1)),
  $isArray: one(isArray),
  $size: one((value) => new Int32(arrayOf("$size", value).length)),
  $slice: taking(2, 3, slice),
  $range: taking(2, 3, range),
  $reverseArray: one((value) => isNothing(value) ? null : arrayOf("$reverseArray", value).toReversed()),
  $concatArrays: any(unlessNothing((operands, spend) => {
    const arrays = operands.map((operand) => arrayOf("$concatArrays", operand))
    spend(arrays.reduce((count, array) => count + array.length, 0))
    return arrays.flat()
  })),
  $in: two((value, array, spend) => {
    const elements = arrayOf("$in", array)
    spend(elements.length)
    return elements.some((element) => compare(element, value) === 0)
  }),
  $indexOfArray: taking(2, 4, ([value, element, ...bounds]) => {
    if (isNothing(value)) return null
    const array = arrayOf("$indexOfArray", value)
    return indexOf("$indexOfArray", array.length, (index) => compare(array[index], element) === 0, bounds)
  }),
  $arrayToObject: one((value) => isNothing(value) ? null : toPairs("$arrayToObject", value)),
  $objectToArray: one((value) => {
    if (isNothing(value)) return null
    if (!isFields(value)) throw badFilter(`$objectToArray needs an object, not ${typeName(value)}`, "$objectToArray")
    return Object.keys(value).map((k) => ({ k, v: getField(value, k) }))
  }),
  $mergeObjects: any(mergeObjects),

  $setUnion: any(sets("$setUnion", (all) => inOrder(keyed(all.flatMap((set) => [...set.values()])).values()))),
  $setIntersection: any(
    sets("$setIntersection", ([first = new Map(), ...others]) =>
      inOrder(
        [...first].filter(([key]) => others.every((set) => set.has(key))).map(([, value]) => value)
      ))
  ),
  $setDifference: taking(
    2,
    2,
    sets(
      "$setDifference",
      ([first = new Map(), second = new Map()]) =>
        [...first].filter(([key]) => !second.has(key)).map(([, value]) => value)
    )
  ),
  $setEquals: taking(
    2,
    Infinity,
    sets(
      "$setEquals",
      ([first = new Map(), ...others]) =>
        others.every((set) => set.size === first.size && [...first.keys()].every((key) => set.has(key))),
      false
    )
  ),
  $setIsSubset: taking(
    2,
    2,
    sets(
      "$setIsSubset",
      ([first = new Map(), second = new Map()]) => [...first.keys()].every((key) => second.has(key)),
      false
    )
  ),
  $anyElementTrue: one((value) => arrayOf("$anyElementTrue", value).some(isTrue)),
  $allElementsTrue: one((value) => arrayOf("$allElementsTrue", value).every(isTrue))
}
