import { assert, it } from "@effect/vitest"
import { Decimal128, Double, EJSON, Int32, Long } from "bson"
import { combine } from "../src/internal/engine/bsonNumber.ts"
import { compare } from "../src/internal/engine/bsonOrder.ts"
import { decode, encode, exact } from "../src/internal/engine/bsonValue.ts"
import { encodeKey } from "../src/internal/engine/keyEncoding.ts"
import { arbitraryValue } from "./support/documents.ts"

const sign = (order: number) => Math.sign(order)
const runs = { timeout: 60_000, arbitrary: { runs: 1500 } }

it.prop("keys are ordered as the values are", [arbitraryValue, arbitraryValue], ([left, right]) => {
  const [a, b] = [exact(left), exact(right)]
  assert.strictEqual(sign(Buffer.compare(encodeKey([a]), encodeKey([b]))), sign(compare(a, b)))
}, runs)

it.prop("compound keys are ordered by their first difference", [
  arbitraryValue,
  arbitraryValue,
  arbitraryValue,
  arbitraryValue
], ([a, b, c, d]) => {
  const [left, right] = [[exact(a), exact(b)], [exact(c), exact(d)]]
  const order = compare(left[0], right[0]) || compare(left[1], right[1])
  assert.strictEqual(sign(Buffer.compare(encodeKey(left), encodeKey(right))), sign(order))
}, runs)

it.prop("the order is transitive", [arbitraryValue, arbitraryValue, arbitraryValue], (values) => {
  const [a, b, c] = values.map((value) => exact(value)).toSorted(compare)
  assert.ok(compare(a, b) <= 0 && compare(b, c) <= 0 && compare(a, c) <= 0)
}, runs)

it.prop("a value survives being stored", [arbitraryValue], ([value]) => {
  const document = { value: exact(value) }
  assert.strictEqual(
    EJSON.stringify(decode(encode(document)), { relaxed: false }),
    EJSON.stringify(document, { relaxed: false })
  )
}, runs)

it("a text that holds NUL is no prefix of a compound key", () => {
  const keys = [["a", "b"], ["a", "\0"], ["a\0", "a"], ["a\0\0", ""], ["a\0\x01", ""], ["a\x01", ""]]
  for (const left of keys) {
    for (const right of keys) {
      const order = compare(left[0], right[0]) || compare(left[1], right[1])
      assert.strictEqual(sign(Buffer.compare(encodeKey(left), encodeKey(right))), sign(order))
    }
  }
})

it("arithmetic keeps the wider type and loses no digit", () => {
  const text = (value: unknown) => EJSON.stringify(value, { relaxed: false })
  assert.strictEqual(text(combine("add", new Int32(2147483647), new Int32(1))), text(Long.fromString("2147483648")))
  assert.strictEqual(text(combine("multiply", new Int32(3), Long.fromNumber(4))), text(Long.fromNumber(12)))
  assert.strictEqual(text(combine("add", Long.fromNumber(1), new Double(0.5))), text(new Double(1.5)))
  assert.strictEqual(combine("add", Long.MAX_VALUE, new Int32(1)), undefined)
  assert.strictEqual(
    text(combine("add", Decimal128.fromString("1E+3"), new Int32(1))),
    text(Decimal128.fromString("1001"))
  )
  assert.strictEqual(
    text(combine("multiply", Decimal128.fromString("0.1"), Decimal128.fromString("0.30"))),
    text(Decimal128.fromString("0.030"))
  )
  assert.strictEqual(
    text(combine("add", Decimal128.fromString("Infinity"), new Int32(1))),
    text(Decimal128.fromString("Infinity"))
  )
})
