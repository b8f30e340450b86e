import { assert, describe, it } from "@effect/vitest"
import { existsSync, globSync, readdirSync, readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { parseSync } from "vite"
import * as Example from "./Example.ts"

interface Source {
  readonly file: string
  readonly package: string
  readonly internal: boolean
  readonly imports: ReadonlyArray<string>
  /** The code without its comments. */
  readonly code: string
}

const readJson = (file: string): Readonly<Record<string, unknown>> =>
  JSON.parse(readFileSync(join(Example.root, file), "utf8"))

const source = (file: string): Source => {
  const text = readFileSync(join(Example.root, file), "utf8")
  const { comments, module, program } = parseSync(file, text)
  const reexported = program.body.flatMap((node) =>
    (node.type === "ExportAllDeclaration" || node.type === "ExportNamedDeclaration") && node.source
      ? [node.source.value]
      : []
  )
  const dynamic = module.dynamicImports.map(({ moduleRequest: { end, start } }) => text.slice(start + 1, end - 1))
  return {
    file,
    package: file.split("/")[1] ?? "",
    internal: file.includes("/internal/"),
    imports: [...module.staticImports.map((one) => one.moduleRequest.value), ...reexported, ...dynamic],
    code: comments.reduce(
      (code, { end, start }) => code.slice(0, start) + " ".repeat(end - start) + code.slice(end),
      text
    )
  }
}

const sources = globSync("packages/*/{src,test,typetest}/**/*.ts", { cwd: Example.root })
  .map((file) => file.replaceAll("\\", "/"))
  .toSorted()
  .map(source)
const inSrc = sources.filter(({ file }) => /^packages\/\w+\/src\//.test(file))

/** The imports of `among` that `refused` does not allow, each with its file. */
const violations = (among: ReadonlyArray<Source>, refused: (specifier: string, source: Source) => boolean) =>
  among.flatMap((one) =>
    one.imports.filter((specifier) => refused(specifier, one)).map((specifier) => `${one.file} imports ${specifier}`)
  )

const allowed: Readonly<Record<string, ReadonlyArray<string>>> = {
  protocol: [],
  client: ["protocol"],
  stores: ["client"],
  server: ["protocol"],
  testing: ["protocol", "client", "server"]
}

const ours = (specifier: string) => /^@effect-realm\/([^/]+)/.exec(specifier)?.[1]

describe("the packages", () => {
  it.each(Object.entries(allowed))("%s imports of the other packages only %j", (name, others) => {
    const refused = (specifier: string) => {
      const other = ours(specifier)
      return other !== undefined && !others.includes(other)
    }
    assert.deepStrictEqual(violations(inSrc.filter((one) => one.package === name), refused), [])
  })

  it("import nothing of Node.js in protocol, client and the stores of browsers, which run in browsers", () => {
    const ofBrowsers = /\/src\/(IndexedDb|LocalStorage|internal\/(indexedDb|localItems|tabs|web|lastWriter|doorbell))/
    const portable = inSrc.filter(({ file, package: name }) =>
      name === "protocol" || name === "client" || (name === "stores" && ofBrowsers.test(file))
    )
    const refused = (specifier: string) => /^node:|^@effect\/platform-node/.test(specifier)
    assert.deepStrictEqual(violations(portable, refused), [])
  })

  it("never reach into the internals of another package", () => {
    const refused = (specifier: string, { file }: Source) => {
      if (/^@effect-realm\/[^/]+\/(internal|src|dist)\//.test(specifier)) return true
      if (!specifier.startsWith(".")) return false
      // An interface has one suite, also for those of its implementations that are in another package; and what tests run
      // on, such as a browser, is set up in one place.
      if (/\/test\/(\w+\.contract|support\/\w+)\.ts$/.test(specifier) && file.includes("/test/")) return false
      const target = new URL(specifier, `file:///${file}`).pathname.split("/")
      return target[1] !== "packages" || target[2] !== file.split("/")[1]
    }
    assert.deepStrictEqual(violations(sources, refused), [])
  })

  it("import Effect by sub-path, so that a bundle holds only what it uses", () => {
    const published = inSrc.filter((one) => Example.published.includes(one.package))
    const refused = (specifier: string) =>
      /^effect(\/(http|http-api|persistence|sql|encoding|cli|observability|testing|reactivity|schema))?$/.test(
        specifier
      ) ||
      specifier === "@effect/platform-node"
    assert.deepStrictEqual(violations(published, refused), [])
  })

  it("write the paths of the wire only in protocol", () => {
    const elsewhere = inSrc.filter((one) => one.package !== "protocol" && one.package !== "bench")
    assert.deepStrictEqual(elsewhere.filter((one) => one.code.includes("/api/client")).map((one) => one.file), [])
  })

  it.each(Example.published)("%s has what a published package needs", (name) => {
    const manifest = readJson(`packages/${name}/package.json`)
    assert.strictEqual(manifest["name"], `@effect-realm/${name}`)
    assert.strictEqual(manifest["license"], "MIT")
    assert.notProperty(manifest["dependencies"] ?? {}, "effect")
    assert.propertyVal(manifest["peerDependencies"], "effect", "~4.1.0")
    // What some modules need is forced on nobody who does not use them.
    const others = Object.keys(Object(manifest["peerDependencies"])).filter((peer) => peer !== "effect")
    assert.deepStrictEqual(
      manifest["peerDependenciesMeta"] ?? {},
      Object.fromEntries(others.map((peer) => [peer, { optional: true }]))
    )
    assert.propertyVal(manifest["exports"], "./internal/*", null)
    assert.isTrue(existsSync(join(Example.root, `packages/${name}/README.md`)))
    // npm takes a licence along from the folder of the package alone, and not by a link.
    const licence = (folder: string) => readFileSync(join(Example.root, folder, "LICENSE"), "utf8")
    assert.strictEqual(licence(`packages/${name}`), licence("."))
  })
})

describe("the repository", () => {
  it("has at its top level what it promises and nothing else", () => {
    const wanted = ["README.md", "docs", "package.json", "packages", "tsconfig.json", "vitest.workspace.ts"]
    const optional = new Set([
      "CHANGELOG.md",
      "CONTRIBUTING.md",
      "LICENSE",
      "node_modules",
      "package-lock.json",
      "tsconfig.base.json",
      "vitest.setup.ts"
    ])
    const found = readdirSync(Example.root).filter((name) => !name.startsWith("."))
    assert.deepStrictEqual(wanted.filter((name) => !found.includes(name)), [])
    assert.deepStrictEqual(found.filter((name) => !wanted.includes(name) && !optional.has(name)), [])
  })

  it("has a lock file that says what the manifests say", () => {
    const locked = readJson("package-lock.json")["packages"]
    const kinds = ["dependencies", "devDependencies", "peerDependencies"]
    const wanted = (manifest: Readonly<Record<string, unknown>>) => kinds.map((kind) => manifest[kind] ?? {})
    for (const folder of ["", ".scripts", ...globSync("packages/*/package.json", { cwd: Example.root }).map(dirname)]) {
      const entry: unknown = Reflect.get(Object(locked), folder.replaceAll("\\", "/"))
      assert.deepStrictEqual(wanted(Object(entry)), wanted(readJson(join(folder, "package.json"))), folder)
    }
  })

  it("installs exactly one copy of effect", () => {
    const lock = readJson("package-lock.json")["packages"]
    const copies = Object.keys(lock ?? {}).filter((path) => /(^|\/)node_modules\/effect$/.test(path))
    assert.deepStrictEqual(copies, ["node_modules/effect"])
    const from = ["packages/client", "packages/server", "packages/examples", "node_modules/@effect/platform-node"]
    const resolved = from.map((path) =>
      createRequire(join(Example.root, path, "package.json")).resolve("effect/package.json")
    )
    assert.strictEqual(new Set(resolved).size, 1)
  })
})
