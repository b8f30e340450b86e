/**
 * Aggregation expressions (`$expr`), evaluated by mingo with our own comparison: mingo compares BSON classes by their
 * text, which puts int64 10 below 9.
 */
import { createRequire } from "node:module"
import { DatabaseError } from "../DatabaseError.ts"
import { compare } from "./bsonOrder.ts"
import { exact, type Fields, isArray, isFields, native } from "./bsonValue.ts"
import { badFilter } from "./failure.ts"

type Operator = (document: unknown, operands: unknown, options: unknown) => unknown

type Operators = { readonly [name: string]: Operator }

/** What is used of mingo; its own types join all operators into one union, which the compiler gives up on. */
interface Mingo {
  readonly Context: { readonly init: () => { readonly addExpressionOps: (operators: Operators) => unknown } }
  readonly evalExpr: Operator
  readonly $expr: (field: string, expression: unknown, options: unknown) => (document: unknown) => boolean
}

interface Evaluator {
  readonly operators: ReadonlySet<string>
  readonly compile: (expression: unknown) => (document: unknown) => boolean
}

const load = (): Evaluator => {
  // its 150 modules take 0.1 s to load, which a server that never meets $expr should not pay at each start
  const require = createRequire(import.meta.url)
  // `require` is untyped; mingo is pinned by the lock file and its use is covered by tests
  const { Context, evalExpr } = require("mingo/core") as Mingo
  const { $expr } = require("mingo/operators/query/evaluation") as Mingo
  const operators = require("mingo/operators/expression") as Operators
  const order = (operator: string, accept: (order: number) => unknown): Operator => (document, operands, options) => {
    if (!isArray(operands) || operands.length !== 2) throw badFilter(`${operator} needs two operands`, operator)
    const [left, right] = operands.map((operand) => {
      const value = evalExpr(document, operand, options)
      return value === undefined ? undefined : exact(value)
    })
    return accept(compare(left, right))
  }
  const expressions: Operators = {
    ...operators,
    $cmp: order("$cmp", Math.sign),
    $eq: order("$eq", (order) => order === 0),
    $ne: order("$ne", (order) => order !== 0),
    $gt: order("$gt", (order) => order > 0),
    $gte: order("$gte", (order) => order >= 0),
    $lt: order("$lt", (order) => order < 0),
    $lte: order("$lte", (order) => order <= 0)
  }
  Reflect.deleteProperty(expressions, "$function")
  const options = { context: Context.init().addExpressionOps(expressions), scriptEnabled: false }
  return {
    operators: new Set(Object.keys(expressions)),
    compile: (expression) => $expr("", expression, options)
  }
}

let loaded: Evaluator | undefined

const refuseUnknown = (operators: ReadonlySet<string>, expression: unknown): void => {
  if (isArray(expression)) expression.forEach((element) => refuseUnknown(operators, element))
  if (!isFields(expression)) return
  for (const name of Object.keys(expression)) {
    if (name === "$literal") continue
    if (name.startsWith("$") && !operators.has(name)) {
      throw badFilter(`the operator ${name} is not supported in $expr`, name)
    }
    refuseUnknown(operators, expression[name])
  }
}

/** The truth of an expression for a document in exact form. Its arithmetic is that of JavaScript numbers. */
export const compileExpression = (expression: unknown): (document: Fields) => boolean => {
  const evaluator = loaded ??= load()
  refuseUnknown(evaluator.operators, expression)
  const test = evaluator.compile(native(expression))
  return (document) => {
    try {
      return test(native(document))
    } catch (cause) {
      if (cause instanceof DatabaseError) throw cause
      throw badFilter(cause instanceof Error ? cause.message : "the expression cannot be evaluated", "$expr")
    }
  }
}
