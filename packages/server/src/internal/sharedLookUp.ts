/**
 * What many want to know at the same time is looked up once.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/**
 * A look-up that all who ask for the same key in one turn of the event loop share. It begins after the last of them has asked:
 * what anybody gets is no older than his question.
 */
export const make = <K, A, E, R>(
  nameOf: (key: K) => string,
  lookUp: (key: K) => Effect.Effect<A, E, R>
): Effect.Effect<(key: K) => Effect.Effect<A, E>, never, R | Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Effect.scope
    const context = yield* Effect.context<R>()
    const open = new Map<string, Deferred.Deferred<A, E>>()

    const begin = (name: string, key: K, found: Deferred.Deferred<A, E>): Effect.Effect<unknown> =>
      Effect.suspend(() => {
        open.delete(name)
        return Effect.provideContext(lookUp(key), context)
      }).pipe(
        Deferred.into(found),
        // Of its own: whoever asked first may leave before the others.
        Effect.forkIn(scope)
      )

    return (key) =>
      Effect.suspend(() => {
        const name = nameOf(key)
        const known = open.get(name)
        if (known !== undefined) return Deferred.await(known)
        const found = Deferred.makeUnsafe<A, E>()
        open.set(name, found)
        return Effect.andThen(begin(name, key, found), Deferred.await(found))
      })
  })
