/**
 * Push messages (protocol section 10.1, server section 8.3): which devices of a user the app may write to, and how messages
 * get there. A registration is kept for each service, user and device until it is taken back, replaced, or its user deleted.
 */
import * as RealmError from "@effect-realm/protocol/RealmError"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Ref from "effect/Ref"
import * as Schema from "effect/Schema"
import { Accounts } from "./Accounts.ts"
import type { PushService } from "./AppDefinition.ts"
import { Database } from "./Database.ts"
import type { DatabaseError } from "./DatabaseError.ts"

// -----------------------------------------------------------------------------
// Model
// -----------------------------------------------------------------------------

/** A device that a service reaches. */
export interface Registration {
  /** 24 hex digits, those of the session that registered. Clients that say nothing of their device count as one device. */
  readonly deviceId: string
  /** What the platform knows the device by. */
  readonly token: Redacted.Redacted
  readonly registeredAt: Date
}

/** What a push message says. */
export const Message = Schema.Struct({
  title: Schema.optionalKey(Schema.String),
  body: Schema.optionalKey(Schema.String),
  /** For the program that gets it, not for who reads it. */
  data: Schema.optionalKey(Schema.Record(Schema.String, Schema.String))
})

/** What a push message says. */
export type Message = typeof Message.Type

/** A message on its way to one device. */
export interface Delivery {
  readonly service: string
  readonly userId: string
  readonly deviceId: string
  readonly token: Redacted.Redacted
  readonly message: Message
}

/** What became of a message: how many devices it was handed over for, and for how many it was not. */
export interface Sent {
  readonly delivered: number
  readonly failed: number
}

const Stored = Schema.Struct({
  service: Schema.String,
  userId: Schema.String,
  deviceId: Schema.String,
  token: Schema.String,
  registeredAt: Schema.Date
})

// -----------------------------------------------------------------------------
// Errors
// -----------------------------------------------------------------------------

/**
 * A message was not delivered to a device: `Unregistered` when its token reaches nobody any more, which takes the registration
 * away, and `Failed` for all else. `detail` is for the log and holds no token.
 *
 * ```ts
 * import { Push } from "@effect-realm/server"
 *
 * const error = new Push.PushDeliveryError({ reason: "Failed", detail: "the quota is used up" })
 * error.message // => "The push message was not delivered: the quota is used up."
 * ```
 */
export class PushDeliveryError
  extends Schema.TaggedError<PushDeliveryError>("@effect-realm/server/PushDeliveryError")("PushDeliveryError", {
    reason: Schema.Literals(["Unregistered", "Failed"]),
    detail: Schema.String
  })
{
  override get message(): string {
    return `The push message was not delivered: ${this.detail}.`
  }
}

// -----------------------------------------------------------------------------
// Delivery
// -----------------------------------------------------------------------------

/** How messages get to devices. */
export interface PushDelivery {
  readonly deliver: (delivery: Delivery) => Effect.Effect<void, PushDeliveryError>
}

/**
 * The way messages get to devices. A server takes the one that is provided to its layer; the default writes a line to the log,
 * without the token and without the message, and reaches no device.
 *
 * ```ts
 * import { Push } from "@effect-realm/server"
 * import { Effect, Layer } from "effect"
 *
 * // A program of yours asks Firebase here.
 * const delivery = Layer.succeed(Push.PushDelivery, {
 *   deliver: () => Effect.fail(new Push.PushDeliveryError({ reason: "Failed", detail: "out of order" }))
 * })
 * Layer.isLayer(delivery) // => true
 * ```
 */
export const PushDelivery: Context.Reference<PushDelivery> = Context.Reference<PushDelivery>(
  "@effect-realm/server/Push/PushDelivery",
  {
    defaultValue: (): PushDelivery => ({
      deliver: ({ deviceId, service, userId }) =>
        Effect.annotateLogs(
          Effect.logInfo("A push message goes no further than this log: provide a layer of PushDelivery."),
          { service, userId, deviceId }
        )
    })
  }
)

/**
 * The messages that {@link layerMemory} has taken.
 *
 * ```ts
 * import { Push } from "@effect-realm/server"
 * import { Effect } from "effect"
 *
 * const program = Push.Outbox.use(({ delivered }) => delivered)
 * await Effect.runPromise(Effect.provide(program, Push.layerMemory)) // => []
 * ```
 */
export class Outbox extends Context.Service<Outbox, {
  /** The oldest first. */
  readonly delivered: Effect.Effect<ReadonlyArray<Delivery>>
}>()("@effect-realm/server/Push/Outbox") {}

/**
 * Keeps messages in memory in place of delivering them, for tests.
 *
 * ```ts
 * import { Push } from "@effect-realm/server"
 * import { Effect, Redacted } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const { deliver } = yield* Push.PushDelivery
 *   const token = Redacted.make("token")
 *   yield* deliver({ service: "gcm", userId: "u1", deviceId: "d1", token, message: { title: "Hello" } })
 *   return (yield* (yield* Push.Outbox).delivered).map(({ message }) => message.title)
 * })
 * await Effect.runPromise(Effect.provide(program, Push.layerMemory)) // => ["Hello"]
 * ```
 */
export const layerMemory: Layer.Layer<Outbox> = Layer.effectContext(
  Effect.gen(function*() {
    const delivered = yield* Ref.make<ReadonlyArray<Delivery>>([])
    return Context.make(Outbox, Outbox.of({ delivered: Ref.get(delivered) })).pipe(
      Context.add(PushDelivery, {
        deliver: (delivery) => Ref.update(delivered, (all) => [...all, delivery])
      })
    )
  })
)

// -----------------------------------------------------------------------------
// Service
// -----------------------------------------------------------------------------

/**
 * The push services of one app. What names a service fails with `ServiceNotFound` when the app does not have it.
 *
 * ```ts
 * import { Accounts, Database, Push } from "@effect-realm/server"
 * import { Effect, Layer, Redacted } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const accounts = yield* Accounts.Accounts
 *   const identity = { id: "ann", providerType: "custom-function", providerId: "p", data: {} }
 *   const ann = yield* accounts.authenticate(identity, () => Effect.void)
 *   const push = yield* Push.Push
 *   const of = { service: "gcm", userId: ann.id }
 *   yield* push.register({ ...of, deviceId: "5f0000000000000000000001", token: Redacted.make("token of a phone") })
 *   return yield* push.send({ ...of, message: { title: "Your tea is here" } })
 * })
 *
 * const layer = Push.layer({ database: "users", services: [{ name: "gcm" }] }).pipe(
 *   Layer.provide(Push.layerMemory),
 *   Layer.provideMerge(Accounts.layer({ database: "users" })),
 *   Layer.provide(Database.layerMemory)
 * )
 * await Effect.runPromise(Effect.provide(program, layer)) // => { delivered: 1, failed: 0 }
 * ```
 */
export class Push extends Context.Service<Push, {
  /**
   * Registers a device of a user, in place of what it had registered before and of whoever had this token. Fails with
   * `InvalidParameter` when the token is empty or has more than 4096 characters, with `InvalidSession` when the user is gone.
   */
  readonly register: (options: {
    readonly service: string
    readonly userId: string
    readonly deviceId: string
    readonly token: Redacted.Redacted
  }) => Effect.Effect<
    void,
    RealmError.ServiceError | RealmError.RequestError | RealmError.SessionError | DatabaseError
  >
  /** Takes the registration of a device back; one that has none keeps none. */
  readonly deregister: (options: {
    readonly service: string
    readonly userId: string
    readonly deviceId: string
  }) => Effect.Effect<void, RealmError.ServiceError | DatabaseError>
  /** The devices that a user has registered, in the order they did. */
  readonly registrations: (options: {
    readonly service: string
    readonly userId: string
  }) => Effect.Effect<ReadonlyArray<Registration>, RealmError.ServiceError | DatabaseError>
  /**
   * Sends a message to every device of a user, by {@link PushDelivery}. What fails for one device is logged and counted, and
   * keeps it from no other.
   */
  readonly send: (options: {
    readonly service: string
    readonly userId: string
    readonly message: Message
  }) => Effect.Effect<Sent, RealmError.ServiceError | DatabaseError>
  /** Forgets the devices of a user who is deleted. */
  readonly removeAll: (userId: string) => Effect.Effect<void, DatabaseError>
}>()("@effect-realm/server/Push") {}

// -----------------------------------------------------------------------------
// Layers
// -----------------------------------------------------------------------------

const maxToken = 4096

const checkToken = (token: string): Effect.Effect<void, RealmError.RequestError> =>
  token === ""
    ? Effect.fail(RealmError.make("InvalidParameter", "'registrationToken' is a required string"))
    : token.length > maxToken
    ? Effect.fail(RealmError.make("InvalidParameter", `'registrationToken' can have at most ${maxToken} characters`))
    : Effect.void

const decodeStored = Schema.decodeUnknownEffect(Schema.toType(Stored))

/**
 * The registrations in the collection `push_registrations` of a database.
 *
 * @param options.database where the server keeps what it knows of the app
 * @param options.services the app's push services
 *
 * ```ts
 * import { Accounts, Database, Push } from "@effect-realm/server"
 * import { Effect, Layer } from "effect"
 *
 * const layer = Push.layer({ database: "users", services: [{ name: "gcm" }] }).pipe(
 *   Layer.provide(Accounts.layer({ database: "users" })),
 *   Layer.provide(Database.layerMemory)
 * )
 * const program = Push.Push.use((push) => push.registrations({ service: "apns", userId: "5b5cc113058429b7820af78e" }))
 * const error = await Effect.runPromise(Effect.flip(Effect.provide(program, layer)))
 * error._tag // => "ServiceError"
 * ```
 */
export const layer = (options: {
  readonly database: string
  readonly services: ReadonlyArray<PushService>
}): Layer.Layer<Push, DatabaseError, Accounts | Database> =>
  Layer.effect(
    Push,
    Effect.gen(function*() {
      const accounts = yield* Accounts
      const { deliver } = yield* PushDelivery
      const devices = (yield* Database).collection({
        database: options.database,
        collection: "push_registrations"
      })
      // One registration of a device and one owner of a token are the database's own promise, also between two processes.
      yield* devices.createIndex({ userId: 1, service: 1, deviceId: 1 }, { unique: true })
      yield* devices.createIndex({ service: 1, token: 1 }, { unique: true })

      const names = new Set(options.services.map(({ name }) => name))
      const known = (service: string): Effect.Effect<void, RealmError.ServiceError> =>
        names.has(service)
          ? Effect.void
          : Effect.fail(RealmError.make("ServiceNotFound", `service not found: '${service}'`))

      const register: Push["Service"]["register"] = Effect.fnUntraced(
        function*({ deviceId, service, token: redacted, userId }) {
          yield* known(service)
          const token = Redacted.value(redacted)
          yield* checkToken(token)
          const device = { userId, service, deviceId }
          const registeredAt = new Date(yield* Clock.currentTimeMillis)
          let isKept = false
          while (!isKept) {
            yield* devices.deleteMany({ service, token, $nor: [device] })
            isKept = yield* devices.updateOne(device, { $set: { token, registeredAt } }, { upsert: true }).pipe(
              Effect.as(true),
              // Somebody else registered the token, or this device, at the same moment: the last one has it.
              Effect.catchReason("DatabaseError", "DuplicateKey", () => Effect.succeed(false))
            )
          }
          // A user who was deleted meanwhile did not take this registration along.
          if ((yield* accounts.get(userId)) === undefined) {
            yield* devices.deleteMany({ userId })
            return yield* RealmError.make("InvalidSession", "invalid session: failed to find refresh token")
          }
        }
      )

      const registrations: Push["Service"]["registrations"] = Effect.fnUntraced(function*({ service, userId }) {
        yield* known(service)
        const found = yield* devices.find({ userId, service }, { sort: { registeredAt: 1, _id: 1 } })
        const stored = yield* Effect.orDie(Effect.forEach(found, (document) => decodeStored(document)))
        return stored.map(({ deviceId, registeredAt, token }) => ({
          deviceId,
          token: Redacted.make(token),
          registeredAt
        }))
      })

      const send: Push["Service"]["send"] = Effect.fnUntraced(function*({ message, service, userId }) {
        const found = yield* registrations({ service, userId })
        const outcomes = yield* Effect.forEach(found, ({ deviceId, token }) =>
          deliver({ service, userId, deviceId, token, message }).pipe(
            Effect.as(true),
            Effect.catchTag("PushDeliveryError", (error) =>
              Effect.gen(function*() {
                yield* Effect.annotateLogs(Effect.logWarning(error.message), { service, userId, deviceId })
                if (error.reason === "Unregistered") {
                  // Only if it is still this token: the device may have registered another one meanwhile.
                  yield* devices.deleteOne({ userId, service, deviceId, token: Redacted.value(token) })
                }
                return false
              }))
          ), { concurrency: 8 })
        const delivered = outcomes.filter((isDelivered) =>
          isDelivered
        ).length
        return { delivered, failed: outcomes.length - delivered }
      })

      return Push.of({
        register: (options) =>
          Effect.uninterruptible(register(options)),
        deregister: ({ deviceId, service, userId }) =>
          Effect.andThen(known(service), Effect.asVoid(devices.deleteOne({ userId, service, deviceId }))),
        registrations,
        send,
        removeAll: (userId) => Effect.asVoid(devices.deleteMany({ userId }))
      })
    })
  )
