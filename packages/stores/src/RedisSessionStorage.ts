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
import { unavailable } from "./internal/failure.ts"
import * as Identifier from "./internal/identifier.ts"
import * as Scripts from "./internal/redisScripts.ts"

// -----------------------------------------------------------------------------
// Constructors
// -----------------------------------------------------------------------------

const failed = unavailable("Redis says")

const available = Effect.mapError(failed)

const row = (now: string, userId: string, value: Scripts.Value): Option.Option<Row> => {
  if (value === null) return Option.none()
  const [, generation, activation, writtenAt, record] = /^(\d+):(\d+):\d+:(\d+):(.*)$/s.exec(value) ?? []
  return Option.some({
    userId: Identifier.read(userId),
    // A value that nobody here has written has to be replaced as it is: its record cannot be read.
    generation: Number(generation ?? -1),
    activation: Number(activation ?? 0),
    age: Duration.millis(Number(now) - Number(writtenAt ?? now)),
    record: Effect.succeed(record ?? value)
  })
}

const pairs = (now: string, flat: ReadonlyArray<string>): Array<Row> => {
  const rows: Array<Row> = []
  for (let index = 0; index + 1 < flat.length; index += 2) {
    rows.push(...Option.toArray(row(now, flat[index]!, flat[index + 1]!)))
  }
  return rows
}

const make = Effect.gen(function*() {
  const redis = yield* Redis.Redis
  const readScript = redis.eval(Scripts.read)
  const appScript = redis.eval(Scripts.app)
  const rowsScript = redis.eval(Scripts.rows)
  const writeScript = redis.eval(Scripts.write)
  const departScript = redis.eval(Scripts.depart)
  const acquireScript = redis.eval(Scripts.acquire)
  const releaseScript = redis.eval(Scripts.release)
  const logScript = redis.eval(Scripts.log)

  const keys = ({ appId, userId }: SessionKey) => [Identifier.written(appId), Identifier.written(userId)] as const

  return SessionStorage.of({
    read: (key) =>
      available(Effect.map(readScript(...keys(key)), ([now, number, value]) => ({
        number: Number(number ?? 0),
        row: row(now, Identifier.written(key.userId), value)
      }))),
    app: (appId) =>
      available(Effect.map(appScript(Identifier.written(appId)), ([now, number, anonymousUser, deviceId, recent]) => ({
        number: Number(number ?? 0),
        anonymousUser: Option.map(Option.fromNullishOr(anonymousUser), Identifier.read),
        deviceId: Option.fromNullishOr(deviceId),
        recent: pairs(now, recent)
      }))),
    rows: (appId) =>
      Stream.paginate(
        "0",
        (after) =>
          available(Effect.map(rowsScript(Identifier.written(appId), after), ([now, next, rows]) =>
            [
              pairs(now, rows),
              next === "" ? Option.none<string>() : Option.some(next)
            ] as const))
      ),
    write: (key, write) =>
      available(Effect.map(writeScript(...keys(key), write), (answer): Outcome =>
        typeof answer === "number"
          ? { _tag: "Committed", generation: answer }
          : { _tag: answer === "Left" ? "Left" : "MovedOn" })),
    depart: (key) => available(departScript(...keys(key))),
    acquire: (key, holder, life) =>
      available(Effect.map(
        acquireScript(...keys(key), holder, Duration.toMillis(life)),
        (given) => given === 1
      )),
    release: (key, holder) => available(releaseScript(...keys(key), holder)),
    log: (appId, after) =>
      available(Effect.map(logScript(Identifier.written(appId), after), ([number, forgotten, found]): Page => {
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
      })),
    news: yield* listening(redis.subscribe(Scripts.channel), ({ message }) => Identifier.read(message), failed)
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
