import { type App, ClientError, TokenStore } from "@effect-realm/client"
import { RealmError } from "@effect-realm/protocol"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import { callByContract } from "../src/call-by-contract.ts"
import { callFunctions } from "../src/call-functions.ts"
import { advice, handleErrors } from "../src/handle-errors.ts"
import { logInThreeWays } from "../src/log-in.ts"
import { runPipeline } from "../src/pipeline.ts"
import { reviewTea } from "../src/reviews.ts"
import * as Shop from "../src/Shop.ts"

/** Runs an example as it runs by itself: against a shop of its own, over a socket. */
const onShop = <A, E>(
  example: (app: App.App) => Effect.Effect<A, E, HttpClient.HttpClient | TokenStore.TokenStore>
) =>
  Shop.Shop.use(({ app }) => example(app)).pipe(
    Effect.provide(Layer.mergeAll(Shop.layer(), FetchHttpClient.layer, TokenStore.layerMemory)),
    Effect.provideService(References.MinimumLogLevel, "Warn")
  )

describe("the examples", () => {
  it.live(
    "log in without an account, with email and password, and by a function of the app",
    () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* onShop(logInThreeWays), {
          users: 2,
          isGuestLoggedIn: true,
          guestLogsInWith: ["anon-user", "local-userpass"],
          cardHolderLogsInWith: "custom-function"
        })
      }),
    30_000
  )

  it.live("call functions with and without a schema", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* onShop(callFunctions), {
        sum: 6,
        total: 15,
        orderedOnADate: true,
        greeting: "Welcome to the shop, Zoë. This is The Corner Shop.",
        left: 240
      })
    }), 30_000)

  it.live("call functions by contracts", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* onShop(callByContract), {
        isOurs: true,
        at: "2030-05-01T12:00:00.000Z",
        answer: "the shop has 12 seats"
      })
    }), 30_000)

  it.live("read, write and watch documents behind rules", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* onShop(reviewTea), {
        best: 5,
        watched: [4, 5],
        refused: "update not permitted",
        averages: [{ _id: "cake", stars: 5 }, { _id: "tea", stars: 5 }]
      })
    }), 30_000)

  it.live("handle one reason, one family, and all errors", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* onShop(handleErrors), {
        total: "no such function",
        ordered: "Error: the shop sells no bread",
        told: "The shop could not do that."
      })
    }), 30_000)

  it("have advice for every error", () => {
    const endpoint = { method: "POST", route: "/functions/call" }
    assert.include(advice(RealmError.make("FunctionNotFound", "function not found")), "update")
    assert.include(advice(RealmError.make("InvalidSession", "invalid session")), "log in")
    assert.include(advice(new ClientError.NotLoggedInError({ userId: "zoe", state: "LoggedOut" })), "log in")
    assert.include(
      advice(new ClientError.TransportError({ ...endpoint, reason: { _tag: "Unreachable", detail: "no route" } })),
      "again in a minute"
    )
    assert.include(advice(RealmError.make("AppNotFound", "cannot find app")), "wrong with this program")
  })

  it.live(
    "work for many users, harm none by the failure of another, and leave nobody logged in",
    () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* onShop(runPipeline), { orders: 60, refused: 10, lost: 0, stillLoggedIn: 0 })
      }),
    60_000
  )
})
