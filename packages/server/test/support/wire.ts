/** A server in this process, and a client that sees what comes over the wire. */
import { AppDefinition, Database, RealmServer } from "@effect-realm/server"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"

export const origin = "http://realm.test"
export const base = `${origin}/api/client/v2.0`
export const appId = "shop-abcde"
export const appUrl = `${base}/app/${appId}`
export const providers = `${appUrl}/auth/providers`

/** An app with every provider, and functions for whatever a test wants to decide. */
export const makeApp = (options: Partial<AppDefinition.Options> = {}): AppDefinition.AppDefinition =>
  AppDefinition.make({
    appId,
    authProviders: {
      anonymous: {},
      emailPassword: { autoConfirm: true },
      customFunction: { authFunctionName: "authenticate" }
    },
    ...options,
    functions: [
      { name: "sum", source: "exports = (...numbers) => numbers.reduce((a, b) => a + b, 0)" },
      { name: "whoami", source: "exports = () => context.user" },
      { name: "echo", source: "exports = (value) => value" },
      { name: "fail", source: "exports = () => { throw new Error('no luck') }" },
      { name: "secret", private: true, source: "exports = () => 1" },
      {
        name: "authenticate",
        source: "exports = ({ id, name }) => { if (!id) throw new Error('who?'); return name ? { id, name } : id }"
      },
      ...options.functions ?? []
    ]
  })

/** Hashes that cost next to nothing. */
export const passwords = { cost: 2, parallelization: 1 }

const client = (
  app: Effect.Effect<HttpServerResponse.HttpServerResponse, unknown, HttpServerRequest.HttpServerRequest | Scope.Scope>
): HttpClient.HttpClient =>
  HttpClient.make((request) =>
    Effect.suspend(() => {
      let sent: HttpServerResponse.HttpServerResponse | undefined
      return HttpEffect.toHandled(app, (_, response) =>
        Effect.sync(() => {
          sent = HttpEffect.scopeTransferToStream(response)
        })).pipe(
          Effect.provideService(HttpServerRequest.HttpServerRequest, HttpServerRequest.fromClientRequest(request)),
          Effect.catchCause((cause) => sent === undefined ? Effect.failCause(cause) : Effect.void),
          Effect.map(() => HttpServerResponse.toClientResponse(sent!, { request }))
        )
    })
  )

const clientLayer = Layer.effect(
  HttpClient.HttpClient,
  Effect.map(HttpRouter.HttpRouter, (router) => client(router.asHttpEffect()))
)

/** A server without sockets: its client, and the services behind it. */
export const layer = (
  options: Partial<RealmServer.Options> = {}
): Layer.Layer<HttpClient.HttpClient | RealmServer.Services | Database.Database, Database.DatabaseError> =>
  clientLayer.pipe(
    Layer.provideMerge(RealmServer.layer({ app: makeApp(), passwords, functions: { workers: 1 }, ...options })),
    Layer.provide(HttpRouter.layer),
    Layer.provideMerge(Database.layerMemory)
  )

// -----------------------------------------------------------------------------
// Requests
// -----------------------------------------------------------------------------

export interface Answer {
  readonly status: number
  readonly contentType: string | undefined
  readonly headers: { readonly [name: string]: string | undefined }
  readonly text: string
  /** The parsed body, or `undefined` when there is none. */
  readonly body: any
}

interface Sent {
  readonly token?: string
  readonly body?: unknown
  readonly headers?: { readonly [name: string]: string }
}

/** Sends a request and shows what came back, as it came. */
export const send = Effect.fnUntraced(function*(
  method: "GET" | "POST" | "PUT" | "DELETE" | "OPTIONS" | "PATCH",
  url: string,
  { body, headers, token }: Sent = {}
): Effect.fn.Return<Answer, never, HttpClient.HttpClient> {
  const request = HttpClientRequest.make(method)(url).pipe(
    token === undefined ? (request) => request : HttpClientRequest.setHeader("authorization", `Bearer ${token}`),
    body === undefined
      ? (request) => request
      : HttpClientRequest.bodyText(typeof body === "string" ? body : JSON.stringify(body), "application/json"),
    HttpClientRequest.setHeaders(headers ?? {})
  )
  const response = yield* Effect.orDie(HttpClient.execute(request))
  const text = yield* Effect.orDie(response.text)
  return {
    status: response.status,
    contentType: response.headers["content-type"],
    headers: response.headers,
    text,
    body: text === "" ? undefined : JSON.parse(text)
  }
})

export interface Tokens {
  readonly access_token: string
  readonly refresh_token: string
  readonly user_id: string
  readonly device_id: string
}

export const logInAnonymous: Effect.Effect<Tokens, never, HttpClient.HttpClient> = Effect.map(
  send("POST", `${providers}/anon-user/login`),
  (answer) => answer.body
)

export const register = (email: string, password = "correct horse") =>
  send("POST", `${providers}/local-userpass/register`, { body: { email, password } })

export const logInEmail = (email: string, password = "correct horse", sent: Sent = {}) =>
  send("POST", `${providers}/local-userpass/login${sent.token === undefined ? "" : "?link=true"}`, {
    ...sent,
    body: { username: email, password }
  })

export const logInFunction = (id: string, sent: Sent = {}) =>
  send("POST", `${providers}/custom-function/login${sent.token === undefined ? "" : "?link=true"}`, {
    ...sent,
    body: { id }
  })

export const call = (token: string, name: string, ...args: ReadonlyArray<unknown>) =>
  send("POST", `${appUrl}/functions/call`, { token, body: { name, arguments: args } })

/** The claims of a token. */
export const claims = (token: string): any => JSON.parse(Buffer.from(token.split(".")[1]!, "base64url").toString())
