/**
 * What of a token becomes the data of its user (`metadata_fields`, server section 2.5).
 */
import * as Ejson from "@effect-realm/protocol/Ejson"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import type { IdentityData } from "../../Accounts.ts"
import type { MetadataField } from "../../AuthProvider.ts"
import { Rejected } from "./providerRequests.ts"

/** The parts of a path: dots nest, and `\.` is a dot in a name. */
export const partsOf = (path: string): ReadonlyArray<string> =>
  path.split(/(?<!\\)\./).map((part) => part.replaceAll("\\.", "."))

/** What a field is called in the data of the user. */
export const nameOf = ({ fieldName, name }: Pick<MetadataField, "fieldName" | "name">): string =>
  fieldName ?? partsOf(name).at(-1) ?? name

const longestValue = 4_096

// A database keeps documents down to some depth, and what is around a value is part of its document.
const deepestValue = 64

const at = (claims: unknown, parts: ReadonlyArray<string>): unknown => {
  let value = claims
  for (const part of parts) {
    if (!Predicate.isReadonlyObject(value) || !Object.hasOwn(value, part)) return undefined
    value = (value as { readonly [name: string]: unknown })[part]
  }
  return value
}

/**
 * The fields of verified claims, which are JSON. Fails when one that is required is not there, and when one is longer or deeper
 * than what is kept, or is no Extended JSON, as which functions and clients read it.
 */
export const pick = (
  claims: { readonly [name: string]: unknown },
  fields: ReadonlyArray<Pick<MetadataField, "fieldName" | "name" | "required">>
): Effect.Effect<IdentityData, Rejected> =>
  Effect.suspend(() => {
    const found: Array<readonly [name: string, value: Schema.Json]> = []
    for (const field of fields) {
      const value = at(claims, partsOf(field.name))
      if (value === undefined || value === null) {
        if (field.required) {
          return Effect.fail(new Rejected({ detail: `the required field "${field.name}" is missing` }))
        }
        continue
      }
      if ((typeof value === "string" ? value : JSON.stringify(value)).length > longestValue) {
        return Effect.fail(
          new Rejected({ detail: `the field "${field.name}" is longer than ${longestValue} characters` })
        )
      }
      // Why is not said: the words could be those of the token.
      if (Result.isFailure(Ejson.decode(value, { maxDepth: deepestValue }))) {
        return Effect.fail(
          new Rejected({
            detail: `the field "${field.name}" is no Extended JSON, or is nested more than ${deepestValue} deep`
          })
        )
      }
      found.push([nameOf(field), value as Schema.Json])
    }
    return Effect.succeed(Object.fromEntries(found))
  })
