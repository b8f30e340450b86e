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

const number = (value: unknown, key: string): number =>
  typeof value === "object" && value !== null && key in value ? Number(Reflect.get(value, key)) : 0

/** The counts of a part in our form or in the one of vitest's JSON report. None when the part kept none. */
export const read = (part: string): Counts | undefined => {
  if (!existsSync(path(part))) return undefined
  const kept: unknown = JSON.parse(readFileSync(path(part), "utf8"))
  return {
    passed: number(kept, "passed") + number(kept, "numPassedTests"),
    failed: number(kept, "failed") + number(kept, "numFailedTests"),
    skipped: number(kept, "skipped") + number(kept, "numPendingTests") + number(kept, "numTodoTests")
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
