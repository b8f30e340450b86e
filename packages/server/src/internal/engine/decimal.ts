/**
 * Decimal128 as whole numbers and powers of ten, and back: what its arithmetic is done with.
 */
import { Decimal128 } from "bson"

/** coefficient × 10^exponent. */
export interface Parts {
  readonly coefficient: bigint
  readonly exponent: number
}

const maxDigits = 34
const leastExponent = -6176
// of the first digit
const greatestPower = 6144

const powerOfTen = (exponent: number): bigint => 10n ** BigInt(exponent)

/** The parts of a finite decimal. */
export const partsOf = (value: Decimal128): Parts => {
  const [mantissa = "", power = "0"] = value.toString().toLowerCase().split("e")
  const [whole = "", fraction = ""] = mantissa.split(".")
  return { coefficient: BigInt(whole + fraction), exponent: Number(power) - fraction.length }
}

/** Both coefficients for the lesser of the two exponents. */
export const aligned = (left: Parts, right: Parts): readonly [left: bigint, right: bigint, exponent: number] => {
  const exponent = Math.min(left.exponent, right.exponent)
  const scaled = (parts: Parts): bigint => parts.coefficient * powerOfTen(parts.exponent - exponent)
  return [scaled(left), scaled(right), exponent]
}

export type Rounding = "ceil" | "floor" | "trunc" | "round"

/** How many units there are in a whole number; `round` is to the nearest, and to the even one when it is half way. */
export const unitsIn = (coefficient: bigint, unit: bigint, rounding: Rounding): bigint => {
  const rest = coefficient % unit
  const trunc = coefficient / unit
  if (rest === 0n) return trunc
  const away = coefficient < 0n ? -1n : 1n
  const twice = (rest < 0n ? -rest : rest) * 2n
  switch (rounding) {
    case "trunc":
      return trunc
    case "floor":
      return away < 0n ? trunc - 1n : trunc
    case "ceil":
      return away > 0n ? trunc + 1n : trunc
    case "round":
      return twice > unit || (twice === unit && trunc % 2n !== 0n) ? trunc + away : trunc
  }
}

/** Rounded to `place` digits after the point, before it when negative. */
export const rounded = (parts: Parts, place: number, rounding: Rounding): Parts =>
  parts.exponent >= -place
    ? parts
    : { coefficient: unitsIn(parts.coefficient, powerOfTen(-place - parts.exponent), rounding), exponent: -place }

/** The nearest decimal: with 34 digits at most, and an infinity, or zero, where no exponent reaches. */
export const ofParts = (parts: Parts): Decimal128 => {
  const { coefficient, exponent } = parts
  const sign = coefficient < 0n ? "-" : ""
  const { length } = String(coefficient).slice(sign.length)
  const excess = Math.max(length - maxDigits, leastExponent - exponent)
  // what is rounded up may have a digit more
  if (excess > 0) return ofParts(rounded(parts, -exponent - excess, "round"))
  if (coefficient !== 0n && exponent + length - 1 > greatestPower) return Decimal128.fromString(`${sign}Infinity`)
  return Decimal128.fromString(`${coefficient}E${exponent}`)
}

/** The quotient with more digits than a decimal has, and without zeros at its end. */
export const quotient = (left: Parts, right: Parts): Parts => {
  // more than 34 digits, whatever the length of the divisor
  const shift = 2 * maxDigits + 2
  const dividend = left.coefficient * powerOfTen(shift)
  const whole = dividend / right.coefficient
  // a digit more for all that follow, so that what is more than half way is not taken for half way
  const text = whole * right.coefficient === dividend ? String(whole) : `${whole}1`
  const digits = text.replace(/0+$/, "")
  const exponent = left.exponent - right.exponent - shift + String(whole).length - digits.length
  return whole === 0n ? { coefficient: 0n, exponent: 0 } : { coefficient: BigInt(digits), exponent }
}
