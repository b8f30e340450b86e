import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Layer, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import { App, SessionStorage, TokenStore, User, type UserEvent } from "../../src/index.ts"
import { inProcesses } from "./processes.ts"
import * as World from "./world.ts"

const { app, done, operations, runs } = World

/** The state that an event leaves its user in. */
const stateAfter = ({ _tag }: UserEvent.UserEvent): User.State =>
  _tag === "LoggedOut" || _tag === "Removed" ? _tag : "LoggedIn"

const tenSeconds = Duration.seconds(10)

const Millis = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))

describe("Many processes that share one storage", () => {
  it.effect("8 processes with 50 fibers each on an expired token make one exchange", () =>
    inProcesses(8, { latency: () => [5, 5] }, ({ server, within }) =>
      Effect.gen(function*() {
        const user = yield* within(0, World.logIn(server))
        server.expire(user.id)
        server.forget()
        const exits = yield* World.together(
          Array.from({ length: 400 }, (_, n) => ({ at: n % 7, run: within(n, User.callFunction(user, "echo", [n])) }))
        )
        for (const exit of exits) assert.isTrue(Exit.isSuccess(exit), String(exit))
        assert.strictEqual(server.count("refreshSession"), 1)
      })))

  const inFlight = ["callFunction", "refresh", "refreshCustomData", "linkCredentials", "logIn"] as const

  for (const name of inFlight) {
    for (const leave of ["logOut", "removeUser"] as const) {
      it.effect(
        `${leave} in one wins against ${name} in another, at every moment of it`,
        () =>
          Effect.forEach(
            Array.from({ length: 40 }, (_, at) => at),
            (at) =>
              inProcesses(3, { latency: () => [3, 3] }, ({ server, within }) =>
                Effect.gen(function*() {
                  const user = yield* within(0, World.logIn(server))
                  server.register("linked@model.test")
                  server.expire(user.id)
                  const run = name === "logIn"
                    ? Effect.asVoid(App.logIn(app, World.credentials("ann@model.test")))
                    : operations[name].run(user)
                  const exits = yield* World.together<void, unknown, never>([
                    { at: 0, run: within(1, run) },
                    { at, run: within(2, operations[leave].run(user)) }
                  ])
                  assert.isTrue(exits.every((exit) => !Exit.hasDies(exit) && !Exit.hasInterrupts(exit)))
                  assert.isTrue(Exit.isSuccess(exits[1]!), String(exits[1]))
                  for (const process of [0, 1, 2]) {
                    assert.isUndefined((yield* done(within(process, World.record(user))))?.tokens, `after ${at} ms`)
                    const state = yield* done(within(process, User.state(user)))
                    assert.strictEqual(state, leave === "logOut" ? "LoggedOut" : "Removed")
                  }
                  assert.isAtMost(server.sessions.size, name === "logIn" ? 1 : 0)
                })),
            { discard: true }
          ),
        runs(1)
      )
    }
  }

  for (const name of World.operationNames) {
    it.effect(
      `${name}, interrupted at every moment of it in one, leaves record, lease and events consistent in another`,
      () =>
        Effect.forEach(
          Array.from({ length: 40 }, (_, at) => at),
          (at) =>
            inProcesses(2, { latency: () => [3, 3] }, ({ server, within }) =>
              Effect.gen(function*() {
                const where = `after ${at} ms`
                const user = yield* within(0, World.logIn(server))
                server.register("linked@model.test")
                server.expire(user.id)
                const told: Array<UserEvent.UserEvent> = []
                const listening = Stream.runForEach(App.events(app), (event) =>
                  Effect.sync(() => {
                    if (event._tag !== "Snapshot") told.push(event)
                  }))
                yield* Effect.forkScoped(within(1, listening), { startImmediately: true })
                yield* TestClock.adjust("1 second")

                const running = yield* Effect.forkChild(within(0, operations[name].run(user)), {
                  startImmediately: true
                })
                yield* TestClock.adjust(at)
                const interrupting = yield* Effect.forkChild(Fiber.interrupt(running), { startImmediately: true })
                // What was asked of the place is answered in two milliseconds.
                yield* TestClock.adjust("20 millis")
                assert.isDefined(interrupting.pollUnsafe(), `${where}: the interruption waits for something`)
                yield* TestClock.adjust("2 seconds")

                const [record, here, state] = yield* done(Effect.all([
                  within(1, World.record(user)),
                  within(0, World.record(user)),
                  within(1, User.state(user))
                ]))
                assert.deepStrictEqual(here, record, where)
                const last = told.at(-1)
                if (last === undefined) assert.strictEqual(state, "LoggedIn", where)
                else {
                  assert.strictEqual(state, stateAfter(last), where)
                  if (record !== undefined) assert.strictEqual(last.generation, record.generation, where)
                }
                if (state !== "LoggedIn" || !server.accounts.has(user.id)) return
                // The lease was given back: nobody waits for its end.
                server.expire(user.id)
                const call = yield* Effect.forkChild(within(1, User.callFunction(user, "echo", [1])))
                yield* TestClock.adjust("1 second")
                assert.isTrue(call.pollUnsafe()?._tag === "Success", `${where}: ${String(call.pollUnsafe())}`)
              }).pipe(Effect.scoped)),
          { discard: true }
        ),
      runs(1)
    )
  }

  it.effect("a log-in that begins before a log-out of a user who is not logged in anywhere loses, too", () =>
    inProcesses(2, { latency: () => [10, 10] }, ({ server, within }) =>
      Effect.gen(function*() {
        const user = yield* within(0, World.logIn(server))
        yield* done(within(0, User.logOut(user)))
        const [logIn, logOut] = yield* World.together<void, unknown, never>([
          { at: 0, run: within(0, Effect.asVoid(App.logIn(app, World.credentials("ann@model.test")))) },
          { at: 8, run: within(1, User.logOut(user)) }
        ])
        assert.isTrue(Exit.isSuccess(logOut!))
        assert.strictEqual(World.failureTag(logIn!), "NotLoggedInError")
        assert.strictEqual(yield* done(within(0, User.state(user))), "LoggedOut")
      })))

  it.effect("a process that dies in an exchange keeps the others waiting for ten seconds, and loses nothing", () =>
    inProcesses(2, { latency: () => [5, 5] }, ({ server, storage, within }) =>
      Effect.gen(function*() {
        const user = yield* within(0, World.logIn(server))
        server.expire(user.id)
        server.forget()
        // Nobody gives this lease back or says that its holder lives.
        assert.isTrue(yield* done(storage.acquire({ appId: app.id, userId: user.id }, "dead", tenSeconds)))
        const call = yield* Effect.forkChild(within(1, User.callFunction(user, "echo", [1])), {
          startImmediately: true
        })
        yield* TestClock.adjust("8 seconds")
        assert.isUndefined(call.pollUnsafe())
        yield* TestClock.adjust("2 seconds")
        assert.isTrue(Exit.isSuccess(call.pollUnsafe()!))
        assert.strictEqual(server.count("refreshSession"), 1)
        assert.strictEqual(yield* done(within(0, User.state(user))), "LoggedIn")
      })))

  it.effect("a holder that lives keeps its lease longer than one that has died", () =>
    inProcesses(2, { latency: () => [20_000, 20_000] }, ({ server, within }) =>
      Effect.gen(function*() {
        const user = yield* within(0, World.logIn(server))
        server.expire(user.id)
        server.forget()
        const exits = yield* World.together([
          { at: 0, run: within(0, User.callFunction(user, "echo")) },
          { at: 1, run: within(1, User.callFunction(user, "echo")) }
        ])
        assert.isTrue(exits.every(Exit.isSuccess), String(exits))
        assert.strictEqual(server.count("refreshSession"), 1)
      })))

  it.effect("a lease that another was given ends what its holder does, typed", () =>
    Effect.gen(function*() {
      const storage = yield* SessionStorage.SessionStorage
      let given = 0
      // As a place does that was set back to an earlier state.
      const forgetful = Layer.provide(
        TokenStore.layerStorage,
        Layer.succeed(SessionStorage.SessionStorage, {
          ...storage,
          acquire: (key, holder, life) => given++ === 0 ? storage.acquire(key, holder, life) : Effect.succeed(false)
        })
      )
      const lease = TokenStore.TokenStore.use(({ lease }) => lease({ appId: app.id, userId: "ann" }, Effect.never))
      const held = yield* Effect.forkChild(Effect.flip(Effect.provide(lease, forgetful)), { startImmediately: true })
      yield* TestClock.adjust("3 seconds")
      assert.isUndefined(held.pollUnsafe())
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(held)).reason._tag, "LeaseLost")
    }).pipe(Effect.provide(Layer.fresh(SessionStorage.layerMemory))))

  it.effect.prop(
    "tell everyone the same events in the same order, each once, whoever made the change",
    {
      changes: Schema.Array(Schema.Struct({
        at: Millis(40),
        process: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 })),
        name: Schema.Literals(["refresh", "refreshProfile", "logOut", "logIn", "removeUser", "refreshCustomData"])
      })).check(Schema.isMaxLength(12)),
      latency: Millis(5)
    },
    ({ changes, latency }) =>
      inProcesses(3, { latency: () => [latency, latency] }, ({ server, within }) =>
        Effect.gen(function*() {
          const user = yield* within(0, World.logIn(server))
          const told = yield* Effect.forEach([0, 1, 2], (process) =>
            Effect.gen(function*() {
              const events: Array<UserEvent.UserEvent> = []
              yield* Effect.forkScoped(
                within(
                  process,
                  Stream.runForEach(App.events(app), (event) =>
                    Effect.sync(() => {
                      if (event._tag !== "Snapshot") events.push(event)
                    }))
                ),
                { startImmediately: true }
              )
              return events
            }))
          yield* TestClock.adjust("1 second")
          yield* World.together(changes.map(({ at, name, process }) => ({
            at,
            run: Effect.exit(within<void, unknown>(
              process,
              name === "logIn"
                ? Effect.asVoid(App.logIn(app, World.credentials("ann@model.test")))
                : operations[name].run(user)
            ))
          })))
          yield* TestClock.adjust("1 second")
          assert.deepStrictEqual(told[1], told[0])
          assert.deepStrictEqual(told[2], told[0])
          const numbers = told[0]!.map((event) => event.generation)
          assert.deepStrictEqual(numbers, [...new Set(numbers)].toSorted((a, b) => a - b))
          const session = yield* done(within(1, World.record(user)))
          const last = told[0]!.at(-1)
          if (last !== undefined) {
            assert.strictEqual(session === undefined, last._tag === "Removed")
            if (session !== undefined) assert.strictEqual(session.generation, last.generation)
          }
        }).pipe(Effect.scoped)),
    runs(60)
  )
})
