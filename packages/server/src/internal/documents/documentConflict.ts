/**
 * What a user is told when a unique key is taken. The document that has it may be none of his: then the answer is that of a
 * role that does not permit the write, which says nothing about what is there.
 */
import type * as RealmError from "@effect-realm/protocol/RealmError"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Access, Collection, Document, Filter } from "../../Database.ts"
import type { DatabaseError } from "../../DatabaseError.ts"
import { valueAt } from "../engine/documentPath.ts"
import { notPermitted, type Refusal } from "./documentAccess.ts"

/** The documents with the same key: an index is named by its paths and directions, as in `team_1_rank_-1`. */
const sameKey = (index: string, document: Document): Filter => {
  const paths = index === "_id_" ? ["_id"] : index.split(/_-?1(?:_|$)/).filter((path) => path !== "")
  return Object.fromEntries(paths.map((path) => [path, { $eq: valueAt({ ...document }, path.split(".")) ?? null }]))
}

/**
 * Whether the user may hear of the conflict: he sees everything, or the document that has the key, with the key.
 *
 * @param inserted the documents that were to be inserted; none for an update
 */
export const isHidden = (
  collection: Collection<Refusal>,
  access: Access<Refusal>,
  inserted: ReadonlyArray<Document | undefined>,
  error: DatabaseError
): Effect.Effect<boolean, DatabaseError | Refusal> => {
  const { failedIndex = 0, reason } = error
  if (reason._tag !== "DuplicateKey" || (access.see === undefined && access.scope === undefined)) {
    return Effect.succeed(false)
  }
  const document = inserted[failedIndex]
  if (document === undefined) return Effect.succeed(true)
  // A document without an identifier got a new one, which nobody has.
  return Effect.map(collection.findOne(sameKey(reason.index, document)), Option.isNone)
}

/** What a hidden conflict is answered with. */
export const refusal = (inserted: ReadonlyArray<Document | undefined>): RealmError.DataError =>
  notPermitted(inserted.length === 0 ? "update" : "insert")
