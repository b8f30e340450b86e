/**
 * Which fields a find hands out, and in which order it hands out documents.
 */
import { toNumber, wholeNumber } from "./bsonNumber.ts"
import { compare } from "./bsonOrder.ts"
import { exact, type Fields, isArray, isFields, isNumeric, setField } from "./bsonValue.ts"
import { parsePath, type Path, sortValue } from "./documentPath.ts"
import { badFilter } from "./failure.ts"

export type Projection = (document: Fields) => Fields

interface Tree extends Map<string, true | Tree> {}

const addPath = (tree: Tree, path: Path, at: string): void => {
  const [head = "", ...rest] = path
  const present = tree.get(head)
  if (rest.length === 0) {
    if (present !== undefined) throw badFilter(`the projection names "${at}" twice`)
    tree.set(head, true)
    return
  }
  if (present === true) throw badFilter(`the projection names "${at}" and a part of it`)
  const branch: Tree = present ?? new Map()
  tree.set(head, branch)
  addPath(branch, rest, at)
}

const project = (document: Fields, tree: Tree, keep: boolean): Fields => {
  const fields: Fields = {}
  for (const name of Object.keys(document)) {
    const branch = tree.get(name)
    if (branch === undefined || branch === true) {
      if ((branch === true) === keep) setField(fields, name, document[name])
      continue
    }
    const value = projectValue(document[name], branch, keep)
    if (value !== undefined) setField(fields, name, value)
  }
  return fields
}

// what cannot hold the wanted path is left out by an inclusion and kept by an exclusion
const projectValue = (value: unknown, tree: Tree, keep: boolean): unknown => {
  if (isFields(value)) return project(value, tree, keep)
  if (isArray(value)) {
    return value.map((element) => projectValue(element, tree, keep)).filter((element) => element !== undefined)
  }
  return keep ? undefined : value
}

const flag = (name: string, value: unknown): boolean => {
  if (typeof value === "boolean") return value
  if (isNumeric(value)) return toNumber(value) !== 0
  const operator = isFields(value) ? Object.keys(value)[0] : undefined
  throw operator?.startsWith("$") === true
    ? badFilter(`the projection operator ${operator} is not supported`, operator)
    : badFilter(`the projection of "${name}" is neither 0 nor 1`)
}

/** A projection by inclusion or by exclusion. */
export const compileProjection = (projection: unknown): Projection => {
  const fields = exact(projection)
  if (!isFields(fields)) throw badFilter("the projection is not an object")
  const tree: Tree = new Map()
  let keep: boolean | undefined
  let id: boolean | undefined
  for (const name of Object.keys(fields)) {
    const wanted = flag(name, fields[name])
    if (name === "_id") {
      id = wanted
      continue
    }
    if (name.split(".").some((segment) => segment === "" || segment.startsWith("$"))) {
      throw badFilter(`the projection path "${name}" is not supported`)
    }
    if (keep !== undefined && keep !== wanted) throw badFilter("the projection both includes and excludes fields")
    keep = wanted
    addPath(tree, parsePath(name), name)
  }
  const including = keep ?? (id === true)
  if (including ? id !== false : id === false) tree.set("_id", true)
  return (document) => project(document, tree, including)
}

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
export const sortDocuments = <A extends { readonly document: Fields }>(
  documents: ReadonlyArray<A>,
  sort: ReadonlyArray<Sort>
): Array<A> => {
  const keys = sort.map(({ direction, path }) => ({ path: parsePath(path), direction }))
  const decorated = documents.map((entry) => ({
    entry,
    values: keys.map(({ direction, path }) => sortValue(entry.document, path, direction))
  }))
  decorated.sort((left, right) => {
    for (const [index, { direction }] of keys.entries()) {
      const order = compare(left.values[index], right.values[index])
      if (order !== 0) return order * direction
    }
    return 0
  })
  return decorated.map(({ entry }) => entry)
}
