/**
 * The thread that moves SQLite's log into the file: first while others write, and then, when it is told that nobody does, the
 * rest of it.
 */
import { parentPort, workerData } from "node:worker_threads"
import { connectBeside } from "./sqliteConnection.ts"

// reads that end at once are waited for, in milliseconds, and not those that pause
const patience = 50

// Set in every thread.
const port = parentPort!
const database = connectBeside(workerData)
database.exec(`PRAGMA busy_timeout = ${patience}; PRAGMA wal_checkpoint(PASSIVE)`)

port.once("message", () => {
  try {
    database.exec("PRAGMA wal_checkpoint(TRUNCATE)")
    // The first write to an empty log waits for the disk. So it is this one, which changes nothing.
    const version = database.prepare("PRAGMA user_version").get()?.["user_version"]
    database.exec(`PRAGMA user_version = ${version}`)
  } finally {
    database.close()
  }
  port.postMessage("ended")
})
port.postMessage("moved")
