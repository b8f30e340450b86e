import { afterAll } from "@effect/vitest"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { suite } from "./processes/suite.ts"

// In memory where there is such a folder: each commit waits for the disk.
const directory = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "effect-realm-processes-"))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

suite("a directory of files", async () => ({ _tag: "Files", directory: join(directory, "sessions") }))
