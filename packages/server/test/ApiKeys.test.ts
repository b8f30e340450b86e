import { ApiKeys, Authentication, Database, Sessions } from "@effect-realm/server"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Wire from "./support/wire.ts"

const unauthorized = [401, "AuthError", "unauthorized"] as const
const notFound = [404, "APIKeyNotFound", "API key not found"] as const
const ended = [401, "InvalidSession", "invalid session: failed to find refresh token"] as const
const nobody = "636aba021728b6c1c03db7f9"

const Profile = Schema.Struct({
  user_id: Schema.String,
  type: Schema.String,
  identities: Schema.Array(Schema.Struct({ id: Schema.String, provider_type: Schema.String })),
  data: Schema.Record(Schema.String, Schema.Json)
})

const profile = (token: string) =>
  Effect.flatMap(Wire.profile(token), ({ body }) => Effect.orDie(Schema.decodeUnknownEffect(Profile)(body)))

const providersOf = ({ identities }: typeof Profile.Type) => identities.map((identity) => identity.provider_type)

const Listed = Schema.Array(
  Schema.Struct({ _id: Schema.String, name: Schema.String, disabled: Schema.Boolean })
)

const listed = (token: string) =>
  Effect.flatMap(Wire.listKeys(token), ({ body }) => Effect.orDie(Schema.decodeUnknownEffect(Listed)(body)))

// Hashes and signatures are made in threads: on a busy machine they take their time.
describe("a user's keys", { timeout: 30_000 }, () => {
  it.effect("are shown once, kept as hashes, and listed in the order they were made", () =>
    Effect.gen(function*() {
      const ann = yield* Wire.newEmailUser("ann@example.com")
      const answer = yield* Wire.createKey(ann.refresh_token, "my-key_1")
      assert.strictEqual(answer.status, 201)
      const { _id, key, name } = yield* Schema.decodeUnknownEffect(
        Schema.Struct({ _id: Schema.String, key: Schema.String, name: Schema.String, disabled: Schema.Literal(false) })
      )(answer.body)
      assert.match(key, /^[A-Za-z0-9]{64}$/)
      assert.match(_id, /^[0-9a-f]{24}$/)
      assert.strictEqual(name, "my-key_1")
      const second = yield* Wire.newKey(ann.refresh_token, "another")
      assert.notStrictEqual(second.key, key)

      const one = yield* Wire.keyRequest("GET", ann.refresh_token, _id)
      assert.deepStrictEqual([one.status, one.body], [200, { _id, name, disabled: false }])
      const all = yield* Wire.listKeys(ann.refresh_token)
      assert.deepStrictEqual(
        [all.status, all.body],
        [200, [{ _id, name, disabled: false }, { _id: second._id, name: "another", disabled: false }]]
      )

      const database = `__effect_realm_${String(Wire.claims(ann.access_token)["baas_domain_id"])}`
      const kept = yield* Database.Database.use((all) => all.collection({ database, collection: "api_keys" }).find({}))
      assert.deepStrictEqual(kept.map((document) => document["_id"]), [_id, second._id])
      assert.notInclude(JSON.stringify(kept), key)
    }).pipe(Effect.provide(Wire.layer())))

  it.effect("log in as their owner, who has one more identity then, once", () =>
    Effect.gen(function*() {
      const ann = yield* Wire.newEmailUser("ann@example.com")
      const { _id, key } = yield* Wire.newKey(ann.refresh_token)
      assert.deepStrictEqual(providersOf(yield* profile(ann.access_token)), ["local-userpass"])
      for (let times = 0; times < 2; times++) {
        const program = yield* Effect.flatMap(Wire.logInKey(key), Wire.tokens)
        assert.strictEqual(program.user_id, ann.user_id)
        const { data, identities, type } = yield* profile(program.access_token)
        assert.deepStrictEqual(identities.map(({ id, provider_type }) => [id, provider_type]).slice(1), [[
          _id,
          "api-key"
        ]])
        assert.strictEqual(identities.length, 2)
        assert.strictEqual(type, "normal")
        assert.deepStrictEqual(data, { name: "my-key", email: "ann@example.com" })
        const identity = Wire.claims(program.refresh_token)["baas_identity"]
        assert.isTrue(
          Schema.is(Schema.Struct({ id: Schema.Literal(_id), provider_type: Schema.Literal("api-key") }))(
            identity
          )
        )
      }
      assert.strictEqual((yield* Wire.profile(ann.access_token)).status, 200)
    }).pipe(Effect.provide(Wire.layer())))

  it.effect("do not hide what their owner is called", () =>
    Effect.gen(function*() {
      const zoe = yield* Effect.flatMap(
        Wire.send("POST", `${Wire.providers}/custom-function/login`, { body: { id: "zoë", name: "Zoë 日本 🎉" } }),
        Wire.tokens
      )
      const { key } = yield* Wire.newKey(zoe.refresh_token)
      const program = yield* Effect.flatMap(Wire.logInKey(key), Wire.tokens)
      assert.deepStrictEqual((yield* profile(program.access_token)).data, { name: "Zoë 日本 🎉" })
    }).pipe(Effect.provide(Wire.layer())))

  it.effect("are refused at the next request once they are disabled, with the sessions they opened, until enabled", () =>
    Effect.gen(function*() {
      const ann = yield* Wire.newEmailUser("ann@example.com")
      const { _id, key } = yield* Wire.newKey(ann.refresh_token)
      const other = yield* Wire.newKey(ann.refresh_token, "other")
      const program = yield* Effect.flatMap(Wire.logInKey(key), Wire.tokens)
      const bystander = yield* Effect.flatMap(Wire.logInKey(other.key), Wire.tokens)
      for (let times = 0; times < 2; times++) {
        const answer = yield* Wire.keyRequest("PUT", ann.refresh_token, `${_id}/disable`)
        assert.deepStrictEqual([answer.status, answer.text], [204, ""])
        assert.deepStrictEqual(Wire.refusal(yield* Wire.logInKey(key)), unauthorized)
      }
      assert.deepStrictEqual(Wire.refusal(yield* Wire.profile(program.access_token)), ended)
      assert.deepStrictEqual(Wire.refusal(yield* Wire.call(program.access_token, "sum")), ended)
      assert.deepStrictEqual(Wire.refusal(yield* Wire.refresh(program.refresh_token)), ended)
      assert.deepStrictEqual((yield* listed(ann.refresh_token)).map(({ disabled }) => disabled), [true, false])
      for (const { access_token } of [ann, bystander]) {
        assert.strictEqual((yield* Wire.profile(access_token)).status, 200)
      }
      for (let times = 0; times < 2; times++) {
        const answer = yield* Wire.keyRequest("PUT", ann.refresh_token, `${_id}/enable`)
        assert.deepStrictEqual([answer.status, answer.text], [204, ""])
      }
      assert.strictEqual((yield* Effect.flatMap(Wire.logInKey(key), Wire.tokens)).user_id, ann.user_id)
      assert.deepStrictEqual(Wire.refusal(yield* Wire.refresh(program.refresh_token)), ended)
    }).pipe(Effect.provide(Wire.layer())))

  it.effect("are gone once they are deleted, with the sessions they opened and the identity they were", () =>
    Effect.gen(function*() {
      const ann = yield* Wire.newEmailUser("ann@example.com")
      const { _id, key } = yield* Wire.newKey(ann.refresh_token)
      const program = yield* Effect.flatMap(Wire.logInKey(key), Wire.tokens)
      const answer = yield* Wire.keyRequest("DELETE", ann.refresh_token, _id)
      assert.deepStrictEqual([answer.status, answer.text], [204, ""])
      assert.deepStrictEqual(Wire.refusal(yield* Wire.logInKey(key)), unauthorized)
      assert.deepStrictEqual(Wire.refusal(yield* Wire.profile(program.access_token)), ended)
      assert.deepStrictEqual(providersOf(yield* profile(ann.access_token)), ["local-userpass"])
      for (const path of [_id, `${_id}/enable`, `${_id}/disable`]) {
        const method = path === _id ? "DELETE" : "PUT"
        assert.deepStrictEqual(Wire.refusal(yield* Wire.keyRequest(method, ann.refresh_token, path)), notFound)
      }
      // The name is free again, and the identity after it keeps its own data.
      const again = yield* Wire.newKey(ann.refresh_token)
      assert.notStrictEqual(again.key, key)
      assert.strictEqual((yield* Wire.logInKey(again.key)).status, 200)
    }).pipe(Effect.provide(Wire.layer())))

  it.effect("of somebody else are keys that do not exist", () =>
    Effect.gen(function*() {
      const ann = yield* Wire.newEmailUser("ann@example.com")
      const bob = yield* Wire.newEmailUser("bob@example.com")
      const { _id, key } = yield* Wire.newKey(ann.refresh_token)
      yield* Wire.newKey(bob.refresh_token)
      for (const id of [_id, nobody, "x", "%20", "..%2Fsession", "a".repeat(64)]) {
        assert.deepStrictEqual(Wire.refusal(yield* Wire.keyRequest("GET", bob.refresh_token, id)), notFound, id)
        assert.deepStrictEqual(Wire.refusal(yield* Wire.keyRequest("DELETE", bob.refresh_token, id)), notFound)
        assert.deepStrictEqual(Wire.refusal(yield* Wire.keyRequest("PUT", bob.refresh_token, `${id}/enable`)), notFound)
        assert.deepStrictEqual(
          Wire.refusal(yield* Wire.keyRequest("PUT", bob.refresh_token, `${id}/disable`)),
          notFound
        )
      }
      assert.strictEqual((yield* Wire.logInKey(key)).status, 200)
      assert.strictEqual((yield* listed(bob.refresh_token)).length, 1)
    }).pipe(Effect.provide(Wire.layer())))

  it.effect("have a name of letters, digits, hyphens and underscores that is taken once", () =>
    Effect.gen(function*() {
      const ann = yield* Wire.newEmailUser("ann@example.com")
      yield* Wire.newKey(ann.refresh_token)
      assert.deepStrictEqual(
        Wire.refusal(yield* Wire.createKey(ann.refresh_token, "my-key")),
        [409, "APIKeyAlreadyExists", "API key with name already exists"]
      )
      for (const name of ["my key", "schlüssel", "a/b", "$", "\n", "日本"]) {
        assert.deepStrictEqual(
          Wire.refusal(yield* Wire.createKey(ann.refresh_token, name)),
          [400, "InvalidParameter", "can only contain ASCII letters, numbers, underscores, and hyphens"]
        )
      }
      const long = yield* Wire.createKey(ann.refresh_token, "a".repeat(257))
      assert.deepStrictEqual([long.status, long.fields["error_code"]], [400, "InvalidParameter"])
      const empty = yield* Wire.createKey(ann.refresh_token, "")
      assert.deepStrictEqual([empty.status, empty.fields["error"]], [400, "'name' is a required string"])
      for (const body of [{}, { name: 7 }, [], "{"]) {
        const answer = yield* Wire.send("POST", `${Wire.base}/auth/api_keys`, { token: ann.refresh_token, body })
        assert.strictEqual(answer.status, 400)
      }
      assert.strictEqual((yield* listed(ann.refresh_token)).length, 1)
    }).pipe(Effect.provide(Wire.layer())))

  it.effect("are twenty at most, also when more are asked for at once; a deleted one makes room", () =>
    Effect.gen(function*() {
      const ann = yield* Wire.newEmailUser("ann@example.com")
      const answers = yield* Effect.forEach(
        Array.from({ length: 24 }, (_, index) => `key-${index}`),
        (name) => Wire.createKey(ann.refresh_token, name),
        { concurrency: "unbounded" }
      )
      const refused = answers.filter(({ status }) => status !== 201)
      assert.strictEqual(refused.length, 4)
      for (const answer of refused) {
        assert.deepStrictEqual(
          Wire.refusal(answer),
          [400, "BadRequest", "there can be at most 20 API keys: delete one first"]
        )
      }
      const [first] = yield* listed(ann.refresh_token)
      yield* Wire.keyRequest("DELETE", ann.refresh_token, first?._id ?? "")
      assert.strictEqual((yield* Wire.createKey(ann.refresh_token, "one-more")).status, 201)
      assert.strictEqual((yield* listed(ann.refresh_token)).length, 20)
    }).pipe(Effect.provide(Wire.layer())))

  it.effect("are for users who are not anonymous", () =>
    Effect.gen(function*() {
      const { access_token, refresh_token } = yield* Wire.logInAnonymous
      const refused = yield* Wire.createKey(refresh_token, "my-key")
      assert.deepStrictEqual([refused.status, refused.fields["error_code"]], [403, undefined])
      assert.deepStrictEqual(yield* listed(refresh_token), [])
      yield* Effect.flatMap(Wire.logInFunction("ann", { token: access_token }), Wire.linked)
      assert.strictEqual((yield* Wire.createKey(refresh_token, "my-key")).status, 201)
    }).pipe(Effect.provide(Wire.layer())))

  it.effect("cannot be managed with a session that one of them opened, nor with an access token", () =>
    Effect.gen(function*() {
      const ann = yield* Wire.newEmailUser("ann@example.com")
      const { _id, key } = yield* Wire.newKey(ann.refresh_token)
      const { refresh_token } = yield* Effect.flatMap(Wire.logInKey(key), Wire.tokens)
      const everything = (token: string) =>
        Effect.all([
          Wire.createKey(token, "other"),
          Wire.listKeys(token),
          Wire.keyRequest("GET", token, _id),
          Wire.keyRequest("PUT", token, `${_id}/disable`),
          Wire.keyRequest("PUT", token, `${_id}/enable`),
          Wire.keyRequest("DELETE", token, _id)
        ])
      for (const answer of yield* everything(refresh_token)) {
        assert.deepStrictEqual(
          Wire.refusal(answer),
          [403, undefined, "a session of an API key may not manage API keys"]
        )
      }
      for (const answer of yield* everything(ann.access_token)) {
        assert.deepStrictEqual(
          Wire.refusal(answer),
          [401, undefined, "invalid refresh token: incorrect token type"]
        )
      }
      const tokenless = yield* Wire.send("GET", `${Wire.base}/auth/api_keys`)
      assert.deepStrictEqual(Wire.refusal(tokenless), [401, "MissingAuthReq", "must authenticate first"])
      assert.strictEqual((yield* listed(ann.refresh_token)).length, 1)
    }).pipe(Effect.provide(Wire.layer())))

  it.effect("open sessions that link no credentials, with which one would log in when the key is taken away", () =>
    Effect.gen(function*() {
      const keys = yield* ApiKeys.ApiKeys
      const ann = yield* Wire.newEmailUser("ann@example.com")
      const { key } = yield* Wire.newKey(ann.refresh_token)
      const server = yield* keys.create("server", "nightly")
      for (const secret of [key, Redacted.value(server.key)]) {
        const { access_token: token } = yield* Effect.flatMap(Wire.logInKey(secret), Wire.tokens)
        const before = yield* profile(token)
        const answer = yield* Wire.logInFunction("eve", { token })
        assert.deepStrictEqual(
          Wire.refusal(answer),
          [403, undefined, "a session of an API key may not link credentials"]
        )
        assert.deepStrictEqual(yield* profile(token), before)
      }
    }).pipe(Effect.provide(Wire.layer())))

  it.effect("go with their user, and those of a disabled user are refused as that user is", () =>
    Effect.gen(function*() {
      const authentication = yield* Authentication.Authentication
      const keys = yield* ApiKeys.ApiKeys
      const ann = yield* Wire.newEmailUser("ann@example.com")
      const { key } = yield* Wire.newKey(ann.refresh_token)
      yield* authentication.disableUser(ann.user_id)
      assert.deepStrictEqual(Wire.refusal(yield* Wire.logInKey(key)), [401, "UserDisabled", "unauthorized"])
      yield* authentication.enableUser(ann.user_id)
      const program = yield* Effect.flatMap(Wire.logInKey(key), Wire.tokens)
      assert.isTrue(yield* authentication.deleteUser(ann.user_id))
      assert.deepStrictEqual(Wire.refusal(yield* Wire.logInKey(key)), unauthorized)
      assert.deepStrictEqual(Wire.refusal(yield* Wire.profile(program.access_token)), ended)
      assert.deepStrictEqual(yield* keys.list({ userId: ann.user_id }), [])
    }).pipe(Effect.provide(Wire.layer())))
})

describe("log-ins", { timeout: 30_000 }, () => {
  it.effect("with what is no key are refused like any other wrong one", () =>
    Effect.gen(function*() {
      for (const key of ["", "x", "A".repeat(64), "A".repeat(100_000), "日本".repeat(32)]) {
        assert.deepStrictEqual(Wire.refusal(yield* Wire.logInKey(key)), unauthorized)
      }
      for (const body of [{}, { key: 7 }, { key: null }]) {
        const answer = yield* Wire.send("POST", `${Wire.providers}/api-key/login`, { body })
        assert.deepStrictEqual([answer.status, answer.fields["error_code"]], [400, "BadRequest"])
      }
    }).pipe(Effect.provide(Wire.layer())))

  it.effect("and keys of an app without the provider are refused by its name", () =>
    Effect.gen(function*() {
      const ann = yield* Wire.newEmailUser("ann@example.com")
      const unsupported = [404, "AuthProviderNotFound", "authentication via 'api-key' is unsupported"] as const
      assert.deepStrictEqual(Wire.refusal(yield* Wire.logInKey("A".repeat(64))), unsupported)
      assert.deepStrictEqual(Wire.refusal(yield* Wire.createKey(ann.refresh_token, "my-key")), unsupported)
      assert.deepStrictEqual(Wire.refusal(yield* Wire.listKeys(ann.refresh_token)), unsupported)
    }).pipe(Effect.provide(Wire.layer({
      app: Wire.makeApp({ authProviders: { emailPassword: { autoConfirm: true }, apiKey: { enabled: false } } })
    }))))
})

describe("links", { timeout: 30_000 }, () => {
  it.effect("of one's own key add it once, before or after it has logged in", () =>
    Effect.gen(function*() {
      const ann = yield* Wire.newEmailUser("ann@example.com")
      const { key } = yield* Wire.newKey(ann.refresh_token)
      for (let times = 0; times < 2; times++) {
        const { access_token, user_id } = yield* Effect.flatMap(
          Wire.logInKey(key, { token: ann.access_token }),
          Wire.linked
        )
        assert.strictEqual(user_id, ann.user_id)
        assert.deepStrictEqual(providersOf(yield* profile(access_token)), ["local-userpass", "api-key"])
        assert.strictEqual((yield* Effect.flatMap(Wire.logInKey(key), Wire.tokens)).user_id, ann.user_id)
      }
    }).pipe(Effect.provide(Wire.layer())))

  it.effect("of a key that is another's are refused, and nothing has changed", () =>
    Effect.gen(function*() {
      const keys = yield* ApiKeys.ApiKeys
      const ann = yield* Wire.newEmailUser("ann@example.com")
      const { access_token: token } = yield* Wire.logInAnonymous
      const before = yield* profile(token)
      const own = yield* Wire.newKey(ann.refresh_token)
      const server = yield* keys.create("server", "nightly")
      const invalid = [400, "InvalidParameter", "invalid user link request"] as const
      for (const key of [own.key, Redacted.value(server.key)]) {
        assert.deepStrictEqual(Wire.refusal(yield* Wire.logInKey(key, { token })), invalid)
        assert.strictEqual((yield* Wire.logInKey(key)).status, 200)
        assert.deepStrictEqual(Wire.refusal(yield* Wire.logInKey(key, { token })), invalid)
      }
      yield* Wire.keyRequest("PUT", ann.refresh_token, `${own._id}/disable`)
      const disabled = yield* Wire.logInKey(own.key, { token })
      assert.deepStrictEqual([disabled.status, disabled.fields["error_code"]], [401, "AuthError"])
      assert.deepStrictEqual(yield* profile(token), before)
    }).pipe(Effect.provide(Wire.layer())))
})

describe("server keys", { timeout: 30_000 }, () => {
  it.effect("each log in as a user of their own, of the type server", () =>
    Effect.gen(function*() {
      const keys = yield* ApiKeys.ApiKeys
      const one = yield* keys.create("server", "nightly")
      const two = yield* keys.create("server", "import")
      const first = yield* Effect.flatMap(Wire.logInKey(Redacted.value(one.key)), Wire.tokens)
      const again = yield* Effect.flatMap(Wire.logInKey(Redacted.value(one.key)), Wire.tokens)
      const second = yield* Effect.flatMap(Wire.logInKey(Redacted.value(two.key)), Wire.tokens)
      assert.strictEqual(again.user_id, first.user_id)
      assert.notStrictEqual(second.user_id, first.user_id)
      const { data, identities, type } = yield* profile(first.access_token)
      assert.deepStrictEqual([type, identities.map(({ id }) => id), data], ["server", [one.id], { name: "nightly" }])
      const forbidden = yield* Wire.createKey(first.refresh_token, "more")
      assert.strictEqual(forbidden.status, 403)
      const own = yield* Wire.logInKey(Redacted.value(one.key), { token: first.access_token })
      assert.strictEqual(own.status, 200)
    }).pipe(Effect.provide(Wire.layer())))

  it.effect("are refused once disabled or deleted, and their user goes with them", () =>
    Effect.gen(function*() {
      const keys = yield* ApiKeys.ApiKeys
      const sessions = yield* Sessions.Sessions
      const { id, key } = yield* keys.create("server", "nightly")
      const first = yield* Effect.flatMap(Wire.logInKey(Redacted.value(key)), Wire.tokens)
      yield* keys.setDisabled("server", id, true)
      assert.deepStrictEqual(Wire.refusal(yield* Wire.logInKey(Redacted.value(key))), unauthorized)
      assert.deepStrictEqual(Wire.refusal(yield* Wire.profile(first.access_token)), ended)
      yield* keys.setDisabled("server", id, false)
      const second = yield* Effect.flatMap(Wire.logInKey(Redacted.value(key)), Wire.tokens)
      assert.strictEqual(second.user_id, first.user_id)
      yield* keys.remove("server", id)
      assert.deepStrictEqual(Wire.refusal(yield* Wire.logInKey(Redacted.value(key))), unauthorized)
      assert.deepStrictEqual(Wire.refusal(yield* Wire.profile(second.access_token)), ended)
      assert.deepStrictEqual(yield* sessions.list(first.user_id), [])
      assert.strictEqual((yield* Effect.flip(keys.get("server", id)))._tag, "ApiKeyError")
    }).pipe(Effect.provide(Wire.layer())))

  it.effect("are not a user's, and a user's are not theirs", () =>
    Effect.gen(function*() {
      const keys = yield* ApiKeys.ApiKeys
      const ann = yield* Wire.newEmailUser("ann@example.com")
      const own = yield* Wire.newKey(ann.refresh_token, "nightly")
      const { id } = yield* keys.create("server", "nightly")
      assert.deepStrictEqual(Wire.refusal(yield* Wire.keyRequest("DELETE", ann.refresh_token, id)), notFound)
      assert.strictEqual((yield* Effect.flip(keys.remove("server", own._id)))._tag, "ApiKeyError")
      assert.deepStrictEqual((yield* listed(ann.refresh_token)).map(({ _id }) => _id), [own._id])
      assert.deepStrictEqual(yield* keys.list("server"), [{ id, name: "nightly", disabled: false }])
    }).pipe(Effect.provide(Wire.layer())))

  it.effect("are a hundred at most", () =>
    Effect.gen(function*() {
      const keys = yield* ApiKeys.ApiKeys
      yield* Effect.forEach(Array.from({ length: 100 }, (_, index) => `key-${index}`), (name) =>
        keys.create("server", name))
      const error = yield* Effect.flip(keys.create("server", "one-more"))
      assert.strictEqual(error._tag, "RequestError")
      assert.strictEqual((yield* keys.list("server")).length, 100)
    }).pipe(Effect.provide(Wire.layer())))
})

// One server for all runs: each run has a user of its own.
it.layer(Wire.layer({}, Wire.interleaving))("races", (it) => {
  const names = ["a", "b"] as const
  const Act = Schema.Struct({
    act: Schema.Literals(["create", "disable", "enable", "delete", "logIn", "logIn", "link"]),
    key: Schema.Literals(names),
    /** How many turns of the event loop the act waits before it begins. */
    after: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 12 }))
  })
  const Schedule = Schema.Array(Act).check(Schema.isMinLength(4), Schema.isMaxLength(16))

  let runs = 0

  it.effect.prop(
    "however keys are made, used and taken away at once, no session outlives its key, and nobody but the owner is found",
    [Schedule],
    ([schedule]) =>
      Effect.gen(function*() {
        const sessions = yield* Sessions.Sessions
        const ann = yield* Effect.flatMap(Wire.logInFunction(`ann ${++runs}`), Wire.tokens)
        // Every key that was ever answered, by its name.
        const made: Record<typeof names[number], Array<{ readonly _id: string; readonly key: string }>> = {
          a: [yield* Wire.newKey(ann.refresh_token, "a")],
          b: []
        }
        const last = (name: typeof names[number]) => made[name].at(-1) ?? { _id: nobody, key: "A".repeat(64) }
        const statuses: Readonly<Record<typeof Act.Type["act"], ReadonlyArray<number>>> = {
          create: [201, 409],
          disable: [204, 404],
          enable: [204, 404],
          delete: [204, 404],
          logIn: [200, 401],
          link: [200, 401]
        }

        const perform = Effect.fnUntraced(function*({ act, after, key: name }: typeof Act.Type) {
          for (let turn = 0; turn < after; turn++) yield* Effect.yieldNow
          const { _id, key } = last(name)
          const token = ann.refresh_token
          switch (act) {
            case "create": {
              const answer = yield* Wire.createKey(token, name)
              if (answer.status === 201) {
                made[name].push({ _id: String(answer.fields["_id"]), key: String(answer.fields["key"]) })
              }
              return answer.status
            }
            case "disable":
            case "enable":
              return (yield* Wire.keyRequest("PUT", token, `${_id}/${act}`)).status
            case "delete":
              return (yield* Wire.keyRequest("DELETE", token, _id)).status
            case "link":
              return (yield* Wire.logInKey(key, { token: ann.access_token })).status
            case "logIn": {
              const answer = yield* Wire.logInKey(key)
              if (answer.status === 200) assert.strictEqual(answer.fields["user_id"], ann.user_id)
              return answer.status
            }
          }
        })

        const answers = yield* Effect.forEach(schedule, perform, { concurrency: "unbounded" })
        for (const [index, { act }] of schedule.entries()) assert.include(statuses[act], answers[index], act)

        const present = yield* listed(ann.refresh_token)
        const enabled = new Set(present.filter(({ disabled }) => !disabled).map(({ _id }) => _id))
        assert.strictEqual(new Set(present.map(({ name }) => name)).size, present.length)

        // What stands was opened by a key that is still good, and what a key proves is known of present keys alone.
        for (const { identity } of yield* sessions.list(ann.user_id)) {
          if (identity.providerType === "api-key") assert.isTrue(enabled.has(identity.id))
        }
        const { identities } = yield* profile(ann.access_token)
        for (const { id, provider_type } of identities) {
          if (provider_type === "api-key") assert.isTrue(present.some(({ _id }) => _id === id))
        }
        for (const { _id, key } of Object.values(made).flat()) {
          assert.strictEqual((yield* Wire.logInKey(key)).status, enabled.has(_id) ? 200 : 401)
        }
      }),
    { arbitrary: { runs: 60 }, timeout: 60_000 }
  )

  it.effect(
    "a user who is deleted while keys are made and used leaves no key and no session",
    () =>
      Effect.gen(function*() {
        const keys = yield* ApiKeys.ApiKeys
        const sessions = yield* Sessions.Sessions
        const authentication = yield* Authentication.Authentication
        for (let round = 0; round < 20; round++) {
          const bob = yield* Effect.flatMap(Wire.logInFunction(`bob ${++runs}`), Wire.tokens)
          const { key } = yield* Wire.newKey(bob.refresh_token, "a")
          const wait = (turns: number) => Effect.repeat(Effect.yieldNow, { times: turns })
          yield* Effect.all([
            Effect.andThen(wait(round), authentication.deleteUser(bob.user_id)),
            Wire.createKey(bob.refresh_token, "b"),
            Wire.logInKey(key),
            Effect.andThen(wait(5), Wire.createKey(bob.refresh_token, "c")),
            Effect.andThen(wait(5), Wire.logInKey(key))
          ], { concurrency: "unbounded" })
          assert.deepStrictEqual(yield* keys.list({ userId: bob.user_id }), [])
          assert.deepStrictEqual(yield* sessions.list(bob.user_id), [])
          assert.deepStrictEqual(Wire.refusal(yield* Wire.logInKey(key)), unauthorized)
        }
      }),
    60_000
  )
})
