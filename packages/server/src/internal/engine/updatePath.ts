/**
 * The paths that an update names: which of them it may, in which order they are taken, and where two of them conflict.
 */
import { maxDepth } from "./bsonValue.ts"
import { isPosition, parsePath, type Path } from "./documentPath.ts"
import { badUpdate } from "./failure.ts"

/** The order in which updates add fields. */
export const compareSegments = (left: string, right: string): number =>
  isPosition(left) && isPosition(right) ? Number(left) - Number(right) : left < right ? -1 : left > right ? 1 : 0

export const comparePaths = (left: Path, right: Path): number => {
  const length = Math.min(left.length, right.length)
  for (let index = 0; index < length; index++) {
    const order = compareSegments(left[index] ?? "", right[index] ?? "")
    if (order !== 0) return order
  }
  return left.length - right.length
}

export const checkPath = (operator: string, text: string): Path => {
  const path = parsePath(text)
  if (path.length > maxDepth) throw badUpdate(`${operator} names a path of more than ${maxDepth} parts`, operator)
  for (const [index, segment] of path.entries()) {
    if (segment === "") throw badUpdate(`the path "${text}" has an empty part`, operator)
    if (segment.includes("\0")) throw badUpdate("a path holds a NUL character", operator)
    const isPositional = index > 0 && (segment === "$" || /^\$\[\w*\]$/.test(segment))
    if (segment.startsWith("$") && !isPositional && !(index > 0 && /^\$(ref|id|db)$/.test(segment))) {
      throw badUpdate(`the path "${text}" has a part that begins with $`, operator)
    }
  }
  return path
}

const conflict = (path: string, at: string): Error =>
  badUpdate(`Updating the path '${path}' would create a conflict at '${at}'`)

/** No path may be another one, nor a part of it: what the update means would depend on its order. */
export const checkConflicts = (paths: ReadonlyArray<Path>): void => {
  const sorted = paths.map((path) => path.join(".")).toSorted()
  const seen = new Set<string>()
  for (const path of sorted) {
    const segments = path.split(".")
    for (let length = 1; length <= segments.length; length++) {
      const part = segments.slice(0, length).join(".")
      if (seen.has(part)) throw conflict(path, part)
    }
    seen.add(path)
  }
}

export const isFiltered = (segment: string): boolean => segment.startsWith("$[")

/**
 * Whether two paths may come to the same element of an array by different names. An array that is reached by `$[]` or an
 * array filter is reached in no other way.
 */
export const mayMeet = (paths: ReadonlyArray<Path>): boolean => {
  const segments = new Map<string, string>()
  let meet = false
  for (const path of paths) {
    for (const [index, segment] of path.entries()) {
      const head = path.slice(0, index).join(".")
      const other = segments.get(head)
      if (other === undefined) segments.set(head, segment)
      else if (isFiltered(other) !== isFiltered(segment)) throw conflict(path.join("."), head)
      else meet ||= isFiltered(segment) && segment !== other
    }
  }
  return meet
}
