import { afterAll } from "@effect/vitest"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { suite } from "./processes/suite.ts"

const directory = mkdtempSync(join(tmpdir(), "effect-realm-processes-"))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

suite("a SQLite file", async () => ({ _tag: "Sqlite", filename: join(directory, "sessions.sqlite") }))
