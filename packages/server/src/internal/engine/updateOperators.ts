/**
 * MongoDB's update operators on one field: from its present value to the next one.
 */
import { Int32, Long, Timestamp } from "bson"
import { combine, type Operation, wholeNumber, zeroLike } from "./bsonNumber.ts"
import { compare } from "./bsonOrder.ts"
import { type Fields, isArray, isFields, isLong, isNumeric } from "./bsonValue.ts"
import { missing } from "./documentPath.ts"
import { elementOrder } from "./elementOrder.ts"
import { badUpdate } from "./failure.ts"
import { valueKey } from "./keyEncoding.ts"
import { compilePull } from "./query.ts"
import type { Test } from "./queryCondition.ts"
import type { Spend } from "./steps.ts"

export const keep: unique symbol = Symbol("keep")
export const remove: unique symbol = Symbol("remove")

export interface FieldUpdate {
  /** The next value of a field (`missing` when there is none yet), or `keep`, or `remove`. */
  readonly next: (current: unknown, spend: Spend) => unknown
  /** Whether documents on the way to the field are made when missing. */
  readonly creates: boolean
}

const creating = (next: FieldUpdate["next"]): FieldUpdate => ({ next, creates: true })
const existing = (next: FieldUpdate["next"]): FieldUpdate => ({
  next: (current, spend) => current === missing ? keep : next(current, spend),
  creates: false
})

const arithmetic = (operator: string, operation: Operation, operand: unknown): FieldUpdate => {
  if (!isNumeric(operand)) throw badUpdate(`${operator} needs a number`, operator)
  return creating((current) => {
    if (current === missing) return operation === "add" ? operand : zeroLike(operand)
    if (!isNumeric(current)) throw badUpdate(`${operator} meets a field that is not a number`, operator)
    const result = combine(operation, current, operand)
    if (result === undefined) throw badUpdate(`${operator} leaves the range of int64`, operator)
    return result
  })
}

const bound = (operand: unknown, sign: 1 | -1): FieldUpdate =>
  creating((current) => current === missing || compare(operand, current) * sign > 0 ? operand : keep)

const currentDate = (operand: unknown, now: number): FieldUpdate => {
  const isTyped = isFields(operand) && Object.keys(operand).length === 1
  const type = isTyped ? operand["$type"] : operand === true ? "date" : undefined
  if (type === "date") return creating(() => new Date(now))
  if (type === "timestamp") return creating(() => new Timestamp({ t: Math.floor(now / 1000), i: 1 }))
  throw badUpdate("$currentDate needs true, or { $type: \"date\" } or { $type: \"timestamp\" }", "$currentDate")
}

const arrayOf = (operator: string, current: unknown): ReadonlyArray<unknown> => {
  if (current === missing) return []
  if (!isArray(current)) throw badUpdate(`${operator} meets a field that is not an array`, operator)
  return current
}

const eachOf = (operator: string, operand: unknown, modifiers: ReadonlyArray<string>): Fields => {
  if (!isFields(operand) || !Object.hasOwn(operand, "$each")) return { $each: [operand] }
  for (const name of Object.keys(operand)) {
    if (!modifiers.includes(name)) throw badUpdate(`${operator} has no modifier ${name}`, name)
  }
  if (!isArray(operand["$each"])) throw badUpdate("$each needs an array", "$each")
  return operand
}

// so few are compared one by one faster than a key is made
const few = 16

/** Whether a value is one of some. What it takes to answer is made once, for all documents that are asked about. */
const memberOf = (values: ReadonlyArray<unknown>): (value: unknown) => boolean => {
  if (values.length <= few) return (value) => values.some((other) => compare(other, value) === 0)
  const keys = new Set(values.map(valueKey))
  return (value) => keys.has(valueKey(value))
}

const addToSet = (operand: unknown): FieldUpdate => {
  const each = arrayOf("$addToSet", eachOf("$addToSet", operand, ["$each"])["$each"])
  const added = new Map<string, unknown>()
  for (const element of each) {
    const key = valueKey(element)
    if (!added.has(key)) added.set(key, element)
  }
  const lackingIn = (array: ReadonlyArray<unknown>): Array<unknown> => {
    if (Math.min(array.length, added.size) <= few) {
      return [...added.values()].filter((element) => !array.some((other) => compare(other, element) === 0))
    }
    const present = new Set(array.map(valueKey))
    return [...added].filter(([key]) => !present.has(key)).map(([, element]) => element)
  }
  return creating((current) => {
    const array = arrayOf("$addToSet", current)
    const lacking = lackingIn(array)
    return current !== missing && lacking.length === 0 ? keep : [...array, ...lacking]
  })
}

const whole = (operator: string, operand: unknown): number | undefined => {
  if (operand === undefined) return undefined
  const number = wholeNumber(operand)
  if (number === undefined) throw badUpdate(`${operator} needs a whole number`, operator)
  return number
}

const push = (operand: unknown): FieldUpdate => {
  const modifiers = eachOf("$push", operand, ["$each", "$position", "$slice", "$sort"])
  const each = arrayOf("$push", modifiers["$each"])
  const position = whole("$position", modifiers["$position"])
  const slice = whole("$slice", modifiers["$slice"])
  const sort = modifiers["$sort"]
  const order = sort === undefined ? undefined : elementOrder("$sort", sort)
  return creating((current) => {
    const next = [...arrayOf("$push", current)]
    next.splice(position ?? next.length, 0, ...each)
    if (order !== undefined) next.sort(order)
    return slice === undefined ? next : slice < 0 ? next.slice(slice) : next.slice(0, slice)
  })
}

/** @param goes which elements go */
const without = (operator: string, goes: Test): FieldUpdate =>
  existing((current, spend) => {
    const elements = arrayOf(operator, current)
    const next = elements.filter((element) => {
      spend(1)
      return !goes(element, spend)
    })
    return next.length === elements.length ? keep : next
  })

const pullAll = (operand: unknown): FieldUpdate => {
  if (!isArray(operand)) throw badUpdate("$pullAll needs an array", "$pullAll")
  return without("$pullAll", memberOf(operand))
}

const pull = (operand: unknown): FieldUpdate => without("$pull", compilePull(operand))

const pop = (operand: unknown): FieldUpdate => {
  const end = wholeNumber(operand)
  if (end !== 1 && end !== -1) throw badUpdate("$pop needs 1 or -1", "$pop")
  return existing((current) => {
    const elements = arrayOf("$pop", current)
    return elements.length === 0 ? keep : end === 1 ? elements.slice(0, -1) : elements.slice(1)
  })
}

const bitOperations: { readonly [name: string]: (left: bigint, right: bigint) => bigint } = {
  and: (left, right) => left & right,
  or: (left, right) => left | right,
  xor: (left, right) => left ^ right
}

const bit = (operand: unknown): FieldUpdate => {
  const steps = isFields(operand) ? Object.entries(operand) : []
  const integer = (value: unknown): bigint => {
    if (value instanceof Int32) return BigInt(value.value)
    if (isLong(value)) return value.toBigInt()
    throw badUpdate("$bit needs whole numbers", "$bit")
  }
  if (steps.length === 0) throw badUpdate("$bit needs and, or, or xor", "$bit")
  return creating((current) => {
    let value = current === missing ? 0n : integer(current)
    let wide = isLong(current)
    for (const [name, mask] of steps) {
      const operation = Object.hasOwn(bitOperations, name) ? bitOperations[name] : undefined
      if (operation === undefined) throw badUpdate(`$bit has no operation ${name}`, "$bit")
      value = operation(value, integer(mask))
      wide ||= isLong(mask)
    }
    return wide ? Long.fromBigInt(value) : new Int32(Number(value))
  })
}

const set = (operand: unknown): FieldUpdate => creating(() => operand)

/** The update of one field by an operator; `now` is in milliseconds. */
export const fieldOperators: { readonly [operator: string]: (operand: unknown, now: number) => FieldUpdate } = {
  $set: set,
  $setOnInsert: set,
  $unset: () => existing(() => remove),
  $inc: (operand) => arithmetic("$inc", "add", operand),
  $mul: (operand) => arithmetic("$mul", "multiply", operand),
  $min: (operand) => bound(operand, -1),
  $max: (operand) => bound(operand, 1),
  $currentDate: currentDate,
  $push: push,
  $addToSet: addToSet,
  $pull: pull,
  $pullAll: pullAll,
  $pop: pop,
  $bit: bit
}
