import { Password } from "@effect-realm/server"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"

// scrypt begins with HMAC, which fills a short key up with zeros: those at the end of a password do not count. And UTF-8
// has one replacement for every half of a surrogate pair.
const counted = (password: string): string => password.normalize("NFKC").toWellFormed().replace(/\0+$/, "")

const layer = Password.layer({ cost: 2, parallelization: 1 })

it.effect.prop(
  "a hash is of its own password and of no other",
  [Schema.String, Schema.String],
  ([password, other]) =>
    Effect.gen(function*() {
      const passwords = yield* Password.Password
      const hash = yield* passwords.hash(Redacted.make(password))
      assert.isTrue(yield* passwords.verify(Redacted.make(password), hash))
      assert.strictEqual(yield* passwords.verify(Redacted.make(other), hash), counted(password) === counted(other))
    }).pipe(Effect.provide(layer)),
  { arbitrary: { runs: 30 } }
)

it.effect("two hashes of one password differ, and neither shows it", () =>
  Effect.gen(function*() {
    const passwords = yield* Password.Password
    const [one, two] = yield* Effect.replicateEffect(passwords.hash(Redacted.make("correct horse")), 2)
    assert.notStrictEqual(one, two)
    assert.match(one ?? "", /^\$scrypt\$ln=2,r=8,p=1\$[\w-]{22}\$[\w-]{43}$/)
  }).pipe(Effect.provide(layer)))

it.effect("a hash stays good when the settings change", () =>
  Effect.gen(function*() {
    const make = Password.Password.use((passwords) => passwords.hash(Redacted.make("correct horse")))
    const hash = yield* Effect.provide(make, Password.layer({ cost: 4 }))
    const check = Password.Password.use((passwords) => passwords.verify(Redacted.make("correct horse"), hash))
    assert.isTrue(yield* Effect.provide(check, layer))
  }))

it.effect("no account and a damaged hash are no password at all", () =>
  Effect.gen(function*() {
    const passwords = yield* Password.Password
    assert.isFalse(yield* passwords.verify(Redacted.make(""), undefined))
    assert.isFalse(yield* passwords.verify(Redacted.make(""), ""))
    assert.isFalse(yield* passwords.verify(Redacted.make(""), "$scrypt$ln=2,r=8,p=1$AA"))
  }).pipe(Effect.provide(layer)))

it.effect("a password of megabytes of accents is refused like any other wrong one", () =>
  Effect.gen(function*() {
    const passwords = yield* Password.Password
    const hash = yield* passwords.hash(Redacted.make("correct horse"))
    // To normalise this would take more than an hour.
    const endless = Redacted.make(`a${"\u0301\u0323".repeat(4_000_000)}`)
    assert.isFalse(yield* passwords.verify(endless, hash))
    assert.isFalse(yield* passwords.verify(endless, undefined))
  }).pipe(Effect.provide(layer)))
