/**
 * Which documents of a collection a caller's filter finds, in which order, and how he sees them.
 */
import { type Fields, isArray, isFields } from "./bsonValue.ts"
import { parsePath, type Path, someValue } from "./documentPath.ts"
import { parseSort, type Sort, sortDocuments } from "./documentSort.ts"
import { badFilter } from "./failure.ts"
import { valueKey } from "./keyEncoding.ts"
import { compileFilter, exactFilter } from "./query.ts"
import { type Plan, planQuery } from "./queryPlan.ts"
import { Refusals } from "./refusals.ts"
import type { SqliteDocuments, StoredDocument, StoredIndex } from "./sqliteDocuments.ts"
import { collected, type Paced, sorted, type Work } from "./work.ts"

/** A filter in exact form, and what it means. */
export interface Query {
  readonly filter: Fields
  /** Whether it finds a document at a time, in milliseconds. */
  readonly predicate: (document: Fields, now: number) => boolean
}

export const parseQuery = (filter: unknown): Query => {
  const fields = exactFilter(filter)
  return { filter: fields, predicate: compileFilter(fields) }
}

/**
 * What a caller may see and do in one operation; all of it when nothing but `now` is set. The functions throw the caller's
 * refusal.
 */
export interface Access {
  /** When the operation began, in milliseconds. */
  readonly now: number
  readonly scope?: Query | undefined
  /** The document as he sees it, not changed in place; `undefined` when it is not there for him. */
  readonly see?: ((document: Fields, now: number) => Fields | undefined) | undefined
  /** Whether what he sees has at a path what is stored there. */
  readonly shows?: ((path: string) => boolean) | undefined
  /** Asked before a document is updated. */
  readonly reach?: ((document: Fields) => void) | undefined
  readonly judge?: ((before: Fields | undefined, after: Fields | undefined) => void) | undefined
  /** Whether an operation goes on after this was thrown, to be refused more. */
  readonly goesOn?: ((thrown: unknown) => boolean) | undefined
}

export interface Selection extends Query {
  readonly sort: ReadonlyArray<Sort>
  readonly skip: number
  /** 0 for all of them. */
  readonly limit: number
}

const whole = (name: string, value: number | undefined): number => {
  if (value === undefined) return 0
  if (!Number.isSafeInteger(value) || value < 0) throw badFilter(`${name} is not a whole number from 0 on`)
  return value
}

export const parseSelection = (
  filter: unknown,
  options: {
    readonly sort?: { readonly [path: string]: unknown } | undefined
    readonly skip?: number | undefined
    readonly limit?: number | undefined
  }
): Selection => ({
  ...parseQuery(filter),
  sort: parseSort(options.sort ?? {}),
  skip: whole("skip", options.skip),
  limit: whole("limit", options.limit)
})

export interface Found {
  readonly stored: StoredDocument
  /** The document as the caller sees it. */
  readonly document: Fields
}

/** A document as the caller sees it, or `undefined` when it is not there for him. */
export const view = (access: Access, document: Fields): Fields | undefined =>
  access.scope?.predicate(document, access.now) === false
    ? undefined
    : access.see === undefined
    ? document
    : access.see(document, access.now)

interface Choice extends Plan<StoredIndex> {
  /** The order of the plan would give away fields that are not seen. */
  readonly tells: boolean
}

const plan = (
  collection: SqliteDocuments,
  query: Query,
  sort: ReadonlyArray<Sort>,
  access: Access
): Choice | undefined => {
  const { scope, see, shows = () => false } = access
  const isShown = (path: string): boolean => see === undefined || path === "_id" || shows(path)
  const best = planQuery(collection.indexes, {
    filters: [...scope === undefined ? [] : [scope.filter], ...see === undefined ? [query.filter] : []],
    seen: see === undefined ? {} : query.filter,
    shows,
    sort: sort.every(({ path }) => isShown(path)) ? sort : []
  })
  if (best === undefined) return undefined
  const tells = !best.orderedBy.every(isShown)
  return { ...best, tells, sorted: tells ? 0 : best.sorted }
}

/** The documents that a plan finds, or all. */
const candidates = (collection: SqliteDocuments, plan: Choice | undefined): Paced<StoredDocument> =>
  plan === undefined ? collection.scan() : plan.tells ? asStored(collection, plan) : collection.lookUp(plan)

function* asStored(collection: SqliteDocuments, plan: Choice): Generator<StoredDocument | undefined> {
  const found = yield* collected(collection.lookUp(plan))
  yield* yield* sorted(found, (left, right) => left.record - right.record)
}

// looked up by key, however long it is
const isList = (operator: string): boolean => operator === "$in" || operator === "$nin"

/** How many conditions a filter has. */
export const widthOf = (value: unknown): number =>
  isArray(value)
    ? value.reduce<number>((width, item) => width + widthOf(item), 0)
    : isFields(value)
    ? Object.keys(value).reduce((width, name) => width + 1 + (isList(name) ? 0 : widthOf(value[name])), 0)
    : 0

/** All that the filter finds, one by one, in the order of the plan. */
function* matching(
  collection: SqliteDocuments,
  query: Query,
  access: Access,
  chosen: Choice | undefined,
  examine: () => void = () => {}
): Generator<Found | undefined> {
  const refusals = new Refusals(access)
  for (const stored of candidates(collection, chosen)) {
    if (stored === undefined) {
      yield
      continue
    }
    examine()
    yield refusals.attempt(() => {
      const document = view(access, stored.document)
      return document !== undefined && query.predicate(document, access.now) ? { stored, document } : undefined
    })
  }
  refusals.end()
}

/** The documents of a selection. */
export function* search(
  collection: SqliteDocuments,
  selection: Selection,
  access: Access,
  examine?: () => void
): Work<ReadonlyArray<Found>> {
  const { limit, skip, sort } = selection
  const chosen = plan(collection, selection, sort, access)
  const isSorted = sort.length === 0 || (chosen !== undefined && chosen.sorted !== 0)
  const end = isSorted && limit > 0 ? skip + limit : Infinity
  const found: Array<Found> = []
  for (const one of matching(collection, selection, access, chosen, examine)) {
    if (one !== undefined) {
      found.push(one)
      if (found.length >= end) break
    }
    yield
  }
  const inOrder = isSorted ? found : yield* sortDocuments(found, sort)
  return skip === 0 && limit === 0 ? inOrder : inOrder.slice(skip, limit === 0 ? undefined : skip + limit)
}

/** The documents of a selection, one by one: each is found when it is needed, unless they have to be sorted. */
export function* eachSelected(
  collection: SqliteDocuments,
  selection: Selection,
  access: Access
): Generator<Fields | undefined> {
  const { limit, skip, sort } = selection
  const chosen = plan(collection, selection, sort, access)
  if (sort.length > 0 && (chosen === undefined || chosen.sorted === 0)) {
    for (const { document } of yield* search(collection, selection, access)) yield document
    return
  }
  let count = 0
  for (const found of matching(collection, selection, access, chosen)) {
    yield found !== undefined && ++count > skip ? found.document : undefined
    if (limit > 0 && count === skip + limit) return
  }
}

/** The documents that a filter in exact form finds, one by one. */
export function* eachFound(
  collection: SqliteDocuments,
  filter: Fields,
  access: Access
): Generator<Fields | undefined> {
  const query = { filter, predicate: compileFilter(filter) }
  for (const found of matching(collection, query, access, plan(collection, query, [], access))) yield found?.document
}

/** How many documents a selection has. */
export function* countFound(collection: SqliteDocuments, selection: Selection, access: Access): Work<number> {
  const { filter, limit, skip } = selection
  let count = 0
  if (Object.keys(filter).length === 0 && access.scope === undefined && access.see === undefined) {
    count = yield* collection.count()
  } else {
    for (const found of matching(collection, selection, access, plan(collection, selection, [], access))) {
      if (found !== undefined && ++count === skip + limit && limit > 0) break
      yield
    }
  }
  const rest = Math.max(0, count - skip)
  return limit === 0 ? rest : Math.min(limit, rest)
}

/** The name of the index that answers a selection. */
export const plannedIndex = (
  collection: SqliteDocuments,
  selection: Selection,
  access: Access
): string | undefined => plan(collection, selection, selection.sort, access)?.index.declaration.name

/** Every value that the documents of a query have at a path, each once; of an array its elements. */
export function* distinctValues(
  collection: SqliteDocuments,
  field: string,
  query: Query,
  access: Access
): Work<ReadonlyArray<unknown>> {
  if (field === "" || field.startsWith("$")) throw badFilter(`"${field}" is not a path`)
  const path: Path = parsePath(field)
  const values = new Map<string, unknown>()
  const take = (value: unknown): false => {
    const key = valueKey(value)
    if (!values.has(key)) values.set(key, value)
    return false
  }
  const collect = (value: unknown): false => {
    if (isArray(value)) value.forEach(take)
    else if (typeof value !== "symbol") take(value)
    return false
  }
  for (const found of matching(collection, query, access, plan(collection, query, [], access))) {
    if (found !== undefined) someValue(found.document, path, collect, true)
    yield
  }
  return [...values.values()]
}
