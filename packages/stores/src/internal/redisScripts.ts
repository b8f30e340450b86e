/**
 * The scripts of a Redis storage. Each runs as a whole, and declares all its keys, which have the app as their hash tag.
 *
 * `app` is a hash of the number and what is remembered of the app. `sessions` is a hash of rows by user, each as
 * `generation:activation:position:writtenAt:record`. `users` orders users by position and `recent` those who are logged in by
 * activation. `log` is a stream whose ids are the numbers. `departed` orders users who left by the number of that, and
 * `departedAt` is a hash of when they did.
 */
import type { TokenStoreError } from "@effect-realm/client/ClientError"
import type { Write } from "@effect-realm/client/SessionStorage"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redis from "effect/persistence/Redis"
import { createHash } from "node:crypto"
import { unavailable } from "./failure.ts"

/** What a hash has under a field. */
export type Value = string | null

/** Where it is said that an app was written to. */
export const channel = "effect-realm:written"

export const pageSize = 256

const kept = 2048

// As long and as many changes as a departure is remembered at least: a clock that is set forward makes an hour of a moment.
const remembered = { milliseconds: 3_600_000, changes: 1024 }

const key = (appId: string, name: string): string => `effect-realm:{${appId}}:${name}`

/** The clock of Redis, in milliseconds. */
const now = `
local time = redis.call("TIME")
local now = string.format("%.0f", time[1] * 1000 + math.floor(time[2] / 1000))
`

/** An app's number, and a user's row. */
export const read = Redis.script(
  (appId: string, userId: string) => [key(appId, "app"), key(appId, "sessions"), userId],
  {
    numberOfKeys: 2,
    lua: `${now}return { now, redis.call("HGET", KEYS[1], "number"), redis.call("HGET", KEYS[2], ARGV[1]) }`
  }
).withReturnType<readonly [now: string, number: Value, row: Value]>()

/** What is remembered of an app, and the rows of those who became current last. */
export const app = Redis.script(
  (appId: string) => [key(appId, "app"), key(appId, "sessions"), key(appId, "recent")],
  {
    numberOfKeys: 3,
    lua: `${now}
local app = redis.call("HMGET", KEYS[1], "number", "anonymousUser", "deviceId")
local recent = {}
for _, user in ipairs(redis.call("ZREVRANGE", KEYS[3], 0, 15)) do
  local row = redis.call("HGET", KEYS[2], user)
  if row then
    table.insert(recent, user)
    table.insert(recent, row)
  end
end
return { now, app[1], app[2], app[3], recent }
`
  }
).withReturnType<
  readonly [now: string, number: Value, anonymousUser: Value, deviceId: Value, recent: ReadonlyArray<string>]
>()

/** A page of rows by position, and the position after which the next one begins, empty after the last. */
export const rows = Redis.script(
  (appId: string, after: string) => [key(appId, "sessions"), key(appId, "users"), after, pageSize],
  {
    numberOfKeys: 2,
    lua: `${now}
local users = redis.call("ZRANGEBYSCORE", KEYS[2], "(" .. ARGV[1], "+inf", "WITHSCORES", "LIMIT", 0, ARGV[2])
local rows = {}
for index = 1, #users, 2 do
  local row = redis.call("HGET", KEYS[1], users[index])
  if row then
    table.insert(rows, users[index])
    table.insert(rows, row)
  end
end
local isLast = #users < 2 * tonumber(ARGV[2])
return { now, isLast and "" or users[#users], rows }
`
  }
).withReturnType<readonly [now: string, next: string, rows: ReadonlyArray<string>]>()

/** Makes a change and answers its number, or why nothing was changed. */
export const write = Redis.script(
  (appId: string, userId: string, write: Write) => [
    key(appId, "app"),
    key(appId, "sessions"),
    key(appId, "users"),
    key(appId, "recent"),
    key(appId, "log"),
    key(appId, "departed"),
    userId,
    write.expected,
    Option.getOrElse(Option.map(write.since, String), () => ""),
    Option.isSome(write.record) ? 1 : 0,
    Option.getOrElse(write.record, () => ""),
    write.isLoggedIn ? 1 : 0,
    write.makeCurrent ? 1 : 0,
    write.isAnonymous ? 1 : 0,
    Option.isSome(write.deviceId) ? 1 : 0,
    Option.getOrElse(write.deviceId, () => ""),
    write.event,
    appId
  ],
  {
    numberOfKeys: 6,
    lua: `${now}
local app, sessions, users, recent, log, departed = unpack(KEYS)
local user, expected, since, hasRecord, record, isLoggedIn, makeCurrent, isAnonymous, hasDevice, device, event,
  appId = unpack(ARGV)

if since ~= "" then
  local at = redis.call("ZSCORE", departed, user)
  if at and tonumber(at) > tonumber(since) then return "Left" end
end

local row = redis.call("HGET", sessions, user)
local generation, activation, position = "0", "0", ""
if row then
  generation, activation, position = string.match(row, "^(%d+):(%d+):(%d+):%d+:")
  -- A row that is none is replaced by who has read it as such.
  if not generation then generation, activation, position = "-1", "0", "" end
end
if tonumber(generation) ~= tonumber(expected) then return "MovedOn" end

local number = redis.call("HINCRBY", app, "number", 1)
local text = string.format("%.0f", number)
if hasRecord == "1" then
  if makeCurrent == "1" then activation = text end
  if position == "" then
    position = text
    redis.call("ZADD", users, text, user)
  end
  redis.call("HSET", sessions, user, table.concat({ text, activation, position, now, record }, ":"))
  if isLoggedIn == "1" and activation ~= "0" then redis.call("ZADD", recent, activation, user)
  else redis.call("ZREM", recent, user) end
else
  redis.call("HDEL", sessions, user)
  redis.call("ZREM", users, user)
  redis.call("ZREM", recent, user)
end
if isAnonymous == "1" then redis.call("HSET", app, "anonymousUser", user) end
if hasDevice == "1" then redis.call("HSET", app, "deviceId", device) end

redis.call("XADD", log, text .. "-0", "user", user, "event", event)
if number % ${pageSize} == 0 and number > ${kept} then
  local forgotten = string.format("%.0f", number - ${kept})
  redis.call("XTRIM", log, "MINID", string.format("%.0f", number - ${kept} + 1) .. "-0")
  redis.call("HSET", app, "forgotten", forgotten)
end
redis.call("PUBLISH", "${channel}", appId)
return number
`
  }
).withReturnType<number | "Left" | "MovedOn">()

/** Notes that a user departed, and forgets some of those who did long ago. */
export const depart = Redis.script(
  (appId: string, userId: string) => [key(appId, "app"), key(appId, "departed"), key(appId, "departedAt"), userId],
  {
    numberOfKeys: 3,
    lua: `${now}
local app, departed, departedAt = unpack(KEYS)
local user = ARGV[1]
local number = redis.call("HINCRBY", app, "number", 1)
redis.call("ZADD", departed, string.format("%.0f", number), user)
redis.call("HSET", departedAt, user, now)

local before = string.format("%.0f", number - ${remembered.changes})
for _, old in ipairs(redis.call("ZRANGEBYSCORE", departed, "-inf", before, "LIMIT", 0, 16)) do
  if now - redis.call("HGET", departedAt, old) < ${remembered.milliseconds} then break end
  redis.call("ZREM", departed, old)
  redis.call("HDEL", departedAt, old)
end
`
  }
)

/** Gives a lease to who has it, or when nobody has it. */
export const acquire = Redis.script(
  (appId: string, userId: string, holder: string, life: number) => [key(appId, `lease:${userId}`), holder, life],
  {
    numberOfKeys: 1,
    lua: `
local holder = redis.call("GET", KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[2])
return 1
`
  }
).withReturnType<number>()

/** Ends the lease of its holder. */
export const release = Redis.script(
  (appId: string, userId: string, holder: string) => [key(appId, `lease:${userId}`), holder],
  {
    numberOfKeys: 1,
    lua: `if redis.call("GET", KEYS[1]) == ARGV[1] then redis.call("DEL", KEYS[1]) end`
  }
)

/** The app's number, what the log has forgotten, and a page of it. */
export const log = Redis.script(
  (appId: string, after: number) => [key(appId, "app"), key(appId, "log"), `${after + 1}-0`, pageSize + 1],
  {
    numberOfKeys: 2,
    lua: `
local app = redis.call("HMGET", KEYS[1], "number", "forgotten")
return { app[1], app[2], redis.call("XRANGE", KEYS[2], ARGV[1], "+", "COUNT", ARGV[2]) }
`
  }
).withReturnType<
  readonly [
    number: Value,
    forgotten: Value,
    entries: ReadonlyArray<
      readonly [id: string, fields: readonly [userField: string, user: string, eventField: string, event: string]]
    >
  ]
>()

type Config = { readonly params: ReadonlyArray<unknown>; readonly result: unknown }

/** What Redis failed with. */
export const failed = unavailable("Redis says")

const isUnknown = ({ cause }: Redis.RedisError): boolean => String(cause).includes("NOSCRIPT")

/**
 * Runs scripts by their digests, as Redis knows those it has seen. Effect's `eval` looks the digest up in a cache each time,
 * which costs as much as the rest of a read: it is left with scripts that Redis has not seen yet.
 */
export const runs = (redis: Redis.Redis["Service"]) => <C extends Config>(script: Redis.Script<C>) => {
  const digest = createHash("sha1").update(script.lua).digest("hex")
  const introduce = redis.eval(script)
  return (...params: C["params"]): Effect.Effect<C["result"], TokenStoreError> => {
    const args = script.params(...params).map(String)
    return Effect.catch(
      redis.send<C["result"]>("EVALSHA", digest, String(script.numberOfKeys(...params)), ...args),
      (error) => isUnknown(error) ? Effect.mapError(introduce(...params), failed) : Effect.fail(failed(error))
    )
  }
}
