/** A Redis of the tests' own: a private instance in a temporary directory, on a socket in it. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"

const folders = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"]

const program = folders.map((folder) => join(folder, "redis-server")).find((file) => existsSync(file))

/** Whether the program is here. */
export const isInstalled = program !== undefined

if (!isInstalled) {
  // eslint-disable-next-line no-console
  console.warn("Redis is not here, its tests are skipped. Get it with: apt-get install redis-server")
}

export interface Redis {
  /** The path of its socket. */
  readonly path: string
  /** Ends the server at once, as a crash does. */
  readonly stop: Effect.Effect<void>
  readonly start: Effect.Effect<void>
  /** Lets the server hang, with all its connections open. */
  readonly pause: Effect.Effect<void>
  readonly resume: Effect.Effect<void>
}

/** A server that is stopped, and forgotten, with the scope. */
export const make: Effect.Effect<Redis, never, Scope.Scope> = Effect.gen(function*() {
  const directory = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-realm-redis-"))),
    (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
  )
  const path = join(directory, "redis.sock")
  let server: ReturnType<typeof spawn> | undefined
  const start = Effect.promise(async () => {
    const options = [
      "--port",
      "0",
      "--unixsocket",
      path,
      "--dir",
      directory,
      "--save",
      "",
      "--appendonly",
      "yes",
      "--databases",
      "1000"
    ]
    server = spawn(program!, options, { stdio: ["ignore", "pipe", "ignore"] })
    for await (const text of server.stdout!) if (String(text).includes("eady to accept connections")) break
    server.stdout!.resume()
  })
  const stop = Effect.promise(async () => {
    if (server === undefined || server.exitCode !== null || server.signalCode !== null) return
    const ended = once(server, "exit")
    server.kill("SIGKILL")
    await ended
  })
  yield* Effect.acquireRelease(start, () => stop)
  const signal = (name: "SIGSTOP" | "SIGCONT") => Effect.sync(() => void server?.kill(name))
  return { path, stop, start, pause: signal("SIGSTOP"), resume: signal("SIGCONT") }
})
