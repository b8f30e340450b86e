/**
 * The two tokens of a session and what they say (protocol section 4). A client reads the payload and never verifies the
 * signature; a server signs what {@link AccessClaims} and {@link RefreshClaims} encode to.
 */
import * as Base64Url from "effect/encoding/Base64Url"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"

/** A token as it travels: secret from the moment it is decoded. */
export const Token: Schema.Codec<Redacted.Redacted, string> = Schema.RedactedFromValue(Schema.NonEmptyString)

/** The device id that means "no device" (protocol section 1.6). */
export const noDevice = "000000000000000000000000"

const Seconds = Schema.Int

/** What an access token says (protocol section 4.1). Times are seconds since the epoch, on the server's clock. */
export interface AccessClaims {
  readonly userId: string
  readonly sessionId: string | undefined
  readonly issuedAt: number
  readonly expiresAt: number
  readonly deviceId: string
  readonly domainId: string | undefined
  /** The custom user data as Extended JSON; empty when the token carries none. */
  readonly userData: { readonly [key: string]: Schema.Json }
}

const Document = Schema.Record(Schema.String, Schema.Json)

const AccessWire = Schema.Struct({
  sub: Schema.NonEmptyString,
  iss: Schema.optionalKey(Schema.String),
  typ: Schema.optionalKey(Schema.Literal("access")),
  iat: Seconds,
  exp: Seconds,
  baas_device_id: Schema.optionalKey(Schema.NullOr(Schema.String)),
  stitch_devId: Schema.optionalKey(Schema.NullOr(Schema.String)),
  baas_domain_id: Schema.optionalKey(Schema.String),
  stitch_domainId: Schema.optionalKey(Schema.String),
  user_data: Schema.optionalKey(Schema.NullOr(Document))
})

/** The payload of an access token. Older servers sent the `stitch_…` names alone: both are read, both are written. */
export const AccessClaims: Schema.Codec<AccessClaims, typeof AccessWire.Encoded> = AccessWire.pipe(
  Schema.decodeTo(
    Schema.declare((_): _ is AccessClaims => true, { expected: "the claims of an access token" }),
    SchemaTransformation.transform<AccessClaims, typeof AccessWire.Type>({
      decode: (wire) => ({
        userId: wire.sub,
        sessionId: wire.iss,
        issuedAt: wire.iat,
        expiresAt: wire.exp,
        deviceId: wire.baas_device_id ?? wire.stitch_devId ?? noDevice,
        domainId: wire.baas_domain_id ?? wire.stitch_domainId,
        userData: wire.user_data ?? {}
      }),
      encode: (claims) => ({
        baas_device_id: claims.deviceId,
        ...(claims.domainId === undefined
          ? undefined
          : { baas_domain_id: claims.domainId, stitch_domainId: claims.domainId }),
        exp: claims.expiresAt,
        iat: claims.issuedAt,
        ...(claims.sessionId === undefined ? undefined : { iss: claims.sessionId }),
        stitch_devId: claims.deviceId,
        sub: claims.userId,
        typ: "access" as const,
        user_data: claims.userData
      })
    })
  )
)

/** The identity a session was opened with. */
export interface TokenIdentity {
  readonly id: string
  readonly providerType: string
  readonly providerId: string
}

/** What a refresh token says (protocol section 4.2). Times are seconds since the epoch, on the server's clock. */
export interface RefreshClaims {
  readonly userId: string
  readonly sessionId: string
  readonly issuedAt: number
  readonly expiresAt: number
  readonly deviceId: string
  readonly domainId: string
  readonly identity: TokenIdentity
}

const IdentityWire = Schema.Struct({ id: Schema.String, provider_type: Schema.String, provider_id: Schema.String })

const RefreshWire = Schema.Struct({
  sub: Schema.NonEmptyString,
  typ: Schema.Literal("refresh"),
  iat: Seconds,
  exp: Seconds,
  baas_data: Schema.Null,
  stitch_data: Schema.Null,
  baas_id: Schema.NonEmptyString,
  stitch_id: Schema.NonEmptyString,
  baas_device_id: Schema.String,
  stitch_devId: Schema.String,
  baas_domain_id: Schema.String,
  stitch_domainId: Schema.String,
  baas_identity: IdentityWire,
  stitch_ident: IdentityWire
})

/** The payload of a refresh token. */
export const RefreshClaims: Schema.Codec<RefreshClaims, typeof RefreshWire.Encoded> = RefreshWire.pipe(
  Schema.decodeTo(
    Schema.declare((_): _ is RefreshClaims => true, { expected: "the claims of a refresh token" }),
    SchemaTransformation.transform<RefreshClaims, typeof RefreshWire.Type>({
      decode: (wire) => ({
        userId: wire.sub,
        sessionId: wire.baas_id,
        issuedAt: wire.iat,
        expiresAt: wire.exp,
        deviceId: wire.baas_device_id,
        domainId: wire.baas_domain_id,
        identity: {
          id: wire.baas_identity.id,
          providerType: wire.baas_identity.provider_type,
          providerId: wire.baas_identity.provider_id
        }
      }),
      encode: (claims) => {
        const identity = {
          id: claims.identity.id,
          provider_type: claims.identity.providerType,
          provider_id: claims.identity.providerId
        }
        return {
          baas_data: null,
          baas_device_id: claims.deviceId,
          baas_domain_id: claims.domainId,
          baas_id: claims.sessionId,
          baas_identity: identity,
          exp: claims.expiresAt,
          iat: claims.issuedAt,
          stitch_data: null,
          stitch_devId: claims.deviceId,
          stitch_domainId: claims.domainId,
          stitch_id: claims.sessionId,
          stitch_ident: identity,
          sub: claims.userId,
          typ: "refresh" as const
        }
      }
    })
  )
)

const decodeAccess = Schema.decodeUnknownResult(Schema.fromJsonString(AccessClaims))

// Tokens are written in the URL-safe alphabet; the old clients read the standard one as well.
const urlSafe = (text: string): string => text.replaceAll("+", "-").replaceAll("/", "_")

const notAToken = (): Schema.SchemaError =>
  new Schema.SchemaError(new SchemaIssue.InvalidValue({ expected: "a token of three base64url parts joined by dots" }))

/**
 * Reads an access token without verifying it. The payload is text in UTF-8, so names in any script survive. Fails when
 * it is not a token, or one without `sub`, `iat` and `exp`; the failure never shows the token.
 *
 * ```ts
 * import { Token } from "@effect-realm/protocol"
 * import { Redacted, Result } from "effect"
 * import { Base64Url } from "effect/encoding"
 *
 * const payload = Base64Url.encode(JSON.stringify({ sub: "zoë", iat: 0, exp: 1800, typ: "access" }))
 * const claims = Token.read(Redacted.make(`e30.${payload}.signature`))
 * Result.isSuccess(claims) && claims.success.userId // => "zoë"
 * ```
 */
export const read = (token: Redacted.Redacted): Result.Result<AccessClaims, Schema.SchemaError> => {
  const parts = Redacted.value(token).split(".")
  const payload = parts.length === 3 ? Base64Url.decodeString(urlSafe(parts[1]!)) : undefined
  if (payload === undefined || Result.isFailure(payload)) return Result.fail(notAToken())
  // A schema error quotes what it refused, and this is half a secret: say only that it did not fit.
  return Result.mapError(
    decodeAccess(payload.success),
    () =>
      new Schema.SchemaError(new SchemaIssue.InvalidValue({ expected: "the claims of an access token: sub, iat, exp" }))
  )
}
