import { assert, describe, it } from "@effect/vitest"
import {
  Binary,
  BSONRegExp,
  BSONSymbol,
  Code,
  DBRef,
  Decimal128,
  Double,
  EJSON,
  Int32,
  Long,
  MaxKey,
  MinKey,
  ObjectId,
  Timestamp,
  UUID
} from "bson"
import type * as Bson from "bson"
import * as Arbitrary from "effect/Arbitrary"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { createRequire } from "node:module"
import { runInNewContext } from "node:vm"
import * as Ejson from "../src/Ejson.ts"

const hex = "5f87976b7b800b285345a8b4"
const uuid = "0d5b6e4c-9b62-4b3c-8c1c-2f5e6f0a1b2d"
const hi = Uint8Array.from([104, 105])

const failure = <A>(result: Result.Result<A, Ejson.EjsonError>): Ejson.EjsonError => {
  assert.isTrue(Result.isFailure(result), "expected a failure")
  return Result.getOrThrow(Result.flip(result))
}

/** Tells values apart that look the same to a structural comparison: `Int32(1)` and `Double(1)`. */
const canonical = (value: unknown): string => EJSON.stringify(value, { relaxed: false })

const same = (actual: unknown, expected: unknown) => assert.strictEqual(canonical(actual), canonical(expected))

const sameJson = (actual: unknown, expected: unknown) =>
  assert.strictEqual(JSON.stringify(actual), JSON.stringify(expected))

interface Row {
  readonly exact: unknown
  readonly wire: unknown
  /** What native numbers make of it, where that differs. */
  readonly native?: unknown
  readonly relaxed?: unknown
  /** Other spellings of the same. */
  readonly also?: ReadonlyArray<unknown>
}

const instant = new Date(1652297239913)
const uuidWire = { $binary: { base64: new UUID(uuid).toBinary().toString("base64"), subType: "04" } }

const rows: Record<string, Row> = {
  ObjectId: { exact: new ObjectId(hex), wire: { $oid: hex } },
  Date: {
    exact: instant,
    wire: { $date: { $numberLong: "1652297239913" } },
    relaxed: { $date: "2022-05-11T19:27:19.913Z" },
    also: [
      { $date: 1652297239913 },
      { $date: "2022-05-11T21:27:19.913+02:00" }
    ]
  },
  "Date of whole seconds": {
    exact: new Date(1000),
    wire: { $date: { $numberLong: "1000" } },
    relaxed: { $date: "1970-01-01T00:00:01Z" },
    also: [{ $date: 1000 }, { $date: { $numberInt: "1000" } }]
  },
  "Date before 1970": { exact: new Date(-1), wire: { $date: { $numberLong: "-1" } } },
  "the last Date": { exact: new Date(8.64e15), wire: { $date: { $numberLong: "8640000000000000" } } },
  Int32: { exact: new Int32(42), native: 42, wire: { $numberInt: "42" }, relaxed: 42 },
  "least Int32": {
    exact: new Int32(-2147483648),
    native: -2147483648,
    wire: { $numberInt: "-2147483648" },
    relaxed: -2147483648
  },
  "small Long": { exact: Long.fromNumber(42), wire: { $numberLong: "42" }, native: 42, relaxed: 42 },
  "negative Long": {
    exact: Long.fromNumber(-5e9),
    wire: { $numberLong: "-5000000000" },
    native: -5e9,
    relaxed: -5e9
  },
  "largest safe Long": {
    exact: Long.fromString("9007199254740991"),
    wire: { $numberLong: "9007199254740991" },
    native: 9007199254740991,
    relaxed: 9007199254740991
  },
  "first unsafe Long": { exact: Long.fromString("9007199254740993"), wire: { $numberLong: "9007199254740993" } },
  "largest Long": { exact: Long.MAX_VALUE, wire: { $numberLong: "9223372036854775807" } },
  "least Long": { exact: Long.MIN_VALUE, wire: { $numberLong: "-9223372036854775808" } },
  Double: { exact: new Double(1.5), wire: { $numberDouble: "1.5" }, native: 1.5, relaxed: 1.5 },
  "whole Double": {
    exact: new Double(1),
    wire: { $numberDouble: "1.0" },
    native: 1,
    relaxed: 1,
    also: [{ $numberDouble: "1" }, { $numberDouble: "1e0" }]
  },
  "large Double": { exact: new Double(1e300), wire: { $numberDouble: "1e+300" }, native: 1e300, relaxed: 1e300 },
  "negative zero": { exact: new Double(-0), wire: { $numberDouble: "-0.0" }, native: -0 },
  NaN: { exact: new Double(NaN), wire: { $numberDouble: "NaN" }, native: NaN },
  Infinity: { exact: new Double(Infinity), wire: { $numberDouble: "Infinity" }, native: Infinity },
  "-Infinity": { exact: new Double(-Infinity), wire: { $numberDouble: "-Infinity" }, native: -Infinity },
  Decimal128: { exact: Decimal128.fromString("1.20"), wire: { $numberDecimal: "1.20" } },
  Binary: {
    exact: new Binary(hi),
    wire: { $binary: { base64: "aGk=", subType: "00" } },
    also: [{ $binary: { subType: "0", base64: "aGk=" } }, { $binary: "aGk=", $type: "00" }, {
      $type: "00",
      $binary: "aGk="
    }]
  },
  "empty Binary": { exact: new Binary(new Uint8Array(0)), wire: { $binary: { base64: "", subType: "00" } } },
  "Binary of a user's subtype": { exact: new Binary(hi, 0x80), wire: { $binary: { base64: "aGk=", subType: "80" } } },
  "Binary of subtype 4 that is no UUID": {
    exact: new Binary(hi, 4),
    wire: { $binary: { base64: "aGk=", subType: "04" } }
  },
  UUID: {
    exact: new UUID(uuid),
    wire: uuidWire,
    also: [{ $uuid: uuid }, { $uuid: uuid.replaceAll("-", "").toUpperCase() }]
  },
  Timestamp: {
    exact: new Timestamp({ t: 5, i: 4294967295 }),
    wire: { $timestamp: { t: 5, i: 4294967295 } },
    also: [{ $timestamp: { i: { $numberLong: "4294967295" }, t: { $numberInt: "5" } } }]
  },
  BSONRegExp: {
    exact: new BSONRegExp("ab", "xi"),
    wire: { $regularExpression: { pattern: "ab", options: "ix" } },
    also: [{ $regularExpression: { options: "xi", pattern: "ab" } }]
  },
  MinKey: { exact: new MinKey(), wire: { $minKey: 1 }, also: [{ $minKey: { $numberInt: "1" } }] },
  MaxKey: { exact: new MaxKey(), wire: { $maxKey: 1 } },
  DBRef: {
    exact: new DBRef("coll", new ObjectId(hex), "db"),
    wire: { $ref: "coll", $id: { $oid: hex }, $db: "db" }
  },
  "DBRef with more fields": {
    exact: new DBRef("coll", new ObjectId(hex), undefined, { a: new Int32(1) }),
    native: new DBRef("coll", new ObjectId(hex), undefined, { a: 1 }),
    wire: { $ref: "coll", $id: { $oid: hex }, a: { $numberInt: "1" } },
    relaxed: { $ref: "coll", $id: { $oid: hex }, a: 1 }
  },
  Code: { exact: new Code("x()"), wire: { $code: "x()" } },
  "Code with scope": {
    exact: new Code("x()", { a: new Int32(1) }),
    native: new Code("x()", { a: 1 }),
    wire: { $code: "x()", $scope: { a: { $numberInt: "1" } } },
    relaxed: { $code: "x()", $scope: { a: 1 } },
    also: [{ $scope: { a: { $numberInt: "1" } }, $code: "x()" }]
  },
  BSONSymbol: { exact: new BSONSymbol("x"), wire: { $symbol: "x" } },
  null: { exact: null, wire: null },
  string: { exact: "Zoë 日本 🎉", wire: "Zoë 日本 🎉" },
  boolean: { exact: true, wire: true },
  array: { exact: [new Int32(1), "a"], native: [1, "a"], wire: [{ $numberInt: "1" }, "a"], relaxed: [1, "a"] },
  document: { exact: { a: { b: [] } }, wire: { a: { b: [] } } },
  "query operator": {
    exact: { $gt: new Int32(1) },
    native: { $gt: 1 },
    wire: { $gt: { $numberInt: "1" } },
    relaxed: { $gt: 1 }
  },
  "$regex operator": { exact: { $regex: "^a", $options: "i" }, wire: { $regex: "^a", $options: "i" } },
  "$type operator": { exact: { $type: "string" }, wire: { $type: "string" } }
}

describe("every type", () => {
  for (const [name, row] of Object.entries(rows)) {
    it(`${name} keeps type and value through exact numbers`, () => {
      for (const wire of [row.wire, ...(row.also ?? [])]) {
        const decoded = Ejson.decodeUnsafe(wire, { numbers: "exact" })
        same(decoded, row.exact)
        sameJson(Ejson.encodeUnsafe(decoded), row.wire)
      }
    })

    it(`${name} decodes to native numbers and encodes again`, () => {
      const expected = Object.hasOwn(row, "native") ? row.native : row.exact
      assert.deepStrictEqual(Ejson.decodeUnsafe(row.wire), expected)
      assert.deepStrictEqual(Ejson.decodeUnsafe(Ejson.encodeUnsafe(expected)), expected)
    })

    it(`${name} has a relaxed form that decodes to the same value`, () => {
      const relaxed = Ejson.encodeUnsafe(row.exact, { relaxed: true })
      sameJson(relaxed, Object.hasOwn(row, "relaxed") ? row.relaxed : row.wire)
      assert.deepStrictEqual(Ejson.decodeUnsafe(relaxed), Ejson.decodeUnsafe(row.wire))
    })

    it(`${name}, encoded twice, is as encoded once`, () => {
      const once = Ejson.encodeUnsafe(row.exact)
      sameJson(Ejson.encodeUnsafe(once), once)
    })
  }

  it("a deprecated DBPointer stays the document it is, and travels unchanged", () => {
    const wire = { $dbPointer: { $ref: "a.b", $id: { $oid: hex } } }
    sameJson(Ejson.encodeUnsafe(Ejson.decodeUnsafe(wire)), wire)
  })

  it("a reference to a collection with a dot in its name is not split", () => {
    const wire = { $ref: "a.b", $id: { $oid: hex } }
    sameJson(Ejson.encodeUnsafe(Ejson.decodeUnsafe(wire)), wire)
  })
})

describe("numbers", () => {
  it("a bare number is the smallest type that holds it", () => {
    const decode = (json: unknown) => Ejson.decodeUnsafe(json, { numbers: "exact" })
    same(decode([1, 2147483647, 2147483648, -2147483649, 1.5, -0, 2 ** 53]), [
      new Int32(1),
      new Int32(2147483647),
      Long.fromNumber(2147483648),
      Long.fromNumber(-2147483649),
      new Double(1.5),
      new Double(-0),
      new Double(2 ** 53)
    ])
  })

  it("a JavaScript number encodes by its value", () => {
    const encoded = Ejson.encodeUnsafe([0, -0, 2147483648, 9007199254740991, 2 ** 53, 1e300, 0.1, NaN])
    sameJson(encoded, [
      { $numberInt: "0" },
      { $numberDouble: "-0.0" },
      { $numberLong: "2147483648" },
      { $numberLong: "9007199254740991" },
      { $numberDouble: "9007199254740992.0" },
      { $numberDouble: "1e+300" },
      { $numberDouble: "0.1" },
      { $numberDouble: "NaN" }
    ])
  })

  it.prop("no int64 is ever rounded", [Schema.BigInt], ([seed]) => {
    const value = BigInt.asIntN(64, seed * 0x9E3779B97F4A7C15n)
    const wire = { $numberLong: String(value) }
    sameJson(Ejson.encodeUnsafe(value), wire)
    sameJson(Ejson.encodeUnsafe(Long.fromBigInt(value)), wire)
    const native = Ejson.decodeUnsafe(wire)
    assert.strictEqual(BigInt(String(native)), value)
    assert.strictEqual(typeof native === "number", Number.isSafeInteger(Number(value)))
    sameJson(Ejson.encodeUnsafe(Ejson.decodeUnsafe(wire, { numbers: "exact" })), wire)
    const relaxed = Ejson.encodeUnsafe(value, { relaxed: true })
    assert.strictEqual(BigInt(String(Ejson.decodeUnsafe(JSON.parse(JSON.stringify(relaxed))))), value)
  })

  it("what does not fit into 64 bits is refused", () => {
    for (const value of [2n ** 63n, -(2n ** 63n) - 1n, Long.MAX_UNSIGNED_VALUE]) {
      assert.strictEqual(failure(Ejson.encode(value)).reason._tag, "Unsupported")
    }
    for (const text of ["9223372036854775808", "-9223372036854775809", "1".repeat(1000)]) {
      assert.strictEqual(failure(Ejson.decode({ $numberLong: text })).reason._tag, "Malformed")
    }
  })
})

const fixed: ReadonlyArray<unknown> = [
  null,
  true,
  new MinKey(),
  new MaxKey(),
  new BSONRegExp("^a", "im"),
  new BSONSymbol("s"),
  new Code("f()"),
  new Code("f()", { a: new Long(1, 2) }),
  new DBRef("c", new ObjectId(hex), "d")
]

const leaf: Arbitrary.Arbitrary<unknown> = Arbitrary.schema(Schema.Union([
  Schema.String,
  Schema.Number,
  Schema.Natural.check(Schema.isLessThan(fixed.length)).pipe(Schema.brand("fixed")),
  Schema.Date,
  Ejson.ObjectId,
  Ejson.Int32,
  Ejson.Double,
  Ejson.Long,
  Ejson.Decimal128,
  Ejson.Binary,
  Ejson.Uuid,
  Ejson.Timestamp
])).pipe(Arbitrary.map((value) => typeof value === "number" && value in fixed ? fixed[value] : value))

const keys = ["a", "b c", "", "0", "é", "$set", "length", "__proto__", "constructor", "toString", "hasOwnProperty"]

const document = (entries: ReadonlyArray<readonly [number, unknown]>): unknown =>
  Object.fromEntries(entries.map(([key, value]) => [keys[key % keys.length], value]))

const container = (item: Arbitrary.Arbitrary<unknown>): Arbitrary.Arbitrary<unknown> =>
  Arbitrary.all([Arbitrary.schema(Schema.Natural), Arbitrary.schema(Schema.Natural), Arbitrary.array(item)]).pipe(
    Arbitrary.map(([kind, shift, items]) =>
      kind % 3 === 0 && items.length > 0
        ? items[0]
        : kind % 3 === 1
        ? items
        : document(items.map((value, index) => [index + shift, value] as const))
    )
  )

const tree = container(container(container(leaf)))

// Numbers from 2^53 up are doubles to us and int64 to bson, which prints digits that the number does not have.
const isAgreed = (value: unknown): boolean =>
  typeof value === "number"
    ? !Number.isInteger(value) || Number.isSafeInteger(value)
    : Array.isArray(value)
    ? value.every(isAgreed)
    : typeof value === "object" && value !== null && !("_bsontype" in value)
    ? Object.values(value).every(isAgreed)
    : true

const agreed = Arbitrary.filter(tree, isAgreed)

describe("whole values", () => {
  it.prop("canonical output is what bson writes", [agreed], ([value]) => {
    assert.strictEqual(Result.getOrThrow(Ejson.stringify(value)), canonical(value))
  })

  it.prop("exact input is what bson reads", [agreed], ([value]) => {
    const text = canonical(value)
    same(Result.getOrThrow(Ejson.parse(text, { numbers: "exact" })), EJSON.parse(text, { relaxed: false }))
  })

  it.prop("decoding exactly what was encoded gives the same text again", [tree], ([value]) => {
    const once = Ejson.encodeUnsafe(value)
    const again = Ejson.encodeUnsafe(Ejson.decodeUnsafe(once, { numbers: "exact" }))
    assert.strictEqual(JSON.stringify(again), JSON.stringify(once))
  })

  it.prop("decoding natively gives back what was encoded", [tree], ([value]) => {
    const native = Ejson.decodeUnsafe(Ejson.encodeUnsafe(value))
    assert.deepStrictEqual(Ejson.decodeUnsafe(Ejson.encodeUnsafe(native)), native)
  })

  it.prop("encoding what is encoded changes nothing", [tree], ([value]) => {
    const once = Ejson.encodeUnsafe(value)
    assert.strictEqual(JSON.stringify(Ejson.encodeUnsafe(once)), JSON.stringify(once))
  })

  it.prop("any JSON at all decodes, or fails typed", [Schema.Json], ([json]) => {
    for (const value of [json, { $oid: json }, { $date: json }, { $binary: json }, { $code: "", $scope: json }]) {
      const result = Ejson.decode(value)
      assert.isTrue(Result.isSuccess(result) || result.failure instanceof Ejson.EjsonError)
    }
  })

  it("neither the JSON nor the value is changed", () => {
    const wire = [{ $numberInt: "1" }, { a: { $oid: hex } }]
    const before = structuredClone(wire)
    const value = Ejson.decodeUnsafe(wire)
    assert.deepStrictEqual(wire, before)
    Ejson.encodeUnsafe(Object.freeze(value))
    assert.deepStrictEqual(value, [1, { a: new ObjectId(hex) }])
  })
})

describe("JavaScript values", () => {
  it("bytes in every shape are binary data of subtype 0", () => {
    const wire = { $binary: { base64: "aGk=", subType: "00" } }
    const inside = Uint8Array.from([0, 104, 105, 0])
    for (const value of [hi, hi.buffer, Buffer.from("hi"), inside.subarray(1, 3)]) {
      assert.deepStrictEqual(Ejson.encodeUnsafe(value), wire)
    }
  })

  it("only the written part of a growing Binary is sent", () => {
    const binary = new Binary()
    binary.put(104)
    binary.put(105)
    assert.deepStrictEqual(Ejson.encodeUnsafe(binary), { $binary: { base64: "aGk=", subType: "00" } })
  })

  it("a RegExp keeps the flags that MongoDB has", () => {
    assert.deepStrictEqual(Ejson.encodeUnsafe(/a\/b/msi), {
      $regularExpression: { pattern: "a\\/b", options: "ims" }
    })
    const error = failure(Ejson.encode({ name: /a/gi }))
    assert.strictEqual(error.path, "name")
    assert.include(error.message, "\"g\"")
  })

  it("a Map with string keys is a document", () => {
    const value = new Map<string, unknown>([["a", new Map([["b", undefined]])], ["__proto__", 1]])
    const json = JSON.stringify(Ejson.encodeUnsafe(value))
    assert.strictEqual(json, "{\"a\":{},\"__proto__\":{\"$numberInt\":\"1\"}}")
    assert.strictEqual(failure(Ejson.encode(new Map([[1, 1]]))).reason._tag, "Unsupported")
  })

  it("values of another realm are what they are in their own", () => {
    const foreign: unknown = runInNewContext(
      "({ at: new Date(0), list: [1], map: new Map([['a', 1]]), pattern: /x/i, bytes: new Uint8Array([104, 105]) })"
    )
    assert.deepStrictEqual(Ejson.encodeUnsafe(foreign), {
      at: { $date: { $numberLong: "0" } },
      list: [{ $numberInt: "1" }],
      map: { a: { $numberInt: "1" } },
      pattern: { $regularExpression: { pattern: "x", options: "i" } },
      bytes: { $binary: { base64: "aGk=", subType: "00" } }
    })
  })

  it("values of a second copy of bson are encoded by their _bsontype", () => {
    // the CommonJS build is loaded as a module of its own
    const second: typeof Bson = createRequire(import.meta.url)("bson")
    assert.notStrictEqual<unknown>(second.ObjectId, ObjectId)
    const values = (bson: typeof Bson) => [
      new bson.ObjectId(hex),
      new bson.UUID(uuid),
      new bson.Binary(hi, 5),
      new bson.Int32(1),
      new bson.Double(1),
      bson.Long.MIN_VALUE,
      bson.Decimal128.fromString("1.20"),
      new bson.Timestamp({ t: 1, i: 2 }),
      new bson.BSONRegExp("a", "i"),
      new bson.BSONSymbol("s"),
      new bson.MinKey(),
      new bson.MaxKey(),
      new bson.Code("f", { a: new bson.Int32(1) }),
      new bson.DBRef("c", new bson.ObjectId(hex), "d")
    ]
    const first = { Binary, BSONRegExp, BSONSymbol, Code, DBRef, Decimal128, Double, Int32, Long, MaxKey, MinKey }
    const own = { ...first, ObjectId, Timestamp, UUID } as typeof Bson
    sameJson(Ejson.encodeUnsafe(values(second)), Ejson.encodeUnsafe(values(own)))
  })

  class Money {
    readonly amount = 1
    toBSON() {
      return { amount: this.amount }
    }
  }

  const refused: Record<string, unknown> = {
    "a function": () => 1,
    "a symbol": Symbol("x"),
    "an invalid Date": new Date(NaN),
    "an instance of a class, toBSON or not": new Money(),
    "an Error": new Error("x"),
    "a pattern with a NUL": new RegExp(String.fromCharCode(0)),
    "a Set": new Set([1]),
    "a WeakMap": new WeakMap(),
    "a Promise": Promise.resolve(1),
    "a typed array of numbers": new Float64Array(2),
    "a boxed number": Object(1),
    "a getter that throws": {
      get a() {
        throw new Error("no")
      }
    },
    "a damaged ObjectId": Object.create({ _bsontype: "ObjectId" }),
    "an Int32 without a number": Object.create(Int32.prototype),
    "a Double without a number": Object.create(Double.prototype),
    "a Long without halves": Object.create(Long.prototype),
    "a Date without a time": Object.create(Date.prototype),
    "a damaged Binary": Object.create({ _bsontype: "Binary" }),
    "a damaged Long": Object.create({ _bsontype: "Long" }),
    "a damaged Decimal128": Object.create({ _bsontype: "Decimal128" }),
    "an unknown BSON type": Object.create({ _bsontype: "Novelty" }, { x: { value: 1 } })
  }

  for (const [name, value] of Object.entries(refused)) {
    it(`${name} is refused with its path and what to do`, () => {
      const error = failure(Ejson.encode([{ when: { x: value } }], { root: "args" }))
      assert.match(error.path, /^args\[0\]\.when\.x/)
      assert.strictEqual(error.reason._tag, "Unsupported")
      assert.include(error.message, "cannot be sent: ")
    })
  }

  it("an object made from a null prototype is a document", () => {
    assert.deepStrictEqual(Ejson.encodeUnsafe(Object.assign(Object.create(null), { a: null })), { a: null })
  })
})

describe("undefined", () => {
  it("a member that is undefined is left out at every depth", () => {
    assert.deepStrictEqual(Ejson.encodeUnsafe({ a: undefined, b: { c: undefined }, d: [{ e: undefined }] }), {
      b: {},
      d: [{}]
    })
  })

  it("an element or a whole value that is undefined is wrapped, and comes back at every depth", () => {
    const wrapped = { $undefined: true }
    assert.deepStrictEqual(Ejson.encodeUnsafe(undefined), wrapped)
    assert.deepStrictEqual(Ejson.encodeUnsafe([undefined, { a: [undefined] }]), [wrapped, { a: [wrapped] }])
    // oxlint-disable-next-line no-sparse-arrays -- a hole is what is tested
    assert.deepStrictEqual(Ejson.encodeUnsafe([, null]), [wrapped, null])
    assert.strictEqual(Ejson.decodeUnsafe(wrapped), undefined)
    assert.deepStrictEqual(Ejson.decodeUnsafe([wrapped, { a: [wrapped], b: wrapped }]), [
      undefined,
      { a: [undefined], b: undefined }
    ])
  })
})

describe("bounds", () => {
  const nest = (levels: number, around: (inner: unknown) => unknown): unknown => {
    let value: unknown = null
    for (let level = 0; level < levels; level++) value = around(value)
    return value
  }
  const shapes: ReadonlyArray<(inner: unknown) => unknown> = [
    (inner) => [inner],
    (inner) => ({ a: inner }),
    (inner) => ({ $code: "", $scope: { a: inner } }),
    (inner) => ({ $ref: "c", $id: inner })
  ]

  it("a hundred thousand levels end in a typed error both ways, whatever the limit", () => {
    for (const around of shapes) {
      const value = nest(100_000, around)
      for (const maxDepth of [undefined, 1e9, NaN, -Infinity]) {
        assert.strictEqual(failure(Ejson.decode(value, { maxDepth })).reason._tag, "TooDeep")
        assert.strictEqual(failure(Ejson.encode(value, { maxDepth })).reason._tag, "TooDeep")
      }
    }
    const text = "{\"a\":[".repeat(100_000) + "]}".repeat(100_000)
    assert.strictEqual(failure(Ejson.parse(text)).reason._tag, "TooDeep")
  })

  it("exactly the allowed depth passes, one level more does not", () => {
    for (const maxDepth of [1, 10, 200]) {
      const limits = { maxDepth }
      for (const around of [(inner: unknown) => [inner], (inner: unknown) => ({ a: inner })]) {
        const value = nest(maxDepth, around)
        assert.deepStrictEqual(Ejson.decodeUnsafe(Ejson.encodeUnsafe(value, limits), limits), value)
        assert.strictEqual(failure(Ejson.encode(around(value), limits)).reason._tag, "TooDeep")
        assert.strictEqual(failure(Ejson.decode(around(value), limits)).reason._tag, "TooDeep")
      }
    }
  })

  it("the path of a very deep or very long-named place stays short", () => {
    const error = failure(Ejson.decode(nest(1000, (inner) => ({ ["k".repeat(10_000)]: inner }))))
    assert.isBelow(error.message.length, 600)
  })

  it("exactly the allowed number of values passes, one more does not", () => {
    const value = { a: ["x", "y"], b: "z" }
    assert.isTrue(Result.isSuccess(Ejson.decode(value, { maxNodes: 5 })))
    assert.isTrue(Result.isSuccess(Ejson.encode(value, { maxNodes: 5 })))
    assert.deepStrictEqual(failure(Ejson.decode(value, { maxNodes: 4 })).reason, { _tag: "TooLarge", limit: 4 })
    assert.deepStrictEqual(failure(Ejson.encode(value, { maxNodes: 4 })).reason, { _tag: "TooLarge", limit: 4 })
  })

  it("decimals, which are slow to read, are allowed in smaller numbers", () => {
    const value = [{ $numberDecimal: "1" }, { $numberDecimal: "2" }]
    assert.isTrue(Result.isSuccess(Ejson.decode(value, { maxNodes: 21 })))
    assert.deepStrictEqual(failure(Ejson.decode(value, { maxNodes: 20 })).reason, { _tag: "TooLarge", limit: 20 })
  })

  it("a small value that unfolds without end is cut off", () => {
    const unfolding = nest(150, (inner) => [inner, inner])
    assert.strictEqual(failure(Ejson.encode(unfolding, { maxNodes: 10_000 })).reason._tag, "TooLarge")
    const sparse: Array<unknown> = []
    sparse.length = 4_000_000_000
    assert.strictEqual(failure(Ejson.encode(sparse)).reason._tag, "TooLarge")
  })

  it("a cycle is told from mere depth, and where it closes", () => {
    const document: Record<string, unknown> = { name: "x" }
    document["children"] = [{ parent: document }]
    const error = failure(Ejson.encode([document], { root: "args" }))
    assert.strictEqual(error.reason._tag, "Cycle")
    assert.strictEqual(error.path, "args[0].children[0].parent")
    const map = new Map<string, unknown>()
    map.set("self", map)
    assert.strictEqual(failure(Ejson.encode(map)).reason._tag, "Cycle")
  })

  it("a value met twice without a cycle is sent twice", () => {
    const shared = { a: null }
    assert.deepStrictEqual(Ejson.encodeUnsafe([shared, shared]), [shared, shared])
  })
})

describe("keys", () => {
  const text =
    "{\"__proto__\":{\"polluted\":true},\"constructor\":{\"prototype\":{}},\"toString\":\"x\",\"hasOwnProperty\":null}"

  it("prototype keys are plain own data both ways", () => {
    const value = Result.getOrThrow(Ejson.parse(text))
    assert.strictEqual(Object.getPrototypeOf(value), Object.prototype)
    assert.deepStrictEqual(Object.keys(value as object), ["__proto__", "constructor", "toString", "hasOwnProperty"])
    assert.strictEqual(Result.getOrThrow(Ejson.stringify(value)), text)
    assert.isUndefined(Reflect.get({}, "polluted"))
  })

  it("prototype keys are harmless next to a reference and in a scope", () => {
    for (const json of [`{"$ref":"c","$id":null,"__proto__":${text}}`, `{"$code":"","$scope":${text}}`]) {
      assert.strictEqual(Result.getOrThrow(Ejson.stringify(Result.getOrThrow(Ejson.parse(json)))), json)
    }
  })

  it("a document with a key _bsontype is a document", () => {
    const value = { _bsontype: "ObjectId", id: "x" }
    assert.deepStrictEqual(Ejson.encodeUnsafe(value), value)
    assert.deepStrictEqual(Ejson.decodeUnsafe(value), value)
  })

  it("a wrapper's key that is not the first is data", () => {
    const value = { a: "x", $oid: "nope" }
    assert.deepStrictEqual(Ejson.decodeUnsafe(value), value)
    assert.deepStrictEqual(Ejson.encodeUnsafe(value), value)
  })
})

describe("malformed wrappers", () => {
  const malformed: ReadonlyArray<Record<string, unknown>> = [
    { $oid: "nope" },
    { $oid: 1 },
    { $oid: hex, more: 1 },
    { $oid: { $oid: hex } },
    { $numberInt: 1 },
    { $numberInt: "" },
    { $numberInt: "-" },
    { $numberInt: "1.0" },
    { $numberInt: "2147483648" },
    { $numberLong: "0x10" },
    { $numberLong: " 1" },
    { $numberLong: 1 },
    { $numberDouble: "" },
    { $numberDouble: "0x10" },
    { $numberDouble: "one" },
    { $numberDouble: "1e999" },
    { $numberDecimal: "x" },
    { $numberDecimal: "1".repeat(40) },
    { $date: "soon" },
    { $date: "2022-05-11T19:27:19" },
    { $date: { $numberLong: "8640000000000001" } },
    { $date: { $numberLong: "1", more: 1 } },
    { $date: null },
    { $binary: "aGk=" },
    { $binary: { base64: "aGk", subType: "00" } },
    { $binary: { base64: "aG_=", subType: "00" } },
    { $binary: { base64: "aGk=", subType: "100" } },
    { $binary: { base64: "aGk=" } },
    { $uuid: "0d5b6e4c" },
    { $timestamp: { t: -1, i: 0 } },
    { $timestamp: { t: 1 } },
    { $timestamp: { t: 4294967296, i: 0 } },
    { $regularExpression: { pattern: "a" } },
    { $regularExpression: { pattern: "a", options: "g" } },
    { $regularExpression: { pattern: "\0", options: "" } },
    { $minKey: 2 },
    { $maxKey: "1" },
    { $undefined: false },
    { $symbol: 1 },
    { $code: 1 },
    { $code: "x", $scope: 1 },
    { $code: "x", more: 1 }
  ]

  for (const wire of malformed) {
    it(`${JSON.stringify(wire)} is refused both ways, with its path`, () => {
      for (const result of [Ejson.decode([{ "a b": wire }]), Ejson.encode([{ "a b": wire }])]) {
        const error = failure(result)
        assert.strictEqual(error.path, "[0][\"a b\"]")
        assert.strictEqual(error.reason._tag, "Malformed")
        assert.include(error.message, Object.keys(wire)[0] ?? "")
      }
    })
  }

  it("an error repeats nothing of the value", () => {
    assert.notInclude(failure(Ejson.decode({ password: { $oid: "s3cret" } })).message, "s3cret")
    assert.notInclude(failure(Ejson.decode({ password: { $numberDecimal: "s3cret" } })).message, "s3cret")
    assert.notInclude(failure(Ejson.parse("s3cret")).message, "s3cret")
  })

  it("text that is no JSON fails typed", () => {
    for (const text of ["", "<html>", "{\"a\":", "NaN", "undefined"]) {
      assert.strictEqual(failure(Ejson.parse(text)).reason._tag, "InvalidText")
    }
  })

  it("what JSON cannot hold is not decoded", () => {
    for (const value of [undefined, () => 1, 1n, new Date(0), new ObjectId(hex)]) {
      assert.strictEqual(failure(Ejson.decode({ a: value })).path, "a")
    }
  })
})

describe("schemas", () => {
  const Order = Schema.Struct({ _id: Ejson.ObjectId, at: Schema.Date, n: Schema.Number, big: Ejson.Int64 })
  const wire = {
    _id: { $oid: hex },
    at: { $date: { $numberLong: "0" } },
    n: { $numberInt: "7" },
    big: { $numberLong: "9007199254740993" }
  }
  const order = { _id: new ObjectId(hex), at: new Date(0), n: 7, big: 9007199254740993n }

  it("a struct of values decodes from text and encodes to the same text", () => {
    const codec = Schema.fromJsonString(Ejson.Value.pipe(Schema.decodeTo(Order)))
    assert.deepStrictEqual(Schema.decodeSync(codec)(JSON.stringify(wire)), order)
    assert.strictEqual(Schema.encodeSync(codec)(order), JSON.stringify(wire))
  })

  it("a codec that HttpApi derives leaves Extended JSON as it is", () => {
    const codec = Schema.toCodecJson(Ejson.Value.pipe(Schema.decodeTo(Order)))
    assert.deepStrictEqual<unknown>(Schema.encodeSync(codec)(order), wire)
    assert.deepStrictEqual(Schema.decodeUnknownSync(codec)(wire), order)
  })

  it("a value inside another JSON codec is Extended JSON", () => {
    const codec = Schema.toCodecJson(Schema.Struct({ id: Ejson.ObjectId, price: Ejson.Double }))
    const value = { id: new ObjectId(hex), price: new Double(1) }
    const json = { id: { $oid: hex }, price: { $numberDouble: "1.0" } }
    assert.deepStrictEqual<unknown>(Schema.encodeSync(codec)(value), json)
    same(Schema.decodeUnknownSync(codec)(json), value)
    assert.throws(() => Schema.decodeUnknownSync(codec)({ id: { $oid: hex }, price: { $numberInt: "1" } }))
  })

  it("an issue points to the place", () => {
    const error = Result.getOrThrow(
      Result.flip(Schema.decodeUnknownResult(Ejson.Value)([{ when: { $date: "soon" } }]))
    )
    assert.include(String(error), "[0][\"when\"]")
    assert.include(String(error), "\"$date\" must hold")
  })

  it("a hundred thousand levels end in an issue", () => {
    const text = "[".repeat(100_000) + "]".repeat(100_000)
    assert.isTrue(Result.isFailure(Schema.decodeResult(Schema.fromJsonString(Ejson.Value))(text)))
  })

  it("a document is neither array nor scalar nor wrapped value", () => {
    const decode = Schema.decodeUnknownResult(Ejson.Document)
    assert.isTrue(Result.isSuccess(decode({ a: 1 })))
    for (const json of [[], "a", 1, null, { $oid: hex }, { $undefined: true }]) {
      assert.isTrue(Result.isFailure(decode(json)))
    }
  })

  it("each schema accepts its own values and no others", () => {
    const schemas = {
      ObjectId: [Ejson.ObjectId, new ObjectId(hex)],
      Int32: [Ejson.Int32, new Int32(1)],
      Double: [Ejson.Double, new Double(1)],
      Long: [Ejson.Long, new Long(1)],
      Decimal128: [Ejson.Decimal128, Decimal128.fromString("1")],
      Uuid: [Ejson.Uuid, new UUID(uuid)],
      Timestamp: [Ejson.Timestamp, new Timestamp({ t: 1, i: 1 })],
      RegExp: [Ejson.RegExp, new BSONRegExp("a")],
      BsonSymbol: [Ejson.BsonSymbol, new BSONSymbol("a")],
      Code: [Ejson.Code, new Code("a")],
      DBRef: [Ejson.DBRef, new DBRef("a", new ObjectId(hex))],
      MinKey: [Ejson.MinKey, new MinKey()],
      MaxKey: [Ejson.MaxKey, new MaxKey()]
    } as const
    for (const [name, [schema]] of Object.entries(schemas)) {
      for (const [other, [, value]] of Object.entries(schemas)) {
        assert.strictEqual(Schema.is(schema)(value), name === other, `${name} of ${other}`)
      }
      assert.isFalse(Schema.is(schema)({ _bsontype: name }))
    }
    assert.isTrue(Schema.is(Ejson.Binary)(new Binary(hi)))
    assert.isTrue(Schema.is(Ejson.Binary)(new UUID(uuid)))
    assert.isFalse(Schema.is(Ejson.Uuid)(new Binary(hi, 4)))
  })

  it("two values are equivalent when they encode alike", () => {
    const equivalent = Schema.toEquivalence(Schema.Struct({ id: Ejson.ObjectId }))
    assert.isTrue(equivalent({ id: new ObjectId(hex) }, { id: new ObjectId(hex) }))
    assert.isFalse(equivalent({ id: new ObjectId(hex) }, { id: new ObjectId() }))
  })
})
