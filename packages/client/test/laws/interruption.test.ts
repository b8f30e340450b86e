import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Redacted, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import { App, Credentials, User, type UserEvent } from "../../src/index.ts"
import * as World from "./world.ts"

const { app, done, inWorld, operations, settled } = World

const Millis = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))

const interruptible: { readonly [name: string]: (user: User.User) => Effect.Effect<unknown, unknown, World.Services> } =
  {
    ...Object.fromEntries(World.operationNames.map((name) => [name, operations[name].run])),
    "logIn as the same user": () => App.logIn(app, World.credentials("ann@model.test")),
    "logIn as another": () => App.logIn(app, World.credentials("bob@model.test")),
    "logIn anonymously": () => App.logIn(app, Credentials.anonymous({ reuse: false })),
    switchUser: (user) => App.switchUser(app, user)
  }

/** The state that the last of some events leaves a user in. */
const stateAfter = (events: ReadonlyArray<UserEvent.UserEvent>, before: User.State): User.State =>
  events.reduce<User.State>((state, event) => {
    switch (event._tag) {
      case "LoggedIn":
      case "RefreshTokenReplaced":
        return "LoggedIn"
      case "LoggedOut":
        return "LoggedOut"
      case "Removed":
        return "Removed"
      default:
        return state
    }
  }, before)

describe("Law 9, interruption is safe", () => {
  for (const [name, run] of Object.entries(interruptible)) {
    it.effect(
      `${name}, interrupted at every moment of it, leaves record, lease and events consistent`,
      () =>
        Effect.forEach(
          Array.from({ length: 50 }, (_, at) => at),
          (at) =>
            inWorld({ latency: () => [3, 3], store: "text", storeLatency: 1 }, ({ rows, server }) =>
              Effect.gen(function*() {
                const where = `after ${at} ms`
                const user = yield* World.logIn(server)
                server.register("linked@model.test")
                server.register("bob@model.test")
                server.expire(user.id)
                const seen: Array<UserEvent.UserEvent> = []
                yield* Effect.forkScoped(
                  Stream.runForEach(App.events(app), (event) =>
                    Effect.sync(() => {
                      if (event._tag !== "Snapshot") {
                        seen.push(event)
                      }
                    })),
                  { startImmediately: true }
                )
                yield* TestClock.adjust("1 second")
                server.forget()

                const fiber = yield* Effect.forkChild(Effect.delay(run(user), 1), { startImmediately: true })
                yield* TestClock.adjust(at + 1)
                const pending = server.asked.filter(({ answered }) =>
                  !answered
                )
                const interrupting = yield* Effect.forkChild(Fiber.interrupt(fiber), { startImmediately: true })
                // A commit that has begun ends, however long that takes; nothing else is waited for.
                yield* TestClock.adjust("20 millis")
                assert.isDefined(interrupting.pollUnsafe(), `${where}: the interruption waits for something`)
                for (const request of pending) assert.isTrue(request.aborted, `${where}: ${request.endpoint} goes on`)
                yield* TestClock.adjust("10 minutes")

                // The record can be read, and a new process reads the same.
                const present = yield* done(World.observed)
                assert.deepStrictEqual(yield* World.afterRestart(rows), present, where)
                const record = yield* done(World.record(user))
                const own = seen.filter(({ userId }) => userId === user.id)
                const state = yield* done(User.state(user))
                assert.strictEqual(stateAfter(own, "LoggedIn"), state, where)
                if (own.length > 0 && state !== "Removed") {
                  assert.strictEqual(own.at(-1)!.generation, record?.generation, where)
                }
                // Everybody who is logged in here has a session on the server, but for one whose deletion was on its way.
                for (const known of present.users) {
                  const { tokens } = known!
                  if (tokens === undefined || !server.accounts.has(known!.userId)) continue
                  assert.isTrue(
                    server.sessions.has(String(World.claims(Redacted.make(tokens.refreshToken))["sid"])),
                    where
                  )
                }
                // The lease is free, nothing is waited for, and the user goes on.
                if (state === "LoggedIn" && server.accounts.has(user.id)) {
                  const next = yield* settled(
                    Effect.andThen(User.refreshCustomData(user), User.callFunction(user, "echo"))
                  )
                  assert.isTrue(Exit.isSuccess(next), `${where}: ${String(next)}`)
                }
              })),
          { discard: true }
        ),
      World.runs(1)
    )
  }

  it.effect.prop(
    "interrupting some of those who wait for an exchange harms nobody else",
    {
      waiters: Schema.Array(Schema.Struct({
        at: Millis(15),
        leaves: Schema.Literals([1, 3, 5, 8, 13, 21, 1000]),
        operation: Schema.Literals(["callFunction", "refresh", "refreshProfile"])
      })).check(Schema.isMinLength(1), Schema.isMaxLength(15)),
      store: Schema.Literals(World.stores),
      storeLatency: Millis(1)
    },
    ({ store, storeLatency, waiters }) =>
      inWorld({ latency: () => [4, 4], store, storeLatency }, ({ server }) =>
        Effect.gen(function*() {
          const user = yield* World.logIn(server)
          server.expire(user.id)
          server.forget()
          // One stays from the beginning, so that there always is somebody who waits.
          const exits = yield* World.together<unknown, unknown, World.Services>([
            { at: 0, run: User.callFunction(user, "echo") },
            ...waiters.map(({ at, leaves, operation }) => ({
              at,
              run: Effect.timeoutOption(operations[operation].run(user), leaves)
            }))
          ])
          for (const exit of exits) assert.isTrue(Exit.isSuccess(exit), String(exit))
          // A refresh that begins after the exchange is another one.
          const asked = waiters.filter(({ operation }) => operation === "refresh").length
          assert.isAtMost(server.count("refreshSession"), 1 + asked)
          assert.strictEqual(yield* done(User.state(user)), "LoggedIn")
        })),
    World.runs(100)
  )

  it.effect("an exchange that nobody waits for any more is aborted, and the next one begins anew", () =>
    inWorld({ latency: () => [10, 10] }, ({ server }) =>
      Effect.gen(function*() {
        const user = yield* World.logIn(server)
        server.expire(user.id)
        server.forget()
        const fibers = yield* Effect.forEach(
          [1, 2, 3],
          () => Effect.forkChild(User.refresh(user), { startImmediately: true })
        )
        yield* TestClock.adjust("5 millis")
        yield* Fiber.interruptAll(fibers)
        assert.deepStrictEqual(server.asked.map(({ aborted, endpoint }) => [endpoint, aborted]), [[
          "refreshSession",
          true
        ]])
        yield* done(User.callFunction(user, "echo"))
        assert.strictEqual(yield* User.state(user), "LoggedIn")
      })))
})
