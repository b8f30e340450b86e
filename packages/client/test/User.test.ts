import { assert, describe, it } from "@effect/vitest"
import { Long, ObjectId } from "bson"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Fiber from "effect/Fiber"
import * as Hash from "effect/Hash"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as App from "../src/App.ts"
import * as Credentials from "../src/Credentials.ts"
import * as TokenStore from "../src/TokenStore.ts"
import * as User from "../src/User.ts"
import * as Scripted from "./scripted.ts"

const app = App.make({ id: "shop-abcde", baseUrl: "http://localhost:9090" })
const zoe = Credentials.emailPassword({ email: "zoe@example.com", password: "s3cret!" })
const fields = { appId: "shop-abcde", baseUrl: "http://localhost:9090", id: "u1" }

const line = (sent: Scripted.Sent | undefined) => `${sent?.method} ${sent?.path}`

/** A server whose log-in answers this custom data. */
const withCustomData = (userData: unknown, later?: unknown) =>
  Scripted.make((sent) =>
    sent.path.endsWith("/login")
      ? Scripted.loggedIn("u1", { access_token: Scripted.accessToken("u1", { user_data: userData }) })
      : sent.path.endsWith("/auth/session")
      ? { status: 201, body: { access_token: Scripted.accessToken("u1", { user_data: later, jti: "2" }) } }
      : undefined
  )

describe("A User", () => {
  it("is a value: equal and hashed by what it says, pipeable, checked when it is made", () => {
    const user = User.make(fields)
    assert.isTrue(Equal.equals(user, new User.User(fields)))
    assert.strictEqual(Hash.hash(user), Hash.hash(new User.User(fields)))
    assert.isFalse(Equal.equals(user, new User.User({ ...fields, id: "u2" })))
    assert.isFalse(Equal.equals(user, new User.User({ ...fields, appId: "other" })))
    assert.strictEqual(user.pipe((user) => user.id), "u1")
    assert.throws(() => User.make({ ...fields, id: "" }), /\["id"\]/)
    // A program without types passes whatever it likes.
    const make: (options: never) => unknown = User.make
    assert.throws(() => make({ ...fields, appId: 7 } as never), /\["appId"\]/)
  })

  it("is made of all that it says, and names what is missing", () => {
    const make: (options: never) => unknown = User.make
    assert.throws(() => make(undefined as never), Schema.SchemaError, `["appId"]`)
    assert.throws(() => make({ appId: "a", baseUrl: "http://x.test" } as never), Schema.SchemaError, `["id"]`)
  })

  it("survives JSON", () => {
    const user = new User.User(fields)
    const json = JSON.stringify(user)
    assert.deepStrictEqual(JSON.parse(json), { _tag: "User", ...fields })
    const read = Schema.decodeSync(Schema.fromJsonString(Schema.toCodecJson(User.User)))(json)
    assert.instanceOf(read, User.User)
    assert.isTrue(Equal.equals(read, user))
  })

  it.effect("is the same user to every operation after it was read back", () =>
    Scripted.asUser(Scripted.make(), (user) =>
      Effect.gen(function*() {
        const read = Schema.decodeSync(Schema.fromJsonString(Schema.toCodecJson(User.User)))(JSON.stringify(user))
        assert.isTrue(yield* User.isLoggedIn(read))
        assert.strictEqual(yield* User.callFunction(read, "sum", [1, 2]), 3)
      })))
})

describe("User.callFunction", () => {
  it.effect("sends name and arguments in canonical Extended JSON, with the user's access token", () => {
    const server = Scripted.make()
    return Scripted.asUser(server, (user, sent) =>
      Effect.gen(function*() {
        assert.strictEqual(yield* User.callFunction(user, "data/v1/sum", [1, 2.5, "text", null]), 3)
        assert.strictEqual(
          yield* user.pipe(User.callFunction("f", [{
            id: new ObjectId("5f87976b7b800b285345a8b4"),
            big: Long.fromString("9007199254740993"),
            when: new Date(0)
          }])),
          3
        )
        yield* User.callFunction(user, "nothing")
        assert.deepStrictEqual(sent().map((one) => one.body), [
          { name: "data/v1/sum", arguments: [{ $numberInt: "1" }, { $numberDouble: "2.5" }, "text", null] },
          {
            name: "f",
            arguments: [{
              id: { $oid: "5f87976b7b800b285345a8b4" },
              big: { $numberLong: "9007199254740993" },
              when: { $date: { $numberLong: "0" } }
            }]
          },
          { name: "nothing", arguments: [] }
        ])
        for (const one of sent()) {
          assert.strictEqual(line(one), "POST /api/client/v2.0/app/shop-abcde/functions/call")
          assert.strictEqual(one.headers["authorization"], `Bearer ${Scripted.accessToken("u1")}`)
          assert.strictEqual(one.headers["content-type"], "application/json")
        }
      }))
  })

  it.effect("answers the result exactly: an int64 is never rounded", () => {
    const results: ReadonlyArray<readonly [unknown, unknown]> = [
      [{ $numberLong: "9007199254740993" }, Long.fromString("9007199254740993")],
      ["text", "text"],
      [null, null],
      [{ error: "a function may answer this", error_code: "too" }, {
        error: "a function may answer this",
        error_code: "too"
      }],
      [[{ $numberInt: "1" }, { $date: { $numberLong: "0" } }], [1, new Date(0)]]
    ]
    return Effect.forEach(
      results,
      ([body, expected]) =>
        Scripted.asUser(
          Scripted.make((sent) => sent.path.endsWith("/call") ? { body } : undefined),
          (user) => Effect.map(User.callFunction(user, "f"), (result) => assert.deepEqual(result, expected))
        ),
      { discard: true }
    )
  })

  it.effect("decodes the result by the caller's schema, and says what did not fit", () =>
    Scripted.asUser(Scripted.make(), (user) =>
      Effect.gen(function*() {
        assert.strictEqual(yield* User.callFunction(user, "sum", [1, 2], Schema.Int), 3)
        const error = yield* Effect.flip(User.callFunction(user, "sum", [1, 2], Schema.Struct({ total: Schema.Int })))
        assert.strictEqual(error._tag, "SchemaMismatchError")
        assert.include(error.message, "result of sum")
      })))

  it.effect("sends nothing when an argument has no Extended JSON form", () => {
    const server = Scripted.make()
    return Scripted.asUser(server, (user, sent) =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(User.callFunction(user, "f", [1, { a: () => 1 }]))
        assert.strictEqual(error._tag, "EjsonError")
        assert.include(error.message, "args[1].a")
        assert.deepStrictEqual(sent(), [])
      }))
  })

  it("names the argument that is wrong, when the call is made and not when it runs", () => {
    // A program without types passes whatever it likes.
    const call: (...args: ReadonlyArray<never>) => unknown = User.callFunction
    const calls: ReadonlyArray<readonly [string, ReadonlyArray<unknown>]> = [
      ["name", [7]],
      ["name", [undefined]],
      ["arguments", ["f", 7]],
      ["arguments", ["f", { a: 1 }]]
    ]
    for (const [field, args] of calls) {
      assert.throws(
        () => call(...[new User.User(fields), ...args] as never as ReadonlyArray<never>),
        new RegExp(`\\["${field}"\\]`)
      )
    }
  })

  it.effect("fails typed when the answer is longer than a text can be", () =>
    Effect.gen(function*() {
      const user = yield* App.logIn(app, Credentials.anonymous())
      // What the decoder of text throws then.
      const endless = new Response(null, { headers: { "content-type": "application/json" } })
      Object.defineProperty(endless, "arrayBuffer", { value: () => Promise.resolve(Symbol("too long")) })
      const client = HttpClient.make((request) => Effect.succeed(HttpClientResponse.fromWeb(request, endless)))
      const error = yield* User.callFunction(user, "f").pipe(
        Effect.provideService(HttpClient.HttpClient, client),
        Effect.flip
      )
      assert.strictEqual(error._tag, "InvalidResponseError")
      assert.isTrue(yield* User.isLoggedIn(user))
    }).pipe(Effect.provide([Scripted.make().layer, TokenStore.layerMemory])))

  it.effect("fails typed when the result is no Extended JSON", () =>
    Scripted.asUser(
      Scripted.make((sent) => sent.path.endsWith("/call") ? { body: { $oid: "no" } } : undefined),
      (user) =>
        Effect.gen(function*() {
          const error = yield* Effect.flip(User.callFunction(user, "f"))
          assert.strictEqual(error._tag, "InvalidResponseError")
        })
    ))

  it.effect("fails with what the function threw", () =>
    Scripted.asUser(
      Scripted.make((sent) =>
        sent.path.endsWith("/call") ? Scripted.refusal(400, "out of stock", "FunctionExecutionError") : undefined
      ),
      (user) =>
        Effect.gen(function*() {
          const message = yield* User.callFunction(user, "buy").pipe(
            Effect.catchReason("FunctionError", "FunctionExecutionError", (reason) => Effect.succeed(reason.message))
          )
          assert.strictEqual(message, "out of stock")
        })
    ))
})

describe("User.linkCredentials", () => {
  it.effect("sends the credentials with link=true and the user's token, and keeps the refresh token", () => {
    let linked = false
    const server = Scripted.make((sent) => {
      if (sent.path.endsWith("link=true")) {
        linked = true
        return Scripted.loggedIn("u1", {
          refresh_token: null,
          access_token: Scripted.accessToken("u1", { jti: "linked", user_data: { vip: true } })
        })
      }
      return sent.path.endsWith("/profile") && linked
        ? Scripted.profile({
          identities: [{ id: "i1", provider_type: "local-userpass" }, { id: "i2", provider_type: "custom-function" }]
        })
        : undefined
    })
    return Scripted.asUser(server, (user, sent) =>
      Effect.gen(function*() {
        yield* user.pipe(User.linkCredentials(Credentials.function({ ticket: "t-1" })))
        const [link, profile, ...more] = sent()
        assert.deepStrictEqual(more, [])
        assert.strictEqual(
          line(link),
          "POST /api/client/v2.0/app/shop-abcde/auth/providers/custom-function/login?link=true"
        )
        assert.strictEqual(link!.headers["authorization"], `Bearer ${Scripted.accessToken("u1")}`)
        assert.include(link!.body, { ticket: "t-1" })
        assert.strictEqual(
          profile!.headers["authorization"],
          `Bearer ${Scripted.accessToken("u1", { jti: "linked", user_data: { vip: true } })}`
        )
        assert.deepStrictEqual((yield* User.identities(user)).map((identity) => identity.providerType), [
          "local-userpass",
          "custom-function"
        ])
        assert.strictEqual(Redacted.value(yield* User.refreshToken(user)), "refresh-u1")
        assert.deepStrictEqual(yield* User.customData(user), { vip: true })
        assert.strictEqual(yield* User.providerType(user), "local-userpass")
      }))
  })

  it.effect("refuses an answer for another user, and changes nothing", () =>
    Scripted.asUser(
      Scripted.make((sent) => sent.path.endsWith("link=true") ? Scripted.loggedIn("u2") : undefined),
      (user) =>
        Effect.gen(function*() {
          const before = yield* User.identities(user)
          const error = yield* Effect.flip(User.linkCredentials(user, zoe))
          assert.strictEqual(error._tag, "InvalidResponseError")
          assert.deepStrictEqual(yield* User.identities(user), before)
        })
    ))
})

describe("Custom data", () => {
  const Preferences = Schema.Struct({ color: Schema.String, size: Schema.Int })

  it.effect("is read from the token, as Extended JSON and as UTF-8", () =>
    Scripted.asUser(
      withCustomData({ name: "Zoë 日本 🎉", size: { $numberInt: "5" }, big: { $numberLong: "9007199254740993" } }),
      (user) =>
        Effect.gen(function*() {
          assert.deepEqual(yield* User.customData(user), {
            name: "Zoë 日本 🎉",
            size: 5,
            big: Long.fromString("9007199254740993")
          })
        })
    ))

  it.effect("is empty when the token has none", () =>
    Effect.forEach(
      [undefined, null, {}],
      (none) =>
        Scripted.asUser(withCustomData(none), (user) =>
          Effect.map(User.customData(user), (data) => assert.deepStrictEqual(data, {}))),
      { discard: true }
    ))

  it.effect("is decoded by the caller's schema, data-first and data-last, and says what did not fit", () =>
    Scripted.asUser(
      withCustomData({ color: "red", size: { $numberInt: "5" } }, { color: 7 }),
      (user) =>
        Effect.gen(function*() {
          assert.deepStrictEqual(yield* User.customData(user, Preferences), { color: "red", size: 5 })
          assert.deepStrictEqual(yield* user.pipe(User.customData(Preferences)), { color: "red", size: 5 })
          const error = yield* Effect.flip(User.refreshCustomData(user, Preferences))
          assert.strictEqual(error._tag, "SchemaMismatchError")
          assert.include(error.message, "custom data")
          assert.deepStrictEqual(yield* User.customData(user), { color: 7 }, "it was committed all the same")
        })
    ))

  it.effect("that is no Extended JSON fails typed, with the path, and harms nothing else", () =>
    Scripted.asUser(withCustomData({ when: { $date: "soon" } }), (user) =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(User.customData(user))
        assert.strictEqual(error._tag, "EjsonError")
        assert.include(error.message, "customData.when")
        assert.strictEqual(yield* User.callFunction(user, "sum"), 3)
      })))

  it.effect("is read anew by refreshCustomData, and stays readable after a log-out", () => {
    const server = withCustomData({ color: "red" }, { color: "blue" })
    return Scripted.asUser(server, (user, sent) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* User.refreshCustomData(user), { color: "blue" })
        assert.deepStrictEqual(sent().map(line), ["POST /api/client/v2.0/auth/session"])
        assert.strictEqual(sent()[0]!.headers["authorization"], "Bearer refresh-u1")
        assert.isUndefined(sent()[0]!.body)
        yield* User.logOut(user)
        assert.deepStrictEqual(yield* User.customData(user), { color: "blue" })
      }))
  })

  it.effect("with a key named __proto__ changes no other object", () =>
    Scripted.asUser(
      withCustomData(JSON.parse(`{"__proto__":{"polluted":true},"a":1}`)),
      (user) =>
        Effect.gen(function*() {
          const data = yield* User.customData(user)
          assert.isUndefined(Reflect.get({}, "polluted"))
          assert.isUndefined(data["polluted"])
          assert.strictEqual(data["a"], 1)
        })
    ))
})

describe("The profile", () => {
  const data = { first_name: "Zoë", since: { $date: { $numberLong: "0" } }, visits: { $numberInt: "3" } }
  const server = () => Scripted.make((sent) => sent.path.endsWith("/profile") ? Scripted.profile({ data }) : undefined)

  it.effect("has realm-web's names and BSON values, and stays readable after a log-out", () =>
    Scripted.asUser(server(), (user) =>
      Effect.gen(function*() {
        yield* User.logOut(user)
        assert.deepStrictEqual(yield* User.profile(user), {
          type: "normal",
          identities: [{ id: "i1", providerType: "local-userpass" }],
          data: { firstName: "Zoë", since: new Date(0), visits: 3 }
        })
      })))

  it.effect("is read anew by refreshProfile with the user's token", () =>
    Scripted.asUser(server(), (user, sent) =>
      Effect.gen(function*() {
        const profile = yield* User.refreshProfile(user)
        assert.deepStrictEqual(profile.data["since"], new Date(0))
        assert.deepStrictEqual(sent().map(line), ["GET /api/client/v2.0/auth/profile"])
        assert.strictEqual(sent()[0]!.headers["authorization"], `Bearer ${Scripted.accessToken("u1")}`)
      })))

  it.effect("with a value that is no Extended JSON fails typed, with the path", () =>
    Scripted.asUser(
      Scripted.make((sent) =>
        sent.path.endsWith("/profile") ? Scripted.profile({ data: { since: { $date: "soon" } } }) : undefined
      ),
      (user) =>
        Effect.gen(function*() {
          const error = yield* Effect.flip(User.profile(user))
          assert.strictEqual(error._tag, "EjsonError")
          assert.include(error.message, "profile.since")
          assert.strictEqual((yield* User.identities(user)).length, 1)
        })
    ))

  it.effect("without a type is of a normal user", () =>
    Scripted.asUser(
      Scripted.make((sent) => sent.path.endsWith("/profile") ? Scripted.profile({ type: undefined }) : undefined),
      (user) => Effect.map(User.profile(user), (profile) => assert.strictEqual(profile.type, "normal"))
    ))
})

describe("Tokens", () => {
  const exchanges = (sent: ReadonlyArray<Scripted.Sent>) =>
    sent.filter((one) => line(one) === "POST /api/client/v2.0/auth/session").length

  it.effect("an access token that will live for the margin is answered as it is, else a new one", () =>
    Scripted.asUser(Scripted.make(), (user, sent) =>
      Effect.gen(function*() {
        const first = yield* User.accessToken(user)
        assert.strictEqual(Redacted.value(first), Scripted.accessToken("u1"))
        assert.strictEqual(exchanges(sent()), 0)
        yield* TestClock.adjust("29 minutes")
        yield* User.accessToken(user)
        assert.strictEqual(exchanges(sent()), 0, "30 seconds by default")
        const second = yield* user.pipe(User.accessToken({ margin: "2 minutes" }))
        assert.strictEqual(exchanges(sent()), 1)
        assert.notStrictEqual(Redacted.value(second), Redacted.value(first))
        assert.strictEqual(
          Redacted.value(yield* User.accessToken(user, { margin: "29 minutes" })),
          Redacted.value(second)
        )
        yield* TestClock.adjust(1_771_000)
        yield* User.accessToken(user)
        assert.strictEqual(exchanges(sent()), 2)
      })))

  it.effect("refresh makes an exchange whatever is left, and forgets nothing", () =>
    Scripted.asUser(Scripted.make(), (user, sent) =>
      Effect.gen(function*() {
        yield* User.refresh(user)
        assert.strictEqual(exchanges(sent()), 1)
        assert.strictEqual(Redacted.value(yield* User.refreshToken(user)), "refresh-u1")
        assert.strictEqual((yield* User.identities(user)).length, 1)
      })))
})

describe("What is known here", () => {
  it.effect("of a stranger is that nobody is known, and asking sends nothing", () => {
    const server = Scripted.make()
    const stranger = new User.User({ ...fields, id: "stranger" })
    return Effect.gen(function*() {
      assert.strictEqual(yield* User.state(stranger), "Removed")
      assert.isFalse(yield* User.isLoggedIn(stranger))
      for (
        const read of [
          User.profile(stranger),
          User.identities(stranger),
          User.providerType(stranger),
          User.customData(stranger),
          User.deviceId(stranger),
          User.refreshToken(stranger),
          User.accessToken(stranger),
          User.refresh(stranger),
          User.refreshProfile(stranger),
          User.callFunction(stranger, "sum"),
          User.linkCredentials(stranger, zoe)
        ]
      ) {
        const error = yield* Effect.flip<
          unknown,
          { readonly _tag: string },
          HttpClient.HttpClient | TokenStore.TokenStore
        >(
          read
        )
        assert.strictEqual(error._tag, "NotLoggedInError")
      }
      yield* User.logOut(stranger)
      assert.deepStrictEqual(server.sent, [])
    }).pipe(Effect.provide(server.layer), Effect.provide(TokenStore.layerMemory))
  })

  it.effect("of a user who logged out is everything but the tokens", () =>
    Scripted.asUser(Scripted.make(), (user, sent) =>
      Effect.gen(function*() {
        yield* User.logOut(user)
        assert.strictEqual(line(sent().at(-1)), "DELETE /api/client/v2.0/auth/session")
        assert.strictEqual(yield* User.state(user), "LoggedOut")
        assert.strictEqual(yield* User.providerType(user), "local-userpass")
        for (const read of [User.refreshToken(user), User.accessToken(user)]) {
          const error = yield* Effect.flip<
            unknown,
            User.AccessTokenError,
            HttpClient.HttpClient | TokenStore.TokenStore
          >(
            read
          )
          assert.isTrue(error._tag === "NotLoggedInError" && error.state === "LoggedOut")
        }
        yield* User.logOut(user)
        assert.strictEqual(sent().length, 1)
      })))
})

describe("User.events", () => {
  it.effect("begin with the state and the profile, and end when the user is removed", () =>
    Scripted.asUser(Scripted.make(), (user) =>
      Effect.gen(function*() {
        const listener = yield* Effect.forkChild(Stream.runCollect(User.events(user)), { startImmediately: true })
        yield* User.refresh(user)
        yield* User.refreshProfile(user)
        yield* User.logOut(user)
        yield* App.logIn(app, zoe)
        yield* App.removeUser(app, user)
        const [snapshot, ...events] = yield* Fiber.join(listener)
        assert.deepStrictEqual(snapshot, {
          _tag: "Snapshot",
          missed: 0,
          state: {
            state: "LoggedIn",
            profile: Option.some({
              type: "normal",
              identities: [{ id: "i1", providerType: "local-userpass" }],
              data: {}
            })
          }
        })
        assert.deepStrictEqual(events.map((event) => event._tag), [
          "AccessTokenRefreshed",
          "ProfileRefreshed",
          "LoggedOut",
          "LoggedIn",
          "Removed"
        ])
      })))

  it.effect("of a user nobody knows are one snapshot that says so", () =>
    Effect.gen(function*() {
      const events = yield* Stream.runCollect(User.events(new User.User(fields)))
      assert.deepStrictEqual(events, [
        { _tag: "Snapshot", missed: 0, state: { state: "Removed", profile: Option.none() } }
      ])
    }).pipe(Effect.provide(TokenStore.layerMemory)))
})
