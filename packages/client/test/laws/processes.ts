/** What the laws of many processes have in common. */
import { Effect, Layer } from "effect"
import { SessionStorage, TokenStore } from "../../src/index.ts"
import * as ModelServer from "./modelServer.ts"
import * as World from "./world.ts"

/** Runs an operation in one of the processes. */
export type In = <A, E>(process: number, effect: Effect.Effect<A, E, World.Services>) => Effect.Effect<A, E>

/** Processes that share nothing but a server and a place for sessions. */
export const inProcesses = <A, E>(
  count: number,
  options: ModelServer.Options,
  test: (world: {
    readonly server: ModelServer.ModelServer
    readonly storage: SessionStorage.SessionStorage["Service"]
    readonly within: In
  }) => Effect.Effect<A, E>
): Effect.Effect<A, E> =>
  Effect.gen(function*() {
    const server = ModelServer.make(options)
    const storage = World.slowPlace(yield* SessionStorage.SessionStorage, 1)
    const open = Layer.fresh(TokenStore.layerStorage).pipe(
      Layer.provide(Layer.succeed(SessionStorage.SessionStorage, storage))
    )
    const stores = yield* Effect.forEach(
      Array.from({ length: count }),
      () => Effect.provide(TokenStore.TokenStore.use(Effect.succeed), open)
    )
    return yield* test({
      server,
      storage,
      within: (process, effect) =>
        Effect.provide(Effect.provideService(effect, TokenStore.TokenStore, stores[process % count]!), server.layer)
    })
  }).pipe(Effect.provide(Layer.fresh(SessionStorage.layerMemory)))
