/** HTTP Digest authentication (RFC 7616), with which Atlas and its kind guard their administration APIs. */
import { createHash, randomBytes } from "node:crypto"

/** What a server asks for. */
export interface Challenge {
  readonly realm: string
  readonly nonce: string
  readonly opaque: string | undefined
  readonly algorithm: "MD5" | "SHA-256"
  /** Whether it asks for `qop=auth`; the older form has none. */
  readonly auth: boolean
}

const parameter = (header: string, name: string): string | undefined => {
  const found = new RegExp(`(?:^|[\\s,])${name}=(?:"((?:[^"\\\\]|\\\\.)*)"|([^\\s,]+))`, "i").exec(header)
  return found === null ? undefined : found[1]?.replace(/\\(.)/g, "$1") ?? found[2]
}

/** The challenge in a `WWW-Authenticate` header, if there is one that can be met. */
export const challenge = (header: string): Challenge | undefined => {
  const start = /(?:^|,\s*)digest\s/i.exec(header)
  if (start === null) return undefined
  const text = header.slice(start.index)
  const realm = parameter(text, "realm")
  const nonce = parameter(text, "nonce")
  const algorithm = parameter(text, "algorithm")?.toUpperCase() ?? "MD5"
  const qop = parameter(text, "qop")
  if (realm === undefined || nonce === undefined || (algorithm !== "MD5" && algorithm !== "SHA-256")) return undefined
  const auth = qop?.split(",").some((option) => option.trim().toLowerCase() === "auth")
  if (auth === false) return undefined
  return { realm, nonce, opaque: parameter(text, "opaque"), algorithm, auth: auth === true }
}

const quoted = (text: string): string => `"${text.replace(/["\\]/g, "\\$&")}"`

/**
 * The `Authorization` header that meets a challenge.
 *
 * @param path path and query of the request
 */
export const authorization = (
  { algorithm, auth, nonce, opaque, realm }: Challenge,
  { cnonce = randomBytes(16).toString("hex"), method, password, path, username }: {
    readonly method: string
    readonly path: string
    readonly username: string
    readonly password: string
    readonly cnonce?: string
  }
): string => {
  const hash = (text: string) => createHash(algorithm === "MD5" ? "md5" : "sha256").update(text).digest("hex")
  const count = "00000001"
  const secret = hash(`${username}:${realm}:${password}`)
  const what = hash(`${method}:${path}`)
  const response = hash(auth ? `${secret}:${nonce}:${count}:${cnonce}:auth:${what}` : `${secret}:${nonce}:${what}`)
  return [
    `Digest username=${quoted(username)}`,
    `realm=${quoted(realm)}`,
    `nonce=${quoted(nonce)}`,
    `uri=${quoted(path)}`,
    `algorithm=${algorithm}`,
    `response="${response}"`,
    ...(opaque === undefined ? [] : [`opaque=${quoted(opaque)}`]),
    ...(auth ? ["qop=auth", `nc=${count}`, `cnonce="${cnonce}"`] : [])
  ].join(", ")
}
