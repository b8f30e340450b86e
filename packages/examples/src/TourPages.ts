/** The steps of the tour that are about pages in a browser: who was logged in there before, and who comes by another site. */
import { App, OAuth, TokenStore, User } from "@effect-realm/client"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
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
})
