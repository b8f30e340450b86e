/** What each provider is called: on the wire, by which identities are kept, and in the definition of an app. */
export const providerNames = {
  "anon-user": "anonymous",
  "api-key": "apiKey",
  "local-userpass": "emailPassword",
  "custom-function": "customFunction",
  "custom-token": "customJwt",
  "oauth2-google": "google",
  "oauth2-facebook": "facebook",
  "oauth2-apple": "apple"
} as const

/** The name of a provider on the wire. */
export type ProviderType = keyof typeof providerNames

export const isProviderType = (name: string): name is ProviderType => Object.hasOwn(providerNames, name)
