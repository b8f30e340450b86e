/**
 * Operators of aggregation expressions on dates.
 */
import { Int32, Long, ObjectId, Timestamp } from "bson"
import { wholeNumber } from "./bsonNumber.ts"
import { isArray, isFields } from "./bsonValue.ts"
import * as Calendar from "./calendar.ts"
import { typeName } from "./conversion.ts"
import * as DateFormat from "./dateFormat.ts"
import { badFilter } from "./failure.ts"
import type { NamedOperands, NamedOperator } from "./namedOperator.ts"

const instantOf = (operator: string, value: unknown): number => {
  if (value instanceof Date) return value.getTime()
  if (value instanceof Timestamp) return value.t * 1000
  if (value instanceof ObjectId) return value.getTimestamp().getTime()
  throw badFilter(`${operator} needs a date, not ${typeName(value)}`, operator)
}

const wholeOf = (operator: string, name: string, value: unknown): number => {
  const number = wholeNumber(value)
  if (number === undefined) throw badFilter(`${operator} needs a whole number for ${name}`, operator)
  return number
}

const textOf = (operator: string, name: string, value: unknown): string => {
  if (typeof value !== "string") throw badFilter(`${operator} needs a text for ${name}`, operator)
  return value
}

const zoneOf = (operator: string, { timezone }: NamedOperands): Calendar.TimeZone =>
  timezone === undefined ? Calendar.utc : Calendar.timeZone(textOf(operator, "timezone", timezone))

const unitOf = (operator: string, { unit }: NamedOperands): Calendar.Unit => {
  if (!Calendar.isUnit(unit)) throw badFilter(`${operator} needs a unit of time, such as "day"`, operator)
  return unit
}

const weekdays = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"]

const firstDayOf = (operator: string, { startOfWeek }: NamedOperands): number => {
  if (startOfWeek === undefined) return 0
  const name = textOf(operator, "startOfWeek", startOfWeek).toLowerCase()
  const index = weekdays.findIndex((weekday) => weekday === name || weekday.slice(0, 3) === name)
  if (index === -1) throw badFilter(`${operator} needs a day of the week for startOfWeek`, operator)
  return index
}

/** Null when an operand is null or not there. */
const unlessNull = (apply: NamedOperator["apply"]): NamedOperator["apply"] => (operands, spend) =>
  Object.values(operands).includes(null) ? null : apply(operands, spend)

// -----------------------------------------------------------------------------
// Parts of a date
// -----------------------------------------------------------------------------

const parts: { readonly [operator: string]: (wall: number) => number } = {
  $year: (wall) => new Date(wall).getUTCFullYear(),
  $month: (wall) => new Date(wall).getUTCMonth() + 1,
  $dayOfMonth: (wall) => new Date(wall).getUTCDate(),
  $hour: (wall) => new Date(wall).getUTCHours(),
  $minute: (wall) => new Date(wall).getUTCMinutes(),
  $second: (wall) => new Date(wall).getUTCSeconds(),
  $millisecond: (wall) => new Date(wall).getUTCMilliseconds(),
  $dayOfYear: Calendar.dayOfYear,
  $dayOfWeek: (wall) => Calendar.dayOfWeek(wall) + 1,
  $week: Calendar.week,
  $isoDayOfWeek: Calendar.isoDayOfWeek,
  $isoWeek: (wall) => Calendar.isoWeek(wall).week,
  $isoWeekYear: (wall) => Calendar.isoWeek(wall).year
}

/** The operators that take a date, or `{ date, timezone }`. */
export const datePartOperators: ReadonlySet<string> = new Set(Object.keys(parts))

/** The operand of one of them as named operands. */
export const datePartOperand = (operator: string, operand: unknown): object => {
  if (isFields(operand) && Object.keys(operand)[0]?.startsWith("$") !== true) return operand
  if (!isArray(operand)) return { date: operand }
  if (operand.length !== 1) throw badFilter(`${operator} takes one date`, operator)
  return { date: operand[0] }
}

const partOperators: { readonly [operator: string]: NamedOperator } = Object.fromEntries(
  Object.entries(parts).map(([operator, part]) => [operator, {
    required: ["date"],
    optional: ["timezone"],
    apply: unlessNull((operands) => {
      const value = part(Calendar.toWall(instantOf(operator, operands["date"]), zoneOf(operator, operands)))
      return operator === "$isoWeekYear" ? Long.fromNumber(value) : new Int32(value)
    })
  }])
)

const toParts = unlessNull((operands) => {
  const wall = Calendar.toWall(instantOf("$dateToParts", operands["date"]), zoneOf("$dateToParts", operands))
  const named = (names: { readonly [name: string]: string }) =>
    Object.fromEntries(
      Object.entries(names).map(([name, operator]) => [name, new Int32(parts[operator]?.(wall) ?? 0)])
    )
  const time = named({ hour: "$hour", minute: "$minute", second: "$second", millisecond: "$millisecond" })
  return operands["iso8601"] === true
    ? { ...named({ isoWeekYear: "$isoWeekYear", isoWeek: "$isoWeek", isoDayOfWeek: "$isoDayOfWeek" }), ...time }
    : { ...named({ year: "$year", month: "$month", day: "$dayOfMonth" }), ...time }
})

const fromParts = unlessNull((operands) => {
  const operator = "$dateFromParts"
  const isIso = Object.hasOwn(operands, "isoWeekYear")
  const foreign = isIso ? ["year", "month", "day"] : ["isoWeek", "isoDayOfWeek"]
  if (foreign.some((name) => Object.hasOwn(operands, name))) {
    throw badFilter(`${operator} takes the parts of one calendar, not of two`, operator)
  }
  const part = (name: string, otherwise: number, from = -32_768, to = 32_767): number => {
    if (!Object.hasOwn(operands, name)) return otherwise
    const value = wholeOf(operator, name, operands[name])
    if (value < from || value > to) {
      throw badFilter(`'${name}' must evaluate to an integer in the range ${from} to ${to}`, operator)
    }
    return value
  }
  const name = isIso ? "isoWeekYear" : "year"
  if (!Object.hasOwn(operands, name)) throw badFilter(`${operator} needs a year or an isoWeekYear`, operator)
  const year = part(name, 1, 1, 9999)
  const date = isIso
    ? Calendar.isoWallTime(year, part("isoWeek", 1), part("isoDayOfWeek", 1))
    : Calendar.wallTime(year, part("month", 1) - 1, part("day", 1))
  const time = ((part("hour", 0) * 60 + part("minute", 0)) * 60 + part("second", 0)) * 1000
  return Calendar.dateOf(operator, Calendar.toInstant(date + time + part("millisecond", 0), zoneOf(operator, operands)))
})

// -----------------------------------------------------------------------------
// Texts
// -----------------------------------------------------------------------------

const toText: NamedOperator["apply"] = (operands) => {
  const operator = "$dateToString"
  const { date, format, onNull = null, timezone } = operands
  if (date === null) return onNull
  if (format === null || timezone === null) return null
  const zone = zoneOf(operator, operands)
  const pattern = format === undefined ? DateFormat.defaultFormat(zone) : textOf(operator, "format", format)
  return DateFormat.format(instantOf(operator, date), zone, pattern)
}

const fromText: NamedOperator["apply"] = (operands) => {
  const operator = "$dateFromString"
  const { dateString, format, onError, onNull = null, timezone } = operands
  if (dateString === null) return onNull
  if (format === null || timezone === null) return null
  const pattern = format === undefined ? undefined : textOf(operator, "format", format)
  const zone = timezone === undefined ? undefined : zoneOf(operator, operands)
  if (onError !== undefined && typeof dateString !== "string") return onError
  try {
    return Calendar.dateOf(operator, DateFormat.parse(textOf(operator, "dateString", dateString), pattern, zone))
  } catch (error) {
    if (!(error instanceof DateFormat.Unreadable)) throw error
    if (onError !== undefined) return onError
    throw badFilter(`${operator}: ${error.message}`, operator)
  }
}

// -----------------------------------------------------------------------------
// Arithmetic
// -----------------------------------------------------------------------------

const adding = (operator: string, sign: 1 | -1): NamedOperator => ({
  required: ["startDate", "unit", "amount"],
  optional: ["timezone"],
  apply: unlessNull((operands) => {
    const amount = wholeOf(operator, "amount", operands["amount"]) * sign
    const start = instantOf(operator, operands["startDate"])
    return Calendar.dateOf(
      operator,
      Calendar.add(start, unitOf(operator, operands), amount, zoneOf(operator, operands))
    )
  })
})

const difference = unlessNull((operands) => {
  const operator = "$dateDiff"
  const [start, end] = [instantOf(operator, operands["startDate"]), instantOf(operator, operands["endDate"])]
  const unit = unitOf(operator, operands)
  return Long.fromNumber(
    Calendar.difference(start, end, unit, zoneOf(operator, operands), firstDayOf(operator, operands))
  )
})

const truncate = unlessNull((operands) => {
  const operator = "$dateTrunc"
  const size = operands["binSize"] === undefined ? 1 : wholeOf(operator, "binSize", operands["binSize"])
  if (size < 1) throw badFilter(`${operator} needs a positive binSize`, operator)
  const [date, unit] = [instantOf(operator, operands["date"]), unitOf(operator, operands)]
  return Calendar.dateOf(
    operator,
    Calendar.truncate(date, unit, size, zoneOf(operator, operands), firstDayOf(operator, operands))
  )
})

export const dateOperators: { readonly [operator: string]: NamedOperator } = {
  ...partOperators,
  $dateToParts: { required: ["date"], optional: ["timezone", "iso8601"], apply: toParts },
  $dateFromParts: {
    required: [],
    optional: [
      "year",
      "month",
      "day",
      "isoWeekYear",
      "isoWeek",
      "isoDayOfWeek",
      "hour",
      "minute",
      "second",
      "millisecond",
      "timezone"
    ],
    apply: fromParts
  },
  $dateToString: { required: ["date"], optional: ["format", "timezone", "onNull"], apply: toText },
  $dateFromString: {
    required: ["dateString"],
    optional: ["format", "timezone", "onError", "onNull"],
    apply: fromText
  },
  $dateAdd: adding("$dateAdd", 1),
  $dateSubtract: adding("$dateSubtract", -1),
  $dateDiff: {
    required: ["startDate", "endDate", "unit"],
    optional: ["timezone", "startOfWeek"],
    apply: difference
  },
  $dateTrunc: { required: ["date", "unit"], optional: ["binSize", "timezone", "startOfWeek"], apply: truncate }
}
