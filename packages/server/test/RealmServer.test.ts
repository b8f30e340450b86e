import { AppDefinition, type AuthProvider, Database, RealmServer } from "@effect-realm/server"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import * as Wire from "./support/wire.ts"

const link = /^http:\/\/realm\.test\/groups\/[0-9a-f]{24}\/apps\/[0-9a-f]{24}\/logs\?co_id=[0-9a-f]{24}$/

/** A refusal as every client of this protocol reads one. */
const assertRefusal = (answer: Wire.Answer, status: number, code: string | undefined, message: string | RegExp) => {
  assert.strictEqual(answer.status, status)
  assert.strictEqual(answer.headers["content-type"], "application/json")
  assert.strictEqual(answer.fields["error_code"], code)
  if (typeof message === "string") assert.strictEqual(answer.fields["error"], message)
  else assert.match(String(answer.fields["error"]), message)
  assert.match(String(answer.fields["link"]), link)
}

describe("a user's life over the wire", () => {
  it.effect("anonymous, called, refreshed, linked, ended", () =>
    Effect.gen(function*() {
      const tokens = yield* Wire.logInAnonymous
      const sum = yield* Wire.call(tokens.access_token, "sum", { $numberInt: "1" }, 2)
      assert.deepStrictEqual([sum.status, sum.body], [200, { $numberInt: "3" }])
      const accessToken = yield* Wire.refreshed(tokens.refresh_token)
      assert.strictEqual((yield* Wire.register("ann@example.com")).status, 201)
      const linked = yield* Effect.flatMap(
        Wire.logInEmail("ann@example.com", "correct horse", { token: accessToken }),
        Wire.linked
      )
      assert.strictEqual(linked.user_id, tokens.user_id)
      const profile = yield* Wire.profile(linked.access_token)
      assert.deepStrictEqual(profile.fields["data"], { email: "ann@example.com" })
      assert.strictEqual((yield* Wire.logOut(tokens.refresh_token)).status, 204)
      assertRefusal(
        yield* Wire.logOut(tokens.refresh_token),
        401,
        "InvalidSession",
        "invalid session: failed to find refresh token"
      )
    }).pipe(Effect.provide(Wire.layer())))
})

describe("location", () => {
  it.effect("is the origin that the request was sent to", () =>
    Effect.gen(function*() {
      const own = yield* Wire.send("GET", `${Wire.appUrl}/location`)
      assert.deepStrictEqual(own.body, {
        deployment_model: "GLOBAL",
        location: "US-VA",
        hostname: Wire.origin,
        ws_hostname: "ws://realm.test"
      })
      const named = yield* Wire.send("GET", `${Wire.appUrl}/location`, { headers: { host: "shop.example:8080" } })
      assert.strictEqual(named.fields["hostname"], "http://shop.example:8080")
      const evil = yield* Wire.send("GET", `${Wire.appUrl}/location`, { headers: { host: "x/y?<script>" } })
      assert.strictEqual(evil.fields["hostname"], Wire.origin)
    }).pipe(Effect.provide(Wire.layer())))

  it.effect("is the public URL when there is one, and so are links", () =>
    Effect.gen(function*() {
      const { fields } = yield* Wire.send("GET", `${Wire.appUrl}/location`)
      assert.deepStrictEqual([fields["hostname"], fields["ws_hostname"]], [
        "https://realm.example",
        "wss://realm.example"
      ])
      const refused = yield* Wire.profile("x")
      assert.match(String(refused.fields["link"]), /^https:\/\/realm\.example\/groups\//)
    }).pipe(Effect.provide(Wire.layer({ publicUrl: "https://realm.example" }))))
})

describe("what the framework answers by itself", () => {
  it.effect("has the shape of the protocol", () =>
    Effect.gen(function*() {
      const login = `${Wire.providers}/local-userpass/login`
      assertRefusal(
        yield* Wire.send("GET", `${Wire.origin}/nowhere?token=s3cret`),
        404,
        "EndpointNotFound",
        /GET \/nowhere$/
      )
      assertRefusal(yield* Wire.send("PATCH", `${Wire.appUrl}/location`), 404, "EndpointNotFound", /^no such endpoint/)
      assertRefusal(
        yield* Wire.send("POST", login, { body: "{\"username\":" }),
        400,
        "BadRequest",
        "invalid request body"
      )
      assertRefusal(
        yield* Wire.send("POST", login, { body: { username: "ann", password: 123456 } }),
        400,
        "BadRequest",
        "invalid request body: password"
      )
      assertRefusal(
        yield* Wire.send("POST", `${login}?link=maybe`, { body: {} }),
        400,
        "BadRequest",
        "invalid query: link"
      )
      assertRefusal(
        yield* Wire.send("POST", login, { body: "username=ann", headers: { "content-type": "text/plain" } }),
        415,
        undefined,
        /^unsupported content type/
      )
    }).pipe(Effect.provide(Wire.layer())))

  it.effect("refuses a body that is too large, before reading it", () =>
    Effect.gen(function*() {
      const { access_token } = yield* Wire.logInAnonymous
      assert.strictEqual((yield* Wire.call(access_token, "echo", "x".repeat(900))).status, 200)
      assertRefusal(yield* Wire.call(access_token, "echo", "x".repeat(1_000)), 413, undefined, /larger than 1000 bytes/)
    }).pipe(Effect.provide(Wire.layer({ maxBodySize: 1_000 }))))

  it.effect("tells nothing of the server's own mistakes", () =>
    Effect.gen(function*() {
      const database = yield* Database.Database
      const tokens = yield* Wire.logInAnonymous
      // A document that no version of this server writes.
      const users = database.collection({
        database: `__effect_realm_${String(Wire.claims(tokens.access_token)["baas_domain_id"])}`,
        collection: "users"
      })
      yield* users.updateOne({ _id: tokens.user_id }, { $set: { identities: "s3cret" } })
      const answer = yield* Wire.profile(tokens.access_token)
      assertRefusal(answer, 500, "InternalServerError", "internal server error")
      assert.notInclude(answer.text, "s3cret")
    }).pipe(Effect.provide(Wire.layer())))

  it.effect("has a content type only where it has a body", () =>
    Effect.gen(function*() {
      const registered = yield* Wire.register("ann@example.com")
      assert.deepStrictEqual([registered.status, registered.text], [201, ""])
      assert.isUndefined(registered.headers["content-type"])
      const tokens = yield* Wire.logInAnonymous
      const out = yield* Wire.logOut(tokens.refresh_token)
      assert.deepStrictEqual([out.status, out.text], [204, ""])
      assert.isUndefined(out.headers["content-type"])
    }).pipe(Effect.provide(Wire.layer())))
})

describe("requests as clients in the wild send them", () => {
  it.effect("log in with `provider`, `options` and fields of tomorrow, with a charset, without a body", () =>
    Effect.gen(function*() {
      yield* Wire.register("ann@example.com")
      const deviceId = "5f87976b7b800b285345a8b4"
      const answer = yield* Wire.send("POST", `${Wire.providers}/local-userpass/login`, {
        headers: { "content-type": "application/json;charset=utf-8" },
        body: {
          username: "ann@example.com",
          password: "correct horse",
          provider: "local-userpass",
          tomorrow: [],
          options: { device: { platform: "chrome", cpuArch: "x86", deviceId: { $oid: deviceId } } }
        }
      })
      const tokens = yield* Wire.tokens(answer)
      assert.strictEqual(tokens.device_id, deviceId)
      assert.strictEqual(Wire.claims(tokens.access_token)["baas_device_id"], deviceId)
      const anonymous = `${Wire.providers}/anon-user/login`
      const { headers, status } = yield* Wire.send("GET", anonymous)
      // A cache in between would hand one user's tokens to the next.
      assert.deepStrictEqual([status, headers["cache-control"]], [200, "no-store"])
      assert.strictEqual((yield* Wire.send("POST", anonymous, { body: {} })).status, 200)
      assert.strictEqual(
        (yield* Wire.send("POST", anonymous, {
          headers: { "content-type": "application/x-www-form-urlencoded", "content-length": "0" }
        })).status,
        200
      )
      const refreshed = yield* Wire.send("POST", `${Wire.base}/auth/session`, {
        token: tokens.refresh_token,
        headers: { "content-type": "application/json;charset=utf-8" }
      })
      assert.strictEqual(refreshed.status, 201)
      const profile = yield* Wire.send("GET", `${Wire.base}/auth/profile`, {
        token: tokens.access_token,
        headers: { "content-type": "application/json;charset=utf-8" }
      })
      assert.strictEqual(profile.status, 200)
    }).pipe(Effect.provide(Wire.layer())))

  it.effect("get a device id once they tell of a device, and zeros when they do not", () =>
    Effect.gen(function*() {
      const silent = yield* Wire.logInAnonymous
      assert.strictEqual(silent.device_id, "0".repeat(24))
      const known = yield* Effect.flatMap(
        Wire.send("POST", `${Wire.providers}/anon-user/login`, { body: { options: { device: { platform: "web" } } } }),
        Wire.tokens
      )
      assert.match(known.device_id, /^[0-9a-f]{24}$/)
      assert.notStrictEqual(known.device_id, silent.device_id)
    }).pipe(Effect.provide(Wire.layer())))
})

describe("apps and providers that are not there", () => {
  it.effect("are refused by name", () =>
    Effect.gen(function*() {
      const elsewhere = `${Wire.base}/app/other-abcde`
      const unknown = "cannot find app using Client App ID 'other-abcde'"
      assertRefusal(yield* Wire.send("GET", `${elsewhere}/location`), 404, undefined, unknown)
      assertRefusal(yield* Wire.send("POST", `${elsewhere}/auth/providers/anon-user/login`), 404, undefined, unknown)
      assertRefusal(
        yield* Wire.send("POST", `${elsewhere}/auth/providers/api-key/login`, { body: { key: "x" } }),
        404,
        undefined,
        unknown
      )
      assertRefusal(
        yield* Wire.send("POST", `${elsewhere}/auth/providers/local-userpass/register`, {
          body: { email: "a", password: "secret" }
        }),
        404,
        undefined,
        unknown
      )
      for (const provider of ["oauth2-github", "nonsense"]) {
        assertRefusal(
          yield* Wire.send("POST", `${Wire.providers}/${provider}/login`, { body: { key: "x" } }),
          404,
          "AuthProviderNotFound",
          `authentication via '${provider}' is unsupported`
        )
      }
    }).pipe(Effect.provide(Wire.layer())))

  it.effect("a disabled provider is one that is not there", () =>
    Effect.gen(function*() {
      const refused = (provider: string) => `authentication via '${provider}' is unsupported`
      assertRefusal(
        yield* Wire.send("POST", `${Wire.providers}/anon-user/login`),
        404,
        "AuthProviderNotFound",
        refused("anon-user")
      )
      assertRefusal(yield* Wire.register("ann@example.com"), 404, "AuthProviderNotFound", refused("local-userpass"))
      assertRefusal(yield* Wire.logInEmail("ann@example.com"), 404, "AuthProviderNotFound", refused("local-userpass"))
      assertRefusal(yield* Wire.logInFunction("ann"), 404, "AuthProviderNotFound", refused("custom-function"))
      assertRefusal(yield* Wire.logInKey("x"), 404, "AuthProviderNotFound", refused("api-key"))
    }).pipe(Effect.provide(Wire.layer({
      app: AppDefinition.make({ appId: Wire.appId, authProviders: { anonymous: { enabled: false } } })
    }))))
})

describe("browsers", () => {
  it.effect("may ask before every request, whatever its path", () =>
    Effect.gen(function*() {
      for (const path of [`${Wire.appUrl}/functions/call`, `${Wire.base}/auth/session`, `${Wire.origin}/nowhere`]) {
        const { headers, status, text } = yield* Wire.send("OPTIONS", path, {
          headers: { origin: "https://page.example" }
        })
        assert.deepStrictEqual([status, text], [204, ""])
        assert.strictEqual(headers["access-control-allow-origin"], "*")
        assert.isUndefined(headers["access-control-allow-credentials"])
        for (const name of ["authorization", "content-type", "accept", "traceparent", "tracestate", "b3", "baggage"]) {
          assert.include((headers["access-control-allow-headers"] ?? "").split(", "), name)
        }
        for (const method of ["GET", "POST", "PUT", "DELETE"]) {
          assert.include((headers["access-control-allow-methods"] ?? "").split(", "), method)
        }
      }
    }).pipe(Effect.provide(Wire.layer())))

  it.effect("may read answers and refusals alike", () =>
    Effect.gen(function*() {
      const headers = { origin: "https://page.example" }
      const answer = yield* Wire.send("GET", `${Wire.appUrl}/location`, { headers })
      const refused = yield* Wire.send("GET", `${Wire.base}/auth/profile`, { headers })
      const nowhere = yield* Wire.send("GET", `${Wire.origin}/nowhere`, { headers })
      for (const { headers } of [answer, refused, nowhere]) {
        assert.strictEqual(headers["access-control-allow-origin"], "*")
        assert.strictEqual(headers["access-control-expose-headers"], "x-baas-location, retry-after")
      }
    }).pipe(Effect.provide(Wire.layer())))

  it.effect("may keep the cookie of a link and no other, wherever their page is from", () =>
    Effect.gen(function*() {
      const origin = "https://page.example"
      const ask = (path: string, method: "GET" | "OPTIONS") =>
        Effect.map(
          Wire.send(method, `${Wire.appUrl}/auth/providers/${path}`, { headers: { origin } }),
          ({ headers }) => [headers["access-control-allow-origin"], headers["access-control-allow-credentials"]]
        )
      for (const method of ["GET", "OPTIONS"] as const) {
        for (const query of ["link=true", "state=abc&link=true&providerRedirectHeader=true"]) {
          assert.deepStrictEqual(yield* ask(`oauth2-google/login?${query}`, method), [origin, "true"])
        }
        for (
          const path of ["oauth2-google/login?state=link=true", "oauth2-google/login", "anon-user/login?link=true"]
        ) {
          assert.deepStrictEqual(yield* ask(path, method), ["*", undefined])
        }
      }
    }).pipe(Effect.provide(Wire.layer())))

  it.effect("of other origins are refused once the app lists some", () =>
    Effect.gen(function*() {
      const ask = (origin: string, method: "GET" | "OPTIONS") =>
        Wire.send(method, `${Wire.appUrl}/location`, { headers: { origin } })
      for (const method of ["GET", "OPTIONS"] as const) {
        const listed = yield* ask("https://shop.example", method)
        assert.strictEqual(listed.headers["access-control-allow-origin"], "https://shop.example")
        assert.strictEqual(listed.headers["access-control-allow-credentials"], "true")
        assert.strictEqual(listed.headers["vary"], "Origin")
        const other = yield* ask("https://evil.example", method)
        assertRefusal(other, 403, "DomainNotAllowed", "origin is not allowed by the app")
        assert.isUndefined(other.headers["access-control-allow-origin"])
      }
      assert.strictEqual((yield* Wire.send("GET", `${Wire.appUrl}/location`)).status, 200)
    }).pipe(Effect.provide(Wire.layer({ app: Wire.makeApp({ allowedRequestOrigins: ["https://shop.example"] }) }))))
})

describe("function calls", () => {
  it.effect("answer in canonical Extended JSON, exact to the type", () =>
    Effect.gen(function*() {
      const { access_token } = yield* Wire.logInAnonymous
      const values = [
        { $numberLong: "9007199254740993" },
        { $numberDouble: "1.5" },
        { $date: { $numberLong: "1652297239913" } },
        { $oid: "5f87976b7b800b285345a8b4" },
        { $undefined: true },
        null,
        "Zoë 日本 🎉",
        [{ a: { $numberInt: "1" } }]
      ]
      for (const value of values) {
        const answer = yield* Wire.call(access_token, "echo", value)
        assert.deepStrictEqual(answer.body, value)
        assert.strictEqual(answer.headers["content-type"], "application/json")
      }
      assert.deepStrictEqual((yield* Wire.call(access_token, "echo")).body, { $undefined: true })
    }).pipe(Effect.provide(Wire.layer())))

  it.effect("show the function who calls", () =>
    Effect.gen(function*() {
      const { access_token, user_id } = yield* Wire.newEmailUser("ann@example.com")
      const { fields } = yield* Wire.call(access_token, "whoami")
      assert.strictEqual(fields["id"], user_id)
      assert.strictEqual(fields["type"], "normal")
      assert.deepStrictEqual(fields["data"], { email: "ann@example.com" })
      assert.deepStrictEqual(fields["custom_data"], {})
    }).pipe(Effect.provide(Wire.layer())))

  it.effect("are refused as protocol section 8.2 says", () =>
    Effect.gen(function*() {
      const { access_token } = yield* Wire.logInAnonymous
      const send = (body: unknown) => Wire.send("POST", `${Wire.appUrl}/functions/call`, { token: access_token, body })
      assertRefusal(
        yield* Wire.call(access_token, "missing"),
        404,
        "FunctionNotFound",
        "function not found: 'missing'"
      )
      assertRefusal(yield* Wire.call(access_token, "secret"), 400, "NotCallable", /private/)
      assertRefusal(yield* Wire.call(access_token, "fail"), 400, "FunctionExecutionError", /no luck/)
      const malformed = ["{", [], { name: 1, arguments: [] }, { name: "sum" }]
      for (const body of malformed) {
        assertRefusal(yield* send(body), 400, undefined, /^invalid function call request/)
      }
      const tooMany = { name: "sum", arguments: [Array.from({ length: 500_000 }, () => 1)] }
      for (const body of [tooMany, { name: "sum", arguments: [{ $oid: "no" }] }]) {
        assertRefusal(yield* send(body), 400, "InvalidParameter", /^invalid function call request: Extended JSON/)
      }
      assertRefusal(
        yield* send({ name: "find", service: "mongodb-atlas", arguments: [] }),
        404,
        "ServiceNotFound",
        "service not found: 'mongodb-atlas'"
      )
      const elsewhere = yield* Wire.send("POST", `${Wire.base}/app/other-abcde/functions/call`, {
        token: access_token,
        body: { name: "sum", arguments: [] }
      })
      assertRefusal(elsewhere, 404, undefined, "cannot find app using Client App ID 'other-abcde'")
    }).pipe(Effect.provide(Wire.layer())))
})

describe("options", () => {
  it("of the wrong type fail when the server is made, by name", () => {
    const app = Wire.makeApp()
    assert.throws(() => RealmServer.layer({ app, publicUrl: "realm.example" }), /publicUrl/)
    assert.throws(() => RealmServer.layer({ app, maxBodySize: -1 }), /maxBodySize/)
    assert.throws(() => RealmServer.layer({ app, proxies: -1 }), /proxies/)
    const limits = (limit: number, window: "0 seconds" | "1 hour") => ({ failuresPerPlace: { limit, window } })
    assert.throws(() => RealmServer.layer({ app, limits: limits(0, "1 hour") }), /failuresPerPlace/)
    assert.throws(() => RealmServer.layer({ app, limits: limits(1, "0 seconds") }), /failuresPerPlace/)
    assert.throws(() => RealmServer.layer({ app, accessTokenLifetime: 0 }), /accessTokenLifetime/)
    assert.throws(() => RealmServer.layer({ app, refreshTokenLifetime: "soon" as "1 day" }), /refreshTokenLifetime/)
    assert.throws(() => RealmServer.layer({ app, passwords: { cost: 99 } }), /cost/)
    assert.throws(() => RealmServer.layer({ app, functions: { workers: 0 } }), /workers/)
    // The type forbids it; a program in JavaScript is not told so.
    assert.throws(() => RealmServer.layer({} as RealmServer.Options), /app/)
  })

  it("what an app asks for in vain is said in sentences", () => {
    const warnings = (mail: boolean, emailPassword: Partial<AuthProvider.EmailPassword> | undefined) =>
      RealmServer.warnings(
        AppDefinition.make({ appId: Wire.appId, authProviders: emailPassword === undefined ? {} : { emailPassword } }),
        { mail }
      )
    const pages = { emailConfirmationUrl: "https://shop.example/confirm", resetPasswordUrl: "shop://reset" }
    assert.deepStrictEqual(warnings(false, undefined), [])
    assert.deepStrictEqual(warnings(false, { ...pages, enabled: false }), [])
    assert.deepStrictEqual(warnings(true, pages), [])
    assert.deepStrictEqual(warnings(false, pages).map((warning) => /no mail server is configured/.test(warning)), [
      true,
      true
    ])
    assert.match(warnings(true, { autoConfirm: true }).join(), /resetPasswordUrl is not the URL of a page/)
    assert.match(warnings(true, { ...pages, emailConfirmationUrl: "" }).join(), /emailConfirmationUrl is not/)
  })

  it.effect("that cannot be kept without mails are logged at the start", () => {
    const lines: Array<string> = []
    const server = RealmServer.layer({
      app: AppDefinition.make({ appId: Wire.appId, authProviders: { emailPassword: { autoConfirm: true } } }),
      functions: { workers: 1 }
    }).pipe(Layer.provide([HttpRouter.layer, Database.layerMemory]))
    return Effect.gen(function*() {
      yield* Effect.provide(Effect.void, server)
      assert.match(
        lines.join("\n"),
        /^passwords are reset by mail and none can be sent, so nobody can reset theirs/m
      )
    }).pipe(Effect.provide(Wire.capture(lines)))
  })
})

it.effect("one layer is built twice into two servers that share nothing", () =>
  Effect.gen(function*() {
    const layer = RealmServer.layer({ app: Wire.makeApp(), functions: { workers: 1 } }).pipe(
      Layer.provide(HttpRouter.layer),
      Layer.provide(Database.layerMemory)
    )
    for (let times = 0; times < 2; times++) {
      yield* Effect.provide(Effect.void, layer)
    }
  }))
