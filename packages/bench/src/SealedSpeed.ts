/**
 * What it costs to keep sessions encrypted, in a store and in the cookies of pages: beside the same without encryption,
 * and beside WebCrypto alone, which encrypts and decrypts the same texts.
 */
import { SessionStorage, TokenStore } from "@effect-realm/client"
import * as CookieTokenStore from "@effect-realm/client/CookieTokenStore"
import * as EncryptedKeyValueStore from "@effect-realm/client/EncryptedKeyValueStore"
import * as EncryptedSessionStorage from "@effect-realm/client/EncryptedSessionStorage"
import * as SqlSessionStorage from "@effect-realm/stores/SqlSessionStorage"
import * as Effect from "effect/Effect"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as KeyValueStore from "effect/persistence/KeyValueStore"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { join } from "node:path"
import * as Place from "./Place.ts"
import * as Row from "./Row.ts"
import * as SampleSession from "./SampleSession.ts"
import type { Sizes } from "./Sizes.ts"
import * as StoreRows from "./StoreRows.ts"
import * as TemporaryFolder from "./TemporaryFolder.ts"

const secret = { key: Redacted.make("bm90IGEgc2VjcmV0LCBzaW5jZSBpdCBpcyBwcmludGVkIGhlcmU=") }

// -----------------------------------------------------------------------------
// WebCrypto
// -----------------------------------------------------------------------------

/** What a store hands to WebCrypto, for a session that is read and for one that is written. */
interface Texts {
  readonly read: ReadonlyArray<string>
  readonly written: ReadonlyArray<string>
}

/** WebCrypto alone: AES-256-GCM under one key, a new nonce each time. */
const webCrypto = (texts: Texts): Effect.Effect<StoreRows.Peer> =>
  Effect.promise(async () => {
    const key = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"])
    const [encoder, decoder] = [new TextEncoder(), new TextDecoder()]
    const encrypt = async (text: string) => {
      const iv = crypto.getRandomValues(new Uint8Array(12))
      return { iv, bytes: await crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, encoder.encode(text)) }
    }
    const sealed = await Promise.all(texts.read.map(encrypt))
    return {
      name: "WebCrypto alone",
      read: Effect.promise(async () => {
        for (const { bytes, iv } of sealed) {
          decoder.decode(await crypto.subtle.decrypt({ name: "AES-GCM", iv }, key, bytes))
        }
      }),
      write: Effect.promise(async () => {
        for (const text of texts.written) await encrypt(text)
      })
    }
  })

/** The texts of a session in a store that notes all that it reads and writes. */
const textsOf = Effect.fnUntraced(function*(store: StoreRows.Store, noted: Array<string>) {
  yield* SampleSession.logIn(store, "one")
  noted.splice(0)
  yield* SampleSession.logIn(store, "two")
  const written = noted.splice(0)
  yield* store.get(SampleSession.key("two"))
  return { written, read: noted.splice(0) }
}, Effect.orDie)

/** A `KeyValueStore` in memory that notes the values. */
const noting = (noted: Array<string>) =>
  Layer.effect(
    KeyValueStore.KeyValueStore,
    Effect.map(KeyValueStore.KeyValueStore, (store) =>
      KeyValueStore.makeStringOnly({
        ...store,
        get: (key) =>
          Effect.tap(store.get(key), (value) => Effect.sync(() => value !== undefined && noted.push(value))),
        set: (key, value) => Effect.andThen(Effect.sync(() => noted.push(value)), store.set(key, value))
      }))
  ).pipe(Layer.provide(KeyValueStore.layerMemory))

// -----------------------------------------------------------------------------
// Stores
// -----------------------------------------------------------------------------

/** Two stores over places of the same kind. */
interface Pair {
  readonly where: string
  readonly plain: Layer.Layer<TokenStore.TokenStore>
  readonly encrypted: Layer.Layer<TokenStore.TokenStore>
  readonly texts: Texts
}

const pairs = Effect.gen(function*(): Effect.fn.Return<ReadonlyArray<Pair>, never, Scope.Scope> {
  const folder = yield* TemporaryFolder.make
  const over = (storage: Layer.Layer<SessionStorage.SessionStorage>) => Layer.provide(TokenStore.layerStorage, storage)
  const sealed = Layer.orDie(EncryptedSessionStorage.layer(secret))
  const sqlite = (name: string) =>
    Layer.orDie(Layer.provide(SqlSessionStorage.layer, Place.sqlite(join(folder, `${name}.sqlite`))))
  const keyValue = TokenStore.layerKeyValueStore

  const values: Array<string> = []
  const ofValues = yield* textsOf(yield* StoreRows.open(Layer.provide(keyValue, noting(values))), values)
  const record = ofValues.written.reduce((longest, text) => text.length > longest.length ? text : longest, "")
  const ofSessions = { read: [record], written: [record, JSON.stringify({ _tag: "LoggedIn" })] }
  return [
    {
      where: "memory that processes could share",
      plain: over(SessionStorage.layerMemory),
      encrypted: over(Layer.provide(sealed, SessionStorage.layerMemory)),
      texts: ofSessions
    },
    {
      where: Place.name("Sqlite"),
      plain: over(sqlite("plain")),
      encrypted: over(Layer.provide(sealed, sqlite("encrypted"))),
      texts: ofSessions
    },
    {
      where: Place.name("KeyValueStore"),
      plain: Layer.provide(keyValue, KeyValueStore.layerMemory),
      encrypted: Layer.provide(
        keyValue,
        Layer.provide(Layer.orDie(EncryptedKeyValueStore.layer(secret)), KeyValueStore.layerMemory)
      ),
      texts: ofValues
    }
  ]
})

// -----------------------------------------------------------------------------
// Cookies
// -----------------------------------------------------------------------------

/** A page that is asked again and again with one cookie, and what its response is. */
const page = (
  content: Effect.Effect<unknown, unknown, TokenStore.TokenStore>,
  sessions: ReturnType<typeof CookieTokenStore.layer>
) => {
  const handler = HttpEffect.toWebHandler(
    Effect.as(content, HttpServerResponse.text("Hello")).pipe(Effect.provide(sessions), Effect.orDie)
  )
  return (cookie: string) => handler(new Request("https://shop.example", { headers: { cookie } }))
}

const cookieRows = Effect.fnUntraced(function*(
  { read: [record = ""] }: Texts,
  sizes: Sizes
): Effect.fn.Return<ReadonlyArray<Row.Row>> {
  const sessions = CookieTokenStore.layer(secret)
  const visitor = "visitor"
  const reading = page(TokenStore.TokenStore.use((store) => SampleSession.found(store, visitor)), sessions)
  const writing = page(TokenStore.TokenStore.use((store) => SampleSession.logIn(store, visitor)), sessions)
  const empty = HttpEffect.toWebHandler(Effect.succeed(HttpServerResponse.text("Hello")))
  const cookie = yield* Effect.promise(async () =>
    (await writing("")).headers.getSetCookie()[0]?.split(";", 1)[0] ?? ""
  )
  const alone = yield* webCrypto({ read: [record], written: [record] })
  const without = {
    name: "the same page without sessions",
    sample: Row.cost(
      Effect.promise(() => empty(new Request("https://shop.example", { headers: { cookie } }))),
      sizes.repetitions
    )
  }
  const row = (measured: string, request: () => Promise<unknown>, crypto: Effect.Effect<unknown>) =>
    Row.measure(sizes.rounds, {
      measured,
      unit: "µs",
      ours: { name: "ours", sample: Row.cost(Effect.promise(request), sizes.repetitions) },
      peers: [without, { name: alone.name, sample: Row.cost(crypto, sizes.repetitions) }]
    })
  return [
    yield* row("a page that reads its visitor's session, sessions in cookies", () => reading(cookie), alone.read),
    yield* row("a page that writes its visitor's session, sessions in cookies", () => writing(""), alone.write)
  ]
})

export const rows = Effect.fnUntraced(function*(
  sizes: Sizes
): Effect.fn.Return<ReadonlyArray<Row.Row>, never, Scope.Scope> {
  const all = yield* pairs
  const stores = yield* Effect.forEach(all, ({ encrypted, plain, texts, where }) =>
    Effect.gen(function*() {
      const peers = [
        yield* StoreRows.peer("ours, not encrypted", yield* StoreRows.open(plain)),
        yield* webCrypto(texts)
      ]
      return yield* StoreRows.rows(yield* StoreRows.open(encrypted), `${where}, encrypted`, peers, sizes)
    }))
  return [...stores.flat(), ...(yield* cookieRows(all[0]!.texts, sizes))]
})
