import { RealmError } from "@effect-realm/protocol"
import { AppDefinition, Database, type DataSource, Documents, Functions } from "@effect-realm/server"
import { assert, describe, it } from "@effect/vitest"
import { BSONRegExp, Int32 } from "bson"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Ref from "effect/Ref"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { caller as ann, layer, newNamespace, plain, withRules } from "./support/ruledCollection.ts"
import { tokenOf, watching } from "./support/watching.ts"
import * as Wire from "./support/wire.ts"

const everything = { roles: [{ name: "everybody", applyWhen: {}, read: true }] }

/** A new collection behind rules, as the system and as its users reach it. */
const collection = (rules: DataSource.RulesOptions = everything) =>
  Effect.gen(function*() {
    const namespace = newNamespace()
    return {
      namespace,
      stored: (yield* Database.Database).collection(namespace),
      documents: yield* Documents.make(withRules(namespace, rules))
    }
  })

/** What was told, in short: kinds and identifiers. */
const brief = (told: ReadonlyArray<Documents.Watched>): ReadonlyArray<string> =>
  told.flatMap((item) => {
    if (item._tag === "Position") return []
    const { documentKey, operationType } = item.event as { documentKey: { _id: unknown }; operationType: string }
    return [`${operationType} ${JSON.stringify(plain(documentKey._id))}`]
  })

const eventsOf = (told: ReadonlyArray<Documents.Watched>): ReadonlyArray<unknown> =>
  told.flatMap((item) => item._tag === "Changed" ? [plain(item.event)] : [])

/** Lets everything that is due happen. */
const settled = Effect.promise(async () => {
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve))
})

/** Hands out what is told as it comes. */
const following = (watched: Stream.Stream<Documents.Watched, Documents.WatchError, Functions.Functions>) =>
  Effect.gen(function*() {
    const items = yield* Queue.unbounded<Documents.Watched>()
    const fiber = yield* Effect.forkScoped(
      Stream.runForEach(watched, (item) => Queue.offer(items, item)),
      { startImmediately: true }
    )
    /** What has come since the last time. */
    const since = Effect.andThen(settled, Queue.clear(items))
    return { since, end: Fiber.await(fiber), fiber }
  })

describe("A watch", () => {
  it.effect("tells events with the names and types that they have on the wire", () =>
    Effect.gen(function*() {
      const { documents, namespace, stored } = yield* collection()
      const told = yield* watching(documents, namespace, Effect.succeed(ann))
      yield* stored.insertOne({ _id: 1, list: [1, 2, 3], gone: 1 })
      yield* stored.updateOne({ _id: 1 }, { $set: { list: [1] }, $unset: { gone: 1 } })
      yield* stored.replaceOne({ _id: 1 }, { n: 1 })
      yield* stored.deleteOne({ _id: 1 })
      const [begin, ...rest] = yield* told
      assert.strictEqual(begin?._tag, "Position")
      const events = eventsOf(rest)
      const known = { ns: { db: namespace.database, coll: namespace.collection }, documentKey: { _id: 1 } }
      const expected = [
        { operationType: "insert", fullDocument: { _id: 1, list: [1, 2, 3], gone: 1 } },
        {
          operationType: "update",
          fullDocument: { _id: 1, list: [1] },
          updateDescription: {
            updatedFields: {},
            removedFields: ["gone"],
            truncatedArrays: [{ field: "list", newSize: 1 }]
          }
        },
        { operationType: "replace", fullDocument: { _id: 1, n: 1 } },
        { operationType: "delete" }
      ]
      for (const [index, event] of events.entries()) {
        assert.isObject(event)
        assert.hasAllKeys(event, ["_id", "clusterTime", ...Object.keys({ ...known, ...expected[index] })])
        assert.deepInclude(event as object, { ...known, ...expected[index] })
      }
      assert.strictEqual(events.length, expected.length)
    }).pipe(Effect.provide(layer)))

  it.effect("begins with a place, and says another with each beat, from which nothing is learnt", () =>
    Effect.gen(function*() {
      const { documents, namespace, stored } = yield* collection()
      const args = [{ ...namespace, filter: { "fullDocument.n": 7 } }]
      const open = documents.watch({ service: "mongodb-atlas", args, caller: Effect.succeed(ann) })
      const { since } = yield* following(yield* open)
      const places = [...yield* since]
      // Nothing happens, something he is not told of, and what he is.
      for (const n of [undefined, 1, undefined, 7, undefined]) {
        if (n !== undefined) yield* stored.insertOne({ _id: n, n })
        assert.deepStrictEqual(brief(yield* since), n === 7 ? ["insert 7"] : [])
        yield* TestClock.adjust("15 seconds")
        const told = yield* since
        assert.deepStrictEqual(told.map(({ _tag }) => _tag), ["Position"])
        places.push(...told)
      }
      assert.strictEqual(new Set(places.map((place) => String(tokenOf(place)["_data"]))).size, 6)
      const resumed = yield* watching(documents, namespace, Effect.succeed(ann), { resumeAfter: tokenOf(places[3]!) })
      assert.deepStrictEqual(brief(yield* resumed), ["insert 7"])
    }).pipe(Effect.scoped, Effect.provide(layer)))

  it.effect("is about documents by their identifiers, or about events by a filter", () =>
    Effect.gen(function*() {
      const { documents, namespace, stored } = yield* collection()
      const watch = (options: object) => watching(documents, namespace, Effect.succeed(ann), options)
      const rows = [
        [{ ids: [1, "two"] }, ["insert 1", "insert \"two\"", "update 1", "delete 1"]],
        [{ ids: [new Int32(1)] }, ["insert 1", "update 1", "delete 1"]],
        [{ ids: [] }, []],
        [{ ids: [1, ...Array.from({ length: 2000 }, (_, n) => ({ shop: "a", n }))] }, [
          "insert 1",
          "update 1",
          "delete 1"
        ]],
        [{ filter: {} }, ["insert 1", "insert \"two\"", "insert 3", "update 1", "update 3", "delete 1"]],
        [{ filter: { operationType: { $in: ["delete"] } } }, ["delete 1"]],
        [{ filter: { "fullDocument.n": { $gte: 2 } } }, ["insert \"two\"", "insert 3", "update 1", "update 3"]],
        [{ filter: { "updateDescription.updatedFields.n": 9 } }, ["update 1"]],
        [{ filter: { "ns.coll": "others" } }, []]
      ] as const
      const told = yield* Effect.forEach(rows, ([options]) => watch(options))
      yield* stored.insertMany([{ _id: 1, n: 1 }, { _id: "two", n: 2 }, { _id: 3, n: 3 }])
      yield* stored.updateOne({ _id: 1 }, { $set: { n: 9 } })
      yield* stored.updateOne({ _id: 3 }, { $set: { m: 9 } })
      yield* stored.deleteOne({ _id: 1 })
      for (const [index, [options, expected]] of rows.entries()) {
        assert.deepStrictEqual<unknown>(brief(yield* told[index]!), expected, JSON.stringify(options))
      }
    }).pipe(Effect.scoped, Effect.provide(layer)))

  it.effect("has filters that find nothing out: what is not told is not there for them", () =>
    Effect.gen(function*() {
      const rules = { roles: [{ name: "some", applyWhen: { open: true }, fields: { a: { read: true } } }] }
      const { documents, namespace, stored } = yield* collection(rules)
      const filters = [
        { "fullDocument.secret": 1 },
        { "fullDocument.secret": { $exists: true } },
        { "fullDocumentBeforeChange.a": 1 },
        { "updateDescription.updatedFields.secret": { $exists: true } },
        { "updateDescription.removedFields": "secret" },
        { "documentKey._id": 2 }
      ]
      const told = yield* Effect.forEach(
        filters,
        (filter) => watching(documents, namespace, Effect.succeed(ann), { filter })
      )
      yield* stored.insertMany([{ _id: 1, open: true, a: 1, secret: 1 }, { _id: 2, open: false, a: 1, secret: 1 }])
      yield* stored.updateMany({}, { $set: { a: 2, secret: 2 } })
      yield* stored.updateMany({}, { $unset: { secret: 1 } })
      yield* stored.deleteMany({})
      for (const [index, all] of told.entries()) {
        assert.deepStrictEqual(eventsOf(yield* all), [], JSON.stringify(filters[index]))
      }
    }).pipe(Effect.scoped, Effect.provide(layer)))

  it.effect("goes by the rules that hold for its user when he is told", () =>
    Effect.gen(function*() {
      const rules = { roles: [{ name: "team", applyWhen: { team: "%%user.custom_data.team" }, read: true }] }
      const { documents, namespace, stored } = yield* collection(rules)
      const team = yield* Ref.make("red")
      const caller = Effect.map(Ref.get(team), (team): Functions.Caller => ({
        ...ann,
        user: Option.map(ann.user, (user) => ({ ...user, customData: { team } }))
      }))
      const args = [namespace]
      const { since } = yield* following(yield* documents.watch({ service: "mongodb-atlas", args, caller }))
      yield* since
      yield* stored.insertMany([{ _id: 1, team: "red" }, { _id: 2, team: "blue" }])
      assert.deepStrictEqual(brief(yield* since), ["insert 1"])
      yield* TestClock.adjust("10 seconds")

      // What he saw is not told to one who sees it no longer, though it was on its way.
      yield* Ref.set(team, "blue")
      yield* stored.updateOne({ _id: 1 }, { $set: { n: 1 } })
      assert.deepStrictEqual(brief(yield* since), [])
      // What he sees now is told, though it was passed over; from the last place on, which is after both insertions.
      yield* stored.updateOne({ _id: 2 }, { $set: { n: 1 } })
      assert.deepStrictEqual(brief(yield* since), ["update 2"])

      yield* Ref.set(team, "red")
      yield* stored.updateMany({}, { $set: { n: 2 } })
      yield* TestClock.adjust("15 seconds")
      assert.deepStrictEqual(brief(yield* since), ["update 1"])
    }).pipe(Effect.scoped, Effect.provide(layer)))

  it.effect("fails when its user may watch no longer, and tells nothing more", () =>
    Effect.gen(function*() {
      const ended = RealmError.make("InvalidSession", "invalid session")
      for (const occasion of ["an event", "a beat"]) {
        const { documents, namespace, stored } = yield* collection()
        const stands = yield* Ref.make(true)
        const caller = Effect.flatMap(Ref.get(stands), (stands) => stands ? Effect.succeed(ann) : Effect.fail(ended))
        const args = [namespace]
        const { end, since } = yield* following(yield* documents.watch({ service: "mongodb-atlas", args, caller }))
        yield* since
        yield* Ref.set(stands, false)
        yield* occasion === "an event" ? stored.insertOne({ _id: 1 }) : TestClock.adjust("15 seconds")
        assert.deepStrictEqual(yield* end, yield* Effect.exit(Effect.fail(ended)))
        assert.deepStrictEqual(yield* since, [])
        const refused = yield* Effect.flip(documents.watch({ service: "mongodb-atlas", args, caller }))
        assert.deepStrictEqual(refused, ended)
      }
    }).pipe(Effect.scoped, Effect.provide(layer)))

  it.effect("asks the functions of rules anew for every change", () =>
    Effect.gen(function*() {
      const open = yield* Ref.make<ReadonlySet<unknown>>(new Set([1]))
      const isOut = yield* Ref.make(false)
      const calls = yield* Ref.make(0)
      const answering = Functions.Functions.of({
        call: ({ args: [n], name }) =>
          Effect.andThen(
            Ref.update(calls, (n) => n + 1),
            name === "isOut" ? Ref.get(isOut) : Effect.map(Ref.get(open), (open) => open.has(plain(n)))
          ),
        callJson: () => Effect.die("no client calls"),
        streamJson: () => Effect.die("no client calls")
      })
      const asks = (name: string, ...args: ReadonlyArray<string>) => ({
        "%%true": { "%function": { name, arguments: args } }
      })
      const namespace = newNamespace()
      const app = AppDefinition.make({
        appId: "shop-abcde",
        functions: ["isOut", "isOpen"].map((name) => ({ name, source: "exports = () => true" })),
        dataSources: [{
          collections: [{
            ...namespace,
            roles: [{ name: "open", applyWhen: asks("isOpen", "%%root.n"), read: true }],
            filters: [{ name: "out", applyWhen: asks("isOut"), query: { n: 0 } }]
          }]
        }]
      })
      yield* Effect.gen(function*() {
        const stored = (yield* Database.Database).collection(namespace)
        const documents = yield* Documents.make(app)
        const args = [namespace]
        const { since } = yield* following(
          yield* documents.watch({ service: "mongodb-atlas", args, caller: Effect.succeed(ann) })
        )
        yield* since
        yield* stored.insertMany([{ _id: 1, n: 1 }, { _id: 2, n: 2 }, { _id: 3, n: 1 }])
        assert.deepStrictEqual(brief(yield* since), ["insert 1", "insert 3"])

        yield* Ref.set(open, new Set([2]))
        yield* stored.updateMany({}, { $set: { m: 1 } })
        assert.deepStrictEqual(brief(yield* since), ["update 2"])
        // The place after what was passed over.
        yield* TestClock.adjust("10 seconds")
        assert.deepStrictEqual(brief(yield* since), [])

        // An answer is forgotten after a second, for a role and for a filter.
        yield* Ref.set(open, new Set([1]))
        yield* stored.updateMany({ n: 1 }, { $set: { m: 2 } })
        assert.deepStrictEqual(brief(yield* since), ["update 1", "update 3"])
        yield* Ref.set(isOut, true)
        yield* TestClock.adjust("2 seconds")
        yield* stored.updateMany({}, { $set: { m: 3 } })
        assert.deepStrictEqual(brief(yield* since), [])
        yield* TestClock.adjust("10 seconds")
        yield* Ref.set(isOut, false)
        yield* stored.updateMany({ n: 1 }, { $set: { m: 4 } })
        assert.deepStrictEqual(brief(yield* since), ["update 1", "update 3"])
        assert.isAtMost(yield* Ref.get(calls), 25)
      }).pipe(Effect.scoped, Effect.provideService(Functions.Functions, answering))
    }).pipe(Effect.provide(Database.layerMemory)))

  it.effect("says what is wrong with what it is asked, and opens nothing", () =>
    Effect.gen(function*() {
      const { documents, namespace, stored } = yield* collection()
      const other = yield* collection()
      const elsewhere = tokenOf((yield* yield* watching(other.documents, other.namespace, Effect.succeed(ann)))[0]!)
      const deep = Array.from({ length: 200 }).reduce<object>((inner) => ({ $and: [inner] }), {})
      const rows: ReadonlyArray<readonly [object | ReadonlyArray<unknown>, RealmError.ErrorCode]> = [
        [[], "InvalidParameter"],
        [[namespace, namespace], "InvalidParameter"],
        [[null], "InvalidParameter"],
        [{ database: "shop" }, "InvalidParameter"],
        [{ ...namespace, ids: 1 }, "InvalidParameter"],
        [{ ...namespace, ids: { $in: [1] } }, "InvalidParameter"],
        [{ ...namespace, ids: [1], filter: {} }, "InvalidParameter"],
        [{ ...namespace, filter: 7 }, "InvalidParameter"],
        [{ ...namespace, filter: [] }, "InvalidParameter"],
        [{ ...namespace, resumeAfter: "place" }, "InvalidParameter"],
        [{ ...namespace, filter: { $who: 1 } }, "MongoDBError"],
        [{ ...namespace, filter: { a: { $who: 1 } } }, "MongoDBError"],
        [{ ...namespace, filter: { $and: 1 } }, "MongoDBError"],
        [{ ...namespace, filter: { $where: "true" } }, "MongoDBError"],
        [{ ...namespace, filter: { $expr: true } }, "MongoDBError"],
        [{ ...namespace, filter: { $or: Array.from({ length: 1000 }, (_, n) => ({ n })) } }, "MongoDBError"],
        [{ ...namespace, filter: { a: { $regex: "(a+)+$" } } }, "MongoDBError"],
        [{ ...namespace, filter: { a: new BSONRegExp("(a+)+$") } }, "MongoDBError"],
        [{ ...namespace, ids: [new BSONRegExp("a")] }, "MongoDBError"],
        [{ ...namespace, filter: deep }, "MongoDBError"],
        [{ ...namespace, collection: "" }, "InvalidParameter"],
        [{ ...namespace, collection: "a\0b" }, "MongoDBError"],
        [{ ...namespace, collection: "without rules" }, "NoMatchingRuleFound"],
        [{ database: "__effect_realm", collection: "sessions" }, "NoMatchingRuleFound"],
        [{ ...namespace, resumeAfter: {} }, "InvalidResumeToken"],
        [{ ...namespace, resumeAfter: { _data: "8262" } }, "InvalidResumeToken"],
        [{ ...namespace, resumeAfter: elsewhere }, "InvalidResumeToken"]
      ]
      for (const [args, code] of rows) {
        const call = {
          service: "mongodb-atlas",
          args: Array.isArray(args) ? args : [args],
          caller: Effect.succeed(ann)
        }
        const error = yield* Effect.flip(documents.watch(call))
        assert.deepStrictEqual([error.reason._tag, RealmError.status(error)], [
          code,
          code === "NoMatchingRuleFound" ? 403 : 400
        ], `${error.reason.message} for ${JSON.stringify(args)}`)
      }
      const absent = yield* Effect.flip(
        documents.watch({ service: "elsewhere", args: [namespace], caller: Effect.succeed(ann) })
      )
      assert.strictEqual(absent.reason._tag, "ServiceNotFound")
      const called = yield* Effect.flip(
        documents.call({ service: "mongodb-atlas", operation: "watch", args: [namespace], caller: ann })
      )
      assert.strictEqual(called.reason._tag, "ServiceCommandNotFound")
      yield* stored.insertOne({})
    }).pipe(Effect.scoped, Effect.provide(layer)))

  it.effect("that is refused gets an ordinary answer over the wire, and never 500", () =>
    Effect.gen(function*() {
      const { access_token: token } = yield* Wire.logInAnonymous
      const ask = (args: unknown, name = "watch", service = "mongodb-atlas") => {
        const call = JSON.stringify({ name, service, arguments: args })
        const query = new URLSearchParams({ baas_request: Buffer.from(call).toString("base64") })
        return Wire.send("GET", `${Wire.appUrl}/functions/call?${query}`, { token })
      }
      const orders = { database: "shop", collection: "orders" }
      const rows: ReadonlyArray<readonly [args: unknown, status: number, code: string | undefined]> = [
        [[], 400, "InvalidParameter"],
        [[7], 400, "InvalidParameter"],
        ["watch", 400, undefined],
        [[{ ...orders, ids: [{ $oid: "no id" }] }], 400, "InvalidParameter"],
        [[{ ...orders, ids: 7 }], 400, "InvalidParameter"],
        [[{ ...orders, ids: [], filter: {} }], 400, "InvalidParameter"],
        [[{ ...orders, filter: { a: { $who: 1 } } }], 400, "MongoDBError"],
        [[{ ...orders, filter: { $where: "1" } }], 400, "MongoDBError"],
        [[{ ...orders, resumeAfter: { _data: "82" } }], 400, "InvalidResumeToken"],
        [[{ ...orders, collection: "others" }], 403, "NoMatchingRuleFound"]
      ]
      for (const [args, status, code] of rows) {
        const { fields, status: answered } = yield* ask(args)
        assert.deepStrictEqual([answered, fields["error_code"]], [status, code], JSON.stringify(args))
        assert.notStrictEqual(fields["error"], "")
      }
      assert.strictEqual((yield* ask([orders], "find")).fields["error_code"], "ServiceCommandNotFound")
      assert.strictEqual((yield* ask([orders], "watch", "elsewhere")).fields["error_code"], "ServiceNotFound")
      const posted = yield* Wire.send("POST", `${Wire.appUrl}/functions/call`, {
        token,
        body: { name: "watch", service: "mongodb-atlas", arguments: [orders] }
      })
      assert.deepStrictEqual(Wire.refusal(posted), [
        400,
        "ServiceCommandNotFound",
        "\"watch\" answers a stream, and is asked for by a streaming call"
      ])
    }).pipe(Effect.provide(Wire.layer({
      app: Wire.makeApp({
        dataSources: [{ collections: [{ database: "shop", collection: "orders", ...everything }] }]
      })
    }))))

  it.effect("says so when the place to go on after is too long ago, and when its reader is too slow", () =>
    Effect.gen(function*() {
      const { documents, namespace, stored } = yield* collection()
      const told = yield* watching(documents, namespace, Effect.succeed(ann))
      const places = (yield* told).map(tokenOf)
      const call = (options: object) =>
        documents.watch({ service: "mongodb-atlas", args: [{ ...namespace, ...options }], caller: Effect.succeed(ann) })
      const slow = yield* call({})
      const write = stored.updateOne({ _id: 1 }, { $set: { text: "x".repeat(1_000_000) }, $inc: { n: 1 } }, {
        upsert: true
      })
      for (let times = 0; times < 50; times++) yield* write
      const error = yield* Effect.flip(call({ resumeAfter: places[0] }))
      assert.strictEqual(error.reason._tag, "ChangeStreamHistoryLost")
      const late = yield* Effect.flip(Stream.runDrain(slow))
      assert.strictEqual(late.reason._tag, "ChangeStreamHistoryLost")
    }).pipe(Effect.scoped, Effect.provide(layer)))

  it.effect("has short names for clients of Stitch that ask for them", () =>
    Effect.gen(function*() {
      const { documents, namespace, stored } = yield* collection()
      const told = yield* watching(documents, namespace, Effect.succeed(ann), { useCompactEvents: true })
      yield* stored.insertOne({ _id: 1, n: 1 })
      yield* stored.updateOne({ _id: 1 }, { $set: { n: 2 } })
      const [inserted, updated] = eventsOf(yield* told)
      assert.deepInclude(inserted, { ot: "insert", dk: { _id: 1 }, fd: { _id: 1, n: 1 } })
      assert.deepInclude(updated, {
        ot: "update",
        ud: { updatedFields: { n: 2 }, removedFields: [], truncatedArrays: [] }
      })
      assert.hasAllKeys(inserted, ["_id", "ot", "dk", "fd"])
    }).pipe(Effect.scoped, Effect.provide(layer)))

  it.effect("of a thousand users tells each of them once", () =>
    Effect.gen(function*() {
      const { documents, namespace, stored } = yield* collection()
      const all = yield* Effect.forEach(
        Array.from({ length: 1000 }),
        () =>
          documents.watch({
            service: "mongodb-atlas",
            args: [{ ...namespace, filter: { "fullDocument.n": 1 } }],
            caller: Effect.succeed(ann)
          })
      )
      yield* stored.insertMany([{ _id: 1, n: 1 }, { _id: 2, n: 2 }, { _id: 3, n: 1 }])
      const told = yield* Effect.forEach(
        all,
        (watched) => Stream.runCollect(Stream.take(watched, 3)),
        { concurrency: "unbounded" }
      )
      for (const one of told) assert.deepStrictEqual(brief(one), ["insert 1", "insert 3"])
    }).pipe(Effect.scoped, Effect.provide(layer)))
})
