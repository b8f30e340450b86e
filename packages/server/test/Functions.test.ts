import * as AppDefinition from "@effect-realm/server/AppDefinition"
import * as Functions from "@effect-realm/server/Functions"
import { assert, it } from "@effect/vitest"
import {
  Binary,
  BSONRegExp,
  BSONSymbol,
  Code,
  DBRef,
  Decimal128,
  Double,
  Int32,
  Long,
  MaxKey,
  MinKey,
  ObjectId,
  Timestamp,
  UUID
} from "bson"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { vi } from "vitest"
import * as FunctionServices from "../src/internal/functions/functionServices.ts"
import { call, callAs, client, patience, reason, withFunctions } from "./support/functions.ts"

vi.setConfig({ testTimeout: patience, hookTimeout: patience })

const oid = new ObjectId("65f000000000000000000002")

const everyType: { readonly [name: string]: unknown } = {
  string: "Zoë 日本 🎉",
  boolean: true,
  null: null,
  int32: new Int32(5),
  zero: new Int32(0),
  smallInt64: Long.fromNumber(5),
  wideInt64: Long.fromString("1099511627776"),
  hugeInt64: Long.fromString("9223372036854775807"),
  double: new Double(1.5),
  wholeDouble: new Double(3),
  negativeZero: new Double(-0),
  notANumber: new Double(NaN),
  infinity: new Double(-Infinity),
  hugeDouble: new Double(1e300),
  decimal: Decimal128.fromString("1.20"),
  oid,
  date: new Date(1_652_297_239_913),
  binary: new Binary(Uint8Array.of(1, 2, 255), 0x80),
  uuid: new UUID("0d5b6e4c-9b62-4b3c-8c1c-2f5e6f0a1b2c"),
  timestamp: new Timestamp({ t: 5, i: 7 }),
  regExp: new BSONRegExp("a.b", "im"),
  symbol: new BSONSymbol("s"),
  code: new Code("return 1"),
  codeWithScope: new Code("return a", { a: new Int32(1) }),
  dbRef: new DBRef("cards", oid, "shop"),
  minKey: new MinKey(),
  maxKey: new MaxKey(),
  array: [new Int32(1), Long.fromNumber(1), new Double(1), [null]],
  document: { a: new Int32(2), b: Long.fromNumber(2), c: new Double(2), nested: { d: Long.fromNumber(2) } },
  empty: {}
}

it.layer(
  withFunctions({
    identity: "exports = (value) => value",
    wrapped: "exports = async (value) => ({ value })",
    sum: "exports = (...numbers) => numbers.reduce((a, b) => a + b, 0)",
    types: `exports = () => [
    BSON.Int32(1), new BSON.Long(2), BSON.Double(3), BSON.Decimal128.fromString("4"), BSON.Binary.fromHex("ff"),
    1, 1.5, 3000000000, new Date(0), null
  ]`,
    bson: `exports = (id) => [
    id instanceof BSON.ObjectId, BSON.ObjectId(id.toHexString()).equals(id), BSON.Binary.fromBase64("aGk=").text(),
    BSON.Binary.fromHex("ff").toHex(), EJSON.stringify({ id }), EJSON.parse('{"$numberInt":"7"}')
  ]`,
    kinds:
      "exports = (array, document) => [array instanceof Array, document instanceof Object, document.when instanceof Date]",
    nothing: "exports = function() {}",
    promises:
      "exports = () => ({ a: Promise.resolve([Promise.resolve(1)]), b: [Promise.resolve({ c: Promise.resolve('x') })] })",
    timers: `exports = () => new Promise((resolve) => {
    const order = []
    setImmediate(() => order.push("immediate"))
    const interval = setInterval(() => { order.push("interval"); clearInterval(interval); resolve(order) }, 1)
  })`
  }),
  { excludeTestServices: true }
)("values", (it) => {
  it.effect("every BSON type comes back from a function as it went in", () =>
    Effect.gen(function*() {
      for (const [name, value] of Object.entries(everyType)) {
        assert.deepStrictEqual(yield* call("identity", value), value, name)
        assert.deepStrictEqual(yield* call("wrapped", value), { value }, `${name} in a document`)
      }
      assert.deepStrictEqual(yield* call("identity", everyType), everyType)
    }))

  it.effect("a sum has the type of its numbers", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* call("sum", 1, 2, 3), new Int32(6))
      assert.deepStrictEqual(
        yield* call("sum", Long.fromNumber(1), Long.fromNumber(2), Long.fromNumber(3)),
        Long.fromNumber(6)
      )
      assert.deepStrictEqual(yield* call("sum", 2 ** 31 - 1, 1), Long.fromNumber(2 ** 31))
      assert.deepStrictEqual(yield* call("sum", 0.5, 1), new Double(1.5))
    }))

  it.effect("numbers that a function makes go by their size", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* call("types"), [
        new Int32(1),
        new Long(2),
        new Double(3),
        Decimal128.fromString("4"),
        new Binary(Uint8Array.of(255)),
        new Int32(1),
        new Double(1.5),
        Long.fromNumber(3_000_000_000),
        new Date(0),
        null
      ])
    }))

  it.effect("BSON classes are called without new and know each other's values", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* call("bson", oid), [
        true,
        true,
        "hi",
        "ff",
        `{"id":{"$oid":"${oid.toHexString()}"}}`,
        new Int32(7)
      ])
    }))

  it.effect("arguments are made of the function's own arrays, objects and dates", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* call("kinds", [], { when: new Date(0) }), [true, true, true])
    }))

  it.effect("a function that returns nothing answers undefined", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* call("nothing"), undefined)
    }))

  it.effect("promises are awaited wherever they are in the result", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* call("promises"), { a: [new Int32(1)], b: [{ c: "x" }] })
    }))

  it.effect("timers run while the function is awaited", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* call("timers"), ["immediate", "interval"])
    }))
})

it.layer(
  withFunctions(
    {
      whoami: "exports = () => context.user",
      system: "exports = () => [context.user.id ?? null, context.runningAsSystem()]",
      lifted: { source: "exports = () => context.runningAsSystem()", runAsSystem: true },
      request: "exports = () => context.request",
      settings: `exports = () => [
      context.values.get("prices"), context.values.get("apiKey"), context.values.get("none") ?? null,
      context.environment, context.app.clientAppId, context.app.deployment
    ]`,
      outer: "exports = async (n) => ({ inner: await context.functions.execute('hidden', n), user: context.user.id })",
      hidden: { source: "exports = (n) => [n + 1, context.user.id, context.runningAsSystem()]", private: true },
      unknown: "exports = () => context.functions.execute('absent')",
      deep: "exports = () => context.functions.execute('deep')",
      gold: { source: "exports = () => 'gold'", canEvaluate: { "%%user.custom_data.tier": "gold" } },
      silver: {
        source: "exports = () => 'silver'",
        canEvaluate: {
          "%or": [{ "%%user.custom_data.tier": { "%in": ["silver"] } }, { "%%user.data.vip": { "%exists": true } }]
        }
      }
    },
    { maxDepth: 10 },
    {
      values: [{ name: "prices", value: { tea: 4 } }, { name: "apiKey", fromSecret: "key" }],
      secrets: { key: Redacted.make("k3y") },
      environment: { tag: "qa", values: { base: "qa.example" } }
    }
  ),
  { excludeTestServices: true }
)("context", (it) => {
  it.effect("context.user is the caller, with both spellings of the provider", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* call("whoami"), {
        id: "65f000000000000000000001",
        type: "normal",
        data: { email: "ada@shop.example" },
        custom_data: { points: Long.fromNumber(7), tier: "gold" },
        identities: [{
          id: "i1",
          provider_type: "local-userpass",
          providerType: "local-userpass",
          data: { email: "ada@shop.example" }
        }]
      })
    }))

  it.effect("without a user a function runs as the system", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* callAs(Functions.server, "system"), [null, true])
      assert.deepStrictEqual(yield* call("system"), ["65f000000000000000000001", false])
      assert.strictEqual(yield* call("lifted"), true)
    }))

  it.effect("context.request has the headers without the credentials", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* call("request"), {
        remoteIPAddress: "192.0.2.1",
        requestHeaders: { "User-Agent": ["till/1"] },
        rawQueryString: "",
        httpUserAgent: "till/1"
      })
    }))

  it.effect("values, secrets behind values, environment and app are there", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* call("settings"), [
        { tea: new Int32(4) },
        "k3y",
        null,
        { tag: "qa", values: { base: "qa.example" } },
        "shop-abcde",
        { model: "GLOBAL", providerRegion: "aws-us-east-1" }
      ])
    }))

  it.effect("functions call each other, private ones too, as the same user", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* call("outer", 1), {
        inner: [new Int32(2), "65f000000000000000000001", false],
        user: "65f000000000000000000001"
      })
    }))

  it.effect("functions that call each other without end are stopped by a bound", () =>
    Effect.gen(function*() {
      const { _tag, message } = yield* reason(call("deep"))
      assert.strictEqual(_tag, "FunctionExecutionError")
      assert.match(message, /more than 10 deep/)
    }))

  it.effect("an unknown function is not found, from a client and from a function", () =>
    Effect.gen(function*() {
      const fromClient = yield* reason(call("absent"))
      assert.deepStrictEqual([fromClient._tag, fromClient.message], [
        "FunctionNotFound",
        "function not found: 'absent'"
      ])
      const fromFunction = yield* reason(call("unknown"))
      assert.deepStrictEqual(
        [fromFunction._tag, fromFunction.message],
        ["FunctionExecutionError", "Error: function not found: 'absent'"]
      )
    }))

  it.effect("a client may not call a private function, the server may", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* reason(call("hidden", 1)))._tag, "NotCallable")
      assert.deepStrictEqual(yield* callAs({ ...client, origin: "server" }, "hidden", 1), [
        new Int32(2),
        "65f000000000000000000001",
        false
      ])
    }))

  it.effect("can_evaluate decides over clients and not over the server", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* call("gold"), "gold")
      const refused = yield* reason(call("silver"))
      assert.deepStrictEqual(
        [refused._tag, refused.message],
        ["FunctionExecutionError", "rule not matched for function \"silver\""]
      )
      assert.strictEqual(yield* callAs(Functions.server, "silver"), "silver")
    }))
})

it.layer(
  withFunctions(
    {
      error: "exports = () => { throw new TypeError('no tea') }",
      rejected: "exports = async () => { await null; throw new RangeError('no cake') }",
      text: "exports = () => { throw 'just text' }",
      object: "exports = () => { throw { name: 'Refused', message: 'no', code: 7 } }",
      nothing: "exports = () => { throw undefined }",
      hostile:
        "exports = () => { throw new Proxy({}, { get() { throw new Error('trap') }, ownKeys() { throw new Error('trap') } }) }",
      unknownName: "exports = () => unknown",
      member: "exports = () => context.absent.post",
      cycle: "exports = () => { const a = {}; a.a = a; a.b = a; return a }",
      cycleWithPromise: "exports = () => { const a = { p: Promise.resolve(1) }; a.a = a; return [a, a] }",
      noForm: "exports = () => ({ a: [() => 1] })",
      getter: "exports = () => ({ get a() { throw new Error('getter') } })",
      large: "exports = (n) => 'x'.repeat(n)",
      recursion: "exports = function f() { return f() + 1 }",
      noExports: "const f = () => 1",
      timer: "exports = () => new Promise(() => setTimeout(() => { throw new Error('in a timer') }, 1))",
      dropped: "exports = () => { Promise.reject(new Error('nobody looks')); return 'fine' }",
      deep: "exports = () => { let a = []; for (let i = 0; i < 100000; i++) a = [a]; return a }",
      ok: "exports = () => 'ok'"
    },
    { maxResult: 1_000_000 }
  ),
  { excludeTestServices: true }
)("failures", (it) => {
  const texts: ReadonlyArray<readonly [name: string, message: string | RegExp]> = [
    ["error", "TypeError: no tea"],
    ["rejected", "RangeError: no cake"],
    ["text", "just text"],
    ["object", "{\"name\":\"Refused\",\"message\":\"no\",\"code\":7}"],
    ["nothing", "Error: the function threw undefined"],
    ["hostile", "Error: the function threw something that cannot be shown"],
    ["unknownName", "ReferenceError: 'unknown' is not defined"],
    ["member", "TypeError: Cannot access member 'post' of undefined"],
    ["cycle", /contains itself/],
    ["cycleWithPromise", /contains itself/],
    ["noForm", /a\[0\].*a function cannot be sent/],
    ["getter", "Error: getter"],
    ["recursion", "RangeError: Maximum call stack size exceeded"],
    ["noExports", /functions\/noExports.js does not assign a function to exports/],
    ["timer", "Error: in a timer"],
    ["deep", /levels of nesting/]
  ]

  it.effect("whatever is thrown or returned becomes a FunctionExecutionError with words", () =>
    Effect.gen(function*() {
      for (const [name, expected] of texts) {
        const { _tag, message } = yield* reason(call(name))
        assert.strictEqual(_tag, "FunctionExecutionError", name)
        if (typeof expected === "string") assert.strictEqual(message, expected, name)
        else assert.match(message, expected, name)
      }
      assert.strictEqual(yield* call("ok"), "ok")
    }))

  it.effect("a result over the limit is refused and harms nothing else", () =>
    Effect.gen(function*() {
      assert.match((yield* reason(call("large", 2_000_000))).message, /too large: 2000002 characters/)
      assert.strictEqual((yield* call("large", 900_000) as Effect.Effect<string, never, never>).length, 900_000)
    }))

  it.effect("a promise that a function drops does not spoil its answer", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* call("dropped"), "fine")
    }))

  it.effect("arguments without an Extended JSON form are refused", () =>
    Effect.gen(function*() {
      assert.match((yield* reason(call("ok", () => 1))).message, /arguments\[0\]/)
    }))
})

const escapes: { readonly [name: string]: string } = {
  "constructor of this": "this.constructor.constructor('return process')()",
  "constructor of globalThis": "globalThis.constructor.constructor('return process')()",
  "eval": "(0, eval)('process')",
  "Function": "new Function('return process')()",
  "constructor of a host class": "Buffer.constructor('return process')()",
  "constructor of a host function": "Buffer.from.constructor('return process')()",
  "constructor of context.functions": "context.functions.execute.constructor('return process')()",
  "constructor of console": "console.log.constructor('return process')()",
  "constructor of context.http": "context.http.get.constructor('return process')()",
  "constructor of what a service answers":
    "context.http.get().then((answer) => answer.constructor.constructor('return process')())",
  "constructor of what a service is asked by": "context.http.get().constructor.constructor('return process')()",
  "constructor of utils": "utils.crypto.hash.constructor('return process')()",
  "constructor of an error of utils": `(() => {
    try { utils.crypto.hash("x") } catch (error) { return error.constructor.constructor("return process")() }
  })()`,
  "constructor of an error of EJSON": `(() => {
    try { EJSON.parse("{") } catch (error) { return error.constructor.constructor("return process")() }
  })()`,
  "a binary that is none": `(() => {
    let caller
    const binary = Object.create(BSON.Binary.prototype, { value: { value: function f() { caller = f.caller; return "" } } })
    try { utils.crypto.hash("md5", binary) } catch {}
    return caller ?? nothing
  })()`,
  "constructor of require": "require.constructor('return process')()",
  "constructor of an argument": "args[0].constructor.constructor('return process')()",
  "constructor of a BSON value": "BSON.ObjectId().constructor.constructor('return process')()",
  "constructor of a BSON class": "BSON.ObjectId.constructor('return process')()",
  "constructor of a module": "require('util').inspect.constructor('return process')()",
  "constructor of an async host function":
    "Object.getPrototypeOf(require('stream').promises.finished).constructor('return process')()",
  "constructor of an own async function": "(async () => {}).constructor('return process')()",
  "constructor of a host error": `(() => {
    try { new BSON.ObjectId("x") } catch (error) { return error.constructor.constructor("return process")() }
  })()`,
  "constructor of a host stack overflow": `(() => {
    const f = () => { try { return f() } catch (error) { return Buffer.alloc(-1) } }
    try { f() } catch (error) { return error.constructor.constructor("return process")() }
  })()`,
  "error of a dynamic import":
    "import('node:fs').then(() => 'imported', (error) => error.constructor.constructor('return process')())",
  "call sites": `(() => {
    Error.prepareStackTrace = (_, sites) => sites
    const sites = new Error().stack
    return Array.isArray(sites) ? sites.map((site) => site.getThis()?.process).find(Boolean) ?? nothing : nothing
  })()`,
  "call sites of the host": `(() => {
    const Host = (() => { try { new BSON.ObjectId("x") } catch (error) { return Object.getPrototypeOf(error.constructor) } })()
    Host.prepareStackTrace = (_, sites) => sites.map((site) => site.getThis()?.process ?? site.getFunction()?.constructor)
    try { new BSON.ObjectId("x") } catch (error) { return error.stack.find(Boolean)("return process")() }
  })()`,
  "a proxy among the arguments of the log": `(() => {
    let host
    console.log(new Proxy({}, { get(target, key, receiver) { return undefined } }), { [Symbol.for("nodejs.util.inspect.custom")](depth, options, inspect) { host = inspect; return "" } })
    return host.constructor("return process")()
  })()`,
  "call sites of the sandbox itself": `(() => {
    Error.prototype // so that built-ins are the function's own
    Error.prepareStackTrace = (_, sites) => sites.filter((site) => site.getFileName() === "effect-realm:sandbox")
    return new Error().stack.map((site) => site.getFunction() ?? site.getThis()).find(Boolean) ?? nothing
  })()`,
  "a method that Node.js calls on the process": `(async () => {
    const events = require("events").prototype
    const { emit } = events
    let host
    events.emit = function(...args) { host ??= this.pid && this; return emit.apply(this, args) }
    Promise.reject(1)
    await new Promise((resolve) => setTimeout(resolve, 20))
    return host ?? nothing
  })()`,
  "a method that Node.js calls on the port":
    "Object.assign(require(\"util\").transferableAbortController().signal.__proto__.__proto__, { dispatchEvent: 1 })",
  "a method that the worker calls on its maps":
    "Object.assign(require(\"util\").getSystemErrorMap().__proto__, { get: 1 })",
  "a method that the worker calls on its texts":
    "Object.assign(new (require(\"util\").getSystemErrorMap().__proto__.__proto__.constructor)(\"\").__proto__, { at: 1 })",
  "a module within a module": "Object.assign(require(\"path\").posix, { join: 1 })",
  "a class of a module": "Object.assign(require(\"stream\").Readable, { from: 1 })",
  "a static method of a BSON class": "Object.assign(BSON.ObjectId().constructor, { generate: 1 })",
  "process": "process",
  "global": "global.process.pid",
  "the worker's port": "parentPort",
  "WebAssembly": "WebAssembly.Module",
  "SharedArrayBuffer": "SharedArrayBuffer"
}

it.layer(
  withFunctions({
    ...Object.fromEntries(
      Object.entries(escapes).map(([, source], index) => [
        `escape${index}`,
        `exports = async (...args) => { const found = await ${source}; return typeof found === "undefined" ? "nothing" : "escaped: " + typeof found }`
      ])
    ),
    require: "exports = (name) => typeof require(name)",
    hash: "exports = () => require('crypto').createHash('sha1').update('a').digest('hex')",
    engine: "exports = () => typeof require('crypto').setEngine",
    ok: "exports = () => 'ok'"
  }).pipe(Layer.provide(Layer.succeedContext(FunctionServices.context({
    name: "http",
    kind: "http",
    handle: () => Effect.succeed({ body: null })
  })))),
  { excludeTestServices: true }
)("isolation", (it) => {
  it.effect("no path leads from a function to the worker's process", () =>
    Effect.gen(function*() {
      for (const [index, name] of Object.keys(escapes).entries()) {
        const { message } = yield* reason(call(`escape${index}`, {}))
        assert.notMatch(message, /escaped/, name)
      }
      assert.strictEqual(yield* call("ok"), "ok")
    }))

  it.effect("require knows harmless modules and names them when asked for another", () =>
    Effect.gen(function*() {
      for (
        const name of [
          "assert",
          "buffer",
          "crypto",
          "events",
          "node:path",
          "querystring",
          "stream",
          "url",
          "util",
          "zlib"
        ]
      ) {
        assert.include(["object", "function"], yield* call("require", name), name)
      }
      for (
        const name of [
          "fs",
          "node:fs",
          "child_process",
          "worker_threads",
          "vm",
          "process",
          "module",
          "net",
          "http",
          "./sum"
        ]
      ) {
        assert.match((yield* reason(call("require", name))).message, /Cannot find module .* may require assert, buffer/)
      }
      assert.strictEqual(yield* call("hash"), "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8")
      assert.strictEqual(yield* call("engine"), "undefined")
    }))
})

it.layer(
  withFunctions(
    {
      counter: "let n = 0; exports = () => ++n",
      implicit: "exports = () => { const before = typeof left; left = 1; return before }",
      onGlobal: "exports = () => { const before = typeof globalThis.left; globalThis.left = 1; return before }",
      redefined:
        "exports = () => { const before = typeof globalThis.left; Object.defineProperty(globalThis, 'left', { value: 1 }); return before }",
      polyfill:
        "exports = () => { const before = typeof [].second; Array.prototype.second = function() { return this[1] }; return [before, [1, 2].second()] }",
      overwrite:
        "exports = () => { const P = Array['proto' + 'type']; try { P.map = () => 'mine' } catch {} return [1].map((n) => n) }",
      named:
        "'use strict'; class Refused extends Error { constructor() { super('no'); this.name = 'Refused' } toString() { return 'x' } }\nexports = () => { const o = {}; o.toString = () => 'own'; return [new Refused().name, String(o)] }",
      shadowed: "const console = 1, context = 2; exports = () => [console, context]",
      loops: "exports = () => { let sum = 0; for (i = 0; i < 3; i++) sum += i; return sum }",
      values: "exports = () => { const v = context.values.get('list'); v.push(1); return v.length }",
      late:
        "exports = () => { Promise.resolve().then(() => Promise.resolve()).then(() => setTimeout(() => { globalThis.late = 1 }, 0)); return typeof late }"
    },
    {},
    { values: [{ name: "list", value: [] }] }
  ),
  { excludeTestServices: true }
)("shared state", (it) => {
  it.effect("nothing that one call leaves behind is seen by the next", () =>
    Effect.gen(function*() {
      for (let round = 0; round < 3; round++) {
        assert.deepStrictEqual(yield* call("counter"), new Int32(1))
        assert.strictEqual(yield* call("implicit"), "undefined")
        assert.strictEqual(yield* call("onGlobal"), "undefined")
        assert.strictEqual(yield* call("redefined"), "undefined")
        assert.strictEqual(yield* call("late"), "undefined")
        assert.deepStrictEqual(yield* call("polyfill"), ["undefined", new Int32(2)])
        assert.deepStrictEqual(yield* call("overwrite"), [new Int32(1)])
        assert.deepStrictEqual(yield* call("values"), new Int32(1))
      }
    }))

  it.effect("frozen built-ins do not hinder ordinary code", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* call("named"), ["Refused", "own"])
      assert.deepStrictEqual(yield* call("shadowed"), [new Int32(1), new Int32(2)])
      assert.deepStrictEqual(yield* call("loops"), new Int32(3))
    }))
})

it("options of the wrong type are refused with the field named", () => {
  const shop = AppDefinition.make({ appId: "shop-abcde" })
  assert.throws(() => Functions.layer(shop, { workers: 0 }), /workers/)
  assert.throws(() => Functions.layer(shop, { timeLimit: "soon" as never }), /timeLimit/)
  assert.throws(() => Functions.layer(shop, { memoryLimit: "big" as never }), /memoryLimit/)
  assert.isTrue(Layer.isLayer(Functions.layer(shop)))
})
