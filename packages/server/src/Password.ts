/**
 * Passwords: hashed by scrypt, which costs memory as well as time, on libuv's thread pool, so that the event loop goes on
 * while hashes are made. How many are made at once is bounded, and with it the memory they take.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import { randomBytes, scrypt, timingSafeEqual } from "node:crypto"

// -----------------------------------------------------------------------------
// Model
// -----------------------------------------------------------------------------

const between = (minimum: number, maximum: number) =>
  Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

const check = Schema.decodeUnknownSync(Schema.Struct({
  cost: between(1, 20),
  blockSize: between(1, 32),
  parallelization: between(1, 16),
  concurrency: between(1, 64)
}))

const defaults = { cost: 15, blockSize: 8, parallelization: 3, concurrency: 4 }

/** How hard a hash is. One takes `128 * 2 ** cost * blockSize` bytes of memory while it is made. */
export interface Options {
  /** Binary logarithm of scrypt's N; 15 by default. */
  readonly cost?: number
  /** scrypt's r; 8 by default. */
  readonly blockSize?: number
  /** scrypt's p; 3 by default. */
  readonly parallelization?: number
  /** How many hashes are made at once; 4 by default, the size of libuv's pool. */
  readonly concurrency?: number
}

/** Longest password, in UTF-16 code units. */
export const maxLength = 128

interface Hash {
  readonly cost: number
  readonly blockSize: number
  readonly parallelization: number
  readonly salt: Buffer
  readonly key: Buffer
}

// -----------------------------------------------------------------------------
// Service
// -----------------------------------------------------------------------------

/**
 * Makes and checks password hashes.
 *
 * ```ts
 * import { Password } from "@effect-realm/server"
 * import { Effect, Redacted } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const passwords = yield* Password.Password
 *   const hash = yield* passwords.hash(Redacted.make("correct horse"))
 *   return yield* passwords.verify(Redacted.make("correct horse"), hash)
 * })
 *
 * await Effect.runPromise(Effect.provide(program, Password.layer({ cost: 4 }))) // => true
 * ```
 */
export class Password extends Context.Service<Password, {
  /**
   * A new salted hash of a password, which is not to be longer than {@link maxLength}. The text says how it was made
   * (`$scrypt$ln=15,r=8,p=3$salt$key`), so settings may change later.
   */
  readonly hash: (password: Redacted.Redacted) => Effect.Effect<string>
  /**
   * `true` when the hash was made of this password. Without a hash, and for a password beyond {@link maxLength}, the answer
   * is `false` after the same work, so that the time an answer takes does not tell whether there is an account.
   */
  readonly verify: (password: Redacted.Redacted, hash: string | undefined) => Effect.Effect<boolean>
}>()("@effect-realm/server/Password") {}

// -----------------------------------------------------------------------------
// Layers
// -----------------------------------------------------------------------------

const keyLength = 32
const empty = Redacted.make("")

const derive = (
  password: Redacted.Redacted,
  { blockSize, cost, parallelization, salt }: Omit<Hash, "key">
): Effect.Effect<Buffer> =>
  // A thread goes on whoever waits for it, and so does its place among those at work.
  Effect.uninterruptible(Effect.callback((resume) => {
    const N = 2 ** cost
    scrypt(
      Redacted.value(password).normalize("NFKC"),
      salt,
      keyLength,
      // Node refuses what would take more than 32 MiB unless told how much it may be.
      { N, r: blockSize, p: parallelization, maxmem: 256 * N * blockSize + 2 ** 20 },
      (error, key) => resume(error === null ? Effect.succeed(key) : Effect.die(error))
    )
  }))

const format = ({ blockSize, cost, key, parallelization, salt }: Hash): string =>
  `$scrypt$ln=${cost},r=${blockSize},p=${parallelization}$${salt.toString("base64url")}$${key.toString("base64url")}`

const pattern = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([\w-]+)\$([\w-]+)$/

const parse = (hash: string): Hash | undefined => {
  const match = pattern.exec(hash)
  return match === null ? undefined : {
    cost: Number(match[1]),
    blockSize: Number(match[2]),
    parallelization: Number(match[3]),
    salt: Buffer.from(match[4]!, "base64url"),
    key: Buffer.from(match[5]!, "base64url")
  }
}

/**
 * Hashing by scrypt. The defaults take 32 MiB and about a quarter of a second of one core each; tests set `cost: 4`.
 *
 * Throws a `SchemaError` that names the option when one is out of range.
 */
export const layer = (options: Options = {}): Layer.Layer<Password> => {
  const settings = { ...defaults, ...check(options) }
  return Layer.effect(
    Password,
    Effect.gen(function*() {
      const semaphore = yield* Semaphore.make(settings.concurrency)
      const absent: Hash = { ...settings, salt: randomBytes(16), key: Buffer.alloc(keyLength) }

      const hash = Effect.fnUntraced(function*(password: Redacted.Redacted) {
        const made = { ...settings, salt: randomBytes(16) }
        const key = yield* semaphore.withPermit(derive(password, made))
        return format({ ...made, key })
      })

      const verify = Effect.fnUntraced(function*(password: Redacted.Redacted, text: string | undefined) {
        // To normalise a text can take time by the square of its length: megabytes of accents would stop the server.
        const isTooLong = Redacted.value(password).length > maxLength
        const known = text === undefined || isTooLong ? undefined : parse(text)
        const expected = known ?? absent
        const key = yield* semaphore.withPermit(derive(isTooLong ? empty : password, expected))
        return timingSafeEqual(key, expected.key) && known !== undefined
      })

      return Password.of({ hash, verify })
    })
  )
}
