/**
 * The primitives of a `TokenStore` over three tables that one process owns: sessions, apps, and pages of user ids.
 *
 * The session record is the commit point: what is written before it (the page that lists the user, the app that names it
 * as a candidate for current user) means nothing until the record is there and says so. A commit that fails or is cut
 * off half way therefore leaves no trace (law 6), with no transaction needed. The list of users is cut into pages so
 * that a log-in costs the same with ten users and with a hundred thousand. Pages and app records tell nothing that the
 * session records do not: one that cannot be read costs at most its own entries (law 11).
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as KeyValueStore from "effect/persistence/KeyValueStore"
import * as Schema from "effect/Schema"
import { TokenStoreError } from "../../ClientError.ts"
import { isLoggedIn, Session } from "../../Session.ts"
import type { AppState, Commit, Outcome, Primitives, SessionKey } from "../../TokenStore.ts"
import type { Snapshot, UserEvent } from "../../UserEvent.ts"
import * as Changes from "./changes.ts"
import * as Departures from "./departures.ts"
import * as Identifier from "./identifier.ts"
import * as Locks from "./locks.ts"
import { unreadable } from "./unreadable.ts"

/** A session, the page that lists its user, and the sequence of the last change of its app that it came with. */
const StoredSession = Schema.Struct({ session: Session, page: Schema.Int, sequence: Schema.Int })

const AppChoices = Schema.Struct({
  /** Candidates for current user, latest first. */
  recent: Schema.Array(Schema.String),
  anonymousUser: Schema.optionalKey(Schema.String),
  deviceId: Schema.optionalKey(Schema.String)
})

const AppRecord = Schema.Struct({
  /** The last activation and the highest generation of a removed user: new ones start above it. */
  sequence: Schema.Int,
  pages: Schema.Int,
  choices: AppChoices,
  /** What holds instead of `choices` unless the record of this user has this record's sequence. */
  unless: Schema.optionalKey(Schema.Struct({ userId: Schema.String, choices: AppChoices }))
})

const Page = Schema.Array(Schema.String)

type StoredSession = typeof StoredSession.Type
type AppChoices = typeof AppChoices.Type
type AppRecord = typeof AppRecord.Type
type Page = typeof Page.Type

export interface Table<A> {
  readonly get: (key: string) => Effect.Effect<Option.Option<A>, TokenStoreError>
  readonly set: (key: string, value: A) => Effect.Effect<void, TokenStoreError>
  readonly remove: (key: string) => Effect.Effect<void, TokenStoreError>
}

interface Tables {
  readonly sessions: Table<StoredSession>
  readonly apps: Table<AppRecord>
  readonly pages: Table<Page>
}

const pageSize = 256

// The old clients fell back to another logged-in user when the current one logged out; so do we, to the sixteen who
// were current last. A list without bound would make each log-in dearer than the one before.
const candidates = 16

const leaseBound = "2 minutes"

const emptyApp: AppRecord = { sequence: 0, pages: 0, choices: { recent: [] } }

// Added to the sequence of an app whose record was lost: users who were removed left no generation behind to start above.
const beyondTheRemoved = 2 ** 32

const sessionKey = ({ appId, userId }: SessionKey): string =>
  `${Identifier.written(appId)}/${Identifier.written(userId)}`

const isDamaged = (error: TokenStoreError): boolean => error.reason._tag === "Damaged"

/** Whether it is about one record, which costs itself alone (law 11). */
const isOfRecord = (error: TokenStoreError): boolean => error.reason._tag !== "Unavailable"

const make = (tables: Tables): Primitives => {
  const changes = Changes.make<UserEvent>()
  const withUser = Locks.make()
  const withApp = Locks.make()
  const withLease = Locks.make()
  const departures = Departures.make()

  const stored = (key: SessionKey): Effect.Effect<Option.Option<StoredSession>, TokenStoreError> =>
    Effect.map(
      tables.sessions.get(sessionKey(key)),
      Option.filter((stored) => stored.session.appId === key.appId && stored.session.userId === key.userId)
    )

  const get: Primitives["get"] = (key) => Effect.map(stored(key), Option.map((stored) => stored.session))

  /** The record of a user among others: none when it cannot be read. */
  const readable = (key: SessionKey): Effect.Effect<Option.Option<StoredSession>, TokenStoreError> =>
    Effect.catchIf(stored(key), isOfRecord, () => Effect.succeedNone)

  /** The record that a commit changes: none when it may be replaced. One of a newer version may not. */
  const replaceable = (key: SessionKey): Effect.Effect<Option.Option<StoredSession>, TokenStoreError> =>
    Effect.catchIf(stored(key), isDamaged, () => Effect.succeedNone)

  const pageKey = (appId: string, page: number): string => `${Identifier.written(appId)}/${page}`

  const page = (appId: string, index: number): Effect.Effect<Page, TokenStoreError> =>
    Effect.map(tables.pages.get(pageKey(appId, index)), Option.getOrElse((): Page => []))

  /** The sessions that a page lists; none when the page cannot be read. */
  const listed = Effect.fnUntraced(function*(appId: string, index: number) {
    const ids = yield* Effect.catchIf(page(appId, index), isOfRecord, () => Effect.succeed<Page>([]))
    const sessions: Array<Session> = []
    for (const userId of ids) {
      const stored = yield* readable({ appId, userId })
      // An entry counts only where its user's record says so: a cut-off log-in may have left another.
      if (Option.isSome(stored) && stored.value.page === index) sessions.push(stored.value.session)
    }
    return sessions
  })

  /** What the record of an app must have said, from the records of its users. */
  const rebuilt = Effect.fnUntraced(function*(appId: string): Effect.fn.Return<AppRecord, TokenStoreError> {
    const sessions: Array<Session> = []
    let pages = 0
    while (yield* Effect.catchIf(exists(pageKey(appId, pages)), isOfRecord, () => Effect.succeed(true))) {
      sessions.push(...yield* listed(appId, pages))
      pages++
    }
    sessions.sort((self, that) => that.activation - self.activation)
    const anonymous = sessions.find((session) => session.providerType === "anon-user")
    const deviceId = sessions.find((session) => session.deviceId !== undefined)?.deviceId
    return {
      sequence: sessions.reduce((most, session) => Math.max(most, session.generation, session.activation), 0) +
        beyondTheRemoved,
      pages,
      choices: {
        recent: sessions.slice(0, candidates).map((session) => session.userId),
        ...(anonymous === undefined ? undefined : { anonymousUser: anonymous.userId }),
        ...(deviceId === undefined ? undefined : { deviceId })
      }
    }
  })

  const exists = (pageKey: string): Effect.Effect<boolean, TokenStoreError> =>
    Effect.map(tables.pages.get(pageKey), Option.isSome)

  /** The record of an app, without what was announced in it and then not committed. */
  const appRecord = Effect.fnUntraced(function*(appId: string): Effect.fn.Return<AppRecord, TokenStoreError> {
    const found = yield* Effect.catchIf(
      tables.apps.get(Identifier.written(appId)),
      isDamaged,
      () => Effect.asSome(rebuilt(appId))
    )
    if (Option.isNone(found)) return emptyApp
    const { unless, ...record } = found.value
    if (unless === undefined) return record
    const committed = yield* readable({ appId, userId: unless.userId })
    return Option.exists(committed, (stored) => stored.sequence === record.sequence)
      ? record
      : { ...record, choices: unless.choices }
  })

  const setApp = (appId: string, record: AppRecord): Effect.Effect<void, TokenStoreError> =>
    tables.apps.set(Identifier.written(appId), record)

  const publish = (key: SessionKey, event: UserEvent): Effect.Effect<void> =>
    Effect.sync(() => {
      changes.publish(`user:${sessionKey(key)}`, event)
      changes.publish(`app:${key.appId}`, event)
    })

  /** Adds a user to the list, and answers the app's new record and the page. */
  const list = Effect.fnUntraced(function*(app: AppRecord, { appId, userId }: SessionKey) {
    const last = Math.max(0, app.pages - 1)
    // A page that cannot be read is full: what is in it stays as it is.
    const ids = yield* Effect.catchIf(page(appId, last), isOfRecord, () => Effect.succeed(undefined))
    const present = ids?.filter((id) => id !== userId)
    const fits = present !== undefined && present.length < pageSize
    const index = fits ? last : last + 1
    yield* tables.pages.set(pageKey(appId, index), fits ? [...present, userId] : [userId])
    return { index, pages: index + 1 }
  })

  const unlist = Effect.fnUntraced(function*({ appId, userId }: SessionKey, index: number) {
    const ids = yield* page(appId, index)
    yield* tables.pages.set(pageKey(appId, index), ids.filter((id) => id !== userId))
  })

  const insertOrReplace = Effect.fnUntraced(function*(
    key: SessionKey,
    before: Option.Option<StoredSession>,
    commit: Commit,
    next: Omit<Session, "generation" | "activation">
  ) {
    const known = Option.getOrUndefined(before)
    if (known !== undefined && !commit.makeCurrent) {
      const session: Session = {
        ...next,
        generation: known.session.generation + 1,
        activation: known.session.activation
      }
      yield* tables.sessions.set(sessionKey(key), { ...known, session })
      return session.generation
    }
    const app = yield* appRecord(key.appId)
    const { index, pages } = known === undefined ? yield* list(app, key) : { index: known.page, pages: app.pages }
    const sequence = app.sequence + 1
    const choices: AppChoices = {
      ...app.choices,
      ...(commit.makeCurrent
        ? { recent: [key.userId, ...app.choices.recent.filter((id) => id !== key.userId)].slice(0, candidates) }
        : undefined),
      ...(next.providerType === "anon-user" ? { anonymousUser: key.userId } : undefined),
      ...(next.deviceId === undefined ? undefined : { deviceId: next.deviceId })
    }
    yield* setApp(key.appId, { sequence, pages, choices, unless: { userId: key.userId, choices: app.choices } })
    const session: Session = {
      ...next,
      generation: known === undefined ? sequence : known.session.generation + 1,
      activation: commit.makeCurrent ? sequence : known?.session.activation ?? 0
    }
    yield* tables.sessions.set(sessionKey(key), { session, page: index, sequence })
    return session.generation
  })

  const remove = Effect.fnUntraced(function*(key: SessionKey, before: Option.Option<StoredSession>) {
    const app = yield* appRecord(key.appId)
    const generation = Option.match(before, {
      onNone: () => app.sequence,
      onSome: ({ session }) => session.generation
    }) + 1
    // A generation is never used twice, so an answer for the removed user cannot pass for one of its successor.
    yield* setApp(key.appId, { ...app, sequence: Math.max(app.sequence, generation) })
    yield* tables.sessions.remove(sessionKey(key))
    // The user is gone from here on; an entry left behind in its page names nobody.
    if (Option.isSome(before)) yield* Effect.ignore(unlist(key, before.value.page))
    return generation
  })

  const write = Effect.fnUntraced(
    function*(key: SessionKey, commit: Commit): Effect.fn.Return<Outcome, TokenStoreError> {
      if (commit.since !== undefined && departures.hasLeft(sessionKey(key), commit.since)) return { _tag: "Left" }
      const before = yield* replaceable(key)
      const generation = Option.match(before, { onNone: () => 0, onSome: (stored) => stored.session.generation })
      if (generation !== commit.expected) return { _tag: "MovedOn" }
      const committed = Option.isSome(commit.session)
        ? yield* insertOrReplace(key, before, commit, commit.session.value)
        : yield* remove(key, before)
      yield* publish(key, { ...commit.event, userId: key.userId, generation: committed })
      return { _tag: "Committed", generation: committed }
    },
    // Once begun, a commit ends: record and event belong together (law 9).
    Effect.uninterruptible
  )

  const commit: Primitives["commit"] = (key, commit) => {
    const whole = write(key, commit)
    const touchesApp = commit.makeCurrent || commit.expected === 0 || Option.isNone(commit.session)
    return withUser(sessionKey(key))(touchesApp ? withApp(key.appId)(whole) : whole)
  }

  // Under the user's lock, so that a commit which is being written has happened before, or sees it.
  const depart: Primitives["depart"] = (key) => withUser(sessionKey(key))(departures.depart(sessionKey(key)))

  const lease: Primitives["lease"] = (key, use) =>
    withLease(sessionKey(key))(
      Effect.timeoutOrElse(use, {
        duration: leaseBound,
        orElse: () => Effect.fail(new TokenStoreError({ reason: { _tag: "LeaseLost", key: sessionKey(key) } }))
      })
    )

  const currentUser = Effect.fnUntraced(function*(appId: string, app: AppRecord) {
    let current: Session | undefined
    for (const userId of app.choices.recent) {
      const stored = yield* readable({ appId, userId })
      if (Option.isNone(stored) || !isLoggedIn(stored.value.session)) continue
      if (current === undefined || stored.value.session.activation > current.activation) current = stored.value.session
    }
    return Option.map(Option.fromUndefinedOr(current), (session) => session.userId)
  })

  const app = Effect.fnUntraced(function*(appId: string): Effect.fn.Return<AppState, TokenStoreError> {
    const record = yield* appRecord(appId)
    return {
      currentUser: yield* currentUser(appId, record),
      anonymousUser: Option.fromUndefinedOr(record.choices.anonymousUser),
      deviceId: Option.fromUndefinedOr(record.choices.deviceId)
    }
  })

  const users = Effect.fnUntraced(function*(appId: string): Effect.fn.Return<Array<string>, TokenStoreError> {
    const { pages } = yield* appRecord(appId)
    const ids: Array<string> = []
    for (let index = 0; index < pages; index++) {
      for (const session of yield* listed(appId, index)) ids.push(session.userId)
    }
    return ids
  })

  // Read under a lock: what is published afterwards happened afterwards.
  const present = <State>(state: State): Changes.Present<UserEvent, Snapshot<State>> => ({
    snapshot: (missed) => ({ _tag: "Snapshot", missed, state }),
    includes: () => false
  })

  const userChanges: Primitives["changes"] = (key) =>
    changes.subscribe(`user:${sessionKey(key)}`, {
      lock: withUser(sessionKey(key)),
      present: Effect.map(get(key), present)
    })

  const appChanges: Primitives["appChanges"] = (appId) =>
    changes.subscribe(`app:${appId}`, {
      lock: withApp(appId),
      present: Effect.map(app(appId), present)
    })

  return { get, commit, arrival: () => departures.arrival, depart, lease, app, users, changes: userChanges, appChanges }
}

// -----------------------------------------------------------------------------
// Tables
// -----------------------------------------------------------------------------

const memoryTable = <A>(): Table<A> => {
  const rows = new Map<string, A>()
  return {
    get: (key) => Effect.sync(() => Option.fromUndefinedOr(rows.get(key))),
    set: (key, value) => Effect.sync(() => void rows.set(key, value)),
    remove: (key) => Effect.sync(() => void rows.delete(key))
  }
}

/** Tables in memory. */
export const memory = (): Primitives => make({ sessions: memoryTable(), apps: memoryTable(), pages: memoryTable() })

/** The version of what is written here. A record of a later one is left alone. */
const version = 1

const textTable = <A>(
  store: KeyValueStore.KeyValueStore,
  name: string,
  schema: Schema.Codec<A, unknown>,
  reported: Set<string>
): Table<A> => {
  const json = Schema.fromJsonString(Schema.Struct({ version: Schema.Literal(version), record: schema }))
  const decode = Schema.decodeUnknownOption(json)
  const encode = Schema.encodeEffect(json)
  const path = (key: string): string => `effect-realm/${name}/${key}`
  // A store that is encrypted says itself what is wrong with a record.
  const failure = (error: KeyValueStore.KeyValueStoreError): TokenStoreError =>
    error.cause instanceof TokenStoreError
      ? error.cause
      : new TokenStoreError({ reason: { _tag: "Unavailable", detail: error.message, cause: error } })
  const report = (error: TokenStoreError): Effect.Effect<void> => {
    if (!isOfRecord(error) || reported.has(error.message)) return Effect.void
    reported.add(error.message)
    return Effect.logWarning(error.message)
  }
  const get = (key: string): Effect.Effect<Option.Option<A>, TokenStoreError> =>
    Effect.flatMap(Effect.mapError(store.get(path(key)), failure), (text) => {
      if (text === undefined) return Effect.succeedNone
      const found = decode(text)
      return Option.isSome(found)
        ? Effect.succeedSome(found.value.record)
        : Effect.fail(unreadable(path(key), text, version, "it is not a record of this version"))
    })
  return {
    get: (key) => Effect.tapError(get(key), report),
    set: (key, record) =>
      Effect.flatMap(
        Effect.orDie(encode({ version, record })),
        (text) => Effect.mapError(store.set(path(key), text), failure)
      ),
    remove: (key) => Effect.asVoid(Effect.mapError(store.remove(path(key)), failure))
  }
}

/** Tables in a key-value store, one entry a record. */
export const keyValueStore = (store: KeyValueStore.KeyValueStore): Primitives => {
  const reported = new Set<string>()
  return make({
    sessions: textTable(store, "session", StoredSession, reported),
    apps: textTable(store, "app", AppRecord, reported),
    pages: textTable(store, "page", Page, reported)
  })
}
