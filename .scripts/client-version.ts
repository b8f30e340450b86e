/** Writes the version of the client where it can read it in a browser, too. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import * as Example from "./Example.ts"
import * as Generated from "./Generated.ts"

const file = "packages/client/src/internal/version.ts"
const manifest: unknown = JSON.parse(readFileSync(join(Example.root, "packages/client/package.json"), "utf8"))
const source =
  `/** The version of this package, as \`package.json\` has it: what a log-in tells the server of the device. */
export const version = "${String(Reflect.get(Object(manifest), "version"))}"
`
Generated.writeOrCheck(new Map([[file, source]]), file)
