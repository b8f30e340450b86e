/** One connection that is told what is written, for all apps that somebody listens to. */
import type { TokenStoreError } from "@effect-realm/client/ClientError"
import type { SessionStorage } from "@effect-realm/client/SessionStorage"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as PubSub from "effect/PubSub"
import * as Queue from "effect/Queue"
import * as RcRef from "effect/RcRef"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"

// A message that was lost, or a connection that hangs, delays what it would have told of for no longer than this.
const latest = Duration.seconds(1)

type Told = { readonly appId: string } | { readonly lost: TokenStoreError }

/**
 * The `news` of a storage, from a connection that begins to listen when the first one asks and ends with the last.
 *
 * @param listen a connection that gets a message at each write
 * @param appIdOf the app that a message is about
 */
export const listening = <Message, E>(
  listen: Effect.Effect<Queue.Dequeue<Message, E>, E, Scope.Scope>,
  appIdOf: (message: Message) => string,
  unavailable: (error: E) => TokenStoreError
): Effect.Effect<SessionStorage["Service"]["news"], never, Scope.Scope> =>
  Effect.gen(function*() {
    const connection: RcRef.RcRef<PubSub.PubSub<Told>, TokenStoreError> = yield* RcRef.make({
      acquire: Effect.gen(function*() {
        const told = yield* PubSub.unbounded<Told>()
        const messages = yield* Effect.mapError(listen, unavailable)
        const pump = Effect.flatMap(
          Queue.take(messages),
          (message) => PubSub.publish(told, { appId: appIdOf(message) })
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
    const told = (appId: string) =>
      Stream.unwrap(Effect.gen(function*() {
        const told = yield* RcRef.get(connection)
        const subscription = yield* PubSub.subscribe(told)
        return Stream.fromSubscription(subscription).pipe(
          Stream.filter((news) => "lost" in news || news.appId === appId),
          Stream.mapEffect((news) => "lost" in news ? Effect.fail(news.lost) : Effect.void),
          // What came before the connection listened has to be looked for.
          (news) => Stream.concat(Stream.succeed(undefined), news)
        )
      }))
    return (appId) => Stream.merge(told(appId), Stream.tick(latest))
  })
