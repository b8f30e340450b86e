/**
 * The npm packages of an exported app: `functions/package.json` names them, `functions/node_modules` holds them. What is not
 * there, and what functions require without its being named, is told by file and line.
 */
import type * as PlatformError from "effect/PlatformError"
import * as Result from "effect/Result"
import { packageName } from "../functions/functionPackages.ts"
import { modules } from "../functions/functionSource.ts"
import { member, members, placeOf } from "./configFile.ts"
import { type FolderReader, top } from "./folderReader.ts"

type Contents = ReadonlyMap<string, Result.Result<string, PlatformError.PlatformError>>

const packageFile = "functions/package.json"

const manifestOf = (name: string): string => `functions/node_modules/${name}/package.json`

// Anything else could lead out of the folder.
const isName = (name: string): boolean => /^(@[a-z0-9~_-][a-z0-9._~-]*\/)?[a-z0-9~_-][a-z0-9._~-]*$/i.test(name)

const contentOf = (contents: Contents, path: string): string | undefined => {
  const content = contents.get(path)
  return content !== undefined && Result.isSuccess(content) ? content.success : undefined
}

const parsed = (text: string | undefined): { readonly [name: string]: unknown } | undefined => {
  try {
    const value: unknown = JSON.parse(text ?? "")
    return typeof value === "object" && value !== null ? { ...value } : undefined
  } catch {
    return undefined
  }
}

/** The files that tell of the packages which `functions/package.json` names. */
export const manifests = (contents: Contents): ReadonlyArray<string> => {
  const names = parsed(contentOf(contents, packageFile))?.["dependencies"]
  return typeof names === "object" && names !== null ? Object.keys(names).filter(isName).map(manifestOf) : []
}

// By what is written on it: what a package really answers to require is seen when a function does.
const isEsModule = ({ exports, main, type }: { readonly [name: string]: unknown }): boolean =>
  type === "module" && !/cjs|commonjs|"require"/i.test(JSON.stringify([main, exports]))

const requires = /\brequire\(\s*(["'`])([^"'`\n]+)\1\s*\)/g

/** The packages of a folder as an option of an app; nothing when it has none. */
export const read = (
  { files, open, say }: FolderReader
): { readonly folder: string; readonly names: ReadonlyArray<string> } | undefined => {
  const archive = files.paths.find((path) => /^functions\/node_modules\.(tar|tgz|zip|gz|bz2|br|xz)/.test(path))
  if (archive !== undefined) {
    say(
      "warning",
      top(archive),
      "Archives of packages are not unpacked: unpack it to functions/node_modules, " +
        "and name the packages in functions/package.json; it is ignored"
    )
  }
  const file = open(packageFile)
  if (file === undefined && files.paths.includes("functions/node_modules/")) {
    say(
      "warning",
      top("functions/node_modules"),
      "Name the packages that functions require in the dependencies of functions/package.json; the folder is ignored"
    )
  }
  const names: Array<string> = []
  const dependencies = file === undefined ? undefined : member(file.root, "dependencies")
  if (dependencies !== undefined && members(dependencies) === undefined) {
    say("error", placeOf(dependencies), "\"dependencies\" has to be an object of packages and their versions")
  }
  for (const { name, place } of (dependencies === undefined ? undefined : members(dependencies)) ?? []) {
    if (!isName(name)) {
      say("error", place, `"${name}" is no name of a package`)
      continue
    }
    names.push(name)
    const manifest = parsed(contentOf(files.contents, manifestOf(name)))
    if (manifest === undefined) {
      say("warning", place, `The package "${name}" is not installed: run npm install in the folder functions`)
    } else if (isEsModule(manifest)) {
      say(
        "warning",
        place,
        `The package "${name}" is an ES module, which functions cannot require: use a version with CommonJS`
      )
    }
  }
  const known = new Set<string>([...modules, ...names])
  for (const path of files.paths) {
    const source = path.startsWith("functions/") && path.endsWith(".js") ? contentOf(files.contents, path) : undefined
    for (const [index, line] of (source ?? "").split("\n").entries()) {
      if (/^\s*(\/\/|\*)/.test(line)) continue
      for (const [, , specifier = ""] of line.matchAll(requires)) {
        const name = packageName(specifier.replace(/^node:/, ""))
        if (known.has(name)) continue
        say(
          "warning",
          { file: path, line: index + 1 },
          `require("${specifier}") finds nothing: ` +
            "it is neither a module that functions may use nor a package that functions/package.json names"
        )
      }
    }
  }
  return names.length === 0 ? undefined : { folder: `${files.directory}/functions`, names }
}
