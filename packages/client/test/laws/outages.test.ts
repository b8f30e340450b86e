/** What holds while a place that is shared fails, hangs, or is set back to what it was earlier. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Exit, Fiber, Latch, Layer, Option, Queue, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import { App, SessionStorage, TokenStore, User } from "../../src/index.ts"
import { changes } from "../TokenStore.contract.ts"
import * as ModelServer from "./modelServer.ts"
import * as World from "./world.ts"

type Storage = SessionStorage.SessionStorage["Service"]

const ann = { appId: "shop-abcde", userId: "ann" }
const bob = { ...ann, userId: "bob" }

const unavailable = Effect.fail(
  new TokenStore.TokenStoreError({ reason: { _tag: "Unavailable", detail: "it is away" } })
)

/** A new place in memory. */
const newPlace: Effect.Effect<Storage> = Effect.provide(
  SessionStorage.SessionStorage.use(Effect.succeed),
  Layer.fresh(SessionStorage.layerMemory)
)

/** A process that shares a place. */
const open = (storage: Storage) =>
  Effect.map(
    Effect.provide(
      TokenStore.TokenStore.use(Effect.succeed),
      Layer.provide(TokenStore.layerStorage, Layer.succeed(SessionStorage.SessionStorage, storage))
    ),
    (store) => ({ store, run: Effect.provideService(TokenStore.TokenStore, store) })
  )

type Told = Stream.Success<ReturnType<TokenStore.TokenStore["Service"]["appChanges"]>>

const listen = (store: TokenStore.TokenStore["Service"]) =>
  Effect.gen(function*() {
    const told = yield* Queue.unbounded<Told>()
    yield* Effect.forkScoped(Stream.runForEach(store.appChanges(ann.appId), (event) => Queue.offer(told, event)), {
      startImmediately: true
    })
    return told
  })

describe("A lease", () => {
  /** Second by second, for the clock waits for those alone who wait for it already. */
  const seconds = (count: number) => Effect.replicateEffect(TestClock.adjust("1 second"), count)

  it.effect("is lost after ten seconds when the place hangs, for another may have it by then", () =>
    Effect.gen(function*() {
      const place = yield* newPlace
      let given = 0
      const { store } = yield* open({
        ...place,
        acquire: (key, holder, life) => given++ === 0 ? place.acquire(key, holder, life) : Effect.never
      })
      const held = yield* Effect.forkChild(Effect.flip(store.lease(ann, Effect.never)))
      yield* seconds(8)
      assert.isUndefined(held.pollUnsafe())
      yield* seconds(4)
      assert.isDefined(held.pollUnsafe())
      assert.strictEqual((yield* Fiber.join(held)).reason._tag, "LeaseLost")
    }))

  it.effect("is kept when the place fails for a while", () =>
    Effect.gen(function*() {
      const place = yield* newPlace
      let isAway = false
      const { store } = yield* open({
        ...place,
        acquire: (...lease) => Effect.suspend(() => isAway ? unavailable : place.acquire(...lease))
      })
      const held = yield* Effect.forkChild(store.lease(ann, Effect.never))
      yield* seconds(1)
      for (let round = 0; round < 5; round++) {
        isAway = true
        yield* seconds(5)
        isAway = false
        yield* seconds(4)
        assert.isUndefined(held.pollUnsafe())
        assert.isFalse(yield* place.acquire(ann, "another", Duration.millis(1)))
      }
    }))
})

describe("Who listens", () => {
  it.effect("and is behind when the place is out of reach gets the present state once it is back, and misses nothing", () =>
    Effect.gen(function*() {
      const place = yield* newPlace
      let isAway = false
      const { run, store } = yield* open({
        ...place,
        app: (appId) => Effect.suspend(() => isAway ? Effect.delay(unavailable, "1 second") : place.app(appId))
      })
      const reading = yield* Deferred.make<void>()
      const told: Array<Told> = []
      yield* Effect.forkScoped(
        Stream.runForEach(store.appChanges(ann.appId), (event) => {
          told.push(event)
          return event._tag === "Snapshot" ? Deferred.await(reading) : Effect.void
        }),
        { startImmediately: true }
      )
      yield* TestClock.adjust("1 second")
      const count = 400
      for (let times = 0; times < count; times++) yield* run(changes.logIn(ann))
      yield* TestClock.adjust("1 second")
      isAway = true
      yield* Deferred.succeed(reading, undefined)
      yield* TestClock.adjust("10 seconds")
      // Also while it is asked for the state.
      yield* Effect.replicateEffect(Effect.andThen(run(changes.logIn(ann)), TestClock.adjust("200 millis")), 20)
      assert.isTrue(told.slice(1).every(({ _tag }) => _tag !== "Snapshot"))
      isAway = false
      yield* TestClock.adjust("2 seconds")
      const last = told.at(-1)
      assert.isTrue(last?._tag === "Snapshot" && last.missed + told.length - 2 === count + 20)
      yield* run(changes.logIn(bob))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(told.at(-1)?._tag, "LoggedIn")
    }))

  it.effect("begins with the present state also when the place is set back at that moment", () =>
    Effect.gen(function*() {
      let place = yield* newPlace
      const gate = yield* Latch.make(true)
      const { run, store } = yield* open({
        ...place,
        app: (appId) => Effect.suspend(() => place.app(appId)),
        write: (key, write) => Effect.suspend(() => place.write(key, write)),
        read: (key) => Effect.suspend(() => place.read(key)),
        log: (appId, after) => Effect.andThen(gate.await, Effect.suspend(() => place.log(appId, after))),
        news: () => Stream.tick("1 second")
      })
      const first = yield* listen(store)
      assert.strictEqual((yield* Queue.take(first))._tag, "Snapshot")
      yield* gate.close
      yield* run(changes.logIn(ann))
      const second = yield* listen(store)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Queue.size(second), 0, "it has read the state, and waits for the log")
      place = yield* newPlace
      yield* gate.open
      yield* TestClock.adjust("1 second")
      for (const told of [first, second]) {
        const last = (yield* Queue.takeAll(told)).at(-1)
        assert.isTrue(last?._tag === "Snapshot" && Option.isNone(last.state.currentUser))
      }
      yield* run(changes.logIn(bob))
      yield* TestClock.adjust("1 second")
      for (const told of [first, second]) {
        assert.deepStrictEqual((yield* Queue.takeAll(told)).map(({ _tag }) => _tag), ["LoggedIn"])
      }
    }))
})

describe("A place that fails now and then, before or after it has done what it was asked", () => {
  const Millis = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))

  it.effect.prop(
    "brings no token back after a log-out, and everybody is told what has happened, once",
    {
      steps: Schema.Array(Schema.Struct({
        at: Millis(15),
        process: Millis(1),
        name: Schema.Literals([
          "callFunction",
          "refresh",
          "refresh",
          "refreshCustomData",
          "logOut",
          "logOut",
          "removeUser",
          "logIn"
        ])
      })).check(Schema.isMinLength(4), Schema.isMaxLength(8)),
      // What each access meets, one after the other and then from the beginning.
      faults: Schema.Array(Schema.Literals(["none", "none", "none", "none", "none", "before", "after"])).check(
        Schema.isMinLength(1),
        Schema.isMaxLength(30)
      )
    },
    ({ faults, steps }) =>
      Effect.gen(function*() {
        const server = ModelServer.make({ latency: () => [3, 3] })
        const place = yield* newPlace
        let isFaulty = false
        let accesses = 0
        const access = <A>(effect: Effect.Effect<A, TokenStore.TokenStoreError>) =>
          Effect.suspend(() => {
            const fault = isFaulty ? faults[accesses++ % faults.length] : "none"
            const done = fault === "before" ? unavailable : Effect.delay(effect, 1)
            return Effect.tap(Effect.delay(done, 1), () => fault === "after" ? unavailable : Effect.void)
          })
        const storage: Storage = {
          read: (key) => access(place.read(key)),
          app: (appId) => access(place.app(appId)),
          rows: place.rows,
          // Long enough for others to come between.
          write: (key, write) => access(Effect.delay(place.write(key, write), 6)),
          depart: (key) => access(place.depart(key)),
          acquire: (key, holder, life) => access(place.acquire(key, holder, life)),
          release: (key, holder) => access(place.release(key, holder)),
          log: (appId, after) => access(place.log(appId, after)),
          news: place.news
        }
        const processes = [yield* open(storage), yield* open(storage)] as const
        const within = <A, E>(process: number, effect: Effect.Effect<A, E, World.Services>) =>
          Effect.provide(processes[process]!.run(effect), server.layer)

        const user = yield* within(0, World.logIn(server))
        const told = yield* Effect.forEach(processes, ({ store }) =>
          Effect.gen(function*() {
            const events: Array<Told> = []
            yield* Effect.forkScoped(
              Stream.runForEach(store.appChanges(user.appId), (event) => Effect.sync(() => events.push(event))),
              { startImmediately: true }
            )
            return events
          }))
        yield* TestClock.adjust("1 second")

        isFaulty = true
        server.expire(user.id)
        const logIn = Effect.asVoid(App.logIn(World.app, World.credentials("ann@model.test")))
        const exits = yield* World.together<void, unknown, never>(steps.map(({ at, name, process }) => ({
          at,
          run: within<void, unknown>(process, name === "logIn" ? logIn : World.operations[name].run(user))
        })))
        isFaulty = false
        yield* TestClock.adjust("1 minute")
        for (const exit of exits) assert.isFalse(Exit.hasDies(exit) || Exit.hasInterrupts(exit), String(exit))

        const state = yield* World.done(within(0, User.state(user)))
        assert.strictEqual(yield* World.done(within(1, User.state(user))), state)
        const hasLeft = steps.some(({ name }, index) =>
          (name === "logOut" || name === "removeUser") && Exit.isSuccess(exits[index]!)
        )
        if (hasLeft && steps.every(({ name }) => name !== "logIn")) assert.notStrictEqual(state, "LoggedIn")

        const [first, second] = told.map((events) => events.filter((event) => event._tag !== "Snapshot"))
        assert.deepStrictEqual(second, first)
        const numbers = first!.map(({ generation }) => generation)
        assert.deepStrictEqual(numbers, [...new Set(numbers)].toSorted((a, b) => a - b))
        const record = yield* World.done(within(1, World.record(user)))
        if (record !== undefined && first!.length > 0) assert.strictEqual(first!.at(-1)!.generation, record.generation)

        // Whatever failed, the user leaves when asked to, and comes back.
        yield* World.done(within(0, User.logOut(user)))
        assert.isUndefined((yield* World.done(within(1, World.record(user))))?.tokens)
        yield* World.done(within(1, logIn))
        yield* World.done(within(0, User.callFunction(user, "echo", [1])))
      }).pipe(Effect.scoped),
    World.runs(200)
  )
})
