/**
 * JSON Web Tokens of other issuers: signature and claims. Which algorithm a token has to be signed by is never the
 * token's own choice, and a key is of one algorithm only.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import { decodeProtectedHeader } from "jose/decode/protected_header"
import * as errors from "jose/errors"
import { jwtVerify } from "jose/jwt/verify"
import { createPublicKey, createSecretKey, type KeyObject } from "node:crypto"
import type { Documents } from "./issuerDocuments.ts"
import { Rejected, type Unavailable } from "./providerRequests.ts"

/** The algorithms that the token of an issuer can be signed by (server section 2.5). */
export type Algorithm = "HS256" | "RS256"

/** The algorithm of a provider's tokens: a key set has public keys only. */
export const algorithmOf = (provider: {
  readonly jwkUri?: string
  readonly signingAlgorithm?: Algorithm
}): Algorithm => provider.signingAlgorithm ?? (provider.jwkUri === undefined ? "HS256" : "RS256")

/** What a token says; `sub` is never empty. */
export interface Claims {
  readonly sub: string
  readonly aud: ReadonlyArray<string>
  readonly [name: string]: unknown
}

const longest = 1_000_000

/** How far the clock of an issuer may be ahead, in seconds. */
const ahead = 60

// -----------------------------------------------------------------------------
// Keys
// -----------------------------------------------------------------------------

const smallestModulus = 2_048

const isUsable = (key: KeyObject): boolean =>
  key.type === "public" && key.asymmetricKeyType === "rsa" &&
  (key.asymmetricKeyDetails?.modulusLength ?? 0) >= smallestModulus

/** The key that a secret of an app is, or what is wrong with it, without a word of the secret. */
export const keyOf = (algorithm: Algorithm, secret: string): KeyObject | string => {
  if (algorithm === "HS256") {
    return /^[A-Za-z0-9_-]{32,512}$/.test(secret)
      ? createSecretKey(secret, "utf8")
      : "a key for HS256 has to be 32 to 512 letters, digits, \"_\" and \"-\""
  }
  if (secret.includes("PRIVATE KEY")) return "a key for RS256 has to be the public one, and this is private"
  try {
    const key = createPublicKey(secret)
    if (isUsable(key)) return key
  } catch {
    // No PEM at all.
  }
  return `a key for RS256 has to be an RSA public key of at least ${smallestModulus} bits in PEM`
}

/** The keys of a key set that tokens can be signed with, by their id. */
export type KeySet = ReadonlyMap<string, KeyObject>

// To read one takes time that every other request waits for, and an issuer has a few.
const mostKeys = 100

/** Reads a key set (RFC 7517). Keys of other kinds and purposes are left out: some issuers publish them side by side. */
export const readKeySet = (json: unknown): KeySet | undefined => {
  if (!Predicate.hasProperty(json, "keys") || !Array.isArray(json.keys) || json.keys.length > mostKeys) return undefined
  const keys = new Map<string, KeyObject>()
  for (const jwk of json.keys as ReadonlyArray<unknown>) {
    if (!Predicate.isReadonlyObject(jwk)) continue
    const { alg, kid, kty, use }: { readonly [name: string]: unknown } = jwk
    if (typeof kid !== "string" || kty !== "RSA") continue
    if ((use !== undefined && use !== "sig") || (alg !== undefined && alg !== "RS256")) continue
    try {
      const key = createPublicKey({ key: jwk, format: "jwk" })
      if (isUsable(key)) keys.set(kid, key)
    } catch {
      // One that cannot be read takes nothing from the others.
    }
  }
  return keys
}

/** The key of a published set that a token names. */
export const keysAt =
  (sets: Documents<KeySet>, url: string) =>
  (keyId: string | undefined): Effect.Effect<ReadonlyArray<KeyObject>, Rejected | Unavailable> =>
    keyId === undefined
      ? Effect.fail(rejected("the token names no key (kid)"))
      : Effect.map(sets.find(url, (set) => set.get(keyId)), (key) => key === undefined ? [] : [key])

// -----------------------------------------------------------------------------
// Verification
// -----------------------------------------------------------------------------

const rejected = (detail: string): Rejected => new Rejected({ detail })

const why = (cause: unknown): Rejected => {
  if (cause instanceof errors.JWTExpired) return rejected("the token has expired")
  if (cause instanceof errors.JWTClaimValidationFailed) return rejected(cause.message)
  if (cause instanceof errors.JWSSignatureVerificationFailed) return rejected("the signature is invalid")
  return rejected("the token cannot be read")
}

const audienceOf = (aud: unknown): ReadonlyArray<string> =>
  [aud].flat().filter((audience) => typeof audience === "string")

/**
 * What a token says, if it is signed by one of the keys and of this time. The audience is left to the caller.
 *
 * @param keys the keys for the key id of the token's header; none when nobody knows it
 */
export const verify = <E>(
  token: Redacted.Redacted,
  { algorithm, keys }: {
    readonly algorithm: Algorithm
    readonly keys: (keyId: string | undefined) => Effect.Effect<ReadonlyArray<KeyObject>, E>
  }
): Effect.Effect<Claims, Rejected | E> =>
  Effect.gen(function*() {
    const text = Redacted.value(token)
    if (text.length > longest) return yield* rejected(`the token is longer than ${longest} characters`)
    const header = yield* Effect.try({ try: () => decodeProtectedHeader(text), catch: why })
    if (header.alg !== algorithm) return yield* rejected(`the token is not signed by ${algorithm}`)
    const candidates = yield* keys(typeof header.kid === "string" ? header.kid : undefined)
    const seconds = Math.floor((yield* Clock.currentTimeMillis) / 1000)
    let failure = rejected("the token is signed with a key that is not known")
    for (const key of candidates) {
      const verified = yield* Effect.result(Effect.tryPromise({
        try: () =>
          jwtVerify(text, key, {
            algorithms: [algorithm],
            requiredClaims: ["sub", "exp", "aud"],
            currentDate: new Date(seconds * 1000),
            clockTolerance: ahead
          }),
        catch: why
      }))
      if (verified._tag === "Failure") {
        failure = verified.failure
        continue
      }
      const { payload } = verified.success
      const { aud, exp = 0, iat = 0, sub } = payload
      // An issuer's clock may be ahead of ours, but nothing lives longer than it says.
      if (exp <= seconds) return yield* rejected("the token has expired")
      if (iat > seconds + ahead) return yield* rejected("the token was issued in the future")
      if (typeof sub !== "string" || sub === "" || sub.length > longestSubject) {
        return yield* rejected(`the claim "sub" is no text of 1 to ${longestSubject} characters`)
      }
      return { ...payload, sub, aud: audienceOf(aud) }
    }
    return yield* failure
  })

/** How long an identity id may be. */
const longestSubject = 1_024
