/**
 * Auth providers in the files of an exported app: `auth/providers.json` (server section 1.4), or, in the layout of before
 * 2021, `auth_providers/<name>.json` (section 1.10).
 */
import type * as Redacted from "effect/Redacted"
import type * as Schema from "effect/Schema"
import { isAccountField } from "../providers/oauthAccount.ts"
import { isProviderType, providerNames } from "../providers/providerNames.ts"
import { items, type Located, member, members, type Place, placeOf, valueOf } from "./configFile.ts"
import { type Fields, type FolderReader, type KnownFields, top } from "./folderReader.ts"

/** Whether the text of a file is needed. */
export const isRead = (path: string): boolean => /^(auth|auth_providers)\/[^/]+\.json$/.test(path)

const oauthNames = { google: "oauth2-google", facebook: "oauth2-facebook", apple: "oauth2-apple" } as const

const isOAuth = (name: string): name is keyof typeof oauthNames => Object.hasOwn(oauthNames, name)

// `openId` switches id tokens on; here they are taken either way.
const oauthConfig = { clientId: { as: "clientId" } }

const configFields: { readonly [provider: string]: KnownFields } = {
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

/** Ids belong to the app that was exported; names are what counts, and where there is none, that of the id. */
const functionIds = ["authFunction", "confirmationFunction", "resetFunction"] as const

const beside = [
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

/** The providers of a folder. */
export interface Providers {
  /** The secrets that a provider needs, by its name and the field that names them. */
  readonly secretNames: (provider: string, field: string) => ReadonlyArray<string> | undefined
  /** As an option of an app, once the secrets are known: what lacks one is not there. */
  readonly settle: (secrets: { readonly [name: string]: Redacted.Redacted }) => Fields
}

/**
 * @param functionNames names of functions by the ids that some exports have in their stead
 */
export const read = (
  { expanded, fieldsOf, files, inner, open, placed, placeOf: whereIs, say }: FolderReader,
  layout: "current" | "legacy",
  functionNames: ReadonlyMap<string, string>
): Providers => {
  const authProviders: { [name: string]: Fields } = {}
  const unsupported: Array<string> = []
  const entries = new Map<string, Located>()

  const metadataFields = (
    path: ReadonlyArray<PropertyKey>,
    fields: Located | undefined,
    known = fields === undefined ? undefined : items(fields)
  ): unknown => {
    if (fields === undefined) return []
    placed([...path, "metadataFields"], placeOf(fields))
    return known?.map((field, index) =>
      fieldsOf(field, [...path, "metadataFields", index], {
        name: { as: "name" },
        field_name: { as: "fieldName", optional: true },
        required: { as: "required" }
      }, ["_id", "id"])
    ) ?? valueOf(fields)
  }

  /** What of a provider such as Google stands beside its `config`. */
  const oauth = (as: string, fields: Fields, provider: Located): Fields => {
    const path = ["authProviders", as]
    const list = (name: string, to: string): Fields => {
      const found = inner(provider, name)
      if (found === undefined) return {}
      placed([...path, to], placeOf(found))
      for (const [index, item] of (items(found) ?? []).entries()) placed([...path, to, index], placeOf(item))
      return { [to]: expanded(found) }
    }
    const names = inner(provider, "metadata_fields")
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
  const customJwt = (
    { audience, jwkUri, signingAlgorithm, useJwkUri, ...fields }: Fields,
    provider: Located
  ): Fields => {
    const path = ["authProviders", "customJwt"]
    if (useJwkUri !== undefined && typeof useJwkUri !== "boolean") {
      say("error", whereIs([...path, "useJwkUri"])!.place, "Expected true or false")
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
      metadataFields: metadataFields(path, inner(provider, "metadata_fields")),
      enabled: true
    }
  }

  const readConfig = (name: string, as: string, config: Located): Fields => {
    const path = ["authProviders", as]
    const fields = fieldsOf(config, path, configFields[name] ?? {}, ["openId", ...functionIds.map((id) => `${id}Id`)])
    for (const id of functionIds) {
      const located = inner(config, `${id}Id`)
      const found = located === undefined ? undefined : functionNames.get(String(valueOf(located)))
      if (located === undefined || found === undefined || fields[`${id}Name`] !== undefined) continue
      placed([...path, `${id}Name`], placeOf(located))
      fields[`${id}Name`] = found
    }
    return fields
  }

  const readProvider = (name: string, place: Place, provider: Located): void => {
    entries.set(name, provider)
    const as = isProviderType(name) ? providerNames[name] : undefined
    const path = ["authProviders", as ?? name]
    const { disabled } = fieldsOf(provider, path, { disabled: { as: "disabled" } }, beside)
    if (disabled !== undefined && typeof disabled !== "boolean") {
      say("error", placeOf(member(provider, "disabled") ?? provider), "\"disabled\" has to be true or false")
    }
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
    const config = inner(provider, "config")
    const fields = config === undefined ? {} : readConfig(name, as, config)
    if (as === "customJwt") authProviders[as] = customJwt(fields, provider)
    else if (isOAuth(as)) authProviders[as] = oauth(as, fields, provider)
    else authProviders[as] = { ...fields, enabled: true }
  }

  const readCurrent = (): void => {
    const file = open("auth/providers.json")
    if (file === undefined) return
    placed(["authProviders"], placeOf(file.root))
    const all = members(file.root)
    if (all === undefined) say("error", placeOf(file.root), "Expected an object with a member for each provider")
    for (const { name, place, value } of all ?? []) {
      for (const key of ["name", "type"]) {
        const named = member(value, key)
        if (named !== undefined && valueOf(named) !== name) {
          say("error", placeOf(named), `The provider's "${key}" has to be "${name}", like the key it stands under`)
        }
      }
      readProvider(name, place, value)
    }
  }

  const readLegacy = (): void => {
    for (const path of files.paths) {
      const [, fileName] = /^auth_providers\/([^/]+)\.json$/.exec(path) ?? []
      const file = fileName === undefined ? undefined : open(path)
      if (fileName === undefined || file === undefined) continue
      const type = member(file.root, "type")
      const name = type === undefined ? fileName : String(valueOf(type))
      if (entries.has(name)) say("error", top(path), `There is another file for the provider "${name}"`)
      else readProvider(name, top(path), file.root)
    }
  }

  if (layout === "current") readCurrent()
  else readLegacy()

  const namesIn = (provider: string, field: string): ReadonlyArray<Located> | undefined => {
    const entry = entries.get(provider)
    const config = entry === undefined ? undefined : member(entry, "secret_config")
    const named = config === undefined ? undefined : member(config, field)
    return named === undefined ? undefined : items(named) ?? [named]
  }

  return {
    secretNames: (provider, field) => namesIn(provider, field)?.map((named) => String(valueOf(named))),
    settle: (secrets) => {
      /** The secrets that a field of a provider names; those that are not there become a warning. */
      const secretsOf = (provider: string, field: string, path: ReadonlyArray<PropertyKey>) => {
        const found: Array<Schema.Json> = []
        const named = namesIn(provider, field)
        if (named?.[0] !== undefined) placed(path, placeOf(named[0]))
        for (const one of named ?? []) {
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
        return named === undefined ? undefined : found
      }

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
      return { ...authProviders, unsupported }
    }
  }
}
