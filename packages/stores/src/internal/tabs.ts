/** How the tabs of a site tell each other that something was written. */
import type { TokenStoreError } from "@effect-realm/client/ClientError"
import type { SessionStorage } from "@effect-realm/client/SessionStorage"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import { listening } from "./doorbell.ts"
import { failure } from "./webFailure.ts"

/** The other tabs. */
export interface Tabs {
  /** Tells them that something of an app was written. */
  readonly tell: (appId: string) => Effect.Effect<void>
  readonly news: SessionStorage["Service"]["news"]
}

/** @param name the same for all who share a place */
export const make = (name: string): Effect.Effect<Tabs, TokenStoreError, Scope.Scope> =>
  Effect.gen(function*() {
    const open = Effect.acquireRelease(
      Effect.try({ try: () => new BroadcastChannel(name), catch: failure("BroadcastChannel") }),
      (channel) => Effect.sync(() => channel.close())
    )
    const listen = Effect.gen(function*() {
      const messages = yield* Queue.unbounded<string>()
      const channel = yield* open
      channel.addEventListener("message", ({ data }) => Queue.offerUnsafe(messages, String(data)))
      return messages
    })
    const channel = yield* open
    return {
      // A channel is no window: it reaches its own origin and no other.
      // eslint-disable-next-line unicorn/require-post-message-target-origin
      tell: (appId) => Effect.sync(() => channel.postMessage(appId)),
      news: yield* listening<string, TokenStoreError>(listen, (appId) => appId, (error) => error)
    }
  })
