/**
 * Functions in the files of an exported app: one list and a source each (server section 1.6), or, in the layout of before
 * 2021, a folder each with both in it (section 1.10).
 */
import * as FunctionSource from "../functions/functionSource.ts"
import { items, type Located, member, placeOf, valueOf } from "./configFile.ts"
import { type Fields, type FolderReader, top } from "./folderReader.ts"

const folders = /^functions\/([^/]+)\/(?:config\.json|source\.js)$/

/** Whether the text of a file is needed. */
export const isRead = (path: string): boolean =>
  path === "functions/config.json" || path === "functions/package.json" || folders.test(path) ||
  (path.startsWith("functions/") && path.endsWith(".js"))

const known = {
  name: { as: "name" },
  private: { as: "private" },
  can_evaluate: { as: "canEvaluate" },
  disable_arg_logs: { as: "disableArgLogs" },
  run_as_system: { as: "runAsSystem" },
  run_as_user_id: { as: "runAsUserId", optional: true },
  run_as_user_id_script_source: { as: "runAsUserIdScriptSource", optional: true }
} as const

/** What of a file is the source of a function. */
interface Source {
  readonly name: string
  readonly path: string
}

/** The functions of a folder, as options of an app. */
export const read = (reader: FolderReader, layout: "current" | "legacy"): ReadonlyArray<Fields> => {
  const { fieldsOf, files, open, placed, say, text } = reader
  const functions: Array<Fields> = []

  const readSource = ({ name, path }: Source): string => {
    const source = text(path)
    if (source === undefined) return ""
    const error = FunctionSource.check(name, source)
    if (error !== undefined) {
      const advice = /^\s*(import|export)\b/m.test(source)
        ? "; a function is assigned to exports, without import or export"
        : ""
      say("error", { file: path, line: error.line }, `${error.message}${advice}`)
    } else if (!/\bexports\b/.test(source)) {
      say("error", top(path), "The file assigns no function to exports: write exports = function() { … }")
    }
    return source
  }

  /** What the configuration of a function says, but for its source. */
  const readEntry = (entry: Located): Fields => {
    const fields = fieldsOf(entry, ["functions", functions.length], known, ["_id", "id"])
    const script = fields["runAsUserIdScriptSource"]
    const mistake = typeof script === "string"
      ? FunctionSource.check("run_as_user_id_script_source", script)
      : undefined
    if (mistake !== undefined) {
      say("error", placeOf(member(entry, "run_as_user_id_script_source")!), mistake.message)
    }
    return fields
  }

  /** A function that only its source tells of. */
  const addSource = (source: Source): void => {
    placed(["functions", functions.length], top(source.path))
    functions.push({ name: source.name, source: readSource(source) })
  }

  const readList = (): void => {
    const sources = new Map(
      files.paths
        .filter((path) => path.startsWith("functions/") && path.endsWith(".js") && !path.includes("/node_modules/"))
        .map((path) => [path.slice("functions/".length, -".js".length), path])
    )
    const list = open("functions/config.json")
    const entries = list === undefined ? [] : items(list.root)
    if (list !== undefined && entries === undefined) {
      say("error", placeOf(list.root), "Expected an array with an entry for each function")
    }
    for (const entry of entries ?? []) {
      const fields = readEntry(entry)
      const { name } = fields
      if (typeof name === "string") {
        const path = sources.get(name)
        if (path === undefined) {
          const place = placeOf(member(entry, "name") ?? entry)
          say("error", place, `There is no file functions/${name}.js for this function, or it is listed twice`)
          continue
        }
        sources.delete(name)
        fields["source"] = readSource({ name, path })
      } else {
        fields["source"] = ""
      }
      functions.push(fields)
    }
    for (const [name, path] of sources) addSource({ name, path })
  }

  const readFolders = (): void => {
    const names = new Set(files.paths.flatMap((path) => folders.exec(path)?.[1] ?? []))
    for (const folder of names) {
      const path = `functions/${folder}/source.js`
      const config = `functions/${folder}/config.json`
      if (!files.paths.includes(path)) {
        say("error", top(config), `There is no file ${path} for this function`)
        continue
      }
      const file = open(config)
      if (file === undefined) {
        addSource({ name: folder, path })
        continue
      }
      const fields = readEntry(file.root)
      functions.push({ name: folder, ...fields, source: readSource({ name: String(fields["name"] ?? folder), path }) })
    }
  }

  if (layout === "current") readList()
  else readFolders()
  return functions
}

/** The names of functions by the ids that they had in the app which was exported: what refers to them may have no name. */
export const idsOf = ({ files, open }: FolderReader): ReadonlyMap<string, string> =>
  new Map(
    files.paths.flatMap((path) => {
      const file = path.endsWith("/config.json") && folders.test(path) ? open(path) : undefined
      const id = file === undefined ? undefined : member(file.root, "_id") ?? member(file.root, "id")
      const name = file === undefined ? undefined : member(file.root, "name")
      return id === undefined || name === undefined ? [] : [[String(valueOf(id)), String(valueOf(name))] as const]
    })
  )
