/** Names and ids that stand in the path of a request. */
import * as Schema from "effect/Schema"

/**
 * Whether a text stays the part of a path that it is put in. `.` and `..` are taken out of a path however they are
 * written, without text it is another path, and half a surrogate pair cannot be written at all: nothing is called so.
 *
 * Throws a `SchemaError` that names the field when a caller without types hands in no text.
 */
export const isPathPart = (field: string, value: string): boolean => {
  if (typeof value !== "string") Schema.decodeUnknownSync(Schema.Struct({ [field]: Schema.String }))({ [field]: value })
  return value !== "" && value !== "." && value !== ".." && value.isWellFormed()
}
