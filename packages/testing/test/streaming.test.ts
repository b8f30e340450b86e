import { App, Credentials, TokenStore, User } from "@effect-realm/client"
import { Ejson, RealmFunction } from "@effect-realm/protocol"
import { AppDefinition, Database, FunctionGroup, Listener } from "@effect-realm/server"
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Exit, Fiber, Layer, Option, Ref, Schema, Stream } from "effect"
import { FetchHttpClient } from "effect/http"
import { TestClock } from "effect/testing"
import * as Spans from "../../client/test/support/spans.ts"
import { Faults, RealmTest, Requests } from "../src/index.ts"

class Closed extends Schema.TaggedError<Closed>("Closed")("Closed", { until: Schema.Option(Schema.Date) }) {}

const Prices = {
  follow: RealmFunction.makeStream("prices/follow", {
    args: [Schema.String, Schema.Int],
    success: Schema.Struct({ item: Schema.String, price: Schema.BigInt, at: Schema.Option(Schema.Date) }),
    error: Closed
  }),
  broken: RealmFunction.makeStream("broken", {
    args: [Schema.Literals(["die", "throw", "interrupt", "value", "error"])],
    success: Schema.Int
  }),
  whoami: RealmFunction.makeStream("whoami", { success: Schema.String }),
  forever: RealmFunction.makeStream("forever", { success: Schema.Int }),
  plain: RealmFunction.make("plain", { success: Schema.Int }),
  hidden: RealmFunction.makeStream("hidden")
}

class Market extends Context.Service<Market, {
  readonly price: (item: string) => bigint
  readonly stopped: Deferred.Deferred<void>
  readonly made: Ref.Ref<number>
}>()("Market") {}

const at = new Date(1_700_000_000_000)

const group = FunctionGroup.layer(Prices, {
  follow: (item, count) =>
    Stream.unwrap(Effect.map(Market, ({ price }) =>
      Stream.range(1, Math.min(count, 3)).pipe(
        Stream.map((n) => ({ item, price: price(item) + BigInt(n), at: Option.some(at) })),
        Stream.concat(count > 3 ? Stream.fail(new Closed({ until: Option.some(at) })) : Stream.empty)
      ))),
  broken: (how) => {
    switch (how) {
      case "die":
        return Stream.die(new Error("the card number is 4111"))
      case "throw":
        throw new Error("the card number is 4111")
      case "interrupt":
        return Stream.fromEffect(Effect.interrupt)
      case "value":
        // What no compiler can see: a value and a failure that are none of the contract's.
        return Stream.succeed("4111") as unknown as Stream.Stream<number>
      case "error":
        return Stream.fail("4111") as unknown as Stream.Stream<never>
    }
  },
  whoami: () =>
    Stream.fromEffect(
      Effect.map(FunctionGroup.Caller, ({ user }) =>
        Option.match(user, {
          onNone: () => "nobody",
          onSome: ({ id }) => id
        }))
    ),
  forever: () =>
    Stream.unwrap(
      Effect.map(Market, ({ made, stopped }) =>
        Stream.fromEffectRepeat(Ref.updateAndGet(made, (n) => n + 1)).pipe(
          Stream.ensuring(Deferred.succeed(stopped, undefined))
        ))
    ),
  plain: () => Effect.succeed(1),
  hidden: () => Stream.empty
}, { hidden: { private: true } })

const market = Layer.effect(
  Market,
  Effect.gen(function*() {
    return Market.of({
      price: (item) => 2n ** 60n + BigInt(item.length),
      stopped: yield* Deferred.make<void>(),
      made: yield* Ref.make(0)
    })
  })
)

const app = AppDefinition.make({
  appId: "shop-abcde",
  authProviders: { anonymous: {} },
  functions: [{ name: "sum", source: "exports = (...numbers) => numbers.reduce((a, b) => a + b, 0)" }]
})

const layer = RealmTest.layer({ app, functionGroups: group }).pipe(Layer.provideMerge(market))

describe("A function that streams", { timeout: 30_000 }, () => {
  it.effect("gives typed values, exactly and in order, and its own error after them", () =>
    Effect.gen(function*() {
      const user = yield* RealmTest.anonymousUser
      const values = yield* Stream.runCollect(User.functions(user, Prices).follow("tea", 2))
      assert.deepStrictEqual(
        values,
        [1n, 2n].map((n) => ({ item: "tea", price: 2n ** 60n + 3n + n, at: Option.some(at) }))
      )
      const seen: Array<bigint> = []
      const error = yield* User.callFunctionStreaming(user, Prices.follow, ["tea", 4]).pipe(
        Stream.runForEach(({ price }) => Effect.sync(() => seen.push(price - 2n ** 60n))),
        Effect.flip
      )
      assert.deepStrictEqual(seen, [4n, 5n, 6n])
      assert.deepStrictEqual(error, new Closed({ until: Option.some(at) }))
    }).pipe(Effect.provide(layer)))

  it.effect("is called without its contract too, with the values as they are, or by a schema for each", () =>
    Effect.gen(function*() {
      const user = yield* RealmTest.anonymousUser
      const untyped = yield* Stream.runCollect(User.callFunctionStreaming(user, "prices/follow", ["tea", 1]))
      assert.deepStrictEqual(Ejson.encodeUnsafe(untyped), [{
        item: "tea",
        price: { $numberLong: String(2n ** 60n + 4n) },
        at: { _tag: "Some", value: { $date: { $numberLong: String(at.getTime()) } } }
      }])
      const Item = Schema.Struct({ item: Schema.String })
      assert.deepStrictEqual(
        yield* Stream.runCollect(user.pipe(User.callFunctionStreaming("prices/follow", ["tea", 1], Item))),
        [{ item: "tea" }]
      )
      const other = Schema.Struct({ item: Schema.Int })
      const error = yield* Effect.flip(
        Stream.runDrain(User.callFunctionStreaming(user, "prices/follow", ["tea", 1], other))
      )
      assert.strictEqual(error._tag, "SchemaMismatchError")
      const closed = yield* Effect.flip(Stream.runDrain(User.callFunctionStreaming(user, "prices/follow", ["tea", 4])))
      assert.strictEqual(closed._tag === "FunctionError" && closed.reason._tag, "FunctionExecutionError")
    }).pipe(Effect.provide(layer)))

  it.effect("knows who calls", () =>
    Effect.gen(function*() {
      const user = yield* RealmTest.anonymousUser
      assert.deepStrictEqual(yield* Stream.runCollect(User.functions(user, Prices).whoami()), [user.id])
    }).pipe(Effect.provide(layer)))

  it.effect("tells a mistake of its own to the log alone", () =>
    Effect.gen(function*() {
      const user = yield* RealmTest.anonymousUser
      for (const how of ["die", "throw", "interrupt", "value", "error"] as const) {
        const error = yield* Effect.flip(Stream.runDrain(User.functions(user, Prices).broken(how)))
        assert.strictEqual(error._tag, "FunctionError", how)
        assert.notInclude(String(error), "4111")
      }
    }).pipe(Effect.provide(layer)))

  it.effect("is refused before it begins with arguments that do not fit, and where clients may not call it", () =>
    Effect.gen(function*() {
      const user = yield* RealmTest.anonymousUser
      const other = { follow: RealmFunction.makeStream("prices/follow", { args: [Schema.Int] }) }
      const misfit = yield* Effect.flip(Stream.runDrain(User.functions(user, other).follow(1)))
      assert.strictEqual(misfit._tag === "ContractError" && misfit.path, "args[0]")
      const requests = yield* Requests.Requests
      const before = yield* requests.count({ endpoint: "streamFunction" })
      const local = yield* Effect.flip(Stream.runDrain(User.callFunctionStreaming(user, "whoami", [/x/g])))
      assert.strictEqual(local._tag, "EjsonError")
      assert.strictEqual(yield* requests.count({ endpoint: "streamFunction" }), before)
      for (
        const [name, reason] of [
          ["hidden", "NotCallable"],
          ["nowhere", "FunctionNotFound"],
          ["sum", "NotCallable"],
          ["plain", "NotCallable"]
        ] as const
      ) {
        const error = yield* Effect.flip(Stream.runDrain(User.callFunctionStreaming(user, name)))
        assert.strictEqual(error._tag === "FunctionError" && error.reason._tag, reason)
      }
      const whole = yield* Effect.flip(User.callFunction(user, "forever"))
      assert.strictEqual(whole._tag === "FunctionError" && whole.reason._tag, "NotCallable")
    }).pipe(Effect.provide(layer)))

  it.effect("is opened with a new token when the old one has expired", () =>
    Effect.gen(function*() {
      const user = yield* RealmTest.anonymousUser
      const requests = yield* Requests.Requests
      yield* TestClock.adjust("31 minutes")
      assert.deepStrictEqual(yield* Stream.runCollect(User.functions(user, Prices).whoami()), [user.id])
      assert.strictEqual(yield* requests.count({ endpoint: "refreshSession" }), 1)
    }).pipe(Effect.provide(layer)))

  it.effect("has one span, with its attempts and its outcome, and no value", () =>
    Effect.gen(function*() {
      const { spans, traced } = Spans.recorder()
      const user = yield* RealmTest.anonymousUser
      const prices = User.functions(user, Prices)
      yield* traced(Stream.runDrain(prices.follow("oolong", 2)))
      yield* Effect.ignore(traced(Stream.runDrain(prices.follow("oolong", 4))))
      const own = spans.filter((span) => span.name === "User.callFunctionStreaming")
      const about = own.map((span) => Object.fromEntries(span.attributes))
      assert.deepStrictEqual(about.map((one) => one["realm.outcome"]), ["Success", "Closed"])
      for (const one of about) {
        assert.strictEqual(one["realm.function"], "prices/follow")
        assert.strictEqual(one["realm.attempts"], 1)
        assert.strictEqual(one["http.route"], "/api/client/v2.0/app/:appId/functions/call")
      }
      for (const span of own) assert.strictEqual(span.status._tag, "Ended")
      const shown = JSON.stringify(spans.map((span) => [...span.attributes]))
      assert.notInclude(shown, "oolong")
      assert.notInclude(shown, btoa("oolong").slice(0, 6))
    }).pipe(Effect.provide(layer)))

  it.effect("whose connection breaks or ends early is not taken for complete", () =>
    Effect.gen(function*() {
      const user = yield* RealmTest.anonymousUser
      for (const fault of [Faults.truncate({ bytes: 40 }), Faults.breakOff({ bytes: 40 }), Faults.dropBefore]) {
        const error = yield* Stream.runDrain(User.functions(user, Prices).follow("tea", 3)).pipe(
          Faults.inject(Faults.at({ endpoint: "streamFunction" }, fault)),
          Effect.flip
        )
        assert.strictEqual(error._tag, "TransportError", fault._tag)
      }
    }).pipe(Effect.provide(layer)))
})

describe("A function that streams, over a socket", { timeout: 30_000 }, () => {
  const overSocket = Layer.mergeAll(FetchHttpClient.layer, TokenStore.layerMemory).pipe(
    Layer.provideMerge(Listener.layer({ app, functionGroups: group, functions: { workers: 1 } })),
    Layer.provide(Database.layerMemory),
    Layer.provideMerge(market)
  )

  const user = Effect.gen(function*() {
    const realm = App.make({ id: "shop-abcde", baseUrl: yield* Listener.origin })
    return yield* App.logIn(realm, Credentials.anonymous())
  })

  it.live("stops when its reader does, and runs ahead of it by no more than buffers hold", () =>
    Effect.gen(function*() {
      const { made, stopped } = yield* Market
      const few = yield* Stream.runCollect(Stream.take(User.functions(yield* user, Prices).forever(), 3))
      assert.deepStrictEqual(few, [1, 2, 3])
      yield* Deferred.await(stopped)
      const count = yield* Ref.get(made)
      yield* user
      assert.strictEqual(yield* Ref.get(made), count)
    }).pipe(Effect.provide(overSocket)))

  it.live("is interrupted with the fiber that reads it", () =>
    Effect.gen(function*() {
      const { made, stopped } = yield* Market
      const reading = yield* Effect.forkChild(Stream.runDrain(User.functions(yield* user, Prices).forever()))
      while ((yield* Ref.get(made)) === 0) yield* Effect.promise(() => new Promise(setImmediate))
      const exit = yield* Effect.andThen(Fiber.interrupt(reading), Fiber.await(reading))
      assert.isTrue(Exit.hasInterrupts(exit))
      yield* Deferred.await(stopped)
    }).pipe(Effect.provide(overSocket)))
})
