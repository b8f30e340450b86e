/** How the source of a function becomes a script: the same way when an app is checked and when it runs. */
import * as vm from "node:vm"

/** A syntax error in a source, by its place in that source. */
export interface SourceError {
  readonly line: number
  readonly message: string
}

/** What is made anew for each call, so that nothing of it can belong to another call. */
export const tools = [
  "console",
  "setTimeout",
  "setInterval",
  "setImmediate",
  "clearTimeout",
  "clearInterval",
  "clearImmediate",
  "queueMicrotask"
] as const

/** What a source finds in scope. */
export const scope = ["exports", "require", "context", ...tools] as const

/** The modules of Node.js that functions may require. */
export const modules = [
  "assert",
  "buffer",
  "crypto",
  "events",
  "path",
  "querystring",
  "stream",
  "string_decoder",
  "timers",
  "url",
  "util",
  "zlib"
] as const

// On the first line of the source, so that every line keeps its number. The inner function lets a source declare a name
// of the scope itself, and begin with "use strict".
const before = `(function (${scope.join(", ")}) { (function () { `
const after = "\n}).call(undefined); return exports\n})"

/** Where the source of a function is said to be: in stack traces and syntax errors. */
export const fileName = (name: string): string => `functions/${name}.js`

/** The script of a source. Running it gives a function of what {@link scope} lists, which returns `exports`. */
export const script = (name: string, source: string): vm.Script =>
  new vm.Script(before + source + after, { filename: fileName(name), columnOffset: -before.length })

/** The syntax error of a source, or nothing. */
export const check = (name: string, source: string): SourceError | undefined => {
  try {
    // As a function body first, where a stray "})" cannot close the wrapper.
    vm.compileFunction(source, [], { filename: fileName(name) })
    script(name, source)
    return undefined
  } catch (error) {
    const stack = error instanceof Error ? error.stack ?? "" : ""
    const place = stack.startsWith(`${fileName(name)}:`) ? /^:(\d+)/.exec(stack.slice(fileName(name).length)) : null
    const lines = source.split("\n").length
    return {
      line: Math.min(Number(place?.[1] ?? 1), lines),
      message: error instanceof Error ? `${error.name}: ${error.message}` : String(error)
    }
  }
}

/**
 * Whether a source may change what all code shares (the prototypes of the language). Such a function runs in a fresh
 * context that is thrown away; all others share contexts whose built-ins are frozen.
 */
export const touchesPrototypes = (source: string): boolean => /prototype|__proto__|setPrototypeOf/i.test(source)
