/**
 * A watched collection as a stream: it pulls from the log at the pace of its reader, and waits where there is nothing yet.
 */
import { Timestamp } from "bson"
import * as Arr from "effect/Array"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
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
  readonly access: Access
  readonly namespace: Namespace
  readonly document: (fields: Fields) => Document
  readonly value: (value: unknown) => unknown
}

const toEvent = (
  { access, document, namespace, value }: Reader,
  cursor: ChangeCursor,
  change: Change
): ChangeEvent | undefined => {
  const seen = viewChange(access, change)
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

/** Moves the cursor over some of the changes that follow, and tells what a reader sees of them. */
export const look = (cursor: ChangeCursor, reader: Reader): Look => {
  const events: Array<ChangeEvent> = []
  const changes = cursor.read()
  for (const change of changes) {
    let event: ChangeEvent | undefined
    try {
      event = toEvent(reader, cursor, change)
    } catch (error) {
      // What was seen before a refusal is told before it: the next look meets it again.
      if (events.length === 0) throw error
      break
    }
    cursor.position = change.sequence
    if (event === undefined) continue
    cursor.told = change.sequence
    events.push(event)
  }
  return { events, wentOn: changes.length > 0 }
}

/** For so many milliseconds at most changes that are not seen are not told as a position. */
const quiet = 10_000

const nothing: Look = { events: [], wentOn: false }
const more: Look = { events: [], wentOn: true }

/**
 * The stream of a cursor, which it closes.
 *
 * @param look moves the cursor on and tells what is seen; throws when it is refused
 * @param failed what a stream fails with that could not look
 */
export const changeStream = <E>(
  open: Effect.Effect<ChangeCursor, E>,
  look: (cursor: ChangeCursor) => Look,
  failed: (error: unknown) => E
): Stream.Stream<Watched, E> =>
  Stream.unwrap(Effect.gen(function*() {
    const cursor = yield* Effect.acquireRelease(open, (opened) => Effect.sync(() => opened.close()))
    let toldAt = yield* Clock.currentTimeMillis
    const position = Effect.sync((): Arr.NonEmptyReadonlyArray<Watched> => {
      cursor.told = cursor.position
      return [{ _tag: "Position", resumeToken: cursor.token }]
    })
    const isBehind = () => cursor.told !== cursor.position
    const looking = Effect.try({ try: () => look(cursor), catch: failed })

    /** Waits for what is seen. What is not seen wakes nobody, once the next position is due. */
    const seen = Effect.callback<Look, E>((resume) => {
      if (!cursor.isAtHead) {
        resume(Effect.succeed(more))
        return
      }
      const changed = () => {
        const isDue = isBehind()
        let found: Look
        try {
          found = look(cursor)
        } catch (error) {
          resume(Effect.fail(failed(error)))
          return
        }
        if (isDue && found.events.length === 0 && cursor.isAtHead) giveUp = cursor.wait(changed)
        else resume(Effect.succeed(found))
      }
      let giveUp = cursor.wait(changed)
      return Effect.sync(() => giveUp())
    })

    const next: Effect.Effect<Arr.NonEmptyReadonlyArray<Watched>, E> = Effect.gen(function*() {
      let after = looking
      while (true) {
        const looked = yield* Effect.result(after)
        if (Result.isFailure(looked)) {
          // Whoever mends what was refused need not look at what came before again.
          return yield* isBehind() ? position : Effect.fail(looked.failure)
        }
        const { events, wentOn } = looked.success
        const now = yield* Clock.currentTimeMillis
        if (Arr.isReadonlyArrayNonEmpty(events)) {
          toldAt = now
          return Arr.map(events, (event): Watched => ({ _tag: "Changed", event }))
        }
        if (isBehind() && now - toldAt >= quiet) {
          toldAt = now
          return yield* position
        }
        after = wentOn
          ? Effect.andThen(Effect.yieldNow, looking)
          : isBehind()
          ? Effect.timeoutOrElse(seen, { duration: toldAt + quiet - now, orElse: () => Effect.succeed(nothing) })
          : seen
      }
    })
    return Stream.concat(Stream.fromIterableEffect(position), Stream.fromPull(Effect.succeed(next)))
  }))
