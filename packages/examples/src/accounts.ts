/**
 * Where people have an account and log in with it elsewhere, as Google and Apple are: a provider of OpenID, which is no more
 * there than the other companies of `StandIn`.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Base64Url from "effect/encoding/Base64Url"
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { exportJWK, generateKeyPair, SignJWT } from "jose"
import * as StandIn from "./StandIn.ts"

const host = "accounts.example"

/** Where the provider is. */
export const issuer = `https://${host}`

/** What a code stands for; a real provider would keep it and give out nothing but a number. */
const Code = Schema.fromJsonString(Schema.Struct({ client: Schema.String, nonce: Schema.String }))

const decodeCode = Schema.decodeUnknownSync(Code)

/** What an app gets for its user: it stands for Grace's account. */
export const code = (client: string, nonce = ""): string => Base64Url.encode(JSON.stringify({ client, nonce }))

/** What happens at the provider's page: Grace agrees, and the browser goes back with a code. */
export const agree = (page: URL): string => {
  const asked = page.searchParams
  const back = new URL(asked.get("redirect_uri") ?? "")
  back.searchParams.set("code", code(asked.get("client_id") ?? "", asked.get("nonce") ?? ""))
  back.searchParams.set("state", asked.get("state") ?? "")
  return back.href
}

/** The provider. */
export class Accounts extends Context.Service<Accounts, {
  /** What an app gets from the provider's own library when Grace agrees. */
  readonly idToken: (client: string) => Effect.Effect<Redacted.Redacted>
  /** A network with the provider in it. */
  readonly network: (network: HttpClient.HttpClient) => HttpClient.HttpClient
}>()("@effect-realm/examples/Accounts") {}

const make = Effect.gen(function*() {
  const { privateKey, publicKey } = yield* Effect.promise(() => generateKeyPair("RS256"))
  const key = { ...yield* Effect.promise(() => exportJWK(publicKey)), kid: "1", alg: "RS256", use: "sig" }

  const token = Effect.fnUntraced(function*(code: string) {
    const { client, nonce } = decodeCode(Result.getOrThrow(Base64Url.decodeString(code)))
    const now = Math.floor((yield* Clock.currentTimeMillis) / 1000)
    const claims = { nonce, name: "Grace", email: "grace@accounts.example", email_verified: true }
    const unsigned = new SignJWT(claims)
      .setProtectedHeader({ alg: "RS256", kid: "1" })
      .setIssuer(issuer)
      .setAudience(client)
      .setSubject("grace")
      .setIssuedAt(now)
      .setExpirationTime(now + 600)
    return yield* Effect.promise(() => unsigned.sign(privateKey))
  })

  const answer = Effect.fnUntraced(function*(request: Request) {
    switch (new URL(request.url).pathname) {
      case "/.well-known/openid-configuration":
        return Response.json({
          issuer,
          authorization_endpoint: `${issuer}/authorize`,
          token_endpoint: `${issuer}/token`,
          jwks_uri: `${issuer}/keys`
        })
      case "/keys":
        return Response.json({ keys: [key] })
      case "/token": {
        const form = new URLSearchParams(yield* Effect.promise(() => request.text()))
        return Response.json({ id_token: yield* token(form.get("code") ?? ""), token_type: "Bearer" })
      }
      default:
        return new Response("", { status: 404 })
    }
  })

  return Accounts.of({
    idToken: (client) => Effect.map(token(code(client)), Redacted.make),
    network: StandIn.answering(host, answer)
  })
})

/** Opens the provider. */
export const layer: Layer.Layer<Accounts> = Layer.effect(Accounts, make)
