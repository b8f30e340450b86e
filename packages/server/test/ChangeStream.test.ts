/**
 * How the embedded engine keeps what a watch tells: across openings of the file, within limits, and awake for those alone
 * whom it concerns.
 */
import { Database, type DatabaseError, layerFile, layerUrl } from "@effect-realm/server/Database"
import type * as DatabaseModule from "@effect-realm/server/Database"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Context, Effect, Exit, Fiber, Layer, Option, Scope, Stream } from "effect"
import * as TestClock from "effect/testing/TestClock"
import * as fs from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { openMemory } from "../src/internal/engine/sqliteFile.ts"
import { SqliteStore } from "../src/internal/engine/sqliteStore.ts"
import type { Work } from "../src/internal/engine/work.ts"
import * as Writes from "../src/internal/engine/writeOperations.ts"
import { newFile } from "./support/databases.ts"
import { arbitraryHistory, halfSighted, replay } from "./support/replay.ts"

type ResumeToken = DatabaseModule.ResumeToken
type Options = DatabaseModule.ChangeLogOptions

/** Runs a part of a program on a file that is opened for it. */
const inFile =
  (filename: string, changes: Options = {}) =>
  <A, E>(use: Effect.Effect<A, E, Database | Scope.Scope>): Effect.Effect<A, E | DatabaseError> =>
    Effect.scoped(Effect.provide(use, layerFile({ filename, changes }), { local: true }))

const collection = (name: string) =>
  Effect.map(Database, (database) => database.collection({ database: "app", collection: name }))

const notes = collection("notes")

const insert = (...ids: ReadonlyArray<unknown>) =>
  Effect.flatMap(notes, (notes) => notes.insertMany(ids.map((_id) => ({ _id, text: "x".repeat(1000) }))))

/** The place in the history of `notes` that is now. */
const here = Effect.flatMap(notes, (notes) => token(notes.watch()))

const token = <E>(watch: Stream.Stream<DatabaseModule.Watched, E>): Effect.Effect<ResumeToken, E> =>
  Effect.map(
    Stream.runHead(watch),
    (first) =>
      Option.isSome(first) && first.value._tag === "Position" ? first.value.resumeToken : assert.fail("no position")
  )

/** The identifiers in the next events after a token, or why there are none. */
const after = (resumeAfter: ResumeToken, count: number) =>
  Effect.flatMap(notes, (notes) =>
    notes.watch({ resumeAfter }).pipe(
      Stream.drop(1),
      Stream.take(count),
      Stream.map((watched) => watched._tag === "Changed" ? watched.event.documentKey._id : watched._tag),
      Stream.runCollect,
      Effect.match({ onFailure: ({ reason }) => reason._tag, onSuccess: (ids) => ids })
    ))

describe("across openings", { timeout: 60_000 }, () => {
  for (const [who, access] of [["whoever sees everything", {}], ["whoever sees a part", halfSighted]] as const) {
    it.effect(`what is told makes of a copy what ${who} finds, though the file is opened anew`, () =>
      Effect.gen(function*() {
        const filename = yield* newFile
        let runs = 0
        const result = yield* Arbitrary.checkEffect(
          arbitraryHistory,
          (history) => replay(history, { database: "app", collection: `history ${runs++}` }, access, inFile(filename)),
          { runs: 15 }
        )
        assert.isUndefined(Arbitrary.formatCheckFailure(result))
      }))
  }

  it.effect("a collection is recorded from its first watch on, though nobody watches it any more", () =>
    Effect.gen(function*() {
      const run = inFile(yield* newFile)
      yield* run(insert(1))
      const token = yield* run(here)
      yield* run(insert(2))
      yield* run(insert(3))
      assert.deepStrictEqual(yield* run(after(token, 2)), [2, 3])
    }))

  it.effect("a collection that is not there can be watched; its token is lost when it came into being unrecorded", () =>
    Effect.gen(function*() {
      const run = inFile(yield* newFile)
      const token = yield* run(here)
      assert.deepStrictEqual(yield* run(after(token, 0)), [])
      yield* run(insert(1))
      assert.strictEqual(yield* run(after(token, 1)), "ChangeStreamHistoryLost")
    }))

  it.effect("a collection that is not there is awaited for one who was cut off, as long as not too many are", () =>
    Effect.gen(function*() {
      const told = (others: number) =>
        Effect.gen(function*() {
          const token = yield* here
          for (let index = 0; index < others; index++) {
            yield* Stream.runHead((yield* collection(`other ${index}`)).watch())
          }
          yield* insert(1)
          return yield* after(token, 1)
        })
      assert.deepStrictEqual(yield* inFile(yield* newFile)(told(999)), [1])
      assert.strictEqual(yield* inFile(yield* newFile)(told(1000)), "ChangeStreamHistoryLost")
    }))

  it.effect("a token of what a file has lost is lost, whatever was written since", () =>
    Effect.gen(function*() {
      const filename = yield* newFile
      const run = inFile(filename)
      const early = yield* run(Effect.andThen(insert(0), here))
      yield* run(insert(1))
      fs.copyFileSync(filename, `${filename}.copy`)
      const late = yield* run(Effect.andThen(insert(2), here))
      fs.copyFileSync(`${filename}.copy`, filename)
      assert.strictEqual(yield* run(after(late, 1)), "ChangeStreamHistoryLost")
      yield* run(insert(3, 4, 5))
      assert.strictEqual(yield* run(after(late, 1)), "ChangeStreamHistoryLost")
      assert.deepStrictEqual(yield* run(after(early, 4)), [1, 3, 4, 5])
    }))

  it.effect("a file of before the log is taken over, and not written by what does not know the log", () =>
    Effect.gen(function*() {
      const filename = yield* newFile
      const run = inFile(filename)
      yield* run(insert(1))
      const version = () => {
        const file = new DatabaseSync(filename, { readOnly: true })
        const version = file.prepare("PRAGMA user_version").get()?.["user_version"]
        file.close()
        return version
      }
      const before = new DatabaseSync(filename)
      before.exec("DROP TABLE changes; DROP TABLE change_feeds; DROP TABLE log_terms; PRAGMA user_version = 1")
      before.close()
      const token = yield* run(here)
      assert.strictEqual(version(), 2)
      yield* run(insert(2))
      assert.deepStrictEqual(yield* run(after(token, 1)), [2])
    }))

  it.effect("a token of another file is lost", () =>
    Effect.gen(function*() {
      const token = yield* inFile(yield* newFile)(here)
      assert.strictEqual(yield* inFile(yield* newFile)(after(token, 1)), "ChangeStreamHistoryLost")
    }))
})

describe("retention", { timeout: 60_000 }, () => {
  it.effect("no more bytes are kept than allowed, and a token is lost with the change after it", () =>
    Effect.gen(function*() {
      const filename = yield* newFile
      const run = inFile(filename, { maxBytes: 20_000 })
      const tokens = yield* run(Effect.gen(function*() {
        const tokens = [yield* here]
        for (let id = 0; id < 100; id++) {
          yield* insert(id)
          tokens.push(yield* here)
        }
        return tokens
      }))
      const file = new DatabaseSync(filename, { readOnly: true })
      const kept = Number(
        file.prepare("SELECT sum(length(after)) AS bytes FROM changes").get()?.["bytes"]
      )
      file.close()
      assert.ok(kept > 15_000 && kept <= 20_000, `${kept} bytes are kept`)
      const answers = yield* run(Effect.forEach(tokens.slice(0, 100), (token) => after(token, 1)))
      const first = answers.findIndex((answer) => Array.isArray(answer))
      assert.ok(first > 80)
      for (const [id, answer] of answers.entries()) {
        assert.deepStrictEqual(answer, id < first ? "ChangeStreamHistoryLost" : [id])
      }
    }))

  it.effect("a write of thousands of documents keeps no more of their changes than a write of one", () =>
    Effect.gen(function*() {
      const filename = yield* newFile
      yield* inFile(filename, { maxBytes: 20_000 })(Effect.gen(function*() {
        const notes = yield* collection("notes")
        yield* here
        yield* notes.insertMany(Array.from({ length: 4000 }, (_, _id) => ({ _id })))
        yield* notes.updateMany({}, { $set: { text: "text" } })
        // the last change of a watch that goes on from here is the next one
        const token = yield* here
        yield* notes.insertOne({ _id: "next" })
        assert.deepStrictEqual(yield* after(token, 1), ["next"])
      }))
      const file = new DatabaseSync(filename, { readOnly: true })
      const { count } = file.prepare("SELECT count(*) AS count FROM changes").get() ?? {}
      file.close()
      assert.ok(Number(count) < 200, `${count} changes are kept`)
    }))

  it.effect("nothing is kept by limits that make no sense: the database is not opened", () =>
    Effect.gen(function*() {
      const filename = yield* newFile
      const none = [0, -1, Number.NaN]
      const wrong: ReadonlyArray<readonly [DatabaseModule.ChangeLogOptions, RegExp]> = [
        ...none.map((maxAge) => [{ maxAge }, /changes\.maxAge has to be a duration of more than 0/] as const),
        ...none.map((maxBytes) => [{ maxBytes }, /changes\.maxBytes has to be a number of more than 0/] as const),
        [{ maxAge: "Infinity", maxBytes: Infinity }, /would grow for ever/]
      ]
      for (const [changes, words] of wrong) {
        const error = yield* Effect.flip(inFile(filename, changes)(Effect.void))
        assert.strictEqual(error.reason._tag, "BadOptions")
        assert.match(error.message, words)
      }
      assert.isFalse(fs.existsSync(filename))
      for (const changes of [{ maxAge: "Infinity" }, { maxBytes: Infinity }] as const) {
        yield* inFile(filename, changes)(insert(1))
        fs.rmSync(filename)
      }
    }))

  it.effect("changes are kept as long as asked for, and those of a quiet collection last as long as their token", () =>
    Effect.gen(function*() {
      const run = inFile(yield* newFile, { maxAge: "1 hour" })
      yield* run(Effect.gen(function*() {
        const quiet = yield* collection("quiet")
        yield* insert(0)
        yield* quiet.insertOne({ _id: 0 })
        const [busyToken, quietToken] = [yield* here, yield* token(quiet.watch())]
        yield* insert(1)
        yield* TestClock.adjust("59 minutes")
        yield* insert(2)
        assert.deepStrictEqual(yield* after(busyToken, 2), [1, 2])
        yield* TestClock.adjust("2 minutes")
        yield* insert(3)
        assert.strictEqual(yield* after(busyToken, 1), "ChangeStreamHistoryLost")
        yield* quiet.insertOne({ _id: 1 })
        const told = yield* quiet.watch({ resumeAfter: quietToken }).pipe(Stream.take(2), Stream.runCollect)
        assert.deepStrictEqual(told.map(({ _tag }) => _tag), ["Position", "Changed"])
      }))
    }))

  it.effect("after a long silence a write removes old changes by portions", () =>
    Effect.gen(function*() {
      const filename = yield* newFile
      const run = inFile(filename, { maxAge: "1 hour" })
      yield* run(Effect.gen(function*() {
        yield* insert(0)
        yield* here
        yield* insert(...Array.from({ length: 1000 }, (_, index) => index + 1))
        yield* TestClock.adjust("2 hours")
        yield* insert("late")
      }))
      const file = new DatabaseSync(filename, { readOnly: true })
      const { count } = file.prepare("SELECT count(*) AS count FROM changes").get() ?? {}
      file.close()
      assert.ok(Number(count) > 500 && Number(count) < 1000, `${String(count)} are kept`)
    }))

  it.effect("a collection that nobody has watched for that long is recorded no longer", () =>
    Effect.gen(function*() {
      const run = inFile(yield* newFile, { maxAge: "1 hour" })
      yield* run(Effect.gen(function*() {
        yield* insert(0)
        const first = yield* here
        yield* insert(1)
        yield* TestClock.adjust("50 minutes")
        // a watch that begins and ends keeps it alive
        yield* here
        yield* insert(2)
        yield* TestClock.adjust("50 minutes")
        const second = yield* here
        yield* insert(3)
        assert.strictEqual(yield* after(first, 1), "ChangeStreamHistoryLost")
        assert.deepStrictEqual(yield* after(second, 1), [3])
        yield* insert(4)
        yield* TestClock.adjust("61 minutes")
        yield* insert(5)
        yield* insert(6)
        assert.strictEqual(yield* after(second, 1), "ChangeStreamHistoryLost")
        const third = yield* here
        yield* insert(7)
        assert.deepStrictEqual(yield* after(third, 1), [7])
      }))
    }))

  for (const isInterrupted of [false, true]) {
    it.effect(
      `a collection is recorded ${isInterrupted ? "no longer" : "still"} when one who waited long ${
        isInterrupted ? "was interrupted" : "still waits"
      }`,
      () =>
        Effect.gen(function*() {
          const filename = yield* newFile
          yield* inFile(filename, { maxAge: "1 hour" })(Effect.gen(function*() {
            yield* insert(0)
            const collection = yield* notes
            const waiting = yield* Effect.forkChild(Stream.runDrain(collection.watch()), { startImmediately: true })
            yield* TestClock.adjust("2 hours")
            yield* insert(1)
            if (isInterrupted) yield* Fiber.interrupt(waiting)
            yield* insert(2)
            yield* TestClock.adjust("61 minutes")
            yield* insert(3)
          }))
          const file = new DatabaseSync(filename, { readOnly: true })
          const recorded = file.prepare("SELECT count(*) AS count FROM change_feeds").get()?.["count"]
          file.close()
          assert.strictEqual(recorded, isInterrupted ? 0 : 1)
        })
    )
  }

  it.effect("a reader slower than that is told so, and no write waits for him", () =>
    Effect.gen(function*() {
      const run = inFile(yield* newFile, { maxBytes: 20_000 })
      const reason = yield* run(Effect.gen(function*() {
        const collection = yield* notes
        const pull = yield* Stream.toPull(collection.watch())
        yield* pull
        // more than is held in memory for those who follow closely
        for (let part = 0; part < 30; part++) {
          yield* insert(...Array.from({ length: 100 }, (_, index) => part * 100 + index))
        }
        return yield* Effect.flip(pull)
      }))
      assert.ok(reason._tag === "DatabaseError" && reason.reason._tag === "ChangeStreamHistoryLost")
      assert.include(reason.message, "app.notes")
    }))

  it.effect("a URL takes the same limits", () =>
    Effect.gen(function*() {
      const lost = yield* Effect.gen(function*() {
        yield* insert(0)
        const token = yield* here
        for (let part = 0; part < 30; part++) {
          yield* insert(...Array.from({ length: 100 }, (_, index) => part * 100 + index + 1))
        }
        return yield* after(token, 1)
      }).pipe(Effect.provide(layerUrl("memory:", { changes: { maxBytes: 20_000 } })))
      assert.strictEqual(lost, "ChangeStreamHistoryLost")
    }))
})

const done = <A>(work: Work<A>): A => {
  while (true) {
    const place = work.next()
    if (place.done === true) return place.value
  }
}

describe("waking", () => {
  it.effect("a watch that outlives its database fails, and does not wait for ever", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const database = Context.get(yield* Layer.buildWithScope(layerUrl("memory:"), scope), Database)
      const pull = yield* Stream.toPull(database.collection({ database: "app", collection: "notes" }).watch())
      yield* pull
      const waiting = yield* Effect.forkChild(Effect.flip(pull), { startImmediately: true })
      yield* Scope.close(scope, Exit.void)
      const error = yield* Fiber.join(waiting)
      assert.ok(error._tag === "DatabaseError" && error.reason._tag === "Unavailable")
    }))

  it.live("a write wakes those who wait for its collection, each once and after it, and nobody else", () =>
    Effect.gen(function*() {
      const { database, filename } = openMemory()
      const store = new SqliteStore(database, filename, { maxAge: 1000, maxBytes: 1_000_000 })
      const insert = (index: number, _id: number) =>
        done(Writes.insertOne(store, namespace(index), { _id }, { now: 0 }))
      const watch = (index: number) => done(store.watch(namespace(index), undefined, 0))
      const namespace = (index: number) => ({ database: "app", collection: `c${index}` })
      const woken = Array.from({ length: 1000 }, () => 0)
      const cursors = woken.map((_, index) => {
        insert(index, 0)
        return watch(index)
      })
      const wait = (index: number): (() => void) | undefined => cursors[index]?.wait(() => woken[index]!++)
      for (const index of cursors.keys()) wait(index)
      const others = Array.from({ length: 250 }, () => watch(7))
      let together = 0
      for (const cursor of others) cursor.wait(() => together++)
      insert(7, 1)
      insert(7, 2)
      assert.strictEqual(woken[7], 0)
      yield* Effect.promise(() => new Promise((done) => setImmediate(done))).pipe(Effect.repeat({ times: 19 }))
      assert.deepStrictEqual(woken, woken.map((_, index) => index === 7 ? 1 : 0))
      assert.strictEqual(together, 250)
      assert.deepStrictEqual(cursors[7]?.read().map(({ after }) => after?.["_id"]?.valueOf()), [1, 2])

      // one who gives up is not woken, and one who is behind need not wait
      const late = watch(7)
      let calls = 0
      late.wait(() => calls++)()
      insert(7, 3)
      yield* Effect.promise(() => new Promise((done) => setImmediate(done))).pipe(Effect.repeat({ times: 3 }))
      assert.strictEqual(calls, 0)
      late.wait(() => calls++)
      assert.strictEqual(calls, 1)
    }))
})
