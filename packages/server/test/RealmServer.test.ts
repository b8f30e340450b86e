import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Wire from "./support/wire.ts"

describe("a user's life over the wire", () => {
  it.effect("anonymous, called, refreshed, linked, ended", () =>
    Effect.gen(function*() {
      const location = yield* Wire.send("GET", `${Wire.appUrl}/location`)
      assert.deepStrictEqual(location.body, {
        deployment_model: "GLOBAL",
        location: "US-VA",
        hostname: Wire.origin,
        ws_hostname: "ws://realm.test"
      })
      const tokens = yield* Wire.logInAnonymous
      const sum = yield* Wire.call(tokens.access_token, "sum", { $numberInt: "1" }, 2)
      assert.deepStrictEqual(sum.body, { $numberInt: "3" })
      assert.strictEqual(sum.contentType, "application/json")
      const refreshed = yield* Wire.send("POST", `${Wire.base}/auth/session`, { token: tokens.refresh_token })
      assert.strictEqual(refreshed.status, 201)
      assert.strictEqual((yield* Wire.register("ann@example.com")).status, 201)
      const linked = yield* Wire.logInEmail("ann@example.com", "correct horse", { token: tokens.access_token })
      assert.strictEqual(linked.status, 200)
      assert.strictEqual(linked.body.user_id, tokens.user_id)
      const profile = yield* Wire.send("GET", `${Wire.base}/auth/profile`, { token: linked.body.access_token })
      assert.deepStrictEqual(profile.body.data, { email: "ann@example.com" })
      assert.strictEqual(profile.body.identities.length, 2)
      const out = yield* Wire.send("DELETE", `${Wire.base}/auth/session`, { token: tokens.refresh_token })
      assert.deepStrictEqual([out.status, out.text, out.contentType], [204, "", undefined])
      const again = yield* Wire.send("DELETE", `${Wire.base}/auth/session`, { token: tokens.refresh_token })
      assert.strictEqual(again.status, 401)
      assert.strictEqual(again.body.error_code, "InvalidSession")
      assert.match(again.body.link, /^http:\/\/realm\.test\/groups\/.*\/logs\?co_id=[0-9a-f]{24}$/)
    }).pipe(Effect.provide(Wire.layer())))
})
