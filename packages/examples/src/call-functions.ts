/**
 * Calls functions of the app, with and without a schema. Run it: `npx node packages/examples/src/call-functions.ts`
 */
import { App, Credentials, User } from "@effect-realm/client"
import { ObjectId } from "bson"
import { Effect, Schema } from "effect"
import * as Shop from "./Shop.ts"

/** What the function `order` answers. Ids and dates arrive as what they are. */
const Order = Schema.Struct({
  orderId: Schema.instanceOf(ObjectId),
  orderedAt: Schema.Date,
  total: Schema.Int
})

const Stock = Schema.Struct({ item: Schema.String, left: Schema.Int })

export const callFunctions = Effect.fn("callFunctions")(function*(app: App.App) {
  const user = yield* App.logIn(app, Credentials.anonymous())

  // Without a schema the result is `unknown`.
  const sum: unknown = yield* User.callFunction(user, "sum", [1, 2, 3])

  // With one it has a type, and an answer of another shape is an error rather than a surprise.
  const order = yield* User.callFunction(user, "order", [{ tea: 2, cake: 1 }], Order)

  // Operations take the user first, or last in a pipe.
  const greeting = yield* user.pipe(User.callFunction("greet", ["Zoë"], Schema.String))

  // A function may ask other servers on its way: this one has a supplier tell how much tea there is.
  const { left } = yield* User.callFunction(user, "restock", ["tea"], Stock)

  return { sum, total: order.total, orderedOnADate: order.orderedAt instanceof Date, greeting, left }
})

if (import.meta.main) Shop.run(callFunctions)
