/**
 * Where the code of an app runs: a `vm` context with its own built-ins and the documented globals, leased to one call at
 * a time.
 *
 * Two walls stand between that code and the worker. The context holds nothing of the worker but what {@link install} puts
 * there. And as some of that are objects of the worker all the same (Buffer, the modules of `require`, errors that
 * Node.js throws), `tame` takes the one thing away that such an object could be climbed by: the constructors that compile
 * text in the worker's realm.
 */
import * as vm from "node:vm"
import type { ServiceAnswer, ServiceFailure, ServiceRequest } from "./functionMessage.ts"
import type * as Packages from "./functionPackages.ts"
import type { Face, ServiceKind } from "./serviceFaces.ts"

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

/** The code's side of a context: made inside it by {@link install}. */
export interface Inside {
  readonly run: (call: SandboxCall, name: string, args: string, numbers: Numbers) => unknown
  /** Takes away what the last call left behind; `false` when that is not possible. */
  readonly sweep: () => boolean
}

/** A context, and the number of calls it may still serve. */
export interface Sandbox extends Inside {
  readonly disposable: boolean
}

/**
 * Runs inside a context, where it is compiled from its own text: it must not refer to anything outside of itself.
 * Everything it makes is of the context's realm.
 */
const install = (host: Host, compile: (script: vm.Script) => unknown, freeze: boolean): Inside => {
  const global: Record<PropertyKey, unknown> = globalThis as never
  const keysOf = Reflect.ownKeys
  const define = (target: object, key: PropertyKey, value: unknown): void => {
    Object.defineProperty(target, key, { value, writable: false, enumerable: false, configurable: false })
  }
  for (const name of ["SharedArrayBuffer", "Atomics", "WebAssembly", "gc", "console"]) delete global[name]

  // Assigning to an object a member that its frozen prototype has is refused by the language, and much code does it
  // (`error.name = "…"`): there, an accessor stands in for the member and lets the object have its own.
  const allowOverride = (target: object, keys: ReadonlyArray<PropertyKey>): void => {
    for (const key of keys) {
      const { configurable, enumerable, value } = Object.getOwnPropertyDescriptor(target, key) ?? {}
      if (configurable !== true || value === undefined) continue
      Object.defineProperty(target, key, {
        configurable: false,
        enumerable: enumerable === true,
        get: () => value,
        set(this: object, next: unknown) {
          if (this === target) throw new TypeError(`Cannot assign to ${String(key)}: built-ins are read-only`)
          Object.defineProperty(this, key, { value: next, writable: true, enumerable: true, configurable: true })
        }
      })
    }
  }

  const freezeBuiltIns = (): void => {
    const { prototype } = Object
    allowOverride(prototype, keysOf(prototype).filter((key) => key !== "__proto__"))
    allowOverride(Function.prototype, ["toString", "call", "apply", "bind", Symbol.hasInstance])
    allowOverride(Array.prototype, ["toString", "toLocaleString"])
    allowOverride(Date.prototype, ["toString", "toJSON", "valueOf"])
    allowOverride(RegExp.prototype, ["toString"])
    for (
      const kind of [
        Error,
        AggregateError,
        EvalError,
        RangeError,
        ReferenceError,
        SyntaxError,
        TypeError,
        URIError
      ]
    ) {
      allowOverride(kind.prototype, ["name", "message", "toString", "constructor"])
    }
    const seen = new Set<object>()
    const visit = (value: unknown): void => {
      if ((typeof value !== "object" && typeof value !== "function") || value === null || seen.has(value)) return
      seen.add(value)
      if (value !== globalThis) Object.freeze(value)
      visit(Object.getPrototypeOf(value))
      for (const key of keysOf(value)) {
        const { get, set, value: member } = Object.getOwnPropertyDescriptor(value, key) ?? {}
        visit(member)
        visit(get)
        visit(set)
      }
    }
    visit(globalThis)
    // Built-ins that no global leads to.
    visit(async function() {})
    visit(function*() {})
    visit(async function*() {})
    visit([][Symbol.iterator]())
    visit(""[Symbol.iterator]())
    visit(new Map()[Symbol.iterator]())
    visit(new Set()[Symbol.iterator]())
    visit("".matchAll(/./g))
  }
  if (freeze) freezeBuiltIns()
  for (const key of keysOf(global)) {
    const { configurable } = Object.getOwnPropertyDescriptor(global, key) ?? {}
    if (configurable === true) Object.defineProperty(global, key, { writable: false, configurable: false })
  }

  // ---------------------------------------------------------------------------
  // Values of the worker's realm become values of this one
  // ---------------------------------------------------------------------------

  const { Double, Int32, Long } = host.bson as { readonly [name: string]: Class }
  const isInt32 = (value: number): boolean => (value | 0) === value && !Object.is(value, -0)

  const adoptNumber = (
    numbers: Numbers,
    value: number,
    type: NumberType,
    container: object | undefined,
    key: string | number
  ): number => {
    const { types } = numbers
    types.set(value, types.has(value) && types.get(value) !== type ? undefined : type)
    const told: NumberType = isInt32(value) ? "Int32" : Number.isSafeInteger(value) ? "Int64" : "Double"
    if (told !== type) {
      numbers.special = true
      if (container !== undefined) {
        let members = numbers.members.get(container)
        if (members === undefined) numbers.members.set(container, members = new Map())
        members.set(key, { type, value })
      }
    }
    return value
  }

  const adopt = (
    numbers: Numbers,
    value: unknown,
    container: object | undefined,
    key: string | number
  ): unknown => {
    if (typeof value !== "object" || value === null) return value
    if (Array.isArray(value)) {
      const out: Array<unknown> = []
      numbers.members.set(out, undefined)
      for (let index = 0; index < value.length; index++) out.push(adopt(numbers, value[index], out, index))
      return out
    }
    const prototype: unknown = Object.getPrototypeOf(value)
    if (prototype === Int32!.prototype) {
      return adoptNumber(numbers, (value as { readonly value: number }).value, "Int32", container, key)
    }
    if (prototype === Double!.prototype) {
      return adoptNumber(numbers, (value as { readonly value: number }).value, "Double", container, key)
    }
    if (prototype === Long!.prototype) {
      const number = (value as { readonly toNumber: () => number }).toNumber()
      return Number.isSafeInteger(number) ? adoptNumber(numbers, number, "Int64", container, key) : value
    }
    if (prototype !== null && Object.getPrototypeOf(prototype) !== null) {
      const millis = host.dateMillis(value)
      return millis === undefined ? value : new Date(millis)
    }
    const out: Record<string, unknown> = {}
    numbers.members.set(out, undefined)
    for (const name of Object.keys(value)) {
      const member = adopt(numbers, (value as Record<string, unknown>)[name], out, name)
      if (name === "__proto__") {
        Object.defineProperty(out, name, { value: member, writable: true, enumerable: true, configurable: true })
      } else {
        out[name] = member
      }
    }
    return out
  }

  /** What is known of the numbers of the call that runs: a context serves one at a time. */
  let numbers: Numbers = { members: new WeakMap(), types: new Map(), special: false }

  /** Numbers that are no arguments keep their types as members; they say nothing of numbers that the code makes. */
  const read = (text: string): unknown => {
    const others: Numbers = { members: numbers.members, types: new Map(), special: false }
    const value = adopt(others, host.decode(text), undefined, 0)
    if (others.special) numbers.special = true
    return value
  }

  /** An error of this realm in the words of one of the server's or the worker's. */
  const failure = ({ code, message, name }: ServiceFailure): Error => {
    const kinds: { readonly [name: string]: ErrorConstructor } = { RangeError, SyntaxError, TypeError }
    const error: Error & { code?: unknown } = new (kinds[name] ?? Error)(String(message))
    error.name = String(name)
    if (code !== undefined) error.code = code
    return error
  }

  const adoptError = (thrown: unknown): unknown =>
    typeof thrown !== "object" || thrown === null || thrown instanceof Error
      ? thrown
      : failure(thrown as ServiceFailure)

  /** A function that throws errors of this realm. */
  const own = <A extends ReadonlyArray<unknown>, B>(body: (...args: A) => B) => (...args: A): B => {
    try {
      return body(...args)
    } catch (error) {
      throw adoptError(error)
    }
  }

  // ---------------------------------------------------------------------------
  // Globals
  // ---------------------------------------------------------------------------

  /** The globals that belong to one call: what is left of a call cannot act on behalf of the next. */
  const tools = (call: SandboxCall): ReadonlyArray<unknown> => {
    const start = (name: string, callback: unknown, delay: number, repeat: boolean, args: ReadonlyArray<unknown>) => {
      if (typeof callback !== "function") throw new TypeError(`${name} needs a function`)
      return call.startTimer(
        () => {
          callback(...args)
        },
        delay,
        repeat
      )
    }
    const wait = (delay: unknown): number => Math.max(0, Number(delay) || 0)
    const stop = (id: unknown): void => {
      if (typeof id === "number") call.stopTimer(id)
    }
    const console = {} as Record<string, unknown>
    for (const level of ["log", "info", "warn", "error", "debug"]) {
      console[level] = (...items: Array<unknown>) => call.log(level, items)
    }
    return [
      console,
      (callback: unknown, delay: unknown, ...args: Array<unknown>) =>
        start("setTimeout", callback, wait(delay), false, args),
      (callback: unknown, delay: unknown, ...args: Array<unknown>) =>
        start("setInterval", callback, wait(delay), true, args),
      (callback: unknown, ...args: Array<unknown>) => start("setImmediate", callback, -1, false, args),
      stop,
      stop,
      stop,
      (callback: unknown) => {
        start("queueMicrotask", callback, -1, false, [])
      }
    ]
  }

  for (const name of ["Buffer", "URL", "URLSearchParams", "TextEncoder", "TextDecoder", "atob", "btoa"]) {
    define(global, name, host.globals[name])
  }

  // Callable without `new`, as they were on App Services.
  const callable = (name: string, HostClass: Class): unknown => {
    const construct = function(...args: Array<never>) {
      return new HostClass(...args)
    }
    for (const key of keysOf(HostClass)) {
      if (key === "length" || key === "name" || key === "prototype") continue
      const member = (HostClass as unknown as Record<PropertyKey, unknown>)[key]
      define(construct, key, typeof member === "function" ? member.bind(HostClass) : member)
    }
    Object.defineProperty(construct, "name", { value: name })
    Object.defineProperty(construct, "prototype", { value: HostClass.prototype, writable: false })
    return Object.freeze(construct)
  }
  const BSON = Object.create(null) as Record<string, unknown>
  for (const name of Object.keys(host.bson)) BSON[name] = callable(name, host.bson[name]!)
  define(global, "BSON", Object.freeze(BSON))
  define(
    global,
    "EJSON",
    Object.freeze({
      parse: own((text: unknown): unknown => read(String(text))),
      stringify: own((value: unknown, _replacer?: unknown, space?: unknown): string => {
        const text = host.encode(value, numbers)
        return typeof space === "string" || typeof space === "number"
          ? JSON.stringify(JSON.parse(text), null, space)
          : text
      })
    })
  )

  const cryptography: Record<string, unknown> = {}
  for (const name of Object.keys(host.utils.crypto)) cryptography[name] = own(host.utils.crypto[name]!)
  const { decode, encode } = host.utils.jwt
  define(
    global,
    "utils",
    Object.freeze({
      crypto: Object.freeze(cryptography),
      jwt: Object.freeze({ encode: own(encode), decode: own((...args) => read(decode(...args))) })
    })
  )

  // ---------------------------------------------------------------------------
  // Modules
  // ---------------------------------------------------------------------------

  const builtIns = new Map<string, unknown>()
  const builtIn = (name: string): unknown => {
    if (!builtIns.has(name)) {
      const exports = host.modules.get(name)
      builtIns.set(name, typeof exports === "function" ? exports : Object.freeze({ ...(exports as object) }))
    }
    return builtIns.get(name)
  }

  const resolve = own(host.packages.resolve)
  const load = own(host.packages.load)
  type Wrapper = (...scope: ReadonlyArray<unknown>) => void
  const wrappers = new Map<string, Wrapper>()

  /** What packages know of the process: that it is one of Node.js. */
  const processOf = (nextTick: (callback: () => void) => void) => ({
    argv: [],
    cwd: () => "/functions",
    emitWarning: () => {},
    env: {},
    hrtime: () => {
      const now = Date.now()
      return [Math.floor(now / 1000), (now % 1000) * 1e6]
    },
    nextTick: (callback: (...args: ReadonlyArray<unknown>) => void, ...args: ReadonlyArray<unknown>) =>
      nextTick(() => callback(...args)),
    platform: host.process.platform,
    version: host.process.version,
    versions: { node: host.process.version.slice(1) }
  })

  /** The `require` of one call: packages are run anew for each, so that what they remember is of that call alone. */
  const requireOf = (tooling: ReadonlyArray<unknown>): (specifier: unknown) => unknown => {
    const [, setTimeout, setInterval, setImmediate, clearTimeout, clearInterval, clearImmediate, queueMicrotask] =
      tooling
    const timers = { setTimeout, setInterval, setImmediate, clearTimeout, clearInterval, clearImmediate }
    const modules = new Map<string, { exports: unknown }>()
    let process: unknown

    const requireFrom = (from: string | undefined) => (specifier: unknown): unknown => {
      const name = String(specifier).replace(/^node:/, "")
      if (name === "timers") return timers
      if (host.modules.has(name)) return builtIn(name)
      const id = resolve(String(specifier), from)
      const known = modules.get(id)
      if (known !== undefined) return known.exports
      const loaded = load(id)
      if (loaded._tag === "Json") {
        const json: unknown = JSON.parse(loaded.text)
        modules.set(id, { exports: json })
        return json
      }
      const { file, script } = loaded
      let wrapper = wrappers.get(id)
      if (wrapper === undefined) wrappers.set(id, wrapper = compile(script) as Wrapper)
      const module = { exports: {} as unknown, id: file, filename: file, loaded: false }
      // Before it runs, for packages whose modules require each other.
      modules.set(id, module)
      process ??= processOf(queueMicrotask as (callback: () => void) => void)
      try {
        wrapper.call(
          module.exports,
          module.exports,
          requireFrom(id),
          module,
          `/${file}`,
          `/${file.replace(/\/[^/]*$/, "")}`,
          process,
          global,
          ...tooling
        )
      } catch (error) {
        modules.delete(id)
        throw error
      }
      module.loaded = true
      return module.exports
    }
    return requireFrom(undefined)
  }
  // ---------------------------------------------------------------------------
  // Running
  // ---------------------------------------------------------------------------

  type Factory = (exports: object, require: unknown, context: object, ...tools: ReadonlyArray<unknown>) => unknown
  const factories = new Map<string, Factory>()
  const faces = new Map<ServiceKind, Face>()

  const run = (call: SandboxCall, name: string, argsText: string, ofArguments: Numbers): unknown => {
    numbers = ofArguments
    const tooling = tools(call)
    const require = requireOf(tooling)
    let user: unknown
    let userRead = false

    const ask = (
      service: string,
      operation: string,
      args: ReadonlyArray<unknown>,
      asSystem: boolean,
      depth: number
    ): Promise<unknown> =>
      new Promise((resolve, reject) => {
        try {
          call.ask({ service, operation, args, asSystem, depth }, (answer) => {
            if (answer._tag === "Error") reject(failure(answer.error))
            else resolve(read(answer.text))
          })
        } catch (error) {
          reject(adoptError(error))
        }
      })

    const service = (name: string, asSystem: boolean, depth: number): unknown => {
      const kind = host.services.get(name)
      if (kind === undefined) {
        call.log("warn", [`context.services.get("${name}") is undefined: the app has no such service`])
        return undefined
      }
      let face = faces.get(kind)
      if (face === undefined) faces.set(kind, face = compile(host.faces.get(kind)!) as Face)
      return face((operation, ...args) => ask(name, operation, args, asSystem, depth))
    }

    const execute = (name: string, args: ReadonlyArray<unknown>, asSystem: boolean, depth: number): unknown => {
      if (depth > host.maxDepth) throw new Error(`functions call each other more than ${host.maxDepth} deep`)
      // A call that the server sends has been through it.
      if (depth > call.depth && host.remoteFunctions.has(name)) {
        return ask(host.functionService, name, args, asSystem, depth - 1)
      }
      const definition = host.functions.get(name)
      if (definition === undefined) throw new Error(`function not found: '${name}'`)
      let factory = factories.get(name)
      if (factory === undefined) factories.set(name, factory = compile(definition.script) as Factory)
      const system = asSystem || definition.runAsSystem
      const context = {
        get app() {
          return JSON.parse(host.app)
        },
        get environment() {
          return JSON.parse(host.environment)
        },
        get http() {
          return service("http", system, depth)
        },
        functions: {
          execute: (name: unknown, ...args: Array<unknown>) => execute(String(name), args, system, depth + 1)
        },
        get request() {
          return read(call.request)
        },
        runningAsSystem: () => system,
        services: { get: (name: unknown) => service(String(name), system, depth) },
        get user() {
          if (!userRead) {
            user = read(call.user)
            userRead = true
          }
          return user
        },
        values: {
          get: (name: unknown) => {
            const text = host.values.get(String(name))
            return text === undefined ? undefined : JSON.parse(text)
          }
        }
      }
      const entry = factory({}, require, context, ...tooling)
      if (typeof entry !== "function") {
        throw new TypeError(`functions/${name}.js does not assign a function to exports`)
      }
      return entry(...args)
    }

    const args = adopt(numbers, host.decode(argsText), undefined, 0) as ReadonlyArray<unknown>
    return execute(name, args, call.asSystem, call.depth)
  }

  const known = new Set(keysOf(global))
  const sweep = (): boolean => {
    const keys = keysOf(global)
    if (keys.length === known.size) return true
    return keys.every((key) => known.has(key) || Reflect.deleteProperty(global, key))
  }

  return { run, sweep }
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
  const setUp: unknown = installScript.runInContext(context)
  const inside = (setUp as typeof install)(host, (script) => script.runInContext(context), shared)
  return { run: inside.run, sweep: inside.sweep, disposable: !shared }
}

const installScript = new vm.Script(`(${install.toString()})`, { filename: "effect-realm:sandbox" })

/**
 * Makes the worker's own realm harmless to whoever gets hold of one of its objects. Irrevocable, for the whole worker.
 */
export const tame = (): void => {
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
  const globals: Record<string, unknown> = globalThis as never
  for (
    const name of ["process", "fetch", "WebSocket", "EventSource", "BroadcastChannel", "Worker", "Function", "eval"]
  ) {
    Reflect.deleteProperty(globals, name)
  }
}
