/**
 * The built-ins of a realm: without those that functions do not have, and frozen where more than one call finds them, so that
 * none can lay something into them for the next, nor for the code of the server.
 */

/**
 * Takes away what functions do not have, and fixes the globals that are left. Runs inside a context, where it is compiled from
 * its own text: it must not refer to anything outside of itself.
 */
export const settle = (): void => {
  const global: Record<PropertyKey, unknown> = globalThis as never
  for (const name of ["SharedArrayBuffer", "Atomics", "WebAssembly", "gc", "console"]) delete global[name]
  for (const key of Reflect.ownKeys(global)) {
    const { configurable } = Object.getOwnPropertyDescriptor(global, key) ?? {}
    if (configurable === true) Object.defineProperty(global, key, { writable: false, configurable: false })
  }
}

/**
 * Freezes the built-ins of the realm it runs in, and whatever its globals and `lent` lead to. It too may be compiled from its
 * own text.
 */
export const freeze = (lent: ReadonlyArray<unknown>): void => {
  const keysOf = Reflect.ownKeys

  // Assigning to an object a member that its frozen prototype has is refused by the language, and much code does it
  // (`error.name = "…"`): there, an accessor stands in for the member and lets the object have its own.
  const allowOverride = (target: object, keys: ReadonlyArray<PropertyKey>): void => {
    for (const key of keys) {
      const { configurable, enumerable, value, writable } = Object.getOwnPropertyDescriptor(target, key) ?? {}
      if (configurable !== true || writable === undefined) continue
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

  const isHeld = (value: unknown): value is object =>
    (typeof value === "object" || typeof value === "function") && value !== null

  const lock = (target: object, keys: ReadonlyArray<PropertyKey>): void => {
    // Elements cannot be locked.
    if (ArrayBuffer.isView(target)) return void Object.preventExtensions(target)
    // A flag of Node.js that each heir assigns, and for which there can be no accessor, stays as it is: it holds nothing.
    const isFlag = ({ configurable, value, writable }: PropertyDescriptor): boolean =>
      writable === true && configurable === false && !isHeld(value)
    const members = Object.getOwnPropertyDescriptors(target) as { readonly [key: PropertyKey]: PropertyDescriptor }
    if (!Object.hasOwn(target, "constructor") || !keys.some((key) => isFlag(members[key]!))) {
      return void Object.freeze(target)
    }
    for (const key of keys) {
      const member = members[key]!
      if (isFlag(member)) continue
      const isData = member.writable !== undefined
      Object.defineProperty(target, key, { configurable: false, ...(isData && { writable: false }) })
    }
    Object.preventExtensions(target)
  }

  const seen = new Set<object>()
  /** A list instead of recursion: Node.js has long chains. */
  const freezeAll = (roots: ReadonlyArray<unknown>, areOfLanguage: boolean): void => {
    const open = [...roots]
    while (open.length > 0) {
      const value = open.pop()
      if (!isHeld(value) || seen.has(value)) continue
      seen.add(value)
      open.push(Object.getPrototypeOf(value))
      const keys = keysOf(value)
      for (const key of keys) {
        const { get, set, value: member } = Object.getOwnPropertyDescriptor(value, key)!
        open.push(member, get, set)
      }
      if (value === globalThis) continue
      if (!areOfLanguage && keys.includes("constructor")) allowOverride(value, keys)
      lock(value, keys)
    }
  }

  const { prototype } = Object
  allowOverride(prototype, keysOf(prototype).filter((key) => key !== "__proto__"))
  allowOverride(Function.prototype, ["toString", "call", "apply", "bind", Symbol.hasInstance])
  allowOverride(Array.prototype, ["toString", "toLocaleString"])
  allowOverride(Date.prototype, ["toString", "toJSON", "valueOf"])
  allowOverride(RegExp.prototype, ["toString"])
  const errors = [
    Error,
    AggregateError,
    EvalError,
    RangeError,
    ReferenceError,
    SyntaxError,
    TypeError,
    URIError
  ]
  for (const kind of errors) allowOverride(kind.prototype, ["name", "message", "toString", "constructor"])

  // The language's own members stay members, for their speed.
  const language =
    "Object Function Array String Number Boolean Symbol BigInt Promise RegExp Date Math JSON Reflect Map Set " +
    "WeakMap WeakSet WeakRef FinalizationRegistry Proxy ArrayBuffer DataView Uint8Array Intl Iterator"
  // Built-ins that no global leads to.
  const hidden = [async function() {}, function*() {}, async function*() {}, "".matchAll(/./g)]
  const iterators = [[], "", new Map(), new Set()].map((value) => value[Symbol.iterator]())
  const named = language.split(" ").map((name): unknown => Reflect.get(globalThis, name))
  freezeAll([...errors, ...named, ...hidden, ...iterators], true)
  freezeAll([globalThis, ...lent], false)
}
