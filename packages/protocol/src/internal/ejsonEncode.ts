/** From JavaScript and BSON values to Extended JSON, in one pass. */
import { Binary, Decimal128, Double, Int32, Long, ObjectId } from "bson"
import type * as Schema from "effect/Schema"
import { enter, Failure, fromUnknown, inside, put, spend, unsupported, type Walk } from "./ejsonFailure.ts"
import { isCode, none, readWrapper, type Source } from "./ejsonWrapper.ts"

type Json = Schema.Json

export const encodeValue = (walk: Walk, value: unknown, depth: number, relaxed: boolean): Json => {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value
    case "number":
      return encodeNumber(value, relaxed)
    case "undefined":
      return { $undefined: true }
    case "bigint":
      return encodeBigInt(value, relaxed)
    case "object":
      return value === null ? null : encodeObject(walk, value, depth, relaxed)
    case "function":
      throw unsupported("a function", "leave it out, or wrap its source in Code")
    default:
      throw unsupported("a symbol", "leave it out, or use its description as a string")
  }
}

const encodeNumber = (value: number, relaxed: boolean): Json => {
  if ((value | 0) === value && !Object.is(value, -0)) return relaxed ? value : { $numberInt: String(value) }
  if (Number.isSafeInteger(value) && value !== 0) return relaxed ? value : { $numberLong: String(value) }
  return encodeDouble(value, relaxed)
}

const encodeDouble = (value: number, relaxed: boolean): Json => {
  if (Object.is(value, -0)) return { $numberDouble: "-0.0" }
  if (relaxed && Number.isFinite(value)) return value
  return { $numberDouble: Number.isInteger(value) ? value.toFixed(1) : String(value) }
}

const encodeBigInt = (value: bigint, relaxed: boolean): Json => {
  if (value !== BigInt.asIntN(64, value)) {
    throw unsupported("a bigint of more than 64 bits", "wrap it in Decimal128, or send it as a string")
  }
  const number = Number(value)
  return relaxed && Number.isSafeInteger(number) ? number : { $numberLong: String(value) }
}

/** Both halves of an int64; what does not fit a number exactly takes the slower way. */
const encodeInt64 = (low: number, high: number, relaxed: boolean): Json => {
  const value = high * 0x1_0000_0000 + (low >>> 0)
  if (!Number.isSafeInteger(value)) return { $numberLong: String((BigInt(high) << 32n) | BigInt(low >>> 0)) }
  return relaxed ? value : { $numberLong: String(value) }
}

const encodeObject = (walk: Walk, value: object, depth: number, relaxed: boolean): Json => {
  if (Array.isArray(value)) return encodeArray(walk, value, depth, relaxed)
  const prototype: unknown = Object.getPrototypeOf(value)
  // What most documents are made of, by the identity of its class: to ask values of many classes for `_bsontype` is slow.
  switch (prototype) {
    case Object.prototype:
      return encodeDocument(walk, value as Source, depth, relaxed)
    case Double.prototype:
      return encodeDouble(numberOf(value as Double), relaxed)
    case Int32.prototype:
      return encodeInt32((value as Int32).value, relaxed)
    case Long.prototype:
      return encodeLong(value as Long, relaxed)
    case ObjectId.prototype:
      return { $oid: (value as ObjectId).toHexString() }
    case Date.prototype:
      return encodeDate(value as Date, relaxed)
  }
  // Before the look for `_bsontype`: in a plain document that is a key like any other. A plain document of another
  // realm has another `Object.prototype`, which in turn has none.
  if (prototype === null || Object.getPrototypeOf(prototype) === null) {
    return encodeDocument(walk, value as Source, depth, relaxed)
  }
  const instance = value as Source
  const type = instance["_bsontype"]
  if (typeof type === "string") return encodeBson(walk, instance, type, depth, relaxed)
  if (value instanceof Date) return encodeDate(value, relaxed)
  if (value instanceof Map) return encodeMap(walk, value, depth, relaxed)
  if (ArrayBuffer.isView(value)) return encodeView(value)
  // by name, so that values of another realm (a worker's sandbox) count too
  switch (Object.prototype.toString.call(value)) {
    case "[object Date]":
      return encodeDate(value as Date, relaxed)
    case "[object Map]":
      return encodeMap(walk, value as ReadonlyMap<unknown, unknown>, depth, relaxed)
    case "[object RegExp]":
      return encodeRegExp(value as RegExp)
    case "[object ArrayBuffer]":
    case "[object SharedArrayBuffer]":
      return encodeBytes(new Uint8Array(value as ArrayBuffer), 0)
    case "[object Set]":
    case "[object WeakSet]":
      throw unsupported("a Set", "spread it into an array")
    case "[object WeakMap]":
    case "[object Promise]":
      throw unsupported("a WeakMap or a Promise", "pass what it holds")
    default:
      throw unsupported(
        "an instance of a class",
        "copy its fields into a plain object, or encode it with its schema (toBSON and toJSON are not called)"
      )
  }
}

const encodeArray = (walk: Walk, source: ReadonlyArray<unknown>, depth: number, relaxed: boolean): Json => {
  enter(walk, depth)
  spend(walk, source.length)
  const out: Array<Json> = []
  let index = 0
  try {
    for (; index < source.length; index++) out.push(encodeValue(walk, source[index], depth + 1, relaxed))
  } catch (cause) {
    throw inside(cause, index)
  }
  return out
}

const encodeDocument = (walk: Walk, source: Source, depth: number, relaxed: boolean): Json => {
  const out: Record<string, Json> = {}
  let current: string | undefined
  try {
    for (const key in source) {
      if (!Object.hasOwn(source, key)) continue
      const value = source[key]
      if (current === undefined) {
        // only the first key can make a wrapper, so documents pay for a single look
        if (key.charCodeAt(0) === 36) {
          const wrapped = readWrapper(source, key, Object.keys(source).length, true)
          // Already encoded: written anew, in the form that is asked for.
          if (wrapped !== none) return encodeValue(walk, wrapped, depth, relaxed)
          // A scope may hold values that are not encoded yet: code goes on as the document that it is.
          isCode(source, key)
        }
        enter(walk, depth)
      }
      current = key
      spend(walk, 1)
      if (typeof value === "string") put(out, key, value)
      else if (value !== undefined) put(out, key, encodeValue(walk, value, depth + 1, relaxed))
    }
    if (current === undefined) enter(walk, depth)
  } catch (cause) {
    throw current === undefined ? cause : inside(cause, current)
  }
  return out
}

const encodeMap = (walk: Walk, source: ReadonlyMap<unknown, unknown>, depth: number, relaxed: boolean): Json => {
  const document: Record<string, unknown> = {}
  for (const [key, value] of Map.prototype.entries.call(source)) {
    if (typeof key !== "string") {
      throw unsupported("a Map with a key that is no string", "use string keys, or an array of pairs")
    }
    put(document, key, value)
  }
  return encodeDocument(walk, document, depth, relaxed)
}

const yearTenThousand = 253_402_300_800_000

const encodeDate = (value: Date, relaxed: boolean): Json => {
  const millis = Date.prototype.getTime.call(value)
  if (Number.isNaN(millis)) throw unsupported("an invalid Date", "check what it was made from")
  if (relaxed && millis >= 0 && millis < yearTenThousand) {
    const iso = new Date(millis).toISOString()
    return { $date: millis % 1000 === 0 ? `${iso.slice(0, 19)}Z` : iso }
  }
  return { $date: { $numberLong: String(millis) } }
}

const encodeView = (value: ArrayBufferView): Json => {
  if (Object.prototype.toString.call(value) !== "[object Uint8Array]") {
    throw unsupported("a typed array that is no Uint8Array", "pass its bytes as a Uint8Array, or wrap them in Binary")
  }
  return encodeBytes(new Uint8Array(value.buffer, value.byteOffset, value.byteLength), 0)
}

const encodeBytes = (bytes: Uint8Array, subType: number): Json => ({
  $binary: {
    // the base class, as a UUID would print its digits
    base64: new Binary(bytes, subType).toString("base64"),
    subType: subType < 16 ? `0${subType.toString(16)}` : subType.toString(16)
  }
})

const flagOptions = "imsu"

const encodeRegExp = (value: RegExp): Json => {
  for (const flag of value.flags) {
    if (!flagOptions.includes(flag)) {
      throw unsupported(
        `the flag ${JSON.stringify(flag)} of a regular expression`,
        "leave it out: MongoDB knows i, m, s, u, and x and l through BSONRegExp"
      )
    }
  }
  return encodePattern(value.source, value.flags)
}

const encodePattern = (pattern: unknown, options: unknown): Json => {
  if (typeof pattern !== "string" || typeof options !== "string") throw damaged("BSONRegExp")
  if (pattern.includes("\0")) throw unsupported("a pattern with a NUL character", "write it as \\x00")
  return { $regularExpression: { pattern, options } }
}

const damaged = (type: string): Failure => unsupported(`a damaged ${type}`, "make it anew with the npm package bson")

const numberOf = ({ value }: { readonly value: unknown }): number => {
  if (typeof value !== "number") throw damaged("Double")
  return value
}

const encodeInt32 = (value: number, relaxed: boolean): Json => {
  if ((value | 0) !== value) throw damaged("Int32")
  return relaxed ? value | 0 : { $numberInt: String(value | 0) }
}

const encodeLong = ({ high, low, unsigned }: { readonly [K in keyof Long]?: unknown }, relaxed: boolean): Json => {
  if (typeof low !== "number" || typeof high !== "number") throw damaged("Long")
  if (unsigned === true && high < 0) {
    throw unsupported("an unsigned Long beyond int64", "wrap it in Decimal128, or send it as a string")
  }
  return encodeInt64(low, high, relaxed)
}

const hexText = /^[0-9a-fA-F]{24}$/

/** By the name in `_bsontype` alone: a program may hold values of a second copy of bson. */
const encodeBson = (walk: Walk, value: Source, type: string, depth: number, relaxed: boolean): Json => {
  switch (type) {
    case "ObjectId":
    case "ObjectID": {
      const hex = String(value)
      if (!hexText.test(hex)) throw damaged(type)
      return { $oid: hex }
    }
    case "Int32":
      return encodeInt32(Number(value), relaxed)
    case "Double":
      return encodeDouble(Number(value), relaxed)
    case "Long":
      return encodeLong(value, relaxed)
    case "Decimal128": {
      const { bytes } = value
      if (!(bytes instanceof Uint8Array) || bytes.length !== 16) throw damaged(type)
      return { $numberDecimal: new Decimal128(bytes).toString() }
    }
    case "Binary": {
      const { buffer, position, sub_type: subType } = value
      if (!(buffer instanceof Uint8Array) || typeof position !== "number" || typeof subType !== "number") {
        throw damaged(type)
      }
      return encodeBytes(buffer.subarray(0, position), subType)
    }
    case "UUID": {
      const { id } = value
      if (!(id instanceof Uint8Array)) throw damaged(type)
      return encodeBytes(id, Binary.SUBTYPE_UUID)
    }
    case "Timestamp": {
      const { low, high } = value
      if (typeof low !== "number" || typeof high !== "number") throw damaged(type)
      return { $timestamp: { t: high >>> 0, i: low >>> 0 } }
    }
    case "BSONRegExp":
      return encodePattern(value["pattern"], value["options"])
    case "BSONSymbol":
    case "Symbol": {
      const text = value["value"]
      if (typeof text !== "string") throw damaged(type)
      return { $symbol: text }
    }
    case "MinKey":
      return { $minKey: 1 }
    case "MaxKey":
      return { $maxKey: 1 }
    case "Code":
      return encodeCode(walk, value, depth, relaxed)
    case "DBRef":
      return encodeReference(walk, value, depth, relaxed)
    default:
      throw unsupported(
        `a BSON value of the unknown type ${JSON.stringify(type)}`,
        "use the types of the npm package bson"
      )
  }
}

const encodeCode = (walk: Walk, value: Source, depth: number, relaxed: boolean): Json => {
  const { code, scope } = value
  if (typeof code !== "string") throw damaged("Code")
  if (scope === null || scope === undefined) return { $code: code }
  try {
    enter(walk, depth)
    return { $code: code, $scope: encodeValue(walk, scope, depth + 1, relaxed) }
  } catch (cause) {
    throw inside(cause, "$scope")
  }
}

const encodeReference = (walk: Walk, value: Source, depth: number, relaxed: boolean): Json => {
  const { collection, db, fields, oid } = value
  if (typeof collection !== "string") throw damaged("DBRef")
  const document: Record<string, unknown> = { $ref: collection, $id: oid ?? null }
  if (typeof db === "string" && db !== "") document["$db"] = db
  if (typeof fields === "object" && fields !== null) {
    for (const key of Object.keys(fields)) put(document, key, (fields as Source)[key])
  }
  return encodeDocument(walk, document, depth, relaxed)
}

/**
 * A value that contains itself ends at the depth limit, since looking for cycles on the way would cost every value.
 * Only then is the path walked once more, to tell the one from the other.
 */
export const diagnose = (root: unknown, cause: unknown): Failure => {
  const failure = fromUnknown(cause)
  if (failure.reason._tag !== "TooDeep") return failure
  const keys = failure.path.toReversed()
  const seen = new Set<unknown>()
  let value = root
  try {
    for (let index = 0; index <= keys.length; index++) {
      if (seen.has(value)) {
        const cycle = new Failure({ _tag: "Cycle" })
        cycle.path.push(...keys.slice(0, index).toReversed())
        return cycle
      }
      seen.add(value)
      const key = keys[index]
      if (typeof value !== "object" || value === null || key === undefined) return failure
      value = value instanceof Map ? value.get(key) : (value as Source)[key]
    }
  } catch {
    // a getter that throws at the second look: the first finding stands
  }
  return failure
}
