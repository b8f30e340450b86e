/**
 * What a role lets its users do with a document (server sections 5.2, 5.5 and 5.6). Where those sources disagree, the
 * stricter reading holds: see `docs/decisions/rules-take-the-stricter-reading.md`.
 */
import type * as Schema from "effect/Schema"
import type * as DataSource from "../../DataSource.ts"
import { type Fields, getField, isFields, isIdentical, setField } from "../engine/bsonValue.ts"
import * as Expression from "./ruleExpression.ts"

type Compiled = Expression.Compiled
type Scope = Expression.DocumentScope

interface Permissions {
  readonly read: Compiled | undefined
  readonly write: Compiled | undefined
}

interface FieldRule extends Permissions {
  readonly fields: FieldRules | undefined
}

interface FieldRules {
  readonly named: ReadonlyMap<string, FieldRule>
  /** The rule of all others, at the top of a document. */
  readonly others: FieldRule | undefined
}

/** What happens to one document. An insertion has no `before`, a deletion no `after`. */
export interface Change {
  readonly before: Fields | undefined
  readonly after: Fields | undefined
}

/** A role, ready to be asked. */
export interface Role {
  readonly name: string
  readonly applyWhen: Compiled
  /** The document as the role shows it, or nothing. */
  readonly see: (scope: Scope, document: Fields) => Fields | undefined
  /** Shows every document as it is, whatever is in it. */
  readonly showsAll: boolean
  /** Whether every document of which it shows something has the whole of a field, where that one is there. */
  readonly shows: (field: string) => boolean
  /**
   * Whether an update may name a path at all, in a document that the role shows something of. One that names a field out of
   * sight would tell by its success what is in there.
   */
  readonly reaches: (scope: Scope, document: Fields, path: ReadonlyArray<string>) => boolean
  /** Whether a change may be written. `scope` has the image after it as its root, the one before it as `prevRoot`. */
  readonly permits: (scope: Scope, change: Change) => boolean
}

const compile = (expression: Schema.Json | undefined): Compiled | undefined =>
  expression === undefined ? undefined : Expression.compile(expression, "document")

const permissions = ({ read, write }: DataSource.FieldRule): Permissions => ({
  read: compile(read),
  write: compile(write)
})

const compileFields = (
  fields: { readonly [name: string]: DataSource.FieldRule } = {},
  others?: DataSource.FieldRule
): FieldRules => ({
  named: new Map(
    Object.entries(fields).map(([name, rule]) => [
      name,
      { ...permissions(rule), fields: rule.fields === undefined ? undefined : compileFields(rule.fields) }
    ])
  ),
  others: others === undefined ? undefined : { ...permissions(others), fields: undefined }
})

const grants = (expression: Compiled | undefined, scope: Scope): boolean =>
  expression !== undefined && expression.evaluate(scope)

/**
 * Whether a change is granted. An expression that looks at the document, yet not at how it was before, has to hold before
 * the change as well as after it: else one could take a document over by writing oneself into it.
 */
const grantsChange = (expression: Compiled | undefined, scope: Scope, before: Fields | undefined): boolean => {
  if (expression === undefined || !expression.evaluate(scope)) return false
  const { reads } = expression
  return before === undefined || !reads.has("root") || reads.has("prevRoot") || reads.has("prev") ||
    expression.evaluate({ ...scope, root: before })
}

// -----------------------------------------------------------------------------
// Reading
// -----------------------------------------------------------------------------

const seeFields = (scope: Scope, document: Fields, { named, others }: FieldRules): Fields | undefined => {
  const seen: Fields = {}
  let sees = false
  for (const name of Object.keys(document)) {
    const value = document[name]
    const rule = named.get(name) ?? others
    if (rule === undefined) continue
    const own = { ...scope, this: value, prev: value }
    if (grants(rule.read, own) || grants(rule.write, own)) {
      setField(seen, name, value)
      sees = true
      continue
    }
    const inner = rule.fields !== undefined && isFields(value) ? seeFields(scope, value, rule.fields) : undefined
    if (inner === undefined) continue
    setField(seen, name, inner)
    sees = true
  }
  return sees ? seen : undefined
}

/** A document of which something is seen always has its identifier: clients could do nothing with it without. */
const identified = (document: Fields, seen: Fields | undefined): Fields | undefined => {
  if (seen === undefined || Object.hasOwn(seen, "_id") || !Object.hasOwn(document, "_id")) return seen
  const out: Fields = { _id: document["_id"] }
  for (const name of Object.keys(seen)) setField(out, name, seen[name])
  return out
}

/** The parts of a field, which may not be there yet. */
const nestedFields = (value: unknown): Fields | undefined =>
  value === undefined ? {} : isFields(value) ? value : undefined

const reachesField = (
  scope: Scope,
  document: Fields,
  [name = "", ...rest]: ReadonlyArray<string>,
  { named, others }: FieldRules
): boolean => {
  const value = getField(document, name)
  const rule = named.get(name) ?? others
  const own = { ...scope, this: value, prev: value }
  if (grants(rule?.read, own) || grants(rule?.write, own)) return true
  // What is no document has no parts, so that nothing of it is seen.
  const inner = nestedFields(value)
  return rule?.fields !== undefined && rest.length > 0 && inner !== undefined &&
    reachesField(scope, inner, rest, rule.fields)
}

// -----------------------------------------------------------------------------
// Writing
// -----------------------------------------------------------------------------

/** Whether each field that is added, changed or removed may be written. */
const permitsFields = (
  scope: Scope,
  before: Fields,
  after: Fields,
  { named, others }: FieldRules,
  root: Change,
  isTop: boolean
): boolean => {
  for (const name of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const [was, is] = [getField(before, name), getField(after, name)]
    if (isIdentical(was, is)) continue
    // A document comes and goes with its identifier, and keeps it in between.
    if (isTop && name === "_id" && !named.has(name)) continue
    const rule = named.get(name) ?? others
    if (rule === undefined) return false
    // What goes away with its document is looked at as it was.
    const own = { ...scope, this: root.after === undefined ? was : is, prev: was }
    if (grantsChange(rule.write, own, root.before)) continue
    const [inner, next] = [nestedFields(was), nestedFields(is)]
    if (rule.fields === undefined || inner === undefined || next === undefined) return false
    // To put an empty document, or take it away, changes no field of it.
    if (Object.keys(inner).length === 0 && Object.keys(next).length === 0) return false
    if (!permitsFields(scope, inner, next, rule.fields, root, false)) return false
  }
  return true
}

// -----------------------------------------------------------------------------
// Constructors
// -----------------------------------------------------------------------------

const isAlways = (expression: Compiled | undefined): boolean => expression?.constant === true

/** Compiles a role, whose expressions have been checked before. */
export const make = (role: DataSource.Role): Role => {
  const { read, write } = permissions(role)
  const gate = role.documentFilters === undefined ? undefined : permissions(role.documentFilters)
  const insert = compile(role.insert)
  const remove = compile(role.delete)
  const fields = compileFields(role.fields, role.additionalFields)

  return {
    name: role.name,
    applyWhen: Expression.compile(role.applyWhen, "document"),
    showsAll: (gate === undefined || isAlways(gate.read) || isAlways(gate.write)) &&
      (isAlways(read) || isAlways(write)),
    // One whose reading is given as a whole shows a document whole or not at all.
    shows: (field) => {
      const rule = fields.named.get(field) ?? fields.others
      return read !== undefined || isAlways(rule?.read) || isAlways(rule?.write)
    },
    see: (scope, document) => {
      if (gate !== undefined && !grants(gate.read, scope) && !grants(gate.write, scope)) return undefined
      if (grants(read, scope) || grants(write, scope)) return document
      return read === undefined ? identified(document, seeFields(scope, document, fields)) : undefined
    },
    reaches: (scope, document, path) =>
      read !== undefined || grants(write, scope) || path[0] === "_id" || reachesField(scope, document, path, fields),
    permits: (scope, change) => {
      const { after, before } = change
      if (gate !== undefined && !grantsChange(gate.write, scope, before)) return false
      if (before === undefined && !grants(insert, scope)) return false
      if (after === undefined && !grants(remove, scope)) return false
      return write === undefined
        ? permitsFields(scope, before ?? {}, after ?? {}, fields, change, true)
        : grantsChange(write, scope, before)
    }
  }
}
