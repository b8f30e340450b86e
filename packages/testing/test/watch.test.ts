import { App, type ChangeEvent, Collection, Credentials, TokenStore, User } from "@effect-realm/client"
import { AppDefinition, Authentication, Database, Listener, Sessions } from "@effect-realm/server"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Fiber, Layer, Option, Queue, Schema, Scope, Stream } from "effect"
import { FetchHttpClient, HttpClient, HttpClientRequest } from "effect/http"
import { TestClock } from "effect/testing"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Faults, RealmTest, Requests } from "../src/index.ts"

class Order extends Schema.Class<Order>("Order")({ _id: Schema.Int, n: Schema.Int }) {}

const orders = { database: "shop", collection: "orders" }

const app = AppDefinition.make({
  appId: "shop-abcde",
  authProviders: { anonymous: {} },
  customUserData: { databaseName: "shop", collectionName: "people", userIdField: "userId" },
  dataSources: [{
    collections: [
      { ...orders, roles: [{ name: "everybody", applyWhen: {}, read: true, write: true, insert: true }] },
      {
        database: "shop",
        collection: "teams",
        roles: [{ name: "team", applyWhen: { team: "%%user.custom_data.team" }, read: true }]
      }
    ]
  }]
})

const layer = RealmTest.layer({ app })

/** An event in short. */
const brief = (event: ChangeEvent.ChangeEvent<Order, number>): string => {
  switch (event._tag) {
    case "Insert":
    case "Replace":
      return `${event._tag} ${event.fullDocument._id}: ${event.fullDocument.n}`
    case "Update":
      return `Update ${
        Option.match(event.fullDocument, { onNone: () => "gone", onSome: ({ _id, n }) => `${_id}: ${n}` })
      }`
    case "Delete":
      return `Delete ${event.documentKey._id}`
    default:
      return event._tag
  }
}

/** Lets what is due happen. */
const turns = Effect.promise(async () => {
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve))
})

/** Reads a stream in the background. */
const following = <A, E, R>(stream: Stream.Stream<A, E, R>) =>
  Effect.gen(function*() {
    const items = yield* Queue.unbounded<A>()
    const fiber = yield* Effect.forkScoped(Stream.runForEach(stream, (item) => Queue.offer(items, item)), {
      startImmediately: true
    })
    return {
      fiber,
      /** So many more, while time passes. */
      next: (count: number) =>
        Effect.gen(function*() {
          const found: Array<A> = []
          while (found.length < count && fiber.pollUnsafe() === undefined) {
            yield* turns
            found.push(...yield* Queue.clear(items))
            yield* TestClock.adjust("1 second")
          }
          return found
        }),
      /** What has come, without any time passing. */
      now: Effect.andThen(turns, Queue.clear(items)),
      /** How it ended, while time passes. */
      end: Effect.gen(function*() {
        while (fiber.pollUnsafe() === undefined) {
          yield* turns
          yield* TestClock.adjust("1 second")
        }
        return yield* Fiber.await(fiber)
      })
    }
  })

const watched = (user: User.User, options?: Collection.WatchOptions<number>) =>
  Stream.map(Collection.watch(User.mongoClient(user).db("shop").collection("orders", Order), options), brief)

/** Writes that are told by these events. */
const writes: ReadonlyArray<
  readonly [(stored: Database.Collection) => Effect.Effect<unknown, Database.DatabaseError>, string]
> = [
  [(stored) => stored.insertOne({ _id: 1, n: 1 }), "Insert 1: 1"],
  [(stored) => stored.insertOne({ _id: 2, n: 2 }), "Insert 2: 2"],
  [(stored) => stored.updateOne({ _id: 1 }, { $inc: { n: 10 } }), "Update 1: 11"],
  [(stored) => stored.replaceOne({ _id: 2 }, { n: 3 }), "Replace 2: 3"],
  [(stored) => stored.deleteOne({ _id: 1 }), "Delete 1"],
  [(stored) => stored.updateOne({ _id: 2 }, { $set: { n: 4 } }), "Update 2: 4"],
  [(stored) => stored.insertOne({ _id: 1, n: 5 }), "Insert 1: 5"],
  [(stored) => stored.deleteOne({ _id: 2 }), "Delete 2"]
]

/** A server on a file, and a user of it who sees one address, whichever port it has. */
const onFile = (changes?: Database.ChangeLogOptions) =>
  Effect.gen(function*() {
    const folder = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "realm-watch-"))),
      (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
    )
    const start = Effect.gen(function*() {
      const scope = yield* Scope.make()
      const layer = Listener.layer({ app, passwords: { cost: 2 }, functions: { workers: 1 } }).pipe(
        Layer.provideMerge(Database.layerFile({ filename: join(folder, "shop.db"), changes }))
      )
      const context = yield* Layer.buildWithMemoMap(layer, yield* Layer.makeMemoMap, scope)
      return {
        origin: yield* Effect.provideContext(Listener.origin, context),
        stored: Context.get(context, Database.Database).collection(orders),
        stop: Scope.close(scope, Exit.void)
      }
    })
    let server = yield* start
    yield* Effect.addFinalizer(() => server.stop)
    const client = HttpClient.mapRequest(yield* HttpClient.HttpClient, (request) =>
      HttpClientRequest.setUrl(request, request.url.replace("http://realm.test", server.origin)))
    const realm = App.make({ id: "shop-abcde", baseUrl: "http://realm.test" })
    return {
      client,
      user: yield* Effect.provideService(App.logIn(realm, Credentials.anonymous()), HttpClient.HttpClient, client),
      stored: () =>
        server.stored,
      restart: Effect.gen(function*() {
        yield* server.stop
        server = yield* start
      })
    }
  })

describe("Collection.watch against the server", { timeout: 30_000 }, () => {
  it.effect("tells every change once and in order, whatever happens to its connections", () =>
    Effect.gen(function*() {
      const cuts = [0, 3, 50, 100, 150, 250, 400, 600, 900, 1300]
      const faults = [
        Faults.dropBefore,
        Faults.html,
        Faults.answer({ status: 503, body: "{\"error\":\"service unavailable\"}" }),
        Faults.answer({ status: 401, body: "{\"error\":\"expired\",\"error_code\":\"InvalidSession\"}" }),
        Faults.delay("3 seconds"),
        ...cuts.flatMap((bytes) => [Faults.breakOff({ bytes }), Faults.truncate({ bytes })])
      ]
      let connections = 0
      const runs = yield* Faults.explore(
        { seeds: 15, rate: 0.9, limit: 12, faults, endpoint: "streamFunction" },
        (plan) =>
          Effect.gen(function*() {
            const user = yield* RealmTest.anonymousUser
            const stored = (yield* Database.Database).collection(orders)
            const { fiber, next } = yield* following(watched(user))
              .pipe(Faults.inject(plan))
            assert.deepStrictEqual(yield* next(1), ["Opened"])
            for (const [write] of writes) {
              yield* write(stored)
              yield* turns
              yield* TestClock.adjust("300 millis")
            }
            assert.deepStrictEqual(yield* next(writes.length), writes.map(([, told]) => told))
            assert.isUndefined(fiber.pollUnsafe())
            const requests = yield* Requests.Requests
            connections += yield* requests.count({ endpoint: "streamFunction" })
          }).pipe(Effect.scoped, Effect.provide(layer))
      )
      assert.isAbove(connections, 3 * runs)
    }))

  it.effect("goes on where it was when the server starts again, on the same file", () =>
    Effect.gen(function*() {
      const { client, restart, stored, user } = yield* onFile()
      const { next } = yield* following(Stream.provideService(watched(user), HttpClient.HttpClient, client))
      assert.deepStrictEqual(yield* next(1), ["Opened"])
      const told: Array<string> = []
      for (const [index, [write]] of writes.entries()) {
        yield* write(stored())
        if (index % 3 === 0) told.push(...yield* next(index + 1 - told.length))
        if (index % 2 === 1) yield* restart
      }
      told.push(...yield* next(writes.length - told.length))
      assert.deepStrictEqual(told, writes.map(([, told]) => told))
    }).pipe(Effect.scoped, Effect.provide([FetchHttpClient.layer, TokenStore.layerMemory])))

  it.effect("says so when the server remembers no longer what happened meanwhile, and goes on from there", () =>
    Effect.gen(function*() {
      const { client, restart, stored, user } = yield* onFile({ maxBytes: 10_000 })
      const { next } = yield* following(Stream.provideService(watched(user), HttpClient.HttpClient, client))
      assert.deepStrictEqual(yield* next(1), ["Opened"])
      const text = "x".repeat(10_000)
      yield* stored().insertOne({ _id: 1, n: 1 })
      assert.deepStrictEqual(yield* next(1), ["Insert 1: 1"])
      // Neither connection nor server, for a while.
      yield* restart
      for (let n = 2; n < 5; n++) yield* stored().updateOne({ _id: 1 }, { $set: { n, text } })
      assert.deepStrictEqual(yield* next(1), ["Gap"])
      yield* stored().updateOne({ _id: 1 }, { $set: { n: 5 } })
      assert.deepStrictEqual(yield* next(1), ["Update 1: 5"])
    }).pipe(Effect.scoped, Effect.provide([FetchHttpClient.layer, TokenStore.layerMemory])))

  it.effect("leaves nothing behind in the server, however it ends", () =>
    Effect.gen(function*() {
      const watches = { open: 0 }
      const counted = Layer.effect(
        Database.Database,
        Effect.map(Database.Database, (database) =>
          Database.Database.of({
            collection: (namespace, options) => {
              const found = database.collection(namespace, options)
              const begin = Effect.acquireRelease(
                Effect.sync(() => watches.open++),
                () => Effect.sync(() => watches.open--)
              )
              return {
                ...found,
                watchAs: (reader, options) => Stream.unwrap(Effect.as(begin, found.watchAs(reader, options)))
              }
            }
          }))
      ).pipe(Layer.provide(Database.layerMemory))
      const server = Listener.layer({ app, passwords: { cost: 2 }, functions: { workers: 1 } }).pipe(
        Layer.provideMerge(counted)
      )
      yield* Effect.gen(function*() {
        const realm = App.make({ id: "shop-abcde", baseUrl: yield* Listener.origin })
        const ways: ReadonlyArray<
          readonly [
            string,
            (
              user: User.User,
              fiber: Fiber.Fiber<unknown, unknown>
            ) => Effect.Effect<unknown, unknown, Sessions.Sessions | HttpClient.HttpClient | TokenStore.TokenStore>
          ]
        > = [
          ["interrupted", (_, fiber) => Fiber.interrupt(fiber)],
          ["logged out", (user) => User.logOut(user)],
          ["session ended", ({ id }) => Sessions.Sessions.use(({ endAll }) => endAll(id))]
        ]
        for (const [name, end] of ways) {
          const user = yield* App.logIn(realm, Credentials.anonymous({ reuse: false }))
          const { fiber, next } = yield* following(watched(user))
          assert.deepStrictEqual(yield* next(1), ["Opened"])
          assert.strictEqual(watches.open, 1, name)
          yield* end(user, fiber)
          while (watches.open > 0) {
            yield* turns
            yield* TestClock.adjust("1 second")
          }
        }
      }).pipe(Effect.provide(server))
    }).pipe(Effect.scoped, Effect.provide([FetchHttpClient.layer, TokenStore.layerMemory])))

  it.effect("ends typed, and tells nothing more, when its user may watch no longer", () =>
    Effect.gen(function*() {
      const ways: ReadonlyArray<
        readonly [
          name: string,
          end: (user: User.User) => Effect.Effect<unknown, unknown, Authentication.Authentication | Sessions.Sessions>,
          reason: "InvalidSession" | "UserDisabled"
        ]
      > = [
        ["the session is ended", ({ id }) => Sessions.Sessions.use(({ endAll }) => endAll(id)), "InvalidSession"],
        [
          "the user is disabled",
          ({ id }) => Authentication.Authentication.use(({ disableUser }) => disableUser(id)),
          "UserDisabled"
        ],
        [
          "the user is deleted",
          ({ id }) => Authentication.Authentication.use(({ deleteUser }) => deleteUser(id)),
          "InvalidSession"
        ]
      ]
      for (const [name, end, reason] of ways) {
        for (const occasion of ["at once", "with an event"]) {
          yield* Effect.gen(function*() {
            const user = yield* RealmTest.anonymousUser
            const stored = (yield* Database.Database).collection(orders)
            const reading = yield* following(watched(user))
            assert.deepStrictEqual(yield* reading.next(1), ["Opened"])
            yield* end(user)
            if (occasion === "with an event") yield* stored.insertOne({ _id: 1, n: 1 })
            const exit = yield* reading.end
            const error = Exit.isFailure(exit) ? Option.getOrUndefined(Cause.findErrorOption(exit.cause)) : undefined
            assert.strictEqual(error?._tag === "SessionError" && error.reason._tag, reason, `${name}, ${occasion}`)
            assert.deepStrictEqual(yield* reading.now, [])
            // One who is disabled may come back.
            assert.strictEqual(yield* User.isLoggedIn(user), reason === "UserDisabled")
          }).pipe(Effect.scoped, Effect.provide(layer))
        }
      }
    }))

  it.effect("ends at once when its user logs out, also where the server hears nothing of it", () =>
    Effect.gen(function*() {
      for (const plan of [Faults.none, Faults.at({ endpoint: "deleteSession" }, Faults.dropBefore)]) {
        yield* Effect.gen(function*() {
          const user = yield* RealmTest.anonymousUser
          const stored = (yield* Database.Database).collection(orders)
          const reading = yield* following(watched(user))
          assert.deepStrictEqual(yield* reading.next(1), ["Opened"])
          yield* Effect.ignore(Faults.inject(plan)(User.logOut(user)))
          yield* stored.insertOne({ _id: 1, n: 1 })
          assert.deepStrictEqual(yield* reading.now, [])
          const exit = yield* Fiber.await(reading.fiber)
          const error = Exit.isFailure(exit) ? Option.getOrUndefined(Cause.findErrorOption(exit.cause)) : undefined
          assert.strictEqual(error?._tag === "NotLoggedInError" && error.state, "LoggedOut")
        }).pipe(Effect.scoped, Effect.provide(layer))
      }
    }))

  it.effect("goes by the custom data of now, whatever the token of its user says", () =>
    Effect.gen(function*() {
      const user = yield* RealmTest.anonymousUser
      const database = yield* Database.Database
      const teams = database.collection({ database: "shop", collection: "teams" })
      const people = database.collection({ database: "shop", collection: "people" })
      yield* people.insertOne({ _id: 1, userId: user.id, team: "red" })
      const events = Collection.watch(User.mongoClient(user).db("shop").collection("teams"))
      const { now } = yield* following(
        Stream.map(events, (event) => event._tag === "Insert" ? event.fullDocument["_id"] : event._tag)
      )
      assert.deepStrictEqual(yield* now, ["Opened"])
      yield* teams.insertMany([{ _id: 1, team: "red" }, { _id: 2, team: "blue" }])
      assert.deepStrictEqual(yield* now, [1])
      // The place after what was not seen.
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* now, [])
      yield* people.updateOne({ _id: 1 }, { $set: { team: "blue" } })
      yield* teams.insertMany([{ _id: 3, team: "red" }])
      assert.deepStrictEqual(yield* now, [])
      yield* teams.insertMany([{ _id: 4, team: "blue" }])
      assert.deepStrictEqual(yield* now, [4])
      yield* people.updateOne({ _id: 1 }, { $set: { team: "red" } })
      yield* teams.insertMany([{ _id: 5, team: "red" }])
      // Nobody looked at the custom data meanwhile.
      yield* TestClock.adjust("15 seconds")
      assert.deepStrictEqual(yield* now, [5])
    }).pipe(Effect.scoped, Effect.provide(layer)))
})
