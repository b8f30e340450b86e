/**
 * A server in a process of its own, for as long as a scope.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { ChildProcess } from "node:child_process"
import { once } from "node:events"

/** Starts a process, which is told to end when the scope closes, and waited for. */
export const make = <A extends ChildProcess>(start: () => A): Effect.Effect<A, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(start),
    (child) =>
      Effect.promise(async () => {
        if (child.exitCode !== null) return
        const exit = once(child, "exit")
        child.kill()
        await exit
      })
  )
