/**
 * A Vite plugin that makes a file with examples a test file: one test per block, named by its line. It keeps no state
 * between files, so the order in which they are loaded does not matter.
 */
import { readFileSync } from "node:fs"
import { join, relative } from "node:path"
import { type Plugin, transformWithOxc } from "vite"
import * as Example from "./Example.ts"

/** The files that have at least one block to run. */
export const testFiles = (): Array<string> => [
  ...new Set(Example.all().filter((example) => example.run).map((example) => example.file))
]

export const examples = (): Plugin => {
  const tests = new Set(testFiles())
  return {
    name: "effect-realm:examples",
    enforce: "pre",
    async load(id) {
      const [path = "", query] = id.split("?")
      const file = relative(Example.root, path).replaceAll("\\", "/")
      if (!tests.has(file)) return undefined
      const blocks = Example.extract(file, readFileSync(path, "utf8")).filter((example) => example.run)
      const line = /^example=(\d+)$/.exec(query ?? "")?.[1]
      if (line === undefined) {
        const at = join(Example.root, file)
        const test = (block: Example.Example) =>
          `test("the example at line ${block.line} runs", () => import(${
            JSON.stringify(`${at}?example=${block.line}`)
          }))`
        return { code: [`import { test } from "vitest"`, ...blocks.map(test)].join("\n"), map: null }
      }
      const block = blocks.find((example) => example.line === Number(line))
      if (block === undefined) throw new Error(`${file}:${line}: there is no example here`)
      const { code, map } = await transformWithOxc(Example.toModule(block, "run"), path, {
        lang: "ts",
        sourcemap: true
      })
      return { code, map: map ?? null }
    }
  }
}
