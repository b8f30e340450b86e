import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Latch, Layer, Option, Queue, Schema, Stream } from "effect"
import type { HttpClient } from "effect/http"
import { App, TokenStore, User, type UserEvent } from "../../src/index.ts"
import * as World from "./world.ts"

const { app, done, inWorld, operations, together } = World

const Millis = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))

type Told<State> = UserEvent.UserEvent | UserEvent.Snapshot<State>

interface Committed {
  readonly userId: string
  readonly generation: number
  readonly tag: string
}

/** Notes every commit that happened in the store that is there. */
const noting = (commits: Array<Committed>): Layer.Layer<TokenStore.TokenStore, never, TokenStore.TokenStore> =>
  Layer.effect(
    TokenStore.TokenStore,
    Effect.map(TokenStore.TokenStore, (store) =>
      TokenStore.make({
        ...store,
        commit: (key, commit) =>
          Effect.tap(store.commit(key, commit), (outcome) =>
            Effect.sync(() => {
              if (outcome._tag !== "Committed") return
              commits.push({ userId: key.userId, generation: outcome.generation, tag: commit.event._tag })
            }))
      }))
  )

const subscribe = <State, E>(events: Stream.Stream<Told<State>, E, TokenStore.TokenStore>) =>
  Effect.gen(function*() {
    const told: Array<Told<State>> = []
    const fiber = yield* Effect.forkScoped(
      Stream.runForEach(events, (event) => Effect.sync(() => told.push(event))),
      { startImmediately: true }
    )
    return { fiber, told }
  })

const committed = <State>(told: ReadonlyArray<Told<State>>): ReadonlyArray<Committed> =>
  told.flatMap((event) =>
    event._tag === "Snapshot" ? [] : [{ userId: event.userId, generation: event.generation, tag: event._tag }]
  )

const Steps = Schema.Array(Schema.Struct({
  user: Millis(2),
  at: Millis(30),
  operation: Schema.Literals([...World.operationNames, "logIn", "logIn", "switchUser"])
})).check(Schema.isMinLength(1), Schema.isMaxLength(20))

describe("Events", () => {
  it.effect.prop(
    "tell every commit exactly once and in order, to every subscriber, whenever it came",
    { steps: Steps, store: Schema.Literals(World.stores), storeLatency: Millis(1), late: Millis(30) },
    ({ late, steps, store, storeLatency }) => {
      const commits: Array<Committed> = []
      return inWorld(
        { store, storeLatency, latency: ({ number }) => [number % 4, number % 3] },
        ({ server }) =>
          Effect.gen(function*() {
            server.register("linked@model.test")
            const emails = ["ann@model.test", "bob@model.test", "cleo@model.test"]
            const users = yield* Effect.forEach(emails, (email) => World.logIn(server, email))
            commits.length = 0
            const all = yield* subscribe(App.events(app))
            const each = yield* Effect.forEach(users, (user) => subscribe(User.events(user)))
            yield* done(Effect.sleep("1 second"))
            let lateFrom = -1
            let lateTold: ReadonlyArray<Told<App.AppState>> = []
            const exits = yield* together<unknown, unknown, World.Services | HttpClient.HttpClient>([
              ...steps.map(({ at, operation, user }) => ({
                at,
                run: operation === "logIn"
                  ? App.logIn(app, World.credentials(emails[user]!))
                  : operation === "switchUser"
                  ? App.switchUser(app, users[user]!)
                  : operations[operation].run(users[user]!)
              })),
              {
                at: late,
                run: Effect.scoped(Effect.gen(function*() {
                  const { told } = yield* subscribe(App.events(app))
                  lateTold = told
                  lateFrom = commits.length
                  yield* Effect.sleep("5 minutes")
                }))
              }
            ])
            for (const exit of exits) assert.isFalse(Exit.hasDies(exit), String(exit))

            assert.deepStrictEqual(all.told[0]?._tag, "Snapshot")
            // Commits of different users may be noted in another order than they happened in.
            const ordered = (userId: string, list: ReadonlyArray<Committed>) =>
              list.filter((one) => one.userId === userId)
            for (const [index, user] of users.entries()) {
              const happened = ordered(user.id, commits).toSorted((self, that) => self.generation - that.generation)
              assert.deepStrictEqual(ordered(user.id, committed(all.told)), happened)
              const { told } = each[index]!
              assert.strictEqual(told[0]?._tag, "Snapshot")
              assert.strictEqual(told.filter(({ _tag }) => _tag === "Snapshot").length, 1)
              const removal = happened.findIndex(({ tag }) => tag === "Removed")
              assert.deepStrictEqual(committed(told), removal === -1 ? happened : happened.slice(0, removal + 1))
              assert.strictEqual(each[index]!.fiber.pollUnsafe() !== undefined, removal !== -1)
              // A late one has missed some, and after its snapshot it misses none.
              const lateOwn = ordered(user.id, committed(lateTold))
              assert.deepStrictEqual(lateOwn, happened.slice(happened.length - lateOwn.length))
            }
            assert.strictEqual(committed(all.told).length, commits.length)
            assert.isAtLeast(committed(lateTold).length, 0)
            assert.isTrue(lateFrom >= 0 && lateTold[0]?._tag === "Snapshot")
          }).pipe(Effect.provide(noting(commits)))
      )
    },
    World.runs(80)
  )

  it.effect.prop(
    "a slow subscriber delays nobody, and gets a snapshot that says how many it missed",
    { commits: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 600 })), before: Millis(3) },
    ({ before, commits }) =>
      inWorld({}, ({ server }) =>
        Effect.gen(function*() {
          const user = yield* World.logIn(server)
          const told: Array<Told<User.UserState>> = []
          const gate = yield* Latch.make(true)
          const subscriber = yield* Effect.forkScoped(
            Stream.runForEach(
              User.events(user),
              (event) => Effect.andThen(gate.await, Effect.sync(() => told.push(event)))
            ),
            { startImmediately: true }
          )
          for (let n = 0; n < before; n++) yield* User.refreshProfile(user)
          yield* Effect.sleep("1 millis").pipe(done)
          assert.strictEqual(told.length, before + 1)
          yield* gate.close
          const first = (yield* World.record(user))!.generation
          for (let n = 0; n < commits; n++) yield* User.refreshProfile(user)
          const last = (yield* World.record(user))!.generation
          assert.strictEqual(last, first + commits)
          yield* gate.open
          yield* done(Effect.sleep("1 second"))
          const rest = told.slice(before + 1)
          const events = committed(rest)
          const snapshots = rest.flatMap((event) => event._tag === "Snapshot" ? [event] : [])
          const missed = snapshots.reduce((sum, snapshot) => sum + snapshot.missed, 0)
          assert.strictEqual(events.length + missed, commits)
          assert.isAtMost(snapshots.length, 1)
          assert.strictEqual(snapshots.length === 1, missed > 0)
          assert.isAtLeast(events.length, Math.min(commits, 256))
          // What it does see is in order, with the snapshot in the place of what it missed.
          assert.deepStrictEqual(events.map(({ generation }) => generation), events.map((_, n) => first + 1 + n))
          if (missed > 0) assert.strictEqual(rest.at(-1)?._tag, "Snapshot")
          // From then on it is told everything again.
          yield* User.refreshProfile(user)
          yield* done(Effect.sleep("1 second"))
          const next = told.at(-1)!
          assert.isTrue(next._tag === "ProfileRefreshed" && next.generation === last + 1)
          assert.isUndefined(subscriber.pollUnsafe())
        })),
    World.runs(12)
  )

  it.effect("say what changed", () =>
    inWorld({}, ({ server }) =>
      Effect.gen(function*() {
        const user = yield* World.logIn(server)
        const events = yield* Queue.unbounded<Told<User.UserState>>()
        yield* Effect.forkScoped(Stream.runForEach(User.events(user), (event) => Queue.offer(events, event)), {
          startImmediately: true
        })
        const next = <E>(effect: Effect.Effect<unknown, E, World.Services>) =>
          Effect.andThen(
            done(effect),
            Effect.map(Queue.takeAll(events), (list) =>
              list.map(({ _tag, ...rest }): readonly [string, object] => [_tag, rest]))
          )
        const tags = (list: ReadonlyArray<readonly [string, object]>) =>
          list.map(([tag]) => tag)

        assert.deepStrictEqual(tags(yield* next(Effect.void)), ["Snapshot"])
        assert.deepInclude((yield* next(User.refresh(user)))[0]![1], { customDataChanged: false })
        server.accounts.get(user.id)!.customData = { colour: "red" }
        assert.deepInclude((yield* next(User.refresh(user)))[0]![1], { customDataChanged: true })
        assert.deepInclude((yield* next(User.refreshCustomData(user)))[0]![1], { customData: { colour: "red" } })
        server.register("linked@model.test")
        const [linked] = yield* next(operations.linkCredentials.run(user))
        assert.strictEqual(linked![0], "IdentityLinked")
        assert.deepStrictEqual(tags(yield* next(User.refreshProfile(user))), ["ProfileRefreshed"])
        assert.deepStrictEqual(tags(yield* next(App.logIn(app, World.credentials("ann@model.test")))), [
          "RefreshTokenReplaced"
        ])
        yield* World.logIn(server, "bob@model.test")
        assert.deepStrictEqual(tags(yield* next(App.switchUser(app, user))), ["Switched"])
        assert.deepInclude((yield* next(User.logOut(user)))[0]![1], { reason: "Requested" })
        assert.deepStrictEqual(tags(yield* next(App.logIn(app, World.credentials("ann@model.test")))), ["LoggedIn"])
        server.endSessions(user.id)
        assert.deepInclude((yield* next(Effect.flip(User.callFunction(user, "echo"))))[0]![1], {
          reason: "SessionEnded"
        })
        assert.deepStrictEqual(tags(yield* next(App.removeUser(app, user))), ["Removed"])
      })))

  it.effect("of somebody who is not known here end with a snapshot that says so", () =>
    inWorld({}, () =>
      Effect.gen(function*() {
        const stranger = new User.User({ appId: app.id, baseUrl: app.baseUrl, id: "stranger" })
        const fiber = yield* Effect.forkChild(Stream.runCollect(User.events(stranger)))
        const told = yield* Fiber.join(fiber)
        assert.deepStrictEqual(told, [{
          _tag: "Snapshot",
          missed: 0,
          state: { state: "Removed", profile: Option.none() }
        }])
      })))
})
