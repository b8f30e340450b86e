import { Authentication, Database, Sessions, SigningKeys, Tokens } from "@effect-realm/server"
import { assert, describe, it } from "@effect/vitest"
import { Double, ObjectId } from "bson"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Wire from "./support/wire.ts"

/** The id of the key that a token is signed with. */
const keyOf = (token: Redacted.Redacted): string =>
  String(JSON.parse(Buffer.from(Redacted.value(token).split(".")[0]!, "base64url").toString()).kid)

const ended = [401, "InvalidSession", "invalid session: failed to find refresh token"] as const

describe("tokens", () => {
  it.effect("carry every claim of the protocol", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(1_667_938_818_500)
      const tokens = yield* Wire.logInAnonymous
      const access = Wire.claims(tokens.access_token)
      const refresh = Wire.claims(tokens.refresh_token)
      assert.deepStrictEqual(access, {
        sub: tokens.user_id,
        iss: refresh["baas_id"],
        typ: "access",
        iat: 1_667_938_818,
        exp: 1_667_938_818 + 1_800,
        baas_device_id: tokens.device_id,
        stitch_devId: tokens.device_id,
        baas_domain_id: access["baas_domain_id"],
        stitch_domainId: access["baas_domain_id"],
        user_data: {}
      })
      const identity = refresh["baas_identity"]
      assert.deepStrictEqual(refresh, {
        sub: tokens.user_id,
        typ: "refresh",
        iat: 1_667_938_818,
        exp: 1_667_938_818 + 50 * 365 * 86_400,
        baas_data: null,
        stitch_data: null,
        baas_id: access["iss"],
        stitch_id: access["iss"],
        baas_device_id: tokens.device_id,
        stitch_devId: tokens.device_id,
        baas_domain_id: access["baas_domain_id"],
        stitch_domainId: access["baas_domain_id"],
        baas_identity: identity,
        stitch_ident: identity
      })
      const Identity = Schema.Struct({
        id: Schema.String.check(Schema.isPattern(/^[0-9a-f]{24}-[a-z]{24}$/)),
        provider_type: Schema.Literal("anon-user"),
        provider_id: Schema.String.check(Schema.isPattern(/^[0-9a-f]{24}$/))
      })
      assert.isTrue(Schema.is(Identity)(identity))
    }).pipe(Effect.provide(Wire.layer())))

  it.effect("are good until their time and not a second longer", () =>
    Effect.gen(function*() {
      const tokens = yield* Wire.newEmailUser("ann@example.com")
      yield* TestClock.adjust("1799 seconds")
      assert.strictEqual((yield* Wire.profile(tokens.access_token)).status, 200)
      yield* TestClock.adjust("1 second")
      const late = [401, "InvalidSession", "invalid session: access token expired"] as const
      assert.deepStrictEqual(Wire.refusal(yield* Wire.profile(tokens.access_token)), late)
      const accessToken = yield* Wire.refreshed(tokens.refresh_token)
      assert.strictEqual((yield* Wire.profile(accessToken)).status, 200)
      yield* TestClock.adjust("59 days")
      assert.strictEqual((yield* Wire.refresh(tokens.refresh_token)).status, 201)
      // Never seen before, and past its time already.
      assert.deepStrictEqual(Wire.refusal(yield* Wire.profile(accessToken)), late)
      yield* TestClock.adjust("1 day")
      assert.deepStrictEqual(
        Wire.refusal(yield* Wire.refresh(tokens.refresh_token)),
        [401, "InvalidSession", "invalid session: refresh token expired"]
      )
    }).pipe(Effect.provide(Wire.layer())))

  it.effect("of one kind are never taken for the other, in their time or past it", () =>
    Effect.gen(function*() {
      const tokens = yield* Wire.logInAnonymous
      const wrongKind = (kind: string) => [401, undefined, `invalid ${kind} token: incorrect token type`] as const
      const swapped = Effect.gen(function*() {
        assert.deepStrictEqual(Wire.refusal(yield* Wire.profile(tokens.refresh_token)), wrongKind("access"))
        assert.deepStrictEqual(Wire.refusal(yield* Wire.call(tokens.refresh_token, "sum")), wrongKind("access"))
        assert.deepStrictEqual(Wire.refusal(yield* Wire.refresh(tokens.access_token)), wrongKind("refresh"))
        assert.deepStrictEqual(Wire.refusal(yield* Wire.logOut(tokens.access_token)), wrongKind("refresh"))
      })
      yield* swapped
      // Once each has been verified where it belongs, as well.
      yield* Wire.profile(tokens.access_token)
      yield* Wire.refresh(tokens.refresh_token)
      yield* swapped
      yield* TestClock.adjust("1 hour")
      yield* swapped
    }).pipe(Effect.provide(Wire.layer())))

  it.effect("that are none are refused in the words of protocol section 5.1", () =>
    Effect.gen(function*() {
      const { access_token } = yield* Wire.logInAnonymous
      const [header = "", payload = "", signature = ""] = access_token.split(".")
      const refusal = (authorization: string | undefined) =>
        Effect.map(
          Wire.send(
            "GET",
            `${Wire.base}/auth/profile`,
            authorization === undefined ? {} : { headers: { authorization } }
          ),
          Wire.refusal
        )
      const none = Buffer.from("{\"alg\":\"none\",\"typ\":\"JWT\"}").toString("base64url")
      const forged = Buffer.from(JSON.stringify({ ...Wire.claims(access_token), sub: "x" })).toString("base64url")
      assert.deepStrictEqual(yield* refusal(undefined), [401, "MissingAuthReq", "must authenticate first"])
      const schema = [401, undefined, "expected Authorization header with JWT (Bearer schema)"] as const
      assert.deepStrictEqual(yield* refusal("Bearer "), schema)
      assert.deepStrictEqual(yield* refusal("Basic YTpi"), schema)
      const noAlgorithm = [401, undefined, "signing method (alg) is unspecified."] as const
      assert.deepStrictEqual(yield* refusal("Bearer null"), noAlgorithm)
      assert.deepStrictEqual(yield* refusal(`Bearer ${payload}.${payload}.${signature}`), noAlgorithm)
      const invalid = [401, undefined, "signature is invalid"] as const
      assert.deepStrictEqual(yield* refusal(`Bearer ${header}.${forged}.${signature}`), invalid)
      assert.deepStrictEqual(yield* refusal(`Bearer ${header}.${payload}.${"A".repeat(43)}`), invalid)
      assert.deepStrictEqual(yield* refusal(`Bearer ${none}.${payload}.`), invalid)
      assert.deepStrictEqual(yield* refusal(`bearer ${access_token}`), [200, undefined, undefined])
    }).pipe(Effect.provide(Wire.layer())))

  it.effect("survive a rotation of the key, and end with it", () =>
    Effect.gen(function*() {
      const keys = yield* SigningKeys.SigningKeys
      const old = yield* keys.current
      const before = yield* Wire.logInAnonymous
      assert.notStrictEqual(yield* keys.rotate, old.id)
      const after = yield* Wire.logInAnonymous
      assert.strictEqual((yield* Wire.profile(before.access_token)).status, 200)
      assert.strictEqual((yield* Wire.profile(after.access_token)).status, 200)
      yield* keys.retire(old.id)
      const invalid = [401, undefined, "signature is invalid"] as const
      assert.deepStrictEqual(Wire.refusal(yield* Wire.profile(before.access_token)), invalid)
      assert.deepStrictEqual(Wire.refusal(yield* Wire.refresh(before.refresh_token)), invalid)
      assert.strictEqual((yield* Wire.profile(after.access_token)).status, 200)
    }).pipe(Effect.provide(Wire.layer())))
})

describe("signing keys of servers that share a database", () => {
  const domainId = "5eea8667bcb4c810b651fb59"
  const server = Layer.build(Layer.fresh(Layer.provideMerge(Tokens.layer({ domainId }), SigningKeys.layer)))
  const claims = {
    userId: "ann",
    sessionId: "636aba021728b6c1c03db83e",
    deviceId: "000000000000000000000000",
    domainId,
    issuedAt: 0,
    expiresAt: 600,
    userData: {}
  }

  it.effect("are read anew, also by one whose clock was set back", () =>
    Effect.gen(function*() {
      const one = Context.get(yield* server, SigningKeys.SigningKeys)
      yield* TestClock.adjust("1 day")
      const other = Context.get(yield* server, SigningKeys.SigningKeys)
      const old = yield* one.current
      assert.isDefined(yield* other.get(old.id))
      yield* TestClock.setTime(Duration.toMillis("1 hour"))
      const id = yield* one.rotate
      yield* one.retire(old.id)
      assert.isDefined(yield* other.get(id))
      assert.isUndefined(yield* other.get(old.id))
    }).pipe(Effect.scoped, Effect.provide(Database.layerMemory)))

  it.effect("are known at once by whoever gets a token of one, however often one is made", () =>
    Effect.gen(function*() {
      const one = yield* server
      const other = Context.get(yield* server, Tokens.Tokens)
      for (let times = 0; times < 3; times++) {
        yield* Context.get(one, SigningKeys.SigningKeys).rotate
        const token = yield* Context.get(one, Tokens.Tokens).signAccess(claims)
        assert.strictEqual((yield* other.verifyAccess(token)).userId, "ann")
      }
    }).pipe(Effect.scoped, Effect.provide(Database.layerMemory)))

  it.effect("end in all of them within a minute, for tokens that were seen before and for new ones", () =>
    Effect.gen(function*() {
      const one = Context.get(yield* server, SigningKeys.SigningKeys)
      const servers = yield* Effect.replicateEffect(server, 2)
      const [other, another] = servers.map((context) => Context.get(context, Tokens.Tokens))
      const token = yield* other!.signAccess(claims)
      assert.strictEqual((yield* other!.verifyAccess(token)).userId, "ann")
      yield* one.retire((yield* one.current).id)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* Effect.flip(other!.verifyAccess(token))).reason.message, "signature is invalid")
      assert.strictEqual((yield* one.get(keyOf(yield* another!.signAccess(claims))))?.id, (yield* one.current).id)
    }).pipe(Effect.scoped, Effect.provide(Database.layerMemory)))
})

/** A database in which a session takes its time to be written. */
const slowToOpen = Layer.effect(
  Database.Database,
  Effect.map(Database.Database, (database) =>
    Database.Database.of({
      collection: (namespace, options) => {
        const operations = database.collection(namespace, options)
        return namespace.collection !== "sessions" ? operations : {
          ...operations,
          insertOne: (document) =>
            Effect.andThen(Effect.repeat(Effect.yieldNow, { times: 8 }), operations.insertOne(document))
        }
      }
    }))
).pipe(Layer.provide(Wire.interleaving))

describe("sessions", () => {
  it.effect("end one by one, at the very next request, access token included", () =>
    Effect.gen(function*() {
      const phone = yield* Wire.newEmailUser("ann@example.com")
      const laptop = yield* Effect.flatMap(Wire.logInEmail("ann@example.com"), Wire.tokens)
      assert.strictEqual(phone.user_id, laptop.user_id)
      assert.strictEqual((yield* Wire.profile(phone.access_token)).status, 200)
      assert.strictEqual((yield* Wire.logOut(phone.refresh_token)).status, 204)
      assert.deepStrictEqual(Wire.refusal(yield* Wire.profile(phone.access_token)), ended)
      assert.deepStrictEqual(Wire.refusal(yield* Wire.call(phone.access_token, "sum")), ended)
      assert.deepStrictEqual(Wire.refusal(yield* Wire.refresh(phone.refresh_token)), ended)
      assert.deepStrictEqual(Wire.refusal(yield* Wire.logOut(phone.refresh_token)), ended)
      assert.strictEqual((yield* Wire.profile(laptop.access_token)).status, 200)
    }).pipe(Effect.provide(Wire.layer())))

  it.effect("keep of what a client says of its device as much as a device has to say", () =>
    Effect.gen(function*() {
      const sessions = yield* Sessions.Sessions
      const long = "x".repeat(17_000_000)
      const { user_id } = yield* Effect.flatMap(
        Wire.send("POST", `${Wire.providers}/anon-user/login`, {
          body: { options: { device: { platform: long, appVersion: `${"🎉".repeat(128)}.` } } }
        }),
        Wire.tokens
      )
      const [session] = yield* sessions.list(user_id)
      assert.deepStrictEqual(session?.device, { platform: long.slice(0, 256), appVersion: "🎉".repeat(128) })
    }).pipe(Effect.provide(Wire.layer())))

  it.effect("know when they were last refreshed", () =>
    Effect.gen(function*() {
      const sessions = yield* Sessions.Sessions
      const tokens = yield* Wire.logInAnonymous
      yield* TestClock.adjust("5 minutes")
      yield* Wire.refresh(tokens.refresh_token)
      const [session] = yield* sessions.list(tokens.user_id)
      assert.deepStrictEqual(
        [session?.createdAt.getTime(), session?.lastRefreshedAt.getTime()],
        [0, 300_000]
      )
    }).pipe(Effect.provide(Wire.layer())))

  it.effect("of a disabled user are refused at once and stay ended once the user is enabled again", () =>
    Effect.gen(function*() {
      const authentication = yield* Authentication.Authentication
      const tokens = yield* Wire.newEmailUser("ann@example.com")
      assert.strictEqual((yield* Wire.profile(tokens.access_token)).status, 200)
      assert.isTrue(yield* authentication.disableUser(tokens.user_id))
      const disabled = [401, "UserDisabled", "user disabled"] as const
      assert.deepStrictEqual(Wire.refusal(yield* Wire.profile(tokens.access_token)), disabled)
      assert.deepStrictEqual(Wire.refusal(yield* Wire.call(tokens.access_token, "sum")), disabled)
      assert.deepStrictEqual(Wire.refusal(yield* Wire.refresh(tokens.refresh_token)), disabled)
      assert.deepStrictEqual(
        Wire.refusal(yield* Wire.logInEmail("ann@example.com")),
        [401, "UserDisabled", "unauthorized"]
      )
      assert.isTrue(yield* authentication.enableUser(tokens.user_id))
      assert.deepStrictEqual(Wire.refusal(yield* Wire.refresh(tokens.refresh_token)), ended)
      const again = yield* Effect.flatMap(Wire.logInEmail("ann@example.com"), Wire.tokens)
      assert.strictEqual(again.user_id, tokens.user_id)
      assert.isFalse(yield* authentication.disableUser("nobody"))
    }).pipe(Effect.provide(Wire.layer())))

  it.effect("of a user who is disabled or deleted while logging in stay ended, whatever comes first", () =>
    Effect.gen(function*() {
      const authentication = yield* Authentication.Authentication
      const sessions = yield* Sessions.Sessions
      const meanwhile = (turns: number, act: Effect.Effect<unknown, Database.DatabaseError>) =>
        Effect.andThen(Effect.repeat(Effect.yieldNow, { times: turns }), act)
      // Not over the wire, where the threads of its proof would decide when it happens.
      const logIn = (id: string) => {
        const identity = { id, providerType: "custom-function", providerId: "p", data: {} }
        return Effect.result(authentication.logIn({ identity, device: undefined }))
      }
      const outcomes = new Set<string>()
      const { user_id: ann } = yield* Effect.flatMap(Wire.logInFunction("ann"), Wire.tokens)
      for (let turns = 0; turns < 25; turns++) {
        const [disabled] = yield* Effect.all(
          [logIn("ann"), meanwhile(turns, authentication.disableUser(ann))],
          { concurrency: "unbounded" }
        )
        outcomes.add(disabled._tag === "Failure" ? disabled.failure.reason._tag : disabled._tag)
        yield* authentication.enableUser(ann)
        assert.deepStrictEqual(yield* sessions.list(ann), [], `${turns} turns`)

        const { user_id: bob } = yield* Effect.flatMap(Wire.logInFunction(`bob ${turns}`), Wire.tokens)
        yield* Effect.all(
          [logIn(`bob ${turns}`), meanwhile(turns, authentication.deleteUser(bob))],
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(yield* sessions.list(bob), [], `${turns} turns`)
      }
      assert.deepStrictEqual([...outcomes].toSorted(), ["Success", "UserDisabled"])
    }).pipe(Effect.provide(Wire.layer({}, slowToOpen))))

  it.effect("of a user who is deleted while logging in or linking by an address make nobody of it", () =>
    Effect.gen(function*() {
      const authentication = yield* Authentication.Authentication
      const meanwhile = (userId: string, turns: number) =>
        Effect.andThen(Effect.repeat(Effect.yieldNow, { times: turns }), authentication.deleteUser(userId))
      const bob = yield* Effect.flatMap(Wire.logInFunction("bob"), Wire.tokens)
      for (let turns = 0; turns < 25; turns++) {
        const email = `ann-${turns}@example.com`
        const ann = yield* Wire.newEmailUser(email)
        yield* Effect.all([Wire.logInEmail(email), meanwhile(ann.user_id, turns)], { concurrency: "unbounded" })
        const anew = yield* Wire.newEmailUser(email)
        yield* Effect.all([
          Wire.logInEmail(email, undefined, { token: bob.access_token }),
          meanwhile(anew.user_id, turns)
        ], { concurrency: "unbounded" })
      }
      assert.strictEqual(yield* Wire.countUsers, 1)
      const { fields } = yield* Wire.profile(bob.access_token)
      assert.strictEqual((fields["identities"] as ReadonlyArray<unknown>).length, 1)
    }).pipe(Effect.provide(Wire.layer({}, Wire.interleaving))))

  it.effect("of a deleted user are refused at once, and the address is free for somebody else", () =>
    Effect.gen(function*() {
      const tokens = yield* Wire.newEmailUser("ann@example.com")
      const other = yield* Effect.flatMap(Wire.logInEmail("ann@example.com"), Wire.tokens)
      const deleted = yield* Wire.send("DELETE", `${Wire.base}/auth/delete`, { token: tokens.access_token })
      assert.deepStrictEqual([deleted.status, deleted.text], [204, ""])
      for (const { access_token, refresh_token } of [tokens, other]) {
        assert.deepStrictEqual(Wire.refusal(yield* Wire.profile(access_token)), ended)
        assert.deepStrictEqual(Wire.refusal(yield* Wire.refresh(refresh_token)), ended)
      }
      assert.deepStrictEqual(
        Wire.refusal(yield* Wire.logInEmail("ann@example.com")),
        [401, "InvalidPassword", "unauthorized"]
      )
      const successor = yield* Wire.newEmailUser("ann@example.com")
      assert.notStrictEqual(successor.user_id, tokens.user_id)
    }).pipe(Effect.provide(Wire.layer())))
})

it.effect("a log-in sweeps away the user's sessions that ran out", () =>
  Effect.gen(function*() {
    const sessions = yield* Sessions.Sessions
    const { user_id } = yield* Wire.newEmailUser("ann@example.com")
    yield* TestClock.adjust("61 days")
    yield* Wire.logInEmail("ann@example.com")
    assert.strictEqual((yield* sessions.list(user_id)).length, 1)
  }).pipe(Effect.provide(Wire.layer())))

describe("links", () => {
  it.effect("append to the identities in their order, and the user stays", () =>
    Effect.gen(function*() {
      const { access_token, user_id } = yield* Wire.logInAnonymous
      yield* Wire.register("ann@example.com")
      const first = yield* Effect.flatMap(
        Wire.logInEmail("ann@example.com", "correct horse", { token: access_token }),
        Wire.linked
      )
      const second = yield* Effect.flatMap(Wire.logInFunction("ann", { token: first.access_token }), Wire.linked)
      assert.deepStrictEqual([first.user_id, second.user_id], [user_id, user_id])
      const { fields } = yield* Wire.profile(second.access_token)
      const Identities = Schema.Array(Schema.Struct({ id: Schema.String, provider_type: Schema.String }))
      const identities = yield* Schema.decodeUnknownEffect(Identities)(fields["identities"])
      assert.deepStrictEqual(identities.map((identity) => identity.provider_type), [
        "anon-user",
        "local-userpass",
        "custom-function"
      ])
      assert.strictEqual(identities[2]?.id, "ann")
      assert.strictEqual((yield* Effect.flatMap(Wire.logInFunction("ann"), Wire.tokens)).user_id, user_id)
    }).pipe(Effect.provide(Wire.layer())))

  it.effect("of what the user has already change nothing", () =>
    Effect.gen(function*() {
      const { access_token } = yield* Wire.newEmailUser("ann@example.com")
      const before = yield* Wire.profile(access_token)
      const again = yield* Wire.logInEmail("ann@example.com", "correct horse", { token: access_token })
      assert.strictEqual(again.status, 200)
      assert.deepStrictEqual((yield* Wire.profile(access_token)).body, before.body)
    }).pipe(Effect.provide(Wire.layer())))

  it.effect("are refused as protocol section 3.5 says, and leave no trace", () =>
    Effect.gen(function*() {
      const ann = yield* Wire.newEmailUser("ann@example.com")
      yield* Wire.newEmailUser("bob@example.com")
      yield* Effect.flatMap(Wire.logInFunction("bob"), Wire.tokens)
      yield* Wire.register("second@example.com")
      const before = yield* Wire.profile(ann.access_token)
      const token = ann.access_token
      const unauthorized = [401, "AuthError", "unauthorized: the identity belongs to another user"] as const
      assert.deepStrictEqual(Wire.refusal(yield* Wire.logInFunction("bob", { token })), unauthorized)
      assert.deepStrictEqual(
        Wire.refusal(yield* Wire.logInEmail("bob@example.com", "correct horse", { token })),
        unauthorized
      )
      assert.deepStrictEqual(
        Wire.refusal(yield* Wire.logInEmail("second@example.com", "correct horse", { token })),
        [500, undefined, "unauthorized"]
      )
      const anonymous = yield* Wire.send("POST", `${Wire.providers}/anon-user/login?link=true`, { token, body: {} })
      assert.deepStrictEqual(
        Wire.refusal(anonymous),
        [400, "LinkingNotSupported", "cannot add anonymous credentials to an existing user"]
      )
      const wrong = yield* Wire.logInEmail("second@example.com", "wrong horse", { token })
      assert.deepStrictEqual(Wire.refusal(wrong), [401, "InvalidPassword", "invalid credentials"])
      const nobody = yield* Wire.logInEmail("nobody@example.com", "wrong horse", { token })
      assert.deepStrictEqual(Wire.refusal(nobody), [401, "InvalidPassword", "invalid credentials"])
      const tokenless = yield* Wire.send("POST", `${Wire.providers}/custom-function/login?link=true`, {
        body: { id: "new" }
      })
      assert.deepStrictEqual(Wire.refusal(tokenless), [401, "MissingAuthReq", "must authenticate first"])
      assert.deepStrictEqual((yield* Wire.profile(token)).body, before.body)
    }).pipe(Effect.provide(Wire.layer())))

  it.effect("are not for browsers of an app that lists no origins", () =>
    Effect.gen(function*() {
      const { access_token: token } = yield* Wire.logInAnonymous
      const forbidden = [403, undefined, "linking forbidden without first specifying allowed request origins"] as const
      const stranger = yield* Wire.logInFunction("ann", { token, headers: { origin: "https://page.example" } })
      assert.deepStrictEqual(Wire.refusal(stranger), forbidden)
      const own = yield* Wire.logInFunction("ann", { token, headers: { origin: Wire.origin } })
      assert.strictEqual(own.status, 200)
    }).pipe(Effect.provide(Wire.layer())))

  it.effect("are for browsers of the origins that an app lists", () =>
    Effect.gen(function*() {
      const { access_token: token } = yield* Wire.logInAnonymous
      const listed = yield* Wire.logInFunction("ann", { token, headers: { origin: "https://shop.example" } })
      assert.strictEqual(listed.status, 200)
    }).pipe(Effect.provide(Wire.layer({ app: Wire.makeApp({ allowedRequestOrigins: ["https://shop.example"] }) }))))
})

// One server for all runs: each run has external ids of its own.
it.layer(Wire.layer({}, Wire.interleaving))("races", (it) => {
  const Ids = Schema.Array(Schema.Literals(["ann", "bob", "zoë"])).check(Schema.isMinLength(2), Schema.isMaxLength(12))

  it.effect.prop(
    "any first log-ins at once make one user for each external id",
    [Ids],
    ([names]) =>
      Effect.gen(function*() {
        const run = new ObjectId().toHexString()
        const users = yield* Effect.forEach(
          names,
          (name) => Effect.flatMap(Wire.logInFunction(`${name} ${run}`), Wire.tokens),
          { concurrency: "unbounded" }
        )
        const pairs = new Set(users.map(({ user_id }, index) => `${names[index]} ${user_id}`))
        assert.strictEqual(pairs.size, new Set(names).size)
        assert.strictEqual(new Set(users.map((user) => user.user_id)).size, new Set(names).size)
      }),
    { arbitrary: { runs: 25 }, timeout: 60_000 }
  )

  const Count = Schema.Int.check(Schema.isBetween({ minimum: 2, maximum: 8 }))

  it.effect.prop("any links of one identity at once end with one owner", [Count], ([count]) =>
    Effect.gen(function*() {
      const id = new ObjectId().toHexString()
      const users = yield* Effect.replicateEffect(Wire.logInAnonymous, count)
      const answers = yield* Effect.forEach(
        users,
        ({ access_token }) => Wire.logInFunction(id, { token: access_token }),
        { concurrency: "unbounded" }
      )
      const refused = Array.from({ length: count - 1 }, () => 401)
      assert.deepStrictEqual(answers.map((answer) => answer.status).toSorted(), [200, ...refused])
      const owner = yield* Effect.flatMap(Wire.logInFunction(id), Wire.tokens)
      const winner = answers.findIndex((answer) => answer.status === 200)
      assert.strictEqual(owner.user_id, users[winner]?.user_id)
    }), { arbitrary: { runs: 15 }, timeout: 60_000 })

  it.effect("two email addresses linked to one user at once leave one", () =>
    Effect.gen(function*() {
      const { access_token: token } = yield* Wire.logInAnonymous
      const emails = ["one@example.com", "two@example.com", "three@example.com"]
      yield* Effect.forEach(emails, (email) => Wire.register(email))
      const answers = yield* Effect.forEach(emails, (email) => Wire.logInEmail(email, "correct horse", { token }), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(answers.map((answer) => answer.status).toSorted(), [200, 500, 500])
    }))
})

describe("ids of accounts elsewhere", () => {
  it.effect("that a database would take for one another are nobody's", () =>
    Effect.gen(function*() {
      const { access_token } = yield* Effect.flatMap(Wire.logInFunction("a\ufffd"), Wire.tokens)
      const before = yield* Wire.profile(access_token)
      for (const id of ["a\ud800", "a\udfff"]) {
        assert.deepStrictEqual(Wire.refusal(yield* Wire.logInFunction(id)), [401, "AuthError", "unauthorized"])
        assert.deepStrictEqual(
          Wire.refusal(yield* Wire.logInFunction(id, { token: access_token })),
          [401, "AuthError", "invalid credentials"]
        )
      }
      assert.deepStrictEqual((yield* Wire.profile(access_token)).body, before.body)
    }).pipe(Effect.provide(Wire.layer())))
})

describe("custom user data", () => {
  const app = Wire.makeApp({
    customUserData: { databaseName: "shop", collectionName: "people", userIdField: "userId" }
  })
  const people = Effect.map(
    Database.Database,
    (database) => database.collection({ database: "shop", collection: "people" })
  )

  it.effect("travels in the token, exact, and is read again at log-in, refresh and link", () =>
    Effect.gen(function*() {
      const collection = yield* people
      const { access_token, refresh_token, user_id } = yield* Wire.logInAnonymous
      assert.deepStrictEqual(Wire.claims(access_token)["user_data"], {})
      yield* collection.insertOne({ _id: "1", userId: user_id, name: "Zoë 日本 🎉", n: new Double(2), list: [1] })
      const expected = {
        _id: "1",
        userId: user_id,
        name: "Zoë 日本 🎉",
        n: { $numberDouble: "2.0" },
        list: [{ $numberInt: "1" }]
      }
      const refreshed = yield* Wire.refreshed(refresh_token)
      assert.deepStrictEqual(Wire.claims(refreshed)["user_data"], expected)
      // Functions see what the token says, until the next one.
      yield* collection.updateOne({ _id: "1" }, { $set: { name: "Zoe" } })
      assert.deepStrictEqual((yield* Wire.call(refreshed, "whoami")).fields["custom_data"], expected)
      const linked = yield* Effect.flatMap(Wire.logInFunction("zoe", { token: refreshed }), Wire.linked)
      assert.deepStrictEqual(Wire.claims(linked.access_token)["user_data"], { ...expected, name: "Zoe" })
      const again = yield* Effect.flatMap(Wire.logInFunction("zoe"), Wire.tokens)
      assert.deepStrictEqual(Wire.claims(again.access_token)["user_data"], { ...expected, name: "Zoe" })
    }).pipe(Effect.provide(Wire.layer({ app }))))

  it.effect("is found by ObjectId too, a string wins, and of several the first", () =>
    Effect.gen(function*() {
      const collection = yield* people
      const { refresh_token, user_id } = yield* Wire.logInAnonymous
      const found = Effect.map(
        Wire.refreshed(refresh_token),
        (token) => Schema.decodeUnknownSync(Schema.Struct({ _id: Schema.String }))(Wire.claims(token)["user_data"])._id
      )
      yield* collection.insertOne({ _id: "by ObjectId", userId: new ObjectId(user_id) })
      assert.strictEqual(yield* found, "by ObjectId")
      yield* collection.insertOne({ _id: "z first by string", userId: user_id })
      yield* collection.insertOne({ _id: "a second by string", userId: user_id })
      assert.strictEqual(yield* found, "z first by string")
    }).pipe(Effect.provide(Wire.layer({ app }))))
})

describe("the function for new users", () => {
  const layer = Wire.layer({
    app: Wire.makeApp({
      customUserData: {
        databaseName: "shop",
        collectionName: "people",
        userIdField: "userId",
        onUserCreationFunctionName: "created"
      },
      functions: [{
        name: "created",
        source: "exports = (user) => { if (user.identities[0].id === 'evil') throw new Error('not you') }"
      }]
    })
  })

  it.effect("refuses a user by throwing, and then there is none", () =>
    Effect.gen(function*() {
      for (let times = 0; times < 2; times++) {
        const refused = yield* Wire.logInFunction("evil")
        assert.deepStrictEqual([refused.status, refused.fields["error_code"]], [401, "AuthError"])
        assert.include(String(refused.fields["error"]), "not you")
      }
      const welcome = yield* Wire.logInFunction("good")
      assert.strictEqual(welcome.status, 200)
    }).pipe(Effect.provide(layer)))
})
