/** A tab that shares sessions with others: it does what the test says. */
import { TokenStore } from "@effect-realm/client"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as IndexedDbSessionStorage from "../../src/IndexedDbSessionStorage.ts"
import * as LocalStorageSessionStorage from "../../src/LocalStorageSessionStorage.ts"
import * as Commands from "../processes/commands.ts"

declare global {
  // eslint-disable-next-line no-var
  var ask: (command: Commands.Command) => Promise<unknown>
}

export type Place = "IndexedDB" | "IndexedDB without Web Locks" | "localStorage"

export interface Options {
  readonly place: Place
  readonly baseUrl: string
}

const options: Options = JSON.parse(decodeURIComponent(location.hash.slice(1)))

// As in a page that did not come over `https`.
if (options.place === "IndexedDB without Web Locks") Object.defineProperty(navigator, "locks", { value: undefined })

const { layer } = options.place === "localStorage" ? LocalStorageSessionStorage : IndexedDbSessionStorage

const runtime = ManagedRuntime.make(
  Layer.merge(Layer.provide(TokenStore.layerStorage, layer), FetchHttpClient.layer)
)
const actor = Commands.make(options.baseUrl)

runtime.runFork(actor.listen(() => {
  globalThis.ask = async (command) => {
    const exit = await runtime.runPromiseExit(actor.run(command))
    return exit._tag === "Success" ? exit.value : String(exit)
  }
}))
