/**
 * The access token of a user: how long it lives, which one a request carries, and when it is exchanged. Laws are named by
 * their number in the design.
 */
import * as Endpoint from "@effect-realm/protocol/Endpoint"
import { SessionError } from "@effect-realm/protocol/RealmError"
import * as Token from "@effect-realm/protocol/Token"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import type * as HttpClient from "effect/http/HttpClient"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { type ExchangeError, InvalidResponseError, type TokenStoreError } from "../../ClientError.ts"
import type { LoggedInSession, Tokens } from "../../Session.ts"
import { TokenStore } from "../../TokenStore.ts"
import * as Answer from "../requests/answer.ts"
import * as Series from "../requests/series.ts"
import * as Transport from "../requests/transport.ts"
import * as Sessions from "./session.ts"

const sendRefresh = Transport.make(Endpoint.refreshSession, { secret: true })

/** Reads who the user of an access token is. */
export const sendProfile: Transport.Send<typeof Endpoint.profile> = Transport.make(Endpoint.profile, {
  repeat: "always"
})

const exchanges = Series.exchanges()

/** How long before its end an access token is exchanged, in milliseconds, when nobody says otherwise. */
const margin = 30_000

const exchangeKey = (user: Sessions.UserRef): string => JSON.stringify([user.appId, user.id])

/** The claims of an access token that a server handed to this user, or what is wrong with it. */
export const claimsOf = (
  userId: string,
  accessToken: Redacted.Redacted,
  endpoint: { readonly method: string; readonly path: string }
): Effect.Effect<Token.AccessClaims, InvalidResponseError> => {
  const claims = Token.read(accessToken)
  if (Result.isSuccess(claims) && claims.success.userId === userId) return Effect.succeed(claims.success)
  return Effect.fail(
    Answer.invalid(
      endpoint,
      Result.isSuccess(claims) ? "the access token is for another user" : "the access token cannot be read"
    )
  )
}

/** The tokens of an answer. Their life is counted from here and now, so that a wrong clock does no harm (law 8). */
export const received = (
  claims: Token.AccessClaims,
  accessToken: Redacted.Redacted,
  refreshToken: Redacted.Redacted
): Effect.Effect<Tokens> =>
  Effect.map(Clock.currentTimeMillis, (receivedAt) => ({
    accessToken,
    refreshToken,
    receivedAt,
    lifetime: (claims.expiresAt - claims.issuedAt) * 1000
  }))

const remaining = (tokens: Tokens, now: number): Option.Option<number> => {
  const age = now - tokens.receivedAt
  // A clock that was set back, or a token without a life: nothing is known, the server's 401 decides.
  return age < 0 || tokens.lifetime <= 0 ? Option.none() : Option.some(tokens.lifetime - age)
}

/** Whether a token will live for less than a margin, as far as is known (law 3). */
const isExpiring = (tokens: Tokens, now: number, within: number): boolean =>
  Option.match(remaining(tokens, now), { onNone: () => false, onSome: (left) => left <= within })

// -----------------------------------------------------------------------------
// Exchange
// -----------------------------------------------------------------------------

// The session endpoint alone can end a session, and only by saying so in the protocol's own words (law 4).
const isRefusal = (error: ExchangeError): error is SessionError =>
  error._tag === "SessionError" && (error.reason.status === 401 || error.reason.status === 403)

const endSession = (user: Sessions.UserRef, asked: LoggedInSession): Effect.Effect<void, TokenStoreError, TokenStore> =>
  Effect.asVoid(Sessions.update(user, (session) =>
    Sessions.isOfLogIn(session, asked.tokens)
      ? Option.some({
        session: Option.some(Sessions.withoutTokens(session)),
        event: { _tag: "LoggedOut", reason: "SessionEnded" }
      })
      : Option.none()))

const exchangeNow = Effect.fnUntraced(function*(
  user: Sessions.UserRef,
  stale: Option.Option<Redacted.Redacted>
): Effect.fn.Return<LoggedInSession, ExchangeError, HttpClient.HttpClient | TokenStore> {
  const asked = yield* Sessions.loggedIn(user)
  // Somebody else was faster: theirs is as good as ours (law 1).
  if (Option.isSome(stale) && !Sessions.same(asked.tokens.accessToken, stale.value)) return asked
  exchanges.updateUnsafe(1, yield* Effect.context<never>())
  const answer = yield* Effect.tapError(
    sendRefresh({ baseUrl: user.baseUrl, bearer: asked.tokens.refreshToken }),
    (error) => isRefusal(error) ? endSession(user, asked) : Effect.void
  )
  const claims = yield* claimsOf(user.id, answer.accessToken, Endpoint.refreshSession)
  const tokens = yield* received(claims, answer.accessToken, asked.tokens.refreshToken)
  const customData = claims.userData
  return yield* Sessions.commitAnswer(user, asked, (session, isSame) => {
    if (Option.isNone(stale)) {
      return Option.some({
        session: { ...session, ...(isSame ? { tokens } : undefined), customData },
        event: { _tag: "CustomDataRefreshed", customData }
      })
    }
    // A log-in meanwhile has brought a newer token than ours.
    return isSame
      ? Option.some({
        session: { ...session, tokens, customData },
        event: {
          _tag: "AccessTokenRefreshed",
          customDataChanged: !Equal.equals(session.customData, customData)
        }
      })
      : Option.none()
  })
})

/** Exchanges the refresh token, unless the token `stale` has been replaced already; all who ask meanwhile share it. */
export const exchange = (
  user: Sessions.UserRef,
  stale: Redacted.Redacted
): Effect.Effect<LoggedInSession, ExchangeError, HttpClient.HttpClient | TokenStore> =>
  Effect.flatMap(
    TokenStore,
    (store) =>
      store.exchanges.join(exchangeKey(user), store.lease(Sessions.key(user), exchangeNow(user, Option.some(stale))))
  )

/** An exchange that begins after this call, for callers who need what the server knows now: custom data. */
export const exchangeAnew = (
  user: Sessions.UserRef
): Effect.Effect<LoggedInSession, ExchangeError, HttpClient.HttpClient | TokenStore> =>
  Effect.flatMap(
    TokenStore,
    (store) =>
      store.exchanges.after(exchangeKey(user), store.lease(Sessions.key(user), exchangeNow(user, Option.none())))
  )

/** The session with an access token that will live for at least `within` milliseconds, exchanged when it would not. */
export const fresh = (
  user: Sessions.UserRef,
  within: number
): Effect.Effect<LoggedInSession, ExchangeError, HttpClient.HttpClient | TokenStore> =>
  Effect.flatMap(
    Sessions.loggedIn(user),
    (session) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        isExpiring(session.tokens, now, within) ? exchange(user, session.tokens.accessToken) : Effect.succeed(session))
  )

// -----------------------------------------------------------------------------
// Requests
// -----------------------------------------------------------------------------

// A 401 that an exchange can help: the session code, or no code that can be read (law 3). Anything else is an answer.
const isStale = (error: unknown): boolean => {
  if (error instanceof InvalidResponseError) return error.status === 401
  if (!(error instanceof SessionError)) return false
  const { _tag, status } = error.reason
  return status === 401 && (_tag === "InvalidSession" || _tag === "Unauthorized")
}

/**
 * Sends a request with the user's own access token (law 7): at most twice, with at most one exchange between or before
 * (law 2). What a policy repeats (law 10) is inside of `send`; an exchange is never repeated.
 */
export const authorized = <A, E, R>(
  user: Sessions.UserRef,
  send: (session: LoggedInSession) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | ExchangeError, R | HttpClient.HttpClient | TokenStore> =>
  Effect.flatMap(Sessions.loggedIn(user), (session) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const { accessToken, lifetime } = session.tokens
      if (isExpiring(session.tokens, now, Math.min(margin, lifetime / 10))) {
        return Effect.flatMap(beforeExpiry(user, session), send)
      }
      return Effect.catchIf(
        send(session),
        isStale,
        (): Effect.Effect<A, E | ExchangeError, R | HttpClient.HttpClient | TokenStore> =>
          Effect.flatMap(exchange(user, accessToken), send)
      )
    }))

/** Exchanges ahead of time; when that fails and the session has not ended, a token that still lives is good enough. */
const beforeExpiry = (
  user: Sessions.UserRef,
  session: LoggedInSession
): Effect.Effect<LoggedInSession, ExchangeError, HttpClient.HttpClient | TokenStore> =>
  Effect.catchIf(
    exchange(user, session.tokens.accessToken),
    (error) => !isRefusal(error) && error._tag !== "NotLoggedInError",
    (error) =>
      // The attempt may have taken longer than the token had left.
      Effect.flatMap(
        Clock.currentTimeMillis,
        (now) => isExpiring(session.tokens, now, 0) ? Effect.fail(error) : Effect.succeed(session)
      )
  )
