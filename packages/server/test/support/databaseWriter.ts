/**
 * A process of its own that writes to the database file it is given and tells what was answered, until it is killed.
 */
import { Database, layerFile } from "@effect-realm/server/Database"
import * as Effect from "effect/Effect"
import { writeSync } from "node:fs"

const filename = process.argv[2] ?? ""

const write = Effect.gen(function*() {
  const things = (yield* Database).collection({ database: "app", collection: "things" })
  yield* things.createIndex({ half: 1 })
  for (let number = 0;; number++) {
    yield* things.insertOne({ _id: number, half: number >> 1 })
    writeSync(1, `${number}\n`)
  }
})

await Effect.runPromise(
  Effect.provide(write, layerFile({ filename })).pipe(
    Effect.catch((error) => Effect.sync(() => writeSync(1, `${error.reason._tag}\n`)))
  )
)
