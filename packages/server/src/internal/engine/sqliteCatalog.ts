/**
 * What is written down about the collections of a database and their indexes.
 */
import type { DatabaseSync } from "node:sqlite"
import { decode, encode, exact, type Fields, isArray, isFields, setField } from "./bsonValue.ts"
import { declareIndex, type IndexDeclaration } from "./indexKeys.ts"

export interface Namespace {
  readonly database: string
  readonly collection: string
}

/** The name for people. */
export const fullName = ({ collection, database }: Namespace): string => `${database}.${collection}`

// both names may hold dots
export const keyOf = ({ collection, database }: Namespace): string => `${database}\0${collection}`

/** An index as it is written down. */
export interface CatalogIndex {
  readonly id: number
  readonly declaration: IndexDeclaration
  /** Per field: whether any document ever had an array on its path. */
  readonly multikey: ReadonlyArray<boolean>
}

export const catalogSchema = `
CREATE TABLE IF NOT EXISTS collections (
  id INTEGER PRIMARY KEY,
  database TEXT NOT NULL,
  name TEXT NOT NULL,
  UNIQUE (database, name)
);
CREATE TABLE IF NOT EXISTS indexes (
  id INTEGER PRIMARY KEY,
  collection INTEGER NOT NULL REFERENCES collections (id),
  declaration BLOB NOT NULL,
  multikey INTEGER NOT NULL DEFAULT 0
);`

export const multikeyBits = (flags: ReadonlyArray<boolean>): number =>
  flags.reduce((bits, flag, position) => bits | (Number(flag) << position), 0)

export const encodeDeclaration = ({ fields, partial, sparse, unique }: IndexDeclaration): Uint8Array =>
  encode({
    keys: exact(fields.map(({ direction, path }) => [path.join("."), direction])),
    unique,
    sparse,
    partial: partial ?? null
  })

const decodeDeclaration = (bytes: unknown): IndexDeclaration => {
  const stored = bytes instanceof Uint8Array ? decode(bytes) : {}
  const keys: Fields = {}
  for (const pair of isArray(stored["keys"]) ? stored["keys"] : []) {
    if (isArray(pair)) setField(keys, String(pair[0]), pair[1])
  }
  const partial = stored["partial"]
  return declareIndex(keys, {
    unique: stored["unique"] === true,
    sparse: stored["sparse"] === true,
    partial: isFields(partial) ? partial : undefined
  })
}

/** The indexes of a collection, in the order in which they were made. */
export const indexesOf = (database: DatabaseSync, collection: number): ReadonlyArray<CatalogIndex> =>
  database.prepare("SELECT id, declaration, multikey FROM indexes WHERE collection = ? ORDER BY id").all(collection)
    .map((row) => {
      const declaration = decodeDeclaration(row["declaration"])
      const bits = Number(row["multikey"])
      return {
        id: Number(row["id"]),
        declaration,
        multikey: declaration.fields.map((_, position) => (bits >> position & 1) === 1)
      }
    })
