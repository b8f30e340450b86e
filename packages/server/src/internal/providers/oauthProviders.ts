/**
 * The providers `oauth2-google`, `oauth2-facebook` and `oauth2-apple` of an app: who vouches for an account, and what
 * becomes of what they tell (server section 2.7).
 */
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import type * as Redacted from "effect/Redacted"
import type { Identity } from "../../Accounts.ts"
import type { AppDefinition } from "../../AppDefinition.ts"
import type * as AuthProvider from "../../AuthProvider.ts"
import * as Facebook from "./facebook.ts"
import * as Metadata from "./metadata.ts"
import type { Client, Redirecting, Verdict } from "./oauthAccount.ts"
import * as OpenId from "./openId.ts"
import { DomainRefused, type Rejected, type Unavailable } from "./providerRequests.ts"

/** Where the providers are. */
export interface Issuers {
  readonly google: string
  readonly apple: string
  readonly facebookGraph: string
  readonly facebookDialog: string
}

export const defaultIssuers: Issuers = {
  google: "https://accounts.google.com",
  apple: "https://appleid.apple.com",
  facebookGraph: "https://graph.facebook.com/v23.0",
  facebookDialog: "https://www.facebook.com/v23.0"
}

/** The names of the providers on the wire, by ours. */
export const providerTypes = { google: "oauth2-google", facebook: "oauth2-facebook", apple: "oauth2-apple" } as const

/** A provider of this kind, by our name. */
export type Name = keyof typeof providerTypes

/** Whom an account proves. */
export type Proven = Effect.Effect<Pick<Identity, "id" | "data">, Rejected | DomainRefused | Unavailable>

/** A provider that an app has switched on. */
export interface Served<P> {
  readonly settings: AuthProvider.OAuth
  readonly provider: P
  readonly admit: (verdict: Verdict) => Proven
}

/** Those of an app. */
export interface OAuthProviders {
  readonly google: Served<OpenId.OpenId> | undefined
  readonly facebook: Served<Facebook.Facebook> | undefined
  readonly apple: Served<OpenId.OpenId> | undefined
}

/** The domains, and the data, that an app lets in. */
const admit = ({ domainRestrictions, metadataFields }: AuthProvider.OAuth) => {
  const domains = new Set(domainRestrictions.map((domain) => domain.toLowerCase()))
  return (verdict: Verdict): Proven =>
    Effect.gen(function*() {
      const { data, id, isEmailVerified } = yield* verdict
      if (domains.size > 0) {
        const email = isEmailVerified && typeof data.email === "string" ? data.email : ""
        const at = email.lastIndexOf("@")
        if (at < 1 || !domains.has(email.slice(at + 1).toLowerCase())) return yield* new DomainRefused()
      }
      return { id, data: yield* Metadata.pick(data, metadataFields) }
    })
}

const clientOf = (app: AppDefinition, settings: AuthProvider.OAuth): Client => ({
  id: settings.clientId,
  secret: settings.clientSecret === undefined ? undefined : app.secrets[settings.clientSecret],
  wanted: new Set([
    ...settings.metadataFields.map((field) => field.name),
    ...settings.domainRestrictions.length > 0 ? ["email" as const] : []
  ])
})

/** The providers that an app has switched on. */
export const make = (
  app: AppDefinition,
  issuers: Issuers
): Effect.Effect<OAuthProviders, never, HttpClient.HttpClient> =>
  Effect.gen(function*() {
    const serve = <P extends Redirecting, R>(
      settings: AuthProvider.OAuth | undefined,
      make: (client: Client) => Effect.Effect<P, never, R>
    ): Effect.Effect<Served<P> | undefined, never, R> =>
      settings?.enabled === true
        ? Effect.map(make(clientOf(app, settings)), (provider) => ({ settings, provider, admit: admit(settings) }))
        : Effect.undefined

    return {
      google: yield* serve(app.authProviders.google, (client) =>
        OpenId.make(client, {
          issuer: issuers.google,
          // Its older tokens name it without the scheme.
          aliases: issuers.google === defaultIssuers.google ? ["accounts.google.com"] : [],
          scope: "openid email profile",
          // What Google's own button for pages asks with, whoever the page is of.
          otherRedirectUri: "postmessage"
        })),
      apple: yield* serve(app.authProviders.apple, (client) =>
        OpenId.make(client, {
          issuer: issuers.apple,
          scope: "openid email",
          // Apple tells the address in no other way.
          parameters: { response_mode: "form_post" }
        })),
      facebook: yield* serve(app.authProviders.facebook, ({ secret, ...client }) =>
        Facebook.make(
          // The definition of the app was checked: there is one.
          { ...client, secret: secret as Redacted.Redacted },
          { graph: issuers.facebookGraph, dialog: issuers.facebookDialog }
        ))
    }
  })
