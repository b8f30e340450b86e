/**
 * Where a request comes from, behind so many proxies of one's own.
 */
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as Option from "effect/Option"
import { isIP, isIPv6 } from "node:net"

// Some proxies name the port as well.
const withoutPort = (text: string): string =>
  /^\[(.+)\](?::\d+)?$/.exec(text)?.[1] ?? /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(text)?.[1] ?? text

/**
 * The address a request was sent from; none in process, and over a socket of the file system.
 *
 * Each proxy appends to `X-Forwarded-For` whom it was asked by, so the last of them are true and whatever is before may be
 * the client's own invention. A list that is shorter was sent past the proxies.
 */
export const of = (request: HttpServerRequest, proxies: number): string | undefined => {
  const socket = Option.getOrUndefined(request.remoteAddress)
  if (proxies === 0) return socket
  const forwarded = (request.headers["x-forwarded-for"] ?? "").split(",").at(-proxies)
  const address = withoutPort((forwarded ?? "").trim())
  return isIP(address) === 0 ? socket : address
}

/** What of an address is one customer's: an IPv4 address, or the first 64 bits of one of IPv6. */
export const placeOf = (address: string): string => {
  const bare = address.split("%")[0] ?? ""
  if (!isIPv6(bare)) return address
  const canonical = new URL(`http://[${bare}]`).hostname.slice(1, -1)
  const mapped = /^::ffff:([0-9a-f]+):([0-9a-f]+)$/.exec(canonical)
  if (mapped !== null) {
    const [high, low] = [Number.parseInt(mapped[1] ?? "", 16), Number.parseInt(mapped[2] ?? "", 16)]
    return [high >> 8, high & 255, low >> 8, low & 255].join(".")
  }
  const [head = "", tail] = canonical.split("::").map((part) => part === "" ? [] : part.split(":"))
  const zeros = tail === undefined ? [] : Array.from({ length: 8 - head.length - tail.length }, () => "0")
  return `${[...head, ...zeros, ...tail ?? []].slice(0, 4).join(":")}::/64`
}
