/**
 * What a filter asks of one value: equality, order, membership, type, size, remainder, bits, a regular expression.
 */
import { Binary, BSONRegExp } from "bson"
import { toNumber, wholeNumber } from "./bsonNumber.ts"
import { compare } from "./bsonOrder.ts"
import { type Fields, isArray, isFields, isLong, isNumeric, rank, rankOf, typeNames, typeNumber } from "./bsonValue.ts"
import { missing, type Path, someValue } from "./documentPath.ts"
import type { Setting } from "./expressionScope.ts"
import { badFilter } from "./failure.ts"
import { encodeKey, keyText, valueKey } from "./keyEncoding.ts"
import { compileRegex } from "./regex.ts"
import type { Spend } from "./steps.ts"

export type Test = (value: unknown, spend: Spend) => boolean

/** A condition on one value. Which values of a path it sees is decided where it is used. */
export type Condition =
  | { readonly _tag: "Some"; readonly test: Test; readonly wholeArrays: boolean }
  | { readonly _tag: "None"; readonly conditions: ReadonlyArray<Condition> }

export type Predicate = (document: Fields, setting: Setting) => boolean

export const some = (test: Test, wholeArrays = false): Condition => ({ _tag: "Some", test, wholeArrays })
export const none = (...conditions: ReadonlyArray<Condition>): Condition => ({ _tag: "None", conditions })

export const holdsAt = (document: Fields, path: Path, condition: Condition, spend: Spend): boolean => {
  if (condition._tag === "None") return !condition.conditions.every((inner) => holdsAt(document, path, inner, spend))
  const { test, wholeArrays } = condition
  const visit = (value: unknown): boolean => {
    spend(1)
    return test(value, spend)
  }
  return someValue(document, path, visit, wholeArrays)
}

export const holdsFor = (value: unknown, condition: Condition, spend: Spend): boolean => {
  spend(1)
  return condition._tag === "Some"
    ? condition.test(value, spend)
    : !condition.conditions.every((inner) => holdsFor(value, inner, spend))
}

const orNull = (value: unknown): unknown => value === missing ? null : value

export const equals = (operand: unknown): Test => (value) =>
  value === missing ? operand === null : compare(value, operand) === 0

const isNaNNumber = (value: unknown): boolean => isNumeric(value) && Number.isNaN(toNumber(value))

export const compares = (operand: unknown, accept: (order: number) => boolean): Test => {
  const operandRank = rankOf(operand)
  const acceptsEqual = accept(0)
  if (operandRank === rank.minKey || operandRank === rank.maxKey) {
    return (value) => accept(compare(orNull(value), operand))
  }
  if (isNaNNumber(operand)) return (value) => acceptsEqual && isNaNNumber(value)
  return (value) => {
    const present = orNull(value)
    return rankOf(present) === operandRank && !isNaNNumber(present) && accept(compare(present, operand))
  }
}

export const matchesRegex = (regex: BSONRegExp): Test => {
  const compiled = compileRegex(regex.pattern, regex.options)
  return (value, spend) => {
    if (typeof value === "string") {
      const found = compiled.test(value)
      spend(compiled.steps(value))
      return found
    }
    return value instanceof BSONRegExp && value.pattern === regex.pattern && value.options === regex.options
  }
}

export const equalsOrMatches = (operand: unknown): Test =>
  operand instanceof BSONRegExp ? matchesRegex(operand) : equals(operand)

export const arrayOf = (operator: string, operand: unknown): ReadonlyArray<unknown> => {
  if (!isArray(operand)) throw badFilter(`${operator} needs an array`, operator)
  return operand
}

export const isIn = (operator: string, operand: unknown): Condition => {
  const tests: Array<Test> = []
  const keys = new Set<string>()
  let orMissing = false
  for (const element of arrayOf(operator, operand)) {
    if (element instanceof BSONRegExp) tests.push(matchesRegex(element))
    else if (isOperators(element)) throw badFilter(`${operator} cannot hold operators`, operator)
    else {
      orMissing ||= element === null
      keys.add(valueKey(element))
    }
  }
  const isKey = (value: unknown, spend: Spend): boolean => {
    const key = encodeKey([value])
    spend(key.length >> 5)
    return keys.has(keyText(key))
  }
  return some((value, spend) =>
    value === missing
      ? orMissing
      : (keys.size > 0 && isKey(value, spend)) || tests.some((test) => test(value, spend))
  )
}

const typeNumbers: ReadonlySet<number> = new Set(Object.values(typeNames).flat())

export const hasType = (operand: unknown): Condition => {
  const numbers = new Set<number>()
  for (const element of isArray(operand) ? operand : [operand]) {
    const number = wholeNumber(element)
    const named = typeof element === "string" && Object.hasOwn(typeNames, element) ? typeNames[element] : undefined
    if (number !== undefined && typeNumbers.has(number)) numbers.add(number)
    else if (named !== undefined) named.forEach((type) => numbers.add(type))
    else throw badFilter("$type needs the name or the number of a BSON type", "$type")
  }
  if (numbers.size === 0) throw badFilter("$type needs at least one type", "$type")
  return some((value) => value !== missing && numbers.has(typeNumber(value)))
}

export const hasSize = (operand: unknown): Condition => {
  const size = wholeNumber(operand)
  if (size === undefined || size < 0) throw badFilter("$size needs a whole number from 0 on", "$size")
  return some((value) => isArray(value) && value.length === size, true)
}

/** A number without its fraction; `undefined` for what is none that int64 holds. */
const truncated = (value: unknown): bigint | undefined => {
  if (isLong(value)) return value.toBigInt()
  if (!isNumeric(value)) return undefined
  const number = Math.trunc(toNumber(value))
  return Math.abs(number) < 2 ** 63 ? BigInt(number) : undefined
}

export const hasRemainder = (operand: unknown): Condition => {
  const [divisor, remainder, ...others] = arrayOf("$mod", operand).map(truncated)
  if (others.length > 0 || divisor === undefined || remainder === undefined || divisor === 0n) {
    throw badFilter("$mod needs an array of a divisor other than 0 and a remainder", "$mod")
  }
  return some((value) => {
    const dividend = truncated(value)
    return dividend !== undefined && dividend % divisor === remainder
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

export const hasBits = (operator: string, operand: unknown): Condition => {
  const mask = isArray(operand) ? undefined : bitsOf(operand)
  const length = operand instanceof Binary ? operand.position * 8 : 64
  const bits = isArray(operand)
    ? operand.map((bit) => wholeNumber(bit) ?? -1)
    : mask === undefined
    ? [-1]
    : Array.from({ length }, (_, bit) => bit).filter(mask)
  const isNegative = isNumeric(operand) && toNumber(operand) < 0
  if (isNegative || bits.some((bit) => bit < 0)) {
    throw badFilter(`${operator} needs a mask or positions of bits`, operator)
  }
  const test = bitTests[operator]
  return some((value, spend) => {
    const isSet = bitsOf(value)
    spend(bits.length)
    return isSet !== undefined && test !== undefined && test(isSet, bits)
  })
}

/** True for an object whose first field is an operator: `{ $gt: 1 }`, but not `{ $ref, $id }`. */
export const isOperators = (value: unknown): value is Fields => {
  if (!isFields(value)) return false
  const first = Object.keys(value)[0]
  return first !== undefined && first.startsWith("$") && first !== "$ref" && first !== "$id" && first !== "$db"
}
