/**
 * Sessions in a directory that the processes of a machine share: a file for each user, to be looked at, copied and
 * deleted one by one. Files are replaced as a whole and only their owner may read them. One that is torn or foreign
 * costs one user.
 */
import type { TokenStoreError } from "@effect-realm/client/ClientError"
import { type Page, type Row, SessionStorage } from "@effect-realm/client/SessionStorage"
import type { Outcome, SessionKey } from "@effect-realm/client/TokenStore"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as AppDirectory from "./internal/appDirectory.ts"
import * as Directory from "./internal/directory.ts"
import * as Records from "./internal/fileRecords.ts"
import * as Lease from "./internal/lease.ts"

// -----------------------------------------------------------------------------
// Model
// -----------------------------------------------------------------------------

/** Where the sessions are. */
export interface Options {
  /** The directory, on a disk of this machine; made when there is none. Only its owner may write to it. */
  readonly directory: string
}

const LeaseText = Schema.fromJsonString(Schema.Struct({ holder: Schema.String, until: Schema.Finite }))
const decodeLease = Schema.decodeUnknownOption(LeaseText)

// -----------------------------------------------------------------------------
// Constructors
// -----------------------------------------------------------------------------

const pageSize = 256

/** The generation of a file that is none of its user. */
const unreadable = -1

// A change that the operating system tells nobody of is seen no later than this.
const latest = Duration.seconds(1)
// Where it tells nothing at all, it is looked for as often as this.
const interval = Duration.millis(50)

const row = (userId: string, found: AppDirectory.Found): Option.Option<Row> => {
  if (found._tag === "None") return Option.none()
  if (found._tag === "Unreadable") {
    return Option.some({ userId, generation: unreadable, activation: 0, age: Duration.zero, record: found.text })
  }
  const { activation, generation, record, writtenAt } = found.user
  return record === undefined
    ? Option.none()
    : Option.some({
      userId,
      generation,
      activation,
      age: Duration.millis(Records.now() - writtenAt),
      record: Effect.succeed(record)
    })
}

const make = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<SessionStorage["Service"], TokenStoreError, Scope.Scope> {
  const directory = yield* Directory.checked(options.directory)
  const scope = yield* Effect.scope
  const pathOf = (appId: string): string => Path.join(directory, Records.nameOf(appId))

  const apps = new Map<string, AppDirectory.AppDirectory>()
  const appOf = (appId: string): AppDirectory.AppDirectory => {
    const known = apps.get(appId)
    if (known !== undefined) return known
    const app = AppDirectory.make(pathOf(appId), appId, scope)
    apps.set(appId, app)
    return app
  }

  const write: SessionStorage["Service"]["write"] = ({ appId, userId }, write) => {
    const { commit, exclusively, user } = appOf(appId)
    return exclusively((app) =>
      Effect.gen(function*(): Effect.fn.Return<Outcome, TokenStoreError> {
        const found = yield* user(userId)
        // A file that cannot be read, or is of a newer version, is not replaced.
        if (found._tag === "Unreadable") yield* found.text
        const before = found._tag === "User" ? found.user : Records.nobody(userId)
        if (Option.isSome(write.since) && before.departed > write.since.value) return { _tag: "Left" }
        const generation = Option.match(row(userId, found), { onNone: () => 0, onSome: (row) => row.generation })
        if (generation !== write.expected) return { _tag: "MovedOn" }
        const next = Records.changed(app, before, write)
        yield* commit(app, next.user, next.entry)
        return { _tag: "Committed", generation: next.entry.number }
      })
    )
  }

  const depart: SessionStorage["Service"]["depart"] = ({ appId, userId }) => {
    const { commit, exclusively, user } = appOf(appId)
    return exclusively((app) =>
      Effect.gen(function*() {
        const found = yield* user(userId)
        const next = found._tag === "Unreadable"
          ? Records.departed(app, Records.damaged(app, userId, yield* found.text))
          : Records.departed(app, found._tag === "User" ? found.user : Records.nobody(userId))
        yield* commit(app, next.user, next.entry)
      })
    )
  }

  const app: SessionStorage["Service"]["app"] = (appId) =>
    Effect.map(
      appOf(appId).reading(({ recent }) => recent.map(({ userId }) => userId)),
      ({ app, users }) => ({
        number: app.number,
        recent: users.flatMap(({ found, userId }) =>
          found._tag === "User" && !found.user.isLoggedIn ? [] : Option.toArray(row(userId, found))
        ),
        anonymousUser: Option.fromUndefinedOr(app.anonymousUser),
        deviceId: Option.fromUndefinedOr(app.deviceId)
      })
    )

  const leaseFile = ({ appId, userId }: SessionKey): string =>
    Path.join(pathOf(appId), "leases", Records.nameOf(userId))

  const leaseIn = (file: string) =>
    Effect.map(
      Directory.attempt(() => Directory.ifThere(() => Fs.readFileSync(file, "utf8"))),
      (text) => Option.flatMap(Option.fromUndefinedOr(text), decodeLease)
    )

  const acquire: SessionStorage["Service"]["acquire"] = (key, holder, life) =>
    appOf(key.appId).exclusively(() =>
      Effect.gen(function*() {
        const file = leaseFile(key)
        const lease = yield* leaseIn(file)
        if (
          Option.exists(lease, (lease) => lease.holder !== holder && Lease.lasts(lease.until, Records.now()))
        ) return false
        yield* Directory.attempt(() => {
          Directory.make(Path.dirname(file))
          const until = Records.now() + Duration.toMillis(life)
          // Not waited for the disk: when the machine goes down, so does whoever holds a lease.
          Fs.writeFileSync(`${file}.new`, JSON.stringify({ holder, until }), { mode: 0o600 })
          Fs.renameSync(`${file}.new`, file)
        })
        return true
      })
    )

  const release: SessionStorage["Service"]["release"] = (key, holder) =>
    appOf(key.appId).exclusively(() =>
      Effect.flatMap(leaseIn(leaseFile(key)), (lease) =>
        Option.exists(lease, (lease) => lease.holder === holder)
          ? Directory.attempt(() => Fs.rmSync(leaseFile(key)))
          : Effect.void)
    )

  // The last event that was read of each log, and where it is: who goes on from there begins with it.
  const read = new Map<string, { readonly log: number; readonly number: number; readonly start: number }>()

  const log: SessionStorage["Service"]["log"] = (appId, after) => {
    const { current, log } = appOf(appId)
    const page: Effect.Effect<Page, TokenStoreError> = Effect.gen(function*() {
      const app = yield* current
      const { forgotten, name } = app.log
      if (after >= app.number) return { entries: [], until: app.number, forgotten, hasMore: false }
      const known = read.get(appId)
      const start = known !== undefined && known.log === name && known.number <= after + 1 ? known.start : 0
      const part = yield* log(app, start, after, pageSize)
      // The log was replaced by a shorter one meanwhile.
      if (Option.isNone(part)) return yield* page
      const { end, entries, isDamaged, last } = part.value
      const hasMore = end < app.log.end
      const until = hasMore ? entries.at(-1)?.number ?? app.number : app.number
      if (Option.isSome(last)) read.set(appId, { log: name, ...last.value })
      return {
        entries: entries.flatMap(({ event, number, userId }) =>
          event === undefined ? [] : [{ number, userId, event: Effect.succeed(event) }]
        ),
        until,
        forgotten: isDamaged ? until : forgotten,
        hasMore
      }
    })
    return page
  }

  return {
    read: ({ appId, userId }) =>
      Effect.map(appOf(appId).reading(() => [userId]), ({ app, users }) => ({
        number: app.number,
        row: Option.flatMap(Option.fromUndefinedOr(users[0]), ({ found }) => row(userId, found))
      })),
    app,
    rows: (appId) =>
      Stream.flattenIterable(Stream.fromEffect(Effect.map(appOf(appId).users, (users) =>
        users
          .map(({ found, name }) => ({
            position: found._tag === "User" ? found.user.position : Infinity,
            row: row(found._tag === "User" ? found.user.userId : name, found)
          }))
          .toSorted((self, that) => self.position - that.position)
          .flatMap(({ row }) => Option.toArray(row))))),
    write,
    depart,
    acquire,
    release,
    log,
    news: (appId) => news(pathOf(appId))
  }
})

/** Emits when the file of an app was replaced. */
const news = (path: string): Stream.Stream<unknown, TokenStoreError> =>
  Stream.unwrap(Effect.gen(function*() {
    yield* Directory.attempt(() => Directory.make(path))
    const told = Stream.callback<void, TokenStoreError>((queue) =>
      Effect.acquireRelease(
        Directory.attempt(() => {
          const watcher = Fs.watch(path, { persistent: false }, (_, file) => {
            if (file === null || file === "app.json") Queue.offerUnsafe(queue, undefined)
          })
          watcher.on("error", (cause) => Queue.failCauseUnsafe(queue, Cause.fail(Directory.failure(cause))))
          Queue.offerUnsafe(queue, undefined)
          return watcher
        }),
        (watcher) => Effect.sync(() => watcher.close())
      ), { bufferSize: 1, strategy: "sliding" })
    return Stream.merge(
      Stream.catch(told, () => Stream.tick(interval)),
      Stream.tick(latest)
    )
  }))

// -----------------------------------------------------------------------------
// Layers
// -----------------------------------------------------------------------------

/**
 * Sessions in a directory, which is made when there is none. Needs Node.js.
 *
 * Fails with `Misconfigured` when others may write to the directory, with `Unavailable` when it cannot be made, read or
 * written. Operations fail with `Unavailable` when the disk is full, and then nothing has changed.
 *
 * @param options.directory where, on a disk of this machine: files of a network cannot be locked
 *
 * ```ts
 * import { TokenStore } from "@effect-realm/client"
 * import * as FileSessionStorage from "@effect-realm/stores/FileSessionStorage"
 * import { Effect, Layer } from "effect"
 * import { mkdtemp } from "node:fs/promises"
 * import { tmpdir } from "node:os"
 * import { join } from "node:path"
 *
 * const directory = await mkdtemp(join(tmpdir(), "sessions-"))
 * const layer = TokenStore.layerStorage.pipe(Layer.provide(FileSessionStorage.layer({ directory })))
 * const users = TokenStore.TokenStore.use((store) => store.users("shop-abcde"))
 * await Effect.runPromise(Effect.provide(users, layer)) // => []
 * ```
 */
export const layer = (options: Options): Layer.Layer<SessionStorage, TokenStoreError> =>
  Layer.effect(SessionStorage, make(options))
