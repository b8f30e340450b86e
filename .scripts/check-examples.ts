/**
 * Type-checks every example of the documentation against the built declarations, as strictly as our own code, and
 * reports each error at its place in the documentation.
 */
import { spawnSync } from "node:child_process"
import { mkdirSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import * as Example from "./Example.ts"

const cache = "node_modules/.cache/effect-realm/examples"
const directory = join(Example.root, cache)
const examples = new Map(Example.all().map((example) => [`${cache}/${example.file}/${example.line}.ts`, example]))

rmSync(directory, { recursive: true, force: true })
for (const [path, example] of examples) {
  mkdirSync(dirname(join(Example.root, path)), { recursive: true })
  writeFileSync(join(Example.root, path), Example.toModule(example, "types"))
}
mkdirSync(directory, { recursive: true })
writeFileSync(
  join(directory, "tsconfig.json"),
  JSON.stringify({
    extends: join(Example.root, ".scripts/tsconfig.json"),
    compilerOptions: { customConditions: [], typeRoots: [join(Example.root, "node_modules/@types")] },
    files: [...examples.keys()].map((path) => join(Example.root, path)),
    include: [],
    references: []
  })
)

const { status, stdout } = spawnSync("tsc", ["--pretty", "false", "--project", join(directory, "tsconfig.json")], {
  cwd: Example.root,
  encoding: "utf8",
  shell: process.platform === "win32"
})

console.log(
  stdout.replace(/^(.+?\.ts)\((\d+),(\d+)\)/gm, (text, path: string, line: string, column: string) => {
    const example = examples.get(path)
    return example === undefined ? text : `${example.file}(${line},${Number(column) + example.indent})`
  }) + `${examples.size} examples, ${status === 0 ? "all" : "not all"} of the right types`
)
process.exitCode = status ?? 1
