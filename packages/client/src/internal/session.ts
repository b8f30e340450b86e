/**
 * The laws of a session: which token a request carries, when it is exchanged, and what may be committed. Laws are named
 * by their number in the design.
 */
import * as Endpoint from "@effect-realm/protocol/Endpoint"
import { SessionError } from "@effect-realm/protocol/RealmError"
import * as Token from "@effect-realm/protocol/Token"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Exit from "effect/Exit"
import type * as HttpClient from "effect/http/HttpClient"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import {
  type ExchangeError,
  InvalidResponseError,
  NotLoggedInError,
  type ServerFailure,
  type TokenStoreError
} from "../ClientError.ts"
import { isLoggedIn, type LoggedInSession, type Session, type Tokens } from "../Session.ts"
import { type Commit, type SessionKey, TokenStore } from "../TokenStore.ts"
import type { Uncommitted } from "../UserEvent.ts"
import * as Series from "./series.ts"
import * as Subject from "./subject.ts"
import * as Transport from "./transport.ts"

/** What the laws need to know of a user. */
export interface UserRef {
  readonly appId: string
  readonly baseUrl: string
  readonly id: string
}

const sendRefresh = Transport.make(Endpoint.refreshSession, { secret: true })
const sendDelete = Transport.make(Endpoint.deleteSession)

/** Reads who the user of an access token is. */
export const sendProfile: Transport.Send<typeof Endpoint.profile> = Transport.make(Endpoint.profile, {
  repeat: "always"
})

const exchanges = Series.exchanges()

/** How long before its end an access token is exchanged, in milliseconds, when nobody says otherwise. */
const margin = 30_000

export const key = (user: UserRef): SessionKey => ({ appId: Subject.user(user), userId: user.id })

const exchangeKey = (user: UserRef): string => JSON.stringify([user.appId, user.id])

const same = (self: Redacted.Redacted, that: Redacted.Redacted): boolean =>
  self === that || Redacted.value(self) === Redacted.value(that)

// A log-in is known by its refresh token: each has its own, and none is used twice.
const isSameLogIn = (session: Session, asked: LoggedInSession): session is LoggedInSession =>
  hasRefreshToken(session, asked.tokens)

/** Whether a session is of the log-in that these tokens came with. */
export const hasRefreshToken = (session: Session, tokens: Tokens): session is LoggedInSession =>
  isLoggedIn(session) && same(session.tokens.refreshToken, tokens.refreshToken)

const notLoggedIn = (user: UserRef, session: Option.Option<Session>): NotLoggedInError =>
  new NotLoggedInError({ userId: user.id, state: Option.isSome(session) ? "LoggedOut" : "Removed" })

/** The session of a user who is logged in. */
export const loggedIn = (
  user: UserRef
): Effect.Effect<LoggedInSession, NotLoggedInError | TokenStoreError, TokenStore> =>
  Effect.flatMap(
    TokenStore,
    (store) =>
      Effect.flatMap(store.get(key(user)), (session) =>
        Option.isSome(session) && isLoggedIn(session.value)
          ? Effect.succeed(session.value)
          : Effect.fail(notLoggedIn(user, session)))
  )

// -----------------------------------------------------------------------------
// Tokens
// -----------------------------------------------------------------------------

/** The claims of an access token that a server handed to this user, or what is wrong with it. */
export const claimsOf = (
  userId: string,
  accessToken: Redacted.Redacted,
  endpoint: { readonly method: string; readonly path: string }
): Effect.Effect<Token.AccessClaims, InvalidResponseError> => {
  const claims = Token.read(accessToken)
  if (Result.isSuccess(claims) && claims.success.userId === userId) return Effect.succeed(claims.success)
  return Effect.fail(
    Transport.invalid(
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
export const isExpiring = (tokens: Tokens, now: number, within: number): boolean =>
  Option.match(remaining(tokens, now), { onNone: () => false, onSome: (left) => left <= within })

// -----------------------------------------------------------------------------
// Commits
// -----------------------------------------------------------------------------

/** What the record of a user becomes. */
export interface Change {
  readonly session: Commit["session"]
  readonly event: Uncommitted
  readonly makeCurrent?: true
}

/** The record of a user as a change finds it; `Damaged` is there and cannot be read. */
export type Found = Option.Option<Session> | "Damaged"

const find = (user: UserRef): Effect.Effect<Found, TokenStoreError, TokenStore> =>
  Effect.flatMap(TokenStore, (store) =>
    Effect.catchIf(
      store.get(key(user)),
      (error) => error.reason._tag === "Damaged",
      () => Effect.succeed<Found>("Damaged")
    ))

/** The session of a user, if there is one that can be read. */
export const readable = (user: UserRef): Effect.Effect<Option.Option<Session>, TokenStoreError, TokenStore> =>
  Effect.map(find(user), (found) => found === "Damaged" ? Option.none() : found)

/**
 * Commits a change computed from the present record, again and again until nobody interferes. `None` when the change no
 * longer applies. A record that cannot be read is left to changes that say so: a log-in, a removal (law 11).
 *
 * @param since of a log-in when it began: `None` also when the user has left since (law 5)
 */
export const change = Effect.fnUntraced(function*(
  user: UserRef,
  compute: (found: Found) => Option.Option<Change>,
  since?: number
): Effect.fn.Return<Option.Option<number>, TokenStoreError, TokenStore> {
  const store = yield* TokenStore
  while (true) {
    const found = yield* find(user)
    const next = compute(found)
    if (Option.isNone(next)) return Option.none()
    const outcome = yield* store.commit(key(user), {
      expected: found === "Damaged" || Option.isNone(found) ? 0 : found.value.generation,
      session: next.value.session,
      event: next.value.event,
      makeCurrent: next.value.makeCurrent === true,
      ...(since === undefined ? undefined : { since })
    })
    if (outcome._tag === "Committed") return Option.some(outcome.generation)
    if (outcome._tag === "Left") return Option.none()
  }
})

/** Like {@link change}, for a user whose record is there and can be read. */
export const update = (
  user: UserRef,
  compute: (session: Session) => Option.Option<Change>
): Effect.Effect<Option.Option<number>, TokenStoreError, TokenStore> =>
  change(user, (found) => found === "Damaged" ? Option.none() : Option.flatMap(found, compute))

/** What an answer changes in a session. */
export interface AnswerChange {
  readonly session: Omit<LoggedInSession, "generation" | "activation">
  readonly event: Uncommitted
}

/**
 * Commits what an answer says, if the user is still logged in: after a log-out nothing that was in flight can come back
 * (law 5). Fails with `NotLoggedInError` when it came too late.
 *
 * @param compute the change; `isSame` is `false` when the user has logged in anew since, whose tokens have to stay then
 */
export const commitAnswer = Effect.fnUntraced(function*(
  user: UserRef,
  asked: LoggedInSession,
  compute: (session: LoggedInSession, isSame: boolean) => Option.Option<AnswerChange>
): Effect.fn.Return<LoggedInSession, NotLoggedInError | TokenStoreError, TokenStore> {
  let present: LoggedInSession | undefined
  yield* update(user, (session) => {
    present = undefined
    if (!isLoggedIn(session)) return Option.none()
    present = session
    return Option.map(compute(session, isSameLogIn(session, asked)), (next) => {
      present = { ...next.session, activation: session.activation, generation: session.generation + 1 }
      return { ...next, session: Option.some(next.session) }
    })
  })
  return present ?? (yield* notLoggedIn(user, yield* readable(user)))
})

// -----------------------------------------------------------------------------
// Exchange
// -----------------------------------------------------------------------------

// The session endpoint alone can end a session, and only by saying so in the protocol's own words (law 4).
const isRefusal = (error: ExchangeError): error is SessionError =>
  error._tag === "SessionError" && (error.reason.status === 401 || error.reason.status === 403)

const endSession = (user: UserRef, asked: LoggedInSession): Effect.Effect<void, TokenStoreError, TokenStore> =>
  Effect.asVoid(update(user, (session) =>
    isSameLogIn(session, asked)
      ? Option.some({
        session: Option.some(withoutTokens(session)),
        event: { _tag: "LoggedOut", reason: "SessionEnded" }
      })
      : Option.none()))

const withoutTokens = ({ tokens: _, ...session }: LoggedInSession): Session => session

const exchangeNow = (
  user: UserRef,
  stale: Option.Option<Redacted.Redacted>
): Effect.Effect<LoggedInSession, ExchangeError, HttpClient.HttpClient | TokenStore> =>
  Effect.gen(function*() {
    const asked = yield* loggedIn(user)
    // Somebody else was faster: theirs is as good as ours (law 1).
    if (Option.isSome(stale) && !same(asked.tokens.accessToken, stale.value)) return asked
    exchanges.updateUnsafe(1, yield* Effect.context<never>())
    const answer = yield* Effect.tapError(
      sendRefresh({ baseUrl: user.baseUrl, bearer: asked.tokens.refreshToken }),
      (error) => isRefusal(error) ? endSession(user, asked) : Effect.void
    )
    const claims = yield* claimsOf(user.id, answer.accessToken, Endpoint.refreshSession)
    const tokens = yield* received(claims, answer.accessToken, asked.tokens.refreshToken)
    const customData = claims.userData
    return yield* commitAnswer(user, asked, (session, isSame) => {
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
  user: UserRef,
  stale: Redacted.Redacted
): Effect.Effect<LoggedInSession, ExchangeError, HttpClient.HttpClient | TokenStore> =>
  Effect.flatMap(
    TokenStore,
    (store) => store.exchanges.join(exchangeKey(user), store.lease(key(user), exchangeNow(user, Option.some(stale))))
  )

/** An exchange that begins after this call, for callers who need what the server knows now: custom data. */
export const exchangeAnew = (
  user: UserRef
): Effect.Effect<LoggedInSession, ExchangeError, HttpClient.HttpClient | TokenStore> =>
  Effect.flatMap(
    TokenStore,
    (store) => store.exchanges.after(exchangeKey(user), store.lease(key(user), exchangeNow(user, Option.none())))
  )

/** The session with an access token that will live for at least `within` milliseconds, exchanged when it would not. */
export const fresh = (
  user: UserRef,
  within: number
): Effect.Effect<LoggedInSession, ExchangeError, HttpClient.HttpClient | TokenStore> =>
  Effect.flatMap(
    loggedIn(user),
    (session) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        isExpiring(session.tokens, now, within) ? exchange(user, session.tokens.accessToken) : Effect.succeed(session))
  )

// -----------------------------------------------------------------------------
// Requests
// -----------------------------------------------------------------------------

/** What a request on behalf of a user can fail with beside its own errors. */
export type AuthorizedError = ExchangeError

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
  user: UserRef,
  send: (session: LoggedInSession) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | ExchangeError, R | HttpClient.HttpClient | TokenStore> =>
  Effect.flatMap(loggedIn(user), (session) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const { accessToken, lifetime } = session.tokens
      if (isExpiring(session.tokens, now, Math.min(margin, lifetime / 10))) {
        return Effect.flatMap(beforeExpiry(user, session, now), send)
      }
      return Effect.catchIf(
        send(session),
        isStale,
        (): Effect.Effect<A, E | ExchangeError, R | HttpClient.HttpClient | TokenStore> =>
          Effect.flatMap(exchange(user, accessToken), send)
      )
    }))

/** Exchanges ahead of time; when that fails for now, a token that still lives is good enough. */
const beforeExpiry = (
  user: UserRef,
  session: LoggedInSession,
  now: number
): Effect.Effect<LoggedInSession, ExchangeError, HttpClient.HttpClient | TokenStore> =>
  Effect.catchIf(
    exchange(user, session.tokens.accessToken),
    (error) =>
      (error._tag === "TransportError" || error._tag === "InvalidResponseError") && !isExpiring(session.tokens, now, 0),
    () => Effect.succeed(session)
  )

// -----------------------------------------------------------------------------
// Log-out
// -----------------------------------------------------------------------------

/** Commits the change that a log-out or a removal is; log-ins of the user that are under way lose against it (law 5). */
export const leave = (
  user: UserRef,
  compute: (found: Found) => Option.Option<Change>
): Effect.Effect<void, TokenStoreError, TokenStore> =>
  Effect.flatMap(TokenStore, (store) =>
    // Noted first: a log-in that commits in between is found by the change, a later one is refused.
    Effect.flatMap(
      Effect.exit(store.depart(key(user))),
      (noted) => Effect.andThen(change(user, compute), noted)
    ))

/**
 * Forgets the tokens here, whatever happens next, then ends the session on the server. "Already gone" there is success;
 * so is a user who was not logged in (law 5).
 */
export const end = (
  user: UserRef,
  compute: (found: Found) => Option.Option<Change>
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
      if (isLost) yield* TokenStore.use((store) => store.get(key(user)))
    })
  )

/** Ends a session on the server alone. */
export const endOnServer = (
  user: { readonly baseUrl: string },
  tokens: { readonly refreshToken: Redacted.Redacted }
): Effect.Effect<void, ServerFailure, HttpClient.HttpClient> =>
  Effect.catchTag(sendDelete({ baseUrl: user.baseUrl, bearer: tokens.refreshToken }), "SessionError", () => Effect.void)

/** The change that a log-out is. */
export const loggedOut = (found: Found): Option.Option<Change> =>
  found !== "Damaged" && Option.isSome(found) && isLoggedIn(found.value)
    ? Option.some({
      session: Option.some(withoutTokens(found.value)),
      event: { _tag: "LoggedOut", reason: "Requested" }
    })
    : Option.none()

/** The change that forgets a user. */
export const removed = (found: Found): Option.Option<Change> =>
  found === "Damaged" || Option.isSome(found)
    ? Option.some({ session: Option.none(), event: { _tag: "Removed" } })
    : Option.none()
