/**
 * What Google, Facebook and Apple have in common: each vouches for an account, and tells something of it.
 */
import type * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type { AccountField } from "../../AuthProvider.ts"
import type { Rejected, Unavailable } from "./providerRequests.ts"

/** What can be told of an account. */
export const fields = [
  "name",
  "first_name",
  "last_name",
  "picture",
  "email",
  "gender",
  "birthday",
  "min_age",
  "max_age"
] as const satisfies ReadonlyArray<AccountField["name"]>

export const isAccountField = (name: string): boolean => fields.some((known) => known === name)

/** An account that its provider vouches for. */
export interface Account {
  /** The provider's own id of it, which never changes. */
  readonly id: string
  /** What is known of it, by our names. */
  readonly data: { readonly [name in AccountField["name"]]?: unknown }
  /** Whether the provider knows that the email address is the account's. */
  readonly isEmailVerified: boolean
}

/** The app as its provider knows it. */
export interface Client {
  readonly id: string
  readonly secret: Redacted.Redacted | undefined
  /** What of an account the app wants to know. */
  readonly wanted: ReadonlySet<AccountField["name"]>
}

/** What became of an account that somebody has shown. */
export type Verdict = Effect.Effect<Account, Rejected | Unavailable>

/** An authorization code, and what it was asked for with. */
export interface Code {
  readonly code: Redacted.Redacted
  readonly redirectUri?: string
  /** PKCE (RFC 7636). */
  readonly verifier?: Redacted.Redacted
  /** The id token that comes for the code has to carry it. */
  readonly nonce?: string
}

/** What the page of a provider is opened with. */
export interface Asked {
  readonly redirectUri: string
  readonly state: string
  readonly nonce: string
  readonly challenge: string
}

/** A provider that sends browsers back with a code. */
export interface Redirecting {
  /** Where a browser is sent to. */
  readonly authorizationUrl: (asked: Asked) => Effect.Effect<string, Unavailable>
  readonly fromCode: (code: Code) => Verdict
}
