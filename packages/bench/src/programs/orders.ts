/**
 * The program behind `OrderServer.ts`: our server on a file, in a process of its own, with the collections filled.
 */
import { Database, Listener } from "@effect-realm/server"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Orders from "../Orders.ts"

const [filename = "", small = "0", large = "0"] = process.argv.slice(2)

const filled = Effect.gen(function*() {
  const { collection } = yield* Database.Database
  for (const [database, count] of [["small", Number(small)], ["large", Number(large)]] as const) {
    for (const name of Object.values(Orders.collections)) {
      yield* Orders.fill(collection({ database, collection: name }), count)
    }
  }
  process.send?.(yield* Listener.origin)
})

// The parent has gone: nobody else would end this process.
process.on("disconnect", () => process.exit())

Layer.effectDiscard(filled).pipe(
  Layer.provide(Listener.layer({ app: Orders.app })),
  Layer.provide(Database.layerFile({ filename })),
  Layer.launch,
  NodeRuntime.runMain
)
