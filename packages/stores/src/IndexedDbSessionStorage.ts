/**
 * Sessions in IndexedDB, which the tabs and workers of a site share. Each change is one transaction; the others are told
 * of it by a `BroadcastChannel`. It is there before the page has a network.
 */
import type { TokenStoreError } from "@effect-realm/client/ClientError"
import { type Row, SessionStorage, type Write } from "@effect-realm/client/SessionStorage"
import type { Outcome, SessionKey } from "@effect-realm/client/TokenStore"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as IndexedDb from "./internal/indexedDb.ts"
import * as Lease from "./internal/lease.ts"
import * as Tabs from "./internal/tabs.ts"
import * as WebLocks from "./internal/webLocks.ts"

// -----------------------------------------------------------------------------
// Model
// -----------------------------------------------------------------------------

/** What can be chosen. */
export interface Options {
  /** The name of the database, `effect-realm` by default. All who share sessions have the same. */
  readonly name?: string
}

// -----------------------------------------------------------------------------
// Constructors
// -----------------------------------------------------------------------------

const pageSize = 256
const kept = 2048

const rowAt = (
  now: number,
  { activation, generation, record, userId, writtenAt }: IndexedDb.SessionColumns
): Row => ({
  userId,
  generation,
  activation,
  age: Duration.millis(now - writtenAt),
  record: Effect.succeed(record)
})

const appOf = async (transaction: IndexedDb.Transaction, appId: string): Promise<IndexedDb.AppColumns> =>
  (await transaction.get("apps", appId)) ?? { appId, number: 0, forgotten: 0 }

/** Makes a change, as a part of a transaction. */
const write = async (
  transaction: IndexedDb.Transaction,
  { appId, userId }: SessionKey,
  change: Write,
  now: number
): Promise<Outcome> => {
  const app = await appOf(transaction, appId)
  const departure = await transaction.get("departures", [appId, userId])
  if (departure !== undefined && Option.isSome(change.since) && departure.number > change.since.value) {
    return { _tag: "Left" }
  }
  const before = await transaction.get("sessions", [appId, userId])
  if ((before?.generation ?? 0) !== change.expected) return { _tag: "MovedOn" }

  const number = app.number + 1
  const activation = change.makeCurrent ? number : before?.activation ?? 0
  if (Option.isNone(change.record)) await transaction.delete("sessions", [appId, userId])
  else {
    await transaction.put("sessions", {
      appId,
      userId,
      generation: number,
      activation,
      position: before?.position ?? number,
      writtenAt: now,
      record: change.record.value,
      ...(change.isLoggedIn && activation > 0 ? { recent: activation } : undefined)
    })
  }
  await transaction.put("log", { appId, number, userId, event: change.event })
  // What nobody is behind any more is forgotten, now and then.
  const forgotten = number % pageSize === 0 ? Math.max(app.forgotten, number - kept) : app.forgotten
  if (forgotten > app.forgotten) {
    await transaction.delete("log", IDBKeyRange.bound([appId], [appId, forgotten]))
  }
  await transaction.put("apps", {
    ...app,
    number,
    forgotten,
    ...(change.isAnonymous ? { anonymousUser: userId } : undefined),
    ...Option.match(change.deviceId, { onNone: () => undefined, onSome: (deviceId) => ({ deviceId }) })
  })
  return { _tag: "Committed", generation: number }
}

const make = Effect.fnUntraced(function*(name: string) {
  const { transact } = yield* IndexedDb.make(name)
  const tabs = yield* Tabs.make(name)
  const locks = WebLocks.ofSite()
  const clock = yield* Clock.Clock
  // The clock of this machine is the place's: all who share the database have it in common.
  const now = () => clock.currentTimeMillisUnsafe()
  const rowOf = (session: IndexedDb.SessionColumns): Row => rowAt(now(), session)

  const leases: WebLocks.Leases = locks !== undefined ? yield* WebLocks.leases(locks, `${name}/lease/`) : {
    acquire: ({ appId, userId }, holder, life) =>
      transact("readwrite", async (transaction) => {
        const lease = await transaction.get("leases", [appId, userId])
        if (lease !== undefined && lease.holder !== holder && Lease.lasts(lease.until, now())) return false
        await transaction.put("leases", { appId, userId, holder, until: now() + Duration.toMillis(life) })
        return true
      }),
    release: ({ appId, userId }, holder) =>
      transact("readwrite", async (transaction) => {
        const lease = await transaction.get("leases", [appId, userId])
        if (lease?.holder === holder) await transaction.delete("leases", [appId, userId])
      })
  }

  return SessionStorage.of({
    read: ({ appId, userId }) =>
      transact("readonly", async (transaction) => {
        const [app, session] = await Promise.all([
          appOf(transaction, appId),
          transaction.get("sessions", [appId, userId])
        ])
        return { number: app.number, row: Option.map(Option.fromUndefinedOr(session), rowOf) }
      }),
    app: (appId) =>
      transact("readonly", async (transaction) => {
        const [app, recent] = await Promise.all([
          appOf(transaction, appId),
          transaction.last("sessions", "recent", IndexedDb.ofApp(appId), 16)
        ])
        return {
          number: app.number,
          recent: recent.map(rowOf),
          anonymousUser: Option.fromUndefinedOr(app.anonymousUser),
          deviceId: Option.fromUndefinedOr(app.deviceId)
        }
      }),
    rows: (appId) =>
      Stream.fromIterableEffect(
        transact("readonly", async (transaction) =>
          (await transaction.all("sessions", IndexedDb.ofApp(appId), { index: "position" })).map(rowOf))
      ),
    write: (key, change) =>
      Effect.tap(
        transact("readwrite", (transaction) => write(transaction, key, change, now())),
        ({ _tag }) => _tag === "Committed" ? tabs.tell(key.appId) : Effect.void
      ),
    depart: ({ appId, userId }) =>
      transact("readwrite", async (transaction) => {
        const at = now()
        const app = await appOf(transaction, appId)
        const number = app.number + 1
        const old = await transaction.all(
          "departures",
          IDBKeyRange.bound([appId], [appId, at - Duration.toMillis("1 hour")]),
          { index: "at" }
        )
        for (const departure of old) {
          // A clock that is set forward makes an hour of a moment.
          if (departure.number <= number - kept) await transaction.delete("departures", [appId, departure.userId])
        }
        await transaction.put("departures", { appId, userId, number, at })
        await transaction.put("apps", { ...app, number })
      }),
    ...leases,
    log: (appId, after) =>
      transact("readonly", async (transaction) => {
        const [app, found] = await Promise.all([
          appOf(transaction, appId),
          transaction.all("log", IndexedDb.ofApp(appId, after), { limit: pageSize + 1 })
        ])
        const hasMore = found.length > pageSize
        const entries = found.slice(0, pageSize).map(({ event, number, userId }) => ({
          number,
          userId,
          event: Effect.succeed(event)
        }))
        return { entries, until: hasMore ? entries.at(-1)!.number : app.number, forgotten: app.forgotten, hasMore }
      }),
    news: tabs.news
  })
})

// -----------------------------------------------------------------------------
// Layers
// -----------------------------------------------------------------------------

/**
 * As {@link layer}, with a database of another name: for a site whose pages have users of their own.
 *
 * Fails with `Misconfigured` where there is no IndexedDB, or its use is not allowed, and with `NewerVersion` when a newer
 * version of this library has made the tables.
 *
 * @param options.name the name of the database
 *
 * ```ts
 * import { TokenStore } from "@effect-realm/client"
 * import * as IndexedDbSessionStorage from "@effect-realm/stores/IndexedDbSessionStorage"
 * import { Effect, Layer } from "effect"
 *
 * const sessions = TokenStore.layerStorage.pipe(Layer.provide(IndexedDbSessionStorage.layerWith({ name: "back-office" })))
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
 * Sessions in IndexedDB, for all tabs and workers of a site (of one origin). A lease is a Web Lock, which the browser
 * takes back from a tab that is closed or has crashed; where there are none, as in a page that did not come over `https`, it
 * is in the database and ends ten seconds later.
 *
 * Fails with `Misconfigured` where there is no IndexedDB, or its use is not allowed, and with `NewerVersion` when a newer
 * version of this library has made the tables.
 *
 * ```ts
 * import { TokenStore } from "@effect-realm/client"
 * import * as IndexedDbSessionStorage from "@effect-realm/stores/IndexedDbSessionStorage"
 * import { Effect, Layer } from "effect"
 *
 * // A page that may keep nothing remembers its users until it is closed.
 * const sessions = TokenStore.layerStorage.pipe(
 *   Layer.provide(IndexedDbSessionStorage.layer),
 *   Layer.catchTag("TokenStoreError", () => TokenStore.layerMemory)
 * )
 * const users = TokenStore.TokenStore.use((store) => store.users("shop-abcde"))
 * await Effect.runPromise(Effect.provide(users, sessions)) // => []
 * ```
 */
export const layer: Layer.Layer<SessionStorage, TokenStoreError> = /* @__PURE__ */ layerWith({})
