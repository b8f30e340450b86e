/** A page that runs the contracts of `SessionStorage` and `TokenStore` on what a browser has. */
import { TokenStore } from "@effect-realm/client"
import * as Layer from "effect/Layer"
import * as SessionStorageContract from "../../../client/test/SessionStorage.contract.ts"
import * as TokenStoreContract from "../../../client/test/TokenStore.contract.ts"
import * as IndexedDbSessionStorage from "../../src/IndexedDbSessionStorage.ts"
import * as LocalStorageSessionStorage from "../../src/LocalStorageSessionStorage.ts"
import { registered, type Tests } from "./vitest.ts"

declare global {
  // eslint-disable-next-line no-var
  var tests: Tests
}

// As in a page that did not come over `https`.
const { hash } = globalThis.location
if (hash === "#no-locks") Object.defineProperty(navigator, "locks", { value: undefined })

const { layer, layerWith } = hash === "#localStorage" ? LocalStorageSessionStorage : IndexedDbSessionStorage

let stores = 0
const newStore = Layer.suspend(() => Layer.provide(TokenStore.layerStorage, layerWith({ name: `store ${++stores}` })))

SessionStorageContract.contract(hash, layer)
TokenStoreContract.contract(hash, newStore, { runs: 10 })

globalThis.tests = registered()
