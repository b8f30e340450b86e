/** Refuses a public export without a doc comment, and a function, class or layer that no example shows. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import * as ApiReference from "./ApiReference.ts"
import * as Example from "./Example.ts"

const sourceOf = (file: string) => readFileSync(join(Example.root, file), "utf8")
const gaps = ApiReference.modules().flatMap((module) => ApiReference.gaps(module, sourceOf))
for (const gap of gaps) console.error(gap)
if (gaps.length > 0) process.exitCode = 1
