import { assert, describe, it } from "@effect/vitest"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Session from "../src/Session.ts"

describe("Session.profile", () => {
  it("has the names that realm-web gave, and leaves every other name as it is", () => {
    const { data } = Session.profile({
      type: "normal",
      identities: [],
      data: {
        name: "Zoë",
        email: "zoe@example.com",
        picture: "http://x.test/p.png",
        first_name: "Zoë",
        last_name: "日本",
        gender: "x",
        birthday: "2000-01-01",
        min_age: "18",
        max_age: "99",
        favorite_team: { $numberInt: "1" }
      }
    })
    assert.deepStrictEqual(data, {
      name: "Zoë",
      email: "zoe@example.com",
      pictureUrl: "http://x.test/p.png",
      firstName: "Zoë",
      lastName: "日本",
      gender: "x",
      birthday: "2000-01-01",
      minAge: "18",
      maxAge: "99",
      favorite_team: { $numberInt: "1" }
    })
  })

  it("is of a normal user when the server does not say, and keeps of an identity what tells it apart", () => {
    assert.deepStrictEqual(
      Session.profile({ identities: [{ id: "i", providerType: "anon-user", providerId: "p" }], data: {} }),
      { type: "normal", identities: [{ id: "i", providerType: "anon-user" }], data: {} }
    )
  })
})

describe("Session.Session", () => {
  const session: Session.Session = {
    appId: "shop-abcde",
    userId: "u1",
    generation: 3,
    activation: 2,
    tokens: { accessToken: Redacted.make("a"), refreshToken: Redacted.make("r"), receivedAt: 1, lifetime: 1_800_000 },
    providerType: "anon-user",
    deviceId: "d",
    profile: { type: "normal", identities: [], data: {} },
    customData: { text: "Zoë 日本 🎉", ["__proto__"]: { polluted: true }, list: [null, 1.5, true] }
  }

  it("survives being written as text, a key named __proto__ included", () => {
    const text = Schema.fromJsonString(Session.Session)
    const read = Schema.decodeSync(text)(Schema.encodeSync(text)(session))
    assert.deepStrictEqual(JSON.stringify(read.customData), JSON.stringify(session.customData))
    assert.isUndefined(Reflect.get({}, "polluted"))
    assert.strictEqual(Object.getPrototypeOf(read.customData), Object.prototype)
    assert.strictEqual(Redacted.value(read.tokens!.refreshToken), "r")
  })

  it("is logged in while it has tokens", () => {
    const { tokens: _, ...without } = session
    assert.isTrue(Session.isLoggedIn(session))
    assert.isFalse(Session.isLoggedIn(without))
  })
})
