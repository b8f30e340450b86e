/**
 * In which order MongoDB sorts documents, as its manual documents it.
 */
import type { Database } from "@effect-realm/server"
import { Binary, BSONRegExp, Double, MaxKey, MinKey, Timestamp } from "bson"
import { missing } from "./filters.ts"
import { date, decimal, id, long } from "./values.ts"

/** Documents numbered by their place, and their order. */
export interface Ordered {
  readonly name: string
  readonly documents: ReadonlyArray<Database.Document>
  readonly sort: Database.Sort
  readonly order: ReadonlyArray<number>
}

/** Values in their order; those that are equal stand in one list. */
interface Ascending {
  readonly name: string
  readonly values: ReadonlyArray<ReadonlyArray<unknown>>
}

const ascending: ReadonlyArray<Ascending> = [
  {
    name: "types have an order, and an array stands where its least element does",
    values: [
      [new MinKey()],
      [null],
      [-1],
      [long("2")],
      [2.5],
      [[3, "x"]],
      ["a"],
      [{ a: 1 }],
      [new Uint8Array([1])],
      [id(1)],
      [false],
      [true],
      [date(0)],
      [new Timestamp({ t: 1, i: 1 })],
      [new BSONRegExp("a")],
      [new MaxKey()]
    ]
  },
  {
    name: "what is missing is null, and an empty array is less",
    values: [[new MinKey()], [[]], [null, missing, [null], [0, null]], [-1]]
  },
  {
    name: "numbers of all types are in one order, and NaN is the least",
    values: [
      [new Double(Number.NaN), decimal("NaN")],
      [new Double(Number.NEGATIVE_INFINITY), decimal("-Infinity")],
      [decimal("-1E+30")],
      [long("-9223372036854775808"), new Double(-(2 ** 63))],
      [-1, new Double(-1), decimal("-1.00")],
      [new Double(-0), 0, decimal("0E-10")],
      [decimal("0.1")],
      // the double is a little more than the decimal it is printed as
      [new Double(0.1)],
      [long("9007199254740992"), new Double(9007199254740992)],
      [long("9007199254740993"), decimal("9007199254740993")],
      [long("9223372036854775807")],
      [new Double(2 ** 63), decimal("9223372036854775808")],
      [decimal("9.999999999999999999999999999999999E+6144")],
      [new Double(Number.POSITIVE_INFINITY), decimal("Infinity")]
    ]
  },
  {
    name: "texts are compared by their bytes",
    values: [[""], ["\0"], ["A"], ["B"], ["a"], ["aa"], ["b"], ["é"], ["\uffee"], ["😀"]]
  },
  {
    name: "embedded documents are compared field by field: type, name, value, and the longer is more",
    values: [[{}], [{ a: 1 }], [{ a: 1, b: 1 }], [{ a: 2 }], [{ b: 1 }], [{ a: "x" }], [{ a: { b: 1 } }]]
  },
  {
    name: "binary data is compared by length, subtype, bytes",
    values: [
      [new Binary(new Uint8Array([]))],
      [new Binary(new Uint8Array([9]))],
      [new Binary(new Uint8Array([1]), 128)],
      [new Binary(new Uint8Array([0, 1]))]
    ]
  },
  { name: "dates before 1970 are less", values: [[date(-86_400_000)], [date(-1)], [date(0)], [date(1)]] },
  {
    name: "timestamps are compared by time, then by place",
    values: [
      [new Timestamp({ t: 1, i: 2 })],
      [new Timestamp({ t: 2, i: 1 })],
      [new Timestamp({ t: 2 ** 31, i: 0 })]
    ]
  },
  { name: "ObjectIds are compared by their bytes", values: [[id(1)], [id(2)], [id(9)]] }
]

const documentOf = (value: unknown): Database.Document => value === missing ? {} : { v: value }

/** Up and down, beginning with the documents the other way round. */
const bothWays = ({ name, values }: Ascending): ReadonlyArray<Ordered> => {
  const flat = values.flat()
  const documents = flat.map(documentOf).toReversed()
  const last = flat.length - 1
  let place = 0
  // those that are equal are told apart by `_id`
  const up = values.flatMap((equal) => equal.map(() => last - place++).toReversed())
  place = 0
  const down = values.map((equal) => equal.map(() => last - place++).toReversed()).toReversed().flat()
  return [
    { name, documents, sort: { v: 1, _id: 1 }, order: up },
    // of an array the greatest element counts then
    ...flat.some(Array.isArray)
      ? []
      : [{ name: `${name}, and back`, documents, sort: { v: -1, _id: 1 }, order: down } as const]
  ]
}

export const orders: ReadonlyArray<Ordered> = [
  ...ascending.flatMap(bothWays),
  {
    name: "one path after the other, each in its direction",
    documents: [{ a: 1, b: 1 }, { a: 1, b: 2 }, { a: 0 }, { a: [9, -1] }],
    sort: { a: 1, b: -1 },
    order: [3, 2, 1, 0]
  },
  {
    name: "down, an array stands where its greatest element does",
    documents: [{ a: 1, b: 1 }, { a: 1, b: 2 }, { a: 0 }, { a: [9, -1] }],
    sort: { a: -1, b: 1 },
    order: [3, 0, 1, 2]
  },
  {
    name: "a path into arrays of documents has the least of what it finds",
    documents: [{ a: [{ b: 5 }, { b: 1 }] }, { a: { b: 2 } }, { a: [{ b: 3 }, {}] }, { a: [] }],
    sort: { "a.b": 1, _id: 1 },
    order: [2, 3, 0, 1]
  }
]
