/**
 * The secrets that tokens are signed with: made at the first start, kept in the database, replaced by rotation. New tokens
 * are signed by the newest key; tokens of older keys stay good until their key is retired.
 */
import { ObjectId } from "bson"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { randomBytes } from "node:crypto"
import { Database } from "./Database.ts"
import type { DatabaseError } from "./DatabaseError.ts"
import * as SharedLookUp from "./internal/sharedLookUp.ts"

// -----------------------------------------------------------------------------
// Model
// -----------------------------------------------------------------------------

/** A key to sign and verify with; the secret itself stays inside WebCrypto. */
export interface SigningKey {
  /** The `kid` of the tokens signed by it. */
  readonly id: string
  readonly key: CryptoKey
}

const Stored = Schema.Struct({ _id: Schema.String, secret: Schema.String })

// -----------------------------------------------------------------------------
// Service
// -----------------------------------------------------------------------------

/** The keys of this server, shared by every process on the same database. */
export class SigningKeys extends Context.Service<SigningKeys, {
  /** The key to sign with: the newest. One that another process made is known within a minute. */
  readonly current: Effect.Effect<SigningKey>
  /**
   * A key by its `kid`, or `undefined` when there is none or it was retired. A key that another process made a moment
   * ago is found; one that another process retired is forgotten within a minute.
   */
  readonly get: (id: string) => Effect.Effect<SigningKey | undefined>
  /** Makes a new key and signs with it from now on. Answers its `kid`. */
  readonly rotate: Effect.Effect<string, DatabaseError>
  /** Ends a key: tokens signed by it are refused at once. When it was the last, a new one takes its place. */
  readonly retire: (id: string) => Effect.Effect<void, DatabaseError>
}>()("@effect-realm/server/SigningKeys") {}

// -----------------------------------------------------------------------------
// Layers
// -----------------------------------------------------------------------------

const reloadAfter = 60_000

const importKey = (stored: typeof Stored.Type): Effect.Effect<SigningKey> =>
  Effect.map(
    Effect.promise(() =>
      crypto.subtle.importKey(
        "raw",
        Buffer.from(stored.secret, "base64"),
        { name: "HMAC", hash: "SHA-256" },
        false,
        ["sign", "verify"]
      )
    ),
    (key) => ({ id: stored._id, key })
  )

/**
 * The keys in the collection `signing_keys` of the server's own database.
 *
 * ```ts
 * import { Database, SigningKeys } from "@effect-realm/server"
 * import { Effect, Layer } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const keys = yield* SigningKeys.SigningKeys
 *   const old = yield* keys.current
 *   const id = yield* keys.rotate
 *   return [(yield* keys.current).id === id, (yield* keys.get(old.id)) !== undefined]
 * })
 *
 * await Effect.runPromise(
 *   Effect.provide(program, Layer.provide(SigningKeys.layer, Database.layerMemory))
 * ) // => [true, true]
 * ```
 */
export const layer: Layer.Layer<SigningKeys, DatabaseError, Database> = Layer.effect(
  SigningKeys,
  Effect.gen(function*() {
    const collection = (yield* Database).collection({ database: "__effect_realm", collection: "signing_keys" })

    let keys = new Map<string, SigningKey>()
    let newest: SigningKey | undefined
    let loadedAt = 0

    const load = Effect.gen(function*() {
      // Identifiers are object ids, whose order is that of their making.
      const stored = yield* collection.find({}, { sort: { _id: 1 } })
      const found = new Map<string, SigningKey>()
      for (const document of stored) {
        const fields = yield* Effect.orDie(Schema.decodeUnknownEffect(Stored)(document))
        found.set(fields._id, keys.get(fields._id) ?? (yield* importKey(fields)))
      }
      keys = found
      newest = [...found.values()].at(-1)
      loadedAt = yield* Clock.currentTimeMillis
    })

    const rotate = Effect.gen(function*() {
      const id = new ObjectId().toHexString()
      yield* collection.insertOne({ _id: id, secret: randomBytes(32).toString("base64") })
      yield* load
      return id
    })

    const retire = Effect.fnUntraced(function*(id: string) {
      yield* collection.deleteOne({ _id: id })
      yield* load
      if (newest === undefined) yield* rotate
    })

    yield* load
    if (newest === undefined) yield* rotate

    // A token may name any key it likes. A look for that costs no more than the one for the session of a token that is good,
    // and all who ask at the same time share it.
    const look = yield* SharedLookUp.make(() => "keys", () => load)
    const reload = Effect.orDie(look(undefined))

    const fresh = Effect.flatMap(Clock.currentTimeMillis, (now) =>
      // A clock that was set back must not make them last for as long as it was set back by.
      Math.abs(now - loadedAt) >= reloadAfter ? reload : Effect.void)

    return SigningKeys.of({
      current: Effect.map(fresh, () => newest!),
      get: Effect.fnUntraced(function*(id) {
        yield* fresh
        if (!keys.has(id)) yield* reload
        return keys.get(id)
      }),
      rotate,
      retire
    })
  })
)
