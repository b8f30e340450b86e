/**
 * Updates that MongoDB refuses, as its manual documents it.
 */
import type { Database } from "@effect-realm/server"
import { Double } from "bson"
import { long } from "./values.ts"

/** An update that MongoDB refuses for a document, which stays as it is. */
export interface RefusedUpdate {
  readonly name: string
  readonly before: Database.Document
  readonly update: Database.UpdateOperators
  readonly filter?: Database.Filter
  readonly arrayFilters?: ReadonlyArray<Database.Filter>
}

const deepPath = Array.from({ length: 150 }, () => "a").join(".")
const deepValue = Array.from({ length: 150 }).reduce<unknown>((inner) => ({ a: inner }), 1)

export const refusedUpdates: ReadonlyArray<RefusedUpdate> = [
  { name: "a deep value at a deep path", before: {}, update: { $set: { [deepPath]: deepValue } } },
  { name: "a deep value in a deep place", before: { b: deepValue }, update: { $rename: { b: deepPath } } },
  { name: "an unknown operator", before: {}, update: { $who: { a: 1 } } },
  { name: "two operators on one path", before: {}, update: { $set: { a: 1 }, $inc: { a: 1 } } },
  { name: "a path and a part of it", before: {}, update: { $set: { a: {}, "a.b": 1 } } },
  { name: "another _id", before: {}, update: { $set: { _id: "y" } } },
  { name: "a part of _id", before: { _id: { x: 1 } }, update: { $set: { "_id.x": 2 } } },
  { name: "a part of _id that is not there", before: { _id: { x: 1 } }, update: { $inc: { "_id.y": 2 } } },
  { name: "an empty part of a path", before: {}, update: { $set: { "a..b": 1 } } },
  { name: "a field of a number", before: { a: 1 }, update: { $set: { "a.b": 1 } } },
  { name: "a field of a list by its name", before: { a: [1] }, update: { $set: { "a.b": 1 } } },
  { name: "$inc by a text", before: { a: 1 }, update: { $inc: { a: "1" } } },
  { name: "$inc of a text", before: { a: "1" }, update: { $inc: { a: 1 } } },
  { name: "$inc of null", before: { a: null }, update: { $inc: { a: 1 } } },
  { name: "$inc beyond int64", before: { a: long("9223372036854775807") }, update: { $inc: { a: 1 } } },
  { name: "$mul of a text", before: { a: "1" }, update: { $mul: { a: 2 } } },
  { name: "$bit of a double", before: { a: new Double(1.5) }, update: { $bit: { a: { and: 1 } } } },
  { name: "$bit by what is no operation", before: { a: 1 }, update: { $bit: { a: { not: 1 } } } },
  { name: "$push to a number", before: { a: 1 }, update: { $push: { a: 1 } } },
  { name: "$push with an unknown modifier", before: { a: [] }, update: { $push: { a: { $each: [], $who: 1 } } } },
  { name: "$push of $each that is no list", before: { a: [] }, update: { $push: { a: { $each: 1 } } } },
  { name: "$push cut at a text", before: { a: [] }, update: { $push: { a: { $each: [], $slice: "1" } } } },
  { name: "$addToSet to a number", before: { a: 1 }, update: { $addToSet: { a: 1 } } },
  { name: "$pull of a number", before: { a: 1 }, update: { $pull: { a: 1 } } },
  { name: "$pullAll of what is no list", before: { a: [1] }, update: { $pullAll: { a: 1 } } },
  { name: "$pull by an expression", before: { a: [{}] }, update: { $pull: { a: { $expr: true } } as never } },
  { name: "$pop by 2", before: { a: [1] }, update: { $pop: { a: 2 } } },
  { name: "$pop of a text", before: { a: "x" }, update: { $pop: { a: 1 } } },
  { name: "$push sorted by nothing", before: { a: [] }, update: { $push: { a: { $each: [], $sort: {} } } } },
  { name: "$rename into an array", before: { a: 1, b: [2] }, update: { $rename: { a: "b.0" } } },
  {
    name: "$currentDate by more than a type",
    before: {},
    update: { $currentDate: { a: { $type: "date", x: 1 } } as never }
  },
  { name: "$[] beside a place of the same array", before: { a: [1, 2] }, update: { $set: { "a.$[]": 0, "a.0": 5 } } },
  { name: "$[] of what is missing", before: {}, update: { $unset: { "a.b.$[]": "" } } },
  {
    name: "two array filters that meet in one element",
    before: { a: [1, 2] },
    update: { $set: { "a.$[x]": 0, "a.$[y]": 5 } },
    arrayFilters: [{ x: 1 }, { y: { $gte: 1 } }]
  },
  {
    name: "$ where the filter only rules out",
    before: { a: [1, 2] },
    filter: { a: { $ne: 7 } },
    update: { $set: { "a.$": 0 } }
  },
  { name: "$rename to itself", before: { a: 1 }, update: { $rename: { a: "a" } } },
  { name: "$rename to a number", before: { a: 1 }, update: { $rename: { a: 1 } } },
  { name: "$[] of a number", before: { a: 1 }, update: { $set: { "a.$[]": 1 } } },
  { name: "$[name] without its array filter", before: { a: [1] }, update: { $set: { "a.$[x]": 1 } } },
  {
    name: "an array filter that is not used",
    before: { a: [1] },
    update: { $set: { "a.$[x]": 1 } },
    arrayFilters: [{ x: 1 }, { y: 1 }]
  },
  {
    name: "two array filters of one name",
    before: { a: [1] },
    update: { $set: { "a.$[x]": 1 } },
    arrayFilters: [{ x: 1 }, { x: 2 }]
  },
  { name: "$ where the filter found no element", before: { a: [1] }, update: { $set: { "a.$": 1 } }, filter: {} }
]
