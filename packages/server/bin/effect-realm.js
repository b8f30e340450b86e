#!/usr/bin/env node
// npm links a command when it installs, and in a clone nothing is built by then: so this file is there as it is.
import { existsSync } from "node:fs"

const program = new URL("../dist/bin.js", import.meta.url)
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)

const refuse = (message) => {
  process.stderr.write(`effect-realm: ${message}\n`)
  process.exitCode = 1
}

if (major < 22 || (major === 22 && minor < 19)) {
  refuse(`this is Node.js ${process.versions.node}, and 22.19 or later is needed. Install a newer one.`)
} else if (!existsSync(program)) {
  refuse("it is not built yet. Run `npm run build` first.")
} else {
  await import(program.href)
}
