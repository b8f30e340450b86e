/**
 * From the files of an exported app to its definition. The names of the files' fields stop here. Types and names are
 * checked in one place, `AppDefinition`; this module remembers where each part stood, so that what is wrong is told by
 * file and line.
 */
import * as Effect from "effect/Effect"
import type * as PlatformError from "effect/PlatformError"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import { AppDefinition } from "../../AppDefinition.ts"
import * as RuleReferences from "../documents/ruleReferences.ts"
import * as FunctionSource from "../functions/functionSource.ts"
import { isAccountField } from "../providers/oauthAccount.ts"
import {
  type ConfigFile,
  expand,
  type Finding,
  items,
  type Located,
  member,
  members,
  parse,
  type Place,
  placeOf,
  valueOf
} from "./configFile.ts"
import * as DataSourceReading from "./dataSourceReading.ts"
import * as FunctionPackageReading from "./functionPackageReading.ts"
import * as PushReading from "./pushReading.ts"

/** The files of a folder. */
export interface Files {
  /** The folder itself. */
  readonly directory: string
  /** Name of the root configuration. */
  readonly root: string
  /** Every file, and `node_modules/` folders with a final `/`. */
  readonly paths: ReadonlyArray<string>
  /** Text of the files for which {@link isRead}. */
  readonly contents: ReadonlyMap<string, Result.Result<string, PlatformError.PlatformError>>
}

const readFiles =
  /^((root|realm)_config|secrets|auth\/[^/]+|environments\/[^/]+|functions\/config|functions\/package|values\/[^/]+)\.json$/

/** Whether the text of a file is needed. */
export const isRead = (path: string): boolean =>
  readFiles.test(path) || DataSourceReading.isRead(path) || isSource(path)

const isSource = (path: string): boolean => path.startsWith("functions/") && path.endsWith(".js")

// Parts of an export that are not served (section 1.2), by the start of their path.
const leftAside: ReadonlyArray<readonly [start: string, message: string]> = [
  ["graphql/", "GraphQL is not supported"],
  ["hosting/", "Static hosting is not supported"],
  ["http_endpoints/", "HTTPS endpoints are not supported yet"],
  ["https_endpoints/", "HTTPS endpoints are not supported yet"],
  ["log_forwarders/", "Log forwarders are not supported"],
  ["services/", "Third-party services are not supported yet"],
  ["sync/", "Device Sync is not supported"],
  ["triggers/", "Triggers are not supported yet"]
]

const reserved = ["app_config.json", "config.json", "realm_config.json", "root_config.json", "stitch.json"]

type Fields = { [name: string]: unknown }

interface Field {
  readonly as: string
  /** An empty text means the same as no field. */
  readonly optional?: true
}

/** Reads a folder: the definition, when there is one, and everything that was found. */
export const read = Effect.fnUntraced(function*(
  files: Files
): Effect.fn.Return<{ readonly app: AppDefinition | undefined; readonly findings: ReadonlyArray<Finding> }> {
  const findings: Array<Finding> = []
  const report = (finding: Finding): void => {
    findings.push(finding)
  }
  const say = (severity: Finding["severity"], place: Place, message: string): void =>
    report({ severity, ...place, message })
  const top = (file: string): Place => ({ file, line: 1 })

  /** Where the parts of the definition stood, by their path in it. */
  const places = new Map<string, Place>()
  const placed = (path: ReadonlyArray<PropertyKey>, place: Place): void => {
    places.set(path.join("\0"), place)
  }

  const text = (path: string): string | undefined => {
    const content = files.contents.get(path)
    if (content === undefined) return undefined
    if (Result.isSuccess(content)) return content.success
    say("error", top(path), `The file cannot be read: ${content.failure.message}`)
    return undefined
  }

  const open = (path: string): ConfigFile | undefined => {
    const content = text(path)
    return content === undefined ? undefined : parse(path, content, report)
  }

  let environment: Schema.Json = {}

  /**
   * The members of an object under our names. What is not listed becomes a warning; names in `silent` are known to
   * carry nothing for this server.
   */
  const fieldsOf = (
    object: Located,
    path: ReadonlyArray<PropertyKey>,
    known: { readonly [name: string]: Field },
    silent: ReadonlyArray<string>
  ): Fields => {
    placed(path, placeOf(object))
    const out: Fields = {}
    const all = members(object)
    if (all === undefined) {
      say("error", placeOf(object), "Expected an object")
      return out
    }
    for (const { name, place, value } of all) {
      const field = Object.hasOwn(known, name) ? known[name] : undefined
      if (field === undefined) {
        if (!silent.includes(name)) say("warning", place, `The field "${name}" is not supported and is ignored`)
        continue
      }
      placed([...path, field.as], placeOf(value))
      const read = expand(value, environment, report)
      if (read === null || (field.optional === true && read === "")) continue
      out[field.as] = read
    }
    return out
  }

  // ---------------------------------------------------------------------------

  const root = open(files.root)
  const tag = root === undefined ? undefined : member(root.root, "environment")
  const environmentName = tag !== undefined && valueOf(tag) !== "" ? String(valueOf(tag)) : "no-environment"
  const environmentFile = open(`environments/${environmentName}.json`)
  const environmentValues = environmentFile === undefined ? undefined : member(environmentFile.root, "values")
  if (environmentValues !== undefined) {
    placed(["environment", "values"], placeOf(environmentValues))
    environment = valueOf(environmentValues)
  }
  // The others only have to be readable: the app may be deployed under another tag tomorrow.
  for (const path of files.paths) {
    if (path.startsWith("environments/") && path !== environmentFile?.path && isRead(path)) open(path)
  }

  const rootFields = root === undefined ? {} : readRoot(root)
  function readRoot(file: ConfigFile): Fields {
    const fields = fieldsOf(
      file.root,
      [],
      {
        app_id: { as: "appId" },
        name: { as: "name" },
        deployment_model: { as: "deploymentModel" },
        location: { as: "location", optional: true },
        provider_region: { as: "providerRegion", optional: true },
        allowed_request_origins: { as: "allowedRequestOrigins" }
      },
      ["config_version", "environment", "security", "hosting", "sync", "custom_user_data_config"]
    )
    const version = member(file.root, "config_version")
    if (version !== undefined && valueOf(version) !== 20_210_101) {
      say("error", placeOf(version), `Expected config_version 20210101, got ${JSON.stringify(valueOf(version))}`)
    }
    if (tag !== undefined) placed(["environment", "tag"], placeOf(tag))
    if (fields["appId"] === undefined && typeof fields["name"] === "string") {
      // The id is optional in newer exports, and clients need one.
      say("warning", placeOf(file.root), `There is no app_id: clients have to use "${fields["name"]}"`)
      fields["appId"] = fields["name"]
    }
    fields["name"] ??= typeof fields["appId"] === "string" ? fields["appId"].replace(/-[^-]*$/, "").slice(0, 32) : "app"
    return fields
  }

  // ---------------------------------------------------------------------------

  const secrets: Fields = {}

  const authProviders: { [name: string]: Fields } = {}
  const unsupported: Array<string> = []
  /** By provider and field. */
  const secretNames = new Map<string, ReadonlyArray<string>>()
  const providers = open("auth/providers.json")
  if (providers !== undefined) {
    placed(["authProviders"], placeOf(providers.root))
    const all = members(providers.root)
    if (all === undefined) say("error", placeOf(providers.root), "Expected an object with a member for each provider")
    for (const { name, place, value } of all ?? []) readProvider(name, place, value)
  }
  function readProvider(name: string, place: Place, provider: Located): void {
    for (const key of ["name", "type"]) {
      const named = member(provider, key)
      if (named !== undefined && valueOf(named) !== name) {
        say("error", placeOf(named), `The provider's "${key}" has to be "${name}", like the key it stands under`)
      }
    }
    const secretConfig = member(provider, "secret_config")
    for (const { name: key, value } of secretConfig === undefined ? [] : members(secretConfig) ?? []) {
      secretNames.set(`${name}\0${key}`, (items(value) ?? [value]).map((named) => String(valueOf(named))))
    }
    const { disabled } = fieldsOf(
      provider,
      ["authProviders", ourName(name) ?? name],
      { disabled: { as: "disabled" } },
      [
        "_id",
        "id",
        "name",
        "type",
        "config",
        "secret_config",
        "metadata_fields",
        "redirect_uris",
        "domain_restrictions"
      ]
    )
    if (disabled !== undefined && typeof disabled !== "boolean") {
      say("error", placeOf(member(provider, "disabled") ?? provider), "\"disabled\" has to be true or false")
    }
    const as = ourName(name)
    if (as === undefined) {
      unsupported.push(name)
      if (disabled !== true) {
        say("warning", place, `The provider "${name}" is not supported yet: log-ins with it are refused`)
      }
      return
    }
    if (disabled === true) {
      if (as !== "customFunction" && !isOAuth(as)) authProviders[as] = { enabled: false }
      return
    }
    const config = member(provider, "config")
    const fields = config === undefined ? {} : fieldsOf(config, ["authProviders", as], configFields[name] ?? {}, [
      "openId",
      // Ids belong to the app they were exported from; names are what counts.
      "authFunctionId",
      "confirmationFunctionId",
      "resetFunctionId"
    ])
    if (as === "customJwt") authProviders[as] = customJwt(fields, provider)
    else if (isOAuth(as)) authProviders[as] = oauth(as, fields, provider)
    else authProviders[as] = { ...fields, enabled: true }
  }
  /** What of a provider such as Google stands beside its `config`. */
  function oauth(as: string, fields: Fields, provider: Located): Fields {
    const path = ["authProviders", as]
    const list = (name: string, to: string): Fields => {
      const found = member(provider, name)
      if (found === undefined || valueOf(found) === null) return {}
      placed([...path, to], placeOf(found))
      for (const [index, item] of (items(found) ?? []).entries()) placed([...path, to, index], placeOf(item))
      return { [to]: expand(found, environment, report) }
    }
    const names = member(provider, "metadata_fields")
    const known = names === undefined ? undefined : items(names)?.filter((field) => {
      const name = valueOf(member(field, "name") ?? field)
      if (typeof name !== "string" || isAccountField(name)) return true
      say("warning", placeOf(field), `The metadata field "${name}" is not supported and is ignored`)
      return false
    })
    return {
      ...fields,
      ...list("redirect_uris", "redirectUris"),
      ...list("domain_restrictions", "domainRestrictions"),
      // Apple has none to choose from.
      ...as === "apple" ? undefined : { metadataFields: metadataFields(path, names, known) },
      enabled: true
    }
  }
  /** What of the provider `custom-token` is not in our words yet. */
  function customJwt(
    { audience, jwkUri, signingAlgorithm, useJwkUri, ...fields }: Fields,
    provider: Located
  ): Fields {
    if (useJwkUri !== undefined && typeof useJwkUri !== "boolean") {
      say("error", places.get(["authProviders", "customJwt", "useJwkUri"].join("\0"))!, "Expected true or false")
    }
    return {
      ...fields,
      ...audience === undefined ? undefined : { audience: [audience].flat() },
      // An export names an algorithm for a key set, too, where it means nothing.
      ...useJwkUri === true
        ? { jwkUri: jwkUri ?? "" }
        : signingAlgorithm === undefined
        ? undefined
        : { signingAlgorithm },
      metadataFields: metadataFields(["authProviders", "customJwt"], member(provider, "metadata_fields")),
      enabled: true
    }
  }
  function metadataFields(
    path: ReadonlyArray<PropertyKey>,
    fields: Located | undefined,
    known = fields === undefined ? undefined : items(fields)
  ): unknown {
    if (fields === undefined || valueOf(fields) === null) return []
    placed([...path, "metadataFields"], placeOf(fields))
    return known?.map((field, index) =>
      fieldsOf(field, [...path, "metadataFields", index], {
        name: { as: "name" },
        field_name: { as: "fieldName", optional: true },
        required: { as: "required" }
      }, ["_id", "id"])
    ) ?? valueOf(fields)
  }
  // ---------------------------------------------------------------------------

  const customUserData = readCustomUserData(open("auth/custom_user_data.json"))
  function readCustomUserData(file: ConfigFile | undefined): Fields | undefined {
    if (file === undefined) return undefined
    const fields = fieldsOf(file.root, ["customUserData"], {
      enabled: { as: "enabled" },
      mongo_service_name: { as: "serviceName", optional: true },
      database_name: { as: "databaseName" },
      collection_name: { as: "collectionName" },
      user_id_field: { as: "userIdField" },
      on_user_creation_function_name: { as: "onUserCreationFunctionName", optional: true }
    }, ["mongo_service_id", "on_user_creation_function_id"])
    return fields["enabled"] === false ? undefined : fields
  }

  // ---------------------------------------------------------------------------

  const functions: Array<Fields> = []
  const sources = new Map(
    files.paths.filter((path) => isSource(path) && !path.includes("/node_modules/")).map((path) => [
      path.slice("functions/".length, -".js".length),
      path
    ])
  )
  const functionConfig = open("functions/config.json")
  const entries = functionConfig === undefined ? [] : items(functionConfig.root)
  if (functionConfig !== undefined && entries === undefined) {
    say("error", placeOf(functionConfig.root), "Expected an array with an entry for each function")
  }
  for (const entry of entries ?? []) {
    const path = ["functions", functions.length]
    const fields = fieldsOf(entry, path, {
      name: { as: "name" },
      private: { as: "private" },
      can_evaluate: { as: "canEvaluate" },
      disable_arg_logs: { as: "disableArgLogs" },
      run_as_system: { as: "runAsSystem" },
      run_as_user_id: { as: "runAsUserId", optional: true },
      run_as_user_id_script_source: { as: "runAsUserIdScriptSource", optional: true }
    }, ["_id", "id"])
    const script = fields["runAsUserIdScriptSource"]
    const mistake = typeof script === "string"
      ? FunctionSource.check("run_as_user_id_script_source", script)
      : undefined
    if (mistake !== undefined) {
      say("error", placeOf(member(entry, "run_as_user_id_script_source")!), mistake.message)
    }
    const name = fields["name"]
    if (typeof name === "string") {
      const source = sources.get(name)
      if (source === undefined) {
        const place = placeOf(member(entry, "name") ?? entry)
        say("error", place, `There is no file functions/${name}.js for this function, or it is listed twice`)
        continue
      }
      sources.delete(name)
      fields["source"] = readSource(name, source)
    } else {
      fields["source"] = ""
    }
    functions.push(fields)
  }
  for (const [name, path] of sources) {
    placed(["functions", functions.length], top(path))
    functions.push({ name, source: readSource(name, path) })
  }
  function readSource(name: string, path: string): string {
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

  const packages = FunctionPackageReading.read({ files, open, say })

  // ---------------------------------------------------------------------------

  const secretFile = open("secrets.json")
  if (secretFile !== undefined) {
    const nested = member(secretFile.root, "auth_providers") ?? member(secretFile.root, "services")
    for (const { name: group, value } of members(secretFile.root) ?? []) {
      if (nested === undefined) {
        readSecret(group, value)
        continue
      }
      for (const { name: owner, value: own } of members(value) ?? []) {
        for (const { name: key, value: secret } of members(own) ?? []) {
          const names = secretNames.get(`${owner}\0${key}`) ?? [key]
          for (const [index, one] of (items(secret) ?? [secret]).entries()) readSecret(names[index] ?? key, one)
        }
      }
    }
  }
  function readSecret(name: string, located: Located): void {
    const value = valueOf(located)
    if (typeof value === "string") secrets[name] = Redacted.make(value)
    else say("error", placeOf(located), `The secret "${name}" has to be a text`)
  }

  // Secrets are never exported, so what names one waits until they are read.
  const jwt = authProviders["customJwt"]
  if (jwt !== undefined && jwt["enabled"] === true && !Object.hasOwn(jwt, "jwkUri")) {
    const signingKeys = secretsOf("custom-token", "signingKeys", ["authProviders", "customJwt", "signingKeys"])
    authProviders["customJwt"] = signingKeys !== undefined && signingKeys.length === 0
      ? { enabled: false }
      : { ...jwt, signingKeys: signingKeys ?? [] }
  }
  for (const [name, provider] of Object.entries(oauthNames)) {
    const settings = authProviders[name]
    if (settings === undefined) continue
    const found = secretsOf(provider, "clientSecret", ["authProviders", name, "clientSecret"])
    if (found === undefined) continue
    if (found.length > 0) settings["clientSecret"] = found[0]
    else if (name === "facebook") delete authProviders[name]
    else settings["redirectUris"] = []
  }
  /** The secrets that a field of a provider names; those that are not there become a warning. */
  function secretsOf(
    provider: string,
    field: string,
    path: ReadonlyArray<PropertyKey>
  ): ReadonlyArray<Schema.Json> | undefined {
    const entry = providers === undefined ? undefined : member(providers.root, provider)
    const config = entry === undefined ? undefined : member(entry, "secret_config")
    const named = config === undefined ? undefined : member(config, field)
    if (named === undefined) return undefined
    placed(path, placeOf(named))
    const found: Array<Schema.Json> = []
    for (const one of items(named) ?? [named]) {
      const name = valueOf(one)
      if (typeof name === "string" && !Object.hasOwn(secrets, name)) {
        const message =
          `The secret "${name}" is not there: add it to secrets.json, or the log-ins that need it are refused`
        say("warning", placeOf(one), message)
        continue
      }
      placed([...path, found.length], placeOf(one))
      found.push(name)
    }
    return found
  }

  // ---------------------------------------------------------------------------

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

  // ---------------------------------------------------------------------------

  const reader: DataSourceReading.Reader = { paths: files.paths, open, say, placed, fieldsOf }
  const { dataSources, services: databases } = DataSourceReading.read(reader)
  const { pushServices, services: pushes } = PushReading.read(reader)
  const services = new Set([...databases, ...pushes])

  // ---------------------------------------------------------------------------

  for (const [start, message] of leftAside) {
    const path = files.paths.find((path) => path.startsWith(start) && !services.has(path.split("/", 2).join("/")))
    if (path === undefined) continue
    say("warning", top(start.endsWith("/") ? start.slice(0, -1) : path.replace(/\/$/, "")), `${message}; it is ignored`)
  }
  for (const name of reserved) {
    if (name !== files.root && files.paths.includes(name)) {
      say("warning", top(name), `The file is ignored, as ${files.root} is the root configuration`)
    }
  }

  // ---------------------------------------------------------------------------

  const definition = {
    ...rootFields,
    environment: { ...(tag === undefined ? undefined : { tag: valueOf(tag) }), values: environment },
    authProviders: { ...authProviders, unsupported },
    ...(customUserData === undefined ? undefined : { customUserData }),
    dataSources,
    pushServices,
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
      const { place, rest } = nearest(places, keys) ?? { place: top(files.root), rest: keys.map(String).join(".") }
      say("error", place, rest === "" ? message : `${message} (${rest})`)
    }
  }
  if (made !== undefined && Result.isSuccess(made)) {
    for (const [index, { collections }] of made.success.dataSources.entries()) {
      for (const [at, rules] of collections.entries()) {
        for (const { field, path } of RuleReferences.unknownFields(rules)) {
          const found = nearest(places, ["dataSources", index, "collections", at, ...path])
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

/** The place of the innermost part that is known, and what of the path is below it. */
const nearest = (
  places: ReadonlyMap<string, Place>,
  path: ReadonlyArray<PropertyKey>
): { readonly place: Place; readonly rest: string } | undefined => {
  for (let length = path.length; length >= 0; length--) {
    const place = places.get(path.slice(0, length).join("\0"))
    if (place !== undefined) return { place, rest: path.slice(length).map(String).join(".") }
  }
  return undefined
}

const oauthNames = { google: "oauth2-google", facebook: "oauth2-facebook", apple: "oauth2-apple" } as const

const ourNames = {
  "anon-user": "anonymous",
  "api-key": "apiKey",
  "local-userpass": "emailPassword",
  "custom-function": "customFunction",
  "custom-token": "customJwt",
  "oauth2-google": "google",
  "oauth2-facebook": "facebook",
  "oauth2-apple": "apple"
} as const

const isOAuth = (name: string): name is keyof typeof oauthNames => Object.hasOwn(oauthNames, name)

const ourName = (provider: string): typeof ourNames[keyof typeof ourNames] | undefined =>
  // What the check before says.
  Object.hasOwn(ourNames, provider) ? ourNames[provider as keyof typeof ourNames] : undefined

// `openId` switches id tokens on; here they are taken either way.
const oauthConfig = { clientId: { as: "clientId" } }

const configFields: { readonly [provider: string]: { readonly [name: string]: Field } } = {
  "anon-user": {},
  "api-key": {},
  "local-userpass": {
    autoConfirm: { as: "autoConfirm" },
    emailConfirmationUrl: { as: "emailConfirmationUrl", optional: true },
    confirmEmailSubject: { as: "confirmEmailSubject", optional: true },
    runConfirmationFunction: { as: "runConfirmationFunction" },
    confirmationFunctionName: { as: "confirmationFunctionName", optional: true },
    resetPasswordUrl: { as: "resetPasswordUrl", optional: true },
    resetPasswordSubject: { as: "resetPasswordSubject", optional: true },
    runResetFunction: { as: "runResetFunction" },
    resetFunctionName: { as: "resetFunctionName", optional: true }
  },
  "custom-function": { authFunctionName: { as: "authFunctionName" } },
  "custom-token": {
    audience: { as: "audience", optional: true },
    requireAnyAudience: { as: "requireAnyAudience" },
    signingAlgorithm: { as: "signingAlgorithm", optional: true },
    useJWKURI: { as: "useJwkUri" },
    jwkURI: { as: "jwkUri", optional: true }
  },
  "oauth2-google": oauthConfig,
  "oauth2-facebook": oauthConfig,
  "oauth2-apple": oauthConfig
}
