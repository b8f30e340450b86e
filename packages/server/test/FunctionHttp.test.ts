import * as FunctionHttp from "@effect-realm/server/FunctionHttp"
import type * as Functions from "@effect-realm/server/Functions"
import { assert, it } from "@effect/vitest"
import { Binary, Int32 } from "bson"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import { createHash } from "node:crypto"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { vi } from "vitest"
import * as Digest from "../src/internal/functions/digestAuth.ts"
import * as GuardedHttpClient from "../src/internal/functions/guardedHttpClient.ts"
import { isPublic } from "../src/internal/functions/publicAddress.ts"
import { call, patience, reason, type Sources, withFunctions } from "./support/functions.ts"

vi.setConfig({ testTimeout: patience, hookTimeout: patience })

/** A server on loopback, and its origin. */
const peer = (handle: (request: IncomingMessage, response: ServerResponse) => void) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly origin: string; readonly host: string; readonly close: () => void }>((resume) => {
      const server = createServer(handle)
      server.listen(0, "127.0.0.1", () => {
        // It listens, so its address is one.
        const { port } = server.address() as AddressInfo
        const close = () => {
          server.closeAllConnections()
          server.close()
        }
        resume(Effect.succeed({ origin: `http://127.0.0.1:${port}`, host: `127.0.0.1:${port}`, close }))
      })
    }),
    ({ close }) => Effect.sync(close)
  )

const bodyOf = async (request: IncomingMessage): Promise<string> => {
  const chunks: Array<Buffer> = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}

/** Answers what it was asked. */
const mirror = peer((request, response) => {
  void bodyOf(request).then((body) => {
    const { headers, method, url } = request
    response.setHeader("set-cookie", ["a=1; Path=/", "b=2"])
    response.setHeader("x-list", ["1", "2"])
    response.setHeader("content-type", "application/json")
    response.statusCode = 201
    response.end(JSON.stringify({ method, url, headers, body }))
  })
})

const sources: Sources = {
  http: `exports = async (method, request) => {
    const { body, ...rest } = await context.http[method](request)
    return { ...rest, binary: body instanceof BSON.Binary, text: body.text() }
  }`,
  echo: "exports = async (method, request) => JSON.parse((await context.http[method](request)).body.text())",
  fails: `exports = async (method, request) => {
    try { await context.http[method](request) } catch (error) { return [error instanceof Error, error.name, error.code, error.message] }
  }`,
  many:
    "exports = async (n, request) => (await Promise.all(Array.from({ length: n }, () => context.http.get(request)))).length",
  status: "exports = async (request) => (await context.http.get(request)).statusCode",
  get: "exports = (request) => context.http.get(request)",
  sum: "exports = (...numbers) => numbers.reduce((a, b) => a + b, 0)"
}

const withHttp = (options?: FunctionHttp.Options): Layer.Layer<Functions.Functions> =>
  withFunctions(sources).pipe(
    Layer.provide(FunctionHttp.layer(options)),
    Layer.provide(GuardedHttpClient.layer)
  )

const loopback: FunctionHttp.Options = { allowedHosts: ["127.0.0.1"] }

it.effect("an answer has the documented members, whatever its status", () =>
  Effect.gen(function*() {
    const { origin } = yield* mirror
    const answer = (yield* call("http", "get", { url: `${origin}/path` })) as { readonly [name: string]: unknown }
    const { headers, text, ...rest } = answer
    assert.deepStrictEqual(rest, {
      status: "201 Created",
      statusCode: new Int32(201),
      contentLength: new Int32(String(text).length),
      cookies: { a: "1", b: "2" },
      binary: true
    })
    const { "Content-Type": contentType, "Set-Cookie": setCookie, "X-List": list } = headers as never
    assert.deepStrictEqual([contentType, setCookie, list], [["application/json"], ["a=1; Path=/", "b=2"], ["1, 2"]])
  }).pipe(Effect.provide(withHttp(loopback))))

it.effect("each method sends itself, and head has no body", () =>
  Effect.gen(function*() {
    const { origin } = yield* mirror
    for (const method of ["get", "post", "put", "patch", "delete"]) {
      const seen = (yield* call("echo", method, { url: origin })) as { readonly method: string }
      assert.strictEqual(seen.method, method.toUpperCase())
    }
    const head = (yield* call("http", "head", { url: origin })) as { readonly [name: string]: unknown }
    assert.deepStrictEqual([head["statusCode"], head["text"]], [new Int32(201), ""])
  }).pipe(Effect.provide(withHttp(loopback))))

it.effect("a request is made of parts as well as of a URL, and carries headers, cookies and every kind of body", () =>
  Effect.gen(function*() {
    const { host, origin } = yield* mirror
    const seen = (method: string, request: object) =>
      call("echo", method, request) as Effect.Effect<
        { readonly url: string; readonly body: string; readonly headers: { readonly [name: string]: string } },
        never,
        Functions.Functions
      >
    const parts = yield* seen("get", {
      scheme: "http",
      host,
      path: "a b/c",
      query: { q: ["x&y", "z"], one: ["1"] },
      fragment: "top",
      headers: { "X-One": ["1"], "x-two": ["2", "3"], "X-Text": "text", constructor: "own" },
      cookies: { a: "1", b: ["2"] }
    })
    assert.strictEqual(parts.url, "/a%20b/c?q=x%26y&q=z&one=1")
    assert.include(parts.headers, {
      "x-one": "1",
      "x-two": "2, 3",
      "x-text": "text",
      constructor: "own",
      cookie: "a=1; b=2"
    })

    const text = yield* seen("post", { url: origin, body: "tea" })
    assert.deepStrictEqual([text.body, text.headers["content-type"]], ["tea", "text/plain; charset=utf-8"])
    const bytes = yield* seen("post", { url: origin, body: new Binary(Buffer.from("tea")) })
    assert.deepStrictEqual([bytes.body, bytes.headers["content-type"]], ["tea", "application/octet-stream"])
    const json = yield* seen("post", { url: origin, body: { n: 1, when: new Date(0) }, encodeBodyAsJSON: true })
    assert.deepStrictEqual(
      [json.body, json.headers["content-type"]],
      ["{\"n\":1,\"when\":{\"$date\":\"1970-01-01T00:00:00Z\"}}", "application/json"]
    )
    const form = yield* seen("post", { url: origin, form: { a: ["1 2", "3"], b: "é" } })
    assert.deepStrictEqual(
      [form.body, form.headers["content-type"]],
      ["a=1+2&a=3&b=%C3%A9", "application/x-www-form-urlencoded"]
    )
    const own = yield* seen("post", { url: origin, body: "<a/>", headers: { "Content-Type": ["text/xml"] } })
    assert.strictEqual(own.headers["content-type"], "text/xml")
  }).pipe(Effect.provide(withHttp(loopback))))

it.effect("redirects are followed when asked for, and credentials stay with the server they are for", () =>
  Effect.gen(function*() {
    const other = yield* mirror
    const { origin } = yield* peer((request, response) => {
      const [, status, to] = request.url!.split("/")
      response.writeHead(Number(status), {
        location: to === "other" ? other.origin : to === "loop" ? request.url : "/201"
      })
      response.end()
    })
    assert.deepStrictEqual(yield* call("status", { url: `${origin}/302/other` }), new Int32(302))

    const request = { followRedirects: true, headers: { Authorization: ["secret"], "X-Own": ["1"] }, body: "tea" }
    const seen = (status: number) =>
      call("echo", "post", { ...request, url: `${origin}/${status}/other` }) as Effect.Effect<
        { readonly method: string; readonly body: string; readonly headers: { readonly [name: string]: string } },
        never,
        Functions.Functions
      >
    for (const status of [301, 302, 303]) {
      const { body, headers, method } = yield* seen(status)
      assert.deepStrictEqual([method, body, headers["x-own"], headers["authorization"]], ["GET", "", "1", undefined])
    }
    for (const status of [307, 308]) {
      const { body, headers, method } = yield* seen(status)
      assert.deepStrictEqual([method, body, headers["authorization"]], ["POST", "tea", undefined])
    }
    const loop = yield* call("fails", "get", { url: `${origin}/302/loop`, followRedirects: true })
    assert.match(String((loop as ReadonlyArray<unknown>)[3]), /redirects more than 10 times/)
  }).pipe(Effect.provide(withHttp(loopback))))

it.effect("a user is named by Basic or, when asked for, by Digest authentication", () =>
  Effect.gen(function*() {
    const md5 = (text: string) => createHash("md5").update(text).digest("hex")
    const { host, origin } = yield* peer((request, response) => {
      const given = request.headers.authorization ?? ""
      const [, cnonce] = /cnonce="(\w+)"/.exec(given) ?? []
      const expected = md5(
        `${md5("ada:shop, \"north\":pa:ss")}:n0nce:00000001:${cnonce}:auth:${md5("GET:/digest?q=1")}`
      )
      const right = given.startsWith("Basic")
        ? given === `Basic ${Buffer.from("ada:pa:ss").toString("base64")}`
        : given.includes(`response="${expected}"`) && given.includes("opaque=\"o\"")
      response.writeHead(right ? 200 : 401, {
        "www-authenticate":
          "Basic realm=\"x\", Digest realm=\"shop, \\\"north\\\"\", nonce=\"n0nce\", qop=\"auth,auth-int\", opaque=\"o\""
      })
      response.end()
    })
    const user = { username: "ada", password: "pa:ss" }
    const url = `${origin}/digest?q=1`
    assert.deepStrictEqual(yield* call("status", { url, ...user }), new Int32(200))
    assert.deepStrictEqual(yield* call("status", { url: `http://ada:pa%3Ass@${host}/` }), new Int32(200))
    assert.deepStrictEqual(yield* call("status", { url, ...user, digestAuth: true }), new Int32(200))
    assert.deepStrictEqual(
      yield* call("status", { url, ...user, password: "wrong", digestAuth: true }),
      new Int32(401)
    )
  }).pipe(Effect.provide(withHttp(loopback))))

it("a digest is that of the example in RFC 7616", () => {
  const header = Digest.authorization(
    {
      realm: "http-auth@example.org",
      nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
      opaque: "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS",
      algorithm: "SHA-256",
      auth: true
    },
    {
      method: "GET",
      path: "/dir/index.html",
      username: "Mufasa",
      password: "Circle of Life",
      cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    }
  )
  assert.include(header, "response=\"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1\"")
})

it.effect("authUrl is asked first, and its cookies go along", () =>
  Effect.gen(function*() {
    const { origin } = yield* peer((request, response) => {
      if (request.url === "/login") response.setHeader("set-cookie", "session=s1; HttpOnly")
      response.end(JSON.stringify({ cookie: request.headers.cookie ?? null }))
    })
    const request = { url: origin, authUrl: `${origin}/login`, cookies: { own: "1" } }
    assert.deepStrictEqual(yield* call("echo", "get", request), { cookie: "session=s1; own=1" })
  }).pipe(Effect.provide(withHttp(loopback))))

it.effect("by default nothing but the public Internet is reached, by whatever name, address or redirect", () =>
  Effect.gen(function*() {
    const { origin } = yield* mirror
    const port = new URL(origin).port
    for (
      const host of [
        "127.0.0.1",
        "localhost",
        "127.1",
        "0x7f000001",
        "2130706433",
        "0.0.0.0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "10.0.0.1",
        "169.254.169.254",
        "[fd00::1]"
      ]
    ) {
      const [isError, name, code, message] = (yield* call("fails", "get", {
        url: `http://${host}:${port}/?key=secret`
      })) as ReadonlyArray<unknown>
      assert.deepStrictEqual([isError, name, code], [true, "NoMatchingRuleFound", "NoMatchingRuleFound"], host)
      assert.notInclude(String(message), "secret")
    }
    assert.strictEqual((yield* reason(call("get", { url: origin })))._tag, "FunctionExecutionError")
  }).pipe(Effect.provide(withHttp())))

it.effect("a host that is named is reached, and one that is not named is not, by a redirect neither", () =>
  Effect.gen(function*() {
    const { host, origin } = yield* mirror
    const away = yield* peer((_, response) => {
      response.writeHead(302, { location: `http://localhost:${new URL(origin).port}/` })
      response.end()
    })
    yield* Effect.gen(function*() {
      assert.deepStrictEqual(yield* call("status", { url: origin }), new Int32(201))
      assert.deepStrictEqual(yield* call("status", { url: away.origin }), new Int32(302))
      const refused = (yield* call("fails", "get", { url: away.origin, followRedirects: true })) as ReadonlyArray<
        unknown
      >
      assert.strictEqual(refused[1], "NoMatchingRuleFound")
      const example = (yield* call("fails", "get", { url: "http://shop.example" })) as ReadonlyArray<unknown>
      assert.strictEqual(example[1], "NoMatchingRuleFound")
    }).pipe(Effect.provide(withHttp({ allowedHosts: [host, away.host] })))
  }))

it("addresses of special purpose are not public", () => {
  for (const address of ["8.8.8.8", "172.15.0.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8"]) {
    assert.isTrue(isPublic(address), address)
  }
  for (
    const address of [
      "0.1.2.3",
      "10.255.255.255",
      "100.64.0.1",
      "127.255.0.1",
      "169.254.169.254",
      "172.16.0.1",
      "172.31.255.255",
      "192.168.0.1",
      "198.19.0.1",
      "224.0.0.1",
      "255.255.255.255",
      "::",
      "::1",
      "::ffff:10.0.0.1",
      "::ffff:7f00:1",
      "64:ff9b::a00:1",
      "2002:a00:1::",
      "fc00::1",
      "fdff::1",
      "fe80::1",
      "fe80::1%eth0",
      "ff02::1",
      "not an address"
    ]
  ) assert.isFalse(isPublic(address), address)
})

it.effect("what is no request is refused with words for what to do, and nothing of what it holds", () =>
  Effect.gen(function*() {
    const requests: ReadonlyArray<readonly [request: unknown, words: RegExp]> = [
      [undefined, /a request is a document/],
      ["http://127.0.0.1", /a request is a document/],
      [{}, /needs "url", or "host"/],
      [{ url: "secret" }, /"url" is not a URL/],
      [{ url: 1 }, /"url" has to be a text/],
      [{ url: "file:///etc/passwd" }, /begin with http: or https:, and begins with file:/],
      [{ host: "127.0.0.1/secret" }, /"host" has to be a name/],
      [{ host: "a@127.0.0.1" }, /"host" has to be a name/],
      [{ scheme: "ftp", host: "127.0.0.1" }, /"scheme" has to be http or https/],
      [{ scheme: "http://127.0.0.1/?", host: "api.example" }, /"scheme" has to be http or https/],
      [{ url: "http://127.0.0.1", headers: { A: [1] } }, /"headers.A" has to be a text/],
      [{ url: "http://127.0.0.1", headers: "secret" }, /"headers" has to be a document/],
      [{ url: "http://127.0.0.1", body: { secret: 1 } }, /Set "encodeBodyAsJSON"/],
      [{ url: "http://127.0.0.1", followRedirects: "yes" }, /"followRedirects" has to be true or false/],
      [{ url: "http://127.0.0.1", authUrl: "secret" }, /"authUrl" is not a URL/]
    ]
    for (const [request, words] of requests) {
      const [isError, name, code, message] = (yield* call("fails", "get", request)) as ReadonlyArray<unknown>
      assert.deepStrictEqual([isError, name, code], [true, "InvalidParameter", "InvalidParameter"])
      assert.match(String(message), words)
      assert.notInclude(String(message), "secret")
    }
  }).pipe(Effect.provide(withHttp(loopback))))

it.effect("a server that is not there, breaks off, or answers too much is an HTTPError", () =>
  Effect.gen(function*() {
    const { origin } = yield* peer((request, response) => {
      if (request.url === "/cut") {
        response.writeHead(200, { "content-length": "100" })
        response.write("x")
        setImmediate(() => response.destroy())
      } else if (request.url === "/endless") {
        const more = (): void => {
          if (!response.destroyed) response.write("x".repeat(10_000), more)
        }
        more()
      } else if (request.url === "/headers") response.writeHead(200, { "bad": "x".repeat(100_000) }).end()
      else response.end("x".repeat(1000))
    })
    const gone = yield* mirror
    gone.close()
    const message = (url: string, more: object = {}) =>
      Effect.map(call("fails", "get", { url, ...more }), (thrown) => {
        const [isError, name, , message] = thrown as ReadonlyArray<unknown>
        assert.deepStrictEqual([isError, name], [true, "HTTPError"], url)
        return String(message)
      })
    assert.match(yield* message(gone.origin), /no answer from "127.0.0.1:\d+": ECONNREFUSED/)
    assert.match(yield* message(`${origin}/cut`), /no answer from/)
    assert.match(yield* message(`${origin}/endless`), /is larger than 1000 bytes/)
    assert.match(yield* message(`${origin}/headers`), /no answer from/)
    assert.match(yield* message(origin, { headers: { "bad name": ["secret"] } }), /no answer from/)
    assert.deepStrictEqual(yield* call("status", { url: origin }), new Int32(200))
  }).pipe(Effect.provide(withHttp({ ...loopback, maxBody: 1000 }))))

for (const [what, begin] of [["its head", false], ["the rest of its body", true]] as const) {
  it.effect(`a server that never sends ${what} is given up at the time limit, and its connection closed`, () =>
    Effect.gen(function*() {
      const asked = yield* Deferred.make<void>()
      const closed = yield* Deferred.make<void>()
      const { origin } = yield* peer((_, response) => {
        response.on("close", () => Deferred.doneUnsafe(closed, Effect.void))
        if (begin) response.write("beginning")
        Deferred.doneUnsafe(asked, Effect.void)
      })
      yield* Effect.gen(function*() {
        const fiber = yield* Effect.forkChild(call("fails", "get", { url: origin }), { startImmediately: true })
        yield* Deferred.await(asked)
        yield* TestClock.adjust("60 seconds")
        const [, name, , message] = (yield* Fiber.join(fiber)) as ReadonlyArray<unknown>
        assert.strictEqual(name, "HTTPError")
        assert.match(String(message), /no whole answer from "127.0.0.1:\d+" in 1m/)
        yield* Deferred.await(closed)
        assert.deepStrictEqual(yield* call("sum", 1, 2), new Int32(3))
      }).pipe(Effect.provide(withHttp(loopback)))
    }))
}

it.effect("an interrupted call closes the connections of its requests", () =>
  Effect.gen(function*() {
    const asked = yield* Deferred.make<void>()
    const closed = yield* Deferred.make<void>()
    const { origin } = yield* peer((_, response) => {
      response.on("close", () => Deferred.doneUnsafe(closed, Effect.void))
      Deferred.doneUnsafe(asked, Effect.void)
    })
    yield* Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(call("get", { url: origin }), { startImmediately: true })
      yield* Deferred.await(asked)
      yield* Fiber.interrupt(fiber)
      yield* Deferred.await(closed)
    }).pipe(Effect.provide(withHttp(loopback)))
  }))

it.effect("a call has at most 25 requests under way, and all of them are answered", () =>
  Effect.gen(function*() {
    let open = 0
    let most = 0
    const { origin } = yield* peer((_, response) => {
      most = Math.max(most, ++open)
      setImmediate(() => {
        open--
        response.end()
      })
    })
    assert.deepStrictEqual(yield* call("many", 100, { url: origin }), new Int32(100))
    assert.isAtMost(most, 25)
  }).pipe(Effect.provide(withHttp(loopback))))

it("options of the wrong type are refused with the field named", () => {
  assert.throws(() => FunctionHttp.layer({ allowedHosts: ["http://a.example"] }), /allowedHosts/)
  assert.throws(() => FunctionHttp.layer({ timeLimit: "soon" as never }), /timeLimit/)
  assert.throws(() => FunctionHttp.layer({ maxBody: 0 }), /maxBody/)
})
