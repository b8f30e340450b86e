/**
 * How a user leaves: by a log-out or a removal, which wins against everything that is still under way (law 5).
 */
import * as Endpoint from "@effect-realm/protocol/Endpoint"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as HttpClient from "effect/http/HttpClient"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import type { ServerFailure, TokenStoreError } from "../../ClientError.ts"
import { isLoggedIn, type Tokens } from "../../Session.ts"
import { TokenStore } from "../../TokenStore.ts"
import * as Transport from "../requests/transport.ts"
import * as Sessions from "./session.ts"

const sendDelete = Transport.make(Endpoint.deleteSession)

/** Commits the change that a log-out or a removal is; log-ins of the user that are under way lose against it (law 5). */
export const leave = (
  user: Sessions.UserRef,
  compute: (found: Sessions.Found) => Option.Option<Sessions.Change>
): Effect.Effect<void, TokenStoreError, TokenStore> =>
  Effect.flatMap(TokenStore, (store) =>
    // Noted first: a log-in that commits in between is found by the change, a later one is refused.
    Effect.flatMap(
      Effect.exit(store.depart(Sessions.key(user))),
      (noted) => Effect.andThen(Sessions.change(user, compute), noted)
    ))

/**
 * Forgets the tokens here, whatever happens next, then ends the session on the server. "Already gone" there is success;
 * so is a user who was not logged in (law 5).
 */
export const end = (
  user: Sessions.UserRef,
  compute: (found: Sessions.Found) => Option.Option<Sessions.Change>
): Effect.Effect<void, ServerFailure | TokenStoreError, HttpClient.HttpClient | TokenStore> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      let ended: Tokens | undefined
      let isLost = false
      const left = yield* Effect.exit(leave(user, (found) => {
        const next = compute(found)
        ended = found !== "Damaged" && Option.isSome(found) && Option.isSome(next) ? found.value.tokens : undefined
        isLost = found === "Damaged" && Option.isNone(next)
        return next
      }))
      if (ended !== undefined) {
        const telling = restore(endOnServer(user, ended))
        // A store that failed to forget keeps tokens that are good for nothing once the server has ended them.
        yield* Exit.isSuccess(left) ? telling : Effect.ignore(telling)
      }
      yield* left
      // Tokens may be left in a record that cannot be read: to be told that they are gone would be wrong.
      if (isLost) yield* TokenStore.use((store) => store.get(Sessions.key(user)))
    })
  )

/** Ends a session on the server alone. */
export const endOnServer = (
  user: { readonly baseUrl: string },
  tokens: { readonly refreshToken: Redacted.Redacted }
): Effect.Effect<void, ServerFailure, HttpClient.HttpClient> =>
  Effect.catchTag(sendDelete({ baseUrl: user.baseUrl, bearer: tokens.refreshToken }), "SessionError", () => Effect.void)

/** The change that a log-out is. */
export const loggedOut = (found: Sessions.Found): Option.Option<Sessions.Change> =>
  found !== "Damaged" && Option.isSome(found) && isLoggedIn(found.value)
    ? Option.some({
      session: Option.some(Sessions.withoutTokens(found.value)),
      event: { _tag: "LoggedOut", reason: "Requested" }
    })
    : Option.none()

/** The change that forgets a user. */
export const removed = (found: Sessions.Found): Option.Option<Sessions.Change> =>
  found === "Damaged" || Option.isSome(found)
    ? Option.some({ session: Option.none(), event: { _tag: "Removed" } })
    : Option.none()
