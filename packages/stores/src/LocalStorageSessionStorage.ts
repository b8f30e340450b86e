/**
 * Sessions in `localStorage`, which the tabs of a site share. Needs Web Locks. Where there is a choice,
 * `IndexedDbSessionStorage` is the better one.
 */
import type { TokenStoreError } from "@effect-realm/client/ClientError"
import { type Row, SessionStorage, type Write } from "@effect-realm/client/SessionStorage"
import type { Outcome } from "@effect-realm/client/TokenStore"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import * as LastWriter from "./internal/lastWriter.ts"
import * as LocalItems from "./internal/localItems.ts"
import * as Tabs from "./internal/tabs.ts"
import * as WebFailure from "./internal/webFailure.ts"
import * as WebLocks from "./internal/webLocks.ts"

// -----------------------------------------------------------------------------
// Model
// -----------------------------------------------------------------------------

/** What can be chosen. */
export interface Options {
  /** What the names of the items begin with, `effect-realm` by default. All who share sessions have the same. */
  readonly name?: string
}

// -----------------------------------------------------------------------------
// Changes
// -----------------------------------------------------------------------------

type Refusal = Exclude<Outcome["_tag"], "Committed">

/** The head after a write, or why it is refused. */
const written = (
  head: LocalItems.Head,
  before: LocalItems.Row | undefined,
  { number, now, userId, write }: {
    readonly number: number
    readonly now: number
    readonly userId: string
    readonly write: Write
  }
): LocalItems.Head | Refusal => {
  const departure = head.departures.find((one) => one.userId === userId)
  if (departure !== undefined && Option.isSome(write.since) && departure.number > write.since.value) return "Left"
  if ((before?.generation ?? 0) !== write.expected) return "MovedOn"
  const row = Option.map(write.record, (record) => ({
    generation: number,
    activation: write.makeCurrent ? number : before?.activation ?? 0,
    position: before?.position ?? number,
    isLoggedIn: write.isLoggedIn,
    writtenAt: now,
    record
  }))
  return {
    ...head,
    number,
    ...(write.isAnonymous ? { anonymousUser: userId } : undefined),
    ...Option.match(write.deviceId, { onNone: () => undefined, onSome: (deviceId) => ({ deviceId }) }),
    last: { userId, row: Option.getOrNull(row), event: write.event }
  }
}

// After how many changes of the app, and after how long, a departure is forgotten. By both, for a clock that is set forward
// makes an hour of a moment.
const forgotten = { changes: 64, milliseconds: Duration.toMillis("1 hour") }

const departed = (head: LocalItems.Head, number: number, userId: string, at: number): LocalItems.Head => ({
  ...head,
  number,
  departures: [
    ...head.departures.filter((one) =>
      one.userId !== userId && (one.number > number - forgotten.changes || one.at > at - forgotten.milliseconds)
    ),
    { userId, number, at }
  ],
  last: { userId, event: null }
})

// -----------------------------------------------------------------------------
// Constructors
// -----------------------------------------------------------------------------

// How long a change of another tab may take to be seen by this one.
const patience = Duration.seconds(2)

// How long it does take, many times over, where it is not known whether there is one.
const lag = Duration.seconds(1)

const noLocks = (): TokenStoreError =>
  WebFailure.misconfigured(
    "tabs can share localStorage only where there are Web Locks, in pages that come over https. " +
      "Keep sessions in IndexedDB (IndexedDbSessionStorage)"
  )

const make = Effect.fnUntraced(function*(prefix: string) {
  yield* LocalItems.allowed
  const locks = WebLocks.ofSite()
  if (locks === undefined) return yield* noLocks()
  const leases = yield* WebLocks.leases(locks, `${prefix}/lease/`)
  const lastWriter = LastWriter.make(locks, `${prefix}/written/`)
  const tabs = yield* Tabs.make(prefix)
  const clock = yield* Clock.Clock
  // The clock of this machine is the place's: all who share the items have it in common.
  const now = () => clock.currentTimeMillisUnsafe()
  const itemsOf = (appId: string) => LocalItems.make(prefix, appId)

  const rowOf = (userId: string, { activation, generation, record, writtenAt }: LocalItems.Row): Row => ({
    userId,
    generation,
    activation,
    age: Duration.millis(now() - writtenAt),
    record: Effect.succeed(record)
  })

  /** The head of an app as the last writer has left it, and what number that is when it is still there. */
  const current = Effect.fnUntraced(function*(
    appId: string
  ): Effect.fn.Return<{ readonly head: LocalItems.Head; readonly last: number }, TokenStoreError> {
    const items = itemsOf(appId)
    const look = Effect.all({ last: lastWriter.number(appId), head: items.head })
    const arrived = Effect.scoped(Effect.gen(function*() {
      const changes = yield* LocalItems.changes
      let present = yield* look
      while (present.head.number < present.last) {
        yield* Queue.take(changes)
        present = yield* look
      }
      return present
    }))
    const first = yield* look
    if (first.head.number >= first.last) return first
    const present = yield* Effect.timeoutOrElse(arrived, { duration: patience, orElse: () => look })
    // Nothing at all is there when somebody has deleted the data of the site.
    if (present.head.number >= present.last || present.head === LocalItems.nothing) return present
    return yield* WebFailure.unavailable("localStorage does not show what another tab has written")
  })

  const headOf = (appId: string): Effect.Effect<LocalItems.Head, TokenStoreError> =>
    Effect.map(current(appId), ({ head }) => head)

  /** Changes what is there of an app, while no other tab does. */
  const update = (
    appId: string,
    change: (head: LocalItems.Head, number: number) => Effect.Effect<LocalItems.Head | Refusal, TokenStoreError>
  ): Effect.Effect<Outcome, TokenStoreError> =>
    Effect.gen(function*(): Effect.fn.Return<Outcome, TokenStoreError> {
      const present = yield* current(appId)
      // The last writer is gone, and what it wrote may be on its way to this tab.
      const isSettled = present.head.number <= present.last
      const { head, last } = isSettled ? present : yield* Effect.delay(current(appId), lag)
      // A number does not come again, also when the data of the site were deleted.
      const number = Math.max(head.number, last) + 1
      const after = yield* change(head, number)
      if (typeof after === "string") return { _tag: after }
      yield* Effect.uninterruptible(
        Effect.flatMap(
          lastWriter.announce(appId, number),
          (withdraw) => Effect.onError(itemsOf(appId).replace(head, after), () => withdraw)
        )
      )
      yield* tabs.tell(appId)
      return { _tag: "Committed", generation: number }
    }).pipe(WebLocks.exclusive(locks, `${prefix}/write/${JSON.stringify(appId)}`))

  return SessionStorage.of({
    read: ({ appId, userId }) =>
      Effect.flatMap(headOf(appId), (head) =>
        Effect.map(itemsOf(appId).row(head, userId), (row) => ({
          number: head.number,
          row: Option.map(row, (row) => rowOf(userId, row))
        }))),
    app: (appId) =>
      Effect.flatMap(headOf(appId), (head) =>
        Effect.map(itemsOf(appId).rows(head), (rows) => ({
          number: head.number,
          recent: rows
            .filter(([, { activation, isLoggedIn }]) => isLoggedIn && activation > 0)
            .toSorted(([, self], [, that]) => that.activation - self.activation)
            .slice(0, 16)
            .map(([userId, row]) => rowOf(userId, row)),
          anonymousUser: Option.fromUndefinedOr(head.anonymousUser),
          deviceId: Option.fromUndefinedOr(head.deviceId)
        }))),
    rows: (appId) =>
      Stream.fromIterableEffect(
        Effect.map(
          Effect.flatMap(headOf(appId), itemsOf(appId).rows),
          (rows) => rows.map(([userId, row]) => rowOf(userId, row))
        )
      ),
    write: ({ appId, userId }, write) =>
      update(appId, (head, number) =>
        Effect.map(
          itemsOf(appId).row(head, userId),
          (row) => written(head, Option.getOrUndefined(row), { number, now: now(), userId, write })
        )),
    depart: ({ appId, userId }) =>
      update(appId, (head, number) => Effect.succeed(departed(head, number, userId, now()))),
    ...leases,
    log: (appId, after) => Effect.flatMap(headOf(appId), (head) => itemsOf(appId).log(head, after)),
    news: tabs.news
  })
})

// -----------------------------------------------------------------------------
// Layers
// -----------------------------------------------------------------------------

/**
 * As {@link layer}, with items of another name: for a site whose pages have users of their own.
 *
 * Fails with `Misconfigured` where there is no `localStorage`, where its use is not allowed, and where there are no Web Locks.
 *
 * @param options.name what the names of the items begin with
 *
 * ```ts
 * import { TokenStore } from "@effect-realm/client"
 * import * as LocalStorageSessionStorage from "@effect-realm/stores/LocalStorageSessionStorage"
 * import { Effect, Layer } from "effect"
 *
 * const sessions = TokenStore.layerStorage.pipe(
 *   Layer.provide(LocalStorageSessionStorage.layerWith({ name: "back-office" }))
 * )
 * const users = TokenStore.TokenStore.use((store) => store.users("shop-abcde"))
 *
 * // Outside of a browser there is none.
 * const error = await Effect.runPromise(Effect.flip(Effect.provide(users, sessions)))
 * error.reason._tag // => "Misconfigured"
 * ```
 */
export const layerWith = (options: Options): Layer.Layer<SessionStorage, TokenStoreError> =>
  Layer.effect(SessionStorage, make(options.name ?? "effect-realm"))

/**
 * Sessions in `localStorage`, for all tabs of a site (of one origin) that come over `https`. A lease is a Web Lock, which
 * the browser takes back from a tab that is closed or has crashed. What a tab writes while it is killed may be lost when the
 * browser is very busy; in IndexedDB it cannot.
 *
 * Fails with `Misconfigured` where there is no `localStorage`, where its use is not allowed, and where there are no Web Locks.
 *
 * ```ts
 * import { TokenStore } from "@effect-realm/client"
 * import * as LocalStorageSessionStorage from "@effect-realm/stores/LocalStorageSessionStorage"
 * import { Effect, Layer } from "effect"
 *
 * // A page that may keep nothing remembers its users until it is closed.
 * const sessions = TokenStore.layerStorage.pipe(
 *   Layer.provide(LocalStorageSessionStorage.layer),
 *   Layer.catchTag("TokenStoreError", () => TokenStore.layerMemory)
 * )
 * const users = TokenStore.TokenStore.use((store) => store.users("shop-abcde"))
 * await Effect.runPromise(Effect.provide(users, sessions)) // => []
 * ```
 */
export const layer: Layer.Layer<SessionStorage, TokenStoreError> = /* @__PURE__ */ layerWith({})
