/** A page of realm-web as published: the one that logs in, the one in the window that it opens, and what comes after it. */
import * as Realm from "@effect-realm/client"
import * as IndexedDbSessionStorage from "@effect-realm/stores/IndexedDbSessionStorage"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Layer from "effect/Layer"
import { App, Credentials, getApp, handleAuthRedirect } from "realm-web"

const redirectUrl = `${location.origin}/signed-in`

const methods = {
  logIn: async (baseUrl: string) => {
    const user = await new App({ id: "shop-abcde", baseUrl }).logIn(Credentials.google({ redirectUrl }))
    return { id: user.id, name: user.profile.name, whoami: await user.functions["whoami"]!() }
  },
  /** Logs in as nobody in particular, then gets the account. */
  link: async (baseUrl: string) => {
    const user = await new App({ id: "shop-abcde", baseUrl }).logIn(Credentials.anonymous())
    await user.linkCredentials(Credentials.google({ redirectUrl }))
    await user.refreshProfile()
    return user.identities.map(({ providerType }) => providerType)
  },
  current: () => getApp("shop-abcde").currentUser?.id,
  /** Takes its users over, and calls as the one who was logged in. */
  takeOver: (baseUrl: string) => {
    const app = Realm.App.make({ id: "shop-abcde", baseUrl })
    const sessions = Layer.provide(Realm.TokenStore.layerStorage, IndexedDbSessionStorage.layer)
    return Realm.App.importRealmWeb(app, localStorage).pipe(
      Effect.andThen(Realm.App.currentUser(app)),
      Effect.flatMap(Effect.fromOption),
      Effect.flatMap((user) => Realm.User.callFunction(user, "whoami", [])),
      Effect.provide([sessions, FetchHttpClient.layer]),
      Effect.runPromise
    )
  }
}

declare global {
  // eslint-disable-next-line no-var
  var realmWeb: typeof methods
}

if (location.pathname === "/signed-in") handleAuthRedirect()
globalThis.realmWeb = methods
