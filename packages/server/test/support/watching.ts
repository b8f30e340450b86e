/** What one is told who watches, to the last change. */
import type { Database, Documents, Functions } from "@effect-realm/server"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Pull from "effect/Pull"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"

type Told = ReadonlyArray<Documents.Watched>

/** A watch that is open; each time it answers what was told since. */
type Opened = Effect.Effect<
  Effect.Effect<Told, Documents.WatchError | Database.DatabaseError, Database.Database | Functions.Functions>,
  Documents.WatchError,
  Functions.Functions | Scope.Scope
>

/** The place after what was told. */
export const tokenOf = (watched: Documents.Watched): Database.Document =>
  watched._tag === "Position" ? watched.resumeToken : watched.event["_id"] as Database.Document

/** Moves the clock until an effect is done. */
export const passing = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(effect, { startImmediately: true })
    const turn = Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
    while (fiber.pollUnsafe() === undefined) {
      yield* turn
      yield* TestClock.adjust("15 seconds")
    }
    return yield* Fiber.join(fiber)
  })

const countPositions = (told: Told): number => told.filter(({ _tag }) => _tag === "Position").length

/** A position tells of no later change; the second one that comes was asked for after all of what is there now. */
const positionsToTheEnd = 2

/** Opens a watch; what it answers reads on, again and again, to the last change there is by then. */
export const readingOn = (
  documents: Documents.Documents["Service"],
  namespace: Database.Namespace,
  caller: Documents.WatchCall["caller"],
  options: object = {}
): Opened =>
  Effect.gen(function*() {
    const pull = yield* Stream.toPull(
      yield* documents.watch({ service: "mongodb-atlas", args: [{ ...namespace, ...options }], caller })
    )
    return Effect.gen(function*() {
      const told: Array<Documents.Watched> = []
      yield* passing(Effect.gen(function*() {
        while (countPositions(told) < positionsToTheEnd) {
          told.push(...yield* Pull.catchDone(pull, () => Effect.die("the watch has ended")))
        }
      }))
      return told
    })
  })

/** Opens a watch; what it answers reads on to the last change there is, and closes with the scope. */
export const watching = (
  documents: Documents.Documents["Service"],
  namespace: Database.Namespace,
  caller: Documents.WatchCall["caller"],
  options: object = {}
): Opened =>
  Effect.map(
    documents.watch({ service: "mongodb-atlas", args: [{ ...namespace, ...options }], caller }),
    (watched) => {
      let positions = 0
      // The first position is where it begins.
      return passing(Stream.runCollect(
        Stream.takeUntil(watched, ({ _tag }) => _tag === "Position" && ++positions > positionsToTheEnd)
      ))
    }
  )
