import { Faults } from "@effect-realm/testing"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Redacted, Schema } from "effect"
import { App, User } from "../../src/index.ts"
import * as World from "./world.ts"

const { app, done, inWorld, operations, settled, together } = World

const Millis = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))

/** What can be in flight while somebody logs out. */
const inFlight = [
  "callFunction",
  "refresh",
  "refreshProfile",
  "refreshCustomData",
  "linkCredentials",
  "logIn"
] as const

const run = (name: typeof inFlight[number], user: User.User) =>
  name === "logIn" ? Effect.asVoid(App.logIn(app, World.credentials("ann@model.test"))) : operations[name].run(user)

/** No token of the user is left, here or in what a new process reads. */
const noTokens = (user: User.User, { rows, server }: World.World, expected: User.State, where: string) =>
  Effect.gen(function*() {
    assert.strictEqual(yield* User.state(user), expected, where)
    assert.isUndefined((yield* World.record(user))?.tokens, where)
    const text = [...rows.values()].join("\n")
    for (const secret of server.secrets) assert.isFalse(text.includes(secret), where)
    const restarted = yield* World.afterRestart(rows)
    assert.isTrue(restarted.users.every((record) => record?.tokens === undefined), where)
    assert.isUndefined(restarted.current, where)
  })

const neverDies = (exits: ReadonlyArray<Exit.Exit<unknown, unknown>>, where: string) => {
  for (const exit of exits) assert.isFalse(Exit.hasDies(exit) || Exit.hasInterrupts(exit), `${where}: ${String(exit)}`)
}

describe("Law 5, log-out wins", () => {
  for (const store of World.ownStores) {
    for (const name of inFlight) {
      for (const leave of ["logOut", "removeUser"] as const) {
        it.effect(
          `${leave} against ${name} at every moment of it, sessions ${store === "memory" ? "in memory" : "as text"}`,
          () =>
            Effect.forEach(
              Array.from({ length: store === "text" ? 48 : 26 }, (_, at) => at),
              (at) =>
                inWorld({ latency: () => [3, 3], store, storeLatency: 1 }, (world) =>
                  Effect.gen(function*() {
                    const { server } = world
                    const user = yield* World.logIn(server)
                    server.register("linked@model.test")
                    server.expire(user.id)
                    const where = `after ${at} ms`
                    const exits = yield* together<void, unknown, World.Services>([
                      { at: 0, run: run(name, user) },
                      { at, run: operations[leave].run(user) }
                    ])
                    neverDies(exits, where)
                    assert.isTrue(Exit.isSuccess(exits[1]!), where)
                    yield* done(noTokens(user, world, leave === "logOut" ? "LoggedOut" : "Removed", where))
                    // Nor does a session stay behind on the server, but for one that a log-in has replaced.
                    assert.isAtMost(server.sessions.size, name === "logIn" ? 1 : 0, where)
                  })),
              { discard: true }
            ),
          World.runs(1)
        )
      }
    }
  }

  it.effect.prop(
    "against any mix of operations, at any time, with any latencies",
    {
      others: Schema.Array(Schema.Struct({ at: Millis(30), name: Schema.Literals(inFlight) })).check(
        Schema.isMinLength(1),
        Schema.isMaxLength(8)
      ),
      at: Millis(50),
      leave: Schema.Literals(["logOut", "removeUser"]),
      store: Schema.Literals(World.stores),
      storeLatency: Millis(2),
      latency: Schema.Array(Millis(9)).check(Schema.isMinLength(1), Schema.isMaxLength(7)),
      expired: Schema.Boolean
    },
    ({ at, expired, latency, leave, others, store, storeLatency }) =>
      inWorld({
        latency: ({ number }) => [latency[number % latency.length]!, latency[(3 * number + 1) % latency.length]!],
        store,
        storeLatency
      }, (world) =>
        Effect.gen(function*() {
          const { server } = world
          const user = yield* World.logIn(server)
          server.register("linked@model.test")
          if (expired) server.expire(user.id)
          const exits = yield* together<void, unknown, World.Services>([
            // Whoever begins to log in after the log-out is logged in.
            ...others.map(({ at: begin, name }) => ({ at: Math.min(begin, at), run: run(name, user) })),
            { at, run: operations[leave].run(user) }
          ])
          neverDies(exits, "")
          yield* done(noTokens(user, world, leave === "logOut" ? "LoggedOut" : "Removed", ""))
        })),
    World.runs(150)
  )

  it.effect.prop(
    "offline, on a server that stalls or is broken: the tokens are gone here at once, and the failure is told",
    {
      fault: Schema.Literals(["dropBefore", "dropAfter", "html", "stallBody", "stallHeaders", "503", "429"]),
      leave: Schema.Literals(["logOut", "removeUser"])
    },
    ({ fault, leave }) => {
      const faults = {
        dropBefore: Faults.dropBefore,
        dropAfter: Faults.dropAfter,
        html: Faults.html,
        stallBody: Faults.stallBody,
        stallHeaders: Faults.stallHeaders,
        503: Faults.answer({ status: 503, body: "{\"error\":\"later\"}" }),
        429: Faults.answer({ status: 429, body: "{\"error\":\"later\"}" })
      }
      return inWorld({ store: "text" }, (world) =>
        Effect.gen(function*() {
          const user = yield* World.logIn(world.server)
          const leaving = operations[leave].run(user).pipe(Faults.inject(Faults.at({}, faults[fault])))
          const [exit, ...others] = yield* together<void, unknown, World.Services>([
            { at: 0, run: leaving },
            // At once: before the server has said anything.
            { at: 1, run: noTokens(user, world, leave === "logOut" ? "LoggedOut" : "Removed", "at once") }
          ])
          for (const other of others) assert.isTrue(Exit.isSuccess(other), String(other))
          // A body that stalls belongs to an answer without a body: nothing is missing.
          if (fault !== "stallBody") {
            assert.include(
              ["TransportError", "InvalidResponseError", "RequestError", "UnknownServiceError"],
              World.failureTag(exit!)
            )
          }
          yield* noTokens(user, world, leave === "logOut" ? "LoggedOut" : "Removed", "in the end")
        }))
    },
    World.runs(40)
  )

  it.effect.prop(
    "in a store that cannot forget: the failure is told, and the tokens are good for nothing",
    { leave: Schema.Literals(["logOut", "removeUser"]) },
    ({ leave }) => {
      const rows = new World.FailingRows()
      return inWorld({ store: "text", rows }, ({ server }) =>
        Effect.gen(function*() {
          const user = yield* World.logIn(server)
          rows.isFull = true
          const exit = yield* settled(operations[leave].run(user))
          assert.strictEqual(World.failureTag(exit), "TokenStoreError")
          assert.strictEqual(server.sessions.size, 0)
          rows.isFull = false
          yield* done(operations[leave].run(user))
          assert.strictEqual(yield* User.state(user), leave === "logOut" ? "LoggedOut" : "Removed")
        }))
    },
    World.runs(4)
  )

  it.effect("twice, or for a session that is gone on the server, or for somebody who was never here: success", () =>
    inWorld({}, ({ server }) =>
      Effect.gen(function*() {
        const user = yield* World.logIn(server)
        server.endSessions(user.id)
        yield* User.logOut(user)
        yield* User.logOut(user)
        yield* App.removeUser(app, user)
        yield* App.removeUser(app, user)
        yield* User.logOut(new User.User({ ...user, id: "never-here" }))
        assert.strictEqual(server.count("deleteSession"), 1)
        const deletion = server.asked.find(({ endpoint }) => endpoint === "deleteSession")
        assert.strictEqual(deletion?.bearer?.kind, "refresh")
      })))

  it.effect.prop(
    "a log-in that begins after the log-out is a new one, whatever is still in flight",
    {
      latency: Schema.Array(Millis(9)).check(Schema.isMinLength(1), Schema.isMaxLength(7)),
      store: Schema.Literals(World.stores),
      late: Schema.Literals(inFlight)
    },
    ({ late, latency, store }) =>
      inWorld({
        latency: ({ number }) => [latency[number % latency.length]!, latency[(3 * number + 1) % latency.length]!],
        store,
        storeLatency: 1
      }, ({ server }) =>
        Effect.gen(function*() {
          const user = yield* World.logIn(server)
          const before = (yield* done(World.record(user)))!.tokens!.refreshToken
          server.expire(user.id)
          const again = Effect.andThen(User.logOut(user), App.logIn(app, World.credentials("ann@model.test")))
          const exits = yield* together<unknown, unknown, World.Services>([
            { at: 0, run: run(late, user) },
            { at: 2, run: again }
          ])
          neverDies(exits, "")
          assert.isTrue(Exit.isSuccess(exits[1]!), String(exits[1]))
          assert.strictEqual(yield* done(User.state(user)), "LoggedIn")
          assert.notStrictEqual((yield* done(World.record(user)))!.tokens!.refreshToken, before)
          assert.isTrue(Exit.isSuccess(yield* settled(User.callFunction(user, "echo"))))
        })),
    World.runs(100)
  )

  it.effect.prop(
    "an answer for the log-in before never takes the place of the tokens of the present one",
    {
      at: Millis(30),
      late: Schema.Literals(["callFunction", "refresh", "refreshProfile", "refreshCustomData", "linkCredentials"]),
      store: Schema.Literals(World.stores)
    },
    ({ at, late, store }) =>
      inWorld({ latency: () => [4, 4], store, storeLatency: 1 }, ({ server }) =>
        Effect.gen(function*() {
          const user = yield* World.logIn(server)
          server.register("linked@model.test")
          server.expire(user.id)
          const exits = yield* together<unknown, unknown, World.Services>([
            { at: 0, run: run(late, user) },
            { at, run: App.logIn(app, World.credentials("ann@model.test")) }
          ])
          // The user never was logged out, so nothing fails.
          for (const exit of exits) assert.isTrue(Exit.isSuccess(exit), String(exit))
          const newest = [...server.sessions.keys()].at(-1)!
          const { accessToken, refreshToken } = (yield* done(World.record(user)))!.tokens!
          for (const token of [accessToken, refreshToken]) {
            assert.strictEqual(World.claims(Redacted.make(token))["sid"], newest)
          }
          if (late === "linkCredentials") assert.strictEqual((yield* done(User.identities(user))).length, 2)
        })),
    World.runs(100)
  )
})
