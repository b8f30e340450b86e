/**
 * `npm run bench`: measures everything, prints the table and writes `docs/bench.md`.
 *
 * `npm run bench -- calls bundle` measures these parts alone and writes nothing.
 */
import * as Effect from "effect/Effect"
import { readFileSync, writeFileSync } from "node:fs"
import { availableParallelism, cpus, loadavg } from "node:os"
import * as Bench from "./Bench.ts"
import type { Row } from "./Row.ts"
import * as Sizes from "./Sizes.ts"
import * as Table from "./Table.ts"

const page = new URL("../../../docs/bench.md", import.meta.url)

const effectVersion = (): string => {
  const manifest: unknown = JSON.parse(readFileSync(new URL(import.meta.resolve("effect/package.json")), "utf8"))
  return String(Reflect.get(Object(manifest), "version"))
}

const chosen = process.argv.slice(2)
const busy = loadavg()[0] ?? 0

const program = Effect.gen(function*() {
  const rows: Array<Row> = []
  for (const name of chosen.length === 0 ? Object.keys(Bench.parts) : chosen) {
    const begin = performance.now()
    rows.push(...(yield* Bench.run(name, Sizes.full)))
    console.error(`measured ${name} in ${Math.round((performance.now() - begin) / 1000)} s`)
  }
  console.log(Table.table(rows))
  if (chosen.length > 0) return
  const at: Table.Circumstances = {
    date: new Date().toISOString().slice(0, 10),
    processor: cpus()[0]?.model ?? "an unknown processor",
    cores: availableParallelism(),
    busy,
    node: process.versions.node,
    effect: effectVersion()
  }
  writeFileSync(page, Table.page(rows, at))
})

await Effect.runPromise(program)
