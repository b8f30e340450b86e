/**
 * Days and hours of a calendar, as people of a time zone have them.
 *
 * A wall time is what their clock shows, in milliseconds as if it were UTC.
 */
import { setBounded } from "../boundedMap.ts"
import { badFilter } from "./failure.ts"

/** Between an instant and what clocks show there. */
export interface TimeZone {
  /** What is to be added to the instant for the wall time. */
  readonly offset: (instant: number) => number
  readonly isUtc: boolean
}

export const utc: TimeZone = { offset: () => 0, isUtc: true }

const minute = 60_000
const hour = 60 * minute
export const day = 24 * hour

/** A wall time of parts, which may be out of their ranges and are carried over then; months count from 0. */
export const wallTime = (
  year: number,
  month: number,
  date = 1,
  hours = 0,
  minutes = 0,
  seconds = 0,
  milliseconds = 0
): number => {
  const wall = new Date(0)
  // `Date.UTC` takes the years below 100 for those of the 20th century
  wall.setUTCFullYear(year, month, date)
  wall.setUTCHours(hours, minutes, seconds, milliseconds)
  return wall.getTime()
}

// of all dates, in milliseconds
const farthest = 8.64e15

/** The date of an instant that an operator has come to. */
export const dateOf = (operator: string, instant: number): Date => {
  if (!(Math.abs(instant) <= farthest)) throw badFilter(`${operator} leaves the range of dates`, operator)
  return new Date(instant)
}

// each takes some memory, and there are hundreds
const maxZones = 32
const zones = new Map<string, TimeZone>()

const namedZone = (name: string): TimeZone => {
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone: name,
    calendar: "gregory",
    hourCycle: "h23",
    era: "short",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric"
  })
  return {
    isUtc: false,
    offset: (instant) => {
      // past these there is no date, and no clock
      if (!(Math.abs(instant) <= farthest)) return 0
      const parts = new Map(format.formatToParts(instant).map(({ type, value }) => [type, value]))
      const part = (type: Intl.DateTimeFormatPartTypes): number => Number(parts.get(type))
      const year = parts.get("era") === "BC" ? 1 - part("year") : part("year")
      const wall = wallTime(year, part("month") - 1, part("day"), part("hour"), part("minute"), part("second"))
      return wall - Math.floor(instant / 1000) * 1000
    }
  }
}

/** The time zone of a name (`Europe/Berlin`, `UTC`) or an offset (`+05:30`, `-0400`, `+03`). */
export const timeZone = (name: string): TimeZone => {
  if (/^(utc|gmt|z)$/i.test(name)) return utc
  const [, sign, hours, minutes = "0"] = /^([+-])(\d\d):?(\d\d)?$/.exec(name) ?? []
  if (sign !== undefined) {
    const offset = (sign === "-" ? -1 : 1) * (Number(hours) * hour + Number(minutes) * minute)
    return { offset: () => offset, isUtc: false }
  }
  const known = zones.get(name)
  if (known !== undefined) return known
  try {
    // what stands for an offset to others is none here
    if (!/^[a-z]/i.test(name)) throw new RangeError()
    const zone = namedZone(name)
    setBounded(zones, name, zone, maxZones)
    return zone
  } catch {
    throw badFilter(`unrecognized time zone identifier: "${name}"`)
  }
}

/** The wall time of an instant. */
export const toWall = (instant: number, { offset }: TimeZone): number => instant + offset(instant)

/** The instant of a wall time: the earlier one of two, and of none what it would be before the clocks were put forward. */
export const toInstant = (wall: number, { offset }: TimeZone): number => {
  const before = offset(wall - offset(wall) - day)
  const instant = wall - before
  return offset(instant) === before ? instant : toFittingInstant(wall, instant, before, offset)
}

const toFittingInstant = (wall: number, instant: number, before: number, offset: TimeZone["offset"]): number => {
  const after = offset(instant)
  const later = wall - after
  return offset(later) === after ? later : wall - before
}

// -----------------------------------------------------------------------------
// Parts
// -----------------------------------------------------------------------------

/** From Sunday, which is 0. */
export const dayOfWeek = (wall: number): number => new Date(wall).getUTCDay()

/** From Monday, which is 1. */
export const isoDayOfWeek = (wall: number): number => (dayOfWeek(wall) + 6) % 7 + 1

/** From 1. */
export const dayOfYear = (wall: number): number =>
  Math.floor((wall - wallTime(new Date(wall).getUTCFullYear(), 0)) / day) + 1

/** Weeks begin on Sunday; the days before the first one are in week 0. */
export const week = (wall: number): number => Math.floor((dayOfYear(wall) + 6 - dayOfWeek(wall)) / 7)

/** The week of ISO 8601, and the year that it belongs to. */
export const isoWeek = (wall: number): { readonly year: number; readonly week: number } => {
  const thursday = wall + (4 - isoDayOfWeek(wall)) * day
  return { year: new Date(thursday).getUTCFullYear(), week: Math.floor((dayOfYear(thursday) - 1) / 7) + 1 }
}

/** The wall time of a day that is given by its week of ISO 8601. */
export const isoWallTime = (year: number, week: number, dayOfWeek: number): number => {
  // the 4th of January is always in the first week
  const fourth = wallTime(year, 0, 4)
  return fourth + (1 - isoDayOfWeek(fourth) + (week - 1) * 7 + dayOfWeek - 1) * day
}

// -----------------------------------------------------------------------------
// Units
// -----------------------------------------------------------------------------

const fixed = { week: 7 * day, day, hour, minute, second: 1000, millisecond: 1 } as const
const months = { year: 12, quarter: 3, month: 1 } as const

export type Unit = keyof typeof fixed | keyof typeof months

export const isUnit = (name: unknown): name is Unit =>
  typeof name === "string" && (Object.hasOwn(fixed, name) || Object.hasOwn(months, name))

const isMonths = (unit: Unit): unit is keyof typeof months => Object.hasOwn(months, unit)
const isDays = (unit: Unit): unit is "week" | "day" => unit === "week" || unit === "day"

const monthsOf = (wall: number): number => {
  const date = new Date(wall)
  return date.getUTCFullYear() * 12 + date.getUTCMonth()
}

/** An instant some units later. A month that is too short for the day has its last one instead. */
export const add = (instant: number, unit: Unit, amount: number, zone: TimeZone): number => {
  if (!isMonths(unit) && !isDays(unit)) return instant + amount * fixed[unit]
  const wall = toWall(instant, zone)
  if (isDays(unit)) return toInstant(wall + amount * fixed[unit], zone)
  const month = monthsOf(wall) + amount * months[unit]
  const length = new Date(wallTime(0, month + 1, 0)).getUTCDate()
  const date = new Date(wall).getUTCDate()
  const midnight = Math.floor(wall / day) * day
  return toInstant(wallTime(0, month, Math.min(date, length)) + wall - midnight, zone)
}

const startOfWeekBefore = (wall: number, first: number): number => {
  const midnight = Math.floor(wall / day) * day
  return midnight - (dayOfWeek(wall) - first + 7) % 7 * day
}

/**
 * How many beginnings of a unit lie between two instants.
 *
 * @param first the day that weeks begin with, as `dayOfWeek` has it
 */
export const difference = (start: number, end: number, unit: Unit, zone: TimeZone, first: number): number => {
  const [from, to] = [toWall(start, zone), toWall(end, zone)]
  if (isMonths(unit)) {
    return Math.floor(monthsOf(to) / months[unit]) - Math.floor(monthsOf(from) / months[unit])
  }
  if (unit === "week") return (startOfWeekBefore(to, first) - startOfWeekBefore(from, first)) / fixed.week
  if (unit === "day") return Math.floor(to / day) - Math.floor(from / day)
  // by instants, for an hour that clocks show twice is two
  const beginning = (instant: number, wall: number) => instant - (wall - Math.floor(wall / fixed[unit]) * fixed[unit])
  return (beginning(end, to) - beginning(start, from)) / fixed[unit]
}

/** The beginning of the unit, or of the several of them that are counted together from the year 2000 on. */
export const truncate = (instant: number, unit: Unit, size: number, zone: TimeZone, first: number): number => {
  const wall = toWall(instant, zone)
  if (isMonths(unit)) {
    const origin = 2000 * 12
    const length = months[unit] * size
    return toInstant(wallTime(0, origin + Math.floor((monthsOf(wall) - origin) / length) * length), zone)
  }
  const millennium = wallTime(2000, 0)
  const origin = unit === "week" ? millennium + (first - dayOfWeek(millennium) + 7) % 7 * day : millennium
  const length = fixed[unit] * size
  if (isDays(unit)) return toInstant(origin + Math.floor((wall - origin) / length) * length, zone)
  const start = toInstant(origin, zone)
  return start + Math.floor((instant - start) / length) * length
}
