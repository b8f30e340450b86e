/**
 * A PostgreSQL and a Redis of the bench's own, each on a socket in a folder, where their programs are installed.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { chmodSync, chownSync, existsSync, globSync, writeFileSync } from "node:fs"
import { delimiter, join } from "node:path"
import type { Readable } from "node:stream"

const folders = [
  ...(process.env["PATH"] ?? "").split(delimiter),
  ...globSync("/usr/lib/postgresql/*/bin").toSorted().toReversed(),
  "/opt/homebrew/bin"
]

/** The folder that has a program; without it what needs it is not measured, which is said. */
const folderOf = (program: string, debianPackage: string): Option.Option<string> => {
  const folder = folders.find((folder) => existsSync(join(folder, program)))
  if (folder === undefined) {
    console.error(`not measured, since ${program} is not here: get it with apt-get install ${debianPackage}`)
  }
  return Option.fromUndefinedOr(folder)
}

/** Starts a server, which ends with the scope, and waits until it says that it is ready. */
const serve = (start: () => ChildProcess, output: (server: ChildProcess) => Readable | null) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const server = start()
      const said = output(server)
      for await (const text of said ?? []) if (String(text).includes("eady to accept connections")) break
      said?.resume()
      return server
    }),
    (server) =>
      Effect.promise(async () => {
        const exit = once(server, "exit")
        server.kill("SIGKILL")
        await exit
      })
  )

/**
 * Starts a Redis and answers the path of its socket.
 *
 * @param folder a new one
 */
export const redis = Effect.fnUntraced(function*(
  folder: string
): Effect.fn.Return<Option.Option<string>, never, Scope.Scope> {
  const programs = folderOf("redis-server", "redis-server")
  if (Option.isNone(programs)) return Option.none()
  const path = join(folder, "redis.sock")
  const options = ["--port", "0", "--unixsocket", path, "--dir", folder, "--save", "", "--appendonly", "yes"]
  yield* serve(
    () => spawn(join(programs.value, "redis-server"), options, { stdio: ["ignore", "pipe", "ignore"] }),
    (server) => server.stdout
  )
  return Option.some(path)
})

const idOf = (option: string, user: string): number => Number(execFileSync("id", [option, user], { encoding: "utf8" }))

// PostgreSQL refuses to run as root.
const owner = () => {
  if (process.getuid?.() !== 0) return undefined
  const user = spawnSync("id", ["postgres"]).status === 0 ? "postgres" : "nobody"
  return { uid: idOf("-u", user), gid: idOf("-g", user) }
}

/** The password of its user, whose name is `bench`. */
export const password = "of the bench"

/**
 * Starts a PostgreSQL and answers the folder of its socket. Commits wait for the disk, as they do where it counts.
 *
 * @param folder a new one
 */
export const postgres = Effect.fnUntraced(function*(
  folder: string
): Effect.fn.Return<Option.Option<string>, never, Scope.Scope> {
  const programs = folderOf("initdb", "postgresql")
  if (Option.isNone(programs)) return Option.none()
  const rights = owner()
  const secret = join(folder, "password")
  writeFileSync(secret, password)
  chmodSync(folder, 0o700)
  if (rights !== undefined) { for (const path of [folder, secret]) chownSync(path, rights.uid, rights.gid) }
  const data = join(folder, "data")
  execFileSync(
    join(programs.value, "initdb"),
    ["-D", data, "-U", "bench", "-A", "scram-sha-256", "--pwfile", secret, "-E", "UTF8", "-N"],
    { ...rights, stdio: "ignore", cwd: folder }
  )
  const settings = ["listen_addresses=", `unix_socket_directories=${folder}`].flatMap((setting) => ["-c", setting])
  yield* serve(
    () =>
      spawn(join(programs.value, "postgres"), ["-D", data, ...settings], {
        ...rights,
        stdio: ["ignore", "ignore", "pipe"],
        cwd: folder
      }),
    (server) => server.stderr
  )
  return Option.some(folder)
})
