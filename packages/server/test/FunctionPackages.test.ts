import type * as Functions from "@effect-realm/server/Functions"
import { assert, it } from "@effect/vitest"
import { Int32 } from "bson"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { vi } from "vitest"
import { call, patience, reason, type Sources, withFunctions } from "./support/functions.ts"

vi.setConfig({ testTimeout: patience, hookTimeout: patience })

/** A folder of packages, removed with the scope. */
const folderOf = (files: { readonly [path: string]: string | object }) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const folder = mkdtempSync(join(tmpdir(), "packages-"))
      for (const [path, content] of Object.entries(files)) {
        const file = join(folder, "node_modules", path)
        mkdirSync(dirname(file), { recursive: true })
        writeFileSync(file, typeof content === "string" ? content : JSON.stringify(content))
      }
      return folder
    }),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
  )

const withPackages = (
  files: { readonly [path: string]: string | object },
  names: ReadonlyArray<string>,
  sources: Sources
): Layer.Layer<Functions.Functions> =>
  Layer.unwrap(Effect.map(folderOf(files), (folder) => withFunctions(sources, {}, { packages: { folder, names } })))

const files = {
  "left/package.json": { name: "left", main: "lib/left.js", dependencies: { right: "1", counter: "1" } },
  "left/lib/left.js": `#!/usr/bin/env node
    const right = require("right")
    const { unit } = require("./unit")
    const data = require("../data.json")
    module.exports = (text) => [unit(text), right.pad(text), data.list, __filename, __dirname]`,
  "left/lib/unit.js": "exports.unit = (text) => `<${text}>`",
  "left/data.json": { list: [1, 2] },
  "right/package.json": {
    name: "right",
    exports: { ".": { import: "./right.mjs", require: "./right.cjs" }, "./sub": "./sub.cjs" }
  },
  "right/right.cjs": "exports.pad = (text) => ` ${text}`",
  "right/sub.cjs": "module.exports = 'sub'",
  "right/hidden.cjs": "module.exports = 'hidden'",
  "right/right.mjs": "export const pad = 1",
  "@scope/named/package.json": { name: "@scope/named" },
  "@scope/named/index.js": "module.exports = class Named { get name() { return 'scoped' } }",
  "counter/package.json": { name: "counter" },
  "counter/index.js": "let n = 0; module.exports = () => ++n",
  "polyfill/package.json": { name: "polyfill" },
  "polyfill/index.js":
    "Array.prototype.second = function() { return this[1] }; global.mark = 1; module.exports = class extends Error { constructor() { super('x'); this.name = 'Own' } }",
  "cycle/package.json": { name: "cycle" },
  "cycle/index.js": "exports.early = 1; exports.other = require('./other')",
  "cycle/other.js": "module.exports = require('./index').early + 1",
  "needs/package.json": { name: "needs", dependencies: { absent: "1" } },
  "needs/index.js": "require('node:fs')",
  "needs/tries.js": "try { require('fs') } catch (error) { module.exports = [error instanceof Error, error.code] }",
  "needs/unnamed.js": "require('counter')",
  "needs/absent.js": "require('absent')",
  "needs/away.js": "require('../counter/index.js')",
  "needs/none.js": "require('./none-such')",
  "needs/throws.js": "throw new TypeError('at load')",
  "needs/syntax.js": "const = 1",
  "needs/process.js":
    "module.exports = [process.env.NODE_ENV === undefined, typeof process.version, typeof process.exit, typeof process.mainModule, typeof process.binding]",
  "esm/package.json": { name: "esm", type: "module" },
  "esm/index.js": "export default 1",
  "esm-only/package.json": { name: "esm-only", exports: { import: "./index.mjs" } },
  "esm-only/index.mjs": "export default 1",
  "dual/package.json": { name: "dual", type: "module", main: "cjs/index.js" },
  "dual/cjs/package.json": { type: "commonjs" },
  "dual/cjs/index.js": "module.exports = 'commonjs'",
  "native/package.json": { name: "native", main: "build.node" },
  "native/build.node": "",
  "escape/package.json": { name: "escape" },
  "escape/index.js":
    "module.exports = [require, module, process, process.nextTick, console.log, setTimeout].map((value) => { try { return typeof value.constructor.constructor('return process')() } catch (error) { return error.name } })",
  "later/package.json": { name: "later" },
  "later/index.js":
    "module.exports = () => new Promise((resolve) => process.nextTick((a) => require('timers').setTimeout(() => resolve(a), 1), 'later'))"
}

const names = [
  "left",
  "right",
  "@scope/named",
  "counter",
  "polyfill",
  "cycle",
  "needs",
  "esm",
  "esm-only",
  "dual",
  "native",
  "escape",
  "later",
  "gone"
]

const sources: Sources = {
  left: "exports = (text) => require('left')(text)",
  sub: "exports = () => require('right/sub')",
  scoped: "exports = () => { const Named = require('@scope/named'); return new Named().name }",
  counter: "exports = () => { const next = require('counter'); next(); return [next(), require('counter')()] }",
  polyfill:
    "exports = () => { const before = typeof [].second; const Own = require('polyfill'); return [before, [1, 2].second(), new Own().name] }",
  plain: "exports = () => [typeof [].second, typeof mark]",
  outer: "exports = () => context.functions.execute('counter')",
  requires: "exports = (name) => require(name)",
  timer: "exports = () => require('later')()",
  ok: "exports = () => 'ok'"
}

it.layer(withPackages(files, names, sources), { excludeTestServices: true })("packages", (it) => {
  it.effect("a package is required with its own modules, its data and what it depends on", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* call("left", "tea"), [
        "<tea>",
        " tea",
        [new Int32(1), new Int32(2)],
        "/functions/node_modules/left/lib/left.js",
        "/functions/node_modules/left/lib"
      ])
      assert.strictEqual(yield* call("sub"), "sub")
      assert.strictEqual(yield* call("scoped"), "scoped")
      assert.strictEqual(yield* call("requires", "dual"), "commonjs")
      assert.deepStrictEqual(yield* call("requires", "cycle"), { early: new Int32(1), other: new Int32(2) })
      assert.strictEqual(yield* call("timer"), "later")
    }))

  it.effect("what a package remembers is of one call, and of the whole call", () =>
    Effect.gen(function*() {
      for (let round = 0; round < 3; round++) {
        assert.deepStrictEqual(yield* call("counter"), [new Int32(2), new Int32(3)])
        assert.deepStrictEqual(yield* call("outer"), [new Int32(2), new Int32(3)])
      }
    }))

  it.effect("a package may change built-ins, and nobody else sees it", () =>
    Effect.gen(function*() {
      for (let round = 0; round < 3; round++) {
        assert.deepStrictEqual(yield* call("polyfill"), ["undefined", new Int32(2), "Own"])
        assert.deepStrictEqual(yield* call("plain"), ["undefined", "undefined"])
      }
    }))

  it.effect("what cannot be required is an error that names it, and no path of the server", () =>
    Effect.gen(function*() {
      const failing: ReadonlyArray<readonly [specifier: string, words: RegExp]> = [
        ["needs", /the package "needs" needs the module 'node:fs', which functions may not use/],
        ["needs/unnamed.js", /the package "needs" requires 'counter', which its package.json does not name/],
        ["needs/absent.js", /Cannot find module 'absent', which the package "needs" needs: run npm install/],
        ["needs/away.js", /Cannot find module '..\/counter\/index.js' in the package "needs"/],
        ["needs/none.js", /Cannot find module '.\/none-such' in the package "needs"/],
        ["needs/throws.js", /TypeError: at load/],
        ["needs/syntax.js", /SyntaxError/],
        ["esm", /the package "esm" is an ES module/],
        ["esm-only", /the package "esm-only" has no 'esm-only' for require: it may be an ES module/],
        ["native", /the package "native" is native code/],
        ["gone", /Cannot find module 'gone': if the package "gone" is not there, run npm install/],
        ["right/hidden.cjs", /has no 'right\/hidden.cjs' for require/],
        ["lodash", /Cannot find module 'lodash': a function may require assert, .* and the packages that/],
        ["fs", /Cannot find module 'fs': a function may require assert/],
        ["./left", /Cannot find module '.\/left'/],
        ["../../package.json", /Cannot find module/],
        ["/etc/passwd", /Cannot find module/],
        ["left/../../../package.json", /Cannot find module/],
        ["file:///etc/passwd", /Cannot find module/]
      ]
      for (const [specifier, words] of failing) {
        const { _tag, message } = yield* reason(call("requires", specifier))
        assert.strictEqual(_tag, "FunctionExecutionError")
        assert.match(message, words, specifier)
        assert.notInclude(message, tmpdir(), specifier)
      }
      assert.strictEqual(yield* call("ok"), "ok")
    }))

  it.effect("a package that tries a module it can do without finds an error of its own", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* call("requires", "needs/tries.js"), [true, "MODULE_NOT_FOUND"])
    }))

  it.effect("a package finds a harmless process and no way out of the sandbox", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* call("requires", "needs/process.js"), [
        true,
        "string",
        "undefined",
        "undefined",
        "undefined"
      ])
      for (const kind of (yield* call("requires", "escape")) as ReadonlyArray<string>) {
        assert.include(["EvalError", "ReferenceError"], kind)
      }
    }))
})

it.effect("what lies outside of the folder is not found, by a link neither", () =>
  Effect.gen(function*() {
    const outside = yield* folderOf({
      "away/package.json": { name: "away" },
      "away/index.js": "module.exports = 'away'"
    })
    const folder = yield* folderOf({
      "near/package.json": { name: "near" },
      "near/index.js": "module.exports = 'near'"
    })
    symlinkSync(join(outside, "node_modules", "away"), join(folder, "node_modules", "away"))
    const inner = join(folder, "node_modules", "near")
    yield* Effect.gen(function*() {
      assert.strictEqual(yield* call("requires", "near"), "near")
      assert.match((yield* reason(call("requires", "away"))).message, /Cannot find module 'away'/)
    }).pipe(Effect.provide(withFunctions(sources, {}, { packages: { folder, names: ["near", "away"] } })))
    // Node.js would find it in the folder above.
    yield* Effect.gen(function*() {
      assert.match((yield* reason(call("requires", "near"))).message, /Cannot find module 'near'/)
    }).pipe(Effect.provide(withFunctions(sources, {}, { packages: { folder: inner, names: ["near"] } })))
  }))

it.effect("packages from npm run as they are", () =>
  Effect.gen(function*() {
    assert.deepStrictEqual(yield* call("mingo"), [{ n: new Int32(3) }])
    assert.deepStrictEqual(yield* call("jsonc"), { a: new Int32(1) })
    assert.strictEqual(yield* call("bson"), "65f000000000000000000002")
  }).pipe(Effect.provide(withFunctions(
    {
      mingo:
        "exports = () => { const { Query } = require('mingo'); return new Query({ n: { $gt: 2 } }).find([{ n: 1 }, { n: 3 }]).all() }",
      jsonc: "exports = () => require('jsonc-parser').parse('{ \"a\": 1 // one\\n}')",
      bson: "exports = () => new (require('bson').ObjectId)('65f000000000000000000002').toHexString()"
    },
    {},
    { packages: { folder: join(import.meta.dirname, "../../.."), names: ["mingo", "jsonc-parser", "bson"] } }
  ))))
