/**
 * The last changes of all collections, in memory: those who follow closely need not read the log.
 */
import type { Change } from "./change.ts"

interface Recent {
  readonly collection: number
  readonly change: Change
}

const maxCount = 512
const maxBytes = 4 * 1024 * 1024

export class RecentChanges {
  /** In their order; all that were recorded after `#after`. */
  #changes: Array<Recent> = []
  #after: number
  #bytes = 0

  constructor(after: number) {
    this.#after = after
  }

  push(collection: number, change: Change): void {
    this.#changes.push({ collection, change })
    this.#bytes += change.size
    // half of them at once, so that each is moved at most once
    if (this.#changes.length > 2 * maxCount || this.#bytes > 2 * maxBytes) this.#forget()
  }

  #forget(): void {
    let count = 0
    while (this.#changes.length - count > maxCount || this.#bytes > maxBytes) {
      const change = this.#changes[count++]?.change
      if (change === undefined) break
      this.#after = change.sequence
      this.#bytes -= change.size
    }
    this.#changes.splice(0, count)
  }

  /** The changes of a collection after another one; `undefined` when not all of them are at hand. */
  after(collection: number, sequence: number): ReadonlyArray<Change> | undefined {
    if (sequence < this.#after) return undefined
    const found: Array<Change> = []
    for (let index = this.#changes.length - 1; index >= 0; index--) {
      const recent = this.#changes[index]
      if (recent === undefined || recent.change.sequence <= sequence) break
      if (recent.collection === collection) found.push(recent.change)
    }
    return found.toReversed()
  }
}
