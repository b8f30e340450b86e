import { assert, describe, it } from "@effect/vitest"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Token from "../src/Token.ts"

const header = Buffer.from(`{"alg":"HS256","typ":"JWT"}`).toString("base64url")

const sign = (payload: unknown, encoding: "base64" | "base64url" = "base64url"): Redacted.Redacted =>
  Redacted.make(`${header}.${Buffer.from(JSON.stringify(payload)).toString(encoding)}.signature`)

const claims = (payload: unknown, encoding?: "base64" | "base64url"): Token.AccessClaims =>
  Result.getOrThrow(Token.read(sign(payload, encoding)))

/** The access token of protocol section 4.1. */
const access = {
  baas_device_id: "000000000000000000000000",
  baas_domain_id: "5eea8667bcb4c810b651fb59",
  exp: 1667940618,
  iat: 1667938818,
  iss: "636aba021728b6c1c03db83e",
  stitch_devId: "000000000000000000000000",
  stitch_domainId: "5eea8667bcb4c810b651fb59",
  sub: "636aba021728b6c1c03db7f9",
  typ: "access" as const,
  user_data: { favoriteColor: "purple" }
}

/** The refresh token of protocol section 4.2. */
const identity = {
  id: "636aba021728b6c1c03db7f8-nwhswazdycmvrpendwddtcdt",
  provider_type: "anon-user",
  provider_id: "624de7bb8ec6c939626f5425"
}
const refresh = {
  baas_data: null,
  baas_device_id: "000000000000000000000000",
  baas_domain_id: "5eea8667bcb4c810b651fb59",
  baas_id: "636aba021728b6c1c03db83e",
  baas_identity: identity,
  exp: 3244738818,
  iat: 1667938818,
  stitch_data: null,
  stitch_devId: "000000000000000000000000",
  stitch_domainId: "5eea8667bcb4c810b651fb59",
  stitch_id: "636aba021728b6c1c03db83e",
  stitch_ident: identity,
  sub: "636aba021728b6c1c03db7f9",
  typ: "refresh"
}

describe("An access token", () => {
  it("says what the protocol's sample says", () => {
    assert.deepStrictEqual(claims(access), {
      userId: "636aba021728b6c1c03db7f9",
      sessionId: "636aba021728b6c1c03db83e",
      issuedAt: 1667938818,
      expiresAt: 1667940618,
      deviceId: "000000000000000000000000",
      domainId: "5eea8667bcb4c810b651fb59",
      userData: { favoriteColor: "purple" }
    })
  })

  it("is written with every claim and both names of each", () => {
    assert.deepStrictEqual(Schema.encodeSync(Token.AccessClaims)(claims(access)), access)
  })

  it("of an older server has the old names alone, and is read all the same", () => {
    const { baas_device_id: _, baas_domain_id: __, ...old } = { ...access, stitch_devId: "d1" }
    assert.include(claims(old), { deviceId: "d1", domainId: "5eea8667bcb4c810b651fb59" })
    const { stitch_devId: ___, stitch_domainId: ____, ...young } = { ...access, baas_device_id: "d2" }
    assert.include(claims(young), { deviceId: "d2", domainId: "5eea8667bcb4c810b651fb59" })
  })

  it("without user_data has empty custom data, and no device without a device id", () => {
    const least = { sub: "u1", iat: 0, exp: 1800 }
    assert.deepStrictEqual(claims(least), {
      userId: "u1",
      sessionId: undefined,
      issuedAt: 0,
      expiresAt: 1800,
      deviceId: Token.noDevice,
      domainId: undefined,
      userData: {}
    })
    assert.deepStrictEqual(claims({ ...least, user_data: null, baas_device_id: null }).userData, {})
  })

  it("holds text as UTF-8, in either alphabet of base64, padded or not", () => {
    const userData = { name: "Zoë 日本 🎉", odd: "ÿþ>>>???", emoji: "🏳️‍🌈".repeat(20) }
    for (const encoding of ["base64", "base64url"] as const) {
      for (const tail of ["", "x", "xx"]) {
        assert.deepStrictEqual(claims({ ...access, user_data: { ...userData, tail } }, encoding).userData, {
          ...userData,
          tail
        })
      }
    }
  })

  it("may say more than we know", () => {
    assert.strictEqual(claims({ ...access, jti: "x", aud: ["y"], stitch_data: null }).userId, access.sub)
  })

  it("that is malformed fails, and the failure does not show it", () => {
    const secret = "s3cret"
    const payload = (value: unknown) => Redacted.value(sign(value))
    const malformed = [
      "",
      secret,
      `${secret}.${secret}`,
      `a.${secret}.b`,
      `a.${secret}.b.c`,
      `${payload(access)}.${secret}`,
      payload([secret]),
      payload(secret),
      payload(null),
      payload({ ...access, sub: "" }),
      payload({ ...access, sub: 7, user_data: { secret } }),
      payload({ ...access, exp: "soon", user_data: { secret } }),
      payload({ ...access, iat: 1.5 }),
      payload({ ...access, exp: undefined }),
      payload({ ...access, iat: undefined }),
      payload({ ...access, user_data: [secret] }),
      payload({ ...access, user_data: secret }),
      payload(refresh)
    ]
    for (const text of malformed) {
      const read = Token.read(Redacted.make(text))
      assert.isTrue(Result.isFailure(read), text)
      const failure = String(Result.getOrThrow(Result.flip(read)))
      assert.notInclude(failure, secret)
      assert.notInclude(failure, access.sub)
    }
  })

  it("with a key named __proto__ in its data changes no other object", () => {
    const text = `{"sub":"u1","iat":0,"exp":1,"user_data":{"__proto__":{"polluted":true}}}`
    const read = Token.read(Redacted.make(`${header}.${Buffer.from(text).toString("base64url")}.signature`))
    const { userData } = Result.getOrThrow(read)
    assert.isUndefined(Reflect.get({}, "polluted"))
    assert.isUndefined(userData["polluted"])
  })
})

describe("A refresh token", () => {
  it("says what the protocol's sample says, and is written as it", () => {
    const read = Schema.decodeUnknownSync(Token.RefreshClaims)(refresh)
    assert.deepStrictEqual(read, {
      userId: refresh.sub,
      sessionId: refresh.baas_id,
      issuedAt: refresh.iat,
      expiresAt: refresh.exp,
      deviceId: refresh.baas_device_id,
      domainId: refresh.baas_domain_id,
      identity: { id: identity.id, providerType: "anon-user", providerId: identity.provider_id }
    })
    assert.deepStrictEqual(Schema.encodeSync(Token.RefreshClaims)(read), refresh)
  })

  it("is no access token, nor the other way round", () => {
    assert.isTrue(Result.isFailure(Token.read(sign(refresh))))
    assert.throws(() => Schema.decodeUnknownSync(Token.RefreshClaims)(access))
  })
})

describe("A token", () => {
  it("is secret from the moment it is decoded", () => {
    const token = Schema.decodeSync(Token.Token)("s3cret")
    assert.notInclude(`${String(token)} ${JSON.stringify({ token })}`, "s3cret")
    assert.strictEqual(Schema.encodeSync(Token.Token)(token), "s3cret")
    assert.throws(() => Schema.decodeSync(Token.Token)(""))
  })
})
