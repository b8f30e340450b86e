/**
 * Effect's `Redis` service over a Redis cluster, for which Effect itself has none: a command goes to the node that has
 * the slot of its key, a script to all that have slots. Needs `redis` (node-redis), as Effect's own layer for one Redis
 * does.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redis from "effect/persistence/Redis"
import type * as Scope from "effect/Scope"
import { createCluster, type RedisClusterOptions } from "redis"

// -----------------------------------------------------------------------------
// Model
// -----------------------------------------------------------------------------

/**
 * Options of `createCluster` of node-redis, and of the connections that `Redis.reserve` hands out.
 *
 * `rootNodes` are some of the nodes, which are asked for all others. What is meant for every connection (`password`,
 * `socket`, `disableOfflineQueue`) belongs in `defaults`.
 */
export type Options = RedisClusterOptions & Redis.PoolOptions

// -----------------------------------------------------------------------------
// Constructors
// -----------------------------------------------------------------------------

const client = (options: RedisClusterOptions) => createCluster(options)

type Cluster = ReturnType<typeof client>

const attempt = <A>(use: () => Promise<A>): Effect.Effect<A, Redis.RedisError> =>
  Effect.tryPromise({ try: use, catch: (cause) => new Redis.RedisError({ cause }) })

/** The key whose slot tells the node: the first of a script's keys, else the first argument. */
const firstKey = (command: string, args: ReadonlyArray<string>): string | undefined =>
  /^(EVAL|FCALL)/i.test(command) ? (Number(args[1]) > 0 ? args[2] : undefined) : args[0]

const onEachMaster = async (cluster: Cluster, args: Array<string>): Promise<unknown> => {
  const replies = await Promise.all(
    cluster.masters.map(async (node) => (await cluster.nodeClient(node)).sendCommand(args))
  )
  return replies[0]
}

const sendWith = (cluster: Cluster): Redis.Redis["Service"]["send"] => (command, ...args) =>
  attempt(() =>
    // What is answered depends on the command: whoever sends it says what that is.
    (/^SCRIPT$/i.test(command)
      ? onEachMaster(cluster, [command, ...args])
      : cluster.sendCommand(firstKey(command, args), false, [command, ...args])) as Promise<never>
  )

/** Connects a client, whose errors are logged: commands that fail are reported to who sent them. */
const connected = Effect.fnUntraced(function*(cluster: Cluster): Effect.fn.Return<Cluster, Redis.RedisError> {
  const log = Effect.runSyncWith(yield* Effect.context<never>())
  cluster.on("error", (cause) => log(Effect.logWarning("RedisCluster client error", cause)))
  return yield* Effect.as(attempt(() => cluster.connect()), cluster)
})

/**
 * Connects to a cluster; the connections are closed with the scope. Fails when no node answers or lets this program in.
 *
 * @param options.rootNodes where some of the nodes are
 */
export const make = Effect.fnUntraced(function*(
  { acquireTimeout, idleTimeout, maxConnections, minConnections, ...options }: Options
): Effect.fn.Return<Redis.Redis["Service"], Redis.RedisError, Scope.Scope> {
  const cluster = yield* Effect.acquireRelease(
    Effect.sync(() => client(options)),
    (cluster) => Effect.ignoreCause(Effect.promise(() => cluster.close()))
  )
  yield* connected(cluster)
  return yield* Redis.make({
    send: sendWith(cluster),
    connect: Effect.map(Effect.suspend(() => connected(cluster.duplicate())), (own) => ({
      send: sendWith(own),
      close: Effect.sync(() => own.destroy())
    })),
    pool: { acquireTimeout, idleTimeout, maxConnections, minConnections },
    subscribe: (channel, onMessage) => {
      const listener = (message: string | Buffer, channel: string | Buffer) =>
        onMessage({ channel: String(channel), message: String(message) })
      return Effect.as(
        Effect.acquireRelease(
          attempt(() => cluster.subscribe(channel, listener)),
          () => Effect.ignore(attempt(() => cluster.unsubscribe(channel, listener)))
        ),
        // A connection that is lost is made anew, to another node if need be.
        Effect.never
      )
    }
  })
})

// -----------------------------------------------------------------------------
// Layers
// -----------------------------------------------------------------------------

/**
 * The cluster of which these nodes are a part.
 *
 * @param options.rootNodes where some of the nodes are
 *
 * ```ts no-run
 * import { App, TokenStore } from "@effect-realm/client"
 * import * as RedisCluster from "@effect-realm/stores/RedisCluster"
 * import * as RedisSessionStorage from "@effect-realm/stores/RedisSessionStorage"
 * import { Effect, Layer } from "effect"
 *
 * const app = App.make({ id: "shop-abcde", baseUrl: "http://localhost:9090" })
 * const layer = TokenStore.layerStorage.pipe(
 *   Layer.provide(RedisSessionStorage.layer),
 *   Layer.provide(RedisCluster.layer({
 *     rootNodes: [{ url: "redis://redis-1:6379" }, { url: "redis://redis-2:6379" }],
 *     defaults: { disableOfflineQueue: true }
 *   }))
 * )
 * await Effect.runPromise(Effect.provide(App.allUsers(app), layer))
 * ```
 */
export const layer = (options: Options): Layer.Layer<Redis.Redis, Redis.RedisError> =>
  Layer.effect(Redis.Redis, make(options))
