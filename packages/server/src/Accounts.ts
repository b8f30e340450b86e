/**
 * Users and the identities that prove them (server sections 3.1 to 3.3). A user is one document with its identities
 * inside, and a unique index over the identities: that one identity has one owner is the database's own promise, also
 * between two requests, or two processes, that arrive at the same moment.
 */
import * as RealmError from "@effect-realm/protocol/RealmError"
import { ObjectId } from "bson"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as RcMap from "effect/RcMap"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { Database } from "./Database.ts"
import type { DatabaseError } from "./DatabaseError.ts"

// -----------------------------------------------------------------------------
// Model
// -----------------------------------------------------------------------------

/** What a provider tells about its user, such as `{ email }` or `{ name }`. */
export type IdentityData = { readonly [name: string]: Schema.Json }

/** One way in which a user can prove who they are. */
export interface Identity {
  readonly id: string
  /** Such as `anon-user`, `local-userpass`, `custom-function` or `api-key`. */
  readonly providerType: string
  /** Id of the provider's configuration. */
  readonly providerId: string
  readonly data: IdentityData
}

/** A user. */
export interface User {
  /** 24 hex digits. */
  readonly id: string
  /** `server` for the user that a server key has for itself. */
  readonly type: "normal" | "server"
  /** In the order of linking, the first log-in's first. */
  readonly identities: ReadonlyArray<Identity>
  readonly disabled: boolean
  readonly createdAt: Date
  readonly lastAuthenticatedAt: Date
}

const Document = Schema.Record(Schema.String, Schema.Json)

const Stored = Schema.Struct({
  _id: Schema.String,
  type: Schema.Literals(["normal", "server"]),
  identities: Schema.Array(Schema.Struct({
    key: Schema.String,
    id: Schema.String,
    providerType: Schema.String,
    providerId: Schema.String,
    data: Document
  })),
  disabled: Schema.Boolean,
  createdAt: Schema.Date,
  lastAuthenticatedAt: Schema.Date
})

/**
 * The data of all identities of a user in one; of two that name the same thing, the one linked last counts. What a key is
 * called never hides what its owner is called.
 *
 * ```ts
 * import { Accounts } from "@effect-realm/server"
 *
 * const identity = { id: "1", providerType: "custom-function", providerId: "p", data: { name: "Ann" } }
 * const user: Accounts.User = {
 *   id: "5b5cc113058429b7820af78e",
 *   type: "normal",
 *   identities: [identity, { ...identity, id: "2", data: { name: "Anna", age: 4 } }],
 *   disabled: false,
 *   createdAt: new Date(0),
 *   lastAuthenticatedAt: new Date(0)
 * }
 * Accounts.data(user) // => { name: "Anna", age: 4 }
 * ```
 */
export const data = (user: User): IdentityData => {
  const isKey = ({ providerType }: Identity) => providerType === "api-key"
  const ordered = [...user.identities.filter(isKey), ...user.identities.filter((identity) => !isKey(identity))]
  return Object.assign({}, ...ordered.map((identity) => identity.data))
}

/** A new id for an identity of a provider that has none of its own: 24 hex digits, `-`, 24 letters. */
export const makeIdentityId: Effect.Effect<string> = Effect.sync(() => {
  const letters = crypto.getRandomValues(new Uint8Array(24))
  return `${new ObjectId().toHexString()}-${String.fromCharCode(...letters.map((byte) => 97 + byte % 26))}`
})

// -----------------------------------------------------------------------------
// Errors
// -----------------------------------------------------------------------------

/**
 * The reasons of an {@link AccountError}.
 *
 * - `IdTaken`: there is a user of this id, who has not all of these identities.
 * - `IdentityTaken`: one of the identities is that of another user, `userId`.
 */
export const AccountErrorReason = Schema.TaggedUnion({
  IdTaken: { userId: Schema.String },
  IdentityTaken: { userId: Schema.String, providerType: Schema.String, id: Schema.String }
})

/** One of the reasons of {@link AccountErrorReason}. */
export type AccountErrorReason = typeof AccountErrorReason.Type

/**
 * A user was not added, and nothing was changed.
 *
 * ```ts
 * import { Accounts } from "@effect-realm/server"
 *
 * const error = new Accounts.AccountError({ reason: { _tag: "IdTaken", userId: "5b5cc113058429b7820af78e" } })
 * error.message // => "The id 5b5cc113058429b7820af78e is that of a user with other identities. Delete that user first, or leave this one out."
 * ```
 */
export class AccountError
  extends Schema.TaggedError<AccountError>("@effect-realm/server/AccountError")("AccountError", {
    reason: AccountErrorReason
  })
{
  override get message(): string {
    const { reason } = this
    switch (reason._tag) {
      case "IdTaken":
        return `The id ${reason.userId} is that of a user with other identities. ` +
          "Delete that user first, or leave this one out."
      case "IdentityTaken":
        return `The ${reason.providerType} identity ${reason.id} is that of the user ${reason.userId}. ` +
          "Delete that user first, or leave this one out."
    }
  }
}

// -----------------------------------------------------------------------------
// Service
// -----------------------------------------------------------------------------

/**
 * The users of one app.
 *
 * ```ts
 * import { Accounts, Database } from "@effect-realm/server"
 * import { Effect, Layer } from "effect"
 *
 * const identity = { id: "ann", providerType: "custom-function", providerId: "p", data: { name: "Ann" } }
 *
 * const program = Effect.gen(function*() {
 *   const accounts = yield* Accounts.Accounts
 *   const first = yield* accounts.authenticate(identity, () => Effect.void)
 *   const second = yield* accounts.authenticate(identity, () => Effect.void)
 *   return first.id === second.id
 * })
 *
 * const accounts = Layer.provide(Accounts.layer({ database: "users" }), Database.layerMemory)
 * await Effect.runPromise(Effect.provide(program, accounts)) // => true
 * ```
 */
export class Accounts extends Context.Service<Accounts, {
  /** The user of this id, or `undefined`. */
  readonly get: (userId: string) => Effect.Effect<User | undefined, DatabaseError>
  /**
   * The user who owns the identity, made now when there is none. What the provider tells is brought up to date.
   *
   * @param onCreation runs once, before a new account exists; when it fails there is no account
   * @param type what a new account is; `normal` unless told otherwise
   */
  readonly authenticate: <E, R>(
    identity: Identity,
    onCreation: (user: User) => Effect.Effect<void, E, R>,
    type?: User["type"]
  ) => Effect.Effect<User, E | DatabaseError, R>
  /**
   * Adds a user who comes from elsewhere, with their id and all their identities, or not at all. `false`, and nothing is
   * changed, when they are here already, perhaps with more identities. What proves an identity is not looked after here, such
   * as the address of an email identity: `UserImport` does that.
   */
  readonly add: (user: User) => Effect.Effect<boolean, AccountError | DatabaseError>
  /** Like `authenticate`, for an identity that can be of this user only; `undefined` when there is no such user. */
  readonly authenticateAs: (userId: string, identity: Identity) => Effect.Effect<User | undefined, DatabaseError>
  /**
   * Adds an identity to a user, at the end. Adding one that the user already has changes nothing. Fails with
   * `AuthError` when another user owns it, with `InvalidSession` when the user is gone, and with an unnamed 500 when it is a
   * second email address (protocol section 3.5).
   */
  readonly link: (
    userId: string,
    identity: Identity
  ) => Effect.Effect<
    User,
    RealmError.AuthError | RealmError.SessionError | RealmError.UnknownServiceError | DatabaseError
  >
  /**
   * Takes an identity from its owner, if it has one, for good: an identity of this id must not come back. A `server` user
   * without any identity left is deleted.
   */
  readonly unlink: (identity: Pick<Identity, "id" | "providerType">) => Effect.Effect<void, DatabaseError>
  /** Enables or disables a user; `false` when there is none. */
  readonly setDisabled: (userId: string, disabled: boolean) => Effect.Effect<boolean, DatabaseError>
  /** Deletes a user; `false` when there is none. */
  readonly remove: (userId: string) => Effect.Effect<boolean, DatabaseError>
}>()("@effect-realm/server/Accounts") {}

// -----------------------------------------------------------------------------
// Layers
// -----------------------------------------------------------------------------

const keyOf = (identity: Pick<Identity, "id" | "providerType">): string => `${identity.providerType}:${identity.id}`

const toStored = (identity: Identity) => ({ key: keyOf(identity), ...identity })

const fromStored = ({ _id, identities, ...fields }: typeof Stored.Type): User => ({
  id: _id,
  identities: identities.map(({ key: _, ...identity }) => identity),
  ...fields
})

const decodeStored = Schema.decodeUnknownEffect(Schema.toType(Stored))

// A document of ours that does not fit was not written by us: nothing a caller could do about it.
const decode = (document: unknown): Effect.Effect<User> => Effect.orDie(Effect.map(decodeStored(document), fromStored))

// In no words that an old client takes for those of an expired token: it would refresh and link again without end.
const ofSomebodyElse = (): RealmError.AuthError =>
  RealmError.make("AuthError", "unauthorized: the identity belongs to another user")

/**
 * The users in the collection `users` of a database.
 *
 * @param options.database where the server keeps what it knows of the app; not a database of the app's own documents
 */
export const layer = (options: { readonly database: string }): Layer.Layer<Accounts, DatabaseError, Database> =>
  Layer.effect(
    Accounts,
    Effect.gen(function*() {
      const users = (yield* Database).collection({ database: options.database, collection: "users" })
      yield* users.createIndex({ "identities.key": 1 }, { unique: true })

      const locks = yield* RcMap.make({ lookup: (_key: string) => Semaphore.make(1) })
      const withLock = (key: string) => <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
        Effect.scopedWith((scope) =>
          RcMap.get(locks, key).pipe(
            Scope.provide(scope),
            Effect.flatMap((semaphore) => semaphore.withPermit(effect))
          )
        )

      const now = Effect.map(Clock.currentTimeMillis, (millis) => new Date(millis))

      const find = Effect.fnUntraced(function*(filter: { readonly [field: string]: unknown }) {
        const found = yield* users.findOne(filter)
        return Option.isNone(found) ? undefined : yield* decode(found.value)
      })

      const get = (userId: string) => find({ _id: userId })
      const owner = (identity: Pick<Identity, "id" | "providerType">) => find({ "identities.key": keyOf(identity) })

      const seen = Effect.fnUntraced(function*(user: User, identity: Identity) {
        const key = keyOf(identity)
        const lastAuthenticatedAt = yield* now
        // By its key and not by its position, which changes when an identity before it is taken away.
        yield* users.updateOne(
          { _id: user.id },
          { $set: { lastAuthenticatedAt, "identities.$[seen].data": identity.data } },
          { arrayFilters: [{ "seen.key": key }] }
        )
        return {
          ...user,
          lastAuthenticatedAt,
          identities: user.identities.map((known) => keyOf(known) === key ? identity : known)
        }
      })

      const prepared = (identity: Identity, type: User["type"]): Effect.Effect<User> =>
        Effect.map(now, (createdAt) => ({
          id: new ObjectId().toHexString(),
          type,
          identities: [identity],
          disabled: false,
          createdAt,
          lastAuthenticatedAt: createdAt
        }))

      const insert = (user: User): Effect.Effect<User, DatabaseError> => {
        const { id, identities, ...fields } = user
        return Effect.as(users.insertOne({ _id: id, identities: identities.map(toStored), ...fields }), user)
      }

      // The lock keeps the creation function from running twice for one user in this process. That there is one user
      // is the index's work, so another process may win all the same: then its user is the one.
      const authenticate = <E, R>(
        identity: Identity,
        onCreation: (user: User) => Effect.Effect<void, E, R>,
        type: User["type"] = "normal"
      ): Effect.Effect<User, E | DatabaseError, R> =>
        Effect.gen(function*() {
          const known = yield* owner(identity)
          if (known !== undefined) return yield* seen(known, identity)
          return yield* withLock(keyOf(identity))(Effect.gen(function*() {
            const made = yield* owner(identity)
            if (made !== undefined) return yield* seen(made, identity)
            const user = yield* prepared(identity, type)
            yield* onCreation(user)
            return yield* insert(user).pipe(
              Effect.catchReason("DatabaseError", "DuplicateKey", (_, error) =>
                Effect.flatMap(owner(identity), (winner) =>
                  winner === undefined ? Effect.fail(error) : Effect.succeed(winner)))
            )
          }))
        })

      const add = Effect.fnUntraced(function*(user: User) {
        const taken = Effect.fnUntraced(function*(error: DatabaseError) {
          const known = yield* get(user.id)
          if (known !== undefined) {
            const keys = new Set(known.identities.map(keyOf))
            return user.identities.every((identity) => keys.has(keyOf(identity)))
              ? false
              : yield* new AccountError({ reason: { _tag: "IdTaken", userId: user.id } })
          }
          for (const { id, providerType } of user.identities) {
            const other = yield* owner({ id, providerType })
            if (other === undefined) continue
            return yield* new AccountError({ reason: { _tag: "IdentityTaken", userId: other.id, providerType, id } })
          }
          // Whoever was in the way is gone by now.
          return yield* error
        })
        return yield* Effect.as(insert(user), true).pipe(
          Effect.catchReason("DatabaseError", "DuplicateKey", (_, error) => taken(error))
        )
      })

      const authenticateAs = Effect.fnUntraced(function*(userId: string, identity: Identity) {
        yield* users.updateOne(
          // A disabled user is about to be refused, and that leaves no trace.
          { _id: userId, disabled: false, "identities.key": { $ne: keyOf(identity) } },
          { $push: { identities: toStored(identity) } }
        )
        const user = yield* get(userId)
        return user === undefined ? undefined : yield* seen(user, identity)
      })

      const unlink = Effect.fnUntraced(function*(identity: Pick<Identity, "id" | "providerType">) {
        const key = keyOf(identity)
        const found = yield* users.findOneAndUpdate({ "identities.key": key }, { $pull: { identities: { key } } })
        if (Option.isSome(found)) {
          yield* users.deleteOne({ _id: found.value["_id"], type: "server", identities: { $size: 0 } })
        }
      })

      const link = Effect.fnUntraced(function*(userId: string, identity: Identity) {
        const key = keyOf(identity)
        const alone = identity.providerType === "local-userpass"
          ? { "identities.providerType": { $ne: identity.providerType } }
          : {}
        const result = yield* users.updateOne(
          { _id: userId, "identities.key": { $ne: key }, ...alone },
          { $push: { identities: toStored(identity) } }
        ).pipe(
          Effect.catchReason(
            "DatabaseError",
            "DuplicateKey",
            () => Effect.fail(ofSomebodyElse())
          )
        )
        const user = yield* get(userId)
        if (user === undefined) {
          return yield* RealmError.make("InvalidSession", "invalid session: failed to find refresh token")
        }
        if (result.matchedCount === 0 && !user.identities.some((known) => keyOf(known) === key)) {
          // Owned by somebody else, or merely one email address too many: the former is the graver answer.
          return yield* (yield* owner(identity)) === undefined
            ? new RealmError.UnknownServiceError({ detail: "unauthorized", status: 500 })
            : ofSomebodyElse()
        }
        return user
      })

      return Accounts.of({
        get,
        authenticate,
        add,
        authenticateAs,
        link,
        unlink,
        setDisabled: (userId, disabled) =>
          Effect.map(users.updateOne({ _id: userId }, { $set: { disabled } }), (result) => result.matchedCount === 1),
        remove: (userId) => Effect.map(users.deleteOne({ _id: userId }), (result) => result.deletedCount === 1)
      })
    })
  )
