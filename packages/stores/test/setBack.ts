/** What holds when a place was set back to what it was earlier: from a backup, or because it lost what it had. */
import { TokenStore } from "@effect-realm/client"
import { SessionStorage } from "@effect-realm/client/SessionStorage"
import { assert, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import * as TokenStoreContract from "../../client/test/TokenStore.contract.ts"

/** A place whose log can be looked at while a gate is open. */
const lookingThrough = <E>(gate: Latch.Latch, layer: Layer.Layer<SessionStorage, E>) =>
  Layer.provide(
    Layer.effect(
      SessionStorage,
      Effect.map(SessionStorage, (storage) => ({
        ...storage,
        log: (appId: string, after: number) => Effect.andThen(gate.await, storage.log(appId, after))
      }))
    ),
    layer
  )

/**
 * Registers the law for a place that nobody else uses.
 *
 * @param setBack sets the place back to when it had no session at all
 */
export const setBack = <E>(layer: Layer.Layer<SessionStorage, E>, setBack: Effect.Effect<unknown, unknown>): void => {
  const open = (gate: Latch.Latch) =>
    Effect.map(
      Layer.build(Layer.fresh(Layer.provide(TokenStore.layerStorage, lookingThrough(gate, layer)))),
      (context) => Context.get(context, TokenStore.TokenStore)
    )

  it.live(
    "tells all who listen the present state when the place was set back, and each change from then on, " +
      "also when it has gone on past them before they looked",
    () =>
      Effect.gen(function*() {
        const gate = yield* Latch.make(true)
        const [listener, writer] = [yield* open(gate), yield* open(yield* Latch.make(true))]
        const comes = (userId: string) =>
          Effect.provideService(TokenStoreContract.changes.logIn({ appId, userId }), TokenStore.TokenStore, writer)
        const appId = "shop"
        const told = yield* Queue.unbounded<string>()
        yield* Effect.forkScoped(Stream.runForEach(listener.appChanges(appId), (event) =>
          Queue.offer(
            told,
            event._tag === "Snapshot"
              ? `${Option.getOrElse(event.state.currentUser, () => "nobody")} is there`
              : `${event.userId} comes`
          )))
        assert.strictEqual(yield* Queue.take(told), "nobody is there")
        yield* comes("ann")
        yield* comes("bob")
        assert.deepStrictEqual(yield* Queue.takeN(told, 2), ["ann comes", "bob comes"])
        yield* setBack
        assert.strictEqual(yield* Queue.take(told), "nobody is there")
        yield* comes("cleo")
        assert.strictEqual(yield* Queue.take(told), "cleo comes")

        yield* gate.close
        yield* setBack
        for (const userId of ["cleo", "dan", "eve"]) yield* comes(userId)
        yield* gate.open
        assert.strictEqual(yield* Queue.take(told), "eve is there")
        yield* comes("fay")
        assert.strictEqual(yield* Queue.take(told), "fay comes")
        assert.strictEqual(yield* Queue.size(told), 0)
      }).pipe(Effect.scoped)
  )
}
