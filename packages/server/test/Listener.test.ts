import { Database, Listener } from "@effect-realm/server"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { connect } from "node:net"
import * as Wire from "./support/wire.ts"

const app = Wire.makeApp({
  functions: [{
    name: "slow",
    source: "exports = () => new Promise((resolve) => setTimeout(() => resolve('done'), 300))"
  }]
})

const options = { app, passwords: Wire.passwords, functions: { workers: 1 } }

const server = (more: Partial<Listener.Options> = {}) =>
  Layer.provide(Listener.layer({ ...options, ...more }), Database.layerMemory)

const request = (url: string, init?: RequestInit) => Effect.tryPromise(() => fetch(url, init))

const logIn = Effect.fnUntraced(function*(origin: string) {
  const response = yield* request(`${origin}/api/client/v2.0/app/shop-abcde/auth/providers/anon-user/login`, {
    method: "POST"
  })
  const body: unknown = yield* Effect.promise(() => response.json())
  return (yield* Wire.tokens({ status: 200, headers: {}, text: "", body, fields: {} })).access_token
})

const callSlow = (origin: string, token: string) =>
  Effect.flatMap(
    request(`${origin}/api/client/v2.0/app/shop-abcde/functions/call`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify({ name: "slow", arguments: [] })
    }),
    (response) => Effect.promise(() => response.text())
  )

it.live("a stopping server takes no more connections, finishes what it has begun, and frees the port", () =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const context = yield* Layer.buildWithScope(server(), scope)
    const origin = yield* Effect.provideContext(Listener.origin, context)
    const token = yield* logIn(origin)
    const inFlight = yield* Effect.forkChild(callSlow(origin, token), { startImmediately: true })
    // The request has left this process when another one has come back.
    yield* logIn(origin)
    const stopping = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
    assert.strictEqual(yield* Fiber.join(inFlight), "\"done\"")
    yield* Fiber.join(stopping)
    assert.isTrue(Exit.isFailure(yield* Effect.exit(request(origin))))
    const port = Number(new URL(origin).port)
    const again = Effect.provide(Listener.origin, server({ port }))
    assert.strictEqual(yield* again, origin)
  }))

it.live("a client that neither ends its request nor its connection does not keep a server from stopping", () =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const context = yield* Layer.buildWithScope(server({ gracePeriod: 50 }), scope)
    const origin = yield* Effect.provideContext(Listener.origin, context)
    const closed = yield* Effect.callback<Promise<void>>((resume) => {
      const socket = connect(Number(new URL(origin).port), "127.0.0.1")
      const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()))
      socket.on("error", () => {})
      socket.write(
        "POST /api/client/v2.0/app/shop-abcde/auth/providers/anon-user/login HTTP/1.1\r\n" +
          "Host: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
        () => resume(Effect.succeed(closed))
      )
    })
    yield* Scope.close(scope, Exit.void)
    yield* Effect.promise(() => closed)
  }))

it.live("a client that is connected and has said nothing yet does not keep a server from stopping", () =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const context = yield* Layer.buildWithScope(server({ gracePeriod: 60_000 }), scope)
    const origin = yield* Effect.provideContext(Listener.origin, context)
    const closed = yield* Effect.callback<Promise<void>>((resume) => {
      const socket = connect(Number(new URL(origin).port), "127.0.0.1")
      const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()))
      socket.on("error", () => {}).once("connect", () => resume(Effect.succeed(closed)))
    })
    // Another request has come back: by now the server knows of the connection.
    yield* logIn(origin)
    yield* Scope.close(scope, Exit.void)
    yield* Effect.promise(() => closed)
  }))

/** What comes back for bytes that no client library would send. */
const exchange = (origin: string, text: string) =>
  Effect.callback<string>((resume) => {
    const { hostname, port } = new URL(origin)
    const socket = connect(Number(port), hostname)
    let answer = ""
    socket.on("data", (chunk) => {
      answer += chunk.toString()
    })
    socket.on("close", () => resume(Effect.succeed(answer)))
    socket.on("error", () => {})
    socket.write(text)
  })

it.live("what is no HTTP is answered in the shape of every other refusal", () =>
  Effect.gen(function*() {
    const origin = yield* Listener.origin
    const cases: ReadonlyArray<readonly [text: string, status: number, body: string]> = [
      ["nonsense\r\n\r\n", 400, `{"error":"the request is not HTTP/1.1","error_code":"BadRequest"}`],
      [
        `GET / HTTP/1.1\r\nhost: x\r\nx: ${"y".repeat(100_000)}\r\n\r\n`,
        431,
        `{"error":"request headers are too large"}`
      ]
    ]
    for (const [text, status, body] of cases) {
      const answer = yield* exchange(origin, text)
      assert.match(answer, new RegExp(`^HTTP/1.1 ${status} `))
      assert.match(answer, /content-type: application\/json/)
      assert.isTrue(answer.endsWith(body), answer)
    }
    // Nobody is reached at a host that is none.
    for (const host of ["", "host: \r\n", "host: a b/c\r\n"]) {
      const answer = yield* exchange(
        origin,
        `GET /api/client/v2.0/app/shop-abcde/location HTTP/1.1\r\nconnection: close\r\n${host}\r\n`
      )
      assert.match(answer, /^HTTP\/1.1 200 [^]*"hostname":"http:\/\/localhost"/, host)
    }
  }).pipe(Effect.provide(server())))

it.live("a token with much custom data fits into a header", () =>
  Effect.gen(function*() {
    const origin = yield* Listener.origin
    const response = yield* request(`${origin}/api/client/v2.0/auth/profile`, {
      headers: { authorization: `Bearer ${"x".repeat(40_000)}` }
    })
    assert.strictEqual(response.status, 401)
  }).pipe(Effect.provide(server())))

it.live("only this machine reaches a server that was not told where to listen", () =>
  Effect.gen(function*() {
    assert.match(yield* Listener.origin, /^http:\/\/127\.0\.0\.1:\d+$/)
  }).pipe(Effect.provide(server())))

it.live("a port in use is refused by name", () =>
  Effect.gen(function*() {
    const origin = yield* Listener.origin
    const port = Number(new URL(origin).port)
    const error = yield* Effect.flip(Effect.provide(Effect.void, server({ port })))
    assert.strictEqual(error._tag, "ListenError")
    assert.strictEqual(error.message, `Port ${port} is in use. Stop the program that has it, or choose another port.`)
  }).pipe(Effect.provide(server())))

it.live("a host that is none of this machine is refused by name", () =>
  Effect.gen(function*() {
    const error = yield* Effect.flip(Effect.provide(Effect.void, server({ host: "192.0.2.1" })))
    assert.match(error.message, /^192\.0\.2\.1 is no address of this machine/)
  }))

it.live("a body without a length is cut off at the limit", () =>
  Effect.gen(function*() {
    const origin = yield* Listener.origin
    const endless = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new Uint8Array(1_000).fill(120))
    })
    const init: RequestInit & { readonly duplex: "half" } = {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: endless,
      duplex: "half"
    }
    const response = yield* request(`${origin}/api/client/v2.0/app/shop-abcde/auth/providers/anon-user/login`, init)
    assert.strictEqual(response.status, 413)
    assert.strictEqual(response.headers.get("content-type"), "application/json")
    assert.match(yield* Effect.promise(() => response.text()), /larger than 10000 bytes/)
  }).pipe(Effect.provide(server({ maxBodySize: 10_000 }))))

it("options of the wrong type fail when the layer is made, by name", () => {
  assert.throws(() => Listener.layer({ ...options, port: 70_000 }), /port/)
  assert.throws(() => Listener.layer({ ...options, host: "" }), /host/)
  assert.throws(() => Listener.layer({ ...options, publicUrl: "x" }), /publicUrl/)
})
