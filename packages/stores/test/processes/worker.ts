/** A process that shares sessions with others: it does what its parent says. */
import { TokenStore } from "@effect-realm/client"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import { flushCompileCache } from "node:module"
import * as Commands from "./commands.ts"
import * as Place from "./place.ts"

export interface Options {
  readonly place: Place.Place
  readonly baseUrl: string
  /** How wrong the clock of this process is, in milliseconds. */
  readonly skew: number
  /** How long a lease lasts whose holder died, in milliseconds, where it is not what everybody else has. */
  readonly lease?: number
}

const options: Options = JSON.parse(process.argv[2] ?? "")

// The clock is set wrong for everything that reads it; time passes as ever.
const now = Date.now
Date.now = () => now() + options.skew

const place = Place.layer(options.place)

const runtime = ManagedRuntime.make(
  Layer.mergeAll(
    Layer.provide(
      TokenStore.layerStorage,
      options.lease === undefined ? place : Place.forgetful(place, options.lease)
    ),
    FetchHttpClient.layer
  )
)

const actor = Commands.make(options.baseUrl)

runtime.runFork(actor.listen(() => {
  // Most are killed, and would leave nothing.
  flushCompileCache()
  process.send?.({ ready: true })
}))

process.on("message", ({ command, id }: { readonly id: number; readonly command: Commands.Command }) => {
  void runtime.runPromiseExit(actor.run(command)).then((exit) => {
    process.send?.({ id, answer: exit._tag === "Success" ? exit.value : String(exit) })
  })
})
process.on("disconnect", () => process.exit())
