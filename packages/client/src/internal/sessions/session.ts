/**
 * What is remembered of a user, and what may be committed of it. Laws are named by their number in the design.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { NotLoggedInError, type TokenStoreError } from "../../ClientError.ts"
import { isLoggedIn, type LoggedInSession, type Session, type Tokens } from "../../Session.ts"
import { type Commit, type SessionKey, TokenStore } from "../../TokenStore.ts"
import type { Uncommitted } from "../../UserEvent.ts"
import * as Subject from "../subject.ts"

/** What the laws need to know of a user. */
export interface UserRef {
  readonly appId: string
  readonly baseUrl: string
  readonly id: string
}

export const key = (user: UserRef): SessionKey => ({ appId: Subject.user(user), userId: user.id })

/** Whether two tokens are one. */
export const same = (self: Redacted.Redacted, that: Redacted.Redacted): boolean =>
  self === that || Redacted.value(self) === Redacted.value(that)

/** Whether a session is of the log-in with these tokens, known by the refresh token: each log-in has its own. */
export const isOfLogIn = (session: Session, { refreshToken }: Tokens): session is LoggedInSession =>
  isLoggedIn(session) && same(session.tokens.refreshToken, refreshToken)

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

/** What is left of a session that has ended. */
export const withoutTokens = ({ tokens: _, ...session }: LoggedInSession): Session => session

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
  readonly session: LoggedInSession
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
  const committed = yield* update(user, (session) => {
    present = undefined
    if (!isLoggedIn(session)) return Option.none()
    present = session
    return Option.map(compute(session, isOfLogIn(session, asked.tokens)), (next) => {
      present = next.session
      return { ...next, session: Option.some(next.session) }
    })
  })
  if (present === undefined) return yield* notLoggedIn(user, yield* readable(user))
  return Option.isSome(committed) ? { ...present, generation: committed.value } : present
})
