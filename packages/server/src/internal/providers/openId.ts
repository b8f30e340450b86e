/**
 * OpenID providers (OpenID Connect Core 1.0): id tokens by the issuer's keys, and codes that its token endpoint exchanges.
 * Google and Apple are two.
 */
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import * as PublicUrl from "../http/publicUrl.ts"
import * as IssuerDocuments from "./issuerDocuments.ts"
import * as JsonWebToken from "./jsonWebToken.ts"
import type { Account, Client, Redirecting, Verdict } from "./oauthAccount.ts"
import * as ProviderRequests from "./providerRequests.ts"

type Claims = { readonly [name: string]: unknown }

/** What an issuer says of itself (OpenID Connect Discovery 1.0). */
interface Discovery {
  readonly issuer: string
  readonly authorizationEndpoint: string
  readonly tokenEndpoint: string
  readonly userinfoEndpoint: string | undefined
  readonly jwksUri: string
  readonly hasPkce: boolean
}

const discoveryOf = (issuer: string) => (json: unknown): Discovery | undefined => {
  if (!Predicate.isReadonlyObject(json)) return undefined
  const document: Claims = json
  const url = (name: string): string | undefined => {
    const found = document[name]
    return typeof found === "string" && PublicUrl.isSafe(found) ? found : undefined
  }
  const authorizationEndpoint = url("authorization_endpoint")
  const tokenEndpoint = url("token_endpoint")
  const jwksUri = url("jwks_uri")
  if (authorizationEndpoint === undefined || tokenEndpoint === undefined || jwksUri === undefined) return undefined
  // The document of another issuer would let that one vouch in this one's name.
  if (document["issuer"] !== issuer) return undefined
  const methods = document["code_challenge_methods_supported"]
  return {
    issuer,
    authorizationEndpoint,
    tokenEndpoint,
    userinfoEndpoint: url("userinfo_endpoint"),
    jwksUri,
    hasPkce: Array.isArray(methods) && methods.includes("S256")
  }
}

/** How a provider differs from others. */
export interface Options {
  /** Its issuer, where its discovery document is found below. */
  readonly issuer: string
  /** Other names that its tokens give to the issuer. */
  readonly aliases?: ReadonlyArray<string>
  readonly scope: string
  /** What its page is opened with beside the usual. */
  readonly parameters?: { readonly [name: string]: string }
  /** What a code without a redirect URI was asked for with all the same, when the provider says it was another. */
  readonly otherRedirectUri?: string
}

/** A provider of OpenID. */
export interface OpenId extends Redirecting {
  readonly fromIdToken: (token: Redacted.Redacted) => Verdict
}

const accountOf = (claims: JsonWebToken.Claims | (Claims & { readonly sub: string })): Account => ({
  id: claims.sub,
  data: {
    name: claims["name"],
    first_name: claims["given_name"],
    last_name: claims["family_name"],
    picture: claims["picture"],
    email: claims["email"],
    gender: claims["gender"],
    birthday: claims["birthdate"]
  },
  // Apple writes it as text.
  isEmailVerified: claims["email_verified"] === true || claims["email_verified"] === "true"
})

const rejected = (detail: string) => new ProviderRequests.Rejected({ detail })

export const make = (client: Client, options: Options): Effect.Effect<OpenId, never, HttpClient.HttpClient> =>
  Effect.gen(function*() {
    const http = yield* HttpClient.HttpClient
    const keySets = yield* IssuerDocuments.make(JsonWebToken.readKeySet)
    const discoveries = yield* IssuerDocuments.make(discoveryOf(options.issuer))
    const issuers = new Set([options.issuer, ...options.aliases ?? []])

    const discovered = Effect.flatMap(
      discoveries.find(
        `${options.issuer.replace(/\/$/, "")}/.well-known/openid-configuration`,
        (document) => document
      ),
      (found) => found === undefined ? Effect.die(new Error("A document holds itself")) : Effect.succeed(found)
    )

    const verify = Effect.fnUntraced(function*(token: Redacted.Redacted, nonce: string | undefined) {
      const claims = yield* JsonWebToken.verify(token, {
        algorithm: "RS256",
        keys: (keyId) => Effect.flatMap(discovered, ({ jwksUri }) => JsonWebToken.keysAt(keySets, jwksUri)(keyId))
      })
      const { aud, azp, iss } = claims
      if (typeof iss !== "string" || !issuers.has(iss)) return yield* rejected("the token is of another issuer")
      if (!aud.includes(client.id) || (aud.length > 1 && azp !== client.id)) {
        return yield* rejected(`'${client.id}' not found in 'aud' claim`)
      }
      if (nonce !== undefined && claims["nonce"] !== nonce) return yield* rejected("the token is of another log-in")
      return claims
    })

    /** A code for its tokens, at the token endpoint. */
    const exchange = Effect.fnUntraced(function*(
      { tokenEndpoint }: Discovery,
      code: { readonly [name: string]: string }
    ): Effect.fn.Return<Claims, ProviderRequests.Rejected | ProviderRequests.Unavailable> {
      if (client.secret === undefined) {
        return yield* new ProviderRequests.Unavailable({ detail: "a code cannot be exchanged without a clientSecret" })
      }
      const { body, status } = yield* ProviderRequests.send(
        http,
        HttpClientRequest.bodyUrlParams(HttpClientRequest.post(tokenEndpoint, { acceptJson: true }), {
          grant_type: "authorization_code",
          client_id: client.id,
          client_secret: Redacted.value(client.secret),
          ...code
        })
      )
      const answer: Claims = Predicate.isReadonlyObject(body) ? { ...body } : {}
      if (status === 200) return answer
      const error = String(answer["error"]).replaceAll(/[^\w ]/g, "?").slice(0, 64)
      if (error === "redirect_uri_mismatch" && !("redirect_uri" in code) && options.otherRedirectUri !== undefined) {
        return yield* exchange(yield* discovered, { ...code, redirect_uri: options.otherRedirectUri })
      }
      // Whatever else is wrong is not the fault of whoever brought the code: the app is not set up as the provider wants it.
      return yield* error === "invalid_grant" || error === "redirect_uri_mismatch"
        ? rejected(`the code was refused: ${error}`)
        : new ProviderRequests.Unavailable({ detail: `${tokenEndpoint}: status ${status}, ${error}` })
    })

    /** What the provider tells to the holder of an access token. */
    const userinfo = Effect.fnUntraced(function*({ userinfoEndpoint }: Discovery, accessToken: unknown) {
      if (userinfoEndpoint === undefined || typeof accessToken !== "string") return undefined
      const { body, status } = yield* ProviderRequests.send(
        http,
        HttpClientRequest.bearerToken(HttpClientRequest.get(userinfoEndpoint, { acceptJson: true }), accessToken)
      )
      if (status !== 200 || !Predicate.isReadonlyObject(body)) return undefined
      const claims: Claims = { ...body }
      const { sub } = claims
      return typeof sub === "string" && sub !== "" ? { ...claims, sub } : undefined
    })

    const lacks = ({ data }: Account): boolean => {
      for (const name of client.wanted) if (data[name] === undefined) return true
      return false
    }

    return {
      fromIdToken: (token) => Effect.map(verify(token, undefined), accountOf),
      fromCode: Effect.fnUntraced(function*({ code, nonce, redirectUri, verifier }) {
        const discovery = yield* discovered
        const tokens = yield* exchange(discovery, {
          code: Redacted.value(code),
          ...redirectUri === undefined ? undefined : { redirect_uri: redirectUri },
          ...verifier === undefined || !discovery.hasPkce ? undefined : { code_verifier: Redacted.value(verifier) }
        })
        const { access_token: accessToken, id_token: idToken } = tokens
        if (typeof idToken !== "string") {
          // A code that somebody brought may be one of plain OAuth, whose tokens are for our client all the same.
          const info = nonce === undefined ? yield* userinfo(discovery, accessToken) : undefined
          return info === undefined ? yield* rejected("there is no id token for the code") : accountOf(info)
        }
        const claims = yield* verify(Redacted.make(idToken), nonce)
        const account = accountOf(claims)
        if (!lacks(account)) return account
        const info = yield* userinfo(discovery, accessToken)
        return info === undefined || info.sub !== claims.sub ? account : accountOf({ ...info, ...claims })
      }),
      authorizationUrl: ({ challenge, nonce, redirectUri, state }) =>
        Effect.map(discovered, ({ authorizationEndpoint, hasPkce }) => {
          const url = new URL(authorizationEndpoint)
          const parameters = {
            client_id: client.id,
            response_type: "code",
            redirect_uri: redirectUri,
            scope: options.scope,
            state,
            nonce,
            ...hasPkce ? { code_challenge: challenge, code_challenge_method: "S256" } : undefined,
            ...options.parameters
          }
          for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
          return url.href
        })
    }
  })
