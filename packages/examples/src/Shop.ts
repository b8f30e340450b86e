/**
 * The shop that the tour and the examples talk to: the embedded server with the sample app of `apps/shop`.
 */
import { App, TokenStore } from "@effect-realm/client"
import { AppFolder, Database, Listener } from "@effect-realm/server"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as References from "effect/References"
import { SignJWT } from "jose"
import { fileURLToPath } from "node:url"
import * as Supplier from "./supplier.ts"
import * as Tables from "./tables.ts"

/** The folder of the sample app. */
export const folder: string = fileURLToPath(new URL("../apps/shop", import.meta.url))

/** How the shop is opened. Nothing is needed. */
export interface Options {
  /** The app's folder; the sample app by default. */
  readonly folder?: string
  /** A file, or `memory:`, the default. */
  readonly database?: string
  /** A free port by default. */
  readonly port?: number
}

/** What can keep the shop closed. */
export type OpenError = AppFolder.AppFolderError | Database.DatabaseError | Listener.ListenError

/** A shop that is open. */
export class Shop extends Context.Service<Shop, {
  /** The app, as a client needs it. */
  readonly app: App.App
  readonly port: number
  /** A token for an hour, as the sign-on of the shop's staff issues it. */
  readonly staffToken: (staff: { readonly id: string; readonly name: string }) => Effect.Effect<Redacted.Redacted>
  /** The documents behind the shop, for what its back office does. */
  readonly database: Database.Database["Service"]
}>()("@effect-realm/examples/Shop") {}

const makeStaffToken = (app: AppFolder.Loaded["app"]): Shop["Service"]["staffToken"] =>
  Effect.fnUntraced(function*({ id, name }) {
    const key = new TextEncoder().encode(Redacted.value(app.secrets["staffTokenKey"]!))
    const now = Math.floor((yield* Clock.currentTimeMillis) / 1000)
    const token = new SignJWT({ staff: { name } })
      .setProtectedHeader({ alg: "HS256" })
      .setSubject(id)
      .setAudience(app.appId)
      .setIssuedAt(now)
      .setExpirationTime(now + 3600)
    return Redacted.make(yield* Effect.promise(() => token.sign(key)))
  })

const open = ({ app, database, port }: {
  readonly app: AppFolder.Loaded["app"]
  readonly database: string
  readonly port: number
}): Layer.Layer<Shop, OpenError> => {
  const { supplierKey } = app.secrets
  return Layer.effect(
    Shop,
    Effect.gen(function*() {
      const baseUrl = yield* Listener.origin
      return Shop.of({
        app: App.make({ id: app.appId, baseUrl }),
        port: Number(new URL(baseUrl).port),
        staffToken: makeStaffToken(app),
        database: yield* Database.Database
      })
    })
  ).pipe(
    Layer.provide(Listener.layer({
      app,
      port,
      host: "127.0.0.1",
      functionGroups: Tables.layer,
      http: { allowedHosts: [Supplier.host] },
      ...(supplierKey === undefined ? undefined : { httpClient: Supplier.layer(supplierKey) })
    })),
    Layer.provide(Database.layerUrl(database))
  )
}

/** Opens the shop on this machine, and closes it with the scope of the layer: requests in flight are answered first. */
export const layer = ({ database = "memory:", folder: directory = folder, port = 0 }: Options = {}): Layer.Layer<
  Shop,
  OpenError
> =>
  Layer.unwrap(Effect.map(AppFolder.load(directory), ({ app }) => open({ app, database, port }))).pipe(
    Layer.provide(NodeServices.layer)
  )

/** Runs an example against a shop of its own, and prints what it answers. */
export const run = <A, E>(
  example: (app: App.App) => Effect.Effect<A, E, HttpClient.HttpClient | TokenStore.TokenStore>
): void =>
  Shop.use(({ app }) => example(app)).pipe(
    Effect.tap(Console.log),
    Effect.provide([layer(), FetchHttpClient.layer, TokenStore.layerMemory]),
    // The server logs what it refuses, and the examples are refused on purpose.
    Effect.provideService(References.MinimumLogLevel, "Warn"),
    NodeRuntime.runMain
  )
