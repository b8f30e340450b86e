/**
 * The API reference: one Markdown page per public module, made of its doc comments and of its declarations as they are
 * written. Types are not expanded: house rule says that every export has a written type, and `Effect<User, AuthError>`
 * says more than the hundred lines it stands for.
 */
import { globSync, readFileSync } from "node:fs"
import { basename, dirname, join } from "node:path"
import { parseSync } from "vite"
import * as Example from "./Example.ts"

interface Node {
  readonly type: string
  readonly start: number
  readonly end: number
  readonly [key: string]: unknown
}

export interface Export {
  readonly name: string
  /** Whether a reader needs to see it used: functions, classes and layers. */
  readonly needsExample: boolean
  /** The source file that declares it, relative to the root. Its examples are there. */
  readonly file: string
  readonly line: number
  /** The text of the doc comment, empty when there is none. */
  readonly doc: string
  readonly signature: string
}

export interface Module {
  readonly package: string
  readonly name: string
  /** The source file, relative to the root. */
  readonly file: string
  readonly doc: string
  readonly exports: ReadonlyArray<Export>
}

const isNode = (value: unknown): value is Node => typeof value === "object" && value !== null && "type" in value

const nodes = (value: unknown): ReadonlyArray<Node> => Array.isArray(value) ? value.filter(isNode) : []

const node = (value: unknown): Node | undefined => isNode(value) ? value : undefined

const docText = (comment: string): string =>
  comment.replace(/^\*/, "").split("\n").map((line) => line.replace(/^\s*\* ?/, "").trimEnd()).join("\n").trim()

/** Reads the public exports of one module. */
export const read = (file: string, source: string): Module => {
  const { comments, program } = parseSync(file, source)
  const docs = comments.filter((comment) => comment.type === "Block" && comment.value.startsWith("*"))
  const docBefore = (position: number) =>
    docs.find((comment) => comment.end <= position && source.slice(comment.end, position).trim() === "")
  const text = (start: number, end: number) => source.slice(start, end).trim()

  const name = (declaration: Node): string => {
    const id = node(declaration["id"]) ?? declaration
    return /^[\w$]+/.exec(source.slice(id.start, id.end))?.[0] ?? ""
  }

  /** A value without its initializer when its type is written, and with it when it is short enough to be the type. */
  const value = (owner: Node, named: Node, init: Node | undefined, prefix: string): string => {
    const annotation = node(named["typeAnnotation"]) ?? node(owner["typeAnnotation"])
    if (annotation !== undefined) return prefix + text(owner.start, annotation.end)
    if (init === undefined) return prefix + text(owner.start, owner.end)
    const body = init.type === "ArrowFunctionExpression" ? node(init["body"]) : undefined
    if (body !== undefined) return prefix + text(owner.start, body.start).replace(/\s*=>\s*\(*$/, " => …")
    const whole = text(owner.start, owner.end)
    return prefix + (whole.split("\n").length <= 40 ? whole : `${text(owner.start, init.start)} …`)
  }

  const member = (element: Node): string | undefined => {
    const key = node(element["key"])
    if (element["accessibility"] === "private" || key === undefined || key.type === "PrivateIdentifier") {
      return undefined
    }
    const doc = docBefore(element.start)
    const comment = doc === undefined ? "" : `${text(doc.start, doc.end)}\n  `
    const body = node(node(element["value"])?.["body"])
    return comment + (element.type === "MethodDefinition" && body !== undefined
      ? text(element.start, body.start)
      : value(element, element, node(element["value"]), ""))
  }

  const signature = (declaration: Node): string => {
    const body = node(declaration["body"])
    if (declaration.type === "ClassDeclaration" && body !== undefined) {
      const members = nodes(body["body"]).map(member).filter((line) => line !== undefined)
      const head = text(declaration.start, body.start)
      return members.length === 0 ? `${head} {}` : `${head} {\n${members.map((line) => `  ${line}`).join("\n")}\n}`
    }
    return declaration.type === "FunctionDeclaration" && body !== undefined
      ? text(declaration.start, body.start)
      : text(declaration.start, declaration.end)
  }

  const exported = (statement: Node, declaration: Node): Array<Export> => {
    const comment = docBefore(statement.start)
    const common = {
      file,
      line: source.slice(0, statement.start).split("\n").length,
      doc: comment === undefined ? "" : docText(comment.value)
    }
    if (declaration.type !== "VariableDeclaration") {
      const needsExample = /^(ClassDeclaration|FunctionDeclaration|TSDeclareFunction)$/.test(declaration.type)
      return [{ ...common, name: name(declaration), needsExample, signature: signature(declaration) }]
    }
    return nodes(declaration["declarations"]).map((one) => {
      const id = node(one["id"]) ?? one
      const init = node(one["init"])
      const written = value(one, id, init, "const ")
      const type = node(node(id["typeAnnotation"])?.["typeAnnotation"])
      const isFunction = init?.type === "ArrowFunctionExpression" || type?.type === "TSFunctionType" ||
        nodes(type?.["members"]).some((part) => part.type === "TSCallSignatureDeclaration")
      return { ...common, name: name(id), needsExample: isFunction || name(id).startsWith("layer"), signature: written }
    })
  }

  const statements: ReadonlyArray<unknown> = program.body
  const found = nodes(statements).flatMap((statement) => {
    const declaration = node(statement["declaration"])
    if (statement.type !== "ExportNamedDeclaration") return []
    if (declaration !== undefined) return exported(statement, declaration)
    const from = node(statement["source"])?.["value"]
    return nodes(statement["specifiers"]).flatMap((specifier): ReadonlyArray<Export> => {
      const local = name({ ...specifier, id: specifier["local"] })
      const here = { ...specifier, id: specifier["exported"] }
      if (typeof from === "string" && from.startsWith(".")) {
        const path = join(dirname(file), from)
        const there = read(path, readFileSync(join(Example.root, path), "utf8")).exports
        return there.filter((one) => one.name === local).map((one) => ({ ...one, name: name(here) }))
      }
      return typeof from === "string"
        ? [{
          ...exported(statement, here)[0]!,
          doc: `From \`${from}\`.`,
          signature: text(statement.start, statement.end)
        }]
        : nodes(statements)
          .filter((other) => [other, ...nodes(other["declarations"])].some((one) => name(one) === local))
          .flatMap((other) => exported(other, other))
    })
  })
  const first = nodes(statements)[0]
  const opening = docs[0]
  const isModuleDoc = opening !== undefined && first !== undefined && opening.end <= first.start &&
    (first.type === "ImportDeclaration" || docBefore(first.start) !== opening)
  return {
    package: file.split("/")[1] ?? "",
    name: basename(file, ".ts"),
    file,
    doc: isModuleDoc ? docText(opening.value) : "",
    exports: found
  }
}

/** Every public module of the published packages. `index.ts` only gathers them, `bin.ts` is a program. */
export const modules = (): ReadonlyArray<Module> =>
  globSync(`packages/{${Example.published.join(",")}}/src/*.ts`, { cwd: Example.root })
    .map((file) => file.replaceAll("\\", "/"))
    .filter((file) => !/\/(index|bin)\.ts$/.test(file))
    .toSorted()
    .map((file) => read(file, readFileSync(join(Example.root, file), "utf8")))

/**
 * What is missing: doc comments, and examples in which functions, classes and layers are used.
 *
 * @param sourceOf the text of a source file
 */
export const gaps = (module: Module, sourceOf: (file: string) => string): ReadonlyArray<string> => {
  const shown = (file: string) => Example.extract(file, sourceOf(file)).map((example) => example.code).join("\n")
  const documented = new Set(module.exports.filter((one) => one.doc !== "").map((one) => one.name))
  return [
    ...(module.doc === "" ? [`${module.file}:1: the module has no doc comment`] : []),
    ...module.exports.flatMap((one) => {
      const at = `${one.file}:${one.line}: ${one.name}`
      if (!documented.has(one.name)) return [`${at} has no doc comment`]
      return one.needsExample &&
          !new RegExp(`(?<![\\w$])${one.name.replaceAll("$", "\\$")}(?![\\w$])`).test(shown(one.file))
        ? [`${at} is used in no example of its module`]
        : []
    })
  ]
}

const prose = (doc: string): string =>
  doc.replace(/^@example\s*\n/gm, "").replaceAll(
    /\{@link\s+([^}\s|]+)(?:[\s|]+([^}]+))?\}/g,
    (_, target, label) => `\`${label ?? target}\``
  )

const page = (module: Module): string => {
  const names = [...new Set(module.exports.map((one) => one.name))]
  const entry = (name: string) => {
    const all = module.exports.filter((one) => one.name === name)
    const docs = [...new Set(all.map((one) => one.doc).filter((doc) => doc !== ""))].map(prose)
    const signatures = [...new Set(all.map((one) => one.signature))].join("\n\n")
    return [`## ${name}`, ["```ts", signatures, "```"].join("\n"), ...docs].join("\n\n")
  }
  return [
    `# ${module.name}`,
    [
      "```ts",
      `import { ${module.name} } from "@effect-realm/${module.package}"`,
      `import * as ${module.name} from "@effect-realm/${module.package}/${module.name}" // in a browser bundle`,
      "```"
    ].join("\n"),
    ...(module.doc === "" ? [] : [prose(module.doc)]),
    ...names.map(entry)
  ].join("\n\n") + "\n"
}

const summary = (module: Module): string =>
  (/^.*?[.:](?=\s|$)/s.exec(prose(module.doc))?.[0] ?? prose(module.doc)).replaceAll("\n", " ").replace(/:$/, ".")

/** The pages of the reference, by their path below `docs/api`. */
export const pages = (all: ReadonlyArray<Module>): ReadonlyMap<string, string> =>
  new Map([
    [
      "README.md",
      [
        "# API reference",
        "Made from the sources by `npm run docs`.",
        ...Example.published.flatMap((name) => {
          const own = all.filter((module) => module.package === name)
          const lines = own.map((module) => `- [${module.name}](${name}/${module.name}.md): ${summary(module)}`)
          return lines.length === 0 ? [] : [`## @effect-realm/${name}`, lines.join("\n")]
        })
      ].join("\n\n") + "\n"
    ],
    ...all.map((module): [string, string] => [`${module.package}/${module.name}.md`, page(module)])
  ])
