/**
 * What a projection shows of a document in MongoDB, as its manual documents it.
 */
import type { Database } from "@effect-realm/server"
import { int } from "./values.ts"

/** Of what all projections show something. */
export const document: Database.Document = {
  _id: { k: 1, m: 2 },
  a: 1,
  inner: { c: 2, d: 3 },
  list: [1, 2, 3, 4],
  items: [{ k: 1, m: 1 }, { k: 2, m: 2 }, 5]
}

export interface Projected {
  readonly name: string
  readonly projection: Database.Projection
  readonly filter?: Database.Filter
  /** In exact form. */
  readonly shown: Database.Document
}

const _id = { k: int(1), m: int(2) }
const a = int(1)
const inner = { c: int(2), d: int(3) }
const list = [int(1), int(2), int(3), int(4)]
const items = [{ k: int(1), m: int(1) }, { k: int(2), m: int(2) }, int(5)]

export const projections: ReadonlyArray<Projected> = [
  { name: "fields, and _id with them", projection: { a: 1 }, shown: { _id, a } },
  { name: "fields without _id", projection: { _id: 0, a: 1 }, shown: { a } },
  { name: "_id alone", projection: { _id: 1 }, shown: { _id } },
  { name: "a part of _id", projection: { "_id.k": 1, a: 1 }, shown: { _id: { k: int(1) }, a } },
  { name: "all but some", projection: { a: 0, "_id.m": 0, items: 0 }, shown: { _id: { k: int(1) }, inner, list } },
  { name: "parts by dots, and by nesting", projection: { "inner.c": 1, _id: 0 }, shown: { inner: { c: int(2) } } },
  { name: "parts by nesting", projection: { inner: { d: 1 }, _id: 0 }, shown: { inner: { d: int(3) } } },
  {
    name: "parts of elements, and no element that has none",
    projection: { "items.k": 1, _id: 0 },
    shown: { items: [{ k: int(1) }, { k: int(2) }] }
  },
  {
    name: "all but parts of elements",
    projection: { "items.k": 0, a: 0, inner: 0, list: 0, _id: 0 },
    shown: { items: [{ m: int(1) }, { m: int(2) }, int(5)] }
  },
  { name: "nothing of what is not there", projection: { none: 1, "a.b": 1, _id: 0 }, shown: {} },
  {
    name: "$slice, and all the rest",
    projection: { list: { $slice: 2 } },
    shown: { _id, a, inner, list: [int(1), int(2)], items }
  },
  {
    name: "$slice from the end, beside fields",
    projection: { a: 1, list: { $slice: [-3, 2] }, _id: 0 },
    shown: { a, list: [int(2), int(3)] }
  },
  {
    name: "$elemMatch shows the first",
    projection: { items: { $elemMatch: { k: { $gt: 0 } } }, _id: 0 },
    shown: { items: [items[0]] }
  },
  { name: "$elemMatch of none shows nothing", projection: { items: { $elemMatch: { k: 9 } }, _id: 0 }, shown: {} },
  {
    name: "$ is the element that was found",
    projection: { "items.$": 1, _id: 0 },
    filter: { "items.k": 2 },
    shown: { items: [items[1]] }
  },
  {
    name: "what is computed, and a text as it is",
    projection: { x: "$inner.c", y: "text", z: { $add: ["$a", 1] }, _id: 0 },
    shown: { x: int(2), y: "text", z: int(2) }
  },
  { name: "a part of _id that is computed", projection: { "_id.k": "$inner.c" }, shown: { _id: { k: int(2) } } },
  {
    name: "computed in each element of an array",
    projection: { "items.x": "$a", _id: 0 },
    filter: { a: 1 },
    shown: { items: [{ x: int(1) }, { x: int(1) }] }
  },
  { name: "what is on the way to a field without a value", projection: { "x.y": "$none", _id: 0 }, shown: { x: {} } }
]

/** Projections that MongoDB refuses. */
export const refusedProjections: ReadonlyArray<readonly [name: string, projection: Database.Projection]> = [
  ["fields put in and left out", { a: 1, inner: 0 }],
  ["a field and a part of it", { inner: 1, "inner.c": 1 }],
  ["_id and a part of it", { _id: 0, "_id.k": 1 }],
  ["an empty object", { inner: {} }],
  ["an empty part of a path", { "inner.": 1 }],
  ["$slice by a text", { list: { $slice: "1" } }],
  ["$slice of no elements", { list: { $slice: [1, 0] } }],
  ["$elemMatch of a part of a field", { "items.x": { $elemMatch: { k: 1 } } }],
  ["$elemMatch beside what is left out", { a: 0, items: { $elemMatch: { k: 1 } } }],
  ["$ that the filter did not find", { "list.$": 1 }],
  ["$ in the middle of a path", { "items.$.k": 1 }],
  ["an unknown operator", { a: { $who: 1 } }]
]
