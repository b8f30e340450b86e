import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Policy from "../src/Policy.ts"
import * as SessionStorage from "../src/SessionStorage.ts"
import * as TokenStore from "../src/TokenStore.ts"
import { contract } from "./SessionStorage.contract.ts"

const place = await Effect.runPromise(
  Effect.provide(SessionStorage.SessionStorage.use(Effect.succeed), SessionStorage.layerMemory)
)

contract("memory", Layer.succeed(SessionStorage.SessionStorage, place))

describe("a place that hangs", () => {
  const hanging = SessionStorage.SessionStorage.of({
    ...place,
    read: () => Effect.never,
    write: () => Effect.never,
    // A driver that lets go only when the place says so.
    depart: () => Effect.uninterruptible(Effect.never),
    rows: () => Stream.never
  })
  const layer = Layer.provide(TokenStore.layerStorage, Layer.succeed(SessionStorage.SessionStorage, hanging))
  const key = { appId: "shop", userId: "ann" }
  const commit = { expected: 1, session: Option.none(), event: { _tag: "Removed" }, makeCurrent: false } as const

  it.effect("keeps nobody for longer than the deadline of the policy, and fails with Unavailable", () =>
    Effect.gen(function*() {
      const store = yield* TokenStore.TokenStore
      const asked = yield* Effect.forEach(
        [store.get(key), store.commit(key, commit), store.depart(key), store.users(key.appId)],
        (operation) => Effect.forkChild(Effect.flip(operation), { startImmediately: true })
      )
      const soon = yield* Effect.forkChild(Effect.flip(Policy.provide(store.get(key), { deadline: "2 seconds" })), {
        startImmediately: true
      })
      yield* TestClock.adjust("3 seconds")
      assert.include((yield* Fiber.join(soon)).message, "no answer within 2000 ms")
      for (const fiber of asked) assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("58 seconds")
      for (const fiber of asked) assert.strictEqual((yield* Fiber.join(fiber)).reason._tag, "Unavailable")
    }).pipe(Effect.provide(layer)))

  it.effect("does not keep who holds a lease from going on when it is not given back", () =>
    Effect.gen(function*() {
      const parting = yield* Deferred.make<void>()
      const silent = SessionStorage.SessionStorage.of({
        ...place,
        release: () => Effect.andThen(Deferred.succeed(parting, undefined), Effect.never)
      })
      const layer = Layer.provide(TokenStore.layerStorage, Layer.succeed(SessionStorage.SessionStorage, silent))
      const done = TokenStore.TokenStore.use((store) => store.lease(key, Effect.succeed("done")))
      const holder = yield* Effect.forkChild(Effect.provide(done, layer))
      yield* Deferred.await(parting)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(holder), "done")
    }))
})
