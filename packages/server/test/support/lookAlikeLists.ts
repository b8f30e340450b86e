/**
 * Documents with lists of documents, of which a user sees a part, and operations that reach into them.
 */
import type { DataSource } from "@effect-realm/server"
import * as Arbitrary from "effect/Arbitrary"
import * as Arbitraries from "./arbitraryRules.ts"
import { among, oneOf } from "./documents.ts"
import * as LookAlikes from "./lookAlikes.ts"
import type * as Slow from "./slowRules.ts"

const all = { read: true, write: true }

/** Roles that show much and let one write it: at random there are few. */
const openRoles = among<DataSource.Rules["roles"]>([
  [{ name: "all", applyWhen: {}, ...all }],
  [{
    name: "some",
    applyWhen: {},
    fields: { owner: all, level: all, items: all, inner: { fields: { a: all } } },
    additionalFields: {}
  }]
])

/** Rules that show the lists, whole or but for a part of them. */
export const rules: Arbitrary.Arbitrary<DataSource.Rules> = Arbitrary.map(
  Arbitrary.all([
    oneOf<DataSource.Rules>([Arbitraries.rules, Arbitrary.map(openRoles, (roles) => ({ roles, filters: [] }))]),
    among<DataSource.FieldRule>([{ read: true }, { read: true, write: true }, { write: true }, {}]),
    among<DataSource.Rules["filters"]>([
      [],
      [{ name: "cut", applyWhen: {}, query: {}, projection: { "items.b": 0 } }],
      [{ name: "cut", applyWhen: {}, query: {}, projection: { "items.b": 0, "inner.b": 0 } }]
    ])
  ]),
  ([{ filters, roles }, items, cut]) => ({
    roles: roles.map((role) => ({ ...role, fields: { items, ...role.fields } })),
    filters: [...filters, ...cut]
  })
)

const list = among<Slow.Document>([
  { items: [] },
  { items: [{ a: 1, b: 1 }] },
  { items: [{ a: 2, b: 1 }, { a: 1, b: 2 }] },
  { items: [{ a: 1 }, { a: 2, b: 2 }, 7] }
])

export const documents: Arbitrary.Arbitrary<ReadonlyArray<Slow.Document>> = Arbitrary.map(
  Arbitrary.all([Arbitraries.documents, Arbitrary.array(list, { minLength: 5, maxLength: 5 })]),
  ([all, lists]) => all.map((document, index) => ({ ...document, ...lists[index] }))
)

export const changes = LookAlikes.changesOf(["secret", "inner.b", "items.0.b", "items.1.b"], [1, 2, "x", undefined])

const filter: Arbitrary.Arbitrary<Slow.Document> = oneOf<Slow.Document>([
  Arbitraries.query,
  among<Slow.Document>([{}]),
  among<Slow.Document>([{ "items.b": 1 }, { "items.a": 1 }, { owner: "ann", level: 1 }, { level: 1 }, { "inner.b": 1 }])
])

/** Reads, also in the order that an index would give them. */
export const read: Arbitrary.Arbitrary<LookAlikes.Operation> = Arbitrary.map(
  Arbitrary.all([
    filter,
    among<LookAlikes.Operation>([
      ["find", {}],
      ["find", { limit: 2 }],
      ["find", { sort: { level: 1 } }],
      ["find", { sort: { secret: -1 }, limit: 2 }],
      ["find", { sort: { "items.b": 1 } }],
      ["findOne", {}],
      ["count", {}],
      ["distinct", { field: "items.b" }],
      ["distinct", { field: "secret" }],
      ["aggregate", { pipeline: [{ $limit: 2 }] }],
      ["aggregate", { pipeline: [{ $group: { _id: "$secret", n: { $sum: 1 } } }] }],
      ["aggregate", { pipeline: [{ $unwind: "$items" }, { $match: { "items.b": { $gte: 1 } } }] }]
    ])
  ]),
  ([query, [operation, args]]) => {
    const { pipeline } = args
    return [operation, Array.isArray(pipeline) ? { pipeline: [{ $match: query }, ...pipeline] } : { query, ...args }]
  }
)

/** Updates, also of what is not seen whole. */
export const update: Arbitrary.Arbitrary<LookAlikes.Operation> = Arbitrary.map(
  Arbitrary.all([
    among(["updateMany", "updateOne"]),
    filter,
    among([
      { update: { $set: { owner: "ann" } } },
      { update: { $inc: { level: 1 } } },
      { update: { $max: { secret: 1 } } },
      { update: { $inc: { secret: 1 } } },
      { update: { $unset: { secret: 1 } } },
      { update: { $rename: { secret: "level" } } },
      { update: { $set: { "inner.a": 2 } } },
      { update: { $inc: { "inner.b": 1 } } },
      { update: { $set: { inner: { a: 1 } } } },
      { update: { $set: { "items.0.a": 9 } } },
      { update: { $set: { "items.0.b": 9 } } },
      { update: { $inc: { "items.0.b": 1 } } },
      { update: { $set: { "items.$[].a": 9 } } },
      { update: { $set: { "items.$[one].a": 9 } }, arrayFilters: [{ "one.b": 1 }] },
      { update: { $set: { "items.$[one].a": 9 } }, arrayFilters: [{ "one.a": 1 }] },
      { update: { $pull: { items: { b: 1 } } } },
      { update: { $pull: { items: { a: 1 } } } },
      { update: { $pop: { items: 1 } } },
      { update: { $push: { items: { a: 3 } } } },
      { update: { $addToSet: { items: { a: 1, b: 1 } } } },
      { update: { $rename: { items: "things" } } },
      { update: { $unset: { items: 1 } } }
    ])
  ]),
  ([operation, query, update]) => [operation, { query, ...update }]
)
