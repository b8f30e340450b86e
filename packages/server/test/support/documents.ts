/**
 * Random values, documents and filters, from a small stock so that they meet.
 */
import { Binary, Decimal128, Double, Int32, Long, MaxKey, MinKey, ObjectId, Timestamp } from "bson"
import { Arbitrary, Schema } from "effect"

type Document = { readonly [key: string]: unknown }

const below = (count: number): Arbitrary.Arbitrary<number> =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: count - 1 })))

export const oneOf = <A>(choices: ReadonlyArray<Arbitrary.Arbitrary<A>>): Arbitrary.Arbitrary<A> =>
  Arbitrary.flatMap(below(choices.length), (index) => choices[index] ?? choices[0]!)

export const among = <A>(values: ReadonlyArray<A>): Arbitrary.Arbitrary<A> =>
  Arbitrary.map(below(values.length), (index) => values[index]!)

const stock: ReadonlyArray<unknown> = [
  0,
  1,
  2,
  -1,
  new Double(1),
  new Double(1.5),
  new Double(-0),
  new Double(Number.NaN),
  new Double(Infinity),
  new Double(-Infinity),
  Long.fromNumber(1),
  Long.fromString("9007199254740993"),
  new Double(9007199254740992),
  Decimal128.fromString("1.0"),
  Decimal128.fromString("1.50"),
  Decimal128.fromString("-1E-20"),
  null,
  "",
  "a",
  "a\0",
  "a\0\0",
  "a\0\x01",
  "ab",
  "😀",
  "\uffee",
  true,
  false,
  new Date(0),
  new Date(-1),
  new ObjectId("000000000000000000000001"),
  new Binary(new Uint8Array([1])),
  new Timestamp({ t: 1, i: 1 }),
  new MinKey(),
  new MaxKey()
]

const scalar: Arbitrary.Arbitrary<unknown> = oneOf<unknown>([
  among(stock),
  among(stock),
  Arbitrary.map(Arbitrary.schema(Schema.Finite), (number) => new Double(number)),
  Arbitrary.map(
    Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: -2147483648, maximum: 2147483647 }))),
    (number) => new Int32(number)
  ),
  Arbitrary.map(Arbitrary.schema(Schema.Int), (number) => Long.fromNumber(number)),
  Arbitrary.schema(Schema.String)
])

const fields = (value: Arbitrary.Arbitrary<unknown>): Arbitrary.Arbitrary<Document> =>
  Arbitrary.map(
    Arbitrary.array(Arbitrary.all([among(["x", "y"]), value]), { maxLength: 2 }),
    (entries) => Object.fromEntries(entries)
  )

const values = (scalar: Arbitrary.Arbitrary<unknown>): Arbitrary.Arbitrary<unknown> => {
  const element = oneOf<unknown>([
    scalar,
    scalar,
    fields(scalar),
    fields(scalar),
    Arbitrary.array(scalar, { maxLength: 2 })
  ])
  return oneOf<unknown>([scalar, scalar, fields(element), Arbitrary.array(element, { maxLength: 3 })])
}

/** Any value: scalars, documents, arrays, arrays of documents. */
export const arbitraryValue: Arbitrary.Arbitrary<unknown> = values(scalar)

// few enough that filters find something, and that elements of one array share values
const few = among<unknown>([0, 1, 2, new Double(1), Long.fromNumber(2), null, "a"])
const value = oneOf<unknown>([values(few), values(few), values(few), arbitraryValue])

/** Documents with the fields `a`, `b` and numbers as `_id`. */
export const arbitraryDocuments: Arbitrary.Arbitrary<ReadonlyArray<Document>> = Arbitrary.map(
  Arbitrary.array(Arbitrary.array(Arbitrary.all([among(["a", "b"]), value]), { maxLength: 2 }), { maxLength: 20 }),
  (documents) => documents.map((entries, _id) => ({ _id, ...Object.fromEntries(entries) }))
)

const operand = oneOf<unknown>([few, few, few, value])

const operators: Arbitrary.Arbitrary<unknown> = oneOf<unknown>([
  Arbitrary.map(
    Arbitrary.array(Arbitrary.all([among(["$eq", "$gt", "$gte", "$lt", "$lte", "$ne"]), operand]), {
      minLength: 1,
      maxLength: 2
    }),
    (entries) => Object.fromEntries(entries)
  ),
  Arbitrary.map(Arbitrary.array(operand, { maxLength: 3 }), (values) => ({ $in: values })),
  Arbitrary.map(among([true, false]), (exists) => ({ $exists: exists }))
])

const condition: Arbitrary.Arbitrary<unknown> = oneOf<unknown>([operand, operators])

const elementFilter: Arbitrary.Arbitrary<Document> = Arbitrary.map(
  Arbitrary.array(Arbitrary.all([among(["x", "y"]), condition]), { minLength: 1, maxLength: 2 }),
  (entries) => Object.fromEntries(entries)
)

/** Filters on the paths that `arbitraryDocuments` has. */
export const arbitraryFilter: Arbitrary.Arbitrary<Document> = Arbitrary.map(
  Arbitrary.array(
    oneOf<readonly [string, unknown]>([
      Arbitrary.all([among(["a", "b", "a.x", "a.y", "_id"]), condition]),
      Arbitrary.all([
        among(["a", "b"]),
        Arbitrary.map(oneOf<unknown>([elementFilter, operators]), (inner) => ({ $elemMatch: inner }))
      ])
    ]),
    { maxLength: 3 }
  ),
  (entries) => Object.fromEntries(entries)
)
