import { Accounts, AppDefinition, Authentication, Functions, Push } from "@effect-realm/server"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Wire from "./support/wire.ts"

const app = Wire.makeApp({
  pushServices: [{ name: "gcm" }, { name: "other" }],
  functions: [
    {
      name: "notify",
      runAsSystem: true,
      source: "exports = (user, message) => context.services.get('gcm').send(user, message)"
    },
    {
      name: "devices",
      runAsSystem: true,
      source:
        "exports = async (user) => (await context.services.get('gcm').registrations(user)).map(({ token }) => token)"
    },
    {
      name: "spy",
      source: `exports = async (user) => {
        const said = []
        for (const ask of ["registrations", "send"]) {
          try { await context.services.get('gcm')[ask](user, { title: "x" }) } catch (error) { said.push(error.name) }
        }
        return said
      }`
    }
  ]
})

const server = (database?: Parameters<typeof Wire.layer>[1]) =>
  Layer.provideMerge(Wire.layer({ app }, database), Layer.fresh(Push.layerMemory))

const url = (service: string) => `${Wire.appUrl}/push/providers/${service}/registration`

const register = (token: string, registrationToken: unknown, service = "gcm") =>
  Wire.send("PUT", url(service), { token, body: { registrationToken } })

const deregister = (token: string, service = "gcm") => Wire.send("DELETE", url(service), { token })

const registered = (userId: string, service = "gcm") =>
  Push.Push.use((push) => push.registrations({ service, userId })).pipe(
    Effect.map((found) => found.map(({ token }) => Redacted.value(token)))
  )

const device = (id: string, deviceId: string) =>
  Effect.flatMap(
    Wire.send("POST", `${Wire.providers}/custom-function/login`, {
      body: { id, options: { device: { deviceId, platform: "test" } } }
    }),
    Wire.tokens
  )

const phone = "5f87976b7b800b285345a8b4"
const tablet = "5f87976b7b800b285345a8b5"

describe("Registrations", { timeout: 60_000 }, () => {
  it.effect("are made and taken back with 204 and no body, however often", () =>
    Effect.gen(function*() {
      const ann = yield* device("ann", phone)
      for (const token of ["one", "one", "two"]) {
        const answer = yield* register(ann.access_token, token)
        assert.deepStrictEqual([answer.status, answer.text], [204, ""])
      }
      assert.deepStrictEqual(yield* registered(ann.user_id), ["two"])
      for (let time = 0; time < 2; time++) assert.strictEqual((yield* deregister(ann.access_token)).status, 204)
      assert.deepStrictEqual(yield* registered(ann.user_id), [])
    }).pipe(Effect.provide(server())))

  it.effect("are one for each service and device, and outlive the session that made them", () =>
    Effect.gen(function*() {
      const first = yield* device("ann", phone)
      const second = yield* device("ann", tablet)
      yield* register(first.access_token, "phone")
      yield* register(first.access_token, "phone", "other")
      yield* register(second.access_token, "tablet")
      yield* deregister(second.access_token, "other")
      yield* Wire.logOut(first.refresh_token)
      assert.deepStrictEqual((yield* registered(first.user_id)).toSorted(), ["phone", "tablet"])
      assert.deepStrictEqual(yield* registered(first.user_id, "other"), ["phone"])
      assert.strictEqual((yield* register(first.access_token, "again")).status, 401)
      const again = yield* device("ann", phone)
      yield* deregister(again.access_token)
      assert.deepStrictEqual(yield* registered(first.user_id), ["tablet"])
    }).pipe(Effect.provide(server())))

  it.effect("of a token belong to the user who registered it last", () =>
    Effect.gen(function*() {
      const ann = yield* device("ann", phone)
      const bob = yield* device("bob", phone)
      yield* register(ann.access_token, "phone")
      yield* register(bob.access_token, "phone")
      assert.deepStrictEqual(yield* registered(ann.user_id), [])
      assert.deepStrictEqual(yield* registered(bob.user_id), ["phone"])
    }).pipe(Effect.provide(server())))

  it.effect("go with a user who is deleted, also one that is made meanwhile", () =>
    Effect.gen(function*() {
      const authentication = yield* Authentication.Authentication
      const accounts = yield* Accounts.Accounts
      for (let round = 0; round < 20; round++) {
        const ann = yield* device(`ann ${round}`, phone)
        yield* register(ann.access_token, "phone")
        const wait = Effect.repeat(Effect.yieldNow, { times: round })
        yield* Effect.all([
          Effect.andThen(wait, authentication.deleteUser(ann.user_id)),
          register(ann.access_token, "another")
        ], { concurrency: "unbounded" })
        assert.isUndefined(yield* accounts.get(ann.user_id))
        assert.deepStrictEqual(yield* registered(ann.user_id), [])
      }
    }).pipe(Effect.provide(server(Wire.interleaving))))

  it.effect("of a service that the app does not have are refused, those of no token too, and nothing is changed", () =>
    Effect.gen(function*() {
      const ann = yield* device("ann", phone)
      yield* register(ann.access_token, "phone")
      const unknown = [404, "ServiceNotFound", "service not found: 'gcm_blah'"] as const
      assert.deepStrictEqual(Wire.refusal(yield* register(ann.access_token, "t", "gcm_blah")), unknown)
      assert.deepStrictEqual(Wire.refusal(yield* deregister(ann.access_token, "gcm_blah")), unknown)
      for (const token of ["", "x".repeat(4097), 7, null, ["t"], { t: 1 }]) {
        assert.strictEqual((yield* register(ann.access_token, token)).status, 400, JSON.stringify(token)?.slice(0, 20))
      }
      for (const body of ["", "{", "[]", "{}", undefined]) {
        const answer = yield* Wire.send("PUT", url("gcm"), { token: ann.access_token, body })
        assert.strictEqual(answer.status, 400, body)
      }
      assert.strictEqual((yield* Wire.send("PUT", url("gcm"), { body: { registrationToken: "t" } })).status, 401)
      assert.strictEqual((yield* register(ann.refresh_token, "t")).status, 401)
      assert.deepStrictEqual(yield* registered(ann.user_id), ["phone"])
    }).pipe(Effect.provide(server())))
})

describe("Races", () => {
  const Act = Schema.Struct({
    user: Schema.Literals(["ann", "bob"]),
    device: Schema.Literals([phone, tablet]),
    token: Schema.Literals(["a", "b", "none"])
  })

  it.effect.prop(
    "however devices register at once, a device has one token and a token one device",
    [Schema.Array(Act).check(Schema.isMaxLength(8))],
    ([acts]) =>
      Effect.gen(function*() {
        const accounts = yield* Accounts.Accounts
        const push = yield* Push.Push
        const ids: { [user: string]: string } = {}
        for (const id of ["ann", "bob"]) {
          const identity = { id, providerType: "custom-function", providerId: "p", data: {} }
          ids[id] = (yield* accounts.authenticate(identity, () => Effect.void)).id
        }
        yield* Effect.forEach(acts, ({ device: deviceId, token, user }) => {
          const of = { service: "gcm", userId: ids[user]!, deviceId }
          return token === "none"
            ? push.deregister(of)
            : push.register({ ...of, token: Redacted.make(token) })
        }, { concurrency: "unbounded" })
        const all = (yield* Effect.forEach(Object.values(ids), (userId) =>
          Effect.map(
            push.registrations({ service: "gcm", userId }),
            (found) =>
              found.map(({ deviceId, token }) => ({ device: `${userId} ${deviceId}`, token: Redacted.value(token) }))
          ))).flat()
        assert.strictEqual(new Set(all.map(({ device }) => device)).size, all.length)
        assert.strictEqual(new Set(all.map(({ token }) => token)).size, all.length)
      }).pipe(Effect.provide(
        Layer.fresh(
          Push.layer({ database: "users", services: [{ name: "gcm" }] }).pipe(
            Layer.provideMerge(Accounts.layer({ database: "users" })),
            Layer.provide(Wire.interleaving)
          )
        )
      )),
    { timeout: 60_000 }
  )
})

describe("Messages", { timeout: 60_000 }, () => {
  it.effect("of functions that run as the system reach every device of the user", () =>
    Effect.gen(function*() {
      const outbox = yield* Push.Outbox
      const ann = yield* device("ann", phone)
      yield* register(ann.access_token, "phone")
      yield* register((yield* device("ann", tablet)).access_token, "tablet")
      const message = { title: "Tea", body: "is here", data: { order: "7" } }
      const answer = yield* Wire.call(ann.access_token, "notify", ann.user_id, message)
      assert.deepStrictEqual(answer.body, { delivered: { $numberInt: "2" }, failed: { $numberInt: "0" } })
      assert.deepStrictEqual((yield* Wire.call(ann.access_token, "devices", ann.user_id)).body, ["phone", "tablet"])
      const delivered = yield* outbox.delivered
      assert.deepStrictEqual(delivered.map(({ message }) => message), [message, message])
      assert.notInclude(JSON.stringify(delivered), "tablet")
    }).pipe(Effect.provide(server())))

  it.effect("are refused to functions that run as their user, and without a user or with a wrong message", () =>
    Effect.gen(function*() {
      const functions = yield* Functions.Functions
      const ann = yield* device("ann", phone)
      yield* register(ann.access_token, "phone")
      assert.deepStrictEqual((yield* Wire.call(ann.access_token, "spy", ann.user_id)).body, ["Forbidden", "Forbidden"])
      for (const args of [[], [7, {}], [ann.user_id, { title: 7 }], [ann.user_id, "hello"], [{ $gt: "" }, {}]]) {
        const error = yield* Effect.flip(functions.call({ name: "notify", args, caller: Functions.server }))
        assert.match(error.reason.message, /^InvalidParameter: /)
      }
      assert.deepStrictEqual(yield* Push.Outbox.use((outbox) => outbox.delivered), [])
    }).pipe(Effect.provide(server())))

  it.effect("that cannot be delivered to one device reach the others, and a token that reaches nobody is forgotten", () =>
    Effect.gen(function*() {
      const push = yield* Push.Push
      const ann = yield* device("ann", phone)
      yield* register(ann.access_token, "good")
      yield* register((yield* device("ann", tablet)).access_token, "dead")
      yield* register((yield* device("ann", "5f87976b7b800b285345a8b6")).access_token, "busy")
      const of = { service: "gcm", userId: ann.user_id, message: { title: "Tea" } }
      assert.deepStrictEqual(yield* push.send(of), { delivered: 1, failed: 2 })
      assert.deepStrictEqual((yield* registered(ann.user_id)).toSorted(), ["busy", "good"])
    }).pipe(Effect.provide(
      Layer.provideMerge(
        Wire.layer({ app }),
        Layer.succeed(Push.PushDelivery, {
          deliver: ({ token }) =>
            Redacted.value(token) === "good" ? Effect.void : Effect.fail(
              new Push.PushDeliveryError({
                reason: Redacted.value(token) === "dead" ? "Unregistered" : "Failed",
                detail: "no luck"
              })
            )
        })
      )
    )))

  it.effect("go to the log by default, without token and text", () => {
    const lines: Array<string> = []
    return Effect.gen(function*() {
      const ann = yield* device("ann", phone)
      yield* register(ann.access_token, "token-of-the-phone")
      const push = yield* Push.Push
      yield* push.send({ service: "gcm", userId: ann.user_id, message: { title: "tea-is-here" } })
      assert.isTrue(lines.some((line) => line.includes("provide a layer of PushDelivery")))
      assert.notMatch(lines.join("\n"), /token-of-the-phone|tea-is-here/)
    }).pipe(Effect.provide(Wire.layer({ app })), Effect.provide(Wire.capture(lines)))
  })
})

describe("Push services of an app", () => {
  it("have names that no other service has", () => {
    const make = (pushServices: ReadonlyArray<AppDefinition.PushService>) => () =>
      AppDefinition.make({ appId: "shop-abcde", pushServices, dataSources: [{ name: "mongodb-atlas" }] })
    assert.throws(make([{ name: "gcm" }, { name: "gcm" }]), /is there twice/)
    for (const name of ["mongodb-atlas", "http"]) assert.throws(make([{ name }]), /is another service/)
    assert.throws(make([{ name: "" }]))
    assert.isTrue(Option.isSome(Option.liftThrowable(make([{ name: "gcm" }]))()))
  })
})
