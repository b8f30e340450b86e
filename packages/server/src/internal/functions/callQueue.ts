/**
 * Calls that wait for a worker, by how deep they are nested in others. Each depth is served for itself: a call waits for
 * deeper ones only, so those must never stand behind one that waits for them.
 */

/** What a queue needs to know of a call. */
export interface Queued {
  /** 1 for a call that is nested in no other. */
  readonly depth: number
}

/** Calls in the order they are to begin in, for each depth. */
export interface CallQueue<A extends Queued> {
  readonly add: (call: A) => void
  /** Puts calls before all others of their depth. */
  readonly addFirst: (calls: ReadonlyArray<A>) => void
  readonly remove: (call: A) => void
  /** Takes out the calls that `begin` has begun. After one that it has not, the others of that depth stay where they are. */
  readonly drain: (begin: (call: A) => boolean) => void
  /** Takes out all. */
  readonly clear: () => ReadonlyArray<A>
}

export const make = <A extends Queued>(): CallQueue<A> => {
  const depths = new Map<number, Set<A>>()
  const at = (depth: number): Set<A> => {
    let calls = depths.get(depth)
    if (calls === undefined) depths.set(depth, calls = new Set())
    return calls
  }
  return {
    add: (call) => {
      at(call.depth).add(call)
    },
    addFirst: (calls) => {
      for (const depth of new Set(calls.map((call) => call.depth))) {
        const first = calls.filter((call) => call.depth === depth)
        depths.set(depth, new Set([...first, ...at(depth)]))
      }
    },
    remove: (call) => {
      depths.get(call.depth)?.delete(call)
    },
    drain: (begin) => {
      for (const [depth, calls] of depths) {
        for (const call of calls) {
          // What begins one may put others first, or take this one out.
          if (!at(depth).has(call)) continue
          if (!begin(call)) break
          at(depth).delete(call)
        }
      }
    },
    clear: () => {
      const all = [...depths.values()].flatMap((calls) => [...calls])
      depths.clear()
      return all
    }
  }
}
