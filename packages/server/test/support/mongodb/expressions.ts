/**
 * What an aggregation expression makes of a document in MongoDB, as its manual documents it.
 */
import type { Database } from "@effect-realm/server"
import { BSONRegExp, Double, ObjectId } from "bson"
import { decimal, double, int, long } from "./values.ts"

/** An expression over `document`, and its value; `undefined` when there is none. */
export type Evaluated = readonly [expression: unknown, value: unknown]

/** What the expressions are of. */
export const document: Database.Document = {
  int: 7,
  negative: -7,
  double: new Double(2.5),
  whole: new Double(3),
  long: long("9007199254740993"),
  decimal: decimal("0.10"),
  text: "Zoë 😀",
  list: [3, 1, 2],
  items: [{ n: 1, v: 10 }, { n: 2 }, { n: 3, v: 30 }],
  date: new Date("2024-02-29T12:34:56.789Z"),
  id: new ObjectId("65e0728000000000000000ff"),
  yes: true,
  nothing: null,
  inner: { a: 1, "b.c": 2 }
}

export const expressions: ReadonlyArray<Evaluated> = [
  ["$int", int(7)],
  ["$none", undefined],
  ["$items.v", [int(10), int(30)]],
  ["$$ROOT.inner.a", int(1)],
  [{ $literal: "$int" }, "$int"],
  [["$int", "$none"], [int(7), null]],
  [{ a: "$int", b: "$none" }, { a: int(7) }],

  [{ $add: ["$int", 1] }, int(8)],
  [{ $add: ["$int", double(1)] }, double(8)],
  [{ $add: [2147483647, 1] }, long("2147483648")],
  [{ $add: ["$long", 1] }, long("9007199254740994")],
  [{ $add: ["$decimal", decimal("0.20")] }, decimal("0.30")],
  [{ $add: ["$date", 1000] }, new Date("2024-02-29T12:34:57.789Z")],
  [{ $add: ["$int", null] }, null],
  [{ $subtract: ["$int", 9] }, int(-2)],
  [{ $subtract: ["$date", new Date("2024-02-29T12:34:56.000Z")] }, long("789")],
  [{ $multiply: ["$int", "$double"] }, double(17.5)],
  [{ $divide: ["$int", 2] }, double(3.5)],
  [{ $divide: [decimal("1"), 3] }, decimal("0.3333333333333333333333333333333333")],
  [{ $divide: [decimal("1"), 4] }, decimal("0.25")],
  [{ $mod: ["$negative", 4] }, int(-3)],
  [{ $mod: ["$double", 2] }, double(0.5)],
  [{ $abs: "$negative" }, int(7)],
  [{ $ceil: "$double" }, double(3)],
  [{ $floor: "$int" }, int(7)],
  [{ $round: ["$double"] }, double(2)],
  [{ $round: [1234.5678, 2] }, double(1234.57)],
  [{ $round: [1250, -2] }, int(1200)],
  [{ $trunc: [decimal("-1.99")] }, decimal("-1")],
  [{ $pow: [2, 10] }, int(1024)],
  [{ $pow: [2, 62] }, long("4611686018427387904")],
  [{ $pow: [2, -1] }, double(0.5)],
  [{ $sqrt: 16 }, double(4)],
  [{ $log10: 100 }, double(2)],

  [{ $cmp: ["$long", long("9007199254740992")] }, int(1)],
  [{ $eq: ["$whole", 3] }, true],
  [{ $lt: ["$none", null] }, true],
  [{ $gt: ["$text", 9] }, true],
  [{ $and: ["$yes", 1, ""] }, true],
  [{ $or: [null, 0, "$none"] }, false],
  [{ $not: ["$nothing"] }, true],
  [{ $cond: [{ $gte: ["$int", 7] }, "a", "b"] }, "a"],
  // oxlint-disable-next-line unicorn/no-thenable -- a word of MongoDB's
  [{ $cond: { if: false, then: 1, else: "$int" } }, int(7)],
  [{ $ifNull: ["$nothing", "$none", "x"] }, "x"],
  // oxlint-disable-next-line unicorn/no-thenable -- a word of MongoDB's
  [{ $switch: { branches: [{ case: false, then: 1 }, { case: true, then: 2 }], default: 3 } }, int(2)],

  [{ $size: "$list" }, int(3)],
  [{ $arrayElemAt: ["$list", -1] }, int(2)],
  [{ $arrayElemAt: ["$list", 9] }, undefined],
  [{ $first: "$list" }, int(3)],
  [{ $slice: ["$list", 1, 2] }, [int(1), int(2)]],
  [{ $concatArrays: ["$list", [9]] }, [int(3), int(1), int(2), int(9)]],
  [{ $in: [long("2"), "$list"] }, true],
  [{ $indexOfArray: ["$list", 2] }, int(2)],
  [{ $range: [0, 5, 2] }, [int(0), int(2), int(4)]],
  [{ $reverseArray: "$list" }, [int(2), int(1), int(3)]],
  [{ $sortArray: { input: "$list", sortBy: -1 } }, [int(3), int(2), int(1)]],
  [{ $sortArray: { input: "$items", sortBy: { v: 1 } } }, [{ n: int(2) }, { n: int(1), v: int(10) }, {
    n: int(3),
    v: int(30)
  }]],
  [{ $map: { input: "$list", as: "x", in: { $multiply: ["$$x", 2] } } }, [int(6), int(2), int(4)]],
  [{ $map: { input: "$items", in: "$$this.v" } }, [int(10), null, int(30)]],
  [{ $filter: { input: "$list", as: "x", cond: { $gt: ["$$x", 1] }, limit: 1 } }, [int(3)]],
  [{ $reduce: { input: "$list", initialValue: 0, in: { $add: ["$$value", "$$this"] } } }, int(6)],
  [{ $let: { vars: { a: 1, b: "$int" }, in: { $add: ["$$a", "$$b"] } } }, int(8)],
  [{ $maxN: { n: 2, input: "$list" } }, [int(3), int(2)]],
  [{ $zip: { inputs: ["$list", ["a", "b"]] } }, [[int(3), "a"], [int(1), "b"]]],
  [{ $arrayToObject: [[["a", 1], ["b", 2]]] }, { a: int(1), b: int(2) }],
  [{ $objectToArray: { a: 1 } }, [{ k: "a", v: int(1) }]],
  [{ $mergeObjects: ["$inner", { a: 2 }, null] }, { a: int(2), "b.c": int(2) }],
  [{ $getField: { field: "b.c", input: "$inner" } }, int(2)],
  [{ $setField: { field: "x.y", input: {}, value: 1 } }, { "x.y": int(1) }],
  [{ $setUnion: [[2, 1], [long("1"), 3]] }, [int(1), int(2), int(3)]],
  [{ $setIntersection: ["$list", [1, 9]] }, [int(1)]],
  [{ $setDifference: ["$list", [1]] }, [int(3), int(2)]],
  [{ $setEquals: [[1, 2], [2, 1, 1]] }, true],
  [{ $setIsSubset: [[1], "$list"] }, true],
  [{ $anyElementTrue: [[0, null, 1]] }, true],
  [{ $allElementsTrue: [[1, 0]] }, false],
  [{ $sum: "$list" }, int(6)],
  [{ $avg: ["$int", "$negative", "$text"] }, double(0)],
  [{ $max: ["$int", "$long"] }, long("9007199254740993")],

  [{ $concat: ["a", "$text"] }, "aZoë 😀"],
  [{ $concat: ["a", "$none"] }, null],
  [{ $toUpper: "$text" }, "ZOË 😀"],
  [{ $strLenCP: "$text" }, int(5)],
  [{ $strLenBytes: "$text" }, int(9)],
  [{ $split: ["a-b-c", "-"] }, ["a", "b", "c"]],
  [{ $indexOfCP: ["$text", "😀"] }, int(4)],
  [{ $trim: { input: "  x " } }, "x"],
  [{ $replaceAll: { input: "a.b.c", find: ".", replacement: { $literal: "$&" } } }, "a$&b$&c"],
  [{ $substrCP: ["$text", 1, 2] }, "oë"],
  [{ $regexMatch: { input: "$text", regex: "^zo", options: "i" } }, true],
  [
    { $regexFind: { input: "$text", regex: new BSONRegExp("(ë) (x)?(.)") } },
    { match: "ë 😀", idx: int(2), captures: ["ë", null, "😀"] }
  ],
  [
    { $regexFindAll: { input: "a1b22", regex: "[0-9]+" } },
    [{ match: "1", idx: int(1), captures: [] }, { match: "22", idx: int(3), captures: [] }]
  ],

  [{ $year: "$date" }, int(2024)],
  [{ $month: "$date" }, int(2)],
  [{ $dayOfYear: "$date" }, int(60)],
  [{ $year: "$id" }, int(2024)],
  [{ $dateToString: { date: "$date", format: "%Y-%m-%d" } }, "2024-02-29"],
  [{ $dateAdd: { startDate: "$date", unit: "day", amount: 1 } }, new Date("2024-03-01T12:34:56.789Z")],
  [
    { $dateDiff: { startDate: "$date", endDate: new Date("2024-03-02T00:00:00Z"), unit: "day" } },
    long("2")
  ],
  [{ $dateTrunc: { date: "$date", unit: "month" } }, new Date("2024-02-01T00:00:00Z")],
  [{ $dateFromString: { dateString: "2024-01-02" } }, new Date("2024-01-02T00:00:00Z")],
  [{ $type: "$long" }, "long"],
  [{ $type: "$none" }, "missing"],
  [{ $toString: "$whole" }, "3"],
  [{ $toInt: "42" }, int(42)],
  [{ $toInt: double(-2.9) }, int(-2)],
  [{ $toLong: "$date" }, long("1709210096789")],
  [{ $toDouble: "1.5e3" }, double(1500)],
  [{ $toDecimal: "$int" }, decimal("7")],
  [{ $toDate: long("5000") }, new Date(5000)],
  [{ $toObjectId: "65e0728000000000000000ff" }, new ObjectId("65e0728000000000000000ff")],
  [{ $toBool: "" }, true],
  [{ $convert: { input: "x", to: "int", onError: "bad", onNull: 0 } }, "bad"],
  [{ $convert: { input: null, to: "int", onNull: 0 } }, int(0)]
]
