/**
 * Values of one BSON type as another: `$convert` and its short forms.
 */
import { Binary, Decimal128, Double, Int32, Long, ObjectId, Timestamp } from "bson"
import { integer } from "./arithmetic.ts"
import { isZero, toBigInt, toDecimal, toDigits, toNumber } from "./bsonNumber.ts"
import { isLong, isNumeric, typeNumber } from "./bsonValue.ts"
import * as Calendar from "./calendar.ts"
import * as DateFormat from "./dateFormat.ts"
import { partsOf, rounded } from "./decimal.ts"
import { badFilter } from "./failure.ts"

const names: { readonly [number: number]: string } = {
  1: "double",
  2: "string",
  3: "object",
  4: "array",
  5: "binData",
  6: "undefined",
  7: "objectId",
  8: "bool",
  9: "date",
  10: "null",
  11: "regex",
  13: "javascript",
  14: "symbol",
  15: "javascriptWithScope",
  16: "int",
  17: "timestamp",
  18: "long",
  19: "decimal",
  [-1]: "minKey",
  127: "maxKey"
}

/** The name of a value's BSON type; of none at all, `missing`. */
export const typeName = (value: unknown): string =>
  value === undefined ? "missing" : names[typeNumber(value)] ?? "missing"

/** What counts as true: everything but false, null, missing and zero. */
export const isTrue = (value: unknown): boolean =>
  !(value === undefined || value === null || value === false || (isNumeric(value) && isZero(value)))

const refuse = (value: unknown, to: string): Error =>
  badFilter(`a value of type ${typeName(value)} cannot be converted to ${to}`, "$convert")

const unreadable = (to: string): Error => badFilter(`a text cannot be read as ${to}`, "$convert")

const toDouble = (value: unknown): unknown => {
  if (isNumeric(value)) return new Double(toNumber(value))
  if (typeof value === "boolean") return new Double(Number(value))
  if (value instanceof Date) return new Double(value.getTime())
  if (typeof value !== "string") throw refuse(value, "double")
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(value)) throw unreadable("double")
  return new Double(Number(value))
}

const wholePart = (value: Decimal128): bigint => {
  const { coefficient, exponent } = rounded(partsOf(value), 0, "trunc")
  return coefficient * 10n ** BigInt(exponent)
}

const whole = (value: unknown, to: "int" | "long", bits: 32 | 64): bigint => {
  let result: bigint
  if (value instanceof Int32 || isLong(value)) result = toBigInt(value)
  else if (isNumeric(value)) {
    if (typeof toDigits(value) === "number") throw refuse(value, to)
    result = value instanceof Decimal128 ? wholePart(value) : BigInt(Math.trunc(toNumber(value)))
  } else if (typeof value === "boolean") result = BigInt(value)
  else if (value instanceof Date && to === "long") result = BigInt(value.getTime())
  else if (typeof value === "string") {
    if (!/^[+-]?\d{1,20}$/.test(value)) throw unreadable(to)
    result = BigInt(value.replace("+", ""))
  } else throw refuse(value, to)
  if (BigInt.asIntN(bits, result) !== result) throw badFilter(`a number is too large for ${to}`, "$convert")
  return result
}

const toDecimal128 = (value: unknown): unknown => {
  if (isNumeric(value)) return toDecimal(value)
  if (typeof value === "boolean") return Decimal128.fromString(String(Number(value)))
  if (value instanceof Date) return Decimal128.fromString(String(value.getTime()))
  if (typeof value !== "string") throw refuse(value, "decimal")
  try {
    return Decimal128.fromStringWithRounding(value)
  } catch {
    throw unreadable("decimal")
  }
}

const toText = (value: unknown): unknown => {
  if (typeof value === "string") return value
  if (isNumeric(value)) return value instanceof Double ? String(value.value) : value.toString()
  if (typeof value === "boolean") return String(value)
  if (value instanceof ObjectId) return value.toHexString()
  if (value instanceof Date) return value.toISOString()
  if (value instanceof Binary && value.sub_type === Binary.SUBTYPE_UUID) return value.toUUID().toString()
  throw refuse(value, "string")
}

const toObjectId = (value: unknown): unknown => {
  if (value instanceof ObjectId) return value
  if (typeof value !== "string") throw refuse(value, "objectId")
  if (!/^[0-9a-f]{24}$/i.test(value)) throw unreadable("objectId")
  return new ObjectId(value)
}

const millisOf = (text: string): number => {
  try {
    return DateFormat.parse(text, undefined, undefined)
  } catch (error) {
    throw error instanceof DateFormat.Unreadable ? badFilter(error.message, "$convert") : error
  }
}

const toDate = (value: unknown): unknown => {
  if (value instanceof Date) return value
  if (value instanceof ObjectId) return value.getTimestamp()
  if (value instanceof Timestamp) return new Date(value.t * 1000)
  if (typeof value === "string") return new Date(millisOf(value))
  if (!isNumeric(value) || value instanceof Int32) throw refuse(value, "date")
  return Calendar.dateOf("$convert", Math.trunc(toNumber(value)))
}

const conversions: { readonly [to: string]: (value: unknown) => unknown } = {
  double: toDouble,
  string: toText,
  objectId: toObjectId,
  bool: isTrue,
  date: toDate,
  int: (value) => integer(whole(value, "int", 32), false),
  long: (value) => Long.fromBigInt(whole(value, "long", 64)),
  decimal: toDecimal128
}

/** A value as another type, by its name or number; null of null and of none. */
export const convert = (value: unknown, to: unknown): unknown => {
  const name = isNumeric(to) ? names[toNumber(to)] : to
  const conversion = typeof name === "string" && Object.hasOwn(conversions, name) ? conversions[name] : undefined
  if (conversion === undefined) throw badFilter("$convert needs the name of a type it knows", "$convert")
  return value === undefined || value === null ? null : conversion(value)
}
