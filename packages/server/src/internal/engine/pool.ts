/**
 * Things of which each is for one at a time: who finds none free waits in line.
 */
export class Pool<A> {
  readonly #make: () => A
  readonly #most: number
  #made = 0
  readonly #free: Array<A> = []
  readonly #waiting = new Set<(thing: A) => void>()

  /**
   * @param make makes one, when it is needed first
   * @param most so many are made
   */
  constructor(make: () => A, most: number) {
    this.#make = make
    this.#most = most
  }

  get isFree(): boolean {
    return this.#free.length > 0 || this.#made < this.#most
  }

  /** One that is free; it has to be given back. */
  take(): A | undefined {
    const free = this.#free.pop()
    if (free !== undefined || this.#made === this.#most) return free
    const made = this.#make()
    this.#made++
    return made
  }

  /** Calls `take` when one is given back. Returns what gives the waiting up. */
  wait(take: (thing: A) => void): () => void {
    this.#waiting.add(take)
    return () => {
      this.#waiting.delete(take)
    }
  }

  give(thing: A): void {
    for (const next of this.#waiting) {
      this.#waiting.delete(next)
      next(thing)
      return
    }
    this.#free.push(thing)
  }
}
