/**
 * The files of one app: one for each user, one for what the app remembers, and a log.
 *
 * Whoever writes holds the lock of the app. An entry is written to the log, past the end that the app's file tells. When
 * that is on the disk the user's file takes its place, and with that the change has happened. When that is on the disk,
 * too, the app's file tells the new end. What dies in between, the process or the machine, leaves an entry past the end:
 * whoever takes the lock next sees by the user's file whether it has happened, and finishes it or takes it back. Who reads
 * needs no lock.
 */
import type { TokenStoreError } from "@effect-realm/client/ClientError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Directory from "./directory.ts"
import * as FileLock from "./fileLock.ts"
import * as Records from "./fileRecords.ts"

/** What is found under the name of a user. */
export type Found =
  | { readonly _tag: "None" }
  | { readonly _tag: "User"; readonly user: Records.User }
  /** No file of this user: what is in it, or why it cannot be read. */
  | { readonly _tag: "Unreadable"; readonly text: Effect.Effect<string, TokenStoreError> }

/** Entries of a log, and where the next ones begin. */
export interface Part {
  readonly entries: ReadonlyArray<Records.Entry>
  /** Whether something was among them that is no entry. */
  readonly isDamaged: boolean
  /** The last one that tells of an event, and where it begins. */
  readonly last: Option.Option<{ readonly number: number; readonly start: number }>
  readonly end: number
}

export interface AppDirectory {
  readonly user: (userId: string) => Effect.Effect<Found>
  /** Everything that is there of users, with the names of their files. */
  readonly users: Effect.Effect<ReadonlyArray<{ readonly name: string; readonly found: Found }>, TokenStoreError>
  /** What the app remembers, with no change half made. */
  readonly current: Effect.Effect<Records.App, TokenStoreError>
  /** What the app remembers and what is found of some of its users, as of one moment. */
  readonly reading: (of: (app: Records.App) => ReadonlyArray<string>) => Effect.Effect<
    { readonly app: Records.App; readonly users: ReadonlyArray<{ readonly userId: string; readonly found: Found }> },
    TokenStoreError
  >
  /** Runs an effect that nobody else runs meanwhile, with what the app remembers. */
  readonly exclusively: <A>(
    use: (app: Records.App) => Effect.Effect<A, TokenStoreError>
  ) => Effect.Effect<A, TokenStoreError>
  /** Makes a change of a user, for who holds the lock. Either all of it happens, or nothing. */
  readonly commit: (app: Records.App, user: Records.User, entry: Records.Entry) => Effect.Effect<void, TokenStoreError>
  /** The log from a position on, at most so many entries of it; none when it has been replaced. */
  readonly log: (
    app: Records.App,
    start: number,
    after: number,
    most: number
  ) => Effect.Effect<Option.Option<Part>, TokenStoreError>
}

// How many entries of a log stay when it is shortened.
const kept = 1024

// How often those who are gone are looked for, in changes, and how long they are remembered at least: also in changes, for a
// clock that is set forward makes an hour of a moment.
const sweepEvery = 256
const remembered = { changes: 1024, milliseconds: Duration.toMillis("1 hour") }

const decodeUser = Records.decode(Records.User)
const decodeApp = Records.decode(Records.App)
const decodeEntry = Records.decode(Records.Entry)

const lineBreak = "\n".charCodeAt(0)

/** @param scope how long it is used */
export const make = (path: string, appId: string, scope: Scope.Scope): AppDirectory => {
  const lock = FileLock.make(Path.join(path, "lock"), scope)
  const appFile = Path.join(path, "app.json")
  const usersPath = Path.join(path, "users")
  const goneFile = Path.join(path, "gone")
  const userFile = (name: string): string => Path.join(usersPath, `${name}.json`)
  const logFile = (log: number): string => Path.join(path, `log-${log}.jsonl`)
  const staged = { app: Path.join(path, "app.json.new"), user: Path.join(path, "user.json.new") }

  const textOf = (file: string): Effect.Effect<string | undefined, TokenStoreError> =>
    Directory.attempt(() => Directory.ifThere(() => Fs.readFileSync(file, "utf8")))

  const find = Effect.fnUntraced(
    function*(name: string): Effect.fn.Return<Found, TokenStoreError> {
      const text = yield* textOf(userFile(name))
      if (text === undefined) return { _tag: "None" }
      const user = yield* decodeUser(userFile(name), text)
      return Option.isSome(user) && Records.nameOf(user.value.userId) === name
        ? { _tag: "User", user: user.value }
        : { _tag: "Unreadable", text: Effect.succeed(text) }
    },
    Effect.catch((error) => Effect.succeed<Found>({ _tag: "Unreadable", text: Effect.fail(error) }))
  )

  const user: AppDirectory["user"] = (userId) => find(Records.nameOf(userId))

  const users: AppDirectory["users"] = Effect.flatMap(
    Directory.attempt(() => Directory.ifThere(() => Fs.readdirSync(usersPath)) ?? []),
    (files) =>
      Effect.forEach(files.filter((file) => file.endsWith(".json")), (file) => {
        const name = Path.basename(file, ".json")
        return Effect.map(find(name), (found) => ({ name, found }))
      })
  )

  const readableUsers = Effect.map(
    users,
    (all) => all.flatMap(({ found }) => found._tag === "User" ? [found.user] : [])
  )

  const known = Effect.gen(function*(): Effect.fn.Return<Option.Option<Records.App>, TokenStoreError> {
    const text = yield* textOf(appFile)
    if (text === undefined) return Option.none()
    return Option.filter(yield* decodeApp(appFile, text), (app) => app.appId === appId)
  })

  const sizeOf = (log: number): Effect.Effect<number, TokenStoreError> =>
    Directory.attempt(() => Directory.ifThere(() => Fs.statSync(logFile(log)).size) ?? 0)

  const save = Effect.fnUntraced(function*(app: Records.App) {
    yield* Directory.attempt(() => Fs.appendFileSync(logFile(app.log.name), "", { mode: 0o600 }))
    yield* Directory.stage(staged.app, JSON.stringify(app))
    yield* Directory.attempt(() => Fs.renameSync(staged.app, appFile))
    yield* Directory.flush(path)
    return app
  })

  /** The app from what else is there, when its file is not. */
  const rebuild = Effect.gen(function*() {
    const files = yield* Directory.attempt(() => Fs.readdirSync(path))
    const logs = files.map((file) => Number(/^log-(\d+)\.jsonl$/.exec(file)?.[1] ?? 0))
    return yield* save(Records.rebuilt(appId, yield* readableUsers, Math.max(0, ...logs)))
  })

  /** What is past the end of a log. */
  const pastEnd = ({ log }: Records.App) =>
    Directory.attempt(() => Fs.readFileSync(logFile(log.name)).subarray(log.end).toString())

  const hasHappened = ({ number, userId }: Records.Entry): Effect.Effect<boolean> =>
    Effect.map(
      user(userId),
      (found) => found._tag === "User" && (found.user.generation === number || found.user.departed === number)
    )

  /** What the app remembers, once a change that was left half made is finished or taken back. */
  const settled = Effect.gen(function*(): Effect.fn.Return<Records.App, TokenStoreError> {
    const found = yield* known
    if (Option.isNone(found)) return yield* rebuild
    const app = found.value
    const { end, name } = app.log
    const size = yield* sizeOf(name)
    if (size === end) return app
    // A log that was cut off is begun anew.
    if (size < end) return yield* save({ ...app, log: { name: name + 1, end: 0, forgotten: app.number } })
    const past = yield* pastEnd(app)
    // More than one change: the app's file is one of earlier.
    if (past.trimEnd().includes("\n")) return yield* rebuild
    const entry = past.endsWith("\n") ? yield* decodeEntry(logFile(name), past) : Option.none()
    if (Option.isSome(entry) && (yield* hasHappened(entry.value))) {
      return yield* save(Records.after(app, entry.value, size))
    }
    yield* Directory.attempt(() => Fs.truncateSync(logFile(name), end))
    return app
  })

  const exclusively: AppDirectory["exclusively"] = (use) =>
    lock.hold(Effect.uninterruptible(Effect.flatMap(settled, use)))

  const current: AppDirectory["current"] = Effect.gen(function*() {
    const found = yield* known
    if (Option.isSome(found)) {
      const { log } = found.value
      if ((yield* sizeOf(log.name)) === log.end) return found.value
    } else if (!(yield* Directory.attempt(() => Fs.existsSync(path)))) return Records.emptyApp(appId)
    return yield* exclusively(Effect.succeed)
  })

  const reading: AppDirectory["reading"] = (of) => {
    const at = (app: Records.App) =>
      Effect.map(
        Effect.forEach(of(app), (userId) => Effect.map(user(userId), (found) => ({ userId, found }))),
        (users) => ({
          app,
          users,
          newest: Math.max(0, ...users.map(({ found }) => found._tag === "User" ? found.user.generation : 0))
        })
      )
    return Effect.gen(function*() {
      const now = yield* at(yield* current)
      if (now.newest <= now.app.number) return now
      // A change is being made, or the app's file is one of earlier.
      return yield* exclusively((app) =>
        Effect.flatMap(
          at(app),
          (then) => then.newest <= app.number ? Effect.succeed(then) : Effect.flatMap(rebuild, at)
        )
      )
    })
  }

  const log: AppDirectory["log"] = Effect.fnUntraced(function*(app, start, after, most) {
    const file = logFile(app.log.name)
    const bytes = yield* Directory.attempt(() => Directory.ifThere(() => Directory.part(file, start, app.log.end)))
    if (bytes === undefined && app.log.end > 0) return Option.none()
    const entries: Array<Records.Entry> = []
    let isDamaged = false
    let last: Option.Option.Value<Part["last"]> | undefined
    let end = start
    while (end < app.log.end && entries.length < most) {
      const next = (bytes?.indexOf(lineBreak, end - start) ?? -1) + 1
      const upTo = next === 0 ? app.log.end : start + next
      const entry = yield* decodeEntry(file, bytes?.toString("utf8", end - start, upTo - start) ?? "")
      if (Option.isNone(entry)) isDamaged = true
      else if (entry.value.number > after) {
        entries.push(entry.value)
        if (entry.value.event !== undefined) last = { number: entry.value.number, start: end }
      }
      end = upTo
    }
    return Option.some({ entries, isDamaged, last: Option.fromUndefinedOr(last), end })
  })

  /** A log without what nobody is behind any more. */
  const shortened = Effect.fnUntraced(function*(app: Records.App): Effect.fn.Return<Records.App, TokenStoreError> {
    if (app.number - app.log.forgotten <= 2 * kept) return app
    const forgotten = app.number - kept
    const part = yield* log(app, 0, forgotten, Infinity)
    const lines = Option.match(part, {
      onNone: () => "",
      onSome: ({ entries }) => entries.map((entry) => `${JSON.stringify(entry)}\n`).join("")
    })
    const name = app.log.name + 1
    yield* Directory.stage(logFile(name), lines)
    const saved = yield* save({ ...app, log: { name, end: Buffer.byteLength(lines), forgotten } })
    yield* Directory.attempt(() => Fs.rmSync(logFile(app.log.name), { force: true }))
    return saved
  })

  /** Deletes the files of users that have said for an hour only that they are gone. */
  const sweep = (names: ReadonlyArray<string>, number: number) =>
    Effect.gen(function*() {
      const lately: Array<string> = []
      for (const name of names) {
        const found = yield* find(name)
        if (found._tag !== "User" || found.user.record !== undefined) continue
        const { departed, generation, writtenAt } = found.user
        const isLately = Records.now() - writtenAt <= remembered.milliseconds ||
          number - Math.max(departed, generation) <= remembered.changes
        if (isLately) lately.push(name)
        else yield* Directory.attempt(() => Fs.rmSync(userFile(name)))
      }
      yield* Directory.attempt(() => Fs.writeFileSync(goneFile, lately.map((name) => `${name}\n`).join("")))
    })

  const forget = Effect.fnUntraced(function*(user: Records.User, number: number) {
    if (user.record === undefined) {
      const line = `${Records.nameOf(user.userId)}\n`
      yield* Directory.attempt(() => Fs.appendFileSync(goneFile, line, { mode: 0o600 }))
    }
    if (number % sweepEvery !== 0) return
    const names = (yield* textOf(goneFile))?.split("\n") ?? []
    yield* sweep([...new Set(names)].filter((name) => name !== ""), number)
  })

  const commit: AppDirectory["commit"] = Effect.fnUntraced(function*(before, user, entry) {
    const app = yield* shortened(before)
    const file = logFile(app.log.name)
    const line = `${JSON.stringify(entry)}\n`
    const after = Records.after(app, entry, app.log.end + Buffer.byteLength(line))
    const change = Effect.gen(function*() {
      const others = Records.isExhausted(after) ? yield* readableUsers : undefined
      const next = others === undefined
        ? after
        : Records.relisted(after, [...others.filter(({ userId }) => userId !== user.userId), user])
      yield* Directory.attempt(() => Directory.make(usersPath))
      yield* Directory.together([
        Directory.append(file, line),
        Directory.stage(staged.user, JSON.stringify(user)),
        Directory.stage(staged.app, JSON.stringify(next))
      ])
      yield* Directory.attempt(() => Fs.renameSync(staged.user, userFile(Records.nameOf(user.userId))))
    })
    yield* Effect.tapError(change, () => Effect.ignore(Directory.attempt(() => Fs.truncateSync(file, app.log.end))))
    // It has happened. What fails from here on is made up for by whoever takes the lock next.
    yield* Effect.ignore(Effect.gen(function*() {
      yield* Directory.flush(usersPath)
      yield* Directory.attempt(() => Fs.renameSync(staged.app, appFile))
      yield* forget(user, entry.number)
    }))
  })

  return { user, users, current, reading, exclusively, commit, log }
}
