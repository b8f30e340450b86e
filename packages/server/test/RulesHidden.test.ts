/**
 * The ways round: what is hidden is not told by the order of what is found, nor by what an update does or says.
 */
import { Database, type DataSource, Documents, Functions } from "@effect-realm/server"
import { assert, describe, it } from "@effect/vitest"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as TestClock from "effect/testing/TestClock"
import { Unanswered } from "../src/internal/documents/documentAccess.ts"
import * as RuleFunctions from "../src/internal/documents/ruleFunctions.ts"
import { caller, layer, newNamespace, plain, withRules } from "./support/ruledCollection.ts"

const everything = { name: "all", applyWhen: {}, read: true, write: true, insert: true, delete: true } as const

/** What an operation answers a user, or the message of its refusal. */
const open = (
  rules: DataSource.RulesOptions,
  documents: ReadonlyArray<Database.Document>,
  indexes: ReadonlyArray<{ readonly [path: string]: 1 | -1 }> = []
) =>
  Effect.gen(function*() {
    const database = yield* Database.Database
    const namespace = newNamespace()
    const stored = database.collection(namespace)
    for (const keys of indexes) yield* stored.createIndex(keys)
    yield* stored.insertMany(documents)
    const { call } = yield* Documents.make(withRules(namespace, rules))
    const ask = (operation: string, args: object) =>
      Effect.map(
        Effect.result(call({ service: "mongodb-atlas", operation, args: [{ ...namespace, ...args }], caller })),
        (answer) => Result.isSuccess(answer) ? plain(answer.success) : answer.failure.reason.message
      )
    return { ask, stored }
  })

const ids = (found: unknown): ReadonlyArray<unknown> =>
  Array.isArray(found) ? found.map((document) => document._id) : assert.fail(`refused: ${String(found)}`)

const test = (
  name: string,
  run: () => Effect.Effect<void, Database.DatabaseError, Database.Database | Functions.Functions>
) => it.effect(name, () => Effect.provide(run(), layer))

describe("a hidden field", () => {
  const readers: DataSource.RulesOptions = {
    roles: [{
      name: "readers",
      applyWhen: {},
      fields: { a: { read: true, write: true }, tags: { read: true }, secret: {} },
      additionalFields: {}
    }]
  }
  const documents = [
    { _id: 1, a: 1, secret: 30, tags: ["x"] },
    { _id: 2, a: 1, secret: 10, tags: ["x"] },
    { _id: 3, a: 1, secret: 20, tags: ["x"] }
  ]

  test("does not order what an index finds", () =>
    Effect.gen(function*() {
      const { ask } = yield* open(readers, documents, [{ a: 1, secret: 1 }])
      assert.deepStrictEqual(ids(yield* ask("find", { query: { a: 1 } })), [1, 2, 3])
      assert.deepStrictEqual(ids(yield* ask("find", { query: { a: 1 }, limit: 1 })), [1])
      assert.deepStrictEqual(ids(yield* ask("find", { query: {}, sort: { a: 1 } })), [1, 2, 3])
      assert.deepStrictEqual(ids(yield* ask("find", { query: {}, sort: { a: -1 } })), [1, 2, 3])
      assert.deepStrictEqual(ids([yield* ask("findOne", { query: { a: 1 } })]), [1])
      assert.deepStrictEqual(ids(yield* ask("aggregate", { pipeline: [{ $match: { a: 1 } }, { $limit: 2 }] })), [1, 2])
      assert.deepStrictEqual(
        ids([yield* ask("findOneAndUpdate", { filter: { a: 1 }, update: { $set: { a: 5 } } })]),
        [1]
      )
    }))

  test("does not order what the filters of the rules find by it", () =>
    Effect.gen(function*() {
      const { ask } = yield* open(
        { ...readers, filters: [{ name: "some", applyWhen: {}, query: { secret: { $gte: 0 } } }] },
        documents,
        [{ secret: 1 }]
      )
      assert.deepStrictEqual(ids(yield* ask("find", { query: {} })), [1, 2, 3])
    }))
})

describe("a hidden document", () => {
  test("does not count among what a filter may cost", () =>
    Effect.gen(function*() {
      const { ask } = yield* open(
        { roles: [{ ...everything, applyWhen: { mine: true } }] },
        Array.from(
          { length: 9 },
          (_, _id) => ({ _id, mine: _id === 7, list: Array.from({ length: _id === 7 ? 1 : 1000 }) })
        )
      )
      // of any other document it would be refused
      const query = { $or: Array.from({ length: 5000 }, (_, n) => ({ list: n })) }
      assert.deepStrictEqual(yield* ask("find", { query }), [])
    }))
})

describe("a field that a filter's projection hides", () => {
  const documents = [{
    _id: 1,
    items: [{ name: "a", price: 7 }, { name: "b", price: 3 }],
    note: { open: 1, inner: 7 }
  }]

  for (const projection of [{ "items.price": 0, "note.inner": 0 }, { items: { price: 0 }, note: { inner: 0 } }]) {
    const rules: DataSource.RulesOptions = {
      roles: [everything],
      filters: [{ name: "prices", applyWhen: {}, query: {}, projection }]
    }
    const updates: ReadonlyArray<readonly [string, object]> = [
      ["by its place", { update: { $max: { "items.0.price": 5 } } }],
      ["of all elements", { update: { $max: { "items.$[].price": 5 } } }],
      ["in an array filter", {
        update: { $set: { "items.$[e].seen": true } },
        arrayFilters: [{ "e.price": { $gt: 5 } }]
      }],
      ["in a condition of $pull", { update: { $pull: { items: { price: { $gt: 5 } } } } }],
      ["with the array", { update: { $addToSet: { items: { name: "a", price: 7 } } } }],
      ["by another name", { update: { $rename: { items: "open" } } }],
      ["in a document by another name", { update: { $rename: { note: "open" } } }],
      ["by its value", { update: { $set: { note: { open: 1, inner: 7 } } } }]
    ]
    for (const [name, args] of updates) {
      test(`is not found out by an update that touches it ${name}: ${JSON.stringify(projection)}`, () =>
        Effect.gen(function*() {
          const { ask, stored } = yield* open(rules, documents)
          assert.strictEqual(yield* ask("updateOne", { query: { _id: 1 }, ...args }), "update not permitted")
          assert.deepStrictEqual(yield* stored.find({}), documents)
        }))
    }

    test(`does not keep what is beside it from being updated: ${JSON.stringify(projection)}`, () =>
      Effect.gen(function*() {
        const { ask } = yield* open(rules, documents)
        const updated = { matchedCount: 1, modifiedCount: 1 }
        const update = (update: object) => ask("updateOne", { query: { _id: 1 }, update })
        assert.deepStrictEqual(yield* update({ $set: { "note.open": 2, other: 1 } }), updated)
        assert.deepStrictEqual(yield* update({ $inc: { "note.open": 2 } }), updated)
        assert.deepStrictEqual(yield* ask("find", { query: { note: { open: 4 } }, project: { note: 1 } }), [
          { _id: 1, note: { open: 4 } }
        ])
      }))
  }
})

describe("a field whose parts have rules of their own", () => {
  const rules: DataSource.RulesOptions = {
    roles: [{
      name: "parts",
      applyWhen: {},
      fields: {
        name: { read: true },
        address: { fields: { city: { read: true, write: true }, street: {} } }
      },
      additionalFields: { read: true, write: true }
    }]
  }

  for (const address of [7, null, [], "secret", { street: "secret" }]) {
    const name = `says nothing of what is hidden there: ${JSON.stringify(address)}`
    test(name, () =>
      Effect.gen(function*() {
        const { ask } = yield* open(rules, [{ _id: 1, name: "ann", address }])
        const update = (update: object) => ask("updateOne", { query: { _id: 1 }, update })
        assert.strictEqual(yield* update({ $rename: { address: "open" } }), "update not permitted")
        assert.strictEqual(yield* update({ $max: { "address.street": "a" } }), "update not permitted")
        const isDocument = typeof address === "object" && address !== null && "street" in address
        assert.deepStrictEqual(
          yield* update({ $set: { "address.city": "Rome" } }),
          isDocument ? { matchedCount: 1, modifiedCount: 1 } : "update not permitted"
        )
      }))
  }
})

describe("functions that rules ask", () => {
  /** Asks so many questions, each of which takes a while to answer, and is asked for another document. */
  const asking = (questions: number, patience: Duration.Input) => {
    let asked = 0
    const next = (ask: RuleFunctions.Ask) =>
      Effect.try({
        try: () => {
          for (; asked < questions; asked++) ask("isOpen", [asked])
          return asked
        },
        catch: (error) => error instanceof Unanswered ? error : assert.fail(String(error))
      })
    const answering = Functions.Functions.of({
      call: () => Effect.delay(Effect.succeed(false), patience),
      callJson: () => Effect.die("no client calls"),
      streamJson: () => Effect.die("no client calls")
    })
    return Effect.provideService(RuleFunctions.settle(caller, next), Functions.Functions, answering)
  }

  it.effect("are asked however often: a limit would tell how many documents are hidden", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* asking(5000, 0), 5000)
    }))

  it.effect("are asked about a collection in a few looks at it, each question once and about no document that is not met", () =>
    Effect.gen(function*() {
      const database = yield* Database.Database
      const namespace = newNamespace()
      const count = 500
      const documents = Array.from({ length: count }, (_, _id) => ({ _id, n: 0 }))
      yield* database.collection(namespace).insertMany(documents)
      const questions: Array<unknown> = []
      let looks = 0
      const answering = Functions.Functions.of({
        call: ({ args }) => Effect.sync(() => questions.push(args[0])),
        callJson: () => Effect.die("no client calls"),
        streamJson: () => Effect.die("no client calls")
      })
      const settled = <A>(
        run: (collection: Database.Collection<Unanswered>) => Effect.Effect<A, Database.DatabaseError | Unanswered>
      ) => {
        questions.length = 0
        looks = 0
        const judged = (ask: RuleFunctions.Ask, document: Database.Document): Result.Result<void, Unanswered> =>
          Result.try({
            try: () => {
              looks++
              ask("isOpen", [document["_id"]])
            },
            catch: (error) => error instanceof Unanswered ? error : assert.fail(String(error))
          })
        return RuleFunctions.settle(caller, (ask, goesOn) =>
          run(database.collection(namespace, {
            access: {
              see: (document) => Result.map(judged(ask, document), () => Option.some(document)),
              judge: ({ after, before }) => judged(ask, Option.getOrThrow(Option.orElse(before, () => after))),
              goesOn
            }
          }))).pipe(Effect.provideService(Functions.Functions, answering))
      }
      const all = documents.map(({ _id }) => _id)
      assert.strictEqual((yield* settled((collection) => collection.find({}))).length, count)
      assert.deepStrictEqual(questions, all)
      assert.isAtMost(looks, 4 * count)
      yield* settled((collection) => collection.updateMany({}, { $set: { n: 1 } }))
      assert.deepStrictEqual(questions, all)
      yield* settled((collection) => collection.insertMany(all.map((_id) => ({ _id: count + _id }))))
      assert.deepStrictEqual(questions, all.map((_id) => count + _id))
      assert.isAtMost(looks, 4 * count)
      assert.strictEqual((yield* settled((collection) => collection.find({}, { limit: 1 }))).length, 1)
      assert.deepStrictEqual(questions, [0])
    }).pipe(Effect.provide(layer)))

  it.effect("are waited for no longer than a minute in all", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(Effect.flip(asking(100, "1 second")), { startImmediately: true })
      yield* TestClock.adjust("90 seconds")
      const { reason } = yield* Fiber.join(fiber)
      assert.match(reason.message, /functions for more than 60 seconds: narrow the query/)
    }))
})
