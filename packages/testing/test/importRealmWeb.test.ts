import { App, Credentials, TokenStore, User } from "@effect-realm/client"
import { AppDefinition, Database, Listener } from "@effect-realm/server"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, Option, Redacted } from "effect"
import { FetchHttpClient, HttpClient } from "effect/http"
import { KeyValueStore } from "effect/persistence"
import { TestClock } from "effect/testing"
import * as RealmWeb from "realm-web"

const appId = "shop-abcde"

const listening = Listener.layer({
  app: AppDefinition.make({
    appId,
    authProviders: {
      anonymous: {},
      emailPassword: { autoConfirm: true },
      customFunction: { authFunctionName: "authenticate" }
    },
    customUserData: { databaseName: "shop", collectionName: "people", userIdField: "userId" },
    functions: [
      { name: "whoami", source: "exports = () => context.user.id" },
      { name: "authenticate", source: "exports = ({ name }) => ({ id: name, name })" }
    ]
  }),
  passwords: { cost: 2 },
  functions: { workers: 1 }
}).pipe(Layer.provideMerge(Database.layerMemory))

/** What a browser keeps for a page. */
class Items extends Map<string, string> {
  readonly getItem = (key: string): string | null => this.get(key) ?? null
  readonly setItem = (key: string, value: string): void => void this.set(key, value)
}

type WebStorage = NonNullable<RealmWeb.AppConfiguration["storage"]>

/** `localStorage` as realm-web 2.0.1 uses it in a browser: prefixed with `realm-web`, one entry a value. */
const storageOf = (items: Items, prefix = "realm-web:"): WebStorage => ({
  get: (key: string) => items.getItem(prefix + key),
  set: (key: string, value: string) => items.setItem(prefix + key, value),
  remove: (key: string) => void items.delete(prefix + key),
  prefix: (part: string) => storageOf(items, `${prefix}${part}:`),
  clear: (part = "") => {
    for (const key of items.keys()) if (key.startsWith(prefix + part)) items.delete(key)
  },
  addListener: () => {},
  removeListener: () => {}
})

interface Page {
  readonly items: Items
  readonly old: RealmWeb.App
  readonly app: App.App
  /** The ids of Ann, who logged in first, of Ben, who logged out, and of Zoë, who is current. */
  readonly ann: string
  readonly ben: string
  readonly zoe: string
  readonly deviceId: string
  /** The URL of every request of ours. */
  readonly sent: Array<string>
}

const credentials = { email: "ann@example.com", password: "correct horse" }

/** A page on which realm-web has logged in three users, and written what it writes. */
const onPage = <A, E>(
  test: (page: Page) => Effect.Effect<A, E, HttpClient.HttpClient | TokenStore.TokenStore | Database.Database>
) =>
  Effect.gen(function*() {
    const database = yield* Database.Database
    const baseUrl = yield* Listener.origin
    const context = yield* Effect.context()
    const items = new Items()
    const sent: Array<string> = []
    const page = yield* Effect.promise(async () => {
      const old = new RealmWeb.App({ id: appId, baseUrl, storage: storageOf(items) })
      await old.emailPasswordAuth.registerUser(credentials)
      const ann = await old.logIn(RealmWeb.Credentials.emailPassword(credentials.email, credentials.password))
      const people = database.collection({ database: "shop", collection: "people" })
      await Effect.runPromiseWith(context)(people.insertOne({ _id: "1", userId: ann.id, colour: "purple" }))
      await ann.refreshCustomData()
      const ben = await old.logIn(RealmWeb.Credentials.anonymous(false))
      await ben.logOut()
      const zoe = await old.logIn(RealmWeb.Credentials.function({ name: "Zoë 日本" }))
      assert.strictEqual(old.currentUser?.id, zoe.id)
      return {
        items,
        old,
        app: App.make({ id: appId, baseUrl }),
        ann: ann.id,
        ben: ben.id,
        zoe: zoe.id,
        deviceId: zoe.deviceId!
      }
    })
    const client = Layer.effect(
      HttpClient.HttpClient,
      Effect.map(
        HttpClient.HttpClient,
        HttpClient.tapRequest((request) =>
          Effect.sync(() => {
            sent.push(request.url)
          })
        )
      )
    ).pipe(Layer.provide(FetchHttpClient.layer))
    return yield* Effect.provide(test({ ...page, sent }), Layer.merge(client, Layer.fresh(TokenStore.layerMemory)))
  }).pipe(Effect.provide(listening))

const key = (userId: string, name: string): string => `realm-web:app(${appId}):user(${userId}):${name}`

const states = (users: ReadonlyArray<User.User>) =>
  Effect.forEach(users, (user) => Effect.map(User.state(user), (state) => [user.id, state]))

/** Everything that the store says of the app. */
const everything = (app: App.App) =>
  Effect.gen(function*() {
    const current = yield* App.currentUser(app)
    const users = yield* Effect.forEach(
      yield* App.allUsers(app),
      (user) => TokenStore.TokenStore.use((store) => store.get({ appId, userId: user.id }))
    )
    return { current, users }
  })

// Each test has a server of its own, with a worker for its functions.
describe("App.importRealmWeb", { timeout: 60_000 }, () => {
  it.effect("takes over who is logged in, who is current, profiles, custom data and the device, and sends nothing", () =>
    onPage(({ ann, app, ben, deviceId, items, sent, zoe }) =>
      Effect.gen(function*() {
        // What realm-web makes of the `first_name` of a Google account, for instance.
        const stored = JSON.parse(items.get(key(zoe, "profile"))!)
        items.set(key(zoe, "profile"), JSON.stringify({ ...stored, data: { ...stored.data, firstName: "Zoë" } }))
        const before = new Map(items)
        const users = yield* App.importRealmWeb(app, items)
        assert.deepStrictEqual(sent, [])
        assert.deepStrictEqual(yield* states(users), [[zoe, "LoggedIn"], [ben, "LoggedOut"], [ann, "LoggedIn"]])
        assert.deepStrictEqual(yield* Effect.map(App.currentUser(app), Option.map(({ id }) => id)), Option.some(zoe))
        const [theZoe, theBen, theAnn] = users as [User.User, User.User, User.User]

        const profile = yield* User.profile(theZoe)
        assert.deepStrictEqual(profile.data, { name: "Zoë 日本", firstName: "Zoë" })
        assert.deepStrictEqual(profile.identities.map(({ providerType }) => providerType), ["custom-function"])
        assert.strictEqual(yield* User.providerType(theAnn), "local-userpass")
        assert.strictEqual(yield* User.providerType(theBen), "anon-user")
        assert.deepStrictEqual(yield* User.customData(theAnn), { _id: "1", userId: ann, colour: "purple" })
        assert.deepStrictEqual(yield* User.deviceId(theZoe), Option.some(deviceId))
        const refreshToken = yield* User.refreshToken(theZoe)
        assert.strictEqual(Redacted.value(refreshToken), before.get(key(zoe, "refreshToken")))
        for (const [name, value] of before) assert.strictEqual(items.get(name), value)

        // And they work, now and when the access token has run out.
        assert.strictEqual(yield* User.callFunction(theAnn, "whoami"), ann)
        assert.strictEqual(sent.length, 1)
        yield* TestClock.adjust("31 minutes")
        assert.strictEqual(yield* User.callFunction(theZoe, "whoami"), zoe)
        yield* User.logOut(theZoe)
        assert.deepStrictEqual(yield* Effect.map(App.currentUser(app), Option.map(({ id }) => id)), Option.some(ann))
      })
    ))

  it.effect("twice changes nothing, and brings back nobody who was logged out or removed since", () =>
    onPage(({ ann, app, items, zoe }) =>
      Effect.gen(function*() {
        const [theZoe, , theAnn] = (yield* App.importRealmWeb(app, items)) as [User.User, User.User, User.User]
        const once = yield* everything(app)
        const written = new Map(items)
        assert.deepStrictEqual(yield* App.importRealmWeb(app, items), [])
        assert.deepStrictEqual(yield* everything(app), once)
        assert.deepStrictEqual(new Map(items), written)

        yield* App.removeUser(app, theZoe)
        yield* User.logOut(theAnn)
        assert.deepStrictEqual(yield* app.pipe(App.importRealmWeb(items)), [])
        assert.strictEqual(yield* User.state(theZoe), "Removed")
        assert.strictEqual(yield* User.state(theAnn), "LoggedOut")
        assert.isString(items.get(key(zoe, "refreshToken")))
        assert.isString(items.get(key(ann, "refreshToken")))
      })
    ))

  it.effect("leaves users of the store as they are, and the current one current", () =>
    onPage(({ ann, app, items, zoe }) =>
      Effect.gen(function*() {
        const again = yield* App.logIn(app, Credentials.emailPassword(credentials))
        assert.strictEqual(again.id, ann)
        const before = yield* TokenStore.TokenStore.use((store) => store.get({ appId, userId: ann }))
        const users = yield* App.importRealmWeb(app, items)
        assert.deepStrictEqual(users.map(({ id }) => id).includes(ann), false)
        assert.deepStrictEqual(yield* TokenStore.TokenStore.use((store) => store.get({ appId, userId: ann })), before)
        assert.deepStrictEqual(yield* App.currentUser(app), Option.some(again))
        assert.strictEqual(yield* User.state(users.find(({ id }) => id === zoe)!), "LoggedIn")
      })
    ))

  it.effect("a damaged entry costs its user alone, and is reported once, without what was in it", () =>
    onPage(({ ann, app, ben, items, zoe }) =>
      Effect.gen(function*() {
        const entries = new Map(items)
        const damages: ReadonlyArray<(items: Items) => void> = [
          (items) => items.set(key(zoe, "profile"), "{\"type\":"),
          (items) => items.set(key(zoe, "profile"), "[]"),
          (items) => items.set(key(zoe, "accessToken"), "s3cret.token"),
          (items) => items.set(key(zoe, "accessToken"), items.get(key(ann, "accessToken"))!),
          (items) => items.delete(key(zoe, "accessToken")),
          (items) => {
            items.delete(key(zoe, "providerType"))
            items.delete(key(zoe, "profile"))
          }
        ]
        for (const damage of damages) {
          const broken = new Items(entries)
          damage(broken)
          const logged: Array<string> = []
          const logger = Logger.make(({ message }) => void logged.push(String(message)))
          yield* Effect.gen(function*() {
            const users = yield* App.importRealmWeb(app, broken)
            assert.deepStrictEqual(yield* states(users), [[ben, "LoggedOut"], [ann, "LoggedIn"]])
            assert.deepStrictEqual(yield* App.importRealmWeb(app, broken), [])
          }).pipe(Effect.provide(Layer.fresh(TokenStore.layerMemory)), Effect.provide(Logger.layer([logger])))
          assert.strictEqual(logged.length, 1)
          assert.include(logged[0], zoe)
          assert.notInclude(logged[0], "s3cret")
        }
      })
    ))

  it.effect("a list of users that cannot be read costs them all and nothing else", () =>
    onPage(({ app, items }) =>
      Effect.gen(function*() {
        const list = `realm-web:app(${appId}):userIds`
        for (const [damage, count] of [["{", 0], ["7", 0], ["[7, null, \"stranger\"]", 0], ["[]", 0]] as const) {
          const broken = new Items(items)
          broken.set(list, damage)
          assert.strictEqual((yield* App.importRealmWeb(app, broken)).length, count)
        }
        const other = App.make({ id: "another-app", baseUrl: app.baseUrl })
        assert.deepStrictEqual(yield* App.importRealmWeb(other, items), [])
      })
    ))

  it.effect("a storage that fails is a typed error", () =>
    onPage(({ app, items }) =>
      Effect.gen(function*() {
        const full = {
          getItem: items.getItem,
          setItem: () => {
            throw new Error("the quota is exceeded")
          }
        }
        const error = yield* Effect.flip(App.importRealmWeb(app, full))
        assert.strictEqual(error.reason._tag, "Unavailable")
        // Whoever was taken over by then stays so, and is not taken over twice.
        const before = yield* everything(app)
        assert.deepStrictEqual(yield* App.importRealmWeb(app, items), [])
        assert.deepStrictEqual(yield* everything(app), before)
      })
    ))

  it.effect("survives a restart where the store does", () =>
    onPage(({ app, items, zoe }) =>
      Effect.gen(function*() {
        const rows = KeyValueStore.layerMemory
        yield* Effect.gen(function*() {
          const store = Layer.fresh(TokenStore.layerKeyValueStore)
          const before = yield* Effect.andThen(App.importRealmWeb(app, items), everything(app)).pipe(
            Effect.provide(store)
          )
          const after = yield* everything(app).pipe(Effect.provide(store))
          assert.deepStrictEqual(printed(after), printed(before))
          assert.strictEqual(Option.getOrThrow(after.current).id, zoe)
        }).pipe(Effect.provide(rows))
      })
    ))
})

const printed = (value: unknown): unknown => JSON.parse(JSON.stringify(value))
