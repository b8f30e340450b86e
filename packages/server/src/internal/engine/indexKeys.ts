/**
 * Indexes: their declaration, and the keys a document has in one.
 */
import { compare } from "./bsonOrder.ts"
import { type Fields, getField, isArray, isFields } from "./bsonValue.ts"
import { isPosition, missing, parsePath, type Path } from "./documentPath.ts"
import { parseDirection } from "./documentSort.ts"
import { badDocument, failure } from "./failure.ts"
import { encodeKey, keyText } from "./keyEncoding.ts"
import { compileLasting } from "./query.ts"

export interface IndexField {
  readonly path: Path
  readonly direction: 1 | -1
}

export interface IndexDeclaration {
  readonly name: string
  readonly fields: ReadonlyArray<IndexField>
  readonly unique: boolean
  readonly sparse: boolean
  /** In exact form. */
  readonly partial: Fields | undefined
  readonly covers: (document: Fields) => boolean
}

export interface IndexKeys {
  readonly keys: ReadonlyMap<string, Uint8Array>
  /** Per field of the index: whether its path went through an array in this document. */
  readonly multikey: ReadonlyArray<boolean>
}

export const declareIndex = (
  keys: { readonly [path: string]: unknown },
  options: {
    readonly unique?: boolean | undefined
    readonly sparse?: boolean | undefined
    readonly partial?: Fields | undefined
  }
): IndexDeclaration => {
  const bad = (detail: string) => failure({ _tag: "BadIndex", detail })
  const fields = Object.keys(keys).map((name): IndexField => {
    const path = parsePath(name)
    if (path.some((segment) => segment === "" || segment.startsWith("$"))) throw bad(`"${name}" is not a path`)
    if (path.some(isPosition)) throw bad(`"${name}" names a place in an array, which is not supported`)
    return { path, direction: parseDirection(name, keys[name]) }
  })
  if (fields.length === 0 || fields.length > 31) throw bad("it needs from 1 to 31 fields")
  if (options.sparse === true && options.partial !== undefined) throw bad("sparse and partial exclude each other")
  return {
    name: fields.map(({ direction, path }) => `${path.join(".")}_${direction}`).join("_"),
    fields,
    unique: options.unique === true,
    sparse: options.sparse === true,
    partial: options.partial,
    covers: options.partial === undefined ? () => true : compileLasting(options.partial)
  }
}

/** Whether two declarations make the same index. */
export const sameIndex = (left: IndexDeclaration, right: IndexDeclaration): boolean =>
  left.name === right.name && left.unique === right.unique && left.sparse === right.sparse &&
  compare(left.partial ?? null, right.partial ?? null) === 0

interface Cursor {
  readonly value: unknown
  readonly rest: Path
}

/** Follows a path until it ends or meets an array. */
const follow = (start: Cursor): Cursor => {
  let value = start.value
  let index = 0
  while (index < start.rest.length && !isArray(value)) {
    const field = isFields(value) ? getField(value, start.rest[index] ?? "") : undefined
    if (field === undefined) return { value: missing, rest: [] }
    value = field
    index++
  }
  return { value, rest: start.rest.slice(index) }
}

/**
 * The rows of values a document has in an index. Fields that lie in one array are taken from the same element;
 * two arrays side by side are refused, as MongoDB does, for their product would be unbounded.
 */
const expand = (
  cursors: ReadonlyArray<Cursor>,
  name: string,
  multikey: Array<boolean>,
  emit: (row: ReadonlyArray<unknown>) => void
): void => {
  const followed = cursors.map(follow)
  const array = followed.find(({ value }) => isArray(value))?.value
  if (!isArray(array)) {
    emit(followed.map(({ value }) => value))
    return
  }
  for (const [index, { value }] of followed.entries()) {
    if (!isArray(value)) continue
    if (value !== array) {
      throw badDocument(name, "the fields of an index lie in two arrays side by side")
    }
    multikey[index] = true
  }
  const elements: ReadonlyArray<unknown> = array.length === 0 ? [undefined] : array
  for (const element of elements) {
    // an array within the array is not entered: it is one value, and has no fields
    const next = followed.map((cursor): Cursor =>
      cursor.value !== array
        ? cursor
        : cursor.rest.length === 0
        ? { value: new Whole(element), rest: [] }
        : { value: isFields(element) ? element : missing, rest: cursor.rest }
    )
    expand(next, name, multikey, emit)
  }
}

/** An element at the end of a path, which may be an array that is not to be entered. */
class Whole {
  readonly value: unknown
  constructor(value: unknown) {
    this.value = value
  }
}

/** The keys of a document in exact form; none when the index leaves the document out. */
export const indexKeys = (index: IndexDeclaration, document: Fields): IndexKeys => {
  const keys = new Map<string, Uint8Array>()
  const multikey = index.fields.map(() => false)
  if (!index.covers(document)) return { keys, multikey }
  expand(index.fields.map(({ path }) => ({ value: document, rest: path })), index.name, multikey, (row) => {
    const values = row.map((value) => value instanceof Whole ? value.value : value)
    if (index.sparse && values.every((value) => value === missing)) return
    const key = encodeKey(values.map((value) => value === missing ? null : value))
    keys.set(keyText(key), key)
  })
  return { keys, multikey }
}
