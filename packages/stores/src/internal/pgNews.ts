/** One connection that is told what is written, for all apps that somebody listens to. */
import { TokenStoreError } from "@effect-realm/client/ClientError"
import type { SessionStorage } from "@effect-realm/client/SessionStorage"
import * as Effect from "effect/Effect"
import * as PubSub from "effect/PubSub"
import * as Queue from "effect/Queue"
import * as RcRef from "effect/RcRef"
import type * as Scope from "effect/Scope"
import type { SqlError } from "effect/sql/SqlError"
import * as Stream from "effect/Stream"

interface Notification {
  readonly payload: string
}

const unavailable = (error: SqlError): TokenStoreError =>
  new TokenStoreError({
    reason: { _tag: "Unavailable", detail: `the database tells of no changes: ${error.message}`, cause: error.reason }
  })

type Told = { readonly appId: string } | { readonly lost: TokenStoreError }

/** The `news` of a storage, from a connection that begins to listen when the first one asks and ends with the last. */
export const listening = (
  listen: Effect.Effect<Queue.Dequeue<Notification, SqlError>, SqlError, Scope.Scope>
): Effect.Effect<SessionStorage["Service"]["news"], never, Scope.Scope> =>
  Effect.gen(function*() {
    const connection: RcRef.RcRef<PubSub.PubSub<Told>, TokenStoreError> = yield* RcRef.make({
      acquire: Effect.gen(function*() {
        const told = yield* PubSub.unbounded<Told>()
        const notifications = yield* Effect.mapError(listen, unavailable)
        const pump = Effect.flatMap(
          Queue.take(notifications),
          ({ payload }) => PubSub.publish(told, { appId: payload })
        )
        yield* Effect.forkScoped(
          Effect.catch(
            Effect.forever(pump),
            // Whoever asks next gets a new connection.
            (error) => Effect.andThen(RcRef.invalidate(connection), PubSub.publish(told, { lost: unavailable(error) }))
          )
        )
        return told
      })
    })
    return (appId) =>
      Stream.unwrap(Effect.gen(function*() {
        const told = yield* RcRef.get(connection)
        const subscription = yield* PubSub.subscribe(told)
        return Stream.fromSubscription(subscription).pipe(
          Stream.filter((news) => "lost" in news || news.appId === encodeURIComponent(appId.toWellFormed())),
          Stream.mapEffect((news) => "lost" in news ? Effect.fail(news.lost) : Effect.void),
          // What came before the connection listened has to be looked for.
          (news) => Stream.concat(Stream.succeed(undefined), news)
        )
      }))
  })
