/** A server in this process, and a client that sees what comes over the wire. */
import { AppDefinition, Database, Mail, RealmServer } from "@effect-realm/server"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
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
      apiKey: {},
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

/**
 * A database that lets everybody else go on before each operation, as one across a network would: the embedded one is
 * done before another request can do anything.
 */
export const interleaving: Layer.Layer<Database.Database> = Layer.effect(
  Database.Database,
  Effect.map(Database.Database, (database) =>
    Database.Database.of({
      collection: (namespace, options) => {
        const operations = database.collection(namespace, options)
        // Each member is an operation, and stays of its type.
        return Object.fromEntries(
          Object.entries(operations).map(([name, operation]) => [
            name,
            (...args: ReadonlyArray<never>) =>
              Effect.andThen(Effect.yieldNow, Reflect.apply(operation, operations, args))
          ])
        ) as unknown as Database.Collection
      }
    }))
).pipe(Layer.provide(Database.layerMemory))

/** A server without sockets: its client, and the services behind it. */
export const layer = (
  options: Partial<RealmServer.Options> = {},
  database: Layer.Layer<Database.Database> = Database.layerMemory
): Layer.Layer<
  HttpClient.HttpClient | RealmServer.Services | Database.Database | Mail.Outbox,
  Database.DatabaseError
> =>
  clientLayer.pipe(
    Layer.provideMerge(RealmServer.layer({ app: makeApp(), passwords, functions: { workers: 1 }, ...options })),
    Layer.provide(HttpRouter.layer),
    Layer.provideMerge(database),
    Layer.provideMerge(Layer.fresh(Mail.layerMemory))
  )

/** Writes the text of every log line to an array. */
export const capture = (lines: Array<string>): Layer.Layer<never> =>
  Logger.layer([Logger.make(({ message }) => {
    lines.push([message].flat().join(" "))
  })])

// -----------------------------------------------------------------------------
// Requests
// -----------------------------------------------------------------------------

export interface Answer {
  readonly status: number
  readonly headers: { readonly [name: string]: string | undefined }
  readonly text: string
  /** The parsed body, or `undefined` when there is none. */
  readonly body: unknown
  /** The members of the body; none when it is no document. */
  readonly fields: { readonly [name: string]: unknown }
}

export interface Sent {
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
  const parsed: unknown = text === "" ? undefined : JSON.parse(text)
  return {
    status: response.status,
    headers: response.headers,
    text,
    body: parsed,
    fields: Predicate.isReadonlyObject(parsed) ? { ...parsed } : {}
  }
})

/** What tells a refusal: status, code and words. */
export const refusal = ({ fields, status }: Answer) => [status, fields["error_code"], fields["error"]] as const

const Tokens = Schema.Struct({
  access_token: Schema.String,
  refresh_token: Schema.String,
  user_id: Schema.String,
  device_id: Schema.String
})

export type Tokens = typeof Tokens.Type

/** The answer of a log-in; a test that expects one ends here when it is something else. */
export const tokens = (answer: Answer): Effect.Effect<Tokens> =>
  Effect.orDie(Schema.decodeUnknownEffect(Tokens)(answer.body))

const LinkAnswer = Schema.Struct({ access_token: Schema.String, user_id: Schema.String, device_id: Schema.String })

/** The answer of a link. */
export const linked = (answer: Answer): Effect.Effect<typeof LinkAnswer.Type> =>
  Effect.orDie(Schema.decodeUnknownEffect(LinkAnswer)(answer.body))

export const logInAnonymous: Effect.Effect<Tokens, never, HttpClient.HttpClient> = Effect.flatMap(
  send("POST", `${providers}/anon-user/login`),
  tokens
)

export const register = (email: string, password = "correct horse") =>
  send("POST", `${providers}/local-userpass/register`, { body: { email, password } })

const link = (sent: Sent): string => sent.token === undefined ? "" : "?link=true"

/** With a token: a link. */
export const logInEmail = (email: string, password = "correct horse", sent: Sent = {}) =>
  send("POST", `${providers}/local-userpass/login${link(sent)}`, { ...sent, body: { username: email, password } })

/** With a token: a link. */
export const logInFunction = (id: string, sent: Sent = {}) =>
  send("POST", `${providers}/custom-function/login${link(sent)}`, { ...sent, body: { id } })

/** With a token: a link. */
export const logInKey = (key: string, sent: Sent = {}) =>
  send("POST", `${providers}/api-key/login${link(sent)}`, { ...sent, body: { key } })

const keys = `${base}/auth/api_keys`

export const createKey = (token: string, name: string) => send("POST", keys, { token, body: { name } })

/** A request about one key: `PUT` with `enable` or `disable` behind the id. */
export const keyRequest = (method: "GET" | "PUT" | "DELETE", token: string, path: string) =>
  send(method, `${keys}/${path}`, { token })

export const listKeys = (token: string) => send("GET", keys, { token })

const NewKey = Schema.Struct({
  _id: Schema.String.check(Schema.isPattern(/^[0-9a-f]{24}$/)),
  key: Schema.String.check(Schema.isPattern(/^[A-Za-z0-9]{64}$/)),
  name: Schema.String,
  disabled: Schema.Literal(false)
})

/** A new key; a test that expects one ends here when it is refused. */
export const newKey = (
  token: string,
  name = "my-key"
): Effect.Effect<typeof NewKey.Type, never, HttpClient.HttpClient> =>
  Effect.flatMap(createKey(token, name), ({ body }) => Effect.orDie(Schema.decodeUnknownEffect(NewKey)(body)))

/** Registers an address and logs in with it. */
export const newEmailUser = Effect.fnUntraced(function*(email: string) {
  yield* register(email)
  return yield* Effect.flatMap(logInEmail(email), tokens)
})

export const call = (token: string, name: string, ...args: ReadonlyArray<unknown>) =>
  send("POST", `${appUrl}/functions/call`, { token, body: { name, arguments: args } })

export const profile = (token: string) => send("GET", `${base}/auth/profile`, { token })

export const refresh = (token: string) => send("POST", `${base}/auth/session`, { token })

export const logOut = (token: string) => send("DELETE", `${base}/auth/session`, { token })

/** A new access token. */
export const refreshed = (token: string): Effect.Effect<string, never, HttpClient.HttpClient> =>
  Effect.flatMap(
    refresh(token),
    (answer) =>
      Effect.orDie(Effect.map(
        Schema.decodeUnknownEffect(Schema.Struct({ access_token: Schema.String }))(answer.body),
        (body) => body.access_token
      ))
  )

/** What a token says. */
export const claims = (token: string): { readonly [name: string]: unknown } => {
  const parsed: unknown = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString())
  return Predicate.isReadonlyObject(parsed) ? { ...parsed } : {}
}

/** How many users there are, beside one who is made to find out. */
export const countUsers = Effect.gen(function*() {
  const database = yield* Database.Database
  const { access_token } = yield* logInAnonymous
  const domainId = String(claims(access_token)["baas_domain_id"])
  const users = database.collection({ database: `__effect_realm_${domainId}`, collection: "users" })
  return (yield* users.find({})).length - 1
})
