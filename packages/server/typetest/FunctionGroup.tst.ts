import { RealmFunction } from "@effect-realm/protocol"
import {
  AppDefinition,
  type Database,
  Documents,
  FunctionGroup,
  Functions,
  Push,
  RealmServer
} from "@effect-realm/server"
import { Context, Effect, type Layer, Schema, Stream } from "effect"
import type { HttpRouter } from "effect/http"
import { describe, expect, test } from "tstyche"

class OutOfStock extends Schema.TaggedError<OutOfStock>()("OutOfStock", { left: Schema.Int }) {}
class Prices extends Context.Service<Prices, { readonly of: (item: string) => number }>()("Prices") {}

const Shop = {
  order: RealmFunction.make("orders/place", {
    args: [Schema.String, Schema.Date],
    success: Schema.Int,
    error: OutOfStock
  }),
  ping: RealmFunction.make("ping")
}

const ping = () => Effect.void

describe("FunctionGroup.layer", () => {
  test("gives handlers the arguments of their contract", () => {
    FunctionGroup.layer(Shop, {
      order: (item, at) => {
        expect(item).type.toBe<string>()
        expect(at).type.toBe<Date>()
        return Effect.succeed(1)
      },
      ping
    })
  })

  test("needs what its handlers need, but for what each call has", () => {
    const layer = FunctionGroup.layer(Shop, {
      order: (item) =>
        Effect.gen(function*() {
          yield* FunctionGroup.Caller
          yield* Functions.Functions
          return (yield* Prices).of(item)
        }),
      ping
    })
    expect(layer).type.toBe<Layer.Layer<FunctionGroup.FunctionGroup, never, Prices>>()
    const app = AppDefinition.make({ appId: "shop-abcde" })
    expect(RealmServer.layer({ app, functionGroups: layer })).type.toBe<
      Layer.Layer<
        RealmServer.Services,
        Database.DatabaseError,
        HttpRouter.HttpRouter | Database.Database | Prices
      >
    >()
    const desk = FunctionGroup.layer(Shop, {
      order: () => Effect.as(Push.Push, 1),
      ping: () => Effect.asVoid(Documents.Documents)
    })
    expect(desk).type.toBe<Layer.Layer<FunctionGroup.FunctionGroup, never, Push.Push | Documents.Documents>>()
    expect(RealmServer.layer({ app, functionGroups: desk })).type.toBe<
      Layer.Layer<RealmServer.Services, Database.DatabaseError, HttpRouter.HttpRouter | Database.Database>
    >()
    expect(RealmServer.layer({ app })).type.toBe<
      Layer.Layer<RealmServer.Services, Database.DatabaseError, HttpRouter.HttpRouter | Database.Database>
    >()
  })

  test("refuses a handler that is missing, answers something else or fails with something else", () => {
    expect(FunctionGroup.layer).type.toBeCallableWith(Shop, { order: () => Effect.succeed(1), ping })
    expect(FunctionGroup.layer).type.toBeCallableWith(Shop, { order: () => new OutOfStock({ left: 1 }), ping })
    expect(FunctionGroup.layer).type.not.toBeCallableWith(Shop, { ping })
    expect(FunctionGroup.layer).type.not.toBeCallableWith(Shop, { order: () => Effect.succeed("1"), ping })
    expect(FunctionGroup.layer).type.not.toBeCallableWith(Shop, { order: () => Effect.fail("1"), ping })
    expect(FunctionGroup.layer).type.not.toBeCallableWith(Shop, { order: (_: number) => Effect.succeed(1), ping })
  })

  test("takes options of its own methods only", () => {
    const handlers = { order: () => Effect.succeed(1), ping }
    expect(FunctionGroup.layer).type.toBeCallableWith(Shop, handlers, { ping: { private: true } })
    expect(FunctionGroup.layer).type.not.toBeCallableWith(Shop, handlers, { other: { private: true } })
  })
})

describe("a contract that streams", () => {
  const Market = { follow: RealmFunction.makeStream("follow", { args: [Schema.String], success: Schema.Int }) }

  test("is implemented by a stream, which may need services", () => {
    const layer = FunctionGroup.layer(Market, {
      follow: (item) => Stream.fromEffect(Effect.map(Prices, (prices) => prices.of(item)))
    })
    expect(layer).type.toBe<Layer.Layer<FunctionGroup.FunctionGroup, never, Prices>>()
    expect(FunctionGroup.layer).type.not.toBeCallableWith(Market, { follow: () => Effect.succeed(1) })
    expect(FunctionGroup.layer).type.not.toBeCallableWith(Market, { follow: () => Stream.succeed("1") })
    expect(FunctionGroup.layer).type.not.toBeCallableWith(Market, { follow: () => Stream.fail("1") })
  })
})
