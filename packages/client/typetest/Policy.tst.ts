import { App, type ClientError, Credentials, type Metrics, Policy, type TokenStore, User } from "@effect-realm/client"
import { Context, type Duration, type Effect, type Layer, type Metric, Schedule, type Scope } from "effect"
import type { HttpClient } from "effect/http"
import type { CircuitBreaker, RateLimiter } from "effect/persistence"
import { describe, expect, test } from "tstyche"

const app = App.make({ id: "shop-abcde", baseUrl: "http://localhost:9090" })
const user = new User.User({ appId: "shop-abcde", baseUrl: "http://localhost:9090", id: "u1" })
const credentials = Credentials.emailPassword({ email: "a", password: "b" })
const call = User.callFunction(user, "sum", [1, 2])

type Client = HttpClient.HttpClient | TokenStore.TokenStore
type Operation<A, E> = Effect.Effect<A, E, Client>

describe("a policy", () => {
  test("is a reference with a default, so it is in no requirement", () => {
    expect(Policy.Policy).type.toBe<Context.Reference<Policy.Policy>>()
    expect<Policy.Policy>().type.toBe<{
      readonly deadline: Duration.Duration
      readonly reads: Schedule.Schedule<unknown>
    }>()
    expect(call).type.toBe<Operation<unknown, User.CallFunctionError>>()
  })

  test("leaves the type of what it is provided to as it is, data-first and data-last", () => {
    expect(Policy.provide(call, { deadline: "5 seconds" })).type.toBe<typeof call>()
    expect(call.pipe(Policy.provide({ reads: Policy.never }))).type.toBe<typeof call>()
    expect(call.pipe(Policy.idempotent)).type.toBe<typeof call>()
  })

  test("takes no schedule that may fail or needs a service, and nothing that it does not know", () => {
    expect(Policy.layer).type.toBeCallableWith({ deadline: 1000, reads: Schedule.spaced("1 second") })
    expect(Policy.layer).type.not.toBeCallableWith({ timeout: 1000 })
    expect(Policy.layer).type.not.toBeCallableWith({ writes: Schedule.forever })
  })

  test("is provided by layers that need Effect's own services, and nothing else", () => {
    expect(Policy.layer({})).type.toBe<Layer.Layer<never>>()
    expect(Policy.layerRateLimit({ limit: 1, window: "1 second" })).type.toBe<
      Layer.Layer<never, never, RateLimiter.RateLimiter>
    >()
    expect(Policy.layerCircuitBreaker()).type.toBe<Layer.Layer<never, never, CircuitBreaker.CircuitBreaker>>()
  })
})

describe("a user for the life of a scope", () => {
  test("logInScoped needs a scope beside what a log-in needs", () => {
    type Scoped = Effect.Effect<User.User, App.LogInError, Client | Scope.Scope>
    expect(App.logInScoped(app, credentials)).type.toBe<Scoped>()
    expect(app.pipe(App.logInScoped(credentials))).type.toBe<Scoped>()
  })

  test("layerUser provides a service of the program's own", () => {
    class Importer extends Context.Service<Importer, User.User>()("shop/Importer") {}
    class Other extends Context.Service<Other, string>()("shop/Other") {}
    expect(App.layerUser(Importer, app, credentials)).type.toBe<Layer.Layer<Importer, App.LogInError, Client>>()
    expect(App.layerUser).type.not.toBeCallableWith(Other, app, credentials)
  })
})

test("importRealmWeb needs a store and no HttpClient, and takes localStorage as it is", () => {
  type Import = Effect.Effect<Array<User.User>, ClientError.TokenStoreError, TokenStore.TokenStore>
  const storage: Storage = localStorage
  expect(App.importRealmWeb(app, storage)).type.toBe<Import>()
  expect(app.pipe(App.importRealmWeb(storage))).type.toBe<Import>()
  expect(App.importRealmWeb).type.not.toBeCallableWith(app, { getItem: () => "" })
})

test("metrics are Effect's own", () => {
  expect<typeof Metrics.requests>().type.toBe<Metric.Counter<number>>()
  expect<typeof Metrics.exchanges>().type.toBe<Metric.Counter<number>>()
  expect<typeof Metrics.failures>().type.toBe<Metric.Counter<number>>()
  expect<typeof Metrics.latency>().type.toBe<Metric.Histogram<number>>()
})
