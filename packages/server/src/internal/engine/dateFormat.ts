/**
 * Dates as texts: `$dateToString` and `$dateFromString`.
 */
import * as Calendar from "./calendar.ts"
import { badFilter } from "./failure.ts"

const monthNames = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December"
]

const digits = (value: number, length: number): string =>
  `${value < 0 ? "-" : ""}${String(Math.abs(value)).padStart(length, "0")}`

const signed = (minutes: number, text: (minutes: number) => string): string =>
  `${minutes < 0 ? "-" : "+"}${text(Math.abs(minutes))}`

const hoursAndMinutes = (minutes: number): string => digits(Math.floor(minutes / 60), 2) + digits(minutes % 60, 2)

/** What a letter after `%` stands for. */
const specifiers: { readonly [letter: string]: (wall: number, offset: number) => string } = {
  "%": () => "%",
  b: (wall) => (monthNames[new Date(wall).getUTCMonth()] ?? "").slice(0, 3),
  B: (wall) => monthNames[new Date(wall).getUTCMonth()] ?? "",
  d: (wall) => digits(new Date(wall).getUTCDate(), 2),
  G: (wall) => digits(Calendar.isoWeek(wall).year, 4),
  H: (wall) => digits(new Date(wall).getUTCHours(), 2),
  j: (wall) => digits(Calendar.dayOfYear(wall), 3),
  L: (wall) => digits(new Date(wall).getUTCMilliseconds(), 3),
  m: (wall) => digits(new Date(wall).getUTCMonth() + 1, 2),
  M: (wall) => digits(new Date(wall).getUTCMinutes(), 2),
  S: (wall) => digits(new Date(wall).getUTCSeconds(), 2),
  u: (wall) => String(Calendar.isoDayOfWeek(wall)),
  U: (wall) => digits(Calendar.week(wall), 2),
  V: (wall) => digits(Calendar.isoWeek(wall).week, 2),
  w: (wall) => String(Calendar.dayOfWeek(wall) + 1),
  Y: (wall) => digits(new Date(wall).getUTCFullYear(), 4),
  z: (_, offset) => signed(offset, hoursAndMinutes),
  Z: (_, offset) => signed(offset, (minutes) => digits(minutes, 3))
}

const invalid = (operator: string, letter: string): Error =>
  badFilter(`${operator}: "%${letter}" is no part of a format`, operator)

/** An instant in a format. */
export const format = (instant: number, zone: Calendar.TimeZone, text: string): string => {
  const wall = Calendar.toWall(instant, zone)
  const offset = Math.round((wall - instant) / 60_000)
  return text.replace(/%(.?)/gsu, (_, letter: string) => {
    const specifier = Object.hasOwn(specifiers, letter) ? specifiers[letter] : undefined
    if (specifier === undefined) throw invalid("$dateToString", letter)
    return specifier(wall, offset)
  })
}

/** The format that is meant when none is given. */
export const defaultFormat = ({ isUtc }: Calendar.TimeZone): string =>
  isUtc ? "%Y-%m-%dT%H:%M:%S.%LZ" : "%Y-%m-%dT%H:%M:%S.%L"

// -----------------------------------------------------------------------------
// Reading
// -----------------------------------------------------------------------------

interface Parts {
  readonly [part: string]: string | undefined
}

const isoText =
  /^(?<Y>\d{4})-(?<m>\d\d)(?:-(?<d>\d\d)(?:[T ](?<H>\d\d):(?<M>\d\d)(?::(?<S>\d\d)(?:[.,](?<L>\d{1,9}))?)?\s?(?<z>Z|[+-]\d\d:?(?:\d\d)?|UTC|GMT)?)?)?$/i

const patterns: { readonly [letter: string]: string } = {
  b: "[A-Za-z]{3}",
  B: "[A-Za-z]{3,9}",
  d: "\\d{1,2}",
  G: "\\d{4}",
  H: "\\d{1,2}",
  j: "\\d{1,3}",
  L: "\\d{1,3}",
  m: "\\d{1,2}",
  M: "\\d{1,2}",
  S: "\\d{1,2}",
  u: "[1-7]",
  V: "\\d{1,2}",
  Y: "\\d{4}",
  z: "Z|[+-]\\d\\d:?\\d\\d",
  Z: "[+-]\\d{1,3}"
}

const formatPattern = (text: string): RegExp => {
  const seen = new Set<string>()
  const pattern = text.replace(/%(.?)|[^%]/gsu, (part, letter: string | undefined) => {
    if (letter === undefined) return part.replace(/[$()*+.?[\\\]^{|}]/gu, "\\$&")
    if (letter === "%") return "%"
    const known = Object.hasOwn(patterns, letter) ? patterns[letter] : undefined
    if (known === undefined) throw invalid("$dateFromString", letter)
    if (seen.has(letter)) throw badFilter(`$dateFromString: the format names "%${letter}" twice`, "$dateFromString")
    seen.add(letter)
    return `(?<${letter}>${known})`
  })
  return new RegExp(`^${pattern}$`, "u")
}

/** A text that is no date. */
export class Unreadable extends Error {}

const within = (value: number, from: number, to: number): number => {
  if (!(value >= from && value <= to)) throw new Unreadable("a part of the date is missing or out of its range")
  return value
}

const number = (text: string | undefined, otherwise: number, from: number, to: number): number =>
  within(text === undefined ? otherwise : Number(text), from, to)

const monthOf = ({ b, B, m }: Parts): number => {
  const name = (B ?? b)?.toLowerCase()
  if (name === undefined) return number(m, Number.NaN, 1, 12) - 1
  return within(
    monthNames.findIndex((month) => (B === undefined ? month.slice(0, 3) : month).toLowerCase() === name),
    0,
    11
  )
}

const dayOf = (parts: Parts): number => {
  const { d, G, j, u, V, Y } = parts
  if (G !== undefined) {
    return Calendar.isoWallTime(Number(G), number(V, Number.NaN, 1, 53), number(u, Number.NaN, 1, 7))
  }
  const year = number(Y, Number.NaN, 0, 9999)
  if (j !== undefined) return Calendar.wallTime(year, 0, number(j, 1, 1, 366))
  const month = monthOf(parts)
  const date = number(d, Number.NaN, 1, 31)
  const wall = Calendar.wallTime(year, month, date)
  within(new Date(wall).getUTCMonth(), month, month)
  return wall
}

const zoneOf = ({ z, Z }: Parts): Calendar.TimeZone | undefined => {
  if (Z !== undefined) return { offset: () => Number(Z) * 60_000, isUtc: false }
  return z === undefined ? undefined : Calendar.timeZone(z)
}

/**
 * The instant that a text stands for, by ISO 8601 without a format. Throws {@link Unreadable} when it is none.
 *
 * @param given the time zone that was asked for, which the text may not have too
 */
export const parse = (text: string, pattern: string | undefined, given: Calendar.TimeZone | undefined): number => {
  const expression = pattern === undefined ? isoText : formatPattern(pattern)
  const parts: Parts | undefined = expression.exec(text)?.groups
  if (parts === undefined) {
    const wanted = pattern === undefined ? "of ISO 8601, such as 2024-02-29T12:00:00Z" : `in the format "${pattern}"`
    throw new Unreadable(`"${text.slice(0, 100)}" is no date ${wanted}`)
  }
  const own = zoneOf(parts)
  if (own !== undefined && given !== undefined) {
    throw new Unreadable("a text with a time zone of its own goes without the operand timezone")
  }
  const date = dayOf(pattern === undefined && parts["d"] === undefined ? { ...parts, d: "1" } : parts)
  const hours = number(parts["H"], 0, 0, 24)
  const seconds = (hours * 60 + number(parts["M"], 0, 0, 59)) * 60 + number(parts["S"], 0, 0, 60)
  const milliseconds = Number((parts["L"] ?? "0").padEnd(3, "0").slice(0, 3))
  return Calendar.toInstant(date + seconds * 1000 + milliseconds, own ?? given ?? Calendar.utc)
}
