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
 *
 * Calls that functions make of functions are calls like others, but at each depth with places of its own: those that wait
 * for a deeper call never hold what that one needs. A worker that a blocking function has for itself takes the calls that are
 * nested in its own, as nothing else happens there while it waits for them.
 */
import { availableParallelism } from "node:os"
import * as CallQueue from "./callQueue.ts"
import type { FromWorker, ServiceAnswer, ServiceRequest, WorkerSetup } from "./functionMessage.ts"
import * as FunctionThread from "./functionThread.ts"

/** How a pool is set up. */
export interface Settings extends Omit<WorkerSetup, "shared"> {
  /** Real time a call may take, in milliseconds. */
  readonly timeLimit: number
  /** Heap and buffers of one worker, in MB. */
  readonly memoryLimit: number
  /** Workers for calls that yield; as many again may be busy with calls that do not. */
  readonly workers: number
  /** Calls of one depth that one worker may have begun or be sent. */
  readonly callsPerWorker: number
}

/** How a call ended. */
export type Settlement =
  | { readonly _tag: "Returned"; readonly text: string; readonly logs: ReadonlyArray<string> }
  | { readonly _tag: "Threw"; readonly text: string; readonly logs: ReadonlyArray<string> }
  | { readonly _tag: "TimedOut" }
  | { readonly _tag: "OutOfMemory" }
  | { readonly _tag: "Lost"; readonly reason: string }

/** One call. */
export interface Call extends Omit<FunctionThread.Sendable, "id"> {
  /** The id of the innermost of the calls around it that is in the pool. */
  readonly within: number | undefined
  /** Answers what the running code of the call with this id asks for. Once it has ended, answers are dropped. */
  readonly serve: (asked: ServiceRequest, id: number, answer: (answer: ServiceAnswer) => void) => void
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
  readonly thread: FunctionThread.Thread
  readonly jobs: Map<number, Job>
  /** Calls that nobody waits for and that may still run, with the ping after which they are known to be over. */
  readonly abandoned: Map<number, number>
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

/** A pool with its first worker starting up. */
export const make = (settings: Settings): Pool => {
  const { callsPerWorker, memoryLimit, timeLimit, workers, ...setup } = settings
  const members = new Set<Member>()
  /** Every call that is waited for, the oldest first. */
  const pending = new Map<number, Job>()
  /** Calls without a worker: those that may share one, and those of functions that block. */
  const waiting = CallQueue.make<Job>()
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

  const hear = (member: Member, message: FromWorker): void => {
    if (message._tag === "Ready") {
      member.ready = true
      startFailures = 0
      return
    }
    const job = member.jobs.get(message.id)
    if (job === undefined) return
    if (message._tag === "Ask") {
      const { id, request } = message
      job.serve(message.asked, id, (answer) => {
        if (member.jobs.get(id) === job) member.thread.post({ _tag: "Answer", id, request, answer })
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
  }

  const bury = (member: Member, outOfMemory: boolean, reason: string): void => {
    if (!members.has(member)) return
    if (!member.ready) startFailures++
    remove(member, reason, outOfMemory)
    if (startFailures >= maxStartFailures) {
      // Starting again and again would help nobody; the next call tries anew.
      startFailures = 0
      const stranded = [...waiting.clear(), ...waitingAlone]
      waitingAlone.clear()
      for (const job of stranded) finish(job, { _tag: "Lost", reason: `no worker can be started: ${reason}` })
    }
    dispatch()
  }

  const spawn = (): void => {
    const thread = FunctionThread.start({ setup, memoryLimit, callsPerDepth: callsPerWorker }, {
      onMessage: (message) => hear(member, message),
      onExit: ({ outOfMemory, reason }) => bury(member, outOfMemory, outOfMemory ? tooHeavy : reason)
    })
    const member: Member = {
      thread,
      jobs: new Map(),
      abandoned: new Map(),
      ready: false,
      blockedSince: 0,
      exclusive: false,
      pings: 0,
      pingedAt: 0,
      weighing: false,
      timesTooHeavy: 0
    }
    members.add(member)
  }

  const isLight = (member: Member): boolean => member.blockedSince === 0 && !member.exclusive

  const countLight = (): number => {
    let count = 0
    for (const member of members) if (isLight(member)) count++
    return count
  }

  /** Takes back every call that the worker has not begun. */
  const takeBack = (member: Member): void => {
    const back = [...member.jobs.values()].filter(withdraw)
    for (const job of back) release(job)
    waiting.addFirst(back)
  }

  const remove = (member: Member, reason: string, outOfMemory: boolean): void => {
    members.delete(member)
    takeBack(member)
    const running = member.thread.running()
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
    void member.thread.stop()
  }

  // ---------------------------------------------------------------------------
  // Calls
  // ---------------------------------------------------------------------------

  /** Takes a call back from its worker, unless it has begun. */
  const withdraw = ({ id, place }: Job): boolean => place?.member.thread.withdraw(place.slot, id) === true

  const release = (job: Job): void => {
    if (job.place === undefined) return
    const { member, slot } = job.place
    job.place = undefined
    member.jobs.delete(job.id)
    member.thread.release(slot)
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
    job.place = { member, slot: member.thread.send(job) }
    member.jobs.set(job.id, job)
  }

  const lightest = (job: Job): Member | undefined => {
    let best: Member | undefined
    for (const member of members) {
      if (!isLight(member) || !member.thread.hasRoom(job.depth)) continue
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

  const sharedWorker = (job: Job): Member | undefined => {
    const best = lightest(job)
    if (best !== undefined && !(best.ready && best.jobs.size >= crowded)) return best
    return countLight() < workers && grow() ? lightest(job) : best
  }

  /** The worker that one of the calls which wait for this one has for itself. */
  const workerAround = (job: Job): Member | undefined => {
    for (let outer = outerOf(job); outer !== undefined; outer = outerOf(outer)) {
      const member = outer.place?.member
      if (member?.exclusive === true && member.thread.hasRoom(job.depth)) return member
    }
    return undefined
  }

  const outerOf = ({ within }: Job): Job | undefined => within === undefined ? undefined : pending.get(within)

  const workerAlone = (): Member | undefined => {
    const free = () => [...members].find((member) => isLight(member) && member.jobs.size === 0)
    if (members.size - countLight() >= workers) return undefined
    return free() ?? (grow() ? free() : undefined)
  }

  const dispatch = (): void => {
    if (closed) return
    waiting.drain((job) => {
      if (blocks(job.name)) {
        waitingAlone.add(job)
        return true
      }
      const member = sharedWorker(job)
      if (member !== undefined) send(job, member)
      return member !== undefined
    })
    let isFull = false
    for (const job of waitingAlone) {
      const member = workerAround(job) ?? (isFull ? undefined : workerAlone())
      if (member === undefined) {
        isFull = true
        continue
      }
      waitingAlone.delete(job)
      member.exclusive = true
      send(job, member)
    }
  }

  const giveUp = (job: Job): void => {
    const { place } = job
    if (place === undefined) {
      waiting.remove(job)
      waitingAlone.delete(job)
      return
    }
    const { member } = place
    const taken = withdraw(job)
    release(job)
    if (!taken) {
      member.abandoned.set(job.id, member.pings + 1)
      member.thread.post({ _tag: "Abandon", id: job.id })
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
    member.thread.weight().then(
      (bytes) => {
        member.weighing = false
        if (!members.has(member)) return
        const share = bytes / (memoryLimit * mebibyte)
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
    const answered = member.thread.answered()
    for (const [id, ping] of member.abandoned) if (answered >= ping) member.abandoned.delete(id)
    if (answered === member.pings) {
      member.blockedSince = 0
      if (member.jobs.size > 0 || member.abandoned.size > 0) {
        member.pings++
        member.pingedAt = now
        member.thread.post({ _tag: "Ping", count: member.pings })
      } else if (isLight(member) && countLight() > workers) {
        // It stood in for a worker that was blocked and is not any more.
        stop(member, "its worker was not needed any more")
      }
      return
    }
    if (now - member.pingedAt < blockedAfter) return
    const running = member.thread.running()
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
      await Promise.all(all.map((member) => member.thread.stop()))
    }
  }
}
