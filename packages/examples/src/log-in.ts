/**
 * Logs in in three ways, and links one to another. Run it: `npx node packages/examples/src/log-in.ts`
 */
import { App, Credentials, EmailPassword, User } from "@effect-realm/client"
import { Effect, Redacted } from "effect"
import * as Shop from "./Shop.ts"

const email = "zoe@shop.example"
const password = Redacted.make("not for the log")

export const logInThreeWays = Effect.fn("logInThreeWays")(function*(app: App.App) {
  // Without an account: good for a first visit. The same user is taken again as long as they are logged in here.
  const guest = yield* App.logIn(app, Credentials.anonymous())

  // With an email address. The guest keeps the id, and so everything that belongs to it.
  yield* EmailPassword.registerUser(app, { email, password })
  yield* User.linkCredentials(guest, Credentials.emailPassword({ email, password }))

  // By the app's own function: what it gets is up to you.
  const cardHolder = yield* App.logIn(app, Credentials.function({ card: "card-grace" }))

  // Whoever logged in last is current. The others stay logged in.
  yield* App.switchUser(app, guest)

  return {
    users: (yield* App.allUsers(app)).length,
    isGuestLoggedIn: yield* User.isLoggedIn(guest),
    guestLogsInWith: (yield* User.identities(guest)).map((identity) => identity.providerType),
    cardHolderLogsInWith: yield* User.providerType(cardHolder)
  }
})

if (import.meta.main) Shop.run(logInThreeWays)
