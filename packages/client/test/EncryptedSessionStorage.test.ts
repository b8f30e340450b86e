import { assert, describe, it } from "@effect/vitest"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { TokenStoreError } from "../src/ClientError.ts"
import * as EncryptedSessionStorage from "../src/EncryptedSessionStorage.ts"
import * as SessionStorage from "../src/SessionStorage.ts"
import * as TokenStore from "../src/TokenStore.ts"
import * as SessionStorageContract from "./SessionStorage.contract.ts"
import * as TokenStoreContract from "./TokenStore.contract.ts"

type Storage = SessionStorage.SessionStorage["Service"]

const { changes } = TokenStoreContract

/** A key of its own for each seed. */
const keyOf = (seed: number) => Redacted.make(Buffer.alloc(32, seed).toString("base64"))
const key = keyOf(1)

const encrypted = EncryptedSessionStorage.layer({ key })
const place = Effect.runSync(
  Effect.provide(SessionStorage.SessionStorage.use(Effect.succeed), SessionStorage.layerMemory)
)

SessionStorageContract.contract(
  "encrypted memory",
  Layer.provide(encrypted, Layer.succeed(SessionStorage.SessionStorage, place))
)
TokenStoreContract.contract(
  "an encrypted storage in memory",
  Layer.provide(TokenStore.layerStorage, Layer.provide(encrypted, Layer.fresh(SessionStorage.layerMemory))),
  { runs: 30 }
)

const appId = "shop-abcde"
const user = (userId: string, app = appId): TokenStore.SessionKey => ({ appId: app, userId })
const [ann, bob] = [user("ann"), user("bob")]

const silence = Logger.layer([])

interface Place {
  readonly storage: Storage
  /** Runs an effect in a process that shares the place and was given these keys, or none. */
  readonly as: (
    options: EncryptedSessionStorage.Options | undefined
  ) => <A, E>(effect: Effect.Effect<A, E, TokenStore.TokenStore>) => Effect.Effect<A, E | TokenStoreError>
}

/** A test with a place of its own. */
const withPlace = <A, E>(test: (place: Place) => Effect.Effect<A, E>) =>
  Effect.gen(function*() {
    const storage = Context.get(
      yield* Layer.build(Layer.fresh(SessionStorage.layerMemory)),
      SessionStorage.SessionStorage
    )
    const inPlace = Layer.succeed(SessionStorage.SessionStorage, storage)
    return yield* test({
      storage,
      as: (options) =>
        Effect.provide(
          Layer.fresh(Layer.provide(
            TokenStore.layerStorage,
            options === undefined ? inPlace : Layer.provide(EncryptedSessionStorage.layer(options), inPlace)
          ))
        )
    })
  }).pipe(Effect.scoped, Effect.provide(silence))

const get = (key: TokenStore.SessionKey) => TokenStore.TokenStore.use((store) => store.get(key))
const users = TokenStore.TokenStore.use((store) => store.users(appId))

const reasonOf = <A, R>(effect: Effect.Effect<A, TokenStoreError, R>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason)

const recordOf = (storage: Storage, key: TokenStore.SessionKey) =>
  Effect.flatMap(storage.read(key), ({ row }) => Option.getOrThrow(row).record)

/** Puts a text where the record of a user is. */
const putRecord = (storage: Storage, key: TokenStore.SessionKey, text: string) =>
  Effect.flatMap(storage.read(key), ({ row }) =>
    storage.write(key, {
      expected: Option.match(row, { onNone: () => 0, onSome: ({ generation }) => generation }),
      since: Option.none(),
      record: Option.some(text),
      isLoggedIn: true,
      makeCurrent: true,
      isAnonymous: false,
      deviceId: Option.none(),
      event: "{}"
    }))

/** What version 1 has made of a text for this user. */
const firstVersion =
  "{\"version\":1,\"keyId\":\"Si-4ZnXB\",\"sealed\":\"Sy8ktJSk6gAfb0EFc1DDyTB2-VnMhMGBSOCXw6enlBSPC-PEXKH8\"}"

const keyIdOf = (text: string): string => JSON.parse(text).keyId

describe("EncryptedSessionStorage", () => {
  it.effect("decrypts a record once, however often it is read, and one that was written anew as well", () =>
    withPlace(({ as, storage }) =>
      Effect.gen(function*() {
        yield* as({ key })(changes.logIn(ann))
        const process = yield* EncryptedSessionStorage.make(storage, { key })
        const record = recordOf(process, ann)
        const first = yield* record
        // WebCrypto would answer later.
        assert.strictEqual(Effect.runSync(record), first)
        yield* as({ key })(changes.logOut(ann))
        assert.isTrue(Exit.hasDies(Effect.runSyncExit(record)))
        assert.notInclude(yield* record, "accessToken")
      })
    ))

  it.effect("leaves nothing of a session to be read where it is kept", () =>
    withPlace(({ as, storage }) =>
      Effect.gen(function*() {
        yield* as({ key })(Effect.andThen(changes.logIn(ann, "tell-nobody"), changes.refresh(ann, "tell-nobody")))
        const rows = yield* Stream.runCollect(storage.rows(appId))
        const records = yield* Effect.forEach(rows, ({ record }) => record)
        const { entries } = yield* storage.log(appId, 0)
        const events = yield* Effect.forEach(entries, ({ event }) => event)
        assert.deepStrictEqual([records.length, events.length], [1, 2])
        for (const text of [...records, ...events]) {
          for (const secret of ["tell-nobody", "access", "customData", "LoggedIn"]) assert.notInclude(text, secret)
        }
        assert.isTrue(Option.isSome(yield* as({ key })(get(ann))))
      })
    ))

  it.effect("never writes the same twice, though it is the same", () =>
    withPlace(({ as, storage }) =>
      Effect.gen(function*() {
        const seen = new Set<string>()
        for (let times = 0; times < 20; times++) {
          yield* as({ key })(changes.logIn(ann))
          seen.add(yield* recordOf(storage, ann))
        }
        assert.strictEqual(seen.size, 20)
      })
    ))

  it.effect("takes a record for no other user and for no other app", () =>
    withPlace(({ as, storage }) =>
      Effect.gen(function*() {
        const elsewhere = user("ann", "other-app")
        yield* as({ key })(Effect.forEach([ann, bob, elsewhere], (key) => changes.logIn(key)))
        const anns = yield* recordOf(storage, ann)
        for (const key of [bob, elsewhere]) yield* putRecord(storage, key, anns)
        const encrypted = yield* EncryptedSessionStorage.make(storage, { key })
        for (const other of [bob, elsewhere]) {
          assert.strictEqual((yield* reasonOf(recordOf(encrypted, other)))._tag, "Damaged", "it does not even open")
          assert.strictEqual((yield* as({ key })(reasonOf(get(other))))._tag, "Damaged")
        }
        assert.deepStrictEqual(yield* as({ key })(users), ["ann"])
        assert.strictEqual(yield* recordOf(storage, bob), anns, "reading repairs nothing")
        assert.isTrue(Option.isSome(yield* as({ key })(changes.logInAnew(bob))))
        assert.deepStrictEqual(yield* as({ key })(users), ["ann", "bob"])
      })
    ))

  it.effect("takes an event for no record, and no record for an event", () =>
    withPlace(({ as, storage }) =>
      Effect.gen(function*() {
        yield* as({ key })(changes.logIn(ann))
        const { entries } = yield* storage.log(appId, 0)
        yield* putRecord(storage, ann, yield* entries[0]!.event)
        const encrypted = yield* EncryptedSessionStorage.make(storage, { key })
        assert.strictEqual((yield* reasonOf(recordOf(encrypted, ann)))._tag, "Damaged")
      })
    ))

  it.effect.prop(
    "fails typed when anything in a record was changed or cut off, and says nothing of what is in it",
    [
      Schema.Struct({
        at: Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 0.999 })),
        change: Schema.Literals(["cut", "other", "insert", "swap"])
      })
    ],
    ([{ at, change }]) =>
      withPlace(({ as, storage }) =>
        Effect.gen(function*() {
          yield* as({ key })(Effect.andThen(changes.logIn(ann, "tell-nobody"), changes.logIn(bob)))
          const text = yield* recordOf(storage, ann)
          // Before the last character, of which Base64 does not use every bit.
          const index = Math.floor(at * (text.length - 4))
          const changed = {
            cut: text.slice(0, index),
            other: `${text.slice(0, index)}${text[index] === "A" ? "B" : "A"}${text.slice(index + 1)}`,
            insert: `${text.slice(0, index)}A${text.slice(index)}`,
            swap: text.slice(index) + text.slice(0, index)
          }[change]
          if (changed === text) return
          yield* putRecord(storage, ann, changed)
          const error = yield* as({ key })(Effect.flip(get(ann)))
          assert.include(["Damaged", "KeyMissing", "NewerVersion"], error.reason._tag)
          assert.notInclude(`${error.message} ${JSON.stringify(error)}`, "tell-nobody")
          assert.deepStrictEqual(yield* as({ key })(users), ["bob"])
          assert.strictEqual(yield* recordOf(storage, ann), changed)
        })
      ),
    { arbitrary: { runs: 60 } }
  )

  it.effect("costs nothing when it is given the wrong key: all is left as it is, and there again with the right one", () =>
    withPlace(({ as, storage }) =>
      Effect.gen(function*() {
        yield* as({ key })(Effect.andThen(changes.logIn(ann), changes.logIn(bob)))
        const before = yield* Effect.forEach([ann, bob], (key) => recordOf(storage, key))
        const wrong = as({ key: keyOf(2) })
        const reason = yield* wrong(reasonOf(get(ann)))
        assert.deepStrictEqual(reason, {
          _tag: "KeyMissing",
          key: "session/shop-abcde/ann",
          keyId: keyIdOf(before[0]!)
        })
        assert.strictEqual((yield* wrong(reasonOf(changes.logInAnew(ann))))._tag, "KeyMissing")
        // New users go on, with the key that is there.
        yield* wrong(changes.logIn(user("cleo")))
        assert.deepStrictEqual(yield* wrong(users), ["cleo"])
        assert.deepStrictEqual(yield* Effect.forEach([ann, bob], (key) => recordOf(storage, key)), before)
        assert.deepStrictEqual(yield* as({ key })(users), ["ann", "bob"])
      })
    ))

  it.effect("costs nothing either when it is forgotten: a store of plain text leaves what is encrypted alone", () =>
    withPlace(({ as, storage }) =>
      Effect.gen(function*() {
        yield* as({ key })(changes.logIn(ann))
        const before = yield* recordOf(storage, ann)
        for (const attempt of [Effect.asVoid(get(ann)), Effect.asVoid(changes.logInAnew(ann))]) {
          const reason = yield* as(undefined)(reasonOf(attempt))
          assert.strictEqual(reason._tag, "KeyMissing")
        }
        assert.strictEqual(yield* recordOf(storage, ann), before)
      })
    ))

  it.effect("reads with an old key, and writes with the new one, until the old one is needed no more", () =>
    withPlace(({ as, storage }) =>
      Effect.gen(function*() {
        yield* as({ key })(Effect.andThen(changes.logIn(ann), changes.logIn(bob)))
        const old = keyIdOf(yield* recordOf(storage, ann))
        const rotated = as({ key: keyOf(2), oldKeys: [keyOf(3), key] })
        assert.deepStrictEqual(yield* rotated(users), ["ann", "bob"])
        assert.strictEqual(keyIdOf(yield* recordOf(storage, ann)), old, "reading writes nothing")
        yield* rotated(changes.refresh(ann))
        assert.notStrictEqual(keyIdOf(yield* recordOf(storage, ann)), old)
        assert.strictEqual(keyIdOf(yield* recordOf(storage, bob)), old)
        assert.deepStrictEqual(yield* as({ key: keyOf(2) })(users), ["ann"])
      })
    ))

  it.effect("reads plain text when it is told to, and encrypts it when it is written next", () =>
    withPlace(({ as, storage }) =>
      Effect.gen(function*() {
        yield* as(undefined)(Effect.andThen(changes.logIn(ann), changes.logIn(bob)))
        assert.strictEqual((yield* as({ key })(reasonOf(get(ann))))._tag, "Damaged")
        const moving = as({ key, readPlainText: true })
        assert.deepStrictEqual(yield* moving(users), ["ann", "bob"])
        yield* moving(changes.refresh(ann))
        assert.notInclude(yield* recordOf(storage, ann), "access")
        assert.deepStrictEqual(yield* moving(users), ["ann", "bob"])
        assert.deepStrictEqual(yield* as({ key })(users), ["ann"])
      })
    ))

  it.effect("leaves what a newer version has encrypted alone, and says so", () =>
    withPlace(({ as, storage }) =>
      Effect.gen(function*() {
        const text = JSON.stringify({ version: 2, keyId: "x", cipher: "of tomorrow" })
        yield* putRecord(storage, ann, text)
        for (const attempt of [Effect.asVoid(get(ann)), Effect.asVoid(changes.logInAnew(ann))]) {
          assert.deepStrictEqual(yield* as({ key })(reasonOf(attempt)), {
            _tag: "NewerVersion",
            key: "session/shop-abcde/ann",
            version: 2
          })
        }
        assert.strictEqual(yield* recordOf(storage, ann), text)
      })
    ))

  it.effect("reads what the first version has encrypted", () =>
    Effect.gen(function*() {
      const storage = yield* EncryptedSessionStorage.make(place, { key })
      yield* putRecord(place, user("pinned", "pinned"), firstVersion)
      assert.strictEqual(yield* recordOf(storage, user("pinned", "pinned")), "tell-nobody")
    }))

  it.effect("has a key of its own for each app, however long its id is", () =>
    withPlace(({ as, storage }) =>
      Effect.gen(function*() {
        // WebCrypto of Node.js derives keys for 1,024 bytes at most.
        const apps = [990, 991, 992, 1_000, 1_024, 1_025, 5_000].map((length) => user("ann", "a".repeat(length)))
        const last = user("ann", `${"a".repeat(4_999)}b`)
        yield* as({ key })(Effect.forEach([...apps, last], (key) => changes.logIn(key), { discard: true }))
        for (const key of [...apps, last]) assert.isTrue(Option.isSome(yield* as({ key: keyOf(1) })(get(key))))
        yield* putRecord(storage, last, yield* recordOf(storage, apps.at(-1)!))
        assert.strictEqual((yield* as({ key })(reasonOf(get(last))))._tag, "Damaged")
      })
    ))

  it.effect("is over its own place, also within the reach of another one", () =>
    Effect.gen(function*() {
      const configured = EncryptedSessionStorage.layerConfig({ key: Config.succeed(key) })
      for (const layer of [encrypted, configured]) {
        const [outer, inner] = [0, 1].map(() => Layer.provide(layer, Layer.fresh(SessionStorage.layerMemory)))
        const number = SessionStorage.SessionStorage.use((storage) =>
          Effect.map(storage.app(appId), ({ number }) => number)
        )
        yield* Effect.gen(function*() {
          yield* putRecord(yield* SessionStorage.SessionStorage, ann, "{}")
          assert.strictEqual(yield* number, 1)
          assert.strictEqual(yield* Effect.provide(number, inner!), 0)
        }).pipe(Effect.provide(outer!))
      }
    }))

  it.effect("refuses what is no key, and does not print it", () =>
    Effect.gen(function*() {
      for (const secret of ["", "password", "p".repeat(32), "ä".repeat(64), Buffer.alloc(31, 7).toString("base64")]) {
        for (const options of [{ key: Redacted.make(secret) }, { key, oldKeys: [Redacted.make(secret)] }]) {
          const error = yield* Effect.flip(EncryptedSessionStorage.make(place, options))
          assert.strictEqual(error.reason._tag, "Misconfigured")
          assert.include(error.message, "openssl rand -base64 32")
          if (secret !== "") assert.notInclude(`${error.message} ${JSON.stringify(error)}`, secret)
        }
      }
    }))

  it.effect("takes its keys from the configuration", () =>
    withPlace(({ as, storage }) =>
      Effect.gen(function*() {
        yield* as({ key })(changes.logIn(ann))
        const layer = TokenStore.layerStorage.pipe(
          Layer.provide(EncryptedSessionStorage.layerConfig({
            key: Config.Redacted("KEY"),
            oldKeys: Config.Array(Schema.RedactedFromValue(Schema.String), "OLD_KEYS")
          })),
          Layer.provide(Layer.succeed(SessionStorage.SessionStorage, storage))
        )
        const env = { KEY: Redacted.value(keyOf(4)), OLD_KEYS: [keyOf(5), key].map(Redacted.value).join(",") }
        const found = yield* get(ann).pipe(
          Effect.provide(layer),
          Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env })))
        )
        assert.isTrue(Option.isSome(found))
      })
    ))
})
