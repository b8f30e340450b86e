/**
 * Data sources in the files of an exported app: `data_sources/<service>`, and `services/<service>` of exports before 2021
 * (server sections 1.5 and 1.10).
 */
import type * as Schema from "effect/Schema"
import { items, type Located, member, members, placeOf, valueOf } from "./configFile.ts"
import { type Fields, type FolderReader } from "./folderReader.ts"

type Path = ReadonlyArray<string | number>

const modern =
  /^data_sources\/([^/]+)\/(?:config|default_rule)\.json$|^data_sources\/([^/]+)\/([^/]+)\/([^/]+)\/(rules|schema|relationships)\.json$/
const legacy = /^services\/([^/]+)\/(?:config\.json|rules\/[^/]+\.json)$/

/** Whether the text of a file is needed. */
export const isRead = (path: string): boolean => modern.test(path) || legacy.test(path)

/** The types of services that are MongoDB; `mongodb` is that of servers of one's own. */
const served = new Set(["mongodb-atlas", "mongodb"])

const permissions = { read: { as: "read" }, write: { as: "write" } }

/** What of a role lets somebody write, for the finding below. */
const grantsWriting = (role: Fields): boolean =>
  role["write"] !== undefined || JSON.stringify([role["fields"], role["additionalFields"]]).includes("\"write\":")

/**
 * The data sources of a folder, as options of an app, and the folders in `services/` that were read.
 */
export const read = (
  reader: FolderReader
): { readonly dataSources: ReadonlyArray<Fields>; readonly services: ReadonlySet<string> } => {
  const { fieldsOf, files: { paths }, open, placed, say } = reader
  const dataSources: Array<Fields> = []
  const services = new Set<string>()

  const list = (
    owner: Located,
    name: string,
    read: (item: Located, index: number) => Fields
  ): ReadonlyArray<Fields> => {
    const found = member(owner, name)
    if (found === undefined || valueOf(found) === null) return []
    const all = items(found)
    if (all === undefined) {
      say("error", placeOf(found), `"${name}" has to be an array`)
      return []
    }
    return all.map(read)
  }

  const inner = <A>(owner: Located, name: string, read: (found: Located) => A): A | undefined => {
    const found = member(owner, name)
    return found === undefined || valueOf(found) === null ? undefined : read(found)
  }

  const readFieldRules = (all: Located, path: Path): Fields => {
    const out: Fields = {}
    placed(path, placeOf(all))
    for (const { name, value } of members(all) ?? []) {
      const at = [...path, name]
      const fields = fieldsOf(value, at, permissions, ["fields"])
      const nested = inner(value, "fields", (found) => readFieldRules(found, [...at, "fields"]))
      out[name] = nested === undefined || Object.keys(nested).length === 0 ? fields : { ...fields, fields: nested }
    }
    if (members(all) === undefined) say("error", placeOf(all), "Expected an object with a member for each field")
    return out
  }

  const readRole = (role: Located, path: Path): Fields => {
    const out = fieldsOf(role, path, {
      name: { as: "name" },
      apply_when: { as: "applyWhen" },
      ...permissions,
      insert: { as: "insert" },
      delete: { as: "delete" },
      search: { as: "search" }
    }, ["_id", "id", "document_filters", "fields", "additional_fields"])
    const gate = inner(
      role,
      "document_filters",
      (found) => fieldsOf(found, [...path, "documentFilters"], permissions, [])
    )
    if (gate !== undefined) out["documentFilters"] = gate
    const fields = inner(role, "fields", (found) => readFieldRules(found, [...path, "fields"]))
    if (fields !== undefined) out["fields"] = fields
    const others = inner(
      role,
      "additional_fields",
      (found) => fieldsOf(found, [...path, "additionalFields"], permissions, [])
    )
    if (others !== undefined) out["additionalFields"] = others
    // What is left out is not granted, which surprises whoever has written the role by hand.
    if (out["insert"] === undefined && grantsWriting(out)) {
      say("warning", placeOf(role), "The role may write but has no \"insert\": nothing can be inserted with it")
    }
    if (out["delete"] === undefined && grantsWriting(out)) {
      say("warning", placeOf(role), "The role may write but has no \"delete\": nothing can be deleted with it")
    }
    return out
  }

  const readFilter = (filter: Located, path: Path): Fields => {
    const { project, ...fields } = fieldsOf(filter, path, {
      name: { as: "name" },
      apply_when: { as: "applyWhen" },
      query: { as: "query" },
      projection: { as: "projection" },
      // One example of the documentation spells it so.
      project: { as: "project" }
    }, ["_id", "id"])
    return project === undefined ? fields : { projection: project, ...fields }
  }

  const readRules = (owner: Located, path: Path): Fields => ({
    roles: list(owner, "roles", (role, index) => readRole(role, [...path, "roles", index])),
    filters: list(owner, "filters", (filter, index) => readFilter(filter, [...path, "filters", index]))
  })

  const readCollection = (owner: Located, path: Path, names: Fields, silent: ReadonlyArray<string>): Fields => ({
    ...names,
    ...fieldsOf(owner, path, { database: { as: "database" }, collection: { as: "collection" } }, [
      "_id",
      "id",
      "roles",
      "filters",
      ...silent
    ]),
    ...readRules(owner, path)
  })

  const schemaOf = (located: Located, path: Path): Fields => {
    placed([...path, "schema"], placeOf(located))
    const schema: Schema.Json = valueOf(located)
    const isEmpty = schema === null || (typeof schema === "object" && Object.keys(schema).length === 0)
    return isEmpty ? {} : { schema }
  }

  const readConfig = (folder: string, path: Path): Fields | undefined => {
    const config = open(`${folder}/config.json`)
    const name = folder.slice(folder.indexOf("/") + 1)
    if (config === undefined) return { name }
    const { type, ...fields } = fieldsOf(
      config.root,
      path,
      { name: { as: "name" }, type: { as: "type" } },
      ["_id", "id", "config", "secret_config", "version"]
    )
    if (type !== undefined && !served.has(String(type))) {
      const place = placeOf(member(config.root, "type") ?? config.root)
      if (folder.startsWith("data_sources/")) {
        say("warning", place, `Data sources of type "${String(type)}" are not supported; this one is ignored`)
      }
      return undefined
    }
    return { name, ...fields }
  }

  const folders = (
    start: string
  ): ReadonlyArray<string> => [...new Set(paths.flatMap((path) => path.startsWith(start) ? [path.split("/")[1]!] : []))]

  for (const name of folders("data_sources/")) {
    const folder = `data_sources/${name}`
    const path = ["dataSources", dataSources.length]
    const source = readConfig(folder, path)
    if (source === undefined) continue
    const collections: Array<Fields> = []
    const namespaces = new Set(
      paths.flatMap((path) => {
        const [, , database, collection] = modern.exec(path)?.slice(1) ?? []
        return path.startsWith(`${folder}/`) && database !== undefined ? [`${database}/${collection}`] : []
      })
    )
    for (const namespace of namespaces) {
      const at = [...path, "collections", collections.length]
      const [database, collection] = namespace.split("/")
      const files = (file: string) => {
        const path = `${folder}/${namespace}/${file}.json`
        return paths.includes(path) ? open(path) : undefined
      }
      const rules = files("rules")
      const schema = files("schema")
      collections.push({
        ...(rules === undefined
          ? { database, collection }
          : readCollection(rules.root, at, { database, collection }, [])),
        ...(schema === undefined ? undefined : schemaOf(schema.root, at))
      })
    }
    const rule = paths.includes(`${folder}/default_rule.json`) ? open(`${folder}/default_rule.json`) : undefined
    if (rule !== undefined) {
      const at = [...path, "defaultRule"]
      fieldsOf(rule.root, at, {}, ["_id", "id", "roles", "filters"])
      source["defaultRule"] = readRules(rule.root, at)
    }
    dataSources.push({ ...source, collections })
  }

  for (const name of folders("services/")) {
    const folder = `services/${name}`
    if (!paths.includes(`${folder}/config.json`)) continue
    const config = open(`${folder}/config.json`)
    const type = config === undefined ? undefined : member(config.root, "type")
    if (type === undefined || !served.has(String(valueOf(type)))) continue
    services.add(folder)
    const path = ["dataSources", dataSources.length]
    const source = readConfig(folder, path) ?? { name }
    const collections: Array<Fields> = []
    for (const file of paths.filter((path) => path.startsWith(`${folder}/rules/`) && isRead(path))) {
      const rules = open(file)
      if (rules === undefined) continue
      const at = [...path, "collections", collections.length]
      const schema = inner(rules.root, "schema", (found) => schemaOf(found, at))
      collections.push({ ...readCollection(rules.root, at, {}, ["schema", "relationships"]), ...schema })
    }
    dataSources.push({ ...source, collections })
  }

  return { dataSources, services }
}

/** The names of services by the ids that they had in the app which was exported: what refers to them may have no name. */
export const idsOf = ({ files, open }: FolderReader): ReadonlyMap<string, string> =>
  new Map(
    files.paths.flatMap((path) => {
      const [, name] = /^services\/([^/]+)\/config\.json$/.exec(path) ?? []
      const config = name === undefined ? undefined : open(path)
      const id = config === undefined ? undefined : member(config.root, "_id") ?? member(config.root, "id")
      const named = config === undefined ? undefined : member(config.root, "name")
      return id === undefined
        ? []
        : [[String(valueOf(id)), String(named === undefined ? name : valueOf(named))] as const]
    })
  )
