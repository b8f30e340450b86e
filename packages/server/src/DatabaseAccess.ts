/**
 * What one caller may see of a collection and do to it.
 */
import type * as Option from "effect/Option"
import type * as Result from "effect/Result"
import type { Document, Filter } from "./Database.ts"

/** What a write is about to make of one document: an insertion has no `before`, a deletion no `after`. */
export interface Change {
  readonly before: Option.Option<Document>
  readonly after: Option.Option<Document>
}

/**
 * What one caller may see of a collection and do to it. Every operation of a handle that was made with it goes through it;
 * what it refuses, the operation fails with, and nothing was changed then.
 *
 * All of it is asked within the operation, between the reading and the writing, so it answers at once and changes nothing. A
 * refusal that says what it lacks can be met by finding that out and asking again.
 *
 * @example
 * ```ts
 * import * as assert from "node:assert/strict"
 * import { Database } from "@effect-realm/server"
 * import * as Effect from "effect/Effect"
 * import * as Option from "effect/Option"
 * import * as Result from "effect/Result"
 *
 * const ann: Database.Access<"NotYours"> = {
 *   scope: { $or: [{ owner: "ann" }, { shared: true }] },
 *   see: ({ secret: _, ...document }) => Result.succeed(Option.some(document)),
 *   judge: ({ after, before }) =>
 *     [before, after].every((image) => Option.isNone(image) || image.value["owner"] === "ann")
 *       ? Result.void
 *       : Result.fail("NotYours")
 * }
 *
 * const program = Effect.gen(function*() {
 *   const database = yield* Database.Database
 *   const namespace = { database: "app", collection: "notes" }
 *   yield* database.collection(namespace).insertMany([
 *     { _id: 1, owner: "ann", secret: 7 },
 *     { _id: 2, owner: "bob", shared: true },
 *     { _id: 3, owner: "bob" }
 *   ])
 *   const notes = database.collection(namespace, { access: ann })
 *   assert.deepEqual(yield* notes.find({}), [{ _id: 1, owner: "ann" }, { _id: 2, owner: "bob", shared: true }])
 *   assert.equal(yield* notes.count({ secret: 7 }), 0)
 *   assert.equal(yield* Effect.flip(notes.deleteMany({})), "NotYours")
 * })
 *
 * await Effect.runPromise(Effect.provide(program, Database.layerMemory))
 * ```
 */
export interface Access<Refusal> {
  /**
   * The documents that are there for him, as they are stored; an index may answer it. All of them when not set. `$$NOW` in it
   * is what `now` is to `see`.
   */
  readonly scope?: Filter | undefined
  /**
   * A stored document as he sees it: without the fields he does not, or none at all. Filters, sorts, projections and pipelines
   * look at this and nothing else. It leaves fields out, `_id` never, and changes nothing else. `now` is when the operation
   * began, or when a change was made that is told by a watch, in milliseconds.
   */
  readonly see?: ((document: Document, now: number) => Result.Result<Option.Option<Document>, Refusal>) | undefined
  /**
   * Whether `see` answers the same about the same document and time whenever it is asked: then what is seen of a change is
   * found out once for all who watch with this access. Not so when not set.
   */
  readonly isSteady?: boolean | undefined
  /**
   * Whether every document that he sees shows at a path what is stored there: then an index may answer a sort by the path, and
   * any filter on it. It need not know of all such paths; of none when not set.
   */
  readonly shows?: ((path: string) => boolean) | undefined
  /**
   * Whether a document that was found may be updated or replaced at all, as far as that does not depend on what becomes of it.
   * It is asked before: an update that cannot be applied would tell of fields that are not seen.
   */
  readonly reach?: ((document: Document) => Result.Result<void, Refusal>) | undefined
  /** Whether a change may be written. It is asked about every document found, also one that stays as it is. */
  readonly judge?: ((change: Change) => Result.Result<void, Refusal>) | undefined
  /**
   * Whether an operation goes on after it was refused something. It fails with its first refusal all the same, and neither
   * hands out nor changes anything more, but asks about the documents that follow: whoever finds out what is lacking and asks
   * again finds out about many at once. May be asked of one refusal more than once. Not so when not set.
   */
  readonly goesOn?: ((refusal: Refusal) => boolean) | undefined
}
