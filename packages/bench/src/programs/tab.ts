/** A tab of the bench, which measures the stores of browsers beside what the browser itself does. */
import { App, Credentials, TokenStore, User } from "@effect-realm/client"
import * as IndexedDbSessionStorage from "@effect-realm/stores/IndexedDbSessionStorage"
import * as LocalStorageSessionStorage from "@effect-realm/stores/LocalStorageSessionStorage"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
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
const appId = "shop-abcde"
const runtime = ManagedRuntime.make(
  Layer.merge(Layer.provide(TokenStore.layerStorage, stores[kind]), FetchHttpClient.layer)
)
const app = App.make({ id: appId, baseUrl: location.origin })

// As long as those of App Services.
const token = (name: string) => Redacted.make(name.padEnd(480, "x"))
const [accessToken, refreshToken] = [token("access"), token("refresh")]

const generations = new Map<string, number>()

/** Writes the session of a user anew. */
const write = (userId: string) =>
  Effect.orDie(TokenStore.TokenStore.use((store) =>
    Effect.map(
      store.commit({ appId, userId }, {
        expected: generations.get(userId) ?? 0,
        session: Option.some({
          appId,
          userId,
          tokens: { accessToken, refreshToken, receivedAt: Date.now(), lifetime: 1_800_000 },
          providerType: "local-userpass",
          profile: { type: "normal", identities: [], data: {} },
          customData: {}
        }),
        event: { _tag: "LoggedIn", providerType: "local-userpass" },
        makeCurrent: true
      }),
      (outcome) => {
        if (outcome._tag !== "Committed") throw new Error(`the session of ${userId} was not written`)
        generations.set(userId, outcome.generation)
      }
    )
  ))

const userId = "636aba021728b6c1c03db7f9"

/** As many users as are written at a time: a browser keeps no more of a page than a few thousand sessions. */
const users = (inFlight: number) => Array.from({ length: inFlight }, (_, index) => `user ${index}`)

/** Does something for a user whom nobody else does it for meanwhile. */
const inTurn = <R>(free: Array<string>, use: (userId: string) => Effect.Effect<unknown, never, R>) =>
  Effect.suspend(() => {
    const userId = free.pop() ?? "one too many"
    return Effect.map(use(userId), () => free.push(userId))
  })

let writes = 0
const record = "x".repeat(1200)

interface Bare {
  readonly name: string
  readonly read: () => Promise<unknown>
  readonly write: (name: string) => Promise<unknown>
}

const bareLocalStorage: Bare = {
  name: "`localStorage` alone",
  read: async () => localStorage.getItem("bare"),
  write: async (name) => localStorage.setItem(name, record + writes++)
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
    write: (name) => ends("readwrite", (records) => records.put(record, name))
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
  unit: string,
  ours: Row.Measurement<never, TokenStore.TokenStore>,
  theirs: Row.Measurement<never, never>
): Promise<Row.Row> =>
  runtime.runPromise(
    Row.measure(sizes.rounds, { measured: `${measured}, sessions in ${kind}`, unit, ours, peers: [theirs] })
  )

const cost = <R>(name: string, effect: Effect.Effect<unknown, never, R>, times: number) => ({
  name,
  sample: Row.cost(effect, times)
})

const methods = {
  /** What a read and a write cost, and how many writes there are in a second. */
  work: async (sizes: Sizes): Promise<ReadonlyArray<Row.Row>> => {
    const bare = kind === "localStorage" ? bareLocalStorage : await bareIndexedDb()
    await runtime.runPromise(write(userId))
    await bare.write("bare")
    const read = Effect.orDie(TokenStore.TokenStore.use((store) => store.get({ appId, userId })))
    const times = sizes.repetitions
    const alone = (use: () => Promise<unknown>) => cost(bare.name, Effect.promise(use), times)
    // No more than the browser can keep up with: what it has still to write would be waited for by who comes next.
    const load = { millis: sizes.millis, inFlight: sizes.inFlight.logIns, most: times }
    const writing = <R>(name: string, use: (userId: string) => Effect.Effect<unknown, never, R>) => ({
      name,
      sample: Row.rate(inTurn(users(load.inFlight), use), load)
    })
    return [
      await row(sizes, "a session read", "µs", cost("ours", read, times), alone(bare.read)),
      await row(sizes, "a session written", "µs", cost("ours", write(userId), times), alone(() => bare.write("bare"))),
      await row(
        sizes,
        `sessions written in a second, ${load.inFlight} at a time`,
        "/s",
        writing("ours", write),
        writing(bare.name, (userId) => Effect.promise(() => bare.write(userId)))
      )
    ]
  },

  /** How long another tab, which listens, takes to see a change. */
  news: (sizes: Sizes): Promise<Row.Row> => {
    const seen = Effect.promise(() => answered(() => runtime.runPromise(write(userId))))
    const echo = Effect.promise(() => answered(() => say("echo")))
    const times = Math.ceil(sizes.repetitions / 20)
    return row(
      sizes,
      "a change written, seen by another tab and told back",
      "µs",
      { ...cost("ours", seen, times), aim: { _tag: "AtMost", bound: 20_000 } },
      cost("a `BroadcastChannel`, there and back", echo, times)
    )
  },

  /** Logs a user in, and answers who it is. */
  logIn: (): Promise<string> =>
    runtime.runPromise(Effect.map(App.logIn(app, Credentials.anonymous()), (user) => user.id)),

  /** Calls a function as a user, so often at once. */
  call: (id: string, calls: number): Promise<void> => {
    const call = Effect.suspend(() => User.callFunction(User.make({ appId, baseUrl: app.baseUrl, id }), "sum", [1, 2]))
    return runtime.runPromise(Effect.all(Array.from({ length: calls }, () => call), {
      concurrency: "unbounded",
      discard: true
    }))
  },

  /** Tells the other tab of each change, and answers it when it wants nothing but an answer. */
  listen: () => {
    channel.addEventListener("message", ({ data }) => data === "echo" && say(data))
    return new Promise<void>((begun) =>
      runtime.runFork(
        TokenStore.TokenStore.use((store) =>
          Stream.runForEach(store.changes({ appId, userId }), (event) =>
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
