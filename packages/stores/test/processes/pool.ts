/** Processes that share a place for sessions. */
import { fork } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import type { Command, Options } from "./worker.ts"

export interface Worker {
  /** Lets the process do something, and answers what came of it. */
  readonly ask: (command: Command) => Promise<unknown>
  /** Ends the process at once (`kill -9`). */
  readonly kill: () => Promise<void>
}

const script = fileURLToPath(new URL("worker.ts", import.meta.url))

export const start = async (options: Options): Promise<Worker> => {
  const child = fork(script, [JSON.stringify(options)], {
    execArgv: ["--conditions=effect-realm-source", "--disable-warning=ExperimentalWarning"]
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
