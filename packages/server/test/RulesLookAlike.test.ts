/**
 * What is not seen cannot be learnt: of documents that look alike to a user, every operation answers him alike, in the same order,
 * and leaves what looks alike.
 */
import { Database, type DataSource, Documents, type Functions } from "@effect-realm/server"
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { documents, rules } from "./support/arbitraryRules.ts"
import * as Lists from "./support/lookAlikeLists.ts"
import * as LookAlikes from "./support/lookAlikes.ts"
import { caller, layer, newNamespace, plain, withRules } from "./support/ruledCollection.ts"
import type * as Slow from "./support/slowRules.ts"

const indexes = [
  { secret: 1, level: 1 },
  { "inner.a": 1 },
  { owner: 1, secret: 1 },
  { level: 1, "inner.b": -1 },
  { "items.a": 1, "items.b": 1 }
] as const

/** What the user is answered, one after the other, and what he finds in the end. */
const answers = (
  rules: DataSource.Rules,
  documents: ReadonlyArray<Slow.Document>,
  operations: ReadonlyArray<LookAlikes.Operation>
): Effect.Effect<unknown, Database.DatabaseError, Database.Database | Functions.Functions> =>
  Effect.gen(function*() {
    const namespace = newNamespace()
    const stored = (yield* Database.Database).collection(namespace)
    for (const keys of indexes) yield* stored.createIndex(keys)
    if (documents.length > 0) yield* stored.insertMany(documents)
    const { call } = yield* Documents.make(withRules(namespace, rules))
    const ask = (operation: string, args: object) =>
      Effect.map(
        Effect.result(call({ service: "mongodb-atlas", operation, args: [{ ...namespace, ...args }], caller })),
        (answer) =>
          Result.isSuccess(answer)
            ? plain(answer.success)
            : answer.failure.reason.message.replaceAll(namespace.collection, "items")
      )
    return yield* Effect.forEach([...operations, ["find", { sort: { _id: 1 } }] as const], ([operation, args]) =>
      ask(operation, args))
  })

interface Setting {
  readonly rules: Arbitrary.Arbitrary<DataSource.Rules>
  readonly documents: Arbitrary.Arbitrary<ReadonlyArray<Slow.Document>>
  readonly changes: Arbitrary.Arbitrary<ReadonlyArray<LookAlikes.Change>>
  readonly allowed?: (before: unknown, after: unknown) => boolean
  readonly operation: Arbitrary.Arbitrary<LookAlikes.Operation>
}

const check = (name: string, { allowed, changes, documents, operation, rules }: Setting): void => {
  it.effect(name, () =>
    Effect.gen(function*() {
      let differing = 0
      const result = yield* Arbitrary.checkEffect(
        Arbitrary.all([rules, documents, changes, Arbitrary.array(operation, { minLength: 4, maxLength: 8 })]),
        ([rules, documents, changes, operations]) =>
          Effect.gen(function*() {
            const others = LookAlikes.lookAlike(rules, documents, changes, allowed)
            if (JSON.stringify(others) === JSON.stringify(documents)) return true
            differing++
            assert.deepStrictEqual(
              yield* answers(rules, others, operations),
              yield* answers(rules, documents, operations)
            )
            return true
          }),
        { runs: 200 }
      )
      assert.isUndefined(Arbitrary.formatCheckFailure(result))
      assert.isAbove(differing, 20)
    }).pipe(Effect.provide(layer)))
}

const plainOnes = { documents, changes: LookAlikes.changes, allowed: LookAlikes.keepsShape }

describe("of documents that look alike", () => {
  check("every read answers alike", { ...plainOnes, rules, operation: LookAlikes.read })
  check("every write answers alike and leaves what looks alike", {
    ...plainOnes,
    rules: Arbitrary.map(rules, LookAlikes.unconditional),
    operation: LookAlikes.write
  })
  check("every read answers alike, with lists of documents", { ...Lists, operation: Lists.read })
  check("every update answers alike and leaves what looks alike, with lists of documents", {
    ...Lists,
    operation: Lists.update
  })
})
