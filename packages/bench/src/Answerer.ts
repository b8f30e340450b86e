/**
 * The plain server in a process of its own, so that what it costs is not counted to the client that is measured.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { fork } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import type { Counts } from "./PlainServer.ts"

export interface Answerer {
  /** Where it listens: `http://127.0.0.1:` and a free port. */
  readonly origin: string
  /** Lets every access token expire and begins to count anew. */
  readonly expire: Effect.Effect<void>
  /** What was asked since. */
  readonly counts: Effect.Effect<Counts>
}

const program = fileURLToPath(new URL("programs/answerer.ts", import.meta.url))

/** Starts an answerer; it ends with the scope. */
export const start: Effect.Effect<Answerer, never, Scope.Scope> = Effect.gen(function*() {
  const child = yield* Effect.acquireRelease(
    // Without the flags of this process: a profiler or an inspector is meant for the client alone.
    Effect.sync(() => fork(program, { execArgv: [] })),
    (child) =>
      Effect.promise(async () => {
        const exit = once(child, "exit")
        child.kill()
        await exit
      })
  )
  const ask = (message: "counts" | "expire"): Effect.Effect<Counts> =>
    Effect.promise(async () => {
      const answer = once(child, "message")
      child.send(message)
      // The program sends one message for each it gets, and nothing else.
      const [counts] = await answer as [Counts]
      return counts
    })
  const [port] = yield* Effect.promise(() => once(child, "message"))
  return { origin: `http://127.0.0.1:${port}`, expire: Effect.asVoid(ask("expire")), counts: ask("counts") }
})
