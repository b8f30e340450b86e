/**
 * HTTP services in the files of an exported app: `services/<name>` of type `http`, with a file for each rule (server section 1.10).
 */
import { placeOf } from "./configFile.ts"
import { type Fields, type FolderReader, top } from "./folderReader.ts"
import * as ServiceReading from "./serviceReading.ts"

/** The HTTP services of a folder, with their rules. */
export const read = (reader: FolderReader): ReadonlyArray<ServiceReading.Service> => {
  const { fieldsOf, files: { paths }, open, say } = reader
  return ServiceReading.ofType(reader, "http", "httpServices").map(({ config, fields, folder }, index) => {
    const rules: Array<Fields> = []
    for (const file of paths.filter((path) => path.startsWith(`${folder}/rules/`) && path.endsWith(".json"))) {
      const rule = open(file)
      if (rule === undefined) continue
      rules.push(fieldsOf(
        rule.root,
        ["httpServices", index, "rules", rules.length],
        { name: { as: "name" }, actions: { as: "actions" }, when: { as: "when" } },
        ["_id", "id"]
      ))
    }
    if (paths.some((path) => path.startsWith(`${folder}/incoming_webhooks/`))) {
      say("warning", top(`${folder}/incoming_webhooks`), "Webhooks are not supported yet; they are ignored")
    }
    if (rules.length === 0) {
      say("warning", placeOf(config), "The service has no rule: clients cannot use it, functions can")
    }
    return { config, folder, fields: { ...fields, rules } }
  })
}
