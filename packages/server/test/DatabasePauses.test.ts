/**
 * What holds of operations that take many turns of the event loop. Here they pause after every document, so that each has
 * others in its pauses.
 */
import { Database, type DatabaseError, layerFile, layerMemory } from "@effect-realm/server/Database"
import type * as DatabaseModule from "@effect-realm/server/Database"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Context, Effect, Exit, Fiber, Layer, Option, Result, Scope, Stream } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import { SliceLength } from "../src/internal/engine/slices.ts"
import { accessContract } from "./DatabaseAccess.contract.ts"
import { indexesContract } from "./DatabaseIndexes.contract.ts"
import { insertsContract } from "./DatabaseInserts.contract.ts"
import { watchContract } from "./DatabaseWatch.contract.ts"
import { writesContract } from "./DatabaseWrites.contract.ts"
import { newFile, things } from "./support/databases.ts"
import { among } from "./support/documents.ts"

type Collection<Refusal = never> = DatabaseModule.Collection<Refusal>
type Document = DatabaseModule.Document

const pausing = <E>(layer: Layer.Layer<Database, E>): Layer.Layer<Database, E> =>
  Layer.provide(layer, Layer.succeed(SliceLength, 0))

const file = pausing(Layer.unwrap(Effect.map(newFile, (filename) => layerFile({ filename }))))

const namespace = { database: "app", collection: "things" }

/** One turn of the event loop. */
const turn = Effect.callback<void>((resume) => {
  const immediate = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(immediate))
})

const turns = (count: number): Effect.Effect<void> =>
  Effect.forEach(Array.from({ length: count }), () => turn, { discard: true })

const begin = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<Fiber.Fiber<A, E>, never, R> =>
  Effect.forkChild(effect, { startImmediately: true })

const numbered = (count: number): ReadonlyArray<Document> =>
  Array.from({ length: count }, (_, _id) => ({ _id, done: [] }))

// -----------------------------------------------------------------------------
// One order
// -----------------------------------------------------------------------------

const documentCount = 6

/** What a write leaves in every document, and what a read finds in every one. */
type Done = ReadonlyArray<number>

const doneOf = (documents: ReadonlyArray<Document>): Done => {
  const [first, ...others] = documents.map(({ done }) => done)
  assert.strictEqual(documents.length, documentCount)
  for (const other of others) assert.deepStrictEqual(other, first, "a write is seen in a part of the documents")
  return Array.isArray(first) ? first : assert.fail("no list")
}

type Act = (mark: number, database: Database["Service"]) => Effect.Effect<Done | undefined, DatabaseError | string>

const act =
  (run: (collection: Collection, mark: number) => Effect.Effect<Done | undefined, DatabaseError>): Act =>
  (mark, database) => run(database.collection(namespace), mark)

const refused = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<undefined> =>
  Effect.match(effect, { onFailure: () => undefined, onSuccess: () => assert.fail("it did not fail") })

const writes: { readonly [name: string]: Act } = {
  updateMany: act((collection, mark) => Effect.as(collection.updateMany({}, { $push: { done: mark } }), undefined)),
  // of which one write fails, and is taken back alone
  bulkWrite: act((collection, mark) =>
    refused(collection.bulkWrite([
      { updateMany: { filter: { _id: { $lt: 2 } }, update: { $push: { done: mark } } } },
      { insertOne: { document: { _id: 3 } } },
      { updateMany: { filter: { _id: { $gte: 2 } }, update: { $push: { done: mark } } } }
    ], { ordered: false }))
  ),
  refused: (mark, database) => {
    const access: DatabaseModule.Access<string> = {
      judge: ({ before }) => Option.getOrThrow(before)["_id"] === 4 ? Result.fail("no") : Result.void
    }
    return refused(database.collection(namespace, { access }).updateMany({}, { $push: { done: mark } }))
  }
}

const reads: { readonly [name: string]: Act } = {
  find: act((collection) => Effect.map(collection.find({}), doneOf)),
  sorted: act((collection) => Effect.map(collection.find({}, { sort: { done: 1, _id: -1 } }), doneOf)),
  aggregate: act((collection) =>
    Effect.map(
      collection.aggregate([{ $group: { _id: "$done", count: { $sum: 1 } } }]),
      (groups) =>
        doneOf(groups.flatMap(({ _id, count }) => Array.from({ length: Number(count) }, () => ({ done: _id }))))
    )
  ),
  // looks at the collection again for each document
  lookup: act((collection) =>
    Effect.map(
      collection.aggregate([
        { $lookup: { from: "things", as: "all", pipeline: [] } },
        { $unwind: "$all" },
        { $project: { done: "$all.done", outer: "$done" } }
      ]),
      (found) => {
        assert.strictEqual(found.length, documentCount ** 2)
        for (const { done, outer } of found) assert.deepStrictEqual(done, outer)
        return doneOf(found.slice(0, documentCount))
      }
    )
  ),
  distinct: act((collection) => Effect.map(collection.distinct("done"), (all) => all as Done))
}

const others: { readonly [name: string]: Act } = {
  createIndex: act((collection, mark) =>
    Effect.as(collection.createIndex({ [mark % 2 === 0 ? "done" : `field${mark}`]: 1 }), undefined)
  )
}

const acts = { ...writes, ...reads, ...others }

interface Step {
  readonly name: keyof typeof acts
  /** How many turns pass before the next one begins. */
  readonly wait: number
  /** After how many turns it is interrupted, if it is under way then. */
  readonly giveUp: number
}

const arbitraryStep: Arbitrary.Arbitrary<Step> = Arbitrary.map(
  Arbitrary.all([
    among([...Object.keys(writes), ...Object.keys(reads), ...Object.keys(reads), ...Object.keys(others)]),
    among([0, 0, 1, 3, 9, 30]),
    among([Infinity, Infinity, Infinity, 0, 2, 7, 20])
  ]),
  ([name, wait, giveUp]) => ({ name, wait, giveUp })
)

/** What became of a step. The times are in the order of beginnings and endings. */
interface Record extends Step {
  readonly mark: number
  readonly began: number
  readonly ended: number
  readonly exit: Exit.Exit<Done | undefined, DatabaseError | string>
}

const perform = (steps: ReadonlyArray<Step>): Effect.Effect<void, DatabaseError, Database | Scope.Scope> =>
  Effect.gen(function*() {
    const database = yield* Database
    const collection = database.collection(namespace)
    yield* collection.deleteMany({})
    yield* collection.insertMany(numbered(documentCount))
    const [opened] = yield* Stream.runCollect(Stream.take(collection.watch(), 1))

    let time = 0
    const records = yield* Effect.forEach(steps, ({ giveUp, name, wait }, mark) =>
      Effect.gen(function*() {
        const began = time++
        const fiber = yield* begin(acts[name]?.(mark, database) ?? Effect.succeed(undefined))
        if (giveUp !== Infinity) yield* begin(Effect.andThen(turns(giveUp), Fiber.interrupt(fiber)))
        const record = yield* begin(
          Effect.map(Fiber.await(fiber), (exit): Record => ({ name, wait, giveUp, mark, began, ended: time++, exit }))
        )
        yield* turns(wait)
        return record
      })).pipe(Effect.flatMap(Fiber.joinAll))

    const order = doneOf(yield* collection.find({}))
    const isWrite = ({ name }: Record) => name === "updateMany" || name === "bulkWrite"
    const made = records.filter((record) => isWrite(record) && Exit.isSuccess(record.exit))
    // they wait in line, so that they are done in the order in which they began; a write that is given up is whole or nothing
    assert.deepStrictEqual(order, order.toSorted((left, right) => left - right))
    for (const { mark } of made) assert.include(order, mark)
    for (const mark of order) {
      const record = records[mark]
      assert.ok(record !== undefined && isWrite(record))
      assert.ok(Exit.isSuccess(record.exit) || Exit.hasInterrupts(record.exit))
    }
    for (const record of records) {
      if (Exit.isFailure(record.exit)) {
        assert.ok(Exit.hasInterrupts(record.exit), JSON.stringify(record.exit))
        continue
      }
      const seen = record.exit.value
      if (seen === undefined) continue
      assert.deepStrictEqual(seen, order.slice(0, seen.length))
      for (const { began, ended, mark } of made) {
        if (ended < record.began) assert.include(seen, mark, "what was answered before is seen")
        if (began > record.ended) assert.notInclude(seen, mark)
      }
    }

    // each change is told once, in the order of the writes, and nothing of what was not committed
    assert.ok(opened?._tag === "Position")
    const told = yield* collection.watch({ resumeAfter: opened.resumeToken }).pipe(
      Stream.filter((watched) => watched._tag === "Changed"),
      Stream.take(order.length * documentCount),
      Stream.runCollect
    )
    const copies = new Map<unknown, unknown>(
      Array.from({ length: documentCount }, (_, id) => [id, { _id: id, done: [] }])
    )
    for (const watched of told) {
      assert.ok(watched._tag === "Changed" && watched.event.operationType === "update")
      const { documentKey: { _id }, fullDocument, fullDocumentBeforeChange } = watched.event
      assert.deepStrictEqual(copies.get(_id), fullDocumentBeforeChange)
      copies.set(_id, fullDocument)
    }
    assert.deepStrictEqual([...copies.values()], yield* collection.find({}, { sort: { _id: 1 } }))
  })

insertsContract("pausing file", file)
writesContract("pausing file", file)
indexesContract("pausing file", file)
accessContract("pausing file", file)
watchContract("pausing file", file)

for (const [name, layer] of [["file", file], ["memory", pausing(layerMemory)]] as const) {
  describe(`${name}: pauses`, { timeout: 60_000 }, () => {
    it.effect("operations in each other's pauses are as if they were done one after another, whole or not at all", () =>
      Effect.gen(function*() {
        const database = yield* Database
        const result = yield* Arbitrary.checkEffect(
          Arbitrary.array(arbitraryStep, { minLength: 2, maxLength: 12 }),
          (steps) => perform(steps).pipe(Effect.scoped, Effect.provideService(Database, database), Effect.as(true)),
          { runs: 60 }
        )
        assert.isUndefined(Arbitrary.formatCheckFailure(result))
      }).pipe(Effect.provide(layer)))

    it.effect("the event loop turns while a read or a write is under way", () =>
      Effect.gen(function*() {
        const collection = yield* things
        yield* collection.insertMany(numbered(200))
        const operations: ReadonlyArray<Effect.Effect<unknown, DatabaseError>> = [
          collection.find({ none: 1 }),
          collection.updateMany({}, { $set: { n: 1 } })
        ]
        for (const long of operations) {
          const fiber = yield* begin(long)
          yield* turns(100)
          assert.isUndefined(fiber.pollUnsafe())
          yield* Fiber.join(fiber)
        }
      }).pipe(Effect.provide(layer)))

    it.effect("who reads old changes is told nothing of a write that is under way, and is given up", () =>
      Effect.gen(function*() {
        const collection = yield* things
        const others = (yield* Database).collection({ database: "app", collection: "others" })
        yield* yield* Stream.toPull(others.watch())
        const pull = yield* Stream.toPull(collection.watch())
        const told: Array<string> = []
        const next = Effect.map(pull, (watched) => {
          told.push(...watched.map((one) => one._tag === "Changed" ? one.event.operationType : one._tag))
        })
        yield* next
        yield* collection.insertMany(numbered(50))
        // these are at hand in memory, so that those are read from the log
        yield* others.insertMany(numbered(1100))
        const write = yield* begin(collection.updateMany({}, { $set: { n: 1 } }))
        yield* turns(80)
        while (told.length < 51) yield* next
        assert.isUndefined(write.pollUnsafe())
        yield* Fiber.interrupt(write)
        yield* collection.deleteOne({ _id: 0 })
        yield* next
        assert.deepStrictEqual(told, ["Position", ...Array.from({ length: 50 }, () => "insert"), "delete"])
      }).pipe(Effect.provide(layer)))

    it.effect("closing ends what is under way and what waits, and nothing of it was done", () =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const database = Context.get(yield* Layer.buildWithScope(layer, scope), Database)
        const collection = database.collection(namespace)
        yield* collection.insertMany(numbered(50))
        const operations: ReadonlyArray<Effect.Effect<unknown, DatabaseError>> = [
          collection.updateMany({}, { $set: { n: 1 } }),
          collection.insertOne({ _id: 100 }),
          collection.find({}),
          collection.aggregate([{ $group: { _id: null } }])
        ]
        const fibers = yield* Effect.forEach(operations, (operation) => begin(operation))
        yield* turns(10)
        for (const fiber of fibers) assert.isUndefined(fiber.pollUnsafe())
        yield* Scope.close(scope, Exit.void)
        for (const fiber of fibers) {
          const error = yield* Effect.flip(Fiber.join(fiber))
          assert.strictEqual(error.reason._tag, "Unavailable")
        }
      }))
  })
}

describe("file: pauses", { timeout: 60_000 }, () => {
  it.effect("while a write is under way reads find what was there before it, and a short one does not wait", () =>
    Effect.gen(function*() {
      const collection = yield* things
      yield* collection.insertMany(numbered(100))
      const write = yield* begin(collection.updateMany({}, { $set: { n: 1 } }))
      // all of them are found by then, and some are changed
      yield* turns(110)
      const found = yield* begin(collection.findOne({ _id: 0 }))
      assert.deepStrictEqual(found.pollUnsafe(), Exit.succeed(Option.some({ _id: 0, done: [] })))
      assert.strictEqual(yield* collection.count({ _id: { $lt: 5 }, n: 1 }), 0)
      assert.isUndefined(write.pollUnsafe())
      yield* Fiber.join(write)
      assert.strictEqual(yield* collection.count({ n: 1 }), 100)
    }).pipe(Effect.provide(file)))

  it.effect("a collection and an index in the making are not there for others", () =>
    Effect.gen(function*() {
      const collection = yield* things
      const indexOf = Effect.map(collection.explain({ done: 1 }), ({ index }) => Option.getOrUndefined(index))
      const insert = yield* begin(collection.insertMany(numbered(20)))
      yield* turns(5)
      assert.strictEqual(yield* collection.count({}), 0)
      yield* Fiber.join(insert)
      const index = yield* begin(collection.createIndex({ done: 1 }))
      yield* turns(5)
      assert.isUndefined(yield* indexOf)
      yield* Fiber.join(index)
      assert.strictEqual(yield* indexOf, "done_1")
      const given = yield* begin(collection.createIndex({ other: 1 }))
      yield* turns(5)
      yield* Fiber.interrupt(given)
      yield* collection.createIndex({ other: 1 }, { sparse: true })
    }).pipe(Effect.provide(file)))

  it.effect("an index is there, and is kept, when its making is interrupted after the commit", () =>
    Effect.gen(function*() {
      const filename = yield* newFile
      yield* Effect.gen(function*() {
        const collection = yield* things
        const others = (yield* Database).collection({ database: "app", collection: "others" })
        yield* others.insertOne({ _id: 1, n: 1 })
        yield* yield* Stream.toPull(collection.watch())
        // old changes are left to be forgotten, by those who write next
        const insert = yield* begin(collection.insertMany(numbered(6000)))
        while ((yield* collection.count({})) === 0) yield* turn
        yield* Fiber.interrupt(insert)
        const index = yield* begin(others.createIndex({ n: 1 }))
        yield* turns(3)
        assert.isUndefined(index.pollUnsafe())
        yield* Fiber.interrupt(index)
        yield* others.insertOne({ _id: 2, n: 2 })
        const { index: planned } = yield* others.explain({ n: 2 })
        assert.deepStrictEqual(planned, Option.some("n_1"))
        assert.deepStrictEqual(yield* others.find({ n: 2 }), [{ _id: 2, n: 2 }])
      }).pipe(Effect.provide(pausing(layerFile({ filename, changes: { maxBytes: 1000 } }))))
    }))

  it.effect("more long reads than there are connections wait for each other, and short ones do not", () =>
    Effect.gen(function*() {
      const collection = yield* things
      yield* collection.insertMany(numbered(50))
      const reads = yield* Effect.forEach(Array.from({ length: 20 }), () => begin(collection.find({})))
      yield* turns(5)
      const found = yield* begin(collection.findOne({ _id: 7 }))
      assert.deepStrictEqual(found.pollUnsafe(), Exit.succeed(Option.some({ _id: 7, done: [] })))
      yield* Fiber.interrupt(reads[0] ?? assert.fail("none"))
      for (const read of reads.slice(1)) assert.deepStrictEqual(yield* Fiber.join(read), numbered(50))
    }).pipe(Effect.provide(file)))

  it.effect("writes that wait for each other do not wait for long reads", () =>
    Effect.gen(function*() {
      const collection = yield* things
      yield* collection.insertMany(numbered(100))
      const reads = yield* Effect.forEach(Array.from({ length: 8 }), () => begin(collection.find({ none: 1 })))
      const writes = yield* Effect.forEach(
        Array.from({ length: 100 }, (_, id) => id),
        (_id) => begin(collection.updateMany({ _id }, { $set: { n: 1 } }))
      )
      for (const write of writes) yield* Fiber.join(write)
      for (const read of reads) assert.isUndefined(read.pollUnsafe())
    }).pipe(Effect.provide(file)))

  it.live("nothing is left of a write that kill -9 ends in a pause", () =>
    Effect.gen(function*() {
      const filename = yield* newFile
      const child = spawn(process.execPath, [
        "--disable-warning=ExperimentalWarning",
        "--conditions=effect-realm-source",
        fileURLToPath(new URL("support/killedInPause.ts", import.meta.url)),
        filename
      ], { stdio: ["ignore", "ignore", "inherit"] })
      const [, signal] = yield* Effect.promise(() => once(child, "exit"))
      assert.strictEqual(signal, "SIGKILL")
      const found = yield* Effect.scoped(Effect.provide(
        Effect.flatMap(things, (collection) => collection.find({}, { sort: { _id: 1 } })),
        layerFile({ filename }),
        { local: true }
      ))
      assert.deepStrictEqual(found, numbered(300))
    }))
})
