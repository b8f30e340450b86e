/**
 * How many tests and checks passed, failed and were skipped: kept in files while a run lasts, so that its parts, which are
 * processes of their own, add up to one line.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"

export interface Counts {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

const directory = join(import.meta.dirname, "../node_modules/.cache/effect-realm/counts")

/** Where the counts of a part are kept. */
export const path = (part: string): string => {
  mkdirSync(directory, { recursive: true })
  return join(directory, `${part}.json`)
}

/** What is read of vitest's JSON report. */
interface VitestReport {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numTodoTests: number
  readonly testResults: ReadonlyArray<
    { readonly status: string; readonly assertionResults: ReadonlyArray<{ readonly status: string }> }
  >
}

/** The counts of a part, in our form or in that of vitest's JSON report. None when the part kept none. */
export const read = (part: string): Counts | undefined => {
  if (!existsSync(path(part))) return undefined
  const kept: Counts | VitestReport = JSON.parse(readFileSync(path(part), "utf8"))
  if ("passed" in kept) return kept
  // A file that fails to load has no test that could be counted.
  const broken = kept.testResults.filter((file) =>
    file.status === "failed" && file.assertionResults.every((test) => test.status !== "failed")
  )
  return {
    passed: kept.numPassedTests,
    failed: kept.numFailedTests + broken.length,
    skipped: kept.numPendingTests + kept.numTodoTests
  }
}

export const write = (part: string, counts: Counts): void => writeFileSync(path(part), JSON.stringify(counts))

export const remove = (part: string): void => rmSync(path(part), { force: true })

export const sum = (all: ReadonlyArray<Counts>): Counts => ({
  passed: all.reduce((total, one) => total + one.passed, 0),
  failed: all.reduce((total, one) => total + one.failed, 0),
  skipped: all.reduce((total, one) => total + one.skipped, 0)
})

export const line = (counts: Counts): string =>
  `${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`
