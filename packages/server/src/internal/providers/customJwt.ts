/**
 * The provider `custom-token`: JSON Web Tokens of an issuer that the app trusts (server section 2.5).
 */
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as Redacted from "effect/Redacted"
import type { Identity } from "../../Accounts.ts"
import type { AppDefinition } from "../../AppDefinition.ts"
import type * as AuthProvider from "../../AuthProvider.ts"
import * as IssuerDocuments from "./issuerDocuments.ts"
import * as JsonWebToken from "./jsonWebToken.ts"
import * as Metadata from "./metadata.ts"
import { Rejected, type Unavailable } from "./providerRequests.ts"

export const providerType = "custom-token"

/** Whom a token proves. */
export type Verify = (
  token: Redacted.Redacted
) => Effect.Effect<Pick<Identity, "id" | "data">, Rejected | Unavailable>

const checkAudience = (
  app: AppDefinition,
  { audience, requireAnyAudience }: AuthProvider.CustomJwt,
  found: ReadonlyArray<string>
): Effect.Effect<void, Rejected> => {
  const expected = audience.length === 0 ? [app.appId] : audience
  const missing = expected.filter((one) => !found.includes(one))
  return (requireAnyAudience ? missing.length < expected.length : missing.length === 0)
    ? Effect.void
    : Effect.fail(new Rejected({ detail: `'${missing.join("', '")}' not found in 'aud' claim` }))
}

/** The verification of an app's tokens. */
export const make = (
  app: AppDefinition,
  provider: AuthProvider.CustomJwt
): Effect.Effect<Verify, never, HttpClient.HttpClient> =>
  Effect.gen(function*() {
    const keySets = yield* IssuerDocuments.make(JsonWebToken.readKeySet)
    const algorithm = JsonWebToken.algorithmOf(provider)
    // The definition of the app was checked: each name is that of a secret that is a key.
    const own = provider.signingKeys
      .map((name) => JsonWebToken.keyOf(algorithm, Redacted.value(app.secrets[name]!)))
      .filter((key) => typeof key !== "string")

    const keys = provider.jwkUri === undefined
      ? () => Effect.succeed(own)
      : JsonWebToken.keysAt(keySets, provider.jwkUri)

    return Effect.fnUntraced(function*(token) {
      const claims = yield* JsonWebToken.verify(token, { algorithm, keys })
      yield* checkAudience(app, provider, claims.aud)
      return { id: claims.sub, data: yield* Metadata.pick(claims, provider.metadataFields) }
    })
  })
