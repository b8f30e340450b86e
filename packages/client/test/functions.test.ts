import * as RealmFunction from "@effect-realm/protocol/RealmFunction"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Exit from "effect/Exit"
import * as Hash from "effect/Hash"
import * as Schema from "effect/Schema"
import { format, inspect } from "node:util"
import * as User from "../src/User.ts"
import * as Scripted from "./scripted.ts"

/** A server that answers calls like this. */
const answering = (answer: Scripted.Answer) =>
  Scripted.make((sent) => sent.path.endsWith("/functions/call") ? answer : undefined)

/** Every way that a program, a logger or a test touches an object without calling its methods. */
const touches: { readonly [how: string]: (functions: User.Functions) => unknown } = {
  "awaits it": async (functions) => await functions,
  "resolves a promise with it": (functions) => Promise.resolve(functions).then((same) => same === functions),
  "prints it": (functions) => format("%s %o %O %j %d", functions, functions, functions, functions, functions),
  "inspects it": (functions) => inspect(functions, { depth: null, showHidden: true }),
  "inspects it as a proxy": (functions) => inspect(functions, { showProxy: true }),
  "makes a string of it": (functions) => [String(functions), `${functions}`, "" + functions, functions.toString()],
  "makes a number of it": (functions) => Number(functions),
  "makes JSON of it": (functions) => JSON.stringify({ functions, list: [functions] }),
  "spreads it": (functions) => ({ ...functions }),
  "lists its keys": (functions) => {
    for (const key in functions) assert.fail(key)
    return [Object.keys(functions), Reflect.ownKeys(functions), Object.entries(functions)]
  },
  "asks for a key": (functions) => ["sum" in functions, Object.hasOwn(functions, "sum")],
  "compares it": (functions) => [
    functions === functions,
    Equal.equals(functions, {}),
    Equal.equals({}, functions),
    Hash.hash(functions),
    Object.is(functions, 1)
  ],
  "compares it deeply": (functions) => assert.notDeepEqual<unknown>(functions, { sum: 1 }),
  "asks what it is": (functions) => [
    typeof functions,
    functions instanceof Object,
    Array.isArray(functions),
    Object.prototype.toString.call(functions),
    Object.getPrototypeOf(functions),
    Effect.isEffect(functions),
    Schema.isSchema(functions),
    Exit.isExit(functions),
    Cause.isCause(functions)
  ],
  "yields it": (functions) => Effect.runSync(Effect.succeed(functions)),
  "asks for every symbol": (functions) =>
    [Symbol.asyncIterator, Symbol.iterator, Symbol.isConcatSpreadable, Symbol.species, Symbol.toStringTag].map(
      (symbol) => Reflect.get(functions, symbol)
    ),
  "freezes it": (functions) => Object.isFrozen(Object.freeze(functions)),
  "fails an assertion with it": (functions) =>
    assert.throws(() => assert.deepStrictEqual<unknown>({ functions }, { functions: 1 }))
}

describe("User.functions", () => {
  it.effect.each(Object.entries(touches))("is an empty object to who %s: nothing is sent or thrown", ([, touch]) => {
    const server = Scripted.make()
    return Scripted.asUser(server, (user, sent) =>
      Effect.gen(function*() {
        const functions = User.functions(user)
        const method = functions["sum"]
        yield* Effect.promise(async () => touch(functions))
        assert.deepStrictEqual(sent(), [])
        assert.strictEqual(functions["sum"], method)
      }))
  })

  it.effect("has methods that send nothing until they run, and may be kept", () =>
    Scripted.asUser(Scripted.make(), (user, sent) =>
      Effect.gen(function*() {
        const functions = User.functions<"sum">(user)
        const { sum } = functions
        const call = sum(1, "2")
        assert.deepStrictEqual(sent(), [])
        assert.strictEqual(yield* call, 3)
        assert.strictEqual(
          yield* Effect.promise(async () => await functions).pipe(Effect.flatMap((same) => same.sum())),
          3
        )
        assert.deepStrictEqual(sent().map((one) => one.body), [
          { name: "sum", arguments: [{ $numberInt: "1" }, "2"] },
          { name: "sum", arguments: [] }
        ])
      })))

  it.effect("has names with folders and what looks like a member of other objects", () =>
    Scripted.asUser(Scripted.make(), (user, sent) =>
      Effect.gen(function*() {
        const functions = User.functions<"orders/place" | "pipe" | "length" | "map" | "name" | "_tag">(user)
        yield* functions["orders/place"]()
        yield* functions.pipe()
        yield* functions.length()
        yield* functions.map()
        yield* functions.name()
        yield* functions._tag()
        assert.deepStrictEqual(sent().map((one) => (one.body as { readonly name: string }).name), [
          "orders/place",
          "pipe",
          "length",
          "map",
          "name",
          "_tag"
        ])
      })))

  it.effect("has no methods that JavaScript asks for: these are called by name on purpose", () =>
    Scripted.asUser(Scripted.make(), (user, sent) =>
      Effect.gen(function*() {
        const functions: object = User.functions(user)
        for (
          const name of ["then", "catch", "finally", "toJSON", "inspect", "asymmetricMatch", "nodeType", "$$typeof"]
        ) {
          assert.isUndefined(Reflect.get(functions, name), name)
        }
        for (const name of ["constructor", "hasOwnProperty", "isPrototypeOf", "toLocaleString", "valueOf"]) {
          assert.strictEqual(Reflect.get(functions, name), Reflect.get(Object.prototype, name), name)
        }
        yield* User.callFunction(user, "then", [1])
        yield* User.callFunction(user, "constructor")
        assert.strictEqual(sent().length, 2)
      })))

  it("is equal for the same user, and names the user when it is printed", () => {
    const fields = { appId: "shop-abcde", baseUrl: "http://localhost:9090", id: "u1" }
    const functions = User.functions(new User.User(fields))
    const same = User.functions(new User.User(fields))
    const other = User.functions(new User.User({ ...fields, id: "u2" }))
    assert.isTrue(Equal.equals(functions, same))
    assert.strictEqual(Hash.hash(functions), Hash.hash(same))
    assert.isFalse(Equal.equals(functions, other))
    assert.strictEqual(String(functions), "User.functions(u1)")
    assert.strictEqual(inspect(functions), "User.functions(u1)")
    assert.strictEqual(JSON.stringify(functions), "{}")
  })

  it.effect("fails a call like User.callFunction", () =>
    Scripted.asUser(Scripted.make(), (user, sent) =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(User.functions<"f">(user).f(() => 1))
        assert.deepInclude(error, { _tag: "EjsonError", path: "args[0]" })
        assert.deepStrictEqual(sent(), [])
      })))
})

class OutOfStock extends Schema.TaggedError<OutOfStock>("OutOfStock")("OutOfStock", { left: Schema.Int }) {
  override get message() {
    return `only ${this.left} left`
  }
}

const order = RealmFunction.make("orders/place", {
  args: [Schema.String, Schema.Date, Schema.Int.check(Schema.isGreaterThan(0))],
  success: Schema.Struct({ total: Schema.BigInt, at: Schema.Date }),
  error: OutOfStock
})
const ping = RealmFunction.make("ping")
const then = RealmFunction.make("then")
// oxlint-disable-next-line unicorn/no-thenable -- what this would do to the methods is the matter of a test
const Shop = { order, ping, then }

describe("A call by contract", () => {
  const at = new Date(0)
  const answer = { body: { total: { $numberLong: "7" }, at: { $date: { $numberLong: "0" } } } }

  it.effect("sends arguments as its schemas encode them, and reads the result", () => {
    const server = answering(answer)
    return Scripted.asUser(server, (user, sent) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* User.callFunction(user, order, ["tea", at, 2]), { total: 7n, at })
        assert.deepStrictEqual(yield* user.pipe(User.callFunction(order, ["tea", at, 2])), { total: 7n, at })
        assert.deepStrictEqual(yield* User.functions(user, Shop).order("tea", at, 2), { total: 7n, at })
        const { order: place } = user.pipe(User.functions(Shop))
        assert.deepStrictEqual(yield* place("tea", at, 2), { total: 7n, at })
        for (const { body } of sent()) {
          assert.deepStrictEqual(body, {
            name: "orders/place",
            arguments: ["tea", { $date: { $numberLong: "0" } }, { $numberInt: "2" }]
          })
        }
        assert.strictEqual(sent().length, 4)
      }))
  })

  it.effect("answers nothing and takes nothing unless the contract says so", () =>
    Scripted.asUser(answering({ body: null }), (user, sent) =>
      Effect.gen(function*() {
        assert.isUndefined(yield* User.callFunction(user, ping))
        assert.isUndefined(yield* User.callFunction(user, ping, []))
        assert.isUndefined(yield* User.functions(user, Shop).ping())
        assert.strictEqual(sent().length, 3)
      })))

  it.effect("sends nothing when an argument does not fit, and says where", () =>
    Scripted.asUser(answering(answer), (user, sent) =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(User.callFunction(user, order, ["tea", at, 0]))
        assert.deepInclude(error, { _tag: "ContractError", part: "args", by: "Client", path: "args[2]" })
        const unsendable = RealmFunction.make("f", { args: [Schema.Struct({ list: Schema.Array(Schema.Unknown) })] })
        const other = yield* Effect.flip(User.callFunction(user, unsendable, [{ list: [1, () => 1] }]))
        assert.deepInclude(other, { _tag: "ContractError", part: "args", by: "Client", path: "args[0].list[1]" })
        assert.deepStrictEqual(sent(), [])
      })))

  it.effect("says where a result does not fit", () =>
    Scripted.asUser(
      answering({ body: { total: "7", at: { $date: { $numberLong: "0" } } } }),
      (user) =>
        Effect.gen(function*() {
          const error = yield* Effect.flip(User.callFunction(user, order, ["tea", at, 1]))
          assert.deepInclude(error, { _tag: "ContractError", part: "result", by: "Client", path: "result.total" })
        })
    ))

  it.effect("fails with the function's own error when the server says so", () =>
    Scripted.asUser(
      answering({
        status: 400,
        body: { error: `{"_tag":"OutOfStock","left":1}`, error_code: "FunctionExecutionError" }
      }),
      (user) =>
        Effect.gen(function*() {
          const left = yield* User.callFunction(user, order, ["tea", at, 1]).pipe(
            Effect.as(0),
            Effect.catchTag("OutOfStock", (error) => Effect.succeed(error.left))
          )
          assert.strictEqual(left, 1)
          // A caller without the contract survives it.
          const plain = yield* Effect.flip(User.callFunction(user, "orders/place", ["tea", at, 1]))
          assert.strictEqual(plain._tag, "FunctionError")
          assert.include(plain.message, "OutOfStock")
        })
    ))

  it.effect("keeps every other refusal what it is", () =>
    Effect.gen(function*() {
      for (
        const [status, code, tag] of [
          [404, "FunctionNotFound", "FunctionError"],
          [400, "FunctionExecutionError", "FunctionError"],
          [500, "InternalServerError", "AppError"],
          [418, "Teapot", "UnknownServiceError"]
        ] as const
      ) {
        const server = answering({ status, body: { error: "words", error_code: code } })
        const error = yield* Scripted.asUser(server, (user) =>
          Effect.flip(User.callFunction(user, order, ["tea", at, 1])))
        assert.strictEqual(error._tag, tag)
      }
    }))

  it.effect("has one method for each contract of a group and none that makes it a promise", () =>
    Scripted.asUser(Scripted.make(), (user) =>
      Effect.gen(function*() {
        const functions = yield* Effect.promise(async () => await User.functions(user, Shop))
        assert.deepStrictEqual(Object.keys(functions), ["order", "ping"])
        assert.isTrue(Object.isFrozen(functions))
      })))
})

describe("User.callServiceFunction", () => {
  it.effect("names the service beside the function, and reads the result like any call", () =>
    Scripted.asUser(Scripted.make(), (user, sent) =>
      Effect.gen(function*() {
        assert.strictEqual(yield* User.callServiceFunction(user, "mongodb-atlas", "count", [{ database: "shop" }]), 3)
        assert.strictEqual(yield* user.pipe(User.callServiceFunction("mongodb-atlas", "count", [], Schema.Int)), 3)
        const error = yield* Effect.flip(User.callServiceFunction(user, "mongodb-atlas", "count", [], Schema.String))
        assert.deepInclude(error, { _tag: "SchemaMismatchError", subject: "result of mongodb-atlas.count" })
        assert.deepStrictEqual(sent()[0]?.body, {
          name: "count",
          service: "mongodb-atlas",
          arguments: [{ database: "shop" }]
        })
      })))

  it.effect("fails with the families of services and data, which a call without a service does not", () =>
    Effect.gen(function*() {
      for (
        const [code, tag] of [
          ["ServiceNotFound", "ServiceError"],
          ["NoMatchingRuleFound", "DataError"],
          ["FunctionNotFound", "FunctionError"]
        ] as const
      ) {
        const server = answering({ status: 400, body: { error: "no", error_code: code, link: "http://log" } })
        const error = yield* Scripted.asUser(server, (user) => Effect.flip(User.callServiceFunction(user, "s", "f")))
        assert.strictEqual(error._tag, tag)
        const plain = yield* Scripted.asUser(server, (user) => Effect.flip(User.callFunction(user, "f")))
        if (tag === "FunctionError") assert.strictEqual(plain._tag, tag)
        else assert.deepInclude(plain, { _tag: "UnknownServiceError", code, status: 400, link: "http://log" })
      }
    }))

  it.effect("throws when a name is none, as the compiler would have said", () =>
    Scripted.asUser(Scripted.make(), (user) =>
      Effect.sync(() => {
        const call = User.callFunction as (user: User.User, name: unknown) => unknown
        const callService = User.callServiceFunction as (user: User.User, service: unknown, name: unknown) => unknown
        assert.throws(() => call(user, 7), Schema.SchemaError, /name/)
        assert.throws(() => callService(user, 7, "f"), Schema.SchemaError, /service/)
      })))
})
