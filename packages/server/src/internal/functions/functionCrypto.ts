/** `utils.crypto` of functions (server section 4.6). What is wrong is thrown as an `Error` with words for what to do. */
import { Binary } from "bson"
import {
  constants,
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  randomBytes,
  sign as signBytes,
  verify as verifyBytes
} from "node:crypto"

const bytes = (value: unknown, name: string): Uint8Array => {
  if (typeof value === "string") return Buffer.from(value)
  if (value instanceof Binary) return value.value()
  throw new TypeError(`the ${name} has to be a text or a BSON.Binary`)
}

const only = (value: unknown, name: string, allowed: ReadonlyArray<string>): string => {
  if (typeof value === "string" && allowed.includes(value)) return value
  throw new Error(`the ${name} has to be ${allowed.map((one) => `"${one}"`).join(" or ")}`)
}

// -----------------------------------------------------------------------------
// AES
// -----------------------------------------------------------------------------

// As App Services wrote it, so that what it encrypted can be decrypted: Galois counter mode, the nonce in front, the tag behind.
const nonceLength = 12
const tagLength = 16

const aes = (
  type: unknown,
  key: unknown
): readonly [cipher: "aes-128-gcm" | "aes-192-gcm" | "aes-256-gcm", key: Buffer] => {
  only(type, "encryption type", ["aes"])
  const secret = typeof key === "string" ? Buffer.from(key) : undefined
  switch (secret?.length) {
    case 16:
      return ["aes-128-gcm", secret!]
    case 24:
      return ["aes-192-gcm", secret!]
    case 32:
      return ["aes-256-gcm", secret!]
  }
  throw new Error("an AES key has to be a text of 16, 24 or 32 bytes")
}

export const encrypt = (type: unknown, message: unknown, key: unknown): Binary => {
  const [algorithm, secret] = aes(type, key)
  const nonce = randomBytes(nonceLength)
  const cipher = createCipheriv(algorithm, secret, nonce)
  const text = Buffer.concat([cipher.update(bytes(message, "message")), cipher.final()])
  return new Binary(Buffer.concat([nonce, text, cipher.getAuthTag()]))
}

export const decrypt = (type: unknown, message: unknown, key: unknown): Binary => {
  const [algorithm, secret] = aes(type, key)
  if (!(message instanceof Binary)) {
    throw new TypeError("the encrypted message has to be a BSON.Binary, such as BSON.Binary.fromBase64(text)")
  }
  const all = message.value()
  const wrong = () => new Error("the message cannot be decrypted: it was encrypted with another key, or changed since")
  if (all.length < nonceLength + tagLength) throw wrong()
  const decipher = createDecipheriv(algorithm, secret, all.subarray(0, nonceLength), { authTagLength: tagLength })
  decipher.setAuthTag(all.subarray(-tagLength))
  try {
    return new Binary(Buffer.concat([decipher.update(all.subarray(nonceLength, -tagLength)), decipher.final()]))
  } catch {
    throw wrong()
  }
}

// -----------------------------------------------------------------------------
// Signatures
// -----------------------------------------------------------------------------

const rsa = (type: unknown, key: unknown, scheme: unknown, saltLength: number, read: (pem: string) => KeyObject) => {
  only(type, "encryption type", ["rsa"])
  const padding = only(scheme, "signature scheme", ["pss", "pkcs1v15"])
  let object: KeyObject | undefined
  try {
    object = typeof key === "string" ? read(key) : undefined
  } catch {
    // What the library says may hold a piece of the key.
  }
  if (object?.asymmetricKeyType !== "rsa") throw new Error("the key has to be an RSA key in PEM format")
  return padding === "pss"
    ? { key: object, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength }
    : { key: object, padding: constants.RSA_PKCS1_PADDING }
}

export const sign = (type: unknown, message: unknown, key: unknown, scheme: unknown = "pss"): Binary => {
  const parameters = rsa(type, key, scheme, constants.RSA_PSS_SALTLEN_MAX_SIGN, createPrivateKey)
  return new Binary(signBytes("sha256", bytes(message, "message"), parameters))
}

export const verify = (
  type: unknown,
  message: unknown,
  key: unknown,
  signature: unknown,
  scheme: unknown = "pss"
): boolean => {
  const parameters = rsa(type, key, scheme, constants.RSA_PSS_SALTLEN_AUTO, createPublicKey)
  if (!(signature instanceof Binary)) throw new TypeError("the signature has to be a BSON.Binary")
  return verifyBytes("sha256", bytes(message, "message"), parameters, signature.value())
}

// -----------------------------------------------------------------------------
// Hashes
// -----------------------------------------------------------------------------

export const hmac = (input: unknown, secret: unknown, hash: unknown, format: unknown): string => {
  const algorithm = only(hash, "hash function", ["sha1", "sha256", "sha512"])
  const encoding = only(format, "output format", ["hex", "base64"]) === "hex" ? "hex" : "base64"
  return createHmac(algorithm, bytes(secret, "secret")).update(bytes(input, "input")).digest(encoding)
}

export const hash = (algorithm: unknown, input: unknown): Binary =>
  new Binary(
    createHash(only(algorithm, "hash function", ["sha1", "sha256", "md5"])).update(bytes(input, "input")).digest()
  )
