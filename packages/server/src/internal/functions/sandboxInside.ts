/**
 * The inside of a sandbox: the globals, modules and `context` that the code of an app finds, made in the context's own realm.
 */
import type * as vm from "node:vm"
import type { ServiceFailure } from "./functionMessage.ts"
import type { Class, Host, Numbers, NumberType, SandboxCall } from "./functionSandbox.ts"
import type { Face, ServiceKind } from "./serviceFaces.ts"

/** The code's side of a context: made inside it by {@link install}. */
export interface Inside {
  readonly run: (call: SandboxCall, name: string, args: string, numbers: Numbers) => unknown
  /** Takes away what the last call left behind; `false` when that is not possible. */
  readonly sweep: () => boolean
}

/**
 * Runs inside a context, where it is compiled from its own text: it must not refer to anything outside of itself.
 * Everything it makes is of the context's realm.
 */
export const install = (host: Host, compile: (script: vm.Script) => unknown): Inside => {
  const global: Record<PropertyKey, unknown> = globalThis as never
  const keysOf = Reflect.ownKeys
  const define = (target: object, key: PropertyKey, value: unknown): void => {
    Object.defineProperty(target, key, { value, writable: false, enumerable: false, configurable: false })
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
