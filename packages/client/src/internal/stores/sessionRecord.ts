/**
 * The record of a session, as it is written to a place that several processes share.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type { TokenStoreError } from "../../ClientError.ts"
import { type Session, Uncounted } from "../../Session.ts"
import type { Row } from "../../SessionStorage.ts"
import type { SessionKey } from "../../TokenStore.ts"
import * as Identifier from "./identifier.ts"
import * as LastRead from "./lastRead.ts"
import { unreadable } from "./unreadable.ts"

/** The version of what is written here. A record of a later one is left alone. */
const version = 1

export const nameOf = ({ appId, userId }: SessionKey): string =>
  `session/${Identifier.written(appId)}/${Identifier.written(userId)}`

type Written = Omit<Session, "generation" | "activation">

// Times in a record count from its writing, which the place has timed: no two processes need clocks that agree (law 8).
const Record = Schema.fromJsonString(Schema.Struct({ version: Schema.Literal(version), session: Uncounted }))
const decodeRecord = Schema.decodeUnknownOption(Record)

/** The session that a text says, whoever it is of. */
const read = (text: string): Option.Option<Written> => Option.map(decodeRecord(text), ({ session }) => session)

/**
 * Makes a decoder of records. It knows what the last texts said: every call of a user reads the record, and most find
 * the same one.
 */
export const decoder = (): (key: SessionKey, row: Row, text: string) => Effect.Effect<Session, TokenStoreError> => {
  const lastRead = LastRead.make<Option.Option<Written>>()
  return (key, { activation, age, generation }, text) =>
    Clock.clockWith((clock) => {
      const name = `${key.appId}/${key.userId}`
      const written = Option.getOrUndefined(
        lastRead.recall(name, text) ?? lastRead.note(name, text, read(text))
      )
      if (written?.appId !== key.appId || written.userId !== key.userId) {
        return Effect.fail(unreadable(nameOf(key), text, version, "it is not a record of this user"))
      }
      const session = { ...written, generation, activation }
      const { tokens } = written
      if (tokens === undefined) return Effect.succeed(session)
      const writtenAt = clock.currentTimeMillisUnsafe() - Duration.toMillis(age)
      return Effect.succeed({ ...session, tokens: { ...tokens, receivedAt: tokens.receivedAt + writtenAt } })
    })
}

export const isDamaged = (error: TokenStoreError): boolean => error.reason._tag === "Damaged"

// By hand: the schema would take as long as all the rest of a commit to look for what types have ruled out.
const plain = ({ appId, customData, deviceId, profile, providerType, tokens, userId }: Written, writtenAt: number) => ({
  appId,
  userId,
  tokens: tokens && {
    accessToken: Redacted.value(tokens.accessToken),
    refreshToken: Redacted.value(tokens.refreshToken),
    receivedAt: tokens.receivedAt - writtenAt,
    lifetime: tokens.lifetime
  },
  providerType,
  deviceId,
  profile,
  customData
})

/** The record of a session that is written now. */
export const encode = (session: Written): Effect.Effect<string> =>
  Effect.map(Clock.currentTimeMillis, (now) => JSON.stringify({ version, session: plain(session, now) }))
