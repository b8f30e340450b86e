/** A server that answers what the test says, and remembers what it was asked. */
import * as Effect from "effect/Effect"
import * as Base64Url from "effect/encoding/Base64Url"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as App from "../src/App.ts"
import * as Credentials from "../src/Credentials.ts"
import * as TokenStore from "../src/TokenStore.ts"
import type * as User from "../src/User.ts"

/** A request as it left the client. */
export interface Sent {
  readonly method: string
  /** The path behind the base URL's origin, with its query. */
  readonly path: string
  readonly headers: { readonly [name: string]: string }
  /** The parsed JSON body; `undefined` when there was none. */
  readonly body: unknown
}

/** What the server answers: a JSON body, or a body of another type. */
export interface Answer {
  readonly status?: number
  readonly body?: unknown
  readonly text?: string
  readonly contentType?: string
  readonly headers?: { readonly [name: string]: string }
}

/** An access or refresh token as a server signs it. */
export const token = (claims: { readonly [name: string]: unknown }): string =>
  `${Base64Url.encode(JSON.stringify({ alg: "HS256", typ: "JWT" }))}.${
    Base64Url.encode(JSON.stringify(claims))
  }.c2lnbmF0dXJl`

/** The access token of a user that lives for half an hour. */
export const accessToken = (sub: string, more?: { readonly [name: string]: unknown }): string =>
  token({ sub, iat: 1_000, exp: 2_800, typ: "access", ...more })

/** The answer to a log-in. */
export const loggedIn = (userId: string, more?: { readonly [name: string]: unknown }): Answer => ({
  body: {
    access_token: accessToken(userId),
    refresh_token: `refresh-${userId}`,
    user_id: userId,
    device_id: "000000000000000000000000",
    ...more
  }
})

/** The answer with a user's profile. */
export const profile = (more?: { readonly [name: string]: unknown }): Answer => ({
  body: {
    user_id: "u1",
    domain_id: "d1",
    type: "normal",
    identities: [{ id: "i1", provider_type: "local-userpass", provider_id: "p1" }],
    data: {},
    ...more
  }
})

/** A refusal in the form of the protocol. */
export const refusal = (status: number, error: string, code?: string): Answer => ({
  status,
  body: { error, ...(code === undefined ? undefined : { error_code: code }) }
})

const respond = ({ body, contentType, headers, status = 200, text }: Answer): Response => {
  const content = text ?? (body === undefined ? null : JSON.stringify(body))
  const type = contentType ?? (body === undefined ? undefined : "application/json")
  return new Response(content, {
    status,
    headers: { ...headers, ...(type === undefined ? undefined : { "content-type": type }) }
  })
}

/** What a server answers that knows one user, `u1`, and accepts everything. */
export const wellBehaved = (sent: Sent): Answer => {
  if (sent.path.includes("/login?link=true")) return loggedIn("u1", { refresh_token: undefined })
  if (sent.path.endsWith("/login")) return loggedIn("u1")
  if (sent.path.endsWith("/auth/profile")) return profile()
  if (sent.path.endsWith("/auth/session") && sent.method === "POST") {
    return { status: 201, body: { access_token: accessToken("u1", { iat: 1_001, exp: 2_801 }) } }
  }
  if (sent.path.endsWith("/register")) return { status: 201 }
  if (sent.path.endsWith("/functions/call")) return { body: { $numberInt: "3" } }
  if (sent.path.endsWith("/location")) {
    return {
      body: {
        deployment_model: "LOCAL",
        location: "IE",
        hostname: "http://localhost:9090",
        ws_hostname: "ws://localhost"
      }
    }
  }
  return { status: 204 }
}

export interface Scripted {
  /** Every request so far, the oldest first. */
  readonly sent: ReadonlyArray<Sent>
  readonly layer: Layer.Layer<HttpClient.HttpClient>
}

/** @param answer what is answered to a request; `undefined` leaves it to {@link wellBehaved} */
export const make = (answer?: (sent: Sent, before: ReadonlyArray<Sent>) => Answer | undefined): Scripted => {
  const sent: Array<Sent> = []
  const client = HttpClient.make((request, url) =>
    Effect.sync(() => {
      const { body, headers, method } = request
      const text = body._tag === "Uint8Array" ? new TextDecoder().decode(body.body) : undefined
      const one: Sent = {
        method,
        path: url.pathname + url.search,
        headers: Object.fromEntries(
          Object.entries(headers).map((
            [name, value]
          ) => [name, Redacted.isRedacted(value) ? String(Redacted.value(value)) : value])
        ),
        body: text === undefined ? undefined : JSON.parse(text)
      }
      const response = respond(answer?.(one, sent) ?? wellBehaved(one))
      sent.push(one)
      return HttpClientResponse.fromWeb(request, response)
    })
  )
  return { sent, layer: Layer.succeed(HttpClient.HttpClient, client) }
}

/** Runs a test as a user who has just logged in; what was sent before is forgotten. */
export const asUser = <A, E>(
  server: Scripted,
  test: (user: User.User, sent: () => ReadonlyArray<Sent>) => Effect.Effect<
    A,
    E,
    HttpClient.HttpClient | TokenStore.TokenStore
  >
): Effect.Effect<A, E | App.LogInError> =>
  Effect.gen(function*() {
    const app = App.make({ id: "shop-abcde", baseUrl: "http://localhost:9090" })
    const user = yield* App.logIn(app, Credentials.emailPassword({ email: "zoe@example.com", password: "s3cret!" }))
    const before = server.sent.length
    return yield* test(user, () => server.sent.slice(before))
  }).pipe(Effect.provide(server.layer), Effect.provide(TokenStore.layerMemory))
