/**
 * What answers in place of other companies' servers. There are no such companies, so an `HttpClient` does; what goes to any
 * other host goes there.
 */
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"

/** A network in which a host is answered for. */
export const answering =
  (host: string, answer: (request: Request) => Effect.Effect<Response>) =>
  (network: HttpClient.HttpClient): HttpClient.HttpClient =>
    HttpClient.make((request, url) =>
      url.host === host
        ? HttpClientRequest.toWeb(request).pipe(
          Effect.orDie,
          Effect.flatMap(answer),
          Effect.map((response) => HttpClientResponse.fromWeb(request, response))
        )
        : network.execute(request)
    )
