import { App, Credentials, Push, TokenStore, User } from "@effect-realm/client"
import { AppDefinition, Push as ServerPush } from "@effect-realm/server"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { Faults, RealmTest, Requests } from "../src/index.ts"

const layer = RealmTest.layer({
  app: AppDefinition.make({
    appId: "shop-abcde",
    authProviders: { anonymous: {}, emailPassword: { autoConfirm: true } },
    pushServices: [{ name: "gcm" }]
  })
})

const token = Redacted.make("token of the phone")

describe("Push between client and server", { timeout: 30_000 }, () => {
  it.effect("a device registers and deregisters, each twice, and what is sent to its user is seen", () =>
    Effect.gen(function*() {
      const { pushes, pushRegistrations } = yield* RealmTest.RealmTest
      const push = yield* ServerPush.Push
      const user = yield* RealmTest.anonymousUser
      yield* Push.register(user, "gcm", token)
      yield* user.pipe(Push.register("gcm", token))
      assert.deepStrictEqual((yield* pushRegistrations(user, "gcm")).map((found) => Redacted.value(found.token)), [
        Redacted.value(token)
      ])
      yield* push.send({ service: "gcm", userId: user.id, message: { title: "Tea" } })
      assert.deepStrictEqual((yield* pushes).map(({ message, userId }) => [userId, message.title]), [[user.id, "Tea"]])
      yield* Push.deregister(user, "gcm")
      yield* user.pipe(Push.deregister("gcm"))
      assert.deepStrictEqual(yield* pushRegistrations(user, "gcm"), [])
    }).pipe(Effect.provide(layer)))

  it.effect("refusals are typed, and leave the user logged in", () =>
    Effect.gen(function*() {
      const user = yield* RealmTest.anonymousUser
      for (const service of ["gcm_blah", "a/b?c", "", "..", "\ud800"]) {
        const unknown = yield* Effect.flip(Push.register(user, service, token))
        assert.isTrue(unknown._tag === "ServiceError" && unknown.reason._tag === "ServiceNotFound")
        const none = yield* Effect.flip(Push.deregister(user, service))
        assert.isTrue(none._tag === "ServiceError" && none.reason._tag === "ServiceNotFound")
      }
      const empty = yield* Effect.flip(Push.register(user, "gcm", Redacted.make("")))
      assert.isTrue(empty._tag === "RequestError" && empty.reason._tag === "InvalidParameter")
      const long = yield* Effect.flip(Push.register(user, "gcm", Redacted.make("secret".repeat(1000))))
      assert.isTrue(long._tag === "RequestError" && long.reason._tag === "InvalidParameter")
      assert.notInclude(String(long) + JSON.stringify(long), "secretsecret")
      assert.isTrue(yield* User.isLoggedIn(user))
    }).pipe(Effect.provide(layer)))

  it.effect("an expired access token is exchanged once, and the registration sent", () =>
    Effect.gen(function*() {
      const { pushRegistrations } = yield* RealmTest.RealmTest
      const requests = yield* Requests.Requests
      const user = yield* RealmTest.anonymousUser
      yield* TestClock.adjust("31 minutes")
      yield* Push.register(user, "gcm", token)
      assert.strictEqual(yield* requests.count({ endpoint: "refreshSession" }), 1)
      assert.strictEqual((yield* pushRegistrations(user, "gcm")).length, 1)
    }).pipe(Effect.provide(layer)))

  it.effect("an answer that is lost is not asked for again, and asking again does no harm", () =>
    Effect.gen(function*() {
      const { pushRegistrations } = yield* RealmTest.RealmTest
      const requests = yield* Requests.Requests
      const user = yield* RealmTest.anonymousUser
      const lost = yield* Effect.flip(
        Push.register(user, "gcm", token).pipe(
          Faults.inject(Faults.at({ endpoint: "registerPush" }, Faults.dropAfter))
        )
      )
      assert.strictEqual(lost._tag, "TransportError")
      assert.strictEqual(yield* requests.count({ endpoint: "registerPush" }), 1)
      yield* Push.register(user, "gcm", token)
      assert.strictEqual((yield* pushRegistrations(user, "gcm")).length, 1)
    }).pipe(Effect.provide(layer)))

  it.effect("a user who is logged out is refused without a request", () =>
    Effect.gen(function*() {
      const { app } = yield* RealmTest.RealmTest
      const requests = yield* Requests.Requests
      const user = yield* App.logIn(app, Credentials.anonymous())
      yield* User.logOut(user)
      assert.strictEqual((yield* Effect.flip(Push.register(user, "gcm", token)))._tag, "NotLoggedInError")
      assert.strictEqual(yield* requests.count({ endpoint: "registerPush" }), 0)
    }).pipe(Effect.provide(layer), Effect.provide(Layer.fresh(TokenStore.layerMemory))))
})
