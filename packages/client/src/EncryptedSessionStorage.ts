/**
 * A place for sessions that keeps them encrypted in another place: whoever reads the database, its backups or its disk
 * learns no token, no profile and no custom data. Ids of apps, users and devices stay readable, and so does who is
 * logged in.
 *
 * Each app has a key of its own, derived from one secret. A record is bound to its app and its user, so that nobody who
 * can write to the place makes one user of another. (An older record of the same user can be put back.)
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { TokenStoreError } from "./ClientError.ts"
import * as Identifier from "./internal/stores/identifier.ts"
import * as LastRead from "./internal/stores/lastRead.ts"
import * as Seal from "./internal/stores/seal.ts"
import { type Row, SessionStorage } from "./SessionStorage.ts"
import type { SessionKey } from "./TokenStore.ts"

// -----------------------------------------------------------------------------
// Model
// -----------------------------------------------------------------------------

/** What sessions are encrypted with. */
export interface Options extends Seal.Keys {
  /**
   * Whether records that are not encrypted are read, too: while a place is moved from plain text. Each is encrypted when
   * it is written next. Whoever can write to the place can then put a session of their own there. `false` when nothing is
   * said.
   */
  readonly readPlainText?: boolean
}

// -----------------------------------------------------------------------------
// Constructors
// -----------------------------------------------------------------------------

const recordOf = ({ appId, userId }: SessionKey): Seal.Purpose => ({
  name: `session/${Identifier.written(appId)}/${Identifier.written(userId)}`,
  key: ["app", appId],
  text: ["record", appId, userId]
})

const eventOf = (key: SessionKey): Seal.Purpose => ({ ...recordOf(key), text: ["event", key.appId, key.userId] })

/**
 * Encrypts what is written to a storage, and decrypts what is read from it.
 *
 * Fails with `Misconfigured` when a key is shorter than 32 bytes or not Base64, and in pages without `crypto.subtle`.
 *
 * @param storage where the sessions are kept
 * @param options.key the secret: 32 random bytes or more in Base64
 * @param options.oldKeys secrets of earlier; what they have encrypted is read, and encrypted anew when it is written next
 *
 * ```ts
 * import * as EncryptedSessionStorage from "@effect-realm/client/EncryptedSessionStorage"
 * import { SessionStorage } from "@effect-realm/client"
 * import { Effect, Redacted } from "effect"
 *
 * const key = Redacted.make("bm90IGEgc2VjcmV0LCBzaW5jZSBpdCBpcyBwcmludGVkIGhlcmU=")
 * const program = Effect.gen(function*() {
 *   const plain = yield* SessionStorage.SessionStorage
 *   const storage = yield* EncryptedSessionStorage.make(plain, { key })
 *   return yield* storage.app("shop-abcde")
 * })
 * const app = await Effect.runPromise(Effect.provide(program, SessionStorage.layerMemory))
 * app.recent // => []
 * ```
 */
export const make = Effect.fnUntraced(function*(
  storage: SessionStorage["Service"],
  options: Options
): Effect.fn.Return<SessionStorage["Service"], TokenStoreError> {
  const sealer = yield* Seal.make(options)
  const open = (purpose: Seal.Purpose, text: string): Effect.Effect<string, TokenStoreError> =>
    options.readPlainText === true && !Seal.isSealed(text) ? Effect.succeed(text) : sealer.open(purpose, text)
  // Every call of a user reads the record, and to decrypt it takes longer than all the rest of that.
  const lastRead = LastRead.make<string>()
  const openAgain = (purpose: Seal.Purpose, text: string): Effect.Effect<string, TokenStoreError> => {
    const known = lastRead.recall(purpose.name, text)
    return known === undefined
      ? Effect.map(open(purpose, text), (said) => lastRead.note(purpose.name, text, said))
      : Effect.succeed(known)
  }
  const opened = (appId: string) => (row: Row): Row => {
    const purpose = recordOf({ appId, userId: row.userId })
    return { ...row, record: Effect.flatMap(row.record, (text) => openAgain(purpose, text)) }
  }
  return {
    ...storage,
    read: (key) =>
      Effect.map(storage.read(key), (reading) => ({ ...reading, row: Option.map(reading.row, opened(key.appId)) })),
    app: (appId) =>
      Effect.map(storage.app(appId), (reading) => ({ ...reading, recent: reading.recent.map(opened(appId)) })),
    rows: (appId) => Stream.map(storage.rows(appId), opened(appId)),
    write: Effect.fnUntraced(function*(key, write) {
      return yield* storage.write(key, {
        ...write,
        record: Option.isSome(write.record)
          ? Option.some(yield* sealer.seal(recordOf(key), write.record.value))
          : write.record,
        event: yield* sealer.seal(eventOf(key), write.event)
      })
    }),
    log: (appId, after) =>
      Effect.map(storage.log(appId, after), (page) => ({
        ...page,
        entries: page.entries.map((entry) => ({
          ...entry,
          event: Effect.flatMap(entry.event, (text) => open(eventOf({ appId, userId: entry.userId }), text))
        }))
      }))
  }
})

// -----------------------------------------------------------------------------
// Layers
// -----------------------------------------------------------------------------

/**
 * Sessions in the `SessionStorage` that is there, encrypted. Goes between `TokenStore.layerStorage` and the place.
 *
 * Fails like {@link make}. A record whose key was not given fails with `KeyMissing`, also at a log-in, and is left as it
 * is; one that was changed fails with `Damaged`, and the next log-in of its user replaces it.
 *
 * ```ts
 * import * as EncryptedSessionStorage from "@effect-realm/client/EncryptedSessionStorage"
 * import { SessionStorage, TokenStore } from "@effect-realm/client"
 * import { Effect, Layer, Redacted } from "effect"
 *
 * const key = Redacted.make("bm90IGEgc2VjcmV0LCBzaW5jZSBpdCBpcyBwcmludGVkIGhlcmU=")
 * const layer = TokenStore.layerStorage.pipe(
 *   Layer.provide(EncryptedSessionStorage.layer({ key })),
 *   Layer.provide(SessionStorage.layerMemory)
 * )
 * const users = TokenStore.TokenStore.use((store) => store.users("shop-abcde"))
 * await Effect.runPromise(Effect.provide(users, layer)) // => []
 * ```
 */
export const layer = (options: Options): Layer.Layer<SessionStorage, TokenStoreError, SessionStorage> =>
  // One for each place that it is provided with.
  Layer.fresh(Layer.effect(SessionStorage, Effect.flatMap(SessionStorage, (storage) => make(storage, options))))

/**
 * The same, its keys from the configuration: an environment variable, for instance.
 *
 * ```ts
 * import * as EncryptedSessionStorage from "@effect-realm/client/EncryptedSessionStorage"
 * import { SessionStorage, TokenStore } from "@effect-realm/client"
 * import { Config, ConfigProvider, Effect, Layer, Schema } from "effect"
 *
 * const layer = TokenStore.layerStorage.pipe(
 *   Layer.provide(EncryptedSessionStorage.layerConfig({
 *     key: Config.Redacted("SESSION_KEY"),
 *     // Separated by commas.
 *     oldKeys: Config.Array(Schema.RedactedFromValue(Schema.String), "OLD_SESSION_KEYS").pipe(Config.withDefault([]))
 *   })),
 *   Layer.provide(SessionStorage.layerMemory)
 * )
 * const env = { SESSION_KEY: "bm90IGEgc2VjcmV0LCBzaW5jZSBpdCBpcyBwcmludGVkIGhlcmU=" }
 * const users = TokenStore.TokenStore.use((store) => store.users("shop-abcde")).pipe(
 *   Effect.provide(layer),
 *   Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env })))
 * )
 * await Effect.runPromise(users) // => []
 * ```
 */
export const layerConfig = (
  options: Config.Wrap<Options>
): Layer.Layer<SessionStorage, TokenStoreError | Config.ConfigError, SessionStorage> =>
  Layer.unwrap(Effect.map(Config.unwrap(options), layer))
