/**
 * How large a document is that a pipeline has made. Its parts may be one and the same value many times over, so that it is
 * counted as it would be written, and no further than it may be.
 */
import { Binary, BSONRegExp, BSONSymbol, Code } from "bson"
import { type Fields, isArray, isFields, maxDepth, maxDocumentSize } from "./bsonValue.ts"
import { badFilter, failure } from "./failure.ts"

class Counting {
  size = 0

  #add(bytes: number): void {
    this.size += bytes
    if (this.size > maxDocumentSize) {
      throw failure({ _tag: "DocumentTooLarge", size: this.size, limit: maxDocumentSize })
    }
  }

  value(value: unknown, depth: number): void {
    if (typeof value === "string") return this.#add(5 + Buffer.byteLength(value))
    if (isArray(value)) {
      this.#enter(depth)
      for (const [index, element] of value.entries()) {
        this.#add(2 + String(index).length)
        this.value(element, depth + 1)
      }
    } else if (isFields(value)) {
      this.#enter(depth)
      for (const name of Object.keys(value)) {
        this.#add(2 + Buffer.byteLength(name))
        this.value(value[name], depth + 1)
      }
    } else if (value instanceof Binary) this.#add(5 + value.position)
    else if (value instanceof BSONRegExp) this.#add(2 + Buffer.byteLength(value.pattern) + value.options.length)
    else if (value instanceof Code) this.#add(5 + Buffer.byteLength(value.code))
    else if (value instanceof BSONSymbol) this.#add(5 + Buffer.byteLength(value.value))
    else this.#add(typeof value === "boolean" ? 1 : value === null ? 0 : 8)
  }

  #enter(depth: number): void {
    if (depth >= maxDepth) throw badFilter(`a document is nested more than ${maxDepth} deep`)
    this.#add(5)
  }
}

/** The document, when it is not larger nor deeper than one may be. */
export const boundedDocument = (document: Fields): Fields => {
  new Counting().value(document, 0)
  return document
}
