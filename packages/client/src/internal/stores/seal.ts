/**
 * What keeps a text secret and unchanged in a place that others can reach: AES-256-GCM of WebCrypto, under a key that is
 * derived for one purpose. A sealed text names its key, by an id that follows from the key itself: so a key that is not
 * there is told from a text that was changed, and no two keys can be taken for each other.
 */
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Base64Url from "effect/encoding/Base64Url"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { TokenStoreError } from "../../ClientError.ts"

/** The secrets that texts are sealed with. */
export interface Keys {
  /** Seals, and opens what it has sealed: 32 bytes or more, in Base64. */
  readonly key: Redacted.Redacted
  /** Only open what they have sealed, when `key` was theirs. */
  readonly oldKeys?: ReadonlyArray<Redacted.Redacted>
}

/** What a text is sealed for: it opens for nothing else. */
export interface Purpose {
  /** What it is called in errors. */
  readonly name: string
  /** What the key is derived for. */
  readonly key: ReadonlyArray<string>
  /** What the text is bound to. */
  readonly text: ReadonlyArray<string>
}

export interface Sealer {
  /** Fails with `Unavailable` when the platform cannot encrypt the text. */
  readonly seal: (purpose: Purpose, text: string) => Effect.Effect<string, TokenStoreError>
  /** Fails with `KeyMissing`, `NewerVersion`, or `Damaged` when the text was changed or was sealed for something else. */
  readonly open: (purpose: Purpose, sealed: string) => Effect.Effect<string, TokenStoreError>
}

const version = 1

const Sealed = Schema.fromJsonString(Schema.Struct({
  version: Schema.Literal(version),
  keyId: Schema.String,
  sealed: Schema.String
}))
const decodeSealed = Schema.decodeUnknownOption(Sealed)
const encodeSealed = Schema.encodeSync(Sealed)

const decodeVersion = Schema.decodeUnknownOption(
  Schema.fromJsonString(Schema.Struct({ version: Schema.Finite, keyId: Schema.String }))
)

/** Whether a text is sealed, by whatever key and version. */
export const isSealed = (text: string): boolean => Option.isSome(decodeVersion(text))

const leastBytes = 32
const nonceBytes = 12

const misconfigured = (detail: string): TokenStoreError =>
  new TokenStoreError({ reason: { _tag: "Misconfigured", detail } })

const utf8 = new TextEncoder()
const labelled = (label: ReadonlyArray<string>) => utf8.encode(JSON.stringify(["effect-realm", ...label]))

// The most that WebCrypto of Node.js derives a key for. The id of an app may be longer.
const mostInfo = 1024
const derivation = async (subtle: SubtleCrypto, label: ReadonlyArray<string>) => {
  const text = labelled(label)
  // Its hash instead, which is no other text.
  const info = text.length > mostInfo ? await subtle.digest("SHA-256", text) : text
  return { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info } as const
}

interface Key {
  readonly id: string
  readonly secret: CryptoKey
}

const importKey = (subtle: SubtleCrypto, name: string, secret: Redacted.Redacted) =>
  Effect.gen(function*(): Effect.fn.Return<Key, TokenStoreError> {
    const bytes = Result.getOrUndefined(Base64.decode(Redacted.value(secret).trim()))
    if (bytes === undefined || bytes.length < leastBytes) {
      return yield* Effect.fail(
        misconfigured(
          `${name} has to be ${leastBytes} random bytes or more in Base64, as "openssl rand -base64 32" prints them`
        )
      )
    }
    return yield* Effect.promise(async () => {
      const secret = await subtle.importKey("raw", new Uint8Array(bytes), "HKDF", false, ["deriveBits", "deriveKey"])
      const id = await subtle.deriveBits(await derivation(subtle, ["key id"]), secret, 48)
      return { id: Base64Url.encode(new Uint8Array(id)), secret }
    })
  })

/** Fails with `Misconfigured` when a key is none, or where there is no WebCrypto. */
export const make = Effect.fnUntraced(function*(keys: Keys): Effect.fn.Return<Sealer, TokenStoreError> {
  // Browsers have it in secure contexts only.
  const subtle: SubtleCrypto | undefined = globalThis.crypto?.subtle
  if (subtle === undefined) {
    return yield* Effect.fail(misconfigured("there is no crypto.subtle here; a page has it over https or on localhost"))
  }
  const current = yield* importKey(subtle, "the key", keys.key)
  const all = new Map<string, Key>()
  for (const [index, secret] of (keys.oldKeys ?? []).entries()) {
    const key = yield* importKey(subtle, `old key ${index + 1}`, secret)
    all.set(key.id, key)
  }
  all.set(current.id, current)

  // One for each app, which takes longer to derive than a text to seal.
  const derived = new Map<string, Promise<CryptoKey>>()
  const derive = async ({ secret }: Key, purpose: Purpose): Promise<CryptoKey> =>
    subtle.deriveKey(await derivation(subtle, purpose.key), secret, { name: "AES-GCM", length: 256 }, false, [
      "encrypt",
      "decrypt"
    ])
  const keyFor = (key: Key, purpose: Purpose): Promise<CryptoKey> => {
    const name = JSON.stringify([key.id, ...purpose.key])
    const known = derived.get(name)
    if (known !== undefined) return known
    const made = derive(key, purpose)
    derived.set(name, made)
    return made
  }
  const algorithm = (nonce: BufferSource, purpose: Purpose) =>
    ({ name: "AES-GCM", iv: nonce, additionalData: labelled(purpose.text) }) as const

  const damaged = ({ name }: Purpose, detail: string): Effect.Effect<never, TokenStoreError> =>
    Effect.fail(new TokenStoreError({ reason: { _tag: "Damaged", key: name, detail } }))

  return {
    seal: (purpose, text) =>
      Effect.tryPromise({
        try: async () => {
          const nonce = globalThis.crypto.getRandomValues(new Uint8Array(nonceBytes))
          const encrypted = await subtle.encrypt(
            algorithm(nonce, purpose),
            await keyFor(current, purpose),
            utf8.encode(text)
          )
          const sealed = new Uint8Array(nonceBytes + encrypted.byteLength)
          sealed.set(nonce)
          sealed.set(new Uint8Array(encrypted), nonceBytes)
          return encodeSealed({ version, keyId: current.id, sealed: Base64Url.encode(sealed) })
        },
        catch: (cause) =>
          new TokenStoreError({
            reason: { _tag: "Unavailable", detail: `${purpose.name} could not be encrypted: ${String(cause)}`, cause }
          })
      }),
    open: (purpose, text) =>
      Effect.suspend(() => {
        const found = decodeSealed(text)
        if (Option.isNone(found)) {
          const later = decodeVersion(text)
          return Option.isSome(later) && later.value.version > version
            ? Effect.fail(
              new TokenStoreError({
                reason: { _tag: "NewerVersion", key: purpose.name, version: later.value.version }
              })
            )
            : damaged(purpose, "it is not encrypted, or cut off")
        }
        const { keyId, sealed } = found.value
        const key = all.get(keyId)
        if (key === undefined) {
          return Effect.fail(new TokenStoreError({ reason: { _tag: "KeyMissing", key: purpose.name, keyId } }))
        }
        const bytes = Result.getOrElse(Base64Url.decode(sealed), () => new Uint8Array())
        return Effect.catch(
          Effect.tryPromise(async () => {
            const nonce = new Uint8Array(bytes.subarray(0, nonceBytes))
            const encrypted = new Uint8Array(bytes.subarray(nonceBytes))
            const opened = await subtle.decrypt(algorithm(nonce, purpose), await keyFor(key, purpose), encrypted)
            return new TextDecoder().decode(opened)
          }),
          () => damaged(purpose, "it was changed, or was written for another user")
        )
      })
  }
})
