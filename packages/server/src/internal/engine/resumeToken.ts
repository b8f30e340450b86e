/**
 * Places in the log of changes, as they are handed out: they hold for one collection, and as long as the log goes on from
 * there.
 */
import { createHash, randomBytes } from "node:crypto"
import type { DatabaseSync } from "node:sqlite"
import { type Fields, isFields } from "./bsonValue.ts"
import { failure } from "./failure.ts"

export interface Place {
  readonly term: string
  /** The key of the collection. */
  readonly collection: string
  readonly sequence: number
}

/** What stands for a collection in a token, whether it is there or not. */
export const collectionKey = (name: string): string => createHash("sha256").update(name).digest("hex").slice(0, 16)

// 2^53 has 14 hexadecimal digits
const digits = 14

export const encodeToken = ({ collection, sequence, term }: Place): Fields => ({
  _data: term + collection + sequence.toString(16).padStart(digits, "0")
})

// tokens of openings before these are lost
const maxTerms = 1000

const invalid = (detail: string): Error => failure({ _tag: "InvalidResumeToken", detail })

/** The place in the collection that a token stands for. */
export const decodeToken = (token: unknown, collection: string): Place => {
  const data = isFields(token) ? token["_data"] : undefined
  const [, term, owner, sequence] = /^([0-9a-f]{16})([0-9a-f]{16})([0-9a-f]{14})$/.exec(String(data)) ?? []
  if (term === undefined || sequence === undefined) throw invalid("it is none of this database")
  if (owner !== collection) throw invalid("it is of another collection")
  return { term, collection, sequence: Number.parseInt(sequence, 16) }
}

/**
 * The terms of a log: one for each time the database was opened. A file that is put back from a copy, or lost its last writes
 * with the power, goes on from an earlier place than the one that was handed out. Its next term says so.
 */
export class Terms {
  readonly #database: DatabaseSync
  #current: string | undefined

  constructor(database: DatabaseSync) {
    this.#database = database
  }

  /** The term of this opening, which begins when it is asked for first: before anything else is recorded. */
  current(sequence: number): string {
    if (this.#current !== undefined) return this.#current
    const term = randomBytes(8).toString("hex")
    const { lastInsertRowid } = this.#database.prepare("INSERT INTO change_terms (term, start) VALUES (?, ?)")
      .run(term, sequence)
    this.#database.prepare("DELETE FROM change_terms WHERE number <= ?").run(Number(lastInsertRowid) - maxTerms)
    return this.#current = term
  }

  /** Whether a place of a term belongs to what the log holds now. */
  holds({ sequence, term }: Place, head: number): boolean {
    const row = this.#database.prepare("SELECT number FROM change_terms WHERE term = ?").get(term)
    if (row === undefined) return false
    const later = this.#database.prepare("SELECT min(start) AS start FROM change_terms WHERE number > ?")
      .get(Number(row["number"]))?.["start"]
    return sequence <= Math.min(head, typeof later === "number" ? later : head)
  }
}
