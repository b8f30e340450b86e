/**
 * MongoDB's query language, compiled into a predicate over documents in exact form.
 */
import { BSONRegExp, BSONValue } from "bson"
import { exact, type Fields, isArray, isFields, maxDepth } from "./bsonValue.ts"
import { isTrue } from "./conversion.ts"
import { missing, parsePath } from "./documentPath.ts"
import { compileExpression } from "./expression.ts"
import type { Names } from "./expressionScope.ts"
import { badFilter, refusing } from "./failure.ts"
import {
  arrayOf,
  compares,
  type Condition,
  equals,
  equalsOrMatches,
  hasBits,
  hasRemainder,
  hasSize,
  hasType,
  holdsAt,
  holdsFor,
  isIn,
  isOperators,
  matchesRegex,
  none,
  type Predicate,
  some,
  type Test
} from "./queryCondition.ts"
import { type Spend, stepsOfDocument } from "./steps.ts"
import { unsupportedFilters } from "./unsupported.ts"

const logical = new Set(["$and", "$or", "$nor", "$expr", "$where"])

/** Whether an object asks for a value by operators on it, and not by its fields. */
const asksForValue = (operand: unknown): operand is Fields => {
  const [first = ""] = isOperators(operand) ? Object.keys(operand) : []
  return first !== "" && !logical.has(first)
}

/** Whether an element of an array has the fields that a filter asks for. */
const compileElement = (filter: Fields): Test => {
  const predicate = compileFields(filter)
  return (element, spend) => isFields(element) && predicate(element, { spend })
}

/** Whether one element of an array is what `$elemMatch` asks for. */
export const compileElementMatch = (operand: unknown): Test => {
  if (!isFields(operand)) throw badFilter("$elemMatch needs an object", "$elemMatch")
  if (!asksForValue(operand)) return compileElement(operand)
  const conditions = compileOperators(operand)
  return (element, spend) => conditions.every((condition) => holdsFor(element, condition, spend))
}

const someElementMatches = (operand: unknown): Condition => {
  const test = compileElementMatch(operand)
  const matches = (value: unknown, spend: Spend): boolean =>
    isArray(value) && value.some((element) => {
      spend(1)
      return test(element, spend)
    })
  return some(matches, true)
}

const hasAll = (operand: unknown): ReadonlyArray<Condition> => {
  const elements = arrayOf("$all", operand)
  // MongoDB: an empty $all matches nothing
  if (elements.length === 0) return [some(() => false)]
  if (!elements.some(isOperators)) return elements.map((element) => some(equalsOrMatches(element)))
  return elements.map((element) => {
    if (!isOperators(element) || Object.keys(element)[0] !== "$elemMatch") {
      throw badFilter("$all takes no operator but $elemMatch, in all of its elements", "$all")
    }
    return someElementMatches(element["$elemMatch"])
  })
}

const negation = (operand: unknown): Condition => {
  if (operand instanceof BSONRegExp) return none(some(matchesRegex(operand)))
  if (!isOperators(operand)) throw badFilter("$not needs an object of operators or a regular expression", "$not")
  return none(...compileOperators(operand))
}

const regexOf = (operators: Fields): BSONRegExp => {
  const pattern = operators["$regex"]
  const options = operators["$options"]
  if (options !== undefined && typeof options !== "string") throw badFilter("$options needs a text", "$options")
  if (typeof pattern !== "string" && !(pattern instanceof BSONRegExp)) {
    throw badFilter("$regex needs a text or a regular expression", "$regex")
  }
  try {
    return typeof pattern === "string"
      ? new BSONRegExp(pattern, options ?? "")
      : new BSONRegExp(pattern.pattern, options ?? pattern.options)
  } catch (cause) {
    throw badFilter(cause instanceof Error ? cause.message : "the regular expression is invalid", "$regex")
  }
}

const plainOperand = (operator: string, operand: unknown): unknown => {
  if (operand instanceof BSONRegExp) {
    throw badFilter(`${operator} cannot compare with a regular expression`, operator)
  }
  return operand
}

const unknownOperator = (what: string, operator: string): Error =>
  badFilter(
    unsupportedFilters.has(operator) ? `the operator ${operator} is not supported` : `${what}: ${operator}`,
    operator
  )

const compileOperator = (operator: string, operand: unknown, operators: Fields): ReadonlyArray<Condition> => {
  switch (operator) {
    case "$eq":
      return [some(equals(operand))]
    case "$ne":
      return [none(some(equals(plainOperand(operator, operand))))]
    case "$gt":
      return [some(compares(plainOperand(operator, operand), (order) => order > 0))]
    case "$gte":
      return [some(compares(plainOperand(operator, operand), (order) => order >= 0))]
    case "$lt":
      return [some(compares(plainOperand(operator, operand), (order) => order < 0))]
    case "$lte":
      return [some(compares(plainOperand(operator, operand), (order) => order <= 0))]
    case "$in":
      return [isIn(operator, operand)]
    case "$nin":
      return [none(isIn(operator, operand))]
    case "$exists": {
      const exists = some((value) => value !== missing)
      const wanted = isTrue(operand)
      return [wanted ? exists : none(exists)]
    }
    case "$type":
      return [hasType(operand)]
    case "$regex":
      return [some(matchesRegex(regexOf(operators)))]
    case "$options":
      if (!("$regex" in operators)) throw badFilter("$options needs $regex beside it", operator)
      return []
    case "$mod":
      return [hasRemainder(operand)]
    case "$size":
      return [hasSize(operand)]
    case "$all":
      return hasAll(operand)
    case "$elemMatch":
      return [someElementMatches(operand)]
    case "$not":
      return [negation(operand)]
    case "$bitsAllSet":
    case "$bitsAnySet":
    case "$bitsAllClear":
    case "$bitsAnyClear":
      return [hasBits(operator, operand)]
    default:
      throw unknownOperator("unknown operator", operator)
  }
}

const compileOperators = (operators: Fields): ReadonlyArray<Condition> =>
  Object.keys(operators).flatMap((operator) => compileOperator(operator, operators[operator], operators))

const compileList = (operator: string, operand: unknown, names: Names | undefined): ReadonlyArray<Predicate> => {
  const clauses = arrayOf(operator, operand)
  if (clauses.length === 0) throw badFilter(`${operator} needs at least one clause`, operator)
  return clauses.map((clause) => {
    if (!isFields(clause)) throw badFilter(`${operator} needs objects`, operator)
    return compileFields(clause, names)
  })
}

const compileCondition = (expression: unknown, names: Names): Predicate => {
  const compiled = compileExpression(expression, names)
  return (root, setting) => isTrue(compiled({ ...setting, root }))
}

const compileTop = (name: string, operand: unknown, names: Names | undefined): Predicate | undefined => {
  switch (name) {
    case "$and": {
      const predicates = compileList(name, operand, names)
      return (document, setting) => predicates.every((predicate) => predicate(document, setting))
    }
    case "$or": {
      const predicates = compileList(name, operand, names)
      return (document, setting) => predicates.some((predicate) => predicate(document, setting))
    }
    case "$nor": {
      const predicates = compileList(name, operand, names)
      return (document, setting) => !predicates.some((predicate) => predicate(document, setting))
    }
    case "$expr":
      if (names === undefined) {
        throw badFilter("$expr looks at a whole document, and is not allowed in an array or an index", name)
      }
      return compileCondition(operand, names)
    case "$comment":
      return undefined
    case "$where":
      throw badFilter("$where runs code and is refused; use $expr", name)
    default:
      throw unknownOperator("unknown top level operator", name)
  }
}

const compileField = (name: string, operand: unknown): Predicate => {
  const path = parsePath(name)
  const conditions = isOperators(operand) ? compileOperators(operand) : [some(equalsOrMatches(operand))]
  const [only] = conditions
  return conditions.length === 1 && only !== undefined
    ? (document, { spend }) => holdsAt(document, path, only, spend)
    : (document, { spend }) => conditions.every((condition) => holdsAt(document, path, condition, spend))
}

/** @param names the variables that expressions may name; none in what has no expressions */
const compileFields = (filter: Fields, names?: Names): Predicate => {
  const predicates: Array<Predicate> = []
  for (const name of Object.keys(filter)) {
    const predicate = name.startsWith("$")
      ? compileTop(name, filter[name], names)
      : compileField(name, filter[name])
    if (predicate !== undefined) predicates.push(predicate)
  }
  const [only] = predicates
  if (only === undefined) {
    return (_, { spend }) => {
      spend(1)
      return true
    }
  }
  return predicates.length === 1
    ? only
    : (document, setting) => predicates.every((predicate) => predicate(document, setting))
}

const undefinedPath = (value: unknown, path: string, depth: number): string | undefined => {
  // deeper than any document: refused below
  if (depth > maxDepth) return undefined
  if (value === undefined) return path
  if (typeof value !== "object" || value === null || value instanceof BSONValue) return undefined
  for (const [name, field] of Object.entries(value)) {
    const found = undefinedPath(field, path === "" ? name : `${path}.${name}`, depth + 1)
    if (found !== undefined) return found
  }
  return undefined
}

/** A filter in exact form. */
export const exactFilter = (filter: unknown): Fields => {
  const path = undefinedPath(filter, "", 0)
  if (path === "") throw badFilter("it is undefined; use {} to match every document")
  if (path !== undefined) {
    // dropping it would match every document: the wrong user's, for one
    throw badFilter(`"${path}" is undefined; use null or { $exists: false } to ask for a missing field`)
  }
  const fields = refusing(badFilter, () => exact(filter))
  if (!isFields(fields)) throw badFilter("it is not an object")
  return fields
}

/** The predicate of a filter in exact form, for one whole document at a time; `now` is in milliseconds. */
export const compileFilter = (filter: Fields): (document: Fields, now: number) => boolean => {
  const predicate = compileFields(filter, new Set())
  return (document, now) => predicate(document, { now, spend: stepsOfDocument() })
}

/** The predicate of a filter in exact form that stays the same for ever: it has no expressions, which may ask for the time. */
export const compileLasting = (filter: Fields): (document: Fields) => boolean => {
  const predicate = compileFields(filter)
  return (document) => predicate(document, { spend: stepsOfDocument() })
}

/**
 * The predicate of a filter in exact form, as a part of what is done with a document.
 *
 * @param names the variables that its expressions may name; without them it has none
 */
export const compileClauses = (filter: Fields, names?: Names): Predicate => compileFields(filter, names)

/** A filter on one element of an array, as array filters have it: conditions on the element or on paths below. */
export const compileElementFilter = (identifier: string, filter: Fields): Test => {
  const predicate = compileFields(filter)
  // the element stands under its identifier; wrapping its arrays keeps them whole
  return (element, spend) => predicate({ [identifier]: element }, { spend })
}

/** What `$pull` removes: elements that have the fields of a filter, that operators find, or that are equal. */
export const compilePull = (operand: unknown): Test =>
  operand instanceof BSONRegExp || asksForValue(operand)
    ? compileElementFilter("", { "": operand })
    : isFields(operand)
    ? compileElement(operand)
    : equals(operand)
