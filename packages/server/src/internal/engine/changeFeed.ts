/**
 * The changes of one collection, and those who watch it.
 */
import type { ChangeEvent } from "../../ChangeStream.ts"
import type { Fields } from "./bsonValue.ts"
import type { Change } from "./change.ts"
import type { SharedViews } from "./sharedViews.ts"

export class ChangeFeed {
  readonly name: string
  /** What stands for the collection in tokens. */
  readonly key: Uint8Array
  /** The collection in the log, once it is recorded. */
  collection: number | undefined
  /** All changes after this one are in the log. */
  since = 0
  /** The last change. */
  head = 0
  #watching = 0
  #idleSince: number | undefined
  readonly #waiting = new Set<() => void>()

  constructor(name: string, key: Uint8Array) {
    this.name = name
    this.key = key
  }

  record(collection: number, since: number, head: number): void {
    this.collection = collection
    this.since = since
    this.head = head
  }

  /** Changes until those of `since`, by collection, are in the log no longer. */
  forget(since: ReadonlyMap<number, number>): void {
    if (this.collection !== undefined) this.since = Math.max(this.since, since.get(this.collection) ?? 0)
  }

  get isRecorded(): boolean {
    return this.collection !== undefined
  }

  get isWatched(): boolean {
    return this.#watching > 0
  }

  enter(): void {
    this.#watching++
  }

  leave(): void {
    this.#watching--
    this.#idleSince = undefined
  }

  /** For how long nobody has watched, counted from the first time this is asked after the last watch, or after an opening. */
  idleFor(now: number): number {
    return this.isWatched ? 0 : now - (this.#idleSince ??= now)
  }

  /** Calls `resume` at the next change. Returns what gives the waiting up. */
  wait(resume: () => void): () => void {
    this.#waiting.add(resume)
    return () => {
      this.#waiting.delete(resume)
    }
  }

  takeWaiting(): ReadonlyArray<() => void> {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    return waiting
  }
}

interface Reading {
  readonly position: number
  readonly views: SharedViews
  readonly token: (sequence: number) => Fields
  readonly read: (after: number) => ReadonlyArray<Change>
  readonly release: () => void
}

/** Where one who watches stands. */
export class ChangeCursor {
  readonly #feed: ChangeFeed
  readonly #reading: Reading
  /** The sequence of the change looked at last. */
  position: number

  constructor(feed: ChangeFeed, reading: Reading) {
    this.#feed = feed
    this.#reading = reading
    this.position = reading.position
    feed.enter()
  }

  /** What resumes after the position, another one each time. */
  get token(): Fields {
    return this.#reading.token(this.position)
  }

  /** What resumes after a change, sealed once for all who watch. */
  tokenAfter(change: Change): Fields {
    return change.token ??= this.#reading.token(change.sequence)
  }

  /** What is seen of a change, made once for all who see the same. */
  seen(change: Change, sight: object, make: () => ChangeEvent | undefined): ChangeEvent | undefined {
    return this.#reading.views.event(change, sight, make)
  }

  /** Some of the changes after the position; none while there are none. */
  read(): ReadonlyArray<Change> {
    return this.#reading.read(this.position)
  }

  get isAtHead(): boolean {
    return this.#feed.head <= this.position
  }

  /** Calls `resume` when there are changes after the position. Returns what gives the waiting up. */
  wait(resume: () => void): () => void {
    if (this.isAtHead) return this.#feed.wait(resume)
    resume()
    return () => {}
  }

  close(): void {
    this.#feed.leave()
    this.#reading.release()
  }
}
