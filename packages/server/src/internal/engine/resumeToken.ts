/**
 * Places in the log of changes, as they are handed out: sealed, so that nobody can make one up, good for one collection, and
 * for as long as the log goes on from there.
 */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto"
import type { DatabaseSync } from "node:sqlite"
import { type Fields, isFields } from "./bsonValue.ts"
import { failure } from "./failure.ts"

/** What stands for a collection in a token, whether it is there or not. */
export const collectionKey = (name: string): Uint8Array => createHash("sha256").update(name).digest().subarray(0, 8)

const cipher = "aes-128-gcm"
const nonceLength = 12
const placeLength = 8

/** One opening of the database. */
class Term {
  readonly name: string
  readonly #key: Uint8Array

  constructor(name: string, key: Uint8Array) {
    this.name = name
    this.#key = key
  }

  /** What resumes after a place in a collection. No two are the same: equal ones would tell that nothing happened between. */
  token(collection: Uint8Array, sequence: number): Fields {
    const place = Buffer.alloc(placeLength)
    place.writeBigUInt64BE(BigInt(sequence))
    const nonce = randomBytes(nonceLength)
    const seal = createCipheriv(cipher, this.#key, nonce).setAAD(collection)
    const sealed = Buffer.concat([nonce, seal.update(place), seal.final(), seal.getAuthTag()])
    return { _data: this.name + sealed.toString("hex") }
  }

  /** The place that was sealed; `undefined` when that was for another collection, or not done here. */
  open(collection: Uint8Array, sealed: Buffer): number | undefined {
    const end = nonceLength + placeLength
    const seal = createDecipheriv(cipher, this.#key, sealed.subarray(0, nonceLength)).setAAD(collection)
    const place = seal.setAuthTag(sealed.subarray(end)).update(sealed.subarray(nonceLength, end))
    try {
      seal.final()
    } catch {
      return undefined
    }
    return Number(place.readBigUInt64BE())
  }
}

const invalid = (detail: string): Error => failure({ _tag: "InvalidResumeToken", detail })

// tokens of openings before these are lost
const maxTerms = 1000

/**
 * The terms of a log: one for each time the database was opened. A file that is put back from a copy, or lost its last writes
 * with the power, goes on from an earlier place than the one that was handed out. Its next term says so.
 */
export class Terms {
  readonly #database: DatabaseSync
  #current: Term | undefined

  constructor(database: DatabaseSync) {
    this.#database = database
  }

  /** Begins the term of this opening, before anything else is recorded, unless it has begun. */
  begin(sequence: number): Term {
    if (this.#current !== undefined) return this.#current
    const key = randomBytes(16)
    const term = new Term(randomBytes(8).toString("hex"), key)
    const { lastInsertRowid } = this.#database.prepare("INSERT INTO log_terms (name, key, start) VALUES (?, ?, ?)")
      .run(term.name, key, sequence)
    this.#database.prepare("DELETE FROM log_terms WHERE number <= ?").run(Number(lastInsertRowid) - maxTerms)
    return this.#current = term
  }

  /** The place in a collection that a token stands for; `undefined` when the log does not go on from there. */
  place(token: unknown, collection: Uint8Array, head: number): number | undefined {
    const data = isFields(token) ? token["_data"] : undefined
    const [, name = "", sealed] = /^([0-9a-f]{16})([0-9a-f]{72})$/.exec(String(data)) ?? []
    if (sealed === undefined) throw invalid("it is none of this database")
    const row = this.#database.prepare("SELECT number, key FROM log_terms WHERE name = ?").get(name)
    if (row === undefined || !(row["key"] instanceof Uint8Array)) return undefined
    const place = new Term(name, row["key"]).open(collection, Buffer.from(sealed, "hex"))
    if (place === undefined) throw invalid("it is none of this collection")
    const later = this.#database.prepare("SELECT min(start) AS start FROM log_terms WHERE number > ?")
      .get(Number(row["number"]))?.["start"]
    return place <= (typeof later === "number" ? Math.min(later, head) : head) ? place : undefined
  }
}
