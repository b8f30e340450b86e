/**
 * Sessions: one document per log-in, ended one by one (server section 3.4). A token is as good as the session behind it,
 * and that is looked up for every request: what was ended, disabled or deleted is refused at the very next one.
 */
import * as RealmError from "@effect-realm/protocol/RealmError"
import { noDevice, type TokenIdentity } from "@effect-realm/protocol/Token"
import { ObjectId } from "bson"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Accounts, type User } from "./Accounts.ts"
import { Database, type Filter } from "./Database.ts"
import type { DatabaseError } from "./DatabaseError.ts"

// -----------------------------------------------------------------------------
// Model
// -----------------------------------------------------------------------------

/** What a client said of its device at log-in: the first 256 characters of each text. */
export interface Device {
  readonly platform?: string
  readonly platformVersion?: string
  readonly sdkVersion?: string
  readonly appId?: string
  readonly appVersion?: string
}

/** A session. */
export interface Session {
  /** 24 hex digits. */
  readonly id: string
  readonly userId: string
  /** The identity it was opened with. */
  readonly identity: TokenIdentity
  /** 24 hex digits; zeros when the client said nothing of its device. */
  readonly deviceId: string
  readonly device: Device
  readonly createdAt: Date
  readonly expiresAt: Date
  readonly lastRefreshedAt: Date
}

/** A session that stands, and its user. */
export interface Active {
  readonly session: Session
  readonly user: User
}

const Text = Schema.optionalKey(Schema.String)

const Stored = Schema.Struct({
  _id: Schema.String,
  userId: Schema.String,
  identity: Schema.Struct({ id: Schema.String, providerType: Schema.String, providerId: Schema.String }),
  deviceId: Schema.String,
  device: Schema.Struct({
    platform: Text,
    platformVersion: Text,
    sdkVersion: Text,
    appId: Text,
    appVersion: Text
  }),
  createdAt: Schema.Date,
  expiresAt: Schema.Date,
  lastRefreshedAt: Schema.Date
})

// -----------------------------------------------------------------------------
// Service
// -----------------------------------------------------------------------------

/**
 * The sessions of one app.
 *
 * ```ts
 * import { AppDefinition, Database, RealmServer, Sessions } from "@effect-realm/server"
 * import { Effect, Layer } from "effect"
 * import { HttpRouter } from "effect/http"
 *
 * const app = AppDefinition.make({ appId: "shop-abcde" })
 * const server = Layer.provide(RealmServer.layer({ app }), [HttpRouter.layer, Database.layerMemory])
 *
 * const count = Sessions.Sessions.use((sessions) => sessions.endAll("5b5cc113058429b7820af78e"))
 * await Effect.runPromise(Effect.provide(count, server)) // => 0
 * ```
 */
export class Sessions extends Context.Service<Sessions, {
  /** Opens a session of a user. A device that does not know its id yet gets one. */
  readonly open: (options: {
    readonly userId: string
    readonly identity: TokenIdentity
    /** What the client says of its device, `deviceId` when it knows it; nothing when it said nothing. */
    readonly device: (Device & { readonly deviceId?: string }) | undefined
    readonly lifetime: Duration.Duration
  }) => Effect.Effect<Session, DatabaseError>
  /**
   * The session and its user. Fails with `InvalidSession` when the session was ended or is past its time, or the user is
   * gone, and with `UserDisabled` when the user is disabled.
   */
  readonly find: (options: {
    readonly sessionId: string
    readonly userId: string
  }) => Effect.Effect<Active, RealmError.SessionError | DatabaseError>
  /** Notes that the session was used for a new access token. */
  readonly touch: (sessionId: string) => Effect.Effect<void, DatabaseError>
  /** Ends one session; `false` when it had ended before. */
  readonly end: (sessionId: string) => Effect.Effect<boolean, DatabaseError>
  /** Ends all sessions of a user and answers how many there were. */
  readonly endAll: (userId: string) => Effect.Effect<number, DatabaseError>
  /** Ends all sessions that were opened with an API key and answers how many there were. */
  readonly endOfKey: (keyId: string) => Effect.Effect<number, DatabaseError>
  /**
   * Says each time that sessions of the user were ended in this process, to those who use one for longer than a request.
   * What other processes end is not told: look again now and then.
   */
  readonly endings: (userId: string) => Stream.Stream<void>
  /** The sessions of a user, the oldest first. */
  readonly list: (userId: string) => Effect.Effect<ReadonlyArray<Session>, DatabaseError>
}>()("@effect-realm/server/Sessions") {}

// -----------------------------------------------------------------------------
// Layers
// -----------------------------------------------------------------------------

const decodeStored = Schema.decodeUnknownEffect(Schema.toType(Stored))

const decode = (document: unknown): Effect.Effect<Session> =>
  Effect.orDie(Effect.map(decodeStored(document), ({ _id, ...fields }) => ({ id: _id, ...fields })))

const ended = (): RealmError.SessionError =>
  RealmError.make("InvalidSession", "invalid session: failed to find refresh token")

const longestText = 256

// Whoever logs in says what they like, and as much of it.
const described = ({ deviceId: _, ...texts }: Device & { readonly deviceId?: string } = {}): Device =>
  Object.fromEntries(
    Object.entries(texts).map(([name, text]) => [name, text.slice(0, longestText).toWellFormed()])
  )

const deviceIdOf = (device: { readonly deviceId?: string } | undefined): string => {
  if (device === undefined) return noDevice
  const { deviceId } = device
  return deviceId !== undefined && /^[0-9a-f]{24}$/.test(deviceId) && deviceId !== noDevice
    ? deviceId
    : new ObjectId().toHexString()
}

/**
 * The sessions in the collection `sessions` of a database.
 *
 * ```ts
 * import { Accounts, Database, Sessions } from "@effect-realm/server"
 * import { Duration, Effect, Layer } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const sessions = yield* Sessions.Sessions
 *   const session = yield* sessions.open({
 *     userId: "5b5cc113058429b7820af78e",
 *     identity: { id: "ann", providerType: "custom-function", providerId: "p" },
 *     device: undefined,
 *     lifetime: Duration.days(60)
 *   })
 *   return yield* sessions.end(session.id)
 * })
 *
 * const layer = Sessions.layer({ database: "users" }).pipe(
 *   Layer.provide(Accounts.layer({ database: "users" })),
 *   Layer.provide(Database.layerMemory)
 * )
 * await Effect.runPromise(Effect.provide(program, layer)) // => true
 * ```
 */
export const layer = (options: {
  readonly database: string
}): Layer.Layer<Sessions, DatabaseError, Database | Accounts> =>
  Layer.effect(
    Sessions,
    Effect.gen(function*() {
      const accounts = yield* Accounts
      const sessions = (yield* Database).collection({ database: options.database, collection: "sessions" })
      const ofKeys = { "identity.providerType": "api-key" }
      // By time as well: a program that logs in for every run of its own has thousands that have not run out.
      yield* sessions.createIndex({ userId: 1, expiresAt: 1 })
      yield* sessions.createIndex({ "identity.id": 1 }, { partial: ofKeys })

      /** Who wants to hear when a session ends, by user. */
      const listeners = new Map<string, Set<Queue.Enqueue<void>>>()

      const listen = (userId: string) =>
        Effect.tap(Queue.dropping<void>(1), (listener) =>
          Effect.sync(() => {
            listeners.set(userId, (listeners.get(userId) ?? new Set()).add(listener))
          }))

      const leave = (userId: string, listener: Queue.Enqueue<void>) =>
        Effect.sync(() => {
          const own = listeners.get(userId)
          own?.delete(listener)
          if (own?.size === 0) listeners.delete(userId)
        })

      const endings: Sessions["Service"]["endings"] = (userId) =>
        Stream.unwrap(Effect.map(
          Effect.acquireRelease(listen(userId), (listener) => leave(userId, listener)),
          Stream.fromQueue
        ))

      /** Ends the sessions that match. */
      const endThose = Effect.fnUntraced(function*(filter: Filter) {
        const ended = yield* sessions.find(filter, { projection: { userId: 1 } })
        const { deletedCount } = yield* sessions.deleteMany(filter)
        for (const { userId } of ended) {
          for (const listener of listeners.get(String(userId)) ?? []) Queue.offerUnsafe(listener, undefined)
        }
        return deletedCount
      })

      const open: Sessions["Service"]["open"] = Effect.fnUntraced(function*({ device, identity, lifetime, userId }) {
        const millis = yield* Clock.currentTimeMillis
        const createdAt = new Date(millis)
        const session: Session = {
          id: new ObjectId().toHexString(),
          userId,
          identity,
          deviceId: deviceIdOf(device),
          device: described(device),
          createdAt,
          expiresAt: new Date(millis + Duration.toMillis(lifetime)),
          lastRefreshedAt: createdAt
        }
        const { id, ...fields } = session
        // Sessions that ran out are never asked for again, so this is where they go.
        yield* sessions.deleteMany({ userId, expiresAt: { $lte: createdAt } })
        yield* sessions.insertOne({ _id: id, ...fields })
        return session
      })

      const find: Sessions["Service"]["find"] = Effect.fnUntraced(function*({ sessionId, userId }) {
        const user = yield* accounts.get(userId)
        if (user === undefined) return yield* ended()
        if (user.disabled) return yield* RealmError.make("UserDisabled", "user disabled")
        const found = yield* sessions.findOne({ _id: sessionId })
        if (Option.isNone(found)) return yield* ended()
        const session = yield* decode(found.value)
        const now = yield* Clock.currentTimeMillis
        if (session.userId !== userId || session.expiresAt.getTime() <= now) return yield* ended()
        return { session, user }
      })

      return Sessions.of({
        open,
        find,
        touch: Effect.fnUntraced(function*(sessionId) {
          const lastRefreshedAt = new Date(yield* Clock.currentTimeMillis)
          yield* sessions.updateOne({ _id: sessionId }, { $set: { lastRefreshedAt } })
        }),
        end: (sessionId) => Effect.map(endThose({ _id: sessionId }), (count) => count === 1),
        endAll: (userId) => endThose({ userId }),
        endOfKey: (keyId) => endThose({ ...ofKeys, "identity.id": keyId }),
        endings,
        list: (userId) =>
          Effect.flatMap(sessions.find({ userId }, { sort: { _id: 1 } }), (found) => Effect.forEach(found, decode))
      })
    })
  )
