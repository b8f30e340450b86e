/**
 * Regular expressions that take time in proportion to the text, whatever the pattern.
 */
import { createRequire } from "node:module"
import type { RE2JS } from "re2js"
import { badFilter } from "./failure.ts"

export interface Match {
  readonly text: string
  /** Where it begins, in UTF-16 units. */
  readonly index: number
  /** What the groups of the pattern took, null for one that took no part. */
  readonly captures: ReadonlyArray<string | null>
}

export interface Regex {
  readonly test: (text: string) => boolean
  /** The first match that begins at `from` or later. */
  readonly find: (text: string, from: number) => Match | undefined
  /** What it takes at most to look through a text, in steps of an evaluation. */
  readonly steps: (text: string) => number
}

/** What is used of re2js, which takes 20 ms to load: a server that meets no such pattern does not. */
type Re2 = { readonly RE2JS: typeof RE2JS }

let loaded: Re2 | undefined

const load = (): Re2 => {
  // `require` is untyped
  loaded ??= createRequire(import.meta.url)("re2js") as Re2
  return loaded
}

// PCRE's own limit in MongoDB
const maxPattern = 32_764

// a step is one instruction on one character: about 20 ns
const maxSteps = 100_000_000

/** So many of them are one step of an evaluation. */
const stepsInOne = 64

// at worst the engine of JavaScript compares each character of a text with each of the pattern, so many in the time of a step
const comparisonsInStep = 75

/** Patterns that are a text and nothing else, perhaps anchored: the engine of JavaScript has nothing to try twice. */
const isPlain = (pattern: string, flags: ReadonlySet<string>): boolean =>
  !flags.has("m") && pattern.length <= 1000 && /^\^?(?:[^\\^$.|?*+()[\]{}]|\\[\\^$.|?*+()[\]{}/])*\$?$/u.test(pattern)

const flagNames = new Set(["i", "m", "s", "u", "x"])

const withoutComments = (pattern: string): string =>
  pattern.replace(/\\.|\[(?:\\.|[^\]\\])*\]|\s+|#[^\n]*/gsu, (part) => /^(?:\s|#)/.test(part) ? "" : part)

const plainRegex = (pattern: string, flags: ReadonlySet<string>): Regex => {
  const options = [...flags].filter((flag) => flag !== "x" && flag !== "u").join("")
  // with `u` a character is a code point, as it is to MongoDB
  const test = new RegExp(pattern, `${options}u`)
  const search = new RegExp(pattern, `${options}gu`)
  return {
    steps: (text) => Math.floor(text.length * (1 + pattern.length / comparisonsInStep) / stepsInOne),
    test: (text) => test.test(text),
    find: (text, from) => {
      search.lastIndex = from
      const found = search.exec(text)
      return found === null ? undefined : { text: found[0], index: found.index, captures: [] }
    }
  }
}

const linearRegex = (pattern: string, flags: ReadonlySet<string>): Regex => {
  const { RE2JS } = load()
  const options = (flags.has("i") ? RE2JS.CASE_INSENSITIVE : 0) | (flags.has("m") ? RE2JS.MULTILINE : 0) |
    (flags.has("s") ? RE2JS.DOTALL : 0)
  const compiled = RE2JS.compile(pattern, options)
  const size = Math.max(1, compiled.programSize())
  const bounded = (text: string): string => {
    if (text.length * size > maxSteps) {
      throw badFilter("the regular expression would take too long on a text of this length", "$regex")
    }
    return text
  }
  return {
    steps: (text) => Math.floor(text.length * size / stepsInOne),
    test: (text) => compiled.test(bounded(text)),
    find: (text, from) => {
      const matcher = compiled.matcher(bounded(text))
      if (!matcher.find(from)) return undefined
      const captures = Array.from({ length: matcher.groupCount() }, (_, index) => matcher.group(index + 1) ?? null)
      return { text: matcher.group() ?? "", index: matcher.start(), captures }
    }
  }
}

/** A pattern with the options of MongoDB (`imsxu`). */
export const compileRegex = (pattern: string, options: string): Regex => {
  if (pattern.length > maxPattern) {
    throw badFilter(`a regular expression has more than ${maxPattern} characters`, "$regex")
  }
  // PCRE takes options at the head of the pattern too
  const inline = /^\(\?([imsx]+)\)/.exec(pattern)
  const flags = new Set(options + (inline?.[1] ?? ""))
  for (const flag of flags) {
    if (!flagNames.has(flag)) throw badFilter(`invalid flag in regex options: ${flag}`, "$regex")
  }
  const body = inline === null ? pattern : pattern.slice(inline[0].length)
  const source = flags.has("x") ? withoutComments(body) : body
  try {
    return isPlain(source, flags) ? plainRegex(source, flags) : linearRegex(source, flags)
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : "it is invalid"
    throw badFilter(`Regular expression is invalid: ${detail}`, "$regex")
  }
}
