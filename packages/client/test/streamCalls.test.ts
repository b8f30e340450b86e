import { RealmError, StreamEvent } from "@effect-realm/protocol"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Option, Queue, Schema, Stream } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { App, Credentials, Policy, TokenStore } from "../src/index.ts"
import * as StreamCalls from "../src/internal/functions/streamCalls.ts"
import * as Scripted from "./scripted.ts"

const app = App.make({ id: "shop-abcde", baseUrl: "http://localhost:9090" })

const message = (data: string): StreamEvent.StreamEvent => ({ type: "message", data })

/** A streaming call that the peer has received. */
interface Opened {
  readonly url: URL
  readonly authorization: string
  readonly accept: string | undefined
  /** Sends text; `undefined` ends the body. */
  readonly send: (text: string | undefined) => void
  readonly breakOff: () => void
  readonly aborted: () => boolean
}

interface Peer {
  readonly opened: ReadonlyArray<Opened>
  readonly sent: ReadonlyArray<Scripted.Sent>
  readonly layer: Layer.Layer<HttpClient.HttpClient>
}

/**
 * A peer whose streams the test writes by hand.
 *
 * @param head what answers the n-th call, from 0: a stream by default
 */
const makePeer = (head: (nth: number) => Response | "never" | undefined = () => undefined): Peer => {
  const opened: Array<Opened> = []
  const scripted = Scripted.make()
  const layer = Layer.effect(
    HttpClient.HttpClient,
    Effect.map(HttpClient.HttpClient, (other) =>
      HttpClient.make((request, url, signal) => {
        if (request.method !== "GET" || !url.pathname.endsWith("/functions/call")) return other.execute(request)
        const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
        const writer = writable.getWriter()
        const ignore = (promise: Promise<void>) => void promise.catch(() => {})
        ignore(writer.closed)
        signal.addEventListener("abort", () => ignore(writer.abort(new Error("aborted"))))
        const nth = opened.push({
          url,
          authorization: request.headers["authorization"] ?? "",
          accept: request.headers["accept"],
          send: (text) => ignore(text === undefined ? writer.close() : writer.write(new TextEncoder().encode(text))),
          breakOff: () => ignore(writer.abort(new Error("socket hang up"))),
          aborted: () => signal.aborted
        })
        const answer = head(nth - 1) ??
          new Response(readable, { headers: { "content-type": "text/event-stream; charset=utf-8" } })
        return answer === "never" ? Effect.never : Effect.succeed(HttpClientResponse.fromWeb(request, answer))
      }))
  ).pipe(Layer.provide(scripted.layer))
  return { opened, sent: scripted.sent, layer }
}

const refused = (status: number, error: string, code?: string) =>
  Response.json({ error, ...(code === undefined ? undefined : { error_code: code }) }, { status })

const session = (peer: Peer) => Layer.mergeAll(peer.layer, TokenStore.layerMemory)

const user = App.logIn(app, Credentials.emailPassword({ email: "ann@example.com", password: "correct horse" }))

const call = { name: "ticks", args: [{ $numberInt: "1" }] }

/** Runs a call to its end, whose peer is moved by `move` once it has been asked. */
const run = (peer: Peer, move: (opened: Opened) => void) =>
  Effect.gen(function*() {
    const events = StreamCalls.events(yield* user, call)
    const seen: Array<StreamEvent.StreamEvent> = []
    const fiber = yield* Effect.forkChild(
      Stream.runForEach(events, (event) => Effect.sync(() => seen.push(event))),
      { startImmediately: true }
    )
    while (peer.opened.length === 0) yield* Effect.yieldNow
    move(peer.opened[0]!)
    const exit = yield* Effect.exit(Fiber.join(fiber))
    return { seen, failure: Exit.isFailure(exit) ? Option.getOrThrow(Exit.findErrorOption(exit)) : undefined }
  }).pipe(Effect.provide(session(peer)))

describe("A streaming call", () => {
  it.effect("hands on every event in its order, and ends when the server says so", () =>
    Effect.gen(function*() {
      const peer = makePeer()
      const { failure, seen } = yield* run(peer, ({ send }) => {
        send(":\n\ndata: 1\n\nevent: position\ndata: {}\n\nda")
        send("ta: 2%25\r")
        send("\n\r\nevent: end\ndata: {}\n\ndata: 3\n\n")
      })
      assert.isUndefined(failure)
      assert.deepStrictEqual(seen, [message("1"), { type: "position", data: "{}" }, message("2%")])
    }))

  it.effect("carries the user's token in the header, asks for events, and shows neither token nor arguments in its URL", () =>
    Effect.gen(function*() {
      const peer = makePeer()
      yield* run(peer, ({ send }) => send(StreamEvent.encode(StreamEvent.end)))
      const { accept, authorization, url } = peer.opened[0]!
      assert.strictEqual(accept, "text/event-stream")
      assert.strictEqual(authorization, `Bearer ${Scripted.accessToken("u1")}`)
      assert.deepStrictEqual([...url.searchParams.keys()], ["baas_request"])
      assert.deepStrictEqual(
        JSON.parse(atob(url.searchParams.get("baas_request") ?? "")),
        { name: "ticks", arguments: [{ $numberInt: "1" }] }
      )
    }))

  it.effect("fails with the refusal of an error event, after what came before it", () =>
    Effect.gen(function*() {
      const { failure, seen } = yield* run(makePeer(), ({ send }) => {
        send("data: 1\n\n" + StreamEvent.encode(StreamEvent.failure(RealmError.make("MongoDBError", "gone"))))
      })
      assert.deepStrictEqual(seen, [message("1")])
      assert.deepStrictEqual(failure, RealmError.make("MongoDBError", "gone"))
    }))

  it.effect("that breaks is no stream that is complete", () =>
    Effect.gen(function*() {
      const ways: ReadonlyArray<(opened: Opened) => void> = [
        ({ breakOff, send }) => {
          send("data: 1\n\n")
          breakOff()
        },
        // A proxy that ends the body as if all were well.
        ({ send }) => {
          send("data: 1\n\n")
          send(undefined)
        },
        ({ send }) => send(undefined)
      ]
      for (const way of ways) {
        const { failure } = yield* run(makePeer(), way)
        assert.strictEqual(failure?._tag, "TransportError")
      }
    }))

  it.effect("fails typed for what is no stream of events", () =>
    Effect.gen(function*() {
      const page = new Response("<html>", { headers: { "content-type": "text/html" } })
      assert.strictEqual((yield* run(makePeer(() => page), () => {})).failure?._tag, "InvalidResponseError")
      const broken = new Response(Uint8Array.of(0x64, 0xff, 0x0a), { headers: { "content-type": "text/event-stream" } })
      const error = (yield* run(makePeer(() => broken), () => {})).failure
      assert.match(String(error), /not UTF-8/)
    }))

  it.effect("that is refused before it begins fails like any other call", () =>
    Effect.gen(function*() {
      const peer = makePeer(() => refused(404, "function not found: 'ticks'", "FunctionNotFound"))
      const { failure } = yield* run(peer, () => {})
      assert.strictEqual(failure?._tag, "FunctionError")
      assert.strictEqual(peer.opened.length, 1)
    }))

  it.effect("is asked for twice at most, with one exchange between, after a 401 that a new token cures", () =>
    Effect.gen(function*() {
      const cured: Peer = makePeer((nth) => {
        if (nth === 0) return refused(401, "invalid session", "InvalidSession")
        queueMicrotask(() => cured.opened[nth]?.send(StreamEvent.encode(StreamEvent.end)))
        return undefined
      })
      const { failure } = yield* run(cured, () => {})
      assert.isUndefined(failure)
      assert.strictEqual(cured.opened.length, 2)
      assert.notStrictEqual(cured.opened[0]?.authorization, cured.opened[1]?.authorization)

      const never = makePeer(() => refused(401, "invalid session", "InvalidSession"))
      const failed = yield* run(never, () => {})
      assert.strictEqual(failed.failure?._tag, "SessionError")
      assert.strictEqual(never.opened.length, 2)
      assert.strictEqual(never.sent.filter(({ path }) => path.endsWith("/auth/session")).length, 1)
    }))

  it.effect("has a deadline for its head and none for its body, as long as that is kept alive", () =>
    Effect.gen(function*() {
      const silent = makePeer(() => "never")
      const waiting = yield* Effect.forkChild(
        Policy.provide(run(silent, () => {}), { deadline: "5 seconds" }),
        { startImmediately: true }
      )
      while (silent.opened.length === 0) yield* Effect.yieldNow
      yield* TestClock.adjust("5 seconds")
      const { failure } = yield* Fiber.join(waiting)
      assert.strictEqual(failure?._tag === "TransportError" && failure.reason._tag, "TimedOut")
      assert.isTrue(silent.opened[0]?.aborted())

      const peer = makePeer()
      const events = yield* Queue.unbounded<StreamEvent.StreamEvent>()
      yield* Effect.gen(function*() {
        const stream = StreamCalls.events(yield* user, call)
        const reading = yield* Effect.forkChild(
          Stream.runForEach(stream, (event) => Queue.offer(events, event)),
          { startImmediately: true }
        )
        while (peer.opened.length === 0) yield* Effect.yieldNow
        peer.opened[0]?.send("data: 1\n\n")
        yield* Queue.take(events)
        for (let beat = 0; beat < 30; beat++) {
          yield* TestClock.adjust("44 seconds")
          peer.opened[0]?.send(StreamEvent.comment)
          yield* Effect.promise(() => new Promise(setImmediate))
        }
        peer.opened[0]?.send("data: 2\n\n")
        assert.deepStrictEqual(yield* Queue.take(events), message("2"))
        assert.isUndefined(reading.pollUnsafe())
        yield* TestClock.adjust("45 seconds")
        const lost = yield* Effect.flip(Fiber.join(reading))
        assert.match(String(lost), /nothing has arrived on the stream for 45 seconds/)
        assert.isTrue(peer.opened[0]?.aborted())
      }).pipe(Effect.provide(session(peer)))
    }))

  it.effect("aborts its request when it is given up: before its head, before its first event, and after", () =>
    Effect.gen(function*() {
      for (const when of ["head", "first", "later", "take"] as const) {
        const peer = makePeer(() => when === "head" ? "never" : undefined)
        yield* Effect.gen(function*() {
          const seen = yield* Queue.unbounded<void>()
          const stream = StreamCalls.events(yield* user, call)
          const reading = yield* Effect.forkChild(
            Stream.runForEach(when === "take" ? Stream.take(stream, 1) : stream, () => Queue.offer(seen, undefined)),
            { startImmediately: true }
          )
          while (peer.opened.length === 0) yield* Effect.yieldNow
          const opened = peer.opened[0]!
          if (when === "later" || when === "take") {
            opened.send("data: 1\n\n")
            yield* Queue.take(seen)
          }
          yield* when === "take" ? Fiber.join(reading) : Fiber.interrupt(reading)
          assert.isTrue(opened.aborted(), when)
        }).pipe(Effect.provide(session(peer)))
      }
    }))

  it.effect.prop(
    "loses and doubles nothing, wherever its bytes are cut",
    [Schema.Array(Schema.Literals(["%", "\n", "€", "x"])).check(Schema.isMaxLength(8)), Schema.Literals([1, 2, 3, 7])],
    ([data, size]) => {
      const sent = data.map((character, index) => message(`${index}${character}`))
      const bytes = new TextEncoder().encode([...sent, StreamEvent.end].map(StreamEvent.encode).join(""))
      const body = new ReadableStream<Uint8Array>({
        start: (controller) => {
          for (let at = 0; at < bytes.length; at += size) controller.enqueue(bytes.slice(at, at + size))
          controller.close()
        }
      })
      const peer = makePeer(() => new Response(body, { headers: { "content-type": "text/event-stream" } }))
      return Effect.map(run(peer, () => {}), ({ failure, seen }) => {
        assert.isUndefined(failure)
        assert.deepStrictEqual(seen, sent)
      })
    }
  )
})
