/**
 * What readers see of the last changes: those who see the same share it, as long as it is at hand.
 */
import type { ChangeEvent } from "../../ChangeStream.ts"
import type { Change } from "./change.ts"

const maxCount = 1000
const maxBytes = 4 * 1024 * 1024

export class SharedViews {
  /** By change, the oldest first, and by who sees it. */
  readonly #views = new Map<Change, Map<object, ChangeEvent | undefined>>()
  #count = 0
  #bytes = 0

  /**
   * @param sight stands for all that decides what is seen of a change: the same for those who see the same of every one
   * @param make answers nothing where the change is not seen
   */
  event(change: Change, sight: object, make: () => ChangeEvent | undefined): ChangeEvent | undefined {
    const views = this.#views.get(change)
    if (views?.has(sight) === true) return views.get(sight)
    const event = make()
    if (views === undefined) this.#views.set(change, new Map([[sight, event]]))
    else views.set(sight, event)
    this.#count++
    this.#bytes += change.size
    this.#forget()
    return event
  }

  #forget(): void {
    for (const [oldest, { size }] of this.#views) {
      if (this.#count <= maxCount && this.#bytes <= maxBytes) return
      this.#views.delete(oldest)
      this.#count -= size
      this.#bytes -= size * oldest.size
    }
  }
}
