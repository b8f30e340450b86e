/**
 * What a confirmation or a reset is proved with, in the link of a mail or given to a function: good once, and for a while.
 */
import * as RealmError from "@effect-realm/protocol/RealmError"
import { ObjectId } from "bson"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { createHash, randomBytes, timingSafeEqual } from "node:crypto"
import { Database, type Filter } from "../Database.ts"
import type { DatabaseError } from "../DatabaseError.ts"
import type { LinkToken } from "../EmailAccounts.ts"

/** How long one is good. */
export const lifetime: Duration.Duration = Duration.minutes(30)

const Stored = Schema.Struct({
  _id: Schema.String,
  purpose: Schema.Literals(["confirm", "reset"]),
  email: Schema.String,
  identityId: Schema.String,
  hash: Schema.String,
  expiresAt: Schema.Date,
  /** Why it is not good any more, before its time. It stays until then, so that the log can tell. */
  ended: Schema.optionalKey(Schema.Literals(["used", "replaced", "not sent"]))
})

type Stored = typeof Stored.Type

const decode = Schema.decodeUnknownEffect(Schema.toType(Stored))

/** What one is good for. */
export type Purpose = Stored["purpose"]

/** Whose one is. */
export interface Account {
  readonly email: string
  readonly identityId: string
}

const sha256 = (token: Redacted.Redacted): Buffer => createHash("sha256").update(Redacted.value(token)).digest()

/** @param database where the server keeps what it knows of the app */
export const make = Effect.fnUntraced(function*(database: string) {
  const tokens = (yield* Database).collection({ database, collection: "email_tokens" })
  yield* tokens.createIndex({ identityId: 1 })

  // Why is for the log alone: whoever guesses learns nothing of the links there are.
  const refuse = Effect.fnUntraced(function*(
    purpose: Purpose,
    tokenId: string,
    why: string
  ): Effect.fn.Return<never, RealmError.AuthError> {
    yield* Effect.annotateLogs(Effect.logInfo(`link refused: ${why}`), { purpose, tokenId })
    return yield* RealmError.make("UserpassTokenInvalid", "userpass token is expired or invalid")
  })

  return {
    refuse,
    issue: Effect.fnUntraced(function*(
      purpose: Purpose,
      { email, identityId }: Account
    ): Effect.fn.Return<LinkToken, DatabaseError> {
      const millis = yield* Clock.currentTimeMillis
      yield* tokens.deleteMany({ identityId, expiresAt: { $lte: new Date(millis) } })
      const token = Redacted.make(randomBytes(64).toString("hex"))
      const tokenId = new ObjectId().toHexString()
      yield* tokens.insertOne({
        _id: tokenId,
        purpose,
        email,
        identityId,
        hash: sha256(token).toString("base64"),
        expiresAt: new Date(millis + Duration.toMillis(lifetime))
      })
      return { token, tokenId }
    }),
    /** Of two requests with one token, one has marked it as used. */
    spend: Effect.fnUntraced(function*(
      purpose: Purpose,
      { token, tokenId }: LinkToken
    ): Effect.fn.Return<Account, RealmError.AuthError | RealmError.RequestError | DatabaseError> {
      if (!/^[0-9a-f]{24}$/.test(tokenId) || !/^([0-9a-f]{2})+$/.test(Redacted.value(token))) {
        return yield* RealmError.make("BadRequest", "invalid token data")
      }
      const found = yield* tokens.findOne({ _id: tokenId })
      if (Option.isNone(found)) return yield* refuse(purpose, tokenId, "unknown")
      const stored = yield* Effect.orDie(decode(found.value))
      const now = yield* Clock.currentTimeMillis
      if (!timingSafeEqual(Buffer.from(stored.hash, "base64"), sha256(token))) {
        return yield* refuse(purpose, tokenId, "wrong token")
      }
      if (stored.purpose !== purpose) return yield* refuse(purpose, tokenId, `made to ${stored.purpose}`)
      if (stored.ended !== undefined) return yield* refuse(purpose, tokenId, stored.ended)
      if (stored.expiresAt.getTime() <= now) return yield* refuse(purpose, tokenId, "expired")
      const { matchedCount } = yield* tokens.updateOne(
        { _id: tokenId, ended: { $exists: false } },
        { $set: { ended: "used" } }
      )
      return matchedCount === 1 ? stored : yield* refuse(purpose, tokenId, "used")
    }),
    /** Those that match are good no more. */
    end: (filter: Filter, ended: NonNullable<Stored["ended"]>) =>
      tokens.updateMany({ ...filter, ended: { $exists: false } }, { $set: { ended } }),
    forget: (identityId: string) => tokens.deleteMany({ identityId })
  }
})
