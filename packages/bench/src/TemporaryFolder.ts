/**
 * A folder for the files of a measurement.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { existsSync } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"

const within = (parent: string): Effect.Effect<string, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(() => mkdtemp(join(parent, "effect-realm-bench-"))),
    (folder) => Effect.promise(() => rm(folder, { recursive: true }))
  )

/** A new folder, gone when the scope closes. */
export const make: Effect.Effect<string, never, Scope.Scope> = within(tmpdir())

/** The same in memory where there is such a place, for what is much and need not wait for a disk. */
export const inMemory: Effect.Effect<string, never, Scope.Scope> = within(
  existsSync("/dev/shm") ? "/dev/shm" : tmpdir()
)
