import { RealmError, StreamEvent } from "@effect-realm/protocol"
import { Database, Listener, Sessions } from "@effect-realm/server"
import { assert, describe, it } from "@effect/vitest"
import { Int32 } from "bson"
import type * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Tracer from "effect/Tracer"
import { get, type IncomingHttpHeaders, type IncomingMessage } from "node:http"
import { connect } from "node:net"
import * as Spans from "../../client/test/support/spans.ts"
import * as AppIds from "../src/internal/appIds.ts"
import * as Streams from "../src/internal/http/streams.ts"
import * as Wire from "./support/wire.ts"

const app = Wire.makeApp()

/** A server on a socket, whose services answer streaming calls as the test says. */
const serving = (open: Streams.Open, options: Partial<Listener.Options> = {}) =>
  Listener.layer({ app, passwords: Wire.passwords, functions: { workers: 1 }, ...options }).pipe(
    Layer.provide(Layer.succeed(Streams.ServiceStreams, open)),
    Layer.provideMerge(Database.layerMemory)
  )

const functionsUrl = (origin: string) => `${origin}/api/client/v2.0/app/${Wire.appId}/functions/call`

const encoded = (call: unknown): string => Buffer.from(JSON.stringify(call)).toString("base64")

const watch = encoded({ name: "watch", service: "mongodb-atlas", arguments: [{ $numberInt: "1" }] })

interface Connection {
  readonly status: number | undefined
  readonly headers: IncomingHttpHeaders
  /** Waits until the text that came, since the last time, matches. */
  readonly until: (pattern: RegExp) => Effect.Effect<string>
  /** The rest, to the end of the body. */
  readonly rest: Effect.Effect<string>
  readonly close: Effect.Effect<void>
}

/** A streaming call on a connection of its own, which is destroyed with the scope. */
const ask = Effect.fnUntraced(function*(
  query: Record<string, string>,
  headers: Record<string, string> = {}
): Effect.fn.Return<Connection, never, HttpServer.HttpServer | Scope.Scope> {
  const url = `${functionsUrl(yield* Listener.origin)}?${new URLSearchParams(query)}`
  const response = yield* Effect.acquireRelease(
    Effect.callback<IncomingMessage>((resume) => {
      get(url, { agent: false, headers: { accept: "text/event-stream", ...headers } }, (response) => {
        resume(Effect.succeed(response))
      })
    }),
    (response) => Effect.sync(() => response.destroy())
  )
  response.setEncoding("utf8").on("error", () => {})
  let text = ""
  const read = (isDone: () => boolean): Effect.Effect<string> =>
    Effect.callback((resume) => {
      const take = () => {
        text += response.read() ?? ""
        if (!isDone() && !response.readableEnded && !response.destroyed) return
        response.off("readable", take).off("end", take).off("close", take)
        const found = text
        text = ""
        resume(Effect.succeed(found))
      }
      response.on("readable", take).on("end", take).on("close", take)
      take()
    })
  return {
    status: response.statusCode,
    headers: response.headers,
    until: (pattern) => read(() => pattern.test(text)),
    rest: read(() => false),
    close: Effect.sync(() => response.destroy())
  }
})

const Tokens = Schema.Struct({ access_token: Schema.String, user_id: Schema.String })

const logIn = Effect.gen(function*() {
  const origin = yield* Listener.origin
  const response = yield* Effect.promise(() =>
    fetch(`${origin}/api/client/v2.0/app/${Wire.appId}/auth/providers/anon-user/login`, { method: "POST" })
  )
  return yield* Effect.orDie(Schema.decodeUnknownEffect(Tokens)(yield* Effect.promise(() => response.json())))
})

const asUser = Effect.map(logIn, ({ access_token }) => ({ authorization: `Bearer ${access_token}` }))

const ended = "event: end\ndata: {}\n\n"

describe("A streaming answer", () => {
  it.effect("begins at once, with headers that nobody keeps or collects, and says when it is complete", () =>
    Effect.gen(function*() {
      const events = yield* Queue.unbounded<StreamEvent.StreamEvent, Cause.Done>()
      const calls: Array<Streams.StreamCall> = []
      yield* Effect.gen(function*() {
        const connection = yield* ask({ baas_request: watch }, yield* asUser)
        assert.strictEqual(connection.headers["content-type"], "text/event-stream")
        assert.match(connection.headers["cache-control"] ?? "", /no-cache/)
        assert.strictEqual(yield* connection.until(/\n\n/), ":\n\n")
        yield* Queue.offer(events, StreamEvent.value({ text: "100 %\n" }))
        assert.strictEqual(
          yield* connection.until(/\n\n/),
          "data: {\"text\":\"100 %25\\n\"}\n\n"
        )
        yield* Queue.offer(events, { type: "position", data: "{}" })
        yield* Queue.end(events)
        assert.strictEqual(
          yield* connection.rest,
          `event: position\ndata: {}\n\n${ended}`
        )
        assert.strictEqual(calls[0]?.name, "watch")
        assert.deepStrictEqual(calls[0]?.args, [new Int32(1)])
        const caller = yield* calls[0]!.caller
        assert.notProperty(caller.request, "rawQueryString")
      }).pipe(Effect.provide(serving((call) =>
        Effect.sync(() => {
          calls.push(call)
          return Stream.fromQueue(events)
        })
      )))
    }))

  it.effect("is kept alive by comments", () =>
    Effect.gen(function*() {
      const { until } = yield* ask({ baas_request: watch }, yield* asUser)
      yield* until(/\n\n/)
      for (let beat = 0; beat < 3; beat++) {
        yield* TestClock.adjust("15 seconds")
        assert.strictEqual(yield* until(/\n\n/), ":\n\n")
      }
    }).pipe(Effect.provide(serving(() => Effect.succeed(Stream.never)))))

  it.effect("that fails ends with an event that says why, and of a mistake of the server's own only that there was one", () =>
    Effect.gen(function*() {
      const ends: ReadonlyArray<readonly [Streams.Events, RegExp]> = [
        [
          Stream.fail(RealmError.make("MongoDBError", "stream closed")),
          /^event: error\ndata: {"error":"stream closed","error_code":"MongoDBError","link":"[^"]+co_id=[0-9a-f]{24}"}\n\n$/
        ],
        [
          Stream.die(new Error("the card number is 4111")),
          /^event: error\ndata: {"error":"internal server error","error_code":"InternalServerError","link":"[^"]+"}\n\n$/
        ],
        [
          Stream.fail(new Database.DatabaseError({ reason: { _tag: "Locked", filename: "shop.db" } })),
          /"error_code":"InternalServerError"/
        ]
      ]
      for (const [events, expected] of ends) {
        yield* Effect.gen(function*() {
          const { rest } = yield* ask({ baas_request: watch }, yield* asUser)
          const text = yield* rest
          assert.include(text, "data: 1\n\n")
          assert.match(text.replace(":\n\n", "").replace("data: 1\n\n", ""), expected)
        }).pipe(
          Effect.provide(serving(() => Effect.succeed(Stream.concat(Stream.succeed(StreamEvent.value(1)), events))))
        )
      }
    }))

  it.effect("ends when the session does: at once, or with the next beat when another process has ended it", () =>
    Effect.gen(function*() {
      const database = yield* Database.Database
      const stored = database.collection({ database: AppIds.make(Wire.appId).database, collection: "sessions" })
      const sessions = yield* Sessions.Sessions
      for (const elsewhere of [false, true]) {
        const { access_token, user_id } = yield* logIn
        const { rest, until } = yield* ask({ baas_request: watch }, { authorization: `Bearer ${access_token}` })
        yield* until(/\n\n/)
        // That of another device.
        const other = yield* sessions.open({
          userId: user_id,
          identity: { id: "1", providerType: "anon-user", providerId: "p" },
          device: undefined,
          lifetime: Duration.days(1)
        })
        yield* sessions.end(other.id)
        assert.strictEqual(yield* until(/\n\n/), ":\n\n")
        if (elsewhere) {
          yield* stored.deleteMany({ userId: user_id })
          yield* TestClock.adjust("15 seconds")
        } else {
          yield* sessions.endAll(user_id)
        }
        assert.match(yield* rest, /^event: error\ndata: .*"error_code":"InvalidSession"/)
      }
    }).pipe(Effect.provide(serving(() => Effect.succeed(Stream.never)))))

  it.effect("interrupts what is behind it when the client goes away", () =>
    Effect.gen(function*() {
      const gone = yield* Deferred.make<void>()
      const released = yield* Deferred.make<void>()
      yield* Effect.gen(function*() {
        const { close, until } = yield* ask({ baas_request: watch }, yield* asUser)
        yield* until(/\n\n/)
        yield* close
        yield* Deferred.await(gone)
        yield* Deferred.await(released)
      }).pipe(Effect.provide(serving(() =>
        Effect.as(
          Effect.addFinalizer(() => Deferred.succeed(released, undefined)),
          Stream.fromEffect(Effect.onInterrupt(Effect.never, () => Deferred.succeed(gone, undefined)))
        )
      )))
    }))

  it.effect("does not run ahead of a client that does not read", () =>
    Effect.gen(function*() {
      let made = 0
      const event = StreamEvent.value("x".repeat(64 * 1024))
      yield* Effect.gen(function*() {
        const origin = new URL(yield* Listener.origin)
        const { authorization } = yield* asUser
        yield* Effect.acquireRelease(
          Effect.sync(() => {
            const socket = connect(Number(origin.port), origin.hostname)
            socket.pause()
            socket.write(
              `GET ${functionsUrl("")}?baas_request=${encodeURIComponent(watch)} HTTP/1.1\r\nhost: x\r\n` +
                `authorization: ${authorization}\r\n\r\n`
            )
            return socket
          }),
          (socket) => Effect.sync(() => socket.destroy())
        )
        const turns = Effect.promise(async () => {
          for (let turn = 0; turn < 200; turn++) await new Promise(setImmediate)
          return made
        })
        // Until nothing more is made for a while.
        yield* Effect.repeat(turns, { until: (now) => now > 0, times: 100 })
        let [before, now] = [0, yield* turns]
        while (now !== before) [before, now] = [now, yield* turns]
        // What the buffers of two sockets take; not the ten thousand events that there are.
        assert.isAbove(now, 0)
        assert.isBelow(now, 1000)
      }).pipe(
        Effect.scoped,
        Effect.provide(serving(() =>
          Effect.succeed(Stream.map(Stream.rechunk(Stream.range(1, 10_000), 1), () => {
            made++
            return event
          }))
        ))
      )
    }))

  it.effect("does not keep a server from stopping, and is not complete then", () =>
    Effect.gen(function*() {
      const connection = yield* Effect.provide(
        Effect.gen(function*() {
          const connection = yield* ask({ baas_request: watch }, yield* asUser)
          yield* connection.until(/\n\n/)
          return connection
        }),
        serving(() => Effect.succeed(Stream.never))
      )
      assert.strictEqual(yield* connection.rest, "")
    }))

  it.effect("may be read by the pages of the origins that the app allows", () =>
    Effect.gen(function*() {
      const user = yield* asUser
      const allowed = yield* ask({ baas_request: watch }, { ...user, origin: "https://shop.example" })
      assert.strictEqual(allowed.headers["access-control-allow-origin"], "https://shop.example")
      const other = yield* ask({ baas_request: watch }, { ...user, origin: "https://evil.example" })
      assert.strictEqual(other.status, 403)
    }).pipe(Effect.provide(serving(() => Effect.succeed(Stream.empty), {
      app: Wire.makeApp({ allowedRequestOrigins: ["https://shop.example"] })
    }))))
})

describe("A streaming call", () => {
  it.effect("takes the token from the header or, by either name, from the query", () =>
    Effect.gen(function*() {
      const { access_token } = yield* logIn
      for (
        const [query, headers] of [
          [{ baas_request: watch }, { authorization: `Bearer ${access_token}` }],
          [{ baas_request: watch, baas_at: access_token }, {}],
          [{ stitch_request: watch, stitch_at: access_token }, {}]
        ] as ReadonlyArray<readonly [Record<string, string>, Record<string, string>]>
      ) {
        const { rest, status } = yield* ask(query, headers)
        assert.strictEqual(status, 200)
        assert.include(yield* rest, ended)
      }
      const origin = yield* Listener.origin
      const elsewhere = yield* Effect.promise(() =>
        fetch(`${origin}/api/client/v2.0/auth/profile?baas_at=${access_token}`)
      )
      assert.strictEqual(elsewhere.status, 401)
    }).pipe(Effect.provide(serving(() => Effect.succeed(Stream.empty)))))

  it.effect("that is refused before it begins gets an ordinary answer", () =>
    Effect.gen(function*() {
      const { access_token } = yield* logIn
      const user = { authorization: `Bearer ${access_token}` }
      const plain = (call: unknown) => ({ baas_request: encoded(call) })
      const rows: ReadonlyArray<
        readonly [
          query: Record<string, string>,
          headers: Record<string, string>,
          status: number,
          code: string | undefined
        ]
      > = [
        [{ baas_request: watch }, {}, 401, "MissingAuthReq"],
        [{ baas_request: watch, baas_at: "" }, {}, 401, "MissingAuthReq"],
        [{ baas_request: watch, baas_at: "nonsense" }, {}, 401, undefined],
        [{ baas_request: watch, baas_at: access_token }, { authorization: "Bearer nonsense" }, 401, undefined],
        [{ baas_request: watch }, user, 403, "NoMatchingRuleFound"],
        [{}, user, 400, undefined],
        [{ baas_request: "%%%" }, user, 400, undefined],
        [plain({ name: 7, arguments: [] }), user, 400, undefined],
        [plain({ name: "unknown", arguments: [] }), user, 404, "FunctionNotFound"],
        [plain({ name: "secret", arguments: [] }), user, 400, "NotCallable"],
        [plain({ name: "sum", arguments: [] }), user, 400, "NotCallable"]
      ]
      for (const [query, headers, status, code] of rows) {
        const answer = yield* ask(query, headers)
        const text = yield* answer.rest
        assert.deepStrictEqual([answer.status, JSON.parse(text).error_code], [status, code], JSON.stringify(query))
        assert.strictEqual(answer.headers["content-type"], "application/json")
      }
    }).pipe(Effect.provide(serving(() => Effect.fail(RealmError.make("NoMatchingRuleFound", "no rule exists"))))))

  it.effect("of a service that there is not gets 404", () =>
    Effect.gen(function*() {
      const { status } = yield* ask({ baas_request: watch }, yield* asUser)
      assert.strictEqual(status, 404)
    }).pipe(Effect.provide(Listener.layer({ app, functions: { workers: 1 } })), Effect.provide(Database.layerMemory)))

  it.effect("shows neither token nor arguments in a span", () =>
    Effect.gen(function*() {
      const { spans, tracer } = Spans.recorder()
      yield* Effect.gen(function*() {
        const { access_token } = yield* logIn
        const { rest } = yield* ask({ baas_request: watch, baas_at: access_token })
        yield* rest
        const shown = JSON.stringify(spans.map((span) => [...span.attributes]))
        assert.include(shown, "/functions/call")
        assert.notInclude(shown, access_token)
        assert.notInclude(shown, watch)
      }).pipe(
        Effect.provide(Layer.provide(
          serving(() => Effect.succeed(Stream.empty)),
          Layer.succeed(Tracer.Tracer, tracer)
        ))
      )
    }))
})
