/**
 * Our server as a user runs it: `effect-realm serve` on the sample app, in a process of its own, its database a file.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { spawn } from "node:child_process"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import * as ServerProcess from "./ServerProcess.ts"
import * as TemporaryFolder from "./TemporaryFolder.ts"

const bin = fileURLToPath(new URL("dist/bin.js", import.meta.resolve("@effect-realm/server/package.json")))
const shop = fileURLToPath(new URL("../../examples/apps/shop", import.meta.url))

/** Starts a server on a new database and answers its origin; it ends with the scope. */
export const start: Effect.Effect<string, never, Scope.Scope> = Effect.gen(function*() {
  const folder = yield* TemporaryFolder.make
  const args = ["serve", shop, "--host", "127.0.0.1", "--port", "0", "--database", join(folder, "bench.db")]
  const child = yield* ServerProcess.make(() =>
    spawn(process.execPath, [bin, ...args], { stdio: ["ignore", "pipe", "inherit"] })
  )
  return yield* Effect.promise(async () => {
    for await (const line of createInterface(child.stdout)) {
      const origin = / at (http:\S+)$/.exec(line)?.[1]
      if (origin !== undefined) return origin
    }
    throw new Error("the server ended before it served anything")
  })
})
