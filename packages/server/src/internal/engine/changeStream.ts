/**
 * A watched collection as a stream: it pulls from the log at the pace of its reader, and waits where there is nothing yet.
 */
import { Timestamp } from "bson"
import * as Arr from "effect/Array"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { ChangeEvent, Watched } from "../../ChangeStream.ts"
import type { Document, Namespace } from "../../Database.ts"
import type { Fields } from "./bsonValue.ts"
import type { Change } from "./change.ts"
import type { ChangeCursor } from "./changeFeed.ts"
import { viewChange } from "./changeView.ts"
import type { Access } from "./documentSearch.ts"

/** What one look at the log has found. */
interface Look {
  readonly events: ReadonlyArray<ChangeEvent>
  /** Whether there were changes at all. */
  readonly wentOn: boolean
}

export interface Reader {
  readonly access: (now: number) => Access
  /** The same for all who see the same of every change; `undefined` for one who shares it with nobody. */
  readonly sight: object | undefined
}

/** What is told, and in which form. */
export interface Telling {
  readonly namespace: Namespace
  readonly document: (fields: Fields) => Document
  readonly value: (value: unknown) => unknown
  readonly only: ((event: ChangeEvent) => boolean) | undefined
}

const toEvent = (
  { access }: Reader,
  { document, namespace, value }: Telling,
  cursor: ChangeCursor,
  change: Change
): ChangeEvent | undefined => {
  // as it would have been found when it was made, whenever it is told
  const seen = viewChange(access(change.time), change)
  if (seen === undefined) return undefined
  const told = {
    resumeToken: cursor.tokenAfter(change),
    namespace,
    // The number of the change would tell how much goes on out of sight.
    clusterTime: new Timestamp({ t: Math.floor(change.time / 1000), i: change.time % 1000 + 1 }),
    documentKey: { _id: value((seen.kind === "delete" ? seen.before : seen.after)["_id"]) }
  }
  switch (seen.kind) {
    case "insert":
      return { ...told, operationType: "insert", fullDocument: document(seen.after) }
    case "delete":
      return { ...told, operationType: "delete", fullDocumentBeforeChange: document(seen.before) }
    case "replace":
      return {
        ...told,
        operationType: "replace",
        fullDocument: document(seen.after),
        fullDocumentBeforeChange: document(seen.before)
      }
    case "update":
      return {
        ...told,
        operationType: "update",
        fullDocument: document(seen.after),
        fullDocumentBeforeChange: document(seen.before),
        updateDescription: { ...seen.description, updatedFields: document(seen.description.updatedFields) }
      }
  }
}

/** Moves the cursor over some of the changes that follow, and finds what a reader is told of them. */
const look = (cursor: ChangeCursor, reader: Reader, telling: Telling): Look => {
  const events: Array<ChangeEvent> = []
  const changes = cursor.read()
  for (const change of changes) {
    const make = () => toEvent(reader, telling, cursor, change)
    let event: ChangeEvent | undefined
    try {
      event = reader.sight === undefined ? make() : cursor.seen(change, reader.sight, make)
    } catch (error) {
      // What was seen before a refusal is told before it: the next look meets it again.
      if (events.length === 0) throw error
      break
    }
    cursor.position = change.sequence
    if (event !== undefined && telling.only?.(event) !== false) events.push(event)
  }
  return { events, wentOn: changes.length > 0 }
}

/**
 * Every so many milliseconds a position is told, whatever goes on: one that came when something had happened, or only a new
 * one then, would tell of changes that are not seen.
 */
const beat = 15_000

/**
 * The stream of a cursor, which it closes.
 *
 * @param who whoever reads, as he is now; also asked when looking has thrown, to mend that or to fail
 */
export const changeStream = <E>(
  open: Effect.Effect<ChangeCursor, E>,
  who: (thrown: Option.Option<unknown>) => Effect.Effect<Reader, E>,
  telling: Telling
): Stream.Stream<Watched, E> =>
  Stream.unwrap(Effect.gen(function*() {
    let reader = yield* who(Option.none())
    const cursor = yield* Effect.acquireRelease(open, (opened) => Effect.sync(() => opened.close()))
    /** Up to where the reader of now was told everything. */
    let told = cursor.position
    let isOpen = false
    let isDue = false
    let wake = (): void => {}
    const begun = yield* Clock.currentTimeMillis
    // Counted from the beginning, so that what keeps the process busy does not show in later beats.
    yield* Effect.flatMap(Clock.currentTimeMillis, (now) => Effect.sleep(beat - (now - begun) % beat)).pipe(
      Effect.andThen(Effect.sync(() => {
        isDue = true
        wake()
      })),
      Effect.forever,
      Effect.forkScoped
    )
    const looking = (): Result.Result<Look, unknown> =>
      Result.try({ try: () => look(cursor, reader, telling), catch: (error) => error })

    /** Waits for what is told. What is not seen wakes nobody. */
    const waiting = Effect.callback<Result.Result<Look, unknown>>((resume) => {
      if (!cursor.isAtHead || isDue) {
        resume(Effect.sync(looking))
        return
      }
      let isOver = false
      const stop = () => {
        isOver = true
        giveUp()
      }
      const changed = () => {
        // It may have been on its way when the waiting ended; what it found nobody would hear of.
        if (isOver) return
        const found = looking()
        if (Result.isSuccess(found) && found.success.events.length === 0 && cursor.isAtHead) {
          giveUp = cursor.wait(changed)
          return
        }
        isOver = true
        resume(Effect.succeed(found))
      }
      let giveUp = cursor.wait(changed)
      wake = () => {
        stop()
        resume(Effect.sync(looking))
      }
      return Effect.sync(stop)
    })

    const position = (): Watched => ({ _tag: "Position", resumeToken: cursor.token })

    const next: Effect.Effect<Arr.NonEmptyReadonlyArray<Watched>, E> = Effect.gen(function*() {
      if (!isOpen) {
        isOpen = true
        return [position()]
      }
      let isAsked = false
      let looked = looking()
      while (true) {
        if (Result.isFailure(looked)) {
          reader = yield* who(Option.some(looked.failure))
          looked = looking()
          continue
        }
        const { events, wentOn } = looked.success
        if (events.length === 0 && !isDue) {
          if (wentOn) yield* Effect.yieldNow
          else isAsked = false
          looked = yield* waiting
          continue
        }
        if (!isAsked) {
          // Once before anything is told: one who becomes another all the time is told by what he was then.
          isAsked = true
          const now = yield* who(Option.none())
          if (now !== reader) {
            reader = now
            cursor.position = told
            looked = looking()
            continue
          }
        }
        told = cursor.position
        const changes = events.map((event): Watched => ({ _tag: "Changed", event }))
        if (Arr.isReadonlyArrayNonEmpty(changes) && !isDue) return changes
        isDue = false
        return Arr.append(changes, position())
      }
    })
    return Stream.fromPull(Effect.succeed(next))
  }))
