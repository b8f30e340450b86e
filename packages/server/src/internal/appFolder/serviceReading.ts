/**
 * Services in the files of an exported app: `services/<name>/config.json`, a folder for each (server section 1.10).
 */
import { type Located, member, valueOf } from "./configFile.ts"
import type { Fields, FolderReader } from "./folderReader.ts"

/** A service as its files say it. */
export interface Service {
  readonly folder: string
  readonly config: Located
  /** What of it is a part of the definition. */
  readonly fields: Fields
}

/**
 * The services of a type.
 *
 * @param part which part of the definition they are
 */
export const ofType = (
  { fieldsOf, files: { paths }, open }: FolderReader,
  type: string,
  part: string
): ReadonlyArray<Service> => {
  const services: Array<Service> = []
  for (const path of paths) {
    const [, folder, name] = /^(services\/([^/]+))\/config\.json$/.exec(path) ?? []
    const config = folder === undefined ? undefined : open(path)?.root
    const said = config === undefined ? undefined : member(config, "type")
    if (folder === undefined || config === undefined || said === undefined || valueOf(said) !== type) continue
    const fields = fieldsOf(config, [part, services.length], { name: { as: "name" } }, [
      "_id",
      "id",
      "type",
      "config",
      "secret_config",
      "version"
    ])
    services.push({ folder, config, fields: { name, ...fields } })
  }
  return services
}
