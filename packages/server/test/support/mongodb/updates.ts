/**
 * What an update makes of a document in MongoDB, as its manual documents it.
 */
import type { Database } from "@effect-realm/server"
import { Double } from "bson"
import { date, decimal, int, long } from "./values.ts"

export interface Updated {
  readonly name: string
  readonly before: Database.Document
  readonly update: Database.UpdateOperators
  /** In exact form, without `_id`. */
  readonly after: Database.Document
  readonly filter?: Database.Filter
  readonly arrayFilters?: ReadonlyArray<Database.Filter>
}

/** The whole numbers from one on, up to another one. */
const numbers = (from: number, to: number): ReadonlyArray<number> =>
  Array.from({ length: to - from }, (_, index) => from + index)

const longs = (from: number, to: number) => numbers(from, to).map((number) => long(String(number)))

export const updates: ReadonlyArray<Updated> = [
  {
    name: "$set makes documents on the way",
    before: {},
    update: { $set: { "a.b.c": 1 } },
    after: { a: { b: { c: int(1) } } }
  },
  {
    name: "$set at a place pads with null",
    before: { a: [1] },
    update: { $set: { "a.3": 4 } },
    after: { a: [int(1), null, null, int(4)] }
  },
  {
    name: "$set of several new fields adds them in the order of their names",
    before: {},
    update: { $set: { b: 1, a: 2 } },
    after: { a: int(2), b: int(1) }
  },
  {
    name: "$unset removes, and empties a place in an array",
    before: { a: 1, b: [1, 2] },
    update: { $unset: { a: "", "b.0": "" } },
    after: { b: [null, int(2)] }
  },
  {
    name: "$unset of what is not there does nothing",
    before: { a: 1 },
    update: { $unset: { "x.y": "" } },
    after: { a: int(1) }
  },
  { name: "$inc keeps int32", before: { a: 1 }, update: { $inc: { a: 2 } }, after: { a: int(3) } },
  {
    name: "$inc turns an int32 that overflows into int64",
    before: { a: 2147483647 },
    update: { $inc: { a: 1 } },
    after: { a: long("2147483648") }
  },
  {
    name: "$inc keeps int64",
    before: { a: long("9007199254740993") },
    update: { $inc: { a: 1 } },
    after: { a: long("9007199254740994") }
  },
  {
    name: "$inc of an int32 by a double is a double",
    before: { a: 1 },
    update: { $inc: { a: new Double(2) } },
    after: { a: new Double(3) }
  },
  {
    name: "$inc keeps a double a double",
    before: { a: new Double(1) },
    update: { $inc: { a: 1 } },
    after: { a: new Double(2) }
  },
  {
    name: "$inc keeps every digit of a decimal",
    before: { a: decimal("0.10") },
    update: { $inc: { a: decimal("0.20") } },
    after: { a: decimal("0.30") }
  },
  {
    name: "$inc and $mul of decimals round to 34 digits, to infinity and to zero",
    before: { a: decimal("1E+6144"), b: decimal("9E+6144"), c: decimal("1E-6176"), d: decimal("9".repeat(34)) },
    update: {
      $inc: { a: decimal("1E-6176"), d: decimal("0.5") },
      $mul: { b: decimal("-10"), c: decimal("0.1") }
    },
    after: {
      a: decimal("1.000000000000000000000000000000000E+6144"),
      b: decimal("-Infinity"),
      c: decimal("0E-6176"),
      d: decimal("1.000000000000000000000000000000000E+34")
    }
  },
  { name: "$inc of a missing field sets it", before: {}, update: { $inc: { a: long("7") } }, after: { a: long("7") } },
  {
    name: "$mul keeps types and sets a missing field to zero",
    before: { a: 3 },
    update: { $mul: { a: 4, b: long("2") } },
    after: { a: int(12), b: long("0") }
  },
  {
    name: "$min and $max compare by value and across types",
    before: { a: 5, b: 5, c: 5 },
    update: { $min: { a: long("4") }, $max: { b: new Double(5), c: "x" } },
    after: { a: long("4"), b: int(5), c: "x" }
  },
  {
    name: "$push makes an array and appends",
    before: { a: [1] },
    update: { $push: { a: 2, b: 1 } },
    after: { a: [int(1), int(2)], b: [int(1)] }
  },
  {
    name: "$push inserts, sorts, then slices",
    before: { a: [5, 1] },
    update: { $push: { a: { $each: [3, 4], $sort: 1, $slice: -3 } } },
    after: { a: [int(3), int(4), int(5)] }
  },
  {
    name: "$push at a position",
    before: { a: [1, 4] },
    update: { $push: { a: { $each: [2, 3], $position: 1 } } },
    after: { a: [int(1), int(2), int(3), int(4)] }
  },
  {
    name: "$push sorts documents by a field",
    before: { a: [{ n: 2 }] },
    update: { $push: { a: { $each: [{ n: 1 }], $sort: { n: 1 } } } },
    after: { a: [{ n: int(1) }, { n: int(2) }] }
  },
  {
    name: "$addToSet leaves out what is there by value",
    before: { a: [1, { b: 1 }] },
    update: { $addToSet: { a: { $each: [long("1"), 2, { b: 1 }] } } },
    after: { a: [int(1), { b: int(1) }, int(2)] }
  },
  {
    name: "$pull by operators",
    before: { a: [1, 5, 9] },
    update: { $pull: { a: { $gt: 4 } } },
    after: { a: [int(1)] }
  },
  {
    name: "$pull by fields of elements",
    before: { a: [{ k: 1, x: 1 }, { k: 2 }] },
    update: { $pull: { a: { k: 1 } } },
    after: { a: [{ k: int(2) }] }
  },
  {
    name: "$pull by operators and patterns finds elements as a filter does, by what is in them too",
    before: { a: [[6], 7, 1, [1]], b: [["x"], "x", "y"] },
    update: { $pull: { a: { $gte: 5 }, b: /x/ } },
    after: { a: [int(1), [int(1)]], b: ["y"] }
  },
  { name: "$pull by value", before: { a: [1, 2, 1] }, update: { $pull: { a: 1 } }, after: { a: [int(2)] } },
  {
    name: "$addToSet of many leaves out what is there by value",
    before: { a: numbers(0, 20) },
    update: { $addToSet: { a: { $each: [...longs(10, 30), 30, "x"] } } },
    after: { a: [...numbers(0, 20).map(int), ...longs(20, 30), int(30), "x"] }
  },
  {
    name: "$pullAll of many",
    before: { a: [...numbers(0, 30), "x"] },
    update: { $pullAll: { a: [...longs(5, 30), "y"] } },
    after: { a: [...numbers(0, 5).map(int), "x"] }
  },
  { name: "$pullAll", before: { a: [1, 2, 3] }, update: { $pullAll: { a: [1, 3] } }, after: { a: [int(2)] } },
  {
    name: "$pop takes from either end",
    before: { a: [1, 2], b: [1, 2] },
    update: { $pop: { a: 1, b: -1 } },
    after: { a: [int(1)], b: [int(2)] }
  },
  {
    name: "$rename moves a value",
    before: { a: 1, b: 2 },
    update: { $rename: { a: "c.d" } },
    after: { b: int(2), c: { d: int(1) } }
  },
  { name: "$bit", before: { a: 13 }, update: { $bit: { a: { and: 10 } } }, after: { a: int(8) } },
  {
    name: "$setOnInsert does nothing to a document that is there",
    before: { a: 1 },
    update: { $setOnInsert: { a: 2 } },
    after: { a: int(1) }
  },
  {
    name: "$[] reaches every element",
    before: { a: [1, 2] },
    update: { $inc: { "a.$[]": 10 } },
    after: { a: [int(11), int(12)] }
  },
  {
    name: "$[name] reaches the elements of its array filter",
    before: { a: [{ g: 1 }, { g: 9 }] },
    update: { $set: { "a.$[low].g": 5 } },
    arrayFilters: [{ "low.g": { $lt: 5 } }],
    after: { a: [{ g: int(5) }, { g: int(9) }] }
  },
  {
    name: "$ is the element that the filter found",
    before: { a: [{ k: 1 }, { k: 2 }, { k: 2 }] },
    filter: { "a.k": 2 },
    update: { $set: { "a.$.x": 1 } },
    after: { a: [{ k: int(1) }, { k: int(2), x: int(1) }, { k: int(2) }] }
  },
  {
    name: "names of the prototype are fields like others",
    before: {},
    update: { $set: { "constructor.a": 1 } },
    after: { constructor: { a: int(1) } }
  },
  {
    name: "$mul turns an int32 that overflows into int64, and by a decimal is a decimal",
    before: { a: 2147483647, b: 3 },
    update: { $mul: { a: 2, b: decimal("0.10") } },
    after: { a: long("4294967294"), b: decimal("0.30") }
  },
  {
    name: "$min and $max know no type apart: null is less than a number, a date is more",
    before: { a: 1, b: 1 },
    update: { $min: { a: null }, $max: { b: date(0) } },
    after: { a: null, b: date(0) }
  },
  {
    name: "$bit keeps int64",
    before: { a: long("4294967296"), b: 1 },
    update: { $bit: { a: { or: 1 }, b: { xor: 3 } } },
    after: { a: long("4294967297"), b: int(2) }
  },
  {
    name: "$push of a list pushes the list",
    before: { a: [1] },
    update: { $push: { a: [2, 3] } },
    after: { a: [int(1), [int(2), int(3)]] }
  },
  {
    name: "$push of nothing, cut to nothing",
    before: { a: [1, 2] },
    update: { $push: { a: { $each: [], $slice: 0 } } },
    after: { a: [] }
  },
  {
    name: "$push before the last, and keeps the last of them",
    before: { a: [1, 2] },
    update: { $push: { a: { $each: [8, 9], $position: -1, $slice: -3 } } },
    after: { a: [int(8), int(9), int(2)] }
  },
  {
    name: "$push sorts values of several types",
    before: { a: ["x", 2] },
    update: { $push: { a: { $each: [null, long("1")], $sort: -1 } } },
    after: { a: ["x", int(2), long("1"), null] }
  },
  {
    name: "$addToSet adds each once, and tells documents apart by the order of their fields",
    before: { a: [{ x: 1, y: 2 }] },
    update: { $addToSet: { a: { $each: [{ x: 1, y: 2 }, { y: 2, x: 1 }, 5, long("5")] } } },
    after: { a: [{ x: int(1), y: int(2) }, { y: int(2), x: int(1) }, int(5)] }
  },
  {
    name: "$addToSet of a list adds the list",
    before: { a: [] },
    update: { $addToSet: { a: [1] } },
    after: { a: [[int(1)]] }
  },
  {
    name: "$pull takes operators inside of fields, and leaves what has none",
    before: { a: [{ n: 1 }, { n: 5, k: "x" }, { k: "x" }, 5] },
    update: { $pull: { a: { n: { $gte: 2 } } } },
    after: { a: [{ n: int(1) }, { k: "x" }, int(5)] }
  },
  {
    name: "$pull takes $in, null the missing of elements apart",
    before: { a: [1, "x", null, 2] },
    update: { $pull: { a: { $in: [1, null] } } },
    after: { a: ["x", int(2)] }
  },
  {
    name: "$pull takes $elemMatch of lists in the list",
    before: { a: [{ r: [{ q: 1, v: 9 }] }, { r: [{ q: 1, v: 1 }, { q: 2, v: 9 }] }] },
    update: { $pull: { a: { r: { $elemMatch: { q: 1, v: { $gte: 8 } } } } } },
    after: { a: [{ r: [{ q: int(1), v: int(1) }, { q: int(2), v: int(9) }] }] }
  },
  {
    name: "$pullAll takes whole documents, their fields in order",
    before: { a: [{ x: 1, y: 2 }, { y: 2, x: 1 }, { x: 1 }] },
    update: { $pullAll: { a: [{ x: 1, y: 2 }, { x: long("1") }] } },
    after: { a: [{ y: int(2), x: int(1) }] }
  },
  { name: "$pop of an empty list leaves it empty", before: { a: [] }, update: { $pop: { a: -1 } }, after: { a: [] } },
  {
    name: "$pull and $pop of what is missing make nothing",
    before: { b: 1 },
    update: { $pull: { a: 1 }, $pop: { c: 1 }, $pullAll: { d: [1] } },
    after: { b: int(1) }
  },
  {
    name: "$[] reaches fields of every element, and elements of elements",
    before: { a: [{ n: 1, l: [1, 2] }, { n: 2, l: [] }] },
    update: { $inc: { "a.$[].n": 10, "a.$[].l.$[]": 1 } },
    after: { a: [{ n: int(11), l: [int(2), int(3)] }, { n: int(12), l: [] }] }
  },
  {
    name: "$[name] binds several fields of one element, and another one below it",
    before: { a: [{ k: "x", n: 1, l: [1, 5] }, { k: "x", n: 2, l: [5] }, { k: "y", n: 2, l: [5] }] },
    update: { $set: { "a.$[e].l.$[big]": 0 } },
    arrayFilters: [{ "e.k": "x", "e.n": { $gte: 2 } }, { big: { $gt: 2 } }],
    after: {
      a: [
        { k: "x", n: int(1), l: [int(1), int(5)] },
        { k: "x", n: int(2), l: [int(0)] },
        { k: "y", n: int(2), l: [int(5)] }
      ]
    }
  },
  {
    name: "$[name] takes $or, and may find nothing",
    before: { a: [1, 2, 3], b: [1] },
    update: { $mul: { "a.$[x]": 10, "b.$[y]": 10 } },
    arrayFilters: [{ $or: [{ x: 1 }, { x: { $gt: 2 } }] }, { y: 7 }],
    after: { a: [int(10), int(2), int(30)], b: [int(1)] }
  },
  {
    name: "$ stands in the middle of a path, and takes $push",
    before: { a: [{ k: 1, l: [] }, { k: 2, l: [1] }] },
    filter: { "a.k": 2 },
    update: { $push: { "a.$.l": 2 }, $set: { "a.$.seen": true } },
    after: { a: [{ k: int(1), l: [] }, { k: int(2), l: [int(1), int(2)], seen: true }] }
  },
  {
    name: "$ by $elemMatch is the element that holds all of it",
    before: { a: [{ k: 1, n: 1 }, { k: 1, n: 2 }] },
    filter: { a: { $elemMatch: { k: 1, n: 2 } } },
    update: { $unset: { "a.$.k": "" } },
    after: { a: [{ k: int(1), n: int(1) }, { n: int(2) }] }
  },
  {
    name: "$set at a place of a list reaches into its document, and past its end",
    before: { a: [{ n: 1 }] },
    update: { $set: { "a.0.n": 2, "a.2.n": 3 } },
    after: { a: [{ n: int(2) }, null, { n: int(3) }] }
  },
  {
    name: "$rename takes the place of what is there",
    before: { a: 1, b: 2, c: 3 },
    update: { $rename: { a: "c" } },
    after: { b: int(2), c: int(1) }
  },
  {
    name: "$pull takes $or and $and of the fields of elements",
    before: { a: [{ x: 1 }, { x: 2, y: 1 }, { x: 2, y: 2 }, 5] },
    update: { $pull: { a: { $or: [{ x: 1 }, { $and: [{ x: 2 }, { y: 2 }] }] } } },
    after: { a: [{ x: int(2), y: int(1) }, int(5)] }
  },
  {
    name: "$ is not what a negation left over",
    before: { a: [1, 2, 3] },
    filter: { a: { $ne: 7, $gt: 1 } },
    update: { $set: { "a.$": 0 } },
    after: { a: [int(1), int(0), int(3)] }
  },
  {
    name: "$[name] of several array filters look at elements as they were",
    before: { a: [1, 2] },
    update: { $inc: { "a.$[one]": 1 }, $mul: { "a.$[two]": 10 } },
    arrayFilters: [{ one: 1 }, { two: 2 }],
    after: { a: [int(2), int(20)] }
  },
  {
    name: "$[name] of several array filters change different fields of one element",
    before: { a: [{ n: 1 }] },
    update: { $set: { "a.$[e].x": 1, "a.$[f].y": 2 } },
    arrayFilters: [{ "e.n": 1 }, { "f.n": { $gt: 0 } }],
    after: { a: [{ n: int(1), x: int(1), y: int(2) }] }
  },
  {
    name: "$rename of what is missing does nothing",
    before: { b: 2 },
    update: { $rename: { a: "b" } },
    after: { b: int(2) }
  }
]
