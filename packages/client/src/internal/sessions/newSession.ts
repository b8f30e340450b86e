/**
 * What becomes of the answer to a log-in, however it came: a session of a user, whole, or nothing at all.
 */
import type * as Endpoint from "@effect-realm/protocol/Endpoint"
import * as Token from "@effect-realm/protocol/Token"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as Option from "effect/Option"
import { NotLoggedInError, type RequestFailure, type TokenStoreError } from "../../ClientError.ts"
import * as Session from "../../Session.ts"
import type { TokenStore } from "../../TokenStore.ts"
import * as Answer from "../requests/answer.ts"
import * as AccessToken from "./accessToken.ts"
import type * as LogIn from "./logIn.ts"
import * as LogOut from "./logOut.ts"
import * as Sessions from "./session.ts"

/** What a log-in can fail with. */
export type LogInError = LogIn.Refusal | RequestFailure | NotLoggedInError | TokenStoreError

interface AppRef {
  readonly id: string
  readonly baseUrl: string
}

interface About {
  /** Where the answer comes from. */
  readonly endpoint: { readonly method: string; readonly path: string }
  readonly providerType: string
  /** When the log-in began, as the store counts (law 5). */
  readonly since: number
  /** Called at once when the log-in has happened, whoever is interrupted then. */
  readonly committed: (userId: string, tokens: Session.Tokens) => void
}

/** Runs the commit of a log-in, and notes that it happened. */
type Noted = <A, E, R>(tokens: Session.Tokens, commit: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

type Answer = typeof Endpoint.LoggedIn.Type

/** Gets the answer to a log-in and makes a session of it, of the current user; answers who that is. */
export const open = <E, R>(
  app: AppRef,
  about: About,
  request: Effect.Effect<Answer, E, R>
): Effect.Effect<
  string,
  E | LogInError,
  R | HttpClient.HttpClient | TokenStore
> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(restore(request), (answer) => {
      let isCommitted = false
      // Whoever is interrupted meanwhile has logged in all the same: the commit and its note belong together.
      const noted: Noted = (tokens, commit) =>
        Effect.uninterruptible(Effect.tap(commit, () =>
          Effect.sync(() => {
            isCommitted = true
            about.committed(answer.userId, tokens)
          })))
      return Effect.onError(
        restore(complete(app, about, answer, noted)),
        // The session exists on the server and nobody will ever use it: end it there, and make nobody wait.
        () => isCommitted ? Effect.void : abandon(app, answer)
      )
    })
  )

const complete = Effect.fnUntraced(function*(
  app: AppRef,
  { endpoint, providerType, since }: About,
  answer: Answer,
  noted: Noted
): Effect.fn.Return<string, LogInError, HttpClient.HttpClient | TokenStore> {
  const { accessToken, deviceId, refreshToken, userId } = answer
  if (refreshToken === undefined || refreshToken === null) {
    return yield* Answer.invalid(endpoint, "the answer to a log-in has no refresh token")
  }
  const claims = yield* AccessToken.claimsOf(userId, accessToken, endpoint)
  const profile = Session.profile(yield* AccessToken.sendProfile({ baseUrl: app.baseUrl, bearer: accessToken }))
  const tokens = yield* AccessToken.received(claims, accessToken, refreshToken)
  const commit = Sessions.change({ appId: app.id, baseUrl: app.baseUrl, id: userId }, (before) =>
    Option.some({
      session: Option.some({
        appId: app.id,
        userId,
        tokens,
        providerType,
        profile,
        customData: claims.userData,
        ...(deviceId === Token.noDevice ? undefined : { deviceId })
      }),
      event: {
        _tag: before !== "Damaged" && Option.exists(before, Session.isLoggedIn) ? "RefreshTokenReplaced" : "LoggedIn",
        providerType
      },
      makeCurrent: true
    }), since)
  yield* noted(
    tokens,
    Effect.filterOrFail(commit, Option.isSome, () => new NotLoggedInError({ userId, state: "LoggedOut" }))
  )
  return userId
})

const abandon = (app: AppRef, { refreshToken }: Answer): Effect.Effect<void, never, HttpClient.HttpClient> =>
  refreshToken === undefined || refreshToken === null
    ? Effect.void
    : Effect.asVoid(Effect.forkDetach(Effect.ignore(LogOut.endOnServer(app, { refreshToken }))))
