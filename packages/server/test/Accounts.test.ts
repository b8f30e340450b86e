import { Accounts, Database } from "@effect-realm/server"
import { assert, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"

const identity: Accounts.Identity = {
  id: "ann",
  providerType: "custom-function",
  providerId: "p",
  data: { name: "Ann" }
}

/** As two processes on one database have them: nothing is shared but the documents. */
const process = Effect.map(
  Layer.build(Layer.fresh(Accounts.layer({ database: "shop" }))),
  (context) => Context.get(context, Accounts.Accounts)
)

it.effect.prop(
  "processes that make a user of one identity at once end with one, whatever their order",
  [
    Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5 }))).check(
      Schema.isMinLength(2),
      Schema.isMaxLength(6)
    )
  ],
  ([turns]) =>
    Effect.gen(function*() {
      const processes = yield* Effect.forEach(turns, () => process)
      const users = yield* Effect.forEach(
        processes,
        (accounts, index) =>
          accounts.authenticate(identity, () =>
            // All have looked before any inserts, and then they go in the order of the schedule.
            Effect.forEach(Array.from({ length: 3 + (turns[index] ?? 0) }), () => Effect.yieldNow, { discard: true })),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(new Set(users.map((user) => user.id)).size, 1)
    }).pipe(Effect.provide(Database.layerMemory)),
  { arbitrary: { runs: 40 } }
)

it.effect("the creation function runs once for a user, and when it fails there is none", () =>
  Effect.gen(function*() {
    const accounts = yield* process
    let runs = 0
    const failed = yield* Effect.flip(accounts.authenticate(identity, () => Effect.fail("no" as const)))
    assert.strictEqual(failed, "no")
    const users = yield* Effect.replicateEffect(
      accounts.authenticate(identity, () =>
        Effect.gen(function*() {
          yield* Effect.yieldNow
          runs++
        })),
      20,
      { concurrency: "unbounded" }
    )
    assert.strictEqual(runs, 1)
    assert.strictEqual(new Set(users.map((user) => user.id)).size, 1)
  }).pipe(Effect.provide(Database.layerMemory)))

it.effect("what a provider tells is brought up to date, and merged in the order of linking", () =>
  Effect.gen(function*() {
    const accounts = yield* process
    const ann = yield* accounts.authenticate(identity, () => Effect.void)
    const email = { id: "1", providerType: "local-userpass", providerId: "q", data: { email: "a@b.c", name: "later" } }
    yield* accounts.link(ann.id, email)
    const again = yield* accounts.authenticate({ ...identity, data: { name: "Anna", age: 4 } }, () => Effect.void)
    assert.deepStrictEqual(Accounts.data(again), { name: "later", age: 4, email: "a@b.c" })
    assert.deepStrictEqual(yield* accounts.get(ann.id), again)
  }).pipe(Effect.provide(Database.layerMemory)))
