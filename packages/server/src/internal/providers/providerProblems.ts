/** What keeps the providers of an app from working, though each of their settings is of the right type. */
import * as Redacted from "effect/Redacted"
import type * as Schema from "effect/Schema"
import type { AuthProviders } from "../../AuthProvider.ts"
import { duplicates } from "../definitionFields.ts"
import * as JsonWebToken from "./jsonWebToken.ts"
import * as Metadata from "./metadata.ts"

type Secrets = { readonly [name: string]: Redacted.Redacted }

const ofJwt = (authProviders: AuthProviders, secrets: Secrets): ReadonlyArray<Schema.FilterIssue> => {
  const provider = authProviders.customJwt
  if (provider?.enabled !== true) return []
  const { jwkUri, metadataFields, signingAlgorithm, signingKeys } = provider
  const at = (...path: ReadonlyArray<PropertyKey>) => ["authProviders", "customJwt", ...path]
  const algorithm = JsonWebToken.algorithmOf(provider)
  return [
    ...(jwkUri === undefined) === (signingKeys.length === 0)
      ? [{ path: at("signingKeys"), issue: "Expected the names of one to three secrets, or a jwkUri in their place" }]
      : [],
    ...jwkUri !== undefined && signingAlgorithm === "HS256"
      ? [{ path: at("signingAlgorithm"), issue: "Expected RS256: a key set has public keys only" }]
      : [],
    ...signingKeys.flatMap((name, index) => {
      const secret = Object.hasOwn(secrets, name) ? secrets[name] : undefined
      if (secret === undefined) return [{ path: at("signingKeys", index), issue: `The app has no secret "${name}"` }]
      const key = JsonWebToken.keyOf(algorithm, Redacted.value(secret))
      return typeof key === "string" ? [{ path: at("signingKeys", index), issue: `The secret "${name}": ${key}` }] : []
    }),
    ...duplicates(at("metadataFields"), metadataFields.map((field) => ({ name: Metadata.nameOf(field) })))
  ]
}

const ofOAuth = (authProviders: AuthProviders, secrets: Secrets): ReadonlyArray<Schema.FilterIssue> =>
  (["google", "facebook", "apple"] as const).flatMap((name) => {
    const provider = authProviders[name]
    if (provider?.enabled !== true) return []
    const { clientSecret, metadataFields, redirectUris } = provider
    const path = ["authProviders", name, "clientSecret"]
    const needsSecret = name === "facebook" || redirectUris.length > 0
    return [
      ...clientSecret === undefined
        ? needsSecret ? [{ path, issue: "Expected the name of the secret that proves the app to the provider" }] : []
        : Object.hasOwn(secrets, clientSecret)
        ? []
        : [{ path, issue: `The app has no secret "${clientSecret}"` }],
      ...duplicates(["authProviders", name, "metadataFields"], metadataFields)
    ]
  })

/** With their path in the definition of the app. */
export const problems = (
  app: { readonly authProviders: AuthProviders; readonly secrets: Secrets }
): ReadonlyArray<Schema.FilterIssue> => [
  ...ofJwt(app.authProviders, app.secrets),
  ...ofOAuth(app.authProviders, app.secrets)
]
