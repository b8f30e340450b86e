/** The steps of the tour that are about programs which nobody sits in front of: their keys, how long they are logged in, and how they ask. */
import { ApiKeys, App, Credentials, Metrics, Policy, TokenStore, User } from "@effect-realm/client"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as RateLimiter from "effect/persistence/RateLimiter"
import * as Step from "./Step.ts"

/** The user of a whole program. */
class Reporter extends Context.Service<Reporter, User.User>()("@effect-realm/examples/Reporter") {}

/** One request an hour. */
const sparing = Policy.layerRateLimit({ limit: 1, window: "1 hour", onExceeded: "fail" }).pipe(
  Layer.provide(RateLimiter.layer),
  Layer.provide(RateLimiter.layerStoreMemory)
)

const refusal = (error: App.LogInError): string =>
  error._tag === "AuthError" ? `${error._tag}, reason ${error.reason._tag}: ${error.reason.message}` : error.message

/** Shows what a program does in the name of this user. */
export const steps = Effect.fnUntraced(function*(app: App.App, user: User.User) {
  const { id, key } = yield* Step.run({
    title: "Make an API key for a program: its secret is shown once",
    asked: `ApiKeys.create(user, "nightly-report")`,
    does: ApiKeys.create(user, "nightly-report"),
    shows: ({ id, key, name }) => `Key ${name} with the id ${id} and the secret ${String(key)}`
  })
  const credentials = Credentials.apiKey(key)

  // The program runs elsewhere, so it remembers its session in a store of its own.
  const elsewhere = Layer.fresh(TokenStore.layerMemory)

  yield* Step.run({
    title: "Log in with the key elsewhere, for as long as a job takes: the same user",
    asked: "Effect.scoped(App.logInScoped(app, Credentials.apiKey(key)))",
    does: Effect.gen(function*() {
      const job = yield* Effect.scoped(Effect.tap(App.logInScoped(app, credentials), User.refresh))
      yield* Step.check(job.id === user.id, `the server takes the job for ${job.id}`)
      return yield* User.state(job)
    }).pipe(
      Effect.tap((state) => Step.check(state === "LoggedOut", `the state is ${state}`)),
      Effect.provide(elsewhere)
    ),
    shows: (state) => `User ${user.id}, ${state} when the job has ended`
  })

  yield* Step.run({
    title: "Have the user of a whole program as a layer",
    asked: "App.layerUser(Reporter, app, Credentials.apiKey(key))",
    does: Reporter.use(User.providerType).pipe(
      Effect.tap((type) => Step.check(type === "api-key", `the provider is ${type}`)),
      Effect.provide(Layer.provideMerge(App.layerUser(Reporter, app, credentials), elsewhere))
    ),
    shows: (type) => `Logged in by ${type}`
  })

  yield* Step.run({
    title: "Look at the keys, and switch one off and on again",
    asked: "ApiKeys.fetchAll(user)\nApiKeys.disable(user, id), ApiKeys.fetch(user, id), ApiKeys.enable(user, id)",
    does: Effect.gen(function*() {
      const names = (yield* ApiKeys.fetchAll(user)).map(({ name }) => name)
      yield* ApiKeys.disable(user, id)
      const { disabled } = yield* ApiKeys.fetch(user, id)
      yield* ApiKeys.enable(user, id)
      yield* Step.check(disabled && names.join() === "nightly-report", `the keys are ${names.join()}`)
      return names
    }),
    shows: (names) => `${names.join(", ")}; it was off for a moment, which ended the sessions that it had opened`
  })

  yield* Step.run({
    title: "Delete the key: the program is refused at its next request",
    asked: "ApiKeys.delete(user, id)\nApp.logIn(app, Credentials.apiKey(key))",
    does: ApiKeys.delete(user, id).pipe(
      Effect.andThen(Effect.flip(Effect.provide(App.logIn(app, credentials), elsewhere))),
      Effect.tap((error) => Step.check(error._tag === "AuthError", `the error is ${error._tag}: ${error.message}`))
    ),
    shows: refusal
  })

  yield* Step.run({
    title: "Limit how much a program asks: what is too much fails here, and is not sent",
    asked: `App.location(app), under Policy.layerRateLimit({ limit: 1, window: "1 hour", onExceeded: "fail" })`,
    does: App.location(app).pipe(
      Effect.andThen(Effect.flip(App.location(app))),
      Effect.tap((error) =>
        Step.check(error._tag === "TransportError", `the error is ${error._tag}: ${error.message}`)
      ),
      Effect.provide(sparing)
    ),
    shows: ({ message }) => message
  })

  yield* Step.run({
    title: "See how often a token was exchanged, in the metrics that are always counted",
    asked: "Metric.value(Metrics.exchanges)",
    does: Effect.gen(function*() {
      const { count } = yield* Metric.value(Metrics.exchanges)
      yield* Step.check(count > 0, "no exchange was counted")
      return count
    }),
    shows: (count) => `${count} exchanges`
  })
})
