/** A place for the sessions of one request, whose content is to become a cookie. */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import type { TokenStoreError } from "../../ClientError.ts"
import type { Row, SessionStorage, Write } from "../../SessionStorage.ts"
import type { SessionKey } from "../../TokenStore.ts"
import * as Memory from "./memoryStorage.ts"

const Content = Schema.fromJsonString(Schema.Array(Schema.Struct({
  appId: Schema.String,
  number: Schema.Int,
  users: Schema.Array(Schema.Struct({
    userId: Schema.String,
    generation: Schema.Int,
    activation: Schema.Int,
    writtenAt: Schema.Finite,
    record: Schema.String
  })),
  anonymousUser: Schema.OptionFromOptionalKey(Schema.String),
  deviceId: Schema.OptionFromOptionalKey(Schema.String)
})))

/** What is in a cookie: who is logged in. Nobody else is remembered from one request to the next. */
export type Content = ReadonlyArray<Memory.AppSeed>

export const decode: (text: string) => Option.Option<Content> = Schema.decodeUnknownOption(Content)
export const encode: (content: Content) => string = Schema.encodeSync(Content)

/**
 * A storage that begins with the content of a cookie.
 *
 * @param keep is told the new content before a write happens, which does not happen when it fails
 */
export const make = (
  clock: Clock.Clock,
  initial: Content,
  keep: (content: Content) => Effect.Effect<Effect.Effect<void>, TokenStoreError>
): SessionStorage["Service"] => {
  const memory = Memory.make(clock, initial)
  const inTurn = Semaphore.makeUnsafe(1).withPermit
  let content = initial

  const seedOf = ({ activation, age, generation, record, userId }: Row) =>
    Effect.map(record, (record): Memory.Seed => ({
      userId,
      generation,
      activation,
      writtenAt: clock.currentTimeMillisUnsafe() - Duration.toMillis(age),
      record
    }))

  /** The content after a write that happens. */
  const after = Effect.fnUntraced(function*({ appId, userId }: SessionKey, write: Write) {
    const app = yield* memory.app(appId)
    const { row } = yield* memory.read({ appId, userId })
    const generation = app.number + 1
    const users = yield* Effect.forEach(app.recent.filter((row) => row.userId !== userId), seedOf)
    if (Option.isSome(write.record) && write.isLoggedIn) {
      users.push({
        userId,
        generation,
        activation: write.makeCurrent ? generation : Option.match(row, {
          onNone: () => 0,
          onSome: ({ activation }) => activation
        }),
        writtenAt: clock.currentTimeMillisUnsafe(),
        record: write.record.value
      })
    }
    const others = content.filter((app) => app.appId !== appId)
    return users.length === 0 ? others : [...others, {
      appId,
      number: generation,
      users,
      anonymousUser: Option.filter(
        write.isAnonymous ? Option.some(userId) : app.anonymousUser,
        (userId) => users.some((user) => user.userId === userId)
      ),
      deviceId: Option.orElse(write.deviceId, () => app.deviceId)
    }]
  })

  return {
    ...memory,
    write: (key, write) =>
      inTurn(Effect.gen(function*() {
        const next = yield* after(key, write)
        const happens = yield* keep(next)
        const outcome = yield* memory.write(key, write)
        if (outcome._tag === "Committed") {
          content = next
          yield* happens
        }
        return outcome
      })),
    depart: (key) => inTurn(memory.depart(key))
  }
}
