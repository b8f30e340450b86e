/**
 * The operators of expressions that are more than functions of their values: conditions, variables, loops over an array,
 * and those whose operands have names.
 */
import { BSONRegExp, Int32 } from "bson"
import { DatabaseError } from "../../DatabaseError.ts"
import { wholeNumber } from "./bsonNumber.ts"
import { compare } from "./bsonOrder.ts"
import { assignFields, type Fields, getField, isArray, isFields, setField } from "./bsonValue.ts"
import { convert, isTrue, typeName } from "./conversion.ts"
import { elementOrder } from "./elementOrder.ts"
import { bind, type Expression } from "./expressionScope.ts"
import { badFilter } from "./failure.ts"
import { checkNames } from "./namedOperator.ts"
import { isNothing } from "./operator.ts"
import { compileRegex, type Match, type Regex } from "./regex.ts"
import type { Spend } from "./steps.ts"

/** Compiles an operand, which may name the variables around it and `variables` too. */
export type Compile = (operand: unknown, variables?: ReadonlyArray<string>) => Expression

/** An operator that decides for itself which of its operands are evaluated, when, and with which variables. */
export type Form = (operand: unknown, compile: Compile) => Expression

/** The named operands of a form, of which some may be left out. */
const named = (
  operator: string,
  operand: unknown,
  required: ReadonlyArray<string>,
  optional: ReadonlyArray<string>
) => {
  if (!isFields(operand)) throw badFilter(`${operator} needs an object of operands`, operator)
  checkNames(operator, operand, required, optional)
  return operand
}

const optional = (operand: unknown, compile: Compile): Expression | undefined =>
  operand === undefined ? undefined : compile(operand)

const listOf = (operator: string, value: unknown, spend: Spend): ReadonlyArray<unknown> | null => {
  if (isNothing(value)) return null
  if (!isArray(value)) throw badFilter(`${operator} needs an array, not ${typeName(value)}`, operator)
  spend(value.length)
  return value
}

/** The name of a variable that a user declares. */
export const variableName = (operator: string, value: unknown): string => {
  if (typeof value !== "string" || !/^[a-z]\w*$/.test(value)) {
    throw badFilter(`${operator} needs names of variables that begin with a small letter`, operator)
  }
  return value
}

const cond: Form = (operand, compile) => {
  if (isArray(operand) && operand.length !== 3) {
    throw badFilter(`Expression $cond takes exactly 3 arguments. ${operand.length} were passed in`, "$cond")
  }
  const parts = ["if", "then", "else"]
  const operands = isArray(operand)
    ? operand
    : parts.map((part) => named("$cond", operand, parts, [])[part])
  const [test, yes, no] = operands.map((each) => compile(each))
  return (scope) => isTrue(test?.(scope)) ? yes?.(scope) : no?.(scope)
}

const switchForm: Form = (operand, compile) => {
  const operands = named("$switch", operand, ["branches"], ["default"])
  const { branches } = operands
  if (!isArray(branches) || branches.length === 0) throw badFilter("$switch requires at least one branch", "$switch")
  const compiled = branches.map((branch) => {
    const { case: condition, then } = named("$switch", branch, ["case", "then"], [])
    return [compile(condition), compile(then)] as const
  })
  const otherwise = optional(operands["default"], compile)
  return (scope) => {
    const branch = compiled.find(([condition]) => isTrue(condition(scope)))
    if (branch !== undefined) return branch[1](scope)
    if (otherwise === undefined) throw badFilter("$switch found no matching branch and has no default", "$switch")
    return otherwise(scope)
  }
}

const letForm: Form = (operand, compile) => {
  const operands = named("$let", operand, ["vars", "in"], [])
  if (!isFields(operands["vars"])) throw badFilter("$let needs an object of vars", "$let")
  const variables = Object.entries(operands["vars"]).map(
    ([name, value]) => [variableName("$let", name), compile(value)] as const
  )
  const body = compile(operands["in"], variables.map(([name]) => name))
  return (scope) => body(variables.reduce((inner, [name, expression]) => bind(inner, name, expression(scope)), scope))
}

const map: Form = (operand, compile) => {
  const operands = named("$map", operand, ["input", "in"], ["as"])
  const name = operands["as"] === undefined ? "this" : variableName("$map", operands["as"])
  const input = compile(operands["input"])
  const body = compile(operands["in"], [name])
  return (scope) =>
    listOf("$map", input(scope), scope.spend)?.map((element) => body(bind(scope, name, element)) ?? null) ?? null
}

const filter: Form = (operand, compile) => {
  const operands = named("$filter", operand, ["input", "cond"], ["as", "limit"])
  const name = operands["as"] === undefined ? "this" : variableName("$filter", operands["as"])
  const input = compile(operands["input"])
  const condition = compile(operands["cond"], [name])
  const limit = optional(operands["limit"], compile)
  return (scope) => {
    const most = limit === undefined ? null : limit(scope)
    const count = isNothing(most) ? Infinity : wholeNumber(most) ?? 0
    if (count < 1) throw badFilter("$filter needs a positive limit", "$filter")
    return listOf("$filter", input(scope), scope.spend)
      ?.filter((element) => isTrue(condition(bind(scope, name, element)))).slice(0, count) ?? null
  }
}

const reduce: Form = (operand, compile) => {
  const operands = named("$reduce", operand, ["input", "initialValue", "in"], [])
  const input = compile(operands["input"])
  const initial = compile(operands["initialValue"])
  const body = compile(operands["in"], ["this", "value"])
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

const getFieldForm: Form = (operand, compile) => {
  const operands = isFields(operand) && !Object.hasOwn(operand, "$literal")
    ? named("$getField", operand, ["field"], ["input"])
    : { field: operand }
  const name = fieldName("$getField", operands["field"])
  const input = compile("input" in operands ? operands["input"] : "$$CURRENT")
  return (scope) => {
    const value = input(scope)
    return isFields(value) ? getField(value, name) : isNothing(value) ? value : undefined
  }
}

const setFieldForm: Form = (operand, compile) => {
  const operands = named("$setField", operand, ["field", "input", "value"], [])
  const name = fieldName("$setField", operands["field"])
  const input = compile(operands["input"])
  const value = compile(operands["value"])
  return (scope) => withField("$setField", input(scope), name, value(scope))
}

const unsetFieldForm: Form = (operand, compile) => {
  const operands = named("$unsetField", operand, ["field", "input"], [])
  const name = fieldName("$unsetField", operands["field"])
  const input = compile(operands["input"])
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

const sortArray: Form = (operand, compile) => {
  const operands = named("$sortArray", operand, ["input", "sortBy"], [])
  const input = compile(operands["input"])
  const order = elementOrder("$sortArray", operands["sortBy"])
  return (scope) => listOf("$sortArray", input(scope), scope.spend)?.toSorted(order) ?? null
}

/** `$firstN`, `$lastN`, `$minN`, `$maxN`. */
const taking =
  (operator: string, take: (list: ReadonlyArray<unknown>, count: number) => unknown): Form => (operand, compile) => {
    const operands = named(operator, operand, ["n", "input"], [])
    const count = compile(operands["n"])
    const input = compile(operands["input"])
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

const convertForm: Form = (operand, compile) => {
  const operands = named("$convert", operand, ["input", "to"], ["onError", "onNull"])
  const input = compile(operands["input"])
  const to = compile(operands["to"])
  const onError = optional(operands["onError"], compile)
  const onNull = optional(operands["onNull"], compile)
  return (scope) => {
    const value = input(scope)
    if (isNothing(value)) return onNull === undefined ? null : onNull(scope)
    const type = to(scope)
    if (isNothing(type)) return null
    try {
      return convert(value, type)
    } catch (error) {
      if (onError === undefined || !(error instanceof DatabaseError)) throw error
      return onError(scope)
    }
  }
}

const regexForm =
  <A>(operator: string, orNothing: A, apply: (regex: Regex, text: string, spend: Spend) => A): Form =>
  (operand, compile) => {
    const operands = named(operator, operand, ["input", "regex"], ["options"])
    const input = compile(operands["input"])
    const pattern = compile(operands["regex"])
    const options = optional(operands["options"], compile)
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
      scope.spend(last.regex.steps(text))
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

/** The forms, by the names of their operators. */
export const forms: { readonly [name: string]: Form } = {
  $literal: (operand) => () => operand,
  $expr: (operand, compile) => compile(operand),
  $and: (operand, compile) => {
    const clauses = (isArray(operand) ? operand : [operand]).map((clause) => compile(clause))
    return (scope) => clauses.every((clause) => isTrue(clause(scope)))
  },
  $or: (operand, compile) => {
    const clauses = (isArray(operand) ? operand : [operand]).map((clause) => compile(clause))
    return (scope) => clauses.some((clause) => isTrue(clause(scope)))
  },
  $cond: cond,
  $ifNull: (operand, compile) => {
    if (!isArray(operand) || operand.length < 2) throw badFilter("$ifNull needs at least two arguments", "$ifNull")
    const values = operand.map((value) => compile(value))
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
