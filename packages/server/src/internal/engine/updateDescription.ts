/**
 * What is different in a document after a change: what MongoDB calls the description of an update.
 */
import { type Fields, isArray, isFields, isIdentical, setField } from "./bsonValue.ts"
import { compareSegments } from "./updatePath.ts"

export interface UpdateDescription {
  readonly updatedFields: Fields
  readonly removedFields: Array<string>
  readonly truncatedArrays: Array<{ readonly field: string; readonly newSize: number }>
}

/** Whether a name can stand in a path: one with a dot would be read as two. */
const isSegment = (name: string): boolean => name !== "" && !name.includes(".") && !name.startsWith("$")

/** Whether removing and setting single fields of `before` leads to `after`, also to its order. */
const isReachable = (before: Fields, after: Fields): boolean => {
  const kept = Object.keys(before).filter((name) => Object.hasOwn(after, name))
  const added = Object.keys(after).filter((name) => !Object.hasOwn(before, name)).toSorted(compareSegments)
  const reached = [...kept, ...added]
  return Object.keys(after).every((name, index) => name === reached[index]) &&
    [...Object.keys(before), ...added].every(isSegment)
}

const differences = (
  description: UpdateDescription,
  path: string,
  before: unknown,
  after: unknown
): void => {
  if (isIdentical(before, after)) return
  if (isFields(before) && isFields(after) && isReachable(before, after)) {
    inFields(description, `${path}.`, before, after)
  } else if (isArray(before) && isArray(after) && !isRewritten(before, after)) {
    const shared = Math.min(before.length, after.length)
    for (let index = 0; index < shared; index++) {
      differences(description, `${path}.${index}`, before[index], after[index])
    }
    for (let index = shared; index < after.length; index++) {
      setField(description.updatedFields, `${path}.${index}`, after[index])
    }
    if (after.length < before.length) {
      description.truncatedArrays.push({ field: path, newSize: after.length })
    }
  } else {
    setField(description.updatedFields, path, after)
  }
}

// An element removed at the front moves all others: the whole array is shorter than their list.
const isRewritten = (before: ReadonlyArray<unknown>, after: ReadonlyArray<unknown>): boolean => {
  const shared = Math.min(before.length, after.length)
  let changed = 0
  for (let index = 0; index < shared; index++) if (!isIdentical(before[index], after[index])) changed++
  return after.length === 0 || 2 * changed > shared
}

const inFields = (description: UpdateDescription, prefix: string, before: Fields, after: Fields): void => {
  for (const name of Object.keys(before)) {
    if (!Object.hasOwn(after, name)) description.removedFields.push(prefix + name)
  }
  for (const name of Object.keys(after)) {
    if (Object.hasOwn(before, name)) differences(description, prefix + name, before[name], after[name])
    else setField(description.updatedFields, prefix + name, after[name])
  }
}

export const describeUpdate = (before: Fields, after: Fields): UpdateDescription => {
  const description: UpdateDescription = { updatedFields: {}, removedFields: [], truncatedArrays: [] }
  inFields(description, "", before, after)
  return description
}
