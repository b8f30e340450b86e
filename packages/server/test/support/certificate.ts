/** A certificate for `localhost` that is made for one run: a key in the repository would be a secret in the repository. */
import { generateKeyPairSync, sign } from "node:crypto"

const der = (tag: number, ...contents: ReadonlyArray<Buffer>): Buffer => {
  const content = Buffer.concat(contents)
  const { length } = content
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}

const sequence = (...contents: ReadonlyArray<Buffer>) => der(0x30, ...contents)

const objectId = (hex: string) => der(0x06, Buffer.from(hex, "hex"))

const ecdsaWithSha256 = sequence(objectId("2a8648ce3d040302"))

const localhost = sequence(der(0x31, sequence(objectId("550403"), der(0x0c, Buffer.from("localhost")))))

const time = (year: number) => der(0x18, Buffer.from(`${year}0101000000Z`))

const pem = (label: string, bytes: Buffer): string =>
  `-----BEGIN ${label}-----\n${bytes.toString("base64").replaceAll(/.{64}/g, "$&\n")}\n-----END ${label}-----\n`

/** Signed by itself, with the name `localhost`, good until the year 2999. */
export const make = (): { readonly key: string; readonly cert: string } => {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
  const names = der(0x04, sequence(der(0x82, Buffer.from("localhost"))))
  const authority = der(0x04, sequence(der(0x01, Buffer.from([0xff]))))
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.from([1])),
    ecdsaWithSha256,
    localhost,
    sequence(time(2000), time(2999)),
    localhost,
    publicKey.export({ type: "spki", format: "der" }),
    der(
      0xa3,
      sequence(
        sequence(objectId("551d11"), names),
        sequence(objectId("551d13"), authority)
      )
    )
  )
  const signature = sign("sha256", body, privateKey)
  return {
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    cert: pem("CERTIFICATE", sequence(body, ecdsaWithSha256, der(0x03, Buffer.concat([Buffer.from([0]), signature]))))
  }
}
