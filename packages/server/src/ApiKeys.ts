/**
 * API keys (protocol section 7, server section 2.6): secrets that log in for a program. A user's key logs in as its user;
 * a server key, made by whoever runs the app, has a user of its own. A secret is shown once, and kept as its hash.
 */
import * as RealmError from "@effect-realm/protocol/RealmError"
import { ObjectId } from "bson"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { createHash, randomInt } from "node:crypto"
import { Accounts, type User } from "./Accounts.ts"
import { Database } from "./Database.ts"
import type { DatabaseError } from "./DatabaseError.ts"
import { Sessions } from "./Sessions.ts"

// -----------------------------------------------------------------------------
// Model
// -----------------------------------------------------------------------------

/** Whose a key is: a user's, or the app's own. */
export type Owner = "server" | { readonly userId: string }

/** A key without its secret. */
export interface ApiKey {
  /** 24 hex digits. */
  readonly id: string
  /** Letters, digits, `_` and `-`; no other key of the owner has it. */
  readonly name: string
  readonly disabled: boolean
}

/** A key as it is answered once, when it is made. */
export interface NewApiKey extends ApiKey {
  /** 64 letters and digits. */
  readonly key: Redacted.Redacted
}

const Stored = Schema.Struct({
  _id: Schema.String,
  /** A user's id, or `server`. */
  owner: Schema.String,
  /** One of as many places as the owner has for keys. */
  place: Schema.Int,
  name: Schema.String,
  hash: Schema.String,
  disabled: Schema.Boolean,
  createdAt: Schema.Date
})

type Stored = typeof Stored.Type

// -----------------------------------------------------------------------------
// Service
// -----------------------------------------------------------------------------

/**
 * The API keys of one app. What is asked of a key that is not the owner's fails with `APIKeyNotFound`, as if there were
 * none.
 *
 * ```ts
 * import { ApiKeys, AppDefinition, Database, RealmServer } from "@effect-realm/server"
 * import { Effect, Layer, Redacted } from "effect"
 * import { HttpRouter } from "effect/http"
 *
 * const app = AppDefinition.make({ appId: "shop-abcde", authProviders: { apiKey: {} } })
 * const server = Layer.provide(RealmServer.layer({ app }), [HttpRouter.layer, Database.layerMemory])
 *
 * const program = Effect.gen(function*() {
 *   const keys = yield* ApiKeys.ApiKeys
 *   const { id, key } = yield* keys.create("server", "nightly-report")
 *   yield* keys.setDisabled("server", id, true)
 *   const refusal = yield* Effect.flip(keys.verify(key))
 *   return [Redacted.value(key).length, refusal._tag]
 * })
 * await Effect.runPromise(Effect.provide(program, server)) // => [64, "AuthError"]
 * ```
 */
export class ApiKeys extends Context.Service<ApiKeys, {
  /**
   * Makes a key. Fails with `InvalidParameter` or `BadRequest` when the name cannot be one, with `APIKeyAlreadyExists` when
   * the owner has a key of this name, with `BadRequest` when a user has 20 keys, or the app 100, and with `Forbidden` when
   * the user is anonymous.
   */
  readonly create: (
    owner: Owner,
    name: string
  ) => Effect.Effect<NewApiKey, RealmError.ApiKeyError | RealmError.RequestError | DatabaseError>
  /** The keys of an owner, in the order they were made. */
  readonly list: (owner: Owner) => Effect.Effect<ReadonlyArray<ApiKey>, DatabaseError>
  readonly get: (owner: Owner, id: string) => Effect.Effect<ApiKey, RealmError.ApiKeyError | DatabaseError>
  /** Disables a key, which ends the sessions it has opened, or enables it. Doing so twice changes nothing. */
  readonly setDisabled: (
    owner: Owner,
    id: string,
    disabled: boolean
  ) => Effect.Effect<void, RealmError.ApiKeyError | DatabaseError>
  /** Deletes a key, the sessions it has opened and the identity it was; with a server key goes its user. */
  readonly remove: (owner: Owner, id: string) => Effect.Effect<void, RealmError.ApiKeyError | DatabaseError>
  /** The key of a secret. Fails with `AuthError` when it is unknown, deleted or disabled, and does not say which. */
  readonly verify: (key: Redacted.Redacted) => Effect.Effect<ApiKey, RealmError.AuthError | DatabaseError>
  /** Whose a key is. Fails with `AuthError` when there is no such key. */
  readonly ownerOf: (id: string) => Effect.Effect<Owner, RealmError.AuthError | DatabaseError>
  /**
   * How a key stands. To be asked once it has opened a session or was linked: it may have been taken away meanwhile.
   */
  readonly standing: (id: string) => Effect.Effect<"Enabled" | "Disabled" | "Deleted", DatabaseError>
  /** Forgets the keys of a user who is about to be deleted. */
  readonly removeAll: (user: User) => Effect.Effect<void, DatabaseError>
}>()("@effect-realm/server/ApiKeys") {}

// -----------------------------------------------------------------------------
// Layers
// -----------------------------------------------------------------------------

/** The provider's name on the wire. */
export const providerType = "api-key"

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

const makeSecret = Effect.sync(() =>
  Redacted.make(Array.from({ length: 64 }, () => alphabet[randomInt(alphabet.length)]).join(""))
)

// 64 random characters cannot be guessed, so a fast hash keeps them as well as a slow one. Keys are found by their hash:
// how long that takes tells of the hash, from which nobody gets to a key.
const hash = (key: Redacted.Redacted): string => createHash("sha256").update(Redacted.value(key)).digest("base64")

const limits = { server: 100, user: 20 }

const fieldOf = (owner: Owner): string => owner === "server" ? owner : owner.userId

const ownerOfField = (field: string): Owner => field === "server" ? field : { userId: field }

const shown = ({ _id, disabled, name }: Stored): ApiKey => ({ id: _id, name, disabled })

const checkName = (name: string): Effect.Effect<void, RealmError.RequestError> => {
  if (name === "") return Effect.fail(RealmError.make("BadRequest", "'name' is a required string"))
  if (name.length > 256) return Effect.fail(RealmError.make("InvalidParameter", "can have at most 256 characters"))
  return /^[A-Za-z0-9_-]+$/.test(name) ? Effect.void : Effect.fail(
    RealmError.make("InvalidParameter", "can only contain ASCII letters, numbers, underscores, and hyphens")
  )
}

const isAnonymous = (user: User): boolean => user.identities.every((identity) => identity.providerType === "anon-user")

const notFound = (): RealmError.ApiKeyError => RealmError.make("APIKeyNotFound", "API key not found")

const unauthorized = (): RealmError.AuthError => RealmError.make("AuthError", "unauthorized")

const decodeStored = Schema.decodeUnknownEffect(Schema.toType(Stored))

const decode = (document: unknown): Effect.Effect<Stored> => Effect.orDie(decodeStored(document))

/**
 * The keys in the collection `api_keys` of a database.
 *
 * @param options.database where the server keeps what it knows of the app
 *
 * ```ts
 * import { Accounts, ApiKeys, Database, Sessions } from "@effect-realm/server"
 * import { Effect, Layer } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const keys = yield* ApiKeys.ApiKeys
 *   yield* keys.create("server", "import")
 *   yield* keys.create("server", "export")
 *   return (yield* keys.list("server")).map((key) => key.name)
 * })
 *
 * const layer = ApiKeys.layer({ database: "users" }).pipe(
 *   Layer.provide(Sessions.layer({ database: "users" })),
 *   Layer.provide(Accounts.layer({ database: "users" })),
 *   Layer.provide(Database.layerMemory)
 * )
 * await Effect.runPromise(Effect.provide(program, layer)) // => ["import", "export"]
 * ```
 */
export const layer = (options: {
  readonly database: string
}): Layer.Layer<ApiKeys, DatabaseError, Database | Accounts | Sessions> =>
  Layer.effect(
    ApiKeys,
    Effect.gen(function*() {
      const accounts = yield* Accounts
      const sessions = yield* Sessions
      const keys = (yield* Database).collection({ database: options.database, collection: "api_keys" })
      // That names are not taken twice, and places neither, is the database's own promise, also between two processes.
      yield* keys.createIndex({ owner: 1, place: 1 }, { unique: true })
      yield* keys.createIndex({ owner: 1, name: 1 }, { unique: true })
      yield* keys.createIndex({ hash: 1 }, { unique: true })

      const find = Effect.fnUntraced(function*(filter: { readonly [field: string]: unknown }) {
        const found = yield* keys.findOne(filter)
        return Option.isNone(found) ? undefined : yield* decode(found.value)
      })

      const stored = (owner: Owner) =>
        Effect.flatMap(
          keys.find({ owner: fieldOf(owner) }, { sort: { createdAt: 1, _id: 1 } }),
          (found) => Effect.forEach(found, decode)
        )

      const insert = Effect.fnUntraced(function*(owner: Owner, name: string, key: Redacted.Redacted) {
        const limit = owner === "server" ? limits.server : limits.user
        while (true) {
          const present = yield* stored(owner)
          if (present.some((other) => other.name === name)) {
            return yield* RealmError.make("APIKeyAlreadyExists", "API key with name already exists")
          }
          const taken = new Set(present.map(({ place }) => place))
          const place = Array.from({ length: limit }, (_, index) => index).find((index) => !taken.has(index))
          if (place === undefined) {
            return yield* RealmError.make("BadRequest", `there can be at most ${limit} API keys: delete one first`)
          }
          const made: Stored = {
            _id: new ObjectId().toHexString(),
            owner: fieldOf(owner),
            place,
            name,
            hash: hash(key),
            disabled: false,
            createdAt: new Date(yield* Clock.currentTimeMillis)
          }
          const isInserted = yield* keys.insertOne({ ...made }).pipe(
            Effect.as(true),
            // Another key took the name or the place at the same moment: look again.
            Effect.catchReason("DatabaseError", "DuplicateKey", () => Effect.succeed(false))
          )
          if (isInserted) return made
        }
      })

      const create: ApiKeys["Service"]["create"] = Effect.fnUntraced(function*(owner, name) {
        yield* checkName(name)
        if (owner !== "server") {
          const user = yield* accounts.get(owner.userId)
          if (user === undefined || isAnonymous(user)) {
            return yield* RealmError.make(
              "Forbidden",
              "an anonymous user has no API keys: link other credentials first"
            )
          }
        }
        const key = yield* makeSecret
        const made = yield* insert(owner, name, key)
        // A user who was deleted meanwhile did not take this key along.
        if (owner !== "server" && (yield* accounts.get(owner.userId)) === undefined) {
          yield* keys.deleteOne({ _id: made._id })
          return yield* RealmError.make("Forbidden", "the user was deleted")
        }
        return { ...shown(made), key }
      })

      const get: ApiKeys["Service"]["get"] = Effect.fnUntraced(function*(owner, id) {
        const found = yield* find({ _id: id, owner: fieldOf(owner) })
        return found === undefined ? yield* notFound() : shown(found)
      })

      // First the key, then what it has opened: a log-in that was too early for the one is seen by the other, and one that
      // is too late for the other asks how the key stands once its session does.
      const setDisabled: ApiKeys["Service"]["setDisabled"] = Effect.fnUntraced(function*(owner, id, disabled) {
        const { matchedCount } = yield* keys.updateOne({ _id: id, owner: fieldOf(owner) }, { $set: { disabled } })
        if (matchedCount === 0) return yield* notFound()
        if (disabled) yield* sessions.endOfKey(id)
      })

      const remove: ApiKeys["Service"]["remove"] = Effect.fnUntraced(function*(owner, id) {
        const { deletedCount } = yield* keys.deleteOne({ _id: id, owner: fieldOf(owner) })
        if (deletedCount === 0) return yield* notFound()
        yield* accounts.unlink({ id, providerType })
        yield* sessions.endOfKey(id)
      })

      const removeAll: ApiKeys["Service"]["removeAll"] = Effect.fnUntraced(function*(user) {
        yield* keys.deleteMany({ owner: user.id })
        // The user of a server key.
        for (const identity of user.identities) {
          if (identity.providerType === providerType) yield* keys.deleteOne({ _id: identity.id })
        }
      })

      const verify: ApiKeys["Service"]["verify"] = Effect.fnUntraced(function*(key) {
        const found = yield* find({ hash: hash(key) })
        return found === undefined || found.disabled ? yield* unauthorized() : shown(found)
      })

      const ownerOf: ApiKeys["Service"]["ownerOf"] = Effect.fnUntraced(function*(id) {
        const found = yield* find({ _id: id })
        return found === undefined ? yield* unauthorized() : ownerOfField(found.owner)
      })

      const standing: ApiKeys["Service"]["standing"] = Effect.fnUntraced(function*(id) {
        const found = yield* find({ _id: id })
        return found === undefined ? "Deleted" : found.disabled ? "Disabled" : "Enabled"
      })

      return ApiKeys.of({
        create: (owner, name) => Effect.uninterruptible(create(owner, name)),
        list: (owner) => Effect.map(stored(owner), (found) => found.map(shown)),
        get,
        setDisabled: (owner, id, disabled) => Effect.uninterruptible(setDisabled(owner, id, disabled)),
        remove: (owner, id) => Effect.uninterruptible(remove(owner, id)),
        verify,
        ownerOf,
        standing,
        removeAll
      })
    })
  )
