/**
 * What an issuer publishes of itself, such as its keys, remembered for a while. A document that does not hold what is
 * looked for is fetched again, as an issuer that has just changed its keys signs with one that nobody knows yet; but not
 * at the pace of whoever makes key ids up.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Semaphore from "effect/Semaphore"
import * as ProviderRequests from "./providerRequests.ts"

/** After so long nothing counts any more: a key that its issuer took back is refused by then. */
export const longestAge = Duration.minutes(10)
/** How soon a document is fetched again for something that was not in it. */
export const shortestAge = Duration.seconds(30)
/** How long a failure is remembered. */
export const pause = Duration.seconds(5)

/** Documents of one kind, by their address. */
export interface Documents<A> {
  /** What `pick` finds in the document, or `undefined` when it finds nothing in one that is new enough. */
  readonly find: <B>(
    url: string,
    pick: (document: A) => B | undefined
  ) => Effect.Effect<B | undefined, ProviderRequests.Unavailable>
}

interface Entry<A> {
  readonly semaphore: Semaphore.Semaphore
  fetched: { readonly document: A; readonly at: number } | undefined
  failed: { readonly error: ProviderRequests.Unavailable; readonly at: number } | undefined
}

/** @param read what the JSON of a document says, or `undefined` when it is none of the kind */
export const make = <A>(
  read: (json: unknown) => A | undefined
): Effect.Effect<Documents<A>, never, HttpClient.HttpClient> =>
  Effect.map(HttpClient.HttpClient, (client) => {
    // As many as the app has issuers.
    const entries = new Map<string, Entry<A>>()

    const entryOf = (url: string): Entry<A> => {
      let entry = entries.get(url)
      if (entry === undefined) {
        entries.set(url, entry = { semaphore: Semaphore.makeUnsafe(1), fetched: undefined, failed: undefined })
      }
      return entry
    }

    const fetch = Effect.fnUntraced(function*(url: string) {
      const { body, status } = yield* ProviderRequests.send(
        client,
        HttpClientRequest.get(url, { acceptJson: true })
      )
      const document = status === 200 ? read(body) : undefined
      return document ?? (yield* new ProviderRequests.Unavailable({
        detail: status === 200 ? `${url}: not the document it should be` : `${url}: status ${status}`
      }))
    })

    const isWithin = (at: number, now: number, duration: Duration.Duration): boolean =>
      now >= at && now - at < Duration.toMillis(duration)

    const find: Documents<A>["find"] = (url, pick) => {
      const entry = entryOf(url)
      const known = (now: number) => {
        const { fetched } = entry
        if (fetched === undefined || !isWithin(fetched.at, now, longestAge)) return undefined
        const found = pick(fetched.document)
        return found !== undefined || isWithin(fetched.at, now, shortestAge) ? { found } : undefined
      }
      return Effect.gen(function*() {
        const before = known(yield* Clock.currentTimeMillis)
        if (before !== undefined) return before.found
        // Who waited for another's request finds its answer, or its failure.
        return yield* entry.semaphore.withPermit(Effect.gen(function*() {
          const now = yield* Clock.currentTimeMillis
          const meanwhile = known(now)
          if (meanwhile !== undefined) return meanwhile.found
          if (entry.failed !== undefined && isWithin(entry.failed.at, now, pause)) return yield* entry.failed.error
          const document = yield* Effect.tapError(fetch(url), (error) =>
            Effect.map(Clock.currentTimeMillis, (at) => {
              entry.failed = { error, at }
            }))
          entry.fetched = { document, at: now }
          return pick(document)
        }))
      })
    }
    return { find }
  })
