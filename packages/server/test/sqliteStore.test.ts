import { assert, describe, it } from "@effect/vitest"
import { Int32 } from "bson"
import { planQuery, type Wanted } from "../src/internal/engine/queryPlan.ts"
import { openMemory } from "../src/internal/engine/sqliteFile.ts"
import { SqliteStore } from "../src/internal/engine/sqliteStore.ts"
import type { Work } from "../src/internal/engine/work.ts"

const done = <A>(work: Work<A>): A => {
  while (true) {
    const place = work.next()
    if (place.done === true) return place.value
  }
}

const namespace = { database: "app", collection: "things" }

describe("the store", () => {
  it("a write that is committed does not fail for old changes that cannot be forgotten", () => {
    const { close, database, filename } = openMemory()
    const store = new SqliteStore(database, filename, { maxAge: Infinity, maxBytes: 1000 })
    const insert = (from: number, count: number): void =>
      done(store.transaction(namespace, 0, function*(collection) {
        for (let _id = from; _id < from + count; _id++) collection.insert({ _id: new Int32(_id) })
      }))
    done(store.watch(namespace, undefined, 0))
    // one portion is forgotten within the transaction
    database.exec(
      "CREATE TRIGGER refused BEFORE DELETE ON changes WHEN OLD.sequence > 1000 BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    insert(0, 4000)
    const kept = () => database.prepare("SELECT count(*) AS count FROM changes").get()?.["count"]
    assert.strictEqual(kept(), 3000)
    database.exec("DROP TRIGGER refused")
    insert(4000, 1)
    assert.isBelow(Number(kept()), 100)
    assert.strictEqual(done(store.get(namespace)?.count() ?? assert.fail("none")), 4001)
    close()
  })

  it("a range of a unique index is read on the way, and not before", () => {
    const { close, database, filename } = openMemory()
    const store = new SqliteStore(database, filename, { maxAge: Infinity, maxBytes: Infinity })
    const ranges: ReadonlyArray<Partial<Wanted>> = [
      { sort: [{ path: "_id", direction: 1 }] },
      { filters: [{ _id: { $gte: "a", $lte: "d" } }] }
    ]
    for (const range of ranges) {
      done(store.transaction(namespace, 0, function*(collection) {
        for (const _id of ["a", "b", "c"]) collection.insert({ _id })
        const plan = planQuery(collection.indexes, { filters: [], seen: {}, shows: () => true, sort: [], ...range })
        const found: Array<unknown> = []
        for (const stored of collection.lookUp(plan ?? assert.fail("no plan"))) {
          if (stored === undefined) continue
          found.push(stored.document["_id"])
          for (const other of collection.scan()) collection.delete(other)
        }
        assert.deepStrictEqual(found, ["a"])
      }))
    }
    close()
  })
})
