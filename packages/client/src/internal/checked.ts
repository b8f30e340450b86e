/** Options that are wrong. */
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"

/**
 * Options as they are read. A caller without types may have left out all of them: then each is missing, and it is said of
 * the first that is needed.
 */
// Nothing is there to be read of another type than it should be.
export const given = <A extends object>(options: A): A => options ?? ({} as A)

/** Makes a value; what its constructor refuses is thrown as a `SchemaError`, whose message names the field. */
export const checked = <A>(make: () => A): A => {
  try {
    return make()
  } catch (error) {
    // A constructor throws the issue as the cause of an error that says nothing itself.
    throw error instanceof Error && SchemaIssue.isIssue(error.cause) ? new Schema.SchemaError(error.cause) : error
  }
}
