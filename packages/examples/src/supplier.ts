/**
 * Who the shop buys from: another company's server, which the function `restock` asks by `context.http`. It is no
 * more there than the other companies of `StandIn`.
 */
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { jwtVerify } from "jose"
import * as StandIn from "./StandIn.ts"

/** Where the supplier is. */
export const host = "supplier.example"

const stock: { readonly [item: string]: number } = { tea: 240, coffee: 60 }

const answer = async (request: Request, key: Uint8Array): Promise<Response> => {
  try {
    const authorization = request.headers.get("authorization") ?? ""
    await jwtVerify(authorization.replace(/^Bearer /, ""), key, { algorithms: ["HS256"] })
  } catch {
    return new Response("the shop is not known here", { status: 401 })
  }
  const item = new URL(request.url).searchParams.get("item") ?? ""
  return Object.hasOwn(stock, item)
    ? Response.json({ item, left: stock[item] })
    : new Response(`there is no ${item} to be had`, { status: 404 })
}

/** The network with the supplier in it, who knows the shop by this key. */
export const layer = (key: Redacted.Redacted): Layer.Layer<HttpClient.HttpClient> => {
  const secret = new TextEncoder().encode(Redacted.value(key))
  const network = StandIn.answering(host, (request) => Effect.promise(() => answer(request, secret)))
  return Layer.effect(HttpClient.HttpClient, Effect.map(HttpClient.HttpClient, network)).pipe(
    Layer.provide(FetchHttpClient.layer)
  )
}
