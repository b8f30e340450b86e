/** What the server and a function worker tell each other. */
import type { Packages } from "./functionPackages.ts"
import type { ServiceKind } from "./serviceFaces.ts"

/** What a worker is started with. */
export interface WorkerSetup {
  readonly functions: ReadonlyArray<{ readonly name: string; readonly source: string; readonly runAsSystem: boolean }>
  readonly packages: Packages | undefined
  /** Values by name, as JSON. */
  readonly values: ReadonlyArray<readonly [name: string, json: string]>
  /** `context.app` and `context.environment`, as JSON. */
  readonly app: string
  readonly environment: string
  /** Functions that the server is asked to call, like a service: see {@link functionService}. */
  readonly remoteFunctions: ReadonlyArray<string>
  /** What `context.services.get` knows, and which face each has. */
  readonly services: ReadonlyArray<readonly [name: string, kind: ServiceKind]>
  /** Longest result, in characters of Extended JSON. */
  readonly maxResult: number
  readonly maxDepth: number
  readonly shared: Int32Array<SharedArrayBuffer>
}

/** One call: strings, as copying them between threads is what costs least. Texts are Extended JSON. */
export type CallMessage = readonly [
  id: number,
  slot: number,
  name: string,
  args: string,
  user: string,
  request: string,
  asSystem: boolean,
  depth: number
]

/** What running code asks a service of the server; the arguments are a list in Extended JSON. */
export interface ServiceRequest {
  readonly service: string
  readonly operation: string
  readonly args: string
  readonly asSystem: boolean
  /** How deep the function that asks was called by others. */
  readonly depth: number
}

/**
 * The service whose operations are functions: those of groups, and those that the server has to look up a user for. No
 * other has this name.
 */
export const functionService = ""

/** The answer to a request: a value in Extended JSON, or an error. */
export type ServiceAnswer =
  | { readonly _tag: "Value"; readonly text: string }
  | { readonly _tag: "Error"; readonly error: ServiceFailure }

/** What an error says inside a function. */
export interface ServiceFailure {
  readonly name: string
  readonly message: string
  readonly code?: string | number
}

/**
 * To the worker: calls to run in this order, a call whose result nobody waits for any more, what a service answered to a
 * call, a sign of life wanted.
 */
export type ToWorker =
  | { readonly _tag: "Calls"; readonly calls: ReadonlyArray<CallMessage> }
  | { readonly _tag: "Abandon"; readonly id: number }
  | { readonly _tag: "Answer"; readonly id: number; readonly request: number; readonly answer: ServiceAnswer }
  | { readonly _tag: "Ping"; readonly count: number }

/** How a call ended: with a value, as Extended JSON text, or with the words of its failure. */
export type Outcome = "returned" | "threw"

/** From the worker. */
export type FromWorker =
  | { readonly _tag: "Ready" }
  | { readonly _tag: "Ask"; readonly id: number; readonly request: number; readonly asked: ServiceRequest }
  | {
    readonly _tag: "Settled"
    readonly id: number
    readonly outcome: Outcome
    readonly text: string
    readonly logs: ReadonlyArray<string>
  }

// The words of the shared memory. It says what a worker that does not listen is doing.

/** The number of the last ping the worker has read. */
export const pongWord = 0
/** The id of the call whose code was entered last and has not yielded yet, or 0. */
export const runningWord = 1
/**
 * The first slot; each call sent to a worker has one. It holds the call's id from when it is sent, the negative id from
 * when it has begun, and {@link withdrawn} when the server took it back before that. Both change it by compare and
 * exchange, so a call either begins or is taken back, and never both.
 */
export const firstSlot = 2

/** Taken back: the worker passes the call over, and it may begin in another worker. */
export const withdrawn = 0
