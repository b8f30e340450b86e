/**
 * A `KeyValueStore` that keeps its values encrypted in another one: for sessions of one process, in the storage of a device
 * for instance. Keys stay readable, and with them the ids of apps and users.
 *
 * A value is bound to its key, so that nobody who can write to the store makes one user of another. (An older value of
 * the same key can be put back.) For sessions that processes share, `EncryptedSessionStorage` does the same.
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as KeyValueStore from "effect/persistence/KeyValueStore"
import type { TokenStoreError } from "./ClientError.ts"
import * as Seal from "./internal/stores/seal.ts"

// -----------------------------------------------------------------------------
// Model
// -----------------------------------------------------------------------------

/** What values are encrypted with. */
export interface Options extends Seal.Keys {}

// -----------------------------------------------------------------------------
// Constructors
// -----------------------------------------------------------------------------

const purposeOf = (key: string): Seal.Purpose => ({ name: key, key: ["key-value store"], text: ["value", key] })

/**
 * Encrypts what is written to a store, and decrypts what is read from it.
 *
 * Fails with `Misconfigured` when a key is shorter than 32 bytes or not Base64, and in pages without `crypto.subtle`. A
 * value that cannot be decrypted fails with a `KeyValueStoreError` whose `cause` is the `TokenStoreError`.
 *
 * @param store where the values are kept
 * @param options.key the secret: 32 random bytes or more in Base64
 * @param options.oldKeys secrets of earlier; what they have encrypted is read, and encrypted anew when it is written next
 *
 * ```ts
 * import * as EncryptedKeyValueStore from "@effect-realm/client/EncryptedKeyValueStore"
 * import { Effect, Redacted } from "effect"
 * import { KeyValueStore } from "effect/persistence"
 *
 * const key = Redacted.make("bm90IGEgc2VjcmV0LCBzaW5jZSBpdCBpcyBwcmludGVkIGhlcmU=")
 * const program = Effect.gen(function*() {
 *   const plain = yield* KeyValueStore.KeyValueStore
 *   const store = yield* EncryptedKeyValueStore.make(plain, { key })
 *   yield* store.set("greeting", "hello")
 *   return [yield* store.get("greeting"), (yield* plain.get("greeting"))?.includes("hello")]
 * })
 * await Effect.runPromise(Effect.provide(program, KeyValueStore.layerMemory)) // => ["hello", false]
 * ```
 */
export const make = Effect.fnUntraced(function*(
  store: KeyValueStore.KeyValueStore,
  options: Options
): Effect.fn.Return<KeyValueStore.KeyValueStore, TokenStoreError> {
  const { open, seal } = yield* Seal.make(options)
  const { clear, clearPrefix, keys, remove, size } = store
  const failure = (method: string, key: string) => (cause: TokenStoreError) =>
    new KeyValueStore.KeyValueStoreError({ method, key, message: cause.message, cause })
  return KeyValueStore.makeStringOnly({
    clear,
    clearPrefix,
    keys,
    remove,
    size,
    get: (key) =>
      Effect.flatMap(store.get(key), (text) =>
        text === undefined
          ? Effect.undefined
          : Effect.mapError(open(purposeOf(key), text), failure("get", key))),
    set: (key, value) =>
      Effect.flatMap(
        Effect.mapError(seal(purposeOf(key), value), failure("set", key)),
        (text) => store.set(key, text)
      )
  })
})

// -----------------------------------------------------------------------------
// Layers
// -----------------------------------------------------------------------------

/**
 * The `KeyValueStore` that is there, encrypted. Goes between `TokenStore.layerKeyValueStore` and the store.
 *
 * Fails like {@link make}. A record whose key was not given fails with `KeyMissing`, also at a log-in, and is left as it
 * is; one that was changed fails with `Damaged`, and the next log-in of its user replaces it.
 *
 * ```ts
 * import * as EncryptedKeyValueStore from "@effect-realm/client/EncryptedKeyValueStore"
 * import { TokenStore } from "@effect-realm/client"
 * import { Effect, Layer, Redacted } from "effect"
 * import { KeyValueStore } from "effect/persistence"
 *
 * const key = Redacted.make("bm90IGEgc2VjcmV0LCBzaW5jZSBpdCBpcyBwcmludGVkIGhlcmU=")
 * const layer = TokenStore.layerKeyValueStore.pipe(
 *   Layer.provide(EncryptedKeyValueStore.layer({ key })),
 *   Layer.provide(KeyValueStore.layerMemory)
 * )
 * const users = TokenStore.TokenStore.use((store) => store.users("shop-abcde"))
 * await Effect.runPromise(Effect.provide(users, layer)) // => []
 * ```
 */
export const layer = (
  options: Options
): Layer.Layer<KeyValueStore.KeyValueStore, TokenStoreError, KeyValueStore.KeyValueStore> =>
  // One for each store that it is provided with.
  Layer.fresh(Layer.effect(
    KeyValueStore.KeyValueStore,
    Effect.flatMap(KeyValueStore.KeyValueStore, (store) => make(store, options))
  ))

/**
 * The same, its keys from the configuration.
 *
 * ```ts
 * import * as EncryptedKeyValueStore from "@effect-realm/client/EncryptedKeyValueStore"
 * import { TokenStore } from "@effect-realm/client"
 * import { Config, ConfigProvider, Effect, Layer } from "effect"
 * import { KeyValueStore } from "effect/persistence"
 *
 * const layer = TokenStore.layerKeyValueStore.pipe(
 *   Layer.provide(EncryptedKeyValueStore.layerConfig({ key: Config.Redacted("SESSION_KEY") })),
 *   Layer.provide(KeyValueStore.layerMemory)
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
): Layer.Layer<KeyValueStore.KeyValueStore, TokenStoreError | Config.ConfigError, KeyValueStore.KeyValueStore> =>
  Layer.unwrap(Effect.map(Config.unwrap(options), layer))
