/** Files that are replaced as a whole and last, in directories that nobody but their owner writes to. */
import { TokenStoreError } from "@effect-realm/client/ClientError"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fs from "node:fs"
import * as Path from "node:path"

/** What the file system says is wrong. */
export const failure = (cause: unknown): TokenStoreError => {
  const message = cause instanceof Error ? cause.message : String(cause)
  return new TokenStoreError({ reason: { _tag: "Unavailable", detail: `the file system says: ${message}`, cause } })
}

/** Work on files. What is small and in memory most of the time is done at once; what waits for the disk is not. */
export const attempt = <A>(use: () => A): Effect.Effect<A, TokenStoreError> => Effect.try({ try: use, catch: failure })

export const attemptAsync = <A>(use: () => Promise<A>): Effect.Effect<A, TokenStoreError> =>
  Effect.tryPromise({ try: use, catch: failure })

const isMissing = (error: unknown): boolean => error instanceof Error && "code" in error && error.code === "ENOENT"

/** What `use` answers, or `undefined` when the file is not there. */
export const ifThere = <A>(use: () => A): A | undefined => {
  try {
    return use()
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

/** A part of a file, which may be shorter than it was expected to be. */
export const part = (path: string, start: number, end: number): Buffer => {
  const file = Fs.openSync(path, "r")
  try {
    const bytes = Buffer.alloc(Math.max(0, end - start))
    return bytes.subarray(0, Fs.readSync(file, bytes, 0, bytes.length, start))
  } finally {
    Fs.closeSync(file)
  }
}

/** Makes directories, for their owner only. */
export const make = (path: string): void => void Fs.mkdirSync(path, { recursive: true, mode: 0o700 })

/** Makes the directory when there is none, and refuses one that others may write to. */
export const checked = (path: string): Effect.Effect<string, TokenStoreError> =>
  Effect.flatMap(
    attempt(() => {
      const directory = Path.resolve(path)
      make(directory)
      Fs.accessSync(directory, Fs.constants.R_OK | Fs.constants.W_OK | Fs.constants.X_OK)
      return { directory, stat: Fs.statSync(directory) }
    }),
    ({ directory, stat }) => {
      // Windows has no such numbers.
      const self = process.getuid?.()
      const isOthers = self !== undefined && stat.uid !== self && stat.uid !== 0
      const isOpen = self !== undefined && (stat.mode & 0o022) !== 0
      if (!isOthers && !isOpen) return Effect.succeed(directory)
      const why = isOthers
        ? `belongs to another user (${stat.uid})`
        : `may be written to by others (its mode is ${(stat.mode & 0o777).toString(8)})`
      const detail = `the directory ${directory} ${why}, who could put sessions of their own there: ` +
        (isOthers ? "choose one that belongs to this user" : `run "chmod 700 ${directory}", or choose another one`)
      return Effect.fail(new TokenStoreError({ reason: { _tag: "Misconfigured", detail } }))
    }
  )

const flushed = (path: string, flags: string, write: (file: Fs.promises.FileHandle) => Promise<void>) =>
  attemptAsync(async () => {
    const file = await Fs.promises.open(path, flags, 0o600)
    try {
      await write(file)
      await file.sync()
    } finally {
      await file.close()
    }
  })

/** Writes a file that is on the disk when this is done, to be renamed to what it is to replace. */
export const stage = (path: string, text: string): Effect.Effect<void, TokenStoreError> =>
  flushed(path, "w", (file) => file.writeFile(text))

/** Adds to a file what is on the disk when this is done. */
export const append = (path: string, text: string): Effect.Effect<void, TokenStoreError> =>
  flushed(path, "a", (file) => file.writeFile(text))

/** Waits until what was renamed in a directory is on the disk. */
export const flush = (path: string): Effect.Effect<void, TokenStoreError> =>
  // Windows opens no directories, and needs no such thing.
  process.platform === "win32" ? Effect.void : flushed(path, "r", () => Promise.resolve())

/** Does several things at once, and fails when all have ended if one of them has failed. */
export const together = (
  all: ReadonlyArray<Effect.Effect<void, TokenStoreError>>
): Effect.Effect<void, TokenStoreError> =>
  Effect.flatMap(
    Effect.forEach(all, Effect.exit, { concurrency: "unbounded" }),
    (exits) => Exit.asVoidAll(exits)
  )
