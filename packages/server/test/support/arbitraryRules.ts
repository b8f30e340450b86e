/** Rules, documents and filters at random, for the server and for the slow rules alike. */
import type { DataSource } from "@effect-realm/server"
import * as Arbitrary from "effect/Arbitrary"
import type * as Schema from "effect/Schema"
import { among, oneOf } from "./documents.ts"
import type * as Slow from "./slowRules.ts"

type Rules = DataSource.Rules

/** One's own documents, for the user `ann`. */
export const mine = { owner: "%%user.id" }

const expression: Arbitrary.Arbitrary<Schema.Json> = among<Schema.Json>([
  true,
  true,
  false,
  {},
  mine,
  mine,
  { "%%root.owner": { "%ne": "%%user.id" } },
  { "%%prevRoot.owner": "%%user.id" },
  { "%%prevRoot": { "%exists": false } },
  { "%%user.custom_data.team": "%%root.team" },
  { team: { "%in": ["red", "%%user.custom_data.none"] } },
  { team: "%%user.custom_data.none" },
  { level: { "%gte": "%%user.custom_data.level" } },
  { tags: "%%user.id" },
  { "%not": mine },
  { "%or": [mine, { level: 2 }] },
  { "%and": [mine, { "inner.a": { "%exists": true } }] },
  { "%not": { "%%prevRoot.level": { "%gte": 1 } } }
])

const fieldExpression = oneOf([
  expression,
  among<Schema.Json>([
    { "%%this": 1 },
    { "%%prev": { "%exists": true } },
    { "%%this": { "%gte": 1 } },
    { "%%this": "%%user.id" }
  ])
])

/** An object with some of these members. */
const some = <A>(
  members: { readonly [name: string]: Arbitrary.Arbitrary<A> }
): Arbitrary.Arbitrary<{ [name: string]: A }> =>
  Arbitrary.map(
    Arbitrary.all(
      Object.entries(members).map(([name, value]) =>
        Arbitrary.map(Arbitrary.all([among([true, false]), value]), ([there, value]) =>
          there ? [[name, value]] as const : [])
      )
    ),
    (entries) =>
      Object.fromEntries(entries.flat())
  )

const permissions = some({ read: fieldExpression, write: fieldExpression })

const fieldRule: Arbitrary.Arbitrary<DataSource.FieldRule> = Arbitrary.map(
  Arbitrary.all([permissions, among([true, false]), some({ a: permissions, b: permissions })]),
  ([rule, nests, fields]) => nests ? { ...rule, fields } : rule
)

const role: Arbitrary.Arbitrary<Omit<DataSource.Role, "name">> = Arbitrary.map(
  Arbitrary.all([
    oneOf([among<Schema.Json>([{}, {}]), expression]),
    // Half of the roles leave it to the fields.
    oneOf([among([{}]), some({ read: expression, write: expression })]),
    some({ insert: expression, delete: expression }),
    oneOf([among([undefined, undefined]), some({ read: expression, write: expression })]),
    some({ owner: fieldRule, level: fieldRule, inner: fieldRule, secret: fieldRule, _id: fieldRule }),
    oneOf([among([undefined]), permissions])
  ]),
  ([applyWhen, whole, operations, documentFilters, fields, additionalFields]) => ({
    applyWhen,
    ...whole,
    ...operations,
    ...(documentFilters === undefined ? undefined : { documentFilters }),
    fields,
    ...(additionalFields === undefined ? undefined : { additionalFields })
  })
)

const filter: Arbitrary.Arbitrary<Omit<DataSource.RuleFilter, "name">> = Arbitrary.map(
  Arbitrary.all([
    among<Schema.Json>([{}, { "%%user.custom_data.level": 1 }, { "%%user.custom_data.level": 2 }]),
    among([{}, { owner: "%%user.id" }, { level: 1 }, { team: "%%user.custom_data.none" }]),
    among<DataSource.RuleFilter["projection"]>([{}, {}, { secret: 0 }, { "inner.a": 0 }])
  ]),
  ([applyWhen, query, projection]) => ({ applyWhen, query, projection })
)

/** The rules of a collection. */
export const rules: Arbitrary.Arbitrary<Rules> = Arbitrary.map(
  Arbitrary.all([
    Arbitrary.array(role, { minLength: 1, maxLength: 3 }),
    oneOf([among([[]]), Arbitrary.array(filter, { maxLength: 2 })])
  ]),
  ([roles, filters]) => ({
    roles: roles.map((role, index) => ({ name: `role ${index}`, ...role })),
    filters: filters.map((filter, index) => ({ name: `filter ${index}`, ...filter }))
  })
)

const inner: Arbitrary.Arbitrary<Slow.Document> = some({ a: among([1, 2]), b: among([1, 2]) })

/** A document without an identifier. */
export const document: Arbitrary.Arbitrary<Slow.Document> = Arbitrary.map(
  Arbitrary.all([
    some<string | number>({
      owner: among(["ann", "bob"]),
      team: among(["red", "blue"]),
      level: among([0, 1, 2]),
      secret: among([1, 2])
    }),
    some({ tags: among([["ann"], ["bob", "ann"], []]) }),
    oneOf([among([{}]), Arbitrary.map(inner, (inner) => ({ inner }))])
  ]),
  ([fields, tags, inside]) => ({ ...fields, ...tags, ...inside })
)

/** Documents, whose identifiers are numbers from 0 on. */
export const documents: Arbitrary.Arbitrary<ReadonlyArray<Slow.Document>> = Arbitrary.map(
  Arbitrary.array(document, { maxLength: 5 }),
  (all) => all.map((document, _id) => ({ _id, ...document }))
)

/** A filter by equality. */
export const query: Arbitrary.Arbitrary<Slow.Document> = oneOf<Slow.Document>([
  among([{}]),
  some<Slow.Document[string]>({
    _id: among([0, 1]),
    owner: among(["ann", "bob"]),
    secret: among([1, 2]),
    "inner.a": among([1])
  })
])

/** A path of these documents. */
export const path: Arbitrary.Arbitrary<string> = among([
  "owner",
  "level",
  "secret",
  "inner",
  "inner.a",
  "inner.b",
  "tags"
])
