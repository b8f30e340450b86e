/**
 * Calls functions by contracts that client and server share. Run it: `node packages/examples/src/call-by-contract.ts`
 */
import { App, Credentials, User } from "@effect-realm/client"
import { Effect } from "effect"
import { Tables } from "./contracts.ts"
import * as Shop from "./Shop.ts"

export const callByContract = Effect.fn("callByContract")(function*(app: App.App) {
  const user = yield* App.logIn(app, Credentials.anonymous())

  // One method for each contract. Arguments are checked when this is compiled, and results are what the contract says.
  const tables = User.functions(user, Tables)
  const reserved = yield* tables.reserve(2, new Date("2030-05-01T12:00:00Z"))

  // The function's own error arrives as what it is; everything else a call can fail with has its type too.
  const answer = yield* tables.reserve(100, reserved.at).pipe(
    Effect.as("reserved"),
    Effect.catchTag("FullyBooked", ({ seats }) => Effect.succeed(`the shop has ${seats} seats`))
  )

  return { isOurs: reserved.guest === user.id, at: reserved.at.toISOString(), answer }
})

if (import.meta.main) Shop.run(callByContract)
