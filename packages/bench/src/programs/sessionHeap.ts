/**
 * The program behind `SessionHeap.ts`: logs users in and prints how many bytes of heap each session holds. Needs
 * `--expose-gc`.
 *
 * - `node --expose-gc sessionHeap.ts ours 100000`
 * - `node --expose-gc sessionHeap.ts realm-web 400`
 */
import { App, Credentials, TokenStore } from "@effect-realm/client"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as MemoryTransport from "../MemoryTransport.ts"
import * as PlainServer from "../PlainServer.ts"
import * as Row from "../Row.ts"

const heap = (): number => {
  if (globalThis.gc === undefined) throw new Error("Start this program with --expose-gc")
  // The second time takes what finalizers of the first let go.
  globalThis.gc()
  globalThis.gc()
  return process.memoryUsage().heapUsed
}

const origin = "http://localhost"

const growth = async (users: number, logIn: (users: number) => Promise<unknown>): Promise<number> => {
  // Code and caches that are made once are there before the first look.
  await logIn(10)
  const before = heap()
  await logIn(users)
  return (heap() - before) / users
}

const ours = (users: number): Promise<number> => {
  const runtime = ManagedRuntime.make(Layer.merge(MemoryTransport.layer, TokenStore.layerMemory))
  const app = App.make({ id: PlainServer.appId, baseUrl: origin })
  const logIn = Effect.suspend(() => App.logIn(app, Credentials.anonymous({ reuse: false })))
  return growth(users, (times) => runtime.runPromise(Row.cost(logIn, times)))
}

const realmWeb = async (users: number): Promise<number> => {
  const server = PlainServer.make()
  // realm-web takes `fetch` from the global object when it is loaded, so it is answered in memory by this one.
  globalThis.fetch = async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input)
    const authorization = new Headers(init?.headers).get("authorization") ?? undefined
    return PlainServer.toResponse(server.answer(init?.method ?? "GET", url.pathname, authorization, url.origin))
  }
  const Realm = await import("realm-web")
  const app = new Realm.App({ id: PlainServer.appId, baseUrl: origin })
  return growth(users, async (times) => {
    for (let count = 0; count < times; count++) await app.logIn(Realm.Credentials.anonymous(false))
  })
}

const [who, users] = process.argv.slice(2)
console.log(await (who === "ours" ? ours : realmWeb)(Number(users)))
