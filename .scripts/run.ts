/**
 * Runs every step of a suite, whether the steps before it succeed or not, and ends with the counts of all.
 *
 * - `node .scripts/run.ts test`: what `npm test` runs.
 * - `node .scripts/run.ts check`: what `npm run check` runs.
 * - `node .scripts/run.ts total`: the counts of the last `test` and the last `check` together.
 */
import { spawnSync } from "node:child_process"
import { createRequire } from "node:module"
import * as Counts from "./Counts.ts"
import * as Example from "./Example.ts"

interface Step {
  readonly name: string
  readonly command: string
  readonly args: ReadonlyArray<string>
  /** Set when the step keeps counts of its own. Any other step counts as one. */
  readonly counts?: string
  readonly env?: Readonly<Record<string, string>>
}

const step = (name: string, command: string, ...args: ReadonlyArray<string>): Step => ({ name, command, args })

// TypeScript 7 has no JavaScript API yet; the type tests run on the 6 that `.scripts/package.json` asks for, instead of
// on one that tstyche would fetch while the tests run.
const typescript = createRequire(import.meta.url).resolve("typescript")

const suites: Readonly<Record<string, ReadonlyArray<Step>>> = {
  test: [
    step("types", "tsc", "-b"),
    {
      ...step(
        "tests and examples",
        "vitest",
        "run",
        "--config",
        "vitest.workspace.ts",
        "--reporter=default",
        "--reporter=json",
        `--outputFile.json=${Counts.path("vitest")}`
      ),
      counts: "vitest"
    },
    step("types of the examples", "node", ".scripts/check-examples.ts"),
    {
      ...step("type tests", "tstyche", "--config", ".tstyche.json"),
      counts: "tstyche",
      env: { TSTYCHE_TYPESCRIPT_MODULE: typescript }
    }
  ],
  check: [
    step("lint", "oxlint"),
    step("format", "dprint", "check"),
    ...[...Example.published, "examples", "bench"].map((name) =>
      step(
        `Effect diagnostics of ${name}`,
        "effect-tsgo",
        "diagnostics",
        "--strict",
        "--severity",
        "error,warning",
        "--project",
        `packages/${name}/tsconfig.json`
      )
    ),
    ...Example.published.map((name) =>
      step(`publint of ${name}`, "publint", "run", "--strict", "--pack", "npm", `packages/${name}`)
    ),
    step("doc comments", "node", ".scripts/check-docs.ts"),
    step("API reference", "node", ".scripts/api-docs.ts", "--check"),
    step("OpenAPI document", "node", ".scripts/openapi.ts", "--check")
  ]
}

const run = ({ args, command, counts, env, name }: Step): Counts.Counts => {
  console.log(`\n> ${name}: ${command} ${args.join(" ")}`)
  if (counts !== undefined) Counts.remove(counts)
  const { error, status } = spawnSync(command, args, {
    cwd: Example.root,
    env: { ...process.env, ...env },
    stdio: ["ignore", "inherit", "inherit"],
    shell: process.platform === "win32"
  })
  if (error !== undefined) console.error(error.message)
  const own = counts === undefined ? undefined : Counts.read(counts)
  // A step that keeps counts can still fail outside of any test.
  if (status !== 0 && (own?.failed ?? 0) === 0) return Counts.sum([own ?? none, { passed: 0, failed: 1, skipped: 0 }])
  return own ?? { passed: 1, failed: 0, skipped: 0 }
}

const none: Counts.Counts = { passed: 0, failed: 0, skipped: 0 }

const finish = (counts: Counts.Counts): void => {
  console.log(`\n${Counts.line(counts)}`)
  if (counts.failed > 0) process.exitCode = 1
}

const suite = process.argv[2] ?? ""
const steps = suites[suite]
if (steps !== undefined) {
  Counts.remove(suite)
  const results = steps.map((one) => ({ name: one.name, counts: run(one) }))
  console.log("")
  for (const { counts, name } of results) console.log(`${counts.failed === 0 ? "ok    " : "FAILED"} ${name}`)
  const total = Counts.sum(results.map((result) => result.counts))
  Counts.write(suite, total)
  finish(total)
} else if (suite === "total") {
  finish(Counts.sum(Object.keys(suites).map((part) => Counts.read(part) ?? { ...none, failed: 1 })))
} else {
  console.error(`Unknown suite "${suite}": say test, check or total`)
  process.exitCode = 2
}
