/** A page of realm-web as published: the one that logs in, and the one in the window that it opens. */
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
  current: () => getApp("shop-abcde").currentUser?.id
}

declare global {
  // eslint-disable-next-line no-var
  var realmWeb: typeof methods
}

if (location.pathname === "/signed-in") handleAuthRedirect()
globalThis.realmWeb = methods
