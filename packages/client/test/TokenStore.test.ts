import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import { assert, describe, it } from "@effect/vitest"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as KeyValueStore from "effect/persistence/KeyValueStore"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { TokenStoreError } from "../src/ClientError.ts"
import * as EncryptedKeyValueStore from "../src/EncryptedKeyValueStore.ts"
import * as EncryptedSessionStorage from "../src/EncryptedSessionStorage.ts"
import * as SessionStorage from "../src/SessionStorage.ts"
import * as TokenStore from "../src/TokenStore.ts"
import { changes, contract, generation, observe, ownPlace, session } from "./TokenStore.contract.ts"

/** A `Storage` as browsers have it, over a map. */
const storage = (): Storage => {
  const items = new Map<string, string>()
  return {
    get length() {
      return items.size
    },
    clear: () => items.clear(),
    getItem: (key) => items.get(key) ?? null,
    key: (index) => [...items.keys()][index] ?? null,
    removeItem: (key) => void items.delete(key),
    setItem: (key, value) => void items.set(key, value)
  }
}

const layerFiles = Layer.unwrap(
  Effect.map(
    Effect.flatMap(FileSystem.FileSystem, (files) => files.makeTempDirectoryScoped({ prefix: "effect-realm-" })),
    (directory) => KeyValueStore.layerFileSystem(directory)
  )
).pipe(Layer.provide([NodeFileSystem.layer, NodePath.layer]))

const over = <E>(keyValueStore: Layer.Layer<KeyValueStore.KeyValueStore, E>) =>
  Layer.provide(TokenStore.layerKeyValueStore, Layer.fresh(keyValueStore))

contract("memory", TokenStore.layerMemory)
contract("a storage in memory", Layer.provide(TokenStore.layerStorage, Layer.fresh(SessionStorage.layerMemory)))
contract("a key-value store in memory", over(KeyValueStore.layerMemory))
contract("a key-value store of files", over(layerFiles), { runs: 10 })
contract("a key-value store over a Storage", over(KeyValueStore.layerStorage(storage)))

const encryption = { key: Config.succeed(Redacted.make(Buffer.alloc(32, 1).toString("base64"))) }
const encrypted = EncryptedSessionStorage.layerConfig(encryption)
const encryptedKeyValueStore = EncryptedKeyValueStore.layerConfig(encryption)

ownPlace("a storage", () => Layer.provide(TokenStore.layerStorage, Layer.fresh(SessionStorage.layerMemory)))
ownPlace(
  "an encrypted storage",
  () => TokenStore.layerStorage.pipe(Layer.provide(encrypted), Layer.provide(Layer.fresh(SessionStorage.layerMemory)))
)
ownPlace("a key-value store", () => over(KeyValueStore.layerMemory))
ownPlace("an encrypted key-value store", () =>
  TokenStore.layerKeyValueStore.pipe(
    Layer.provide(encryptedKeyValueStore),
    Layer.provide(Layer.fresh(KeyValueStore.layerMemory))
  ))

const appId = "shop-abcde"
const user = (userId: string): TokenStore.SessionKey => ({ appId, userId })
const [ann, bob, cleo] = [user("ann"), user("bob"), user("cleo")]

for (
  const [name, layer] of [["memory", TokenStore.layerMemory], [
    "a key-value store",
    over(KeyValueStore.layerMemory)
  ]] as const
) {
  it.effect(`${name} refuses a log-in whose user left also when the clock is set forward meanwhile`, () =>
    Effect.gen(function*() {
      const store = yield* TokenStore.TokenStore
      const since = yield* store.arrival(appId)
      yield* store.depart(ann)
      yield* TestClock.adjust("2 hours")
      yield* store.depart(bob)
      const outcome = yield* store.commit(ann, {
        expected: 0,
        session: Option.some(session(ann)),
        event: { _tag: "LoggedIn", providerType: "local-userpass" },
        makeCurrent: true,
        since
      })
      assert.strictEqual(outcome._tag, "Left")
    }).pipe(Effect.provide(Layer.fresh(layer))))
}

/** A key-value store whose writes can be made to fail: from the `from`th on, for `times` writes. */
const failing = Effect.map(
  KeyValueStore.KeyValueStore,
  (store) => {
    let writes = 0
    let fails = { from: Infinity, times: Infinity }
    const write = <A>(key: string, effect: Effect.Effect<A, KeyValueStore.KeyValueStoreError>) =>
      Effect.suspend(() => {
        writes++
        return writes >= fails.from && writes < fails.from + fails.times
          ? Effect.fail(new KeyValueStore.KeyValueStoreError({ key, method: "set", message: "the disk is full" }))
          : effect
      })
    return {
      fail: (from: number, times: number) => {
        writes = 0
        fails = { from, times }
      },
      writes: () => writes,
      store: KeyValueStore.KeyValueStore.of({
        ...store,
        set: (key, value) => write(key, store.set(key, value)),
        remove: (key) => write(key, store.remove(key))
      })
    }
  }
)

const before = Effect.gen(function*() {
  yield* changes.logIn(cleo, "1", { providerType: "anon-user", deviceId: "first device" })
  yield* changes.logIn(bob)
})

const anonymous = { providerType: "anon-user", deviceId: "second device" }

const cut = {
  "the first log-in of an app": [Effect.void, changes.logIn(ann, "2", anonymous)],
  "a log-in": [before, changes.logIn(ann, "2", anonymous)],
  "a log-in again": [before, changes.logIn(cleo, "2", { deviceId: "second device" })],
  "a refresh": [before, changes.refresh(bob, "2")],
  "a switch": [before, changes.switchTo(cleo)],
  "a log-out": [before, changes.logOut(bob)],
  "a removal": [before, changes.remove(bob)],
  "a log-in that begins a page": [
    Effect.forEach(Array.from({ length: 256 }, (_, index) => user(`user ${index}`)), (key) => changes.logIn(key), {
      discard: true
    }),
    changes.logIn(ann, "2", anonymous)
  ]
} as const

describe("TokenStore over a key-value store that fails", () => {
  for (const [name, [prepare, change]] of Object.entries(cut)) {
    for (const times of [1, Infinity]) {
      it.effect(`${name} that fails at any write leaves no trace (${times === 1 ? "one write" : "all writes"} lost)`, () =>
        Effect.gen(function*() {
          let failed = 0
          for (let nth = 1;; nth++) {
            const outcome = yield* Effect.gen(function*() {
              const disk = yield* failing
              const open = Layer.provide(
                TokenStore.layerKeyValueStore,
                Layer.succeed(KeyValueStore.KeyValueStore, disk.store)
              )
              return yield* Effect.gen(function*() {
                yield* prepare
                const keys = [ann, bob, cleo]
                const seen = yield* observe(keys)
                disk.fail(nth, times)
                const outcome = yield* Effect.result(change)
                disk.fail(Infinity, 0)
                if (outcome._tag === "Success") return "done"
                assert.strictEqual(outcome.failure.reason._tag, "Unavailable")
                assert.deepStrictEqual(yield* observe(keys), seen)
                const restarted = yield* Effect.provide(observe(keys), Layer.fresh(open))
                assert.deepStrictEqual(restarted, seen)
                assert.isTrue(Option.isSome(yield* change), "it works once the store does")
                const after = yield* observe(keys)
                assert.deepStrictEqual(yield* Effect.provide(observe(keys), Layer.fresh(open)), after)
                return "failed"
              }).pipe(Effect.provide(open))
            }).pipe(Effect.provide(Layer.fresh(KeyValueStore.layerMemory)))
            if (outcome === "done") break
            failed++
          }
          assert.isAbove(failed, 0)
        }))
    }
  }

  it.effect("a commit that fails is no event", () =>
    Effect.gen(function*() {
      const disk = yield* failing
      yield* Effect.gen(function*() {
        yield* before
        const { changes: changesOf } = yield* TokenStore.TokenStore
        const events = yield* Effect.forkChild(Stream.runCollect(Stream.take(changesOf(bob), 2)), {
          startImmediately: true
        })
        yield* Effect.yieldNow
        disk.fail(1, 1)
        yield* Effect.flip(changes.logOut(bob))
        yield* changes.refresh(bob)
        const [, event] = yield* Fiber.join(events)
        assert.strictEqual(event?._tag, "AccessTokenRefreshed")
      }).pipe(
        Effect.provide(
          Layer.provide(TokenStore.layerKeyValueStore, Layer.succeed(KeyValueStore.KeyValueStore, disk.store))
        )
      )
    }).pipe(Effect.provide(Layer.fresh(KeyValueStore.layerMemory))))

  it.effect("a user is listed once also after a log-in that failed left an entry in a page that is full now", () =>
    Effect.gen(function*() {
      const disk = yield* failing
      yield* Effect.gen(function*() {
        const { users } = yield* TokenStore.TokenStore
        const names = Array.from({ length: 255 }, (_, index) => `user ${index}`)
        for (const name of names) yield* changes.logIn(user(name))
        // The third write of a log-in is the session record.
        disk.fail(3, 1)
        yield* Effect.flip(changes.logIn(ann))
        disk.fail(Infinity, 0)
        yield* changes.logIn(bob)
        yield* changes.logIn(ann)
        assert.deepStrictEqual(yield* users(appId), [...names, "bob", "ann"])
      }).pipe(
        Effect.provide(
          Layer.provide(TokenStore.layerKeyValueStore, Layer.succeed(KeyValueStore.KeyValueStore, disk.store))
        )
      )
    }).pipe(Effect.provide(Layer.fresh(KeyValueStore.layerMemory))))
})

describe("TokenStore over a key-value store that is slow", () => {
  /** A key-value store that lets others go first before and after each of its steps. */
  const slow = Layer.effect(
    KeyValueStore.KeyValueStore,
    Effect.map(KeyValueStore.KeyValueStore, (store) => {
      const yielding = <A, E>(effect: Effect.Effect<A, E>) =>
        Effect.yieldNow.pipe(Effect.andThen(effect), Effect.tap(Effect.yieldNow))
      return KeyValueStore.KeyValueStore.of({
        ...store,
        get: (key) => yielding(store.get(key)),
        set: (key, value) => yielding(store.set(key, value)),
        remove: (key) => yielding(store.remove(key))
      })
    })
  ).pipe(Layer.provide(KeyValueStore.layerMemory))

  it.effect("a commit that is interrupted at any point has happened with its event, or not at all", () =>
    Effect.forEach(Array.from({ length: 40 }, (_, index) => index), (steps) =>
      Effect.gen(function*() {
        const { changes: changesOf, get, users } = yield* TokenStore.TokenStore
        const told: Array<string> = []
        const listener = yield* Effect.forkChild(
          Stream.runForEach(changesOf(ann), (event) => Effect.sync(() => told.push(event._tag))),
          { startImmediately: true }
        )
        while (told.length === 0) yield* Effect.yieldNow
        const commit = yield* Effect.forkChild(changes.logIn(ann), { startImmediately: true })
        for (let step = 0; step < steps; step++) yield* Effect.yieldNow
        yield* Fiber.interrupt(commit)
        for (let step = 0; step < 20; step++) yield* Effect.yieldNow
        const happened = Option.isSome(yield* get(ann))
        assert.deepStrictEqual(told, happened ? ["Snapshot", "LoggedIn"] : ["Snapshot"])
        assert.deepStrictEqual(yield* users(appId), happened ? ["ann"] : [])
        yield* Fiber.interrupt(listener)
        // Nothing is left locked.
        assert.isTrue(Option.isSome(yield* changes.logIn(ann)))
      }).pipe(Effect.provide(over(slow))), { discard: true }))
})

const sessionRecord = (userId: string) => `effect-realm/session/${appId}/${userId}`
const appRecord = `effect-realm/app/${appId}`
const pageRecord = (index: number) => `effect-realm/page/${appId}/${index}`

const damages = ["", "{", "null", "[]", "7", "\"text\"", "{\"session\":{}}", "<html>", "\u0000\u0000"]

/** Runs a test for each damage to one record of a fresh store of three users; answers what was logged as well. */
const damaged = <A, E>(
  record: string,
  test: (
    disk: KeyValueStore.KeyValueStore,
    logged: ReadonlyArray<string>
  ) => Effect.Effect<A, E, TokenStore.TokenStore>
) =>
  // An empty list is a page, too.
  Effect.forEach(damages.filter((damage) => record !== pageRecord(0) || damage !== "[]"), (damage) => {
    const logged: Array<string> = []
    const logger = Logger.make(({ message }) => void logged.push(String(message)))
    return Effect.gen(function*() {
      const disk = yield* KeyValueStore.KeyValueStore
      const open = Layer.provide(TokenStore.layerKeyValueStore, Layer.succeed(KeyValueStore.KeyValueStore, disk))
      yield* Effect.provide(Effect.andThen(before, changes.logIn(ann, "secret")), Layer.fresh(open))
      const text = yield* disk.get(record)
      assert.isDefined(text)
      yield* disk.set(record, damage)
      yield* Effect.provide(test(disk, logged), Layer.fresh(open))
    }).pipe(Effect.provide(Layer.fresh(KeyValueStore.layerMemory)), Effect.provide(Logger.layer([logger])))
  }, { discard: true })

describe("TokenStore over a key-value store with a damaged record", () => {
  it.effect("of a user: that user fails typed and reported once, all others go on and are not rewritten", () =>
    damaged(sessionRecord("ann"), (disk, logged) =>
      Effect.gen(function*() {
        const { app, get, users } = yield* TokenStore.TokenStore
        const others = yield* Effect.forEach([bob, cleo], ({ userId }) => disk.get(sessionRecord(userId)))
        const written = yield* disk.get(sessionRecord("ann"))
        for (let times = 0; times < 3; times++) {
          const error = yield* Effect.flip(get(ann))
          assert.instanceOf(error, TokenStoreError)
          assert.strictEqual(error.reason._tag, "Damaged")
          assert.include(error.message, sessionRecord("ann"))
        }
        assert.deepStrictEqual(yield* users(appId), ["cleo", "bob"])
        assert.deepStrictEqual((yield* app(appId)).currentUser, Option.some("bob"))
        assert.isTrue(Option.isSome(yield* get(bob)))
        assert.strictEqual(yield* disk.get(sessionRecord("ann")), written, "reading repairs nothing")
        assert.deepStrictEqual(
          yield* Effect.forEach([bob, cleo], ({ userId }) => disk.get(sessionRecord(userId))),
          others
        )
        assert.strictEqual(logged.length, 1)
        assert.notInclude(logged[0], "secret")
      })))

  it.effect("of a user: a log-in replaces it, a removal removes it", () =>
    damaged(sessionRecord("ann"), (disk) =>
      Effect.gen(function*() {
        const { commit, get, users } = yield* TokenStore.TokenStore
        const logIn = {
          expected: 0,
          session: Option.some(session(ann, "anew")),
          event: { _tag: "LoggedIn", providerType: "local-userpass" },
          makeCurrent: true
        } as const
        assert.strictEqual((yield* commit(ann, logIn))._tag, "Committed")
        assert.deepStrictEqual((yield* users(appId)).toSorted(), ["ann", "bob", "cleo"])
        yield* disk.set(sessionRecord("bob"), "damaged")
        yield* commit(bob, { expected: 0, session: Option.none(), event: { _tag: "Removed" }, makeCurrent: false })
        assert.deepStrictEqual(yield* get(bob), Option.none())
        assert.isUndefined(yield* disk.get(sessionRecord("bob")))
      })))

  it.effect("of an app: it is made anew from its users, and log-ins go on", () =>
    damaged(appRecord, () =>
      Effect.gen(function*() {
        const { app, users } = yield* TokenStore.TokenStore
        assert.deepStrictEqual(yield* users(appId), ["cleo", "bob", "ann"])
        assert.deepStrictEqual(yield* app(appId), {
          currentUser: Option.some("ann"),
          anonymousUser: Option.some("cleo"),
          deviceId: Option.some("first device")
        })
        const earlier = yield* Effect.forEach([ann, bob, cleo], generation)
        const committed = Option.getOrThrow(yield* changes.logIn(user("dan")))
        assert.isAbove(committed, Math.max(...earlier))
        assert.deepStrictEqual(yield* users(appId), ["cleo", "bob", "ann", "dan"])
        yield* changes.logOut(user("dan"))
        assert.deepStrictEqual((yield* app(appId)).currentUser, Option.some("ann"))
      })))

  it.effect("of a page: its users are listed no more, yet go on; new ones are listed, and the page stays as it is", () =>
    damaged(pageRecord(0), (disk) =>
      Effect.gen(function*() {
        const { get, users } = yield* TokenStore.TokenStore
        const written = yield* disk.get(pageRecord(0))
        assert.deepStrictEqual(yield* users(appId), [])
        assert.isTrue(Option.isSome(yield* get(ann)))
        assert.isTrue(Option.isSome(yield* changes.refresh(ann)))
        yield* changes.logIn(user("dan"))
        yield* changes.remove(bob)
        assert.deepStrictEqual(yield* users(appId), ["dan"])
        assert.strictEqual(yield* disk.get(pageRecord(0)), written)
      })))

  it.effect("that is another user's: it is nobody's", () =>
    Effect.gen(function*() {
      const disk = yield* KeyValueStore.KeyValueStore
      const open = Layer.provide(TokenStore.layerKeyValueStore, Layer.succeed(KeyValueStore.KeyValueStore, disk))
      yield* Effect.gen(function*() {
        const { get } = yield* TokenStore.TokenStore
        yield* changes.logIn(ann)
        yield* changes.logIn(bob)
        yield* disk.set(sessionRecord("ann"), (yield* disk.get(sessionRecord("bob"))) ?? "")
        assert.deepStrictEqual(yield* get(ann), Option.none())
        assert.isTrue(Option.isSome(yield* changes.logIn(ann)))
        assert.isTrue(Option.exists(yield* get(ann), (session) => session.userId === "ann"))
      }).pipe(Effect.provide(open))
    }).pipe(Effect.provide(Layer.fresh(KeyValueStore.layerMemory))))
})

describe("TokenStore over a key-value store with a record of a newer version", () => {
  const newer = JSON.stringify({ version: 2, record: { everything: "else" } })

  /** Runs a test for a fresh store of three users, one record of which a newer version has written. */
  const withNewer = <A, E>(
    record: string,
    test: (disk: KeyValueStore.KeyValueStore) => Effect.Effect<A, E, TokenStore.TokenStore>
  ) =>
    Effect.gen(function*() {
      const disk = yield* KeyValueStore.KeyValueStore
      const open = Layer.provide(TokenStore.layerKeyValueStore, Layer.succeed(KeyValueStore.KeyValueStore, disk))
      yield* Effect.provide(Effect.andThen(before, changes.logIn(ann)), Layer.fresh(open))
      yield* disk.set(record, newer)
      yield* Effect.provide(test(disk), Layer.fresh(open))
      assert.strictEqual(yield* disk.get(record), newer, "it is left as it is")
    }).pipe(Effect.provide(Layer.fresh(KeyValueStore.layerMemory)), Effect.provide(Logger.layer([])))

  it.effect("of a user: that user fails typed, also when logging in, and all others go on", () =>
    withNewer(sessionRecord("ann"), () =>
      Effect.gen(function*() {
        const { app, get, users } = yield* TokenStore.TokenStore
        for (const attempt of [Effect.asVoid(get(ann)), Effect.asVoid(changes.logInAnew(ann))]) {
          const { reason } = yield* Effect.flip(attempt)
          assert.deepStrictEqual(reason, { _tag: "NewerVersion", key: sessionRecord("ann"), version: 2 })
        }
        assert.deepStrictEqual(yield* users(appId), ["cleo", "bob"])
        assert.deepStrictEqual((yield* app(appId)).currentUser, Option.some("bob"))
        assert.isTrue(Option.isSome(yield* changes.refresh(bob)))
      })))

  it.effect("of an app: nobody logs in any more, and who is logged in goes on", () =>
    withNewer(appRecord, () =>
      Effect.gen(function*() {
        assert.strictEqual((yield* Effect.flip(changes.logInAnew(user("dan")))).reason._tag, "NewerVersion")
        assert.isTrue(Option.isSome(yield* changes.refresh(bob)))
      })))

  it.effect("of a page: its users are listed no more, yet go on, and new ones are listed", () =>
    withNewer(pageRecord(0), () =>
      Effect.gen(function*() {
        const { users } = yield* TokenStore.TokenStore
        assert.isTrue(Option.isSome(yield* changes.refresh(bob)))
        yield* changes.logIn(user("dan"))
        yield* changes.remove(bob)
        assert.deepStrictEqual(yield* users(appId), ["dan"])
      })))
})
