/**
 * JSON files of an exported app, with the line of everything in them. `jsonc-parser` reads them: the one well-kept JSON
 * parser that keeps positions and goes on after an error.
 */
import type * as Schema from "effect/Schema"
import {
  findNodeAtLocation,
  getNodeValue,
  type Node,
  type ParseError,
  parseTree,
  printParseErrorCode
} from "jsonc-parser"

/** Something that was found in an exported app. */
export interface Finding {
  /** `error`: the app cannot be served. `warning`: it can, without the part that is named. */
  readonly severity: "error" | "warning"
  /** Path below the app's folder, with `/`. */
  readonly file: string
  /** 1 for the first line, and for a folder. */
  readonly line: number
  readonly message: string
}

/** A place in a file. */
export interface Place {
  readonly file: string
  readonly line: number
}

/** A JSON value and where it stands. */
export interface Located {
  readonly file: ConfigFile
  readonly node: Node
}

/** A JSON file that was read. */
export interface ConfigFile {
  readonly path: string
  readonly root: Located
  readonly place: (node: Node) => Place
}

const words: Record<string, string> = {
  InvalidSymbol: "Expected a value: text needs double quotes",
  InvalidNumberFormat: "This is not a number",
  PropertyNameExpected: "Expected a name in double quotes",
  ValueExpected: "Expected a value",
  ColonExpected: "Expected \":\"",
  CommaExpected: "Expected \",\"",
  CloseBraceExpected: "Expected \"}\"",
  CloseBracketExpected: "Expected \"]\"",
  EndOfFileExpected: "Expected the end of the file",
  InvalidCommentToken: "Comments are not allowed in JSON",
  UnexpectedEndOfString: "This text has no closing quote",
  InvalidCharacter: "This character is not allowed here; in a text, write it as \\uXXXX"
}

const lineAt = (text: string, offset: number): number => {
  let line = 1
  for (let at = text.indexOf("\n"); at !== -1 && at < offset; at = text.indexOf("\n", at + 1)) line++
  return line
}

/** Reads the text of a JSON file; syntax errors become findings, and then there is no file. */
export const parse = (path: string, content: string, report: (finding: Finding) => void): ConfigFile | undefined => {
  // A byte order mark is what some editors put there; it is no part of the JSON.
  const text = content.replace(/^\uFEFF/, "")
  const errors: Array<ParseError> = []
  const node = parseTree(text, errors, { disallowComments: true })
  const [error] = errors
  if (error !== undefined || node === undefined) {
    const code = error === undefined ? "ValueExpected" : printParseErrorCode(error.error)
    const line = lineAt(text, Math.min(error?.offset ?? 0, text.length))
    report({ severity: "error", file: path, line, message: `The file is no valid JSON: ${words[code] ?? code}` })
    return undefined
  }
  const file: ConfigFile = {
    path,
    get root() {
      return { file, node }
    },
    place: (node) => ({ file: path, line: lineAt(text, node.offset) })
  }
  return file
}

/** Where a value stands. */
export const placeOf = ({ file, node }: Located): Place => file.place(node)

/** The value itself. */
export const valueOf = ({ node }: Located): Schema.Json => getNodeValue(node) as Schema.Json

/** The item of an array. */
export const items = ({ file, node }: Located): ReadonlyArray<Located> | undefined =>
  node.type === "array" ? (node.children ?? []).map((node) => ({ file, node })) : undefined

/** The member of an object, or nothing. */
export const member = ({ file, node }: Located, key: string): Located | undefined => {
  const found = node.type === "object" ? findNodeAtLocation(node, [key]) : undefined
  return found === undefined ? undefined : { file, node: found }
}

/** The members of an object, each with its name and where that name stands. */
export const members = (
  { file, node }: Located
): ReadonlyArray<{ readonly name: string; readonly place: Place; readonly value: Located }> | undefined =>
  node.type === "object"
    ? (node.children ?? []).flatMap(({ children: [name, value] = [] }) =>
      name === undefined || value === undefined
        ? []
        : [{ name: String(name.value), place: file.place(name), value: { file, node: value } }]
    )
    : undefined

const template = /%\(\s*%%environment\.values\.([^)\s]+)\s*\)/g

/**
 * The value with every `%(%%environment.values.<path>)` in it replaced: by the value itself when the text is nothing
 * else, else by its text.
 */
export const expand = (
  located: Located,
  environment: Schema.Json,
  report: (finding: Finding) => void
): Schema.Json => {
  const lookUp = (path: string): Schema.Json | undefined => {
    let value: Schema.Json | undefined = environment
    for (const key of path.split(".")) {
      value = typeof value === "object" && value !== null && Object.hasOwn(value, key)
        ? (value as { readonly [key: string]: Schema.Json })[key]
        : undefined
    }
    if (value === undefined) {
      report({
        severity: "error",
        ...placeOf(located),
        message: `The environment in force has no value "${path}": add it to its file in environments/`
      })
    }
    return value
  }
  const walk = (value: Schema.Json): Schema.Json => {
    if (typeof value === "string") {
      if (!value.includes("%(")) return value
      const [whole] = value.matchAll(template)
      if (whole !== undefined && whole[0] === value) return lookUp(whole[1]!) ?? ""
      return value.replaceAll(template, (_, path: string) => {
        const found = lookUp(path) ?? ""
        return typeof found === "string" ? found : JSON.stringify(found)
      })
    }
    if (Array.isArray(value)) return value.map(walk)
    if (typeof value !== "object" || value === null) return value
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, walk(member)]))
  }
  return walk(valueOf(located))
}
