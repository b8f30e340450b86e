/**
 * From the files of an exported app to its definition. The names of the files' fields stop here.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import { AppDefinition } from "../../AppDefinition.ts"
import * as RuleExpression from "../documents/ruleExpression.ts"
import * as RuleReferences from "../documents/ruleReferences.ts"
import { type Finding, items, type Located, member, members, placeOf, valueOf } from "./configFile.ts"
import * as DataSourceReading from "./dataSourceReading.ts"
import { type Fields, type Files, type FolderReader, make, top } from "./folderReader.ts"
import * as FunctionPackageReading from "./functionPackageReading.ts"
import * as FunctionReading from "./functionReading.ts"
import * as HttpServiceReading from "./httpServiceReading.ts"
import * as ProviderReading from "./providerReading.ts"
import * as PushReading from "./pushReading.ts"

/** The layout since 2021 (server section 1.2), or the one before (section 1.10): its root configuration says which. */
type Layout = "current" | "legacy"

const layouts = new Map<string, Layout>([
  ["root_config.json", "current"],
  ["realm_config.json", "current"],
  ["config.json", "legacy"],
  ["stitch.json", "legacy"]
])

/** Root configurations; of several the first counts. */
export const roots: ReadonlyArray<string> = [...layouts.keys()]

const versions = { current: [20_210_101], legacy: [20_180_301, 20_200_603] } as const

const readFiles = /^(secrets|environments\/[^/]+|values\/[^/]+)\.json$/

/** Whether the text of a file is needed. */
export const isRead = (path: string): boolean =>
  layouts.has(path) || readFiles.test(path) || ProviderReading.isRead(path) || FunctionReading.isRead(path) ||
  DataSourceReading.isRead(path)

// Parts of an export that are not served (section 1.2), by the start of their path.
const leftAside: ReadonlyArray<readonly [start: string, message: string]> = [
  ["graphql/", "GraphQL is not supported"],
  ["hosting/", "Static hosting is not supported"],
  ["http_endpoints/", "HTTPS endpoints are not supported yet"],
  ["https_endpoints/", "HTTPS endpoints are not supported yet"],
  ["log_forwarders/", "Log forwarders are not supported"],
  ["sync/", "Device Sync is not supported"],
  ["triggers/", "Triggers are not supported yet"]
]

const reserved = ["app_config.json", ...roots]

// -----------------------------------------------------------------------------
// The root configuration, and what depends on nothing else
// -----------------------------------------------------------------------------

const readRoot = ({ fieldsOf, inner, placed, say }: FolderReader, root: Located, layout: Layout): Fields => {
  const origins = { allowed_request_origins: { as: "allowedRequestOrigins" } }
  const fields = fieldsOf(
    root,
    [],
    {
      app_id: { as: "appId" },
      name: { as: "name" },
      deployment_model: { as: "deploymentModel" },
      location: { as: "location", optional: true },
      provider_region: { as: "providerRegion", optional: true },
      ...origins
    },
    ["config_version", "environment", "security", "hosting", "sync", "custom_user_data_config"]
  )
  const security = layout === "legacy" ? inner(root, "security") : undefined
  if (security !== undefined) Object.assign(fields, fieldsOf(security, [], origins, []))
  // What is wrong with the app as a whole stands in its root.
  placed([], placeOf(root))

  const version = member(root, "config_version")
  const known: ReadonlyArray<Schema.Json> = versions[layout]
  if (version !== undefined && !known.includes(valueOf(version))) {
    say(
      "error",
      placeOf(version),
      `Expected config_version ${known.join(" or ")}, got ${JSON.stringify(valueOf(version))}`
    )
  }
  if (fields["appId"] === undefined && typeof fields["name"] === "string") {
    // The id is optional in newer exports, and clients need one.
    say("warning", placeOf(root), `There is no app_id: clients have to use "${fields["name"]}"`)
    fields["appId"] = fields["name"]
  }
  fields["name"] ??= typeof fields["appId"] === "string" ? fields["appId"].replace(/-[^-]*$/, "").slice(0, 32) : "app"
  return fields
}

const readEnvironment = (
  { files, open, placed, useEnvironment }: FolderReader,
  root: Located | undefined
): Fields => {
  const tag = root === undefined ? undefined : member(root, "environment")
  const name = tag !== undefined && valueOf(tag) !== "" ? String(valueOf(tag)) : "no-environment"
  const file = open(`environments/${name}.json`)
  const located = file === undefined ? undefined : member(file.root, "values")
  if (located !== undefined) placed(["environment", "values"], placeOf(located))
  if (tag !== undefined) placed(["environment", "tag"], placeOf(tag))
  const values = located === undefined ? {} : valueOf(located)
  useEnvironment(values)
  // The others only have to be readable: the app may be deployed under another tag tomorrow.
  for (const path of files.paths) if (path.startsWith("environments/") && isRead(path)) open(path)
  return { ...(tag === undefined ? undefined : { tag: valueOf(tag) }), values }
}

const readCustomUserData = (
  { fieldsOf, inner, placed }: FolderReader,
  settings: Located,
  serviceNames: ReadonlyMap<string, string>
): Fields | undefined => {
  const fields = fieldsOf(settings, ["customUserData"], {
    enabled: { as: "enabled" },
    mongo_service_name: { as: "serviceName", optional: true },
    database_name: { as: "databaseName" },
    collection_name: { as: "collectionName" },
    user_id_field: { as: "userIdField" },
    on_user_creation_function_name: { as: "onUserCreationFunctionName", optional: true }
  }, ["mongo_service_id", "on_user_creation_function_id"])
  const id = inner(settings, "mongo_service_id")
  const serviceName = id === undefined ? undefined : serviceNames.get(String(valueOf(id)))
  if (id !== undefined && serviceName !== undefined && fields["serviceName"] === undefined) {
    placed(["customUserData", "serviceName"], placeOf(id))
    fields["serviceName"] = serviceName
  }
  return fields["enabled"] === false ? undefined : fields
}

// -----------------------------------------------------------------------------
// Secrets and values
// -----------------------------------------------------------------------------

type Secrets = { [name: string]: Redacted.Redacted }

const readSecrets = ({ open, say }: FolderReader, secretNames: ProviderReading.Providers["secretNames"]): Secrets => {
  const secrets: Secrets = {}
  const readSecret = (name: string, located: Located): void => {
    const value = valueOf(located)
    if (typeof value === "string") secrets[name] = Redacted.make(value)
    else say("error", placeOf(located), `The secret "${name}" has to be a text`)
  }
  const file = open("secrets.json")
  if (file === undefined) return secrets
  const nested = member(file.root, "auth_providers") ?? member(file.root, "services")
  for (const { name: group, value } of members(file.root) ?? []) {
    if (nested === undefined) {
      readSecret(group, value)
      continue
    }
    for (const { name: owner, value: own } of members(value) ?? []) {
      for (const { name: key, value: secret } of members(own) ?? []) {
        const names = secretNames(owner, key) ?? [key]
        for (const [index, one] of (items(secret) ?? [secret]).entries()) readSecret(names[index] ?? key, one)
      }
    }
  }
  return secrets
}

const readValues = (
  { fieldsOf, files, open, placed, say }: FolderReader,
  secrets: Secrets
): ReadonlyArray<Fields> => {
  const values: Array<Fields> = []
  for (const path of files.paths) {
    if (!path.startsWith("values/") || !isRead(path)) continue
    const file = open(path)
    if (file === undefined) continue
    const { fromSecret, ...fields } = fieldsOf(file.root, ["values", values.length], {
      name: { as: "name" },
      value: { as: "value" },
      from_secret: { as: "fromSecret" }
    }, ["_id", "id", "private"])
    const written = member(file.root, "value")
    // `null` is a value too.
    const value = written === undefined || valueOf(written) !== null ? fields["value"] : null
    if (written !== undefined) placed(["values", values.length, "fromSecret"], placeOf(written))
    if (fromSecret !== undefined && typeof fromSecret !== "boolean") {
      say("error", placeOf(member(file.root, "from_secret") ?? file.root), "\"from_secret\" has to be true or false")
    }
    if (fromSecret === true && typeof value === "string" && !Object.hasOwn(secrets, value)) {
      // Secrets are never exported, so this is what most exports look like.
      const place = placeOf(written ?? file.root)
      say("warning", place, `The secret "${value}" is not there: add it to secrets.json, or the value stays undefined`)
      continue
    }
    const name = fields["name"] ?? path.slice("values/".length, -".json".length)
    values.push(fromSecret === true ? { name, fromSecret: value } : { name, value })
  }
  return values
}

// -----------------------------------------------------------------------------
// What is not served
// -----------------------------------------------------------------------------

const tellLeftAside = ({ files, open, say }: FolderReader, services: ReadonlySet<string>): void => {
  for (const [start, message] of leftAside) {
    if (files.paths.some((path) => path.startsWith(start))) {
      say("warning", top(start.slice(0, -1)), `${message}; the folder is ignored`)
    }
  }
  const folders = files.paths.flatMap((path) => /^services\/[^/]+(?=\/)/.exec(path)?.[0] ?? [])
  for (const folder of new Set(folders)) {
    if (services.has(folder)) continue
    const config = open(`${folder}/config.json`)
    const type = config === undefined ? undefined : member(config.root, "type")
    const what = type === undefined ? "Services without a type" : `Services of type "${String(valueOf(type))}"`
    say(
      "warning",
      type === undefined ? top(folder) : placeOf(type),
      `${what} are not supported: context.services.get finds none. Functions reach other servers by context.http`
    )
  }
  for (const name of reserved) {
    if (name !== files.root && files.paths.includes(name)) {
      say("warning", top(name), `The file is ignored, as ${files.root} is the root configuration`)
    }
  }
}

// -----------------------------------------------------------------------------
// The whole
// -----------------------------------------------------------------------------

/** Reads a folder: the definition, when there is one, and everything that was found. */
export const read = Effect.fnUntraced(function*(
  files: Files
): Effect.fn.Return<{ readonly app: AppDefinition | undefined; readonly findings: ReadonlyArray<Finding> }> {
  const reader = make(files)
  const { findings, open, say } = reader
  const layout = layouts.get(files.root) ?? "current"

  const root = open(files.root)?.root
  const environment = readEnvironment(reader, root)
  const rootFields = root === undefined ? {} : readRoot(reader, root, layout)
  const providers = ProviderReading.read(reader, layout, FunctionReading.idsOf(reader))
  const customData = layout === "current"
    ? open("auth/custom_user_data.json")?.root
    : root === undefined
    ? undefined
    : reader.inner(root, "custom_user_data_config")
  const customUserData = customData === undefined
    ? undefined
    : readCustomUserData(reader, customData, DataSourceReading.idsOf(reader))
  const functions = FunctionReading.read(reader, layout)
  const packages = FunctionPackageReading.read(reader)
  const secrets = readSecrets(reader, providers.secretNames)
  const values = readValues(reader, secrets)
  const { dataSources, services: databases } = DataSourceReading.read(reader)
  const pushServices = PushReading.read(reader)
  const httpServices = HttpServiceReading.read(reader)
  tellLeftAside(reader, new Set([...databases, ...[...pushServices, ...httpServices].map(({ folder }) => folder)]))

  const definition = {
    ...rootFields,
    environment,
    authProviders: providers.settle(secrets),
    ...(customUserData === undefined ? undefined : { customUserData }),
    dataSources,
    pushServices: pushServices.map(({ fields }) => fields),
    httpServices: httpServices.map(({ fields }) => fields),
    ...(packages === undefined ? undefined : { packages }),
    functions,
    values,
    secrets
  }
  const made = root === undefined ? undefined : yield* Effect.result(
    // What the files say is of unknown types; this is what checks them.
    AppDefinition.makeEffect(definition as never, { parseOptions: { errors: "all" } })
  )
  if (made !== undefined && Result.isFailure(made)) {
    for (const { message, path = [] } of formatIssue(made.failure).issues) {
      const keys = path.map((segment) => typeof segment === "object" ? segment.key : segment)
      const { place, rest } = reader.placeOf(keys) ?? { place: top(files.root), rest: keys.map(String).join(".") }
      say("error", place, rest === "" ? message : `${message} (${rest})`)
    }
  }
  if (made !== undefined && Result.isSuccess(made)) {
    for (const { expansion, path } of RuleReferences.unresolved(made.success.dataSources)) {
      const names = RuleExpression.userFields.map((name) => `%%user.${name}`).join(", ")
      const place = reader.placeOf(path)?.place ?? top(files.root)
      say("warning", place, `"${expansion}" is nothing, and equals nothing: there are ${names}`)
    }
    for (const [index, { collections }] of made.success.dataSources.entries()) {
      for (const [at, rules] of collections.entries()) {
        for (const { field, path } of RuleReferences.unknownFields(rules)) {
          const found = reader.placeOf(["dataSources", index, "collections", at, ...path])
          say("warning", found?.place ?? top(files.root), `The collection's schema knows no field "${field}"`)
        }
      }
    }
  }
  return {
    app: made !== undefined && Result.isSuccess(made) ? made.success : undefined,
    findings: findings.toSorted((a, b) => a.file < b.file ? -1 : a.file > b.file ? 1 : a.line - b.line)
  }
})

const formatIssue = SchemaIssue.makeFormatterStandardSchemaV1()
