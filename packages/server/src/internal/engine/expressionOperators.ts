/**
 * Operators of aggregation expressions on numbers, types, and values of any type.
 */
import { Decimal128, Double, Int32, Long } from "bson"
import { absolute, combined, divide, power, remainder, round, Sum } from "./arithmetic.ts"
import { type Numeric, toDecimal, toNumber } from "./bsonNumber.ts"
import { compare } from "./bsonOrder.ts"
import { isArray, isNumeric } from "./bsonValue.ts"
import * as Calendar from "./calendar.ts"
import { convert, isTrue, typeName } from "./conversion.ts"
import type { Rounding } from "./decimal.ts"
import { badFilter } from "./failure.ts"
import {
  any,
  type Apply,
  isNothing,
  numberOf,
  one,
  type Operator,
  taking,
  two,
  unlessNothing,
  wholeOf
} from "./operator.ts"

const numeric = (operator: string, apply: (...numbers: ReadonlyArray<Numeric>) => unknown, count: number): Operator =>
  taking(
    count,
    count,
    unlessNothing((operands) => apply(...operands.map((operand) => numberOf(operator, operand))))
  )

const real = (operator: string, f: (...numbers: ReadonlyArray<number>) => number, count = 1): Operator =>
  numeric(operator, (...numbers) => {
    const result = new Double(f(...numbers.map(toNumber)))
    return numbers.some((number) => number instanceof Decimal128) ? toDecimal(result) : result
  }, count)

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
