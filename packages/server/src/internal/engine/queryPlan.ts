/**
 * Which keys of which index can hold the documents of a filter. A plan may find too many documents, never too few:
 * the whole filter is applied to what it finds.
 */
import { BSONRegExp } from "bson"
import { compare } from "./bsonOrder.ts"
import { type Fields, isArray, isFields, rank, rankOf } from "./bsonValue.ts"
import type { Sort } from "./documentSort.ts"
import type { IndexDeclaration } from "./indexKeys.ts"
import { afterPrefix, concatKeys, encodeKey, rankBounds } from "./keyEncoding.ts"
import { isOperators } from "./queryCondition.ts"

/** Keys from `low` up to, not including, `high`. */
export interface Interval {
  readonly low: Uint8Array
  readonly high: Uint8Array
}

export interface PlannedIndex {
  readonly declaration: IndexDeclaration
  /** Per field: whether any document ever had an array on its path. */
  readonly multikey: ReadonlyArray<boolean>
}

export interface Plan<Index extends PlannedIndex> {
  readonly index: Index
  readonly intervals: ReadonlyArray<Interval>
  /** Whether each interval is one key of a unique index, which one document has at most. */
  readonly isSingle: boolean
  /** The direction in which the intervals give the documents in the order asked for; 0 when they must be sorted. */
  readonly sorted: 1 | -1 | 0
  /** The paths by whose values the documents are ordered in which the intervals give them. */
  readonly orderedBy: ReadonlyArray<string>
}

interface Constraint {
  readonly path: string
  /** Constraints of one `$elemMatch` hold for one element together; those of group 0 may hold for different ones. */
  readonly group: number
  readonly equal?: ReadonlyArray<unknown>
  readonly lower?: unknown
  readonly upper?: unknown
  readonly exists?: boolean
}

/** Values whose equality an index can answer: not arrays, which are also equal to an element, and not patterns. */
const isKey = (value: unknown): boolean => !isArray(value) && !(value instanceof BSONRegExp)

const isBound = (value: unknown): boolean => {
  const valueRank = rankOf(value)
  return isKey(value) && valueRank !== rank.null && valueRank !== rank.minKey && valueRank !== rank.maxKey
}

const ofOperators = (path: string, group: number, operators: Fields): ReadonlyArray<Constraint> =>
  Object.keys(operators).flatMap((operator): ReadonlyArray<Constraint> => {
    const operand = operators[operator]
    switch (operator) {
      case "$eq":
        return isKey(operand) ? [{ path, group, equal: [operand] }] : []
      case "$in":
        return isArray(operand) && operand.every(isKey) ? [{ path, group, equal: operand }] : []
      case "$gt":
      case "$gte":
        return isBound(operand) ? [{ path, group, lower: operand }] : []
      case "$lt":
      case "$lte":
        return isBound(operand) ? [{ path, group, upper: operand }] : []
      case "$exists":
        return operand === true ? [{ path, group, exists: true }] : []
      default:
        return []
    }
  })

const collect = (filter: Fields, prefix: string, group: number, nextGroup: () => number): ReadonlyArray<Constraint> =>
  Object.keys(filter).flatMap((name): ReadonlyArray<Constraint> => {
    const operand = filter[name]
    if (name === "$and") {
      return isArray(operand)
        ? operand.flatMap((clause) => isFields(clause) ? collect(clause, prefix, group, nextGroup) : [])
        : []
    }
    if (name.startsWith("$")) return []
    const path = prefix + name
    // below the element there may be arrays again, whose elements no longer belong together
    const bound = name.includes(".") ? 0 : group
    if (!isOperators(operand)) return isKey(operand) ? [{ path, group: bound, equal: [operand] }] : []
    const inner = operand["$elemMatch"]
    const own = ofOperators(path, bound, operand)
    if (!isFields(inner)) return own
    const elements = isOperators(inner)
      ? ofOperators(path, nextGroup(), inner)
      : collect(inner, `${path}.`, nextGroup(), nextGroup)
    return [...own, ...elements]
  })

/** A partial index holds every document of the filter if the filter demands all that the index demands. */
const impliesPartial = (
  constraints: ReadonlyArray<Constraint>,
  filters: ReadonlyArray<Fields>,
  partial: Fields
): boolean =>
  Object.keys(partial).every((name) => {
    const demanded = partial[name]
    if (filters.some((filter) => Object.hasOwn(filter, name) && compare(filter[name], demanded) === 0)) return true
    const onlyExists = isFields(demanded) && Object.keys(demanded).length === 1 && demanded["$exists"] === true
    return onlyExists && constraints.some((constraint) => constraint.path === name && isPresence(constraint))
  })

/** True when the constraint holds for no document that lacks the field. */
const isPresence = (constraint: Constraint): boolean =>
  constraint.equal === undefined || constraint.equal.every((value) => value !== null)

interface Candidate<Index extends PlannedIndex> extends Plan<Index> {
  readonly score: number
}

const maxIntervals = 10_000

const bounds = (prefix: Uint8Array, lower: unknown, upper: unknown): Interval => {
  const [low, high] = rankBounds(prefix, rankOf(lower ?? upper))
  return {
    low: lower === undefined ? low : concatKeys(prefix, encodeKey([lower])),
    // the bound itself is kept, whatever follows it in a compound key
    high: upper === undefined ? high : afterPrefix(concatKeys(prefix, encodeKey([upper])))
  }
}

const planIndex = <Index extends PlannedIndex>(
  index: Index,
  filters: ReadonlyArray<Fields>,
  constraints: ReadonlyArray<Constraint>,
  sort: ReadonlyArray<Sort>
): Candidate<Index> | undefined => {
  const { fields, partial, sparse } = index.declaration
  if (partial !== undefined && !impliesPartial(constraints, filters, partial)) return undefined
  let prefixes: ReadonlyArray<Uint8Array> = [new Uint8Array()]
  let used = 0
  let group: number | undefined
  let present = false
  // an array field's constraints may each hold for another element, unless one $elemMatch binds them together
  const usable = (position: number, constraint: Constraint): boolean =>
    index.multikey[position] !== true || group === undefined || (constraint.group === group && group !== 0)
  const take = (position: number, constraint: Constraint): void => {
    if (index.multikey[position] === true) group = constraint.group
    present ||= isPresence(constraint)
  }
  const pathOf = (position: number): string => fields[position]?.path.join(".") ?? ""
  while (used < fields.length) {
    const position = used
    const constraint = constraints
      .filter((candidate) =>
        candidate.path === pathOf(position) && candidate.equal !== undefined && usable(position, candidate)
      )
      .toSorted((left, right) => (left.equal?.length ?? 0) - (right.equal?.length ?? 0) || right.group - left.group)[0]
    const equal = constraint?.equal
    if (constraint === undefined || equal === undefined || equal.length * prefixes.length > maxIntervals) break
    prefixes = prefixes.flatMap((prefix) => equal.map((value) => concatKeys(prefix, encodeKey([value]))))
    take(position, constraint)
    used++
  }
  const ranged = used < fields.length
    ? constraints.filter((candidate) =>
      candidate.path === pathOf(used) && (candidate.lower !== undefined || candidate.upper !== undefined) &&
      usable(used, candidate)
    )
    : []
  const [first] = ranged
  let intervals: ReadonlyArray<Interval>
  if (first === undefined) {
    intervals = prefixes.map((low) => ({ low, high: afterPrefix(low) }))
  } else {
    const lower = ranged.find((candidate) => candidate.lower !== undefined)?.lower
    const upper = index.multikey[used] === true && lower !== undefined
      ? undefined
      : ranged.find((candidate) =>
        candidate.upper !== undefined && (lower === undefined || rankOf(candidate.upper) === rankOf(lower))
      )?.upper
    intervals = prefixes.map((prefix) => bounds(prefix, lower, upper))
    take(used, first)
  }
  if (sparse && !present) return undefined
  const orderedBy = fields.slice(prefixes.length === 1 && !index.multikey.includes(true) ? used : 0)
    .map(({ path }) => path.join("."))
  const sorted = sortDirection(index, used, prefixes.length, sort)
  if (used === 0 && first === undefined && sorted === 0) return undefined
  const isSingle = index.declaration.unique && used === fields.length
  // nothing beats a single document
  const score = (isSingle ? 100 : 0) + used * 4 + (first === undefined ? 0 : 2) + (sorted === 0 ? 0 : 1)
  return { index, intervals: unique(intervals), isSingle, sorted, orderedBy, score }
}

/** `$in` may name one key twice; a document must not be found twice. */
const unique = (intervals: ReadonlyArray<Interval>): ReadonlyArray<Interval> => {
  const seen = new Map(intervals.map((interval) => [Buffer.from(interval.low).toString("latin1"), interval]))
  return seen.size === intervals.length ? intervals : [...seen.values()]
}

const sortDirection = (index: PlannedIndex, used: number, intervals: number, sort: ReadonlyArray<Sort>): 1 | -1 | 0 => {
  const [first] = sort
  if (first === undefined || intervals !== 1 || index.multikey.includes(true)) return 0
  // keys ascend whatever direction the index declares, so all parts of the sort must go one way
  const rest = index.declaration.fields.slice(used)
  const fits = sort.length <= rest.length &&
    sort.every(({ direction, path }, position) =>
      direction === first.direction && rest[position]?.path.join(".") === path
    )
  return fits ? first.direction : 0
}

/**
 * Whether a document must hold the constraint when a part of it does, from which fields were left out. What asks for null
 * or for a whole embedded document may hold for the part alone.
 */
const holdsForWhole = ({ equal, lower, upper }: Constraint): boolean =>
  [...equal ?? [], lower, upper].every((value) =>
    value === undefined || (rankOf(value) !== rank.null && rankOf(value) !== rank.object)
  )

/** What a plan is made for; filters in exact form. */
export interface Wanted {
  /** Filters that the stored documents hold. */
  readonly filters: ReadonlyArray<Fields>
  /** A filter that what is seen of the stored documents holds. */
  readonly seen: Fields
  /** Whether what is seen has at a path what is stored there. */
  readonly shows: (path: string) => boolean
  readonly sort: ReadonlyArray<Sort>
}

/** The best plan, or `undefined` when every document has to be looked at. */
export const planQuery = <Index extends PlannedIndex>(
  indexes: ReadonlyArray<Index>,
  { filters, seen, shows, sort }: Wanted
): Plan<Index> | undefined => {
  let groups = 0
  const nextGroup = () => ++groups
  const constraints = [
    ...filters.flatMap((filter) => collect(filter, "", 0, nextGroup)),
    ...collect(seen, "", 0, nextGroup).filter((constraint) => shows(constraint.path) || holdsForWhole(constraint))
  ]
  if (constraints.length === 0 && sort.length === 0) return undefined
  let best: Candidate<Index> | undefined
  for (const index of indexes) {
    const candidate = planIndex(index, filters, constraints, sort)
    if (candidate === undefined) continue
    if (best === undefined || candidate.score > best.score) best = candidate
  }
  return best
}
