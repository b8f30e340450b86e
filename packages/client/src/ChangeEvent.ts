/**
 * What a watched collection tells, `Collection.watch`: changes in the order in which they were committed (protocol section 9.4),
 * and what a reader has to know of the watch itself.
 */
import type { Timestamp } from "bson"
import type * as Option from "effect/Option"
import type { DocumentMismatchError } from "./ClientError.ts"
import type { Document } from "./Filter.ts"

/** The watch is open: every change from here on is told. First of all events, and once. */
export interface Opened {
  readonly _tag: "Opened"
}

/** Changes may have been missed before what follows: read again what depends on them. */
export interface Gap {
  readonly _tag: "Gap"
  /**
   * `NotResumable`: the connection was cut, and the server cannot tell what happened meanwhile. `HistoryLost`: it was away
   * for longer than the server remembers.
   */
  readonly reason: "NotResumable" | "HistoryLost"
}

/** What every change has. */
export interface Change {
  /** The place after this change, for the option `resumeAfter` of a later watch. */
  readonly resumeToken: Document
  readonly clusterTime: Option.Option<Timestamp>
}

/** What every change of one document has. */
export interface DocumentChange<Id> extends Change {
  readonly documentKey: { readonly _id: Id }
}

/** A document was added. */
export interface Insert<A, Id> extends DocumentChange<Id> {
  readonly _tag: "Insert"
  readonly fullDocument: A
}

/** A document took the place of another with the same `_id`. */
export interface Replace<A, Id> extends DocumentChange<Id> {
  readonly _tag: "Replace"
  readonly fullDocument: A
}

/** A document was changed. */
export interface Update<A, Id> extends DocumentChange<Id> {
  readonly _tag: "Update"
  /** The document as it is; `None` when it is gone already. */
  readonly fullDocument: Option.Option<A>
  /** New values by paths with dots, as they are stored. */
  readonly updatedFields: Document
  readonly removedFields: ReadonlyArray<string>
  /** Arrays that were cut at their end, by path, with what is left of them. */
  readonly truncatedArrays: ReadonlyArray<{ readonly field: string; readonly newSize: number }>
}

/** A document was removed. */
export interface Delete<Id> extends DocumentChange<Id> {
  readonly _tag: "Delete"
}

/** A document was changed that does not fit the schema. The stream goes on. */
export interface Mismatch extends Change {
  readonly _tag: "Mismatch"
  readonly operationType: string
  readonly error: DocumentMismatchError
}

/** Something happened to the whole collection (`drop`, `rename`, `dropDatabase`, `invalidate`), or is of a kind of tomorrow. */
export interface Other extends Change {
  readonly _tag: "Other"
  readonly operationType: string
  /** Where a collection that was renamed went. */
  readonly to: Option.Option<{ readonly database: string; readonly collection: string }>
}

/** Any event of a watched collection: `A` are its documents, `Id` their `_id` as it is stored. */
export type ChangeEvent<A, Id> =
  | Opened
  | Gap
  | Insert<A, Id>
  | Replace<A, Id>
  | Update<A, Id>
  | Delete<Id>
  | Mismatch
  | Other
