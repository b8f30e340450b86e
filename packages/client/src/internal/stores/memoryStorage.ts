/** A place for sessions in memory, on a clock of its own. */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as PubSub from "effect/PubSub"
import * as Stream from "effect/Stream"
import type { Entry, Row, SessionStorage, Write } from "../../SessionStorage.ts"
import type { Outcome } from "../../TokenStore.ts"

/** One user of an app, at the beginning. */
export interface Seed {
  readonly userId: string
  readonly generation: number
  readonly activation: number
  /** By the clock of the place, in milliseconds. */
  readonly writtenAt: number
  readonly record: string
}

/** What there is of an app at the beginning. */
export interface AppSeed {
  readonly appId: string
  readonly number: number
  /** Who is logged in. */
  readonly users: ReadonlyArray<Seed>
  readonly anonymousUser: Option.Option<string>
  readonly deviceId: Option.Option<string>
}

interface MemoryRow extends Seed {
  readonly position: number
  readonly isLoggedIn: boolean
}

interface MemoryApp {
  number: number
  readonly rows: Map<string, MemoryRow>
  readonly departures: Map<string, number>
  readonly leases: Map<string, { readonly holder: string; readonly until: number }>
  readonly log: Array<Entry>
  forgotten: number
  readonly news: PubSub.PubSub<void>
  anonymousUser: Option.Option<string>
  deviceId: Option.Option<string>
}

const pageSize = 256
const kept = 1024

const rowsOf = (users: ReadonlyArray<Seed>): Map<string, MemoryRow> =>
  new Map(
    users
      .toSorted((self, that) => self.activation - that.activation)
      .map((user, position) => [user.userId, { ...user, position, isLoggedIn: true }])
  )

/** @param seeds what there is at the beginning; nothing when nothing is said */
export const make = (clock: Clock.Clock, seeds: ReadonlyArray<AppSeed> = []): SessionStorage["Service"] => {
  const apps = new Map<string, MemoryApp>()

  const appOf = (appId: string): Effect.Effect<MemoryApp> =>
    Effect.suspend(() => {
      const known = apps.get(appId)
      if (known !== undefined) return Effect.succeed(known)
      const seed = seeds.find((seed) => seed.appId === appId)
      return Effect.map(PubSub.sliding<void>(1), (news) => {
        const app: MemoryApp = apps.get(appId) ?? {
          number: seed?.number ?? 0,
          rows: rowsOf(seed?.users ?? []),
          departures: new Map(),
          leases: new Map(),
          log: [],
          forgotten: seed?.number ?? 0,
          news,
          anonymousUser: seed?.anonymousUser ?? Option.none(),
          deviceId: seed?.deviceId ?? Option.none()
        }
        apps.set(appId, app)
        return app
      })
    })

  const rowOf = ({ activation, generation, record, userId, writtenAt }: MemoryRow): Row => ({
    userId,
    generation,
    activation,
    age: Duration.millis(clock.currentTimeMillisUnsafe() - writtenAt),
    record: Effect.succeed(record)
  })

  const write = (app: MemoryApp, userId: string, write: Write): Outcome => {
    if (Option.isSome(write.since) && (app.departures.get(userId) ?? 0) > write.since.value) return { _tag: "Left" }
    const before = app.rows.get(userId)
    if ((before?.generation ?? 0) !== write.expected) return { _tag: "MovedOn" }
    const generation = ++app.number
    if (Option.isNone(write.record)) app.rows.delete(userId)
    else {
      app.rows.set(userId, {
        userId,
        generation,
        activation: write.makeCurrent ? generation : before?.activation ?? 0,
        position: before?.position ?? generation,
        writtenAt: clock.currentTimeMillisUnsafe(),
        record: write.record.value,
        isLoggedIn: write.isLoggedIn
      })
    }
    if (write.isAnonymous) app.anonymousUser = Option.some(userId)
    app.deviceId = Option.orElse(write.deviceId, () => app.deviceId)
    app.log.push({ number: generation, userId, event: Effect.succeed(write.event) })
    if (app.log.length > 2 * kept) app.forgotten = app.log.splice(0, kept).at(-1)!.number
    return { _tag: "Committed", generation }
  }

  return {
    read: (key) =>
      Effect.map(appOf(key.appId), ({ number, rows }) => ({
        number,
        row: Option.map(Option.fromUndefinedOr(rows.get(key.userId)), rowOf)
      })),
    app: (appId) =>
      Effect.map(appOf(appId), ({ anonymousUser, deviceId, number, rows }) => ({
        number,
        anonymousUser,
        deviceId,
        recent: [...rows.values()]
          .filter((row) => row.isLoggedIn && row.activation > 0)
          .toSorted((self, that) => that.activation - self.activation)
          .slice(0, 16)
          .map(rowOf)
      })),
    rows: (appId) =>
      Stream.flattenIterable(Stream.fromEffect(
        Effect.map(
          appOf(appId),
          ({ rows }) => [...rows.values()].toSorted((self, that) => self.position - that.position).map(rowOf)
        )
      )),
    write: (key, change) =>
      Effect.flatMap(appOf(key.appId), (app) => {
        const outcome = write(app, key.userId, change)
        return Effect.as(PubSub.publish(app.news, undefined), outcome)
      }),
    depart: (key) => Effect.map(appOf(key.appId), (app) => void app.departures.set(key.userId, ++app.number)),
    acquire: (key, holder, life) =>
      Effect.map(appOf(key.appId), ({ leases }) => {
        const now = clock.currentTimeMillisUnsafe()
        const lease = leases.get(key.userId)
        if (lease !== undefined && lease.holder !== holder && lease.until > now) return false
        leases.set(key.userId, { holder, until: now + Duration.toMillis(life) })
        return true
      }),
    release: (key, holder) =>
      Effect.map(appOf(key.appId), ({ leases }) => {
        if (leases.get(key.userId)?.holder === holder) leases.delete(key.userId)
      }),
    log: (appId, after) =>
      Effect.map(appOf(appId), ({ forgotten, log, number }) => {
        const entries = log.filter((entry) => entry.number > after)
        const hasMore = entries.length > pageSize
        return {
          entries: entries.slice(0, pageSize),
          until: hasMore ? entries[pageSize - 1]!.number : number,
          forgotten,
          hasMore
        }
      }),
    news: (appId) =>
      Stream.unwrap(Effect.gen(function*() {
        const { news } = yield* appOf(appId)
        const subscription = yield* PubSub.subscribe(news)
        return Stream.concat(Stream.succeed(undefined), Stream.fromSubscription(subscription))
      }))
  }
}
