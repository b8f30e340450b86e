import { assert, describe, it } from "@effect/vitest"
import { ObjectId } from "bson"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Ejson from "../src/Ejson.ts"
import * as RealmError from "../src/RealmError.ts"
import * as RealmFunction from "../src/RealmFunction.ts"

class OutOfStock extends Schema.TaggedError<OutOfStock>("OutOfStock")("OutOfStock", {
  item: Schema.String,
  left: Schema.Int,
  until: Schema.optionalKey(Schema.Date)
}) {
  override get message() {
    return `only ${this.left} of ${this.item} left`
  }
}

class Line extends Schema.Class<Line>("Line")({ item: Schema.String, count: Schema.Natural }) {}

interface Tree {
  readonly value: number
  readonly children: ReadonlyArray<Tree>
}
const Tree: Schema.Codec<Tree> = Schema.Struct({
  value: Schema.Number,
  children: Schema.Array(Schema.suspend((): Schema.Codec<Tree> => Tree))
})

const Everything = Schema.Struct({
  text: Schema.String,
  yes: Schema.Boolean,
  nothing: Schema.Null,
  int: Schema.Int,
  number: Schema.Number,
  long: Schema.BigInt,
  int64: Ejson.Int64,
  date: Schema.Date,
  bytes: Schema.Uint8Array,
  id: Ejson.ObjectId,
  uuid: Ejson.Uuid,
  decimal: Ejson.Decimal128,
  int32: Ejson.Int32,
  double: Ejson.Double,
  bsonLong: Ejson.Long,
  binary: Ejson.Binary,
  timestamp: Ejson.Timestamp,
  option: Schema.Option(Schema.Date),
  result: Schema.Result(Schema.Int, Schema.String),
  undefinedOr: Schema.UndefinedOr(Schema.String),
  nullish: Schema.NullishOr(Schema.Int),
  missing: Schema.optionalKey(Schema.Uint8Array),
  optional: Schema.optional(Schema.Date),
  lines: Schema.Array(Line),
  tuple: Schema.Tuple([
    Schema.String,
    Schema.optionalKey(Schema.BigInt.check(Schema.isBetweenBigInt({ minimum: 0n, maximum: 9n })))
  ]),
  record: Schema.Record(Schema.String.check(Schema.isPattern(/^[a-z]{1,8}$/)), Schema.Finite),
  union: Schema.Union([Schema.Finite, Schema.String, Schema.Date]),
  tagged: Schema.TaggedUnion({ A: { at: Schema.Date }, B: { n: Schema.Int } }),
  literal: Schema.Literals(["a", 1, 2n, true]),
  tree: Tree,
  redacted: Schema.RedactedFromValue(Schema.String),
  duration: Schema.Duration,
  url: Schema.URL,
  map: Schema.ReadonlyMap(Schema.String, Schema.Uint8Array)
})

const everything = RealmFunction.make("everything", {
  args: [Everything, Schema.optionalKey(Schema.Date)],
  success: Everything,
  error: Everything
})

/** Over the wire: as text, read as a client or a server reads it. */
const overTheWire = (value: unknown) => JSON.parse(JSON.stringify(value))

describe("A contract", () => {
  it.effect.prop(
    "round-trips generated values of its schemas exactly: arguments, result and own error",
    [Schema.toType(everything.args)],
    ([args]) =>
      Effect.gen(function*() {
        const codec = everything.codec
        const equivalent = Schema.toEquivalence(everything.args)
        const sent = overTheWire(yield* codec.encodeArgs(args))
        const got = yield* codec.decodeArgs(sent)
        assert.deepStrictEqual(got, args)
        assert.isTrue(equivalent(got, args))
        const result = yield* codec.decodeResult(overTheWire(yield* codec.encodeResult(args[0])))
        assert.deepStrictEqual(result, args[0])
        const error = yield* Effect.flip(codec.decodeError(yield* codec.encodeError(args[0])))
        assert.deepStrictEqual(error, args[0])
      })
  )

  it.effect("sends BSON values, as a function of the app expects them", () =>
    Effect.gen(function*() {
      const contract = RealmFunction.make("f", {
        args: [Schema.Date, Ejson.ObjectId, Schema.Uint8Array, Schema.BigInt, Schema.Option(Schema.Date), Line]
      })
      const id = new ObjectId("65f000000000000000000001")
      const sent = yield* contract.codec.encodeArgs([
        new Date(0),
        id,
        Uint8Array.of(1),
        7n,
        Option.some(new Date(1)),
        new Line({ item: "tea", count: 2 })
      ])
      assert.deepStrictEqual(sent, [
        { $date: { $numberLong: "0" } },
        { $oid: "65f000000000000000000001" },
        { $binary: { base64: "AQ==", subType: "00" } },
        { $numberLong: "7" },
        { _tag: "Some", value: { $date: { $numberLong: "1" } } },
        { item: "tea", count: { $numberInt: "2" } }
      ])
    }))

  it.effect("names the place and what was expected there, and never the value", () =>
    Effect.gen(function*() {
      const place = RealmFunction.make("orders/place", {
        args: [Schema.Struct({ lines: Schema.Array(Line) })],
        success: Schema.Struct({ total: Schema.Int }),
        error: OutOfStock
      })
      const codec = place.codec
      const wrong = yield* Effect.flip(codec.decodeArgs([{ lines: [{ item: "tea", count: "s3cret" }] }]))
      assert.instanceOf(wrong, RealmFunction.ContractError)
      assert.deepInclude(wrong, {
        function: "orders/place",
        part: "args",
        by: "Server",
        path: "args[0].lines[0].count",
        detail: "Expected number"
      })
      assert.notInclude(wrong.message, "s3cret")
      assert.strictEqual((yield* Effect.flip(codec.decodeArgs([]))).path, "args[0]")
      assert.deepInclude(yield* Effect.flip(codec.decodeResult({ total: 1.5 })), {
        part: "result",
        path: "result.total"
      })
      assert.deepInclude(yield* Effect.flip(codec.decodeResult("secret")), { part: "result", path: "result" })

      // The refusal of the server is the same error on the client.
      assert.deepStrictEqual(yield* Effect.flip(codec.decodeError(codec.refuseArgs(wrong))), wrong)
    }))

  it.effect("reads its own errors in what JavaScript has thrown as an object, and leaves other refusals alone", () =>
    Effect.gen(function*() {
      const contract = RealmFunction.make("f", { error: OutOfStock })
      const { decodeError, encodeError } = contract.codec
      const error = new OutOfStock({ item: "tea", left: 1, until: new Date(0) })
      const refusal = yield* encodeError(error)
      assert.strictEqual(
        refusal.reason.message,
        "{\"_tag\":\"OutOfStock\",\"item\":\"tea\",\"left\":{\"$numberInt\":\"1\"},\"until\":{\"$date\":{\"$numberLong\":\"0\"}}}"
      )
      const read = yield* Effect.flip(decodeError(refusal))
      assert.instanceOf(read, OutOfStock)
      assert.deepStrictEqual(read, error)

      const thrown = RealmError.make("FunctionExecutionError", "{\"_tag\":\"OutOfStock\",\"item\":\"tea\",\"left\":1}")
      assert.deepStrictEqual(yield* Effect.flip(decodeError(thrown)), new OutOfStock({ item: "tea", left: 1 }))

      const odd = RealmError.make("FunctionExecutionError", "{\"_tag\":\"OutOfStock\",\"item\":\"tea\"}")
      assert.deepInclude(yield* Effect.flip(decodeError(odd)), {
        _tag: "ContractError",
        part: "error",
        path: "error.left"
      })

      for (
        const other of [
          RealmError.make("FunctionExecutionError", "TypeError: x is not a function"),
          RealmError.make("FunctionExecutionError", "12"),
          RealmError.make("FunctionExecutionError", "[1"),
          RealmError.make("ArgumentsNotAllowed", "a rule of the app"),
          RealmError.make("FunctionNotFound", "function not found: 'f'"),
          RealmError.make("ExecutionTimeLimitExceeded", "{}")
        ]
      ) {
        assert.strictEqual(yield* Effect.flip(decodeError(other)), other)
      }
      const without = RealmFunction.make("f").codec
      assert.strictEqual(yield* Effect.flip(without.decodeError(refusal)), refusal)
    }))

  it.effect("answers nothing unless it says what", () =>
    Effect.gen(function*() {
      const { decodeResult, encodeResult } = RealmFunction.make("f").codec
      assert.deepStrictEqual(yield* encodeResult(undefined), { $undefined: true })
      assert.isUndefined(yield* decodeResult({ $undefined: true }))
      assert.isUndefined(yield* decodeResult(null))
    }))

  it("has a name that a function can have", () => {
    for (const name of ["", "a b", "/a", "a//b", "ä", "a/"]) {
      assert.throws(() => RealmFunction.make(name), /function name/)
    }
    assert.strictEqual(RealmFunction.make("orders/place-2_b").name, "orders/place-2_b")
  })

  it("has schemas, and says where something else was given", () => {
    const make: (name: string, options: never) => unknown = RealmFunction.make
    const wrong: ReadonlyArray<readonly [path: string, options: unknown]> = [
      [`["args"][0]`, { args: 7 }],
      [`["args"][1]`, { args: [Schema.Int, "int"] }],
      [`["success"]`, { success: "int" }],
      [`["error"]`, { error: null }]
    ]
    for (const [path, options] of wrong) assert.throws(() => make("sum", options as never), Schema.SchemaError, path)
  })

  it("is told from everything else", () => {
    assert.isTrue(RealmFunction.isRealmFunction(everything))
    for (const other of [undefined, null, "sum", { name: "sum" }, () => 1]) {
      assert.isFalse(RealmFunction.isRealmFunction(other))
    }
  })
})
