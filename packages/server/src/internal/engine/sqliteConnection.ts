/**
 * Connections of one process to a SQLite file, in whatever thread.
 */
import * as fs from "node:fs"
import { DatabaseSync, type DatabaseSyncOptions } from "node:sqlite"
import { pathToFileURL } from "node:url"

// Of this process alone, with an index of the log that all its connections share in memory. Windows has no such thing.
const ownedByProcess = process.platform === "win32" ? undefined : "unix-excl"

/** Whether a file may have more than one connection. */
export const isShared: boolean = ownedByProcess !== undefined

export const connect = (filename: string, options: DatabaseSyncOptions = {}): DatabaseSync => {
  const url = pathToFileURL(filename)
  if (ownedByProcess !== undefined) url.searchParams.set("vfs", ownedByProcess)
  const database = new DatabaseSync(url, options)
  // nobody is waited for: that would hold the thread
  database.exec("PRAGMA busy_timeout = 0")
  return database
}

/** Tells a file from another one of the same name. */
export const identityOf = (filename: string): string => {
  const { dev, ino } = fs.statSync(filename)
  return `${dev}-${ino}`
}

/** A file that is open, and which one it is. */
export interface OpenFile {
  readonly filename: string
  readonly identity: string
}

/** Another connection to a file that is open. */
export const connectBeside = ({ filename, identity }: OpenFile, options?: DatabaseSyncOptions): DatabaseSync => {
  if (identityOf(filename) !== identity) throw new Error("another file was put in its place")
  return connect(filename, options)
}
