/**
 * Works for many users in one process: each has a session of their own, a failure of one harms no other, and all are
 * logged out in the end. Run it: `npx node packages/examples/src/pipeline.ts`
 */
import { App, Credentials, User } from "@effect-realm/client"
import { Effect, Schema } from "effect"
import * as Shop from "./Shop.ts"

/** A user who is logged in for as long as the work takes, and out after it, however it ends. */
const asUser = <A, E, R>(app: App.App, use: (user: User.User) => Effect.Effect<A, E, R>) =>
  Effect.acquireUseRelease(
    App.logIn(app, Credentials.anonymous({ reuse: false })),
    use,
    // The tokens are forgotten here even if the server cannot be told.
    (user) => Effect.ignore(User.logOut(user))
  )

/** The work: one in seven asks for an item that the shop does not sell. */
const work = (user: User.User, index: number) =>
  User.callFunction(
    user,
    "order",
    [index % 7 === 6 ? { bread: 1 } : { tea: index }],
    Schema.Struct({ total: Schema.Int })
  )

export const runPipeline = Effect.fn("runPipeline")(function*(app: App.App) {
  const [orders, failures] = yield* Effect.partition(
    Array.from({ length: 70 }, (_, index) => index),
    (index) => asUser(app, (user) => work(user, index)),
    // As many at a time as the server likes, not as many as there are.
    { concurrency: 16 }
  )
  const users = yield* App.allUsers(app)
  return {
    orders: orders.length,
    refused: failures.filter((error) => error._tag === "FunctionError").length,
    lost: failures.filter((error) => error._tag !== "FunctionError").length,
    stillLoggedIn: (yield* Effect.filter(users, User.isLoggedIn)).length
  }
})

if (import.meta.main) Shop.run(runPipeline)
