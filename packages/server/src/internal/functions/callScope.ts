/**
 * What functions and rules are told of a call: who makes it, the request, and the values of the app.
 */
import type * as Ejson from "@effect-realm/protocol/Ejson"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type * as Schema from "effect/Schema"
import * as Accounts from "../../Accounts.ts"
import type { AppDefinition } from "../../AppDefinition.ts"
import type { RequestInfo, UserObject } from "../../Functions.ts"
import { headerName } from "./headerName.ts"

/** A user as functions see them (server section 3.2). */
export const userObject = (user: Accounts.User, customData: Ejson.Document): UserObject => ({
  id: user.id,
  type: user.type,
  data: Accounts.data(user),
  customData,
  identities: user.identities.map(({ data, id, providerType }) => ({ id, providerType, data }))
})

/** `%%user` and `context.user`. */
export const userDocument = (user: Option.Option<UserObject>): Ejson.Document => {
  if (Option.isNone(user)) return { type: "system", data: {}, custom_data: {}, identities: [] }
  const { customData, data, id, identities, type } = user.value
  return {
    id,
    type,
    data,
    custom_data: customData,
    // Both spellings were documented.
    identities: identities.map(({ data, id, providerType }) => ({
      id,
      provider_type: providerType,
      providerType,
      data: data ?? {}
    }))
  }
}

const credentials = new Set(["authorization", "cookie", "proxy-authorization"])

const first = (header: string | ReadonlyArray<string> | undefined): string | undefined =>
  typeof header === "string" ? header : header?.[0]

/** `%%request` and `context.request`, without credentials. */
export const requestDocument = (
  { action, headers = {}, method, rawQueryString, remoteAddress, service }: RequestInfo
): Ejson.Document => {
  const requestHeaders: Record<string, ReadonlyArray<string>> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || credentials.has(name.toLowerCase())) continue
    requestHeaders[headerName(name)] = typeof value === "string" ? [value] : value
  }
  return {
    remoteIPAddress: remoteAddress ?? "",
    requestHeaders,
    rawQueryString: rawQueryString ?? "",
    httpMethod: method,
    httpUserAgent: first(headers["user-agent"]),
    httpReferrer: first(headers["referer"]),
    service,
    action
  }
}

/** The values of an app by name, those of secrets among them. */
export const valuesOf = (app: AppDefinition): ReadonlyMap<string, Schema.Json> =>
  new Map(
    app.values.map((value) => [
      value.name,
      // The definition has been checked to have each secret that a value names.
      "value" in value ? value.value : Redacted.value(app.secrets[value.fromSecret]!)
    ])
  )
