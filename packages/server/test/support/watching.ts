/** What one is told who watches, to the last change. */
import type { Documents } from "@effect-realm/server"
import { Database, type Functions } from "@effect-realm/server"
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

const isSame = (left: Database.Document, right: Database.Document): boolean => left["_data"] === right["_data"]

/** Where a collection stands. */
export const head = (
  namespace: Database.Namespace
): Effect.Effect<Database.Document, Database.DatabaseError, Database.Database> =>
  Effect.gen(function*() {
    const stored = (yield* Database.Database).collection(namespace)
    const [position] = yield* Stream.runCollect(Stream.take(stored.watch(), 1))
    return position?._tag === "Position" ? position.resumeToken : yield* Effect.die("no position came first")
  })

/** Moves the clock until an effect is done. */
export const passing = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(effect, { startImmediately: true })
    const turn = Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
    while (fiber.pollUnsafe() === undefined) {
      yield* turn
      yield* TestClock.adjust("5 seconds")
    }
    return yield* Fiber.join(fiber)
  })

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
    let place: Database.Document = {}
    return Effect.gen(function*() {
      const last = yield* head(namespace)
      const told: Array<Documents.Watched> = []
      yield* passing(Effect.gen(function*() {
        while (!isSame(place, last)) {
          told.push(...yield* Pull.catchDone(pull, () => Effect.die("the watch has ended")))
          place = tokenOf(told.at(-1)!)
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
    (watched) =>
      Effect.flatMap(head(namespace), (last) =>
        passing(Stream.runCollect(Stream.takeUntil(watched, (item) => isSame(tokenOf(item), last)))))
  )
