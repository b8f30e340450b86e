import { Accounts, Database, EmailAccounts, Mail, Password, UserImport } from "@effect-realm/server"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { SignJWT } from "jose"
import * as Facebook from "./support/facebook.ts"
import * as Issuer from "./support/issuer.ts"
import * as Wire from "./support/wire.ts"

const userId = (digit: string) => `5b5cc113058429b7820af78${digit}`
const identityId = `${userId("a")}-abcdefghijklmnopqrstuvwx`
const email = "ann@example.com"

const emailIdentity = { id: identityId, provider_type: "local-userpass", provider_data: { email } }
const ofFunction = (id: string) => ({ id, provider_type: "custom-function" })

/** Ann as the Admin API listed her. */
const ann = {
  _id: userId("e"),
  identities: [{ ...emailIdentity, provider_id: "5b58b5cf8f25b968ab2b4ecf" }],
  type: "normal",
  creation_date: 1532805395,
  last_authentication_date: 1532805400,
  disabled: false,
  data: { email }
}

const take = (...pieces: ReadonlyArray<string>) =>
  Stream.runCollect(UserImport.run({ appId: Wire.appId, list: Stream.fromIterable(pieces) }))

const takeAll = (...entries: ReadonlyArray<object>) => take(JSON.stringify(entries))

const tags = (outcomes: ReadonlyArray<UserImport.Outcome>) => outcomes.map(({ _tag, line }) => `${line} ${_tag}`)

/** What is said about each. */
const said = (outcomes: ReadonlyArray<UserImport.Outcome>) =>
  outcomes.map((outcome) => {
    const words = "message" in outcome ? outcome.message : "notes" in outcome ? outcome.notes.join() : ""
    return `${outcome._tag}: ${words}`
  })

const idOf = (answer: Wire.Answer) => Effect.map(Wire.tokens(answer), (tokens) => tokens.user_id)

const everyProvider = (secrets: { readonly [name: string]: string }) =>
  Wire.makeApp({
    authProviders: {
      anonymous: {},
      customFunction: { authFunctionName: "authenticate" },
      customJwt: { signingKeys: ["key"] },
      google: { clientId: Issuer.client.id, clientSecret: "clientSecret" },
      apple: { clientId: Issuer.client.id },
      facebook: { clientId: Facebook.app.id, clientSecret: "facebookSecret" }
    },
    secrets: Object.fromEntries(Object.entries(secrets).map(([name, value]) => [name, Redacted.make(value)]))
  })

const shop = Wire.makeApp({
  authProviders: {
    anonymous: {},
    apiKey: {},
    customFunction: { authFunctionName: "authenticate" },
    emailPassword: { autoConfirm: true, resetPasswordUrl: "https://shop.example/reset" }
  },
  customUserData: { databaseName: "shop", collectionName: "preferences", userIdField: "userId" },
  dataSources: [{
    defaultRule: { roles: [{ name: "owner", applyWhen: { owner_id: "%%user.id" }, read: true, write: true }] }
  }]
})

describe("a user who is taken over", () => {
  it.effect("has logged in with an email address: sets a new password by mail, and is who they were", () =>
    Effect.gen(function*() {
      const database = yield* Database.Database
      yield* database.collection({ database: "shop", collection: "preferences" })
        .insertOne({ userId: ann._id, tea: "green" })
      yield* database.collection({ database: "shop", collection: "orders" })
        .insertMany([{ _id: 1, owner_id: ann._id }, { _id: 2, owner_id: userId("f") }])
      assert.deepStrictEqual(tags(yield* takeAll(ann)), ["1 Added"])

      // As for an address that nobody has, and it is nobody else's to register.
      assert.deepStrictEqual(Wire.refusal(yield* Wire.logInEmail(email)), [401, "InvalidPassword", "unauthorized"])
      assert.deepStrictEqual(Wire.refusal(yield* Wire.logInEmail(email, "")), [401, "InvalidPassword", "unauthorized"])
      assert.strictEqual((yield* Wire.register(email)).status, 409)

      const path = `${Wire.providers}/local-userpass/reset`
      yield* Wire.send("POST", `${path}/send`, { body: { email } })
      const outbox = yield* Mail.Outbox
      const [, token, tokenId] = /token=(\w+)&tokenId=(\w+)/.exec((yield* outbox.sent)[0]?.text ?? "") ?? []
      assert.strictEqual(
        (yield* Wire.send("POST", path, { body: { token, tokenId, password: "new horse" } })).status,
        204
      )

      const tokens = yield* Effect.flatMap(Wire.logInEmail(email, "new horse"), Wire.tokens)
      assert.strictEqual(tokens.user_id, ann._id)
      assert.propertyVal(Wire.claims(tokens.access_token)["user_data"], "tea", "green")
      const { fields } = yield* Wire.profile(tokens.access_token)
      assert.deepStrictEqual(fields["data"], { email })
      const found = yield* Wire.send("POST", `${Wire.appUrl}/functions/call`, {
        token: tokens.access_token,
        body: {
          name: "find",
          service: "mongodb-atlas",
          arguments: [{ database: "shop", collection: "orders", query: {} }]
        }
      })
      assert.deepStrictEqual(found.body, [{ _id: { $numberInt: "1" }, owner_id: ann._id }])
    }).pipe(Effect.provide(Wire.layer({ app: shop }))))

  it.effect("has logged in elsewhere: does so again, and is who they were", () =>
    Effect.gen(function*() {
      const issuer = yield* Issuer.make()
      const graph = yield* Facebook.make
      issuer.accounts.set("ann", { email })
      graph.tokens.set("token-1", { inspected: Facebook.inspected("fb-1"), user: { id: "fb-1" } })
      const secrets = {
        key: "k".repeat(40),
        clientSecret: Issuer.client.secret,
        facebookSecret: Facebook.app.secret
      }
      // The time of the issuers, on their sockets.
      yield* TestClock.withLive(Effect.clockWith((clock) => clock.currentTimeMillis)).pipe(
        Effect.flatMap(TestClock.setTime)
      )
      const jwt = yield* Effect.promise(() =>
        new SignJWT({ sub: "staff-1", aud: Wire.appId }).setProtectedHeader({ alg: "HS256" }).setExpirationTime(
          "1 hour"
        )
          .sign(new TextEncoder().encode(secrets.key))
      )
      const issuers = { google: issuer.url, apple: issuer.url, facebookGraph: graph.url }
      yield* Effect.gen(function*() {
        const users = [
          ["custom-function", "card-1", { id: "card-1" }],
          ["custom-token", "staff-1", { token: jwt }],
          ["oauth2-google", "ann", { id_token: yield* Issuer.idToken(issuer) }],
          ["oauth2-apple", "ann", { id_token: yield* Issuer.idToken(issuer) }],
          ["oauth2-facebook", "fb-1", { accessToken: "token-1" }]
        ] as const
        const entries = users.map(([provider_type, id], index) => ({
          _id: userId(String(index)),
          identities: [{ id, provider_type }]
        }))
        yield* takeAll(...entries)
        for (const [index, [provider, , body]] of users.entries()) {
          const answer = yield* Wire.send("POST", `${Wire.providers}/${provider}/login`, { body })
          assert.strictEqual(yield* idOf(answer), userId(String(index)), provider)
        }
        assert.strictEqual(yield* Wire.countUsers, users.length)
      }).pipe(Effect.provide(Wire.layer({ app: everyProvider(secrets), issuers })))
    }))

  it.effect("keeps times, state and the data of each identity; without times, the one that the id tells", () =>
    Effect.gen(function*() {
      const accounts = yield* Accounts.Accounts
      yield* takeAll(
        {
          ...ann,
          disabled: true,
          identities: [ofFunction("card"), { id: "x", provider_type: "anon-user" }, emailIdentity]
        },
        {
          _id: { $oid: userId("f") },
          creation_date: { $date: "2020-01-01T00:00:00Z" },
          last_authentication_date: { $numberLong: "1600000000" },
          identities: [{ ...ofFunction("bob"), provider_data: { age: { $numberInt: "4" } } }]
        },
        { id: userId("0"), identities: [ofFunction("eve")], data: { name: "Eve" } }
      )
      const first = yield* accounts.get(ann._id)
      assert.deepStrictEqual(first?.identities.map(({ data, providerType }) => [providerType, data]), [
        ["custom-function", {}],
        ["anon-user", {}],
        ["local-userpass", { email }]
      ])
      assert.deepStrictEqual(
        [first?.disabled, first?.createdAt, first?.lastAuthenticatedAt],
        [true, new Date(1532805395000), new Date(1532805400000)]
      )
      assert.deepStrictEqual(Wire.refusal(yield* Wire.logInFunction("card")), [401, "UserDisabled", "unauthorized"])
      const second = yield* accounts.get(userId("f"))
      assert.deepStrictEqual(
        [second?.createdAt, second?.lastAuthenticatedAt, second?.identities[0]?.data],
        [new Date("2020-01-01T00:00:00Z"), new Date(1_600_000_000_000), { age: 4 }]
      )
      const third = yield* accounts.get(userId("0"))
      assert.deepStrictEqual(
        [third?.createdAt, third?.lastAuthenticatedAt, third?.identities[0]?.data],
        [new Date(0x5b5cc113 * 1000), new Date(0x5b5cc113 * 1000), { name: "Eve" }]
      )
    }).pipe(Effect.provide(Wire.layer({ app: shop }))))

  it.effect("is told of what does not come along", () =>
    Effect.gen(function*() {
      const key = { id: "5e9e5e1b2f0b1c0001a1b2c3", provider_type: "api-key", provider_data: { name: "nightly" } }
      const [words] = said(yield* takeAll({ ...ann, identities: [emailIdentity, key] }))
      assert.match(words ?? "", /^Added: the API key "nightly" of 5b5c\w+ does not come along/)
      const user = yield* Effect.flatMap(Accounts.Accounts, (accounts) => accounts.get(ann._id))
      assert.deepStrictEqual(user?.identities.map(({ providerType }) => providerType), ["local-userpass"])
    }).pipe(Effect.provide(Wire.layer({ app: shop }))))

  it.effect("of no identity but an address that only documents tell gets one, the same each time", () =>
    Effect.gen(function*() {
      const entry = { _id: ann._id, identities: [{ provider_type: "local-userpass", provider_data: { email } }] }
      assert.deepStrictEqual(tags(yield* takeAll(entry, entry)), ["1 Added", "1 Present"])
      const user = yield* Effect.flatMap(Accounts.Accounts, (accounts) => accounts.get(ann._id))
      assert.match(user?.identities[0]?.id ?? "", /^5b5cc113058429b7820af78e-[a-z]{24}$/)
    }).pipe(Effect.provide(Wire.layer({ app: shop }))))
})

describe("a list", () => {
  it.effect("that is taken over twice changes nothing the second time", () =>
    Effect.gen(function*() {
      const accounts = yield* Accounts.Accounts
      const entries = [ann, { _id: userId("f"), identities: [ofFunction("card")] }]
      assert.deepStrictEqual(tags(yield* takeAll(...entries)), ["1 Added", "1 Added"])
      yield* accounts.link(ann._id, {
        ...ofFunction("later"),
        providerType: "custom-function",
        providerId: "p",
        data: {}
      })
      const before = yield* accounts.get(ann._id)
      assert.deepStrictEqual(tags(yield* takeAll(...entries)), ["1 Present", "1 Present"])
      assert.deepStrictEqual(yield* accounts.get(ann._id), before)
    }).pipe(Effect.provide(Wire.layer({ app: shop }))))

  it.effect("has users that are left out, since nobody can log in as them", () =>
    Effect.gen(function*() {
      const outcomes = yield* takeAll(
        { _id: userId("1"), identities: [{ id: "x", provider_type: "anon-user" }] },
        { _id: userId("2"), type: "server", identities: [{ id: "x", provider_type: "api-key" }] },
        { _id: userId("3"), login_ids: [{ id_type: "email", id: email }] }
      )
      const words = said(outcomes)
      assert.match(words[0] ?? "", /^LeftOut: .* anonymous/)
      assert.match(words[1] ?? "", /^LeftOut: .* API keys.*make new ones/)
      assert.match(words[2] ?? "", /^LeftOut: .*nobody has logged in.*register anew/)
      assert.strictEqual(yield* Wire.countUsers, 0)
    }).pipe(Effect.provide(Wire.layer({ app: shop }))))

  const wrong: ReadonlyArray<readonly [what: string, entry: object, words: RegExp]> = [
    ["an id that is none", { ...ann, _id: "ann" }, /"_id" is no id of a user/],
    ["no id", { identities: [] }, /"_id" is no id of a user/],
    ["a type that is none", { ...ann, type: "system" }, /"type" is neither/],
    ["a state that is none", { ...ann, disabled: "no" }, /"disabled" is neither/],
    ["no identities", { ...ann, identities: undefined }, /"identities" is no array/],
    [
      "a provider that is none",
      { ...ann, identities: [{ id: "1", provider_type: "mongodb-cloud" }] },
      /is none of anon-user/
    ],
    ["an identity that is none", { ...ann, identities: ["1"] }, /"identities\[0\].provider_type" is none/],
    [
      "an account without id",
      { ...ann, identities: [{ provider_type: "oauth2-google" }] },
      /oauth2-google has no "id"/
    ],
    ["half a character", { ...ann, identities: [ofFunction("a\ud800")] }, /custom-function has no "id"/],
    ["milliseconds", { ...ann, creation_date: 1532805395000 }, /"creation_date" is no time in seconds/],
    ["no date", { ...ann, last_authentication_date: "May" }, /"last_authentication_date" is no time in seconds/],
    [
      "data that is none",
      { ...ann, identities: [{ ...ofFunction("1"), provider_data: "x" }] },
      /the data .* no object/
    ],
    ["no Extended JSON", { ...ann, identities: [{ ...ofFunction("1"), provider_data: { a: { $oid: 1 } } }] }, /\$oid/],
    [
      "data that no database keeps",
      { ...ann, identities: [{ ...ofFunction("1"), provider_data: { "a\0": 1 } }] },
      /cannot be stored/
    ],
    [
      "no address",
      { ...ann, data: {}, identities: [{ id: "1", provider_type: "local-userpass" }] },
      /has no address: add/
    ],
    [
      "an address that could be that of the other identity",
      {
        ...ann,
        identities: [{ id: "1", provider_type: "local-userpass" }, { id: "1", provider_type: "oauth2-google" }]
      },
      /has no address: add/
    ],
    [
      "an address that cannot be",
      { ...ann, identities: [{ ...emailIdentity, provider_data: { email: "a\nb" } }] },
      /cannot be one/
    ],
    ["two addresses", { ...ann, identities: [emailIdentity, { ...emailIdentity, id: "2" }] }, /two email addresses/],
    [
      "an identity twice",
      { ...ann, identities: [ofFunction("1"), ofFunction("1")] },
      /custom-function 1 is there twice/
    ]
  ]

  it.effect("refuses what is wrong and says what that is, and nothing of it is written", () =>
    Effect.gen(function*() {
      const told = said(yield* takeAll(...wrong.map(([, entry]) => entry)))
      for (const [index, [what, , words]] of wrong.entries()) {
        assert.match(told[index] ?? "", /^Refused: /, what)
        assert.match(told[index] ?? "", words, what)
      }
      assert.strictEqual(yield* Wire.countUsers, 0)
      assert.strictEqual((yield* Wire.register(email)).status, 201)
    }).pipe(Effect.provide(Wire.layer({ app: shop }))))

  it.effect("says by line what is wrong, and takes what is right", () =>
    Effect.gen(function*() {
      const line = (digit: string) => JSON.stringify({ _id: userId(digit), identities: [ofFunction(digit)] })
      const cut = line("2").slice(0, 50)
      const list = [line("1"), cut, line("3"), `${line("4")}}`, "", "not JSON", line("5").slice(0, 9), line("6")].join(
        "\n"
      )
      assert.deepStrictEqual(tags(yield* take(list)), [
        "1 Added",
        "2 Refused",
        "3 Added",
        "4 Refused",
        "6 Refused",
        "7 Refused",
        "8 Added"
      ])
      assert.strictEqual(yield* Wire.countUsers, 3)
    }).pipe(Effect.provide(Wire.layer({ app: shop }))))
})

/** What is taken over, without a server. */
const ownAccounts = Layer.mergeAll(
  Accounts.layer({ database: "users" }),
  EmailAccounts.layer({
    database: "users",
    confirmation: { _tag: "Automatic" },
    reset: { _tag: "Mail", send: () => Effect.void }
  })
).pipe(Layer.provide([Wire.interleaving, Password.layer()]))

describe("what is somebody else's already", () => {
  it.effect("is refused: an id, an identity, an address; and the line is taken whole or not at all", () =>
    Effect.gen(function*() {
      yield* Wire.register(email)
      yield* takeAll({ _id: userId("1"), identities: [ofFunction("card-1")] })
      const other = { ...emailIdentity, provider_data: { email: "bob@example.com" } }
      const outcomes = yield* takeAll(
        ann,
        { _id: userId("1"), identities: [ofFunction("card-2")] },
        { ...ann, identities: [other, ofFunction("card-1")] }
      )
      const words = said(outcomes)
      assert.match(words[0] ?? "", /^Refused: ann@example.com is the address of another account/)
      assert.match(words[1] ?? "", /^Refused: The id 5b5cc113058429b7820af781 is that of a user with other identities/)
      assert.match(
        words[2] ?? "",
        /^Refused: The custom-function identity card-1 is that of the user 5b5cc113058429b7820af781/
      )
      assert.strictEqual(yield* Wire.countUsers, 1)
      assert.strictEqual((yield* Wire.register("bob@example.com")).status, 201)
    }).pipe(Effect.provide(Wire.layer({ app: shop }))))

  it.effect.prop(
    "has one owner, whatever the order of a log-in and of being taken over",
    [Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 8 }))],
    ([turns]) =>
      Effect.gen(function*() {
        const accounts = yield* Accounts.Accounts
        const identity = { id: "card", providerType: "custom-function", providerId: "p", data: {} }
        const [owner, [outcome]] = yield* Effect.all([
          accounts.authenticate(identity, () => Effect.void),
          Effect.andThen(
            Effect.replicateEffect(Effect.yieldNow, turns),
            takeAll({ _id: ann._id, identities: [emailIdentity, ofFunction("card")] })
          )
        ], { concurrency: "unbounded" })
        const isTaken = outcome?._tag === "Added"
        assert.strictEqual(owner.id === ann._id, isTaken)
        assert.strictEqual((yield* accounts.get(ann._id)) !== undefined, isTaken)
        // The address is there with its user, or not at all.
        const emails = yield* EmailAccounts.EmailAccounts
        assert.strictEqual(yield* emails.isRegistered(identityId), isTaken)
      }).pipe(Effect.provide(ownAccounts)),
    { arbitrary: { runs: 40 } }
  )
})
