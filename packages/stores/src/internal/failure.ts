/** What is wrong with a place, in its own words. */
import { TokenStoreError } from "@effect-realm/client/ClientError"

// Drivers wrap what the place said into "failed to connect", once or more; Node.js has one error for each address it tried.
const said = (error: unknown): string => {
  const { cause, errors, message, reason } = Object(error)
  const within = reason ?? cause ?? errors?.[0]
  const inner = within === undefined ? "" : said(within)
  return inner === "" ? String(message ?? "") : inner
}

/**
 * The place failed.
 *
 * @param who says so
 */
export const unavailable = (who: string) => (cause: unknown): TokenStoreError =>
  new TokenStoreError({ reason: { _tag: "Unavailable", detail: `${who}: ${said(cause)}`, cause } })
