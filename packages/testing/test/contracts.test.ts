import { App, Credentials, Push as ClientPush, TokenStore, User } from "@effect-realm/client"
import { Ejson, RealmFunction } from "@effect-realm/protocol"
import {
  Accounts,
  AppDefinition,
  Database,
  Documents,
  FunctionGroup,
  Functions,
  Listener,
  Mail,
  Push,
  Sessions
} from "@effect-realm/server"
import { assert, describe, it } from "@effect/vitest"
import { ObjectId } from "bson"
import { Cause, Context, Deferred, Effect, Exit, Fiber, Layer, Logger, Option, Redacted, Schema, Stream } from "effect"
import { FetchHttpClient } from "effect/http"
import { TestClock } from "effect/testing"
import { RealmTest } from "../src/index.ts"

class OutOfStock extends Schema.TaggedError<OutOfStock>("OutOfStock")("OutOfStock", {
  item: Schema.String,
  left: Schema.BigInt,
  until: Schema.Option(Schema.Date)
}) {
  override get message() {
    return `only ${this.left} of ${this.item} left`
  }
}

const Line = Schema.Struct({ item: Schema.String, count: Schema.Natural })

const Shop = {
  order: RealmFunction.make("orders/place", {
    args: [Schema.Array(Line), Schema.Date],
    success: Schema.Struct({ id: Ejson.ObjectId, total: Schema.BigInt, lines: Schema.Array(Line), at: Schema.Date }),
    error: OutOfStock
  }),
  whoami: RealmFunction.make("whoami", { success: Schema.String }),
  broken: RealmFunction.make("broken", { args: [Schema.Literals(["die", "throw", "interrupt", "result", "error"])] }),
  hidden: RealmFunction.make("hidden"),
  gold: RealmFunction.make("gold", { success: Schema.Boolean })
}

class Prices extends Context.Service<Prices, { readonly of: (item: string) => bigint }>()("Prices") {}

const id = new ObjectId("65f000000000000000000001")

const shop = FunctionGroup.layer(
  Shop,
  {
    order: (lines, at) =>
      Effect.gen(function*() {
        const prices = yield* Prices
        const short = lines.find(({ count }) => count > 9)
        if (short !== undefined) {
          return yield* new OutOfStock({ item: short.item, left: 9n, until: Option.some(at) })
        }
        const total = lines.reduce((sum, { count, item }) => sum + prices.of(item) * BigInt(count), 0n)
        return { id, total, lines, at }
      }),
    whoami: () =>
      Effect.map(
        FunctionGroup.Caller,
        ({ origin, user }) => Option.match(user, { onNone: () => origin, onSome: ({ id }) => id })
      ),
    broken: (how) => {
      switch (how) {
        case "die":
          return Effect.die(new Error("the card number is 4111"))
        case "throw":
          throw new Error("the card number is 4111")
        case "interrupt":
          return Effect.interrupt
        case "result":
          return Effect.void
        case "error":
          // What no compiler can see: a failure that is none of the contract's.
          return Effect.fail("4111") as Effect.Effect<never>
      }
    },
    hidden: () => Effect.void,
    gold: () => Effect.succeed(true)
  },
  { hidden: { private: true }, gold: { canEvaluate: { "%%user.data.tier": "gold" } } }
)

const functionGroups = Layer.provide(shop, Layer.succeed(Prices, Prices.of({ of: (item) => BigInt(item.length) })))

const app = AppDefinition.make({
  appId: "shop-abcde",
  authProviders: { anonymous: {} },
  functions: [
    { name: "sum", source: "exports = (...numbers) => numbers.reduce((a, b) => a + b, 0)" },
    { name: "thrower", source: "exports = (thrown) => { throw thrown }" }
  ]
})

const layer = RealmTest.layer({ app, functionGroups })

const at = new Date(1_700_000_000_000)

describe("A function by contract", { timeout: 30_000 }, () => {
  it.effect("gets typed arguments and answers a typed result, exactly", () =>
    Effect.gen(function*() {
      const functions = User.functions(yield* RealmTest.anonymousUser, Shop)
      const order = yield* functions.order([{ item: "tea", count: 2 }, { item: "cake", count: 1 }], at)
      assert.deepStrictEqual(order, {
        id,
        total: 10n,
        lines: [{ item: "tea", count: 2 }, { item: "cake", count: 1 }],
        at
      })
    }).pipe(Effect.provide(layer)))

  it.effect("fails the caller with its own error, in full, and a caller without the contract with the words of it", () =>
    Effect.gen(function*() {
      const user = yield* RealmTest.anonymousUser
      const error = yield* Effect.flip(User.functions(user, Shop).order([{ item: "tea", count: 10 }], at))
      assert.instanceOf(error, OutOfStock)
      assert.deepStrictEqual(error, new OutOfStock({ item: "tea", left: 9n, until: Option.some(at) }))

      const plain = yield* Effect.flip(User.callFunction(user, "orders/place", [[{ item: "tea", count: 10 }], at]))
      assert.isTrue(plain._tag === "FunctionError" && plain.reason._tag === "FunctionExecutionError")
      assert.include(plain.message, "\"_tag\":\"OutOfStock\",\"item\":\"tea\",\"left\":{\"$numberLong\":\"9\"}")
    }).pipe(Effect.provide(layer)))

  it.effect("is called by name, with the BSON values of its schemas, as any function", () =>
    Effect.gen(function*() {
      const user = yield* RealmTest.anonymousUser
      const order = yield* User.callFunction(user, "orders/place", [[{ item: "tea", count: 2 }], at])
      assert.deepStrictEqual(order, { id, total: 6, lines: [{ item: "tea", count: 2 }], at })
    }).pipe(Effect.provide(layer)))

  it.effect("sees who calls it", () =>
    Effect.gen(function*() {
      const user = yield* RealmTest.anonymousUser
      assert.strictEqual(yield* User.callFunction(user, Shop.whoami), user.id)
      const functions = yield* Functions.Functions
      const asServer = yield* functions.call({ name: "whoami", args: [], caller: Functions.server })
      assert.strictEqual(asServer, "server")
    }).pipe(Effect.provide(layer)))

  it.effect("is private, or for those who fulfil a rule, as any function", () =>
    Effect.gen(function*() {
      const functions = User.functions(yield* RealmTest.anonymousUser, Shop)
      const hidden = yield* Effect.flip(functions.hidden())
      assert.isTrue(hidden._tag === "FunctionError" && hidden.reason._tag === "NotCallable")
      const gold = yield* Effect.flip(functions.gold())
      assert.isTrue(gold._tag === "FunctionError" && gold.reason._tag === "FunctionExecutionError")
      assert.include(gold.message, "rule not matched")
    }).pipe(Effect.provide(layer)))

  it.effect("of which client and server do not have the same contract fails typed, and names the place", () =>
    Effect.gen(function*() {
      const user = yield* RealmTest.anonymousUser
      const older = RealmFunction.make("orders/place", {
        args: [Schema.Array(Schema.Struct({ item: Schema.String, count: Schema.Number })), Schema.Date],
        success: Schema.Struct({ total: Schema.BigInt, lines: Schema.Array(Schema.Struct({ price: Schema.Int })) }),
        error: Schema.TaggedStruct("OutOfStock", { left: Schema.Struct({ count: Schema.Int }) })
      })
      const args = yield* Effect.flip(User.callFunction(user, older, [[{ item: "tea", count: 0.5 }], at]))
      assert.deepInclude(args, {
        _tag: "ContractError",
        function: "orders/place",
        part: "args",
        by: "Server",
        path: "args[0][0].count",
        detail: "Expected an integer"
      })
      const result = yield* Effect.flip(User.callFunction(user, older, [[{ item: "tea", count: 1 }], at]))
      assert.deepInclude(result, { _tag: "ContractError", part: "result", by: "Client", path: "result.lines[0].price" })
      const error = yield* Effect.flip(User.callFunction(user, older, [[{ item: "tea", count: 10 }], at]))
      assert.deepInclude(error, { _tag: "ContractError", part: "error", by: "Client", path: "error.left" })

      // A caller without any contract is told by the server.
      const plain = yield* Effect.flip(User.callFunction(user, "orders/place", ["tea"]))
      assert.isTrue(plain._tag === "FunctionError" && plain.reason._tag === "ArgumentsNotAllowed")
      assert.include(plain.message, "args[0] does not fit the contract: Expected array")
    }).pipe(Effect.provide(layer)))

  it.effect("that the server does not have is not found", () =>
    Effect.gen(function*() {
      const user = yield* RealmTest.anonymousUser
      const error = yield* Effect.flip(User.callFunction(user, RealmFunction.make("nowhere", { error: OutOfStock })))
      assert.isTrue(error._tag === "FunctionError" && error.reason._tag === "FunctionNotFound")
    }).pipe(Effect.provide(layer)))

  it.effect("tells a defect to the log alone, and the caller that there was one", () => {
    const logged: Array<string> = []
    const log = Logger.layer([Logger.make(({ cause, message }) => logged.push(`${message} ${Cause.pretty(cause)}`))])
    return Effect.gen(function*() {
      const { broken } = User.functions(yield* RealmTest.anonymousUser, Shop)
      for (const how of ["die", "throw", "error"] as const) {
        const error = yield* Effect.flip(broken(how))
        assert.isTrue(error._tag === "FunctionError" && error.reason._tag === "FunctionExecutionError", how)
        assert.notInclude(error.message, "4111")
      }
      assert.strictEqual(logged.filter((line) => line.includes("function \"broken\" failed")).length, 3)
      assert.strictEqual(logged.filter((line) => line.includes("the card number is 4111")).length, 2)
      const error = yield* Effect.flip(broken("interrupt"))
      assert.isTrue(error._tag === "FunctionError" && error.reason._tag === "OperationCanceled")
      yield* broken("result")
    }).pipe(Effect.provide(layer), Effect.provide(log))
  })

  it.effect("ends at the time limit of functions", () =>
    Effect.gen(function*() {
      const begun = yield* Deferred.make<void>()
      const wait = RealmFunction.make("wait")
      const groups = FunctionGroup.layer({ wait }, {
        wait: () => Effect.andThen(Deferred.succeed(begun, undefined), Effect.sleep("1 minute"))
      })
      yield* Effect.gen(function*() {
        const user = yield* RealmTest.anonymousUser
        const call = yield* Effect.forkChild(Effect.flip(User.callFunction(user, wait)))
        // The clock must not move before the token was verified, which happens in real time.
        yield* Deferred.await(begun)
        yield* TestClock.adjust("10 seconds")
        const error = yield* Fiber.join(call)
        assert.isTrue(error._tag === "FunctionError" && error.reason._tag === "ExecutionTimeLimitExceeded")
      }).pipe(
        Effect.provide(
          RealmTest.layer({ app, functionGroups: groups, functions: { workers: 1, timeLimit: "10 seconds" } })
        )
      )
    }))

  it.effect("is interrupted when its caller goes", () =>
    Effect.gen(function*() {
      const begun = yield* Deferred.make<void>()
      const ended = yield* Deferred.make<void>()
      const forever = RealmFunction.make("forever")
      const groups = FunctionGroup.layer({ forever }, {
        forever: () =>
          Deferred.succeed(begun, undefined).pipe(
            Effect.andThen(Effect.never),
            Effect.onInterrupt(() => Deferred.succeed(ended, undefined))
          )
      })
      yield* Effect.gen(function*() {
        const user = yield* RealmTest.anonymousUser
        const call = yield* Effect.forkChild(User.callFunction(user, forever))
        yield* Deferred.await(begun)
        yield* Fiber.interrupt(call)
        yield* Deferred.await(ended)
      }).pipe(Effect.provide(RealmTest.layer({ app, functionGroups: groups })))
    }))

  it.live("is interrupted when its caller's connection closes", () =>
    Effect.gen(function*() {
      const begun = yield* Deferred.make<void>()
      const ended = yield* Deferred.make<void>()
      const forever = RealmFunction.make("forever")
      const groups = FunctionGroup.layer({ forever }, {
        forever: () =>
          Deferred.succeed(begun, undefined).pipe(
            Effect.andThen(Effect.never),
            Effect.onInterrupt(() => Deferred.succeed(ended, undefined))
          )
      })
      const server = Listener.layer({ app, host: "127.0.0.1", functionGroups: groups, passwords: { cost: 4 } })
      yield* Effect.gen(function*() {
        const shop = App.make({ id: "shop-abcde", baseUrl: yield* Listener.origin })
        const user = yield* App.logIn(shop, Credentials.anonymous())
        const call = yield* Effect.forkChild(User.callFunction(user, forever))
        yield* Deferred.await(begun)
        yield* Fiber.interrupt(call)
        yield* Deferred.await(ended)
      }).pipe(
        Effect.provide(
          Layer.mergeAll(Layer.provide(server, Database.layerMemory), FetchHttpClient.layer, TokenStore.layerMemory)
        )
      )
    }))

  it.effect("may be JavaScript of the app, which throws the errors of its contract as objects", () =>
    Effect.gen(function*() {
      const user = yield* RealmTest.anonymousUser
      const sum = RealmFunction.make("sum", { args: Schema.Array(Schema.Int), success: Schema.Int })
      assert.strictEqual(yield* User.callFunction(user, sum, [1, 2, 3]), 6)
      assert.strictEqual(yield* User.callFunction(user, sum), 0)
      const Refused = Schema.TaggedStruct("Refused", { why: Schema.String })
      const thrower = RealmFunction.make("thrower", { args: [Schema.Unknown], error: Refused })
      const refused = yield* Effect.flip(User.callFunction(user, thrower, [{ _tag: "Refused", why: "closed" }]))
      assert.deepStrictEqual<unknown>(refused, { _tag: "Refused", why: "closed" })
      const words = yield* Effect.flip(User.callFunction(user, thrower, ["closed"]))
      assert.strictEqual(words._tag, "FunctionError")
    }).pipe(Effect.provide(layer)))
})

const Everything = Schema.Struct({
  number: Schema.Number,
  bigint: Schema.BigInt,
  bytes: Schema.Uint8Array,
  date: Schema.Date,
  id: Ejson.ObjectId,
  double: Ejson.Double,
  decimal: Ejson.Decimal128,
  option: Schema.Option(Schema.Number),
  nullish: Schema.NullishOr(Schema.String),
  missing: Schema.optionalKey(Schema.Date),
  record: Schema.Record(Schema.String.check(Schema.isPattern(/^[a-z]{1,8}$/)), Schema.Array(Schema.Boolean)),
  union: Schema.TaggedUnion({ A: { at: Schema.Date }, B: { n: Schema.Int } })
})

describe("Values by contract", { timeout: 60_000 }, () => {
  const Mirror = {
    result: RealmFunction.make("result", { args: [Everything], success: Everything }),
    error: RealmFunction.make("error", { args: [Everything], success: Schema.Never, error: Everything })
  }
  const groups = FunctionGroup.layer(Mirror, { result: Effect.succeed, error: Effect.fail })

  it.effect.prop(
    "go to the server and come back exactly, as result and as error",
    [Schema.Array(Everything)],
    ([values]) =>
      Effect.gen(function*() {
        const mirror = User.functions(yield* RealmTest.anonymousUser, Mirror)
        for (const value of values) {
          assert.deepStrictEqual(yield* mirror.result(value), value)
          assert.deepStrictEqual(yield* Effect.flip(mirror.error(value)), value)
        }
      }).pipe(Effect.provide(RealmTest.layer({ app, functionGroups: groups }))),
    { arbitrary: { runs: 10 } }
  )
})

describe("A server with function groups", { timeout: 30_000 }, () => {
  const sum = RealmFunction.make("sum", { success: Schema.Int })
  const ping = RealmFunction.make("ping", { success: Schema.String })
  const one = FunctionGroup.layer({ sum }, { sum: () => Effect.succeed(1) })
  const two = FunctionGroup.layer({ total: sum, ping }, {
    total: () => Effect.succeed(2),
    ping: () => Effect.succeed("pong")
  })
  const other = FunctionGroup.layer({ ping }, { ping: () => Effect.succeed("pong") })
  const empty = AppDefinition.make({ appId: "shop-abcde", authProviders: { anonymous: {} } })

  it.effect("has the functions of all of them", () =>
    Effect.gen(function*() {
      const user = yield* RealmTest.anonymousUser
      assert.strictEqual(yield* User.callFunction(user, sum), 1)
      assert.strictEqual(yield* User.callFunction(user, ping), "pong")
    }).pipe(Effect.provide(RealmTest.layer({ app: empty, functionGroups: Layer.mergeAll(one, other) }))))

  it.effect("does not start when two functions have one name", () =>
    Effect.gen(function*() {
      for (
        const options of [
          { app, functionGroups: one },
          { app: empty, functionGroups: Layer.mergeAll(one, two) }
        ]
      ) {
        const exit = yield* Effect.exit(Effect.provide(Effect.void, RealmTest.layer(options)))
        assert.isTrue(Exit.isFailure(exit))
        const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
        assert.instanceOf(error, FunctionGroup.DuplicateFunctionError)
        assert.include(error.message, "\"sum\"")
      }
    }))

  it("is told at once that a rule is none", () => {
    assert.throws(
      () =>
        FunctionGroup.layer({ ping }, { ping: () => Effect.succeed("pong") }, {
          ping: { canEvaluate: { "%magic": 1 } }
        }),
      /canEvaluate of "ping"/
    )
  })
})

const Desk = {
  order: RealmFunction.make("desk/order", { args: [Schema.String], success: Schema.Unknown }),
  follow: RealmFunction.makeStream("desk/follow", { success: Schema.Int })
}

const orders = { service: "mongodb-atlas", database: "shop", collection: "orders" }

/** Takes an order with everything that the server has, and tells what of it each part says. */
const desk = FunctionGroup.layer(Desk, {
  order: (item) =>
    Effect.gen(function*() {
      const caller = yield* FunctionGroup.Caller
      const { call } = yield* Functions.Functions
      const { service, ...namespace } = orders
      const documents = yield* Documents.Documents
      const ofCaller = (operation: string, argument: object) =>
        documents.call({ service, operation, args: [{ ...namespace, ...argument }], caller })
      const id = Option.match(caller.user, { onNone: () => "", onSome: ({ id }) => id })
      yield* ofCaller("insertOne", { document: { owner: id, item } })
      const refused = yield* Effect.flip(ofCaller("insertOne", { document: { owner: "somebody else", item } }))
      const all = (yield* Database.Database).collection(namespace)
      yield* all.insertOne({ owner: "somebody else", item })
      const { delivered } = yield* Push.Push.use(({ send }) =>
        send({ service: "gcm", userId: id, message: { title: item } })
      )
      yield* Effect.flatMap(Mail.Mail, ({ send }) => send({ to: "zoe@shop.example", subject: item, text: "Thank you" }))
      return {
        own: Number(yield* ofCaller("count", { query: {} })),
        all: yield* all.count({}),
        refused: refused.reason._tag,
        delivered,
        shouted: yield* call({ name: "shout", args: [item], caller }),
        isKnown: (yield* Accounts.Accounts.use(({ get }) => get(id))) !== undefined,
        sessions: (yield* Sessions.Sessions.use(({ list }) => list(id))).length
      }
    }).pipe(Effect.orDie),
  follow: () =>
    Stream.fromEffect(Effect.gen(function*() {
      const { call } = yield* Functions.Functions
      return String(yield* call({ name: "shout", args: ["tea"], caller: Functions.server })).length
    })).pipe(Stream.orDie)
})

const withDesk = RealmTest.layer({
  app: AppDefinition.make({
    appId: "shop-abcde",
    authProviders: { anonymous: {} },
    pushServices: [{ name: "gcm" }],
    functions: [{ name: "shout", source: "exports = (text) => text.toUpperCase()", private: true }],
    dataSources: [{
      collections: [{
        database: "shop",
        collection: "orders",
        roles: [{ name: "owner", applyWhen: { owner: "%%user.id" }, read: true, write: true, insert: true }]
      }]
    }]
  }),
  functionGroups: desk
})

describe("The functions of a group", { timeout: 60_000 }, () => {
  it.effect("find the services of the server, and the functions of the app, without being given them", () =>
    Effect.gen(function*() {
      const user = yield* RealmTest.anonymousUser
      yield* ClientPush.register(user, "gcm", Redacted.make("a device"))
      const functions = User.functions(user, Desk)
      assert.deepStrictEqual(yield* functions.order("tea"), {
        own: 1,
        all: 2,
        refused: "SchemaValidationFailedWrite",
        delivered: 1,
        shouted: "TEA",
        isKnown: true,
        sessions: 1
      })
      const { outbox, pushes } = yield* RealmTest.RealmTest
      assert.deepStrictEqual((yield* outbox).map(({ subject, to }) => [to, subject]), [["zoe@shop.example", "tea"]])
      assert.deepStrictEqual((yield* pushes).map(({ message }) => message.title), ["tea"])
      assert.deepStrictEqual(yield* Stream.runCollect(functions.follow()), [3])
    }).pipe(Effect.provide(withDesk)))
})
