/**
 * The tokens of a session: signed and verified (protocol sections 4, 5.1). Whether their session still stands is the
 * business of `Sessions`.
 */
import * as RealmError from "@effect-realm/protocol/RealmError"
import { AccessClaims, RefreshClaims } from "@effect-realm/protocol/Token"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as errors from "jose/errors"
import { SignJWT } from "jose/jwt/sign"
import { jwtVerify } from "jose/jwt/verify"
import { SigningKeys } from "./SigningKeys.ts"

// -----------------------------------------------------------------------------
// Service
// -----------------------------------------------------------------------------

/** Makes and reads tokens. A token of one kind is never taken for the other. */
export class Tokens extends Context.Service<Tokens, {
  readonly signAccess: (claims: AccessClaims) => Effect.Effect<Redacted.Redacted>
  readonly signRefresh: (claims: RefreshClaims) => Effect.Effect<Redacted.Redacted>
  /** Fails with a `SessionError` when the token is not ours, of the other kind, of another app, or past its time. */
  readonly verifyAccess: (token: Redacted.Redacted) => Effect.Effect<AccessClaims, RealmError.SessionError>
  /** Fails with a `SessionError` when the token is not ours, of the other kind, of another app, or past its time. */
  readonly verifyRefresh: (token: Redacted.Redacted) => Effect.Effect<RefreshClaims, RealmError.SessionError>
}>()("@effect-realm/server/Tokens") {}

// -----------------------------------------------------------------------------
// Layers
// -----------------------------------------------------------------------------

type Kind = "access" | "refresh"

interface Verified<Claims> {
  readonly keyId: string
  readonly claims: Claims
}

/** How many verified tokens are remembered, a few megabytes at most. */
const remembered = 4_096

const unauthorized = (message: string): RealmError.SessionError => RealmError.make("Unauthorized", message)

const wrongKind = (kind: Kind): RealmError.SessionError => unauthorized(`invalid ${kind} token: incorrect token type`)

const expired = (kind: Kind): RealmError.SessionError =>
  RealmError.make("InvalidSession", `invalid session: ${kind} token expired`)

// The wording of each case is the service's own (protocol section 5.1).
const refusal = (kind: Kind, cause: unknown): RealmError.SessionError => {
  if (cause instanceof errors.JWTExpired) {
    return cause.payload["typ"] === kind ? expired(kind) : wrongKind(kind)
  }
  if (cause instanceof errors.JWSSignatureVerificationFailed || cause instanceof errors.JOSEAlgNotAllowed) {
    return unauthorized("signature is invalid")
  }
  if (cause instanceof errors.JWTClaimValidationFailed) return wrongKind(kind)
  return unauthorized("signing method (alg) is unspecified.")
}

const encodeAccess = Schema.encodeEffect(AccessClaims)
const encodeRefresh = Schema.encodeEffect(RefreshClaims)

/**
 * Tokens of one app, signed by HS256 with the keys of `SigningKeys`.
 *
 * @param options.domainId the app's domain id: tokens of another app on the same database are refused
 *
 * ```ts
 * import { Database, SigningKeys, Tokens } from "@effect-realm/server"
 * import { Effect, Layer } from "effect"
 *
 * const domainId = "5eea8667bcb4c810b651fb59"
 *
 * const program = Effect.gen(function*() {
 *   const tokens = yield* Tokens.Tokens
 *   const issuedAt = Math.floor(Date.now() / 1000)
 *   const token = yield* tokens.signAccess({
 *     userId: "ann",
 *     sessionId: "636aba021728b6c1c03db83e",
 *     deviceId: "000000000000000000000000",
 *     domainId,
 *     issuedAt,
 *     expiresAt: issuedAt + 1800,
 *     userData: {}
 *   })
 *   const refusal = yield* Effect.flip(tokens.verifyRefresh(token))
 *   return [(yield* tokens.verifyAccess(token)).userId, refusal.reason.message]
 * })
 *
 * const layer = Tokens.layer({ domainId }).pipe(Layer.provide(SigningKeys.layer), Layer.provide(Database.layerMemory))
 * await Effect.runPromise(Effect.provide(program, layer)) // => ["ann", "invalid refresh token: incorrect token type"]
 * ```
 */
export const layer = (options: { readonly domainId: string }): Layer.Layer<Tokens, never, SigningKeys> =>
  Layer.effect(
    Tokens,
    Effect.gen(function*() {
      const keys = yield* SigningKeys

      const sign = Effect.fnUntraced(function*(payload: object) {
        const { id, key } = yield* keys.current
        const token = yield* Effect.promise(() =>
          new SignJWT({ ...payload }).setProtectedHeader({ alg: "HS256", typ: "JWT", kid: id }).sign(key)
        )
        return Redacted.make(token)
      })

      const makeVerify = <Claims extends { readonly expiresAt: number; readonly domainId: string | undefined }>(
        kind: Kind,
        decode: (payload: unknown) => Effect.Effect<Claims, Schema.SchemaError>
      ) => {
        // The signature of a token costs more than all the rest of a request, and a client sends the same one for half an
        // hour. Remembered is only what can never change: that the signature was right, and what the token says.
        const memory = new Map<string, Verified<Claims>>()

        const read = Effect.fnUntraced(function*(token: string, seconds: number) {
          const context = yield* Effect.context()
          let keyId = ""
          const payload = yield* Effect.tryPromise({
            try: () =>
              jwtVerify(
                token,
                async (header) => {
                  keyId = header.kid ?? ""
                  const found = await Effect.runPromiseWith(context)(keys.get(keyId))
                  if (found === undefined) throw new errors.JWSSignatureVerificationFailed()
                  return found.key
                },
                { algorithms: ["HS256"], currentDate: new Date(seconds * 1000) }
              ),
            catch: (cause) => refusal(kind, cause)
          })
          if (payload.payload["typ"] !== kind) return yield* wrongKind(kind)
          const claims = yield* Effect.mapError(decode(payload.payload), () => unauthorized("invalid token claims"))
          if (claims.domainId !== options.domainId) {
            return yield* RealmError.make("UserAppDomainMismatch", "invalid session: the token is of another app")
          }
          return { keyId, claims }
        })

        const remember = (token: string, verified: Verified<Claims>) => {
          if (memory.size >= remembered) {
            for (const oldest of memory.keys()) {
              memory.delete(oldest)
              break
            }
          }
          memory.set(token, verified)
        }

        return Effect.fnUntraced(function*(redacted: Redacted.Redacted) {
          const token = Redacted.value(redacted)
          const seconds = Math.floor((yield* Clock.currentTimeMillis) / 1000)
          const known = memory.get(token)
          if (known !== undefined && (yield* keys.get(known.keyId)) !== undefined) {
            if (known.claims.expiresAt > seconds) return known.claims
            memory.delete(token)
            return yield* expired(kind)
          }
          const verified = yield* read(token, seconds)
          remember(token, verified)
          return verified.claims
        })
      }

      return Tokens.of({
        // What the server itself puts together always fits.
        signAccess: (claims) => Effect.orDie(Effect.flatMap(encodeAccess(claims), sign)),
        signRefresh: (claims) => Effect.orDie(Effect.flatMap(encodeRefresh(claims), sign)),
        verifyAccess: makeVerify("access", Schema.decodeUnknownEffect(AccessClaims)),
        verifyRefresh: makeVerify("refresh", Schema.decodeUnknownEffect(RefreshClaims))
      })
    })
  )
