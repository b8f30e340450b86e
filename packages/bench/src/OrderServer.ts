/**
 * Our server in a process of its own, with collections of orders that are filled before it answers.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { fork } from "node:child_process"
import { once } from "node:events"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as ServerProcess from "./ServerProcess.ts"
import type { Sizes } from "./Sizes.ts"
import * as TemporaryFolder from "./TemporaryFolder.ts"

const program = fileURLToPath(new URL("programs/orders.ts", import.meta.url))

/** Starts a server on a new file and answers its origin; it ends with the scope. */
export const start = Effect.fnUntraced(function*(sizes: Sizes): Effect.fn.Return<string, never, Scope.Scope> {
  const folder = yield* TemporaryFolder.make
  const args = [join(folder, "orders.db"), String(sizes.documents.few), String(sizes.documents.many)]
  const child = yield* ServerProcess.make(() => fork(program, args, { execArgv: [] }))
  return yield* Effect.promise(async () => {
    // The program sends one message, or ends.
    const [origin] = await Promise.race([once(child, "message"), once(child, "exit")])
    if (typeof origin !== "string") throw new Error("the server ended before it served anything")
    return origin
  })
})
