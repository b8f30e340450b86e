/**
 * What realm-web 2.0.1 keeps in `localStorage` (protocol section 12.1), read as sessions. Nothing of it is changed; which
 * users were taken over is written beside it, under a key of our own.
 */
import * as Token from "@effect-realm/protocol/Token"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { TokenStoreError } from "../../ClientError.ts"
import type { Profile, Session } from "../../Session.ts"
import { TokenStore } from "../../TokenStore.ts"
import * as Subject from "../subject.ts"
import * as Sessions from "./session.ts"

/** What of `localStorage` is used. */
export interface WebStorage {
  readonly getItem: (key: string) => string | null
  readonly setItem: (key: string, value: string) => void
}

/** A user as realm-web left them. */
interface Found {
  readonly userId: string
  /** The session, or what is wrong with the entry that it cannot be read from. */
  readonly session: Result.Result<Omit<Session, "generation" | "activation">, string>
}

// Made where they are used, so that a program that takes nobody over does not pay for them.
const decodeProfile = (text: string) =>
  Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Struct({
    type: Schema.String,
    identities: Schema.Array(Schema.Struct({ id: Schema.String, providerType: Schema.String })),
    data: Schema.optionalKey(Schema.Record(Schema.String, Schema.Json))
  })))(text)

const decodeIds = (text: string) =>
  Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Array(Schema.Unknown)))(text)

const noProfile: Profile = { type: "normal", identities: [], data: {} }

const isId = (id: unknown): id is string => typeof id === "string" && id !== ""

const ids = (text: string | null): Option.Option<ReadonlyArray<string>> =>
  text === null || text === ""
    ? Option.some([])
    : Option.map(decodeIds(text), (ids) => [...new Set(ids.filter(isId))])

const prefix = (appId: string): string => `realm-web:app(${appId}):`

/** The users of an app, the one who logged in last first; `None` when the list of them cannot be read. */
const read = (storage: WebStorage, appId: string, now: number): Option.Option<ReadonlyArray<Found>> => {
  const app = prefix(appId)
  const deviceId = storage.getItem(`${app}deviceId`)
  return Option.map(ids(storage.getItem(`${app}userIds`)), (ids) =>
    ids.map((userId) => {
      const item = (name: string): string | undefined => storage.getItem(`${app}user(${userId}):${name}`) || undefined
      return { userId, session: sessionOf(appId, userId, item, deviceId ?? Token.noDevice, now) }
    }))
}

const sessionOf = (
  appId: string,
  userId: string,
  item: (name: string) => string | undefined,
  deviceId: string,
  now: number
): Found["session"] => {
  const storedProfile = item("profile")
  const profile = storedProfile === undefined
    ? Option.some(noProfile)
    : Option.map(decodeProfile(storedProfile), (stored): Profile => ({ ...stored, data: stored.data ?? {} }))
  if (Option.isNone(profile)) return Result.fail("its profile cannot be read")
  const providerType = item("providerType") ?? profile.value.identities[0]?.providerType
  if (providerType === undefined) return Result.fail("it has no provider")
  const known = { appId, userId, providerType, profile: profile.value }
  const device = (id: string) => (id === Token.noDevice ? undefined : { deviceId: id })

  const refreshToken = item("refreshToken")
  if (refreshToken === undefined) return Result.succeed({ ...known, ...device(deviceId), customData: {} })
  const accessToken = item("accessToken")
  if (accessToken === undefined) return Result.fail("it has no access token")
  const claims = Token.read(Redacted.make(accessToken))
  if (Result.isFailure(claims)) return Result.fail("its access token cannot be read")
  if (claims.success.userId !== userId) return Result.fail("its access token is for another user")
  const { expiresAt, issuedAt, userData } = claims.success
  return Result.succeed({
    ...known,
    ...device(claims.success.deviceId === Token.noDevice ? deviceId : claims.success.deviceId),
    customData: userData,
    tokens: {
      accessToken: Redacted.make(accessToken),
      refreshToken: Redacted.make(refreshToken),
      // When it arrived nobody wrote down. Not before it was issued; and if that is in the future, clocks differ and all
      // that is known is that it is here now (law 8).
      receivedAt: Math.min(now, issuedAt * 1000),
      lifetime: (expiresAt - issuedAt) * 1000
    }
  })
}

const markerKey = (appId: string): string => `effect-realm:imported:app(${appId})`

/** The users who were taken over before; none when the note of it cannot be read. */
const imported = (storage: WebStorage, appId: string): ReadonlyArray<string> =>
  Option.getOrElse(ids(storage.getItem(markerKey(appId))), () => [])

const access = <A>(use: () => A): Effect.Effect<A, TokenStoreError> =>
  Effect.try({
    try: use,
    catch: (cause) =>
      new TokenStoreError({ reason: { _tag: "Unavailable", detail: "the storage of realm-web failed", cause } })
  })

/** Takes over the users of an app who were not taken over before, and answers who they are, the latest first. */
export const takeOver = (
  app: { readonly id: string; readonly baseUrl: string },
  storage: WebStorage
): Effect.Effect<Array<string>, TokenStoreError, TokenStore> =>
  Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    const appId = Subject.app(app)
    const found = yield* access(() => read(storage, appId, now))
    if (Option.isNone(found)) {
      yield* Effect.logWarning(`The users that realm-web kept for ${app.id} cannot be read: they have to log in again.`)
      return []
    }
    const before = yield* access(() => imported(storage, app.id))
    const entries = found.value.filter(({ userId }) => !before.includes(userId))
    if (entries.length === 0) return []

    const { currentUser } = yield* TokenStore.use((store) => store.app(app.id))
    const taken: Array<string> = []
    // The latest becomes current last, so that the order of who takes whose place is kept as well.
    for (const { session, userId } of entries.toReversed()) {
      if (Result.isFailure(session)) {
        yield* Effect.logWarning(`User ${userId} of realm-web cannot be taken over: ${session.failure}. Log in again.`)
        continue
      }
      const isLoggedIn = session.success.tokens !== undefined
      const { providerType } = session.success
      const committed = yield* Sessions.change(
        { appId: app.id, baseUrl: app.baseUrl, id: userId },
        (present) =>
          present === "Damaged" || Option.isSome(present)
            ? Option.none()
            : Option.some({
              session: Option.some(session.success),
              event: isLoggedIn ? { _tag: "LoggedIn", providerType } : { _tag: "LoggedOut", reason: "Requested" },
              ...(isLoggedIn && Option.isNone(currentUser) ? { makeCurrent: true as const } : undefined)
            })
      )
      if (Option.isSome(committed)) taken.unshift(userId)
    }
    // Noted at last: who is in the store by then is not taken over twice.
    yield* access(() =>
      storage.setItem(markerKey(app.id), JSON.stringify([...before, ...entries.map(({ userId }) => userId)]))
    )
    return taken
  })
