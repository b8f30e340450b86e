/** Options that are wrong. */
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"

/** Makes a value; what its constructor refuses is thrown as a `SchemaError`, whose message names the field. */
export const checked = <A>(make: () => A): A => {
  try {
    return make()
  } catch (error) {
    // A constructor throws the issue as the cause of an error that says nothing itself.
    throw error instanceof Error && SchemaIssue.isIssue(error.cause) ? new Schema.SchemaError(error.cause) : error
  }
}
