/** Processes that share a place for sessions. */
import * as Esbuild from "esbuild"
import { fork } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import type { Command } from "./commands.ts"
import type { Options } from "./worker.ts"

/** The program of the processes, ready to start. */
export interface Program {
  readonly script: string
  /** Where the first process leaves what the others need not compile. */
  readonly cache: string
  readonly remove: () => void
}

// Bundled, and compiled once, it starts in a fraction of the time: thirty processes are started, and most are killed.
export const build = async (): Promise<Program> => {
  const directory = mkdtempSync(join(tmpdir(), "effect-realm-program-"))
  await Esbuild.build({
    entryPoints: [fileURLToPath(new URL("worker.ts", import.meta.url))],
    outdir: directory,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    splitting: true,
    platform: "node",
    format: "esm",
    conditions: ["effect-realm-source"],
    // Modules of the other kind within it ask for those of Node.js.
    banner: { js: "import { createRequire } from \"node:module\"; const require = createRequire(import.meta.url);" }
  })
  return {
    script: join(directory, "worker.mjs"),
    cache: join(directory, "cache"),
    remove: () => rmSync(directory, { recursive: true, force: true })
  }
}

export interface Worker {
  /** Lets the process do something, and answers what came of it. */
  readonly ask: (command: Command) => Promise<unknown>
  /** Ends the process at once (`kill -9`). */
  readonly kill: () => Promise<void>
}

export const start = async ({ cache, script }: Program, options: Options): Promise<Worker> => {
  const child = fork(script, [JSON.stringify(options)], {
    env: { ...process.env, NODE_COMPILE_CACHE: cache },
    execArgv: ["--disable-warning=ExperimentalWarning"]
  })
  let id = 0
  const waiting = new Map<number, (answer: unknown) => void>()
  const exited = once(child, "exit")
  await new Promise<void>((resolve, reject) => {
    child.on("exit", (code) => reject(new Error(`the process ended with ${code}`)))
    child.on("message", (message: { readonly ready?: true; readonly id?: number; readonly answer?: unknown }) => {
      if (message.ready) resolve()
      else waiting.get(message.id!)?.(message.answer)
    })
  })
  return {
    ask: (command) =>
      new Promise((resolve) => {
        waiting.set(++id, resolve)
        child.send({ id, command })
      }),
    kill: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill("SIGKILL")
      await exited
    }
  }
}
