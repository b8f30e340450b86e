/**
 * Which document an upsert makes of its filter in MongoDB, as its manual documents it.
 */
import type { Database } from "@effect-realm/server"
import { BSONRegExp } from "bson"
import { int } from "./values.ts"

export interface Upserted {
  readonly name: string
  readonly filter: Database.Filter
  readonly update?: Database.UpdateOperators
  /** In exact form. */
  readonly document: Database.Document
}

export const upserts: ReadonlyArray<Upserted> = [
  { name: "equalities", filter: { _id: 5, b: 1 }, document: { _id: int(5), b: int(1), a: int(1) } },
  { name: "$eq", filter: { _id: { $eq: 5 }, b: { $eq: 1, $gt: 0 } }, document: { _id: int(5), b: int(1), a: int(1) } },
  {
    name: "$eq of a regular expression",
    filter: { _id: 5, b: { $eq: /x/ } },
    document: { _id: int(5), b: new BSONRegExp("x"), a: int(1) }
  },
  { name: "$and", filter: { $and: [{ _id: 5 }, { b: 1 }] }, document: { _id: int(5), b: int(1), a: int(1) } },
  {
    name: "$in and $all of one value",
    filter: { _id: { $in: [5] }, b: { $all: [1] } },
    document: { _id: int(5), b: int(1), a: int(1) }
  },
  { name: "$or of one clause", filter: { $or: [{ _id: 5, b: 1 }] }, document: { _id: int(5), b: int(1), a: int(1) } },
  {
    name: "paths with dots",
    filter: { "_id.x": 1, "_id.y": 2, "b.c": 3 },
    document: { _id: { x: int(1), y: int(2) }, b: { c: int(3) }, a: int(1) }
  },
  { name: "a list", filter: { _id: 5, b: [1, 2] }, document: { _id: int(5), b: [int(1), int(2)], a: int(1) } },
  {
    name: "nothing that leaves a choice",
    filter: {
      _id: 5,
      b: { $gt: 1 },
      c: { $in: [1, 2] },
      d: /x/,
      e: { $ne: 1 },
      f: { $elemMatch: { $eq: 1 } },
      g: { $exists: false },
      h: { $not: { $eq: 1 } },
      $nor: [{ i: 1 }],
      $or: [{ j: 1 }, { j: 2 }]
    },
    document: { _id: int(5), a: int(1) }
  },
  {
    name: "what the update makes of it",
    filter: { _id: 5, b: 1 },
    update: { $inc: { b: 2 }, $setOnInsert: { c: 1 }, $unset: { d: "" } },
    document: { _id: int(5), b: int(3), c: int(1) }
  },
  { name: "an _id of the update", filter: { b: 1 }, update: { $set: { _id: 7 } }, document: { _id: int(7), b: int(1) } }
]

/** Upserts that MongoDB refuses when there is nothing to update. */
export const refusedUpserts: ReadonlyArray<
  readonly [name: string, filter: Database.Filter, update?: Database.UpdateOperators]
> = [
  ["two values of one field", { $and: [{ b: 1 }, { b: 2 }] }],
  ["$all of two values", { b: { $all: [1, 2] } }],
  ["a field and a part of it", { b: { c: 1 }, "b.c": 1 }],
  ["another _id than that of the filter", { _id: 5 }, { $setOnInsert: { _id: 6 } }],
  ["a list for an _id", { _id: [1] }],
  ["the element that was found", { b: [1] }, { $set: { "b.$": 2 } }]
]
