/**
 * Rule expressions that need no document: who calls, values, environment, request (`can_evaluate` and the like).
 * Compiled once, so that what is not supported is told before the first call instead of at it.
 */
import { BSONValue, Decimal128, Double, Int32, Long, ObjectId, UUID } from "bson"
import type * as Schema from "effect/Schema"

/** What the expansions `%%user`, `%%values`, `%%environment` and `%%request` stand for. */
export interface Scope {
  readonly user: unknown
  readonly values: unknown
  readonly environment: unknown
  readonly request: unknown
}

/** A part of an expression that cannot be evaluated, with the path to it. */
export interface Unsupported {
  readonly path: ReadonlyArray<string | number>
  readonly message: string
}

/** An expression, ready to be evaluated; `unsupported` is empty when all of it is understood. */
export interface Compiled {
  readonly evaluate: (scope: Scope) => boolean
  readonly unsupported: ReadonlyArray<Unsupported>
}

type Path = ReadonlyArray<string | number>
type Test = (scope: Scope) => boolean
type Read = (scope: Scope) => unknown
type Match = (left: unknown, scope: Scope) => boolean

const roots = ["user", "values", "environment", "request"] as const

const isRecord = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const operatorName = (name: string): string | undefined =>
  !name.startsWith("%%") && (name.startsWith("%") || name.startsWith("$")) ? name.slice(1) : undefined

const comparable = (value: unknown): unknown => {
  if (value instanceof Int32 || value instanceof Double) return value.value
  if (value instanceof Long) return value.toBigInt()
  if (value instanceof Decimal128) return Number(value.toString())
  if (value instanceof Date) return value.getTime()
  return value
}

const equalOne = (left: unknown, right: unknown): boolean => {
  const a = comparable(left)
  const b = comparable(right)
  // A Long equals the number of the same size, which `===` denies.
  if (typeof a === "bigint" || typeof b === "bigint") {
    return (typeof a === "bigint" || typeof a === "number") && (typeof b === "bigint" || typeof b === "number") &&
      // oxlint-disable-next-line eqeqeq -- the one comparison across number and bigint that is exact
      a == b
  }
  if (a instanceof ObjectId) return b instanceof ObjectId && a.equals(b)
  if (a instanceof UUID) return b instanceof UUID && a.equals(b)
  if (a instanceof BSONValue || b instanceof BSONValue) {
    return a instanceof BSONValue && b instanceof BSONValue && a.inspect() === b.inspect()
  }
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, index) => equalOne(item, b[index]))
  }
  if (isRecord(a)) {
    return isRecord(b) && Object.keys(a).length === Object.keys(b).length &&
      Object.keys(a).every((key) => Object.hasOwn(b, key) && equalOne(a[key], b[key]))
  }
  return a === b
}

// A scalar equals an array that contains it, on either side (section 5.4).
const equal = (left: unknown, right: unknown): boolean => {
  if (Array.isArray(left) && !Array.isArray(right)) return left.some((item) => equalOne(item, right))
  if (Array.isArray(right) && !Array.isArray(left)) return right.some((item) => equalOne(left, item))
  return equalOne(left, right)
}

const compare = (holds: (order: number) => boolean): (left: unknown, right: unknown) => boolean => (left, right) => {
  const a = comparable(left)
  const b = comparable(right)
  const ordered = (typeof a === "string" && typeof b === "string") ||
    ((typeof a === "number" || typeof a === "bigint") && (typeof b === "number" || typeof b === "bigint"))
  return ordered && holds(a < b ? -1 : a > b ? 1 : 0)
}

const contains = (left: unknown, right: unknown): boolean =>
  Array.isArray(right) && right.some((item) => equal(left, item))

const comparisons: Record<string, (left: unknown, right: unknown) => boolean> = {
  eq: equal,
  ne: (left, right) => !equal(left, right),
  neq: (left, right) => !equal(left, right),
  gt: compare((order) => order > 0),
  gte: compare((order) => order >= 0),
  lt: compare((order) => order < 0),
  lte: compare((order) => order <= 0),
  in: contains,
  nin: (left, right) => !contains(left, right)
}

const conversions: Record<string, (value: unknown) => unknown> = {
  stringToOid: (value) => typeof value === "string" && ObjectId.isValid(value) ? new ObjectId(value) : undefined,
  oidToString: (value) => value instanceof ObjectId ? value.toHexString() : undefined,
  stringToUuid: (value) => typeof value === "string" && UUID.isValid(value) ? new UUID(value) : undefined,
  uuidToString: (value) => value instanceof UUID ? value.toHexString() : undefined
}

/**
 * Compiles an expression. What is not supported is listed and counts as false.
 */
export const compile = (expression: Schema.Json): Compiled => {
  const unsupported: Array<Unsupported> = []
  const refuse = (path: Path, message: string) => {
    unsupported.push({ path, message })
    return () => false
  }

  const reader = (text: string, path: Path): Read => {
    const [root, ...rest] = text.slice(2).replace(/%%$/, "").split(".")
    if (root === "true" && rest.length === 0) return () => true
    if (root === "false" && rest.length === 0) return () => false
    const known = roots.find((name) => name === root)
    if (known === undefined) {
      refuse(path, `the expansion "${text}" is not supported here: use %%user, %%values, %%environment or %%request`)
      return () => undefined
    }
    return (scope) => {
      let value: unknown = scope[known]
      for (const key of rest) {
        value = typeof value === "object" && value !== null && Object.hasOwn(value, key)
          ? (value as { readonly [key: string]: unknown })[key]
          : undefined
      }
      return value
    }
  }

  const operand = (node: unknown, path: Path): Read => {
    if (typeof node === "string" && node.startsWith("%%")) return reader(node, path)
    if (Array.isArray(node)) {
      const items = node.map((item, index) => operand(item, [...path, index]))
      return (scope) => items.map((item) => item(scope))
    }
    if (isRecord(node)) {
      const [[name, value] = ["", undefined], ...others] = Object.entries(node)
      const convert = conversions[operatorName(name) ?? ""]
      if (convert !== undefined && others.length === 0) {
        const read = operand(value, [...path, name])
        return (scope) => convert(read(scope))
      }
    }
    return () => node
  }

  const match = (node: unknown, path: Path): Match => {
    if (isRecord(node)) {
      const entries = Object.entries(node)
      if (entries.length > 0 && entries.every(([name]) => operatorName(name) !== undefined)) {
        const all = entries.map(([name, value]) => matchOperator(operatorName(name)!, value, node, [...path, name]))
        return (left, scope) => all.every((holds) => holds(left, scope))
      }
    }
    const right = operand(node, path)
    return (left, scope) => equal(left, right(scope))
  }

  const matchOperator = (name: string, value: unknown, node: unknown, path: Path): Match => {
    const holds = comparisons[name]
    if (holds !== undefined) {
      const right = operand(value, path)
      return (left, scope) => holds(left, right(scope))
    }
    if (conversions[name] !== undefined) {
      const right = operand(node, path.slice(0, -1))
      return (left, scope) => equal(left, right(scope))
    }
    switch (name) {
      case "exists": {
        const expected = value === true || value === 1
        return (left) => (left !== undefined) === expected
      }
      case "not": {
        const inner = match(value, path)
        return (left, scope) => !inner(left, scope)
      }
      case "and":
      case "or":
      case "nor": {
        if (!Array.isArray(value)) return refuse(path, `"%${name}" needs an array of expressions`)
        const inner = value.map((item, index) => match(item, [...path, index]))
        return combine(name, inner.map((holds) => (left: unknown, scope: Scope) => holds(left, scope)))
      }
      default:
        return refuse(path, `the operator "%${name}" is not supported`)
    }
  }

  const member = (name: string, value: unknown, path: Path): Test => {
    const operator = operatorName(name)
    if (operator === "and" || operator === "or" || operator === "nor") {
      if (!Array.isArray(value)) return refuse(path, `"${name}" needs an array of expressions`)
      const inner = value.map((item, index) => test(item, [...path, index]))
      const holds = combine(operator, inner.map((holds) => (_: unknown, scope: Scope) => holds(scope)))
      return (scope) => holds(undefined, scope)
    }
    if (operator === "not") {
      const inner = test(value, path)
      return (scope) => !inner(scope)
    }
    if (operator !== undefined) return refuse(path, `the operator "${name}" is not supported here`)
    if (name === "%%true" || name === "%%false") {
      const inner = typeof value === "string" ? operand(value, path) : test(value, path)
      return (scope) => inner(scope) === (name === "%%true")
    }
    if (!name.startsWith("%%")) {
      return refuse(path, `the field "${name}" is not supported here: there is no document to look at`)
    }
    const left = reader(name, path)
    const holds = match(value, path)
    return (scope) => holds(left(scope), scope)
  }

  const test = (node: unknown, path: Path): Test => {
    if (typeof node === "boolean") return () => node
    if (node === "%%true" || node === "%%false") return () => node === "%%true"
    if (!isRecord(node)) return refuse(path, "Expected a rule expression: true, false or an object")
    const members = Object.entries(node).map(([name, value]) => member(name, value, [...path, name]))
    return (scope) => members.every((holds) => holds(scope))
  }

  const evaluate = test(expression, [])
  return { unsupported, evaluate: unsupported.length === 0 ? evaluate : () => false }
}

const combine = (name: "and" | "or" | "nor", all: ReadonlyArray<Match>): Match => {
  switch (name) {
    case "and":
      return (left, scope) => all.every((holds) => holds(left, scope))
    case "or":
      return (left, scope) => all.some((holds) => holds(left, scope))
    case "nor":
      return (left, scope) => !all.some((holds) => holds(left, scope))
  }
}
