/**
 * A process of its own that kills itself while the log of a large write is being moved into the database file it is given.
 */
import { Database, layerFile } from "@effect-realm/server/Database"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"

const filename = process.argv[2] ?? ""

const write = Effect.gen(function*() {
  const things = (yield* Database).collection({ database: "app", collection: "things" })
  const text = "x".repeat(1024 * 1024)
  yield* things.insertMany(Array.from({ length: 20 }, (_, _id) => ({ _id, text })))
  const begun = fs.statSync(filename).size
  while (fs.statSync(filename).size === begun) yield* Effect.promise(() => new Promise(setImmediate))
  process.kill(process.pid, "SIGKILL")
})

await Effect.runPromise(Effect.provide(write, layerFile({ filename })))
