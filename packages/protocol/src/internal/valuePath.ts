/** Where in a value, in words: `args[0].when`. */

const identifier = /^[A-Za-z_$][\w$]*$/
const longestPath = 300
const longestKey = 60

/** `path` runs from the outermost key inwards. Keys are the sender's, so both they and the whole are cut. */
export const format = (root: string, path: ReadonlyArray<PropertyKey>): string => {
  let text = root
  for (const step of path) {
    if (text.length > longestPath) return `${text}…`
    const key = typeof step === "symbol" ? String(step) : step
    if (typeof key === "number") text += `[${key}]`
    else if (identifier.test(key) && key.length <= longestKey) text += text === "" ? key : `.${key}`
    else text += `[${JSON.stringify(key.length > longestKey ? `${key.slice(0, longestKey)}…` : key)}]`
  }
  return text
}
