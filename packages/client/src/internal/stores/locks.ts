/** One lock per key; a key that nobody holds costs nothing. */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"

export type Locks = (key: string) => <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

export const make = (): Locks => {
  const locks = new Map<string, { readonly semaphore: Semaphore.Semaphore; holders: number }>()
  return (key) => (effect) =>
    Effect.uninterruptibleMask((restore) => {
      let lock = locks.get(key)
      if (lock === undefined) {
        lock = { semaphore: Semaphore.makeUnsafe(1), holders: 0 }
        locks.set(key, lock)
      }
      const held = lock
      held.holders++
      return Effect.ensuring(
        restore(held.semaphore.withPermit(effect)),
        Effect.sync(() => {
          if (--held.holders === 0) locks.delete(key)
        })
      )
    })
}
