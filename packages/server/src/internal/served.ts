import type { AppDefinition } from "../AppDefinition.ts"
import type { AppIds } from "./appIds.ts"
import type { Place } from "./http/refusal.ts"
import type { Issuers } from "./providers/oauthProviders.ts"

/** What the endpoints know of the app they serve. */
export interface Served {
  readonly app: AppDefinition
  readonly ids: AppIds
  readonly place: Place
  readonly issuers: Issuers
  /** How many proxies are between the clients and the server. */
  readonly proxies: number
}
