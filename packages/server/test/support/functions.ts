/** What the tests of functions have in common. */
import type * as RealmError from "@effect-realm/protocol/RealmError"
import * as AppDefinition from "@effect-realm/server/AppDefinition"
import * as Functions from "@effect-realm/server/Functions"
import { Long } from "bson"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"

export type Sources = { readonly [name: string]: string | Partial<AppDefinition.AppFunction> }

const app = (sources: Sources, options?: Partial<AppDefinition.Options>) =>
  AppDefinition.make({
    appId: "shop-abcde",
    ...options,
    functions: Object.entries(sources).map(([name, definition]) =>
      typeof definition === "string"
        ? { name, source: definition }
        : { name, source: "exports = () => name", ...definition }
    )
  })

export const client: Functions.Caller = {
  origin: "client",
  user: Option.some({
    id: "65f000000000000000000001",
    type: "normal",
    data: { email: "ada@shop.example" },
    customData: { points: Long.fromNumber(7), tier: "gold" },
    identities: [{ id: "i1", providerType: "local-userpass", data: { email: "ada@shop.example" } }]
  }),
  request: {
    remoteAddress: "192.0.2.1",
    headers: { "user-agent": "till/1", authorization: "Bearer secret", cookie: "secret" }
  }
}

export const call = (name: string, ...args: ReadonlyArray<unknown>) => callAs(client, name, ...args)

export const callAs = (caller: Functions.Caller, name: string, ...args: ReadonlyArray<unknown>) =>
  Functions.Functions.use((functions) => functions.call({ name, args, caller }))

export const reason = (effect: Effect.Effect<unknown, RealmError.FunctionError, Functions.Functions>) =>
  Effect.map(Effect.flip(effect), (error) => error.reason)

export const withFunctions = (
  sources: Sources,
  options?: Functions.Options,
  appOptions?: Partial<AppDefinition.Options>
): Layer.Layer<Functions.Functions> => Functions.layer(app(sources, appOptions), { workers: 1, ...options })

/** Real threads are started and stopped, which takes as long as the machine needs. */
export const patience = 60_000
