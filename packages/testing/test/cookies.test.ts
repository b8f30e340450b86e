import { App, Credentials, User } from "@effect-realm/client"
import * as CookieTokenStore from "@effect-realm/client/CookieTokenStore"
import { AppDefinition } from "@effect-realm/server"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option, Redacted, Schema } from "effect"
import { type HttpClient, HttpRouter, HttpServerResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { RealmTest, Requests } from "../src/index.ts"

const definition = AppDefinition.make({
  appId: "shop-abcde",
  authProviders: { anonymous: {}, emailPassword: { autoConfirm: true } },
  functions: [{ name: "whoami", source: "exports = () => context.user.id" }]
})
const layer = RealmTest.layer({ app: definition })

const sessions = CookieTokenStore.layer({ key: Redacted.make(Buffer.alloc(32, 1).toString("base64")) })

/** A page server whose visitors log in, are told who they are by the app's server, and log out. */
const pages = (app: App.App) =>
  Layer.mergeAll(
    HttpRouter.add(
      "GET",
      "/",
      Effect.gen(function*() {
        const visitor = yield* App.currentUser(app)
        if (Option.isNone(visitor)) return HttpServerResponse.text("nobody")
        return HttpServerResponse.text(String(yield* User.callFunction(visitor.value, "whoami")))
      }).pipe(Effect.provide(sessions))
    ),
    HttpRouter.add(
      "POST",
      "/log-in",
      Effect.map(App.logIn(app, Credentials.anonymous()), ({ id }) => HttpServerResponse.text(id)).pipe(
        Effect.provide(sessions)
      )
    ),
    HttpRouter.add(
      "POST",
      "/log-out",
      Effect.gen(function*() {
        const visitor = yield* App.currentUser(app)
        if (Option.isSome(visitor)) yield* User.logOut(visitor.value)
        return HttpServerResponse.text("nobody")
      }).pipe(Effect.provide(sessions))
    )
  )

/** A browser that keeps the cookie it is given. */
const browser = (handler: (request: Request) => Promise<Response>) => {
  const self = {
    cookie: "",
    ask: (method: "GET" | "POST", path: string) =>
      Effect.promise(async () => {
        const response = await handler(
          new Request(`https://shop.example${path}`, { method, headers: { cookie: self.cookie } })
        )
        const header = response.headers.get("set-cookie")
        if (header !== null) self.cookie = header.includes("Max-Age=0") ? "" : header.split(";")[0]!
        return response.text()
      })
  }
  return self
}

const pageServer = Effect.gen(function*() {
  const { app } = yield* RealmTest.RealmTest
  const context = yield* Effect.context<HttpClient.HttpClient>()
  const { handler } = HttpRouter.toWebHandler(Layer.provideMerge(pages(app), Layer.succeedContext(context)), {
    disableLogger: true
  })
  return handler
})

// The server of a test runs functions in real threads: on a busy machine they take their time.
describe("A page server whose visitors bring their sessions in cookies", { timeout: 30_000 }, () => {
  it.effect("acts as its visitor, exchanges the token for them, and ends the session when they log out", () =>
    Effect.gen(function*() {
      const requests = yield* Requests.Requests
      const visitor = browser(yield* pageServer)
      assert.strictEqual(yield* visitor.ask("GET", "/"), "nobody")
      const id = yield* visitor.ask("POST", "/log-in")
      assert.strictEqual(yield* visitor.ask("GET", "/"), id)
      const before = visitor.cookie
      yield* TestClock.adjust("31 minutes")
      yield* requests.clear
      for (let times = 0; times < 3; times++) assert.strictEqual(yield* visitor.ask("GET", "/"), id)
      assert.strictEqual(yield* requests.count({ endpoint: "refreshSession" }), 1)
      assert.notStrictEqual(visitor.cookie, before)

      const stolen = browser(yield* pageServer)
      stolen.cookie = visitor.cookie
      assert.strictEqual(yield* stolen.ask("GET", "/"), id)
      yield* visitor.ask("POST", "/log-out")
      assert.strictEqual(visitor.cookie, "")
      assert.strictEqual(yield* visitor.ask("GET", "/"), "nobody")
      // A copy of the cookie ends with the session.
      assert.notStrictEqual(yield* stolen.ask("GET", "/"), id)
      assert.strictEqual(stolen.cookie, "")
    }).pipe(Effect.provide(layer)))

  it.effect.prop(
    "never takes one visitor for another, in whatever order their requests come and at the same time",
    [Schema.Array(
      Schema.Struct({
        visitor: Schema.Literals([0, 1, 2, 3]),
        act: Schema.Literals(["look", "logIn", "logOut", "wait"])
      })
    )],
    ([steps]) =>
      Effect.gen(function*() {
        const handler = yield* pageServer
        const ids = yield* Effect.forEach([0, 1, 2, 3], (number) =>
          Effect.gen(function*() {
            const visitor = browser(handler)
            let expected = "nobody"
            const own = new Set<string>()
            for (const { act } of steps.filter((step) => step.visitor === number)) {
              if (act === "wait") yield* Effect.repeat(Effect.yieldNow, { times: 3 })
              else if (act === "logIn") {
                expected = yield* visitor.ask("POST", "/log-in")
                own.add(expected)
              } else if (act === "logOut") expected = yield* visitor.ask("POST", "/log-out")
              const looks = yield* Effect.all([visitor.ask("GET", "/"), visitor.ask("GET", "/")], {
                concurrency: "unbounded"
              })
              assert.deepStrictEqual(looks, [expected, expected])
            }
            return [...own]
          }), { concurrency: "unbounded" })
        assert.strictEqual(new Set(ids.flat()).size, ids.flat().length)
      }).pipe(Effect.provide(layer)),
    { arbitrary: { runs: 8 }, timeout: 60_000 }
  )
})
