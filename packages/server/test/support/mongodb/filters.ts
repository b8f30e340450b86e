/**
 * Which values a filter finds in MongoDB, as its manual documents it.
 */
import type { Database } from "@effect-realm/server"
import { Binary, BSONRegExp, Double, Int32, MaxKey, MinKey, Timestamp, UUID } from "bson"
import { date, decimal, id, long } from "./values.ts"

/** Values numbered by their place; a filter names those it finds. */
export interface Found {
  readonly name: string
  readonly values: ReadonlyArray<unknown>
  readonly filter: Database.Filter
  readonly finds: ReadonlyArray<number>
}

/** Stands for a field that is not there. */
export const missing: unique symbol = Symbol("missing")

export const filters: ReadonlyArray<Found> = [
  {
    name: "numbers are equal by value across all four types",
    values: [new Int32(5), new Double(5), long("5"), decimal("5.0"), new Double(5.5), "5"],
    filter: { v: 5 },
    finds: [0, 1, 2, 3]
  },
  {
    name: "numbers are ordered by value across all four types",
    values: [new Int32(9), long("10"), decimal("9.5"), new Double(-1), decimal("1E+30"), "10"],
    filter: { v: { $gt: 9 } },
    finds: [1, 2, 4]
  },
  {
    name: "int64 beyond 2^53 are told apart",
    values: [long("9007199254740992"), long("9007199254740993"), new Double(9007199254740992)],
    filter: { v: long("9007199254740993") },
    finds: [1]
  },
  {
    name: "a double is not the decimal it is printed as",
    values: [new Double(0.1), decimal("0.1")],
    filter: { v: decimal("0.1") },
    finds: [1]
  },
  {
    name: "minus zero is zero",
    values: [new Double(-0), new Int32(0), decimal("-0")],
    filter: { v: 0 },
    finds: [0, 1, 2]
  },
  {
    name: "NaN equals NaN",
    values: [new Double(Number.NaN), decimal("NaN"), 0],
    filter: { v: Number.NaN },
    finds: [0, 1]
  },
  { name: "NaN is not below a number", values: [new Double(Number.NaN), -1, 1], filter: { v: { $lt: 0 } }, finds: [1] },
  {
    name: "an ObjectId is found by its value",
    values: [id(1), id(2), String(id(1))],
    filter: { v: id(1) },
    finds: [0]
  },
  { name: "ObjectIds are ordered", values: [id(1), id(2), id(3)], filter: { v: { $gte: id(2) } }, finds: [1, 2] },
  {
    name: "dates are ordered, and are no numbers",
    values: [date(-5), date(0), date(5), 5],
    filter: { v: { $gt: date(-1) } },
    finds: [1, 2]
  },
  {
    name: "binary data is equal by subtype and bytes",
    values: [
      new Binary(new Uint8Array([1, 2])),
      new Binary(new Uint8Array([1, 2]), 128),
      new Binary(new Uint8Array([1, 3]))
    ],
    filter: { v: new Uint8Array([1, 2]) },
    finds: [0]
  },
  {
    name: "a UUID is found by its value",
    values: [new UUID("00000000-0000-4000-8000-000000000001"), new UUID("00000000-0000-4000-8000-000000000002")],
    filter: { v: new UUID("00000000-0000-4000-8000-000000000002") },
    finds: [1]
  },
  {
    name: "timestamps are ordered and are no int64",
    values: [new Timestamp({ t: 1, i: 1 }), new Timestamp({ t: 1, i: 2 }), long("4294967298")],
    filter: { v: { $gt: new Timestamp({ t: 1, i: 1 }) } },
    finds: [1]
  },
  {
    name: "null finds null and missing",
    values: [null, missing, 0, [null], []],
    filter: { v: null },
    finds: [0, 1, 3]
  },
  {
    name: "$exists: false finds the missing alone",
    values: [null, missing, 0],
    filter: { v: { $exists: false } },
    finds: [1]
  },
  { name: "$exists: true finds null too", values: [null, missing, 0], filter: { v: { $exists: true } }, finds: [0, 2] },
  {
    name: "$gte: null finds null and missing",
    values: [null, missing, 0],
    filter: { v: { $gte: null } },
    finds: [0, 1]
  },
  { name: "$gt: null finds nothing", values: [null, missing, 0], filter: { v: { $gt: null } }, finds: [] },
  {
    name: "comparison stays within one type",
    values: ["b", 2, true, date(2), null],
    filter: { v: { $lt: "c" } },
    finds: [0]
  },
  {
    name: "MinKey and MaxKey bound every type, and what is missing",
    values: ["b", 2, new MinKey(), new MaxKey(), missing],
    filter: { v: { $lt: new MaxKey() } },
    finds: [0, 1, 2, 4]
  },
  {
    name: "what is missing is above MinKey",
    values: [new MinKey(), missing, null, 1],
    filter: { v: { $gt: new MinKey() } },
    finds: [1, 2, 3]
  },
  { name: "an element of an array is enough", values: [[1, 2], 2, [3], [[2]]], filter: { v: 2 }, finds: [0, 1] },
  {
    name: "a whole array matches",
    values: [[1, 2], [2, 1], [[1, 2]], [1, 2, 3]],
    filter: { v: [1, 2] },
    finds: [0, 2]
  },
  {
    name: "conditions on an array may hold for different elements",
    values: [[1, 9], [5], [9]],
    filter: { v: { $gt: 3, $lt: 7 } },
    finds: [0, 1]
  },
  {
    name: "$elemMatch binds conditions to one element",
    values: [[1, 9], [5], 5],
    filter: { v: { $elemMatch: { $gt: 3, $lt: 7 } } },
    finds: [1]
  },
  {
    name: "$elemMatch on documents binds fields to one element",
    values: [[{ a: 1, b: 2 }], [{ a: 1 }, { b: 2 }], [{ a: 1, b: 3 }]],
    filter: { v: { $elemMatch: { a: 1, b: 2 } } },
    finds: [0]
  },
  {
    name: "dotted paths enter arrays of documents",
    values: [[{ a: 1 }, { a: 2 }], { a: 2 }, [[{ a: 2 }]], { a: [2] }],
    filter: { "v.a": 2 },
    finds: [0, 1, 3]
  },
  {
    name: "a number in a path is a place or a name",
    values: [[7, 8], { 1: 8 }, [8, 7]],
    filter: { "v.1": 8 },
    finds: [0, 1]
  },
  {
    name: "a path through a scalar is missing, through an empty array is nothing",
    values: [5, { b: 1 }, [], [{ a: 1 }, {}]],
    filter: { "v.a": null },
    finds: [0, 1, 3]
  },
  {
    name: "embedded documents are equal with their fields in order",
    values: [{ a: 1, b: 2 }, { b: 2, a: 1 }, { a: long("1"), b: 2 }, { a: 1, b: 2, c: 3 }],
    filter: { v: { a: 1, b: 2 } },
    finds: [0, 2]
  },
  {
    name: "$in finds any, null the missing too",
    values: [1, 2, missing, [1]],
    filter: { v: { $in: [1, null] } },
    finds: [0, 2, 3]
  },
  { name: "$in takes regular expressions", values: ["ann", "bob"], filter: { v: { $in: [/^b/] } }, finds: [1] },
  { name: "$nin finds none of them", values: [1, 2, missing, [1]], filter: { v: { $nin: [1, null] } }, finds: [1] },
  {
    name: "$ne is not $eq, arrays included",
    values: [1, 2, [1, 2], missing],
    filter: { v: { $ne: 1 } },
    finds: [1, 3]
  },
  {
    name: "$not turns its operators round",
    values: [1, 5, missing],
    filter: { v: { $not: { $gt: 3 } } },
    finds: [0, 2]
  },
  { name: "$not takes a regular expression", values: ["ann", "bob", 1], filter: { v: { $not: /^b/ } }, finds: [0, 2] },
  {
    name: "$type knows the four number types",
    values: [new Int32(1), new Double(1), long("1"), decimal("1")],
    filter: { v: { $type: "long" } },
    finds: [2]
  },
  {
    name: "$type takes numbers, lists and the name number",
    values: [new Int32(1), "x", null, [1]],
    filter: { v: { $type: [2, "number"] } },
    finds: [0, 1, 3]
  },
  { name: "$type: array finds arrays", values: [[], 1, [[1]]], filter: { v: { $type: "array" } }, finds: [0, 2] },
  {
    name: "$regex takes options",
    values: ["Ann", "bob", 1],
    filter: { v: { $regex: "^a", $options: "i" } },
    finds: [0]
  },
  {
    name: "a stored regular expression is found",
    values: [/a/i, /a/],
    filter: { v: { $eq: new BSONRegExp("a", "i") } },
    finds: [0]
  },
  { name: "$mod", values: [4, 5, long("8"), -4, "4"], filter: { v: { $mod: [4, 0] } }, finds: [0, 2, 3] },
  {
    name: "$mod takes a number without its fraction, and what is too large for int64 not at all",
    values: [4.9, new Double(-4.9), decimal("8.5"), new Double(1e30), new Double(Infinity), long("9007199254740996")],
    filter: { v: { $mod: [4.5, 0] } },
    finds: [0, 1, 2, 5]
  },
  { name: "$size counts elements", values: [[], [1], [[1, 2]], 1], filter: { v: { $size: 1 } }, finds: [1, 2] },
  { name: "$all wants every element", values: [[1, 2, 3], [1], 1], filter: { v: { $all: [1, 2] } }, finds: [0] },
  { name: "an empty $all finds nothing", values: [[], [1]], filter: { v: { $all: [] } }, finds: [] },
  { name: "$bitsAllSet", values: [7, 5, 2], filter: { v: { $bitsAllSet: 5 } }, finds: [0, 1] },
  {
    name: "$and, $or and $nor",
    values: [1, 2, 3, 4],
    filter: { $and: [{ $or: [{ v: 1 }, { v: 3 }, { v: 4 }] }, { $nor: [{ v: 4 }] }] },
    finds: [0, 2]
  },
  {
    name: "$expr compares fields",
    values: [{ a: 1, b: 2 }, { a: long("3"), b: new Double(2.5) }],
    filter: { $expr: { $gt: ["$v.a", "$v.b"] } },
    finds: [1]
  },
  {
    name: "$expr compares int64 by value",
    values: [long("9007199254740993"), long("10")],
    filter: { $expr: { $gt: ["$v", long("9007199254740992")] } },
    finds: [0]
  },
  {
    name: "references are documents",
    values: [{ $ref: "a", $id: 1 }, { $ref: "a", $id: 2 }],
    filter: { "v.$id": 2 },
    finds: [1]
  },
  { name: "text is ordered by code point", values: ["\uffee", "😀"], filter: { v: { $gt: "\uffee" } }, finds: [1] },
  {
    name: "names of the prototype are missing",
    values: [{}, { constructor: 1 }],
    filter: { "v.constructor": { $exists: true } },
    finds: [1]
  }
]

/** Filters that MongoDB refuses. */
export const refusedFilters: ReadonlyArray<readonly [name: string, filter: Database.Filter]> = [
  ["an unknown operator", { v: { $who: 1 } }],
  ["an unknown operator at the top", { $who: 1 }],
  ["an unknown operator in an element", { v: { $elemMatch: { a: { $who: 1 } } } }],
  ["an unknown expression", { $expr: { $who: 1 } }],
  ["an expression within an array", { v: { $elemMatch: { $expr: true } } }],
  ["$in without a list", { v: { $in: 1 } }],
  ["$in of operators", { v: { $in: [{ $gt: 1 }] } }],
  ["$all without a list", { v: { $all: 1 } }],
  ["$or without a list", { $or: {} }],
  ["$or of nothing", { $or: [] }],
  ["$and of what is no document", { $and: [1] }],
  ["$not of a number", { v: { $not: 1 } }],
  ["$elemMatch of a number", { v: { $elemMatch: 1 } }],
  ["$size of -1", { v: { $size: -1 } }],
  ["$size of 1.5", { v: { $size: 1.5 } }],
  ["$size of a text", { v: { $size: "1" } }],
  ["$type of an unknown name", { v: { $type: "who" } }],
  ["$mod by zero", { v: { $mod: [0, 1] } }],
  ["$mod with an infinite remainder", { v: { $mod: [2, Infinity] } }],
  ["$mod of one number", { v: { $mod: [2] } }],
  ["$mod of three numbers", { v: { $mod: [2, 1, 0] } }],
  ["$type of an unknown number", { v: { $type: 200 } }],
  ["$type of nothing", { v: { $type: [] } }],
  ["$ne of a regular expression", { v: { $ne: /a/ } }],
  ["$all of $elemMatch and a value", { v: { $all: [{ $elemMatch: { a: 1 } }, 5] } }],
  ["$bitsAllSet of -1", { v: { $bitsAllSet: -1 } }],
  ["$options without $regex", { v: { $options: "i" } }],
  ["$regex that is none", { v: { $regex: "(" } }],
  ["$regex of a number", { v: { $regex: 1 } }],
  ["$gt a regular expression", { v: { $gt: /a/ } }],
  ["$bitsAllSet of a text", { v: { $bitsAllSet: "1" } }]
]
