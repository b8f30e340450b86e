/**
 * Web Locks: what a page holds there, the browser takes back when the page is closed or has crashed. A page that holds one
 * is not frozen.
 */
import type { TokenStoreError } from "@effect-realm/client/ClientError"
import type { SessionStorage } from "@effect-realm/client/SessionStorage"
import type { SessionKey } from "@effect-realm/client/TokenStore"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { failure } from "./webFailure.ts"

/** The locks of this site, where there are any: over `https` and on this machine only. */
export const ofSite = (): LockManager | undefined => globalThis.navigator?.locks

const failed = failure("the Web Locks of the browser")

/** Gives a lock back, and ends when others can have it. */
export type GiveBack = Effect.Effect<void>

/** Takes a lock, and answers how to give it back; none when somebody else has it, and `ifAvailable` says not to wait. */
export const take = (
  locks: LockManager,
  name: string,
  options: LockOptions = {}
): Effect.Effect<Option.Option<GiveBack>, TokenStoreError> =>
  // A lock that comes when nobody waits for it any more would never be given back.
  Effect.uninterruptible(Effect.callback((resume) => {
    const over: Promise<void> = locks.request(name, options, (lock) => {
      if (lock === null) return resume(Effect.succeedNone)
      return new Promise<void>((end) => {
        resume(Effect.succeedSome(Effect.promise(() => {
          end()
          return over
        })))
      })
    }).catch((cause) => resume(Effect.fail(failed(cause))))
  }))

/** Takes a lock away from whoever has it. */
export const takeAway = (locks: LockManager, name: string): Effect.Effect<void, TokenStoreError> =>
  Effect.flatMap(take(locks, name, { steal: true }), Option.getOrElse(() => Effect.void))

/** Runs an effect while nobody else in the browser has the lock. */
export const exclusive =
  (locks: LockManager, name: string) =>
  <A, E, R>(use: Effect.Effect<A, E, R>): Effect.Effect<A, E | TokenStoreError, R> =>
    Effect.acquireUseRelease(
      take(locks, name),
      () => use,
      Option.getOrElse(() => Effect.void)
    )

/** The names of the locks that somebody has, of those that begin with a text. */
export const held = (locks: LockManager, prefix: string): Effect.Effect<Array<string>, TokenStoreError> =>
  Effect.map(
    Effect.tryPromise({ try: () => locks.query(), catch: failed }),
    ({ held = [] }) => held.flatMap(({ name = "" }) => name.startsWith(prefix) ? [name.slice(prefix.length)] : [])
  )

/** The lease of a session storage. It ends with the page as well. */
export type Leases = Pick<SessionStorage["Service"], "acquire" | "release">

interface Lease {
  readonly holder: string
  readonly giveBack: GiveBack
  until: number
}

/** @param prefix what the names of the locks begin with */
export const leases = (locks: LockManager, prefix: string): Effect.Effect<Leases, never, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Effect.scope
    const given = new Map<string, Lease>()
    const nameOf = ({ appId, userId }: SessionKey) => prefix + JSON.stringify([appId, userId])

    const end = (name: string, lease: Lease) =>
      Effect.suspend(() => {
        given.delete(name)
        return lease.giveBack
      })

    /** Ends a lease that was not given again. */
    const expire = Effect.fnUntraced(function*(name: string, lease: Lease) {
      while (given.get(name) === lease) {
        const left = lease.until - (yield* Clock.currentTimeMillis)
        yield* left > 0 ? Effect.sleep(left) : end(name, lease)
      }
    })

    yield* Effect.addFinalizer(() => Effect.forEach(given, ([name, lease]) => end(name, lease)))

    return {
      acquire: (key, holder, life) =>
        Effect.uninterruptible(Effect.gen(function*() {
          const name = nameOf(key)
          const until = (yield* Clock.currentTimeMillis) + Duration.toMillis(life)
          const known = given.get(name)
          if (known?.holder === holder) {
            known.until = until
            return true
          }
          const giveBack = Option.getOrUndefined(yield* take(locks, name, { ifAvailable: true }))
          if (giveBack === undefined) return false
          const lease = { holder, giveBack, until }
          given.set(name, lease)
          yield* Effect.forkIn(expire(name, lease), scope)
          return true
        })),
      release: (key, holder) =>
        Effect.suspend(() => {
          const name = nameOf(key)
          const lease = given.get(name)
          return lease?.holder === holder ? end(name, lease) : Effect.void
        })
    }
  })
