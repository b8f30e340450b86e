/**
 * Everybody who can call the function `sum` of the plain server: ours, realm-web, and the bare transports beneath them.
 */
import { App, Credentials, TokenStore, User } from "@effect-realm/client"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import type * as Scope from "effect/Scope"
import * as Http from "node:http"
import { text } from "node:stream/consumers"
import * as Realm from "realm-web"
import * as Undici from "undici"
import { appId, callBody, callPath } from "./PlainServer.ts"
import * as Row from "./Row.ts"

/** How calls are made: for how long, and how many at a time. */
export interface Load {
  readonly millis: number
  readonly inFlight: number
}

export interface Caller {
  readonly name: string
  /** Makes calls for a while and answers how many there were in a second. */
  readonly rate: (load: Load) => Promise<number>
  /** Makes so many calls at once. */
  readonly burst: (calls: number) => Promise<void>
}

/** Makes a caller that calls the plain server at an origin. */
export type Make = (origin: string) => Effect.Effect<Caller, never, Scope.Scope>

const ofPromise = (name: string, call: () => Promise<unknown>): Caller => ({
  name,
  rate: (load) => Row.rateOfPromise(call, load),
  burst: async (calls) => {
    await Promise.all(Array.from({ length: calls }, call))
  }
})

const ofEffect = <E, R>(
  name: string,
  call: Effect.Effect<unknown, E, R>,
  runtime: ManagedRuntime.ManagedRuntime<R, never>
): Caller => ({
  name,
  rate: (load) => runtime.runPromise(Row.rate(call, load)),
  burst: (calls) =>
    runtime.runPromise(
      Effect.all(Array.from({ length: calls }, () => call), { concurrency: "unbounded", discard: true })
    )
})

// -----------------------------------------------------------------------------
// Ours
// -----------------------------------------------------------------------------

const ours = (name: string, transport: Layer.Layer<HttpClient.HttpClient>): Make =>
  Effect.fnUntraced(function*(origin) {
    const runtime = yield* Effect.acquireRelease(
      Effect.sync(() => ManagedRuntime.make(Layer.merge(transport, TokenStore.layerMemory))),
      (runtime) => runtime.disposeEffect
    )
    const app = App.make({ id: appId, baseUrl: origin })
    const user = yield* Effect.promise(() => runtime.runPromise(App.logIn(app, Credentials.anonymous())))
    const call = Effect.suspend(() => User.callFunction(user, "sum", [1, 2]))
    return ofEffect(name, call, runtime)
  })

export const oursOnUndici: Make = ours("ours on undici", NodeHttpClient.layerUndici)

export const oursOnFetch: Make = ours("ours on fetch", FetchHttpClient.layer)

// -----------------------------------------------------------------------------
// Peers
// -----------------------------------------------------------------------------

/** realm-web as it was published, on the `fetch` of Node.js, which it takes from `globalThis` when it is loaded. */
export const realmWeb: Make = (origin) =>
  Effect.promise(async () => {
    const app = new Realm.App({ id: appId, baseUrl: origin })
    const user = await app.logIn(Realm.Credentials.anonymous(false))
    return ofPromise("realm-web 2.0.1", () => user.callFunction("sum", 1, 2))
  })

/** What a bare transport has to send to be let in: a token of its own. */
const bearer = (origin: string): Promise<string> =>
  fetch(`${origin}/api/client/v2.0/app/${appId}/auth/providers/anon-user/login`, { method: "POST" })
    .then((response) => response.json())
    .then((body: unknown) => `Bearer ${String(Reflect.get(Object(body), "access_token"))}`)

const headers = (authorization: string) => ({
  accept: "application/json",
  authorization,
  "content-type": "application/json"
})

export const bareFetch: Make = (origin) =>
  Effect.promise(async () => {
    const init = { method: "POST", headers: headers(await bearer(origin)), body: callBody }
    return ofPromise("bare fetch", () => fetch(origin + callPath, init).then((response) => response.json()))
  })

export const bareUndici: Make = Effect.fnUntraced(function*(origin) {
  const dispatcher = yield* Effect.acquireRelease(
    Effect.sync(() => new Undici.Agent()),
    (agent) => Effect.promise(() => agent.destroy())
  )
  const authorization = yield* Effect.promise(() => bearer(origin))
  const options = { origin, path: callPath, method: "POST", headers: headers(authorization), body: callBody } as const
  return ofPromise("bare undici", () => dispatcher.request(options).then(({ body }) => body.json()))
})

/** The `HttpClient` that ours sends its requests with, and nothing else of ours. */
export const rawHttpClient: Make = Effect.fnUntraced(function*(origin) {
  const runtime = yield* Effect.acquireRelease(
    Effect.sync(() => ManagedRuntime.make(NodeHttpClient.layerUndici)),
    (runtime) => runtime.disposeEffect
  )
  const authorization = yield* Effect.promise(() => bearer(origin))
  const call = HttpClientRequest.post(origin + callPath, { acceptJson: true }).pipe(
    HttpClientRequest.setHeader("authorization", authorization),
    HttpClientRequest.bodyText(callBody, "application/json"),
    HttpClient.execute,
    Effect.flatMap((response) => response.json)
  )
  return ofEffect("raw `HttpClient` on undici", call, runtime)
})

export const bareNode: Make = Effect.fnUntraced(function*(origin) {
  const agent = yield* Effect.acquireRelease(
    Effect.sync(() => new Http.Agent({ keepAlive: true })),
    (agent) => Effect.sync(() => agent.destroy())
  )
  const authorization = yield* Effect.promise(() => bearer(origin))
  const options = {
    agent,
    method: "POST",
    headers: { ...headers(authorization), "content-length": Buffer.byteLength(callBody) }
  }
  const call = () =>
    new Promise<unknown>((resolve, reject) => {
      const request = Http.request(origin + callPath, options, (response) => {
        text(response).then((body) => resolve(JSON.parse(body)), reject)
      })
      request.on("error", reject)
      request.end(callBody)
    })
  return ofPromise("bare node:http", call)
})
