/** A page with a store, opened anew for each thing it is asked for, which answers what the store says. */
import { TokenStore } from "@effect-realm/client"
import * as EncryptedSessionStorage from "@effect-realm/client/EncryptedSessionStorage"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as TokenStoreContract from "../../../client/test/TokenStore.contract.ts"
import * as IndexedDbSessionStorage from "../../src/IndexedDbSessionStorage.ts"
import * as LocalStorageSessionStorage from "../../src/LocalStorageSessionStorage.ts"

export type Place = "IndexedDB" | "localStorage" | "encrypted"

const layers = {
  IndexedDB: Layer.provide(TokenStore.layerStorage, IndexedDbSessionStorage.layer),
  localStorage: Layer.provide(TokenStore.layerStorage, LocalStorageSessionStorage.layer),
  encrypted: TokenStore.layerStorage.pipe(
    Layer.provide(EncryptedSessionStorage.layer({ key: Redacted.make(btoa("k".repeat(32))) })),
    Layer.provide(LocalStorageSessionStorage.layer)
  )
}

const key = (userId: string) => ({ appId: "shop", userId })

const { logIn, logOut } = TokenStoreContract.changes

/** What came of it, or the reason of the error and its message. */
export type Answer<A = unknown> = { readonly value: A } | { readonly reason: string; readonly message: string }

const answer = <A>(place: Place, effect: Effect.Effect<A, TokenStore.TokenStoreError, TokenStore.TokenStore>) =>
  Effect.runPromise(
    Effect.match(Effect.provide(effect, layers[place]), {
      onSuccess: (value): Answer<A> => ({ value }),
      onFailure: ({ message, reason }): Answer<A> => ({ reason: reason._tag, message })
    })
  )

const methods = {
  /** Logs in, with a name of this length. */
  logIn: (place: Place, userId: string, length = 1) =>
    answer(place, Effect.map(logIn(key(userId), "x".repeat(length)), Option.isSome)),
  /** Logs in as somebody of whom nothing is known here, or nothing that can be read. */
  logInAnew: (place: Place, userId: string) =>
    answer(
      place,
      TokenStore.TokenStore.use((store) =>
        Effect.map(
          store.commit(key(userId), {
            expected: 0,
            session: Option.some(TokenStoreContract.session(key(userId))),
            makeCurrent: true,
            event: { _tag: "LoggedIn", providerType: "local-userpass" }
          }),
          ({ _tag }) => _tag === "Committed"
        )
      )
    ),
  /** Logs in many users, one after the other, and answers the generations of their records. */
  logInMany: (place: Place, name: string, count: number) =>
    answer(
      place,
      Effect.forEach(
        Array.from({ length: count }, (_, index) => key(`${name}: ${index}`)),
        (key) => Effect.map(logIn(key), Option.getOrNull)
      )
    ),
  logOut: (place: Place, userId: string) =>
    answer(
      place,
      TokenStore.TokenStore.use((store) =>
        Effect.andThen(store.depart(key(userId)), Effect.map(logOut(key(userId)), Option.isSome))
      )
    ),
  state: (place: Place, userId: string) =>
    answer(
      place,
      TokenStore.TokenStore.use((store) =>
        Effect.map(
          store.get(key(userId)),
          Option.match({ onNone: () => "none", onSome: ({ tokens }) => tokens === undefined ? "out" : "in" })
        )
      )
    ),
  /** Runs until there is a second state, of a store that has to begin anew. */
  states: (place: Place) => {
    return answer(
      place,
      TokenStore.TokenStore.use((store) =>
        store.changes(key("ann")).pipe(
          Stream.tap((event) => Effect.sync(() => globalThis.told.push(event._tag))),
          Stream.filter((event) => event._tag === "Snapshot"),
          Stream.take(2),
          Stream.runDrain
        )
      )
    )
  }
}

declare global {
  // eslint-disable-next-line no-var
  var store: typeof methods
  // eslint-disable-next-line no-var
  var told: Array<string>
}

globalThis.told = []
globalThis.store = methods
