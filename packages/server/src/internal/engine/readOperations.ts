/**
 * MongoDB's operations that read, as work on the collections as they are at one time.
 */
import type { ObjectId } from "bson"
import { compilePipeline, runPipeline, splitSelection } from "./aggregation.ts"
import type { Fields } from "./bsonValue.ts"
import {
  type Access,
  countFound,
  distinctValues,
  eachFound,
  eachSelected,
  parseQuery,
  parseSelection,
  plannedIndex,
  search,
  type Selection,
  view
} from "./documentSearch.ts"
import { badFilter } from "./failure.ts"
import { compileProjection } from "./projection.ts"
import type { Namespace } from "./sqliteCatalog.ts"
import type { Collections } from "./sqliteDocuments.ts"
import type { Surroundings } from "./stage.ts"
import { stepsOfDocument, stepsOfPipeline } from "./steps.ts"
import { mapped, type Work } from "./work.ts"

export interface FindOptions {
  readonly sort?: { readonly [path: string]: unknown } | undefined
  readonly skip?: number | undefined
  readonly limit?: number | undefined
  readonly projection?: { readonly [path: string]: unknown } | undefined
}

export interface Explanation {
  readonly index: string | undefined
  readonly documentsExamined: number
  readonly documentsReturned: number
}

/**
 * What a projection makes of a document that the filter has found; `undefined` when it leaves it as it is. `now` is in
 * milliseconds.
 */
export const parseProjection = (
  projection: FindOptions["projection"],
  filter: Fields,
  now: number
): ((document: Fields) => Fields) | undefined => {
  if (projection === undefined || Object.keys(projection).length === 0) return undefined
  const compiled = compileProjection(projection, "find")
  return (document) => compiled(document, { now, spend: stepsOfDocument() }, filter)
}

/** The document of a filter that is one identifier and nothing else. */
export function* findById(
  collections: Collections,
  namespace: Namespace,
  id: string | ObjectId,
  access: Access
): Work<Fields | undefined> {
  const stored = collections.get(namespace)?.get(id)
  return stored === undefined ? undefined : view(access, stored.document)
}

export function* findFirst(
  collections: Collections,
  namespace: Namespace,
  filter: unknown,
  options: Omit<FindOptions, "limit">,
  access: Access
): Work<Fields | undefined> {
  const [first] = yield* find(collections, namespace, filter, { ...options, limit: 1 }, access)
  return first
}

export function* find(
  collections: Collections,
  namespace: Namespace,
  filter: unknown,
  options: FindOptions,
  access: Access
): Work<Array<Fields>> {
  const selection = parseSelection(filter, options)
  const project = parseProjection(options.projection, selection.filter, access.now)
  const collection = collections.get(namespace)
  if (collection === undefined) return []
  const found = yield* search(collection, selection, access)
  return project === undefined
    ? found.map(({ document }) => document)
    : yield* mapped(found, ({ document }) => project(document))
}

export function* count(
  collections: Collections,
  namespace: Namespace,
  filter: unknown,
  options: { readonly skip?: number | undefined; readonly limit?: number | undefined },
  access: Access
): Work<number> {
  const selection = parseSelection(filter, options)
  const collection = collections.get(namespace)
  return collection === undefined ? 0 : yield* countFound(collection, selection, access)
}

export function* distinct(
  collections: Collections,
  namespace: Namespace,
  field: string,
  filter: unknown,
  access: Access
): Work<ReadonlyArray<unknown>> {
  const query = parseQuery(filter)
  const collection = collections.get(namespace)
  return collection === undefined ? [] : yield* distinctValues(collection, field, query, access)
}

/** Runs a pipeline over the documents the caller sees; what it begins with is answered by an index where one can. */
export function* aggregate(
  collections: Collections,
  namespace: Namespace,
  pipeline: unknown,
  access: Access,
  random: Surroundings["random"]
): Work<Array<Fields>> {
  const { selection, stages } = splitSelection(compilePipeline(pipeline))
  const collection = collections.get(namespace)
  const found = collection === undefined ? [] : eachSelected(collection, selection, access)
  return yield* runPipeline(stages, found, {
    now: access.now,
    random,
    spend: stepsOfPipeline(),
    others: (name, filter) => {
      if (access.scope !== undefined || access.see !== undefined) {
        throw badFilter("a caller of limited access cannot look into another collection")
      }
      const other = collections.get({ database: namespace.database, collection: name })
      return other === undefined ? [] : eachFound(other, filter, { now: access.now })
    }
  })
}

/** How the documents are found that a pipeline begins with. */
export function* explainAggregate(
  collections: Collections,
  namespace: Namespace,
  pipeline: unknown,
  access: Access
): Work<Explanation> {
  const { selection } = splitSelection(compilePipeline(pipeline))
  return yield* explainSelection(collections, namespace, selection, access)
}

export function* explain(
  collections: Collections,
  namespace: Namespace,
  filter: unknown,
  options: FindOptions,
  access: Access
): Work<Explanation> {
  return yield* explainSelection(collections, namespace, parseSelection(filter, options), access)
}

function* explainSelection(
  collections: Collections,
  namespace: Namespace,
  selection: Selection,
  access: Access
): Work<Explanation> {
  const collection = collections.get(namespace)
  if (collection === undefined) return { index: undefined, documentsExamined: 0, documentsReturned: 0 }
  let documentsExamined = 0
  const found = yield* search(collection, selection, access, () => {
    documentsExamined++
  })
  return {
    index: plannedIndex(collection, selection, access),
    documentsExamined,
    documentsReturned: found.length
  }
}
