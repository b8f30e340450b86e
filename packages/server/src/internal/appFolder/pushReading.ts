/**
 * Push services in the files of an exported app: `services/<name>/config.json` of type `gcm` (server sections 1.10 and 8.3).
 */
import { member, placeOf, valueOf } from "./configFile.ts"
import type { FolderReader } from "./folderReader.ts"

/** The push services of a folder, as options of an app, and the folders in `services/` that were read. */
export const read = (
  { fieldsOf, files: { paths }, open, say }: FolderReader
): {
  readonly pushServices: ReadonlyArray<{ readonly [name: string]: unknown }>
  readonly services: ReadonlySet<string>
} => {
  const pushServices: Array<{ readonly [name: string]: unknown }> = []
  const services = new Set<string>()
  for (const path of paths) {
    const [, folder, name] = /^(services\/([^/]+))\/config\.json$/.exec(path) ?? []
    if (folder === undefined) continue
    const config = open(path)
    const type = config === undefined ? undefined : member(config.root, "type")
    if (config === undefined || type === undefined || valueOf(type) !== "gcm") continue
    services.add(folder)
    // Who delivers is `PushDelivery`, so the account at Google that the files name is not needed.
    const fields = fieldsOf(config.root, ["pushServices", pushServices.length], { name: { as: "name" } }, [
      "_id",
      "id",
      "type",
      "config",
      "secret_config",
      "version"
    ])
    if (paths.some((path) => path.startsWith(`${folder}/rules/`))) {
      say(
        "warning",
        placeOf(config.root),
        "Rules of push services are not supported: functions send as the system only"
      )
    }
    pushServices.push({ name, ...fields })
  }
  return { pushServices, services }
}
