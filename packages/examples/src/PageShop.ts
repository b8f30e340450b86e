/**
 * A shop that people log in to with an account that they have elsewhere, by way of that provider's own page: what a
 * browser does on the way is done here by hand.
 */
import { App } from "@effect-realm/client"
import { AppDefinition, Database, Listener } from "@effect-realm/server"
import * as Effect from "effect/Effect"
import type * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Accounts from "./accounts.ts"

/** The shop's page that a log-in comes back to. */
export const page = "https://shop.example/signed-in"

const client = "the-shop"

const definition = AppDefinition.make({
  appId: "window-abcde",
  authProviders: {
    anonymous: {},
    google: { clientId: client, clientSecret: "accountsSecret", redirectUris: [page] }
  },
  secrets: { accountsSecret: Redacted.make("what the shop and the provider know") }
})

/** The app, as a client needs it. */
export const app: Effect.Effect<App.App, never, HttpServer.HttpServer> = Effect.map(
  Listener.origin,
  (baseUrl) => App.make({ id: definition.appId, baseUrl })
)

/** Opens the shop on this machine, for people with an account at the provider. */
export const layer: Layer.Layer<HttpServer.HttpServer, Listener.ListenError | Database.DatabaseError> = Listener.layer({
  app: definition,
  host: "127.0.0.1",
  issuers: { google: Accounts.issuer },
  httpClient: Accounts.layer
}).pipe(Layer.provide(Database.layerMemory))

const next = async (url: string, cookie: string): Promise<{ readonly location: string; readonly cookie: string }> => {
  const response = await fetch(url, { redirect: "manual", headers: { cookie } })
  const set = response.headers.getSetCookie().map((text) => text.split(";")[0])
  return { location: response.headers.get("location") ?? "", cookie: set.join("; ") }
}

/** What a phone's app gets from the provider's own library when Grace agrees. */
export const code: string = Accounts.code(client)

/** Agrees at the provider's page, and answers the address that the shop sends the browser back to. */
export const agree = (providerPage: string, cookie: string): Effect.Effect<string> =>
  Effect.promise(async () => (await next(Accounts.agree(new URL(providerPage)), cookie)).location)

/** Goes where the shop sends a browser, agrees at the provider's page, and answers the address it comes back to. */
export const visit = (url: string): Effect.Effect<string> =>
  Effect.flatMap(Effect.promise(() => next(url, "")), ({ cookie, location }) => agree(location, cookie))
