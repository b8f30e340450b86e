import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as KeyValueStore from "effect/persistence/KeyValueStore"
import * as Redacted from "effect/Redacted"
import * as EncryptedKeyValueStore from "../src/EncryptedKeyValueStore.ts"
import * as TokenStore from "../src/TokenStore.ts"
import { changes, contract } from "./TokenStore.contract.ts"

/** A key of its own for each seed. */
const keyOf = (seed: number) => Redacted.make(Buffer.alloc(32, seed).toString("base64"))
const key = keyOf(1)

contract(
  "an encrypted key-value store in memory",
  TokenStore.layerKeyValueStore.pipe(
    Layer.provide(EncryptedKeyValueStore.layer({ key })),
    Layer.provide(Layer.fresh(KeyValueStore.layerMemory))
  ),
  { runs: 20 }
)

const appId = "shop-abcde"
const user = (userId: string): TokenStore.SessionKey => ({ appId, userId })
const [ann, bob] = [user("ann"), user("bob")]
const record = ({ userId }: TokenStore.SessionKey) => `effect-realm/session/${appId}/${userId}`

/** A test with a disk, and with processes that are given these keys, or none. */
const withDisk = <A, E>(
  test: (
    disk: KeyValueStore.KeyValueStore,
    as: (
      options?: EncryptedKeyValueStore.Options
    ) => <B, E2>(
      effect: Effect.Effect<B, E2, TokenStore.TokenStore>
    ) => Effect.Effect<B, E2 | TokenStore.TokenStoreError>
  ) => Effect.Effect<A, E>
) =>
  Effect.gen(function*() {
    const disk = yield* KeyValueStore.KeyValueStore
    const plain = Layer.succeed(KeyValueStore.KeyValueStore, disk)
    return yield* test(disk, (options) =>
      Effect.provide(
        Layer.fresh(Layer.provide(
          TokenStore.layerKeyValueStore,
          options === undefined ? plain : Layer.provide(EncryptedKeyValueStore.layer(options), plain)
        ))
      ))
  }).pipe(Effect.provide(Layer.fresh(KeyValueStore.layerMemory)), Effect.provide(Logger.layer([])))

const get = (key: TokenStore.SessionKey) => TokenStore.TokenStore.use((store) => store.get(key))
const users = TokenStore.TokenStore.use((store) => store.users(appId))
const reasonOf = <A, R>(effect: Effect.Effect<A, TokenStore.TokenStoreError, R>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason._tag)

describe("EncryptedKeyValueStore", () => {
  it.effect("leaves nothing of a session to be read, and never writes the same twice", () =>
    withDisk((disk, as) =>
      Effect.gen(function*() {
        const seen = new Set<string>()
        for (let times = 0; times < 10; times++) {
          yield* as({ key })(changes.logIn(ann, "tell-nobody"))
          const text = (yield* disk.get(record(ann))) ?? ""
          assert.notMatch(text, /tell-nobody|access|customData/)
          seen.add(text)
        }
        assert.strictEqual(seen.size, 10)
        for (const name of yield* disk.keys) assert.notMatch((yield* disk.get(name)) ?? "", /ann/)
      })
    ))

  it.effect("takes a record for no other user, and lets one that was changed cost one user until the next log-in", () =>
    withDisk((disk, as) =>
      Effect.gen(function*() {
        yield* as({ key })(Effect.andThen(changes.logIn(ann), changes.logIn(bob)))
        const anns = (yield* disk.get(record(ann))) ?? ""
        for (const text of [anns, `${anns.slice(0, 60)}A${anns.slice(61)}`, anns.slice(0, -9), "", "{"]) {
          yield* disk.set(record(bob), text)
          assert.strictEqual(yield* as({ key })(reasonOf(get(bob))), "Damaged")
          assert.deepStrictEqual(yield* as({ key })(users), ["ann"])
          assert.strictEqual(yield* disk.get(record(bob)), text, "reading repairs nothing")
          assert.isTrue(Option.isSome(yield* as({ key })(changes.logInAnew(bob))))
          assert.isTrue(Option.isSome(yield* as({ key })(get(bob))))
        }
      })
    ))

  it.effect("leaves all alone when it is given the wrong key, or none", () =>
    withDisk((disk, as) =>
      Effect.gen(function*() {
        yield* as({ key })(Effect.andThen(changes.logIn(ann), changes.logIn(bob)))
        const contents = Effect.flatMap(disk.keys, (keys) => Effect.forEach(keys.toSorted(), (key) => disk.get(key)))
        const before = yield* contents
        for (const process of [as({ key: keyOf(2) }), as()]) {
          for (
            const attempt of [Effect.asVoid(get(ann)), Effect.asVoid(changes.logInAnew(ann)), Effect.asVoid(users)]
          ) {
            assert.strictEqual(yield* process(reasonOf(attempt)), "KeyMissing")
          }
        }
        assert.deepStrictEqual(yield* contents, before)
        assert.deepStrictEqual(yield* as({ key })(users), ["ann", "bob"])
      })
    ))

  it.effect("reads with an old key, and writes with the new one", () =>
    withDisk((_, as) =>
      Effect.gen(function*() {
        yield* as({ key })(changes.logIn(ann))
        const rotated = as({ key: keyOf(2), oldKeys: [key] })
        assert.deepStrictEqual(yield* rotated(users), ["ann"])
        yield* rotated(changes.logIn(ann))
        assert.isTrue(Option.isSome(yield* as({ key: keyOf(2) })(get(ann))))
      })
    ))
})
