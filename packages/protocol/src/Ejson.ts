/**
 * Extended JSON v2: BSON values in JSON, exact both ways (protocol section 2).
 *
 * The codec walks a value that `JSON.parse` made, or that `JSON.stringify` will write, exactly once. It speaks the value
 * classes of the npm package `bson` and knows them by `_bsontype`, so a second copy of `bson` in the program works too.
 *
 * **Numbers, decoded.** With `numbers: "native"` (the default) every number becomes a JavaScript number; only a
 * `$numberLong` beyond 2^53 - 1, which a number would round, becomes a `Long`. With `numbers: "exact"` every number
 * becomes an `Int32`, `Long` or `Double`, so that encoding it again gives the same BSON type; a bare number becomes the
 * smallest type that holds it. An integer beyond 2^53 - 1 must travel as `$numberLong`: in bare form `JSON.parse` has
 * rounded it already, and it counts as a double.
 *
 * **Numbers, encoded.** An integer of 32 bits is `$numberInt`, any other safe integer `$numberLong`, the rest (`-0`, `NaN`,
 * infinities, 2^53 and up) `$numberDouble`. A `bigint` of 64 bits is `$numberLong`. Wrap a number in `Double` or `Int32`
 * or `Long` where the type matters, for instance for a double that happens to be whole.
 *
 * **`undefined`.** A member of a document that is `undefined` is left out. Everywhere else (an array element, the whole
 * value) it is `{ "$undefined": true }`, which decodes to `undefined` at every depth. Leaving members out is what a
 * reader of JavaScript expects and what App Services made of them; an array element cannot be left out without
 * moving its neighbours. realm-web reads the wrapper as `null`, the other clients and functions as an absent value.
 *
 * **Values that already are Extended JSON.** Encoding is idempotent: `{ $oid: "…" }` in a plain document is written as
 * the ObjectId it stands for. A document that merely looks like a wrapper, `{ $oid: "nope" }`, is refused both ways,
 * because no Extended JSON can carry it. A wrapper is told by its first key; all other keys with `$` make documents,
 * among them query operators and the older `{ $regex, $options }`, which MongoDB reads as an operator just as well.
 *
 * **What else is accepted.** Decoding takes canonical and relaxed input, `$uuid`, and the older `{ $binary, $type }`.
 * Encoding takes `Date`, `RegExp` with the flags i, m, s, u, `Uint8Array` and `ArrayBuffer` (bytes of subtype 0), and `Map` with
 * string keys. A pattern always decodes to `BSONRegExp`, as MongoDB's dialect is not JavaScript's. A DBPointer stays the
 * document `{ $dbPointer: DBRef }`. Functions, symbols and instances of other classes fail: `toBSON` and `toJSON` are not
 * called, as `bson` does not call them here either.
 */
import type * as Bson from "bson"
import {
  Binary as BsonBinary,
  Decimal128 as BsonDecimal128,
  Double as BsonDouble,
  Int32 as BsonInt32,
  Long as BsonLong,
  ObjectId as BsonObjectId,
  Timestamp as BsonTimestamp,
  UUID as BsonUuid
} from "bson"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as SchemaAST from "effect/SchemaAST"
import * as SchemaGetter from "effect/SchemaGetter"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"
import * as BsonCodec from "./internal/bsonCodec.ts"
import { decodeValue } from "./internal/ejsonDecode.ts"
import { diagnose, encodeValue } from "./internal/ejsonEncode.ts"
import { Failure, fromUnknown, walk } from "./internal/ejsonFailure.ts"
import * as Native from "./internal/ejsonNative.ts"
import * as ValuePath from "./internal/valuePath.ts"

// -----------------------------------------------------------------------------
// Model
// -----------------------------------------------------------------------------

/** A document: string keys, BSON values. */
export interface Document {
  readonly [key: string]: unknown
}

/** How far a walk may go. */
export interface Limits {
  /**
   * How many levels of arrays and documents are allowed, 1 to 1,000. Default 200: MongoDB stores 100, and the rest
   * is room for what a request or a query puts around them.
   */
  readonly maxDepth?: number | undefined
  /**
   * How many values (documents, array elements and members, counted each time they are met) are allowed. A decimal that
   * is decoded counts as ten. Default 5,000,000, about what fits into the largest request App Services took (18 MB).
   */
  readonly maxNodes?: number | undefined
  /** What the value is called in errors: with `"args"` a path reads `args[0].when`. Default: nothing. */
  readonly root?: string | undefined
}

/** How to decode. */
export interface DecodeOptions extends Limits {
  /** `"native"` (default): JavaScript numbers, and `Long` beyond 2^53 - 1. `"exact"`: `Int32`, `Long`, `Double`. */
  readonly numbers?: "native" | "exact" | undefined
}

/** How to encode. */
export interface EncodeOptions extends Limits {
  /**
   * `true` writes numbers bare and dates of the years 1970 to 9999 as ISO strings, as far as that is exact in value:
   * an int64 beyond 2^53 - 1 and `-0` stay wrapped. The types of numbers are lost. Default `false`, canonical.
   */
  readonly relaxed?: boolean | undefined
}

// -----------------------------------------------------------------------------
// Errors
// -----------------------------------------------------------------------------

/**
 * Why a value could not be decoded or encoded.
 *
 * - `Unsupported`: a JavaScript value that has no BSON form (`found`), and what to do about it (`advice`).
 * - `Malformed`: a known wrapper (`"$oid"`) that holds something else than `expected`.
 * - `InvalidText`: the text is no JSON.
 * - `TooDeep`, `TooLarge`: over the `limit`.
 * - `Cycle`: the value contains itself.
 */
export const EjsonErrorReason = Schema.TaggedUnion({
  Unsupported: { found: Schema.String, advice: Schema.String },
  Malformed: { wrapper: Schema.String, expected: Schema.String },
  InvalidText: {},
  TooDeep: { limit: Schema.Finite },
  TooLarge: { limit: Schema.Finite },
  Cycle: {}
})

/** The type of {@link EjsonErrorReason}. */
export type EjsonErrorReason = typeof EjsonErrorReason.Type

/**
 * A value that Extended JSON cannot carry, or Extended JSON that is wrong. It never repeats the value itself, which may
 * be a secret.
 *
 * @example
 * ```ts
 * import { Ejson } from "@effect-realm/protocol"
 * import * as Result from "effect/Result"
 * import * as assert from "node:assert/strict"
 *
 * const result = Ejson.decode([{ when: { $date: "soon" } }], { root: "args" })
 * assert.ok(Result.isFailure(result) && result.failure instanceof Ejson.EjsonError)
 * assert.equal(result.failure.path, "args[0].when")
 * assert.equal(result.failure.reason._tag, "Malformed")
 * ```
 */
export class EjsonError extends Schema.TaggedError<EjsonError>("@effect-realm/protocol/EjsonError")("EjsonError", {
  reason: EjsonErrorReason,
  /** Where, like `args[0].when`; empty for the value as a whole. */
  path: Schema.String
}) {
  override get message(): string {
    return `Extended JSON, ${this.path === "" ? "the value" : this.path}: ${describe(this.reason)}`
  }
}

const describe = (reason: EjsonErrorReason): string => {
  switch (reason._tag) {
    case "Unsupported":
      return `${reason.found} cannot be sent: ${reason.advice}`
    case "Malformed":
      return `"${reason.wrapper}" must hold ${reason.expected}`
    case "InvalidText":
      return "the text is not JSON: check that it is complete and comes from where you think it does"
    case "TooDeep":
      return `more than ${reason.limit} levels of nesting: flatten the value`
    case "TooLarge":
      return `more than ${reason.limit} values: send it in parts`
    case "Cycle":
      return "the value contains itself: replace the reference by an id"
  }
}

const toError = (failure: Failure, root: string | undefined): EjsonError =>
  new EjsonError({ reason: failure.reason, path: ValuePath.format(root ?? "", failure.path.toReversed()) })

// -----------------------------------------------------------------------------
// Decoding and encoding
// -----------------------------------------------------------------------------

const defaultMaxDepth = 200
const defaultMaxNodes = 5_000_000

const start = (limits: Limits | undefined) =>
  walk(limits?.maxNodes ?? defaultMaxNodes, limits?.maxDepth ?? defaultMaxDepth)

const decodeOrFailure = (json: unknown, options: DecodeOptions | undefined): unknown =>
  decodeValue(start(options), json, 0, options?.numbers === "exact")

const encodeOrFailure = (value: unknown, options: EncodeOptions | undefined): Schema.Json => {
  try {
    return encodeValue(start(options), value, 0, options?.relaxed === true)
  } catch (cause) {
    throw diagnose(value, cause)
  }
}

/**
 * Decodes a value that `JSON.parse` made.
 *
 * Fails with `EjsonError` of every reason but `InvalidText` and `Cycle`.
 *
 * @example
 * ```ts
 * import { Ejson } from "@effect-realm/protocol"
 * import * as Result from "effect/Result"
 * import * as assert from "node:assert/strict"
 *
 * assert.deepEqual(Ejson.decode([{ $numberInt: "1" }, { $numberLong: "2" }, 3]), Result.succeed([1, 2, 3]))
 * ```
 */
export const decode = (json: unknown, options?: DecodeOptions): Result.Result<unknown, EjsonError> => {
  try {
    return Result.succeed(decodeOrFailure(json, options))
  } catch (cause) {
    return Result.fail(toError(fromUnknown(cause), options?.root))
  }
}

/**
 * Like {@link decode}, for callers without Effect around them: throws the `EjsonError`.
 *
 * @example
 * ```ts
 * import { Ejson } from "@effect-realm/protocol"
 * import * as assert from "node:assert/strict"
 *
 * assert.deepEqual(Ejson.decodeUnsafe({ at: { $date: { $numberLong: "0" } } }), { at: new Date(0) })
 * ```
 */
export const decodeUnsafe = (json: unknown, options?: DecodeOptions): unknown => {
  try {
    return decodeOrFailure(json, options)
  } catch (cause) {
    throw toError(fromUnknown(cause), options?.root)
  }
}

/**
 * Encodes a JavaScript or BSON value as JSON that `JSON.stringify` writes. The value itself is left as it is.
 *
 * Fails with `EjsonError` of every reason but `InvalidText`; `Malformed` is for plain documents that look like a wrapper.
 *
 * @example
 * ```ts
 * import { Ejson } from "@effect-realm/protocol"
 * import * as Result from "effect/Result"
 * import * as assert from "node:assert/strict"
 *
 * assert.deepEqual(
 *   Ejson.encode({ n: 1, big: 2n ** 62n, skipped: undefined }),
 *   Result.succeed({ n: { $numberInt: "1" }, big: { $numberLong: "4611686018427387904" } })
 * )
 * ```
 */
export const encode = (value: unknown, options?: EncodeOptions): Result.Result<Schema.Json, EjsonError> => {
  try {
    return Result.succeed(encodeOrFailure(value, options))
  } catch (cause) {
    return Result.fail(toError(fromUnknown(cause), options?.root))
  }
}

/**
 * Like {@link encode}, for callers without Effect around them: throws the `EjsonError`.
 *
 * @example
 * ```ts
 * import { Ejson } from "@effect-realm/protocol"
 * import * as assert from "node:assert/strict"
 *
 * assert.deepEqual(Ejson.encodeUnsafe([0.5, undefined]), [{ $numberDouble: "0.5" }, { $undefined: true }])
 * ```
 */
export const encodeUnsafe = (value: unknown, options?: EncodeOptions): Schema.Json => {
  try {
    return encodeOrFailure(value, options)
  } catch (cause) {
    throw toError(fromUnknown(cause), options?.root)
  }
}

/**
 * Reads Extended JSON text.
 *
 * Fails with `EjsonError`, of reason `InvalidText` when the text is no JSON, else as {@link decode}.
 *
 * @example
 * ```ts
 * import { Ejson } from "@effect-realm/protocol"
 * import * as Result from "effect/Result"
 * import * as assert from "node:assert/strict"
 *
 * assert.deepEqual(Ejson.parse("{\"n\":{\"$numberDouble\":\"-0.0\"}}"), Result.succeed({ n: -0 }))
 * ```
 */
export const parse = (text: string, options?: DecodeOptions): Result.Result<unknown, EjsonError> => {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    // not the parser's own message: it repeats a piece of the text
    return Result.fail(toError(new Failure({ _tag: "InvalidText" }), options?.root))
  }
  return decode(json, options)
}

/**
 * Writes a value as Extended JSON text.
 *
 * Fails with `EjsonError` as {@link encode}.
 *
 * @example
 * ```ts
 * import { Ejson } from "@effect-realm/protocol"
 * import * as Result from "effect/Result"
 * import * as assert from "node:assert/strict"
 *
 * assert.deepEqual(Ejson.stringify(new Date(0)), Result.succeed("{\"$date\":{\"$numberLong\":\"0\"}}"))
 * ```
 */
export const stringify = (value: unknown, options?: EncodeOptions): Result.Result<string, EjsonError> =>
  Result.map(encode(value, options), (json) => JSON.stringify(json))

// -----------------------------------------------------------------------------
// Codecs
// -----------------------------------------------------------------------------

/** JSON that is not checked beforehand: the walk that decodes it does that. */
const Wire: Schema.Codec<Schema.Json> = /* @__PURE__ */ Schema.declare<Schema.Json>(
  (json): json is Schema.Json => json !== undefined,
  {
    identifier: "ExtendedJson",
    expected: "Extended JSON",
    representation: { id: "effect/schema/Json", payload: null },
    toCodecJson: () => undefined
  }
)

const toIssue = (cause: unknown, input: unknown, options: SchemaAST.ParseOptions): SchemaIssue.Issue => {
  const failure = fromUnknown(cause)
  const issue = new SchemaIssue.InvalidValue({ message: describe(failure.reason) }, input, options)
  return failure.path.length === 0 ? issue : new SchemaIssue.Pointer(failure.path.toReversed(), issue)
}

const transformation = (options: CodecOptions | undefined) =>
  SchemaTransformation.transformEffect<unknown, Schema.Json>({
    decode: (json, parseOptions) => {
      try {
        return Effect.succeed(decodeOrFailure(json, options))
      } catch (cause) {
        return Effect.fail(toIssue(cause, json, parseOptions))
      }
    },
    encode: (value, parseOptions) => {
      try {
        return Effect.succeed(encodeOrFailure(value, options))
      } catch (cause) {
        return Effect.fail(toIssue(cause, value, parseOptions))
      }
    }
  })

/** How a codec decodes and encodes. `root` has no effect: issues carry a path of their own. */
export interface CodecOptions extends DecodeOptions, EncodeOptions {}

/**
 * A schema codec between Extended JSON and any BSON value, with options of your own.
 *
 * @example
 * ```ts
 * import { Ejson } from "@effect-realm/protocol"
 * import { Int32 } from "bson"
 * import * as Schema from "effect/Schema"
 * import * as assert from "node:assert/strict"
 *
 * const Exact = Ejson.codec({ numbers: "exact" })
 * assert.deepEqual(Schema.decodeUnknownSync(Exact)([{ $numberInt: "1" }]), [new Int32(1)])
 * ```
 */
export const codec = (options?: CodecOptions): Schema.Codec<unknown, Schema.Json> =>
  Wire.pipe(Schema.decodeTo(Schema.Unknown, transformation(options)))

/**
 * The codec between Extended JSON and any BSON value: native numbers, canonical output. Put your own schema behind
 * it with `Schema.decodeTo`, or text before it with `Schema.fromJsonString`.
 *
 * @example
 * ```ts
 * import { Ejson } from "@effect-realm/protocol"
 * import { ObjectId } from "bson"
 * import * as Schema from "effect/Schema"
 * import * as assert from "node:assert/strict"
 *
 * const Order = Ejson.Value.pipe(Schema.decodeTo(Schema.Struct({ _id: Ejson.ObjectId, total: Schema.Number })))
 * const wire = { _id: { $oid: "65f000000000000000000001" }, total: { $numberInt: "7" } }
 * const order = Schema.decodeUnknownSync(Order)(wire)
 * assert.deepEqual(order, { _id: new ObjectId("65f000000000000000000001"), total: 7 })
 * assert.deepEqual(Schema.encodeSync(Order)(order), wire)
 * ```
 */
export const Value: Schema.Codec<unknown, Schema.Json> = /* @__PURE__ */ codec()

const isPlain = (value: unknown): value is Document => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype || Object.getPrototypeOf(prototype) === null
}

/**
 * Like {@link Value}, for documents alone: an array, a scalar or a wrapped value is refused.
 *
 * @example
 * ```ts
 * import { Ejson } from "@effect-realm/protocol"
 * import * as Schema from "effect/Schema"
 * import * as assert from "node:assert/strict"
 *
 * assert.deepEqual(Schema.decodeUnknownSync(Ejson.Document)({ n: { $numberInt: "1" } }), { n: 1 })
 * assert.throws(() => Schema.decodeUnknownSync(Ejson.Document)({ $numberInt: "1" }))
 * ```
 */
export const Document: Schema.Codec<Document, Schema.Json> = /* @__PURE__ */ Value.pipe(
  /* @__PURE__ */ Schema.decodeTo(/* @__PURE__ */ Schema.declare<Document>(isPlain, { expected: "a document" }))
)

// -----------------------------------------------------------------------------
// Schemas of values
// -----------------------------------------------------------------------------

const sameEncoding = (self: unknown, that: unknown): boolean =>
  self === that || JSON.stringify(encodeUnsafe(self)) === JSON.stringify(encodeUnsafe(that))

const exactTransformation = /* @__PURE__ */ transformation({ numbers: "exact" })

/**
 * A schema of values whose `_bsontype` is `type`. Inside a JSON codec of its own (`Schema.toCodecJson`) such a value is
 * Extended JSON.
 */
const bsonValue = <A>(
  type: Bson.BSONTypeTag,
  arbitrary?: () => SchemaAST.Link,
  is: (value: Document) => boolean = () => true,
  fromNative?: (value: unknown) => unknown
): Schema.declare<A> =>
  Schema.declare<A>(
    (value): value is A => isInstance(value) && value["_bsontype"] === type && is(value),
    {
      expected: `a BSON ${type}`,
      toCodecJson: () =>
        // the declaration checks what comes out of the decoder, so `unknown` in between is safe
        Schema.link<A>()(Wire, exactTransformation as SchemaTransformation.Transformation<A, Schema.Json>),
      toEquivalence: () => sameEncoding,
      [Native.annotation]: fromNative satisfies Native.FromNative,
      ...(arbitrary === undefined ? undefined : { toCodecArbitrary: arbitrary })
    }
  )

const isInstance = (value: unknown): value is Document => typeof value === "object" && value !== null && !isPlain(value)

const generated = <A>() => <B>(from: Schema.Codec<B>, make: (seed: B) => A): SchemaAST.Link =>
  Schema.link<A>()(from, { decode: SchemaGetter.transform(make), encode: SchemaGetter.forbiddenEncoding })

const bytes = (minimum: number, maximum: number) =>
  Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))).check(
    Schema.isMinLength(minimum),
    Schema.isMaxLength(maximum)
  )

const uint32 = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0xffff_ffff }))
const isInt32 = (value: unknown): value is number => typeof value === "number" && (value | 0) === value
const int32 = Schema.Int.check(Schema.isBetween({ minimum: -0x8000_0000, maximum: 0x7fff_ffff }))

/** A decoded `ObjectId`, for your own structs behind {@link Value}. */
export const ObjectId: Schema.declare<Bson.ObjectId> = /* @__PURE__ */ bsonValue<Bson.ObjectId>(
  "ObjectId",
  () => generated<Bson.ObjectId>()(bytes(12, 12), (seed) => new BsonObjectId(Uint8Array.from(seed)))
)

/** A decoded `Int32`, which only `numbers: "exact"` yields. */
export const Int32: Schema.declare<Bson.Int32> = /* @__PURE__ */ bsonValue<Bson.Int32>(
  "Int32",
  () => generated<Bson.Int32>()(int32, (seed) => new BsonInt32(seed)),
  undefined,
  (value) => isInt32(value) ? new BsonInt32(value) : value
)

/** A decoded `Double`, which only `numbers: "exact"` yields. Encode with it to keep whole numbers doubles. */
export const Double: Schema.declare<Bson.Double> = /* @__PURE__ */ bsonValue<Bson.Double>(
  "Double",
  () => generated<Bson.Double>()(Schema.Number, (seed) => new BsonDouble(seed)),
  undefined,
  (value) => typeof value === "number" ? new BsonDouble(value) : value
)

/**
 * A decoded `Long`. With native numbers a value up to 2^53 - 1 is a number instead: use {@link Int64} to have one type
 * for all.
 */
export const Long: Schema.declare<Bson.Long> = /* @__PURE__ */ bsonValue<Bson.Long>(
  "Long",
  () => generated<Bson.Long>()(Schema.Tuple([uint32, uint32]), ([low, high]) => new BsonLong(low | 0, high | 0)),
  undefined,
  (value) => typeof value === "number" && Number.isSafeInteger(value) ? BsonLong.fromNumber(value) : value
)

/** A decoded `Decimal128`. */
export const Decimal128: Schema.declare<Bson.Decimal128> = /* @__PURE__ */ bsonValue<Bson.Decimal128>(
  "Decimal128",
  () =>
    generated<Bson.Decimal128>()(
      Schema.Tuple([Schema.Int, Schema.Int.check(Schema.isBetween({ minimum: -6000, maximum: 6000 }))]),
      ([digits, exponent]) => BsonDecimal128.fromString(`${digits}E${exponent}`)
    )
)

/** Decoded bytes of any subtype, a {@link Uuid} included. */
export const Binary: Schema.declare<Bson.Binary> = /* @__PURE__ */ bsonValue<Bson.Binary>(
  "Binary",
  () =>
    generated<Bson.Binary>()(
      Schema.Tuple([bytes(0, 40), Schema.Literals([0, 1, 3, 5, 128])]),
      ([seed, subType]) => new BsonBinary(Uint8Array.from(seed), subType)
    )
)

/** A decoded `UUID`: 16 bytes of subtype 4. */
export const Uuid: Schema.declare<Bson.UUID> = /* @__PURE__ */ bsonValue<Bson.UUID>(
  "Binary",
  () => generated<Bson.UUID>()(bytes(16, 16), (seed) => new BsonUuid(Uint8Array.from(seed))),
  (value) => value["sub_type"] === BsonBinary.SUBTYPE_UUID && value["position"] === 16
)

/** A decoded `Timestamp`: MongoDB's own, of seconds and a counter. */
export const Timestamp: Schema.declare<Bson.Timestamp> = /* @__PURE__ */ bsonValue<Bson.Timestamp>(
  "Timestamp",
  () => generated<Bson.Timestamp>()(Schema.Struct({ t: uint32, i: uint32 }), (seed) => new BsonTimestamp(seed))
)

/** A decoded `BSONRegExp`. */
export const RegExp: Schema.declare<Bson.BSONRegExp> = /* @__PURE__ */ bsonValue<Bson.BSONRegExp>(
  "BSONRegExp"
)

/** A decoded `BSONSymbol`, a deprecated type of strings. */
export const BsonSymbol: Schema.declare<Bson.BSONSymbol> = /* @__PURE__ */ bsonValue<Bson.BSONSymbol>(
  "BSONSymbol"
)

/** Decoded `Code`, with or without a scope. */
export const Code: Schema.declare<Bson.Code> = /* @__PURE__ */ bsonValue<Bson.Code>("Code")

/** A decoded `DBRef`. */
export const DBRef: Schema.declare<Bson.DBRef> = /* @__PURE__ */ bsonValue<Bson.DBRef>("DBRef")

/** The decoded value below all others. */
export const MinKey: Schema.declare<Bson.MinKey> = /* @__PURE__ */ bsonValue<Bson.MinKey>(
  "MinKey"
)

/** The decoded value above all others. */
export const MaxKey: Schema.declare<Bson.MaxKey> = /* @__PURE__ */ bsonValue<Bson.MaxKey>(
  "MaxKey"
)

/**
 * Any decoded integer as a `bigint`, whether it came as a number or as a `Long`; encodes to a `Long`.
 *
 * @example
 * ```ts
 * import { Ejson } from "@effect-realm/protocol"
 * import * as Schema from "effect/Schema"
 * import * as assert from "node:assert/strict"
 *
 * const Counter = Ejson.Value.pipe(Schema.decodeTo(Schema.Struct({ n: Ejson.Int64 })))
 * const wire = { n: { $numberLong: "9007199254740993" } }
 * assert.deepEqual(Schema.decodeUnknownSync(Counter)(wire), { n: 9007199254740993n })
 * assert.deepEqual(Schema.encodeSync(Counter)({ n: 1n }), { n: { $numberLong: "1" } })
 * ```
 */
export const Int64: Schema.Codec<bigint, number | Bson.Long> = Schema.Union([Schema.Int, Long]).pipe(
  Schema.decodeTo(
    Schema.BigInt.check(Schema.isBetweenBigInt({ minimum: -(2n ** 63n), maximum: 2n ** 63n - 1n })),
    SchemaTransformation.transform<bigint, number | Bson.Long>({
      decode: (value) => typeof value === "number" ? BigInt(value) : value.toBigInt(),
      encode: (value) => BsonLong.fromBigInt(value)
    })
  )
)

// -----------------------------------------------------------------------------
// Schemas of your own
// -----------------------------------------------------------------------------

/**
 * From any schema the codec whose encoded side are BSON values with native numbers, as they are in the documents of a
 * collection and in the arguments of a function. Dates, bytes, ids, `bigint` and the types of this module stay what they
 * are; an `Option` or a `URL`, which BSON does not have, takes the form it has in JSON. The schema may need no services.
 *
 * @example
 * ```ts
 * import { Ejson } from "@effect-realm/protocol"
 * import { Double } from "bson"
 * import * as Schema from "effect/Schema"
 * import * as assert from "node:assert/strict"
 *
 * const Order = Ejson.toCodecBson(Schema.Struct({ at: Schema.Date, total: Ejson.Double, note: Schema.Option(Schema.String) }))
 * const order = Schema.decodeUnknownSync(Order)({ at: new Date(0), total: 12, note: { _tag: "None" } })
 * assert.deepEqual(order.total, new Double(12))
 * assert.deepEqual(order.at, new Date(0))
 * ```
 */
export const toCodecBson = <A>(schema: Schema.Constraint & { readonly Type: A }): Schema.Codec<A, unknown> =>
  BsonCodec.make(schema)
