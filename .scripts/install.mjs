// Installs the dependencies when they are missing or older than the lock file. Plain JavaScript that
// runs on whatever Node.js npm itself runs on, because the project's own Node.js is one of them.
import { spawnSync } from "node:child_process"
import { existsSync, statSync } from "node:fs"

const lock = "package-lock.json"
const installed = "node_modules/.package-lock.json"

const isCurrent = existsSync(installed) && existsSync(lock) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs
if (!isCurrent) {
  // The versions are those of the lock file, which is not written. `npm ci` would be stricter, but it refuses a lock file
  // without the optional packages of every platform, and npm leaves those out that the registry could not show it.
  // A test compares the lock file with the manifests instead.
  // Errors alone are told: npm would warn of each package that wants another Node.js than the one npm itself runs on, and the
  // right one is among them.
  const npm = spawnSync("npm", ["install", "--no-save", "--no-audit", "--no-fund", "--loglevel", "error"], {
    stdio: "inherit",
    shell: process.platform === "win32"
  })
  process.exit(npm.status ?? 1)
}
