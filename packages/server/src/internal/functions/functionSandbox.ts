/**
 * Where the code of an app runs: a `vm` context with its own built-ins and the documented globals, leased to one call at
 * a time.
 *
 * Three walls stand between that code and the worker. The context holds nothing of the worker but what {@link install} puts
 * there. As some of that are objects of the worker all the same (Buffer, the modules of `require`, errors that Node.js
 * throws), `tame` takes away what such an object could be climbed by: the constructors that compile text in the worker's
 * realm, and that anything of it could be changed, such as a method that Node.js calls on an object of its own. And what it
 * would be climbed for, the worker's `process`, can do nothing beyond the worker any more.
 */
import * as vm from "node:vm"
import type { ServiceAnswer, ServiceRequest } from "./functionMessage.ts"
import type * as Packages from "./functionPackages.ts"
import { freeze, settle } from "./sandboxBuiltIns.ts"
import { type Inside, install } from "./sandboxInside.ts"
import type { ServiceKind } from "./serviceFaces.ts"

/** One function as the sandbox sees it. */
export interface SandboxFunction {
  readonly name: string
  readonly script: vm.Script
  readonly runAsSystem: boolean
}

/** What a call brings along; texts are Extended JSON, read when the code asks for them. */
export interface SandboxCall {
  readonly user: string
  readonly request: string
  readonly asSystem: boolean
  /** How deep the function was called by others, 1 when by none. */
  readonly depth: number
  readonly log: (level: string, items: ReadonlyArray<unknown>) => void
  /** Runs `callback` later on behalf of the call; a negative delay means "as soon as possible". */
  readonly startTimer: (callback: () => void, delay: number, repeat: boolean) => number
  readonly stopTimer: (id: number) => void
  /** Asks a service of the server. Throws when the arguments have no Extended JSON form, or too much is asked at once. */
  readonly ask: (
    asked: Omit<ServiceRequest, "args"> & { readonly args: ReadonlyArray<unknown> },
    settle: (answer: ServiceAnswer) => void
  ) => void
}

/** What the worker lends to every context. */
export interface Host {
  readonly functions: ReadonlyMap<string, SandboxFunction>
  /** Values by name, as JSON. */
  readonly values: ReadonlyMap<string, string>
  readonly app: string
  readonly environment: string
  /** Extended JSON to values of the worker's realm, numbers exact. */
  readonly decode: (text: string) => unknown
  readonly encode: (value: unknown, numbers: Numbers) => string
  /** The instant of a date of the worker's realm; nothing for any other object. */
  readonly dateMillis: (value: object) => number | undefined
  readonly modules: ReadonlyMap<string, unknown>
  readonly packages: Packages.Loader
  readonly process: { readonly platform: string; readonly version: string }
  readonly bson: { readonly [name: string]: Class }
  readonly globals: { readonly [name: string]: unknown }
  /** `utils`, by group: functions of the worker's realm. */
  readonly utils: {
    readonly crypto: { readonly [name: string]: (...args: ReadonlyArray<unknown>) => unknown }
    /** Its `decode` answers Extended JSON text. */
    readonly jwt: {
      readonly encode: (...args: ReadonlyArray<unknown>) => string
      readonly decode: (...args: ReadonlyArray<unknown>) => string
    }
  }
  /** Functions that the server calls, and the service that is asked for them. */
  readonly remoteFunctions: ReadonlySet<string>
  readonly functionService: string
  /** The services of the server by name, and the scripts of their faces. */
  readonly services: ReadonlyMap<string, ServiceKind>
  readonly faces: ReadonlyMap<string, vm.Script>
  readonly maxDepth: number
}

/** A class of the worker's realm. */
export type Class = (new(...args: Array<never>) => object) & { readonly prototype: object }

/** BSON types of numbers that a JavaScript number does not tell by itself. */
export type NumberType = "Int32" | "Int64" | "Double"

/** What is remembered of the numbers in the arguments of a call, so that they come back as they went in. */
export interface Numbers {
  /** Per document and array of the arguments: the members whose type their value does not tell. */
  readonly members: WeakMap<
    object,
    Map<string | number, { readonly type: NumberType; readonly value: number }> | undefined
  >
  /** The type of each number that has the same type wherever it stands; `undefined` when the types differ. */
  readonly types: Map<number, NumberType | undefined>
  /** Some number has a type that its value does not tell. */
  special: boolean
}

/** A context, and the number of calls it may still serve. */
export interface Sandbox extends Inside {
  readonly disposable: boolean
}

/**
 * A new context with everything installed.
 *
 * @param shared whether later calls use it too; then its built-ins are frozen
 */
export const make = (host: Host, shared: boolean): Sandbox => {
  // An ordinary global object: the usual contextified one is an object of the worker's realm.
  const context = vm.createContext(vm.constants.DONT_CONTEXTIFY, {
    codeGeneration: { strings: false, wasm: false }
  })
  // What runs inside has the types of what it was compiled from.
  const compiled = <F>(script: vm.Script): F => script.runInContext(context) as F
  compiled<typeof settle>(settleScript)()
  if (shared) compiled<typeof freeze>(freezeScript)([])
  const inside = compiled<typeof install>(installScript)(host, compiled)
  return { run: inside.run, sweep: inside.sweep, disposable: !shared }
}

// Strict, as the modules they stand in are: of a sloppy function a stack trace hands out the function itself.
const insideScript = (source: (...args: Array<never>) => unknown): vm.Script =>
  new vm.Script(`"use strict"; (${source.toString()})`, { filename: "effect-realm:sandbox" })

const settleScript = insideScript(settle)
const freezeScript = insideScript(freeze)
const installScript = insideScript(install)

// What of the process reaches beyond the worker.
const powers = [
  "_debugProcess",
  "_kill",
  "_linkedBinding",
  "abort",
  "binding",
  "chdir",
  "dlopen",
  "execve",
  "getBuiltinModule",
  "kill",
  "loadEnvFile",
  "mainModule",
  "report"
]

// What the worker itself finds in its global object from then on, beside the language.
const needed = [
  "atob",
  "btoa",
  "Buffer",
  "clearImmediate",
  "clearInterval",
  "clearTimeout",
  "crypto",
  "queueMicrotask",
  "setImmediate",
  "setInterval",
  "setTimeout",
  "TextDecoder",
  "TextEncoder",
  "URL"
]

/**
 * Makes the worker's own realm harmless to whoever gets hold of one of its objects. Irrevocable, for the whole worker.
 *
 * @param lent what functions are given of it
 */
export const tame = (lent: ReadonlyArray<unknown>): void => {
  const refuse = function(): never {
    throw new EvalError("code from strings is not allowed in a function")
  }
  const prototypes = [
    Function.prototype,
    Object.getPrototypeOf(async function() {}),
    Object.getPrototypeOf(function*() {}),
    Object.getPrototypeOf(async function*() {})
  ]
  for (const prototype of prototypes) {
    Object.defineProperty(prototype, "constructor", { value: refuse, writable: false, configurable: false })
  }
  for (const name of powers) Reflect.deleteProperty(process, name)
  // Node.js calls their methods on what the worker talks to the server by.
  const heard = [EventTarget, MessagePort]
  const language = vm.runInNewContext("Reflect.ownKeys(globalThis)") as ReadonlyArray<PropertyKey>
  const kept = new Set([...language, ...needed])
  for (const name of Reflect.ownKeys(globalThis)) if (!kept.has(name)) Reflect.deleteProperty(globalThis, name)
  freeze([...heard, ...lent])
  for (const name of ["Function", "eval"]) Reflect.deleteProperty(globalThis, name)
}
