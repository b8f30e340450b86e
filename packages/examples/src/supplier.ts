/**
 * Who the shop buys from: another company's server, which the function `restock` asks by `context.http`. There is no such
 * company, so the `HttpClient` of the shop's server answers in its place; what goes to any other host goes there.
 */
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { jwtVerify } from "jose"

/** Where the supplier is. */
export const host = "supplier.example"

const stock: { readonly [item: string]: number } = { tea: 240, coffee: 60 }

const answer = async (url: URL, authorization: string, key: Uint8Array): Promise<Response> => {
  try {
    await jwtVerify(authorization.replace(/^Bearer /, ""), key, { algorithms: ["HS256"] })
  } catch {
    return new Response("the shop is not known here", { status: 401 })
  }
  const item = url.searchParams.get("item") ?? ""
  return Object.hasOwn(stock, item)
    ? Response.json({ item, left: stock[item] })
    : new Response(`there is no ${item} to be had`, { status: 404 })
}

/** The network with the supplier in it, who knows the shop by this key. */
export const layer = (key: Redacted.Redacted): Layer.Layer<HttpClient.HttpClient> =>
  Layer.effect(
    HttpClient.HttpClient,
    Effect.map(HttpClient.HttpClient, (network) => {
      const secret = new TextEncoder().encode(Redacted.value(key))
      return HttpClient.make((request, url) =>
        url.host === host
          ? Effect.map(
            Effect.promise(() => answer(url, request.headers["authorization"] ?? "", secret)),
            (response) => HttpClientResponse.fromWeb(request, response)
          )
          : network.execute(request)
      )
    })
  ).pipe(Layer.provide(FetchHttpClient.layer))
