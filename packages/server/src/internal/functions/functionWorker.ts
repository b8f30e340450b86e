/**
 * The thread in which functions run. It has no environment, no files, no sockets of its own and nothing of the server's
 * but the sources and values of the app.
 */
import * as Ejson from "@effect-realm/protocol/Ejson"
import * as Bson from "bson"
import * as util from "node:util"
import * as vm from "node:vm"
import { parentPort, workerData } from "node:worker_threads"
import * as Crypto from "./functionCrypto.ts"
import * as Jwt from "./functionJwt.ts"
import {
  type CallMessage,
  firstSlot,
  type FromWorker,
  functionService,
  type Outcome,
  pongWord,
  runningWord,
  type ServiceAnswer,
  type ToWorker,
  type WorkerSetup
} from "./functionMessage.ts"
import { modules } from "./functionModules.ts"
import * as Packages from "./functionPackages.ts"
import { describeThrown, settle, type Settled, toBson } from "./functionResult.ts"
import * as Sandbox from "./functionSandbox.ts"
import * as Source from "./functionSource.ts"
import { faces } from "./serviceFaces.ts"

const port = parentPort!
// The one sender is the pool of this package.
const setup = workerData as WorkerSetup
const { shared } = setup

const encode = (value: unknown): string => JSON.stringify(Ejson.encodeUnsafe(value))

const encodeWith = (value: unknown, numbers: Sandbox.Numbers): string =>
  encode(toBson({ _tag: "Settled", value, values: undefined }, numbers))

// -----------------------------------------------------------------------------
// What functions may use
// -----------------------------------------------------------------------------

const { Binary } = Bson
Object.assign(Binary, { fromHex: Binary.createFromHexString, fromBase64: Binary.createFromBase64 })
Object.assign(Binary.prototype, {
  toHex(this: Bson.Binary) {
    return this.toString("hex")
  },
  toBase64(this: Bson.Binary) {
    return this.toString("base64")
  },
  text(this: Bson.Binary) {
    return this.toString("utf8")
  }
})
const bson: { readonly [name: string]: Sandbox.Class } = {
  Binary,
  BSONRegExp: Bson.BSONRegExp,
  BSONSymbol: Bson.BSONSymbol,
  Code: Bson.Code,
  DBRef: Bson.DBRef,
  Decimal128: Bson.Decimal128,
  Double: Bson.Double,
  Int32: Bson.Int32,
  Long: Bson.Long,
  MaxKey: Bson.MaxKey,
  MinKey: Bson.MinKey,
  ObjectId: Bson.ObjectId,
  Timestamp: Bson.Timestamp,
  UUID: Bson.UUID
}
// What the first id brings about, and the count of ids, are members of the class, which is about to be frozen.
Bson.ObjectId.generate()
let count: unknown = Reflect.get(Bson.ObjectId, "index")
Object.defineProperty(Bson.ObjectId, "index", {
  get: () => count,
  set: (next: unknown) => {
    count = next
  }
})

const functions = new Map<string, Sandbox.SandboxFunction>()
// Contexts that calls share have frozen built-ins, which code that extends a prototype cannot live with, and packages are
// written for those of Node.js.
const needsFresh = new Set<string>()
const usesPackage = (source: string): boolean =>
  source.includes("require") && setup.packages?.names.some((name) => source.includes(name)) === true
const needsOwnBuiltIns = (source: string): boolean => Source.touchesPrototypes(source) || usesPackage(source)
const someNeedOwn = setup.functions.some(({ source }) => needsOwnBuiltIns(source))
for (const { name, runAsSystem, source } of setup.functions) {
  let script: ReturnType<typeof Source.script> | undefined
  functions.set(name, {
    name,
    runAsSystem,
    get script() {
      return script ??= Source.script(name, source)
    }
  })
  if (needsOwnBuiltIns(source) || (someNeedOwn && source.includes("execute"))) needsFresh.add(name)
}

const host: Sandbox.Host = {
  functions,
  values: new Map(setup.values),
  app: setup.app,
  environment: setup.environment,
  decode: (text) => Ejson.decodeUnsafe(JSON.parse(text), { numbers: "exact" }),
  encode: encodeWith,
  dateMillis: (value) => value instanceof Date ? value.getTime() : undefined,
  modules: new Map(Object.entries(modules)),
  packages: Packages.loader(setup.packages ?? { folder: "", names: [] }, new Set(Source.modules)),
  // Of the process no more than what packages ask to know where they are.
  process: { platform: process.platform, version: process.version },
  bson,
  globals: { atob, btoa, Buffer, TextDecoder, TextEncoder, URL, URLSearchParams },
  utils: { crypto: Crypto, jwt: Jwt },
  remoteFunctions: new Set(setup.remoteFunctions),
  functionService,
  services: new Map(setup.services),
  faces: new Map(
    Object.entries(faces).map((
      [kind, face]
    ) => [kind, new vm.Script(`"use strict"; (${face.toString()})`, { filename: `effect-realm:${kind}` })])
  ),
  maxDepth: setup.maxDepth
}

// -----------------------------------------------------------------------------
// Contexts
// -----------------------------------------------------------------------------

const idle: Array<Sandbox.Sandbox> = []
const maxIdle = 32

const lease = (name: string): Sandbox.Sandbox =>
  needsFresh.has(name) ? Sandbox.make(host, false) : idle.pop() ?? Sandbox.make(host, true)

const giveBack = (sandbox: Sandbox.Sandbox): void => {
  if (!sandbox.disposable && sandbox.sweep() && idle.length < maxIdle) idle.push(sandbox)
}

// -----------------------------------------------------------------------------
// Calls
// -----------------------------------------------------------------------------

interface Running {
  readonly fail: (error: unknown) => void
  readonly abandon: () => void
  readonly answer: (request: number, answer: ServiceAnswer) => void
}

const running = new Map<number, Running>()
const maxLogLines = 25
const maxLogLength = 512
// As on App Services, whose words these are.
const maxRequests = 1000

const post = (message: FromWorker): void => port.postMessage(message)

const start = ([id, slot, name, args, user, request, asSystem, depth]: CallMessage): void => {
  if (Atomics.compareExchange(shared, firstSlot + slot, id, -id) !== id) return
  const logs: Array<string> = []
  const timers = new Map<number, NodeJS.Timeout | NodeJS.Immediate>()
  const numbers: Sandbox.Numbers = { members: new WeakMap(), types: new Map(), special: false }
  // Made by the first use: most calls ask nothing.
  let requests: Map<number, (answer: ServiceAnswer) => void> | undefined
  let nextTimer = 1
  let nextRequest = 1
  let live = true
  let sandbox: Sandbox.Sandbox | undefined

  const enter = (body: () => void): void => {
    Atomics.store(shared, runningWord, id)
    try {
      body()
    } catch (error) {
      fail(error)
    } finally {
      Atomics.store(shared, runningWord, 0)
    }
  }

  const stopTimer = (timer: number): void => {
    const handle = timers.get(timer)
    timers.delete(timer)
    clearTimeout(handle as NodeJS.Timeout)
    clearImmediate(handle as NodeJS.Immediate)
  }

  const call: Sandbox.SandboxCall = {
    user,
    request,
    asSystem,
    depth,
    log: (level, items) => {
      if (logs.length === maxLogLines) logs.shift()
      logs.push(`${level}: ${util.format(...items)}`.slice(0, maxLogLength))
    },
    startTimer: (callback, delay, repeat) => {
      if (!live) return 0
      const timer = nextTimer++
      const fire = () => {
        if (!repeat) timers.delete(timer)
        if (live) enter(callback)
      }
      timers.set(timer, delay < 0 ? setImmediate(fire) : repeat ? setInterval(fire, delay) : setTimeout(fire, delay))
      return timer
    },
    stopTimer,
    ask: (asked, settle) => {
      if (!live) throw new Error("the call that this belongs to is over")
      requests ??= new Map()
      if (requests.size === maxRequests) throw new Error(`exceeded max async work queue size of ${maxRequests}`)
      const text = encodeWith(asked.args, numbers)
      if (text.length > setup.maxResult) {
        throw new Error(
          `too large: ${text.length} characters of Extended JSON for ${asked.service}.${asked.operation}, at most ${setup.maxResult} are allowed`
        )
      }
      const request = nextRequest++
      requests.set(request, settle)
      post({ _tag: "Ask", id, request, asked: { ...asked, args: text } })
    }
  }

  const end = (): boolean => {
    if (!live) return false
    live = false
    running.delete(id)
    for (const timer of timers.keys()) stopTimer(timer)
    return true
  }

  const answer = (outcome: Outcome, text: string): void => {
    if (!end()) return
    post({ _tag: "Settled", id, outcome, text, logs })
    if (sandbox !== undefined) giveBack(sandbox)
  }

  const fail = (error: unknown): void => answer("threw", describeThrown(error))

  const succeed = (result: Settled): void => {
    const text = encode(toBson(result, numbers))
    if (text.length <= setup.maxResult) answer("returned", text)
    else {
      answer(
        "threw",
        `Error: the result is too large: ${text.length} characters of Extended JSON, at most ${setup.maxResult} are allowed`
      )
    }
  }

  running.set(id, {
    fail,
    abandon: end,
    answer: (request, answer) => {
      const settle = requests?.get(request)
      requests?.delete(request)
      if (settle !== undefined) enter(() => settle(answer))
    }
  })
  enter(() => {
    sandbox = lease(name)
    const result = settle(sandbox.run(call, name, args, numbers))
    if (result._tag === "Settled") succeed(result)
    else result.promise.then((settled) => enter(() => succeed(settled)), fail)
  })
}

const inbox: Array<CallMessage> = []
let draining = false

const take = (calls: ReadonlyArray<CallMessage>): void => {
  for (const call of calls) inbox.push(call)
  if (!draining) drain()
}

/**
 * Begins the calls of the inbox. After one that waits for something the event loop has its turn first: most of them are
 * over by then, and their context serves the next call.
 */
const drain = (): void => {
  draining = inbox.length > 0
  for (const [index, call] of inbox.entries()) {
    start(call)
    if (running.has(call[0])) {
      inbox.splice(0, index + 1)
      setImmediate(drain)
      return
    }
  }
  inbox.length = 0
  draining = false
}

// Before it listens: whatever cannot be tamed serves nobody.
const thread = process
Sandbox.tame([...Object.values(bson), ...Object.values(host.globals), ...Object.values(modules)])

thread.on("unhandledRejection", () => {
  // A promise that a function dropped: the function's answer stands, as nobody waits for that promise.
})
thread.on("uncaughtException", (error) => {
  // Thrown in a callback of a Node.js module. It says not whose it is, unless only one call runs.
  const [only, ...others] = running.values()
  if (only !== undefined && others.length === 0) only.fail(error)
})

port.on("message", (message: ToWorker) => {
  switch (message._tag) {
    case "Calls":
      return take(message.calls)
    case "Abandon":
      return running.get(message.id)?.abandon()
    case "Answer":
      return running.get(message.id)?.answer(message.request, message.answer)
    case "Ping":
      Atomics.store(shared, pongWord, message.count)
  }
})

idle.push(Sandbox.make(host, true))
post({ _tag: "Ready" })
