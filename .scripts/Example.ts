/**
 * The programs inside the documentation: every fenced `ts` block of a doc comment or of a Markdown page.
 *
 * - A block fenced as `ts` is a whole program: it is type-checked, and it runs as one test.
 * - A block fenced as `ts no-run` is type-checked only, for programs that need what a test has not (a network, a key).
 * - Any other fence (`js`, `sh`, `text`) is prose.
 *
 * A comment `// => value` behind a statement is a check: the statement's expression, or the constant it declares, must
 * deeply equal the value.
 */
import { globSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { parseSync } from "vite"

export interface Example {
  /** The file the block stands in, relative to the root of the repository. */
  readonly file: string
  /** The line of the opening fence, counted from 1. */
  readonly line: number
  /** How many characters of each line belong to the comment or to the list around the block. */
  readonly indent: number
  /** The text of the block. */
  readonly code: string
  /** Whether the block is run, or only type-checked. */
  readonly run: boolean
}

/** The root of the repository. */
export const root: string = join(import.meta.dirname, "..")

/** The packages whose public modules are documented. */
export const published: ReadonlyArray<string> = ["protocol", "client", "stores", "server", "testing"]

/** The files that may hold examples, relative to the root, in a stable order. */
export const files = (): ReadonlyArray<string> =>
  globSync(
    [
      `packages/{${published.join(",")}}/src/**/*.ts`,
      "packages/*/README.md",
      "docs/**/*.md",
      "*.md"
    ],
    { cwd: root, exclude: ["docs/api/**", "CHANGELOG.md"] }
  ).map((file) => file.replaceAll("\\", "/")).toSorted()

const fence = /^(\s*)```ts(?:\s+(.*\S))?\s*$/
const commentPrefix = /^\s*\* ?/

/** The examples of one file, in order. */
export const extract = (file: string, source: string): Array<Example> => {
  const examples: Array<Example> = []
  const markdown = file.endsWith(".md")
  let inComment = markdown
  let open:
    | { readonly line: number; readonly indent: number; readonly run: boolean; readonly lines: Array<string> }
    | undefined
  let space = 0
  for (const [index, text] of source.split(/\r?\n/).entries()) {
    if (!markdown && !inComment) {
      inComment = /^\s*\/\*\*(?!.*\*\/)/.test(text)
      continue
    }
    if (!markdown && /^\s*\*\//.test(text)) {
      if (open !== undefined) throw new Error(`${file}:${open.line}: this block has no closing fence`)
      inComment = false
      continue
    }
    const prefix = markdown ? 0 : (commentPrefix.exec(text)?.[0].length ?? 0)
    const content = text.slice(prefix)
    if (open === undefined) {
      const match = fence.exec(content)
      if (match === null) continue
      const [, before = "", info] = match
      space = before.length
      if (info !== undefined && info !== "no-run") {
        throw new Error(`${file}:${index + 1}: unknown kind of example "${info}", write "ts" or "ts no-run"`)
      }
      open = { line: index + 1, indent: prefix + space, run: info === undefined, lines: [] }
    } else if (content.trim() === "```") {
      const { lines, ...rest } = open
      examples.push({ file, ...rest, code: lines.join("\n") })
      open = undefined
    } else {
      open.lines.push(content.slice(Math.min(space, content.length - content.trimStart().length)))
    }
  }
  if (open !== undefined) throw new Error(`${file}:${open.line}: this block has no closing fence`)
  return examples
}

/** Every example of the repository. */
export const all = (): ReadonlyArray<Example> =>
  files().flatMap((file) => extract(file, readFileSync(join(root, file), "utf8")))

interface Node {
  readonly type: string
  readonly start: number
  readonly end: number
}

const isNode = (value: unknown): value is Node =>
  typeof value === "object" && value !== null && "type" in value && "start" in value && "end" in value

function* statements(node: Node): Generator<Node> {
  if (node.type === "ExpressionStatement" || node.type === "VariableDeclaration") yield node
  for (const child of Object.values(node).flat()) {
    if (isNode(child)) yield* statements(child)
  }
}

const hasInit = (node: Node): boolean => "init" in node && isNode(node.init)

/** The name of the constant that a statement declares, when it is one constant with a plain name. */
const declaredName = (node: Node, code: string): string | undefined => {
  if (!("declarations" in node) || !Array.isArray(node.declarations)) return undefined
  const [first, ...others]: ReadonlyArray<unknown> = node.declarations
  if (!isNode(first) || others.length > 0 || !hasInit(first) || !("id" in first) || !isNode(first.id)) return undefined
  return first.id.type === "Identifier" ? /^[\w$]+/.exec(code.slice(first.id.start, first.id.end))?.[0] : undefined
}

/**
 * The block as a module whose lines have the numbers they have in the file. To run, each `// => value` becomes an
 * assertion; to be type-checked, a mere use of both sides, because an assertion would narrow the types after it.
 */
export const toModule = (example: Example, purpose: "run" | "types"): string => {
  const { code } = example
  const parsed = parseSync("example.ts", code)
  const broken = parsed.errors[0]
  if (broken !== undefined) throw new Error(`${example.file}:${example.line}: ${broken.message}`)
  const found = [...statements(parsed.program)]
  let result = code
  for (const comment of parsed.comments.toReversed()) {
    const value = /^ *=> *(.*\S)/.exec(comment.value)?.[1]
    if (comment.type !== "Line" || value === undefined) continue
    const checked = found.find((node) =>
      node.end <= comment.start && /^[ \t]*;?[ \t]*$/.test(code.slice(node.end, comment.start))
    )
    const name = checked === undefined ? undefined : declaredName(checked, code)
    if (checked === undefined || (checked.type === "VariableDeclaration" && name === undefined)) {
      const line = example.line + code.slice(0, comment.start).split("\n").length
      throw new Error(`${example.file}:${line}: "// =>" must follow a statement or the declaration of one constant`)
    }
    const statement = code.slice(checked.start, checked.end).replace(/;\s*$/, "")
    const replacement = purpose === "types"
      ? `${statement}; void [${name === undefined ? "" : `${name}, `}(${value})]`
      : name === undefined
      ? `$check(${statement}, (${value}))`
      : `${statement}; $check(${name}, (${value}))`
    result = result.slice(0, checked.start) + replacement + result.slice(comment.end)
  }
  const head = purpose === "run" ? `import { deepStrictEqual as $check } from "node:assert/strict";` : ""
  return `${head}${"\n".repeat(example.line)}${result}\n`
}
