/** What holds while a place cannot be reached, and after it. */
import { App, Credentials, Policy, TokenStore, User } from "@effect-realm/client"
import type { SessionStorage } from "@effect-realm/client/SessionStorage"
import { assert, it } from "@effect/vitest"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Place from "./processes/place.ts"
import * as Server from "./processes/server.ts"

export interface Outage {
  /** The place, by connections of its own each time it is built. */
  readonly place: Layer.Layer<SessionStorage, unknown>
  readonly begin: Effect.Effect<void>
  readonly end: Effect.Effect<void>
  /** How long the place is away once everything has been tried. */
  readonly lasts?: Duration.Input
}

const impatient = Policy.provide({ deadline: "300 millis" })

const unavailable = <A, E extends { readonly _tag: string }, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(impatient(effect)), (error) => {
    assert.strictEqual(error._tag, "TokenStoreError")
    assert.include(String(error), "Check the storage behind it, then try again.")
  })

const again = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.retry(effect, Schedule.spaced("50 millis"))

/** Registers the law for one kind of outage. */
export const outage = (name: string, make: Effect.Effect<Outage, never, Scope.Scope>): void => {
  it.live(
    `fails typed or waits while ${name}, loses nothing, goes on after it, and tells what happened meanwhile`,
    () =>
      Effect.gen(function*() {
        const { begin, end, lasts = 0, place } = yield* make
        const server = yield* Effect.acquireRelease(
          Effect.promise(Server.make),
          (server) => Effect.sync(() => server.close())
        )
        const process = Effect.map(
          Layer.build(
            Layer.fresh(
              Layer.merge(
                Layer.provide(TokenStore.layerStorage, Place.forgetful(place, "1 second")),
                FetchHttpClient.layer
              )
            )
          ),
          (context) => <A, E>(effect: Effect.Effect<A, E, HttpClient.HttpClient | TokenStore.TokenStore>) =>
            Effect.provideContext(effect, context)
        )
        const [here, there] = [yield* process, yield* process]

        const app = App.make({ id: "shop-abcde", baseUrl: server.baseUrl })
        const told = yield* Queue.unbounded<string>()
        yield* Effect.forkScoped(
          there(Stream.runForEach(App.events(app), (event) => Queue.offer(told, event._tag)))
        )
        assert.strictEqual(yield* Queue.take(told), "Snapshot")
        const user = yield* here(App.logIn(app, Credentials.anonymous()))
        const call = here(User.callFunction(user, "sum", [1, 2]))
        const refreshToken = Effect.map(here(User.refreshToken(user)), Redacted.value)
        const before = yield* refreshToken
        assert.strictEqual(yield* Queue.take(told), "LoggedIn")

        // One exchange is under way when the outage begins: its answer cannot be written down.
        server.expire()
        server.delay = 1000
        const begun = server.nextExchange()
        const caught = yield* Effect.forkScoped(Effect.exit(Policy.provide(call, { deadline: "4 seconds" })))
        yield* Effect.promise(() => begun)
        yield* begin
        server.delay = 0

        yield* unavailable(call)
        yield* unavailable(here(User.state(user)))
        yield* unavailable(here(User.logOut(user)))
        yield* unavailable(here(App.logIn(app, Credentials.anonymous({ reuse: false }))))
        yield* unavailable(here(App.allUsers(app)))
        assert.strictEqual((yield* Fiber.join(caught))._tag, "Failure")
        const patient = yield* Effect.forkScoped(Effect.result(here(User.state(user))))

        yield* Effect.sleep(lasts)
        yield* end
        const outcome = yield* Fiber.join(patient)
        if (Result.isSuccess(outcome)) assert.strictEqual(outcome.success, "LoggedIn")
        else assert.strictEqual(outcome.failure.reason._tag, "Unavailable")
        // The log-out was refused or never heard of, so the session goes on where it was.
        yield* again(call)
        assert.strictEqual(yield* again(refreshToken), before)
        yield* again(here(User.logOut(user)))
        assert.strictEqual(yield* again(there(User.state(user))), "LoggedOut")
        const events = yield* Queue.takeN(told, 2)
        assert.deepStrictEqual(events, ["AccessTokenRefreshed", "LoggedOut"])
        assert.strictEqual(yield* Queue.size(told), 0)
      }).pipe(Effect.scoped, Effect.provide(Logger.layer([]))),
    60_000
  )
}
