import { Database, type DataSource, Documents, type Functions } from "@effect-realm/server"
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import type * as Scope from "effect/Scope"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { document, path, rules } from "./support/arbitraryRules.ts"
import { among, oneOf } from "./support/documents.ts"
import { caller, functions, layer, newNamespace, plain, user as ann, withRules } from "./support/ruledCollection.ts"
import * as Slow from "./support/slowRules.ts"
import * as Watching from "./support/watching.ts"

type Rules = DataSource.Rules

/** What one write makes of one document. */
interface Write {
  readonly kind: "update" | "replace"
  readonly id: number
  readonly become: (before: Slow.Document | undefined) => Slow.Document | undefined
  readonly run: (stored: Database.Collection) => Effect.Effect<unknown, Database.DatabaseError>
}

const id = among([0, 1, 2, 3])

const write: Arbitrary.Arbitrary<Write> = oneOf<Write>([
  Arbitrary.map(Arbitrary.all([id, document]), ([id, fields]) => ({
    kind: "replace",
    id,
    become: () => ({ _id: id, ...fields }),
    run: (stored) => stored.replaceOne({ _id: id }, fields, { upsert: true })
  })),
  Arbitrary.map(Arbitrary.all([id, path, among<unknown>([0, 1, 2, "ann", "bob", undefined])]), ([id, path, value]) => ({
    kind: "update",
    id,
    become: (before) => before && Slow.set(before, path.split("."), value),
    // What cannot be updated stays as it is.
    run: (stored) =>
      Effect.ignore(
        stored.updateOne({ _id: id }, value === undefined ? { $unset: { [path]: 1 } } : { $set: { [path]: value } })
      )
  })),
  Arbitrary.map(id, (id) => ({
    kind: "update",
    id,
    become: () => undefined,
    run: (stored) => stored.deleteOne({ _id: id })
  }))
])

/** Writes while somebody watches, then those while nobody does. */
const writes = Arbitrary.array(write, { minLength: 2, maxLength: 10 })
const sessions = Arbitrary.array(Arbitrary.all([writes, writes]), { minLength: 1, maxLength: 4 })

const filter: Arbitrary.Arbitrary<Slow.Document> = among<Slow.Document>([
  {},
  {},
  {},
  {},
  { "fullDocument.owner": "ann" },
  { "fullDocument.secret": 1 },
  { "documentKey._id": 1 },
  { operationType: "delete" }
])

/** What is told of writes, slowly: to whoever it is at each of them. */
const expected = (
  rules: Rules,
  filter: Slow.Document,
  writes: ReadonlyArray<Write & { readonly user?: Slow.Document }>
): Array<unknown> => {
  const all = new Map<number, Slow.Document>()
  return writes.flatMap(({ become, id, kind, user = ann }) => {
    const was = all.get(id)
    const is = become(was)
    if (is === undefined) all.delete(id)
    else all.set(id, is)
    const event = Slow.told(rules, user, kind, was, is)
    return event !== undefined && Slow.matchesQuery(event, filter, user) ? [event] : []
  })
}

/** Without what only the server knows. */
const shown = ({ documentKey, fullDocument, operationType }: Database.Document): unknown =>
  plain({ operationType, documentKey, ...(fullDocument === undefined ? undefined : { fullDocument }) })

interface Setting {
  readonly rules: Rules
  readonly filter: Slow.Document
  readonly sessions: ReadonlyArray<readonly [ReadonlyArray<Write>, ReadonlyArray<Write>]>
}

const setting: Arbitrary.Arbitrary<Setting> = Arbitrary.map(
  Arbitrary.all([rules, filter, sessions]),
  ([rules, filter, sessions]) => ({ rules, filter, sessions })
)

/**
 * Watches, leaves, and goes on after the last place that was told, while documents are written; checks that all of it is told
 * once, in order.
 *
 * @param apart what surrounds each time that somebody watches
 */
const check = (
  { filter, rules, sessions }: Setting,
  apart: <A>(
    effect: Effect.Effect<A, unknown, Database.Database | Functions.Functions | Scope.Scope>
  ) => Effect.Effect<A, unknown>
) =>
  Effect.gen(function*() {
    const namespace = newNamespace()
    const app = withRules(namespace, rules)
    const told: Array<unknown> = []
    let resumeAfter: Database.Document | undefined
    for (const [watched, missed] of sessions) {
      yield* apart(Effect.gen(function*() {
        const documents = yield* Documents.make(app)
        const stored = (yield* Database.Database).collection(namespace)
        const options = { filter, ...(resumeAfter === undefined ? undefined : { resumeAfter }) }
        const rest = yield* Watching.watching(documents, namespace, Effect.succeed(caller), options)
        for (const write of watched) yield* write.run(stored)
        const items = yield* rest
        for (const item of items) if (item._tag === "Changed") told.push(shown(item.event))
        resumeAfter = Watching.tokenOf(items.at(-1)!)
        for (const write of missed) yield* write.run(stored)
      }))
    }
    const all = sessions.flatMap(([watched, missed], index) =>
      index === sessions.length - 1 ? watched : [...watched, ...missed]
    )
    assert.deepStrictEqual(told, expected(rules, filter, all))
  })

const property = (
  name: string,
  runs: number,
  run: (setting: Setting) => Effect.Effect<void, unknown>
) =>
  it.effect(name, () =>
    Effect.gen(function*() {
      const result = yield* Arbitrary.checkEffect(setting, (setting) => Effect.as(run(setting), true), { runs })
      assert.isUndefined(Arbitrary.formatCheckFailure(result))
    }))

type CustomData = { readonly team: string; readonly level: number }

const customData: Arbitrary.Arbitrary<CustomData> = Arbitrary.map(
  Arbitrary.all([among(["red", "blue"]), among([0, 1, 2])]),
  ([team, level]) => ({ team, level })
)

const changing = Arbitrary.all([
  rules,
  filter,
  Arbitrary.array(Arbitrary.all([customData, writes]), { minLength: 2, maxLength: 4 })
])

const crowd = Arbitrary.all([
  rules,
  filter,
  Arbitrary.array(customData, { minLength: 2, maxLength: 4 }),
  writes
])

describe("for every rule and every write, as slow rules have it", () => {
  it.effect("a watcher is told by the rules that hold for him at the time", () =>
    Effect.gen(function*() {
      const result = yield* Arbitrary.checkEffect(
        changing,
        ([rules, filter, times]) =>
          Effect.gen(function*() {
            const namespace = newNamespace()
            const documents = yield* Documents.make(withRules(namespace, rules))
            const stored = (yield* Database.Database).collection(namespace)
            const now = yield* Ref.make<CustomData>({ team: "red", level: 1 })
            const callerNow = Effect.map(Ref.get(now), (customData): Functions.Caller => ({
              ...caller,
              user: Option.map(caller.user, (user) => ({ ...user, customData }))
            }))
            const readOn = yield* Watching.readingOn(documents, namespace, callerNow, { filter })
            const told: Array<unknown> = []
            for (const [customData, writes] of times) {
              yield* Ref.set(now, customData)
              for (const write of writes) yield* write.run(stored)
              for (const item of yield* readOn) if (item._tag === "Changed") told.push(shown(item.event))
            }
            const all = times.flatMap(([custom_data, writes]) =>
              writes.map((write) => ({ ...write, user: { ...ann, custom_data } }))
            )
            assert.deepStrictEqual(told, expected(rules, filter, all))
            return true
          }).pipe(Effect.scoped),
        { runs: 150 }
      )
      assert.isUndefined(Arbitrary.formatCheckFailure(result))
    }).pipe(Effect.provide(layer)))

  it.effect("of many who watch at a time each is told what he sees, whoever else sees it or does not", () =>
    Effect.gen(function*() {
      const result = yield* Arbitrary.checkEffect(
        crowd,
        ([rules, filter, customData, writes]) =>
          Effect.gen(function*() {
            const namespace = newNamespace()
            const documents = yield* Documents.make(withRules(namespace, rules))
            const stored = (yield* Database.Database).collection(namespace)
            const users = [...customData, ...customData]
            const watched = yield* Effect.forEach(users, (customData) =>
              Watching.watching(
                documents,
                namespace,
                Effect.sync(() => ({ ...caller, user: Option.map(caller.user, (user) => ({ ...user, customData })) })),
                { filter }
              ))
            for (const write of writes) yield* write.run(stored)
            for (const [index, custom_data] of users.entries()) {
              const items = yield* watched[index]!
              const told = items.flatMap((item) => item._tag === "Changed" ? [shown(item.event)] : [])
              const user = { ...ann, custom_data }
              assert.deepStrictEqual(told, expected(rules, filter, writes.map((write) => ({ ...write, user }))))
            }
            return true
          }).pipe(Effect.scoped),
        { runs: 60 }
      )
      assert.isUndefined(Arbitrary.formatCheckFailure(result))
    }).pipe(Effect.provide(layer)))

  property(
    "a watcher is told what he finds before and after it, once and in order, whenever he comes and goes",
    200,
    (setting) =>
      Effect.gen(function*() {
        const context = yield* Layer.build(Layer.merge(Database.layerMemory, functions))
        yield* check(setting, (effect) => Effect.provideContext(Effect.scoped(effect), context))
      }).pipe(Effect.scoped)
  )

  property("and when the server starts again each time", 20, (setting) =>
    Effect.acquireUseRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "realm-watch-"))),
      (folder) =>
        check(setting, (effect) =>
          Effect.scoped(effect).pipe(
            Effect.provide(Layer.merge(Database.layerFile({ filename: join(folder, "shop.db") }), functions), {
              local: true
            })
          )),
      (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
    ))
})
