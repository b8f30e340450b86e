import * as MongoDBService from "@effect-realm/protocol/MongoDBService"
import * as RealmError from "@effect-realm/protocol/RealmError"
import * as StreamEvent from "@effect-realm/protocol/StreamEvent"
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import * as App from "../src/App.ts"
import type * as ChangeEvent from "../src/ChangeEvent.ts"
import * as Collection from "../src/Collection.ts"
import * as Credentials from "../src/Credentials.ts"
import * as TokenStore from "../src/TokenStore.ts"
import * as User from "../src/User.ts"
import * as Scripted from "./scripted.ts"

const app = App.make({ id: "shop-abcde", baseUrl: "http://localhost:9090" })
const Order = Schema.Struct({ _id: Schema.Int, note: Schema.String })

/** What one connection is answered: a refusal, or bytes that are cut off in the end, wherever that is. */
type Connection = Response | ReadonlyArray<Uint8Array>

interface Asked {
  readonly resumeAfter?: { readonly _data: string }
  readonly ids?: ReadonlyArray<unknown>
  /** By which token, and when, in milliseconds. */
  readonly bearer: string
  readonly at: number
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

const position = (place: number): string =>
  StreamEvent.encode({
    type: MongoDBService.position,
    data: JSON.stringify({ resumeToken: { _data: String(place) } })
  })

const change = (place: number, note = `née ${place} %25`): string =>
  StreamEvent.encode(StreamEvent.value({
    _id: { _data: String(place) },
    operationType: "insert",
    documentKey: { _id: { $numberInt: String(place) } },
    fullDocument: { _id: { $numberInt: String(place) }, note }
  }))

const refusal = (error: RealmError.RealmError): Response =>
  Response.json(RealmError.toWire(error), { status: RealmError.status(error) })

const answered = (connection: Connection): Response =>
  connection instanceof Response ? connection : new Response(
    new ReadableStream<Uint8Array>({
      start: (controller) => {
        for (const chunk of connection) controller.enqueue(chunk)
        controller.close()
      }
    }),
    { headers: { "content-type": "text/event-stream" } }
  )

/** Watches a collection of a server that answers connections like this; time passes by itself. */
const watching = (
  server: (asked: Asked, nth: number) => Connection,
  until: (events: ReadonlyArray<ChangeEvent.ChangeEvent<typeof Order.Type, number>>) => boolean,
  options?: Collection.WatchOptions<number>
) =>
  Effect.gen(function*() {
    const rest = Scripted.make()
    const asked: Array<Asked> = []
    const others = yield* Effect.provide(HttpClient.HttpClient, rest.layer)
    const peer = HttpClient.make((request, url) => {
      const call = url.searchParams.get("baas_request")
      if (call === null) return others.execute(request)
      return Effect.map(Clock.currentTimeMillis, (at) => {
        const { arguments: [args] } = JSON.parse(
          new TextDecoder().decode(Uint8Array.from(atob(call), (c) => c.charCodeAt(0)))
        )
        asked.push({ ...args, at, bearer: request.headers["authorization"] ?? "" })
        return HttpClientResponse.fromWeb(request, answered(server(asked.at(-1)!, asked.length)))
      })
    })
    const user = yield* Effect.provideService(
      App.logIn(app, Credentials.anonymous()),
      HttpClient.HttpClient,
      peer
    )
    const events: Array<ChangeEvent.ChangeEvent<typeof Order.Type, number>> = []
    const orders = User.mongoClient(user).db("shop").collection("orders", Order)
    const fiber = yield* Collection.watch(orders, options).pipe(
      Stream.runForEachWhile((event) =>
        Effect.sync(() => {
          events.push(event)
          return !until(events)
        })
      ),
      Effect.provideService(HttpClient.HttpClient, peer),
      Effect.result,
      Effect.forkChild({ startImmediately: true })
    )
    while (fiber.pollUnsafe() === undefined) {
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      yield* TestClock.adjust("1 second")
    }
    return { asked, events, sent: rest.sent, result: yield* Fiber.join(fiber) }
  }).pipe(Effect.provide(TokenStore.layerMemory))

const told = (events: ReadonlyArray<ChangeEvent.ChangeEvent<typeof Order.Type, number>>): ReadonlyArray<unknown> =>
  events.map((event) => event._tag === "Insert" ? event.fullDocument._id : event._tag)

/** Bytes cut at a place, in pieces of a size. */
const cut = (text: string, length: number, size: number): ReadonlyArray<Uint8Array> => {
  const whole = bytes(text).subarray(0, length)
  return Array.from({ length: Math.ceil(whole.length / size) }, (_, i) => whole.subarray(i * size, (i + 1) * size))
}

describe("Collection.watch", () => {
  it.effect.prop(
    "tells every change once and in order, wherever bytes and connections are cut",
    [
      Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 600 }))),
      Schema.Int.check(
        Schema.isBetween({ minimum: 1, maximum: 1000 })
      )
    ],
    ([lengths, size]) =>
      Effect.gen(function*() {
        const last = 8
        const { events } = yield* watching(
          ({ resumeAfter }, nth) => {
            const after = Number(resumeAfter?._data ?? 0)
            const text = position(after) +
              Array.from({ length: last - after }, (_, i) => change(after + i + 1)).join("")
            return cut(text, lengths[nth - 1] ?? text.length * 2, size)
          },
          (events) => events.length === last + 1
        )
        assert.deepStrictEqual(told(events), ["Opened", 1, 2, 3, 4, 5, 6, 7, 8])
      })
  )

  it.effect("says where changes may have been missed: of a server that cannot resume, once for each cut", () =>
    Effect.gen(function*() {
      const { events } = yield* watching((_, nth) => [bytes(change(nth))], (events) => events.length === 6)
      assert.deepStrictEqual(told(events), ["Opened", 1, "Gap", 2, "Gap", 3])
    }))

  it.effect("goes on from now when the server has forgotten the place, and says so", () =>
    Effect.gen(function*() {
      const lost = RealmError.make("ChangeStreamHistoryLost", "the resume point is no longer in the history")
      const { asked, events } = yield* watching(
        ({ resumeAfter }, nth) =>
          nth === 1
            ? [bytes(position(1) + change(2))]
            : resumeAfter === undefined
            ? [bytes(position(90) + change(91))]
            : refusal(lost),
        (events) => events.length === 4
      )
      assert.deepStrictEqual(told(events), ["Opened", 2, "Gap", 91])
      assert.deepInclude(events[2], { reason: "HistoryLost" })
      assert.deepStrictEqual(asked.map(({ resumeAfter }) => resumeAfter?._data), [undefined, "2", undefined])
    }))

  it.effect("fails when the server refuses for good", () =>
    Effect.forEach(
      [
        RealmError.make("NoMatchingRuleFound", "no rule"),
        RealmError.make("ServiceNotFound", "no service"),
        RealmError.make("ChangeStreamHistoryLost", "too old")
      ],
      (error) =>
        Effect.gen(function*() {
          const { asked, events, result } = yield* watching(() => refusal(error), () => false, {
            resumeAfter: { _data: "1" }
          })
          assert.deepStrictEqual(events, [])
          assert.strictEqual(asked.length, 1)
          assert.strictEqual(result._tag === "Failure" && result.failure._tag, error._tag)
        })
    ))

  it.effect("opens again after whatever passes, at first and later", () =>
    Effect.gen(function*() {
      const page = () => new Response("<html>", { status: 502, headers: { "content-type": "text/html" } })
      const { events } = yield* watching(
        ({ resumeAfter }, nth) => {
          const after = Number(resumeAfter?._data ?? 0)
          if (nth % 2 === 1) return page()
          return [bytes(position(after) + change(after + 1))]
        },
        (events) => events.length === 4
      )
      assert.deepStrictEqual(told(events), ["Opened", 1, 2, 3])
    }))

  it.effect("tells a document that does not fit, and goes on", () =>
    Effect.gen(function*() {
      const broken = change(1).replace("\"note\":", "\"other\":")
      const { events } = yield* watching(
        () => [bytes(position(0) + broken + change(2))],
        (events) => events.length === 3
      )
      assert.deepStrictEqual(told(events), ["Opened", "Mismatch", 2])
    }))

  it.effect("gets a fresh token when the server says within the stream that the old one has had its time", () =>
    Effect.gen(function*() {
      const expired = RealmError.make("InvalidSession", "invalid session: access token expired")
      let first = ""
      const { asked, events, sent } = yield* watching(
        ({ bearer, resumeAfter }, nth) => {
          if (nth === 1) {
            first = bearer
            return [bytes(position(0) + change(1) + StreamEvent.encode(StreamEvent.failure(expired)))]
          }
          if (bearer === first) return refusal(expired)
          return [bytes(position(Number(resumeAfter?._data)) + change(2))]
        },
        (events) => events.length === 3
      )
      assert.deepStrictEqual(told(events), ["Opened", 1, 2])
      assert.strictEqual(asked.length, 3)
      assert.strictEqual(sent.filter(({ path }) => path.endsWith("/auth/session")).length, 1)
    }))

  it.effect("ends with the session", () =>
    Effect.gen(function*() {
      const ended = RealmError.make("InvalidSession", "invalid session: failed to find refresh token")
      const { asked, events, result } = yield* watching(
        (_, nth) =>
          nth === 1
            ? [bytes(position(0) + change(1) + StreamEvent.encode(StreamEvent.failure(ended)))]
            : refusal(ended),
        () => false
      )
      assert.deepStrictEqual(told(events), ["Opened", 1])
      assert.strictEqual(result._tag === "Failure" && result.failure._tag, "SessionError")
      assert.strictEqual(asked.length, 3)
    }))

  it.effect("waits longer each time, from 200 milliseconds to 30 seconds, and anew after it was told something", () =>
    Effect.gen(function*() {
      const heard = 12
      const { asked } = yield* watching(
        ({ resumeAfter }, nth) =>
          nth % heard === 0
            ? [bytes(position(Number(resumeAfter?._data ?? 0)) + change(nth))]
            : refusal(RealmError.make("InternalServerError", "the server is away")),
        (events) => events.length === 3
      )
      const pauses = asked.slice(1).map(({ at }, index) => at - asked[index]!.at)
      assert.strictEqual(pauses.length, 2 * heard - 1)
      for (const [index, pause] of pauses.entries()) {
        const failures = index < heard - 1 ? index : index - (heard - 1)
        const usual = Math.min(200 * 2 ** failures, 30_000)
        // The connection that told something had to be read, while the clock went on in steps of a second.
        const step = index === heard - 1 ? 1000 : 0
        assert.isAtLeast(pause, usual * 0.8)
        assert.isAtMost(pause, usual * 1.2 + step)
      }
    }))

  it.effect("takes a connection that has fallen silent for lost, and goes on with another", () =>
    Effect.gen(function*() {
      const silent = (text: string) =>
        new Response(
          new ReadableStream<Uint8Array>({ start: (controller) => controller.enqueue(bytes(text)) }),
          { headers: { "content-type": "text/event-stream" } }
        )
      const { asked, events } = yield* watching(
        ({ resumeAfter }, nth) =>
          nth === 1 ? silent(position(0) + change(1)) : [bytes(position(Number(resumeAfter?._data)) + change(2))],
        (events) => events.length === 3
      )
      assert.deepStrictEqual(told(events), ["Opened", 1, 2])
      const [first, second] = asked
      assert.isAtLeast(second!.at - first!.at, 45_000)
      assert.isAtMost(second!.at - first!.at, 46_000)
    }))

  it.effect("hands on what came in one piece with what is wrong, before it opens again", () =>
    Effect.gen(function*() {
      const broken = StreamEvent.encode({ type: "message", data: "[1]" })
      const { asked, events } = yield* watching(
        (_, nth) => [bytes(nth === 1 ? position(0) + change(1) + change(2) + broken : position(2) + change(3))],
        (events) => events.length === 4
      )
      assert.deepStrictEqual(told(events), ["Opened", 1, 2, 3])
      assert.deepStrictEqual(asked.map(({ resumeAfter }) => resumeAfter?._data), [undefined, "2"])
    }))

  it.effect("hands on how arrays were cut, and where a collection went", () =>
    Effect.gen(function*() {
      const event = (place: number, fields: object) =>
        StreamEvent.encode(StreamEvent.value({ _id: { _data: String(place) }, ...fields }))
      const { events } = yield* watching(
        () => [bytes(
          position(0) + event(1, {
            operationType: "update",
            documentKey: { _id: { $numberInt: "1" } },
            fullDocument: null,
            updateDescription: {
              updatedFields: { "a.b": { $numberInt: "1" } },
              removedFields: ["c"],
              truncatedArrays: [{ field: "d", newSize: { $numberInt: "2" } }]
            }
          }) +
            event(2, { operationType: "rename", ns: { db: "shop", coll: "orders" }, to: { db: "shop", coll: "old" } })
        )],
        (events) => events.length === 3
      )
      assert.deepInclude(events[1], {
        _tag: "Update",
        updatedFields: { "a.b": 1 },
        removedFields: ["c"],
        truncatedArrays: [{ field: "d", newSize: 2 }]
      })
      assert.deepInclude(events[2], {
        _tag: "Other",
        operationType: "rename",
        to: Option.some({ database: "shop", collection: "old" })
      })
    }))

  it.effect("fails for what is wrong within the stream and comes again", () =>
    Effect.gen(function*() {
      const { asked, result } = yield* watching(
        () => [bytes(position(0) + StreamEvent.encode({ type: "message", data: "[1]" }))],
        () => false
      )
      assert.strictEqual(result._tag === "Failure" && result.failure._tag, "InvalidResponseError")
      assert.strictEqual(asked.length, 1)
    }))
})

describe("Collection.watch, over a socket", () => {
  /** A server whose streams say this and nothing more, and the streams that it opened and saw closed. */
  const serving = (text: string) =>
    Effect.gen(function*() {
      const opened = yield* Queue.unbounded<void>()
      const closed = yield* Queue.unbounded<void>()
      const server = createServer((request, response) => {
        const path = request.url ?? ""
        if (path.includes("baas_request")) {
          response.writeHead(200, { "content-type": "text/event-stream" })
          response.flushHeaders()
          response.write(text)
          response.on("close", () => Queue.offerUnsafe(closed, undefined))
          Queue.offerUnsafe(opened, undefined)
          return
        }
        const { body, status } = Scripted.wellBehaved({
          method: request.method ?? "",
          path,
          headers: {},
          body: undefined
        })
        response.writeHead(status ?? 200, { "content-type": "application/json" }).end(JSON.stringify(body))
      })
      yield* Effect.acquireRelease(
        Effect.callback<void>((resume) => {
          server.listen(0, "127.0.0.1", () => resume(Effect.void))
        }),
        () => Effect.sync(() => (server.closeAllConnections(), server.close()))
      )
      // It listens on a port.
      const { port } = server.address() as AddressInfo
      const user = yield* App.logIn(
        App.make({ id: "shop-abcde", baseUrl: `http://127.0.0.1:${port}` }),
        Credentials.anonymous()
      )
      return { opened, closed, orders: User.mongoClient(user).db("shop").collection("orders") }
    })

  it.effect("closes its socket, without waiting for anything, when it is interrupted: before its first event, and after", () =>
    Effect.gen(function*() {
      for (const text of ["", StreamEvent.comment, position(0), position(0) + change(1)]) {
        const { closed, opened, orders } = yield* serving(text)
        const seen = yield* Queue.unbounded<string>()
        const reading = yield* Effect.forkChild(
          Stream.runForEach(Collection.watch(orders), ({ _tag }) => Queue.offer(seen, _tag)),
          { startImmediately: true }
        )
        yield* Queue.take(opened)
        if (text.includes("position")) assert.strictEqual(yield* Queue.take(seen), "Opened")
        if (text.includes("insert")) assert.strictEqual(yield* Queue.take(seen), "Insert")
        // The clock of this test stands still.
        yield* Fiber.interrupt(reading)
        yield* Queue.take(closed)
      }
    }).pipe(Effect.scoped, Effect.provide([FetchHttpClient.layer, TokenStore.layerMemory])))
})
