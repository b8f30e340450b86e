/**
 * The order in which documents are handed out.
 */
import { wholeNumber } from "./bsonNumber.ts"
import { compare } from "./bsonOrder.ts"
import { exact, type Fields } from "./bsonValue.ts"
import { parsePath, sortValue } from "./documentPath.ts"
import { badFilter } from "./failure.ts"
import { mapped, sorted, type Work } from "./work.ts"

export interface Sort {
  readonly path: string
  readonly direction: 1 | -1
}

export const parseDirection = (name: string, value: unknown): 1 | -1 => {
  const direction = wholeNumber(exact(value))
  if (direction !== 1 && direction !== -1) throw badFilter(`the sort of "${name}" is neither 1 nor -1`)
  return direction
}

export const parseSort = (sort: { readonly [path: string]: unknown }): ReadonlyArray<Sort> =>
  Object.keys(sort).map((path) => {
    if (path === "" || path.startsWith("$")) throw badFilter(`one cannot sort by "${path}"`)
    return { path, direction: parseDirection(path, sort[path]) }
  })

/** Sorts documents, those that are equal staying in order. Each sort value is looked up once. */
export function* sortDocuments<A extends { readonly document: Fields }>(
  documents: ReadonlyArray<A>,
  sort: ReadonlyArray<Sort>
): Work<Array<A>> {
  const keys = sort.map(({ direction, path }) => ({ path: parsePath(path), direction }))
  const decorated = yield* mapped(documents, (entry) => ({
    entry,
    values: keys.map(({ direction, path }) => sortValue(entry.document, path, direction))
  }))
  const inOrder = yield* sorted(decorated, (left, right) => {
    for (const [index, { direction }] of keys.entries()) {
      const order = compare(left.values[index], right.values[index])
      if (order !== 0) return order * direction
    }
    return 0
  })
  return inOrder.map(({ entry }) => entry)
}
