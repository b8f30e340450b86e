import { assert, describe, it } from "@effect/vitest"
import { Double, Int32, Long, ObjectId, Timestamp } from "bson"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Ejson from "../src/Ejson.ts"
import * as MongoDBService from "../src/MongoDBService.ts"

const id = new ObjectId("5f87976b7b800b285345a8b4")
const $oid = id.toHexString()
const namespace = { database: "shop", collection: "orders" }

/** Arguments as we name them, and as clients of App Services send them (protocol section 9.1). */
const args: ReadonlyArray<readonly [keyof typeof MongoDBService.operations, object, object]> = [
  ["find", { filter: { a: 1 }, projection: { a: 1 }, sort: { a: -1 }, limit: 5 }, {
    query: { a: 1 },
    project: { a: 1 },
    sort: { a: -1 },
    limit: 5
  }],
  ["find", {}, {}],
  ["findOne", { filter: { a: 1 }, projection: { a: 1 }, sort: { a: -1 } }, {
    query: { a: 1 },
    project: { a: 1 },
    sort: { a: -1 }
  }],
  ["aggregate", { pipeline: [{ $match: { a: 1 } }] }, { pipeline: [{ $match: { a: 1 } }] }],
  ["count", { filter: { a: 1 }, limit: 5 }, { query: { a: 1 }, limit: 5 }],
  ["insertOne", { document: { a: 1 } }, { document: { a: 1 } }],
  ["insertMany", { documents: [{ a: 1 }, {}] }, { documents: [{ a: 1 }, {}] }],
  ["updateOne", { filter: { a: 1 }, update: { $inc: { a: 1 } }, upsert: true, arrayFilters: [{ "x.y": 1 }] }, {
    query: { a: 1 },
    update: { $inc: { a: 1 } },
    upsert: true,
    arrayFilters: [{ "x.y": 1 }]
  }],
  ["updateMany", { filter: {}, update: { $inc: { a: 1 } } }, { query: {}, update: { $inc: { a: 1 } } }],
  ["deleteOne", { filter: { a: 1 } }, { query: { a: 1 } }],
  ["deleteMany", { filter: { a: 1 } }, { query: { a: 1 } }],
  ["findOneAndUpdate", {
    filter: { a: 1 },
    update: { $inc: { a: 1 } },
    projection: { a: 1 },
    sort: { a: 1 },
    upsert: true,
    returnNewDocument: true
  }, {
    filter: { a: 1 },
    update: { $inc: { a: 1 } },
    projection: { a: 1 },
    sort: { a: 1 },
    upsert: true,
    returnNewDocument: true
  }],
  ["findOneAndReplace", { filter: { a: 1 }, replacement: { b: 1 } }, { filter: { a: 1 }, update: { b: 1 } }],
  ["findOneAndDelete", { filter: { a: 1 }, projection: { a: 1 }, sort: { a: 1 } }, {
    filter: { a: 1 },
    projection: { a: 1 },
    sort: { a: 1 }
  }]
]

/** Results as we name them, and in canonical Extended JSON. */
const results: ReadonlyArray<readonly [keyof typeof MongoDBService.operations, unknown, unknown]> = [
  ["find", [{ _id: id }, {}], [{ _id: { $oid } }, {}]],
  ["findOne", null, null],
  ["findOne", { a: 1 }, { a: { $numberInt: "1" } }],
  ["aggregate", [{ n: 0.5 }], [{ n: { $numberDouble: "0.5" } }]],
  ["count", 3, { $numberLong: "3" }],
  ["insertOne", { insertedId: id }, { insertedId: { $oid } }],
  ["insertOne", { insertedId: "a" }, { insertedId: "a" }],
  ["insertMany", { insertedIds: [id, "a"] }, { insertedIds: [{ $oid }, "a"] }],
  ["updateOne", { matchedCount: 1, modifiedCount: 0 }, {
    matchedCount: { $numberInt: "1" },
    modifiedCount: { $numberInt: "0" }
  }],
  ["updateMany", { matchedCount: 0, modifiedCount: 0, upsertedId: id }, {
    matchedCount: { $numberInt: "0" },
    modifiedCount: { $numberInt: "0" },
    upsertedId: { $oid }
  }],
  ["deleteOne", { deletedCount: 1 }, { deletedCount: { $numberInt: "1" } }],
  ["deleteMany", { deletedCount: 70_000 }, { deletedCount: { $numberInt: "70000" } }],
  ["findOneAndUpdate", { a: 1 }, { a: { $numberInt: "1" } }],
  ["findOneAndReplace", null, null],
  ["findOneAndDelete", null, null]
]

describe("MongoDBService", () => {
  it.effect.each(args)("%s takes its arguments by the names of the wire: %j", ([name, ours, wire]) => {
    const schema: Schema.Codec<unknown, unknown> = MongoDBService.operations[name].args
    return Effect.gen(function*() {
      assert.deepStrictEqual(
        yield* Schema.encodeUnknownEffect(schema)({ ...namespace, ...ours }),
        { ...namespace, ...wire }
      )
      assert.deepStrictEqual(
        yield* Schema.decodeUnknownEffect(schema)({ ...namespace, ...wire }),
        { ...namespace, ...ours }
      )
    })
  })

  it.effect.each(results)("%s answers in the types that clients insist on: %j", ([name, ours, wire]) => {
    const schema: Schema.Codec<unknown, unknown> = MongoDBService.operations[name].result
    return Effect.gen(function*() {
      const encoded = Ejson.encodeUnsafe(yield* Schema.encodeUnknownEffect(schema)(ours))
      assert.deepStrictEqual(encoded, wire)
      assert.deepStrictEqual(yield* Schema.decodeUnknownEffect(schema)(Ejson.decodeUnsafe(wire)), ours)
    })
  })

  it.effect("takes a limit in every type of number", () =>
    Effect.gen(function*() {
      const decode = Schema.decodeUnknownEffect(MongoDBService.count.args)
      for (const limit of [5, new Int32(5), new Double(5), Long.fromNumber(5)]) {
        assert.strictEqual((yield* decode({ ...namespace, limit })).limit, 5)
      }
    }))

  it.effect("refuses what is no document, and says where", () =>
    Effect.gen(function*() {
      const decode = Schema.decodeUnknownEffect(MongoDBService.find.args)
      for (const query of [null, "all", [], id, new Date(0), 1]) {
        const error = yield* Effect.flip(decode({ ...namespace, query }))
        assert.include(error.message, "query")
      }
    }))

  it.effect("reads a change event of any server, and writes it as MongoDB does", () =>
    Effect.gen(function*() {
      const wire = {
        _id: { _data: "8262" },
        operationType: "update",
        clusterTime: { $timestamp: { t: 1_652_297_239, i: 1 } },
        ns: { db: "shop", coll: "orders" },
        documentKey: { _id: { $oid } },
        fullDocument: null,
        updateDescription: { updatedFields: { "a.b": { $numberInt: "1" } }, removedFields: ["c"] }
      }
      const event = yield* Schema.decodeUnknownEffect(MongoDBService.ChangeEvent)({
        ...(Ejson.decodeUnsafe(wire) as object),
        lsid: { id: 1 }
      })
      assert.deepStrictEqual(event.resumeToken, { _data: "8262" })
      assert.deepStrictEqual(event.clusterTime, new Timestamp({ t: 1_652_297_239, i: 1 }))
      assert.deepStrictEqual(event.updateDescription?.updatedFields, { "a.b": 1 })
      const again = yield* Schema.encodeEffect(MongoDBService.ChangeEvent)(event)
      assert.deepStrictEqual<unknown>(Ejson.encodeUnsafe(again), wire)
    }))
})
