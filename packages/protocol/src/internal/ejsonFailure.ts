/** Why and where a walk over an Extended JSON value stopped. */

/** Mirrors the reasons of `Ejson.EjsonError`, which is built from it at the edge. */
export type Reason =
  | { readonly _tag: "Unsupported"; readonly found: string; readonly advice: string }
  | { readonly _tag: "Malformed"; readonly wrapper: string; readonly expected: string }
  | { readonly _tag: "InvalidText" }
  | { readonly _tag: "TooDeep"; readonly limit: number }
  | { readonly _tag: "TooLarge"; readonly limit: number }
  | { readonly _tag: "Cycle" }

/**
 * What the walk throws. It carries no stack: it never leaves the module, and a server meets it at the rate of its
 * malformed requests.
 */
export class Failure {
  /** Keys from the innermost to the outermost: each level adds its own while the walk unwinds. */
  readonly path: Array<string | number> = []
  readonly reason: Reason
  constructor(reason: Reason) {
    this.reason = reason
  }
}

export const unsupported = (found: string, advice: string): Failure =>
  new Failure({ _tag: "Unsupported", found, advice })

export const malformed = (wrapper: string, expected: string): Failure =>
  new Failure({ _tag: "Malformed", wrapper, expected })

/** Getters and proxies of the caller may throw anything. */
export const fromUnknown = (cause: unknown): Failure =>
  cause instanceof Failure
    ? cause
    : unsupported("a value that throws when it is read", "pass a plain copy of it instead")

/** The same failure, seen from one level further out. */
export const inside = (cause: unknown, key: string | number): Failure => {
  const failure = fromUnknown(cause)
  failure.path.push(key)
  return failure
}

/** One walk: how many values it may still visit, and how deep it may go. */
export interface Walk {
  left: number
  readonly maxNodes: number
  readonly maxDepth: number
}

/** The walk recurses, so no option may lift the depth to where it would exhaust the stack. */
export const deepest = 1000

export const walk = (maxNodes: number, maxDepth: number): Walk => {
  const nodes = maxNodes >= 0 ? maxNodes : 0
  // a top-level value counts as one
  return { left: nodes - 1, maxNodes: nodes, maxDepth: maxDepth <= deepest ? Math.max(maxDepth, 0) : deepest }
}

export const enter = (walk: Walk, depth: number): void => {
  if (depth >= walk.maxDepth) throw new Failure({ _tag: "TooDeep", limit: walk.maxDepth })
}

export const spend = (walk: Walk, nodes: number): void => {
  if ((walk.left -= nodes) < 0) throw new Failure({ _tag: "TooLarge", limit: walk.maxNodes })
}

/** `JSON.parse` makes `__proto__` an own key; a plain assignment would set the prototype instead. */
export const put = <A>(target: Record<string, A>, key: string, value: A): void => {
  if (key === "__proto__") {
    Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true })
  } else {
    target[key] = value
  }
}
