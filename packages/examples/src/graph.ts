/**
 * Where people have an account of Facebook's kind: no token of it could be verified, so its Graph API is asked whom a token is
 * of. It is no more there than the other companies of `StandIn`.
 */
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as Redacted from "effect/Redacted"
import { createHmac } from "node:crypto"
import * as StandIn from "./StandIn.ts"

const host = "graph.example"

/** Where the API is. */
export const url = `https://${host}`

/** What an app gets from the provider's own library when Linus agrees. */
export const accessToken: Redacted.Redacted = Redacted.make("what Graph gave to Linus")

const linus = { id: "linus", name: "Linus", email: "linus@graph.example" }

/** A network with the API in it, which knows one app, by its id and secret. */
export const network = (
  app: { readonly id: string; readonly secret: Redacted.Redacted }
): (network: HttpClient.HttpClient) => HttpClient.HttpClient => {
  const secret = Redacted.value(app.secret)
  const token = Redacted.value(accessToken)
  const proof = createHmac("sha256", secret).update(token).digest("hex")

  return StandIn.answering(host, (request) =>
    Effect.sync(() => {
      const { pathname, searchParams } = new URL(request.url)
      const bearer = request.headers.get("authorization")
      if (pathname === "/debug_token" && bearer === `Bearer ${app.id}|${secret}`) {
        const isValid = searchParams.get("input_token") === token
        return Response.json({ data: { app_id: app.id, is_valid: isValid, user_id: linus.id } })
      }
      return pathname === "/me" && bearer === `Bearer ${token}` && searchParams.get("appsecret_proof") === proof
        ? Response.json(linus)
        : Response.json({ error: { message: "no luck", code: 190 } }, { status: 400 })
    }))
}
