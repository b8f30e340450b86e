import { SessionStorage, TokenStore } from "@effect-realm/client"
import type { TokenStoreError } from "@effect-realm/client/ClientError"
import * as EncryptedSessionStorage from "@effect-realm/client/EncryptedSessionStorage"
import type { UserEvent } from "@effect-realm/client/UserEvent"
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { execFileSync, spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { fileURLToPath } from "node:url"
import * as SessionStorageContract from "../../client/test/SessionStorage.contract.ts"
import * as TokenStoreContract from "../../client/test/TokenStore.contract.ts"
import * as FileSessionStorage from "../src/FileSessionStorage.ts"
import type * as Writer from "./processes/writer.ts"

const { changes, generation, session } = TokenStoreContract

// In memory where there is such a folder: each commit waits for the disk.
const root = Fs.mkdtempSync(join(Fs.existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "effect-realm-files-"))
afterAll(() => Fs.rmSync(root, { recursive: true, force: true }))

let directories = 0
const newDirectory = () => join(root, String(directories++))
const shared = newDirectory()

const layerFiles = (directory: string) => FileSessionStorage.layer({ directory })

SessionStorageContract.contract("files", Layer.suspend(() => layerFiles(shared)))
TokenStoreContract.contract(
  "files",
  Layer.provide(TokenStore.layerStorage, Layer.suspend(() => layerFiles(newDirectory()))),
  { runs: 10 }
)

const appId = "shop-abcde"
const user = (userId: string): TokenStore.SessionKey => ({ appId, userId })
const [ann, bob, cleo] = [user("ann"), user("bob"), user("cleo")]

// What is damaged on purpose is reported, too.
const silence = Effect.provide(Logger.layer([]))

interface Process {
  readonly storage: SessionStorage.SessionStorage["Service"]
  readonly store: TokenStore.TokenStore["Service"]
  readonly run: <A, E>(effect: Effect.Effect<A, E, TokenStore.TokenStore>) => Effect.Effect<A, E>
}

/** A process that shares a directory. */
const open = (directory: string): Effect.Effect<Process, TokenStoreError, Scope.Scope> =>
  Effect.map(
    Layer.build(Layer.fresh(Layer.provideMerge(TokenStore.layerStorage, layerFiles(directory)))),
    (context) => ({
      storage: Context.get(context, SessionStorage.SessionStorage),
      store: Context.get(context, TokenStore.TokenStore),
      run: (effect) => Effect.provideContext(effect, context)
    })
  )

/** What a subscriber who has begun is told from now on. */
const listen = ({ store }: Process) =>
  Effect.gen(function*() {
    const told = yield* Queue.unbounded<UserEvent | { readonly _tag: "Snapshot"; readonly missed: number }>()
    yield* Effect.forkScoped(Stream.runForEach(store.appChanges(appId), (event) => Queue.offer(told, event)))
    yield* Queue.take(told)
    return told
  })

/** Changes something until a subscriber is told of a change, or that there were some. */
const hears = (told: Effect.Success<ReturnType<typeof listen>>, { run }: Process) =>
  Effect.raceFirst(
    Effect.gen(function*() {
      let last = 0
      while (true) {
        const event = yield* Queue.take(told)
        if (event._tag === "Snapshot") continue
        assert.isAbove(event.generation, last)
        last = event.generation
        if (last === (yield* run(generation(ann)))) return
      }
    }),
    Effect.forever(Effect.andThen(run(changes.refresh(ann)), Effect.sleep("50 millis")))
  )

const inApp = (directory: string, ...names: ReadonlyArray<string>) => join(directory, appId, ...names)
const userFile = (directory: string, { userId }: TokenStore.SessionKey) => inApp(directory, "users", `${userId}.json`)

/** Commits a log-in over whatever is there. */
const logInAnew = ({ store }: Process, key: TokenStore.SessionKey) =>
  store.commit(key, {
    expected: 0,
    session: Option.some(session(key, "anew")),
    event: { _tag: "LoggedIn", providerType: "local-userpass" },
    makeCurrent: true
  })

const reasonOf = <A>(effect: Effect.Effect<A, TokenStoreError>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason)

/** A test with a directory of its own. */
const law = <A, E>(sentence: string, test: (directory: string) => Effect.Effect<A, E, Scope.Scope>, timeout = 20_000) =>
  it.live(sentence, () => silence(Effect.scoped(Effect.suspend(() => test(newDirectory())))), timeout)

const walk = (directory: string): ReadonlyArray<string> =>
  Fs.readdirSync(directory, { recursive: true, encoding: "utf8" }).map((name) => join(directory, name))

const isSuperuser = process.getuid?.() === 0
const nobody = 65534

/** Says why a test is skipped. */
const skips = (isSkipped: boolean, reason: string): boolean => {
  // eslint-disable-next-line no-console
  if (isSkipped) console.warn(`${reason}: a test of FileSessionStorage is skipped.`)
  return isSkipped
}

const script = fileURLToPath(new URL("processes/writer.ts", import.meta.url))

/** What came of writes in a process of its own, whose files have at most so many bytes. */
const written = (options: Writer.Options, mostBytes?: number): ReadonlyArray<string> => {
  const node = [process.execPath, "--conditions=effect-realm-source", "--disable-warning=ExperimentalWarning", script]
  const [command, ...args] = mostBytes === undefined
    ? [...node, JSON.stringify(options)]
    : ["bash", "-c", `ulimit -f ${mostBytes / 1024}; exec "$@"`, "bash", ...node, JSON.stringify(options)]
  return JSON.parse(execFileSync(command!, args, { encoding: "utf8" }))
}

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

  law("that says only that the user is gone is deleted after an hour", (directory) =>
    Effect.gen(function*() {
      const process = yield* open(directory)
      for (const key of [ann, bob]) {
        yield* process.run(changes.logIn(key))
        yield* process.run(changes.remove(key))
      }
      const file = userFile(directory, ann)
      const gone = JSON.parse(Fs.readFileSync(file, "utf8"))
      Fs.writeFileSync(file, JSON.stringify({ ...gone, writtenAt: gone.writtenAt - 3_700_000 }))
      for (let times = 0; times < 256; times++) yield* process.run(changes.logIn(cleo))
      assert.deepStrictEqual(Fs.readdirSync(inApp(directory, "users")).toSorted(), ["bob.json", "cleo.json"])
    }))
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
})

describe("A write that was cut off", () => {
  /** All that is in a directory. */
  const contents = (directory: string) =>
    new Map(
      walk(directory).filter((path) => Fs.statSync(path).isFile()).map((path) => [path, Fs.readFileSync(path)] as const)
    )
  const isLog = (path: string) => path.includes("/log-")
  const isUser = (path: string) => path.includes("/users/")

  const writes = {
    "the first log-in of an app": [[], changes.logIn(ann)],
    "a log-in": [[bob], changes.logIn(ann)],
    "a refresh": [[bob, ann], changes.refresh(ann, "2")],
    "a switch": [[ann, bob], changes.switchTo(ann)],
    "a log-out": [[bob, ann], changes.logOut(ann)],
    "a removal": [[bob, ann], changes.remove(ann)],
    "a departure": [[bob, ann], TokenStore.TokenStore.use((store) => Effect.as(store.depart(ann), Option.none()))]
  } as const

  /** What a store answers, but for times. */
  const look = ({ run }: Process) =>
    Effect.map(run(TokenStoreContract.observe([ann, bob])), ({ sessions, ...rest }) => ({
      ...rest,
      sessions: sessions.map(Option.map(({ tokens, ...rest }) => ({ ...rest, isLoggedIn: tokens !== undefined })))
    }))

  /** What was on the disk of a write when it was cut off: the files of which the new content is there. */
  const moments = {
    "after half of the entry": { isNew: () => false, tears: true, happened: false },
    "after the entry": { isNew: isLog, tears: false, happened: false },
    "after the file of the user": {
      isNew: (path: string) => isLog(path) || isUser(path),
      tears: false,
      happened: true
    }
  } as const

  for (const [name, [known, change]] of Object.entries(writes)) {
    for (const [when, { happened, isNew, tears }] of Object.entries(moments)) {
      law(
        `${name}, ${when}: it has happened whole or not at all, and everybody is told`,
        (directory) =>
          Effect.gen(function*() {
            const keys = [ann, bob]
            const setUp = yield* open(directory)
            // The files of an app are there before anything is written to them.
            yield* setUp.store.lease(cleo, Effect.void)
            for (const key of known) yield* setUp.run(changes.logIn(key))
            const before = contents(directory)
            const seenBefore = yield* look(setUp)
            yield* setUp.run(change)
            const after = contents(directory)
            const seenAfter = yield* look(setUp)
            const lastAfter = (yield* setUp.storage.app(appId)).number

            // As it was, and then as far as the write has come.
            for (const [path, text] of after) {
              if (path.endsWith("/lock")) continue
              const old = before.get(path)
              if (isNew(path)) Fs.writeFileSync(path, text)
              else if (old === undefined) Fs.rmSync(path)
              else Fs.writeFileSync(path, old)
              if (tears && isLog(path)) Fs.writeFileSync(path, text.subarray(0, text.length - 9))
            }

            const [listener, next] = [yield* open(directory), yield* open(directory)]
            const expected = happened ? seenAfter : seenBefore
            assert.deepStrictEqual(yield* look(listener), expected)
            const told = yield* listen(listener)
            const later = Option.getOrThrow(yield* next.run(changes.logIn(cleo)))
            const event = yield* Queue.take(told)
            assert.deepStrictEqual([event._tag, event._tag !== "Snapshot" && event.generation], ["LoggedIn", later])
            // A number that somebody may have seen does not come again.
            if (happened) assert.strictEqual(later, lastAfter + 1)
            for (const key of keys) assert.isAbove(later, yield* next.run(generation(key)))
            const { app, users } = yield* next.run(TokenStore.TokenStore.use(Effect.succeed))
            assert.deepStrictEqual((yield* app(appId)).currentUser, Option.some("cleo"))
            assert.includeMembers(yield* users(appId), expected.users.flat())
            assert.strictEqual((yield* logInAnew(next, user("dan")))._tag, "Committed")
          })
      )
    }
  }

  law("is told of to those who listen already, once", (directory) =>
    Effect.gen(function*() {
      const [first, listener] = [yield* open(directory), yield* open(directory)]
      yield* first.run(changes.logIn(ann))
      const told = yield* listen(listener)
      const before = Fs.readFileSync(inApp(directory, "app.json"))
      yield* first.run(changes.logOut(ann))
      assert.strictEqual((yield* Queue.take(told))._tag, "LoggedOut")
      // The process dies before the app's file is in its place; whoever listens reads the user's file, and the log.
      const after = Fs.readFileSync(inApp(directory, "app.json"))
      Fs.writeFileSync(inApp(directory, "app.json"), before)
      const late = yield* listen(yield* open(directory))
      assert.deepStrictEqual(
        JSON.parse(Fs.readFileSync(inApp(directory, "app.json"), "utf8")),
        JSON.parse(String(after))
      )
      yield* first.run(changes.logIn(ann))
      for (const queue of [told, late]) assert.strictEqual((yield* Queue.take(queue))._tag, "LoggedIn")
    }))
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

describe("A full disk", () => {
  law(
    "fails a write typed, which has not happened then, and nothing else is lost (files of limited size)",
    (directory) =>
      Effect.gen(function*() {
        if (skips(process.platform === "win32", "There is no ulimit")) return
        const outcomes = written({ directory, appId, lengths: { ann: 100, bob: 20_000, cleo: 100 } }, 8192)
        assert.strictEqual(outcomes[0], "Committed")
        assert.match(outcomes[1]!, /^Unavailable: .*EFBIG/)
        assert.strictEqual(outcomes[2], "Committed")
        const { storage } = yield* open(directory)
        assert.isTrue(Option.isNone((yield* storage.read(bob)).row))
        assert.deepStrictEqual((yield* storage.app(appId)).recent.map(({ userId }) => userId), ["cleo", "ann"])
        assert.deepStrictEqual((yield* storage.log(appId, 0)).entries.map(({ userId }) => userId), ["ann", "cleo"])
      })
  )

  law(
    "fails a write typed at whichever step, and all goes on when there is room again",
    (directory) =>
      Effect.gen(function*() {
        Fs.mkdirSync(directory, { mode: 0o700 })
        const tmpfs = ["-t", "tmpfs", "-o", "size=160k,mode=700", "tmpfs", directory]
        const isMounted = spawnSync("mount", tmpfs).status === 0
        if (skips(!isMounted, "Only the superuser can mount a small disk")) return
        yield* Effect.addFinalizer(() => Effect.sync(() => execFileSync("umount", ["--lazy", directory])))
        const { storage } = yield* open(directory)
        const write = (userId: string, expected: number, length: number) =>
          storage.write(user(userId), {
            expected,
            since: Option.none(),
            record: Option.some("x".repeat(length)),
            isLoggedIn: true,
            makeCurrent: true,
            isAnonymous: false,
            deviceId: Option.none(),
            event: JSON.stringify("e".repeat(length / 2))
          })
        yield* write("ann", 0, 100)
        yield* write("bob", 0, 100)
        const ballast = join(directory, "ballast")
        const look = Effect.gen(function*() {
          const { recent } = yield* storage.app(appId)
          const { entries } = yield* storage.log(appId, 0)
          const records = yield* Effect.forEach(recent, ({ record }) => record)
          return {
            recent: recent.map(({ generation, userId }) => [userId, generation]),
            entries: entries.length,
            records
          }
        })
        let failures = 0
        for (let room = 0; room <= 36; room += 4) {
          const { bavail, bsize } = Fs.statfsSync(directory)
          Fs.writeFileSync(ballast, Buffer.alloc(Math.max(0, bavail * bsize - room * 1024)))
          const before = yield* look
          const { row } = yield* storage.read(ann)
          const outcome = yield* Effect.result(write("ann", Option.getOrThrow(row).generation, 9000))
          if (outcome._tag === "Failure") {
            failures++
            assert.strictEqual(outcome.failure.reason._tag, "Unavailable")
            assert.include(outcome.failure.message, "ENOSPC")
            assert.deepStrictEqual(yield* look, before)
          }
          Fs.rmSync(ballast)
          const { row: now } = yield* storage.read(ann)
          assert.strictEqual((yield* write("ann", Option.getOrThrow(now).generation, 100))._tag, "Committed")
        }
        assert.isAbove(failures, 2)
        assert.isBelow(failures, 10)
      })
  )
})
