/**
 * Rule expressions (server section 5.4): who may call a function, which role a user has on a document, what the role may
 * do. Compiled once, so that what is not supported is told before the first call instead of at it.
 *
 * Evaluation is synchronous, for a write is judged inside of the database's own transaction. A function that a rule asks
 * is therefore never called here: its answer is looked up, and whoever evaluates gets it beforehand (`ruleFunctions`).
 */
import * as Ejson from "@effect-realm/protocol/Ejson"
import { Binary, BSONRegExp, BSONValue, ObjectId, UUID } from "bson"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import { compare } from "../engine/bsonOrder.ts"
import { exact, rankOf } from "../engine/bsonValue.ts"

/** What the expansions `%%user`, `%%values`, `%%environment` and `%%request` stand for. */
export interface Scope {
  readonly user: unknown
  readonly values: unknown
  readonly environment: unknown
  readonly request: unknown
  /** Of an action of a service. */
  readonly args?: unknown
  /** The answer of a function of the app; throws {@link FunctionFailed} when it failed. */
  readonly ask?: (name: string, args: ReadonlyArray<unknown>) => unknown
}

/**
 * A function that a rule asks has failed. The whole expression counts as false then, `%not` around it or not: a rule that
 * cannot be judged grants nothing.
 */
export class FunctionFailed extends Error {}

/** What `%%root`, `%%prevRoot`, `%%this` and `%%prev` stand for beside. Values are in exact form. */
export interface DocumentScope extends Scope {
  readonly root: unknown
  readonly prevRoot: unknown
  readonly this?: unknown
  readonly prev?: unknown
}

/**
 * What an expression decides about: a call of a function (`can_evaluate`), an action of a service, which has arguments, a
 * request to a collection (a filter, which may ask functions), or a document.
 */
export type Subject = "call" | "action" | "request" | "document"

/** A part of an expression that cannot be evaluated, with the path to it. */
export interface Unsupported {
  readonly path: ReadonlyArray<string | number>
  readonly message: string
}

/** An expression, ready to be evaluated; `unsupported` is empty when all of it is understood. */
export interface Compiled {
  readonly evaluate: (scope: Scope | DocumentScope) => boolean
  readonly unsupported: ReadonlyArray<Unsupported>
  /** The value, when it is the same in every scope. */
  readonly constant: boolean | undefined
  /** The roots it reads, of which `root`, `prevRoot`, `this` and `prev` differ from document to document. */
  readonly reads: ReadonlySet<Root>
  /** The fields of the document it reads by name, as dotted paths. */
  readonly fields: ReadonlySet<string>
  /** The functions of the app that it asks. */
  readonly functions: ReadonlySet<string>
  /** Expansions of what no user has, such as `%%user.name`. */
  readonly unresolved: ReadonlySet<string>
}

/** A value with expansions and conversions in it, such as the query of a filter. */
export interface CompiledValue {
  /** `undefined` when an expansion in it leads nowhere. */
  readonly evaluate: (scope: Scope) => unknown
  /** The value, when it is the same in every scope. */
  readonly constant: unknown
  readonly unsupported: ReadonlyArray<Unsupported>
}

type Path = ReadonlyArray<string | number>
type Test = (scope: Scope) => boolean
type Read = (scope: Scope) => unknown
type Match = (left: unknown, scope: Scope) => boolean

const requestRoots = ["user", "values", "environment", "request"] as const
const documentRoots = ["root", "prevRoot", "this", "prev"] as const

/** What `%%user` has. */
export const userFields: ReadonlyArray<string> = ["id", "type", "data", "custom_data", "identities"]

/** The name of what an expansion reads from. */
export type Root = typeof requestRoots[number] | typeof documentRoots[number] | "args"

/** Whether an expression may come out differently for another document. */
export const readsDocument = ({ reads }: Compiled): boolean => documentRoots.some((root) => reads.has(root))

const isRecord = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof BSONValue) &&
  !(value instanceof Date)

const operatorName = (name: string): string | undefined =>
  !name.startsWith("%%") && (name.startsWith("%") || name.startsWith("$")) ? name.slice(1) : undefined

// What is absent equals nothing, not even what is absent too: two users without a team are not of one team.
const equalOne = (left: unknown, right: unknown): boolean => {
  if (left === undefined || right === undefined) return false
  if (typeof left === "string" || typeof right === "string") return left === right
  if (Array.isArray(left)) {
    return Array.isArray(right) && left.length === right.length &&
      left.every((item, index) => equalOne(item, right[index]))
  }
  if (isRecord(left)) {
    return isRecord(right) && Object.keys(left).length === Object.keys(right).length &&
      Object.keys(left).every((key) => Object.hasOwn(right, key) && equalOne(left[key], right[key]))
  }
  return compare(exact(left), exact(right)) === 0
}

// A scalar equals an array that contains it, on either side.
const equal = (left: unknown, right: unknown): boolean => {
  if (Array.isArray(left) && !Array.isArray(right)) return left.some((item) => equalOne(item, right))
  if (Array.isArray(right) && !Array.isArray(left)) return right.some((item) => equalOne(left, item))
  return equalOne(left, right)
}

const ordered = (holds: (order: number) => boolean): (left: unknown, right: unknown) => boolean => (left, right) => {
  if (left === undefined || right === undefined) return false
  const [a, b] = [exact(left), exact(right)]
  return rankOf(a) === rankOf(b) && holds(compare(a, b))
}

const contains = (left: unknown, right: unknown): boolean =>
  Array.isArray(right) && right.some((item) => equal(left, item))

const comparisons: Record<string, (left: unknown, right: unknown) => boolean> = {
  eq: equal,
  ne: (left, right) => !equal(left, right),
  neq: (left, right) => !equal(left, right),
  gt: ordered((order) => order > 0),
  gte: ordered((order) => order >= 0),
  lt: ordered((order) => order < 0),
  lte: ordered((order) => order <= 0),
  in: contains,
  nin: (left, right) => !contains(left, right)
}

const isUuid = (value: unknown): value is Binary => value instanceof Binary && value.sub_type === Binary.SUBTYPE_UUID

const conversions: Record<string, (value: unknown) => unknown> = {
  stringToOid: (value) => typeof value === "string" && ObjectId.isValid(value) ? new ObjectId(value) : undefined,
  oidToString: (value) => value instanceof ObjectId ? value.toHexString() : undefined,
  stringToUuid: (value) => typeof value === "string" && UUID.isValid(value) ? new UUID(value) : undefined,
  uuidToString: (value) => isUuid(value) ? value.toUUID().toHexString() : undefined
}

/** The operator of a name; what every object has, such as `toString`, is none. */
const ownOf = <A>(operators: Record<string, A>, name: string): A | undefined =>
  Object.hasOwn(operators, name) ? operators[name] : undefined

const follow = (start: unknown, keys: ReadonlyArray<string>): unknown => {
  let value = start
  for (const key of keys) {
    value = typeof value === "object" && value !== null && Object.hasOwn(value, key)
      ? (value as { readonly [key: string]: unknown })[key]
      : undefined
  }
  return value
}

/** What a value of Extended JSON such as `{ "$oid": … }` stands for, or nothing when it is no such value. */
const literal = (node: { readonly [key: string]: unknown }): unknown => {
  const [name] = Object.keys(node)
  if (name?.startsWith("$") !== true) return undefined
  const decoded = Ejson.decode(node, { numbers: "exact" })
  return Result.isFailure(decoded) || isRecord(decoded.success) ? undefined : decoded.success
}

const compiler = (subject: Subject, adjust: (value: unknown) => unknown = (value) => value) => {
  const unsupported: Array<Unsupported> = []
  const reads = new Set<Root>()
  const fields = new Set<string>()
  const functions = new Set<string>()
  const unresolved = new Set<string>()

  const refuse = (path: Path, message: string) => {
    unsupported.push({ path, message })
    return () => false
  }
  const refuseValue = (path: Path, message: string) => {
    refuse(path, message)
    return () => undefined
  }

  const roots: ReadonlyArray<Root> = subject === "document"
    ? [...requestRoots, ...documentRoots]
    : subject === "action"
    ? [...requestRoots, "args"]
    : requestRoots

  const readRoot = (root: Root, keys: ReadonlyArray<string>): Read => {
    reads.add(root)
    if (keys.length > 0 && (root === "root" || root === "prevRoot")) fields.add(keys.join("."))
    if (root === "user" && keys[0] !== undefined && !userFields.includes(keys[0])) {
      unresolved.add(`%%user.${keys.join(".")}`)
    }
    // A scope without a document has nothing under the names of one.
    return (scope) => adjust(follow((scope as Partial<Record<Root, unknown>>)[root], keys))
  }

  const reader = (text: string, path: Path): Read => {
    // "%%user.id%%" stands in an example of the documentation.
    const [root, ...keys] = text.slice(2).replace(/%%$/, "").split(".")
    if (root === "true" && keys.length === 0) return () => true
    if (root === "false" && keys.length === 0) return () => false
    const known = roots.find((name) => name === root)
    return known === undefined
      ? refuseValue(
        path,
        `the expansion "${text}" is not supported here: use ${roots.map((name) => `%%${name}`).join(", ")}`
      )
      : readRoot(known, keys)
  }

  const readFunction = (value: unknown, path: Path): Read => {
    if (subject === "call" || subject === "action") {
      return refuseValue(path, "the operator \"%function\" is not supported here")
    }
    if (!isRecord(value) || typeof value["name"] !== "string") {
      return refuseValue(path, "\"%function\" needs the name of a function: { \"name\": …, \"arguments\": [ … ] }")
    }
    const { arguments: given = [], name } = value
    if (!Array.isArray(given)) return refuseValue(path, "the \"arguments\" of \"%function\" have to be an array")
    functions.add(name)
    const args = given.map((item, index) => operand(item, [...path, "arguments", index]))
    return (scope) => scope.ask?.(name, args.map((read) => read(scope)))
  }

  const operand = (node: unknown, path: Path): Read => {
    if (typeof node === "string" && node.startsWith("%%")) return reader(node, path)
    if (Array.isArray(node)) {
      const items = node.map((item, index) => operand(item, [...path, index]))
      return (scope) => items.map((item) => item(scope))
    }
    if (!isRecord(node)) return () => node
    const value = literal(node)
    if (value !== undefined) return () => value
    const [[name, inner] = ["", undefined], ...others] = Object.entries(node)
    const operator = operatorName(name)
    if (others.length === 0 && operator !== undefined) {
      if (operator === "function") return readFunction(inner, [...path, name])
      const convert = ownOf(conversions, operator)
      if (convert !== undefined) {
        const read = operand(inner, [...path, name])
        return (scope) => convert(read(scope))
      }
    }
    const members = Object.entries(node).map(([key, value]) => [key, operand(value, [...path, key])] as const)
    return (scope) => Object.fromEntries(members.map(([key, read]) => [key, read(scope)]))
  }

  const match = (node: unknown, path: Path): Match => {
    if (isRecord(node) && literal(node) === undefined) {
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
    const holds = ownOf(comparisons, name)
    if (holds !== undefined) {
      const right = operand(value, path)
      return (left, scope) => holds(left, right(scope))
    }
    if (name === "function" || ownOf(conversions, name) !== undefined) {
      const right = operand(node, path.slice(0, -1))
      return (left, scope) => equal(left, right(scope))
    }
    switch (name) {
      case "exists": {
        const expected = value === true || value === 1
        if (!expected && value !== false && value !== 0) return refuse(path, "\"%exists\" is either true or false")
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
        return combine(name, inner)
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
    if (operator === "function") {
      const read = readFunction(value, path)
      return (scope) => read(scope) === true
    }
    if (operator !== undefined) return refuse(path, `the operator "${name}" is not supported here`)
    if (name === "%%true" || name === "%%false") {
      const isExpansion = typeof value === "string" ||
        (isRecord(value) && ["%function", "$function"].includes(Object.keys(value)[0] ?? ""))
      const inner = isExpansion ? operand(value, path) : test(value, path)
      return (scope) => inner(scope) === (name === "%%true")
    }
    if (!name.startsWith("%%") && subject !== "document") {
      return refuse(path, `the field "${name}" is not supported here: there is no document to look at`)
    }
    const left = name.startsWith("%%") ? reader(name, path) : readRoot("root", name.split("."))
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

  return { unsupported, reads, fields, functions, unresolved, test, operand }
}

const nowhere: Scope = { user: undefined, values: undefined, environment: undefined, request: undefined }

/**
 * Compiles an expression. What is not supported is listed, and then all of it counts as false.
 */
export const compile = (expression: Schema.Json, subject: Subject = "call"): Compiled => {
  const { fields, functions, reads, test, unresolved, unsupported } = compiler(subject)
  const evaluate = test(expression, [])
  const supported = unsupported.length === 0
  return {
    unsupported,
    reads,
    fields,
    functions,
    unresolved,
    evaluate: !supported ? () => false : functions.size === 0 ? evaluate : (scope) => {
      try {
        return evaluate(scope)
      } catch (error) {
        if (error instanceof FunctionFailed) return false
        throw error
      }
    },
    constant: !supported
      ? false
      : reads.size === 0 && functions.size === 0
      ? evaluate(nowhere)
      : undefined
  }
}

/**
 * What a query compares with, or nothing: an operator or a regular expression that came from somebody's data would be asked
 * instead of compared, and find more than was meant.
 */
const comparedOnly = (value: unknown): unknown => {
  if (value instanceof BSONRegExp) return undefined
  const parts = Array.isArray(value) ? value : isRecord(value) ? Object.values(value) : []
  const operator = isRecord(value) && Object.keys(value).some((name) => name.startsWith("$"))
  return operator || parts.some((part) => comparedOnly(part) === undefined) ? undefined : value
}

/** Compiles a value in which expansions and conversions stand for values, such as the query of a filter. */
export const compileValue = (node: Schema.Json): CompiledValue => {
  const { operand, reads, unsupported } = compiler("call", comparedOnly)
  const read = operand(node, [])
  return {
    unsupported,
    evaluate: (scope) => resolved(read(scope)),
    constant: reads.size === 0 ? read(nowhere) : undefined
  }
}

/** The value, or `undefined` when anything in it is. */
const resolved = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.some((item) => resolved(item) === undefined) ? undefined : value
  if (!isRecord(value)) return value
  return Object.values(value).some((item) => resolved(item) === undefined) ? undefined : value
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
