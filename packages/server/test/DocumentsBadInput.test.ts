import { AppDefinition, Database } from "@effect-realm/server"
import { assert, describe, it, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Schema from "effect/Schema"
import * as Wire from "./support/wire.ts"

/** A role that lets everybody read and write where an expression holds. */
const where = (expression: Schema.Json) => ({
  name: "everybody",
  applyWhen: {},
  read: expression,
  write: expression,
  insert: true,
  delete: true
})

const asking = (name: string): Schema.Json => ({ "%%true": { "%function": { name, arguments: ["%%root.n"] } } })

const app = Wire.makeApp({
  dataSources: [{
    collections: [
      {
        database: "shop",
        collection: "unknownFields",
        roles: [where({ "%%root.nowhere.at.all": "%%user.custom_data.none" })]
      },
      { database: "shop", collection: "failingFunctions", roles: [where(asking("fail"))] }
    ],
    defaultRule: { roles: [where(true)] }
  }],
  functions: [{
    name: "matching",
    runAsSystem: true,
    source: `exports = ($regex) =>
      context.services.get("mongodb-atlas").db("shop").collection("things").count({ text: { $regex } })`
  }]
})

const collections = ["things", "unknownFields", "failingFunctions"]

const collection = (name: string) =>
  Effect.map(Database.Database, (database) => database.collection({ database: "shop", collection: name }))

/** One of MongoDB's limits on what is answered, and one more. */
const tooMany = 50_001

const filled = Layer.effectDiscard(Effect.gen(function*() {
  for (const name of collections) {
    const { insertMany } = yield* collection(name)
    const list = Array.from({ length: 1000 }, (_, element) => ({ element }))
    yield* insertMany([{ _id: 1, n: 1, text: `${"a".repeat(50_000)}!`, list }, { _id: 2, n: 2 }])
  }
  const { insertMany } = yield* collection("many")
  yield* insertMany(Array.from({ length: tooMany }, (_, _id) => ({ _id })))
}))

const stored = Effect.forEach(collections, (name) => Effect.flatMap(collection(name), ({ find }) => find({})))

/** A document inside of itself so many times, as text: no program would make one. */
const nested = (times: number, name: string): string => `${`{"${name}":`.repeat(times)}1${"}".repeat(times)}`

const megabyte = 1024 * 1024
const long = (megabytes: number): string => "x".repeat(megabytes * megabyte)

interface Row {
  readonly name: string
  readonly operation: string
  /** The members of the argument beside the namespace, as text. */
  readonly args: string
  readonly collection?: string
  /** Status, code and words of the refusal. */
  readonly refusal: readonly [status: number, code: string | undefined, words: RegExp]
}

const row = (
  name: string,
  operation: string,
  args: string,
  [code, words, status = 400]: readonly [code: string | undefined, words: RegExp, status?: number],
  collection?: string
): Row => ({ name, operation, args, refusal: [status, code, words], ...(collection && { collection }) })

const tooDeep = [
  "InvalidParameter",
  /^invalid function call request: Extended JSON, arguments\[0\].*: more than 200 levels of nesting: flatten the value$/
] as const

const tooManySteps = ["MongoDBError", /more than 3000000 steps for one document/] as const

const rows: ReadonlyArray<Row> = [
  row("a filter that is a number", "find", `"query":7`, ["InvalidParameter", /Expected a document/]),
  row("a filter that is a list", "deleteMany", `"query":[]`, ["InvalidParameter", /Expected a document/]),
  row("an unknown operator at the top", "find", `"query":{"$who":1}`, ["MongoDBError", /operator: \$who/]),
  row("an unknown operator", "deleteMany", `"query":{"n":{"$who":1}}`, ["MongoDBError", /operator: \$who/]),
  row(
    "an unknown operator of an update",
    "updateMany",
    `"query":{},"update":{"$who":{"n":1}}`,
    ["MongoDBError", /Unknown modifier: \$who/]
  ),
  row("a stage that is not there", "aggregate", `"pipeline":[{"$who":{}}]`, ["MongoDBError", /stage name: '\$who'/]),
  row(
    "a stage that is not supported",
    "aggregate",
    `"pipeline":[{"$bucketAuto":{"groupBy":"$n","buckets":2}}]`,
    ["MongoDBError", /\$bucketAuto/]
  ),
  row("an expression that is not there", "aggregate", `"pipeline":[{"$project":{"a":{"$who":1}}}]`, [
    "MongoDBError",
    /expression '\$who'/
  ]),
  row("a pipeline that is none", "aggregate", `"pipeline":{}`, ["InvalidParameter", /Expected array/]),
  row("an _id twice", "insertOne", `"document":{"_id":1}`, ["MongoDBError", /^E11000 duplicate key .* index: _id_$/]),
  row(
    "an _id twice in one request",
    "insertMany",
    `"documents":[{"_id":1},{"_id":3}]`,
    ["MongoDBError", /^E11000 duplicate key/]
  ),
  row("a document of more than 16 MB", "insertOne", `"document":{"text":"${long(16)}"}`, [
    "MongoDBError",
    /16777216 are allowed/
  ]),
  row(
    "an update that makes a document of more than 16 MB",
    "updateOne",
    `"query":{"_id":1},"update":{"$set":{"more":"${long(16)}"}}`,
    ["MongoDBError", /16777216 are allowed/]
  ),
  row("a request of more than 18 MB", "insertOne", `"document":{"text":"${long(18)}"}`, [
    undefined,
    /larger than 18874368 bytes/,
    413
  ]),
  row("a field that begins with $", "insertOne", `"document":{"$n":1}`, ["MongoDBError", /cannot begin with \$/]),
  row("a field with NUL in its name", "insertOne", `"document":{"a\\u0000b":1}`, ["MongoDBError", /NUL character/]),
  row("NUL in a path of an update", "updateOne", `"query":{},"update":{"$set":{"a\\u0000b":1}}`, [
    "MongoDBError",
    /NUL character/
  ]),
  row("NUL in a path of a filter", "find", `"query":{"a\\u0000b":1}`, ["MongoDBError", /NUL character/]),
  row("a document in itself 10,000 times", "insertOne", `"document":${nested(10_000, "a")}`, tooDeep),
  row("a document in itself a million times", "insertOne", `"document":${nested(1_000_000, "a")}`, tooDeep),
  row("a filter in itself 10,000 times", "find", `"query":${nested(10_000, "a")}`, tooDeep),
  row("an update in itself 10,000 times", "updateMany", `"query":{},"update":${nested(10_000, "$set")}`, tooDeep),
  row("a stage in itself 10,000 times", "aggregate", `"pipeline":[${nested(10_000, "$match")}]`, tooDeep),
  row("a value that has no Extended JSON form", "find", `"query":{"_id":{"$oid":"none"}}`, [
    "InvalidParameter",
    /^invalid function call request: Extended JSON, arguments\[0\]\.query\._id: "\$oid" must hold/
  ]),
  row("$where", "find", `"query":{"$where":"while (true);"}`, ["MongoDBError", /^\$where is not available to users/]),
  row(
    "$function",
    "aggregate",
    `"pipeline":[{"$project":{"a":{"$function":{"body":"","args":[],"lang":"js"}}}}]`,
    ["MongoDBError", /^\$function is not available to users/]
  ),
  row("$accumulator", "aggregate", `"pipeline":[{"$group":{"_id":1,"a":{"$accumulator":{}}}}]`, [
    "MongoDBError",
    /^\$accumulator is not available to users/
  ]),
  row("a regular expression", "find", `"query":{"text":{"$regex":"^(a+)+$"}}`, [
    "MongoDBError",
    /^\$regex is not available to users/
  ]),
  row(
    "work that multiplies",
    "aggregate",
    `"pipeline":[{"$project":{"l":{"$range":[0,4000]}}},
      {"$project":{"s":{"$map":{"input":"$l","in":{"$map":{"input":"$l","in":1}}}}}}]`,
    tooManySteps
  ),
  row(
    "a regular expression that takes long, many times over",
    "aggregate",
    `"pipeline":[{"$project":{"m":{"$map":{"input":{"$range":[0,1000]},"in":{"$regexMatch":{
      "input":"$text","regex":"(a|b|ab|ba){100}c"}}}}}}]`,
    tooManySteps
  ),
  row(
    "a long text to look for, many times over",
    "aggregate",
    `"pipeline":[{"$project":{"m":{"$map":{"input":{"$range":[0,1000]},"in":{"$regexMatch":{
      "input":"$text","regex":"${"b".repeat(1000)}"}}}}}}]`,
    tooManySteps
  ),
  row(
    "a filter of thousands of conditions on an array of a thousand elements",
    "count",
    `"query":{"$or":[${Array.from({ length: 5000 }, (_, n) => `{"list":${-1 - n}}`).join(",")}]}`,
    tooManySteps
  ),
  row(
    "an update that pulls by thousands of conditions from an array of a thousand elements",
    "updateMany",
    `"query":{},"update":{"$pull":{"list":{"$or":[${
      Array.from({ length: 5000 }, (_, n) => `{"n":${n}}`).join(",")
    }]}}}`,
    tooManySteps
  ),
  row(
    "thousands of paths to the elements of an array of a thousand elements",
    "updateMany",
    `"query":{},"update":{"$set":{${Array.from({ length: 5000 }, (_, n) => `"list.$[].f${n}":1`).join(",")}}}`,
    tooManySteps
  ),
  row("a skip of -1", "find", `"skip":-1`, ["MongoDBError", /skip is not a whole number from 0 on/]),
  row("a limit of -1", "find", `"limit":-1`, ["MongoDBError", /limit is not a whole number from 0 on/]),
  row("a stage that skips -1", "aggregate", `"pipeline":[{"$skip":-1}]`, [
    "MongoDBError",
    /\$skip needs a whole number/
  ]),
  row("more than 50,000 documents", "find", `"query":{}`, ["ReadSizeLimitExceeded", /more than 50000/], "many"),
  row(
    "more than 50,000 documents out of a pipeline",
    "aggregate",
    `"pipeline":[{"$match":{}}]`,
    ["ReadSizeLimitExceeded", /more than 50000/],
    "many"
  ),
  row(
    "an insertion under a rule on fields that are nowhere",
    "insertOne",
    `"document":{"_id":3}`,
    ["SchemaValidationFailedWrite", /^insert not permitted$/],
    "unknownFields"
  ),
  row(
    "an insertion under a rule whose function fails",
    "insertOne",
    `"document":{"_id":3}`,
    ["SchemaValidationFailedWrite", /^insert not permitted$/],
    "failingFunctions"
  )
]

const user = Effect.map(
  Wire.logInAnonymous,
  ({ access_token: token }) => (operation: string, args: string, collection = "things") =>
    Wire.send("POST", `${Wire.appUrl}/functions/call`, {
      token,
      body:
        `{"name":"${operation}","service":"mongodb-atlas","arguments":[{"database":"shop","collection":"${collection}",${args}}]}`
    })
)

layer(filled.pipe(Layer.provideMerge(Wire.layer({ app }))))("bad input", (it) => {
  for (const { args, collection, name, operation, refusal: [status, code, words] } of rows) {
    it.effect(`${name} is refused, changes nothing, and keeps nobody else from their answers`, () =>
      Effect.gen(function*() {
        const [call, neighbour] = [yield* user, yield* user]
        const before = yield* stored
        const [answer, ...others] = yield* Effect.all([
          call(operation, args, collection),
          ...Array.from({ length: 3 }, () => neighbour("findOne", `"query":{"_id":2}`))
        ], { concurrency: "unbounded" })
        const [hadStatus, hadCode, hadWords] = Wire.refusal(answer)
        assert.deepStrictEqual([hadStatus, hadCode], [status, code])
        assert.match(String(hadWords), words)
        for (const other of others) {
          assert.deepStrictEqual(other.body, { _id: { $numberInt: "2" }, n: { $numberInt: "2" } })
        }
        assert.deepStrictEqual(yield* stored, before)
      }))
  }

  for (const name of ["unknownFields", "failingFunctions"]) {
    it.effect(`under rules of ${name} nothing is there, and no error tells of it`, () =>
      Effect.gen(function*() {
        const call = yield* user
        const before = yield* stored
        const none = { $numberInt: "0" }
        assert.deepStrictEqual((yield* call("find", `"query":{}`, name)).body, [])
        assert.deepStrictEqual((yield* call("count", `"query":{}`, name)).body, { $numberLong: "0" })
        assert.deepStrictEqual((yield* call("updateMany", `"query":{},"update":{"$set":{"n":2}}`, name)).body, {
          matchedCount: none,
          modifiedCount: none
        })
        assert.deepStrictEqual((yield* call("deleteMany", `"query":{}`, name)).body, { deletedCount: none })
        assert.deepStrictEqual(yield* stored, before)
      }))
  }

  it.effect("50,000 documents are not too many", () =>
    Effect.gen(function*() {
      const call = yield* user
      const { body } = yield* call("find", `"query":{"_id":{"$gt":0}}`, "many")
      assert.strictEqual(Array.isArray(body) ? body.length : body, tooMany - 1)
    }))

  it.effect("a regular expression that would backtrack without end answers, to functions of the system too", () =>
    Effect.gen(function*() {
      const { access_token } = yield* Wire.logInAnonymous
      assert.deepStrictEqual((yield* Wire.call(access_token, "matching", "^(a+)+$")).body, { $numberInt: "0" })
      assert.deepStrictEqual((yield* Wire.call(access_token, "matching", "^(a+)+!$")).body, { $numberInt: "1" })
      const call = yield* user
      const expression = `{"$regexMatch":{"input":"$text","regex":"^(a+)+$"}}`
      const answer = yield* call("aggregate", `"pipeline":[{"$project":{"a":${expression}}},{"$sort":{"_id":1}}]`)
      assert.deepStrictEqual(answer.body, [
        { _id: { $numberInt: "1" }, a: false },
        { _id: { $numberInt: "2" }, a: false }
      ])
    }))
})

describe("an app", () => {
  it("whose rules ask a function that it does not have is refused with the place of the rule", () => {
    const define = () =>
      AppDefinition.make({ appId: "shop-abcde", dataSources: [{ defaultRule: { roles: [where(asking("gone"))] } }] })
    assert.throws(
      define,
      /The app has no function "gone"\n {2}at \["dataSources"\]\[0\]\["defaultRule"\]\["roles"\]\[0\]\["read"\]/
    )
  })
})
