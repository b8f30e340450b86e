/** Why a text is no record of ours. A schema error would quote what it refused, which may be a token. */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { TokenStoreError } from "../../ClientError.ts"

/** What every record says of itself: its version, and its key when it is encrypted. */
const decodeHead = Schema.decodeUnknownOption(
  Schema.fromJsonString(Schema.Struct({ version: Schema.Finite, keyId: Schema.optionalKey(Schema.String) }))
)

/**
 * @param key the name of the record
 * @param version the version that is known here: a later one was written by a newer version of this library
 */
export const unreadable = (key: string, text: string, version: number, detail: string): TokenStoreError => {
  const head = Option.getOrUndefined(decodeHead(text))
  return new TokenStoreError({
    reason: head?.keyId !== undefined
      ? { _tag: "KeyMissing", key, keyId: head.keyId }
      : head !== undefined && head.version > version
      ? { _tag: "NewerVersion", key, version: head.version }
      : { _tag: "Damaged", key, detail }
  })
}
