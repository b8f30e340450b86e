/**
 * The accumulators of `$group`: from the values of the documents of one group to one value.
 */
import { Int32 } from "bson"
import { Sum } from "./arithmetic.ts"
import { assignFields, type Fields, isArray, isFields } from "./bsonValue.ts"
import { typeName } from "./conversion.ts"
import { elementOrder } from "./elementOrder.ts"
import { compileExpression } from "./expression.ts"
import { countOf, smallest } from "./expressionForms.ts"
import { averageOf, deviationOf, extremeOf } from "./expressionOperators.ts"
import type { Expression, Names, Scope } from "./expressionScope.ts"
import { badFilter } from "./failure.ts"
import { valueKey } from "./keyEncoding.ts"
import { isNothing } from "./operator.ts"
import { codeOperators, unsupportedAccumulators } from "./unsupported.ts"

/** One value in the making. */
interface Accumulation {
  readonly add: (scope: Scope) => void
  readonly result: () => unknown
}

/** Begins a value for a group. */
export type Accumulator = () => Accumulation

/** Keeps what the documents have until the group is whole. */
const collecting = (expression: Expression, finish: (values: ReadonlyArray<unknown>) => unknown): Accumulator => () => {
  const values: Array<unknown> = []
  return { add: (scope) => values.push(expression(scope)), result: () => finish(values) }
}

const first = (expression: Expression): Accumulator => () => {
  let value: { readonly of: unknown } | undefined
  return {
    add: (scope) => {
      value ??= { of: expression(scope) }
    },
    result: () => value?.of ?? null
  }
}

const last = (expression: Expression): Accumulator => () => {
  let value: unknown
  return {
    add: (scope) => {
      value = expression(scope)
    },
    result: () => value ?? null
  }
}

const sum = (expression: Expression): Accumulator => () => {
  const total = new Sum()
  return { add: (scope) => total.add(expression(scope)), result: () => total.total() }
}

const extreme = (expression: Expression, sign: 1 | -1): Accumulator => () => {
  let best: unknown = null
  return {
    add: (scope) => {
      best = extremeOf([best, expression(scope)], sign)
    },
    result: () => best
  }
}

const set = (expression: Expression): Accumulator => () => {
  const values = new Map<string, unknown>()
  return {
    add: (scope) => {
      const value = expression(scope)
      if (value === undefined) return
      const key = valueKey(value)
      if (!values.has(key)) values.set(key, value)
    },
    result: () => [...values.values()]
  }
}

const merged = (expression: Expression): Accumulator => () => {
  const result: Fields = {}
  return {
    add: (scope) => {
      const value = expression(scope)
      if (isNothing(value)) return
      if (!isFields(value)) throw badFilter(`$mergeObjects needs objects, not ${typeName(value)}`, "$mergeObjects")
      assignFields(result, value)
    },
    result: () => result
  }
}

const given = (operator: string, operand: unknown, names: ReadonlyArray<string>): Fields => {
  if (!isFields(operand) || names.some((name) => !Object.hasOwn(operand, name))) {
    throw badFilter(`${operator} needs an object of ${names.join(", ")}`, operator)
  }
  return operand
}

// n is the same for all documents of a group
const several = (
  operator: string,
  operand: unknown,
  names: Names,
  take: (values: ReadonlyArray<unknown>, count: number) => unknown
): Accumulator => {
  const { input, n } = given(operator, operand, ["input", "n"])
  const count = countOf(operator, n)
  return collecting(compileExpression(input, names), (values) => take(values.map((value) => value ?? null), count))
}

const ranked = (operator: string, operand: unknown, names: Names, isTop: boolean): Accumulator => {
  const isSeveral = operator.endsWith("N")
  const { n, output, sortBy } = given(operator, operand, ["sortBy", "output", ...isSeveral ? ["n"] : []])
  const count = isSeveral ? countOf(operator, n) : 1
  if (!isFields(sortBy)) throw badFilter(`${operator} needs an object sortBy`, operator)
  const order = elementOrder(operator, sortBy)
  const expression = compileExpression(output, names)
  return () => {
    const rows: Array<{ readonly document: Fields; readonly output: unknown }> = []
    return {
      add: (scope) => rows.push({ document: scope.root, output: expression(scope) ?? null }),
      result: () => {
        const sorted = rows.toSorted((left, right) => order(left.document, right.document)).map(({ output }) => output)
        const taken = isTop ? sorted.slice(0, count) : sorted.slice(-count)
        return isSeveral ? taken : taken[0] ?? null
      }
    }
  }
}

const compileKnown = (operator: string, operand: unknown, names: Names): Accumulator | undefined => {
  const expression = () => {
    if (isArray(operand)) throw badFilter(`The ${operator} accumulator is a unary operator`, operator)
    return compileExpression(operand, names)
  }
  switch (operator) {
    case "$sum":
      return sum(expression())
    case "$avg":
      return collecting(expression(), averageOf)
    case "$min":
      return extreme(expression(), -1)
    case "$max":
      return extreme(expression(), 1)
    case "$first":
      return first(expression())
    case "$last":
      return last(expression())
    case "$push":
      return collecting(compileExpression(operand, names), (values) => values.filter((value) => value !== undefined))
    case "$addToSet":
      return set(compileExpression(operand, names))
    case "$count":
      if (!isFields(operand) || Object.keys(operand).length > 0) throw badFilter("$count takes no arguments", "$count")
      return sum(() => new Int32(1))
    case "$mergeObjects":
      return merged(expression())
    case "$stdDevPop":
      return collecting(expression(), (values) => deviationOf(values, 0))
    case "$stdDevSamp":
      return collecting(expression(), (values) => deviationOf(values, 1))
    case "$firstN":
      return several(operator, operand, names, (values, count) => values.slice(0, count))
    case "$lastN":
      return several(operator, operand, names, (values, count) => values.slice(-count))
    case "$minN":
      return several(operator, operand, names, (values, count) => smallest(values, count, 1))
    case "$maxN":
      return several(operator, operand, names, (values, count) => smallest(values, count, -1))
    case "$top":
    case "$topN":
      return ranked(operator, operand, names, true)
    case "$bottom":
    case "$bottomN":
      return ranked(operator, operand, names, false)
    default:
      return undefined
  }
}

/** The accumulator of a field, as `{ $sum: "$total" }`. */
export const compileAccumulator = (field: string, value: unknown, names: Names): Accumulator => {
  const [operator, ...others] = isFields(value) ? Object.keys(value) : []
  if (!isFields(value) || operator === undefined || others.length > 0) {
    throw badFilter(`The field '${field}' must be an accumulator object`)
  }
  const accumulator = compileKnown(operator, value[operator], names)
  if (accumulator !== undefined) return accumulator
  if (codeOperators.has(operator)) throw badFilter(`${operator} runs code and is refused`, operator)
  throw badFilter(
    unsupportedAccumulators.has(operator)
      ? `the accumulator ${operator} is not supported`
      : `unknown group operator '${operator}'`,
    operator
  )
}

/** Equal values have equal keys. */
export const groupKey = (value: unknown): string => valueKey(value ?? null)
