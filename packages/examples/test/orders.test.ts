/**
 * How to test a service that talks to an app: against the app itself, in the process of the test and on its clock. Copy it.
 */
import { User } from "@effect-realm/client"
import { AppFolder } from "@effect-realm/server"
import { Faults, RealmTest, Requests } from "@effect-realm/testing"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as Orders from "../src/orders.ts"
import * as Shop from "../src/Shop.ts"

// A fresh server and an empty store for each test that provides it.
const realm = Layer.unwrap(
  Effect.map(AppFolder.load(Shop.folder), ({ app }) => RealmTest.layer({ app }))
).pipe(Layer.provide(NodeServices.layer))

/** The service under test, with the network as a plan of faults has it. */
const orders = (plan: Faults.Plan = Faults.none) =>
  Layer.unwrap(Effect.map(RealmTest.RealmTest, ({ app }) => Orders.Orders.layer(app))).pipe(
    Layer.provide(Faults.layer(plan)),
    Layer.provideMerge(realm)
  )

describe("Orders", { timeout: 30_000 }, () => {
  it.effect("places an order as a guest when nobody is logged in", () =>
    Effect.gen(function*() {
      const order = yield* Orders.breakfast
      assert.strictEqual(order.total, 17)
    }).pipe(Effect.provide(orders())))

  it.effect("places an order as whoever is logged in", () =>
    Effect.gen(function*() {
      const user = yield* RealmTest.emailUser()
      yield* Orders.breakfast
      const requests = yield* Requests.Requests
      assert.strictEqual(yield* requests.count({ endpoint: "callFunction", userId: user.id }), 1)
    }).pipe(Effect.provide(orders())))

  it.effect("goes on when the session is a month old", () =>
    Effect.gen(function*() {
      const user = yield* RealmTest.emailUser()
      yield* TestClock.adjust("30 days")
      yield* Orders.breakfast
      assert.isTrue(yield* User.isLoggedIn(user))
    }).pipe(Effect.provide(orders())))

  it.effect("refuses what the shop does not sell, with the shop's words", () =>
    Effect.gen(function*() {
      const error = yield* Orders.Orders.use((orders) => Effect.flip(orders.place({ bread: 1 })))
      assert.strictEqual(error.outcome, "refused")
      assert.include(error.message, "the shop sells no bread")
    }).pipe(Effect.provide(orders())))

  it.effect("says that it is unclear whether an order was placed when the answer gets lost, and places it once", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Orders.breakfast)
      assert.strictEqual(error.outcome, "unclear")
      const requests = yield* Requests.Requests
      assert.strictEqual(yield* requests.count({ endpoint: "callFunction" }), 1)
    }).pipe(Effect.provide(orders(Faults.at({ endpoint: "callFunction" }, Faults.dropAfter)))))
})
