/**
 * What is not seen cannot be learnt: of documents that look alike to a user, every operation answers him alike.
 */
import { Database, type DataSource, Documents, type Functions } from "@effect-realm/server"
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { documents, rules } from "./support/arbitraryRules.ts"
import * as LookAlikes from "./support/lookAlikes.ts"
import { caller, layer, newNamespace, plain, withRules } from "./support/ruledCollection.ts"
import type * as Slow from "./support/slowRules.ts"

/** What the user is answered, one after the other, and what he finds in the end. */
const answers = (
  rules: DataSource.Rules,
  documents: ReadonlyArray<Slow.Document>,
  operations: ReadonlyArray<LookAlikes.Operation>
): Effect.Effect<unknown, Database.DatabaseError, Database.Database | Functions.Functions> =>
  Effect.gen(function*() {
    const namespace = newNamespace()
    const stored = (yield* Database.Database).collection(namespace)
    yield* stored.createIndex({ secret: 1, level: 1 })
    yield* stored.createIndex({ "inner.a": 1 })
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

const check = (
  name: string,
  rules: Arbitrary.Arbitrary<DataSource.Rules>,
  operation: Arbitrary.Arbitrary<LookAlikes.Operation>
): void => {
  it.effect(name, () =>
    Effect.gen(function*() {
      let differing = 0
      const result = yield* Arbitrary.checkEffect(
        Arbitrary.all([
          rules,
          documents,
          LookAlikes.changes,
          Arbitrary.array(operation, { minLength: 4, maxLength: 8 })
        ]),
        ([rules, documents, changes, operations]) =>
          Effect.gen(function*() {
            const others = LookAlikes.lookAlike(rules, documents, changes)
            if (JSON.stringify(others) === JSON.stringify(documents)) return true
            differing++
            assert.deepStrictEqual(
              yield* answers(rules, others, operations),
              yield* answers(rules, documents, operations)
            )
            return true
          }),
        { runs: 250 }
      )
      assert.isUndefined(Arbitrary.formatCheckFailure(result))
      assert.isAbove(differing, 25)
    }).pipe(Effect.provide(layer)))
}

describe("of documents that look alike", () => {
  check("every read answers alike", rules, LookAlikes.read)
  check(
    "every write answers alike and leaves what looks alike",
    Arbitrary.map(rules, LookAlikes.unconditional),
    LookAlikes.write
  )
})
