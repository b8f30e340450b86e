/** An event as it is written to the log of a place that several processes share. */
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Uncommitted } from "../../UserEvent.ts"

const Document = Schema.Record(Schema.String, Schema.Json)
const Identities = Schema.Array(Schema.Struct({ id: Schema.String, providerType: Schema.String }))

const Event: Schema.Codec<Uncommitted, unknown> = Schema.Union([
  Schema.TaggedStruct("LoggedIn", { providerType: Schema.String }),
  Schema.TaggedStruct("RefreshTokenReplaced", { providerType: Schema.String }),
  Schema.TaggedStruct("AccessTokenRefreshed", { customDataChanged: Schema.Boolean }),
  Schema.TaggedStruct("CustomDataRefreshed", { customData: Document }),
  Schema.TaggedStruct("ProfileRefreshed", {
    profile: Schema.Struct({ type: Schema.String, identities: Identities, data: Document })
  }),
  Schema.TaggedStruct("IdentityLinked", { identities: Identities }),
  Schema.TaggedStruct("Switched", {}),
  Schema.TaggedStruct("LoggedOut", { reason: Schema.Literals(["Requested", "SessionEnded"]) }),
  Schema.TaggedStruct("Removed", {})
])

export const decode: (text: string) => Effect.Effect<Uncommitted, Schema.SchemaError> = Schema.decodeUnknownEffect(
  Schema.fromJsonString(Event)
)

/** @param mark no other event in the log of any place has: by it one that was written anew under a number is told */
export const encode = (event: Uncommitted, mark: string): string => JSON.stringify({ ...event, mark })
