/**
 * `npm run bench`: measures everything, prints the tables and writes `docs/bench.md`, part by part, so that a run that is
 * cut off keeps what it has.
 *
 * `npm run bench -- calls bundle` measures these parts alone.
 */
import * as Effect from "effect/Effect"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { availableParallelism, cpus, loadavg } from "node:os"
import * as Bench from "./Bench.ts"
import * as Page from "./Page.ts"
import * as Sizes from "./Sizes.ts"
import * as Table from "./Table.ts"

const page = new URL("../../../docs/bench.md", import.meta.url)

const effectVersion = (): string => {
  const manifest: unknown = JSON.parse(readFileSync(new URL(import.meta.resolve("effect/package.json")), "utf8"))
  return String(Reflect.get(Object(manifest), "version"))
}

const at: Table.Circumstances = {
  date: new Date().toISOString().slice(0, 10),
  processor: cpus()[0]?.model ?? "an unknown processor",
  cores: availableParallelism(),
  busy: loadavg()[0] ?? 0,
  node: process.versions.node,
  effect: effectVersion()
}

const parts = Object.keys(Bench.parts)
const chosen = process.argv.slice(2)

const program = Effect.gen(function*() {
  for (const name of chosen.length === 0 ? parts : chosen) {
    const begin = performance.now()
    const rows = yield* Bench.run(name, Sizes.full)
    console.error(`measured ${name} in ${Math.round((performance.now() - begin) / 1000)} s`)
    console.log(Table.table(rows))
    const written = existsSync(page) ? readFileSync(page, "utf8") : ""
    writeFileSync(page, Page.renewed(written, name, Table.section(rows, at), parts))
  }
})

await Effect.runPromise(program)
