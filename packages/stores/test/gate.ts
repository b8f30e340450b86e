/** A gate between a program and a place: while it is shut every connection is cut, and none is let through. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { once } from "node:events"
import { connect, createServer, type Socket } from "node:net"

export interface Gate {
  readonly shut: Effect.Effect<void>
  readonly open: Effect.Effect<void>
}

/**
 * A gate that is open at first.
 *
 * @param path where programs connect to
 * @param place the socket of the place behind it
 */
export const make = (path: string, place: string): Effect.Effect<Gate, never, Scope.Scope> =>
  Effect.gen(function*() {
    const sockets = new Set<Socket>()
    let isOpen = true
    const server = createServer((outer) => {
      if (!isOpen) return outer.destroy()
      const inner = connect(place)
      for (const [one, other] of [[outer, inner], [inner, outer]] as const) {
        sockets.add(one)
        one.on("error", () => {})
        one.on("close", () => {
          sockets.delete(one)
          other.destroy()
        })
        one.pipe(other)
      }
    })
    const shut = Effect.sync(() => {
      isOpen = false
      for (const socket of sockets) socket.destroy()
    })
    yield* Effect.acquireRelease(
      Effect.promise(() => once(server.listen(path), "listening")),
      () => Effect.andThen(shut, Effect.sync(() => server.close()))
    )
    return {
      shut,
      open: Effect.sync(() => {
        isOpen = true
      })
    }
  })
