// Installs the dependencies when they are missing or older than the lock file. Plain JavaScript that
// runs on whatever Node.js npm itself runs on, because the project's own Node.js is one of them.
import { spawnSync } from "node:child_process"
import { existsSync, statSync } from "node:fs"

const lock = "package-lock.json"
const installed = "node_modules/.package-lock.json"

const isCurrent = existsSync(installed) && existsSync(lock) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs
if (!isCurrent) {
  const npm = spawnSync("npm", [existsSync(lock) ? "ci" : "install"], {
    stdio: "inherit",
    shell: process.platform === "win32"
  })
  process.exit(npm.status ?? 1)
}
