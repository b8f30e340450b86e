import { assert, describe, it } from "@effect/vitest"
import { Long, ObjectId } from "bson"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { inspect } from "node:util"
import * as App from "../src/App.ts"
import * as Credentials from "../src/Credentials.ts"
import * as TokenStore from "../src/TokenStore.ts"
import * as Scripted from "./scripted.ts"

describe("Credentials", () => {
  it("name the field that is wrong", () => {
    // A program without types passes whatever it likes.
    const emailPassword: (options: never) => unknown = Credentials.emailPassword
    const anonymous: (options: never) => unknown = Credentials.anonymous
    const function_: (payload: never) => unknown = Credentials.function
    const apiKey: (key: never) => unknown = Credentials.apiKey
    const jwt: (token: never) => unknown = Credentials.jwt
    const google: (options: never) => unknown = Credentials.google
    const facebook: (accessToken: never) => unknown = Credentials.facebook
    const apple: (idToken: never) => unknown = Credentials.apple
    const wrong: ReadonlyArray<readonly [string, (options: never) => unknown, unknown]> = [
      ["email", emailPassword, { email: "", password: "s3cret!" }],
      ["email", emailPassword, { email: 7, password: "s3cret!" }],
      ["email", emailPassword, { password: "s3cret!" }],
      ["email", emailPassword, undefined],
      ["email", emailPassword, null],
      ["email", emailPassword, "s3cret!"],
      ["password", emailPassword, { email: "a" }],
      ["password", emailPassword, { email: "a", password: 7 }],
      ["reuse", anonymous, { reuse: "no" }],
      ["reuse", anonymous, "s3cret!"],
      ["payload", function_, "s3cret!"],
      ["payload", function_, ["s3cret!"]],
      ["payload", function_, null],
      ["payload", function_, undefined],
      ["payload", function_, 7],
      ["payload", function_, new Date(0)],
      ["payload", function_, new ObjectId()],
      ["key", apiKey, ""],
      ["key", apiKey, Redacted.make("")],
      ["key", apiKey, undefined],
      ["key", apiKey, ["s3cret!"]],
      ["token", jwt, ""],
      ["token", jwt, Redacted.make("")],
      ["token", jwt, undefined],
      ["token", jwt, { s3cret: "s3cret!" }],
      ["idToken", google, {}],
      ["idToken", google, undefined],
      ["idToken", google, null],
      ["idToken", google, "s3cret!"],
      ["idToken", google, { idToken: "" }],
      ["idToken", google, { idToken: ["s3cret!"] }],
      ["authCode", google, { authCode: "" }],
      ["authCode", google, { authCode: 7 }],
      ["accessToken", facebook, ""],
      ["accessToken", facebook, { accessToken: "s3cret!" }],
      ["idToken", apple, undefined],
      ["idToken", apple, ["s3cret!"]]
    ]
    for (const [field, make, options] of wrong) {
      const error = thrown(() => make(options as never))
      assert.include(error.message, `["${field}"]`)
      assert.notInclude(String(error), "s3cret!")
    }
  })

  it("say of a secret that is not there what it has to be", () => {
    const make = [Credentials.apiKey, Credentials.jwt, Credentials.facebook, Credentials.apple]
    for (const secret of ["", Redacted.make("")]) {
      for (const one of make) assert.match(thrown(() => one(secret)).message, /^Expected a secret that is not empty/)
    }
  })

  it("name the path of a payload's value that has no Extended JSON form", () => {
    const error = thrown(() => Credentials.function({ a: { b: [1, () => 1] } }))
    assert.strictEqual(error.name, "@effect-realm/protocol/EjsonError")
    assert.include(error.message, "payload.a.b[1]")
  })

  it("take an anonymous user again unless told otherwise", () => {
    assert.isTrue(Credentials.anonymous().reuse)
    assert.isTrue(Credentials.anonymous({}).reuse)
    assert.isFalse(Credentials.anonymous({ reuse: false }).reuse)
    // What the old SDKs took, and a program without types may still pass.
    const anonymous: (reuse: never) => Credentials.Anonymous = Credentials.anonymous
    assert.isFalse(anonymous(false as never).reuse)
  })

  it("take a password that is a secret already", () => {
    const secret = Redacted.make("s3cret!")
    const credentials = Credentials.emailPassword({ email: "a", password: secret })
    assert.strictEqual(Redacted.value(credentials.password), "s3cret!")
    assert.isTrue(Equal.equals(credentials, Credentials.emailPassword({ email: "a", password: "s3cret!" })))
  })

  it("take an API key as text or as a secret, and show it neither way", () => {
    const credentials = Credentials.apiKey(Redacted.make("s3cret!"))
    assert.strictEqual(Redacted.value(credentials.key), "s3cret!")
    assert.isTrue(Equal.equals(credentials, Credentials.apiKey("s3cret!")))
    for (const text of [JSON.stringify(credentials), String(credentials), inspect(credentials)]) {
      assert.notInclude(text, "s3cret!")
    }
  })

  it("take a token as text or as a secret, and show it neither way", () => {
    const makers: ReadonlyArray<(secret: string | Redacted.Redacted) => Credentials.Credentials> = [
      Credentials.jwt,
      (idToken) => Credentials.google({ idToken }),
      (authCode) => Credentials.google({ authCode }),
      Credentials.facebook,
      Credentials.apple
    ]
    for (const make of makers) {
      const credentials = make(Redacted.make("s3cret!"))
      assert.isTrue(Equal.equals(credentials, make("s3cret!")))
      assert.isFalse(Equal.equals(credentials, make("another")))
      for (const text of [JSON.stringify(credentials), String(credentials), inspect(credentials)]) {
        assert.notInclude(text, "s3cret!")
      }
    }
  })

  it.effect("that are refused are refused as what they are, whatever the secret, and are quoted in no form", () =>
    Effect.gen(function*() {
      const app = App.make({ id: "shop-abcde", baseUrl: "http://localhost:9090" })
      for (const secret of ["error", "error_code", "InvalidPassword", "unauthorized", `Zoë "q" \\n`]) {
        const made = [
          Credentials.emailPassword({ email: "a", password: secret }),
          Credentials.apiKey(secret),
          Credentials.function({ secrets: [secret] })
        ]
        for (const credentials of made) {
          const server = Scripted.make((sent) =>
            Scripted.refusal(401, `refused: ${JSON.stringify(sent.body)}`, "InvalidPassword")
          )
          const error = yield* Effect.flip(Effect.provide(App.logIn(app, credentials), [
            server.layer,
            Layer.fresh(TokenStore.layerMemory)
          ]))
          assert.strictEqual(error._tag === "AuthError" && error.reason._tag, "InvalidPassword", secret)
          const words = error._tag === "AuthError" ? error.reason.message : ""
          for (const form of [secret, JSON.stringify(secret).slice(1, -1)]) assert.notInclude(words, form)
          assert.include(words, "<redacted>")
        }
      }
    }))

  it("hold a function's payload as exact Extended JSON", () => {
    const { payload } = Credentials.function({
      id: new ObjectId("5f87976b7b800b285345a8b4"),
      count: Long.fromString("9007199254740993"),
      when: new Date(0),
      text: "Zoë 日本 🎉"
    })
    assert.deepStrictEqual(Redacted.value(payload), {
      id: { $oid: "5f87976b7b800b285345a8b4" },
      count: { $numberLong: "9007199254740993" },
      when: { $date: { $numberLong: "0" } },
      text: "Zoë 日本 🎉"
    })
  })
})

const thrown = (run: () => unknown): Error => {
  try {
    run()
  } catch (error) {
    assert.instanceOf(error, Error)
    return error
  }
  return assert.fail("expected it to throw")
}
