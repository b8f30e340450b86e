/**
 * Files that are made from the sources and kept in the repository: written, or with `--check` compared.
 */
import { existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import * as Example from "./Example.ts"

const firstDifference = (kept: string, made: string): string => {
  const before = kept.split("\n")
  const after = made.split("\n")
  const index = after.findIndex((line, at) => line !== before[at])
  const at = index === -1 ? after.length : index
  return `line ${at + 1}\n  - ${before[at] ?? "(end of file)"}\n  + ${after[at] ?? "(end of file)"}`
}

/** What would change if the files were written now. Empty when all is current. */
export const differences = (made: ReadonlyMap<string, string>, kept: ReadonlyArray<string>): ReadonlyArray<string> => [
  ...[...made].flatMap(([file, content]) => {
    const path = join(Example.root, file)
    if (!existsSync(path)) return [`${file} is missing`]
    const before = readFileSync(path, "utf8").replaceAll("\r\n", "\n")
    return before === content ? [] : [`${file} is out of date, first at ${firstDifference(before, content)}`]
  }),
  ...kept.filter((file) => !made.has(file)).map((file) => `${file} is not made any more`)
]

/** Writes the files, or says on the error output what is out of date. `kept` is a pattern of the files that may be there. */
export const writeOrCheck = (made: ReadonlyMap<string, string>, kept: string): void => {
  const present = globSync(kept, { cwd: Example.root }).map((file) => file.replaceAll("\\", "/")).toSorted()
  if (process.argv.includes("--check")) {
    const stale = differences(made, present)
    for (const line of stale) console.error(line)
    if (stale.length > 0) {
      console.error("Run `npm run docs` and commit what it writes.")
      process.exitCode = 1
    }
    return
  }
  for (const file of present.filter((path) => !made.has(path))) rmSync(join(Example.root, file))
  for (const [file, content] of made) {
    mkdirSync(dirname(join(Example.root, file)), { recursive: true })
    writeFileSync(join(Example.root, file), content)
  }
}
