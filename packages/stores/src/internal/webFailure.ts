/** What a browser says when a page may not keep anything, or no more, as what the store says of it. */
import { TokenStoreError } from "@effect-realm/client/ClientError"

/** @param place what failed: `IndexedDB`, `localStorage` */
export const failure = (place: string) => (cause: unknown): TokenStoreError => {
  // A `DOMException` is made by the page, which may be another one than this code's.
  const { message, name }: { readonly message?: unknown; readonly name?: unknown } = Object(cause)
  switch (name) {
    case "SecurityError":
      return misconfigured(
        `this page may not use ${place}, because of the browser's settings or because it is in a sandboxed frame. ` +
          "Let its visitor allow it, or keep sessions in memory (TokenStore.layerMemory)"
      )
    case "ReferenceError":
      return misconfigured(
        `there is no ${place} here, as there is in the pages of browsers. ` +
          "Keep sessions in memory (TokenStore.layerMemory), or in another place"
      )
    case "QuotaExceededError":
      return unavailable(
        `the browser gives this site no more room in ${place}. Delete of it what is not needed`,
        cause
      )
    default:
      return unavailable(`${place} says: ${String(message ?? name)}`, cause)
  }
}

export const misconfigured = (detail: string): TokenStoreError =>
  new TokenStoreError({ reason: { _tag: "Misconfigured", detail } })

export const unavailable = (detail: string, cause?: unknown): TokenStoreError =>
  new TokenStoreError({ reason: { _tag: "Unavailable", detail, ...(cause === undefined ? undefined : { cause }) } })
