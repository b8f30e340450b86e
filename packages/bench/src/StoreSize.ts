/**
 * Whether a log-in and a call cost the same however many users the store holds.
 */
import { App, Credentials, TokenStore, User } from "@effect-realm/client"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Realm from "realm-web"
import * as Answerer from "./Answerer.ts"
import * as MemoryTransport from "./MemoryTransport.ts"
import * as Place from "./Place.ts"
import * as PlainServer from "./PlainServer.ts"
import * as Row from "./Row.ts"
import * as SampleSession from "./SampleSession.ts"
import type { Sizes } from "./Sizes.ts"
import * as TemporaryFolder from "./TemporaryFolder.ts"

const app = App.make({ id: PlainServer.appId, baseUrl: "http://localhost" })

const logIn = (app: App.App) => Effect.suspend(() => App.logIn(app, Credentials.anonymous({ reuse: false })))

/** A cost that is the same at any size, as far as caches and collected garbage let a figure tell. */
const flat: Row.Aim = { _tag: "AtMost", bound: 1.5 }

interface Populated {
  readonly users: number
  /** Microseconds a log-in of one more user. */
  readonly logIn: Effect.Effect<number>
  /** Microseconds a call by one of the users. */
  readonly call: Effect.Effect<number>
}

const populate = Effect.fnUntraced(function*(
  users: number,
  place: Place.Place,
  sizes: Sizes
): Effect.fn.Return<Populated, never, Scope.Scope> {
  // A store of its own, though the layer is the same value for every size.
  const layer = Layer.merge(MemoryTransport.layer, Layer.fresh(Place.store(place)))
  const runtime = yield* Effect.acquireRelease(
    Effect.sync(() => ManagedRuntime.make(layer)),
    (runtime) => runtime.disposeEffect
  )
  const run = <A, E>(effect: Effect.Effect<A, E, HttpClient.HttpClient | TokenStore.TokenStore>) =>
    Effect.promise(() => runtime.runPromise(effect))

  const user = yield* run(logIn(app))
  const others = Array.from({ length: users - 1 }, (_, index) => `user ${index}`)
  yield* run(
    TokenStore.TokenStore.use((store) =>
      Effect.forEach(others, (userId) => SampleSession.logIn(store, userId), { concurrency: 16, discard: true })
    )
  )
  // Where each waits for another process or a file there need not be so many.
  const times = Math.ceil(sizes.repetitions / (Place.isShared(place) ? 5 : 1))
  return {
    users,
    logIn: run(Row.cost(logIn(app), times)),
    call: run(Row.cost(Effect.suspend(() => User.callFunction(user, "sum", [1, 2])), times * 2))
  }
})

const rowsOf = Effect.fnUntraced(function*(
  kind: Place.Place["_tag"],
  sizes: Sizes
): Effect.fn.Return<ReadonlyArray<Row.Row>, never, Scope.Scope> {
  const { few, many, some } = sizes.users
  const row = (measured: string, cost: "logIn" | "call", populated: ReadonlyArray<Populated>) => {
    const [ours, ...peers] = populated.map((one): Row.Measurement<never, never> => ({
      name: `ours, ${one.users.toLocaleString("en")} users`,
      sample: one[cost],
      ...(one.users === few ? { aim: flat } : undefined)
    }))
    return Row.measure(Math.min(sizes.rounds, 5), {
      measured: `${measured}, sessions in ${Place.name(kind)}`,
      unit: "µs",
      ours: ours!,
      peers
    })
  }
  const populated: Array<Populated> = []
  for (const users of [many, some, few]) {
    const place = yield* Place.make(kind, yield* TemporaryFolder.inMemory)
    if (Option.isNone(place)) return []
    populated.push(yield* populate(users, place.value, sizes))
  }
  // Calls first: they leave the stores as they are, a log-in adds one more user.
  return [yield* row("function call", "call", populated), yield* row("log-in", "logIn", populated)]
})

/** The same over a socket, beside realm-web, whose log-in writes down every user again. */
const rowsBesideRealmWeb = Effect.fnUntraced(function*(
  sizes: Sizes
): Effect.fn.Return<ReadonlyArray<Row.Row>, never, Scope.Scope> {
  const { origin } = yield* Answerer.start
  const logIns = Math.min(sizes.repetitions, 5)

  const row = (users: number) =>
    Effect.scoped(Effect.gen(function*() {
      const runtime = yield* Effect.acquireRelease(
        Effect.sync(() => ManagedRuntime.make(Layer.merge(NodeHttpClient.layerUndici, TokenStore.layerMemory))),
        (runtime) => runtime.disposeEffect
      )
      const ours = (times: number) =>
        Effect.promise(() =>
          runtime.runPromise(Row.cost(logIn(App.make({ id: PlainServer.appId, baseUrl: origin })), times))
        )
      const app = new Realm.App({ id: PlainServer.appId, baseUrl: origin })
      const theirs = (times: number) =>
        Row.cost(Effect.promise(() => app.logIn(Realm.Credentials.anonymous(false))), times)
      yield* ours(users)
      yield* theirs(users)
      return yield* Row.measure(Math.min(sizes.rounds, 5), {
        measured: `log-in over a socket, after ${users} others`,
        unit: "µs",
        ours: { name: "ours on undici", sample: ours(logIns) },
        peers: [{ name: "realm-web 2.0.1", sample: theirs(logIns) }]
      })
    }))

  return [yield* row(sizes.users.few), yield* row(sizes.usersOfRealmWeb)]
})

export const rows = Effect.fnUntraced(function*(
  sizes: Sizes
): Effect.fn.Return<ReadonlyArray<Row.Row>, never, Scope.Scope> {
  const all = yield* Effect.forEach(Place.kinds, (kind) => Effect.scoped(rowsOf(kind, sizes)))
  return [...all.flat(), ...(yield* rowsBesideRealmWeb(sizes))]
})
