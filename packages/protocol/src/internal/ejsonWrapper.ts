/** The wrappers of Extended JSON v2 that hold no further values, read exactly. */
import {
  Binary,
  BSONRegExp,
  BSONSymbol,
  Decimal128,
  Double,
  Int32,
  Long,
  MaxKey,
  MinKey,
  ObjectId,
  Timestamp,
  UUID
} from "bson"
import { malformed } from "./ejsonFailure.ts"

/** Some JSON object, or an object of the caller that may be one. */
export type Source = { readonly [key: string]: unknown }

/** The answer for a document that is no wrapper; `undefined` is a value here. */
export const none: unique symbol = Symbol("@effect-realm/protocol/Ejson/none")

/** Instants beyond this many milliseconds from 1970 have no JavaScript `Date`. */
const maxDateMillis = 8.64e15

/** Whether `source` has exactly `count` keys, without listing them. */
const hasKeys = (source: Source, count: number): boolean => {
  let found = 0
  for (const key in source) {
    if (Object.hasOwn(source, key) && ++found > count) return false
  }
  return found === count
}

const alone = (source: Source, wrapper: string, count: number): unknown => {
  if (count !== 1) throw malformed(wrapper, "its value and stand alone, without other keys beside it")
  return source[wrapper]
}

const isSource = (value: unknown): value is Source =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** The decimal integer in `text` when it has at most 15 digits, else `NaN`: up to there numbers are exact. */
const shortInteger = (text: string): number => {
  const negative = text.charCodeAt(0) === 45
  let index = negative ? 1 : 0
  const length = text.length
  if (length === index || length - index > 15) return NaN
  let value = 0
  for (; index < length; index++) {
    const digit = text.charCodeAt(index) - 48
    if (digit < 0 || digit > 9) return NaN
    value = value * 10 + digit
  }
  // no "-0": an integer has no negative zero
  return negative && value !== 0 ? -value : value
}

const longText = /^-?\d{1,20}$/

const longFromSafe = (value: number): Long => new Long(value | 0, Math.floor(value / 0x1_0000_0000) | 0)

const readInt64 = (text: unknown): number | Long => {
  if (typeof text === "string") {
    const short = shortInteger(text)
    if (!Number.isNaN(short)) return short
    if (longText.test(text)) {
      const value = BigInt(text)
      if (value === BigInt.asIntN(64, value)) {
        const number = Number(value)
        return Number.isSafeInteger(number) ? number : Long.fromBigInt(value)
      }
    }
  }
  throw malformed("$numberLong", "a decimal integer of 64 bits as a string")
}

const readInt32 = (text: unknown): number => {
  const value = typeof text === "string" ? shortInteger(text) : NaN
  if ((value | 0) !== value) throw malformed("$numberInt", "a decimal integer of 32 bits as a string")
  return value
}

const isDecimal = (text: string): boolean => {
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    const isDecimalCharacter = (code >= 48 && code <= 57) || code === 45 || code === 46 || code === 43 ||
      code === 101 || code === 69
    if (!isDecimalCharacter) return false
  }
  return text.length > 0
}

const readDouble = (text: unknown): number => {
  if (typeof text === "string") {
    if (text === "NaN") return NaN
    if (text === "Infinity") return Infinity
    if (text === "-Infinity") return -Infinity
    const value = Number(text)
    if (Number.isFinite(value) && isDecimal(text)) return value
  }
  throw malformed("$numberDouble", "a decimal number, \"NaN\", \"Infinity\" or \"-Infinity\" as a string")
}

/** A plain integer, or one that another encoder wrapped as a number. */
const readPlainInteger = (value: unknown): number => {
  if (typeof value === "number") return value
  if (isSource(value) && hasKeys(value, 1)) {
    if (typeof value["$numberInt"] === "string") return shortInteger(value["$numberInt"])
    if (typeof value["$numberLong"] === "string") return shortInteger(value["$numberLong"])
  }
  return NaN
}

// Day and time with an offset, or the day alone: anything else means a different instant in another time zone.
const isoDate = /^[+-]?\d{4,6}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?$/

const readDate = (value: unknown): Date => {
  const millis = typeof value === "string" ? (isoDate.test(value) ? Date.parse(value) : NaN) : readDateMillis(value)
  if (Number.isInteger(millis) && Math.abs(millis) <= maxDateMillis) return new Date(millis)
  throw malformed(
    "$date",
    "{ \"$numberLong\": \"<milliseconds>\" } or an ISO 8601 string, of an instant a Date can hold"
  )
}

// Every instant that a Date can hold has at most 16 digits and is a safe integer.
const readDateMillis = (value: unknown): number => {
  if (isSource(value) && typeof value["$numberLong"] === "string" && hasKeys(value, 1)) {
    const millis = readInt64(value["$numberLong"])
    return typeof millis === "number" ? millis : NaN
  }
  return readPlainInteger(value)
}

const isUint32 = (value: number): boolean => value >>> 0 === value

const readTimestamp = (value: unknown): Timestamp => {
  if (isSource(value) && hasKeys(value, 2)) {
    const t = readPlainInteger(value["t"])
    const i = readPlainInteger(value["i"])
    if (isUint32(t) && isUint32(i)) return new Timestamp({ t, i })
  }
  throw malformed("$timestamp", "{ \"t\": <seconds>, \"i\": <counter> } of unsigned 32-bit integers")
}

const base64Text = /^[A-Za-z0-9+/]*={0,2}$/
const subTypeText = /^[0-9a-fA-F]{1,2}$/

const readBinary = (base64: unknown, subType: unknown): Binary => {
  if (
    typeof base64 !== "string" || typeof subType !== "string" || base64.length % 4 !== 0 || !base64Text.test(base64) ||
    !subTypeText.test(subType)
  ) {
    throw malformed("$binary", "{ \"base64\": <padded base64>, \"subType\": <two hex digits> }")
  }
  const binary = Binary.createFromBase64(base64, Number.parseInt(subType, 16))
  return binary.sub_type === Binary.SUBTYPE_UUID && binary.position === 16 ? new UUID(binary.value()) : binary
}

const uuidText = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i

const readUuid = (value: unknown): UUID => {
  if (typeof value === "string" && uuidText.test(value)) return UUID.createFromHexString(value.replaceAll("-", ""))
  throw malformed("$uuid", "the 36 characters of a UUID")
}

const readDecimal = (value: unknown): Decimal128 => {
  if (typeof value === "string") {
    try {
      return Decimal128.fromString(value)
    } catch {
      // reported below, without the library's message: it repeats the value
    }
  }
  throw malformed("$numberDecimal", "a decimal of at most 34 digits as a string")
}

const regExpOptions = /^[ilmsux]*$/

const readRegExp = (value: unknown): BSONRegExp => {
  if (isSource(value) && hasKeys(value, 2)) {
    const pattern = value["pattern"]
    const options = value["options"]
    if (
      typeof pattern === "string" && !pattern.includes("\0") && typeof options === "string" &&
      regExpOptions.test(options)
    ) {
      return new BSONRegExp(pattern, options)
    }
  }
  throw malformed("$regularExpression", "{ \"pattern\": <string>, \"options\": <some of i, l, m, s, u, x> }")
}

const isOne = (value: unknown): boolean => value === 1 || readPlainInteger(value) === 1

/** The value that `source` wraps, or {@link none} when `first`, the first of its `count` keys, is no key of a wrapper. */
export const readWrapper = (source: Source, first: string, count: number, exact: boolean): unknown => {
  switch (first) {
    case "$oid": {
      const hex = alone(source, first, count)
      if (typeof hex === "string" && ObjectId.isValid(hex)) return new ObjectId(hex)
      throw malformed(first, "24 hex digits as a string")
    }
    case "$numberInt": {
      const value = readInt32(alone(source, first, count))
      return exact ? new Int32(value) : value
    }
    case "$numberLong": {
      const value = readInt64(alone(source, first, count))
      return exact && typeof value === "number" ? longFromSafe(value) : value
    }
    case "$numberDouble": {
      const value = readDouble(alone(source, first, count))
      return exact ? new Double(value) : value
    }
    case "$date":
      return readDate(alone(source, first, count))
    case "$numberDecimal":
      return readDecimal(alone(source, first, count))
    case "$uuid":
      return readUuid(alone(source, first, count))
    case "$timestamp":
      return readTimestamp(alone(source, first, count))
    case "$regularExpression":
      return readRegExp(alone(source, first, count))
    case "$symbol": {
      const value = alone(source, first, count)
      if (typeof value === "string") return new BSONSymbol(value)
      throw malformed(first, "a string")
    }
    case "$minKey":
      if (isOne(alone(source, first, count))) return new MinKey()
      throw malformed(first, "1")
    case "$maxKey":
      if (isOne(alone(source, first, count))) return new MaxKey()
      throw malformed(first, "1")
    case "$undefined":
      if (alone(source, first, count) === true) return undefined
      throw malformed(first, "true")
    case "$type":
      // a query operator, unless it belongs to the older spelling of bytes
      return Object.hasOwn(source, "$binary") ? readBinaryDocument(source) : none
    case "$binary":
      return readBinaryDocument(source)
    default:
      return none
  }
}

const readBinaryDocument = (source: Source): Binary => {
  const inner = source["$binary"]
  if (typeof inner === "string") return readBinary(inner, hasKeys(source, 2) ? source["$type"] : undefined)
  if (isSource(inner) && hasKeys(inner, 2) && hasKeys(source, 1)) return readBinary(inner["base64"], inner["subType"])
  return readBinary(undefined, undefined)
}

/**
 * Whether `source`, with `first` as its first key, is code with or without a scope. The scope holds further values, so
 * only its kind is checked here.
 */
export const isCode = (source: Source, first: string): boolean => {
  if (first !== "$code" && (first !== "$scope" || !Object.hasOwn(source, "$code"))) return false
  const hasScope = Object.hasOwn(source, "$scope")
  if (
    typeof source["$code"] === "string" && hasKeys(source, hasScope ? 2 : 1) &&
    (!hasScope || isSource(source["$scope"]))
  ) return true
  throw malformed("$code", "a string, with nothing beside it but a document in \"$scope\"")
}

/** A bare number with its BSON type: the smallest integer type that holds it, else a double. */
export const exactNumber = (value: number): Int32 | Long | Double => {
  if ((value | 0) === value && !Object.is(value, -0)) return new Int32(value)
  return Number.isSafeInteger(value) && value !== 0 ? longFromSafe(value) : new Double(value)
}
