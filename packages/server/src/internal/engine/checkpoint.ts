/**
 * Moving SQLite's log into the file, in a thread of its own: SQLite does it by itself at the end of a write, in one step that
 * holds everybody. The choices are explained in `docs/decisions/operations-in-slices.md`.
 */
import * as Effect from "effect/Effect"
import { once } from "node:events"
import { Worker } from "node:worker_threads"
import type { DatabaseError } from "../../DatabaseError.ts"
import type { Connections } from "./connections.ts"
import type { OpenFile } from "./sqliteConnection.ts"
import { type SharedFile, toDatabaseError } from "./sqliteFile.ts"

// The thread's module stands beside this one: as source when this is source, as emitted code when this is.
const isSource = import.meta.url.endsWith(".ts")
const threadUrl = new URL(isSource ? "./checkpointThread.ts" : "./checkpointThread.js", import.meta.url)

const start = ({ filename, identity }: OpenFile): Worker => {
  const thread = new Worker(threadUrl, {
    name: "effect-realm checkpoint",
    workerData: { filename, identity } satisfies OpenFile,
    argv: [],
    env: {},
    execArgv: []
  })
  // for those who wait for a message; when nobody does, it is given up
  thread.on("error", () => {})
  return thread
}

/** Moves what no read needs into the file, and empties the log when no read needs any of it. */
const checkpoint = (file: SharedFile, connections: Connections): Effect.Effect<void, DatabaseError> => {
  const failed = (error: unknown): DatabaseError => toDatabaseError(file.filename, error)
  const message = (thread: Worker) =>
    Effect.tryPromise({ try: (signal) => once(thread, "message", { signal }), catch: failed })
  return Effect.acquireUseRelease(
    Effect.try({ try: () => start(file), catch: failed }),
    (thread) =>
      Effect.andThen(
        message(thread),
        connections.alone(Effect.gen(function*() {
          // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker thread has no origin
          thread.postMessage("alone")
          yield* message(thread)
          file.log.leave()
        }))
      ),
    // when it has ended what it is at
    (thread) => Effect.promise(() => thread.terminate())
  )
}

/** Moves the log of a file whenever it has become long, until interrupted. */
export const keepShort = (file: SharedFile, connections: Connections): Effect.Effect<never> =>
  file.log.isLong.pipe(
    Effect.andThen(checkpoint(file, connections)),
    Effect.catch((error) => {
      // what is in it is read from it, and at the next start too
      file.log.leave()
      return Effect.logWarning("moving the log into the database", error.message)
    }),
    Effect.forever
  )
