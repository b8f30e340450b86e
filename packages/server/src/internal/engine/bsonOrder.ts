/**
 * MongoDB's order over all values, in exact form.
 */
import { Binary, BSONRegExp, BSONSymbol, Code, ObjectId, Timestamp } from "bson"
import { compareNumbers } from "./bsonNumber.ts"
import { type Fields, isArray, isFields, isNumeric, rank, rankOf } from "./bsonValue.ts"

const isSurrogate = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdfff

/** By UTF-8 bytes, which is by code point; JavaScript compares UTF-16 units and puts 😀 below U+FFFD. */
const compareStrings = (left: string, right: string): number => {
  if (left === right) return 0
  const length = Math.min(left.length, right.length)
  for (let index = 0; index < length; index++) {
    const a = left.charCodeAt(index)
    const b = right.charCodeAt(index)
    if (a === b) continue
    return isSurrogate(a) === isSurrogate(b) ? a - b : isSurrogate(a) ? 1 : -1
  }
  return left.length - right.length
}

const compareFields = (left: Fields, right: Fields): number => {
  const leftNames = Object.keys(left)
  const rightNames = Object.keys(right)
  const length = Math.min(leftNames.length, rightNames.length)
  for (let index = 0; index < length; index++) {
    const leftName = leftNames[index] ?? ""
    const rightName = rightNames[index] ?? ""
    const a = left[leftName]
    const b = right[rightName]
    const order = rankOf(a) - rankOf(b) || compareStrings(leftName, rightName) || compare(a, b)
    if (order !== 0) return order
  }
  return leftNames.length - rightNames.length
}

const compareArrays = (left: ReadonlyArray<unknown>, right: ReadonlyArray<unknown>): number => {
  const length = Math.min(left.length, right.length)
  for (let index = 0; index < length; index++) {
    const order = compare(left[index], right[index])
    if (order !== 0) return order
  }
  return left.length - right.length
}

const compareBinaries = (left: Binary, right: Binary): number =>
  left.position - right.position || left.sub_type - right.sub_type ||
  Buffer.compare(left.buffer.subarray(0, left.position), right.buffer.subarray(0, right.position))

/** Negative, zero or positive; zero only for values that MongoDB calls equal. */
export const compare = (left: unknown, right: unknown): number => {
  const leftRank = rankOf(left)
  const order = leftRank - rankOf(right)
  if (order !== 0) return order
  if (leftRank === rank.string) {
    return compareStrings(
      left instanceof BSONSymbol ? left.value : String(left),
      right instanceof BSONSymbol ? right.value : String(right)
    )
  }
  if (isNumeric(left) && isNumeric(right)) return compareNumbers(left, right)
  if (typeof left === "boolean" && typeof right === "boolean") return Number(left) - Number(right)
  if (left instanceof Date && right instanceof Date) return left.getTime() - right.getTime()
  if (left instanceof ObjectId && right instanceof ObjectId) return Buffer.compare(left.id, right.id)
  if (left instanceof Binary && right instanceof Binary) return compareBinaries(left, right)
  if (left instanceof Timestamp && right instanceof Timestamp) return left.compare(right)
  if (left instanceof BSONRegExp && right instanceof BSONRegExp) {
    return compareStrings(left.pattern, right.pattern) || compareStrings(left.options, right.options)
  }
  if (left instanceof Code && right instanceof Code) {
    return compareStrings(left.code, right.code) || compare(left.scope ?? null, right.scope ?? null)
  }
  if (isArray(left) && isArray(right)) return compareArrays(left, right)
  return isFields(left) && isFields(right) ? compareFields(left, right) : 0
}
