import { Database, type DataSource, Documents, type Functions } from "@effect-realm/server"
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { document, documents, mine, path, query, rules } from "./support/arbitraryRules.ts"
import { among } from "./support/documents.ts"
import { caller, layer, newNamespace, plain, user, withRules } from "./support/ruledCollection.ts"
import * as Slow from "./support/slowRules.ts"
import * as Watching from "./support/watching.ts"

type Rules = DataSource.Rules

/** One operation over documents that are there: what it answers, or its refusal, and what is there then. */
const outcome = (
  rules: DataSource.RulesOptions,
  documents: ReadonlyArray<Slow.Document>,
  operation: string,
  args: object
) =>
  Effect.gen(function*() {
    const database = yield* Database.Database
    const namespace = newNamespace()
    const stored = database.collection(namespace)
    // What an index answers has to be what one finds who looks at every document.
    yield* stored.createIndex({ secret: 1, _id: 1 })
    yield* stored.createIndex({ "inner.a": 1 })
    if (documents.length > 0) yield* stored.insertMany(documents)
    const { call } = yield* Documents.make(withRules(namespace, rules))
    const answer = yield* Effect.result(
      call({ service: "mongodb-atlas", operation, args: [{ ...namespace, ...args }], caller })
    )
    return {
      answer: Result.isSuccess(answer) ? plain(answer.success) : answer.failure.reason.message,
      left: yield* stored.find({}, { sort: { _id: 1 } })
    }
  })

// -----------------------------------------------------------------------------
// The same, slowly
// -----------------------------------------------------------------------------

const sorted = (value: unknown): unknown =>
  Array.isArray(value)
    ? value.map(sorted)
    : typeof value === "object" && value !== null
    ? Object.fromEntries(Object.entries(value).toSorted().map(([name, inner]) => [name, sorted(inner)]))
    : value

const found = (rules: Rules, all: ReadonlyArray<Slow.Document>, query: Slow.Document) =>
  all.flatMap((document) => {
    const seen = Slow.see(rules, user, document)
    return seen === undefined || !Slow.matchesQuery(seen, query, user) ? [] : [{ document, seen }]
  })

const isPresent = <A>(value: A | undefined): value is A => value !== undefined

/** What is left after each of these documents has become another, or the refusal when one of them may not. */
const changed = (
  rules: Rules,
  all: ReadonlyArray<Slow.Document>,
  changing: ReadonlyArray<Slow.Document>,
  become: (document: Slow.Document) => Slow.Document | undefined
): ReadonlyArray<Slow.Document> | undefined =>
  changing.every((document) => Slow.permits(rules, user, document, become(document)))
    ? all.map((document) => changing.includes(document) ? become(document) : document).filter(isPresent)
    : undefined

/** For every rule and every document, what the server does is what the slow rules say. */
const check = <A>(
  name: string,
  input: Arbitrary.Arbitrary<A>,
  compare: (
    rules: Rules,
    documents: ReadonlyArray<Slow.Document>,
    input: A
  ) => Effect.Effect<void, Database.DatabaseError, Database.Database | Functions.Functions>
) =>
  it.effect(name, () =>
    Effect.gen(function*() {
      const result = yield* Arbitrary.checkEffect(
        Arbitrary.all([rules, documents, input]),
        ([rules, documents, input]) => Effect.as(compare(rules, documents, input), true),
        { runs: 300 }
      )
      assert.isUndefined(Arbitrary.formatCheckFailure(result))
    }).pipe(Effect.provide(layer)))

describe("for every rule and every document, as slow rules have it", () => {
  check("reads answer what may be seen", query, (rules, documents, query) =>
    Effect.gen(function*() {
      const expected = found(rules, documents, query).map(({ seen }) => seen)
      const find = yield* outcome(rules, documents, "find", { query, sort: { _id: 1 } })
      assert.deepStrictEqual(sorted(find.answer), sorted(expected))
      const count = yield* outcome(rules, documents, "count", { query })
      assert.strictEqual(count.answer, expected.length)
      const distinct = yield* outcome(rules, documents, "distinct", { field: "secret", query })
      const secrets = new Set(expected.flatMap(({ secret }) => secret === undefined ? [] : [secret]))
      assert.deepStrictEqual(new Set(distinct.answer as ReadonlyArray<unknown>), secrets)
      for (const [direction, id] of [[1, 1], [-1, -1]] as const) {
        const first = yield* outcome(rules, documents, "findOne", { query, sort: { secret: direction, _id: id } })
        const order = expected.toSorted((a, b) =>
          direction * (Number(a["secret"] ?? -1) - Number(b["secret"] ?? -1)) ||
          id * (Number(a["_id"]) - Number(b["_id"]))
        )
        assert.deepStrictEqual(sorted(first.answer), sorted(order[0] ?? null))
      }
    }))

  check("an insertion is as it is permitted", document, (rules, documents, document) =>
    Effect.gen(function*() {
      const inserted = { _id: 100, ...document }
      const permitted = Slow.permits(rules, user, undefined, inserted)
      const { answer, left } = yield* outcome(rules, documents, "insertOne", { document: inserted })
      assert.deepStrictEqual(answer, permitted ? { insertedId: 100 } : "insert not permitted")
      assert.deepStrictEqual(sorted(left), sorted(permitted ? [...documents, inserted] : documents))
    }))

  check(
    "a deletion reaches what is seen, all of it or nothing",
    query,
    (rules, documents, query) =>
      Effect.gen(function*() {
        const reached = found(rules, documents, query).map(({ document }) => document)
        const expected = changed(rules, documents, reached, () => undefined)
        const { answer, left } = yield* outcome(rules, documents, "deleteMany", { query })
        assert.deepStrictEqual(
          answer,
          expected === undefined ? "delete not permitted" : { deletedCount: reached.length }
        )
        assert.deepStrictEqual(sorted(left), sorted(expected ?? documents))
      })
  )

  check(
    "an update reaches what is seen, all of it or nothing, and says nothing of what is not",
    Arbitrary.all([query, path, among<unknown>([0, 1, 2, "ann", "bob", undefined])]),
    (rules, documents, [query, path, value]) =>
      Effect.gen(function*() {
        const reached = found(rules, documents, query).map(({ document }) => document)
        const become = (document: Slow.Document) => Slow.set(document, path.split("."), value)
        const permitted = reached.every((document) => Slow.reaches(rules, user, document, path))
        const expected = permitted ? changed(rules, documents, reached, become) : undefined
        const update = value === undefined ? { $unset: { [path]: 1 } } : { $set: { [path]: value } }
        const { answer, left } = yield* outcome(rules, documents, "updateMany", { query, update })
        if (typeof answer === "string") assert.strictEqual(answer, "update not permitted")
        assert.strictEqual(typeof answer === "string", expected === undefined)
        assert.deepStrictEqual(sorted(left), sorted(expected ?? documents))
      })
  )
})

// -----------------------------------------------------------------------------
// Rule by rule
// -----------------------------------------------------------------------------

const ann: Slow.Document = { _id: 1, owner: "ann", a: 1, s: 9 }
const bob: Slow.Document = { _id: 2, owner: "bob", a: 2, s: 8 }

/** What becomes of a write: it is done, refused, or finds no document. */
type Fate = "done" | "refused" | "absent"

interface Shape {
  readonly name: string
  readonly rules: DataSource.RulesOptions
  /** Ann's document and Bob's, as Ann sees them. */
  readonly sees: readonly [ann: object | null, bob: object | null]
  /** A change of `a` in either. */
  readonly updates: readonly [ann: Fate, bob: Fate]
  readonly deletes: readonly [ann: Fate, bob: Fate]
  readonly inserts: Fate
}

const everybody = { name: "everybody", applyWhen: {} }
const all = { read: true, write: true, insert: true, delete: true }
const nothing: Pick<Shape, "sees" | "updates" | "deletes" | "inserts"> = {
  sees: [null, null],
  updates: ["absent", "absent"],
  deletes: ["absent", "absent"],
  inserts: "refused"
}

const shapes: ReadonlyArray<Shape> = [
  { name: "a role that applies to nobody", rules: { roles: [{ ...everybody, ...all, applyWhen: false }] }, ...nothing },
  { name: "a role that grants nothing", rules: { roles: [everybody] }, ...nothing },
  {
    name: "a role that grants everything",
    rules: { roles: [{ ...everybody, ...all }] },
    sees: [ann, bob],
    updates: ["done", "done"],
    deletes: ["done", "done"],
    inserts: "done"
  },
  {
    name: "a role on one's own documents",
    rules: { roles: [{ ...everybody, ...all, applyWhen: mine }] },
    sees: [ann, null],
    updates: ["done", "absent"],
    deletes: ["done", "absent"],
    inserts: "done"
  },
  {
    name: "the first role that applies",
    rules: { roles: [{ ...everybody, applyWhen: mine, read: true }, { ...everybody, name: "rest", ...all }] },
    sees: [ann, bob],
    updates: ["refused", "done"],
    deletes: ["refused", "done"],
    inserts: "refused"
  },
  {
    name: "read",
    rules: { roles: [{ ...everybody, read: true }] },
    ...nothing,
    sees: [ann, bob],
    updates: ["refused", "refused"],
    deletes: ["refused", "refused"]
  },
  {
    name: "read by an expression",
    rules: { roles: [{ ...everybody, read: mine }] },
    ...nothing,
    sees: [ann, null],
    updates: ["refused", "absent"],
    deletes: ["refused", "absent"]
  },
  {
    name: "write, which includes read, and neither insert nor delete",
    rules: { roles: [{ ...everybody, read: false, write: mine }] },
    ...nothing,
    sees: [ann, null],
    updates: ["done", "absent"],
    deletes: ["refused", "absent"]
  },
  {
    name: "read of all and write of one's own",
    rules: { roles: [{ ...everybody, read: true, write: mine, insert: true, delete: true }] },
    sees: [ann, bob],
    updates: ["done", "refused"],
    deletes: ["done", "refused"],
    inserts: "done"
  },
  {
    name: "insert and delete without write",
    rules: { roles: [{ ...everybody, read: true, insert: true, delete: true }] },
    ...nothing,
    sees: [ann, bob],
    updates: ["refused", "refused"],
    deletes: ["refused", "refused"]
  },
  {
    name: "insert alone, by the documented %%prevRoot, which does not read",
    rules: { roles: [{ ...everybody, write: { "%%prevRoot": { "%exists": false } }, insert: true }] },
    ...nothing,
    inserts: "done"
  },
  {
    name: "fields to read",
    rules: { roles: [{ ...everybody, fields: { a: { read: true } } }] },
    ...nothing,
    sees: [{ _id: 1, a: 1 }, { _id: 2, a: 2 }],
    updates: ["refused", "refused"],
    deletes: ["refused", "refused"]
  },
  {
    name: "fields to write",
    rules: { roles: [{ ...everybody, insert: true, delete: true, fields: { a: { write: true } } }] },
    ...nothing,
    sees: [{ _id: 1, a: 1 }, { _id: 2, a: 2 }],
    updates: ["done", "done"],
    deletes: ["refused", "refused"]
  },
  {
    name: "fields beside write: false",
    rules: { roles: [{ ...everybody, insert: true, write: false, fields: { a: { write: true } } }] },
    ...nothing,
    sees: [{ _id: 1, a: 1 }, { _id: 2, a: 2 }],
    updates: ["refused", "refused"],
    deletes: ["refused", "refused"]
  },
  {
    name: "fields beside read: false",
    rules: { roles: [{ ...everybody, read: false, fields: { a: { read: true, write: true } } }] },
    ...nothing
  },
  {
    name: "all fields but one",
    rules: {
      roles: [{
        ...everybody,
        insert: true,
        delete: true,
        fields: { s: {} },
        additionalFields: { read: true, write: true }
      }]
    },
    sees: [{ _id: 1, owner: "ann", a: 1 }, { _id: 2, owner: "bob", a: 2 }],
    updates: ["done", "done"],
    deletes: ["refused", "refused"],
    inserts: "refused"
  },
  {
    name: "a gate that lets nothing through",
    rules: { roles: [{ ...everybody, ...all, documentFilters: { read: false, write: false } }] },
    ...nothing
  },
  {
    name: "a gate to read",
    rules: { roles: [{ ...everybody, ...all, documentFilters: { read: mine } }] },
    ...nothing,
    sees: [ann, null],
    updates: ["refused", "absent"],
    deletes: ["refused", "absent"]
  },
  {
    name: "a gate to write, which is one to read too",
    rules: { roles: [{ ...everybody, ...all, documentFilters: { write: mine } }] },
    sees: [ann, null],
    updates: ["done", "absent"],
    deletes: ["done", "absent"],
    inserts: "done"
  },
  {
    name: "a filter",
    rules: {
      roles: [{ ...everybody, ...all }],
      filters: [{ name: "mine", applyWhen: {}, query: mine, projection: { s: 0 } }]
    },
    sees: [{ _id: 1, owner: "ann", a: 1 }, null],
    updates: ["done", "absent"],
    deletes: ["done", "absent"],
    inserts: "done"
  },
  {
    name: "a filter for others",
    rules: {
      roles: [{ ...everybody, ...all }],
      filters: [{ name: "blue", applyWhen: { "%%user.custom_data.team": "blue" }, query: { owner: "nobody" } }]
    },
    sees: [ann, bob],
    updates: ["done", "done"],
    deletes: ["done", "done"],
    inserts: "done"
  }
]

/** Changes that the system makes of both documents while Ann watches, one after the other. */
const changes: ReadonlyArray<{ readonly a: number } | { readonly s: number }> = [{ a: 5 }, { s: 7 }]

/** What Ann is told while the system inserts both documents, changes them and deletes them. */
const watched = (rules: DataSource.RulesOptions, both: ReadonlyArray<Slow.Document>) =>
  Effect.scoped(Effect.gen(function*() {
    const namespace = newNamespace()
    const stored = (yield* Database.Database).collection(namespace)
    const documents = yield* Documents.make(withRules(namespace, rules))
    const told = yield* Watching.watching(documents, namespace, Effect.succeed(caller))
    yield* stored.insertMany(both)
    for (const changed of changes) {
      for (const { _id } of both) yield* stored.updateOne({ _id }, { $set: changed })
    }
    for (const { _id } of both) yield* stored.deleteOne({ _id })
    return (yield* told).flatMap((item) => item._tag === "Changed" ? [plain(item.event) as Slow.Document] : [])
      .map(({ _id: _, clusterTime: _1, ns: _2, ...event }) => event)
  }))

describe("operation by operation", () => {
  for (const { deletes, inserts, name, rules, sees, updates } of shapes) {
    it.effect(name, () =>
      Effect.gen(function*() {
        const both = [ann, bob]
        const run = (operation: string, args: object) => outcome(rules, both, operation, args)
        const visible = sees.filter((seen) => seen !== null)
        assert.deepStrictEqual((yield* run("find", { sort: { _id: 1 } })).answer, visible)
        assert.deepStrictEqual((yield* run("count", {})).answer, visible.length)
        assert.deepStrictEqual(
          (yield* run("distinct", { field: "s" })).answer,
          visible.flatMap((seen) => "s" in seen ? [seen.s] : [])
        )
        for (const [index, document] of both.entries()) {
          const query = { _id: document["_id"] }
          assert.deepStrictEqual((yield* run("findOne", { query })).answer, sees[index])
          assert.deepStrictEqual(
            (yield* run("find", { query: { s: document["s"] } })).answer,
            visible.filter((seen) => "s" in seen && seen.s === document["s"])
          )

          const update = { $set: { a: 5 } }
          const changed = both.map((one) => one === document ? { ...one, a: 5 } : one)
          const fate = updates[index]
          const after = fate === "done" ? changed : both
          for (const operation of ["updateOne", "updateMany"]) {
            const { answer, left } = yield* run(operation, { query, update })
            const done = fate === "done" ? 1 : 0
            assert.deepStrictEqual(
              answer,
              fate === "refused" ? "update not permitted" : { matchedCount: done, modifiedCount: done }
            )
            assert.deepStrictEqual(left, after, operation)
          }
          const one = yield* run("findOneAndUpdate", { filter: query, update })
          assert.deepStrictEqual(one.answer, fate === "refused" ? "update not permitted" : sees[index])
          assert.deepStrictEqual(one.left, after)
          const bulk = yield* run("bulkWrite", { operations: [{ updateOne: { filter: query, update } }] })
          assert.deepStrictEqual(bulk.answer, fate === "refused" ? "update not permitted" : null)
          assert.deepStrictEqual(bulk.left, after)

          const remaining = deletes[index] === "done" ? both.filter((other) => other !== document) : both
          for (const operation of ["deleteOne", "deleteMany"]) {
            const { answer, left } = yield* run(operation, { query })
            assert.deepStrictEqual(
              answer,
              deletes[index] === "refused"
                ? "delete not permitted"
                : { deletedCount: deletes[index] === "done" ? 1 : 0 }
            )
            assert.deepStrictEqual(left, remaining, operation)
          }
          const deleted = yield* run("findOneAndDelete", { filter: query })
          assert.deepStrictEqual(deleted.answer, deletes[index] === "refused" ? "delete not permitted" : sees[index])
          assert.deepStrictEqual(deleted.left, remaining)
        }

        const seen = both.flatMap(({ _id }, index) => {
          const view = sees[index]
          return view === null ? [] : [{ documentKey: { _id }, view: { ...view } as Slow.Document }]
        })
        assert.deepStrictEqual<unknown>(yield* watched(rules, both), [
          ...seen.map(({ documentKey, view }) => ({ operationType: "insert", documentKey, fullDocument: view })),
          ...changes.flatMap((changed, index) => {
            const fields = Object.assign({}, ...changes.slice(0, index + 1))
            return seen.filter(({ view }) => Object.keys(changed).every((name) => name in view)).map(
              ({ documentKey, view }) => ({
                operationType: "update",
                documentKey,
                fullDocument: Object.fromEntries(Object.keys(view).map((name) => [name, fields[name] ?? view[name]])),
                updateDescription: { updatedFields: changed, removedFields: [], truncatedArrays: [] }
              })
            )
          }),
          ...seen.map(({ documentKey }) => ({ operationType: "delete", documentKey }))
        ])

        const document = { _id: 3, owner: "ann", a: 3, s: 7 }
        const more = inserts === "done" ? [...both, document] : both
        const one = yield* run("insertOne", { document })
        assert.deepStrictEqual(one.answer, inserts === "done" ? { insertedId: 3 } : "insert not permitted")
        assert.deepStrictEqual(one.left, more)
        const many = yield* run("insertMany", { documents: [document] })
        assert.deepStrictEqual(many.answer, inserts === "done" ? { insertedIds: [3] } : "insert not permitted")
        assert.deepStrictEqual(many.left, more)
        const upsert = yield* run("updateOne", {
          query: { _id: 3 },
          update: { $set: { owner: "ann", a: 3, s: 7 } },
          upsert: true
        })
        assert.deepStrictEqual(
          upsert.answer,
          inserts === "done" ? { matchedCount: 0, modifiedCount: 0, upsertedId: 3 } : "insert not permitted"
        )
        assert.deepStrictEqual(upsert.left, more)
      }).pipe(Effect.provide(layer)))
  }
})
