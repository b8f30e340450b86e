/**
 * A service of your own over `App` and `User`: the rest of the program knows orders and no users, tokens or function
 * names. `test/orders.test.ts` tests it. Run it: `npx node packages/examples/src/orders.ts`
 */
import { App, type ClientError, Credentials, type TokenStore, User } from "@effect-realm/client"
import { Context, Effect, Layer, Schema } from "effect"
import type { HttpClient } from "effect/http"
import * as Shop from "./Shop.ts"

/** How many of each item. */
export interface Basket {
  readonly [item: string]: number
}

const Order = Schema.Struct({
  lines: Schema.Array(Schema.Struct({ item: Schema.String, count: Schema.Int, cost: Schema.Finite })),
  total: Schema.Finite
})

/** An order, priced by the shop. */
export type Order = typeof Order.Type

/**
 * The order was refused, or it is unclear whether it was placed: the answer got lost. Then look before placing it again.
 */
export class OrderError extends Schema.TaggedError<OrderError>()("OrderError", {
  message: Schema.String,
  outcome: Schema.Literals(["refused", "unclear"])
}) {}

const orderError = (error: App.LogInError | User.CallFunctionError | ClientError.SchemaMismatchError): OrderError =>
  new OrderError({
    message: error.message,
    outcome: error._tag === "TransportError" || error._tag === "InvalidResponseError" ? "unclear" : "refused"
  })

export class Orders extends Context.Service<Orders, {
  /** Places an order, as whoever is logged in here, or as a guest. */
  readonly place: (basket: Basket) => Effect.Effect<Order, OrderError>
}>()("shop/Orders") {
  /** The service for one app. What it needs of the world is settled here, once. */
  static readonly layer = (
    app: App.App
  ): Layer.Layer<Orders, never, HttpClient.HttpClient | TokenStore.TokenStore> =>
    Layer.effect(
      Orders,
      Effect.gen(function*() {
        const context = yield* Effect.context<HttpClient.HttpClient | TokenStore.TokenStore>()

        const place = Effect.fn("Orders.place")(
          function*(basket: Basket) {
            const current = yield* App.currentUser(app)
            const user = yield* Effect.fromOption(current).pipe(
              Effect.catch(() => App.logIn(app, Credentials.anonymous()))
            )
            return yield* User.callFunction(user, "order", [basket], Order)
          },
          Effect.mapError(orderError),
          Effect.provide(context)
        )

        return Orders.of({ place })
      })
    )
}

/** A program that uses the service. */
export const breakfast: Effect.Effect<Order, OrderError, Orders> = Orders.use((orders) =>
  orders.place({ coffee: 2, cake: 1 })
)

if (import.meta.main) Shop.run((app) => Effect.provide(breakfast, Orders.layer(app)))
