/**
 * Facebook, whose log-in is OAuth of its own kind: an access token is nothing that could be verified, so Facebook is asked
 * whom it is of, and whether it was made for this app.
 */
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import { createHmac } from "node:crypto"
import type { AccountField } from "../../AuthProvider.ts"
import type { Account, Client, Redirecting, Verdict } from "./oauthAccount.ts"
import * as ProviderRequests from "./providerRequests.ts"

type Fields = { readonly [name: string]: unknown }

const fieldsOf = (value: unknown): Fields => Predicate.isReadonlyObject(value) ? { ...value } : {}

const rejected = (detail: string) => new ProviderRequests.Rejected({ detail })

/** What Graph calls what we ask for, and the permission that takes. */
const graph: { readonly [name in AccountField["name"]]: { readonly field: string; readonly scope?: string } } = {
  name: { field: "name" },
  first_name: { field: "first_name" },
  last_name: { field: "last_name" },
  picture: { field: "picture" },
  email: { field: "email", scope: "email" },
  gender: { field: "gender", scope: "user_gender" },
  birthday: { field: "birthday", scope: "user_birthday" },
  min_age: { field: "age_range", scope: "user_age_range" },
  max_age: { field: "age_range", scope: "user_age_range" }
}

const accountOf = (id: string, user: Fields): Account => {
  const { email, picture } = user
  const ages = fieldsOf(user["age_range"])
  return {
    id,
    data: {
      name: user["name"],
      first_name: user["first_name"],
      last_name: user["last_name"],
      picture: fieldsOf(fieldsOf(picture)["data"])["url"],
      email,
      gender: user["gender"],
      birthday: user["birthday"],
      min_age: ages["min"],
      max_age: ages["max"]
    },
    // An address that is not confirmed is never told.
    isEmailVerified: email !== undefined
  }
}

/** Facebook. */
export interface Facebook extends Redirecting {
  readonly fromAccessToken: (token: Redacted.Redacted) => Verdict
}

export const make = (
  client: Client & { readonly secret: Redacted.Redacted },
  options: {
    /** The Graph API with its version. */
    readonly graph: string
    /** Where the page for a log-in is. */
    readonly dialog: string
  }
): Effect.Effect<Facebook, never, HttpClient.HttpClient> =>
  Effect.map(HttpClient.HttpClient, (http) => {
    const secret = Redacted.value(client.secret)
    const wanted = [...client.wanted].map((name) => graph[name])

    const ask = (request: HttpClientRequest.HttpClientRequest) =>
      Effect.flatMap(
        ProviderRequests.send(http, request),
        ({ body, status }): Effect.Effect<Fields, ProviderRequests.Rejected | ProviderRequests.Unavailable> => {
          // It answers 400 for whatever is wrong with a token.
          if (status !== 200) return Effect.fail(rejected(`Facebook refused with status ${status}`))
          return Predicate.isReadonlyObject(body)
            ? Effect.succeed({ ...body })
            : Effect.fail(new ProviderRequests.Unavailable({ detail: "the answer of Facebook is no JSON object" }))
        }
      )

    const fromAccessToken = Effect.fnUntraced(function*(redacted: Redacted.Redacted) {
      const token = Redacted.value(redacted)
      const inspected = yield* ask(
        HttpClientRequest.get(`${options.graph}/debug_token`, { acceptJson: true, urlParams: { input_token: token } })
          .pipe(HttpClientRequest.bearerToken(`${client.id}|${secret}`))
      )
      const { app_id: appId, is_valid: isValid, user_id: userId } = fieldsOf(inspected["data"])
      if (isValid !== true) return yield* rejected("the token is not valid")
      if (String(appId) !== client.id) return yield* rejected("the token was made for another app")
      if (typeof userId !== "string" || userId === "") return yield* rejected("the token is of no user")
      const user = yield* ask(
        HttpClientRequest.get(`${options.graph}/me`, {
          acceptJson: true,
          urlParams: {
            fields: [...new Set(["id", ...wanted.map(({ field }) => field)])].join(","),
            appsecret_proof: createHmac("sha256", secret).update(token).digest("hex")
          }
        }).pipe(HttpClientRequest.bearerToken(token))
      )
      if (user["id"] !== userId) return yield* rejected("the token is of another user")
      return accountOf(userId, user)
    })

    return {
      fromAccessToken,
      fromCode: Effect.fnUntraced(function*({ code, redirectUri = "" }) {
        const { access_token: accessToken } = yield* ask(
          HttpClientRequest.bodyUrlParams(
            HttpClientRequest.post(`${options.graph}/oauth/access_token`, { acceptJson: true }),
            {
              client_id: client.id,
              client_secret: secret,
              redirect_uri: redirectUri,
              code: Redacted.value(code)
            }
          )
        )
        return typeof accessToken === "string"
          ? yield* fromAccessToken(Redacted.make(accessToken))
          : yield* rejected("there is no token for the code")
      }),
      authorizationUrl: ({ redirectUri, state }) =>
        Effect.sync(() => {
          const url = new URL(`${options.dialog}/dialog/oauth`)
          const scopes = wanted.flatMap(({ scope }) => scope === undefined ? [] : [scope])
          url.searchParams.set("client_id", client.id)
          url.searchParams.set("response_type", "code")
          url.searchParams.set("redirect_uri", redirectUri)
          url.searchParams.set("scope", [...new Set(["public_profile", ...scopes])].join(","))
          url.searchParams.set("state", state)
          return url.href
        })
    }
  })
