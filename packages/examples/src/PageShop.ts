/**
 * A shop that people log in to with an account that they have elsewhere, by way of that provider's own page: what a
 * browser does on the way is done here by hand.
 */
import { App } from "@effect-realm/client"
import { AppDefinition, Database, Listener } from "@effect-realm/server"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Accounts from "./accounts.ts"
import * as Graph from "./graph.ts"

/** The shop's page that a log-in comes back to. */
export const page = "https://shop.example/signed-in"

const client = "the-shop"
const phone = "the-shop-on-a-phone"
const graphApp = { id: "the-shop-at-graph", secret: Redacted.make("what the shop and Graph know") }

const definition = AppDefinition.make({
  appId: "window-abcde",
  authProviders: {
    anonymous: {},
    google: { clientId: client, clientSecret: "accountsSecret", redirectUris: [page] },
    apple: { clientId: phone },
    facebook: { clientId: graphApp.id, clientSecret: "graphSecret" }
  },
  secrets: { accountsSecret: Redacted.make("what the shop and the provider know"), graphSecret: graphApp.secret }
})

/** The app, as a client needs it. */
export const app: Effect.Effect<App.App, never, HttpServer.HttpServer> = Effect.map(
  Listener.origin,
  (baseUrl) => App.make({ id: definition.appId, baseUrl })
)

const network = Effect.gen(function*() {
  const accounts = yield* Accounts.Accounts
  return Layer.effect(
    HttpClient.HttpClient,
    Effect.map(HttpClient.HttpClient, (network) => accounts.network(Graph.network(graphApp)(network)))
  ).pipe(Layer.provide(FetchHttpClient.layer))
})

/** Opens the shop on this machine, for people with an account at one of the providers. */
export const layer: Layer.Layer<
  HttpServer.HttpServer | Accounts.Accounts,
  Listener.ListenError | Database.DatabaseError
> = Layer.unwrap(Effect.map(network, (httpClient) =>
  Listener.layer({
    app: definition,
    host: "127.0.0.1",
    issuers: { google: Accounts.issuer, apple: Accounts.issuer, facebookGraph: Graph.url },
    httpClient
  }))).pipe(Layer.provide(Database.layerMemory), Layer.provideMerge(Accounts.layer))

const next = async (url: string, cookie: string): Promise<{ readonly location: string; readonly cookie: string }> => {
  const response = await fetch(url, { redirect: "manual", headers: { cookie } })
  const set = response.headers.getSetCookie().map((text) => text.split(";")[0])
  return { location: response.headers.get("location") ?? "", cookie: set.join("; ") }
}

/** What a phone's app gets from the provider's own library when Grace agrees. */
export const code: string = Accounts.code(client)

/** What a phone's app gets from the library of a provider that hands out tokens, as Apple's does. */
export const idToken: Effect.Effect<Redacted.Redacted, never, Accounts.Accounts> = Accounts.Accounts.use((accounts) =>
  accounts.idToken(phone)
)

/** What a phone's app gets from the library of a provider such as Facebook. */
export const accessToken: Redacted.Redacted = Graph.accessToken

/** Agrees at the provider's page, and answers the address that the shop sends the browser back to. */
export const agree = (providerPage: string, cookie: string): Effect.Effect<string> =>
  Effect.promise(async () => (await next(Accounts.agree(new URL(providerPage)), cookie)).location)

/** Goes where the shop sends a browser, agrees at the provider's page, and answers the address it comes back to. */
export const visit = (url: string): Effect.Effect<string> =>
  Effect.flatMap(Effect.promise(() => next(url, "")), ({ cookie, location }) => agree(location, cookie))
