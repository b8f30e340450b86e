/**
 * What aggregation expressions make of dates in MongoDB, as its manual documents it.
 */
import { ObjectId, Timestamp } from "bson"
import type { Evaluated } from "./expressions.ts"
import { int, long } from "./values.ts"

const at = (text: string): Date => new Date(text)
const add = (startDate: Date, unit: string, amount: number, timezone = "UTC"): object => ({
  $dateAdd: { startDate, unit, amount, timezone }
})
const difference = (start: string, end: string, unit: string, more: object = {}): object => ({
  $dateDiff: { startDate: at(start), endDate: at(end), unit, ...more }
})
const truncated = (unit: string, more: object = {}): object => ({
  $dateTrunc: { date: at("2021-03-20T11:30:05Z"), unit, ...more }
})

const january = at("2014-01-01T08:15:39.736Z")
const march = at("2021-03-27T11:00:00Z")

export const dates: ReadonlyArray<Evaluated> = [
  [{ $year: january }, int(2014)],
  [{ $month: [january] }, int(1)],
  [{ $week: january }, int(0)],
  [{ $week: at("2014-12-31T00:00:00Z") }, int(52)],
  [{ $dayOfWeek: january }, int(4)],
  [{ $dayOfYear: at("2016-12-31T00:00:00Z") }, int(366)],
  [{ $isoWeek: at("2015-12-31T00:00:00Z") }, int(53)],
  [{ $isoWeek: at("2016-01-04T00:00:00Z") }, int(1)],
  [{ $isoWeekYear: at("2016-01-03T00:00:00Z") }, long("2015")],
  [{ $isoDayOfWeek: at("2016-01-03T00:00:00Z") }, int(7)],
  [{ $hour: { date: january, timezone: "America/New_York" } }, int(3)],
  [{ $hour: { date: january, timezone: "+0530" } }, int(13)],
  [{ $month: { date: at("2014-01-01T00:00:00Z"), timezone: "America/New_York" } }, int(12)],
  [{ $year: new Timestamp({ t: 86_400, i: 0 }) }, int(1970)],
  [{ $second: new ObjectId("65e07280000000000000abcd") }, int(12)],
  [{ $year: "$none" }, null],
  [{ $hour: { date: january, timezone: "$none" } }, null],
  [{ $year: at("0001-06-01T00:00:00Z") }, int(1)],

  [
    { $dateToParts: { date: january } },
    {
      year: int(2014),
      month: int(1),
      day: int(1),
      hour: int(8),
      minute: int(15),
      second: int(39),
      millisecond: int(736)
    }
  ],
  [
    { $dateToParts: { date: at("2016-01-03T01:02:03Z"), iso8601: true } },
    {
      isoWeekYear: int(2015),
      isoWeek: int(53),
      isoDayOfWeek: int(7),
      hour: int(1),
      minute: int(2),
      second: int(3),
      millisecond: int(0)
    }
  ],
  [{ $dateFromParts: { year: 2017, month: 2, day: 8, hour: 12 } }, at("2017-02-08T12:00:00Z")],
  [{ $dateFromParts: { isoWeekYear: 2017, isoWeek: 6, isoDayOfWeek: 3, hour: 12 } }, at("2017-02-08T12:00:00Z")],
  [
    {
      $dateFromParts: {
        year: 2016,
        month: 12,
        day: 31,
        hour: 23,
        minute: 46,
        second: 12,
        timezone: "America/New_York"
      }
    },
    at("2017-01-01T04:46:12Z")
  ],
  [{ $dateFromParts: { year: 2017, month: 14, day: 1, hour: 12 } }, at("2018-02-01T12:00:00Z")],
  [{ $dateFromParts: { year: 2017, month: 0, day: 1, hour: 12 } }, at("2016-12-01T12:00:00Z")],
  [{ $dateFromParts: { year: 2017, day: 0 } }, at("2016-12-31T00:00:00Z")],
  [{ $dateFromParts: { year: 2017, month: "$none" } }, null],

  [{ $dateToString: { date: january } }, "2014-01-01T08:15:39.736Z"],
  [{ $dateToString: { date: january, format: "%G-W%V-%u %j %U %w %%" } }, "2014-W01-3 001 00 4 %"],
  [{ $dateToString: { date: january, format: "%d %b %B" } }, "01 Jan January"],
  [
    { $dateToString: { date: january, format: "%H:%M:%S:%L%z", timezone: "America/New_York" } },
    "03:15:39:736-0500"
  ],
  [{ $dateToString: { date: january, format: "%H:%M:%S:%L%z", timezone: "+04:30" } }, "12:45:39:736+0430"],
  [{ $dateToString: { date: january, format: "%Z", timezone: "America/New_York" } }, "-300"],
  [{ $dateToString: { date: january, format: "%Z", timezone: "+04:30" } }, "+270"],
  [{ $dateToString: { date: january, format: "$none" } }, null],
  [{ $dateToString: { date: null, onNull: "x" } }, "x"],
  [{ $dateFromString: { dateString: "2017-02-08T12:10:40.787Z" } }, at("2017-02-08T12:10:40.787Z")],
  [{ $dateFromString: { dateString: "2017-02-08T12:10:40+02:00" } }, at("2017-02-08T10:10:40Z")],
  [
    { $dateFromString: { dateString: "2017-02-08T12:10:40.787", timezone: "America/New_York" } },
    at("2017-02-08T17:10:40.787Z")
  ],
  [{ $dateFromString: { dateString: "06-15-2018", format: "%m-%d-%Y" } }, at("2018-06-15T00:00:00Z")],
  [{ $dateFromString: { dateString: "2015-W53-7", format: "%G-W%V-%u" } }, at("2016-01-03T00:00:00Z")],
  [{ $dateFromString: { dateString: "nonsense", onError: "bad" } }, "bad"],
  [{ $dateFromString: { dateString: 5, onError: "bad" } }, "bad"],
  [{ $dateFromString: { dateString: "$none", onNull: 0 } }, int(0)],
  [{ $dateFromString: { dateString: null } }, null],

  [add(at("2021-01-31T12:10:05Z"), "month", 1), at("2021-02-28T12:10:05Z")],
  [add(at("2020-02-29T00:00:00Z"), "year", 1), at("2021-02-28T00:00:00Z")],
  [add(at("2020-11-30T00:00:00Z"), "quarter", 1), at("2021-02-28T00:00:00Z")],
  [add(at("2020-12-31T00:00:00Z"), "week", 1), at("2021-01-07T00:00:00Z")],
  [add(march, "day", 1, "Europe/Paris"), at("2021-03-28T10:00:00Z")],
  [add(march, "hour", 24, "Europe/Paris"), at("2021-03-28T11:00:00Z")],
  [{ $dateSubtract: { startDate: at("2024-03-31T00:00:00Z"), unit: "month", amount: 1 } }, at("2024-02-29T00:00:00Z")],
  [{ $dateAdd: { startDate: "$none", unit: "day", amount: 1 } }, null],
  [{ $dateAdd: { startDate: january, unit: "day", amount: null } }, null],

  [difference("2023-12-31T23:59:59Z", "2024-01-01T00:00:00Z", "year"), long("1")],
  [difference("2024-03-31T23:59:59Z", "2024-01-01T00:00:00Z", "quarter"), long("0")],
  [difference("2024-01-31T00:00:00Z", "2024-03-01T00:00:00Z", "month"), long("2")],
  [difference("2021-01-23T12:00:00Z", "2021-01-24T00:00:00Z", "week"), long("1")],
  [difference("2021-01-23T12:00:00Z", "2021-01-24T00:00:00Z", "week", { startOfWeek: "Mon" }), long("0")],
  [difference("2020-01-01T23:00:00Z", "2020-01-02T01:00:00Z", "day"), long("1")],
  [difference("2020-01-01T23:00:00Z", "2020-01-02T01:00:00Z", "day", { timezone: "America/New_York" }), long("0")],
  [difference("2021-10-30T22:30:00Z", "2021-10-31T22:30:00Z", "hour", { timezone: "Europe/Paris" }), long("24")],
  [difference("2020-01-01T00:00:00Z", "2019-12-31T23:59:59.999Z", "second"), long("-1")],

  [truncated("hour", { binSize: 2 }), at("2021-03-20T10:00:00Z")],
  [
    truncated("week", { binSize: 2, timezone: "America/Los_Angeles", startOfWeek: "Monday" }),
    at("2021-03-15T07:00:00Z")
  ],
  [truncated("quarter", { binSize: 2, timezone: "America/Los_Angeles" }), at("2021-01-01T08:00:00Z")],
  [truncated("year"), at("2021-01-01T00:00:00Z")],
  [truncated("day", { timezone: "Asia/Tokyo" }), at("2021-03-19T15:00:00Z")],
  [truncated("minute", { binSize: 20 }), at("2021-03-20T11:20:00Z")],
  [{ $dateTrunc: { date: at("1998-05-05T00:00:00Z"), unit: "year", binSize: 5 } }, at("1995-01-01T00:00:00Z")],
  [{ $dateTrunc: { date: "$none", unit: "day" } }, null]
]

/** Expressions on dates that MongoDB refuses. */
export const refusedDates: ReadonlyArray<unknown> = [
  { $year: "2014-01-01" },
  { $year: { date: january, timezone: "Mars/Olympus" } },
  { $year: { date: january, zone: "UTC" } },
  { $year: {} },
  { $dateFromParts: {} },
  { $dateFromParts: { year: 2017, isoWeek: 3 } },
  { $dateFromParts: { year: "2017" } },
  { $dateFromParts: { year: 10_000 } },
  { $dateToString: { date: january, format: "%n" } },
  { $dateToString: { date: "x" } },
  { $dateFromString: { dateString: "nonsense" } },
  { $dateFromString: { dateString: "2017-13-01" } },
  { $dateFromString: { dateString: "2017-02-30" } },
  { $dateFromString: { dateString: 5 } },
  { $dateFromString: { dateString: "2017-02-08T12:10:40Z", timezone: "America/New_York" } },
  { $dateAdd: { startDate: january, unit: "fortnight", amount: 1 } },
  { $dateAdd: { startDate: january, unit: "day", amount: 1.5 } },
  { $dateAdd: { startDate: january, unit: "year", amount: 1_000_000 } },
  { $dateAdd: { startDate: january, unit: "day", amount: 1e15, timezone: "Europe/Paris" } },
  { $dateAdd: { startDate: january, unit: "day" } },
  { $dateDiff: { startDate: january, endDate: january, unit: "week", startOfWeek: "someday" } },
  { $dateTrunc: { date: january, unit: "day", binSize: 0 } },
  { $add: [january, january] }
]
