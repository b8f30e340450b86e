/**
 * Enters into a map that never has more than so many keys: beyond, the oldest goes.
 */
export const setBounded = <K, A>(map: Map<K, A>, key: K, value: A, most: number): void => {
  map.set(key, value)
  for (const oldest of map.keys()) {
    if (map.size <= most) return
    map.delete(oldest)
  }
}
