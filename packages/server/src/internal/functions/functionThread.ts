/**
 * One thread that functions run in: what it is sent, and what its shared memory says of it while it does not listen.
 */
import { Worker } from "node:worker_threads"
import {
  type CallMessage,
  firstSlot,
  type FromWorker,
  pongWord,
  runningWord,
  type ToWorker,
  withdrawn,
  type WorkerSetup
} from "./functionMessage.ts"

/** How a thread is set up. */
export interface Settings {
  readonly setup: Omit<WorkerSetup, "shared">
  /** Heap and buffers, in MB. */
  readonly memoryLimit: number
  /** Calls of one depth that it may have begun or be sent. */
  readonly callsPerDepth: number
}

/** What is heard of a thread. */
export interface Listener {
  readonly onMessage: (message: FromWorker) => void
  /** It has ended, by itself or stopped: out of memory, or for another reason. */
  readonly onExit: (end: { readonly outOfMemory: boolean; readonly reason: string }) => void
}

/** A call as it is sent, but for its place. Texts are Extended JSON. */
export interface Sendable {
  readonly id: number
  readonly name: string
  readonly args: string
  readonly user: string
  readonly request: string
  readonly asSystem: boolean
  /** How deep it is nested in others, 1 when in none. */
  readonly depth: number
}

/** A thread. */
export interface Thread {
  readonly post: (message: ToWorker) => void
  /** Whether a call of this depth can be sent. */
  readonly hasRoom: (depth: number) => boolean
  /** Sends a call, when there is room, and answers its slot. */
  readonly send: (call: Sendable) => number
  /** Takes a call back, unless it has begun. */
  readonly withdraw: (slot: number, id: number) => boolean
  /** Gives a slot free. */
  readonly release: (slot: number) => void
  /** The id of the call whose code was entered last and has not yielded yet, or 0. */
  readonly running: () => number
  /** The number of the last ping that it has read. */
  readonly answered: () => number
  /** How much memory it uses, in bytes. Rejects when it has ended. */
  readonly weight: () => Promise<number>
  readonly stop: () => Promise<unknown>
}

// V8 ends the whole process when it fails to get a big piece of memory, so its own limit is far above ours.
const headroom = 2048

// The worker stands beside this module: as source when this is source, as emitted code when this is.
const isSource = import.meta.url.endsWith(".ts")
const workerUrl = new URL(isSource ? "./functionWorker.ts" : "./functionWorker.js", import.meta.url)
const execArgv = isSource ? ["--conditions=effect-realm-source"] : []

/** A thread that starts up. It may be sent calls at once. */
export const start = ({ callsPerDepth, memoryLimit, setup }: Settings, { onExit, onMessage }: Listener): Thread => {
  const shared = new Int32Array(new SharedArrayBuffer(4 * (firstSlot + callsPerDepth * setup.maxDepth)))
  const worker = new Worker(workerUrl, {
    name: "effect-realm functions",
    workerData: { ...setup, shared } satisfies WorkerSetup,
    argv: [],
    env: {},
    execArgv,
    stdin: false,
    stdout: true,
    stderr: true,
    resourceLimits: { maxOldGenerationSizeMb: memoryLimit + headroom, stackSizeMb: 4 }
  })
  // The watch of the pool keeps the process alive while calls are waited for; a thread with nothing to do must not.
  worker.unref()
  worker.stdout.resume()
  worker.stderr.resume()

  /** By depth; made when a call of that depth is first asked for, as most are of the first. */
  const freeSlots = new Map<number, Array<number>>()
  const freeAt = (depth: number): Array<number> => {
    let free = freeSlots.get(depth)
    if (free === undefined) {
      const first = (depth - 1) * callsPerDepth
      freeSlots.set(depth, free = Array.from({ length: callsPerDepth }, (_, index) => first + index))
    }
    return free
  }

  let outbox: Array<CallMessage> = []
  let hasEnded = false
  let outOfMemory = false
  let reason = "its worker stopped"

  const post = (message: ToWorker): void => {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker thread has no origin
    worker.postMessage(message)
  }

  worker.on("message", onMessage)
  worker.on("error", (error: Error & { readonly code?: unknown }) => {
    outOfMemory = error.code === "ERR_WORKER_OUT_OF_MEMORY"
    reason = `its worker stopped: ${error.message}`
  })
  worker.on("exit", () => {
    hasEnded = true
    onExit({ outOfMemory, reason })
  })

  return {
    post,
    hasRoom: (depth) => freeAt(depth).length > 0,
    send: ({ args, asSystem, depth, id, name, request, user }) => {
      const slot = freeAt(depth).pop()!
      Atomics.store(shared, firstSlot + slot, id)
      outbox.push([id, slot, name, args, user, request, asSystem, depth])
      // Calls of all requests that were read in one turn travel together: a message costs far more than its content.
      if (outbox.length === 1) {
        setImmediate(() => {
          const calls = outbox
          outbox = []
          if (!hasEnded) post({ _tag: "Calls", calls })
        })
      }
      return slot
    },
    withdraw: (slot, id) => Atomics.compareExchange(shared, firstSlot + slot, id, withdrawn) === id,
    release: (slot) => {
      freeAt(Math.floor(slot / callsPerDepth) + 1).push(slot)
    },
    running: () => Atomics.load(shared, runningWord),
    answered: () => Atomics.load(shared, pongWord),
    weight: () =>
      worker.getHeapStatistics().then(({ external_memory: buffers, used_heap_size: heap }) => heap + buffers),
    stop: () => {
      hasEnded = true
      return worker.terminate()
    }
  }
}
