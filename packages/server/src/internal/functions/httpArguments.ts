/** What a function gives `context.http`, read (server section 4.4). */
import * as Ejson from "@effect-realm/protocol/Ejson"
import { Binary } from "bson"
import { FunctionServiceError } from "./functionServices.ts"

/** A request, ready to be sent. */
export interface HttpArguments {
  readonly url: URL
  /** By name as given; several values of a header joined. */
  readonly headers: { readonly [name: string]: string }
  readonly cookies: { readonly [name: string]: string }
  readonly body: { readonly bytes: Uint8Array; readonly contentType: string } | undefined
  readonly user: { readonly name: string; readonly password: string } | undefined
  readonly digestAuth: boolean
  readonly followRedirects: boolean
  /** Asked first, for the cookies that it sets. */
  readonly authUrl: URL | undefined
}

type Members = { readonly [name: string]: unknown }

const invalid = (message: string): FunctionServiceError =>
  new FunctionServiceError({ errorName: "InvalidParameter", message, code: "InvalidParameter" })

const isMembers = (value: unknown): value is Members =>
  typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype

const isMissing = (value: unknown): value is null | undefined => value === undefined || value === null

const text = (members: Members, name: string): string | undefined => {
  const value = members[name]
  if (isMissing(value)) return undefined
  if (typeof value !== "string") throw invalid(`"${name}" has to be a text`)
  return value
}

const flag = (members: Members, name: string): boolean => {
  const value = members[name]
  if (isMissing(value)) return false
  if (typeof value !== "boolean") throw invalid(`"${name}" has to be true or false`)
  return value
}

/** A document of texts and lists of texts, as pairs. */
const pairs = (members: Members, name: string): ReadonlyArray<readonly [name: string, value: string]> => {
  const value = members[name]
  if (isMissing(value)) return []
  if (!isMembers(value)) throw invalid(`"${name}" has to be a document of lists of texts`)
  return Object.entries(value).flatMap(([key, values]) =>
    (Array.isArray(values) ? values : [values]).map((item: unknown) => {
      if (typeof item !== "string") throw invalid(`"${name}.${key}" has to be a text or a list of texts`)
      return [key, item] as const
    })
  )
}

const address = (spelled: string, name: string): URL => {
  // Not the URL itself in any message: it may hold a secret.
  if (!URL.canParse(spelled)) throw invalid(`"${name}" is not a URL. Give one such as "https://example.com/path"`)
  const url = new URL(spelled)
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw invalid(`"${name}" has to begin with http: or https:, and begins with ${url.protocol}`)
  }
  return url
}

const urlOf = (members: Members): URL => {
  const whole = text(members, "url")
  if (whole !== undefined && whole !== "") return address(whole, "url")
  const host = text(members, "host")
  if (host === undefined || host === "") {
    throw invalid("a request needs \"url\", or \"host\" with \"scheme\" and \"path\"")
  }
  const scheme = text(members, "scheme") ?? "https"
  // Whoever has looked at "host" has seen the host: no other part names one, and what could end one is no part of it.
  if (!/^https?$/i.test(scheme)) throw invalid("\"scheme\" has to be http or https")
  if (/[/?#@\\\s]/.test(host)) throw invalid("\"host\" has to be a name or an address, with a port if need be")
  const url = address(`${scheme}://${host}`, "host")
  const path = text(members, "path") ?? ""
  url.pathname = path.startsWith("/") ? path : `/${path}`
  for (const [name, value] of pairs(members, "query")) url.searchParams.append(name, value)
  url.hash = text(members, "fragment") ?? ""
  return url
}

const decoded = (part: string): string => {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

const encoder = new TextEncoder()

const bodyOf = (members: Members): HttpArguments["body"] => {
  const { body } = members
  const form = pairs(members, "form")
  if (flag(members, "encodeBodyAsJSON") && body !== undefined) {
    // Relaxed, as those who are sent it seldom know what {"$numberInt": "1"} is.
    return {
      bytes: encoder.encode(JSON.stringify(Ejson.encodeUnsafe(body, { relaxed: true }))),
      contentType: "application/json"
    }
  }
  if (form.length > 0) {
    return {
      bytes: encoder.encode(new URLSearchParams(form.map(([name, value]) => [name, value])).toString()),
      contentType: "application/x-www-form-urlencoded"
    }
  }
  if (isMissing(body)) return undefined
  if (typeof body === "string") return { bytes: encoder.encode(body), contentType: "text/plain; charset=utf-8" }
  if (body instanceof Binary) return { bytes: body.value(), contentType: "application/octet-stream" }
  throw invalid("\"body\" has to be a text or a BSON.Binary. Set \"encodeBodyAsJSON\" to send a document")
}

/** Reads the argument of a method of `context.http`; throws `FunctionServiceError` of the code `InvalidParameter`. */
export const read = (argument: unknown): HttpArguments => {
  if (!isMembers(argument)) throw invalid("a request is a document, such as { url: \"https://example.com\" }")
  const url = urlOf(argument)
  const name = text(argument, "username") ?? decoded(url.username)
  const password = text(argument, "password") ?? decoded(url.password)
  url.username = ""
  url.password = ""
  const authUrl = text(argument, "authUrl")
  const headers: Record<string, string> = {}
  for (const [key, value] of pairs(argument, "headers")) {
    const known = Object.keys(headers).find((other) => other.toLowerCase() === key.toLowerCase()) ?? key
    headers[known] = Object.hasOwn(headers, known) ? `${headers[known]}, ${value}` : value
  }
  return {
    url,
    headers,
    cookies: Object.fromEntries(pairs(argument, "cookies")),
    body: bodyOf(argument),
    user: name === "" ? undefined : { name, password },
    digestAuth: flag(argument, "digestAuth"),
    followRedirects: flag(argument, "followRedirects"),
    authUrl: authUrl === undefined || authUrl === "" ? undefined : address(authUrl, "authUrl")
  }
}
