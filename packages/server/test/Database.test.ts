import { type Database, type DatabaseError, layerFile, layerMemory, layerUrl } from "@effect-realm/server/Database"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option, Result, type Scope, Stream } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as path from "node:path"
import { createInterface } from "node:readline"
import { DatabaseSync } from "node:sqlite"
import { fileURLToPath, pathToFileURL } from "node:url"
import { accessContract } from "./DatabaseAccess.contract.ts"
import { aggregationContract } from "./DatabaseAggregation.contract.ts"
import { indexesContract } from "./DatabaseIndexes.contract.ts"
import { insertsContract } from "./DatabaseInserts.contract.ts"
import { readsContract } from "./DatabaseReads.contract.ts"
import { watchContract } from "./DatabaseWatch.contract.ts"
import { writesContract } from "./DatabaseWrites.contract.ts"
import { folder, newFile, reasonOf, things } from "./support/databases.ts"

const file = Layer.unwrap(Effect.map(newFile, (filename) => layerFile({ filename })))

for (const [name, layer] of [["memory", layerMemory], ["file", file]] as const) {
  readsContract(name, layer)
  insertsContract(name, layer)
  writesContract(name, layer)
  indexesContract(name, layer)
  aggregationContract(name, layer)
  accessContract(name, layer)
  watchContract(name, layer)
}

const inFile = <A, E>(
  filename: string,
  use: Effect.Effect<A, E, Database | Scope.Scope>
): Effect.Effect<A, E | DatabaseError> => Effect.scoped(Effect.provide(use, layerFile({ filename }), { local: true }))

const insert = (id: unknown) => Effect.flatMap(things, (collection) => collection.insertOne({ _id: id }))

const all = Effect.flatMap(things, (collection) => collection.find({}, { sort: { _id: 1 } }))

const kill = (child: ChildProcess) =>
  Effect.promise(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, "exit")
    child.kill("SIGKILL")
    await ended
  })

const writer = (filename: string) =>
  Effect.acquireRelease(
    Effect.sync(() =>
      spawn(process.execPath, [
        "--disable-warning=ExperimentalWarning",
        "--conditions=effect-realm-source",
        fileURLToPath(new URL("support/databaseWriter.ts", import.meta.url)),
        filename
      ], { stdio: ["ignore", "pipe", "inherit"] })
    ),
    kill
  )

/** Reads what the writer says was answered, until it has said so `count` times. */
const answered = (child: ChildProcess, count: number) =>
  Effect.promise(async () => {
    assert.ok(child.stdout !== null)
    const lines: Array<string> = []
    for await (const line of createInterface({ input: child.stdout })) {
      lines.push(line)
      if (lines.length === count) break
    }
    return lines
  })

describe("file", { timeout: 60_000 }, () => {
  it.live("what was answered survives kill -9, told by a watch too, and the file is free again", () =>
    Effect.gen(function*() {
      const filename = yield* newFile
      const begin = yield* inFile(
        filename,
        Effect.gen(function*() {
          const collection = yield* things
          // a collection is recorded from its first watch on, once it is there
          yield* collection.createIndex({ half: 1 })
          return yield* Stream.runHead(collection.watch())
        })
      )
      assert.ok(Option.isSome(begin) && begin.value._tag === "Position")
      const { resumeToken } = begin.value
      const child = yield* writer(filename)
      const first = yield* answered(child, 200)
      assert.strictEqual(first.length, 200)

      assert.deepStrictEqual(yield* reasonOf(inFile(filename, all)), { _tag: "Locked", filename })

      yield* kill(child)
      const found = yield* inFile(
        filename,
        Effect.gen(function*() {
          const collection = yield* things
          const documents = yield* collection.find({}, { sort: { _id: 1 } })
          const explained = yield* collection.explain({ half: 50 })
          assert.deepStrictEqual(explained, {
            index: Option.some("half_1"),
            documentsExamined: 2,
            documentsReturned: 2
          })
          const told = yield* collection.watch({ resumeAfter: resumeToken }).pipe(
            Stream.filterMap((watched) =>
              watched._tag === "Changed" && watched.event.operationType === "insert"
                ? Result.succeed(watched.event.fullDocument)
                : Result.failVoid
            ),
            Stream.take(documents.length),
            Stream.runCollect
          )
          assert.deepStrictEqual(told, documents)
          return documents
        })
      )
      // more may have been answered than was read from the pipe
      assert.ok(found.length >= 200)
      assert.deepStrictEqual(found, found.map((_, number) => ({ _id: number, half: number >> 1 })))
    }))

  it.effect("documents, indexes and what is known of them last from one opening to the next", () =>
    Effect.gen(function*() {
      const filename = yield* newFile
      yield* inFile(
        filename,
        Effect.gen(function*() {
          const collection = yield* things
          yield* collection.createIndex({ "a.x": 1, "a.y": 1 }, { unique: true, sparse: true })
          yield* collection.insertMany([{ _id: 1, a: [{ x: 1, y: 1 }, { x: 2, y: 2 }] }, { _id: 2, a: { x: 3, y: 3 } }])
        })
      )
      yield* inFile(
        filename,
        Effect.gen(function*() {
          const collection = yield* things
          const mixed = yield* collection.find({ "a.x": 1, "a.y": 2 })
          assert.deepStrictEqual(mixed.map(({ _id }) => _id), [1])
          const reason = yield* Effect.flip(collection.insertOne({ a: { x: 2, y: 2 } }))
          assert.strictEqual(reason.reason._tag, "DuplicateKey")
          yield* collection.createIndex({ "a.x": 1, "a.y": 1 }, { unique: true, sparse: true })
        })
      )
    }))

  it.effect("the file is its owner's alone and whole when closed", () =>
    Effect.gen(function*() {
      const filename = yield* newFile
      yield* inFile(
        filename,
        Effect.gen(function*() {
          yield* insert(1)
          assert.strictEqual(fs.statSync(filename).mode & 0o777, 0o600)
          assert.strictEqual(fs.statSync(`${filename}-wal`).mode & 0o777, 0o600)
        })
      )
      assert.deepStrictEqual(fs.readdirSync(path.dirname(filename)), [path.basename(filename)])
    }))

  it.live("a second opening in the same process is refused and harms nothing, the lock least of all", () =>
    Effect.gen(function*() {
      const filename = yield* newFile
      yield* inFile(
        filename,
        Effect.gen(function*() {
          yield* insert(1)
          assert.deepStrictEqual(yield* reasonOf(inFile(filename, all)), { _tag: "Locked", filename })
          // a process loses its locks on a file when it closes any of its handles on it
          assert.deepStrictEqual(yield* answered(yield* writer(filename), 1), ["Locked"])
          yield* insert(2)
        })
      )
      assert.deepStrictEqual(yield* inFile(filename, all), [{ _id: 1 }, { _id: 2 }])
    }))

  it.effect("after closing, operations fail and say so", () =>
    Effect.gen(function*() {
      const filename = yield* newFile
      const collection = yield* inFile(filename, Effect.tap(things, (open) => open.insertOne({ _id: 1 })))
      assert.strictEqual((yield* reasonOf(collection.find({})))._tag, "Unavailable")
      assert.strictEqual((yield* reasonOf(collection.insertOne({ _id: 2 })))._tag, "Unavailable")
    }))

  const refuses = (name: string, tag: string, prepare: (filename: string) => void) =>
    it.effect(`${name} is refused and not touched`, () =>
      Effect.gen(function*() {
        const filename = yield* newFile
        prepare(filename)
        const before = fs.existsSync(filename) && fs.statSync(filename).isFile() ? fs.readFileSync(filename) : undefined
        const error = yield* Effect.flip(inFile(filename, all))
        assert.strictEqual(error.reason._tag, tag)
        assert.include(error.message, filename)
        if (before !== undefined) assert.ok(before.equals(fs.readFileSync(filename)))
        assert.notInclude(fs.readdirSync(path.dirname(filename)).join(), "-wal")
      }))

  refuses("a file of text", "Corrupt", (filename) => fs.writeFileSync(filename, "no database ".repeat(1000)))
  refuses("a short file", "Corrupt", (filename) => fs.writeFileSync(filename, "x"))
  refuses("a folder", "Corrupt", (filename) => fs.mkdirSync(filename))
  refuses("the database of another program", "Corrupt", (filename) => {
    const other = new DatabaseSync(filename)
    other.exec("CREATE TABLE things (id INTEGER)")
    other.close()
  })

  it.effect("a folder that is not there, or takes no files, is told", () =>
    Effect.gen(function*() {
      const parent = yield* folder
      const reason = yield* reasonOf(inFile(path.join(parent, "none", "app.db"), all))
      assert.strictEqual(reason._tag, "Unavailable")
      assert.strictEqual((yield* reasonOf(inFile("/proc/app.db", all)))._tag, "Unavailable")
      assert.deepStrictEqual(fs.readdirSync(parent), [])
    }))

  it.effect("a damaged file is told at the latest when the damage is met", () =>
    Effect.gen(function*() {
      const filename = yield* newFile
      yield* inFile(
        filename,
        Effect.gen(function*() {
          const collection = yield* things
          yield* collection.insertMany(Array.from({ length: 200 }, (_, _id) => ({ _id, text: "x".repeat(1000) })))
        })
      )
      const whole = fs.readFileSync(filename)
      const damaged: ReadonlyArray<Buffer> = [
        whole.subarray(0, whole.length >> 1),
        Buffer.concat([whole.subarray(0, 4096), Buffer.alloc(whole.length - 4096, 0xa5)]),
        Buffer.concat([whole.subarray(0, 100), Buffer.alloc(3996, 0xa5), whole.subarray(4096)])
      ]
      for (const bytes of damaged) {
        fs.writeFileSync(filename, bytes)
        assert.strictEqual((yield* reasonOf(inFile(filename, all)))._tag, "Corrupt")
      }
    }))

  it.effect("a file that was made and never filled is taken as new", () =>
    Effect.gen(function*() {
      const filename = yield* newFile
      fs.writeFileSync(filename, "")
      yield* inFile(filename, insert(1))
      assert.deepStrictEqual(yield* inFile(filename, all), [{ _id: 1 }])
    }))

  it.effect("durability against a loss of power keeps the same documents", () =>
    Effect.gen(function*() {
      const filename = yield* newFile
      yield* Effect.scoped(Effect.provide(insert(1), layerFile({ filename, durability: "power" }), { local: true }))
      assert.deepStrictEqual(yield* inFile(filename, all), [{ _id: 1 }])
    }))
})

describe("layerUrl", () => {
  it.effect("names memory, a file by URL or path, and says what is not there yet", () =>
    Effect.gen(function*() {
      const filename = yield* newFile
      const at = <A>(url: string, use: Effect.Effect<A, DatabaseError, Database>) =>
        Effect.scoped(Effect.provide(use, layerUrl(url), { local: true }))
      yield* at(filename, insert(1))
      yield* at(`file:${filename}`, insert(2))
      yield* at(pathToFileURL(filename).href, insert(3))
      assert.deepStrictEqual(yield* inFile(filename, all), [{ _id: 1 }, { _id: 2 }, { _id: 3 }])
      assert.deepStrictEqual(yield* at("memory:", all), [])
      const error = yield* Effect.flip(at("mongodb://ann:secret@localhost/app", all))
      assert.deepStrictEqual(error.reason, { _tag: "UnsupportedUrl", scheme: "mongodb" })
      assert.notInclude(error.message, "secret")
      assert.strictEqual((yield* reasonOf(at("file://elsewhere/app.db", all)))._tag, "Unavailable")
    }))
})
