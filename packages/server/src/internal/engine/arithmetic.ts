/**
 * The arithmetic of aggregation expressions: the type of a result is MongoDB's, from the types of its operands.
 */
import { Decimal128, Double, Int32, Long } from "bson"
import {
  combine,
  isZero,
  type Numeric,
  type Operation,
  toBigInt,
  toDecimal,
  toDigits,
  toNumber,
  wholeNumber
} from "./bsonNumber.ts"
import { isLong, isNumeric } from "./bsonValue.ts"
import { aligned, ofParts, partsOf, quotient, rounded, type Rounding } from "./decimal.ts"
import { badFilter } from "./failure.ts"

const isInteger = (value: Numeric): value is Int32 | Long => value instanceof Int32 || isLong(value)

const isFinite = (value: Numeric): boolean => typeof toDigits(value) !== "number"

/** A whole number in the narrowest integer type that holds it, int64 at least when `wide`; a double when none does. */
export const integer = (value: bigint, wide: boolean): Numeric =>
  !wide && BigInt.asIntN(32, value) === value
    ? new Int32(Number(value))
    : BigInt.asIntN(64, value) === value
    ? Long.fromBigInt(value)
    : new Double(Number(value))

/** As `combine`, and a double where an int64 would not fit. */
export const combined = (operation: Operation, left: Numeric, right: Numeric): Numeric =>
  combine(operation, left, right) ??
    combine(operation, new Double(toNumber(left)), new Double(toNumber(right))) ?? new Double(Number.NaN)

const decimal = (value: number): Decimal128 => Decimal128.fromString(String(value))

export const divide = (left: Numeric, right: Numeric): Numeric => {
  if (isZero(right)) throw badFilter("can't $divide by zero", "$divide")
  if (!(left instanceof Decimal128 || right instanceof Decimal128)) return new Double(toNumber(left) / toNumber(right))
  if (!isFinite(left) || !isFinite(right)) return decimal(toNumber(left) / toNumber(right))
  return ofParts(quotient(partsOf(toDecimal(left)), partsOf(toDecimal(right))))
}

export const remainder = (left: Numeric, right: Numeric): Numeric => {
  if (isZero(right)) throw badFilter("can't $mod by zero", "$mod")
  if (isInteger(left) && isInteger(right)) {
    return integer(toBigInt(left) % toBigInt(right), isLong(left) || isLong(right))
  }
  if (!(left instanceof Decimal128 || right instanceof Decimal128)) return new Double(toNumber(left) % toNumber(right))
  if (!isFinite(left) || !isFinite(right)) return decimal(toNumber(left) % toNumber(right))
  const [dividend, divisor, exponent] = aligned(partsOf(toDecimal(left)), partsOf(toDecimal(right)))
  return ofParts({ coefficient: dividend % divisor, exponent })
}

export const absolute = (value: Numeric): Numeric => {
  if (isInteger(value)) {
    const whole = toBigInt(value)
    return integer(whole < 0n ? -whole : whole, isLong(value))
  }
  if (value instanceof Double) return new Double(Math.abs(value.value))
  return Decimal128.fromString(value.toString().replace(/^-/, ""))
}

// to even when it is half way, as MongoDB rounds
const roundHalfEven = (value: number): number => {
  const floor = Math.floor(value)
  const rest = value - floor
  return rest === 0.5 ? floor + (floor % 2 === 0 ? 0 : 1) : Math.round(value)
}

const roundDouble = (rounding: Rounding, value: number): number =>
  rounding === "round" ? roundHalfEven(value) : Math[rounding](value)

// the digits that a double has, not those that it is printed with
const exactDecimal = (value: number): Decimal128 =>
  // oxlint-disable-next-line oxc/number-arg-out-of-range -- up to 100 since ES2018
  Decimal128.fromString(value.toExponential(33))

/** A number rounded to `place` digits after the point, before it when negative. */
export const round = (rounding: Rounding, value: Numeric, place: number): Numeric => {
  if (!isFinite(value) || (isInteger(value) && place >= 0)) return value
  if (value instanceof Double && place === 0) return new Double(roundDouble(rounding, value.value))
  const parts = partsOf(value instanceof Double ? exactDecimal(value.value) : toDecimal(value))
  if (parts.exponent >= -place) return value
  const result = rounded(parts, place, rounding)
  if (value instanceof Decimal128) return ofParts(result)
  return value instanceof Double
    ? new Double(Number(`${result.coefficient}E${result.exponent}`))
    : integer(result.coefficient * 10n ** BigInt(-place), isLong(value))
}

const decimalPower = (base: Decimal128, exponent: number): Numeric => {
  if (exponent < 0) return decimalPower(toDecimal(divide(decimal(1), base)), -exponent)
  let [result, square]: [Numeric, Numeric] = [decimal(1), base]
  for (let left = exponent; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) result = combined("multiply", result, square)
    square = combined("multiply", square, square)
  }
  return result
}

export const power = (base: Numeric, exponent: Numeric): Numeric => {
  if (isZero(base) && toNumber(exponent) < 0) {
    throw badFilter("$pow cannot take a base of 0 and a negative exponent", "$pow")
  }
  const isDecimal = base instanceof Decimal128 || exponent instanceof Decimal128
  const times = wholeNumber(exponent)
  if (isDecimal && times !== undefined) return decimalPower(toDecimal(base), times)
  const result = toNumber(base) ** toNumber(exponent)
  if (isDecimal) return decimal(result)
  if (!(isInteger(base) && isInteger(exponent)) || toNumber(exponent) < 0 || Math.abs(result) >= 2 ** 63) {
    return new Double(result)
  }
  // of 0, 1 and -1 every power has a small exponent too, and all others with one of 64 or more are too large
  const small = toBigInt(exponent) < 64n ? toBigInt(exponent) : 62n + toBigInt(exponent) % 2n
  return integer(toBigInt(base) ** small, isLong(base) || isLong(exponent))
}

/** A sum as MongoDB makes it: integers exactly, doubles with the digits that single additions lose, decimals apart. */
export class Sum {
  #integers = 0n
  #isWide = false
  #doubles = 0
  #lost = 0
  #hasDoubles = false
  #decimals: Numeric | undefined

  /** Adds a number, and nothing else. */
  add(value: unknown): void {
    if (!isNumeric(value)) return
    if (value instanceof Decimal128) {
      this.#decimals = this.#decimals === undefined ? value : combined("add", this.#decimals, value)
    } else if (value instanceof Double) {
      this.#hasDoubles = true
      this.#addDouble(value.value)
    } else {
      this.#integers += toBigInt(value)
      this.#isWide ||= isLong(value)
    }
  }

  // Neumaier's
  #addDouble(value: number): void {
    const sum = this.#doubles + value
    this.#lost += Math.abs(this.#doubles) >= Math.abs(value) ? this.#doubles - sum + value : value - sum + this.#doubles
    this.#doubles = sum
  }

  #double(): number {
    // what was lost of an infinity is no number
    return Number.isFinite(this.#doubles) ? this.#doubles + this.#lost : this.#doubles
  }

  /** The sum, int32 0 of nothing. */
  total(): Numeric {
    const whole = integer(this.#integers, this.#isWide)
    if (this.#decimals !== undefined) {
      const rest = combined("add", toDecimal(whole), toDecimal(new Double(this.#double())))
      return combined("add", this.#decimals, rest)
    }
    if (!this.#hasDoubles) return whole
    const rest = new Sum()
    rest.#addDouble(this.#doubles)
    rest.#addDouble(this.#lost)
    rest.#addDouble(Number(this.#integers))
    return new Double(Number.isFinite(this.#doubles) ? rest.#double() : this.#doubles)
  }
}
