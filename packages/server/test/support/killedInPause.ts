/**
 * A process of its own that kills itself while a write to the database file it is given is under way.
 */
import { Database, layerFile } from "@effect-realm/server/Database"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { SliceLength } from "../../src/internal/engine/slices.ts"

const filename = process.argv[2] ?? ""

const write = Effect.gen(function*() {
  const things = (yield* Database).collection({ database: "app", collection: "things" })
  yield* things.insertMany(Array.from({ length: 300 }, (_, _id) => ({ _id, done: [] })))
  let turns = 0
  const turn = (): void => {
    // half of the documents were found and changed by then, and the pages of some are in the log
    if (++turns === 450) process.kill(process.pid, "SIGKILL")
    else setImmediate(turn)
  }
  setImmediate(turn)
  yield* things.updateMany({}, { $set: { text: "x".repeat(10_000) } })
})

await Effect.runPromise(
  Effect.provide(write, Layer.provide(layerFile({ filename }), Layer.succeed(SliceLength, 0)))
)
