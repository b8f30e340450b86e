import { assert, it } from "@effect/vitest"
import { Binary, Double, Int32, Long } from "bson"
import * as Effect from "effect/Effect"
import { exportPKCS8, exportSPKI, generateKeyPair, jwtVerify, SignJWT } from "jose"
import { generateKeyPairSync } from "node:crypto"
import { vi } from "vitest"
import { call, patience, reason, withFunctions } from "./support/functions.ts"

vi.setConfig({ testTimeout: patience, hookTimeout: patience })

/** What of `utils` is called, or the error it throws as a function sees it. */
const functions = withFunctions({
  jwt: "exports = (name, ...args) => utils.jwt[name](...args)",
  crypto: "exports = (name, ...args) => utils.crypto[name](...args)",
  caught: `exports = (group, name, ...args) => {
    try { return utils[group][name](...args) } catch (error) { return [error instanceof Error, error.message] }
  }`,
  parse: "exports = (text) => EJSON.parse(text)",
  reparse: "exports = (text) => EJSON.stringify(EJSON.parse(text))",
  stringify: "exports = (...args) => EJSON.stringify(...args)",
  badJson:
    "exports = (text) => { try { EJSON.parse(text) } catch (error) { return [error instanceof SyntaxError, error instanceof Error, error.message] } }",
  made:
    "exports = () => EJSON.stringify({ int: 42, double: 0.5, wide: 3000000000, when: new Date(5), id: BSON.Long(1, 1) })",
  user: "exports = () => context.user.custom_data",
  expired: "exports = (seconds) => utils.jwt.encode('HS256', { exp: Date.now() / 1000 + seconds }, 'k')",
  early: "exports = (seconds) => utils.jwt.encode('HS256', { nbf: Date.now() / 1000 + seconds }, 'k')"
})

const caught = (group: string, name: string, ...args: ReadonlyArray<unknown>) =>
  Effect.map(call("caught", group, name, ...args), (result) => {
    const [isError, message] = result as readonly [boolean, string]
    assert.isTrue(isError, message)
    return message
  })

const aesKey = "603082712271C525E087BD999A4E0738"

it.layer(functions, { excludeTestServices: true })("utils.crypto", (it) => {
  it.effect("what App Services encrypted is decrypted", () =>
    Effect.gen(function*() {
      const message = Binary.createFromBase64("WPBuIvJ6Bity43Uh822dW8QlVYVJaFUiDeUjlTiJXzptUuTYIKPlXekBQAJb")
      const text = (yield* call("crypto", "decrypt", "aes", message, aesKey)) as Binary
      assert.strictEqual(text.toString("utf8"), "MongoDB is great!")
    }))

  it.effect("what is encrypted is decrypted by the same key, of each length, and by no other", () =>
    Effect.gen(function*() {
      for (const length of [16, 24, 32]) {
        const key = "k".repeat(length)
        const message = (yield* call("crypto", "encrypt", "aes", "Zoë 🎉", key)) as Binary
        const again = (yield* call("crypto", "encrypt", "aes", "Zoë 🎉", key)) as Binary
        assert.notStrictEqual(message.toString("hex"), again.toString("hex"))
        const text = (yield* call("crypto", "decrypt", "aes", message, key)) as Binary
        assert.strictEqual(text.toString("utf8"), "Zoë 🎉")
        assert.match(yield* caught("crypto", "decrypt", "aes", message, "x".repeat(length)), /cannot be decrypted/)
        const cut = new Binary(message.value().subarray(0, 20))
        assert.match(yield* caught("crypto", "decrypt", "aes", cut, key), /cannot be decrypted/)
      }
    }))

  it.effect("hashes and HMACs are those of the documentation", () =>
    Effect.gen(function*() {
      const hash = (yield* call("crypto", "hash", "sha256", "hello!")) as Binary
      assert.strictEqual(hash.toString("base64"), "zgYJL7lI2f+sfRo3bkBLJrdXW8wR7gWkYV/vT+w6MIs=")
      const binary = (yield* call("crypto", "hash", "sha256", new Binary(Buffer.from("hello!")))) as Binary
      assert.deepStrictEqual(binary, hash)
      const md5 = (yield* call("crypto", "hash", "md5", "")) as Binary
      assert.strictEqual(md5.toString("hex"), "d41d8cd98f00b204e9800998ecf8427e")
      assert.strictEqual(
        yield* call("crypto", "hmac", "hello!", "super-secret", "sha256", "base64"),
        "SUXd6PRMaTXXgBGaGsIHzaDWgTSa6C3D44lRGrvRak0="
      )
      assert.strictEqual(
        yield* call("crypto", "hmac", "hello!", "super-secret", "sha256", "hex"),
        Buffer.from("SUXd6PRMaTXXgBGaGsIHzaDWgTSa6C3D44lRGrvRak0=", "base64").toString("hex")
      )
    }))

  it.effect("a signature holds for its message, key and scheme, and for no other", () =>
    Effect.gen(function*() {
      const pair = () =>
        generateKeyPairSync("rsa", {
          modulusLength: 2048,
          privateKeyEncoding: { type: "pkcs1", format: "pem" },
          publicKeyEncoding: { type: "pkcs1", format: "pem" }
        })
      const { privateKey, publicKey } = pair()
      const other = pair()
      for (const scheme of ["pss", "pkcs1v15"]) {
        const signature = yield* call("crypto", "sign", "rsa", "tea", privateKey, scheme)
        const holds = (message: string, key: string, scheme: string) =>
          call("crypto", "verify", "rsa", message, key, signature, scheme)
        assert.isTrue(yield* holds("tea", publicKey, scheme))
        assert.isFalse(yield* holds("cake", publicKey, scheme))
        assert.isFalse(yield* holds("tea", other.publicKey, scheme))
        assert.isFalse(yield* holds("tea", publicKey, scheme === "pss" ? "pkcs1v15" : "pss"))
      }
      const signature = yield* call("crypto", "sign", "rsa", "tea", privateKey)
      assert.isTrue(yield* call("crypto", "verify", "rsa", "tea", publicKey, signature))
    }))

  it.effect("what cannot be is an error with words for what to do, and without the key", () =>
    Effect.gen(function*() {
      assert.match(yield* caught("crypto", "encrypt", "des", "a", aesKey), /encryption type has to be "aes"/)
      assert.match(yield* caught("crypto", "encrypt", "aes", "a", "short"), /16, 24 or 32 bytes/)
      assert.match(yield* caught("crypto", "encrypt", "aes", 1, aesKey), /message has to be a text/)
      assert.match(yield* caught("crypto", "decrypt", "aes", "text", aesKey), /has to be a BSON.Binary/)
      assert.match(yield* caught("crypto", "hash", "sha3", "a"), /"sha1" or "sha256" or "md5"/)
      assert.match(yield* caught("crypto", "hmac", "a", "b", "md5", "hex"), /hash function has to be/)
      assert.match(yield* caught("crypto", "hmac", "a", "b", "sha1", "latin1"), /output format has to be/)
      const wrong = yield* caught("crypto", "sign", "rsa", "a", "-----BEGIN RSA PRIVATE KEY-----\nsecret")
      assert.match(wrong, /RSA key in PEM format/)
      assert.notInclude(wrong, "secret")
      assert.match(yield* caught("crypto", "verify", "rsa", "a", "k", "s", "oaep"), /"pss" or "pkcs1v15"/)
    }))
})

it.layer(functions, { excludeTestServices: true })("utils.jwt", (it) => {
  const payload = { sub: "1234567890", name: "Joe Schmoe", iat: Long.fromNumber(1_565_721_223_187) }

  it.effect("the token of the documentation is written and read", () =>
    Effect.gen(function*() {
      const token = yield* call("jwt", "encode", "HS512", payload, "SuperSecret")
      assert.strictEqual(
        String(token).slice(0, String(token).lastIndexOf(".")),
        "eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9" +
          ".eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvZSBTY2htb2UiLCJpYXQiOjE1NjU3MjEyMjMxODd9"
      )
      assert.deepStrictEqual(yield* call("jwt", "decode", token, "SuperSecret"), payload)
      assert.deepStrictEqual(yield* call("jwt", "decode", token, "SuperSecret", true, ["HS512"]), {
        header: { alg: "HS512", typ: "JWT" },
        payload
      })
    }))

  it.effect("tokens of every method are understood by others, and those of others here", () =>
    Effect.gen(function*() {
      for (const size of ["256", "384", "512"]) {
        for (const kind of ["HS", "RS", "PS", "ES"]) {
          const method = kind + size
          const secret = "s".repeat(64)
          const pair = kind === "HS"
            ? undefined
            : yield* Effect.promise(() => generateKeyPair(method, { extractable: true }))
          const [privatePem, publicPem] = pair === undefined
            ? [secret, secret]
            : yield* Effect.promise(() => Promise.all([exportPKCS8(pair.privateKey), exportSPKI(pair.publicKey)]))
          const token = String(
            yield* call("jwt", "encode", method, { sub: "ada" }, privatePem, { kid: "k1", alg: "none" })
          )
          const verified = yield* Effect.promise(() =>
            jwtVerify(token, pair?.publicKey ?? new TextEncoder().encode(secret))
          )
          assert.deepStrictEqual(
            [verified.payload, verified.protectedHeader],
            [{ sub: "ada" }, { alg: method, typ: "JWT", kid: "k1" }]
          )
          const theirs = yield* Effect.promise(() =>
            new SignJWT({ sub: "bob" }).setProtectedHeader({ alg: method })
              .sign(pair?.privateKey ?? new TextEncoder().encode(secret))
          )
          assert.deepStrictEqual(yield* call("jwt", "decode", theirs, publicPem, false, [method]), { sub: "bob" })
          assert.match(
            yield* caught("jwt", "decode", `${theirs.slice(0, -8)}AAAAAAAA`, publicPem),
            /signature of the token is not valid/
          )
          assert.match(yield* caught("jwt", "decode", theirs, publicPem, false, ["XX"]), /not accepted/)
        }
      }
    }))

  it.effect("a token without a signature, or signed with a public key as if it were a secret, is refused", () =>
    Effect.gen(function*() {
      const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url")
      const none = `${part({ alg: "none" })}.${part({ sub: "ada" })}.`
      assert.match(yield* caught("jwt", "decode", none, "k"), /not a JSON Web Token/)
      assert.match(yield* caught("jwt", "decode", `${none}x`, "k"), /signing method has to be one of/)
      const { publicKey } = generateKeyPairSync("rsa", {
        modulusLength: 2048,
        privateKeyEncoding: { type: "pkcs8", format: "pem" },
        publicKeyEncoding: { type: "spki", format: "pem" }
      })
      const forged = yield* Effect.promise(() =>
        new SignJWT({ sub: "ada" }).setProtectedHeader({ alg: "HS256" }).sign(new TextEncoder().encode(publicKey))
      )
      assert.match(yield* caught("jwt", "decode", forged, publicKey), /Name the accepted methods/)
    }))

  it.effect("a token that is over or not valid yet is refused", () =>
    Effect.gen(function*() {
      assert.match(yield* caught("jwt", "decode", yield* call("expired", -10), "k"), /has expired/)
      assert.match(yield* caught("jwt", "decode", yield* call("early", 100), "k"), /not valid yet/)
      assert.isObject(yield* call("jwt", "decode", yield* call("expired", 100), "k"))
    }))

  it.effect("what cannot be is an error with words for what to do, and without the key", () =>
    Effect.gen(function*() {
      assert.match(yield* caught("jwt", "encode", "none", {}, "k"), /signing method has to be one of HS256/)
      assert.match(yield* caught("jwt", "encode", "HS256", "text", "k"), /payload has to be a document/)
      assert.match(yield* caught("jwt", "encode", "HS256", {}, ""), /key has to be a text that is not empty/)
      assert.match(yield* caught("jwt", "encode", "HS256", {}, "k", "x"), /header fields have to be a document/)
      const wrong = yield* caught("jwt", "encode", "RS256", {}, "-----BEGIN PRIVATE KEY-----\nsecret")
      assert.match(wrong, /none in PEM format/)
      assert.notInclude(wrong, "secret")
      const { privateKey } = generateKeyPairSync("ec", {
        namedCurve: "P-256",
        privateKeyEncoding: { type: "pkcs8", format: "pem" },
        publicKeyEncoding: { type: "spki", format: "pem" }
      })
      assert.match(yield* caught("jwt", "encode", "RS256", {}, privateKey), /does not fit RS256/)
      assert.match(yield* caught("jwt", "encode", "ES384", {}, privateKey), /does not fit ES384/)
      for (const token of ["", "a", "a.b", "a.b.c", "a.b.c.d", 5]) {
        assert.match(yield* caught("jwt", "decode", token, "k"), /token (is not a JSON Web Token|has to be a text)/)
      }
      assert.match(yield* caught("jwt", "decode", "a.b.c", "k", false, "HS256"), /accepted methods have to be a list/)
    }))
})

it.layer(functions, { excludeTestServices: true })("EJSON", (it) => {
  it.effect("numbers that are parsed keep their types, as members and when they are written again", () =>
    Effect.gen(function*() {
      const text = "{\"a\":{\"$numberLong\":\"5\"},\"b\":{\"$numberDouble\":\"3.0\"},\"c\":[{\"$numberInt\":\"1\"}]," +
        "\"d\":{\"$numberLong\":\"9223372036854775807\"}}"
      assert.strictEqual(yield* call("reparse", text), text)
      assert.deepStrictEqual(yield* call("parse", text), {
        a: Long.fromNumber(5),
        b: new Double(3),
        c: [new Int32(1)],
        d: Long.fromString("9223372036854775807")
      })
    }))

  it.effect("arguments are written with the types they came with, and what a function makes by size", () =>
    Effect.gen(function*() {
      assert.strictEqual(
        yield* call("stringify", { a: Long.fromNumber(5), b: new Double(3) }),
        "{\"a\":{\"$numberLong\":\"5\"},\"b\":{\"$numberDouble\":\"3.0\"}}"
      )
      assert.strictEqual(
        yield* call("made"),
        "{\"int\":{\"$numberInt\":\"42\"},\"double\":{\"$numberDouble\":\"0.5\"},\"wide\":{\"$numberLong\":\"3000000000\"}," +
          "\"when\":{\"$date\":{\"$numberLong\":\"5\"}},\"id\":{\"$numberLong\":\"4294967297\"}}"
      )
      assert.strictEqual(yield* call("stringify", { a: "b" }, null, 2), "{\n  \"a\": \"b\"\n}")
    }))

  it.effect("what the user's custom data holds keeps its types", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* call("user"), { points: Long.fromNumber(7), tier: "gold" })
    }))

  it.effect("text that is no Extended JSON is an error of the function's own", () =>
    Effect.gen(function*() {
      const [isSyntax, isError] = (yield* call("badJson", "{")) as ReadonlyArray<unknown>
      assert.deepStrictEqual([isSyntax, isError], [true, true])
      const [, isOwn, message] = (yield* call("badJson", "{\"$oid\":\"x\"}")) as ReadonlyArray<unknown>
      assert.isTrue(isOwn)
      assert.match(String(message), /\$oid|ObjectId/)
      assert.strictEqual((yield* reason(call("parse", "{"))).message.slice(0, 12), "SyntaxError:")
    }))
})
