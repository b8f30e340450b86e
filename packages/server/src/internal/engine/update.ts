/**
 * MongoDB's update language on documents in exact form: which fields an update touches, in which order, and how.
 */
import { BSONRegExp } from "bson"
import { compare } from "./bsonOrder.ts"
import { exact, type Fields, getField, isArray, isFields, setField } from "./bsonValue.ts"
import { isPosition, missing, parsePath, type Path, valueAt } from "./documentPath.ts"
import { badUpdate, refusing } from "./failure.ts"
import { valueKey } from "./keyEncoding.ts"
import { compileElementFilter } from "./query.ts"
import { isOperators, type Test } from "./queryCondition.ts"
import { foundPosition } from "./queryPosition.ts"
import { type Spend, stepsOfDocument } from "./steps.ts"
import { fieldOperators, type FieldUpdate, keep, remove } from "./updateOperators.ts"
import { checkConflicts, checkPath, comparePaths, isFiltered, mayMeet } from "./updatePath.ts"

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

const parseRename = (source: string, target: unknown): Step => {
  if (typeof target !== "string") throw badUpdate("$rename needs the new path as a text", "$rename")
  const from = checkPath("$rename", source)
  const path = checkPath("$rename", target)
  if ([...from, ...path].some((segment) => segment === "$" || isFiltered(segment))) {
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
    const make = Object.hasOwn(fieldOperators, operator) ? fieldOperators[operator] : undefined
    if (make === undefined && operator !== "$rename") {
      throw badUpdate(`Unknown modifier: ${operator}. Expected a valid update modifier`, operator)
    }
    if (!isFields(operands)) throw badUpdate(`${operator} needs an object of paths`, operator)
    return Object.keys(operands).map((name): Step =>
      make === undefined
        ? parseRename(name, operands[name])
        : { operator, path: checkPath(operator, name), update: make(operands[name], now) }
    )
  })
}

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

/** The path with `$` replaced by the place of the first element that the filter found. A new document was not found. */
const resolvePosition = (path: Path, { filter, found, inserting }: UpdateContext, spend: Spend): Path => {
  const at = path.indexOf("$")
  if (at === -1) return path
  const head = path.slice(0, at)
  const position = inserting ? undefined : foundPosition(head, found, filter, spend)
  if (position === undefined) {
    throw badUpdate("The positional operator did not find the match needed from the query")
  }
  return [...head, String(position), ...path.slice(at + 1)]
}

/** The paths that one with `$[]` or array filters in it stands for: one for each element they reach. */
const reachedPaths = (path: Path, document: Fields, filters: ElementFilters, spend: Spend): ReadonlyArray<Path> => {
  const at = path.findIndex(isFiltered)
  if (at === -1) return [path]
  const head = path.slice(0, at)
  const array = valueAt(document, head)
  if (!isArray(array)) throw badUpdate(`"${path.join(".")}" needs an array at "${head.join(".")}"`)
  const test = filters.get((path[at] ?? "").slice(2, -1))
  return array.flatMap((element, position) => {
    spend(path.length)
    return test === undefined || test(element, spend)
      ? reachedPaths([...head, String(position), ...path.slice(at + 1)], document, filters, spend)
      : []
  })
}

class Applying {
  readonly step: Step
  readonly path: Path
  readonly spend: Spend

  constructor(step: Step, path: Path, spend: Spend) {
    this.step = step
    this.path = path
    this.spend = spend
  }

  #refuse(index: number, why: string): Error {
    return badUpdate(
      `${this.step.operator} of "${this.path.join(".")}": ${why} at "${this.path.slice(0, index).join(".")}"`,
      this.step.operator
    )
  }

  inFields(fields: Fields, index: number): void {
    const segment = this.path[index] ?? ""
    const current = Object.hasOwn(fields, segment) ? fields[segment] : missing
    const next = this.#next(current, index)
    if (next === remove) Reflect.deleteProperty(fields, segment)
    else if (next !== keep) setField(fields, segment, next)
  }

  inArray(array: Array<unknown>, index: number): void {
    const segment = this.path[index] ?? ""
    if (isPosition(segment)) {
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
    if (index === this.path.length - 1) return this.step.update.next(current, this.spend)
    if (isFields(current)) {
      this.inFields(current, index + 1)
      return keep
    }
    if (isArray(current)) {
      this.inArray(current, index + 1)
      return keep
    }
    if (!this.step.update.creates) return keep
    if (current !== missing) throw this.#refuse(index + 1, "there is a value that holds no fields")
    const made: Fields = {}
    this.inFields(made, index + 1)
    return made
  }
}

/** The value at a path that leads through no array. */
const valueOutsideArrays = (document: Fields, path: Path): unknown => {
  let value: unknown = document
  for (const segment of path) {
    if (isArray(value)) throw badUpdate("$rename does not reach into arrays", "$rename")
    value = isFields(value) ? getField(value, segment) : undefined
  }
  return value
}

const applyRename = (document: Fields, step: Step, from: Path, spend: Spend): void => {
  const moved = valueOutsideArrays(document, from)
  if (moved === undefined) return
  valueOutsideArrays(document, step.path)
  const unset: FieldUpdate = { next: () => remove, creates: false }
  new Applying({ ...step, update: unset }, from, spend).inFields(document, 0)
  new Applying({ ...step, update: { next: () => moved, creates: true } }, step.path, spend).inFields(document, 0)
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
  const named = steps.flatMap(({ from, path }) => from === undefined ? [path] : [from, path])
  checkConflicts(named)
  const meet = mayMeet(named)
  const namesId = named.some(([head]) => head === "_id")
  const filters = refusing(badUpdate, () => parseArrayFilters(options.arrayFilters ?? []))
  checkArrayFilters(steps, filters)
  const applyWithin = (document: Fields, context: UpdateContext, spend: Spend): void => {
    // of its value, for a part of it is changed in place
    const id = namesId && Object.hasOwn(document, "_id") ? valueKey(document["_id"]) : undefined
    // before any is applied: what was found may be the very document that changes, and filters look at elements as they were
    const applied = steps.filter(({ operator }) => context.inserting || operator !== "$setOnInsert")
      .map((step) => ({
        step,
        paths: reachedPaths(resolvePosition(step.path, context, spend), document, filters, spend)
      }))
    if (meet) checkConflicts(applied.flatMap(({ paths }) => paths))
    for (const { paths, step } of applied) {
      if (step.from !== undefined) applyRename(document, step, step.from, spend)
      else for (const path of paths) new Applying(step, path, spend).inFields(document, 0)
    }
    if (id !== undefined && id !== valueKey(document["_id"])) {
      throw badUpdate("the field _id of a document never changes")
    }
  }
  const apply: Update["apply"] = (document, context) =>
    refusing(badUpdate, () => applyWithin(document, context, stepsOfDocument()))
  return { kind: "update", apply }
}

/** The values that a condition leaves no other choice but. */
const onlyValues = (operand: unknown): ReadonlyArray<unknown> => {
  if (!isOperators(operand)) return operand instanceof BSONRegExp ? [] : [operand]
  const { $all, $eq, $in } = operand
  const listed = [...isArray($all) ? $all : [], ...isArray($in) && $in.length === 1 ? $in : []]
  return [
    ...$eq === undefined ? [] : [$eq],
    ...listed.filter((value) => !(value instanceof BSONRegExp || isOperators(value)))
  ]
}

const equalities = (filter: Fields): ReadonlyArray<readonly [path: string, value: unknown]> =>
  Object.keys(filter).flatMap((name) => {
    const operand = filter[name]
    // of one clause, `$or` is the clause
    if (isArray(operand) && (name === "$and" || (name === "$or" && operand.length === 1))) {
      return operand.flatMap((clause) => isFields(clause) ? equalities(clause) : [])
    }
    return name.startsWith("$") ? [] : onlyValues(operand).map((value) => [name, value] as const)
  })

/** The document an upsert starts from: the equalities of its filter. */
export const upsertSeed = (filter: Fields): Fields => {
  const values = new Map<string, unknown>()
  for (const [path, value] of equalities(filter)) {
    if (values.has(path) && compare(values.get(path), value) !== 0) {
      throw badUpdate(`the filter asks for two values of "${path}", and the document to insert can have but one`)
    }
    values.set(path, value)
  }
  const steps = [...values].map(([name, value]): Step => ({
    operator: "$set",
    path: checkPath("upsert", name),
    update: { next: () => value, creates: true }
  }))
  checkConflicts(steps.map(({ path }) => path))
  const document: Fields = {}
  const spend = stepsOfDocument()
  for (const step of steps) new Applying(step, step.path, spend).inFields(document, 0)
  return document
}
