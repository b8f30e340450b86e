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

const moved = <S extends Written>(session: S, by: number): S =>
  session.tokens === undefined
    ? session
    : { ...session, tokens: { ...session.tokens, receivedAt: session.tokens.receivedAt + by } }

/** What a text says of a user. */
const read = (key: SessionKey, text: string): Effect.Effect<Written, TokenStoreError> => {
  const record = decodeRecord(text)
  const isOurs = Option.exists(record, ({ session }) => session.appId === key.appId && session.userId === key.userId)
  return Option.isSome(record) && isOurs
    ? Effect.succeed(record.value.session)
    : Effect.fail(unreadable(nameOf(key), text, version, "it is not a record of this user"))
}

/**
 * Makes a decoder of records. It knows what the last texts said: every call of a user reads the record, and most find
 * the same one.
 */
export const decoder = (): (key: SessionKey, row: Row, text: string) => Effect.Effect<Session, TokenStoreError> => {
  const lastRead = LastRead.make<Written>()
  return (key, { activation, age, generation }, text) =>
    Effect.flatMap(
      lastRead(JSON.stringify([key.appId, key.userId]), text, () => read(key, text)),
      (session) =>
        Effect.map(
          Clock.currentTimeMillis,
          (now): Session => moved({ ...session, generation, activation }, now - Duration.toMillis(age))
        )
    )
}

export const isDamaged = (error: TokenStoreError): boolean => error.reason._tag === "Damaged"

// By hand: the schema would take as long as all the rest of a commit to look for what types have ruled out.
const plain = ({ appId, customData, deviceId, profile, providerType, tokens, userId }: Written) => ({
  appId,
  userId,
  tokens: tokens && {
    accessToken: Redacted.value(tokens.accessToken),
    refreshToken: Redacted.value(tokens.refreshToken),
    receivedAt: tokens.receivedAt,
    lifetime: tokens.lifetime
  },
  providerType,
  deviceId,
  profile,
  customData
})

/** The record of a session that is written now. */
export const encode = (session: Written): Effect.Effect<string> =>
  Effect.map(
    Clock.currentTimeMillis,
    (now) => JSON.stringify({ version, session: plain(moved(session, -now)) })
  )
