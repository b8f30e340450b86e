/**
 * Two collections that look the same to a user, and differ where he does not see: whatever he asks, he is answered the same, in
 * the same order, and what he writes becomes the same for him.
 */
import { Database, type DataSource, Documents } from "@effect-realm/server"
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { documents, query, rules } from "./support/arbitraryRules.ts"
import { among, oneOf } from "./support/documents.ts"
import { caller, layer, newNamespace, plain, user, withRules } from "./support/ruledCollection.ts"
import * as Slow from "./support/slowRules.ts"

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

const items: Arbitrary.Arbitrary<Slow.Document> = among<Slow.Document>([
  { items: [] },
  { items: [{ a: 1, b: 1 }] },
  { items: [{ a: 2, b: 1 }, { a: 1, b: 2 }] },
  { items: [{ a: 1 }, { a: 2, b: 2 }, 7] }
])

/** Rules that show arrays of documents, whole or but for a part of them. */
const ruled: Arbitrary.Arbitrary<DataSource.Rules> = Arbitrary.map(
  Arbitrary.all([
    oneOf<DataSource.Rules>([
      rules,
      Arbitrary.map(openRoles, (roles) => ({ roles, filters: [] }))
    ]),
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

const hiddenPaths = ["secret", "inner.b", "items.0.b", "items.1.b"]

/** Another value in one place, or none, or what was there. */
const alteration = Arbitrary.all([among(hiddenPaths), among<Slow.Document[string] | undefined>([1, 2, "x", undefined])])

type Alteration = readonly [path: string, value: Slow.Document[string] | undefined]

const altered = (value: unknown, [name = "", ...rest]: ReadonlyArray<string>, to: unknown): unknown => {
  if (Array.isArray(value)) {
    return value.map((item, index) => String(index) === name && rest.length > 0 ? altered(item, rest, to) : item)
  }
  if (typeof value !== "object" || value === null) return value
  const { [name]: inside, ...others } = value as Slow.Document
  const next = rest.length === 0 ? to : inside === undefined ? undefined : altered(inside, rest, to)
  // In its place, for the order of fields is seen.
  return next === undefined
    ? others
    : Object.hasOwn(value, name)
    ? { ...value, [name]: next }
    : { ...others, [name]: next }
}

const isSame = (left: unknown, right: unknown): boolean => JSON.stringify(left) === JSON.stringify(right)

/** The documents with what is hidden changed, as far as it stays hidden. */
const twins = (
  rules: DataSource.Rules,
  documents: ReadonlyArray<Slow.Document>,
  alterations: ReadonlyArray<Alteration>
): ReadonlyArray<Slow.Document> =>
  documents.map((document, index) =>
    alterations.filter((_, number) => number % documents.length === index).reduce((one, [path, value]) => {
      const other = altered(one, path.split("."), value) as Slow.Document
      return isSame(Slow.see(rules, user, other), Slow.see(rules, user, document)) ? other : one
    }, document)
  )

const update = among<readonly [update: object, arrayFilters?: ReadonlyArray<object>]>([
  [{ $set: { owner: "ann" } }],
  [{ $inc: { level: 1 } }],
  [{ $max: { secret: 1 } }],
  [{ $inc: { secret: 1 } }],
  [{ $unset: { secret: 1 } }],
  [{ $rename: { secret: "level" } }],
  [{ $set: { "inner.a": 2 } }],
  [{ $inc: { "inner.b": 1 } }],
  [{ $set: { inner: { a: 1 } } }],
  [{ $set: { "items.0.a": 9 } }],
  [{ $set: { "items.0.b": 9 } }],
  [{ $inc: { "items.0.b": 1 } }],
  [{ $set: { "items.$[].a": 9 } }],
  [{ $set: { "items.$[one].a": 9 } }, [{ "one.b": 1 }]],
  [{ $set: { "items.$[one].a": 9 } }, [{ "one.a": 1 }]],
  [{ $pull: { items: { b: 1 } } }],
  [{ $pull: { items: { a: 1 } } }],
  [{ $pop: { items: 1 } }],
  [{ $push: { items: { a: 3 } } }],
  [{ $addToSet: { items: { a: 1, b: 1 } } }],
  [{ $rename: { items: "things" } }],
  [{ $unset: { items: 1 } }]
])

const read = among<readonly [operation: string, options: object]>([
  ["find", {}],
  ["find", { limit: 2 }],
  ["find", { sort: { level: 1 } }],
  ["find", { sort: { secret: -1 }, limit: 2 }],
  ["find", { sort: { "items.b": 1 } }],
  ["findOne", {}],
  ["count", {}],
  ["distinct", { field: "items.b" }],
  ["distinct", { field: "secret" }]
])

const wanted: Arbitrary.Arbitrary<Slow.Document> = oneOf<Slow.Document>([
  query,
  among<Slow.Document>([{}]),
  among<Slow.Document>([{ "items.b": 1 }, { "items.a": 1 }, { owner: "ann", level: 1 }, { level: 1 }, { "inner.b": 1 }])
])

const setting = Arbitrary.all([
  ruled,
  Arbitrary.map(
    Arbitrary.all([documents, Arbitrary.array(items, { minLength: 5, maxLength: 5 })]),
    ([all, items]) => all.map((document, index) => ({ ...document, ...items[index] }))
  ),
  Arbitrary.array(alteration, { minLength: 5, maxLength: 20 })
])

/** What is answered about a collection, one operation after another. */
const answers = (
  rules: DataSource.Rules,
  documents: ReadonlyArray<Slow.Document>,
  operations: ReadonlyArray<readonly [operation: string, args: object]>
) =>
  Effect.gen(function*() {
    const namespace = newNamespace()
    const stored = (yield* Database.Database).collection(namespace)
    for (const keys of indexes) yield* stored.createIndex(keys)
    if (documents.length > 0) yield* stored.insertMany(documents)
    const { call } = yield* Documents.make(withRules(namespace, rules))
    return yield* Effect.forEach(operations, ([operation, args]) =>
      Effect.map(
        Effect.result(call({ service: "mongodb-atlas", operation, args: [{ ...namespace, ...args }], caller })),
        (answer) => Result.isSuccess(answer) ? plain(answer.success) : answer.failure.reason.message
      ))
  })

const indexes = [
  { secret: 1, _id: 1 },
  { owner: 1, secret: 1 },
  { level: 1, "inner.b": -1 },
  { "items.a": 1, "items.b": 1 }
] as const

describe("for every rule, what is hidden makes no difference", () => {
  const check = (name: string, operations: Arbitrary.Arbitrary<ReadonlyArray<readonly [string, object]>>) =>
    it.effect(name, () =>
      Effect.gen(function*() {
        const result = yield* Arbitrary.checkEffect(
          Arbitrary.all([setting, operations]),
          ([[rules, documents, alterations], operations]) =>
            Effect.gen(function*() {
              const others = twins(rules, documents, alterations)
              if (isSame(documents, others)) return true
              assert.deepStrictEqual(
                yield* answers(rules, others, operations),
                yield* answers(rules, documents, operations)
              )
              return true
            }),
          { runs: 150 }
        )
        assert.isUndefined(Arbitrary.formatCheckFailure(result))
      }).pipe(Effect.provide(layer)))

  check(
    "to what is read, nor to its order",
    Arbitrary.map(
      Arbitrary.array(Arbitrary.all([wanted, read]), { minLength: 1, maxLength: 4 }),
      (all) => all.map(([query, [operation, options]]) => [operation, { query, ...options }] as const)
    )
  )

  check(
    "to what a pipeline makes of it",
    Arbitrary.map(wanted, (query) => [
      ["aggregate", { pipeline: [{ $match: query }, { $limit: 2 }] }],
      ["aggregate", { pipeline: [{ $match: query }, { $group: { _id: "$secret", n: { $sum: 1 } } }] }],
      ["aggregate", { pipeline: [{ $unwind: "$items" }, { $match: { "items.b": { $gte: 1 } } }] }]
    ])
  )

  check(
    "to what an update says, nor to what it makes of what is seen",
    Arbitrary.map(
      Arbitrary.all([wanted, update, among(["updateMany", "updateOne"])]),
      ([query, [update, arrayFilters], operation]) => [
        [operation, { query, update, ...(arrayFilters === undefined ? undefined : { arrayFilters }) }],
        ["find", { query: {} }]
      ]
    )
  )
})
