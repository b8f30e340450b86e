/** What holds when a process, the disk or the machine gives out in the middle of a write. */
import { TokenStore } from "@effect-realm/client"
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import { execFileSync, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import * as Fs from "node:fs"
import { join } from "node:path"
import { setTimeout } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { changes, generation, observe } from "../../client/test/TokenStore.contract.ts"
import {
  ann,
  appId,
  bob,
  cleo,
  inApp,
  law,
  listen,
  logInAnew,
  open,
  type Process,
  skips,
  user,
  walk,
  written
} from "./files.ts"
import type * as Churn from "./processes/churn.ts"

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
    Effect.map(run(observe([ann, bob])), ({ sessions, ...rest }) => ({
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

describe("Processes that are killed while they write", () => {
  /** A process that changes users until it is killed. */
  const churn = async (options: Churn.Options) => {
    const script = fileURLToPath(new URL("processes/churn.ts", import.meta.url))
    const flags = ["--conditions=effect-realm-source", "--disable-warning=ExperimentalWarning"]
    const child = spawn(process.execPath, [...flags, script, JSON.stringify(options)], {
      stdio: ["ignore", "pipe", "inherit"]
    })
    await once(child.stdout, "data")
    return child
  }

  law("leave users and log as they belong together, and numbers that go on", (directory) =>
    Effect.gen(function*() {
      const userIds = Array.from({ length: 8 }, (_, index) => `user-${index}`)
      let last = 0
      for (let round = 0; round < 8; round++) {
        yield* Effect.promise(async () => {
          const children = await Promise.all([0, 1].map(() => churn({ directory, appId, users: userIds.length })))
          await setTimeout(20 + 150 * Math.random())
          for (const child of children) {
            const exited = once(child, "exit")
            child.kill("SIGKILL")
            await exited
          }
        })
        const { storage } = yield* open(directory)
        const { number } = yield* storage.app(appId)
        assert.isAtLeast(number, last)
        last = number
        /** What was told of each user last. */
        const told = new Map<string, readonly [number: number, event: unknown]>()
        let position = Math.max(0, number - 1000)
        while (position < number) {
          const page = yield* storage.log(appId, position)
          for (const { event, number, userId } of page.entries) {
            assert.isAbove(number, position)
            position = number
            told.set(userId, [number, JSON.parse(yield* event)])
          }
          position = page.until
        }
        for (const userId of userIds) {
          const { row } = yield* storage.read(user(userId))
          const [number, event] = told.get(userId) ?? [0, "removed"]
          const expected = event === "removed" ? Option.none() : Option.some(number)
          assert.deepStrictEqual(Option.map(row, ({ generation }) => generation), expected)
        }
      }
      assert.isAbove(last, 0)
    }), 60_000)
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
