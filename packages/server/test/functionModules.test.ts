import { assert, it } from "@effect/vitest"
import { Int32 } from "bson"
import * as Effect from "effect/Effect"
import { vi } from "vitest"
import { call, patience, reason, withFunctions } from "./support/functions.ts"

vi.setConfig({ testTimeout: patience, hookTimeout: patience })

/** What begins work and hears of its end by `done`: each takes longer than one turn of the event loop. */
const works: { readonly [name: string]: string } = {
  "crypto.pbkdf2": "crypto.pbkdf2('a', 'b', 300000, 64, 'sha512', done)",
  "crypto.scrypt": "crypto.scrypt('a', 'b', 64, done)",
  "crypto.generateKeyPair": "crypto.generateKeyPair('rsa', { modulusLength: 2048 }, done)",
  "crypto.generatePrime": "crypto.generatePrime(1024, done)",
  "crypto.randomBytes": "crypto.randomBytes(50000000, done)",
  "crypto.sign":
    "crypto.sign('sha256', Buffer.alloc(20000000), crypto.generateKeyPairSync('ed25519').privateKey, done)",
  "zlib.gzip": "zlib.gzip(Buffer.alloc(20000000), done)",
  "zlib.createBrotliCompress": "zlib.createBrotliCompress().on('data', done).end(crypto.randomBytes(100000))"
}

it.layer(
  withFunctions({
    ...Object.fromEntries(
      Object.entries(works).map(([name, work]) => [
        name.replace(".", "_"),
        `exports = () => new Promise((resolve) => {
          const [crypto, zlib] = [require("crypto"), require("zlib")]
          const order = []
          const tell = (what) => () => { if (order.push(what) === 2) resolve(order) }
          const done = tell("${name}")
          try { ${work} } catch (error) { if (!/digest/.test(error.message)) throw error; done() }
          setImmediate(tell("the next turn"))
        })`
      ])
    ),
    there: `exports = (module, ...names) => names.filter((name) => require(module)[name] !== undefined)`,
    keys: `exports = async () => {
      const { promisify } = require("util")
      const crypto = require("crypto")
      const first = await promisify(crypto.generateKeyPair)("ed25519")
      const second = await new Promise((resolve, reject) =>
        crypto.generateKeyPair("ed25519", {}, (error, publicKey, privateKey) => error ? reject(error) : resolve({ publicKey, privateKey })))
      const signature = crypto.sign(null, Buffer.from("tea"), first.privateKey)
      return [first, second].map(({ publicKey }) => crypto.verify(null, Buffer.from("tea"), publicKey, signature))
    }`,
    hash: `exports = async () => {
      const { pbkdf2, pbkdf2Sync, randomInt } = require("crypto")
      const hash = await require("util").promisify(pbkdf2)("a", "b", 2, 8, "sha1")
      return [hash.equals(pbkdf2Sync("a", "b", 2, 8, "sha1")), await require("util").promisify(randomInt)(1)]
    }`,
    squeezed: `exports = async (name, inverse) => {
      const zlib = require("zlib")
      const { pipeline, Readable } = require("stream")
      const text = "coffee ".repeat(1000)
      const parts = []
      await new Promise((resolve, reject) =>
        pipeline(Readable.from([text.slice(0, 10), text.slice(10)]), zlib["create" + name](), zlib["create" + inverse]()
          .on("data", (part) => parts.push(part)), (error) => error ? reject(error) : resolve()))
      return Buffer.concat(parts).toString() === text
    }`,
    piped: `exports = async () => {
      const { pipeline, Readable, Transform } = require("stream")
      const parts = []
      const transform = (part, encoding, done) => { parts.push(part.toString()); done() }
      await require("util").promisify(pipeline)(Readable.from(["tea", "milk"]), new Transform({ transform }).resume())
      return parts
    }`,
    broken: `exports = () => new Promise((resolve) => {
      require("zlib").createGunzip().on("error", ({ code }) => resolve(code)).end("no gzip")
    })`,
    refused: `exports = (module, name, ...args) => {
      try { require(module)[name](...args.map((arg) => typeof arg === "string" && /^\\d+n$/.test(arg) ? BigInt(arg.slice(0, -1)) : arg)) }
      catch (error) { return error.name + ": " + error.message }
    }`,
    changing: `exports = () => {
      let reads = 0
      const options = { get maxmem() { return reads++ === 0 ? 2 ** 26 : 2 ** 40 }, N: 2 ** 20 }
      try { require("crypto").scryptSync("a", "b", 8, options) } catch (error) { return error.code }
    }`,
    wrong: "exports = () => require('crypto').pbkdf2('a', 'b', -1, 8, 'sha1', () => {})",
    emitter: `exports = () => {
      const EventEmitter = require("events")
      class Loud extends EventEmitter {}
      const own = Object.assign(new Loud(), { emit: (name) => name + "!" })
      const heard = []
      new Loud().on("tea", (kind) => heard.push(kind)).emit("tea", "green")
      return [own.emit("tea"), heard, new BSON.ObjectId().equals(new BSON.ObjectId())]
    }`
  }),
  { excludeTestServices: true }
)("modules of Node.js", (it) => {
  it.effect("what Node.js does in threads that the server needs as well is done in the function's own", () =>
    Effect.gen(function*() {
      for (const name of Object.keys(works)) {
        assert.deepStrictEqual(yield* call(name.replace(".", "_")), [name, "the next turn"])
      }
      assert.deepStrictEqual(yield* call("there", "crypto", "subtle", "webcrypto", "randomUUID"), ["randomUUID"])
      assert.deepStrictEqual(yield* call("there", "zlib", "Gzip", "BrotliCompress", "gzipSync"), ["gzipSync"])
    }))

  it.effect("and answers what it always did: to a callback, a promise, and a stream", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* call("keys"), [true, false])
      assert.deepStrictEqual(yield* call("hash"), [true, new Int32(0)])
      for (
        const [name, inverse] of [
          ["Gzip", "Gunzip"],
          ["Deflate", "Unzip"],
          ["DeflateRaw", "InflateRaw"],
          ["BrotliCompress", "BrotliDecompress"],
          ["ZstdCompress", "ZstdDecompress"]
        ]
      ) assert.isTrue(yield* call("squeezed", name, inverse), name)
      assert.deepStrictEqual(yield* call("piped"), ["tea", "milk"])
      assert.strictEqual(yield* call("broken"), "Z_DATA_ERROR")
      assert.match((yield* reason(call("wrong"))).message, /iterations/)
    }))

  it.effect("what nothing could end, or would take memory that nobody sees, is refused", () =>
    Effect.gen(function*() {
      const tooMuch: ReadonlyArray<readonly [module: string, name: string, ...args: ReadonlyArray<unknown>]> = [
        ["crypto", "pbkdf2Sync", "a", "b", 1e9, 64, "sha512"],
        ["crypto", "pbkdf2Sync", "a", "b", 1e7, 1e9, "sha512"],
        ["crypto", "pbkdf2", "a", "b", 1e9, 64, "sha512"],
        ["crypto", "scryptSync", "a", "b", 64, { N: 2 ** 22, maxmem: 2 ** 40 }],
        ["crypto", "scrypt", "a", "b", 64, { p: 1e6 }],
        ["crypto", "argon2Sync", "argon2id", {
          message: "a",
          nonce: "saltsaltsalt",
          parallelism: 1,
          tagLength: 8,
          memory: 2 ** 24,
          passes: 1
        }],
        ["crypto", "generatePrimeSync", 1e6],
        ["crypto", "checkPrimeSync", `${"9".repeat(5000)}n`],
        ["crypto", "generateKeyPairSync", "rsa", { modulusLength: 65_536 }],
        ["crypto", "generateKeyPairSync", "dh", { primeLength: 8192 }],
        ["zlib", "brotliCompressSync", "a", { chunkSize: 2 ** 30 }]
      ]
      for (const [module, name, ...args] of tooMuch) {
        assert.match(String(yield* call("refused", module, name, ...args)), /^RangeError: .* in a function/, name)
      }
      assert.strictEqual(yield* call("changing"), "ERR_CRYPTO_INVALID_SCRYPT_PARAMS")
      assert.deepStrictEqual(yield* call("there", "crypto", "createDiffieHellman", "createECDH"), ["createECDH"])
    }))

  it.effect("what is frozen can be had anew by whoever inherits it", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* call("emitter"), ["tea!", ["green"], false])
    }))
})
