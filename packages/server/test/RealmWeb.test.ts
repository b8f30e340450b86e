import { RealmFunction, StreamEvent } from "@effect-realm/protocol"
import {
  AppDefinition,
  Database,
  FunctionGroup,
  Listener,
  Mail,
  type RealmServer,
  Sessions
} from "@effect-realm/server"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { SignJWT } from "jose"
import { App, Credentials, MongoDBRealmError, UserState } from "realm-web"
import * as Facebook from "./support/facebook.ts"
import * as Issuer from "./support/issuer.ts"

const jwtKey = "a-key-of-forty-characters-for-this-test"

const definition = AppDefinition.make({
  appId: "shop-abcde",
  authProviders: {
    anonymous: {},
    apiKey: {},
    emailPassword: { autoConfirm: true, runResetFunction: true, resetFunctionName: "reset" },
    customFunction: { authFunctionName: "authenticate" },
    customJwt: { signingKeys: ["jwtKey"], metadataFields: [{ name: "name" }] },
    google: { clientId: Issuer.client.id, clientSecret: "openIdSecret" },
    apple: { clientId: Issuer.client.id },
    facebook: { clientId: Facebook.app.id, clientSecret: "facebookSecret" }
  },
  secrets: {
    jwtKey: Redacted.make(jwtKey),
    openIdSecret: Redacted.make(Issuer.client.secret),
    facebookSecret: Redacted.make(Facebook.app.secret)
  },
  customUserData: { databaseName: "shop", collectionName: "people", userIdField: "userId" },
  dataSources: [{
    collections: [
      {
        database: "shop",
        collection: "orders",
        roles: [{
          name: "owner",
          applyWhen: { owner: "%%user.id" },
          read: true,
          write: true,
          insert: true,
          delete: true
        }]
      },
      {
        database: "shop",
        collection: "people",
        roles: [{ name: "everybody", applyWhen: {}, fields: { name: { read: true } } }]
      }
    ]
  }],
  functions: [
    { name: "sum", source: "exports = (...numbers) => numbers.reduce((a, b) => a + b, 0)" },
    { name: "whoami", source: "exports = () => context.user.id" },
    { name: "nothing", source: "exports = () => {}" },
    { name: "fail", source: "exports = () => { throw new Error('no luck') }" },
    { name: "reset", source: "exports = ({ username }, answer) => ({ status: answer === 42 ? 'success' : 'fail' })" },
    { name: "authenticate", source: "exports = ({ name }) => ({ id: name, name })" }
  ]
})

const countUp = RealmFunction.makeStream("countUp", { args: [Schema.Int], success: Schema.Struct({ n: Schema.Int }) })

const functionGroups = FunctionGroup.layer({ countUp }, {
  countUp: (from) => Stream.map(Stream.iterate(from, (n) => n + 1), (n) => ({ n }))
})

const listening = (issuers: RealmServer.Options["issuers"] = {}) =>
  Listener.layer({
    app: definition,
    passwords: { cost: 2 },
    functions: { workers: 1 },
    issuers,
    functionGroups
  }).pipe(Layer.provideMerge(Database.layerMemory))

interface Surroundings {
  readonly people: Database.Collection
  readonly orders: Database.Collection
  readonly run: <A, E>(effect: Effect.Effect<A, E, Sessions.Sessions>) => Promise<A>
}

/** realm-web as published, against a server on a socket. The server's clock is the test's; realm-web looks at none. */
const withApp = (
  use: (app: App, surroundings: Surroundings) => Promise<void>,
  issuers?: RealmServer.Options["issuers"]
): Effect.Effect<void, Listener.ListenError | Database.DatabaseError> =>
  Effect.gen(function*() {
    const database = yield* Database.Database
    const baseUrl = yield* Listener.origin
    const context = yield* Effect.context<Sessions.Sessions>()
    yield* Effect.promise(() =>
      use(new App({ id: "shop-abcde", baseUrl }), {
        people: database.collection({ database: "shop", collection: "people" }),
        orders: database.collection({ database: "shop", collection: "orders" }),
        run: Effect.runPromiseWith(context)
      })
    )
  }).pipe(Effect.provide(listening(issuers)))

// Without reuse: outside of a browser realm-web keeps the users of every app in one place.
const anonymous = () => Credentials.anonymous(false)

const refused = async (promise: Promise<unknown>): Promise<MongoDBRealmError> => {
  const error: unknown = await promise.then(() => undefined, (error: unknown) => error)
  assert.instanceOf(error, MongoDBRealmError)
  return error
}

it.effect("realm-web logs in anonymously, calls functions and logs out twice", () =>
  withApp(async (app) => {
    const user = await app.logIn(anonymous())
    assert.strictEqual(user.state, UserState.Active)
    assert.strictEqual(user.providerType, "anon-user")
    assert.match(user.id, /^[0-9a-f]{24}$/)
    assert.match(user.deviceId ?? "", /^[0-9a-f]{24}$/)
    assert.strictEqual(await user.functions["sum"]!(1, 2, 3), 6)
    assert.strictEqual(await user.callFunction("whoami"), user.id)
    assert.isNull(await user.callFunction("nothing"))
    const missing = await refused(user.callFunction("missing"))
    assert.strictEqual(missing.statusCode, 404)
    assert.strictEqual(missing.errorCode, "FunctionNotFound")
    assert.strictEqual(missing.error, "function not found: 'missing'")
    const thrown = await refused(user.callFunction("fail"))
    assert.strictEqual(thrown.errorCode, "FunctionExecutionError")
    assert.include(thrown.error ?? "", "no luck")
    assert.include(thrown.link ?? "", "logs?co_id=")
    await user.logOut()
    assert.strictEqual(user.state, UserState.LoggedOut)
    await user.logOut()
  }))

it.effect("realm-web registers, logs in with email and password, and is told nothing about wrong ones", () =>
  withApp(async (app) => {
    const credentials = { email: "ann@example.com", password: "correct horse" }
    await app.emailPasswordAuth.registerUser(credentials)
    assert.strictEqual((await refused(app.emailPasswordAuth.registerUser(credentials))).errorCode, "AccountNameInUse")
    const user = await app.logIn(Credentials.emailPassword(credentials.email, credentials.password))
    assert.deepStrictEqual(user.profile, { email: "ann@example.com" })
    assert.deepStrictEqual(user.identities.map((identity) => identity.providerType), ["local-userpass"])
    const wrong = await refused(app.logIn(Credentials.emailPassword(credentials.email, "wrong horse")))
    const unknown = await refused(app.logIn(Credentials.emailPassword("bob@example.com", "wrong horse")))
    for (const error of [wrong, unknown]) {
      assert.deepStrictEqual([error.statusCode, error.errorCode, error.error], [401, "InvalidPassword", "unauthorized"])
    }
    await app.emailPasswordAuth.callResetPasswordFunction({ ...credentials, password: "battery staple" }, 42)
    await app.logIn(Credentials.emailPassword(credentials.email, "battery staple"))
  }))

it.effect("realm-web confirms by mail, asks for another, and resets the password by mail", () =>
  Effect.gen(function*() {
    const outbox = yield* Mail.Outbox
    const baseUrl = yield* Listener.origin
    const run = Effect.runPromiseWith(yield* Effect.context())
    const link = async () => {
      const mails = await run(outbox.sent)
      const { searchParams } = new URL(/^https:\S+$/m.exec(mails.at(-1)?.text ?? "")?.[0] ?? "")
      return { token: searchParams.get("token") ?? "", tokenId: searchParams.get("tokenId") ?? "" }
    }
    yield* Effect.promise(async () => {
      const app = new App({ id: "letters-abcde", baseUrl })
      const auth = app.emailPasswordAuth
      const credentials = { email: "ann@example.com", password: "correct horse" }
      const logIn = (password: string) => app.logIn(Credentials.emailPassword(credentials.email, password))
      await auth.registerUser(credentials)
      assert.strictEqual((await refused(logIn(credentials.password))).errorCode, "AuthError")
      await auth.resendConfirmationEmail(credentials)
      const confirmation = await link()
      await auth.confirmUser(confirmation)
      assert.strictEqual((await refused(auth.confirmUser(confirmation))).errorCode, "UserpassTokenInvalid")
      const confirmed = await refused(auth.resendConfirmationEmail(credentials))
      assert.strictEqual(confirmed.errorCode, "UserAlreadyConfirmed")
      await logIn(credentials.password)
      await auth.sendResetPasswordEmail(credentials)
      await auth.resetPassword({ ...await link(), password: "battery staple" })
      await logIn("battery staple")
      for (let times = 0; times < 10; times++) await refused(logIn("a guess"))
      const limited = await refused(logIn("battery staple"))
      assert.strictEqual(limited.statusCode, 429)
      assert.include(limited.error ?? "", "try again in 90 seconds")
    })
  }).pipe(Effect.provide(
    Listener.layer({
      app: AppDefinition.make({
        appId: "letters-abcde",
        authProviders: {
          emailPassword: {
            emailConfirmationUrl: "https://shop.example/confirm",
            resetPasswordUrl: "https://shop.example/reset"
          }
        }
      }),
      passwords: { cost: 2 },
      functions: { workers: 1 }
    }).pipe(Layer.provide(Database.layerMemory), Layer.provideMerge(Layer.fresh(Mail.layerMemory)))
  )))

it.effect("realm-web confirms by function, once more when asked to", () =>
  Effect.gen(function*() {
    const baseUrl = yield* Listener.origin
    yield* Effect.promise(async () => {
      const app = new App({ id: "letters-abcde", baseUrl })
      const auth = app.emailPasswordAuth
      const credentials = { email: "pending@example.com", password: "correct horse" }
      await auth.registerUser(credentials)
      await auth.retryCustomConfirmation(credentials)
      const failing = await refused(auth.registerUser({ ...credentials, email: "fail@example.com" }))
      assert.strictEqual(failing.error, "failed to confirm user \"fail@example.com\"")
    })
  }).pipe(Effect.provide(
    Listener.layer({
      app: AppDefinition.make({
        appId: "letters-abcde",
        authProviders: {
          emailPassword: {
            runConfirmationFunction: true,
            confirmationFunctionName: "confirm",
            runResetFunction: true,
            resetFunctionName: "confirm"
          }
        },
        functions: [
          { name: "confirm", source: "exports = ({ username }) => ({ status: username.split('@')[0] })" }
        ]
      }),
      passwords: { cost: 2 },
      functions: { workers: 1 }
    }).pipe(Layer.provide(Database.layerMemory))
  )))

it.effect("realm-web logs in by function, twice as the same user", () =>
  withApp(async (app) => {
    const user = await app.logIn(Credentials.function({ name: "Zoë 日本 🎉" }))
    assert.deepStrictEqual(user.profile, { name: "Zoë 日本 🎉" })
    const again = await app.logIn(Credentials.function({ name: "Zoë 日本 🎉" }))
    assert.strictEqual(again.id, user.id)
  }))

it.effect("realm-web links, and the user stays who they were", () =>
  withApp(async (app) => {
    const user = await app.logIn(anonymous())
    const { id } = user
    await app.emailPasswordAuth.registerUser({ email: "ann@example.com", password: "correct horse" })
    await user.linkCredentials(Credentials.emailPassword("ann@example.com", "correct horse"))
    assert.strictEqual(user.id, id)
    assert.deepStrictEqual(user.identities.map((identity) => identity.providerType), ["anon-user", "local-userpass"])
  }))

it.effect("realm-web that links with a wrong password is refused once, and does not try for ever", () =>
  withApp(async (app) => {
    const user = await app.logIn(anonymous())
    const error = await refused(user.linkCredentials(Credentials.emailPassword("ann@example.com", "wrong horse")))
    assert.deepStrictEqual([error.statusCode, error.errorCode], [401, "InvalidPassword"])
    assert.strictEqual(user.state, UserState.Active)
  }))

it.effect("realm-web that links what is another user's is refused once, and does not try for ever", () =>
  withApp(async (app) => {
    const taken = Credentials.emailPassword("ann@example.com", "correct horse")
    await app.emailPasswordAuth.registerUser({ email: "ann@example.com", password: "correct horse" })
    await app.logIn(taken)
    const user = await app.logIn(anonymous())
    const before = user.accessToken
    const error = await refused(user.linkCredentials(taken))
    assert.deepStrictEqual([error.statusCode, error.errorCode], [401, "AuthError"])
    assert.strictEqual(user.accessToken, before)
    assert.strictEqual(user.state, UserState.Active)
  }))

it.effect("realm-web reads custom data, and what changed once it refreshes", () =>
  withApp(async (app, { people, run }) => {
    const user = await app.logIn(anonymous())
    assert.deepStrictEqual(user.customData, {})
    await run(people.insertOne({ _id: "1", userId: user.id, colour: "purple", n: 5 }))
    const data = await user.refreshCustomData()
    assert.strictEqual(data["colour"], "purple")
    assert.deepStrictEqual(data["n"], { $numberInt: "5" })
    await run(people.updateOne({ _id: "1" }, { $set: { colour: "green" } }))
    assert.strictEqual(user.customData["colour"], "purple")
    assert.strictEqual((await user.refreshCustomData())["colour"], "green")
  }))

it.effect("realm-web exchanges an access token that has expired and goes on", () =>
  withApp(async (app, { run }) => {
    const user = await app.logIn(anonymous())
    const before = user.accessToken
    await run(TestClock.adjust("31 minutes"))
    assert.strictEqual(await user.callFunction("sum", 1, 2), 3)
    assert.notStrictEqual(user.accessToken, before)
  }))

it.effect("realm-web deletes its user", () =>
  withApp(async (app) => {
    await app.emailPasswordAuth.registerUser({ email: "ann@example.com", password: "correct horse" })
    const credentials = Credentials.emailPassword("ann@example.com", "correct horse")
    const user = await app.logIn(credentials)
    await app.deleteUser(user)
    assert.strictEqual((await refused(app.logIn(credentials))).errorCode, "InvalidPassword")
    await app.emailPasswordAuth.registerUser({ email: "ann@example.com", password: "correct horse" })
  }))

it.effect("realm-web makes, lists, switches and deletes API keys, and logs in and links with them", () =>
  withApp(async (app) => {
    const credentials = Credentials.emailPassword("ann@example.com", "correct horse")
    await app.emailPasswordAuth.registerUser({ email: "ann@example.com", password: "correct horse" })
    const user = await app.logIn(credentials)

    const { _id, key, name } = await user.apiKeys.create("my-key")
    assert.strictEqual(name, "my-key")
    assert.match(_id, /^[0-9a-f]{24}$/)
    assert.match(key ?? "", /^[A-Za-z0-9]{64}$/)
    const fetched = await user.apiKeys.fetch(_id)
    assert.deepStrictEqual([fetched._id, fetched.name, fetched.disabled], [_id, "my-key", false])
    assert.notProperty(fetched, "key")
    const other = await user.apiKeys.create("other")
    assert.deepStrictEqual((await user.apiKeys.fetchAll()).map((one) => one._id), [_id, other._id])

    await user.linkCredentials(Credentials.apiKey(other.key ?? ""))
    assert.deepStrictEqual(user.identities.map((identity) => identity.providerType), ["local-userpass", "api-key"])

    const taken = await refused(user.apiKeys.create("my-key"))
    assert.deepStrictEqual([taken.statusCode, taken.errorCode], [409, "APIKeyAlreadyExists"])
    const bad = await refused(user.apiKeys.create("no spaces"))
    assert.deepStrictEqual([bad.statusCode, bad.errorCode], [400, "InvalidParameter"])
    const missing = await refused(user.apiKeys.fetch("636aba021728b6c1c03db7f9"))
    assert.deepStrictEqual([missing.statusCode, missing.errorCode], [404, "APIKeyNotFound"])

    await user.apiKeys.disable(_id)
    assert.isTrue((await user.apiKeys.fetch(_id)).disabled)
    const disabled = await refused(app.logIn(Credentials.apiKey(key ?? "")))
    assert.deepStrictEqual([disabled.statusCode, disabled.errorCode, disabled.error], [
      401,
      "AuthError",
      "unauthorized"
    ])
    await user.apiKeys.enable(_id)

    await user.apiKeys.delete(other._id)
    assert.deepStrictEqual((await user.apiKeys.fetchAll()).map((one) => one._id), [_id])
    assert.strictEqual(user.state, UserState.Active)

    const program = await app.logIn(Credentials.apiKey(key ?? ""))
    assert.strictEqual(program.id, user.id)
    assert.include(program.identities.map((identity) => identity.providerType), "api-key")
    const forbidden = await refused(program.apiKeys.delete(_id))
    assert.strictEqual(forbidden.statusCode, 403)
    assert.strictEqual(program.state, UserState.Active)
    assert.strictEqual(await program.callFunction("whoami"), user.id)
  }))

it.effect("realm-web logs in and links with a JSON Web Token, and is refused once with a wrong one", () =>
  withApp(async (app) => {
    const sign = (claims: object) =>
      new SignJWT({ sub: "ann", aud: "shop-abcde", exp: 3600, name: "Zoë 🎉", ...claims })
        .setProtectedHeader({ alg: "HS256" })
        .sign(new TextEncoder().encode(jwtKey))

    const user = await app.logIn(Credentials.jwt(await sign({})))
    assert.strictEqual(user.providerType, "custom-token")
    assert.deepStrictEqual(user.profile, { name: "Zoë 🎉" })
    assert.deepStrictEqual(user.identities.map(({ id, providerType }) => [id, providerType]), [["ann", "custom-token"]])
    assert.strictEqual((await app.logIn(Credentials.jwt(await sign({ name: "Zoe" })))).id, user.id)
    await user.refreshProfile()
    assert.deepStrictEqual(user.profile, { name: "Zoe" })

    const expired = await refused(app.logIn(Credentials.jwt(await sign({ exp: 0 }))))
    assert.deepStrictEqual([expired.statusCode, expired.errorCode, expired.error], [401, "AuthError", "unauthorized"])

    const other = await app.logIn(anonymous())
    const stranger = await refused(other.linkCredentials(Credentials.jwt(await sign({ sub: "bob", aud: "cafe" }))))
    assert.deepStrictEqual([stranger.statusCode, stranger.errorCode], [401, "AuthError"])
    await other.linkCredentials(Credentials.jwt(await sign({ sub: "bob" })))
    assert.deepStrictEqual(other.identities.map((identity) => identity.providerType), ["anon-user", "custom-token"])
    assert.strictEqual(other.state, UserState.Active)
  }))

it.effect("realm-web logs in with Google, Facebook and Apple", () =>
  Effect.gen(function*() {
    const issuer = yield* Issuer.make()
    const graph = yield* Facebook.make
    issuer.accounts.set("ann", { name: "Ann", email: "ann@shop.example", email_verified: true })
    graph.tokens.set("token", { inspected: Facebook.inspected("1001"), user: { id: "1001", name: "Zoë" } })
    const idToken = yield* Issuer.idToken(issuer)
    const authCode = yield* Issuer.code(issuer)
    const now = yield* TestClock.withLive(Effect.clockWith((clock) => clock.currentTimeMillis))
    yield* TestClock.setTime(now)

    yield* withApp(async (app) => {
      const user = await app.logIn(Credentials.google({ idToken }))
      assert.deepStrictEqual(user.profile, { name: "Ann", email: "ann@shop.example" })
      assert.strictEqual(user.providerType, "oauth2-google")
      assert.strictEqual((await app.logIn(Credentials.google({ authCode }))).id, user.id)
      const again = await refused(app.logIn(Credentials.google({ authCode })))
      assert.deepStrictEqual([again.statusCode, again.errorCode, again.error], [401, "AuthError", "unauthorized"])

      await user.linkCredentials(Credentials.apple(idToken))
      await user.linkCredentials(Credentials.facebook("token"))
      assert.deepStrictEqual(
        user.identities.map(({ id, providerType }) => [id, providerType]),
        [["ann", "oauth2-google"], ["ann", "oauth2-apple"], ["1001", "oauth2-facebook"]]
      )
      assert.strictEqual((await app.logIn(Credentials.apple(idToken))).id, user.id)
      assert.strictEqual((await app.logIn(Credentials.facebook("token"))).id, user.id)
      const wrong = await refused(user.linkCredentials(Credentials.facebook("made up")))
      assert.deepStrictEqual([wrong.statusCode, wrong.errorCode], [401, "AuthError"])
      assert.strictEqual(user.state, UserState.Active)
    }, { google: issuer.url, apple: issuer.url, facebookGraph: graph.url })
  }))

it.effect("realm-web reads and writes documents with every operation it has, behind the rules", () =>
  withApp(async (app, { people, run }) => {
    await run(people.insertMany([{ _id: 1, name: "Bob", secret: 1 }, { _id: 2, name: "Cid", secret: 2 }]))
    const user = await app.logIn(anonymous())
    const database = user.mongoClient("mongodb-atlas").db("shop")
    const orders = database.collection<{ _id: number; owner?: string; n?: number; tags?: Array<string> }>("orders")
    const own = { owner: user.id }

    assert.deepStrictEqual(await orders.insertOne({ _id: 1, n: 1, ...own }), { insertedId: 1 })
    assert.deepStrictEqual(await orders.insertMany([{ _id: 2, n: 2, ...own }, { _id: 3, n: 3, ...own }]), {
      insertedIds: [2, 3]
    })
    const { insertedId } = await database.collection("orders").insertOne({ n: 4, ...own })
    assert.match(String(insertedId), /^[0-9a-f]{24}$/)
    assert.deepStrictEqual(
      await orders.find({ n: { $lte: 3 } }, { sort: { n: -1 }, limit: 2, projection: { n: 1 } }),
      [{ _id: 3, n: 3 }, { _id: 2, n: 2 }]
    )
    assert.deepStrictEqual(await orders.findOne({ _id: 1 }), { _id: 1, n: 1, ...own })
    assert.isNull(await orders.findOne({ _id: 9 }))
    assert.strictEqual(await orders.count(), 4)
    assert.strictEqual(await orders.count({ n: { $gt: 1 } }, { limit: 2 }), 2)
    assert.deepStrictEqual(await orders.updateOne({ _id: 1 }, { $inc: { n: 10 } }), {
      matchedCount: 1,
      modifiedCount: 1
    })
    assert.deepStrictEqual(await orders.updateMany({ n: { $gt: 2 } }, { $set: { tags: ["a", "b"] } }), {
      matchedCount: 3,
      modifiedCount: 3
    })
    assert.deepStrictEqual(
      await orders.updateOne({ _id: 1 }, { $set: { "tags.$[one]": "c" } }, { arrayFilters: [{ one: "b" }] }),
      { matchedCount: 1, modifiedCount: 1 }
    )
    assert.deepStrictEqual(await orders.updateOne({ _id: 5 }, { $set: own }, { upsert: true }), {
      matchedCount: 0,
      modifiedCount: 0,
      upsertedId: 5
    })
    assert.deepStrictEqual(await orders.findOneAndUpdate({ _id: 5 }, { $set: { n: 5 } }), { _id: 5, ...own })
    assert.deepStrictEqual(
      await orders.findOneAndUpdate({ _id: 5 }, { $inc: { n: 1 } }, { returnNewDocument: true, projection: { n: 1 } }),
      { _id: 5, n: 6 }
    )
    assert.deepStrictEqual(
      await orders.findOneAndReplace({ _id: 5 }, { n: 7, ...own }, { returnNewDocument: true }),
      { _id: 5, n: 7, ...own }
    )
    // It says findOneAndReplace without a replacement, and means this.
    assert.deepStrictEqual(await orders.findOneAndDelete({ _id: 5 }), { _id: 5, n: 7, ...own })
    assert.strictEqual(await orders.count({ _id: 5 }), 0)
    assert.deepStrictEqual(
      await orders.findOneAndUpdate({ _id: 6 }, { $set: own }, { upsert: true, returnNewDocument: true }),
      { _id: 6, ...own }
    )
    // Without operators it replaces.
    assert.deepStrictEqual(await orders.updateOne({ _id: 6 }, { n: 8, ...own }), { matchedCount: 1, modifiedCount: 1 })
    assert.deepStrictEqual(await orders.findOneAndDelete({ _id: 6 }, { projection: { n: 1 } }), { _id: 6, n: 8 })
    assert.deepStrictEqual(
      await orders.aggregate([
        { $match: { n: { $gt: 1 } } },
        { $group: { _id: "$owner", total: { $sum: "$n" }, most: { $max: "$n" } } }
      ]),
      [{ _id: user.id, total: 20, most: 11 }]
    )
    assert.deepStrictEqual(
      await database.collection("people").aggregate([{ $sort: { _id: -1 } }, {
        $project: { name: 1, secret: 1, known: { $type: "$secret" } }
      }]),
      [{ _id: 2, name: "Cid", known: "missing" }, { _id: 1, name: "Bob", known: "missing" }]
    )
    for (
      const [stage, words] of [
        [{ $lookup: { from: "people", as: "people" } }, /^\$lookup is not available to users/],
        [{ $who: 1 }, /Unrecognized pipeline stage name: '\$who'/]
      ] as const
    ) {
      const unknown = await refused(orders.aggregate([stage]))
      assert.deepStrictEqual([unknown.statusCode, unknown.errorCode], [400, "MongoDBError"])
      assert.match(unknown.error ?? "", words)
    }
    assert.deepStrictEqual(await orders.deleteOne({ _id: 2 }), { deletedCount: 1 })
    assert.deepStrictEqual(await orders.deleteMany({}), { deletedCount: 3 })

    const taken = await refused(orders.insertMany([{ _id: 1, ...own }, { _id: 1, ...own }]))
    assert.deepStrictEqual([taken.statusCode, taken.errorCode], [400, "MongoDBError"])
    const stranger = await refused(orders.insertOne({ _id: 2, owner: "somebody else" }))
    assert.deepStrictEqual([stranger.statusCode, stranger.errorCode, stranger.error], [
      400,
      "SchemaValidationFailedWrite",
      "insert not permitted"
    ])
    assert.deepStrictEqual(await database.collection("people").find({}, { sort: { secret: -1 } }), [
      { _id: 1, name: "Bob" },
      { _id: 2, name: "Cid" }
    ])
    const closed = await refused(database.collection("elsewhere").find())
    assert.deepStrictEqual([closed.statusCode, closed.errorCode, closed.error], [
      403,
      "NoMatchingRuleFound",
      "no rule exists for namespace 'shop.elsewhere'"
    ])
    const absent = await refused(user.mongoClient("elsewhere").db("shop").collection("orders").find())
    assert.deepStrictEqual([absent.statusCode, absent.errorCode], [404, "ServiceNotFound"])
    assert.strictEqual(user.state, UserState.Active)
  }))

it.effect("realm-web watches a collection, documents of it, and events by a filter, behind the rules", () =>
  withApp(async (app, { orders: stored, run }) => {
    const user = await app.logIn(anonymous())
    const owner = user.id
    const orders = user.mongoClient("mongodb-atlas").db("shop").collection<{ _id: number; owner: string; n: number }>(
      "orders"
    )
    /** It does not tell when a watch is open: what is written until the first event comes tells. */
    const open = async (events: ReturnType<typeof orders.watch>, write: (n: number) => Promise<unknown> = insert) => {
      const opened = events.next().then(({ done }) => done === false)
      const turn = () => new Promise<false>((resolve) => setImmediate(() => resolve(false)))
      let n = 1000 * ++opens
      do await write(n++)
      while (!await Promise.race([opened, turn()]))
      return {
        close: () => events.return(undefined),
        /** The next event about one of the documents below 1000. */
        next: async () => {
          for (;;) {
            const { value } = await events.next()
            if (value.documentKey._id < 1000) return value
          }
        }
      }
    }
    let opens = 0
    const insert = (_id: number) => run(stored.insertOne({ _id, owner, n: 0 }))

    const all = await open(orders.watch())
    await run(stored.insertMany([{ _id: 1, owner: "somebody else", n: 1 }, { _id: 2, owner, n: 2 }]))
    await orders.updateOne({ _id: 2 }, { $set: { n: 3 } })
    await run(stored.replaceOne({ _id: 2 }, { owner, n: 4 }))
    await orders.deleteOne({ _id: 2 })
    const [inserted, updated, replaced, deleted] = [
      await all.next(),
      await all.next(),
      await all.next(),
      await all.next()
    ]
    assert.deepInclude(inserted, {
      operationType: "insert",
      ns: { db: "shop", coll: "orders" },
      documentKey: { _id: 2 },
      fullDocument: { _id: 2, owner, n: 2 }
    })
    assert.isString(inserted._id._data)
    assert.deepInclude(updated, {
      operationType: "update",
      fullDocument: { _id: 2, owner, n: 3 },
      updateDescription: { updatedFields: { n: 3 }, removedFields: [], truncatedArrays: [] }
    })
    assert.deepInclude(replaced, { operationType: "replace", fullDocument: { _id: 2, owner, n: 4 } })
    assert.deepInclude(deleted, { operationType: "delete", documentKey: { _id: 2 } })
    await all.close()

    await insert(5)
    const some = await open(orders.watch({ ids: [5, 6] }), () => run(stored.updateOne({ _id: 5 }, { $inc: { n: 1 } })))
    const large = await open(orders.watch({ filter: { "fullDocument.n": { $gte: 0 }, operationType: "insert" } }))
    await run(stored.insertMany([{ _id: 7, owner, n: -1 }, { _id: 6, owner, n: 1 }]))
    for (;;) {
      const { documentKey } = await some.next()
      if (documentKey._id === 6) break
      assert.strictEqual(documentKey._id, 5)
    }
    assert.strictEqual((await large.next()).documentKey._id, 6)
    await large.close()

    const closed = user.mongoClient("mongodb-atlas").db("shop").collection("elsewhere").watch()
    const refusal = await refused(closed.next())
    assert.deepStrictEqual([refusal.statusCode, refusal.errorCode], [403, "NoMatchingRuleFound"])

    // It knows no more than the words of an error that comes later.
    await run(Sessions.Sessions.use((sessions) => sessions.endAll(user.id)))
    await insert(8)
    const ended: unknown = await some.next().catch((error: unknown) => error)
    assert.instanceOf(ended, Error)
    assert.propertyVal(ended, "code", "InvalidSession")
  }))

it.effect("realm-web reads a stream, and stops it", () =>
  withApp(async (app) => {
    const user = await app.logIn(anonymous())
    const decoder = StreamEvent.makeDecoder()
    const values: Array<unknown> = []
    for await (const bytes of await user.functions.callFunctionStreaming("countUp", 7)) {
      for (const { data } of Result.getOrThrow(decoder.feed(bytes))) values.push(JSON.parse(data))
      if (values.length >= 3) break
    }
    assert.deepStrictEqual(values.slice(0, 3), [7, 8, 9].map((n) => ({ n: { $numberInt: String(n) } })))
    const error = await refused(user.functions.callFunctionStreaming("sum", 1))
    assert.deepStrictEqual([error.statusCode, error.errorCode], [400, "NotCallable"])
  }))
