/**
 * How much memory a session holds, in a process that does nothing else.
 */
import * as Effect from "effect/Effect"
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import type * as Row from "./Row.ts"
import type { Sizes } from "./Sizes.ts"

const program = fileURLToPath(new URL("programs/sessionHeap.ts", import.meta.url))

/** Kilobytes of heap a session. */
const heap = (who: "ours" | "realm-web", users: number): Effect.Effect<number> =>
  Effect.promise(async () => {
    const { stdout } = await promisify(execFile)(process.execPath, ["--expose-gc", program, who, String(users)])
    return Number(stdout) / 1000
  })

export const rows = Effect.fnUntraced(function*(sizes: Sizes): Effect.fn.Return<ReadonlyArray<Row.Row>> {
  const { many } = sizes.users
  return [{
    measured: "heap of a session in memory",
    unit: "kB",
    ours: {
      name: `ours, ${many.toLocaleString("en")} users`,
      samples: [yield* heap("ours", many)],
      aim: { _tag: "AtMost", bound: 4 }
    },
    peers: [{
      name: `realm-web 2.0.1, ${sizes.usersOfRealmWeb} users`,
      samples: [yield* heap("realm-web", sizes.usersOfRealmWeb)]
    }]
  }]
})
