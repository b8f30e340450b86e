/**
 * The ids that App Services gave to the parts of an app. Ours follow from the app id, so that they are the same in every
 * process and after every restart without being stored.
 */
import { createHash } from "node:crypto"

export interface AppIds {
  /** The app as tokens and profiles name it. */
  readonly domainId: string
  /** The project in log links. */
  readonly groupId: string
  /** The app in log links. */
  readonly internalAppId: string
  /** The configuration of a provider. */
  readonly providerId: (providerType: string) => string
  /** The database with the app's users, sessions and email addresses. */
  readonly database: string
}

const derive = (...parts: ReadonlyArray<string>): string =>
  createHash("sha256").update(parts.join("\u0000")).digest("hex").slice(0, 24)

export const make = (appId: string): AppIds => {
  const domainId = derive("domain", appId)
  return {
    domainId,
    groupId: derive("group", appId),
    internalAppId: derive("app", appId),
    providerId: (providerType) => derive("provider", appId, providerType),
    database: `__effect_realm_${domainId}`
  }
}
