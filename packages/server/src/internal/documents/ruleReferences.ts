/**
 * What the rules of an app refer to by name: functions, and fields of documents.
 */
import type * as Schema from "effect/Schema"
import type { CollectionRules, DataSource, FieldRule, Role, Rules } from "../../DataSource.ts"
import * as Expression from "./ruleExpression.ts"

type Path = ReadonlyArray<string | number>

interface Found {
  readonly path: Path
  readonly expression: Schema.Json
}

const present = (path: Path, expressions: { readonly [name: string]: Schema.Json | undefined }): ReadonlyArray<Found> =>
  Object.entries(expressions).flatMap(([name, expression]) =>
    expression === undefined ? [] : [{ path: [...path, name], expression }]
  )

const fieldExpressions = (path: Path, fields: { readonly [name: string]: FieldRule } = {}): ReadonlyArray<Found> =>
  Object.entries(fields).flatMap(([name, { fields: inner, read, write }]) => [
    ...present([...path, name], { read, write }),
    ...fieldExpressions([...path, name, "fields"], inner)
  ])

const roleExpressions = (path: Path, role: Role): ReadonlyArray<Found> => [
  ...present(path, {
    applyWhen: role.applyWhen,
    read: role.read,
    write: role.write,
    insert: role.insert,
    delete: role.delete,
    search: role.search
  }),
  ...present([...path, "documentFilters"], { ...role.documentFilters }),
  ...fieldExpressions([...path, "fields"], role.fields),
  ...present([...path, "additionalFields"], { ...role.additionalFields })
]

const expressions = (path: Path, { filters, roles }: Rules): ReadonlyArray<Found> => [
  ...roles.flatMap((role, index) => roleExpressions([...path, "roles", index], role)),
  ...filters.map(({ applyWhen }, index) => ({ path: [...path, "filters", index, "applyWhen"], expression: applyWhen }))
]

const ofAll = (sources: ReadonlyArray<DataSource>): ReadonlyArray<Found> =>
  sources.flatMap((source, index) => [
    ...source.collections.flatMap((rules, at) => expressions(["dataSources", index, "collections", at], rules)),
    ...(source.defaultRule === undefined ? [] : expressions(["dataSources", index, "defaultRule"], source.defaultRule))
  ])

/** Every function that a rule asks, with the path of the expression that names it. */
export const functions = (
  sources: ReadonlyArray<DataSource>
): ReadonlyArray<{ readonly path: Path; readonly name: string }> =>
  ofAll(sources).flatMap(({ expression, path }) =>
    [...Expression.compile(expression, "document").functions].map((name) => ({ path, name }))
  )

/** Every expansion of a rule that is of what no user has, with the path of its expression. */
export const unresolved = (
  sources: ReadonlyArray<DataSource>
): ReadonlyArray<{ readonly path: Path; readonly expansion: string }> =>
  ofAll(sources).flatMap(({ expression, path }) =>
    [...Expression.compile(expression, "document").unresolved].map((expansion) => ({ path, expansion }))
  )

const isObject = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Whether a schema lets a document have the field; one that says nothing about it does. */
const allows = (schema: unknown, keys: ReadonlyArray<string>): boolean => {
  const [key, ...rest] = keys
  if (key === undefined || !isObject(schema) || !isObject(schema["properties"])) return true
  const properties = schema["properties"]
  return Object.hasOwn(properties, key) ? allows(properties[key], rest) : schema["additionalProperties"] !== undefined
}

/** Fields that the rules of a collection speak of and its schema does not know, with the path of where they do. */
export const unknownFields = (
  { schema, ...rules }: CollectionRules
): ReadonlyArray<{ readonly path: Path; readonly field: string }> => {
  if (!isObject(schema) || !isObject(schema["properties"]) || Object.keys(schema["properties"]).length === 0) return []
  const read = expressions([], rules).flatMap(({ expression, path }) =>
    [...Expression.compile(expression, "document").fields].map((field) => ({ path, field }))
  )
  const ruled = rules.roles.flatMap(({ fields = {} }, index) =>
    Object.keys(fields).map((field) => ({ path: ["roles", index, "fields", field], field }))
  )
  return [...read, ...ruled].filter(({ field }) => field !== "_id" && !allows(schema, field.split(".")))
}
