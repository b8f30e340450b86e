import { Database, type DataSource } from "@effect-realm/server"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as Wire from "./support/wire.ts"

const int = (value: number) => ({ $numberInt: String(value) })
const long = (value: number) => ({ $numberLong: String(value) })

const everything = { applyWhen: {}, read: true, write: true, insert: true, delete: true }

const sources: ReadonlyArray<DataSource.DataSourceOptions> = [{
  collections: [
    { database: "shop", collection: "open", roles: [{ name: "all", ...everything }] },
    {
      database: "shop",
      collection: "owned",
      schema: { title: "Owned" },
      roles: [{ name: "owner", ...everything, applyWhen: { owner: "%%user.data.name" } }]
    },
    {
      database: "shop",
      collection: "profiles",
      roles: [
        { name: "owner", ...everything, applyWhen: { owner: "%%user.data.name" } },
        {
          name: "others",
          applyWhen: {},
          insert: true,
          fields: {
            name: { read: true, write: true },
            address: { fields: { city: { read: true, write: true }, street: {} } },
            secret: {}
          },
          additionalFields: {}
        }
      ]
    },
    {
      database: "shop",
      collection: "filtered",
      roles: [{ name: "all", ...everything }],
      filters: [{
        name: "mine",
        applyWhen: {},
        query: { owner: "%%user.data.name" },
        projection: { hidden: 0 }
      }]
    },
    { database: "shop", collection: "closed", roles: [] },
    {
      database: "shop",
      collection: "asked",
      roles: [{
        name: "friends",
        ...everything,
        applyWhen: { "%%true": { "%function": { name: "isFriend", arguments: ["%%root.owner"] } } }
      }]
    }
  ]
}]

const app = Wire.makeApp({
  dataSources: sources,
  functions: [
    {
      name: "isFriend",
      private: true,
      source: `exports = (owner) => { if (owner === "eve") throw new Error("no"); return owner === "bob" }`
    },
    {
      name: "everything",
      source: `exports = async function(collection) {
        const c = context.services.get("mongodb-atlas").db("shop").collection(collection)
        const results = {}
        results.insertOne = await c.insertOne({ _id: 1, n: 1, owner: "ann" })
        results.insertMany = await c.insertMany([{ _id: 2, n: 2, owner: "ann" }, { _id: 3, n: 3, owner: "ann" }])
        results.find = await c.find({ n: { $gt: 1 } }, { n: 1, _id: 0 }).sort({ n: -1 }).limit(1).toArray()
        results.skipped = await c.find({}, { _id: 1 }).sort({ n: 1 }).skip(2).toArray()
        const cursor = c.find({ n: 1 })
        results.next = [(await cursor.next())._id, (await cursor.next()) === undefined]
        results.findOne = await c.findOne({ n: 2 }, { n: 0 })
        results.none = await c.findOne({ n: 9 })
        results.count = await c.count({}, { limit: 2 })
        results.aggregate = await c.aggregate([{ $match: { n: { $lt: 3 } } }, { $count: "few" }]).toArray()
        results.distinct = await c.distinct("n", { n: { $lt: 3 } })
        results.updateOne = await c.updateOne({ _id: 1 }, { $inc: { n: 5 } })
        results.updateMany = await c.updateMany({ _id: 9 }, { $set: { owner: "ann" } }, { upsert: true })
        results.before = await c.findOneAndUpdate({ _id: 1 }, { $inc: { n: 1 } })
        results.after = await c.findOneAndReplace({ _id: 1 }, { n: 0, owner: "ann" }, { returnNewDocument: true })
        results.deleted = await c.findOneAndDelete({ _id: 9 }, { projection: { owner: 1 } })
        results.bulkWrite = await c.bulkWrite([
          { insertOne: { document: { _id: 4, owner: "ann" } } },
          { updateOne: { filter: { _id: 4 }, update: { $set: { n: 4 } } } },
          { deleteOne: { filter: { _id: 3 } } }
        ])
        const bulk = c.initializeOrderedBulkOp()
        bulk.insert({ _id: 5, owner: "ann" })
        bulk.find({ _id: 5 }).update({ $set: { n: 5 } })
        bulk.find({ _id: 2 }).removeOne()
        await bulk.execute()
        results.left = await c.find({}).sort({ _id: 1 }).toArray()
        results.deleteOne = await c.deleteOne({ _id: 1 })
        results.deleteMany = await c.deleteMany({})
        return results
      }`
    },
    ...[true, false].map((runAsSystem) => ({
      name: runAsSystem ? "countAsSystem" : "countAsUser",
      runAsSystem,
      source: `exports = (collection, query) =>
        context.services.get("mongodb-atlas").db("shop").collection(collection).count(query)`
    })),
    {
      name: "failures",
      source: `exports = async () => {
        const mongodb = context.services.get("mongodb-atlas")
        const c = mongodb.db("shop").collection("open")
        const attempts = [
          () => c.insertOne({ _id: 1 }),
          () => c.find({ $who: 1 }).toArray(),
          () => c.insertOne(5),
          () => mongodb.db("shop").collection("closed").find().toArray(),
          () => mongodb.db("__effect_realm").collection("signing_keys").find().toArray(),
          () => mongodb.startSession(),
          () => c.find({}, {}, { collation: { locale: "en" } }).toArray(),
          () => c.aggregate([], { collation: { locale: "en" } }).toArray(),
          ...["findOne", "updateOne", "updateMany", "distinct", "findOneAndUpdate", "findOneAndReplace"].map((name) => () =>
            c[name](name === "distinct" ? "a" : {}, {}, { collation: { locale: "en" } })
          ),
          ...["count", "deleteOne", "deleteMany", "findOneAndDelete"].map((name) => () =>
            c[name]({}, { collation: { locale: "en" } })
          )
        ]
        const told = []
        for (const attempt of attempts) {
          try { await attempt(); told.push("done") } catch (error) { told.push(error.name + ": " + error.message) }
        }
        return told
      }`
    }
  ]
})

const layer = Wire.layer({ app })

/** Calls the MongoDB service as this user. */
const user = Effect.fnUntraced(function*(name: string) {
  const { access_token: token, user_id: id } = yield* Effect.flatMap(
    Wire.send("POST", `${Wire.providers}/custom-function/login`, { body: { id: name, name } }),
    Wire.tokens
  )
  return {
    id,
    call: (collection: string, operation: string, args: object = {}, service = "mongodb-atlas") =>
      Wire.send("POST", `${Wire.appUrl}/functions/call`, {
        token,
        body: { name: operation, service, arguments: [{ database: "shop", collection, ...args }] }
      })
  }
})

type User = Effect.Success<ReturnType<typeof user>>

const stored = (collection: string) =>
  Database.Database.use((database) => database.collection({ database: "shop", collection }).find({}))

const fill = (collection: string, documents: ReadonlyArray<Database.Document>) =>
  Database.Database.use((database) => database.collection({ database: "shop", collection }).insertMany(documents))

const test = (
  name: string,
  run: () => Effect.Effect<void, unknown, HttpClient.HttpClient | Database.Database>
) => it.effect(name, () => Effect.provide(run(), layer))

describe("operations", () => {
  test("answer with exactly what the protocol has, to the type of each number", () =>
    Effect.gen(function*() {
      const { call } = yield* user("ann")
      const expect = Effect.fnUntraced(function*(operation: string, args: object, body: unknown) {
        const answer = yield* call("open", operation, args)
        assert.deepStrictEqual([answer.status, answer.body], [200, body], operation)
        assert.strictEqual(answer.headers["content-type"], "application/json")
      })
      yield* expect("find", {}, [])
      yield* expect("findOne", {}, null)
      yield* expect("count", {}, long(0))
      yield* expect("aggregate", { pipeline: [{ $count: "n" }] }, [])
      yield* expect("insertOne", { document: { _id: int(1), n: long(2) } }, { insertedId: int(1) })
      yield* expect("insertMany", { documents: [{ _id: "a" }, { _id: int(2), n: int(5) }] }, {
        insertedIds: ["a", int(2)]
      })
      yield* expect("find", { query: { n: { $exists: true } }, sort: { n: -1 }, project: { n: 1, _id: 0 } }, [
        { n: int(5) },
        { n: long(2) }
      ])
      yield* expect("find", { limit: long(1), sort: { _id: 1 } }, [{ _id: int(1), n: long(2) }])
      yield* expect("findOne", { query: { n: 5 }, limit: 7 }, { _id: int(2), n: int(5) })
      yield* expect("count", { query: {}, limit: int(2) }, long(2))
      yield* expect("aggregate", { pipeline: [{ $group: { _id: null, n: { $sum: "$n" } } }] }, [
        { _id: null, n: long(7) }
      ])
      yield* expect("updateOne", { query: { _id: "a" }, update: { $set: { n: int(1) } } }, {
        matchedCount: int(1),
        modifiedCount: int(1)
      })
      yield* expect("updateMany", { query: {}, update: { $inc: { n: int(1) } }, upsert: false }, {
        matchedCount: int(3),
        modifiedCount: int(3)
      })
      yield* expect("updateOne", { query: { _id: "b" }, update: { $set: { n: int(1) } }, upsert: true }, {
        matchedCount: int(0),
        modifiedCount: int(0),
        upsertedId: "b"
      })
      yield* expect("updateOne", { query: { _id: "b" }, update: { m: int(1) } }, {
        matchedCount: int(1),
        modifiedCount: int(1)
      })
      yield* expect("findOne", { query: { _id: "b" } }, { _id: "b", m: int(1) })
      yield* expect("updateOne", {
        query: { _id: "b" },
        update: { $set: { list: [int(1), int(5)] } }
      }, { matchedCount: int(1), modifiedCount: int(1) })
      yield* expect("updateOne", {
        query: { _id: "b" },
        update: { $set: { "list.$[big]": int(9) } },
        arrayFilters: [{ big: { $gt: int(3) } }]
      }, { matchedCount: int(1), modifiedCount: int(1) })
      yield* expect("findOneAndUpdate", { filter: { _id: "b" }, update: { $unset: { m: 1 } } }, {
        _id: "b",
        m: int(1),
        list: [int(1), int(9)]
      })
      yield* expect("findOneAndUpdate", {
        filter: { _id: "b" },
        update: { $set: { m: int(2) } },
        projection: { m: 1 },
        returnNewDocument: true
      }, { _id: "b", m: int(2) })
      yield* expect("findOneAndUpdate", {
        filter: { _id: "b" },
        update: { $set: { "list.$[big]": int(7) } },
        arrayFilters: [{ big: { $gt: int(3) } }],
        projection: { list: { $elemMatch: { $gt: int(1) } } },
        returnNewDocument: true
      }, { _id: "b", list: [int(7)] })
      yield* expect("findOneAndReplace", {
        filter: { _id: "b" },
        update: { k: true },
        returnNewDocument: true
      }, { _id: "b", k: true })
      yield* expect("findOneAndReplace", { filter: { _id: "c" }, update: { k: true }, upsert: true }, null)
      yield* expect("findOneAndDelete", { filter: { _id: "c" } }, { _id: "c", k: true })
      yield* expect("findOneAndDelete", { filter: { _id: "c" } }, null)
      // As realm-web says findOneAndDelete.
      yield* expect("findOneAndReplace", { filter: { _id: "b" } }, { _id: "b", k: true })
      yield* expect("count", { query: { _id: "b" } }, long(0))
      yield* expect("deleteOne", { query: {} }, { deletedCount: int(1) })
      yield* expect("deleteMany", { query: {} }, { deletedCount: int(2) })
    }))

  test("a document without an identifier gets an ObjectId", () =>
    Effect.gen(function*() {
      const { call } = yield* user("ann")
      const { body } = yield* call("open", "insertOne", { document: {} })
      assert.match(JSON.stringify(body), /^\{"insertedId":\{"\$oid":"[0-9a-f]{24}"\}\}$/)
    }))

  test("some clients name a collection by the title of its schema", () =>
    Effect.gen(function*() {
      const { call } = yield* user("ann")
      yield* fill("owned", [{ _id: 1, owner: "ann" }])
      const named = { database: undefined, schema_name: "Owned" }
      const found = yield* call("", "find", { ...named, collection: undefined })
      assert.deepStrictEqual(found.body, [{ _id: int(1), owner: "ann" }])
      const unknown = yield* call("", "find", { ...named, collection: undefined, schema_name: "Other" })
      assert.deepStrictEqual(Wire.refusal(unknown), [
        400,
        "InvalidParameter",
        "no matching collection found that maps to a table with title \"Other\""
      ])
    }))

  test("bad input is a refusal with the server's code, and changes nothing", () =>
    Effect.gen(function*() {
      const { call } = yield* user("ann")
      yield* fill("open", [{ _id: 1, n: 1 }])
      const cases: ReadonlyArray<readonly [operation: string, args: object, status: number, code: string | undefined]> =
        [
          ["find", { query: 7 }, 400, "InvalidParameter"],
          ["find", { query: "all" }, 400, "InvalidParameter"],
          ["find", { query: [] }, 400, "InvalidParameter"],
          ["find", { query: { $who: 1 } }, 400, "MongoDBError"],
          ["find", { query: { n: { $who: 1 } } }, 400, "MongoDBError"],
          ["find", { query: { $where: "while(true);" } }, 400, "MongoDBError"],
          ["find", { query: { n: { $regex: "(a+)+$" } } }, 400, "MongoDBError"],
          [
            "find",
            { query: { n: { $regularExpression: { pattern: "(a+)+$", options: "" } } } },
            400,
            "MongoDBError"
          ],
          ["find", { query: { $expr: { $gt: ["$n", 0] } } }, 400, "MongoDBError"],
          ["find", { query: { $and: [{ n: { $not: { $bitsAllSet: 1 } } }] } }, 400, "MongoDBError"],
          ["find", { project: { list: { $elemMatch: { $regex: "a" } } } }, 400, "MongoDBError"],
          ["findOneAndDelete", { projection: { list: { $elemMatch: { n: { $regex: "a" } } } } }, 400, "MongoDBError"],
          ["find", { query: { _id: { $oid: "no" } } }, 400, "InvalidParameter"],
          ["find", { collation: { locale: "en" } }, 400, "InvalidParameter"],
          ["deleteMany", { query: {}, collation: { locale: "en" } }, 400, "InvalidParameter"],
          ["find", { limit: -1 }, 400, "MongoDBError"],
          ["find", { limit: 1.5 }, 400, "MongoDBError"],
          ["find", { limit: "all" }, 400, "InvalidParameter"],
          ["find", { sort: { n: 2 } }, 400, "MongoDBError"],
          ["find", { project: { n: 1, m: 0 } }, 400, "MongoDBError"],
          ["find", { database: 5 }, 400, "InvalidParameter"],
          ["find", { database: "" }, 400, "InvalidParameter"],
          ["find", { database: "a/b" }, 400, "MongoDBError"],
          ["find", { collection: "a$b" }, 400, "MongoDBError"],
          ["find", { collection: "system.users" }, 400, "MongoDBError"],
          ["find", { collection: "a".repeat(300) }, 400, "MongoDBError"],
          ["find", { database: "__effect_realm", collection: "signing_keys" }, 403, "NoMatchingRuleFound"],
          ["find", { collection: "closed" }, 403, "NoMatchingRuleFound"],
          ["find", { collection: "elsewhere" }, 403, "NoMatchingRuleFound"],
          ["count", { query: { n: { $in: 5 } } }, 400, "MongoDBError"],
          ["insertOne", {}, 400, "InvalidParameter"],
          ["insertOne", { document: null }, 400, "InvalidParameter"],
          ["insertOne", { document: { _id: 1 } }, 400, "MongoDBError"],
          ["insertOne", { document: { _id: [] } }, 400, "MongoDBError"],
          ["insertOne", { document: { $set: 1 } }, 400, "MongoDBError"],
          ["insertOne", { document: { "a\0b": 1 } }, 400, "MongoDBError"],
          ["insertMany", { documents: [] }, 400, "InvalidParameter"],
          ["insertMany", { documents: {} }, 400, "InvalidParameter"],
          ["updateOne", { query: {} }, 400, "InvalidParameter"],
          ["updateOne", { query: {}, update: { $who: { n: 1 } } }, 400, "MongoDBError"],
          ["updateOne", { query: {}, update: { $set: { _id: 2 } } }, 400, "MongoDBError"],
          ["updateOne", { query: {}, update: { $set: { n: 2 }, m: 1 } }, 400, "MongoDBError"],
          ["updateOne", { query: {}, update: { $pull: { n: { $regex: "a" } } } }, 400, "MongoDBError"],
          ["updateMany", { query: {}, update: { m: 1 } }, 400, "MongoDBError"],
          ["findOneAndReplace", { filter: {}, update: { $set: { n: 2 } } }, 400, "InvalidParameter"],
          ["deleteMany", { query: { n: { $where: "1" } } }, 400, "MongoDBError"],
          ["drop", {}, 400, "ServiceCommandNotFound"],
          ["toString", {}, 400, "ServiceCommandNotFound"]
        ]
      for (const [operation, args, status, code] of cases) {
        const answer = yield* call("open", operation, args)
        const told = `${operation} ${JSON.stringify(args).slice(0, 80)}: ${answer.text}`
        assert.strictEqual(answer.status, status, told)
        assert.strictEqual(answer.fields["error_code"], code, told)
        assert.isNotEmpty(answer.fields["error"], told)
      }
      const unknown = yield* call("open", "find", {}, "mongo-db")
      assert.deepStrictEqual(Wire.refusal(unknown), [404, "ServiceNotFound", "service not found: 'mongo-db'"])
      assert.deepStrictEqual(yield* stored("open"), [{ _id: 1, n: 1 }])
      const words = (yield* call("open", "insertMany", { documents: [] })).fields["error"]
      assert.strictEqual(words, "must provide at least one element")
    }))

  test("insertMany keeps the documents before a taken key, and nothing when one is not permitted", () =>
    Effect.gen(function*() {
      const { call } = yield* user("ann")
      const taken = yield* call("open", "insertMany", { documents: [{ _id: 1 }, { _id: 1 }, { _id: 2 }] })
      assert.deepStrictEqual(Wire.refusal(taken), [
        400,
        "MongoDBError",
        "E11000 duplicate key error collection: shop.open index: _id_"
      ])
      assert.lengthOf(yield* stored("open"), 1)
      const denied = yield* call("owned", "insertMany", { documents: [{ owner: "ann" }, { owner: "bob" }] })
      assert.deepStrictEqual(Wire.refusal(denied), [400, "SchemaValidationFailedWrite", "insert not permitted"])
      assert.deepStrictEqual(yield* stored("owned"), [])
    }))
})

describe("what a user may not read", () => {
  const people = [
    { _id: 1, owner: "ann", name: "Ann", secret: 1, address: { city: "Rome", street: "Via 1" } },
    { _id: 2, owner: "bob", name: "Bob", secret: 2, address: { city: "Oslo", street: "Gate 2" } }
  ]

  const asked = Effect.fnUntraced(function*(
    { call }: User,
    collection: string,
    operation: string,
    args: object = {}
  ) {
    const { body } = yield* call(collection, operation, args)
    return body
  })

  test("is not in what he reads", () =>
    Effect.gen(function*() {
      yield* fill("profiles", people)
      const ann = yield* user("ann")
      assert.deepStrictEqual(yield* asked(ann, "profiles", "find", { sort: { _id: 1 } }), [
        { _id: int(1), owner: "ann", name: "Ann", secret: int(1), address: { city: "Rome", street: "Via 1" } },
        { _id: int(2), name: "Bob", address: { city: "Oslo" } }
      ])
      assert.deepStrictEqual(
        yield* asked(ann, "profiles", "findOne", { query: { _id: 2 }, project: { secret: 1 } }),
        { _id: int(2) }
      )
    }))

  test("is found by no filter, sorted by no order and counted by no count", () =>
    Effect.gen(function*() {
      yield* fill("profiles", people)
      const ann = yield* user("ann")
      for (
        const query of [
          { secret: 2 },
          { secret: { $gt: 1 } },
          { "address.street": "Gate 2" },
          { owner: "bob" },
          { $or: [{ secret: 2 }, { _id: 5 }] },
          { $nor: [{ secret: { $exists: false } }, { _id: 1 }] }
        ]
      ) {
        assert.deepStrictEqual(yield* asked(ann, "profiles", "find", { query }), [], JSON.stringify(query))
        assert.deepStrictEqual(yield* asked(ann, "profiles", "count", { query }), long(0), JSON.stringify(query))
        assert.deepStrictEqual(yield* asked(ann, "profiles", "deleteMany", { query }), { deletedCount: int(0) })
        assert.deepStrictEqual(
          yield* asked(ann, "profiles", "updateMany", { query, update: { $set: { name: "x" } } }),
          { matchedCount: int(0), modifiedCount: int(0) }
        )
      }
      // To him the field is not there, so this holds of both documents alike.
      for (const secret of [1, 2, 3]) {
        const query = { secret: { $ne: secret }, _id: 2 }
        assert.deepStrictEqual(yield* asked(ann, "profiles", "count", { query }), long(1))
      }
      const sorted = yield* asked(ann, "profiles", "find", { sort: { secret: -1 }, project: { _id: 1 } })
      assert.deepStrictEqual(sorted, [{ _id: int(1) }, { _id: int(2) }])
    }))

  test("is in no aggregation: not in its groups, its sorts, its expressions, nor by way of another collection", () =>
    Effect.gen(function*() {
      yield* fill("profiles", people)
      const ann = yield* user("ann")
      const aggregate = (...pipeline: ReadonlyArray<object>) => asked(ann, "profiles", "aggregate", { pipeline })
      assert.deepStrictEqual(yield* aggregate({ $match: { secret: { $gt: 1 } } }), [])
      assert.deepStrictEqual(yield* aggregate({ $group: { _id: null, total: { $sum: "$secret" }, n: { $sum: 1 } } }), [
        { _id: null, total: int(1), n: int(2) }
      ])
      assert.deepStrictEqual(
        yield* aggregate({ $sort: { _id: 1 } }, { $project: { _id: 0, street: "$address.street", all: "$$ROOT" } }),
        [
          {
            street: "Via 1",
            all: { _id: int(1), owner: "ann", name: "Ann", secret: int(1), address: { city: "Rome", street: "Via 1" } }
          },
          { all: { _id: int(2), name: "Bob", address: { city: "Oslo" } } }
        ]
      )
      const lookup = { $lookup: { from: "closed", pipeline: [], as: "closed" } }
      for (const stage of [lookup, { $unionWith: "closed" }, { $facet: { a: [] } }, { $match: { $expr: true } }]) {
        const { body, status } = yield* ann.call("profiles", "aggregate", { pipeline: [stage] })
        assert.strictEqual(status, 400)
        assert.include(JSON.stringify(body), "is not available to users")
      }
      assert.include(JSON.stringify(yield* aggregate({ $who: 1 })), "Unrecognized pipeline stage name: '$who'")
    }))

  test("is told by no update: neither that it is there, nor what it is, nor its type", () =>
    Effect.gen(function*() {
      yield* fill("profiles", [...people, { _id: 3, name: "Cid" }])
      const ann = yield* user("ann")
      for (
        const update of [
          { $set: { secret: 2 } },
          { $max: { secret: 1 } },
          { $min: { secret: 9 } },
          { $inc: { secret: 0 } },
          { $push: { secret: 1 } },
          { $unset: { secret: 1 } },
          { $rename: { secret: "name" } },
          { $rename: { name: "secret" } },
          { $unset: { "address.street": 1 } },
          { $set: { address: { city: "Oslo", street: "Gate 2" } } },
          { name: "Bob", secret: 2 }
        ]
      ) {
        for (const id of [2, 3]) {
          const answer = yield* ann.call("profiles", "updateOne", { query: { _id: id }, update })
          assert.deepStrictEqual(
            Wire.refusal(answer),
            [400, "SchemaValidationFailedWrite", "update not permitted"],
            `${JSON.stringify(update)} of ${id}`
          )
        }
      }
      assert.deepStrictEqual(yield* stored("profiles"), [...people, { _id: 3, name: "Cid" }])
      const allowed = yield* ann.call("profiles", "updateOne", {
        query: { _id: 2 },
        update: { $set: { name: "Rob", "address.city": "Bergen" } }
      })
      assert.deepStrictEqual(allowed.body, { matchedCount: int(1), modifiedCount: int(1) })
    }))

  test("is told by no taken key", () =>
    Effect.gen(function*() {
      yield* fill("owned", [{ _id: 1, owner: "ann", email: "a@x" }, { _id: 2, owner: "bob", email: "b@x" }])
      const database = yield* Database.Database
      yield* database.collection({ database: "shop", collection: "owned" }).createIndex({ email: 1 }, { unique: true })
      const ann = yield* user("ann")
      const insert = (document: object) => ann.call("owned", "insertOne", { document: { owner: "ann", ...document } })
      const hidden = [400, "SchemaValidationFailedWrite", "insert not permitted"] as const
      assert.deepStrictEqual(Wire.refusal(yield* insert({ _id: 2 })), hidden)
      assert.deepStrictEqual(Wire.refusal(yield* insert({ _id: 3, email: "b@x" })), hidden)
      assert.strictEqual((yield* insert({ _id: 1 })).fields["error_code"], "MongoDBError")
      const own = yield* insert({ _id: 3, email: "a@x" })
      assert.strictEqual(own.fields["error_code"], "MongoDBError")
      assert.notInclude(own.text, "a@x")
    }))

  test("cannot be changed nor taken over, and is not matched by a write", () =>
    Effect.gen(function*() {
      yield* fill("owned", [{ _id: 1, owner: "ann" }, { _id: 2, owner: "bob" }])
      const ann = yield* user("ann")
      const update = (query: object, update: object) => ann.call("owned", "updateMany", { query, update })
      assert.deepStrictEqual((yield* update({ _id: 2 }, { $set: { owner: "ann" } })).body, {
        matchedCount: int(0),
        modifiedCount: int(0)
      })
      const given = yield* update({}, { $set: { owner: "bob" } })
      assert.deepStrictEqual(Wire.refusal(given), [400, "SchemaValidationFailedWrite", "update not permitted"])
      assert.deepStrictEqual((yield* ann.call("owned", "deleteMany", { query: {} })).body, { deletedCount: int(1) })
      assert.deepStrictEqual(yield* stored("owned"), [{ _id: 2, owner: "bob" }])
    }))

  test("stays out of reach of filters: their query narrows, their projection hides", () =>
    Effect.gen(function*() {
      yield* fill("filtered", [
        { _id: 1, owner: "ann", hidden: 1 },
        { _id: 2, owner: "bob", hidden: 2 }
      ])
      const ann = yield* user("ann")
      assert.deepStrictEqual(yield* asked(ann, "filtered", "find"), [{ _id: int(1), owner: "ann" }])
      assert.deepStrictEqual(yield* asked(ann, "filtered", "count", { query: { hidden: 1 } }), long(0))
      assert.deepStrictEqual(yield* asked(ann, "filtered", "deleteMany"), { deletedCount: int(1) })
      // A filter says nothing of new documents.
      assert.deepStrictEqual(
        yield* asked(ann, "filtered", "insertOne", { document: { _id: 3, owner: "cid" } }),
        { insertedId: int(3) }
      )
    }))
})

describe("functions that rules ask", () => {
  test("decide by their answers; one that fails grants nothing", () =>
    Effect.gen(function*() {
      yield* fill("asked", [{ _id: 1, owner: "bob" }, { _id: 2, owner: "cid" }, { _id: 3, owner: "eve" }])
      const { call } = yield* user("ann")
      assert.deepStrictEqual((yield* call("asked", "find")).body, [{ _id: int(1), owner: "bob" }])
      const moved = yield* call("asked", "updateMany", { query: {}, update: { $set: { owner: "cid" } } })
      assert.strictEqual(moved.fields["error"], "update not permitted")
      assert.deepStrictEqual(
        (yield* call("asked", "updateMany", { query: {}, update: { $set: { n: int(1) } } })).body,
        { matchedCount: int(1), modifiedCount: int(1) }
      )
      assert.lengthOf(yield* stored("asked"), 3)
    }))
})

describe("functions of the app", () => {
  const run = Effect.fnUntraced(function*(name: string, ...args: ReadonlyArray<unknown>) {
    const { access_token: token } = yield* Effect.flatMap(
      Wire.send("POST", `${Wire.providers}/custom-function/login`, { body: { id: "ann", name: "ann" } }),
      Wire.tokens
    )
    return yield* Wire.call(token, name, ...args)
  })

  test("have every operation, under the rules of their caller", () =>
    Effect.gen(function*() {
      for (const collection of ["open", "owned"]) {
        const { body } = yield* run("everything", collection)
        assert.deepStrictEqual(body, {
          insertOne: { insertedId: int(1) },
          insertMany: { insertedIds: [int(2), int(3)] },
          find: [{ n: int(3) }],
          skipped: [{ _id: int(3) }],
          next: [int(1), true],
          findOne: { _id: int(2), owner: "ann" },
          none: null,
          count: int(2),
          aggregate: [{ few: int(2) }],
          distinct: [int(1), int(2)],
          updateOne: { matchedCount: int(1), modifiedCount: int(1) },
          updateMany: { matchedCount: int(0), modifiedCount: int(0), upsertedId: int(9) },
          before: { _id: int(1), n: int(6), owner: "ann" },
          after: { _id: int(1), n: int(0), owner: "ann" },
          deleted: { _id: int(9), owner: "ann" },
          bulkWrite: null,
          left: [
            { _id: int(1), n: int(0), owner: "ann" },
            { _id: int(4), owner: "ann", n: int(4) },
            { _id: int(5), owner: "ann", n: int(5) }
          ],
          deleteOne: { deletedCount: int(1) },
          deleteMany: { deletedCount: int(2) }
        }, collection)
      }
    }))

  test("see as the system what their caller does not", () =>
    Effect.gen(function*() {
      yield* fill("owned", [{ owner: "ann" }, { owner: "bob" }])
      yield* fill("closed", [{ secret: 1 }])
      assert.deepStrictEqual((yield* run("countAsUser", "owned", {})).body, int(1))
      assert.deepStrictEqual((yield* run("countAsSystem", "owned", {})).body, int(2))
      assert.deepStrictEqual((yield* run("countAsSystem", "closed", { $expr: { $eq: ["$secret", 1] } })).body, int(1))
      assert.include((yield* run("countAsUser", "closed", {})).text, "no rule exists for namespace 'shop.closed'")
    }))

  test("catch what was refused as errors with the server's code and words", () =>
    Effect.gen(function*() {
      yield* fill("open", [{ _id: 1 }])
      assert.deepStrictEqual((yield* run("failures")).body, [
        "MongoDBError: E11000 duplicate key error collection: shop.open index: _id_",
        "MongoDBError: The filter cannot be used: unknown top level operator: $who.",
        "InvalidParameter: the argument of \"insertOne\" is not as it should be: Expected a document\n  at [\"document\"]",
        "NoMatchingRuleFound: no rule exists for namespace 'shop.closed'",
        "NoMatchingRuleFound: no rule exists for namespace '__effect_realm.signing_keys'",
        "NotSupportedError: startSession(), and with it transactions, is not supported by this server: each write is atomic by itself, so keep in one document what belongs together",
        ...Array.from(
          { length: 12 },
          () => "InvalidParameter: \"collation\" is not supported: store beside a text what it is to be compared by"
        )
      ])
      assert.deepStrictEqual(yield* stored("open"), [{ _id: 1 }])
    }))
})
