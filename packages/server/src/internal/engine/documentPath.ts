/**
 * Dotted paths through documents and arrays, as queries, indexes and sorts see them.
 */
import { compare } from "./bsonOrder.ts"
import { type Fields, getField, isArray, isFields } from "./bsonValue.ts"

export type Path = ReadonlyArray<string>

export const parsePath = (path: string): Path => path.split(".")

export const isPosition = (segment: string): boolean => /^(0|[1-9]\d*)$/.test(segment)

/** Stands for a field that is not there, which is not the same as null. */
export const missing: unique symbol = Symbol("missing")

/** Looks at one value of a path; true ends the walk. */
export type Visit = (value: unknown) => boolean

/**
 * Visits each value a path leads to: arrays on the way are entered one level deep, by position too. An array at the end
 * is visited element by element, then as a whole; with `wholeArrays` only as a whole.
 */
export const someValue = (document: Fields, path: Path, visit: Visit, wholeArrays = false, from = 0): boolean => {
  let value: unknown = document
  for (let index = from; index < path.length; index++) {
    if (!isFields(value)) return visit(missing)
    const segment = path[index] ?? ""
    if (!Object.hasOwn(value, segment)) return visit(missing)
    value = value[segment]
    if (isArray(value) && index < path.length - 1) return someElement(value, path, visit, wholeArrays, index + 1)
  }
  if (isArray(value) && !wholeArrays && value.some(visit)) return true
  return visit(value)
}

const someElement = (
  array: ReadonlyArray<unknown>,
  path: Path,
  visit: Visit,
  wholeArrays: boolean,
  from: number
): boolean => {
  const segment = path[from] ?? ""
  for (const element of array) {
    if (isFields(element) && someValue(element, path, visit, wholeArrays, from)) return true
  }
  if (!isPosition(segment)) return false
  const element = array[Number(segment)]
  if (element === undefined) return false
  if (from === path.length - 1) return visit(element)
  if (isFields(element)) return someValue(element, path, visit, wholeArrays, from + 1)
  return isArray(element) && someElement(element, path, visit, wholeArrays, from + 1)
}

/** The value a path leads to without entering arrays except by position. */
export const valueAt = (document: Fields, path: Path): unknown => {
  let value: unknown = document
  for (const segment of path) {
    if (isArray(value)) value = isPosition(segment) ? value[Number(segment)] : undefined
    else value = isFields(value) ? getField(value, segment) : undefined
    if (value === undefined) return undefined
  }
  return value
}

/** What a document is sorted by: the least (or greatest) value of the path, null when there is none. */
export const sortValue = (document: Fields, path: Path, direction: 1 | -1): unknown => {
  let best: unknown = missing
  const take = (value: unknown): false => {
    const candidate = value === missing ? null : value
    if (best === missing || compare(candidate, best) * direction < 0) best = candidate
    return false
  }
  const collect = (value: unknown): false => {
    if (!isArray(value)) return take(value)
    // an empty array sorts below null
    if (value.length === 0) return take(undefined)
    for (const element of value) take(element)
    return false
  }
  someValue(document, path, collect, true)
  return best === missing ? null : best
}
