import { SessionStorage, TokenStore } from "@effect-realm/client"
import * as EncryptedSessionStorage from "@effect-realm/client/EncryptedSessionStorage"
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import fs, * as Fs from "node:fs"
import { syncBuiltinESMExports } from "node:module"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import * as SessionStorageContract from "../../client/test/SessionStorage.contract.ts"
import * as TokenStoreContract from "../../client/test/TokenStore.contract.ts"
import {
  ann,
  appId,
  bob,
  cleo,
  hears,
  inApp,
  isSuperuser,
  law,
  layerFiles,
  listen,
  logInAnew,
  newDirectory,
  nobody,
  open,
  reasonOf,
  root,
  silence,
  skips,
  user,
  userFile,
  walk,
  written
} from "./files.ts"
import { setBack } from "./setBack.ts"

const { changes, generation, session } = TokenStoreContract

const shared = newDirectory()

SessionStorageContract.contract("files", Layer.suspend(() => layerFiles(shared)))
TokenStoreContract.contract(
  "files",
  Layer.provide(TokenStore.layerStorage, Layer.suspend(() => layerFiles(newDirectory()))),
  { runs: 10 }
)

const deleted = newDirectory()
setBack(
  Layer.suspend(() => layerFiles(deleted)),
  Effect.sync(() => Fs.rmSync(join(deleted, "shop"), { recursive: true }))
)

TokenStoreContract.ownPlace("files", () => Layer.provide(TokenStore.layerStorage, layerFiles(newDirectory())))

describe("A directory of sessions", () => {
  law("is read and written by its owner only, and so is all that is in it", (directory) =>
    Effect.gen(function*() {
      const process = yield* open(directory)
      yield* process.run(changes.logIn(ann))
      yield* process.store.lease(ann, Effect.void)
      yield* process.run(changes.remove(ann))
      for (const path of [directory, ...walk(directory)]) {
        const stat = Fs.statSync(path)
        assert.strictEqual(stat.mode & 0o777, stat.isDirectory() ? 0o700 : 0o600, path)
      }
    }))

  law(
    "is refused when others may write to it, with what to do, and nothing is written there",
    (directory) =>
      Effect.gen(function*() {
        Fs.mkdirSync(directory)
        for (const mode of [0o777, 0o775, 0o722, 0o1777]) {
          Fs.chmodSync(directory, mode)
          const error = yield* Effect.flip(open(directory))
          assert.strictEqual(error.reason._tag, "Misconfigured")
          assert.include(error.message, `chmod 700 ${directory}`)
          assert.deepStrictEqual(Fs.readdirSync(directory), [])
        }
        Fs.chmodSync(directory, 0o755)
        yield* open(directory)
      })
  )

  law("is refused when it belongs to another user", (directory) =>
    Effect.gen(function*() {
      if (skips(!isSuperuser, "Only the superuser can give a directory to another user")) return
      Fs.mkdirSync(directory)
      Fs.chownSync(directory, nobody, nobody)
      assert.strictEqual((yield* reasonOf(Effect.scoped(open(directory))))._tag, "Misconfigured")
    }))

  law("fails typed where it cannot be made, and where nothing can be written", (directory) =>
    Effect.gen(function*() {
      Fs.writeFileSync(directory, "a letter to a friend")
      for (const path of [directory, join(directory, "sessions")]) {
        assert.strictEqual((yield* reasonOf(Effect.scoped(open(path))))._tag, "Unavailable")
      }
      assert.strictEqual(Fs.readFileSync(directory, "utf8"), "a letter to a friend")
      Fs.rmSync(directory)
      Fs.mkdirSync(directory)
      Fs.chmodSync(directory, 0o555)
      Fs.chmodSync(root, 0o755)
      // Nothing is forbidden to the superuser.
      const options = { appId, lengths: { ann: 10 }, ...(isSuperuser ? { uid: nobody } : undefined) }
      const outcomes = ["", "below"].map((name) => written({ ...options, directory: join(directory, name) }))
      for (const [outcome] of outcomes) {
        assert.match(outcome!, /^Unavailable: /)
        assert.include(outcome, "EACCES: permission denied")
      }
    }))

  law("keeps nothing that can be read when it is encrypted", (directory) =>
    Effect.gen(function*() {
      const layer = TokenStore.layerStorage.pipe(
        Layer.provide(EncryptedSessionStorage.layer({ key: Redacted.make(Buffer.alloc(32, 1).toString("base64")) })),
        Layer.provide(layerFiles(directory))
      )
      yield* Effect.provide(changes.logIn(ann, "tell-nobody"), layer)
      const files = walk(directory).filter((path) => Fs.statSync(path).isFile())
      assert.isAtLeast(files.length, 3)
      for (const file of files) assert.notMatch(Fs.readFileSync(file, "utf8"), /tell-nobody|access/)
    }))
})

describe("A lease", () => {
  law("that was given before the clock of the machine was set back is nobody's", (directory) =>
    Effect.gen(function*() {
      const [first, second] = [yield* open(directory), yield* open(directory)]
      const life = Duration.seconds(10)
      assert.isTrue(yield* first.storage.acquire(ann, "dead", life))
      assert.isFalse(yield* second.storage.acquire(ann, "heir", life))
      const file = inApp(directory, "leases", "ann")
      const lease = JSON.parse(Fs.readFileSync(file, "utf8"))
      Fs.writeFileSync(file, JSON.stringify({ ...lease, until: lease.until + 7_200_000 }))
      assert.isTrue(yield* second.storage.acquire(ann, "heir", life))
      assert.isFalse(yield* first.storage.acquire(ann, "dead", life))
    }))
})

describe("A file of a user", () => {
  const damages = ["", "{", "null", "[]", "{\"version\":1}", "<html>", "\u0000\u0000"]

  law("that is torn or foreign costs this user, until the next log-in", (directory) =>
    Effect.gen(function*() {
      const [first, second] = [yield* open(directory), yield* open(directory)]
      for (const key of [ann, bob]) yield* first.run(changes.logIn(key))
      const others = Fs.readFileSync(userFile(directory, bob), "utf8")
      for (const text of [...damages, others]) {
        yield* logInAnew(first, ann)
        Fs.writeFileSync(userFile(directory, ann), text)
        assert.strictEqual((yield* reasonOf(second.store.get(ann)))._tag, "Damaged")
        assert.deepStrictEqual(yield* second.store.users(appId), ["bob"])
        assert.deepStrictEqual((yield* second.store.app(appId)).currentUser, Option.some("bob"))
        assert.isTrue(Option.isSome(yield* second.run(changes.refresh(bob))))
        assert.strictEqual(Fs.readFileSync(userFile(directory, ann), "utf8"), text, "reading repairs nothing")
        assert.strictEqual((yield* logInAnew(second, ann))._tag, "Committed")
        assert.isTrue(Option.isSome(yield* first.store.get(ann)))
      }
    }))

  law("that is damaged keeps nobody's log-out from winning", (directory) =>
    Effect.gen(function*() {
      const [first, second] = [yield* open(directory), yield* open(directory)]
      yield* first.run(changes.logIn(ann))
      const since = yield* first.store.arrival(appId)
      Fs.writeFileSync(userFile(directory, ann), "{")
      yield* second.store.depart(ann)
      const outcome = yield* first.store.commit(ann, {
        expected: 0,
        session: Option.some(session(ann)),
        event: { _tag: "LoggedIn", providerType: "local-userpass" },
        makeCurrent: true,
        since
      })
      assert.strictEqual(outcome._tag, "Left")
      assert.strictEqual((yield* reasonOf(first.store.get(ann)))._tag, "Damaged")
    }))

  law("of a newer version is left alone, also by a log-in", (directory) =>
    Effect.gen(function*() {
      const process = yield* open(directory)
      yield* process.run(changes.logIn(bob))
      const text = JSON.stringify({ version: 2, everything: "else" })
      Fs.writeFileSync(userFile(directory, ann), text)
      for (const attempt of [process.store.get(ann), logInAnew(process, ann), process.store.depart(ann)]) {
        assert.strictEqual((yield* reasonOf(Effect.asVoid(attempt)))._tag, "NewerVersion")
      }
      assert.strictEqual(Fs.readFileSync(userFile(directory, ann), "utf8"), text)
      assert.deepStrictEqual(yield* process.store.users(appId), ["bob"])
    }))

  law("that is deleted is a user less", (directory) =>
    Effect.gen(function*() {
      const process = yield* open(directory)
      for (const key of [ann, bob]) yield* process.run(changes.logIn(key))
      Fs.rmSync(userFile(directory, bob))
      assert.deepStrictEqual(yield* process.store.get(bob), Option.none())
      assert.deepStrictEqual(yield* process.store.users(appId), ["ann"])
      assert.deepStrictEqual((yield* process.store.app(appId)).currentUser, Option.some("ann"))
      assert.strictEqual((yield* logInAnew(process, bob))._tag, "Committed")
    }))

  law(
    "that says only that the user is gone is deleted after an hour and a thousand changes",
    (directory) =>
      Effect.gen(function*() {
        const process = yield* open(directory)
        const since = yield* process.store.arrival(appId)
        for (const key of [ann, bob]) {
          yield* process.run(changes.logIn(key))
          yield* process.run(changes.remove(key))
        }
        yield* process.store.depart(ann)
        const file = userFile(directory, ann)
        const gone = JSON.parse(Fs.readFileSync(file, "utf8"))
        Fs.writeFileSync(file, JSON.stringify({ ...gone, writtenAt: gone.writtenAt - 3_700_000 }))
        const changesOf = (count: number) => Effect.replicateEffect(process.run(changes.logIn(cleo)), count)
        yield* changesOf(256)
        // An hour may be no more than a clock that was set forward.
        const late = process.store.commit(ann, {
          expected: 0,
          session: Option.some(session(ann)),
          event: { _tag: "LoggedIn", providerType: "local-userpass" },
          makeCurrent: true,
          since
        })
        assert.strictEqual((yield* late)._tag, "Left")
        yield* changesOf(1024)
        assert.deepStrictEqual(Fs.readdirSync(inApp(directory, "users")).toSorted(), ["bob.json", "cleo.json"])
      })
  )
})

describe("What an app remembers", () => {
  law(
    "is made anew from its users when its file is lost or damaged, and generations never come again",
    (directory) =>
      Effect.gen(function*() {
        const [first, second] = [yield* open(directory), yield* open(directory)]
        yield* first.run(changes.logIn(cleo, "1", { providerType: "anon-user", deviceId: "d1" }))
        for (const key of [bob, ann]) yield* first.run(changes.logIn(key))
        const file = inApp(directory, "app.json")
        const earlier = Fs.readFileSync(file, "utf8")
        const damages = [
          () => Fs.rmSync(file),
          () => Fs.writeFileSync(file, "{"),
          () => Fs.writeFileSync(file, "{}"),
          () => Fs.writeFileSync(file, earlier)
        ]
        for (const damage of damages) {
          for (let times = 0; times < 2; times++) yield* first.run(changes.refresh(ann))
          const before = yield* first.run(generation(ann))
          const told = yield* listen(second)
          damage()
          assert.deepStrictEqual(yield* second.store.app(appId), {
            currentUser: Option.some("ann"),
            anonymousUser: Option.some("cleo"),
            deviceId: Option.some("d1")
          })
          assert.deepStrictEqual(yield* second.store.users(appId), ["cleo", "bob", "ann"])
          assert.strictEqual(yield* first.run(generation(ann)), before)
          yield* hears(told, first)
          assert.isAbove(yield* first.run(generation(ann)), before)
        }
      })
  )

  law("is left alone when a newer version wrote it, and so are its users", (directory) =>
    Effect.gen(function*() {
      const process = yield* open(directory)
      yield* process.run(changes.logIn(ann))
      const text = JSON.stringify({ version: 2, everything: "else" })
      Fs.writeFileSync(inApp(directory, "app.json"), text)
      const before = Fs.readFileSync(userFile(directory, ann), "utf8")
      const attempts = [process.store.get(ann), process.run(changes.logIn(bob)), process.store.app(appId)] as const
      for (const attempt of attempts) {
        const reason = yield* reasonOf<unknown>(attempt)
        assert.deepStrictEqual(reason, { _tag: "NewerVersion", key: inApp(directory, "app.json"), version: 2 })
      }
      assert.strictEqual(Fs.readFileSync(inApp(directory, "app.json"), "utf8"), text)
      assert.strictEqual(Fs.readFileSync(userFile(directory, ann), "utf8"), before)
    }))

  law("is who became current last, however many were logged out since", (directory) =>
    Effect.gen(function*() {
      const process = yield* open(directory)
      const keys = Array.from({ length: 40 }, (_, index) => user(`user-${index}`))
      for (const key of keys) yield* process.run(changes.logIn(key))
      for (const key of keys.toReversed()) {
        assert.deepStrictEqual((yield* process.store.app(appId)).currentUser, Option.some(key.userId))
        yield* process.run(changes.logOut(key))
      }
      assert.deepStrictEqual((yield* process.store.app(appId)).currentUser, Option.none())
    }))
})

describe("A log", () => {
  law("that is lost, cut off or damaged is told of by a snapshot, and goes on", (directory) =>
    Effect.gen(function*() {
      const [first, second] = [yield* open(directory), yield* open(directory)]
      yield* first.run(changes.logIn(ann))
      const damages = [
        (log: string) => Fs.rmSync(log),
        (log: string) => Fs.truncateSync(log, 7),
        (log: string) => Fs.writeFileSync(log, "x".repeat(Fs.statSync(log).size))
      ]
      for (const damage of damages) {
        const told = yield* listen(second)
        const log = Fs.readdirSync(inApp(directory)).find((name) => name.startsWith("log-"))
        damage(inApp(directory, log!))
        yield* hears(told, first)
      }
    }))

  law(
    "is shortened while others read it, and tells each of every change, once and in order",
    (directory) =>
      Effect.gen(function*() {
        const [first, second] = [yield* open(directory), yield* open(directory)]
        const told = yield* listen(second)
        const count = 2500
        const writes = Effect.gen(function*() {
          for (let number = 0; number < count; number++) yield* first.run(changes.refresh(ann))
        })
        yield* first.run(changes.logIn(ann))
        yield* Effect.forkScoped(writes)
        let last = 0
        while (last <= count) {
          const event = yield* Queue.take(told)
          if (event._tag === "Snapshot") last += event.missed
          else {
            assert.strictEqual(event.generation, last + 1)
            last = event.generation
          }
        }
        const logs = Fs.readdirSync(inApp(directory)).filter((name) => name.startsWith("log-"))
        assert.strictEqual(logs.length, 1)
        assert.isAbove(Fs.statSync(inApp(directory, logs[0]!)).size, 0)
        const late = yield* second.storage.log(appId, count - 1000)
        assert.isAtMost(late.forgotten, count - 1000)
      }),
    60_000
  )

  law(
    "is read on when the directory was replaced, and nobody tells of changes any more",
    (directory) =>
      Effect.gen(function*() {
        const [first, second] = [yield* open(directory), yield* open(directory)]
        yield* first.run(changes.logIn(ann))
        const told = yield* listen(second)
        // A copy in its place: what the operating system watches is what was moved away.
        Fs.renameSync(inApp(directory), `${inApp(directory)}.away`)
        Fs.cpSync(`${inApp(directory)}.away`, inApp(directory), { recursive: true })
        const third = yield* open(directory)
        yield* third.run(changes.logOut(ann))
        assert.strictEqual((yield* Queue.take(told))._tag, "LoggedOut")
      })
  )

  law(
    "is looked at again and again where the operating system watches no more directories",
    (directory) =>
      Effect.gen(function*() {
        const { watch } = fs
        yield* Effect.acquireRelease(
          Effect.sync(() => {
            fs.watch = () => {
              throw Object.assign(new Error("ENOSPC: System limit for number of file watchers reached"), {
                code: "ENOSPC"
              })
            }
            syncBuiltinESMExports()
          }),
          () =>
            Effect.sync(() => {
              fs.watch = watch
              syncBuiltinESMExports()
            })
        )
        const storage = yield* Effect.provide(SessionStorage.SessionStorage, layerFiles(directory))
        assert.throws(() => Fs.watch(directory), /ENOSPC/)
        assert.strictEqual(yield* Stream.runCount(Stream.take(storage.news(appId), 5)), 5)
        const [first, second] = [yield* open(directory), yield* open(directory)]
        const told = yield* listen(second)
        yield* first.run(changes.logIn(ann))
        assert.strictEqual((yield* Queue.take(told))._tag, "LoggedIn")
      })
  )
})

describe("A lock", () => {
  law("that is no lock fails typed, with what to do", (directory) =>
    Effect.gen(function*() {
      const process = yield* open(directory)
      Fs.mkdirSync(inApp(directory))
      Fs.writeFileSync(inApp(directory, "lock"), "a letter to a friend, which is no database at all")
      const error = yield* Effect.flip(process.run(changes.logIn(ann)))
      assert.strictEqual(error.reason._tag, "Unavailable")
      assert.include(error.message, "delete it while no program runs")
      Fs.rmSync(inApp(directory, "lock"))
      assert.isTrue(Option.isSome(yield* process.run(changes.logIn(ann))))
    }))

  it.effect("that another process does not give back fails typed after five seconds, and reading goes on", () =>
    Effect.gen(function*() {
      const directory = newDirectory()
      const process = yield* open(directory)
      yield* process.run(changes.logIn(ann))
      const holder = new DatabaseSync(inApp(directory, "lock"))
      holder.exec("BEGIN EXCLUSIVE")
      const attempt = yield* Effect.forkChild(Effect.flip(process.run(changes.refresh(ann))), {
        startImmediately: true
      })
      yield* TestClock.adjust("6 seconds")
      const error = yield* Fiber.join(attempt)
      assert.strictEqual(error.reason._tag, "Unavailable")
      assert.include(error.message, "another process has held the lock")
      assert.isTrue(Option.isSome(yield* process.store.get(ann)))
      holder.close()
      assert.isTrue(Option.isSome(yield* process.run(changes.refresh(ann))))
    }).pipe(Effect.scoped, silence))
})
