/** What the URL of a database names. */
import { fileURLToPath } from "node:url"

export type DatabaseUrl =
  | { readonly _tag: "Memory" }
  | { readonly _tag: "File"; readonly filename: string }
  | { readonly _tag: "Unsupported"; readonly scheme: string }

/** `memory:`, `file:<path>`, `file:///<absolute path>`, or a plain path. Throws when a `file:` URL is none of a file. */
export const parse = (url: string): DatabaseUrl => {
  // one letter is a drive of Windows
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(url)?.[1]?.toLowerCase()
  if (scheme === undefined) return { _tag: "File", filename: url }
  if (scheme === "memory") return { _tag: "Memory" }
  if (scheme !== "file") return { _tag: "Unsupported", scheme }
  return { _tag: "File", filename: url.startsWith("file://") ? fileURLToPath(url) : url.slice("file:".length) }
}
