/** A tab of the bench, which measures the stores of browsers beside what the browser itself does. */
import { TokenStore } from "@effect-realm/client"
import * as IndexedDbSessionStorage from "@effect-realm/stores/IndexedDbSessionStorage"
import * as LocalStorageSessionStorage from "@effect-realm/stores/LocalStorageSessionStorage"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as Row from "../Row.ts"
import type { Sizes } from "../Sizes.ts"

export type Kind = "IndexedDB" | "localStorage"

const stores = {
  IndexedDB: IndexedDbSessionStorage.layer,
  localStorage: LocalStorageSessionStorage.layer
}

const kind: Kind = location.hash === "#localStorage" ? "localStorage" : "IndexedDB"
const runtime = ManagedRuntime.make(Layer.provide(TokenStore.layerStorage, stores[kind]))

// As long as those of App Services.
const token = (name: string) => Redacted.make(name.padEnd(480, "x"))
const key = { appId: "shop-abcde", userId: "636aba021728b6c1c03db7f9" }
const [accessToken, refreshToken] = [token("access"), token("refresh")]

let generation = 0

/** Writes the session of the one user anew. */
const write = Effect.orDie(TokenStore.TokenStore.use((store) =>
  Effect.map(
    store.commit(key, {
      expected: generation,
      session: Option.some({
        ...key,
        tokens: { accessToken, refreshToken, receivedAt: Date.now(), lifetime: 1_800_000 },
        providerType: "local-userpass",
        profile: { type: "normal", identities: [], data: {} },
        customData: {}
      }),
      event: { _tag: "LoggedIn", providerType: "local-userpass" },
      makeCurrent: true
    }),
    (outcome) => {
      if (outcome._tag === "Committed") generation = outcome.generation
    }
  )
))

let writes = 0
const record = "x".repeat(1200)

interface Bare {
  readonly name: string
  readonly read: () => Promise<unknown>
  readonly write: () => Promise<unknown>
}

const bareLocalStorage: Bare = {
  name: "`localStorage` alone",
  read: async () => localStorage.getItem("bare"),
  write: async () => localStorage.setItem("bare", record + writes++)
}

/** One object store and one transaction each, which is on the disk when it ends. */
const bareIndexedDb = async (): Promise<Bare> => {
  const request = indexedDB.open("bare")
  request.addEventListener("upgradeneeded", () => request.result.createObjectStore("records"))
  await new Promise((resolve) => request.addEventListener("success", resolve))
  const ends = (mode: IDBTransactionMode, use: (records: IDBObjectStore) => void) =>
    new Promise((resolve) => {
      const transaction = request.result.transaction("records", mode, { durability: "strict" })
      transaction.addEventListener("complete", resolve)
      use(transaction.objectStore("records"))
    })
  return {
    name: "IndexedDB alone",
    read: () => ends("readonly", (records) => records.get("bare")),
    write: () => ends("readwrite", (records) => records.put(record, "bare"))
  }
}

const channel = new BroadcastChannel("bench")
// A channel is no window: it reaches its own origin and no other.
// eslint-disable-next-line unicorn/require-post-message-target-origin
const say = (text: string): void => channel.postMessage(text)

/** Does something that the other tab answers, and waits for that. */
const answered = (ask: () => unknown): Promise<unknown> =>
  new Promise((resolve) => {
    channel.addEventListener("message", ({ data }) => resolve(data), { once: true })
    void ask()
  })

const row = (
  sizes: Sizes,
  measured: string,
  ours: Row.Measurement<never, TokenStore.TokenStore>,
  theirs: Row.Measurement<never, never>
): Promise<Row.Row> =>
  runtime.runPromise(
    Row.measure(sizes.rounds, { measured: `${measured}, sessions in ${kind}`, unit: "µs", ours, peers: [theirs] })
  )

const cost = <R>(name: string, effect: Effect.Effect<unknown, never, R>, times: number) => ({
  name,
  sample: Row.cost(effect, times)
})

const methods = {
  /** What a read and a write cost. */
  work: async (sizes: Sizes): Promise<ReadonlyArray<Row.Row>> => {
    const bare = kind === "localStorage" ? bareLocalStorage : await bareIndexedDb()
    await runtime.runPromise(write)
    await bare.write()
    const read = Effect.orDie(TokenStore.TokenStore.use((store) => store.get(key)))
    const times = sizes.repetitions
    const alone = (use: () => Promise<unknown>) => cost(bare.name, Effect.promise(use), times)
    return [
      await row(sizes, "a session read", cost("ours", read, times), alone(bare.read)),
      await row(sizes, "a session written", cost("ours", write, times), alone(bare.write))
    ]
  },

  /** How long another tab, which listens, takes to see a change. */
  news: (sizes: Sizes): Promise<Row.Row> => {
    const seen = Effect.promise(() => answered(() => runtime.runPromise(write)))
    const echo = Effect.promise(() => answered(() => say("echo")))
    const times = Math.ceil(sizes.repetitions / 20)
    return row(
      sizes,
      "a change written, seen by another tab and told back",
      { ...cost("ours", seen, times), aim: { _tag: "AtMost", bound: 20_000 } },
      cost("a `BroadcastChannel`, there and back", echo, times)
    )
  },

  /** Tells the other tab of each change, and answers it when it wants nothing but an answer. */
  listen: () => {
    channel.addEventListener("message", ({ data }) => data === "echo" && say(data))
    return new Promise<void>((begun) =>
      runtime.runFork(
        TokenStore.TokenStore.use((store) =>
          Stream.runForEach(store.changes(key), (event) =>
            Effect.sync(() => event._tag === "Snapshot" ? begun() : say("seen")))
        )
      )
    )
  }
}

declare global {
  // eslint-disable-next-line no-var
  var bench: typeof methods
}

globalThis.bench = methods
