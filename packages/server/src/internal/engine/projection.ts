/**
 * Which fields are handed out, and what is computed beside them.
 */
import { toNumber, wholeNumber } from "./bsonNumber.ts"
import { exact, type Fields, isArray, isFields, isNumeric, setField } from "./bsonValue.ts"
import { parsePath, type Path, valueAt } from "./documentPath.ts"
import { compileExpression } from "./expression.ts"
import type { Expression, Names, Scope, Setting } from "./expressionScope.ts"
import { badFilter, refusing } from "./failure.ts"
import { compileElementMatch } from "./query.ts"
import type { Test } from "./queryCondition.ts"
import { foundPosition } from "./queryPosition.ts"
import { type Spend, stepsOfDocument } from "./steps.ts"

/** `filter` is what has found the document. */
export type Projection = (document: Fields, setting: Setting, filter: Fields) => Fields

interface Tree extends Map<string, true | Tree> {}

const addPath = (tree: Tree, path: Path, at: string): void => {
  const [head = "", ...rest] = path
  const present = tree.get(head)
  if (rest.length === 0) {
    if (present !== undefined) throw badFilter(`the projection names "${at}" twice, or a part of it`)
    tree.set(head, true)
    return
  }
  if (present === true) throw badFilter(`the projection names "${at}" and a part of it`)
  const branch: Tree = present ?? new Map()
  tree.set(head, branch)
  addPath(branch, rest, at)
}

const addBranch = (tree: Tree, path: Path): void => {
  let at: Tree = tree
  for (const segment of path) {
    const present = at.get(segment)
    if (present === true) throw badFilter(`the projection names "${segment}" and a part of it`)
    const branch: Tree = present ?? new Map()
    at.set(segment, branch)
    at = branch
  }
}

const project = (document: Fields, tree: Tree, keep: boolean): Fields => {
  const fields: Fields = {}
  for (const name of Object.keys(document)) {
    const branch = tree.get(name)
    if (branch === undefined || branch === true) {
      if ((branch === true) === keep) setField(fields, name, document[name])
      continue
    }
    const value = projectValue(document[name], branch, keep)
    if (value !== undefined) setField(fields, name, value)
  }
  return fields
}

// what cannot hold the wanted path is left out by an inclusion and kept by an exclusion
const projectValue = (value: unknown, tree: Tree, keep: boolean): unknown => {
  if (isFields(value)) return project(value, tree, keep)
  if (isArray(value)) {
    return value.map((element) => projectValue(element, tree, keep)).filter((element) => element !== undefined)
  }
  return keep ? undefined : value
}

const withValueAt = (value: unknown, path: Path, next: unknown, spend: Spend, from = 0): unknown => {
  if (from === path.length) return next
  if (isArray(value)) {
    spend(value.length)
    return value.map((element) => withValueAt(element, path, next, spend, from))
  }
  if (!isFields(value) && next === undefined) return value
  const segment = path[from] ?? ""
  const fields: Fields = {}
  let isThere = false
  const entries = isFields(value) ? Object.entries(value) : []
  spend(entries.length)
  for (const [name, field] of entries) {
    isThere ||= name === segment
    const changed = name === segment ? withValueAt(field, path, next, spend, from + 1) : field
    if (changed !== undefined) setField(fields, name, changed)
  }
  const made = isThere ? undefined : withValueAt(undefined, path, next, spend, from + 1)
  if (made !== undefined) setField(fields, segment, made)
  return fields
}

/**
 * A copy of a document with another value at a path, in every element of the arrays on the way; without one when `undefined`.
 */
export const withFieldAt = (document: Fields, path: Path, next: unknown, spend: Spend): Fields => {
  const made = withValueAt(document, path, next, spend)
  return isFields(made) ? made : document
}

interface Computed {
  readonly path: Path
  readonly expression: Expression
}

/** Fields computed from a document, each at its path. */
export const withComputed = (document: Fields, computed: ReadonlyArray<Computed>, scope: Scope): Fields => {
  let next = document
  const spend = stepsOfDocument()
  // all are computed from the document as it was
  for (const [index, value] of computed.map(({ expression }) => expression(scope)).entries()) {
    const { path = [] } = computed[index] ?? {}
    // without a value, what is on the way to the field is made all the same
    next = value === undefined
      ? withFieldAt(withFieldAt(next, path, null, spend), path, undefined, spend)
      : withFieldAt(next, path, value, spend)
  }
  return next
}

const checkPath = (name: string): Path => {
  const path = parsePath(name)
  if (path.some((segment) => segment === "" || segment.startsWith("$"))) {
    throw badFilter(`the projection path "${name}" is not supported`)
  }
  return path
}

/** The fields of `$addFields`: nested objects are paths, everything else is an expression. */
export const compileComputed = (fields: Fields, names: Names, prefix = ""): ReadonlyArray<Computed> =>
  Object.keys(fields).flatMap((name): ReadonlyArray<Computed> => {
    const value = fields[name]
    const inner = isFields(value) ? Object.keys(value) : []
    if (isFields(value) && inner.length > 0 && inner[0]?.startsWith("$") !== true) {
      return compileComputed(value, names, `${prefix}${name}.`)
    }
    return [{ path: checkPath(prefix + name), expression: compileExpression(value, names) }]
  })

/** What only a find projects: a part of an array, by place or by the element that is asked for. */
type ArrayPart = (
  array: ReadonlyArray<unknown>,
  document: Fields,
  filter: Fields,
  spend: Spend
) => ReadonlyArray<unknown> | undefined

const slicePart = (operand: unknown): ArrayPart => {
  const [first, count] = isArray(operand) ? operand.map(wholeNumber) : [wholeNumber(operand)]
  if (first === undefined || (isArray(operand) && (operand.length !== 2 || count === undefined || count <= 0))) {
    throw badFilter("$slice needs a count, or a place and a positive count", "$slice")
  }
  return (array) => {
    if (count === undefined) return first < 0 ? array.slice(first) : array.slice(0, first)
    const from = first < 0 ? Math.max(0, array.length + first) : first
    return array.slice(from, from + count)
  }
}

const elementPart = (match: Test): ArrayPart => (array, _document, _filter, spend) => {
  const element = array.find((one) => match(one, spend))
  return element === undefined ? undefined : [element]
}

const positionPart = (path: Path): ArrayPart => (array, document, filter, spend) => {
  const position = foundPosition(path, document, filter, spend)
  if (position === undefined) throw badFilter("the positional $ of the projection found no match in the filter")
  return [array[position]]
}

interface Part {
  readonly path: Path
  readonly part: ArrayPart
  readonly orNothing: boolean
}

const withPart = (
  document: Fields,
  result: Fields,
  { orNothing, part, path }: Part,
  filter: Fields,
  spend: Spend
): Fields => {
  const value = valueAt(document, path)
  const taken = isArray(value) ? part(value, document, filter, spend) : orNothing ? undefined : value
  return withFieldAt(result, path, taken, spend)
}

/** What a projection is for: only a find knows a filter, `$slice`, `$elemMatch` and the positional `$`. */
type Place = "find" | "stage"

class Compiling {
  readonly tree: Tree = new Map()
  readonly computed: Array<Computed> = []
  readonly parts: Array<Part> = []
  keep: boolean | undefined
  id: boolean | undefined
  readonly place: Place
  readonly names: Names
  #isPositional = false

  constructor(place: Place, names: Names) {
    this.place = place
    this.names = names
  }

  fields(fields: Fields, prefix: string): void {
    for (const name of Object.keys(fields)) this.#field(prefix + name, fields[name])
  }

  #field(name: string, value: unknown): void {
    if (typeof value === "boolean" || isNumeric(value)) {
      this.#flag(name, typeof value === "boolean" ? value : toNumber(value) !== 0)
      return
    }
    const inner = isFields(value) ? Object.keys(value) : []
    const [operator] = inner
    if (isFields(value) && operator?.startsWith("$") !== true) {
      if (operator === undefined) throw badFilter(`the projection says nothing about "${name}": it is an empty object`)
      this.fields(value, `${name}.`)
      return
    }
    if (isFields(value) && this.place === "find" && inner.length === 1) {
      if (operator === "$slice") return this.#slice(name, value[operator])
      if (operator === "$elemMatch") {
        if (name.includes(".")) throw badFilter(`$elemMatch does not project "${name}", a part of a field`, operator)
        return this.#include(name, elementPart(compileElementMatch(value[operator])))
      }
    }
    if (operator === "$meta") throw badFilter("the projection operator $meta is not supported", operator)
    this.#keep(true)
    const path = checkPath(name)
    this.computed.push({ path, expression: compileExpression(value, this.names) })
    if (name === "_id") this.id = false
  }

  #flag(name: string, wanted: boolean): void {
    if (name === "_id") {
      this.id = wanted
      return
    }
    if (wanted && this.place === "find" && name.endsWith(".$")) {
      if (this.#isPositional) throw badFilter("the projection has more than one positional $")
      this.#isPositional = true
      const array = name.slice(0, -2)
      this.#include(array, positionPart(checkPath(array)))
      return
    }
    const path = checkPath(name)
    this.#keep(wanted)
    addPath(this.tree, path, name)
  }

  #include(name: string, part: ArrayPart): void {
    this.#keep(true)
    const path = checkPath(name)
    addPath(this.tree, path, name)
    this.parts.push({ path, part, orNothing: true })
  }

  // leaves the rest of the document as the other fields of the projection want it
  #slice(name: string, operand: unknown): void {
    this.parts.push({ path: checkPath(name), part: slicePart(operand), orNothing: false })
  }

  #keep(wanted: boolean): void {
    if (this.keep !== undefined && this.keep !== wanted) {
      throw badFilter("the projection both includes and excludes fields")
    }
    this.keep = wanted
  }

  /** What of the document itself is handed out. */
  stored(): (document: Fields) => Fields {
    const { id, parts, tree } = this
    const including = this.keep ?? (id === true && parts.length === 0)
    if (including) {
      for (const { orNothing, path } of parts) if (!orNothing) addPath(tree, path, path.join("."))
      // what is computed inside of an array is computed in each of its elements
      for (const { path } of this.computed) addBranch(tree, path.slice(0, -1))
    }
    if (!tree.has("_id")) {
      if (including ? id !== false : id === false) tree.set("_id", true)
    } else if (id !== undefined) throw badFilter("the projection names \"_id\" and a part of it")
    return (document) => project(document, tree, including)
  }

  finish(): Projection {
    const { computed, parts } = this
    const stored = this.stored()
    return (document, setting, filter) => {
      let result = stored(document)
      if (computed.length > 0) result = withComputed(result, computed, { ...setting, root: document })
      return parts.reduce((partial, part) => withPart(document, partial, part, filter, setting.spend), result)
    }
  }
}

const compiling = (projection: unknown, place: Place, names: Names): Compiling => {
  const fields = refusing(badFilter, () => exact(projection))
  if (!isFields(fields)) throw badFilter("the projection is not an object")
  const compiling = new Compiling(place, names)
  compiling.fields(fields, "")
  return compiling
}

/** A projection by inclusion or by exclusion, with what is computed. */
export const compileProjection = (projection: unknown, place: Place, names: Names = new Set()): Projection =>
  compiling(projection, place, names).finish()

/** A projection that hands out or leaves out fields as they are, and computes none. */
export const compileStoredFields = (projection: unknown): (document: Fields) => Fields => {
  const compiled = compiling(projection, "stage", new Set())
  if (compiled.computed.length > 0) throw badFilter("the projection computes fields: only 1 and 0 are allowed here")
  return compiled.stored()
}
