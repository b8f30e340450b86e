/** `utils.jwt` of functions (server section 4.6). Everything is checked here and thrown as an `Error` with words for what to do. */
import * as Ejson from "@effect-realm/protocol/Ejson"
import {
  constants,
  createHmac,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  sign,
  timingSafeEqual,
  verify
} from "node:crypto"

interface Algorithm {
  readonly kind: "HMAC" | "RSA" | "PSS" | "EC"
  readonly hash: string
  readonly curve?: string
}

const algorithms = new Map<unknown, Algorithm>([
  ["HS256", { kind: "HMAC", hash: "sha256" }],
  ["HS384", { kind: "HMAC", hash: "sha384" }],
  ["HS512", { kind: "HMAC", hash: "sha512" }],
  ["RS256", { kind: "RSA", hash: "sha256" }],
  ["RS384", { kind: "RSA", hash: "sha384" }],
  ["RS512", { kind: "RSA", hash: "sha512" }],
  ["PS256", { kind: "PSS", hash: "sha256" }],
  ["PS384", { kind: "PSS", hash: "sha384" }],
  ["PS512", { kind: "PSS", hash: "sha512" }],
  ["ES256", { kind: "EC", hash: "sha256", curve: "prime256v1" }],
  ["ES384", { kind: "EC", hash: "sha384", curve: "secp384r1" }],
  ["ES512", { kind: "EC", hash: "sha512", curve: "secp521r1" }]
])

const algorithmOf = (name: unknown): Algorithm => {
  const algorithm = algorithms.get(name)
  if (algorithm === undefined) {
    throw new Error(`the signing method has to be one of ${[...algorithms.keys()].join(", ")}`)
  }
  return algorithm
}

const secretOf = (key: unknown): string => {
  if (typeof key !== "string" || key === "") throw new TypeError("the key has to be a text that is not empty")
  // A public key is known to everybody: whoever takes it for a secret takes every token for true.
  if (key.includes("-----BEGIN")) {
    throw new Error("the token is signed with a secret, and the key is one of another kind. Name the accepted methods")
  }
  return key
}

const keyOf = (key: unknown, name: string, { curve, kind }: Algorithm, read: (pem: string) => KeyObject): KeyObject => {
  if (typeof key !== "string") throw new TypeError("the key has to be a text in PEM format")
  let object: KeyObject
  try {
    object = read(key)
  } catch {
    // What the library says may hold a piece of the key.
    throw new Error(`the key for ${name} is none in PEM format`)
  }
  const type = object.asymmetricKeyType
  const fits = kind === "EC"
    ? type === "ec" && object.asymmetricKeyDetails?.namedCurve === curve
    : type === "rsa" || (kind === "PSS" && type === "rsa-pss")
  if (!fits) throw new Error(`the key does not fit ${name}`)
  return object
}

const parameters = (key: KeyObject, { kind }: Algorithm) =>
  kind === "EC"
    ? { key, dsaEncoding: "ieee-p1363" as const }
    : kind === "PSS"
    ? { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
    : { key, padding: constants.RSA_PKCS1_PADDING }

const part = (value: unknown): string =>
  Buffer.from(JSON.stringify(Ejson.encodeUnsafe(value, { relaxed: true }))).toString("base64url")

const isDocument = (value: unknown): value is { readonly [name: string]: unknown } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** A signed token of a payload. */
export const encode = (method: unknown, payload: unknown, secret: unknown, header?: unknown): string => {
  const algorithm = algorithmOf(method)
  if (!isDocument(payload)) throw new TypeError("the payload has to be a document")
  if (header !== undefined && !isDocument(header)) {
    throw new TypeError("the header fields have to be a document")
  }
  const { alg: _, ...fields } = header ?? {}
  const text = `${part({ alg: method, typ: "JWT", ...fields })}.${part(payload)}`
  const signature = algorithm.kind === "HMAC"
    ? createHmac(algorithm.hash, secretOf(secret)).update(text).digest()
    : sign(
      algorithm.hash,
      Buffer.from(text),
      parameters(keyOf(secret, String(method), algorithm, createPrivateKey), algorithm)
    )
  return `${text}.${signature.toString("base64url")}`
}

const malformed = () => new Error("the token is not a JSON Web Token")

const members = (text: string): { readonly [name: string]: unknown } => {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(text, "base64url").toString())
  } catch {
    throw malformed()
  }
  if (!isDocument(value)) throw malformed()
  return value
}

const isSigned = (text: string, signature: Buffer, name: string, algorithm: Algorithm, key: unknown): boolean => {
  if (algorithm.kind === "HMAC") {
    const expected = createHmac(algorithm.hash, secretOf(key)).update(text).digest()
    return signature.length === expected.length && timingSafeEqual(signature, expected)
  }
  const publicKey = keyOf(key, name, algorithm, createPublicKey)
  return verify(algorithm.hash, Buffer.from(text), parameters(publicKey, algorithm), signature)
}

/**
 * The payload of a token as Extended JSON text, or header and payload, once the signature has been verified. A token that is
 * over, or not valid yet, is refused. Without a list of accepted methods every one that fits the key is.
 */
export const decode = (token: unknown, key: unknown, returnHeader?: unknown, accepted?: unknown): string => {
  if (typeof token !== "string") throw new TypeError("the token has to be a text")
  if (accepted !== undefined && accepted !== null && !Array.isArray(accepted)) {
    throw new TypeError("the accepted methods have to be a list, such as [\"HS256\"]")
  }
  const [head = "", body = "", signature = "", ...more] = token.split(".")
  if (more.length > 0 || signature === "") throw malformed()
  const header = members(head)
  const name = header["alg"]
  const algorithm = algorithmOf(name)
  if (Array.isArray(accepted) && !accepted.includes(name)) {
    throw new Error(`the token is signed by the method ${String(name)}, which is not accepted`)
  }
  if (!isSigned(`${head}.${body}`, Buffer.from(signature, "base64url"), String(name), algorithm, key)) {
    throw new Error("the signature of the token is not valid")
  }
  const payload = members(body)
  const now = Date.now() / 1000
  const { exp, nbf } = payload
  if (typeof exp === "number" && exp <= now) throw new Error("the token has expired")
  if (typeof nbf === "number" && nbf > now) throw new Error("the token is not valid yet")
  return JSON.stringify(returnHeader === true ? { header, payload } : payload)
}
