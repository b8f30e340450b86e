import * as MongoDBService from "@effect-realm/protocol/MongoDBService"
import * as RealmError from "@effect-realm/protocol/RealmError"
import * as StreamEvent from "@effect-realm/protocol/StreamEvent"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
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
    const peer = HttpClient.make((request, url) =>
      Effect.sync(() => {
        const call = url.searchParams.get("baas_request")!
        const { arguments: [args] } = JSON.parse(
          new TextDecoder().decode(Uint8Array.from(atob(call), (c) => c.charCodeAt(0)))
        )
        asked.push(args)
        return HttpClientResponse.fromWeb(request, answered(server(args, asked.length)))
      })
    )
    const user = yield* Effect.provide(App.logIn(app, Credentials.anonymous()), rest.layer)
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
    return { asked, events, result: yield* Fiber.join(fiber) }
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
        Schema.isBetween({ minimum: 1, maximum: 40 })
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
