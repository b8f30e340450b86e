/**
 * Every member of `context` and every global that the App Services reference names (sections 4.4 and 4.6), as a function
 * that a client has called over the wire finds it.
 */
import { Push } from "@effect-realm/server"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Wire from "./support/wire.ts"

/** What an expression is in a function, as Extended JSON: a value, or what a check says of it. */
type Row = readonly [expression: string, expected: unknown]

const int = (value: number) => ({ $numberInt: String(value) })

const hex24 = /^[0-9a-f]{24}$/

const mongodb = "context.services.get('mongodb-atlas')"
const collection = `${mongodb}.db('shop').collection('things')`

const notSupported = (call: string): Row => [
  `(() => { try { ${call} } catch ({ name, code, message }) { return [name, code, message.length > 60] } })()`,
  ["NotSupportedError", "NotSupported", true]
]

const typesOf = (object: string, names: ReadonlyArray<string>, type = "function"): ReadonlyArray<Row> =>
  names.map((name) => [`typeof ${object}.${name}`, type])

const rows: ReadonlyArray<Row> = [
  ["context.app.id", hex24],
  ["context.app.clientAppId", "shop-abcde"],
  ["context.app.name", "shop"],
  ["context.app.projectId", hex24],
  ["context.app.deployment", { model: "LOCAL", providerRegion: "aws-eu-west-1" }],
  ["new Date(context.app.lastDeployed).toISOString() === context.app.lastDeployed", true],
  // Static hosting is not served.
  ["context.app.hostingUri", { $undefined: true }],

  ["context.environment.tag", "qa"],
  ["context.environment.values.base", "qa.example"],
  ["context.environment.values.absent", { $undefined: true }],

  ["context.functions.execute('sum', 1, 2)", int(3)],

  ["context.request.remoteIPAddress", "203.0.113.7"],
  ["context.request.httpMethod", "POST"],
  ["context.request.rawQueryString", "a=1"],
  ["context.request.httpUserAgent", "till/1"],
  ["context.request.httpReferrer", "https://shop.example/till"],
  ["context.request.requestHeaders['X-Till']", ["7"]],
  ["context.request.requestHeaders.Authorization", { $undefined: true }],
  // Of webhooks and of calls to services.
  ["context.request.webhookUrl", { $undefined: true }],
  ["context.request.service", { $undefined: true }],
  ["context.request.action", { $undefined: true }],
  ["context.request.body", { $undefined: true }],

  ["context.runningAsSystem()", false],

  ["context.user.id", hex24],
  ["context.user.type", "normal"],
  ["context.user.data", { name: "ann" }],
  ["context.user.custom_data.tier", "gold"],
  ["context.user.identities.map(({ id, provider_type }) => [id, provider_type])", [["ann", "custom-function"]]],

  ["context.values.get('prices').tea", int(4)],
  ["context.values.get('key')", "k3y"],
  ["context.values.get('absent')", { $undefined: true }],

  ["context.services.get('absent')", { $undefined: true }],
  ["Object.keys(context.services.get('gcm'))", ["registrations", "send"]],
  [`(async () => (await ${collection}.insertOne({ _id: "a" })).insertedId)()`, "a"],
  ...typesOf(collection, [
    "find",
    "findOne",
    "findOneAndUpdate",
    "findOneAndReplace",
    "findOneAndDelete",
    "insertOne",
    "insertMany",
    "updateOne",
    "updateMany",
    "deleteOne",
    "deleteMany",
    "aggregate",
    "count",
    "distinct",
    "bulkWrite",
    "initializeOrderedBulkOp",
    "initializeUnorderedBulkOp"
  ]),
  ...typesOf(`${collection}.find({})`, ["next", "toArray", "skip", "limit", "sort"]),
  ...typesOf(`${collection}.aggregate([])`, ["next", "toArray", "skip"]),
  notSupported(`${collection}.watch()`),
  notSupported(`${mongodb}.db('shop').getCollectionNames()`),
  notSupported(`${mongodb}.db('shop').aggregate([])`),
  notSupported(`${mongodb}.admin().getDBNames()`),
  notSupported(`${mongodb}.startSession()`),

  ...typesOf("context.http", ["get", "post", "put", "patch", "delete", "head"]),
  ["context.http.get({}).catch(({ code }) => code)", "InvalidParameter"],
  ["context.http.get({ url: 'http://127.0.0.1/' }).catch(({ code }) => code)", "NoMatchingRuleFound"],

  ["utils.jwt.decode(utils.jwt.encode('HS256', { a: 'b' }, 'k'), 'k')", { a: "b" }],
  ["utils.crypto.hash('md5', '').toHex()", "d41d8cd98f00b204e9800998ecf8427e"],
  ["utils.crypto.hmac('a', 'b', 'sha256', 'hex').length", int(64)],
  ["utils.crypto.decrypt('aes', utils.crypto.encrypt('aes', 'tea', 'k'.repeat(32)), 'k'.repeat(32)).text()", "tea"],
  ...typesOf("utils.crypto", ["sign", "verify"]),

  ["EJSON.parse('{\"a\":{\"$numberLong\":\"5\"}}')", { a: { $numberLong: "5" } }],
  ["EJSON.stringify({ a: new Date(5) })", "{\"a\":{\"$date\":{\"$numberLong\":\"5\"}}}"],
  ["JSON.stringify({ a: 1 })", "{\"a\":1}"],
  ["Buffer.from('a').toString('hex')", "61"],
  ...typesOf("console", ["log", "warn", "error"]),

  ["BSON.ObjectId('65f000000000000000000001')", { $oid: "65f000000000000000000001" }],
  ["new BSON.ObjectId().toHexString()", hex24],
  ["BSON.BSONRegExp('a', 'i')", { $regularExpression: { pattern: "a", options: "i" } }],
  ["BSON.Binary.fromHex('6162').text()", "ab"],
  ["BSON.Binary.fromBase64('YWI=').toHex()", "6162"],
  ["BSON.Binary.fromHex('6162').toBase64()", "YWI="],
  ["BSON.MinKey()", { $minKey: 1 }],
  ["BSON.MaxKey()", { $maxKey: 1 }],
  ["BSON.Int32(5)", int(5)],
  ["BSON.Long(1, 1)", { $numberLong: "4294967297" }],
  ["BSON.Double(5)", { $numberDouble: "5.0" }],
  ["BSON.Decimal128.fromString('1.20')", { $numberDecimal: "1.20" }]
]

const app = Wire.makeApp({
  deploymentModel: "LOCAL",
  providerRegion: "aws-eu-west-1",
  environment: { tag: "qa", values: { base: "qa.example" } },
  values: [{ name: "prices", value: { tea: 4 } }, { name: "key", fromSecret: "key" }],
  secrets: { key: Redacted.make("k3y") },
  pushServices: [{ name: "gcm" }],
  customUserData: {
    databaseName: "shop",
    collectionName: "people",
    userIdField: "userId",
    onUserCreationFunctionName: "greet"
  },
  dataSources: [{
    collections: [
      {
        database: "shop",
        collection: "things",
        roles: [{ name: "all", applyWhen: true, read: true, write: true, insert: true }]
      },
      {
        database: "shop",
        collection: "asked",
        roles: [{
          name: "asked",
          applyWhen: { "%%true": { "%function": { name: "isFind", arguments: [] } } },
          read: { "%%request.service": "mongodb-atlas", "%%request.action": "find" }
        }]
      }
    ]
  }],
  functions: [
    ...rows.map(([expression], index) => ({ name: `row${index}`, source: `exports = () => (${expression})` })),
    {
      name: "greet",
      runAsSystem: true,
      source: `exports = ({ id }) =>
        ${mongodb}.db("shop").collection("people").insertOne({ userId: id, tier: "gold" }).then(() => 1)`
    },
    {
      name: "fill",
      runAsSystem: true,
      source: `exports = () => ${mongodb}.db("shop").collection("asked").insertOne({ _id: "a" }).then(() => 1)`
    },
    {
      name: "isFind",
      source: "exports = () => context.request.service === 'mongodb-atlas' && context.request.action === 'find'"
    }
  ]
})

const server = Layer.provideMerge(Wire.layer({ app, proxies: 1 }), Layer.fresh(Push.layerMemory))

const logIn = Effect.flatMap(
  Wire.send("POST", `${Wire.providers}/custom-function/login`, { body: { id: "ann", name: "ann" } }),
  Wire.tokens
)

const headers = {
  "user-agent": "till/1",
  referer: "https://shop.example/till",
  "x-till": "7",
  "x-forwarded-for": "203.0.113.7"
}

describe("What a function finds", { timeout: 60_000 }, () => {
  it.effect("has the documented shape, or is refused with words for what to do", () =>
    Effect.gen(function*() {
      const { access_token: token } = yield* logIn
      for (const [index, [expression, expected]] of rows.entries()) {
        const { body, status, text } = yield* Wire.send("POST", `${Wire.appUrl}/functions/call?a=1`, {
          token,
          headers,
          body: { name: `row${index}`, arguments: [] }
        })
        assert.strictEqual(status, 200, `${expression}: ${text}`)
        if (expected instanceof RegExp) assert.match(String(body), expected, expression)
        else assert.deepStrictEqual(body, expected, expression)
      }
    }).pipe(Effect.provide(server)))

  it.effect("tells rules, and the functions that they ask, which service a client has called", () =>
    Effect.gen(function*() {
      const { access_token: token } = yield* logIn
      const ask = (service: string, name: string, argument: object) =>
        Wire.send("POST", `${Wire.appUrl}/functions/call`, { token, body: { service, name, arguments: [argument] } })
      const asked = { database: "shop", collection: "asked", query: {} }
      yield* Wire.call(token, "fill")
      assert.deepStrictEqual((yield* ask("mongodb-atlas", "find", asked)).body, [{ _id: "a" }])
      assert.deepStrictEqual((yield* ask("mongodb-atlas", "findOne", asked)).body, null)
    }).pipe(Effect.provide(server)))

  it.effect("is for functions alone: the service http is refused to clients of an app that has none", () =>
    Effect.gen(function*() {
      const { access_token: token } = yield* logIn
      const answer = yield* Wire.send("POST", `${Wire.appUrl}/functions/call`, {
        token,
        body: { service: "http", name: "get", arguments: [{ url: "https://example.com" }] }
      })
      assert.deepStrictEqual(Wire.refusal(answer), [
        404,
        "ServiceNotFound",
        "service not found: 'http': the app has no HTTP service for clients; functions have context.http"
      ])
    }).pipe(Effect.provide(server)))
})
