/**
 * Operators of aggregation expressions on texts, and `$zip`.
 */
import { Int32 } from "bson"
import { isArray, isNumeric } from "./bsonValue.ts"
import { convert, typeName } from "./conversion.ts"
import { badFilter } from "./failure.ts"
import type { NamedOperator } from "./namedOperator.ts"
import { any, indexOf, isNothing, one, type Operator, taking, textOf, two, unlessNothing, wholeOf } from "./operator.ts"
import type { Spend } from "./steps.ts"

/** What some operators take for a text: nothing is an empty one, numbers and dates are written out. */
const writtenOut = (operator: string, value: unknown): string => {
  if (isNothing(value)) return ""
  const isWritable = typeof value === "string" || isNumeric(value) || value instanceof Date
  return textOf(operator, isWritable ? convert(value, "string") : value)
}

const startOf = (operator: string, value: unknown): number => {
  const start = wholeOf(operator, value)
  if (start < 0) throw badFilter(`${operator}: the starting index must be non-negative`, operator)
  return start
}

// only of these does MongoDB know the other case
const changeCase = (operator: string, letters: RegExp, change: (letter: string) => string): Operator =>
  one((value) => writtenOut(operator, value).replace(letters, change))

const toUpper = (letter: string): string => letter.toUpperCase()

const split = two((value, separator, spend) => {
  if (isNothing(value) || isNothing(separator)) return null
  if (textOf("$split", separator) === "") throw badFilter("$split requires a non-empty separator", "$split")
  const parts = textOf("$split", value).split(textOf("$split", separator))
  spend(parts.length)
  return parts
})

const compareIgnoringCase = two((left, right) => {
  const upper = (value: unknown): Buffer => Buffer.from(writtenOut("$strcasecmp", value).replace(/[a-z]/g, toUpper))
  return new Int32(Buffer.compare(upper(left), upper(right)))
})

const part = (operator: string): Operator =>
  taking(3, 3, ([value, first, count]) => {
    const bytes = Buffer.from(writtenOut(operator, value))
    const start = startOf(operator, first)
    const length = wholeOf(operator, count)
    const end = length < 0 ? bytes.length : Math.min(bytes.length, start + length)
    const isInside = (index: number): boolean => ((bytes[index] ?? 0) & 0xc0) === 0x80
    if (isInside(start) || isInside(end)) {
      throw badFilter(`${operator}: a character of several bytes would be cut`, operator)
    }
    return bytes.toString("utf8", start, end)
  })

const partOfCharacters = taking(3, 3, ([value, first, count]) => {
  const characters = [...writtenOut("$substrCP", value)]
  const start = startOf("$substrCP", first)
  const length = wholeOf("$substrCP", count)
  if (length < 0) throw badFilter("$substrCP: the length must be a nonnegative integer", "$substrCP")
  return characters.slice(start, start + length).join("")
})

/** Operators on texts that take their operands in a list. */
export const textOperators: { readonly [operator: string]: Operator } = {
  $toLower: changeCase("$toLower", /[A-Z]/g, (letter) => letter.toLowerCase()),
  $toUpper: changeCase("$toUpper", /[a-z]/g, toUpper),
  $concat: any(unlessNothing((operands, spend) => {
    const text = operands.map((operand) => textOf("$concat", operand)).join("")
    spend(text.length >> 6)
    return text
  })),
  $indexOfCP: taking(2, 4, ([value, part, ...bounds]) => {
    if (isNothing(value)) return null
    const points = [...textOf("$indexOfCP", value)]
    const wanted = [...textOf("$indexOfCP", part)]
    return indexOf(
      "$indexOfCP",
      points.length,
      (index) => wanted.every((point, offset) => points[index + offset] === point),
      bounds
    )
  }),
  $split: split,
  $strcasecmp: compareIgnoringCase,
  $strLenBytes: one((value) => new Int32(Buffer.byteLength(textOf("$strLenBytes", value)))),
  $strLenCP: one((value, spend) => {
    const text = textOf("$strLenCP", value)
    spend(text.length >> 6)
    return new Int32([...text].length)
  }),
  $substr: part("$substr"),
  $substrBytes: part("$substrBytes"),
  $substrCP: partOfCharacters
}

// -----------------------------------------------------------------------------
// With named operands
// -----------------------------------------------------------------------------

const whitespace = new Set(
  "\0\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
)

const trim = (operator: string, ends: { readonly left: boolean; readonly right: boolean }): NamedOperator => ({
  required: ["input"],
  optional: ["chars"],
  apply: ({ chars, input }) => {
    if (input === null || chars === null) return null
    const cut = chars === undefined ? whitespace : new Set(textOf(operator, chars))
    const characters = [...textOf(operator, input)]
    let from = 0
    let to = characters.length
    if (ends.left) { while (from < to && cut.has(characters[from] ?? "")) from++ }
    if (ends.right) { while (to > from && cut.has(characters[to - 1] ?? "")) to-- }
    return characters.slice(from, to).join("")
  }
})

const replace = (
  operator: string,
  apply: (text: string, find: string, replacement: string, spend: Spend) => string
): NamedOperator => ({
  required: ["input", "find", "replacement"],
  optional: [],
  apply: (operands, spend) => {
    const texts = [operands["input"], operands["find"], operands["replacement"]].map((operand) =>
      operand === null ? null : textOf(operator, operand)
    )
    const [text, find, replacement] = texts
    return isNothing(text) || isNothing(find) || isNothing(replacement) ? null : apply(text, find, replacement, spend)
  }
})

const replaceAll = replace("$replaceAll", (text, find, replacement, spend) => {
  // between any two characters, and at both ends
  const parts = find === "" ? ["", ...text, ""] : text.split(find)
  // before it is made, for it may be very long
  spend(parts.length + ((parts.length - 1) * replacement.length >> 6))
  return parts.join(replacement)
})

const zip: NamedOperator = {
  required: ["inputs"],
  optional: ["useLongestLength", "defaults"],
  apply: ({ defaults, inputs, useLongestLength }, spend) => {
    if (!isArray(inputs) || inputs.length === 0) throw badFilter("$zip needs an array of arrays", "$zip")
    if (inputs.some(isNothing)) return null
    const lists = inputs.map((input) => {
      if (!isArray(input)) throw badFilter(`$zip needs arrays, not ${typeName(input)}`, "$zip")
      return input
    })
    if (
      defaults !== undefined && (useLongestLength !== true || !isArray(defaults) || defaults.length !== lists.length)
    ) {
      throw badFilter("$zip takes a default for each array, and with useLongestLength alone", "$zip")
    }
    const lengths = lists.map((list) => list.length)
    const length = useLongestLength === true ? Math.max(...lengths) : Math.min(...lengths)
    spend(length * lists.length)
    return Array.from(
      { length },
      (_, index) => lists.map((list, at) => list[index] ?? (isArray(defaults) ? defaults[at] : undefined) ?? null)
    )
  }
}

/** Operators whose operands have names. */
export const namedTextOperators: { readonly [operator: string]: NamedOperator } = {
  $trim: trim("$trim", { left: true, right: true }),
  $ltrim: trim("$ltrim", { left: true, right: false }),
  $rtrim: trim("$rtrim", { left: false, right: true }),
  $replaceOne: replace("$replaceOne", (text, find, replacement) => text.replace(find, () => replacement)),
  $replaceAll: replaceAll,
  $zip: zip
}
