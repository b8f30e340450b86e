import * as Redacted from "effect/Redacted"

/** A secret as a caller may hold it. */
export type Secret = string | Redacted.Redacted

export const redacted = (secret: Secret): Redacted.Redacted =>
  typeof secret === "string" ? Redacted.make(secret) : secret
