/**
 * MongoDB's query language, compiled into a predicate over documents in exact form.
 */
import { Binary, BSONRegExp, BSONValue, Decimal128, Double, Int32 } from "bson"
import { toNumber, wholeNumber } from "./bsonNumber.ts"
import { compare } from "./bsonOrder.ts"
import {
  exact,
  type Fields,
  isArray,
  isFields,
  isLong,
  isNumeric,
  maxDepth,
  rank,
  rankOf,
  typeNames,
  typeNumber
} from "./bsonValue.ts"
import { missing, parsePath, type Path, someValue } from "./documentPath.ts"
import { badFilter, refusing } from "./failure.ts"
import { encodeKey, keyText } from "./keyEncoding.ts"
import { compileCondition } from "./queryExpression.ts"
import { compileRegex } from "./regex.ts"

export type Test = (value: unknown) => boolean

/** A condition on one value. Which values of a path it sees is decided where it is used. */
type Condition =
  | { readonly _tag: "Some"; readonly test: Test; readonly wholeArrays: boolean }
  | { readonly _tag: "None"; readonly conditions: ReadonlyArray<Condition> }

export type Predicate = (document: Fields) => boolean

const some = (test: Test, wholeArrays = false): Condition => ({ _tag: "Some", test, wholeArrays })
const none = (...conditions: ReadonlyArray<Condition>): Condition => ({ _tag: "None", conditions })

const holdsAt = (document: Fields, path: Path, condition: Condition): boolean =>
  condition._tag === "Some"
    ? someValue(document, path, condition.test, condition.wholeArrays)
    : !condition.conditions.every((inner) => holdsAt(document, path, inner))

const holdsFor = (value: unknown, condition: Condition): boolean =>
  condition._tag === "Some"
    ? condition.test(value)
    : !condition.conditions.every((inner) => holdsFor(value, inner))

const orNull = (value: unknown): unknown => value === missing ? null : value

const equals = (operand: unknown): Test => (value) =>
  value === missing ? operand === null : compare(value, operand) === 0

const isNaNNumber = (value: unknown): boolean => isNumeric(value) && Number.isNaN(toNumber(value))

const compares = (operand: unknown, accept: (order: number) => boolean): Test => {
  const operandRank = rankOf(operand)
  const acceptsEqual = accept(0)
  if (operandRank === rank.minKey || operandRank === rank.maxKey) {
    return (value) => value !== missing && accept(compare(value, operand))
  }
  if (isNaNNumber(operand)) return (value) => acceptsEqual && isNaNNumber(value)
  return (value) => {
    const present = orNull(value)
    return rankOf(present) === operandRank && !isNaNNumber(present) && accept(compare(present, operand))
  }
}

const matchesRegex = (regex: BSONRegExp): Test => {
  const compiled = compileRegex(regex.pattern, regex.options)
  return (value) =>
    typeof value === "string"
      ? compiled.test(value)
      : value instanceof BSONRegExp && value.pattern === regex.pattern && value.options === regex.options
}

const equalsOrMatches = (operand: unknown): Test =>
  operand instanceof BSONRegExp ? matchesRegex(operand) : equals(operand)

const arrayOf = (operator: string, operand: unknown): ReadonlyArray<unknown> => {
  if (!isArray(operand)) throw badFilter(`${operator} needs an array`, operator)
  return operand
}

const isIn = (operator: string, operand: unknown): Condition => {
  const tests: Array<Test> = []
  const keys = new Set<string>()
  let orMissing = false
  for (const element of arrayOf(operator, operand)) {
    if (element instanceof BSONRegExp) tests.push(matchesRegex(element))
    else if (isOperators(element)) throw badFilter(`${operator} cannot hold operators`, operator)
    else {
      orMissing ||= element === null
      keys.add(keyText(encodeKey([element])))
    }
  }
  return some((value) =>
    value === missing
      ? orMissing
      : (keys.size > 0 && keys.has(keyText(encodeKey([value])))) || tests.some((test) => test(value))
  )
}

const hasType = (operand: unknown): Condition => {
  const numbers = new Set<number>()
  for (const element of isArray(operand) ? operand : [operand]) {
    const number = wholeNumber(element)
    const named = typeof element === "string" && Object.hasOwn(typeNames, element) ? typeNames[element] : undefined
    if (number !== undefined) numbers.add(number)
    else if (named !== undefined) named.forEach((type) => numbers.add(type))
    else throw badFilter("$type needs the name or the number of a BSON type", "$type")
  }
  return some((value) => value !== missing && numbers.has(typeNumber(value)))
}

const hasSize = (operand: unknown): Condition => {
  const size = wholeNumber(operand)
  if (size === undefined || size < 0) throw badFilter("$size needs a whole number from 0 on", "$size")
  return some((value) => isArray(value) && value.length === size, true)
}

const hasRemainder = (operand: unknown): Condition => {
  const [divisor, remainder] = arrayOf("$mod", operand).map((number) =>
    isNumeric(number) ? Math.trunc(toNumber(number)) : Number.NaN
  )
  if (
    divisor === undefined || remainder === undefined || !Number.isSafeInteger(divisor) || divisor === 0 ||
    Number.isNaN(remainder)
  ) {
    throw badFilter("$mod needs an array of a divisor other than 0 and a remainder", "$mod")
  }
  return some((value) => {
    if (isLong(value)) return value.toBigInt() % BigInt(divisor) === BigInt(remainder)
    if (!(value instanceof Int32 || value instanceof Double || value instanceof Decimal128)) return false
    const number = Math.trunc(toNumber(value))
    return Number.isFinite(number) && number % divisor === remainder
  })
}

const bitsOf = (value: unknown): ((bit: number) => boolean) | undefined => {
  if (value instanceof Binary) {
    return (bit) => bit >> 3 < value.position && ((value.buffer[bit >> 3] ?? 0) >> (bit & 7) & 1) === 1
  }
  if (isLong(value)) {
    const bits = value.toBigInt()
    return (bit) => (bits >> BigInt(Math.min(bit, 63)) & 1n) === 1n
  }
  const number = wholeNumber(value)
  if (number === undefined) return undefined
  const bits = BigInt(number)
  return (bit) => (bits >> BigInt(Math.min(bit, 63)) & 1n) === 1n
}

const bitTests: {
  readonly [operator: string]: (isSet: (bit: number) => boolean, bits: ReadonlyArray<number>) => boolean
} = {
  $bitsAllSet: (isSet, bits) => bits.every(isSet),
  $bitsAnySet: (isSet, bits) => bits.some(isSet),
  $bitsAllClear: (isSet, bits) => !bits.some(isSet),
  $bitsAnyClear: (isSet, bits) => !bits.every(isSet)
}

const hasBits = (operator: string, operand: unknown): Condition => {
  const mask = isArray(operand) ? undefined : bitsOf(operand)
  const length = operand instanceof Binary ? operand.position * 8 : 64
  const bits = isArray(operand)
    ? operand.map((bit) => wholeNumber(bit) ?? -1)
    : mask === undefined
    ? [-1]
    : Array.from({ length }, (_, bit) => bit).filter(mask)
  if (bits.some((bit) => bit < 0)) throw badFilter(`${operator} needs a mask or positions of bits`, operator)
  const test = bitTests[operator]
  return some((value) => {
    const isSet = bitsOf(value)
    return isSet !== undefined && test !== undefined && test(isSet, bits)
  })
}

/** True for an object whose first field is an operator: `{ $gt: 1 }`, but not `{ $ref, $id }`. */
export const isOperators = (value: unknown): value is Fields => {
  if (!isFields(value)) return false
  const first = Object.keys(value)[0]
  return first !== undefined && first.startsWith("$") && first !== "$ref" && first !== "$id" && first !== "$db"
}

const logical = new Set(["$and", "$or", "$nor", "$expr", "$where"])

/** Whether one element of an array is what `$elemMatch` asks for. */
export const compileElementMatch = (operand: unknown): Test => {
  if (!isFields(operand)) throw badFilter("$elemMatch needs an object", "$elemMatch")
  const first = Object.keys(operand)[0]
  if (isOperators(operand) && first !== undefined && !logical.has(first)) {
    const conditions = compileOperators(operand)
    return (element) => conditions.every((condition) => holdsFor(element, condition))
  }
  const predicate = compileFields(operand)
  return (element) => isFields(element) && predicate(element)
}

const someElementMatches = (operand: unknown): Condition => {
  const test = compileElementMatch(operand)
  return some((value) => isArray(value) && value.some(test), true)
}

const hasAll = (operand: unknown): ReadonlyArray<Condition> => {
  const elements = arrayOf("$all", operand)
  // MongoDB: an empty $all matches nothing
  if (elements.length === 0) return [some(() => false)]
  return elements.map((element) => {
    if (!isOperators(element)) return some(equalsOrMatches(element))
    if (Object.keys(element)[0] !== "$elemMatch") throw badFilter("$all takes no operator but $elemMatch", "$all")
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
  if (operand instanceof BSONRegExp && operator !== "$eq" && operator !== "$ne") {
    throw badFilter(`${operator} cannot compare with a regular expression`, operator)
  }
  return operand
}

// operators of MongoDB that are not there: their name is known, and what is missing is said
const unsupported: ReadonlySet<string> = new Set([
  "$geoIntersects",
  "$geoWithin",
  "$jsonSchema",
  "$near",
  "$nearSphere",
  "$text"
])

const unknownOperator = (what: string, operator: string): Error =>
  badFilter(unsupported.has(operator) ? `the operator ${operator} is not supported` : `${what}: ${operator}`, operator)

const compileOperator = (operator: string, operand: unknown, operators: Fields): ReadonlyArray<Condition> => {
  switch (operator) {
    case "$eq":
      return [some(equals(operand))]
    case "$ne":
      return [none(some(equals(operand)))]
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
      const wanted = operand !== false && operand !== null && !(isNumeric(operand) && toNumber(operand) === 0)
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

const compileList = (operator: string, operand: unknown): ReadonlyArray<Predicate> => {
  const clauses = arrayOf(operator, operand)
  if (clauses.length === 0) throw badFilter(`${operator} needs at least one clause`, operator)
  return clauses.map((clause) => {
    if (!isFields(clause)) throw badFilter(`${operator} needs objects`, operator)
    return compileFields(clause)
  })
}

const compileTop = (name: string, operand: unknown): Predicate | undefined => {
  switch (name) {
    case "$and": {
      const predicates = compileList(name, operand)
      return (document) => predicates.every((predicate) => predicate(document))
    }
    case "$or": {
      const predicates = compileList(name, operand)
      return (document) => predicates.some((predicate) => predicate(document))
    }
    case "$nor": {
      const predicates = compileList(name, operand)
      return (document) => !predicates.some((predicate) => predicate(document))
    }
    case "$expr":
      return compileCondition(operand)
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
    ? (document) => holdsAt(document, path, only)
    : (document) => conditions.every((condition) => holdsAt(document, path, condition))
}

const compileFields = (filter: Fields): Predicate => {
  const predicates: Array<Predicate> = []
  for (const name of Object.keys(filter)) {
    const predicate = name.startsWith("$") ? compileTop(name, filter[name]) : compileField(name, filter[name])
    if (predicate !== undefined) predicates.push(predicate)
  }
  const [only] = predicates
  if (only === undefined) return () => true
  return predicates.length === 1 ? only : (document) => predicates.every((predicate) => predicate(document))
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

/** The predicate of a filter in exact form. */
export const compileFilter = (filter: Fields): Predicate => compileFields(filter)

/** What `$pull` removes: elements that match a filter, operators, or are equal. */
export const compilePull = (operand: unknown): Test => {
  if (isOperators(operand)) {
    const conditions = compileOperators(operand)
    return (element) => conditions.every((condition) => holdsFor(element, condition))
  }
  if (!isFields(operand)) return equalsOrMatches(operand)
  const predicate = compileFields(operand)
  return (element) => isFields(element) && predicate(element)
}

/** A filter on one element of an array, as array filters have it: conditions on the element or on paths below. */
export const compileElementFilter = (identifier: string, filter: Fields): Test => {
  const predicate = compileFields(filter)
  // the element stands under its identifier; wrapping its arrays keeps them whole
  return (element) => predicate({ [identifier]: element })
}
