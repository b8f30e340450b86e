/**
 * The items of `LocalStorageSessionStorage`. To set one item is all that happens in `localStorage` as a whole. So a change is
 * a new head of its app, which has the change in it, and has happened with that. Then it is put in its place: the item of its
 * user, and an entry of the log. Where the tab was killed before it did, the next one that writes does it, and whoever
 * reads looks into the head first.
 */
import { TokenStoreError } from "@effect-realm/client/ClientError"
import type { Entry, Page } from "@effect-realm/client/SessionStorage"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as WebFailure from "./webFailure.ts"

// -----------------------------------------------------------------------------
// Model
// -----------------------------------------------------------------------------

const version = 1

const Row = Schema.Struct({
  generation: Schema.Finite,
  activation: Schema.Finite,
  /** In whose order users first came. */
  position: Schema.Finite,
  isLoggedIn: Schema.Boolean,
  /** By the clock of this machine, as all times. */
  writtenAt: Schema.Finite,
  record: Schema.String
})
export type Row = typeof Row.Type

const Head = Schema.Struct({
  version: Schema.Literal(version),
  number: Schema.Finite,
  anonymousUser: Schema.optionalKey(Schema.String),
  deviceId: Schema.optionalKey(Schema.String),
  departures: Schema.Array(Schema.Struct({ userId: Schema.String, number: Schema.Finite, at: Schema.Finite })),
  /** The change that came with the number. */
  last: Schema.optionalKey(Schema.Struct({
    userId: Schema.String,
    /** The new row, or `null` for none any more; missing when it is as it was. */
    row: Schema.optionalKey(Schema.NullOr(Row)),
    /** What the log says, or `null` for nothing: a departure. */
    event: Schema.NullOr(Schema.String)
  }))
})
export type Head = typeof Head.Type

/** The head of an app that nobody has written. */
export const nothing: Head = { version, number: 0, departures: [] }

const RowText = /* @__PURE__ */ Schema.fromJsonString(Row)
const decodeRow = /* @__PURE__ */ Schema.decodeUnknownOption(RowText)
const encodeRow = /* @__PURE__ */ Schema.encodeSync(RowText)

const HeadText = /* @__PURE__ */ Schema.fromJsonString(Head)
const decodeHead = /* @__PURE__ */ Schema.decodeUnknownOption(HeadText)
const encodeHead = /* @__PURE__ */ Schema.encodeSync(HeadText)

const Version = /* @__PURE__ */ Schema.fromJsonString(Schema.Struct({ version: Schema.Finite }))
const decodeVersion = /* @__PURE__ */ Schema.decodeUnknownOption(Version)

/** An entry of the log; `null` in the place of a departure, of which nobody is told. */
const LogText = /* @__PURE__ */ Schema.fromJsonString(
  Schema.NullOr(Schema.Struct({ userId: Schema.String, event: Schema.String }))
)
type LogEntry = { readonly userId: string; readonly event: string } | null
const decodeEntry = /* @__PURE__ */ Schema.decodeUnknownOption(LogText)
const encodeEntry = /* @__PURE__ */ Schema.encodeSync(LogText)

// -----------------------------------------------------------------------------
// Access
// -----------------------------------------------------------------------------

const access = <A>(use: (storage: Storage) => A): Effect.Effect<A, TokenStoreError> =>
  Effect.try({
    try: () => {
      // It is `null` in a web view that was told to have none.
      const storage: Storage | null = localStorage
      if (storage === null) throw new ReferenceError("There is no localStorage")
      return use(storage)
    },
    catch: WebFailure.failure("localStorage")
  })

/** Whether this page may use it. */
export const allowed: Effect.Effect<unknown, TokenStoreError> = /* @__PURE__ */ access((storage) => storage.length)

/** Tells, from now on, that this tab sees a change of another. */
export const changes: Effect.Effect<Queue.Dequeue<void>, never, Scope.Scope> = /* @__PURE__ */ Effect.gen(function*() {
  const changes = yield* Queue.sliding<void>(1)
  const listener = () => Queue.offerUnsafe(changes, undefined)
  yield* Effect.acquireRelease(
    Effect.sync(() => globalThis.addEventListener("storage", listener)),
    () => Effect.sync(() => globalThis.removeEventListener("storage", listener))
  )
  return changes
})

// -----------------------------------------------------------------------------
// Items
// -----------------------------------------------------------------------------

const pageSize = 256
const kept = 1024

/** The items of one app. */
export interface Items {
  readonly head: Effect.Effect<Head, TokenStoreError>
  readonly row: (head: Head, userId: string) => Effect.Effect<Option.Option<Row>, TokenStoreError>
  /** All users with their rows, in the order in which they first came. */
  readonly rows: (head: Head) => Effect.Effect<Array<readonly [userId: string, row: Row]>, TokenStoreError>
  /** A part of the log. What is not there was forgotten. */
  readonly log: (head: Head, after: number) => Effect.Effect<Page, TokenStoreError>
  /** Replaces a head by the next one, while no other tab does. */
  readonly replace: (before: Head, after: Head) => Effect.Effect<void, TokenStoreError>
}

/** @param prefix what the names of all items begin with */
export const make = (prefix: string, appId: string): Items => {
  const headItem = `${prefix}:${JSON.stringify(appId)}`
  const userPrefix = `${headItem}:user:`
  const userItem = (userId: string) => userPrefix + userId
  const logItem = (number: number) => `${headItem}:log:${number}`

  /** The row of an item. One that cannot be read has to be replaced as it is. */
  const rowOf = (text: string): Row =>
    Option.getOrElse(decodeRow(text), () => ({
      generation: -1,
      activation: 0,
      position: 0,
      isLoggedIn: false,
      writtenAt: 0,
      record: text
    }))

  const set = (storage: Storage, item: string, text: string): void => {
    if (storage.getItem(item) !== text) storage.setItem(item, text)
  }

  const entryOf = ({ event, userId }: NonNullable<Head["last"]>): LogEntry => event === null ? null : { userId, event }

  /** Puts the last change in its place, if it is not there yet. */
  const settle = (storage: Storage, { last, number }: Head): void => {
    if (last === undefined) return
    const { row, userId } = last
    if (row === null) storage.removeItem(userItem(userId))
    else if (row !== undefined) set(storage, userItem(userId), encodeRow(row))
    set(storage, logItem(number), encodeEntry(entryOf(last)))
  }

  const forget = (storage: Storage, number: number): void => {
    for (let old = Math.max(1, number - kept); old <= number; old++) storage.removeItem(logItem(old))
  }

  return {
    head: Effect.flatMap(access((storage) => storage.getItem(headItem)), (text) => {
      if (text === null) return Effect.succeed(nothing)
      const head = decodeHead(text)
      if (Option.isSome(head)) return Effect.succeed(head.value)
      const other = Option.getOrUndefined(decodeVersion(text))?.version ?? 0
      return Effect.fail(
        new TokenStoreError({
          reason: other > version
            ? { _tag: "NewerVersion", key: headItem, version: other }
            : { _tag: "Damaged", key: headItem, detail: "it is not what this library writes to localStorage" }
        })
      )
    }),

    row: ({ last }, userId) =>
      last?.userId === userId && last.row !== undefined
        ? Effect.succeed(Option.fromNullOr(last.row))
        : access((storage) => Option.map(Option.fromNullOr(storage.getItem(userItem(userId))), rowOf)),

    rows: ({ last }) =>
      access((storage) => {
        const rows = new Map<string, Row>()
        for (let index = 0; index < storage.length; index++) {
          const item = storage.key(index)
          if (item?.startsWith(userPrefix) !== true) continue
          rows.set(item.slice(userPrefix.length), rowOf(storage.getItem(item) ?? ""))
        }
        if (last?.row === null) rows.delete(last.userId)
        else if (last?.row !== undefined) rows.set(last.userId, last.row)
        return [...rows].toSorted(([, self], [, that]) => self.position - that.position)
      }),

    log: ({ last, number }, after) =>
      access((storage) => {
        const entries: Array<Entry> = []
        let forgotten = Math.max(0, number - kept)
        let until = Math.max(after, forgotten)
        while (until < number && entries.length < pageSize) {
          until++
          const text = storage.getItem(logItem(until))
          const entry = until === number && last !== undefined ? Option.some(entryOf(last)) : decodeEntry(text)
          if (Option.isNone(entry)) forgotten = until
          else if (entry.value !== null) {
            const { event, userId } = entry.value
            entries.push({ number: until, userId, event: Effect.succeed(event) })
          }
        }
        const hasMore = until < number
        return { entries, until: hasMore ? until : number, forgotten, hasMore }
      }),

    replace: (before, after) =>
      access((storage) => {
        const text = encodeHead(after)
        try {
          settle(storage, before)
          storage.setItem(headItem, text)
        } catch {
          // Where there is no more room the log gives way: somebody wants to log out.
          forget(storage, before.number)
          settle(storage, before)
          storage.setItem(headItem, text)
        }
        try {
          settle(storage, after)
          storage.removeItem(logItem(after.number - kept))
        } catch {
          // It has happened. Whoever writes next, with more room, puts it in its place.
        }
      })
  }
}
