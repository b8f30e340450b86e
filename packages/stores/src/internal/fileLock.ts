/**
 * A lock among processes that the operating system takes back when its holder dies, however it dies. Node.js has no locks
 * of files; the SQLite that is a part of it has: an empty database that nobody writes to, and an exclusive transaction.
 */
import { TokenStoreError } from "@effect-realm/client/ClientError"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { DatabaseSync } from "node:sqlite"
import { setTimeout } from "node:timers/promises"
import * as FileIdentity from "./fileIdentity.ts"

export interface FileLock {
  /** Runs an effect that nobody else runs meanwhile, in this process or in another. */
  readonly hold: <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E | TokenStoreError>
}

const patience = "5 seconds"

// How long a process may have it again and again, and for how long it then leaves it alone, in milliseconds.
const turn = 50
const pause = 5

const codeOf = (cause: unknown): unknown => cause instanceof Error && "errcode" in cause ? cause.errcode : undefined
const busy = 5
const noDatabase = 26

const failure = (path: string) => (cause: unknown): TokenStoreError => {
  const code = codeOf(cause)
  const detail = code === busy
    ? `another process has held the lock ${path} for ${patience}: is it stopped?`
    : code === noDatabase
    ? `the file ${path} is no lock; it holds nothing that is needed, so delete it while no program runs`
    : `the lock ${path} cannot be used: ${cause instanceof Error ? cause.message : String(cause)}`
  return new TokenStoreError({ reason: { _tag: "Unavailable", detail, cause } })
}

const isBusy = ({ reason }: TokenStoreError): boolean => reason._tag === "Unavailable" && codeOf(reason.cause) === busy

interface Opened {
  readonly database: DatabaseSync
  readonly file: string | undefined
}

/** Makes an empty file for its owner, unless there is one. */
const create = (path: string): void => {
  // One that is there is not even opened: to close it would end the locks that the whole process has on it.
  if (FileIdentity.of(path) === undefined) Fs.closeSync(Fs.openSync(path, "a", 0o600))
}

/**
 * The lock of a file, which is made when it is first held, as is the directory it is in.
 *
 * @param scope how long it is used
 */
export const make = (path: string, scope: Scope.Scope): FileLock => {
  const semaphore = Semaphore.makeUnsafe(1)
  let opened: Opened | undefined

  const patiently = <A>(use: () => A): Effect.Effect<A, TokenStoreError> =>
    Effect.retry(Effect.try({ try: use, catch: failure(path) }), {
      while: isBusy,
      schedule: Schedule.max([Schedule.spaced("2 millis"), Schedule.during(patience)])
    })

  const close = Effect.sync(() => {
    opened?.database.close()
    opened = undefined
  })

  const open = Effect.gen(function*() {
    if (opened !== undefined) return opened
    const made = yield* Effect.try({
      try: () => {
        Fs.mkdirSync(Path.dirname(path), { recursive: true, mode: 0o700 })
        create(path)
        return { database: new DatabaseSync(path), file: FileIdentity.of(path) }
      },
      catch: failure(path)
    })
    opened = made
    yield* Scope.addFinalizer(scope, close)
    // Or each transaction would make a file beside it.
    yield* Effect.onError(patiently(() => made.database.exec("PRAGMA journal_mode = MEMORY")), () => close)
    return made
  })

  // Other processes look every two milliseconds whether it is free. One that does one thing after the other would have it
  // whenever they look, so it leaves it alone now and then: by the clock of the machine, by which they wait.
  const turnOf = { began: 0, ended: 0 }
  const considerate = Effect.suspend(() => {
    const now = performance.now()
    if (now - turnOf.ended > pause) turnOf.began = now
    if (now - turnOf.began < turn) return Effect.void
    return Effect.andThen(
      Effect.promise(() => setTimeout(pause)),
      Effect.sync(() => void (turnOf.began = performance.now()))
    )
  })

  const taken = Effect.gen(function*() {
    const { database, file } = yield* open
    yield* patiently(() => void database.exec("BEGIN EXCLUSIVE"))
    return file !== undefined && FileIdentity.of(path) === file
  })
  // A file that was deleted or moved away, with its directory perhaps, is no lock among those who come later.
  const begin = Effect.andThen(
    considerate,
    Effect.repeat(Effect.tap(taken, (isOurs) => isOurs ? Effect.void : close), {
      until: (isOurs) => isOurs
    })
  )
  // One that cannot be ended is said by whoever begins the next.
  const end = Effect.ignore(Effect.try(() => {
    turnOf.ended = performance.now()
    opened?.database.exec("ROLLBACK")
  }))

  return { hold: (effect) => semaphore.withPermit(Effect.acquireUseRelease(begin, () => effect, () => end)) }
}
