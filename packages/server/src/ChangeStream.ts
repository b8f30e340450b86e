/**
 * What a watched collection tells: change events as MongoDB has them, and how far it has looked.
 */
import type { Timestamp } from "bson"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type { Document, Namespace } from "./Database.ts"
import type { Access } from "./DatabaseAccess.ts"

/** A place in the history of a collection: opaque, of one collection, good for as long as what follows it is kept. */
export type ResumeToken = Document

/** Where a watch begins. */
export interface WatchOptions {
  /** Changes after this place are told first. From now on when not set. */
  readonly resumeAfter?: ResumeToken | undefined
  /** Of what is seen, what is told. All of it when not set. It is asked about every event, and answers at once. */
  readonly only?: ((event: ChangeEvent) => boolean) | undefined
}

/**
 * Who watches, as he is now: asked when a watch begins, and again before anything is told. As long as the answer is the same
 * access, what was seen with it is told; after another one, all that happened since it was asked before is seen anew.
 *
 * @param refused what the access of before has refused. Whoever asked has to mend it, or to fail: it is looked at again
 */
export type Reader<Refusal, E> = (refused: Option.Option<Refusal>) => Effect.Effect<Access<Refusal>, E>

/**
 * How long the changes of watched collections are kept, for those who resume and those who read slowly. One of the two limits
 * may be infinite, not both: then they would be kept for ever.
 */
export interface ChangeLogOptions {
  /** More than 0; 24 hours by default. */
  readonly maxAge?: Duration.Input | undefined
  /**
   * In bytes, of the documents before and after all changes; more than 0, 64 MiB by default. The oldest changes go first.
   */
  readonly maxBytes?: number | undefined
}

/** What an update changed, by paths with dots. */
export interface UpdateDescription {
  /** New values by their paths: `$set` of them makes the change, once the arrays are shortened. */
  readonly updatedFields: Document
  /** The paths that are there no longer. */
  readonly removedFields: ReadonlyArray<string>
  /** Arrays that lost elements at their end. */
  readonly truncatedArrays: ReadonlyArray<{ readonly field: string; readonly newSize: number }>
}

interface Told {
  /** The place right after this event. */
  readonly resumeToken: ResumeToken
  readonly namespace: Namespace
  /** When it was written: the second, and the millisecond in it counted from 1. Changes of one write have the same. */
  readonly clusterTime: Timestamp
  readonly documentKey: { readonly _id: unknown }
}

/** A document came into being. */
export interface InsertEvent extends Told {
  readonly operationType: "insert"
  readonly fullDocument: Document
}

/** Fields of a document changed. Images are those of the change itself, whatever came after it. */
export interface UpdateEvent extends Told {
  readonly operationType: "update"
  readonly fullDocument: Document
  readonly fullDocumentBeforeChange: Document
  readonly updateDescription: UpdateDescription
}

/** A whole document was put in the place of another. */
export interface ReplaceEvent extends Told {
  readonly operationType: "replace"
  readonly fullDocument: Document
  readonly fullDocumentBeforeChange: Document
}

/** A document is there no longer. */
export interface DeleteEvent extends Told {
  readonly operationType: "delete"
  readonly fullDocumentBeforeChange: Document
}

/** One change of one document. Its documents are handed to all who watch: copy what you change. */
export type ChangeEvent = InsertEvent | UpdateEvent | ReplaceEvent | DeleteEvent

/**
 * A change, or a place up to which all of them were told.
 *
 * @example
 * ```ts
 * import * as assert from "node:assert/strict"
 * import { Database } from "@effect-realm/server"
 * import * as Effect from "effect/Effect"
 * import * as Stream from "effect/Stream"
 *
 * const program = Effect.gen(function*() {
 *   const database = yield* Database.Database
 *   const orders = database.collection({ database: "shop", collection: "orders" })
 *   const told = orders.watch().pipe(
 *     // the position comes as soon as no later change can be missed
 *     Stream.tap((watched) => watched._tag === "Position" ? orders.insertOne({ _id: 1, total: 3 }) : Effect.void),
 *     Stream.take(2)
 *   )
 *   return yield* Stream.runCollect(told)
 * })
 *
 * const [, watched] = await Effect.runPromise(Effect.provide(program, Database.layerMemory))
 * assert.ok(watched?._tag === "Changed" && watched.event.operationType === "insert")
 * assert.deepEqual(watched.event.fullDocument, { _id: 1, total: 3 })
 * ```
 */
export type Watched =
  | { readonly _tag: "Changed"; readonly event: ChangeEvent }
  | { readonly _tag: "Position"; readonly resumeToken: ResumeToken }
