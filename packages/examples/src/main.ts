/**
 * `npm start`: the tour. `npm start -- --serve`: the sample app's server, until it is stopped.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Runtime from "effect/Runtime"
import * as Schema from "effect/Schema"
import { parseArgs } from "node:util"
import * as Shop from "./Shop.ts"
import * as Tour from "./Tour.ts"

const usage = `npm start                          run the tour on the sample app
npm start -- --serve               keep a server with the sample app up
npm start -- [--serve] <folder>    the same with another exported app`

/** The port that the guides speak of, or a free one when another program has it. */
const shop = (options: Shop.Options) =>
  Shop.layer({ ...options, port: 9090 }).pipe(
    Layer.catch((error) =>
      error._tag === "ListenError" && error.reason._tag === "PortInUse"
        ? Shop.layer(options)
        : Layer.effect(Shop.Shop, Effect.fail(error))
    )
  )

/** Serves until the process is interrupted. */
const serve = (options: Shop.Options) =>
  Effect.gen(function*() {
    const { app } = yield* Shop.Shop
    yield* Console.log(`${app.id} is served at ${app.baseUrl}`)
    yield* Console.log("Its data is in memory and ends with it. Press Ctrl-C to stop.")
    return yield* Effect.never.pipe(
      Effect.onInterrupt(() => Console.log("\nStopping: requests in flight are finished first."))
    )
  }).pipe(Effect.provide(shop(options)), Effect.onInterrupt(() => Console.log("Stopped.")))

/** The arguments are none of those that the usage lists. */
class UsageError extends Schema.TaggedError<UsageError>()("UsageError", { detail: Schema.String }) {
  override get message(): string {
    return `${this.detail}\n\n${usage}`
  }
}

const parsed = Effect.try({
  try: () => parseArgs({ options: { serve: { type: "boolean" }, help: { type: "boolean" } }, allowPositionals: true }),
  catch: (error) => new UsageError({ detail: error instanceof Error ? error.message : String(error) })
})

const program = Effect.gen(function*() {
  const { positionals: [folder], values } = yield* parsed
  const options = folder === undefined ? {} : { folder }
  if (values.help === true) return yield* Console.log(usage)
  return yield* values.serve === true ? serve(options) : Tour.run(options)
}).pipe(
  Effect.tapError((error) => Console.error(`\n${error.message}`))
)

NodeRuntime.runMain(program, {
  disableErrorReporting: true,
  // To be interrupted is how a server ends well.
  teardown: (exit, onExit) =>
    Exit.hasInterrupts(exit) && process.argv.includes("--serve") ? onExit(0) : Runtime.defaultTeardown(exit, onExit)
})
