/**
 * Another process that shares a place with this one.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { fork } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import type * as Place from "./Place.ts"

/** What a sharer is asked. */
export type Question =
  | { readonly _tag: "Ping" }
  /** Calls a function as a user, so often at once. */
  | { readonly _tag: "Call"; readonly userId: string; readonly calls: number }

/** What it says. */
export type Told =
  | { readonly _tag: "Ready" }
  | { readonly _tag: "Pong" }
  | { readonly _tag: "Called" }
  /** It was told of the change with this number. */
  | { readonly _tag: "Seen"; readonly number: number }

export interface Sharer {
  readonly ping: Effect.Effect<void>
  readonly call: (userId: string, calls: number) => Effect.Effect<void>
  /** Waits until it was told of the change with this number. */
  readonly seen: (number: number) => Effect.Effect<void>
}

const program = fileURLToPath(new URL("programs/sharer.ts", import.meta.url))

/** Starts a sharer, which ends with the scope, and waits until it listens. */
export const start = Effect.fnUntraced(function*(
  place: Place.Place,
  origin: string
): Effect.fn.Return<Sharer, never, Scope.Scope> {
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      fork(program, [JSON.stringify(place), origin], { execArgv: ["--disable-warning=ExperimentalWarning"] })
    ),
    (child) =>
      Effect.promise(async () => {
        const exit = once(child, "exit")
        child.kill("SIGKILL")
        await exit
      })
  )
  let latest = 0
  const waiting = new Set<(told: Told) => void>()
  child.on("message", (told: Told) => {
    if (told._tag === "Seen") latest = told.number
    for (const look of waiting) look(told)
  })
  const until = (isIt: (told: Told) => boolean) =>
    Effect.callback<void>((resume) => {
      const look = (told: Told) => {
        if (!isIt(told)) return
        waiting.delete(look)
        resume(Effect.void)
      }
      waiting.add(look)
    })
  const ask = (question: Question, answer: Told["_tag"]) =>
    Effect.suspend(() => {
      child.send(question)
      return until(({ _tag }) => _tag === answer)
    })
  yield* until(({ _tag }) => _tag === "Ready")
  return {
    ping: ask({ _tag: "Ping" }, "Pong"),
    call: (userId, calls) => ask({ _tag: "Call", userId, calls }, "Called"),
    seen: (number) =>
      Effect.suspend(() =>
        latest >= number ? Effect.void : until((told) => told._tag === "Seen" && told.number >= number)
      )
  }
})
