/**
 * What can go wrong on this side of the wire. What the server refuses is in `RealmError`.
 */
import type { AppError, RequestError, SessionError, UnknownServiceError } from "@effect-realm/protocol/RealmError"
import * as Schema from "effect/Schema"

/** Which endpoint a failed request was for: its method and the template of its path, never a URL with values in it. */
const endpoint = {
  method: Schema.String,
  route: Schema.String
}

/**
 * No answer arrived: the server could not be reached, the connection broke, or the deadline passed; then whether the
 * server ran the request is unknown. Or the program's own policy kept it from being sent (`CircuitOpen`, `RateLimited`).
 * Trying again later can help; nothing was forgotten.
 *
 * ```ts
 * import { ClientError } from "@effect-realm/client"
 *
 * const error = new ClientError.TransportError({ method: "GET", route: "/location", reason: { _tag: "TimedOut", deadline: 60_000 } })
 * error.message // => "GET /location: no whole answer within 60000 ms. Check the base URL and the network, then try again."
 * ```
 */
export class TransportError
  extends Schema.TaggedError<TransportError>("@effect-realm/client/TransportError")("TransportError", {
    ...endpoint,
    reason: Schema.TaggedUnion({
      /** The request could not be sent, or its connection broke before the answer was whole. */
      Unreachable: { detail: Schema.String },
      /** Headers and body did not arrive within the deadline, in milliseconds. */
      TimedOut: { deadline: Schema.Finite },
      /** Not sent: the circuit breaker keeps requests from a server in trouble, for so many milliseconds more. */
      CircuitOpen: { retryAfter: Schema.Finite },
      /** Not sent: the rate limit was reached, for so many milliseconds more. */
      RateLimited: { retryAfter: Schema.Finite }
    })
  })
{
  override get message(): string {
    const request = `${this.method} ${this.route}`
    switch (this.reason._tag) {
      case "Unreachable":
        return `${request}: ${this.reason.detail}. Check the base URL and the network, then try again.`
      case "TimedOut":
        return `${request}: no whole answer within ${this.reason.deadline} ms. ` +
          "Check the base URL and the network, then try again."
      case "CircuitOpen":
        return `${request}: not sent, because the server was in trouble. Try again in ${this.reason.retryAfter} ms.`
      case "RateLimited":
        return `${request}: not sent, because of the program's own rate limit. Try again in ${this.reason.retryAfter} ms.`
    }
  }
}

/**
 * An answer arrived that is not of the protocol: a page of a proxy, an empty body, JSON of another shape. The session is
 * kept; trying again later can help.
 *
 * ```ts
 * import { ClientError } from "@effect-realm/client"
 *
 * const error = new ClientError.InvalidResponseError({
 *   method: "GET",
 *   route: "/location",
 *   status: 502,
 *   contentType: "text/html",
 *   excerpt: "<html>",
 *   detail: "the answer is not JSON"
 * })
 * error.status // => 502
 * ```
 */
export class InvalidResponseError
  extends Schema.TaggedError<InvalidResponseError>("@effect-realm/client/InvalidResponseError")(
    "InvalidResponseError",
    {
      ...endpoint,
      /** HTTP status of the answer. */
      status: Schema.Int,
      /** Its `Content-Type`; empty when it had none. */
      contentType: Schema.String,
      /** The beginning of its body, at most 200 characters; empty where a secret could be in it. */
      excerpt: Schema.String,
      /** What was wrong with it. */
      detail: Schema.String,
      /** Milliseconds after which whoever answered wants to be asked again, when it said so (`Retry-After`). */
      retryAfter: Schema.optionalKey(Schema.Finite)
    }
  )
{
  override get message(): string {
    return `${this.method} ${this.route}: ${this.detail} (status ${this.status}, ${
      this.contentType || "no content type"
    }). ` +
      "Is there a proxy in between, or another server at this base URL?" +
      (this.excerpt === "" ? "" : ` The body begins: ${this.excerpt}`)
  }
}

/**
 * The operation needs a user who is logged in here, and this one is not. Log in again with `App.logIn`.
 *
 * ```ts
 * import { ClientError } from "@effect-realm/client"
 *
 * const error = new ClientError.NotLoggedInError({ userId: "636aba021728b6c1c03db7f9", state: "LoggedOut" })
 * error.message // => "User 636aba021728b6c1c03db7f9 is logged out: log in again."
 * ```
 */
export class NotLoggedInError
  extends Schema.TaggedError<NotLoggedInError>("@effect-realm/client/NotLoggedInError")("NotLoggedInError", {
    userId: Schema.String,
    /** `LoggedOut`: known here, without a session. `Removed`: not known here. */
    state: Schema.Literals(["LoggedOut", "Removed"])
  })
{
  override get message(): string {
    return this.state === "LoggedOut"
      ? `User ${this.userId} is logged out: log in again.`
      : `User ${this.userId} is not known to this TokenStore: log in first.`
  }
}

/**
 * A value the server sent does not fit the schema that the caller gave for it.
 *
 * ```ts
 * import { ClientError } from "@effect-realm/client"
 *
 * const error = new ClientError.SchemaMismatchError({ subject: "custom data", detail: "Missing key at [\"color\"]" })
 * error.message // => "The custom data does not fit the given schema: Missing key at [\"color\"]"
 * ```
 */
export class SchemaMismatchError
  extends Schema.TaggedError<SchemaMismatchError>("@effect-realm/client/SchemaMismatchError")("SchemaMismatchError", {
    /** What was decoded: `result of sum`, `custom data`. */
    subject: Schema.String,
    /** Which part did not fit, and why. */
    detail: Schema.String
  })
{
  override get message(): string {
    return `The ${this.subject} does not fit the given schema: ${this.detail}`
  }
}

/**
 * A document does not fit the schema of its collection. `Read`: the server has it so; nothing was changed. `Write`: it was
 * not sent. It names the document and the place, never a value other than the `_id`.
 *
 * ```ts
 * import { ClientError } from "@effect-realm/client"
 *
 * const error = new ClientError.DocumentMismatchError({
 *   collection: "shop.orders",
 *   direction: "Read",
 *   id: "65f000000000000000000001",
 *   path: "items[0].count",
 *   detail: "Expected an integer"
 * })
 * error.message // => "The document 65f000000000000000000001 read from shop.orders does not fit the schema at items[0].count: Expected an integer"
 * ```
 */
export class DocumentMismatchError
  extends Schema.TaggedError<DocumentMismatchError>("@effect-realm/client/DocumentMismatchError")(
    "DocumentMismatchError",
    {
      /** Database and collection, with a dot between. */
      collection: Schema.String,
      direction: Schema.Literals(["Read", "Write"]),
      /** The `_id`: an `ObjectId` in hexadecimal digits, else as Extended JSON; missing when the document has none. */
      id: Schema.optionalKey(Schema.String),
      /** Which part did not fit; empty for the document as a whole. */
      path: Schema.String,
      /** What was expected there. */
      detail: Schema.String
    }
  )
{
  override get message(): string {
    const document = this.id === undefined ? "A document" : `The document ${this.id}`
    const where = this.path === "" ? "" : ` at ${this.path}`
    return `${document} ${this.direction === "Read" ? "read from" : "for"} ${this.collection} ` +
      `does not fit the schema${where}: ${this.detail}`
  }
}

/**
 * The store could not do its work. Nothing was overwritten.
 *
 * ```ts
 * import { ClientError } from "@effect-realm/client"
 *
 * const error = new ClientError.TokenStoreError({ reason: { _tag: "Unavailable", detail: "the disk is full" } })
 * error.message // => "The token store failed: the disk is full. Check the storage behind it, then try again."
 * ```
 */
export class TokenStoreError
  extends Schema.TaggedError<TokenStoreError>("@effect-realm/client/TokenStoreError")("TokenStoreError", {
    reason: Schema.TaggedUnion({
      /** The record under `key` is not one of ours, or no longer readable. It is left as it is. */
      Damaged: { key: Schema.String, detail: Schema.String },
      /** The record under `key` was written by a newer version of this library. It is left as it is. */
      NewerVersion: { key: Schema.String, version: Schema.Finite },
      /** The record under `key` is encrypted with a key that this program was not given. It is left as it is. */
      KeyMissing: { key: Schema.String, keyId: Schema.String },
      /** The store cannot be used as it is set up, however often it is tried. */
      Misconfigured: { detail: Schema.String },
      /** The place behind the store failed: a full disk, a missing permission, a closed storage. */
      Unavailable: { detail: Schema.String, cause: Schema.optionalKey(Schema.Defect()) },
      /** What has to be kept takes more bytes than there is room for. Nothing was changed. */
      TooLarge: { size: Schema.Finite, limit: Schema.Finite },
      /** The lease was held longer than its bound and given to another. */
      LeaseLost: { key: Schema.String }
    })
  })
{
  override get message(): string {
    switch (this.reason._tag) {
      case "Damaged":
        return `The stored record ${this.reason.key} cannot be read: ${this.reason.detail}. ` +
          "Log in again to replace it, or delete it."
      case "NewerVersion":
        return `The stored record ${this.reason.key} has the version ${this.reason.version}, which this version of ` +
          "effect-realm does not know. Update this program; the record is left as it is."
      case "KeyMissing":
        return `The stored record ${this.reason.key} is encrypted with the key ${this.reason.keyId}, which this program ` +
          "was not given. Give it as a key or an old key; the record is left as it is."
      case "Misconfigured":
        return `The token store cannot be used as it is set up: ${this.reason.detail}.`
      case "Unavailable":
        return `The token store failed: ${this.reason.detail}. Check the storage behind it, then try again.`
      case "TooLarge":
        return `The sessions take ${this.reason.size} bytes where ${this.reason.limit} can be kept. Keep less in the ` +
          "custom data of the user, log out other users, or take another store."
      case "LeaseLost":
        return `The lease on ${this.reason.key} ran out. Try again.`
    }
  }
}

/** No usable answer came back: the request may or may not have run. */
export type RequestFailure = TransportError | InvalidResponseError

/** What every request to the server can fail with. */
export type ServerFailure = RequestFailure | RequestError | AppError | UnknownServiceError

/** What an exchange of the refresh token for a new access token can fail with. */
export type ExchangeError = ServerFailure | SessionError | NotLoggedInError | TokenStoreError
