/**
 * Operators on dates and texts, one at a time, by mingo. Their operands are evaluated before, so that mingo sees values and
 * never a document, and compares nothing.
 */
import { Long, ObjectId, Timestamp } from "bson"
import { createRequire } from "node:module"
import { exact, type Fields, isArray, isFields, native, setField } from "./bsonValue.ts"
import { badFilter } from "./failure.ts"

const dateOperators = [
  "$dateAdd",
  "$dateDiff",
  "$dateFromParts",
  "$dateFromString",
  "$dateSubtract",
  "$dateToParts",
  "$dateToString",
  "$dateTrunc",
  "$dayOfMonth",
  "$dayOfWeek",
  "$dayOfYear",
  "$hour",
  "$isoDayOfWeek",
  "$isoWeek",
  "$isoWeekYear",
  "$millisecond",
  "$minute",
  "$month",
  "$second",
  "$week",
  "$year"
]

const textOperators = [
  "$ltrim",
  "$replaceAll",
  "$replaceOne",
  "$rtrim",
  "$split",
  "$strLenBytes",
  "$strLenCP",
  "$strcasecmp",
  "$substr",
  "$substrBytes",
  "$substrCP",
  "$toLower",
  "$toUpper",
  "$trim",
  "$zip"
]

/** The operators that mingo evaluates. */
export const mingoOperators: ReadonlySet<string> = new Set([...dateOperators, ...textOperators])

const dates: ReadonlySet<string> = new Set(dateOperators)

type Operator = (document: unknown, operands: unknown, options: unknown) => unknown

/** What is used of mingo; its own types join all operators into one union, which the compiler gives up on. */
interface Mingo {
  readonly Context: { readonly init: () => { readonly addExpressionOps: (operators: Operators) => unknown } }
  readonly evalExpr: Operator
}

type Operators = { readonly [name: string]: Operator }

const load = (): (operator: string, operand: unknown) => unknown => {
  // its modules take 0.1 s to load, which a server that never needs them should not pay at each start
  const require = createRequire(import.meta.url)
  // `require` is untyped; mingo is pinned by the lock file and its use is covered by tests
  const { Context, evalExpr } = require("mingo/core") as Mingo
  const all = require("mingo/operators/expression") as Operators
  const used = Object.fromEntries(
    Object.entries(all).filter(([name]) => name === "$literal" || mingoOperators.has(name))
  )
  const options = { context: Context.init().addExpressionOps(used), scriptEnabled: false }
  return (operator, operand) => evalExpr({}, { [operator]: operand }, options)
}

let loaded: ReturnType<typeof load> | undefined

// what mingo would take for an expression
const quoted = (value: unknown): unknown =>
  typeof value === "string" && value.startsWith("$") || isArray(value) || isFields(value) ? { $literal: value } : value

const plain = (operator: string, value: unknown): unknown => {
  if (value === undefined) return null
  if (dates.has(operator) && value instanceof ObjectId) return value.getTimestamp()
  if (dates.has(operator) && value instanceof Timestamp) return new Date(value.t * 1000)
  return quoted(native(value))
}

/** What an operator makes of operands that are evaluated: one, an array of them, or an object of them by name. */
export const mingoOperator = (operator: string, operands: unknown): unknown => {
  const evaluate = loaded ??= load()
  let given: unknown
  if (isArray(operands)) given = operands.map((operand) => plain(operator, operand))
  else if (isFields(operands)) {
    const named: Fields = {}
    for (const name of Object.keys(operands)) {
      if (operands[name] !== undefined) setField(named, name, plain(operator, operands[name]))
    }
    given = named
  } else given = plain(operator, operands)
  try {
    const result = evaluate(operator, given)
    if (result === undefined) return null
    return operator === "$dateDiff" && typeof result === "number" ? Long.fromNumber(result) : exact(result)
  } catch (cause) {
    throw badFilter(`${operator}: ${cause instanceof Error ? cause.message : "it cannot be evaluated"}`, operator)
  }
}
