/**
 * Operators of aggregation expressions that look at the values of their operands alone.
 *
 * A value that is not there is `undefined`.
 */
import { Double, Int32, Long } from "bson"
import { absolute, combined, divide, power, remainder, round, Sum } from "./arithmetic.ts"
import { type Numeric, toNumber, wholeNumber } from "./bsonNumber.ts"
import { compare } from "./bsonOrder.ts"
import { assignFields, type Fields, getField, isArray, isFields, isNumeric, setField } from "./bsonValue.ts"
import * as Calendar from "./calendar.ts"
import { convert, isTrue, typeName } from "./conversion.ts"
import type { Rounding } from "./decimal.ts"
import { badFilter } from "./failure.ts"
import { encodeKey, keyText } from "./keyEncoding.ts"
import type { Spend } from "./steps.ts"

export interface Operator {
  /** How many operands it takes. */
  readonly from: number
  readonly to: number
  readonly apply: (operands: ReadonlyArray<unknown>, spend: Spend) => unknown
}

type Apply = Operator["apply"]

const taking = (from: number, to: number, apply: Apply): Operator => ({ from, to, apply })
const any = (apply: Apply): Operator => taking(0, Infinity, apply)
const one = (apply: (operand: unknown, spend: Spend) => unknown): Operator =>
  taking(1, 1, ([operand], spend) => apply(operand, spend))
const two = (apply: (left: unknown, right: unknown, spend: Spend) => unknown): Operator =>
  taking(2, 2, ([left, right], spend) => apply(left, right, spend))

export const isNothing = (value: unknown): value is null | undefined => value === null || value === undefined

/** Null when an operand is null or not there, as most operators answer. */
const unlessNothing = (apply: Apply): Apply => (operands, spend) =>
  operands.some(isNothing) ? null : apply(operands, spend)

const numberOf = (operator: string, value: unknown): Numeric => {
  if (!isNumeric(value)) {
    throw badFilter(`${operator} only supports numeric types, not ${typeName(value)}`, operator)
  }
  return value
}

const wholeOf = (operator: string, value: unknown): number => {
  const number = wholeNumber(value)
  if (number === undefined) throw badFilter(`${operator} needs a whole number`, operator)
  return number
}

const textOf = (operator: string, value: unknown): string => {
  if (typeof value !== "string") throw badFilter(`${operator} needs a text, not ${typeName(value)}`, operator)
  return value
}

const arrayOf = (operator: string, value: unknown): ReadonlyArray<unknown> => {
  if (!isArray(value)) throw badFilter(`${operator} needs an array, not ${typeName(value)}`, operator)
  return value
}

const numeric = (operator: string, apply: (...numbers: ReadonlyArray<Numeric>) => unknown, count: number): Operator =>
  taking(
    count,
    count,
    unlessNothing((operands) => apply(...operands.map((operand) => numberOf(operator, operand))))
  )

const real = (operator: string, f: (...numbers: ReadonlyArray<number>) => number, count = 1): Operator =>
  numeric(operator, (...numbers) => new Double(f(...numbers.map(toNumber))), count)

const add: Apply = unlessNothing((operands) => {
  let date: Date | undefined
  let sum: Numeric = new Int32(0)
  for (const operand of operands) {
    if (operand instanceof Date) {
      if (date !== undefined) throw badFilter("only one date allowed in an $add expression", "$add")
      date = operand
    } else sum = combined("add", sum, numberOf("$add", operand))
  }
  return date === undefined ? sum : Calendar.dateOf("$add", date.getTime() + Math.round(toNumber(sum)))
})

const subtract: Apply = unlessNothing(([left, right]) => {
  if (!(left instanceof Date)) {
    return combined("subtract", numberOf("$subtract", left), numberOf("$subtract", right))
  }
  return right instanceof Date
    ? Long.fromNumber(left.getTime() - right.getTime())
    : Calendar.dateOf("$subtract", left.getTime() - Math.round(toNumber(numberOf("$subtract", right))))
})

const rounding = (operator: string, rounding: Rounding): Operator =>
  taking(
    1,
    2,
    unlessNothing(([value, place = new Int32(0)]) => {
      const digits = wholeOf(operator, place)
      if (digits < -20 || digits > 100) throw badFilter(`${operator} rounds to -20 to 100 places`, operator)
      return round(rounding, numberOf(operator, value), digits)
    })
  )

const ordered = (accept: (order: number) => unknown): Operator => two((left, right) => accept(compare(left, right)))

/** The values of a set, each once. */
const keyed = (values: ReadonlyArray<unknown>): Map<string, unknown> => {
  const set = new Map<string, unknown>()
  for (const value of values) {
    const key = keyText(encodeKey([value]))
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

const indexOf = (
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

/** The operands of an operator that takes an array or several operands. */
const listed = (operands: ReadonlyArray<unknown>): ReadonlyArray<unknown> => {
  const [only] = operands
  return operands.length === 1 && isArray(only) ? only : operands
}

const numbersOf = (values: ReadonlyArray<unknown>): ReadonlyArray<Numeric> => values.filter(isNumeric)

export const sumOf = (values: ReadonlyArray<unknown>): Numeric => {
  const sum = new Sum()
  for (const value of values) sum.add(value)
  return sum.total()
}

export const averageOf = (values: ReadonlyArray<unknown>): Numeric | null => {
  const numbers = numbersOf(values)
  return numbers.length === 0 ? null : divide(sumOf(numbers), new Int32(numbers.length))
}

export const extremeOf = (values: ReadonlyArray<unknown>, sign: 1 | -1): unknown => {
  let best: unknown
  for (const value of values) {
    if (!isNothing(value) && (best === undefined || compare(value, best) * sign > 0)) best = value
  }
  return best ?? null
}

export const deviationOf = (values: ReadonlyArray<unknown>, lost: 0 | 1): Double | null => {
  const numbers = numbersOf(values).map(toNumber)
  if (numbers.length <= lost) return null
  const mean = numbers.reduce((sum, number) => sum + number, 0) / numbers.length
  const squares = numbers.reduce((sum, number) => sum + (number - mean) ** 2, 0)
  return new Double(Math.sqrt(squares / (numbers.length - lost)))
}

const positive = (operator: string, f: (value: number) => number): Operator =>
  real(operator, (value) => {
    if (value <= 0) throw badFilter(`${operator}'s argument must be a positive number`, operator)
    return f(value)
  })

export const operators: { readonly [name: string]: Operator } = {
  $abs: numeric("$abs", (value = new Int32(0)) => absolute(value), 1),
  $add: any(add),
  $subtract: taking(2, 2, subtract),
  $multiply: any(unlessNothing((operands) =>
    operands.map((operand) => numberOf("$multiply", operand)).reduce(
      (product, number) => combined("multiply", product, number),
      new Int32(1)
    )
  )),
  $divide: numeric("$divide", (left = new Int32(0), right = new Int32(0)) => divide(left, right), 2),
  $mod: numeric("$mod", (left = new Int32(0), right = new Int32(0)) => remainder(left, right), 2),
  $pow: numeric("$pow", (left = new Int32(0), right = new Int32(0)) => power(left, right), 2),
  $ceil: rounding("$ceil", "ceil"),
  $floor: rounding("$floor", "floor"),
  $trunc: rounding("$trunc", "trunc"),
  $round: rounding("$round", "round"),
  $sqrt: real("$sqrt", (value = 0) => {
    if (value < 0) throw badFilter("$sqrt's argument must be greater than or equal to 0", "$sqrt")
    return Math.sqrt(value)
  }),
  $exp: real("$exp", (value = 0) => Math.exp(value)),
  $ln: positive("$ln", Math.log),
  $log10: positive("$log10", Math.log10),
  $log: real("$log", (value = 0, base = 0) => {
    if (value <= 0 || base <= 0 || base === 1) {
      throw badFilter("$log needs positive numbers, a base other than 1", "$log")
    }
    return Math.log(value) / Math.log(base)
  }, 2),
  $sin: real("$sin", (value = 0) => Math.sin(value)),
  $cos: real("$cos", (value = 0) => Math.cos(value)),
  $tan: real("$tan", (value = 0) => Math.tan(value)),
  $asin: real("$asin", (value = 0) => Math.asin(value)),
  $acos: real("$acos", (value = 0) => Math.acos(value)),
  $atan: real("$atan", (value = 0) => Math.atan(value)),
  $atan2: real("$atan2", (y = 0, x = 0) => Math.atan2(y, x), 2),
  $degreesToRadians: real("$degreesToRadians", (value = 0) => value * Math.PI / 180),
  $radiansToDegrees: real("$radiansToDegrees", (value = 0) => value * 180 / Math.PI),

  $cmp: ordered((order) => new Int32(Math.sign(order))),
  $eq: ordered((order) => order === 0),
  $ne: ordered((order) => order !== 0),
  $gt: ordered((order) => order > 0),
  $gte: ordered((order) => order >= 0),
  $lt: ordered((order) => order < 0),
  $lte: ordered((order) => order <= 0),
  $not: one((value) => !isTrue(value)),

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
  $allElementsTrue: one((value) => arrayOf("$allElementsTrue", value).every(isTrue)),

  $concat: any(unlessNothing((operands, spend) => {
    const text = operands.map((operand) => textOf("$concat", operand)).join("")
    spend(text.length >> 6)
    return text
  })),
  $indexOfCP: taking(2, 4, ([value, part, ...bounds]) => {
    if (isNothing(value)) return null
    const points = [...textOf("$indexOfCP", value)]
    const wanted = [...textOf("$indexOfCP", part)]
    return indexOf(
      "$indexOfCP",
      points.length,
      (index) => wanted.every((point, offset) => points[index + offset] === point),
      bounds
    )
  }),

  $type: one(typeName),
  $isNumber: one(isNumeric),
  $toBool: one((value) => convert(value, "bool")),
  $toDate: one((value) => convert(value, "date")),
  $toDecimal: one((value) => convert(value, "decimal")),
  $toDouble: one((value) => convert(value, "double")),
  $toInt: one((value) => convert(value, "int")),
  $toLong: one((value) => convert(value, "long")),
  $toObjectId: one((value) => convert(value, "objectId")),
  $toString: one((value) => convert(value, "string")),

  $sum: any((operands) => sumOf(listed(operands))),
  $avg: any((operands) => averageOf(listed(operands))),
  $min: any((operands) => extremeOf(listed(operands), -1)),
  $max: any((operands) => extremeOf(listed(operands), 1)),
  $stdDevPop: any((operands) => deviationOf(listed(operands), 0)),
  $stdDevSamp: any((operands) => deviationOf(listed(operands), 1))
}
