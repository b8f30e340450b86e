/**
 * Push services in the files of an exported app: `services/<name>` of type `gcm` (server sections 1.10 and 8.3). Who delivers
 * is `PushDelivery`, so the account at Google that the files name is not needed.
 */
import { placeOf } from "./configFile.ts"
import type { FolderReader } from "./folderReader.ts"
import * as ServiceReading from "./serviceReading.ts"

/** The push services of a folder. */
export const read = (reader: FolderReader): ReadonlyArray<ServiceReading.Service> => {
  const services = ServiceReading.ofType(reader, "gcm", "pushServices")
  for (const { config, folder } of services) {
    if (!reader.files.paths.some((path) => path.startsWith(`${folder}/rules/`))) continue
    reader.say(
      "warning",
      placeOf(config),
      "Rules of push services are not supported: functions send as the system only"
    )
  }
  return services
}
