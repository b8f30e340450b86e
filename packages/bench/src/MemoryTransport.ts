/**
 * An `HttpClient` that the plain server answers in memory, with no socket in between.
 */
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as PlainServer from "./PlainServer.ts"

/** The transport of a plain server of its own. */
export const layer: Layer.Layer<HttpClient.HttpClient> = Layer.sync(HttpClient.HttpClient, () => {
  const server = PlainServer.make()
  return HttpClient.make((request, url) =>
    Effect.sync(() =>
      HttpClientResponse.fromWeb(
        request,
        PlainServer.toResponse(
          server.answer(request.method, url.pathname, request.headers["authorization"], url.origin)
        )
      )
    )
  )
})
