/**
 * The built-ins of a context: without those that functions do not have, and frozen where one call after another finds them, so
 * that none can lay something into them for the next.
 */

/**
 * Runs inside a context, where it is compiled from its own text: it must not refer to anything outside of itself.
 *
 * @param shared whether more than one call finds them
 */
export const settle = (shared: boolean): void => {
  const global: Record<PropertyKey, unknown> = globalThis as never
  const keysOf = Reflect.ownKeys
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

  const freeze = (): void => {
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

  if (shared) freeze()
  for (const key of keysOf(global)) {
    const { configurable } = Object.getOwnPropertyDescriptor(global, key) ?? {}
    if (configurable === true) Object.defineProperty(global, key, { writable: false, configurable: false })
  }
}
