/**
 * The one form in which the engine holds values: the exact classes of `bson`, numbers included, in plain objects.
 */
import {
  Binary,
  BSONRegExp,
  BSONSymbol,
  BSONValue,
  Code,
  DBRef,
  Decimal128,
  deserialize,
  Double,
  Int32,
  Long,
  MaxKey,
  MinKey,
  ObjectId,
  serialize,
  Timestamp
} from "bson"
import { badDocument, failure } from "./failure.ts"

export type Fields = { [key: string]: unknown }

/** MongoDB's own limits: 16 MiB a document, and a depth that bounds every recursion over one. */
export const maxDocumentSize = 16 * 1024 * 1024
export const maxDepth = 180

export const isArray = (value: unknown): value is Array<unknown> => Array.isArray(value)

/** True for the embedded documents of the exact form. */
export const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !(value instanceof BSONValue) && !(value instanceof Date) &&
  !isArray(value)

export const isNumeric = (value: unknown): value is Int32 | Double | Long | Decimal128 =>
  value instanceof Int32 || value instanceof Double || value instanceof Decimal128 || isLong(value)

// Timestamp is a subclass of Long, yet not a number
export const isLong = (value: unknown): value is Long => value instanceof Long && !(value instanceof Timestamp)

/** Assigns a field so that `__proto__` is a name like any other. */
export const setField = (target: Fields, name: string, value: unknown): void => {
  if (name === "__proto__") {
    Object.defineProperty(target, name, { value, enumerable: true, configurable: true, writable: true })
  } else {
    target[name] = value
  }
}

/** `Object.assign` would take a field `__proto__` for the prototype. */
export const assignFields = (target: Fields, source: Fields): Fields => {
  for (const name of Object.keys(source)) setField(target, name, source[name])
  return target
}

/** An own field, so that `constructor` and the like are never found on the prototype. */
export const getField = (target: Fields, name: string): unknown =>
  Object.hasOwn(target, name) ? target[name] : undefined

const isPlain = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

const referenceFields = (reference: DBRef): Fields => {
  const fields: Fields = { $ref: reference.collection, $id: reference.oid }
  if (reference.db !== undefined) fields["$db"] = reference.db
  return assignFields(fields, reference.fields)
}

const join = (path: string, name: string): string => path === "" ? name : `${path}.${name}`

const exactNumber = (value: number): Int32 | Double =>
  Number.isInteger(value) && value >= -0x80000000 && value <= 0x7fffffff && !Object.is(value, -0)
    ? new Int32(value)
    : new Double(value)

/**
 * Any value a caller may hand in, in exact form. `undefined` fields are left out, as in JSON; `undefined` in an
 * array is null. What BSON has no type for (functions, class instances, symbols) is refused, not dropped: a
 * `Redacted` or an `Option` stored as `{}` would be a silent loss.
 */
export const exact = (value: unknown, path = "", depth = 0): unknown => {
  switch (typeof value) {
    case "string":
      return value.isWellFormed() ? value : value.toWellFormed()
    case "boolean":
      return value
    case "number":
      return exactNumber(value)
    case "bigint":
      if (BigInt.asIntN(64, value) !== value) throw badDocument(path, "an integer has more than 64 bits")
      return Long.fromBigInt(value)
    case "object":
      break
    default:
      throw badDocument(path, `a value of type ${typeof value} has no place in a document`)
  }
  if (value === null) return null
  if (value instanceof DBRef) return exact(referenceFields(value), path, depth)
  if (value instanceof Code) {
    return value.scope === null || value.scope === undefined
      ? value
      : new Code(value.code, exactFields(value.scope, path, depth + 1))
  }
  if (value instanceof BSONValue) return value
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) throw badDocument(path, "a date is invalid")
    return value
  }
  if (value instanceof RegExp) {
    const flags = [...value.flags].filter((flag) => "imsux".includes(flag)).toSorted().join("")
    return new BSONRegExp(value.source, flags)
  }
  if (value instanceof Uint8Array) return new Binary(value)
  if (depth >= maxDepth) throw tooDeep(path.slice(0, 40))
  if (isArray(value)) {
    return value.map((element, index) =>
      element === undefined ? null : exact(element, join(path, String(index)), depth + 1)
    )
  }
  if (value instanceof Map) return exactFields(Object.fromEntries(value), path, depth)
  if (!isPlain(value)) {
    throw badDocument(path, `an instance of ${value.constructor.name} has no place in a document`)
  }
  // `isPlain` has shown it to be an object literal
  return exactFields(value as Fields, path, depth)
}

const exactFields = (value: Fields, path: string, depth: number): Fields => {
  const fields: Fields = {}
  for (const name of Object.keys(value)) {
    const field = value[name]
    if (field === undefined) continue
    if (name.includes("\0")) throw badDocument(path, "a field name holds a NUL character")
    setField(fields, name, exact(field, join(path, name), depth + 1))
  }
  return fields
}

/** A whole document in exact form. */
export const exactDocument = (value: unknown): Fields => {
  const document = exact(value)
  if (!isFields(document)) throw badDocument("", "it is not an object")
  return document
}

const isTooDeep = (value: unknown, depth: number): boolean => {
  if (typeof value !== "object" || value === null) return false
  if (isArray(value)) return depth >= maxDepth || value.some((element) => isTooDeep(element, depth + 1))
  return isFields(value) && (depth >= maxDepth || Object.values(value).some((field) => isTooDeep(field, depth + 1)))
}

const tooDeep = (path: string): Error => badDocument(path, `it is nested more than ${maxDepth} deep`)

/** A whole document in exact form, as BSON bytes. */
export const encode = (document: Fields): Uint8Array => {
  // an update may put what is deep into what is deep
  if (isTooDeep(document, 0)) throw tooDeep("")
  let bytes: Uint8Array
  try {
    bytes = serialize(document)
  } catch (cause) {
    throw badDocument("", cause instanceof Error ? cause.message : "it is no BSON document")
  }
  if (bytes.length > maxDocumentSize) {
    throw failure({ _tag: "DocumentTooLarge", size: bytes.length, limit: maxDocumentSize })
  }
  return bytes
}

const withoutReferences = (value: unknown): unknown => {
  if (isArray(value)) return value.map(withoutReferences)
  if (value instanceof DBRef) return withoutReferences(referenceFields(value))
  if (!isFields(value)) return value
  const fields: Fields = {}
  for (const name of Object.keys(value)) setField(fields, name, withoutReferences(value[name]))
  return fields
}

/** Bytes that are no document. */
export class Damaged extends Error {}

/** BSON bytes in exact form: what `encode` was given, to the number type. Throws {@link Damaged}. */
export const decode = (bytes: Uint8Array): Fields => {
  let document: Fields
  try {
    document = deserialize(bytes, { promoteValues: false, promoteLongs: false, bsonRegExp: true })
  } catch (cause) {
    throw new Damaged("it is no BSON document", { cause })
  }
  // bson turns `{ $ref, $id }` into a class of its own; to queries it is a document like any other
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).includes("$ref\0")
    ? withoutReferences(document) as Fields
    : document
}

/** The exact form with JavaScript numbers for int32 and double, and for int64 where no digit is lost. */
export const native = (value: unknown): unknown => {
  if (typeof value !== "object" || value === null) return value
  if (value instanceof Int32 || value instanceof Double) return value.value
  if (isLong(value)) {
    const number = value.toNumber()
    return Number.isSafeInteger(number) ? number : value
  }
  if (isArray(value)) return value.map(native)
  if (!isFields(value)) return value
  const fields: Fields = {}
  for (const name of Object.keys(value)) setField(fields, name, native(value[name]))
  return fields
}

/** Whether two values in exact form are the same, to the type of each number and the order of all fields. */
export const isIdentical = (left: unknown, right: unknown): boolean => {
  if (left === right) return true
  if (typeof left !== "object" || typeof right !== "object" || left === null || right === null) return false
  if (isArray(left)) {
    return isArray(right) && left.length === right.length &&
      left.every((element, index) => isIdentical(element, right[index]))
  }
  if (isFields(left)) {
    if (!isFields(right)) return false
    const [names, others] = [Object.keys(left), Object.keys(right)]
    return names.length === others.length &&
      names.every((name, index) => name === others[index] && isIdentical(left[name], right[name]))
  }
  if (left.constructor !== right.constructor) return false
  if (left instanceof Int32 && right instanceof Int32) return left.value === right.value
  return Buffer.compare(serialize({ "": left }), serialize({ "": right })) === 0
}

/** MongoDB's order of types; values of different ranks never compare by content. */
export const rank = {
  minKey: 1,
  undefined: 3,
  null: 5,
  number: 10,
  string: 15,
  object: 20,
  array: 25,
  binary: 30,
  objectId: 35,
  boolean: 40,
  date: 45,
  timestamp: 47,
  regex: 50,
  code: 60,
  codeWithScope: 65,
  maxKey: 127
} as const

/** The rank of a value in exact form. `undefined` stands for the empty array of an index or sort key. */
export const rankOf = (value: unknown): number => {
  switch (typeof value) {
    case "string":
      return rank.string
    case "boolean":
      return rank.boolean
    case "undefined":
      return rank.undefined
    default:
  }
  if (value === null) return rank.null
  if (isNumeric(value)) return rank.number
  if (isArray(value)) return rank.array
  if (value instanceof Date) return rank.date
  if (value instanceof ObjectId) return rank.objectId
  if (value instanceof Binary) return rank.binary
  if (value instanceof Timestamp) return rank.timestamp
  if (value instanceof BSONSymbol) return rank.string
  if (value instanceof BSONRegExp) return rank.regex
  if (value instanceof MinKey) return rank.minKey
  if (value instanceof MaxKey) return rank.maxKey
  if (value instanceof Code) return value.scope === null || value.scope === undefined ? rank.code : rank.codeWithScope
  return rank.object
}

/** The `$type` number of a value in exact form. */
export const typeNumber = (value: unknown): number => {
  if (value instanceof Double) return 1
  if (value instanceof Int32) return 16
  if (value instanceof Decimal128) return 19
  if (value instanceof BSONSymbol) return 14
  switch (rankOf(value)) {
    case rank.number:
      return 18
    case rank.string:
      return 2
    case rank.object:
      return 3
    case rank.array:
      return 4
    case rank.binary:
      return 5
    case rank.undefined:
      return 6
    case rank.objectId:
      return 7
    case rank.boolean:
      return 8
    case rank.date:
      return 9
    case rank.null:
      return 10
    case rank.regex:
      return 11
    case rank.code:
      return 13
    case rank.codeWithScope:
      return 15
    case rank.timestamp:
      return 17
    case rank.minKey:
      return -1
    default:
      return 127
  }
}

/** The numbers of types by the names that `$type` and schemas know them by. */
export const typeNames: { readonly [name: string]: ReadonlyArray<number> } = {
  double: [1],
  string: [2],
  object: [3],
  array: [4],
  binData: [5],
  undefined: [6],
  objectId: [7],
  bool: [8],
  date: [9],
  null: [10],
  regex: [11],
  javascript: [13],
  symbol: [14],
  javascriptWithScope: [15],
  int: [16],
  timestamp: [17],
  long: [18],
  decimal: [19],
  minKey: [-1],
  maxKey: [127],
  number: [1, 16, 18, 19]
}
