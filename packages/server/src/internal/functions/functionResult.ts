/** From what a function returned or threw to what is told about it. */
import { BSONValue, Double, Int32, Long } from "bson"
import { types } from "node:util"
import type { Numbers, NumberType } from "./functionSandbox.ts"

/** A result whose promises are all settled: `values` says to what. */
export interface Settled {
  readonly _tag: "Settled"
  readonly value: unknown
  readonly values: ReadonlyMap<object, unknown> | undefined
}

/** A result, now or later. */
export type Settling = Settled | { readonly _tag: "Pending"; readonly promise: Promise<Settled> }

type Members = { [key: string]: unknown }

// Only plain documents and arrays are looked into: all else is one value of BSON, or has none.
const isPlain = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

const isThenable = (value: object): value is PromiseLike<unknown> =>
  types.isPromise(value) || (!(value instanceof BSONValue) && "then" in value && typeof value.then === "function")

/** The promises that a value leads to and that are not settled yet. */
const promisesOf = (
  root: unknown,
  values: ReadonlyMap<object, unknown> | undefined
): ReadonlyArray<PromiseLike<unknown>> => {
  if (typeof root !== "object" || root === null) return []
  const found: Array<PromiseLike<unknown>> = []
  const seen = new Set<object>()
  // A list instead of recursion: a result may be nested deeper than the stack, and contain itself.
  const open: Array<unknown> = [root]
  while (open.length > 0) {
    const value = open.pop()
    if (typeof value !== "object" || value === null || seen.has(value)) continue
    seen.add(value)
    if (values?.has(value) === true) open.push(values.get(value))
    else if (isThenable(value)) found.push(value)
    else if (Array.isArray(value)) { for (const item of value) open.push(item) }
    else if (isPlain(value)) { for (const key of Object.keys(value)) open.push((value as Members)[key]) }
  }
  return found
}

/** Waits for every promise in a result: App Services did so inside documents and arrays too. */
export const settle = (value: unknown): Settling => {
  const first = promisesOf(value, undefined)
  return first.length === 0
    ? { _tag: "Settled", value, values: undefined }
    : { _tag: "Pending", promise: settleAll(value, first) }
}

const settleAll = async (value: unknown, first: ReadonlyArray<PromiseLike<unknown>>): Promise<Settled> => {
  const values = new Map<object, unknown>()
  for (let open = first; open.length > 0; open = promisesOf(value, values)) {
    // All at once, so that none is rejected while another is waited for and nobody listens.
    await Promise.all(open.map(async (promise) => values.set(promise, await promise)))
  }
  return { _tag: "Settled", value, values }
}

const put = (target: Members, key: string, value: unknown): void => {
  if (key === "__proto__") {
    Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true })
  } else {
    target[key] = value
  }
}

const typed = (value: number, type: NumberType): unknown => {
  switch (type) {
    case "Int32":
      return new Int32(value)
    case "Int64":
      return Long.fromNumber(value)
    case "Double":
      return new Double(value)
  }
}

// The encoder refuses what is nested half as deep, and says so; what lies below need not be looked at.
const deepest = 1000

/**
 * The result with its promises replaced by their values, and its numbers given the BSON types of the arguments they came
 * from. A JavaScript number does not say whether it was an int64 or a whole double, so this remembers: a member of a
 * document that was handed in keeps its type; any other number that occurs in the arguments with one type has that
 * type; and where all numbers of the arguments are int64, whole numbers of the result are too. All else goes by size.
 */
export const toBson = ({ value, values }: Settled, numbers: Numbers): unknown => {
  if (!numbers.special && values === undefined) return value
  const onlyInt64 = numbers.types.size > 0 && [...numbers.types.values()].every((type) => type === "Int64")
  const copies = new Map<object, unknown>()

  const free = (value: number): unknown => {
    if (!numbers.special || Object.is(value, -0)) return value
    const type = numbers.types.get(value)
    if (type !== undefined) return typed(value, type)
    return onlyInt64 && Number.isSafeInteger(value) ? Long.fromNumber(value) : value
  }

  const copy = (value: unknown, container: object | undefined, key: string | number, depth: number): unknown => {
    if (typeof value === "number") {
      if (container === undefined || !numbers.members.has(container)) return free(value)
      const member = numbers.members.get(container)?.get(key)
      return member !== undefined && Object.is(member.value, value) ? typed(value, member.type) : value
    }
    if (typeof value !== "object" || value === null || depth > deepest) return value
    if (values?.has(value) === true) return copy(values.get(value), undefined, 0, depth + 1)
    // Also what makes a cycle a cycle again, for the encoder to refuse.
    if (copies.has(value)) return copies.get(value)
    if (Array.isArray(value)) {
      const items: Array<unknown> = []
      copies.set(value, items)
      for (let index = 0; index < value.length; index++) {
        items.push(copy(value[index], value, index, depth + 1))
      }
      return items
    }
    if (!isPlain(value)) return value
    const members: Members = {}
    copies.set(value, members)
    for (const [name, member] of Object.entries(value)) {
      put(members, name, copy(member, value, name, depth + 1))
    }
    return members
  }
  return copy(value, undefined, 0, 0)
}

const maxMessage = 4096

const text = (value: unknown): string | undefined => typeof value === "string" && value !== "" ? value : undefined

/**
 * The words for something thrown (protocol section 8.2): `<Name>: <message>` for errors, the text itself for a string, JSON
 * for anything else. Never throws, whatever was thrown.
 */
export const describeThrown = (thrown: unknown): string => {
  try {
    return (describe(thrown) ?? "Error: the function threw something that cannot be shown").slice(0, maxMessage)
  } catch {
    return "Error: the function threw something that cannot be shown"
  }
}

const describe = (thrown: unknown): string | undefined => {
  if (typeof thrown === "string") return thrown === "" ? "Error: the function threw an empty text" : thrown
  if (typeof thrown !== "object" || thrown === null) return `Error: the function threw ${String(thrown)}`
  const error = thrown as { readonly name?: unknown; readonly message?: unknown }
  if (types.isNativeError(thrown) || thrown instanceof Error) {
    return `${text(error.name) ?? "Error"}: ${
      oldWords(text(error.message) ?? "the function threw an error without a message")
    }`
  }
  return JSON.stringify(thrown)
}

// What V8 says, in the words that programs written for App Services look for.
const oldWords = (message: string): string => {
  const undefinedName = /^([\w$]+) is not defined$/.exec(message)
  if (undefinedName !== null) return `'${undefinedName[1]}' is not defined`
  const member = /^Cannot read properties of (undefined|null) \(reading '(.+)'\)$/.exec(message)
  return member === null ? message : `Cannot access member '${member[2]}' of ${member[1]}`
}
