/**
 * What an aggregation pipeline makes of documents in MongoDB, as its manual documents it.
 */
import type { Database } from "@effect-realm/server"
import { date, decimal, double, int, long } from "./values.ts"

/** Documents numbered by their place, and what comes out. */
export interface Piped {
  readonly name: string
  readonly documents: ReadonlyArray<Database.Document>
  readonly pipeline: ReadonlyArray<Database.Stage>
  /** In exact form, in order. */
  readonly result: ReadonlyArray<Database.Document>
}

export const pipelines: ReadonlyArray<Piped> = [
  {
    name: "$group takes 1, 1.0 and 1 of 64 bits for one key, and what is missing for null",
    documents: [{ k: 1 }, { k: double(1) }, { k: long("1") }, { k: decimal("1.0") }, { k: null }, {}],
    pipeline: [{ $group: { _id: "$k", n: { $sum: 1 } } }, { $sort: { n: 1 } }],
    result: [{ _id: null, n: int(2) }, { _id: int(1), n: int(4) }]
  },
  {
    name: "$sum goes from int32 to int64, to double, to decimal, and passes over what is no number",
    documents: [
      { k: 1, v: 2147483647 },
      { k: 1, v: 1 },
      { k: 2, v: 1 },
      { k: 2, v: double(0.5) },
      { k: 3, v: double(0.5) },
      { k: 3, v: decimal("0.1") },
      { k: 4, v: "x" },
      { k: 4 }
    ],
    pipeline: [{ $group: { _id: "$k", v: { $sum: "$v" } } }, { $sort: { _id: 1 } }],
    result: [
      { _id: int(1), v: long("2147483648") },
      { _id: int(2), v: double(1.5) },
      { _id: int(3), v: decimal("0.6") },
      { _id: int(4), v: int(0) }
    ]
  },
  {
    name: "$avg of nothing is null, of whole numbers a double",
    documents: [{ k: 1, v: 1 }, { k: 1, v: 2 }, { k: 2, v: "x" }],
    pipeline: [{ $group: { _id: "$k", v: { $avg: "$v" } } }, { $sort: { _id: 1 } }],
    result: [{ _id: int(1), v: double(1.5) }, { _id: int(2), v: null }]
  },
  {
    name: "$min and $max compare across types and pass over null and missing",
    documents: [{ v: 5 }, { v: "a" }, { v: null }, {}, { v: date(0) }],
    pipeline: [{ $group: { _id: null, min: { $min: "$v" }, max: { $max: "$v" } } }],
    result: [{ _id: null, min: int(5), max: date(0) }]
  },
  {
    name: "$push passes over what is missing, not over null",
    documents: [{ v: 1 }, { v: null }, {}],
    pipeline: [{ $sort: { _id: 1 } }, { $group: { _id: null, all: { $push: "$v" } } }],
    result: [{ _id: null, all: [int(1), null] }]
  },
  {
    name: "$first and $last say null for what is missing",
    documents: [{}, { v: 1 }, {}],
    pipeline: [{ $sort: { _id: 1 } }, { $group: { _id: null, first: { $first: "$v" }, last: { $last: "$v" } } }],
    result: [{ _id: null, first: null, last: null }]
  },
  {
    name: "$unwind gives one document an element, and none of an empty list, null or what is missing",
    documents: [{ v: [1, 2] }, { v: [] }, { v: null }, {}, { v: 3 }],
    pipeline: [{ $unwind: "$v" }, { $sort: { v: 1 } }],
    result: [{ _id: int(0), v: int(1) }, { _id: int(0), v: int(2) }, { _id: int(4), v: int(3) }]
  },
  {
    name: "$unwind keeps what is empty, and counts in int64",
    documents: [{ v: [7] }, { v: [] }, { v: null }],
    pipeline: [
      { $unwind: { path: "$v", preserveNullAndEmptyArrays: true, includeArrayIndex: "i" } },
      { $sort: { _id: 1 } }
    ],
    result: [{ _id: int(0), v: int(7), i: long("0") }, { _id: int(1), i: null }, { _id: int(2), v: null, i: null }]
  },
  {
    name: "$unwind leaves a document as it is where the path leads to nothing, and does not enter lists on the way",
    documents: [{ a: [{ b: [1] }] }, { a: 5 }, {}],
    pipeline: [{ $unwind: { path: "$a.b", preserveNullAndEmptyArrays: true } }, { $sort: { _id: 1 } }],
    result: [{ _id: int(0), a: [{ b: [int(1)] }] }, { _id: int(1), a: int(5) }, { _id: int(2) }]
  },
  {
    name: "$match after $group is of the group",
    documents: [{ k: 1 }, { k: 1 }, { k: 2 }],
    pipeline: [{ $group: { _id: "$k", n: { $sum: 1 } } }, { $match: { n: { $gt: 1 } } }],
    result: [{ _id: int(1), n: int(2) }]
  },
  {
    name: "$project computes, keeps and leaves out what has no value",
    documents: [{ a: { b: 1 }, l: [{ x: 1 }, { x: 2 }] }],
    pipeline: [{ $project: { _id: 0, "a.b": 1, xs: "$l.x", none: "$none", two: { $literal: 2 } } }],
    result: [{ a: { b: int(1) }, xs: [int(1), int(2)], two: int(2) }]
  },
  {
    name: "$count of nothing is nothing",
    documents: [{ a: 1 }],
    pipeline: [{ $match: { a: 2 } }, { $count: "n" }],
    result: []
  },
  {
    name: "$bucket takes the lower bound in and the upper one not",
    documents: [{ v: 0 }, { v: 9 }, { v: 10 }, { v: "x" }],
    pipeline: [{ $bucket: { groupBy: "$v", boundaries: [0, 10, 20], default: "other" } }],
    result: [{ _id: int(0), count: int(2) }, { _id: int(10), count: int(1) }, { _id: "other", count: int(1) }]
  },
  {
    name: "$replaceRoot with $mergeObjects",
    documents: [{ a: { x: 1, y: 1 } }],
    pipeline: [{ $replaceRoot: { newRoot: { $mergeObjects: ["$a", { y: 2, z: "$_id" }] } } }],
    result: [{ x: int(1), y: int(2), z: int(0) }]
  }
]

/** Pipelines that MongoDB refuses for a collection with one document. */
export const refusedPipelines: ReadonlyArray<readonly [name: string, pipeline: ReadonlyArray<Database.Stage>]> = [
  ["an unknown stage", [{ $who: {} }]],
  ["a stage of two names", [{ $match: {}, $limit: 1 }]],
  ["a stage without a name", [{}]],
  ["an unknown expression", [{ $project: { a: { $who: 1 } } }]],
  ["an unknown accumulator", [{ $group: { _id: null, a: { $who: 1 } } }]],
  ["a group without _id", [{ $group: { a: { $sum: 1 } } }]],
  ["a variable that is not there", [{ $project: { a: "$$who" } }]],
  ["an expression of too few operands", [{ $project: { a: { $divide: [1] } } }]],
  ["a division by zero", [{ $project: { a: { $divide: [1, 0] } } }]],
  ["a sum with a text", [{ $project: { a: { $add: ["x", 1] } } }]],
  ["a limit of zero", [{ $limit: 0 }]],
  ["a skip of -1", [{ $skip: -1 }]],
  ["$unwind of what is no path", [{ $unwind: "a" }]],
  ["fields put in and left out", [{ $project: { a: 1, b: 0 } }]],
  ["a sort by nothing", [{ $sort: {} }]],
  ["a root that is no document", [{ $replaceWith: "$n" }]],
  ["a text that is no date", [{ $project: { a: { $toDate: "x" } } }]],
  ["an int that does not fit", [{ $project: { a: { $toInt: long("2147483648") } } }]],
  ["a size of what is no list", [{ $project: { a: { $size: "$n" } } }]],
  ["bounds of two types", [{ $bucket: { groupBy: "$n", boundaries: [0, "x"] } }]],
  ["a default within the bounds", [{ $bucket: { groupBy: "$n", boundaries: [0, 9], default: 5 } }]],
  ["an empty object as a projection", [{ $project: { a: {} } }]],
  ["bounds that do not rise", [{ $bucket: { groupBy: "$n", boundaries: [2, 1] } }]]
]
