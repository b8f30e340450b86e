/**
 * The text of an answer, which may have very many documents: it is written by parts, so that it keeps nobody waiting.
 */
import * as Ejson from "@effect-realm/protocol/Ejson"
import type { Work } from "../engine/work.ts"

// in characters: so much is written in less than a millisecond
const little = 16 * 1024

const mostAtOnce = 32

const textOf = (value: unknown): string => JSON.stringify(Ejson.encodeUnsafe(value))

/** Writes a value as Extended JSON; `undefined` when that has more than `most` characters. */
export function* write(value: unknown, most: number): Work<Uint8Array | undefined> {
  if (!Array.isArray(value) || value.length < 2) {
    const text = textOf(value)
    return text.length > most ? undefined : Buffer.from(text)
  }
  const pieces: Array<Uint8Array> = []
  let length = 1
  // documents one at a time, unless they are small: that would cost half as much again
  let atOnce = 1
  for (let from = 0; from < value.length;) {
    const text = textOf(value.slice(from, from + atOnce))
    length += text.length - 1
    if (length > most) return undefined
    from += atOnce
    const isLast = from >= value.length
    pieces.push(Buffer.from(`${pieces.length === 0 ? "[" : ","}${text.slice(1, isLast ? undefined : -1)}`))
    atOnce = text.length < little ? Math.min(2 * atOnce, mostAtOnce) : 1
    yield
  }
  return Buffer.concat(pieces)
}
