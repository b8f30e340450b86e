/**
 * Values as bytes whose plain byte order is MongoDB's order of the values, so that SQLite's B-trees can look them up.
 *
 * Each value is its rank, then a content that ends by itself: a key of several values is their concatenation, and a
 * prefix of a compound key selects the range from the prefix to the prefix followed by 0xff, which no rank reaches.
 */
import {
  Binary,
  BSONRegExp,
  BSONSymbol,
  Code,
  type Decimal128,
  type Double,
  type Int32,
  type Long,
  ObjectId,
  Timestamp
} from "bson"
import { toDigits } from "./bsonNumber.ts"
import { isArray, isFields, isNumeric, rank, rankOf } from "./bsonValue.ts"

class KeyWriter {
  #bytes = Buffer.allocUnsafe(64)
  #length = 0

  #reserve(count: number): void {
    if (this.#length + count <= this.#bytes.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#length + count))
    this.#bytes.copy(larger, 0, 0, this.#length)
    this.#bytes = larger
  }

  byte(value: number): void {
    this.#reserve(1)
    this.#bytes[this.#length++] = value
  }

  bytes(value: Uint8Array): void {
    this.#reserve(value.length)
    this.#bytes.set(value, this.#length)
    this.#length += value.length
  }

  // 00 within a text is 00 ff and its end is 00 00, so that a text sorts before its extensions
  text(value: string): void {
    const bytes = Buffer.from(value, "utf8")
    if (bytes.includes(0)) {
      for (const byte of bytes) {
        this.byte(byte)
        if (byte === 0) this.byte(0xff)
      }
    } else {
      this.bytes(bytes)
    }
    this.byte(0)
    this.byte(0)
  }

  unsigned(value: bigint): void {
    this.#reserve(8)
    this.#length = this.#bytes.writeBigUInt64BE(value, this.#length)
  }

  result(): Uint8Array {
    // a copy of its own size: keys are kept, the buffer is not
    return Uint8Array.prototype.slice.call(this.#bytes, 0, this.#length)
  }

  // NaN 0, -∞ 1, negative 2, zero 3, positive 4, +∞ 5; then exponent and digits, all bits turned for negatives
  number(value: Int32 | Double | Long | Decimal128): void {
    const parts = toDigits(value)
    if (typeof parts === "number") {
      this.byte(Number.isNaN(parts) ? 0 : parts < 0 ? 1 : 5)
      return
    }
    if (parts.digits === "") {
      this.byte(3)
      return
    }
    const mask = parts.negative ? 0xff : 0
    this.byte(parts.negative ? 2 : 4)
    const exponent = parts.exponent + 0x8000
    this.byte((exponent >> 8) ^ mask)
    this.byte((exponent & 0xff) ^ mask)
    for (let index = 0; index < parts.digits.length; index++) this.byte(parts.digits.charCodeAt(index) ^ mask)
    this.byte(mask)
  }

  value(value: unknown): void {
    const valueRank = rankOf(value)
    this.byte(valueRank)
    if (valueRank === rank.string) this.text(value instanceof BSONSymbol ? value.value : String(value))
    else if (isNumeric(value)) this.number(value)
    else if (typeof value === "boolean") this.byte(value ? 1 : 0)
    else if (value instanceof ObjectId) this.bytes(value.id)
    else if (value instanceof Date) this.unsigned(BigInt.asUintN(64, BigInt(value.getTime()) + (1n << 63n)))
    else if (value instanceof Binary) {
      this.unsigned(BigInt(value.position))
      this.byte(value.sub_type)
      this.bytes(value.buffer.subarray(0, value.position))
    } else if (value instanceof Timestamp) this.unsigned(BigInt.asUintN(64, value.toBigInt()))
    else if (value instanceof BSONRegExp) {
      this.text(value.pattern)
      this.text(value.options)
    } else if (value instanceof Code) {
      this.text(value.code)
      if (valueRank === rank.codeWithScope) this.value(value.scope)
    } else if (isArray(value)) {
      for (const element of value) this.value(element)
      this.byte(0)
    } else if (isFields(value)) {
      for (const name of Object.keys(value)) {
        this.byte(rankOf(value[name]))
        this.text(name)
        this.value(value[name])
      }
      this.byte(0)
    }
  }
}

/** The key of one or several values in exact form. */
export const encodeKey = (values: ReadonlyArray<unknown>): Uint8Array => {
  const writer = new KeyWriter()
  for (const value of values) writer.value(value)
  return writer.result()
}

/** The first key after every key that begins with `prefix`. */
export const afterPrefix = (prefix: Uint8Array): Uint8Array => {
  const bytes = new Uint8Array(prefix.length + 1)
  bytes.set(prefix)
  bytes[prefix.length] = 0xff
  return bytes
}

/** The bounds of all keys of one rank after `prefix`. */
export const rankBounds = (prefix: Uint8Array, valueRank: number): readonly [Uint8Array, Uint8Array] => {
  const low = new Uint8Array(prefix.length + 1)
  low.set(prefix)
  low[prefix.length] = valueRank
  const high = low.slice()
  high[prefix.length] = valueRank + 1
  return [low, high]
}

/** Bytes joined. */
export const concatKeys = (left: Uint8Array, right: Uint8Array): Uint8Array => {
  const bytes = new Uint8Array(left.length + right.length)
  bytes.set(left)
  bytes.set(right, left.length)
  return bytes
}

/** A key as a string, for sets and maps. */
export const keyText = (key: Uint8Array): string =>
  Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString("latin1")

/** A text that is the same for values that compare as equal. */
export const valueKey = (value: unknown): string => keyText(encodeKey([value]))
