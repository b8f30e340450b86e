/**
 * The npm packages of an app, for `require` in functions: found as Node.js finds them, and handed out as scripts, which run in the
 * function's context and not in the worker's realm. A function may require the packages that the app names, and a package
 * those that its own `package.json` names.
 *
 * Paths stay on this side: what is thrown names packages and files below `functions/`.
 */
import { readFileSync, realpathSync } from "node:fs"
import { createRequire, isBuiltin } from "node:module"
import * as path from "node:path"
import * as vm from "node:vm"
import { tools } from "./functionSource.ts"

/** Where packages are, and which of them functions may require. */
export interface Packages {
  /** The folder that holds `node_modules`. */
  readonly folder: string
  readonly names: ReadonlyArray<string>
}

/** What a package's module finds in scope, beside the globals of the context. */
export const scope = ["exports", "require", "module", "__filename", "__dirname", "process", "global", ...tools] as const

/** A module of a package. */
export type Module =
  | { readonly _tag: "Json"; readonly text: string }
  | { readonly _tag: "Script"; readonly script: vm.Script; readonly file: string }

/** Finds modules. What it throws has the `code` `MODULE_NOT_FOUND`. */
export interface Loader {
  /**
   * The module that a specifier leads to, as an id for {@link load}.
   *
   * @param from the id of the module that requires it; a function without
   */
  readonly resolve: (specifier: string, from: string | undefined) => string
  readonly load: (id: string) => Module
}

interface Manifest {
  readonly type?: unknown
  readonly dependencies?: object
  readonly optionalDependencies?: object
  readonly peerDependencies?: object
}

const notFound = (message: string): Error => Object.assign(new Error(message), { code: "MODULE_NOT_FOUND" })

/** The name of the package in a specifier such as `@scope/name/file`. */
export const packageName = (specifier: string): string =>
  specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/")

const real = (folder: string): string => {
  try {
    return realpathSync(folder)
  } catch {
    return path.resolve(folder)
  }
}

const isRelative = (specifier: string): boolean => /^\.{1,2}(\/|$)/.test(specifier)

/** Finds the packages of a folder; `modules` are those of Node.js that functions may require. */
export const loader = ({ folder: given, names }: Packages, modules: ReadonlySet<string>): Loader => {
  // As what is found is spelled.
  const folder = real(given)
  const inside = path.join(folder, "node_modules") + path.sep
  // Not the `require` itself: that would load whatever it is asked for.
  const resolverOf = new Map<string, (specifier: string) => string>()
  const manifests = new Map<string, Manifest>()
  const loaded = new Map<string, Module>()
  const ofFunctions = new Set(names)

  const manifestOf = (directory: string): Manifest | undefined => {
    const known = manifests.get(directory)
    if (known !== undefined) return known
    let manifest: Manifest
    try {
      // npm has checked that it is one.
      manifest = JSON.parse(readFileSync(path.join(directory, "package.json"), "utf8")) as Manifest
    } catch {
      return undefined
    }
    manifests.set(directory, manifest)
    return manifest
  }

  /** The folder of the package that a file belongs to. */
  const packageOf = (file: string): string => {
    const at = file.lastIndexOf(`${path.sep}node_modules${path.sep}`) + "/node_modules/".length
    return file.slice(0, at) + packageName(file.slice(at).replaceAll(path.sep, "/")).replaceAll("/", path.sep)
  }

  const nameOf = (directory: string): string =>
    directory.slice(directory.lastIndexOf(`${path.sep}node_modules${path.sep}`) + "/node_modules/".length)
      .replaceAll(path.sep, "/")

  const find = (specifier: string, from: string): string | undefined => {
    let resolver = resolverOf.get(from)
    if (resolver === undefined) resolverOf.set(from, resolver = createRequire(from).resolve)
    let found: string
    try {
      found = resolver(specifier)
    } catch (error) {
      if ((error as { readonly code?: unknown }).code === "ERR_PACKAGE_PATH_NOT_EXPORTED") {
        throw notFound(
          `the package "${packageName(specifier)}" has no '${specifier}' for require: it may be an ES module`
        )
      }
      return undefined
    }
    // Node.js also looks in the folders above, where packages of the server or of others may be.
    return found.startsWith(inside) ? found : undefined
  }

  const resolve = (specifier: string, from: string | undefined): string => {
    if (from === undefined) {
      const name = packageName(specifier)
      if (!ofFunctions.has(name)) {
        throw notFound(
          `Cannot find module '${specifier}': a function may require ${[...modules].join(", ")}, ` +
            `and the packages that functions/package.json names`
        )
      }
      const found = find(specifier, path.join(folder, "function.js"))
      if (found !== undefined) return found
      throw notFound(
        `Cannot find module '${specifier}': if the package "${name}" is not there, run npm install in the folder functions`
      )
    }
    const owner = packageOf(from)
    const whose = nameOf(owner)
    if (isBuiltin(specifier) && !specifier.endsWith("/")) {
      throw notFound(`the package "${whose}" needs the module '${specifier}', which functions may not use`)
    }
    const found = find(specifier, from)
    if (isRelative(specifier) || specifier.startsWith("#")) {
      if (found !== undefined && packageOf(found) === owner) return found
      throw notFound(`Cannot find module '${specifier}' in the package "${whose}"`)
    }
    const name = packageName(specifier)
    const { dependencies, optionalDependencies, peerDependencies } = manifestOf(owner) ?? {}
    const named = [dependencies, optionalDependencies, peerDependencies].some((names) =>
      names !== undefined && Object.hasOwn(names, name)
    )
    if (!named && name !== whose) {
      throw notFound(`the package "${whose}" requires '${specifier}', which its package.json does not name`)
    }
    if (found !== undefined) return found
    throw notFound(
      `Cannot find module '${specifier}', which the package "${whose}" needs: run npm install in the folder functions`
    )
  }

  const isEsModule = (file: string): boolean => {
    if (file.endsWith(".mjs")) return true
    if (!file.endsWith(".js")) return false
    for (let directory = path.dirname(file); directory.startsWith(inside); directory = path.dirname(directory)) {
      const manifest = manifestOf(directory)
      if (manifest !== undefined) return manifest.type === "module"
    }
    return false
  }

  const read = (id: string): Module => {
    const whose = nameOf(packageOf(id))
    if (id.endsWith(".node")) throw notFound(`the package "${whose}" is native code, which functions cannot run`)
    if (isEsModule(id)) {
      throw notFound(
        `the package "${whose}" is an ES module, which functions cannot require: use a version with CommonJS`
      )
    }
    const text = readFileSync(id, "utf8").replace(/^\uFEFF/, "")
    if (id.endsWith(".json")) return { _tag: "Json", text }
    const file = `functions/${path.relative(folder, id).replaceAll(path.sep, "/")}`
    const before = `(function (${scope.join(", ")}) { `
    const script = new vm.Script(`${before}${text.replace(/^#!/, "//")}\n})`, {
      filename: file,
      columnOffset: -before.length
    })
    return { _tag: "Script", script, file }
  }

  return {
    resolve,
    load: (id) => {
      let module = loaded.get(id)
      if (module === undefined) loaded.set(id, module = read(id))
      return module
    }
  }
}
