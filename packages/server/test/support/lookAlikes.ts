/**
 * Operations at random, of all that users may ask, and documents that differ where a user does not see it.
 */
import type { DataSource } from "@effect-realm/server"
import * as Arbitrary from "effect/Arbitrary"
import { among, oneOf } from "./documents.ts"
import { user } from "./ruledCollection.ts"
import * as Slow from "./slowRules.ts"

type Rules = DataSource.Rules

interface Fields {
  readonly [name: string]: unknown
}

/** An operation and its arguments. */
export type Operation = readonly [operation: string, args: Fields]

// -----------------------------------------------------------------------------
// What is asked
// -----------------------------------------------------------------------------

const field = among(["owner", "level", "level", "secret", "secret", "inner", "tags"])
const path = oneOf([field, among(["inner.a", "inner.b", "tags.0", "secret.a", "_id"])])
const value = oneOf<unknown>([
  among([0, 1, 2]),
  among([-1, 1.5, "ann", "bob", null, ["ann"], [], { a: 1 }, { a: 2, b: 1 }])
])

/** An object of one member, by an arbitrary name. */
const member = (
  name: Arbitrary.Arbitrary<string>,
  content: Arbitrary.Arbitrary<unknown>
): Arbitrary.Arbitrary<Fields> =>
  Arbitrary.map(Arbitrary.all([name, content]), ([name, content]) => ({ [name]: content }))

const merged = (...parts: ReadonlyArray<Arbitrary.Arbitrary<Fields>>): Arbitrary.Arbitrary<Fields> =>
  Arbitrary.map(Arbitrary.all(parts), (parts) => Object.assign({}, ...parts) as Fields)

const nothing = among<Fields>([{}])

const condition = oneOf<unknown>([
  value,
  member(among(["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"]), value),
  member(among(["$in", "$nin", "$all"]), Arbitrary.array(value, { minLength: 1, maxLength: 2 })),
  among([
    { $exists: true },
    { $exists: false },
    { $type: "int" },
    { $type: ["string", "array"] },
    { $size: 1 },
    { $mod: [2, 1] },
    { $not: { $gt: 0 } },
    { $elemMatch: { $gte: "b" } },
    { $elemMatch: { a: 1 } }
  ])
])

const narrow = oneOf([nothing, member(path, condition)])
const filter = oneOf([
  narrow,
  merged(narrow, member(path, condition)),
  member(among(["$or", "$and", "$nor"]), Arbitrary.array(narrow, { minLength: 2, maxLength: 2 }))
])

const sort = oneOf([member(path, among([1, -1])), merged(member(path, among([1])), member(path, among([-1])))])

const expression = oneOf<unknown>([
  Arbitrary.map(field, (name) => `$${name}`),
  among(["$$ROOT", "$inner.a", { $objectToArray: "$$ROOT" }, { $size: "$tags" }, {
    $mergeObjects: ["$inner", "$secret"]
  }]),
  Arbitrary.map(field, (name) => ({ $type: `$${name}` })),
  Arbitrary.map(field, (name) => ({ $ifNull: [`$${name}`, "none"] })),
  Arbitrary.map(field, (name) => ({ $cond: [{ $gt: [`$${name}`, 1] }, "more", "less"] })),
  Arbitrary.map(field, (name) => ({ $add: [`$${name}`, 1] }))
])

const projection = oneOf([
  member(path, among([1, 0])),
  merged(member(field, among([1])), member(among(["x"]), expression)),
  member(field, among([{ $slice: 1 }, { $elemMatch: { $gte: "b" } }])),
  Arbitrary.map(field, (name) => ({ [`${name}.$`]: 1 }))
])

const accumulator = member(among(["$max", "$min", "$push", "$addToSet", "$first", "$avg"]), expression)

const stage = oneOf<unknown>([
  member(among(["$match"]), filter),
  Arbitrary.map(Arbitrary.all([expression, accumulator]), ([_id, some]) => ({ $group: { _id, n: { $sum: 1 }, some } })),
  member(among(["$sort"]), sort),
  member(among(["$project", "$addFields"]), member(among(["x"]), expression)),
  member(among(["$sortByCount"]), expression),
  Arbitrary.map(field, (name) => ({ $unwind: `$${name}` })),
  Arbitrary.map(field, (name) => ({ $unset: name })),
  Arbitrary.map(field, (name) => ({ $bucket: { groupBy: `$${name}`, boundaries: [0, 2], default: "others" } })),
  among([{ $count: "n" }, { $limit: 2 }, { $skip: 1 }])
])

const part = (name: string, content: Arbitrary.Arbitrary<unknown>) => member(among([name]), content)
const perhaps = (fields: Arbitrary.Arbitrary<Fields>) => oneOf([nothing, fields])
const operation = (
  name: Arbitrary.Arbitrary<string>,
  ...parts: ReadonlyArray<Arbitrary.Arbitrary<Fields>>
): Arbitrary.Arbitrary<Operation> => Arbitrary.all([name, merged(...parts)])

/** Everything that only reads. */
export const read: Arbitrary.Arbitrary<Operation> = oneOf([
  operation(
    among(["find"]),
    part("query", filter),
    perhaps(part("sort", sort)),
    perhaps(part("project", projection)),
    perhaps(part("limit", among([1, 2])))
  ),
  operation(among(["findOne"]), part("query", filter), part("sort", sort)),
  operation(among(["count"]), part("query", filter), perhaps(part("limit", among([1])))),
  operation(among(["distinct"]), part("query", filter), part("field", path)),
  operation(among(["aggregate"]), part("pipeline", Arbitrary.array(stage, { minLength: 1, maxLength: 3 })))
])

const target = oneOf([path, among(["tags.$", "tags.$[]", "tags.$[e]", "inner.$[e]", "secret.$[e]", "secret.0"])])

const updateOf = oneOf([
  member(among(["$set", "$max", "$min", "$push", "$addToSet", "$setOnInsert"]), member(target, value)),
  member(among(["$inc", "$mul", "$pop"]), member(target, among([1]))),
  part("$unset", member(target, among([""]))),
  part("$bit", member(target, among([{ or: 1 }]))),
  part("$pull", member(target, condition)),
  part("$rename", member(path, among(["team", "secret", "inner.c", "open"])))
])

/** An update, with the array filter that it needs. */
const update = Arbitrary.map(
  Arbitrary.all([updateOf, condition]),
  ([update, e]): Fields => JSON.stringify(update).includes("$[e]") ? { update, arrayFilters: [{ e }] } : { update }
)

const replacement = part("update", merged(perhaps(member(field, value)), member(field, value)))

/** Everything that writes. */
export const write: Arbitrary.Arbitrary<Operation> = oneOf([
  operation(among(["updateOne", "updateMany"]), part("query", filter), update),
  operation(among(["updateOne"]), part("query", filter), replacement),
  operation(
    among(["updateOne"]),
    part("query", merged(narrow, among([{ _id: 100 }]))),
    update,
    among([{ upsert: true }])
  ),
  operation(
    among(["findOneAndUpdate"]),
    part("filter", filter),
    update,
    part("sort", sort),
    perhaps(part("projection", projection)),
    perhaps(among([{ returnNewDocument: true }]))
  ),
  operation(among(["findOneAndReplace"]), part("filter", filter), replacement),
  operation(among(["deleteOne", "deleteMany"]), part("query", filter)),
  operation(among(["findOneAndDelete"]), part("filter", filter), part("sort", sort))
])

// -----------------------------------------------------------------------------
// What is not seen
// -----------------------------------------------------------------------------

/** The value, or none, that a document gets at a path. */
export type Change = readonly [place: number, path: string, value: Slow.Document[string] | undefined]

/** Changes in places that users may not see. */
export const changesOf = (
  paths: ReadonlyArray<string>,
  values: ReadonlyArray<Change[2]>
): Arbitrary.Arbitrary<ReadonlyArray<Change>> =>
  Arbitrary.array(Arbitrary.all([among([0, 1, 2, 3, 4]), among(paths), among(values)]), {
    minLength: 6,
    maxLength: 20
  })

export const changes = changesOf(
  ["owner", "team", "level", "level", "secret", "secret", "inner.a", "inner.b", "tags"],
  [0, 1, 2, "ann", "bob", "red", ["ann"], ["bob", "ann"]]
)

const isObject = (value: unknown): value is Fields => typeof value === "object" && value !== null

const at = (value: unknown, path: ReadonlyArray<string>): unknown =>
  path.reduce<unknown>((value, name) => isObject(value) ? value[name] : undefined, value)

/** The value with another one at a path, as far as there is something on the way; fields keep their order, for it is seen. */
const changed = (value: unknown, [name = "", ...rest]: ReadonlyArray<string>, to: unknown): unknown => {
  if (!isObject(value)) return value
  const next = rest.length === 0 ? to : changed(value[name], rest, to)
  if (Array.isArray(value)) return value.map((item, index) => String(index) === name ? next : item)
  const { [name]: _, ...others } = value
  return next === undefined ? others : { ...value, [name]: next }
}

/** What may be written, and what an index can hold, hangs on which fields there are, and on which of them are lists. */
export const keepsShape = (before: unknown, after: unknown): boolean =>
  before !== undefined && after !== undefined && Array.isArray(before) === Array.isArray(after)

/** The documents, changed where it makes no difference for the user, and as far as `allowed`. */
export const lookAlike = (
  rules: Rules,
  documents: ReadonlyArray<Slow.Document>,
  changes: ReadonlyArray<Change>,
  allowed: (before: unknown, after: unknown) => boolean = () => true
): ReadonlyArray<Slow.Document> =>
  changes.reduce(
    (documents, [place, path, value]) =>
      documents.map((document, index) => {
        const names = path.split(".")
        if (index !== place || !allowed(at(document, names), value)) return document
        const other = changed(document, names, value) as Slow.Document
        const [before, after] = [document, other].map((one) => JSON.stringify(Slow.see(rules, user, one)))
        return before === after ? other : document
      }),
    documents
  )

const always = (expression: unknown): boolean => expression !== undefined && expression !== false

const withoutConditions = (rule: DataSource.FieldRule): DataSource.FieldRule => ({
  ...rule.read === undefined ? undefined : { read: always(rule.read) },
  ...rule.write === undefined ? undefined : { write: always(rule.write) },
  ...rule.fields === undefined ? undefined : { fields: eachWithoutConditions(rule.fields) }
})

const eachWithoutConditions = (fields: { readonly [name: string]: DataSource.FieldRule }) =>
  Object.fromEntries(Object.entries(fields).map(([name, rule]) => [name, withoutConditions(rule)]))

/** Rules whose permissions hang on nothing: what they permit is the same for documents that look alike. */
export const unconditional = ({ filters, roles }: Rules): Rules => ({
  filters,
  roles: roles.map(({ additionalFields, fields = {}, name, read, write }) => ({
    name,
    applyWhen: {},
    insert: true,
    delete: true,
    ...withoutConditions({
      ...read === undefined ? undefined : { read },
      ...write === undefined ? undefined : { write }
    }),
    fields: eachWithoutConditions(fields),
    ...additionalFields === undefined ? undefined : { additionalFields: withoutConditions(additionalFields) }
  }))
})
