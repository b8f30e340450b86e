import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { SchemaMismatchError } from "../ClientError.ts"

/** A value of the server by the schema that the caller gave for it, or as it is. */
export const decoded = <A>(
  subject: string,
  schema: Schema.Decoder<A> | undefined,
  value: unknown
): Effect.Effect<A, SchemaMismatchError> =>
  schema === undefined
    // Without a schema `A` is what the value is known to be, or `unknown`, in the signature of every caller.
    ? Effect.succeed(value as A)
    : Effect.mapError(
      Schema.decodeUnknownEffect(schema)(value),
      (error) => new SchemaMismatchError({ subject, detail: error.message })
    )
