/**
 * Aggregation expressions, compiled into functions of a document in exact form.
 *
 * A value that is not there is `undefined`.
 */
import { arrayOperators } from "./arrayOperators.ts"
import { type Fields, isArray, isFields, setField } from "./bsonValue.ts"
import { dateOperators, datePartOperand, datePartOperators } from "./dateOperators.ts"
import { parsePath } from "./documentPath.ts"
import { forms } from "./expressionForms.ts"
import { operators } from "./expressionOperators.ts"
import { bound, type Expression, fieldAt, type Names } from "./expressionScope.ts"
import { badFilter } from "./failure.ts"
import { checkNames, type NamedOperands, type NamedOperator } from "./namedOperator.ts"
import type { Operator } from "./operator.ts"
import { namedTextOperators, textOperators } from "./textOperators.ts"
import { codeOperators, unsupportedExpressions } from "./unsupported.ts"

const compileVariable = (text: string, names: Names): Expression => {
  const [name = "", ...path] = parsePath(text.slice(2))
  switch (name) {
    case "ROOT":
    case "CURRENT":
      return ({ root }) => fieldAt(root, path)
    case "REMOVE":
      return () => undefined
    case "NOW":
      return ({ now }) => {
        if (now === undefined) throw badFilter("$$NOW is not known here", "$$NOW")
        return new Date(now)
      }
    default:
      if (!names.has(name)) throw badFilter(`Use of undefined variable: ${name}`, `$$${name}`)
      return (scope) => fieldAt(bound(scope, name), path)
  }
}

const compileText = (text: string, names: Names): Expression => {
  if (text.startsWith("$$")) return compileVariable(text, names)
  if (!text.startsWith("$")) return () => text
  const path = parsePath(text.slice(1))
  if (path.some((segment) => segment === "" || segment.startsWith("$"))) {
    throw badFilter(`"${text}" is not a valid field path`)
  }
  return ({ root }) => fieldAt(root, path)
}

const compileFields = (fields: Fields, names: Names): Expression => {
  const entries = Object.keys(fields).map((name) => {
    if (name.includes(".") || name.startsWith("$")) throw badFilter(`"${name}" cannot name a field of an expression`)
    return [name, compileExpression(fields[name], names)] as const
  })
  return (scope) => {
    const result: Fields = {}
    for (const [name, expression] of entries) {
      const value = expression(scope)
      if (value !== undefined) setField(result, name, value)
    }
    return result
  }
}

/** The expression that a value in exact form stands for. Throws when it is none. */
export const compileExpression = (value: unknown, names: Names = new Set()): Expression => {
  if (typeof value === "string") return compileText(value, names)
  if (isArray(value)) {
    const elements = value.map((element) => compileExpression(element, names))
    return (scope) => elements.map((element) => element(scope) ?? null)
  }
  if (!isFields(value)) return () => value
  const [operator, ...others] = Object.keys(value)
  if (operator?.startsWith("$") !== true) return compileFields(value, names)
  if (others.length > 0) {
    throw badFilter(`an expression is one operator, but ${operator} stands beside "${others[0]}"`, operator)
  }
  return compileOperator(operator, value[operator], names)
}

const ownOf = <A>(table: { readonly [name: string]: A }, name: string): A | undefined =>
  Object.hasOwn(table, name) ? table[name] : undefined

const compileOperator = (operator: string, operand: unknown, names: Names): Expression => {
  const form = ownOf(forms, operator)
  if (form !== undefined) {
    return form(
      operand,
      (value, variables) =>
        compileExpression(value, variables === undefined ? names : new Set([...names, ...variables]))
    )
  }
  const listed = ownOf(operators, operator) ?? ownOf(arrayOperators, operator) ?? ownOf(textOperators, operator)
  if (listed !== undefined) return compileOperands(operator, listed, operand, names)
  const named = ownOf(dateOperators, operator) ?? ownOf(namedTextOperators, operator)
  if (named !== undefined) {
    const operands = datePartOperators.has(operator) ? datePartOperand(operator, operand) : operand
    return compileNamedOperands(operator, named, operands, names)
  }
  if (codeOperators.has(operator)) throw badFilter(`${operator} runs code and is refused`, operator)
  throw badFilter(
    unsupportedExpressions.has(operator)
      ? `the expression ${operator} is not supported`
      : `Unrecognized expression '${operator}'`,
    operator
  )
}

const compileOperands = (
  operator: string,
  { apply, from, to }: Operator,
  operand: unknown,
  names: Names
): Expression => {
  const expressions = (isArray(operand) ? operand : [operand]).map((each) => compileExpression(each, names))
  if (expressions.length < from || expressions.length > to) {
    const wanted = from === to ? `exactly ${from}` : to === Infinity ? `at least ${from}` : `${from} to ${to}`
    throw badFilter(`Expression ${operator} takes ${wanted} arguments. ${expressions.length} were passed in`, operator)
  }
  return (scope) => apply(expressions.map((expression) => expression(scope)), scope.spend)
}

const compileNamedOperands = (
  operator: string,
  { apply, optional, required }: NamedOperator,
  operands: unknown,
  names: Names
): Expression => {
  if (!isFields(operands)) throw badFilter(`${operator} needs an object of operands`, operator)
  checkNames(operator, operands, required, optional)
  const expressions = Object.keys(operands).map((name) => [name, compileExpression(operands[name], names)] as const)
  return (scope) => {
    const given: Record<keyof NamedOperands, unknown> = {}
    for (const [name, expression] of expressions) given[name] = expression(scope) ?? null
    return apply(given, scope.spend)
  }
}
