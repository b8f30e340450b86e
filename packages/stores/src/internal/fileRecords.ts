/**
 * What is in the files of an app: one for each user, one for what the app counts and remembers, and a log. Every change is
 * an entry of the log, and what the app remembers after it follows from the entry alone.
 */
import { TokenStoreError } from "@effect-realm/client/ClientError"
import type { Write } from "@effect-realm/client/SessionStorage"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { createHash } from "node:crypto"

const version = 1

/** What is in a user's file: the row, and what holds of the user without one. */
export const User = Schema.Struct({
  version: Schema.Literal(version),
  userId: Schema.String,
  /** The number of the last write of the record, also when it was removed. */
  generation: Schema.Int,
  activation: Schema.Int,
  position: Schema.Int,
  /** The number of the user's last departure; `0` when there was none. */
  departed: Schema.Int,
  /** When the record was written or removed; when the user departed, where there never was one. */
  writtenAt: Schema.Finite,
  isLoggedIn: Schema.Boolean,
  isAnonymous: Schema.Boolean,
  deviceId: Schema.optionalKey(Schema.String),
  /** Missing when there is no row. */
  record: Schema.optionalKey(Schema.String)
})
export type User = typeof User.Type

const Activation = Schema.Struct({ userId: Schema.String, activation: Schema.Int })

/** What is in an app's file. */
export const App = Schema.Struct({
  version: Schema.Literal(version),
  appId: Schema.String,
  number: Schema.Int,
  /** Which log there is, where it ends, and the number before its first one. What is after its end has not happened yet. */
  log: Schema.Struct({ name: Schema.Int, end: Schema.Int, forgotten: Schema.Int }),
  /** The logged-in users who became current last, the latest first. */
  recent: Schema.Array(Activation),
  /** Who became current at this number or before is not in the list, though perhaps logged in. */
  floor: Schema.Int,
  anonymousUser: Schema.optionalKey(Schema.String),
  deviceId: Schema.optionalKey(Schema.String)
})
export type App = typeof App.Type

/** A change of one user. */
export const Entry = Schema.Struct({
  number: Schema.Int,
  userId: Schema.String,
  /** Missing when the user departed, which changes nothing else. */
  event: Schema.optionalKey(Schema.String),
  /** What the user's file says of the row after it. */
  activation: Schema.Int,
  isLoggedIn: Schema.Boolean,
  isAnonymous: Schema.Boolean,
  deviceId: Schema.optionalKey(Schema.String)
})
export type Entry = typeof Entry.Type

/** How many users are remembered as those who became current last. */
const candidates = 16

export const emptyApp = (appId: string): App => ({
  version,
  appId,
  number: 0,
  log: { name: 1, end: 0, forgotten: 0 },
  recent: [],
  floor: 0
})

/** The users of a list who became current last, and the last one who is not among them. */
const latest = (users: ReadonlyArray<typeof Activation.Type>, floor: number): Pick<App, "recent" | "floor"> => {
  // Who never became current has the activation 0.
  const sorted = users
    .filter(({ activation }) => activation > floor)
    .toSorted((self, that) => that.activation - self.activation)
  return { recent: sorted.slice(0, candidates), floor: Math.max(floor, sorted[candidates]?.activation ?? 0) }
}

/** What an app remembers after an entry that ends at a position of its log. */
export const after = (app: App, entry: Entry, end: number): App => {
  const counted: App = { ...app, number: entry.number, log: { ...app.log, end } }
  if (entry.event === undefined) return counted
  const { activation, deviceId, isAnonymous, isLoggedIn, userId } = entry
  const others = app.recent.filter((one) => one.userId !== userId)
  return {
    ...counted,
    ...latest(isLoggedIn ? [...others, { userId, activation }] : others, app.floor),
    ...(isAnonymous ? { anonymousUser: userId } : undefined),
    ...(deviceId === undefined ? undefined : { deviceId })
  }
}

interface Change {
  readonly user: User
  readonly entry: Entry
}

/** A user of whom there is nothing yet. */
export const nobody = (userId: string): User => ({
  version,
  userId,
  generation: 0,
  activation: 0,
  position: 0,
  departed: 0,
  writtenAt: 0,
  isLoggedIn: false,
  isAnonymous: false
})

/**
 * The clock of the place, which is this machine. It is not asked by Effect's `Clock` or `Date.now`, which a process may
 * have set otherwise: all who share the place have to agree.
 */
export const now = (): number => new Date().getTime()

// Above all that the app and the user have seen, also where the app's file has been put back.
const nextNumber = (app: App, { departed, generation }: User): number => Math.max(app.number, generation, departed) + 1

const entryOf = (number: number, user: User): Entry => ({
  number,
  userId: user.userId,
  activation: user.activation,
  isLoggedIn: user.isLoggedIn,
  isAnonymous: user.isAnonymous,
  ...(user.deviceId === undefined ? undefined : { deviceId: user.deviceId })
})

/** What a write makes of a user. */
export const changed = (app: App, before: User, write: Write): Change => {
  const number = nextNumber(app, before)
  const isNew = before.record === undefined
  const hasRecord = Option.isSome(write.record)
  const user: User = {
    version,
    userId: before.userId,
    generation: number,
    activation: write.makeCurrent ? number : isNew ? 0 : before.activation,
    position: isNew ? number : before.position,
    departed: before.departed,
    writtenAt: now(),
    isLoggedIn: hasRecord && write.isLoggedIn,
    isAnonymous: write.isAnonymous,
    ...(Option.isSome(write.deviceId) ? { deviceId: write.deviceId.value } : undefined),
    ...(hasRecord ? { record: write.record.value } : undefined)
  }
  return { user, entry: { ...entryOf(number, user), event: write.event } }
}

/** A user whose file says something else, which stays what is there of them. */
export const damaged = (app: App, userId: string, text: string): User => {
  const number = nextNumber(app, nobody(userId))
  return { ...nobody(userId), generation: number, position: number, record: text }
}

/** What a departure makes of a user. */
export const departed = (app: App, before: User): Change => {
  const number = nextNumber(app, before)
  const user = { ...before, departed: number, ...(before.record === undefined ? { writtenAt: now() } : undefined) }
  return { user, entry: entryOf(number, user) }
}

/** Whether the list says nothing of who became current last. */
export const isExhausted = ({ floor, recent }: App): boolean => recent.length === 0 && floor > 0

/** Who became current last, from all users. */
export const relisted = (app: App, users: ReadonlyArray<User>): App => ({
  ...app,
  ...latest(users.filter(({ isLoggedIn }) => isLoggedIn), 0)
})

// Added to the number of an app whose file was lost: users and departures whose files are gone have left none behind.
const beyondTheGone = 2 ** 32

/** What an app must have remembered, from its users and the name of its last log. */
export const rebuilt = (appId: string, users: ReadonlyArray<User>, lastLog: number): App => {
  const empty = emptyApp(appId)
  if (users.length === 0 && lastLog === 0) return empty
  const number = users.reduce((most, user) => Math.max(most, user.generation, user.departed), 0) + beyondTheGone
  const newest = users.toSorted((self, that) => that.generation - self.generation)
  const anonymous = newest.find(({ isAnonymous, record }) => isAnonymous && record !== undefined)
  const deviceId = newest.find((user) => user.deviceId !== undefined)?.deviceId
  return {
    ...relisted(empty, users),
    number,
    log: { name: lastLog + 1, end: 0, forgotten: number },
    ...(anonymous === undefined ? undefined : { anonymousUser: anonymous.userId }),
    ...(deviceId === undefined ? undefined : { deviceId })
  }
}

/** The name of an id as a file, also where upper and lower case are the same. */
export const nameOf = (id: string): string =>
  /^[a-z0-9_-]{1,64}$/.test(id) ? id : `~${createHash("sha256").update(JSON.stringify(id)).digest("hex")}`

const decodeVersion = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Struct({ version: Schema.Finite })))

/** What a text says, or none when it is something else. Fails with `NewerVersion` when a newer version wrote it. */
export const decode = <A>(schema: Schema.Codec<A, unknown>) => {
  const decoded = Schema.decodeUnknownOption(Schema.fromJsonString(schema))
  return (path: string, text: string): Effect.Effect<Option.Option<A>, TokenStoreError> => {
    const value = decoded(text)
    const head = Option.isSome(value) ? Option.none() : decodeVersion(text)
    return Option.isSome(head) && head.value.version > version
      ? Effect.fail(
        new TokenStoreError({ reason: { _tag: "NewerVersion", key: path, version: head.value.version } })
      )
      : Effect.succeed(value)
  }
}
