/**
 * Numbers of four types as one ordered set, and arithmetic that keeps the types as MongoDB does.
 */
import { Decimal128, Double, Int32, Long } from "bson"
import { isLong } from "./bsonValue.ts"
import { aligned, ofParts, partsOf } from "./decimal.ts"

export type Numeric = Int32 | Double | Long | Decimal128

/**
 * An exact finite value: 0.d₁d₂d₃… × 10^exponent, no leading or trailing zeros. At most 34 digits, which is all of a
 * decimal128, all of an int64, and more than it takes to tell two doubles apart.
 */
export interface Digits {
  readonly negative: boolean
  readonly exponent: number
  readonly digits: string
}

const zero: Digits = { negative: false, exponent: 0, digits: "" }

const digitsOf = (negative: boolean, digits: string, exponent: number): Digits => {
  let start = 0
  while (start < digits.length && digits[start] === "0") start++
  let end = digits.length
  while (end > start && digits[end - 1] === "0") end--
  return start === end ? zero : { negative, digits: digits.slice(start, end), exponent: exponent - start }
}

const integerDigits = (text: string): Digits => {
  const negative = text.startsWith("-")
  const digits = negative ? text.slice(1) : text
  return digitsOf(negative, digits, digits.length)
}

// [-]d.ddde±x, [-]dd.ddd, [-]ddd
const parseDigits = (text: string): Digits => {
  const [mantissa = "", power = "0"] = text.toLowerCase().split("e")
  const negative = mantissa.startsWith("-")
  const [whole = "", fraction = ""] = mantissa.replace(/^[+-]/, "").split(".")
  return digitsOf(negative, whole + fraction, whole.length + Number(power))
}

/** The JavaScript number of an int32 or double, and of an int64 that fits one. */
export const plainNumber = (value: Numeric): number | undefined => {
  if (value instanceof Int32 || value instanceof Double) return value.value
  if (isLong(value)) {
    const number = value.toNumber()
    return Number.isSafeInteger(number) ? number : undefined
  }
  return undefined
}

/** The nearest JavaScript number. */
export const toNumber = (value: Numeric): number =>
  value instanceof Decimal128
    ? Number(value.toString())
    : isLong(value)
    ? value.toNumber()
    : value.value

/** Whether it is zero, which the nearest JavaScript number may be of a decimal that is none. */
export const isZero = (value: Numeric): boolean => {
  if (!(value instanceof Decimal128)) return toNumber(value) === 0
  const parts = toDigits(value)
  return typeof parts !== "number" && parts.digits === ""
}

/** The exact value, or the JavaScript number for NaN and the infinities. */
export const toDigits = (value: Numeric): Digits | number => {
  if (value instanceof Decimal128) {
    const text = value.toString()
    if (text.includes("NaN")) return Number.NaN
    if (text.includes("Inf")) return text.startsWith("-") ? -Infinity : Infinity
    return parseDigits(text)
  }
  if (isLong(value)) return integerDigits(value.toString())
  const number = value.value
  if (Number.isSafeInteger(number)) return integerDigits(String(number))
  // oxlint-disable-next-line oxc/number-arg-out-of-range -- up to 100 since ES2018, and all digits are exact
  return Number.isFinite(number) ? parseDigits(number.toExponential(33)) : number
}

const compareMagnitudes = (left: Digits, right: Digits): number =>
  left.exponent !== right.exponent
    ? left.exponent - right.exponent
    : left.digits < right.digits
    ? -1
    : left.digits > right.digits
    ? 1
    : 0

const signOf = (value: Digits): number => value.digits === "" ? 0 : value.negative ? -1 : 1

const compareDigits = (left: Digits, right: Digits): number => {
  const sign = signOf(left)
  if (sign !== signOf(right)) return sign - signOf(right)
  return sign === 0 ? 0 : sign * compareMagnitudes(left, right)
}

// NaN is equal to itself and below every other number
const compareDoubles = (left: number, right: number): number =>
  left < right ? -1 : left > right ? 1 : left === right ? 0 : Number(Number.isNaN(right)) - Number(Number.isNaN(left))

/** Order by value, whatever the types. */
export const compareNumbers = (left: Numeric, right: Numeric): number => {
  const leftPlain = plainNumber(left)
  const rightPlain = plainNumber(right)
  if (leftPlain !== undefined && rightPlain !== undefined) return compareDoubles(leftPlain, rightPlain)
  const leftDigits = toDigits(left)
  const rightDigits = toDigits(right)
  if (typeof leftDigits === "number") {
    return typeof rightDigits === "number"
      ? compareDoubles(leftDigits, rightDigits)
      : leftDigits === Infinity
      ? 1
      : -1
  }
  if (typeof rightDigits === "number") return rightDigits === Infinity ? -1 : 1
  return compareDigits(leftDigits, rightDigits)
}

/** In decimal128; of a double the digits that it is sure of. */
export const toDecimal = (value: Numeric): Decimal128 => {
  if (value instanceof Decimal128) return value
  if (value instanceof Int32) return Decimal128.fromString(String(value.value))
  if (isLong(value)) return Decimal128.fromString(value.toString())
  // MongoDB keeps the fifteen digits a double is sure of
  return Decimal128.fromString(
    Number.isFinite(value.value) ? String(Number(value.value.toPrecision(15))) : String(value.value)
  )
}

export type Operation = "add" | "subtract" | "multiply"

const combineDoubles = (operation: Operation, left: number, right: number): number =>
  operation === "add" ? left + right : operation === "subtract" ? left - right : left * right

const combineIntegers = (operation: Operation, left: bigint, right: bigint): bigint =>
  operation === "add" ? left + right : operation === "subtract" ? left - right : left * right

const combineDecimals = (operation: Operation, left: Decimal128, right: Decimal128): Decimal128 => {
  if (typeof toDigits(left) === "number" || typeof toDigits(right) === "number") {
    return Decimal128.fromString(String(combineDoubles(operation, toNumber(left), toNumber(right))))
  }
  const [a, b] = [partsOf(left), partsOf(right)]
  if (operation === "multiply") {
    return ofParts({ coefficient: a.coefficient * b.coefficient, exponent: a.exponent + b.exponent })
  }
  const [first, second, exponent] = aligned(a, b)
  return ofParts({ coefficient: combineIntegers(operation, first, second), exponent })
}

export const toBigInt = (value: Int32 | Long): bigint => value instanceof Int32 ? BigInt(value.value) : value.toBigInt()

/**
 * The sum, difference or product in the wider of the two types: int32 → int64 → double → decimal128. An int32 result that does
 * not fit becomes int64; `undefined` when an int64 does not fit.
 */
export const combine = (operation: Operation, left: Numeric, right: Numeric): Numeric | undefined => {
  if (left instanceof Decimal128 || right instanceof Decimal128) {
    return combineDecimals(operation, toDecimal(left), toDecimal(right))
  }
  if (left instanceof Double || right instanceof Double) {
    return new Double(combineDoubles(operation, toNumber(left), toNumber(right)))
  }
  const result = combineIntegers(operation, toBigInt(left), toBigInt(right))
  if (left instanceof Int32 && right instanceof Int32 && BigInt.asIntN(32, result) === result) {
    return new Int32(Number(result))
  }
  return BigInt.asIntN(64, result) === result ? Long.fromBigInt(result) : undefined
}

/** Zero in the type of a number: what a missing field is multiplied as. */
export const zeroLike = (value: Numeric): Numeric =>
  value instanceof Int32
    ? new Int32(0)
    : value instanceof Double
    ? new Double(0)
    : value instanceof Decimal128
    ? Decimal128.fromString("0")
    : Long.ZERO

/** A whole number as JavaScript number, or `undefined` for anything else. */
export const wholeNumber = (value: unknown): number | undefined => {
  if (!(value instanceof Int32 || value instanceof Double || value instanceof Decimal128 || isLong(value))) {
    return undefined
  }
  const number = toNumber(value)
  return Number.isSafeInteger(number) ? number : undefined
}
