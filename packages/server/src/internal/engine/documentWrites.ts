/**
 * Writes to one collection, within a transaction that is open: what they find, judge, change and answer.
 */
import { ObjectId } from "bson"
import { compare } from "./bsonOrder.ts"
import { assignFields, decode, exactDocument, type Fields, rank, rankOf } from "./bsonValue.ts"
import { type Access, type Query, search, type Selection } from "./documentSearch.ts"
import { badDocument, badUpdate } from "./failure.ts"
import { Refusals } from "./refusals.ts"
import type { SqliteCollection } from "./sqliteCollection.ts"
import { type Update, upsertSeed } from "./update.ts"
import { mapped, type Work } from "./work.ts"

export interface UpdateOutcome {
  readonly matchedCount: number
  readonly modifiedCount: number
  readonly upsertedId: unknown
  /** The one document as it was and as it is now; not of an update of many. */
  readonly before: Fields | undefined
  readonly after: Fields | undefined
}

export const nothingUpdated: UpdateOutcome = {
  matchedCount: 0,
  modifiedCount: 0,
  upsertedId: undefined,
  before: undefined,
  after: undefined
}

const checkId = (id: unknown): void => {
  const idRank = rankOf(id)
  if (idRank === rank.array || idRank === rank.regex || idRank === rank.undefined) {
    throw badDocument("_id", "an array or a regular expression cannot be an identifier")
  }
}

/** With `_id` in the first place, made when there is none. `now` is in milliseconds. */
const identified = (document: Fields, now: number): Fields => {
  const id = Object.hasOwn(document, "_id") ? document["_id"] : new ObjectId(ObjectId.generate(Math.floor(now / 1000)))
  checkId(id)
  for (const name of Object.keys(document)) {
    if (name.startsWith("$")) throw badDocument(name, "a field of a document cannot begin with $")
  }
  return Object.keys(document)[0] === "_id" ? document : assignFields({ _id: id }, document)
}

/** A document to insert, complete. `now` is in milliseconds. */
export const newDocument = (document: unknown, now: number): Fields => identified(exactDocument(document), now)

/** Inserts a complete document, and returns its identifier. */
export function* insertDocument(collection: SqliteCollection, document: Fields, access: Access): Work<unknown> {
  access.judge?.(undefined, document)
  collection.insert(document)
  return document["_id"]
}

/** The update that puts a whole document in the place of another, whose `_id` stays. */
export const compileReplacement = (replacement: unknown): Update => {
  const next = exactDocument(replacement)
  const operator = Object.keys(next).find((name) => name.startsWith("$"))
  if (operator !== undefined) throw badUpdate(`a replacement cannot hold ${operator}; use updateOne`, operator)
  const apply = (document: Fields): void => {
    const id = document["_id"]
    if (id !== undefined && next["_id"] !== undefined && compare(id, next["_id"]) !== 0) {
      throw badUpdate("the field _id of a document never changes")
    }
    for (const name of Object.keys(document)) Reflect.deleteProperty(document, name)
    if (id !== undefined) document["_id"] = id
    assignFields(document, next)
  }
  return { kind: "replace", apply }
}

function* upsert(
  collection: SqliteCollection,
  { filter }: Query,
  update: Update,
  access: Access
): Work<UpdateOutcome> {
  const seed = upsertSeed(filter)
  update.apply(seed, { inserting: true, filter, found: seed })
  const inserted = identified(seed, access.now)
  const upsertedId = yield* insertDocument(collection, inserted, access)
  return { ...nothingUpdated, upsertedId, after: inserted }
}

/** Updates what a selection finds, or inserts when it finds nothing and is asked to. */
export function* updateDocuments(
  collection: SqliteCollection,
  selection: Selection,
  update: Update,
  access: Access,
  orInsert: boolean
): Work<UpdateOutcome> {
  const { filter } = selection
  // all are found before any is changed, so that none is met twice
  const found = yield* search(collection, selection, access)
  if (found.length === 0 && orInsert) return yield* upsert(collection, selection, update, access)
  let modifiedCount = 0
  let last: Pick<UpdateOutcome, "before" | "after"> = nothingUpdated
  const refusals = new Refusals(access)
  for (const { document, stored } of found) {
    const next = stored.document
    const before = access.judge === undefined && selection.limit !== 1 ? undefined : decode(stored.body)
    const isPermitted = refusals.attempt(() => {
      access.reach?.(next)
      update.apply(next, { inserting: false, filter, found: document })
      access.judge?.(before, next)
      return true
    })
    if (isPermitted === true && collection.replace(stored, next, update.kind)) modifiedCount++
    last = { before, after: next }
    yield
  }
  refusals.end()
  return {
    matchedCount: found.length,
    modifiedCount,
    upsertedId: undefined,
    ...(selection.limit === 1 ? last : { before: undefined, after: undefined })
  }
}

/** Deletes what a selection finds, and returns the documents. */
export function* deleteDocuments(
  collection: SqliteCollection,
  selection: Selection,
  access: Access
): Work<ReadonlyArray<Fields>> {
  const found = yield* search(collection, selection, access)
  const refusals = new Refusals(access)
  const deleted = yield* mapped(found, ({ stored }) => {
    const isPermitted = refusals.attempt(() => {
      access.judge?.(stored.document, undefined)
      return true
    })
    if (isPermitted === true) collection.delete(stored)
    return stored.document
  })
  refusals.end()
  return deleted
}
