import { ApiKeys, App, Credentials, TokenStore, User } from "@effect-realm/client"
import { ApiKeys as ServerKeys, AppDefinition } from "@effect-realm/server"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { Faults, RealmTest, Requests } from "../src/index.ts"

const definition = AppDefinition.make({
  appId: "shop-abcde",
  authProviders: { anonymous: {}, apiKey: {}, emailPassword: { autoConfirm: true } },
  functions: [{ name: "whoami", source: "exports = () => ({ id: context.user.id, type: context.user.type })" }]
})

const layer = RealmTest.layer({ app: definition })

/** A store of its own, as a program elsewhere has. */
const elsewhere = Layer.fresh(TokenStore.layerMemory)

// The server of a test hashes and runs functions in real threads: on a busy machine they take their time.
describe("API keys between client and server", { timeout: 30_000 }, () => {
  it.effect("a key's whole life: made, listed, used, disabled, enabled, deleted", () =>
    Effect.gen(function*() {
      const { app } = yield* RealmTest.RealmTest
      const user = yield* RealmTest.emailUser()
      const { key, ...made } = yield* ApiKeys.create(user, "nightly-import")
      assert.match(Redacted.value(key), /^[A-Za-z0-9]{64}$/)
      assert.deepStrictEqual(yield* ApiKeys.fetch(user, made.id), made)
      assert.deepStrictEqual(yield* ApiKeys.fetchAll(user), [made])

      yield* ApiKeys.disable(user, made.id)
      assert.isTrue((yield* ApiKeys.fetch(user, made.id)).disabled)
      const refused = yield* Effect.flip(App.logIn(app, Credentials.apiKey(key)))
      assert.isTrue(refused._tag === "AuthError" && refused.reason._tag === "AuthError")
      yield* ApiKeys.enable(user, made.id)

      const answers = yield* App.logIn(app, Credentials.apiKey(key)).pipe(
        Effect.flatMap((program) =>
          Effect.all([
            Effect.succeed(program.id),
            User.providerType(program),
            User.callFunction(program, "whoami"),
            Effect.flip(ApiKeys.fetchAll(program))
          ])
        ),
        Effect.provide(elsewhere)
      )
      assert.deepStrictEqual(answers.slice(0, 3), [user.id, "api-key", { id: user.id, type: "normal" }])
      assert.isTrue(answers[3]._tag === "RequestError" && answers[3].reason._tag === "Forbidden")

      yield* ApiKeys.delete(user, made.id)
      const gone = yield* Effect.flip(ApiKeys.delete(user, made.id))
      assert.isTrue(gone._tag === "ApiKeyError" && gone.reason._tag === "APIKeyNotFound")
      assert.isTrue(yield* User.isLoggedIn(user))
    }).pipe(Effect.provide(layer)))

  it.effect("a key that is disabled ends the session it has opened, and the client says so once it asks", () =>
    Effect.gen(function*() {
      const { app } = yield* RealmTest.RealmTest
      const user = yield* RealmTest.emailUser()
      const { id, key } = yield* ApiKeys.create(user, "import")
      const test = Effect.gen(function*() {
        const program = yield* App.logIn(app, Credentials.apiKey(key))
        yield* ServerKeys.ApiKeys.use((keys) => keys.setDisabled({ userId: user.id }, id, true))
        const error = yield* Effect.flip(User.callFunction(program, "whoami"))
        assert.isTrue(error._tag === "SessionError" && error.reason._tag === "InvalidSession")
        assert.strictEqual(yield* User.state(program), "LoggedOut")
      })
      yield* Effect.provide(test, elsewhere)
      assert.isTrue(yield* User.isLoggedIn(user))
    }).pipe(Effect.provide(layer)))

  it.effect("key calls whose session is gone on the server log nobody out", () =>
    Effect.gen(function*() {
      const { endSessions } = yield* RealmTest.RealmTest
      const requests = yield* Requests.Requests
      const user = yield* RealmTest.emailUser()
      yield* endSessions(user)
      const calls = [ApiKeys.create(user, "a"), ApiKeys.fetchAll(user), ApiKeys.delete(user, "a")].map(Effect.asVoid)
      for (const call of calls) assert.strictEqual((yield* Effect.flip(call))._tag, "SessionError")
      assert.isTrue(yield* User.isLoggedIn(user))
      assert.strictEqual(yield* requests.count({ endpoint: "refreshSession" }), 0)
    }).pipe(Effect.provide(layer)))

  it.effect("a key whose answer is lost was made once, and the list says so", () =>
    Effect.gen(function*() {
      const requests = yield* Requests.Requests
      const user = yield* RealmTest.emailUser()
      const lost = yield* Effect.flip(
        ApiKeys.create(user, "import").pipe(Faults.inject(Faults.at({ endpoint: "createApiKey" }, Faults.dropAfter)))
      )
      assert.strictEqual(lost._tag, "TransportError")
      assert.strictEqual(yield* requests.count({ endpoint: "createApiKey" }), 1)
      assert.deepStrictEqual((yield* ApiKeys.fetchAll(user)).map(({ name }) => name), ["import"])
    }).pipe(Effect.provide(layer)))

  it.effect("one's own key can be linked, another's cannot", () =>
    Effect.gen(function*() {
      const user = yield* RealmTest.emailUser()
      const { key } = yield* ApiKeys.create(user, "import")
      yield* User.linkCredentials(user, Credentials.apiKey(key))
      assert.deepStrictEqual(
        (yield* User.identities(user)).map(({ providerType }) => providerType),
        ["local-userpass", "api-key"]
      )
      const other = yield* RealmTest.anonymousUser
      const refused = yield* Effect.flip(User.linkCredentials(other, Credentials.apiKey(key)))
      assert.isTrue(refused._tag === "RequestError" && refused.reason._tag === "InvalidParameter")
      assert.deepStrictEqual((yield* User.identities(other)).map(({ providerType }) => providerType), ["anon-user"])
    }).pipe(Effect.provide(layer)))

  it.effect("strange names and ids are refused by a type", () =>
    Effect.gen(function*() {
      const user = yield* RealmTest.emailUser()
      for (const name of ["", "no spaces", "schlüssel", "日本"]) {
        assert.strictEqual((yield* Effect.flip(ApiKeys.create(user, name)))._tag, "RequestError")
      }
      for (const id of ["x", "../session", "a?b#c", "日本", "636aba021728b6c1c03db7f9"]) {
        for (const operation of [ApiKeys.fetch(user, id), ApiKeys.enable(user, id), ApiKeys.delete(user, id)]) {
          assert.strictEqual((yield* Effect.flip(Effect.asVoid(operation)))._tag, "ApiKeyError")
        }
      }
      for (const id of ["", ".", ".."]) {
        for (const operation of [ApiKeys.fetch(user, id), ApiKeys.disable(user, id), ApiKeys.delete(user, id)]) {
          yield* Effect.flip(Effect.asVoid(operation))
        }
      }
      assert.deepStrictEqual(yield* ApiKeys.fetchAll(user), [])
    }).pipe(Effect.provide(layer)))
})
