/** A collection with rules, and a user behind them. */
import * as Ejson from "@effect-realm/protocol/Ejson"
import { AppDefinition, Database, type DataSource, Functions } from "@effect-realm/server"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Slow from "./slowRules.ts"

let collections = 0

/** A collection that nobody else has, in a database that all share: making one takes longer than most tests. */
export const newNamespace = (): Database.Namespace => ({ database: "shop", collection: `items ${collections++}` })

/** An app with rules for one collection. */
export const withRules = (
  namespace: Database.Namespace,
  rules: DataSource.RulesOptions
): AppDefinition.AppDefinition =>
  AppDefinition.make({
    appId: "shop-abcde",
    dataSources: [{ collections: [{ ...namespace, ...rules }] }]
  })

/** No rule asks one. */
export const functions: Layer.Layer<Functions.Functions> = Layer.succeed(
  Functions.Functions,
  Functions.Functions.of({
    call: () => Effect.die("no function is asked here"),
    callJson: () => Effect.die("no function is asked here"),
    streamJson: () => Effect.die("no function is asked here")
  })
)

/** A database that all tests share, and no functions. */
export const layer: Layer.Layer<Database.Database | Functions.Functions> = Layer.merge(Database.layerMemory, functions)

/** Ann, for the slow rules. */
export const user: Slow.Document = { id: "ann", custom_data: { team: "red", level: 1 } }

/** Ann, for the server. */
export const caller: Functions.Caller = {
  origin: "client",
  user: Option.some({
    id: "ann",
    type: "normal",
    data: {},
    customData: { team: "red", level: 1 },
    identities: []
  }),
  request: {}
}

/** Values as JSON has them. */
export const plain = (value: unknown): unknown => Ejson.encodeUnsafe(value, { relaxed: true })
