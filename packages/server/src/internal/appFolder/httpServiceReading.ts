/**
 * HTTP services in the files of an exported app: `services/<name>` of type `http`, with a file for each rule (server section 1.10).
 */
import { member, placeOf, valueOf } from "./configFile.ts"
import { type Fields, type FolderReader, top } from "./folderReader.ts"

/** The HTTP services of a folder, as options of an app, and the folders in `services/` that were read. */
export const read = (
  { fieldsOf, files: { paths }, open, say }: FolderReader
): { readonly httpServices: ReadonlyArray<Fields>; readonly services: ReadonlySet<string> } => {
  const httpServices: Array<Fields> = []
  const services = new Set<string>()
  for (const path of paths) {
    const [, folder, name] = /^(services\/([^/]+))\/config\.json$/.exec(path) ?? []
    const config = folder === undefined ? undefined : open(path)
    const type = config === undefined ? undefined : member(config.root, "type")
    if (folder === undefined || config === undefined || type === undefined || valueOf(type) !== "http") continue
    services.add(folder)
    const at = ["httpServices", httpServices.length]
    const fields = fieldsOf(config.root, at, { name: { as: "name" } }, [
      "_id",
      "id",
      "type",
      "config",
      "secret_config",
      "version"
    ])
    const rules: Array<Fields> = []
    for (const file of paths.filter((path) => path.startsWith(`${folder}/rules/`) && path.endsWith(".json"))) {
      const rule = open(file)
      if (rule === undefined) continue
      rules.push(fieldsOf(
        rule.root,
        [...at, "rules", rules.length],
        { name: { as: "name" }, actions: { as: "actions" }, when: { as: "when" } },
        ["_id", "id"]
      ))
    }
    if (paths.some((path) => path.startsWith(`${folder}/incoming_webhooks/`))) {
      say("warning", top(`${folder}/incoming_webhooks`), "Webhooks are not supported yet; they are ignored")
    }
    if (rules.length === 0) {
      say("warning", placeOf(config.root), "The service has no rule: clients cannot use it, functions can")
    }
    httpServices.push({ name, ...fields, rules })
  }
  return { httpServices, services }
}
