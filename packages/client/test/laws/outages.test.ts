/** What holds while a place that is shared fails, hangs, or is set back to what it was earlier. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Fiber, Latch, Layer, Option, Queue, Stream } from "effect"
import { TestClock } from "effect/testing"
import { SessionStorage, TokenStore } from "../../src/index.ts"
import { changes } from "../TokenStore.contract.ts"

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
        app: (appId) => Effect.suspend(() => isAway ? unavailable : place.app(appId))
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
      assert.isTrue(told.slice(1).every(({ _tag }) => _tag !== "Snapshot"))
      isAway = false
      yield* TestClock.adjust("1 second")
      const last = told.at(-1)
      assert.isTrue(last?._tag === "Snapshot" && last.missed + told.length - 2 === count)
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
