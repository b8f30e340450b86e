/**
 * What is made of a thing once, for as long as the thing is there.
 */
export const memoized = <A extends object, B extends object | string>(make: (of: A) => B): (of: A) => B => {
  const made = new WeakMap<A, B>()
  return (of) => {
    const known = made.get(of)
    if (known !== undefined) return known
    const found = make(of)
    made.set(of, found)
    return found
  }
}
