/** From a parsed Extended JSON value to BSON values, in one pass. */
import { Code, DBRef, type ObjectId } from "bson"
import { enter, inside, put, spend, unsupported, type Walk } from "./ejsonFailure.ts"
import { exactNumber, isCode, none, readWrapper, type Source } from "./ejsonWrapper.ts"

/** Its text is read and written digit by digit: megabytes of them would stop a server for seconds. */
const decimalCost = 10

export const decodeValue = (walk: Walk, value: unknown, depth: number, exact: boolean): unknown => {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value
    case "number":
      return exact ? exactNumber(value) : value
    case "object":
      if (value === null) return null
      return Array.isArray(value)
        ? decodeArray(walk, value, depth, exact)
        // any other object is read by its keys, as JSON has no other kind
        : decodeObject(walk, value as Source, depth, exact)
    default:
      throw unsupported(`a JavaScript ${typeof value}`, "decode the output of JSON.parse")
  }
}

const decodeArray = (walk: Walk, source: ReadonlyArray<unknown>, depth: number, exact: boolean): Array<unknown> => {
  enter(walk, depth)
  spend(walk, source.length)
  const out: Array<unknown> = []
  let index = 0
  try {
    for (; index < source.length; index++) out.push(decodeValue(walk, source[index], depth + 1, exact))
  } catch (cause) {
    throw inside(cause, index)
  }
  return out
}

const decodeObject = (walk: Walk, source: Source, depth: number, exact: boolean): unknown => {
  const prototype: unknown = Object.getPrototypeOf(source)
  if (prototype !== Object.prototype && prototype !== null && Object.getPrototypeOf(prototype) !== null) {
    throw unsupported("an instance of a class", "decode the output of JSON.parse")
  }
  const keys = Object.keys(source)
  const first = keys[0]
  // only the first key can make a wrapper, so documents pay for a single look
  if (first !== undefined && first.charCodeAt(0) === 36) {
    const value = readWrapper(source, first, keys.length, exact)
    if (first === "$numberDecimal") spend(walk, decimalCost - 1)
    if (value !== none) return value
    if (isCode(source, first)) return decodeCode(walk, source, depth, exact)
    if (first === "$ref" && isReference(source)) return decodeReference(walk, source, depth, exact)
  }
  return decodeDocument(walk, source, depth, exact, keys)
}

const decodeDocument = (
  walk: Walk,
  source: Source,
  depth: number,
  exact: boolean,
  keys = Object.keys(source)
): Record<string, unknown> => {
  enter(walk, depth)
  const out: Record<string, unknown> = {}
  let current = ""
  try {
    for (const key of keys) {
      current = key
      spend(walk, 1)
      const value = source[key]
      put(out, key, typeof value === "string" ? value : decodeValue(walk, value, depth + 1, exact))
    }
  } catch (cause) {
    throw inside(cause, current)
  }
  return out
}

const decodeCode = (walk: Walk, source: Source, depth: number, exact: boolean): Code => {
  const code = source["$code"] as string
  if (!Object.hasOwn(source, "$scope")) return new Code(code)
  try {
    enter(walk, depth)
    return new Code(code, decodeDocument(walk, source["$scope"] as Source, depth + 1, exact))
  } catch (cause) {
    throw inside(cause, "$scope")
  }
}

/** `$ref` with `$id` is a reference; with other `$` keys, or without `$id`, it is a document like any other. */
const isReference = (source: Source): boolean => {
  if (typeof source["$ref"] !== "string" || !Object.hasOwn(source, "$id")) return false
  for (const key of Object.keys(source)) {
    if (key.charCodeAt(0) !== 36 || key === "$ref" || key === "$id") continue
    if (key !== "$db" || typeof source[key] !== "string") return false
  }
  return true
}

const decodeReference = (walk: Walk, source: Source, depth: number, exact: boolean): DBRef => {
  const { $id: id, $db: db, $ref: collection, ...fields } = decodeDocument(walk, source, depth, exact)
  // bson types `$id` as an ObjectId, but MongoDB stores any value there
  const reference = new DBRef("", id as ObjectId, db as string | undefined, fields)
  // its constructor would split "a.b" into database and collection
  reference.collection = collection as string
  return reference
}
