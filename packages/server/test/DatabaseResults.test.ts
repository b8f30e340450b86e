import { Database } from "@effect-realm/server"
import { it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { resultsContract } from "./DatabaseResults.contract.ts"
import * as Server from "./support/mongodb/server.ts"

resultsContract(
  "embedded",
  Effect.map(
    Layer.build(Layer.fresh(Database.layerMemory)),
    (built) =>
      Context.get(built, Database.Database).collection({ database: "app", collection: "things" }, { numbers: "exact" })
  )
)

const url = process.env["MONGODB_URL"]
if (url === undefined) it.skip("MongoDB answers the same: set MONGODB_URL to the address of one to see", () => {})
else resultsContract("MongoDB", Server.make(url))
