/**
 * The origin that clients reach this server at.
 */
import type { HttpServerRequest } from "effect/http/HttpServerRequest"

// A host name, an IPv4 or a bracketed IPv6 address, and perhaps a port: nothing that could end up as a path or markup.
const host = /^(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?$/

/** `true` for an origin such as `https://realm.example`: with a scheme of HTTP, and without a path. */
export const isOrigin = (url: string): boolean =>
  /^https?:\/\//.test(url) && URL.canParse(url) && new URL(url).origin === url

const thisMachine = new Set(["localhost", "127.0.0.1", "[::1]"])

/**
 * `true` for a URL that nobody on the way can answer in place of its owner: HTTPS, or on this machine. One that hands out
 * keys, or is given secrets, has to be.
 */
export const isSafe = (url: string): boolean => {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  return parsed?.protocol === "https:" || (parsed?.protocol === "http:" && thisMachine.has(parsed.hostname))
}

/** The origin the request was sent to, by its `Host` header; `http://localhost` when that is missing or no host. */
export const fromRequest = (request: HttpServerRequest): string => {
  const { host: sent } = request.headers
  if (sent !== undefined && host.test(sent)) return `${request.protocol ?? "http"}://${sent}`
  // In process there is no Host header, but the request knows the whole URL it was made for.
  return /^https?:\/\/[^/]/.test(request.originalUrl) && URL.canParse(request.originalUrl)
    ? new URL(request.originalUrl).origin
    : "http://localhost"
}

/** The same origin for websockets. */
export const toWebSocket = (origin: string): string => origin.replace(/^http/, "ws")
