import { type ClientError, type TokenStore, User } from "@effect-realm/client"
import { type Ejson, type RealmError, RealmFunction } from "@effect-realm/protocol"
import { Effect, type Option, Schema, type Stream } from "effect"
import type { HttpClient } from "effect/http"
import { describe, expect, test } from "tstyche"

const user = new User.User({ appId: "shop-abcde", baseUrl: "http://localhost:9090", id: "u1" })

type Operation<A, E> = Effect.Effect<A, E, HttpClient.HttpClient | TokenStore.TokenStore>

class OutOfStock extends Schema.TaggedError<OutOfStock>()("OutOfStock", { left: Schema.Int }) {}

const Shop = {
  order: RealmFunction.make("orders/place", {
    args: [Schema.String, Schema.Option(Schema.Date)],
    success: Schema.Struct({ total: Schema.BigInt }),
    error: OutOfStock
  }),
  sum: RealmFunction.make("sum", { args: Schema.Array(Schema.Int), success: Schema.Int }),
  ping: RealmFunction.make("ping")
}

type Order = Operation<{ readonly total: bigint }, User.CallContractError | OutOfStock>

describe("functions without contracts", () => {
  test("take and answer anything", () => {
    const functions = User.functions<"sum">(user)
    expect(functions.sum(1, "2")).type.toBe<Operation<unknown, User.CallFunctionError>>()
    expect(functions).type.not.toHaveProperty("product")
    expect(user.pipe(User.functions)).type.toBe<User.Functions>()
  })

  test("are no promise", () => {
    expect<Awaited<User.Functions>>().type.toBe<User.Functions>()
    expect(User.functions<"sum" | "then" | "constructor">(user)).type.toBe<User.Functions<"sum">>()
  })
})

describe("a contract", () => {
  test("says what a call takes, answers and fails with", () => {
    expect(User.callFunction(user, Shop.order, ["tea", {} as Option.Option<Date>])).type.toBe<Order>()
    expect(user.pipe(User.callFunction(Shop.order, ["tea", {} as Option.Option<Date>]))).type.toBe<Order>()
    expect(User.functions(user, Shop).order("tea", {} as Option.Option<Date>)).type.toBe<Order>()
    expect(user.pipe(User.functions(Shop)).order("tea", {} as Option.Option<Date>)).type.toBe<Order>()
  })

  test("refuses other arguments", () => {
    const { order, ping, sum } = User.functions(user, Shop)
    expect(order).type.not.toBeCallableWith("tea")
    expect(order).type.not.toBeCallableWith("tea", new Date())
    expect(sum).type.toBeCallableWith(1, 2, 3)
    expect(sum).type.not.toBeCallableWith("1")
    expect(ping).type.not.toBeCallableWith(1)
    expect(User.callFunction).type.not.toBeCallableWith(user, Shop.order)
    expect(User.callFunction).type.not.toBeCallableWith(user, Shop.order, ["tea"])
    expect(User.callFunction).type.not.toBeCallableWith(user, Shop.sum, ["1"])
  })

  test("needs no arguments when it takes none", () => {
    type Ping = Operation<void, User.CallContractError>
    expect(User.callFunction(user, Shop.ping)).type.toBe<Ping>()
    expect(User.callFunction(user, Shop.ping, [])).type.toBe<Ping>()
    expect(user.pipe(User.callFunction(Shop.ping))).type.toBe<Ping>()
    expect(User.functions(user, Shop).ping()).type.toBe<Ping>()
    expect(User.callFunction(user, Shop.sum)).type.toBe<Operation<number, User.CallContractError>>()
  })

  test("gives each of its failures a type, and leaves never when all are handled", () => {
    const give = () => Effect.succeed(0)
    const handled = Effect.catchTags(User.functions(user, Shop).order("tea", {} as Option.Option<Date>), {
      OutOfStock: (error) => Effect.succeed(error.left),
      ContractError: give,
      FunctionError: give,
      TransportError: give,
      InvalidResponseError: give,
      RequestError: give,
      AppError: give,
      UnknownServiceError: give,
      SessionError: give,
      NotLoggedInError: give,
      TokenStoreError: give
    })
    expect<Effect.Error<typeof handled>>().type.toBe<never>()
    expect(Effect.catchTag).type.not.toBeCallableWith(User.functions(user, Shop).ping(), "OutOfStock", give)
  })

  test("has schemas that need no services", () => {
    const needy = {} as Schema.Codec<string, string, "decoding", "encoding">
    expect(RealmFunction.make).type.not.toBeCallableWith("f", { args: [needy] })
    expect(RealmFunction.make).type.not.toBeCallableWith("f", { success: needy })
    expect(RealmFunction.make).type.not.toBeCallableWith("f", { error: needy })
    expect(RealmFunction.make).type.not.toBeCallableWith("f", { args: Schema.String })
  })
})

describe("a call of a service", () => {
  test("fails with what a service and its data can refuse", () => {
    type Call<A> = Operation<A, User.CallServiceFunctionError>
    expect(User.callServiceFunction(user, "mongodb-atlas", "find", [{}])).type.toBe<Call<unknown>>()
    expect(user.pipe(User.callServiceFunction("mongodb-atlas", "find"))).type.toBe<Call<unknown>>()
    expect(User.callServiceFunction(user, "mongodb-atlas", "count", [{}], Schema.Int)).type.toBe<
      Operation<number, User.CallServiceFunctionError | ClientError.SchemaMismatchError>
    >()
    expect<User.CallServiceFunctionError>().type.toBe<
      User.CallFunctionError | RealmError.ServiceError | RealmError.DataError
    >()
    expect<User.CallContractError>().type.toBe<
      Exclude<User.CallFunctionError, Ejson.EjsonError> | RealmFunction.ContractError
    >()
  })
})

describe("a contract that streams", () => {
  type Values<A, E> = Stream.Stream<A, E, HttpClient.HttpClient | TokenStore.TokenStore>
  const Prices = {
    follow: RealmFunction.makeStream("prices/follow", {
      args: [Schema.String],
      success: Schema.Struct({ price: Schema.BigInt }),
      error: OutOfStock
    }),
    ping: RealmFunction.make("ping")
  }
  type Follow = Values<{ readonly price: bigint }, User.CallContractError | OutOfStock>

  test("is a stream of its values, which fails with its own error", () => {
    expect(User.functions(user, Prices).follow("tea")).type.toBe<Follow>()
    expect(User.callFunctionStreaming(user, Prices.follow, ["tea"])).type.toBe<Follow>()
    expect(user.pipe(User.callFunctionStreaming(Prices.follow, ["tea"]))).type.toBe<Follow>()
    expect(User.functions(user, Prices).ping()).type.toBe<Operation<void, User.CallContractError>>()
  })

  test("is not called as one that answers once, nor the other way round", () => {
    expect(User.callFunction).type.not.toBeCallableWith(user, Prices.follow, ["tea"])
    expect(User.callFunctionStreaming).type.not.toBeCallableWith(user, Prices.ping)
    expect(User.callFunctionStreaming).type.not.toBeCallableWith(user, Prices.follow, [1])
  })

  test("may be called without a contract", () => {
    expect(User.callFunctionStreaming(user, "prices/follow")).type.toBe<Values<unknown, User.CallFunctionError>>()
    expect(User.callFunctionStreaming(user, "prices/follow", ["tea"], Schema.Int)).type.toBe<
      Values<number, User.CallFunctionError | ClientError.SchemaMismatchError>
    >()
  })
})
