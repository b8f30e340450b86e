/**
 * A table that forgets what has expired, a while after it has: it is swept each time it may have doubled, which costs
 * every insertion the same. It never has more than so many entries; beyond, the oldest goes.
 */
import { setBounded } from "./boundedMap.ts"

export interface Entry<A> {
  readonly value: A
  /** In milliseconds. */
  readonly expiresAt: number
}

export interface ExpiringTable<A> {
  /** The entry of a key, unless it has expired. */
  readonly get: (key: string, now: number) => Entry<A> | undefined
  readonly set: (key: string, entry: Entry<A>, now: number) => void
  readonly size: () => number
}

const leastBetweenSweeps = 1024

export const make = <A>(maxKeys: number): ExpiringTable<A> => {
  const entries = new Map<string, Entry<A>>()
  let insertionsToSweep = leastBetweenSweeps

  const sweep = (now: number): void => {
    for (const [key, { expiresAt }] of entries) {
      if (expiresAt <= now) entries.delete(key)
    }
    insertionsToSweep = Math.max(leastBetweenSweeps, entries.size)
  }

  return {
    get: (key, now) => {
      const entry = entries.get(key)
      return entry === undefined || entry.expiresAt <= now ? undefined : entry
    },
    set: (key, entry, now) => {
      if (!entries.has(key) && --insertionsToSweep < 0) sweep(now)
      setBounded(entries, key, entry, maxKeys)
    },
    size: () => entries.size
  }
}
