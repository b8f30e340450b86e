/**
 * What selects documents: filters, projections and orders, typed against what a collection holds. The types help where
 * they can and get out of the way where they cannot: paths with dots are known to four fields, one in the other; beyond that
 * and for operators that are not listed there is {@link unchecked}.
 *
 * They speak of a document as it is stored, the encoded side of the collection's schema. Without a schema any document
 * is a filter.
 */
import type { Document } from "@effect-realm/protocol/Ejson"
import type * as Bson from "bson"

// -----------------------------------------------------------------------------
// Values
// -----------------------------------------------------------------------------

export type { Document } from "@effect-realm/protocol/Ejson"

/** Any type of number that BSON has. Numbers of all types compare by value. */
export type Numeric = number | bigint | Bson.Int32 | Bson.Double | Bson.Long | Bson.Decimal128

// Values that have no parts of their own in a document.
type Leaf =
  | string
  | number
  | bigint
  | boolean
  | symbol
  | null
  | undefined
  | Date
  | RegExp
  | Uint8Array
  | ArrayBuffer
  | { readonly _bsontype: string }
  | ((...args: ReadonlyArray<never>) => unknown)

/** A value as it may be written in a filter: a number in any type of number, everything else as it is. */
export type Value<V> = V extends bigint | Bson.Int32 | Bson.Double | Bson.Long | Bson.Decimal128 ? Numeric
  : V extends number ? number extends V ? Numeric : V
  : V

/** The element of an array; `never` for other values. */
export type Element<V> = V extends ReadonlyArray<infer E> ? E : never

// -----------------------------------------------------------------------------
// Paths
// -----------------------------------------------------------------------------

type Shallower = [never, 0, 1, 2, 3]

type Depth = 0 | 1 | 2 | 3 | 4

/**
 * The paths into a document: `address.city`, `items.count`, `items.0.count`. Inside of a record, and of what nothing is known
 * about, every path is one.
 *
 * @typeParam Position how an element of an array is named
 */
export type Path<T, Position extends string = `${number}`, D extends Depth = 4> = D extends 0 ? never
  : unknown extends T ? string
  : T extends Leaf ? never
  : T extends ReadonlyArray<infer E> ? Position | `${Position}.${Path<E, Position, BelowElement<E, D>>}`
  : string extends keyof T ? string
  : {
    [K in keyof T & string]:
      | K
      | `${K}.${Path<T[K], Position, Shallower[D]>}`
      | (NonNullable<T[K]> extends ReadonlyArray<infer E> ? `${K}.${Each<E, Position, Shallower[D]>}` : never)
  }[keyof T & string]

// A path through an array means each of its elements, but for an update, which names those that it changes.
type Each<E, Position extends string, D extends Depth> = "$" extends Position ? never : Path<E, Position, D>

// The place of an element is no level of its own, except in arrays of arrays, which may have no end.
type BelowElement<E, D extends Depth> = [Extract<E, ReadonlyArray<unknown>>] extends [never] ? D : Shallower[D]

/** What is at a path; `unknown` where nothing is known about it. */
export type At<T, P extends string> = unknown extends T ? unknown
  : T extends Leaf ? never
  : T extends ReadonlyArray<infer E>
    ? P extends `${number}.${infer Rest}` | `$.${infer Rest}` | `$[].${infer Rest}` | `$[${string}].${infer Rest}`
      ? At<E, Rest>
    : P extends `${number}` | "$" | "$[]" | `$[${string}]` ? E
    : At<Exclude<E, ReadonlyArray<unknown>>, P>
  : string extends keyof T ? Entry<T>
  : P extends keyof T ? T[P]
  : P extends `${infer K}.${infer Rest}` ? K extends keyof T ? At<T[K], Rest> : never
  : never

// A path into a record may lead to an entry, or into one that has parts.
type Entry<T> = T extends { readonly [key: string]: infer V } ? [V] extends [Leaf] ? V : unknown : never

// -----------------------------------------------------------------------------
// Filters
// -----------------------------------------------------------------------------

/** A document that is sent as it is, made by {@link unchecked}. */
export interface Unchecked {
  readonly "~effect-realm/client/Filter/Unchecked": never
}

/** What one value can be compared by. */
export interface Operators<V> {
  readonly $eq?: Comparable<V>
  readonly $ne?: Comparable<V>
  readonly $gt?: Comparable<V>
  readonly $gte?: Comparable<V>
  readonly $lt?: Comparable<V>
  readonly $lte?: Comparable<V>
  readonly $in?: ReadonlyArray<Comparable<V> | Pattern<V>>
  readonly $nin?: ReadonlyArray<Comparable<V> | Pattern<V>>
  readonly $exists?: boolean
  readonly $type?: string | number | ReadonlyArray<string | number>
  readonly $not?: Operators<V> | Pattern<V>
  readonly $regex?: string | RegExp | Bson.BSONRegExp
  readonly $options?: string
  readonly $mod?: readonly [divisor: Numeric, remainder: Numeric]
  readonly $size?: number
  readonly $all?: ReadonlyArray<Value<Element<NonNullable<V>>>>
  readonly $elemMatch?: Filter<Element<NonNullable<V>>> | Operators<Element<NonNullable<V>>>
}

type Pattern<V> = Extract<V | Element<NonNullable<V>>, string> extends never ? never : RegExp | Bson.BSONRegExp

/** A value, or an element of it when it is an array. `null` matches what is missing, too. */
type Comparable<V> = Value<Exclude<V, undefined>> | Value<Element<NonNullable<V>>> | null

/** What a filter says of one value. */
export type Condition<V> = Comparable<V> | Pattern<V> | Operators<V>

/** What a filter may say of a document, as it is stored. */
export type Filter<I> = string extends keyof I ? Document : Typed<I> | Unchecked

type Typed<I> =
  & { readonly [P in Path<I>]?: Condition<At<I, P>> }
  & {
    readonly $and?: ReadonlyArray<Filter<I>>
    readonly $or?: ReadonlyArray<Filter<I>>
    readonly $nor?: ReadonlyArray<Filter<I>>
    readonly $expr?: unknown
    readonly $comment?: unknown
  }

/** Which fields are answered: `1` or `true` for these alone, `0` or `false` for all but these, or an operator. */
export type Projection<I> = string extends keyof I ? Document
  : { readonly [P in Path<I>]?: 0 | 1 | boolean | Document } | Unchecked

/** By which fields documents are ordered, the first of them first: `1` the smallest first, `-1` the largest. */
export type Sort<I> = string extends keyof I ? { readonly [path: string]: 1 | -1 }
  : { readonly [P in Path<I>]?: 1 | -1 } | Unchecked

// -----------------------------------------------------------------------------
// Constructors
// -----------------------------------------------------------------------------

/**
 * A filter, projection, order or update that the types do not know: sent as it is, checked by the server.
 *
 * ```ts
 * import { Filter } from "@effect-realm/client"
 *
 * const near: Filter.Filter<{ readonly place: string }> = Filter.unchecked({ "a.b.c.d.e": { $gt: 1 } })
 * near // => { "a.b.c.d.e": { $gt: 1 } }
 * ```
 */
export const unchecked = (document: Document): Unchecked =>
  // The mark is there for the compiler alone. It has no index signature, or it would let misspelled fields pass.
  document as object as Unchecked
