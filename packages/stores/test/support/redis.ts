/** A Redis of the tests' own: a private instance in a temporary directory, on a socket in it. */
import * as NodeRedis from "@effect/platform-node/NodeRedis"
import * as Effect from "effect/Effect"
import * as Redis from "effect/persistence/Redis"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { type AddressInfo, createServer } from "node:net"
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

export interface Instance {
  /** The path of its socket. */
  readonly path: string
  /** Ends the server at once, as a crash does. */
  readonly stop: Effect.Effect<void>
  readonly start: Effect.Effect<void>
  /** Lets the server hang, with all its connections open. */
  readonly pause: Effect.Effect<void>
  readonly resume: Effect.Effect<void>
}

interface Server extends Omit<Instance, "path"> {
  /** A directory of its own. */
  readonly directory: string
}

/** @param options what the program is started with, beside where it writes to */
const serve = (
  options: (directory: string) => ReadonlyArray<string>
): Effect.Effect<Server, never, Scope.Scope> =>
  Effect.gen(function*() {
    const directory = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-realm-redis-"))),
      (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
    )
    const all = ["--dir", directory, "--save", "", "--appendonly", "yes", ...options(directory)]
    let server: ReturnType<typeof spawn> | undefined
    const start = Effect.promise(async () => {
      server = spawn(program!, all, { stdio: ["ignore", "pipe", "ignore"] })
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
    return { directory, stop, start, pause: signal("SIGSTOP"), resume: signal("SIGCONT") }
  })

/** A server that is stopped, and forgotten, with the scope. */
export const make: Effect.Effect<Instance, never, Scope.Scope> = Effect.suspend(() => {
  const socket = (directory: string) => join(directory, "redis.sock")
  return Effect.map(
    serve((directory) => ["--port", "0", "--unixsocket", socket(directory), "--databases", "1000"]),
    ({ directory, ...server }) => ({ path: socket(directory), ...server })
  )
})

/** A node of a cluster, at a port of this machine. */
export interface Node extends Omit<Server, "directory"> {
  readonly port: number
}

const freePort = Effect.promise(async () => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as AddressInfo
  server.close()
  return port
})

const slots = 16_384

/** A cluster of three nodes that share the slots evenly, in their order. */
export const cluster: Effect.Effect<ReadonlyArray<Node>, never, Scope.Scope> = Effect.gen(function*() {
  const nodes = yield* Effect.forEach([0, 1, 2], () =>
    Effect.gen(function*() {
      const [port, bus] = [yield* freePort, yield* freePort]
      const server = yield* serve(() =>
        [
          `--port ${port} --cluster-port ${bus} --bind 127.0.0.1 --cluster-enabled yes --cluster-node-timeout 10000`,
          // Slots of nodes that live are served while another is down.
          "--cluster-require-full-coverage no"
        ].flatMap((options) => options.split(" "))
      )
      const send = (command: string, ...args: ReadonlyArray<string>) =>
        Redis.Redis.use(({ send }) => send<string>(command, ...args)).pipe(
          Effect.provide(NodeRedis.layer({ socket: { host: "127.0.0.1", port, tls: false } })),
          Effect.orDie
        )
      return { ...server, port, bus, send }
    }))
  const [first] = nodes
  for (const [index, { bus, port, send }] of nodes.entries()) {
    const from = Math.ceil(slots * index / 3)
    const to = Math.ceil(slots * (index + 1) / 3) - 1
    yield* send("CLUSTER", "ADDSLOTSRANGE", String(from), String(to))
    if (index > 0) yield* first!.send("CLUSTER", "MEET", "127.0.0.1", String(port), String(bus))
  }
  for (const { send } of nodes) {
    yield* Effect.repeat(send("CLUSTER", "INFO"), {
      until: (info) => info.includes("cluster_state:ok") && info.includes(`cluster_slots_ok:${slots}`),
      schedule: Schedule.spaced("50 millis")
    })
  }
  return nodes
})
