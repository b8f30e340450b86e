/**
 * Aggregation expressions, compiled into functions of a document in exact form.
 *
 * A value that is not there is `undefined`.
 */
import { BSONRegExp, Int32 } from "bson"
import { DatabaseError } from "../../DatabaseError.ts"
import { wholeNumber } from "./bsonNumber.ts"
import { compare } from "./bsonOrder.ts"
import { assignFields, type Fields, getField, isArray, isFields, setField } from "./bsonValue.ts"
import { convert, isTrue, typeName } from "./conversion.ts"
import { parsePath, type Path } from "./documentPath.ts"
import { elementOrder } from "./elementOrder.ts"
import { isNothing, type Operator, operators, type Spend } from "./expressionOperators.ts"
import { badFilter } from "./failure.ts"
import { mingoOperator, mingoOperators } from "./mingoOperators.ts"
import { compileRegex, type Match, type Regex } from "./regex.ts"

interface Binding {
  readonly name: string
  readonly value: unknown
  readonly next: Binding | undefined
}

/** What an expression is evaluated for. */
export interface Scope {
  readonly root: Fields
  /** In milliseconds, when the expression may ask for it. */
  readonly now?: number | undefined
  readonly spend: Spend
  readonly bindings?: Binding | undefined
}

export type Expression = (scope: Scope) => unknown

/** The variables that an expression may name. */
export type Names = ReadonlySet<string>

const maxSteps = 10_000_000

/** Stops an evaluation that multiplies its own work. */
export const limitedSteps = (): Spend => {
  let left = maxSteps
  return (steps) => {
    left -= steps
    if (left < 0) throw badFilter(`the evaluation takes more than ${maxSteps} steps`)
  }
}

export const bind = (scope: Scope, name: string, value: unknown): Scope => ({
  ...scope,
  bindings: { name, value, next: scope.bindings }
})

const bound = (scope: Scope, name: string): unknown => {
  let binding = scope.bindings
  while (binding !== undefined && binding.name !== name) binding = binding.next
  return binding?.value
}

/** The value of a path in expressions: arrays on the way become the arrays of what their elements have there. */
export const fieldAt = (value: unknown, path: Path, from = 0): unknown => {
  let current = value
  for (let index = from; index < path.length; index++) {
    if (isArray(current)) {
      return current.map((element) => isArray(element) ? undefined : fieldAt(element, path, index))
        .filter((element) => element !== undefined)
    }
    current = isFields(current) ? getField(current, path[index] ?? "") : undefined
  }
  return current
}

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
  if (form !== undefined) return form(operand, names)
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
  if (operator === "$function" || operator === "$accumulator") {
    throw badFilter(`${operator} runs code and is refused`, operator)
  }
  throw badFilter(`Unrecognized expression '${operator}'`, operator)
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

type Form = (operand: unknown, names: Names) => Expression

/** The named operands of a form, of which some may be left out. */
const named = (
  operator: string,
  operand: unknown,
  required: ReadonlyArray<string>,
  optional: ReadonlyArray<string>
) => {
  if (!isFields(operand)) throw badFilter(`${operator} needs an object of operands`, operator)
  for (const name of Object.keys(operand)) {
    if (!required.includes(name) && !optional.includes(name)) {
      throw badFilter(`Unrecognized argument to ${operator}: ${name}`, operator)
    }
  }
  for (const name of required) {
    if (!Object.hasOwn(operand, name)) throw badFilter(`Missing '${name}' parameter to ${operator}`, operator)
  }
  return operand
}

const optional = (operand: unknown, names: Names): Expression | undefined =>
  operand === undefined ? undefined : compileExpression(operand, names)

const listOf = (operator: string, value: unknown, spend: Spend): ReadonlyArray<unknown> | null => {
  if (isNothing(value)) return null
  if (!isArray(value)) throw badFilter(`${operator} needs an array, not ${typeName(value)}`, operator)
  spend(value.length)
  return value
}

const variableName = (operator: string, value: unknown): string => {
  if (typeof value !== "string" || !/^[a-z]\w*$/.test(value)) {
    throw badFilter(`${operator} needs names of variables that begin with a small letter`, operator)
  }
  return value
}

const cond: Form = (operand, names) => {
  if (isArray(operand) && operand.length !== 3) {
    throw badFilter(`Expression $cond takes exactly 3 arguments. ${operand.length} were passed in`, "$cond")
  }
  const parts = ["if", "then", "else"]
  const operands = isArray(operand)
    ? operand
    : parts.map((part) => named("$cond", operand, parts, [])[part])
  const [test, yes, no] = operands.map((each) => compileExpression(each, names))
  return (scope) => isTrue(test?.(scope)) ? yes?.(scope) : no?.(scope)
}

const switchForm: Form = (operand, names) => {
  const operands = named("$switch", operand, ["branches"], ["default"])
  const { branches } = operands
  if (!isArray(branches) || branches.length === 0) throw badFilter("$switch requires at least one branch", "$switch")
  const compiled = branches.map((branch) => {
    const { case: condition, then } = named("$switch", branch, ["case", "then"], [])
    return [compileExpression(condition, names), compileExpression(then, names)] as const
  })
  const otherwise = optional(operands["default"], names)
  return (scope) => {
    const branch = compiled.find(([condition]) => isTrue(condition(scope)))
    if (branch !== undefined) return branch[1](scope)
    if (otherwise === undefined) throw badFilter("$switch found no matching branch and has no default", "$switch")
    return otherwise(scope)
  }
}

const letForm: Form = (operand, names) => {
  const operands = named("$let", operand, ["vars", "in"], [])
  if (!isFields(operands["vars"])) throw badFilter("$let needs an object of vars", "$let")
  const variables = Object.entries(operands["vars"]).map(
    ([name, value]) => [variableName("$let", name), compileExpression(value, names)] as const
  )
  const body = compileExpression(operands["in"], new Set([...names, ...variables.map(([name]) => name)]))
  return (scope) => body(variables.reduce((inner, [name, expression]) => bind(inner, name, expression(scope)), scope))
}

const map: Form = (operand, names) => {
  const operands = named("$map", operand, ["input", "in"], ["as"])
  const name = operands["as"] === undefined ? "this" : variableName("$map", operands["as"])
  const input = compileExpression(operands["input"], names)
  const body = compileExpression(operands["in"], new Set([...names, name]))
  return (scope) =>
    listOf("$map", input(scope), scope.spend)?.map((element) => body(bind(scope, name, element)) ?? null) ?? null
}

const filter: Form = (operand, names) => {
  const operands = named("$filter", operand, ["input", "cond"], ["as", "limit"])
  const name = operands["as"] === undefined ? "this" : variableName("$filter", operands["as"])
  const input = compileExpression(operands["input"], names)
  const condition = compileExpression(operands["cond"], new Set([...names, name]))
  const limit = optional(operands["limit"], names)
  return (scope) => {
    const most = limit === undefined ? null : limit(scope)
    const count = isNothing(most) ? Infinity : wholeNumber(most) ?? 0
    if (count < 1) throw badFilter("$filter needs a positive limit", "$filter")
    return listOf("$filter", input(scope), scope.spend)
      ?.filter((element) => isTrue(condition(bind(scope, name, element)))).slice(0, count) ?? null
  }
}

const reduce: Form = (operand, names) => {
  const operands = named("$reduce", operand, ["input", "initialValue", "in"], [])
  const input = compileExpression(operands["input"], names)
  const initial = compileExpression(operands["initialValue"], names)
  const body = compileExpression(operands["in"], new Set([...names, "this", "value"]))
  return (scope) =>
    listOf("$reduce", input(scope), scope.spend)?.reduce<unknown>(
      (value, element) => body(bind(bind(scope, "this", element), "value", value)),
      initial(scope)
    ) ?? null
}

const fieldName = (operator: string, value: unknown): string => {
  const name = isFields(value) && Object.hasOwn(value, "$literal") ? value["$literal"] : value
  if (typeof name !== "string" || (name === value && name.startsWith("$"))) {
    throw badFilter(`${operator} needs the name of a field as a text`, operator)
  }
  return name
}

const getFieldForm: Form = (operand, names) => {
  const operands = isFields(operand) && !Object.hasOwn(operand, "$literal")
    ? named("$getField", operand, ["field"], ["input"])
    : { field: operand }
  const name = fieldName("$getField", operands["field"])
  const input = compileExpression(operands["input"] ?? "$$CURRENT", names)
  return (scope) => {
    const value = input(scope)
    return isFields(value) ? getField(value, name) : isNothing(value) ? value : undefined
  }
}

const setFieldForm: Form = (operand, names) => {
  const operands = named("$setField", operand, ["field", "input", "value"], [])
  const name = fieldName("$setField", operands["field"])
  const input = compileExpression(operands["input"], names)
  const value = compileExpression(operands["value"], names)
  return (scope) => withField("$setField", input(scope), name, value(scope))
}

const unsetFieldForm: Form = (operand, names) => {
  const operands = named("$unsetField", operand, ["field", "input"], [])
  const name = fieldName("$unsetField", operands["field"])
  const input = compileExpression(operands["input"], names)
  return (scope) => withField("$unsetField", input(scope), name, undefined)
}

const withField = (operator: string, value: unknown, name: string, field: unknown): unknown => {
  if (isNothing(value)) return null
  if (!isFields(value)) throw badFilter(`${operator} needs an object, not ${typeName(value)}`, operator)
  const next = assignFields({}, value)
  if (field === undefined) Reflect.deleteProperty(next, name)
  else setField(next, name, field)
  return next
}

const sortArray: Form = (operand, names) => {
  const operands = named("$sortArray", operand, ["input", "sortBy"], [])
  const input = compileExpression(operands["input"], names)
  const order = elementOrder("$sortArray", operands["sortBy"])
  return (scope) => listOf("$sortArray", input(scope), scope.spend)?.toSorted(order) ?? null
}

/** `$firstN`, `$lastN`, `$minN`, `$maxN`. */
const taking =
  (operator: string, take: (list: ReadonlyArray<unknown>, count: number) => unknown): Form => (operand, names) => {
    const operands = named(operator, operand, ["n", "input"], [])
    const count = compileExpression(operands["n"], names)
    const input = compileExpression(operands["input"], names)
    return (scope) => {
      const list = listOf(operator, input(scope), scope.spend)
      return list === null ? null : take(list, countOf(operator, count(scope)))
    }
  }

/** The `n` of an operator that takes several. */
export const countOf = (operator: string, value: unknown): number => {
  const count = wholeNumber(value)
  if (count === undefined || count < 1) throw badFilter(`${operator} needs a positive whole number n`, operator)
  return count
}

const convertForm: Form = (operand, names) => {
  const operands = named("$convert", operand, ["input", "to"], ["onError", "onNull", "format"])
  const input = compileExpression(operands["input"], names)
  const to = compileExpression(operands["to"], names)
  const onError = optional(operands["onError"], names)
  const onNull = optional(operands["onNull"], names)
  return (scope) => {
    const value = input(scope)
    if (isNothing(value)) return onNull === undefined ? null : onNull(scope)
    try {
      return convert(value, to(scope))
    } catch (error) {
      if (onError === undefined || !(error instanceof DatabaseError)) throw error
      return onError(scope)
    }
  }
}

const regexForm =
  <A>(operator: string, orNothing: A, apply: (regex: Regex, text: string, spend: Spend) => A): Form =>
  (operand, names) => {
    const operands = named(operator, operand, ["input", "regex"], ["options"])
    const input = compileExpression(operands["input"], names)
    const pattern = compileExpression(operands["regex"], names)
    const options = optional(operands["options"], names)
    let last: { readonly pattern: string; readonly options: string; readonly regex: Regex } | undefined
    return (scope) => {
      const text = input(scope)
      const wanted = pattern(scope)
      if (isNothing(text) || isNothing(wanted)) return orNothing
      const source = wanted instanceof BSONRegExp ? wanted.pattern : wanted
      const flags = options?.(scope) ?? (wanted instanceof BSONRegExp ? wanted.options : "")
      if (typeof text !== "string" || typeof source !== "string" || typeof flags !== "string") {
        throw badFilter(`${operator} needs texts and a regular expression`, operator)
      }
      if (last === undefined || last.pattern !== source || last.options !== flags) {
        last = { pattern: source, options: flags, regex: compileRegex(source, flags) }
      }
      return apply(last.regex, text, scope.spend)
    }
  }

// a code point of two UTF-16 units is one character
const pointsBefore = (text: string, index: number): number =>
  index - (text.slice(0, index).match(/[\ud800-\udbff](?=[\udc00-\udfff])/g)?.length ?? 0)

const matchFields = (text: string, { captures, index, text: match }: Match): Fields => ({
  match,
  idx: new Int32(pointsBefore(text, index)),
  captures: [...captures]
})

const findAll = (regex: Regex, text: string, spend: Spend): ReadonlyArray<Fields> => {
  const found: Array<Fields> = []
  let from = 0
  while (from <= text.length) {
    const match = regex.find(text, from)
    if (match === undefined) break
    // each starts anew and counts the characters before it
    spend(1 + (text.length >> 4))
    found.push(matchFields(text, match))
    from = match.index + Math.max(1, match.text.length)
  }
  return found
}

const forms: { readonly [name: string]: Form } = {
  $literal: (operand) => () => operand,
  $expr: (operand, names) => compileExpression(operand, names),
  $and: (operand, names) => {
    const clauses = (isArray(operand) ? operand : [operand]).map((clause) => compileExpression(clause, names))
    return (scope) => clauses.every((clause) => isTrue(clause(scope)))
  },
  $or: (operand, names) => {
    const clauses = (isArray(operand) ? operand : [operand]).map((clause) => compileExpression(clause, names))
    return (scope) => clauses.some((clause) => isTrue(clause(scope)))
  },
  $cond: cond,
  $ifNull: (operand, names) => {
    if (!isArray(operand) || operand.length < 2) throw badFilter("$ifNull needs at least two arguments", "$ifNull")
    const values = operand.map((value) => compileExpression(value, names))
    return (scope) => {
      let value: unknown
      for (const expression of values) {
        value = expression(scope)
        if (!isNothing(value)) break
      }
      return value
    }
  },
  $switch: switchForm,
  $let: letForm,
  $map: map,
  $filter: filter,
  $reduce: reduce,
  $getField: getFieldForm,
  $setField: setFieldForm,
  $unsetField: unsetFieldForm,
  $sortArray: sortArray,
  $firstN: taking("$firstN", (list, count) => list.slice(0, count)),
  $lastN: taking("$lastN", (list, count) => list.slice(-count)),
  $minN: taking("$minN", (list, count) => smallest(list, count, 1)),
  $maxN: taking("$maxN", (list, count) => smallest(list, count, -1)),
  $convert: convertForm,
  $regexMatch: regexForm<unknown>("$regexMatch", false, (regex, text) => regex.test(text)),
  $regexFind: regexForm<unknown>("$regexFind", null, (regex, text) => {
    const match = regex.find(text, 0)
    return match === undefined ? null : matchFields(text, match)
  }),
  $regexFindAll: regexForm<unknown>("$regexFindAll", [], findAll)
}

/** The `count` least values (the greatest with -1), null and missing left out. */
export const smallest = (values: ReadonlyArray<unknown>, count: number, sign: 1 | -1): ReadonlyArray<unknown> =>
  values.filter((value) => !isNothing(value)).toSorted((left, right) => compare(left, right) * sign).slice(0, count)
