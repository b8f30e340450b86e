import { AppDefinition } from "@effect-realm/server"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as Wire from "./support/wire.ts"

/** The rest of the world: one host, which tells what it was asked. */
const world = Layer.succeed(
  HttpClient.HttpClient,
  HttpClient.make((request, url) =>
    url.hostname === "api.example"
      ? Effect.succeed(HttpClientResponse.fromWeb(
        request,
        new Response(`${request.method} ${url.pathname} ${request.headers["x-a"]}`, { status: 202 })
      ))
      : Effect.fail(
        new HttpClientError.HttpClientError({ reason: new HttpClientError.TransportError({ request }) })
      )
  )
)

const app = Wire.makeApp({
  httpServices: [
    {
      name: "http",
      rules: [
        { name: "reads", actions: ["get", "head"], when: {} },
        {
          name: "writes",
          actions: ["post"],
          when: { "%%user.data.name": "ann", "%%args.url": "https://api.example/orders", "%%request.action": "post" }
        }
      ]
    },
    {
      name: "narrow",
      rules: [{ name: "one host", actions: ["get"], when: { "%%args.host": "api.example" } }]
    },
    { name: "closed" }
  ],
  functions: ["http", "closed"].map((name) => ({
    name: `by_${name}`,
    source: `exports = async () => {
      const { body } = await context.services.get("${name}").put({ url: "https://api.example/x", headers: { "X-A": ["1"] } })
      return body.text()
    }`
  }))
})

const server = Wire.layer({ app, httpClient: world, http: { allowedHosts: ["api.example", "down.example"] } })

const logIn = (id: string) =>
  Effect.flatMap(
    Wire.send("POST", `${Wire.providers}/custom-function/login`, { body: { id, name: id } }),
    Wire.tokens
  )

const ask = (token: string, name: string, argument: unknown, service = "http") =>
  Wire.send("POST", `${Wire.appUrl}/functions/call`, { token, body: { service, name, arguments: [argument] } })

const base64 = (text: string) => ({ $binary: { base64: Buffer.from(text).toString("base64"), subType: "00" } })

describe("An HTTP service", { timeout: 60_000 }, () => {
  it.effect("sends for clients what a rule allows, and answers as App Services did", () =>
    Effect.gen(function*() {
      const { access_token: token } = yield* logIn("bob")
      const answer = yield* ask(token, "get", { url: "https://api.example/a", headers: { "X-A": ["1"] } })
      const body = "GET /a 1"
      assert.deepStrictEqual([answer.status, answer.body], [200, {
        status: "202 Accepted",
        statusCode: { $numberInt: "202" },
        contentLength: { $numberInt: String(body.length) },
        headers: { "Content-Type": ["text/plain;charset=UTF-8"] },
        cookies: {},
        body: base64(body)
      }])
    }).pipe(Effect.provide(server)))

  it.effect("refuses what no rule allows, by user, arguments and action", () =>
    Effect.gen(function*() {
      const { access_token: ann } = yield* logIn("ann")
      const { access_token: bob } = yield* logIn("bob")
      const order = { url: "https://api.example/orders", headers: { "X-A": ["1"] } }
      assert.strictEqual((yield* ask(ann, "post", order)).status, 200)
      for (
        const [token, name, argument, service] of [
          [bob, "post", order, "http"],
          [ann, "post", { url: "https://api.example/else" }, "http"],
          [ann, "delete", order, "http"],
          [ann, "get", order, "closed"]
        ] as const
      ) {
        assert.deepStrictEqual(Wire.refusal(yield* ask(token, name, argument, service)), [
          403,
          "NoMatchingRuleFound",
          `no rule of the service '${service}' allows '${name}'`
        ])
      }
    }).pipe(Effect.provide(server)))

  it.effect("sends nothing to an address that its rule could not see", () =>
    Effect.gen(function*() {
      const { access_token: token } = yield* logIn("bob")
      const allowed = { host: "api.example", path: "/a", headers: { "X-A": ["1"] } }
      assert.strictEqual((yield* ask(token, "get", allowed, "narrow")).status, 200)
      for (
        const more of [
          { url: "https://down.example" },
          { authUrl: "https://down.example" },
          { scheme: "https://down.example/?" },
          { scheme: "https://down.example#" },
          { headers: { host: ["down.example"] } }
        ]
      ) {
        assert.deepStrictEqual(
          Wire.refusal(yield* ask(token, "get", { ...allowed, ...more }, "narrow")).slice(0, 2),
          [400, "InvalidParameter"],
          JSON.stringify(more)
        )
      }
    }).pipe(Effect.provide(server)))

  it.effect("tells what is wrong with a request by the codes of App Services", () =>
    Effect.gen(function*() {
      const { access_token: token } = yield* logIn("bob")
      const refusal = (name: string, argument: unknown, service?: string) =>
        Effect.map(ask(token, name, argument, service), (answer) => Wire.refusal(answer).slice(0, 2))
      assert.deepStrictEqual(yield* refusal("get", {}), [400, "InvalidParameter"])
      assert.deepStrictEqual(yield* refusal("get", { url: "ftp://api.example" }), [400, "InvalidParameter"])
      assert.deepStrictEqual(yield* refusal("get", 7), [400, "InvalidParameter"])
      assert.deepStrictEqual(yield* refusal("get", { url: "https://down.example" }), [400, "HTTPError"])
      // The hosts that are closed to functions are closed to clients.
      assert.deepStrictEqual(yield* refusal("get", { url: "https://other.example" }), [403, "NoMatchingRuleFound"])
      assert.deepStrictEqual(yield* refusal("get", { url: "http://127.0.0.1/" }), [403, "NoMatchingRuleFound"])
      assert.deepStrictEqual(yield* refusal("trace", {}), [400, "ServiceCommandNotFound"])
      assert.deepStrictEqual(yield* refusal("get", {}, "absent"), [404, "ServiceNotFound"])
      const anonymous = yield* Wire.send("POST", `${Wire.appUrl}/functions/call`, {
        body: { service: "http", name: "get", arguments: [{}] }
      })
      assert.strictEqual(anonymous.status, 401)
    }).pipe(Effect.provide(server)))

  it.effect("is context.http by another name for functions, without rules", () =>
    Effect.gen(function*() {
      const { access_token: token } = yield* logIn("bob")
      assert.strictEqual((yield* Wire.call(token, "by_http")).body, "PUT /x 1")
      assert.strictEqual((yield* Wire.call(token, "by_closed")).body, "PUT /x 1")
    }).pipe(Effect.provide(server)))

  it("is refused with a name that another service has, and with a rule that cannot be judged", () => {
    const make = (options: Partial<AppDefinition.Options>) => () =>
      AppDefinition.make({ appId: "shop-abcde", ...options })
    assert.throws(make({ httpServices: [{ name: "a" }, { name: "a" }] }), /"a" is there twice/)
    assert.throws(make({ httpServices: [{ name: "a" }], pushServices: [{ name: "a" }] }), /"a" is another service/)
    const rule = (when: object) => [{ name: "a", rules: [{ name: "r", actions: ["get" as const], when: { ...when } }] }]
    assert.throws(make({ httpServices: rule({ "%%root.a": 1 }) }), /"%%root.a" is not supported here/)
    assert.throws(
      make({ httpServices: rule({ "%%true": { "%function": { name: "f", arguments: [] } } }) }),
      /"%function" is not supported here/
    )
  })
})
