/**
 * What becomes of the answer to a link, however it came.
 */
import type * as Endpoint from "@effect-realm/protocol/Endpoint"
import type { SessionError } from "@effect-realm/protocol/RealmError"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as Option from "effect/Option"
import type { NotLoggedInError, ServerFailure, TokenStoreError } from "../../ClientError.ts"
import * as Session from "../../Session.ts"
import type { TokenStore } from "../../TokenStore.ts"
import * as AccessToken from "./accessToken.ts"
import * as Sessions from "./session.ts"

/**
 * Reads the profile anew and commits the link, with the access token of the answer unless somebody has logged in anew.
 *
 * @param asked the session that the link was asked for with, or that is here when the answer comes
 * @param isOwn whether the access token of the answer is one of that session
 */
export const adopt = Effect.fnUntraced(function*(
  user: Sessions.UserRef,
  asked: Session.LoggedInSession,
  answer: Pick<typeof Endpoint.LoggedIn.Type, "accessToken" | "refreshToken">,
  endpoint: { readonly method: string; readonly path: string },
  isOwn = true
): Effect.fn.Return<
  void,
  ServerFailure | SessionError | NotLoggedInError | TokenStoreError,
  HttpClient.HttpClient | TokenStore
> {
  const claims = yield* AccessToken.claimsOf(user.id, answer.accessToken, endpoint)
  const profile = Session.profile(yield* AccessToken.sendProfile({ baseUrl: user.baseUrl, bearer: answer.accessToken }))
  const tokens = yield* AccessToken.received(
    claims,
    answer.accessToken,
    answer.refreshToken ?? asked.tokens.refreshToken
  )
  yield* Sessions.commitAnswer(user, asked, (session, isSame) =>
    Option.some({
      session: { ...session, ...(isSame && isOwn ? { tokens } : undefined), profile, customData: claims.userData },
      event: { _tag: "IdentityLinked", identities: profile.identities }
    }))
})
