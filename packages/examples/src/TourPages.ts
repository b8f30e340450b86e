/** The steps of the tour that are about pages in a browser: who was logged in there before, and who comes by another site. */
import { App, Credentials, OAuth, TokenStore, User } from "@effect-realm/client"
import * as Effect from "effect/Effect"
import * as Cookies from "effect/http/Cookies"
import * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Ref from "effect/Ref"
import * as PageShop from "./PageShop.ts"
import * as Step from "./Step.ts"

const page = { provider: "google", redirectUri: PageShop.page } as const

/** What realm-web 2.0.1 has left in the `localStorage` of a page whose user is logged in. */
const leftByRealmWeb = Effect.fnUntraced(function*(user: User.User) {
  const app = `realm-web:app(${user.appId})`
  const items = new Map([
    [`${app}:userIds`, JSON.stringify([user.id])],
    [`${app}:user(${user.id}):providerType`, "local-userpass"],
    [`${app}:user(${user.id}):accessToken`, Redacted.value(yield* User.accessToken(user))],
    [`${app}:user(${user.id}):refreshToken`, Redacted.value(yield* User.refreshToken(user))]
  ])
  return {
    getItem: (key: string) => items.get(key) ?? null,
    setItem: (key: string, value: string) => void items.set(key, value)
  }
})

/** Shows what a page does when it moves over, and when somebody has their account elsewhere. */
export const steps = Effect.fnUntraced(function*(app: App.App, user: User.User) {
  // Each page has a store of its own, as each is in another browser.
  const elsewhere = Layer.fresh(TokenStore.layerMemory)

  yield* Step.run({
    title: "Take over who is logged in from a page that ran on realm-web",
    asked: "App.importRealmWeb(app, localStorage)",
    does: Effect.flatMap(leftByRealmWeb(user), (localStorage) =>
      Effect.gen(function*() {
        const [found] = yield* App.importRealmWeb(app, localStorage)
        yield* Step.check(found?.id === user.id, `the user is ${found?.id}`)
        return yield* User.callFunction(user, "sum", [1, 2])
      }).pipe(Effect.provide(elsewhere))),
    shows: (sum) => `User ${user.id} is still logged in, and gets ${JSON.stringify(sum)} from sum`
  })

  yield* Step.run({
    title: "In a shop for people with an account elsewhere: out to the provider's page, and back",
    asked: "const { url, pending } = OAuth.start(app, page)\n" +
      "const returned = OAuth.parse(location.href, pending)\nOAuth.logIn(app, returned)",
    does: Effect.gen(function*() {
      const app = yield* PageShop.app
      const { pending, url } = yield* OAuth.start(app, page)
      const returned = yield* OAuth.parse(yield* PageShop.visit(url), pending)
      const grace = yield* OAuth.logIn(app, returned)
      const { data, identities } = yield* User.profile(grace)
      yield* Step.check(identities[0]?.id === "grace", `the identities are ${JSON.stringify(identities)}`)
      return data
    }).pipe(Effect.provide([PageShop.layer, elsewhere])),
    shows: (data) => JSON.stringify(data)
  })

  yield* Step.run({
    title: "Keep what a user without an account has, by linking the one elsewhere; then forget him in this browser",
    asked: "const { url, pending } = OAuth.startLink(user, page)\n" +
      "const returned = OAuth.parse(location.href, pending)\nOAuth.link(user, returned)\nApp.removeUser(app, user)",
    does: Effect.gen(function*() {
      const app = yield* PageShop.app
      const visitor = yield* App.logIn(app, Credentials.anonymous())
      // A browser keeps cookies; Node.js does not.
      const cookies = yield* Ref.make<ReadonlyArray<Cookies.Cookie>>([])
      const { pending, url } = yield* OAuth.startLink(visitor, page).pipe(
        Effect.updateService(HttpClient.HttpClient, HttpClient.withCookiesRef(cookies))
      )
      const cookie = Cookies.toCookieHeader(Cookies.fromIterable(yield* Ref.get(cookies)))
      yield* OAuth.link(visitor, yield* OAuth.parse(yield* PageShop.agree(url, cookie), pending))
      const { identities } = yield* User.profile(visitor)
      yield* App.removeUser(app, visitor)
      const known = yield* App.allUsers(app)
      yield* Step.check(known.length === 0, `the users known here are ${JSON.stringify(known)}`)
      return identities.map(({ providerType }) => providerType)
    }).pipe(Effect.provide([PageShop.layer, elsewhere])),
    shows: (providers) => `The user could log in by ${providers.join(" and ")}; nobody is known here now`
  })

  yield* Step.run({
    title: "Log in with a code that the provider's own library has handed out",
    asked: "App.logIn(app, Credentials.google({ authCode }))",
    does: Effect.gen(function*() {
      const app = yield* PageShop.app
      const grace = yield* App.logIn(app, Credentials.google({ authCode: Redacted.make(PageShop.code) }))
      return yield* User.profile(grace)
    }).pipe(Effect.provide([PageShop.layer, elsewhere])),
    shows: ({ data }) => JSON.stringify(data)
  })

  yield* Step.run({
    title: "Log in with a token of Apple's or Facebook's own library",
    asked: "App.logIn(app, Credentials.apple(idToken))\nApp.logIn(app, Credentials.facebook(accessToken))",
    does: Effect.gen(function*() {
      const app = yield* PageShop.app
      const grace = yield* App.logIn(app, Credentials.apple(yield* PageShop.idToken))
      const linus = yield* App.logIn(app, Credentials.facebook(PageShop.accessToken))
      const profiles = yield* Effect.forEach([grace, linus], User.profile)
      const ids = profiles.flatMap(({ identities }) =>
        identities.map(({ id, providerType }) => `${providerType} ${id}`)
      )
      yield* Step.check(
        ids.join() === "oauth2-apple grace,oauth2-facebook linus",
        `the identities are ${JSON.stringify(ids)}`
      )
      return profiles
    }).pipe(Effect.provide([PageShop.layer, elsewhere])),
    shows: (profiles) => profiles.map(({ data }) => JSON.stringify(data)).join("\n")
  })
})
