/**
 * Where people have an account and log in with it elsewhere, as Google is: a provider of OpenID. There is no such company,
 * so an `HttpClient` answers in its place; what goes to any other host goes there.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Base64Url from "effect/encoding/Base64Url"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { exportJWK, generateKeyPair, SignJWT } from "jose"

/** Where the provider is. */
export const issuer = "https://accounts.example"

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

const make = Effect.promise(async () => {
  const { privateKey, publicKey } = await generateKeyPair("RS256")
  const key = { ...await exportJWK(publicKey), kid: "1", alg: "RS256", use: "sig" }

  const token = (code: string, now: number): Promise<string> => {
    const { client, nonce } = decodeCode(Result.getOrThrow(Base64Url.decodeString(code)))
    return new SignJWT({ nonce, name: "Grace", email: "grace@accounts.example", email_verified: true })
      .setProtectedHeader({ alg: "RS256", kid: "1" })
      .setIssuer(issuer)
      .setAudience(client)
      .setSubject("grace")
      .setIssuedAt(now)
      .setExpirationTime(now + 600)
      .sign(privateKey)
  }

  return async (path: string, form: URLSearchParams, now: number): Promise<Response> => {
    switch (path) {
      case "/.well-known/openid-configuration":
        return Response.json({
          issuer,
          authorization_endpoint: `${issuer}/authorize`,
          token_endpoint: `${issuer}/token`,
          jwks_uri: `${issuer}/keys`
        })
      case "/keys":
        return Response.json({ keys: [key] })
      case "/token":
        return Response.json({ id_token: await token(form.get("code") ?? "", now), token_type: "Bearer" })
      default:
        return new Response("", { status: 404 })
    }
  }
})

/** The network with the provider in it. */
export const layer: Layer.Layer<HttpClient.HttpClient> = Layer.effect(
  HttpClient.HttpClient,
  Effect.gen(function*() {
    const network = yield* HttpClient.HttpClient
    const answer = yield* make
    return HttpClient.make((request, url) => {
      if (url.origin !== issuer) return network.execute(request)
      const { body } = request
      const form = new URLSearchParams(body._tag === "Uint8Array" ? new TextDecoder().decode(body.body) : "")
      return Effect.flatMap(Clock.currentTimeMillis, (now) =>
        Effect.map(
          Effect.promise(() => answer(url.pathname, form, Math.floor(now / 1000))),
          (response) => HttpClientResponse.fromWeb(request, response)
        ))
    })
  })
).pipe(Layer.provide(FetchHttpClient.layer))
