import { App, Credentials, EmailPassword, User } from "@effect-realm/client"
import { AppDefinition } from "@effect-realm/server"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, Option } from "effect"
import { TestClock } from "effect/testing"
import { Faults, RealmTest, Requests } from "../src/index.ts"

const definition = AppDefinition.make({
  appId: "shop-abcde",
  authProviders: { anonymous: {}, emailPassword: { autoConfirm: true } },
  customUserData: { databaseName: "shop", collectionName: "people", userIdField: "owner" },
  functions: [
    { name: "sum", source: "exports = (...numbers) => numbers.reduce((a, b) => a + b, 0)" },
    { name: "whoami", source: "exports = () => context.user.id" }
  ]
})

const layer = RealmTest.layer({ app: definition })

// The server of a test hashes and runs functions in real threads: on a busy machine they take their time.
describe("RealmTest", { timeout: 30_000 }, () => {
  it.effect("lives a user's life against a fresh server", () =>
    Effect.gen(function*() {
      const { app, register } = yield* RealmTest.RealmTest
      const user = yield* RealmTest.anonymousUser
      assert.deepStrictEqual(yield* App.currentUser(app), Option.some(user))
      assert.strictEqual(yield* User.callFunction(user, "sum", [1, 2]), 3)
      assert.strictEqual(yield* User.callFunction(user, "whoami"), user.id)
      const { credentials, email } = yield* register()
      yield* User.linkCredentials(user, credentials)
      assert.deepStrictEqual((yield* User.identities(user)).map(({ providerType }) => providerType), [
        "anon-user",
        "local-userpass"
      ])
      assert.strictEqual((yield* User.profile(user)).data["email"], email)
      yield* User.logOut(user)
      const again = yield* App.logIn(app, credentials)
      assert.strictEqual(again.id, user.id)
    }).pipe(Effect.provide(layer)))

  it.effect("gives every test a server and a store of its own", () =>
    Effect.gen(function*() {
      const { app } = yield* RealmTest.RealmTest
      assert.deepStrictEqual(yield* App.allUsers(app), [])
      yield* RealmTest.emailUser({ email: "ann@example.com" })
      const other = yield* Effect.exit(
        RealmTest.emailUser({ email: "ann@example.com" }).pipe(Effect.provide(RealmTest.layer({ app: definition })))
      )
      assert.isTrue(Exit.isSuccess(other))
      assert.strictEqual((yield* App.allUsers(app)).length, 1)
    }).pipe(Effect.provide(layer)))

  it.effect("moves client and server by one clock: sixty days end a session", () =>
    Effect.gen(function*() {
      const requests = yield* Requests.Requests
      const user = yield* RealmTest.emailUser()
      yield* TestClock.adjust("59 days")
      yield* User.refresh(user)
      assert.strictEqual(yield* requests.count({ endpoint: "refreshSession" }), 1)
      yield* TestClock.adjust("2 days")
      const error = yield* Effect.flip(User.callFunction(user, "sum", [1]))
      assert.strictEqual(error._tag, "SessionError")
      assert.strictEqual(yield* User.state(user), "LoggedOut")
    }).pipe(Effect.provide(layer)))

  it.effect("makes one exchange for many callers with an expired token", () =>
    Effect.gen(function*() {
      const requests = yield* Requests.Requests
      const user = yield* RealmTest.anonymousUser
      yield* TestClock.adjust("31 minutes")
      yield* requests.clear
      yield* Effect.forEach(Array.from({ length: 200 }), () => User.refreshProfile(user), { concurrency: "unbounded" })
      assert.strictEqual(yield* requests.count({ endpoint: "refreshSession", userId: user.id }), 1)
      assert.strictEqual(yield* requests.count({ endpoint: "profile" }), 200)
    }).pipe(Effect.provide(layer)))

  it.effect("hands out what an administrator can do", () =>
    Effect.gen(function*() {
      const test = yield* RealmTest.RealmTest
      const ann = yield* RealmTest.emailUser()
      const bob = yield* RealmTest.emailUser()
      yield* test.setCustomData(ann, { colour: "red" })
      assert.strictEqual((yield* User.refreshCustomData(ann))["colour"], "red")
      yield* test.setCustomData(ann, { colour: "blue" })
      assert.strictEqual((yield* User.refreshCustomData(ann))["colour"], "blue")

      assert.strictEqual(yield* test.countSessions(bob), 1)
      assert.strictEqual(yield* test.endSessions(bob), 1)
      assert.strictEqual((yield* Effect.flip(User.callFunction(bob, "sum", [1])))._tag, "SessionError")
      assert.strictEqual(yield* User.state(bob), "LoggedOut")

      assert.isTrue(yield* test.disableUser(ann))
      const refused = yield* Effect.flip(User.callFunction(ann, "sum", [1]))
      assert.isTrue(refused._tag === "SessionError" && refused.reason._tag === "UserDisabled")
      assert.isTrue(yield* test.enableUser(ann))
      assert.isFalse(yield* test.enableUser(new User.User({ ...ann, id: "nobody" })))
    }).pipe(Effect.provide(layer)))

  it.effect("takes faults on top, or around a part of a test", () =>
    Effect.gen(function*() {
      const requests = yield* Requests.Requests
      const user = yield* RealmTest.anonymousUser
      yield* requests.clear
      const lost = yield* Effect.flip(
        User.callFunction(user, "sum", [1]).pipe(
          Faults.inject(Faults.at({ endpoint: "callFunction" }, Faults.dropAfter))
        )
      )
      assert.strictEqual(lost._tag, "TransportError")
      assert.strictEqual(yield* requests.count({ endpoint: "callFunction" }), 1)

      const offline = yield* Effect.flip(
        User.callFunction(user, "sum", [1]).pipe(
          Effect.provide(Faults.layer(Faults.at({}, Faults.dropBefore)))
        )
      )
      assert.strictEqual(offline._tag, "TransportError")
      assert.strictEqual(yield* requests.count({ endpoint: "callFunction" }), 1)

      const stalled = yield* Effect.forkChild(
        Effect.flip(User.callFunction(user, "sum", [1])).pipe(Faults.inject(Faults.at({}, Faults.stallHeaders)))
      )
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* Fiber.join(stalled))._tag, "TransportError")
    }).pipe(Effect.provide(layer)))

  it.effect("lets time pass for faults that take some, and the server's threads have their turn in between", () =>
    Effect.gen(function*() {
      const { app } = yield* RealmTest.RealmTest
      const user = yield* RealmTest.anonymousUser
      const start = yield* Clock.currentTimeMillis
      const slow = Faults.inject(Faults.at({}, Faults.delay("20 seconds", { answer: "10 seconds" })))
      assert.strictEqual(yield* RealmTest.whileTimePasses(slow(User.callFunction(user, "sum", [1, 2]))), 3)
      const passed = (yield* Clock.currentTimeMillis) - start
      assert.isTrue(passed >= 30_000 && passed < 60_000, `${passed} ms have passed`)

      const stalled = Faults.inject(Faults.at({}, Faults.stallBody))
      const error = yield* Effect.flip(RealmTest.whileTimePasses(stalled(App.location(app))))
      assert.strictEqual(error._tag, "TransportError")
      assert.isAtLeast((yield* Clock.currentTimeMillis) - start, passed + 60_000)
    }).pipe(Effect.provide(layer)))

  it.effect("says what an app lacks that a helper needs", () =>
    Effect.gen(function*() {
      const test = yield* RealmTest.RealmTest
      const error = yield* Effect.flip(test.register())
      assert.include(error.message, "set emailConfirmationUrl")
    }).pipe(Effect.provide(
      RealmTest.layer({ app: AppDefinition.make({ appId: "shop-abcde", authProviders: { anonymous: {} } }) })
    )))

  it.effect("keeps the server's mails, and shows the links in them", () =>
    Effect.gen(function*() {
      const test = yield* RealmTest.RealmTest
      const { app } = test
      const account = { email: "zoe@example.com", password: "correct horse" }
      const credentials = Credentials.emailPassword(account)

      yield* test.refuseMails({ _tag: "Unreachable", detail: "connection refused" })
      const down = yield* Effect.flip(EmailPassword.registerUser(app, account))
      assert.isTrue(down._tag === "UnknownServiceError" && down.status === 503)
      yield* test.refuseMails(undefined)

      yield* EmailPassword.registerUser(app, account)
      assert.strictEqual((yield* Effect.flip(App.logIn(app, credentials)))._tag, "AuthError")
      yield* EmailPassword.confirmUser(app, yield* test.linkTo(account.email))
      yield* App.logIn(app, credentials)

      yield* EmailPassword.sendResetPasswordEmail(app, account)
      const link = yield* test.linkTo(account.email)
      yield* EmailPassword.resetPassword(app, { ...link, password: "battery staple" })
      yield* App.logIn(app, Credentials.emailPassword({ ...account, password: "battery staple" }))

      assert.deepStrictEqual((yield* test.outbox).map(({ subject }) => subject), [
        "Confirm your email address",
        "Set a new password"
      ])
      // What the helper registers is confirmed by the link, and logs in.
      yield* RealmTest.emailUser()
      assert.strictEqual((yield* Effect.exit(test.linkTo("nobody@example.com")))._tag, "Failure")
    }).pipe(Effect.provide(RealmTest.layer({
      app: AppDefinition.make({
        appId: "shop-abcde",
        authProviders: {
          emailPassword: {
            emailConfirmationUrl: "https://shop.example/confirm",
            resetPasswordUrl: "https://shop.example/reset"
          }
        }
      })
    }))))

  it.effect("limits wrong passwords as the server does, and the client's error says so", () =>
    Effect.gen(function*() {
      const { app, register } = yield* RealmTest.RealmTest
      const { credentials, email } = yield* register()
      const guess = Effect.flip(App.logIn(app, Credentials.emailPassword({ email, password: "a guess" })))
      const errors = yield* Effect.replicateEffect(guess, 11)
      assert.isTrue(errors.slice(0, 10).every(({ _tag }) => _tag === "AuthError"))
      const last = errors[10]
      assert.isTrue(
        last?._tag === "RequestError" && last.reason._tag === "TooManyRequests" && last.reason.retryAfter === 90_000
      )
      assert.include(last?.message ?? "", "try again in 90 seconds")
      yield* TestClock.adjust("90 seconds")
      yield* App.logIn(app, credentials)
    }).pipe(Effect.provide(layer)))

  it.effect("refuses wrong credentials as the server does", () =>
    Effect.gen(function*() {
      const { app, register } = yield* RealmTest.RealmTest
      const { email } = yield* register()
      const error = yield* Effect.flip(App.logIn(app, Credentials.emailPassword({ email, password: "another one" })))
      assert.isTrue(error._tag === "AuthError" && error.reason._tag === "InvalidPassword")
      assert.deepStrictEqual(yield* App.allUsers(app), [])
    }).pipe(Effect.provide(layer)))
})
