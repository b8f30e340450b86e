/**
 * What can go wrong in the database: one class, one tagged reason per thing a program can tell apart.
 */
import * as Schema from "effect/Schema"

/**
 * The reasons of a {@link DatabaseError}.
 *
 * - `DuplicateKey`: a unique index already holds this key. `index` is its name (`_id_` for identifiers).
 * - `Locked`: another process has the file open. Stop it, or use another file.
 * - `Corrupt`: the file is not a database of ours, or is damaged. It was not changed.
 * - `Unavailable`: the file or its folder cannot be opened, read or written.
 * - `UnsupportedUrl`: no engine for URLs of this `scheme`.
 * - `BadOptions`: options that no database can be opened with.
 * - `BadFilter`, `BadUpdate`: an operator that does not exist or an operand that does not fit; nothing was changed.
 * - `BadPipeline`: a stage or an expression that does not exist, or cannot be evaluated for a document.
 * - `BadDocument`: a value that cannot be stored at `path`.
 * - `DocumentTooLarge`: `size` bytes of BSON where `limit` are allowed.
 * - `BadIndex`: an index that cannot be made, or differs from the one of the same name.
 * - `InvalidResumeToken`: what to resume after is no token, or one of another collection.
 * - `ChangeStreamHistoryLost`: what followed the token, or what a slow reader has not read yet, is kept no longer; or the
 *   database does not go on from there, as after it was put back from a copy.
 */
export const DatabaseErrorReason = Schema.TaggedUnion({
  DuplicateKey: { index: Schema.String, namespace: Schema.String },
  Locked: { filename: Schema.String },
  Corrupt: { filename: Schema.String, detail: Schema.String },
  Unavailable: { filename: Schema.String, detail: Schema.String },
  UnsupportedUrl: { scheme: Schema.String },
  BadOptions: { detail: Schema.String },
  BadFilter: { operator: Schema.optionalKey(Schema.String), detail: Schema.String },
  BadUpdate: { operator: Schema.optionalKey(Schema.String), detail: Schema.String },
  BadPipeline: { operator: Schema.optionalKey(Schema.String), detail: Schema.String },
  BadDocument: { path: Schema.String, detail: Schema.String },
  DocumentTooLarge: { size: Schema.Int, limit: Schema.Int },
  BadIndex: { detail: Schema.String },
  InvalidResumeToken: { detail: Schema.String },
  ChangeStreamHistoryLost: { namespace: Schema.String }
})

/** One of the reasons of {@link DatabaseErrorReason}. */
export type DatabaseErrorReason = typeof DatabaseErrorReason.Type

/**
 * A failed database operation. `reason` says why, `message` what to do about it.
 *
 * `insertedCount` and `failedIndex` are set by `insertMany` and `bulkWrite`: that many documents were inserted and kept, and
 * at that place, counted from 0, stood the first write that failed.
 *
 * @example
 * ```ts
 * import * as assert from "node:assert/strict"
 * import { Database } from "@effect-realm/server"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function*() {
 *   const database = yield* Database.Database
 *   const users = database.collection({ database: "app", collection: "users" })
 *   yield* users.insertOne({ _id: "ann" })
 *   return yield* users.insertOne({ _id: "ann" }).pipe(
 *     Effect.as("inserted"),
 *     Effect.catchReason("DatabaseError", "DuplicateKey", (reason) => Effect.succeed(reason.index))
 *   )
 * })
 *
 * assert.equal(await Effect.runPromise(Effect.provide(program, Database.layerMemory)), "_id_")
 * ```
 */
export class DatabaseError extends Schema.TaggedError<DatabaseError>()("DatabaseError", {
  reason: DatabaseErrorReason,
  insertedCount: Schema.optionalKey(Schema.Int),
  failedIndex: Schema.optionalKey(Schema.Int),
  cause: Schema.optionalKey(Schema.Defect())
}) {
  /** What happened and what to do about it. Never holds a value of a document. */
  override get message(): string {
    const reason = this.reason
    switch (reason._tag) {
      case "DuplicateKey":
        return `E11000 duplicate key error collection: ${reason.namespace} index: ${reason.index}. Use another value, or update the document that has it.`
      case "Locked":
        return `The database file ${reason.filename} is in use by another process. Stop that process, or use another file.`
      case "Corrupt":
        return `The database file ${reason.filename} cannot be used: ${reason.detail}. It was left as it is. Restore it from a backup, or use another file.`
      case "Unavailable":
        return `The database ${reason.filename} is not available: ${reason.detail}. Check that its folder exists, and that this user may write to both.`
      case "UnsupportedUrl":
        return `Databases of the kind "${reason.scheme}" are not supported yet. Use "memory:", "file:<path>" or a plain path.`
      case "BadOptions":
        return `The database cannot be opened: ${reason.detail}.`
      case "BadFilter":
        return `The filter cannot be used: ${reason.detail}.`
      case "BadUpdate":
        return `The update cannot be applied: ${reason.detail}. Nothing was changed.`
      case "BadPipeline":
        return `The pipeline cannot be run: ${reason.detail}.`
      case "BadDocument":
        return `The document cannot be stored: ${reason.detail}${reason.path === "" ? "" : ` at "${reason.path}"`}.`
      case "DocumentTooLarge":
        return `The document has ${reason.size} bytes, but at most ${reason.limit} are allowed. Split it into several documents.`
      case "BadIndex":
        return `The index cannot be made: ${reason.detail}.`
      case "InvalidResumeToken":
        return `The resume token cannot be used: ${reason.detail}. Resume after a token of the same collection, or watch from now on.`
      case "ChangeStreamHistoryLost":
        return `The changes of ${reason.namespace} cannot be told from there on: they are kept no longer, or the database does not go on from there. Watch from now on, and read again what may have changed.`
    }
  }
}
