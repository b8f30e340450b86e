/**
 * What changes documents, typed against what a collection holds: MongoDB's update operators, by paths with dots. For what
 * the types do not know there is `Filter.unchecked`.
 */
import type { Timestamp } from "bson"
import type { At, Condition, Document, Element, Filter, Numeric, Path, Unchecked, Value } from "./Filter.ts"

/** How an update names an element of an array: by index, the one that the filter met, all, or those of an array filter. */
type Position = `${number}` | "$" | `$[${string}]`

/** The paths that an update can change. */
export type UpdatePath<I> = Path<I, Position>

/** The paths to values of a type, and to those of which nothing is known. */
type PathTo<I, V> = keyof { [P in UpdatePath<I> as IsAt<At<I, P>, V> extends true ? P : never]: never }

type IsAt<Present, V> = unknown extends Present ? true : [NonNullable<Present>] extends [V] ? true : false

type PathToArray<I> = PathTo<I, ReadonlyArray<unknown>>

/** What may be put at a path. */
type ValueAt<I, P extends string> = Value<Exclude<At<I, P>, undefined>>

type ElementAt<I, P extends string> = unknown extends At<I, P> ? unknown : Value<Element<NonNullable<At<I, P>>>>

/** MongoDB's update operators. */
export interface Operators<I> {
  readonly $set?: { readonly [P in UpdatePath<I>]?: ValueAt<I, P> }
  readonly $setOnInsert?: { readonly [P in UpdatePath<I>]?: ValueAt<I, P> }
  readonly $unset?: { readonly [P in Exclude<UpdatePath<I>, "_id">]?: "" | 1 | true }
  readonly $inc?: { readonly [P in PathTo<I, Numeric>]?: Numeric }
  readonly $mul?: { readonly [P in PathTo<I, Numeric>]?: Numeric }
  readonly $min?: { readonly [P in UpdatePath<I>]?: ValueAt<I, P> }
  readonly $max?: { readonly [P in UpdatePath<I>]?: ValueAt<I, P> }
  readonly $bit?: {
    readonly [P in PathTo<I, Numeric>]?: { readonly and?: Numeric; readonly or?: Numeric; readonly xor?: Numeric }
  }
  readonly $currentDate?:
    & { readonly [P in PathTo<I, Date>]?: true | { readonly $type: "date" } }
    & { readonly [P in PathTo<I, Timestamp>]?: { readonly $type: "timestamp" } }
  readonly $rename?: { readonly [P in Exclude<UpdatePath<I>, "_id">]?: string }
  readonly $push?: {
    readonly [P in PathToArray<I>]?: ElementAt<I, P> | {
      readonly $each: ReadonlyArray<ElementAt<I, P>>
      readonly $position?: number
      readonly $slice?: number
      readonly $sort?: 1 | -1 | { readonly [path: string]: 1 | -1 }
    }
  }
  readonly $addToSet?: {
    readonly [P in PathToArray<I>]?: ElementAt<I, P> | { readonly $each: ReadonlyArray<ElementAt<I, P>> }
  }
  readonly $pull?: {
    readonly [P in PathToArray<I>]?: Condition<ElementAt<I, P>> | Filter<ElementAt<I, P>>
  }
  readonly $pullAll?: { readonly [P in PathToArray<I>]?: ReadonlyArray<ElementAt<I, P>> }
  readonly $pop?: { readonly [P in PathToArray<I>]?: 1 | -1 }
}

/**
 * What an update does to a document, as it is stored. Without a schema any document: one without operators replaces what
 * it finds, as in the old SDKs.
 */
export type Update<I> = string extends keyof I ? Document : Operators<I> | Unchecked
