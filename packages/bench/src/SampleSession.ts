/**
 * A session as a server hands it out: what is written, and how it is read again.
 */
import type { ClientError, Session, TokenStore } from "@effect-realm/client"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as PlainServer from "./PlainServer.ts"

type Store = TokenStore.TokenStore["Service"]

export const key = (userId: string): TokenStore.SessionKey => ({ appId: PlainServer.appId, userId })

// As long as those of App Services.
const token = (name: string) => Redacted.make(name.padEnd(480, "x"))
const [accessToken, refreshToken] = [token("access"), token("refresh")]

export const session = (userId: string): Omit<Session.Session, "generation" | "activation"> => ({
  ...key(userId),
  tokens: { accessToken, refreshToken, receivedAt: Date.now(), lifetime: 1_800_000 },
  providerType: "local-userpass",
  profile: { type: "normal", identities: [{ id: userId, providerType: "local-userpass" }], data: { email: userId } },
  customData: {}
})

/** Writes the session of a new user. */
export const logIn = (store: Store, userId: string): Effect.Effect<unknown, ClientError.TokenStoreError> =>
  store.commit(key(userId), {
    expected: 0,
    session: Option.some(session(userId)),
    event: { _tag: "LoggedIn", providerType: "local-userpass" },
    makeCurrent: true
  })

/** Reads the session of a user who is there. */
export const found = (store: Store, userId: string): Effect.Effect<Session.Session, ClientError.TokenStoreError> =>
  Effect.map(store.get(key(userId)), Option.getOrThrow)
