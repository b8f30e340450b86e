/**
 * The threads that functions run in: which call goes where, and what becomes of the others when one does not yield.
 *
 * Calls that wait for something share a worker; only the code between two waits has the thread for itself. A worker that
 * does not answer a ping is blocked by such a piece of code. Then the calls it has not begun are taken back and begin
 * elsewhere, new calls go elsewhere, and the function that blocks is remembered: for the next minute it gets a worker for
 * itself. A call that has begun is never begun again. When the call that blocks has reached its time limit, or nobody
 * waits for it any more, its worker is stopped; calls that had begun in it and still waited for something are lost
 * with it, and are told so. The same happens to the worker blocked longest when far more workers are blocked than there
 * should be workers at all.
 */
import { availableParallelism } from "node:os"
import { Worker } from "node:worker_threads"
import {
  type CallMessage,
  firstSlot,
  type FromWorker,
  pongWord,
  runningWord,
  type ServiceAnswer,
  type ServiceRequest,
  type ToWorker,
  withdrawn,
  type WorkerSetup
} from "./functionMessage.ts"

/** How a pool is set up. */
export interface Settings extends Omit<WorkerSetup, "shared"> {
  /** Real time a call may take, in milliseconds. */
  readonly timeLimit: number
  /** Heap and buffers of one worker, in MB. */
  readonly memoryLimit: number
  /** Workers for calls that yield; as many again may be busy with calls that do not. */
  readonly workers: number
  /** Calls that one worker may have begun or be sent. */
  readonly callsPerWorker: number
}

/** How a call ended. */
export type Settlement =
  | { readonly _tag: "Returned"; readonly text: string; readonly logs: ReadonlyArray<string> }
  | { readonly _tag: "Threw"; readonly text: string; readonly logs: ReadonlyArray<string> }
  | { readonly _tag: "TimedOut" }
  | { readonly _tag: "OutOfMemory" }
  | { readonly _tag: "Lost"; readonly reason: string }

/** One call. Texts are Extended JSON. */
export interface Call {
  readonly name: string
  readonly args: string
  readonly user: string
  readonly request: string
  readonly asSystem: boolean
  readonly depth: number
  /** Answers what the running code asks for. Once the call has ended, answers are dropped. */
  readonly serve: (asked: ServiceRequest, answer: (answer: ServiceAnswer) => void) => void
}

/** The workers of one app. */
export interface Pool {
  /** Runs a call and says how it ended, once. The answer gives the call up: then it ends without being heard of. */
  readonly submit: (call: Call, settle: (settlement: Settlement) => void) => () => void
  /** Stops every worker. */
  readonly close: () => Promise<void>
}

interface Job extends Call {
  readonly id: number
  readonly settle: (settlement: Settlement) => void
  readonly deadline: number
  place: { readonly member: Member; readonly slot: number } | undefined
}

interface Member {
  readonly worker: Worker
  readonly shared: Int32Array<SharedArrayBuffer>
  readonly jobs: Map<number, Job>
  readonly freeSlots: Array<number>
  /** Calls that nobody waits for and that may still run, with the ping after which they are known to be over. */
  readonly abandoned: Map<number, number>
  outbox: Array<CallMessage>
  ready: boolean
  /** Since when it has not answered, or 0. */
  blockedSince: number
  /** Runs one call that is known to block, and nothing else. */
  exclusive: boolean
  pings: number
  pingedAt: number
  weighing: boolean
  /** How often in a row it was found to use more memory than it may. */
  timesTooHeavy: number
}

/** The number of workers when nobody says another. */
export const defaultWorkers: number = Math.min(4, Math.max(1, availableParallelism()))

const tick = 50
// Longer than a garbage collection or a machine's hiccup, shorter than what a waiting user notices.
const blockedAfter = 250
const rememberBlocking = 60_000
const crowded = 8
const maxStartFailures = 3
const spareWorkers = 4
// Garbage counts until it is collected: half a second over the limit says that it is no garbage.
const tooHeavyFor = 10
const mebibyte = 2 ** 20
// V8 ends the whole process when it fails to get a big piece of memory, so its own limit is far above ours.
const headroom = 2048

// The worker stands beside this module: as source when this is source, as emitted code when this is.
const isSource = import.meta.url.endsWith(".ts")
const workerUrl = new URL(isSource ? "./functionWorker.ts" : "./functionWorker.js", import.meta.url)
const execArgv = isSource ? ["--conditions=effect-realm-source"] : []

/** A pool with its first worker starting up. */
export const make = (settings: Settings): Pool => {
  const { callsPerWorker, memoryLimit, timeLimit, workers, ...setup } = settings
  const members = new Set<Member>()
  /** Every call that is waited for, the oldest first. */
  const pending = new Map<number, Job>()
  /** Calls without a worker: those that may share one, and those of functions that block. */
  let waiting = new Set<Job>()
  const waitingAlone = new Set<Job>()
  /** Functions that blocked a worker, and until when that is remembered. */
  const blockers = new Map<string, number>()
  let nextId = 1
  let startFailures = 0
  let closed = false
  let watch: NodeJS.Timeout | undefined
  const tooHeavy = `another function used more than the ${memoryLimit} MB of memory that are allowed`

  const finish = (job: Job, settlement: Settlement): void => {
    if (pending.delete(job.id)) job.settle(settlement)
  }

  // ---------------------------------------------------------------------------
  // Workers
  // ---------------------------------------------------------------------------

  const post = (member: Member, message: ToWorker): void => {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker thread has no origin
    member.worker.postMessage(message)
  }

  const spawn = (): void => {
    const shared = new Int32Array(new SharedArrayBuffer(4 * (firstSlot + callsPerWorker)))
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
    // The watch keeps the process alive while calls are waited for; a worker with nothing to do must not.
    worker.unref()
    worker.stdout.resume()
    worker.stderr.resume()
    const member: Member = {
      worker,
      shared,
      jobs: new Map(),
      freeSlots: Array.from({ length: callsPerWorker }, (_, slot) => slot),
      abandoned: new Map(),
      outbox: [],
      ready: false,
      blockedSince: 0,
      exclusive: false,
      pings: 0,
      pingedAt: 0,
      weighing: false,
      timesTooHeavy: 0
    }
    members.add(member)
    let reason = "its worker stopped"
    let outOfMemory = false
    worker.on("message", (message: FromWorker) => {
      if (message._tag === "Ready") {
        member.ready = true
        startFailures = 0
        return
      }
      const job = member.jobs.get(message.id)
      if (job === undefined) return
      if (message._tag === "Ask") {
        const { id, request } = message
        job.serve(message.asked, (answer) => {
          if (member.jobs.get(id) === job) post(member, { _tag: "Answer", id, request, answer })
        })
        return
      }
      release(job)
      finish(job, {
        _tag: message.outcome === "returned" ? "Returned" : "Threw",
        text: message.text,
        logs: message.logs
      })
      dispatch()
    })
    worker.on("error", (error: Error & { readonly code?: unknown }) => {
      outOfMemory = error.code === "ERR_WORKER_OUT_OF_MEMORY"
      reason = outOfMemory ? tooHeavy : `its worker stopped: ${error.message}`
    })
    worker.on("exit", () => {
      if (!members.has(member)) return
      if (!member.ready) startFailures++
      remove(member, reason, outOfMemory)
      if (startFailures >= maxStartFailures) {
        // Starting again and again would help nobody; the next call tries anew.
        startFailures = 0
        const stranded = [...waiting, ...waitingAlone]
        waiting.clear()
        waitingAlone.clear()
        for (const job of stranded) finish(job, { _tag: "Lost", reason: `no worker can be started: ${reason}` })
      }
      dispatch()
    })
  }

  const isLight = (member: Member): boolean => member.blockedSince === 0 && !member.exclusive

  const countLight = (): number => {
    let count = 0
    for (const member of members) if (isLight(member)) count++
    return count
  }

  /** Takes back every call that the worker has not begun. */
  const takeBack = (member: Member): void => {
    const back: Array<Job> = []
    for (const job of member.jobs.values()) {
      if (Atomics.compareExchange(member.shared, slotOf(job), job.id, withdrawn) === job.id) back.push(job)
    }
    for (const job of back) release(job)
    waiting = new Set([...back, ...waiting])
  }

  const remove = (member: Member, reason: string, outOfMemory: boolean): void => {
    members.delete(member)
    takeBack(member)
    const running = Atomics.load(member.shared, runningWord)
    const lost = [...member.jobs.values()]
    if (outOfMemory) remember(member, running)
    for (const job of lost) {
      release(job)
      const own = outOfMemory && (job.id === running || lost.length === 1)
      finish(job, own ? { _tag: "OutOfMemory" } : { _tag: "Lost", reason })
    }
  }

  const stop = (member: Member, reason: string, outOfMemory = false): void => {
    remove(member, reason, outOfMemory)
    void member.worker.terminate()
  }

  // ---------------------------------------------------------------------------
  // Calls
  // ---------------------------------------------------------------------------

  const slotOf = (job: Job): number => firstSlot + (job.place?.slot ?? 0)

  const release = (job: Job): void => {
    if (job.place === undefined) return
    const { member, slot } = job.place
    job.place = undefined
    member.jobs.delete(job.id)
    member.freeSlots.push(slot)
    if (member.jobs.size === 0) member.exclusive = false
  }

  /** Lets the function that has a worker for itself, or keeps it from all others, have the next one alone. */
  const remember = (member: Member, running: number): void => {
    // Code that goes on after a wait does not say whose it is, unless all that has begun is of one function.
    const names = new Set([...member.jobs.values()].map((job) => job.name))
    const name = member.jobs.get(running)?.name ?? (names.size === 1 ? [...names][0] : undefined)
    if (name !== undefined) blockers.set(name, performance.now() + rememberBlocking)
  }

  const blocks = (name: string): boolean => {
    const until = blockers.get(name)
    if (until === undefined) return false
    if (until > performance.now()) return true
    blockers.delete(name)
    return false
  }

  const send = (job: Job, member: Member): void => {
    const slot = member.freeSlots.pop()!
    job.place = { member, slot }
    member.jobs.set(job.id, job)
    Atomics.store(member.shared, firstSlot + slot, job.id)
    member.outbox.push([job.id, slot, job.name, job.args, job.user, job.request, job.asSystem, job.depth])
    // Calls of all requests that were read in one turn travel together: a message costs far more than its content.
    if (member.outbox.length === 1) {
      setImmediate(() => {
        const calls = member.outbox
        member.outbox = []
        if (members.has(member)) post(member, { _tag: "Calls", calls })
      })
    }
  }

  const lightest = (): Member | undefined => {
    let best: Member | undefined
    for (const member of members) {
      if (!isLight(member) || member.freeSlots.length === 0) continue
      if (
        best === undefined || (member.ready && !best.ready) ||
        (member.ready === best.ready && member.jobs.size < best.jobs.size)
      ) {
        best = member
      }
    }
    return best
  }

  /** A new worker; when there are too many, instead of the one that has been blocked longest. */
  const grow = (): boolean => {
    if (members.size >= 2 * workers + spareWorkers) {
      const [longest] = [...members].filter((member) => member.blockedSince > 0).toSorted((a, b) =>
        a.blockedSince - b.blockedSince
      )
      if (longest === undefined) return false
      stop(longest, "its worker did not answer any more while too many others were blocked as well")
    }
    spawn()
    return true
  }

  const sharedWorker = (): Member | undefined => {
    const best = lightest()
    if (best !== undefined && !(best.ready && best.jobs.size >= crowded)) return best
    return countLight() < workers && grow() ? lightest() : best
  }

  const workerAlone = (): Member | undefined => {
    const free = () => [...members].find((member) => isLight(member) && member.jobs.size === 0)
    if (members.size - countLight() >= workers) return undefined
    return free() ?? (grow() ? free() : undefined)
  }

  const dispatch = (): void => {
    if (closed) return
    for (const job of waiting) {
      if (blocks(job.name)) {
        waiting.delete(job)
        waitingAlone.add(job)
        continue
      }
      const member = sharedWorker()
      if (member === undefined) break
      waiting.delete(job)
      send(job, member)
    }
    for (const job of waitingAlone) {
      const member = workerAlone()
      if (member === undefined) break
      waitingAlone.delete(job)
      member.exclusive = true
      send(job, member)
    }
  }

  const giveUp = (job: Job): void => {
    const { place } = job
    if (place === undefined) {
      waiting.delete(job)
      waitingAlone.delete(job)
      return
    }
    const { member } = place
    const taken = Atomics.compareExchange(member.shared, slotOf(job), job.id, withdrawn) === job.id
    release(job)
    if (!taken) {
      member.abandoned.set(job.id, member.pings + 1)
      post(member, { _tag: "Abandon", id: job.id })
      // Its worker may be blocked by it: the watch must go on until that is known.
      keepWatch()
    }
  }

  // ---------------------------------------------------------------------------
  // Watch
  // ---------------------------------------------------------------------------

  /** Stops a worker that uses more memory than it may, whatever it is doing. */
  const weigh = (member: Member): void => {
    if (member.jobs.size === 0 && member.abandoned.size === 0) {
      member.timesTooHeavy = 0
      return
    }
    if (member.weighing) return
    member.weighing = true
    member.worker.getHeapStatistics().then(
      ({ external_memory: buffers, used_heap_size: heap }) => {
        member.weighing = false
        if (!members.has(member)) return
        const share = (heap + buffers) / (memoryLimit * mebibyte)
        member.timesTooHeavy = share > 1 ? member.timesTooHeavy + 1 : 0
        if (share <= 2 && member.timesTooHeavy < tooHeavyFor) return
        stop(member, tooHeavy, true)
        dispatch()
      },
      // It has ended by itself.
      () => {}
    )
  }

  const look = (member: Member, now: number): void => {
    if (!member.ready) return
    weigh(member)
    const answered = Atomics.load(member.shared, pongWord)
    for (const [id, ping] of member.abandoned) if (answered >= ping) member.abandoned.delete(id)
    if (answered === member.pings) {
      member.blockedSince = 0
      if (member.jobs.size > 0 || member.abandoned.size > 0) {
        member.pings++
        member.pingedAt = now
        post(member, { _tag: "Ping", count: member.pings })
      } else if (isLight(member) && countLight() > workers) {
        // It stood in for a worker that was blocked and is not any more.
        stop(member, "its worker was not needed any more")
      }
      return
    }
    if (now - member.pingedAt < blockedAfter) return
    const running = Atomics.load(member.shared, runningWord)
    if (member.blockedSince === 0) {
      member.blockedSince = now
      takeBack(member)
      remember(member, running)
    }
    const forsaken = running === 0 ? member.abandoned.size > 0 : member.abandoned.has(running)
    if (forsaken || member.jobs.size === 0) {
      stop(member, "another function in its worker did not end in time, and the worker was stopped")
    }
  }

  const keepWatch = (): void => {
    if (watch !== undefined || closed) return
    watch = setTimeout(() => {
      watch = undefined
      const now = performance.now()
      for (const job of pending.values()) {
        if (job.deadline > now) break
        giveUp(job)
        finish(job, { _tag: "TimedOut" })
      }
      for (const member of members) look(member, now)
      dispatch()
      const open = pending.size > 0 ||
        [...members].some((member) => member.blockedSince > 0 || member.abandoned.size > 0)
      if (open) keepWatch()
    }, tick)
  }

  spawn()

  return {
    submit: (call, settle) => {
      const id = nextId
      nextId = nextId === 0x7fff_ffff ? 1 : nextId + 1
      const job: Job = { ...call, id, settle, deadline: performance.now() + timeLimit, place: undefined }
      pending.set(id, job)
      waiting.add(job)
      dispatch()
      keepWatch()
      return () => {
        if (!pending.delete(id)) return
        giveUp(job)
      }
    },
    close: async () => {
      closed = true
      clearTimeout(watch)
      const all = [...members]
      members.clear()
      for (const job of pending.values()) finish(job, { _tag: "Lost", reason: "the server is stopping" })
      await Promise.all(all.map((member) => member.worker.terminate()))
    }
  }
}
