/**
 * Rules, evaluated slowly and as they are written down (server section 5, `docs/decisions/rules-take-the-stricter-reading.md`): every
 * question is answered by looking at everything. Values are those of JSON, filters ask for equality.
 */
import type { DataSource } from "@effect-realm/server"

type Json = string | number | boolean | null | ReadonlyArray<Json> | Document
export interface Document {
  readonly [field: string]: Json
}
type Rules = { readonly roles: ReadonlyArray<DataSource.Role>; readonly filters: ReadonlyArray<DataSource.RuleFilter> }

/** What expansions stand for. */
interface Images {
  readonly user: Document
  readonly root?: Document | undefined
  readonly prevRoot?: Document | undefined
  readonly this?: Json | undefined
  readonly prev?: Json | undefined
}

const isDocument = (value: unknown): value is Document =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const same = (left: unknown, right: unknown): boolean => JSON.stringify(left) === JSON.stringify(right)

export const lookUp = (value: unknown, keys: ReadonlyArray<string>): Json | undefined =>
  keys.reduce<unknown>((found, key) => isDocument(found) ? found[key] : undefined, value) as Json | undefined

/** What an operand stands for. */
const valueOf = (operand: unknown, images: Images): Json | undefined => {
  if (typeof operand !== "string" || !operand.startsWith("%%")) return operand as Json
  const [root, ...keys] = operand.slice(2).split(".")
  return lookUp({ ...images, user: images.user }[root as keyof Images], keys)
}

const equal = (left: Json | undefined, right: Json | undefined): boolean => {
  if (left === undefined || right === undefined) return false
  if (Array.isArray(left) && !Array.isArray(right)) return left.some((item) => same(item, right))
  if (Array.isArray(right) && !Array.isArray(left)) return right.some((item) => same(item, left))
  return same(left, right)
}

const compared = (name: string, left: Json | undefined, operand: unknown, images: Images): boolean => {
  const right = valueOf(operand, images)
  switch (name) {
    case "%exists":
      return (left !== undefined) === operand
    case "%ne":
      return !equal(left, right)
    case "%gte":
      return typeof left === "number" && typeof right === "number" && left >= right
    case "%in":
      return Array.isArray(operand) && operand.some((item) => equal(left, valueOf(item, images)))
    default:
      throw new Error(`the slow rules know no ${name}`)
  }
}

/** Whether an expression holds. */
export const holds = (expression: unknown, images: Images): boolean => {
  if (typeof expression === "boolean") return expression
  return Object.entries(expression as Document).every(([name, value]) => {
    if (name === "%and") return (value as ReadonlyArray<Json>).every((inner) => holds(inner, images))
    if (name === "%or") return (value as ReadonlyArray<Json>).some((inner) => holds(inner, images))
    if (name === "%not") return !holds(value, images)
    const left = valueOf(name.startsWith("%%") ? name : `%%root.${name}`, images)
    return isDocument(value) && Object.keys(value)[0]?.startsWith("%") === true
      ? Object.entries(value).every(([operator, operand]) => compared(operator, left, operand, images))
      : equal(left, valueOf(value, images))
  })
}

const granted = (expression: unknown, images: Images): boolean => expression !== undefined && holds(expression, images)

/** An expression that may not be true of the document any longer, or not yet, has to be true of both. */
const grantedAround = (expression: unknown, images: Images, before: Document | undefined): boolean => {
  if (!granted(expression, images)) return false
  const text = JSON.stringify(expression)
  if (before === undefined || text.includes("%%prev")) return true
  return granted(expression, { ...images, root: before })
}

const roleOf = ({ roles }: Rules, images: Images) => roles.find(({ applyWhen }) => holds(applyWhen, images))

type FieldRules = { readonly [name: string]: DataSource.FieldRule }

const ruleOf = (name: string, fields: FieldRules, others: DataSource.FieldRule | undefined) =>
  Object.hasOwn(fields, name) ? fields[name] : others

// -----------------------------------------------------------------------------
// Reading
// -----------------------------------------------------------------------------

const visibleFields = (
  document: Document,
  fields: FieldRules,
  others: DataSource.FieldRule | undefined,
  images: Images
): Document =>
  Object.fromEntries(
    Object.entries(document).flatMap(([name, value]) => {
      const rule = ruleOf(name, fields, others)
      const own = { ...images, this: value, prev: value }
      if (granted(rule?.read, own) || granted(rule?.write, own)) return [[name, value]]
      if (rule?.fields === undefined || !isDocument(value)) return []
      const inner = visibleFields(value, rule.fields, undefined, images)
      return Object.keys(inner).length === 0 ? [] : [[name, inner]]
    })
  )

/** What a role shows of a document. */
const shown = (role: DataSource.Role | undefined, document: Document, images: Images): Document | undefined => {
  if (role === undefined) return undefined
  const gate = role.documentFilters
  if (gate !== undefined && !granted(gate.read, images) && !granted(gate.write, images)) return undefined
  if (granted(role.read, images) || granted(role.write, images)) return document
  if (role.read !== undefined) return undefined
  const fields = visibleFields(document, role.fields ?? {}, role.additionalFields, images)
  if (Object.keys(fields).length === 0) return undefined
  return { _id: document["_id"]!, ...fields }
}

const filtersOf = (rules: Rules, user: Document) => rules.filters.filter(({ applyWhen }) => holds(applyWhen, { user }))

const matches = (document: Document, query: Document, user: Document): boolean =>
  Object.entries(query).every(([path, wanted]) => {
    const value = valueOf(wanted, { user })
    return value !== undefined && equal(lookUp(document, path.split(".")), value)
  })

/** A document as a user sees it, or nothing. */
export const see = (rules: Rules, user: Document, document: Document): Document | undefined => {
  const filters = filtersOf(rules, user)
  if (!filters.every(({ query }) => matches(document, query as Document, user))) return undefined
  const images = { user, root: document, prevRoot: document }
  const seen = shown(roleOf(rules, images), document, images)
  if (seen === undefined) return undefined
  return filters.flatMap(({ projection }) => Object.keys(projection)).reduce(
    (document, path) => without(document, path.split(".")),
    seen
  )
}

const without = (document: Document, [name = "", ...rest]: ReadonlyArray<string>): Document => {
  const { [name]: value, ...others } = document
  if (rest.length === 0) return others
  if (Array.isArray(value)) {
    return { ...document, [name]: value.map((item: Json) => isDocument(item) ? without(item, rest) : item) }
  }
  return isDocument(value) ? { ...document, [name]: without(value, rest) } : document
}

// -----------------------------------------------------------------------------
// Writing
// -----------------------------------------------------------------------------

const fieldsPermitted = (
  before: Document,
  after: Document,
  fields: FieldRules,
  others: DataSource.FieldRule | undefined,
  images: Images,
  whole: { readonly before: Document | undefined; readonly after: Document | undefined },
  isTop: boolean
): boolean =>
  [...new Set([...Object.keys(before), ...Object.keys(after)])].every((name) => {
    const [was, is] = [before[name], after[name]]
    if (same(was, is)) return true
    if (isTop && name === "_id" && !Object.hasOwn(fields, name)) return true
    const rule = ruleOf(name, fields, others)
    const own = { ...images, this: whole.after === undefined ? was : is, prev: was }
    if (grantedAround(rule?.write, own, whole.before)) return true
    if (rule?.fields === undefined) return false
    if ((was !== undefined && !isDocument(was)) || (is !== undefined && !isDocument(is))) return false
    const [inner, next] = [was ?? {}, is ?? {}]
    if (Object.keys(inner).length + Object.keys(next).length === 0) return false
    return fieldsPermitted(inner, next, rule.fields, undefined, images, whole, false)
  })

const permittedBy = (
  role: DataSource.Role | undefined,
  before: Document | undefined,
  after: Document | undefined,
  images: Images
): boolean => {
  if (role === undefined) return false
  if (role.documentFilters !== undefined && !grantedAround(role.documentFilters.write, images, before)) return false
  if (before === undefined && !granted(role.insert, images)) return false
  if (after === undefined && !granted(role.delete, images)) return false
  if (role.write !== undefined) return grantedAround(role.write, images, before)
  const whole = { before, after }
  return fieldsPermitted(before ?? {}, after ?? {}, role.fields ?? {}, role.additionalFields, images, whole, true)
}

/** Whether a change may be made. */
export const permits = (
  rules: Rules,
  user: Document,
  before: Document | undefined,
  after: Document | undefined
): boolean => {
  const images = { user, root: after ?? before, prevRoot: before }
  if (!permittedBy(roleOf(rules, images), before, after, images)) return false
  if (before === undefined || after === undefined) return true
  return permittedBy(roleOf(rules, { ...images, root: before }), before, after, images)
}

const reachesField = (
  document: Document,
  [name = "", ...rest]: ReadonlyArray<string>,
  fields: FieldRules,
  others: DataSource.FieldRule | undefined,
  images: Images
): boolean => {
  const value = document[name]
  const rule = ruleOf(name, fields, others)
  const own = { ...images, this: value, prev: value }
  if (granted(rule?.read, own) || granted(rule?.write, own)) return true
  const inner = value === undefined ? {} : value
  return rule?.fields !== undefined && rest.length > 0 && isDocument(inner) &&
    reachesField(inner, rest, rule.fields, undefined, images)
}

/** Whether an update may name a path of a document that the user sees. */
export const reaches = (rules: Rules, user: Document, document: Document, path: string): boolean => {
  const images = { user, root: document, prevRoot: document }
  const role = roleOf(rules, images)
  if (role === undefined) return false
  const keys = path.split(".")
  const hidden = filtersOf(rules, user).flatMap(({ projection }) => Object.keys(projection))
  if (hidden.some((hides) => `${path}.`.startsWith(`${hides}.`) || hides.startsWith(`${path}.`))) return false
  return role.read !== undefined || granted(role.write, images) ||
    reachesField(document, keys, role.fields ?? {}, role.additionalFields, images)
}

export const matchesQuery = matches

/** A document with another value at a path, or without it; as it is, when a value on the way is no document. */
export const set = (document: Document, [name = "", ...rest]: ReadonlyArray<string>, value: unknown): Document => {
  const inside = document[name]
  if (rest.length > 0 && inside === undefined && value === undefined) return document
  if (rest.length > 0 && inside !== undefined && !isDocument(inside)) return document
  const next = rest.length === 0 ? value : set((inside ?? {}) as Document, rest, value)
  const { [name]: _, ...others } = document
  return next === undefined ? others : { ...document, [name]: next as Json }
}

// -----------------------------------------------------------------------------
// Watching
// -----------------------------------------------------------------------------

/** What is told of a change to a user: what he finds before it and after it, and that it is there or not. */
export const told = (
  rules: Rules,
  user: Document,
  kind: "update" | "replace",
  before: Document | undefined,
  after: Document | undefined
): Document | undefined => {
  const [was, is] = [before, after].map((image) => image && see(rules, user, image))
  if (was === undefined && is === undefined) return undefined
  const documentKey = { _id: (is ?? was)!["_id"]! }
  if (was === undefined) return { operationType: "insert", documentKey, fullDocument: is! }
  if (is === undefined) return { operationType: "delete", documentKey }
  return same(was, is) ? undefined : { operationType: kind, documentKey, fullDocument: is }
}
