/**
 * SQLite's log of what was written, and who moves it into the file when.
 */
import { type Database, type DatabaseError, layerFile } from "@effect-realm/server/Database"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Logger, Option, type Scope } from "effect"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { SliceLength } from "../src/internal/engine/slices.ts"
import { LongLog } from "../src/internal/engine/writeAheadLog.ts"
import { newFile, things } from "./support/databases.ts"

const long = 1_000_000

/** What a log is when it was moved. */
const short = 100_000

const inFile = <A, E>(
  filename: string,
  use: Effect.Effect<A, E, Database | Scope.Scope>
): Effect.Effect<A, E | DatabaseError> => {
  const file = Layer.provide(layerFile({ filename }), Layer.succeed(LongLog, long))
  return Effect.scoped(Effect.provide(use, file, { local: true }))
}

const text = "x".repeat(50_000)

/** Writes more than a long log, in 30 documents numbered from `first`. */
const writeMuch = (first = 0): Effect.Effect<unknown, DatabaseError, Database> =>
  Effect.flatMap(
    things,
    (collection) => collection.insertMany(numbers(30).map((number) => ({ _id: first + number, text })))
  )

const numbers = (count: number): Array<number> => Array.from({ length: count }, (_, number) => number)

const idsOf = Effect.flatMap(things, (collection) =>
  Effect.map(
    collection.find({}, { sort: { _id: 1 }, projection: { _id: 1 } }),
    (found) => found.map(({ _id }) => _id)
  ))

/** One turn of the event loop. */
const turn = Effect.promise(() => new Promise<void>(setImmediate))

const until = (holds: () => boolean): Effect.Effect<void> =>
  Effect.gen(function*() {
    while (!holds()) yield* turn
  })

const logLength = (filename: string): number => fs.statSync(`${filename}-wal`).size

const source = ["--disable-warning=ExperimentalWarning", "--conditions=effect-realm-source"]

describe.skipIf(process.platform === "win32")("checkpoint", { timeout: 60_000 }, () => {
  it.live("a large write is answered before its log is moved, and then the log gives its place on the disk back", () =>
    Effect.gen(function*() {
      const filename = yield* newFile
      yield* inFile(
        filename,
        Effect.gen(function*() {
          yield* writeMuch()
          assert.isAbove(logLength(filename), long)
          assert.isBelow(fs.statSync(filename).size, short)
          yield* until(() => logLength(filename) < short)
          assert.isAbove(fs.statSync(filename).size, long)
          assert.deepStrictEqual(yield* idsOf, numbers(30))
        })
      )
      assert.deepStrictEqual(fs.readdirSync(path.dirname(filename)), [path.basename(filename)])
    }))

  it.live("writes and reads go on while a log is moved, and none of them is lost", () =>
    Effect.gen(function*() {
      const filename = yield* newFile
      const count = yield* inFile(
        filename,
        Effect.gen(function*() {
          const collection = yield* things
          yield* writeMuch()
          let count = 30
          while (logLength(filename) > long) {
            yield* collection.insertOne({ _id: count })
            assert.ok(Option.isSome(yield* collection.findOne({ _id: count++ })))
            yield* turn
          }
          assert.isAbove(count, 30)
          assert.deepStrictEqual(yield* idsOf, numbers(count))
          return count
        })
      )
      assert.deepStrictEqual(yield* inFile(filename, idsOf), numbers(count))
    }))

  it.live("the log grows no further under writes without an end", () =>
    Effect.gen(function*() {
      const filename = yield* newFile
      yield* inFile(
        filename,
        Effect.gen(function*() {
          const collection = yield* things
          let moved = 0
          let before = 0
          let count = 0
          const writeOne = Effect.suspend(() => collection.insertOne({ _id: count++, text }))
          while (moved < 3) {
            yield* Effect.all([writeOne, writeOne, writeOne, turn], { concurrency: "unbounded" })
            const length = logLength(filename)
            if (length < before) moved++
            before = length
          }
          assert.deepStrictEqual(yield* idsOf, numbers(count))
        })
      )
    }))

  it.live("a read that is under way sees what it saw, and the log is moved when it is over", () =>
    Effect.gen(function*() {
      const filename = yield* newFile
      yield* inFile(
        filename,
        Effect.gen(function*() {
          const collection = yield* things
          yield* collection.insertMany(numbers(100).map((number) => ({ _id: -1 - number })))
          const reading = yield* Effect.forkChild(
            collection.aggregate([
              { $lookup: { from: "things", as: "all", pipeline: [] } },
              { $project: { count: { $size: "$all" } } }
            ]),
            { startImmediately: true }
          )
          yield* writeMuch()
          yield* writeMuch(30)
          assert.isUndefined(reading.pollUnsafe())
          assert.isAbove(logLength(filename), 2 * long)
          const counts = yield* Fiber.join(reading)
          assert.deepStrictEqual(new Set(counts.map(({ count }) => count)), new Set([100]))
          yield* writeMuch(60)
          yield* until(() => logLength(filename) < short)
          assert.strictEqual(yield* collection.count({}), 190)
        })
      )
    }).pipe(Effect.provideService(SliceLength, 0)))

  it.live("closing in the midst of it leaves one whole file, and no lock", () =>
    Effect.gen(function*() {
      const filename = yield* newFile
      yield* inFile(
        filename,
        Effect.gen(function*() {
          for (const first of numbers(15)) yield* writeMuch(30 * first)
          const { size } = fs.statSync(filename)
          yield* until(() => fs.statSync(filename).size > size)
        })
      )
      assert.deepStrictEqual(fs.readdirSync(path.dirname(filename)), [path.basename(filename)])
      const counting = `
        import { Database, layerFile } from "@effect-realm/server/Database"
        import * as Effect from "effect/Effect"
        const count = Database.use((database) => database.collection({ database: "app", collection: "things" }).count({}))
        console.log(await Effect.runPromise(Effect.provide(count, layerFile({ filename: process.argv[1] }))))`
      const { stderr, stdout } = spawnSync(
        process.execPath,
        [...source, "--input-type=module", "--eval", counting, filename],
        { encoding: "utf8", cwd: fileURLToPath(new URL(".", import.meta.url)) }
      )
      assert.strictEqual(stdout, "450\n", stderr)
    }))

  it.live("what was answered survives kill -9 in the midst of it", () =>
    Effect.gen(function*() {
      const filename = yield* newFile
      const program = fileURLToPath(new URL("support/killedAtCheckpoint.ts", import.meta.url))
      const child = spawn(process.execPath, [...source, program, filename], { stdio: ["ignore", "ignore", "inherit"] })
      const [, signal] = yield* Effect.promise(() => once(child, "exit"))
      assert.strictEqual(signal, "SIGKILL")
      assert.isAbove(logLength(filename), long)
      assert.deepStrictEqual(yield* inFile(filename, idsOf), numbers(20))
    }))

  it.live("a log that cannot be moved is told, and everything goes on", () =>
    Effect.gen(function*() {
      const filename = yield* newFile
      const logged: Array<unknown> = []
      const logger = Logger.make(({ message }) => {
        logged.push(message)
      })
      yield* inFile(
        filename,
        Effect.gen(function*() {
          const collection = yield* things
          yield* collection.insertOne({ _id: -1 })
          // by a connection that stays, for none can be opened afterwards
          yield* idsOf
          fs.renameSync(filename, `${filename}.moved`)
          yield* writeMuch()
          yield* until(() => logged.length > 0)
          assert.include(JSON.stringify(logged), "moving the log into the database")
          assert.include(JSON.stringify(logged), "ENOENT")
          yield* collection.deleteOne({ _id: -1 })
          assert.deepStrictEqual(yield* idsOf, numbers(30))
          assert.lengthOf(logged, 1)
          fs.renameSync(`${filename}.moved`, filename)
        })
      ).pipe(Effect.provide(Logger.layer([logger])))
      assert.deepStrictEqual(yield* inFile(filename, idsOf), numbers(30))
    }))
})
