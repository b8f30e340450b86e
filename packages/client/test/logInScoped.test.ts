import * as Faults from "@effect-realm/testing/Faults"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer, Schema, Scope } from "effect"
import { TestClock } from "effect/testing"
import { App, Credentials, User } from "../src/index.ts"
import * as World from "./laws/world.ts"

const { app, done, inWorld, settled } = World

const ann = World.credentials("ann@model.test")

describe("App.logInScoped", () => {
  it.effect("logs the user out when the scope ends, on success, failure and interruption", () =>
    inWorld({}, ({ server }) =>
      Effect.gen(function*() {
        server.register("ann@model.test")
        const ends: ReadonlyArray<Effect.Effect<unknown, string>> = [
          Effect.void,
          Effect.fail("no"),
          Effect.interrupt,
          Effect.die("no")
        ]
        for (const end of ends) {
          let user: User.User | undefined
          yield* settled(Effect.scoped(Effect.gen(function*() {
            user = yield* App.logInScoped(app, ann)
            assert.strictEqual(yield* User.state(user), "LoggedIn")
            yield* end
          })))
          assert.strictEqual(yield* User.state(user!), "LoggedOut")
          assert.strictEqual(server.sessions.size, 0)
        }
      })))

  it.effect.prop(
    "leaves nobody logged in, here and on the server, when it is interrupted at any moment",
    {
      after: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 60 })),
      storeLatency: Schema.Literals([0, 1, 3]),
      steps: Schema.Literals([8, 64, 2048])
    },
    ({ after, steps, storeLatency }) =>
      inWorld({ latency: () => [5, 5], store: "text", storeLatency }, ({ server }) =>
        Effect.gen(function*() {
          server.register("ann@model.test")
          const scope = yield* Scope.make()
          const fiber = yield* Effect.forkChild(Scope.provide(App.logInScoped(app, ann), scope))
          yield* TestClock.adjust(after)
          const interruption = yield* Effect.forkChild(Fiber.interrupt(fiber))
          yield* TestClock.adjust("1 minute")
          yield* Fiber.join(interruption)
          yield* done(Scope.close(scope, Exit.void))
          for (const user of yield* done(App.allUsers(app))) {
            assert.strictEqual(yield* done(User.state(user)), "LoggedOut")
          }
          yield* TestClock.adjust("1 minute")
          // A request that was aborted on its way may have opened a session that nobody has heard of.
          const aborted = server.asked.some((one) => one.endpoint === "logInEmailPassword" && one.aborted)
          if (!aborted) assert.strictEqual(server.sessions.size, 0)
        })).pipe(World.yielding(steps)),
    World.runs(80)
  )

  it.effect("fails like a log-in, and then has nobody to log out", () =>
    inWorld({}, ({ server }) =>
      Effect.gen(function*() {
        const exit = yield* settled(Effect.scoped(App.logInScoped(app, ann)))
        assert.strictEqual(World.failureTag(exit), "AuthError")
        assert.strictEqual(server.count("deleteSession"), 0)
      })))

  it.effect("does not fail when the log-out does, and the user is logged out here all the same", () =>
    inWorld({}, ({ server }) =>
      Effect.gen(function*() {
        server.register("ann@model.test")
        const user = yield* done(
          Effect.scoped(App.logInScoped(app, ann)).pipe(
            Faults.inject(Faults.at({ endpoint: "deleteSession" }, Faults.html))
          )
        )
        assert.strictEqual(yield* User.state(user), "LoggedOut")
      })))

  it.effect("ends no session of anybody else: a reusable anonymous user, a later log-in of the same user", () =>
    inWorld({}, ({ server }) =>
      Effect.gen(function*() {
        const before = yield* World.anonymous
        const scoped = yield* done(Effect.scoped(App.logInScoped(app, Credentials.anonymous())))
        assert.notStrictEqual(scoped.id, before.id)
        assert.strictEqual(yield* User.state(before), "LoggedIn")

        server.register("ann@model.test")
        const user = yield* done(Effect.scoped(Effect.andThen(App.logInScoped(app, ann), App.logIn(app, ann))))
        assert.strictEqual(yield* User.state(user), "LoggedIn")
        yield* done(User.callFunction(user, "echo"))
      })))

  it.effect("logs out nobody who was removed meanwhile", () =>
    inWorld({}, ({ server }) =>
      Effect.gen(function*() {
        server.register("ann@model.test")
        const user = yield* done(Effect.scoped(Effect.tap(
          App.logInScoped(app, ann),
          (user) => App.removeUser(app, user)
        )))
        assert.strictEqual(server.count("deleteSession"), 1)
        assert.strictEqual(yield* User.state(user), "Removed")
      })))
})

class Importer extends Context.Service<Importer, User.User>()("test/Importer") {}

const importer = App.layerUser(Importer, app, ann)

describe("App.layerUser", () => {
  it.effect("provides one user to all who ask while it is in use, and logs in and out once", () =>
    inWorld({}, ({ server }) =>
      Effect.gen(function*() {
        server.register("ann@model.test")
        const asking = Layer.effectDiscard(Effect.flatMap(Importer, (user) => User.callFunction(user, "echo")))
        yield* done(Effect.scoped(Layer.build(
          Layer.merge(asking, Layer.fresh(asking)).pipe(Layer.provide(importer))
        )))
        assert.deepStrictEqual(server.asked.map(({ endpoint }) => endpoint), [
          "logInEmailPassword",
          "profile",
          "callFunction",
          "callFunction",
          "deleteSession"
        ])
      })))

  it.effect("logs in again when the server has ended the session, also when the server is in trouble first", () => {
    let broken = false
    return inWorld({
      script: ({ endpoint }) =>
        broken && endpoint === "logInEmailPassword" ? { status: 503, body: { error: "later" } } : undefined
    }, ({ server }) =>
      Effect.gen(function*() {
        server.register("ann@model.test")
        yield* Effect.gen(function*() {
          const user = yield* Importer
          const call = User.callFunction(user, "echo")
          yield* done(call)
          for (const trouble of [false, true]) {
            yield* TestClock.adjust("60 days")
            server.endSessions(user.id)
            broken = trouble
            const exit = yield* settled(Effect.exit(call))
            assert.isTrue(Exit.isSuccess(exit))
            yield* TestClock.adjust("5 minutes")
            assert.strictEqual(yield* User.state(user), trouble ? "LoggedOut" : "LoggedIn")
            broken = false
            yield* TestClock.adjust("2 minutes")
            assert.strictEqual(yield* User.state(user), "LoggedIn")
            yield* done(call)
          }
        }).pipe(Effect.provide(importer))
        assert.strictEqual(server.sessions.size, 0)
      }))
  })

  it.effect("stays logged out where the program asked for it, and where the credentials are refused", () => {
    let refused = false
    return inWorld({
      script: ({ endpoint }) =>
        refused && endpoint === "logInEmailPassword"
          ? { status: 401, body: { error: "no", error_code: "InvalidPassword" } }
          : undefined
    }, ({ server }) =>
      Effect.gen(function*() {
        server.register("ann@model.test")
        yield* Effect.gen(function*() {
          const user = yield* Importer
          yield* done(User.logOut(user))
          yield* TestClock.adjust("10 minutes")
          assert.strictEqual(server.count("logInEmailPassword"), 1)
        }).pipe(Effect.provide(importer))
        server.forget()
        yield* Effect.gen(function*() {
          const user = yield* Importer
          refused = true
          server.endSessions(user.id)
          yield* settled(User.refresh(user))
          yield* TestClock.adjust("10 minutes")
          assert.strictEqual(server.count("logInEmailPassword"), 2)
          assert.strictEqual(yield* User.state(user), "LoggedOut")
        }).pipe(Effect.provide(importer))
      }))
  })
})
