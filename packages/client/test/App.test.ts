import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import type * as HttpClient from "effect/http/HttpClient"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { createRequire } from "node:module"
import * as App from "../src/App.ts"
import * as Credentials from "../src/Credentials.ts"
import { version } from "../src/internal/version.ts"
import * as TokenStore from "../src/TokenStore.ts"
import * as User from "../src/User.ts"
import * as Scripted from "./scripted.ts"

const app = App.make({ id: "shop-abcde", baseUrl: "http://localhost:9090" })
const zoe = Credentials.emailPassword({ email: "zoe@example.com", password: "s3cret!" })

/** Runs a test with a server and a fresh store. */
const withServer = <A, E>(
  server: Scripted.Scripted,
  test: Effect.Effect<A, E, HttpClient.HttpClient | TokenStore.TokenStore>
) => test.pipe(Effect.provide(server.layer), Effect.provide(TokenStore.layerMemory))

const device = { platform: "effect", platformVersion: version, sdkVersion: version }

describe("App.make", () => {
  it("takes the slashes off the end of the base URL, and leaves a path in front", () => {
    assert.strictEqual(App.make({ id: "a", baseUrl: "https://x.test///" }).baseUrl, "https://x.test")
    assert.strictEqual(App.make({ id: "a", baseUrl: "https://x.test/realm/" }).baseUrl, "https://x.test/realm")
  })

  it("names the field that is wrong", () => {
    const wrong: ReadonlyArray<readonly [string, unknown]> = [
      ["id", { id: "", baseUrl: "http://x.test" }],
      ["id", { id: 7, baseUrl: "http://x.test" }],
      ["id", { baseUrl: "http://x.test" }],
      ["id", undefined],
      ["id", null],
      ["baseUrl", { id: "a" }],
      ["baseUrl", { id: "a", baseUrl: 7 }],
      ["baseUrl", { id: "a", baseUrl: "" }],
      ["baseUrl", { id: "a", baseUrl: "localhost:9090" }],
      ["baseUrl", { id: "a", baseUrl: "ftp://x.test" }],
      ["baseUrl", { id: "a", baseUrl: "http://ann:s3cret@x.test" }],
      ["baseUrl", { id: "a", baseUrl: "http://x.test?a=1" }],
      ["baseUrl", { id: "a", baseUrl: "http://x.test/#a" }],
      ["baseUrl", { id: "a", baseUrl: " http://x.test" }]
    ]
    for (const [field, options] of wrong) {
      // A program without types passes whatever it likes.
      const make: (options: never) => unknown = App.make
      assert.throws(() => make(options as never), new RegExp(`\\["${field}"\\]`), JSON.stringify(options))
    }
  })

  it("makes values: equal when they are for the same app, pipeable, and plain JSON", () => {
    assert.isTrue(Equal.equals(app, App.make({ id: "shop-abcde", baseUrl: "http://localhost:9090/" })))
    assert.isFalse(Equal.equals(app, App.make({ id: "shop-abcde", baseUrl: "http://localhost:9091" })))
    assert.strictEqual(app.pipe((app) => app.id), "shop-abcde")
    assert.deepStrictEqual(JSON.parse(JSON.stringify(app)), {
      _tag: "App",
      id: "shop-abcde",
      baseUrl: "http://localhost:9090"
    })
  })
})

describe("App.logIn", () => {
  const logIns = {
    anonymous: [Credentials.anonymous(), "anon-user", { options: { device } }],
    "email and password": [zoe, "local-userpass", {
      username: "zoe@example.com",
      password: "s3cret!",
      options: { device }
    }],
    "by function": [
      Credentials.function({ ticket: "t-1", count: 2, options: "overwritten" }),
      "custom-function",
      { ticket: "t-1", count: { $numberInt: "2" }, options: { device } }
    ]
  } as const

  for (const [name, [credentials, provider, body]] of Object.entries(logIns)) {
    it.effect(`${name} sends its credentials without a token, then reads the profile with the new one`, () => {
      const server = Scripted.make()
      return withServer(
        server,
        Effect.gen(function*() {
          const user = yield* App.logIn(app, credentials)
          assert.isTrue(
            Equal.equals(user, new User.User({ appId: "shop-abcde", baseUrl: "http://localhost:9090", id: "u1" }))
          )
          const [logIn, profile, ...more] = server.sent
          assert.deepStrictEqual(more, [])
          assert.deepStrictEqual(logIn, {
            method: "POST",
            path: `/api/client/v2.0/app/shop-abcde/auth/providers/${provider}/login`,
            headers: logIn!.headers,
            body
          })
          assert.strictEqual(logIn!.headers["content-type"], "application/json")
          assert.strictEqual(logIn!.headers["accept"], "application/json")
          assert.isUndefined(logIn!.headers["authorization"])
          assert.strictEqual(`${profile!.method} ${profile!.path}`, "GET /api/client/v2.0/auth/profile")
          assert.strictEqual(profile!.headers["authorization"], `Bearer ${Scripted.accessToken("u1")}`)
          assert.isUndefined(profile!.body)
          assert.strictEqual(yield* User.providerType(user), provider)
        })
      )
    })
  }

  it.effect("tells the server the device id that it gave, as an ObjectId", () => {
    const server = Scripted.make((sent) =>
      sent.path.endsWith("/login")
        ? Scripted.loggedIn("u1", { device_id: "5f87976b7b800b285345a8b4" })
        : undefined
    )
    return withServer(
      server,
      Effect.gen(function*() {
        const user = yield* App.logIn(app, zoe)
        yield* App.logIn(app, zoe)
        yield* App.logIn(app, Credentials.function({}))
        yield* App.logIn(App.make({ id: "other-app", baseUrl: app.baseUrl }), zoe)
        const withDevice = { ...device, deviceId: { $oid: "5f87976b7b800b285345a8b4" } }
        const sent = server.sent.filter((one) => one.path.endsWith("/login")).map((one) =>
          Object(one.body).options.device
        )
        assert.deepStrictEqual(sent, [device, withDevice, withDevice, device])
        assert.deepStrictEqual(yield* User.deviceId(user), Option.some("5f87976b7b800b285345a8b4"))
      })
    )
  })

  it.effect("has no device id when the server gave none", () =>
    withServer(
      Scripted.make(),
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* User.deviceId(yield* App.logIn(app, zoe)), Option.none())
      })
    ))

  it.effect("fails typed, and remembers nobody, when the answer lacks the refresh token or is for somebody else", () =>
    Effect.forEach(
      [
        { refresh_token: undefined },
        { refresh_token: null },
        { refresh_token: "" },
        { user_id: "u2" },
        { access_token: "no-token" },
        { access_token: Scripted.token({ sub: "u1" }) }
      ],
      (wrong) => {
        const server = Scripted.make((sent) =>
          sent.path.endsWith("/login") ? Scripted.loggedIn("u1", wrong) : undefined
        )
        return withServer(
          server,
          Effect.gen(function*() {
            const error = yield* Effect.flip(App.logIn(app, zoe))
            assert.strictEqual(error._tag, "InvalidResponseError")
            assert.notInclude(String(error), "refresh-u1")
            assert.deepStrictEqual(yield* App.allUsers(app), [])
            assert.deepStrictEqual(yield* App.currentUser(app), Option.none())
          })
        )
      },
      { discard: true }
    ))

  it.effect("takes an anonymous user again who is logged in here, sends nothing, and makes them current", () => {
    let users = 0
    const server = Scripted.make((sent) =>
      sent.path.endsWith("/login")
        ? Scripted.loggedIn(`u${++users}`)
        : sent.path.endsWith("/profile")
        ? Scripted.profile({ identities: [{ id: "i", provider_type: users === 1 ? "anon-user" : "local-userpass" }] })
        : undefined
    )
    return withServer(
      server,
      Effect.gen(function*() {
        const first = yield* App.logIn(app, Credentials.anonymous())
        yield* App.logIn(app, zoe)
        const before = server.sent.length
        assert.isTrue(Equal.equals(yield* App.logIn(app, Credentials.anonymous()), first))
        assert.strictEqual(server.sent.length, before)
        assert.isTrue(Option.exists(yield* App.currentUser(app), (user) => user.id === "u1"))
        yield* User.logOut(first)
        assert.strictEqual((yield* App.logIn(app, Credentials.anonymous())).id, "u3", "logged out, so not taken again")
        assert.strictEqual((yield* App.logIn(app, Credentials.anonymous({ reuse: false }))).id, "u4")
      })
    )
  })

  it.effect("does not take an anonymous user again who has got another identity", () => {
    let users = 0
    const server = Scripted.make((sent) => sent.path.endsWith("/login") ? Scripted.loggedIn(`u${++users}`) : undefined)
    return withServer(
      server,
      Effect.gen(function*() {
        yield* App.logIn(app, Credentials.anonymous())
        assert.strictEqual((yield* App.logIn(app, Credentials.anonymous())).id, "u2")
      })
    )
  })

  it("takes credentials and nothing else, which it does not show", () => {
    // A program without types passes whatever it likes.
    const logIn: (app: App.App, credentials: never) => unknown = App.logIn
    for (const wrong of [undefined, {}, "s3cret!", { _tag: "s3cret!" }]) {
      assert.throws(
        () => logIn(app, wrong as never),
        /^credentials: expected a value that the module Credentials made$/
      )
    }
  })

  it.effect("refuses with the server's reason", () => {
    const server = Scripted.make(() => Scripted.refusal(401, "unauthorized", "InvalidPassword"))
    return withServer(
      server,
      Effect.gen(function*() {
        const advice = yield* App.logIn(app, zoe).pipe(
          Effect.catchReason("AuthError", "InvalidPassword", (reason) => Effect.succeed(reason.message))
        )
        assert.strictEqual(advice, "unauthorized")
        assert.strictEqual(server.sent.length, 1)
      })
    )
  })

  it("tells the server the version that the package has", () => {
    assert.strictEqual(createRequire(import.meta.url)("../package.json").version, version)
  })
})

describe("The users of an app", () => {
  const three = () => {
    let users = 0
    return Scripted.make((sent) => sent.path.endsWith("/login") ? Scripted.loggedIn(`u${++users}`) : undefined)
  }

  it.effect("are listed in the order of their log-in, and one of them is current", () =>
    withServer(
      three(),
      Effect.gen(function*() {
        const first = yield* App.logIn(app, zoe)
        const second = yield* App.logIn(app, zoe)
        assert.deepStrictEqual(yield* App.allUsers(app), [first, second])
        assert.deepStrictEqual(yield* App.currentUser(app), Option.some(second))
        yield* app.pipe(App.switchUser(first))
        assert.deepStrictEqual(yield* App.currentUser(app), Option.some(first))
        yield* User.logOut(second)
        const error = yield* Effect.flip(App.switchUser(app, second))
        assert.strictEqual(error._tag, "NotLoggedInError")
        assert.deepStrictEqual(yield* App.currentUser(app), Option.some(first))
      })
    ))

  it.effect("are removed here first, then their session is ended with its refresh token", () => {
    const server = three()
    return withServer(
      server,
      Effect.gen(function*() {
        const user = yield* App.logIn(app, zoe)
        yield* App.removeUser(app, user)
        assert.deepStrictEqual(yield* App.allUsers(app), [])
        const sent = server.sent.at(-1)!
        assert.strictEqual(`${sent.method} ${sent.path}`, "DELETE /api/client/v2.0/auth/session")
        assert.strictEqual(sent.headers["authorization"], "Bearer refresh-u1")
        assert.isUndefined(sent.body)
        yield* App.removeUser(app, user)
        assert.strictEqual(server.sent.at(-1), sent, "twice is success, and sends nothing")
      })
    )
  })

  it.effect("are deleted with their own access token, whoever is current", () => {
    const server = three()
    return withServer(
      server,
      Effect.gen(function*() {
        const first = yield* App.logIn(app, zoe)
        const second = yield* App.logIn(app, zoe)
        yield* App.deleteUser(app, first)
        const sent = server.sent.at(-1)!
        assert.strictEqual(`${sent.method} ${sent.path}`, "DELETE /api/client/v2.0/auth/delete")
        assert.strictEqual(sent.headers["authorization"], `Bearer ${Scripted.accessToken("u1")}`)
        assert.deepStrictEqual(yield* App.allUsers(app), [second])
      })
    )
  })

  it.effect("stay when the server does not delete them", () => {
    const server = Scripted.make((sent) =>
      sent.path.endsWith("/delete") ? Scripted.refusal(500, "error processing request") : undefined
    )
    return withServer(
      server,
      Effect.gen(function*() {
        const user = yield* App.logIn(app, zoe)
        assert.strictEqual((yield* Effect.flip(App.deleteUser(app, user)))._tag, "UnknownServiceError")
        assert.deepStrictEqual(yield* App.allUsers(app), [user])
        assert.isTrue(yield* User.isLoggedIn(user))
      })
    )
  })
})

describe("App.location", () => {
  it.effect("reads where the app is, without a token", () => {
    const server = Scripted.make()
    return withServer(
      server,
      Effect.gen(function*() {
        yield* App.logIn(app, zoe)
        const location = yield* App.location(app)
        assert.deepStrictEqual(location, {
          deploymentModel: "LOCAL",
          location: "IE",
          hostname: "http://localhost:9090",
          wsHostname: "ws://localhost"
        })
        const sent = server.sent.at(-1)!
        assert.strictEqual(`${sent.method} ${sent.path}`, "GET /api/client/v2.0/app/shop-abcde/location")
        assert.isUndefined(sent.headers["authorization"])
      })
    )
  })

  it.effect("names an app that is not there", () =>
    withServer(
      Scripted.make(() => Scripted.refusal(404, "cannot find app using Client App ID 'shop-abcde'")),
      Effect.gen(function*() {
        const error = yield* Effect.flip(App.location(app))
        assert.isTrue(error._tag === "AppError" && error.reason._tag === "AppNotFound")
      })
    ))

  it.effect("puts the app id into the path as one segment, whatever is in it", () => {
    const server = Scripted.make()
    return withServer(
      server,
      Effect.gen(function*() {
        yield* App.location(App.make({ id: "../a/b?c#d ë", baseUrl: "http://localhost:9090" }))
        assert.strictEqual(server.sent[0]!.path, "/api/client/v2.0/app/..%2Fa%2Fb%3Fc%23d%20%C3%AB/location")
      })
    )
  })
})

describe("Trace headers", () => {
  const traces = ["traceparent", "tracestate", "b3", "baggage"]
  const run = (server: Scripted.Scripted) =>
    withServer(
      server,
      Effect.gen(function*() {
        const user = yield* App.logIn(app, zoe)
        yield* User.callFunction(user, "sum")
        yield* User.refresh(user)
        yield* User.logOut(user)
      })
    ).pipe(Effect.withSpan("a program that is traced"))

  it.effect("never go to the server", () => {
    const server = Scripted.make()
    return Effect.map(run(server), () => {
      const names = new Set(server.sent.flatMap((sent) => Object.keys(sent.headers)))
      assert.deepStrictEqual(traces.filter((name) => names.has(name)), [])
    })
  })

  it.effect("go with every request when the program asks for them", () => {
    const server = Scripted.make()
    return Effect.map(Effect.provideService(run(server), App.TracePropagation, true), () => {
      assert.isTrue(server.sent.every((sent) => "traceparent" in sent.headers))
    })
  })
})

describe("Secrets", () => {
  it.effect("are in no printed value", () =>
    withServer(
      Scripted.make(),
      Effect.gen(function*() {
        const user = yield* App.logIn(app, zoe)
        const store = yield* TokenStore.TokenStore
        const record = yield* store.get({ appId: app.id, userId: user.id })
        const printed = [zoe, Credentials.function({ ticket: "s3cret!" }), user, record].map((value) =>
          `${String(value)} ${JSON.stringify(value)}`
        ).join("\n")
        for (const secret of ["s3cret!", "refresh-u1", Scripted.accessToken("u1")]) assert.notInclude(printed, secret)
        assert.strictEqual(Redacted.value(yield* User.refreshToken(user)), "refresh-u1")
      })
    ))
})
