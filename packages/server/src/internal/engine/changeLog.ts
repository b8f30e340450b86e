/**
 * What was done to the collections that somebody watches: recorded by the writes, within their transactions, and kept for a
 * while. The choices are explained in `docs/decisions/a-log-of-changes.md`.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite"
import { Change, type ChangeKind, changeOverhead, changeSize, type Images } from "./change.ts"
import { ChangeCursor, ChangeFeed } from "./changeFeed.ts"
import { failure } from "./failure.ts"
import { RecentChanges } from "./recentChanges.ts"
import { collectionKey, Terms } from "./resumeToken.ts"
import { SharedViews } from "./sharedViews.ts"
import { Turns } from "./turns.ts"

/** How much is kept: at most so many bytes, and nothing older than so many milliseconds. */
export interface Retention {
  readonly maxBytes: number
  readonly maxAge: number
}

export const changeSchema = `
CREATE TABLE IF NOT EXISTS changes (
  sequence INTEGER PRIMARY KEY,
  collection INTEGER NOT NULL,
  time INTEGER NOT NULL,
  start INTEGER NOT NULL,
  kind TEXT NOT NULL,
  before BLOB,
  after BLOB
);
CREATE INDEX IF NOT EXISTS changes_by_collection ON changes (collection, sequence);
CREATE TABLE IF NOT EXISTS change_feeds (
  collection INTEGER PRIMARY KEY REFERENCES collections (id),
  since INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS log_terms (
  number INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  key BLOB NOT NULL,
  start INTEGER NOT NULL
);`

/** How far the log has come. */
interface Mark {
  /** The last sequence given away. */
  readonly sequence: number
  /** The bytes of all changes ever recorded. */
  readonly end: number
  readonly count: number
}

// so many collections that are not there are still awaited when nobody watches them any more
const maxAwaited = 1000

// so many are removed in a few milliseconds
const maxRemoved = 1000

// what is read in one step
const pageCount = 100
const pageBytes = 4 * 1024 * 1024

export class ChangeLog {
  readonly #database: DatabaseSync
  readonly #retention: Retention
  readonly #terms: Terms
  readonly #recent: RecentChanges
  readonly #views = new SharedViews()
  readonly #feeds = new Map<string, ChangeFeed>()
  /** Collections that were watched while they were not there, the last one last. */
  readonly #awaited = new Set<string>()
  readonly #insert: StatementSync
  readonly #page: StatementSync
  readonly #oldestFirst: StatementSync
  readonly #remove: StatementSync
  readonly #setSince: StatementSync
  readonly #recorded: StatementSync
  #sequence: number
  #end: number
  /** Never goes back, so that what is older comes first. */
  #time: number
  /** What the open transaction has recorded, and what it changes here once it is committed. */
  #pending: Array<{ readonly feed: ChangeFeed; readonly change: Change; readonly collection: number }> = []
  #staged: Array<() => void> = []
  #committed: Mark
  /** How many old changes are to be removed, if there are as many. */
  #due = 0
  readonly #woken = new Turns()
  #isClosed = false

  constructor(database: DatabaseSync, retention: Retention) {
    this.#database = database
    this.#retention = retention
    this.#insert = database.prepare(
      "INSERT INTO changes (sequence, collection, time, start, kind, before, after) VALUES (?, ?, ?, ?, ?, ?, ?)"
    )
    this.#page = database.prepare(
      "SELECT sequence, time, kind, before, after FROM changes " +
        "WHERE collection = ? AND sequence > ? AND sequence <= ? ORDER BY sequence"
    )
    this.#oldestFirst = database.prepare("SELECT sequence, collection, time, start FROM changes ORDER BY sequence")
    this.#remove = database.prepare("DELETE FROM changes WHERE sequence <= ?")
    this.#setSince = database.prepare("UPDATE change_feeds SET since = max(since, ?) WHERE collection = ?")
    this.#recorded = database.prepare(
      "SELECT since, (SELECT max(sequence) FROM changes WHERE collection = ?1) AS head FROM change_feeds WHERE collection = ?1"
    )
    const last = database.prepare(
      "SELECT sequence, time, start, coalesce(length(before), 0) + coalesce(length(after), 0) AS images FROM changes " +
        "ORDER BY sequence DESC LIMIT 1"
    ).get()
    const given = database.prepare(
      "SELECT coalesce((SELECT max(since) FROM change_feeds), 0) AS since, " +
        "coalesce((SELECT max(start) FROM log_terms), 0) AS start"
    ).get()
    this.#sequence = Math.max(Number(last?.["sequence"] ?? 0), Number(given?.["since"]), Number(given?.["start"]))
    this.#end = last === undefined ? 0 : Number(last["start"]) + changeSize(Number(last["images"]))
    this.#time = Number(last?.["time"] ?? 0)
    this.#committed = this.mark()
    this.#terms = new Terms(database)
    this.#recent = new RecentChanges(this.#sequence)
  }

  // ---------------------------------------------------------------------------
  // Collections
  // ---------------------------------------------------------------------------

  #feed(name: string): ChangeFeed {
    const known = this.#feeds.get(name)
    if (known !== undefined) return known
    const feed = new ChangeFeed(name, collectionKey(name))
    this.#feeds.set(name, feed)
    return feed
  }

  /** The feed of a collection that the file says is recorded. */
  reopen(name: string, collection: number): ChangeFeed | undefined {
    const row = this.#recorded.get(collection)
    if (row === undefined) return undefined
    this.#terms.begin(this.#sequence)
    const feed = this.#feed(name)
    feed.record(collection, Number(row["since"]), Number(row["head"] ?? row["since"]))
    return feed
  }

  /** Begins to record a collection, within a transaction. One that has just come into being has no past. */
  begin(name: string, collection: number, past: "some" | "none"): ChangeFeed {
    const feed = this.#feed(name)
    // A number of its own: a place before it, where nothing was recorded, cannot be taken for it.
    const since = past === "none" ? 0 : ++this.#sequence
    this.#database.prepare("INSERT INTO change_feeds (collection, since) VALUES (?, ?)").run(collection, since)
    this.#staged.push(() => feed.record(collection, since, since))
    return feed
  }

  /** Whether a collection is recorded, or will be when it comes into being. */
  isRecorded(name: string): boolean {
    return this.#feeds.has(name)
  }

  // ---------------------------------------------------------------------------
  // Transactions
  // ---------------------------------------------------------------------------

  /** Enters a change of the open transaction. `now` is in milliseconds. */
  append(feed: ChangeFeed, collection: number, kind: ChangeKind, images: Images): void {
    const change = new Change({ sequence: ++this.#sequence, time: this.#time }, kind, images)
    this.#insert.run(
      change.sequence,
      collection,
      change.time,
      this.#end,
      kind,
      images.before ?? null,
      images.after ?? null
    )
    this.#end += change.size
    this.#pending.push({ feed, change, collection })
  }

  /** Sets the time of what is recorded from now on, in milliseconds. */
  setTime(now: number): void {
    this.#time = Math.max(this.#time, now)
  }

  mark(): Mark {
    return { sequence: this.#sequence, end: this.#end, count: this.#pending.length }
  }

  /** Takes back what was recorded since, as the database does. */
  rewind(mark: Mark): void {
    this.#sequence = mark.sequence
    this.#end = mark.end
    this.#pending.length = mark.count
  }

  /** Gives up what is kept no longer, within the transaction: recording what nobody can resume, and old changes. */
  forget(): void {
    if (this.#end === 0) return
    const name = this.#pending.at(-1)?.feed.name
    if (name !== undefined) this.#stopIdle(name)
    this.#trim()
  }

  #stopIdle(name: string): void {
    const feed = this.#feeds.get(name)
    if (feed?.collection === undefined || feed.idleFor(this.#time) <= this.#retention.maxAge) return
    this.#database.prepare("DELETE FROM change_feeds WHERE collection = ?").run(feed.collection)
    this.#staged.push(() => this.#feeds.delete(name))
  }

  // In portions, for a write should not pay for a long silence before it. As what is removed is never less than what was
  // recorded, the log does not grow.
  #trim(): void {
    const { maxAge, maxBytes } = this.#retention
    let last = 0
    let due = this.#due + 100 + (this.#end - this.#committed.end) / changeOverhead
    let left = Math.min(due, maxRemoved)
    const since = new Map<number, number>()
    for (const row of this.#oldestFirst.iterate()) {
      const isTooMuch = this.#end - Number(row["start"]) > maxBytes
      const isTooOld = this.#time - Number(row["time"]) > maxAge
      if (!(isTooMuch || isTooOld)) break
      if (left-- < 1) break
      due--
      last = Number(row["sequence"])
      since.set(Number(row["collection"]), last)
    }
    const rest = left < 0 ? Math.floor(due) : 0
    if (last > 0) this.#remove.run(last)
    for (const [collection, sequence] of since) this.#setSince.run(sequence, collection)
    this.#staged.push(() => {
      this.#due = rest
      for (const feed of this.#feeds.values()) feed.forget(since)
    })
  }

  /** Whether old changes are left that a transaction of its own has to forget, after the last one. */
  get isBehind(): boolean {
    return this.#due > 0
  }

  /** The transaction was committed. Those who wait for its changes are woken together, after the write. */
  publish(): void {
    for (const change of this.#staged) change()
    for (const { change, collection, feed } of this.#pending) {
      this.#recent.push(collection, change)
      feed.head = change.sequence
      this.#woken.add(feed.takeWaiting())
    }
    this.#pending = []
    this.#staged = []
    this.#committed = this.mark()
  }

  /** The transaction was rolled back. */
  discard(): void {
    this.rewind(this.#committed)
    this.#staged = []
  }

  // ---------------------------------------------------------------------------
  // Watching
  // ---------------------------------------------------------------------------

  /** Begins to watch a collection: after a token, or from now on. It closes with the cursor. */
  open(name: string, namespace: string, resumeAfter: unknown): ChangeCursor {
    const term = this.#terms.begin(this.#sequence)
    const feed = this.#feed(name)
    try {
      const position = resumeAfter === undefined
        ? this.#sequence
        : this.#terms.place(resumeAfter, feed.key, this.#sequence)
      if (position === undefined || position < feed.since) throw lost(namespace)
      return new ChangeCursor(feed, {
        position,
        views: this.#views,
        token: (sequence) => term.token(feed.key, sequence),
        read: (after) => this.#read(feed, after, namespace),
        release: () => this.#release(name)
      })
    } catch (error) {
      this.#release(name)
      throw error
    }
  }

  // One who was cut off comes back soon, and has to find what happened in a collection that came into being meanwhile.
  #release(name: string): void {
    if (this.#isNeeded(name)) return
    this.#awaited.delete(name)
    this.#awaited.add(name)
    if (this.#awaited.size <= maxAwaited) return
    const [oldest = name] = this.#awaited
    this.#awaited.delete(oldest)
    if (!this.#isNeeded(oldest)) this.#feeds.delete(oldest)
  }

  #isNeeded(name: string): boolean {
    const feed = this.#feeds.get(name)
    return feed !== undefined && (feed.isRecorded || feed.isWatched)
  }

  /** Lets those who wait find out that nothing will follow. */
  close(): void {
    this.#isClosed = true
    for (const feed of this.#feeds.values()) this.#woken.add(feed.takeWaiting())
  }

  #read(feed: ChangeFeed, after: number, namespace: string): ReadonlyArray<Change> {
    if (this.#isClosed) throw new Error("it was closed")
    const { collection } = feed
    if (collection === undefined || feed.head <= after) return []
    const recent = this.#recent.after(collection, after)
    if (recent !== undefined) return recent.slice(0, pageCount)
    if (after < feed.since) throw lost(namespace)
    const page: Array<Change> = []
    let bytes = 0
    // what an open transaction has recorded is not told
    for (const row of this.#page.iterate(collection, after, feed.head)) {
      const change = new Change(
        { sequence: Number(row["sequence"]), time: Number(row["time"]) },
        kindOf(row["kind"]),
        { before: bytesOf(row["before"]), after: bytesOf(row["after"]) }
      )
      page.push(change)
      bytes += change.size
      if (page.length === pageCount || bytes > pageBytes) break
    }
    return page
  }
}

const lost = (namespace: string): Error => failure({ _tag: "ChangeStreamHistoryLost", namespace })

const kindOf = (kind: unknown): ChangeKind =>
  kind === "insert" || kind === "update" || kind === "replace" ? kind : "delete"

const bytesOf = (column: unknown): Uint8Array | undefined => column instanceof Uint8Array ? column : undefined
