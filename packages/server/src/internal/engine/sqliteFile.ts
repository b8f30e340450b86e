/**
 * Opening a SQLite database for this process alone, and telling its failures apart.
 */
import * as fs from "node:fs"
import { DatabaseSync, type DatabaseSyncOptions } from "node:sqlite"
import { pathToFileURL } from "node:url"
import { DatabaseError } from "../../DatabaseError.ts"
import { Damaged } from "./bsonValue.ts"
import { changeSchema } from "./changeLog.ts"
import { failure } from "./failure.ts"
import { catalogSchema } from "./sqliteCatalog.ts"
import { connect, connectBeside, identityOf, isShared, type OpenFile } from "./sqliteConnection.ts"
import { WriteAheadLog } from "./writeAheadLog.ts"

/** "rlmd": marks the files that are ours, in SQLite's field for it. */
const applicationId = 0x726c6d64
const layoutVersion = 2

/** So much of SQLite's log stays on the disk, where it moves it by itself, when what is in it has been moved. */
const keptLogBytes = 16 * 1024 * 1024

export type Durability = "process" | "power"

const primaryCode = (error: unknown): number | undefined =>
  error instanceof Error && "errcode" in error && typeof error.errcode === "number" ? error.errcode & 0xff : undefined

/** A thrown value of SQLite, the file system or bson as the reason it stands for. */
export const toDatabaseError = (filename: string, error: unknown): DatabaseError => {
  if (error instanceof DatabaseError) return error
  const detail = error instanceof Error ? error.message : String(error)
  switch (primaryCode(error)) {
    case 5: // SQLITE_BUSY
    case 6: // SQLITE_LOCKED
      return failure({ _tag: "Locked", filename }, error)
    case 11: // SQLITE_CORRUPT
      return failure({ _tag: "Corrupt", filename, detail: "it is damaged" }, error)
    case 26: // SQLITE_NOTADB
      return failure({ _tag: "Corrupt", filename, detail: "it is not a database" }, error)
    default:
  }
  if (error instanceof Damaged) {
    return failure({ _tag: "Corrupt", filename, detail: "a document in it is damaged" }, error)
  }
  return failure({ _tag: "Unavailable", filename, detail }, error)
}

const corrupt = (filename: string, detail: string): DatabaseError => failure({ _tag: "Corrupt", filename, detail })

const isMissing = (error: unknown): boolean => error instanceof Error && "code" in error && error.code === "ENOENT"

/** Creates the file readable by its owner alone; SQLite gives its log the same permissions. */
const create = (filename: string): void => {
  fs.closeSync(fs.openSync(filename, "wx", 0o600))
}

const pragma = (database: DatabaseSync, name: string): number =>
  Number(database.prepare(`PRAGMA ${name}`).get()?.[name])

// A process may end while it moves the log into the file, which may then be shorter than it says, without its log. SQLite
// reads that where the schema may be written to, which newer versions of Node.js do not allow by themselves.
const readTorn: DatabaseSyncOptions & { readonly defensive: boolean } = { readOnly: true, defensive: false }

/**
 * Looks at the file without a lock or a log, so that nothing is ever written to or beside one that is not ours. SQLite
 * does even this reading: a process that closes a handle of its own on the file loses all the locks it has on it.
 */
const inspect = (filename: string): "new" | "ours" => {
  let found: fs.Stats
  try {
    found = fs.statSync(filename)
  } catch (error) {
    if (!isMissing(error)) throw error
    create(filename)
    return "new"
  }
  if (!found.isFile()) throw corrupt(filename, "it is not a file")
  if (found.size === 0) return "new"
  if (found.size < 512) throw corrupt(filename, "it is not a database")
  const url = pathToFileURL(filename)
  url.searchParams.set("immutable", "1")
  const database = new DatabaseSync(url, readTorn)
  try {
    database.exec("PRAGMA writable_schema = ON")
    const id = pragma(database, "application_id")
    // the process that made it ended before the mark was set: still without any content
    if (id === 0 && pragma(database, "schema_version") === 0) return "new"
    if (id !== applicationId) throw corrupt(filename, "it is the database of another program")
    const version = pragma(database, "user_version")
    if (version > layoutVersion) throw corrupt(filename, `it was written by a newer version (layout ${version})`)
    return "ours"
  } finally {
    database.close()
  }
}

const schema = catalogSchema + changeSchema

/** A file that more than one connection may use. */
export interface SharedFile extends OpenFile {
  /** Opens a connection that reads what is committed. */
  readonly openReader: () => DatabaseSync
  /** Not moved into the file by the connection that writes. */
  readonly log: WriteAheadLog
}

/** An open database. */
export interface SqliteFile {
  readonly filename: string
  /** The connection that writes. */
  readonly database: DatabaseSync
  /** Not there when the database has but this one. */
  readonly shared: SharedFile | undefined
  /** Closes it, when all that was opened beside it is closed. */
  readonly close: () => void
}

/** A database in memory, gone when closed. */
export const openMemory = (): SqliteFile => {
  const database = new DatabaseSync(":memory:")
  database.exec(schema)
  return { filename: ":memory:", database, shared: undefined, close: () => database.close() }
}

/**
 * What keeps this process, in whatever thread, from opening a file twice, as the lock of the operating system keeps out the
 * others: a database in memory that is named after it, and locked.
 */
const claim = (filename: string): DatabaseSync => {
  const database = new DatabaseSync(new URL(`file:///effect-realm-${identityOf(filename)}?vfs=memdb`))
  try {
    database.exec("PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE")
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

/**
 * Opens a file for this process alone; the lock is the operating system's and ends with the process.
 *
 * @param longLog from how many bytes on its log is long
 */
export const openFile = (filename: string, durability: Durability, longLog: number): SqliteFile => {
  let claimed: DatabaseSync | undefined
  let database: DatabaseSync | undefined
  try {
    const state = inspect(filename)
    claimed = claim(filename)
    const file = { filename, identity: identityOf(filename) }
    const opened = database = connect(filename)
    // Set before the first access: the lock is never given back. A second process that writes through caches of its own
    // could not be told from damage.
    if (!isShared) database.exec("PRAGMA locking_mode = EXCLUSIVE")
    if (state === "new") {
      database.exec(
        `BEGIN EXCLUSIVE; PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${layoutVersion}; COMMIT`
      )
    }
    database.exec("BEGIN IMMEDIATE; COMMIT")
    database.prepare("SELECT count(*) FROM sqlite_schema").get()
    database.exec("PRAGMA journal_mode = WAL")
    // NORMAL: a commit is in the log before it is answered, so it survives the end of the process; only a loss of power
    // can take back the last of them, and never damages the file. FULL waits for the disk at each commit (30 times the
    // cost here), and all else waits with it: the engine runs on the event loop.
    database.exec(`PRAGMA synchronous = ${durability === "power" ? "FULL" : "NORMAL"}`)
    // A large write makes the log as long as itself. Without a limit it would stay so until the end.
    database.exec(isShared ? "PRAGMA wal_autocheckpoint = 0" : `PRAGMA journal_size_limit = ${keptLogBytes}`)
    database.exec(schema)
    // versions that do not know all of the tables must not write past them
    if (pragma(database, "user_version") !== layoutVersion) database.exec(`PRAGMA user_version = ${layoutVersion}`)
    const log = isShared ? new WriteAheadLog(filename, longLog) : undefined
    const claimedUntilClosed = claimed
    return {
      filename,
      database,
      shared: log && { ...file, log, openReader: () => connectBeside(file, { readOnly: true }) },
      close: () => {
        try {
          close(opened)
        } finally {
          log?.close()
          claimedUntilClosed.close()
        }
      }
    }
  } catch (error) {
    if (database?.isOpen === true) database.close()
    claimed?.close()
    throw toDatabaseError(filename, error)
  }
}

/** Moves the log into the file and closes it. */
const close = (database: DatabaseSync): void => {
  try {
    database.exec("PRAGMA wal_checkpoint(TRUNCATE)")
  } finally {
    database.close()
  }
}
