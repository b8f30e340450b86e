/**
 * The entries of a list of users in a text that is never held whole: a JSON array, JSON lines, objects with white space
 * between them, or several of these behind each other, as pages are that were appended.
 */
import * as Stream from "effect/Stream"

/** One value of a list, or a text that cannot be one. */
export interface Entry {
  /** Where it begins, counted from 1. */
  readonly line: number
  readonly text: string
  /** Why it is no value, where its text does not tell. */
  readonly problem?: string
}

/** Most UTF-16 code units of an entry. */
const maxLength = 1_048_576

const scanner = () => {
  let line = 1
  let isLineStart = true
  /** Where the arrays begin that are open around the entries. */
  const lists: Array<number> = []

  /** `value` is within an object, `closed` behind it in its line, `junk` in what can be no value, up to the end of the line. */
  let state: "between" | "value" | "closed" | "junk" = "between"
  let depth = 0
  let inString = false
  let isEscaped = false

  let begun = 1
  let kept: Array<string> = []
  let length = 0
  let ended: Array<Entry> = []

  const begin = (as: "value" | "junk"): void => {
    state = as
    begun = line
    kept = []
    length = 0
    depth = 0
    inString = false
    isEscaped = false
  }

  const keep = (part: string): void => {
    length += part.length
    if (length <= maxLength) kept.push(part)
  }

  const end = (): void => {
    ended.push(
      length <= maxLength
        ? { line: begun, text: kept.join("") }
        : { line: begun, text: "", problem: `it is longer than ${maxLength} characters` }
    )
    state = "between"
  }

  /** Whether a character ends what goes on before it. */
  const isEnd = (char: string): boolean => {
    switch (state) {
      case "between":
        return false
      case "value":
        // Nothing of a value stands so at the beginning of a line, and no text goes over its end: one that was cut off must
        // not swallow the next.
        return char === "{" ? isLineStart : char === "\n" && inString
      case "closed":
        return char === "{" || char === "," || char === "]" || char === "\n"
      case "junk":
        return char === "\n"
    }
  }

  const inValue = (char: string): void => {
    if (isEscaped) isEscaped = false
    else if (inString) {
      isEscaped = char === "\\"
      inString = char !== "\""
    } else if (char === "\"") inString = true
    else if (char === "{" || char === "[") depth++
    else if ((char === "}" || char === "]") && --depth === 0) state = "closed"
  }

  const taken = (): ReadonlyArray<Entry> => {
    const entries = ended
    ended = []
    return entries
  }

  return {
    /** The entries that end in this piece of the text. */
    read: (piece: string): ReadonlyArray<Entry> => {
      let from = 0
      for (let at = 0; at < piece.length; at++) {
        const char = piece[at]!
        if (isEnd(char)) {
          keep(piece.slice(from, at))
          end()
        }
        if (state === "between") {
          if (char === "[") lists.push(line)
          else if (char === "]" && lists.length > 0) lists.pop()
          else if (!/[\s,]/.test(char)) {
            begin(char === "{" ? "value" : "junk")
            from = at
          }
        }
        if (state === "value") inValue(char)
        else if (state === "closed" && !/\s/.test(char)) state = "junk"
        isLineStart = char === "\n"
        if (isLineStart) line++
      }
      if (state !== "between") keep(piece.slice(from))
      return taken()
    },
    /** The entries that are left when the text has ended. */
    finish: (): ReadonlyArray<Entry> => {
      if (state !== "between") end()
      for (const line of lists) {
        ended.push({
          line,
          text: "",
          problem: "the list that begins here has no end: it was cut off, or lacks a \"]\""
        })
      }
      return taken()
    }
  }
}

/** The entries of a list that comes in pieces of any length. */
export const split = <E, R>(list: Stream.Stream<string, E, R>): Stream.Stream<Entry, E, R> =>
  Stream.mapAccum(list, scanner, (entries, piece) => [entries, entries.read(piece)], {
    onHalt: (entries) => entries.finish()
  })
