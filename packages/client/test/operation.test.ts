import * as Faults from "@effect-realm/testing/Faults"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Metric, Option, Schema } from "effect"
import { App, Credentials, Metrics, Policy, TokenStore, User } from "../src/index.ts"
import type * as ModelServer from "./laws/modelServer.ts"
import * as World from "./laws/world.ts"
import * as Scripted from "./scripted.ts"
import * as Spans from "./support/spans.ts"

const { app, done, inWorld, operations, settled } = World

const { attributes, parentOf, printed, recorder } = Spans

const base = "/api/client/v2.0"

const routes: { readonly [name in World.OperationName]: readonly [name: string, method: string, route: string] } = {
  callFunction: ["User.callFunction", "POST", `${base}/app/:appId/functions/call`],
  refresh: ["User.refresh", "POST", `${base}/auth/session`],
  refreshProfile: ["User.refreshProfile", "GET", `${base}/auth/profile`],
  refreshCustomData: ["User.refreshCustomData", "POST", `${base}/auth/session`],
  linkCredentials: ["User.linkCredentials", "POST", `${base}/app/:appId/auth/providers/local-userpass/login`],
  deleteUser: ["App.deleteUser", "DELETE", `${base}/auth/delete`],
  logOut: ["User.logOut", "DELETE", `${base}/auth/session`],
  removeUser: ["App.removeUser", "DELETE", `${base}/auth/session`]
}

describe("Spans", () => {
  it.effect.prop(
    "every operation opens one, with route, app, attempts and outcome, and the HttpClient's own below it",
    { name: Schema.Literals(World.operationNames), outcome: Schema.Literals(["Success", "expired", "refused"]) },
    ({ name, outcome }) => {
      const { spans, traced } = recorder()
      let refused = false
      return inWorld({
        script: ({ endpoint }) =>
          refused && endpoint === operations[name].endpoint
            ? { status: 403, body: { error: "no", error_code: "UserDisabled" } }
            : undefined
      }, ({ server }) =>
        Effect.gen(function*() {
          const user = yield* World.logIn(server)
          server.register("linked@model.test")
          server.forget()
          if (outcome === "expired") server.expire(user.id)
          refused = outcome === "refused"
          yield* settled(traced(operations[name].run(user)))
          const [title, method, route] = routes[name]
          const own = spans.filter((span) => parentOf(span) === undefined)
          assert.deepStrictEqual(own.map((span) => span.name), [title])
          const about = attributes(own[0])
          assert.strictEqual(about["realm.app.id"], app.id)
          assert.strictEqual(about["http.request.method"], method)
          assert.strictEqual(about["http.route"], route)
          assert.strictEqual(about["realm.attempts"], server.count(operations[name].endpoint))
          const exchanges = operations[name].endpoint === "refreshSession" ? 0 : server.count("refreshSession")
          assert.strictEqual(about["realm.exchanges"], exchanges)
          // A log-out of a session that is refused is one that is gone.
          const fails = outcome === "refused" && name !== "logOut" && name !== "removeUser"
          assert.strictEqual(about["realm.outcome"], fails ? "SessionError" : "Success")
          assert.strictEqual(about["error.type"], fails ? "SessionError" : undefined)
          assert.strictEqual(about["realm.reason"], fails ? "UserDisabled" : undefined)
          assert.strictEqual(about["realm.function"], name === "callFunction" ? "echo" : undefined)
          const below = spans.filter((span) => parentOf(span) === own[0])
          assert.strictEqual(below.length, server.asked.length)
          for (const span of below) assert.match(span.name, /^(GET|POST|DELETE)$/)
          for (const span of spans) assert.strictEqual(span.status._tag, "Ended")
        }))
    },
    World.runs(80)
  )

  it.effect("count what a policy repeats, and say when one was interrupted", () =>
    inWorld({ latency: () => [10, 0] }, () =>
      Effect.gen(function*() {
        const { spans, traced } = recorder()
        yield* done(traced(App.location(app).pipe(Faults.inject(Faults.at({ nth: [1, 2] }, Faults.dropBefore)))))
        yield* settled(traced(Effect.timeout(App.location(app), 5)))
        const [first, second] = spans.filter((span) => span.name === "App.location")
        assert.strictEqual(attributes(first)["realm.attempts"], 3)
        assert.strictEqual(attributes(second)["realm.outcome"], "Interrupted")
        assert.isUndefined(attributes(second)["error.type"])
      })))

  it.effect.prop(
    "show no token, no password and no argument, whatever happens",
    { seed: Schema.Int, log: Schema.Array(Schema.Literals(World.operationNames)).check(Schema.isMaxLength(6)) },
    ({ log, seed }) => {
      const { spans, traced } = recorder()
      return inWorld({}, ({ server }) =>
        Effect.gen(function*() {
          server.register("linked@model.test")
          const user = yield* World.logIn(server)
          const argument = User.callFunction(user, "echo", ["secret argument"])
          yield* Effect.gen(function*() {
            yield* settled(argument)
            for (const name of log) yield* settled(operations[name].run(user))
            yield* settled(App.logIn(app, World.credentials("ann@model.test")))
          }).pipe(traced, Faults.inject(Faults.seeded(seed, { rate: 0.4 })))
          assert.isAbove(spans.length, 1)
          assertNoSecret(server, printed(spans))
          // The value of an operation is in the exit of its span, for a tracer in this process; nothing else may have it.
          assert.notInclude(printed(spans.map((span) => [span.name, attributes(span)])), "secret argument")
        }))
    },
    World.runs(40)
  )

  it.effect("are not made where no tracer is installed, and no request carries trace headers", () => {
    const server = Scripted.make()
    return Effect.gen(function*() {
      const user = yield* App.logIn(app, Credentials.anonymous())
      const current = yield* Effect.option(Effect.currentSpan)
      assert.isTrue(Option.isNone(current))
      yield* recorder().traced(User.callFunction(user, "sum"))
      for (const { headers } of server.sent) assert.notProperty(headers, "traceparent")
    }).pipe(Effect.provide(Layer.merge(server.layer, Layer.fresh(TokenStore.layerMemory))))
  })
})

const assertNoSecret = (server: ModelServer.ModelServer, text: string): void => {
  for (const secret of server.secrets) assert.notInclude(text, secret)
}

/** A registry of its own, so that no other test is counted. */
const counted = Effect.provideService(Metric.MetricRegistry, new Map())

const counts = (
  metric: Metric.Counter<number>,
  attributes: ReadonlyArray<Metric.Metric.AttributeSet>
): Effect.Effect<Array<number>> =>
  Effect.forEach(
    attributes,
    (one) => Effect.map(Metric.value(Metric.withAttributes(metric, one)), ({ count }) => count)
  )

describe("Metrics", () => {
  it.effect("count requests with those that are repeated, exchanges, failures by tag, and measure latency", () =>
    inWorld({ latency: () => [100, 50] }, ({ server }) =>
      Effect.gen(function*() {
        const user = yield* World.logIn(server)
        const call = User.callFunction(user, "echo")
        yield* done(call)
        server.expire(user.id)
        yield* done(Effect.all([call, call], { concurrency: "unbounded" }))
        yield* settled(call.pipe(Faults.inject(Faults.at({}, Faults.html))))
        yield* settled(call.pipe(Faults.inject(Faults.at({}, Faults.dropAfter))))
        yield* settled(Effect.timeout(call, 10))
        yield* settled(
          App.location(app).pipe(
            Policy.provide({ reads: Policy.never }),
            Faults.inject(Faults.at({}, Faults.dropBefore))
          )
        )
        yield* done(App.location(app).pipe(Faults.inject(Faults.at({ nth: 1 }, Faults.dropBefore))))

        const called = { method: "POST", route: routes.callFunction[2] }
        const located = { method: "GET", route: `${base}/app/:appId/location` }
        assert.deepStrictEqual(yield* counts(Metrics.requests, [called, located]), [8, 3])
        assert.deepStrictEqual(yield* counts(Metrics.exchanges, [{}]), [1])
        assert.deepStrictEqual(
          yield* counts(Metrics.failures, [
            { operation: "User.callFunction", tag: "InvalidResponseError" },
            { operation: "User.callFunction", tag: "TransportError" },
            { operation: "App.location", tag: "TransportError" },
            { operation: "App.logIn", tag: "TransportError" }
          ]),
          [1, 1, 1, 0]
        )
        const latency = yield* Metric.value(Metric.withAttributes(Metrics.latency, called))
        // Six were answered: the proxy's page at once, the others after 150 milliseconds.
        assert.strictEqual(latency.count, 6)
        assert.strictEqual(latency.max, 150)
        assert.strictEqual(latency.sum, 5 * 150)
        const ids = new Set((yield* Metric.snapshot).map(({ id }) => id))
        assert.deepStrictEqual([...ids].filter((id) => id.startsWith("effect_realm_client_")).toSorted(), [
          "effect_realm_client_exchanges",
          "effect_realm_client_failures",
          "effect_realm_client_latency",
          "effect_realm_client_requests"
        ])
        assertNoSecret(server, printed(yield* Metric.snapshot))
      })).pipe(counted))
})
