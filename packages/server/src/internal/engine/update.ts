/**
 * MongoDB's update language on documents in exact form: which fields an update touches, in which order, and how.
 */
import { BSONRegExp } from "bson"
import { compare } from "./bsonOrder.ts"
import { exact, type Fields, getField, isArray, isFields, maxDepth, setField } from "./bsonValue.ts"
import { isPosition, missing, parsePath, type Path } from "./documentPath.ts"
import { badUpdate, refusing } from "./failure.ts"
import { compileElementFilter } from "./query.ts"
import { isOperators, type Test } from "./queryCondition.ts"
import { foundPosition } from "./queryPosition.ts"
import { type FieldUpdate, fieldUpdate, keep, remove } from "./updateOperators.ts"

/** What an update is applied for. `found` is the document as the filter saw it. */
export interface UpdateContext {
  readonly inserting: boolean
  readonly filter: Fields
  readonly found: Fields
}

/** What becomes of documents: some of their fields change, or all of them are replaced. */
export interface Update {
  readonly kind: "update" | "replace"
  /** Changes a document in place. Throws before it is whole when it cannot be applied: the document is then given up. */
  readonly apply: (document: Fields, context: UpdateContext) => void
}

interface Step {
  readonly operator: string
  readonly path: Path
  readonly update: FieldUpdate
  /** The source of a `$rename`, whose value the step sets. */
  readonly from?: Path
}

// an index far past the end would fill the document with nulls
const maxPadding = 10_000

/** The order in which updates add fields. */
export const compareSegments = (left: string, right: string): number =>
  isPosition(left) && isPosition(right) ? Number(left) - Number(right) : left < right ? -1 : left > right ? 1 : 0

const comparePaths = (left: Path, right: Path): number => {
  const length = Math.min(left.length, right.length)
  for (let index = 0; index < length; index++) {
    const order = compareSegments(left[index] ?? "", right[index] ?? "")
    if (order !== 0) return order
  }
  return left.length - right.length
}

const checkPath = (operator: string, text: string): Path => {
  const path = parsePath(text)
  if (path.length > maxDepth) throw badUpdate(`${operator} names a path of more than ${maxDepth} parts`, operator)
  for (const [index, segment] of path.entries()) {
    if (segment === "") throw badUpdate(`the path "${text}" has an empty part`, operator)
    if (segment.includes("\0")) throw badUpdate("a path holds a NUL character", operator)
    const isPositional = index > 0 && (segment === "$" || /^\$\[\w*\]$/.test(segment))
    if (segment.startsWith("$") && !isPositional && !(index > 0 && /^\$(ref|id|db)$/.test(segment))) {
      throw badUpdate(`the path "${text}" has a part that begins with $`, operator)
    }
  }
  return path
}

/** No path may be another one, nor a part of it: what the update means would depend on its order. */
const checkConflicts = (paths: ReadonlyArray<Path>): void => {
  const sorted = paths.map((path) => path.join(".")).toSorted()
  const seen = new Set<string>()
  for (const path of sorted) {
    const segments = path.split(".")
    for (let length = 1; length <= segments.length; length++) {
      if (seen.has(segments.slice(0, length).join("."))) {
        throw badUpdate(
          `Updating the path '${path}' would create a conflict at '${segments.slice(0, length).join(".")}'`
        )
      }
    }
    seen.add(path)
  }
}

const parseRename = (source: string, target: unknown): Step => {
  if (typeof target !== "string") throw badUpdate("$rename needs the new path as a text", "$rename")
  const from = checkPath("$rename", source)
  const path = checkPath("$rename", target)
  if ([...from, ...path].some((segment) => segment.startsWith("$["))) {
    throw badUpdate("$rename does not reach into arrays", "$rename")
  }
  return { operator: "$rename", path, from, update: { next: () => keep, creates: true } }
}

const parseSteps = (update: Fields, now: number): ReadonlyArray<Step> => {
  const operators = Object.keys(update)
  if (operators.length === 0) throw badUpdate("it is empty")
  return operators.flatMap((operator) => {
    if (!operator.startsWith("$")) {
      throw badUpdate(`"${operator}" is not an operator; use $set, or replaceOne for a whole document`)
    }
    const operands = update[operator]
    const isKnown = operator === "$rename" || fieldOperators.has(operator)
    if (!isKnown) {
      throw badUpdate(`Unknown modifier: ${operator}. Expected a valid update modifier`, operator)
    }
    if (!isFields(operands)) throw badUpdate(`${operator} needs an object of paths`, operator)
    return Object.keys(operands).map((name): Step => {
      if (operator === "$rename") return parseRename(name, operands[name])
      const step = fieldUpdate(operator, operands[name], now)
      if (step === undefined) throw badUpdate(`Unknown modifier: ${operator}`, operator)
      return { operator, path: checkPath(operator, name), update: step }
    })
  })
}

const fieldOperators = new Set([
  "$set",
  "$setOnInsert",
  "$unset",
  "$inc",
  "$mul",
  "$min",
  "$max",
  "$currentDate",
  "$push",
  "$addToSet",
  "$pull",
  "$pullAll",
  "$pop",
  "$bit"
])

type ElementFilters = ReadonlyMap<string, Test>

const parseArrayFilters = (filters: ReadonlyArray<unknown>): ElementFilters => {
  const tests = new Map<string, Test>()
  for (const filter of filters) {
    const fields = refusing(badUpdate, () => exact(filter))
    if (!isFields(fields)) throw badUpdate("an array filter is not an object")
    const identifiers = new Set(identifiersOf(fields))
    const [identifier] = identifiers
    if (identifier === undefined || identifiers.size > 1 || !/^[a-z]\w*$/.test(identifier)) {
      throw badUpdate("an array filter needs exactly one identifier that begins with a small letter")
    }
    if (tests.has(identifier)) throw badUpdate(`two array filters are named ${identifier}`)
    tests.set(identifier, compileElementFilter(identifier, fields))
  }
  return tests
}

const identifiersOf = (filter: Fields): ReadonlyArray<string> =>
  Object.keys(filter).flatMap((name) => {
    const value = filter[name]
    if (!name.startsWith("$")) return [parsePath(name)[0] ?? ""]
    return isArray(value) ? value.flatMap((clause) => isFields(clause) ? identifiersOf(clause) : []) : []
  })

const checkArrayFilters = (steps: ReadonlyArray<Step>, filters: ElementFilters): void => {
  const used = new Set(
    steps.flatMap(({ path }) =>
      path.filter((segment) => /^\$\[\w+\]$/.test(segment)).map((segment) => segment.slice(2, -1))
    )
  )
  for (const name of used) {
    if (!filters.has(name)) throw badUpdate(`no array filter is named ${name}`)
  }
  for (const name of filters.keys()) {
    if (!used.has(name)) throw badUpdate(`the array filter ${name} is not used by the update`)
  }
}

/** The path with `$` replaced by the place of the first element that the filter found. */
const resolvePosition = (path: Path, document: Fields, filter: Fields): Path => {
  const at = path.indexOf("$")
  if (at === -1) return path
  const head = path.slice(0, at)
  const position = foundPosition(head, document, filter)
  if (position === undefined) {
    throw badUpdate("The positional operator did not find the match needed from the query")
  }
  return [...head, String(position), ...path.slice(at + 1)]
}

class Applying {
  readonly step: Step
  readonly path: Path
  readonly filters: ElementFilters

  constructor(step: Step, path: Path, filters: ElementFilters) {
    this.step = step
    this.path = path
    this.filters = filters
  }

  #refuse(index: number, why: string): Error {
    return badUpdate(
      `${this.step.operator} of "${this.path.join(".")}": ${why} at "${this.path.slice(0, index).join(".")}"`,
      this.step.operator
    )
  }

  inFields(fields: Fields, index: number): void {
    const segment = this.path[index] ?? ""
    if (segment.startsWith("$[")) throw this.#refuse(index, "there is no array")
    const current = Object.hasOwn(fields, segment) ? fields[segment] : missing
    const next = this.#next(current, index)
    if (next === remove) Reflect.deleteProperty(fields, segment)
    else if (next !== keep) setField(fields, segment, next)
  }

  inArray(array: Array<unknown>, index: number): void {
    const segment = this.path[index] ?? ""
    if (segment.startsWith("$[")) {
      const test = this.filters.get(segment.slice(2, -1))
      for (const [position, element] of array.entries()) {
        if (test === undefined || test(element)) this.#element(array, position, index)
      }
    } else if (isPosition(segment)) {
      if (this.step.update.creates || Number(segment) < array.length) this.#element(array, Number(segment), index)
    } else if (this.step.update.creates) {
      throw this.#refuse(index, `"${segment}" is not a place in the array`)
    }
  }

  #element(array: Array<unknown>, position: number, index: number): void {
    if (position > array.length + maxPadding) throw this.#refuse(index, "the place is far past the end of the array")
    const next = this.#next(position < array.length ? array[position] : missing, index)
    if (next === keep) return
    while (array.length < position) array.push(null)
    array[position] = next === remove ? null : next
  }

  // the next value of a container's slot: by the operator at the end of the path, by descent before it
  #next(current: unknown, index: number): unknown {
    if (index === this.path.length - 1) return this.step.update.next(current)
    if (isFields(current)) {
      this.inFields(current, index + 1)
      return keep
    }
    if (isArray(current)) {
      this.inArray(current, index + 1)
      return keep
    }
    if (this.path[index + 1]?.startsWith("$[") === true) throw this.#refuse(index + 1, "there is no array")
    if (!this.step.update.creates) return keep
    if (current !== missing) throw this.#refuse(index + 1, "there is a value that holds no fields")
    const made: Fields = {}
    this.inFields(made, index + 1)
    return made
  }
}

const applyRename = (document: Fields, step: Step, from: Path): void => {
  let value: unknown = document
  for (const segment of from) {
    if (isArray(value)) throw badUpdate("$rename does not reach into arrays", "$rename")
    value = isFields(value) ? getField(value, segment) : undefined
  }
  if (value === undefined) return
  const moved = value
  const unset: FieldUpdate = { next: () => remove, creates: false }
  new Applying({ ...step, update: unset }, from, new Map()).inFields(document, 0)
  new Applying({ ...step, update: { next: () => moved, creates: true } }, step.path, new Map()).inFields(document, 0)
}

/** An update in the operators of MongoDB. `now` is in milliseconds, for `$currentDate`. */
export const compileUpdate = (
  update: unknown,
  options: { readonly now: number; readonly arrayFilters?: ReadonlyArray<unknown> | undefined }
): Update => {
  if (Array.isArray(update)) throw badUpdate("updates by pipeline are not supported")
  if (typeof update === "object" && update !== null) {
    for (const [operator, operands] of Object.entries(update)) {
      for (const [path, operand] of Object.entries(operands ?? {})) {
        // a field that was meant to be set must not be skipped without a word
        if (operand === undefined) {
          throw badUpdate(`${operator} of "${path}" is undefined; use null or $unset`, operator)
        }
      }
    }
  }
  const fields = refusing(badUpdate, () => exact(update))
  if (!isFields(fields)) throw badUpdate("it is not an object")
  const steps = refusing(badUpdate, () => parseSteps(fields, options.now))
    .toSorted((left, right) => comparePaths(left.path, right.path))
  checkConflicts(steps.flatMap(({ from, path }) => from === undefined ? [path] : [from, path]))
  const filters = refusing(badUpdate, () => parseArrayFilters(options.arrayFilters ?? []))
  checkArrayFilters(steps, filters)
  const apply: Update["apply"] = (document, { filter, found, inserting }) => {
    const id = document["_id"]
    const applied = steps.filter(({ operator }) => inserting || operator !== "$setOnInsert")
    // before any is applied, for what was found may be the very document that changes
    const paths = applied.map(({ path }) => resolvePosition(path, found, filter))
    for (const [index, step] of applied.entries()) {
      if (step.from !== undefined) applyRename(document, step, step.from)
      else new Applying(step, paths[index] ?? step.path, filters).inFields(document, 0)
    }
    if (id !== undefined && compare(id, document["_id"]) !== 0) {
      throw badUpdate("the field _id of a document never changes")
    }
  }
  return { kind: "update", apply }
}

const addEqualities = (document: Fields, filter: Fields): void => {
  for (const name of Object.keys(filter)) {
    const operand = filter[name]
    if (name === "$and" && isArray(operand)) {
      for (const clause of operand) if (isFields(clause)) addEqualities(document, clause)
    }
    if (name.startsWith("$")) continue
    const value = isOperators(operand) ? getField(operand, "$eq") : operand
    if (value === undefined || value instanceof BSONRegExp) continue
    const step: Step = {
      operator: "$set",
      path: checkPath("upsert", name),
      update: { next: () => value, creates: true }
    }
    new Applying(step, step.path, new Map()).inFields(document, 0)
  }
}

/** The document an upsert starts from: the equalities of its filter. */
export const upsertSeed = (filter: Fields): Fields => {
  const document: Fields = {}
  addEqualities(document, filter)
  return document
}
