/** A PostgreSQL of the tests' own: a private instance in a temporary directory, on a socket in it. */
import type * as PgClient from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { execFileSync, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { chmodSync, chownSync, existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"

const folders = [
  ...(process.env["PATH"] ?? "").split(delimiter),
  ...globSync("/usr/lib/postgresql/*/bin").toSorted().toReversed(),
  "/opt/homebrew/bin",
  "/usr/local/pgsql/bin"
]

const bin = folders.find((folder) => existsSync(join(folder, "initdb")) && existsSync(join(folder, "postgres")))

/** Whether the programs of PostgreSQL are here. */
export const isInstalled = bin !== undefined

if (!isInstalled) {
  // eslint-disable-next-line no-console
  console.warn("PostgreSQL is not here, its tests are skipped. Get it with: apt-get install postgresql")
}

const idOf = (user: string, option: string): number => Number(execFileSync("id", [option, user], { encoding: "utf8" }))

// PostgreSQL refuses to run as root.
const owner = () => {
  if (process.getuid?.() !== 0) return undefined
  const user = spawnSync("id", ["postgres"]).status === 0 ? "postgres" : "nobody"
  return { uid: idOf(user, "-u"), gid: idOf(user, "-g") }
}

export const password = Redacted.make("of the test")

export interface Postgres {
  readonly config: PgClient.PgPoolConfig
  /** Ends the server at once, as a crash does. */
  readonly stop: Effect.Effect<void>
  readonly start: Effect.Effect<void>
  /** Lets the server hang, with all its connections open. */
  readonly pause: Effect.Effect<void>
  readonly resume: Effect.Effect<void>
}

/**
 * A server that is stopped, and forgotten, with the scope.
 *
 * @param options.mostBytes how large its files can become: what does not fit is to it as a full disk
 */
export const makeWith = Effect.fnUntraced(function*(
  options: { readonly mostBytes?: number }
): Effect.fn.Return<Postgres, never, Scope.Scope> {
  const rights = owner()
  const directory = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const directory = mkdtempSync(join(tmpdir(), "effect-realm-pg-"))
      chmodSync(directory, 0o700)
      const file = join(directory, "password")
      writeFileSync(file, Redacted.value(password))
      if (rights !== undefined) {
        chownSync(directory, rights.uid, rights.gid)
        chownSync(file, rights.uid, rights.gid)
      }
      return directory
    }),
    (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
  )
  const data = join(directory, "data")
  execFileSync(
    join(bin!, "initdb"),
    ["-D", data, "-U", "tester", "-A", "scram-sha-256", "--pwfile", join(directory, "password"), "-E", "UTF8", "-N"],
    { ...rights, stdio: "ignore", cwd: directory }
  )

  const [program, ...before] = options.mostBytes === undefined
    ? [join(bin!, "postgres")]
    : ["bash", "-c", `ulimit -f ${options.mostBytes / 1024}; exec "$@"`, "bash", join(bin!, "postgres")]
  let server: ReturnType<typeof spawn> | undefined
  const start = Effect.promise(async () => {
    // What it shares is in its directory, and goes with it: one that has crashed would leave it in memory.
    const settings = [
      "fsync=off",
      "dynamic_shared_memory_type=mmap",
      "listen_addresses=",
      `unix_socket_directories=${directory}`,
      "max_connections=100"
    ]
    server = spawn(program!, [...before, "-D", data, ...settings.flatMap((setting) => ["-c", setting])], {
      ...rights,
      stdio: ["ignore", "ignore", "pipe"],
      cwd: directory
    })
    for await (const text of server.stderr!) if (String(text).includes("ready to accept connections")) break
    server.stderr!.resume()
  })
  const stop = Effect.promise(async () => {
    if (server === undefined || server.exitCode !== null) return
    const ended = once(server, "exit")
    server.kill("SIGQUIT")
    await ended
  })
  yield* Effect.acquireRelease(start, () => stop)
  // The server is a process for each connection, and the one that starts them.
  const signal = (name: "SIGSTOP" | "SIGCONT") =>
    Effect.sync(() => {
      const pid = server!.pid!
      const children = existsSync("/proc/self")
        ? readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8")
        : execFileSync("pgrep", ["-P", String(pid)], { encoding: "utf8" })
      for (const child of children.trim().split(/\s+/)) process.kill(Number(child), name)
      process.kill(pid, name)
    })
  return {
    config: { host: directory, port: 5432, database: "postgres", username: "tester", password, maxConnections: 5 },
    stop,
    start,
    pause: signal("SIGSTOP"),
    resume: signal("SIGCONT")
  }
})

/** A server that is stopped, and forgotten, with the scope. */
export const make: Effect.Effect<Postgres, never, Scope.Scope> = makeWith({})
