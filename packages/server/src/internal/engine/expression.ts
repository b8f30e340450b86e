/**
 * Aggregation expressions, compiled into functions of a document in exact form.
 *
 * A value that is not there is `undefined`.
 */
import { type Fields, isArray, isFields, setField } from "./bsonValue.ts"
import { parsePath } from "./documentPath.ts"
import { forms } from "./expressionForms.ts"
import { type Operator, operators } from "./expressionOperators.ts"
import { bound, type Expression, fieldAt, type Names } from "./expressionScope.ts"
import { badFilter } from "./failure.ts"
import { mingoOperator, mingoOperators } from "./mingoOperators.ts"
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

const compileOperator = (operator: string, operand: unknown, names: Names): Expression => {
  const form = Object.hasOwn(forms, operator) ? forms[operator] : undefined
  if (form !== undefined) {
    return form(
      operand,
      (value, variables) =>
        compileExpression(value, variables === undefined ? names : new Set([...names, ...variables]))
    )
  }
  const known = Object.hasOwn(operators, operator) ? operators[operator] : undefined
  if (known !== undefined) return compileOperands(operator, known, operand, names)
  if (mingoOperators.has(operator)) {
    if (isFields(operand) && Object.keys(operand)[0]?.startsWith("$") !== true) {
      const named = compileFields(operand, names)
      return (scope) => mingoOperator(operator, named(scope))
    }
    const evaluated = compileExpression(operand, names)
    return (scope) => mingoOperator(operator, evaluated(scope))
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
