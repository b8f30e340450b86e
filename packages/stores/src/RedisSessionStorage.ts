/**
 * Sessions in a Redis that processes share, through Effect's own `Redis` service: each change is one script, a lease ends
 * by the clock of Redis, and changes are read from a stream. All keys of an app are in one slot of a cluster, to which
 * `RedisCluster` connects.
 */
import { type Page, type Row, SessionStorage } from "@effect-realm/client/SessionStorage"
import type { Outcome, SessionKey } from "@effect-realm/client/TokenStore"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redis from "effect/persistence/Redis"
import * as Stream from "effect/Stream"
import { listening } from "./internal/doorbell.ts"
import * as Identifier from "./internal/identifier.ts"
import * as Scripts from "./internal/redisScripts.ts"

// -----------------------------------------------------------------------------
// Constructors
// -----------------------------------------------------------------------------

const row = (now: string, userId: string, value: Scripts.Value): Option.Option<Row> => {
  if (value === null) return Option.none()
  const [head, generation, activation, writtenAt] = /^(\d+):(\d+):\d+:(\d+):/.exec(value) ?? [""]
  return Option.some({
    userId,
    // A value that nobody here has written has to be replaced as it is: its record cannot be read.
    generation: Number(generation ?? -1),
    activation: Number(activation ?? 0),
    age: Duration.millis(Number(now) - Number(writtenAt ?? now)),
    record: Effect.succeed(value.slice(head.length))
  })
}

const pairs = (now: string, flat: ReadonlyArray<string>): Array<Row> => {
  const rows: Array<Row> = []
  for (let index = 0; index + 1 < flat.length; index += 2) {
    rows.push(...Option.toArray(row(now, Identifier.read(flat[index]!), flat[index + 1]!)))
  }
  return rows
}

const make = Effect.gen(function*() {
  const redis = yield* Redis.Redis
  const script = Scripts.runs(redis)
  const read = script(Scripts.read)
  const app = script(Scripts.app)
  const rows = script(Scripts.rows)
  const write = script(Scripts.write)
  const depart = script(Scripts.depart)
  const acquire = script(Scripts.acquire)
  const release = script(Scripts.release)
  const log = script(Scripts.log)

  const keys = ({ appId, userId }: SessionKey) => [Identifier.written(appId), Identifier.written(userId)] as const

  return SessionStorage.of({
    read: (key) =>
      Effect.map(read(...keys(key)), ([now, number, value]) => ({
        number: Number(number ?? 0),
        row: row(now, key.userId, value)
      })),
    app: (appId) =>
      Effect.map(app(Identifier.written(appId)), ([now, number, anonymousUser, deviceId, recent]) => ({
        number: Number(number ?? 0),
        anonymousUser: Option.map(Option.fromNullishOr(anonymousUser), Identifier.read),
        deviceId: Option.fromNullishOr(deviceId),
        recent: pairs(now, recent)
      })),
    rows: (appId) =>
      Stream.paginate("0", (after) =>
        Effect.map(rows(Identifier.written(appId), after), ([now, next, found]) =>
          [
            pairs(now, found),
            next === "" ? Option.none<string>() : Option.some(next)
          ] as const)),
    write: (key, change) =>
      Effect.map(write(...keys(key), change), (answer): Outcome =>
        typeof answer === "number"
          ? { _tag: "Committed", generation: answer }
          : { _tag: answer === "Left" ? "Left" : "MovedOn" }),
    depart: (key) => depart(...keys(key)),
    acquire: (key, holder, life) =>
      Effect.map(acquire(...keys(key), holder, Duration.toMillis(life)), (given) => given === 1),
    release: (key, holder) => release(...keys(key), holder),
    log: (appId, after) =>
      Effect.map(log(Identifier.written(appId), after), ([number, forgotten, found]): Page => {
        const entries = found.map(([id, [, userId, , event]]) => ({
          number: Number(id.split("-")[0]),
          userId: Identifier.read(userId),
          event: Effect.succeed(event)
        }))
        const hasMore = entries.length > Scripts.pageSize
        return {
          entries: entries.slice(0, Scripts.pageSize),
          until: hasMore ? entries[Scripts.pageSize - 1]!.number : Number(number ?? 0),
          forgotten: Number(forgotten ?? 0),
          hasMore
        }
      }),
    news: yield* listening(
      redis.subscribe(Scripts.channel),
      ({ message }) => Identifier.read(message),
      Scripts.failed
    )
  })
})

// -----------------------------------------------------------------------------
// Layers
// -----------------------------------------------------------------------------

/**
 * Sessions in the Redis that is there, version 6.2 or later. A subscription tells at once when something was written; what
 * was written is read from the app's stream, so that a message that was lost delays and loses nothing.
 *
 * Keys begin with `effect-realm:` and are never to be evicted: let `maxmemory-policy` be `noeviction`.
 *
 * ```ts no-run
 * import { App, TokenStore } from "@effect-realm/client"
 * import * as RedisSessionStorage from "@effect-realm/stores/RedisSessionStorage"
 * import * as NodeRedis from "@effect/platform-node/NodeRedis"
 * import { Config, Effect, Layer } from "effect"
 *
 * const app = App.make({ id: "shop-abcde", baseUrl: "http://localhost:9090" })
 * const layer = TokenStore.layerStorage.pipe(
 *   Layer.provide(RedisSessionStorage.layer),
 *   Layer.provide(NodeRedis.layerConfig({ url: Config.String("REDIS_URL") }))
 * )
 * await Effect.runPromise(Effect.provide(App.allUsers(app), layer))
 * ```
 */
export const layer: Layer.Layer<SessionStorage, never, Redis.Redis> = Layer.fresh(
  // One for each that it is provided with.
  Layer.effect(SessionStorage, make)
)
